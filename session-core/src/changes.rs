//! What a request did to a session, and what the session is after it.

use std::{borrow::Cow, fmt};

use crate::{
    entries::Entries,
    json::write_object,
    metadata::{self, Metadata, RESERVED_KEY},
};

/// The changes of one request to its session. They are no copy of the session, so that only what changed is written.
#[derive(Clone, Default)]
pub struct Changes {
    basis: Basis,
    id: IdChange,
    /// In the order of the keys; `None` removes.
    edits: Vec<(String, Option<String>)>,
    /// The metadata from now on; `None` leaves it.
    metadata: Option<Box<Metadata>>,
    owner: Option<String>,
    label: Option<String>,
    id_was_asked: bool,
    turns: Turns,
}

/// What of the session that the request brought still counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Basis {
    /// All of it.
    #[default]
    Loaded,
    /// The same session without its entries.
    Cleared,
    /// Another session: the one that the request brought is over.
    New,
}

/// Whether the session gets another id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum IdChange {
    #[default]
    Kept,
    /// Another id, and the same creation time.
    Rotated,
    /// Another id and another creation time.
    Renewed,
}

/// How often each of these was called: [`Changes::since`] tells by it what came after a save.
#[derive(Clone, Copy, Debug, Default)]
struct Turns {
    destroyed: u32,
    cleared: u32,
    renewed: u32,
}

/// What a store or a cookie has of a session before it is changed.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// The entries, and the metadata among them.
    pub entries: &'a Entries,
    /// The owner, where owners are kept.
    pub owner: Option<&'a str>,
    /// The label, where labels are kept.
    pub label: Option<&'a str>,
}

impl Base<'_> {
    /// No session.
    pub const NOTHING: Base<'static> = Base { entries: &Entries::NONE, owner: None, label: None };
}

impl Changes {
    /// No changes.
    pub const NONE: Self = Self {
        basis: Basis::Loaded,
        id: IdChange::Kept,
        edits: Vec::new(),
        metadata: None,
        owner: None,
        label: None,
        id_was_asked: false,
        turns: Turns { destroyed: 0, cleared: 0, renewed: 0 },
    };

    /// Puts the JSON text of a value under `key`. Keys that begin with `$` are not the application's: the caller
    /// refuses them.
    pub fn insert(&mut self, key: &str, text: String) {
        self.edit(key, Some(text));
    }

    /// Removes `key`.
    pub fn remove(&mut self, key: &str) {
        self.edit(key, None);
    }

    /// Removes all entries, the owner and the label, and forgets that the id was asked for. The session stays the same
    /// one, and keeps the rest of its metadata.
    pub fn clear(&mut self, loaded: &Entries) {
        self.edits.clear();
        (self.owner, self.label) = (None, None);
        if self.basis == Basis::Loaded {
            self.basis = Basis::Cleared;
        }
        if self.metadata(loaded).id_was_asked {
            self.change_metadata(loaded, |metadata| metadata.id_was_asked = false);
        }
        self.turns.cleared += 1;
    }

    /// Gives the session a new id and a new creation time.
    pub const fn renew(&mut self) {
        self.id = IdChange::Renewed;
        self.turns.renewed += 1;
    }

    /// Gives the session a new id. It keeps its creation time, unless it is renewed as well.
    pub fn rotate(&mut self) {
        if self.id == IdChange::Kept {
            self.id = IdChange::Rotated;
        }
        self.turns.renewed += 1;
    }

    /// Ends the session. What is changed afterwards belongs to a new one.
    pub fn destroy(&mut self) {
        let turns = Turns { destroyed: self.turns.destroyed + 1, ..self.turns };
        *self = Self { basis: Basis::New, turns, ..Self::default() };
    }

    /// Replaces the session's metadata.
    pub fn set_metadata(&mut self, metadata: Metadata) {
        self.metadata = Some(Box::new(metadata));
    }

    /// Changes the session's metadata.
    pub fn change_metadata(&mut self, loaded: &Entries, change: impl FnOnce(&mut Metadata)) {
        let mut metadata = self.metadata(loaded).clone();
        change(&mut metadata);
        self.set_metadata(metadata);
    }

    /// Gives the session an owner.
    pub fn set_owner(&mut self, owner: String) {
        self.owner = Some(owner);
    }

    /// Gives the session a label, which its owner is shown.
    pub fn set_label(&mut self, label: String) {
        self.label = Some(label);
    }

    /// Notes that the application asked for the session's id, so that the session exists even without entries.
    pub const fn ask_id(&mut self) {
        self.id_was_asked = true;
    }

    /// Returns the changes alone that a response with a server error leaves: the end of the session.
    #[must_use]
    pub fn rolled_back(&self) -> Self {
        let mut changes = Self::default();
        if self.destroys() {
            changes.destroy();
        }
        changes
    }

    /// Returns these changes without an owner and a label, for sessions that keep neither.
    #[must_use]
    pub fn without_owner(&self) -> Cow<'_, Self> {
        if self.owner.is_none() && self.label.is_none() {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Self { owner: None, label: None, ..self.clone() })
    }

    /// Returns what was changed after a save that wrote `saved`.
    #[must_use]
    pub fn since(&self, saved: &Self) -> Self {
        if self.turns.destroyed > saved.turns.destroyed {
            return self.clone();
        }
        let is_renewed = self.turns.renewed > saved.turns.renewed;
        let id = if is_renewed { self.id } else { IdChange::Kept };
        if self.turns.cleared > saved.turns.cleared {
            return Self { basis: Basis::Cleared, id, ..self.clone() };
        }
        let is_new = |(key, text): &&(String, Option<String>)| saved.edited(key) != Some(text.as_deref());
        Self {
            basis: Basis::Loaded,
            id,
            edits: self.edits.iter().filter(is_new).cloned().collect(),
            metadata: self.metadata.clone().filter(|metadata| saved.metadata.as_ref() != Some(metadata)),
            owner: self.owner.clone().filter(|owner| saved.owner.as_ref() != Some(owner)),
            label: self.label.clone().filter(|label| saved.label.as_ref() != Some(label)),
            // Whoever has the id relies on it for the rest of the request.
            id_was_asked: self.id_was_asked,
            turns: self.turns,
        }
    }

    /// Takes out the change under `key` after it was saved on its own, unless `key` was changed again since `saved`.
    pub fn settle(&mut self, key: &str, saved: &Self) {
        let (now, then) = (self.turns, saved.turns);
        let is_same_session = (now.destroyed, now.cleared) == (then.destroyed, then.cleared);
        if is_same_session && self.edited(key) == saved.edited(key) {
            self.edits.retain(|(edited, _)| edited != key);
        }
    }

    /// Whether the entries that the request brought are gone.
    #[must_use]
    pub fn clears(&self) -> bool {
        self.basis != Basis::Loaded
    }

    /// Whether the session that the request brought is over.
    #[must_use]
    pub fn destroys(&self) -> bool {
        self.basis == Basis::New
    }

    /// Whether the session gets a new creation time: it was renewed, or it is another one.
    #[must_use]
    pub fn begins_anew(&self) -> bool {
        self.id == IdChange::Renewed || self.destroys()
    }

    /// Whether the session gets a new id: it was renewed or rotated, or it is another one.
    #[must_use]
    pub fn needs_new_id(&self) -> bool {
        self.id != IdChange::Kept || self.destroys()
    }

    /// Whether the request changed nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let entries = self.basis == Basis::Loaded && self.edits.is_empty() && self.metadata.is_none();
        entries && !self.needs_new_id() && self.owner.is_none() && self.label.is_none() && !self.id_was_asked
    }

    /// The JSON text under `key`, after the changes.
    #[must_use]
    pub fn get<'a>(&'a self, loaded: &'a Entries, key: &str) -> Option<&'a str> {
        self.edited(key).unwrap_or_else(|| loaded.get(key))
    }

    /// What the changes make of `key`: `None` if they leave it as it was, `Some(None)` if it is removed.
    #[must_use]
    pub fn edited(&self, key: &str) -> Option<Option<&str>> {
        match self.position(key) {
            Ok(position) => Some(self.edits[position].1.as_deref()),
            Err(_) => self.clears().then_some(None),
        }
    }

    /// The session's metadata, after the changes.
    #[must_use]
    pub fn metadata<'a>(&'a self, loaded: &'a Entries) -> &'a Metadata {
        match &self.metadata {
            Some(metadata) => metadata,
            None if self.destroys() => &metadata::NONE,
            None => loaded.metadata(),
        }
    }

    /// The owner that the changes set.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// The label that the changes set.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// The owner after the changes.
    #[must_use]
    pub fn owner_after<'a>(&'a self, base: Base<'a>) -> Option<&'a str> {
        self.owner().or_else(|| base.owner.filter(|_| !self.clears()))
    }

    /// The label after the changes.
    #[must_use]
    pub fn label_after<'a>(&'a self, base: Base<'a>) -> Option<&'a str> {
        self.label().or_else(|| base.label.filter(|_| !self.clears()))
    }

    /// The application's entries after the changes, in the order of the keys.
    #[must_use]
    pub const fn view<'a>(&'a self, loaded: &'a Entries) -> View<'a> {
        View { changes: self, loaded, next_loaded: 0, next_edit: 0 }
    }

    /// All that is to be written after the changes, in the order of the keys: the entries and the metadata.
    pub fn fields<'a>(&'a self, loaded: &'a Entries) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
        let metadata = self.metadata_text(loaded).map(|text| (RESERVED_KEY, text));
        let reserved = loaded.reserved().filter(|(key, _)| !self.destroys() && self.position(key).is_err());
        let is_before = |(key, _): &(&str, &str)| *key < RESERVED_KEY;
        let text = |(key, text): (&'a str, &'a str)| (key, Cow::Borrowed(text));
        let before = self.view(loaded).take_while(is_before).map(text);
        let behind = self.view(loaded).skip_while(is_before).map(text);
        before.chain(metadata).chain(reserved.map(text)).chain(behind)
    }

    /// Appends all that is to be written after the changes to `body`, as one JSON object.
    pub fn write(&self, loaded: &Entries, body: &mut Vec<u8>) {
        body.reserve(self.len_hint(loaded));
        write_object(self.fields(loaded), body);
    }

    /// About how many bytes [`write`](Self::write) appends: exactly, or more, where no key needs escapes and there is no
    /// metadata.
    #[must_use]
    pub fn len_hint(&self, loaded: &Entries) -> usize {
        self.view(loaded).map(|(key, text)| key.len() + text.len() + 4).sum::<usize>() + 2
    }

    /// How many bytes [`write`](Self::write) appends.
    #[must_use]
    pub fn written_len(&self, loaded: &Entries) -> usize {
        let mut body = Vec::new();
        self.write(loaded, &mut body);
        body.len()
    }

    /// What the changes do to each field that is written: `None` where it is removed. For stores that keep fields apart.
    pub fn field_edits<'a>(&'a self, loaded: &'a Entries) -> impl Iterator<Item = (&'a str, Option<Cow<'a, str>>)> {
        let is_changed = self.metadata.is_some() || self.destroys() || self.is_held_by_id(loaded);
        let metadata = is_changed.then(|| (RESERVED_KEY, self.metadata_text(loaded)));
        let edits = self.edits.iter().map(|(key, text)| (key.as_str(), text.as_deref().map(Cow::Borrowed)));
        metadata.into_iter().chain(edits)
    }

    /// Whether the session differs from `base`. A change that was changed back is none.
    #[must_use]
    pub fn differ_from(&self, base: Base<'_>) -> bool {
        let entries_differ = || match self.basis {
            Basis::Loaded => self.edits.iter().any(|(key, text)| base.entries.get(key) != text.as_deref()),
            _ => !self.view(base.entries).eq(Self::default().view(base.entries)),
        };
        self.needs_new_id()
            || entries_differ()
            || self.metadata.as_ref().is_some_and(|metadata| **metadata != *base.entries.metadata())
            || self.owner_after(base) != base.owner
            || self.label_after(base) != base.label
    }

    /// Whether nothing is left that makes it a session: no entry, no owner, and no id that was asked for.
    #[must_use]
    pub fn leave_nothing(&self, base: Base<'_>) -> bool {
        let has_entries = self.view(base.entries).next().is_some();
        let is_held = self.id_was_asked || self.metadata(base.entries).id_was_asked;
        !has_entries && !is_held && self.owner_after(base).is_none()
    }

    fn metadata_text<'a>(&'a self, loaded: &'a Entries) -> Option<Cow<'a, str>> {
        if self.is_held_by_id(loaded) {
            let mut held = self.metadata(loaded).clone();
            held.id_was_asked = true;
            return held.to_json().map(Cow::Owned);
        }
        match &self.metadata {
            Some(metadata) => metadata.to_json().map(Cow::Owned),
            None if self.destroys() => None,
            None => loaded.metadata_text().map(Cow::Borrowed),
        }
    }

    /// Whether the session exists without entries since its id was asked for, so that its metadata has to say so.
    fn is_held_by_id(&self, loaded: &Entries) -> bool {
        let is_noted = self.metadata(loaded).id_was_asked;
        self.id_was_asked && !is_noted && self.view(loaded).next().is_none()
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

/// The entries of a session after the changes: see [`Changes::view`]. Two sorted lists, merged as they are read.
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
            match (loaded, edit) {
                (Some((key, text)), edit) if edit.is_none_or(|(edited, _)| key < edited.as_str()) => {
                    self.next_loaded += 1;
                    return Some((key, text));
                }
                (loaded, Some((edited, text))) => {
                    self.next_edit += 1;
                    self.next_loaded += usize::from(loaded.is_some_and(|(key, _)| key == edited));
                    if let Some(text) = text {
                        return Some((edited, text));
                    }
                }
                _ => return None,
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
    fn an_empty_object_is_written_as_one() {
        assert_eq!(written(&Changes::default(), &entries("{}")), "{}");
    }

    proptest! {
        /// Each step is a number: what it does, and with which key or value.
        #[test]
        fn a_save_in_between_changes_nothing_of_what_a_session_becomes(
            steps in proptest::collection::vec((0..9_u8, 0..3_u8), 0..12),
            save in 0..12_usize,
            metadata in any::<bool>(),
        ) {
            let loaded = entries(if metadata { r#"{"$":{"id":true,"until":7},"a":0,"b":0}"# } else { r#"{"a":0,"b":0}"# });
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
                    _ => changes.change_metadata(&loaded, |metadata| metadata.end_at(Some(u64::from(which)))),
                }
            }
            let saved = saved.unwrap_or_default();
            let between = Entries::from_texts(saved.fields(&loaded)).unwrap();
            let base = Base { entries: &between, owner: saved.owner_after(before), label: saved.label_after(before) };
            let rest = changes.since(&saved);
            let (view, whole) = (rest.view(&between), changes.view(&loaded));
            prop_assert_eq!(view.collect::<Vec<_>>(), whole.collect::<Vec<_>>());
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
