//! HMAC with each hash function of the former systems.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

/// Returns the HMAC-SHA1 of a message in lower-case hexadecimal digits.
#[must_use]
pub fn sha1_hex(key: &[u8], message: &[u8]) -> String {
    tag::<Hmac<Sha1>>(key, message).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the HMAC-SHA256 of a message.
#[must_use]
pub fn sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    tag::<Hmac<Sha256>>(key, message)
}

/// Returns the HMAC-SHA384 of a message.
#[must_use]
pub fn sha384(key: &[u8], message: &[u8]) -> Vec<u8> {
    tag::<Hmac<Sha384>>(key, message)
}

/// Returns the HMAC-SHA512 of a message.
#[must_use]
pub fn sha512(key: &[u8], message: &[u8]) -> Vec<u8> {
    tag::<Hmac<Sha512>>(key, message)
}

fn tag<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { unreachable!("HMAC takes a key of any length") };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}
