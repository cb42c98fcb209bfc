//! Warnings about a set-up that cannot work. Each is logged once for a layer, with the remedy.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use session_core::cookie::Spec;

/// The warnings that one layer has already logged, and what it has counted for them.
#[derive(Debug, Default)]
pub(crate) struct SetupWarnings {
    two_layers: Once,
    plain_http: Once,
    never_back: Once,
    no_prefix: Once,
    owner_without_store: Once,
    without_effect: Once,
    guarded_log_in: Once,
    flashing_on_a_page: Once,
    rivals: OncePerMinute,
    foreign: OncePerMinute,
    clock_ahead: OncePerMinute,
    late_reads: OncePerMinute,
    requests: AtomicU32,
    issued: AtomicU32,
    came_back: AtomicBool,
}

impl SetupWarnings {
    pub(crate) fn same_layer_twice(&self, cookie: &str) {
        self.two_layers.run(|| {
            tracing::error!(
                name: "setup.layer_twice", target: "session_axum::setup",
                cookie,
                "the same session layer was added twice around one route, and the inner one is ignored: keep one of \
                 them"
            );
        });
    }

    pub(crate) fn clashing_layers(&self, cookie: &str) {
        self.two_layers.run(|| {
            tracing::error!(
                name: "setup.layers_clash", target: "session_axum::setup",
                cookie,
                "two different session layers around one route share a cookie name, so every extractor and helper \
                 below them answers with a 500: give one of them another `name` (the name of its flash cookie \
                 follows), or keep one of them"
            );
        });
    }

    pub(crate) fn owner_without_store(&self) {
        self.owner_without_store.run(|| {
            tracing::warn!(
                name: "setup.owner_without_store", target: "session_axum::setup",
                "a session's owner or label was set, but this layer has no session store to keep it: use \
                 `SessionLayer::stored(store, keys)`, or `.revocations(list)` for owners alone"
            );
        });
    }

    /// Reports the settings that cannot have an effect. `idle` has their names, and where they have an effect.
    pub(crate) fn without_effect(&self, idle: impl Iterator<Item = (&'static str, &'static str)>) {
        self.without_effect.run(|| {
            for (setting, place) in idle {
                tracing::error!(
                    name: "setup.without_effect", target: "session_axum::setup",
                    setting, "a setting of the session layer has no effect: use it with {place}, or remove it"
                );
            }
        });
    }

    /// Warns about a guard that redirects to the page that it guards. `page` is that page.
    pub(crate) fn guarded_log_in(&self, page: &str) {
        self.guarded_log_in.run(|| {
            tracing::warn!(
                name: "setup.guarded_log_in", target: "session_axum::setup",
                page,
                "a guard redirects to the page that it guards, so the browser comes back without end: take \
                 `Option<Session<..>>` or `Session` on that page, or add its route outside of the guard"
            );
        });
    }

    /// Warns about `.flashing(..)` on a response that is a page itself.
    pub(crate) fn flashing_on_a_page(&self, status: StatusCode) {
        self.flashing_on_a_page.run(|| {
            tracing::warn!(
                name: "flash.on_a_page", target: "session_axum::flash",
                %status,
                "a response that is a page flashed a message, and only the next page shows it: flash on a redirect, \
                 or show the message on this page with `flash.now(..)`"
            );
        });
    }

    /// Warns about cookies of different sessions in one request, or about more cookies than the layer verifies.
    pub(crate) fn rival_cookies(&self, cookie: &str, now: u64) {
        self.rivals.run(now, || {
            tracing::warn!(
                name: "cookie.rivals", target: "session_axum::cookie",
                cookie,
                "a request brought session cookies of two different sessions, or more than four that could be ours, \
                 and gets no session: another site under this domain may be planting cookies (a `__Host-` name \
                 prevents it)"
            );
        });
    }

    /// Warns about a message that was read when its cookie could no longer be removed.
    pub(crate) fn flash_read_too_late(&self, now: u64) {
        self.late_reads.run(now, || {
            tracing::warn!(
                name: "flash.read_too_late", target: "session_axum::flash",
                "a flash message or form was read after the response had been sent, as in a streamed body, so the \
                 next page shows it again: read it before the handler returns, and move the text into the stream"
            );
        });
    }

    /// Warns about a cookie of ours that comes from the future. `ahead` is in seconds.
    pub(crate) fn clock_ahead(&self, ahead: u64, now: u64) {
        self.clock_ahead.run(now, || {
            tracing::warn!(
                name: "cookie.future", target: "session_axum::cookie",
                ahead,
                "a cookie that was made in the future is refused: synchronize the clocks of all instances, or allow a \
                 larger difference with `SessionLayer::clock_skew`"
            );
        });
    }

    /// Warns about a cookie under our name that none of our keys has made, and that a response replaces.
    pub(crate) fn foreign_cookie(&self, cookie: &str, now: u64) {
        self.foreign.run(now, || {
            tracing::warn!(
                name: "cookie.foreign", target: "session_axum::cookie",
                cookie,
                "a cookie under the name of the session cookie was not made with this layer's keys, and is replaced: \
                 if another application on this host uses the same name, give one of them another `name`, or give \
                 both the same keys and `application`"
            );
        });
    }

    /// Returns the origin of a request, for the first [`WATCHED`] requests. Later requests cost nothing.
    pub(crate) fn watch(&self, look: impl FnOnce() -> Origin) -> Option<Origin> {
        if self.requests.load(Relaxed) >= WATCHED {
            return None;
        }
        self.requests.fetch_add(1, Relaxed);
        Some(look())
    }

    /// Notes that a request carried a cookie of this layer.
    pub(crate) fn saw_cookie(&self) {
        self.came_back.store(true, Relaxed);
    }

    /// Notes that a response sets a cookie in a browser that had none. Warns if the browser cannot keep it, or if other
    /// sites under the domain can set one of the same name.
    pub(crate) fn issued(&self, spec: &Spec, origin: Option<Origin>) {
        let (cookie, secure) = (spec.name(), spec.is_secure());
        if secure && !spec.has_prefix() {
            self.no_prefix.run(|| {
                tracing::warn!(
                    name: "cookie.no_prefix", target: "session_axum::cookie",
                    cookie,
                    "the name of the session cookie has no prefix, so another site under this domain can plant a \
                     cookie of this name: begin the name with `__Host-`, or with `__Secure-` if it has a `domain` or \
                     a `path`"
                );
            });
        }
        if secure && origin == Some(Origin::PlainHttp) {
            self.plain_http.run(|| {
                tracing::warn!(
                    name: "cookie.plain_http", target: "session_axum::cookie",
                    cookie,
                    "a Secure cookie was set on a page over plain HTTP, so the browser drops it: serve the site over \
                     HTTPS, or use `SessionLayer::insecure_over_http` on a laptop"
                );
            });
        }
        if self.came_back.load(Relaxed) {
            return;
        }
        let issued = self.issued.fetch_add(1, Relaxed) + 1;
        // A first visitor may never return. A request from a page of this site should carry a cookie from that page.
        if issued >= NEVER_BACK || (issued > 1 && origin == Some(Origin::SameSite)) {
            self.never_back.run(|| {
                tracing::warn!(
                    name: "cookie.never_back", target: "session_axum::cookie",
                    cookie,
                    issued,
                    "session cookies were set, but none has come back. Check three things: is the site served over \
                     plain HTTP (see `insecure_over_http`)? Do `domain` and `path` match the site's host and path? Is \
                     the site embedded in another site (see `same_site` and `partitioned`)?"
                );
            });
        }
    }
}

/// The number of cookies that a layer may set before it warns that none has come back.
const NEVER_BACK: u32 = 16;

/// The number of requests that are checked for their origin.
const WATCHED: u32 = 1_000;

/// The origin of a request, according to its own headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A page over plain HTTP, on a host for which browsers drop Secure cookies.
    PlainHttp,
    /// A page of the same site.
    SameSite,
    /// The headers do not show the origin.
    Unknown,
}

impl Origin {
    pub(crate) fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let forwarded = text(HeaderName::from_static("x-forwarded-proto"));
        let page = text(header::ORIGIN).or_else(|| text(header::REFERER)).and_then(|page| page.parse::<Uri>().ok());
        let host = text(header::HOST).or_else(|| uri.host());
        // A proxy that ends TLS forwards plain HTTP, so its header decides before the scheme of the request.
        let is_plain = |uri: &Uri| uri.scheme_str() == Some("http") && !uri.host().is_some_and(is_loopback);
        if forwarded == Some("http") || (forwarded.is_none() && (is_plain(uri) || page.as_ref().is_some_and(is_plain)))
        {
            return Self::PlainHttp;
        }
        let from_here = page.as_ref().and_then(Uri::authority).is_some_and(|page| Some(page.as_str()) == host);
        let fetched_here = text(HeaderName::from_static("sec-fetch-site")) == Some("same-origin");
        if from_here || fetched_here { Self::SameSite } else { Self::Unknown }
    }
}

/// Returns whether browsers keep Secure cookies of this host over plain HTTP as well.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.") || host == "[::1]"
}

/// Runs a closure at most once a minute by the layer's clock. The limit matters because clients can cause these log
/// lines again and again.
#[derive(Debug, Default)]
struct OncePerMinute(AtomicU64);

impl OncePerMinute {
    fn run(&self, now: u64, log: impl FnOnce()) {
        let next = self.0.load(Relaxed);
        if now >= next && self.0.compare_exchange(next, now + 60, Relaxed, Relaxed).is_ok() {
            log();
        }
    }
}

/// Runs a closure at most once.
#[derive(Debug, Default)]
struct Once(AtomicBool);

impl Once {
    fn run(&self, warn: impl FnOnce()) {
        if !self.0.swap(true, Relaxed) {
            warn();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(uri: &str, headers: &[(&str, &str)]) -> Origin {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Origin::of(&uri.parse().unwrap(), &headers)
    }

    #[test]
    fn plain_http_is_told_by_the_request() {
        assert_eq!(origin("/", &[("origin", "http://shop.example")]), Origin::PlainHttp);
        assert_eq!(origin("/", &[("referer", "http://shop.example/cart")]), Origin::PlainHttp);
        assert_eq!(origin("/", &[("x-forwarded-proto", "http")]), Origin::PlainHttp);
        assert_eq!(origin("http://shop.example/", &[]), Origin::PlainHttp);
    }

    #[test]
    fn a_laptop_and_a_proxy_with_tls_are_fine() {
        for host in ["localhost:3000", "127.0.0.1:3000", "[::1]:3000", "app.localhost"] {
            assert_ne!(origin("/", &[("origin", &format!("http://{host}"))]), Origin::PlainHttp, "{host}");
        }
        assert_eq!(origin("/", &[("host", "shop.example")]), Origin::Unknown);
        assert_eq!(origin("/", &[("origin", "https://shop.example"), ("host", "shop.example")]), Origin::SameSite);
        let behind_tls = [("x-forwarded-proto", "https"), ("referer", "http://shop.example/")];
        assert_ne!(origin("http://shop.example/", &behind_tls), Origin::PlainHttp);
    }
}
