//! Base64url without padding (RFC 4648, section 5).

use base64_simd::{AsOut as _, URL_SAFE_NO_PAD};

/// Encodes bytes as base64url without padding (RFC 4648, section 5).
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// Appends bytes as base64url without padding.
pub(crate) fn base64url_onto(text: &mut String, bytes: &[u8]) {
    URL_SAFE_NO_PAD.encode_append(bytes, text);
}

/// Writes bytes as base64url without padding into `text`, which has room for exactly them.
pub(crate) fn base64url_into<'a>(text: &'a mut [u8], bytes: &[u8]) -> &'a str {
    URL_SAFE_NO_PAD.encode_as_str(bytes, text.as_out())
}

/// Returns how many characters bytes have as base64url without padding.
pub(crate) const fn base64url_len(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// Decodes the text that [`base64url`] returns. Any other spelling of the same bytes is refused (RFC 4648, section
/// 3.5).
pub(crate) fn from_base64url(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode_to_vec(text).ok()
}

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
