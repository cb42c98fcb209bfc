//! The same handlers for browsers, which keep a cookie, and for native clients, which send a bearer token.
//! `cargo run --example api`, then
//!
//! ```text
//! curl -Lb jar -c jar http://127.0.0.1:3000/login -d user=ada
//! curl -b jar http://127.0.0.1:3000/notes --json '"from the browser"'
//!
//! TOKEN=$(curl -s http://127.0.0.1:3000/token --json '{"user": "ada"}' | jq -r .token)
//! curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:3000/notes --json '"from the app"'
//! curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:3000/logout -d ''
//! ```

use axum::{
    Form, Json, Router,
    http::StatusCode,
    response::{Html, Redirect},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use session_axum::{Error, Keys, Session, SessionData, SessionLayer};
use session_examples::start;
use session_stores::MemoryStore;
use tower_http::csrf::CsrfLayer;

/// A handler that takes `Session<Member>` is for members: other clients get a 401.
#[derive(SessionData)]
struct Member {
    user: String,
    #[session(default)]
    notes: Vec<String>,
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

#[derive(Serialize)]
struct Token {
    token: String,
}

async fn notes(member: Session<Member>) -> Json<Vec<String>> {
    Json(member.notes.clone())
}

async fn add_note(mut member: Session<Member>, Json(note): Json<String>) -> Json<Vec<String>> {
    let note = format!("{}: {note}", member.user);
    member.notes.push(note);
    Json(member.notes.clone())
}

async fn login_page() -> Html<&'static str> {
    Html("<form method=post><label>Name <input name=user required></label> <button>Log in</button></form>")
}

/// The log-in of a browser: the response sets a cookie.
async fn login(session: Session, Form(login): Form<Login>) -> Result<Redirect, Error> {
    log_in(&session, &login)?;
    Ok(Redirect::to("/notes"))
}

/// The log-in of a native client: the response has a token, and sets no cookie.
async fn token(session: Session, Json(login): Json<Login>) -> Result<Json<Token>, Error> {
    log_in(&session, &login)?;
    Ok(Json(Token { token: session.bearer_token().await? }))
}

fn log_in(session: &Session, login: &Login) -> Result<(), Error> {
    // Check the password first.
    session.renew();
    session.insert("user", &login.user)
}

/// Ends the session: the cookie or the token stops working.
async fn logout(session: Session) -> StatusCode {
    session.destroy();
    StatusCode::NO_CONTENT
}

pub(crate) fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/notes", get(notes).post(add_note))
        .route("/login", get(login_page).post(login))
        .route("/token", post(token))
        .route("/logout", post(logout))
        .layer(layer.bearer())
        .layer(CsrfLayer::new()) // refuses what other sites send; native clients send no `Origin`, and pass
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Sentence> {
    // For a laptop. In production use HTTPS, a store that survives a restart, and `Keys::from_env("SESSION_SECRET")?`.
    let layer = SessionLayer::stored(MemoryStore::new(), Keys::generate()).insecure_over_http();
    start::serve("The notes are at", "/login", app(layer)).await
}
