//! Set-up that cannot work, said once and with the remedy.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use http::{HeaderMap, HeaderName, Uri, header};

/// What one layer has already said, and what it has seen of its cookies.
#[derive(Debug, Default)]
pub(crate) struct SetupWarnings {
    two_layers: Once,
    plain_http: Once,
    never_back: Once,
    owner_without_store: Once,
    rivals: OncePerMinute,
    requests: AtomicU32,
    issued: AtomicU32,
    came_back: AtomicBool,
}

impl SetupWarnings {
    pub(crate) fn same_layer_twice(&self, cookie: &str) {
        self.two_layers.run(|| {
            tracing::error!(
                cookie,
                "two session layers with one cookie name are around one route; they are the same layer, and the inner \
                 one is ignored: keep one of them"
            );
        });
    }

    pub(crate) fn clashing_layers(&self, cookie: &str) {
        self.two_layers.run(|| {
            tracing::error!(
                cookie,
                "two different session layers around one route share a cookie name, and every session below them is \
                 refused: give one of them another `name` (its flash cookie is named after it), or keep one of them"
            );
        });
    }

    pub(crate) fn owner_without_store(&self) {
        self.owner_without_store.run(|| {
            tracing::warn!(
                "a session's owner or label was set and there is no store to keep it: use \
                 `SessionLayer::stored(store, keys)`"
            );
        });
    }

    /// A request brought valid cookies of different sessions, or more candidates than are verified.
    pub(crate) fn rival_cookies(&self, cookie: &str, now: u64) {
        self.rivals.run(now, || {
            tracing::warn!(
                cookie,
                "a request brought session cookies of two different sessions, or more than four that could be ours, and \
                 gets no session: another site under this domain may be planting cookies (a `__Host-` name prevents it)"
            );
        });
    }

    /// Looks at where a request comes from, as long as the set-up is young: later requests cost nothing.
    pub(crate) fn watch(&self, look: impl FnOnce() -> Origin) -> Option<Origin> {
        if self.requests.load(Relaxed) >= WATCHED {
            return None;
        }
        self.requests.fetch_add(1, Relaxed);
        Some(look())
    }

    /// A cookie of ours came with a request.
    pub(crate) fn saw_cookie(&self) {
        self.came_back.store(true, Relaxed);
    }

    /// A cookie leaves for a browser that had none.
    pub(crate) fn issued(&self, cookie: &str, secure: bool, origin: Option<Origin>) {
        if secure && origin == Some(Origin::PlainHttp) {
            self.plain_http.run(|| {
                tracing::warn!(
                    cookie,
                    "a Secure cookie was set on a page that came over plain HTTP, and the browser will not keep it: \
                     serve the site over HTTPS, or use `insecure_over_http` on a laptop"
                );
            });
        }
        if self.came_back.load(Relaxed) {
            return;
        }
        let issued = self.issued.fetch_add(1, Relaxed) + 1;
        if issued >= NEVER_BACK || (issued > 1 && origin == Some(Origin::SameSite)) {
            self.never_back.run(|| {
                tracing::warn!(
                    cookie,
                    issued,
                    "session cookies were set and none has come back: the site may be served over plain HTTP (see \
                     `insecure_over_http`), under another host or path than `domain` and `path` say, or embedded in \
                     another site (see `same_site` and `partitioned`)"
                );
            });
        }
    }
}

/// How many cookies may leave, none coming back, before that is odd.
const NEVER_BACK: u32 = 16;

/// How many requests are looked at.
const WATCHED: u32 = 1_000;

/// Where a request says that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From a page over plain HTTP, on a host where browsers do not keep Secure cookies.
    PlainHttp,
    /// From a page of this very site.
    SameSite,
    Unknown,
}

impl Origin {
    pub(crate) fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let forwarded = text(HeaderName::from_static("x-forwarded-proto"));
        let page = text(header::ORIGIN).or_else(|| text(header::REFERER)).and_then(|page| page.parse::<Uri>().ok());
        let host = text(header::HOST).or_else(|| uri.host());
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

/// Browsers keep Secure cookies of these over plain HTTP as well.
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.ends_with(".localhost") || host.starts_with("127.") || host == "[::1]"
}

/// Runs at most once a minute by the layer's clock: a client can repeat what it logs.
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

#[derive(Debug, Default)]
struct Once(AtomicBool);

impl Once {
    fn run(&self, say: impl FnOnce()) {
        if !self.0.swap(true, Relaxed) {
            say();
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
