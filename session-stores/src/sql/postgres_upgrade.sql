-- From the table without applications and tombstones.
ALTER TABLE session_records
    ADD COLUMN IF NOT EXISTS application text,
    ADD COLUMN IF NOT EXISTS ended smallint,
    ADD COLUMN IF NOT EXISTS successor bytea;
DROP INDEX IF EXISTS session_records_owner;
