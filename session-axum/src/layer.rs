//! `SessionLayer`: the choice of where sessions are kept, and the settings of their cookies.

use std::{
    borrow::Cow,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum_core::response::Response;
use cookie::SameSite;
use http::request::Parts;
use session_core::{
    Clock, Keys, Limits,
    cookie::{Settings as CookieSettings, SettingsError},
    store::SessionStore,
    token::Protection,
};
use tower_layer::Layer;

use crate::{
    config::{Config, FlashMode, Sealing, Settings},
    devices::Sessions,
    engine::{Ends, Engine, Revocations, StoreClient},
    error::{Error, LastError},
    migration::{FormerSessions, Rule},
    observe,
    service::SessionService,
};

/// The layer that gives every request below it a [`Session`](crate::Session) and a [`Flash`](crate::Flash).
///
/// A constructor chooses where sessions are kept: [`signed`](Self::signed), `encrypted`, [`stored`](Self::stored) or
/// [`null`](Self::null). The other methods change one setting each. A setting that a browser would refuse is an error
/// at once, when the application starts.
///
/// The defaults are right for production:
///
/// - The cookies are `__Host-session` and `__Host-flash`, with Secure, `HttpOnly`, `SameSite=Lax`, `Path=/`, and
///   without Domain.
/// - A session ends after 24 hours without a visit, after 30 days in any case, and when the browser closes.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use session_axum::{Keys, SessionLayer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let layer = SessionLayer::signed(Keys::generate())
///     .name("__Host-shop")?
///     .idle_timeout(Duration::from_secs(30 * 60))
///     .lifetime(Duration::from_secs(12 * 60 * 60));
/// assert!(layer.domain("example.com").is_err()); // browsers refuse `__Host-` with a domain
/// # Ok(())
/// # }
/// ```
///
/// # Two sessions
///
/// A route can have two sessions, such as a cart for months and a log-in for half an hour: add two layers with
/// different [names](Self::name). [`Session`](crate::Session), [`Flash`](crate::Flash), [`Sessions`], tickets and the
/// helpers of responses use the innermost layer. A struct with `#[session(cookie = "cart")]` uses the layer with this
/// name, also in [`.with_session(..)`](crate::SessionResponseExt::with_session), and
/// [`Session::untyped`](crate::Session::untyped) gives its session without the struct.
///
/// ```
/// # use axum::{Router, response::IntoResponse, routing::get};
/// # use session_axum::{Keys, Session, SessionData, SessionLayer, SessionResponseExt, testing::Client};
/// #[derive(SessionData)]
/// #[session(cookie = "cart")] // the prefix `__Host-` does not count
/// struct Cart {
///     #[session(default)]
///     items: Vec<String>,
/// }
///
/// async fn home(mut cart: Session<Cart>, log_in: Session) -> String {
///     cart.items.push("tea".to_owned());
///     format!("{} items, logged in: {}", cart.items.len(), log_in.contains("user"))
/// }
///
/// async fn log_out() -> impl IntoResponse {
///     "Bye".with_new_session() // ends the log-in, and keeps the cart
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let keys = Keys::generate();
/// let app = Router::new()
///     .route("/", get(home))
///     .route("/log-out", get(log_out))
///     .layer(SessionLayer::signed(keys.clone())) // the log-in, innermost
///     .layer(SessionLayer::signed(keys).name("__Host-cart")?);
/// let client = Client::new(app);
/// assert_eq!(client.get("/").await.text(), "1 items, logged in: false");
/// client.get("/log-out").await;
/// assert_eq!(client.get("/").await.text(), "2 items, logged in: false");
/// # Ok(())
/// # }
/// ```
///
/// The sessions are saved one after the other, the innermost first. If the outer one cannot be saved, the response is
/// an error, and what the inner one has saved holds.
#[derive(Clone)]
pub struct SessionLayer {
    settings: Arc<Settings>,
}

impl SessionLayer {
    /// Keeps each session in a signed cookie. The browser can read the data and cannot change it.
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
    /// assert_eq!(client.get("/").await.text(), "visit 1");
    /// assert_eq!(client.get("/").await.text(), "visit 2");
    /// client.set_cookie("__Host-session", "forged"); // a cookie without our signature is ignored
    /// assert_eq!(client.get("/").await.text(), "visit 1");
    /// # }
    /// ```
    #[must_use]
    pub fn signed(keys: Keys) -> Self {
        Self::of(Some(Sealing { keys, protection: Protection::Signed }), Engine::Cookie(Ends::default()))
    }

    /// Keeps each session in an encrypted cookie. The browser can neither read nor change the data.
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
    /// let layer = SessionLayer::encrypted(Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(visit)).layer(layer));
    /// assert_eq!(client.get("/").await.text(), "visit 1");
    /// assert_eq!(client.get("/").await.text(), "visit 2");
    /// assert!(client.cookie("__Host-session").unwrap().starts_with("2.")); // signed: `1.`
    /// # }
    /// ```
    #[cfg(feature = "encrypted")]
    #[must_use]
    pub fn encrypted(keys: Keys) -> Self {
        Self::of(Some(Sealing { keys, protection: Protection::Encrypted }), Engine::Cookie(Ends::default()))
    }

    /// Keeps each session in a store. The cookie carries only a signed id.
    ///
    /// Use it for sessions that are too large for a cookie, and for log-outs that also end copies of the cookie. The
    /// crate `session-stores` has stores for memory, `SQLite`, Postgres, MariaDB and Redis. An application that chooses
    /// the store when it starts passes an `Arc<dyn SessionStore>`.
    ///
    /// The layer removes expired records in the background: see [`SessionLayer::sweep_every`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, store::SessionStore};
    /// # async fn log_in(session: Session) -> Result<(), Error> { session.insert("user", "ada") }
    /// fn app(store: impl SessionStore, keys: Keys) -> Router {
    ///     let layer = SessionLayer::stored(store, keys);
    ///     Router::new().route("/", get(log_in)).layer(layer)
    /// }
    /// ```
    #[must_use]
    pub fn stored(store: impl SessionStore, keys: Keys) -> Self {
        Self::of(Some(Sealing { keys, protection: Protection::Signed }), Engine::Store(StoreClient::new(store)))
    }

    /// Gives every request an empty session and never saves one. Use it for APIs that share handlers with a site.
    ///
    /// The layer neither reads nor sets a cookie.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Session, SessionLayer, testing::Client};
    /// # async fn log_in(session: Session) -> Result<(), Error> { session.insert("user", "ada") }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::null();
    /// let client = Client::new(Router::new().route("/", get(log_in)).layer(layer));
    /// let response = client.get("/").await;
    /// assert_eq!(response.status(), 200);
    /// assert!(response.set_cookies().is_empty());
    /// # }
    /// ```
    #[must_use]
    pub fn null() -> Self {
        Self::of(None, Engine::Null)
    }

    /// Keeps a list of ended sessions in `store`, so that a copy of a cookie stops working after a log-out. Use it with
    /// [`SessionLayer::signed`] or `SessionLayer::encrypted`.
    ///
    /// A request that uses its session then asks the store once. If the store does not answer, the request fails with a
    /// 503, unless [`SessionLayer::insecure_trust_when_unavailable`] is set. With [`SessionLayer::stored`] and
    /// [`SessionLayer::null`] this setting has no effect.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use session_axum::{Keys, SessionLayer, store::SessionStore};
    /// fn layer(keys: Keys, list: impl SessionStore) -> SessionLayer {
    ///     SessionLayer::signed(keys).revocations(list)
    /// }
    /// ```
    #[must_use]
    pub fn revocations(self, store: impl SessionStore) -> Self {
        self.with_safe(|config| match config.engine {
            Engine::Cookie(_) | Engine::RevocableCookie(_) => {
                let list = StoreClient::new(store);
                config.engine = Engine::RevocableCookie(Revocations { list, trusts_when_unavailable: false });
            }
            Engine::Null | Engine::Store(_) => config.store.ignore_revocations(),
        })
    }

    /// Accepts sessions while the list of [`SessionLayer::revocations`] cannot be read, also sessions that have ended.
    ///
    /// Call this method after `revocations`. Without a list it has no effect.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use session_axum::{Keys, SessionLayer, store::SessionStore};
    /// fn layer(keys: Keys, list: impl SessionStore) -> SessionLayer {
    ///     SessionLayer::signed(keys).revocations(list).insecure_trust_when_unavailable()
    /// }
    /// ```
    #[must_use]
    pub fn insecure_trust_when_unavailable(self) -> Self {
        self.with_safe(|config| config.store.trust_when_unavailable())
    }

    /// Sets how long one operation of the store may take before it fails: 2 seconds by default, 1 millisecond to 1
    /// minute.
    ///
    /// This applies to the store of [`SessionLayer::stored`] or [`SessionLayer::revocations`]. Without a store it has
    /// no effect, and an error is logged.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use session_axum::{Keys, SessionLayer, store::SessionStore};
    /// fn layer(store: impl SessionStore, keys: Keys) -> SessionLayer {
    ///     SessionLayer::stored(store, keys).store_timeout(Duration::from_millis(500))
    /// }
    /// ```
    #[must_use]
    pub fn store_timeout(self, timeout: Duration) -> Self {
        let timeout = timeout.clamp(Duration::from_millis(1), ONE_MINUTE);
        self.with_safe(|config| config.store.set_timeout(timeout))
    }

    /// Sets how often the layer removes expired records from the store: every 5 minutes by default, 1 second to 1 day.
    /// `None` switches it off.
    ///
    /// A record is removed a day after it has expired. The first operation of the store starts a background task. If it
    /// is switched off, another process has to remove the records, for example one instance of several, or a job that
    /// calls [`delete_expired`](crate::store::SessionStore::delete_expired).
    ///
    /// This applies to the store of [`SessionLayer::stored`] or [`SessionLayer::revocations`]. Without a store it has
    /// no effect, and an error is logged.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use session_axum::{Keys, SessionLayer, store::SessionStore};
    /// fn layer(store: impl SessionStore, keys: Keys, is_first_instance: bool) -> SessionLayer {
    ///     let hour = Duration::from_secs(60 * 60);
    ///     SessionLayer::stored(store, keys).sweep_every(is_first_instance.then_some(hour))
    /// }
    /// ```
    #[must_use]
    pub fn sweep_every(self, interval: impl Into<Option<Duration>>) -> Self {
        let interval: Option<Duration> = interval.into();
        let interval = interval.map(|every| every.clamp(Duration::from_secs(1), Duration::from_secs(ONE_DAY)));
        self.with_safe(|config| config.store.set_sweep(interval))
    }

    /// Encrypts the values of the records in the store, so that a person who can read the database cannot read them.
    ///
    /// The keys may be those of the cookies, or others. The first secret encrypts, and every secret decrypts: see
    /// [`Keys::with_fallback`]. The names of the keys, the owner, the label and the times stay readable. A session that
    /// was stored without encryption, or that no secret can decrypt, counts as no session: its record stays as it is,
    /// and an error is logged. See [`EncryptedStore`](crate::store::EncryptedStore) for what it protects against.
    ///
    /// This applies to the store of [`SessionLayer::stored`]. With another engine it has no effect, and an error is
    /// logged.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use session_axum::{KeyError, Keys, SessionLayer, store::SessionStore};
    /// fn layer(store: impl SessionStore) -> Result<SessionLayer, KeyError> {
    ///     let layer = SessionLayer::stored(store, Keys::from_env("SESSION_SECRET")?);
    ///     Ok(layer.encrypt_records(Keys::from_env("RECORD_SECRET")?))
    /// }
    /// ```
    #[cfg(feature = "encrypted")]
    #[must_use]
    pub fn encrypt_records(self, keys: Keys) -> Self {
        self.with_safe(|config| config.store.record_keys = Some(keys))
    }

    /// Also reads the session from the header `Authorization: Bearer TOKEN`, for native clients that keep no cookies.
    /// The same handlers then serve browsers and such clients.
    ///
    /// The client gets its token from [`Session::bearer_token`](crate::Session::bearer_token). Responses to it set no
    /// cookies, so it has no flash messages, and no other site can send a request in its name (CSRF). A request with a
    /// session cookie is a browser's: there the header does not count, even if the cookie is not valid.
    ///
    /// This needs [`SessionLayer::stored`], because the token must stay the same. With another engine it has no effect,
    /// and an error is logged.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use session_axum::{Error, Keys, Session, SessionLayer, store::SessionStore};
    /// async fn log_in(session: Session) -> Result<String, Error> {
    ///     session.renew();
    ///     session.insert("user", "ada")?;
    ///     session.bearer_token().await
    /// }
    ///
    /// fn layer(store: impl SessionStore, keys: Keys) -> SessionLayer {
    ///     SessionLayer::stored(store, keys).bearer()
    /// }
    /// ```
    #[must_use]
    pub fn bearer(self) -> Self {
        self.with_safe(|config| config.reads_bearer = true)
    }

    /// Sets how often the layer asks the store which sessions of [detached](crate::Session::detached) handles have
    /// ended: every 2 seconds by default, 100 milliseconds to 1 minute.
    ///
    /// It is one question for all handles on which [`ended`](crate::Detached::ended) waits. This applies to the store
    /// of [`SessionLayer::stored`]. Without a store it has no effect, and an error is logged.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use session_axum::{Keys, SessionLayer, store::SessionStore};
    /// fn layer(store: impl SessionStore, keys: Keys) -> SessionLayer {
    ///     SessionLayer::stored(store, keys).watch_every(Duration::from_millis(500))
    /// }
    /// ```
    #[must_use]
    pub fn watch_every(self, interval: Duration) -> Self {
        let interval = interval.clamp(Duration::from_millis(100), ONE_MINUTE);
        self.with_safe(|config| config.store.watch = Some(interval))
    }

    /// Limits the number of sessions of one owner. When an owner logs in once more, the owner's oldest session ends.
    ///
    /// A log-in counts when it [sets an owner](crate::Session::set_owner). A renewal is no further session. If several
    /// log-ins come at the same time, there may be more sessions for a moment, and at most `most` when all of them are
    /// done. `most` is at least 1. Only a [store](Self::stored) counts sessions. With each log-in it is asked three
    /// times more.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use session_axum::{Keys, SessionLayer, store::SessionStore};
    /// /// Each user can be logged in on three devices.
    /// fn layer(store: impl SessionStore, keys: Keys) -> SessionLayer {
    ///     SessionLayer::stored(store, keys).sessions_per_owner(3)
    /// }
    /// ```
    #[must_use]
    pub fn sessions_per_owner(self, most: u32) -> Self {
        self.with_safe(|config| config.store.set_sessions_per_owner(u64::from(most.max(1))))
    }

    /// Returns the sessions of all visitors. Use it to list and end sessions outside of requests, for example in a job.
    /// Handlers use the extractor [`Sessions`] instead.
    ///
    /// The layer must come from [`SessionLayer::stored`]. With a list of [`revocations`](Self::revocations), only
    /// `destroy_all`, `destroy_others` and `destroy_every` work. Otherwise each method of [`Sessions`] returns
    /// [`ErrorKind::NoStore`](crate::ErrorKind::NoStore).
    ///
    /// # Examples
    ///
    /// ```
    /// # use session_axum::{Error, ErrorKind, Keys, SessionLayer};
    /// /// Logs a user out on all devices.
    /// async fn close_account(layer: &SessionLayer, user: &str) -> Result<u64, Error> {
    ///     layer.sessions().destroy_all(user).await
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate()); // sessions in cookies: no store to ask
    /// let error = close_account(&layer, "ada").await.unwrap_err();
    /// assert_eq!(error.kind(), &ErrorKind::NoStore);
    /// # }
    /// ```
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions::new(Arc::clone(&self.settings), LastError::default())
    }

    /// Sets the name of the session cookie: `__Host-session` by default.
    ///
    /// The name of the flash cookies is derived from this name: with `__Host-shop` it is `__Host-shop-flash`.
    /// [`SessionLayer::flash_name`] sets another name for the flash cookies.
    ///
    /// # Errors
    ///
    /// Returns an error if `name` is not a valid cookie name, if its prefix conflicts with another setting, or if it
    /// overlaps with the name of the flash cookies.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// # async fn log_in(session: Session) -> Result<(), Error> { session.insert("user", "ada") }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = SessionLayer::signed(Keys::generate()).name("__Host-shop")?;
    /// let client = Client::new(Router::new().route("/", get(log_in)).layer(layer));
    /// client.get("/").await;
    /// assert_eq!(client.cookie_names(), ["__Host-shop"]);
    /// assert!(SessionLayer::signed(Keys::generate()).name("my shop").is_err()); // a space
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(self, name: &str) -> Result<Self, SettingsError> {
        self.with(|config| config.session = named(&config.session, name))
    }

    /// Sets the name of the flash cookies: `__Host-flash` by default. Each cookie's name is this name, a dot and an id.
    ///
    /// Each layer has its own messages. What a handler below an inner layer flashes, a page outside of that layer does
    /// not show, and two nested layers cannot share a name. Two areas of a site that have sessions of their own can
    /// still share their messages: add the layers side by side, each around its own routes, with the same keys and the
    /// same `flash_name`.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`SessionLayer::name`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// # async fn save(flash: Flash) { flash.success("Saved") }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = SessionLayer::signed(Keys::generate()).flash_name("__Host-notes")?;
    /// let client = Client::new(Router::new().route("/", get(save)).layer(layer));
    /// client.get("/").await;
    /// assert!(client.cookie_names()[0].starts_with("__Host-notes."));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A log-out in the administration whose message the shop shows:
    ///
    /// ```
    /// # use axum::{Router, response::{IntoResponse, Redirect}, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// # async fn home(flash: Flash) -> String { flash.get("info").unwrap_or_default().to_owned() }
    /// # async fn log_out() -> impl IntoResponse { Redirect::to("/").with_new_session().flashing(("info", "Bye!")) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let keys = Keys::generate();
    /// let area = |name: &str| SessionLayer::signed(keys.clone()).name(name)?.flash_name("__Host-notes");
    /// let admin = Router::new().route("/admin/log-out", get(log_out)).layer(area("__Host-admin")?);
    /// let shop = Router::new().route("/", get(home)).layer(area("__Host-shop")?);
    /// let client = Client::new(shop.merge(admin));
    /// client.get("/admin/log-out").await;
    /// assert_eq!(client.get("/").await.text(), "Bye!");
    /// # Ok(())
    /// # }
    /// ```
    pub fn flash_name(self, name: &str) -> Result<Self, SettingsError> {
        self.with(|config| {
            config.flash = named(&config.flash, name);
            config.flash_has_name = true;
        })
    }

    /// Sends the cookies to a domain and all its subdomains. By default they are sent to the host that set them only.
    ///
    /// The default names become `__Secure-session` and `__Secure-flash`. Every subdomain can then read, delete and
    /// replace the cookies, though not forge them.
    ///
    /// # Errors
    ///
    /// Returns an error if `domain` is not a host name, or if a cookie has a name that begins with `__Host-`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// # async fn log_in(session: Session) -> Result<(), Error> { session.insert("user", "ada") }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = SessionLayer::signed(Keys::generate()).domain("example.com")?;
    /// let client = Client::new(Router::new().route("/", get(log_in)).layer(layer));
    /// let response = client.get("/").await;
    /// assert!(response.set_cookies()[0].starts_with("__Secure-session="));
    /// assert!(response.set_cookies()[0].contains("; Domain=example.com"));
    /// assert!(SessionLayer::signed(Keys::generate()).domain("https://example.com").is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn domain(self, domain: &str) -> Result<Self, SettingsError> {
        self.with_both(|cookie| cookie.domain(domain))
    }

    /// Sends the cookies only with requests for `path` and the paths below it: `/` by default.
    ///
    /// The default names become `__Secure-session` and `__Secure-flash`.
    ///
    /// # Errors
    ///
    /// Returns an error if `path` does not begin with `/`, if it has a character that a cookie cannot carry, or if a
    /// cookie has a name that begins with `__Host-`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// # async fn log_in(session: Session) -> Result<(), Error> { session.insert("user", "ada") }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = SessionLayer::signed(Keys::generate()).path("/shop")?;
    /// let client = Client::new(Router::new().route("/shop", get(log_in)).layer(layer));
    /// let response = client.get("/shop").await;
    /// assert!(response.set_cookies()[0].starts_with("__Secure-session="));
    /// assert!(response.set_cookies()[0].contains("; Path=/shop"));
    /// assert!(SessionLayer::signed(Keys::generate()).path("shop").is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn path(self, path: &str) -> Result<Self, SettingsError> {
        self.with_both(|cookie| cookie.path(path))
    }

    /// Sets which requests from other sites carry the cookies: [`SameSite::Lax`] by default.
    ///
    /// With [`SameSite::None`] any site can make a browser send requests with the visitor's session. Protect each form
    /// against cross-site requests then.
    ///
    /// # Errors
    ///
    /// Returns an error if `same_site` is [`SameSite::None`] and [`SessionLayer::insecure_over_http`] was called
    /// before.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, SameSite, Session, SessionLayer, testing::Client};
    /// # async fn log_in(session: Session) -> Result<(), Error> { session.insert("user", "ada") }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = SessionLayer::signed(Keys::generate()).same_site(SameSite::Strict)?;
    /// let client = Client::new(Router::new().route("/", get(log_in)).layer(layer));
    /// assert!(client.get("/").await.set_cookies()[0].contains("; SameSite=Strict"));
    /// let on_a_laptop = SessionLayer::signed(Keys::generate()).insecure_over_http();
    /// assert!(on_a_laptop.same_site(SameSite::None).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn same_site(self, same_site: SameSite) -> Result<Self, SettingsError> {
        self.with_both(|cookie| cookie.same_site(same_site))
    }

    /// Gives the cookies the attribute `Partitioned` (CHIPS): off by default.
    ///
    /// With this attribute, the browser keeps separate cookies for each top-level site that embeds this one. The
    /// attribute needs Secure cookies: after [`SessionLayer::insecure_over_http`] this setting has no effect.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// # async fn log_in(session: Session) -> Result<(), Error> { session.insert("user", "ada") }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate()).partitioned(true);
    /// let client = Client::new(Router::new().route("/", get(log_in)).layer(layer));
    /// assert!(client.get("/").await.set_cookies()[0].contains("; Partitioned"));
    /// # }
    /// ```
    #[must_use]
    pub fn partitioned(self, partitioned: bool) -> Self {
        self.with_safe(|config| {
            config.partitions_in_vain = partitioned && !config.session.is_secure();
            for cookie in [&mut config.session, &mut config.flash] {
                *cookie = cookie.clone().partitioned(partitioned && cookie.is_secure());
            }
        })
    }

    /// Sets whether a log-out also makes the browser drop its cached pages of this site: no by default.
    ///
    /// A response to a request that called [`Session::destroy`](crate::Session::destroy), or that has
    /// [`.with_new_session()`](crate::SessionResponseExt::with_new_session), then says `Clear-Site-Data: "cache"`.
    /// Without it, the back button can show a page from before the log-out, unless the page said `Cache-Control:
    /// no-store`. Browsers ignore the header over plain HTTP, except on localhost, and some take seconds to obey it.
    /// Chromium may still show the page from which the log-out was sent.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate()).clear_site_data(true);
    /// let app = Router::new().route("/logout", get(|| async { "Bye".with_new_session() })).layer(layer);
    /// let response = Client::new(app).get("/logout").await;
    /// assert_eq!(response.headers()["clear-site-data"], "\"cache\"");
    /// # }
    /// ```
    #[must_use]
    pub fn clear_site_data(self, clear: bool) -> Self {
        self.with_safe(|config| config.clears_site_data = clear)
    }

    /// Sends the cookies over plain HTTP too, for development without HTTPS. The log says so: in a release build with a
    /// warning, in a debug build at the level INFO.
    ///
    /// An attacker on the network can then take over a session. The cookies lose the attribute Secure and the prefix of
    /// their names, `SameSite=None` becomes `Lax`, and `Partitioned` is turned off.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// # async fn log_in(session: Session) -> Result<(), Error> { session.insert("user", "ada") }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate()).insecure_over_http();
    /// let client = Client::new(Router::new().route("/", get(log_in)).layer(layer));
    /// let response = client.get("/").await;
    /// assert!(response.set_cookies()[0].starts_with("session=")); // not `__Host-session=`
    /// assert!(!response.set_cookies()[0].contains("; Secure"));
    /// # }
    /// ```
    #[must_use]
    pub fn insecure_over_http(self) -> Self {
        if cfg!(debug_assertions) {
            tracing::info!(
                name: "setup.over_http_in_development", target: "session_axum::setup",
                "session cookies are also sent over plain HTTP (`insecure_over_http`), as development without HTTPS needs \
                 it: a release build warns about this setting"
            );
        } else {
            tracing::warn!(
                name: "setup.insecure_over_http", target: "session_axum::setup",
                "session cookies are also sent over plain HTTP (`insecure_over_http`), so an attacker on the network can \
                 take a session over: use HTTPS and remove this setting in production"
            );
        }
        self.with_safe(|config| {
            for cookie in [&mut config.session, &mut config.flash] {
                *cookie = cookie.clone().insecure();
            }
        })
    }

    /// Sets the name of the application, so that two applications with the same secret do not accept each other's
    /// cookies. It is empty by default.
    ///
    /// A new name ends all sessions: cookies from before the change are not accepted any more.
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
    /// let keys = Keys::generate();
    /// let shop = SessionLayer::signed(keys.clone()).application("shop");
    /// let forum = SessionLayer::signed(keys).application("forum");
    /// let client = Client::new(Router::new().route("/", get(hello)).layer(forum));
    /// client.enter(&TestSession::new(&shop).insert("user", "ada"));
    /// assert_eq!(client.get("/").await.text(), "Hello stranger");
    /// # }
    /// ```
    #[must_use]
    pub fn application(self, application: &str) -> Self {
        self.with_safe(|config| application.clone_into(&mut config.application))
    }

    /// Sets the longest time between two visits of a session: 24 hours by default, 1 second to 10 years, in whole
    /// seconds.
    ///
    /// A visit is a request that uses the session. The layer records a visit only if an eighth of this time has passed
    /// since the last recorded visit. A session can therefore end up to an eighth of this time too early.
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
    /// let half_an_hour = Duration::from_secs(30 * 60);
    /// let layer = SessionLayer::signed(Keys::generate())
    ///     .idle_timeout(half_an_hour)
    ///     .clock(clock.clone());
    /// let client = Client::new(Router::new().route("/", get(hello)).layer(layer.clone()));
    /// client.enter(&TestSession::new(&layer).insert("user", "ada"));
    /// clock.advance(Duration::from_secs(20 * 60));
    /// assert_eq!(client.get("/").await.text(), "Hello ada");
    /// clock.advance(Duration::from_secs(31 * 60));
    /// assert_eq!(client.get("/").await.text(), "Hello stranger");
    /// # }
    /// ```
    #[must_use]
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        self.with_safe(|config| config.limits = Limits { idle: seconds(timeout, TEN_YEARS), ..config.limits })
    }

    /// Sets how often a visit is recorded: after an eighth of the idle timeout by default, from 1 second to half of the
    /// idle timeout, in whole seconds.
    ///
    /// Most requests write nothing, because a visit is recorded only when this time has passed since the last recorded
    /// one. So a session can end up to this time before its idle timeout is over.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Keys, Session, SessionLayer, testing::{Client, ManualClock, TestSession}};
    /// # async fn page(session: Session) -> String { session.len().to_string() }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let clock = ManualClock::at(1_700_000_000);
    /// let layer = SessionLayer::signed(Keys::generate()).note_visits_every(Duration::from_secs(60)).clock(clock.clone());
    /// let client = Client::new(Router::new().route("/", get(page)).layer(layer.clone()));
    /// client.enter(&TestSession::new(&layer).insert("user", "ada"));
    /// clock.advance(Duration::from_secs(59));
    /// assert!(client.get("/").await.set_cookies().is_empty());
    /// clock.advance(Duration::from_secs(1));
    /// assert_eq!(client.get("/").await.set_cookies().len(), 1);
    /// # }
    /// ```
    #[must_use]
    pub fn note_visits_every(self, pause: Duration) -> Self {
        self.with_safe(|config| config.limits = Limits { visits: Some(seconds(pause, TEN_YEARS)), ..config.limits })
    }

    /// Sets how far the clocks of two instances may differ: 60 seconds by default, 0 seconds to 1 hour, in whole
    /// seconds.
    ///
    /// A session or flash cookie that was made further in the future is refused, and a warning is logged, at most once
    /// a minute. For a [`Ticket`](crate::Ticket) and a [`Sealer`](crate::Sealer) the limit is always 60 seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Keys, Session, SessionLayer, testing::{Client, ManualClock, TestSession}};
    /// # async fn page(session: Session) -> String { session.len().to_string() }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let clock = ManualClock::at(1_700_000_000);
    /// let layer = SessionLayer::signed(Keys::generate()).clock_skew(Duration::from_secs(5)).clock(clock.clone());
    /// let client = Client::new(Router::new().route("/", get(page)).layer(layer.clone()));
    /// client.enter(&TestSession::new(&layer).insert("user", "ada"));
    /// clock.set(1_700_000_000 - 5); // an instance whose clock is behind
    /// assert_eq!(client.get("/").await.text(), "1");
    /// clock.set(1_700_000_000 - 6);
    /// assert_eq!(client.get("/").await.text(), "0");
    /// # }
    /// ```
    #[must_use]
    pub fn clock_skew(self, skew: Duration) -> Self {
        self.with_safe(|config| config.clock_skew = skew.as_secs().min(60 * 60))
    }

    /// Sets the longest time from the beginning of a session, even if the visitor is active: 30 days by default, 1
    /// second to 10 years, in whole seconds.
    ///
    /// A session can set its own lifetime with [`Session::set_lifetime`](crate::Session::set_lifetime).
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
    /// let an_hour = Duration::from_secs(60 * 60);
    /// let layer = SessionLayer::signed(Keys::generate()).lifetime(an_hour).clock(clock.clone());
    /// let client = Client::new(Router::new().route("/", get(hello)).layer(layer.clone()));
    /// client.enter(&TestSession::new(&layer).insert("user", "ada"));
    /// clock.advance(Duration::from_secs(50 * 60));
    /// assert_eq!(client.get("/").await.text(), "Hello ada");
    /// clock.advance(Duration::from_secs(11 * 60)); // 61 minutes after the session began
    /// assert_eq!(client.get("/").await.text(), "Hello stranger");
    /// # }
    /// ```
    #[must_use]
    pub fn lifetime(self, lifetime: Duration) -> Self {
        self.with_safe(|config| config.limits = Limits { lifetime: seconds(lifetime, TEN_YEARS), ..config.limits })
    }

    /// Sets how long an unread flash message is kept: 5 minutes by default, 1 second to 1 day, in whole seconds.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::{Client, ManualClock}};
    /// # async fn save(flash: Flash) { flash.success("Saved") }
    /// # async fn page(flash: Flash) -> String { flash.get("success").unwrap_or("no message").to_owned() }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let clock = ManualClock::at(1_700_000_000);
    /// let a_minute = Duration::from_secs(60);
    /// let layer = SessionLayer::signed(Keys::generate()).flash_lifetime(a_minute).clock(clock.clone());
    /// let app = Router::new().route("/save", get(save)).route("/", get(page)).layer(layer);
    /// let client = Client::new(app);
    /// client.get("/save").await;
    /// clock.advance(Duration::from_secs(61));
    /// assert_eq!(client.get("/").await.text(), "no message");
    /// # }
    /// ```
    #[must_use]
    pub fn flash_lifetime(self, lifetime: Duration) -> Self {
        self.with_safe(|config| config.flash_lifetime = seconds(lifetime, ONE_DAY))
    }

    /// Lets the cookies outlive the browser. Off by default: a session then ends when the browser closes.
    ///
    /// With this setting, the cookie gets a `Max-Age`: the time until the idle timeout or the lifetime ends the
    /// session, at most 400 days.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// # async fn log_in(session: Session) -> Result<(), Error> { session.insert("user", "ada") }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate()).persistent(true);
    /// let client = Client::new(Router::new().route("/", get(log_in)).layer(layer));
    /// let response = client.get("/").await;
    /// assert!(response.set_cookies()[0].contains("; Max-Age=86400")); // the idle timeout, 24 hours
    /// client.close_browser();
    /// assert_eq!(client.cookie_names(), ["__Host-session"]);
    /// # }
    /// ```
    #[must_use]
    pub fn persistent(self, persistent: bool) -> Self {
        self.with_safe(|config| config.is_persistent = persistent)
    }

    /// Lets a session that is too large for one cookie use up to `most` cookies: 1 by default, at most 8.
    ///
    /// Each cookie adds up to 4 KiB to every request. Many servers refuse headers of more than 8 to 16 KiB.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn write(session: Session) -> Result<(), Error> {
    ///     session.insert("note", "x".repeat(4_000)) // more than one cookie holds
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate()).chunked(2);
    /// let client = Client::new(Router::new().route("/", get(write)).layer(layer));
    /// assert_eq!(client.get("/").await.status(), 200);
    /// assert_eq!(client.cookie_names().len(), 2);
    /// # }
    /// ```
    #[must_use]
    pub fn chunked(self, most: usize) -> Self {
        self.with_safe(|config| config.most_pieces = most.clamp(1, 8))
    }

    /// Sets when a flash message is removed: [`FlashMode::UntilRead`] by default.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, FlashMode, Keys, SessionLayer, testing::Client};
    /// # async fn save(flash: Flash) { flash.success("Saved") }
    /// # async fn page(flash: Flash) -> String { flash.get("success").unwrap_or("no message").to_owned() }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate()).flash_mode(FlashMode::NextRequest);
    /// let app = Router::new()
    ///     .route("/save", get(save))
    ///     .route("/other", get(|| async {}))
    ///     .route("/", get(page));
    /// let client = Client::new(app.layer(layer));
    /// client.get("/save").await;
    /// client.get("/other").await; // does not read the message, and removes it
    /// assert_eq!(client.get("/").await.text(), "no message");
    /// # }
    /// ```
    #[must_use]
    pub fn flash_mode(self, mode: FlashMode) -> Self {
        self.with_safe(|config| config.flash_mode = mode)
    }

    /// Saves the changes of a handler even if the response is a server error (5xx) or a 408. Off by default: such
    /// changes are then dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, http::StatusCode, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// async fn fail(session: Session) -> Result<StatusCode, Error> {
    ///     session.insert("attempts", 1)?;
    ///     Ok(StatusCode::BAD_GATEWAY)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate()).save_on_server_error(true);
    /// let client = Client::new(Router::new().route("/", get(fail)).layer(layer));
    /// assert_eq!(client.get("/").await.set_cookies().len(), 1); // none without the setting
    /// # }
    /// ```
    #[must_use]
    pub fn save_on_server_error(self, save: bool) -> Self {
        self.with_safe(|config| config.save_on_server_error = save)
    }

    /// Sets the function that makes the response if a session cannot be read or saved, or if a handler returns an
    /// [`Error`].
    ///
    /// By default the response is one calm sentence with the status of [`Error::status`]: 503 if a store is
    /// unavailable, 409 if the session ended while its request ran, 500 otherwise.
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, response::IntoResponse, routing::get};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// # async fn fail(session: Session) -> Result<(), Error> { session.insert("$reserved", 1) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate())
    ///     .on_error(|error| (error.status(), "Our sessions need a break.").into_response());
    /// let client = Client::new(Router::new().route("/", get(fail)).layer(layer));
    /// let response = client.get("/").await;
    /// assert_eq!(response.status(), 500);
    /// assert_eq!(response.text(), "Our sessions need a break.");
    /// # }
    /// ```
    #[must_use]
    pub fn on_error(self, respond: impl Fn(&Error) -> Response + Send + Sync + 'static) -> Self {
        self.with_safe(|config| config.on_error = Arc::new(respond))
    }

    /// Sets the function that translates the texts of guards. By default they are sent as the code has them.
    ///
    /// It gets the `message` of the struct, as in `#[session(message = "login.required")]`, and the request. For a
    /// struct without a `message` it gets the sentence of the 401 or the 403: "Please log in first." or "Please confirm
    /// who you are first.".
    ///
    /// # Examples
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Keys, Session, SessionData, SessionLayer, testing::Client};
    /// #[derive(SessionData)]
    /// struct Member {
    ///     user: String,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate()).guard_message(|message, request| {
    ///     let german = request.headers.get("accept-language").is_some_and(|it| it.as_bytes().starts_with(b"de"));
    ///     match message {
    ///         "Please log in first." if german => "Bitte melden Sie sich zuerst an.",
    ///         other => other,
    ///     }
    /// });
    /// let app = Router::new().route("/", get(|_: Session<Member>| async {})).layer(layer);
    /// let client = Client::new(app);
    /// assert_eq!(client.get("/").await.text(), "Please log in first.");
    /// # let request = axum::http::Request::get("/").header("accept-language", "de-AT").body(axum::body::Body::empty());
    /// # let request = request.unwrap();
    /// let response = client.send(request).await; // with `Accept-Language: de-AT`
    /// assert_eq!(response.text(), "Bitte melden Sie sich zuerst an.");
    /// # }
    /// ```
    #[must_use]
    pub fn guard_message<M: Into<Cow<'static, str>>>(
        self,
        translate: impl Fn(&'static str, &Parts) -> M + Send + Sync + 'static,
    ) -> Self {
        self.with_safe(|config| {
            config.guard_message = Arc::new(move |message, request| translate(message, request).into());
        })
    }

    /// Reads sessions and flash messages at their former place until a point in time, so that no visitor is logged out by
    /// a change of the settings. `former` is the layer as it was before, or another system: see
    /// [`FormerSystem`](session_core::former::FormerSystem).
    ///
    /// A request without a session cookie of this layer is read by the former rule. Its session is the ordinary
    /// [`Session`](crate::Session), is written as a session of this layer, keeps its creation time, its own limits and
    /// its owner, and gets a new id. The response sets the new cookie, ends the former session and removes its cookie. A
    /// flash message moves when it is read. After a server error, the session stays in its former place. If this layer's store is down or the session of this layer is over, the
    /// former rule is not asked. If a former store is down, the response is an error.
    ///
    /// With several calls, the rules are tried in their order. After `until`, which is included, a rule does nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Keys, Session, SessionLayer, testing::{Client, TestSession}};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let keys = Keys::generate();
    /// let former = SessionLayer::signed(keys.clone()).name("sid")?;
    /// # let forged = TestSession::new(&former).insert("user", "ada");
    /// let in_a_month = SystemTime::now() + Duration::from_secs(30 * 24 * 60 * 60);
    /// let layer = SessionLayer::encrypted(keys).migrating_from(former, in_a_month);
    /// # let page = |session: Session| async move { session.get::<String>("user").unwrap().unwrap_or_default() };
    /// # let client = Client::new(Router::new().route("/", get(page)).layer(layer));
    /// # client.enter(&forged);
    /// # assert_eq!(client.get("/").await.text(), "ada");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn migrating_from(self, former: impl Into<FormerSessions>, until: SystemTime) -> Self {
        let rule = Rule::new(former.into(), until);
        self.with_safe(|config| config.former.push(rule))
    }

    /// Sets the clock that all limits are measured with: [`SystemClock`](crate::SystemClock) by default. Tests use a
    /// `ManualClock`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::UNIX_EPOCH;
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Keys, Session, SessionLayer, testing::{Client, ManualClock}};
    /// async fn began(session: Session) -> String {
    ///     session.created_at().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string()
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let layer = SessionLayer::signed(Keys::generate()).clock(ManualClock::at(1_700_000_000));
    /// let client = Client::new(Router::new().route("/", get(began)).layer(layer));
    /// assert_eq!(client.get("/").await.text(), "1700000000");
    /// # }
    /// ```
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        self.with_safe(|config| config.clock = Arc::new(clock))
    }

    pub(crate) const fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    fn of(sealing: Option<Sealing>, engine: Engine) -> Self {
        observe::describe();
        match Settings::new(Config::new(sealing, engine)) {
            Ok(settings) => Self { settings: Arc::new(settings) },
            Err(error) => unreachable!("the defaults are valid: {error}"),
        }
    }

    /// Changes the settings and checks them again.
    fn with(self, change: impl FnOnce(&mut Config)) -> Result<Self, SettingsError> {
        let mut config = Arc::unwrap_or_clone(self.settings).config;
        change(&mut config);
        Ok(Self { settings: Arc::new(Settings::new(config)?) })
    }

    /// Changes the settings of the session cookie and of the flash cookies in the same way.
    fn with_both(self, change: impl Fn(CookieSettings) -> CookieSettings) -> Result<Self, SettingsError> {
        self.with(|config| {
            config.session = change(config.session.clone());
            config.flash = change(config.flash.clone());
        })
    }

    /// Changes a setting that cannot conflict with others.
    fn with_safe(self, change: impl FnOnce(&mut Config)) -> Self {
        match self.with(change) {
            Ok(layer) => layer,
            Err(error) => unreachable!("this setting cannot conflict with another: {error}"),
        }
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        self.settings.setup_warnings.without_effect(self.settings.without_effect());
        SessionService::new(inner, Arc::clone(&self.settings))
    }
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.describe("SessionLayer", f)
    }
}

/// Returns the settings with this name, which loses its prefix after `insecure_over_http`, as it does before it.
fn named(settings: &CookieSettings, name: &str) -> CookieSettings {
    let named = settings.clone().name(name);
    if settings.is_secure() { named } else { named.insecure() }
}

fn seconds(duration: Duration, most: u64) -> u64 {
    duration.as_secs().clamp(1, most)
}

const ONE_MINUTE: Duration = Duration::from_secs(60);
const ONE_DAY: u64 = 24 * 60 * 60;
pub(crate) const TEN_YEARS: u64 = 3_652 * ONE_DAY;
