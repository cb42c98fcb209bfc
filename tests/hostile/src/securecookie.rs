//! The cookies of `gorilla/securecookie`.

use aes::{Aes128, Aes192, Aes256};
use base64::{Engine as _, prelude::BASE64_URL_SAFE};
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};

use crate::signature::sha256;

/// Returns the cookie of serialized bytes.
#[must_use]
pub fn sealed(hash_key: &[u8], name: &str, time: u64, value: &[u8]) -> String {
    let signed = format!("{time}|{}", BASE64_URL_SAFE.encode(value));
    let tag = sha256(hash_key, format!("{name}|{signed}").as_bytes());
    BASE64_URL_SAFE.encode([signed.as_bytes(), b"|", &tag].concat())
}

/// Returns the nonce and the encrypted bytes.
///
/// # Panics
///
/// Panics if the key does not have 16, 24 or 32 bytes.
#[must_use]
pub fn encrypted(block_key: &[u8], nonce: [u8; 16], value: &[u8]) -> Vec<u8> {
    fn apply<C: KeyIvInit + StreamCipher>(key: &[u8], nonce: &[u8], text: &mut [u8]) {
        let Ok(mut cipher) = C::new_from_slices(key, nonce) else { unreachable!("the length of the key is right") };
        cipher.apply_keystream(text);
    }
    let mut text = value.to_vec();
    match block_key.len() {
        16 => apply::<Ctr128BE<Aes128>>(block_key, &nonce, &mut text),
        24 => apply::<Ctr128BE<Aes192>>(block_key, &nonce, &mut text),
        32 => apply::<Ctr128BE<Aes256>>(block_key, &nonce, &mut text),
        length => panic!("{length} bytes are no key of AES"),
    }
    [&nonce[..], &text].concat()
}
