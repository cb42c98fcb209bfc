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

INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'6C3C0DFE1AD1282597D0256FDBDA81345E152710518AD5E512030374D8495575', X'EA376F11DCED219D36F77672066AC6AA', 1, '{"$":{"id":true}}', 1, 1893456000, 1893456000, 1928016060, 'golden', NULL, NULL, NULL, NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'7A3C1E534A9D3F91C338A8AFC7DB925A016182101480EC9B5C10248759BA4912', X'8DFDD36B74F795BD81F875C448D7C805', 1, '{"end":"jf0011p2xCq5wSv-YQBuOA"}', 1, 1893456000, 1893456000, 1928016060, 'golden', NULL, NULL, NULL, NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'D13D9068381857A3BC8D13F2755DFB0A103C0BAD3442910DB56E8EC2F77F707D', X'1247EF705D4DF67EB7D297FD711B79A2', 1, '{"$":{"id":true}}', 1, 1893456000, 1893456000, 1928016060, 'golden', NULL, NULL, NULL, NULL);
