//! The public id of a session, and the secret that finds a session in a store.

use std::{fmt, str::FromStr};

use zeroize::Zeroizing;

use crate::base64url::{base64url_into, from_base64url};

/// The public and stable id of a session: 16 random bytes, 22 characters as text.
///
/// Use it as the key of a cache or as a field of a log line. It is not a secret: with the id alone, a client cannot
/// read or take over the session.
///
/// [`Display`](fmt::Display) prints the id as base64url without padding (RFC 4648, section 5), and
/// [`FromStr`] reads it back. [`Debug`](fmt::Debug) hides it, so that it does not reach a log by accident.
///
/// # Examples
///
/// ```
/// use session_core::SessionId;
///
/// let id = SessionId::from_bytes([0xff; 16]);
/// assert_eq!(id.to_string(), "_____________________w");
/// assert_eq!("_____________________w".parse(), Ok(id));
/// assert_eq!(format!("{id:?}"), "SessionId { .. }");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// Creates the id with these bytes, for example from a column of a table.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::SessionId;
    ///
    /// let id = SessionId::random()?;
    /// assert_eq!(SessionId::from_bytes(*id.as_bytes()), id);
    /// # Ok::<(), session_core::RandomError>(())
    /// ```
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Creates a new id from the random bytes of the operating system.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system returns no random bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::SessionId;
    ///
    /// assert_ne!(SessionId::random()?, SessionId::random()?);
    /// # Ok::<(), session_core::RandomError>(())
    /// ```
    pub fn random() -> Result<Self, RandomError> {
        let mut bytes = [0; 16];
        fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Creates another id for the same session. Its first two bytes are those of the old id, and the rest is random.
    ///
    /// The two bytes choose the machine on which a store keeps the session, if the store uses several: see
    /// [`RecordKey::shard`](crate::store::RecordKey::shard).
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system returns no random bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::SessionId;
    ///
    /// let id = SessionId::random()?;
    /// let renewed = id.renewed()?;
    /// assert_ne!(renewed, id);
    /// assert_eq!(renewed.as_bytes()[..2], id.as_bytes()[..2]);
    /// # Ok::<(), session_core::RandomError>(())
    /// ```
    pub fn renewed(self) -> Result<Self, RandomError> {
        let Self(mut bytes) = Self::random()?;
        bytes[..2].copy_from_slice(&self.0[..2]);
        Ok(Self(bytes))
    }

    /// Returns the first two bytes, which stay the same when the id is renewed. They choose the machine in a store.
    pub(crate) const fn shard(self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// Writes the 22 characters of the id into `text`, without an allocation.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::SessionId;
    ///
    /// let id = SessionId::from_bytes([0; 16]);
    /// assert_eq!(id.encode(&mut [0; 22]), "AAAAAAAAAAAAAAAAAAAAAA");
    /// ```
    #[must_use]
    pub fn encode<'a>(&self, text: &'a mut [u8; 22]) -> &'a str {
        base64url_into(text, &self.0)
    }

    /// Returns the bytes of the id.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::SessionId;
    ///
    /// assert_eq!(SessionId::from_bytes([7; 16]).as_bytes(), &[7; 16]);
    /// ```
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

/// Reads the text that [`Display`](fmt::Display) prints, for example from a form. Other spellings are refused.
impl FromStr for SessionId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let bytes = from_base64url(text.as_bytes()).ok_or(InvalidId)?;
        bytes.try_into().map(Self).map_err(|_| InvalidId)
    }
}

/// The error for a text that is not the text of a [`SessionId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidId;

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a session id must be 22 characters of base64url")
    }
}

impl std::error::Error for InvalidId {}

/// The secret in the cookie of a session that is kept in a store: 32 random bytes.
///
/// The store only gets a hash of the secret, in a [`RecordKey`](crate::store::RecordKey). The bytes are erased from
/// memory when the secret is dropped.
///
/// # Examples
///
/// ```
/// use session_core::token::IdSecret;
///
/// let secret = IdSecret::random()?;
/// let read_back = IdSecret::of_payload(secret.as_bytes()).unwrap();
/// assert_eq!(read_back.as_bytes(), secret.as_bytes());
/// assert!(IdSecret::of_payload(b"31 bytes or fewer").is_none());
/// # Ok::<(), session_core::RandomError>(())
/// ```
#[derive(Clone)]
pub struct IdSecret(Zeroizing<[u8; 32]>);

impl IdSecret {
    pub(crate) const fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// Creates a new secret from the random bytes of the operating system.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system returns no random bytes.
    pub fn random() -> Result<Self, RandomError> {
        let mut bytes = Zeroizing::new([0; 32]);
        fill(bytes.as_mut())?;
        Ok(Self(bytes))
    }

    /// Reads the secret from the payload of a token; returns `None` if the payload does not have 32 bytes.
    #[must_use]
    pub fn of_payload(payload: &[u8]) -> Option<Self> {
        payload.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// Returns the bytes, which are the payload of a token.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

crate::opaque_debug!(IdSecret);

/// The error for an operating system that returns no random bytes.
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
