-- The first layout. Keys inside are 64-bit integers, time is milliseconds UTC, a public id is the
-- 16 bytes of its UUID. `organization` stands in every unique key.

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE organization (
    id  INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE
);

-- How many living resources there are, so that totalResults never counts rows.
CREATE TABLE population (
    organization INTEGER NOT NULL,
    kind         INTEGER NOT NULL,
    living       INTEGER NOT NULL,
    PRIMARY KEY (organization, kind)
) WITHOUT ROWID;

CREATE TABLE resource (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    organization INTEGER NOT NULL,
    kind         INTEGER NOT NULL,     -- 0 User, 1 Group
    public_id    BLOB NOT NULL,
    version      INTEGER NOT NULL,
    body         TEXT NOT NULL,        -- JSON as served, without meta, members and groups
    created      INTEGER NOT NULL,
    modified     INTEGER NOT NULL,
    deleted      INTEGER,              -- a tombstone until every connector has settled it
    user_name    TEXT,                 -- folded; users only
    display_name TEXT,                 -- folded; groups only
    external_id  TEXT                  -- exact
);
CREATE UNIQUE INDEX resource_public_id ON resource (organization, kind, public_id);
CREATE UNIQUE INDEX resource_user_name ON resource (organization, user_name)
    WHERE deleted IS NULL AND user_name IS NOT NULL;
CREATE INDEX resource_display_name ON resource (organization, display_name)
    WHERE deleted IS NULL AND display_name IS NOT NULL;
CREATE INDEX resource_external_id ON resource (organization, kind, external_id)
    WHERE deleted IS NULL AND external_id IS NOT NULL;
CREATE INDEX resource_living ON resource (organization, kind, id) WHERE deleted IS NULL;
CREATE INDEX resource_deleted ON resource (deleted) WHERE deleted IS NOT NULL;
-- Who had a name before: whoever has it now waits until those are out of the way.
CREATE INDEX resource_former ON resource (organization, kind, coalesce(user_name, display_name))
    WHERE deleted IS NOT NULL;

CREATE TABLE member (
    group_id  INTEGER NOT NULL,
    member_id INTEGER NOT NULL,
    PRIMARY KEY (group_id, member_id)
) WITHOUT ROWID;
CREATE INDEX member_of ON member (member_id, group_id);

-- Append-only. For a delete, `body` is the resource as it last was.
CREATE TABLE change (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    organization INTEGER NOT NULL,
    resource     INTEGER NOT NULL,
    verb         INTEGER NOT NULL,     -- 0 created, 1 updated, 2 deleted
    at           INTEGER NOT NULL,
    body         TEXT NOT NULL,
    attributes   TEXT NOT NULL,        -- JSON array of names
    joined       TEXT,                 -- JSON array of member references, or NULL
    departed     TEXT,
    token        INTEGER
);
CREATE INDEX change_resource ON change (resource, seq);

CREATE TABLE connector (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    kind         TEXT NOT NULL,
    every_event  INTEGER NOT NULL,
    members      INTEGER NOT NULL,     -- groups reach it with their members
    reads_groups INTEGER NOT NULL,     -- a mapping or the scope reads a user's groups
    enabled      INTEGER NOT NULL,     -- 0: its file is gone or says so; rows go on coalescing
    fingerprint  TEXT NOT NULL,        -- of its file; a change re-evaluates everyone
    links        INTEGER NOT NULL DEFAULT 0, -- entries it holds, kept by triggers
    paused_at    INTEGER,              -- by a person
    paused_by    TEXT
);
CREATE TABLE subscription (
    connector    INTEGER NOT NULL,
    organization INTEGER NOT NULL,
    PRIMARY KEY (connector, organization)
) WITHOUT ROWID;

-- One row for each (connector, resource) that is not in line.
CREATE TABLE queue (
    connector    INTEGER NOT NULL,
    resource     INTEGER NOT NULL,
    organization INTEGER NOT NULL,
    since        INTEGER NOT NULL,     -- first change it has not seen (seq)
    mark         INTEGER NOT NULL,     -- bumped by whatever marks the row
    dirty_at     INTEGER NOT NULL,     -- when it fell out of line
    due          INTEGER NOT NULL,
    state        INTEGER NOT NULL,     -- 0 pending 1 retrying 2 scheduled 3 waiting 4 parked 5 held
    reason       TEXT NOT NULL,
    entire       INTEGER NOT NULL,     -- compare whole memberships, not only what changed
    attempts     INTEGER NOT NULL,
    first_failed INTEGER,
    last_error   TEXT,
    hold_kind    TEXT,
    approved     INTEGER,              -- the mark a person approved
    approved_at  INTEGER,              -- when: an approval lapses
    waits_for    INTEGER,
    epoch        INTEGER NOT NULL,     -- of the lease: no two leases of a process have the same
    leased       INTEGER,              -- since when; NULL: nobody works on it
    doubt        INTEGER NOT NULL,     -- the last attempt may have been carried out
    PRIMARY KEY (connector, resource)
) WITHOUT ROWID;
CREATE INDEX queue_due ON queue (connector, organization, due) WHERE state <= 2 AND leased IS NULL;
CREATE INDEX queue_dirty ON queue (connector, dirty_at) WHERE state <= 1;
CREATE INDEX queue_leased ON queue (leased) WHERE leased IS NOT NULL;
CREATE INDEX queue_waiting ON queue (connector, waits_for) WHERE waits_for IS NOT NULL;
CREATE INDEX queue_human ON queue (state, connector) WHERE state >= 4;

-- How many rows are in each state, so that metrics and status never count them.
CREATE TABLE backlog (
    connector INTEGER NOT NULL,
    state     INTEGER NOT NULL,
    entries   INTEGER NOT NULL,
    PRIMARY KEY (connector, state)
) WITHOUT ROWID;
CREATE TRIGGER queue_added AFTER INSERT ON queue BEGIN
    INSERT INTO backlog VALUES (new.connector, new.state, 1)
        ON CONFLICT DO UPDATE SET entries = entries + 1;
END;
CREATE TRIGGER queue_moved AFTER UPDATE OF state ON queue WHEN old.state <> new.state BEGIN
    UPDATE backlog SET entries = entries - 1
        WHERE connector = old.connector AND state = old.state;
    INSERT INTO backlog VALUES (new.connector, new.state, 1)
        ON CONFLICT DO UPDATE SET entries = entries + 1;
END;
CREATE TRIGGER queue_left AFTER DELETE ON queue BEGIN
    UPDATE backlog SET entries = entries - 1
        WHERE connector = old.connector AND state = old.state;
END;

-- Members of a group who left it, or whose entry at a connector came, went or moved, since the group
-- settled: where their entry was then.
CREATE TABLE member_mark (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    connector INTEGER NOT NULL,
    group_id  INTEGER NOT NULL,
    member_id INTEGER NOT NULL,
    target_id TEXT,                    -- of the entry as it was, where there was one
    address   TEXT
);
CREATE INDEX member_mark_group ON member_mark (connector, group_id, id);

CREATE TABLE link (
    connector INTEGER NOT NULL,
    resource  INTEGER NOT NULL,
    target_id TEXT NOT NULL,
    address   TEXT NOT NULL,
    hash      TEXT,
    seq       INTEGER NOT NULL,
    stage     INTEGER NOT NULL,        -- 0 active 1 deactivated 2 removed 3 gone
    since     INTEGER NOT NULL,
    PRIMARY KEY (connector, resource)
) WITHOUT ROWID;
-- Two living links never own one entry; one that is gone owns nothing.
CREATE UNIQUE INDEX link_target ON link (connector, target_id) WHERE stage <> 3;
CREATE INDEX link_address ON link (connector, address);
CREATE TRIGGER link_added AFTER INSERT ON link WHEN new.stage <> 3 BEGIN
    UPDATE connector SET links = links + 1 WHERE id = new.connector;
END;
CREATE TRIGGER link_moved AFTER UPDATE OF stage ON link
WHEN (old.stage = 3) <> (new.stage = 3) BEGIN
    UPDATE connector SET links = links + iif(new.stage = 3, -1, 1) WHERE id = new.connector;
END;
CREATE TRIGGER link_left AFTER DELETE ON link WHEN old.stage <> 3 BEGIN
    UPDATE connector SET links = links - 1 WHERE id = old.connector;
END;

-- What was sent, once ever. The key is an HMAC, so that it outlives the person's erasure.
CREATE TABLE mail (
    key       BLOB PRIMARY KEY,
    state     INTEGER NOT NULL,        -- 0 sending 1 sent
    at        INTEGER NOT NULL,
    -- Whose row of the queue it is sent for, while it is being sent.
    connector INTEGER,
    resource  INTEGER
) WITHOUT ROWID;

CREATE INDEX mail_open ON mail (connector, resource) WHERE state = 0;

-- "Mark everyone here", walked in chunks.
CREATE TABLE fanout (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    connector    INTEGER NOT NULL,
    organization INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    cursor       INTEGER NOT NULL,
    last         INTEGER NOT NULL      -- resources made later are marked by their own write
);

CREATE TABLE run (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    connector INTEGER NOT NULL,
    started   INTEGER NOT NULL,
    ended     INTEGER NOT NULL,
    dry       INTEGER NOT NULL,
    error     TEXT,                    -- NULL: it came to its end
    seen      INTEGER NOT NULL,
    drifted   INTEGER NOT NULL
);
CREATE INDEX run_connector ON run (connector, id);
CREATE TABLE drift (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    run      INTEGER NOT NULL,
    kind     TEXT NOT NULL,            -- missing changed orphaned duplicate
    resource INTEGER,
    address  TEXT NOT NULL,
    detail   TEXT NOT NULL             -- JSON
);
CREATE INDEX drift_run ON drift (run);

CREATE TABLE token (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    organization INTEGER NOT NULL,
    lookup       TEXT NOT NULL UNIQUE,
    hash         BLOB NOT NULL,        -- SHA-256 of the whole token
    name         TEXT NOT NULL,
    read_only    INTEGER NOT NULL,
    created      INTEGER NOT NULL,
    expires      INTEGER,
    last_used    INTEGER,
    revoked      INTEGER
);
CREATE INDEX token_organization ON token (organization, id);

CREATE TABLE audit (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    at           INTEGER NOT NULL,
    actor        TEXT NOT NULL,
    action       TEXT NOT NULL,
    organization TEXT,
    subject      TEXT NOT NULL,
    detail       TEXT
);
CREATE INDEX audit_at ON audit (at);
