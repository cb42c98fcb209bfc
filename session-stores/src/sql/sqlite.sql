-- One row is one session. Times are seconds since 1970, as the application counts them.
CREATE TABLE IF NOT EXISTS session_records (
    key        BLOB    NOT NULL PRIMARY KEY, -- SHA-256 of the secret in the visitor's cookie
    id         BLOB    NOT NULL,             -- the session's public id, 16 bytes
    format     INTEGER NOT NULL,             -- 1: how the other columns are to be read
    data       TEXT    NOT NULL,             -- the values: a JSON object, as it was written
    version    INTEGER NOT NULL,             -- one more with every change
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,             -- the session's last second
    owner      TEXT,                         -- whose session it is
    label      TEXT                          -- what its owner is shown of it
) STRICT;

CREATE UNIQUE INDEX IF NOT EXISTS session_records_id ON session_records (id);
CREATE INDEX IF NOT EXISTS session_records_expires_at ON session_records (expires_at);
CREATE INDEX IF NOT EXISTS session_records_owner ON session_records (owner) WHERE owner IS NOT NULL;
