//! An application whose handler reads the session and the flash, with the secrets and the clock of
//! `tests/data/attacks.json`.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, Response, header::COOKIE},
    routing::get,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use session_axum::{Flash, Keys, Session, SessionLayer, testing::ManualClock};
use session_core::token::{Protection, Purpose, Ring};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

/// The time of every request.
pub const NOW: u64 = 1_893_456_000;
/// The name of the application, which is part of its keys.
pub const APPLICATION: &str = "acceptance";
/// The names of the cookies.
pub const SESSION: &str = "__Host-session";
/// The beginning of the names of flash cookies.
pub const FLASH: &str = "__Host-flash";

const CURRENT: [u8; 32] = *b"\x58\xd0\xca\x20\x31\x6b\x4a\xee\xa9\x6e\xa0\x06\x5b\x94\xf5\x11\
    \xc7\xf1\xa0\x4a\x89\xd2\xec\x0c\x7d\x16\x14\x54\x92\xe4\xff\x8e";
const PREVIOUS: [u8; 32] = *b"\xd7\x43\x03\x5d\x93\x82\x38\x55\xe0\x66\x56\xbb\xa1\x1e\xdf\x70\
    \x0e\x2b\x51\x1d\x16\x58\x4f\xcf\xc3\x7a\xa7\x0a\x68\x19\x8a\xe4";
const REMOVED: [u8; 32] = *b"\xce\x6c\x51\x8b\x5b\x62\x6c\x76\x8f\x44\x2b\x00\x3b\xf8\x57\x45\
    \x2b\xdf\xf7\xc9\xf7\xa9\x72\xf9\x5a\xad\xb2\x94\x95\x63\x52\xc6";

/// Whose secret seals a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secret {
    /// The first secret of the application.
    Current,
    /// A secret that the application still accepts.
    Previous,
    /// A secret that the application does not know any more.
    Removed,
}

/// Returns the keys of a secret.
#[must_use]
pub fn keys(secret: Secret) -> Keys {
    let bytes = match secret {
        Secret::Current => CURRENT,
        Secret::Previous => PREVIOUS,
        Secret::Removed => REMOVED,
    };
    Keys::new(bytes).expect("it is a good secret")
}

/// Returns the ring that seals session cookies with a secret.
#[must_use]
pub fn ring(secret: Secret, protection: Protection) -> Ring {
    keys(secret).ring(protection, Purpose::Session, SESSION, APPLICATION)
}

/// Sets what all layers of the targets have in common.
#[must_use]
pub fn configured(layer: SessionLayer) -> SessionLayer {
    layer
        .application(APPLICATION)
        .idle_timeout(Duration::from_secs(1_800))
        .lifetime(Duration::from_secs(43_200))
        .flash_lifetime(Duration::from_secs(300))
        .clock(ManualClock::at(NOW))
}

/// Returns a layer that keeps its sessions in cookies.
#[must_use]
pub fn layer(protection: Protection) -> SessionLayer {
    let keys = keys(Secret::Current).with_fallback(PREVIOUS).expect("it is a good secret");
    configured(match protection {
        Protection::Signed => SessionLayer::signed(keys),
        Protection::Encrypted => SessionLayer::encrypted(keys),
    })
}

/// What the handler saw.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The session.
    pub session: BTreeMap<String, Value>,
    /// The flash messages.
    pub messages: Vec<(String, String)>,
}

/// Returns the application: `/` says what it saw, `/flash` flashes `notice=saved`, and the two others begin a session.
pub fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/alice", get(async |session: Session| begin(&session, 1, "alice")))
        .route("/mallory", get(async |session: Session| begin(&session, 2, "mallory")))
        .route("/flash", get(async |flash: Flash| flash.add("notice", "saved")))
        .layer(layer)
}

fn begin(session: &Session, n: u8, user: &str) -> Result<(), session_axum::Error> {
    session.insert("n", n)?;
    session.insert("user", user)
}

async fn show(session: Session, flash: Flash) -> String {
    let entries = session.keys().into_iter().map(|key| {
        let value = session.get::<Value>(&key).ok().flatten().unwrap_or_default();
        (key, value)
    });
    let seen = Seen {
        session: entries.collect(),
        messages: flash.iter().map(|(key, text)| (key.to_owned(), text.to_owned())).collect(),
    };
    serde_json::to_string(&seen).expect("it is JSON")
}

/// Sends a request.
#[must_use]
pub fn send(app: &Router, path: &str, cookies: Vec<HeaderValue>) -> (Response<()>, Vec<u8>) {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().expect("it is a path");
    for cookie in cookies {
        request.headers_mut().append(COOKIE, cookie);
    }
    answer(app, request)
}

/// Sends a form.
#[must_use]
pub fn post(app: &Router, path: &str, form: &[u8]) -> (Response<()>, Vec<u8>) {
    let mut request = Request::new(Body::from(form.to_vec()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = path.parse().expect("it is a path");
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert("content-type", form);
    answer(app, request)
}

fn answer(app: &Router, request: Request<Body>) -> (Response<()>, Vec<u8>) {
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let Ok(response) = app.clone().oneshot(request).await;
            let (parts, body) = response.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.expect("a short body");
            (Response::from_parts(parts, ()), body.to_vec())
        })
    })
}

thread_local! {
    /// A store has a time limit, and so needs a clock.
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
}

/// Returns what a browser sends back after these headers.
#[must_use]
pub fn cookies_of(headers: &HeaderMap) -> Vec<HeaderValue> {
    let kept = headers.get_all("set-cookie").iter().filter(|header| {
        let text = header.to_str().unwrap_or_default();
        !text.contains("Max-Age=0")
    });
    kept.filter_map(|header| {
        let pair = header.as_bytes().split(|byte| *byte == b';').next()?;
        HeaderValue::from_bytes(pair).ok()
    })
    .collect()
}
