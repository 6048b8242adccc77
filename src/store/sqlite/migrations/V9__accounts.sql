-- Who may come in to the console, who has, and from where what was done was done.

CREATE TABLE account (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    email            TEXT NOT NULL,        -- as it was written
    folded           TEXT NOT NULL UNIQUE, -- as it is found
    name             TEXT NOT NULL,        -- empty: none was given
    role             TEXT NOT NULL,        -- administrator owner helpdesk
    everywhere       INTEGER NOT NULL,     -- 0: in account_organization's alone
    password         TEXT,                 -- Argon2id (PHC); NULL: none is set
    totp             BLOB,                 -- a second factor's secret, sealed
    totp_step        INTEGER,              -- the last one that was used
    locale           TEXT,                 -- chosen; NULL: the browser's
    zone             TEXT,
    created          INTEGER NOT NULL,
    disabled         INTEGER,
    password_changed INTEGER,
    last_sign_in     INTEGER
);
CREATE TABLE account_organization (
    account      INTEGER NOT NULL,
    organization INTEGER NOT NULL,
    PRIMARY KEY (account, organization)
) WITHOUT ROWID;

CREATE TABLE session (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    hash    BLOB NOT NULL UNIQUE,          -- SHA-256 of what the cookie holds
    account INTEGER NOT NULL,
    created INTEGER NOT NULL,
    seen    INTEGER NOT NULL,              -- to a minute or so
    ends    INTEGER NOT NULL,
    address TEXT NOT NULL,
    agent   TEXT NOT NULL                  -- of the browser; empty: it says none
);
CREATE INDEX session_account ON session (account, id);

-- A link that works once.
CREATE TABLE invitation (
    hash    BLOB PRIMARY KEY,              -- SHA-256 of what the link holds
    purpose TEXT NOT NULL,                 -- first password sign_in
    account INTEGER,                       -- NULL: to be made, the first administrator's
    ends    INTEGER NOT NULL
) WITHOUT ROWID;

-- From where: an address, for what a person did in the console.
ALTER TABLE audit ADD COLUMN origin TEXT;
