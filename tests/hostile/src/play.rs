//! The cookies of Play.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use session_core::compat::PlayAlgorithm;

use crate::{
    signature::{sha1_hex, sha256, sha384, sha512},
    text::{JAVA, form_encoded},
};

/// Returns the header that Play writes.
#[must_use]
pub fn header(algorithm: PlayAlgorithm) -> &'static str {
    match algorithm {
        PlayAlgorithm::Hs256 => r#"{"alg":"HS256"}"#,
        PlayAlgorithm::Hs384 => r#"{"alg":"HS384"}"#,
        PlayAlgorithm::Hs512 => r#"{"alg":"HS512"}"#,
    }
}

/// Returns a signed token.
#[must_use]
pub fn token(algorithm: PlayAlgorithm, secret: &[u8], header: &[u8], payload: &[u8]) -> String {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let signed = format!("{}.{}", encode(header), encode(payload));
    let sign = match algorithm {
        PlayAlgorithm::Hs256 => sha256,
        PlayAlgorithm::Hs384 => sha384,
        PlayAlgorithm::Hs512 => sha512,
    };
    let tag = encode(&sign(secret, signed.as_bytes()));
    format!("{signed}.{tag}")
}

/// Returns pairs in the encoding of HTML forms.
#[must_use]
pub fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let encode = |text: &str| form_encoded(text.as_bytes(), JAVA);
    let pairs: Vec<_> = pairs.into_iter().map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
    pairs.join("&")
}

/// Returns the cookie of encoded pairs, as Play before 2.6 signed it. Revel signs in the same way.
#[must_use]
pub fn legacy(secret: &[u8], payload: &str) -> String {
    format!("{}-{payload}", sha1_hex(secret, payload.as_bytes()))
}
