//! Decoders for the sessions and flash messages of other frameworks, for a migration without log-outs.
//!
//! | decoder | reads |
//! |---|---|
//! | [`Play`] | Play Framework 2.6 and newer: the session and the flash messages in a JSON Web Token |
//! | [`PlayLegacy`] | Play Framework 2.0 to 2.5: a signed session, and flash messages without a signature |
//! | [`Revel`] | Revel: a signed session, and flash messages and form errors without a signature |
//! | [`Gorilla`] | `gorilla/sessions` and `gorilla/securecookie`: gob or JSON, also encrypted |
//! | [`Buffalo`] | Buffalo: a session of gorilla that contains the flash messages |
//!
//! They read and never write. The secret is the one of the former application, unchanged. Each is a
//! [`FormerSystem`](crate::former::FormerSystem).
//!
//! # What is read
//!
//! - A session counts only if its signature is right. The signature is compared in constant time, before the content
//!   is decoded. A session that has expired by the rules of its system is none.
//! - A cookie of more than 4,096 bytes is not read, nor a session with more than 256 values, with a value that nests
//!   more than 32 levels deep, or with a key that occurs twice. Such a session counts as none.
//! - If several cookies of one name come, at most 4 are tried. The newest one that is authentic and has not expired
//!   counts. If the times in the cookies do not tell which one that is, none counts.
//! - Values with keys that begin with `$` are left out: `session-axum` reserves such keys. So are flash messages of
//!   such kinds.
//! - Flash messages without a signature can be forged. They are read only after `unsigned_flash`.
//!
//! # Examples
//!
//! ```
//! use session_core::{compat::PlayLegacy, former::FormerCookies};
//!
//! let play = PlayLegacy::with_weak_secret("changeme")?;
//! let headers: [&[u8]; 1] = [b"PLAY_SESSION=116d8da7c5283e81341db8a0c0fb5f188f9b0277-hello=world"];
//! let session = play.decode(FormerCookies::new(&headers), 1_800_000_000).session.unwrap();
//! assert_eq!(session.entries.get("hello"), Some("\"world\""));
//! # Ok::<(), session_core::KeyError>(())
//! ```

use std::io::{self, Write};

use crate::{
    entries::Entries,
    former::{FormerCookie, FormerCookies},
    keys::{KeyError, KeyErrorKind, check_secret},
    metadata::RESERVED_PREFIX,
};

mod buffalo;
mod flash;
mod gob;
mod gorilla;
mod mac;
mod play;
mod play_legacy;
mod revel;
mod urlencoded;

pub use buffalo::Buffalo;
pub use gorilla::Gorilla;
pub use play::{Play, PlayAlgorithm};
pub use play_legacy::PlayLegacy;
pub use revel::Revel;

/// Defines the methods that are the same for all decoders. `$make` is an expression that makes a decoder.
macro_rules! removal_options {
    ($name:ident, $make:literal) => {
        impl $name {
            /// Sets the Domain attribute of the former cookies, for their removal. By default they have none.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use session_core::{compat::", stringify!($name), ", former::FormerSystem as _};")]
            ///
            #[doc = concat!("let former = ", $make, "?.domain(\"example.com\");")]
            /// assert!(former.cookies()[0].clear().contains("; Domain=example.com;"));
            /// # Ok::<(), session_core::KeyError>(())
            /// ```
            #[must_use]
            pub fn domain(mut self, domain: impl Into<String>) -> Self {
                self.scope_mut().domain = Some(domain.into());
                self
            }

            /// Sets the Path attribute of the former cookies, for their removal. The default is `/`.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use session_core::{compat::", stringify!($name), ", former::FormerSystem as _};")]
            ///
            #[doc = concat!("let former = ", $make, "?.path(\"/shop\");")]
            /// assert!(former.cookies()[0].clear().contains("; Path=/shop;"));
            /// # Ok::<(), session_core::KeyError>(())
            /// ```
            #[must_use]
            pub fn path(mut self, path: impl Into<String>) -> Self {
                self.scope_mut().path = path.into();
                self
            }
        }
    };
}
use removal_options;

/// The attributes that tell the former cookies from others in a browser.
#[derive(Clone)]
struct Scope {
    path: String,
    domain: Option<String>,
}

impl Scope {
    fn new() -> Self {
        Self { path: "/".to_owned(), domain: None }
    }

    fn cookie(&self, name: &str) -> FormerCookie {
        let cookie = FormerCookie::new(name).path(&self.path);
        match &self.domain {
            Some(domain) => cookie.domain(domain),
            None => cookie,
        }
    }
}

/// What an authentic cookie holds.
struct Dated<'a, T> {
    /// The text of the cookie.
    text: &'a [u8],
    /// The time that tells which of several cookies is the newest; `None` if the cookie has no such time.
    time: Option<u64>,
    content: T,
}

/// Returns the newest of the cookies `name` that `open` accepts: those that are authentic and have not expired. Returns
/// `None` if several are accepted and their times do not tell which one is the newest.
///
/// The caller decodes the values of the newest one only, so that a request with several cookies takes little memory.
fn newest<'a, T>(
    cookies: FormerCookies<'a>,
    name: &str,
    mut open: impl FnMut(&'a [u8]) -> Option<(Option<u64>, T)>,
) -> Option<Dated<'a, T>> {
    let mut tried: Vec<&[u8]> = Vec::new();
    let mut newest: Option<Dated<'a, T>> = None;
    // Whether a time is missing although several cookies came, and whether two cookies have the newest time.
    let (mut has_unknown, mut has_equal) = (false, false);
    for text in cookies.values(name).filter(|text| text.len() <= LONGEST) {
        if tried.contains(&text) {
            continue;
        }
        tried.push(text);
        let Some((time, content)) = open(text) else { continue };
        match newest.as_ref().map(|known| known.time.zip(time)) {
            Some(None) => has_unknown = true,
            Some(Some((known, time))) if known > time => {}
            Some(Some((known, time))) if known == time => has_equal = true,
            _ => {
                newest = Some(Dated { text, time, content });
                has_equal = false;
            }
        }
    }
    newest.filter(|_| !has_unknown && !has_equal)
}

/// Returns the entries without reserved keys, or `None` if there are too many.
fn accepted(entries: Entries) -> Option<Entries> {
    if entries.fields().count() > MOST_VALUES {
        return None;
    }
    if entries.fields().all(|(key, _)| !is_reserved(key)) {
        return Some(entries);
    }
    Entries::from_texts(entries.iter()).ok()
}

/// A value of a former session.
#[derive(Clone, Copy)]
enum Content<'a> {
    /// A text, which becomes a JSON string.
    Text(&'a str),
    /// The JSON text of a value.
    Json(&'a str),
}

/// Returns the entries of keys and values, without reserved keys. Returns `None` if a key occurs twice, if a JSON text
/// is not one value, or if there are too many.
fn entries_of<'a>(pairs: impl Iterator<Item = (&'a str, Content<'a>)> + Clone) -> Option<Entries> {
    let pairs = pairs.filter(|(key, _)| !is_reserved(key));
    // A control character takes six bytes in JSON. The length is counted first, so that the text never grows.
    // `Entries` appends the keys that have escapes.
    let mut length = Length(0);
    write_pairs(pairs.clone(), &mut length).ok()?;
    let keys: usize = pairs.clone().map(|(key, _)| key.len()).sum();
    let mut json = Vec::with_capacity(length.0 + keys);
    write_pairs(pairs.clone(), &mut json).ok()?;
    let entries = Entries::parse(json).ok()?;
    // A JSON text such as `1,"b":2` would add a value of its own.
    let is_complete = entries.fields().count() == pairs.count();
    if is_complete { accepted(entries) } else { None }
}

fn write_pairs<'a>(pairs: impl Iterator<Item = (&'a str, Content<'a>)>, to: &mut impl Write) -> io::Result<()> {
    to.write_all(b"{")?;
    for (position, (key, content)) in pairs.enumerate() {
        to.write_all(if position == 0 { b"" } else { b"," })?;
        serde_json::to_writer(&mut *to, key)?;
        to.write_all(b":")?;
        match content {
            Content::Text(text) => serde_json::to_writer(&mut *to, text)?,
            Content::Json(text) => to.write_all(text.as_bytes())?,
        }
    }
    to.write_all(b"}")
}

/// A writer that only counts the bytes.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the JSON text of a string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn is_reserved(key: &str) -> bool {
    key.starts_with(RESERVED_PREFIX)
}

/// Checks a former secret by the rules of [`Keys`](crate::Keys).
fn strong(secret: &[u8]) -> Result<&[u8], KeyError> {
    check_secret(secret, SECRET).map(|()| secret)
}

/// Checks only that a former secret is not empty: any visitor could sign with an empty one.
fn not_empty(secret: &[u8]) -> Result<&[u8], KeyError> {
    if secret.is_empty() { Err(KeyError::new(KeyErrorKind::Missing, SECRET)) } else { Ok(secret) }
}

const SECRET: &str = "the secret of the former system";
/// The most bytes of a cookie. Browsers keep no longer ones (RFC 6265bis, section 5.6).
const LONGEST: usize = 4_096;
/// The most values of a session.
const MOST_VALUES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens cookies such as `7x`: a time, which may be missing, and a letter.
    fn opened(text: &[u8]) -> Option<(Option<u64>, char)> {
        let text = std::str::from_utf8(text).ok()?;
        let letter = text.chars().last().filter(char::is_ascii_lowercase)?;
        Some((text[..text.len() - 1].parse().ok(), letter))
    }

    #[test]
    fn the_newest_of_several_cookies_counts_and_none_if_that_is_not_known() {
        for (header, expected) in [
            ("", None),
            ("s=1a", Some('a')),
            ("s=a", Some('a')),
            ("s=1a; s=2b", Some('b')),
            ("s=2a; s=1b", Some('a')),
            ("s=1a; s=1b", None),
            ("s=1a; s=1b; s=2c", Some('c')),
            ("s=2a; s=2b; s=1c", None),
            ("s=2a; s=b", None),
            ("s=a; s=b", None),
            ("s=a; s=a", Some('a')),
            ("s=?; s=1a", Some('a')),
            ("s=?; s=?; s=?; s=?; s=1a", None),
        ] {
            let headers = [header.as_bytes()];
            let found = newest(FormerCookies::new(&headers), "s", opened).map(|cookie| cookie.content);
            assert_eq!(found, expected, "{header}");
        }
    }

    #[test]
    fn a_cookie_that_is_too_long_is_not_opened() {
        for (digits, expected) in [(LONGEST - 1, Some('a')), (LONGEST, None)] {
            let header = format!("s={}a", "0".repeat(digits));
            let headers = [header.as_bytes()];
            let found = newest(FormerCookies::new(&headers), "s", opened).map(|cookie| cookie.content);
            assert_eq!(found, expected, "{digits}");
        }
    }

    #[test]
    fn reserved_keys_are_left_out_and_too_many_values_are_refused() {
        let entries = accepted(Entries::parse(br#"{"a":1,"$":{"until":7},"$x":2}"#.to_vec()).unwrap()).unwrap();
        assert_eq!(entries.fields().collect::<Vec<_>>(), [("a", "1")]);
        assert_eq!(entries.metadata().until, None);

        let keys: Vec<String> = (0..=MOST_VALUES).map(|n| format!("k{n}")).collect();
        let many = |count: usize| keys[..count].iter().map(|key| (key.as_str(), Content::Text("")));
        assert!(entries_of(many(MOST_VALUES)).is_some());
        assert!(entries_of(many(MOST_VALUES + 1)).is_none());
    }

    #[test]
    fn texts_and_json_become_entries() {
        let entries = |pairs: &[(&str, Content)]| {
            Some(
                entries_of(pairs.iter().copied())?
                    .iter()
                    .map(|(key, text)| format!("{key}={text}"))
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        };
        let (text, json) = (Content::Text("a\"\0"), Content::Json("[1]"));
        assert_eq!(entries(&[("t", text), ("j", json), ("$x", text)]).as_deref(), Some(r#"t="a\"\u0000" j=[1]"#));
        assert_eq!(entries(&[]).as_deref(), Some(""));
        assert_eq!(entries(&[("a", text), ("a", text)]), None);
        assert_eq!(entries(&[("a", Content::Json("1,\"b\":2"))]), None);
        assert_eq!(entries(&[("a", Content::Json(""))]), None);
    }

    #[test]
    fn an_empty_secret_is_refused_even_where_a_weak_one_is_not() {
        assert_eq!(not_empty(b"").unwrap_err().kind(), KeyErrorKind::Missing);
        assert!(not_empty(b"x").is_ok());
        assert_eq!(strong(b"x").unwrap_err().kind(), KeyErrorKind::TooShort { length: 1 });
        assert_eq!(
            strong(b"").unwrap_err().to_string(),
            "the secret of the former system is not set or empty; make a good one with `openssl rand -base64 48`"
        );
    }
}
