//! Several cookies of one name, as browsers send them after settings have changed or responses have crossed.

use std::time::Duration;

use axum::{Router, extract::Path, routing::get};
use session_axum::{
    Error, Session, SessionLayer,
    testing::{Client, ManualClock, TestSession},
};
use session_stores::MemoryStore;

use crate::support::{
    app::{NOW, keys},
    jar::{Jar, send},
    logs::Logs,
};

fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/login", get(log_in))
        .route("/logout", get(|session: Session| async move { format!("{:?}", session.destroy()) }))
        .route("/me", get(me))
        .route("/write", get(|session: Session| async move { session.insert("n", 1) }))
        .route("/big/{length}", get(big))
        .layer(layer)
}

async fn log_in(session: Session) -> Result<(), Error> {
    session.renew();
    session.insert("user", "alice")
}

async fn me(session: Session) -> Result<String, Error> {
    Ok(session.get("user")?.unwrap_or_else(|| "nobody".to_owned()))
}

async fn big(session: Session, Path(length): Path<usize>) -> Result<(), Error> {
    session.insert("user", "alice")?;
    session.insert("big", "x".repeat(length))
}

type Change = fn(SessionLayer) -> SessionLayer;

/// What a deployment may change about the cookie, so that browsers keep the former one beside the new one.
const CHANGES: [Change; 4] = [
    |layer| layer.domain("example.com").unwrap(),
    |layer| layer.path("/app").unwrap(),
    |layer| layer.partitioned(true),
    |layer| layer.domain("example.com").unwrap().path("/app").unwrap().partitioned(true),
];

fn engines() -> [SessionLayer; 3] {
    let clock = ManualClock::at(NOW);
    [
        SessionLayer::signed(keys()),
        SessionLayer::signed(keys()).revocations(MemoryStore::new()),
        SessionLayer::stored(MemoryStore::new(), keys()),
    ]
    .map(|layer| layer.name("sid").unwrap().clock(clock.clone()))
}

#[tokio::test]
async fn a_visitor_stays_through_changed_attributes_and_no_cookie_is_left() {
    for layer in engines() {
        for change in CHANGES {
            let (old, new) = (app(layer.clone()), app(change(layer.clone())));
            let mut jar = Jar::default();
            jar.get(&old, "/login").await;
            jar.get(&new, "/write").await;
            assert_eq!(jar.get(&new, "/me").await, "alice");
            jar.get(&new, "/login").await;
            assert_eq!(jar.get(&new, "/me").await, "alice");
            assert_eq!(jar.names(), ["sid"]);
            jar.get(&new, "/logout").await;
            assert_eq!(jar.get(&new, "/me").await, "nobody");
            assert_eq!(jar.names(), [""; 0]);
        }
    }
}

#[tokio::test]
async fn a_cookie_without_a_live_session_does_not_count() {
    for layer in engines().into_iter().skip(1) {
        let (old, new) = (app(layer.clone()), app(layer.domain("example.com").unwrap()));
        let mut jar = Jar::default();
        jar.get(&old, "/login").await;
        let dead = jar.header();
        let (_, login) = send(&new, "/login", &dead).await;
        let live = login.iter().find(|cookie| cookie.contains("Domain") && !cookie.contains("Max-Age=0")).unwrap();
        let live = live.split(';').next().unwrap().to_owned();
        for both in [format!("{dead}; {live}"), format!("{live}; {dead}")] {
            assert_eq!(send(&new, "/me", &both).await.0, "alice");
        }
        send(&new, "/logout", &format!("{dead}; {live}")).await;
        assert_eq!(send(&new, "/me", &live).await.0, "nobody");
    }
}

#[tokio::test]
async fn a_log_out_with_two_live_sessions_ends_both() {
    for layer in engines().into_iter().skip(1) {
        let app = app(layer);
        let (mut one, mut other) = (Jar::default(), Jar::default());
        one.get(&app, "/login").await;
        other.get(&app, "/login").await;
        let both = format!("{}; {}", one.header(), other.header());
        assert_eq!(send(&app, "/me", &both).await.0, "nobody");
        send(&app, "/logout", &both).await;
        assert_eq!(one.get(&app, "/me").await, "nobody");
        assert_eq!(other.get(&app, "/me").await, "nobody");
    }
}

fn chunked(most: usize) -> (SessionLayer, ManualClock) {
    let clock = ManualClock::at(NOW);
    (SessionLayer::signed(keys()).chunked(most).clock(clock.clone()), clock)
}

#[tokio::test]
async fn a_session_in_pieces_survives_responses_that_cross() {
    let (layer, clock) = chunked(4);
    let app = app(layer);
    let mut jar = Jar::default();
    jar.get(&app, "/login").await;
    let cookies = jar.header();
    let (_, large) = send(&app, "/big/5000", &cookies).await;
    clock.advance(Duration::from_secs(1));
    let (_, small) = send(&app, "/write", &cookies).await;
    jar.apply(&large);
    jar.apply(&small);
    assert_eq!(jar.get(&app, "/me").await, "alice");
    clock.advance(Duration::from_secs(1));
    jar.get(&app, "/login").await;
    assert_eq!(jar.names(), ["__Host-session"]);

    for (first, second) in [("/big/8000", "/write"), ("/big/8000", "/big/5001"), ("/write", "/big/8000")] {
        let mut jar = Jar::default();
        jar.get(&app, "/big/5000").await;
        let cookies = jar.header();
        clock.advance(Duration::from_secs(1));
        let (_, first) = send(&app, first, &cookies).await;
        let (_, second) = send(&app, second, &cookies).await;
        jar.apply(&first);
        jar.apply(&second);
        assert_eq!(jar.get(&app, "/me").await, "alice");
    }
}

#[tokio::test]
async fn a_session_in_pieces_stays_through_changed_attributes_and_no_piece_is_left() {
    for change in CHANGES {
        let (layer, _) = chunked(4);
        let layer = layer.name("sid").unwrap();
        let (old, new) = (app(layer.clone()), app(change(layer)));
        for first in ["/write", "/login"] {
            let mut jar = Jar::default();
            jar.get(&old, "/big/5000").await;
            jar.get(&new, first).await;
            assert_eq!(jar.get(&new, "/me").await, "alice", "{first}");
            jar.get(&new, "/login").await;
            assert_eq!(jar.get(&new, "/me").await, "alice", "{first}");
            // One response removes at most twelve cookies.
            jar.get(&new, "/big/5001").await;
            assert_eq!(jar.names(), ["sid.1", "sid.2"]);
            jar.get(&new, "/logout").await;
            assert_eq!(jar.get(&new, "/me").await, "nobody", "{first}");
        }
        let mut jar = Jar::default();
        jar.get(&old, "/big/5000").await;
        jar.get(&new, "/logout").await;
        jar.get(&new, "/logout").await;
        assert_eq!(jar.names(), [""; 0]);
    }
}

#[tokio::test]
async fn pieces_that_are_no_longer_allowed_are_not_read_and_go() {
    let (layer, _) = chunked(4);
    let (pieces, whole) = (app(layer.clone()), app(layer.chunked(1)));
    let mut jar = Jar::default();
    jar.get(&pieces, "/big/8000").await;
    assert_eq!(jar.names().len(), 3);
    assert_eq!(jar.get(&whole, "/me").await, "nobody");
    jar.get(&whole, "/write").await;
    assert_eq!(jar.names(), ["__Host-session"]);
    jar.get(&pieces, "/big/8000").await;
    jar.get(&whole, "/logout").await;
    assert!(!jar.names().iter().any(|name| name.contains(".1")), "{:?}", jar.names());
}

#[tokio::test]
async fn more_than_four_candidates_are_none() {
    let layer = SessionLayer::signed(keys()).name("sid").unwrap();
    let app = app(layer.clone());
    let cookie = |user: &str| TestSession::new(&layer).insert("user", user).cookies()[0].1.clone();
    let (alice, mallory) = (cookie("alice"), cookie("mallory"));
    let kid = &alice[2..6];
    let junk = |c: &str| format!("1.{kid}.{}.{}", "A".repeat(43), c.repeat(43));
    let (logs, _guard) = Logs::capture();
    let five = format!("sid={mallory}; sid={}; sid={}; sid={}; sid={alice}", junk("A"), junk("B"), junk("C"));
    assert_eq!(send(&app, "/me", &five).await.0, "nobody");
    assert_eq!(logs.take().iter().filter(|line| line.starts_with("WARN")).count(), 1);
    let four = format!("sid={}; sid={}; sid={alice}; sid=other; sid={alice}; sid={}", junk("A"), junk("B"), junk("C"));
    assert_eq!(send(&app, "/me", &four).await.0, "alice");
}

#[tokio::test]
async fn rival_cookies_are_logged_once_a_minute() {
    let clock = ManualClock::at(NOW);
    let layer = SessionLayer::signed(keys()).name("sid").unwrap().clock(clock.clone());
    let app = app(layer.clone());
    let cookie = |user: &str| TestSession::new(&layer).insert("user", user).cookies()[0].1.clone();
    let both = format!("sid={}; sid={}", cookie("alice"), cookie("mallory"));
    let (logs, _guard) = Logs::capture();
    let warnings = || logs.take().iter().filter(|line| line.starts_with("WARN")).count();
    for _ in 0..5 {
        send(&app, "/me", &both).await;
    }
    assert_eq!(warnings(), 1);
    clock.advance(Duration::from_secs(60));
    send(&app, "/me", &both).await;
    assert_eq!(warnings(), 1);
}

#[tokio::test]
async fn the_testing_kits_client_tells_twins_apart_as_a_browser_does() {
    let layer = SessionLayer::signed(keys()).name("sid").unwrap();
    let client = Client::new(app(layer.clone().domain("example.com").unwrap()));
    client.enter(&TestSession::new(&layer).insert("user", "bob"));
    client.get("/write").await;
    assert_eq!(client.cookie_names(), ["sid", "sid"]);
    client.get("/login").await;
    assert_eq!((client.cookie_names(), client.get("/me").await.text().as_str()), (vec!["sid".to_owned()], "alice"));
}
