//! The secrets of an application, and the keys that are derived from them.

use std::{fmt, io, sync::Arc};

use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    base64url::base64url,
    format::{KID, Protection},
    id::{IdSecret, SessionId, fill},
    seal::{Ring, SealingKey},
};

mod sources;
mod weakness;

use weakness::weakness;

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
    /// Returns an error if the secret is empty, is shorter than 32 bytes, or can be guessed: if it repeats a pattern,
    /// has fewer than 8 different bytes, consists of common words and sequences, contains a well-known sample, or is
    /// the digest of nothing, as `openssl` prints it for an empty file.
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
        self.ring_of(protection, purpose.label(), cookie_name, application)
    }

    /// Derives the ids and secrets that a session of a former system gets when it moves into this layer: one for each
    /// secret, the newest first. Requests that move the same session at the same time all give it the same id.
    #[doc(hidden)]
    pub fn successors<'a>(
        &'a self,
        cookie_name: &'a str,
        application: &'a str,
        identity: &'a [u8],
    ) -> impl Iterator<Item = (SessionId, IdSecret)> + 'a {
        self.secrets.iter().map(move |secret| {
            let mut derived = Zeroizing::new([0; 48]);
            secret.expand(&[b"moved", cookie_name.as_bytes(), application.as_bytes(), identity], derived.as_mut());
            let (mut id, mut secret) = ([0; 16], Zeroizing::new([0; 32]));
            id.copy_from_slice(&derived[..16]);
            secret.copy_from_slice(&derived[16..]);
            (SessionId::from_bytes(id), IdSecret::from_bytes(secret))
        })
    }

    /// Derives the keys of one purpose, by its label.
    pub(crate) fn ring_of(&self, protection: Protection, purpose: &[u8], cookie_name: &str, application: &str) -> Ring {
        let label: &[u8] = match protection {
            Protection::Signed => b"mac",
            #[cfg(feature = "encrypted")]
            Protection::Encrypted => b"enc",
        };
        let version = [protection.version()];
        let context = [label, &version, purpose, cookie_name.as_bytes(), application.as_bytes()];
        let keys =
            self.secrets.iter().map(|secret| SealingKey::new(protection, secret.kid(), &secret.derive(&context)));
        Ring::new(protection, keys.collect())
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
        check_secret(bytes, origin)?;
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
        let is_derived = hkdf_sha256(SALT, &self.0, &info, output);
        debug_assert!(is_derived, "HKDF-SHA256 returns up to 8160 bytes, and no key needs more than 48");
    }

    fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// Checks that a secret is long enough and cannot be guessed.
pub(crate) fn check_secret(bytes: &[u8], origin: &str) -> Result<(), KeyError> {
    let refuse = |kind| Err(KeyError::new(kind, origin));
    if bytes.is_empty() {
        return refuse(KeyErrorKind::Missing);
    }
    if bytes.len() < MIN_SECRET {
        return refuse(KeyErrorKind::TooShort { length: bytes.len() });
    }
    weakness(bytes).map_or(Ok(()), refuse)
}

/// Derives bytes with HKDF-SHA256 (RFC 5869). Returns whether it can derive so many.
pub(crate) fn hkdf_sha256(salt: &[u8], secret: &[u8], info: &[u8], output: &mut [u8]) -> bool {
    Hkdf::<Sha256>::new(Some(salt), secret).expand(info, output).is_ok()
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
    /// The secret repeats a pattern, has fewer than 8 different bytes, or consists of common words and sequences.
    ///
    /// One of 28 million random texts of 32 hexadecimal digits has fewer than 8 different ones, and is refused as well.
    Repetition,
    /// The secret contains a sample from well-known documentation, is the digest of nothing, or counts up or down.
    WellKnown,
    /// The variable or the file contains a comma. Commas separate secrets in the `_PREVIOUS` variable only.
    Comma,
    /// A variable and its `_FILE` are both set.
    VariableAndFile,
    /// The file of the secret cannot be opened.
    Unreadable {
        /// The reason of the operating system.
        reason: io::ErrorKind,
    },
    /// [`Keys::for_development`] was called in a release build.
    NotForProduction,
    /// Two different secrets have the same key id. A token then does not show which of the two secrets sealed it.
    SameKeyId,
    /// The key of a cipher does not have 16, 24 or 32 bytes, as AES needs.
    CipherKeyLength {
        /// The number of bytes in the key.
        length: usize,
    },
}

impl KeyError {
    /// Returns the reason why the secret cannot be used.
    #[must_use]
    pub const fn kind(&self) -> KeyErrorKind {
        self.kind
    }

    pub(crate) fn new(kind: KeyErrorKind, origin: &str) -> Self {
        Self { kind, origin: origin.to_owned() }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = &self.origin;
        match self.kind {
            KeyErrorKind::Missing if origin == A_FILE => write!(f, "{origin} is empty; {MAKE_A_GOOD_ONE}"),
            KeyErrorKind::Missing if origin.ends_with("_FILE") => {
                write!(f, "{origin} names a file that is empty; {MAKE_A_GOOD_ONE}")
            }
            KeyErrorKind::Missing => write!(f, "{origin} is not set or empty; {MAKE_A_GOOD_ONE}"),
            KeyErrorKind::TooShort { length } => {
                write!(f, "{origin} has {length} bytes, but needs at least {MIN_SECRET}; {MAKE_A_GOOD_ONE}")
            }
            KeyErrorKind::Repetition => write!(
                f,
                "{origin} repeats a pattern, few characters or common words, so it can be guessed; {MAKE_A_GOOD_ONE}"
            ),
            KeyErrorKind::WellKnown => write!(
                f,
                "{origin} is or contains a well-known sample, sequence or digest, so it can be guessed; {MAKE_A_GOOD_ONE}"
            ),
            KeyErrorKind::Comma if origin == A_FILE => {
                write!(f, "{origin} contains a comma; add older secrets with `Keys::with_fallback`")
            }
            KeyErrorKind::Comma => {
                let variable = origin.strip_suffix("_FILE").unwrap_or(origin);
                write!(
                    f,
                    "{origin} contains a comma; older secrets belong in {variable}_PREVIOUS, where commas separate them"
                )
            }
            KeyErrorKind::SameKeyId => {
                write!(f, "{origin} has the same key id as another secret, by chance; {MAKE_A_GOOD_ONE}")
            }
            KeyErrorKind::CipherKeyLength { length } => {
                write!(
                    f,
                    "{origin} has {length} bytes, but AES needs 16, 24 or 32; use the block key of the former system"
                )
            }
            KeyErrorKind::VariableAndFile => write!(f, "{origin} and {origin}_FILE are both set; remove one of them"),
            KeyErrorKind::Unreadable { reason } => {
                let names = if origin.ends_with("_FILE") { " names a file that" } else { "" };
                let reason: &dyn fmt::Display = match reason {
                    io::ErrorKind::NotFound => &"no such file or directory",
                    _ => &reason,
                };
                write!(f, "{origin}{names} cannot be opened ({reason}); check its path and its permissions")
            }
            KeyErrorKind::NotForProduction => write!(
                f,
                "{origin} is not for a release build; use `Keys::from_env` and make a secret with `openssl rand -base64 48`"
            ),
        }
    }
}

/// Prints the same sentence as `Display`, because a `main` that returns an error prints its `Debug`.
impl fmt::Debug for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for KeyError {}

const SALT: &[u8] = b"session-core/v1";
const MIN_SECRET: usize = 32;
/// The origin of a secret in [`Keys::from_file`].
const A_FILE: &str = "the file of the secret";
const MAKE_A_GOOD_ONE: &str = "make a good one with `openssl rand -base64 48`";

#[cfg(test)]
mod tests {
    use sha2::Digest;

    use super::*;

    const GOOD: &str = "o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E";
    const OTHER: &str = "V9s3qXWfTz1p6nYbKc7RgLd0aHj2Mu8E";

    fn kind(secret: impl AsRef<[u8]>) -> KeyErrorKind {
        Keys::new(secret).unwrap_err().kind()
    }

    #[test]
    fn a_ring_opens_no_token_of_another_purpose_name_or_application() {
        let keys = Keys::new(GOOD).unwrap();
        let ring = |purpose, name, application| keys.ring(Protection::Signed, purpose, name, application);
        let purposes = [Purpose::Session, Purpose::Flash, Purpose::Id];
        let names = [("sid", "shop"), ("sid", ""), ("", "sid"), ("sids", "hop"), ("SID", "shop")];
        let rings = || purposes.into_iter().flat_map(|purpose| names.map(|(name, app)| (purpose, name, app)));
        for one in rings() {
            for other in rings() {
                let opens = ring(one.0, one.1, one.2).opens_tokens_of(&ring(other.0, other.1, other.2));
                assert_eq!(opens, one == other, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_successor_depends_on_the_secret_the_name_the_application_and_the_identity() {
        let ids = |keys: &Keys, name, application, identity: &[u8]| {
            keys.successors(name, application, identity).map(|(id, _)| id).collect::<Vec<_>>()
        };
        let [one, other] = [GOOD, OTHER].map(|secret| Keys::new(secret).unwrap());
        let both = Keys::new(GOOD).unwrap().with_fallback(OTHER).unwrap();
        let of = |keys| ids(keys, "sid", "shop", b"7");
        assert_eq!(of(&both), [of(&one), of(&other)].concat());
        let different = [
            of(&one),
            of(&other),
            ids(&one, "sids", "hop", b"7"),
            ids(&one, "sid", "", b"7"),
            ids(&one, "sid", "shop", b"8"),
        ];
        for (place, ids) in different.iter().enumerate() {
            assert_eq!(ids.len(), 1);
            assert!(!different[..place].contains(ids), "{place}");
        }
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
    fn a_pattern_of_any_period_is_refused() {
        for period in 8..=GOOD.len() {
            let repeated = GOOD[..period].repeat(3);
            for length in MIN_SECRET.max(period * 2)..=repeated.len() {
                assert_eq!(kind(&repeated[..length]), KeyErrorKind::Repetition, "{period} {length}");
            }
            assert_eq!(
                kind(format!("{}{}", &GOOD[..period], GOOD[..period].to_uppercase()).repeat(2)),
                KeyErrorKind::Repetition
            );
        }
    }

    #[test]
    fn words_and_sequences_are_refused() {
        for secret in [
            "Sommer2024!!Sommer2024!!Sommer2024!!",
            "letmeinletmeinletmeinletmein1234",
            "letmein1letmein2letmein3letmein4",
            "LetMeIn-letmein_LETMEIN letmein.2024",
            "password1234password5678password9012",
            "admin2023admin2024admin2025admin2026",
            "dog1dog2dog3dog4dog5dog6dog7dog8",
            "SommerUrlaub2024SommerUrlaub2025",
            "Frühling2024Frühling2025Frühling26",
            "passwordsecretkeyadminlogintest1234",
            "abcdefgh12345678hgfedcba87654321",
            "qwertyasdfzxcv123456qwertzasdf7890",
            "internationalinternational48291736",
            "7319 Kaleidoskop-Kaleidoskop- 8264",
            "cGFzc3dvcmRwYXNzd29yZHBhc3N3b3Jk",
            "bzYrMGtSY1VnMkhodTBsN2I5UTRzQzFtbzYrMGtSY1VnMkhodTBsN2I5UTRzQzFt",
            "70617373776f72642d7365637265742d",
            "39bCcZ7RB/9tV3FBCfl131seu93f1sJxntEH/21XcUEJ+XXfWx673Q==",
            "0000000000000000000000000000000123456789abcdef",
        ] {
            assert!(Keys::new(secret).is_err(), "{secret}");
        }
    }

    #[test]
    fn what_is_just_enough_is_accepted_and_a_byte_less_is_refused() {
        // The first of a pair has 8 different bytes, 16 bytes beside its words, and less than two fifths of copies.
        let pattern = |copied: usize| format!("{}{}Xy7!", &GOOD[..20], &GOOD[..copied]);
        for (accepted, refused) in [
            ("k0+kkR6Rc0+0Uk6kokk0cckcU+0kko6o".to_owned(), "6+oR006ooo0k+cco6kk++c6co+6ocRc+".to_owned()),
            (format!("{}passphrasestaging", &GOOD[..16]), format!("{}passphrasestaging", &GOOD[..15])),
            (pattern(15), pattern(16)),
        ] {
            assert!(Keys::new(&accepted).is_ok(), "{accepted}");
            assert_eq!(kind(&refused), KeyErrorKind::Repetition, "{refused}");
        }
    }

    #[test]
    fn samples_are_refused_whatever_separates_their_words() {
        for secret in [
            "your-256-bit-secret-your-other-bits!",
            "a-string-secret-at-least-256-bits-long",
            "Your_Super.Secret JWT token with at least 32 characters",
            "SomeRandomStringWith32Characters",
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
            "PLEASE-CHANGE-Zk3vQx91Lw8TgN5rYb27Hc",
        ] {
            assert_eq!(kind(secret), KeyErrorKind::WellKnown, "{secret}");
        }
    }

    #[test]
    fn digests_of_nothing_are_refused_in_every_spelling() {
        let empty = sha2::Sha512::digest(b"");
        let hex: String = empty.iter().map(|byte| format!("{byte:02X}")).collect();
        let url_safe = base64url(&empty);
        let standard = url_safe.replace('-', "+").replace('_', "/") + "==";
        let line = base64url(&Sha256::digest(b"\n"));
        let colons = "E3:B0:C4:42:98:FC:1C:14:9A:FB:F4:C8:99:6F:B9:24:27:AE:41:E4";
        for secret in [&hex, &hex.to_lowercase(), &url_safe, &standard, &line, colons] {
            assert_eq!(kind(secret), KeyErrorKind::WellKnown, "{secret}");
        }
        for secret in [
            "d41d8cd98f00b204e9800998ecf8427e",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  -",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b",
        ] {
            assert_eq!(kind(secret), KeyErrorKind::WellKnown, "{secret}");
        }
        assert_eq!(kind(empty), KeyErrorKind::WellKnown);
    }

    #[test]
    fn random_secrets_are_accepted() {
        // The same ones in each run: one of 28 million texts of 32 hexadecimal digits has fewer than 8 different ones.
        for round in 0..25_000_usize {
            let random = sha2::Sha512::digest(round.to_be_bytes());
            let bytes = &random[..32 + round % 17];
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let url_safe = base64url(bytes);
            for secret in
                [bytes, hex.as_bytes(), &hex.as_bytes()[..32], url_safe.as_bytes(), &url_safe.as_bytes()[..32]]
            {
                assert!(Keys::new(secret).is_ok(), "{secret:?}");
            }
        }
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
