//! `Session`: the handle on the session of a request.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use serde::{Serialize, Serializer, de::DeserializeOwned, ser::Error as _};
use session_core::{
    MAX_COOKIE_AGE, MissingField, RESERVED_PREFIX, SessionData, SessionId,
    data::{Field, Reader, Writer},
    encode, encode_readable,
    store::{Changes, Entries, Metadata},
    system_time,
};

use crate::{
    detached::Detached,
    engine::Engine,
    error::{Error, read_value},
    guard::{Reason, Refusal},
    rejection::{SessionRejection, request_of, request_with},
    request::{LoadedRequest, SessionState},
    response::ReturnTo,
    state::{
        loaded::{Ended, Places},
        outcome::Plan,
    },
    template::JsonText,
};

/// The session of a request: all handles of one request share it. Handles see a change through a `Session` at once.
/// They see a change through a `Session<T>` after that handle is dropped, as a rule at the end of its function.
///
/// `Session` reads and changes values by key. `Session<T>`, for a `T` that derives [`SessionData`], shows the same
/// session as a struct. Middleware and handlers extract either of them. The layer saves the session with the response,
/// and only if something has changed. If the response is a 5xx or a 408, only [`Session::destroy`] and the
/// [response helpers](crate::SessionResponseExt) take effect, unless
/// [`SessionLayer::save_on_server_error`](crate::SessionLayer::save_on_server_error) is set.
///
/// If several layers are around the route, the session is that of the innermost one, or of the one that the struct
/// names with `#[session(cookie = "cart")]`: see [`SessionLayer`](crate::SessionLayer).
///
/// `Session` never rejects a request because of what the client sent: with a missing, forged or expired cookie the
/// session is empty. `Session<T>` rejects with 401, or with the redirect of `#[session(redirect = "/login")]`, if a
/// required field is missing, and with 403 or the redirect if `#[session(confirmed_within = "10m")]` misses a
/// [confirmation](Session::confirm). An `Option<Session<T>>` is then `None`. The redirect is for browsers: htmx gets
/// `HX-Redirect`, and a client that prefers JSON gets the status. The text is that of `#[session(message = "..")]`, and
/// [`SessionLayer::guard_message`](crate::SessionLayer::guard_message) translates it.
///
/// ```
/// # use axum::{Router, routing::{get, post}};
/// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
/// async fn log_in(session: Session) -> Result<&'static str, Error> {
///     session.renew();
///     session.insert("user", "Ada")?;
///     Ok("Welcome")
/// }
///
/// async fn home(session: Session) -> Result<String, Error> {
///     let user: Option<String> = session.get("user")?;
///     Ok(user.unwrap_or_else(|| "You are not logged in".to_owned()))
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let app = Router::new()
///     .route("/", get(home))
///     .route("/login", post(log_in))
///     .layer(SessionLayer::signed(Keys::generate()));
/// let client = Client::new(app); // sends requests to the router, and keeps cookies as a browser does
/// assert_eq!(client.get("/").await.text(), "You are not logged in");
/// client.post("/login").await;
/// assert_eq!(client.get("/").await.text(), "Ada");
/// # });
/// ```
///
/// The examples of the methods use such a `client` too.
///
/// # What surprises
///
/// **Other handles see the fields of a `Session<T>` late.** A change is staged when the handle is dropped. A
/// `Session<T>` reads its fields once, when it is extracted, and does not see later changes.
///
/// ```
/// # use axum::{Router, routing::get};
/// # use session_axum::{Error, Keys, Session, SessionData, SessionLayer, testing::Client};
/// #[derive(SessionData)]
/// struct Visitor {
///     #[session(default)]
///     visits: u32,
/// }
///
/// async fn count(mut visitor: Session<Visitor>, session: Session) -> Result<(), Error> {
///     visitor.visits += 1;
///     assert_eq!(session.get::<u32>("visits")?, None); // not staged yet
///     drop(visitor);
///     assert_eq!(session.get::<u32>("visits")?, Some(1));
///     Ok(())
/// }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let app = Router::new().route("/", get(count)).layer(SessionLayer::signed(Keys::generate()));
/// # let client = Client::new(app);
/// # assert_eq!(client.get("/").await.status(), 200);
/// # });
/// ```
///
/// **A `Session<T>` has few methods of its own**, so that the fields and methods of `T` keep their names: `renew`,
/// `rotate` and `destroy`. For the others, call [`Session::untyped`] first. It also stages the fields:
///
/// ```
/// # use axum::{Router, routing::get};
/// # use session_axum::{Keys, Session, SessionData, SessionLayer, testing::Client};
/// #[derive(SessionData)]
/// struct Visitor {
///     name: Option<String>,
/// }
///
/// async fn log_in(mut visitor: Session<Visitor>, session: Session) {
///     visitor.renew();
///     visitor.name = Some("Ada".to_owned());
///     assert!(!session.contains("name"));
///     assert!(Session::untyped(&visitor).contains("name") && session.contains("name"));
/// }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let app = Router::new().route("/", get(log_in)).layer(SessionLayer::signed(Keys::generate()));
/// # let client = Client::new(app);
/// # assert_eq!(client.get("/").await.status(), 200);
/// # });
/// ```
///
/// **A value may no longer decode**, because an older version of the application stored another type. For a
/// `Session<T>` it counts as missing, and a log line names its key. [`Session::get`] returns an error.
///
/// ```
/// # use axum::{Router, routing::get};
/// # use session_axum::{Error, Keys, Session, SessionData, SessionLayer, testing::Client};
/// async fn old(session: Session) -> Result<(), Error> {
///     session.insert("age", "seven")
/// }
///
/// #[derive(SessionData)]
/// struct Visitor {
///     age: Option<u32>,
/// }
///
/// async fn new(visitor: Session<Visitor>, session: Session) {
///     assert_eq!(visitor.age, None);
///     assert!(session.get::<u32>("age").is_err());
/// }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let app = Router::new().route("/old", get(old)).route("/", get(new));
/// # let app = app.layer(SessionLayer::signed(Keys::generate()));
/// # let client = Client::new(app);
/// # client.get("/old").await;
/// # assert_eq!(client.get("/").await.status(), 200);
/// # });
/// ```
pub struct Session<T: SessionData = Untyped> {
    request: LoadedRequest,
    data: T,
    /// The fields as they were staged last, or before the first mutable access; `None` until then.
    unstaged: Mutex<Option<Vec<Field>>>,
}

/// Marks a [`Session`] that reads and changes values by key, without a struct.
#[derive(Clone, Copy, Debug, Default)]
pub struct Untyped;

#[diagnostic::do_not_recommend]
impl SessionData for Untyped {
    const KEYS: &'static [&'static str] = &[];
    const SHOWS_ALL: bool = true;

    fn read(_: &Reader<'_>) -> Result<Self, MissingField> {
        Ok(Self)
    }

    fn write(&self, _: &mut Writer) {}
}

impl Session {
    /// Returns the value under `key`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Returns an error if the value is not a `T`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn page(session: Session) -> Result<(), Error> {
    ///     session.insert("name", "Ada")?;
    ///     assert_eq!(session.get::<String>("name")?, Some("Ada".to_owned()));
    ///     assert_eq!(session.get::<String>("city")?, None);
    ///     assert!(session.get::<u32>("name").is_err());
    ///     Ok(())
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let value = self.request.with_text(key, |text| read_value(key, text));
        value.inspect_err(|error| self.request.note_error(error))
    }

    /// Returns whether there is a value under `key`.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn page(session: Session) -> Result<(), Error> {
    ///     session.insert("user", "Ada")?;
    ///     assert!(session.contains("user"));
    ///     assert!(!session.contains("cart"));
    ///     Ok(())
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.request.with_text(key, |text| text.is_some())
    }

    /// Returns all keys, sorted.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn page(session: Session) -> Result<(), Error> {
    ///     session.insert("user", "Ada")?;
    ///     session.insert("cart", ["tea"])?;
    ///     assert_eq!(session.keys(), ["cart", "user"]);
    ///     Ok(())
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.with_keys(|keys| keys.into_iter().map(str::to_owned).collect())
    }

    /// Returns the number of values.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn page(session: Session) -> Result<(), Error> {
    ///     session.insert("user", "Ada")?;
    ///     session.insert("cart", ["tea"])?;
    ///     assert_eq!(session.len(), 2);
    ///     Ok(())
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.with_keys(|keys| keys.len())
    }

    /// Returns whether the session has no values.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn page(session: Session) -> Result<(), Error> {
    ///     assert!(session.is_empty());
    ///     session.insert("user", "Ada")?;
    ///     assert!(!session.is_empty());
    ///     Ok(())
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.with_keys(|keys| keys.is_empty())
    }

    /// Sets the value under `key`, and replaces a previous one.
    ///
    /// # Errors
    ///
    /// Returns an error if the value cannot be written as JSON that can be read back, if the key begins with `$`, or if
    /// the response has already been sent. NaN, infinities, more than 32 levels and repeated keys are refused.
    ///
    /// Some values are written and not read back. Only reading shows it, so that this method accepts them. The fields
    /// of a `Session<T>` and [`update`](Self::update) refuse them in debug builds.
    ///
    /// - 128-bit integers, and maps with keys that are no text, in an internally tagged, untagged or flattened type:
    ///   [`get`](Self::get) returns an error.
    /// - `Some(None)`, and `Some` of everything else that JSON writes as `null`: `get` returns `None`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::{get, post}};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn save(session: Session) -> Result<(), Error> {
    ///     session.insert("cart", vec!["tea", "honey"])
    /// }
    ///
    /// async fn page(session: Session) -> Result<String, Error> {
    ///     Ok(session.get::<Vec<String>>("cart")?.unwrap_or_default().join(", "))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", post(save)).route("/", get(page));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/").await;
    /// assert_eq!(client.get("/").await.text(), "tea, honey");
    /// # });
    /// ```
    pub fn insert(&self, key: &str, value: impl Serialize) -> Result<(), Error> {
        self.set(key, value).inspect_err(|error| self.request.note_error(error))
    }

    fn set(&self, key: &str, value: impl Serialize) -> Result<(), Error> {
        if key.starts_with(RESERVED_PREFIX) {
            return Err(Error::reserved(key));
        }
        let text = encode(&value).map_err(|error| Error::encode(key, error))?;
        self.request.stage(|session| session.staged.changes.set(key, text))
    }

    /// Removes the value under `key`, and returns whether there was one.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn page(session: Session) -> Result<(), Error> {
    ///     session.insert("cart", ["tea"])?;
    ///     assert!(session.remove("cart"));
    ///     assert!(!session.remove("cart"));
    ///     Ok(())
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    pub fn remove(&self, key: &str) -> bool {
        let removed = self.contains(key);
        if removed {
            self.request.stage_or_log(|session| session.staged.changes.remove(key));
        }
        removed
    }

    /// Removes the value under `key`, and returns it; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Returns an error if the value is not a `T`. The value then stays in the session.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn page(session: Session) -> Result<(), Error> {
    ///     session.insert("return_to", "/cart")?;
    ///     assert_eq!(session.take::<String>("return_to")?, Some("/cart".to_owned()));
    ///     assert_eq!(session.take::<String>("return_to")?, None);
    ///     Ok(())
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    pub fn take<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let value = self.get(key)?;
        self.remove(key);
        Ok(value)
    }

    /// Removes all values, the owner, the label and the confirmation.
    ///
    /// The session keeps its id if values are added afterwards. If it stays empty, it ends: the browser drops its
    /// cookie.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn page(session: Session) -> Result<(), Error> {
    ///     session.insert("user", "Ada")?;
    ///     session.clear();
    ///     assert!(session.is_empty());
    ///     Ok(())
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    pub fn clear(&self) {
        self.request.stage_or_log(|SessionState { loaded, staged, .. }| staged.changes.clear(loaded.entries()));
    }

    /// Replaces the value under `key` by the result of `change`, atomically, and returns the new value.
    ///
    /// `change` gets the current value. It runs again if another request has changed the session in between. If the
    /// session is in a store already, the new value is written at once and stays there even if the response is an
    /// error. Otherwise it is saved with the response.
    ///
    /// # Errors
    ///
    /// Returns an error if the current value is not a `T`, if the session has ended, if the store fails, or if other
    /// requests keep changing the session until the [store's timeout](crate::SessionLayer::store_timeout) is over. Also
    /// returns an error in the same cases as [`Session::insert`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn count(session: Session) -> Result<String, Error> {
    ///     let visits = session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).await?;
    ///     Ok(format!("Visit {visits}"))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(count)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// assert_eq!(client.get("/").await.text(), "Visit 1");
    /// assert_eq!(client.get("/").await.text(), "Visit 2");
    /// # });
    /// ```
    pub async fn update<T, F>(&self, key: &str, mut change: F) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T,
    {
        if key.starts_with(RESERVED_PREFIX) {
            let error = Error::reserved(key);
            self.request.note_error(&error);
            return Err(error);
        }
        let mut change = |old: Option<&str>| {
            let new = change(read_value(key, old)?);
            let text = encode_readable(&new).map_err(|error| Error::encode(key, error))?;
            Ok((new, text))
        };
        self.request.update(key, &mut change).await.inspect_err(|error| self.request.note_error(error))
    }

    /// Returns the public id of the session, for caches and logs.
    ///
    /// The id is no secret: it does not give access to the session. It stays the same until [`Session::renew`] or
    /// [`Session::destroy`]. This call keeps a session alive that is otherwise empty.
    ///
    /// # Panics
    ///
    /// Panics if the session has no id yet and the operating system provides no randomness.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Keys, Session, SessionLayer, testing::Client};
    /// async fn id(session: Session) -> String {
    ///     session.id().to_string()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(id)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// let first = client.get("/").await;
    /// let second = client.get("/").await;
    /// assert_eq!(first.text(), second.text());
    /// # });
    /// ```
    #[must_use]
    pub fn id(&self) -> SessionId {
        let id = self.request.with(|SessionState { loaded, staged, .. }| {
            staged.changes.ask_id();
            staged.id(loaded)
        });
        id.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Returns whether no session came with the request. This stays true when the request inserts values.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn visit(session: Session) -> Result<&'static str, Error> {
    ///     session.insert("visited", true)?;
    ///     Ok(if session.is_new() { "Welcome" } else { "Welcome back" })
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(visit)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// assert_eq!(client.get("/").await.text(), "Welcome");
    /// assert_eq!(client.get("/").await.text(), "Welcome back");
    /// # });
    /// ```
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.request.with(|session| session.is_new)
    }

    /// Returns why the session that the browser sent is over; `None` if it is alive, or if none came. Use it to say
    /// "your session has expired".
    ///
    /// An expired session is known as such for at least a day, and a session that ended elsewhere for a minute. A
    /// session that this request itself ends does not count.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use std::time::Duration;
    /// # use session_axum::{Ended, Keys, Session, SessionLayer, testing::{Client, ManualClock, TestSession}};
    /// async fn log_in_page(session: Session) -> &'static str {
    ///     match session.ended() {
    ///         Some(Ended::Expired) => "Your session has expired. Please log in again.",
    ///         _ => "Please log in.",
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let clock = ManualClock::at(1_700_000_000);
    /// # let layer = SessionLayer::signed(Keys::generate()).clock(clock.clone());
    /// # let client = Client::new(Router::new().route("/", get(log_in_page)).layer(layer.clone()));
    /// assert_eq!(client.get("/").await.text(), "Please log in.");
    /// client.enter(&TestSession::new(&layer).insert("user", "ada"));
    /// clock.advance(Duration::from_secs(25 * 60 * 60));
    /// assert_eq!(client.get("/").await.text(), "Your session has expired. Please log in again.");
    /// # });
    /// ```
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.request.with(|session| session.ended)
    }

    /// Returns the time when the session began; the current time if it begins with this request.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// # use std::time::{Duration, SystemTime};
    /// async fn page(session: Session) -> Result<(), Error> {
    ///     session.insert("user", "Ada")?; // the session begins with this request
    ///     let age = SystemTime::now().duration_since(session.created_at());
    ///     assert!(age.unwrap_or_default() < Duration::from_secs(60));
    ///     Ok(())
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn created_at(&self) -> SystemTime {
        self.if_sent_now(|plan| system_time(plan.times().created_at))
    }

    /// Returns the time when the session ends if the browser sends no further request.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::{Client, ManualClock}};
    /// # use std::time::Duration;
    /// async fn page(session: Session) -> Result<(), Error> {
    ///     session.insert("user", "Ada")?;
    ///     let idle_timeout = Duration::from_secs(24 * 60 * 60); // the default
    ///     assert_eq!(session.expires_at(), session.created_at() + idle_timeout);
    ///     Ok(())
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()).clock(ManualClock::at(1_000_000)));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.if_sent_now(|plan| system_time(plan.last_second()))
    }

    /// Ends this session after `lifetime`, counted from now, instead of by the configured limits: "remember me".
    ///
    /// The browser keeps the cookie for that time, also when it is closed. Further visits do not extend it. `lifetime`
    /// is limited to the range from 1 second to 400 days.
    ///
    /// ```
    /// # use axum::{Router, routing::post};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::{Client, ManualClock}};
    /// # use std::time::Duration;
    /// async fn log_in(session: Session) -> Result<(), Error> {
    ///     session.renew();
    ///     session.set_lifetime(Duration::from_secs(30 * 24 * 60 * 60));
    ///     session.insert("user", "Ada")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/login", post(log_in));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()).clock(ManualClock::at(1_000_000)));
    /// # let client = Client::new(app);
    /// let response = client.post("/login").await;
    /// assert!(response.set_cookies()[0].contains("; Max-Age=2592000"));
    /// client.close_browser();
    /// assert_eq!(client.cookie_names(), ["__Host-session"]);
    /// # });
    /// ```
    pub fn set_lifetime(&self, lifetime: Duration) {
        let until = self.request.settings().now().saturating_add(lifetime.as_secs().clamp(1, MAX_COOKIE_AGE));
        self.change_terms(|terms| {
            terms.until = Some(until);
            terms.browser_session = false;
        });
    }

    /// Sets this session's own idle timeout: the longest time between two visits, instead of
    /// [`SessionLayer::idle_timeout`](crate::SessionLayer::idle_timeout).
    ///
    /// The session still ends with its lifetime. The timeout stays through a renewal. It is limited to the range from 1
    /// second to 400 days.
    ///
    /// ```
    /// # use axum::{Router, routing::post};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::{Client, ManualClock}};
    /// # use std::time::Duration;
    /// async fn open_the_till(session: Session) -> Result<String, Error> {
    ///     session.insert("user", "Ada")?;
    ///     session.set_idle_timeout(Duration::from_secs(5 * 60));
    ///     let left = session.expires_at().duration_since(session.created_at()).unwrap();
    ///     Ok(left.as_secs().to_string())
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", post(open_the_till));
    /// # let client = Client::new(app.layer(SessionLayer::signed(Keys::generate())));
    /// assert_eq!(client.post("/").await.text(), "300");
    /// # });
    /// ```
    pub fn set_idle_timeout(&self, timeout: Duration) {
        self.change_terms(|terms| terms.idle = Some(timeout.as_secs().clamp(1, MAX_COOKIE_AGE)));
    }

    /// Undoes [`Session::set_lifetime`], [`Session::set_idle_timeout`] and [`Session::expire_on_browser_close`]: the
    /// configured limits count again.
    ///
    /// ```
    /// # use axum::{Router, routing::post};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// # use std::time::Duration;
    /// async fn forget_me(session: Session) -> Result<(), Error> {
    ///     session.insert("user", "Ada")?;
    ///     let before = session.expires_at();
    ///     session.set_lifetime(Duration::from_secs(365 * 24 * 60 * 60));
    ///     session.reset_lifetime();
    ///     assert_eq!(session.expires_at(), before);
    ///     Ok(())
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", post(forget_me));
    /// # let client = Client::new(app.layer(SessionLayer::signed(Keys::generate())));
    /// # assert_eq!(client.post("/").await.status(), 200);
    /// # });
    /// ```
    pub fn reset_lifetime(&self) {
        self.change_terms(|terms| (terms.until, terms.idle, terms.browser_session) = (None, None, false));
    }

    /// Ends this session when the browser closes, or earlier by the configured limits. Undoes
    /// [`Session::set_lifetime`].
    ///
    /// ```
    /// # use axum::{Router, routing::post};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn log_in(session: Session) -> Result<(), Error> {
    ///     session.renew();
    ///     session.expire_on_browser_close();
    ///     session.insert("user", "Ada")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/login", post(log_in));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()).persistent(true));
    /// # let client = Client::new(app);
    /// client.post("/login").await;
    /// assert_eq!(client.cookie_names(), ["__Host-session"]);
    /// client.close_browser();
    /// assert!(client.cookie_names().is_empty());
    /// # });
    /// ```
    pub fn expire_on_browser_close(&self) {
        self.change_terms(|terms| {
            terms.until = None;
            terms.browser_session = true;
        });
    }

    /// Notes that the visitor has just proved who they are, for [`Session::confirmed_within`].
    ///
    /// Call it at a log-in and when the visitor enters the password once more, both times together with
    /// [`renew`](Self::renew). A later `renew` forgets the confirmation, and [`rotate`](Self::rotate) keeps it. A
    /// confirmation alone is no session.
    ///
    /// ```
    /// # use axum::{Router, routing::post};
    /// # use std::time::Duration;
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn log_in(session: Session) -> Result<(), Error> {
    ///     session.renew();
    ///     session.confirm();
    ///     assert!(session.confirmed_within(Duration::from_secs(10 * 60)));
    ///     session.insert("user", "ada")
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/login", post(log_in)).layer(SessionLayer::signed(Keys::generate()));
    /// # assert_eq!(Client::new(app).post("/login").await.status(), 200);
    /// # });
    /// ```
    pub fn confirm(&self) {
        let now = self.request.settings().now();
        self.request.stage_or_log(|session| session.staged.changes.confirm(now));
    }

    /// Returns whether the visitor has proved who they are within `time`, by [`Session::confirm`]. The last second
    /// counts.
    ///
    /// A handler that takes a struct with `#[session(confirmed_within = "10m")]` needs no such check.
    ///
    /// ```
    /// # use axum::{Router, http::StatusCode, routing::post};
    /// # use std::time::Duration;
    /// # use session_axum::{Keys, Session, SessionLayer, testing::Client};
    /// async fn delete_account(session: Session) -> StatusCode {
    ///     if session.confirmed_within(Duration::from_secs(10 * 60)) {
    ///         StatusCode::OK
    ///     } else {
    ///         StatusCode::FORBIDDEN
    ///     }
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/delete", post(delete_account)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// assert_eq!(client.post("/delete").await.status(), StatusCode::FORBIDDEN);
    /// # });
    /// ```
    #[must_use]
    pub fn confirmed_within(&self, time: Duration) -> bool {
        confirmed_within(&self.request, time)
    }

    /// Makes the redirect (303) after a log-in: to the page that the visitor wanted when a guard with
    /// `#[session(redirect = "/login", return_to)]` sent them away, and otherwise to `default`.
    ///
    /// The page is used once: the response removes it. It is a path and query of this site, and is kept as long as a
    /// [flash message](crate::SessionLayer::flash_lifetime), also through [`renew`](Self::renew) and
    /// [`rotate`](Self::rotate). If there were several pages, the last one counts. If htmx asked for a piece of a page,
    /// the page is the one that the browser shows. Letters outside of ASCII are percent-encoded: `/köln` becomes
    /// `/k%C3%B6ln`.
    ///
    /// ```
    /// # use axum::{Router, routing::{get, post}};
    /// # use session_axum::{Error, Keys, Session, SessionData, SessionLayer, response::ReturnTo, testing::Client};
    /// #[derive(SessionData)]
    /// #[session(redirect = "/login", return_to)]
    /// struct Member {
    ///     user: String,
    /// }
    ///
    /// async fn log_in(session: Session) -> Result<ReturnTo, Error> {
    ///     session.renew();
    ///     session.insert("user", "ada")?;
    ///     Ok(session.return_to("/"))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/orders", get(|_: Session<Member>| async {})).route("/login", post(log_in));
    /// # let client = Client::new(app.layer(SessionLayer::signed(Keys::generate())));
    /// assert_eq!(client.get("/orders?page=2").await.headers()["location"], "/login");
    /// assert_eq!(client.post("/login").await.headers()["location"], "/orders?page=2");
    /// assert_eq!(client.post("/login").await.headers()["location"], "/");
    /// # });
    /// ```
    #[must_use]
    pub fn return_to(&self, default: &str) -> ReturnTo {
        ReturnTo::new(self.request.return_page().as_deref().unwrap_or(default))
    }

    /// Returns the size that the session's cookie would have if the response were sent now: name and value, in bytes; 0
    /// if the session is empty.
    ///
    /// Browsers keep cookies of up to 4096 bytes. A larger session is an error, unless it is [spread over several
    /// cookies](crate::SessionLayer::chunked).
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn page(session: Session) -> Result<(), Error> {
    ///     assert_eq!(session.cookie_size(), 0);
    ///     session.insert("notes", "x".repeat(1_000))?;
    ///     assert!(session.cookie_size() > 1_000 && session.cookie_size() < 4_096);
    ///     Ok(())
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn cookie_size(&self) -> usize {
        let settings = self.request.settings();
        self.if_sent_now(|plan| {
            if plan.changes.leave_nothing(plan.loaded.base()) {
                return 0;
            }
            settings.session_cookie.size(settings.engine().payload_len(plan))
        })
    }

    /// Saves the session and returns its token, which a client without cookies sends in the header
    /// `Authorization: Bearer TOKEN`. It needs [`SessionLayer::bearer`](crate::SessionLayer::bearer).
    ///
    /// The token works until the session ends or gets another id. So call this after [`renew`](Self::renew) or
    /// [`rotate`](Self::rotate), and hand the new token to the client. If no session cookie came with the request, the
    /// response sets no cookies. It forbids every cache to store it (`Cache-Control: no-store`).
    ///
    /// # Errors
    ///
    /// Returns an error if the layer gives out no tokens, and in the same cases as [`save`](Self::save).
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::post};
    /// # use session_axum::{Error, ErrorKind, Keys, Session, SessionLayer, testing::Client};
    /// async fn log_in(session: Session) -> Result<String, Error> {
    ///     session.renew();
    ///     session.insert("user", "ada")?;
    ///     session.bearer_token().await
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate()); // its tokens change with every write
    /// let client = Client::new(Router::new().route("/login", post(log_in)).layer(layer));
    /// assert_eq!(client.post("/login").await.status(), 500);
    /// # }
    /// ```
    pub async fn bearer_token(&self) -> Result<String, Error> {
        Box::pin(self.request.bearer_token()).await.inspect_err(|error| self.request.note_error(error))
    }

    /// Returns a handle on this session that outlives the response, for a WebSocket, a stream or a job.
    ///
    /// The handle works with [`SessionLayer::stored`](crate::SessionLayer::stored). On the other engines each of its
    /// methods returns an error that says why. See [`Detached`](crate::Detached).
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, ErrorKind, Keys, Session, SessionLayer, testing::Client};
    /// async fn page(session: Session) -> String {
    ///     match session.detached().get::<String>("user").await {
    ///         Ok(user) => format!("{user:?}"),
    ///         Err(error) => error.to_string(),
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate()); // keeps no sessions in a store
    /// let client = Client::new(Router::new().route("/", get(page)).layer(layer));
    /// assert!(client.get("/").await.text().ends_with("use `SessionLayer::stored(store, keys)`"));
    /// # }
    /// ```
    #[must_use]
    pub fn detached(&self) -> Detached {
        self.request.detached()
    }

    /// Saves the session now, instead of with the response.
    ///
    /// With a store, the session is written at once and stays there even if the response is an error. With a cookie,
    /// the session still travels with the response, and this call checks whether it can be sent.
    ///
    /// # Errors
    ///
    /// Returns an error if the session is too large, if it has ended, if the store fails, or if the response has
    /// already been sent.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, ErrorKind, Keys, Session, SessionLayer, testing::Client};
    /// async fn page(session: Session) -> Result<(), Error> {
    ///     session.insert("notes", "x".repeat(5_000))?;
    ///     let error = session.save().await.unwrap_err();
    ///     assert!(matches!(error.kind(), ErrorKind::TooLarge(_)));
    ///     session.remove("notes");
    ///     session.save().await
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    pub async fn save(&self) -> Result<(), Error> {
        Box::pin(self.request.save()).await.inspect_err(|error| self.request.note_error(error))
    }

    /// Sets the owner of this session: the user, by an id that does not change.
    ///
    /// [`Sessions`](crate::Sessions) lists and ends the sessions of an owner. A store keeps owners. A session in a
    /// cookie has an owner if the layer has a list of [revocations](crate::SessionLayer::revocations): a log-out
    /// everywhere then ends it. Otherwise this call does nothing, and the first such call logs a warning.
    ///
    /// # Errors
    ///
    /// Returns an error if the owner is empty, has more than 255 bytes or contains a NUL, or if the response has been
    /// sent.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use axum::{Router, routing::post};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, store::SessionStore, testing::Client};
    /// async fn log_in(session: Session) -> Result<(), Error> {
    ///     session.renew();
    ///     session.set_owner("ada")?;
    ///     session.set_label("Firefox on Linux")?;
    ///     session.insert("user", "ada")
    /// }
    ///
    /// # async fn example(store: impl SessionStore) -> Result<(), Error> {
    /// let layer = SessionLayer::stored(store, Keys::generate());
    /// let client = Client::new(Router::new().route("/login", post(log_in)).layer(layer.clone()));
    /// client.post("/login").await;
    /// let devices = layer.sessions().of("ada").await?;
    /// assert_eq!(devices.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_owner(&self, owner: impl Into<String>) -> Result<(), Error> {
        let set = self.set_name(owner.into(), Engine::keeps_owners, Changes::set_owner);
        set.inspect_err(|error| self.request.note_error(error))
    }

    /// Sets the label of this session, such as "Firefox on Linux". A list of the owner's devices shows the label.
    ///
    /// Only a store keeps labels. Without a store, this call does nothing, and the first such call logs a warning.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`Session::set_owner`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use axum::{Router, routing::post};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, store::SessionStore, testing::Client};
    /// async fn log_in(session: Session) -> Result<(), Error> {
    ///     session.renew();
    ///     session.set_owner("ada")?;
    ///     session.set_label("Firefox on Linux")?;
    ///     session.insert("user", "ada")
    /// }
    ///
    /// # async fn example(store: impl SessionStore) -> Result<(), Error> {
    /// let layer = SessionLayer::stored(store, Keys::generate());
    /// let client = Client::new(Router::new().route("/login", post(log_in)).layer(layer.clone()));
    /// client.post("/login").await;
    /// let devices = layer.sessions().of("ada").await?;
    /// assert_eq!(devices[0].label.as_deref(), Some("Firefox on Linux"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_label(&self, label: impl Into<String>) -> Result<(), Error> {
        let set = self.set_name(label.into(), Engine::keeps_labels, Changes::set_label);
        set.inspect_err(|error| self.request.note_error(error))
    }

    /// Sets the owner or the label. Every engine accepts the same names, so that a handler works with all of them.
    fn set_name(
        &self,
        name: String,
        is_kept: fn(&Engine) -> bool,
        set: impl FnOnce(&mut Changes, String),
    ) -> Result<(), Error> {
        if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') {
            return Err(Error::invalid_name());
        }
        let settings = self.request.settings();
        if is_kept(settings.engine()) {
            self.request.stage(|session| set(&mut session.staged.changes, name))
        } else {
            settings.setup_warnings.owner_without_store();
            Ok(())
        }
    }

    /// Returns the owner after the changes so far, and the session as it was loaded.
    pub(crate) fn owner_and_places(&self) -> (Option<String>, Places) {
        self.request.with(|SessionState { loaded, staged, moving, .. }| {
            let owner = staged.changes.owner_after(loaded.base()).map(str::to_owned);
            let former = moving.as_ref().and_then(|moving| moving.former_session());
            (owner, Places { here: loaded.shared_session().cloned(), former: former.cloned() })
        })
    }

    fn change_terms(&self, change: impl FnOnce(&mut Metadata)) {
        let stage = |SessionState { loaded, staged, .. }: &mut SessionState| {
            staged.changes.change_metadata(loaded.entries(), change);
        };
        self.request.stage_or_log(stage);
    }

    fn with_keys<R>(&self, read: impl FnOnce(Vec<&str>) -> R) -> R {
        self.request.with(|SessionState { loaded, staged, .. }| {
            read(staged.changes.view(loaded.entries()).map(|(key, _)| key).collect())
        })
    }

    /// Passes the session to `look` as it would be if the response were sent now.
    fn if_sent_now<R>(&self, look: impl FnOnce(&Plan<'_>) -> R) -> R {
        let (rules, now) = (self.request.rules(), self.request.settings().now());
        self.request.with(|session| look(&Plan::new(&session.loaded, &session.staged.changes, rules, now)))
    }
}

impl<T: SessionData> Session<T> {
    /// Gives the session a new id and a new creation time, and keeps its values. An earlier confirmation is forgotten,
    /// unless the same request calls [`Session::confirm`].
    ///
    /// Call it whenever a visitor gets more or fewer rights, above all at a log-in. An attacker who planted a session
    /// id in the browser before the log-in (session fixation) then has an id that is worth nothing.
    ///
    /// On a `Session<T>`, this method shadows a method `renew` of `T`: call that one as `T::renew(&handle)`.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn log_in(session: Session) -> Result<(), Error> {
    ///     session.insert("cart", ["tea"])?;
    ///     let before = session.id();
    ///     session.renew();
    ///     assert_ne!(session.id(), before);
    ///     assert!(session.contains("cart"));
    ///     Ok(())
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(log_in)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    pub fn renew(&self) {
        self.request.stage_or_log(|session| session.staged.renew());
    }

    /// Gives the session a new id, and keeps its values and its creation time: for a rotation by schedule.
    ///
    /// For a minute, requests that still come with the old id read the session too. What they change is dropped. At a
    /// log-in, use [`Session::renew`] instead: it also begins the lifetime anew. On a `Session<T>`, this method shadows
    /// a method `rotate` of `T`.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn rotate(session: Session) -> Result<(), Error> {
    ///     session.insert("user", "Ada")?;
    ///     let (id, created_at) = (session.id(), session.created_at());
    ///     session.rotate();
    ///     assert_ne!(session.id(), id);
    ///     assert_eq!(session.created_at(), created_at);
    ///     Ok(())
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(rotate)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    pub fn rotate(&self) {
        self.request.stage_or_log(|session| session.staged.rotate());
    }

    /// Ends this session, and returns whether copies of its cookie stop working too.
    ///
    /// Values that are inserted afterwards begin a new session. The session also ends if the response is a 5xx or a
    /// 408. On a `Session<T>`, changes of fields that are not staged yet are forgotten, and this method shadows a
    /// method `destroy` of `T`.
    ///
    /// ```
    /// # use axum::{Router, routing::{get, post}};
    /// # use session_axum::{Destroyed, Error, Keys, Session, SessionLayer, testing::Client};
    /// # async fn home(session: Session) -> Result<(), Error> { session.insert("user", "Ada") }
    /// async fn log_out(session: Session) -> &'static str {
    ///     match session.destroy() {
    ///         Destroyed::Everywhere => "You are logged out",
    ///         _ => "You are logged out in this browser",
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(home)).route("/logout", post(log_out));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.get("/").await;
    /// assert_eq!(client.cookie_names(), ["__Host-session"]);
    /// assert_eq!(client.post("/logout").await.text(), "You are logged out in this browser");
    /// assert!(client.cookie_names().is_empty());
    /// # });
    /// ```
    pub fn destroy(&self) -> Destroyed {
        let mut unstaged = self.unstaged();
        if unstaged.is_some() {
            *unstaged = Some(self.fields(Writer::of_read()).unwrap_or_default());
        }
        drop(unstaged);
        let is_staged = self.request.stage_or_log(|session| {
            session.staged.destroy();
            true
        });
        match self.request.settings().engine().ends_copies() {
            _ if !is_staged => Destroyed::TooLate,
            true => Destroyed::Everywhere,
            false => Destroyed::InThisBrowser,
        }
    }

    /// Returns the same session as an untyped handle, with the methods that a `Session<T>` does not have.
    ///
    /// The changes of the fields so far are staged, so that the untyped handle sees them.
    ///
    /// ```
    /// # use axum::{Router, routing::{get, post}};
    /// # use session_axum::{Error, Keys, Session, SessionData, SessionLayer, testing::Client};
    /// #[derive(SessionData)]
    /// struct Visitor {
    ///     name: Option<String>,
    /// }
    ///
    /// async fn log_in(mut visitor: Session<Visitor>) -> Result<(), Error> {
    ///     visitor.name = Some("Ada".to_owned());
    ///     Session::untyped(&visitor).renew();
    ///     Session::untyped(&visitor).insert("theme", "dark")
    /// }
    ///
    /// async fn home(session: Session) -> String {
    ///     session.keys().join(", ")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/login", post(log_in)).route("/", get(home));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/login").await;
    /// assert_eq!(client.get("/").await.text(), "name, theme");
    /// # });
    /// ```
    #[must_use]
    pub fn untyped(this: &Self) -> Session {
        let mut unstaged = this.unstaged();
        if let Some(before) = unstaged.take() {
            this.stage(before);
            *unstaged = Some(this.fields(Writer::of_read()).unwrap_or_default());
        }
        drop(unstaged);
        Session::of(&this.request)
    }

    /// Reads the struct, unless the session lacks a required field or a confirmation.
    fn pass(request: LoadedRequest) -> Result<Self, (Lack, LoadedRequest)> {
        let data = match Self::read(&request) {
            Ok(data) => data,
            Err(error) => return Err((Lack::Field(error.key()), request)),
        };
        let is_confirmed = T::CONFIRMED_WITHIN.is_none_or(|time| confirmed_within(&request, time));
        if is_confirmed {
            Ok(Self { request, data, unstaged: Mutex::default() })
        } else {
            Err((Lack::Confirmation, request))
        }
    }

    /// Reads the struct out of the session.
    fn read(request: &LoadedRequest) -> Result<T, MissingField> {
        if T::SHOWS_ALL {
            // There are no fields to read.
            return T::read(&Reader::new(&NO_ENTRIES, &UNCHANGED));
        }
        let (loaded, changes) = request.snapshot();
        let reader = Reader::new(loaded.entries(), changes.as_deref().unwrap_or(&UNCHANGED));
        let data = T::read(&reader);
        for key in reader.unreadable() {
            tracing::warn!(
                name: "error.value_unreadable", target: "session_axum::error",
                key, "a value of the session cannot be decoded any more and counts as missing"
            );
        }
        data
    }

    fn fields(&self, mut writer: Writer) -> Result<Vec<Field>, Error> {
        self.data.write(&mut writer);
        writer.finish().map_err(|(key, error)| Error::encode(key, error))
    }

    /// Stages the fields that differ from `before`.
    fn stage(&self, before: Vec<Field>) {
        let changed = self.fields(Writer::after(before)).and_then(|changed| {
            match changed.iter().find(|field| field.key.starts_with(RESERVED_PREFIX)) {
                Some(field) => Err(Error::reserved(field.key)),
                None => Ok(changed),
            }
        });
        match changed {
            Ok(fields) => self.request.stage_or_log(|session| stage_fields(&mut session.staged.changes, fields)),
            Err(error) => self.request.fail(error),
        }
    }

    fn unstaged(&self) -> MutexGuard<'_, Option<Vec<Field>>> {
        self.unstaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unstaged_mut(&mut self) -> &mut Option<Vec<Field>> {
        self.unstaged.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn request(&self) -> &LoadedRequest {
        &self.request
    }
}

impl Session {
    fn of(request: &LoadedRequest) -> Self {
        Self { request: request.clone(), data: Untyped, unstaged: Mutex::default() }
    }
}

impl Clone for Session {
    fn clone(&self) -> Self {
        Self::of(&self.request)
    }
}

impl<T: SessionData> Deref for Session<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T: SessionData> DerefMut for Session<T> {
    fn deref_mut(&mut self) -> &mut T {
        // If the fields cannot be written now, none of them counts as unchanged: the drop reports the error.
        if self.unstaged_mut().is_none() {
            *self.unstaged_mut() = Some(self.fields(Writer::of_read()).unwrap_or_default());
        }
        &mut self.data
    }
}

/// Stages the fields that have really changed.
impl<T: SessionData> Drop for Session<T> {
    fn drop(&mut self) {
        // A handler that panics may have changed only some of the fields, so nothing is staged.
        let before = self.unstaged_mut().take().filter(|_| !std::thread::panicking());
        if let Some(before) = before {
            self.stage(before);
        }
    }
}

/// `Session` serializes as a map of its keys and values, and `Session<T>` as a map of its fields as they are now. A
/// template so reads `{{ session.name }}`. Reserved keys, which begin with `$`, are left out. Integers that need more
/// than 64 bits become floats.
///
/// ```
/// # use axum::{Router, routing::get};
/// # use session_axum::{Error, Keys, Session, SessionData, SessionLayer, testing::Client};
/// #[derive(SessionData)]
/// struct Visitor {
///     name: Option<String>,
/// }
///
/// async fn page(mut visitor: Session<Visitor>, session: Session) -> Result<(), Error> {
///     session.insert("cart", ["tea"])?;
///     visitor.name = Some("Ada".to_owned());
///     assert_eq!(serde_json::to_string(&visitor).unwrap(), r#"{"name":"Ada"}"#);
///     assert_eq!(serde_json::to_string(&session).unwrap(), r#"{"cart":["tea"]}"#);
///     Ok(())
/// }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
/// # let client = Client::new(app);
/// # assert_eq!(client.get("/").await.status(), 200);
/// # });
/// ```
impl<T: SessionData> Serialize for Session<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if T::SHOWS_ALL {
            let (loaded, changes) = self.request.snapshot();
            let changes = changes.as_deref().unwrap_or(&UNCHANGED);
            return serializer.collect_map(changes.view(loaded.entries()).map(|(key, text)| (key, JsonText(text))));
        }
        let fields = self.fields(Writer::new()).inspect_err(|error| self.request.note_error(error));
        let mut fields = fields.map_err(S::Error::custom)?;
        fields.retain(|field| !field.key.starts_with(RESERVED_PREFIX));
        serializer.collect_map(fields.iter().map(|field| (field.key, field.text.as_deref().map(JsonText))))
    }
}

fn stage_fields(changes: &mut Changes, fields: Vec<Field>) {
    for field in fields {
        // A field that is written moves to its own key, so that an old key does not hold another value.
        field.aliases.iter().for_each(|alias| changes.remove(alias));
        match field.text {
            Some(text) => changes.set(field.key, text),
            None => changes.remove(field.key),
        }
    }
}

impl<T: SessionData, S: Send + Sync> FromRequestParts<S> for Session<T> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        let request = load::<T>(parts).await?;
        Self::pass(request).map_err(|(lack, request)| lack.into_rejection::<T>(parts, &request))
    }
}

impl<T: SessionData, S: Send + Sync> OptionalFromRequestParts<S> for Session<T> {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SessionRejection> {
        let request = load::<T>(parts).await?;
        Ok(Self::pass(request).ok())
    }
}

/// What a session lacks for the guard of a route.
enum Lack {
    /// The required field with this key.
    Field(&'static str),
    Confirmation,
}

impl Lack {
    fn into_rejection<T: SessionData>(self, parts: &Parts, request: &LoadedRequest) -> SessionRejection {
        let (redirect, settings) = (T::REDIRECT, request.settings());
        match self {
            Self::Field(key) => {
                let refusal = Refusal::new::<T>(Reason::Field, parts, settings);
                SessionRejection::MissingField { key, redirect, refusal }
            }
            Self::Confirmation => {
                let refusal = Refusal::new::<T>(Reason::Confirmation, parts, settings);
                SessionRejection::NotConfirmed { redirect, refusal }
            }
        }
    }
}

fn confirmed_within(request: &LoadedRequest, time: Duration) -> bool {
    let now = request.settings().now();
    let confirmed_at = request.with(|session| session.staged.changes.confirmed_at(session.loaded.entries()));
    confirmed_at.is_some_and(|second| now.saturating_sub(second) <= time.as_secs())
}

async fn load<T: SessionData>(parts: &Parts) -> Result<LoadedRequest, SessionRejection> {
    let request = match T::COOKIE {
        None => request_of(parts, "Session"),
        Some(cookie) => request_with(parts, cookie),
    };
    let request = request.map_err(SessionRejection::MissingLayer)?;
    request.load().await.map_err(SessionRejection::Failed)
}

session_core::opaque_debug!([T: SessionData] Session<T>);

static UNCHANGED: Changes = Changes::NONE;
static NO_ENTRIES: Entries = Entries::NONE;
/// The most bytes of an owner or a label.
const MAX_NAME: usize = 255;

/// How far the end of a session reaches: the result of [`Session::destroy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Destroyed {
    /// Only this browser drops its cookie. An earlier copy of the cookie works until the limits of the session end it:
    /// the data is in the cookie, and the server keeps no list of ended sessions.
    InThisBrowser,
    /// The session is over everywhere once the response is sent: the layer notes its end in the store or in the list of
    /// [revocations](crate::SessionLayer::revocations), and copies of the cookie stop working. If the layer cannot note
    /// the end, the response is an error.
    Everywhere,
    /// The session goes on: the response has already been sent, as in a spawned task or a streamed body. The log says so,
    /// too. Take [`Sessions`](crate::Sessions) into the task to end a session there.
    TooLate,
}
