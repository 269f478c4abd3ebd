-- Deliveries that have to ask somebody elsewhere: where they go on, and with
-- which headers. Sealed, for credentials are among those.
ALTER TABLE deliveries ADD COLUMN resume INTEGER;
ALTER TABLE deliveries ADD COLUMN sealed_headers BLOB;

-- Numbers of events that wait are never given twice: whoever asks about one
-- remembers it by its number.
ALTER TABLE deferrals RENAME TO deferrals_before;
CREATE TABLE deferrals (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id BLOB NOT NULL,
    verified INTEGER NOT NULL,
    listener_namespace TEXT NOT NULL,
    listener_name TEXT NOT NULL,
    triggers TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    sealed_headers BLOB NOT NULL,
    body BLOB NOT NULL,
    -- When nobody had decided on it for too long; it is kept from then on.
    given_up_ms INTEGER
);
INSERT INTO deferrals (id, event_id, verified, listener_namespace, listener_name, triggers,
                       received_ms, method, url, sealed_headers, body, given_up_ms)
SELECT id, event_id, verified, listener_namespace, listener_name, triggers,
       received_ms, method, url, sealed_headers, body, given_up_ms
FROM deferrals_before;
DROP TABLE deferrals_before;
CREATE INDEX deferrals_by_listener
    ON deferrals (listener_namespace, listener_name, verified);
