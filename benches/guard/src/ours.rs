//! Ours, as its documentation says to use it: signed, encrypted, and as a struct.

use axum::{Router, response::Redirect, routing::get};
use session_axum::{Flash, Keys, Session, SessionData, SessionLayer, SessionResponseExt as _};

use crate::{
    scenario::{self, FLASH, next_visit, saw},
    variant::Variant,
};

pub fn signed() -> Variant {
    ours("session-axum, signed", SessionLayer::signed(keys()))
}

pub fn encrypted() -> Variant {
    ours("session-axum, encrypted", SessionLayer::encrypted(keys()))
}

/// However the layer keeps its sessions.
pub fn ours(name: &'static str, layer: SessionLayer) -> Variant {
    Variant::new(name, by_key().layer(layer))
}

pub fn typed() -> Variant {
    Variant::new("session-axum, signed, as a struct", by_struct().layer(SessionLayer::signed(keys())))
}

fn by_key() -> Router {
    common()
        .route(
            "/read",
            get(async |session: Session| {
                saw(session.get("visits").unwrap_or_default());
                "ok"
            }),
        )
        .route("/write", get(async |session: Session| session.insert("visits", next_visit()).map(|()| "ok")))
}

#[derive(SessionData)]
struct Visitor {
    csrf: String,
    email: String,
    visits: u64,
}

fn by_struct() -> Router {
    common()
        .route(
            "/read",
            get(async |visitor: Option<Session<Visitor>>| {
                saw(visitor.map(|visitor| visitor.visits));
                "ok"
            }),
        )
        .route(
            "/write",
            get(async |mut visitor: Session<Visitor>| {
                visitor.visits = next_visit();
                "ok"
            }),
        )
}

fn common() -> Router {
    Router::new()
        .route("/seed/small", get(async |session: Session| seed(&session, &scenario::Session::small())))
        .route("/seed/large", get(async |session: Session| seed(&session, &scenario::Session::large())))
        .route("/untouched", get(async || "ok"))
        .route("/flash", get(async || Redirect::to("/page").flashing([("success", FLASH)])))
        .route(
            "/page",
            get(async |flash: Flash| {
                saw(flash.get("success").map(|text| text.len() as u64));
                "ok"
            }),
        )
}

fn seed(session: &Session, values: &scenario::Session) -> Result<&'static str, session_axum::Error> {
    session.insert("csrf", &values.csrf)?;
    session.insert("email", &values.email)?;
    session.insert("visits", values.visits)?;
    if !values.cart.is_empty() {
        session.insert("cart", &values.cart)?;
    }
    Ok("ok")
}

fn keys() -> Keys {
    Keys::generate()
}
