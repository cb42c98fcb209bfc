//! One way to keep sessions, as a router with the routes of the scenarios.

use axum::{Router, body::Body, response::Response};
use http::{HeaderValue, Request, header};
use tower::ServiceExt as _;

use crate::{
    drive::drive,
    scenario::{FLASH, Scenario, Session, seen},
};

/// A router with the routes `/seed/small`, `/seed/large`, `/untouched`, `/read`, `/write`, `/flash` and `/page`, and
/// the cookies that a browser would bring to them.
pub struct Variant {
    pub name: &'static str,
    router: Router,
    cookies: Cookies,
}

impl Variant {
    /// Fetches the cookies, and checks that the routes do what they should.
    pub fn new(name: &'static str, router: Router) -> Self {
        let router = settled(router);
        let cookies = Cookies::fetch(&router);
        let variant = Self { name, router, cookies };
        variant.check();
        variant
    }

    /// Plain axum: the same requests, and nothing that looks at the cookies.
    pub fn baseline(name: &'static str, router: Router) -> Self {
        Self { name, router: settled(router), cookies: Cookies::nobodys() }
    }

    pub fn router(&self) -> &Router {
        &self.router
    }

    /// Fetches new cookies, so that none is too old however long the measurement takes.
    pub fn refresh(&mut self) {
        if self.cookies.fetched {
            self.cookies = Cookies::fetch(&self.router);
        }
    }

    /// The requests of a scenario, `times` over.
    pub fn prepare(&self, scenario: Scenario, times: usize) -> Vec<Request<Body>> {
        (0..times).flat_map(|_| self.cookies.exchanges(scenario)).map(Exchange::request).collect()
    }

    /// Sends requests as [`Variant::prepare`] made them.
    pub fn run(&self, requests: Vec<Request<Body>>) {
        for request in requests {
            drop(send(&self.router, request));
        }
    }

    fn check(&self) {
        let visits = Some(Session::small().visits);
        for (scenario, found) in [
            (Scenario::Read, visits),
            (Scenario::ReadLarge, visits),
            (Scenario::NoCookie, None),
            (Scenario::Forged, None),
            (Scenario::FlashRound, Some(FLASH.len() as u64)),
        ] {
            seen();
            self.run(self.prepare(scenario, 1));
            assert_eq!(seen(), found, "{}, {}", self.name, scenario.name());
        }
    }
}

/// As `axum::serve` does: makes routes of handlers and layers once, and not with every request.
fn settled(router: Router) -> Router {
    router.with_state(())
}

/// One request.
pub struct Exchange {
    pub path: &'static str,
    pub cookie: Option<HeaderValue>,
}

impl Exchange {
    fn request(self) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = http::Uri::from_static(self.path);
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_static("shop.example"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.extend(self.cookie.map(|cookie| (header::COOKIE, cookie)));
        request
    }
}

/// The `Cookie` headers of the scenarios.
pub struct Cookies {
    fetched: bool,
    small: HeaderValue,
    large: HeaderValue,
    forged: HeaderValue,
    /// After a redirect that flashed.
    flashed: HeaderValue,
}

impl Cookies {
    fn fetch(router: &Router) -> Self {
        let small = visit(router, "/seed/small", "");
        let flashed = visit(router, "/flash", &small);
        Self {
            fetched: true,
            large: header_value(&visit(router, "/seed/large", "")),
            forged: header_value(&spoil(&small)),
            flashed: header_value(&flashed),
            small: header_value(&small),
        }
    }

    /// The same for whoever has the routes in another framework.
    pub fn of(small: &str, large: &str, flashed: &str) -> Self {
        Self {
            fetched: true,
            large: header_value(large),
            forged: header_value(&spoil(small)),
            flashed: header_value(flashed),
            small: header_value(small),
        }
    }

    /// Of about the same length, and nothing that anybody could read.
    pub fn nobodys() -> Self {
        let cookie = |size: usize| header_value(&format!("__Host-session={}", "x".repeat(size)));
        Self { fetched: false, small: cookie(250), large: cookie(2_800), forged: cookie(250), flashed: cookie(450) }
    }

    /// The requests of a scenario.
    pub fn exchanges(&self, scenario: Scenario) -> Vec<Exchange> {
        let with = |path, cookie: &HeaderValue| Exchange { path, cookie: Some(cookie.clone()) };
        match scenario {
            Scenario::Untouched => vec![with("/untouched", &self.small)],
            Scenario::Read => vec![with("/read", &self.small)],
            Scenario::Write => vec![with("/write", &self.small)],
            Scenario::ReadLarge => vec![with("/read", &self.large)],
            Scenario::NoCookie => vec![Exchange { path: "/read", cookie: None }],
            Scenario::Forged => vec![with("/read", &self.forged)],
            Scenario::FlashRound => vec![with("/flash", &self.small), with("/page", &self.flashed)],
        }
    }
}

/// What a browser sends after `path` was asked for with `cookie`.
fn visit(router: &Router, path: &'static str, cookie: &str) -> String {
    let cookie_header = (!cookie.is_empty()).then(|| header_value(cookie));
    let response = send(router, Exchange { path, cookie: cookie_header }.request());
    let set = response.headers().get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap_or_default());
    keep(cookie, set)
}

/// The cookies that a browser has after `Set-Cookie` headers.
pub fn keep<'a>(cookie: &str, set: impl IntoIterator<Item = &'a str>) -> String {
    let mut kept: Vec<(String, String)> = Vec::new();
    let pairs = cookie.split("; ").chain(set.into_iter().filter_map(|set| set.split(';').next()));
    for (name, value) in pairs.filter_map(|pair| pair.split_once('=')) {
        kept.retain(|(known, _)| known != name);
        kept.push((name.to_owned(), value.to_owned()));
    }
    kept.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

/// Changes one character near the end of every cookie, and none that stands for another (`%22`).
fn spoil(cookie: &str) -> String {
    cookie.split("; ").map(spoil_one).collect::<Vec<_>>().join("; ")
}

fn spoil_one(cookie: &str) -> String {
    let bytes = cookie.as_bytes();
    let stands_for_itself =
        |at: &usize| bytes[*at].is_ascii_alphanumeric() && bytes[at - 1] != b'%' && bytes[at - 2] != b'%';
    let Some(at) = (2..cookie.len().saturating_sub(8)).rev().find(stands_for_itself) else { return cookie.to_owned() };
    let other = if bytes[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &cookie[..at], &cookie[at + 1..])
}

fn header_value(text: &str) -> HeaderValue {
    let value = HeaderValue::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    // As a server has it: a slice of a buffer that is shared already.
    drop(value.clone());
    value
}

fn send(router: &Router, request: Request<Body>) -> Response {
    match drive(router.clone().oneshot(request)) {
        Ok(response) => response,
    }
}
