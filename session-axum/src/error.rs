//! What can go wrong with a session, and what the browser hears of it.

use std::{fmt, sync::Arc};

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use session_core::{
    DecodeError, EncodeError, RandomError,
    store::{StoreError, StoreErrorKind},
};
pub use session_core::{
    InvalidId, KeyError, KeyErrorKind,
    cookie::{SettingsError, TooLarge},
};

/// A session that could not be read, changed or saved.
///
/// It is an answer: return it from a handler, and the layer's [`on_error`](crate::SessionLayer::on_error) makes the
/// response. It never holds a value out of the session.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The value under a key is there but is not of the type that was asked for.
    Decode {
        /// The key.
        key: String,
    },
    /// A value has no JSON text that could be read back.
    Encode {
        /// The key.
        key: String,
    },
    /// Keys that begin with `$` are not the application's.
    ReservedKey {
        /// The key.
        key: String,
    },
    /// The cookie would be larger than browsers keep. It was not sent, and the previous one stays.
    TooLarge(TooLarge),
    /// The response has left: what is changed now would be lost.
    Closed,
    /// The operating system gave no randomness for an id or a nonce.
    NoRandomness,
    /// The session store did not do what it was asked to. What was asked may have happened.
    Store(StoreErrorKind),
    /// The session ended while its request ran, by a log-out elsewhere or by its limits: nothing brings it back.
    Gone,
    /// The layer has no store, so that there is no list of sessions to ask.
    NoStore,
}

impl Error {
    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The status of the answer unless the application chooses another: 503 while a store is not available, 409 when
    /// the session is gone, 500 otherwise.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match &self.kind {
            ErrorKind::Store(StoreErrorKind::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Gone => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether a store failed, which is then not asked again for the same request.
    pub(crate) const fn is_about_the_store(&self) -> bool {
        matches!(self.kind, ErrorKind::Store(_))
    }

    /// Whether what was asked of the store may have happened all the same.
    pub(crate) const fn may_have_happened(&self) -> bool {
        matches!(self.kind, ErrorKind::Store(StoreErrorKind::Unavailable))
    }

    pub(crate) fn decode(key: &str, source: DecodeError) -> Self {
        Self { kind: ErrorKind::Decode { key: key.to_owned() }, source: Some(Arc::new(source)) }
    }

    pub(crate) fn encode(key: &str, source: EncodeError) -> Self {
        Self { kind: ErrorKind::Encode { key: key.to_owned() }, source: Some(Arc::new(source)) }
    }

    pub(crate) fn reserved(key: &str) -> Self {
        Self { kind: ErrorKind::ReservedKey { key: key.to_owned() }, source: None }
    }

    pub(crate) const fn closed() -> Self {
        Self { kind: ErrorKind::Closed, source: None }
    }

    pub(crate) const fn gone() -> Self {
        Self { kind: ErrorKind::Gone, source: None }
    }

    pub(crate) const fn no_store() -> Self {
        Self { kind: ErrorKind::NoStore, source: None }
    }

    /// Names the largest of `entries` if the error is that they are too large.
    pub(crate) fn naming<'a>(self, entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        match self.kind {
            ErrorKind::TooLarge(error) => error.naming(entries).into(),
            _ => self,
        }
    }

    /// What the browser hears: nothing of the detail.
    pub(crate) fn calm_response(&self) -> Response {
        Self::calm_answer(self.status())
    }

    pub(crate) fn calm_answer(status: StatusCode) -> Response {
        (status, CALM).into_response()
    }
}

impl From<TooLarge> for Error {
    fn from(error: TooLarge) -> Self {
        Self { kind: ErrorKind::TooLarge(error), source: None }
    }
}

impl From<RandomError> for Error {
    fn from(error: RandomError) -> Self {
        Self { kind: ErrorKind::NoRandomness, source: Some(Arc::new(error)) }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self { kind: ErrorKind::Store(error.kind()), source: Some(Arc::new(error)) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ErrorKind::Decode { key } => write!(f, "the session's `{key}` is not of the type that was asked for"),
            ErrorKind::Encode { key } => write!(f, "the value for the session's `{key}` cannot be written as JSON"),
            ErrorKind::ReservedKey { key } => {
                write!(f, "the key `{key}` begins with `$`, which is reserved: choose another")
            }
            ErrorKind::TooLarge(error) => {
                write!(f, "{error}; keep less in it, or let a session spread over several cookies with `chunked`")
            }
            ErrorKind::Closed => f.write_str(
                "the response has already left, so this change would be lost: change the session before the handler \
                 returns, not in a spawned task or a streamed body",
            ),
            ErrorKind::NoRandomness => f.write_str("the operating system gave no randomness"),
            ErrorKind::Store(_) => match &self.source {
                Some(error) => error.fmt(f),
                None => f.write_str("the session store failed"),
            },
            ErrorKind::Gone => f.write_str("the session ended while its request ran, so this change is lost"),
            ErrorKind::NoStore => f.write_str(
                "sessions can only be listed and ended from outside where they are in a store: use \
                 `SessionLayer::stored(store, keys)`",
            ),
        }
    }
}

/// An error with all its causes, on one line of the log.
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
        // The store's error is this error; its source is what the database said.
        if self.is_about_the_store() {
            return self.source.as_deref()?.source();
        }
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = self.calm_response();
        response.extensions_mut().insert(Failure(self));
        response
    }
}

/// What the browser hears of any failure.
const CALM: &str = "Something went wrong with your session. Please try again.";

/// Travels with the response of a failed handler, so that the layer can let the application answer.
#[derive(Clone, Debug)]
pub(crate) struct Failure(pub(crate) Error);
