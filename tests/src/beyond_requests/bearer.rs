//! One application for browsers, with cookies, and for native clients, with bearer tokens.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{HeaderMap, Request, header},
    routing::get,
};
use session_axum::{
    Error, Flash, Keys, Session, SessionLayer, SessionResponseExt,
    testing::{Client, ManualClock, TestResponse},
};
use session_core::store::SessionStore;
use session_stores::MemoryStore;

use super::{COOKIE, HOUR, Shared, each_store};
use crate::support::{
    app::{NOW, OLD_SECRET, SECRET, keys},
    logs::Logs,
    reference::{Binding, key_id, sign},
    watched::Watched,
};

fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/untouched", get(|| async { "hello" }))
        .route("/login", get(log_in))
        .route("/form-login", get(form_log_in))
        .route("/token", get(|session: Session| async move { session.bearer_token().await }))
        .route("/renew-token", get(renew_token))
        .route("/rotate-token", get(rotate_token))
        .route("/get/{key}", get(read))
        .route("/set/{key}/{value}", get(write))
        .route("/destroy", get(|session: Session| async move { format!("{:?}", session.destroy()) }))
        .route("/flash", get(|| async { "ok".flashing(("success", "saved")) }))
        .route("/flashed", get(|flash: Flash| async move { flash.get("success").unwrap_or("none").to_owned() }))
        .layer(layer)
}

async fn log_in(session: Session, flash: Flash) -> Result<String, Error> {
    flash.success("Welcome");
    session.renew();
    session.insert("user", "ada")?;
    session.bearer_token().await
}

async fn form_log_in(session: Session) -> Result<(), Error> {
    session.renew();
    session.insert("user", "ada")
}

async fn renew_token(session: Session) -> Result<String, Error> {
    session.renew();
    session.bearer_token().await
}

async fn rotate_token(session: Session) -> Result<String, Error> {
    session.rotate();
    session.bearer_token().await
}

async fn read(session: Session, Path(key): Path<String>) -> Result<String, Error> {
    Ok(session.get::<String>(&key)?.unwrap_or_default())
}

async fn write(session: Session, Path((key, value)): Path<(String, String)>) -> Result<(), Error> {
    session.insert(&key, value)
}

/// An application, and its clock.
struct Site {
    app: Router,
    clock: ManualClock,
}

impl Site {
    fn on(store: impl SessionStore) -> Self {
        let clock = ManualClock::at(NOW);
        Self { app: app(SessionLayer::stored(store, keys()).clock(clock.clone()).bearer()), clock }
    }

    /// Sends a request with these headers, from a client without a cookie jar.
    async fn send(&self, path: &str, headers: &[(&str, &str)]) -> TestResponse {
        let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
        Client::new(self.app.clone()).send(request.body(Body::empty()).unwrap()).await
    }

    async fn get(&self, path: &str, token: &str) -> TestResponse {
        let page = self.send(path, &[("authorization", &format!("Bearer {token}"))]).await;
        assert_eq!(page.set_cookies(), [""; 0], "{path}");
        page
    }

    async fn user(&self, token: &str) -> String {
        self.get("/get/user", token).await.text()
    }

    /// Logs a native client in, and returns its token.
    async fn token(&self) -> String {
        let page = self.send("/login", &[]).await;
        assert_eq!((page.status().as_u16(), page.set_cookies()), (200, vec![]));
        assert_eq!(page.headers()["cache-control"], "no-store");
        page.text()
    }

    /// Logs a browser in, and returns its client.
    async fn browser(&self) -> Client {
        let browser = Client::new(self.app.clone());
        browser.get("/form-login").await;
        assert!(browser.cookie(COOKIE).is_some());
        browser
    }
}

fn vary(headers: &HeaderMap) -> Vec<String> {
    let names = headers.get_all(header::VARY).iter().flat_map(|value| value.to_str().unwrap().split(','));
    let mut names: Vec<_> = names.map(|name| name.trim().to_lowercase()).collect();
    names.sort_unstable();
    names
}

async fn one_application_serves_both_clients(shared: Shared) {
    let site = Site::on(shared.connect().await);
    let (token, browser) = (site.token().await, site.browser().await);
    assert_eq!(site.user(&token).await, "ada");
    assert_eq!(browser.get("/get/user").await.text(), "ada");
    for value in ["1", "2"] {
        site.get(&format!("/set/a/{value}"), &token).await;
        assert_eq!(site.get("/get/a", &token).await.text(), value, "the token stays good");
    }
    assert_eq!(browser.get("/get/a").await.text(), "", "they have sessions of their own");
}

async fn a_log_out_a_renewal_and_a_rotation_end_the_token(shared: Shared) {
    let site = Site::on(shared.connect().await);
    let token = site.token().await;
    site.get("/destroy", &token).await;
    assert_eq!(site.user(&token).await, "");

    let token = site.token().await;
    let renewed = site.get("/renew-token", &token).await.text();
    assert_eq!((site.user(&token).await, site.user(&renewed).await), (String::new(), "ada".to_owned()));

    let rotated = site.get("/rotate-token", &renewed).await.text();
    assert_ne!(rotated, renewed);
    assert_eq!((site.user(&renewed).await, site.user(&rotated).await), ("ada".to_owned(), "ada".to_owned()));
    assert_eq!(site.get("/token", &renewed).await.status(), 409, "a former token leads to no new one");
    site.get("/set/user/eve", &renewed).await;
    assert_eq!(site.user(&rotated).await, "ada", "what a former token changes is dropped");
    site.clock.advance(Duration::from_secs(62));
    assert_eq!((site.user(&renewed).await, site.user(&rotated).await), (String::new(), "ada".to_owned()));
}

async fn a_token_ends_with_the_limits_of_its_session(shared: Shared) {
    let site = Site::on(shared.connect().await);
    let token = site.token().await;
    for _ in 0..3 {
        site.clock.advance(23 * HOUR);
        assert_eq!(site.user(&token).await, "ada", "each request is a visit");
    }
    site.clock.advance(25 * HOUR);
    assert_eq!(site.user(&token).await, "");
}

each_store! {
    one_application_serves_both_clients
    a_log_out_a_renewal_and_a_rotation_end_the_token
    a_token_ends_with_the_limits_of_its_session
}

#[tokio::test]
async fn only_one_header_with_the_scheme_counts() {
    let site = Site::on(MemoryStore::new());
    let token = site.token().await;
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let page = site.send("/get/user", &[("authorization", &format!("{scheme} {token}"))]).await;
        assert_eq!(page.text(), "ada", "{scheme}");
    }
    assert_eq!(site.send("/get/user", &[("authorization", &format!("Bearer   {token} "))]).await.text(), "ada");
    for value in [token.clone(), format!("Basic {token}"), format!("Bearer{token}"), format!("Bearer {token} {token}")]
    {
        assert_eq!(site.send("/get/user", &[("authorization", &value)]).await.text(), "", "{value}");
    }
    let valid = format!("Bearer {token}");
    for other in [valid.as_str(), "Basic YTpi", ""] {
        for fields in [[valid.as_str(), other], [other, valid.as_str()]] {
            let page = site.send("/get/user", &fields.map(|value| ("authorization", value))).await;
            assert_eq!(page.text(), "", "{fields:?}");
        }
    }
}

#[tokio::test]
async fn a_session_cookie_shuts_the_header_out() {
    let site = Site::on(MemoryStore::new());
    let (token, valid) = (format!("Bearer {}", site.token().await), site.browser().await.cookie(COOKIE).unwrap());
    site.send("/set/user/browser", &[("cookie", &format!("{COOKIE}={valid}"))]).await;
    for (cookie, user) in [
        (format!("{COOKIE}={valid}"), "browser"),
        (format!("{COOKIE}=bad"), ""),
        (format!("{COOKIE}="), ""),
        (format!("{COOKIE}.1=bad"), ""),
        ("theme=dark".to_owned(), "ada"),
        ("__Host-session-flash.x=1".to_owned(), "ada"),
    ] {
        let page = site.send("/get/user", &[("authorization", &token), ("cookie", &cookie)]).await;
        assert_eq!(page.text(), user, "{cookie}");
    }
    let page = site.send("/set/a/1", &[("authorization", &token), ("cookie", &format!("{COOKIE}=bad"))]).await;
    assert_eq!(page.set_cookies().len(), 1, "it is a browser's");
}

#[tokio::test]
async fn a_token_of_one_kind_is_none_of_the_other() {
    let store = Watched::new();
    let site = Site::on(store.clone());
    let (token, cookie) = (site.token().await, site.browser().await.cookie(COOKIE).unwrap());
    store.calls();
    assert_eq!(site.user(&cookie).await, "");
    assert_eq!(site.send("/get/user", &[("cookie", &format!("{COOKIE}={token}"))]).await.text(), "");
    assert_eq!(store.calls(), [""; 0]);
}

#[tokio::test]
async fn a_token_opens_no_session_of_a_layer_with_another_name_or_application() {
    let store = MemoryStore::new();
    let layer = || SessionLayer::stored(store.clone(), keys()).clock(ManualClock::at(NOW)).bearer();
    let shop = Site { app: app(layer()), clock: ManualClock::at(NOW) };
    let token = shop.token().await;
    for other in [layer().name("__Host-admin").unwrap(), layer().application("admin")] {
        let admin = Site { app: app(other), clock: ManualClock::at(NOW) };
        assert_eq!(admin.user(&token).await, "");
    }
    assert_eq!(shop.user(&token).await, "ada");
}

#[tokio::test]
async fn a_made_up_token_never_reaches_the_store_and_never_fails() {
    let store = Watched::new();
    let site = Site::on(store.clone());
    let token = site.token().await;
    let bit = if token.ends_with('A') { "B" } else { "A" };
    let other_key = Site {
        app: app(SessionLayer::stored(MemoryStore::new(), Keys::new(OLD_SECRET).unwrap()).bearer()),
        clock: ManualClock::at(NOW),
    };
    store.calls();
    let mut made_up = vec![
        [&token[..token.len() - 1], bit].concat(),
        token[1..].to_owned(),
        token.replace('.', ""),
        format!("{token}{token}"),
        format!("{token},{token}"),
        other_key.send("/login", &[]).await.text(),
        String::new(),
        "x".to_owned(),
        "1.AAAA.x.y".to_owned(),
        "A".repeat(60_000),
        ".".repeat(60_000),
        format!("1.{}", "A.".repeat(20_000)),
        "\u{e9}\u{20ac}".to_owned(),
        "eyJhbGciOiJub25lIn0.eyJ1c2VyIjoiYWRhIn0.".to_owned(),
    ];
    made_up.extend((1..token.len()).map(|end| token[..end].to_owned()));
    for token in made_up {
        let page = site.get("/get/user", &token).await;
        assert_eq!((page.status().as_u16(), page.text().as_str()), (200, ""), "{token}");
    }
    assert_eq!(store.calls(), [""; 0]);
}

#[tokio::test]
async fn a_native_client_has_no_flash() {
    let site = Site::on(MemoryStore::new());
    let token = site.token().await;
    assert_eq!(site.get("/flash", &token).await.text(), "ok");
    let browser = site.browser().await;
    browser.get("/flash").await;
    let flash = browser.cookie_names().into_iter().find(|name| name.contains("flash")).unwrap();
    let cookie = format!("{flash}={}", browser.cookie(&flash).unwrap());
    let with_both = [("authorization", format!("Bearer {token}")), ("cookie", cookie)];
    let with_both = with_both.each_ref().map(|(name, value)| (*name, value.as_str()));
    let page = site.send("/flashed", &with_both).await;
    assert_eq!((page.text().as_str(), page.set_cookies()), ("none", vec![]));
    assert_eq!(browser.get("/flashed").await.text(), "saved");
}

#[tokio::test]
async fn caches_hear_that_the_response_depends_on_both_headers() {
    let site = Site::on(MemoryStore::new());
    let token = site.token().await;
    for path in ["/get/user", "/set/a/1", "/set/a/1", "/token", "/destroy", "/flashed"] {
        let page = site.get(path, &token).await;
        assert_eq!(vary(page.headers()), ["authorization", "cookie"], "{path}");
        let control = if path == "/token" { "no-store" } else { "private" };
        assert_eq!(page.headers()["cache-control"], control, "{path}");
    }
    let stranger = site.send("/get/user", &[]).await;
    assert_eq!(vary(stranger.headers()), ["authorization", "cookie"]);
    let browser = site.browser().await;
    assert_eq!(vary(browser.get("/set/a/1").await.headers()), ["authorization", "cookie"]);
    let page = site.get("/untouched", &token).await;
    assert_eq!((vary(page.headers()).len(), page.headers().get("cache-control")), (0, None));
}

#[tokio::test]
async fn a_token_for_a_browser_leaves_its_cookie_working() {
    let site = Site::on(MemoryStore::new());
    let browser = site.browser().await;
    let cookie = browser.cookie(COOKIE);
    let page = browser.get("/token").await;
    assert_eq!((page.set_cookies(), &page.headers()["cache-control"]), (vec![], &"no-store".parse().unwrap()));
    assert_eq!(browser.cookie(COOKIE), cookie);
    assert_eq!(
        (site.user(&page.text()).await, browser.get("/get/user").await.text().as_str()),
        ("ada".to_owned(), "ada")
    );
    site.get("/set/a/app", &page.text()).await;
    assert_eq!(browser.get("/get/a").await.text(), "app", "they share the session");

    let renewed = browser.get("/renew-token").await;
    assert_eq!(renewed.set_cookies().len(), 1);
    assert_eq!(
        (site.user(&renewed.text()).await, browser.get("/get/user").await.text().as_str()),
        ("ada".to_owned(), "ada")
    );
    assert_eq!(site.user(&page.text()).await, "");
    browser.get("/destroy").await;
    assert_eq!(site.user(&renewed.text()).await, "");
}

#[tokio::test]
async fn a_token_costs_no_write_when_the_session_is_there() {
    let store = Watched::new();
    let site = Site::on(store.clone());
    let page = site.send("/login", &[]).await;
    assert_eq!(store.calls(), ["create"]);
    let token = site.get("/token", &page.text()).await.text();
    assert_eq!(store.calls(), ["load"]);
    assert_eq!(site.user(&token).await, "ada");
    assert_eq!(store.calls(), ["load"]);
    let empty = site.send("/token", &[]).await.text();
    assert_eq!(store.calls(), ["create"]);
    site.get("/set/user/later", &empty).await;
    assert_eq!(site.user(&empty).await, "later", "a session that was empty when it got its token");
}

#[tokio::test]
async fn a_token_survives_a_new_secret_as_long_as_the_former_one_is_known() {
    let store = MemoryStore::new();
    let with = |keys: Keys| Site {
        app: app(SessionLayer::stored(store.clone(), keys).clock(ManualClock::at(NOW)).bearer()),
        clock: ManualClock::at(NOW),
    };
    let token = with(Keys::new(OLD_SECRET).unwrap()).token().await;
    let both = with(Keys::new(SECRET).unwrap().with_fallback(OLD_SECRET).unwrap());
    assert_eq!(both.user(&token).await, "ada");
    let next = both.get("/token", &token).await.text();
    let new = with(Keys::new(SECRET).unwrap());
    assert_eq!((new.user(&token).await, new.user(&next).await), (String::new(), "ada".to_owned()));
}

#[tokio::test]
async fn native_clients_are_no_browsers_that_send_no_cookie_back() {
    let (logs, _guard) = Logs::capture();
    let site = Site::on(MemoryStore::new());
    let warnings = || logs.take().iter().filter(|line| line.contains("none has come back")).count();
    for _ in 0..40 {
        site.token().await;
    }
    assert_eq!(warnings(), 0, "their log-ins set no cookies");
    let token = site.token().await;
    assert_eq!(site.user(&token).await, "ada");
    for _ in 0..40 {
        site.browser().await;
    }
    assert_eq!(warnings(), 1, "a token that comes back is no cookie that does");
}

#[tokio::test]
async fn the_token_is_as_the_page_about_the_wire_format_says() {
    let token = Site::on(MemoryStore::new()).token().await;
    let name = "Authorization __Host-session";
    let binding = Binding { label: "mac", version: "1", purpose: "id", cookie_name: name, application: "" };
    let (master, body) = (SECRET.as_bytes(), token.split('.').nth(2).unwrap());
    let written = sign(binding.key(master), "1", &key_id(master), body.as_bytes());
    assert_eq!((String::from_utf8(written).unwrap(), token.len()), (token, 137));
}
