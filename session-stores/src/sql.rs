//! Sessions in a table: one implementation for SQLite and Postgres.

mod connections;
mod dialect;
mod error;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statements;

use std::{sync::Arc, time::Duration};

use session_core::{
    SessionId,
    store::{Entries, Record, RecordKey, SessionInfo, StoreError, StoreErrorKind, Updated, Visit, Write},
};
use tokio::time::{Instant, sleep};

#[cfg(feature = "postgres")]
pub use self::postgres::PostgresStore;
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteStore;
use self::{
    connections::{Connections, Lease},
    dialect::{
        Dialect, Value,
        Value::{Bytes, Number, Text, TextOrNull},
    },
};

/// The store inside [`SqliteStore`] and [`PostgresStore`].
struct SqlStore<D: Dialect> {
    connections: Arc<Connections<D>>,
}

impl<D: Dialect> SqlStore<D> {
    fn new(connections: Connections<D>) -> Self {
        Self { connections: Arc::new(connections) }
    }

    /// Creates the table and its indexes. Several processes may do it at the same time, at the start of an application:
    /// each of them waits for the others. A file has one lock for all of them, and so needs more patience than a request
    /// has.
    async fn migrate(&self) -> Result<(), StoreError> {
        let deadline = Instant::now() + START;
        loop {
            match self.migrate_once().await {
                Err(error)
                    if D::ONE_WRITER && error.kind() == StoreErrorKind::Unavailable && Instant::now() < deadline =>
                {
                    sleep(PAUSE).await;
                }
                migrated => return migrated,
            }
        }
    }

    async fn migrate_once(&self) -> Result<(), StoreError> {
        let mut lease = self.connections.to_write().await?;
        lease.begin().await?;
        let made = make_table(&mut lease).await;
        lease.end(made).await?;
        lease.give_back();
        Ok(())
    }

    async fn load(&self, key: &RecordKey, now: u64) -> Result<Option<Record>, StoreError> {
        let mut lease = self.connections.to_read().await?;
        let record = lease.record(statements::READ, key, now).await?;
        lease.give_back();
        Ok(record)
    }

    async fn create(&self, key: &RecordKey, write: Write<'_>) -> Result<(), StoreError> {
        let (id, data) = (key.id(), data_after(&write, &Entries::default()));
        let values = [
            Bytes(key.hash()),
            Bytes(id.as_bytes()),
            Text(&data),
            Number(write.created_at),
            Number(write.visit.now),
            Number(write.visit.expires_at),
            TextOrNull(write.changes.owner()),
            TextOrNull(write.changes.label()),
        ];
        self.change(statements::CREATE, &values).await.map(drop)
    }

    async fn update(&self, key: &RecordKey, write: Write<'_>) -> Result<Updated, StoreError> {
        self.write(Step { from: key, to: None, write }).await
    }

    async fn rename(&self, from: &RecordKey, to: &RecordKey, write: Write<'_>) -> Result<Updated, StoreError> {
        self.write(Step { from, to: Some(to), write }).await
    }

    /// Updates or renames a record: optimistically with one statement, or else in a transaction.
    async fn write(&self, step: Step<'_>) -> Result<Updated, StoreError> {
        let mut lease = self.connections.to_write().await?;
        // Usually no other request has written since this one read the record. Then its version is still the same, and
        // one statement with `version = ..` in its WHERE clause does all the work, in one round trip and without a
        // lock. If it changes no row, the record has another version or is gone: only then a transaction locks the
        // record, reads it again, and applies the changes to what is there now.
        let hoped = match step.write.base {
            Some(read) => step.replace(&mut lease, read).await?,
            None => None,
        };
        let updated = match hoped {
            Some(updated) => updated,
            None => step.settle(&mut lease).await?,
        };
        lease.give_back();
        Ok(updated)
    }

    async fn touch(&self, key: &RecordKey, visit: Visit) -> Result<bool, StoreError> {
        let mut lease = self.connections.to_write().await?;
        let values = [Bytes(key.hash()), Number(visit.now), Number(visit.expires_at)];
        let touched = lease.execute(statements::TOUCH, &values).await? > 0;
        if !touched {
            // The statement skips a record of another format. Reading that record returns the error.
            lease.record(statements::READ, key, visit.now).await?;
        }
        lease.give_back();
        Ok(touched)
    }

    /// Deletes expired records in batches, so that other operations get their turn in between.
    async fn delete_expired(&self, now: u64) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let batch = self.change(D::DELETE_EXPIRED, &[Number(now), Number(BATCH)]).await?;
            deleted += batch;
            if batch < BATCH {
                return Ok(deleted);
            }
        }
    }

    async fn list(&self, owner: &str, now: u64) -> Result<Vec<SessionInfo>, StoreError> {
        let mut lease = self.connections.to_read().await?;
        let infos = lease.infos(statements::LIST, &[Text(owner), Number(now)]).await?;
        lease.give_back();
        Ok(infos)
    }

    async fn delete(&self, key: &RecordKey) -> Result<bool, StoreError> {
        Ok(self.change(statements::DELETE, &[Bytes(key.hash())]).await? > 0)
    }

    async fn delete_by_id(&self, id: SessionId) -> Result<bool, StoreError> {
        Ok(self.change(statements::DELETE_BY_ID, &[Bytes(id.as_bytes())]).await? > 0)
    }

    async fn delete_by_owner(&self, owner: &str) -> Result<u64, StoreError> {
        self.change(statements::DELETE_BY_OWNER, &[Text(owner)]).await
    }

    /// Runs one statement, and returns how many rows it changed.
    async fn change(&self, statement: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let mut lease = self.connections.to_write().await?;
        let changed = lease.execute(statement, values).await?;
        lease.give_back();
        Ok(changed)
    }
}

impl<D: Dialect> Clone for SqlStore<D> {
    fn clone(&self) -> Self {
        Self { connections: Arc::clone(&self.connections) }
    }
}

/// One update of a record, or one rename.
struct Step<'a> {
    from: &'a RecordKey,
    /// The new key, for a rename.
    to: Option<&'a RecordKey>,
    write: Write<'a>,
}

impl Step<'_> {
    /// Writes the changed `record`. Returns `None` if the stored record has another version, or is gone.
    async fn replace<D: Dialect>(
        &self,
        lease: &mut Lease<'_, D>,
        record: &Record,
    ) -> Result<Option<Updated>, StoreError> {
        let (changed, updated) = if self.write.leaves_nothing_of(record) {
            (self.remove(lease, record).await?, Updated::Removed)
        } else {
            (self.rewrite(lease, record).await?, Updated::Written { version: record.version + 1 })
        };
        Ok((changed > 0).then_some(updated))
    }

    async fn remove<D: Dialect>(&self, lease: &mut Lease<'_, D>, record: &Record) -> Result<u64, StoreError> {
        let values = [Bytes(self.from.hash()), Number(record.version), Number(self.write.visit.now)];
        lease.execute(statements::REMOVE, &values).await
    }

    async fn rewrite<D: Dialect>(&self, lease: &mut Lease<'_, D>, record: &Record) -> Result<u64, StoreError> {
        let data = data_after(&self.write, &record.entries);
        let values = [
            Bytes(self.from.hash()),
            Number(record.version),
            Number(self.write.visit.now),
            Text(&data),
            Number(self.write.visit.expires_at),
            TextOrNull(self.write.owner_after(record)),
            TextOrNull(self.write.label_after(record)),
        ];
        let Some(to) = self.to else {
            return lease.execute(statements::UPDATE, &values).await;
        };
        let id = to.id();
        let moved = [Bytes(to.hash()), Bytes(id.as_bytes()), Number(self.write.created_at)];
        lease.execute(statements::RENAME, &[&values[..], &moved].concat()).await
    }

    /// Does the step in a transaction, after another request wrote to the record.
    async fn settle<D: Dialect>(&self, lease: &mut Lease<'_, D>) -> Result<Updated, StoreError> {
        lease.begin().await?;
        let settled = self.settle_alone(lease).await;
        lease.end(settled).await
    }

    async fn settle_alone<D: Dialect>(&self, lease: &mut Lease<'_, D>) -> Result<Updated, StoreError> {
        match lease.record(D::READ_LOCKED, self.from, self.write.visit.now).await? {
            Some(_) if self.write.only_if_unchanged => Ok(Updated::Conflict),
            // The record is locked: no other write can come between this read and `replace`.
            Some(record) => Ok(self.replace(lease, &record).await?.unwrap_or(Updated::Gone)),
            None => self.moved_before(lease).await,
        }
    }

    /// Looks for the result of an earlier attempt of this rename, in case its answer was lost.
    async fn moved_before<D: Dialect>(&self, lease: &mut Lease<'_, D>) -> Result<Updated, StoreError> {
        let Some(to) = self.to else { return Ok(Updated::Gone) };
        let moved = lease.record(statements::READ, to, self.write.visit.now).await?;
        Ok(moved.map_or(Updated::Gone, |record| Updated::Written { version: record.version }))
    }
}

async fn make_table<D: Dialect>(lease: &mut Lease<'_, D>) -> Result<(), StoreError> {
    lease.run(D::ALONE).await?;
    lease.run(D::SCHEMA).await
}

/// Returns all entries after the changes, as the text of one JSON object.
fn data_after(write: &Write<'_>, entries: &Entries) -> String {
    let mut body = Vec::new();
    write.changes.write(entries, &mut body);
    String::from_utf8(body).expect("keys and values are text")
}

/// The longest wait for other processes that create the table in the same file.
const START: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);
/// The number of expired records that one statement deletes.
const BATCH: u64 = 1_000;

/// Defines the public store of one database. The arguments in braces are the docs of the struct and of two methods.
macro_rules! store {
    (
        $store:ident, $database:ty, $pool:ty,
        { $(#[$docs:meta])* } from_pool { $(#[$from_pool:meta])* } migrate { $(#[$migrate:meta])* }
    ) => {
        $(#[$docs])*
        #[derive(Clone)]
        pub struct $store($crate::sql::SqlStore<$database>);

        impl $store {
            /// Creates a store on a connection pool of the application.
            ///
            /// Each operation borrows a connection from the pool. The settings of the pool apply, such as its timeouts.
            /// sqlx tests a connection each time it is given back, which is one more round trip. A store from
            /// [`connect`](Self::connect) does not need that test.
            ///
            /// # Examples
            ///
            $(#[$from_pool])*
            #[must_use]
            pub fn from_pool(pool: $pool) -> Self {
                Self($crate::sql::SqlStore::new($crate::sql::connections::Connections::shared(pool)))
            }

            /// Creates the [table](crate#the-table) and its indexes if they are missing.
            ///
            /// Call it at every start of the application. Several processes may call it at the same time.
            ///
            /// # Errors
            ///
            /// - [`StoreErrorKind::Unavailable`](session_core::store::StoreErrorKind::Unavailable) if the database
            ///   cannot be reached.
            /// - [`StoreErrorKind::Refused`](session_core::store::StoreErrorKind::Refused) if the database does not
            ///   allow this user to create a table.
            ///
            /// # Examples
            ///
            $(#[$migrate])*
            pub async fn migrate(&self) -> Result<(), StoreError> {
                self.0.migrate().await
            }
        }

        impl SessionStore for $store {
            fn load<'a>(&'a self, key: &'a RecordKey, now: u64) -> StoreFuture<'a, Option<Record>> {
                Box::pin(self.0.load(key, now))
            }

            fn create<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, ()> {
                Box::pin(self.0.create(key, write))
            }

            fn update<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
                Box::pin(self.0.update(key, write))
            }

            fn touch<'a>(&'a self, key: &'a RecordKey, visit: Visit) -> StoreFuture<'a, bool> {
                Box::pin(self.0.touch(key, visit))
            }

            fn rename<'a>(
                &'a self,
                from: &'a RecordKey,
                to: &'a RecordKey,
                write: Write<'a>,
            ) -> StoreFuture<'a, Updated> {
                Box::pin(self.0.rename(from, to, write))
            }

            fn delete<'a>(&'a self, key: &'a RecordKey) -> StoreFuture<'a, bool> {
                Box::pin(self.0.delete(key))
            }

            fn delete_expired(&self, now: u64) -> StoreFuture<'_, u64> {
                Box::pin(self.0.delete_expired(now))
            }

            fn list<'a>(&'a self, owner: &'a str, now: u64) -> StoreFuture<'a, Vec<SessionInfo>> {
                Box::pin(self.0.list(owner, now))
            }

            fn delete_by_id(&self, id: SessionId) -> StoreFuture<'_, bool> {
                Box::pin(self.0.delete_by_id(id))
            }

            fn delete_by_owner<'a>(&'a self, owner: &'a str) -> StoreFuture<'a, u64> {
                Box::pin(self.0.delete_by_owner(owner))
            }
        }

        impl fmt::Debug for $store {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($store)).finish_non_exhaustive()
            }
        }
    };
}
use store;
