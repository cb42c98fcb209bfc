//! The trait of structs that have session keys as fields, which the derive macro implements.

use std::{cell::RefCell, fmt, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    changes::Changes,
    entries::{EncodeError, Entries, check_readable, decode, encode, loses_some},
};

/// A struct that has keys of the session as its fields. Implement it with `#[derive(SessionData)]`.
///
/// An application may have several such structs, each with some keys of the same session. Keys that are not a field
/// stay as they are when a struct is written.
///
/// # Examples
///
/// An implementation without the derive macro:
///
/// ```
/// use session_core::{MissingField, SessionData, data::{Reader, Writer}, store::{Changes, Entries}};
///
/// struct Visitor {
///     user: String,
///     visits: u32,
/// }
///
/// impl SessionData for Visitor {
///     const KEYS: &'static [&'static str] = &["user", "visits"];
///
///     fn read(fields: &Reader<'_>) -> Result<Self, MissingField> {
///         Ok(Self { user: fields.required("user", &[])?, visits: fields.or_else("visits", &[], || 0) })
///     }
///
///     fn write(&self, fields: &mut Writer) {
///         fields.field("user", &[], &self.user);
///         fields.field("visits", &[], &self.visits);
///     }
/// }
///
/// let entries = Entries::parse(br#"{"user":"ada"}"#.to_vec())?;
/// let visitor = Visitor::read(&Reader::new(&entries, &Changes::default()))?;
/// assert_eq!((visitor.user.as_str(), visitor.visits), ("ada", 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not session data",
    label = "needs `#[derive(SessionData)]`",
    note = "add `#[derive(SessionData)]` to `{Self}`"
)]
pub trait SessionData: Sized {
    /// The keys of this struct's own fields, and after them the aliases. The keys of flattened structs are left out.
    ///
    /// With them, `.removing_from_session(T::KEYS)` also removes what a field was once stored as.
    const KEYS: &'static [&'static str];

    /// The name of the session's cookie, for a route with several session layers around it. A prefix such as `__Host-`
    /// does not count. With `None`, the session is that of the innermost layer.
    const COOKIE: Option<&'static str> = None;

    /// The path to which a request is redirected if its session lacks a required field or a confirmation. With `None`
    /// the response is a 401, or a 403 without a confirmation.
    const REDIRECT: Option<&'static str> = None;

    /// The longest time since the visitor confirmed who they are. With `None`, no confirmation is needed.
    const CONFIRMED_WITHIN: Option<Duration> = None;

    /// The text of the 401 or 403. With a redirect, it is also the flash message `error` of the next page. With `None`,
    /// the 401 and the 403 have a sentence of their own, and the redirect has no message.
    const MESSAGE: Option<&'static str> = None;

    /// Whether the redirect keeps the page that the visitor wanted, for `Session::return_to`.
    const RETURN_TO: bool = false;

    /// Whether a handle shows the whole session instead of the fields of this struct.
    #[doc(hidden)]
    const SHOWS_ALL: bool = false;

    /// Creates the struct from the fields in the session.
    ///
    /// # Errors
    ///
    /// Returns an error if a required field is missing or cannot be decoded.
    fn read(fields: &Reader<'_>) -> Result<Self, MissingField>;

    /// Adds the fields of the struct to `fields`.
    fn write(&self, fields: &mut Writer);
}

/// Reads fields from a session, with the changes that the request has made so far.
#[derive(Debug)]
pub struct Reader<'a> {
    entries: &'a Entries,
    changes: &'a Changes,
    unreadable: RefCell<Vec<&'static str>>,
}

impl<'a> Reader<'a> {
    /// Creates a reader of `entries` after `changes`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{data::Reader, store::{Changes, Entries}};
    ///
    /// let entries = Entries::parse(br#"{"visits":"many"}"#.to_vec())?;
    /// let mut changes = Changes::default();
    /// changes.insert("visits", "2".to_owned());
    /// assert_eq!(Reader::new(&entries, &changes).required::<u32>("visits", &[]).ok(), Some(2));
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    #[must_use]
    pub const fn new(entries: &'a Entries, changes: &'a Changes) -> Self {
        Self { entries, changes, unreadable: RefCell::new(Vec::new()) }
    }

    /// Reads the value of `key`, or of the first of the `aliases` that exists. A missing `Option` is `None`.
    ///
    /// # Errors
    ///
    /// Returns an error if the value is missing or cannot be decoded, and is not an `Option`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{data::Reader, store::{Changes, Entries}};
    ///
    /// let (entries, changes) = (Entries::parse(br#"{"login":"ada"}"#.to_vec())?, Changes::default());
    /// let fields = Reader::new(&entries, &changes);
    /// assert_eq!(fields.required::<String>("user", &["login"])?, "ada");
    /// assert_eq!(fields.required::<Option<u32>>("visits", &[])?, None);
    /// assert_eq!(fields.required::<u32>("visits", &[]).unwrap_err().key(), "visits");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn required<T: DeserializeOwned>(
        &self,
        key: &'static str,
        aliases: &'static [&'static str],
    ) -> Result<T, MissingField> {
        // `null` is absence: `None`, `()` and a newtype of `None` come back from a key that is not there.
        self.optional(key, aliases).or_else(|| decode("null").ok()).ok_or(MissingField { key })
    }

    /// Reads the value of `key`, or of the first of the `aliases` that exists. If it is missing or cannot be decoded,
    /// returns the result of `default`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{data::Reader, store::{Changes, Entries}};
    ///
    /// let entries = Entries::parse(br#"{"visits":"many"}"#.to_vec())?;
    /// let changes = Changes::default();
    /// assert_eq!(Reader::new(&entries, &changes).or_else("visits", &[], || 1), 1);
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    pub fn or_else<T: DeserializeOwned>(
        &self,
        key: &'static str,
        aliases: &'static [&'static str],
        default: impl FnOnce() -> T,
    ) -> T {
        self.optional(key, aliases).unwrap_or_else(default)
    }

    /// Returns the keys that exist but could not be decoded, and so counted as missing.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{data::Reader, store::{Changes, Entries}};
    ///
    /// let entries = Entries::parse(br#"{"visits":"many"}"#.to_vec())?;
    /// let changes = Changes::default();
    /// let fields = Reader::new(&entries, &changes);
    /// assert!(fields.required::<u32>("visits", &[]).is_err());
    /// assert_eq!(fields.unreadable(), ["visits"]);
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    #[must_use]
    pub fn unreadable(self) -> Vec<&'static str> {
        self.unreadable.into_inner()
    }

    fn optional<T: DeserializeOwned>(&self, key: &'static str, aliases: &'static [&'static str]) -> Option<T> {
        let names = std::iter::once(key).chain(aliases.iter().copied());
        let text = |name| self.changes.get(self.entries, name).filter(|text| *text != "null");
        let (name, text) = { names }.find_map(|name| Some((name, text(name)?)))?;
        let value = decode(text).ok();
        if value.is_none() {
            self.unreadable.borrow_mut().push(name);
        }
        value
    }
}

/// Collects the fields of a struct, to write them into the session.
///
/// # Examples
///
/// ```
/// use session_core::data::Writer;
///
/// let mut writer = Writer::new();
/// writer.field("visits", &[], &2);
/// writer.field("user", &["login"], &None::<String>);
/// let fields = writer.finish().map_err(|(_, error)| error)?;
/// assert_eq!(fields[0].text.as_deref(), Some("2"));
/// assert_eq!(fields[1].text, None); // the key is removed
/// # Ok::<(), session_core::EncodeError>(())
/// ```
#[derive(Debug, Default)]
pub struct Writer {
    fields: Vec<Field>,
    error: Option<(&'static str, EncodeError)>,
    checks: Checks,
}

/// Which fields a debug build checks: whether they can be read back.
#[derive(Debug, Default)]
enum Checks {
    #[default]
    All,
    Changed(Vec<Field>),
    None,
}

impl Writer {
    /// Creates a writer without fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a writer for a struct as it was read. It does not check its fields again.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::data::Writer;
    ///
    /// let mut writer = Writer::of_read();
    /// writer.readable_field("nickname", &[], &Some(None::<String>));
    /// assert!(writer.finish().is_ok());
    /// ```
    #[must_use]
    pub const fn of_read() -> Self {
        Self { fields: Vec::new(), error: None, checks: Checks::None }
    }

    /// Creates a writer that returns, and checks, only the fields that are not as they were `before`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::data::Writer;
    ///
    /// let mut writer = Writer::new();
    /// writer.field("visits", &[], &2);
    /// let before = writer.finish().map_err(|(_, error)| error)?;
    ///
    /// let mut writer = Writer::after(before);
    /// writer.readable_field("visits", &[], &2);
    /// writer.readable_field("name", &[], &"Ada".to_owned());
    /// let changed = writer.finish().map_err(|(_, error)| error)?;
    /// assert_eq!(changed.iter().map(|field| field.key).collect::<Vec<_>>(), ["name"]);
    /// # Ok::<(), session_core::EncodeError>(())
    /// ```
    #[must_use]
    pub const fn after(before: Vec<Field>) -> Self {
        Self { fields: Vec::new(), error: None, checks: Checks::Changed(before) }
    }

    /// Adds one field. If the value serializes to `null`, as `None` does, the key is removed from the session.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::data::Writer;
    ///
    /// let mut writer = Writer::new();
    /// writer.field("ratio", &[], &f64::NAN); // JSON has no such number
    /// assert_eq!(writer.finish().unwrap_err().0, "ratio");
    /// ```
    pub fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, aliases: &'static [&'static str], value: &T) {
        self.add(key, aliases, encode(value));
    }

    /// Adds one field like [`field`](Self::field). A debug build also checks that the value can be read back.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::data::Writer;
    ///
    /// let mut writer = Writer::new();
    /// writer.readable_field("nickname", &[], &Some(None::<String>)); // would be read back as `None`
    /// match writer.finish() {
    ///     Ok(fields) => assert_eq!(fields[0].text, None), // a release build
    ///     Err((key, _)) => assert_eq!(key, "nickname"),
    /// }
    /// ```
    pub fn readable_field<T: Serialize + DeserializeOwned>(
        &mut self,
        key: &'static str,
        aliases: &'static [&'static str],
        value: &T,
    ) {
        let text = encode(value).and_then(|text| self.check(value, text));
        self.add(key, aliases, text);
    }

    fn add(&mut self, key: &'static str, aliases: &'static [&'static str], text: Result<String, EncodeError>) {
        match text {
            Ok(text) => self.fields.push(Field { key, aliases, text: text_of(text) }),
            Err(error) => self.error = Some((key, error)),
        }
    }

    /// Checks the next field in a debug build.
    fn check<T: Serialize + DeserializeOwned>(&self, value: &T, text: String) -> Result<String, EncodeError> {
        if cfg!(debug_assertions) && self.is_due(value, &text) {
            check_readable(value, &text)?;
        }
        Ok(text)
    }

    fn is_due<T: Serialize>(&self, value: &T, text: &str) -> bool {
        match &self.checks {
            Checks::All => true,
            // `Some(None)` has the text of `None`.
            Checks::Changed(before) => !self.is_in(before, text) || loses_some(value, text),
            Checks::None => false,
        }
    }

    /// Returns whether the next field has this text in `before`.
    fn is_in(&self, before: &[Field], text: &str) -> bool {
        before.get(self.fields.len()).is_some_and(|field| field.text.as_deref().unwrap_or("null") == text)
    }

    /// Returns the collected fields.
    ///
    /// # Errors
    ///
    /// Returns the key and the error of the last field that could not be serialized.
    pub fn finish(self) -> Result<Vec<Field>, (&'static str, EncodeError)> {
        let Self { mut fields, error, checks } = self;
        if let Checks::Changed(before) = checks {
            fields.retain(|field| !before.contains(field));
        }
        error.map_or(Ok(fields), Err)
    }
}

/// Returns the text of a value, or `None` for `null`.
fn text_of(text: String) -> Option<String> {
    Some(text).filter(|text| text != "null")
}

/// A serialized field of a struct.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    /// The key in the session.
    pub key: &'static str,
    /// The former keys, which are removed when the field is written.
    pub aliases: &'static [&'static str],
    /// The JSON text of the value; `None` if the key is removed.
    pub text: Option<String>,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The error for a required field that the session does not have, or that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingField {
    key: &'static str,
}

impl MissingField {
    /// Returns the key of the field.
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

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// A number of 128 bits in an untagged type, which serde writes and cannot read back.
    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum OneWay {
        Number(u128),
    }

    const ONE_WAY: OneWay = OneWay::Number(1 << 100);

    fn field(key: &'static str, text: Option<&str>) -> Field {
        Field { key, aliases: &[], text: text.map(str::to_owned) }
    }

    /// Writes one field. Returns the result without the error, which has no equality.
    fn write<T: Serialize + DeserializeOwned>(mut writer: Writer, value: &T) -> Result<Vec<Field>, &'static str> {
        writer.readable_field("a", &[], value);
        writer.finish().map_err(|(key, _)| key)
    }

    #[test]
    fn a_field_is_read_under_its_key_and_then_its_aliases_and_null_counts_as_absent() {
        let entries = Entries::parse(br#"{"user":null,"login":"ada","visits":"many","count":7}"#.to_vec()).unwrap();
        let changes = Changes::default();
        let fields = Reader::new(&entries, &changes);
        assert_eq!(fields.required("user", &["name", "login"]), Ok("ada".to_owned()));
        assert_eq!(fields.required("login", &["count"]), Ok("ada".to_owned()));
        assert_eq!(fields.required("user", &[]), Ok(None::<String>));
        assert_eq!(fields.or_else("count", &[], || 1), 7);
        assert_eq!(fields.or_else("absent", &[], || 1), 1);
        let missing = fields.required::<u32>("visits", &["count"]).unwrap_err();
        assert_eq!((missing.key(), missing.to_string().as_str()), ("visits", "the session has no readable `visits`"));
        assert_eq!(fields.unreadable(), ["visits"]);
    }

    #[test]
    fn a_written_field_has_its_text_and_none_removes_the_key() {
        let mut writer = Writer::new();
        writer.field("visits", &["count"], &2);
        writer.readable_field("user", &[], &None::<String>);
        let fields = writer.finish().unwrap();
        let visits = Field { key: "visits", aliases: &["count"], text: Some("2".to_owned()) };
        assert_eq!(fields, [visits, field("user", None)]);
        assert_eq!(format!("{:?}", fields[0]), "Field { key: \"visits\", .. }");
    }

    #[test]
    fn the_last_field_that_does_not_serialize_is_the_error() {
        let mut writer = Writer::new();
        writer.field("a", &[], &f64::NAN);
        writer.field("b", &[], &f64::INFINITY);
        writer.field("c", &[], &1);
        assert_eq!(writer.finish().unwrap_err().0, "b");
    }

    #[test]
    fn a_debug_build_checks_what_was_changed_and_nothing_that_was_read() {
        let number = || vec![field("a", Some("1267650600228229401496703205376"))];
        let (none, checked) = (|| vec![field("a", None)], cfg!(debug_assertions));
        assert_eq!(write(Writer::new(), &ONE_WAY), if checked { Err("a") } else { Ok(number()) });
        assert_eq!(write(Writer::of_read(), &ONE_WAY), Ok(number()));
        assert_eq!(write(Writer::after(number()), &ONE_WAY), Ok(Vec::new()));
        assert_eq!(write(Writer::after(none()), &ONE_WAY), if checked { Err("a") } else { Ok(number()) });
        assert_eq!(write(Writer::after(none()), &None::<u8>), Ok(Vec::new()));
        assert_eq!(write(Writer::after(none()), &Some(None::<u8>)), if checked { Err("a") } else { Ok(Vec::new()) });
    }
}
