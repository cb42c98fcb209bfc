//! The testing kit forges and reads sessions of every store, in both kinds of runtime, and each time.

use std::{panic::AssertUnwindSafe, sync::Arc, thread};

use axum::http::Method;
use futures_util::FutureExt as _;
use session_axum::{
    SessionLayer,
    store::SessionStore,
    testing::{Client, TestSession},
};
use session_stores::MemoryStore;

use super::app;
use crate::support::{app::keys, backends::Backend};

/// A layer, and what its store needs to go on.
async fn on(backend: Option<Backend>) -> (SessionLayer, Option<Backend>) {
    let store: Arc<dyn SessionStore> = match &backend {
        Some(backend) => backend.connect().await,
        None => Arc::new(MemoryStore::new()),
    };
    (SessionLayer::stored(store, keys()), backend)
}

/// The async methods.
async fn forge_and_load(layer: &SessionLayer) {
    let client = Client::new(app(layer.clone()));
    for number in 0..TIMES {
        let session = TestSession::new(layer).insert("a", number.to_string()).flash("success", "hi").saved().await;
        client.enter(&session);
        assert_eq!(client.get("/get/a").await.text(), number.to_string());
        let read = TestSession::load(layer, &client).await;
        assert_eq!((read.id(), read.get("a")), (session.id(), Some(number.to_string())));
        assert_eq!(read.messages().get("success"), Some("hi"));
        // A change of a saved session is saved too, under the same cookie.
        let changed = read.insert("a", "changed").insert("b", 1).saved().await;
        assert_eq!(changed.id(), session.id());
        assert_eq!(client.get("/get/a").await.text(), "changed");
        let other = Client::new(app(layer.clone()));
        other.enter(&changed);
        assert_eq!(TestSession::load(layer, &other).await.keys(), ["a", "b"]);
        // A session that has ended begins again.
        client.get("/destroy").await;
        assert!(TestSession::load(layer, &client).await.keys().is_empty());
        client.enter(&TestSession::new(layer).insert("a", "again").saved().await);
        assert_eq!(client.get("/get/a").await.text(), "again");
    }
}

/// The methods that block.
async fn forge_and_read(layer: &SessionLayer) {
    for number in 0..TIMES {
        let client = Client::new(app(layer.clone()));
        let session = TestSession::new(layer).insert("a", number.to_string());
        client.enter(&session);
        client.enter(&session);
        let read = TestSession::of_client(layer, &client);
        assert_eq!((read.id(), read.get("a")), (session.id(), Some(number.to_string())));
        let request = TestSession::new(layer).insert("a", "request").request(Method::GET, "/get/a");
        assert_eq!(Client::new(app(layer.clone())).send(request).await.text(), "request");
        let page = client.get("/renew").await;
        assert_eq!(TestSession::of_response(layer, page.headers()).get("a"), Some(number.to_string()));
    }
}

/// Without awaiting anything in between, so that tokio never gets its thread back.
async fn forge_in_one_go(layer: &SessionLayer) {
    let client = Client::new(app(layer.clone()));
    for number in 0..10 * TIMES {
        client.enter(&TestSession::new(layer).insert("a", number.to_string()));
    }
    assert_eq!(client.get("/get/a").await.text(), (10 * TIMES - 1).to_string());
}

/// What a panic says.
async fn panic_of(test: impl Future<Output = ()>) -> String {
    let panic = AssertUnwindSafe(test).catch_unwind().await.expect_err("it cannot work");
    panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|&text| text.into())).unwrap()
}

/// Makes the tests of a store.
macro_rules! forged {
    ($($name:ident: $backend:expr;)+) => {$(
        mod $name {
            use super::*;

            #[tokio::test]
            async fn the_async_methods_work_in_a_runtime_with_one_thread() {
                let (layer, _backend) = on($backend).await;
                forge_and_load(&layer).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
            async fn the_async_methods_work_in_a_runtime_with_several_threads() {
                let (layer, _backend) = on($backend).await;
                forge_and_load(&layer).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
            async fn the_blocking_methods_work_in_a_runtime_with_several_threads() {
                let (layer, _backend) = on($backend).await;
                forge_and_read(&layer).await;
                forge_in_one_go(&layer).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
            async fn the_blocking_methods_work_in_a_spawned_task() {
                let (layer, _backend) = on($backend).await;
                tokio::spawn(async move {
                    forge_and_read(&layer).await;
                    forge_in_one_go(&layer).await;
                })
                .await
                .unwrap();
            }

            #[tokio::test]
            async fn outside_of_a_runtime_the_blocking_methods_say_what_to_do() {
                let (layer, _backend) = on($backend).await;
                let outside = thread::spawn(move || TestSession::new(&layer).insert("a", 1).cookies());
                let panic = outside.join().unwrap_err();
                assert!(panic.downcast_ref::<String>().unwrap().contains("use `#[tokio::test]`"));
            }
        }
    )+};
}

forged! {
    memory: None;
    sqlite: Some(Backend::sqlite());
    postgres: Some(Backend::postgres().await);
    mariadb: Some(Backend::mariadb().await);
    redis: Some(Backend::redis());
}

#[tokio::test]
async fn stores_without_a_socket_answer_a_blocked_thread() {
    for backend in [None, Some(Backend::sqlite())] {
        let (layer, _backend) = on(backend).await;
        forge_and_read(&layer).await;
        forge_in_one_go(&layer).await;
    }
}

/// A store with a socket cannot answer a blocked thread.
async fn the_kit_says_what_to_do(backend: Backend) {
    let (layer, _backend) = on(Some(backend)).await;
    let client = Client::new(app(layer.clone()));
    client.get("/set/a/1").await;
    for _ in 0..2 {
        for panic in [
            panic_of(async { client.enter(&TestSession::new(&layer).insert("a", 1)) }).await,
            panic_of(async { drop(TestSession::of_client(&layer, &client)) }).await,
        ] {
            assert!(panic.contains(".saved().await") && panic.contains("multi_thread"), "{panic}");
        }
    }
    assert_eq!(client.get("/get/a").await.text(), "1", "the store still works");
}

#[tokio::test]
async fn postgres_cannot_answer_a_blocked_thread_and_the_kit_says_what_to_do() {
    the_kit_says_what_to_do(Backend::postgres().await).await;
}

#[tokio::test]
async fn mariadb_cannot_answer_a_blocked_thread_and_the_kit_says_what_to_do() {
    the_kit_says_what_to_do(Backend::mariadb().await).await;
}

#[tokio::test]
async fn redis_cannot_answer_a_blocked_thread_and_the_kit_says_what_to_do() {
    the_kit_says_what_to_do(Backend::redis()).await;
}

const TIMES: usize = 50;
