//! `gorilla/securecookie`: a time, a value and a signature, in base64.

use std::time::Duration;

use aes::{Aes128, Aes192, Aes256};
use base64_simd::{STANDARD, URL_SAFE};
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};
use zeroize::Zeroizing;

use crate::{
    compat::{Scope, accepted, gob, mac::Mac, newest, not_empty, quoted, removal_options, strong},
    contract::StoreFuture,
    entries::Entries,
    former::{Former, FormerCookie, FormerCookies, FormerSession, FormerSystem},
    keys::{KeyError, KeyErrorKind},
};

/// Reads the cookies of `gorilla/sessions` with its `CookieStore`, and of `gorilla/securecookie`.
///
/// The name of the cookie is part of the signature. The time in the cookie is that of its last change: the session
/// begins with it, and ends after [`max_age`](Self::max_age). As in gorilla, a cookie from the future is accepted; the
/// session then begins now.
///
/// If gorilla has several pairs of keys, add a decoder for each.
///
/// # Values
///
/// `gorilla/sessions` writes a map in the format of Go's `encoding/gob`. These values are read: strings, integers,
/// floats, booleans, byte slices, nil, and slices, arrays and maps of them, also of types that are named after them,
/// such as `time.Duration`.
///
/// - A byte slice becomes a JSON string: its text if it is UTF-8, and standard base64 otherwise.
/// - A key of a map is text or an integer. An integer becomes its decimal digits.
/// - A value is left out if it is or contains anything else: a struct, `time.Time`, a complex number, a float that is
///   not finite, or a string that is not UTF-8.
/// - The flash messages of `gorilla/sessions` have no kind. They stay values: a list under `_flash`.
///
/// # Examples
///
/// ```
/// use session_core::{compat::Gorilla, former::FormerCookies};
///
/// let gorilla = Gorilla::with_weak_secret("0123456789abcdef0123456789abcdef")?;
/// let header = "session=MTcwMDAwMDAwMHxEdi1CQkFFQ180SUFBUkFCRUFBQUd2LUNBQUVHYzNSeWFXNW5EQVVBQTNWcFpBTnBiblFFQWdCVXzKv\
///               cqxfjQ-Pc5G8nzxEXiikRRaftJf8MYO5E8RfaLBTA==";
/// let headers = [header.as_bytes()];
/// let session = gorilla.decode(FormerCookies::new(&headers), 1_700_000_060).session.unwrap();
/// assert_eq!(session.entries.get("uid"), Some("42"));
/// assert_eq!(session.created_at, Some(1_700_000_000));
/// assert_eq!(session.expires_at, Some(1_702_592_000));
/// # Ok::<(), session_core::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Gorilla {
    mac: Mac,
    block_key: Option<BlockKey>,
    cookie: String,
    /// The longest age of a cookie in seconds; 0 if there is no limit.
    max_age: u64,
    serializer: Serializer,
    scope: Scope,
}

/// How the values became bytes.
#[derive(Clone)]
enum Serializer {
    Gob,
    Json,
    /// Not at all: the bytes are the value of this key.
    Raw(String),
}

/// The key of AES.
#[derive(Clone)]
enum BlockKey {
    Aes128(Zeroizing<[u8; 16]>),
    Aes192(Zeroizing<[u8; 24]>),
    Aes256(Zeroizing<[u8; 32]>),
}

impl Gorilla {
    /// Creates a decoder with the hash key of the former application.
    ///
    /// # Errors
    ///
    /// Returns an error if [`Keys::new`](crate::Keys::new) would refuse the key.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::compat::Gorilla;
    ///
    /// assert!(Gorilla::new("o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E").is_ok());
    /// assert!(Gorilla::new("super-secret-key").is_err());
    /// ```
    pub fn new(hash_key: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Ok(Self::of(strong(hash_key.as_ref())?))
    }

    /// Does the same as [`new`](Self::new), and accepts a hash key that is short or can be guessed. A visitor who
    /// guesses it can forge sessions: keep the time of the migration short.
    ///
    /// # Errors
    ///
    /// Returns an error if the key is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::compat::Gorilla;
    ///
    /// assert!(Gorilla::with_weak_secret("super-secret-key").is_ok());
    /// assert!(Gorilla::with_weak_secret("").is_err());
    /// ```
    pub fn with_weak_secret(hash_key: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Ok(Self::of(not_empty(hash_key.as_ref())?))
    }

    fn of(hash_key: &[u8]) -> Self {
        Self {
            mac: Mac::sha256(hash_key),
            block_key: None,
            cookie: "session".to_owned(),
            max_age: 30 * 24 * 60 * 60,
            serializer: Serializer::Gob,
            scope: Scope::new(),
        }
    }

    /// Sets the block key, for values that are encrypted with AES in counter mode.
    ///
    /// # Errors
    ///
    /// Returns an error if the key does not have 16, 24 or 32 bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{KeyErrorKind, compat::Gorilla};
    ///
    /// let gorilla = Gorilla::with_weak_secret("super-secret-key")?;
    /// assert!(gorilla.clone().block_key("fedcba9876543210").is_ok());
    /// assert_eq!(gorilla.block_key("short").unwrap_err().kind(), KeyErrorKind::CipherKeyLength { length: 5 });
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    pub fn block_key(self, key: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Ok(Self { block_key: Some(BlockKey::new(key.as_ref())?), ..self })
    }

    /// Sets the name of the session cookie: the name that the application passed to `store.Get`. The default is
    /// `session`. A cookie that was signed for another name is refused.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::Gorilla, former::FormerSystem as _};
    ///
    /// let gorilla = Gorilla::with_weak_secret("super-secret-key")?.cookie("sid");
    /// assert_eq!(gorilla.cookies()[0].name(), "sid");
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn cookie(self, name: impl Into<String>) -> Self {
        Self { cookie: name.into(), ..self }
    }

    /// Sets the longest age of a cookie, in whole seconds. The default is 30 days. Zero sets no limit, as in gorilla.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use session_core::{compat::Gorilla, former::FormerCookies};
    ///
    /// let header = "session=MTcwMDAwMDAwMHxleUoxYzJWeUlqb2lZV3hwWTJVaWZRbz18laZut20AvHFOgU93TruSeeOl-JcTGwlv-rMU-lMFQ\
    ///               E8=";
    /// let headers = [header.as_bytes()];
    /// let gorilla = Gorilla::with_weak_secret("0123456789abcdef0123456789abcdef")?.json();
    /// let cookies = FormerCookies::new(&headers);
    /// let is_alive = |gorilla: &Gorilla| gorilla.decode(cookies, 1_700_003_601).session.is_some();
    /// assert!(is_alive(&gorilla));
    /// assert!(!is_alive(&gorilla.max_age(Duration::from_secs(3_600))));
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { max_age: max_age.as_secs(), ..self }
    }

    /// Reads values that `securecookie.JSONEncoder` has written: one JSON object.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::Gorilla, former::FormerCookies};
    ///
    /// let header = "session=MTcwMDAwMDAwMHxleUoxYzJWeUlqb2lZV3hwWTJVaWZRbz18laZut20AvHFOgU93TruSeeOl-JcTGwlv-rMU-lMFQ\
    ///               E8=";
    /// let headers = [header.as_bytes()];
    /// let gorilla = Gorilla::with_weak_secret("0123456789abcdef0123456789abcdef")?.json();
    /// let session = gorilla.decode(FormerCookies::new(&headers), 1_700_000_060).session.unwrap();
    /// assert_eq!(session.entries.get("user"), Some("\"alice\""));
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn json(self) -> Self {
        Self { serializer: Serializer::Json, ..self }
    }

    /// Reads bytes that `securecookie.NopEncoder` has written. They become the value of `key`: a JSON string with their
    /// text if it is UTF-8, and with standard base64 otherwise.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::Gorilla, former::FormerCookies};
    ///
    /// let header = "session=MTcwMDAwMDAwMHxjbUYzTFdKNWRHVnpmSGRwZEdoOGNHbHdaWE09fOEmnJgo39Na2n80y-qHh2UUUCv1naoOg448_\
    ///               2x1pE1q";
    /// let headers = [header.as_bytes()];
    /// let gorilla = Gorilla::with_weak_secret("0123456789abcdef0123456789abcdef")?.raw("value");
    /// let session = gorilla.decode(FormerCookies::new(&headers), 1_700_000_060).session.unwrap();
    /// assert_eq!(session.entries.get("value"), Some("\"raw-bytes|with|pipes\""));
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn raw(self, key: impl Into<String>) -> Self {
        Self { serializer: Serializer::Raw(key.into()), ..self }
    }

    /// Does the same as [`read`](FormerSystem::read), which never waits here.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::Gorilla, former::FormerCookies};
    ///
    /// let header = "session=MTcwMDAwMDAwMHxleUoxYzJWeUlqb2lZV3hwWTJVaWZRbz18laZut20AvHFOgU93TruSeeOl-JcTGwlv-rMU-lMFQ\
    ///               E4=";
    /// let headers = [header.as_bytes()];
    /// let gorilla = Gorilla::with_weak_secret("0123456789abcdef0123456789abcdef")?.json();
    /// assert!(gorilla.decode(FormerCookies::new(&headers), 1_700_000_060).session.is_none()); // a wrong signature
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn decode(&self, cookies: FormerCookies<'_>, now: u64) -> Former {
        self.session(cookies, now).map_or(Former::NOTHING, Former::session)
    }

    pub(super) fn session(&self, cookies: FormerCookies<'_>, now: u64) -> Option<FormerSession> {
        let found = newest(cookies, &self.cookie, |text| {
            let (time, value) = self.open(text, now)?;
            Some((Some(time), value))
        })?;
        let mut session = FormerSession::new(found.text, self.entries(&found.content)?);
        session.created_at = found.time.map(|time| time.min(now));
        session.expires_at = found.time.and_then(|time| self.last_second(time));
        Some(session)
    }

    /// Returns the time and the encoded value of a cookie that is authentic and has not expired.
    fn open(&self, text: &[u8], now: u64) -> Option<(u64, Vec<u8>)> {
        // The signature is inside of the base64, and covers the cookie's name, the time and the value.
        let bytes = from_base64(text)?;
        let time_end = bytes.iter().position(|byte| *byte == b'|')?;
        let value_end = time_end + 1 + bytes[time_end + 1..].iter().position(|byte| *byte == b'|')?;
        let (signed, tag) = (&bytes[..value_end], &bytes[value_end + 1..]);
        if !self.mac.verifies(&[self.cookie.as_bytes(), b"|", signed], tag) {
            return None;
        }
        let time = std::str::from_utf8(&signed[..time_end]).ok()?.parse().ok()?;
        if self.last_second(time).is_some_and(|last| now > last) {
            return None;
        }
        Some((time, signed[time_end + 1..].to_vec()))
    }

    /// Decodes and decrypts a value, and reads the entries in it.
    fn entries(&self, value: &[u8]) -> Option<Entries> {
        let mut value = from_base64(value)?;
        if let Some(key) = &self.block_key {
            key.decrypt(&mut value)?;
        }
        let entries = match &self.serializer {
            Serializer::Gob => gob::entries(&value)?,
            Serializer::Json => Entries::parse(value).ok()?,
            Serializer::Raw(key) => Entries::from_texts([(key.as_str(), text_of_bytes(&value))]).ok()?,
        };
        accepted(entries)
    }

    /// Returns the last second in which a cookie of this time is accepted; `None` if it has no end.
    fn last_second(&self, time: u64) -> Option<u64> {
        (self.max_age > 0).then(|| time.saturating_add(self.max_age))
    }

    pub(super) fn scope_mut(&mut self) -> &mut Scope {
        &mut self.scope
    }
}

removal_options!(Gorilla, "Gorilla::with_weak_secret(\"super-secret-key\")");
crate::opaque_debug!(Gorilla);

impl FormerSystem for Gorilla {
    fn cookies(&self) -> Vec<FormerCookie> {
        vec![self.scope.cookie(&self.cookie)]
    }

    fn read<'a>(&'a self, cookies: FormerCookies<'a>, now: u64) -> StoreFuture<'a, Former> {
        Box::pin(async move { Ok(self.decode(cookies, now)) })
    }
}

impl BlockKey {
    fn new(key: &[u8]) -> Result<Self, KeyError> {
        let wrong = KeyErrorKind::CipherKeyLength { length: key.len() };
        match key.len() {
            16 => key.try_into().ok().map(|key| Self::Aes128(Zeroizing::new(key))),
            24 => key.try_into().ok().map(|key| Self::Aes192(Zeroizing::new(key))),
            32 => key.try_into().ok().map(|key| Self::Aes256(Zeroizing::new(key))),
            _ => None,
        }
        .ok_or_else(|| KeyError::new(wrong, "the block key"))
    }

    /// Decrypts in place, and removes the nonce in front. Returns `None` if there is nothing behind it.
    fn decrypt(&self, value: &mut Vec<u8>) -> Option<()> {
        fn apply<C: KeyIvInit + StreamCipher>(key: &[u8], nonce: &[u8], text: &mut [u8]) -> Option<()> {
            C::new_from_slices(key, nonce).ok()?.try_apply_keystream(text).ok()
        }
        let (nonce, text) = value.split_at_mut_checked(BLOCK).filter(|(_, text)| !text.is_empty())?;
        match self {
            Self::Aes128(key) => apply::<Ctr128BE<Aes128>>(&key[..], nonce, text)?,
            Self::Aes192(key) => apply::<Ctr128BE<Aes192>>(&key[..], nonce, text)?,
            Self::Aes256(key) => apply::<Ctr128BE<Aes256>>(&key[..], nonce, text)?,
        }
        value.drain(..BLOCK);
        Some(())
    }
}

/// Returns the JSON string of bytes: their text if they are UTF-8, and standard base64 otherwise.
pub(super) fn text_of_bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => quoted(text),
        Err(_) => quoted(&STANDARD.encode_to_string(bytes)),
    }
}

/// Decodes base64url with padding. Any other spelling of the same bytes is refused.
fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE.decode_to_vec(text).ok()
}

/// The bytes of a block of AES, and of the nonce.
const BLOCK: usize = 16;

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::Sha256;

    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const NOW: u64 = 1_700_000_000;

    fn signed(time: &str, value: &[u8]) -> String {
        let part = format!("{time}|{}", URL_SAFE.encode_to_string(value));
        let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
        mac.update(b"session|");
        mac.update(part.as_bytes());
        let tag = mac.finalize().into_bytes();
        let bytes = [part.as_bytes(), b"|", &tag].concat();
        format!("session={}", URL_SAFE.encode_to_string(bytes))
    }

    fn session(gorilla: &Gorilla, header: &str) -> Option<FormerSession> {
        gorilla.decode(FormerCookies::new(&[header.as_bytes()]), NOW).session
    }

    fn json() -> Gorilla {
        Gorilla::with_weak_secret(KEY).unwrap().json()
    }

    #[test]
    fn the_age_is_inclusive_and_zero_sets_no_limit() {
        let cookie = |time: u64| signed(&time.to_string(), b"{}");
        let month = 30 * 24 * 60 * 60;
        assert!(session(&json(), &cookie(NOW - month)).is_some());
        assert!(session(&json(), &cookie(NOW - month - 1)).is_none());

        let unlimited = json().max_age(Duration::ZERO);
        let found = session(&unlimited, &cookie(1)).unwrap();
        assert_eq!((found.created_at, found.expires_at), (Some(1), None));

        let found = session(&json(), &cookie(NOW + 5)).unwrap();
        assert_eq!((found.created_at, found.expires_at), (Some(NOW), Some(NOW + 5 + month)));
    }

    #[test]
    fn a_time_that_is_no_number_is_refused() {
        for time in ["", "x", "-1", "1700000000.0", "99999999999999999999", " 1700000000"] {
            assert!(session(&json(), &signed(time, b"{}")).is_none(), "{time}");
        }
    }

    #[test]
    fn another_spelling_of_the_base64_is_refused() {
        let cookie = signed("1700000000", b"{    }");
        assert!(session(&json(), &cookie).is_some());
        let unpadded = cookie.trim_end_matches('=');
        assert_ne!(unpadded, cookie);
        for text in [unpadded.to_owned(), format!("{cookie}="), cookie.replacen('M', "%4d", 1)] {
            assert!(session(&json(), &text).is_none(), "{text}");
        }
    }

    #[test]
    fn each_size_of_key_decrypts() {
        // NIST SP 800-38A, F.5: the first block.
        let nonce = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
        for (key, sealed) in [
            ("2b7e151628aed2a6abf7158809cf4f3c", "874d6191b620e3261bef6864990db6ce"),
            ("8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", "1abc932417521ca24f2b0459fe7e6e0b"),
            ("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4", "601ec313775789a5b7a7f504bbf3d228"),
        ] {
            let mut value = [nonce.clone(), hex(sealed)].concat();
            BlockKey::new(&hex(key)).unwrap().decrypt(&mut value).unwrap();
            assert_eq!(value, hex("6bc1bee22e409f96e93d7e117393172a"));
        }
        let key = BlockKey::new(&[7; 16]).unwrap();
        assert!(key.decrypt(&mut nonce.clone()).is_none());
        assert!(key.decrypt(&mut vec![0; 15]).is_none());
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn a_block_key_of_another_length_is_refused_without_showing_it() {
        let error = json().block_key("fedcba98").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the block key has 8 bytes, but AES needs 16, 24 or 32; use the block key of the former system"
        );
    }

    #[test]
    fn raw_bytes_that_are_no_text_become_base64() {
        let raw = json().raw("value");
        let value = |bytes: &[u8]| {
            session(&raw, &signed("1700000000", bytes)).unwrap().entries.get("value").unwrap().to_owned()
        };
        assert_eq!(value(b"a\"b"), r#""a\"b""#);
        assert_eq!(value(&[0xff, 0xfe, 0xfd]), r#""//79""#);
    }

    #[test]
    fn of_two_sessions_the_newer_one_counts() {
        let cookies =
            |times: [&str; 2]| times.map(|time| signed(time, format!("{{\"t\":{time}}}").as_bytes())).join("; ");
        let time = |times| session(&json(), &cookies(times)).map(|found| found.entries.get("t").unwrap().to_owned());
        assert_eq!(time(["1700000000", "1600000000"]).as_deref(), Some("1700000000"));
        assert_eq!(time(["1699999999", "1700000000"]).as_deref(), Some("1700000000"));
        let twins = format!("{}; {}", signed("1700000000", b"{}"), signed("1700000000", b"{\"a\":1}"));
        assert!(session(&json(), &twins).is_none());
    }
}
