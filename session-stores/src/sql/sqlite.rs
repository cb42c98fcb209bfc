//! The file.

use std::{fmt, str::FromStr as _, time::Duration};

use session_core::{
    Record, RecordKey, SessionId, SessionInfo, SessionStore, StoreError, StoreErrorKind, StoreFuture, Updated, Visit,
    Write,
};
use sqlx::{
    Sqlite, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::{
    SqlStore,
    connections::{Connections, PATIENCE},
    error::store_error,
    store,
};

store! {
    SqliteStore, Sqlite, SqlitePool,
    /// Sessions in an SQLite file: no server, one machine, as many processes as you like.
    ///
    /// ```no_run
    /// use session_stores::SqliteStore;
    ///
    /// # async fn open() -> Result<(), session_core::StoreError> {
    /// let store = SqliteStore::connect("sqlite://sessions.db").await?;
    /// store.migrate().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Writers of one process queue in the order in which they come; the lock of another process is waited for up to a
    /// second. A crash of the machine may take back the last writes, one of the process does not, and neither damages the
    /// file (`synchronous = NORMAL` in [WAL mode](https://www.sqlite.org/wal.html)). A file system that is mounted over a
    /// network is no place for it.
    ///
    /// With [`from_pool`](Self::from_pool) all that is the pool's to decide: give it WAL, a busy timeout of a second,
    /// and more than one connection.
}

impl SqliteStore {
    /// Opens the file at this address, such as `sqlite://sessions.db` or `sqlite:///var/lib/shop/sessions.db`, and makes
    /// it if there is none. The table is made by [`migrate`](Self::migrate).
    ///
    /// # Errors
    ///
    /// When the address is wrong, or the file cannot be opened. A database in memory is refused: it would be another
    /// one for each connection. `MemoryStore` does that better.
    pub async fn connect(address: &str) -> Result<Self, StoreError> {
        let options =
            SqliteConnectOptions::from_str(address).map_err(|error| store_error(&error, "the SQLite file"))?;
        if is_in_memory(address) {
            return Err(StoreError::new(
                StoreErrorKind::Refused,
                "`SqliteStore` needs a file: for sessions in memory use `MemoryStore`",
            ));
        }
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT);
        Ok(Self(SqlStore::new(Connections::open(options, CONNECTIONS).await?)))
    }
}

fn is_in_memory(address: &str) -> bool {
    address.contains(":memory:") || address.contains("mode=memory")
}

/// How long another process's lock is waited for.
const BUSY_TIMEOUT: Duration = PATIENCE;

/// One writes, the others read meanwhile. Each has a thread.
const CONNECTIONS: u32 = 5;
