//! Base64url without padding (RFC 4648, section 5).

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use std::sync::LazyLock;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use base64::engine::simd::Simd;
use base64::{
    Engine as _,
    engine::general_purpose::{GeneralPurpose, NO_PAD, URL_SAFE_NO_PAD},
};

/// Encodes bytes as base64url without padding (RFC 4648, section 5).
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    ENGINE.encode(bytes)
}

/// Appends bytes as base64url without padding.
pub(crate) fn base64url_onto(text: &mut String, bytes: &[u8]) {
    // `encode_string` clears a buffer of 1 KiB first, which takes longer than to encode a session.
    let mut whole = std::mem::take(text).into_bytes();
    let start = whole.len();
    whole.resize(start + base64url_len(bytes.len()), 0);
    let written = ENGINE.encode_slice(bytes, &mut whole[start..]);
    debug_assert_eq!(written, Ok(whole.len() - start), "the text has the length of the encoded bytes");
    *text = String::from_utf8(whole).unwrap_or_default();
}

/// Returns how many characters bytes have as base64url without padding.
pub(crate) const fn base64url_len(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// Writes bytes as base64url without padding into `text`, which has room for exactly them.
pub(crate) fn base64url_into<'a>(text: &'a mut [u8], bytes: &[u8]) -> &'a str {
    let written = SHORT.encode_slice(bytes, text);
    debug_assert_eq!(written, Ok(text.len()), "the text has the length of the encoded bytes");
    std::str::from_utf8(text).unwrap_or_default()
}

/// Decodes the text that [`base64url`] returns. Any other spelling of the same bytes is refused (RFC 4648, section
/// 3.5).
pub(crate) fn from_base64url(text: &[u8]) -> Option<Vec<u8>> {
    // `decode` asks the allocator for memory that is zero already, and that takes it longer.
    let mut bytes = Vec::with_capacity(base64::decoded_len_estimate(text.len()));
    ENGINE.decode_vec(text, &mut bytes).ok()?;
    Some(bytes)
}

/// The fastest engine that this processor has.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static ENGINE: LazyLock<Simd> = LazyLock::new(|| Simd::url_safe(NO_PAD));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static ENGINE: GeneralPurpose = SHORT;

/// For texts that are too short for vector instructions.
const SHORT: GeneralPurpose = URL_SAFE_NO_PAD;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_canonical_or_refused() {
        assert_eq!(from_base64url(b"AA"), Some(vec![0]));
        for text in ["AB", "AA==", "AA=", "A", "A+", "A/", "AA ", " AA", "AA\n", "AAB", "AA.A"] {
            assert_eq!(from_base64url(text.as_bytes()), None, "{text:?}");
        }
    }

    /// Long enough for vector instructions, at every place in a vector.
    #[test]
    fn long_texts_are_canonical_or_refused_at_every_place() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = base64url(&bytes);
        assert_eq!(from_base64url(text.as_bytes()), Some(bytes));
        for at in 0..text.len() {
            for wrong in [b'+', b'/', b'=', b'.', b' ', 0, 0x80, 0xff] {
                let mut other = text.clone().into_bytes();
                other[at] = wrong;
                assert_eq!(from_base64url(&other), None, "{wrong} at {at}");
            }
        }
        for last in [b'x', b'y', b'z', b'0'] {
            let other = [&text.as_bytes()[..text.len() - 1], &[last]].concat();
            assert_eq!(from_base64url(&other), None, "the last character has bits that are not used");
        }
        assert!(text.ends_with("_w"));
    }
}
