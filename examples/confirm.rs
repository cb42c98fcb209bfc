//! Step-up: a page for members, and one that asks for the password once more if the last time was a while ago.
//! `cargo run --example confirm`, then
//!
//! ```text
//! curl -Lb jar -c jar http://127.0.0.1:3000/payout
//! curl -Lb jar -c jar http://127.0.0.1:3000/login -d user=ada -d password=correct
//! curl -Lb jar -c jar http://127.0.0.1:3000/confirm -d password=correct
//! ```

use axum::{
    Form, Router,
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use serde::Deserialize;
use session_axum::{Error, Flash, Keys, Session, SessionData, SessionLayer, SessionResponseExt};
use session_examples::start;

/// A handler that takes `Session<Member>` is for members. Other visitors go to the log-in page, and back to the page
/// that they wanted.
#[derive(SessionData)]
#[session(redirect = "/login", return_to)]
struct Member {
    user: String,
}

/// A handler that takes `Session<Confirmed>` too is for members who have entered their password in the last 10 minutes.
#[derive(SessionData)]
#[session(redirect = "/confirm", return_to, confirmed_within = "10m")]
struct Confirmed {}

#[derive(Deserialize)]
struct Login {
    user: String,
    password: String,
}

#[derive(Deserialize)]
struct Password {
    password: String,
}

async fn account(member: Session<Member>) -> Html<String> {
    Html(format!("<h1>{}</h1> <a href=/payout>Payout</a>", escape(&member.user)))
}

/// The order counts: a stranger is sent to the log-in page by the first guard.
async fn payout(member: Session<Member>, _: Session<Confirmed>) -> Html<String> {
    Html(format!("<h1>Payout to {}</h1>", escape(&member.user)))
}

async fn login_page(flash: Flash) -> Html<String> {
    let error = flash.get("error").unwrap_or_default();
    Html(format!(
        "{error} <form method=post><input name=user> <input name=password type=password> <button>Log in</button></form>"
    ))
}

async fn login(session: Session, Form(login): Form<Login>) -> Result<Response, Error> {
    if !is_right(&login.password) {
        return Ok(Redirect::to("/login").flashing(("error", "That log-in did not work.")));
    }
    session.renew(); // a new session id whenever the visitor gets more rights
    session.confirm(); // the password was entered just now
    session.insert("user", &login.user)?;
    Ok(session.return_to("/account").into_response())
}

async fn confirm_page(member: Session<Member>, flash: Flash) -> Html<String> {
    let error = flash.get("error").unwrap_or_default();
    let user = escape(&member.user);
    Html(format!(
        "{error} <form method=post>{user}, please enter your password once more: <input name=password type=password> <button>Confirm</button></form>"
    ))
}

async fn confirm(_: Session<Member>, session: Session, Form(form): Form<Password>) -> Response {
    if !is_right(&form.password) {
        return Redirect::to("/confirm").flashing(("error", "That was not the password."));
    }
    session.renew(); // as at a log-in: a new session id
    session.confirm();
    session.return_to("/account").into_response()
}

/// Stands in for the check of a password hash.
fn is_right(password: &str) -> bool {
    password == "correct"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(crate) fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/account", get(account))
        .route("/payout", get(payout))
        .route("/login", get(login_page).post(login))
        .route("/confirm", get(confirm_page).post(confirm))
        .layer(layer)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Sentence> {
    // For a laptop. In production use HTTPS and `SessionLayer::signed(Keys::from_env("SESSION_SECRET")?)`.
    let layer = SessionLayer::signed(Keys::generate()).insecure_over_http();
    start::serve("The members' page is at", "/account", app(layer)).await
}
