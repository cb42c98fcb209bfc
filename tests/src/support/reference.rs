//! The token of `docs/wire-format.md`, written a second time from the page alone: nothing here is ours but the page.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, KeyInit as _, Payload},
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

/// What a key is bound to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Binding<'a> {
    /// "mac" or "enc".
    pub(crate) label: &'a str,
    pub(crate) version: &'a str,
    pub(crate) purpose: &'a str,
    pub(crate) cookie_name: &'a str,
    pub(crate) application: &'a str,
}

impl Binding<'_> {
    pub(crate) fn info(&self) -> Vec<u8> {
        length_prefixed(&[self.label, self.version, self.purpose, self.cookie_name, self.application])
    }

    pub(crate) fn key(&self, master: &[u8]) -> [u8; 32] {
        expand(master, &self.info())
    }
}

pub(crate) fn key_id(master: &[u8]) -> String {
    base64url(&expand::<3>(master, &length_prefixed(&["kid"])))
}

pub(crate) fn body(created_at: u64, issued_at: u64, sid: [u8; 16], payload: &[u8]) -> Vec<u8> {
    [&created_at.to_be_bytes(), &issued_at.to_be_bytes(), sid.as_slice(), payload].concat()
}

/// The whole signed token of a body that is encoded already.
pub(crate) fn sign(key: [u8; 32], version: &str, key_id: &str, body: &[u8]) -> Vec<u8> {
    let bound = [version.as_bytes(), key_id.as_bytes(), body].join(&b'.');
    let mac = base64url(&hmac(key, &bound));
    [&bound, mac.as_bytes()].join(&b'.')
}

/// The third part of an encrypted token.
pub(crate) fn encrypt(key: [u8; 32], version: &str, key_id: &str, nonce: [u8; 24], body: &[u8]) -> String {
    encrypt_bound(key, format!("{version}.{key_id}.").as_bytes(), nonce, body)
}

/// The same, with this associated data.
pub(crate) fn encrypt_bound(key: [u8; 32], associated: &[u8], nonce: [u8; 24], body: &[u8]) -> String {
    let payload = Payload { msg: body, aad: associated };
    let sealed = XChaCha20Poly1305::new(&key.into()).encrypt(&XNonce::from(nonce), payload).unwrap();
    base64url(&[nonce.as_slice(), &sealed].concat())
}

/// The content of an encrypted token.
pub(crate) fn decrypt(key: [u8; 32], token: &str) -> Option<Vec<u8>> {
    decrypt_bound(key, token, b"")
}

/// The same for a token that is also bound to a text.
pub(crate) fn decrypt_bound(key: [u8; 32], token: &str, bound: &[u8]) -> Option<Vec<u8>> {
    let (prefix, text) = token.split_at_checked(token.rfind('.')? + 1)?;
    let sealed = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let (nonce, msg) = sealed.split_first_chunk::<24>()?;
    let payload = Payload { msg, aad: &[prefix.as_bytes(), bound].concat() };
    XChaCha20Poly1305::new(&key.into()).decrypt(&XNonce::from(*nonce), payload).ok()
}

/// A nonce that is the same for the same body: a test that fails once fails again.
pub(crate) fn repeatable_nonce(body: &[u8]) -> [u8; 24] {
    let mut nonce = [0; 24];
    nonce.copy_from_slice(&Sha256::digest(body)[..24]);
    nonce
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    assert_eq!(text.len(), 2 * N, "{text}");
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap();
    }
    bytes
}

pub(crate) fn hmac(key: [u8; 32], text: &[u8]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().into()
}

fn length_prefixed(parts: &[&str]) -> Vec<u8> {
    let prefixed = |part: &&str| [&u32::try_from(part.len()).unwrap().to_be_bytes(), part.as_bytes()].concat();
    parts.iter().flat_map(prefixed).collect()
}

fn expand<const N: usize>(master: &[u8], info: &[u8]) -> [u8; N] {
    let mut output = [0; N];
    Hkdf::<Sha256>::new(Some(b"session-core/v1"), master).expand(info, &mut output).unwrap();
    output
}
