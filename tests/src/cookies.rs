//! The cookies and the headers around them, as a browser and a cache see them.

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::header,
    response::{AppendHeaders, IntoResponse},
    routing::get,
};
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
    let (one, other) = (layer().insecure_over_http(), layer());
    let name = |layer: SessionLayer| layer.name("__Host-shop").unwrap().flash_name("__Secure-notes").unwrap();
    assert_eq!(format!("{:?}", name(one)), format!("{:?}", name(other).insecure_over_http()));
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
    assert_eq!(cached("no-store").await, "no-store");
    for shared in [
        "public, max-age=60",
        "max-age=60, S-MaxAge=60",
        "max-age=600",
        "no-cache",
        "private=\"x-field\"",
        "public, private",
        "must-revalidate",
        "immutable",
    ] {
        assert_eq!(cached(shared).await, "no-store", "{shared}");
    }
}

/// The headers of a page that reads its session, which comes or does not, when the handler has set this one.
async fn read_with(name: &'static str, value: &'static str, came: bool) -> axum::http::HeaderMap {
    let layer = layer();
    let handler = move |session: Session| async move {
        let _ = session.contains("a");
        [(name, value)]
    };
    let client = client(Router::new().route("/", get(handler)).layer(layer.clone()));
    if came {
        client.enter(&TestSession::new(&layer).insert("a", 1));
    }
    client.get("/").await.headers().clone()
}

#[tokio::test]
async fn a_page_that_read_its_session_is_private() {
    for came in [false, true] {
        let headers = read_with("x-other", "1", came).await;
        assert_eq!(
            (&headers["cache-control"], &headers["vary"]),
            (&"private".parse().unwrap(), &"Cookie".parse().unwrap())
        );
    }
    for kept in ["max-age=60", "no-cache", "private, max-age=60", "no-store"] {
        assert_eq!(read_with("cache-control", kept, true).await["cache-control"], kept);
    }
    assert_eq!(read_with("cache-control", "public, max-age=60", true).await["cache-control"], "private, max-age=60");
    assert_eq!(read_with("cache-control", "max-age=9, s-maxage=60", true).await["cache-control"], "private, max-age=9");
    assert_eq!(read_with("cache-control", "public, max-age=60", false).await["cache-control"], "public, max-age=60");
}

#[tokio::test]
async fn headers_for_shared_caches_alone_are_overridden() {
    for name in ["cdn-cache-control", "surrogate-control", "cloudflare-cdn-cache-control", "vercel-cdn-cache-control"] {
        assert_eq!(read_with(name, "max-age=600", true).await[name], "private");
        assert_eq!(read_with(name, "max-age=600", false).await[name], "max-age=600");
        let handler = move |session: Session| async move {
            session.insert("a", 1).unwrap();
            [(name, "max-age=600")]
        };
        let page = client(Router::new().route("/", get(handler)).layer(layer())).get("/").await;
        assert_eq!(page.headers()[name], "no-store");
    }
}

#[tokio::test]
async fn a_page_that_read_a_message_is_private() {
    let layer = layer();
    let handler = |flash: Flash| async move {
        let _ = flash.peek("success");
        [(header::CACHE_CONTROL, "public")]
    };
    let client = client(Router::new().route("/", get(handler)).layer(layer.clone()));
    assert_eq!(client.get("/").await.headers()["cache-control"], "public");
    client.enter(&TestSession::new(&layer).flash("success", "hi"));
    assert_eq!(client.get("/").await.headers()["cache-control"], "private");
}

#[tokio::test]
async fn a_cookie_of_our_name_that_the_application_sets_is_replaced() {
    let handler = |session: Session| async move {
        session.insert("a", 1).unwrap();
        let [ours, theirs] = ["__Host-session=x; Path=/; Secure", "__Host-session-2=y"];
        (AppendHeaders([(header::SET_COOKIE, ours), (header::SET_COOKIE, theirs)]), "page")
    };
    let (logs, _guard) = Logs::capture();
    let layer = layer();
    let client = client(Router::new().route("/", get(handler)).layer(layer.clone()));
    let page = client.get("/").await;
    assert_eq!((page.set_cookies().len(), page.set_cookies()[0]), (2, "__Host-session-2=y"));
    assert_eq!(TestSession::of_client(&layer, &client).get("a"), Some(1));
    let lines = logs.take();
    let told: Vec<_> = lines.iter().filter(|line| line.contains("it was replaced")).collect();
    assert!(told.len() == 1 && told[0].ends_with("cookie=__Host-session"), "{told:?}");
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
    }
    let (refused, lines): (Vec<_>, Vec<_>) = logs.take().into_iter().partition(|line| line.starts_with("DEBUG"));
    assert!(lines.len() == 1 && lines[0].contains("of two different sessions"), "{lines:?}");
    assert!(refused.len() == 2 && refused.iter().all(|line| line.contains(" session.refused:")), "{refused:?}");
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
        let first = client.get("/").await.text();
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
    assert_eq!((page.text().as_str(), page.set_cookies().len()), ("0", 0));
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
