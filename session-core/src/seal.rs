//! Sealing and opening: the one file that touches HMAC and AEAD.

use std::fmt;

use base64_simd::AsOut as _;
#[cfg(feature = "encrypted")]
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{AeadInOut as _, Buffer},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq;

#[cfg(feature = "encrypted")]
use crate::format::{NONCE, TAG};
use crate::{
    base64url::from_base64url,
    entries::Entries,
    format::{FRAME, Frame, KID, MAC, Protection, Token},
    id::RandomError,
    json::Malformed,
};

/// The derived keys of one purpose: the first seals, all of them open.
#[derive(Clone)]
pub struct Ring {
    protection: Protection,
    keys: Vec<SealingKey>,
}

impl Ring {
    pub(crate) const fn new(protection: Protection, keys: Vec<SealingKey>) -> Self {
        Self { protection, keys }
    }

    /// How this ring's tokens protect what they carry.
    #[must_use]
    pub const fn protection(&self) -> Protection {
        self.protection
    }

    /// The token of a body that began with [`Frame::begin_body`].
    ///
    /// # Errors
    ///
    /// When encrypting and the operating system has no randomness for the nonce.
    pub fn seal(&self, body: &[u8]) -> Result<String, RandomError> {
        let mut token = String::with_capacity(self.protection.token_len(body.len()));
        self.seal_onto(&mut token, body)?;
        Ok(token)
    }

    /// The same, appended to `text`. [`Form::token_len`] says how long it will be.
    ///
    /// # Errors
    ///
    /// As [`Ring::seal`]; `text` is then of no use.
    pub fn seal_onto(&self, text: &mut String, body: &[u8]) -> Result<(), RandomError> {
        let Some(key) = self.keys.first() else { unreachable!("a ring has at least one key") };
        key.seal_onto(text, body)
    }

    /// Whether a token names a key of this ring. It costs nothing, and proves nothing.
    #[must_use]
    pub fn knows(&self, token: &Token<'_>) -> bool {
        self.keys.iter().any(|key| key.kid == token.kid)
    }

    /// The token's content if one of this ring's keys made it.
    ///
    /// The key id picks exactly one key; a wrong one is not tried.
    #[must_use]
    pub fn open(&self, token: &Token<'_>) -> Option<Verified> {
        let position = self.keys.iter().position(|key| key.kid == token.kid)?;
        let body = self.keys.get(position)?.open(token)?;
        let frame = Frame::of_body(&body)?;
        Some(Verified { frame, body, newest_key: position == 0 })
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("protection", &self.protection).field("keys", &self.keys.len()).finish()
    }
}

/// The content of a token that one of our keys made. Only [`Ring::open`] can make one.
pub struct Verified {
    frame: Frame,
    body: Vec<u8>,
    newest_key: bool,
}

impl Verified {
    /// Whose it is and since when.
    #[must_use]
    pub const fn frame(&self) -> Frame {
        self.frame
    }

    /// Whether the newest key sealed it. If not, it wants to be sealed again.
    #[must_use]
    pub const fn by_newest_key(&self) -> bool {
        self.newest_key
    }

    /// The payload as it travelled.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.body.get(FRAME..).unwrap_or_default()
    }

    /// The payload's meaning.
    ///
    /// # Errors
    ///
    /// When the payload is not what [`Entries::parse`] takes.
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

/// One derived key, its schedule computed once.
#[derive(Clone)]
pub(crate) struct SealingKey {
    kid: [u8; KID],
    /// How each of its tokens begins.
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
            Protection::Encrypted => Cipher::Aead(XChaCha20Poly1305::new(key.into())),
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
                base64_simd::URL_SAFE_NO_PAD.encode_append(body, text);
                let tag = mac.clone().chain_update(&text.as_bytes()[start..]).finalize().into_bytes();
                text.push('.');
                base64_simd::URL_SAFE_NO_PAD.encode_append(tag, text);
            }
            #[cfg(feature = "encrypted")]
            Cipher::Aead(aead) => {
                let sealed = encrypt(aead, self.prefix.as_bytes(), body)?;
                base64_simd::URL_SAFE_NO_PAD.encode_append(&sealed, text);
            }
        }
        Ok(())
    }

    fn open(&self, token: &Token<'_>) -> Option<Vec<u8>> {
        match (&self.cipher, token.protection) {
            (Cipher::Mac(mac), Protection::Signed) => verify(mac, token),
            #[cfg(feature = "encrypted")]
            (Cipher::Aead(aead), Protection::Encrypted) => decrypt(aead, token),
            #[cfg(feature = "encrypted")]
            _ => None,
        }
    }
}

fn verify(mac: &Hmac<Sha256>, token: &Token<'_>) -> Option<Vec<u8>> {
    // As text, so that of the two encodings a base64 decoder may take for one tag only one is right.
    if equal(&tag(mac, token.bound), token.mac) { from_base64url(token.body) } else { None }
}

/// In constant time: the loop has no branch, and is as long for every tag.
fn equal(expected: &[u8; MAC], given: &[u8]) -> bool {
    let Ok(given) = <&[u8; MAC]>::try_from(given) else { return false };
    let pairs = expected.iter().zip(given);
    pairs.fold(0, |difference, (one, other)| difference | (one ^ other)).ct_eq(&0).into()
}

/// A fresh nonce and the ciphertext of `body`, which is bound to `prefix`.
#[cfg(feature = "encrypted")]
fn encrypt(aead: &XChaCha20Poly1305, prefix: &[u8], body: &[u8]) -> Result<Vec<u8>, RandomError> {
    let mut sealed = Vec::with_capacity(NONCE + body.len() + TAG);
    sealed.resize(NONCE, 0);
    crate::id::fill(&mut sealed)?;
    sealed.extend_from_slice(body);
    let (nonce, text) = sealed.split_at_mut(NONCE);
    let Ok(nonce) = <[u8; NONCE]>::try_from(&*nonce) else { unreachable!("the first part has the length of a nonce") };
    let Ok(tag) = aead.encrypt_inout_detached(&XNonce::from(nonce), prefix, text.into()) else {
        unreachable!("the cipher encrypts up to 256 GiB, and a body has a few KiB")
    };
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

#[cfg(feature = "encrypted")]
fn decrypt(aead: &XChaCha20Poly1305, token: &Token<'_>) -> Option<Vec<u8>> {
    let mut sealed = from_base64url(token.body)?;
    let nonce = XNonce::from(*sealed.first_chunk::<NONCE>()?);
    sealed.drain(..NONCE);
    aead.decrypt_in_place(&nonce, token.bound, &mut sealed as &mut dyn Buffer).ok()?;
    Some(sealed)
}

/// The MAC as the text that a token carries.
fn tag(mac: &Hmac<Sha256>, text: &[u8]) -> [u8; MAC] {
    let mut mac = mac.clone();
    mac.update(text);
    let mut tag = [0; MAC];
    let written = base64_simd::URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes(), tag.as_mut_slice().as_out());
    debug_assert_eq!(written.len(), MAC);
    tag
}

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
        }
        assert!(!equal(&tag, &tag[1..]) && !equal(&tag, b"") && !equal(&tag, &[&tag[..], b"x"].concat()));
    }
}
