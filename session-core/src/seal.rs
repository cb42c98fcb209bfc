//! Sealing and opening tokens. No other file uses the AEAD cipher, and HMAC only `compat/mac.rs`, for former systems.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq;

#[cfg(feature = "encrypted")]
use self::xchacha::XChaCha20Poly1305;
#[cfg(feature = "encrypted")]
use crate::format::{NONCE, TAG};
use crate::{
    base64url::{base64url_into, base64url_onto, from_base64url},
    entries::Entries,
    format::{FRAME, Frame, KID, MAC, Protection, Token},
    id::RandomError,
    json::Malformed,
};

/// The keys of one purpose, one for each secret of [`Keys`](crate::Keys). The first key seals, and every key opens.
///
/// [`Keys::ring`](crate::Keys::ring) makes it. Keep the ring instead of making it for every request: the keys are
/// derived only once.
///
/// # Examples
///
/// ```
/// use session_core::{Keys, SessionId, token::{Frame, Protection, Purpose, Token}};
///
/// let ring = Keys::generate().ring(Protection::Signed, Purpose::Session, "__Host-session", "");
/// let mut body = Frame { id: SessionId::random()?, created_at: 5, issued_at: 7 }.begin_body(16);
/// body.extend_from_slice(br#"{"user":"ada"}"#);
///
/// let text = ring.seal(&body)?;
/// let token = Token::parse(text.as_bytes(), ring.protection()).unwrap();
/// let verified = ring.open(&token).unwrap();
/// assert_eq!(verified.frame().created_at, 5);
/// assert_eq!(verified.entries()?.get("user"), Some(r#""ada""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Ring {
    protection: Protection,
    keys: Vec<SealingKey>,
}

impl Ring {
    pub(crate) const fn new(protection: Protection, keys: Vec<SealingKey>) -> Self {
        Self { protection, keys }
    }

    /// Returns the protection of this ring's tokens.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Keys, token::{Protection, Purpose}};
    ///
    /// let ring = Keys::generate().ring(Protection::Signed, Purpose::Flash, "__Host-flash", "");
    /// assert_eq!(ring.protection(), Protection::Signed);
    /// ```
    #[must_use]
    pub const fn protection(&self) -> Protection {
        self.protection
    }

    /// Returns the token of a body that was made with [`Frame::begin_body`].
    ///
    /// # Errors
    ///
    /// Returns an error if the ring encrypts and the operating system returns no random bytes for the nonce. Signing
    /// does not fail.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Keys, SessionId, token::{Frame, Protection, Purpose}};
    ///
    /// let ring = Keys::generate().ring(Protection::Signed, Purpose::Session, "__Host-session", "");
    /// let mut body = Frame { id: SessionId::random()?, created_at: 5, issued_at: 7 }.begin_body(2);
    /// body.extend_from_slice(b"{}");
    /// let token = ring.seal(&body)?;
    /// assert!(token.starts_with("1."));
    /// assert_eq!(token.len(), Protection::Signed.token_len(body.len()));
    /// # Ok::<(), session_core::RandomError>(())
    /// ```
    pub fn seal(&self, body: &[u8]) -> Result<String, RandomError> {
        let mut token = String::with_capacity(self.protection.token_len(body.len()));
        self.seal_onto(&mut token, body)?;
        Ok(token)
    }

    /// Appends the token to `text`. [`Protection::token_len`] returns how many characters it has.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`Ring::seal`]. `text` may then end with a part of a token.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Keys, SessionId, token::{Frame, Protection, Purpose}};
    ///
    /// let ring = Keys::generate().ring(Protection::Signed, Purpose::Session, "sid", "");
    /// let body = Frame { id: SessionId::random()?, created_at: 5, issued_at: 7 }.begin_body(0);
    /// let mut header = "sid=".to_owned();
    /// ring.seal_onto(&mut header, &body)?;
    /// assert_eq!(header, format!("sid={}", ring.seal(&body)?)); // a signature is always the same
    /// # Ok::<(), session_core::RandomError>(())
    /// ```
    pub fn seal_onto(&self, text: &mut String, body: &[u8]) -> Result<(), RandomError> {
        let Some(key) = self.keys.first() else { unreachable!("a ring has at least one key") };
        key.seal_onto(text, body)
    }

    /// Returns whether the token has the key id of one of this ring's keys.
    ///
    /// This is a cheap first check. It proves nothing, because key ids are public.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Keys, token::{Protection, Purpose, Token}};
    ///
    /// let ring = Keys::generate().ring(Protection::Signed, Purpose::Session, "sid", "");
    /// let text = ring.seal(&[0; 32])?;
    /// let forged = format!("{}{}.{}", &text[..7], "A".repeat(43), "B".repeat(43)); // the key id is copied
    /// let token = Token::parse(forged.as_bytes(), Protection::Signed).unwrap();
    /// assert!(ring.knows(&token));
    /// assert!(ring.open(&token).is_none());
    /// # Ok::<(), session_core::RandomError>(())
    /// ```
    #[must_use]
    pub fn knows(&self, token: &Token<'_>) -> bool {
        self.keys.iter().any(|key| key.kid == token.kid)
    }

    /// Returns whether another ring can make tokens that this ring opens.
    #[doc(hidden)]
    #[must_use]
    pub fn opens_tokens_of(&self, other: &Self) -> bool {
        other.keys.iter().any(|key| {
            let mut sample = String::new();
            key.seal_onto(&mut sample, &[0; FRAME]).is_ok()
                && Token::parse(sample.as_bytes(), self.protection).is_some_and(|token| self.open(&token).is_some())
        })
    }

    /// Checks and decodes a token. Returns `None` unless one of this ring's keys sealed it.
    ///
    /// The key id in the token chooses the key, and no other key is tried. The times are not checked:
    /// [`is_plausible`](crate::token::is_plausible) does that.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Keys, token::{Protection, Purpose, Token}};
    ///
    /// let ring = Keys::generate().ring(Protection::Signed, Purpose::Session, "sid", "");
    /// let text = ring.seal(&[0; 32])?;
    /// let token = Token::parse(text.as_bytes(), Protection::Signed).unwrap();
    /// assert!(ring.open(&token).is_some());
    ///
    /// let changed = text.replacen("AAAA", "AAAB", 1);
    /// let token = Token::parse(changed.as_bytes(), Protection::Signed).unwrap();
    /// assert!(ring.open(&token).is_none());
    /// # Ok::<(), session_core::RandomError>(())
    /// ```
    #[must_use]
    pub fn open(&self, token: &Token<'_>) -> Option<Verified> {
        // One key, never all in turn: a forged token costs one MAC, however many secrets there are.
        let position = self.keys.iter().position(|key| key.kid == token.kid)?;
        #[cfg(fuzzing)]
        fuzzing::count();
        // The MAC or the tag is checked in here, before the body is decoded: no parser sees a byte that an attacker
        // wrote.
        let body = self.keys.get(position)?.open(token)?;
        // `Token::parse` checked the length of the text. `None` here means a body that is authentic but was not sealed
        // with a frame.
        let frame = Frame::of_body(&body)?;
        Some(Verified { frame, body, newest_key: position == 0 })
    }
}

#[cfg(feature = "encrypted")]
impl Ring {
    /// Encrypts a value, and binds it to a text without which it does not open.
    pub(crate) fn seal_value(&self, value: &[u8], bound: &[u8]) -> Result<String, RandomError> {
        let Some(key) = self.keys.first() else { unreachable!("a ring has at least one key") };
        let Cipher::Aead(aead) = &key.cipher else { unreachable!("a ring for values encrypts") };
        let sealed = encrypt(aead, &[key.prefix.as_bytes(), bound].concat(), value)?;
        let mut text = key.prefix.clone();
        base64url_onto(&mut text, &sealed);
        Ok(text)
    }

    /// Decrypts a value. Returns `None` unless one of this ring's keys sealed it, bound to the same text.
    pub(crate) fn open_value(&self, sealed: &str, bound: &[u8]) -> Option<Vec<u8>> {
        let key = self.keys.iter().find(|key| sealed.starts_with(&key.prefix))?;
        let Cipher::Aead(aead) = &key.cipher else { unreachable!("a ring for values encrypts") };
        let sealed = from_base64url(sealed.strip_prefix(&key.prefix)?.as_bytes())?;
        decrypt(aead, &[key.prefix.as_bytes(), bound].concat(), sealed)
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("protection", &self.protection).field("keys", &self.keys.len()).finish()
    }
}

/// The content of a token that was sealed with one of the application's keys. Only [`Ring::open`] makes it.
pub struct Verified {
    frame: Frame,
    body: Vec<u8>,
    newest_key: bool,
}

impl Verified {
    /// Returns the id and the times of the session.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Keys, SessionId, token::{Frame, Protection, Purpose, Token}};
    ///
    /// let ring = Keys::generate().ring(Protection::Signed, Purpose::Session, "sid", "");
    /// let mut body = Frame { id: SessionId::random()?, created_at: 5, issued_at: 7 }.begin_body(7);
    /// body.extend_from_slice(br#"{"a":1}"#);
    /// let text = ring.seal(&body)?;
    /// let verified = ring.open(&Token::parse(text.as_bytes(), Protection::Signed).unwrap()).unwrap();
    /// assert_eq!((verified.frame().created_at, verified.frame().issued_at), (5, 7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn frame(&self) -> Frame {
        self.frame
    }

    /// Returns whether the newest key sealed the token. If an older key sealed it, the caller should seal the content
    /// again, so that the old secret can be removed one day.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Keys, SessionId, token::{Frame, Protection, Purpose, Token}};
    ///
    /// let ring = Keys::generate().ring(Protection::Signed, Purpose::Session, "sid", "");
    /// let mut body = Frame { id: SessionId::random()?, created_at: 5, issued_at: 7 }.begin_body(7);
    /// body.extend_from_slice(br#"{"a":1}"#);
    /// let text = ring.seal(&body)?;
    /// let verified = ring.open(&Token::parse(text.as_bytes(), Protection::Signed).unwrap()).unwrap();
    /// assert!(verified.by_newest_key());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn by_newest_key(&self) -> bool {
        self.newest_key
    }

    /// Returns the payload: the bytes after the frame.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Keys, SessionId, token::{Frame, Protection, Purpose, Token}};
    ///
    /// let ring = Keys::generate().ring(Protection::Signed, Purpose::Session, "sid", "");
    /// let mut body = Frame { id: SessionId::random()?, created_at: 5, issued_at: 7 }.begin_body(7);
    /// body.extend_from_slice(br#"{"a":1}"#);
    /// let text = ring.seal(&body)?;
    /// let verified = ring.open(&Token::parse(text.as_bytes(), Protection::Signed).unwrap()).unwrap();
    /// assert_eq!(verified.payload(), br#"{"a":1}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.body.get(FRAME..).unwrap_or_default()
    }

    /// Reads the payload as session entries.
    ///
    /// # Errors
    ///
    /// Returns an error if [`Entries::parse`] refuses the payload.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Keys, SessionId, token::{Frame, Protection, Purpose, Token}};
    ///
    /// let ring = Keys::generate().ring(Protection::Signed, Purpose::Session, "sid", "");
    /// let mut body = Frame { id: SessionId::random()?, created_at: 5, issued_at: 7 }.begin_body(7);
    /// body.extend_from_slice(br#"{"a":1}"#);
    /// let text = ring.seal(&body)?;
    /// let verified = ring.open(&Token::parse(text.as_bytes(), Protection::Signed).unwrap()).unwrap();
    /// assert_eq!(verified.entries()?.get("a"), Some("1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn entries(mut self) -> Result<Entries, Malformed> {
        self.body.drain(..FRAME);
        Entries::parse(self.body)
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("newest_key", &self.newest_key).finish_non_exhaustive()
    }
}

/// One derived key, ready for use.
#[derive(Clone)]
pub(crate) struct SealingKey {
    kid: [u8; KID],
    /// The version and the key id. Every token of this key begins with them.
    prefix: String,
    cipher: Cipher,
}

#[derive(Clone)]
enum Cipher {
    Mac(Hmac<Sha256>),
    #[cfg(feature = "encrypted")]
    Aead(XChaCha20Poly1305),
}

impl SealingKey {
    pub(crate) fn new(protection: Protection, kid: [u8; KID], key: &[u8; 32]) -> Self {
        let cipher = match protection {
            Protection::Signed => match Hmac::new_from_slice(key) {
                Ok(mac) => Cipher::Mac(mac),
                Err(_) => unreachable!("HMAC takes a key of any length"),
            },
            #[cfg(feature = "encrypted")]
            Protection::Encrypted => Cipher::Aead(XChaCha20Poly1305::new(key)),
        };
        let prefix =
            [char::from(protection.version()), '.'].into_iter().chain(kid.map(char::from)).chain(['.']).collect();
        Self { kid, prefix, cipher }
    }

    fn seal_onto(&self, text: &mut String, body: &[u8]) -> Result<(), RandomError> {
        let start = text.len();
        text.push_str(&self.prefix);
        match &self.cipher {
            Cipher::Mac(mac) => {
                base64url_onto(text, body);
                let tag = mac.clone().chain_update(&text.as_bytes()[start..]).finalize().into_bytes();
                text.push('.');
                text.push_str(base64url_into(&mut [0; MAC], &tag));
            }
            #[cfg(feature = "encrypted")]
            Cipher::Aead(aead) => {
                let sealed = encrypt(aead, self.prefix.as_bytes(), body)?;
                base64url_onto(text, &sealed);
            }
        }
        Ok(())
    }

    fn open(&self, token: &Token<'_>) -> Option<Vec<u8>> {
        // The cipher of this key and the shape of the token must agree. A signed token so never reaches the cipher, and
        // an encrypted one never passes as signed.
        match (&self.cipher, token.protection) {
            (Cipher::Mac(mac), Protection::Signed) => verify(mac, token),
            #[cfg(feature = "encrypted")]
            (Cipher::Aead(aead), Protection::Encrypted) => decrypt(aead, token.bound, from_base64url(token.body)?),
            #[cfg(feature = "encrypted")]
            _ => None,
        }
    }
}

fn verify(mac: &Hmac<Sha256>, token: &Token<'_>) -> Option<Vec<u8>> {
    // Compared as text: the last of the 43 characters has two unused bits, so four texts would decode to the same tag
    // (RFC 4648, section 3.5).
    if equal(&tag(mac, token.bound), token.mac) { from_base64url(token.body) } else { None }
}

/// Returns whether two tags are equal, in constant time: the loop has no branch, and takes as long for every tag.
#[must_use]
pub fn equal(expected: &[u8; MAC], given: &[u8]) -> bool {
    let Ok(given) = <&[u8; MAC]>::try_from(given) else { return false };
    let pairs = expected.iter().zip(given);
    pairs.fold(0, |difference, (one, other)| difference | (one ^ other)).ct_eq(&0).into()
}

/// Returns a new nonce, the ciphertext of `body` and the tag. `prefix` is the associated data.
#[cfg(feature = "encrypted")]
fn encrypt(aead: &XChaCha20Poly1305, prefix: &[u8], body: &[u8]) -> Result<Vec<u8>, RandomError> {
    let mut sealed = Vec::with_capacity(NONCE + body.len() + TAG);
    sealed.resize(NONCE, 0);
    crate::id::fill(&mut sealed)?;
    sealed.extend_from_slice(body);
    let Some((nonce, text)) = sealed.split_first_chunk_mut() else { unreachable!("it begins with a nonce") };
    let tag = aead.encrypt(nonce, prefix, text);
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Decrypts what [`encrypt`] returns. Returns `None` if it was sealed with another key or another prefix, or if it was
/// changed.
#[cfg(feature = "encrypted")]
fn decrypt(aead: &XChaCha20Poly1305, prefix: &[u8], mut sealed: Vec<u8>) -> Option<Vec<u8>> {
    let (nonce, text) = sealed.split_first_chunk_mut()?;
    let len = aead.decrypt(nonce, prefix, text)?.len();
    sealed.truncate(NONCE + len);
    sealed.drain(..NONCE);
    Some(sealed)
}

/// Returns the MAC as text.
fn tag(mac: &Hmac<Sha256>, text: &[u8]) -> [u8; MAC] {
    let mut tag = [0; MAC];
    base64url_into(&mut tag, &mac.clone().chain_update(text).finalize().into_bytes());
    tag
}

/// Counts the checks of a thread, for the budget of a request.
#[cfg(fuzzing)]
pub mod fuzzing {
    use std::cell::Cell;

    thread_local!(static CHECKS: Cell<u32> = const { Cell::new(0) });

    pub(super) fn count() {
        CHECKS.set(CHECKS.get() + 1);
    }

    /// Returns how many MACs and tags were checked since the last call.
    pub fn take_checks() -> u32 {
        CHECKS.take()
    }
}

#[cfg(feature = "encrypted")]
mod xchacha;

#[cfg(test)]
mod vectors;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_equal_in_every_byte_or_not_at_all() {
        let tag = *b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
        assert!(equal(&tag, &tag));
        for position in 0..MAC {
            let mut other = tag;
            other[position] ^= 1;
            assert!(!equal(&tag, &other), "{position}");
            // Differences that would cancel each other out.
            for second in 0..position {
                let mut both = other;
                both[second] ^= 1;
                assert!(!equal(&tag, &both), "{second} {position}");
            }
        }
        assert!(!equal(&tag, &tag[1..]) && !equal(&tag, b"") && !equal(&tag, &[&tag[..], b"x"].concat()));
    }

    #[test]
    fn a_sealed_text_has_no_other_spelling() {
        let keys = crate::Keys::generate();
        for protection in [
            Protection::Signed,
            #[cfg(feature = "encrypted")]
            Protection::Encrypted,
        ] {
            let ring = keys.ring(protection, crate::token::Purpose::Session, "session", "");
            let text = ring.seal(&[0; 34]).unwrap();
            let opens = |text: &[u8]| Token::parse(text, protection).is_some_and(|token| ring.open(&token).is_some());
            assert!(opens(text.as_bytes()));
            for at in 0..text.len() {
                for wrong in *b"=+/. %\0\xffAB" {
                    let mut other = text.clone().into_bytes();
                    let is_another = std::mem::replace(&mut other[at], wrong) != wrong;
                    assert!(!is_another || !opens(&other), "{protection:?}: {wrong} at {at}");
                }
            }
            for other in [format!("{text}="), format!("{text}A"), text.replace('.', ".."), format!("{text}.{text}")] {
                assert!(!opens(other.as_bytes()), "{other}");
            }
        }
    }

    fn signing(keys: &crate::Keys) -> Ring {
        keys.ring(Protection::Signed, crate::token::Purpose::Session, "session", "")
    }

    fn keys_of_two() -> [crate::Keys; 2] {
        let (old, new) = ("o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E", "V9s3qXWfTz1p6nYbKc7RgLd0aHj2Mu8E");
        let old_keys = crate::Keys::new(old).unwrap();
        [old_keys, crate::Keys::new(new).unwrap().with_fallback(old).unwrap()]
    }

    #[test]
    fn a_ring_opens_what_each_of_its_keys_sealed_and_tells_the_newest() {
        let [old, both] = keys_of_two().map(|keys| signing(&keys));
        let frame = Frame { id: crate::SessionId::from_bytes([7; 16]), created_at: 5, issued_at: 7 };
        let mut body = frame.begin_body(7);
        body.extend_from_slice(br#"{"a":1}"#);
        for (ring, is_newest) in [(&old, false), (&both, true)] {
            let text = ring.seal(&body).unwrap();
            let token = Token::parse(text.as_bytes(), Protection::Signed).unwrap();
            assert!(both.knows(&token));
            assert_eq!(old.knows(&token), !is_newest);
            let verified = both.open(&token).unwrap();
            assert_eq!(verified.by_newest_key(), is_newest);
            assert_eq!((verified.frame(), verified.payload()), (frame, &br#"{"a":1}"#[..]));
            assert_eq!(verified.entries().unwrap().get("a"), Some("1"));
        }
    }

    #[test]
    fn what_is_printed_shows_no_key_and_no_value() {
        let ring = signing(&keys_of_two()[1]);
        let text = ring.seal(&[0; FRAME]).unwrap();
        let verified = ring.open(&Token::parse(text.as_bytes(), Protection::Signed).unwrap()).unwrap();
        assert_eq!(format!("{ring:?}"), "Ring { protection: Signed, keys: 2 }");
        assert_eq!(format!("{verified:?}"), "Verified { newest_key: true, .. }");
    }

    #[cfg(feature = "encrypted")]
    #[test]
    fn a_value_opens_with_each_key_and_with_the_text_it_is_bound_to() {
        let [old, both] =
            keys_of_two().map(|keys| keys.ring(Protection::Encrypted, crate::token::Purpose::Session, "session", ""));
        for ring in [&old, &both] {
            let sealed = ring.seal_value(b"value", b"bound").unwrap();
            assert_eq!(both.open_value(&sealed, b"bound").as_deref(), Some(&b"value"[..]));
            assert_eq!(both.open_value(&sealed, b"other"), None);
        }
        assert_eq!(old.open_value(&both.seal_value(b"value", b"").unwrap(), b""), None);
    }
}
