//! Layers that keep no sessions in a store: each method of a handle, and a bearer token, is an error that says why.

use axum::{Router, http::StatusCode, routing::get};
use session_axum::{
    Detached, Error, ErrorKind, Session, SessionLayer,
    testing::{Client, ManualClock},
};
use session_stores::MemoryStore;

use super::Site;
use crate::support::{
    app::{NOW, keys, layer},
    logs::Logs,
};

fn layers() -> [(&'static str, SessionLayer); 4] {
    [
        ("signed", layer()),
        ("encrypted", SessionLayer::encrypted(keys())),
        ("revocations", layer().revocations(MemoryStore::new())),
        ("null", SessionLayer::null()),
    ]
}

async fn errors(handle: &Detached) -> [Error; 7] {
    [
        handle.get::<String>("a").await.unwrap_err(),
        handle.insert("a", 1).await.unwrap_err(),
        handle.update("a", |_: Option<u8>| 1).await.unwrap_err(),
        handle.remove("a").await.unwrap_err(),
        handle.visit().await.unwrap_err(),
        handle.is_alive().await.unwrap_err(),
        handle.ended().await.unwrap_err(),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_method_is_an_error_at_once_that_says_why() {
    for (engine, layer) in layers() {
        let began = tokio::time::Instant::now();
        let site = Site::with(layer, ManualClock::at(NOW));
        site.client.get("/set/a/1").await;
        for handle in [site.handle("begin").await, site.handle("destroy").await] {
            for error in errors(&handle).await {
                assert_eq!(*error.kind(), ErrorKind::InCookie, "{engine}");
                assert_eq!(
                    error.to_string(),
                    "this layer keeps no sessions in a store, so a session cannot be used after the response: use \
                     `SessionLayer::stored(store, keys)`"
                );
            }
        }
        assert_eq!(began.elapsed().as_secs(), 0, "{engine}");
    }
}

#[tokio::test]
async fn a_handle_is_the_same_error_in_the_handler() {
    let within = |session: Session| async move {
        session.insert("a", 1).unwrap();
        errors(&session.detached()).await.map(|error| error.status().as_u16().to_string()).join(" ")
    };
    for (engine, layer) in layers() {
        let client = Client::new(Router::new().route("/", get(within)).layer(layer));
        assert_eq!(client.get("/").await.text(), "500 500 500 500 500 500 500", "{engine}");
    }
}

#[tokio::test]
async fn a_bearer_token_is_an_error_and_the_setting_is_one_in_the_log() {
    let token = |session: Session| async move {
        session.insert("a", 1)?;
        let error = session.bearer_token().await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::NoBearer);
        assert_eq!(
            error.to_string(),
            "this layer gives out no bearer tokens, and only sessions in a store can have them: use \
             `SessionLayer::stored(store, keys).bearer()`"
        );
        session.get::<u8>("a").map(|value| format!("{value:?}"))
    };
    let with_store = ("stored without the setting", SessionLayer::stored(MemoryStore::new(), keys()), false);
    let others = layers().map(|(engine, layer)| (engine, layer.bearer(), true));
    for (engine, layer, has_no_effect) in others.into_iter().chain([with_store]) {
        let (logs, _guard) = Logs::capture();
        let app = Router::new().route("/", get(token)).layer(layer);
        for _ in 0..2 {
            let page = Client::new(app.clone()).get("/").await;
            assert_eq!((page.status(), page.text().as_str()), (StatusCode::OK, "Some(1)"), "{engine}");
        }
        let lines = logs.take();
        let told: Vec<_> = lines.iter().filter(|line| line.contains("has no effect")).collect();
        assert_eq!(told.len(), usize::from(has_no_effect), "{engine}: {lines:#?}");
        assert!(told.iter().all(|line| line.starts_with("ERROR") && line.ends_with("setting=bearer")), "{told:?}");
    }
}
