-- The last month in quarters of an hour since 1970, for charts. What is done is added up; of the
-- rest the worst is kept. Organization 0 is all of them together.
CREATE TABLE history (
    organization INTEGER NOT NULL,
    quarter      INTEGER NOT NULL,
    changes      INTEGER NOT NULL,
    answered     INTEGER NOT NULL,     -- requests; with what they asked for
    refused      INTEGER NOT NULL,
    delivered    INTEGER NOT NULL,
    failed       INTEGER NOT NULL,     -- attempts
    backlog      INTEGER NOT NULL,     -- in the queue
    PRIMARY KEY (organization, quarter)
) WITHOUT ROWID;
CREATE TABLE connector_history (
    connector    INTEGER NOT NULL,
    quarter      INTEGER NOT NULL,
    delivered    INTEGER NOT NULL,
    failed       INTEGER NOT NULL,
    backlog      INTEGER NOT NULL,
    lag          INTEGER NOT NULL,     -- seconds that the oldest entry had waited
    health       INTEGER NOT NULL,     -- 0 well, 1 a person stopped it, 2 trouble
    PRIMARY KEY (connector, quarter)
) WITHOUT ROWID;
