//! The id in the cookie of tower-sessions.

use std::borrow::Cow;

use cookie::{Cookie, CookieJar, Key};

/// How the cookie holds the id.
#[derive(Clone)]
pub(super) enum Protection {
    Plain,
    Signed(Key),
    Private(Key),
}

impl Protection {
    /// Reads the id out of the value of a cookie. Returns `None` if the value is not authentic or holds no id.
    pub(super) fn id(&self, name: &str, value: &[u8]) -> Option<Id> {
        if value.len() > MOST_BYTES {
            return None;
        }
        let value = std::str::from_utf8(value).ok()?;
        let cookie = Cookie::parse_encoded(format!("{name}={value}")).ok()?;
        let mut jar = CookieJar::new();
        jar.add_original(cookie);
        let opened = match self {
            Self::Plain => jar.get(name).map(Cow::Borrowed),
            Self::Signed(key) => jar.signed(key).get(name).map(Cow::Owned),
            Self::Private(key) => jar.private(key).get(name).map(Cow::Owned),
        };
        Id::parse(opened?.value())
    }
}

/// The id of a session: 16 bytes, as 22 characters of URL-safe base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Id {
    text: String,
    bytes: [u8; 16],
}

impl Id {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() != LENGTH {
            return None;
        }
        // 21 characters have 126 bits. The last character has two more, and four bits that are zero.
        let (first, last) = text.as_bytes().split_at(LENGTH - 1);
        let number = first.iter().try_fold(0u128, |number, byte| Some(number << 6 | u128::from(six_bits(*byte)?)))?;
        let last = six_bits(*last.first()?)?;
        let number = (last & 0b1111 == 0).then(|| number << 2 | u128::from(last >> 4))?;
        Some(Self { text: text.to_owned(), bytes: number.to_be_bytes() })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the number that tower-sessions writes into the record.
    pub(super) const fn number(&self) -> i128 {
        i128::from_le_bytes(self.bytes)
    }
}

fn six_bits(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}

const LENGTH: usize = 22;

/// A longer value holds no id in any of the three forms, not even with every character percent-encoded.
const MOST_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use cookie::{Cookie, CookieJar, Key};

    use super::{Id, Protection};

    const ID: &str = "gh1-_x4QBVWhtTwy2fbqXw";

    fn key(byte: u8) -> Key {
        Key::from(&[byte; 64])
    }

    /// Returns the value of a cookie as the browser sends it.
    fn sent(protection: &Protection) -> String {
        let (mut jar, cookie) = (CookieJar::new(), Cookie::new("id", ID));
        match protection {
            Protection::Plain => jar.add(cookie),
            Protection::Signed(key) => jar.signed_mut(key).add(cookie),
            Protection::Private(key) => jar.private_mut(key).add(cookie),
        }
        let text = jar.get("id").map(|cookie| cookie.encoded().to_string()).unwrap_or_default();
        text.strip_prefix("id=").unwrap_or_default().to_owned()
    }

    #[test]
    fn an_id_is_read_in_its_own_form_and_with_its_own_key_only() {
        let forms = || [Protection::Plain, Protection::Signed(key(1)), Protection::Private(key(1))];
        let readers = [forms().as_slice(), &[Protection::Signed(key(2)), Protection::Private(key(2))]].concat();
        for (form, protection) in forms().iter().enumerate() {
            let value = sent(protection);
            for (reader, protection) in readers.iter().enumerate() {
                let read = protection.id("id", value.as_bytes());
                assert_eq!(read.is_some(), form == reader, "{form} read as {reader}: {value}");
                assert_eq!(read, (form == reader).then(|| Id::parse(ID)).flatten());
            }
        }
    }

    #[test]
    fn no_hostile_value_is_an_id() {
        let long = "A".repeat(100_000);
        let texts = ["", "=", "%", "%zz", "AAAA", "gh1-_x4QBVWhtTwy2fbqXx", "gh1+/x4QBVWhtTwy2fbqXw", " ; a=b", &long];
        for protection in [Protection::Plain, Protection::Signed(key(1)), Protection::Private(key(1))] {
            for text in texts.map(str::as_bytes).into_iter().chain([&b"\xff\xfe"[..], "é".repeat(11).as_bytes()]) {
                assert_eq!(protection.id("id", text), None, "{}", String::from_utf8_lossy(text));
            }
        }
    }

    #[test]
    fn the_number_of_an_id_is_that_of_tower_sessions() {
        let id = |text| Id::parse(text).map(|id| id.number());
        assert_eq!(id("AAAAAAAAAAAAAAAAAAAAAA"), Some(0));
        assert_eq!(id("AQAAAAAAAAAAAAAAAAAAAA"), Some(1));
        assert_eq!(id("_____________________w"), Some(-1));
    }
}
