//! The testing kit: a client that keeps cookies, sessions to prepare and to read, a clock to move.
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

mod entered;
mod request;
mod response;

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    convert::Infallible,
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant, SystemTime},
};

use axum_core::{body::Body, response::Response};
use cookie::Cookie;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use serde::{Serialize, de::DeserializeOwned};
use session_core::{
    Clock, Limits, RESERVED_PREFIX, SessionId, decode, encode,
    flash::{Batch, Lists, MessageLists},
    store::{Changes, Metadata, RecordKey, StoreErrorKind, Visit, Write},
    system_time,
    token::{Frame, IdSecret},
    write_object,
};
use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Mutex as AsyncMutex,
    task::{block_in_place, unconstrained},
};
use tower_service::Service;

use crate::{
    SessionLayer,
    config::Settings,
    engine::StoreClient,
    error::{Error, ErrorKind},
    flash::Message,
    form::{self, Choice, FormValues, IntoErrors},
    observe::Refusals,
    wire::{flash_cookies::Suffix, request_cookies::RequestCookies},
};
use entered::Entered;
pub(crate) use entered::note_arrival;
pub use request::TestRequest;
pub use response::TestResponse;

/// A clock that stands still until a test moves it.
///
/// Pass it to [`SessionLayer::clock`]. Its clones share one time: moving one moves all.
///
/// # Examples
///
/// ```
/// # use std::time::{Duration, UNIX_EPOCH};
/// # use session_axum::{Clock, testing::ManualClock};
/// # fn main() {
/// let clock = ManualClock::at(1_700_000_000);
/// let same = clock.clone();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(same.now(), UNIX_EPOCH + Duration::from_secs(1_700_000_060));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Creates a clock that shows this many seconds since 1970.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::{Duration, UNIX_EPOCH};
    /// # use session_axum::{Clock, testing::ManualClock};
    /// # fn main() {
    /// let clock = ManualClock::at(1_700_000_000);
    /// assert_eq!(clock.now(), UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    /// # }
    /// ```
    #[must_use]
    pub fn at(seconds: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seconds)))
    }

    /// Moves the clock forward by whole seconds. A fraction of a second is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::{Client, ManualClock, TestSession}};
    /// # async fn hello(session: Session) -> Result<String, Error> {
    /// #     Ok(format!("Hello {}", session.get("user")?.unwrap_or_else(|| "stranger".to_owned())))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let clock = ManualClock::at(1_700_000_000);
    /// let layer = SessionLayer::signed(Keys::generate()).clock(clock.clone());
    /// let client = Client::new(Router::new().route("/", get(hello)).layer(layer.clone()));
    /// client.enter(&TestSession::new(&layer).insert("user", "ada"));
    /// assert_eq!(client.get("/").await.text(), "Hello ada");
    /// clock.advance(Duration::from_secs(25 * 60 * 60)); // the idle timeout is 24 hours
    /// assert_eq!(client.get("/").await.text(), "Hello stranger");
    /// # }
    /// ```
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }

    /// Sets the clock to this many seconds since 1970. It may move backward.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::{Duration, UNIX_EPOCH};
    /// # use session_axum::{Clock, testing::ManualClock};
    /// # fn main() {
    /// let clock = ManualClock::at(1_700_000_000);
    /// clock.set(1_600_000_000);
    /// assert_eq!(clock.now(), UNIX_EPOCH + Duration::from_secs(1_600_000_000));
    /// # }
    /// ```
    pub fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        system_time(self.0.load(Ordering::SeqCst))
    }
}

/// A client that keeps cookies as a browser does, and calls the application in process.
///
/// It keeps Secure cookies too, as over HTTPS. Its clones are tabs of one browser: they share the cookies.
///
/// # Examples
///
/// ```
/// # use axum::{Router, routing::get};
/// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
/// async fn visit(session: Session) -> Result<String, Error> {
///     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
///     session.insert("visits", visits)?;
///     Ok(format!("visit {visits}"))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let layer = SessionLayer::signed(Keys::generate());
/// let client = Client::new(Router::new().route("/", get(visit)).layer(layer));
/// let other_tab = client.clone();
/// assert_eq!(client.get("/").await.text(), "visit 1");
/// assert_eq!(other_tab.get("/").await.text(), "visit 2");
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    app: App,
    jar: Arc<Mutex<Vec<Kept>>>,
    clock: Option<ManualClock>,
    /// The session that was entered last.
    entered: Arc<Mutex<Option<Arc<Entered>>>>,
    /// The sessions that were entered and that their stores have not written yet.
    unsaved: Arc<Mutex<Vec<Saving>>>,
    /// Held by the request that waits for them, so that others wait, too.
    saving: Arc<AsyncMutex<()>>,
}

/// The write of a session to its store. It returns the session with the secret that leads to it.
type Saving = Pin<Box<dyn Future<Output = Result<TestSession, Error>> + Send>>;

type App = Arc<dyn Fn(Request<Body>) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;

/// The properties by which a browser distinguishes cookies (RFC 6265bis, section 5.7; CHIPS).
#[derive(Clone, PartialEq, Eq)]
struct CookieKey {
    name: String,
    domain: Option<String>,
    path: String,
    is_partitioned: bool,
}

impl CookieKey {
    fn of(cookie: &Cookie<'_>) -> Self {
        Self {
            name: cookie.name().to_owned(),
            domain: cookie.domain().map(str::to_owned),
            path: cookie.path().unwrap_or("/").to_owned(),
            is_partitioned: cookie.partitioned().unwrap_or(false),
        }
    }
}

/// A cookie of a client. The jar has them in the order of their creation.
struct Kept {
    key: CookieKey,
    value: String,
    /// The second, by the client's clock, from which the cookie is dropped. `None` for a cookie without
    /// `Max-Age`, which lasts until the browser closes.
    expires: Option<u64>,
}

impl Kept {
    fn is_over(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }
}

impl Client {
    /// Creates a client of a [`Router`](https://docs.rs/axum/0.8/axum/struct.Router.html), or of another service that
    /// never fails. It has no cookies yet.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::testing::Client;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = Client::new(Router::new().route("/", get(|| async { "Hello" })));
    /// assert_eq!(client.get("/").await.text(), "Hello");
    /// assert!(client.cookie_names().is_empty());
    /// # }
    /// ```
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
        Self {
            app: Arc::new(call),
            jar: Arc::default(),
            clock: None,
            entered: Arc::default(),
            unsaved: Arc::default(),
            saving: Arc::default(),
        }
    }

    /// Makes the client drop each cookie when its `Max-Age` has passed by this clock. Without a clock, cookies with a
    /// `Max-Age` are kept.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use axum::{Router, http::HeaderMap, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::{Client, ManualClock}};
    /// # async fn log_in(session: Session) -> Result<(), Error> { session.insert("user", "ada") }
    /// async fn sends_cookies(headers: HeaderMap) -> String {
    ///     headers.contains_key("cookie").to_string()
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let clock = ManualClock::at(1_700_000_000);
    /// let layer = SessionLayer::signed(Keys::generate()).persistent(true).clock(clock.clone());
    /// let app = Router::new().route("/log-in", get(log_in)).route("/", get(sends_cookies)).layer(layer);
    /// let client = Client::new(app).with_clock(&clock);
    /// client.get("/log-in").await;
    /// assert_eq!(client.get("/").await.text(), "true");
    /// clock.advance(Duration::from_secs(25 * 60 * 60)); // `Max-Age` is the idle timeout of 24 hours
    /// assert_eq!(client.get("/").await.text(), "false");
    /// # }
    /// ```
    #[must_use]
    pub fn with_clock(self, clock: &ManualClock) -> Self {
        Self { clock: Some(clock.clone()), ..self }
    }

    /// Makes a GET request. `.await` sends it, and before that it can be given headers: see [`TestRequest`].
    ///
    /// # Panics
    ///
    /// Panics if `path` is not a valid path.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// # async fn visit(session: Session) -> Result<String, Error> {
    /// #     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    /// #     session.insert("visits", visits)?;
    /// #     Ok(format!("visit {visits}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(visit)).layer(layer));
    /// assert_eq!(client.get("/").await.text(), "visit 1");
    /// assert_eq!(client.get("/").await.text(), "visit 2");
    /// # }
    /// ```
    #[must_use = "`.await` sends the request"]
    pub fn get(&self, path: &str) -> TestRequest {
        self.request(Method::GET, path)
    }

    /// Makes a POST request with an empty body, which [`TestRequest`] can fill. `.await` sends it.
    ///
    /// # Panics
    ///
    /// Panics if `path` is not a valid path.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::{get, post}};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, SessionResponseExt, testing::Client};
    /// # async fn visit(session: Session) -> Result<String, Error> {
    /// #     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    /// #     session.insert("visits", visits)?;
    /// #     Ok(format!("visit {visits}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let app = Router::new()
    ///     .route("/", get(visit))
    ///     .route("/log-out", post(|| async { "Bye".with_new_session() }));
    /// let client = Client::new(app.layer(SessionLayer::signed(Keys::generate())));
    /// client.get("/").await;
    /// assert_eq!(client.post("/log-out").await.text(), "Bye");
    /// assert!(client.cookie_names().is_empty());
    /// # }
    /// ```
    #[must_use = "`.await` sends the request"]
    pub fn post(&self, path: &str) -> TestRequest {
        self.request(Method::POST, path)
    }

    /// Makes a POST request with a form, encoded as `application/x-www-form-urlencoded`. `.await` sends it.
    ///
    /// # Panics
    ///
    /// Panics if `path` is not a valid path.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::collections::HashMap;
    /// # use axum::{Form, Router, routing::post};
    /// # use session_axum::testing::Client;
    /// async fn save(Form(form): Form<HashMap<String, String>>) -> String {
    ///     format!("Saved {}", form["name"])
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = Client::new(Router::new().route("/", post(save)));
    /// assert_eq!(client.post_form("/", &[("name", "Ada & Co")]).await.text(), "Saved Ada & Co");
    /// # }
    /// ```
    #[must_use = "`.await` sends the request"]
    pub fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> TestRequest {
        self.post(path).form(fields)
    }

    /// Makes a POST request with a value as JSON. `.await` sends it.
    ///
    /// # Panics
    ///
    /// Panics if `path` is not a valid path, or if the value has no JSON text.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::post};
    /// # use serde_json::{Value, json};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn add(session: Session, body: String) -> Result<String, Error> {
    ///     session.insert("item", &body)?;
    ///     Ok(body)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", post(add)).layer(layer));
    /// let added: Value = client.post_json("/", &json!({ "item": "tea" })).await.json();
    /// assert_eq!(added["item"], "tea");
    /// # }
    /// ```
    #[must_use = "`.await` sends the request"]
    pub fn post_json(&self, path: &str, value: &(impl Serialize + ?Sized)) -> TestRequest {
        self.post(path).json(value)
    }

    /// Makes a request with any method. `.await` sends it.
    ///
    /// # Panics
    ///
    /// Panics if `path` is not a valid path.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, http::Method, routing::delete};
    /// # use session_axum::testing::Client;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = Client::new(Router::new().route("/items/7", delete(|| async { "Deleted" })));
    /// assert_eq!(client.request(Method::DELETE, "/items/7").await.text(), "Deleted");
    /// # }
    /// ```
    #[must_use = "`.await` sends the request"]
    pub fn request(&self, method: Method, path: &str) -> TestRequest {
        TestRequest::new(self.clone(), method, path)
    }

    /// Sends any request. The client's cookies are added after the cookies that the request has itself.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{body::Body, http::Request, Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// # async fn visit(session: Session) -> Result<String, Error> {
    /// #     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    /// #     session.insert("visits", visits)?;
    /// #     Ok(format!("visit {visits}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(visit)).layer(layer));
    /// let request = Request::get("/").header("accept", "text/html").body(Body::empty())?;
    /// assert_eq!(client.send(request).await.text(), "visit 1");
    /// assert_eq!(client.get("/").await.text(), "visit 2");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send(&self, mut request: Request<Body>) -> TestResponse {
        self.finish_entering().await.unwrap_or_else(|error| store_failed(&error));
        let entered = self.entered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let entered = entered.filter(|entered| self.cookie(entered.name()).as_deref() == Some(entered.value()));
        if let Some(entered) = &entered {
            request.extensions_mut().insert(Arc::clone(entered));
        }
        if let Some(cookies) = self.cookie_header(request.uri().path()) {
            request.headers_mut().append(header::COOKIE, cookies);
        }
        let response = TestResponse::read((self.app)(request).await).await;
        self.keep(response.headers());
        if let Some(entered) = entered {
            entered.complain();
        }
        response
    }

    /// Gives the client the session cookie and the flash cookie of `session`. With a store, the session is written now,
    /// or, if the store does not answer while the thread is blocked, before the client's next request.
    ///
    /// If the session was made for a layer with other keys than the application's, or with another cookie, the next
    /// request says so on stderr and in the log: the application sees no session.
    ///
    /// # Panics
    ///
    /// Panics if the operating system returns no random bytes, if the store fails, or, with a store, outside of a
    /// tokio runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::{Client, TestSession}};
    /// # async fn hello(session: Session) -> Result<String, Error> {
    /// #     Ok(format!("Hello {}", session.get("user")?.unwrap_or_else(|| "stranger".to_owned())))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(hello)).layer(layer.clone()));
    /// client.enter(&TestSession::new(&layer).insert("user", "ada"));
    /// assert_eq!(client.get("/").await.text(), "Hello ada");
    /// # }
    /// ```
    pub fn enter(&self, session: &TestSession) {
        match session.save_soon() {
            Ok(saved) => self.set_cookies(&saved),
            Err(saving) => {
                self.set_cookies(session);
                self.unsaved.lock().unwrap_or_else(PoisonError::into_inner).push(saving);
            }
        }
    }

    /// Waits for the writes of sessions that were entered.
    async fn finish_entering(&self) -> Result<(), Error> {
        let _others_wait = self.saving.lock().await;
        let unsaved = std::mem::take(&mut *self.unsaved.lock().unwrap_or_else(PoisonError::into_inner));
        for saving in unsaved {
            self.set_cookies(&saving.await?);
        }
        Ok(())
    }

    fn set_cookies(&self, session: &TestSession) {
        let cookies = session.cookies_with(&session.secret);
        let is_session = |name: &str| name == session.settings.session_cookie.spec.name();
        let entered = cookies.iter().find(|(name, _)| is_session(name)).map(|(name, value)| Entered::new(name, value));
        *self.entered.lock().unwrap_or_else(PoisonError::into_inner) = entered.map(Arc::new);
        for (name, value) in cookies {
            self.set_cookie(&name, &value);
        }
    }

    /// Gives the client a cookie for all paths, in place of one with the same name.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, http::HeaderMap, routing::get};
    /// # use session_axum::testing::Client;
    /// async fn cookies(headers: HeaderMap) -> String {
    ///     headers["cookie"].to_str().unwrap_or_default().to_owned()
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let client = Client::new(Router::new().route("/", get(cookies)));
    /// client.set_cookie("theme", "dark");
    /// assert_eq!(client.get("/").await.text(), "theme=dark");
    /// # }
    /// ```
    pub fn set_cookie(&self, name: &str, value: &str) {
        let key = CookieKey { name: name.to_owned(), domain: None, path: "/".to_owned(), is_partitioned: false };
        self.jar().retain(|kept| kept.key == key || kept.key.name != name);
        self.put(Kept { key, value: value.to_owned(), expires: None });
    }

    /// Keeps a cookie. One that the client already has keeps its place in the order, and one that has expired does not
    /// (RFC 6265bis, section 5.7).
    fn put(&self, cookie: Kept) {
        let now = self.now();
        let mut jar = self.jar();
        match jar.iter().position(|kept| kept.key == cookie.key) {
            Some(place) if !jar[place].is_over(now) => jar[place] = cookie,
            Some(place) => {
                jar.remove(place);
                jar.push(cookie);
            }
            None => jar.push(cookie),
        }
    }

    /// Returns the value of a cookie; `None` if the client has no cookie with this name.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// # async fn visit(session: Session) -> Result<String, Error> {
    /// #     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    /// #     session.insert("visits", visits)?;
    /// #     Ok(format!("visit {visits}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(visit)).layer(layer));
    /// assert_eq!(client.cookie("__Host-session"), None);
    /// client.get("/").await;
    /// assert!(client.cookie("__Host-session").is_some());
    /// # }
    /// ```
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.jar().iter().find(|kept| kept.key.name == name).map(|kept| kept.value.clone())
    }

    /// Returns the names of all cookies, sorted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// # async fn visit(session: Session) -> Result<String, Error> {
    /// #     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    /// #     session.insert("visits", visits)?;
    /// #     Ok(format!("visit {visits}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(visit)).layer(layer));
    /// client.get("/").await;
    /// client.set_cookie("theme", "dark");
    /// assert_eq!(client.cookie_names(), ["__Host-session", "theme"]);
    /// # }
    /// ```
    #[must_use]
    pub fn cookie_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.jar().iter().map(|kept| kept.key.name.clone()).collect();
        names.sort();
        names
    }

    /// Drops all cookies without a `Max-Age`, as a browser does when it closes.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// # async fn visit(session: Session) -> Result<String, Error> {
    /// #     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    /// #     session.insert("visits", visits)?;
    /// #     Ok(format!("visit {visits}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(visit)).layer(layer));
    /// assert_eq!(client.get("/").await.text(), "visit 1");
    /// client.close_browser();
    /// assert_eq!(client.get("/").await.text(), "visit 1");
    /// # }
    /// ```
    pub fn close_browser(&self) {
        self.jar().retain(|kept| kept.expires.is_some());
    }

    fn cookie_header(&self, path: &str) -> Option<HeaderValue> {
        let now = self.now();
        let pairs = self.pairs(|kept| !kept.is_over(now) && matches(&kept.key.path, path));
        if pairs.is_empty() { None } else { HeaderValue::try_from(pairs).ok() }
    }

    fn keep(&self, headers: &HeaderMap) {
        for header in headers.get_all(header::SET_COOKIE) {
            let Ok(cookie) = Cookie::parse(header.to_str().unwrap_or_default()) else { continue };
            let (key, age) =
                (CookieKey::of(&cookie), cookie.max_age().map(cookie::time::SignedDuration::whole_seconds));
            if age.is_some_and(|age| age <= 0) {
                self.jar().retain(|kept| kept.key != key);
                continue;
            }
            let expires = age.map(|age| self.now().saturating_add(age.unsigned_abs()));
            self.put(Kept { key, value: cookie.value().to_owned(), expires });
        }
    }

    /// Returns all cookies as a `Cookie` header has them.
    fn all_cookies(&self) -> String {
        self.pairs(|_| true)
    }

    /// Returns some cookies in the order of a browser: longer paths first, then the older first (RFC 6265bis, section
    /// 5.8.3).
    fn pairs(&self, is_sent: impl Fn(&Kept) -> bool) -> String {
        let jar = self.jar();
        let mut sent: Vec<_> = jar.iter().filter(|kept| is_sent(kept)).collect();
        sent.sort_by_key(|kept| Reverse(kept.key.path.len()));
        let pairs: Vec<_> = sent.iter().map(|kept| format!("{}={}", kept.key.name, kept.value)).collect();
        pairs.join("; ")
    }

    fn now(&self) -> u64 {
        self.clock.as_ref().map_or(0, |clock| clock.0.load(Ordering::SeqCst))
    }

    fn jar(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("cookies", &self.jar().len()).finish_non_exhaustive()
    }
}

/// Returns whether a cookie's path matches a request's path (RFC 6265bis, section 5.1.4).
fn matches(cookie: &str, request: &str) -> bool {
    request.strip_prefix(cookie).is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

/// A session and its flash messages, outside of any request. Use it to prepare the session of a test, or to read what
/// an application has set.
///
/// It works with every layer except [`SessionLayer::null`], which has no sessions.
///
/// # With a store
///
/// With [`SessionLayer::stored`] the session is also written to the store, and read from it.
///
/// - [`Client::enter`], [`saved`](Self::saved) and [`load`](Self::load) work with every store and in every runtime.
/// - The other methods block the thread until the store has answered. `MemoryStore` and `SqliteStore` always answer.
///   Stores that use a socket, such as `PostgresStore` and `RedisStore`, answer only in a runtime with several threads
///   (`#[tokio::test(flavor = "multi_thread")]`). In the runtime of `#[tokio::test]` alone, the blocked thread is the
///   one that would read the socket. After two seconds these methods panic there, and outside of a runtime at once.
///
/// ```
/// # use axum::{Router, routing::get};
/// # use session_axum::{Error, Keys, Session, SessionLayer, testing::{Client, TestSession}};
/// # async fn visit(session: Session) -> Result<String, Error> {
/// #     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
/// #     session.insert("visits", visits)?;
/// #     Ok(format!("visit {visits}"))
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let layer = SessionLayer::signed(Keys::generate());
/// let client = Client::new(Router::new().route("/", get(visit)).layer(layer.clone()));
/// client.enter(&TestSession::new(&layer).insert("visits", 41).saved().await);
/// assert_eq!(client.get("/").await.text(), "visit 42");
/// assert_eq!(TestSession::load(&layer, &client).await.get("visits"), Some(42));
/// # }
/// ```
///
/// # Examples
///
/// ```
/// # use axum::{Router, routing::get};
/// # use session_axum::{Error, Keys, Session, SessionLayer, testing::{Client, TestSession}};
/// # async fn visit(session: Session) -> Result<String, Error> {
/// #     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
/// #     session.insert("visits", visits)?;
/// #     Ok(format!("visit {visits}"))
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let layer = SessionLayer::signed(Keys::generate());
/// let client = Client::new(Router::new().route("/", get(visit)).layer(layer.clone()));
/// client.enter(&TestSession::new(&layer).insert("visits", 41));
/// assert_eq!(client.get("/").await.text(), "visit 42");
/// assert_eq!(TestSession::of_client(&layer, &client).get("visits"), Some(42));
/// # }
/// ```
#[derive(Clone)]
pub struct TestSession {
    settings: Arc<Settings>,
    id: SessionId,
    entries: BTreeMap<String, String>,
    owner: Option<String>,
    label: Option<String>,
    is_confirmed: bool,
    flash: Batch,
    /// The secret that the cookie of a stored session carries.
    secret: IdSecret,
    /// Whether the store has the session as it is here.
    is_saved: bool,
}

impl TestSession {
    /// Creates an empty session for this layer.
    ///
    /// # Panics
    ///
    /// Panics if the operating system returns no random bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # use session_axum::{Keys, SessionLayer, testing::TestSession};
    /// # fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// assert!(TestSession::new(&layer).keys().is_empty());
    /// # }
    /// ```
    #[must_use]
    pub fn new(layer: &SessionLayer) -> Self {
        let id = SessionId::random().unwrap_or_else(|error| panic!("{error}"));
        let secret = IdSecret::random().unwrap_or_else(|error| panic!("{error}"));
        let (settings, flash) = (Arc::clone(layer.settings()), Batch::default());
        Self {
            settings,
            id,
            entries: BTreeMap::new(),
            owner: None,
            label: None,
            is_confirmed: false,
            flash,
            secret,
            is_saved: false,
        }
    }

    /// Gives the session the id that belongs to this number, in place of a random one, so that it is the same in every
    /// run. With a [`ManualClock`], a signed cookie is the same text in every run, too. Use it in tests alone: everyone
    /// can calculate the id, and the secret of a session in a store.
    ///
    /// # Examples
    ///
    /// ```
    /// # use session_axum::{Keys, SessionLayer, testing::{ManualClock, TestSession}};
    /// # fn main() {
    /// let layer = SessionLayer::signed(Keys::generate()).clock(ManualClock::at(1_700_000_000));
    /// let session = || TestSession::new(&layer).seed(7).insert("user", "ada");
    /// assert_eq!(session().id().to_string(), "Y8vh5FkyDdcETDzX9DxmHA");
    /// assert_eq!(session().cookies(), session().cookies());
    /// # }
    /// ```
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        let mut numbers = SplitMix(seed);
        self.id = SessionId::from_bytes(numbers.bytes());
        self.secret = IdSecret::of_payload(&numbers.bytes::<32>()).unwrap_or(self.secret);
        self
    }

    /// Sets the owner, as [`Session::set_owner`](crate::Session::set_owner) does. Layers that keep no owners ignore it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use session_axum::{SessionLayer, testing::TestSession};
    /// /// Two devices on which Ada is logged in, for a layer with a store.
    /// fn devices(layer: &SessionLayer) -> [TestSession; 2] {
    ///     let ada = || TestSession::new(layer).insert("user", "ada").owner("ada");
    ///     [ada().label("A phone"), ada().label("A laptop")]
    /// }
    /// # let layer = SessionLayer::signed(session_axum::Keys::generate());
    /// # assert_eq!(devices(&layer)[1].get("user"), Some("ada".to_owned()));
    /// ```
    #[must_use]
    pub fn owner(mut self, owner: &str) -> Self {
        self.owner = Some(owner.to_owned());
        self
    }

    /// Sets the label, as [`Session::set_label`](crate::Session::set_label) does. Only stores keep it. For an example,
    /// see [`owner`](Self::owner).
    #[must_use]
    pub fn label(mut self, label: &str) -> Self {
        self.label = Some(label.to_owned());
        self
    }

    /// Notes that the visitor has just proved who they are, as [`Session::confirm`](crate::Session::confirm) does.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Keys, Session, SessionLayer, testing::{Client, TestSession}};
    /// async fn payout(session: Session) -> String {
    ///     session.confirmed_within(Duration::from_secs(600)).to_string()
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(payout)).layer(layer.clone()));
    /// client.enter(&TestSession::new(&layer).insert("user", "ada").confirmed());
    /// assert_eq!(client.get("/").await.text(), "true");
    /// # }
    /// ```
    #[must_use]
    pub const fn confirmed(mut self) -> Self {
        self.is_confirmed = true;
        self
    }

    /// Reads the session and the flash messages from the cookies that a response sets. If the response sets no cookies,
    /// the session is empty.
    ///
    /// # Panics
    ///
    /// Panics if the layer's store fails, or if it [cannot answer here](#with-a-store).
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::{Client, TestSession}};
    /// # async fn visit(session: Session) -> Result<String, Error> {
    /// #     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    /// #     session.insert("visits", visits)?;
    /// #     Ok(format!("visit {visits}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(visit)).layer(layer.clone()));
    /// let response = client.get("/").await;
    /// let session = TestSession::of_response(&layer, response.headers());
    /// assert_eq!(session.get("visits"), Some(1));
    /// # }
    /// ```
    #[must_use]
    pub fn of_response(layer: &SessionLayer, headers: &HeaderMap) -> Self {
        let cookies = headers.get_all(header::SET_COOKIE).iter().filter_map(|header| {
            let text = header.to_str().ok()?;
            Some(text.split(';').next().unwrap_or_default().to_owned())
        });
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        wait_for(Self::load_cookies(layer, &cookies), layer.settings().engine().never_waits())
    }

    /// Reads the session and the flash messages from the cookies of a client.
    ///
    /// # Panics
    ///
    /// Panics if the layer's store fails, or if it [cannot answer here](#with-a-store). [`load`](Self::load) works
    /// everywhere.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::{Client, TestSession}};
    /// # async fn visit(session: Session) -> Result<String, Error> {
    /// #     let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    /// #     session.insert("visits", visits)?;
    /// #     Ok(format!("visit {visits}"))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(visit)).layer(layer.clone()));
    /// client.get("/").await;
    /// client.get("/").await;
    /// assert_eq!(TestSession::of_client(&layer, &client).get("visits"), Some(2));
    /// # }
    /// ```
    #[must_use]
    pub fn of_client(layer: &SessionLayer, client: &Client) -> Self {
        wait_for(Self::load_client(layer, client), layer.settings().engine().never_waits())
    }

    /// Does the same as [`of_client`](Self::of_client), with [every store](#with-a-store) and in every runtime.
    ///
    /// # Panics
    ///
    /// Panics if the layer's store fails.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::{Client, TestSession}};
    /// # async fn visit(session: Session) -> Result<(), Error> { session.insert("visits", 1) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(visit)).layer(layer.clone()));
    /// client.get("/").await;
    /// assert_eq!(TestSession::load(&layer, &client).await.get("visits"), Some(1));
    /// # }
    /// ```
    pub async fn load(layer: &SessionLayer, client: &Client) -> Self {
        Self::load_client(layer, client).await.unwrap_or_else(|error| store_failed(&error))
    }

    async fn load_client(layer: &SessionLayer, client: &Client) -> Result<Self, Error> {
        client.finish_entering().await?;
        Self::load_cookies(layer, &client.all_cookies()).await
    }

    /// Writes the session to the layer's store, so that its cookies lead to it. Works with [every
    /// store](#with-a-store) and in every runtime. Call it last: a later [`insert`](Self::insert) is not saved. Does
    /// nothing if the layer has no store.
    ///
    /// # Panics
    ///
    /// Panics if the operating system returns no random bytes, or if the store fails.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::{Client, TestSession}};
    /// # async fn hello(session: Session) -> Result<String, Error> {
    /// #     Ok(format!("Hello {}", session.get("user")?.unwrap_or_else(|| "stranger".to_owned())))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(hello)).layer(layer.clone()));
    /// let session = TestSession::new(&layer).insert("user", "ada").saved().await;
    /// client.enter(&session);
    /// assert_eq!(client.get("/").await.text(), "Hello ada");
    /// # }
    /// ```
    #[must_use]
    pub async fn saved(self) -> Self {
        self.try_saved().await.unwrap_or_else(|error| store_failed(&error))
    }

    async fn try_saved(mut self) -> Result<Self, Error> {
        if let (Some(store), false) = (self.settings.engine().records(), self.is_saved || self.is_empty()) {
            self.secret = self.store(store, self.settings.now()).await?;
            self.is_saved = true;
        }
        Ok(self)
    }

    /// Writes the session to the layer's store, if it has one. If the store does not answer at once, returns the write
    /// that has begun.
    fn save_soon(&self) -> Result<Self, Saving> {
        let mut saving: Saving = Box::pin(self.clone().try_saved());
        let never_waits = self.settings.engine().records().is_none() || self.is_saved || self.is_empty();
        match answer_of(saving.as_mut(), never_waits, MOMENT) {
            Some(saved) => Ok(saved.unwrap_or_else(|error| store_failed(&error))),
            None => Err(saving),
        }
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.owner.is_none()
    }

    /// Sets the value under a key, and replaces a previous one.
    ///
    /// # Panics
    ///
    /// Panics if the value cannot be stored as JSON.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::{Client, TestSession}};
    /// # async fn hello(session: Session) -> Result<String, Error> {
    /// #     Ok(format!("Hello {}", session.get("user")?.unwrap_or_else(|| "stranger".to_owned())))
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(hello)).layer(layer.clone()));
    /// client.enter(&TestSession::new(&layer).insert("user", "ada"));
    /// assert_eq!(client.get("/").await.text(), "Hello ada");
    /// # }
    /// ```
    #[must_use]
    pub fn insert(mut self, key: &str, value: impl Serialize) -> Self {
        let text = encode(&value).unwrap_or_else(|error| panic!("the value for {key:?} cannot be stored: {error}"));
        self.entries.insert(key.to_owned(), text);
        self.is_saved = false;
        self
    }

    /// Adds a flash message.
    ///
    /// # Panics
    ///
    /// Panics if the message has data that cannot be written as JSON.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::{Client, TestSession}};
    /// # async fn page(flash: Flash) -> String { flash.get("success").unwrap_or("no message").to_owned() }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(page)).layer(layer.clone()));
    /// client.enter(&TestSession::new(&layer).flash("success", "Saved"));
    /// assert_eq!(client.get("/").await.text(), "Saved");
    /// # }
    /// ```
    #[must_use]
    pub fn flash(mut self, key: &str, message: impl Into<Message>) -> Self {
        let message = message.into().into_content().unwrap_or_else(|error| panic!("{error}"));
        self.flash.messages.add(key, message);
        self
    }

    /// Adds the values of a refused form, for [`Flash::input`](crate::Flash::input). Sensitive fields are [left
    /// out](crate::response::WithInput#left-out).
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::{Client, TestSession}};
    /// # async fn form(flash: Flash) -> String { flash.input().get("name").unwrap_or_default().to_owned() }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(form)).layer(layer.clone()));
    /// client.enter(&TestSession::new(&layer).input(&[("name", "Ada")]));
    /// assert_eq!(client.get("/").await.text(), "Ada");
    /// # }
    /// ```
    #[must_use]
    pub fn input<Kind>(mut self, form: &(impl FormValues<Kind> + ?Sized)) -> Self {
        self.flash.extend(form::fields(form, &Choice::Usual));
        self
    }

    /// Adds the errors of a refused form, for [`Flash::errors`](crate::Flash::errors).
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::{Client, TestSession}};
    /// # async fn form(flash: Flash) -> String { flash.errors().get("name").unwrap_or_default().to_owned() }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(form)).layer(layer.clone()));
    /// client.enter(&TestSession::new(&layer).errors([("name", "is already taken")]));
    /// assert_eq!(client.get("/").await.text(), "is already taken");
    /// # }
    /// ```
    #[must_use]
    pub fn errors<Kind>(mut self, errors: impl IntoErrors<Kind>) -> Self {
        self.flash.errors.extend(form::lists(errors));
        self
    }

    /// Returns the value under a key; `None` if there is none.
    ///
    /// # Panics
    ///
    /// Panics if the value cannot be read as a `T`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use session_axum::{Keys, SessionLayer, testing::TestSession};
    /// # fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let session = TestSession::new(&layer).insert("visits", 3);
    /// assert_eq!(session.get("visits"), Some(3));
    /// assert_eq!(session.get::<String>("user"), None);
    /// # }
    /// ```
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        let text = self.entries.get(key)?;
        Some(decode(text).unwrap_or_else(|error| panic!("the value of {key:?} cannot be read: {error}")))
    }

    /// Returns all keys, sorted.
    ///
    /// # Examples
    ///
    /// ```
    /// # use session_axum::{Keys, SessionLayer, testing::TestSession};
    /// # fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let session = TestSession::new(&layer).insert("user", "ada").insert("admin", true);
    /// assert_eq!(session.keys(), ["admin", "user"]);
    /// # }
    /// ```
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        self.entries.keys().map(String::as_str).collect()
    }

    /// Returns the session's id, as [`Session::id`](crate::Session::id) does in a handler.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Keys, Session, SessionLayer, testing::{Client, TestSession}};
    /// # async fn id(session: Session) -> String { session.id().to_string() }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(id)).layer(layer.clone()));
    /// let session = TestSession::new(&layer).insert("user", "ada");
    /// client.enter(&session);
    /// assert_eq!(client.get("/").await.text(), session.id().to_string());
    /// # }
    /// ```
    #[must_use]
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// Returns the flash messages, by key.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Keys, SessionLayer, SessionResponseExt, testing::{Client, TestSession}};
    /// # async fn save() -> impl axum::response::IntoResponse { "".flashing(("success", "Saved")) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(save)).layer(layer.clone()));
    /// client.get("/").await;
    /// let session = TestSession::of_client(&layer, &client);
    /// assert_eq!(session.messages().get("success"), Some("Saved"));
    /// # }
    /// ```
    #[must_use]
    pub const fn messages(&self) -> &MessageLists {
        &self.flash.messages
    }

    /// Returns the values of the refused form that the flash carries, by field.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Keys, SessionLayer, SessionResponseExt, testing::{Client, TestSession}};
    /// # async fn save() -> impl axum::response::IntoResponse { "".with_input(&[("name", "Ada")]) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(save)).layer(layer.clone()));
    /// client.get("/").await;
    /// let session = TestSession::of_client(&layer, &client);
    /// assert_eq!(session.form_input().get("name"), Some("Ada"));
    /// # }
    /// ```
    #[must_use]
    pub const fn form_input(&self) -> &Lists {
        &self.flash.input
    }

    /// Returns the errors of the refused form that the flash carries, by field.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Keys, SessionLayer, SessionResponseExt, testing::{Client, TestSession}};
    /// # async fn save() -> impl axum::response::IntoResponse { "".with_errors([("name", "is already taken")]) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(save)).layer(layer.clone()));
    /// client.get("/").await;
    /// let session = TestSession::of_client(&layer, &client);
    /// assert_eq!(session.form_errors().get("name"), Some("is already taken"));
    /// # }
    /// ```
    #[must_use]
    pub const fn form_errors(&self) -> &Lists {
        &self.flash.errors
    }

    /// Makes a request that carries the session's cookies. Use it for a service that is called without a [`Client`].
    ///
    /// # Panics
    ///
    /// Panics if `path` is not a valid path, and in the same cases as [`TestSession::cookies`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::http::{Method, header};
    /// # use session_axum::{Keys, SessionLayer, testing::TestSession};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let request = TestSession::new(&layer).insert("user", "ada").request(Method::GET, "/account");
    /// assert_eq!(request.uri(), "/account");
    /// assert!(request.headers()[header::COOKIE].to_str()?.starts_with("__Host-session="));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn request(&self, method: Method, path: &str) -> Request<Body> {
        let pairs: Vec<_> = self.cookies().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = Request::builder().method(method).uri(path).header(header::COOKIE, pairs.join("; "));
        request.body(Body::empty()).unwrap_or_else(|error| panic!("{path:?} is not a valid path: {error}"))
    }

    /// Returns the names and values of the session's cookies. A session without values has no session cookie, and a
    /// session without messages has no flash cookie.
    ///
    /// With [`SessionLayer::stored`] each call also writes the session to the store, unless it was
    /// [`saved`](Self::saved).
    ///
    /// # Panics
    ///
    /// Panics if the operating system returns no random bytes, if the store fails, or if it [cannot answer
    /// here](#with-a-store).
    ///
    /// # Examples
    ///
    /// ```
    /// # use session_axum::{Keys, SessionLayer, testing::TestSession};
    /// # fn main() {
    /// let layer = SessionLayer::signed(Keys::generate());
    /// let session = TestSession::new(&layer).insert("user", "ada").flash("success", "Saved");
    /// let cookies = session.cookies();
    /// assert_eq!(cookies[0].0, "__Host-session");
    /// assert!(cookies[1].0.starts_with("__Host-flash."));
    /// # }
    /// ```
    #[must_use]
    pub fn cookies(&self) -> Vec<(String, String)> {
        let never_waits = self.settings.engine().records().is_none() || self.is_saved || self.is_empty();
        let saved = wait_for(self.clone().try_saved(), never_waits);
        self.cookies_with(&saved.secret)
    }

    /// Returns the cookies of a session that a store has, or will have, under this secret.
    fn cookies_with(&self, secret: &IdSecret) -> Vec<(String, String)> {
        let Settings { session_cookie, flash_cookie, .. } = &*self.settings;
        let (Some(session), Some(flash)) = (&session_cookie.ring, &flash_cookie.ring) else { return Vec::new() };
        let now = self.settings.now();
        let seal =
            |ring: &session_core::token::Ring, body: &[u8]| ring.seal(body).unwrap_or_else(|error| panic!("{error}"));
        let mut cookies = Vec::new();
        let keeps_owners = self.settings.engine().keeps_owners();
        if !self.entries.is_empty() || (keeps_owners && self.owner.is_some()) {
            let mut body = Frame { id: self.id, created_at: now, issued_at: now }.begin_body(0);
            if self.settings.engine().records().is_some() {
                body.extend_from_slice(secret.as_bytes());
            } else {
                let mut metadata = Metadata::NONE;
                metadata.confirmed = self.is_confirmed.then_some(now);
                metadata.set_owner(self.owner.as_deref().filter(|_| keeps_owners), now);
                let metadata = metadata.to_json().map(|text| (RESERVED_PREFIX.to_string(), text));
                let entries = metadata.iter().map(|(key, text)| (key, text)).chain(&self.entries);
                write_object(entries.map(|(key, text)| (key.as_str(), text.as_str())), &mut body);
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

    /// Writes the session to the layer's store, and returns the secret that leads to it: another one if the session was
    /// there before and has ended.
    async fn store(&self, store: &StoreClient, now: u64) -> Result<IdSecret, Error> {
        let mut changes = Changes::default();
        self.entries.iter().for_each(|(key, text)| changes.insert(key, text.clone()));
        self.owner.iter().for_each(|owner| changes.set_owner(owner.clone()));
        self.label.iter().for_each(|label| changes.set_label(label.clone()));
        if self.is_confirmed {
            changes.confirm(now);
        }
        let Limits { idle, lifetime, visits: _ } = self.settings.config.limits;
        let write = Write::new(&changes, Visit { now, expires_at: now.saturating_add(idle.min(lifetime)) });
        let key = RecordKey::of_secret(self.id, self.secret.as_bytes());
        match store.create(&key, write).await {
            Ok(()) => {
                // If the session was there already, `create` has left it as it was.
                store.update(&key, write).await?;
                Ok(self.secret.clone())
            }
            Err(error) if *error.kind() == ErrorKind::Store(StoreErrorKind::Refused) => {
                let secret = IdSecret::random()?;
                store.create(&RecordKey::of_secret(self.id, secret.as_bytes()), write).await?;
                Ok(secret)
            }
            Err(error) => Err(error),
        }
    }

    async fn load_cookies(layer: &SessionLayer, cookies: &str) -> Result<Self, Error> {
        let mut session = Self::new(layer);
        let Ok(header) = HeaderValue::try_from(cookies) else { return Ok(session) };
        let cookies = RequestCookies::One(header);
        let now = session.settings.now();
        let loaded = session.settings.engine().load(session.settings.context(&cookies, now)).await?;
        session.id = loaded.session().map_or(session.id, |live| live.frame.id);
        if let Some(stored) = loaded.stored() {
            session.secret = stored.secret.clone();
        }
        let batches = session.settings.flash_cookie.read(&cookies, now, &Refusals::default()).batches;
        session.entries = loaded.entries().iter().map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
        batches.into_iter().for_each(|received| session.flash.extend(received.batch));
        Ok(session)
    }
}

/// Blocks the thread until the store has answered. `never_waits` is for a future that asks no store, and so needs no
/// runtime.
fn wait_for<T>(answer: impl Future<Output = Result<T, Error>>, never_waits: bool) -> T {
    let answer = answer_of(answer, never_waits, PATIENCE).unwrap_or_else(|| panic!("{NO_ANSWER}"));
    answer.unwrap_or_else(|error| store_failed(&error))
}

/// Blocks the thread until the store has answered. In a runtime with one thread, it waits no longer than `limit`, and
/// then returns `None`.
fn answer_of<T>(answer: impl Future<Output = T>, never_waits: bool, limit: Duration) -> Option<T> {
    match Handle::try_current().map(|runtime| (runtime.runtime_flavor(), runtime)) {
        Ok((RuntimeFlavor::CurrentThread, _)) => park_until(answer, limit),
        // The runtime's other threads read the sockets.
        Ok((_, runtime)) => Some(block_in_place(|| runtime.block_on(answer))),
        Err(_) if never_waits => park_until(answer, limit),
        Err(_) => panic!("{NO_RUNTIME}"),
    }
}

/// Polls a future on this thread, and parks the thread in between. The runtime of this thread does no other work
/// in this time. Returns `None` if the future is not ready in time.
fn park_until<T>(future: impl Future<Output = T>, limit: Duration) -> Option<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut context, deadline) = (Context::from_waker(&waker), Instant::now() + limit);
    // Without tokio's limit for one task: its end would look like a store that does not answer.
    let mut future = pin!(unconstrained(future));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        thread::park_timeout(deadline.checked_duration_since(Instant::now())?);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn store_failed(error: &Error) -> ! {
    panic!("the session store failed: {error}")
}

/// The longest wait for a store in a runtime with one thread.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest wait where the answer may also come later.
const MOMENT: Duration = Duration::from_millis(100);

/// The numbers of a seed: [SplitMix64](https://prng.di.unimi.it/splitmix64.c).
struct SplitMix(u64);

impl SplitMix {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for part in bytes.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut number = self.0;
            number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            part.copy_from_slice(&(number ^ (number >> 31)).to_be_bytes()[..part.len()]);
        }
        bytes
    }
}

const NO_ANSWER: &str = "the session store did not answer while `TestSession` blocked this thread: \
                         use `TestSession::new(&layer)..saved().await`, `Client::enter` and \
                         `TestSession::load(&layer, &client).await`, or \
                         `#[tokio::test(flavor = \"multi_thread\")]`";

const NO_RUNTIME: &str = "`TestSession` needs a tokio runtime for a layer with a store: use `#[tokio::test]`";

impl fmt::Debug for TestSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSession").field("keys", &self.keys()).finish_non_exhaustive()
    }
}
