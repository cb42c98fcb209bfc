-- One row is one session, or for a minute the tombstone of a session that has ended. Times are seconds since 1970, by
-- the application's clock.
CREATE TABLE IF NOT EXISTS session_records (
    key         bytea    NOT NULL PRIMARY KEY, -- SHA-256 of the secret in the browser's cookie
    id          bytea    NOT NULL,             -- the session's public id, 16 bytes
    format      smallint NOT NULL,             -- 1: the meaning of the other columns
    data        text     NOT NULL,             -- the values, as the text of one JSON object
    version     bigint   NOT NULL,             -- grows by one with every change
    created_at  bigint   NOT NULL,
    seen_at     bigint   NOT NULL,
    expires_at  bigint   NOT NULL,             -- the last second of the session, or of a tombstone
    application text,                          -- the application that the session belongs to; NULL: any
    owner       text,                          -- the user that the session belongs to
    label       text,                          -- what the owner sees in a list, such as a browser
    ended       smallint,                      -- NULL: a session. A tombstone: 1 deleted, 2 renewed, 3 rotated
    successor   bytea                          -- after a rotation: the id and the key of the session now
);

CREATE UNIQUE INDEX IF NOT EXISTS session_records_id ON session_records (id);
CREATE INDEX IF NOT EXISTS session_records_expires_at ON session_records (expires_at);
CREATE INDEX IF NOT EXISTS session_records_owner ON session_records (owner, seen_at) WHERE owner IS NOT NULL;
CREATE INDEX IF NOT EXISTS session_records_ended ON session_records (expires_at) WHERE ended IS NOT NULL;

INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (E'\\x0a91774d29439ca3c5d2ca519252ed481909a2a5964aa1319ac74cca46ec44b4', E'\\x1b44b5953379dc11a61c9bdec236a23e', '1', '{"$":{"confirmed":1893456000,"idle":7200,"until":1895184000},"user":"ada"}', '1', '1893456000', '1893456000', '1893463200', 'golden', 'ada', 'Firefox on Linux', NULL, NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (E'\\x14765f7c821aacd7b167b251026a8d13a0b4722cf97f93e02baa8320b6271cfa', E'\\x119b5c401622d98b3349821ce3f55956', '1', E'{"cart":[{"item":"tea","price":0.1},18446744073709551615,[true,"\\"\\\\\\n"]],"name":"Ada Löwe ☕","visits":3}', '1', '1893456000', '1893456000', '1893542400', 'golden', NULL, NULL, NULL, NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (E'\\x19c328a344ca45ac51734aa7fee38739677e17c6b466375e4beb83152578b244', E'\\x0ca5b63b1cf957ff82a3dd36e3cb0d08', '1', '{}', '2', '1893456000', '1893456000', '1893456060', 'golden', NULL, NULL, '1', NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (E'\\x861660d3f374ac1594b86c320aacb298c9d7dd0675ca51b3a538ce310ccf0daa', E'\\x9d7cab8b3c8384f510d671c63a59a119', '1', '{}', '2', '1893456000', '1893456000', '1893456060', 'golden', NULL, NULL, '1', NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (E'\\x9e7cb5be1a5bb95bdd0b7d4438c2d20ad9a363126cc6039cd4e97b8e49060d21', E'\\x9de978eb9006fcfd3485a1f527c1eb6e', '1', E'{"cart":[{"item":"tea","price":0.1},18446744073709551615,[true,"\\"\\\\\\n"]],"name":"Ada Löwe ☕","visits":3}', '2', '1893456000', '1893456000', '1893542400', 'golden', NULL, NULL, NULL, NULL);
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (E'\\xa76be8de08ba2e7d764306da37e9192874e2b8afd975749944cfc0adcd393ebc', E'\\x9de96600044733dbfd6598ced4377e13', '1', '{}', '0', '1893456000', '1893456000', '1893456060', NULL, NULL, NULL, '3', E'\\x9de978eb9006fcfd3485a1f527c1eb6e9e7cb5be1a5bb95bdd0b7d4438c2d20ad9a363126cc6039cd4e97b8e49060d21');
INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor)
    VALUES (E'\\xae2c92d8b3ce3674296864550fb08b344fc44975474eb4e4d929d7147f4e1b36', E'\\xa8c553aa7ecef4a2a8e05658ebc37aa5', '1', '{"user":"eve"}', '1', '1893456000', '1893456000', '1893542400', 'golden', NULL, NULL, NULL, NULL);
