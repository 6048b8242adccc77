-- Who made a token, and in whose place: whoever rotates one sees which is on its way out.
ALTER TABLE token ADD COLUMN made_by TEXT;       -- NULL: before this was kept
ALTER TABLE token ADD COLUMN replaces INTEGER;
