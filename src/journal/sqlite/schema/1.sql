-- One row for each request that caused a delivery. Times are milliseconds of
-- Unix time; ids of events are the 16 bytes of their UUID.
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    event_id BLOB NOT NULL,
    replay_of BLOB,
    listener_namespace TEXT NOT NULL,
    listener_name TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    method TEXT NOT NULL,
    url TEXT NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX events_by_event_id ON events (event_id);

-- A trigger as it was when something matched it.
CREATE TABLE revisions (
    revision TEXT PRIMARY KEY,
    source TEXT NOT NULL
) WITHOUT ROWID;

-- One row for each trigger that an event fires.
CREATE TABLE deliveries (
    -- Never given twice: duplicates refer to deliveries that are forgotten.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event INTEGER NOT NULL REFERENCES events (id),
    trigger_id TEXT NOT NULL,
    revision TEXT NOT NULL REFERENCES revisions (revision),
    state TEXT NOT NULL,
    reason TEXT,
    attempts INTEGER NOT NULL,
    accepted_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    extensions TEXT NOT NULL,
    findings TEXT NOT NULL,
    params TEXT,
    manifests TEXT
);
CREATE INDEX deliveries_by_event ON deliveries (event);
CREATE INDEX deliveries_due ON deliveries (due_ms)
    WHERE state IN ('pending', 'retrying');
CREATE INDEX deliveries_running ON deliveries (state) WHERE state = 'running';
CREATE INDEX deliveries_ended ON deliveries (updated_ms)
    WHERE state IN ('done', 'cancelled');
CREATE INDEX deliveries_by_revision ON deliveries (revision);

-- One row for each attempt to perform a delivery.
CREATE TABLE attempts (
    delivery INTEGER NOT NULL REFERENCES deliveries (id),
    number INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    reason TEXT,
    detail TEXT,
    PRIMARY KEY (delivery, number)
) WITHOUT ROWID;

-- Which deliveries are known already. Kept by time, never by size.
CREATE TABLE dedupe (
    key TEXT NOT NULL,
    trigger_id TEXT NOT NULL,
    delivery INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (key, trigger_id)
) WITHOUT ROWID;
CREATE INDEX dedupe_by_expiry ON dedupe (expires_ms);

-- Events that nobody can decide on yet. Their headers are sealed: credentials
-- are among them.
CREATE TABLE deferrals (
    id INTEGER PRIMARY KEY,
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
CREATE INDEX deferrals_by_listener
    ON deferrals (listener_namespace, listener_name, verified);
