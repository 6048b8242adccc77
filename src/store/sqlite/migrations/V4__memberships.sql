-- The name that people know a resource by, beside the JSON it is taken from: who lists a hundred
-- thousand members does not read a hundred thousand documents for it.
ALTER TABLE resource ADD COLUMN label TEXT;
UPDATE resource SET label = coalesce(body ->> '$.displayName', body ->> '$.userName');
