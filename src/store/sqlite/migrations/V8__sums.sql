-- The CRC-32 of a body as it was written, so that a letter that changed on the disk is served to
-- nobody. NULL: it was written before there were sums.
ALTER TABLE resource ADD COLUMN sum INTEGER;
ALTER TABLE change ADD COLUMN sum INTEGER;
