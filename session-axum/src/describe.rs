//! The settings of a layer as `{:?}` prints them: by the names of the builder's methods, and without the secrets.

use std::fmt;

use session_core::{
    Limits,
    cookie::Spec,
    token::{CLOCK_SKEW, Protection},
};

use crate::{
    config::{Config, FlashMode, Settings},
    engine::Engine,
};

impl Settings {
    /// Prints the engine, the cookies and the limits, and of the other settings those that differ from the default.
    pub(crate) fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, session_cookie, flash_cookie, .. } = self;
        let mut fields = f.debug_struct(name);
        fields.field("engine", &Plain(engine(config)));
        if session_cookie.ring.is_none() {
            return fields.finish();
        }
        let Limits { idle, lifetime, visits } = config.limits;
        fields
            .field("name", &session_cookie.spec.name())
            .field("attributes", &Plain(&attributes(&session_cookie.spec)))
            .field("flash_name", &flash_cookie.spec.name())
            .field("idle_timeout", &Span(idle))
            .field("lifetime", &Span(lifetime));
        if !config.application.is_empty() {
            fields.field("application", &config.application);
        }
        let store = &config.store;
        let spans = [
            ("note_visits_every", visits),
            ("clock_skew", Some(config.clock_skew).filter(|skew| *skew != CLOCK_SKEW)),
            ("flash_lifetime", Some(config.flash_lifetime).filter(|lifetime| *lifetime != 5 * 60)),
        ];
        for (name, span) in spans {
            if let Some(span) = span {
                fields.field(name, &Span(span));
            }
        }
        if let Some(timeout) = store.timeout {
            fields.field("store_timeout", &timeout);
        }
        if config.flash_mode != FlashMode::default() {
            fields.field("flash_mode", &config.flash_mode);
        }
        if config.most_pieces > 1 {
            fields.field("chunked", &config.most_pieces);
        }
        if let Some(most) = store.sessions_per_owner {
            fields.field("sessions_per_owner", &most);
        }
        if let Some(sweep) = store.sweep {
            fields.field("sweep", &sweep);
        }
        let switches = [
            ("persistent", config.is_persistent),
            ("bearer", config.reads_bearer),
            ("save_on_server_error", config.save_on_server_error),
            ("clear_site_data", config.clears_site_data),
            ("insecure_trust_when_unavailable", store.trusts_when_unavailable),
        ];
        for (name, is_on) in switches {
            if is_on {
                fields.field(name, &is_on);
            }
        }
        if !config.former.is_empty() {
            fields.field("migrating_from", &config.former.len());
        }
        fields.finish()
    }
}

fn engine(config: &Config) -> &'static str {
    let is_signed = config.sealing.as_ref().is_none_or(|sealing| matches!(sealing.protection, Protection::Signed));
    match (&config.engine, is_signed) {
        (Engine::Null, _) => "null",
        (Engine::Cookie(_), true) => "signed",
        (Engine::Cookie(_), false) => "encrypted",
        (Engine::RevocableCookie(_), true) => "signed with revocations",
        (Engine::RevocableCookie(_), false) => "encrypted with revocations",
        (Engine::Store(_), _) => "stored",
    }
}

/// Returns the attributes of the cookie, as in `Set-Cookie`.
fn attributes(spec: &Spec) -> String {
    let cookie = spec.set("", "", None).unwrap_or_default();
    cookie.split_once("; ").map(|(_, attributes)| attributes.to_owned()).unwrap_or_default()
}

/// A text without quotes.
struct Plain<'a>(&'a str);

impl fmt::Debug for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Seconds, in the largest unit that needs no fraction, as in a `SessionConfig`: `90s`, `10m`, `24h` or `30d`.
struct Span(u64);

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0;
        match seconds {
            _ if seconds > 86_400 && seconds.is_multiple_of(86_400) => write!(f, "{}d", seconds / 86_400),
            _ if seconds >= 3_600 && seconds.is_multiple_of(3_600) => write!(f, "{}h", seconds / 3_600),
            _ if seconds >= 60 && seconds.is_multiple_of(60) => write!(f, "{}m", seconds / 60),
            _ => write!(f, "{seconds}s"),
        }
    }
}
