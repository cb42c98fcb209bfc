//! A browser's cookies, and requests with them.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::header::{COOKIE, SET_COOKIE},
};
use tower::ServiceExt as _;

/// A browser's jar, which tells cookies apart by name, Domain, Path and Partitioned (RFC 6265bis, section 5.7; CHIPS).
#[derive(Clone, Default)]
pub(crate) struct Jar(Vec<(Key, String)>);

#[derive(Clone, PartialEq)]
struct Key {
    name: String,
    domain: String,
    path: String,
    is_partitioned: bool,
}

impl Jar {
    pub(crate) fn apply(&mut self, set_cookies: &[String]) {
        for header in set_cookies {
            let (pair, attributes) = header.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let attribute = |wanted: &str| {
                let found =
                    attributes.split(';').filter_map(|it| it.trim().split_once('=')).find(|(it, _)| *it == wanted);
                found.map(|(_, value)| value.to_owned()).unwrap_or_default()
            };
            let is_partitioned = attributes.split(';').any(|it| it.trim() == "Partitioned");
            let (domain, path) = (attribute("Domain"), attribute("Path"));
            let key = Key { name: name.to_owned(), domain, path, is_partitioned };
            self.0.retain(|(known, _)| *known != key);
            if attribute("Max-Age") != "0" {
                self.0.push((key, value.to_owned()));
            }
        }
    }

    /// Adds the cookies of another browser.
    pub(crate) fn join(&mut self, other: &Self) {
        for (key, value) in &other.0 {
            self.0.retain(|(known, _)| known != key);
            self.0.push((key.clone(), value.clone()));
        }
    }

    pub(crate) fn header(&self) -> String {
        self.0.iter().map(|(key, value)| format!("{}={value}", key.name)).collect::<Vec<_>>().join("; ")
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(key, _)| key.name.as_str()).collect()
    }

    /// Sends a request with the jar's cookies, and keeps what the response sets.
    pub(crate) async fn get(&mut self, app: &Router, path: &str) -> String {
        let (text, set_cookies) = send(app, path, &self.header()).await;
        self.apply(&set_cookies);
        text
    }
}

/// Sends one request with this `Cookie` header. Returns the body and the `Set-Cookie` headers.
pub(crate) async fn send(app: &Router, path: &str, cookies: &str) -> (String, Vec<String>) {
    let request = Request::get(path).header(COOKIE, cookies).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let set = response.headers().get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap().to_owned()).collect();
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    (String::from_utf8(body.to_vec()).unwrap(), set)
}
