//! The buffers of nginx in `docs/deployment.md`, with the largest heads that the layer sends.

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{
        StatusCode,
        header::{COOKIE, SET_COOKIE},
    },
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use session_axum::{Error, Session, SessionLayer, SessionResponseExt as _};
use session_test_servers::nginx::Nginx;
use tokio::net::TcpListener;

use crate::support::{app::layer, jar::Jar};

/// The `server` block of the page, on loopback and without TLS, before the server on this port.
fn documented(server: u16) -> String {
    let page = include_str!("../../docs/deployment.md");
    let block = page.split("```nginx\n").nth(1).unwrap().split("```").next().unwrap();
    let (listens, passes) = ("listen 443 ssl;", "http://127.0.0.1:3000;");
    assert!(block.contains(listens) && block.contains(passes), "{block}");
    block.replace(listens, "listen 127.0.0.1:$PORT;").replace(passes, &format!("http://127.0.0.1:{server};"))
}

/// A block without any size.
fn by_default(server: u16) -> String {
    format!("server {{ listen 127.0.0.1:$PORT; location / {{ proxy_pass http://127.0.0.1:{server}; }} }}")
}

async fn proxy(block: String) -> Nginx {
    tokio::task::spawn_blocking(move || Nginx::with_server(&block)).await.unwrap()
}

/// A server with the application on a port of its own.
async fn served(layer: SessionLayer) -> u16 {
    let app = Router::new()
        .route("/small", get(async |session: Session| session.insert("user", "ada@example.com")))
        .route("/largest", get(largest))
        .route("/three-cookies", get(async |session: Session| session.insert("text", "x".repeat(9_000))))
        .route("/length", get(length))
        .layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

/// Fills the session's cookie to the last byte, and sends a form that nearly fills that of the flash messages.
async fn largest(session: Session) -> Result<Response, Error> {
    let mut length = 0;
    for step in (0..12).rev().map(|power| 1 << power) {
        session.insert("text", "x".repeat(length + step))?;
        if session.cookie_size() <= 4_096 {
            length += step;
        }
    }
    session.insert("text", "x".repeat(length))?;
    let form = [("text", "y".repeat(2_850))];
    Ok(Redirect::to("/length").with_input(&form).into_response())
}

async fn length(session: Session) -> Result<String, Error> {
    Ok(session.get::<String>("text")?.unwrap_or_default().len().to_string())
}

async fn ask(proxy: &Nginx, path: &str, cookies: &str) -> (StatusCode, Vec<String>) {
    let client: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new()).build_http();
    let mut request = Request::get(format!("http://127.0.0.1:{}{path}", proxy.port));
    if !cookies.is_empty() {
        request = request.header(COOKIE, cookies);
    }
    let response = client.request(request.body(Body::empty()).unwrap()).await.unwrap();
    let set = response.headers().get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap().to_owned()).collect();
    (response.status(), set)
}

/// The length of the names and the values together.
fn size_of(set_cookies: &[String]) -> usize {
    set_cookies.iter().map(|cookie| cookie.split(';').next().unwrap().len() - 1).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_documented_buffers_carry_the_largest_head_both_ways() {
    let server = served(layer()).await;
    let proxy = proxy(documented(server)).await;
    let (status, set_cookies) = ask(&proxy, "/largest", "").await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{}", proxy.log());
    assert_eq!(set_cookies.len(), 2);
    assert!((8_000..=8_192).contains(&size_of(&set_cookies)), "{}", size_of(&set_cookies));
    let mut jar = Jar::default();
    jar.apply(&set_cookies);
    assert!(jar.header().len() > 8_000);
    let (status, _) = ask(&proxy, "/length", &jar.header()).await;
    assert_eq!(status, StatusCode::OK, "{}", proxy.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_default_buffers_carry_a_small_session_and_fail_as_the_page_says() {
    let server = served(layer()).await;
    let proxy = proxy(by_default(server)).await;
    let (status, set_cookies) = ask(&proxy, "/small", "").await;
    assert_eq!((status, set_cookies.len()), (StatusCode::OK, 1), "{}", proxy.log());

    let (status, _) = ask(&proxy, "/largest", "").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    let page = include_str!("../../docs/deployment.md");
    let reason = "upstream sent too big header";
    assert!(proxy.log().contains(reason) && page.contains(reason), "{}", proxy.log());

    let long = |length: usize| format!("other={}", "z".repeat(length));
    assert_eq!(ask(&proxy, "/length", &long(8_000)).await.0, StatusCode::OK);
    assert_eq!(ask(&proxy, "/length", &long(8_300)).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_cookies_need_the_larger_buffers() {
    let server = served(layer().chunked(3)).await;
    let documented = documented(server);
    assert!(include_str!("../../docs/deployment.md").contains("write `32k` in place of `16k`"));
    let proxy = proxy(documented.replace("16k", "32k")).await;
    let (status, mut set_cookies) = ask(&proxy, "/three-cookies", "").await;
    assert_eq!((status, set_cookies.len()), (StatusCode::OK, 3), "{}", proxy.log());
    let (_, flash) = ask(&proxy, "/largest", "").await;
    set_cookies.extend(flash.into_iter().filter(|cookie| cookie.starts_with("__Host-flash.")));
    assert!(size_of(&set_cookies) > 15_900, "{}", size_of(&set_cookies));
    let mut jar = Jar::default();
    jar.apply(&set_cookies);
    assert_eq!(ask(&proxy, "/length", &jar.header()).await.0, StatusCode::OK, "{}", proxy.log());
}
