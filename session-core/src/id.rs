//! The session's public name.

use std::fmt;

use base64_simd::AsOut as _;

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

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 22];
        f.write_str(base64_simd::URL_SAFE_NO_PAD.encode_as_str(&self.0, text.as_mut_slice().as_out()))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

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
        assert_eq!(format!("{id:?}"), "SessionId(..)");
        assert_eq!(id.to_string(), "_____________________w");
    }
}
