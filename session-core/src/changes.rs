//! The changes of a request to its session, and the session after them.

use std::{borrow::Cow, cmp::Ordering, fmt};

use crate::{
    entries::Entries,
    json::{is_same, write_object},
    metadata::{self, Metadata, RESERVED_KEY},
};

/// The changes that one request made to its session.
///
/// The changes are not a copy of the session: a store writes only the changed keys, so other requests can change the
/// other keys. Methods that need the session take the [`Entries`] that were read, in the argument `loaded` or in a
/// [`Base`].
///
/// Later calls win. [`destroy`](Self::destroy) discards all calls before it, and [`clear`](Self::clear) the keys, the
/// owner and the label that were set before it.
///
/// # Examples
///
/// ```
/// use session_core::store::{Changes, Entries};
///
/// let loaded = Entries::parse(br#"{"user":"ada","visits":1}"#.to_vec())?;
/// let mut changes = Changes::default();
/// changes.insert("visits", "2".to_owned());
/// assert_eq!(changes.get(&loaded, "visits"), Some("2"));
///
/// let mut body = Vec::new();
/// changes.write(&loaded, &mut body);
/// assert_eq!(body, br#"{"user":"ada","visits":2}"#);
/// # Ok::<(), session_core::Malformed>(())
/// ```
#[derive(Clone, Default)]
pub struct Changes {
    basis: Basis,
    id: IdChange,
    /// The changed keys with their JSON texts, in the order of the keys; `None` for a removed key.
    edits: Vec<(String, Option<String>)>,
    /// The new metadata; `None` if it stays as it was.
    metadata: Option<Box<Metadata>>,
    /// The new owner and the new label. Few requests set them, and the changes are moved with each request.
    names: Option<Box<Names>>,
    id_was_asked: bool,
    confirmation: Confirmation,
    turns: Turns,
}

/// The new owner and the new label of a session; `None` if it stays as it was.
#[derive(Clone, Default)]
struct Names {
    owner: Option<String>,
    label: Option<String>,
}

/// The part of the loaded session that the changes keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Basis {
    /// All of the session.
    #[default]
    Loaded,
    /// The same session, without its entries.
    Cleared,
    /// Nothing. The loaded session ends, and the changes belong to a new session.
    New,
}

/// The change of the session's id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum IdChange {
    #[default]
    Kept,
    /// Another id, and the same creation time.
    Rotated,
    /// Another id and another creation time.
    Renewed,
}

/// What the changes do to the time at which the visitor confirmed who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Confirmation {
    #[default]
    Kept,
    Forgotten,
    /// The visitor confirmed it at this time, in seconds since 1970.
    At(u64),
}

/// How often each method was called. [`Changes::since`] compares the counts to find the calls after a save.
#[derive(Clone, Copy, Debug, Default)]
struct Turns {
    destroyed: u32,
    cleared: u32,
    renewed: u32,
    rotated: u32,
}

/// A session before the changes, as a store or a cookie has it.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// The entries, which include the metadata.
    pub entries: &'a Entries,
    /// The owner; `None` if there is none, or if the session is not in a store.
    pub owner: Option<&'a str>,
    /// The label; `None` if there is none, or if the session is not in a store.
    pub label: Option<&'a str>,
}

impl Base<'_> {
    /// The base of a new session.
    pub const NOTHING: Base<'static> = Base { entries: &Entries::NONE, owner: None, label: None };
}

impl Changes {
    /// No changes.
    pub const NONE: Self = Self {
        basis: Basis::Loaded,
        id: IdChange::Kept,
        edits: Vec::new(),
        metadata: None,
        names: None,
        id_was_asked: false,
        confirmation: Confirmation::Kept,
        turns: Turns { destroyed: 0, cleared: 0, renewed: 0, rotated: 0 },
    };

    /// Sets `key` to a value, which is given as its JSON text.
    ///
    /// Neither the text nor the key is checked here. The caller makes the text with a JSON serializer, and refuses keys
    /// that begin with `$`, because such keys are reserved.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries};
    ///
    /// let mut changes = Changes::default();
    /// changes.insert("user", r#""ada""#.to_owned());
    /// changes.insert("user", r#""grace""#.to_owned());
    /// assert_eq!(changes.get(&Entries::NONE, "user"), Some(r#""grace""#));
    /// ```
    pub fn insert(&mut self, key: &str, text: String) {
        self.edit(key, Some(text));
    }

    /// Sets `key` to the JSON text of a value. `null` is absence: it removes the key.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let mut changes = Changes::default();
    /// changes.set("a", "null".to_owned());
    /// assert_eq!(changes.edited("a"), Some(None));
    /// ```
    pub fn set(&mut self, key: &str, text: String) {
        self.edit(key, Some(text).filter(|text| text != "null"));
    }

    /// Removes `key`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries};
    ///
    /// let loaded = Entries::parse(br#"{"user":"ada"}"#.to_vec())?;
    /// let mut changes = Changes::default();
    /// changes.remove("user");
    /// assert_eq!(changes.get(&loaded, "user"), None);
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    pub fn remove(&mut self, key: &str) {
        self.edit(key, None);
    }

    /// Removes all entries, the owner and the label.
    ///
    /// The session keeps its id, its creation time and its metadata. Two parts of the metadata are removed too: the
    /// confirmation, and the mark that keeps a session without entries alive after the application asked for its id.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries};
    ///
    /// let loaded = Entries::parse(br#"{"user":"ada"}"#.to_vec())?;
    /// let mut changes = Changes::default();
    /// changes.clear(&loaded);
    /// changes.insert("theme", r#""dark""#.to_owned());
    /// assert_eq!(changes.get(&loaded, "user"), None);
    /// assert_eq!(changes.get(&loaded, "theme"), Some(r#""dark""#));
    /// assert!(!changes.needs_new_id());
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    pub fn clear(&mut self, loaded: &Entries) {
        self.edits.clear();
        self.names = None;
        if self.basis == Basis::Loaded {
            self.basis = Basis::Cleared;
        }
        if self.metadata(loaded).id_was_asked {
            self.change_metadata(loaded, |metadata| metadata.id_was_asked = false);
        }
        self.confirmation = Confirmation::Forgotten;
        self.turns.cleared += 1;
    }

    /// Gives the session a new id and a new creation time, and keeps its entries. An earlier confirmation is forgotten,
    /// unless these changes have a [`confirm`](Self::confirm).
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let mut changes = Changes::default();
    /// changes.renew();
    /// assert!(changes.needs_new_id() && changes.begins_anew());
    /// assert!(!changes.clears());
    /// ```
    pub const fn renew(&mut self) {
        self.id = IdChange::Renewed;
        if let Confirmation::Kept = self.confirmation {
            self.confirmation = Confirmation::Forgotten;
        }
        self.turns.renewed += 1;
    }

    /// Gives the session a new id. The session keeps its entries, and its creation time unless it is renewed as well.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let mut changes = Changes::default();
    /// changes.rotate();
    /// assert!(changes.needs_new_id() && !changes.begins_anew());
    /// changes.renew();
    /// assert!(changes.begins_anew());
    /// ```
    pub fn rotate(&mut self) {
        if self.id == IdChange::Kept {
            self.id = IdChange::Rotated;
        }
        self.turns.rotated += 1;
    }

    /// Ends the session and discards the changes so far. Later changes belong to a new session.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries};
    ///
    /// let loaded = Entries::parse(br#"{"user":"ada"}"#.to_vec())?;
    /// let mut changes = Changes::default();
    /// changes.insert("cart", "[1]".to_owned());
    /// changes.destroy();
    /// changes.insert("theme", r#""dark""#.to_owned());
    /// assert!(changes.destroys());
    /// assert_eq!(changes.view(&loaded).collect::<Vec<_>>(), [("theme", r#""dark""#)]);
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    pub fn destroy(&mut self) {
        let turns = Turns { destroyed: self.turns.destroyed + 1, ..self.turns };
        *self = Self { basis: Basis::New, turns, ..Self::default() };
    }

    /// Ends the session, and begins a new one. The new session gets the owner, the label, the limits and the
    /// confirmation that these changes have set.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Base, Changes};
    ///
    /// let mut changes = Changes::default();
    /// changes.insert("a", "1".to_owned());
    /// changes.set_owner("ada".to_owned());
    /// changes.replace();
    /// assert!(changes.destroys() && changes.owner() == Some("ada"));
    /// assert_eq!(changes.edited("a"), Some(None));
    /// ```
    pub fn replace(&mut self) {
        let limits = self.metadata.as_ref().map(|metadata| Box::new(metadata.limits()));
        let (names, confirmation) = (self.names.take(), self.confirmation);
        self.destroy();
        (self.metadata, self.names, self.confirmation) = (limits, names, confirmation);
    }

    /// Replaces the session's metadata.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries, Metadata};
    ///
    /// let mut metadata = Metadata::NONE;
    /// metadata.until = Some(1_767_225_600);
    /// let mut changes = Changes::default();
    /// changes.set_metadata(metadata);
    /// assert_eq!(changes.metadata(&Entries::NONE).until, Some(1_767_225_600));
    /// ```
    pub fn set_metadata(&mut self, metadata: Metadata) {
        self.metadata = Some(Box::new(metadata));
    }

    /// Changes the session's metadata. `change` gets a copy of the current metadata, and the changed copy replaces it.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries};
    ///
    /// let loaded = Entries::parse(br#"{"$":{"until":7}}"#.to_vec())?;
    /// let mut changes = Changes::default();
    /// changes.change_metadata(&loaded, |metadata| metadata.browser_session = true);
    /// assert_eq!(changes.metadata(&loaded).until, Some(7));
    /// assert!(changes.metadata(&loaded).browser_session);
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    pub fn change_metadata(&mut self, loaded: &Entries, change: impl FnOnce(&mut Metadata)) {
        let mut metadata = self.metadata(loaded).clone();
        change(&mut metadata);
        self.set_metadata(metadata);
    }

    /// Sets the owner of the session, such as the id of the user who logged in.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let mut changes = Changes::default();
    /// changes.set_owner("ada".to_owned());
    /// assert_eq!(changes.owner(), Some("ada"));
    /// ```
    pub fn set_owner(&mut self, owner: String) {
        self.names.get_or_insert_default().owner = Some(owner);
    }

    /// Sets the label of the session: a text for its owner, such as the name of the browser.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let mut changes = Changes::default();
    /// changes.set_label("Firefox on Linux".to_owned());
    /// assert_eq!(changes.label(), Some("Firefox on Linux"));
    /// ```
    pub fn set_label(&mut self, label: String) {
        self.names.get_or_insert_default().label = Some(label);
    }

    /// Records that the visitor has confirmed who they are, at `now` in seconds since 1970.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Base, Changes, Entries};
    ///
    /// let mut changes = Changes::default();
    /// changes.confirm(100);
    /// assert_eq!(changes.confirmed_at(&Entries::NONE), Some(100));
    /// assert!(changes.leave_nothing(Base::NOTHING)); // a confirmation alone is no session
    /// ```
    pub const fn confirm(&mut self, now: u64) {
        self.confirmation = Confirmation::At(now);
    }

    /// Records that the application asked for the session's id. The session then exists even without entries.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Base, Changes};
    ///
    /// let mut changes = Changes::default();
    /// changes.ask_id();
    /// assert!(!changes.leave_nothing(Base::NOTHING)); // the session is kept although it is empty
    /// ```
    pub const fn ask_id(&mut self) {
        self.id_was_asked = true;
    }

    /// Returns the changes that are still carried out after a server error: only a call of
    /// [`destroy`](Self::destroy).
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let mut changes = Changes::default();
    /// changes.insert("a", "1".to_owned());
    /// assert!(changes.rolled_back().is_empty());
    /// changes.destroy();
    /// changes.insert("a", "1".to_owned());
    /// assert!(changes.rolled_back().destroys());
    /// assert_eq!(changes.rolled_back().edited("a"), Some(None));
    /// ```
    #[must_use]
    pub fn rolled_back(&self) -> Self {
        let mut changes = Self::default();
        if self.destroys() {
            changes.destroy();
        }
        changes
    }

    /// Returns the changes without the owner and the label, for sessions that are not in a store.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let mut changes = Changes::default();
    /// changes.insert("a", "1".to_owned());
    /// changes.set_owner("ada".to_owned());
    /// assert_eq!(changes.without_owner().owner(), None);
    /// assert_eq!(changes.without_owner().edited("a"), Some(Some("1")));
    /// ```
    #[must_use]
    pub fn without_owner(&self) -> Cow<'_, Self> {
        if self.names.is_none() {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self { names: None, ..self.clone() })
    }

    /// Returns the changes that were made after a save. `saved` is the clone of the changes that the save wrote.
    ///
    /// A key counts as changed if its text differs from the saved text. A call of `clear`, `renew`, `rotate` or
    /// `destroy` counts only if it came after the save.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let mut changes = Changes::default();
    /// changes.renew();
    /// changes.insert("a", "1".to_owned());
    /// let saved = changes.clone();
    /// assert!(changes.since(&saved).is_empty());
    ///
    /// changes.insert("b", "2".to_owned());
    /// let rest = changes.since(&saved);
    /// assert_eq!(rest.edited("b"), Some(Some("2")));
    /// assert_eq!(rest.edited("a"), None);
    /// assert!(!rest.needs_new_id()); // the save has renewed it
    /// ```
    #[must_use]
    pub fn since(&self, saved: &Self) -> Self {
        // A session that was destroyed after the save shares nothing with the saved one. All of its changes are new.
        if self.turns.destroyed > saved.turns.destroyed {
            return self.clone();
        }
        // The save carried out the former `renew`. It is repeated only if it was called again.
        let id = if self.turns.renewed > saved.turns.renewed {
            IdChange::Renewed
        } else if self.turns.rotated > saved.turns.rotated {
            IdChange::Rotated
        } else {
            IdChange::Kept
        };
        // `clear` empties `edits`. Those that are here now were made after it, and so after the save.
        if self.turns.cleared > saved.turns.cleared {
            return Self { basis: Basis::Cleared, id, ..self.clone() };
        }
        // `edited` also answers for keys that a `clear` or a `destroy` before the save removed: a later `remove` of one
        // of them changes nothing.
        let owner = self.owner().filter(|owner| saved.owner() != Some(owner)).map(str::to_owned);
        let label = self.label().filter(|label| saved.label() != Some(label)).map(str::to_owned);
        let is_new = |(key, text): &&(String, Option<String>)| saved.edited(key) != Some(text.as_deref());
        Self {
            basis: Basis::Loaded,
            id,
            edits: self.edits.iter().filter(is_new).cloned().collect(),
            metadata: self.metadata.clone().filter(|metadata| saved.metadata.as_ref() != Some(metadata)),
            names: (owner.is_some() || label.is_some()).then(|| Box::new(Names { owner, label })),
            // The caller that asked for the id relies on it for the rest of the request.
            id_was_asked: self.id_was_asked,
            // A `renew` after the save does not forget a confirmation of the same request.
            confirmation: self.confirmation,
            turns: self.turns,
        }
    }

    /// Drops the change of `key`, after a store has saved that one change.
    ///
    /// `saved` is the clone of the changes at the time of that save. The change stays if `key` was changed again after
    /// the save, or if the session was cleared or destroyed.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let mut changes = Changes::default();
    /// changes.insert("a", "1".to_owned());
    /// changes.insert("b", "1".to_owned());
    /// let saved = changes.clone();
    /// changes.insert("b", "2".to_owned());
    /// changes.settle("a", &saved);
    /// changes.settle("b", &saved);
    /// assert_eq!(changes.edited("a"), None);
    /// assert_eq!(changes.edited("b"), Some(Some("2"))); // changed since the save
    /// ```
    pub fn settle(&mut self, key: &str, saved: &Self) {
        let (now, then) = (self.turns, saved.turns);
        let is_same_session = (now.destroyed, now.cleared) == (then.destroyed, then.cleared);
        if is_same_session && self.edited(key) == saved.edited(key) {
            self.edits.retain(|(edited, _)| edited != key);
        }
    }

    /// Returns whether the loaded entries are removed: by [`clear`](Self::clear) or [`destroy`](Self::destroy).
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries};
    ///
    /// let mut changes = Changes::default();
    /// assert!(!changes.clears());
    /// changes.clear(&Entries::NONE);
    /// assert!(changes.clears() && !changes.destroys());
    /// ```
    #[must_use]
    pub fn clears(&self) -> bool {
        self.basis != Basis::Loaded
    }

    /// Returns whether the loaded session ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let mut changes = Changes::default();
    /// changes.destroy();
    /// assert!(changes.destroys() && changes.clears());
    /// ```
    #[must_use]
    pub fn destroys(&self) -> bool {
        self.basis == Basis::New
    }

    /// Returns whether the session gets a new creation time: it was renewed, or it is a new session after
    /// [`destroy`](Self::destroy).
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let mut changes = Changes::default();
    /// changes.rotate();
    /// assert!(!changes.begins_anew());
    /// changes.destroy();
    /// assert!(changes.begins_anew());
    /// ```
    #[must_use]
    pub fn begins_anew(&self) -> bool {
        self.id == IdChange::Renewed || self.destroys()
    }

    /// Returns whether the session gets a new id: it was renewed or rotated, or it is a new session after
    /// [`destroy`](Self::destroy).
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let mut changes = Changes::default();
    /// changes.insert("a", "1".to_owned());
    /// assert!(!changes.needs_new_id());
    /// changes.rotate();
    /// assert!(changes.needs_new_id());
    /// ```
    #[must_use]
    pub fn needs_new_id(&self) -> bool {
        self.id != IdChange::Kept || self.destroys()
    }

    /// Returns whether there are no changes.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let mut changes = Changes::default();
    /// assert!(changes.is_empty());
    /// changes.remove("a"); // counts as a change, also if there is no `a`
    /// assert!(!changes.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let entries = self.basis == Basis::Loaded && self.edits.is_empty() && self.metadata.is_none();
        let confirms = matches!(self.confirmation, Confirmation::At(_));
        entries && !self.needs_new_id() && self.names.is_none() && !self.id_was_asked && !confirms
    }

    /// Returns the JSON text of the value of `key` after the changes; `None` if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries};
    ///
    /// let loaded = Entries::parse(br#"{"a":1,"b":2}"#.to_vec())?;
    /// let mut changes = Changes::default();
    /// changes.insert("a", "3".to_owned());
    /// assert_eq!(changes.get(&loaded, "a"), Some("3"));
    /// assert_eq!(changes.get(&loaded, "b"), Some("2"));
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    #[must_use]
    pub fn get<'a>(&'a self, loaded: &'a Entries, key: &str) -> Option<&'a str> {
        self.edited(key).unwrap_or_else(|| loaded.get(key))
    }

    /// Returns the change of `key`: `None` if the key stays as it was, `Some(None)` if it is removed, and otherwise the
    /// JSON text of its new value.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let mut changes = Changes::default();
    /// changes.insert("a", "1".to_owned());
    /// changes.remove("b");
    /// assert_eq!(changes.edited("a"), Some(Some("1")));
    /// assert_eq!(changes.edited("b"), Some(None));
    /// assert_eq!(changes.edited("c"), None);
    /// ```
    #[must_use]
    pub fn edited(&self, key: &str) -> Option<Option<&str>> {
        match self.position(key) {
            Ok(position) => Some(self.edits[position].1.as_deref()),
            Err(_) => self.clears().then_some(None),
        }
    }

    /// Returns the session's metadata after the changes.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries};
    ///
    /// let loaded = Entries::parse(br#"{"$":{"until":7}}"#.to_vec())?;
    /// let mut changes = Changes::default();
    /// assert_eq!(changes.metadata(&loaded).until, Some(7));
    /// changes.destroy();
    /// assert_eq!(changes.metadata(&loaded).until, None);
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    #[must_use]
    pub fn metadata<'a>(&'a self, loaded: &'a Entries) -> &'a Metadata {
        match &self.metadata {
            Some(metadata) => metadata,
            None if self.destroys() => &metadata::NONE,
            None => loaded.metadata(),
        }
    }

    /// Returns when the visitor last confirmed who they are, after the changes, in seconds since 1970.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries};
    ///
    /// let loaded = Entries::parse(br#"{"$":{"confirmed":100},"user":"ada"}"#.to_vec())?;
    /// let mut changes = Changes::default();
    /// changes.rotate();
    /// assert_eq!(changes.confirmed_at(&loaded), Some(100));
    /// changes.renew();
    /// assert_eq!(changes.confirmed_at(&loaded), None);
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    #[must_use]
    pub fn confirmed_at(&self, loaded: &Entries) -> Option<u64> {
        match self.confirmation {
            Confirmation::At(second) => Some(second),
            Confirmation::Kept if !self.destroys() => loaded.metadata().confirmed,
            Confirmation::Kept | Confirmation::Forgotten => None,
        }
    }

    /// Returns whether the changes give the session other limits of its own. `loaded` are the entries that were read.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries};
    ///
    /// let mut changes = Changes::default();
    /// changes.change_metadata(&Entries::NONE, |metadata| metadata.id_was_asked = true);
    /// assert!(!changes.change_limits(&Entries::NONE));
    /// changes.change_metadata(&Entries::NONE, |metadata| metadata.until = Some(7));
    /// assert!(changes.change_limits(&Entries::NONE));
    /// ```
    #[must_use]
    pub fn change_limits(&self, loaded: &Entries) -> bool {
        self.metadata.as_ref().is_some_and(|metadata| metadata.limits() != loaded.metadata().limits())
    }

    /// Returns the owner that the changes set; `None` if they set none.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let mut changes = Changes::default();
    /// assert_eq!(changes.owner(), None); // the owner stays as it was
    /// changes.set_owner("ada".to_owned());
    /// assert_eq!(changes.owner(), Some("ada"));
    /// ```
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.names.as_ref()?.owner.as_deref()
    }

    /// Returns the label that the changes set; `None` if they set none.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let mut changes = Changes::default();
    /// assert_eq!(changes.label(), None); // the label stays as it was
    /// changes.set_label("Phone".to_owned());
    /// assert_eq!(changes.label(), Some("Phone"));
    /// ```
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.names.as_ref()?.label.as_deref()
    }

    /// Returns the owner after the changes.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Base, Changes};
    ///
    /// let base = Base { owner: Some("ada"), ..Base::NOTHING };
    /// let mut changes = Changes::default();
    /// assert_eq!(changes.owner_after(base), Some("ada"));
    /// changes.destroy();
    /// assert_eq!(changes.owner_after(base), None);
    /// ```
    #[must_use]
    pub fn owner_after<'a>(&'a self, base: Base<'a>) -> Option<&'a str> {
        self.owner().or_else(|| base.owner.filter(|_| !self.clears()))
    }

    /// Returns the label after the changes.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Base, Changes};
    ///
    /// let base = Base { label: Some("Phone"), ..Base::NOTHING };
    /// let mut changes = Changes::default();
    /// assert_eq!(changes.label_after(base), Some("Phone"));
    /// changes.clear(base.entries);
    /// assert_eq!(changes.label_after(base), None);
    /// ```
    #[must_use]
    pub fn label_after<'a>(&'a self, base: Base<'a>) -> Option<&'a str> {
        self.label().or_else(|| base.label.filter(|_| !self.clears()))
    }

    /// Returns the application's entries after the changes, in the order of the keys. Reserved keys are left out.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries};
    ///
    /// let loaded = Entries::parse(br#"{"$":{"until":7},"b":2}"#.to_vec())?;
    /// let mut changes = Changes::default();
    /// changes.insert("a", "1".to_owned());
    /// assert_eq!(changes.view(&loaded).collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    #[must_use]
    pub const fn view<'a>(&'a self, loaded: &'a Entries) -> View<'a> {
        View { changes: self, loaded, next_loaded: 0, next_edit: 0 }
    }

    /// Returns all fields to write after the changes, in the order of the keys: the entries, the metadata under `$`,
    /// and other reserved keys, which a later version may have written.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries};
    ///
    /// let loaded = Entries::parse(br#"{"$":{"until":7},"b":2}"#.to_vec())?;
    /// let mut changes = Changes::default();
    /// changes.insert("a", "1".to_owned());
    /// let fields: Vec<_> = changes.fields(&loaded).collect();
    /// assert_eq!(fields, [("$", r#"{"until":7}"#.into()), ("a", "1".into()), ("b", "2".into())]);
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    pub fn fields<'a>(&'a self, loaded: &'a Entries) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
        // Reserved keys begin with `$`, so all of them have one place among the application's keys: behind those that
        // are smaller than `$`, before all others. The view leaves them out and is cut in two there.
        let metadata = self.metadata_text(loaded).map(|text| (RESERVED_KEY, text));
        // `destroy` starts another session, which has nothing of the old one; `clear` keeps what describes the session.
        let reserved = loaded.reserved().filter(|(key, _)| !self.destroys() && self.position(key).is_err());
        let is_before = |(key, _): &(&str, &str)| *key < RESERVED_KEY;
        let text = |(key, text): (&'a str, &'a str)| (key, Cow::Borrowed(text));
        let before = self.view(loaded).take_while(is_before).map(text);
        let behind = self.view(loaded).skip_while(is_before).map(text);
        before.chain(metadata).chain(reserved.map(text)).chain(behind)
    }

    /// Appends all [`fields`](Self::fields) to `body`, as one JSON object.
    ///
    /// Unchanged values are copied byte for byte, and keys are sorted by their bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries};
    ///
    /// let loaded = Entries::parse(br#"{"b": 1.0e2, "a": true}"#.to_vec())?;
    /// let mut body = Vec::new();
    /// Changes::NONE.write(&loaded, &mut body);
    /// assert_eq!(body, br#"{"a":true,"b":1.0e2}"#);
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    pub fn write(&self, loaded: &Entries, body: &mut Vec<u8>) {
        body.reserve(self.len_hint(loaded));
        // Most sessions have no reserved keys, and then the view is not cut in two.
        if loaded.has_reserved() || self.metadata_text(loaded).is_some() {
            write_object(self.fields(loaded), body);
        } else {
            write_object(self.view(loaded), body);
        }
    }

    /// Returns the approximate number of bytes that [`write`](Self::write) appends.
    ///
    /// The result is too small only if a key needs escapes or if the metadata changes.
    #[must_use]
    pub fn len_hint(&self, loaded: &Entries) -> usize {
        let edit = |(key, text): &(String, Option<String>)| key.len() + text.as_ref().map_or(0, String::len) + 4;
        loaded.text_len() + self.edits.iter().map(edit).sum::<usize>() + 2
    }

    /// Returns the number of bytes that [`write`](Self::write) appends.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries};
    ///
    /// assert_eq!(Changes::NONE.written_len(&Entries::parse(br#"{ "a": 1 }"#.to_vec())?), r#"{"a":1}"#.len());
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    #[must_use]
    pub fn written_len(&self, loaded: &Entries) -> usize {
        let mut body = Vec::new();
        self.write(loaded, &mut body);
        body.len()
    }

    /// Returns the changed fields with their new JSON texts, and `None` for each that is removed. This is for stores
    /// that keep each field in a column or hash field of its own.
    ///
    /// If [`clears`](Self::clears) is true, the store removes the fields of the application first: they are not listed
    /// here.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Changes, Entries};
    ///
    /// let loaded = Entries::parse(br#"{"a":1,"b":2,"c":3}"#.to_vec())?;
    /// let mut changes = Changes::default();
    /// changes.insert("a", "4".to_owned());
    /// changes.remove("b");
    /// let edits: Vec<_> = changes.field_edits(&loaded).collect();
    /// assert_eq!(edits, [("a", Some("4".into())), ("b", None)]);
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    pub fn field_edits<'a>(&'a self, loaded: &'a Entries) -> impl Iterator<Item = (&'a str, Option<Cow<'a, str>>)> {
        let metadata = self.change_metadata_text(loaded).then(|| (RESERVED_KEY, self.metadata_text(loaded)));
        let edits = self.edits.iter().map(|(key, text)| (key.as_str(), text.as_deref().map(Cow::Borrowed)));
        metadata.into_iter().chain(edits)
    }

    /// Returns whether the session after the changes differs from `base`. A value that was changed and changed back
    /// does not differ.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Base, Changes, Entries};
    ///
    /// let loaded = Entries::parse(br#"{"visits":1}"#.to_vec())?;
    /// let base = Base { entries: &loaded, ..Base::NOTHING };
    /// let mut changes = Changes::default();
    /// changes.insert("visits", "2".to_owned());
    /// assert!(changes.differ_from(base));
    /// changes.insert("visits", "1".to_owned());
    /// assert!(!changes.differ_from(base));
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    #[must_use]
    pub fn differ_from(&self, base: Base<'_>) -> bool {
        let entries_differ = || match self.basis {
            Basis::Loaded => self.edits.iter().any(|(key, text)| match (base.entries.get(key), text) {
                (Some(before), Some(after)) => !is_same(before, after),
                (before, after) => before.is_some() != after.is_some(),
            }),
            _ => !self.view(base.entries).eq(Self::default().view(base.entries)),
        };
        self.needs_new_id()
            || entries_differ()
            || self.metadata.as_ref().is_some_and(|metadata| **metadata != *base.entries.metadata())
            || self.confirmed_at(base.entries) != base.entries.metadata().confirmed
            || self.owner_after(base) != base.owner
            || self.label_after(base) != base.label
    }

    /// Returns whether the session is empty after the changes: it has no entry and no owner, and the application did
    /// not ask for its id. Such a session is not kept.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::{Base, Changes};
    ///
    /// let mut changes = Changes::default();
    /// assert!(changes.leave_nothing(Base::NOTHING));
    /// changes.set_owner("ada".to_owned());
    /// assert!(!changes.leave_nothing(Base::NOTHING));
    /// ```
    #[must_use]
    pub fn leave_nothing(&self, base: Base<'_>) -> bool {
        let has_entries = self.view(base.entries).next().is_some();
        let is_held = self.id_was_asked || self.metadata(base.entries).id_was_asked;
        !has_entries && !is_held && self.owner_after(base).is_none()
    }

    /// Returns the JSON text to write under `$`. Unchanged metadata is copied byte for byte.
    fn metadata_text<'a>(&'a self, loaded: &'a Entries) -> Option<Cow<'a, str>> {
        if !self.change_metadata_text(loaded) {
            return loaded.metadata_text().map(Cow::Borrowed);
        }
        let mut metadata = self.metadata(loaded).clone();
        metadata.id_was_asked |= self.is_held_by_id(loaded);
        metadata.confirmed = self.confirmed_at(loaded);
        metadata.to_json().map(Cow::Owned)
    }

    /// Returns whether the text under the reserved key may be another one after the changes.
    fn change_metadata_text(&self, loaded: &Entries) -> bool {
        let confirms = self.confirmed_at(loaded) != loaded.metadata().confirmed;
        self.metadata.is_some() || self.destroys() || self.is_held_by_id(loaded) || confirms
    }

    /// Returns whether the metadata needs the mark that keeps this session: the application asked for its id, and it
    /// has no entries.
    fn is_held_by_id(&self, loaded: &Entries) -> bool {
        let is_noted = self.metadata(loaded).id_was_asked;
        self.id_was_asked && !is_noted && self.view(loaded).next().is_none()
    }

    /// Returns the keys that are set, with their JSON texts. Reserved keys are left out.
    #[cfg(feature = "encrypted")]
    pub(crate) fn texts_mut(&mut self) -> impl Iterator<Item = (&str, &mut String)> {
        let own = self.edits.iter_mut().filter(|(key, _)| !key.starts_with(RESERVED_KEY));
        own.filter_map(|(key, text)| Some((key.as_str(), text.as_mut()?)))
    }

    /// Returns whether the metadata after the changes is not that of the loaded session.
    #[cfg(feature = "encrypted")]
    pub(crate) fn replaces_metadata(&self) -> bool {
        self.metadata.is_some() || self.destroys()
    }

    fn edit(&mut self, key: &str, text: Option<String>) {
        match self.position(key) {
            Ok(position) => self.edits[position].1 = text,
            Err(position) => self.edits.insert(position, (key.to_owned(), text)),
        }
    }

    fn position(&self, key: &str) -> Result<usize, usize> {
        self.edits.binary_search_by(|(name, _)| name.as_str().cmp(key))
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("edits", &self.edits.len()).finish_non_exhaustive()
    }
}

/// An iterator over the entries of a session after the changes: see [`Changes::view`].
///
/// It merges two sorted lists, the loaded entries and the changed keys, and copies nothing.
#[derive(Clone, Debug)]
pub struct View<'a> {
    changes: &'a Changes,
    loaded: &'a Entries,
    next_loaded: usize,
    next_edit: usize,
}

impl<'a> Iterator for View<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let loaded = if self.changes.clears() { None } else { self.loaded.nth_by_key(self.next_loaded) };
            let edit = self.changes.edits.get(self.next_edit);
            let order = match (loaded, edit) {
                (Some((key, _)), Some((edited, _))) => key.cmp(edited.as_str()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return None,
            };
            // A loaded key that is smaller than the next changed one is unchanged.
            if order.is_lt() {
                self.next_loaded += 1;
                return loaded;
            }
            // A changed key. It replaces the loaded one of the same name, if that is next.
            self.next_loaded += usize::from(order.is_eq());
            self.next_edit += 1;
            if let Some((key, Some(text))) = edit {
                return Some((key, text));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn entries(text: &str) -> Entries {
        Entries::parse(text.into()).unwrap()
    }

    fn base(entries: &Entries) -> Base<'_> {
        Base { entries, ..Base::NOTHING }
    }

    fn written(changes: &Changes, loaded: &Entries) -> String {
        let mut body = Vec::new();
        changes.write(loaded, &mut body);
        assert_eq!(changes.written_len(loaded), body.len());
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn untouched_values_are_copied_as_they_stood() {
        let loaded = entries(r#"{"b": 1.0e2, "a": "\u0061"}"#);
        let mut changes = Changes::default();
        changes.insert("ab", "true".into());
        assert_eq!(written(&changes, &loaded), r#"{"a":"\u0061","ab":true,"b":1.0e2}"#);
    }

    #[test]
    fn changing_something_back_is_no_change() {
        let loaded = entries(r#"{"a":1}"#);
        let mut changes = Changes::default();
        changes.insert("a", "2".into());
        assert!(changes.differ_from(base(&loaded)));
        changes.insert("a", "1".into());
        changes.remove("b");
        assert!(!changes.differ_from(base(&loaded)));
    }

    #[test]
    fn another_order_or_notation_of_the_same_value_is_no_change() {
        let loaded =
            entries(r#"{"map":{"a":1,"b":[{"c":null,"d":"\u0061"}]},"list":[1,2],"big":18446744073709551617}"#);
        let differs = |key: &str, text: &str| {
            let mut changes = Changes::default();
            changes.insert(key, text.to_owned());
            changes.differ_from(base(&loaded))
        };
        assert!(!differs("map", r#"{ "b": [{"d":"a","c":null}], "a": 1 }"#));
        assert!(differs("map", r#"{"b":[{"d":"a"}],"a":1}"#));
        assert!(differs("map", r#"{"b":[{"d":"a","c":null}],"a":1.0}"#));
        assert!(differs("list", "[2,1]") && differs("list", "[1,2,3]") && differs("list", "{}"));
        assert!(differs("big", "18446744073709551616") && !differs("big", "18446744073709551617"));
        assert!(differs("new", "1"));
    }

    #[test]
    fn clearing_keeps_the_terms_and_destroying_does_not() {
        let loaded = entries(r#"{"$":{"until":7},"a":1}"#);
        let mut changes = Changes::default();
        changes.clear(&loaded);
        assert_eq!(written(&changes, &loaded), r#"{"$":{"until":7}}"#);
        assert!(changes.leave_nothing(base(&loaded)));
        changes.destroy();
        changes.insert("b", "2".into());
        assert_eq!(written(&changes, &loaded), r#"{"b":2}"#);
        assert!(changes.needs_new_id());
    }

    #[test]
    fn the_metadata_has_its_place_among_the_keys() {
        let loaded = entries(r##"{"#":0,"$":{"until":7, "later":[1.0]},"$later":1,"a":2}"##);
        let mut changes = Changes::default();
        changes.insert("b", "3".into());
        assert_eq!(written(&changes, &loaded), r##"{"#":0,"$":{"until":7, "later":[1.0]},"$later":1,"a":2,"b":3}"##);
        changes.change_metadata(&loaded, |metadata| metadata.until = Some(8));
        assert_eq!(written(&changes, &loaded), r##"{"#":0,"$":{"later":[1.0],"until":8},"$later":1,"a":2,"b":3}"##);
        changes.clear(&loaded);
        assert_eq!(written(&changes, &loaded), r#"{"$":{"later":[1.0],"until":8},"$later":1}"#);
        changes.destroy();
        assert_eq!(written(&changes, &loaded), "{}");
    }

    #[test]
    fn an_id_that_was_asked_for_is_noted_only_where_nothing_else_is() {
        let (loaded, mut changes) = (entries(r#"{"a":1}"#), Changes::default());
        changes.ask_id();
        assert!(!changes.differ_from(base(&loaded)));
        assert_eq!(written(&changes, &loaded), r#"{"a":1}"#);
        changes.remove("a");
        assert!(!changes.leave_nothing(base(&loaded)));
        assert_eq!(written(&changes, &loaded), r#"{"$":{"id":true}}"#);
        let edits: Vec<_> = changes.field_edits(&loaded).collect();
        assert_eq!(edits, [("$", Some(r#"{"id":true}"#.into())), ("a", None)]);
    }

    #[test]
    fn what_came_after_a_save_is_what_is_left_to_do() {
        let mut changes = Changes::default();
        changes.destroy();
        changes.insert("a", "1".into());
        changes.insert("b", "1".into());
        let saved = changes.clone();
        assert!(changes.since(&saved).is_empty());

        changes.insert("b", "2".into());
        changes.set_owner("ada".into());
        let rest = changes.since(&saved);
        assert!(!rest.clears() && rest.edited("a").is_none());
        assert_eq!((rest.edited("b"), rest.owner()), (Some(Some("2")), Some("ada")));

        let mut cleared = changes.clone();
        cleared.clear(&Entries::NONE);
        let rest = cleared.since(&saved);
        assert!(rest.clears() && !rest.destroys());

        let mut renewed = changes.clone();
        renewed.renew();
        assert!(renewed.since(&saved).begins_anew() && !renewed.since(&renewed).needs_new_id());

        let mut saved_renewal = changes.clone();
        saved_renewal.renew();
        let mut rotated = saved_renewal.clone();
        rotated.rotate();
        let rest = rotated.since(&saved_renewal);
        assert!(rest.needs_new_id() && !rest.begins_anew(), "the renewal was saved");

        let mut ended = changes;
        ended.destroy();
        assert!(ended.since(&saved).destroys());
    }

    #[test]
    fn a_rotation_keeps_the_creation_time_and_a_renewal_goes_before_it() {
        let mut changes = Changes::default();
        changes.rotate();
        assert!(changes.needs_new_id() && !changes.begins_anew());
        changes.renew();
        changes.rotate();
        assert!(changes.begins_anew());
    }

    #[test]
    fn a_confirmation_stays_through_a_rotation_and_no_renewal() {
        let loaded = entries(r#"{"$":{"confirmed":5},"a":1}"#);
        let written = |change: fn(&mut Changes)| {
            let mut changes = Changes::default();
            change(&mut changes);
            written(&changes, &loaded)
        };
        assert_eq!(written(Changes::rotate), r#"{"$":{"confirmed":5},"a":1}"#);
        assert_eq!(written(Changes::renew), r#"{"a":1}"#);
        assert_eq!(
            written(|changes| {
                changes.confirm(7);
                changes.renew();
            }),
            r#"{"$":{"confirmed":7},"a":1}"#
        );
        assert_eq!(
            written(|changes| {
                changes.renew();
                changes.confirm(7);
            }),
            r#"{"$":{"confirmed":7},"a":1}"#
        );
        assert_eq!(
            written(|changes| {
                changes.confirm(7);
                changes.replace();
            }),
            r#"{"$":{"confirmed":7}}"#
        );
        assert_eq!(
            written(|changes| {
                changes.confirm(7);
                changes.destroy();
            }),
            "{}"
        );
        let mut cleared = Changes::default();
        cleared.clear(&loaded);
        assert_eq!(cleared.confirmed_at(&loaded), None);
    }

    #[test]
    fn an_empty_object_is_written_as_one() {
        assert_eq!(written(&Changes::default(), &entries("{}")), "{}");
    }

    /// The name of a call, whether the session is another one after it, and the call.
    type Step = (&'static str, bool, fn(&mut Changes));

    #[test]
    fn each_call_alone_is_a_change_and_what_leaves_all_as_it_was_is_no_difference() {
        let loaded = entries(r#"{"$":{"confirmed":5,"until":7},"a":1}"#);
        let before = Base { entries: &loaded, owner: Some("ada"), label: Some("desk") };
        let steps: [Step; 17] = [
            ("insert", true, |it| it.insert("b", "2".into())),
            ("insert again", false, |it| it.insert("a", "1".into())),
            ("remove", true, |it| it.remove("a")),
            ("remove nothing", false, |it| it.remove("b")),
            ("set to null", true, |it| it.set("a", "null".into())),
            ("clear", true, |it| it.clear(&Entries::NONE)),
            ("renew", true, Changes::renew),
            ("rotate", true, Changes::rotate),
            ("destroy", true, Changes::destroy),
            ("metadata", true, |it| it.set_metadata(Metadata::from_json(r#"{"confirmed":5}"#))),
            ("same metadata", false, |it| it.set_metadata(Metadata::from_json(r#"{"confirmed":5,"until":7}"#))),
            ("owner", true, |it| it.set_owner("bob".into())),
            ("same owner", false, |it| it.set_owner("ada".into())),
            ("label", true, |it| it.set_label("phone".into())),
            ("confirm", true, |it| it.confirm(6)),
            ("confirm again", false, |it| it.confirm(5)),
            ("ask for the id", false, Changes::ask_id),
        ];
        assert!(Changes::default().is_empty() && !Changes::default().differ_from(before));
        for (name, differs, step) in steps {
            let mut changes = Changes::default();
            step(&mut changes);
            assert!(!changes.is_empty(), "{name}");
            assert_eq!(changes.differ_from(before), differs, "{name}");
        }
        let mut restored = Changes::default();
        restored.clear(&loaded);
        restored.insert("a", "1".into());
        restored.confirm(5);
        restored.set_owner("ada".into());
        restored.set_label("desk".into());
        assert!(!restored.differ_from(before));
        assert_eq!(format!("{restored:?}"), "Changes { edits: 1, .. }");
    }

    #[test]
    fn an_entry_an_owner_and_an_id_that_was_asked_for_each_keep_a_session() {
        let [one, noted, limits] =
            [r#"{"a":1}"#, r#"{"$":{"id":true}}"#, r#"{"$":{"until":7},"$later":1}"#].map(entries);
        let leave_nothing = |base: Base<'_>| Changes::NONE.leave_nothing(base);
        let nothing = Base::NOTHING;
        assert!(leave_nothing(nothing) && leave_nothing(base(&limits)));
        assert!(leave_nothing(Base { label: Some("desk"), ..nothing }));
        assert!(!leave_nothing(base(&one)) && !leave_nothing(base(&noted)));
        assert!(!leave_nothing(Base { owner: Some("ada"), ..nothing }));
        let mut asked = Changes::default();
        asked.ask_id();
        assert!(!asked.leave_nothing(nothing));
    }

    #[test]
    fn reserved_keys_without_metadata_stay_unless_the_session_ends() {
        let loaded = entries(r##"{"#":0,"$later":1,"a":2}"##);
        let mut changes = Changes::default();
        changes.insert("b", "3".into());
        assert_eq!(written(&changes, &loaded), r##"{"#":0,"$later":1,"a":2,"b":3}"##);
        changes.ask_id();
        changes.clear(&loaded);
        assert_eq!(written(&changes, &loaded), r#"{"$":{"id":true},"$later":1}"#);
        changes.destroy();
        assert_eq!(written(&changes, &loaded), "{}");
    }

    #[test]
    fn the_hint_is_long_enough_and_only_a_few_bytes_too_long() {
        let loaded = entries(r#"{"user":"ada"}"#);
        for (loaded, keys) in [(&Entries::NONE, 0), (&Entries::NONE, 9), (&loaded, 0), (&loaded, 1), (&loaded, 9)] {
            let mut changes = Changes::default();
            (0..keys).for_each(|key: u8| changes.insert(&format!("key{key}"), "\"value\"".into()));
            let (hint, len) = (changes.len_hint(loaded), changes.written_len(loaded));
            assert!((len..=len + 4).contains(&hint), "{hint} for {len}");
        }
        let mut short = Changes::default();
        ["a", "b", "c"].into_iter().for_each(|key| short.insert(key, "1".into()));
        short.remove("d");
        assert!(short.len_hint(&Entries::NONE) >= short.written_len(&Entries::NONE));
    }

    #[test]
    fn what_a_save_has_done_is_not_done_again() {
        let loaded = entries(r#"{"a":1}"#);
        let mut changes = Changes::default();
        changes.renew();
        changes.set_owner("ada".into());
        changes.set_label("desk".into());
        changes.change_metadata(&loaded, |metadata| metadata.until = Some(7));
        let saved = changes.clone();
        assert!(changes.since(&saved).is_empty());

        let mut cleared = changes.clone();
        cleared.clear(&loaded);
        let rest = cleared.since(&saved);
        assert!(rest.clears() && !rest.needs_new_id());
        cleared.rotate();
        assert!(cleared.since(&saved).needs_new_id());

        let mut renamed = changes.clone();
        renamed.set_label("phone".into());
        assert_eq!((renamed.since(&saved).owner(), renamed.since(&saved).label()), (None, Some("phone")));
        renamed.set_owner("bob".into());
        assert_eq!((renamed.since(&saved).owner(), renamed.since(&saved).label()), (Some("bob"), Some("phone")));
        let mut owned = changes.clone();
        owned.set_owner("bob".into());
        assert_eq!((owned.since(&saved).owner(), owned.since(&saved).label()), (Some("bob"), None));

        changes.change_metadata(&loaded, |metadata| metadata.until = Some(8));
        assert_eq!(changes.since(&saved).metadata(&loaded).until, Some(8));
        assert!(changes.since(&saved).change_limits(&loaded) && !Changes::NONE.change_limits(&loaded));
    }

    #[test]
    fn a_saved_change_is_dropped_unless_something_came_after_the_save() {
        let mut changes = Changes::default();
        changes.insert("a", "1".into());
        changes.insert("b", "1".into());
        let saved = changes.clone();
        let settled = |change: fn(&mut Changes)| {
            let mut later = changes.clone();
            change(&mut later);
            later.settle("a", &saved);
            (later.edited("a").flatten().map(str::to_owned), later.edited("b").flatten().map(str::to_owned))
        };
        let one = || Some("1".to_owned());
        assert_eq!(settled(|_| {}), (None, one()));
        assert_eq!(settled(|it| it.insert("a", "2".into())), (Some("2".to_owned()), one()));
        assert_eq!(
            settled(|it| {
                it.clear(&Entries::NONE);
                it.insert("a", "1".into());
            }),
            (one(), None)
        );
        assert_eq!(
            settled(|it| {
                it.destroy();
                it.insert("a", "1".into());
            }),
            (one(), None)
        );
    }

    #[test]
    fn a_server_error_leaves_the_end_alone_and_a_cookie_gets_no_owner() {
        let mut changes = Changes::default();
        changes.insert("a", "1".into());
        assert!(matches!(changes.without_owner(), Cow::Borrowed(same) if same.edited("a") == Some(Some("1"))));
        changes.set_owner("ada".into());
        let without = changes.without_owner();
        assert_eq!((without.owner(), without.edited("a")), (None, Some(Some("1"))));
        assert!(changes.rolled_back().is_empty());
        changes.clear(&Entries::NONE);
        assert!(changes.rolled_back().is_empty());
        changes.destroy();
        changes.insert("b", "2".into());
        assert!(changes.rolled_back().destroys() && changes.rolled_back().view(&Entries::NONE).next().is_none());
    }

    #[test]
    fn a_replaced_session_keeps_the_limits_the_owner_and_the_label_that_were_set() {
        let mut changes = Changes::default();
        changes.insert("a", "1".into());
        changes.set_owner("ada".into());
        changes.set_label("desk".into());
        changes.set_metadata(Metadata::from_json(r#"{"id":true,"until":7}"#));
        changes.replace();
        assert!(changes.destroys() && changes.edited("a") == Some(None));
        assert_eq!((changes.owner(), changes.label()), (Some("ada"), Some("desk")));
        let loaded = entries(r#"{"$":{"idle":9}}"#);
        assert_eq!(changes.metadata(&loaded).to_json().as_deref(), Some(r#"{"until":7}"#));
    }

    #[cfg(feature = "encrypted")]
    #[test]
    fn an_encrypted_store_changes_the_texts_of_the_application_alone() {
        let mut changes = Changes::default();
        changes.insert("$later", "1".into());
        changes.insert("a", "1".into());
        changes.remove("b");
        changes.texts_mut().for_each(|(key, text)| *text = format!("\"{key}{text}\""));
        let edits = ["$later", "a", "b"].map(|key| changes.edited(key));
        assert_eq!(edits, [Some(Some("1")), Some(Some("\"a1\"")), Some(None)]);
        assert!(!changes.replaces_metadata());
        let mut metadata = changes.clone();
        metadata.set_metadata(Metadata::NONE);
        changes.destroy();
        assert!(metadata.replaces_metadata() && changes.replaces_metadata());
    }

    proptest! {
        /// Each step is a pair of numbers: the method to call, and the key or value to call it with.
        #[test]
        fn a_save_in_between_changes_nothing_of_what_a_session_becomes(
            steps in proptest::collection::vec((0..10_u8, 0..3_u8), 0..12),
            save in 0..12_usize,
            metadata in any::<bool>(),
        ) {
            let loaded = entries(if metadata { r#"{"$":{"confirmed":9,"id":true,"until":7},"a":0,"b":0}"# } else { r#"{"a":0,"b":0}"# });
            let before = Base { entries: &loaded, owner: Some("ada"), label: Some("desk") };
            let (mut changes, mut saved) = (Changes::default(), None);
            for (index, (step, which)) in steps.into_iter().enumerate() {
                if index == save {
                    saved = Some(changes.clone());
                }
                let key = ["a", "b", "c"][usize::from(which)];
                match step {
                    0 | 1 => changes.insert(key, which.to_string()),
                    2 => changes.remove(key),
                    3 => changes.clear(&loaded),
                    4 => changes.renew(),
                    5 => changes.destroy(),
                    6 => changes.set_owner(key.into()),
                    7 => changes.ask_id(),
                    8 => changes.confirm(u64::from(which)),
                    _ => changes.change_metadata(&loaded, |metadata| metadata.until = Some(u64::from(which))),
                }
            }
            let saved = saved.unwrap_or_default();
            let between = Entries::from_texts(saved.fields(&loaded)).unwrap();
            let base = Base { entries: &between, owner: saved.owner_after(before), label: saved.label_after(before) };
            let rest = changes.since(&saved);
            let (view, whole) = (rest.view(&between), changes.view(&loaded));
            prop_assert_eq!(view.collect::<Vec<_>>(), whole.collect::<Vec<_>>());
            prop_assert_eq!(rest.confirmed_at(&between), changes.confirmed_at(&loaded));
            prop_assert_eq!(rest.metadata(&between).until, changes.metadata(&loaded).until);
            prop_assert_eq!(rest.owner_after(base), changes.owner_after(before));
            prop_assert_eq!(rest.label_after(base), changes.label_after(before));
            prop_assert_eq!(rest.leave_nothing(base), changes.leave_nothing(before));
        }

        #[test]
        fn the_view_is_what_a_map_would_hold(
            loaded in proptest::collection::btree_map("[a-e]{1,2}", 0..9_u8, 0..6),
            edits in proptest::collection::vec(("[a-e]{1,2}", proptest::option::of(0..9_u8)), 0..12),
            cleared in any::<bool>(),
        ) {
            let text = serde_json::to_string(&loaded).unwrap();
            let mut model: BTreeMap<String, u8> = loaded;
            let loaded = entries(&text);
            let mut changes = Changes::default();
            if cleared {
                changes.clear(&loaded);
                model.clear();
            }
            for (key, value) in edits {
                match value {
                    Some(value) => { changes.insert(&key, value.to_string()); model.insert(key, value); }
                    None => { changes.remove(&key); model.remove(&key); }
                }
            }
            let expected = serde_json::to_string(&model).unwrap();
            prop_assert_eq!(written(&changes, &loaded), &*expected);
            prop_assert_eq!(changes.differ_from(base(&loaded)), expected != text);
            for (key, value) in &model {
                prop_assert_eq!(changes.get(&loaded, key).map(str::to_owned), Some(value.to_string()));
            }
        }
    }
}
