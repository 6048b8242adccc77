-- What was removed and taken over, and what waits for it: limits count both.

ALTER TABLE queue ADD COLUMN hold_count INTEGER NOT NULL DEFAULT 0; -- entries, or members of a group
ALTER TABLE queue ADD COLUMN rejected TEXT;   -- why a person said no to what it asks for
-- The resource is deleted, and an entry of it is in use or deactivated.
ALTER TABLE queue ADD COLUMN leaving INTEGER NOT NULL DEFAULT 0;
UPDATE queue SET hold_count = 1 WHERE hold_kind IS NOT NULL;
-- What a row was held for stays with it over new content, until it is delivered.
CREATE INDEX queue_hold ON queue (connector, hold_kind, state, hold_count) WHERE hold_kind IS NOT NULL;
CREATE INDEX queue_leaving ON queue (connector) WHERE leaving = 1;

-- Written before the target is asked to do it, so that a crash never undercounts.
CREATE TABLE removal (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    connector INTEGER NOT NULL,
    resource  INTEGER NOT NULL,
    kind      TEXT NOT NULL,           -- as in queue.hold_kind
    count     INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    approved  INTEGER NOT NULL,        -- by a person: no limit counts it
    mark      INTEGER NOT NULL,        -- of the row, when it was allowed
    open      INTEGER NOT NULL         -- until the row is settled: an attempt may repeat it
);
CREATE INDEX removal_window ON removal (connector, kind, at, count, approved);
CREATE INDEX removal_open ON removal (connector, resource, kind, at) WHERE open = 1;
CREATE INDEX removal_at ON removal (at);

-- Whoever was there before waits for approval, where a new connector's first run does.
ALTER TABLE subscription ADD COLUMN newest INTEGER NOT NULL DEFAULT 0; -- resource when it was made

-- Who left a group, and are gone now.
CREATE INDEX member_mark_member ON member_mark (connector, member_id);

CREATE TRIGGER queue_leaves AFTER INSERT ON queue
WHEN (SELECT deleted FROM resource WHERE id = new.resource) IS NOT NULL BEGIN
    UPDATE queue SET leaving = 1
        WHERE connector = new.connector AND resource = new.resource
              AND EXISTS (SELECT 1 FROM link WHERE connector = new.connector
                                                   AND resource = new.resource AND stage <= 1);
END;
CREATE TRIGGER resource_leaves AFTER UPDATE OF deleted ON resource
WHEN new.deleted IS NOT NULL BEGIN
    UPDATE queue SET leaving = 1
        WHERE connector IN (SELECT id FROM connector) AND resource = new.id
              AND EXISTS (SELECT 1 FROM link WHERE connector = queue.connector
                                                   AND resource = new.id AND stage <= 1);
END;
CREATE TRIGGER link_leaves AFTER INSERT ON link
WHEN (SELECT deleted FROM resource WHERE id = new.resource) IS NOT NULL BEGIN
    UPDATE queue SET leaving = new.stage <= 1
        WHERE connector = new.connector AND resource = new.resource;
END;
CREATE TRIGGER link_left_stage AFTER UPDATE OF stage ON link
WHEN old.stage <> new.stage
     AND (SELECT deleted FROM resource WHERE id = new.resource) IS NOT NULL BEGIN
    UPDATE queue SET leaving = new.stage <= 1
        WHERE connector = new.connector AND resource = new.resource;
END;
UPDATE queue SET leaving = 1
    WHERE EXISTS (SELECT 1 FROM resource WHERE id = queue.resource AND deleted IS NOT NULL)
          AND EXISTS (SELECT 1 FROM link WHERE connector = queue.connector
                                               AND resource = queue.resource AND stage <= 1);
