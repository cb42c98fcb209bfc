//! Set-up that cannot work says so, with the cause and the remedy.

use std::time::{Duration, SystemTime};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    routing::get,
};
use session_axum::{
    Error, Flash, Keys, Session, SessionData, SessionLayer, SessionResponseExt, Sessions,
    testing::{Client, ManualClock, TestSession},
};
use session_core::{
    SessionId,
    token::{Frame, Protection, Purpose},
};
use session_stores::MemoryStore;

use crate::support::{
    app::{NOW, OLD_SECRET, client, layer},
    logs::Logs,
    watched::{Fault, Watched},
};

async fn write(session: Session) -> Result<(), Error> {
    session.insert("a", 1)
}

fn lines_with(logs: &Logs, text: &str) -> usize {
    logs.take().iter().filter(|line| line.contains(text)).count()
}

#[tokio::test]
async fn a_missing_layer_is_a_500_and_the_log_names_the_remedy() {
    let app = Router::new()
        .route("/session", get(write))
        .route("/option", get(|_: Option<Session>| async {}))
        .route("/flash", get(|_: Flash| async {}));
    let client = client(app);
    let (logs, _guard) = Logs::capture();
    for (path, extractor) in [("/session", "Session"), ("/option", "Session"), ("/flash", "Flash")] {
        let page = client.get(path).await;
        assert_eq!(page.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(page.text(), "Something went wrong with your session. Please try again.");
        let remedy = format!(
            "`{extractor}` was extracted, but this route has no session layer: add \
             `.layer(SessionLayer::signed(keys))` to the router, after the route"
        );
        assert_eq!(lines_with(&logs, &remedy), 1);
    }
}

#[tokio::test]
async fn helpers_without_a_layer_are_an_error_in_the_log() {
    let client = client(Router::new().route("/", get(|| async { "x".flashing(("info", "x")) })));
    let (logs, _guard) = Logs::capture();
    assert_eq!(client.get("/").await.status(), 200);
    assert_eq!(lines_with(&logs, "never reached a session layer"), 1);
}

#[tokio::test]
async fn helpers_below_a_layer_are_no_error() {
    let client = client(Router::new().route("/", get(|| async { "x".flashing(("info", "x")) })).layer(layer()));
    let (logs, _guard) = Logs::capture();
    client.get("/").await;
    assert_eq!(lines_with(&logs, "never reached"), 0);
}

#[tokio::test]
async fn the_same_layer_twice_says_so_once_and_works() {
    let layer = layer();
    let app = Router::new().route("/", get(write)).layer(layer.clone()).layer(layer.clone());
    let client = client(app);
    let (logs, _guard) = Logs::capture();
    for _ in 0..3 {
        assert_eq!(client.get("/").await.status(), 200);
    }
    assert_eq!(lines_with(&logs, "the same session layer was added twice"), 1);
    assert_eq!(TestSession::of_client(&layer, &client).get("a"), Some(1));
}

#[derive(SessionData)]
struct Admin {
    user: String,
}

/// A log-in outside, and an area below another layer that asks for its own session.
fn nested(outer: SessionLayer, inner: SessionLayer) -> Client {
    async fn log_in(session: Session) -> Result<(), Error> {
        session.insert("user", "alice")
    }
    let area = Router::new()
        .route("/area", get(|admin: Session<Admin>| async move { admin.user.clone() }))
        .route("/log-in", get(|session: Session| async move { session.insert("user", "root") }))
        .route("/optional", get(|_: Option<Session<Admin>>| async {}))
        .route("/flash", get(|_: Flash| async {}))
        .route("/sessions", get(|_: Sessions| async {}))
        .route("/helper", get(|| async { "x".flashing(("info", "below")) }))
        .route("/plain", get(|| async { "plain" }))
        .layer(inner);
    client(Router::new().route("/log-in", get(log_in)).route("/me", get(me)).nest("/admin", area).layer(outer))
}

async fn me(session: Session) -> Result<String, Error> {
    Ok(session.get("user")?.unwrap_or_default())
}

fn other_keys() -> Keys {
    Keys::new(OLD_SECRET).unwrap()
}

#[tokio::test]
async fn two_layers_side_by_side_give_each_area_its_own_session() {
    let inner = SessionLayer::signed(other_keys()).name("__Host-admin").unwrap();
    let client = nested(layer(), inner);
    client.get("/log-in").await;
    assert_eq!(client.get("/admin/area").await.status(), StatusCode::UNAUTHORIZED);
    client.get("/admin/log-in").await;
    assert_eq!(client.get("/admin/area").await.text(), "root");
    assert_eq!(client.get("/me").await.text(), "alice");
    client.get("/admin/helper").await;
    let names = client.cookie_names();
    assert_eq!(names.iter().filter(|name| name.starts_with("__Host-admin-flash.")).count(), 1, "{names:?}");
    assert_eq!(names.len(), 3);
}

#[tokio::test]
async fn two_layers_that_share_a_cookie_name_refuse_every_session_below_them() {
    let flash_as_session = |name: &str| layer().name("outer").unwrap().flash_name(name).unwrap();
    for (outer, inner) in [
        (layer(), SessionLayer::signed(other_keys())),
        (layer(), layer()),
        (layer(), SessionLayer::signed(other_keys()).name("__Host-admin").unwrap().flash_name("__Host-flash").unwrap()),
        (flash_as_session("admin"), layer().name("admin").unwrap()),
        (layer().name("sid").unwrap(), layer().name("sid.1").unwrap()),
    ] {
        let client = nested(outer, inner);
        let (logs, _guard) = Logs::capture();
        for path in ["area", "log-in", "optional", "flash", "sessions", "helper"] {
            let page = client.get(&format!("/admin/{path}")).await;
            assert_eq!(page.status(), StatusCode::INTERNAL_SERVER_ERROR, "{path}");
            assert_eq!(page.text(), "Something went wrong with your session. Please try again.", "{path}");
        }
        assert_eq!(lines_with(&logs, "two different session layers around one route share a cookie name"), 1);
        assert_eq!(client.get("/admin/plain").await.text(), "plain");
        client.get("/log-in").await;
        assert_eq!(client.get("/me").await.text(), "alice");
    }
}

#[tokio::test]
async fn a_null_layer_inside_another_never_clashes() {
    let client = nested(layer(), SessionLayer::null());
    client.get("/log-in").await;
    assert_eq!(client.get("/admin/area").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(client.get("/admin/log-in").await.status(), StatusCode::OK);
    assert_eq!(client.get("/me").await.text(), "alice");
    assert_eq!(client.cookie_names(), ["__Host-session"]);
}

#[tokio::test]
async fn three_layers_are_told_apart_from_each_other() {
    let named = |name: &str| layer().name(name).unwrap();
    let route = || Router::new().route("/", get(write));
    let apart = client(route().layer(named("a")).layer(named("b")).layer(named("c")));
    assert_eq!(apart.get("/").await.status(), StatusCode::OK);
    assert_eq!(apart.cookie_names(), ["a"]);
    let clashing = client(route().layer(named("a")).layer(named("b")).layer(named("a")));
    assert_eq!(clashing.get("/").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    // What is below a clash stays below it.
    let below = client(route().layer(named("c")).layer(named("a")).layer(named("a")));
    assert_eq!(below.get("/").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn sibling_routers_may_share_names() {
    let sibling = |path: &str| Router::new().route(path, get(write)).layer(layer());
    let client = client(sibling("/a").merge(sibling("/b")));
    for path in ["/a", "/b"] {
        assert_eq!(client.get(path).await.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn the_flash_is_named_after_the_session() {
    let name_of = |layer: SessionLayer| async move {
        let app = Router::new().route("/", get(|| async { "x".flashing(("info", "x")) })).layer(layer);
        let client = client(app);
        client.get("/").await;
        client.cookie_names().concat().split('.').next().unwrap_or_default().to_owned()
    };
    assert_eq!(name_of(layer()).await, "__Host-flash");
    assert_eq!(name_of(layer().name("__Host-shop").unwrap()).await, "__Host-shop-flash");
    assert_eq!(name_of(layer().name("__Host-shop").unwrap().insecure_over_http()).await, "shop-flash");
    assert_eq!(name_of(layer().name("shop").unwrap().flash_name("notes").unwrap()).await, "notes");
    assert_eq!(name_of(layer().flash_name("notes").unwrap().name("shop").unwrap()).await, "notes");
    assert_eq!(name_of(layer().domain("example.com").unwrap()).await, "__Secure-flash");
}

#[tokio::test]
async fn a_secure_cookie_over_plain_http_is_a_warning_once() {
    let app = Router::new().route("/", get(write)).layer(layer());
    let (logs, _guard) = Logs::capture();
    for _ in 0..3 {
        let request = Request::get("/").header(header::ORIGIN, "http://shop.example").body(Body::empty()).unwrap();
        client(app.clone()).send(request).await;
    }
    assert_eq!(lines_with(&logs, "insecure_over_http"), 1);
}

#[tokio::test]
async fn a_cookie_that_does_not_come_back_is_a_warning_once() {
    let app = Router::new().route("/", get(write)).layer(layer());
    let (logs, _guard) = Logs::capture();
    for _ in 0..40 {
        client(app.clone()).get("/").await;
    }
    assert_eq!(lines_with(&logs, "none has come back"), 1);
}

#[tokio::test]
async fn a_cookie_that_came_back_once_is_no_warning() {
    let helper = || async { "x".adding_to_session([("a", 1)]) };
    for handler in [get(write), get(helper)] {
        let app = Router::new().route("/", handler).layer(layer());
        let (logs, _guard) = Logs::capture();
        let regular = client(app.clone());
        regular.get("/").await;
        regular.get("/").await;
        for _ in 0..40 {
            client(app.clone()).get("/").await;
        }
        assert_eq!(lines_with(&logs, "none has come back"), 0);
    }
}

#[tokio::test]
async fn a_secure_cookie_without_a_prefix_is_a_warning_once() {
    let named = |layer: SessionLayer| layer.name("sid").unwrap();
    for (layer, warnings) in [
        (named(layer()), 1),
        (named(layer().domain("example.com").unwrap()), 1),
        (layer(), 0),
        (layer().domain("example.com").unwrap(), 0),
        (layer().name("__Secure-sid").unwrap(), 0),
        (named(layer()).insecure_over_http(), 0),
    ] {
        let (logs, _guard) = Logs::capture();
        for _ in 0..2 {
            client(Router::new().route("/", get(write)).layer(layer.clone())).get("/").await;
        }
        assert_eq!(lines_with(&logs, "the name of the session cookie has no prefix"), warnings, "{layer:?}");
    }
}

#[test]
fn insecure_cookies_say_so() {
    let (logs, _guard) = Logs::capture();
    let _ = layer().insecure_over_http();
    let lines = logs.take();
    let told: Vec<_> = lines.iter().filter(|line| line.contains("plain HTTP")).collect();
    let level = if cfg!(debug_assertions) { "INFO" } else { "WARN" };
    assert!(told.len() == 1 && told[0].starts_with(level), "{told:?}");
}

#[tokio::test]
async fn a_cookie_of_another_application_that_is_replaced_is_a_warning_once_a_minute() {
    let clock = ManualClock::at(NOW);
    let one = Client::new(Router::new().route("/", get(write)).layer(layer()));
    one.get("/").await;
    let theirs = one.cookie("__Host-session").unwrap();
    let other = SessionLayer::signed(other_keys()).clock(clock.clone());
    let app = Router::new().route("/", get(write)).route("/read", get(me)).layer(other);
    let (logs, _guard) = Logs::capture();
    for advance in [0, 59, 1] {
        clock.advance(Duration::from_secs(advance));
        let browser = Client::new(app.clone());
        browser.set_cookie("__Host-session", &theirs);
        browser.get("/read").await;
        assert_eq!(lines_with(&logs, "is replaced"), 0, "a read replaces nothing");
        browser.get("/").await;
        assert_eq!(lines_with(&logs, "give one of them another `name`"), usize::from(advance != 59));
    }
}

/// A token of another version: our keys have made it, and its payload is no secret of a record.
#[tokio::test]
async fn a_cookie_that_our_keys_have_made_is_not_called_one_of_another_application() {
    let ring = other_keys().ring(Protection::Signed, Purpose::Id, "__Host-session", "");
    let mut body = Frame { id: SessionId::from_bytes([7; 16]), created_at: NOW, issued_at: NOW }.begin_body(5);
    body.extend_from_slice(b"short");
    let layer = SessionLayer::stored(MemoryStore::new(), other_keys()).clock(ManualClock::at(NOW));
    let browser = Client::new(Router::new().route("/", get(write)).layer(layer));
    browser.set_cookie("__Host-session", &ring.seal(&body).unwrap());
    let (logs, _guard) = Logs::capture();
    assert_eq!(browser.get("/").await.set_cookies().len(), 1);
    let lines = logs.take();
    assert!(lines.iter().any(|line| line.contains("session.refused") && line.contains("unreadable")), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("cookie.foreign")), "{lines:?}");
}

#[tokio::test]
async fn a_clock_that_is_ahead_is_a_warning_once_a_minute() {
    let clock = ManualClock::at(NOW);
    let layer = layer().clock(clock.clone());
    let client = Client::new(Router::new().route("/", get(write)).layer(layer.clone()));
    client.enter(&TestSession::new(&layer).insert("user", "alice"));
    clock.set(NOW - 61);
    let (logs, _guard) = Logs::capture();
    let cookie = client.cookie("__Host-session").unwrap();
    for _ in 0..3 {
        client.set_cookie("__Host-session", &cookie);
        client.get("/").await;
    }
    assert_eq!(lines_with(&logs, "synchronize the clocks"), 1);
}

#[tokio::test]
async fn a_setting_without_effect_is_an_error_once() {
    let second = Duration::from_secs(1);
    let stored = || SessionLayer::stored(MemoryStore::new(), other_keys());
    let revocable = || layer().revocations(MemoryStore::new());
    for (setting, layer) in [
        ("revocations", stored().revocations(MemoryStore::new())),
        ("revocations", SessionLayer::null().revocations(MemoryStore::new())),
        ("store_timeout", layer().store_timeout(second)),
        ("sweep_every", layer().sweep_every(second)),
        ("sessions_per_owner", revocable().sessions_per_owner(3)),
        ("encrypt_records", layer().encrypt_records(Keys::generate())),
        ("encrypt_records", revocable().encrypt_records(Keys::generate())),
        ("insecure_trust_when_unavailable", layer().insecure_trust_when_unavailable()),
        ("migrating_from", SessionLayer::null().migrating_from(layer(), SystemTime::now() + second)),
        ("partitioned", layer().insecure_over_http().partitioned(true)),
    ] {
        let (logs, _guard) = Logs::capture();
        let client = Client::new(Router::new().route("/", get(me)).route("/other", get(me)).layer(layer));
        client.get("/").await;
        client.get("/other").await;
        let lines = logs.take();
        let told: Vec<_> = lines.iter().filter(|line| line.contains("has no effect")).collect();
        assert!(told.len() == 1 && told[0].starts_with("ERROR") && told[0].contains(setting), "{setting}: {lines:?}");
    }
    let (logs, _guard) = Logs::capture();
    let several = layer().bearer().sweep_every(second).sessions_per_owner(3).insecure_over_http().partitioned(true);
    Client::new(Router::new().route("/", get(me)).route("/other", get(me)).layer(several)).get("/").await;
    let lines = logs.take();
    let told: Vec<_> = lines.iter().filter(|line| line.contains("has no effect")).collect();
    assert_eq!(told.len(), 4, "{told:?}");
    for setting in ["bearer", "sweep_every", "sessions_per_owner", "partitioned"] {
        assert_eq!(told.iter().filter(|line| line.contains(&format!("setting={setting}"))).count(), 1, "{told:?}");
    }
    for layer in [
        revocable().store_timeout(second).sweep_every(second).insecure_trust_when_unavailable(),
        stored().store_timeout(second).sessions_per_owner(3).sweep_every(None).encrypt_records(Keys::generate()),
        layer().store_timeout(second).insecure_trust_when_unavailable().revocations(MemoryStore::new()),
        layer().partitioned(true).insecure_over_http(),
    ] {
        let (logs, _guard) = Logs::capture();
        Client::new(Router::new().route("/", get(me)).layer(layer)).get("/").await;
        assert_eq!(lines_with(&logs, "has no effect"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_order_of_the_settings_does_not_matter() {
    let list = Watched::new();
    let layer = layer().store_timeout(Duration::from_millis(100)).revocations(list.clone());
    let client = Client::new(Router::new().route("/", get(me)).layer(layer.clone()));
    client.enter(&TestSession::new(&layer).insert("user", "alice"));
    list.fail(Fault::Late, u32::MAX);
    let began = tokio::time::Instant::now();
    assert_eq!(client.get("/").await.status(), 503);
    assert_eq!(began.elapsed(), Duration::from_millis(100));
}

#[tokio::test]
#[cfg(debug_assertions)]
async fn flashing_on_a_page_is_a_warning_once() {
    use axum::response::Redirect;

    let app = Router::new()
        .route("/page", get(|| async { "saved".flashing(("info", "saved")) }))
        .route("/refused", get(|| async { (StatusCode::UNPROCESSABLE_ENTITY, "no").flashing(("info", "no")) }))
        .route("/redirect", get(|| async { Redirect::to("/").flashing(("info", "saved")) }))
        .route("/htmx", get(|| async { ([("hx-redirect", "/")], "").flashing(("info", "saved")) }))
        .route("/empty", get(|| async { StatusCode::NO_CONTENT.flashing(("info", "saved")) }))
        .route("/nothing", get(|| async { "page".flashing(None::<(&str, &str)>) }))
        .route("/now", get(|mut flash: Flash| async move { flash.now("info", "saved") }))
        .route(
            "/toast",
            get(async |flash: Flash| {
                let mut page = "saved".flashing(("info", "saved"));
                drop(flash.take_pending(&mut page));
                page
            }),
        );
    for (path, lines) in
        [("/redirect", 0), ("/htmx", 0), ("/empty", 0), ("/nothing", 0), ("/toast", 0), ("/page", 1), ("/refused", 1)]
    {
        let client = client(app.clone().layer(layer()));
        let (logs, _guard) = Logs::capture();
        client.get(path).await;
        client.get(path).await;
        assert_eq!(lines_with(&logs, "a response that is a page flashed a message"), lines, "{path}");
    }
}
