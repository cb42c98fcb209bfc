//! What a request did to a session, and what the session is after it.

use std::fmt;

use crate::{
    entries::Entries,
    lifetime::{RESERVED_KEY, RESERVED_PREFIX, Terms},
};

/// The changes of one request: not a copy of the session, so that nothing is written that nobody touched.
#[derive(Clone, Default)]
pub struct Changes {
    basis: Basis,
    renewed: bool,
    /// In the order of the keys; `None` removes.
    edits: Vec<(String, Option<String>)>,
}

/// What of the session that arrived still counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Basis {
    #[default]
    Arrived,
    /// The same session without its entries.
    Cleared,
    /// Another session: the one that arrived is over.
    New,
}

impl Changes {
    /// Puts the JSON text of a value under `key`.
    pub fn insert(&mut self, key: &str, text: String) {
        self.edit(key, Some(text));
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &str) {
        self.edit(key, None);
    }

    /// Takes everything out, and lets go of the id if somebody held it. The session stays the same one.
    pub fn clear(&mut self, arrived: &Entries) {
        self.edits.retain(|(key, _)| key == RESERVED_KEY);
        if self.basis == Basis::Arrived {
            self.basis = Basis::Cleared;
        }
        let mut terms = self.terms(arrived);
        if std::mem::take(&mut terms.pinned) {
            self.set_terms(&terms);
        }
    }

    /// Gives the session a new id and a new beginning.
    pub const fn renew(&mut self) {
        self.renewed = true;
    }

    /// Ends the session. What is changed afterwards belongs to a new one.
    pub fn destroy(&mut self) {
        *self = Self { basis: Basis::New, ..Self::default() };
    }

    /// What was changed since these were `saved`: all of it if the session was cleared or ended meanwhile.
    #[must_use]
    pub fn since(&self, saved: &Self) -> Self {
        if self.basis != saved.basis {
            return self.clone();
        }
        let is_news = |(key, text): &&(String, Option<String>)| saved.edited(key) != Some(text.as_deref());
        let edits = self.edits.iter().filter(is_news).cloned().collect();
        Self { basis: Basis::Arrived, renewed: self.renewed && !saved.renewed, edits }
    }

    /// Takes out what was changed under `key` unless it was changed again since `saved`: it is saved on its own.
    pub fn settle(&mut self, key: &str, saved: &Self) {
        if self.basis == saved.basis && self.edited(key) == saved.edited(key) {
            self.edits.retain(|(edited, _)| edited != key);
        }
    }

    /// Says something else under the reserved key.
    pub fn set_terms(&mut self, terms: &Terms) {
        self.edit(RESERVED_KEY, terms.to_json());
    }

    /// Whether the entries that arrived are gone.
    #[must_use]
    pub fn clears(&self) -> bool {
        self.basis != Basis::Arrived
    }

    /// Every key that was changed with its JSON text, `None` where it was taken out, in the order of the keys.
    pub fn edits(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.edits.iter().map(|(key, text)| (key.as_str(), text.as_deref()))
    }

    /// Whether the session that arrived is over.
    #[must_use]
    pub fn destroys(&self) -> bool {
        self.basis == Basis::New
    }

    /// Whether the session needs a new id: it was renewed, or it is another one.
    #[must_use]
    pub fn needs_new_id(&self) -> bool {
        self.renewed || self.destroys()
    }

    /// The JSON text under `key`, after the changes.
    #[must_use]
    pub fn get<'a>(&'a self, arrived: &'a Entries, key: &str) -> Option<&'a str> {
        self.edited(key).unwrap_or_else(|| arrived.get(key))
    }

    /// What the changes say of `key`: `None` when they leave it as it arrived, `Some(None)` when it is gone.
    #[must_use]
    pub fn edited(&self, key: &str) -> Option<Option<&str>> {
        match self.position(key) {
            Ok(position) => Some(self.edits[position].1.as_deref()),
            Err(_) => (!self.keeps(key)).then_some(None),
        }
    }

    /// Whether the request changed nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.basis == Basis::Arrived && !self.renewed && self.edits.is_empty()
    }

    /// What the session says of itself, after the changes.
    #[must_use]
    pub fn terms(&self, arrived: &Entries) -> Terms {
        self.get(arrived, RESERVED_KEY).map_or_else(Terms::default, Terms::parse)
    }

    /// Everything there is after the changes, in the order of the keys, ours included.
    #[must_use]
    pub const fn view<'a>(&'a self, arrived: &'a Entries) -> View<'a> {
        View { changes: self, arrived, next_arrived: 0, next_edit: 0 }
    }

    /// Whether the session differs from the one that arrived. Changing something and changing it back does not.
    #[must_use]
    pub fn differs_from(&self, arrived: &Entries) -> bool {
        match self.basis {
            Basis::Arrived => self.renewed || self.edits().any(|(key, text)| arrived.get(key) != text),
            Basis::Cleared => self.renewed || !self.view(arrived).eq(Self::default().view(arrived)),
            Basis::New => true,
        }
    }

    /// Whether nothing is left that makes it a session: no entry, and nobody who holds its id.
    #[must_use]
    pub fn leave_nothing(&self, arrived: &Entries) -> bool {
        self.view(arrived).all(|(key, _)| key.starts_with(RESERVED_PREFIX)) && !self.terms(arrived).pinned
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

    fn keeps(&self, key: &str) -> bool {
        match self.basis {
            Basis::Arrived => true,
            Basis::Cleared => key.starts_with(RESERVED_PREFIX),
            Basis::New => false,
        }
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
    arrived: &'a Entries,
    next_arrived: usize,
    next_edit: usize,
}

impl<'a> Iterator for View<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let arrived = self.arrived.nth_by_key(self.next_arrived);
            let edit = self.changes.edits.get(self.next_edit);
            match (arrived, edit) {
                (Some((key, text)), edit) if edit.is_none_or(|(edited, _)| key < edited.as_str()) => {
                    self.next_arrived += 1;
                    if self.changes.keeps(key) {
                        return Some((key, text));
                    }
                }
                (arrived, Some((edited, text))) => {
                    self.next_edit += 1;
                    self.next_arrived += usize::from(arrived.is_some_and(|(key, _)| key == edited));
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
    use crate::json::write_object;

    fn entries(text: &str) -> Entries {
        Entries::parse(text.into()).unwrap()
    }

    fn written(changes: &Changes, arrived: &Entries) -> String {
        let mut body = Vec::new();
        write_object(changes.view(arrived), &mut body);
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn untouched_values_are_copied_as_they_stood() {
        let arrived = entries(r#"{"b": 1.0e2, "a": "\u0061"}"#);
        let mut changes = Changes::default();
        changes.insert("ab", "true".into());
        assert_eq!(written(&changes, &arrived), r#"{"a":"\u0061","ab":true,"b":1.0e2}"#);
    }

    #[test]
    fn changing_something_back_is_no_change() {
        let arrived = entries(r#"{"a":1}"#);
        let mut changes = Changes::default();
        changes.insert("a", "2".into());
        assert!(changes.differs_from(&arrived));
        changes.insert("a", "1".into());
        changes.remove("b");
        assert!(!changes.differs_from(&arrived));
    }

    #[test]
    fn clearing_keeps_the_terms_and_destroying_does_not() {
        let arrived = entries(r#"{"$":{"until":7},"a":1}"#);
        let mut changes = Changes::default();
        changes.clear(&arrived);
        assert_eq!(written(&changes, &arrived), r#"{"$":{"until":7}}"#);
        assert!(changes.leave_nothing(&arrived));
        changes.destroy();
        changes.insert("b", "2".into());
        assert_eq!(written(&changes, &arrived), r#"{"b":2}"#);
        assert!(changes.needs_new_id());
    }

    #[test]
    fn an_empty_object_is_written_as_one() {
        assert_eq!(written(&Changes::default(), &entries("{}")), "{}");
    }

    proptest! {
        #[test]
        fn the_view_is_what_a_map_would_hold(
            arrived in proptest::collection::btree_map("[a-e]{1,2}", 0..9_u8, 0..6),
            edits in proptest::collection::vec(("[a-e]{1,2}", proptest::option::of(0..9_u8)), 0..12),
            cleared in any::<bool>(),
        ) {
            let text = serde_json::to_string(&arrived).unwrap();
            let mut model: BTreeMap<String, u8> = arrived;
            let arrived = entries(&text);
            let mut changes = Changes::default();
            if cleared {
                changes.clear(&arrived);
                model.clear();
            }
            for (key, value) in edits {
                match value {
                    Some(value) => { changes.insert(&key, value.to_string()); model.insert(key, value); }
                    None => { changes.remove(&key); model.remove(&key); }
                }
            }
            let expected = serde_json::to_string(&model).unwrap();
            prop_assert_eq!(written(&changes, &arrived), &*expected);
            prop_assert_eq!(changes.differs_from(&arrived), expected != text);
            for (key, value) in &model {
                prop_assert_eq!(changes.get(&arrived, key).map(str::to_owned), Some(value.to_string()));
            }
        }
    }
}
