//! A layer that does nothing: what any layer costs.

use std::task::{Context, Poll};

use axum::{extract::Request, response::Response};
use guard::Variant;
use tower::{Layer, Service};

pub fn identity() -> Variant {
    Variant::baseline("an identity tower layer", guard::routes().layer(IdentityLayer))
}

#[derive(Clone)]
struct IdentityLayer;

impl<S> Layer<S> for IdentityLayer {
    type Service = Identity<S>;

    fn layer(&self, inner: S) -> Identity<S> {
        Identity(inner)
    }
}

#[derive(Clone)]
struct Identity<S>(S);

impl<S: Service<Request, Response = Response>> Service<Request> for Identity<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> S::Future {
        self.0.call(request)
    }
}
