//! The session's entries: a JSON object that keeps each value as text until it is read.

use std::{fmt, ops::Range};

use memchr::memmem;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    json::{self, Malformed, Slot, write_object},
    metadata::{self, Metadata, RESERVED_KEY, RESERVED_PREFIX},
    nulls::{is_finite, some_nulls},
};

/// The keys and values of a session. Each value is kept as its JSON text: reading a value decodes only that one, and
/// writing the session copies the others.
///
/// Keys that begin with `$` are reserved, and only [`fields`](Self::fields) returns them. The key `$` holds the
/// session's [`metadata`](Self::metadata).
///
/// # Examples
///
/// ```
/// use session_core::store::Entries;
///
/// let entries = Entries::parse(br#"{"user":"ada","visits":2}"#.to_vec())?;
/// assert_eq!(entries.get("visits"), Some("2"));
/// assert_eq!(entries.get("user"), Some(r#""ada""#)); // JSON, with its quotes
/// assert_eq!(entries.get("theme"), None);
/// # Ok::<(), session_core::Malformed>(())
/// ```
#[derive(Clone, Default)]
pub struct Entries {
    /// The JSON object, followed by the unescaped form of each key that contains escapes.
    text: String,
    /// The places of the keys and values, in the order of the text.
    slots: Vec<Slot>,
    /// The positions in `slots` in the order of the keys; empty if `slots` has that order.
    order: Vec<usize>,
    /// The positions of the reserved keys in the order of the keys. In that order, the reserved keys are neighbours.
    reserved: Range<usize>,
    aside: Option<Box<Aside>>,
}

/// What few sessions have.
#[derive(Clone, Default)]
struct Aside {
    metadata: Option<Metadata>,
    /// The encrypted entries of which these are the decrypted ones.
    #[cfg(feature = "encrypted")]
    sealed: Option<Entries>,
}

impl Entries {
    /// No entries.
    pub const NONE: Self =
        Self { text: String::new(), slots: Vec::new(), order: Vec::new(), reserved: 0..0, aside: None };

    /// Reads one JSON object (RFC 8259).
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not UTF-8 or not one JSON object, if a value nests more than 32 levels deep, or
    /// if an object has a key twice.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Entries;
    ///
    /// assert!(Entries::parse(br#"{"a":[1,{"b":null}]}"#.to_vec()).is_ok());
    /// assert!(Entries::parse(br#"{"a":1,"a":2}"#.to_vec()).is_err());
    /// assert!(Entries::parse(br#"[1]"#.to_vec()).is_err());
    /// assert!(Entries::parse(br#"{} {}"#.to_vec()).is_err());
    /// ```
    pub fn parse(text: Vec<u8>) -> Result<Self, Malformed> {
        let mut text = String::from_utf8(text).map_err(|_| Malformed)?;
        let slots = json::object(&mut text)?;
        let entries = Self { text, slots, ..Self::NONE };
        if entries.slots.is_sorted_by(|one, other| entries.key(one) < entries.key(other)) {
            return Ok(entries.with_reserved_apart());
        }
        let mut order: Vec<usize> = (0..entries.slots.len()).collect();
        let key = |position: &usize| entries.key(&entries.slots[*position]);
        order.sort_unstable_by_key(key);
        if order.is_sorted_by(|one, other| key(one) < key(other)) {
            Ok(Self { order, ..entries }.with_reserved_apart())
        } else {
            Err(Malformed)
        }
    }

    /// Sets `reserved` to the positions of the reserved keys. Most sessions have none.
    fn with_reserved_apart(mut self) -> Self {
        let is_reserved = |key: &[u8]| key.first() == Some(&(RESERVED_PREFIX as u8));
        let count = self.slots.iter().filter(|slot| is_reserved(self.key(slot))).count();
        if count == 0 {
            return self;
        }
        // Keys with the same first byte are neighbours in the order of the keys.
        let all = || (0..self.slots.len()).filter_map(|rank| self.slot_by_key(rank));
        let first = all().take_while(|slot| !is_reserved(self.key(slot))).count();
        let own = self.slots.iter().find(|slot| self.key(slot) == RESERVED_KEY.as_bytes());
        let metadata = own.map(|slot| Metadata::from_json(&self.text[slot.value.clone()]));
        if metadata.is_some() {
            self.aside.get_or_insert_default().metadata = metadata;
        }
        self.reserved = first..first + count;
        self
    }

    /// Creates entries from keys and the JSON texts of their values, for stores that keep each key apart. The caller
    /// passes the reserved keys too.
    ///
    /// # Errors
    ///
    /// Returns an error if a text is not one JSON value, if a key occurs twice, or if [`Entries::parse`] refuses a
    /// value.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Entries;
    ///
    /// let entries = Entries::from_texts([("user", r#""ada""#), ("visits", "2")])?;
    /// assert_eq!(entries.get("visits"), Some("2"));
    /// assert!(Entries::from_texts([("user", "ada")]).is_err()); // no JSON: the quotes are missing
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    pub fn from_texts<'a, T: AsRef<str>>(entries: impl IntoIterator<Item = (&'a str, T)>) -> Result<Self, Malformed> {
        let mut expected = 0;
        let mut text = Vec::new();
        write_object(entries.into_iter().inspect(|_| expected += 1), &mut text);
        // A value such as `1,"b":2` would add an entry of its own.
        Self::parse(text).and_then(|entries| if entries.slots.len() == expected { Ok(entries) } else { Err(Malformed) })
    }

    /// Notes what these entries are in the store.
    #[cfg(feature = "encrypted")]
    pub(crate) fn sealed_as(mut self, sealed: Self) -> Self {
        self.aside.get_or_insert_default().sealed = Some(sealed);
        self
    }

    /// Returns the encrypted entries, if these are the decrypted ones.
    #[cfg(feature = "encrypted")]
    pub(crate) fn sealed(&self) -> Option<&Self> {
        self.aside.as_ref()?.sealed.as_ref()
    }

    /// Returns the session's metadata, which is empty for most sessions.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Entries;
    ///
    /// let entries = Entries::parse(br#"{"$":{"until":1767225600}}"#.to_vec())?;
    /// assert_eq!(entries.metadata().until, Some(1_767_225_600));
    /// assert_eq!(Entries::NONE.metadata().until, None);
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        self.own_metadata().unwrap_or(&metadata::NONE)
    }

    fn own_metadata(&self) -> Option<&Metadata> {
        self.aside.as_ref()?.metadata.as_ref()
    }

    /// Returns the JSON text of the value of `key`. Returns `None` if there is none, and for a reserved key.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Entries;
    ///
    /// let entries = Entries::parse(br#"{"$":{},"tags":[ "a" ]}"#.to_vec())?;
    /// assert_eq!(entries.get("tags"), Some(r#"[ "a" ]"#)); // as it was written
    /// assert_eq!(entries.get("$"), None);
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        if key.starts_with(RESERVED_PREFIX) {
            return None;
        }
        let compare = |slot: &Slot| self.key(slot).cmp(key.as_bytes());
        let slot = if self.slots.len() <= FEW {
            self.slots.iter().find(|slot| self.key(slot) == key.as_bytes())
        } else if self.order.is_empty() {
            self.slots.binary_search_by(compare).ok().map(|position| &self.slots[position])
        } else {
            let rank = self.order.binary_search_by(|position| compare(&self.slots[*position]));
            rank.ok().map(|rank| &self.slots[self.order[rank]])
        };
        slot.map(|slot| &self.text[slot.value.clone()])
    }

    /// Returns the application's keys with the JSON texts of their values, in the order of the text.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Entries;
    ///
    /// let entries = Entries::parse(br#"{"b":1,"$":{},"a":2}"#.to_vec())?;
    /// assert_eq!(entries.iter().collect::<Vec<_>>(), [("b", "1"), ("a", "2")]);
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields().filter(|(key, _)| !key.starts_with(RESERVED_PREFIX))
    }

    /// Returns all keys with the JSON texts of their values, reserved ones included, in the order of the text.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Entries;
    ///
    /// let entries = Entries::parse(br#"{"b":1,"$":{},"a":2}"#.to_vec())?;
    /// assert_eq!(entries.fields().map(|(key, _)| key).collect::<Vec<_>>(), ["b", "$", "a"]);
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.slots.iter().map(|slot| self.entry(slot))
    }

    /// Returns the reserved keys except `$`, with their JSON texts. A later version may have written some.
    pub(crate) fn reserved(&self) -> impl Iterator<Item = (&str, &str)> {
        let slots = self.reserved.clone().filter_map(|rank| self.slot_by_key(rank));
        slots.map(|slot| self.entry(slot)).filter(|(key, _)| *key != RESERVED_KEY)
    }

    /// Returns whether there are reserved keys.
    pub(crate) const fn has_reserved(&self) -> bool {
        self.reserved.start < self.reserved.end
    }

    /// Returns the JSON text of the metadata as it was read.
    pub(crate) fn metadata_text(&self) -> Option<&str> {
        let first = self.slot_by_key(self.reserved.start).filter(|_| self.own_metadata().is_some())?;
        Some(self.entry(first).1)
    }

    /// Returns the application's entry at the position `rank` in the order of the keys. Reserved keys do not count.
    pub(crate) fn nth_by_key(&self, rank: usize) -> Option<(&str, &str)> {
        let rank = if rank < self.reserved.start { rank } else { rank + self.reserved.len() };
        self.slot_by_key(rank).map(|slot| self.entry(slot))
    }

    /// Returns whether there are no entries. Reserved keys do not count.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Entries;
    ///
    /// assert!(Entries::NONE.is_empty());
    /// assert!(Entries::parse(br#"{"$":{"until":7}}"#.to_vec())?.is_empty());
    /// # Ok::<(), session_core::Malformed>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.len() == self.reserved.len()
    }

    /// Returns the number of bytes of the text that was read.
    pub(crate) const fn text_len(&self) -> usize {
        self.text.len()
    }

    /// Returns the bytes of a key, for comparisons: the order of strings is that of their bytes.
    fn key(&self, slot: &Slot) -> &[u8] {
        &self.text.as_bytes()[slot.key.clone()]
    }

    fn entry<'a>(&'a self, slot: &'a Slot) -> (&'a str, &'a str) {
        (&self.text[slot.key.clone()], &self.text[slot.value.clone()])
    }

    fn slot_by_key(&self, rank: usize) -> Option<&Slot> {
        let position = if self.order.is_empty() { rank } else { *self.order.get(rank)? };
        self.slots.get(position)
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").field("len", &self.slots.len()).finish_non_exhaustive()
    }
}

/// Serializes a value to the JSON text of an entry.
///
/// # Errors
///
/// Returns an error if the value does not serialize, contains NaN or an infinity, nests more than 32 levels deep, or
/// has a key twice in one object. Such a value could not be read back.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<String, EncodeError> {
    let text = serde_json::to_string(value).map_err(|_| EncodeError("the value does not serialize to JSON"))?;
    json::check_value(&text).map_err(|_| EncodeError("the value nests deeper than 32 levels, or repeats a key"))?;
    // `serde_json` writes NaN and infinities as `null`. Most values have none, and need no second look.
    if has_null(&text) && !is_finite(value) {
        return Err(EncodeError("the value contains a float that is not finite"));
    }
    Ok(text)
}

/// Serializes a value like [`encode`]. A debug build also decodes the text again.
///
/// # Errors
///
/// Returns an error in the same cases as [`encode`]. A debug build also returns one if the text does not decode, or if
/// it decodes to `None` where the value has `Some(None)`. In a release build such a value is written, and cannot be
/// read.
///
/// # Examples
///
/// ```
/// use session_core::encode_readable;
///
/// assert_eq!(encode_readable(&Some(7))?, "7");
/// assert!(encode_readable(&f64::NAN).is_err());
/// if let Ok(text) = encode_readable(&Some(None::<u8>)) {
///     assert_eq!(text, "null"); // a release build
/// }
/// # Ok::<(), session_core::EncodeError>(())
/// ```
pub fn encode_readable<T: Serialize + DeserializeOwned>(value: &T) -> Result<String, EncodeError> {
    let text = encode(value)?;
    if cfg!(debug_assertions) {
        check_readable(value, &text)?;
    }
    Ok(text)
}

/// Checks that a value can be decoded from its text.
pub(crate) fn check_readable<T: Serialize + DeserializeOwned>(value: &T, text: &str) -> Result<(), EncodeError> {
    let decoded: T = decode(text).map_err(|_| NOT_READ_BACK)?;
    if loses_some(value, text) && some_nulls(value) > some_nulls(&decoded) { Err(SOME_NONE) } else { Ok(()) }
}

/// Returns whether a value has `Some` of what its text has as `null`.
pub(crate) fn loses_some<T: Serialize>(value: &T, text: &str) -> bool {
    has_null(text) && some_nulls(value) > 0
}

fn has_null(text: &str) -> bool {
    memmem::find(text.as_bytes(), b"null").is_some()
}

const NOT_READ_BACK: EncodeError = EncodeError(
    "the value is written but not read back: 128-bit integers and maps with keys that are no text fail in tagged, untagged and \
     flattened types",
);
const SOME_NONE: EncodeError =
    EncodeError("the value contains `Some(None)`, which is read back as `None`: use an enum instead");

/// Deserializes a value from the JSON text of an entry.
///
/// # Errors
///
/// Returns an error if the text is not a `T`.
pub fn decode<T: DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|_| DecodeError(()))
}

/// The error for a value that has no JSON text, or none that can be read back. It has no source, because the message of
/// a `Serialize` implementation may quote the value, and a value must not reach a log.
#[derive(Clone, Copy, Debug)]
pub struct EncodeError(&'static str);

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for EncodeError {}

/// The error for a value that does not have the requested type. It has no source, because the message of serde quotes
/// the value, and a value must not reach a log.
#[derive(Clone, Copy, Debug)]
pub struct DecodeError(());

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value does not have the requested type")
    }
}

impl std::error::Error for DecodeError {}

/// The largest number of entries for which looking at each key is faster than a binary search.
const FEW: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    fn parse(text: &str) -> Option<Vec<(String, String)>> {
        let entries = Entries::parse(text.into()).ok()?;
        Some(entries.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    fn nested(levels: usize) -> String {
        format!(r#"{{"x":{}{}}}"#, "[".repeat(levels), "]".repeat(levels))
    }

    #[test]
    fn values_stay_as_they_were_written() {
        let entries = Entries::parse(br#" { "b" : 1.50 , "a\u0020" : [ 1, {"x":null} ] } "#.to_vec()).unwrap();
        assert_eq!(entries.get("b"), Some("1.50"));
        assert_eq!(entries.get("a "), Some(r#"[ 1, {"x":null} ]"#));
        assert_eq!(entries.get("c"), None);
        assert_eq!(entries.nth_by_key(0).unwrap().0, "a ");
        assert_eq!(entries.nth_by_key(2), None);
    }

    #[test]
    fn among_few_and_among_many_each_key_is_found_in_any_order() {
        for count in [0, 1, 7, 8, 9, 10, 50] {
            for step in [1, 11] {
                let members: Vec<String> =
                    (0..count).map(|n| n * step % count).map(|n| format!("\"k{n:02}\":{n}")).collect();
                let entries = Entries::parse(format!("{{{}}}", members.join(",")).into()).unwrap();
                for n in 0..count {
                    assert_eq!(entries.get(&format!("k{n:02}")), Some(n.to_string().as_str()), "{members:?}");
                }
                assert_eq!(["", "$", "j9", "k", "k1x", "l"].map(|key| entries.get(key)), [None; 6]);
            }
        }
    }

    #[test]
    fn reserved_keys_are_apart_in_any_order() {
        for text in [
            r#"{"$":{"until":7},"$later":1,"%":2,"a":3}"#,
            r##"{"a":3,"$later":1,"#":0,"$":{"until":7},"%":2}"##,
            r#"{"\u0024":{"until":7},"a":3,"%":2,"$later":1}"#,
        ] {
            let entries = Entries::parse(text.into()).unwrap();
            assert_eq!(entries.metadata().until, Some(7), "{text}");
            assert_eq!(entries.metadata_text(), Some(r#"{"until":7}"#), "{text}");
            assert_eq!((entries.get("$"), entries.get("$later")), (None, None));
            assert_eq!(entries.reserved().collect::<Vec<_>>(), [("$later", "1")]);
            let keys: Vec<_> = (0..).map_while(|rank| entries.nth_by_key(rank)).map(|(key, _)| key).collect();
            assert!(keys.ends_with(&["%", "a"]) && keys.iter().all(|key| !key.starts_with('$')), "{keys:?}");
            assert_eq!(entries.iter().count(), keys.len());
            assert!(!entries.is_empty());
        }
        assert!(Entries::parse(br#"{"$":{"until":7}}"#.to_vec()).unwrap().is_empty());
    }

    #[test]
    fn most_sessions_need_no_order_and_have_no_reserved_keys() {
        let with = |text: &str| Entries::parse(text.into()).unwrap();
        assert!(with(r#"{"a":1,"b":2,"c":3}"#).order.is_empty());
        assert_eq!(with(r#"{"b":2,"c":3,"a":1}"#).order, [2, 0, 1]);
        assert!(with(r#"{"$later":1}"#).has_reserved());
        assert!(!with(r#"{"a$":1}"#).has_reserved() && !Entries::NONE.has_reserved());
        assert_eq!(with(r#"{"$later":1}"#).metadata_text(), None);
    }

    #[test]
    fn the_length_is_that_of_the_text_and_debug_shows_the_number_of_keys_alone() {
        let text = r#" {"user":"ada", "visits":2} "#;
        let entries = Entries::parse(text.into()).unwrap();
        assert_eq!(entries.text_len(), text.len());
        assert_eq!(format!("{entries:?}"), "Entries { len: 2, .. }");
    }

    #[cfg(feature = "encrypted")]
    #[test]
    fn decrypted_entries_keep_the_encrypted_ones_beside_them() {
        let with = |text: &str| Entries::parse(text.into()).unwrap();
        let decrypted = with(r#"{"$":{"until":7},"a":1}"#).sealed_as(with(r#"{"a":"sealed"}"#));
        assert_eq!((decrypted.get("a"), decrypted.metadata().until), (Some("1"), Some(7)));
        assert_eq!(decrypted.sealed().and_then(|sealed| sealed.get("a")), Some("\"sealed\""));
        assert!(with(r#"{"$":{"until":7}}"#).sealed().is_none() && Entries::NONE.sealed().is_none());
    }

    #[test]
    fn each_text_is_one_value_under_one_key() {
        let texts = |entries: &[(&str, &str)]| {
            let entries = Entries::from_texts(entries.iter().copied()).ok()?;
            Some(entries.fields().map(|(key, text)| format!("{key}={text}")).collect::<Vec<_>>())
        };
        assert_eq!(texts(&[]), Some(Vec::new()));
        assert_eq!(texts(&[("b", "1"), ("$", "{}"), ("a\"", "[2]")]).unwrap(), ["b=1", "$={}", "a\"=[2]"]);
        for refused in [&[("a", "1,\"b\":2")][..], &[("a", "ada")], &[("a", "")], &[("a", "1"), ("a", "1")]] {
            assert_eq!(texts(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn anything_but_one_strict_object_is_refused() {
        for text in [
            "",
            "null",
            "42",
            "[]",
            "\"x\"",
            "{",
            "{}x",
            "{}{}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":01}",
            "{\"a\":NaN}",
            "\u{feff}{}",
            "{\"a\":\"\u{1}\"}",
            "{\"a\":1,\"a\":2}",
            "{\"a\":1,\"\\u0061\":2}",
            "{\"x\":{\"a\":1,\"a\":2}}",
            "{\"x\":[{\"a\":{\"b\":1,\"\\u0062\":1}}]}",
            "{\"b\":1,\"a\":1,\"b\":1}",
            r#"{"x":{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"i":1}}"#,
            r#"{"x":{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"a":1}}"#,
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert!(Entries::parse(vec![b'{', 0xff, b'}']).is_err());
    }

    #[test]
    fn values_nest_32_deep_and_no_deeper() {
        assert!(parse(&nested(32)).is_some());
        assert!(parse(&nested(33)).is_none());
        assert!(parse(&nested(100_000)).is_none());
        assert!(parse(&format!("{}1{}", "{\"a\":".repeat(450), "}".repeat(450))).is_none());
    }

    #[test]
    fn what_could_not_be_read_back_is_not_written() {
        let deep: serde_json::Value = serde_json::from_str(&format!("{}{}", "[".repeat(33), "]".repeat(33))).unwrap();
        assert!(encode(&deep).is_err());
        let twice = RawValue::from_string("{\"a\":1,\"a\":2}".into()).unwrap();
        assert!(encode(&twice).is_err());
        assert_eq!(encode(&vec![1, 2]).unwrap(), "[1,2]");
    }

    #[test]
    fn floats_that_are_not_finite_are_refused_at_any_depth() {
        #[derive(serde::Serialize)]
        enum Shape {
            Newtype(f64),
            Tuple(u8, f32),
            Struct { ratio: f64 },
        }
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(encode(&bad).is_err() && encode(&(bad as f32)).is_err());
            assert!(encode(&vec![Some(1.0), None, Some(bad)]).is_err());
            assert!(encode(&(1, [bad])).is_err());
            assert!(encode(&std::collections::BTreeMap::from([("a", Some(bad))])).is_err());
            for shape in [Shape::Newtype(bad), Shape::Tuple(1, bad as f32), Shape::Struct { ratio: bad }] {
                assert!(encode(&shape).is_err());
            }
        }
        assert_eq!(encode(&(Some(1.5), None::<f64>, ())).unwrap(), "[1.5,null,null]");
        assert_eq!(encode("null").unwrap(), "\"null\"");
    }

    #[test]
    fn an_encode_error_shows_nothing_of_the_value() {
        struct Card;
        impl Serialize for Card {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("the card 4111111111111111 is refused"))
            }
        }
        let error = encode(&Card).unwrap_err();
        assert_eq!(error.to_string(), "the value does not serialize to JSON");
        assert!(!format!("{error} {error:?}").contains("4111"));
        assert!(std::error::Error::source(&error).is_none());
    }

    #[test]
    fn a_value_of_another_type_is_an_error_that_does_not_quote_it() {
        let error = decode::<u8>("\"hunter2\"").unwrap_err();
        assert_eq!(error.to_string(), "the value does not have the requested type");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn a_value_without_null_is_serialized_once() {
        struct Counted(std::cell::Cell<u8>);
        impl Serialize for Counted {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.set(self.0.get() + 1);
                serializer.serialize_u8(7)
            }
        }
        let value = Counted(0.into());
        let text = encode(&value).unwrap();
        assert!(!loses_some(&value, &text));
        assert_eq!((text.as_str(), value.0.get()), ("7", 1));
    }

    #[test]
    fn some_of_null_is_refused_in_a_debug_build_where_it_would_come_back_as_none() {
        /// `null` is read as `Some(None)`.
        #[derive(Serialize)]
        struct Twofold(Option<Option<u8>>);
        impl<'de> serde::Deserialize<'de> for Twofold {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Option::deserialize(deserializer).map(|inner| Self(Some(inner)))
            }
        }
        let refused = |written: Result<String, EncodeError>| written.err().map(|error| error.to_string());
        let sentence = "the value contains `Some(None)`, which is read back as `None`: use an enum instead";
        let expected = Some(sentence.to_owned()).filter(|_| cfg!(debug_assertions));
        assert_eq!(refused(encode_readable(&vec![Some(Some(1)), Some(None)])), expected);
        assert_eq!(encode_readable(&Twofold(Some(None))).unwrap(), "null");
        assert_eq!(encode_readable(&vec![Some(Some(1)), None]).unwrap(), "[1,null]");
        assert!(loses_some(&Some(None::<u8>), "null"));
        assert!(!loses_some(&None::<u8>, "null") && !loses_some(&Some(1), "1"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Entries::parse(bytes);
        }

        #[test]
        fn floats_come_back_exactly(float in proptest::num::f64::NORMAL) {
            prop_assert_eq!(decode::<f64>(&encode(&float).unwrap()).unwrap().to_bits(), float.to_bits());
        }
    }
}
