//! Buffalo: a session of gorilla with the flash messages inside.

use std::time::Duration;

use crate::{
    compat::{Gorilla, Scope, is_reserved, removal_options},
    contract::StoreFuture,
    entries::{Entries, decode},
    former::{Former, FormerCookie, FormerCookies, FormerSession, FormerSystem},
    keys::KeyError,
    messages::Batch,
};

/// Reads the session cookie of Buffalo, and the flash messages in it.
///
/// The secret is the environment variable `SESSION_SECRET`. The cookie is `_buffalo_session`. Buffalo uses
/// `gorilla/sessions`: see [`Gorilla`] for the values and the times. The flash messages are no values: they move as
/// flash messages with the session.
///
/// Without `SESSION_SECRET`, Buffalo signs with an empty key, so that any visitor can make a session. No cookie of such
/// an application can be trusted, and none is read: an empty secret is refused.
///
/// # Examples
///
/// ```
/// use session_core::{compat::Buffalo, former::FormerCookies};
///
/// let buffalo = Buffalo::with_weak_secret("buffalo-secret")?;
/// let header = "_buffalo_session=MTcwMDAwMDAwMHxEdi1CQkFFQ180SUFBUkFCRUFBQU5fLUNBQUVHYzNSeWFXNW5EQWtBQjE5bWJHRnphRjhI\
///               VzExMWFXNTBPQW9YQUJWN0luTjFZMk5sYzNNaU9sc2lVMkYyWldRaVhYMD18AUzLnDFy6N1tTqHxu9oau_b9ckxHlQnLD5doG2QN\
///               mCk=";
/// let headers = [header.as_bytes()];
/// let session = buffalo.decode(FormerCookies::new(&headers), 1_700_000_060).session.unwrap();
/// assert_eq!(session.flash.messages.get("success"), Some("Saved"));
/// assert!(session.entries.is_empty());
/// # Ok::<(), session_core::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Buffalo {
    gorilla: Gorilla,
}

impl Buffalo {
    /// Creates a decoder with the secret of the Buffalo application.
    ///
    /// # Errors
    ///
    /// Returns an error if [`Keys::new`](crate::Keys::new) would refuse the secret.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::compat::Buffalo;
    ///
    /// assert!(Buffalo::new("o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E").is_ok());
    /// assert!(Buffalo::new("buffalo-secret").is_err());
    /// ```
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Gorilla::new(secret).map(Self::of)
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
    /// use session_core::compat::Buffalo;
    ///
    /// assert!(Buffalo::with_weak_secret("buffalo-secret").is_ok());
    /// assert!(Buffalo::with_weak_secret("").is_err());
    /// ```
    pub fn with_weak_secret(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Gorilla::with_weak_secret(secret).map(Self::of)
    }

    fn of(gorilla: Gorilla) -> Self {
        Self { gorilla: gorilla.cookie("_buffalo_session") }
    }

    /// Sets the name of the session cookie: `SessionName` of the application's options. The default is
    /// `_buffalo_session`. A cookie that was signed for another name is refused.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::Buffalo, former::FormerSystem as _};
    ///
    /// let buffalo = Buffalo::with_weak_secret("buffalo-secret")?.cookie("_shop_session");
    /// assert_eq!(buffalo.cookies()[0].name(), "_shop_session");
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn cookie(self, name: impl Into<String>) -> Self {
        Self { gorilla: self.gorilla.cookie(name) }
    }

    /// Sets the longest age of a cookie, in whole seconds. The default is 30 days. Zero sets no limit, as in gorilla.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use session_core::{compat::Buffalo, former::FormerCookies};
    ///
    /// let header = "_buffalo_session=MTcwMDAwMDAwMHxEdi1CQkFFQ180SUFBUkFCRUFBQUpQLUNBQUVHYzNSeWFXNW5EQWtBQjE5bWJHRnph\
    ///               RjhIVzExMWFXNTBPQW9FQUFKN2ZRPT18jZjUyCIM9KcSf6y41C5Y8lIvSTXp-_T7YWo4ACrb_Bg=";
    /// let headers = [header.as_bytes()];
    /// let buffalo = Buffalo::with_weak_secret("buffalo-secret")?.max_age(Duration::from_secs(3_600));
    /// assert!(buffalo.decode(FormerCookies::new(&headers), 1_700_003_600).session.is_some());
    /// assert!(buffalo.decode(FormerCookies::new(&headers), 1_700_003_601).session.is_none());
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn max_age(self, max_age: Duration) -> Self {
        Self { gorilla: self.gorilla.max_age(max_age) }
    }

    /// Does the same as [`read`](FormerSystem::read), which never waits here.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::Buffalo, former::FormerCookies};
    ///
    /// let buffalo = Buffalo::with_weak_secret("buffalo-secret")?;
    /// let headers: [&[u8]; 1] = [b"_buffalo_session=MTcwMDAwMDAwMHxEdi1CQkFFQ180SUFBUkFCRUFBQUh2LUNBQUVH"];
    /// assert!(buffalo.decode(FormerCookies::new(&headers), 1_700_000_060).session.is_none()); // it has no signature
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn decode(&self, cookies: FormerCookies<'_>, now: u64) -> Former {
        let session = self.gorilla.session(cookies, now).and_then(with_flash_apart);
        session.map_or(Former::NOTHING, Former::session)
    }

    fn scope_mut(&mut self) -> &mut Scope {
        self.gorilla.scope_mut()
    }
}

removal_options!(Buffalo, "Buffalo::with_weak_secret(\"buffalo-secret\")");
crate::opaque_debug!(Buffalo);

impl FormerSystem for Buffalo {
    fn cookies(&self) -> Vec<FormerCookie> {
        self.gorilla.cookies()
    }

    fn read<'a>(&'a self, cookies: FormerCookies<'a>, now: u64) -> StoreFuture<'a, Former> {
        Box::pin(async move { Ok(self.decode(cookies, now)) })
    }
}

/// Moves the flash messages out of the values.
fn with_flash_apart(mut session: FormerSession) -> Option<FormerSession> {
    if let Some(text) = session.entries.get(FLASH) {
        session.flash = decode(text).ok().and_then(|json: String| messages(json)).unwrap_or_default();
        session.entries = Entries::from_texts(session.entries.iter().filter(|(key, _)| *key != FLASH)).ok()?;
    }
    Some(session)
}

/// Reads a JSON object with lists of texts by kind. As in Buffalo, a text that is anything else is no message.
fn messages(json: String) -> Option<Batch> {
    let lists = Entries::parse(json.into_bytes()).ok()?;
    let mut batch = Batch::NOTHING;
    for (kind, list) in lists.iter().filter(|(kind, _)| !is_reserved(kind)) {
        let texts: Option<Vec<String>> = decode(list).ok()?;
        texts.into_iter().flatten().for_each(|text| batch.messages.add(kind, text));
    }
    Some(batch)
}

/// The key of the flash messages: a byte slice with JSON.
const FLASH: &str = "_flash_";

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(entries: &str) -> FormerSession {
        with_flash_apart(FormerSession::new("", Entries::parse(entries.into()).unwrap())).unwrap()
    }

    #[test]
    fn the_flash_is_no_value() {
        let session =
            apart(r#"{"a":1,"_flash_":"{\"success\":[\"one\",\"two\"],\"none\":null,\"$x\":[\"y\"]}","b":2}"#);
        assert_eq!(session.entries.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        let messages: Vec<_> = session.flash.messages.iter().map(|(kind, texts)| (kind, texts.len())).collect();
        assert_eq!(messages, [("success", 2)]);
    }

    #[test]
    fn flash_that_cannot_be_read_leaves_the_session_as_it_is() {
        for flash in [r#""x""#, "7", r#""{\"a\":7}""#, r#""{\"a\":[\"b\"],\"a\":[\"c\"]}""#, r#""""#] {
            let session = apart(&format!(r#"{{"a":1,"_flash_":{flash}}}"#));
            assert!(session.flash.is_empty(), "{flash}");
            assert_eq!(session.entries.iter().collect::<Vec<_>>(), [("a", "1")]);
        }
    }

    #[test]
    fn an_empty_secret_is_refused() {
        assert!(Buffalo::new("").is_err());
        assert!(Buffalo::with_weak_secret("").is_err());
    }
}
