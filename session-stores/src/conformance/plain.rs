//! The simplest store that keeps the contract: a map under one lock. It is used to test the suite itself.

use std::{
    collections::HashMap,
    future::ready,
    sync::{Mutex, MutexGuard, PoisonError},
};

use session_core::{
    SessionId,
    store::{
        Entries, Record, RecordKey, SessionInfo, SessionStore, StoreError, StoreErrorKind, StoreFuture, Updated, Visit,
        Write,
    },
};

#[derive(Default)]
pub(crate) struct PlainStore {
    records: Mutex<HashMap<RecordKey, Record>>,
}

impl PlainStore {
    fn records(&self) -> MutexGuard<'_, HashMap<RecordKey, Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn move_to(&self, from: &RecordKey, to: &RecordKey, write: Write<'_>) -> Updated {
        let mut records = self.records();
        let now = write.visit.now;
        let moved_before = from != to && records.get(to).is_some_and(|record| !record.is_expired(now));
        let Some(record) = records.get(from).filter(|record| !record.is_expired(now)) else {
            return if moved_before { Updated::Written { version: records[to].version } } else { Updated::Gone };
        };
        if write.only_if_unchanged && write.base.is_some_and(|read| read.version != record.version) {
            return Updated::Conflict;
        }
        let after = (!write.leaves_nothing_of(record)).then(|| applied(to, record, write));
        records.remove(from);
        let Some(record) = after else { return Updated::Removed };
        let version = record.version;
        records.insert(*to, record);
        Updated::Written { version }
    }

    fn remove(&self, doomed: impl Fn(&Record) -> bool) -> u64 {
        let mut records = self.records();
        let before = records.len();
        records.retain(|_, record| !doomed(record));
        (before - records.len()) as u64
    }
}

fn applied(key: &RecordKey, record: &Record, write: Write<'_>) -> Record {
    Record {
        id: key.id(),
        created_at: write.created_at,
        seen_at: write.visit.now,
        expires_at: write.visit.expires_at,
        owner: write.owner_after(record).map(str::to_owned),
        label: write.label_after(record).map(str::to_owned),
        entries: Entries::from_texts(write.fields_after(&record.entries)).unwrap(),
        version: record.version + 1,
    }
}

fn empty(id: SessionId) -> Record {
    Record {
        id,
        created_at: 0,
        seen_at: 0,
        expires_at: 0,
        owner: None,
        label: None,
        entries: Entries::default(),
        version: 0,
    }
}

impl SessionStore for PlainStore {
    fn load<'a>(&'a self, key: &'a RecordKey, now: u64) -> StoreFuture<'a, Option<Record>> {
        let record = self.records().get(key).filter(|record| !record.is_expired(now)).cloned();
        Box::pin(ready(Ok(record)))
    }

    fn create<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, ()> {
        let mut records = self.records();
        let now = write.visit.now;
        let is_live = |record: &Record| !record.is_expired(now);
        if records.iter().any(|(other, record)| other != key && other.id() == key.id() && is_live(record)) {
            let error = StoreError::new(StoreErrorKind::Refused, "another session has this id already");
            return Box::pin(ready(Err(error)));
        }
        if !records.get(key).is_some_and(is_live) {
            records.insert(*key, applied(key, &empty(key.id()), write));
        }
        Box::pin(ready(Ok(())))
    }

    fn update<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(ready(Ok(self.move_to(key, key, write))))
    }

    fn touch<'a>(&'a self, key: &'a RecordKey, visit: Visit) -> StoreFuture<'a, bool> {
        let mut records = self.records();
        let record = records.get_mut(key).filter(|record| !record.is_expired(visit.now));
        let touched = record.map(|record| {
            record.seen_at = record.seen_at.max(visit.now);
            record.expires_at = record.expires_at.max(visit.expires_at);
        });
        Box::pin(ready(Ok(touched.is_some())))
    }

    fn rename<'a>(&'a self, from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(ready(Ok(self.move_to(from, to, write))))
    }

    fn delete<'a>(&'a self, key: &'a RecordKey) -> StoreFuture<'a, bool> {
        Box::pin(ready(Ok(self.records().remove(key).is_some())))
    }

    fn delete_expired(&self, now: u64) -> StoreFuture<'_, u64> {
        Box::pin(ready(Ok(self.remove(|record| record.is_expired(now)))))
    }

    fn list<'a>(&'a self, owner: &'a str, now: u64) -> StoreFuture<'a, Vec<SessionInfo>> {
        let records = self.records();
        let owned = records.values().filter(|record| record.owner.as_deref() == Some(owner));
        let mut infos: Vec<_> = owned.filter(|record| !record.is_expired(now)).map(Record::info).collect();
        infos.sort_by_key(|info| std::cmp::Reverse(info.seen_at));
        Box::pin(ready(Ok(infos)))
    }

    fn delete_by_id(&self, id: SessionId) -> StoreFuture<'_, bool> {
        Box::pin(ready(Ok(self.remove(|record| record.id == id) > 0)))
    }

    fn delete_by_owner<'a>(&'a self, owner: &'a str) -> StoreFuture<'a, u64> {
        Box::pin(ready(Ok(self.remove(|record| record.owner.as_deref() == Some(owner)))))
    }
}

/// A store that works as most stores do: it reads the whole record, changes it, and writes the whole record.
#[derive(Default)]
pub(super) struct NaiveStore(PlainStore);

impl NaiveStore {
    async fn put(&self, key: &RecordKey, write: Write<'_>) -> Updated {
        tokio::task::yield_now().await;
        let record = applied(key, write.base.unwrap(), write);
        let version = record.version;
        self.0.records().insert(*key, record);
        Updated::Written { version }
    }
}

impl SessionStore for NaiveStore {
    fn load<'a>(&'a self, key: &'a RecordKey, now: u64) -> StoreFuture<'a, Option<Record>> {
        self.0.load(key, now)
    }

    fn create<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, ()> {
        self.0.create(key, write)
    }

    fn update<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(async move { Ok(self.put(key, write).await) })
    }

    fn touch<'a>(&'a self, key: &'a RecordKey, visit: Visit) -> StoreFuture<'a, bool> {
        self.0.touch(key, visit)
    }

    fn rename<'a>(&'a self, from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(async move {
            self.0.delete(from).await?;
            Ok(self.put(to, write).await)
        })
    }

    fn delete<'a>(&'a self, key: &'a RecordKey) -> StoreFuture<'a, bool> {
        self.0.delete(key)
    }

    fn delete_expired(&self, now: u64) -> StoreFuture<'_, u64> {
        self.0.delete_expired(now)
    }

    fn list<'a>(&'a self, owner: &'a str, now: u64) -> StoreFuture<'a, Vec<SessionInfo>> {
        self.0.list(owner, now)
    }

    fn delete_by_id(&self, id: SessionId) -> StoreFuture<'_, bool> {
        self.0.delete_by_id(id)
    }

    fn delete_by_owner<'a>(&'a self, owner: &'a str) -> StoreFuture<'a, u64> {
        self.0.delete_by_owner(owner)
    }
}
