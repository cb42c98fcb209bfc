//! A layer's settings. They are checked once, and the layer, its services and all requests share them.

use std::{borrow::Cow, fmt, sync::Arc};

use axum_core::response::Response;
use http::request::Parts;
use session_core::{
    Clock, Keys, Limits, SessionId, SystemClock,
    cookie::{self, SettingsError},
    token::{CLOCK_SKEW, IdSecret, Protection, Purpose, Ring},
    unix_seconds,
};

use crate::{
    engine::{Context, Engine, StoreSettings},
    error::Error,
    migration::{Migration, Rule},
    setup_warnings::SetupWarnings,
    state::{loaded::Loaded, outcome::Rules},
    wire::{
        bearer::Bearer,
        candidates::Clocks,
        flash_cookies::FlashCookie,
        request_cookies::RequestCookies,
        return_cookie::{RETURN_SUFFIX, ReturnCookie},
        session_cookie::SessionCookie,
    },
};

/// The checked settings, and what is derived from them for requests.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) session_cookie: SessionCookie,
    pub(crate) flash_cookie: FlashCookie,
    pub(crate) return_cookie: ReturnCookie,
    pub(crate) setup_warnings: Arc<SetupWarnings>,
    /// Where sessions came from before; `None` if they came from nowhere.
    pub(crate) migration: Option<Arc<Migration>>,
}

impl Settings {
    /// Returns the kind of a cookie that a response sets, as the counters call it.
    #[cfg(feature = "metrics")]
    pub(crate) fn kind_of_cookie(&self, name: &str) -> &'static str {
        let is = |spec: &cookie::Spec| {
            name.strip_prefix(spec.name()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if is(&self.session_cookie.spec) {
            "session"
        } else if !is(&self.flash_cookie.spec) {
            "ticket"
        } else if name.ends_with(RETURN_SUFFIX) {
            "return_to"
        } else {
            "flash"
        }
    }

    pub(crate) fn new(mut config: Config) -> Result<Self, SettingsError> {
        config.set_up_store();
        let setup_warnings = Arc::new(SetupWarnings::default());
        let clocks = Clocks { skew: config.clock_skew, setup_warnings: Arc::clone(&setup_warnings) };
        let session = config.session.build()?;
        let flash = config.flash_settings(session.name()).build()?;
        cookie::check_distinct(&session, &flash)?;
        let reads_bearer = config.reads_bearer && config.engine.records().is_some();
        let header = || format!("{AUTHORIZATION} {}", session.name());
        let bearer = reads_bearer.then(|| config.ring(Purpose::Id, &header())).flatten();
        let session_cookie = SessionCookie {
            ring: config.ring(config.engine.purpose(), session.name()),
            bearer: bearer.map(|ring| Bearer { ring, clocks: clocks.clone() }),
            spec: session,
            most_pieces: config.most_pieces,
            clocks: clocks.clone(),
        };
        let return_cookie = ReturnCookie {
            ring: config.ring(Purpose::Flash, &format!("{}{RETURN_SUFFIX}", flash.name())),
            spec: flash.clone(),
            lifetime: config.flash_lifetime,
            clocks: clocks.clone(),
        };
        let flash_cookie = FlashCookie {
            ring: config.ring(Purpose::Flash, flash.name()),
            spec: flash,
            lifetime: config.flash_lifetime,
            clocks,
        };
        let mut settings =
            Self { config, session_cookie, flash_cookie, return_cookie, setup_warnings, migration: None };
        settings.migration = Migration::new(&settings.config.former, &settings);
        Ok(settings)
    }

    /// Loads the session at once; `None` if a store has to be asked, or a former place may have to be.
    pub(crate) fn load_now(&self, cookies: &RequestCookies) -> Option<Loaded> {
        match (&self.migration, cookies) {
            (Some(_), _) => None,
            // Without a cookie there is nothing to ask a store or a clock.
            (None, RequestCookies::None) => Some(Loaded::nothing()),
            (None, _) => self.engine().load_now(self.context(cookies, self.now())),
        }
    }

    /// Returns whether no operation of a request ever waits.
    pub(crate) fn never_waits(&self) -> bool {
        self.engine().never_waits() && self.migration.is_none()
    }

    /// Returns the ids and secrets that a former session gets here; `None` if the layer has no keys.
    pub(crate) fn successors(&self, identity: &[u8]) -> Option<Vec<(SessionId, IdSecret)>> {
        let Config { sealing, application, .. } = &self.config;
        let keys = &sealing.as_ref()?.keys;
        Some(keys.successors(self.session_cookie.spec.name(), application, identity).collect())
    }

    pub(crate) const fn engine(&self) -> &Engine {
        &self.config.engine
    }

    pub(crate) const fn limits(&self) -> Limits {
        self.config.limits
    }

    /// Returns the rules that decide the outcome of a session. `saves` tells whether the response saves changes.
    pub(crate) const fn rules(&self, saves: bool) -> Rules {
        let Config { limits, engine, is_persistent, .. } = &self.config;
        Rules {
            limits: *limits,
            keeps_owners: engine.keeps_owners(),
            data_travels: engine.data_travels(),
            is_persistent: *is_persistent,
            is_visit: true,
            saves,
        }
    }

    /// Returns the context that the engine gets for a request with these cookies.
    pub(crate) fn context<'a>(&'a self, cookies: &'a RequestCookies, now: u64) -> Context<'a> {
        let Self { config: Config { limits, .. }, session_cookie, setup_warnings, .. } = self;
        Context { cookie: session_cookie, cookies, limits: *limits, setup_warnings, now }
    }

    /// Returns the names of the settings that cannot have an effect, and where they have one.
    pub(crate) fn without_effect(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.config.without_effect()
    }

    /// Returns the time now, in seconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        unix_seconds(self.config.clock.now())
    }

    /// Returns whether a cookie of the other layer could be mistaken for a cookie of this layer. Always returns false
    /// if one of the layers has no cookies.
    pub(crate) fn shares_a_cookie_with(&self, other: &Self) -> bool {
        let names = |settings: &Self| {
            let Self { session_cookie, flash_cookie, .. } = settings;
            let has_cookies = session_cookie.ring.is_some();
            let names = [session_cookie.spec.name().to_owned(), flash_cookie.spec.name().to_owned()];
            names.into_iter().filter(move |_| has_cookies)
        };
        // Flash cookies and the pieces of a session are named `name.suffix`, so `shop` and `shop.1` overlap too.
        let within = |whole: &str, start: &str| {
            whole.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        names(self).any(|ours| names(other).any(|theirs| within(&ours, &theirs) || within(&theirs, &ours)))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe("Settings", f)
    }
}

/// With the name of the session cookie, stands for the cookie's name where keys are derived for tokens in this header.
const AUTHORIZATION: &str = "Authorization";

/// The settings as the application gave them. Each builder method of the layer makes new [`Settings`] from it.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) sealing: Option<Sealing>,
    pub(crate) engine: Engine,
    pub(crate) store: StoreSettings,
    /// Whether the session may come in the `Authorization` header.
    pub(crate) reads_bearer: bool,
    pub(crate) session: cookie::Settings,
    pub(crate) flash: cookie::Settings,
    /// Whether `flash_name` was called. Otherwise the name of the flash cookies is derived from the session cookie's
    /// name.
    pub(crate) flash_has_name: bool,
    /// Whether cookies without Secure were to be partitioned: browsers drop such cookies.
    pub(crate) partitions_in_vain: bool,
    pub(crate) application: String,
    pub(crate) limits: Limits,
    /// How far the clocks of two instances may differ, in seconds.
    pub(crate) clock_skew: u64,
    pub(crate) flash_lifetime: u64,
    pub(crate) flash_mode: FlashMode,
    pub(crate) is_persistent: bool,
    /// The largest number of cookies that one session may use.
    pub(crate) most_pieces: usize,
    pub(crate) save_on_server_error: bool,
    /// Whether a response that ends the session tells the browser to drop its cached pages.
    pub(crate) clears_site_data: bool,
    pub(crate) on_error: OnError,
    pub(crate) guard_message: GuardMessage,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where sessions came from before.
    pub(crate) former: Vec<Rule>,
}

impl Config {
    pub(crate) fn new(sealing: Option<Sealing>, engine: Engine) -> Self {
        Self {
            sealing,
            engine,
            store: StoreSettings::default(),
            session: cookie::Settings::new("session"),
            flash: cookie::Settings::new("flash"),
            flash_has_name: false,
            partitions_in_vain: false,
            application: String::new(),
            limits: Limits { idle: 24 * 60 * 60, lifetime: 30 * 24 * 60 * 60, visits: None },
            clock_skew: CLOCK_SKEW,
            flash_lifetime: 5 * 60,
            flash_mode: FlashMode::default(),
            is_persistent: false,
            most_pieces: 1,
            save_on_server_error: false,
            reads_bearer: false,
            clears_site_data: false,
            on_error: Arc::new(Error::calm_response),
            guard_message: Arc::new(|message, _| message.into()),
            clock: Arc::new(SystemClock),
            former: Vec::new(),
        }
    }

    /// Returns the settings of the flash cookies. If the application named only the session cookie, the name of the
    /// flash cookies is derived from that name, which is `session`.
    fn flash_settings(&self, session: &str) -> cookie::Settings {
        if self.flash_has_name || !self.session.has_name() {
            return self.flash.clone();
        }
        self.flash.clone().name(&format!("{session}-flash"))
    }

    /// Gives the settings to the store, in whatever order the builder's methods were called.
    fn set_up_store(&mut self) {
        if let Engine::RevocableCookie(revocations) = &mut self.engine {
            revocations.trusts_when_unavailable = self.store.trusts_when_unavailable;
        }
        #[cfg(feature = "encrypted")]
        if let (Engine::Store(store), Some(keys)) = (&mut self.engine, &self.store.record_keys) {
            store.encrypt_records(keys);
        }
        if let Some(store) = self.engine.store_mut() {
            store.settings = self.store.clone();
            store.application = self.application.as_str().into();
            store.clock = Arc::clone(&self.clock);
        }
    }

    /// Returns the names of the settings that cannot have an effect here, and where they have one.
    fn without_effect(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let Self { engine, store, .. } = self;
        let has_store = matches!(engine, Engine::Store(_) | Engine::RevocableCookie(_));
        #[cfg(feature = "encrypted")]
        let encrypts = store.record_keys.is_some();
        #[cfg(not(feature = "encrypted"))]
        let encrypts = false;
        let (stored, either) = ("`SessionLayer::stored`", "`SessionLayer::stored` or `SessionLayer::revocations`");
        [
            (store.ignores_revocations, "revocations", "`SessionLayer::signed` or `SessionLayer::encrypted`"),
            (store.timeout.is_some() && !has_store, "store_timeout", either),
            (store.sweep.is_some() && !has_store, "sweep_every", either),
            (self.reads_bearer && engine.records().is_none(), "bearer", stored),
            (store.watch.is_some() && engine.records().is_none(), "watch_every", stored),
            (store.sessions_per_owner.is_some() && engine.records().is_none(), "sessions_per_owner", stored),
            (!self.former.is_empty() && matches!(engine, Engine::Null), "migrating_from", "a layer with cookies"),
            (encrypts && engine.records().is_none(), "encrypt_records", stored),
            (
                store.trusts_when_unavailable && engine.revocations().is_none(),
                "insecure_trust_when_unavailable",
                "`SessionLayer::revocations`",
            ),
            (self.partitions_in_vain, "partitioned", "Secure cookies"),
        ]
        .into_iter()
        .filter_map(|(is_idle, setting, remedy)| is_idle.then_some((setting, remedy)))
    }

    fn ring(&self, purpose: Purpose, cookie_name: &str) -> Option<Ring> {
        let Sealing { keys, protection } = self.sealing.as_ref()?;
        Some(keys.ring(*protection, purpose, cookie_name, &self.application))
    }
}

/// The function that makes the response if a session cannot be read or saved.
pub(crate) type OnError = Arc<dyn Fn(&Error) -> Response + Send + Sync>;

/// The function that makes the text of a guard's response from the text in the code and from the request.
pub(crate) type GuardMessage = Arc<dyn Fn(&'static str, &Parts) -> Cow<'static, str> + Send + Sync>;

/// The keys, and whether they sign or encrypt.
#[derive(Clone)]
pub(crate) struct Sealing {
    pub(crate) keys: Keys,
    pub(crate) protection: Protection,
}

/// When a flash message is removed.
///
/// # Examples
///
/// ```
/// # use axum::{Router, routing::get};
/// # use session_axum::{Flash, FlashMode, Keys, SessionLayer, testing::{Client, TestSession}};
/// # async fn page(flash: Flash) -> String { flash.get("success").unwrap_or("no message").to_owned() }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// for (mode, text) in [(FlashMode::UntilRead, "Saved"), (FlashMode::NextRequest, "no message")] {
///     let layer = SessionLayer::signed(Keys::generate()).flash_mode(mode);
///     let app = Router::new().route("/", get(page)).route("/poll", get(|| async { "not read" }));
///     let client = Client::new(app.layer(layer.clone()));
///     client.enter(&TestSession::new(&layer).flash("success", "Saved"));
///     client.get("/poll").await;
///     assert_eq!(client.get("/").await.text(), text);
/// }
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlashMode {
    /// A message is removed after a handler has read it and the response shows a page: a 2xx or 4xx with a body. A
    /// redirect, also one by a header of htmx, or a server error keeps the message, and so does a request that does
    /// not read it.
    #[default]
    UntilRead,
    /// A message is removed with the next response of any status, even if no handler has read it. Play and Revel do the
    /// same.
    NextRequest,
}
