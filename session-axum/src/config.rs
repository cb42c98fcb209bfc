//! A layer's settings, checked and derived once: layer, service and future share one of these.

use std::{fmt, sync::Arc};

use axum_core::response::Response;
use session_core::{
    Clock, Keys, Limits, SystemClock,
    cookie::{self, SettingsError},
    token::{Protection, Purpose, Ring},
    unix_seconds,
};

use crate::{
    engine::Engine,
    error::Error,
    setup_warnings::SetupWarnings,
    state::outcome::Rules,
    wire::{flash_cookies::FlashCookie, session_cookie::SessionCookie},
};

/// All that requests need to know, and how it came to be.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) session_cookie: SessionCookie,
    pub(crate) flash_cookie: FlashCookie,
    pub(crate) setup_warnings: Arc<SetupWarnings>,
}

impl Settings {
    pub(crate) fn new(config: Config) -> Result<Self, SettingsError> {
        let session = config.session.build()?;
        let flash = config.flash_settings(session.name()).build()?;
        cookie::check_distinct(&session, &flash)?;
        let session_cookie = SessionCookie {
            ring: config.ring(config.engine.purpose(), session.name()),
            spec: session,
            most_pieces: config.most_pieces,
        };
        let flash_cookie = FlashCookie {
            ring: config.ring(Purpose::Flash, flash.name()),
            spec: flash,
            lifetime: config.flash_lifetime,
        };
        Ok(Self { config, session_cookie, flash_cookie, setup_warnings: Arc::default() })
    }

    pub(crate) const fn engine(&self) -> &Engine {
        &self.config.engine
    }

    /// What decisions go by. `saves`: whether the response saves.
    pub(crate) const fn rules(&self, saves: bool) -> Rules {
        let Config { limits, engine, is_persistent, .. } = &self.config;
        Rules {
            limits: *limits,
            keeps_owners: engine.keeps_owners(),
            data_travels: engine.data_travels(),
            is_persistent: *is_persistent,
            saves,
        }
    }

    /// The time now, in seconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        unix_seconds(self.config.clock.now())
    }

    /// Whether a cookie of the other layer could be taken for one of this layer's. A layer without cookies has none.
    pub(crate) fn shares_a_cookie_with(&self, other: &Self) -> bool {
        let names = |settings: &Self| {
            let Self { session_cookie, flash_cookie, .. } = settings;
            let has_cookies = session_cookie.ring.is_some();
            let names = [session_cookie.spec.name().to_owned(), flash_cookie.spec.name().to_owned()];
            names.into_iter().filter(move |_| has_cookies)
        };
        let within = |whole: &str, start: &str| {
            whole.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        names(self).any(|ours| names(other).any(|theirs| within(&ours, &theirs) || within(&theirs, &ours)))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("session_cookie", &self.session_cookie.spec)
            .field("flash_cookie", &self.flash_cookie.spec)
            .field("limits", &self.config.limits)
            .finish_non_exhaustive()
    }
}

/// What the builder was given. Each of its steps makes new [`Settings`] of it.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) sealing: Option<Sealing>,
    pub(crate) engine: Engine,
    pub(crate) session: cookie::Settings,
    pub(crate) flash: cookie::Settings,
    /// Whether the flash's cookies have a name of their own, instead of one that follows the session's.
    pub(crate) flash_has_name: bool,
    pub(crate) application: String,
    pub(crate) limits: Limits,
    pub(crate) flash_lifetime: u64,
    pub(crate) flash_mode: FlashMode,
    pub(crate) is_persistent: bool,
    /// How many cookies one session may take.
    pub(crate) most_pieces: usize,
    pub(crate) save_on_server_error: bool,
    pub(crate) on_error: OnError,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Config {
    pub(crate) fn new(sealing: Option<Sealing>, engine: Engine) -> Self {
        Self {
            sealing,
            engine,
            session: cookie::Settings::new("session"),
            flash: cookie::Settings::new("flash"),
            flash_has_name: false,
            application: String::new(),
            limits: Limits { idle: 24 * 60 * 60, lifetime: 30 * 24 * 60 * 60 },
            flash_lifetime: 5 * 60,
            flash_mode: FlashMode::default(),
            is_persistent: false,
            most_pieces: 1,
            save_on_server_error: false,
            on_error: Arc::new(Error::calm_response),
            clock: Arc::new(SystemClock),
        }
    }

    /// The flash's cookies are named after the session's, if that has a name of its own.
    fn flash_settings(&self, session: &str) -> cookie::Settings {
        if self.flash_has_name || !self.session.has_name() {
            return self.flash.clone();
        }
        self.flash.clone().name(&format!("{session}-flash"))
    }

    fn ring(&self, purpose: Purpose, cookie_name: &str) -> Option<Ring> {
        let Sealing { keys, protection } = self.sealing.as_ref()?;
        Some(keys.ring(*protection, purpose, cookie_name, &self.application))
    }
}

/// Makes the response to a request whose session could not be read or saved.
pub(crate) type OnError = Arc<dyn Fn(&Error) -> Response + Send + Sync>;

/// The secrets, and how tokens protect what they carry.
#[derive(Clone)]
pub(crate) struct Sealing {
    pub(crate) keys: Keys,
    pub(crate) protection: Protection,
}

/// When a flash message is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlashMode {
    /// When a page that a person saw has read it. Images, polls, redirects and failed requests leave it alone.
    #[default]
    UntilRead,
    /// With the next response, read or not and whatever its status: the rule of Play and Revel.
    NextRequest,
}
