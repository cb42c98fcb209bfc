//! The future of one request: it runs the handler, and then saves the session.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum_core::{BoxError, body::Body, response::Response};
use bytes::Bytes;
use http::Response as HttpResponse;

use crate::{finish::Finish, request::Request};

pin_project_lite::pin_project! {
    /// The future that [`SessionService`](crate::service::SessionService) returns.
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        request: Option<Arc<Request>>,
        saving: Option<Pin<Box<dyn Future<Output = Response> + Send>>>,
    }
}

impl<F> ResponseFuture<F> {
    pub(crate) const fn new(inner: F, request: Option<Arc<Request>>) -> Self {
        Self { inner, request, saving: None }
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
        let Some(mut request) = this.request.take() else { return Poll::Ready(Ok(response)) };
        let Some(mut finish) = Finish::begin(&mut request, &mut response) else { return Poll::Ready(Ok(response)) };
        if request.settings.never_waits() {
            // Such an engine never returns `Pending`, so the future ends at its first poll and needs no box.
            ready!(pin!(finish.run(&mut request, &mut response)).poll(context));
            return Poll::Ready(Ok(response));
        }
        let saving = async move {
            finish.run(&mut request, &mut response).await;
            response
        };
        let saving = this.saving.insert(Box::pin(saving));
        saving.as_mut().poll(context).map(Ok)
    }
}

session_core::opaque_debug!([F] ResponseFuture<F>);
