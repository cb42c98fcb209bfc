//! Idle and absolute limits at their edges, with a clock that is moved.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use axum::{Router, routing::get};
use session_axum::{
    Error, Session, SessionLayer, SessionResponseExt, Unattended,
    testing::{Client, ManualClock, TestSession},
};

use session_stores::MemoryStore;
use tokio::sync::Notify;

use crate::support::app::{NOW, keys, layer, timed_layer};

async fn read(session: Session) -> Result<String, Error> {
    Ok(session.get::<u32>("n")?.map_or_else(|| "new".into(), |n| n.to_string()))
}

async fn write(session: Session) -> Result<(), Error> {
    session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await.map(drop)
}

async fn remember(session: Session) {
    session.set_lifetime(days(30));
}

async fn forget(session: Session) {
    session.expire_on_browser_close();
}

async fn limits(session: Session) -> String {
    let seconds = |time: std::time::SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_secs();
    format!("{} {}", seconds(session.created_at()) - NOW, seconds(session.expires_at()) - NOW)
}

fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/", get(read).post(write))
        .route("/remember", get(remember))
        .route("/forget", get(forget))
        .route("/limits", get(limits))
        .layer(layer)
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 60 * 60)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A visitor with `n` = 1 under an idle timeout of 1,800 seconds and a lifetime of 43,200.
async fn visitor() -> (Client, ManualClock) {
    let (layer, clock) = timed_layer();
    let layer = layer.idle_timeout(seconds(1_800)).lifetime(seconds(43_200));
    let client = Client::new(app(layer)).with_clock(&clock);
    client.post("/").await;
    (client, clock)
}

fn max_age(set_cookies: &[&str]) -> Option<u64> {
    assert_eq!(set_cookies.len(), 1, "{set_cookies:?}");
    let age = set_cookies[0].split("; ").find_map(|part| part.strip_prefix("Max-Age="));
    age.map(|age| age.parse().unwrap())
}

#[tokio::test]
async fn a_session_outlives_an_idle_timeout_to_the_second_and_no_longer() {
    let (client, clock) = visitor().await;
    clock.advance(seconds(1_800));
    assert_eq!(client.get("/").await.text(), "1");
    clock.advance(seconds(1_801));
    assert_eq!(client.get("/").await.text(), "new");
}

#[tokio::test]
async fn activity_extends_a_session_but_not_beyond_its_lifetime() {
    let (client, clock) = visitor().await;
    for _ in 0..24 {
        clock.advance(seconds(1_800));
        assert_eq!(client.get("/").await.text(), "1");
    }
    clock.advance(seconds(1));
    assert_eq!(client.get("/").await.text(), "new");
}

#[tokio::test]
async fn a_page_view_within_an_eighth_of_the_window_sets_no_cookie() {
    let (client, clock) = visitor().await;
    clock.advance(seconds(224));
    assert_eq!(client.get("/").await.set_cookies(), [""; 0]);
    clock.advance(seconds(1));
    assert_eq!(client.get("/").await.set_cookies().len(), 1);
    assert_eq!(client.get("/").await.set_cookies(), [""; 0]);
}

#[tokio::test]
async fn limits_hold_that_are_tightened_between_two_requests() {
    let (loose, clock) = timed_layer();
    let client = Client::new(app(loose));
    client.post("/").await;
    let cookie = client.cookie("__Host-session").unwrap();
    clock.advance(seconds(60));
    let under = |layer: SessionLayer| {
        let client = Client::new(app(layer.clock(clock.clone())));
        client.set_cookie("__Host-session", &cookie);
        async move { client.get("/").await.text() }
    };
    assert_eq!(under(layer().idle_timeout(seconds(60))).await, "1");
    assert_eq!(under(layer().idle_timeout(seconds(59))).await, "new");
    assert_eq!(under(layer().lifetime(seconds(60))).await, "1");
    assert_eq!(under(layer().lifetime(seconds(59))).await, "new");
}

#[tokio::test]
async fn times_are_told_to_the_application() {
    let (client, clock) = visitor().await;
    clock.advance(seconds(10));
    assert_eq!(client.get("/limits").await.text(), "0 1800");
    clock.advance(seconds(300));
    assert_eq!(client.get("/limits").await.text(), "0 2110");
    client.get("/remember").await;
    assert_eq!(client.get("/limits").await.text(), format!("0 {}", 310 + 30 * 24 * 60 * 60));
}

#[tokio::test]
async fn remember_me_outlives_the_browser_the_limits_and_later_writes() {
    let (client, clock) = visitor().await;
    let remembered = client.get("/remember").await;
    assert_eq!(max_age(&remembered.set_cookies()), Some(30 * 24 * 60 * 60));
    client.close_browser();
    clock.advance(days(29));
    let written = client.post("/").await;
    assert_eq!(max_age(&written.set_cookies()), Some(24 * 60 * 60));
    clock.advance(days(1));
    assert_eq!(client.get("/").await.text(), "new", "the browser dropped it in its last second");
}

#[tokio::test]
async fn expiring_with_the_browser_takes_remember_me_back() {
    let (client, clock) = visitor().await;
    client.get("/remember").await;
    assert_eq!(max_age(&client.get("/forget").await.set_cookies()), None);
    clock.advance(seconds(1_801));
    assert_eq!(client.get("/").await.text(), "new");
}

#[tokio::test]
async fn a_lifetime_of_its_own_can_be_shorter_than_the_limits() {
    async fn brief(session: Session) -> Result<(), Error> {
        session.insert("n", 1)?;
        session.set_lifetime(seconds(5));
        Ok(())
    }
    let (layer, clock) = timed_layer();
    let client = Client::new(Router::new().route("/", get(read).post(brief)).layer(layer));
    client.post("/").await;
    clock.advance(seconds(5));
    assert_eq!(client.get("/").await.text(), "1");
    clock.advance(seconds(1));
    assert_eq!(client.get("/").await.text(), "new");
}

#[tokio::test]
async fn a_persistent_cookie_tells_the_browser_what_is_left_of_the_nearer_limit() {
    let (layer, clock) = timed_layer();
    let layer = layer.idle_timeout(seconds(1_000)).lifetime(seconds(1_500)).persistent(true);
    let client = Client::new(app(layer)).with_clock(&clock);
    assert_eq!(max_age(&client.post("/").await.set_cookies()), Some(1_000));
    clock.advance(seconds(900));
    assert_eq!(max_age(&client.get("/").await.set_cookies()), Some(600));
}

#[tokio::test]
async fn max_age_is_400_days_at_the_most() {
    let (layer, clock) = timed_layer();
    let layer = layer.idle_timeout(days(4_000)).lifetime(days(4_000)).persistent(true);
    let client = Client::new(app(layer)).with_clock(&clock);
    assert_eq!(max_age(&client.post("/").await.set_cookies()), Some(400 * 24 * 60 * 60));
}

#[tokio::test]
async fn a_session_that_expires_while_its_request_runs_is_not_revived() {
    async fn slow(session: Session) -> Result<(), Error> {
        session.insert("n", 2)?;
        SLOW.with(|clock| clock.advance(seconds(1_801)));
        Ok(())
    }
    thread_local!(static SLOW: ManualClock = ManualClock::at(NOW));
    let layer = layer().idle_timeout(seconds(1_800)).clock(SLOW.with(Clone::clone));
    let client = Client::new(Router::new().route("/", get(read).post(slow)).layer(layer.clone()));
    client.enter(&TestSession::new(&layer).insert("n", 1));
    assert_eq!(client.post("/").await.set_cookies(), [""; 0]);
    assert_eq!(client.get("/").await.text(), "new");
}

#[tokio::test]
async fn renewing_gives_a_new_id_and_a_new_beginning_to_the_same_values() {
    async fn renew(session: Session) {
        session.renew();
    }
    let (layer, clock) = timed_layer();
    let client = Client::new(Router::new().route("/", get(renew)).route("/limits", get(limits)).layer(layer.clone()));
    let before = TestSession::new(&layer).insert("n", 1);
    client.enter(&before);
    clock.advance(seconds(100));
    client.get("/").await;
    let after = TestSession::of_client(&layer, &client);
    assert_eq!((after.get::<u32>("n"), after.id() == before.id()), (Some(1), false));
    assert_eq!(client.get("/limits").await.text(), format!("100 {}", 100 + 24 * 60 * 60));
}

#[tokio::test]
async fn out_of_range_durations_are_clamped() {
    let (layer, clock) = timed_layer();
    let layer = layer.idle_timeout(Duration::ZERO).lifetime(Duration::MAX).flash_lifetime(Duration::MAX);
    let client = Client::new(app(layer));
    client.post("/").await;
    clock.advance(seconds(1));
    assert_eq!(client.get("/").await.text(), "1");
    clock.advance(seconds(2));
    assert_eq!(client.get("/").await.text(), "new");
}

#[tokio::test]
async fn a_helper_sees_the_same_limits() {
    let (layer, clock) = timed_layer();
    let add = || async { "ok".adding_to_session([("n", 2)]) };
    let client = Client::new(Router::new().route("/", get(read).post(add)).layer(layer.clone()));
    client.enter(&TestSession::new(&layer).insert("old", 1));
    clock.advance(days(2));
    client.post("/").await;
    assert_eq!(TestSession::of_client(&layer, &client).keys(), ["n"]);
}

/// The same site with every engine, at an idle timeout of an hour.
fn every_engine() -> Vec<(&'static str, SessionLayer, ManualClock)> {
    let engines = [
        ("signed", SessionLayer::signed(keys())),
        ("encrypted", SessionLayer::encrypted(keys())),
        ("a list of revocations", SessionLayer::signed(keys()).revocations(MemoryStore::new())),
        ("a store", SessionLayer::stored(MemoryStore::new(), keys())),
    ];
    let timed = |(name, layer): (&'static str, SessionLayer)| {
        let clock = ManualClock::at(NOW);
        (name, layer.idle_timeout(seconds(3_600)).lifetime(days(1)).clock(clock.clone()), clock)
    };
    engines.into_iter().map(timed).collect()
}

#[tokio::test]
async fn a_session_has_an_idle_timeout_of_its_own_under_its_lifetime_and_through_a_renewal() {
    async fn till(session: Session) -> Result<(), Error> {
        session.insert("n", 1)?;
        session.set_idle_timeout(seconds(300));
        Ok(())
    }
    for (engine, layer, clock) in every_engine() {
        let app = app(layer.clone()).merge(
            Router::new()
                .route("/till", get(till))
                .route("/renew", get(|session: Session| async move { session.renew() }))
                .route("/reset", get(|session: Session| async move { session.reset_lifetime() }))
                .layer(layer),
        );
        let client = Client::new(app).with_clock(&clock);
        client.get("/till").await;
        client.get("/renew").await;
        for _ in 0..10 {
            clock.advance(seconds(300));
            assert_eq!(client.get("/").await.text(), "1", "{engine}");
        }
        client.get("/remember").await;
        clock.advance(seconds(301));
        assert_eq!(client.get("/").await.text(), "new", "{engine}: its own timeout holds under its own lifetime");
        client.get("/till").await;
        client.get("/remember").await;
        client.get("/reset").await;
        clock.advance(seconds(3_600));
        assert_eq!(client.get("/").await.text(), "1", "{engine}");
        clock.advance(seconds(3_601));
        assert_eq!(client.get("/").await.text(), "new", "{engine}");
    }
}

#[tokio::test]
async fn a_rotation_does_not_extend_the_lifetime() {
    for (engine, layer, clock) in every_engine() {
        let rotate = get(|session: Session| async move { session.rotate() });
        let app = app(layer.clone()).merge(Router::new().route("/rotate", rotate).layer(layer));
        let client = Client::new(app).with_clock(&clock);
        client.post("/").await;
        for _ in 0..24 {
            clock.advance(seconds(3_600));
            let before = client.cookie("__Host-session");
            client.get("/rotate").await;
            assert_ne!(client.cookie("__Host-session"), before, "{engine}");
            assert_eq!(client.get("/").await.text(), "1", "{engine}");
        }
        clock.advance(seconds(1));
        assert_eq!(client.get("/").await.text(), "new", "{engine}: its day is over");
    }
}

#[tokio::test]
async fn a_reset_lifetime_leaves_no_trace() {
    async fn there_and_back(session: Session) {
        session.set_lifetime(days(30));
        session.set_idle_timeout(seconds(60));
        session.reset_lifetime();
    }
    for (engine, layer, clock) in every_engine() {
        let app = app(layer.clone()).merge(Router::new().route("/back", get(there_and_back)).layer(layer));
        let client = Client::new(app).with_clock(&clock);
        client.post("/").await;
        assert!(client.get("/back").await.set_cookies().is_empty(), "{engine}");
    }
}

#[tokio::test]
async fn a_poll_reads_and_writes_and_is_no_visit() {
    for (engine, layer, clock) in every_engine() {
        let polls = Router::new().route("/poll", get(read).post(write)).route_layer(Unattended);
        let app = Router::new().route("/", get(read).post(write)).merge(polls).layer(layer);
        let client = Client::new(app).with_clock(&clock);
        client.post("/").await;
        clock.advance(seconds(1_800));
        assert!(client.get("/poll").await.set_cookies().is_empty(), "{engine}");
        client.post("/poll").await;
        assert_eq!(client.get("/poll").await.text(), "2", "{engine}");
        clock.advance(seconds(1_800));
        assert_eq!(client.get("/poll").await.text(), "2", "{engine}: its last second");
        clock.advance(seconds(1));
        assert_eq!(client.get("/poll").await.text(), "new", "{engine}");
        // A visit is one still, and a session may begin with a poll.
        client.post("/poll").await;
        clock.advance(seconds(3_000));
        client.get("/").await;
        clock.advance(seconds(3_000));
        assert_eq!(client.get("/poll").await.text(), "1", "{engine}");
    }
}

#[tokio::test]
async fn visits_are_noted_as_often_as_is_configured() {
    for (engine, layer, clock) in every_engine() {
        let client = Client::new(app(layer.note_visits_every(seconds(60)))).with_clock(&clock);
        client.post("/").await;
        for _ in 0..3 {
            clock.advance(seconds(60));
            client.get("/").await;
        }
        clock.advance(seconds(3_600));
        assert_eq!(client.get("/").await.text(), "1", "{engine}: no minute of the timeout is lost");
    }
}

#[tokio::test]
async fn a_slow_request_does_not_shorten_a_session_that_is_remembered() {
    let (read, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (clock, gates) = (ManualClock::at(NOW), (Arc::clone(&read), Arc::clone(&go_on)));
    let slow = move |session: Session| {
        let (read, go_on) = gates.clone();
        async move {
            let _ = session.len();
            read.notify_one();
            go_on.notified().await;
            session.insert("poll", 1)
        }
    };
    let layer = SessionLayer::stored(MemoryStore::new(), keys()).clock(clock.clone());
    let app = app(layer.clone()).merge(Router::new().route("/slow", get(slow)).layer(layer));
    let client = Client::new(app);
    client.post("/").await;
    let late = tokio::spawn({
        let client = client.clone();
        async move { client.get("/slow").await.status() }
    });
    read.notified().await;
    client.get("/remember").await;
    go_on.notify_one();
    assert_eq!(late.await.unwrap(), 200);
    clock.set(NOW + 25 * 3_600);
    assert_eq!(client.get("/").await.text(), "1");
}

#[tokio::test]
async fn a_cookie_of_a_store_is_sent_when_a_save_makes_it_last_longer() {
    async fn remember(session: Session) -> Result<(), Error> {
        session.set_lifetime(days(30));
        session.save().await
    }
    let layer = SessionLayer::stored(MemoryStore::new(), keys());
    let app = app(layer.clone()).merge(Router::new().route("/saved", get(remember)).layer(layer));
    let client = Client::new(app);
    client.post("/").await;
    let page = client.get("/saved").await;
    assert_eq!(max_age(&page.set_cookies()), Some(30 * 24 * 3_600));
}
