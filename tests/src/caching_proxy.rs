//! A real caching proxy before the application: it never gives a visitor what is another's.

use std::collections::BTreeSet;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, Request},
    http::{
        HeaderMap,
        header::{CACHE_CONTROL, COOKIE, SET_COOKIE},
    },
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use session_axum::{Error, Flash, Session, SessionLayer, SessionResponseExt as _};
use session_stores::MemoryStore;
use session_test_servers::nginx::Nginx;
use tokio::net::TcpListener;

use crate::support::{app::keys, jar::Jar};

/// What handlers say about caching: a header and its value.
const CONTROLS: [(&str, &str); 15] = [
    ("cache-control", "max-age=600"),
    ("cache-control", "public"),
    ("cache-control", "public, max-age=600"),
    ("cache-control", "s-maxage=600"),
    ("cache-control", "no-cache"),
    ("cache-control", "private"),
    ("cache-control", "no-store"),
    ("cache-control", "private=\"set-cookie\""),
    ("cache-control", "no-cache=\"set-cookie\""),
    ("cache-control", "must-revalidate"),
    ("cache-control", "immutable, max-age=600"),
    ("x-nothing", "is said"),
    ("expires", "Tue, 01 Jan 2097 00:00:00 GMT"),
    ("cdn-cache-control", "max-age=600"),
    ("surrogate-control", "max-age=600"),
];

fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/{control}/begin/{name}", get(begin))
        .route("/{control}/me", get(me))
        .route(
            "/{control}/flash/{text}",
            get(|Path((_, text)): Path<(usize, String)>| async { "".flashing(("a", text)) }),
        )
        .route("/{control}/message", get(|flash: Flash| async move { flash.get("a").unwrap_or("none").to_owned() }))
        .route("/{control}/plain", get(|| async { "plain" }))
        .layer(from_fn(set_control))
        .layer(layer)
}

/// Sets the header that the path names, as a handler does.
async fn set_control(request: Request, next: Next) -> Response {
    let control: usize = request.uri().path().split('/').nth(1).unwrap().parse().unwrap();
    let (name, value) = CONTROLS[control];
    let mut response = next.run(request).await;
    response.headers_mut().insert(name, value.parse().unwrap());
    response
}

async fn begin(session: Session, Path((_, name)): Path<(usize, String)>) -> Result<(), Error> {
    session.insert("user", name)
}

async fn me(session: Session) -> Result<String, Error> {
    Ok(session.get("user")?.unwrap_or_else(|| "nobody".to_owned()))
}

/// A visitor's browser, which reaches the application through the proxy.
struct Visitor<'a> {
    proxy: &'a Nginx,
    client: Client<HttpConnector, Body>,
    jar: Jar,
}

/// A response of the proxy.
struct Page {
    text: String,
    headers: HeaderMap,
    set_cookies: Vec<String>,
}

impl<'a> Visitor<'a> {
    fn of(proxy: &'a Nginx) -> Self {
        Self { proxy, client: Client::builder(TokioExecutor::new()).build_http(), jar: Jar::default() }
    }

    async fn get(&mut self, path: &str) -> Page {
        let mut request = Request::get(format!("http://127.0.0.1:{}{path}", self.proxy.port));
        let cookies = self.jar.header();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies);
        }
        let response = self.client.request(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let (parts, body) = response.into_parts();
        let all = parts.headers.get_all(SET_COOKIE).iter();
        let set_cookies: Vec<_> = all.map(|value| value.to_str().unwrap().to_owned()).collect();
        self.jar.apply(&set_cookies);
        let body = to_bytes(Body::new(body), 10_000).await.unwrap();
        Page { text: String::from_utf8(body.to_vec()).unwrap(), headers: parts.headers, set_cookies }
    }
}

async fn proxy_before(app: Router) -> Nginx {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    tokio::task::spawn_blocking(move || Nginx::before(port)).await.unwrap()
}

fn engines() -> [SessionLayer; 2] {
    [SessionLayer::signed(keys()), SessionLayer::stored(MemoryStore::new(), keys())]
}

#[tokio::test]
async fn no_two_visitors_share_a_set_cookie() {
    for layer in engines() {
        let proxy = proxy_before(app(layer)).await;
        for (number, control) in CONTROLS.iter().enumerate() {
            let mut seen = Vec::new();
            for _ in 0..3 {
                let mut visitor = Visitor::of(&proxy);
                seen.extend(visitor.get(&format!("/{number}/begin/somebody")).await.set_cookies);
                seen.extend(visitor.get(&format!("/{number}/flash/hello")).await.set_cookies);
            }
            assert_eq!(seen.len(), 6, "{control:?}");
            let values = seen.iter().map(|cookie| cookie.split(';').next().unwrap());
            let different: BTreeSet<_> = values.collect();
            assert_eq!(different.len(), 6, "{control:?}: {seen:?}");
        }
    }
}

#[tokio::test]
async fn no_visitor_sees_a_page_with_the_session_of_another() {
    for layer in engines() {
        let proxy = proxy_before(app(layer)).await;
        for (number, control) in CONTROLS.iter().enumerate() {
            let [mut ada, mut bob, mut stranger] = [(); 3].map(|()| Visitor::of(&proxy));
            ada.get(&format!("/{number}/begin/ada")).await;
            bob.get(&format!("/{number}/begin/bob")).await;
            for _ in 0..2 {
                for (visitor, name) in [(&mut stranger, "nobody"), (&mut ada, "ada"), (&mut bob, "bob")] {
                    let page = visitor.get(&format!("/{number}/me")).await;
                    assert_eq!(page.text, name, "{control:?}");
                    assert_for_no_cdn(&page);
                }
            }
        }
    }
}

#[tokio::test]
async fn no_visitor_sees_the_message_of_another() {
    for layer in engines() {
        let proxy = proxy_before(app(layer)).await;
        for (number, control) in CONTROLS.iter().enumerate() {
            for name in ["ada", "bob", "cleo"] {
                let mut visitor = Visitor::of(&proxy);
                visitor.get(&format!("/{number}/flash/{name}")).await;
                assert_eq!(visitor.get(&format!("/{number}/message")).await.text, name, "{control:?}");
                assert_eq!(visitor.get(&format!("/{number}/message")).await.text, "none", "{control:?}");
            }
        }
    }
}

/// Otherwise the tests above could not fail.
#[tokio::test]
async fn the_proxy_stores_pages_that_read_nothing_and_gives_them_to_everybody() {
    let proxy = proxy_before(app(SessionLayer::signed(keys()))).await;
    let mut stored = Vec::new();
    for (number, (name, value)) in CONTROLS.iter().enumerate() {
        let [mut ada, mut bob] = [(); 2].map(|()| Visitor::of(&proxy));
        ada.get(&format!("/{number}/begin/ada")).await;
        ada.get(&format!("/{number}/plain")).await;
        let page = bob.get(&format!("/{number}/plain")).await;
        assert_eq!(page.headers[*name], *value, "the handler's header stays");
        if cache(&page) == "HIT" {
            stored.push(*value);
        }
    }
    assert_eq!(
        stored,
        [
            "max-age=600",
            "public",
            "public, max-age=600",
            "s-maxage=600",
            "must-revalidate",
            "immutable, max-age=600",
            "is said",
            "Tue, 01 Jan 2097 00:00:00 GMT",
            "max-age=600",
            "max-age=600"
        ]
    );
}

/// The proxy stores pages with cookies as well, unless their headers forbid it.
#[tokio::test]
async fn the_proxy_hands_out_a_set_cookie_that_the_headers_do_not_protect() {
    let app = Router::new()
        .route("/cookie", get(|| async { ([(SET_COOKIE, "a=1; Path=/"), (CACHE_CONTROL, "max-age=600")], "") }));
    let proxy = proxy_before(app).await;
    let pages = [Visitor::of(&proxy).get("/cookie").await, Visitor::of(&proxy).get("/cookie").await];
    assert_eq!(pages.each_ref().map(cache), ["MISS", "HIT"]);
    assert_eq!(pages[1].set_cookies, ["a=1; Path=/"]);
}

/// Whether the proxy had the page.
fn cache(page: &Page) -> &str {
    page.headers["x-cache"].to_str().unwrap()
}

/// nginx does not know these headers, so that they are looked at here.
fn assert_for_no_cdn(page: &Page) {
    for name in ["cdn-cache-control", "surrogate-control"] {
        if page.text != "nobody"
            && let Some(value) = page.headers.get(name)
        {
            assert_eq!(value, "private");
        }
    }
}
