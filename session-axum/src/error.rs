//! Errors of sessions, keys and settings.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

pub use crate::session_config::ConfigError;
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use serde::de::DeserializeOwned;
use session_core::{
    DecodeError, EncodeError, RandomError, decode,
    store::{StoreError, StoreErrorKind},
};
pub use session_core::{
    InvalidId, KeyError, KeyErrorKind, SealError, SealErrorKind,
    cookie::{SettingsError, TooLarge},
};

use crate::wire::flash_fit::MOST_OF_MESSAGES;

/// The error of a session that could not be read, changed or saved.
///
/// A handler can return it: it implements [`IntoResponse`], and the layer's
/// [`on_error`](crate::SessionLayer::on_error) makes the response. It never contains a value from the session.
///
/// # Examples
///
/// ```
/// # use axum::{Router, http::StatusCode, routing::get};
/// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
/// async fn save(session: Session) -> Result<&'static str, Error> {
///     session.insert("photo", "x".repeat(5_000))?; // more than one cookie holds
///     Ok("Saved")
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let layer = SessionLayer::signed(Keys::generate());
/// let client = Client::new(Router::new().route("/", get(save)).layer(layer));
/// let response = client.get("/").await;
/// assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
/// assert_eq!(response.text(), "Something went wrong with your session. Please try again.");
/// # }
/// ```
#[derive(Clone)]
// In a box, because every result of a request is moved with room for one of these.
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// The reason of an [`Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The session has a value for the key, but the value cannot be read as the requested type.
    Decode {
        /// The key of the value.
        key: String,
    },
    /// The value for the key cannot be stored as JSON that can be read back.
    Encode {
        /// The key of the value.
        key: String,
    },
    /// The key begins with `$`. Such keys are reserved for the session's own metadata.
    ReservedKey {
        /// The reserved key.
        key: String,
    },
    /// The cookie would be larger than browsers accept. The layer did not send it, and the browser keeps its previous
    /// cookie.
    TooLarge(TooLarge),
    /// The response has already been sent, so this change would be lost.
    Closed,
    /// The operating system returned no random bytes for an id or a nonce.
    NoRandomness,
    /// The session store failed. It may have carried out the operation nevertheless, for example if only its reply was
    /// lost.
    Store(StoreErrorKind),
    /// The session ended while its request ran: the visitor logged out elsewhere, or the session expired. It cannot be
    /// saved any more.
    Gone,
    /// The layer has no session store, so it has no list of sessions.
    NoStore,
    /// The layer keeps no sessions in a store, so a session cannot be used after the response: see
    /// [`Detached`](crate::Detached).
    InCookie,
    /// A [`Detached`](crate::Detached) handle was used before its request has saved the session.
    Unsaved,
    /// The layer gives out no tokens for the `Authorization` header.
    NoBearer,
    /// No session layer around the route has the cookie of a struct.
    NoSuchSession {
        /// The name of the cookie, as in `#[session(cookie = "..")]`.
        cookie: &'static str,
    },
    /// The cookie of a [`Ticket`](crate::Ticket) cannot be set: it has the name of the layer's own cookies.
    Ticket,
    /// A value could not be sealed by a [`Sealer`](crate::Sealer).
    Seal(SealErrorKind),
    /// An owner or a label is empty, has more than 255 bytes, or contains a NUL.
    InvalidName,
}

impl Error {
    /// Returns the reason of the error.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, ErrorKind, Keys, Session, SessionLayer, testing::Client};
    /// async fn page(session: Session) -> Result<(), Error> {
    ///     session.insert("user", "ada")?;
    ///     let error = session.get::<u32>("user").unwrap_err();
    ///     assert_eq!(error.kind(), &ErrorKind::Decode { key: "user".to_owned() });
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let layer = SessionLayer::signed(Keys::generate());
    /// # assert_eq!(Client::new(Router::new().route("/", get(page)).layer(layer)).get("/").await.status(), 200);
    /// # }
    /// ```
    #[must_use]
    pub const fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Returns the status of the default response: 503 if a store is unavailable, 409 if the session ended while its
    /// request ran ([`ErrorKind::Gone`]), 500 otherwise.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, http::StatusCode, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn page(session: Session) -> Result<(), Error> {
    ///     let error = session.insert("$user", "ada").unwrap_err(); // keys with `$` are reserved
    ///     assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let layer = SessionLayer::signed(Keys::generate());
    /// # assert_eq!(Client::new(Router::new().route("/", get(page)).layer(layer)).get("/").await.status(), 200);
    /// # }
    /// ```
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match &self.0.kind {
            ErrorKind::Store(StoreErrorKind::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Gone => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns whether a store failed. The layer does not ask that store again for the same request.
    pub(crate) const fn is_about_the_store(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Store(_))
    }

    /// Returns whether the store may have carried out the failed operation nevertheless.
    pub(crate) const fn may_have_happened(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Store(StoreErrorKind::Unavailable))
    }

    fn new(kind: ErrorKind, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Box::new(Inner { kind, source: Some(Arc::new(source)) }))
    }

    fn without_source(kind: ErrorKind) -> Self {
        Self(Box::new(Inner { kind, source: None }))
    }

    fn decode<T>(key: &str, text: &str, source: DecodeError) -> Self {
        let source = WrongType { found: kind_of(text), requested: short(std::any::type_name::<T>()), source };
        Self::new(ErrorKind::Decode { key: key.to_owned() }, source)
    }

    pub(crate) fn encode(key: &str, source: EncodeError) -> Self {
        Self::new(ErrorKind::Encode { key: key.to_owned() }, source)
    }

    pub(crate) fn reserved(key: &str) -> Self {
        Self::without_source(ErrorKind::ReservedKey { key: key.to_owned() })
    }

    pub(crate) fn closed() -> Self {
        Self::without_source(ErrorKind::Closed)
    }

    pub(crate) fn gone() -> Self {
        Self::without_source(ErrorKind::Gone)
    }

    pub(crate) fn no_such_session(cookie: &'static str) -> Self {
        Self::without_source(ErrorKind::NoSuchSession { cookie })
    }

    pub(crate) fn invalid_name() -> Self {
        Self::without_source(ErrorKind::InvalidName)
    }

    pub(crate) fn no_store() -> Self {
        Self::without_source(ErrorKind::NoStore)
    }

    pub(crate) fn in_cookie() -> Self {
        Self::without_source(ErrorKind::InCookie)
    }

    pub(crate) fn unsaved() -> Self {
        Self::without_source(ErrorKind::Unsaved)
    }

    pub(crate) fn no_bearer() -> Self {
        Self::without_source(ErrorKind::NoBearer)
    }

    /// Returns whether the session has ended.
    pub(crate) const fn is_gone(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Gone)
    }

    pub(crate) fn too_many_writes() -> Self {
        StoreError::new(StoreErrorKind::Unavailable, TOO_MANY_WRITES).into()
    }

    /// Adds the largest keys of `entries` to the sentence, if the error is a cookie that is too large.
    pub(crate) fn naming<'a>(self, entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        match self.0.kind {
            ErrorKind::TooLarge(error) => error.naming(entries).into(),
            _ => self,
        }
    }

    /// Makes the default response. It contains none of the error's details.
    pub(crate) fn calm_response(&self) -> Response {
        Self::calm_answer(self.status())
    }

    pub(crate) fn calm_answer(status: StatusCode) -> Response {
        (status, CALM).into_response()
    }
}

impl From<TooLarge> for Error {
    fn from(error: TooLarge) -> Self {
        Self::without_source(ErrorKind::TooLarge(error))
    }
}

impl From<RandomError> for Error {
    fn from(error: RandomError) -> Self {
        Self::new(ErrorKind::NoRandomness, error)
    }
}

impl From<SettingsError> for Error {
    fn from(error: SettingsError) -> Self {
        Self::new(ErrorKind::Ticket, error)
    }
}

impl From<SealError> for Error {
    fn from(error: SealError) -> Self {
        Self::new(ErrorKind::Seal(error.kind()), error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::new(ErrorKind::Store(error.kind()), error)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error").field("kind", &self.0.kind).field("source", &self.0.source).finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            ErrorKind::Decode { key } => {
                let types = self.0.source.as_deref().and_then(|source| source.downcast_ref::<WrongType>());
                let (found, requested) = types.map_or(("", "the requested type"), |types| (types.found, &*types.requested));
                write!(
                    f,
                    "the session's value for `{key}`{found} cannot be read as `{requested}`: use the type that was inserted, \
                     or remove the key"
                )
            }
            ErrorKind::Encode { key } => write!(
                f,
                "the value for the session key `{key}` cannot be stored as JSON that is read back: use finite floats and text \
                 as map keys, nest at most 32 levels, and repeat no key"
            ),
            ErrorKind::ReservedKey { key } => {
                write!(f, "the key `{key}` begins with `$`, which is reserved: choose another key")
            }
            ErrorKind::TooLarge(error) if error.limit() == MOST_OF_MESSAGES => {
                write!(f, "{error}; flash shorter messages, or keep the long text elsewhere and flash where it is")
            }
            ErrorKind::TooLarge(error) => {
                write!(f, "{error}; store less, or let a session use several cookies with `SessionLayer::chunked`")
            }
            ErrorKind::Closed => f.write_str(
                "the response has already been sent, so this change would be lost: change the session before the \
                 handler returns, not in a spawned task or a streamed body",
            ),
            ErrorKind::NoRandomness => f.write_str(
                "the operating system returned no random bytes: check that a sandbox does not forbid the call",
            ),
            ErrorKind::Store(_) => match &self.0.source {
                Some(error) => error.fmt(f),
                None => f.write_str("the session store failed"),
            },
            ErrorKind::Ticket => f.write_str(
                "the cookie of a ticket cannot be set: give the ticket another name, which does not begin with the name of \
                 the session's or the flash's cookie",
            ),
            ErrorKind::Seal(_) => f.write_str("a value could not be sealed"),
            ErrorKind::Gone => f.write_str(
                "the session ended while its request ran, or while a detached handle was in use, so nothing more is read from it or \
                 written to it: ask the visitor to start again",
            ),
            ErrorKind::Unsaved => f.write_str(
                "the request did not save its session within the store's timeout, so a detached handle finds nothing: use the \
                 handle after the response, or call `session.save()` first",
            ),
            ErrorKind::InvalidName => f.write_str(
                "the owner or the label of a session must have 1 to 255 bytes and no NUL: use a shorter name, such as a \
                 user's id",
            ),
            ErrorKind::InCookie => f.write_str(
                "this layer keeps no sessions in a store, so a session cannot be used after the response: use \
                 `SessionLayer::stored(store, keys)`",
            ),
            ErrorKind::NoBearer => f.write_str(
                "this layer gives out no bearer tokens, and only sessions in a store can have them: use \
                 `SessionLayer::stored(store, keys).bearer()`",
            ),
            ErrorKind::NoSuchSession { cookie } => write!(
                f,
                "no session layer around this route has the cookie `{cookie}`: add a layer with this `name`, or correct \
                 `#[session(cookie = \"..\")]`"
            ),
            ErrorKind::NoStore => f.write_str(
                "this layer has no session store, so sessions cannot be listed or ended from outside their requests: \
                 use `SessionLayer::stored(store, keys)`",
            ),
        }
    }
}

/// Reads the value under a key from its JSON text.
pub(crate) fn read_value<T: DeserializeOwned>(key: &str, text: Option<&str>) -> Result<Option<T>, Error> {
    text.map(|text| decode(text).map_err(|error| Error::decode::<T>(key, text, error))).transpose()
}

/// The two types of a value that could not be read. It holds nothing of the value.
#[derive(Debug)]
struct WrongType {
    /// The kind of JSON that the session has.
    found: &'static str,
    /// The name of the Rust type.
    requested: String,
    source: DecodeError,
}

impl fmt::Display for WrongType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl std::error::Error for WrongType {}

/// Returns a type's name without the paths of modules: `Vec<String>` for `alloc::vec::Vec<alloc::string::String>`.
fn short(name: &str) -> String {
    let parts = name.split_inclusive(|letter: char| !(letter.is_alphanumeric() || "_:".contains(letter)));
    parts.map(|part| part.rsplit_once("::").map_or(part, |(_, last)| last)).collect()
}

/// Returns the kind of a JSON text, for a sentence.
fn kind_of(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'"') => ", a text,",
        Some(b'{') => ", an object,",
        Some(b'[') => ", a list,",
        Some(b't' | b'f') => ", a boolean,",
        Some(b'n') => ", null,",
        _ => ", a number,",
    }
}

/// Formats an error with all its sources, on one line of the log.
pub(crate) struct Chain<'a>(pub(crate) &'a Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = std::error::Error::source(self.0);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // `Display` prints the store's error itself, so the next source is the error of the database.
        if self.is_about_the_store() {
            return self.0.source.as_deref()?.source();
        }
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.calm_response();
        response.extensions_mut().insert(Failure(self));
        response
    }
}

/// The body of the default response to every error.
const CALM: &str = "Something went wrong with your session. Please try again.";

/// The error that a handler returned. It is an extension of the response, where the layer finds it and calls
/// [`on_error`](crate::SessionLayer::on_error).
#[derive(Clone, Debug)]
pub(crate) struct Failure(pub(crate) Error);

/// Marks a response that a layer has made from an error. The layers around it save nothing either.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MadeFromError;

/// Marks a response with an error that the application has put into its extensions, and that was logged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Logged;

/// The last error that a request's session returned to the application. The clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastError(Arc<Mutex<Option<Error>>>);

impl LastError {
    pub(crate) fn note(&self, error: &Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
    }

    pub(crate) fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Returns whether the status means that the handler did not finish. A timeout responds with 408 instead of the
/// handler.
pub(crate) fn is_failure(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT
}

const TOO_MANY_WRITES: &str = "other requests kept changing this session until the store's timeout was over";
