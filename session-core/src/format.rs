//! The shape of a token: its parts as text. Nothing here checks a signature.
//!
//! ```text
//! VER "." KID "." BODY "." MAC        signed:    "1", 4, 43 or more, 43 characters
//! VER "." KID "." BODY                encrypted: "2", 4, 96 or more characters
//! ```
//!
//! The decoded body is a [`Frame`] of 32 bytes, followed by the payload.

use crate::{base64url::base64url_len, id::SessionId};

/// The protection of a token's content. The application's configuration chooses it, never the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// The browser can read the content, but not change it: HMAC-SHA256 (RFC 2104).
    Signed,
    /// The browser can neither read nor change the content: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03).
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

    /// Returns the number of characters of a token with a body of `body` bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::token::Protection;
    ///
    /// assert_eq!(Protection::Signed.token_len(32), 94); // "1.kidk.", 43 characters, ".", 43 characters
    /// ```
    #[must_use]
    pub const fn token_len(self, body: usize) -> usize {
        match self {
            Self::Signed => PREFIX + base64url_len(body) + 1 + MAC,
            #[cfg(feature = "encrypted")]
            Self::Encrypted => PREFIX + base64url_len(NONCE + body + TAG),
        }
    }

    /// Returns the number of characters of a token with a payload of `payload` bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::token::Protection;
    ///
    /// assert_eq!(Protection::Signed.token_len_of_payload(0), Protection::Signed.token_len(32)); // the frame has 32 bytes
    /// ```
    #[must_use]
    pub const fn token_len_of_payload(self, payload: usize) -> usize {
        self.token_len(FRAME + payload)
    }

    /// Returns the largest payload, in bytes, that fits into a token of `token` characters.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::token::Protection;
    ///
    /// let room = Protection::Signed.payload_room(4_000);
    /// assert!(Protection::Signed.token_len_of_payload(room) <= 4_000);
    /// assert!(Protection::Signed.token_len_of_payload(room + 1) > 4_000);
    /// ```
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

/// The parts of a token's text. The lengths of the parts are right, but the signature and the base64url have not been
/// checked: [`Ring::open`](crate::token::Ring::open) does that.
#[derive(Clone, Copy)]
pub struct Token<'a> {
    pub(crate) protection: Protection,
    /// Signed: the text that the signature covers. Encrypted: the prefix, which is the associated data.
    pub(crate) bound: &'a [u8],
    pub(crate) kid: [u8; KID],
    pub(crate) body: &'a [u8],
    /// The MAC as text; empty for an encrypted token.
    pub(crate) mac: &'a [u8],
}

impl<'a> Token<'a> {
    /// Splits the value of a cookie into the parts of a token. Returns `None` if the value cannot be a token with this
    /// protection.
    ///
    /// This allocates nothing and decodes nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::token::{Protection, Token};
    ///
    /// let text = format!("1.kidk.{}.{}", "A".repeat(43), "B".repeat(43));
    /// assert!(Token::parse(text.as_bytes(), Protection::Signed).is_some());
    /// assert!(Token::parse(&text.as_bytes()[1..], Protection::Signed).is_none());
    /// assert!(Token::parse(b"", Protection::Signed).is_none());
    /// ```
    #[must_use]
    pub fn parse(text: &'a [u8], protection: Protection) -> Option<Self> {
        let (prefix, rest) = text.split_at_checked(PREFIX)?;
        let [version, b'.', kid @ .., b'.'] = prefix else { return None };
        let kid = <[u8; KID]>::try_from(kid).ok()?;
        if *version != protection.version() || !is_base64url(&kid) {
            return None;
        }
        match protection {
            // The MAC has a fixed length, so the last dot is found from the end, without a search.
            Protection::Signed => {
                let (body, tail) = rest.split_at_checked(rest.len().checked_sub(1 + MAC)?)?;
                let (dot, mac) = tail.split_first()?;
                let bound = text.get(..text.len() - tail.len())?;
                // The MAC covers every character of the body, and is decoded strictly.
                let shaped = *dot == b'.' && body.len() >= MIN_SIGNED_BODY;
                shaped.then_some(Self { protection, bound, kid, body, mac })
            }
            #[cfg(feature = "encrypted")]
            Protection::Encrypted => {
                // The decoder refuses other characters before it decrypts anything.
                (rest.len() >= MIN_ENCRYPTED_BODY).then_some(Self {
                    protection,
                    bound: prefix,
                    kid,
                    body: rest,
                    mac: &[],
                })
            }
        }
    }
}

impl std::fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("protection", &self.protection).finish_non_exhaustive()
    }
}

/// The first 32 bytes of a token's body: the id and the times of the session. The payload follows.
///
/// The layout is `created_at` and `issued_at` as unsigned integers of 8 bytes, most significant byte first, and then
/// the 16 bytes of `id`.
///
/// # Examples
///
/// ```
/// use session_core::{Keys, SessionId, token::{Frame, Protection, Purpose, Token}};
///
/// let ring = Keys::generate().ring(Protection::Signed, Purpose::Session, "__Host-session", "");
/// let frame = Frame { id: SessionId::random()?, created_at: 1_767_225_600, issued_at: 1_767_229_200 };
/// let mut body = frame.begin_body(2);
/// assert_eq!(body.len(), 32);
/// body.extend_from_slice(b"{}");
///
/// let text = ring.seal(&body)?;
/// let token = Token::parse(text.as_bytes(), Protection::Signed).unwrap();
/// assert_eq!(ring.open(&token).unwrap().frame(), frame);
/// # Ok::<(), session_core::RandomError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The public id of the session. In a flash cookie, the id of the batch.
    pub id: SessionId,
    /// The time at which the session began, in seconds since 1970.
    pub created_at: u64,
    /// The time at which this token was made, in seconds since 1970.
    pub issued_at: u64,
}

/// The times of a session, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// The time at which the session began.
    pub created_at: u64,
    /// The time at which the token was made, or the last visit in the store's record.
    pub issued_at: u64,
}

impl Frame {
    /// Returns the times without the id.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, token::{Frame, Times}};
    ///
    /// let frame = Frame { id: SessionId::from_bytes([0; 16]), created_at: 5, issued_at: 7 };
    /// assert_eq!(frame.times(), Times { created_at: 5, issued_at: 7 });
    /// ```
    #[must_use]
    pub const fn times(&self) -> Times {
        Times { created_at: self.created_at, issued_at: self.issued_at }
    }

    /// Creates the body of a token, to which the caller appends the payload. `payload_capacity` is in bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{SessionId, token::Frame};
    ///
    /// let frame = Frame { id: SessionId::from_bytes([7; 16]), created_at: 1, issued_at: 2 };
    /// let body = frame.begin_body(100);
    /// assert_eq!(body[..16], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
    /// assert_eq!(body[16..], [7; 16]);
    /// ```
    #[must_use]
    pub fn begin_body(&self, payload_capacity: usize) -> Vec<u8> {
        let mut body = Vec::with_capacity(FRAME + payload_capacity);
        body.extend_from_slice(&self.created_at.to_be_bytes());
        body.extend_from_slice(&self.issued_at.to_be_bytes());
        body.extend_from_slice(self.id.as_bytes());
        body
    }

    /// Reads the frame from an authentic body. Returns `None` if the body has fewer than 32 bytes.
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

/// Returns whether the text has only characters of base64url.
fn is_base64url(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

pub(crate) const KID: usize = 4;
pub(crate) const FRAME: usize = 32;
const PREFIX: usize = 1 + 1 + KID + 1;
pub(crate) const MAC: usize = 43;
const MIN_SIGNED_BODY: usize = 43;
/// The smallest number of characters in the body of an encrypted token: those of a nonce, a frame and a tag, which have
/// 72 bytes.
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
                assert_eq!(protection.token_len_of_payload(len - FRAME), protection.token_len(len));
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
        let text = format!("1.kidk.{body}.{mac}");
        let token = Token::parse(text.as_bytes(), Protection::Signed).unwrap();
        assert_eq!(format!("{token:?}"), "Token { protection: Signed, .. }");
        for text in [
            String::new(),
            format!("2.kidk.{body}.{mac}"),
            format!("1.kid.{body}.{mac}"),
            format!("1.kidk.{body}.{mac}B"),
            format!("1.kidk.{body}{mac}"),
            format!("1.kidk.{}.{mac}", "A".repeat(42)),
            format!("1.ki.k.{body}.{mac}"),
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
