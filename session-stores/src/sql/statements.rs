//! All SQL statements, as SQLite and Postgres write them. [`translated`] writes them for MariaDB and MySQL.
//!
//! A row is a record, or the tombstone of a session that has ended: then `ended` says how, and `expires_at` is the last
//! second in which the end is known. A statement that changes a record skips rows of another format, so that no version
//! destroys what it cannot read.

use std::{iter::repeat_n, sync::OnceLock};

/// Returns a statement as MariaDB and MySQL write it, and the numbers of its values in the order of the placeholders:
/// a placeholder is `?` and has no number, and the column `key` has the name of a reserved word.
#[cfg(feature = "mysql")]
pub(super) fn translated(statement: &str) -> (String, Vec<usize>) {
    let is_in_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$');
    let (mut sql, mut numbers) = (String::with_capacity(statement.len() + 16), Vec::new());
    let mut rest = statement;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.find(|c| !is_in_word(c)).unwrap_or(rest.len()));
        let (between, next) = after.split_at(after.find(is_in_word).unwrap_or(after.len()));
        match word.strip_prefix('$').map(str::parse) {
            Some(Ok(number)) => {
                numbers.push(number);
                sql.push('?');
            }
            _ if word == "key" => sql.push_str("`key`"),
            _ => sql.push_str(word),
        }
        sql.push_str(between);
        rest = next;
    }
    (sql, numbers)
}

/// The columns of a record or a tombstone.
macro_rules! columns {
    () => {
        "key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label, ended, successor"
    };
}

/// Reads the row of a key. `$1` key.
macro_rules! read {
    ($lock:literal) => {
        concat!("SELECT ", columns!(), " FROM session_records WHERE key = $1", $lock)
    };
}

/// Deletes rows whose `expires_at` is before a second. `$1` the second, `$2` the largest number of rows.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
macro_rules! delete_before {
    ($which:literal, $lock:literal) => {
        concat!(
            "DELETE FROM session_records WHERE expires_at < $1 AND key IN ",
            "(SELECT key FROM session_records WHERE expires_at < $1",
            $which,
            " LIMIT $2",
            $lock,
            ")"
        )
    };
}

/// A row that is a live session. `$1` now.
macro_rules! live {
    () => {
        "ended IS NULL AND expires_at >= $1"
    };
}

/// A row of an application's live session. `$1` now, `$3` application.
macro_rules! of_application {
    () => {
        concat!("(application = $3 OR application IS NULL) AND ", live!())
    };
}

/// A row of an owner's live session. `$1` now, `$2` owner, `$3` application.
macro_rules! owned {
    () => {
        concat!("owner = $2 AND ", of_application!())
    };
}

/// A row of an owner's live session, except one. `$1` to `$3` as in `owned!`, `$5` the id of the spared session.
macro_rules! others {
    () => {
        concat!("id <> $5 AND ", owned!())
    };
}

/// Turns records into tombstones. MariaDB and MySQL may have to be told which index to use.
macro_rules! end {
    ($ended:literal, $known_until:literal, $condition:expr) => {
        end!($ended, $known_until, $condition, "")
    };
    ($ended:literal, $known_until:literal, $condition:expr, $index:literal) => {
        concat!(
            "UPDATE session_records",
            $index,
            " SET ended = ",
            $ended,
            ", data = '{}', owner = NULL, label = NULL, version = version + 1, expires_at = ",
            $known_until,
            " WHERE ",
            $condition
        )
    };
}

/// Turns records into tombstones, after all of them were locked in the order of their keys. So two such statements
/// cannot wait for each other, which Postgres would notice after a second. The condition is there twice, because a session
/// that was renamed during the wait for its lock has another key.
#[cfg(feature = "postgres")]
macro_rules! end_in_order {
    ($known_until:literal, $condition:expr) => {
        end!(
            "1",
            $known_until,
            concat!(
                $condition,
                " AND (SELECT count(*) FROM (SELECT 1 FROM session_records WHERE ",
                $condition,
                " ORDER BY key FOR UPDATE) AS locked) >= 0"
            )
        )
    };
}

/// What an update sets. `$1` key, `$2` version, `$3` now, `$4` data, `$5` expires at, `$6` whether this end replaces a
/// later one, `$7` application, `$8` owner, `$9` label.
macro_rules! set {
    () => {
        concat!(
            "UPDATE session_records SET data = $4, version = version + 1, ",
            "seen_at = CASE WHEN seen_at < $3 THEN $3 ELSE seen_at END, ",
            "expires_at = CASE WHEN $6 = 1 OR expires_at < $5 THEN $5 ELSE expires_at END, ",
            "application = $7, owner = $8, label = $9"
        )
    };
}

/// The record under a key, if it still has a version. `$1` key, `$2` version, `$3` now.
macro_rules! unchanged {
    () => {
        "key = $1 AND version = $2 AND expires_at >= $3 AND ended IS NULL AND format = 1"
    };
}

/// Moves a record to another key. `$10` the new key, `$11` its id, `$12` created at.
macro_rules! move_row {
    () => {
        concat!(set!(), ", key = $10, id = $11, created_at = $12 WHERE ", unchanged!())
    };
}

pub(super) const READ: &str = read!("");

/// Reads the row of a key, and locks it until the transaction ends.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(super) const READ_LOCKED: &str = read!(" FOR UPDATE");

/// Returns the statement that reads several rows. The number of its placeholders is the next power of two.
pub(super) fn look_up(keys: usize) -> &'static str {
    static STATEMENTS: [OnceLock<String>; LARGEST_LOOK_UP as usize + 1] =
        [const { OnceLock::new() }; LARGEST_LOOK_UP as usize + 1];
    let exponent = keys.next_power_of_two().trailing_zeros().min(LARGEST_LOOK_UP);
    STATEMENTS[exponent as usize].get_or_init(|| {
        let places: Vec<_> = (1..=1_usize << exponent).map(|place| format!("${place}")).collect();
        format!(concat!("SELECT ", columns!(), " FROM session_records WHERE key IN ({})"), places.join(", "))
    })
}

/// Fills the keys of a look-up up to the number of its placeholders.
pub(super) fn padded<T: Copy>(keys: &[T]) -> Vec<T> {
    let Some(last) = keys.last() else { return Vec::new() };
    keys.iter().copied().chain(repeat_n(*last, keys.len().next_power_of_two() - keys.len())).collect()
}

/// The largest number of keys in one look-up, as a power of two.
const LARGEST_LOOK_UP: u32 = 12;
pub(super) const MOST_KEYS: usize = 1 << LARGEST_LOOK_UP;

/// Creates a record. `$1` key, `$2` id, `$3` data, `$4` created at, `$5` seen at, `$6` expires at, `$7` application,
/// `$8` owner, `$9` label.
macro_rules! create {
    ($conflict:literal) => {
        concat!(
            "INSERT INTO session_records ",
            "(key, id, format, data, version, created_at, seen_at, expires_at, application, owner, label) ",
            "VALUES ($1, $2, 1, $3, 1, $4, $5, $6, $7, $8, $9)",
            $conflict
        )
    };
}

/// Creates a record, or replaces one that has expired, or a tombstone that is over. Its values are those of `create!`.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) const CREATE: &str = create!(
    " ON CONFLICT (key) DO UPDATE SET id = excluded.id, data = excluded.data, version = 1, \
    created_at = excluded.created_at, seen_at = excluded.seen_at, expires_at = excluded.expires_at, \
    application = excluded.application, owner = excluded.owner, label = excluded.label, ended = NULL, successor = NULL \
    WHERE session_records.expires_at < excluded.seen_at AND session_records.format = 1"
);

/// Creates a record, if there is no row with its key or its id. Its values are those of `create!`.
///
/// `ON DUPLICATE KEY UPDATE` is no help: it replaces a row with the same id too, and has no condition.
#[cfg(feature = "mysql")]
pub(super) const INSERT: &str = create!("");

/// Replaces a record that has expired, or a tombstone that is over. Its values are those of `create!`.
#[cfg(feature = "mysql")]
pub(super) const REPLACE: &str = "\
    UPDATE session_records SET id = $2, data = $3, version = 1, created_at = $4, seen_at = $5, expires_at = $6, \
    application = $7, owner = $8, label = $9, ended = NULL, successor = NULL \
    WHERE key = $1 AND expires_at < $5 AND format = 1";

/// Updates a record that still has this version. Its values are those of `set!`.
pub(super) const UPDATE: &str = concat!(set!(), " WHERE ", unchanged!());

/// Updates a record as [`UPDATE`] does, and moves it to another key. Its further values are those of `move_row!`.
pub(super) const MOVE: &str = move_row!();

/// Moves a record as `move_row!` does, and creates the tombstone. `$13` the former id, `$14` the last second in which
/// the end is known, `$15` how it ended, `$16` the successor.
#[cfg(feature = "postgres")]
pub(super) const RENAME: &str = concat!(
    "WITH moved AS (",
    move_row!(),
    " RETURNING 1) INSERT INTO session_records ",
    "(key, id, format, data, version, created_at, seen_at, expires_at, ended, successor) ",
    "SELECT $1, $13, 1, '{}', 0, $3, $3, $14, $15, $16 FROM moved"
);

/// Creates the tombstone of a record that was moved. `$1` key, `$2` id, `$3` now, `$4` the last second in which the end
/// is known, `$5` how it ended, `$6` the successor.
pub(super) const BURY: &str = "\
    INSERT INTO session_records (key, id, format, data, version, created_at, seen_at, expires_at, ended, successor) \
    VALUES ($1, $2, 1, '{}', 0, $3, $3, $4, $5, $6)";

/// Removes a record that still has this version. `$1` key, `$2` version, `$3` now.
pub(super) const REMOVE: &str = concat!("DELETE FROM session_records WHERE ", unchanged!());

/// Turns a record that still has this version into a tombstone. `$1` key, `$2` version, `$3` now, `$4` the last second
/// in which the end is known, `$5` how it ended.
pub(super) const END_UNCHANGED: &str = end!("$5", "$4", unchanged!());

/// Records a visit. `$1` key, `$2` now, `$3` expires at.
pub(super) const TOUCH: &str = "\
    UPDATE session_records SET seen_at = CASE WHEN seen_at < $2 THEN $2 ELSE seen_at END, \
    expires_at = CASE WHEN expires_at < $3 THEN $3 ELSE expires_at END \
    WHERE key = $1 AND expires_at >= $2 AND ended IS NULL AND format = 1";

/// Ends a session. `$1` now, `$2` the last second in which the end is known, `$3` key, `$4` how it ended, `$5` the
/// successor.
pub(super) const END: &str = end!("$4, successor = $5", "$2", concat!("key = $3 AND ", live!()));

/// Ends a session by its public id. `$1` now, `$2` the last second in which the end is known, `$3` id.
pub(super) const END_BY_ID: &str = end!("1", "$2", concat!("id = $3 AND ", live!()));

/// Ends the sessions of an owner, except one. `$1` now, `$2` owner, `$3` application, `$4` the last second in which the
/// end is known, `$5` the id of the spared session.
#[cfg(feature = "sqlite")]
pub(super) const END_BY_OWNER: &str = end!("1", "$4", others!());

/// The same, as `end_in_order!` does.
#[cfg(feature = "postgres")]
pub(super) const END_BY_OWNER_IN_ORDER: &str = end_in_order!("$4", others!());

/// The same. A rename during the statement changes the key and the id of a session, but not its place in this index. So
/// the statement finds each session of the owner, under its former key or its new one.
#[cfg(feature = "mysql")]
pub(super) const END_BY_OWNER_INDEX: &str = end!("1", "$4", others!(), " FORCE INDEX (session_records_owner)");

/// The sessions of an owner that began first. `$1` to `$3` as in `owned!`, `$5` the id of the spared session, `$6` the
/// number of sessions that stay.
macro_rules! oldest {
    () => {
        concat!(
            "SELECT key FROM session_records WHERE ",
            others!(),
            " ORDER BY created_at DESC, id DESC LIMIT 9223372036854775807 OFFSET $6"
        )
    };
}

/// Ends the sessions of an owner that began first. Its values are those of `oldest!`, and `$4` is the last second in
/// which the end is known.
#[cfg(feature = "sqlite")]
pub(super) const END_OLDEST: &str = end!("1", "$4", concat!("ended IS NULL AND key IN (", oldest!(), ")"));

/// The same. The rows are locked in the order of their keys, so that two of these statements cannot wait for each
/// other.
#[cfg(feature = "postgres")]
pub(super) const END_OLDEST_IN_ORDER: &str = end!(
    "1",
    "$4",
    concat!(
        "ended IS NULL AND key IN (SELECT key FROM session_records WHERE key IN (",
        oldest!(),
        ") ORDER BY key FOR UPDATE)"
    )
);

/// The same. The subquery has a name, because MySQL does not read the table that it changes otherwise.
#[cfg(feature = "mysql")]
pub(super) const END_OLDEST_BY_NAME: &str = end!(
    "1",
    "$4",
    concat!(owned!(), " AND key IN (SELECT key FROM (", oldest!(), ") AS oldest)"),
    " FORCE INDEX (session_records_owner)"
);

/// Ends the sessions of an application. `$1` now, `$2` the last second in which the end is known, `$3` application.
#[cfg(any(feature = "sqlite", feature = "mysql"))]
pub(super) const END_BY_APPLICATION: &str = end!("1", "$2", of_application!());

/// The same, as `end_in_order!` does.
#[cfg(feature = "postgres")]
pub(super) const END_BY_APPLICATION_IN_ORDER: &str = end_in_order!("$2", of_application!());

/// The columns of a session in a list.
macro_rules! info {
    () => {
        "SELECT key, id, created_at, seen_at, owner, label FROM session_records WHERE "
    };
}

/// Reads the live sessions of an owner. `$1` now, `$2` owner, `$3` application, `$4` the largest number of sessions.
pub(super) const LIST: &str = concat!(info!(), owned!(), " ORDER BY seen_at DESC, created_at DESC LIMIT $4");

/// Counts the live sessions of an owner. `$1` now, `$2` owner, `$3` application.
pub(super) const COUNT: &str = concat!("SELECT count(*) FROM session_records WHERE ", owned!());

/// Counts the live sessions of an owner, except one. `$1` to `$3` as in [`COUNT`], `$4` the id of the spared session.
pub(super) const COUNT_OTHERS: &str = concat!("SELECT count(*) FROM session_records WHERE id <> $4 AND ", owned!());

/// Reads a page of all live sessions. `$1` now, `$2` the last id of the page before, `$3` the largest number of
/// sessions.
pub(super) const ALL: &str = concat!(info!(), "id > $2 AND ", live!(), " ORDER BY id LIMIT $3");

/// Deletes expired records. Its values are those of `delete_before!`.
#[cfg(feature = "sqlite")]
pub(super) const DELETE_EXPIRED: &str = delete_before!("", "");

/// Deletes tombstones. Its values are those of `delete_before!`.
#[cfg(feature = "sqlite")]
pub(super) const DELETE_TOMBSTONES: &str = delete_before!(" AND ended IS NOT NULL", "");

/// Deletes expired records that no other statement has locked. Its values are those of `delete_before!`.
#[cfg(feature = "postgres")]
pub(super) const DELETE_EXPIRED_UNLOCKED: &str = delete_before!("", " FOR UPDATE SKIP LOCKED");

/// Deletes tombstones that no other statement has locked. Its values are those of `delete_before!`.
#[cfg(feature = "postgres")]
pub(super) const DELETE_TOMBSTONES_UNLOCKED: &str = delete_before!(" AND ended IS NOT NULL", " FOR UPDATE SKIP LOCKED");

/// Deletes expired records. Its values are those of `delete_before!`.
#[cfg(feature = "mysql")]
pub(super) const DELETE_EXPIRED_IN_ORDER: &str =
    "DELETE FROM session_records WHERE has_ended = 0 AND expires_at < $1 ORDER BY expires_at LIMIT $2";

/// Deletes tombstones. Its values are those of `delete_before!`.
#[cfg(feature = "mysql")]
pub(super) const DELETE_TOMBSTONES_IN_ORDER: &str =
    "DELETE FROM session_records WHERE has_ended = 1 AND expires_at < $1 ORDER BY expires_at LIMIT $2";

#[cfg(all(test, feature = "mysql"))]
mod tests {
    use super::{look_up, translated};

    #[test]
    fn placeholders_lose_their_numbers_and_the_column_key_is_quoted() {
        let (sql, numbers) = translated("UPDATE t SET key = $10, keys = '{}' WHERE key=$2 AND a < $10 LIMIT $3");
        assert_eq!(sql, "UPDATE t SET `key` = ?, keys = '{}' WHERE `key`=? AND a < ? LIMIT ?");
        assert_eq!(numbers, [10, 2, 10, 3]);
        let (sql, numbers) = translated(look_up(3));
        assert!(sql.ends_with("WHERE `key` IN (?, ?, ?, ?)"), "{sql}");
        assert_eq!(numbers, [1, 2, 3, 4]);
    }
}
