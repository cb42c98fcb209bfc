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
use crate::support::{
    app::keys,
    backends::Backend,
    watched::{Fault, Watched},
};

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

/// What the panic says. `None` if there was none.
async fn panic_of(test: impl Future<Output = ()>) -> Option<String> {
    let panic = AssertUnwindSafe(test).catch_unwind().await.err()?;
    Some(
        panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|&text| text.into()))
            .unwrap(),
    )
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

const BLOCKED: &str = "the session store did not answer while `TestSession` blocked this thread";

#[tokio::test]
async fn a_store_cannot_wait_in_a_blocked_thread_and_the_kit_says_what_to_do() {
    let store = Watched::new();
    let layer = SessionLayer::stored(Arc::new(store.clone()), keys());
    let client = Client::new(app(layer.clone()));
    client.get("/set/a/1").await;
    store.fail(Fault::Late, u32::MAX);
    for panic in [
        panic_of(async { drop(TestSession::new(&layer).insert("a", 1).cookies()) }).await.unwrap(),
        panic_of(async { drop(TestSession::of_client(&layer, &client)) }).await.unwrap(),
    ] {
        assert!(panic.contains(BLOCKED), "{panic}");
        assert!(panic.contains(".saved().await") && panic.contains("multi_thread"), "{panic}");
    }
    store.recover();
    assert_eq!(client.get("/get/a").await.text(), "1", "the store still works");
}

#[tokio::test]
async fn a_session_that_its_store_never_writes_fails_the_next_request_and_says_why() {
    let store = Watched::new();
    let layer = SessionLayer::stored(Arc::new(store.clone()), keys());
    let client = Client::new(app(layer.clone()));
    client.get("/set/a/1").await;
    store.fail(Fault::Late, u32::MAX);
    client.enter(&TestSession::new(&layer).insert("a", 1));
    let panic = panic_of(async { drop(client.get("/get/a").await) }).await.unwrap();
    assert!(panic.starts_with("the session store failed: the session store is not available"), "{panic}");
}

/// A store with a socket cannot answer a blocked thread, unless its server is fast enough: if the answer is there
/// before the driver looks for it, the driver never waits. A session that is entered waits for the next request.
async fn the_store_answers_or_the_kit_says_what_to_do(backend: Backend) {
    let (layer, _backend) = on(Some(backend)).await;
    let client = Client::new(app(layer.clone()));
    client.get("/set/a/1").await;
    for _ in 0..2 {
        let forged = Client::new(app(layer.clone()));
        forged.enter(&TestSession::new(&layer).insert("a", 2));
        assert_eq!(TestSession::load(&layer, &forged).await.get("a"), Some(2));
        forged.enter(&TestSession::new(&layer).insert("a", "3"));
        let (one, other) = tokio::join!(forged.get("/get/a"), forged.get("/get/a"));
        assert_eq!([one.text(), other.text()], ["3", "3"]);

        let read = async { assert_eq!(TestSession::of_client(&layer, &client).get("a"), Some("1".to_owned())) };
        let panic = panic_of(read).await;
        assert!(panic.as_ref().is_none_or(|panic| panic.contains(BLOCKED)), "{panic:?}");
    }
    assert_eq!(client.get("/get/a").await.text(), "1", "the store still works");
}

#[tokio::test]
async fn postgres_answers_a_blocked_thread_or_the_kit_says_what_to_do() {
    the_store_answers_or_the_kit_says_what_to_do(Backend::postgres().await).await;
}

#[tokio::test]
async fn mariadb_answers_a_blocked_thread_or_the_kit_says_what_to_do() {
    the_store_answers_or_the_kit_says_what_to_do(Backend::mariadb().await).await;
}

#[tokio::test]
async fn redis_answers_a_blocked_thread_or_the_kit_says_what_to_do() {
    the_store_answers_or_the_kit_says_what_to_do(Backend::redis()).await;
}

const TIMES: usize = 50;
