//! In a real Chromium: cookies that meet, requests that are late, and pages from the cache.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, header::COOKIE},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use session_axum::{Error, Session, SessionLayer, SessionResponseExt as _};
use tokio::sync::Notify;

use crate::support::{
    app::keys,
    browser::{Browser, LEAVING, Outcome, in_a_browser},
};

/// Where a slow request waits after it has read its session.
#[derive(Default)]
struct Gate {
    has_read: Notify,
    goes_on: Notify,
}

fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/settings", get(|| async { Html(SETTINGS) }))
        .route("/bye", get(|| async { Html("<!doctype html><h1>Bye</h1>") }))
        .route("/cookies", get(cookies))
        .route("/visit", get(visit))
        .route("/rotate", get(|session: Session| async move { session.rotate() }))
        .route("/slow", get(slow))
        .route("/slow-has-read", get(|State(gate): State<Arc<Gate>>| async move { gate.has_read.notified().await }))
        .route("/slow-goes-on", get(|State(gate): State<Arc<Gate>>| async move { gate.goes_on.notify_one() }))
        .route("/login", post(log_in))
        .route("/logout", post(|| async { Redirect::to("/bye").with_new_session() }))
        .layer(layer)
        .with_state(Arc::default())
}

/// A page that the browser may keep for itself.
async fn home(session: Session) -> Result<Response, Error> {
    let who = session.get::<String>("connected")?.unwrap_or_else(|| "nobody".to_owned());
    let page = format!(
        "<!doctype html><b>{who}</b>
         <form action=/login method=post><button id=login>Log in</button></form>
         <a href=/settings>Settings</a>"
    );
    Ok(([("cache-control", "private, max-age=600")], Html(page)).into_response())
}

const SETTINGS: &str = "<!doctype html><h1>Settings</h1>
    <form action=/logout method=post><button id=logout>Log out</button></form>";

/// The names of the cookies that came.
async fn cookies(headers: HeaderMap) -> String {
    let all = headers.get_all(COOKIE).iter().flat_map(|value| value.to_str().unwrap().split("; "));
    all.filter_map(|cookie| cookie.split('=').next()).collect::<Vec<_>>().join(" ")
}

async fn visit(session: Session) -> Result<(), Error> {
    session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).await.map(drop)
}

async fn slow(session: Session, State(gate): State<Arc<Gate>>) -> Result<(), Error> {
    let _ = session.len();
    gate.has_read.notify_one();
    gate.goes_on.notified().await;
    session.insert("slow", true)
}

async fn log_in(session: Session) -> Result<Response, Error> {
    session.renew();
    session.insert("connected", "ada")?;
    Ok(Redirect::to("/").into_response())
}

fn layer() -> SessionLayer {
    SessionLayer::signed(keys())
}

async fn open(browser: &Browser, layer: SessionLayer) -> Outcome<String> {
    let url = browser.serve(app(layer)).await;
    browser.open(&url).await?;
    Ok(url)
}

/// Who is logged in, past the browser's cache.
async fn who(browser: &Browser) -> Outcome<String> {
    let page = browser.run("return await (await fetch('/', { cache: 'no-store' })).text()").await?;
    let page = page.as_str().unwrap_or_default();
    Ok(page.split("</b>").next().and_then(|it| it.split("<b>").nth(1)).unwrap_or_default().to_owned())
}

async fn cookie_names(browser: &Browser) -> Outcome<String> {
    let names = browser.run("return await (await fetch('/cookies')).text()").await?;
    Ok(names.as_str().unwrap_or_default().to_owned())
}

#[test]
fn after_partitioned_the_twin_locks_nobody_out_and_goes() {
    in_a_browser(async |browser| {
        let old = open(browser, layer()).await?;
        browser.follow("#login").await?;
        assert_eq!(cookie_names(browser).await?, "__Host-session");

        // The same host: cookies do not tell ports apart.
        let other = browser.serve(app(layer().partitioned(true))).await;
        let (host, _) = old.rsplit_once(':').unwrap();
        let (_, port) = other.rsplit_once(':').unwrap();
        browser.open(&format!("{host}:{port}")).await?;
        assert_eq!(who(browser).await?, "ada");
        browser.run("await fetch('/visit')").await?;
        assert_eq!(cookie_names(browser).await?, "__Host-session __Host-session", "the twin");
        assert_eq!(who(browser).await?, "ada");
        browser.run("await fetch('/login', { method: 'POST' })").await?;
        assert_eq!(cookie_names(browser).await?, "__Host-session");
        assert_eq!(who(browser).await?, "ada");
        browser.run("await fetch('/logout', { method: 'POST' })").await?;
        assert_eq!((who(browser).await?.as_str(), cookie_names(browser).await?.as_str()), ("nobody", ""));
        Ok(())
    });
}

#[test]
fn a_page_that_is_late_does_not_undo_a_log_in() {
    in_a_browser(async |browser| {
        open(browser, layer()).await?;
        browser
            .run(
                "await fetch('/visit');
                 const slow = fetch('/slow');
                 await fetch('/slow-has-read');
                 await fetch('/login', { method: 'POST' });
                 await fetch('/slow-goes-on');
                 await slow",
            )
            .await?;
        assert_eq!(who(browser).await?, "ada");
        Ok(())
    });
}

#[test]
fn six_requests_at_once_over_a_rotation_keep_the_visitor_logged_in() {
    in_a_browser(async |browser| {
        open(browser, layer()).await?;
        browser.follow("#login").await?;
        for _ in 0..5 {
            let statuses = browser
                .run(
                    "const paths = ['/visit', '/rotate', '/?a', '/visit?b', '/rotate?c', '/?d'];
                     const pages = await Promise.all(paths.map(path => fetch(path, { cache: 'no-store' })));
                     return pages.map(page => page.status).join(' ')",
                )
                .await?;
            assert_eq!(statuses, "200 200 200 200 200 200");
            assert_eq!(who(browser).await?, "ada");
        }
        assert_eq!(cookie_names(browser).await?, "__Host-session");
        Ok(())
    });
}

#[test]
fn a_log_in_that_is_clicked_twice_is_a_log_in() {
    in_a_browser(async |browser| {
        for layer in [layer(), SessionLayer::stored(session_stores::MemoryStore::new(), keys())] {
            open(browser, layer).await?;
            browser.run(LEAVING).await?;
            browser
                .run(
                    "const button = document.getElementById('login'); button.click(); setTimeout(() => button.click())",
                )
                .await?;
            browser.arrive().await;
            assert_eq!(browser.text("b").await?, "ada");
            assert_eq!(who(browser).await?, "ada");
        }
        Ok(())
    });
}

#[test]
fn after_a_log_out_that_clears_the_cache_the_back_button_shows_nobody() {
    // Without the setting the browser shows the page from before, as its `Cache-Control` allows.
    for (clears, shown) in [(false, "ada"), (true, "nobody")] {
        in_a_browser(async |browser| {
            open(browser, layer().clear_site_data(clears)).await?;
            browser.run("await fetch('/login', { method: 'POST' })").await?;
            browser.reload().await?;
            assert_eq!(browser.text("b").await?, "ada");
            browser.follow("a").await?;
            browser.follow("#logout").await?;
            assert_eq!(browser.text("h1").await?, "Bye");
            browser.go_back().await?;
            assert_eq!(browser.text("h1").await?, "Settings");
            browser.go_back().await?;
            assert_eq!(browser.text("b").await?, shown);
            Ok(())
        });
    }
}
