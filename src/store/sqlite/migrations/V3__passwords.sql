-- Passwords on their way to the connectors that ask for them.

ALTER TABLE connector ADD COLUMN passwords INTEGER NOT NULL DEFAULT 0; -- a mapping reads them

-- Sealed outside of the store, with a key that it never sees.
CREATE TABLE password (
    resource INTEGER PRIMARY KEY,
    seq      INTEGER NOT NULL,         -- the change that brought it
    key      BLOB NOT NULL,            -- which key it was sealed with
    sealed   BLOB NOT NULL
);
-- Who has not got it yet.
CREATE TABLE password_due (
    resource     INTEGER NOT NULL,
    connector    INTEGER NOT NULL,
    organization INTEGER NOT NULL,
    PRIMARY KEY (resource, connector)
) WITHOUT ROWID;
-- It is kept for as long as somebody waits for it.
CREATE TRIGGER password_due_left AFTER DELETE ON password_due
WHEN NOT EXISTS (SELECT 1 FROM password_due WHERE resource = old.resource) BEGIN
    DELETE FROM password WHERE resource = old.resource;
END;
