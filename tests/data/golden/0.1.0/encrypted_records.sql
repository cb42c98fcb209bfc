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
    VALUES (X'09CFC63B04F29C4FC2E90D20DB9C67F9B69A100DDD1FB14158A292DADE77CA6B', X'2E1DE4F9C503CBCCB81797E3FDA7D2F0', 1, '{}', 2, 1893456000, 1893456000, 1893456060, 'golden', NULL, NULL, 1, NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'37BE653F481752C98AEBF5EFE7103158E52D399281A0809DD4EA4AB40D1D7F70', X'212DC97A08B3F8D518A8BFB1E0C5BFAB', 1, '{}', 0, 1893456000, 1893456000, 1893456060, NULL, NULL, NULL, 3, X'212DC6BB5C206A21D24119086D8102D3CE8F02BF9E5EB6E3AEC45E9466FA74AFBB8E30AC8A103D529A8D850969072F9B');
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'7C426951103F788B2D12BCA5EC0D8F951DFBAC8B7254BD69BA631D3EEB6971C4', X'81275A2C62B6A01E587874A387C7F48F', 1, '{"$":{"seal":"1M_t83Vq5fLA8Ec8KqpuVw"},"cart":"2.Kj7I.EFyFOmC8zakv3jNvjUkYRwdTz6DWVQLsO-qscXxbNJBSjpt87BKaVm_FLyrtyyoWAH2s3zU8_vKGboLtmlOFPCC1882YMujB0WbIiQPtPhe5_-PZQzBcbm4s__F8EJbedZcnSYyV5n_D","name":"2.Kj7I.Y7obFcnE0hbVphpEflg57ah7DtHHM13hRHUxhEIG4zIecCc2-K1a8lmqFVclztUd2A1_KSjKng","visits":"2.Kj7I.FDovukS8BllcSPwiUDvcjJAOuK5lrnA-pL0KsFq9fpBZC9lzD_w8ze0"}', 1, 1893456000, 1893456000, 1893542400, 'golden', NULL, NULL, NULL, NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'7C52AD884F3614911876D058A131EEDA9D3BDB791302BAB4334E89EB270EFCEE', X'07D3E6BE9CE259CEB9A6848B7E725DFC', 1, '{"$":{"seal":"csM4hHKLwShMF6o524pbGQ"},"user":"2.Kj7I.k59hqudmUvZRo6aIVOWxleAanV1cMjvcVLqSPojUu0b6OlKbVatu-_h82O2d"}', 1, 1893456000, 1893456000, 1893542400, 'golden', NULL, NULL, NULL, NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'C5B213FC7D08D6664438046A200D1C2E5860F414A2D9DFB399469A186388C59D', X'75CF4C4CE1CAB85020D219D5F5E66361', 1, '{"$":{"confirmed":1893456000,"idle":7200,"seal":"LYeUdyKrFvcVTjkOoihJsQ","until":1895184000},"user":"2.Kj7I.xPZur3VB2o2kowZxE3bNXiw0cd_tE1izSJ2X6MAlXKBK6kInAwbXPXAO3Nma"}', 1, 1893456000, 1893456000, 1893463200, 'golden', 'ada', 'Firefox on Linux', NULL, NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'CE8F02BF9E5EB6E3AEC45E9466FA74AFBB8E30AC8A103D529A8D850969072F9B', X'212DC6BB5C206A21D24119086D8102D3', 1, '{"$":{"seal":"mhxhPhEuVCYPlX1KiMOhzw"},"cart":"2.Kj7I.xJQlA-ClGECKe7xtNiPEcbJZ7zmsJPYWtaoUS91tVcwBpUUT1B-TAlSO9DkTTX_dueNY_JaSL5yjw7rA3FYh2Z4YCE1hqjsfKK2TRzhQGUmjavaZhpDJvRHr7HVKdmNS_yVPba02geF1","name":"2.Kj7I.ig2dKllx2hygaNOjXjNZoqB_5W5Xb_GqMpBgBApzLVYt8giEsii9cYar5-c0I7cXeG226vU-8Q","visits":"2.Kj7I.tisbgxCeEjrepgMAku0worWlhbFjb5EyxA_No0ugbENUMdmyx8sQHf8"}', 2, 1893456000, 1893456000, 1893542400, 'golden', NULL, NULL, NULL, NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'FF945CD1F942D280AD28E1D0044221E3B344B2BBB4874A6FF65967BE4ABA86E1', X'4C292CD9BFB8FB864D69F66AEC39CB19', 1, '{}', 2, 1893456000, 1893456000, 1893456060, 'golden', NULL, NULL, 1, NULL);
