//! Base64url without padding (RFC 4648, section 5).

/// Encodes bytes as base64url without padding (RFC 4648, section 5).
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// Decodes the text that [`base64url`] returns. Any other spelling of the same bytes is refused (RFC 4648, section
/// 3.5).
pub(crate) fn from_base64url(text: &[u8]) -> Option<Vec<u8>> {
    base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).ok()
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
}
