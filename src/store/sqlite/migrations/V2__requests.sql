-- A provider's last requests and our answers: redacted, and a ring for each organization. Written
-- beside the requests, so that a few may be missing; nothing else is built on them.
CREATE TABLE request (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    organization  INTEGER NOT NULL,
    at            INTEGER NOT NULL,    -- when it arrived
    took          INTEGER NOT NULL,    -- microseconds to the answer's head
    method        TEXT NOT NULL,
    path          TEXT NOT NULL,       -- below the organization's base address, with the query
    status        INTEGER NOT NULL,
    token         INTEGER NOT NULL,
    user_agent    TEXT,
    peer          TEXT,
    kind          INTEGER,             -- of the one resource it was about, where that is known
    subject       BLOB,                -- its public id; a bulk is about many and has none
    quirks        TEXT NOT NULL,       -- JSON array of words
    scim_type     TEXT,
    detail        TEXT,                -- why it was refused
    body          TEXT,                -- JSON; NULL: none, or none that could be read
    body_length   INTEGER NOT NULL,    -- of what was sent
    body_cut      INTEGER NOT NULL,    -- 1: only the beginning is kept
    answer        TEXT,
    answer_length INTEGER NOT NULL,
    answer_cut    INTEGER NOT NULL
);
CREATE INDEX request_organization ON request (organization, id);
CREATE INDEX request_at ON request (at);
