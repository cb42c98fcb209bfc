//! An application that compiles to WebAssembly: `cargo build -p session-wasm --target wasm32-unknown-unknown`.
//!
//! There is no clock of the system there, so the application brings one.

use axum::{Router, routing::get};
use session_axum::{Clock, Error, Keys, Session, SessionLayer};

/// Returns an application that counts the visits.
pub fn app(keys: Keys, clock: impl Clock + 'static) -> Router {
    Router::new().route("/", get(count)).layer(SessionLayer::signed(keys).clock(clock))
}

async fn count(session: Session) -> Result<String, Error> {
    let visits = session.get("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(format!("Visit number {visits}"))
}

#[cfg(test)]
mod tests {
    use session_axum::testing::{Client, ManualClock};

    use super::*;

    #[tokio::test]
    async fn it_counts() {
        let client = Client::new(app(Keys::generate(), ManualClock::at(1_800_000_000)));
        assert_eq!(client.get("/").await.text(), "Visit number 1");
        assert_eq!(client.get("/").await.text(), "Visit number 2");
    }
}
