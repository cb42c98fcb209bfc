//! What is carried to the next page: messages, a form's input and its errors.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    changes::write_object,
    entries::{Entries, Malformed, decode},
};

/// Lists of texts by name, in the order in which they were added.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Lists(Vec<(String, Vec<String>)>);

impl Lists {
    /// Adds a text to the list under `name`.
    pub fn add(&mut self, name: &str, text: String) {
        self.list_mut(name).push(text);
    }

    /// Adds all texts of `others`.
    pub fn extend(&mut self, others: Self) {
        for (name, texts) in others.0 {
            self.list_mut(&name).extend(texts);
        }
    }

    /// The list under `name`; empty when there is none.
    #[must_use]
    pub fn get_all(&self, name: &str) -> &[String] {
        self.0.iter().find(|(known, _)| known == name).map_or(&[], |(_, texts)| texts)
    }

    /// The last text under `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).last().map(String::as_str)
    }

    /// All names with their lists.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(name, texts)| (name.as_str(), texts.as_slice()))
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

    fn list_mut(&mut self, name: &str) -> &mut Vec<String> {
        let position = self.0.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.0.push((name.to_owned(), Vec::new()));
            self.0.len() - 1
        });
        &mut self.0[position].1
    }

    /// Reads an object whose values are texts or lists of texts.
    fn parse(text: &str) -> Result<Self, Malformed> {
        let entries = Entries::parse(text.into())?;
        let mut lists = Self::default();
        for (name, text) in entries.iter() {
            lists.0.push((name.to_owned(), texts(text)?));
        }
        Ok(lists)
    }

    fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// One text is read as a list of one.
fn texts(text: &str) -> Result<Vec<String>, Malformed> {
    if text.starts_with('"') { decode(text).map(|text| vec![text]) } else { decode(text) }.map_err(|_| Malformed)
}

impl Serialize for Lists {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, texts) in &self.0 {
            map.serialize_entry(name, texts)?;
        }
        map.end()
    }
}

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lists").field("len", &self.0.len()).finish_non_exhaustive()
    }
}

/// What one response carries to the next page. It has a cookie of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Messages by kind: success, error, ..
    pub messages: Lists,
    /// A refused form's values by field.
    pub input: Lists,
    /// What is wrong with them, by field.
    pub errors: Lists,
}

impl Batch {
    /// Whether there is nothing to carry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.input.is_empty() && self.errors.is_empty()
    }

    /// Adds all that `other` carries.
    pub fn extend(&mut self, other: Self) {
        self.messages.extend(other.messages);
        self.input.extend(other.input);
        self.errors.extend(other.errors);
    }

    /// The batch that a token's payload holds.
    ///
    /// # Errors
    ///
    /// When a value is neither a text nor a list of texts.
    pub fn of(entries: &Entries) -> Result<Self, Malformed> {
        let mut batch = Self::default();
        for (key, text) in entries.iter() {
            match key {
                INPUT => batch.input = Lists::parse(text)?,
                ERRORS => batch.errors = Lists::parse(text)?,
                _ if key.starts_with('$') => {}
                _ => batch.messages.0.push((key.to_owned(), texts(text)?)),
            }
        }
        Ok(batch)
    }

    /// Appends the payload to `body`.
    pub fn write(&self, body: &mut Vec<u8>) {
        let entries = self.to_entries();
        write_object(entries.iter().map(|(key, text)| (*key, text.as_str())), body);
    }

    /// The payload's keys with their JSON texts.
    #[must_use]
    pub fn to_entries(&self) -> Vec<(&str, String)> {
        let messages = self.messages.iter().map(|(key, texts)| (key, serde_json::to_string(texts).unwrap_or_default()));
        let forms = [(INPUT, &self.input), (ERRORS, &self.errors)];
        let forms = forms.into_iter().filter(|(_, lists)| !lists.is_empty()).map(|(key, lists)| (key, lists.to_json()));
        forms.chain(messages).collect()
    }
}

const INPUT: &str = "$input";
const ERRORS: &str = "$errors";

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
                .map(|(name, texts)| ((*name).to_owned(), texts.iter().map(|text| (*text).to_owned()).collect()))
                .collect(),
        )
    }

    #[test]
    fn a_batch_round_trips_in_the_order_it_was_written() {
        let original = Batch {
            messages: lists(&[("success", &["a", "b"]), ("error", &["\r\n<b>\0\u{1f600}"])]),
            input: lists(&[("name", &[""]), ("tag", &["x", "y"])]),
            errors: lists(&[("name", &["is missing"]), ("", &["at all"])]),
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
}
