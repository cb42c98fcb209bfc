//! Cookies: reading the `Cookie` header, and writing the `Set-Cookie` header.
//!
//! Names and values are bytes. Nothing is decoded, so that a cookie has one spelling only.

use std::{
    fmt::{self, Write as _},
    iter,
};

use cookie::{Cookie, SameSite};
use memchr::{memchr, memmem::Finder};

use crate::lifetime::MAX_COOKIE_AGE;

/// Splits the value of a `Cookie` header into names and values (RFC 6265bis, section 4.2.1).
///
/// Names and values are returned byte for byte. Names are not percent-decoded: otherwise `__%48ost-session`, which any
/// page of the domain may set, would look like `__Host-session`, which browsers protect. Spaces and tabs around a pair
/// are removed, quotes are kept, and a pair without `=` is skipped.
///
/// # Examples
///
/// ```
/// use session_core::cookie::pairs;
///
/// let found: Vec<_> = pairs(b"theme=dark; broken; sid=a=b").collect();
/// assert_eq!(found, [(&b"theme"[..], &b"dark"[..]), (b"sid", b"a=b")]);
/// ```
pub fn pairs(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    header.split(|byte| *byte == b';').filter_map(|pair| {
        let pair = trim(pair);
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        Some((&pair[..equals], &pair[equals + 1..]))
    })
}

fn trim(mut pair: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = pair {
        pair = rest;
    }
    trim_end(pair)
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The largest size of a cookie that browsers must keep, in bytes: name and value together (RFC 6265bis, section 5.6).
pub const MAX_SIZE: usize = 4096;

/// The name and the attributes of a cookie. They are checked once, by [`Settings::build`].
///
/// The methods append their argument `suffix` to the name. Suffixes are for cookies that are split into pieces or that
/// occur several times.
///
/// # Examples
///
/// ```
/// use session_core::cookie::Settings;
///
/// let spec = Settings::new("session").build()?;
/// assert_eq!(
///     spec.set("", "abc", Some(3_600))?,
///     "__Host-session=abc; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=3600"
/// );
/// assert_eq!(spec.find(b"theme=dark; __Host-session=abc").next(), Some((&b""[..], &b"abc"[..])));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Spec {
    name: String,
    /// The searcher for the name, which is expensive to make.
    finder: Finder<'static>,
    /// The attributes as text, which follows the value.
    tail: String,
    /// The attributes of cookies that other settings may have left under this name.
    twins: Vec<String>,
    /// Whether a browser may hold such cookies. It can do so if this cookie has a Domain, a path other than `/`, or
    /// Partitioned.
    may_have_twins: bool,
    secure: bool,
    /// What tells this cookie from others of its name in a browser: the Domain, the path and Partitioned.
    place: String,
}

impl Spec {
    /// Returns the cookie's name, without a suffix.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// assert_eq!(Settings::new("session").build()?.name(), "__Host-session");
    /// # Ok::<(), session_core::cookie::SettingsError>(())
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether this is the cookie's name, apart from prefixes such as `__Host-`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// let spec = Settings::new("session").name("__Host-cart").build()?;
    /// assert!(spec.is_named("cart") && spec.is_named("__Host-cart") && spec.is_named("__Secure-cart"));
    /// assert!(!spec.is_named("session"));
    /// # Ok::<(), session_core::cookie::SettingsError>(())
    /// ```
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        without_prefix(&self.name) == without_prefix(name)
    }

    /// Returns whether the name begins with a prefix for which browsers have rules, such as `__Host-`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// assert!(Settings::new("session").build()?.has_prefix());
    /// assert!(!Settings::new("session").name("sid").build()?.has_prefix());
    /// # Ok::<(), session_core::cookie::SettingsError>(())
    /// ```
    #[must_use]
    pub fn has_prefix(&self) -> bool {
        prefix(&self.name).is_some()
    }

    /// Returns whether the cookie has the attribute Secure: browsers then send it over HTTPS only.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// assert!(Settings::new("session").build()?.is_secure());
    /// assert!(!Settings::new("session").insecure().build()?.is_secure());
    /// # Ok::<(), session_core::cookie::SettingsError>(())
    /// ```
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Finds the cookies in the value of a `Cookie` header that have this name, or this name and a suffix. Returns the
    /// suffix and the value of each.
    ///
    /// A cookie of more than [`MAX_SIZE`] bytes is skipped. The search for the name covers the whole header at once, so
    /// that other cookies cost almost nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// let spec = Settings::new("session").name("sid").build()?;
    /// let found: Vec<_> = spec.find(b"sid=a; theme=dark; sid.1=b; other-sid=c").collect();
    /// assert_eq!(found, [(&b""[..], &b"a"[..]), (b".1", b"b")]);
    /// # Ok::<(), session_core::cookie::SettingsError>(())
    /// ```
    pub fn find<'a>(&'a self, header: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut at = 0;
        iter::from_fn(move || {
            loop {
                let start = at + self.finder.find(&header[at..])?;
                at = start + self.name.len();
                // The name may also stand in another cookie's value or behind another name. Only a `;`, or nothing, may
                // come before it. Every hit is checked on its own, so one bad pair does not hide the others.
                let before = trim_end(&header[..start]);
                if !before.is_empty() && !before.ends_with(b";") {
                    continue;
                }
                // The `=` is searched within the pair only: in `sid; a=b`, `sid` is a pair without a value.
                let rest = &header[at..];
                let pair = &rest[..memchr(b';', rest).unwrap_or(rest.len())];
                // No other pair begins within this one.
                at += pair.len();
                let Some(equals) = memchr(b'=', pair) else { continue };
                let (suffix, value) = (&pair[..equals], trim_end(&pair[equals + 1..]));
                // No larger cookie was ever set. Checking the signature of such a value would cost time for nothing.
                if self.name.len() + suffix.len() + value.len() <= MAX_SIZE {
                    return Some((suffix, value));
                }
            }
        })
    }

    /// Returns the value of a `Set-Cookie` header that sets the cookie to `value`.
    ///
    /// `max_age` is in seconds, and larger values are reduced to 400 days. With `None` the cookie lasts until the
    /// browser closes. The value is not checked: the caller uses only characters that a cookie may have (RFC 6265bis,
    /// section 4.1.1).
    ///
    /// # Errors
    ///
    /// Returns an error if name, suffix and value together have more than [`MAX_SIZE`] bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// let spec = Settings::new("session").insecure().build()?;
    /// assert_eq!(spec.set(".1", "abc", None)?, "session.1=abc; HttpOnly; SameSite=Lax; Path=/");
    /// assert!(spec.set("", &"x".repeat(4_096), None).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set(&self, suffix: &str, value: &str, max_age: Option<u64>) -> Result<String, TooLarge> {
        self.set_with(suffix, value.len(), max_age, |text| {
            text.push_str(value);
            Ok(())
        })
    }

    /// Returns the same as [`Spec::set`], for a value that `write` appends to the text. `len` is the length of the
    /// value in bytes.
    ///
    /// # Errors
    ///
    /// Returns the error of [`Spec::set`] before `write` is called, and otherwise the error of `write`.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::{Settings, TooLarge};
    ///
    /// let spec = Settings::new("session").build()?;
    /// let header = spec.set_with("", 3, None, |text| {
    ///     text.push_str("abc");
    ///     Ok::<_, TooLarge>(())
    /// })?;
    /// assert_eq!(header, spec.set("", "abc", None)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_with<E: From<TooLarge>>(
        &self,
        suffix: &str,
        len: usize,
        max_age: Option<u64>,
        write: impl FnOnce(&mut String) -> Result<(), E>,
    ) -> Result<String, E> {
        let size = self.name.len() + suffix.len() + len;
        if size > MAX_SIZE {
            return Err(TooLarge::new(&self.name, size, MAX_SIZE).into());
        }
        self.print(suffix, len, max_age, write)
    }

    /// Returns the value of a `Set-Cookie` header that removes the cookie. It has the attributes that [`Spec::set`]
    /// gives, because browsers only remove a cookie with the same Domain and Path.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// let spec = Settings::new("session").build()?;
    /// assert_eq!(spec.clear(""), "__Host-session=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0");
    /// # Ok::<(), session_core::cookie::SettingsError>(())
    /// ```
    #[must_use]
    pub fn clear(&self, suffix: &str) -> String {
        let Ok(text) = self.print(suffix, 0, Some(0), |_| Ok::<_, std::convert::Infallible>(()));
        text
    }

    /// Returns what tells this cookie from others of its name in a browser: the Domain, the path and Partitioned.
    #[doc(hidden)]
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns whether a browser may hold cookies of the same name from other settings, which this cookie does not
    /// replace. It can do so if this cookie has a Domain, a path other than `/`, or Partitioned.
    #[must_use]
    pub const fn may_have_twins(&self) -> bool {
        self.may_have_twins
    }

    /// Returns the `Set-Cookie` values that remove what other settings may have left under this name and `suffix`.
    /// There is a value for each combination of settings: for the host alone and for the Domain, for the path and for
    /// `/`, partitioned and not. A browser keeps such cookies apart (RFC 6265bis, section 5.7).
    pub fn clear_twins<'a>(&'a self, suffix: &'a str) -> impl Iterator<Item = String> + 'a {
        self.twins.iter().map(move |tail| format!("{}{suffix}={tail}{MAX_AGE}0", self.name))
    }

    /// Prints the header's value. The capacity of the text is exact, so that a header takes it without a copy.
    fn print<E>(
        &self,
        suffix: &str,
        len: usize,
        max_age: Option<u64>,
        write: impl FnOnce(&mut String) -> Result<(), E>,
    ) -> Result<String, E> {
        let max_age = max_age.map(|seconds| seconds.min(MAX_COOKIE_AGE));
        let digits = |seconds: u64| 1 + seconds.checked_ilog10().unwrap_or(0) as usize;
        let age_len = max_age.map_or(0, |seconds| MAX_AGE.len() + digits(seconds));
        let mut text = String::with_capacity(self.name.len() + suffix.len() + 1 + len + self.tail.len() + age_len);
        text.extend([&self.name, suffix, "="]);
        write(&mut text)?;
        text.push_str(&self.tail);
        if let Some(seconds) = max_age {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{MAX_AGE}{seconds}");
        }
        Ok(text)
    }
}

/// The builder of a [`Spec`]. Without further calls, the settings are right for production.
///
/// The order of the calls does not matter, except that [`insecure`](Self::insecure) changes what was set before it.
///
/// # Examples
///
/// ```
/// use session_core::cookie::Settings;
///
/// let spec = Settings::new("session").path("/shop").build()?;
/// assert_eq!(spec.name(), "__Secure-session"); // `__Host-` needs the path `/`
/// # Ok::<(), session_core::cookie::SettingsError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    name: Name,
    domain: Option<String>,
    path: String,
    same_site: SameSite,
    secure: bool,
    partitioned: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    /// A base name, which gets the strongest prefix that the other settings allow.
    Default(&'static str),
    /// The name that the application gave.
    Asked(String),
}

impl Settings {
    /// Creates settings with the defaults: the name `__Host-` and `base`, Secure, `HttpOnly`, `SameSite=Lax`, `Path=/`,
    /// and no Domain.
    ///
    /// With a domain or another path, the prefix of the name becomes `__Secure-`. Without Secure there is no prefix.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// let name = |settings: Settings| settings.build().map(|spec| spec.name().to_owned());
    /// assert_eq!(name(Settings::new("flash"))?, "__Host-flash");
    /// assert_eq!(name(Settings::new("flash").domain("example.com"))?, "__Secure-flash");
    /// assert_eq!(name(Settings::new("flash").insecure())?, "flash");
    /// # Ok::<(), session_core::cookie::SettingsError>(())
    /// ```
    #[must_use]
    pub fn new(base: &'static str) -> Self {
        Self {
            name: Name::Default(base),
            domain: None,
            path: "/".to_owned(),
            same_site: SameSite::Lax,
            secure: true,
            partitioned: false,
        }
    }

    /// Sets the name, and adds no prefix to it.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// assert_eq!(Settings::new("session").name("sid").build()?.name(), "sid");
    /// assert!(Settings::new("session").name("two words").build().is_err());
    /// # Ok::<(), session_core::cookie::SettingsError>(())
    /// ```
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        Self { name: Name::Asked(name.to_owned()), ..self }
    }

    /// Returns whether [`name`](Self::name) was called.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// assert!(!Settings::new("session").has_name());
    /// assert!(Settings::new("session").name("sid").has_name());
    /// ```
    #[must_use]
    pub const fn has_name(&self) -> bool {
        matches!(self.name, Name::Asked(_))
    }

    /// Sets the Domain attribute: browsers send the cookie to this domain and all its subdomains. A leading dot is
    /// ignored.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// let spec = Settings::new("session").domain(".example.com").build()?;
    /// assert!(spec.clear("").contains("; Domain=example.com"));
    /// assert!(Settings::new("session").domain("https://example.com").build().is_err());
    /// # Ok::<(), session_core::cookie::SettingsError>(())
    /// ```
    #[must_use]
    pub fn domain(self, domain: &str) -> Self {
        Self { domain: Some(domain.strip_prefix('.').unwrap_or(domain).to_owned()), ..self }
    }

    /// Sets the Path attribute: browsers send the cookie with requests for this path and the paths below it.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// let spec = Settings::new("session").path("/shop").build()?;
    /// assert!(spec.clear("").contains("; Path=/shop;"));
    /// assert!(Settings::new("session").path("shop").build().is_err());
    /// # Ok::<(), session_core::cookie::SettingsError>(())
    /// ```
    #[must_use]
    pub fn path(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// Sets the `SameSite` attribute: it decides with which requests from other sites browsers send the cookie.
    ///
    /// # Examples
    ///
    /// ```
    /// use cookie::SameSite;
    /// use session_core::cookie::Settings;
    ///
    /// let spec = Settings::new("session").same_site(SameSite::Strict).build()?;
    /// assert!(spec.clear("").contains("; SameSite=Strict;"));
    /// # Ok::<(), session_core::cookie::SettingsError>(())
    /// ```
    #[must_use]
    pub fn same_site(self, same_site: SameSite) -> Self {
        Self { same_site, ..self }
    }

    /// Sets or removes the `Partitioned` attribute (CHIPS). With it, browsers keep a separate cookie for each site that
    /// embeds the application.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// let spec = Settings::new("session").partitioned(true).build()?;
    /// assert!(spec.clear("").contains("; Partitioned;"));
    /// # Ok::<(), session_core::cookie::SettingsError>(())
    /// ```
    #[must_use]
    pub fn partitioned(self, partitioned: bool) -> Self {
        Self { partitioned, ..self }
    }

    /// Removes Secure, so that browsers also send the cookie over HTTP.
    ///
    /// What browsers refuse without Secure is removed too: the prefix of the name, and Partitioned. `SameSite=None`
    /// becomes `SameSite=Lax`. This changes the settings so far. If a later call sets one of these again,
    /// [`build`](Self::build) returns an error.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// let spec = Settings::new("session").name("__Host-sid").insecure().build()?;
    /// assert_eq!(spec.clear(""), "sid=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0");
    /// # Ok::<(), session_core::cookie::SettingsError>(())
    /// ```
    #[must_use]
    pub fn insecure(self) -> Self {
        let same_site = if self.same_site == SameSite::None { SameSite::Lax } else { self.same_site };
        let name = match self.name {
            Name::Asked(name) => Name::Asked(without_prefix(&name).to_owned()),
            name @ Name::Default(_) => name,
        };
        Self { name, same_site, secure: false, partitioned: false, ..self }
    }

    /// Returns whether the cookie will have the attribute Secure.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// assert!(Settings::new("session").is_secure());
    /// assert!(!Settings::new("session").insecure().is_secure());
    /// ```
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Checks the settings and creates the [`Spec`].
    ///
    /// # Errors
    ///
    /// Returns an error if browsers would refuse the cookie, or if the name, the domain or the path has characters that
    /// are not allowed. The sentence names the setting to change.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// let error = Settings::new("session").name("__Host-shop").domain("example.com").build().unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "browsers refuse \"__Host-shop\" with a Domain: remove the domain, or name the cookie `__Secure-..` instead"
    /// );
    /// ```
    pub fn build(&self) -> Result<Spec, SettingsError> {
        let name = self.resolved_name();
        self.check(&name)?;
        let finder = Finder::new(&name).into_owned();
        let may_have_twins = self.domain.is_some() || self.path != "/" || self.partitioned;
        let (tail, twins, place) = (self.tail(), self.twins(), self.place());
        Ok(Spec { finder, tail, twins, may_have_twins, secure: self.secure, place, name })
    }

    fn place(&self) -> String {
        let domain = self.domain.as_deref().unwrap_or_default().trim_start_matches('.').to_ascii_lowercase();
        format!("{domain}{}{}", self.path, if self.partitioned { ";Partitioned" } else { "" })
    }

    /// Returns the attributes as text, which follows the value in the header.
    fn tail(&self) -> String {
        let mut attributes = Cookie::build(("x", ""))
            .http_only(true)
            .secure(self.secure)
            .same_site(self.same_site)
            .partitioned(self.partitioned)
            .path(&self.path);
        if let Some(domain) = &self.domain {
            attributes = attributes.domain(domain);
        }
        attributes.to_string()["x=".len()..].to_owned()
    }

    /// Returns the attributes of the cookies that other settings may have set under this name. A browser keeps those
    /// cookies apart from this one.
    fn twins(&self) -> Vec<String> {
        let mut twins = vec![self.clone()];
        if self.domain.is_some() {
            twins.push(Self { domain: None, ..self.clone() });
        }
        if self.path != "/" {
            twins.extend(twins.clone().into_iter().map(|it| Self { path: "/".to_owned(), ..it }));
        }
        if self.secure {
            twins.extend(twins.clone().into_iter().map(|it| Self { partitioned: !it.partitioned, ..it }));
        }
        twins[1..].iter().map(Self::tail).collect()
    }

    fn resolved_name(&self) -> String {
        match &self.name {
            Name::Asked(name) => name.clone(),
            Name::Default(base) if !self.secure => (*base).to_owned(),
            Name::Default(base) if self.domain.is_some() || self.path != "/" => format!("__Secure-{base}"),
            Name::Default(base) => format!("__Host-{base}"),
        }
    }

    fn check(&self, name: &str) -> Result<(), SettingsError> {
        let refuse = |kind| Err(SettingsError { kind, subject: name.to_owned() });
        if without_prefix(name).is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_token_byte) {
            return refuse(SettingsErrorKind::Name);
        }
        if let Some(prefix) = prefix(name) {
            let host = prefix.to_ascii_lowercase().starts_with("__host-");
            if !self.secure {
                return refuse(SettingsErrorKind::PrefixWithoutSecure);
            }
            if host && self.domain.is_some() {
                return refuse(SettingsErrorKind::HostPrefixWithDomain);
            }
            if host && self.path != "/" {
                return refuse(SettingsErrorKind::HostPrefixWithPath);
            }
        }
        if self.same_site == SameSite::None && !self.secure {
            return refuse(SettingsErrorKind::SameSiteNoneWithoutSecure);
        }
        if self.partitioned && !self.secure {
            return refuse(SettingsErrorKind::PartitionedWithoutSecure);
        }
        if self.domain.as_deref().is_some_and(|domain| !is_domain(domain)) {
            return refuse(SettingsErrorKind::Domain);
        }
        if !is_path(&self.path) {
            return refuse(SettingsErrorKind::Path);
        }
        Ok(())
    }
}

/// Checks that the names of the session cookie and the flash cookie cannot be confused, with any suffix.
///
/// # Errors
///
/// Returns an error if the names are equal, or if one begins with the other and a dot. Prefixes such as `__Host-` are
/// ignored.
///
/// # Examples
///
/// ```
/// use session_core::cookie::{Settings, check_distinct};
///
/// let named = |name| Settings::new("session").name(name).build();
/// assert!(check_distinct(&named("shop")?, &named("shop-flash")?).is_ok());
/// assert!(check_distinct(&named("shop")?, &named("shop.flash")?).is_err());
/// # Ok::<(), session_core::cookie::SettingsError>(())
/// ```
pub fn check_distinct(one: &Spec, other: &Spec) -> Result<(), SettingsError> {
    let within = |whole: &str, start: &str| {
        whole.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let (a, b) = (without_prefix(&one.name), without_prefix(&other.name));
    if within(a, b) || within(b, a) {
        return Err(SettingsError { kind: SettingsErrorKind::SameNames, subject: other.name.clone() });
    }
    Ok(())
}

/// The error for settings that browsers would refuse, or that contradict each other. Its sentence contains the remedy.
#[derive(Clone, PartialEq, Eq)]
pub struct SettingsError {
    kind: SettingsErrorKind,
    /// The cookie's name.
    subject: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SettingsErrorKind {
    Name,
    SameNames,
    PrefixWithoutSecure,
    HostPrefixWithDomain,
    HostPrefixWithPath,
    SameSiteNoneWithoutSecure,
    PartitionedWithoutSecure,
    Domain,
    Path,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.subject;
        match self.kind {
            SettingsErrorKind::Name => write!(
                f,
                "{name:?} cannot be a cookie's name: use 1 to {MAX_NAME} ASCII letters, digits, or !#$%&'*+-.^_`|~"
            ),
            SettingsErrorKind::SameNames => write!(
                f,
                "the session cookie and the flash cookie {name:?} have names that overlap: prefixes such as `__Host-` \
                 aside, the names must differ, and neither may begin with the other and a dot"
            ),
            SettingsErrorKind::PrefixWithoutSecure => {
                write!(f, "browsers refuse {name:?} without Secure: remove `insecure_over_http` or the prefix")
            }
            SettingsErrorKind::HostPrefixWithDomain => write!(
                f,
                "browsers refuse {name:?} with a Domain: remove the domain, or name the cookie `__Secure-..` instead"
            ),
            SettingsErrorKind::HostPrefixWithPath => write!(
                f,
                "browsers refuse {name:?} with a path other than `/`: remove the path, or name the cookie `__Secure-..`"
            ),
            SettingsErrorKind::SameSiteNoneWithoutSecure => write!(
                f,
                "browsers refuse {name:?} with SameSite=None and without Secure: remove `insecure_over_http`, or use Lax"
            ),
            SettingsErrorKind::PartitionedWithoutSecure => write!(
                f,
                "browsers refuse {name:?} with Partitioned and without Secure: remove `insecure_over_http` or `partitioned`"
            ),
            SettingsErrorKind::Domain => write!(
                f,
                "the domain of the cookie {name:?} is not a host name: write it without scheme, port and path, as in `example.com`"
            ),
            SettingsErrorKind::Path => write!(
                f,
                "the path of the cookie {name:?} is not valid: begin with `/`, and use at most 1024 printable ASCII \
                 characters without spaces and `;`"
            ),
        }
    }
}

/// Prints the same sentence as `Display`, because a `main` that returns an error prints its `Debug`.
impl fmt::Debug for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for SettingsError {}

/// The error for a cookie that is larger than the limit, and that is therefore not sent.
///
/// # Examples
///
/// ```
/// use session_core::cookie::TooLarge;
///
/// let error = TooLarge::new("sid", 5_000, 4_096).naming([("small", "1"), ("big", "\"xxxxxxxx\"")]);
/// assert_eq!(
///     error.to_string(),
///     "the cookie sid would have 5000 bytes, but at most 4096 are allowed; \
///      the largest keys: big (17 bytes), small (10 bytes)"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// The cookie's name.
    pub(crate) name: String,
    pub(crate) size: usize,
    pub(crate) limit: usize,
    pub(crate) largest: Vec<(String, usize)>,
}

impl TooLarge {
    /// Creates the error for a cookie of `size` bytes, if `limit` bytes are allowed.
    #[must_use]
    pub fn new(name: &str, size: usize, limit: usize) -> Self {
        Self { name: name.to_owned(), size, limit, largest: Vec::new() }
    }

    /// Adds the three largest of `entries` to the error. The size of an entry is that of its key and value as JSON, in
    /// bytes.
    #[must_use]
    pub fn naming<'a>(mut self, entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.largest = entries.into_iter().map(|(key, text)| (key.to_owned(), key.len() + text.len() + 4)).collect();
        self.largest.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        self.largest.truncate(3);
        self
    }

    /// Returns the size of name and value together, in bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::cookie::Settings;
    ///
    /// let error = Settings::new("session").name("sid").build()?.set("", &"x".repeat(5_000), None).unwrap_err();
    /// assert_eq!((error.size(), error.limit()), (5_003, 4_096));
    /// # Ok::<(), session_core::cookie::SettingsError>(())
    /// ```
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Returns the largest size that is allowed, in bytes.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Returns up to three keys with the size of their entries as JSON, in bytes, the largest first.
    #[must_use]
    pub fn largest(&self) -> &[(String, usize)] {
        &self.largest
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, size, limit, largest } = self;
        write!(f, "the cookie {name} would have {size} bytes, but at most {limit} are allowed")?;
        for (index, (key, bytes)) in largest.iter().enumerate() {
            let separator = if index == 0 { "; the largest keys: " } else { ", " };
            write!(f, "{separator}{key} ({bytes} bytes)")?;
        }
        Ok(())
    }
}

impl std::error::Error for TooLarge {}

/// Returns the prefix of the name, if browsers have special rules for the prefix. Browsers ignore the case of a prefix
/// (RFC 6265bis, section 5.7), and so does this function.
fn prefix(name: &str) -> Option<&str> {
    ["__Host-Http-", "__Host-", "__Secure-", "__Http-"]
        .into_iter()
        .find_map(|prefix| name.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix)))
}

fn without_prefix(mut name: &str) -> &str {
    while let Some(prefix) = prefix(name) {
        name = &name[prefix.len()..];
    }
    name
}

/// Returns whether the byte is a character of a `token` (RFC 9110, section 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        !label.is_empty() && label.len() <= 63 && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    domain.len() <= 253 && domain.split('.').all(label)
}

fn is_path(path: &str) -> bool {
    path.starts_with('/') && path.len() <= 1024 && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';')
}

const MAX_AGE: &str = "; Max-Age=";
const MAX_NAME: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> Vec<(&str, &str)> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        pairs(header.as_bytes()).map(|(name, value)| (text(name), text(value))).collect()
    }

    fn attributes(settings: &Settings) -> String {
        settings.build().unwrap().set("", "v", None).unwrap()
    }

    #[test]
    fn a_header_is_read_byte_for_byte() {
        assert_eq!(read("a=1; b=2"), [("a", "1"), ("b", "2")]);
        assert_eq!(read("a=1;b=2;"), [("a", "1"), ("b", "2")]);
        assert_eq!(read(";; ;\ta=1 \t;"), [("a", "1")]);
        assert_eq!(read("a; b=2"), [("b", "2")]);
        assert_eq!(read("a=\"; b=2; c=\""), [("a", "\""), ("b", "2"), ("c", "\"")]);
        assert_eq!(read("%61=1; A=2"), [("%61", "1"), ("A", "2")]);
        assert_eq!(read("a =1; b= 2"), [("a ", "1"), ("b", " 2")]);
        assert_eq!(read("a=1=2; =3; \u{a0}a=4"), [("a", "1=2"), ("", "3"), ("\u{a0}a", "4")]);
        assert_eq!(read(""), []);
    }

    #[test]
    fn the_defaults_are_right_for_production() {
        assert_eq!(attributes(&Settings::new("session")), "__Host-session=v; HttpOnly; SameSite=Lax; Secure; Path=/");
    }

    #[test]
    fn a_cookie_is_removed_with_the_attributes_it_was_set_with() {
        let spec = Settings::new("session").domain(".example.com").path("/app").build().unwrap();
        let attributes = "; HttpOnly; SameSite=Lax; Secure; Path=/app; Domain=example.com";
        assert_eq!(spec.set(".x", "v", Some(9)).unwrap(), format!("__Secure-session.x=v{attributes}; Max-Age=9"));
        assert_eq!(spec.clear(".x"), format!("__Secure-session.x={attributes}; Max-Age=0"));
    }

    #[test]
    fn twins_are_all_other_cookies_of_the_name_that_settings_can_have_made() {
        let twins = |settings: Settings| settings.build().unwrap().clear_twins(".1").collect::<Vec<_>>();
        let [own, other] = ["; Secure; Path=/; Max-Age=0", "; Partitioned; Secure; Path=/; Max-Age=0"];
        let settings = Settings::new("session");
        assert_eq!(twins(settings.clone()), [format!("__Host-session.1=; HttpOnly; SameSite=Lax{other}")]);
        let partitioned = settings.clone().partitioned(true);
        assert_eq!(twins(partitioned.clone()), [format!("__Host-session.1=; HttpOnly; SameSite=Lax{own}")]);
        assert!(partitioned.build().unwrap().may_have_twins() && !settings.build().unwrap().may_have_twins());
        let all = twins(settings.clone().domain("example.com").path("/app"));
        assert_eq!(all.len(), 7);
        assert!(all.contains(&format!("__Secure-session.1=; HttpOnly; SameSite=Lax{own}")), "{all:?}");
        assert!(!all.contains(&settings.domain("example.com").path("/app").build().unwrap().clear(".1")));
        assert_eq!(twins(Settings::new("session").insecure()), [""; 0]);
    }

    #[test]
    fn the_capacity_is_exact() {
        let spec = Settings::new("session").build().unwrap();
        for max_age in [None, Some(0), Some(9), Some(10), Some(99), Some(100), Some(u64::MAX)] {
            let text = spec.set(".x", "value", max_age).unwrap();
            assert_eq!((text.len(), max_age), (text.capacity(), max_age));
        }
    }

    #[test]
    fn a_browser_keeps_a_cookie_for_400_days_at_the_most() {
        let set = Settings::new("session").build().unwrap().set("", "v", Some(u64::MAX)).unwrap();
        assert!(set.ends_with("; Max-Age=34560000"), "{set}");
    }

    #[test]
    fn name_and_value_have_4096_bytes_at_the_most() {
        let spec = Settings::new("session").build().unwrap();
        assert!(spec.set("", &"v".repeat(4096 - 14), None).is_ok());
        let error = spec.set("", &"v".repeat(4097 - 14), None).unwrap_err();
        assert_eq!(error.to_string(), "the cookie __Host-session would have 4097 bytes, but at most 4096 are allowed");
        assert_eq!((error.size(), error.limit()), (4097, 4096));
        let error = error.naming([("a", "1"), ("b", "\"bb\""), ("c", "22"), ("d", "333")]);
        assert_eq!(error.largest(), [("b".to_owned(), 9), ("d".to_owned(), 8), ("c".to_owned(), 7)]);
        assert_eq!(
            error.to_string(),
            "the cookie __Host-session would have 4097 bytes, but at most 4096 are allowed; \
             the largest keys: b (9 bytes), d (8 bytes), c (7 bytes)"
        );
    }

    #[test]
    fn the_suffix_counts_for_the_size_and_a_larger_cookie_is_neither_set_nor_found() {
        let spec = Settings::new("session").name("sid").build().unwrap();
        let value = |size: usize| "v".repeat(size - "sid.1".len());
        let set = |size| spec.set(".1", &value(size), None).map_err(|error| error.size()).map(|text| text.len());
        assert_eq!(set(4_096), Ok(4_096 + "=; HttpOnly; SameSite=Lax; Secure; Path=/".len()));
        assert_eq!(set(4_097), Err(4_097));
        let found = |size| spec.find(format!("sid.1={} ; sid=x", value(size)).as_bytes()).count();
        assert_eq!((found(4_096), found(4_097)), (2, 1));
    }

    #[test]
    fn a_name_is_known_by_itself_and_by_its_prefix() {
        let spec = |name: &str| Settings::new("session").name(name).build().unwrap();
        let [host, plain] = [spec("__Host-cart"), spec("sid")];
        assert_eq!((host.name(), plain.name()), ("__Host-cart", "sid"));
        assert!(host.has_prefix() && !plain.has_prefix());
        assert!(spec("__http-a").has_prefix() && spec("__HOST-http-a").has_prefix() && !spec("__Hos-a").has_prefix());
        assert!(host.is_named("cart") && host.is_named("__Secure-cart") && plain.is_named("__Host-sid"));
        assert!(!host.is_named("carts") && !plain.is_named("SID"));
    }

    #[test]
    fn a_domain_a_path_and_partitions_each_make_room_for_twins() {
        let settings = Settings::new("session");
        let (domain, path) = (settings.clone().domain("example.com"), settings.clone().path("/app"));
        for (settings, count) in [(domain.clone(), 3), (path.clone(), 3), (settings.clone().partitioned(true), 1)] {
            let spec = settings.build().unwrap();
            assert!(spec.may_have_twins(), "{settings:?}");
            assert_eq!(spec.clear_twins("").count(), count, "{settings:?}");
        }
        let twins = |settings: Settings| settings.build().unwrap().clear_twins("").collect::<Vec<_>>();
        let twin = |attributes: &str| format!("session=; HttpOnly; SameSite=Lax; {attributes}; Max-Age=0");
        assert_eq!(twins(domain.clone().insecure()), [twin("Path=/")]);
        assert_eq!(twins(path.clone().insecure()), [twin("Path=/")]);
        let both = [twin("Path=/app"), twin("Path=/; Domain=example.com"), twin("Path=/")];
        assert_eq!(twins(domain.path("/app").insecure()), both);
        assert_eq!(path.build().unwrap().name(), "__Secure-session");
    }

    #[test]
    fn over_http_the_other_settings_stay() {
        let settings = Settings::new("session").domain("example.com").path("/app").same_site(SameSite::Strict);
        assert!(settings.is_secure() && settings.build().unwrap().is_secure() && !settings.has_name());
        let insecure = settings.name("sid").insecure();
        assert!(!insecure.is_secure() && !insecure.build().unwrap().is_secure() && insecure.has_name());
        assert_eq!(attributes(&insecure), "sid=v; HttpOnly; SameSite=Strict; Path=/app; Domain=example.com");
        let lax = Settings::new("session").same_site(SameSite::None).insecure();
        assert_eq!(attributes(&lax), "session=v; HttpOnly; SameSite=Lax; Path=/");
    }

    #[test]
    fn over_http_secure_goes_together_with_all_that_needs_it() {
        let settings = Settings::new("session").same_site(SameSite::None).partitioned(true);
        assert_eq!(attributes(&settings), "__Host-session=v; HttpOnly; SameSite=None; Partitioned; Secure; Path=/");
        assert_eq!(attributes(&settings.insecure()), "session=v; HttpOnly; SameSite=Lax; Path=/");
        assert_eq!(
            attributes(&Settings::new("session").name("__Host-shop").insecure()),
            "shop=v; HttpOnly; SameSite=Lax; Path=/"
        );
    }

    #[test]
    fn what_a_browser_would_refuse_is_refused_first() {
        let kind = |settings: Settings| settings.build().unwrap_err().kind;
        let settings = || Settings::new("session");
        let host = || settings().name("__Host-shop");
        for name in ["", "__Host-", "a b", "a=b", "a;b", "é", "a\r\n", "a\"b", &"x".repeat(129)] {
            assert_eq!(kind(settings().name(name)), SettingsErrorKind::Name, "{name:?}");
        }
        assert_eq!(kind(host().domain("example.com")), SettingsErrorKind::HostPrefixWithDomain);
        assert_eq!(kind(settings().name("__hOST-shop").domain("example.com")), SettingsErrorKind::HostPrefixWithDomain);
        assert_eq!(kind(host().path("/app")), SettingsErrorKind::HostPrefixWithPath);
        assert_eq!(kind(settings().insecure().name("__Secure-shop")), SettingsErrorKind::PrefixWithoutSecure);
        assert_eq!(kind(settings().insecure().same_site(SameSite::None)), SettingsErrorKind::SameSiteNoneWithoutSecure);
        assert_eq!(kind(settings().insecure().partitioned(true)), SettingsErrorKind::PartitionedWithoutSecure);
        for domain in ["", "a b", "https://example.com", "example.com:80", "a..b", "-a.b", "a\r\n.b", "a;b"] {
            assert_eq!(kind(settings().domain(domain)), SettingsErrorKind::Domain, "{domain:?}");
        }
        for path in ["", "app", "/a;b", "/a\r\nb", "/é", "/ ", "/a b"] {
            assert_eq!(kind(settings().path(path)), SettingsErrorKind::Path, "{path:?}");
        }
    }

    #[test]
    fn the_longest_name_domain_and_path_are_accepted_and_no_longer_ones() {
        let kind = |settings: Settings| settings.build().err().map(|error| error.kind);
        let settings = || Settings::new("session");
        let label = |len: usize| "a".repeat(len);
        let domain = |last: usize| [label(63), label(63), label(63), label(last)].join(".");
        assert_eq!(kind(settings().name(&label(128))), None);
        assert_eq!(kind(settings().path(&format!("/{}", label(1_023)))), None);
        assert_eq!(kind(settings().path(&format!("/{}", label(1_024)))), Some(SettingsErrorKind::Path));
        assert_eq!(domain(61).len(), 253);
        assert_eq!(kind(settings().domain(&domain(61))), None);
        for refused in [domain(62), label(64), "a-.b".to_owned(), "a.b-".to_owned()] {
            assert_eq!(kind(settings().domain(&refused)), Some(SettingsErrorKind::Domain), "{refused}");
        }
    }

    #[test]
    fn an_error_is_printed_as_its_sentence() {
        let error = Settings::new("session").path("shop").build().unwrap_err();
        assert!(error.to_string().starts_with("the path of the cookie \"__Secure-session\" is not valid"), "{error}");
        assert_eq!(format!("{error:?}"), error.to_string());
    }

    #[test]
    fn a_place_is_the_domain_the_path_and_the_partition() {
        let place = |settings: Settings| settings.build().unwrap().place().to_owned();
        let settings = Settings::new("session");
        assert_eq!(place(settings.clone()), "/");
        let all = settings.domain(".Example.com").path("/shop").partitioned(true);
        assert_eq!(place(all), "example.com/shop;Partitioned");
    }

    #[test]
    fn two_cookies_need_two_names() {
        let spec = |name: &str| Settings::new("session").name(name).build().unwrap();
        assert!(check_distinct(&spec("a"), &spec("a")).is_err());
        assert!(check_distinct(&spec("a"), &spec("a.1")).is_err());
        assert!(check_distinct(&spec("a.1"), &spec("a")).is_err());
        assert!(check_distinct(&spec("__Host-a"), &spec("__Secure-a")).is_err());
        assert!(check_distinct(&spec("a"), &spec("ab")).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn looking_for_a_name_finds_what_taking_all_pairs_apart_finds(
            parts in proptest::collection::vec("(sid|sid|; |;|=|\\.1| |\t|x|si|\u{e9})", 0..40),
        ) {
            let header = parts.concat().into_bytes();
            let spec = Settings::new("session").name("sid").build().unwrap();
            let all = pairs(&header).filter_map(|(name, value)| Some((name.strip_prefix(b"sid")?, value)));
            proptest::prop_assert_eq!(spec.find(&header).collect::<Vec<_>>(), all.collect::<Vec<_>>());
        }

        #[test]
        fn arbitrary_headers_never_panic(header in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            for (name, value) in pairs(&header) {
                assert!(!name.contains(&b'=') && !value.contains(&b';'));
            }
        }
    }
}
