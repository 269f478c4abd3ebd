-- Deliveries that have to ask somebody elsewhere: where they go on, and with
-- which headers. Sealed, for credentials are among those.
ALTER TABLE deliveries ADD COLUMN resume INTEGER;
ALTER TABLE deliveries ADD COLUMN sealed_headers BLOB;
