-- The words that people and groups are found by, folded (`store::search`). It follows the log in the
-- background, so that no write waits for it; `secure-delete` takes what is forgotten off the disk at
-- once. Words that begin with `=` are none of a name: they say whose and of what kind a resource is.
CREATE VIRTUAL TABLE search USING fts5 (
    words, columnsize = 0, detail = none, prefix = '1 2 3', tokenize = "ascii tokenchars '='"
);
INSERT INTO search (search, rank) VALUES ('secure-delete', 1);
-- The newest change that was followed and how much of the next; up to where those were looked at who
-- were there before.
INSERT INTO setting (name, value)
    VALUES ('search seq', (SELECT coalesce(max(seq), 0) FROM change)), ('search skip', 0), ('search walk', 0);

-- Who came into a group and who left it, by member: the log has it by group. It follows the log, too.
CREATE TABLE moved (
    id       INTEGER PRIMARY KEY,
    member   INTEGER NOT NULL,
    group_id INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    departed INTEGER NOT NULL
);
CREATE INDEX moved_member ON moved (member, id);
