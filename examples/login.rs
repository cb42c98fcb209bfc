//! A struct as the guard of a route: a visitor who is not logged in goes to the log-in page, and back after the log-in.
//! `cargo run --example login`, then
//!
//! ```text
//! curl -Lb jar -c jar http://127.0.0.1:3000/orders
//! curl -Lb jar -c jar http://127.0.0.1:3000/login -d user=ada
//! ```

use axum::{
    Form, Router,
    response::{Html, IntoResponse, Redirect},
    routing::{get, post},
};
use serde::Deserialize;
use session_axum::{Error, Flash, Keys, Session, SessionData, SessionLayer, SessionResponseExt};
use session_examples::start;
use tower_http::csrf::CsrfLayer;

/// A handler that takes `Session<Member>` is for members. Other visitors are sent to the log-in page, which shows the
/// message. The page that they wanted is kept.
#[derive(SessionData)]
#[session(redirect = "/login", return_to, message = "Please log in first.")]
struct Member {
    user: String,
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn account(member: Session<Member>, flash: Flash) -> Html<String> {
    let welcome = flash.get("success").unwrap_or_default();
    Html(format!("{welcome} {} <form method=post action=/logout><button>Log out</button></form>", escape(&member.user)))
}

async fn orders(member: Session<Member>, flash: Flash) -> Html<String> {
    Html(format!("{} {}, no orders yet.", flash.get("success").unwrap_or_default(), escape(&member.user)))
}

async fn login_page(flash: Flash) -> Html<String> {
    let error = flash.get("error").unwrap_or_default();
    Html(format!(
        "{error} <form method=post><label>Name <input name=user required></label> <button>Log in</button></form>"
    ))
}

async fn login(session: Session, Form(login): Form<Login>) -> Result<impl IntoResponse, Error> {
    session.renew(); // a new session id whenever the visitor gets more rights
    session.insert("user", &login.user)?;
    Ok(session.return_to("/account").flashing(("success", "Welcome back,")))
}

async fn logout() -> impl IntoResponse {
    Redirect::to("/login").with_new_session()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(crate) fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/account", get(account))
        .route("/orders", get(orders))
        .route("/login", get(login_page).post(login))
        .route("/logout", post(logout))
        .layer(layer)
        .layer(CsrfLayer::new()) // outside: refuses forms that other sites send, log-ins too
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Sentence> {
    // For a laptop. In production use HTTPS and `SessionLayer::signed(Keys::from_env("SESSION_SECRET")?)`.
    let layer = SessionLayer::signed(Keys::generate()).insecure_over_http();
    start::serve("The members' page is at", "/account", app(layer)).await
}
