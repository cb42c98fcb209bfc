//! Play Framework 2.6 and newer: the session and the flash messages are JSON Web Tokens.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::{
    base64url::from_base64url,
    compat::{
        Scope, accepted,
        flash::{PlainFlash, flash, messages},
        mac::Mac,
        newest, not_empty, removal_options, strong,
    },
    contract::StoreFuture,
    entries::{Entries, decode},
    former::{Former, FormerCookie, FormerCookies, FormerSession, FormerSystem},
    json::Malformed,
    keys::KeyError,
};

/// Reads the cookies of Play Framework 2.6 and newer: signed JSON Web Tokens (RFC 7519).
///
/// The secret is `play.http.secret.key`. The session cookie is `PLAY_SESSION`, and the flash cookie is `PLAY_FLASH`.
/// The values are in the claim `data`. The session begins with the time in `iat`, which Play sets anew with every
/// change. It ends after the time in `exp` and the clock skew, or when the browser forgets it if there is no `exp`.
///
/// If the application was started before Play 2.6, its visitors may still have older cookies: read them with
/// [`PlayLegacy`](crate::compat::PlayLegacy) as a second former system.
///
/// # Examples
///
/// ```
/// use session_core::{compat::Play, former::FormerCookies};
///
/// let play = Play::with_weak_secret("abcdefghijklmnopqrstuvwxyz123456")?;
/// let header = "PLAY_SESSION=eyJhbGciOiJIUzI1NiJ9.eyJkYXRhIjp7ImNvbm5lY3RlZCI6InVzZXJAZ21haWwuY29tIn0sIm5iZiI6MTcwMDA\
///               wMDAwMCwiaWF0IjoxNzAwMDAwMDAwfQ.2e5pISdK2LbZgdt_a2oXoXMdclGTmf8cvLo0MRu_9Jc";
/// let headers = [header.as_bytes()];
/// let session = play.decode(FormerCookies::new(&headers), 1_700_000_060).session.unwrap();
/// assert_eq!(session.entries.get("connected"), Some("\"user@gmail.com\""));
/// assert_eq!(session.created_at, Some(1_700_000_000));
/// # Ok::<(), session_core::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Play {
    secret: Zeroizing<Vec<u8>>,
    algorithm: PlayAlgorithm,
    mac: Mac,
    cookie: String,
    flash: PlainFlash,
    data_claim: String,
    /// The allowed difference between two clocks, in seconds.
    clock_skew: u64,
    scope: Scope,
}

/// The algorithm that signs the tokens of Play: `play.http.session.jwt.signatureAlgorithm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlayAlgorithm {
    /// HMAC with SHA-256, Play's default.
    #[default]
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

impl PlayAlgorithm {
    /// Returns the JSON text of the name in the header of a token.
    const fn json(self) -> &'static str {
        match self {
            Self::Hs256 => r#""HS256""#,
            Self::Hs384 => r#""HS384""#,
            Self::Hs512 => r#""HS512""#,
        }
    }

    fn mac(self, secret: &[u8]) -> Mac {
        match self {
            Self::Hs256 => Mac::sha256(secret),
            Self::Hs384 => Mac::sha384(secret),
            Self::Hs512 => Mac::sha512(secret),
        }
    }
}

impl Play {
    /// Creates a decoder with the secret of the Play application.
    ///
    /// # Errors
    ///
    /// Returns an error if [`Keys::new`](crate::Keys::new) would refuse the secret.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::compat::Play;
    ///
    /// assert!(Play::new("o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E").is_ok());
    /// assert!(Play::new("changeme").is_err());
    /// ```
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Ok(Self::of(strong(secret.as_ref())?))
    }

    /// Does the same as [`new`](Self::new), and accepts a secret that is short or can be guessed. A visitor who guesses
    /// it can forge sessions: keep the time of the migration short.
    ///
    /// # Errors
    ///
    /// Returns an error if the secret is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::compat::Play;
    ///
    /// assert!(Play::with_weak_secret("changeme").is_ok());
    /// assert!(Play::with_weak_secret("").is_err());
    /// ```
    pub fn with_weak_secret(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Ok(Self::of(not_empty(secret.as_ref())?))
    }

    fn of(secret: &[u8]) -> Self {
        let algorithm = PlayAlgorithm::default();
        Self {
            secret: Zeroizing::new(secret.to_vec()),
            algorithm,
            mac: algorithm.mac(secret),
            cookie: "PLAY_SESSION".to_owned(),
            flash: PlainFlash::new(),
            data_claim: "data".to_owned(),
            clock_skew: 5 * 60,
            scope: Scope::new(),
        }
    }

    /// Sets the name of the session cookie: `play.http.session.cookieName`. The default is `PLAY_SESSION`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::Play, former::FormerSystem as _};
    ///
    /// let play = Play::with_weak_secret("changeme")?.cookie("sid");
    /// assert_eq!(play.cookies()[0].name(), "sid");
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn cookie(self, name: impl Into<String>) -> Self {
        Self { cookie: name.into(), ..self }
    }

    /// Sets the name of the flash cookie: `play.http.flash.cookieName`. The default is `PLAY_FLASH`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::Play, former::FormerSystem as _};
    ///
    /// let play = Play::with_weak_secret("changeme")?.flash_cookie("flash");
    /// assert_eq!(play.cookies()[1].name(), "flash");
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn flash_cookie(mut self, name: impl Into<String>) -> Self {
        self.flash.cookie = name.into();
        self
    }

    /// Sets the algorithm of the signature. A token with another one is refused. The default is HS256.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::{Play, PlayAlgorithm}, former::FormerCookies};
    ///
    /// let header = "PLAY_SESSION=eyJhbGciOiJIUzI1NiJ9.eyJkYXRhIjp7ImNvbm5lY3RlZCI6InVzZXJAZ21haWwuY29tIn0sIm5iZiI6MTc\
    ///               wMDAwMDAwMCwiaWF0IjoxNzAwMDAwMDAwfQ.2e5pISdK2LbZgdt_a2oXoXMdclGTmf8cvLo0MRu_9Jc";
    /// let headers = [header.as_bytes()];
    /// let play = Play::with_weak_secret("abcdefghijklmnopqrstuvwxyz123456")?.algorithm(PlayAlgorithm::Hs512);
    /// assert!(play.decode(FormerCookies::new(&headers), 1_700_000_060).session.is_none()); // signed with HS256
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn algorithm(self, algorithm: PlayAlgorithm) -> Self {
        Self { algorithm, mac: algorithm.mac(&self.secret), ..self }
    }

    /// Sets the name of the claim with the values: `play.http.session.jwt.dataClaim`. The default is `data`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::Play, former::FormerCookies};
    ///
    /// let header = "PLAY_SESSION=eyJhbGciOiJIUzI1NiJ9.eyJwbGF5ZGF0YSI6eyJjb25uZWN0ZWQiOiJ1MSJ9LCJuYmYiOjE3MDAwMDAwMDA\
    ///               sImlhdCI6MTcwMDAwMDAwMH0.N6tFdyMexPtMophUcwLlNm1H6Jq4VHpM3ZvsAzkzS00";
    /// let headers = [header.as_bytes()];
    /// let play = Play::with_weak_secret("abcdefghijklmnopqrstuvwxyz123456")?.data_claim("playdata");
    /// let session = play.decode(FormerCookies::new(&headers), 1_700_000_060).session.unwrap();
    /// assert_eq!(session.entries.get("connected"), Some("\"u1\""));
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn data_claim(self, name: impl Into<String>) -> Self {
        Self { data_claim: name.into(), ..self }
    }

    /// Sets the allowed difference between the clocks of two servers: `play.http.session.jwt.clockSkew`, in whole
    /// seconds. The default is 5 minutes.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use session_core::{compat::Play, former::FormerCookies};
    ///
    /// let header = "PLAY_SESSION=eyJhbGciOiJIUzI1NiJ9.eyJkYXRhIjp7ImNvbm5lY3RlZCI6InVzZXJAZ21haWwuY29tIn0sIm5iZiI6MTc\
    ///               wMDAwMDAwMCwiaWF0IjoxNzAwMDAwMDAwfQ.2e5pISdK2LbZgdt_a2oXoXMdclGTmf8cvLo0MRu_9Jc";
    /// let headers = [header.as_bytes()];
    /// let play = Play::with_weak_secret("abcdefghijklmnopqrstuvwxyz123456")?;
    /// assert!(play.decode(FormerCookies::new(&headers), 1_699_999_990).session.is_some()); // 10 seconds too early
    ///
    /// let strict = play.clock_skew(Duration::ZERO);
    /// assert!(strict.decode(FormerCookies::new(&headers), 1_699_999_990).session.is_none());
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn clock_skew(self, clock_skew: Duration) -> Self {
        Self { clock_skew: clock_skew.as_secs(), ..self }
    }

    /// Reads flash cookies without a signature too, as Play 2.5 and older wrote them. Play itself still accepts them.
    /// Other pages of the domain can forge their messages.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::Play, former::FormerCookies};
    ///
    /// let headers: [&[u8]; 1] = [b"PLAY_FLASH=success=The+item+has+been+created"];
    /// let play = Play::with_weak_secret("changeme")?;
    /// assert!(play.decode(FormerCookies::new(&headers), 0).flash.is_empty());
    ///
    /// let flash = play.unsigned_flash().decode(FormerCookies::new(&headers), 0).flash;
    /// assert_eq!(flash.messages.get("success"), Some("The item has been created"));
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn unsigned_flash(mut self) -> Self {
        self.flash.is_read = true;
        self
    }

    /// Does the same as [`read`](FormerSystem::read), which never waits here.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::Play, former::FormerCookies};
    ///
    /// let header = "PLAY_FLASH=eyJhbGciOiJIUzI1NiJ9.eyJkYXRhIjp7InN1Y2Nlc3MiOiJUaGUgaXRlbSBoYXMgYmVlbiBjcmVhdGVkIn0sI\
    ///               m5iZiI6MTcwMDAwMDAwMCwiaWF0IjoxNzAwMDAwMDAwfQ.KXyQSHx05M1JGypWHkNrj7HP03e5fmqPuHyYC7sYqCM";
    /// let headers = [header.as_bytes()];
    /// let play = Play::with_weak_secret("abcdefghijklmnopqrstuvwxyz123456")?;
    /// let former = play.decode(FormerCookies::new(&headers), 1_700_000_060);
    /// assert_eq!(former.flash.messages.get("success"), Some("The item has been created"));
    /// assert_eq!(former.flash_cookies, ["PLAY_FLASH"]);
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn decode(&self, cookies: FormerCookies<'_>, now: u64) -> Former {
        let session = newest(cookies, &self.cookie, |text| {
            let claims = self.claims(text, now)?;
            Some((claims.issued_at, claims))
        });
        let session = session.and_then(|found| {
            let mut session = FormerSession::new(found.text, self.data(&found.content)?);
            session.created_at = found.content.issued_at.map(|time| time.min(now));
            session.expires_at = found.content.last_second;
            Some(session)
        });
        let messages = newest(cookies, &self.flash.cookie, |text| {
            // Play tells the two forms apart in this way too: base64url has no `=` here.
            if text.contains(&b'=') {
                return if self.flash.is_read { Some((None, PlainFlash::parse(text)?)) } else { None };
            }
            let claims = self.claims(text, now)?;
            let data = self.data(&claims)?;
            let texts = data.iter().filter_map(|(kind, text)| Some((kind.to_owned(), decode(text).ok()?)));
            Some((claims.issued_at, messages(texts)))
        });
        Former { session, ..flash(messages.map(|found| found.content), &self.flash.cookie) }
    }

    /// Returns the claims of a token that is authentic and valid now.
    fn claims(&self, token: &[u8], now: u64) -> Option<Claims> {
        let signature_at = token.iter().rposition(|byte| *byte == b'.')?;
        let (signed, signature) = (&token[..signature_at], &token[signature_at + 1..]);
        // The signature covers the header and the payload as they were encoded. They are decoded only after this.
        if !self.mac.verifies(&[signed], &from_base64url(signature)?) {
            return None;
        }
        let header_end = signed.iter().position(|byte| *byte == b'.')?;
        self.check_header(from_base64url(&signed[..header_end])?).ok()?;
        // A third dot is no base64url.
        let claims = Entries::parse(from_base64url(&signed[header_end + 1..])?).ok()?;

        let expires_at = seconds(&claims, "exp").ok()?;
        let last_second = expires_at.map(|time| time.saturating_add(self.clock_skew));
        let first_second = seconds(&claims, "nbf").ok()?.map(|time| time.saturating_sub(self.clock_skew));
        if last_second.is_some_and(|last| now > last) || first_second.is_some_and(|first| now < first) {
            return None;
        }
        Some(Claims { issued_at: seconds(&claims, "iat").ok()?, last_second, all: claims })
    }

    /// Returns the values in the claim for data.
    fn data(&self, claims: &Claims) -> Option<Entries> {
        accepted(Entries::parse(claims.all.get(&self.data_claim)?.into()).ok()?)
    }

    /// Checks that the header names the configured algorithm. An extension that the header calls critical is unknown
    /// here, so the token is refused (RFC 7515, section 4.1.11).
    fn check_header(&self, header: Vec<u8>) -> Result<(), Malformed> {
        let header = Entries::parse(header)?;
        let is_right = header.get("alg") == Some(self.algorithm.json()) && header.get("crit").is_none();
        if is_right { Ok(()) } else { Err(Malformed) }
    }

    fn scope_mut(&mut self) -> &mut Scope {
        &mut self.scope
    }
}

removal_options!(Play, "Play::with_weak_secret(\"changeme\")");
crate::opaque_debug!(Play);

impl FormerSystem for Play {
    fn cookies(&self) -> Vec<FormerCookie> {
        vec![self.scope.cookie(&self.cookie), self.scope.cookie(&self.flash.cookie)]
    }

    fn read<'a>(&'a self, cookies: FormerCookies<'a>, now: u64) -> StoreFuture<'a, Former> {
        Box::pin(async move { Ok(self.decode(cookies, now)) })
    }
}

/// What an authentic token says.
struct Claims {
    all: Entries,
    issued_at: Option<u64>,
    /// The last second in which the token is accepted; `None` if it has no end.
    last_second: Option<u64>,
}

/// Returns the time in a claim, in seconds since 1970. Play writes whole seconds.
fn seconds(claims: &Entries, claim: &str) -> Result<Option<u64>, Malformed> {
    claims.get(claim).map(|text| text.parse().map_err(|_| Malformed)).transpose()
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::Sha256;

    use super::*;
    use crate::base64url::base64url;

    const SECRET: &str = "abcdefghijklmnopqrstuvwxyz123456";
    const NOW: u64 = 1_700_000_000;

    fn token(header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(payload.as_bytes()));
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", base64url(&mac.finalize().into_bytes()))
    }

    fn session(token: &str) -> Option<FormerSession> {
        let header = format!("PLAY_SESSION={token}");
        let play = Play::with_weak_secret(SECRET).unwrap();
        play.decode(FormerCookies::new(&[header.as_bytes()]), NOW).session
    }

    #[test]
    fn only_the_configured_algorithm_is_accepted() {
        let payload = r#"{"data":{"a":"b"}}"#;
        for (header, is_accepted) in [
            (r#"{"alg":"HS256"}"#, true),
            (r#"{"typ":"JWT","alg":"HS256"}"#, true),
            (r#"{"alg":"HS384"}"#, false),
            (r#"{"alg":"none"}"#, false),
            (r#"{"alg":"hs256"}"#, false),
            (r#"{"alg":"HS256","crit":["exp"]}"#, false),
            (r#"{"alg":"HS256","alg":"HS256"}"#, false),
            ("{}", false),
            ("", false),
        ] {
            assert_eq!(session(&token(header, payload)).is_some(), is_accepted, "{header}");
        }
    }

    #[test]
    fn the_times_are_inclusive_and_whole_numbers() {
        for (claims, is_accepted) in [
            ("", true),
            (r#","exp":1699999700"#, true),
            (r#","exp":1699999699"#, false),
            (r#","nbf":1700000300"#, true),
            (r#","nbf":1700000301"#, false),
            (r#","exp":18446744073709551615"#, true),
            (r#","exp":18446744073709551616"#, false),
            (r#","exp":1700000000.5"#, false),
            (r#","exp":-1"#, false),
            (r#","exp":"1700000000""#, false),
            (r#","iat":"x""#, false),
            (r#","iat":1700000000,"iat":1700000000"#, false),
        ] {
            let token = token(r#"{"alg":"HS256"}"#, &format!(r#"{{"data":{{}}{claims}}}"#));
            assert_eq!(session(&token).is_some(), is_accepted, "{claims}");
        }
        let token = token(r#"{"alg":"HS256"}"#, r#"{"data":{},"exp":1700000100,"iat":1700000200}"#);
        let session = session(&token).unwrap();
        assert_eq!((session.created_at, session.expires_at), (Some(NOW), Some(1_700_000_400)));
        assert_eq!(session.identity, token.as_bytes());
    }

    #[test]
    fn data_that_is_no_object_is_no_session() {
        for payload in [
            "{}",
            r#"{"data":null}"#,
            r#"{"data":"a"}"#,
            r#"{"data":{"a":"b","a":"c"}}"#,
            r#"{"data":{"a":"b"},"data":{"a":"c"}}"#,
            r#"[{"data":{}}]"#,
        ] {
            assert!(session(&token(r#"{"alg":"HS256"}"#, payload)).is_none(), "{payload}");
        }
    }

    #[test]
    fn of_two_sessions_the_one_that_was_issued_last_counts() {
        let at = |time: u64, user: &str| {
            token(r#"{"alg":"HS256"}"#, &format!(r#"{{"data":{{"user":"{user}"}},"iat":{time}}}"#))
        };
        let user = |tokens: [String; 2]| {
            let session = session(&tokens.join("; PLAY_SESSION="))?;
            session.entries.get("user").map(str::to_owned)
        };
        assert_eq!(user([at(7, "ada"), at(8, "grace")]).as_deref(), Some("\"grace\""));
        assert_eq!(user([at(8, "ada"), at(7, "grace")]).as_deref(), Some("\"ada\""));
        assert_eq!(user([at(7, "ada"), at(7, "grace")]), None);
    }

    #[test]
    fn a_token_in_two_or_four_parts_is_refused() {
        let whole = token(r#"{"alg":"HS256"}"#, r#"{"data":{}}"#);
        assert!(session(&whole).is_some());
        let (signed, signature) = whole.rsplit_once('.').unwrap();
        let (header, _) = signed.split_once('.').unwrap();
        for text in [signed.to_owned(), format!("{header}.{signature}"), format!("{whole}."), format!(".{whole}")] {
            assert!(session(&text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_message_that_is_no_text_is_left_out() {
        let token = token(r#"{"alg":"HS256"}"#, r#"{"data":{"a":"b","n":1,"$x":"y"}}"#);
        let header = format!("PLAY_FLASH={token}");
        let former = Play::with_weak_secret(SECRET).unwrap().decode(FormerCookies::new(&[header.as_bytes()]), NOW);
        assert_eq!(former.flash.messages.iter().map(|(kind, _)| kind).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", Play::with_weak_secret(SECRET).unwrap()), "Play { .. }");
    }
}
