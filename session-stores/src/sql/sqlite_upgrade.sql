-- From the table without applications and tombstones.
ALTER TABLE session_records ADD COLUMN application TEXT;
ALTER TABLE session_records ADD COLUMN ended INTEGER;
ALTER TABLE session_records ADD COLUMN successor BLOB;
DROP INDEX IF EXISTS session_records_owner;
