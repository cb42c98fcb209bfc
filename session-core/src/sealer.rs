//! Sealed values: texts for links and forms that only this application can make, and that expire.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    clock::{Clock, SystemClock, unix_seconds},
    entries::{EncodeError, decode, encode},
    format::{Frame, Protection, Token},
    id::{RandomError, SessionId},
    keys::Keys,
    lifetime::{CLOCK_SKEW, is_plausible},
    seal::{Ring, Verified},
};

/// Makes texts of values, for links in mails and for anything that is no session, and reads them back.
///
/// A text is URL-safe: it has letters, digits, `-`, `_` and dots. Only the same keys, purpose, application and form
/// (signed or encrypted) open it, until its time to live is over. Anyone can read a signed value, but only the
/// application can change it. A text can be opened several times: to accept it only once, note in your database that it
/// was used.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use session_core::Keys;
///
/// let sealer = Keys::generate().sealer("confirm-email");
/// let text = sealer.seal(&("ada", "ada@example.com"), Duration::from_secs(24 * 60 * 60))?;
/// let link = format!("https://example.com/confirm?token={text}");
///
/// let (_, token) = link.split_once("token=").unwrap();
/// let opened: Option<(String, String)> = sealer.open(token);
/// assert_eq!(opened, Some(("ada".to_owned(), "ada@example.com".to_owned())));
/// assert_eq!(sealer.open::<(String, String)>("forged"), None);
/// # Ok::<(), session_core::SealError>(())
/// ```
#[derive(Clone)]
pub struct Sealer {
    ring: Ring,
    keys: Keys,
    protection: Protection,
    purpose: String,
    /// The name of the cookie that the values are in; empty if they are in none.
    cookie_name: String,
    application: String,
    clock: Arc<dyn Clock>,
}

impl Keys {
    /// Creates a sealer for values of one purpose, such as `confirm-email`. Values of different purposes never open
    /// each other, so that a link from one mail is worth nothing in another place.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use session_core::Keys;
    ///
    /// let keys = Keys::generate();
    /// let text = keys.sealer("confirm-email").seal("ada", Duration::from_secs(3_600))?;
    /// assert_eq!(keys.sealer("confirm-email").open(&text), Some("ada".to_owned()));
    /// assert_eq!(keys.sealer("reset-password").open::<String>(&text), None);
    /// # Ok::<(), session_core::SealError>(())
    /// ```
    #[must_use]
    pub fn sealer(&self, purpose: &str) -> Sealer {
        self.sealer_of(Protection::Signed, purpose, "", "")
    }

    /// Creates a sealer for the tickets in a cookie.
    #[doc(hidden)]
    #[must_use]
    pub fn ticket_sealer(&self, protection: Protection, cookie_name: &str, application: &str) -> Sealer {
        self.sealer_of(protection, "ticket", cookie_name, application)
    }

    fn sealer_of(&self, protection: Protection, purpose: &str, cookie_name: &str, application: &str) -> Sealer {
        let purpose = format!("value/{purpose}");
        Sealer {
            ring: self.ring_of(protection, purpose.as_bytes(), cookie_name, application),
            keys: self.clone(),
            protection,
            purpose,
            cookie_name: cookie_name.to_owned(),
            application: application.to_owned(),
            clock: Arc::new(SystemClock),
        }
    }
}

impl Sealer {
    /// Sets the clock that decides when a value has expired.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use session_core::{Clock, Keys};
    ///
    /// struct Tomorrow;
    /// impl Clock for Tomorrow {
    ///     fn now(&self) -> SystemTime {
    ///         SystemTime::now() + Duration::from_secs(24 * 60 * 60)
    ///     }
    /// }
    ///
    /// let sealer = Keys::generate().sealer("invitation");
    /// let text = sealer.seal(&7, Duration::from_secs(3_600))?;
    /// assert_eq!(sealer.open(&text), Some(7));
    /// assert_eq!(sealer.clock(Tomorrow).open::<u32>(&text), None);
    /// # Ok::<(), session_core::SealError>(())
    /// ```
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// Encrypts the values, so that only the application can read them.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use session_core::Keys;
    ///
    /// let sealer = Keys::generate().sealer("invitation").encrypted();
    /// let text = sealer.seal("ada@example.com", Duration::from_secs(3_600))?;
    /// assert!(text.starts_with("2.")); // signed: `1.`
    /// assert_eq!(sealer.open(&text), Some("ada@example.com".to_owned()));
    /// # Ok::<(), session_core::SealError>(())
    /// ```
    #[cfg(feature = "encrypted")]
    #[must_use]
    pub fn encrypted(self) -> Self {
        Self { protection: Protection::Encrypted, ..self }.with_ring()
    }

    /// Sets the name of the application, for several applications that share a secret. It is empty by default.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use session_core::Keys;
    ///
    /// let keys = Keys::generate();
    /// let text = keys.sealer("invitation").application("shop").seal(&7, Duration::from_secs(3_600))?;
    /// assert_eq!(keys.sealer("invitation").application("shop").open(&text), Some(7));
    /// assert_eq!(keys.sealer("invitation").application("blog").open::<u32>(&text), None);
    /// # Ok::<(), session_core::SealError>(())
    /// ```
    #[must_use]
    pub fn application(self, name: &str) -> Self {
        Self { application: name.to_owned(), ..self }.with_ring()
    }

    /// Returns the text of a value. It opens for `time_to_live`, counted in whole seconds, and in the last second too.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be written as JSON that can be read back, if the text would have more than
    /// 4,096 characters, or if the operating system returns no random bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use session_core::{Keys, SealErrorKind};
    ///
    /// let sealer = Keys::generate().sealer("invitation");
    /// let hour = Duration::from_secs(3_600);
    /// assert!(sealer.seal(&["ada", "grace"], hour).is_ok());
    /// assert_eq!(sealer.seal(&f64::NAN, hour).unwrap_err().kind(), SealErrorKind::Encode);
    /// assert_eq!(sealer.seal(&"x".repeat(4_096), hour).unwrap_err().kind(), SealErrorKind::TooLong);
    /// ```
    pub fn seal<T: Serialize + ?Sized>(&self, value: &T, time_to_live: Duration) -> Result<String, SealError> {
        self.seal_text(&encode(value)?, time_to_live, self.now())
    }

    /// Does the same as [`seal`](Self::seal) for a JSON text, at `now` in seconds since 1970.
    #[doc(hidden)]
    pub fn seal_text(&self, text: &str, time_to_live: Duration, now: u64) -> Result<String, SealError> {
        let frame = Frame { id: SessionId::random()?, created_at: now, issued_at: now };
        let mut body = frame.begin_body(EXPIRY + text.len());
        body.extend_from_slice(&now.saturating_add(time_to_live.as_secs()).to_be_bytes());
        body.extend_from_slice(text.as_bytes());
        if self.protection.token_len(body.len()) > LONGEST {
            return Err(SealError { kind: SealErrorKind::TooLong });
        }
        Ok(self.ring.seal(&body)?)
    }

    /// Returns the value of a text that [`seal`](Self::seal) made. Returns `None` for every other text, for a text
    /// whose time to live is over, and if the value is not a `T`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use session_core::Keys;
    ///
    /// let sealer = Keys::generate().sealer("invitation");
    /// let text = sealer.seal("ada", Duration::from_secs(3_600))?;
    /// assert_eq!(sealer.open(&text), Some("ada".to_owned()));
    /// assert_eq!(sealer.open::<u32>(&text), None);
    /// assert_eq!(sealer.open::<String>(&text.to_lowercase()), None);
    /// # Ok::<(), session_core::SealError>(())
    /// ```
    #[must_use]
    pub fn open<T: DeserializeOwned>(&self, text: &str) -> Option<T> {
        self.open_at(text, self.now())
    }

    /// Does the same as [`open`](Self::open), at `now` in seconds since 1970.
    #[doc(hidden)]
    #[must_use]
    pub fn open_at<T: DeserializeOwned>(&self, text: &str, now: u64) -> Option<T> {
        if text.len() > LONGEST {
            return None;
        }
        let verified = self.ring.open(&Token::parse(text.as_bytes(), self.protection)?)?;
        decode(value_at(&verified, now)?).ok()
    }

    fn now(&self) -> u64 {
        unix_seconds(self.clock.now())
    }

    fn with_ring(self) -> Self {
        let Self { keys, protection, purpose, cookie_name, application, .. } = &self;
        let ring = keys.ring_of(*protection, purpose.as_bytes(), cookie_name, application);
        Self { ring, ..self }
    }
}

/// Returns the JSON text of an authentic value, unless it has expired at `now` or comes from the future.
fn value_at(verified: &Verified, now: u64) -> Option<&str> {
    let (expires_at, text) = verified.payload().split_first_chunk::<EXPIRY>()?;
    let is_alive = now <= u64::from_be_bytes(*expires_at) && is_plausible(verified.frame().times(), now, CLOCK_SKEW);
    if is_alive { std::str::from_utf8(text).ok() } else { None }
}

crate::opaque_debug!(Sealer);

/// The error for a value that cannot be sealed. It never contains the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealError {
    kind: SealErrorKind,
}

/// The reason of a [`SealError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SealErrorKind {
    /// The value cannot be written as JSON that can be read back.
    Encode,
    /// The text would have more than 4,096 characters.
    TooLong,
    /// The operating system returned no random bytes.
    NoRandomness,
}

impl SealError {
    /// Returns the reason of the error.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use session_core::{Keys, SealErrorKind};
    ///
    /// let error = Keys::generate().sealer("x").seal(&f64::NAN, Duration::from_secs(60)).unwrap_err();
    /// assert_eq!(error.kind(), SealErrorKind::Encode);
    /// ```
    #[must_use]
    pub const fn kind(self) -> SealErrorKind {
        self.kind
    }
}

impl From<EncodeError> for SealError {
    fn from(_: EncodeError) -> Self {
        Self { kind: SealErrorKind::Encode }
    }
}

impl From<RandomError> for SealError {
    fn from(_: RandomError) -> Self {
        Self { kind: SealErrorKind::NoRandomness }
    }
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            SealErrorKind::Encode => {
                "the value cannot be written as JSON that is read back: use finite floats and text as map keys, nest at \
                 most 32 levels, and repeat no key"
            }
            SealErrorKind::TooLong => {
                "the sealed value would have more than 4096 characters: seal an id, and keep the rest in a database"
            }
            SealErrorKind::NoRandomness => {
                "the operating system returned no random bytes: check that a sandbox does not forbid the call"
            }
        })
    }
}

impl std::error::Error for SealError {}

/// The bytes before the JSON text: the last second of the value, in seconds since 1970.
const EXPIRY: usize = 8;
/// The most characters of a text.
const LONGEST: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_893_456_000;
    const HOUR: Duration = Duration::from_secs(3_600);

    struct At(u64);

    impl Clock for At {
        fn now(&self) -> std::time::SystemTime {
            std::time::UNIX_EPOCH + Duration::from_secs(self.0)
        }
    }

    fn keys() -> Keys {
        Keys::new("o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E").unwrap()
    }

    #[test]
    fn a_value_opens_from_its_first_second_to_its_last() {
        let at = |seconds: u64| keys().sealer("invitation").clock(At(seconds));
        let text = at(NOW).seal("ada", HOUR).unwrap();
        for (now, opens) in [
            (NOW - CLOCK_SKEW - 1, false),
            (NOW - CLOCK_SKEW, true),
            (NOW, true),
            (NOW + 3_600, true),
            (NOW + 3_601, false),
        ] {
            assert_eq!(at(now).open::<String>(&text).is_some(), opens, "{now}");
        }
        assert_eq!(at(NOW).open::<String>(&text).as_deref(), Some("ada"));
    }

    #[test]
    fn a_value_has_at_most_4096_characters() {
        let sealer = keys().sealer("invitation");
        let text = |len: usize| sealer.seal(&"x".repeat(len), HOUR);
        let most = (0..LONGEST).rfind(|len| text(*len).is_ok()).unwrap();
        let longest = text(most).unwrap();
        // Base64 text without padding has no length that would make it 4096.
        let error = text(most + 1).unwrap_err();
        assert_eq!((longest.len(), error.kind()), (4_095, SealErrorKind::TooLong));
        assert!(error.to_string().starts_with("the sealed value would have more than 4096 characters"), "{error}");
        assert_eq!(sealer.open::<String>(&longest), Some("x".repeat(most)));
        // Longer than any that is sealed here, but authentic.
        let mut body = Frame { id: SessionId::from_bytes([7; 16]), created_at: NOW, issued_at: NOW }.begin_body(0);
        body.extend_from_slice(&u64::MAX.to_be_bytes());
        body.extend_from_slice(format!("\"{}\"", "x".repeat(most + 1)).as_bytes());
        let longer = sealer.ring.seal(&body).unwrap();
        assert!(longer.len() > LONGEST);
        assert_eq!(sealer.open_at::<String>(&longer, NOW), None);
    }

    #[test]
    fn the_application_and_the_protection_choose_the_key() {
        let sealer = || keys().sealer("invitation");
        let sealers = [
            sealer(),
            sealer().application("shop"),
            #[cfg(feature = "encrypted")]
            sealer().encrypted(),
        ];
        for (number, one) in sealers.iter().enumerate() {
            let text = one.seal(&1, HOUR).unwrap();
            for (other, sealer) in sealers.iter().enumerate() {
                assert_eq!(sealer.open(&text), (number == other).then_some(1), "{number} {other}");
            }
        }
    }
}
