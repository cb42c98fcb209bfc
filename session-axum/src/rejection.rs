//! Rejections: the responses if an extractor of a route fails.

use std::{fmt, sync::Arc};

use axum_core::response::{IntoResponse, Response};
use http::{StatusCode, request::Parts};

use crate::{error::Error, guard::Refusal, request::Request};

/// The rejection of a route that has no usable [`SessionLayer`](crate::SessionLayer): a 500.
///
/// The cause is a mistake in the application's set-up: the layer is missing, two layers share a cookie name, or none
/// has the cookie of a struct. The log has the cause and the remedy.
///
/// # Examples
///
/// ```
/// # use axum::{Router, http::StatusCode, routing::get};
/// # use session_axum::{Flash, testing::Client};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let app = Router::new().route("/", get(|_: Flash| async {})); // no `.layer(..)`
/// let response = Client::new(app).get("/").await;
/// assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
/// assert_eq!(response.text(), "Something went wrong with your session. Please try again.");
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MissingLayer(Cause);

#[derive(Clone, Copy, Debug)]
enum Cause {
    /// The route has no layer. The name is that of the extractor.
    NoLayer(&'static str),
    /// The route has layers, but none with this cookie.
    NoCookie(&'static str),
    Clash,
}

impl MissingLayer {
    fn logged(cause: Cause) -> Self {
        let rejection = Self(cause);
        tracing::error!(
            name: "setup.rejected", target: "session_axum::setup",
            "{rejection}"
        );
        rejection
    }
}

impl fmt::Display for MissingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Cause::NoLayer(extractor) => write!(
                f,
                "`{extractor}` was extracted, but this route has no session layer: add \
                 `.layer(SessionLayer::signed(keys))` to the router, after the route"
            ),
            Cause::NoCookie(cookie) => write!(
                f,
                "a session with the cookie `{cookie}` was extracted, but no session layer around this route has it: add \
                 a layer with this `name`, or correct `#[session(cookie = \"..\")]`"
            ),
            Cause::Clash => f.write_str(
                "two different session layers around this route share a cookie name: give one of them another `name`",
            ),
        }
    }
}

impl std::error::Error for MissingLayer {}

impl IntoResponse for MissingLayer {
    fn into_response(self) -> Response {
        // The browser must not learn how the application is wired: the log has the cause and the remedy.
        Error::calm_answer(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Returns the state that the layer added to the request. `extractor` is the type name in the error text.
pub(crate) fn request_of<'a>(parts: &'a Parts, extractor: &'static str) -> Result<&'a Arc<Request>, MissingLayer> {
    let request = parts.extensions.get::<Arc<Request>>();
    let request = request.ok_or_else(|| MissingLayer::logged(Cause::NoLayer(extractor)))?;
    // The layer has logged the cause already.
    if request.clashes { Err(MissingLayer(Cause::Clash)) } else { Ok(request) }
}

/// Returns the state of the layer that has the session of a struct with `#[session(cookie = "..")]`.
pub(crate) fn request_with<'a>(parts: &'a Parts, cookie: &'static str) -> Result<&'a Arc<Request>, MissingLayer> {
    let named = request_of(parts, "Session")?.layers().find(|layer| layer.has_session(cookie));
    named.ok_or_else(|| MissingLayer::logged(Cause::NoCookie(cookie)))
}

/// The rejection of a route if its [`Session`](crate::Session) could not be extracted.
///
/// # Examples
///
/// A handler takes a `Result` to answer the rejection itself:
///
/// ```
/// # use axum::{Router, response::{IntoResponse, Response}, routing::get};
/// # use session_axum::{Keys, Session, SessionData, SessionLayer, SessionRejection, testing::Client};
/// #[derive(SessionData)]
/// struct Member {
///     user: String,
/// }
///
/// async fn home(member: Result<Session<Member>, SessionRejection>) -> Response {
///     match member {
///         Ok(member) => format!("Hello {}", member.user).into_response(),
///         Err(SessionRejection::MissingField { key, .. }) => format!("There is no {key}").into_response(),
///         Err(other) => other.into_response(),
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let layer = SessionLayer::signed(Keys::generate());
/// let client = Client::new(Router::new().route("/", get(home)).layer(layer));
/// assert_eq!(client.get("/").await.text(), "There is no user");
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionRejection {
    /// The route has no usable session layer. The response is a 500.
    MissingLayer(MissingLayer),
    /// The session has no readable value for a field that the struct requires. The response is a 401, or the struct's
    /// redirect.
    MissingField {
        /// The field's key.
        key: &'static str,
        /// The path of the struct's `#[session(redirect = "..")]`, if it has one.
        redirect: Option<&'static str>,
        /// The response.
        refusal: Refusal,
    },
    /// The visitor has not [confirmed](crate::Session::confirm) who they are within the time that the struct requires.
    /// The response is a 403, or the struct's redirect.
    NotConfirmed {
        /// The path of the struct's `#[session(redirect = "..")]`, if it has one.
        redirect: Option<&'static str>,
        /// The response.
        refusal: Refusal,
    },
    /// The session could not be read. [`on_error`](crate::SessionLayer::on_error) makes the response.
    Failed(Error),
}

impl fmt::Display for SessionRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingLayer(error) => error.fmt(f),
            Self::MissingField { key, .. } => {
                write!(f, "the session has no readable value for the required field `{key}`")
            }
            Self::NotConfirmed { .. } => f.write_str("the visitor has not confirmed who they are lately"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SessionRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::MissingLayer(_) | Self::MissingField { .. } | Self::NotConfirmed { .. } => None,
            Self::Failed(error) => std::error::Error::source(error),
        }
    }
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        match self {
            Self::MissingLayer(error) => error.into_response(),
            Self::MissingField { refusal, .. } | Self::NotConfirmed { refusal, .. } => refusal.into_response(),
            Self::Failed(error) => error.into_response(),
        }
    }
}
