//! For the tests of an application: a client that keeps cookies, sessions to forge and to read, a clock to move.
//!
//! ```
//! use axum::{Router, routing::get};
//! use session_axum::{Error, Keys, Session, SessionLayer, testing::{Client, TestSession}};
//!
//! async fn greet(session: Session) -> Result<String, Error> {
//!     Ok(format!("Hello {}", session.get::<String>("connected")?.unwrap_or_default()))
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let layer = SessionLayer::signed(Keys::generate());
//! let client = Client::new(Router::new().route("/", get(greet)).layer(layer.clone()));
//! client.enter(&TestSession::new(&layer).insert("connected", "user@example.com"));
//! assert_eq!(client.get("/").await.text(), "Hello user@example.com");
//! # });
//! ```

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::{Duration, SystemTime},
};

use axum_core::{body::Body, response::Response};
use cookie::Cookie;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body::Body as _;
use serde::{Serialize, de::DeserializeOwned};
use session_core::{
    Clock, Limits, SessionId, decode, encode,
    flash::{Batch, Lists},
    store::{Changes, RecordKey, Visit, Write},
    system_time,
    token::{Frame, IdSecret},
    write_object,
};
use tower_service::Service;

use crate::{
    SessionLayer,
    config::Settings,
    engine::{Context as EngineContext, StoreClient},
    error::Error,
    form::{self, Choice, FormValues, IntoErrors},
    wire::{flash_cookies::Suffix, request_cookies::RequestCookies},
};

/// A clock that stands still until it is moved. Its clones move together.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that shows this many seconds since 1970.
    #[must_use]
    pub fn at(seconds: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seconds)))
    }

    /// Moves it on, by whole seconds.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }

    /// Sets it to this many seconds since 1970.
    pub fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        system_time(self.0.load(Ordering::SeqCst))
    }
}

/// A client that keeps cookies as a browser does, in process and over HTTPS. Its clones are tabs: they share one jar.
#[derive(Clone)]
pub struct Client {
    app: App,
    jar: Arc<Mutex<BTreeMap<String, Kept>>>,
    clock: Option<ManualClock>,
}

type App = Arc<dyn Fn(Request<Body>) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;

#[derive(Clone)]
struct Kept {
    value: String,
    path: String,
    /// The second in which it is gone; `None` when the browser closes.
    expires: Option<u64>,
}

impl Client {
    /// A client of a router, or of another service that never fails.
    pub fn new<S>(app: S) -> Self
    where
        S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        let call = move |request| -> Pin<Box<dyn Future<Output = Response> + Send>> {
            let mut app = app.clone();
            Box::pin(async move {
                let Ok(()) = poll_fn(|context| app.poll_ready(context)).await;
                let Ok(response) = app.call(request).await;
                response
            })
        };
        Self { app: Arc::new(call), jar: Arc::default(), clock: None }
    }

    /// Drops cookies when their `Max-Age` is over by this clock.
    #[must_use]
    pub fn with_clock(self, clock: &ManualClock) -> Self {
        Self { clock: Some(clock.clone()), ..self }
    }

    /// Gets a page.
    pub async fn get(&self, path: &str) -> TestResponse {
        self.send(self.request(Method::GET, path, Body::empty())).await
    }

    /// Posts nothing.
    pub async fn post(&self, path: &str) -> TestResponse {
        self.send(self.request(Method::POST, path, Body::empty())).await
    }

    /// Posts a form, `application/x-www-form-urlencoded`.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> TestResponse {
        let mut request = self.request(Method::POST, path, Body::from(urlencode(fields)));
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        self.send(request).await
    }

    /// Sends any request, with the jar's cookies after its own.
    pub async fn send(&self, mut request: Request<Body>) -> TestResponse {
        if let Some(cookies) = self.cookie_header(request.uri().path()) {
            request.headers_mut().append(header::COOKIE, cookies);
        }
        let response = TestResponse::read((self.app)(request).await).await;
        self.keep(&response.headers);
        response
    }

    /// Puts a forged session, and its flash messages, into the jar.
    pub fn enter(&self, session: &TestSession) {
        for (name, value) in session.cookies() {
            self.set_cookie(&name, &value);
        }
    }

    /// Puts a cookie into the jar.
    pub fn set_cookie(&self, name: &str, value: &str) {
        let kept = Kept { value: value.to_owned(), path: "/".to_owned(), expires: None };
        self.jar().insert(name.to_owned(), kept);
    }

    /// The value of a cookie.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.jar().get(name).map(|kept| kept.value.clone())
    }

    /// The names of all cookies.
    #[must_use]
    pub fn cookie_names(&self) -> Vec<String> {
        self.jar().keys().cloned().collect()
    }

    /// Drops the cookies that have no `Max-Age`.
    pub fn close_browser(&self) {
        self.jar().retain(|_, kept| kept.expires.is_some());
    }

    fn request(&self, method: Method, path: &str, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap_or_else(|error| panic!("{path:?} is not a valid path: {error}"));
        request
    }

    fn cookie_header(&self, path: &str) -> Option<HeaderValue> {
        let now = self.now();
        let jar = self.jar();
        let lives = |kept: &Kept| kept.expires.is_none_or(|expires| now < expires) && matches(&kept.path, path);
        let pairs: Vec<_> =
            jar.iter().filter(|(_, kept)| lives(kept)).map(|(name, kept)| format!("{name}={}", kept.value)).collect();
        if pairs.is_empty() { None } else { HeaderValue::try_from(pairs.join("; ")).ok() }
    }

    fn keep(&self, headers: &HeaderMap) {
        for header in headers.get_all(header::SET_COOKIE) {
            let Ok(cookie) = Cookie::parse(header.to_str().unwrap_or_default()) else { continue };
            let age = cookie.max_age().map(cookie::time::SignedDuration::whole_seconds);
            if age.is_some_and(|age| age <= 0) {
                self.jar().remove(cookie.name());
                continue;
            }
            let kept = Kept {
                value: cookie.value().to_owned(),
                path: cookie.path().unwrap_or("/").to_owned(),
                expires: age.map(|age| self.now().saturating_add(age.unsigned_abs())),
            };
            self.jar().insert(cookie.name().to_owned(), kept);
        }
    }

    fn now(&self) -> u64 {
        self.clock.as_ref().map_or(0, |clock| clock.0.load(Ordering::SeqCst))
    }

    fn jar(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("cookies", &self.jar().len()).finish_non_exhaustive()
    }
}

/// Whether a cookie's path covers a request's (RFC 6265bis, section 5.1.4).
fn matches(cookie: &str, request: &str) -> bool {
    request.strip_prefix(cookie).is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

fn urlencode(fields: &[(&str, &str)]) -> String {
    let encode = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        text.bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect()
    };
    let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

/// A response, read to its end.
#[derive(Clone)]
pub struct TestResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl TestResponse {
    /// Its status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Its headers.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The values of its `Set-Cookie` headers.
    #[must_use]
    pub fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok()).collect()
    }

    /// Its body as text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or("(the body is not UTF-8 text)")
    }

    async fn read(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let mut body = pin!(body);
        let mut bytes = Vec::new();
        while let Some(Ok(frame)) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
            bytes.extend(frame.into_data().unwrap_or_default());
        }
        Self { status: parts.status, headers: parts.headers, body: bytes }
    }
}

impl fmt::Debug for TestResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A session and its flash messages outside any request: to forge one that a layer will take, or to read what it sent.
///
/// Where sessions are in a store it needs one that answers at once, such as `MemoryStore`, and panics with another.
pub struct TestSession {
    settings: Arc<Settings>,
    id: SessionId,
    entries: BTreeMap<String, String>,
    flash: Batch,
}

impl TestSession {
    /// An empty one, for this layer.
    ///
    /// # Panics
    ///
    /// When the operating system has no randomness to give.
    #[must_use]
    pub fn new(layer: &SessionLayer) -> Self {
        let id = SessionId::random().unwrap_or_else(|error| panic!("{error}"));
        Self { settings: Arc::clone(layer.settings()), id, entries: BTreeMap::new(), flash: Batch::default() }
    }

    /// What the cookies that a response sets hold: an empty one when it sets none.
    #[must_use]
    pub fn of_response(layer: &SessionLayer, headers: &HeaderMap) -> Self {
        let cookies = headers.get_all(header::SET_COOKIE).iter().filter_map(|header| {
            let text = header.to_str().ok()?;
            Some(text.split(';').next().unwrap_or_default().to_owned())
        });
        Self::read(layer, &cookies.collect::<Vec<_>>().join("; "))
    }

    /// What a client's jar holds.
    #[must_use]
    pub fn of_client(layer: &SessionLayer, client: &Client) -> Self {
        let jar = client.jar();
        let pairs: Vec<_> = jar.iter().map(|(name, kept)| format!("{name}={}", kept.value)).collect();
        Self::read(layer, &pairs.join("; "))
    }

    /// Puts a value in.
    ///
    /// # Panics
    ///
    /// When the value cannot be written as JSON.
    #[must_use]
    pub fn insert(mut self, key: &str, value: impl Serialize) -> Self {
        let text = encode(&value).unwrap_or_else(|error| panic!("the value for {key:?} cannot be stored: {error}"));
        self.entries.insert(key.to_owned(), text);
        self
    }

    /// Adds a flash message.
    #[must_use]
    pub fn flash(mut self, key: &str, text: &str) -> Self {
        self.flash.messages.add(key, text.to_owned());
        self
    }

    /// Adds the values of a refused form.
    #[must_use]
    pub fn input<Kind>(mut self, form: &(impl FormValues<Kind> + ?Sized)) -> Self {
        self.flash.input.replace(form::fields(form, &Choice::Usual));
        self
    }

    /// Adds what was wrong with it.
    #[must_use]
    pub fn errors<Kind>(mut self, errors: impl IntoErrors<Kind>) -> Self {
        self.flash.errors.extend(form::lists(errors));
        self
    }

    /// The value under a key.
    ///
    /// # Panics
    ///
    /// When the value is not a `T`.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let text = self.entries.get(key)?;
        Some(decode(text).unwrap_or_else(|error| panic!("the value of {key:?} cannot be read: {error}")))
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        self.entries.keys().map(String::as_str).collect()
    }

    /// The session's id.
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The flash messages.
    #[must_use]
    pub const fn messages(&self) -> &Lists {
        &self.flash.messages
    }

    /// The form's input that the flash carries.
    #[must_use]
    pub const fn form_input(&self) -> &Lists {
        &self.flash.input
    }

    /// The form's errors that the flash carries.
    #[must_use]
    pub const fn form_errors(&self) -> &Lists {
        &self.flash.errors
    }

    /// A request that brings it.
    ///
    /// # Panics
    ///
    /// When `path` is no path.
    #[must_use]
    pub fn request(&self, method: Method, path: &str) -> Request<Body> {
        let pairs: Vec<_> = self.cookies().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::builder().method(method).uri(path).header(header::COOKIE, pairs.join("; "));
        request.body(Body::empty()).unwrap_or_else(|error| panic!("{path:?} is not a valid path: {error}"))
    }

    /// Its cookies: names and values.
    ///
    /// # Panics
    ///
    /// When the layer encrypts and the operating system has no randomness to give.
    #[must_use]
    pub fn cookies(&self) -> Vec<(String, String)> {
        let Settings { session_cookie, flash_cookie, .. } = &*self.settings;
        let (Some(session), Some(flash)) = (&session_cookie.ring, &flash_cookie.ring) else { return Vec::new() };
        let now = self.settings.now();
        let seal =
            |ring: &session_core::token::Ring, body: &[u8]| ring.seal(body).unwrap_or_else(|error| panic!("{error}"));
        let mut cookies = Vec::new();
        if !self.entries.is_empty() {
            let mut body = Frame { id: self.id, created_at: now, issued_at: now }.begin_body(0);
            match self.settings.engine().records() {
                Some(store) => body.extend_from_slice(self.store(store, now).as_bytes()),
                None => write_object(self.entries.iter().map(|(key, text)| (key.as_str(), text.as_str())), &mut body),
            }
            cookies.push((session_cookie.spec.name().to_owned(), seal(session, &body)));
        }
        if !self.flash.is_empty() {
            let frame = Frame { id: self.id, created_at: now, issued_at: now };
            let mut body = frame.begin_body(0);
            self.flash.write(&mut body);
            let name = format!("{}{}", flash_cookie.spec.name(), Suffix::of(&frame).as_str());
            cookies.push((name, seal(flash, &body)));
        }
        cookies
    }

    /// Puts the session into the layer's store, under a secret of its own.
    fn store(&self, store: &StoreClient, now: u64) -> IdSecret {
        let secret = IdSecret::random().unwrap_or_else(|error| panic!("{error}"));
        let mut changes = Changes::default();
        self.entries.iter().for_each(|(key, text)| changes.insert(key, text.clone()));
        let Limits { idle, lifetime } = self.settings.config.limits;
        let write = Write::new(&changes, Visit { now, expires_at: now.saturating_add(idle.min(lifetime)) });
        at_once(store.create(&RecordKey::of_secret(self.id, secret.as_bytes()), write));
        secret
    }

    fn read(layer: &SessionLayer, cookies: &str) -> Self {
        let mut session = Self::new(layer);
        let Ok(header) = HeaderValue::try_from(cookies) else { return session };
        let cookies = RequestCookies::One(header);
        let Settings { config, session_cookie, flash_cookie, .. } = &*session.settings;
        let now = session.settings.now();
        let context = EngineContext {
            cookie: session_cookie,
            cookies: &cookies,
            limits: config.limits,
            clock: &config.clock,
            now,
        };
        let loaded = at_once(config.engine.load(context));
        session.id = loaded.session().map_or(session.id, |live| live.frame.id);
        let batches = flash_cookie.read(&cookies, now).batches;
        session.entries = loaded.entries().iter().map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
        batches.into_iter().for_each(|received| session.flash.extend(received.batch));
        session
    }
}

/// The answer of a store that needs not wait for it.
fn at_once<T>(answer: impl Future<Output = Result<T, Error>>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(answer).poll(&mut context) {
        Poll::Ready(Ok(answer)) => answer,
        Poll::Ready(Err(error)) => panic!("the session store failed: {error}"),
        Poll::Pending => panic!("`TestSession` needs a store that answers at once: use `MemoryStore` in this test"),
    }
}

impl fmt::Debug for TestSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSession").field("keys", &self.keys()).finish_non_exhaustive()
    }
}
