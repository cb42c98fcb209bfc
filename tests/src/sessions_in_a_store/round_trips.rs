//! How often a store is asked.

use std::time::Duration;

use session_axum::{
    SessionLayer,
    store::SessionStore,
    testing::{Client, TestSession},
};
use session_stores::{MySqlStore, PostgresStore, RedisStore};
use session_test_servers::{mariadb::MariaDb, postgres::Postgres, redis};

use super::{COOKIE, DAY, Site, app};
use crate::support::{app::keys, jar::send, proxy::Proxy};

#[tokio::test]
async fn a_session_that_nobody_touches_is_not_asked_for() {
    let site = Site::with_session().await;
    assert_eq!(site.calls_of("/untouched").await, [""; 0]);
    assert_eq!(site.calls_of("/flash").await, [""; 0]);
}

#[tokio::test]
async fn reading_asks_once_and_changing_once_more() {
    let site = Site::with_session().await;
    assert_eq!(site.calls_of("/get/a").await, ["load"]);
    assert_eq!(site.calls_of("/twice").await, ["load"]);
    assert_eq!(site.calls_of("/set/a/1").await, ["load"], "the same value is no change");
    assert_eq!(site.calls_of("/set/a/2").await, ["load", "update"]);
    assert_eq!(site.calls_of("/add").await, ["load", "update"]);
    assert_eq!(site.calls_of("/update").await, ["load", "update"]);
    assert_eq!(site.calls_of("/save").await, ["load", "update"]);
    assert_eq!(site.calls_of("/renew").await, ["load", "rename"]);
    assert_eq!(site.calls_of("/replace").await, ["load", "delete", "create"]);
    assert_eq!(site.calls_of("/destroy").await, ["load", "delete"]);
}

#[tokio::test]
async fn a_request_that_writes_twice_does_not_read_again() {
    assert_eq!(Site::new().calls_of("/do/save/update").await, ["create", "update"]);
    let site = Site::with_session().await;
    assert_eq!(site.calls_of("/do/update/update").await, ["load", "update", "update"]);
    assert_eq!(site.calls_of("/do/save/update").await, ["load", "update", "update"]);
    site.clock.advance(Duration::from_secs(DAY / 2));
    assert_eq!(site.calls_of("/do/visit/update").await, ["load", "touch", "update"]);
}

#[tokio::test]
async fn a_new_session_is_created_in_one_step() {
    let site = Site::new();
    assert_eq!(site.calls_of("/set/a/1").await, ["create"]);
    assert_eq!(site.calls_of("/clear").await, ["load", "update"]);
    assert_eq!(site.cookie(), None);
    assert_eq!(site.calls_of("/own/alice").await, ["create"]);
}

#[tokio::test]
async fn a_stranger_makes_no_record() {
    let site = Site::new();
    for path in ["/untouched", "/get/a", "/twice", "/clear", "/renew", "/destroy", "/new", "/flash"] {
        assert_eq!(site.calls_of(path).await, [""; 0], "{path}");
    }
}

#[tokio::test]
async fn a_made_up_id_never_reaches_the_store() {
    let site = Site::with_session().await;
    let cookie = site.cookie().unwrap();
    let other = Client::new(app(site.layer.clone()));
    let bit = if cookie.ends_with('A') { "B" } else { "A" };
    let forged = [&cookie[..cookie.len() - 1], bit].concat();
    for cookie in [forged.as_str(), "", "1.AAAA.x.y", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        other.set_cookie(COOKIE, cookie);
        other.get("/get/a").await;
        assert_eq!(site.store.calls(), [""; 0], "{cookie}");
    }
}

/// What each request asks of a real server, over a wire that counts. A rename costs so many round trips.
async fn at_the_wire(proxy: Proxy, store: impl SessionStore + Clone, rename: usize) {
    let layer = SessionLayer::stored(store, keys()).name("sid").unwrap();
    let app = app(layer.clone());
    let visit = async |client: &Client, path: &str| {
        proxy.round_trips();
        assert_eq!(client.get(path).await.status(), 200, "{path}");
        proxy.round_trips()
    };
    // The server knows every statement and script then.
    for _ in 0..2 {
        let warm_up = Client::new(app.clone());
        for path in ["/set/a/1", "/get/a", "/set/a/2", "/renew", "/destroy"] {
            warm_up.get(path).await;
        }
    }
    let client = Client::new(app.clone());
    assert_eq!(visit(&client, "/get/a").await, 0, "a stranger");
    assert_eq!(visit(&client, "/set/a/1").await, 1, "created");
    assert_eq!(visit(&client, "/untouched").await, 0, "untouched");
    assert_eq!(visit(&client, "/get/a").await, 1, "read");
    assert_eq!(visit(&client, "/set/a/2").await, 2, "read and changed");
    assert_eq!(visit(&client, "/renew").await, 1 + rename, "read and renewed");
    let cookie = client.cookie("sid").unwrap();
    let forged = Client::new(app.clone());
    forged.set_cookie("sid", &format!("{}x", &cookie[..cookie.len() - 1]));
    assert_eq!(visit(&forged, "/get/a").await, 0, "forged");
    assert_eq!(visit(&client, "/destroy").await, 2, "read and ended");
    let mut cookies = Vec::new();
    for _ in 0..4 {
        let other = Client::new(app.clone());
        other.get("/set/a/1").await;
        cookies.push(format!("sid={}", other.cookie("sid").unwrap()));
    }
    send(&app, "/get/a", &cookies.join("; ")).await;
    proxy.round_trips();
    send(&app, "/get/a", &cookies.join("; ")).await;
    assert_eq!(proxy.round_trips(), 1, "four candidates");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_asks_redis_as_often_as_the_documentation_says() {
    let proxy = Proxy::before(redis::SHARED.port).await;
    let url = format!("redis://127.0.0.1:{}", proxy.port);
    at_the_wire(proxy, RedisStore::connect(&url).await.unwrap().prefix("wire"), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_asks_postgres_as_often_as_the_documentation_says() {
    let (proxy, address) = proxy_before(&Postgres::shared().database().await).await;
    let store = PostgresStore::connect(&address).await.unwrap();
    store.migrate().await.unwrap();
    at_the_wire(proxy, store, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_asks_mariadb_as_often_as_the_documentation_says() {
    let (proxy, address) = proxy_before(&MariaDb::shared().database().await).await;
    let store = MySqlStore::connect(&address).await.unwrap();
    store.migrate().await.unwrap();
    at_the_wire(proxy, store, 4).await;
}

/// A proxy before the database at this address, and the address of the proxy.
async fn proxy_before(address: &str) -> (Proxy, String) {
    let port = address.rsplit_once(':').unwrap().1.split('/').next().unwrap();
    let proxy = Proxy::before(port.parse().unwrap()).await;
    let address = address.replace(port, &proxy.port.to_string());
    (proxy, address)
}

#[tokio::test]
async fn a_visit_is_noted_after_an_eighth_of_the_idle_window() {
    let site = Site::with_session().await;
    site.clock.advance(Duration::from_secs(3 * 60 * 60 - 1));
    assert_eq!(site.calls_of("/get/a").await, ["load"]);
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(site.calls_of("/get/a").await, ["load", "touch"]);
    assert_eq!(site.calls_of("/get/a").await, ["load"]);
}

#[tokio::test]
async fn the_store_never_sees_what_the_cookie_carries() {
    let site = Site::with_session().await;
    site.get("/renew").await;
    let cookie = site.cookie().unwrap();
    let body = cookie.split('.').nth(2).unwrap();
    let body = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, body).unwrap();
    assert_eq!(body.len(), 64, "times, public id, and 32 random bytes");
    let secret = &body[32..];
    for key in site.store.keys() {
        assert!(key.hash() != secret && !key.hash().windows(8).any(|part| secret.windows(8).any(|own| own == part)));
    }
}

#[tokio::test]
async fn the_testing_kit_forges_and_reads_stored_sessions() {
    let site = Site::new();
    let forged = TestSession::new(&site.layer).insert("a", "forged").flash("success", "hi");
    site.client.enter(&forged);
    assert_eq!(site.get("/get/a").await, (200, "forged".to_owned()));
    let read = TestSession::of_client(&site.layer, &site.client);
    assert_eq!((read.keys(), read.id(), read.messages().get("success")), (vec!["a"], forged.id(), Some("hi")));
}
