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
    VALUES (X'0A4F8F10722FC24E764E6B77DA631BDA9ED00BFEA322669DF8D9850EACC7786A', X'EF7922B1E53C6DAE7C7EF352C7FB6D4C', 1, '{}', 2, 1893456000, 1893456000, 1893456060, 'golden', NULL, NULL, 1, NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'1FA4EB5D4C42115AF1B8CC906E075FB03FC70402A9A9B81CD17966831893204C', X'9AEBFF743B5322139CEF25E668EA43D9', 1, '{"cart":[{"item":"tea","price":0.1},18446744073709551615,[true,"\"\\\n"]],"name":"Ada Löwe ☕","visits":3}', 1, 1893456000, 1893456000, 1893542400, 'golden', NULL, NULL, NULL, NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'22AA4B9A2A1D939D682349EB4322FF108D89E45AC302D3887CC40C615BA3AC76', X'E201EEE415A4D3D560837DA88182008D', 1, '{"$":{"confirmed":1893456000,"idle":7200,"until":1895184000},"user":"ada"}', 1, 1893456000, 1893456000, 1893463200, 'golden', 'ada', 'Firefox on Linux', NULL, NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'31E534E53346D3ACD3C500575F08F67C53EDAAF24966B42C7BEFA4BCD9FC06FA', X'0C180739F65BA20287940F806BB369B1', 1, '{"user":"eve"}', 1, 1893456000, 1893456000, 1893542400, 'golden', NULL, NULL, NULL, NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'4955A6D53CE973371E0FFAB61E3662DA883555787A2C1CB57786F42BFC5E61C3', X'13EE7B3176B4FA96756A69DACE79E0BC', 1, '{}', 2, 1893456000, 1893456000, 1893456060, 'golden', NULL, NULL, 1, NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'4AF05E83A55C132F5107B585423C14A11F0C45C5A981E4029D4FC5E914BF1E12', X'1F2842A075A32654F6D26962F3DDA45B', 1, '{}', 0, 1893456000, 1893456000, 1893456060, NULL, NULL, NULL, 3, X'1F28745B4926FB0857FA175A4DBA59DAA88F9B89A0D4AE5DC1AFE33E860EEAF54DE71FC82D8FC64AF27CC2B0033B6C45');
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'A88F9B89A0D4AE5DC1AFE33E860EEAF54DE71FC82D8FC64AF27CC2B0033B6C45', X'1F28745B4926FB0857FA175A4DBA59DA', 1, '{"cart":[{"item":"tea","price":0.1},18446744073709551615,[true,"\"\\\n"]],"name":"Ada Löwe ☕","visits":3}', 2, 1893456000, 1893456000, 1893542400, 'golden', NULL, NULL, NULL, NULL);
