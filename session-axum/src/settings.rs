//! What a layer was told, checked and derived once: layer, service and future share one of these.

use std::{fmt, sync::Arc};

use axum_core::response::Response;
use session_core::{
    Clock, Form, Keys, Limits, Purpose, Ring, SystemClock,
    cookie::{self, SettingsError, Spec},
    unix_seconds,
};

use crate::{error::Error, notices::Notices, store::Store};

/// All that requests need to know, and how it came to be.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) told: Told,
    pub(crate) session_cookie: Spec,
    pub(crate) flash_cookie: Spec,
    /// `None`: every session is empty, and nothing is written.
    pub(crate) rings: Option<Rings>,
    pub(crate) notices: Arc<Notices>,
}

impl Settings {
    pub(crate) fn new(told: Told) -> Result<Self, SettingsError> {
        let session_cookie = told.session.build()?;
        let flash_cookie = told.flash.build()?;
        cookie::check_distinct(&session_cookie, &flash_cookie)?;
        let rings = told.sealing.as_ref().map(|sealing| Rings {
            session: sealing.ring(told.session_purpose(), session_cookie.name(), &told.application),
            flash: sealing.ring(Purpose::Flash, flash_cookie.name(), &told.application),
        });
        Ok(Self { told, session_cookie, flash_cookie, rings, notices: Arc::default() })
    }

    /// Where the sessions are, unless their data travels.
    pub(crate) const fn records(&self) -> Option<&Store> {
        match &self.told.remote {
            Some(Remote::Records(store)) => Some(store),
            _ => None,
        }
    }

    /// The time now, in seconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        unix_seconds(self.told.clock.now())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("session_cookie", &self.session_cookie)
            .field("flash_cookie", &self.flash_cookie)
            .field("limits", &self.told.limits)
            .finish_non_exhaustive()
    }
}

/// What seals and opens our cookies.
#[derive(Clone)]
pub(crate) struct Rings {
    pub(crate) session: Ring,
    pub(crate) flash: Ring,
}

/// What the builder was told. Each of its steps makes new [`Settings`] of it.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) sealing: Option<Sealing>,
    /// What has to be asked about a session besides its cookie.
    pub(crate) remote: Option<Remote>,
    pub(crate) session: cookie::Settings,
    pub(crate) flash: cookie::Settings,
    pub(crate) application: String,
    pub(crate) limits: Limits,
    pub(crate) flash_lifetime: u64,
    pub(crate) flash_mode: FlashMode,
    pub(crate) persistent: bool,
    /// How many cookies one session may take.
    pub(crate) chunks: usize,
    pub(crate) save_on_server_error: bool,
    pub(crate) on_error: OnError,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Told {
    pub(crate) fn new(sealing: Option<Sealing>, remote: Option<Remote>) -> Self {
        Self {
            sealing,
            remote,
            session: cookie::Settings::new("session"),
            flash: cookie::Settings::new("flash"),
            application: String::new(),
            limits: Limits { idle: 24 * 60 * 60, lifetime: 30 * 24 * 60 * 60 },
            flash_lifetime: 5 * 60,
            flash_mode: FlashMode::default(),
            persistent: false,
            chunks: 1,
            save_on_server_error: false,
            on_error: Arc::new(super::error::Error::calm_response),
            clock: Arc::new(SystemClock),
        }
    }

    const fn session_purpose(&self) -> Purpose {
        match self.remote {
            Some(Remote::Records(_)) => Purpose::Id,
            _ => Purpose::Session,
        }
    }
}

/// A store, and what it is for.
#[derive(Clone)]
pub(crate) enum Remote {
    /// The sessions are there, and the cookie carries what they are found by.
    Records(Store),
    /// The data travels, and the ids of sessions that were ended early are there.
    Revocations {
        list: Store,
        /// Whether a session is believed while the list cannot be read.
        lenient: bool,
    },
}

/// Makes the response to a request whose session could not be read or saved.
pub(crate) type OnError = Arc<dyn Fn(&Error) -> Response + Send + Sync>;

/// The secrets, and how tokens protect what they carry.
#[derive(Clone)]
pub(crate) struct Sealing {
    pub(crate) keys: Keys,
    pub(crate) form: Form,
}

impl Sealing {
    fn ring(&self, purpose: Purpose, cookie_name: &str, application: &str) -> Ring {
        self.keys.ring(self.form, purpose, cookie_name, application)
    }
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
