//! tower-sessions-cookie-store, signed: the same routes over the session of an older tower-sessions.

use axum::{Router, response::Redirect, routing::get};
use guard::{FLASH, Variant, next_visit, saw};
use tower_sessions_cookie_store::{CookieSessionManagerLayer, Key, Session};

pub fn cookie_store() -> Variant {
    let layer = CookieSessionManagerLayer::signed(Key::generate());
    Variant::new("tower-sessions-cookie-store, signed", routes().layer(layer))
}

fn routes() -> Router {
    Router::new()
        .route("/seed/small", get(async |session: Session| seed(&session, guard::Session::small()).await))
        .route("/seed/large", get(async |session: Session| seed(&session, guard::Session::large()).await))
        .route("/untouched", get(async || "ok"))
        .route(
            "/read",
            get(async |session: Session| {
                saw(session.get("visits").await.unwrap_or_default());
                "ok"
            }),
        )
        .route(
            "/write",
            get(async |session: Session| {
                session.insert("visits", next_visit()).await.unwrap_or_default();
                "ok"
            }),
        )
        .route(
            "/flash",
            get(async |session: Session| {
                session.insert("flash", FLASH).await.unwrap_or_default();
                Redirect::to("/page")
            }),
        )
        .route(
            "/page",
            get(async |session: Session| {
                let flash: Option<String> = session.remove("flash").await.unwrap_or_default();
                saw(flash.map(|text| text.len() as u64));
                "ok"
            }),
        )
}

async fn seed(session: &Session, values: guard::Session) {
    for (key, value) in super::json::values(&values) {
        session.insert_value(&key, value).await.unwrap_or_default();
    }
}
