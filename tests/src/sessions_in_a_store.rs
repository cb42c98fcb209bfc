//! Sessions in a store, seen from a browser: what is asked of the store, and what becomes of a visitor when it fails.

mod devices;
mod faults;
mod floods;
mod forged;
mod instances;
mod outages;
mod owners;
mod races;
mod revocations;
mod round_trips;
mod running;
mod sweeping;

use std::time::Duration;

use axum::{
    Router,
    extract::Path,
    http::StatusCode,
    routing::{get, post},
};
use session_axum::{
    Error, Flash, Session, SessionLayer, SessionResponseExt,
    testing::{Client, ManualClock},
};

use crate::support::{
    app::{NOW, keys},
    watched::Watched,
};

/// A store, an application on it, and a browser.
struct Site {
    store: Watched,
    layer: SessionLayer,
    clock: ManualClock,
    client: Client,
}

impl Site {
    fn new() -> Self {
        let (store, clock) = (Watched::new(), ManualClock::at(NOW));
        let layer = SessionLayer::stored(store.clone(), keys()).clock(clock.clone());
        let client = Client::new(app(layer.clone()));
        Self { store, layer, clock, client }
    }

    /// One whose browser has a session with `a` in it, and whose store has forgotten what it was asked for that.
    async fn with_session() -> Self {
        let site = Self::new();
        assert_eq!(site.get("/set/a/1").await, (200, String::new()));
        site.store.calls();
        site
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let page = self.client.get(path).await;
        (page.status().as_u16(), page.text())
    }

    /// What the store is asked for one page.
    async fn calls_of(&self, path: &str) -> Vec<&'static str> {
        self.store.calls();
        let (status, _) = self.get(path).await;
        assert!(status < 500, "{path}: {status}");
        self.store.calls()
    }

    /// What a browser with this cookie sees under `a`.
    async fn seen_with(&self, cookie: &str) -> String {
        let client = Client::new(app(self.layer.clone()));
        client.set_cookie(COOKIE, cookie);
        client.get("/get/a").await.text()
    }

    fn cookie(&self) -> Option<String> {
        self.client.cookie(COOKIE)
    }
}

fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/untouched", get(|| async { "hello" }))
        .route("/get/{key}", get(read))
        .route("/set/{key}/{value}", get(write))
        .route(
            "/twice",
            get(|one: Session, two: Session| async move { one.contains("a").eq(&two.contains("a")).to_string() }),
        )
        .route("/clear", get(|session: Session| async move { session.clear() }))
        .route("/id", get(|session: Session| async move { session.id().to_string() }))
        .route("/renew", get(|session: Session| async move { session.renew() }))
        .route("/renew/{value}", get(renew_with))
        .route("/remember", get(|session: Session| async move { session.set_lifetime(Duration::from_secs(90 * DAY)) }))
        .route("/forget", get(|session: Session| async move { session.expire_on_browser_close() }))
        .route("/destroy", get(|session: Session| async move { format!("{:?}", session.destroy()) }))
        .route("/replace", get(|| async { "ok".with_session([("b", 2)]) }))
        .route("/add", get(|| async { "ok".adding_to_session([("b", 2)]) }))
        .route("/new", get(|| async { "ok".with_new_session() }))
        .route("/failing-destroy", get(failing_destroy))
        .route("/update", get(update))
        .route("/save", get(save))
        .route("/do/{*steps}", get(act))
        .route("/own/{owner}", get(own))
        .route("/flash", get(|| async { "ok".flashing(("success", "saved")) }))
        .route("/flashed", post(|flash: Flash| async move { flash.get("success").unwrap_or_default().to_owned() }))
        .layer(layer)
}

async fn read(session: Session, Path(key): Path<String>) -> Result<String, Error> {
    Ok(session.get::<String>(&key)?.unwrap_or_default())
}

async fn write(session: Session, Path((key, value)): Path<(String, String)>) -> Result<(), Error> {
    session.insert(&key, value)
}

async fn renew_with(session: Session, Path(value): Path<String>) -> Result<(), Error> {
    session.renew();
    session.insert("a", value)
}

async fn failing_destroy(session: Session) -> StatusCode {
    session.destroy();
    StatusCode::BAD_GATEWAY
}

async fn update(session: Session) -> Result<String, Error> {
    let count = session.update("count", |count: Option<u32>| count.unwrap_or(0) + 1).await?;
    Ok(count.to_string())
}

async fn save(session: Session) -> Result<(), Error> {
    session.insert("saved", true)?;
    session.save().await
}

/// Does the steps in the path, one after the other.
async fn act(session: Session, Path(steps): Path<String>) -> Result<(), Error> {
    for step in steps.split('/') {
        match step {
            "update" => drop(session.update("count", |count: Option<u32>| count.unwrap_or(0) + 1).await?),
            "save" => {
                session.insert("saved", session.get::<u32>("saved")?.unwrap_or(0) + 1)?;
                session.save().await?;
            }
            "visit" => session.save().await?,
            other => panic!("{other} is no step"),
        }
    }
    Ok(())
}

async fn own(session: Session, Path(owner): Path<String>) -> Result<(), Error> {
    session.set_owner(owner)?;
    session.set_label("Firefox on Linux")
}

const COOKIE: &str = "__Host-session";
const DAY: u64 = 24 * 60 * 60;
