//! A store that fails in the ways that stores fail: nobody waits long, nothing is lost, nothing pretends.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use axum::{Router, http::StatusCode, routing::get};
use session_axum::{Error, ErrorKind, Session, SessionLayer, store::StoreErrorKind, testing::Client};
use tokio::time::Instant;

use super::{Site, app};
use crate::support::{
    app::keys,
    logs::Logs,
    watched::{Fault, Watched},
};

const FAULTS: [Fault; 5] = [Fault::Refused, Fault::LostBefore, Fault::LostAfter, Fault::Late, Fault::Unreadable];

/// A page for each operation of a store that a request may wait for.
const WRITES: [(&str, &str); 4] =
    [("create", "/replace"), ("update", "/set/a/2"), ("rename", "/renew/2"), ("delete", "/destroy")];

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_is_an_error_and_never_an_empty_session() {
    for fault in FAULTS.into_iter().filter(|fault| *fault != Fault::Unreadable) {
        let site = Site::with_session().await;
        site.store.fail(fault, u32::MAX);
        let begun = Instant::now();
        let (status, _) = site.get("/get/a").await;
        assert_eq!(status, if fault == Fault::Refused { 500 } else { 503 }, "{fault:?}");
        assert!(begun.elapsed() < Duration::from_millis(2_500), "{fault:?}: {:?}", begun.elapsed());
        assert_eq!(site.get("/untouched").await, (200, "hello".to_owned()), "{fault:?}");
        site.store.recover();
        assert_eq!(site.get("/get/a").await, (200, "1".to_owned()), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_never_looks_like_success_and_loses_nothing() {
    for fault in FAULTS {
        for (operation, page) in WRITES {
            let site = Site::with_session().await;
            // The load comes first, and works.
            let before = site.cookie();
            site.client.get("/untouched").await;
            let response = site.get_when_loaded(page, fault, u32::MAX).await;
            let case = format!("{operation} with {fault:?}");
            assert!(response.0 >= 500, "{case}: {}", response.0);
            assert_eq!(site.cookie(), before, "{case}: no cookie changes");
            site.store.recover();
            let seen = site.get("/get/a").await.1;
            let possible: &[&str] = match (operation, fault) {
                // What was asked had happened, and only the answer was lost.
                ("update", Fault::LostAfter) => &["2"],
                ("rename" | "delete" | "create", Fault::LostAfter) => &[""],
                _ => &["1"],
            };
            assert!(possible.contains(&seen.as_str()), "{case}: {seen:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_lost_answer_is_asked_for_again() {
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        for (operation, page) in WRITES {
            let site = Site::with_session().await;
            let (status, _) = site.get_when_loaded(page, fault, 1).await;
            assert_eq!(status, 200, "{operation} with {fault:?}");
            let expected = if page == "/set/a/2" || page == "/renew/2" { "2" } else { "" };
            assert_eq!(site.get("/get/a").await, (200, expected.to_owned()), "{operation} with {fault:?}");
        }
        let site = Site::with_session().await;
        site.store.fail(fault, 1);
        assert_eq!(site.get("/get/a").await, (200, "1".to_owned()), "load with {fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_for_several_failures_than_for_one() {
    for page in
        ["/get/a", "/set/a/2", "/renew", "/destroy", "/replace", "/add", "/new", "/update", "/save", "/failing-destroy"]
    {
        let site = Site::with_session().await;
        site.store.fail(Fault::Late, u32::MAX);
        let begun = Instant::now();
        let (status, _) = site.get(page).await;
        assert!(status >= 500, "{page}: {status}");
        assert!(begun.elapsed() < Duration::from_millis(2_500), "{page}: {:?}", begun.elapsed());
    }
    for (operation, page) in WRITES {
        let site = Site::with_session().await;
        let begun = Instant::now();
        let (status, _) = site.get_when_loaded(page, Fault::Late, u32::MAX).await;
        assert_eq!(status, 503, "{operation}");
        assert!(begun.elapsed() < Duration::from_millis(2_500), "{operation}: {:?}", begun.elapsed());
    }
}

/// The second attempt hangs. The first one has told why.
#[tokio::test(start_paused = true)]
async fn the_log_names_the_cause_also_if_the_time_is_over_during_the_second_attempt() {
    let (logs, _guard) = Logs::capture();
    let site = Site::with_session().await;
    site.store.fail(Fault::LostBefore, 1);
    let hang = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        site.store.fail(Fault::Hang, u32::MAX);
    };
    let (page, ()) = tokio::join!(site.get("/get/a"), hang);
    assert_eq!(page.0, 503);
    assert!(logs.take().iter().any(|line| line.starts_with("ERROR") && line.contains("connection reset by peer")));
    assert_eq!(site.get("/get/a").await.0, 503);
    assert!(logs.take().iter().any(|line| line.starts_with("ERROR") && line.contains("did not answer within 2s")));
}

/// What the log says of a store that never answers.
async fn no_answer(limit: Duration) -> String {
    let (store, (logs, _guard)) = (Watched::new(), Logs::capture());
    let client = Client::new(app(SessionLayer::stored(store.clone(), keys()).store_timeout(limit)));
    client.get("/set/a/1").await;
    store.fail(Fault::Hang, u32::MAX);
    assert_eq!(client.get("/get/a").await.status(), 503);
    logs.take().into_iter().find(|line| line.contains("did not answer within")).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_log_names_a_paused_clock() {
    let line = no_answer(Duration::from_secs(2)).await;
    assert!(line.contains("clock of this Tokio runtime is paused (`start_paused`)"), "{line}");
}

#[tokio::test]
async fn the_log_names_no_paused_clock_where_it_runs() {
    let line = no_answer(Duration::from_millis(100)).await;
    assert!(!line.contains("start_paused"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_makes_no_sense_is_no_session_and_stays() {
    let (logs, _guard) = Logs::capture();
    let site = Site::with_session().await;
    let cookie = site.cookie().unwrap();
    site.store.fail(Fault::Unreadable, 1);
    assert_eq!(site.get("/set/a/other").await.0, 200);
    assert!(logs.take().iter().any(|line| line.starts_with("ERROR") && line.contains("makes no sense")));
    assert_eq!(site.store.calls(), ["load", "create"], "what is new goes elsewhere");
    assert_ne!(site.cookie().unwrap(), cookie);
    assert_eq!(site.get("/get/a").await, (200, "other".to_owned()));
    assert_eq!(site.seen_with(&cookie).await, "1", "and the record is what it was");
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_save_is_in_flight_saves_nothing() {
    async fn panics(session: Session) -> &'static str {
        session.insert("a", "2").unwrap();
        let mut save = pin!(session.save());
        assert!(poll_fn(|context| Poll::Ready(save.as_mut().poll(context))).await.is_pending());
        panic!("on purpose")
    }
    let site = Site::with_session().await;
    let client = Client::new(Router::new().route("/", get(panics)).layer(site.layer.clone()));
    client.set_cookie(super::COOKIE, &site.cookie().unwrap());
    site.store.fail_after_load(Fault::Late, 1);
    assert!(tokio::spawn(async move { client.get("/").await }).await.is_err());
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(site.get("/get/a").await, (200, "1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_stale_replica_makes_no_change_undone() {
    let site = Site::with_session().await;
    site.get("/get/a").await;
    site.store.fail(Fault::Stale, u32::MAX);
    site.get("/set/b/2").await;
    site.get("/set/c/3").await;
    site.get("/set/a/4").await;
    site.store.recover();
    for (key, value) in [("a", "4"), ("b", "2"), ("c", "3")] {
        assert_eq!(site.get(&format!("/get/{key}")).await.1, value, "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_on_a_stale_replica_is_never_lost_or_doubled() {
    let site = Site::with_session().await;
    assert_eq!(site.get("/update").await.1, "1");
    site.get("/get/a").await;
    let other = Client::new(app(site.layer.clone()));
    other.set_cookie(super::COOKIE, &site.cookie().unwrap());
    assert_eq!(other.get("/update").await.text(), "2");
    assert_eq!(site.get("/update").await.1, "3");
}

#[tokio::test(start_paused = true)]
async fn the_application_answers_for_its_store() {
    let site = Site::with_session().await;
    let layer = site.layer.clone().on_error(|error: &Error| {
        assert_eq!(*error.kind(), ErrorKind::Store(StoreErrorKind::Unavailable));
        axum::response::IntoResponse::into_response((StatusCode::IM_A_TEAPOT, "later"))
    });
    let client = Client::new(app(layer));
    client.set_cookie(super::COOKIE, &site.cookie().unwrap());
    site.store.fail(Fault::LostBefore, u32::MAX);
    for page in ["/get/a", "/add", "/new"] {
        let answer = client.get(page).await;
        assert_eq!((answer.status().as_u16(), answer.text().as_str()), (418, "later"), "{page}");
        assert_eq!(answer.set_cookies(), [""; 0], "{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn flash_needs_no_store() {
    let site = Site::with_session().await;
    site.store.fail(Fault::LostBefore, u32::MAX);
    assert_eq!(site.get("/flash").await, (200, "ok".to_owned()));
    assert_eq!(site.client.post("/flashed").await.text(), "saved");
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_a_setting() {
    let site = Site::with_session().await;
    let client = Client::new(app(site.layer.clone().store_timeout(Duration::from_millis(100))));
    client.set_cookie(super::COOKIE, &site.cookie().unwrap());
    site.store.fail(Fault::Late, u32::MAX);
    let begun = Instant::now();
    assert_eq!(client.get("/get/a").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_log_says_what_failed_and_the_browser_hears_a_calm_sentence() {
    let (logs, _guard) = Logs::capture();
    let site = Site::with_session().await;
    site.store.fail(Fault::Refused, u32::MAX);
    let (_, body) = site.get("/get/a").await;
    assert_eq!(body, "Something went wrong with your session. Please try again.");
    let lines = logs.take();
    let is_cause = |line: &&String| line.contains("the session store refused the operation: no such table");
    assert_eq!(lines.iter().filter(is_cause).count(), 1, "{lines:?}");
    let secret = site.cookie().unwrap();
    assert!(!lines.iter().any(|line| line.contains(&secret[..40])));
}

#[tokio::test]
async fn an_id_opens_nothing_where_data_travels_and_the_other_way_round() {
    let site = Site::with_session().await;
    let signed = Client::new(app(SessionLayer::signed(keys()).clock(site.clock.clone())));
    signed.set_cookie(super::COOKIE, &site.cookie().unwrap());
    assert_eq!(signed.get("/get/a").await.text(), "");

    signed.get("/set/a/1").await;
    let carried = signed.cookie(super::COOKIE).unwrap();
    site.store.calls();
    assert_eq!(site.seen_with(&carried).await, "");
    assert_eq!(site.store.calls(), [""; 0]);
}

impl Site {
    /// Gets a page whose session is loaded before the store begins to fail.
    async fn get_when_loaded(&self, page: &str, fault: Fault, times: u32) -> (u16, String) {
        self.store.fail_after_load(fault, times);
        self.get(page).await
    }
}
