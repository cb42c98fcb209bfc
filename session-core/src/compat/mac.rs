//! The signatures of former systems: HMAC with SHA-1 and with SHA-2.

use hmac::{Hmac, KeyInit};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

/// HMAC with a key and a hash function (RFC 2104).
#[derive(Clone)]
pub(super) enum Mac {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl Mac {
    pub(super) fn sha1(key: &[u8]) -> Self {
        Self::Sha1(keyed(key))
    }

    pub(super) fn sha256(key: &[u8]) -> Self {
        Self::Sha256(keyed(key))
    }

    pub(super) fn sha384(key: &[u8]) -> Self {
        Self::Sha384(keyed(key))
    }

    pub(super) fn sha512(key: &[u8]) -> Self {
        Self::Sha512(keyed(key))
    }

    /// Returns whether `tag` is the signature of the message, which is given in parts. The tags are compared in
    /// constant time.
    pub(super) fn verifies(&self, message: &[&[u8]], tag: &[u8]) -> bool {
        fn verify<M: hmac::Mac + Clone>(mac: &M, message: &[&[u8]], tag: &[u8]) -> bool {
            let mut mac = mac.clone();
            message.iter().for_each(|part| mac.update(part));
            mac.verify_slice(tag).is_ok()
        }
        match self {
            Self::Sha1(mac) => verify(mac, message, tag),
            Self::Sha256(mac) => verify(mac, message, tag),
            Self::Sha384(mac) => verify(mac, message, tag),
            Self::Sha512(mac) => verify(mac, message, tag),
        }
    }

    /// Returns what follows the signature in a text such as `0123ab-payload`, if it is authentic. The signature is
    /// written in lower-case hexadecimal digits, and ends before the first `-`.
    pub(super) fn payload<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        let (tag, payload) = text.split_at_checked(text.iter().position(|byte| *byte == b'-')?)?;
        let payload = payload.get(1..)?;
        self.verifies(&[payload], &from_lower_hex(tag)?).then_some(payload)
    }
}

fn keyed<M: KeyInit>(key: &[u8]) -> M {
    match M::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => unreachable!("HMAC takes a key of any length"),
    }
}

/// Returns the bytes of an HMAC-SHA1 that is written in lower-case hexadecimal digits.
fn from_lower_hex(text: &[u8]) -> Option<[u8; SHA1]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let mut bytes = [0; SHA1];
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// The bytes of an HMAC-SHA1.
const SHA1: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2202, section 3, test case 2.
    const JEFE: &str = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";

    #[test]
    fn a_signed_text_is_split_at_its_first_hyphen() {
        let mac = Mac::sha1(b"Jefe");
        let text = format!("{JEFE}-what do ya want for nothing?");
        assert_eq!(mac.payload(text.as_bytes()), Some(&b"what do ya want for nothing?"[..]));
        assert_eq!(Mac::sha1(b"Jafe").payload(text.as_bytes()), None);
        for text in [
            JEFE.to_owned(),
            format!("{JEFE}what do ya want for nothing?"),
            format!("{JEFE}-what do ya want for nothing"),
            format!("-{JEFE}-what do ya want for nothing?"),
            format!("{}-what do ya want for nothing?", JEFE.to_uppercase()),
            format!("{}-what do ya want for nothing?", &JEFE[..38]),
            format!("{JEFE}00-what do ya want for nothing?"),
            String::new(),
        ] {
            assert_eq!(mac.payload(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn each_hash_function_has_its_own_tag() {
        // RFC 4231, section 4.3.
        let tags = [
            ("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", Mac::sha256(b"Jefe")),
            (
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
                Mac::sha384(b"Jefe"),
            ),
            (
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1\
                 a34d4a6b4b636e070a38bce737",
                Mac::sha512(b"Jefe"),
            ),
        ];
        for (tag, mac) in &tags {
            let tag: Vec<u8> =
                (0..tag.len()).step_by(2).map(|at| u8::from_str_radix(&tag[at..at + 2], 16).unwrap()).collect();
            assert!(mac.verifies(&[b"what do ya want ", b"for nothing?"], &tag));
            assert!(!mac.verifies(&[b"what do ya want for nothing"], &tag));
            assert!(!mac.verifies(&[b"what do ya want for nothing?"], &tag[1..]));
            assert!(!mac.verifies(&[b"what do ya want for nothing?"], b""));
        }
    }
}
