//! Between the way in and the way out: the handler's own future, and the saving after it.

use std::{
    fmt,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum_core::{BoxError, body::Body, response::Response};
use bytes::Bytes;
use http::Response as HttpResponse;

use crate::{
    departure::{Departure, depart},
    scope::Scope,
};

pin_project_lite::pin_project! {
    /// The future of [`SessionService`](crate::SessionService).
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        scope: Option<Arc<Scope>>,
        saving: Option<Pin<Box<dyn Future<Output = Response> + Send>>>,
    }
}

impl<F> ResponseFuture<F> {
    pub(crate) const fn new(inner: F, scope: Option<Arc<Scope>>) -> Self {
        Self { inner, scope, saving: None }
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
        if let Some(saving) = this.saving {
            return saving.as_mut().poll(context).map(Ok);
        }
        let mut response = ready!(this.inner.poll(context))?.map(Body::new);
        let Some(scope) = this.scope.take() else { return Poll::Ready(Ok(response)) };
        let Some(departure) = Departure::begin(&scope, &mut response) else { return Poll::Ready(Ok(response)) };
        if scope.settings.told.remote.is_none() {
            // Nobody is to be asked, so that it ends where it begins, and needs no box.
            return pin!(depart(scope, departure, response)).poll(context).map(Ok);
        }
        let saving = this.saving.insert(Box::pin(depart(scope, departure, response)));
        saving.as_mut().poll(context).map(Ok)
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
