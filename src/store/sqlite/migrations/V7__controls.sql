-- What a person is told and may do.

ALTER TABLE link ADD COLUMN applied_at INTEGER;      -- when it was settled last; NULL: before this was kept
ALTER TABLE connector ADD COLUMN paused_why TEXT;
-- On a person's word: a piece of what it left goes at a time, and the row itself at the end.
ALTER TABLE connector ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;

-- What lies ahead may be a million rows, and is listed without looking at what does not.
CREATE INDEX queue_scheduled ON queue (connector, due) WHERE state = 2;
