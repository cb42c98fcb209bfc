//! A shopping cart: a list in the session, under keys with a prefix, so that other data can use the same session.
//! `cargo run --example cart`, then
//!
//! ```text
//! curl -Lb jar -c jar http://127.0.0.1:3000/add -d item=tea
//! curl -Lb jar -c jar http://127.0.0.1:3000/remove -d item=tea
//! ```

use axum::{
    Form, Router,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use session_axum::{Keys, Session, SessionData, SessionLayer, SessionResponseExt};
use session_examples::start;

/// The keys `cart.lines` and `cart.voucher` of the session.
#[derive(SessionData)]
#[session(prefix = "cart.")]
struct Cart {
    #[session(default)]
    lines: Vec<Line>,
    voucher: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Line {
    item: String,
    count: u32,
}

#[derive(Deserialize)]
struct Choice {
    item: String,
}

async fn show(cart: Session<Cart>) -> String {
    let lines = cart.lines.iter().map(|line| format!("{} x {}\n", line.count, line.item));
    let voucher = cart.voucher.iter().map(|code| format!("voucher {code}\n"));
    lines.chain(voucher).reduce(|all, line| all + &line).unwrap_or_else(|| "Your cart is empty.\n".to_owned())
}

async fn add(mut cart: Session<Cart>, Form(choice): Form<Choice>) -> impl IntoResponse {
    match cart.lines.iter_mut().find(|line| line.item == choice.item) {
        Some(line) => line.count += 1,
        None => cart.lines.push(Line { item: choice.item, count: 1 }),
    }
    Redirect::to("/")
}

async fn remove(mut cart: Session<Cart>, Form(choice): Form<Choice>) -> impl IntoResponse {
    cart.lines.retain(|line| line.item != choice.item);
    Redirect::to("/")
}

async fn empty() -> impl IntoResponse {
    // The rest of the session stays.
    Redirect::to("/").removing_from_session(Cart::KEYS)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Sentence> {
    // For a laptop. In production use HTTPS and `SessionLayer::signed(Keys::from_env("SESSION_SECRET")?)`.
    let layer = SessionLayer::signed(Keys::generate()).insecure_over_http();
    let app = Router::new()
        .route("/", get(show))
        .route("/add", post(add))
        .route("/remove", post(remove))
        .route("/empty", post(empty))
        .layer(layer);

    start::serve("The cart is at", "", app).await
}
