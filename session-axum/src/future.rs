//! Between the way in and the way out: the handler's own future.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum_core::{BoxError, body::Body, response::Response};
use bytes::Bytes;
use http::Response as HttpResponse;

use crate::{departure::depart, scope::Scope};

pin_project_lite::pin_project! {
    /// The future of [`SessionService`](crate::SessionService).
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        scope: Option<Arc<Scope>>,
    }
}

impl<F> ResponseFuture<F> {
    pub(crate) const fn new(inner: F, scope: Option<Arc<Scope>>) -> Self {
        Self { inner, scope }
    }
}

impl<F, ResBody, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<HttpResponse<ResBody>, E>>,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = ready!(this.inner.poll(context))?.map(Body::new);
        Poll::Ready(Ok(match this.scope.take() {
            Some(scope) => depart(&scope, response),
            None => response,
        }))
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
