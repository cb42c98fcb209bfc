//! The layer that one would write by hand for one application, with the promises of ours: two keys, told apart by a
//! key id; an idle timeout and an absolute lifetime; a session that is used is extended; `Vary` and `Cache-Control`.
//!
//! It knows the three fields of its session. It keeps no map of values, and has no batches of messages.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock},
    task::{Context, Poll, ready},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Extension, Router,
    extract::Request,
    response::{Redirect, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderValue, header};
use pin_project_lite::pin_project;
use serde::Deserialize;
use sha2::Sha256;
use tower::{Layer, Service};

use crate::{
    scenario::{self, FLASH, next_visit, saw},
    variant::Variant,
};

/// Ours are to come close to it.
pub fn by_hand() -> Variant {
    type Handle = Extension<Arc<Session>>;
    let router = Router::new()
        .route("/seed/small", get(async |session: Handle| session.seed(&scenario::Session::small())))
        .route("/seed/large", get(async |session: Handle| session.seed(&scenario::Session::large())))
        .route("/untouched", get(async || "ok"))
        .route(
            "/read",
            get(async |session: Handle| {
                saw(session.visits());
                "ok"
            }),
        )
        .route(
            "/write",
            get(async |session: Handle| {
                session.change(|data| data.visits = next_visit());
                "ok"
            }),
        )
        .route(
            "/flash",
            get(async |session: Handle| {
                session.change(|data| data.flash = Some(FLASH.to_owned()));
                Redirect::to("/page")
            }),
        )
        .route(
            "/page",
            get(async |session: Handle| {
                session.change(|data| saw(data.flash.take().map(|text| text.len() as u64)));
                "ok"
            }),
        )
        .layer(HandLayer(Arc::new(Keys::new())));
    Variant::new("by hand, same promises", router)
}

/// The newest key signs, and both verify.
struct Keys([Key; 2]);

struct Key {
    id: [u8; ID],
    /// Its key schedule is kept.
    mac: Hmac<Sha256>,
}

/// The content of a cookie that one of our keys signed, and that is not over.
struct Opened {
    created_at: u64,
    /// The times, and then the JSON.
    body: Vec<u8>,
    /// Whether the browser is to get a new cookie: the visit extends the session, or the older key signed it.
    is_due: bool,
}

impl Keys {
    fn new() -> Self {
        let key = |id: &[u8; ID], secret: &[u8]| match Hmac::new_from_slice(secret) {
            Ok(mac) => Key { id: *id, mac },
            Err(_) => unreachable!("HMAC takes a key of any length"),
        };
        Self([key(b"new1", b"the newest key has 32 bytes, too"), key(b"old1", b"an older key of 32 bytes, for it")])
    }

    /// Opens `ID.BODY.MAC`.
    fn open(&self, value: &str, now: u64) -> Option<Opened> {
        let (signed, tag) = value.rsplit_once('.')?;
        let (id, body) = signed.split_once('.')?;
        let position = self.0.iter().position(|key| key.id == id.as_bytes())?;
        // One more than there should be, so that a tag that is too long is seen.
        let mut given = [0; 33];
        let length = URL_SAFE_NO_PAD.decode_slice(tag, &mut given).ok()?;
        let mac = self.0[position].mac.clone().chain_update(signed);
        mac.verify_slice(&given[..length]).ok()?;
        let body = URL_SAFE_NO_PAD.decode(body).ok()?;
        let (created_at, rest) = body.split_first_chunk()?;
        let (created_at, seen_at) = (u64::from_be_bytes(*created_at), u64::from_be_bytes(*rest.first_chunk()?));
        let idle = now.saturating_sub(seen_at);
        if idle > IDLE_TIMEOUT || now.saturating_sub(created_at) > LIFETIME {
            return None;
        }
        Some(Opened { created_at, body, is_due: idle >= IDLE_TIMEOUT / 8 || position > 0 })
    }

    /// A `Set-Cookie` header.
    fn set(&self, body: &[u8]) -> HeaderValue {
        let key = &self.0[0];
        let mut cookie = String::with_capacity(NAME.len() + ID + body.len() * 4 / 3 + 100);
        cookie.push_str(NAME);
        cookie.extend(key.id.map(char::from));
        cookie.push('.');
        URL_SAFE_NO_PAD.encode_string(body, &mut cookie);
        let mac = key.mac.clone().chain_update(&cookie.as_bytes()[NAME.len()..]);
        cookie.push('.');
        URL_SAFE_NO_PAD.encode_string(mac.finalize().into_bytes(), &mut cookie);
        cookie.push_str("; HttpOnly; Secure; SameSite=Lax; Path=/");
        match HeaderValue::try_from(cookie) {
            Ok(value) => value,
            Err(_) => unreachable!("base64 and the attributes are visible ASCII"),
        }
    }
}

impl Opened {
    fn json(&self) -> &[u8] {
        &self.body[TIMES..]
    }
}

/// A request's session.
struct Session {
    keys: Arc<Keys>,
    cookie: Option<HeaderValue>,
    /// What came, once a handler has asked for it.
    opened: OnceLock<Option<Opened>>,
    /// The body of the cookie that the response is to carry.
    saved: Mutex<Option<Vec<u8>>>,
}

impl Session {
    fn opened(&self) -> Option<&Opened> {
        let open = || self.keys.open(value(self.cookie.as_ref()?)?, now());
        self.opened.get_or_init(open).as_ref()
    }

    fn parse<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_slice(self.opened()?.json()).ok()
    }

    fn visits(&self) -> Option<u64> {
        self.parse::<Visits>().map(|data| data.visits)
    }

    fn change(&self, change: impl FnOnce(&mut scenario::Session)) {
        let (Some(opened), Some(mut data)) = (self.opened(), self.parse()) else { return };
        change(&mut data);
        self.save(opened.created_at, &data);
    }

    fn seed(&self, values: &scenario::Session) {
        self.save(now(), values);
    }

    fn save(&self, created_at: u64, values: &scenario::Session) {
        let mut body = times(created_at, now());
        let Ok(()) = serde_json::to_writer(&mut body, values) else { unreachable!("a struct of texts and numbers") };
        if let Ok(mut saved) = self.saved.lock() {
            *saved = Some(body);
        }
    }

    /// Adds the cookie, and what caches have to know.
    fn finish(&self, headers: &mut HeaderMap) {
        let opened = self.opened.get();
        let saved = self.saved.lock().ok().and_then(|mut saved| saved.take());
        let extended = || {
            let opened = opened?.as_ref().filter(|opened| opened.is_due)?;
            Some([&times(opened.created_at, now())[..], opened.json()].concat())
        };
        match saved.or_else(extended) {
            Some(body) => {
                headers.append(header::SET_COOKIE, self.keys.set(&body));
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            }
            None if opened.is_some() => {
                headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private"));
            }
            None => return,
        }
        headers.append(header::VARY, HeaderValue::from_static("Cookie"));
    }
}

fn value(cookies: &HeaderValue) -> Option<&str> {
    cookies.to_str().ok()?.split(';').find_map(|pair| pair.trim_start().strip_prefix(NAME))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn times(created_at: u64, seen_at: u64) -> Vec<u8> {
    let mut body = Vec::with_capacity(TIMES + 128);
    body.extend_from_slice(&created_at.to_be_bytes());
    body.extend_from_slice(&seen_at.to_be_bytes());
    body
}

/// What a handler that reads one key asks for.
#[derive(Deserialize)]
struct Visits {
    visits: u64,
}

const NAME: &str = "__Host-session=";
const ID: usize = 4;
const TIMES: usize = 16;
/// In seconds.
const IDLE_TIMEOUT: u64 = 24 * 60 * 60;
const LIFETIME: u64 = 30 * IDLE_TIMEOUT;

#[derive(Clone)]
struct HandLayer(Arc<Keys>);

impl<S> Layer<S> for HandLayer {
    type Service = HandService<S>;

    fn layer(&self, inner: S) -> HandService<S> {
        HandService { inner, keys: Arc::clone(&self.0) }
    }
}

#[derive(Clone)]
struct HandService<S> {
    inner: S,
    keys: Arc<Keys>,
}

impl<S: Service<Request, Response = Response>> Service<Request> for HandService<S> {
    type Response = Response;
    type Error = S::Error;
    type Future = HandFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let session = Arc::new(Session {
            keys: Arc::clone(&self.keys),
            cookie: request.headers().get(header::COOKIE).cloned(),
            opened: OnceLock::new(),
            saved: Mutex::default(),
        });
        request.extensions_mut().insert(Arc::clone(&session));
        HandFuture { inner: self.inner.call(request), session }
    }
}

pin_project! {
    struct HandFuture<F> {
        #[pin]
        inner: F,
        session: Arc<Session>,
    }
}

impl<F: Future<Output = Result<Response, E>>, E> Future for HandFuture<F> {
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(context))?;
        this.session.finish(response.headers_mut());
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_opens_with_either_key_until_its_limits() {
        let keys = Keys::new();
        let older =
            Keys([Key { id: *b"old1", mac: keys.0[1].mac.clone() }, Key { id: *b"new1", mac: keys.0[0].mac.clone() }]);
        let body = [&times(1_000, 2_000)[..], b"{}"].concat();
        let opened = |keys: &Keys, by: &Keys, now: u64| {
            let cookie = by.set(&body);
            let text = cookie.to_str().ok()?.split(';').next()?.strip_prefix(NAME)?.to_owned();
            keys.open(&text, now).map(|opened| (opened.created_at, opened.json().to_vec(), opened.is_due))
        };
        assert_eq!(opened(&keys, &keys, 2_000), Some((1_000, b"{}".to_vec(), false)));
        assert_eq!(opened(&keys, &keys, 2_000 + IDLE_TIMEOUT / 8), Some((1_000, b"{}".to_vec(), true)));
        assert_eq!(opened(&keys, &older, 2_000), Some((1_000, b"{}".to_vec(), true)));
        assert_eq!(opened(&keys, &keys, 2_001 + IDLE_TIMEOUT), None);
    }
}
