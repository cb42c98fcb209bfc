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
