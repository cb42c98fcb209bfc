//! What becomes of a session, seen from a browser: each state of a session, each change, on a page and on a failure,
//! for each engine.

use std::time::Duration;

use axum::{Extension, Json, Router, extract::Path, http::StatusCode, routing::get};
use serde_json::{Value, json};
use session_axum::{
    Error, Keys, Session, SessionLayer,
    testing::{Client, ManualClock, TestResponse},
};
use session_stores::MemoryStore;

use crate::support::app::{NOW, OLD_SECRET, SECRET};

const STATES: [&str; 5] = ["none", "live", "due", "old key", "expired"];
const CHANGES: [&str; 13] = [
    "nothing",
    "insert",
    "insert and back",
    "clear",
    "renew",
    "renew and insert",
    "destroy",
    "destroy and insert",
    "id",
    "id and clear",
    "save and insert",
    "insert and save",
    "insert, save and destroy",
];
const IDLE: u64 = 24 * 60 * 60;

struct Site {
    old: Client,
    new: Client,
    clock: ManualClock,
}

impl Site {
    fn new(engine: &dyn Fn(Keys) -> SessionLayer) -> Self {
        let clock = ManualClock::at(NOW);
        let app = |keys: Keys| {
            Router::new()
                .route("/start", get(|session: Session| async move { session.insert("a", 1) }))
                .route("/values", get(values))
                .route("/{change}/{state}/{status}", get(act))
                .layer(engine(keys).clock(clock.clone()))
                .layer(Extension(clock.clone()))
        };
        let both = Keys::new(SECRET).unwrap().with_fallback(OLD_SECRET).unwrap();
        Self { old: Client::new(app(Keys::new(OLD_SECRET).unwrap())), new: Client::new(app(both)), clock }
    }

    async fn arrange(&self, state: &str) {
        let first = if state == "old key" { &self.old } else { &self.new };
        if state != "none" {
            first.get("/start").await;
        }
        if let (true, Some(cookie)) = (state == "old key", self.old.cookie(COOKIE)) {
            self.new.set_cookie(COOKIE, &cookie);
        }
        match state {
            "due" => self.clock.advance(Duration::from_secs(IDLE / 2)),
            "expired" => self.clock.advance(Duration::from_secs(IDLE - 1)),
            _ => self.clock.advance(Duration::from_secs(1)),
        }
    }

    async fn values(&self, cookie: Option<&str>) -> Value {
        let client = self.new.clone();
        if let Some(cookie) = cookie {
            client.set_cookie(COOKIE, cookie);
        }
        serde_json::from_str(&client.get("/values").await.text()).unwrap()
    }
}

async fn values(session: Session) -> Result<Json<Value>, Error> {
    let read = |key: String| Ok((key.clone(), session.get::<Value>(&key)?.unwrap_or_default()));
    session.keys().into_iter().map(read).collect::<Result<_, _>>().map(|map| Json(Value::Object(map)))
}

async fn act(
    session: Session,
    Extension(clock): Extension<ManualClock>,
    Path((change, state, status)): Path<(String, String, u16)>,
) -> Result<StatusCode, Error> {
    assert_eq!(session.is_empty(), state == "none", "it is alive when the request begins");
    if state == "expired" {
        clock.advance(Duration::from_secs(60));
    }
    for step in change.split([',', ' ']).filter(|step| !["", "and"].contains(step)) {
        match step {
            "nothing" => {}
            "insert" => session.insert("b", 2)?,
            "back" => {
                session.remove("b");
            }
            "clear" => session.clear(),
            "renew" => session.renew(),
            "destroy" => {
                let _ = session.destroy();
            }
            "id" => drop(session.id().to_string()),
            // A session that has expired cannot be saved any more.
            "save" => {
                let saved = session.save().await;
                assert!(saved.is_ok() || state == "expired", "{saved:?}");
            }
            other => panic!("{other}"),
        }
    }
    Ok(StatusCode::from_u16(status).unwrap())
}

/// What the session holds at the next request.
fn expected(state: &str, change: &str, fails: bool, travels: bool) -> Value {
    let before = if state == "none" { json!({}) } else { json!({ "a": 1 }) };
    let with_b = |mut values: Value| {
        values["b"] = json!(2);
        values
    };
    let is_over = state == "expired";
    match change {
        "destroy" | "insert, save and destroy" => json!({}),
        "destroy and insert" if fails => json!({}),
        "destroy and insert" => json!({ "b": 2 }),
        _ if is_over => json!({}),
        // What was saved in a store stays, whatever the response is.
        "insert and save" if fails && !travels => with_b(before),
        _ if fails => before,
        "insert" | "renew and insert" | "save and insert" | "insert and save" => with_b(before),
        "clear" | "id and clear" => json!({}),
        "nothing" | "insert and back" | "renew" | "id" => before,
        other => panic!("{other}"),
    }
}

/// What the response does to the cookie.
fn kind(page: &TestResponse) -> &'static str {
    match page.set_cookies()[..] {
        [] => "left",
        [cookie] if cookie.contains("Max-Age=0") => "removed",
        [_] => "set",
        _ => "set more than once",
    }
}

/// The whole product, on one engine. `travels`: the data is in the cookie. `ends_copies`: a copied cookie ends too.
async fn every_outcome(engine: impl Fn() -> Box<dyn Fn(Keys) -> SessionLayer>, travels: bool, ends_copies: bool) {
    for state in STATES {
        for change in CHANGES {
            for status in [200, 404, 500] {
                let case = format!("{state} / {change} / {status}");
                let site = Site::new(&engine());
                site.arrange(state).await;
                let before = site.new.cookie(COOKIE);
                let page = site.new.get(&format!("/{change}/{state}/{status}").replace(' ', "%20")).await;
                assert_eq!(page.status().as_u16(), status, "{case}");
                let fails = status == 500;
                assert_eq!(site.values(None).await, expected(state, change, fails, travels), "{case}");

                let is_live = state != "none" && state != "expired";
                let renews = change.starts_with("renew") && is_live && !fails;
                let ends = change.ends_with("destroy") || change.starts_with("destroy");
                if let (true, true, Some(copy)) = (ends_copies, renews || ends, &before) {
                    assert_eq!(site.values(Some(copy)).await, json!({}), "{case}: a copy of the former cookie");
                }
                let unchanged = ["nothing", "insert and back", "id"].contains(&change);
                if unchanged && state == "live" {
                    assert_eq!(kind(&page), "left", "{case}");
                }
                if renews {
                    assert_eq!(kind(&page), "set", "{case}");
                }
                if fails && !ends && !change.contains("save") {
                    assert_eq!(kind(&page), "left", "{case}");
                }
            }
        }
    }
}

#[tokio::test]
async fn every_outcome_of_a_signed_session() {
    every_outcome(|| Box::new(SessionLayer::signed), true, false).await;
}

#[tokio::test]
async fn every_outcome_of_an_encrypted_session() {
    every_outcome(|| Box::new(SessionLayer::encrypted), true, false).await;
}

#[tokio::test]
async fn every_outcome_of_a_session_with_revocations() {
    let engine = || {
        let list = MemoryStore::new();
        Box::new(move |keys| SessionLayer::signed(keys).revocations(list.clone())) as Box<dyn Fn(Keys) -> SessionLayer>
    };
    every_outcome(engine, true, true).await;
}

#[tokio::test]
async fn every_outcome_of_a_session_in_a_store() {
    let engine = || {
        let store = MemoryStore::new();
        Box::new(move |keys| SessionLayer::stored(store.clone(), keys)) as Box<dyn Fn(Keys) -> SessionLayer>
    };
    every_outcome(engine, false, true).await;
}

const COOKIE: &str = "__Host-session";
