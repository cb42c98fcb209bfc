//! Records with encrypted values, over any store.

use crate::{
    base64url::{base64url, from_base64url},
    changes::Changes,
    contract::{SessionStore, StoreFuture},
    entries::Entries,
    format::Protection,
    id::{SessionId, fill},
    keys::Keys,
    metadata::RESERVED_PREFIX,
    record::{Cursor, End, Lookup, Owner, Page, Record, RecordKey, SessionInfo},
    seal::Ring,
    store_error::{StoreError, StoreErrorKind},
    write::{Spared, Updated, Visit, Write},
};

/// A store that encrypts the values of its records. It encrypts each value before the store inside sees it, and decrypts it
/// after a load.
///
/// A value opens only under its key and in its record: each record keeps a random text for life, to which its values
/// are bound. So a person who can write to the database cannot move a value to another key or session. That person can
/// still copy a whole record, and put back a former state of one. The names of the keys, the owner, the label, the
/// times and the metadata under `$` stay readable.
///
/// The first secret of the keys encrypts, and every secret decrypts: see [`Keys::with_fallback`]. A value keeps its
/// secret until it is written again. If no secret opens a value, the record is
/// [`Unreadable`](StoreErrorKind::Unreadable), and stays as it is. A record that was written without encryption is
/// unreadable too.
///
/// A write of a record that was read needs no further query. Otherwise the record is read first.
///
/// # Examples
///
/// ```
/// use session_core::{Keys, store::{EncryptedStore, SessionStore}};
///
/// fn encrypted(store: impl SessionStore, keys: &Keys) -> impl SessionStore {
///     EncryptedStore::new(store, keys)
/// }
/// ```
#[derive(Clone)]
pub struct EncryptedStore<S> {
    store: S,
    ring: Ring,
}

impl<S: SessionStore> EncryptedStore<S> {
    /// Creates a store that keeps its records in `store`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Keys, store::{EncryptedStore, SessionStore}};
    ///
    /// fn rotated(store: impl SessionStore, new: &str, old: &str) -> Result<impl SessionStore, session_core::KeyError> {
    ///     Ok(EncryptedStore::new(store, &Keys::new(new)?.with_fallback(old)?))
    /// }
    /// ```
    pub fn new(store: S, keys: &Keys) -> Self {
        Self { store, ring: keys.ring_of(Protection::Encrypted, b"record", "", "") }
    }

    fn open(&self, lookup: Lookup) -> Result<Lookup, StoreError> {
        match lookup {
            Lookup::Live(record) => self.opened(record).map(Lookup::Live).ok_or_else(unreadable),
            other => Ok(other),
        }
    }

    /// Decrypts a record. The result remembers the encrypted entries, as the base of a write.
    fn opened(&self, record: Record) -> Option<Record> {
        let seal = Seal::of(&record.entries)?;
        let mut metadata = record.entries.metadata().clone();
        metadata.seal = None;
        let metadata = metadata.to_json();
        let mut fields = Vec::new();
        for (key, text) in record.entries.fields() {
            match key {
                crate::metadata::RESERVED_KEY => fields.extend(metadata.clone().map(|text| (key, text))),
                _ if key.starts_with(RESERVED_PREFIX) => fields.push((key, text.to_owned())),
                _ => fields.push((key, seal.open(&self.ring, key, text)?)),
            }
        }
        let opened = Entries::from_texts(fields).ok()?;
        Some(Record { entries: opened.sealed_as(record.entries), ..record })
    }

    /// Creates a record, bound to a random text of its own.
    async fn create(&self, key: &RecordKey, write: Write<'_>) -> Result<(), StoreError> {
        let changes = self.encrypted(write.changes, &Entries::NONE, &Seal::random()?)?;
        self.store.create(key, Write { changes: &changes, base: None, ..write }).await
    }

    /// Updates a record, or renames it if `to` is not `None`.
    async fn write(&self, from: &RecordKey, to: Option<&RecordKey>, write: Write<'_>) -> Result<Updated, StoreError> {
        let base = match write.base.and_then(|read| Some((read, read.entries.sealed()?))) {
            Some((read, sealed)) => Some(Record { entries: sealed.clone(), ..read.clone() }),
            None => self.load_readable(from, write.visit.now).await?,
        };
        let is_another = |base: &Record| write.base.is_none_or(|read| read.version != base.version);
        if write.only_if_unchanged && base.as_ref().is_some_and(is_another) {
            return Ok(Updated::Conflict);
        }
        let nothing = Changes::NONE;
        let changes = match &base {
            Some(base) => {
                let seal = Seal::of(&base.entries).ok_or_else(unreadable)?;
                self.encrypted(write.changes, &base.entries, &seal)?
            }
            // There is no record, and the store says so. A rename may have been done before.
            None => nothing,
        };
        let write = Write { changes: &changes, base: base.as_ref(), ..write };
        match to {
            Some(to) => self.store.rename(from, to, write).await,
            None => self.store.update(from, write).await,
        }
    }

    /// Loads a record as it is in the store, if its values can be decrypted.
    async fn load_readable(&self, key: &RecordKey, now: u64) -> Result<Option<Record>, StoreError> {
        let Some(record) = self.store.load(key, now).await?.live() else { return Ok(None) };
        if self.opened(record.clone()).is_some() { Ok(Some(record)) } else { Err(unreadable()) }
    }

    fn encrypted(&self, changes: &Changes, base: &Entries, seal: &Seal) -> Result<Changes, StoreError> {
        let mut changes = changes.clone();
        for (key, text) in changes.texts_mut() {
            *text = seal.seal(&self.ring, key, text)?;
        }
        if changes.replaces_metadata() || Seal::of(base).is_none() {
            changes.change_metadata(base, |metadata| metadata.seal = Some(seal.to_text()));
        }
        Ok(changes)
    }
}

impl<S: SessionStore> SessionStore for EncryptedStore<S> {
    fn load<'a>(&'a self, key: &'a RecordKey, now: u64) -> StoreFuture<'a, Lookup> {
        Box::pin(async move { self.open(self.store.load(key, now).await?) })
    }

    fn look_up<'a>(&'a self, keys: &'a [RecordKey], now: u64) -> StoreFuture<'a, Vec<Lookup>> {
        Box::pin(async move {
            let found = self.store.look_up(keys, now).await?;
            Ok(found.into_iter().map(|lookup| self.open(lookup).unwrap_or(Lookup::Unknown)).collect())
        })
    }

    fn create<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, ()> {
        Box::pin(self.create(key, write))
    }

    fn update<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(self.write(key, None, write))
    }

    fn touch<'a>(&'a self, key: &'a RecordKey, visit: Visit) -> StoreFuture<'a, bool> {
        self.store.touch(key, visit)
    }

    fn rename<'a>(&'a self, from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(self.write(from, Some(to), write))
    }

    fn delete<'a>(&'a self, key: &'a RecordKey, end: End, now: u64) -> StoreFuture<'a, bool> {
        self.store.delete(key, end, now)
    }

    fn delete_expired(&self, now: u64) -> StoreFuture<'_, u64> {
        self.store.delete_expired(now)
    }

    fn list<'a>(&'a self, owner: Owner<'a>, now: u64, limit: u64) -> StoreFuture<'a, Vec<SessionInfo>> {
        self.store.list(owner, now, limit)
    }

    fn count<'a>(&'a self, owner: Owner<'a>, now: u64) -> StoreFuture<'a, u64> {
        self.store.count(owner, now)
    }

    fn all<'a>(&'a self, now: u64, cursor: Option<&'a Cursor>) -> StoreFuture<'a, Page> {
        self.store.all(now, cursor)
    }

    fn delete_by_id(&self, id: SessionId, now: u64) -> StoreFuture<'_, bool> {
        self.store.delete_by_id(id, now)
    }

    fn delete_by_owner<'a>(&'a self, owner: Owner<'a>, spared: Spared, now: u64) -> StoreFuture<'a, u64> {
        self.store.delete_by_owner(owner, spared, now)
    }

    fn delete_by_application<'a>(&'a self, application: &'a str, now: u64) -> StoreFuture<'a, u64> {
        self.store.delete_by_application(application, now)
    }
}

crate::opaque_debug!([S] EncryptedStore<S>);

/// The random text of a record, to which its values are bound. The record keeps it in its metadata.
struct Seal([u8; SEAL]);

impl Seal {
    fn random() -> Result<Self, StoreError> {
        let mut seal = [0; SEAL];
        fill(&mut seal).map_err(|error| StoreError::new(StoreErrorKind::Unavailable, error))?;
        Ok(Self(seal))
    }

    fn of(entries: &Entries) -> Option<Self> {
        let text = entries.metadata().seal.as_ref()?;
        from_base64url(text.as_bytes())?.try_into().ok().map(Self)
    }

    fn to_text(&self) -> String {
        base64url(&self.0)
    }

    fn seal(&self, ring: &Ring, key: &str, text: &str) -> Result<String, StoreError> {
        let sealed = ring.seal_value(text.as_bytes(), &self.bound(key));
        let sealed = sealed.map_err(|error| StoreError::new(StoreErrorKind::Unavailable, error))?;
        Ok(format!("\"{sealed}\""))
    }

    fn open(&self, ring: &Ring, key: &str, text: &str) -> Option<String> {
        let sealed = text.strip_prefix('"')?.strip_suffix('"')?;
        String::from_utf8(ring.open_value(sealed, &self.bound(key))?).ok()
    }

    fn bound(&self, key: &str) -> Vec<u8> {
        [&self.0, key.as_bytes()].concat()
    }
}

fn unreadable() -> StoreError {
    StoreError::new(StoreErrorKind::Unreadable, "none of the keys opens the values of this record")
}

/// The length of a record's random text, in bytes.
const SEAL: usize = 16;
