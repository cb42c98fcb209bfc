//! The session's public name, and the secret that a store's sessions have besides.

use std::{fmt, str::FromStr};

use base64_simd::AsOut as _;
use zeroize::Zeroizing;

use crate::base64url::from_base64url;

/// A session's public and stable name: 16 random bytes, 22 characters as text.
///
/// It is good as a key for a cache or as a field of a log line. It is not a secret and opens nothing: the cookie
/// carries it authenticated, and a store looks up something else.
///
/// [`Display`](fmt::Display) prints it; [`Debug`](fmt::Debug) does not, so that it only reaches a log on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A new id from the operating system's randomness.
    ///
    /// # Errors
    ///
    /// When the operating system has no randomness to give.
    pub fn random() -> Result<Self, RandomError> {
        let mut bytes = [0; 16];
        fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// A new id for the same session: as random as the first, but for the two bytes that say where a store that is
    /// spread over several machines keeps it.
    ///
    /// # Errors
    ///
    /// When the operating system has no randomness to give.
    pub fn renewed(self) -> Result<Self, RandomError> {
        let Self(mut bytes) = Self::random()?;
        bytes[..2].copy_from_slice(&self.0[..2]);
        Ok(Self(bytes))
    }

    /// What stays when the id is renewed.
    pub(crate) const fn shard(self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// Its 22 characters, written into `text`.
    #[must_use]
    pub fn encode<'a>(&self, text: &'a mut [u8; 22]) -> &'a str {
        base64_simd::URL_SAFE_NO_PAD.encode_as_str(&self.0, text.as_mut_slice().as_out())
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encode(&mut [0; 22]))
    }
}

crate::opaque_debug!(SessionId);

/// Reads what [`Display`](fmt::Display) prints, as it comes back from a form.
impl FromStr for SessionId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let bytes = from_base64url(text.as_bytes()).ok_or(InvalidId)?;
        bytes.try_into().map(Self).map_err(|_| InvalidId)
    }
}

/// A text that is no [`SessionId`]'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidId;

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a session id must be 22 characters of base64url")
    }
}

impl std::error::Error for InvalidId {}

/// What the cookie of a session in a store carries and nobody else knows: 32 random bytes. The store sees a hash of
/// them, as a [`RecordKey`](crate::RecordKey).
#[derive(Clone)]
pub struct IdSecret(Zeroizing<[u8; 32]>);

impl IdSecret {
    /// A new one from the operating system's randomness.
    ///
    /// # Errors
    ///
    /// When the operating system has no randomness to give.
    pub fn random() -> Result<Self, RandomError> {
        let mut bytes = Zeroizing::new([0; 32]);
        fill(bytes.as_mut())?;
        Ok(Self(bytes))
    }

    /// The one that a token's payload is.
    #[must_use]
    pub fn of_payload(payload: &[u8]) -> Option<Self> {
        payload.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// Its bytes: a token's payload.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

crate::opaque_debug!(IdSecret);

/// The operating system gave no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomError(pub(crate) getrandom::Error);

impl fmt::Display for RandomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operating system gave no randomness")
    }
}

impl std::error::Error for RandomError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), RandomError> {
    getrandom::fill(bytes).map_err(RandomError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_keeps_the_id_to_itself_and_display_shows_it() {
        let id = SessionId::from_bytes([0xff; 16]);
        assert_eq!(format!("{id:?}"), "SessionId { .. }");
        assert_eq!(id.to_string(), "_____________________w");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn only_an_ids_own_text_is_read_as_one() {
        for text in ["", "_____________________", "_____________________x", "______________________w", "  ", "é"] {
            assert_eq!(text.parse::<SessionId>(), Err(InvalidId), "{text:?}");
        }
    }

    #[test]
    fn a_renewed_id_is_another_one_at_the_same_place() {
        let id = SessionId::random().unwrap();
        let renewed = id.renewed().unwrap();
        assert_ne!(renewed, id);
        assert_eq!(renewed.shard(), id.shard());
    }
}
