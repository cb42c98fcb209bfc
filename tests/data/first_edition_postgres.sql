-- One row is one session. Times are seconds since 1970, by the application's clock.
CREATE TABLE IF NOT EXISTS session_records (
    key        bytea    NOT NULL PRIMARY KEY, -- SHA-256 of the secret in the browser's cookie
    id         bytea    NOT NULL,             -- the session's public id, 16 bytes
    format     smallint NOT NULL,             -- 1: the meaning of the other columns
    data       text     NOT NULL,             -- the values, as the text of one JSON object
    version    bigint   NOT NULL,             -- grows by one with every change
    created_at bigint   NOT NULL,
    seen_at    bigint   NOT NULL,
    expires_at bigint   NOT NULL,             -- the last second of the session
    owner      text,                          -- the user that the session belongs to
    label      text                           -- what the owner sees in a list, such as a browser
);

CREATE UNIQUE INDEX IF NOT EXISTS session_records_id ON session_records (id);
CREATE INDEX IF NOT EXISTS session_records_expires_at ON session_records (expires_at);
CREATE INDEX IF NOT EXISTS session_records_owner ON session_records (owner) WHERE owner IS NOT NULL;
