//! What a store is asked to write, and its answer.

use std::{borrow::Cow, fmt};

use crate::{
    changes::{Base, Changes},
    entries::Entries,
    id::SessionId,
    record::{End, Record, RecordKey},
    store_error::{StoreError, StoreErrorKind},
};

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
    /// The name of the application that writes; empty if it has no name. The record belongs to this application after
    /// the write.
    pub application: &'a str,
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
        Self { changes, base: None, created_at: visit.now, visit, application: "", only_if_unchanged: false }
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
    /// use session_core::{SessionId, store::{Changes, Entries, Record, RecordKey, Visit, Write}};
    ///
    /// let key = RecordKey::of_secret(SessionId::from_bytes([1; 16]), &[7; 32]);
    /// let (owner, label) = (Some("ada".to_owned()), Some("Firefox".to_owned()));
    /// let record = Record { owner, label, ..Record::empty(key) };
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
    /// use session_core::{SessionId, store::{Changes, Entries, Record, RecordKey, Visit, Write}};
    ///
    /// let key = RecordKey::of_secret(SessionId::from_bytes([1; 16]), &[7; 32]);
    /// let record = Record { label: Some("Phone".to_owned()), ..Record::empty(key) };
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

    /// Returns the last second of the session after the write. `record` is the record in the store before the write.
    ///
    /// A write never shortens a session, because another request may have made it last longer in between: the later end
    /// counts. Only a write that changes the session's own limits sets the end as it is in [`visit`](Self::visit).
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::{Changes, Record, RecordKey, Visit, Write}};
    ///
    /// let key = RecordKey::of_secret(SessionId::from_bytes([1; 16]), &[7; 32]);
    /// let record = Record { expires_at: 900, ..Record::empty(key) };
    /// let mut changes = Changes::default();
    /// let visit = Visit { now: 150, expires_at: 250 };
    /// assert_eq!(Write::new(&changes, visit).end_after(&record), 900);
    /// changes.change_metadata(&record.entries, |metadata| metadata.until = Some(250));
    /// assert_eq!(Write::new(&changes, visit).end_after(&record), 250);
    /// ```
    #[must_use]
    pub fn end_after(&self, record: &Record) -> u64 {
        let end = self.visit.expires_at;
        if self.sets_end() { end } else { end.max(record.expires_at) }
    }

    /// Returns whether the write may shorten the session: it changes the session's own limits, or begins another
    /// session. See [`end_after`](Self::end_after).
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Visit, Write};
    ///
    /// let mut changes = Changes::default();
    /// assert!(!Write::new(&changes, Visit { now: 100, expires_at: 200 }).sets_end());
    /// changes.destroy();
    /// assert!(Write::new(&changes, Visit { now: 100, expires_at: 200 }).sets_end());
    /// ```
    #[must_use]
    pub fn sets_end(&self) -> bool {
        self.changes.destroys() || self.changes.change_limits(self.base().entries)
    }

    /// Returns the tombstone that a [rename](crate::store::SessionStore::rename) to `to` leaves under the former key.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::{Changes, End, RecordKey, Visit, Write}};
    ///
    /// let to = RecordKey::of_secret(SessionId::from_bytes([1; 16]), &[7; 32]);
    /// let mut changes = Changes::default();
    /// changes.rotate();
    /// let visit = Visit { now: 100, expires_at: 200 };
    /// assert_eq!(Write::new(&changes, visit).former_end(to), End::Rotated { successor: to });
    /// changes.renew();
    /// assert_eq!(Write::new(&changes, visit).former_end(to), End::Renewed);
    /// ```
    #[must_use]
    pub fn former_end(&self, to: RecordKey) -> End {
        if self.changes.begins_anew() { End::Renewed } else { End::Rotated { successor: to } }
    }

    /// Returns the record after the write. `record` is the record in the store before the write, or an
    /// [empty one](Record::empty) for a new session. `key` is its key after the write.
    ///
    /// # Errors
    ///
    /// Returns an error if the fields do not make a session.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::{Changes, Record, RecordKey, Visit, Write}};
    ///
    /// let key = RecordKey::of_secret(SessionId::from_bytes([1; 16]), &[7; 32]);
    /// let mut changes = Changes::default();
    /// changes.insert("user", r#""ada""#.to_owned());
    /// let record = Write::new(&changes, Visit { now: 100, expires_at: 200 }).apply_to(&Record::empty(key), key)?;
    /// assert_eq!((record.version, record.seen_at, record.expires_at), (1, 100, 200));
    /// assert_eq!(record.entries.get("user"), Some(r#""ada""#));
    /// # Ok::<(), session_core::store::StoreError>(())
    /// ```
    pub fn apply_to(&self, record: &Record, key: RecordKey) -> Result<Record, StoreError> {
        let unreadable = |error| StoreError::new(StoreErrorKind::Unreadable, error);
        Ok(Record {
            key,
            application: Some(self.application.to_owned()),
            created_at: self.created_at,
            seen_at: self.visit.now.max(record.seen_at),
            expires_at: self.end_after(record),
            owner: self.owner_after(record).map(str::to_owned),
            label: self.label_after(record).map(str::to_owned),
            entries: Entries::from_texts(self.fields_after(&record.entries)).map_err(unreadable)?,
            version: record.version + 1,
        })
    }

    /// Returns whether `record` is empty after the write. The store then removes it and returns [`Updated::Removed`].
    ///
    /// A record is empty if it has no entry and no owner, and if the application did not ask for the session's id.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, store::{Changes, Entries, Record, RecordKey, Visit, Write}};
    ///
    /// let key = RecordKey::of_secret(SessionId::from_bytes([1; 16]), &[7; 32]);
    /// let record = Record { entries: Entries::parse(br#"{"user":"ada"}"#.to_vec())?, ..Record::empty(key) };
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
    /// [`touch`](crate::store::SessionStore::touch) only moves the record's `expires_at` forward.
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

/// The sessions of an owner that stay when the others are deleted. By default none stays.
///
/// # Examples
///
/// ```
/// use session_core::store::Spared;
///
/// let all_end = Spared::default();
/// assert_eq!((all_end.id, all_end.newest), (None, 0));
/// let the_last_three_stay = Spared { newest: 3, ..Spared::default() };
/// # assert_eq!(the_last_three_stay.newest, 3);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spared {
    /// The session with this public id stays. It does not count among the newest.
    pub id: Option<SessionId>,
    /// So many of the other sessions stay: those that began last. Of sessions that began in the same second, those with
    /// the greater ids stay.
    pub newest: u64,
}
