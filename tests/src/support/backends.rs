//! What keeps sessions of several processes: each goes by an address that another process understands.

use std::sync::Arc;

use session_core::store::SessionStore;
use session_stores::{MySqlStore, PostgresStore, RedisStore, SqliteStore};

use session_test_servers::{
    Directory,
    mariadb::MariaDb,
    postgres::Postgres,
    redis::{SHARED, SHARED_CLUSTER},
};

/// A file, a database or a server.
pub(crate) struct Backend {
    address: String,
    /// Where the file is, for as long as it is used.
    _directory: Option<Directory>,
}

impl Backend {
    /// A file of its own.
    pub(crate) fn sqlite() -> Self {
        let directory = Directory::new();
        let address = format!("sqlite://{}", directory.path().join("sessions.db").display());
        Self { address, _directory: Some(directory) }
    }

    /// A database of its own on the server that the tests share.
    pub(crate) async fn postgres() -> Self {
        Self::at(&Postgres::shared().database().await)
    }

    /// A database of its own on the server that the tests share.
    pub(crate) async fn mariadb() -> Self {
        Self::at(&MariaDb::shared().database().await)
    }

    /// The server that the tests share.
    pub(crate) fn redis() -> Self {
        Self::at(&SHARED.url())
    }

    /// The cluster that the tests share.
    pub(crate) fn redis_cluster() -> Self {
        Self::at(&SHARED_CLUSTER.urls().join(","))
    }

    /// One that somebody else keeps up.
    pub(crate) fn at(address: &str) -> Self {
        Self { address: address.to_owned(), _directory: None }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// A store with connections of its own.
    pub(crate) async fn connect(&self) -> Arc<dyn SessionStore> {
        let nodes: Vec<_> = self.address.split(',').collect();
        match self.address.split(':').next() {
            Some("sqlite") => {
                let store = SqliteStore::connect(&self.address).await.unwrap();
                store.migrate().await.unwrap();
                Arc::new(store)
            }
            Some("postgres") => {
                let store = PostgresStore::connect(&self.address).await.unwrap();
                store.migrate().await.unwrap();
                Arc::new(store)
            }
            Some("mysql") => {
                let store = MySqlStore::connect(&self.address).await.unwrap();
                store.migrate().await.unwrap();
                Arc::new(store)
            }
            _ if nodes.len() > 1 => Arc::new(RedisStore::cluster(nodes).await.unwrap()),
            _ => Arc::new(RedisStore::connect(&self.address).await.unwrap()),
        }
    }
}
