//! Turns errors of sqlx into [`StoreError`]s, without the session values that a database may quote.

use std::{borrow::Cow, error, fmt, io};

use session_core::store::{StoreError, StoreErrorKind};
use sqlx::error::DatabaseError;
#[cfg(feature = "mysql")]
use sqlx::mysql::MySqlDatabaseError;

/// The source of a [`StoreError`]. sqlx's own error would quote session values in its `Debug` and `Display`.
#[derive(Debug)]
struct SqlError(Cow<'static, str>);

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for SqlError {}

/// Returns the error of an operation. `place` is the database, without user and password.
pub(super) fn store_error(error: &sqlx::Error, place: &str) -> StoreError {
    use StoreErrorKind::{Refused, Unavailable, Unreadable};
    let (kind, why) = match error {
        sqlx::Error::Database(error) => return database_error(&**error, place),
        sqlx::Error::Io(error) => (Unavailable, format!("the connection to {place} failed: {error}")),
        sqlx::Error::PoolTimedOut => {
            (Unavailable, format!("no connection to {place} was free or could be opened in time"))
        }
        sqlx::Error::PoolClosed => (Unavailable, format!("the pool of connections to {place} is closed")),
        sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed | sqlx::Error::Protocol(_) => {
            (Unavailable, format!("the connection to {place} broke: the driver received an unexpected message"))
        }
        sqlx::Error::ColumnDecode { index, .. } => {
            (Unreadable, format!("column {index} of a session record in {place} cannot be decoded"))
        }
        sqlx::Error::Configuration(error) => (Refused, format!("the address of {place} cannot be used: {error}")),
        sqlx::Error::Tls(error) => (Refused, format!("no encrypted connection to {place}: {error}{NO_TLS}")),
        _ => (Refused, format!("the database driver refused an operation on {place}")),
    };
    StoreError::new(kind, SqlError(why.into()))
}

/// Returns the error for a wait that was over at once, because the clock of the runtime is paused.
pub(super) fn paused_clock(place: &str) -> StoreError {
    let why = format!(
        "the clock of this Tokio runtime is paused (`start_paused`), so the wait for {place} was over at once: let the clock \
         run, or use `MemoryStore` in this test"
    );
    StoreError::new(StoreErrorKind::Unavailable, SqlError(why.into()))
}

/// Returns the error for a pool of the application that had no free connection.
pub(super) fn exhausted_pool(place: &str) -> StoreError {
    let why = format!(
        "the application's pool had no free connection to {place} for almost a second: a handler that holds one while its \
         session is read or saved needs a second one"
    );
    StoreError::new(StoreErrorKind::Unavailable, SqlError(why.into()))
}

/// Returns the error of a connection that could not be opened in time, with the operating system's reason.
pub(super) fn unreachable(reason: io::Error, place: &str) -> StoreError {
    store_error(&sqlx::Error::Io(reason), place)
}

/// Returns whether the connection is lost, and perhaps all others with it.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => true,
        // The server is shutting down, or an operator ended the connection.
        sqlx::Error::Database(error) => {
            let code = code_of(&**error);
            code.starts_with("57P") || matches!(&*code, "1053" | "1927")
        }
        _ => false,
    }
}

/// Returns whether the database gave up a statement because of another one: a deadlock, a serialization failure, or in
/// MariaDB a record that changed while the statement waited for it (1020). The statement has changed nothing and can be
/// tried again. A wait for a lock that took too long (1205) does not count: it has used up the time for another
/// attempt.
pub(super) fn gave_way(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    matches!(&*code_of(&**error), "40P01" | "40001" | "1213" | "1020")
}

/// Returns the code of an error: the number for SQLite, MariaDB and MySQL, and the SQLSTATE for Postgres.
fn code_of(error: &dyn DatabaseError) -> Cow<'_, str> {
    #[cfg(feature = "mysql")]
    if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
        return error.number().to_string().into();
    }
    error.code().unwrap_or_default()
}

fn database_error(error: &dyn DatabaseError, place: &str) -> StoreError {
    let code = code_of(error);
    let Verdict { kind, quotes_values, remedy } = verdict(error, &code);
    let message = if quotes_values { "its message may quote session values and is left out" } else { error.message() };
    StoreError::new(kind, SqlError(format!("{place} reported an error (code {code}): {message}{remedy}").into()))
}

struct Verdict {
    kind: StoreErrorKind,
    /// Whether the message may repeat a value of a session.
    quotes_values: bool,
    remedy: &'static str,
}

fn verdict(error: &dyn DatabaseError, code: &str) -> Verdict {
    #[cfg(feature = "sqlite")]
    if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        return sqlite(error.message(), code);
    }
    #[cfg(feature = "mysql")]
    if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
        return mysql(error.number(), error.code().unwrap_or_default());
    }
    let _ = error;
    postgres(code)
}

/// Another connection has the lock of a SQLite file.
const BUSY: i32 = 5;

/// Returns whether another connection has kept the lock of a SQLite file for too long.
pub(super) fn is_locked(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
    code.is_some_and(|code| code & 0xff == BUSY)
}

/// Judges an error of SQLite by its [code](https://www.sqlite.org/rescode.html). SQLite never quotes a value.
#[cfg(feature = "sqlite")]
fn sqlite(message: &str, code: &str) -> Verdict {
    let kind = match code.parse::<i32>().unwrap_or_default() & 0xff {
        BUSY | LOCKED | NOMEM | INTERRUPT | IOERR | FULL | CANTOPEN | PROTOCOL | SCHEMA => StoreErrorKind::Unavailable,
        _ => StoreErrorKind::Refused,
    };
    let remedy = match message {
        _ if code.parse::<i32>().unwrap_or_default() & 0xff == BUSY => LOCKED_BY_ANOTHER,
        _ if message.contains("no such table") => NO_TABLE,
        _ if message.contains("no such column") => NO_COLUMN,
        _ => "",
    };
    Verdict { kind, quotes_values: false, remedy }
}

/// Judges an error of Postgres by its [code](https://www.postgresql.org/docs/current/errcodes-appendix.html). The first
/// two characters are the class of the error.
fn postgres(code: &str) -> Verdict {
    let class = code.get(..2).unwrap_or_default();
    let kind = match class {
        // Broken connections, rollbacks, too few resources, locks, an operator's action, system errors. 25006 is a
        // read-only server: a replica, until it is promoted.
        "08" | "40" | "53" | "55" | "57" | "58" => StoreErrorKind::Unavailable,
        _ if code == "25006" => StoreErrorKind::Unavailable,
        _ => StoreErrorKind::Refused,
    };
    let quotes_values = !matches!(class, "08" | "25" | "28" | "3D" | "3F" | "40" | "42" | "53" | "55" | "57" | "58");
    let remedy = match code {
        "42P01" => NO_TABLE,
        "42703" => NO_COLUMN,
        "42501" => NO_RIGHT,
        _ => "",
    };
    Verdict { kind, quotes_values, remedy }
}

/// Judges an error of MariaDB or MySQL by its [number](https://mariadb.com/kb/en/mariadb-error-code-reference/). Where
/// the SQLSTATE has a class of its own, that class is enough.
#[cfg(feature = "mysql")]
fn mysql(number: u16, state: &str) -> Verdict {
    let is_unavailable = match state.get(..2).unwrap_or_default() {
        // Broken connections, rollbacks, statements and connections that an operator or a time limit ended. The first
        // class includes 1153, a value that is too large: often the connection breaks before this error arrives.
        "08" | "40" | "70" => true,
        // Too many connections (1040, 1203, 1226), no memory or disk space (1021, 1037, 1038, 1041, 1114, 1135),
        // changes by others (1020, 1205, 1206, 1637), a read-only server (1290, 1836), and time limits (1969, 3024).
        _ => matches!(
            number,
            1020 | 1021
                | 1037
                | 1038
                | 1040
                | 1041
                | 1114
                | 1135
                | 1203
                | 1205
                | 1206
                | 1226
                | 1290
                | 1637
                | 1836
                | 1969
                | 3024
        ),
    };
    let names_only = matches!(state.get(..2), Some("08" | "28" | "3D" | "40" | "42" | "70"));
    let remedy = match number {
        1146 => NO_TABLE,
        1054 => NO_COLUMN,
        1142 => NO_RIGHT,
        _ => "",
    };
    let kind = if is_unavailable { StoreErrorKind::Unavailable } else { StoreErrorKind::Refused };
    Verdict { kind, quotes_values: !is_unavailable && !names_only, remedy }
}

const NO_TABLE: &str = ". Call the store's `migrate()` when the application starts: it creates the table";
const NO_COLUMN: &str = ". A former version of session-stores made the table: call the store's `migrate()` when the \
                         application starts, it adds the missing columns";
#[cfg(feature = "sqlite")]
const LOCKED_BY_ANOTHER: &str = ". Another connection has kept the lock for almost a second. If it is a transaction of the \
                                 same request, commit it before the session is saved";
const NO_RIGHT: &str = ". This user may not do that: let a user who may create tables call `migrate()` once";

#[cfg(not(feature = "tls"))]
const NO_TLS: &str = ". It needs the feature `tls` of session-stores";
#[cfg(feature = "tls")]
const NO_TLS: &str = "";

#[cfg(feature = "sqlite")]
use sqlite_codes::{CANTOPEN, FULL, INTERRUPT, IOERR, LOCKED, NOMEM, PROTOCOL, SCHEMA};

#[cfg(feature = "sqlite")]
mod sqlite_codes {
    pub(super) const LOCKED: i32 = 6;
    pub(super) const NOMEM: i32 = 7;
    pub(super) const INTERRUPT: i32 = 9;
    pub(super) const IOERR: i32 = 10;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const PROTOCOL: i32 = 15;
    pub(super) const SCHEMA: i32 = 17;
}
