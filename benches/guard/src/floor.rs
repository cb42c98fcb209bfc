//! What our promises cost at least: our token, values of any JSON type under keys, and a state that several handlers and
//! tasks of one request share, put together for the scenarios alone.
//!
//! It is made of the parts of `session-core` that the layer uses. It has no settings, no other engine than the cookie,
//! no errors of its own, no roll-back after a server error, no nested layers, no former layers, no sessions that ended
//! elsewhere, no log lines and no counters.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll, ready},
};

use axum::{
    Router,
    extract::{FromRequestParts, Request},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use http::{HeaderMap, HeaderValue, header, request::Parts};
use pin_project_lite::pin_project;
use serde::{Serialize, de::DeserializeOwned};
use session_core::{
    Clock as _, Keys, Limits, SessionId, SystemClock,
    cookie::{Settings, Spec, TooLarge},
    decode, encode,
    flash::{Batch, Message},
    store::{Changes, Entries},
    token::{CLOCK_SKEW, Frame, Protection, Purpose, Ring, Token, Verified, is_plausible},
    unix_seconds,
};
use tower::{Layer, Service};

use crate::{
    scenario::{self, FLASH, next_visit, saw},
    variant::Variant,
};

/// Ours cannot be cheaper without giving up what its handlers may do.
pub fn floor() -> Variant {
    let router = Router::new()
        .route("/seed/small", get(async |session: Session| session.seed(&scenario::Session::small())))
        .route("/seed/large", get(async |session: Session| session.seed(&scenario::Session::large())))
        .route("/untouched", get(async || "ok"))
        .route(
            "/read",
            get(async |session: Session| {
                saw(session.get("visits"));
                "ok"
            }),
        )
        .route(
            "/write",
            get(async |session: Session| {
                session.insert("visits", next_visit());
                "ok"
            }),
        )
        .route("/flash", get(async || flashing(Redirect::to("/page"), "success", FLASH)))
        .route(
            "/page",
            get(async |flash: Flash| {
                saw(flash.get("success").map(|text| text.len() as u64));
                "ok"
            }),
        )
        .layer(FloorLayer(Arc::new(Cookies::new())));
    Variant::new("the least of ours", router)
}

/// The two cookies, and their keys.
struct Cookies {
    session: (Spec, Ring),
    flash: (Spec, Ring),
    limits: Limits,
}

impl Cookies {
    fn new() -> Self {
        let keys = Keys::generate();
        let made = |base: &'static str, purpose| match Settings::new(base).build() {
            Ok(spec) => {
                let ring = keys.ring(Protection::Signed, purpose, spec.name(), "");
                (spec, ring)
            }
            Err(_) => unreachable!("the defaults are valid"),
        };
        let limits = Limits { idle: IDLE_TIMEOUT, lifetime: LIFETIME, visits: None };
        Self { session: made("session", Purpose::Session), flash: made("flash", Purpose::Flash), limits }
    }
}

/// A request's state, for the layer and all handles.
struct Shared {
    cookies: Arc<Cookies>,
    header: Option<HeaderValue>,
    messages: OnceLock<Option<(Frame, Batch)>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    loaded: Option<Loaded>,
    changes: Changes,
    /// Whether the response has been sent.
    is_closed: bool,
}

#[derive(Default)]
struct Loaded {
    frame: Option<Frame>,
    entries: Entries,
    /// Whether the browser is to get a new cookie without a change.
    is_due: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, value: &[u8], ring: &Ring) -> Option<Verified> {
        let token = Token::parse(value, ring.protection())?;
        let verified = ring.open(&token)?;
        is_plausible(verified.frame().times(), now(), CLOCK_SKEW).then_some(verified)
    }

    fn load(&self) {
        let loaded = self.session().unwrap_or_default();
        let mut state = self.state();
        if state.loaded.is_none() {
            state.loaded = Some(loaded);
        }
    }

    fn session(&self) -> Option<Loaded> {
        let (spec, ring) = &self.cookies.session;
        let (_, value) = spec.find(self.header.as_ref()?.as_bytes()).find(|(suffix, _)| suffix.is_empty())?;
        let verified = self.open(value, ring)?;
        let (frame, by_newest_key) = (verified.frame(), verified.by_newest_key());
        let entries = verified.entries().ok()?;
        let (limits, now) = (&self.cookies.limits, now());
        if limits.is_over(frame.times(), entries.metadata(), now) {
            return None;
        }
        let is_due = !by_newest_key || limits.wants_extension(frame.times(), entries.metadata(), now);
        Some(Loaded { frame: Some(frame), entries, is_due })
    }

    fn messages(&self) -> Option<&(Frame, Batch)> {
        self.messages.get_or_init(|| self.batch()).as_ref()
    }

    fn batch(&self) -> Option<(Frame, Batch)> {
        let (spec, ring) = &self.cookies.flash;
        let (suffix, value) = spec.find(self.header.as_ref()?.as_bytes()).next()?;
        let verified = self.open(value, ring)?;
        let frame = verified.frame();
        if now() > frame.created_at + FLASH_LIFETIME || suffix_of(&frame).as_bytes() != suffix {
            return None;
        }
        Some((frame, Batch::of(&verified.entries().ok()?).ok()?))
    }

    /// Adds the cookies, and what caches have to know.
    fn finish(&self, response: &mut Response) {
        let flashed =
            if response.extensions().is_empty() { None } else { response.extensions_mut().remove::<Flashing>() };
        let mut state = self.state();
        state.is_closed = true;
        let mut set = Vec::new();
        if let Some(Loaded { frame, entries, is_due }) = &state.loaded
            && (*is_due || !state.changes.is_empty())
        {
            set.extend(self.session_cookie(*frame, entries, &state.changes));
        }
        if let Some(Some((frame, _))) = self.messages.get() {
            set.push(self.cookies.flash.0.clear(&suffix_of(frame)));
        }
        if let Some(Flashing(batch)) = flashed {
            set.extend(self.flash_cookie(&batch));
        }
        let was_read = state.loaded.is_some() || self.messages.get().is_some();
        drop(state);
        mark(response.headers_mut(), set, was_read);
    }

    fn session_cookie(&self, frame: Option<Frame>, entries: &Entries, changes: &Changes) -> Option<String> {
        let (spec, ring) = &self.cookies.session;
        let frame = match frame {
            Some(frame) => Frame { issued_at: now(), ..frame },
            None => new_frame()?,
        };
        let mut body = frame.begin_body(changes.len_hint(entries));
        changes.write(entries, &mut body);
        sealed(spec, ring, "", None, &body)
    }

    fn flash_cookie(&self, batch: &Batch) -> Option<String> {
        let (spec, ring) = &self.cookies.flash;
        let frame = new_frame()?;
        let mut body = frame.begin_body(batch.size());
        batch.write(&mut body);
        sealed(spec, ring, &suffix_of(&frame), Some(FLASH_LIFETIME), &body)
    }
}

fn new_frame() -> Option<Frame> {
    let now = now();
    Some(Frame { id: SessionId::random().ok()?, created_at: now, issued_at: now })
}

fn sealed(spec: &Spec, ring: &Ring, suffix: &str, max_age: Option<u64>, body: &[u8]) -> Option<String> {
    let seal = |text: &mut String| {
        let _ = ring.seal_onto(text, body);
        Ok::<_, TooLarge>(())
    };
    spec.set_with(suffix, ring.protection().token_len(body.len()), max_age, seal).ok()
}

fn mark(headers: &mut HeaderMap, cookies: Vec<String>, was_read: bool) {
    let control = if cookies.is_empty() { "private" } else { "no-store" };
    if cookies.is_empty() && !was_read {
        return;
    }
    headers.append(header::VARY, HeaderValue::from_static("Cookie"));
    headers.append(header::CACHE_CONTROL, HeaderValue::from_static(control));
    for cookie in cookies {
        headers.extend(HeaderValue::try_from(cookie).ok().map(|value| (header::SET_COOKIE, value)));
    }
}

fn suffix_of(frame: &Frame) -> String {
    format!(".{}", frame.id)
}

fn now() -> u64 {
    unix_seconds(SystemClock.now())
}

/// The extractor of the session. Clones may be used in other tasks.
#[derive(Clone)]
struct Session(Arc<Shared>);

impl Session {
    fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let state = self.0.state();
        decode(state.changes.get(&state.loaded.as_ref()?.entries, key)?).ok()
    }

    fn insert(&self, key: &str, value: impl Serialize) {
        let Ok(text) = encode(&value) else { return };
        let mut state = self.0.state();
        if !state.is_closed {
            state.changes.set(key, text);
        }
    }

    fn seed(&self, values: &scenario::Session) {
        self.insert("csrf", &values.csrf);
        self.insert("email", &values.email);
        self.insert("visits", values.visits);
        if !values.cart.is_empty() {
            self.insert("cart", &values.cart);
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let shared = of(parts);
        shared.load();
        Ok(Self(shared))
    }
}

/// The extractor of the messages.
struct Flash(Arc<Shared>);

impl Flash {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.messages()?.1.messages.get(key)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Flash {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(of(parts)))
    }
}

fn of(parts: &Parts) -> Arc<Shared> {
    match parts.extensions.get::<Arc<Shared>>() {
        Some(shared) => Arc::clone(shared),
        None => unreachable!("the layer has put it there"),
    }
}

/// What a response flashes.
#[derive(Clone)]
struct Flashing(Arc<Batch>);

fn flashing(response: impl IntoResponse, key: &str, text: &str) -> Response {
    let (mut response, mut batch) = (response.into_response(), Batch::default());
    batch.messages.add(key, Message::from(text.to_owned()));
    response.extensions_mut().insert(Flashing(Arc::new(batch)));
    response
}

const IDLE_TIMEOUT: u64 = 24 * 60 * 60;
const LIFETIME: u64 = 30 * IDLE_TIMEOUT;
const FLASH_LIFETIME: u64 = 5 * 60;

#[derive(Clone)]
struct FloorLayer(Arc<Cookies>);

impl<S> Layer<S> for FloorLayer {
    type Service = FloorService<S>;

    fn layer(&self, inner: S) -> FloorService<S> {
        FloorService { inner, cookies: Arc::clone(&self.0) }
    }
}

#[derive(Clone)]
struct FloorService<S> {
    inner: S,
    cookies: Arc<Cookies>,
}

impl<S: Service<Request, Response = Response>> Service<Request> for FloorService<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = FloorFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let shared = Arc::new(Shared {
            cookies: Arc::clone(&self.cookies),
            header: request.headers().get(header::COOKIE).cloned(),
            messages: OnceLock::new(),
            state: Mutex::default(),
        });
        request.extensions_mut().insert(Arc::clone(&shared));
        FloorFuture { inner: self.inner.call(request), shared }
    }
}

pin_project! {
    struct FloorFuture<F> {
        #[pin]
        inner: F,
        shared: Arc<Shared>,
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for FloorFuture<F> {
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(context))?;
        this.shared.finish(&mut response);
        Poll::Ready(Ok(response))
    }
}
