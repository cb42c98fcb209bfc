//! Two sessions side by side: a cart that stays for months, and a log-in that ends after half an hour without a visit.
//! `cargo run --example two_sessions`, then
//!
//! ```text
//! curl -Lb jar -c jar http://127.0.0.1:3000/add -d item=tea
//! curl -Lb jar -c jar http://127.0.0.1:3000/login -d user=ada
//! curl -Lb jar -c jar http://127.0.0.1:3000/logout -d ''
//! ```

use std::time::Duration;

use axum::{
    Form, Router,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde::Deserialize;
use session_axum::{Error, Flash, Keys, Session, SessionData, SessionLayer, SessionResponseExt, SettingsError};
use session_examples::start;

/// The session with the cookie `cart`, or `__Host-cart` over HTTPS.
#[derive(SessionData)]
#[session(cookie = "cart")]
struct Cart {
    #[session(default)]
    items: Vec<String>,
}

/// The other session: the log-in.
#[derive(SessionData)]
#[session(redirect = "/login", return_to, message = "Please log in first.")]
struct Member {
    user: String,
}

#[derive(Deserialize)]
struct Choice {
    item: String,
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn show(cart: Session<Cart>, member: Option<Session<Member>>, flash: Flash) -> String {
    let message = flash.get("success").unwrap_or("Welcome!");
    let user = member.as_ref().map_or("stranger", |member| &member.user);
    format!("{message} Hello {user}, your cart: {}\n", cart.items.join(", "))
}

async fn add(mut cart: Session<Cart>, Form(choice): Form<Choice>) -> Redirect {
    cart.items.push(choice.item);
    Redirect::to("/")
}

/// Uses both sessions: only members can order.
async fn order(member: Session<Member>, mut cart: Session<Cart>) -> impl IntoResponse {
    let items = std::mem::take(&mut cart.items).join(", ");
    Redirect::to("/").flashing(("success", format!("{} has ordered {items}.", member.user)))
}

async fn login_page(flash: Flash) -> String {
    format!("{} Send your name.\n", flash.get("error").unwrap_or_default())
}

async fn login(session: Session, Form(login): Form<Login>) -> Result<impl IntoResponse, Error> {
    session.renew(); // the log-in gets a new id, and the cart stays as it is
    session.insert("user", &login.user)?;
    Ok(session.return_to("/"))
}

async fn logout() -> impl IntoResponse {
    Redirect::to("/").with_new_session() // ends the log-in, and keeps the cart
}

pub(crate) fn cart_layer(keys: Keys) -> Result<SessionLayer, SettingsError> {
    let months = Duration::from_secs(90 * 24 * 60 * 60);
    Ok(SessionLayer::signed(keys).name("__Host-cart")?.idle_timeout(months).lifetime(months).persistent(true))
}

pub(crate) fn log_in_layer(keys: Keys) -> SessionLayer {
    let (half_an_hour, a_day) = (Duration::from_secs(30 * 60), Duration::from_secs(24 * 60 * 60));
    SessionLayer::signed(keys).idle_timeout(half_an_hour).lifetime(a_day)
}

pub(crate) fn app(cart: SessionLayer, log_in: SessionLayer) -> Router {
    Router::new()
        .route("/", get(show))
        .route("/add", post(add))
        .route("/order", get(order))
        .route("/login", get(login_page).post(login))
        .route("/logout", post(logout))
        .layer(log_in) // the innermost: `Session`, `Flash` and the helpers of responses use it
        .layer(cart)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // For a laptop. In production use HTTPS and `Keys::from_env("SESSION_SECRET")?`.
    let keys = Keys::generate();
    let app = app(cart_layer(keys.clone())?.insecure_over_http(), log_in_layer(keys).insecure_over_http());
    Ok(start::serve("The shop is at", "", app).await?)
}
