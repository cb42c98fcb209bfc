-- One row is one session, or for a minute the tombstone of a session that has ended. Times are seconds since 1970, by
-- the application's clock. Texts are bytes in UTF-8, so that no collation takes one owner for another.
CREATE TABLE IF NOT EXISTS session_records (
    row_id      BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, -- stays when a session gets another key
    `key`       VARBINARY(32)   NOT NULL, -- SHA-256 of the secret in the browser's cookie
    id          VARBINARY(32)   NOT NULL, -- the session's public id, 16 bytes
    format      SMALLINT        NOT NULL, -- 1: the meaning of the other columns
    data        LONGBLOB        NOT NULL, -- the values, as the text of one JSON object
    version     BIGINT          NOT NULL, -- grows by one with every change
    created_at  BIGINT          NOT NULL,
    seen_at     BIGINT          NOT NULL,
    expires_at  BIGINT          NOT NULL, -- the last second of the session, or of a tombstone
    application LONGBLOB,                 -- the application that the session belongs to; NULL: any
    owner       LONGBLOB,                 -- the user that the session belongs to
    label       LONGBLOB,                 -- what the owner sees in a list, such as a browser
    ended       SMALLINT,                 -- NULL: a session. A tombstone: 1 deleted, 2 renewed, 3 rotated
    successor   VARBINARY(64),            -- after a rotation: the id and the key of the session now
    has_ended   BOOLEAN AS (ended IS NOT NULL) STORED,
    UNIQUE INDEX session_records_key (`key`),
    UNIQUE INDEX session_records_id (id),
    INDEX session_records_owner (owner(255)),
    INDEX session_records_expires_at (has_ended, expires_at)
) ENGINE = InnoDB;

INSERT INTO session_records (`key`, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'0E6618E9B04F41BFE13D01B2FD0BE56A559535E698F217D86CDCFFCD7962926D', X'6665D7FAD8855DB3799053E2D33F8653', 1, '{}', 2, 1893456000, 1893456000, 1893456060, 'golden', NULL, NULL, 1, NULL);
INSERT INTO session_records (`key`, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'1C7030577A5CED98EB4AEDF2F6389A8FC6CB204B3FEB78D7F69817F82F737478', X'2C8464E8C224E2959F5D8C6C59652BF5', 1, '{"cart":[{"item":"tea","price":0.1},18446744073709551615,[true,"\\"\\\\\\n"]],"name":"Ada Löwe ☕","visits":3}', 1, 1893456000, 1893456000, 1893542400, 'golden', NULL, NULL, NULL, NULL);
INSERT INTO session_records (`key`, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'44301BCEE465AAA9E21884F82D808D323CBD5231601866EA44C0D157C1DE1578', X'EA19893AA03368DB2CB2267D5DC85785', 1, '{"cart":[{"item":"tea","price":0.1},18446744073709551615,[true,"\\"\\\\\\n"]],"name":"Ada Löwe ☕","visits":3}', 2, 1893456000, 1893456000, 1893542400, 'golden', NULL, NULL, NULL, NULL);
INSERT INTO session_records (`key`, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'554B61ED0B3207A52351C1E5E28BE4BC8B5948B7F90B4A9855385E67A93D3808', X'EA19F570EDED107FF41211C1F15C5475', 1, '{}', 0, 1893456000, 1893456000, 1893456060, NULL, NULL, NULL, 3, X'EA19893AA03368DB2CB2267D5DC8578544301BCEE465AAA9E21884F82D808D323CBD5231601866EA44C0D157C1DE1578');
INSERT INTO session_records (`key`, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'92F5248A1EF4999FD08CEBC3D7CC9C96BF892AE3E0FC3D3753967617122C0ECA', X'5045C7938D80FC5D9B9B374428655669', 1, '{"user":"eve"}', 1, 1893456000, 1893456000, 1893542400, 'golden', NULL, NULL, NULL, NULL);
INSERT INTO session_records (`key`, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'97472D6EF54479313732EC7C5741C1B457052392CA4CC47B06D75C7C7B9C5887', X'17F71BF240D0772CAD0C52D6A92AB271', 1, '{"$":{"confirmed":1893456000,"idle":7200,"until":1895184000},"user":"ada"}', 1, 1893456000, 1893456000, 1893463200, 'golden', 'ada', 'Firefox on Linux', NULL, NULL);
INSERT INTO session_records (`key`, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (X'B10280AC5E2A4B9B9B5AED9FE6C1784CB0F4A952198FC9A02B234EE0BD2CF37A', X'87EB541252AA8EC18CC08240B099F586', 1, '{}', 2, 1893456000, 1893456000, 1893456060, 'golden', NULL, NULL, 1, NULL);
