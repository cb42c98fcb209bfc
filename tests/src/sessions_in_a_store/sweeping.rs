//! Expired records go by themselves.

use std::time::Duration;

use session_axum::testing::Client;

use super::{Site, app};
use crate::support::{logs::Logs, watched::Fault};

#[tokio::test(start_paused = true)]
async fn expired_records_are_swept_by_the_applications_clock() {
    let site = Site::new();
    let client = Client::new(app(site.layer.clone().sweep_every(Duration::from_secs(60))));
    client.get("/set/a/1").await;
    client.get("/get/a").await;
    let cookie = client.cookie(super::COOKIE).unwrap();
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(site.seen_with(&cookie).await, "1", "it has not expired");
    site.store.calls();

    site.clock.advance(Duration::from_secs(2 * 24 * 60 * 60 + 1));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(site.store.calls(), ["delete_expired"], "one task for all that share the store");
    site.clock.set(crate::support::app::NOW);
    assert_eq!(site.seen_with(&cookie).await, "", "the record is gone");
}

#[tokio::test(start_paused = true)]
async fn the_sweep_survives_errors_and_says_them() {
    let (logs, _guard) = Logs::capture();
    let site = Site::new();
    let client = Client::new(app(site.layer.clone().sweep_every(Duration::from_secs(60))));
    client.get("/set/a/1").await;
    client.get("/get/a").await;
    site.store.calls();
    site.store.fail(Fault::LostBefore, 2);
    tokio::time::sleep(Duration::from_secs(241)).await;
    assert_eq!(site.store.calls(), ["delete_expired"; 4]);
    let warnings = logs.take().iter().filter(|line| line.contains("could not be removed")).count();
    assert_eq!(warnings, 2);
}

/// Requests of strangers alone: nothing is ever read.
#[tokio::test(start_paused = true)]
async fn sweeping_begins_with_the_first_use_of_any_kind() {
    for begin in ["/set/a/1", "the list of devices"] {
        let site = Site::new();
        let layer = site.layer.clone().sweep_every(Duration::from_secs(60));
        if begin.starts_with('/') {
            Client::new(app(layer)).get(begin).await;
        } else {
            layer.sessions().of("alice").await.unwrap();
        }
        site.store.calls();
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(site.store.calls(), ["delete_expired"], "{begin}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_store_is_swept_every_five_minutes_by_default() {
    let site = Site::with_session().await;
    tokio::time::sleep(Duration::from_secs(5 * 60 - 1)).await;
    assert_eq!(site.store.calls(), [""; 0]);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(5 * 60)).await;
        assert_eq!(site.store.calls(), ["delete_expired"]);
    }
}

#[test]
fn sweeping_begins_again_after_its_runtime_has_ended() {
    let site = Site::new();
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            site.get("/set/a/1").await;
            site.store.calls();
            tokio::time::sleep(Duration::from_secs(5 * 60 + 1)).await;
            assert_eq!(site.store.calls(), ["delete_expired"]);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_can_leave_the_sweeping_to_others() {
    let site = Site::new();
    let client = Client::new(app(site.layer.clone().sweep_every(None)));
    client.get("/set/a/1").await;
    site.store.calls();
    tokio::time::sleep(Duration::from_secs(24 * 60 * 60)).await;
    assert_eq!(site.store.calls(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_hangs_is_given_up_after_a_minute() {
    let (logs, _guard) = Logs::capture();
    let site = Site::new();
    let client = Client::new(app(site.layer.clone().sweep_every(Duration::from_secs(60))));
    client.get("/set/a/1").await;
    site.store.fail(Fault::Hang, 1);
    tokio::time::sleep(Duration::from_secs(121)).await;
    let warnings = logs.take().iter().filter(|line| line.contains("could not be removed")).count();
    assert_eq!(warnings, 1);
    site.store.calls();
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(site.store.calls(), ["delete_expired"]);
}
