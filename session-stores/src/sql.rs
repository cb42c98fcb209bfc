//! Sessions in a table: one implementation for SQLite, Postgres and MariaDB.

mod connections;
mod dialect;
mod error;
#[cfg(feature = "compat")]
mod former;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statements;

use std::{collections::HashMap, sync::Arc, time::Duration};

use session_core::{
    SessionId,
    store::{
        Cursor, ENDED_IS_KNOWN_FOR, EXPIRED_IS_KNOWN_FOR, End, Entries, Lookup, Owner, Page, Record, RecordKey,
        SessionInfo, Spared, StoreError, StoreErrorKind, Updated, Visit, Write,
    },
};
use tokio::time::{Instant, sleep};

#[cfg(feature = "compat")]
pub(crate) use self::former::FormerTable;
#[cfg(feature = "mysql")]
pub use self::mysql::MySqlStore;
#[cfg(feature = "postgres")]
pub use self::postgres::PostgresStore;
#[cfg(feature = "sqlite")]
pub use self::sqlite::SqliteStore;
use self::{
    connections::{Connections, Lease, step_aside},
    dialect::{
        Dialect, Value,
        Value::{Bytes, BytesOrNull, Number, Text, TextOrNull},
    },
    row::columns_of,
};

/// The store inside `SqliteStore`, `PostgresStore` and `MySqlStore`.
struct SqlStore<D: Dialect> {
    connections: Arc<Connections<D>>,
}

impl<D: Dialect> SqlStore<D> {
    fn new(connections: Connections<D>) -> Self {
        Self { connections: Arc::new(connections) }
    }

    /// Creates the table and its indexes. Several processes may do it at the same time, at the start of an application:
    /// each of them waits for the others. A file has one lock for all of them, and so needs more patience than a
    /// request has.
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
        // The user may not be allowed to create tables, if another user has created this one.
        if lease.rows(statements::READ, &[Bytes(&[])]).await.is_ok() {
            lease.give_back();
            return Ok(());
        }
        lease.begin().await?;
        let made = make_table(&mut lease).await;
        lease.end(made).await?;
        lease.give_back();
        Ok(())
    }

    async fn load(&self, key: &RecordKey, now: u64) -> Result<Lookup, StoreError> {
        let mut lease = self.connections.to_read().await?;
        let lookup = lease.look_for(statements::READ, key, now).await?;
        lease.give_back();
        Ok(lookup)
    }

    async fn look_up(&self, keys: &[RecordKey], now: u64) -> Result<Vec<Lookup>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut lease = self.connections.to_read().await?;
        let mut rows = HashMap::new();
        for part in keys.chunks(statements::MOST_KEYS) {
            let hashes: Vec<_> = part.iter().map(|key| Bytes(key.hash())).collect();
            let found = lease.rows(statements::look_up(part.len()), &statements::padded(&hashes)).await?;
            rows.extend(found.into_iter().map(|row| (row.key().to_vec(), row)));
        }
        lease.give_back();
        let lookup = |key: &RecordKey| match rows.get(key.hash().as_slice()) {
            Some(row) => row.clone().into_lookup(key.id(), now).unwrap_or(Lookup::Unknown),
            None => Lookup::Unknown,
        };
        Ok(keys.iter().map(lookup).collect())
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
            Text(write.application),
            TextOrNull(write.changes.owner()),
            TextOrNull(write.changes.label()),
        ];
        let mut lease = self.connections.to_write().await?;
        let created = match D::REPLACE {
            None => lease.execute(D::CREATE, &values).await? > 0,
            Some(replace) => lease.insert(D::CREATE, &values).await? || lease.execute(replace, &values).await? > 0,
        };
        // There is a row: the result of an earlier attempt of this operation, or a tombstone.
        if !created {
            match lease.look_for(statements::READ, key, write.visit.now).await? {
                Lookup::Ended(_) => return Err(StoreError::new(StoreErrorKind::Refused, "the session has ended")),
                // Either another record has the id: then this returns the error. Or the expired record was swept after
                // the first attempt: then this creates the record.
                Lookup::Unknown if D::REPLACE.is_some() => drop(lease.execute(D::CREATE, &values).await?),
                _ => {}
            }
        }
        lease.give_back();
        Ok(())
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
        // A deadlock can end the transaction of a step. Then the step has changed nothing, and is taken again.
        let mut attempt = 1;
        let mut updated = step.take(&mut lease).await;
        while updated.is_err() && lease.may_begin_again() {
            step_aside(attempt).await;
            attempt += 1;
            updated = step.take(&mut lease).await;
        }
        let updated = updated?;
        lease.give_back();
        Ok(updated)
    }

    async fn touch(&self, key: &RecordKey, visit: Visit) -> Result<bool, StoreError> {
        let mut lease = self.connections.to_write().await?;
        let values = [Bytes(key.hash()), Number(visit.now), Number(visit.expires_at)];
        let touched = lease.execute(statements::TOUCH, &values).await? > 0;
        if !touched {
            // The statement skips a record of another format. Reading that record returns the error.
            lease.look_for(statements::READ, key, visit.now).await?;
        }
        lease.give_back();
        Ok(touched)
    }

    /// Deletes tombstones and expired records in batches, so that other operations get their turn in between.
    async fn delete_expired(&self, now: u64) -> Result<u64, StoreError> {
        let tombstones = self.delete_before(D::DELETE_TOMBSTONES, now).await?;
        let Some(day_before) = now.checked_sub(EXPIRED_IS_KNOWN_FOR) else { return Ok(tombstones) };
        Ok(tombstones + self.delete_before(D::DELETE_EXPIRED, day_before).await?)
    }

    async fn delete_before(&self, statement: &'static str, second: u64) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let batch = self.change(statement, &[Number(second), Number(BATCH)]).await?;
            deleted += batch;
            if batch < BATCH {
                return Ok(deleted);
            }
        }
    }

    async fn list(&self, owner: Owner<'_>, now: u64, limit: u64) -> Result<Vec<SessionInfo>, StoreError> {
        let mut lease = self.connections.to_read().await?;
        let values = [Number(now), Text(owner.name), Text(owner.application), Number(limit)];
        let infos = lease.infos(statements::LIST, &values).await?;
        lease.give_back();
        Ok(infos)
    }

    async fn count(&self, owner: Owner<'_>, now: u64) -> Result<u64, StoreError> {
        self.read_number(statements::COUNT, &[Number(now), Text(owner.name), Text(owner.application)]).await
    }

    /// Reads a page of all sessions, in the order of their ids. The cursor is the last id of the page before.
    async fn all(&self, now: u64, cursor: Option<&Cursor>) -> Result<Page, StoreError> {
        let after = cursor.and_then(|cursor| cursor.as_str().parse::<SessionId>().ok());
        let after = after.as_ref().map_or(&[][..], |id| id.as_bytes());
        let mut lease = self.connections.to_read().await?;
        let sessions = lease.infos(statements::ALL, &[Number(now), Bytes(after), Number(PAGE)]).await?;
        lease.give_back();
        let is_full = sessions.len() as u64 == PAGE;
        let next = sessions.last().filter(|_| is_full).map(|last| Cursor::new(last.key.id().to_string()));
        Ok(Page { sessions, next })
    }

    async fn delete(&self, key: &RecordKey, end: End, now: u64) -> Result<bool, StoreError> {
        let (ended, successor) = columns_of(end);
        let successor = BytesOrNull(successor.as_ref().map(<[u8; 48]>::as_slice));
        let values = [Number(now), Number(known_until(now)), Bytes(key.hash()), Number(ended), successor];
        Ok(self.change(statements::END, &values).await? > 0)
    }

    async fn delete_by_id(&self, id: SessionId, now: u64) -> Result<bool, StoreError> {
        let values = [Number(now), Number(known_until(now)), Bytes(id.as_bytes())];
        Ok(self.change(statements::END_BY_ID, &values).await? > 0)
    }

    async fn delete_by_owner(&self, owner: Owner<'_>, spared: Spared, now: u64) -> Result<u64, StoreError> {
        let id = spared.id.as_ref().map_or(&[][..], |id| id.as_bytes());
        let (name, application) = (Text(owner.name), Text(owner.application));
        let values = [Number(now), name, application, Number(known_until(now)), Bytes(id), Number(spared.newest)];
        if spared.newest == 0 {
            return self.change(D::END_BY_OWNER, &values[..5]).await;
        }
        // The statement chooses the rows before it locks them. A session that is renamed in between has another key
        // then and is left out, so the sessions are counted again.
        let others = [Number(now), name, application, Bytes(id)];
        let mut ended = 0;
        for _ in 0..MOST_ROUNDS {
            if self.read_number(statements::COUNT_OTHERS, &others).await? <= spared.newest {
                break;
            }
            ended += self.change(D::END_OLDEST, &values).await?;
        }
        Ok(ended)
    }

    async fn read_number(&self, statement: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let mut lease = self.connections.to_read().await?;
        let number = lease.number(statement, values).await?;
        lease.give_back();
        Ok(number)
    }

    async fn delete_by_application(&self, application: &str, now: u64) -> Result<u64, StoreError> {
        let values = [Number(now), Number(known_until(now)), Text(application)];
        self.change(D::END_BY_APPLICATION, &values).await
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
    async fn take<D: Dialect>(&self, lease: &mut Lease<'_, D>) -> Result<Updated, StoreError> {
        // Usually no other request has written since this one read the record. Then its version is still the same, and
        // one statement with `version = ..` in its WHERE clause does all the work, in one round trip and without a
        // lock. If it changes no row, the record has another version or is gone: only then a transaction locks the
        // record, reads it again, and applies the changes to what is there now.
        let hoped = match self.write.base {
            Some(read) => self.replace(lease, read).await?,
            None => None,
        };
        match hoped {
            Some(updated) => Ok(updated),
            None => self.settle(lease).await,
        }
    }

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

    /// Removes a record of which nothing is left. A rename leaves a tombstone.
    async fn remove<D: Dialect>(&self, lease: &mut Lease<'_, D>, record: &Record) -> Result<u64, StoreError> {
        let now = self.write.visit.now;
        let values = [Bytes(self.from.hash()), Number(record.version), Number(now)];
        let Some(to) = self.to else { return lease.execute(statements::REMOVE, &values).await };
        let (ended, _) = columns_of(self.write.former_end(*to));
        let end = [Number(known_until(now)), Number(ended)];
        lease.execute(statements::END_UNCHANGED, &[&values[..], &end].concat()).await
    }

    async fn rewrite<D: Dialect>(&self, lease: &mut Lease<'_, D>, record: &Record) -> Result<u64, StoreError> {
        let write = self.write;
        let data = data_after(&write, &record.entries);
        let values = [
            Bytes(self.from.hash()),
            Number(record.version),
            Number(write.visit.now),
            Text(&data),
            Number(write.visit.expires_at),
            Number(u64::from(write.sets_end())),
            Text(write.application),
            TextOrNull(write.owner_after(record)),
            TextOrNull(write.label_after(record)),
        ];
        let Some(to) = self.to else {
            return lease.execute(statements::UPDATE, &values).await;
        };
        let (id, from) = (to.id(), self.from.id());
        let (ended, successor) = columns_of(write.former_end(*to));
        let moved = [Bytes(to.hash()), Bytes(id.as_bytes()), Number(write.created_at)];
        let tombstone = [
            Bytes(from.as_bytes()),
            Number(known_until(write.visit.now)),
            Number(ended),
            BytesOrNull(successor.as_ref().map(<[u8; 48]>::as_slice)),
        ];
        match D::RENAME {
            Some(rename) => lease.execute(rename, &[&values[..], &moved, &tombstone].concat()).await,
            None => self.move_row(lease, &[&values[..], &moved].concat(), tombstone).await,
        }
    }

    /// Moves the record and leaves a tombstone, with two statements in a transaction.
    async fn move_row<D: Dialect>(
        &self,
        lease: &mut Lease<'_, D>,
        values: &[Value<'_>],
        [id, known_until, ended, successor]: [Value<'_>; 4],
    ) -> Result<u64, StoreError> {
        let begins = !lease.is_in_transaction();
        if begins {
            lease.begin().await?;
        }
        let moved = async {
            let moved = lease.execute(statements::MOVE, values).await?;
            if moved > 0 {
                let (key, now) = (Bytes(self.from.hash()), Number(self.write.visit.now));
                lease.execute(statements::BURY, &[key, id, now, known_until, ended, successor]).await?;
            }
            Ok(moved)
        }
        .await;
        if begins { lease.end(moved).await } else { moved }
    }

    /// Does the step in a transaction, after another request wrote to the record.
    async fn settle<D: Dialect>(&self, lease: &mut Lease<'_, D>) -> Result<Updated, StoreError> {
        lease.begin().await?;
        let settled = self.settle_alone(lease).await;
        lease.end(settled).await
    }

    async fn settle_alone<D: Dialect>(&self, lease: &mut Lease<'_, D>) -> Result<Updated, StoreError> {
        match lease.look_for(D::READ_LOCKED, self.from, self.write.visit.now).await?.live() {
            Some(_) if self.write.only_if_unchanged => Ok(Updated::Conflict),
            // The record is locked: no other write can come between this read and `replace`.
            Some(record) => Ok(self.replace(lease, &record).await?.unwrap_or(Updated::Gone)),
            None => self.moved_before(lease).await,
        }
    }

    /// Looks for the result of an earlier attempt of this rename, in case its answer was lost.
    async fn moved_before<D: Dialect>(&self, lease: &mut Lease<'_, D>) -> Result<Updated, StoreError> {
        let Some(to) = self.to else { return Ok(Updated::Gone) };
        let moved = lease.look_for(statements::READ, to, self.write.visit.now).await?.live();
        Ok(moved.map_or(Updated::Gone, |record| Updated::Written { version: record.version }))
    }
}

async fn make_table<D: Dialect>(lease: &mut Lease<'_, D>) -> Result<(), StoreError> {
    if let Some(alone) = D::ALONE {
        lease.run(alone).await?;
    }
    // Another process may have changed the table while this one waited for it.
    if let Some(upgrade) = D::UPGRADE
        && lease.number(upgrade.is_due, &[]).await? > 0
    {
        lease.run(upgrade.script).await?;
    }
    lease.run(D::SCHEMA).await
}

/// Returns the last second in which the end of a session is known.
const fn known_until(now: u64) -> u64 {
    now.saturating_add(ENDED_IS_KNOWN_FOR)
}

/// Returns all entries after the changes, as the text of one JSON object.
fn data_after(write: &Write<'_>, entries: &Entries) -> String {
    let mut body = Vec::new();
    write.changes.write(entries, &mut body);
    String::from_utf8(body).expect("keys and values are text")
}

/// The longest wait for other processes that open the same file or create the table in it.
const START: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);
/// The number of expired records that one statement deletes.
const BATCH: u64 = 1_000;
/// How often the oldest sessions of an owner are chosen, if others change them at the same time.
const MOST_ROUNDS: u32 = 100;
/// The number of sessions on one page of all sessions.
const PAGE: u64 = 1_000;

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

            /// Creates the [table](crate#the-table) and its indexes if they are missing, and adds new columns to a
            /// table of a former version. If the table is up to date, the user needs no right to create or change it.
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
            $crate::sql::forward! {
                load(key: &'a RecordKey, now: u64) -> Lookup;
                look_up(keys: &'a [RecordKey], now: u64) -> Vec<Lookup>;
                create(key: &'a RecordKey, write: Write<'a>) -> ();
                update(key: &'a RecordKey, write: Write<'a>) -> Updated;
                touch(key: &'a RecordKey, visit: Visit) -> bool;
                rename(from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> Updated;
                delete(key: &'a RecordKey, end: End, now: u64) -> bool;
                list(owner: Owner<'a>, now: u64, limit: u64) -> Vec<SessionInfo>;
                count(owner: Owner<'a>, now: u64) -> u64;
                all(now: u64, cursor: Option<&'a Cursor>) -> Page;
                delete_by_owner(owner: Owner<'a>, spared: Spared, now: u64) -> u64;
                delete_by_application(application: &'a str, now: u64) -> u64;
            }

            fn delete_expired(&self, now: u64) -> StoreFuture<'_, u64> {
                Box::pin(self.0.delete_expired(now))
            }

            fn delete_by_id(&self, id: SessionId, now: u64) -> StoreFuture<'_, bool> {
                Box::pin(self.0.delete_by_id(id, now))
            }
        }

        impl fmt::Debug for $store {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($store)).finish_non_exhaustive()
            }
        }
    };
}
/// Implements operations of a store by those of the store inside.
macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        $(fn $name<'a>(&'a self, $($argument: $type),*) -> StoreFuture<'a, $answer> {
            Box::pin(self.0.$name($($argument),*))
        })+
    };
}
use forward;
use store;
