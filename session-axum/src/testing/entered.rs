//! Notices that a client entered a session that the application's layer cannot open.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use http::{HeaderValue, Request};

use crate::{
    config::Settings,
    observe::Refusals,
    wire::{request_cookies::RequestCookies, session_cookie::Came},
};

/// The session cookie that a client entered, and whether the layers that it reached could open it.
pub(crate) struct Entered {
    name: String,
    value: String,
    reached_a_layer: AtomicBool,
    is_fine: AtomicBool,
}

impl Entered {
    pub(super) fn new(name: &str, value: &str) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        Self { name, value, reached_a_layer: AtomicBool::new(false), is_fine: AtomicBool::new(false) }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn value(&self) -> &str {
        &self.value
    }

    /// Reports, once, that the session reached a layer and no layer could open it.
    pub(super) fn complain(&self) {
        if self.reached_a_layer.load(Ordering::SeqCst) && !self.is_fine.swap(true, Ordering::SeqCst) {
            let name = &self.name;
            tracing::error!(
                name: "setup.test_session_of_other_keys", target: "session_axum::setup",
                cookie = name, "{FOREIGN}"
            );
            eprintln!("session_axum::testing: {FOREIGN} (cookie: {name})");
        }
    }
}

/// Notes that a request with an entered session has reached this layer.
pub(crate) fn note_arrival<B>(request: &Request<B>, settings: &Settings) {
    let Some(entered) = request.extensions().get::<Arc<Entered>>() else { return };
    if settings.session_cookie.ring.is_none() {
        return;
    }
    entered.reached_a_layer.store(true, Ordering::SeqCst);
    // A former place may know the session.
    if settings.migration.is_some() || opens(entered, settings) {
        entered.is_fine.store(true, Ordering::SeqCst);
    }
}

fn opens(entered: &Entered, settings: &Settings) -> bool {
    let Ok(header) = HeaderValue::try_from(format!("{}={}", entered.name, entered.value)) else { return false };
    let came = settings.session_cookie.find(&RequestCookies::One(header), settings.now(), &Refusals::default(), Some);
    matches!(came, Came::Only(_) | Came::One(_))
}

const FOREIGN: &str = "the session that this client entered is no session for the application: its layer has other keys, \
                       another cookie name, another engine, another application name or another clock than the layer around this \
                       route. \
                       Give `TestSession::new` a clone of the application's layer";
