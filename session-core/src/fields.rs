//! What a user's type promises when its fields are keys of the session. The derive macro fills it in.

use std::{cell::RefCell, fmt};

use serde::{
    Serialize,
    de::{DeserializeOwned, Deserializer, Visitor, value::Error as Absence},
};

use crate::{
    changes::Changes,
    entries::{EncodeError, Entries, decode, encode},
};

/// A struct whose fields are keys of the session: write `#[derive(SessionData)]`.
///
/// Several such structs share one session, each with its own keys, and keys that none of them names stay as they are.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not session data",
    label = "needs `#[derive(SessionData)]`",
    note = "add `#[derive(SessionData)]` to `{Self}`"
)]
pub trait SessionData: Sized {
    /// The keys of this struct's own fields, without aliases and without those of flattened structs.
    const KEYS: &'static [&'static str];

    /// Where a visitor is sent who lacks a required field. Without it the answer is 401.
    const REDIRECT: Option<&'static str> = None;

    /// Reads the fields.
    ///
    /// # Errors
    ///
    /// When a required field is not there or cannot be decoded any more.
    fn read(fields: &Reader<'_>) -> Result<Self, MissingField>;

    /// Writes the fields.
    fn write(&self, fields: &mut Writer);
}

/// Reads fields from a session as it stands.
#[derive(Debug)]
pub struct Reader<'a> {
    entries: &'a Entries,
    changes: &'a Changes,
    unreadable: RefCell<Vec<&'static str>>,
}

impl<'a> Reader<'a> {
    /// Reads what `entries` say after `changes`.
    #[must_use]
    pub const fn new(entries: &'a Entries, changes: &'a Changes) -> Self {
        Self { entries, changes, unreadable: RefCell::new(Vec::new()) }
    }

    /// The field under `key`, or under the first of the `aliases` that is there. A missing `Option` is `None`.
    ///
    /// # Errors
    ///
    /// When it is not there or cannot be decoded, and its type has no value for that.
    pub fn required<T: DeserializeOwned>(
        &self,
        key: &'static str,
        aliases: &'static [&'static str],
    ) -> Result<T, MissingField> {
        self.optional(key, aliases).or_else(|| T::deserialize(Absent).ok()).ok_or(MissingField { key })
    }

    /// The same, with a default for what is not there.
    pub fn or_else<T: DeserializeOwned>(
        &self,
        key: &'static str,
        aliases: &'static [&'static str],
        default: impl FnOnce() -> T,
    ) -> T {
        self.optional(key, aliases).unwrap_or_else(default)
    }

    /// The keys that were there and could not be decoded: they counted as missing.
    #[must_use]
    pub fn unreadable(self) -> Vec<&'static str> {
        self.unreadable.into_inner()
    }

    fn optional<T: DeserializeOwned>(&self, key: &'static str, aliases: &'static [&'static str]) -> Option<T> {
        let names = std::iter::once(key).chain(aliases.iter().copied());
        let (name, text) = { names }.find_map(|name| Some((name, self.changes.get(self.entries, name)?)))?;
        let value = decode(text).ok();
        if value.is_none() {
            self.unreadable.borrow_mut().push(name);
        }
        value
    }
}

/// Takes down what a struct's fields are now.
#[derive(Debug, Default)]
pub struct Writer {
    fields: Vec<Field>,
    error: Option<(&'static str, EncodeError)>,
}

impl Writer {
    /// A writer that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes down one field. What serializes to `null`, as `None` does, means that the key is not to be there.
    pub fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, aliases: &'static [&'static str], value: &T) {
        match encode(value) {
            Ok(text) => self.fields.push(Field { key, aliases, text: Some(text).filter(|text| text != "null") }),
            Err(error) => self.error = Some((key, error)),
        }
    }

    /// What was taken down.
    ///
    /// # Errors
    ///
    /// The last field that could not be serialized, with its key.
    pub fn finish(self) -> Result<Vec<Field>, (&'static str, EncodeError)> {
        self.error.map_or(Ok(self.fields), Err)
    }
}

/// One field of a struct, serialized.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    /// Its key in the session.
    pub key: &'static str,
    /// Keys it used to have. They go when it is written.
    pub aliases: &'static [&'static str],
    /// Its JSON text; `None` when the key is not to be there.
    pub text: Option<String>,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field").field("key", &self.key).finish_non_exhaustive()
    }
}

/// A required field that the session does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingField {
    key: &'static str,
}

impl MissingField {
    /// The key that is missing.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        self.key
    }
}

impl fmt::Display for MissingField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the session has no readable `{}`", self.key)
    }
}

impl std::error::Error for MissingField {}

/// Deserializes to the value that stands for "not there": `None` for an `Option`, an error for everything else.
struct Absent;

impl<'de> Deserializer<'de> for Absent {
    type Error = Absence;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Absence> {
        Err(serde::de::Error::custom("missing"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Absence> {
        visitor.visit_none()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
