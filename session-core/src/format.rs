//! The wire format: text to its parts and back. No keys and no trust here.
//!
//! ```text
//! VER "." KID "." BODY "." MAC        signed:    "1", 4, 43 or more, 43 characters
//! VER "." KID "." BODY                encrypted: "2", 4, 96 or more characters
//! ```
//!
//! The body, once authentic, is a [`Frame`] of 32 bytes followed by the payload.

use crate::id::SessionId;

/// How a token protects what it carries. The configuration chooses it, never the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Readable and unforgeable: HMAC-SHA256.
    Signed,
    /// Unreadable and unforgeable: XChaCha20-Poly1305.
    ///
    /// Built for any x86-64, about half of what it costs to open one are calls of single vector instructions in Poly1305,
    /// which the compiler can inline only where the whole program may use them. `-C target-cpu=x86-64-v3`, or
    /// `--cfg poly1305_backend="soft"` for small sessions, in `RUSTFLAGS` halves it.
    #[cfg(feature = "encrypted")]
    Encrypted,
}

impl Protection {
    pub(crate) const fn version(self) -> u8 {
        match self {
            Self::Signed => b'1',
            #[cfg(feature = "encrypted")]
            Self::Encrypted => b'2',
        }
    }

    /// How many characters the token of a body of `body` bytes has.
    #[must_use]
    pub const fn token_len(self, body: usize) -> usize {
        match self {
            Self::Signed => PREFIX + base64_len(body) + 1 + MAC,
            #[cfg(feature = "encrypted")]
            Self::Encrypted => PREFIX + base64_len(NONCE + body + TAG),
        }
    }

    /// Returns how many characters the token of a payload of `payload` bytes has.
    #[must_use]
    pub const fn token_len_of_payload(self, payload: usize) -> usize {
        self.token_len(FRAME + payload)
    }

    /// The reverse: how many bytes a payload may have whose token has at most `token` characters.
    #[must_use]
    pub const fn payload_room(self, token: usize) -> usize {
        let (overhead, frame) = match self {
            Self::Signed => (PREFIX + 1 + MAC, FRAME),
            #[cfg(feature = "encrypted")]
            Self::Encrypted => (PREFIX, NONCE + FRAME + TAG),
        };
        (token.saturating_sub(overhead) * 3 / 4).saturating_sub(frame)
    }
}

/// The text of a token, taken apart. Its shape is right; nothing in it is to be believed yet.
#[derive(Clone, Copy)]
pub struct Token<'a> {
    pub(crate) protection: Protection,
    /// What a signature covers, or the prefix that encryption binds.
    pub(crate) bound: &'a [u8],
    pub(crate) kid: [u8; KID],
    pub(crate) body: &'a [u8],
    /// Empty when encrypted.
    pub(crate) mac: &'a [u8],
}

impl<'a> Token<'a> {
    /// Takes a cookie's value apart, or answers `None` when it cannot be a token of this protection.
    ///
    /// It allocates nothing and decodes nothing.
    #[must_use]
    pub fn parse(text: &'a [u8], protection: Protection) -> Option<Self> {
        let (prefix, rest) = text.split_at_checked(PREFIX)?;
        let [version, b'.', kid @ .., b'.'] = prefix else { return None };
        let kid = <[u8; KID]>::try_from(kid).ok()?;
        if *version != protection.version() || !is_base64url(&kid) {
            return None;
        }
        match protection {
            Protection::Signed => {
                let (body, tail) = rest.split_at_checked(rest.len().checked_sub(1 + MAC)?)?;
                let (dot, mac) = tail.split_first()?;
                let bound = text.get(..text.len() - tail.len())?;
                let shaped = *dot == b'.' && body.len() >= MIN_SIGNED_BODY && is_base64url(body) && is_base64url(mac);
                shaped.then_some(Self { protection, bound, kid, body, mac })
            }
            #[cfg(feature = "encrypted")]
            Protection::Encrypted => {
                let shaped = rest.len() >= MIN_ENCRYPTED_BODY && is_base64url(rest);
                shaped.then_some(Self { protection, bound: prefix, kid, body: rest, mac: &[] })
            }
        }
    }
}

impl std::fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("protection", &self.protection).finish_non_exhaustive()
    }
}

/// What stands before the payload: whose session this is and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The session's public name; of a flash message, its batch's.
    pub id: SessionId,
    /// When the session began, in seconds since 1970.
    pub created_at: u64,
    /// When this token was made, in seconds since 1970.
    pub issued_at: u64,
}

/// When a session began, and when it was last written. In seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When the session began.
    pub created_at: u64,
    /// When its token was made, or the last visit that its record notes.
    pub issued_at: u64,
}

impl Frame {
    /// Returns the times alone.
    #[must_use]
    pub const fn times(&self) -> Times {
        Times { created_at: self.created_at, issued_at: self.issued_at }
    }

    /// The beginning of a body, ready for the payload to be appended.
    #[must_use]
    pub fn begin_body(&self, payload_capacity: usize) -> Vec<u8> {
        let mut body = Vec::with_capacity(FRAME + payload_capacity);
        body.extend_from_slice(&self.created_at.to_be_bytes());
        body.extend_from_slice(&self.issued_at.to_be_bytes());
        body.extend_from_slice(self.id.as_bytes());
        body
    }

    pub(crate) fn of_body(body: &[u8]) -> Option<Self> {
        let (created_at, rest) = body.split_first_chunk::<8>()?;
        let (issued_at, rest) = rest.split_first_chunk::<8>()?;
        let (id, _) = rest.split_first_chunk::<16>()?;
        Some(Self {
            id: SessionId::from_bytes(*id),
            created_at: u64::from_be_bytes(*created_at),
            issued_at: u64::from_be_bytes(*issued_at),
        })
    }
}

const fn base64_len(bytes: usize) -> usize {
    (bytes * 4).div_ceil(3)
}

/// Without a branch in the loop, so that the compiler takes many bytes at a time.
fn is_base64url(text: &[u8]) -> bool {
    let in_alphabet = |byte: u8| {
        let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let is_digit = byte.wrapping_sub(b'0') < 10;
        is_letter | is_digit | (byte == b'-') | (byte == b'_')
    };
    text.iter().fold(0, |outside, byte| outside | u8::from(!in_alphabet(*byte))) == 0
}

pub(crate) const KID: usize = 4;
pub(crate) const FRAME: usize = 32;
const PREFIX: usize = 1 + 1 + KID + 1;
pub(crate) const MAC: usize = 43;
const MIN_SIGNED_BODY: usize = 43;
/// A nonce, a frame and a tag.
#[cfg(feature = "encrypted")]
const MIN_ENCRYPTED_BODY: usize = 96;
#[cfg(feature = "encrypted")]
pub(crate) const NONCE: usize = 24;
#[cfg(feature = "encrypted")]
pub(crate) const TAG: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_round_trips() {
        let frame = Frame { id: SessionId::from_bytes([7; 16]), created_at: 1, issued_at: u64::MAX };
        assert_eq!(Frame::of_body(&frame.begin_body(0)), Some(frame));
        assert_eq!(Frame::of_body(&[0; 31]), None);
    }

    #[test]
    fn a_tokens_length_is_known_before_it_is_sealed() {
        let keys = crate::Keys::generate();
        for protection in [
            Protection::Signed,
            #[cfg(feature = "encrypted")]
            Protection::Encrypted,
        ] {
            let ring = keys.ring(protection, crate::token::Purpose::Session, "session", "");
            for len in 32..40 {
                assert_eq!(ring.seal(&vec![b'x'; len]).unwrap().len(), protection.token_len(len));
            }
        }
    }

    #[test]
    fn the_alphabet_is_checked_for_every_byte() {
        for byte in 0..=255_u8 {
            let expected = byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            assert_eq!(is_base64url(&[b'A', byte, b'A']), expected, "{byte}");
        }
    }

    #[test]
    fn a_token_has_exactly_one_shape() {
        let (body, mac) = ("A".repeat(43), "B".repeat(43));
        let parse = |text: String| Token::parse(text.as_bytes(), Protection::Signed).is_some();
        assert!(parse(format!("1.kidk.{body}.{mac}")));
        for text in [
            String::new(),
            format!("2.kidk.{body}.{mac}"),
            format!("1.kid.{body}.{mac}"),
            format!("1.kidk.{body}.{mac}B"),
            format!("1.kidk.{body}{mac}"),
            format!("1.kidk.{}.{mac}", "A".repeat(42)),
            format!("1.ki.k.{body}.{mac}"),
            format!("1.kidk.{body}.A.{mac}"),
            format!("1.kidk.{body}.{}", "=".repeat(43)),
            format!(".1.kidk.{body}.{mac}"),
        ] {
            assert!(!parse(text.clone()), "{text}");
        }
    }

    #[test]
    fn the_room_for_a_payload_is_used_up() {
        for protection in [
            Protection::Signed,
            #[cfg(feature = "encrypted")]
            Protection::Encrypted,
        ] {
            for token in 200..300 {
                let payload = protection.payload_room(token);
                assert!(protection.token_len(FRAME + payload) <= token, "{protection:?} {token}");
                assert!(protection.token_len(FRAME + payload + 1) > token, "{protection:?} {token}");
            }
        }
    }
}
