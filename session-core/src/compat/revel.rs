//! Revel: a signed session, and flash messages and form errors without a signature.

use crate::{
    compat::{
        Content, MOST_VALUES, Scope, accepted, entries_of, mac::Mac, newest, not_empty, removal_options, strong,
        urlencoded,
    },
    contract::StoreFuture,
    entries::{Entries, decode},
    former::{Former, FormerCookie, FormerCookies, FormerSession, FormerSystem},
    keys::KeyError,
    messages::Batch,
};

/// Reads the cookies of Revel.
///
/// The secret is `app.secret`. The session cookie is `REVEL_SESSION`: an HMAC-SHA1 in hexadecimal digits, `-`, and the
/// values. A text is a JSON string in the new session. Revel keeps other values as JSON under the key `_object_`; they
/// become values of their own.
///
/// `_TS` is the last second of the session, and no value of the new one. If it is `session`, the session lasts until
/// the browser forgets it. `_ID` is no value of the application.
///
/// # Examples
///
/// ```
/// use session_core::{compat::Revel, former::FormerCookies};
///
/// let revel = Revel::new("pJLzyoiDe17L36mytqC912j81PfTiolHm1veQK6Grn1En3YFdB5lvEHVTwFEaWvj")?;
/// let header = "REVEL_SESSION=34d8633c08a71f18f023dfd840280e2752600592-%00_TS%3Asession%00%00foo%3Abar%00%00_object_%\
///               3A%7B%22n%22%3A%221%22%7D%00";
/// let headers = [header.as_bytes()];
/// let session = revel.decode(FormerCookies::new(&headers), 1_800_000_000).session.unwrap();
/// assert_eq!(session.entries.get("foo"), Some("\"bar\""));
/// assert_eq!(session.entries.get("n"), Some("1"));
/// # Ok::<(), session_core::KeyError>(())
/// ```
#[derive(Clone)]
pub struct Revel {
    mac: Mac,
    prefix: String,
    /// Whether the application wants the flash messages and form errors.
    reads_flash: bool,
    scope: Scope,
}

impl Revel {
    /// Creates a decoder with the secret of the Revel application.
    ///
    /// # Errors
    ///
    /// Returns an error if [`Keys::new`](crate::Keys::new) would refuse the secret.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::compat::Revel;
    ///
    /// assert!(Revel::new("o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E").is_ok());
    /// assert!(Revel::new("changeme").is_err());
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
    /// use session_core::compat::Revel;
    ///
    /// assert!(Revel::with_weak_secret("changeme").is_ok());
    /// assert!(Revel::with_weak_secret("").is_err());
    /// ```
    pub fn with_weak_secret(secret: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        Ok(Self::of(not_empty(secret.as_ref())?))
    }

    fn of(secret: &[u8]) -> Self {
        Self { mac: Mac::sha1(secret), prefix: "REVEL".to_owned(), reads_flash: false, scope: Scope::new() }
    }

    /// Sets the prefix of the names of the cookies: `cookie.prefix`. The default is `REVEL`, for `REVEL_SESSION`,
    /// `REVEL_FLASH` and `REVEL_ERRORS`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::Revel, former::FormerSystem as _};
    ///
    /// let revel = Revel::with_weak_secret("changeme")?.cookie_prefix("SHOP");
    /// let names: Vec<_> = revel.cookies().iter().map(|cookie| cookie.name().to_owned()).collect();
    /// assert_eq!(names, ["SHOP_SESSION", "SHOP_FLASH", "SHOP_ERRORS"]);
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn cookie_prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Reads the flash cookie and the cookie of form errors too. They have no signature: other pages of the domain can
    /// forge their texts.
    ///
    /// `success` and `error` become messages. Any other text becomes form input, because `FlashParams` keeps the values
    /// of a refused form there; it joins several values of one field with commas.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::Revel, former::FormerCookies};
    ///
    /// let revel = Revel::with_weak_secret("changeme")?.unsigned_flash();
    /// let header = "REVEL_FLASH=%00error%3ACheck+it%21%00%00age%3Ax%00; REVEL_ERRORS=%00age%3AMust+be+a+number%00";
    /// let headers = [header.as_bytes()];
    /// let flash = revel.decode(FormerCookies::new(&headers), 0).flash;
    /// assert_eq!(flash.messages.get("error"), Some("Check it!"));
    /// assert_eq!(flash.input.get("age"), Some("x"));
    /// assert_eq!(flash.errors.get("age"), Some("Must be a number"));
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn unsigned_flash(self) -> Self {
        Self { reads_flash: true, ..self }
    }

    /// Does the same as [`read`](FormerSystem::read), which never waits here.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{compat::Revel, former::FormerCookies};
    ///
    /// let revel = Revel::new("pJLzyoiDe17L36mytqC912j81PfTiolHm1veQK6Grn1En3YFdB5lvEHVTwFEaWvj")?;
    /// let headers: [&[u8]; 1] =
    ///     [b"REVEL_SESSION=3f315f12f7558ee2673f7b0d8b5bdb2d65e789bc-%00user%3Aadmin%00%00_TS%3A4102444800%00"];
    /// assert!(revel.decode(FormerCookies::new(&headers), 0).session.is_none()); // the signature is wrong
    /// # Ok::<(), session_core::KeyError>(())
    /// ```
    #[must_use]
    pub fn decode(&self, cookies: FormerCookies<'_>, now: u64) -> Former {
        let found = newest(cookies, &self.name("SESSION"), |text| {
            let content = urlencoded::decoded(self.mac.payload(text)?)?;
            // The end moves with every response, so the session that ends last is the newest.
            let end = Fields::of(&content)?.last_second(now)?;
            Some((end, content))
        });
        let session = found.and_then(|found| {
            let fields = Fields::of(&found.content)?;
            // Revel keeps `_ID` over a log-in, so a cookie from before the log-in has the same. The text tells them apart.
            let mut session = FormerSession::new(found.text, fields.entries()?);
            session.expires_at = found.time;
            Some(session)
        });
        Former { session, ..self.flash(cookies) }
    }

    /// Reads the flash messages and the form errors.
    fn flash(&self, cookies: FormerCookies<'_>) -> Former {
        let mut former = Former::NOTHING;
        if !self.reads_flash {
            return former;
        }
        let mut read = |suffix: &str, add: fn(&mut Batch, &str, &str)| {
            let name = self.name(suffix);
            let text = newest(cookies, &name, |text| Some((None, urlencoded::decoded(text)?)));
            let found = text.as_ref().and_then(|text| pairs(&text.content)).unwrap_or_default();
            found.iter().for_each(|(key, value)| add(&mut former.flash, key, value));
            if !found.is_empty() {
                former.flash_cookies.push(name);
            }
        };
        read("FLASH", |flash, key, value| match key {
            "success" | "error" => flash.messages.set(key, value),
            _ => flash.input.set(key, value),
        });
        read("ERRORS", |flash, key, value| flash.errors.add(key, value));
        former
    }

    fn name(&self, suffix: &str) -> String {
        format!("{}_{suffix}", self.prefix)
    }

    fn scope_mut(&mut self) -> &mut Scope {
        &mut self.scope
    }
}

removal_options!(Revel, "Revel::with_weak_secret(\"changeme\")");
crate::opaque_debug!(Revel);

impl FormerSystem for Revel {
    fn cookies(&self) -> Vec<FormerCookie> {
        ["SESSION", "FLASH", "ERRORS"].map(|suffix| self.scope.cookie(&self.name(suffix))).into()
    }

    fn read<'a>(&'a self, cookies: FormerCookies<'a>, now: u64) -> StoreFuture<'a, Former> {
        Box::pin(async move { Ok(self.decode(cookies, now)) })
    }
}

/// What the text of a session holds.
struct Fields<'a> {
    id: Option<&'a str>,
    /// The last second of the session, or `session` if it ends with the browser.
    end: Option<&'a str>,
    objects: Option<&'a str>,
    texts: Vec<(&'a str, &'a str)>,
}

impl<'a> Fields<'a> {
    /// Splits the text of a session. Returns `None` if Revel does not write such a text.
    fn of(text: &'a str) -> Option<Self> {
        let pairs = pairs(text)?;
        // Revel writes nothing but pairs, and no NUL in a key.
        let length: usize = pairs.iter().map(|(key, value)| key.len() + value.len() + 3).sum();
        if length != text.len() || pairs.iter().any(|(key, _)| key.contains('\0')) {
            return None;
        }
        let mut fields = Fields { id: None, end: None, objects: None, texts: Vec::new() };
        for (key, value) in pairs {
            let field = match key {
                "_ID" => &mut fields.id,
                "_TS" => &mut fields.end,
                "_object_" => &mut fields.objects,
                _ => {
                    fields.texts.push((key, value));
                    continue;
                }
            };
            if field.replace(value).is_some() {
                return None;
            }
        }
        Some(fields)
    }

    /// Returns the last second of the session, or `Some(None)` if it ends with the browser. Returns `None` if it has
    /// expired or has no end at all.
    fn last_second(&self, now: u64) -> Option<Option<u64>> {
        match self.end? {
            "session" => Some(None),
            time => time.parse().ok().filter(|last| now <= *last).map(Some),
        }
    }

    fn entries(&self) -> Option<Entries> {
        let objects = self.objects.map_or(Some(Vec::new()), json_texts)?;
        let texts = self.texts.iter().map(|(key, text)| (*key, Content::Text(text)));
        // A text counts before an object with the same key, as in Revel.
        let objects = objects.iter().filter(|(key, _)| self.texts.iter().all(|(known, _)| known != key));
        entries_of(texts.chain(objects.map(|(key, json)| (key.as_str(), Content::Json(json)))))
    }
}

/// Finds the pairs in a text such as `␀key:value␀␀key:value␀`, as Revel's regular expression `␀([^:]*):([^␀]*)␀` finds
/// them. Returns `None` if there are too many.
fn pairs(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut pairs = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('\0')
        && let Some((key, after)) = after.split_once(':')
        && let Some((value, after)) = after.split_once('\0')
    {
        if pairs.len() == MOST_VALUES {
            return None;
        }
        pairs.push((key, value));
        rest = after;
    }
    Some(pairs)
}

/// Returns the keys and texts in a JSON object such as `{"n":"1"}`. Each text is the JSON text of a value.
fn json_texts(objects: &str) -> Option<Vec<(String, String)>> {
    let objects = accepted(Entries::parse(objects.into()).ok()?)?;
    objects.iter().map(|(key, text)| Some((key.to_owned(), decode(text).ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha1::Sha1;

    use super::*;

    const SECRET: &str = "pJLzyoiDe17L36mytqC912j81PfTiolHm1veQK6Grn1En3YFdB5lvEHVTwFEaWvj";
    const NOW: u64 = 1_700_000_000;

    /// Returns the cookie of a raw text. Only the NULs need an escape.
    fn signed(raw: &str) -> String {
        let text = raw.replace('\0', "%00").replace(' ', "+");
        let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(text.as_bytes());
        let tag: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("REVEL_SESSION={tag}-{text}")
    }

    fn decode(header: &str) -> Former {
        Revel::new(SECRET).unwrap().unsigned_flash().decode(FormerCookies::new(&[header.as_bytes()]), NOW)
    }

    fn values(raw: &str) -> Option<Vec<(String, String)>> {
        let session = decode(&signed(raw)).session?;
        Some(session.entries.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn the_end_is_inclusive_and_has_to_be_there() {
        for (end, is_alive) in [
            ("\0_TS:session\0", true),
            ("\0_TS:1700000000\0", true),
            ("\0_TS:1699999999\0", false),
            ("\0_TS:soon\0", false),
            ("\0_TS:\0", false),
            ("\0_TS:1700000000\0\0_TS:session\0", false),
            ("", false),
        ] {
            assert_eq!(values(&format!("\0a:b\0{end}")).is_some(), is_alive, "{end:?}");
        }
        let session = decode(&signed("\0_TS:1700000001\0")).session.unwrap();
        assert_eq!((session.created_at, session.expires_at), (None, Some(NOW + 1)));
    }

    #[test]
    fn the_text_is_the_identity_and_the_id_no_value() {
        let header = signed("\0_ID:4f3a\0\0_TS:session\0\0a:b\0");
        let session = decode(&header).session.unwrap();
        assert_eq!(session.identity, header.split_once('=').unwrap().1.as_bytes());
        assert_eq!(session.entries.iter().collect::<Vec<_>>(), [("a", "\"b\"")]);

        let header = signed("\0_TS:session\0");
        assert_eq!(decode(&header).session.unwrap().identity, header.split_once('=').unwrap().1.as_bytes());
    }

    #[test]
    fn objects_are_values_and_texts_count_first() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            values("\0_TS:session\0\0a:b\0\0_object_:{\"n\":\"[1]\",\"a\":\"2\",\"$x\":\"3\"}\0"),
            Some(vec![pair("a", "\"b\""), pair("n", "[1]")])
        );
        for objects in
            ["", "[]", "{\"n\":1}", "{\"n\":\"x\"}", "{\"n\":\"1\",\"n\":\"1\"}", "{\"n\":\"1,\\\"m\\\":2\"}"]
        {
            assert_eq!(values(&format!("\0_TS:session\0\0_object_:{objects}\0")), None, "{objects}");
        }
    }

    #[test]
    fn what_revel_does_not_write_is_refused() {
        for raw in [
            "\0_TS:session\0x",
            "x\0_TS:session\0",
            "\0a\0\0b:c\0\0_TS:session\0",
            "\0_TS:session\0\0a:b",
            "\0_TS:session\0\0a:b\0\0a:c\0",
            "\0_TS:session\0\0a:%ff\0",
            "\0_TS:session\0\0a:%\0",
        ] {
            assert_eq!(values(raw), None, "{raw:?}");
        }
        assert!(values("\0_TS:session\0\0:\0\0a::b\0").is_some());
    }

    #[test]
    fn the_session_that_ends_last_counts() {
        let at = |time: &str, user: &str| signed(&format!("\0_TS:{time}\0\0user:{user}\0"));
        let user = |cookies: [String; 2]| {
            let session = decode(&cookies.join("; ")).session?;
            session.entries.get("user").map(str::to_owned)
        };
        assert_eq!(user([at("1700000001", "ada"), at("1700000002", "grace")]).as_deref(), Some("\"grace\""));
        assert_eq!(user([at("session", "ada"), at("1700000002", "grace")]), None);
        assert_eq!(user([at("session", "ada"), at("session", "grace")]), None);
    }

    #[test]
    fn flash_and_errors_name_the_cookies_that_brought_something() {
        let former = decode("REVEL_FLASH=; REVEL_ERRORS=%00q%3Aa%00%00q%3Ab%00");
        assert_eq!(former.flash.errors.get_all("q"), ["a", "b"]);
        assert_eq!(former.flash_cookies, ["REVEL_ERRORS"]);

        let unread = Revel::new(SECRET).unwrap();
        let former = unread.decode(FormerCookies::new(&[b"REVEL_FLASH=%00success%3Ax%00"]), NOW);
        assert!(former.flash.is_empty() && former.flash_cookies.is_empty());
    }
}
