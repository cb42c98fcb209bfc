//! The helpers that all tests share: fresh keys, and shorter forms of the operations.

use session_core::{
    Clock, SessionId,
    store::{
        Changes, End, Lookup, Metadata, Owner, Record, RecordKey, SessionStore, Spared, StoreError, Updated, Visit,
        Write,
    },
    unix_seconds,
};

/// A store in one test. Other tests may use the same store, so every key and owner is fresh.
pub(super) struct Trial<'a> {
    pub(super) store: &'a dyn SessionStore,
    pub(super) now: u64,
}

impl<'a> Trial<'a> {
    pub(super) fn new(store: &'a dyn SessionStore, clock: &impl Clock) -> Self {
        Self { store, now: unix_seconds(clock.now()) }
    }

    /// Returns an empty draft of a session that lives for an hour.
    pub(super) fn draft(&self) -> Draft {
        Draft {
            changes: Changes::default(),
            created_at: None,
            visit: Visit { now: self.now, expires_at: self.now + HOUR },
            application: "",
            exact: false,
        }
    }

    /// Creates a record with these entries, and reads it.
    pub(super) async fn made(&self, entries: &[(&str, &str)]) -> (RecordKey, Record) {
        self.made_of(&self.draft().set_all(entries)).await
    }

    pub(super) async fn made_of(&self, draft: &Draft) -> (RecordKey, Record) {
        let key = fresh_key();
        self.create(&key, draft).await;
        (key, self.read(&key).await)
    }

    pub(super) async fn create(&self, key: &RecordKey, draft: &Draft) {
        answer(self.store.create(key, draft.write(None)).await);
    }

    pub(super) async fn load(&self, key: &RecordKey) -> Option<Record> {
        self.load_at(key, self.now).await
    }

    pub(super) async fn load_at(&self, key: &RecordKey, now: u64) -> Option<Record> {
        self.lookup_at(key, now).await.live()
    }

    pub(super) async fn lookup_at(&self, key: &RecordKey, now: u64) -> Lookup {
        answer(self.store.load(key, now).await)
    }

    /// Returns the tombstone under `key`; `None` if the session is alive or unknown.
    pub(super) async fn end_of(&self, key: &RecordKey) -> Option<End> {
        self.end_at(key, self.now).await
    }

    pub(super) async fn end_at(&self, key: &RecordKey, now: u64) -> Option<End> {
        match self.lookup_at(key, now).await {
            Lookup::Ended(end) => Some(end),
            Lookup::Live(_) | Lookup::Expired | Lookup::Unknown => None,
        }
    }

    /// Reads a record that must exist.
    pub(super) async fn read(&self, key: &RecordKey) -> Record {
        self.load(key).await.expect("the record is there")
    }

    pub(super) async fn exists(&self, key: &RecordKey) -> bool {
        self.load(key).await.is_some()
    }

    pub(super) async fn update(&self, key: &RecordKey, read: &Record, draft: &Draft) -> Updated {
        answer(self.store.update(key, draft.write(Some(read))).await)
    }

    pub(super) async fn rename(&self, from: &RecordKey, to: &RecordKey, read: &Record, draft: &Draft) -> Updated {
        answer(self.store.rename(from, to, draft.write(Some(read))).await)
    }

    pub(super) async fn touch(&self, key: &RecordKey, now: u64, expires_at: u64) -> bool {
        answer(self.store.touch(key, Visit { now, expires_at }).await)
    }

    pub(super) async fn delete(&self, key: &RecordKey) -> bool {
        answer(self.store.delete(key, End::Deleted, self.now).await)
    }

    pub(super) async fn delete_by_id(&self, id: SessionId) -> bool {
        answer(self.store.delete_by_id(id, self.now).await)
    }

    pub(super) async fn delete_by_owner(&self, owner: &str) -> u64 {
        self.delete_others(owner, Spared::default()).await
    }

    pub(super) async fn delete_others(&self, owner: &str, spared: Spared) -> u64 {
        answer(self.store.delete_by_owner(owner_of(owner), spared, self.now).await)
    }

    pub(super) async fn count(&self, owner: &str) -> u64 {
        answer(self.store.count(owner_of(owner), self.now).await)
    }

    /// Returns the ids in the owner's list, in the order of the list.
    pub(super) async fn listed(&self, owner: &str) -> Vec<SessionId> {
        self.listed_at(owner, self.now).await
    }

    pub(super) async fn listed_at(&self, owner: &str, now: u64) -> Vec<SessionId> {
        self.listed_of(owner_of(owner), now, 100).await
    }

    pub(super) async fn listed_of(&self, owner: Owner<'_>, now: u64, limit: u64) -> Vec<SessionId> {
        answer(self.store.list(owner, now, limit).await).iter().map(|info| info.key.id()).collect()
    }
}

/// A write that does not borrow the record it is based on.
#[derive(Clone)]
pub(super) struct Draft {
    changes: Changes,
    created_at: Option<u64>,
    visit: Visit,
    application: &'static str,
    exact: bool,
}

impl Draft {
    pub(super) fn set(mut self, key: &str, text: &str) -> Self {
        if key == "$" {
            self.changes.set_metadata(Metadata::from_json(text));
        } else {
            self.changes.insert(key, text.to_owned());
        }
        self
    }

    pub(super) fn set_all(self, entries: &[(&str, &str)]) -> Self {
        entries.iter().fold(self, |draft, (key, text)| draft.set(key, text))
    }

    pub(super) fn remove(mut self, key: &str) -> Self {
        self.changes.remove(key);
        self
    }

    pub(super) fn clear(mut self, read: &Record) -> Self {
        self.changes.clear(&read.entries);
        self
    }

    pub(super) fn renew(mut self) -> Self {
        self.changes.renew();
        self
    }

    pub(super) fn rotate(mut self) -> Self {
        self.changes.rotate();
        self
    }

    pub(super) const fn application(mut self, application: &'static str) -> Self {
        self.application = application;
        self
    }

    pub(super) fn owner(mut self, owner: &str) -> Self {
        self.changes.set_owner(owner.to_owned());
        self
    }

    pub(super) fn label(mut self, label: &str) -> Self {
        self.changes.set_label(label.to_owned());
        self
    }

    pub(super) const fn created_at(mut self, seconds: u64) -> Self {
        self.created_at = Some(seconds);
        self
    }

    pub(super) const fn visit(mut self, now: u64, expires_at: u64) -> Self {
        self.visit = Visit { now, expires_at };
        self
    }

    pub(super) const fn exact(mut self) -> Self {
        self.exact = true;
        self
    }

    pub(super) fn write<'a>(&'a self, read: Option<&'a Record>) -> Write<'a> {
        let created_at = self.created_at.or(read.map(|record| record.created_at));
        Write {
            changes: &self.changes,
            base: read,
            created_at: created_at.unwrap_or(self.visit.now),
            visit: self.visit,
            application: self.application,
            only_if_unchanged: self.exact,
        }
    }
}

/// Returns a new random key.
pub(super) fn fresh_key() -> RecordKey {
    let mut secret = [0; 32];
    secret[..16].copy_from_slice(fresh_id().as_bytes());
    secret[16..].copy_from_slice(fresh_id().as_bytes());
    RecordKey::of_secret(fresh_id(), &secret)
}

/// Returns a new key in the same shard, for a rename.
pub(super) fn renewed(key: &RecordKey) -> RecordKey {
    let id = key.id().renewed().expect("the system has randomness");
    RecordKey::from_parts(id, *fresh_key().hash())
}

/// Returns a new random owner.
pub(super) fn fresh_owner() -> String {
    format!("owner {}", fresh_id())
}

/// Returns the owner with this name in the application without a name.
pub(super) const fn owner_of(name: &str) -> Owner<'_> {
    Owner { application: "", name }
}

pub(super) fn fresh_id() -> SessionId {
    SessionId::random().expect("the system has randomness")
}

/// Returns the entries, sorted by key.
pub(super) fn entries_of(record: &Record) -> Vec<(&str, &str)> {
    let mut entries: Vec<_> = record.entries.fields().collect();
    entries.sort_unstable();
    entries
}

pub(super) const fn is_written(updated: Updated) -> bool {
    matches!(updated, Updated::Written { .. })
}

#[track_caller]
pub(super) fn answer<T>(result: Result<T, StoreError>) -> T {
    result.unwrap_or_else(|error| panic!("{error}: {}", std::error::Error::source(&error).expect("there is a reason")))
}

pub(super) const HOUR: u64 = 3_600;
