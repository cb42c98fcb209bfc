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

use crate::{
    entries::{Entries, Malformed},
    id::RandomError,
    token::{FRAME, Form, Frame, KID, MAC, Token, from_base64url},
};

/// The derived keys of one purpose: the first seals, all of them open.
#[derive(Clone)]
pub struct Ring {
    form: Form,
    keys: Vec<SealingKey>,
}

impl Ring {
    pub(crate) const fn new(form: Form, keys: Vec<SealingKey>) -> Self {
        Self { form, keys }
    }

    /// How this ring's tokens protect what they carry.
    #[must_use]
    pub const fn form(&self) -> Form {
        self.form
    }

    /// The token of a body that began with [`Frame::begin_body`].
    ///
    /// # Errors
    ///
    /// When encrypting and the operating system has no randomness for the nonce.
    pub fn seal(&self, body: &[u8]) -> Result<String, RandomError> {
        let Some(key) = self.keys.first() else { unreachable!("a ring is made of at least one secret") };
        key.seal(body)
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
        f.debug_struct("Ring").field("form", &self.form).field("keys", &self.keys.len()).finish()
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
    cipher: Cipher,
}

#[derive(Clone)]
enum Cipher {
    Mac(Hmac<Sha256>),
    #[cfg(feature = "encrypted")]
    Aead(XChaCha20Poly1305),
}

impl SealingKey {
    pub(crate) fn new(form: Form, kid: [u8; KID], key: &[u8; 32]) -> Self {
        let cipher = match form {
            Form::Signed => match Hmac::new_from_slice(key) {
                Ok(mac) => Cipher::Mac(mac),
                Err(_) => unreachable!("HMAC takes a key of any length"),
            },
            #[cfg(feature = "encrypted")]
            Form::Encrypted => Cipher::Aead(XChaCha20Poly1305::new(key.into())),
        };
        Self { kid, cipher }
    }

    fn seal(&self, body: &[u8]) -> Result<String, RandomError> {
        match &self.cipher {
            Cipher::Mac(mac) => Ok(self.sign(mac, body)),
            #[cfg(feature = "encrypted")]
            Cipher::Aead(aead) => self.encrypt(aead, body),
        }
    }

    fn open(&self, token: &Token<'_>) -> Option<Vec<u8>> {
        match (&self.cipher, token.form) {
            (Cipher::Mac(mac), Form::Signed) => verify(mac, token),
            #[cfg(feature = "encrypted")]
            (Cipher::Aead(aead), Form::Encrypted) => decrypt(aead, token),
            #[cfg(feature = "encrypted")]
            _ => None,
        }
    }

    fn sign(&self, mac: &Hmac<Sha256>, body: &[u8]) -> String {
        let mut text = self.prefix(Form::Signed, body.len() + 33);
        base64_simd::URL_SAFE_NO_PAD.encode_append(body, &mut text);
        let tag = tag(mac, text.as_bytes());
        text.push('.');
        text.extend(tag.map(char::from));
        text
    }

    #[cfg(feature = "encrypted")]
    fn encrypt(&self, aead: &XChaCha20Poly1305, body: &[u8]) -> Result<String, RandomError> {
        let mut text = self.prefix(Form::Encrypted, NONCE + body.len() + 16);
        let mut nonce = [0; NONCE];
        crate::id::fill(&mut nonce)?;
        let mut sealed = Vec::with_capacity(NONCE + body.len() + 16);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(body);
        let Ok(tag) = aead.encrypt_inout_detached(&XNonce::from(nonce), text.as_bytes(), (&mut sealed[NONCE..]).into())
        else {
            unreachable!("the cipher takes 256 GiB, and a body has a few KiB")
        };
        sealed.extend_from_slice(&tag);
        base64_simd::URL_SAFE_NO_PAD.encode_append(&sealed, &mut text);
        Ok(text)
    }

    fn prefix(&self, form: Form, bytes: usize) -> String {
        let mut text = String::with_capacity(2 + KID + 1 + bytes * 4 / 3 + 4);
        text.push(char::from(form.version()));
        text.push('.');
        text.extend(self.kid.map(char::from));
        text.push('.');
        text
    }
}

fn verify(mac: &Hmac<Sha256>, token: &Token<'_>) -> Option<Vec<u8>> {
    let expected = tag(mac, token.bound);
    // As text, so that of the two encodings a base64 decoder may take for one tag only one is right.
    let equal: bool = expected.ct_eq(token.mac).into();
    if equal { from_base64url(token.body) } else { None }
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

#[cfg(feature = "encrypted")]
const NONCE: usize = 24;
