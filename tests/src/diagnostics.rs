//! What a mistake says: each is made here, and the sentence has the cause and what to do.

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::get};
use session_axum::{
    Error, FlashMode, Session, SessionLayer,
    testing::{Client, TestSession},
};
use session_stores::{MemoryStore, MySqlStore, PostgresStore, RedisStore, SqliteStore};
use session_test_servers::free_port;
use tokio::sync::mpsc;

use crate::support::{
    app::{keys, layer},
    logs::Logs,
};

#[tokio::test]
async fn a_value_of_another_type_names_both_types() {
    async fn wrong(session: Session) -> Result<String, Error> {
        session.insert("name", "ada")?;
        session.insert("cart", ["tea"])?;
        session.insert("visits", 3)?;
        session.insert("user", serde_json::json!({ "id": 7 }))?;
        session.insert("member", true)?;
        let errors = [
            session.get::<u32>("name").unwrap_err(),
            session.get::<std::collections::HashMap<String, Option<u8>>>("cart").unwrap_err(),
            session.get::<Vec<String>>("visits").unwrap_err(),
            session.get::<bool>("user").unwrap_err(),
            session.update("member", |old: Option<u32>| old.unwrap_or(0)).await.unwrap_err(),
        ];
        Ok(errors.map(|error| error.to_string()).join("\n"))
    }
    let text = Client::new(Router::new().route("/", get(wrong)).layer(layer())).get("/").await.text();
    let remedy = "use the type that was inserted, or remove the key";
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines,
        [
            format!("the session's value for `name`, a text, cannot be read as `u32`: {remedy}"),
            format!(
                "the session's value for `cart`, a list, cannot be read as `HashMap<String, Option<u8>>`: {remedy}"
            ),
            format!("the session's value for `visits`, a number, cannot be read as `Vec<String>`: {remedy}"),
            format!("the session's value for `user`, an object, cannot be read as `bool`: {remedy}"),
            format!("the session's value for `member`, a boolean, cannot be read as `u32`: {remedy}"),
        ]
    );
}

#[tokio::test]
async fn destroy_after_the_response_says_that_it_comes_too_late() {
    let (handles, mut received) = mpsc::unbounded_channel();
    let keep = move |session: Session| {
        let name = session.get::<String>("user").unwrap();
        handles.send(session).unwrap();
        async move { name.unwrap_or_default() }
    };
    let layer = layer();
    let client = Client::new(Router::new().route("/", get(keep)).layer(layer.clone()));
    client.enter(&TestSession::new(&layer).insert("user", "ada"));
    client.get("/").await;
    let late = received.recv().await.unwrap();
    let (logs, _guard) = Logs::capture();
    assert_eq!(format!("{:?}", late.destroy()), "TooLate");
    assert!(logs.take().iter().any(|line| line.contains("a change was dropped")));
    assert_eq!(client.get("/").await.text(), "ada", "the session goes on");
}

#[test]
fn a_layer_prints_its_settings_by_their_names_and_no_secret() {
    assert_eq!(
        format!("{:?}", layer()),
        "SessionLayer { engine: signed, name: \"__Host-session\", attributes: HttpOnly; SameSite=Lax; Secure; Path=/, \
         flash_name: \"__Host-flash\", idle_timeout: 24h, lifetime: 30d }"
    );
    assert_eq!(format!("{:?}", SessionLayer::null()), "SessionLayer { engine: null }");
    let settings = SessionLayer::stored(Arc::new(MemoryStore::new()), keys())
        .name("__Secure-shop")
        .unwrap()
        .domain("example.com")
        .unwrap()
        .application("shop")
        .idle_timeout(Duration::from_secs(90))
        .lifetime(Duration::from_secs(7 * 24 * 60 * 60))
        .store_timeout(Duration::from_millis(1_500))
        .flash_mode(FlashMode::NextRequest)
        .sessions_per_owner(5)
        .persistent(true)
        .bearer();
    assert_eq!(
        format!("{settings:?}"),
        "SessionLayer { engine: stored, name: \"__Secure-shop\", attributes: HttpOnly; SameSite=Lax; Secure; \
         Path=/; Domain=example.com, flash_name: \"__Secure-shop-flash\", idle_timeout: 90s, lifetime: 7d, application: \"shop\", \
         store_timeout: 1.5s, flash_mode: NextRequest, sessions_per_owner: 5, persistent: true, bearer: true }"
    );
}

/// A store that cannot be reached names the host and the port, or the path, and the system's cause.
#[tokio::test]
async fn a_store_that_cannot_be_reached_names_the_place_and_the_cause() {
    let port = free_port();
    let refused = "Connection refused";
    let missing = "unable to open database file";
    let place = format!("127.0.0.1:{port}");
    let errors = [
        (
            format!("{:?}", RedisStore::connect(&format!("redis://:secret@{place}")).await.unwrap_err()),
            &place[..],
            refused,
        ),
        (
            format!("{:?}", PostgresStore::connect(&format!("postgres://u:secret@{place}/x")).await.unwrap_err()),
            &place,
            refused,
        ),
        (
            format!("{:?}", MySqlStore::connect(&format!("mysql://u:secret@{place}/x")).await.unwrap_err()),
            &place,
            refused,
        ),
        (
            format!("{:?}", SqliteStore::connect("sqlite:///not/there/sessions.db").await.unwrap_err()),
            "/not/there/sessions.db",
            missing,
        ),
        (
            format!("{:?}", PostgresStore::connect("postgres://u:secret@no-such-host.invalid/x").await.unwrap_err()),
            "no-such-host.invalid:5432",
            "failed to lookup address information",
        ),
    ];
    for (error, place, cause) in errors {
        assert!(error.contains(place) && error.contains(cause), "{place}, {cause}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
