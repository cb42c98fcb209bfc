//! `SessionLayer`: one line that says where sessions live, and the settings of their cookies.

use std::{fmt, sync::Arc, time::Duration};

use axum_core::response::Response;
use cookie::SameSite;
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
    engine::{Engine, Revocations, StoreClient},
    error::Error,
    service::SessionService,
};

/// The layer that gives every request below it a [`Session`](crate::Session) and a [`Flash`](crate::Flash).
///
/// It is its own builder, and every step leaves a valid layer. What a browser would refuse is an error at once, when
/// the application starts.
///
/// The defaults are right for production: the cookies are `__Host-session` and `__Host-flash`, Secure, `HttpOnly`,
/// `SameSite=Lax`, `Path=/`, without Domain; a session ends after 24 hours without a visit, after 30 days in any case,
/// and when the browser closes.
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
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionLayer {
    settings: Arc<Settings>,
}

impl SessionLayer {
    /// Sessions whose data travels in a signed cookie: the browser can read it and cannot change it.
    #[must_use]
    pub fn signed(keys: Keys) -> Self {
        Self::of(Some(Sealing { keys, protection: Protection::Signed }), Engine::Cookie)
    }

    /// Sessions whose data travels in an encrypted cookie: the browser can neither read nor change it.
    #[cfg(feature = "encrypted")]
    #[must_use]
    pub fn encrypted(keys: Keys) -> Self {
        Self::of(Some(Sealing { keys, protection: Protection::Encrypted }), Engine::Cookie)
    }

    /// Sessions that stay in a store while a signed id travels: for what outgrows a cookie, and for log-outs that hold
    /// everywhere.
    ///
    /// The crate `session-stores` has stores in memory, in `SQLite`, Postgres and Redis; `store` can also be an
    /// `Arc<dyn SessionStore>` that is chosen while the application starts. Expired records are removed in the
    /// background: see [`SessionLayer::sweep_every`].
    #[must_use]
    pub fn stored(store: impl SessionStore, keys: Keys) -> Self {
        Self::of(Some(Sealing { keys, protection: Protection::Signed }), Engine::Store(StoreClient::new(store)))
    }

    /// For APIs: every session is empty and nothing is written, whatever the handlers do.
    #[must_use]
    pub fn null() -> Self {
        Self::of(None, Engine::Null)
    }

    /// Keeps the ids of sessions whose data travels and that ended early, so that a copied cookie is dead after a
    /// log-out. A read then asks this store once.
    ///
    /// While the list cannot be read, a request that uses its session is refused with a 503, unless
    /// [`SessionLayer::insecure_trust_when_unavailable`] says otherwise. With [`SessionLayer::stored`] and
    /// [`SessionLayer::null`] there is nothing to revoke, and it changes nothing.
    #[must_use]
    pub fn revocations(self, store: impl SessionStore) -> Self {
        self.with_safe(|config| {
            if let Engine::Cookie | Engine::RevocableCookie(_) = config.engine {
                let list = StoreClient::new(store);
                config.engine = Engine::RevocableCookie(Revocations { list, trust_when_unavailable: false });
            }
        })
    }

    /// Believes sessions while the list of [`SessionLayer::revocations`] cannot be read: also those that were ended.
    #[must_use]
    pub fn insecure_trust_when_unavailable(self) -> Self {
        self.with_safe(|config| {
            if let Engine::RevocableCookie(revocations) = &mut config.engine {
                revocations.trust_when_unavailable = true;
            }
        })
    }

    /// How long an operation of the store may take before it counts as failed: 2 seconds unless told otherwise,
    /// 1 millisecond to 1 minute.
    #[must_use]
    pub fn store_timeout(self, timeout: Duration) -> Self {
        let timeout = timeout.clamp(Duration::from_millis(1), ONE_MINUTE);
        self.with_store(|store| store.timeout = timeout)
    }

    /// How often expired records are removed from the store: every 5 minutes unless told otherwise, 1 second to 1 day.
    #[must_use]
    pub fn sweep_every(self, interval: Duration) -> Self {
        let interval = interval.clamp(Duration::from_secs(1), Duration::from_secs(ONE_DAY));
        self.with_store(|store| store.sweep_every = interval)
    }

    /// The sessions of every visitor, to list and to end them: what the extractor [`Sessions`] gives to handlers.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions::new(Arc::clone(&self.settings))
    }

    /// The session cookie's name instead of `__Host-session`. The flash cookies are named after it: `__Host-shop` gives
    /// `__Host-shop-flash`, unless [`SessionLayer::flash_name`] gives them a name of their own.
    ///
    /// # Errors
    ///
    /// When it is no cookie's name, when its prefix contradicts another setting, or when it is the flash's name.
    pub fn name(self, name: &str) -> Result<Self, SettingsError> {
        self.with(|config| config.session = config.session.clone().name(name))
    }

    /// The flash cookies' name, before the dot, instead of `__Host-flash`.
    ///
    /// # Errors
    ///
    /// As [`SessionLayer::name`].
    pub fn flash_name(self, name: &str) -> Result<Self, SettingsError> {
        self.with(|config| {
            config.flash = config.flash.clone().name(name);
            config.flash_has_name = true;
        })
    }

    /// Cookies for a domain and all its subdomains. The default names become `__Secure-session` and `__Secure-flash`.
    ///
    /// Every subdomain can then read, drop and replace the cookies (though not forge them).
    ///
    /// # Errors
    ///
    /// When it is no host name, or when a name that begins with `__Host-` was asked for.
    pub fn domain(self, domain: &str) -> Result<Self, SettingsError> {
        self.with_both(|cookie| cookie.domain(domain))
    }

    /// Cookies for a path and what is below it. The default names become `__Secure-session` and `__Secure-flash`.
    ///
    /// # Errors
    ///
    /// When it does not begin with `/` or cannot stand in a cookie, or when a name with `__Host-` was asked for.
    pub fn path(self, path: &str) -> Result<Self, SettingsError> {
        self.with_both(|cookie| cookie.path(path))
    }

    /// Which requests from other sites carry the cookies: `Lax` unless told otherwise.
    ///
    /// With `None` every site can make a visitor's browser send requests in their session: protect each form.
    ///
    /// # Errors
    ///
    /// `SameSite=None` together with [`SessionLayer::insecure_over_http`].
    pub fn same_site(self, same_site: SameSite) -> Result<Self, SettingsError> {
        self.with_both(|cookie| cookie.same_site(same_site))
    }

    /// A jar of its own under every top-level site that embeds this one (CHIPS). Without Secure it stays off.
    #[must_use]
    pub fn partitioned(self, partitioned: bool) -> Self {
        self.with_safe(|config| {
            for cookie in [&mut config.session, &mut config.flash] {
                *cookie = cookie.clone().partitioned(partitioned && cookie.is_secure());
            }
        })
    }

    /// For a laptop: cookies without Secure, and so without the prefix of their names, that also travel over HTTP.
    ///
    /// Whoever is on the network can then take over a session. `SameSite=None` becomes `Lax`. It says so in the log.
    #[must_use]
    pub fn insecure_over_http(self) -> Self {
        tracing::warn!(
            "session cookies travel over plain HTTP (insecure_over_http): anybody on the network can take a session \
             over; use HTTPS and drop this setting in production"
        );
        self.with_safe(|config| {
            for cookie in [&mut config.session, &mut config.flash] {
                *cookie = cookie.clone().insecure();
            }
        })
    }

    /// Keeps two applications with one secret apart: neither opens the other's cookies. Empty unless told otherwise.
    #[must_use]
    pub fn application(self, application: &str) -> Self {
        self.with_safe(|config| application.clone_into(&mut config.application))
    }

    /// The longest time between two visits: 24 hours unless told otherwise, 1 second to 10 years.
    ///
    /// A visit counts when the session is used. The cookie is renewed for it after an eighth of this time.
    #[must_use]
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        self.with_safe(|config| config.limits = Limits { idle: seconds(timeout, TEN_YEARS), ..config.limits })
    }

    /// The longest time from the beginning of a session, whatever its activity: 30 days unless told otherwise,
    /// 1 second to 10 years.
    #[must_use]
    pub fn lifetime(self, lifetime: Duration) -> Self {
        self.with_safe(|config| config.limits = Limits { lifetime: seconds(lifetime, TEN_YEARS), ..config.limits })
    }

    /// How long an unread flash message waits: 5 minutes unless told otherwise, 1 second to 1 day.
    #[must_use]
    pub fn flash_lifetime(self, lifetime: Duration) -> Self {
        self.with_safe(|config| config.flash_lifetime = seconds(lifetime, ONE_DAY))
    }

    /// Cookies that outlive the browser: `Max-Age` is what is left of the nearer limit, at most 400 days.
    #[must_use]
    pub fn persistent(self, persistent: bool) -> Self {
        self.with_safe(|config| config.is_persistent = persistent)
    }

    /// Lets a session that is too large for one cookie spread over up to `most` of them, 1 to 8.
    ///
    /// Each costs up to 4 KiB with every request, and servers commonly refuse headers of more than 8 to 16 KiB.
    #[must_use]
    pub fn chunked(self, most: usize) -> Self {
        self.with_safe(|config| config.most_pieces = most.clamp(1, 8))
    }

    /// When a flash message is gone: [`FlashMode::UntilRead`] unless told otherwise.
    #[must_use]
    pub fn flash_mode(self, mode: FlashMode) -> Self {
        self.with_safe(|config| config.flash_mode = mode)
    }

    /// Saves what handlers did even when the answer is a 5xx. Unless told so, that is rolled back.
    #[must_use]
    pub fn save_on_server_error(self, save: bool) -> Self {
        self.with_safe(|config| config.save_on_server_error = save)
    }

    /// Makes the response when a session cannot be read or saved, and for an [`Error`] that a handler returns.
    ///
    /// Unless told otherwise it is one calm sentence, with a 503 while a store is not available and a 500 otherwise.
    #[must_use]
    pub fn on_error(self, respond: impl Fn(&Error) -> Response + Send + Sync + 'static) -> Self {
        self.with_safe(|config| config.on_error = Arc::new(respond))
    }

    /// Where time comes from: the system's clock unless told otherwise.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        self.with_safe(|config| config.clock = Arc::new(clock))
    }

    #[cfg(feature = "testing")]
    pub(crate) const fn settings(&self) -> &Arc<Settings> {
        &self.settings
    }

    fn of(sealing: Option<Sealing>, engine: Engine) -> Self {
        match Settings::new(Config::new(sealing, engine)) {
            Ok(settings) => Self { settings: Arc::new(settings) },
            Err(error) => unreachable!("the defaults are valid: {error}"),
        }
    }

    fn with(self, change: impl FnOnce(&mut Config)) -> Result<Self, SettingsError> {
        let mut config = Arc::unwrap_or_clone(self.settings).config;
        change(&mut config);
        Ok(Self { settings: Arc::new(Settings::new(config)?) })
    }

    fn with_both(self, change: impl Fn(CookieSettings) -> CookieSettings) -> Result<Self, SettingsError> {
        self.with(|config| {
            config.session = change(config.session.clone());
            config.flash = change(config.flash.clone());
        })
    }

    fn with_store(self, change: impl FnOnce(&mut StoreClient)) -> Self {
        self.with_safe(|config| {
            if let Some(store) = config.engine.store_mut() {
                change(store);
            }
        })
    }

    /// For settings that cannot conflict with others.
    fn with_safe(self, change: impl FnOnce(&mut Config)) -> Self {
        match self.with(change) {
            Ok(layer) => layer,
            Err(error) => unreachable!("this setting cannot contradict another: {error}"),
        }
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService::new(inner, Arc::clone(&self.settings))
    }
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("settings", &self.settings).finish()
    }
}

fn seconds(duration: Duration, most: u64) -> u64 {
    duration.as_secs().clamp(1, most)
}

const ONE_MINUTE: Duration = Duration::from_secs(60);
const ONE_DAY: u64 = 24 * 60 * 60;
const TEN_YEARS: u64 = 3_652 * ONE_DAY;
