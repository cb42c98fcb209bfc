//! What a caller gets when extraction cannot work.

use std::{fmt, sync::Arc};

use axum_core::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header, request::Parts};

use crate::{error::Error, request::Request};

/// No usable [`SessionLayer`](crate::SessionLayer) is around the route: a mistake in the application's set-up, and a
/// 500.
#[derive(Clone, Copy, Debug)]
pub struct MissingLayer {
    extractor: &'static str,
    clashes: bool,
}

impl MissingLayer {
    fn of(extractor: &'static str) -> Self {
        let rejection = Self { extractor, clashes: false };
        tracing::error!("{rejection}");
        rejection
    }
}

impl fmt::Display for MissingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.clashes {
            return f.write_str("two different session layers around this route share a cookie name");
        }
        write!(
            f,
            "`{}` was extracted and no session layer is around this route: add `.layer(SessionLayer::signed(keys))` to \
             the router, after the route",
            self.extractor
        )
    }
}

impl std::error::Error for MissingLayer {}

impl IntoResponse for MissingLayer {
    fn into_response(self) -> Response {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        if self.clashes { Error::calm_answer(status) } else { (status, self.to_string()).into_response() }
    }
}

/// Returns what the layer put into a request, for `extractor`.
pub(crate) fn request_of<'a>(parts: &'a Parts, extractor: &'static str) -> Result<&'a Arc<Request>, MissingLayer> {
    let request = parts.extensions.get::<Arc<Request>>().ok_or_else(|| MissingLayer::of(extractor))?;
    // The layer has logged why.
    if request.clashes { Err(MissingLayer { extractor, clashes: true }) } else { Ok(request) }
}

/// Why a handler did not get its [`Session`](crate::Session).
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionRejection {
    /// No usable layer is around the route: 500.
    MissingLayer(MissingLayer),
    /// The visitor's session lacks a field that the struct requires: 401, or the struct's redirect.
    MissingField {
        /// The field's key.
        key: &'static str,
        /// Where the struct sends such a visitor.
        redirect: Option<&'static str>,
    },
    /// The session could not be read: what [`on_error`](crate::SessionLayer::on_error) answers.
    Failed(Error),
}

impl fmt::Display for SessionRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingLayer(error) => error.fmt(f),
            Self::MissingField { key, .. } => write!(f, "the session has no readable `{key}`"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SessionRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::MissingLayer(_) | Self::MissingField { .. } => None,
            Self::Failed(error) => std::error::Error::source(error),
        }
    }
}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        match self {
            Self::MissingLayer(error) => error.into_response(),
            Self::MissingField { redirect: Some(location), .. } => {
                (StatusCode::SEE_OTHER, [(header::LOCATION, HeaderValue::from_static(location))]).into_response()
            }
            Self::MissingField { redirect: None, .. } => {
                (StatusCode::UNAUTHORIZED, "Please log in first.").into_response()
            }
            Self::Failed(error) => error.into_response(),
        }
    }
}
