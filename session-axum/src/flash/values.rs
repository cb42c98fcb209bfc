//! What a template is given of the flash: messages, a form's input and its errors as values of their own.

use std::fmt;

use serde::{
    Serialize, Serializer,
    de::DeserializeOwned,
    ser::{SerializeMap, SerializeSeq},
};
use session_core::flash::{Batch, Texts};

use crate::form;

/// Messages for a template: a list of `key` and `text`.
#[derive(Clone)]
pub struct Messages<'a>(pub(super) Vec<Message<'a>>);

/// One message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its kind: success, error, ..
    pub key: &'a str,
    /// What it says.
    pub text: &'a str,
}

impl<'a> Messages<'a> {
    /// The messages, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Message<'a>> {
        self.0.iter().copied()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for Messages<'a> {
    type Item = Message<'a>;
    type IntoIter = std::vec::IntoIter<Message<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for message in &self.0 {
            list.serialize_element(message)?;
        }
        list.end()
    }
}

impl Serialize for Message<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("key", self.key)?;
        map.serialize_entry("text", self.text)?;
        map.end()
    }
}

/// The values of a refused form by field. For a template a map to a text, or to a list where the form has a list.
///
/// Where several forms were refused, each field is the newest form's that has it; a form that was sent again counts
/// only as it was sent last.
#[derive(Clone)]
pub struct Input<'a>(pub(super) Vec<&'a Batch>);

impl<'a> Input<'a> {
    /// What was typed into a field.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&'a str> {
        self.get_all(field).last().map(String::as_str)
    }

    /// All that was chosen in a field.
    #[must_use]
    pub fn get_all(&self, field: &str) -> &'a [String] {
        first_list(self.0.iter().map(|form| form.input.get_all(field)))
    }

    /// Whether a value was chosen in a field: `checked` and `selected` are told by it.
    #[must_use]
    pub fn has(&self, field: &str, value: &str) -> bool {
        self.get_all(field).iter().any(|chosen| chosen == value)
    }

    /// The form as a struct; `None` when no form was refused, when a field is missing or is no text of its type.
    ///
    /// What was left out is missing: give such a field `#[serde(default)]`.
    #[must_use]
    pub fn parse<T: DeserializeOwned>(&self) -> Option<T> {
        if self.is_empty() { None } else { form::typed::parse(self.texts()) }
    }

    /// The fields whose values were too large to travel, for the page to say so. After many there is a `…`.
    #[must_use]
    pub fn dropped(&self) -> Vec<&'a str> {
        self.0.iter().flat_map(|form| form.dropped.iter().map(String::as_str)).collect()
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|form| form.input.is_empty())
    }

    fn texts(&self) -> impl Iterator<Item = (&'a str, &'a Texts)> {
        self.0.iter().flat_map(|form| form.input.texts())
    }
}

impl Serialize for Input<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.texts())
    }
}

/// What was wrong with a form, by field; under the empty field what concerns the whole of it. For a template a map to
/// lists.
#[derive(Clone)]
pub struct FormErrors<'a>(pub(super) Vec<&'a Batch>);

impl<'a> FormErrors<'a> {
    /// The first thing wrong with a field.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&'a str> {
        self.get_all(field).first().map(String::as_str)
    }

    /// All that is wrong with a field.
    #[must_use]
    pub fn get_all(&self, field: &str) -> &'a [String] {
        first_list(self.0.iter().map(|form| form.errors.get_all(field)))
    }

    /// All that is wrong, with its fields.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let lists = self.0.iter().flat_map(|form| form.errors.iter());
        lists.flat_map(|(field, texts)| texts.iter().map(move |text| (field, text.as_str())))
    }

    /// Whether nothing was wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|form| form.errors.is_empty())
    }
}

impl Serialize for FormErrors<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().flat_map(|form| form.errors.iter()))
    }
}

macro_rules! debug_shows_nothing {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}
debug_shows_nothing!(Messages, Message, Input, FormErrors);

fn first_list<'a>(mut lists: impl Iterator<Item = &'a [String]>) -> &'a [String] {
    lists.find(|texts| !texts.is_empty()).unwrap_or(&[])
}
