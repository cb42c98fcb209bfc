//! The end of a session, as a handle hears of it.

use std::time::Duration;

use session_axum::{Detached, Ended, SessionLayer};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, timeout},
};

use super::{COOKIE, HOUR, Shared, Site, each_store};
use crate::support::{
    logs::Logs,
    watched::{Fault, Watched},
};

const OFTEN: Duration = Duration::from_millis(100);
/// The interval in which the store is asked, unless the application sets it.
const INTERVAL: Duration = Duration::from_secs(2);

fn watch(handle: &Detached) -> JoinHandle<Ended> {
    let handle = handle.clone();
    tokio::spawn(async move { handle.ended().await.unwrap() })
}

async fn within(limit: Duration, ended: JoinHandle<Ended>) -> Ended {
    timeout(limit, ended).await.expect("it is noticed in time").unwrap()
}

async fn a_log_out_on_another_instance_is_noticed_within_five_seconds(shared: Shared) {
    let here = Site::on(shared.connect().await, |layer| layer);
    let there = Site::on(shared.connect().await, |layer| layer);
    here.get("/set/a/1").await;
    there.client.set_cookie(COOKIE, &here.cookie());
    // Two open pages of one visitor, and one of another.
    let (one, two) = (watch(&here.handle("nothing").await), watch(&here.handle("nothing").await));
    let other = Site::with(here.layer.clone(), here.clock.clone());
    other.get("/set/a/1").await;
    let other = watch(&other.handle("nothing").await);
    sleep(Duration::from_millis(300)).await;
    assert!(!one.is_finished());
    there.get("/do/rotate").await;
    sleep(Duration::from_millis(300)).await;
    there.get("/do/destroy").await;
    let five_seconds = Instant::now() + Duration::from_secs(5);
    for ended in [one, two] {
        assert_eq!(within(five_seconds - Instant::now(), ended).await, Ended::Elsewhere);
    }
    assert!(!other.is_finished());
}

async fn the_reason_is_right(shared: Shared) {
    for (action, reason) in [("renew", Ended::Elsewhere), ("replace", Ended::Elsewhere), ("expire", Ended::Expired)] {
        let site = Site::on(shared.connect().await, |layer| layer.watch_every(OFTEN));
        site.get("/set/a/1").await;
        let handle = site.handle("nothing").await;
        let ended = watch(&handle);
        sleep(Duration::from_millis(250)).await;
        assert!(!ended.is_finished(), "{action}");
        match action {
            "expire" => site.clock.advance(24 * HOUR + Duration::from_secs(1)),
            action => drop(site.get(&format!("/do/{action}")).await),
        }
        assert_eq!(within(Duration::from_secs(5), ended).await, reason, "{action}");
        let began = Instant::now();
        assert_eq!(handle.ended().await.unwrap(), reason, "it stays so");
        assert!(began.elapsed() < OFTEN);
    }
}

each_store! {
    a_log_out_on_another_instance_is_noticed_within_five_seconds
    the_reason_is_right
}

/// A site with a counting store and no sweeping. Its browser has a session.
async fn site(store: &Watched, configure: impl FnOnce(SessionLayer) -> SessionLayer) -> Site {
    let site = Site::on(store.clone(), |layer| configure(layer.sweep_every(None)));
    site.get("/set/a/1").await;
    site
}

#[tokio::test(start_paused = true)]
async fn a_thousand_handles_cost_one_question_an_interval() {
    let store = Watched::new();
    let site = site(&store, |layer| layer).await;
    let mut watching = JoinSet::new();
    for _ in 0..1_000 {
        let visitor = Site::with(site.layer.clone(), site.clock.clone());
        visitor.get("/set/a/1").await;
        let handle = visitor.handle("nothing").await;
        watching.spawn(async move { handle.ended().await });
    }
    sleep(INTERVAL / 2).await;
    store.calls();
    sleep(10 * INTERVAL).await;
    assert_eq!(store.calls(), ["look_up"; 10]);
    assert_eq!(watching.len(), 1_000);
    assert!(watching.try_join_next().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_asks_in_a_loop_is_watched_once() {
    let store = Watched::new();
    let site = site(&store, |layer| layer).await;
    let handle = site.handle("nothing").await;
    for _ in 0..1_000 {
        // As in `select!`, when a message comes before the end.
        assert!(timeout(Duration::from_millis(1), handle.ended()).await.is_err());
    }
    let before = store.keys().len();
    sleep(INTERVAL).await;
    assert_eq!(store.keys().len() - before, 1);
}

#[tokio::test(start_paused = true)]
async fn the_interval_is_that_of_the_layer() {
    let store = Watched::new();
    let site = site(&store, |layer| layer.watch_every(Duration::from_secs(30))).await;
    let _ended = watch(&site.handle("nothing").await);
    sleep(Duration::from_secs(15)).await;
    store.calls();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(store.calls(), ["look_up"; 2]);
}

#[tokio::test(start_paused = true)]
async fn the_watching_ends_with_the_last_handle_and_begins_with_a_new_one() {
    let store = Watched::new();
    let site = site(&store, |layer| layer).await;
    for _ in 0..2 {
        let handle = site.handle("nothing").await;
        assert!(timeout(3 * INTERVAL, handle.ended()).await.is_err());
        assert!(store.calls().contains(&"look_up"));
        drop(handle);
        sleep(10 * INTERVAL).await;
        assert_eq!(store.calls(), [""; 0], "no handle is left");
    }
    let handle = site.handle("nothing").await;
    let ended = watch(&handle);
    site.get("/do/destroy").await;
    assert_eq!(within(2 * INTERVAL, ended).await, Ended::Elsewhere);
    store.calls();
    sleep(10 * INTERVAL).await;
    assert_eq!(store.calls(), [""; 0], "no session is left");
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_never_asks_is_not_watched() {
    let store = Watched::new();
    let site = site(&store, |layer| layer).await;
    let _handle = site.handle("nothing").await;
    store.calls();
    sleep(10 * INTERVAL).await;
    assert_eq!(store.calls(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_down_nothing_ends() {
    for fault in [Fault::Refused, Fault::LostBefore, Fault::Hang] {
        let (logs, _guard) = Logs::capture();
        let store = Watched::new();
        let site = site(&store, |layer| layer).await;
        let ended = watch(&site.handle("nothing").await);
        sleep(INTERVAL).await;
        logs.take();
        store.fail(fault, u32::MAX);
        sleep(20 * INTERVAL).await;
        assert!(!ended.is_finished(), "{fault:?}");
        let lines = logs.take();
        let told: Vec<_> = lines.iter().filter(|line| line.contains("cannot be watched")).collect();
        assert_eq!(told.len(), 1, "{fault:?}: {lines:#?}");
        assert!(told[0].starts_with("WARN"), "{told:?}");

        store.recover();
        sleep(3 * INTERVAL).await;
        assert!(!ended.is_finished(), "{fault:?}");
        site.get("/do/destroy").await;
        assert_eq!(within(3 * INTERVAL, ended).await, Ended::Elsewhere, "{fault:?}");
        let told = logs.take().iter().filter(|line| line.contains("cannot be watched")).count();
        assert_eq!(told, 0, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_by_the_same_request_is_noticed_at_once() {
    let store = Watched::new();
    let site = site(&store, |layer| layer).await;
    let handle = site.handle("destroy").await;
    store.calls();
    assert_eq!(handle.ended().await.unwrap(), Ended::Elsewhere);
    assert_eq!(store.calls(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_another_method_found_is_one() {
    let store = Watched::new();
    let site = site(&store, |layer| layer.watch_every(Duration::from_secs(60))).await;
    let handle = site.handle("nothing").await;
    let ended = watch(&handle);
    sleep(Duration::from_secs(1)).await;
    site.get("/do/destroy").await;
    assert!(!handle.is_alive().await.unwrap());
    assert_eq!(within(Duration::from_secs(1), ended).await, Ended::Elsewhere);
}

#[test]
fn the_watching_goes_on_in_another_runtime() {
    let (store, runtime) = (Watched::new(), || {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
    });
    let (site, handle) = runtime().block_on(async {
        let site = site(&store, |layer| layer).await;
        let handle = site.handle("nothing").await;
        assert!(timeout(INTERVAL, handle.ended()).await.is_err());
        (site, handle)
    });
    runtime().block_on(async {
        let ended = watch(&handle);
        site.get("/do/destroy").await;
        assert_eq!(within(2 * INTERVAL, ended).await, Ended::Elsewhere);
    });
}
