//! The contract of a session store: the trait, and what it reads and writes.

use std::{borrow::Cow, error::Error, fmt, pin::Pin, sync::Arc};

use sha2::{Digest as _, Sha256};

use crate::{
    changes::{Base, Changes},
    entries::Entries,
    id::SessionId,
};

/// A session store: it keeps the data of sessions on the server, for example in a table.
///
/// The crate `session-stores` has four stores, and a test suite for your own: its macro `conformance!` has a test for
/// each promise below. Share a store as `Arc<S>`, or choose one at run time as `Arc<dyn SessionStore>`.
///
/// Every store promises:
///
/// - **No update is lost.** [`update`](Self::update) applies the changes to the record as it is at that moment, not as
///   the request read it. If two requests set different keys, both keys are kept. If they set the same key, the later
///   write wins.
/// - **No session comes back.** Only [`create`](Self::create) makes a record. If there is no record, every other
///   operation changes nothing and returns [`Updated::Gone`], `false` or 0.
/// - **No operation is half done.** Other operations see all of it or nothing of it.
/// - **No unreadable record is overwritten.** If a record is damaged, the operation returns
///   [`StoreErrorKind::Unreadable`], and the record stays as it is.
/// - **The application's clock decides.** Times are in seconds since 1970. A record is missing as soon as `now` is
///   greater than its [`expires_at`](Record::expires_at). If a store has a clock of its own, it may only use it to
///   decide when to remove expired records.
/// - **Operations can be repeated.** If an answer is lost, the caller repeats the operation. `create`, `touch` and
///   `rename` then return the same as the first time, and so does an `update` without [`Write::only_if_unchanged`]. If
///   the record was removed in between, or by the first attempt, the operation returns that there is no record.
///
/// The caller may drop a future at any time. The operation then happens as a whole, or not at all.
///
/// # Examples
///
/// A complete store in the memory of one process. It passes the test suite.
///
/// ```
/// use std::{cmp::Reverse, collections::BTreeMap, sync::{Mutex, MutexGuard, PoisonError}};
/// use session_core::{SessionId, store::{
///     Entries, Record, RecordKey, SessionInfo, SessionStore, StoreError, StoreErrorKind, StoreFuture, Updated, Visit, Write,
/// }};
///
/// /// The table: a row for each session. The public id is the primary key, the hash a column.
/// type Rows = BTreeMap<SessionId, ([u8; 32], Record)>;
///
/// #[derive(Default)]
/// pub struct MyStore(Mutex<Rows>);
///
/// impl MyStore {
///     /// Locks the table, so that each operation happens as a whole. A store with a database begins a transaction instead.
///     fn rows(&self) -> MutexGuard<'_, Rows> {
///         self.0.lock().unwrap_or_else(PoisonError::into_inner)
///     }
/// }
///
/// /// Finds the live record under `key`.
/// fn live<'a>(rows: &'a Rows, key: &RecordKey, now: u64) -> Option<&'a Record> {
///     let (hash, record) = rows.get(&key.id())?;
///     (hash == key.hash() && !record.is_expired(now)).then_some(record)
/// }
///
/// /// Returns what `record` becomes with the changes of `write`.
/// fn changed(record: &Record, key: &RecordKey, write: Write<'_>) -> Result<Record, StoreError> {
///     let unreadable = |error| StoreError::new(StoreErrorKind::Unreadable, error);
///     Ok(Record {
///         id: key.id(),
///         created_at: write.created_at,
///         seen_at: write.visit.now.max(record.seen_at),
///         expires_at: write.visit.expires_at,
///         owner: write.owner_after(record).map(str::to_owned),
///         label: write.label_after(record).map(str::to_owned),
///         entries: Entries::from_texts(write.fields_after(&record.entries)).map_err(unreadable)?,
///         version: record.version + 1,
///     })
/// }
///
/// /// Removes the records for which `is_removed` returns true, and returns how many.
/// fn remove_if(rows: &mut Rows, is_removed: impl Fn(&Record) -> bool) -> u64 {
///     let before = rows.len();
///     rows.retain(|_, (_, record)| !is_removed(record));
///     (before - rows.len()) as u64
/// }
///
/// impl SessionStore for MyStore {
///     fn load<'a>(&'a self, key: &'a RecordKey, now: u64) -> StoreFuture<'a, Option<Record>> {
///         Box::pin(async move { Ok(live(&self.rows(), key, now).cloned()) })
///     }
///
///     fn create<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, ()> {
///         Box::pin(async move {
///             let mut rows = self.rows();
///             let visit = write.visit;
///             if let Some((hash, record)) = rows.get(&key.id())
///                 && !record.is_expired(visit.now)
///             {
///                 let taken = || StoreError::new(StoreErrorKind::Refused, "another session has this id already");
///                 return (hash == key.hash()).then_some(()).ok_or_else(taken);
///             }
///             let (created_at, seen_at, expires_at) = (write.created_at, visit.now, visit.expires_at);
///             let nothing = Record {
///                 id: key.id(), created_at, seen_at, expires_at, owner: None, label: None, entries: Entries::NONE, version: 0,
///             };
///             rows.insert(key.id(), (*key.hash(), changed(&nothing, key, write)?));
///             Ok(())
///         })
///     }
///
///     fn update<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
///         self.rename(key, key, write)
///     }
///
///     fn touch<'a>(&'a self, key: &'a RecordKey, visit: Visit) -> StoreFuture<'a, bool> {
///         Box::pin(async move {
///             let mut rows = self.rows();
///             let Some(mut record) = live(&rows, key, visit.now).cloned() else { return Ok(false) };
///             record.seen_at = record.seen_at.max(visit.now);
///             record.expires_at = record.expires_at.max(visit.expires_at);
///             rows.insert(key.id(), (*key.hash(), record));
///             Ok(true)
///         })
///     }
///
///     fn rename<'a>(&'a self, from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
///         Box::pin(async move {
///             let mut rows = self.rows();
///             let Some(before) = live(&rows, from, write.visit.now).cloned() else {
///                 let moved = live(&rows, to, write.visit.now);
///                 return Ok(moved.map_or(Updated::Gone, |record| Updated::Written { version: record.version }));
///             };
///             if write.only_if_unchanged && write.base.is_none_or(|base| base.version != before.version) {
///                 return Ok(Updated::Conflict);
///             }
///             if write.leaves_nothing_of(&before) {
///                 rows.remove(&from.id());
///                 return Ok(Updated::Removed);
///             }
///             let after = changed(&before, to, write)?;
///             let version = after.version;
///             rows.remove(&from.id());
///             rows.insert(to.id(), (*to.hash(), after));
///             Ok(Updated::Written { version })
///         })
///     }
///
///     fn delete<'a>(&'a self, key: &'a RecordKey) -> StoreFuture<'a, bool> {
///         Box::pin(async move {
///             let mut rows = self.rows();
///             let is_there = rows.get(&key.id()).is_some_and(|(hash, _)| hash == key.hash());
///             Ok(is_there && rows.remove(&key.id()).is_some())
///         })
///     }
///
///     fn delete_expired(&self, now: u64) -> StoreFuture<'_, u64> {
///         Box::pin(async move { Ok(remove_if(&mut self.rows(), |record| record.is_expired(now))) })
///     }
///
///     fn list<'a>(&'a self, owner: &'a str, now: u64) -> StoreFuture<'a, Vec<SessionInfo>> {
///         Box::pin(async move {
///             let rows = self.rows();
///             let live = rows.values().map(|(_, record)| record).filter(|record| !record.is_expired(now));
///             let mut infos: Vec<_> = live.filter(|record| record.owner.as_deref() == Some(owner)).map(Record::info).collect();
///             infos.sort_by_key(|info| Reverse(info.seen_at));
///             Ok(infos)
///         })
///     }
///
///     fn delete_by_id(&self, id: SessionId) -> StoreFuture<'_, bool> {
///         Box::pin(async move { Ok(self.rows().remove(&id).is_some()) })
///     }
///
///     fn delete_by_owner<'a>(&'a self, owner: &'a str) -> StoreFuture<'a, u64> {
///         Box::pin(async move {
///             Ok(remove_if(&mut self.rows(), |record| record.owner.as_deref() == Some(owner)))
///         })
///     }
/// }
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # use session_core::store::Changes;
///
/// let store = MyStore::default();
/// let key = RecordKey::of_secret(SessionId::random()?, &[7; 32]);
/// let mut changes = Changes::default();
/// changes.insert("user", r#""ada""#.to_owned());
/// store.create(&key, Write::new(&changes, Visit { now: 100, expires_at: 200 })).await?;
///
/// let record = store.load(&key, 200).await?.expect("it lives through its last second");
/// assert_eq!(record.entries.get("user"), Some(r#""ada""#));
/// assert!(store.load(&key, 201).await?.is_none());
/// # Ok(())
/// # }
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # assert!(matches!(std::pin::pin!(example()).poll(&mut context), std::task::Poll::Ready(Ok(()))));
/// ```
pub trait SessionStore: Send + Sync + 'static {
    /// Reads the record under `key`. Returns `None` if there is none, or if it has expired at `now`, in seconds since
    /// 1970.
    fn load<'a>(&'a self, key: &'a RecordKey, now: u64) -> StoreFuture<'a, Option<Record>>;

    /// Creates a record with the fields, the owner, the label and the times of `write`, and with the version 1. If
    /// there is a live record under `key`, that record stays as it is. An expired record is replaced. If there is a
    /// live record with the same id under another key, the store returns an error of the kind
    /// [`StoreErrorKind::Refused`].
    fn create<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, ()>;

    /// Applies the changes of `write` to the record under `key`.
    fn update<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated>;

    /// Records a visit: sets [`seen_at`](Record::seen_at) and [`expires_at`](Record::expires_at), and moves neither of
    /// these times back. Returns whether there was a record.
    fn touch<'a>(&'a self, key: &'a RecordKey, visit: Visit) -> StoreFuture<'a, bool>;

    /// Moves the record under `from` to `to`, and applies the changes of `write`. Other operations see exactly one of
    /// the two records.
    ///
    /// If there is no record under `from` but one under `to`, the record was moved before: the store changes nothing
    /// and returns [`Updated::Written`] with its version. Both keys have the same [`shard`](RecordKey::shard).
    fn rename<'a>(&'a self, from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated>;

    /// Removes the record under `key`. Returns whether there was one.
    fn delete<'a>(&'a self, key: &'a RecordKey) -> StoreFuture<'a, bool>;

    /// Removes the records that have expired at `now`. Returns the number of removed records; 0 if the database removes
    /// expired records by itself.
    fn delete_expired(&self, now: u64) -> StoreFuture<'_, u64>;

    /// Returns the live sessions of `owner`, sorted by [`seen_at`](Record::seen_at), the latest first.
    fn list<'a>(&'a self, owner: &'a str, now: u64) -> StoreFuture<'a, Vec<SessionInfo>>;

    /// Removes the session with this public id. Returns whether there was one.
    fn delete_by_id(&self, id: SessionId) -> StoreFuture<'_, bool>;

    /// Removes all sessions of `owner`. Returns the number of removed sessions.
    fn delete_by_owner<'a>(&'a self, owner: &'a str) -> StoreFuture<'a, u64>;
}

/// Forwards to the store inside, which may be shared or chosen at run time (`Arc<dyn SessionStore>`).
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

/// The future that an operation of a [`SessionStore`] returns.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The key of a record: the session's public id, and a hash of the secret in the cookie.
///
/// The store keeps the hash, not the secret, so that a person who reads the table cannot make a cookie from it.
///
/// # Examples
///
/// ```
/// use session_core::{SessionId, store::RecordKey, token::IdSecret};
///
/// let (id, secret) = (SessionId::random()?, IdSecret::random()?);
/// let key = RecordKey::of_secret(id, secret.as_bytes());
/// assert_eq!(key.id(), id);
/// assert_ne!(key.hash(), secret.as_bytes());
/// # Ok::<(), session_core::RandomError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordKey {
    id: SessionId,
    hash: [u8; 32],
}

impl RecordKey {
    /// Creates the key of the session `id`, from the secret in its cookie.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::RecordKey};
    ///
    /// let id = SessionId::from_bytes([1; 16]);
    /// assert_eq!(RecordKey::of_secret(id, &[7; 32]), RecordKey::of_secret(id, &[7; 32]));
    /// assert_ne!(RecordKey::of_secret(id, &[7; 32]), RecordKey::of_secret(id, &[8; 32]));
    /// ```
    #[must_use]
    pub fn of_secret(id: SessionId, secret: &[u8; 32]) -> Self {
        Self { id, hash: Sha256::digest(secret).into() }
    }

    /// Creates the key of an entry in a list of revocations. The entry records that the session `id`, which is kept in
    /// a cookie, was ended.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::RecordKey};
    ///
    /// let id = SessionId::from_bytes([1; 16]);
    /// assert_eq!(RecordKey::of_revocation(id).id(), id);
    /// ```
    #[must_use]
    pub fn of_revocation(id: SessionId) -> Self {
        Self { id, hash: Sha256::new().chain_update(b"revoked").chain_update(id.as_bytes()).finalize().into() }
    }

    /// Creates the key from its two parts, for a store that keeps the id and the hash separately.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::RecordKey};
    ///
    /// let key = RecordKey::of_secret(SessionId::from_bytes([1; 16]), &[7; 32]);
    /// assert_eq!(RecordKey::from_parts(key.id(), *key.hash()), key);
    /// ```
    #[must_use]
    pub const fn from_parts(id: SessionId, hash: [u8; 32]) -> Self {
        Self { id, hash }
    }

    /// Returns the session's public id.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::RecordKey};
    ///
    /// let id = SessionId::from_bytes([1; 16]);
    /// assert_eq!(RecordKey::of_secret(id, &[7; 32]).id(), id);
    /// ```
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Returns the hash by which the store finds the record: SHA-256 of the secret.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::RecordKey};
    ///
    /// let key = RecordKey::of_secret(SessionId::from_bytes([1; 16]), &[0; 32]);
    /// assert_eq!(key.hash()[..4], [0x66, 0x68, 0x7a, 0xad]); // SHA-256 of 32 zero bytes
    /// ```
    #[must_use]
    pub const fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Returns the number that chooses the machine, for a store that uses several. It stays the same when the record is
    /// renamed.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::RecordKey};
    ///
    /// let id = SessionId::random()?;
    /// let (from, to) = (RecordKey::of_secret(id, &[7; 32]), RecordKey::of_secret(id.renewed()?, &[8; 32]));
    /// assert_eq!(from.shard(), to.shard());
    /// # Ok::<(), session_core::RandomError>(())
    /// ```
    #[must_use]
    pub const fn shard(&self) -> u16 {
        self.id.shard()
    }
}

crate::opaque_debug!(RecordKey);

/// A session in a store.
#[derive(Clone)]
pub struct Record {
    /// The public id of the session.
    pub id: SessionId,
    /// The time at which the session began, in seconds since 1970.
    pub created_at: u64,
    /// The time of the last visit that was recorded, in seconds since 1970.
    pub seen_at: u64,
    /// The last second of the session, in seconds since 1970.
    pub expires_at: u64,
    /// The owner, such as the id of a user. The application lists and ends the sessions of an owner.
    pub owner: Option<String>,
    /// A text for the owner, such as the name of the browser.
    pub label: Option<String>,
    /// The entries, and the metadata under the reserved key `$`.
    pub entries: Entries,
    /// The version: 1 for a new record, and one more after every write. A [`touch`](SessionStore::touch) does not
    /// change it.
    pub version: u64,
}

impl Record {
    /// Returns whether the session has expired at `now`, in seconds since 1970.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::{Entries, Record}};
    ///
    /// # let (id, entries, version) = (SessionId::from_bytes([1; 16]), Entries::NONE, 1);
    /// let (created_at, seen_at, expires_at) = (100, 150, 200);
    /// let (owner, label) = (Some("ada".to_owned()), Some("Phone".to_owned()));
    /// let record = Record { id, created_at, seen_at, expires_at, owner, label, entries, version };
    /// assert!(!record.is_expired(200)); // alive through its last second
    /// assert!(record.is_expired(201));
    /// ```
    #[must_use]
    pub const fn is_expired(&self, now: u64) -> bool {
        now > self.expires_at
    }

    /// Returns the entries, the owner and the label: the part of the record to which changes are applied.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::{Entries, Record}};
    ///
    /// # let (id, entries, version) = (SessionId::from_bytes([1; 16]), Entries::NONE, 1);
    /// let (created_at, seen_at, expires_at) = (100, 150, 200);
    /// let (owner, label) = (Some("ada".to_owned()), Some("Phone".to_owned()));
    /// let record = Record { id, created_at, seen_at, expires_at, owner, label, entries, version };
    /// assert_eq!(record.base().owner, Some("ada"));
    /// ```
    #[must_use]
    pub fn base(&self) -> Base<'_> {
        Base { entries: &self.entries, owner: self.owner.as_deref(), label: self.label.as_deref() }
    }

    /// Returns the public id, the times and the label: the part of the record that the owner may see.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::{Entries, Record}};
    ///
    /// # let (id, entries, version) = (SessionId::from_bytes([1; 16]), Entries::NONE, 1);
    /// let (created_at, seen_at, expires_at) = (100, 150, 200);
    /// let (owner, label) = (Some("ada".to_owned()), Some("Phone".to_owned()));
    /// let record = Record { id, created_at, seen_at, expires_at, owner, label, entries, version };
    /// assert_eq!(record.info().label.as_deref(), Some("Phone"));
    /// assert_eq!(record.info().seen_at, 150);
    /// ```
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

/// A write: what a request asks a store to do with a record.
///
/// # Examples
///
/// ```
/// use session_core::store::{Changes, Visit, Write};
///
/// let mut changes = Changes::default();
/// changes.insert("user", r#""ada""#.to_owned());
/// let write = Write::new(&changes, Visit { now: 100, expires_at: 200 });
/// let base = write.base();
/// assert_eq!(write.fields_after(base.entries).collect::<Vec<_>>(), [("user", r#""ada""#.into())]);
/// ```
#[derive(Clone, Copy)]
pub struct Write<'a> {
    /// The changes to the entries, the owner and the label.
    pub changes: &'a Changes,
    /// The record that the request read; `None` if the session is new.
    pub base: Option<&'a Record>,
    /// The time at which the session began, in seconds since 1970. For an update, it is the time in `base`.
    pub created_at: u64,
    /// The time of the write, and the end of the session after it.
    pub visit: Visit,
    /// Whether to write only if the record has the version of `base`. If the record has another version, the store
    /// changes nothing and returns [`Updated::Conflict`].
    pub only_if_unchanged: bool,
}

impl<'a> Write<'a> {
    /// Creates the write for a new session, which begins with this visit.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Visit, Write};
    ///
    /// let changes = Changes::default();
    /// let write = Write::new(&changes, Visit { now: 100, expires_at: 200 });
    /// assert_eq!(write.created_at, 100);
    /// assert!(write.base.is_none() && !write.only_if_unchanged);
    /// ```
    #[must_use]
    pub const fn new(changes: &'a Changes, visit: Visit) -> Self {
        Self { changes, base: None, created_at: visit.now, visit, only_if_unchanged: false }
    }

    /// Returns the part of the record that the request read; [`Base::NOTHING`] if the session is new.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Visit, Write};
    ///
    /// let changes = Changes::default();
    /// let write = Write::new(&changes, Visit { now: 100, expires_at: 200 });
    /// assert!(write.base().entries.is_empty() && write.base().owner.is_none()); // a new session
    /// ```
    #[must_use]
    pub fn base(&self) -> Base<'a> {
        self.base.map_or(Base::NOTHING, Record::base)
    }

    /// Returns all fields after the write, as keys with their JSON texts. `entries` are the record's entries before the
    /// write.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries, Visit, Write};
    ///
    /// let mut changes = Changes::default();
    /// changes.insert("b", "2".to_owned());
    /// let write = Write::new(&changes, Visit { now: 100, expires_at: 200 });
    /// let now = Entries::parse(br#"{"a":1}"#.to_vec())?; // another request has set `a`
    /// assert_eq!(write.fields_after(&now).collect::<Vec<_>>(), [("a", "1".into()), ("b", "2".into())]);
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    pub fn fields_after<'b>(&self, entries: &'b Entries) -> impl Iterator<Item = (&'b str, Cow<'b, str>)>
    where
        'a: 'b,
    {
        self.changes.fields(entries)
    }

    /// Returns the owner after the write. `record` is the record in the store before the write.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::{Changes, Entries, Record, Visit, Write}};
    ///
    /// # let id = SessionId::from_bytes([1; 16]);
    /// # let (created_at, seen_at, expires_at, entries, version) = (100, 100, 200, Entries::NONE, 1);
    /// let (owner, label) = (Some("ada".to_owned()), Some("Firefox".to_owned()));
    /// let record = Record { id, created_at, seen_at, expires_at, owner, label, entries, version };
    /// let mut changes = Changes::default();
    /// changes.set_label("Phone".to_owned());
    /// let write = Write::new(&changes, Visit { now: 150, expires_at: 250 });
    /// assert_eq!(write.owner_after(&record), Some("ada"));
    /// assert_eq!(write.label_after(&record), Some("Phone"));
    /// ```
    #[must_use]
    pub fn owner_after<'b>(&self, record: &'b Record) -> Option<&'b str>
    where
        'a: 'b,
    {
        self.changes.owner_after(record.base())
    }

    /// Returns the label after the write. `record` is the record in the store before the write.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::{Changes, Entries, Record, Visit, Write}};
    ///
    /// # let (id, entries, version) = (SessionId::from_bytes([1; 16]), Entries::NONE, 1);
    /// # let (created_at, seen_at, expires_at, owner) = (100, 100, 200, None);
    /// let label = Some("Phone".to_owned());
    /// let record = Record { id, created_at, seen_at, expires_at, owner, label, entries, version };
    /// let changes = Changes::default();
    /// let write = Write::new(&changes, Visit { now: 150, expires_at: 250 });
    /// assert_eq!(write.label_after(&record), Some("Phone"));
    /// ```
    #[must_use]
    pub fn label_after<'b>(&self, record: &'b Record) -> Option<&'b str>
    where
        'a: 'b,
    {
        self.changes.label_after(record.base())
    }

    /// Returns whether `record` is empty after the write. The store then removes it and returns [`Updated::Removed`].
    ///
    /// A record is empty if it has no entry and no owner, and if the application did not ask for the session's id.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::{Changes, Entries, Record, Visit, Write}};
    ///
    /// # let id = SessionId::from_bytes([1; 16]);
    /// # let (created_at, seen_at, expires_at, owner, label, version) = (100, 100, 200, None, None, 1);
    /// let entries = Entries::parse(br#"{"user":"ada"}"#.to_vec())?;
    /// let record = Record { id, created_at, seen_at, expires_at, owner, label, entries, version };
    /// let mut changes = Changes::default();
    /// changes.remove("user");
    /// assert!(Write::new(&changes, Visit { now: 150, expires_at: 250 }).leaves_nothing_of(&record));
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
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

/// A visit, and the end of the session after it. Both times are in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The time of the visit, by the application's clock.
    pub now: u64,
    /// The last second of the session after this visit. A write sets the record's `expires_at` to it. A
    /// [`touch`](SessionStore::touch) only moves the record's `expires_at` forward.
    pub expires_at: u64,
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updated {
    /// The record was written.
    Written {
        /// The version that the record has now.
        version: u64,
    },
    /// The record was removed, because it was empty after the changes: see [`Write::leaves_nothing_of`].
    Removed,
    /// Nothing was written, because of [`Write::only_if_unchanged`]: another write has changed the record.
    Conflict,
    /// Nothing was written, because there is no such record.
    Gone,
}

/// The part of a session that its owner may see.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// The public id of the session.
    pub id: SessionId,
    /// The time at which the session began, in seconds since 1970.
    pub created_at: u64,
    /// The time of the last visit that was recorded, in seconds since 1970.
    pub seen_at: u64,
    /// The label, which the application sets for the owner; `None` if the session has no label.
    pub label: Option<String>,
}

crate::opaque_debug!(SessionInfo);

/// The error of a store that did not carry out an operation. The error's source is the cause.
///
/// `Display` prints one sentence for the kind. `Debug` adds the sentences of all sources.
///
/// # Examples
///
/// ```
/// use session_core::store::{StoreError, StoreErrorKind};
///
/// let error = StoreError::new(StoreErrorKind::Unavailable, "connection refused");
/// assert_eq!(error.kind(), StoreErrorKind::Unavailable);
/// assert_eq!(error.to_string(), "the session store is not available");
/// assert_eq!(format!("{error:?}"), "the session store is not available: connection refused");
/// ```
pub struct StoreError {
    kind: StoreErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

/// The reason why a store did not carry out an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store cannot be reached, is full or is busy, or its answer was lost. The store may have carried out the
    /// operation. If it did not, a later attempt may succeed.
    Unavailable,
    /// The record cannot be read: it is damaged, or a later version wrote it.
    Unreadable,
    /// The store refused the operation and will refuse it again: for example, a table is missing or the password is
    /// wrong.
    Refused,
}

impl StoreError {
    /// Creates an error of this kind. `source` is the cause: an error, or a sentence.
    pub fn new(kind: StoreErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: source.into() }
    }

    /// Returns the kind of the error.
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

/// Prints the sentence of `Display` and those of all sources, because a `main` that returns an error prints only its
/// `Debug`.
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
