//! The list of devices where a user is logged in, and log-out on one device or everywhere: sessions in a store.
//! `cargo run --features databases --example devices`, then
//!
//! ```text
//! curl -Lb laptop -c laptop http://127.0.0.1:3000/login -d user=ada
//! curl -Lb phone -c phone http://127.0.0.1:3000/login -d user=ada
//! curl -Lb phone -c phone http://127.0.0.1:3000/logout-everywhere -d ''
//! curl -Lb laptop -c laptop http://127.0.0.1:3000
//! ```
//!
//! The sessions are in the file `sessions.db` of the current directory, or in the store that `STORE_URL` names: `sqlite://other.db`,
//! `postgres://user@host/name`, `mysql://user@host/name`, `redis://host`, `memory:`. To run two instances, give both
//! the same `SESSION_SECRET`, and one of them another `PORT`.

use std::{
    env,
    error::Error as StdError,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Form, Router,
    http::{HeaderMap, header},
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;
use session_axum::{
    Error, Flash, Keys, LiveSession, Session, SessionData, SessionLayer, SessionResponseExt, Sessions,
    store::{SessionStore, StoreError, StoreErrorKind},
};
use session_examples::start;
use session_stores::{MemoryStore, MySqlStore, PostgresStore, RedisStore, SqliteStore};

/// Returns the application. Only the layer decides where the sessions are kept.
pub(crate) fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/", get(devices))
        .route("/login", get(login_page).post(login))
        .route("/logout", post(log_out))
        .route("/logout-everywhere", post(log_out_everywhere))
        .layer(layer)
}

/// Opens the store at this address.
pub(crate) async fn store(url: &str) -> Result<Arc<dyn SessionStore>, StoreError> {
    match url.split(':').next() {
        Some("memory") => Ok(Arc::new(MemoryStore::new())),
        Some("sqlite") => {
            let store = SqliteStore::connect(url).await?;
            store.migrate().await?;
            Ok(Arc::new(store))
        }
        Some("postgres" | "postgresql") => {
            let store = PostgresStore::connect(url).await?;
            store.migrate().await?;
            Ok(Arc::new(store))
        }
        Some("mysql" | "mariadb") => {
            let store = MySqlStore::connect(url).await?;
            store.migrate().await?;
            Ok(Arc::new(store))
        }
        Some("redis") => Ok(Arc::new(RedisStore::connect(url).await?)),
        _ => Err(StoreError::new(
            StoreErrorKind::Refused,
            "the address of a store begins with memory:, sqlite:, postgres:, mysql: or redis:",
        )),
    }
}

/// A handler that takes `Session<Member>` is for members. Other visitors are sent to the log-in page.
#[derive(SessionData)]
#[session(redirect = "/login")]
struct Member {
    user: String,
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

#[derive(Deserialize)]
struct Device {
    id: String,
}

async fn devices(member: Session<Member>, sessions: Sessions, flash: Flash) -> Result<Markup, Error> {
    let this = Session::untyped(&member).id();
    let devices = sessions.of(&member.user).await?;
    Ok(page(&html! {
        h1 { "Devices of " (member.user) }
        @if let Some(message) = flash.get("success") { p role="status" { (message) } }
        ul {
            @for device in &devices { li { (row(device)) @if device.id == this { " This device." } } }
        }
        form method="post" action="/logout-everywhere" { button { "Log out everywhere" } }
    }))
}

/// Other sites cannot send this form for a visitor: with `SameSite=Lax`, their POST comes without the cookie.
fn row(device: &LiveSession) -> Markup {
    html! {
        form method="post" action="/logout" {
            strong { (device.label.as_deref().unwrap_or("A device")) }
            ", since " (ago(device.created_at)) ", last seen " (ago(device.last_seen)) ". "
            button name="id" value=(device.id) { "Log out" }
        }
    }
}

async fn login_page(flash: Flash) -> Markup {
    page(&html! {
        @if let Some(message) = flash.get("success") { p role="status" { (message) } }
        form method="post" { label { "Name " input name="user" required; } " " button { "Log in" } }
    })
}

async fn login(session: Session, headers: HeaderMap, Form(login): Form<Login>) -> Result<impl IntoResponse, Error> {
    session.renew(); // a new session id whenever the visitor gets more rights
    session.insert("user", &login.user)?;
    session.set_owner(login.user)?;
    session.set_label(label(&headers))?;
    Ok(Redirect::to("/"))
}

async fn log_out(
    member: Session<Member>,
    sessions: Sessions,
    Form(device): Form<Device>,
) -> Result<impl IntoResponse, Error> {
    // A session's public id is no secret, so check that the session belongs to this user.
    let theirs = sessions.of(&member.user).await?.into_iter().find(|session| session.id.to_string() == device.id);
    let Some(theirs) = theirs else { return Ok(Redirect::to("/").into_response()) };
    sessions.destroy(theirs.id).await?;
    Ok(Redirect::to("/").flashing(("success", "The device is logged out.")))
}

async fn log_out_everywhere(member: Session<Member>, sessions: Sessions) -> Result<impl IntoResponse, Error> {
    let ended = sessions.destroy_all(&member.user).await?;
    let message = format!("Logged out everywhere. Devices: {ended}.");
    Ok(Redirect::to("/login").with_new_session().flashing(("success", message)))
}

/// Returns a name for the device, for its owner. The browser can send any text here, so nothing else depends on it.
fn label(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let named = |names: &[&'static str]| names.iter().find(|name| agent.contains(**name)).copied();
    let browser = named(&["Firefox", "Chrome", "Safari", "curl"]).unwrap_or("A browser");
    match named(&["Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux"]) {
        Some(system) => format!("{browser} on {system}"),
        None => browser.to_owned(),
    }
}

fn ago(time: SystemTime) -> String {
    match time.elapsed().unwrap_or_default().as_secs() / 60 {
        0 => "just now".to_owned(),
        minutes @ 1..120 => format!("{minutes} min ago"),
        minutes => format!("{} h ago", minutes / 60),
    }
}

fn page(content: &Markup) -> Markup {
    html! { (DOCTYPE) html lang="en" { title { "Devices" } (content) } }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn StdError>> {
    let store = store(&env::var("STORE_URL").unwrap_or_else(|_| "sqlite://sessions.db".to_owned())).await?;
    // Without a secret this run uses a random key, and cannot open the sessions of earlier runs.
    let has_secret = ["SESSION_SECRET", "SESSION_SECRET_FILE"].into_iter().any(|name| env::var_os(name).is_some());
    let keys = if has_secret { Keys::from_env("SESSION_SECRET")? } else { Keys::generate() };
    // A visit is written to the store after an eighth of the idle timeout. In production remove `insecure_over_http`.
    let layer = SessionLayer::stored(store, keys).idle_timeout(Duration::from_secs(60 * 60)).insecure_over_http();

    Ok(start::serve("The devices are at", "", app(layer)).await?)
}
