//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03, section 2.3): `HChaCha20` makes a key from the first 16 bytes of the
//! nonce, and ChaCha20-Poly1305 (RFC 8439) goes on with that key and the other 8.

use chacha20::{R20, hchacha};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::format::{NONCE, TAG};

#[derive(Clone)]
pub(super) struct XChaCha20Poly1305(Zeroizing<[u8; 32]>);

impl XChaCha20Poly1305 {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*key))
    }

    /// Encrypts `text` in place, and returns its tag.
    pub(super) fn encrypt(&self, nonce: &[u8; NONCE], aad: &[u8], text: &mut [u8]) -> [u8; TAG] {
        let (key, nonce) = self.inner(nonce);
        let Ok(tag) = key.seal_in_place_separate_tag(nonce, Aad::from(aad), text) else {
            unreachable!("the cipher encrypts up to 256 GiB, and a body has a few KiB")
        };
        let Ok(tag) = tag.as_ref().try_into() else { unreachable!("a tag has 16 bytes") };
        tag
    }

    /// Decrypts `text`, which ends with its tag, in place. Returns `None`, and an undefined text, if it is not authentic.
    pub(super) fn decrypt<'a>(&self, nonce: &[u8; NONCE], aad: &[u8], text: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (key, nonce) = self.inner(nonce);
        key.open_in_place(nonce, Aad::from(aad), text).ok()
    }

    fn inner(&self, nonce: &[u8; NONCE]) -> (LessSafeKey, Nonce) {
        let (Some(first), Some(last)) = (nonce.first_chunk::<16>(), nonce.last_chunk::<8>()) else {
            unreachable!("a nonce has 24 bytes")
        };
        let subkey = Zeroizing::new(<[u8; 32]>::from(hchacha::<R20>(&(*self.0).into(), &(*first).into())));
        let mut nonce = [0; NONCE_LEN];
        nonce[NONCE_LEN - last.len()..].copy_from_slice(last);
        let Ok(key) = UnboundKey::new(&CHACHA20_POLY1305, &*subkey) else { unreachable!("a key has 32 bytes") };
        (LessSafeKey::new(key), Nonce::assume_unique_for_key(nonce))
    }
}
