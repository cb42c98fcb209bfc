//! The least that one would write by hand for one application: a signed cookie that knows its three fields.
//!
//! It checks no expiry, rotates no key, keeps no map of values, appends no `Vary`, and has no batches of messages.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use axum::{
    Extension, Router,
    extract::{FromRequestParts, Request, State},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use guard::{FLASH, Variant, next_visit, saw};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderValue, header, request::Parts};
use pin_project_lite::pin_project;
use serde::Deserialize;
use sha2::Sha256;
use tower::{Layer, Service};

use super::json;

/// Signs and verifies, its key schedule kept.
struct Signer(Hmac<Sha256>);

impl Signer {
    fn new() -> Self {
        match Hmac::new_from_slice(b"a key of 32 bytes, for this alone") {
            Ok(mac) => Self(mac),
            Err(_) => unreachable!("HMAC takes a key of any length"),
        }
    }

    /// The payload of a cookie's value if we made it.
    fn open(&self, value: &str) -> Option<Vec<u8>> {
        let (body, tag) = value.split_once('.')?;
        // One more than there should be, so that a tag that is too long is seen.
        let mut expected = [0; 33];
        let length = URL_SAFE_NO_PAD.decode_slice(tag, &mut expected).ok()?;
        let mut mac = self.0.clone();
        mac.update(body.as_bytes());
        mac.verify_slice(&expected[..length]).ok()?;
        URL_SAFE_NO_PAD.decode(body).ok()
    }

    /// A `Set-Cookie` header.
    fn set(&self, payload: &[u8]) -> HeaderValue {
        let mut cookie = String::with_capacity(16 + payload.len() * 4 / 3 + 100);
        cookie.push_str("session=");
        let start = cookie.len();
        URL_SAFE_NO_PAD.encode_string(payload, &mut cookie);
        let mut mac = self.0.clone();
        mac.update(&cookie.as_bytes()[start..]);
        cookie.push('.');
        URL_SAFE_NO_PAD.encode_string(mac.finalize().into_bytes(), &mut cookie);
        cookie.push_str("; HttpOnly; Secure; SameSite=Lax; Path=/");
        match HeaderValue::try_from(cookie) {
            Ok(value) => value,
            Err(_) => unreachable!("base64 and the attributes are visible ASCII"),
        }
    }
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs
        .flat_map(|text| text.split(';'))
        .find_map(|pair| pair.trim_start().strip_prefix("session="))
        .map(str::to_owned)
}

/// A request's session.
struct Session {
    signer: Arc<Signer>,
    cookie: Option<String>,
    /// What the response is to carry.
    saved: Mutex<Option<Vec<u8>>>,
}

impl Session {
    fn parse<T: for<'a> Deserialize<'a>>(&self) -> Option<T> {
        serde_json::from_slice(&self.signer.open(self.cookie.as_deref()?)?).ok()
    }

    fn visits(&self) -> Option<u64> {
        self.parse::<json::Visits>().map(|data| data.visits)
    }

    fn change(&self, change: impl FnOnce(&mut guard::Session)) {
        let Some(mut data) = self.parse() else { return };
        change(&mut data);
        self.save(serde_json::to_vec(&data).unwrap_or_default());
    }

    fn save(&self, payload: Vec<u8>) {
        if let Ok(mut saved) = self.saved.lock() {
            *saved = Some(payload);
        }
    }

    fn set_cookie(&self) -> Option<HeaderValue> {
        let payload = self.saved.lock().ok()?.take()?;
        Some(self.signer.set(&payload))
    }

    fn seed(&self, values: &guard::Session) {
        self.save(json::write(values).into_bytes());
    }

    fn read_flash(&self) {
        self.change(|data| saw(json::take_flash(data)));
    }
}

pub fn as_layer() -> Variant {
    type Handle = Extension<Arc<Session>>;
    let router = Router::new()
        .route("/seed/small", get(async |session: Handle| session.seed(&guard::Session::small())))
        .route("/seed/large", get(async |session: Handle| session.seed(&guard::Session::large())))
        .route("/untouched", get(async || "ok"))
        .route(
            "/read",
            get(async |session: Handle| {
                saw(session.visits());
                "ok"
            }),
        )
        .route(
            "/write",
            get(async |session: Handle| {
                session.change(|data| data.visits = next_visit());
                "ok"
            }),
        )
        .route(
            "/flash",
            get(async |session: Handle| {
                session.change(|data| data.flash = Some(FLASH.to_owned()));
                Redirect::to("/page")
            }),
        )
        .route(
            "/page",
            get(async |session: Handle| {
                session.read_flash();
                "ok"
            }),
        )
        .layer(HandLayer(Arc::new(Signer::new())));
    Variant::new("minimum by hand, as a tower layer", router)
}

#[derive(Clone)]
struct HandLayer(Arc<Signer>);

impl<S> Layer<S> for HandLayer {
    type Service = HandService<S>;

    fn layer(&self, inner: S) -> HandService<S> {
        HandService { inner, signer: Arc::clone(&self.0) }
    }
}

#[derive(Clone)]
struct HandService<S> {
    inner: S,
    signer: Arc<Signer>,
}

impl<S: Service<Request, Response = Response>> Service<Request> for HandService<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = HandFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let session =
            Session { signer: Arc::clone(&self.signer), cookie: cookie(request.headers()), saved: Mutex::default() };
        let session = Arc::new(session);
        request.extensions_mut().insert(Arc::clone(&session));
        HandFuture { inner: self.inner.call(request), session }
    }
}

pin_project! {
    struct HandFuture<F> {
        #[pin]
        inner: F,
        session: Arc<Session>,
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for HandFuture<F> {
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(context))?;
        if let Some(cookie) = this.session.set_cookie() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        Poll::Ready(Ok(response))
    }
}

pub fn as_extractor() -> Variant {
    let router = Router::new()
        .route("/seed/small", get(async |session: Session| session.and(|it| it.seed(&guard::Session::small()), ())))
        .route("/seed/large", get(async |session: Session| session.and(|it| it.seed(&guard::Session::large()), ())))
        .route("/untouched", get(async |_: Session| "ok"))
        .route(
            "/read",
            get(async |session: Session| {
                saw(session.visits());
                "ok"
            }),
        )
        .route(
            "/write",
            get(async |session: Session| session.and(|it| it.change(|data| data.visits = next_visit()), "ok")),
        )
        .route(
            "/flash",
            get(async |session: Session| {
                session.and(|it| it.change(|data| data.flash = Some(FLASH.to_owned())), Redirect::to("/page"))
            }),
        )
        .route("/page", get(async |session: Session| session.and(Session::read_flash, "ok")))
        .with_state(Arc::new(Signer::new()));
    Variant::new("minimum by hand, as an extractor", router)
}

impl Session {
    /// A response with the cookie that `change` asks for.
    fn and(&self, change: impl FnOnce(&Self), response: impl IntoResponse) -> Response {
        change(self);
        let mut response = response.into_response();
        response.headers_mut().extend(self.set_cookie().map(|cookie| (header::SET_COOKIE, cookie)));
        response
    }
}

impl FromRequestParts<Arc<Signer>> for Session {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<Signer>) -> Result<Self, Self::Rejection> {
        let Ok(State(signer)) = State::<Arc<Signer>>::from_request_parts(parts, state).await;
        Ok(Self { signer, cookie: cookie(&parts.headers), saved: Mutex::default() })
    }
}
