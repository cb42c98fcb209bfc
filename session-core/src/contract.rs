//! The contract of a store: where sessions live when only their id travels.

use std::{borrow::Cow, error::Error, fmt, pin::Pin, sync::Arc};

use sha2::{Digest as _, Sha256};

use crate::{
    changes::{Base, Changes},
    entries::Entries,
    id::SessionId,
};

/// Where sessions live on the server: a table, a hash, a map. `session-stores` has four of them, and the suite that a
/// fifth must pass.
///
/// What every store promises:
///
/// - **Nothing is lost.** [`update`](Self::update) applies changes to the record as it is when they are written, not as
///   it was when it was read. Two requests that set different keys both land; of two that set one key, the later stands.
/// - **Nothing comes back.** Only [`create`](Self::create) makes a record. Every other operation on a key that is not
///   there changes nothing and says [`Updated::Gone`].
/// - **Nothing is half done.** Each operation happens as a whole or not at all, seen from every other one.
/// - **Nothing is overwritten that could not be read**: a record that makes no sense is a
///   [`StoreErrorKind::Unreadable`] error, and stays as it is.
/// - **The clock is the caller's.** Times are seconds since 1970 as the application counts them. A record whose
///   [`expires_at`](Record::expires_at) is before `now` counts as not there; a store with a clock of its own may only
///   use it for how long to keep what nobody asks for.
/// - **Asking twice is asking once.** An answer may be lost after the work was done, and then the caller asks again.
///   `create`, `touch` and `rename` answer the second time as they did the first; so does an `update` that is not
///   [exact](Write::only_if_unchanged). After a record was removed the answer is that there is none.
///
/// A future may be dropped at any moment, and with it the interest in the answer.
pub trait SessionStore: Send + Sync + 'static {
    /// The record under `key`; `None` when there is none, or when it has expired.
    fn load<'a>(&'a self, key: &'a RecordKey, now: u64) -> StoreFuture<'a, Option<Record>>;

    /// Makes a record of all that `write` says. If there is one under `key` already, it stays as it is.
    fn create<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, ()>;

    /// Applies what `write` changes to the record under `key`.
    fn update<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated>;

    /// Notes a visit: neither time ever moves back. Answers whether there was a record.
    fn touch<'a>(&'a self, key: &'a RecordKey, visit: Visit) -> StoreFuture<'a, bool>;

    /// Moves the record under `from` to `to`, and applies what `write` changes: at no moment are there both, or
    /// neither. When there is none under `from` but one under `to`, it has been moved before. Both keys have one
    /// [`shard`](RecordKey::shard).
    fn rename<'a>(&'a self, from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated>;

    /// Removes the record under `key`, and answers whether there was one.
    fn delete<'a>(&'a self, key: &'a RecordKey) -> StoreFuture<'a, bool>;

    /// Removes records that have expired, and answers how many: 0 where a server removes them by itself.
    fn delete_expired(&self, now: u64) -> StoreFuture<'_, u64>;

    /// The live sessions of `owner`, the one seen last first.
    fn list<'a>(&'a self, owner: &'a str, now: u64) -> StoreFuture<'a, Vec<SessionInfo>>;

    /// Removes the session with this public id, and answers whether there was one.
    fn delete_by_id(&self, id: SessionId) -> StoreFuture<'_, bool>;

    /// Removes every session of `owner`, and answers how many there were.
    fn delete_by_owner<'a>(&'a self, owner: &'a str) -> StoreFuture<'a, u64>;
}

/// A store that is shared, and one that is chosen while the application runs: an `Arc<dyn SessionStore>`.
impl<S: SessionStore + ?Sized> SessionStore for Arc<S> {
    fn load<'a>(&'a self, key: &'a RecordKey, now: u64) -> StoreFuture<'a, Option<Record>> {
        (**self).load(key, now)
    }

    fn create<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, ()> {
        (**self).create(key, write)
    }

    fn update<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        (**self).update(key, write)
    }

    fn touch<'a>(&'a self, key: &'a RecordKey, visit: Visit) -> StoreFuture<'a, bool> {
        (**self).touch(key, visit)
    }

    fn rename<'a>(&'a self, from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        (**self).rename(from, to, write)
    }

    fn delete<'a>(&'a self, key: &'a RecordKey) -> StoreFuture<'a, bool> {
        (**self).delete(key)
    }

    fn delete_expired(&self, now: u64) -> StoreFuture<'_, u64> {
        (**self).delete_expired(now)
    }

    fn list<'a>(&'a self, owner: &'a str, now: u64) -> StoreFuture<'a, Vec<SessionInfo>> {
        (**self).list(owner, now)
    }

    fn delete_by_id(&self, id: SessionId) -> StoreFuture<'_, bool> {
        (**self).delete_by_id(id)
    }

    fn delete_by_owner<'a>(&'a self, owner: &'a str) -> StoreFuture<'a, u64> {
        (**self).delete_by_owner(owner)
    }
}

/// What an operation of a [`SessionStore`] answers with.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What a store looks a record up by: a hash of the secret that the visitor's cookie carries, so that a leaked table
/// logs nobody in, and the session's public id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordKey {
    id: SessionId,
    hash: [u8; 32],
}

impl RecordKey {
    /// The key of the session `id` whose cookie carries `secret`.
    #[must_use]
    pub fn of_secret(id: SessionId, secret: &[u8; 32]) -> Self {
        Self { id, hash: Sha256::digest(secret).into() }
    }

    /// Where a list of revocations notes that the session `id`, whose data travelled in its cookie, is over.
    #[must_use]
    pub fn of_revocation(id: SessionId) -> Self {
        Self { id, hash: Sha256::new().chain_update(b"revoked").chain_update(id.as_bytes()).finalize().into() }
    }

    /// The key with these parts, as a store wrote them down.
    #[must_use]
    pub const fn from_parts(id: SessionId, hash: [u8; 32]) -> Self {
        Self { id, hash }
    }

    /// The session's public id.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// SHA-256 of the secret: what the record is found by.
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Where a store that is spread over several machines keeps the record: it stays when the record is renamed.
    #[must_use]
    pub const fn shard(&self) -> u16 {
        self.id.shard()
    }
}

crate::opaque_debug!(RecordKey);

/// A session as a store keeps it.
#[derive(Clone)]
pub struct Record {
    /// The session's public id.
    pub id: SessionId,
    /// When it began, in seconds since 1970.
    pub created_at: u64,
    /// The last visit that was written down, in seconds since 1970.
    pub seen_at: u64,
    /// Its last second, in seconds since 1970.
    pub expires_at: u64,
    /// Whose session it is, for "log out everywhere".
    pub owner: Option<String>,
    /// What its owner is shown of it, such as a browser's name.
    pub label: Option<String>,
    /// Its values, and what it says of itself under the reserved key.
    pub entries: Entries,
    /// One more after every change of the entries, the owner or the label; the first is 1. A visit is no change.
    pub version: u64,
}

impl Record {
    /// Whether the session is over.
    #[must_use]
    pub const fn is_expired(&self, now: u64) -> bool {
        now > self.expires_at
    }

    /// The record as what changes are applied to.
    #[must_use]
    pub fn base(&self) -> Base<'_> {
        Base { entries: &self.entries, owner: self.owner.as_deref(), label: self.label.as_deref() }
    }

    /// What the owner may see of it.
    #[must_use]
    pub fn info(&self) -> SessionInfo {
        SessionInfo { id: self.id, created_at: self.created_at, seen_at: self.seen_at, label: self.label.clone() }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("version", &self.version).finish_non_exhaustive()
    }
}

/// What a request wants written.
#[derive(Clone, Copy)]
pub struct Write<'a> {
    /// What the request does to the entries, the owner and the label.
    pub changes: &'a Changes,
    /// The record as the request read it; `None` if the session is new.
    pub base: Option<&'a Record>,
    /// When the session began: another time than that of `base` only where the record is created or renamed.
    pub created_at: u64,
    /// When the write happens, and until when the session lives after it.
    pub visit: Visit,
    /// Write only if the record has not changed since it was read; otherwise answer [`Updated::Conflict`].
    pub only_if_unchanged: bool,
}

impl<'a> Write<'a> {
    /// Creates what makes a record of a session that begins with this visit.
    #[must_use]
    pub const fn new(changes: &'a Changes, visit: Visit) -> Self {
        Self { changes, base: None, created_at: visit.now, visit, only_if_unchanged: false }
    }

    /// The record as the request read it, or nothing.
    #[must_use]
    pub fn base(&self) -> Base<'a> {
        self.base.map_or(Base::NOTHING, Record::base)
    }

    /// All fields after the changes, of a record that has `entries` now: keys with their JSON texts.
    pub fn fields_after<'b>(&self, entries: &'b Entries) -> impl Iterator<Item = (&'b str, Cow<'b, str>)>
    where
        'a: 'b,
    {
        self.changes.fields(entries)
    }

    /// The owner after this was applied to `record`.
    #[must_use]
    pub fn owner_after<'b>(&self, record: &'b Record) -> Option<&'b str>
    where
        'a: 'b,
    {
        self.changes.owner_after(record.base())
    }

    /// The label after this was applied to `record`.
    #[must_use]
    pub fn label_after<'b>(&self, record: &'b Record) -> Option<&'b str>
    where
        'a: 'b,
    {
        self.changes.label_after(record.base())
    }

    /// Whether nothing is left of `record` after this: no entry, no owner, and no id that was asked for. The store
    /// then removes the record and answers [`Updated::Removed`].
    #[must_use]
    pub fn leaves_nothing_of(&self, record: &Record) -> bool {
        self.changes.leave_nothing(record.base())
    }
}

impl fmt::Debug for Write<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").field("only_if_unchanged", &self.only_if_unchanged).finish_non_exhaustive()
    }
}

/// A visit, and what it means for the session's end. All in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The application's time.
    pub now: u64,
    /// The session's last second after this visit. A write sets it; a [`touch`](SessionStore::touch) never moves it
    /// back.
    pub expires_at: u64,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updated {
    /// It is written, and the record has this version now.
    Written {
        /// One more than the version that was read, if nobody wrote in between.
        version: u64,
    },
    /// It is written, nothing was left, and so the record is removed.
    Removed,
    /// Nothing is written: the write was [exact](Write::only_if_unchanged), and somebody else came first.
    Conflict,
    /// Nothing is written: there is no such session any more.
    Gone,
}

/// What the owner of a session may see of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its public id.
    pub id: SessionId,
    /// When it began, in seconds since 1970.
    pub created_at: u64,
    /// The last visit that was written down, in seconds since 1970.
    pub seen_at: u64,
    /// What was said of it with `set_label`.
    pub label: Option<String>,
}

crate::opaque_debug!(SessionInfo);

/// A store did not do what it was asked to.
pub struct StoreError {
    kind: StoreErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

/// Why a store did not do what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It cannot be reached, is full or busy, or its answer was lost: what was asked may or may not have happened, and
    /// may work later.
    Unavailable,
    /// There is a record, and it makes no sense: damaged, or written by a later version.
    Unreadable,
    /// It refused, and will again: a missing table, a wrong password.
    Refused,
}

impl StoreError {
    /// An error of this kind.
    pub fn new(kind: StoreErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: source.into() }
    }

    /// Why.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            StoreErrorKind::Unavailable => "the session store is not available",
            StoreErrorKind::Unreadable => "a record in the session store cannot be read",
            StoreErrorKind::Refused => "the session store refused the operation",
        })
    }
}

/// Prints the sentence of `Display` and those of all sources, because a `main` that returns an error prints its `Debug`
/// and nothing else.
impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        let mut source = self.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
