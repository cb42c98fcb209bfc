//! The routes without sessions: what every cost is over.

use axum::{Router, response::Redirect, routing::get};

use crate::variant::Variant;

pub fn plain() -> Variant {
    Variant::baseline("plain axum", routes())
}

/// Routes that answer as everybody's do, and keep nothing.
pub fn routes() -> Router {
    Router::new()
        .route("/seed/small", get(async || "ok"))
        .route("/seed/large", get(async || "ok"))
        .route("/untouched", get(async || "ok"))
        .route("/read", get(async || "ok"))
        .route("/write", get(async || "ok"))
        .route("/flash", get(async || Redirect::to("/page")))
        .route("/page", get(async || "ok"))
}
