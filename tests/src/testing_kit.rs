//! The testing kit, as a test of a handler uses it.

use std::{collections::HashMap, time::Duration};

use axum::{
    Form, Json, Router,
    http::{
        HeaderMap, Method, StatusCode,
        header::{COOKIE, SET_COOKIE},
    },
    response::{AppendHeaders, Redirect},
    routing::{any, get, post},
};
use serde_json::{Value, json};
use session_axum::{
    Error, Keys, Session, SessionLayer, Sessions,
    testing::{Client, ManualClock, TestSession},
};
use session_stores::MemoryStore;

use crate::support::{
    app::{NOW, OLD_SECRET, layer, timed_layer},
    backends::Backend,
    logs::Logs,
};

async fn user(session: Session) -> Result<String, Error> {
    Ok(session.get::<String>("user")?.unwrap_or_else(|| "stranger".to_owned()))
}

fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/", get(user))
        .route("/outside", get(async || "no layer here"))
        .route(
            "/echo",
            any(async |method: Method, headers: HeaderMap, body: String| {
                let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
                Json(json!({
                    "method": method.as_str(), "type": header("content-type"), "language": header("accept-language"),
                    "authorization": header("authorization"), "body": body,
                }))
            }),
        )
        .route(
            "/form",
            get(async || Redirect::to("/?page=2")).post(async |Form(form): Form<HashMap<String, String>>| Json(form)),
        )
        .layer(layer)
}

#[tokio::test]
async fn a_request_is_built_as_with_reqwest() {
    let client = Client::new(app(layer()));
    let echo: Value = client
        .request(Method::PUT, "/echo")
        .header("accept-language", "de")
        .bearer_auth("abc")
        .json(&json!({ "item": "tea" }))
        .send()
        .await
        .json();
    assert_eq!(
        echo,
        json!({
            "method": "PUT", "type": "application/json", "language": "de", "authorization": "Bearer abc",
            "body": r#"{"item":"tea"}"#,
        })
    );
    let posted: Value = client.post_json("/echo", &["tea"]).header("accept-language", "fr").await.json();
    assert_eq!((&posted["body"], &posted["language"]), (&json!(r#"["tea"]"#), &json!("fr")));
    let saved: HashMap<String, String> = client.post("/form").form(&[("name", "Ada & Co")]).await.json();
    assert_eq!(saved["name"], "Ada & Co");
    let plain: Value = client.post("/echo").header("content-type", "text/csv").body("tea,2").await.json();
    assert_eq!((&plain["type"], &plain["body"]), (&json!("text/csv"), &json!("tea,2")));
}

#[tokio::test]
async fn a_response_has_its_location_and_a_text_to_keep() {
    let client = Client::new(app(layer()));
    assert_eq!(client.get("/form").await.location(), Some("/?page=2"));
    let page = client.get("/").await.text();
    assert_eq!((client.get("/").await.location(), page.as_str()), (None, "stranger"));
    let message = std::panic::AssertUnwindSafe(async { client.get("/").await.json::<Value>() });
    let panic = futures_util::FutureExt::catch_unwind(message).await.unwrap_err();
    let panic = panic.downcast_ref::<String>().unwrap();
    assert!(panic.contains("(200 OK) is not the expected JSON") && panic.contains("\"stranger\""), "{panic}");
}

/// RFC 6265bis, section 5.8.3: longer paths first, then the older first. A cookie that is set again keeps its age, but not
/// one that was removed or that has expired.
#[tokio::test]
async fn cookies_are_sent_in_the_order_of_a_browser() {
    let set = async |cookies: String| {
        AppendHeaders(cookies.split('|').map(|one| (SET_COOKIE, one.to_owned())).collect::<Vec<_>>())
    };
    let sent = async |headers: HeaderMap| {
        headers.get(COOKIE).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let clock = ManualClock::at(NOW);
    let app = Router::new().route("/", post(set).get(sent)).route("/shop", get(sent));
    let client = Client::new(app).with_clock(&clock);
    for (cookies, header) in [
        ("z=1; Path=/|b=1; Path=/|a=1; Path=/", "z=1; b=1; a=1"),
        ("z=2; Path=/|c=1; Path=/shop|m=1; Max-Age=60; Path=/", "z=2; b=1; a=1; m=1"),
        ("b=0; Max-Age=0; Path=/", "z=2; a=1; m=1"),
        ("b=2; Path=/", "z=2; a=1; m=1; b=2"),
    ] {
        client.post("/").body(cookies).await;
        assert_eq!(client.get("/").await.text(), header);
    }
    assert_eq!(client.get("/shop").await.text(), "c=1; z=2; a=1; m=1; b=2");
    clock.advance(Duration::from_secs(60));
    client.post("/").body("m=2; Path=/").await;
    client.set_cookie("a", "2");
    assert_eq!(client.get("/").await.text(), "z=2; a=2; b=2; m=2");
    assert_eq!(client.cookie_names(), ["a", "b", "c", "m", "z"]);
}

#[tokio::test]
async fn a_session_with_a_seed_is_the_same_in_every_run() {
    let (layer, _) = timed_layer();
    let session = TestSession::new(&layer).seed(7).insert("user", "ada");
    assert_eq!(session.cookies(), TestSession::new(&layer).seed(7).insert("user", "ada").cookies());
    assert_ne!(session.id(), TestSession::new(&layer).seed(8).id());

    let layer = SessionLayer::stored(MemoryStore::new(), Keys::generate());
    for _ in 0..2 {
        let client = Client::new(app(layer.clone()));
        client.enter(&TestSession::new(&layer).seed(7).insert("user", "ada"));
        assert_eq!(client.get("/").await.text(), "ada");
    }
}

/// Lists the devices of Ada, and whether this visitor has just confirmed who they are.
async fn devices(session: Session, sessions: Sessions) -> Result<String, Error> {
    let labels: Vec<_> = sessions.of("ada").await?.into_iter().filter_map(|device| device.label).collect();
    let is_confirmed = session.confirmed_within(Duration::from_secs(60));
    Ok(format!("{} {is_confirmed}", labels.join(", ")))
}

#[tokio::test]
async fn a_forged_session_has_an_owner_a_label_and_a_confirmation() {
    for backend in [Backend::sqlite(), Backend::postgres().await, Backend::mariadb().await, Backend::redis()] {
        let layer = SessionLayer::stored(backend.connect().await, Keys::generate()).application(backend.address());
        let client = Client::new(Router::new().route("/", get(devices)).layer(layer.clone()));
        client.enter(&TestSession::new(&layer).insert("user", "ada").owner("ada").label("A phone").confirmed());
        assert_eq!(client.get("/").await.text(), "A phone true", "{}", backend.address());
    }
}

async fn log_out_everywhere(sessions: Sessions) -> Result<(), Error> {
    sessions.destroy_all("ada").await.map(drop)
}

#[tokio::test]
async fn a_forged_session_in_a_cookie_belongs_to_its_owner_where_owners_are_kept() {
    let layer = SessionLayer::signed(Keys::generate()).revocations(MemoryStore::new());
    let app = app(layer.clone()).merge(Router::new().route("/all", get(log_out_everywhere)).layer(layer.clone()));
    let client = Client::new(app);
    client.enter(&TestSession::new(&layer).insert("user", "ada").owner("ada"));
    assert_eq!(client.get("/").await.text(), "ada");
    client.get("/all").await;
    assert_eq!(client.get("/").await.text(), "stranger");
}

#[tokio::test]
async fn a_session_that_was_forged_for_another_layer_says_so_once() {
    let (logs, _guard) = Logs::capture();
    let said = || logs.take().into_iter().filter(|line| line.contains("no session for the application")).count();
    let others = [
        SessionLayer::signed(Keys::new(OLD_SECRET).unwrap()),
        layer().name("other").unwrap(),
        layer().application("other"),
        SessionLayer::encrypted(crate::support::app::keys()),
    ];
    for other in others {
        let client = Client::new(app(layer()));
        client.enter(&TestSession::new(&other).insert("user", "ada"));
        assert_eq!(client.get("/").await.text(), "stranger");
        assert_eq!(said(), 1);
        client.get("/").await;
        assert_eq!(said(), 0);
    }
}

#[tokio::test]
async fn a_session_that_opens_says_nothing() {
    let (logs, _guard) = Logs::capture();
    let rotated = SessionLayer::signed(Keys::generate().with_fallback(OLD_SECRET).unwrap());
    let old = SessionLayer::signed(Keys::new(OLD_SECRET).unwrap());
    for (here, forged) in [
        (layer(), layer()),
        (rotated, old.clone()),
        (
            layer()
                .name("new")
                .unwrap()
                .migrating_from(old.clone(), std::time::SystemTime::now() + Duration::from_secs(60)),
            old,
        ),
    ] {
        let client = Client::new(app(here));
        client.enter(&TestSession::new(&forged).insert("user", "ada"));
        assert_eq!(client.get("/").await.text(), "ada");
    }
    let client = Client::new(Router::new().route("/", get(async || StatusCode::OK)));
    client.enter(&TestSession::new(&layer()).insert("user", "ada"));
    client.get("/").await;
    assert!(!logs.take().iter().any(|line| line.contains("no session for the application")));
}
