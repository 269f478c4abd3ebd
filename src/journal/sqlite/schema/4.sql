-- How many of a delivery's resources are where they belong: a later attempt
-- begins behind them.
ALTER TABLE deliveries ADD COLUMN acted INTEGER NOT NULL DEFAULT 0;
-- A moment before the first of them was made, as the API server counts.
ALTER TABLE deliveries ADD COLUMN as_of TEXT;
-- For how long it has been tried, and for how long of that somebody would have
-- had to mend something: what decides that it is given up.
ALTER TABLE deliveries ADD COLUMN tried_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN unmended_ms INTEGER NOT NULL DEFAULT 0;

-- Which secrets have proved who sent an event: one that is replayed has no
-- credentials any more.
ALTER TABLE events ADD COLUMN proven TEXT NOT NULL DEFAULT '[]';
-- When its payload was erased.
ALTER TABLE events ADD COLUMN erased_ms INTEGER;

CREATE INDEX events_by_time ON events (received_ms);
CREATE INDEX deliveries_dead ON deliveries (updated_ms) WHERE state = 'dead';
