//! The layer around services of every kind: it asks for no more than axum does.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Bytes, to_bytes},
    extract::Request,
    http::Response,
};
use futures_util::future::{Ready, ready};
use session_axum::SessionLayer;
use tower::{Layer as _, Service};

use crate::support::app::layer;

/// A service that is neither `Clone` nor `Default`, for requests of any body.
struct Plain;

/// A body that is neither `Clone` nor `Default`.
struct PlainBody(Option<&'static str>);

impl http_body::Body for PlainBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|text| Ok(http_body::Frame::data(Bytes::from_static(text.as_bytes())))))
    }
}

/// A request body without any trait.
struct Opaque;

impl Service<Request<Opaque>> for Plain {
    type Response = Response<PlainBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Opaque>) -> Self::Future {
        ready(Ok(Response::new(PlainBody(Some("plain")))))
    }
}

#[tokio::test]
async fn neither_clone_nor_default_is_asked_of_bodies_and_services() {
    for layer in [layer(), SessionLayer::null()] {
        let mut service = layer.layer(Plain);
        let response = service.call(Request::new(Opaque)).await.unwrap();
        assert_eq!(to_bytes(response.into_body(), 100).await.unwrap(), "plain");
    }
}
