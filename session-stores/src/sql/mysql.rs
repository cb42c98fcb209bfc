//! The store in MariaDB or MySQL: `MySqlStore`.

use std::{fmt, str::FromStr as _};

use session_core::{
    SessionId,
    store::{
        Cursor, End, Lookup, Owner, Page, RecordKey, SessionInfo, SessionStore, Spared, StoreError, StoreErrorKind,
        StoreFuture, Updated, Visit, Write,
    },
};
use sqlx::{MySql, MySqlPool, mysql::MySqlConnectOptions};

use super::{SqlStore, connections::Connections, error::store_error, store};

store! {
    MySqlStore, MySql, MySqlPool,
    {
        /// Keeps sessions in a table of a MariaDB or MySQL database, for any number of machines.
        ///
        /// It is tested with MariaDB 10.11. It uses no statement that MySQL 8 lacks, but was not tried with MySQL.
        ///
        /// - **Cost.** Each operation is one statement and one round trip. A rename is a transaction of four. Another
        ///   operation needs a transaction only if two requests write to one session at the same time.
        /// - **TLS.** Enable the feature `tls` of this crate, and end the address with `?ssl-mode=VERIFY_IDENTITY`. If
        ///   the operating system does not trust the server's authority, add `&ssl-ca=` and the path of its
        ///   certificate. Without the feature, an address with `ssl-mode=REQUIRED` is refused. MySQL 8 and later
        ///   require TLS for a user with a password, unless sqlx's feature `mysql-rsa` is on or the user's plugin is
        ///   not `caching_sha2_password`.
        /// - **Settings.** A store from [`connect`](Self::connect) sets the isolation level `READ COMMITTED`,
        ///   `sql_mode`, `autocommit` and a lock timeout of one second for its own connections. It does not depend on
        ///   the character set, the collation or the time zone of the server. A store from
        ///   [`from_pool`](Self::from_pool) uses the settings of the pool: set `innodb_lock_wait_timeout` to 1 there,
        ///   because the default is 50 seconds.
        /// - **Size.** A session is one packet: it must be smaller than `max_allowed_packet` (16 MiB by default).
        ///
        /// Clones share their connections.
        ///
        /// # Examples
        ///
        /// ```no_run
        /// use session_axum::{Keys, SessionLayer};
        /// use session_stores::MySqlStore;
        ///
        /// # async fn sessions() -> Result<SessionLayer, Box<dyn std::error::Error>> {
        /// let store = MySqlStore::connect("mysql://shop@localhost/shop").await?;
        /// store.migrate().await?;
        /// let layer = SessionLayer::stored(store, Keys::from_env("SESSION_SECRET")?);
        /// # Ok(layer)
        /// # }
        /// ```
    }
    from_pool {
        /// ```no_run
        /// use session_stores::MySqlStore;
        /// use sqlx::MySqlPool;
        ///
        /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
        /// let pool = MySqlPool::connect("mysql://shop@localhost/shop").await?;
        /// let store = MySqlStore::from_pool(pool.clone());
        /// store.migrate().await?;
        /// let sessions: i64 = sqlx::query_scalar("SELECT count(*) FROM session_records").fetch_one(&pool).await?;
        /// assert_eq!(sessions, 0);
        /// # Ok(())
        /// # }
        /// ```
    }
    migrate {
        /// ```no_run
        /// use session_stores::MySqlStore;
        ///
        /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
        /// let store = MySqlStore::connect("mysql://shop@localhost/shop").await?;
        /// store.migrate().await?;
        /// assert!(store.migrate().await.is_ok(), "the second call changes nothing");
        /// # Ok(())
        /// # }
        /// ```
    }
}

impl MySqlStore {
    /// Connects to the database at this address, with a pool of at most ten connections.
    ///
    /// An address begins with `mysql://` or `mariadb://`. If the database does not answer, the error comes within three
    /// seconds. [`migrate`](Self::migrate) creates the table.
    ///
    /// # Errors
    ///
    /// - [`StoreErrorKind::Unavailable`](session_core::store::StoreErrorKind::Unavailable) if the database cannot be
    ///   reached.
    /// - [`StoreErrorKind::Refused`](session_core::store::StoreErrorKind::Refused) if the address is not valid, or the
    ///   database refuses the user, the password or the name of the database.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use session_core::store::StoreErrorKind;
    /// use session_stores::MySqlStore;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = MySqlStore::connect("mysql://shop:password@db.internal:3306/shop").await?;
    /// store.migrate().await?;
    ///
    /// let error = MySqlStore::connect("mysql://shop@db.internal/no_such_database").await.unwrap_err();
    /// assert_eq!(error.kind(), StoreErrorKind::Refused);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(address: &str) -> Result<Self, StoreError> {
        Ok(Self(SqlStore::new(Connections::open(options(address)?, CONNECTIONS).await?)))
    }

    /// Makes a store for the database at this address without connecting to it: the first operation connects. Use it
    /// for an application that starts before its database. Call it inside of a Tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`StoreErrorKind::Refused`](session_core::store::StoreErrorKind::Refused) if the
    /// address is not valid, or if there is no runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_stores::MySqlStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = MySqlStore::connect_lazy("mysql://shop@db.internal/shop")?;
    /// assert!(MySqlStore::connect_lazy("redis://localhost").is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_lazy(address: &str) -> Result<Self, StoreError> {
        Ok(Self(SqlStore::new(Connections::lazy(options(address)?, CONNECTIONS)?)))
    }
}

fn options(address: &str) -> Result<MySqlConnectOptions, StoreError> {
    if !["mysql://", "mariadb://"].iter().any(|scheme| address.starts_with(scheme)) {
        return Err(StoreError::new(StoreErrorKind::Refused, ANOTHER_ADDRESS));
    }
    MySqlConnectOptions::from_str(address).map_err(|error| store_error(&error, "the MySQL server"))
}

// Without the address: it may hold a password.
const ANOTHER_ADDRESS: &str = "the address of a MySQL server begins with `mysql://` or `mariadb://`";

const CONNECTIONS: u32 = 10;
