//! A second implementation of the scanner's checks, with `serde_json`. The tests compare [`super::object`] with it.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Deserializer as _,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// Returns the keys and the texts of their values, as [`super::object`] finds them.
pub(super) fn object(text: &str) -> serde_json::Result<Vec<(String, String)>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let entries = json.deserialize_map(Members)?;
    json.end()?;
    Ok(entries)
}

/// Checks depth and repeated keys, which only an array or an object can have.
pub(super) fn check_value(text: &str) -> serde_json::Result<()> {
    if !text.starts_with(['{', '[']) {
        return Ok(());
    }
    Strict { levels: MAX_DEPTH }.deserialize(&mut serde_json::Deserializer::from_str(text))
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, String)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(CowKey(key)) = map.next_key()? {
            let value = map.next_value::<&RawValue>()?.get();
            check_value(value).map_err(A::Error::custom)?;
            entries.push((key.into_owned(), value.to_owned()));
        }
        Ok(entries)
    }
}

/// A key, which is borrowed from the text if it has no escapes.
struct CowKey<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for CowKey<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = CowKey<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(CowKey(Cow::Borrowed(key)))
            }
            fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
                Ok(CowKey(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrow)
    }
}

/// A visitor that checks a value, with the number of levels that may still be nested in the value.
#[derive(Clone, Copy)]
struct Strict {
    levels: u8,
}

impl Strict {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1).ok_or_else(|| E::custom("nested deeper than 32"))?;
        Ok(Self { levels })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut seen = Seen::default();
        while let Some(CowKey(key)) = map.next_key()? {
            if !seen.is_new(key) {
                return Err(A::Error::custom("a key stands twice"));
            }
            map.next_value_seed(inner)?;
        }
        Ok(())
    }
}

/// The keys of one object so far: the first few on the stack, since most objects have no more.
#[derive(Default)]
struct Seen<'a> {
    first: [Option<Cow<'a, str>>; 8],
    others: HashSet<Cow<'a, str>>,
}

impl<'a> Seen<'a> {
    fn is_new(&mut self, key: Cow<'a, str>) -> bool {
        for place in &mut self.first {
            match place {
                Some(known) if *known == key => return false,
                Some(_) => {}
                None => {
                    *place = Some(key);
                    return true;
                }
            }
        }
        self.others.insert(key)
    }
}

const MAX_DEPTH: u8 = 32;
