//! The store in Postgres: `PostgresStore`.

use std::{fmt, str::FromStr as _};

use session_core::{
    SessionId,
    store::{
        Cursor, End, Lookup, Owner, Page, RecordKey, SessionInfo, SessionStore, Spared, StoreError, StoreErrorKind,
        StoreFuture, Updated, Visit, Write,
    },
};
use sqlx::{PgPool, Postgres, postgres::PgConnectOptions};

use super::{SqlStore, connections::Connections, error::store_error, store};

store! {
    PostgresStore, Postgres, PgPool,
    {
        /// Keeps sessions in a table of a Postgres database, for any number of machines.
        ///
        /// - **Cost.** Each operation is one statement and one round trip. Only if two requests write to one session at
        ///   the same time does one of them need a transaction.
        /// - **TLS.** Enable the feature `tls` of this crate, and end the address with `?sslmode=verify-full`. If the
        ///   operating system does not trust the server's authority, add `&sslrootcert=` and the path of its
        ///   certificate. Without the feature, an address with `sslmode=require` is refused.
        /// - **Schema.** The table is in the first schema of the `search_path`. The address can set it:
        ///   `?options=-csearch_path%3Dshop`.
        /// - **Time limit.** Set `statement_timeout` to about two seconds for this user. The session layer does not
        ///   wait longer for an answer.
        ///
        /// Clones share their connections.
        ///
        /// # Examples
        ///
        /// ```no_run
        /// use session_axum::{Keys, SessionLayer};
        /// use session_stores::PostgresStore;
        ///
        /// # async fn sessions() -> Result<SessionLayer, Box<dyn std::error::Error>> {
        /// let store = PostgresStore::connect("postgres://shop@localhost/shop").await?;
        /// store.migrate().await?;
        /// let layer = SessionLayer::stored(store, Keys::from_env("SESSION_SECRET")?);
        /// # Ok(layer)
        /// # }
        /// ```
    }
    from_pool {
        /// ```no_run
        /// use session_stores::PostgresStore;
        /// use sqlx::PgPool;
        ///
        /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
        /// let pool = PgPool::connect("postgres://shop@localhost/shop").await?;
        /// let store = PostgresStore::from_pool(pool.clone());
        /// store.migrate().await?;
        /// let sessions: i64 = sqlx::query_scalar("SELECT count(*) FROM session_records").fetch_one(&pool).await?;
        /// assert_eq!(sessions, 0);
        /// # Ok(())
        /// # }
        /// ```
    }
    migrate {
        /// ```no_run
        /// use session_stores::PostgresStore;
        ///
        /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
        /// let store = PostgresStore::connect("postgres://shop@localhost/shop").await?;
        /// store.migrate().await?;
        /// assert!(store.migrate().await.is_ok(), "the second call changes nothing");
        /// # Ok(())
        /// # }
        /// ```
    }
}

impl PostgresStore {
    /// Connects to the database at this address, with a pool of at most ten connections.
    ///
    /// If the database does not answer, the error comes within three seconds. [`migrate`](Self::migrate) creates the
    /// table.
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
    /// use session_stores::PostgresStore;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = PostgresStore::connect("postgres://shop:password@db.internal:5432/shop").await?;
    /// store.migrate().await?;
    ///
    /// let error = PostgresStore::connect("postgres://shop@db.internal/no_such_database").await.unwrap_err();
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
    /// use session_stores::PostgresStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = PostgresStore::connect_lazy("postgres://shop@db.internal/shop")?;
    /// assert!(PostgresStore::connect_lazy("redis://localhost").is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_lazy(address: &str) -> Result<Self, StoreError> {
        Ok(Self(SqlStore::new(Connections::lazy(options(address)?, CONNECTIONS)?)))
    }

    /// Makes the store work behind `PgBouncer` in transaction mode, and behind other poolers that give each transaction
    /// another connection.
    ///
    /// Each operation is then a transaction of its own and prepares its statements anew. An operation takes four round
    /// trips in place of one.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_stores::PostgresStore;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = PostgresStore::connect_lazy("postgres://shop@pgbouncer.internal:6432/shop")?.pooled_by_pgbouncer();
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn pooled_by_pgbouncer(self) -> Self {
        self.0.connections.run_in_transactions();
        self
    }
}

fn options(address: &str) -> Result<PgConnectOptions, StoreError> {
    if !["postgres://", "postgresql://"].iter().any(|scheme| address.starts_with(scheme)) {
        return Err(StoreError::new(StoreErrorKind::Refused, ANOTHER_ADDRESS));
    }
    let options = PgConnectOptions::from_str(address).map_err(|error| store_error(&error, "Postgres"))?;
    // The store has no floats, and PgBouncer refuses this setting.
    Ok(options.extra_float_digits(None))
}

// Without the address: it may hold a password.
const ANOTHER_ADDRESS: &str = "the address of a Postgres server begins with `postgres://` or `postgresql://`";

const CONNECTIONS: u32 = 10;
