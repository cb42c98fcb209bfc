//! The cookies of Revel.

use crate::{
    play::legacy,
    text::{GO, form_encoded},
};

/// Returns the raw text of keys and values.
#[must_use]
pub fn raw<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    pairs.into_iter().map(|(key, value)| format!("\0{key}:{value}\0")).collect()
}

/// Returns the cookie of a raw text without a signature: flash messages and errors.
#[must_use]
pub fn escaped(raw: &[u8]) -> String {
    form_encoded(raw, GO)
}

/// Returns the cookie of a raw text with a signature: a session.
#[must_use]
pub fn signed(secret: &[u8], raw: &[u8]) -> String {
    legacy(secret, &escaped(raw))
}
