//! How often a store is asked.

use std::time::Duration;

use session_axum::testing::{Client, TestSession};

use super::{COOKIE, Site, app};

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
