//! Play Framework 2.0 to 2.5: URL-encoded pairs, with a signature for the session and without one for the flash.

use crate::{
    compat::{
        Content, MOST_VALUES, Scope, entries_of, flash::PlainFlash, mac::Mac, newest, not_empty, removal_options,
        strong, urlencoded,
    },
    contract::StoreFuture,
    entries::Entries,
    former::{Former, FormerCookie, FormerCookies, FormerSession, FormerSystem},
    keys::KeyError,
};

/// Reads the cookies of Play Framework 2.0 to 2.5, and of newer versions with `LegacyCookiesModule`.
///
/// The session cookie is `PLAY_SESSION`: an HMAC-SHA1 in hexadecimal digits, `-`, and URL-encoded pairs. It has no
/// time: the session lasts until the browser forgets it. The secret is `play.crypto.secret`, or `application.secret`
/// before Play 2.4.
///
/// A text is a JSON string in the new session.
///
/// # Examples
///
/// ```
/// use session_core::{compat::PlayLegacy, former::FormerCookies};
///
/// let play = PlayLegacy::with_weak_secret("changeme")?;
/// let headers: [&[u8]; 1] = [b"PLAY_SESSION=116d8da7c5283e81341db8a0c0fb5f188f9b0277-hello=world"];
/// let session = play.decode(FormerCookies::new(&headers), 1_800_000_000).session.unwrap();
/// assert_eq!(session.entries.get("hello"), Some("\"world\""));
/// assert_eq!(session.expires_at, None);
/// # Ok::<(), session_core::KeyError>(())
/// ```
#[derive(Clone)]
pub struct PlayLegacy {
    mac: Mac,
    cookie: String,
    flash: PlainFlash,
    scope: Scope,
}

impl PlayLegacy {
    /// Creates a decoder with the secret of the Play application.
    ///
    /// # Errors
    ///
    /// Returns an error if [`Keys::new`](crate::Keys::new) would refuse the secret.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::compat::PlayLegacy;
    ///
    /// assert!(PlayLegacy::new("o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E").is_ok());
    /// assert!(PlayLegacy::new("changeme").is_err());
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
    /// use session_core::compat::PlayLegacy;
    ///
    /// assert!(PlayLegacy::with_weak_secret("changeme").is_ok());
    /// assert!(PlayLegacy::with_weak_secret("").is_err());
    /// ```
    pub fn with_weak_secret(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Ok(Self::of(not_empty(secret.as_ref())?))
    }

    fn of(secret: &[u8]) -> Self {
        Self {
            mac: Mac::sha1(secret),
            cookie: "PLAY_SESSION".to_owned(),
            flash: PlainFlash::new(),
            scope: Scope::new(),
        }
    }

    /// Sets the name of the session cookie. The default is `PLAY_SESSION`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::PlayLegacy, former::FormerSystem as _};
    ///
    /// let play = PlayLegacy::with_weak_secret("changeme")?.cookie("sid");
    /// assert_eq!(play.cookies()[0].name(), "sid");
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn cookie(self, name: impl Into<String>) -> Self {
        Self { cookie: name.into(), ..self }
    }

    /// Sets the name of the flash cookie. The default is `PLAY_FLASH`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::PlayLegacy, former::FormerSystem as _};
    ///
    /// let play = PlayLegacy::with_weak_secret("changeme")?.flash_cookie("flash");
    /// assert_eq!(play.cookies()[1].name(), "flash");
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn flash_cookie(mut self, name: impl Into<String>) -> Self {
        self.flash.cookie = name.into();
        self
    }

    /// Reads the flash cookie too. It has no signature: other pages of the domain can forge its messages.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::PlayLegacy, former::FormerCookies};
    ///
    /// let headers: [&[u8]; 1] = [b"PLAY_FLASH=success=The+item+has+been+created"];
    /// let play = PlayLegacy::with_weak_secret("changeme")?;
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
    /// use session_core::{compat::PlayLegacy, former::FormerCookies};
    ///
    /// let play = PlayLegacy::with_weak_secret("changeme")?;
    /// let headers: [&[u8]; 1] = [b"PLAY_SESSION=116d8da7c5283e81341db8a0c0fb5f188f9b0277-hello=admin"];
    /// assert!(play.decode(FormerCookies::new(&headers), 0).session.is_none()); // the signature is wrong
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn decode(&self, cookies: FormerCookies<'_>, _now: u64) -> Former {
        let found = newest(cookies, &self.cookie, |text| Some((None, self.mac.payload(text)?)));
        let session = found.and_then(|found| Some(FormerSession::new(found.text, entries(found.content)?)));
        Former { session, ..self.flash.read(cookies) }
    }

    fn scope_mut(&mut self) -> &mut Scope {
        &mut self.scope
    }
}

removal_options!(PlayLegacy, "PlayLegacy::with_weak_secret(\"changeme\")");
crate::opaque_debug!(PlayLegacy);

impl FormerSystem for PlayLegacy {
    fn cookies(&self) -> Vec<FormerCookie> {
        vec![self.scope.cookie(&self.cookie), self.scope.cookie(&self.flash.cookie)]
    }

    fn read<'a>(&'a self, cookies: FormerCookies<'a>, now: u64) -> StoreFuture<'a, Former> {
        Box::pin(async move { Ok(self.decode(cookies, now)) })
    }
}

/// Reads the values of a session. Play writes a map: a key that occurs twice was not written by it.
fn entries(payload: &[u8]) -> Option<Entries> {
    let pairs = urlencoded::pairs(payload, MOST_VALUES)?;
    entries_of(pairs.iter().map(|(key, text)| (key.as_str(), Content::Text(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "abcdefghijklmnopqrstuvwxyz123456";

    fn decode(header: &str) -> Former {
        let play = PlayLegacy::with_weak_secret(SECRET).unwrap().unsigned_flash();
        play.decode(FormerCookies::new(&[header.as_bytes()]), 0)
    }

    #[test]
    fn a_session_has_the_decoded_pairs_and_its_text_as_identity() {
        let text = "0690ceebeb499d7f474e2ff6c3e2306c3a26d808-a+b=c%26d%3De&x=y";
        let session = decode(&format!("PLAY_SESSION={text}")).session.unwrap();
        assert_eq!(session.entries.iter().collect::<Vec<_>>(), [("a b", r#""c&d=e""#), ("x", r#""y""#)]);
        assert_eq!(session.identity, text.as_bytes());
        assert_eq!((session.created_at, session.expires_at), (None, None));
    }

    #[test]
    fn of_two_sessions_without_times_none_counts() {
        let first = "0690ceebeb499d7f474e2ff6c3e2306c3a26d808-a+b=c%26d%3De&x=y";
        let other = "0e110dd5d7b128de5c8b58587326f8aed24b5d29-csrfToken=x-1-y";
        assert!(decode(&format!("PLAY_SESSION={first}; PLAY_SESSION={first}")).session.is_some());
        assert!(decode(&format!("PLAY_SESSION={first}; PLAY_SESSION={other}")).session.is_none());
    }

    #[test]
    fn flash_that_cannot_be_read_or_is_empty_has_no_cookie() {
        for header in ["PLAY_FLASH=", "PLAY_FLASH=x", "PLAY_FLASH=a=%", "PLAY_FLASH=%24a=b", "other=a=b"] {
            let former = decode(header);
            assert!(former.flash.is_empty() && former.flash_cookies.is_empty(), "{header}");
        }
        let former = decode("PLAY_FLASH=a=1&a=2");
        assert_eq!(former.flash.messages.get_all("a").len(), 1);
        assert_eq!(former.flash.messages.get("a"), Some("2"));
        assert_eq!(former.flash_cookies, ["PLAY_FLASH"]);
    }
}
