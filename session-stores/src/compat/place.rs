//! Where tower-sessions keeps its records.

#[cfg(feature = "redis")]
use redis::{Value, cmd};
use session_core::store::StoreError;
#[cfg(feature = "redis")]
use session_core::store::StoreErrorKind;

use super::cookie_id::Id;
#[cfg(feature = "redis")]
use crate::redis_store::Connection;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
use crate::sql::FormerTable;

/// The table of tower-sessions-sqlx-store, or the keys of tower-sessions-redis-store.
#[derive(Clone)]
pub(super) enum Place {
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    Table(FormerTable),
    #[cfg(feature = "redis")]
    Redis(Connection),
}

impl Place {
    /// Returns the record of a session.
    pub(super) async fn read(&self, id: &Id) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
            Self::Table(table) => table.read(id.as_str()).await,
            #[cfg(feature = "redis")]
            Self::Redis(connection) => match connection.value(cmd("GET").arg(id.as_str())).await {
                Ok(Value::BulkString(bytes)) => Ok(Some(bytes)),
                Ok(_) => Ok(None),
                // The client chooses the key: it may name a list of the application.
                Err(error) if error.kind() == StoreErrorKind::Unreadable => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Deletes the record of a session.
    pub(super) async fn delete(&self, id: &str) -> Result<(), StoreError> {
        match self {
            #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
            Self::Table(table) => table.delete(id).await,
            #[cfg(feature = "redis")]
            Self::Redis(connection) => connection.value(cmd("DEL").arg(id)).await.map(drop),
        }
    }

    /// Sets the schema of the table.
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    pub(super) fn set_schema(&mut self, schema: String) {
        match self {
            Self::Table(table) => table.schema = Some(schema),
            #[cfg(feature = "redis")]
            Self::Redis(_) => {}
        }
    }

    /// Sets the name of the table.
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    pub(super) fn set_table(&mut self, name: String) {
        match self {
            Self::Table(table) => table.name = name,
            #[cfg(feature = "redis")]
            Self::Redis(_) => {}
        }
    }
}
