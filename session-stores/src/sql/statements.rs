//! All SQL statements. SQLite and Postgres both write placeholders as `$1`.
//!
//! A statement that changes a record skips rows of another format, so that no version destroys what it cannot read.

/// Reads a record. `$1` key, `$2` now.
macro_rules! read {
    ($lock:literal) => {
        concat!(
            "SELECT id, format, data, version, created_at, seen_at, expires_at, owner, label FROM session_records ",
            "WHERE key = $1 AND expires_at >= $2",
            $lock
        )
    };
}

/// Deletes expired records. `$1` now, `$2` the largest number of records.
macro_rules! delete_expired {
    ($lock:literal) => {
        concat!(
            "DELETE FROM session_records WHERE expires_at < $1 AND key IN ",
            "(SELECT key FROM session_records WHERE expires_at < $1 LIMIT $2",
            $lock,
            ")"
        )
    };
}

pub(super) use delete_expired;
#[cfg(feature = "postgres")]
pub(super) use read;

pub(super) const READ: &str = read!("");

/// Creates a record, or replaces one that has expired. `$1` key, `$2` id, `$3` data, `$4` created at, `$5` seen at,
/// `$6` expires at, `$7` owner, `$8` label.
pub(super) const CREATE: &str = "\
    INSERT INTO session_records \
    (key, id, format, data, version, created_at, seen_at, expires_at, owner, label) \
    VALUES ($1, $2, 1, $3, 1, $4, $5, $6, $7, $8) \
    ON CONFLICT (key) DO UPDATE SET id = excluded.id, data = excluded.data, version = 1, \
    created_at = excluded.created_at, seen_at = excluded.seen_at, expires_at = excluded.expires_at, \
    owner = excluded.owner, label = excluded.label \
    WHERE session_records.expires_at < excluded.seen_at AND session_records.format = 1";

/// Updates a record that still has this version. `$1` key, `$2` version, `$3` now, `$4` data, `$5` expires at, `$6`
/// owner, `$7` label.
pub(super) const UPDATE: &str = "\
    UPDATE session_records SET data = $4, version = version + 1, \
    seen_at = CASE WHEN seen_at < $3 THEN $3 ELSE seen_at END, expires_at = $5, owner = $6, label = $7 \
    WHERE key = $1 AND version = $2 AND expires_at >= $3 AND format = 1";

/// Updates a record as [`UPDATE`] does, and moves it to another key. `$8` the new key, `$9` its id, `$10` created at.
pub(super) const RENAME: &str = "\
    UPDATE session_records SET data = $4, version = version + 1, \
    seen_at = CASE WHEN seen_at < $3 THEN $3 ELSE seen_at END, expires_at = $5, owner = $6, label = $7, \
    key = $8, id = $9, created_at = $10 \
    WHERE key = $1 AND version = $2 AND expires_at >= $3 AND format = 1";

/// Removes a record that still has this version. `$1` key, `$2` version, `$3` now.
pub(super) const REMOVE: &str =
    "DELETE FROM session_records WHERE key = $1 AND version = $2 AND expires_at >= $3 AND format = 1";

/// Records a visit. `$1` key, `$2` now, `$3` expires at.
pub(super) const TOUCH: &str = "\
    UPDATE session_records SET seen_at = CASE WHEN seen_at < $2 THEN $2 ELSE seen_at END, \
    expires_at = CASE WHEN expires_at < $3 THEN $3 ELSE expires_at END \
    WHERE key = $1 AND expires_at >= $2 AND format = 1";

/// Deletes a record. `$1` key.
pub(super) const DELETE: &str = "DELETE FROM session_records WHERE key = $1";

/// Reads the live sessions of an owner. `$1` owner, `$2` now.
pub(super) const LIST: &str = "\
    SELECT id, created_at, seen_at, label FROM session_records WHERE owner = $1 AND expires_at >= $2 \
    ORDER BY seen_at DESC, created_at DESC";

/// Deletes a session by its public id. `$1` id.
pub(super) const DELETE_BY_ID: &str = "DELETE FROM session_records WHERE id = $1";

/// Deletes all sessions of an owner. `$1` owner.
pub(super) const DELETE_BY_OWNER: &str = "DELETE FROM session_records WHERE owner = $1";
