//! The server.

use std::{fmt, str::FromStr as _};

use session_core::{
    Record, RecordKey, SessionId, SessionInfo, SessionStore, StoreError, StoreFuture, Updated, Visit, Write,
};
use sqlx::{PgPool, Postgres, postgres::PgConnectOptions};

use super::{SqlStore, connections::Connections, error::store_error, store};

store! {
    PostgresStore, Postgres, PgPool,
    /// Sessions in a Postgres table, for as many machines as you like.
    ///
    /// ```no_run
    /// use session_stores::PostgresStore;
    ///
    /// # async fn connect() -> Result<(), session_core::StoreError> {
    /// let store = PostgresStore::connect("postgres://shop@localhost/shop").await?;
    /// store.migrate().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// - Each operation is one statement and one round trip, unless two requests write one session at the same time.
    /// - For an encrypted connection turn TLS on in sqlx itself, in your own `Cargo.toml`:
    ///   `sqlx = { version = "0.9", default-features = false, features = ["tls-rustls"] }`. Without it, an address with
    ///   `sslmode=require` is refused.
    /// - The table lies in the first schema of the `search_path`, which the address can set:
    ///   `?options=-csearch_path%3Dshop`.
    /// - How long a statement may take is the server's `statement_timeout`. Set it to two seconds or so for this user: an
    ///   answer that comes later is not waited for.
}

impl PostgresStore {
    /// Connects to the database at this address, with at most ten connections. The table is made by
    /// [`migrate`](Self::migrate).
    ///
    /// # Errors
    ///
    /// When the address is wrong, or the database cannot be reached or lets nobody in.
    pub async fn connect(address: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(address).map_err(|error| store_error(&error, "Postgres"))?;
        Ok(Self(SqlStore::new(Connections::open(options, CONNECTIONS).await?)))
    }
}

const CONNECTIONS: u32 = 10;
