//! What a migration reads: the sessions and the flash messages of the system that an application used before.

use std::fmt::{self, Write as _};

use crate::{contract::StoreFuture, cookie::pairs, entries::Entries, messages::Batch};

/// Reads the sessions and flash messages of a former system, so that no visitor is logged out by a migration.
///
/// A request is read by the former system if it brings no session cookie of the new one. Its session is written as a
/// new session with the response, and then the former session is ended and its cookie is removed.
///
/// A system only reads. It has to authenticate what it reads: the text of a cookie comes from the client.
///
/// # Examples
///
/// This former system kept names of users in a map, under a random id in the cookie `sid`:
///
/// ```
/// use std::{collections::HashMap, sync::Mutex};
/// use session_core::{
///     former::{Former, FormerCookie, FormerCookies, FormerSession, FormerSystem},
///     store::{Entries, StoreFuture},
/// };
///
/// struct UsersById(Mutex<HashMap<Vec<u8>, String>>);
///
/// impl FormerSystem for UsersById {
///     fn cookies(&self) -> Vec<FormerCookie> {
///         vec![FormerCookie::new("sid")]
///     }
///
///     fn read<'a>(&'a self, cookies: FormerCookies<'a>, _now: u64) -> StoreFuture<'a, Former> {
///         Box::pin(async move {
///             let users = self.0.lock().unwrap();
///             let found = cookies.values("sid").find_map(|id| Some((id, users.get(id)?)));
///             let Some((id, user)) = found else { return Ok(Former::NOTHING) };
///             let entries = Entries::from_texts([("user", format!("{user:?}"))]).unwrap_or_default();
///             Ok(Former::session(FormerSession::new(id, entries)))
///         })
///     }
///
///     fn end<'a>(&'a self, session: &'a FormerSession, _now: u64) -> StoreFuture<'a, ()> {
///         self.0.lock().unwrap().remove(&session.identity);
///         Box::pin(async { Ok(()) })
///     }
/// }
///
/// # fn main() {
/// # use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
/// # let mut context = Context::from_waker(Waker::noop());
/// let system = UsersById(Mutex::new(HashMap::from([(b"4f3a".to_vec(), "ada".to_owned())])));
/// let headers: [&[u8]; 1] = [b"theme=dark; sid=4f3a"];
/// # let Poll::Ready(former) = pin!(async {
/// let former = system.read(FormerCookies::new(&headers), 1_000).await.unwrap();
/// # former
/// # }).poll(&mut context) else { panic!() };
/// assert_eq!(former.session.unwrap().entries.get("user"), Some("\"ada\""));
/// # }
/// ```
pub trait FormerSystem: Send + Sync + 'static {
    /// Returns the cookies that the system has set in browsers. The first one is the session's. When a session has moved,
    /// they are removed, except for those with messages that no page has shown yet.
    fn cookies(&self) -> Vec<FormerCookie>;

    /// Reads what the request brought. `now` is in seconds since 1970. A cookie that is not authentic, has expired or
    /// cannot be read is no session, and no error.
    ///
    /// # Errors
    ///
    /// Returns an error only if it is not known whether a session came, for example because a database does not answer.
    /// The request then fails.
    fn read<'a>(&'a self, cookies: FormerCookies<'a>, now: u64) -> StoreFuture<'a, Former>;

    /// Ends a session after it was moved, so that a copy of its cookie finds nothing. A system that keeps sessions in
    /// cookies alone has nothing to do.
    fn end<'a>(&'a self, session: &'a FormerSession, now: u64) -> StoreFuture<'a, ()> {
        let _ = (session, now);
        Box::pin(async { Ok(()) })
    }
}

/// The cookies of a request, for a [`FormerSystem`].
///
/// # Examples
///
/// ```
/// use session_core::former::FormerCookies;
///
/// let headers: [&[u8]; 2] = [b"theme=dark; sid=1", b"sid=\"2\""];
/// let found: Vec<_> = FormerCookies::new(&headers).values("sid").collect();
/// assert_eq!(found, [&b"1"[..], b"2"]);
/// ```
#[derive(Clone, Copy)]
pub struct FormerCookies<'a>(&'a [&'a [u8]]);

impl<'a> FormerCookies<'a> {
    /// Wraps the values of the request's `Cookie` headers.
    #[must_use]
    pub const fn new(headers: &'a [&'a [u8]]) -> Self {
        Self(headers)
    }

    /// Returns the values under a name, without the quotes around them, in the order in which they came. Returns at
    /// most 4, so that a flood of cookies costs little.
    pub fn values<'b>(&self, name: &'b str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'b> {
        let cookies = self.0.iter().flat_map(|header| pairs(header));
        cookies.filter(move |(found, _)| *found == name.as_bytes()).map(|(_, value)| unquoted(value)).take(MOST_VALUES)
    }
}

impl fmt::Debug for FormerCookies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormerCookies").finish_non_exhaustive()
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

/// A cookie of a former system, for its removal: its name and the attributes that tell it from others in a browser.
///
/// # Examples
///
/// ```
/// use session_core::former::FormerCookie;
///
/// let cookie = FormerCookie::new("PLAY_SESSION").domain("example.com");
/// assert_eq!(cookie.clear(), "PLAY_SESSION=; HttpOnly; Path=/; Domain=example.com; Max-Age=0");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerCookie {
    name: String,
    path: String,
    domain: Option<String>,
    is_partitioned: bool,
}

impl FormerCookie {
    /// Creates the description of a cookie with the path `/` and without a Domain.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), path: "/".to_owned(), domain: None, is_partitioned: false }
    }

    /// Sets the Path attribute.
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self }
    }

    /// Sets the Domain attribute. A leading dot makes no difference, as in browsers.
    #[must_use]
    pub fn domain(self, domain: impl Into<String>) -> Self {
        Self { domain: Some(domain.into()), ..self }
    }

    /// Sets whether the cookie has the attribute Partitioned.
    #[must_use]
    pub fn partitioned(self, partitioned: bool) -> Self {
        Self { is_partitioned: partitioned, ..self }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the `Set-Cookie` value that removes the cookie. Browsers remove it by its name, Domain and Path.
    #[must_use]
    pub fn clear(&self) -> String {
        let Self { name, path, domain, is_partitioned } = self;
        let mut text = format!("{name}=; HttpOnly; Path={path}");
        // Writing to a `String` cannot fail.
        if let Some(domain) = domain {
            let _ = write!(text, "; Domain={domain}");
        }
        // Browsers refuse a cookie with one of these names, or with Partitioned, if it has no Secure.
        if *is_partitioned || name.starts_with("__Host-") || name.starts_with("__Secure-") {
            text.push_str("; Secure");
        }
        if *is_partitioned {
            text.push_str("; SameSite=None; Partitioned");
        }
        text.push_str("; Max-Age=0");
        text
    }
}

/// What a former system has read from a request.
///
/// # Examples
///
/// ```
/// use session_core::{former::{Former, FormerSession}, store::Entries};
///
/// assert!(Former::NOTHING.session.is_none());
/// assert!(Former::session(FormerSession::new("4f3a", Entries::NONE)).session.is_some());
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Former {
    /// The session; `None` if none came, or if it is over.
    pub session: Option<FormerSession>,
    /// The identities that authentic session cookies name and that the system has no session for. Requests of one page
    /// come at once: the first one moves the session and ends it here, and the others find it by its identity. A system
    /// that keeps its sessions in cookies has none.
    pub unknown: Vec<Vec<u8>>,
    /// The flash messages that came in a cookie of their own.
    pub flash: Batch,
    /// The names of the cookies of `flash`. They are removed when the messages are.
    pub flash_cookies: Vec<String>,
}

impl Former {
    /// Neither a session nor messages.
    pub const NOTHING: Self =
        Self { session: None, unknown: Vec::new(), flash: Batch::NOTHING, flash_cookies: Vec::new() };

    /// Creates the result for a session without messages.
    #[must_use]
    pub fn session(session: FormerSession) -> Self {
        Self { session: Some(session), ..Self::NOTHING }
    }
}

/// A session of a former system.
///
/// # Examples
///
/// ```
/// use session_core::{former::FormerSession, store::Entries};
///
/// let entries = Entries::parse(br#"{"user":"ada","visits":2}"#.to_vec())?;
/// let mut session = FormerSession::new("4f3a", entries);
/// session.expires_at = Some(1_800_000_000);
/// assert_eq!(session.identity, b"4f3a");
/// # Ok::<(), session_core::Malformed>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct FormerSession {
    /// What tells the session from all others of its system: its id, or the text of its cookie. Two requests with the
    /// same identity become the same session.
    pub identity: Vec<u8>,
    /// The values. Keys that begin with `$` are left out of the new session.
    pub entries: Entries,
    /// The time at which the session began, in seconds since 1970; `None` if the system does not know it. Then the
    /// session begins with the move.
    pub created_at: Option<u64>,
    /// The last second of the former session, in seconds since 1970; `None` if the system does not know it. The new
    /// session has the limits of the new layer.
    pub expires_at: Option<u64>,
    /// The flash messages that the system keeps in the session. They move with it.
    pub flash: Batch,
}

impl FormerSession {
    /// Creates a session without times and without messages.
    #[must_use]
    pub fn new(identity: impl Into<Vec<u8>>, entries: Entries) -> Self {
        Self { identity: identity.into(), entries, created_at: None, expires_at: None, flash: Batch::NOTHING }
    }
}

impl fmt::Debug for FormerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormerSession").finish_non_exhaustive()
    }
}

/// The largest number of cookies of one name that are read.
const MOST_VALUES: usize = 4;
