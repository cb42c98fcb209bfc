//! Stores in real databases.

mod connections;
mod damaged;
mod encrypted;
mod mariadb;
mod postgres;
mod races;
mod redis;
mod redis_cluster;
mod redis_sentinel;
mod sqlite;
mod tables;
mod tls;

use session_core::{
    SessionId,
    store::{
        Changes, ENDED_IS_KNOWN_FOR, End, Owner, Record, RecordKey, SessionStore, StoreError, StoreErrorKind, Updated,
        Visit, Write,
    },
};

/// A time that no clock of a database shows.
pub(crate) const NOW: u64 = 1_893_456_000;

pub(crate) const HOUR: u64 = 3_600;

/// The owner with this name, in the application without one.
pub(crate) const fn owner(name: &str) -> Owner<'_> {
    Owner { application: "", name }
}

/// The key of a session that no other test has.
pub(crate) fn fresh_key() -> RecordKey {
    let (id, half) = (SessionId::random().unwrap(), SessionId::random().unwrap());
    RecordKey::of_secret(id, &secret(half))
}

/// The same 16 bytes twice.
pub(crate) fn secret(half: SessionId) -> [u8; 32] {
    [*half.as_bytes(), *half.as_bytes()].concat().try_into().unwrap()
}

/// Where a renewed session goes.
pub(crate) fn renewed(key: &RecordKey) -> RecordKey {
    RecordKey::from_parts(key.id().renewed().unwrap(), *fresh_key().hash())
}

pub(crate) fn setting(key: &str, text: &str) -> Changes {
    let mut changes = Changes::default();
    changes.insert(key, text.to_owned());
    changes
}

pub(crate) fn write<'a>(changes: &'a Changes, read: Option<&'a Record>) -> Write<'a> {
    let visit = Visit { now: NOW, expires_at: NOW + HOUR };
    Write { base: read, ..Write::new(changes, visit) }
}

/// A record with one entry, as it was read.
pub(crate) async fn made(store: &dyn SessionStore, key: &RecordKey) -> Record {
    store.create(key, write(&setting("a", "1"), None)).await.unwrap();
    store.load(key, NOW).await.unwrap().live().unwrap()
}

pub(crate) async fn set(
    store: &dyn SessionStore,
    key: &RecordKey,
    read: &Record,
    entry: &str,
) -> Result<Updated, StoreError> {
    store.update(key, write(&setting(entry, "1"), Some(read))).await
}

/// Makes, reads, changes and removes a record, and its tombstone.
pub(crate) async fn assert_works(store: &dyn SessionStore) {
    let key = fresh_key();
    let read = made(store, &key).await;
    assert_eq!(set(store, &key, &read, "b").await.unwrap(), Updated::Written { version: read.version + 1 });
    assert_eq!(store.load(&key, NOW).await.unwrap().live().unwrap().entries.get("b"), Some("1"));
    assert!(store.delete(&key, End::Deleted, NOW).await.unwrap());
    assert!(store.load(&key, NOW).await.unwrap().live().is_none());
    store.delete_expired(NOW + ENDED_IS_KNOWN_FOR + 1).await.unwrap();
}

/// All that an error says, to whomever: its sentences, and what `{:?}` shows.
pub(crate) fn all_of(error: &StoreError) -> String {
    let mut text = format!("{error:?} {error:#?} {error}");
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text += &format!(" {error} {error:?}");
        source = error.source();
    }
    text
}

#[track_caller]
pub(crate) fn assert_kind<T: std::fmt::Debug>(result: Result<T, StoreError>, kind: StoreErrorKind) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{}", all_of(&error));
    all_of(&error)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
