//! A visitor whose record makes no sense has no session and may begin another; the record stays byte for byte.

use axum::{Router, extract::Path, routing::get};
use session_axum::{Error, Session, SessionLayer, testing::Client};
use session_core::{SessionId, store::SessionStore};

use crate::support::{app::keys, logs::Logs};

/// One with a session that has an `a`, and nothing else yet.
pub(crate) async fn visitor(store: impl SessionStore) -> Client {
    let app = Router::new()
        .route("/set/{key}", get(set))
        .route("/keys", get(|session: Session| async move { session.keys().join(" ") }))
        .route("/id", get(|session: Session| async move { session.id().to_string() }))
        .layer(SessionLayer::stored(store, keys()));
    let visitor = Client::new(app);
    assert_eq!(visitor.get("/set/a").await.status(), 200);
    visitor
}

pub(crate) async fn id_of(visitor: &Client) -> SessionId {
    visitor.get("/id").await.text().parse().unwrap()
}

/// Visits after the damage was done, on a thread whose events are the visitor's alone.
pub(crate) async fn expect_another_session(visitor: &Client, damage: &str) {
    let (logs, _guard) = Logs::capture();
    assert_eq!(visitor.get("/keys").await.text(), "", "{damage}");
    expect_event(&logs, damage);
    assert_eq!(visitor.get("/set/b").await.status(), 200, "{damage}");
    expect_event(&logs, damage);
    assert_eq!(visitor.get("/keys").await.text(), "b", "{damage}");
    let lines = logs.take();
    assert!(!lines.iter().any(|line| line.starts_with("ERROR")), "{damage}: {lines:?}");
}

fn expect_event(logs: &Logs, damage: &str) {
    let lines = logs.take();
    let is_event = |line: &&String| line.starts_with("ERROR") && line.contains("a stored session makes no sense");
    assert_eq!(lines.iter().filter(is_event).count(), 1, "{damage}: {lines:?}");
}

async fn set(session: Session, Path(key): Path<String>) -> Result<(), Error> {
    session.insert(&key, "something longer than a digit")
}
