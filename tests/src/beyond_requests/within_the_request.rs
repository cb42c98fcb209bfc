//! A handle of a request that begins, renews, ends or fails, and a handle that is used before the response.

use std::time::Duration;

use axum::{Router, http::StatusCode, routing::get};
use session_axum::{Detached, ErrorKind, Session, SessionLayer, testing::Client};
use tokio::time::{Instant, sleep, timeout};

use super::{COOKIE, HOUR, Handles, Site};
use crate::support::watched::{Fault, Watched};

async fn value(handle: &Detached, key: &str) -> Option<String> {
    handle.get(key).await.unwrap()
}

#[tokio::test]
async fn a_handle_is_on_the_session_that_its_request_begins() {
    let site = Site::on(Watched::new(), |layer| layer);
    let handle = site.handle("begin").await;
    assert_eq!(value(&handle, "a").await.as_deref(), Some("1"));
    handle.insert("a", "2").await.unwrap();
    assert_eq!(site.get("/get/a").await, "2");
}

#[tokio::test]
async fn a_handle_is_on_the_session_that_its_request_renews_rotates_or_replaces() {
    for (action, key, expected) in [("renew", "renewed", "yes"), ("rotate", "a", "1"), ("replace", "a", "replaced")] {
        let (site, _) = Site::watched().await;
        let handle = site.handle(action).await;
        assert_eq!(value(&handle, key).await.as_deref(), Some(expected), "{action}");
        handle.insert("b", action).await.unwrap();
        assert_eq!(site.get("/get/b").await, action);
        site.get("/do/destroy").await;
        assert!(!handle.is_alive().await.unwrap());
    }
}

#[tokio::test]
async fn a_request_that_ends_its_session_ends_its_handle() {
    let (site, store) = Site::watched().await;
    let handle = site.handle("destroy").await;
    store.calls();
    assert!(!handle.is_alive().await.unwrap());
    assert_eq!(store.calls(), [""; 0], "it is known without the store");
}

#[tokio::test]
async fn a_failed_request_begins_no_session_and_keeps_the_one_that_came() {
    let site = Site::on(Watched::new(), |layer| layer);
    let handle = site.handle("fail").await;
    assert_eq!(*handle.get::<bool>("lost").await.unwrap_err().kind(), ErrorKind::Gone);

    site.get("/set/a/1").await;
    let handle = site.handle("fail").await;
    assert_eq!(handle.get::<bool>("lost").await.unwrap(), None);
    assert_eq!(value(&handle, "a").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_request_without_a_session_leaves_a_handle_on_none() {
    let (site, store) = (Site::on(Watched::new(), |layer| layer), Watched::new());
    let handle = site.handle("nothing").await;
    assert_eq!(*handle.insert("a", 1).await.unwrap_err().kind(), ErrorKind::Gone);
    assert!(!handle.is_alive().await.unwrap());
    assert_eq!(store.calls(), [""; 0]);
}

#[tokio::test]
async fn a_store_that_fails_at_the_response_leaves_a_handle_on_none() {
    let store = Watched::new();
    let site = Site::on(store.clone(), |layer| layer);
    store.fail(Fault::Refused, 1);
    let handle = site.handle("begin").await;
    assert!(!handle.is_alive().await.unwrap());

    site.get("/set/a/1").await;
    store.fail_after_load(Fault::Refused, 1);
    let handle = site.handle("renew").await;
    assert_eq!(value(&handle, "a").await.as_deref(), Some("1"), "the session has its former id");
}

#[tokio::test(start_paused = true)]
async fn a_task_waits_until_the_session_is_saved() {
    let site = Site::on(Watched::new(), |layer| layer);
    let (sender, mut tasks) = tokio::sync::mpsc::unbounded_channel();
    let writes = move |session: Session| async move {
        session.insert("a", "1").unwrap();
        let handle = session.detached();
        let task = tokio::spawn(async move { handle.insert("b", "task").await });
        // Long enough for the task to ask, and shorter than the store's timeout.
        sleep(Duration::from_secs(1)).await;
        assert!(!task.is_finished());
        sender.send(task).unwrap();
    };
    let client = Client::new(Router::new().route("/", get(writes)).layer(site.layer.clone()));
    client.get("/").await;
    tasks.recv().await.unwrap().await.unwrap().unwrap();
    site.client.set_cookie(COOKIE, &client.cookie(COOKIE).unwrap());
    assert_eq!(site.get("/get/b").await, "task");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_waits_for_its_own_handle_gets_an_error_within_the_timeout() {
    let site = Site::on(Watched::new(), |layer| layer.store_timeout(Duration::from_secs(3)));
    let began = Instant::now();
    let page = site.client.get("/within/unsaved").await;
    assert_eq!(page.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(began.elapsed().as_secs(), 3);
    assert_eq!(site.get("/within/after-save").await, "within");
    assert_eq!(site.get("/get/b").await, "handle");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_leaves_a_handle_on_none() {
    let site = Site::on(Watched::new(), |layer| layer);
    assert!(timeout(Duration::from_secs(1), site.client.get("/handle/wait")).await.is_err());
    let handle = site.handles.take();
    let began = Instant::now();
    assert_eq!(*handle.get::<String>("a").await.unwrap_err().kind(), ErrorKind::Gone);
    assert!(handle.ended().await.is_ok());
    assert_eq!(began.elapsed(), Duration::ZERO, "it is known at once");

    site.get("/set/a/1").await;
    assert!(timeout(Duration::from_secs(1), site.client.get("/handle/wait")).await.is_err());
    assert_eq!(value(&site.handles.take(), "a").await.as_deref(), Some("1"), "the session that came is still there");
}

#[tokio::test]
async fn a_handle_never_takes_the_renewal_of_its_own_request_for_an_end() {
    for action in ["renew", "replace"] {
        let (site, store) = Site::watched().await;
        // The store has moved the record, and the request has no answer yet.
        store.fail_after_load(Fault::Yield, 1_000);
        let looking = async {
            let handle = loop {
                match site.handles.pop() {
                    Some(handle) => break handle,
                    None => tokio::task::yield_now().await,
                }
            };
            for _ in 0..100 {
                assert!(handle.is_alive().await.unwrap(), "{action}");
                tokio::task::yield_now().await;
            }
        };
        let path = format!("/handle/{action}");
        tokio::join!(site.client.get(&path), looking);
    }
}

#[tokio::test]
async fn a_log_in_with_the_cookie_of_an_ended_session_has_a_handle() {
    let (site, _) = Site::watched().await;
    let former = site.cookie();
    site.get("/do/destroy").await;
    site.client.set_cookie(COOKIE, &former);
    let handle = site.handle("renew").await;
    assert_eq!(value(&handle, "renewed").await.as_deref(), Some("yes"));
}

#[tokio::test]
async fn a_rotation_by_another_request_does_not_end_the_handle_of_a_request_that_changes() {
    let store = Watched::new();
    let site = Site::on(store.clone(), |layer| layer);
    site.get("/set/a/1").await;
    let former = site.cookie();
    let slow = Client::new(slow_app(&site.layer, site.handles.clone()));
    slow.set_cookie(COOKIE, &former);
    let rotating = async {
        sleep(Duration::from_millis(20)).await;
        site.get("/do/rotate").await;
    };
    tokio::join!(slow.get("/slow"), rotating);
    let handle = site.handles.take();
    assert_eq!(value(&handle, "a").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_rotation_in_the_middle_of_a_method_does_not_end_the_handle() {
    for method in ["visit", "insert", "update", "remove"] {
        let (site, store) = Site::watched().await;
        let handle = site.handle("nothing").await;
        site.clock.advance(12 * HOUR);
        // The store has answered the method's first question, and the rotation comes before its second one.
        store.fail(Fault::Yield, 1);
        let acting = async {
            match method {
                "visit" => handle.visit().await,
                "insert" => handle.insert("b", 1).await,
                "update" => handle.update("b", |_: Option<u8>| 1).await.map(drop),
                _ => handle.remove("a").await.map(drop),
            }
        };
        let (done, page) = tokio::join!(biased; acting, site.client.get("/do/rotate"));
        assert_eq!(page.set_cookies().len(), 1, "{method}");
        done.unwrap_or_else(|error| panic!("{method}: {error}"));
        let calls = store.calls();
        assert!(calls.iter().filter(|call| **call == "load").count() >= 4, "{method}: {calls:?}");
    }
}

/// An application that changes the session after another request has rotated it.
fn slow_app(layer: &SessionLayer, handles: Handles) -> Router {
    let slow = move |session: Session| {
        let handles = handles.clone();
        async move {
            handles.leave(&session);
            sleep(Duration::from_millis(100)).await;
            session.insert("dropped", true)
        }
    };
    Router::new().route("/slow", get(slow)).layer(layer.clone())
}
