//! A handle after the response, on each store.

use std::{sync::Arc, time::Duration};

use session_axum::{Detached, Ended, ErrorKind, SessionLayer, store::SessionStore as _};
use session_stores::MemoryStore;
use tokio::{sync::Barrier, task::JoinSet};

use super::{COOKIE, HOUR, Shared, Site, each_store};
use crate::support::{
    app::{NOW, keys},
    jar::send,
};

/// Returns a site whose browser has a session with `a` in it.
async fn site(shared: &Shared) -> Site {
    let site = Site::on(shared.connect().await, |layer| layer);
    site.get("/set/a/1").await;
    site
}

async fn assert_gone(handle: &Detached) {
    assert!(!handle.is_alive().await.unwrap());
    assert_eq!(*handle.get::<String>("a").await.unwrap_err().kind(), ErrorKind::Gone);
    assert_eq!(*handle.insert("a", 2).await.unwrap_err().kind(), ErrorKind::Gone);
    assert_eq!(*handle.update("n", |_: Option<u8>| 1).await.unwrap_err().kind(), ErrorKind::Gone);
    assert_eq!(*handle.remove("a").await.unwrap_err().kind(), ErrorKind::Gone);
    assert_eq!(*handle.visit().await.unwrap_err().kind(), ErrorKind::Gone);
}

async fn each_method_reads_and_writes_the_store_at_once(shared: Shared) {
    let site = site(&shared).await;
    let handle = site.handle("nothing").await;
    assert_eq!(handle.get::<String>("a").await.unwrap().as_deref(), Some("1"));
    assert_eq!(handle.get::<String>("b").await.unwrap(), None);
    site.get("/set/b/request").await;
    assert_eq!(handle.get::<String>("b").await.unwrap().as_deref(), Some("request"));

    handle.insert("b", "handle").await.unwrap();
    assert_eq!(site.get("/get/b").await, "handle");
    assert_eq!(handle.update("n", |n: Option<u32>| n.unwrap_or(40) + 1).await.unwrap(), 41);
    assert_eq!(handle.clone().update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await.unwrap(), 42);
    assert!(handle.remove("b").await.unwrap());
    assert!(!handle.remove("b").await.unwrap());
    assert_eq!(site.get("/get/b").await, "");
    assert!(handle.is_alive().await.unwrap());
    handle.visit().await.unwrap();
    assert_eq!(site.get("/get/a").await, "1");
}

async fn a_value_that_cannot_be_is_an_error_and_changes_nothing(shared: Shared) {
    let site = site(&shared).await;
    let handle = site.handle("nothing").await;
    let decode = |key: &str| ErrorKind::Decode { key: key.to_owned() };
    assert_eq!(*handle.get::<u32>("a").await.unwrap_err().kind(), decode("a"));
    assert_eq!(*handle.update("a", |_: Option<u32>| 1).await.unwrap_err().kind(), decode("a"));
    let encode = ErrorKind::Encode { key: "a".to_owned() };
    assert_eq!(*handle.insert("a", f64::NAN).await.unwrap_err().kind(), encode);
    assert_eq!(*handle.update("new", |_: Option<f64>| f64::NAN).await.unwrap_err().to_string(), *{
        "the value for the session key `new` cannot be stored as JSON that is read back: use finite floats and text as map \
         keys, nest at most 32 levels, and repeat no key"
    });
    for key in ["$", "$a"] {
        let reserved = ErrorKind::ReservedKey { key: key.to_owned() };
        assert_eq!(*handle.insert(key, 1).await.unwrap_err().kind(), reserved);
        assert_eq!(*handle.update(key, |_: Option<u8>| 1).await.unwrap_err().kind(), reserved);
        assert_eq!(*handle.remove(key).await.unwrap_err().kind(), reserved);
        assert_eq!(handle.get::<serde_json::Value>(key).await.unwrap(), None);
    }
    assert_eq!(site.get("/get/a").await, "1");
}

async fn the_last_value_ends_a_session_without_an_owner(shared: Shared) {
    let site = site(&shared).await;
    let handle = site.handle("nothing").await;
    assert!(handle.remove("a").await.unwrap());
    assert_gone(&handle).await;

    site.get("/set/a/1").await;
    site.get("/own/ada").await;
    let handle = site.handle("nothing").await;
    handle.insert("a", None::<u8>).await.unwrap();
    assert!(handle.is_alive().await.unwrap());
    assert_eq!(handle.get::<String>("a").await.unwrap(), None);
}

async fn no_update_is_lost_in_a_race_with_requests(shared: Shared) {
    let site = Site::on(shared.connect().await, |layer| layer.store_timeout(Duration::from_secs(60)));
    site.get("/set/a/1").await;
    let (handle, barrier) = (site.handle("nothing").await, Arc::new(Barrier::new(TASKS)));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (app, handle, barrier) = (site.app.clone(), handle.clone(), Arc::clone(&barrier));
        let cookie = format!("{COOKIE}={}", site.cookie());
        tasks.spawn(async move {
            barrier.wait().await;
            if task % 2 == 0 {
                handle.update("count", |count: Option<u32>| count.unwrap_or(0) + 1).await.unwrap();
                handle.insert(&format!("k{task}"), "there").await.unwrap();
            } else {
                send(&app, "/count", &cookie).await;
                send(&app, &format!("/set/k{task}/there"), &cookie).await;
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(handle.get::<usize>("count").await.unwrap(), Some(TASKS));
    for task in 0..TASKS {
        let value = handle.get::<String>(&format!("k{task}")).await.unwrap();
        assert_eq!(value.as_deref(), Some("there"), "k{task}");
    }
}

async fn a_rotation_takes_the_handle_along(shared: Shared) {
    let site = site(&shared).await;
    let handle = site.handle("nothing").await;
    for rotation in ["1", "2", "3"] {
        let before = site.cookie();
        site.get("/do/rotate").await;
        assert_ne!(site.cookie(), before);
        handle.visit().await.unwrap();
        handle.insert("b", rotation).await.unwrap();
        assert_eq!(site.get("/get/b").await, rotation);
    }
    for _ in 0..5 {
        site.get("/do/rotate").await;
    }
    assert_eq!(handle.get::<String>("b").await.unwrap().as_deref(), Some("3"), "five rotations at once");
    site.get("/do/rotate").await;
    site.clock.advance(HOUR / 2);
    assert!(!handle.is_alive().await.unwrap(), "after the minute, the former id leads nowhere");
}

async fn a_renewal_a_log_out_and_a_log_out_everywhere_end_the_handle(shared: Shared) {
    for end in ["renew", "destroy", "replace", "everywhere"] {
        let site = site(&shared).await;
        // Other tests have owners in the same database.
        let owner = site.cookie()[40..80].to_owned();
        site.get(&format!("/own/{owner}")).await;
        let handle = site.handle("nothing").await;
        match end {
            "everywhere" => assert_eq!(site.layer.sessions().destroy_all(&owner).await.unwrap(), 1),
            action => drop(site.get(&format!("/do/{action}")).await),
        }
        if end != "everywhere" {
            site.clock.advance(4 * HOUR); // so that `visit` asks the store
        }
        assert_gone(&handle).await;
    }
}

async fn an_expired_session_has_no_handle(shared: Shared) {
    let site = site(&shared).await;
    let handle = site.handle("nothing").await;
    site.clock.advance(24 * HOUR);
    assert!(handle.is_alive().await.unwrap(), "in its last second");
    site.clock.advance(Duration::from_secs(1));
    assert_gone(&handle).await;
}

async fn only_a_visit_is_a_visit(shared: Shared) {
    let site = site(&shared).await;
    let handle = site.handle("nothing").await;
    site.clock.advance(12 * HOUR);
    handle.get::<String>("a").await.unwrap();
    handle.insert("b", 1).await.unwrap();
    handle.update("b", |_: Option<u8>| 2).await.unwrap();
    site.clock.advance(12 * HOUR + Duration::from_secs(1));
    assert_gone(&handle).await;

    site.get("/set/a/1").await;
    let handle = site.handle("nothing").await;
    for _ in 0..29 {
        site.clock.advance(23 * HOUR);
        handle.visit().await.unwrap();
    }
    assert_eq!(site.get("/get/a").await, "1");
    site.clock.advance(23 * HOUR);
    handle.visit().await.unwrap();
    site.clock.advance(23 * HOUR);
    handle.visit().await.unwrap();
    site.clock.advance(23 * HOUR);
    assert_gone(&handle).await;
}

each_store! {
    each_method_reads_and_writes_the_store_at_once
    a_value_that_cannot_be_is_an_error_and_changes_nothing
    the_last_value_ends_a_session_without_an_owner
    no_update_is_lost_in_a_race_with_requests
    a_rotation_takes_the_handle_along
    a_renewal_a_log_out_and_a_log_out_everywhere_end_the_handle
    an_expired_session_has_no_handle
    only_a_visit_is_a_visit
}

/// Another layer with longer limits has written the record.
#[tokio::test]
async fn a_handle_has_the_limits_of_its_own_layer() {
    let store = MemoryStore::new();
    let long = Site::on(store.clone(), |layer| layer.idle_timeout(24 * HOUR));
    long.get("/set/a/1").await;
    let layer = SessionLayer::stored(store, keys()).idle_timeout(HOUR).clock(long.clock.clone());
    let short = Site::with(layer, long.clock.clone());
    short.client.set_cookie(COOKIE, &long.cookie());
    let handle = short.handle("nothing").await;
    short.clock.advance(HOUR);
    assert!(handle.is_alive().await.unwrap(), "in its last second");
    short.clock.advance(Duration::from_secs(1));
    assert_gone(&handle).await;
    assert_eq!(handle.ended().await.unwrap(), Ended::Expired);
}

#[tokio::test]
async fn a_visit_asks_the_store_only_when_it_is_due() {
    let (site, store) = Site::watched().await;
    let handle = site.handle("nothing").await;
    store.calls();
    handle.visit().await.unwrap();
    site.clock.advance(3 * HOUR - Duration::from_secs(1));
    handle.visit().await.unwrap();
    assert_eq!(store.calls(), [""; 0]);
    site.clock.advance(Duration::from_secs(1));
    handle.visit().await.unwrap();
    assert_eq!(store.calls(), ["load", "touch"]);
    handle.visit().await.unwrap();
    handle.clone().visit().await.unwrap();
    assert_eq!(store.calls(), [""; 0]);

    // A request has visited the session in the meantime.
    site.clock.advance(3 * HOUR);
    site.get("/get/a").await;
    store.calls();
    handle.visit().await.unwrap();
    assert_eq!(store.calls(), ["load"]);
    handle.visit().await.unwrap();
    assert_eq!(store.calls(), [""; 0]);
}

#[tokio::test]
async fn a_method_asks_the_store_as_often_as_a_request() {
    let (site, store) = Site::watched().await;
    let handle = site.handle("nothing").await;
    store.calls();
    handle.get::<String>("a").await.unwrap();
    assert_eq!(store.calls(), ["load"]);
    handle.insert("b", 1).await.unwrap();
    assert_eq!(store.calls(), ["load", "update"]);
    handle.update("b", |b: Option<u8>| b.unwrap_or(0)).await.unwrap();
    assert_eq!(store.calls(), ["load", "update"]);
    handle.remove("b").await.unwrap();
    assert_eq!(store.calls(), ["load", "update"]);
    handle.remove("b").await.unwrap();
    assert_eq!(store.calls(), ["load"], "nothing is to be removed");
    handle.is_alive().await.unwrap();
    assert_eq!(store.calls(), ["load"]);
}

#[tokio::test]
async fn a_handle_writes_encrypted_records() {
    let store = MemoryStore::new();
    let site = Site::on(store.clone(), |layer| layer.encrypt_records(keys()));
    site.get("/set/a/1").await;
    let handle = site.handle("nothing").await;
    handle.insert("b", "handle").await.unwrap();
    assert_eq!(handle.update("n", |n: Option<u8>| n.unwrap_or(0) + 1).await.unwrap(), 1);
    assert_eq!(site.get("/get/b").await, "handle");
    let mut page = store.all(NOW, None).await.unwrap();
    while page.sessions.is_empty() {
        page = store.all(NOW, page.next.as_ref()).await.unwrap();
    }
    let record = store.load(&page.sessions[0].key, NOW).await.unwrap().live().unwrap();
    for key in ["a", "b", "n"] {
        assert!(record.entries.get(key).unwrap().starts_with("\"2."), "the store has no plain value");
    }
}

const TASKS: usize = 64;
