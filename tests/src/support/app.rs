//! An application to try things on, and the clock that it goes by.

use axum::Router;
use session_axum::{
    Keys, SessionLayer,
    testing::{Client, ManualClock},
};

pub(crate) const SECRET: &str = "o6+0kRcUg2Hhu0l7b9Q4sC1mYw8zJd5E";
pub(crate) const OLD_SECRET: &str = "V9s3qXWfTz1p6nYbKc7RgLd0aHj2Mu8E";

/// 2030-01-01T00:00:00Z.
pub(crate) const NOW: u64 = 1_893_456_000;

pub(crate) fn keys() -> Keys {
    Keys::new(SECRET).unwrap()
}

pub(crate) fn layer() -> SessionLayer {
    SessionLayer::signed(keys())
}

/// A layer whose time stands still until it is moved.
pub(crate) fn timed_layer() -> (SessionLayer, ManualClock) {
    let clock = ManualClock::at(NOW);
    (layer().clock(clock.clone()), clock)
}

pub(crate) fn client(app: Router) -> Client {
    Client::new(app)
}
