//! Cookies byte for byte: a `Cookie` header to raw values, and name, value and attributes to a `Set-Cookie` header.

use std::fmt::{self, Write as _};

use cookie::{Cookie, SameSite};
use memchr::{memchr, memmem::Finder};

use crate::lifetime::MAX_COOKIE_AGE;

/// The names and values of a `Cookie` header's field value, as the bytes they are (RFC 6265bis, section 4.2.1).
///
/// Names are neither decoded nor compared without regard to case: either would let `__%48ost-session` pass for
/// `__Host-session`, which a browser guards and the other it does not. Only spaces and tabs around a pair are
/// trimmed, quotes are ordinary, and a pair without `=` is skipped alone.
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

/// The largest cookie that browsers are bound to keep: name and value together (RFC 6265bis, section 5.6).
pub const MAX_SIZE: usize = 4096;

/// Everything about a cookie but its value, checked once and printed once.
#[derive(Clone, Debug)]
pub struct Spec {
    name: String,
    /// Finds the name in a header.
    finder: Finder<'static>,
    /// The attributes as they stand behind the value.
    tail: String,
    secure: bool,
}

impl Spec {
    /// The cookie's name, without any suffix.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether browsers keep it to HTTPS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Those of a header's [`pairs`] whose name begins with this one and whose size is one that we could have sent: what
    /// follows in the name, and the value.
    ///
    /// It looks for the name instead of taking every pair apart, so that other people's cookies cost next to nothing.
    pub fn find<'a>(&'a self, header: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.finder.find_iter(header).filter_map(|start| {
            let before = trim_end(&header[..start]);
            if !before.is_empty() && !before.ends_with(b";") {
                return None;
            }
            let rest = &header[start + self.name.len()..];
            let pair = &rest[..memchr(b';', rest).unwrap_or(rest.len())];
            let equals = memchr(b'=', pair)?;
            let (suffix, value) = (&pair[..equals], trim_end(&pair[equals + 1..]));
            (self.name.len() + suffix.len() + value.len() <= MAX_SIZE).then_some((suffix, value))
        })
    }

    /// The `Set-Cookie` value that stores `value` under the name and `suffix`, for `max_age` seconds or until the
    /// browser closes.
    ///
    /// # Errors
    ///
    /// When name, suffix and value together have more than [`MAX_SIZE`] bytes.
    pub fn set(&self, suffix: &str, value: &str, max_age: Option<u64>) -> Result<String, TooLarge> {
        self.set_with(suffix, value.len(), max_age, |text| {
            text.push_str(value);
            Ok(())
        })
    }

    /// The same for a value of `len` bytes that `write` appends.
    ///
    /// # Errors
    ///
    /// As [`Spec::set`], before anything is written; otherwise what `write` says.
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

    /// The `Set-Cookie` value that removes what [`Spec::set`] stored, with the same attributes.
    #[must_use]
    pub fn clear(&self, suffix: &str) -> String {
        let Ok(text) = self.print(suffix, 0, Some(0), |_| Ok::<_, std::convert::Infallible>(()));
        text
    }

    /// The capacity is exact, so that a header takes the text over without a copy.
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
            // Writing to a String cannot fail.
            let _ = write!(text, "{MAX_AGE}{seconds}");
        }
        Ok(text)
    }
}

/// A cookie's settings while they are being put together. `Default` is right for production.
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
    /// A base that gets the strongest prefix which the other settings allow.
    Default(&'static str),
    Asked(String),
}

impl Settings {
    /// `__Host-` and `base`, Secure, `HttpOnly`, `SameSite=Lax`, `Path=/`, no Domain.
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

    /// This very name.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        Self { name: Name::Asked(name.to_owned()), ..self }
    }

    /// Returns whether a name was asked for.
    #[must_use]
    pub const fn has_name(&self) -> bool {
        matches!(self.name, Name::Asked(_))
    }

    /// For a domain and its subdomains, instead of for this host alone. A leading dot means nothing.
    #[must_use]
    pub fn domain(self, domain: &str) -> Self {
        Self { domain: Some(domain.strip_prefix('.').unwrap_or(domain).to_owned()), ..self }
    }

    /// For a path and what is below it.
    #[must_use]
    pub fn path(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// Which requests from other sites carry it.
    #[must_use]
    pub fn same_site(self, same_site: SameSite) -> Self {
        Self { same_site, ..self }
    }

    /// A jar of its own under every top-level site (CHIPS).
    #[must_use]
    pub fn partitioned(self, partitioned: bool) -> Self {
        Self { partitioned, ..self }
    }

    /// Without Secure, and so without a prefix, without `SameSite=None` and without `Partitioned`.
    #[must_use]
    pub fn insecure(self) -> Self {
        let same_site = if self.same_site == SameSite::None { SameSite::Lax } else { self.same_site };
        let name = match self.name {
            Name::Asked(name) => Name::Asked(without_prefix(&name).to_owned()),
            name @ Name::Default(_) => name,
        };
        Self { name, same_site, secure: false, partitioned: false, ..self }
    }

    /// Whether browsers will keep it to HTTPS.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Checks the settings against each other.
    ///
    /// # Errors
    ///
    /// When a browser would refuse the cookie, or a `Set-Cookie` header could not carry it.
    pub fn build(&self) -> Result<Spec, SettingsError> {
        let name = self.resolved_name();
        self.check(&name)?;
        let mut attributes = Cookie::build(("x", ""))
            .http_only(true)
            .secure(self.secure)
            .same_site(self.same_site)
            .partitioned(self.partitioned)
            .path(&self.path);
        if let Some(domain) = &self.domain {
            attributes = attributes.domain(domain);
        }
        let tail = attributes.to_string()["x=".len()..].to_owned();
        let finder = Finder::new(&name).into_owned();
        Ok(Spec { name, finder, tail, secure: self.secure })
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
            return refuse(Wrong::Name);
        }
        if let Some(prefix) = prefix(name) {
            let host = prefix.to_ascii_lowercase().starts_with("__host-");
            if !self.secure {
                return refuse(Wrong::PrefixWithoutSecure);
            }
            if host && self.domain.is_some() {
                return refuse(Wrong::HostPrefixWithDomain);
            }
            if host && self.path != "/" {
                return refuse(Wrong::HostPrefixWithPath);
            }
        }
        if self.same_site == SameSite::None && !self.secure {
            return refuse(Wrong::SameSiteNoneWithoutSecure);
        }
        if self.partitioned && !self.secure {
            return refuse(Wrong::PartitionedWithoutSecure);
        }
        if self.domain.as_deref().is_some_and(|domain| !is_domain(domain)) {
            return refuse(Wrong::Domain);
        }
        if !is_path(&self.path) {
            return refuse(Wrong::Path);
        }
        Ok(())
    }
}

/// Whether a session's and a flash's cookies can never be taken for one another, chunks and batches included.
///
/// # Errors
///
/// When the names, prefixes aside, are equal, or one is the other followed by a dot and more.
pub fn check_distinct(one: &Spec, other: &Spec) -> Result<(), SettingsError> {
    let within = |whole: &str, start: &str| {
        whole.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let (a, b) = (without_prefix(&one.name), without_prefix(&other.name));
    if within(a, b) || within(b, a) {
        return Err(SettingsError { kind: Wrong::SameNames, subject: other.name.clone() });
    }
    Ok(())
}

/// A setting that a browser would refuse or that contradicts another one. The sentence says what to do.
#[derive(Clone, PartialEq, Eq)]
pub struct SettingsError {
    kind: Wrong,
    /// The cookie's name.
    subject: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
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
            Wrong::Name => write!(
                f,
                "{name:?} cannot be a cookie's name: use 1 to {MAX_NAME} ASCII letters, digits, or !#$%&'*+-.^_`|~"
            ),
            Wrong::SameNames => write!(
                f,
                "the session cookie and the flash cookie {name:?} have names that overlap: prefixes such as `__Host-` \
                 aside, the names must differ, and neither may begin with the other and a dot"
            ),
            Wrong::PrefixWithoutSecure => {
                write!(f, "browsers refuse {name:?} without Secure: remove `insecure_over_http` or the prefix")
            }
            Wrong::HostPrefixWithDomain => write!(
                f,
                "browsers refuse {name:?} with a Domain: remove the domain, or name the cookie `__Secure-..` instead"
            ),
            Wrong::HostPrefixWithPath => write!(
                f,
                "browsers refuse {name:?} with a path other than `/`: remove the path, or name the cookie `__Secure-..`"
            ),
            Wrong::SameSiteNoneWithoutSecure => write!(
                f,
                "browsers refuse {name:?} with SameSite=None and without Secure: remove `insecure_over_http`, or use Lax"
            ),
            Wrong::PartitionedWithoutSecure => write!(
                f,
                "browsers refuse {name:?} with Partitioned and without Secure: remove `insecure_over_http` or `partitioned`"
            ),
            Wrong::Domain => write!(
                f,
                "the domain of the cookie {name:?} is not a host name: write it without scheme, port and path, as in `example.com`"
            ),
            Wrong::Path => write!(
                f,
                "the path of the cookie {name:?} is not valid: begin with `/`, and use at most 1024 printable ASCII \
                 characters without `;`"
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

/// A cookie that browsers would not keep, and so is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// The cookie's name.
    pub(crate) name: String,
    pub(crate) size: usize,
    pub(crate) limit: usize,
    pub(crate) largest: Vec<(String, usize)>,
}

impl TooLarge {
    /// An error for a cookie of `size` bytes where `limit` are allowed.
    #[must_use]
    pub fn new(name: &str, size: usize, limit: usize) -> Self {
        Self { name: name.to_owned(), size, limit, largest: Vec::new() }
    }

    /// Names the largest of `entries`, by the bytes that key and value take as JSON.
    #[must_use]
    pub fn naming<'a>(mut self, entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.largest = entries.into_iter().map(|(key, text)| (key.to_owned(), key.len() + text.len() + 4)).collect();
        self.largest.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        self.largest.truncate(3);
        self
    }

    /// Bytes of name and value together.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.size
    }

    /// The most they may be.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// The largest keys with the bytes that each takes before encoding, largest first.
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

/// The prefix that a browser will enforce. It compares without regard to case (RFC 6265bis, section 5.7), and so do we.
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

/// `token` of RFC 9110, section 5.6.2.
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
    path.starts_with('/')
        && path.len() <= 1024
        && path.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b';')
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
        assert_eq!(
            error.naming([("a", "1"), ("b", "\"bb\""), ("c", "22"), ("d", "333")]).to_string(),
            "the cookie __Host-session would have 4097 bytes, but at most 4096 are allowed; \
             the largest keys: b (9 bytes), d (8 bytes), c (7 bytes)"
        );
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
            assert_eq!(kind(settings().name(name)), Wrong::Name, "{name:?}");
        }
        assert_eq!(kind(host().domain("example.com")), Wrong::HostPrefixWithDomain);
        assert_eq!(kind(settings().name("__hOST-shop").domain("example.com")), Wrong::HostPrefixWithDomain);
        assert_eq!(kind(host().path("/app")), Wrong::HostPrefixWithPath);
        assert_eq!(kind(settings().insecure().name("__Secure-shop")), Wrong::PrefixWithoutSecure);
        assert_eq!(kind(settings().insecure().same_site(SameSite::None)), Wrong::SameSiteNoneWithoutSecure);
        assert_eq!(kind(settings().insecure().partitioned(true)), Wrong::PartitionedWithoutSecure);
        for domain in ["", "a b", "https://example.com", "example.com:80", "a..b", "-a.b", "a\r\n.b", "a;b"] {
            assert_eq!(kind(settings().domain(domain)), Wrong::Domain, "{domain:?}");
        }
        for path in ["", "app", "/a;b", "/a\r\nb", "/é"] {
            assert_eq!(kind(settings().path(path)), Wrong::Path, "{path:?}");
        }
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
