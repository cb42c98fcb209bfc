//! The secrets of an application, and the keys that are derived from them.

use std::{env, fmt, sync::Arc};

use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    base64url::base64url,
    format::{KID, Protection},
    id::fill,
    seal::{Ring, SealingKey},
};

/// One or more secrets. The first secret seals new tokens; every secret opens the tokens that it sealed.
///
/// A secret has at least 32 bytes from a random source, such as the output of `openssl rand -base64 48`. Each purpose
/// gets a key of its own, derived from the secret with HKDF-SHA256 (RFC 5869): signing and encrypting, sessions and
/// flash messages have different keys. A derived key is also bound to the cookie's name and to the application's name.
///
/// `Debug` prints the number of secrets, and nothing else. The secrets are erased from memory when the last clone is
/// dropped.
///
/// # Examples
///
/// ```
/// use session_core::Keys;
///
/// let old = "o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E";
/// let new = "V9s3qXWfTz1p6nYbKc7RgLd0aHj2Mu8E";
/// let keys = Keys::new(new)?.with_fallback(old)?; // sessions sealed with the old secret are still read
/// assert_eq!(format!("{keys:?}"), "Keys { secrets: 2 }");
/// # Ok::<(), session_core::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Keys {
    secrets: Arc<[Secret]>,
}

impl Keys {
    /// Creates keys from one secret.
    ///
    /// # Errors
    ///
    /// Returns an error if the secret is empty, is shorter than 32 bytes, repeats a pattern of up to 8 bytes, has fewer
    /// than 8 different bytes, counts up or down, or contains a well-known sample.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{KeyErrorKind, Keys};
    ///
    /// assert!(Keys::new("o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E").is_ok());
    ///
    /// let error = Keys::new("too short").unwrap_err();
    /// assert_eq!(error.kind(), KeyErrorKind::TooShort { length: 9 });
    /// assert_eq!(Keys::new("x".repeat(64)).unwrap_err().kind(), KeyErrorKind::Repetition);
    /// ```
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Ok(Self { secrets: [Secret::new(secret.as_ref(), "the secret")?].into() })
    }

    /// Adds an older secret, which opens tokens but seals none. Use it while you replace a secret.
    ///
    /// A secret that was added before is not added again.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`Keys::new`], and if two different secrets have the same key id. The
    /// chance of that is one in 16 million.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Keys, token::{Protection, Purpose, Token}};
    ///
    /// let ring = |keys: Keys| keys.ring(Protection::Signed, Purpose::Session, "__Host-session", "");
    /// let before = Keys::new("o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E")?;
    /// let after = Keys::new("V9s3qXWfTz1p6nYbKc7RgLd0aHj2Mu8E")?.with_fallback("o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E")?;
    ///
    /// let sealed_before = ring(before).seal(&[0; 32])?;
    /// let token = Token::parse(sealed_before.as_bytes(), Protection::Signed).unwrap();
    /// let opened = ring(after).open(&token).unwrap();
    /// assert!(!opened.by_newest_key()); // it should be sealed again with the new secret
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_fallback(self, old: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        self.and(Secret::new(old.as_ref(), "a fallback secret")?)
    }

    /// Reads the secret from the environment variable `variable`, and older secrets from `variable` + `_PREVIOUS`.
    ///
    /// The older secrets are separated by commas, and the second variable may be missing. White space around a secret
    /// is ignored.
    ///
    /// # Errors
    ///
    /// Returns an error if `variable` is missing, is empty or contains a comma, or if [`Keys::new`] or
    /// [`Keys::with_fallback`] refuses one of the secrets. The sentence names the variable.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{KeyErrorKind, Keys};
    ///
    /// // As a shell would: export SESSION_SECRET=$(openssl rand -base64 48)
    /// let error = Keys::from_env("A_VARIABLE_THAT_IS_NOT_SET").unwrap_err();
    /// assert_eq!(error.kind(), KeyErrorKind::Missing);
    /// assert_eq!(
    ///     error.to_string(),
    ///     "A_VARIABLE_THAT_IS_NOT_SET is not set or empty; make a good one with `openssl rand -base64 48`"
    /// );
    /// ```
    pub fn from_env(variable: &str) -> Result<Self, KeyError> {
        Self::from_variables(variable, |name| env::var_os(name).map(|value| value.into_encoded_bytes().into()))
    }

    /// Creates keys from a new random secret, for development and tests.
    ///
    /// The secret is lost when the process ends, and with it every session. Two processes never accept each other's
    /// cookies.
    ///
    /// # Panics
    ///
    /// Panics if the operating system returns no random bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Keys, token::{Protection, Purpose, Token}};
    ///
    /// let ring = |keys: Keys| keys.ring(Protection::Signed, Purpose::Session, "__Host-session", "");
    /// let token = ring(Keys::generate()).seal(&[0; 32])?;
    /// let token = Token::parse(token.as_bytes(), Protection::Signed).unwrap();
    /// assert!(ring(Keys::generate()).open(&token).is_none()); // sealed by other keys
    /// # Ok::<(), session_core::RandomError>(())
    /// ```
    #[must_use]
    pub fn generate() -> Self {
        let mut secret = Zeroizing::new(vec![0; 64]);
        fill(&mut secret).unwrap_or_else(|error| panic!("{error}"));
        Self { secrets: [Secret(secret)].into() }
    }

    /// Derives the keys that seal and open the tokens of one purpose, in the cookie `cookie_name` of `application`.
    ///
    /// Applications that share a secret should have different names. An empty name is allowed, and is the default of
    /// `session-axum`. A token of one ring is refused by a ring with another protection, purpose, cookie name or
    /// application.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Keys, token::{Protection, Purpose, Token}};
    ///
    /// let keys = Keys::new("o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E")?;
    /// let shop = keys.ring(Protection::Signed, Purpose::Session, "__Host-session", "shop");
    /// let blog = keys.ring(Protection::Signed, Purpose::Session, "__Host-session", "blog");
    ///
    /// let text = shop.seal(&[0; 32])?;
    /// let token = Token::parse(text.as_bytes(), Protection::Signed).unwrap();
    /// assert!(shop.open(&token).is_some());
    /// assert!(blog.open(&token).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn ring(&self, protection: Protection, purpose: Purpose, cookie_name: &str, application: &str) -> Ring {
        let label: &[u8] = match protection {
            Protection::Signed => b"mac",
            #[cfg(feature = "encrypted")]
            Protection::Encrypted => b"enc",
        };
        let version = [protection.version()];
        let context = [label, &version, purpose.label(), cookie_name.as_bytes(), application.as_bytes()];
        let keys =
            self.secrets.iter().map(|secret| SealingKey::new(protection, secret.kid(), &secret.derive(&context)));
        Ring::new(protection, keys.collect())
    }

    fn from_variables(variable: &str, read: impl Fn(&str) -> Option<Zeroizing<Vec<u8>>>) -> Result<Self, KeyError> {
        let current = read(variable).ok_or_else(|| KeyError::new(KeyErrorKind::Missing, variable))?;
        if current.contains(&b',') {
            return Err(KeyError::new(KeyErrorKind::Comma, variable));
        }
        let keys = Self { secrets: [Secret::new(current.trim_ascii(), variable)?].into() };
        let previous_name = format!("{variable}_PREVIOUS");
        let previous = read(&previous_name).unwrap_or_default();
        let mut previous = previous.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|old| !old.is_empty());
        previous.try_fold(keys, |keys, old| keys.and(Secret::new(old, &previous_name)?))
    }

    /// Adds `secret` behind the others, unless it is one of them.
    fn and(self, secret: Secret) -> Result<Self, KeyError> {
        if self.secrets.iter().any(|known| known.is(&secret)) {
            return Ok(self);
        }
        if self.secrets.iter().any(|known| known.kid() == secret.kid()) {
            return Err(KeyError::new(KeyErrorKind::SameKeyId, "a fallback secret"));
        }
        Ok(Self { secrets: self.secrets.iter().cloned().chain([secret]).collect() })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("secrets", &self.secrets.len()).finish()
    }
}

/// The purpose of a derived key. Keys of different purposes are independent of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A session that is kept in the cookie.
    Session,
    /// A batch of flash messages.
    Flash,
    /// The id of a session that is kept in a store.
    Id,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Session => b"session",
            Self::Flash => b"flash",
            Self::Id => b"id",
        }
    }
}

/// The application's secret, unchanged. It has no `Display` and no `Serialize`, and is erased when it is dropped.
#[derive(Clone)]
struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    fn new(bytes: &[u8], origin: &str) -> Result<Self, KeyError> {
        let refuse = |kind| Err(KeyError::new(kind, origin));
        if bytes.is_empty() {
            return refuse(KeyErrorKind::Missing);
        }
        if bytes.len() < MIN_SECRET {
            return refuse(KeyErrorKind::TooShort { length: bytes.len() });
        }
        if is_repetition(bytes) {
            return refuse(KeyErrorKind::Repetition);
        }
        if is_well_known(bytes) {
            return refuse(KeyErrorKind::WellKnown);
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    fn derive(&self, context: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        self.expand(context, key.as_mut());
        key
    }

    fn kid(&self) -> [u8; KID] {
        let mut id = [0; 3];
        self.expand(&[b"kid"], &mut id);
        let mut text = [0; KID];
        text.copy_from_slice(base64url(&id).as_bytes());
        text
    }

    fn expand(&self, context: &[&[u8]], output: &mut [u8]) {
        // A length before each part keeps the parts apart: ("ab", "c") and ("a", "bc") give different keys.
        let mut info = Vec::new();
        for part in context {
            info.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            info.extend_from_slice(part);
        }
        let expanded = Hkdf::<Sha256>::new(Some(SALT), &self.0).expand(&info, output);
        debug_assert!(expanded.is_ok(), "HKDF-SHA256 returns up to 8160 bytes, and no key needs more than 32");
    }

    fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// The error for a secret that cannot be used. Its sentence contains the remedy, and never shows the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyError {
    kind: KeyErrorKind,
    origin: String,
}

/// The reason why a secret cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyErrorKind {
    /// The secret is missing or empty.
    Missing,
    /// The secret has fewer than 32 bytes.
    TooShort {
        /// The number of bytes in the secret.
        length: usize,
    },
    /// The secret repeats a pattern of up to 8 bytes, or has fewer than 8 different bytes.
    Repetition,
    /// The secret contains a sample from well-known documentation, or its bytes count up or down.
    WellKnown,
    /// The variable contains a comma. Commas separate secrets in the `_PREVIOUS` variable only.
    Comma,
    /// Two different secrets have the same key id. A token then does not show which of the two secrets sealed it.
    SameKeyId,
}

impl KeyError {
    /// Returns the reason why the secret cannot be used.
    #[must_use]
    pub const fn kind(&self) -> KeyErrorKind {
        self.kind
    }

    fn new(kind: KeyErrorKind, origin: &str) -> Self {
        Self { kind, origin: origin.to_owned() }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = &self.origin;
        match self.kind {
            KeyErrorKind::Missing => write!(f, "{origin} is not set or empty")?,
            KeyErrorKind::TooShort { length } => {
                write!(f, "{origin} has {length} bytes, but needs at least {MIN_SECRET}")?;
            }
            KeyErrorKind::Repetition => {
                write!(f, "{origin} repeats a short pattern or few characters, so it can be guessed")?;
            }
            KeyErrorKind::WellKnown => {
                write!(f, "{origin} contains a well-known sample or sequence, so it can be guessed")?;
            }
            KeyErrorKind::Comma => {
                write!(
                    f,
                    "{origin} contains a comma; older secrets belong in {origin}_PREVIOUS, where commas separate them"
                )?;
            }
            KeyErrorKind::SameKeyId => {
                write!(f, "{origin} has the same key id as another secret, by chance; replace one of the two")?;
            }
        }
        f.write_str("; make a good one with `openssl rand -base64 48`")
    }
}

/// Prints the same sentence as `Display`, because a `main` that returns an error prints its `Debug`.
impl fmt::Debug for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for KeyError {}

/// Returns whether the bytes repeat a pattern of up to 8 bytes, or have fewer than 8 different values.
fn is_repetition(bytes: &[u8]) -> bool {
    let periodic = (1..=8).any(|period| bytes.iter().zip(bytes.iter().skip(period)).all(|(a, b)| a == b));
    let mut seen = [false; 256];
    bytes.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    periodic || seen.iter().filter(|seen| **seen).count() < 8
}

/// Returns whether the bytes count up or down, or contain a sample from [`SAMPLES`].
fn is_well_known(bytes: &[u8]) -> bool {
    let step = |by: u8| bytes.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(by));
    let lower = Zeroizing::new(bytes.to_ascii_lowercase());
    step(1)
        || step(255)
        || SAMPLES.iter().any(|sample| lower.windows(sample.len()).any(|part| part == sample.as_bytes()))
}

const SALT: &[u8] = b"session-core/v1";
const MIN_SECRET: usize = 32;

/// Samples from documentation, in lower case. Each is so long that a random secret does not contain it by accident.
const SAMPLES: &[&str] = &[
    "0123456789abcdef",
    "1234567890123456",
    "abcdefghijklmnop",
    "change-me",
    "change_me",
    "changeit",
    "changeme",
    "change this",
    "changethis",
    "correct horse battery",
    "correct-horse-battery",
    "correcthorsebattery",
    "django-insecure-",
    "do not use in production",
    "insecure-secret",
    "keyboard cat",
    "my-secret-key",
    "my_secret_key",
    "mysecretkey",
    "not a secret",
    "placeholder",
    "please-change",
    "qcy?taenfk?az?iwrnwnxilr6ctf",
    "qcy?tanfk?az?iwrnwnxilr6ctf",
    "qwertyuiop",
    "replace-me",
    "replace_me",
    "replaceme",
    "secret-key-here",
    "secretkeyhere",
    "some session secret",
    "super-secret",
    "super secret",
    "super_secret",
    "supersecret",
    "this is a secret",
    "thisisasecret",
    "your-256-bit-secret",
    "your-secret",
    "your_secret",
    "yoursecret",
];

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E";
    const OTHER: &str = "V9s3qXWfTz1p6nYbKc7RgLd0aHj2Mu8E";

    fn kind(secret: impl AsRef<[u8]>) -> KeyErrorKind {
        Keys::new(secret).unwrap_err().kind()
    }

    #[test]
    fn a_bad_secret_is_refused_with_its_reason() {
        assert_eq!(kind(""), KeyErrorKind::Missing);
        assert_eq!(kind("short"), KeyErrorKind::TooShort { length: 5 });
        assert_eq!(kind(&GOOD[1..]), KeyErrorKind::TooShort { length: 31 });
        assert_eq!(kind([0; 32]), KeyErrorKind::Repetition);
        assert_eq!(kind("x".repeat(64)), KeyErrorKind::Repetition);
        assert_eq!(kind("abcdefgh".repeat(4)), KeyErrorKind::Repetition);
        assert_eq!(kind("0123456789abcdef0123456789abcdef"), KeyErrorKind::WellKnown);
        assert_eq!(kind("CHANGEME-CHANGEME-CHANGEME-CHANGEME!"), KeyErrorKind::WellKnown);
        assert_eq!(kind((0..64).collect::<Vec<u8>>()), KeyErrorKind::WellKnown);
    }

    #[test]
    fn the_refusal_says_how_to_make_a_good_secret_and_keeps_the_bad_one_to_itself() {
        let error = Keys::new("hunter2hunter2").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the secret has 14 bytes, but needs at least 32; make a good one with `openssl rand -base64 48`"
        );
        assert_eq!(format!("{error:?}"), error.to_string());
    }

    #[test]
    fn debug_shows_how_many_secrets_and_nothing_of_them() {
        let keys = Keys::new(GOOD).unwrap().with_fallback(OTHER).unwrap();
        assert_eq!(format!("{keys:?}"), "Keys { secrets: 2 }");
    }

    /// Reads keys from an environment with these values of `SECRET` and `SECRET_PREVIOUS`. Returns the number of
    /// secrets, or the text of the error.
    fn from_variables(current: Option<&str>, previous: Option<&str>) -> Result<usize, String> {
        let read = |name: &str| {
            let value = if name == "SECRET" { current } else { previous.filter(|_| name == "SECRET_PREVIOUS") };
            value.map(|value| Zeroizing::new(value.as_bytes().to_vec()))
        };
        Keys::from_variables("SECRET", read).map(|keys| keys.secrets.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_gives_the_secret_and_those_before_it() {
        assert_eq!(from_variables(Some(GOOD), None), Ok(1));
        assert_eq!(from_variables(Some(&format!(" {GOOD}\n")), Some("")), Ok(1));
        assert_eq!(from_variables(Some(GOOD), Some(&format!(" {OTHER} , ,{GOOD},"))), Ok(2));
    }

    #[test]
    fn what_is_wrong_with_the_environment_names_the_variable() {
        let refused = |current, previous| from_variables(current, previous).unwrap_err();
        assert!(refused(None, Some(GOOD)).starts_with("SECRET is not set or empty; make a good one"));
        assert!(refused(Some(" "), None).starts_with("SECRET is not set or empty"));
        assert!(refused(Some("short"), None).starts_with("SECRET has 5 bytes, but needs at least 32"));
        assert!(refused(Some(GOOD), Some("short")).starts_with("SECRET_PREVIOUS has 5 bytes"));
        let comma = format!("{GOOD},{OTHER}");
        assert!(refused(Some(&comma), None).starts_with(
            "SECRET contains a comma; older secrets belong in SECRET_PREVIOUS, where commas separate them"
        ));
    }

    #[test]
    fn the_same_secret_twice_counts_once() {
        let keys = Keys::new(GOOD).unwrap().with_fallback(GOOD).unwrap();
        assert_eq!(format!("{keys:?}"), "Keys { secrets: 1 }");
    }

    #[test]
    fn generated_keys_differ() {
        assert!(!Keys::generate().secrets[0].is(&Keys::generate().secrets[0]));
    }
}
