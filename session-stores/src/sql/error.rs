//! What went wrong, without the values that databases like to quote.

use std::{borrow::Cow, error, fmt};

use session_core::{StoreError, StoreErrorKind};
use sqlx::error::DatabaseError;

/// The source of a [`StoreError`]: sqlx's own would show values to whoever prints it in full.
#[derive(Debug)]
struct SqlError(Cow<'static, str>);

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl error::Error for SqlError {}

pub(super) fn store_error(error: &sqlx::Error) -> StoreError {
    use StoreErrorKind::{Refused, Unavailable, Unreadable};
    let (kind, why): (_, Cow<'static, str>) = match error {
        sqlx::Error::Database(error) => return database_error(&**error),
        sqlx::Error::Io(error) => (Unavailable, format!("the connection to the database failed: {error}").into()),
        sqlx::Error::PoolTimedOut => (Unavailable, "no connection to the database in time".into()),
        sqlx::Error::PoolClosed => (Unavailable, "the pool of connections is closed".into()),
        sqlx::Error::WorkerCrashed | sqlx::Error::BeginFailed | sqlx::Error::Protocol(_) => {
            (Unavailable, "the connection to the database is in disorder".into())
        }
        sqlx::Error::ColumnDecode { index, .. } => {
            (Unreadable, format!("column {index} of the record cannot be decoded").into())
        }
        sqlx::Error::Configuration(error) => (Refused, format!("the database's address is wrong: {error}").into()),
        sqlx::Error::Tls(error) => (Refused, format!("no encrypted connection to the database: {error}").into()),
        _ => (Refused, "the database driver refused".into()),
    };
    StoreError::new(kind, SqlError(why))
}

/// No connection became free, or could be opened, in time.
pub(super) fn too_late() -> StoreError {
    store_error(&sqlx::Error::PoolTimedOut)
}

/// Whether the connection, and so perhaps all of them, is lost.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => true,
        // The server is shutting down.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}

fn database_error(error: &dyn DatabaseError) -> StoreError {
    let code = error.code().unwrap_or_default();
    let Verdict { kind, quotes_values, remedy } = verdict(error, &code);
    let message = if quotes_values { "what it says may quote values, and is left out" } else { error.message() };
    StoreError::new(kind, SqlError(format!("the database says (code {code}): {message}{remedy}").into()))
}

struct Verdict {
    kind: StoreErrorKind,
    /// Whether the message may repeat what was to be stored.
    quotes_values: bool,
    remedy: &'static str,
}

fn verdict(error: &dyn DatabaseError, code: &str) -> Verdict {
    #[cfg(feature = "sqlite")]
    if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        return sqlite(error.message(), code);
    }
    let _ = error;
    postgres(code)
}

/// <https://www.sqlite.org/rescode.html>. SQLite never quotes a value.
#[cfg(feature = "sqlite")]
fn sqlite(message: &str, code: &str) -> Verdict {
    let kind = match code.parse::<i32>().unwrap_or_default() & 0xff {
        BUSY | LOCKED | NOMEM | INTERRUPT | IOERR | FULL | CANTOPEN | PROTOCOL | SCHEMA => StoreErrorKind::Unavailable,
        _ => StoreErrorKind::Refused,
    };
    let remedy = if message.contains("no such table") || message.contains("no such column") { MIGRATE } else { "" };
    Verdict { kind, quotes_values: false, remedy }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>. The first two characters are the class.
fn postgres(code: &str) -> Verdict {
    let class = code.get(..2).unwrap_or_default();
    let kind = match class {
        // Broken connections, rollbacks, too few resources, locks, an operator's doing, the system's. A server that is
        // read-only is a replica until it is promoted.
        "08" | "40" | "53" | "55" | "57" | "58" => StoreErrorKind::Unavailable,
        _ if code == "25006" => StoreErrorKind::Unavailable,
        _ => StoreErrorKind::Refused,
    };
    let quotes_values = !matches!(class, "08" | "25" | "28" | "3D" | "3F" | "40" | "42" | "53" | "55" | "57" | "58");
    let remedy = if matches!(code, "42P01" | "42703") { MIGRATE } else { "" };
    Verdict { kind, quotes_values, remedy }
}

const MIGRATE: &str = "; the store's table is made by its `migrate()`: call it once, before the store is used";

#[cfg(feature = "sqlite")]
use sqlite_codes::{BUSY, CANTOPEN, FULL, INTERRUPT, IOERR, LOCKED, NOMEM, PROTOCOL, SCHEMA};

#[cfg(feature = "sqlite")]
mod sqlite_codes {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const NOMEM: i32 = 7;
    pub(super) const INTERRUPT: i32 = 9;
    pub(super) const IOERR: i32 = 10;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const PROTOCOL: i32 = 15;
    pub(super) const SCHEMA: i32 = 17;
}
