//! One way to keep sessions, as a router with the routes of the scenarios.

use axum::{
    Router,
    body::{self, Body},
    response::Response,
};
use http::{HeaderValue, Request, header};
use tower::ServiceExt as _;

use crate::{
    check::{check_answers, check_session},
    drive::drive,
    scenario::Scenario,
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
        check_session(name, &cookies, |exchange| answer(&router, exchange));
        Self { name, router, cookies }
    }

    /// Plain axum: the same requests, and nothing that looks at the cookies.
    pub fn baseline(name: &'static str, router: Router) -> Self {
        let (router, cookies) = (settled(router), Cookies::nobodys());
        check_answers(name, &cookies, |exchange| answer(&router, exchange));
        Self { name, router, cookies }
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
}

/// As `axum::serve` does: makes routes of handlers and layers once, and not with every request.
pub(crate) fn settled(router: Router) -> Router {
    router.with_state(())
}

/// One request.
pub struct Exchange {
    pub path: &'static str,
    pub cookie: Option<HeaderValue>,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub body: String,
    pub set_cookies: Vec<String>,
}

impl Exchange {
    pub(crate) fn request(self) -> Request<Body> {
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
pub(crate) fn visit(router: &Router, path: &'static str, cookie: &str) -> String {
    let cookie_header = (!cookie.is_empty()).then(|| header_value(cookie));
    let answer = answer(router, Exchange { path, cookie: cookie_header });
    keep(cookie, answer.set_cookies.iter().map(String::as_str))
}

/// The cookies that a browser has after `Set-Cookie` headers.
pub fn keep<'a>(cookie: &'a str, set: impl IntoIterator<Item = &'a str>) -> String {
    let mut kept: Vec<(String, String)> = Vec::new();
    for set in cookie.split("; ").chain(set) {
        let Some((name, value)) = set.split(';').next().and_then(|pair| pair.split_once('=')) else { continue };
        kept.retain(|(known, _)| known != name);
        if !set.contains("; Max-Age=0") {
            kept.push((name.to_owned(), value.to_owned()));
        }
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

pub(crate) fn header_value(text: &str) -> HeaderValue {
    let value = HeaderValue::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    // As a server has it: a slice of a buffer that is shared already.
    drop(value.clone());
    value
}

fn answer(router: &Router, exchange: Exchange) -> Answer {
    let response = send(router, exchange.request());
    let set = response.headers().get_all(header::SET_COOKIE).iter();
    Answer {
        status: response.status().as_u16(),
        set_cookies: set.map(|value| value.to_str().unwrap_or_default().to_owned()).collect(),
        body: drive(body::to_bytes(response.into_body(), 1 << 20))
            .map_or_else(|error| panic!("{error}"), |bytes| String::from_utf8_lossy(&bytes).into_owned()),
    }
}

pub(crate) fn send(router: &Router, request: Request<Body>) -> Response {
    match drive(router.clone().oneshot(request)) {
        Ok(response) => response,
    }
}
