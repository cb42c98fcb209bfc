//! `Unattended`: marks routes whose requests are no visits.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use crate::request::Request as SessionRequest;

/// Marks routes whose requests are no visits, such as a poll that a page sends every few seconds. They read and write
/// the session, but do not extend it: a visitor who has gone away is logged out although the page is still open.
///
/// Add it to the routes with `route_layer`, inside the session layer. A write on such a route is saved, and the session
/// keeps its end.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// use axum::{Router, routing::get};
/// use session_axum::{Keys, Session, SessionLayer, Unattended};
/// # use session_axum::testing::{Client, ManualClock, TestSession};
///
/// # async fn page(session: Session) -> String { session.len().to_string() }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let clock = ManualClock::at(1_700_000_000);
/// # let layer = SessionLayer::signed(Keys::generate()).clock(clock.clone());
/// let polls = Router::new().route("/poll", get(page)).route_layer(Unattended);
/// let app = Router::new().route("/", get(page)).merge(polls).layer(layer.clone());
/// # let client = Client::new(app);
/// # client.enter(&TestSession::new(&layer).insert("user", "ada"));
/// clock.advance(Duration::from_secs(20 * 60 * 60));
/// assert_eq!(client.get("/poll").await.text(), "1");
/// clock.advance(Duration::from_secs(5 * 60 * 60)); // 25 hours after the last visit
/// assert_eq!(client.get("/poll").await.text(), "0");
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Unattended;

impl<S> Layer<S> for Unattended {
    type Service = UnattendedService<S>;

    fn layer(&self, inner: S) -> UnattendedService<S> {
        UnattendedService { inner }
    }
}

/// The service that [`Unattended`] puts around a route.
#[derive(Clone, Debug)]
pub struct UnattendedService<S> {
    inner: S,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for UnattendedService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        match request.extensions().get::<Arc<SessionRequest>>() {
            Some(session) => session.layers().for_each(|layer| layer.be_unattended()),
            None => tracing::error!(
                name: "setup.unattended_outside", target: "session_axum::setup",
                "`Unattended` marks a route outside of a session layer, and has no effect: add the session layer with \
                 `.layer(..)` after the routes"
            ),
        }
        self.inner.call(request)
    }
}
