//! The session's entries: a strict JSON object whose values stay text until somebody asks for one.

use std::{fmt, ops::Range};

use serde::{Serialize, de::DeserializeOwned, ser::Error as _};

use crate::{
    json::{self, Malformed, Slot, write_object},
    metadata::{self, Metadata, RESERVED_KEY, RESERVED_PREFIX},
};

/// The application's key and value pairs, each value kept as its JSON text: reading one decodes one, and rewriting
/// copies the others.
///
/// Keys that begin with `$` are not the application's, and no accessor but [`fields`](Self::fields) shows them. The
/// session's [`metadata`](Self::metadata) is parsed out of them once.
#[derive(Clone, Default)]
pub struct Entries {
    /// The object, and behind it those keys of it that were written with escapes, without them.
    text: String,
    /// In the order of the text.
    slots: Vec<Slot>,
    /// The slots' positions in the order of their keys; empty when the text has that order.
    order: Vec<usize>,
    /// The ranks, in the order of the keys, of those that begin with `$`.
    reserved: Range<usize>,
    metadata: Option<Box<Metadata>>,
}

impl Entries {
    /// No entries.
    pub const NONE: Self =
        Self { text: String::new(), slots: Vec::new(), order: Vec::new(), reserved: 0..0, metadata: None };

    /// Reads a JSON object strictly: values nest at most 32 deep, no key stands twice in one object, nothing follows.
    ///
    /// # Errors
    ///
    /// When the text is anything else.
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

    /// Finds the keys that are not the application's. Most sessions have none.
    fn with_reserved_apart(mut self) -> Self {
        let is_reserved = |key: &[u8]| key.first() == Some(&(RESERVED_PREFIX as u8));
        let count = self.slots.iter().filter(|slot| is_reserved(self.key(slot))).count();
        if count > 0 {
            // Keys with one first byte are neighbours in the order of the keys.
            let all = || (0..self.slots.len()).filter_map(|rank| self.slot_by_key(rank));
            let first = all().take_while(|slot| !is_reserved(self.key(slot))).count();
            let own = self.slots.iter().find(|slot| self.key(slot) == RESERVED_KEY.as_bytes());
            let metadata = own.map(|slot| Metadata::from_json(&self.text[slot.value.clone()]));
            self.metadata = metadata.map(Box::new);
            self.reserved = first..first + count;
        }
        self
    }

    /// Gathers keys with the JSON texts of their values, as a store keeps them one by one. As strict as
    /// [`Entries::parse`].
    ///
    /// # Errors
    ///
    /// When a value is not JSON, or a key comes twice.
    pub fn from_texts<'a, T: AsRef<str>>(entries: impl IntoIterator<Item = (&'a str, T)>) -> Result<Self, Malformed> {
        let mut expected = 0;
        let mut text = Vec::new();
        write_object(entries.into_iter().inspect(|_| expected += 1), &mut text);
        // A value such as `1,"b":2` would smuggle an entry in.
        Self::parse(text).and_then(|entries| if entries.slots.len() == expected { Ok(entries) } else { Err(Malformed) })
    }

    /// The session's metadata.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        self.metadata.as_deref().unwrap_or(&metadata::NONE)
    }

    /// The JSON text of the value under `key`.
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

    /// All keys with the JSON texts of their values, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields().filter(|(key, _)| !key.starts_with(RESERVED_PREFIX))
    }

    /// All that is written, in the order of the text: the entries, and the keys that begin with `$`.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.slots.iter().map(|slot| self.entry(slot))
    }

    /// The fields that are not the application's, besides the metadata: a later version may have written some.
    pub(crate) fn reserved(&self) -> impl Iterator<Item = (&str, &str)> {
        let slots = self.reserved.clone().filter_map(|rank| self.slot_by_key(rank));
        slots.map(|slot| self.entry(slot)).filter(|(key, _)| *key != RESERVED_KEY)
    }

    /// The metadata's JSON text as it was read.
    pub(crate) fn metadata_text(&self) -> Option<&str> {
        let first = self.slot_by_key(self.reserved.start).filter(|_| self.metadata.is_some())?;
        Some(self.entry(first).1)
    }

    /// The entry of the key that has `rank` others before it.
    pub(crate) fn nth_by_key(&self, rank: usize) -> Option<(&str, &str)> {
        let rank = if rank < self.reserved.start { rank } else { rank + self.reserved.len() };
        self.slot_by_key(rank).map(|slot| self.entry(slot))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.len() == self.reserved.len()
    }

    /// For comparisons: text has the order of its bytes.
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

/// A value as the JSON text that an entry keeps.
///
/// # Errors
///
/// When the value does not serialize, nests deeper than 32, or repeats a key in one object: what could not be read
/// back is not written.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<String, EncodeError> {
    let text = serde_json::to_string(value).map_err(EncodeError)?;
    let not_strict = |_| {
        EncodeError(serde_json::Error::custom("the value nests deeper than 32 levels, or repeats a key in one object"))
    };
    json::check_value(&text).map_err(not_strict)?;
    Ok(text)
}

/// The value of an entry's JSON text.
///
/// # Errors
///
/// When it is not a `T`.
pub fn decode<T: DeserializeOwned>(text: &str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|_| DecodeError(()))
}

/// A value that has no JSON text we could read back.
#[derive(Debug)]
pub struct EncodeError(serde_json::Error);

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value cannot be written as JSON")
    }
}

impl std::error::Error for EncodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// A value of another type than was asked for. It does not repeat what serde says of it, since that quotes the value.
#[derive(Clone, Copy, Debug)]
pub struct DecodeError(());

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value does not have the requested type")
    }
}

impl std::error::Error for DecodeError {}

/// Up to here looking at each key is faster than a binary search.
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
    fn a_value_of_another_type_is_an_error_that_does_not_quote_it() {
        let error = decode::<u8>("\"hunter2\"").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
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
