//! The cookies and the headers around them, as a browser and a cache see them.

use axum::{Router, body::Body, extract::Request, http::header, response::IntoResponse, routing::get};
use axum_extra::extract::cookie::{Cookie, CookieJar};
use session_axum::{
    Error, Flash, SameSite, Session, SessionLayer, SessionResponseExt,
    testing::{Client, TestSession},
};

use crate::support::{
    app::{client, layer},
    logs::Logs,
};

async fn write(session: Session) -> Result<(), Error> {
    session.insert("user", "alice")
}

async fn read(session: Session) -> Result<String, Error> {
    Ok(session.get::<String>("user")?.unwrap_or_else(|| "stranger".into()))
}

fn app(layer: SessionLayer) -> Client {
    client(Router::new().route("/", get(read).post(write)).layer(layer))
}

fn attributes(set_cookie: &str) -> &str {
    set_cookie.split_once("; ").unwrap().1
}

#[tokio::test]
async fn defaults_are_right_for_production() {
    let client = app(layer());
    let page = client.post("/").await;
    assert_eq!(client.cookie_names(), ["__Host-session"]);
    assert_eq!(attributes(page.set_cookies()[0]), "HttpOnly; SameSite=Lax; Secure; Path=/");
    assert_eq!(
        (&page.headers()["vary"], &page.headers()["cache-control"]),
        (&"Cookie".parse().unwrap(), &"no-store".parse().unwrap())
    );
}

#[tokio::test]
async fn a_flash_cookie_is_named_after_its_batch_and_expires_by_itself() {
    let handler = || async { "x".flashing(("info", "x")) };
    let client = client(Router::new().route("/", get(handler)).layer(layer()));
    let page = client.get("/").await;
    let names = client.cookie_names();
    assert!(names.len() == 1 && names[0].starts_with("__Host-flash.") && names[0].len() == 35, "{names:?}");
    assert_eq!(attributes(page.set_cookies()[0]), "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=300");
}

#[tokio::test]
async fn each_setting_shows_in_the_cookie() {
    let set = |layer: SessionLayer| async move { app(layer).post("/").await.set_cookies()[0].to_owned() };
    let domain = set(layer().domain("example.com").unwrap()).await;
    assert!(domain.starts_with("__Secure-session=1.") && domain.ends_with("; Domain=example.com"), "{domain}");
    let path = set(layer().path("/app").unwrap()).await;
    assert!(path.starts_with("__Secure-session=1.") && path.ends_with("; Path=/app"), "{path}");
    let none = set(layer().same_site(SameSite::None).unwrap().partitioned(true)).await;
    assert_eq!(attributes(&none), "HttpOnly; SameSite=None; Partitioned; Secure; Path=/");
    let insecure = set(layer().insecure_over_http()).await;
    assert!(insecure.starts_with("session=1."), "{insecure}");
    assert_eq!(attributes(&insecure), "HttpOnly; SameSite=Lax; Path=/");
    let encrypted = set(SessionLayer::encrypted(crate::support::app::keys())).await;
    assert!(encrypted.starts_with("__Host-session=2."), "{encrypted}");
}

#[test]
fn settings_that_contradict_each_other_are_refused_with_the_remedy() {
    let refused = |layer: Result<SessionLayer, session_axum::SettingsError>| layer.unwrap_err().to_string();
    let host = || layer().name("__Host-shop").unwrap();
    assert_eq!(
        refused(host().domain("example.com")),
        "browsers refuse \"__Host-shop\" with a Domain: remove the domain, or name the cookie `__Secure-..` instead"
    );
    assert!(refused(host().path("/app")).contains("path other than `/`"));
    assert!(refused(layer().domain("example.com").unwrap().name("__Host-shop")).contains("with a Domain"));
    assert!(refused(layer().insecure_over_http().same_site(SameSite::None)).contains("without Secure"));
    assert!(refused(layer().path("/a\r\nb")).contains("is not valid: begin with `/`"));
    assert!(refused(layer().flash_name("__Host-session")).contains("overlap"));
    assert!(refused(layer().name("session\n")).contains("cannot be a cookie's name"));
}

#[test]
fn every_order_of_steps_leaves_a_valid_layer() {
    let _ = layer().same_site(SameSite::None).unwrap().partitioned(true).insecure_over_http().partitioned(true);
    let _ = layer().name("__Host-__Secure-a").unwrap().flash_name("__Host-b").unwrap().insecure_over_http();
    assert!(layer().name("__Host-a").unwrap().flash_name("__Secure-a").is_err(), "they would be equal over HTTP");
}

#[tokio::test]
async fn the_handlers_caching_stays_unless_it_would_share_a_cookie() {
    let cached = |value: &'static str| async move {
        let handler = move |session: Session| async move {
            session.insert("a", 1).unwrap();
            [(header::CACHE_CONTROL, value)]
        };
        let page = client(Router::new().route("/", get(handler)).layer(layer())).get("/").await;
        page.headers()["cache-control"].to_str().unwrap().to_owned()
    };
    assert_eq!(cached("private, max-age=60").await, "private, max-age=60");
    assert_eq!(cached("public, max-age=60").await, "no-store");
    assert_eq!(cached("max-age=60, S-MaxAge=60").await, "no-store");
}

#[tokio::test]
async fn vary_is_appended_once() {
    let vary = |value: &'static str| async move {
        let handler = move |_: Session| async move { [(header::VARY, value)] };
        let page = client(Router::new().route("/", get(handler)).layer(layer())).get("/").await;
        page.headers().get_all("vary").iter().map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(vary("Accept").await, ["Accept", "Cookie"]);
    assert_eq!(vary("Accept, cookie").await, ["Accept, cookie"]);
    assert_eq!(vary("*").await, ["*"]);
}

#[tokio::test]
async fn cookies_of_the_application_live_beside_ours() {
    async fn both(session: Session, jar: CookieJar) -> impl IntoResponse {
        session.insert("user", "alice").unwrap();
        let theme = jar.get("theme").map_or("none", Cookie::value).to_owned();
        (jar.add(Cookie::new("theme", "dark")), theme)
    }
    let client = client(Router::new().route("/", get(both)).layer(layer()));
    assert_eq!(client.get("/").await.text(), "none");
    assert_eq!(client.cookie_names(), ["__Host-session", "theme"]);
    assert_eq!(client.get("/").await.text(), "dark");
}

#[tokio::test]
async fn two_different_valid_sessions_are_none_and_a_warning() {
    let layer = layer();
    let client = app(layer.clone());
    let cookie = |user: &str| TestSession::new(&layer).insert("user", user).cookies()[0].1.clone();
    let (alice, mallory) = (cookie("alice"), cookie("mallory"));
    let (logs, _guard) = Logs::capture();
    for (first, second) in [(&alice, &mallory), (&mallory, &alice)] {
        let header = format!("__Host-session={first}; __Host-session={second}");
        let request = Request::get("/").header(header::COOKIE, header).body(Body::empty()).unwrap();
        assert_eq!(client.send(request).await.text(), "stranger");
        let lines = logs.take();
        assert!(lines.len() == 1 && lines[0].contains("two different valid sessions"), "{lines:?}");
    }
    let header = format!("__Host-session={alice}; __Host-session={alice}; __Host-session=junk");
    let request = Request::get("/").header(header::COOKIE, header).body(Body::empty()).unwrap();
    assert_eq!(client.send(request).await.text(), "alice");
}

#[tokio::test]
async fn a_session_knows_how_much_of_its_cookie_it_takes() {
    let size = |session: Session| async move {
        let before = session.cookie_size();
        session.insert("more", "x").unwrap();
        format!("{before} {}", session.cookie_size())
    };
    for layer in [layer(), SessionLayer::encrypted(crate::support::app::keys())] {
        let client = client(Router::new().route("/", get(size)).layer(layer));
        let first = client.get("/").await.text().to_owned();
        let sent = "__Host-session".len() + client.cookie("__Host-session").unwrap().len();
        assert_eq!(first, format!("0 {sent}"));
        assert_eq!(client.get("/").await.text(), format!("{sent} {sent}"));
    }
    let client = client(Router::new().route("/", get(size)).layer(SessionLayer::null()));
    assert_eq!(client.get("/").await.text(), "0 0");
}

/// A session of `size` random-looking bytes, so that each state is told from the next.
async fn fill(session: Session, size: usize) -> Result<(), Error> {
    session.insert("big", "x".repeat(size))
}

fn chunked_app(layer: SessionLayer) -> Client {
    let app = Router::new()
        .route(
            "/",
            get(|session: Session| async move {
                session.get::<String>("big").unwrap().unwrap_or_default().len().to_string()
            }),
        )
        .route("/small", get(|session: Session| fill(session, 10)))
        .route("/two", get(|session: Session| fill(session, 5_000)))
        .route("/three", get(|session: Session| fill(session, 8_000)))
        .route("/four", get(|session: Session| fill(session, 10_000)))
        .route("/bye", get(|| async { "Bye".with_new_session() }));
    client(app.layer(layer))
}

#[tokio::test]
async fn a_large_session_spreads_over_as_many_cookies_as_are_allowed() {
    let client = chunked_app(layer().chunked(3));
    let one = ["__Host-session"];
    let three = ["__Host-session.1", "__Host-session.2", "__Host-session.3"];
    for (path, size, names) in
        [("/small", "10", &one[..]), ("/three", "8000", &three), ("/two", "5000", &three[..2]), ("/small", "10", &one)]
    {
        assert_eq!(client.get(path).await.status(), 200);
        assert_eq!(client.cookie_names(), names, "{path}");
        assert_eq!(client.get("/").await.text(), size, "{path}");
    }
    client.get("/three").await;
    assert_eq!(client.get("/four").await.status(), 500);
    assert_eq!(client.get("/").await.text(), "8000");
    client.get("/bye").await;
    assert_eq!(client.cookie_names(), [""; 0]);
}

#[tokio::test]
async fn pieces_that_do_not_belong_together_are_no_session() {
    let client = chunked_app(layer().chunked(3));
    client.get("/three").await;
    let piece = client.cookie("__Host-session.2").unwrap();
    client.get("/two").await;
    client.set_cookie("__Host-session.2", &piece);
    let page = client.get("/").await;
    assert_eq!((page.text(), page.set_cookies().len()), ("0", 0));
}

#[tokio::test]
async fn a_batch_of_flash_under_another_suffix_is_refused() {
    let layer = layer();
    let show = |flash: Flash| async move { flash.get("success").unwrap_or("-").to_owned() };
    let client = client(Router::new().route("/", get(show)).layer(layer.clone()));
    let forged = TestSession::new(&layer).flash("success", "hi").cookies();
    client.set_cookie("__Host-flash.AAAAAAAAAAAAAAAAAAAAAA", &forged[0].1);
    assert_eq!(client.get("/").await.text(), "-");
    client.set_cookie(&forged[0].0, &forged[0].1);
    assert_eq!(client.get("/").await.text(), "hi");
}
