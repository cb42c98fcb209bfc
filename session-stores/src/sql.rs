//! Sessions in a table: one implementation, two dialects.

mod connections;
mod dialect;
mod error;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statements;

use std::sync::Arc;

use session_core::{Entries, Record, RecordKey, SessionId, SessionInfo, StoreError, Updated, Visit, Write};

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

/// What [`SqliteStore`] and [`PostgresStore`] are made of.
struct SqlStore<D: Dialect> {
    connections: Arc<Connections<D>>,
}

impl<D: Dialect> SqlStore<D> {
    fn new(connections: Connections<D>) -> Self {
        Self { connections: Arc::new(connections) }
    }

    async fn migrate(&self) -> Result<(), StoreError> {
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

    /// In the usual case nobody wrote since the record was read, and one statement does it. Otherwise the record is
    /// locked and read again.
    async fn write(&self, step: Step<'_>) -> Result<Updated, StoreError> {
        let mut lease = self.connections.to_write().await?;
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
            // One of another format was left alone, and is an error.
            lease.record(statements::READ, key, visit.now).await?;
        }
        lease.give_back();
        Ok(touched)
    }

    /// In batches, so that others get their turn in between.
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

    /// Runs one statement, and answers how many rows it changed.
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

/// An update, or with another key to move to a rename.
struct Step<'a> {
    from: &'a RecordKey,
    to: Option<&'a RecordKey>,
    write: Write<'a>,
}

impl Step<'_> {
    /// Writes what becomes of `record`. `None` if it is not as it was, or not there, any more.
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

    /// Somebody else was there since the record was read.
    async fn settle<D: Dialect>(&self, lease: &mut Lease<'_, D>) -> Result<Updated, StoreError> {
        lease.begin().await?;
        let settled = self.settle_alone(lease).await;
        lease.end(settled).await
    }

    async fn settle_alone<D: Dialect>(&self, lease: &mut Lease<'_, D>) -> Result<Updated, StoreError> {
        match lease.record(D::READ_LOCKED, self.from, self.write.visit.now).await? {
            Some(_) if self.write.only_if_unchanged => Ok(Updated::Conflict),
            Some(record) => Ok(self.replace(lease, &record).await?.unwrap_or(Updated::Gone)),
            None => self.moved_before(lease).await,
        }
    }

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

/// All values after the changes, as the text of one JSON object.
fn data_after(write: &Write<'_>, entries: &Entries) -> String {
    let mut body = Vec::new();
    write.changes.write(entries, &mut body);
    String::from_utf8(body).expect("keys and values are text")
}

/// How many expired records one statement removes.
const BATCH: u64 = 1_000;

/// The store of one database, as its users see it.
macro_rules! store {
    ($store:ident, $database:ty, $pool:ty, $(#[$docs:meta])*) => {
        $(#[$docs])*
        ///
        /// It is a handle: clones share their connections.
        #[derive(Clone)]
        pub struct $store($crate::sql::SqlStore<$database>);

        impl $store {
            /// A store on a pool that the application has anyway: a connection is borrowed for each operation.
            ///
            /// The pool's own settings count, such as how long a lock is waited for. sqlx tests a connection each time
            /// it comes back; [`connect`](Self::connect) makes a pool of the store's own that is spared that.
            #[must_use]
            pub fn from_pool(pool: $pool) -> Self {
                Self($crate::sql::SqlStore::new($crate::sql::connections::Connections::shared(pool)))
            }

            /// Makes the [table](crate#the-table) and its indexes where they are missing. It may be called at every
            /// start, and by several processes at once.
            ///
            /// # Errors
            ///
            /// When the database cannot be reached, or does not let this user make a table.
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
