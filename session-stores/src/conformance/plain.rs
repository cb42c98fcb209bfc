//! The store of the contract's documentation, and a store that breaks the contract. They test the suite itself.

// This file is also the example in the documentation of `SessionStore`.
include!("../../../session-core/src/contract/example.rs");

pub(crate) use MyStore as PlainStore;

pub(super) mod broken;

/// A store that works as most stores do: it reads the whole record, changes it, and writes the whole record. It leaves
/// no tombstones, and keeps no applications apart.
#[derive(Default)]
pub(super) struct NaiveStore(PlainStore);

impl NaiveStore {
    async fn put(&self, key: &RecordKey, write: Write<'_>) -> Result<Updated, StoreError> {
        tokio::task::yield_now().await;
        let record = write.apply_to(write.base.unwrap(), *key)?;
        let version = record.version;
        self.0.rows().insert(*key, Row::Record(record));
        Ok(Updated::Written { version })
    }

    /// Deletes the records for which `is_meant` returns true.
    fn remove(&self, is_meant: impl Fn(&Record) -> bool) -> u64 {
        let mut rows = self.0.rows();
        let before = rows.len();
        rows.retain(|_, row| !matches!(row, Row::Record(record) if is_meant(record)));
        (before - rows.len()) as u64
    }
}

impl SessionStore for NaiveStore {
    fn load<'a>(&'a self, key: &'a RecordKey, now: u64) -> StoreFuture<'a, Lookup> {
        self.0.load(key, now)
    }

    fn look_up<'a>(&'a self, keys: &'a [RecordKey], now: u64) -> StoreFuture<'a, Vec<Lookup>> {
        self.0.look_up(keys, now)
    }

    fn create<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let record = write.apply_to(&Record::empty(*key), *key)?;
            self.0.rows().insert(*key, Row::Record(record));
            Ok(())
        })
    }

    fn update<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(self.put(key, write))
    }

    fn touch<'a>(&'a self, key: &'a RecordKey, visit: Visit) -> StoreFuture<'a, bool> {
        self.0.touch(key, visit)
    }

    fn rename<'a>(&'a self, from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(async move {
            self.0.rows().remove(from);
            self.put(to, write).await
        })
    }

    fn delete<'a>(&'a self, key: &'a RecordKey, _: End, _: u64) -> StoreFuture<'a, bool> {
        Box::pin(async move { Ok(self.remove(|record| record.key == *key) > 0) })
    }

    fn delete_expired(&self, now: u64) -> StoreFuture<'_, u64> {
        Box::pin(async move { Ok(self.remove(|record| record.is_expired(now))) })
    }

    fn list<'a>(&'a self, owner: Owner<'a>, now: u64, _: u64) -> StoreFuture<'a, Vec<SessionInfo>> {
        self.0.list(owner, now, u64::MAX)
    }

    fn count<'a>(&'a self, owner: Owner<'a>, now: u64) -> StoreFuture<'a, u64> {
        self.0.count(owner, now)
    }

    fn all<'a>(&'a self, now: u64, cursor: Option<&'a Cursor>) -> StoreFuture<'a, Page> {
        self.0.all(now, cursor)
    }

    fn delete_by_id(&self, id: SessionId, _: u64) -> StoreFuture<'_, bool> {
        Box::pin(async move { Ok(self.remove(|record| record.key.id() == id) > 0) })
    }

    fn delete_by_owner<'a>(&'a self, owner: Owner<'a>, _: Spared, _: u64) -> StoreFuture<'a, u64> {
        Box::pin(async move { Ok(self.remove(|record| record.owner.as_deref() == Some(owner.name))) })
    }

    fn delete_by_application<'a>(&'a self, _: &'a str, _: u64) -> StoreFuture<'a, u64> {
        Box::pin(async move { Ok(self.remove(|_| true)) })
    }
}
