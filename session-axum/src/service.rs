//! The service that [`SessionLayer`](crate::SessionLayer) puts around the application, and its future.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use axum_core::{BoxError, response::Response};
use bytes::Bytes;
use http::{Request, Response as HttpResponse};
use tower_service::Service;

use crate::{config::Settings, request::Request as SessionRequest};
pub use crate::{future::ResponseFuture, unattended::UnattendedService};

/// The service that [`SessionLayer`](crate::SessionLayer) puts around another service.
///
/// It prepares each request for [`Session`](crate::Session) and [`Flash`](crate::Flash). It saves the changes before
/// the response is sent.
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S> SessionService<S> {
    pub(crate) const fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S>
where
    S: Service<Request<ReqBody>, Response = HttpResponse<ResBody>>,
    ResBody: http_body::Body<Data = Bytes> + Send + 'static,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        #[cfg(feature = "testing")]
        crate::testing::note_arrival(&request, &self.settings);
        let here = Arc::new(SessionRequest::new(&self.settings, &request));
        // Extractors find the innermost layer here.
        let here = match request.extensions_mut().insert(Arc::clone(&here)) {
            None => Some(here),
            Some(outer) => inside(outer, &self.settings, &mut request),
        };
        ResponseFuture::new(self.inner.call(request), here)
    }
}

/// Puts the state of a layer that is inside another one into the request. Returns `None` if it is the same layer twice.
fn inside<B>(
    outer: Arc<SessionRequest>,
    settings: &Arc<Settings>,
    request: &mut Request<B>,
) -> Option<Arc<SessionRequest>> {
    // The same layer twice is harmless: the outer service saves, and this one only passes the request on.
    if outer.layers().any(|layer| Arc::ptr_eq(&layer.settings, settings)) {
        settings.setup_warnings.same_layer_twice(settings.session_cookie.spec.name());
        request.extensions_mut().insert(outer);
        return None;
    }
    let clashes = outer.layers().any(|layer| layer.clashes || layer.settings.shares_a_cookie_with(settings));
    if clashes {
        settings.setup_warnings.clashing_layers(settings.session_cookie.spec.name());
    }
    // It keeps the outer layers, so that a third one is compared with all of them.
    let here = Arc::new(SessionRequest::new(settings, request).inside(outer, clashes));
    request.extensions_mut().insert(Arc::clone(&here));
    Some(here)
}
