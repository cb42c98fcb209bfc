-- One row is one session. Times are seconds since 1970, as the application counts them.
CREATE TABLE IF NOT EXISTS session_records (
    key        bytea    NOT NULL PRIMARY KEY, -- SHA-256 of the secret in the visitor's cookie
    id         bytea    NOT NULL,             -- the session's public id, 16 bytes
    format     smallint NOT NULL,             -- 1: how the other columns are to be read
    data       text     NOT NULL,             -- the values: a JSON object, as it was written
    version    bigint   NOT NULL,             -- one more with every change
    created_at bigint   NOT NULL,
    seen_at    bigint   NOT NULL,
    expires_at bigint   NOT NULL,             -- the session's last second
    owner      text,                          -- whose session it is
    label      text                           -- what its owner is shown of it
);

CREATE UNIQUE INDEX IF NOT EXISTS session_records_id ON session_records (id);
CREATE INDEX IF NOT EXISTS session_records_expires_at ON session_records (expires_at);
CREATE INDEX IF NOT EXISTS session_records_owner ON session_records (owner) WHERE owner IS NOT NULL;
