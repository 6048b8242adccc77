-- Lists and counters by organization: who has some of them is shown those, and nothing else is read.

DROP TRIGGER queue_added;
DROP TRIGGER queue_moved;
DROP TRIGGER queue_left;
DROP TABLE backlog;
-- How many rows of each organization are in each state.
CREATE TABLE backlog (
    connector    INTEGER NOT NULL,
    organization INTEGER NOT NULL,
    state        INTEGER NOT NULL,
    entries      INTEGER NOT NULL,
    PRIMARY KEY (connector, organization, state)
) WITHOUT ROWID;
INSERT INTO backlog
    SELECT connector, organization, state, count(*) FROM queue GROUP BY connector, organization, state;
CREATE TRIGGER queue_added AFTER INSERT ON queue BEGIN
    INSERT INTO backlog VALUES (new.connector, new.organization, new.state, 1)
        ON CONFLICT DO UPDATE SET entries = entries + 1;
END;
CREATE TRIGGER queue_moved AFTER UPDATE OF state ON queue WHEN old.state <> new.state BEGIN
    UPDATE backlog SET entries = entries - 1
        WHERE connector = old.connector AND organization = old.organization AND state = old.state;
    INSERT INTO backlog VALUES (new.connector, new.organization, new.state, 1)
        ON CONFLICT DO UPDATE SET entries = entries + 1;
END;
CREATE TRIGGER queue_left AFTER DELETE ON queue BEGIN
    UPDATE backlog SET entries = entries - 1
        WHERE connector = old.connector AND organization = old.organization AND state = old.state;
END;

-- One for the list of each state, and for what has waited longest.
DROP INDEX queue_dirty;
DROP INDEX queue_scheduled;
CREATE INDEX queue_listed ON queue (connector, organization, state, dirty_at);

CREATE INDEX audit_organization ON audit (organization, id);
CREATE INDEX audit_actor ON audit (actor, id);
