-- What a claim goes by: who waits for a row, and what it has come to before.

ALTER TABLE queue ADD COLUMN background INTEGER NOT NULL DEFAULT 0; -- marked with many others
UPDATE queue SET background = 1
    WHERE reason IN ('backfill', 'reconfigured', 'drift', 'members', 'revisit');
-- How often in a row the process ended while the row was claimed.
ALTER TABLE queue ADD COLUMN cuts INTEGER NOT NULL DEFAULT 0;
-- Of a connector that wants every event: how many were too old to be kept, and are told as one with
-- the next.
ALTER TABLE queue ADD COLUMN collapsed INTEGER NOT NULL DEFAULT 0;
-- 0 fresh 1 retried 2 background
ALTER TABLE queue ADD COLUMN class INTEGER AS (iif(state = 1, 1, 2 * background)) VIRTUAL;

DROP INDEX queue_due;
CREATE INDEX queue_due ON queue (connector, organization, class, due)
    WHERE state <= 2 AND leased IS NULL;
