//! What is carried to the next page: messages, a form's input and its errors.

use std::{
    collections::{HashMap, HashSet},
    fmt, slice,
};

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::{
    entries::{Entries, decode},
    json::Malformed,
};

/// Lists of texts by name, in the order in which they were added.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Lists(Vec<(String, Texts)>);

impl Lists {
    /// Adds a text to the list under `name`.
    pub fn add(&mut self, name: impl Into<String> + AsRef<str>, text: String) {
        match self.0.iter_mut().find(|(known, _)| known == name.as_ref()) {
            Some((_, texts)) => texts.join(Texts::One(text)),
            None => self.0.push((name.into(), Texts::One(text))),
        }
    }

    /// Adds all texts of `others`.
    pub fn extend(&mut self, others: Self) {
        if self.is_empty() || others.is_empty() {
            self.0.extend(others.0);
            return;
        }
        *self = std::mem::take(self).0.into_iter().chain(others.0).collect();
    }

    /// Puts the lists of `others` in the place of those with the same names.
    pub fn replace(&mut self, others: Self) {
        if self.is_empty() || others.is_empty() {
            self.0.extend(others.0);
            return;
        }
        let names: HashSet<&str> = others.0.iter().map(|(name, _)| name.as_str()).collect();
        self.0.retain(|(name, _)| !names.contains(name.as_str()));
        self.0.extend(others.0);
    }

    /// The list under `name`; empty when there is none.
    #[must_use]
    pub fn get_all(&self, name: &str) -> &[String] {
        self.0.iter().find(|(known, _)| known == name).map_or(&[], |(_, texts)| texts.as_slice())
    }

    /// The last text under `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).last().map(String::as_str)
    }

    /// All names with their lists.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.texts().map(|(name, texts)| (name, texts.as_slice()))
    }

    /// All names with their texts.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &Texts)> {
        self.0.iter().map(|(name, texts)| (name.as_str(), texts))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps the names for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    /// Reads an object whose values are texts or lists of texts.
    fn parse(text: &str) -> Result<Self, Malformed> {
        let entries = Entries::parse(text.into())?;
        entries.fields().map(|(name, text)| Ok((name.to_owned(), Texts::parse(text)?))).collect()
    }

    fn to_json(&self) -> String {
        json(self)
    }
}

/// What is given under one name several times becomes a list.
impl FromIterator<(String, Texts)> for Lists {
    fn from_iter<I: IntoIterator<Item = (String, Texts)>>(pairs: I) -> Self {
        let mut lists: Vec<(String, Texts)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for (name, texts) in pairs {
            if let Some((_, list)) = places.get(&name).and_then(|place| lists.get_mut(*place)) {
                list.join(texts);
            } else {
                places.insert(name.clone(), lists.len());
                lists.push((name, texts));
            }
        }
        Self(lists)
    }
}

impl FromIterator<(String, String)> for Lists {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        pairs.into_iter().map(|(name, text)| (name, Texts::One(text))).collect()
    }
}

impl Serialize for Lists {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.texts())
    }
}

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lists").field("len", &self.0.len()).finish_non_exhaustive()
    }
}

/// What is under one name: a text, or a list of them, which may have one or none.
#[derive(Clone, PartialEq, Eq)]
pub enum Texts {
    /// A text.
    One(String),
    /// A list.
    Many(Vec<String>),
}

impl Texts {
    /// The texts as a list.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(text) => slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }

    fn join(&mut self, others: Self) {
        let mut texts = std::mem::replace(self, Self::Many(Vec::new())).into_vec();
        texts.extend(others.into_vec());
        *self = Self::Many(texts);
    }

    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }

    /// Most lists of messages have one, which needs no list.
    fn parse_messages(text: &str) -> Result<Self, Malformed> {
        let only = text.strip_prefix('[').and_then(|text| decode(text.strip_suffix(']')?).ok());
        only.map_or_else(|| Self::parse(text), |only| Ok(Self::One(only)))
    }

    fn parse(text: &str) -> Result<Self, Malformed> {
        let texts = if text.starts_with('"') { decode(text).map(Self::One) } else { decode(text).map(Self::Many) };
        texts.map_err(|_| Malformed)
    }
}

impl Serialize for Texts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(text) => text.serialize(serializer),
            Self::Many(texts) => texts.serialize(serializer),
        }
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Texts").field("len", &self.as_slice().len()).finish_non_exhaustive()
    }
}

/// What one response carries to the next page. It has a cookie of its own.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Messages by kind: success, error, ..
    pub messages: Lists,
    /// A refused form's values by field.
    pub input: Lists,
    /// What is wrong with them, by field.
    pub errors: Lists,
    /// The fields whose values were too large to travel; at the end `…` when there was no room to name them all.
    pub dropped: Vec<String>,
}

impl Batch {
    /// Whether there is nothing to carry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && !self.has_form()
    }

    /// Whether it carries anything of a refused form.
    #[must_use]
    pub fn has_form(&self) -> bool {
        !(self.input.is_empty() && self.errors.is_empty() && self.dropped.is_empty())
    }

    /// Adds what the same response carries too: a field's value given again counts, its errors add up.
    pub fn extend(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        self.messages.extend(other.messages);
        self.input.replace(other.input);
        self.errors.extend(other.errors);
        for name in other.dropped {
            self.note_dropped(&name);
        }
    }

    /// Adds what a later response carries. A form with a field in common is the same form, sent again, and takes the
    /// earlier one's place.
    pub fn absorb(&mut self, newer: Self) {
        if newer.shares_a_field_with(self) {
            self.drop_form();
        }
        self.extend(newer);
    }

    /// Whether the forms of the two have a field in common.
    #[must_use]
    pub fn shares_a_field_with(&self, other: &Self) -> bool {
        if !other.has_form() {
            return false;
        }
        let fields: HashSet<&str> = other.fields().collect();
        self.fields().any(|field| fields.contains(field))
    }

    /// Drops a refused form, and keeps the messages.
    pub fn drop_form(&mut self) {
        *self = Self { messages: std::mem::take(&mut self.messages), ..Self::default() };
    }

    /// Drops the largest fields of the input, and notes their names, until the payload has at most `room` bytes or no
    /// field is left. It answers how many were dropped.
    pub fn shrink_input(&mut self, room: usize) -> usize {
        let mut size = self.size();
        if size <= room || self.input.is_empty() {
            return 0;
        }
        size += DROPPED_FRAME;
        let costs = self.input.texts().map(|(name, texts)| json(name).len() + json(texts).len() + 2);
        let mut gone = HashSet::new();
        for (field, cost) in largest_first(costs) {
            if size <= room {
                break;
            }
            gone.insert(field);
            let name = self.input.0[field].0.clone();
            size = size - cost + self.note_dropped(&name);
        }
        remove(&mut self.input.0, &gone);
        self.shorten_names(room);
        gone.len()
    }

    /// Drops the longest errors until the payload has at most `room` bytes or none is left. It answers how many were
    /// dropped.
    pub fn shrink_errors(&mut self, room: usize) -> usize {
        let mut size = self.size();
        if size <= room {
            return 0;
        }
        let errors = std::mem::take(&mut self.errors).0.into_iter();
        let mut errors: Vec<(String, String)> = errors
            .flat_map(|(field, texts)| texts.into_vec().into_iter().map(move |text| (field.clone(), text)))
            .collect();
        let mut gone = HashSet::new();
        for (error, cost) in largest_first(errors.iter().map(|(_, text)| json(text).len() + 1)) {
            if size <= room {
                break;
            }
            gone.insert(error);
            size -= cost;
        }
        remove(&mut errors, &gone);
        self.errors = errors.into_iter().collect();
        gone.len()
    }

    /// How many bytes the payload has.
    #[must_use]
    pub fn size(&self) -> usize {
        let mut body = Vec::new();
        self.write(&mut body);
        body.len()
    }

    /// The batch that a token's payload holds.
    ///
    /// # Errors
    ///
    /// When a value is neither a text nor a list of texts.
    pub fn of(entries: &Entries) -> Result<Self, Malformed> {
        let mut batch = Self::default();
        for (key, text) in entries.fields() {
            match key {
                INPUT => batch.input = Lists::parse(text)?,
                ERRORS => batch.errors = Lists::parse(text)?,
                DROPPED => batch.dropped = Texts::parse(text)?.into_vec(),
                _ if key.starts_with('$') => {}
                _ => batch.messages.0.push((key.to_owned(), Texts::parse_messages(text)?)),
            }
        }
        Ok(batch)
    }

    /// Appends the payload to `body`.
    pub fn write(&self, body: &mut Vec<u8>) {
        let written = serde_json::to_writer(body, &Payload(self));
        debug_assert!(written.is_ok(), "texts always serialize, and writing to a Vec cannot fail");
    }

    /// The payload's keys with their JSON texts.
    #[must_use]
    pub fn to_entries(&self) -> Vec<(&str, String)> {
        let forms = [(INPUT, &self.input), (ERRORS, &self.errors)];
        let forms = forms.into_iter().filter(|(_, lists)| !lists.is_empty()).map(|(key, lists)| (key, lists.to_json()));
        let dropped = (!self.dropped.is_empty()).then(|| (DROPPED, json(&self.dropped)));
        let messages = self.messages.iter().map(|(key, texts)| (key, json(texts)));
        forms.chain(dropped).chain(messages).collect()
    }

    /// All names that a form's part of it mentions.
    fn fields(&self) -> impl Iterator<Item = &str> {
        let names = self.input.0.iter().chain(&self.errors.0).map(|(name, _)| name);
        names.chain(self.dropped.iter().filter(|name| name.as_str() != AND_MORE)).map(String::as_str)
    }

    /// Gives the names up where that makes everything else fit.
    fn shorten_names(&mut self, room: usize) {
        if self.size() > room {
            let names = std::mem::replace(&mut self.dropped, vec![AND_MORE.to_owned()]);
            if self.size() > room {
                self.dropped = names;
            }
        }
    }

    /// Notes a name while there is room for names, and answers by how many bytes the payload grows.
    fn note_dropped(&mut self, name: &str) -> usize {
        let is_full = self.dropped.last().is_some_and(|last| last == AND_MORE);
        if is_full || self.dropped.iter().any(|known| known == name) {
            return 0;
        }
        let has_room = json(&self.dropped).len() + json(name).len() <= ROOM_FOR_NAMES;
        let name = if has_room { name } else { AND_MORE };
        self.dropped.push(name.to_owned());
        json(name).len() + 1
    }
}

/// A batch as its token carries it.
struct Payload<'a>(&'a Batch);

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Batch { messages, input, errors, dropped } = self.0;
        let mut map = serializer.serialize_map(None)?;
        for (key, lists) in [(INPUT, input), (ERRORS, errors)].into_iter().filter(|(_, lists)| !lists.is_empty()) {
            map.serialize_entry(key, lists)?;
        }
        if !dropped.is_empty() {
            map.serialize_entry(DROPPED, dropped)?;
        }
        for (key, texts) in messages.iter() {
            map.serialize_entry(key, texts)?;
        }
        map.end()
    }
}

crate::opaque_debug!(Batch);

/// The places of the costs, the largest cost's first.
fn largest_first(costs: impl Iterator<Item = usize>) -> Vec<(usize, usize)> {
    let mut costs: Vec<(usize, usize)> = costs.enumerate().collect();
    costs.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
    costs
}

fn remove<T>(items: &mut Vec<T>, places: &HashSet<usize>) {
    let mut place = 0..;
    items.retain(|_| place.next().is_none_or(|place| !places.contains(&place)));
}

/// Texts and lists of texts always have a JSON text.
fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

const INPUT: &str = "$input";
const ERRORS: &str = "$errors";
const DROPPED: &str = "$dropped";
/// `"$dropped":[],`
const DROPPED_FRAME: usize = 14;
/// How many bytes the names of dropped fields may take.
const ROOM_FOR_NAMES: usize = 512;
/// Stands for the names that there was no room for.
const AND_MORE: &str = "…";

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(text: &str) -> Result<Batch, Malformed> {
        Batch::of(&Entries::parse(text.into()).unwrap())
    }

    fn lists(pairs: &[(&str, &[&str])]) -> Lists {
        Lists(
            pairs
                .iter()
                .map(|(name, texts)| {
                    ((*name).to_owned(), Texts::Many(texts.iter().map(|text| (*text).to_owned()).collect()))
                })
                .collect(),
        )
    }

    #[test]
    fn a_batch_round_trips_in_the_order_it_was_written() {
        let mut messages = Lists::default();
        for (key, text) in [("success", "a"), ("success", "b"), ("error", "\r\n<b>\0\u{1f600}")] {
            messages.add(key, text.to_owned());
        }
        let original = Batch {
            messages,
            input: lists(&[("name", &[""]), ("tag", &["x", "y"])]),
            errors: lists(&[("name", &["is missing"]), ("", &["at all"])]),
            dropped: vec!["bio".to_owned()],
        };
        let mut body = Vec::new();
        original.write(&mut body);
        assert_eq!(batch(std::str::from_utf8(&body).unwrap()), Ok(original));
    }

    #[test]
    fn a_bare_text_is_a_list_of_one() {
        let batch = batch(r#"{"notice":"saved","$input":{"name":"x"},"$later":7}"#).unwrap();
        assert_eq!(batch.messages.get_all("notice"), ["saved"]);
        assert_eq!(batch.input.get("name"), Some("x"));
        assert_eq!(batch.messages.iter().count(), 1);
    }

    #[test]
    fn anything_but_texts_is_refused() {
        for text in [r#"{"a":1}"#, r#"{"a":[1]}"#, r#"{"a":null}"#, r#"{"$input":[]}"#, r#"{"$errors":{"a":{}}}"#] {
            assert_eq!(batch(text), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn one_text_and_a_list_of_one_stay_apart() {
        let text =
            r#"{"$input":{"colour":["red"],"name":"x","none":[]},"$errors":{"name":"is taken"},"$dropped":["bio"]}"#;
        let mut body = Vec::new();
        batch(text).unwrap().write(&mut body);
        assert_eq!(std::str::from_utf8(&body).unwrap(), text);
    }

    fn form(input: &[(&str, usize)]) -> Batch {
        Batch {
            messages: lists(&[("error", &["No."])]),
            input: input.iter().map(|(name, size)| ((*name).to_owned(), "x".repeat(*size))).collect(),
            errors: lists(&[("name", &["is missing"])]),
            dropped: Vec::new(),
        }
    }

    fn names(batch: &Batch) -> Vec<&str> {
        batch.input.iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn the_largest_fields_go_first_and_are_named() {
        let mut batch = form(&[("small", 10), ("largest", 900), ("name", 20), ("large", 500)]);
        assert_eq!((batch.shrink_input(10_000), names(&batch).len()), (0, 4));
        assert_eq!(batch.shrink_input(700), 1);
        assert_eq!((names(&batch), &batch.dropped), (vec!["small", "name", "large"], &vec!["largest".to_owned()]));
        assert_eq!(batch.shrink_input(300), 1);
        assert_eq!((names(&batch), batch.dropped.len(), batch.errors.iter().count()), (vec!["small", "name"], 2, 1));
    }

    #[test]
    fn as_little_as_possible_goes() {
        let whole = form(&[("a", 100), ("b", 101)]).size();
        let mut batch = form(&[("a", 100), ("b", 101)]);
        assert_eq!(batch.shrink_input(whole), 0);
        assert_eq!((batch.shrink_input(whole - 1), names(&batch)), (1, vec!["a"]));
    }

    #[test]
    fn a_thousand_small_fields_are_not_all_named() {
        let fields: Vec<String> = (0..1_000).map(|number| format!("field{number}")).collect();
        let mut batch = form(&fields.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>());
        assert!(batch.shrink_input(2_000) > 800);
        assert!(batch.size() <= 2_000, "{}", batch.size());
        assert_eq!(batch.dropped.last().unwrap(), "…");
        assert!(json(&batch.dropped).len() < 530);
    }

    #[test]
    fn names_never_cost_an_error_its_place() {
        let mut batch = form(&[("a name that is long enough to matter", 1)]);
        let without = Batch { input: Lists::default(), dropped: vec!["…".to_owned()], ..batch.clone() };
        assert_eq!(batch.shrink_input(without.size()), 1);
        assert_eq!(batch, without);
    }

    #[test]
    fn the_longest_errors_go_first() {
        let (long, longer) = ("x".repeat(50), "y".repeat(60));
        let mut batch = Batch { errors: lists(&[("a", &["short", &longer]), ("b", &[&long])]), ..Batch::default() };
        assert_eq!(batch.shrink_errors(batch.size() - 1), 1);
        assert_eq!(
            (batch.errors.get_all("a"), batch.errors.get("b")),
            (&["short".to_owned()][..], Some(long.as_str()))
        );
        assert_eq!(batch.shrink_errors(0), 2);
        assert!(batch.is_empty());
    }

    #[test]
    fn the_same_form_sent_again_takes_the_place_of_the_first() {
        let mut first = form(&[("name", 1), ("colour", 1)]);
        first.absorb(Batch { input: lists(&[("name", &["Ann"])]), ..Batch::default() });
        assert_eq!((names(&first), first.errors.is_empty(), first.messages.is_empty()), (vec!["name"], true, false));
    }

    #[test]
    fn another_form_joins_the_first() {
        let mut first = form(&[("name", 1)]);
        first.absorb(Batch { input: lists(&[("mail", &["a@b"])]), ..Batch::default() });
        assert_eq!((names(&first), first.errors.is_empty()), (vec!["name", "mail"], false));
    }
}
