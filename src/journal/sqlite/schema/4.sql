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
-- Who sent an event and which id he gave it, where he gives one.
ALTER TABLE events ADD COLUMN sender TEXT;
ALTER TABLE events ADD COLUMN sender_id TEXT;
-- The event that has replayed a delivery last.
ALTER TABLE deliveries ADD COLUMN replayed_by BLOB;

CREATE INDEX events_by_time ON events (received_ms);
CREATE INDEX deliveries_dead ON deliveries (updated_ms) WHERE state = 'dead';
CREATE INDEX deferrals_given_up ON deferrals (given_up_ms)
    WHERE given_up_ms IS NOT NULL;

-- Has the state, so that deliveries are counted without reading them.
DROP INDEX deliveries_ended;
CREATE INDEX deliveries_ended ON deliveries (updated_ms, state)
    WHERE state IN ('done', 'cancelled');
CREATE INDEX events_by_sender_id ON events (sender_id) WHERE sender_id IS NOT NULL;
CREATE INDEX events_by_replay_of ON events (replay_of) WHERE replay_of IS NOT NULL;
CREATE INDEX events_with_payload ON events (received_ms) WHERE erased_ms IS NULL;

-- Whose a delivery is: namespace and name of the listener and the trigger, a line
-- each. What waits is found by that, so that what may not begin now is passed
-- over in one step, however much it is.
ALTER TABLE deliveries ADD COLUMN lane TEXT NOT NULL DEFAULT '';
UPDATE deliveries SET lane =
    (SELECT listener_namespace || char(10) || listener_name || char(10) FROM events
     WHERE events.id = event) || trigger_id;
CREATE INDEX deliveries_waiting ON deliveries (lane, due_ms)
    WHERE state IN ('pending', 'retrying');
