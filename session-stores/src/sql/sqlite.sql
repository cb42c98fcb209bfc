-- One row is one session, or for a minute the tombstone of a session that has ended. Times are seconds since 1970, by
-- the application's clock.
CREATE TABLE IF NOT EXISTS session_records (
    key         BLOB    NOT NULL PRIMARY KEY, -- SHA-256 of the secret in the browser's cookie
    id          BLOB    NOT NULL,             -- the session's public id, 16 bytes
    format      INTEGER NOT NULL,             -- 1: the meaning of the other columns
    data        TEXT    NOT NULL,             -- the values, as the text of one JSON object
    version     INTEGER NOT NULL,             -- grows by one with every change
    created_at  INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,             -- the last second of the session, or of a tombstone
    application TEXT,                         -- the application that the session belongs to; NULL: any
    owner       TEXT,                         -- the user that the session belongs to
    label       TEXT,                         -- what the owner sees in a list, such as a browser
    ended       INTEGER,                      -- NULL: a session. A tombstone: 1 deleted, 2 renewed, 3 rotated
    successor   BLOB                          -- after a rotation: the id and the key of the session now
) STRICT;

CREATE UNIQUE INDEX IF NOT EXISTS session_records_id ON session_records (id);
CREATE INDEX IF NOT EXISTS session_records_expires_at ON session_records (expires_at);
CREATE INDEX IF NOT EXISTS session_records_owner ON session_records (owner, seen_at) WHERE owner IS NOT NULL;
CREATE INDEX IF NOT EXISTS session_records_ended ON session_records (expires_at) WHERE ended IS NOT NULL;
