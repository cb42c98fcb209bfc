//! Counts a visitor's visits: the smallest application with a session. `cargo run --example counter`, then
//!
//! ```text
//! curl -b jar -c jar http://127.0.0.1:3000
//! curl -b jar -c jar http://127.0.0.1:3000
//! ```

use axum::{Router, routing::get};
use session_axum::{Error, Keys, Session, SessionLayer};
use session_examples::start;

async fn count(session: Session) -> Result<String, Error> {
    let visits = session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).await?;
    Ok(format!("Visit {visits}\n"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Sentence> {
    // For a laptop. In production use HTTPS and `SessionLayer::signed(Keys::from_env("SESSION_SECRET")?)`.
    let layer = SessionLayer::signed(Keys::generate()).insecure_over_http();
    let app = Router::new().route("/", get(count)).layer(layer);

    start::serve("The counter is at", "", app).await
}
