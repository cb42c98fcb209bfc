//! Texts in the encoding of HTML forms.

/// Encodes a text as Go's `url.QueryEscape` does. `unreserved` are the signs that stay as they are.
#[must_use]
pub fn form_encoded(text: &[u8], unreserved: &[u8]) -> String {
    let mut encoded = String::new();
    for byte in text {
        match byte {
            b' ' => encoded.push('+'),
            byte if byte.is_ascii_alphanumeric() || unreserved.contains(byte) => encoded.push(char::from(*byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The signs that Go leaves as they are.
pub const GO: &[u8] = b"-_.~";
/// The signs that Java leaves as they are.
pub const JAVA: &[u8] = b"-_.*";
