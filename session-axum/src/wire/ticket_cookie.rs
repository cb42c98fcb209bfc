//! The cookie of a ticket: a value for one step, such as a log-in at another site.

use std::time::Duration;

use serde::de::DeserializeOwned;
use session_core::{
    Sealer,
    cookie::{self, SettingsError, Spec},
};

use super::request_cookies::RequestCookies;
use crate::{
    SameSite,
    config::{Config, Sealing, Settings},
    error::Error,
};

/// The properties of a ticket's cookie, from the options of its type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TicketCookie {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) lifetime: Duration,
    pub(crate) is_cross_site: bool,
}

/// A change of a ticket's cookie: its new JSON text, or `None` to remove it.
#[derive(Clone)]
pub(crate) struct TicketChange {
    pub(crate) cookie: TicketCookie,
    pub(crate) text: Option<String>,
}

impl TicketCookie {
    /// Returns whether a cookie of this name came with the request.
    pub(crate) fn came(&self, settings: &Settings, cookies: &RequestCookies) -> bool {
        self.spec(settings).is_ok_and(|spec| cookies.has(&spec, ""))
    }

    /// Reads the value. If two different tickets are valid, it is unknown which one is ours, and the result is `None`.
    pub(crate) fn read<T: DeserializeOwned>(&self, settings: &Settings, cookies: &RequestCookies) -> Option<T> {
        let spec = self.spec(settings).ok()?;
        let (sealer, now) = (sealer(settings, &spec)?, settings.now());
        let came = cookies.find(&spec).filter(|(suffix, _)| suffix.is_empty()).take(MOST_VALUES);
        let values = came.filter_map(|(_, value)| std::str::from_utf8(value).ok());
        let mut valid = values.filter_map(|value| Some((value, sealer.open_at::<T>(value, now)?)));
        let (only, ticket) = valid.next()?;
        valid.all(|(other, _)| other == only).then_some(ticket)
    }

    fn spec(&self, settings: &Settings) -> Result<Spec, SettingsError> {
        let cookie = cookie::Settings::new(self.name).path(self.path);
        let cookie = match (settings.session_cookie.spec.is_secure(), self.is_cross_site) {
            (true, false) => cookie,
            (true, true) => cookie.same_site(SameSite::None),
            // Browsers want Secure for `SameSite=None`, and accept it over plain HTTP from the own machine only.
            (false, true) => cookie.name(self.name).same_site(SameSite::None),
            (false, false) => cookie.insecure(),
        };
        cookie.build()
    }
}

impl TicketChange {
    /// Returns the `Set-Cookie` value; `None` for a layer without cookies.
    pub(crate) fn write(&self, settings: &Settings) -> Result<Option<String>, Error> {
        let spec = self.cookie.spec(settings)?;
        for other in [&settings.session_cookie.spec, &settings.flash_cookie.spec] {
            cookie::check_distinct(other, &spec)?;
        }
        let Some(sealer) = sealer(settings, &spec) else { return Ok(None) };
        let Some(text) = &self.text else { return Ok(Some(spec.clear(""))) };
        let token = sealer.seal_text(text, self.cookie.lifetime, settings.now())?;
        Ok(Some(spec.set("", &token, Some(self.cookie.lifetime.as_secs()))?))
    }
}

/// Returns the sealer with the layer's keys; `None` for a layer without cookies.
fn sealer(settings: &Settings, spec: &Spec) -> Option<Sealer> {
    let Config { sealing, application, .. } = &settings.config;
    let Sealing { keys, protection } = sealing.as_ref()?;
    Some(keys.ticket_sealer(*protection, spec.name(), application))
}

/// The most values under one name that are opened.
const MOST_VALUES: usize = 4;
