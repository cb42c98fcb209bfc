//! What a store keeps: records and their keys, and the ends of sessions.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::{changes::Base, entries::Entries, id::SessionId};

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

    /// Creates the key of the entry in a list of revocations that ends all sessions of an owner.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Owner, RecordKey};
    ///
    /// let (shop, forum) = (Owner { application: "shop", name: "ada" }, Owner { application: "forum", name: "ada" });
    /// assert_ne!(RecordKey::of_revoked_owner(shop), RecordKey::of_revoked_owner(forum));
    /// ```
    #[must_use]
    pub fn of_revoked_owner(owner: Owner<'_>) -> Self {
        Self::of_parts(b"revoked owner", &[owner.application.as_bytes(), owner.name.as_bytes()])
    }

    /// Creates the key of the entry in a list of revocations that ends all sessions of an application.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::RecordKey;
    ///
    /// assert_ne!(RecordKey::of_revoked_application("shop"), RecordKey::of_revoked_application("forum"));
    /// ```
    #[must_use]
    pub fn of_revoked_application(application: &str) -> Self {
        Self::of_parts(b"revoked application", &[application.as_bytes()])
    }

    /// Creates the key of an entry that says that a session of a former system was moved. `identity` tells the session
    /// from all others.
    #[doc(hidden)]
    #[must_use]
    pub fn of_moved(application: &str, identity: &[u8]) -> Self {
        Self::of_parts(b"moved", &[application.as_bytes(), identity])
    }

    /// Creates a key that is a hash.
    fn of_parts(purpose: &[u8], parts: &[&[u8]]) -> Self {
        let begin = |part: &[u8]| Sha256::new().chain_update(purpose).chain_update(part);
        let hash = |part: &[u8]| {
            let hasher = parts.iter().fold(begin(part), |hasher, part| {
                hasher.chain_update((part.len() as u64).to_be_bytes()).chain_update(part)
            });
            <[u8; 32]>::from(hasher.finalize())
        };
        let mut id = [0; 16];
        id.copy_from_slice(&hash(b"id")[..16]);
        Self { id: SessionId::from_bytes(id), hash: hash(b"key") }
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
///
/// # Examples
///
/// ```
/// use session_core::store::{Record, RecordKey};
///
/// let mut record = Record::empty(RecordKey::of_secret(session_core::SessionId::random()?, &[7; 32]));
/// record.expires_at = 200;
/// assert!(!record.is_expired(200)); // alive through its last second
/// assert!(record.is_expired(201));
/// # Ok::<(), session_core::RandomError>(())
/// ```
#[derive(Clone)]
pub struct Record {
    /// The key of the record: the session's public id, and the hash of its secret.
    pub key: RecordKey,
    /// The application that the session belongs to: [`Write::application`](crate::store::Write::application). `None`
    /// if a version that kept no applications wrote the record. Such a record belongs to every application.
    pub application: Option<String>,
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
    /// The version: 1 for a new record, and one more after every write. A [`touch`](crate::store::SessionStore::touch)
    /// does not change it.
    pub version: u64,
}

impl Record {
    /// Creates a record without content: no entries, no owner, no label, all times 0 and the version 0. A store applies
    /// the first write to it.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Record, RecordKey};
    ///
    /// let record = Record::empty(RecordKey::of_secret(session_core::SessionId::random()?, &[7; 32]));
    /// assert!(record.entries.is_empty() && record.owner.is_none() && record.version == 0);
    /// # Ok::<(), session_core::RandomError>(())
    /// ```
    #[must_use]
    pub const fn empty(key: RecordKey) -> Self {
        Self {
            key,
            application: None,
            created_at: 0,
            seen_at: 0,
            expires_at: 0,
            owner: None,
            label: None,
            entries: Entries::NONE,
            version: 0,
        }
    }

    /// Returns whether the session has expired at `now`, in seconds since 1970.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::{Record, RecordKey}};
    ///
    /// let key = RecordKey::of_secret(SessionId::from_bytes([1; 16]), &[7; 32]);
    /// let record = Record { expires_at: 200, ..Record::empty(key) };
    /// assert!(!record.is_expired(200)); // alive through its last second
    /// assert!(record.is_expired(201));
    /// ```
    #[must_use]
    pub const fn is_expired(&self, now: u64) -> bool {
        now > self.expires_at
    }

    /// Returns whether the session belongs to `owner`, in the owner's application.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::{Owner, Record, RecordKey}};
    ///
    /// let key = RecordKey::of_secret(SessionId::from_bytes([1; 16]), &[7; 32]);
    /// let (application, owner) = (Some("shop".to_owned()), Some("ada".to_owned()));
    /// let record = Record { application, owner, ..Record::empty(key) };
    /// assert!(record.belongs_to(Owner { application: "shop", name: "ada" }));
    /// assert!(!record.belongs_to(Owner { application: "forum", name: "ada" }));
    /// ```
    #[must_use]
    pub fn belongs_to(&self, owner: Owner<'_>) -> bool {
        self.owner.as_deref() == Some(owner.name) && self.is_of(owner.application)
    }

    /// Returns whether the session belongs to this application.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::{Record, RecordKey}};
    ///
    /// let key = RecordKey::of_secret(SessionId::from_bytes([1; 16]), &[7; 32]);
    /// let record = Record { application: Some("shop".to_owned()), ..Record::empty(key) };
    /// assert!(record.is_of("shop") && !record.is_of("forum"));
    /// assert!(Record::empty(key).is_of("forum")); // written before applications were kept
    /// ```
    #[must_use]
    pub fn is_of(&self, application: &str) -> bool {
        self.application.as_deref().is_none_or(|name| name == application)
    }

    /// Returns the entries, the owner and the label: the part of the record to which changes are applied.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::{Record, RecordKey}};
    ///
    /// let key = RecordKey::of_secret(SessionId::from_bytes([1; 16]), &[7; 32]);
    /// let record = Record { owner: Some("ada".to_owned()), ..Record::empty(key) };
    /// assert_eq!(record.base().owner, Some("ada"));
    /// ```
    #[must_use]
    pub fn base(&self) -> Base<'_> {
        Base { entries: &self.entries, owner: self.owner.as_deref(), label: self.label.as_deref() }
    }

    /// Returns the key, the times, the owner and the label: all but the entries.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::{Record, RecordKey}};
    ///
    /// let key = RecordKey::of_secret(SessionId::from_bytes([1; 16]), &[7; 32]);
    /// let record = Record { seen_at: 150, label: Some("Phone".to_owned()), ..Record::empty(key) };
    /// assert_eq!(record.info().label.as_deref(), Some("Phone"));
    /// assert_eq!(record.info().seen_at, 150);
    /// ```
    #[must_use]
    pub fn info(&self) -> SessionInfo {
        SessionInfo {
            key: self.key,
            created_at: self.created_at,
            seen_at: self.seen_at,
            owner: self.owner.clone(),
            label: self.label.clone(),
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("version", &self.version).finish_non_exhaustive()
    }
}

/// What a store finds under a key.
///
/// # Examples
///
/// ```
/// use session_core::{SessionId, store::{End, Lookup, Record, RecordKey}};
///
/// let key = RecordKey::of_secret(SessionId::from_bytes([1; 16]), &[7; 32]);
/// assert!(Lookup::Live(Record::empty(key)).live().is_some());
/// assert!(Lookup::Ended(End::Deleted).live().is_none());
/// ```
#[derive(Clone, Debug)]
pub enum Lookup {
    /// The session is alive.
    Live(Record),
    /// The session was ended at most [`ENDED_IS_KNOWN_FOR`] seconds ago. The request that asks is late.
    Ended(End),
    /// The session expired, at most [`EXPIRED_IS_KNOWN_FOR`] seconds ago or longer.
    Expired,
    /// The store knows nothing of such a session.
    Unknown,
}

impl Lookup {
    /// Creates the lookup of a record: `Live`, or `Expired` if its last second is over at `now`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::{Lookup, Record, RecordKey}};
    ///
    /// let key = RecordKey::of_secret(SessionId::from_bytes([1; 16]), &[7; 32]);
    /// let record = Record { expires_at: 200, ..Record::empty(key) };
    /// assert!(matches!(Lookup::of(record.clone(), 200), Lookup::Live(_)));
    /// assert!(matches!(Lookup::of(record, 201), Lookup::Expired));
    /// ```
    #[must_use]
    pub fn of(record: Record, now: u64) -> Self {
        if record.is_expired(now) { Self::Expired } else { Self::Live(record) }
    }

    /// Returns the record of a live session.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Lookup;
    ///
    /// assert!(Lookup::Expired.live().is_none());
    /// ```
    #[must_use]
    pub fn live(self) -> Option<Record> {
        match self {
            Self::Live(record) => Some(record),
            Self::Ended(_) | Self::Expired | Self::Unknown => None,
        }
    }
}

/// How a session ended. A store keeps the end under the session's former key for [`ENDED_IS_KNOWN_FOR`] seconds: the
/// tombstone of the session.
///
/// # Examples
///
/// ```
/// use session_core::store::End;
///
/// let tombstone = (End::Renewed, 1_000); // the time in seconds since 1970
/// assert!(End::is_known(tombstone.1, 1_060));
/// assert!(!End::is_known(tombstone.1, 1_061));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was deleted: by a log-out, on this device or on another one.
    Deleted,
    /// It got a new id and a new creation time, or another session replaced it: usually by a log-in.
    Renewed,
    /// It got a new id and is the same session otherwise.
    Rotated {
        /// The key that the record has now.
        successor: RecordKey,
    },
}

impl End {
    /// Returns whether an end is still known at `now`. Both times are in seconds since 1970.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::End;
    ///
    /// assert!(End::is_known(100, 160) && !End::is_known(100, 161));
    /// ```
    #[must_use]
    pub const fn is_known(ended_at: u64, now: u64) -> bool {
        now <= ended_at.saturating_add(ENDED_IS_KNOWN_FOR)
    }
}

/// How long a store knows that a session was ended, in seconds.
pub const ENDED_IS_KNOWN_FOR: u64 = 60;

/// How long a store at least knows that a session has expired, in seconds: one day.
pub const EXPIRED_IS_KNOWN_FOR: u64 = 24 * 60 * 60;

/// An owner of sessions: a name, such as the id of a user, in one application. Owners of two applications are different
/// owners, also if they have the same name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner<'a> {
    /// The name of the application; empty if the application has no name.
    pub application: &'a str,
    /// The name of the owner.
    pub name: &'a str,
}

impl fmt::Debug for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").finish_non_exhaustive()
    }
}

/// A session as it is listed: all but its entries.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// The key of the record. The owner may see the public id, but not the hash.
    pub key: RecordKey,
    /// The time at which the session began, in seconds since 1970.
    pub created_at: u64,
    /// The time of the last visit that was recorded, in seconds since 1970.
    pub seen_at: u64,
    /// The owner; `None` if the session has none.
    pub owner: Option<String>,
    /// The label, which the application sets for the owner; `None` if the session has no label.
    pub label: Option<String>,
}

crate::opaque_debug!(SessionInfo);

/// A part of the list of all sessions.
///
/// # Examples
///
/// ```
/// use session_core::store::Page;
///
/// let last = Page { sessions: Vec::new(), next: None };
/// assert!(last.sessions.is_empty() && last.next.is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Page {
    /// Some live sessions. A page may be empty, also if there is a next one.
    pub sessions: Vec<SessionInfo>,
    /// Where the next page begins; `None` if this is the last page.
    pub next: Option<Cursor>,
}

/// A place in the list of all sessions. Only the store that made it understands its text.
///
/// # Examples
///
/// ```
/// use session_core::store::Cursor;
///
/// let cursor = Cursor::new("17");
/// assert_eq!(cursor.as_str(), "17");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// Creates a cursor from its text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text of the cursor, for example for a link to the next page.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
