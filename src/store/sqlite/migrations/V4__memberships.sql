-- The displayName, beside the JSON it is taken from: who lists a hundred thousand members does not
-- read a hundred thousand documents for it. A userName is no name to display: it identifies.
ALTER TABLE resource ADD COLUMN label TEXT;
UPDATE resource SET label = body ->> '$.displayName';
