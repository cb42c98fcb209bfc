//! The store in an SQLite file: `SqliteStore`.

use std::{fmt, fs::OpenOptions, path::Path, str::FromStr as _, time::Duration};

use session_core::{
    SessionId,
    store::{
        Cursor, End, Lookup, Owner, Page, RecordKey, SessionInfo, SessionStore, Spared, StoreError, StoreErrorKind,
        StoreFuture, Updated, Visit, Write,
    },
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
    {
        /// Keeps sessions in an SQLite file: no server, one machine, any number of processes.
        ///
        /// Writers of one process wait in a queue, first come first served. If another process holds the lock, a writer
        /// waits for it up to one second. A crash of the process loses no write. A crash of the machine may lose the
        /// last writes (`synchronous = NORMAL` in [WAL mode](https://www.sqlite.org/wal.html)), but does not damage the
        /// file. The file must be on a local disk, not on a network file system.
        ///
        /// A store from [`from_pool`](Self::from_pool) uses the settings of the pool instead: turn WAL mode on, set a
        /// busy timeout of one second, and allow more than one connection.
        ///
        /// Clones share their connections.
        ///
        /// # Examples
        ///
        /// ```no_run
        /// use session_axum::{Keys, SessionLayer};
        /// use session_stores::SqliteStore;
        ///
        /// # async fn sessions() -> Result<SessionLayer, Box<dyn std::error::Error>> {
        /// let store = SqliteStore::connect("sqlite://sessions.db").await?;
        /// store.migrate().await?;
        /// let layer = SessionLayer::stored(store, Keys::from_env("SESSION_SECRET")?);
        /// # Ok(layer)
        /// # }
        /// ```
    }
    from_pool {
        /// ```
        /// use session_stores::SqliteStore;
        /// use sqlx::sqlite::SqlitePoolOptions;
        ///
        /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
        /// let store = SqliteStore::from_pool(pool.clone());
        /// store.migrate().await?;
        /// let sessions: i64 = sqlx::query_scalar("SELECT count(*) FROM session_records").fetch_one(&pool).await?;
        /// assert_eq!(sessions, 0);
        /// # Ok(())
        /// # }
        /// ```
    }
    migrate {
        /// ```
        /// use session_stores::SqliteStore;
        ///
        /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// # let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
        /// let count = "SELECT count(*) FROM session_records";
        /// assert!(sqlx::query(count).execute(&pool).await.is_err(), "there is no table yet");
        /// let store = SqliteStore::from_pool(pool.clone());
        /// store.migrate().await?;
        /// store.migrate().await?; // changes nothing
        /// assert!(sqlx::query(count).execute(&pool).await.is_ok());
        /// # Ok(())
        /// # }
        /// ```
    }
}

impl SqliteStore {
    /// Opens the file at this address, and creates it if it does not exist. On Unix, a new file can only be read and
    /// written by the user of this process.
    ///
    /// An address is `sqlite://sessions.db` for a path relative to the working directory, or
    /// `sqlite:///var/lib/shop/sessions.db` for an absolute one. [`migrate`](Self::migrate) creates the table.
    ///
    /// # Errors
    ///
    /// - [`StoreErrorKind::Unavailable`] if the file cannot be opened, or if other processes keep it locked for 30
    ///   seconds.
    /// - [`StoreErrorKind::Refused`] if the address is not valid, or names a database in memory. Each connection would
    ///   have a database of its own there. Use `MemoryStore` instead.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_stores::SqliteStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = std::env::temp_dir().join(format!("session-stores-connect-{}", std::process::id()));
    /// # std::fs::create_dir(&directory)?;
    /// let file = directory.join("sessions.db");
    /// let store = SqliteStore::connect(&format!("sqlite://{}", file.display())).await?;
    /// store.migrate().await?;
    /// assert!(file.exists());
    /// assert!(SqliteStore::connect("sqlite::memory:").await.is_err());
    /// # std::fs::remove_dir_all(directory)?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(address: &str) -> Result<Self, StoreError> {
        Ok(Self(SqlStore::new(Connections::open(options(address)?, CONNECTIONS).await?)))
    }

    /// Makes a store for the file at this address without opening it: the first operation does. The file is created, if
    /// it does not exist. Call it inside of a Tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`StoreErrorKind::Refused`] if the address is not valid or names a database in
    /// memory, or if there is no runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_stores::SqliteStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// assert!(SqliteStore::connect_lazy("postgres://localhost/shop").is_err());
    /// # }
    /// ```
    pub fn connect_lazy(address: &str) -> Result<Self, StoreError> {
        Ok(Self(SqlStore::new(Connections::lazy(options(address)?, CONNECTIONS)?)))
    }
}

fn options(address: &str) -> Result<SqliteConnectOptions, StoreError> {
    if is_of_another_database(address) {
        return Err(StoreError::new(StoreErrorKind::Refused, ANOTHER_DATABASE));
    }
    let options = SqliteConnectOptions::from_str(address).map_err(|error| store_error(&error, "the SQLite file"))?;
    if is_in_memory(address) {
        return Err(StoreError::new(StoreErrorKind::Refused, IN_MEMORY));
    }
    create_for_its_owner(options.get_filename());
    Ok(options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT))
}

/// Creates the file if it is missing, so that only the user of this process may read it. `SQLite` gives the same
/// permissions to the files beside it. If the file cannot be created, `SQLite` says why when it opens it.
fn create_for_its_owner(path: &Path) {
    let mut new = OpenOptions::new();
    new.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut new, 0o600);
    let _ = new.open(path);
}

/// Returns whether the address belongs to another kind of database. sqlx would create a file with that name.
fn is_of_another_database(address: &str) -> bool {
    address.trim_start_matches("sqlite:").contains("://")
}

fn is_in_memory(address: &str) -> bool {
    address.contains(":memory:") || address.contains("mode=memory")
}

const IN_MEMORY: &str = "`SqliteStore` needs a file: for sessions in memory use `MemoryStore`";

// Without the address: it may hold a password.
const ANOTHER_DATABASE: &str = "the address of an SQLite file begins with `sqlite://`";

/// The longest wait of a new connection for the lock of another process. See the dialect's `ON_CONNECT` for the waits
/// of an operation.
const BUSY_TIMEOUT: Duration = PATIENCE;

/// The largest number of connections: one writes, and the others read at the same time. Each has a thread.
const CONNECTIONS: u32 = 5;
