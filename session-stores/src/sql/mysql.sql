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
