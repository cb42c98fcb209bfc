//! axum_session without a database, its cookies signed.

use ::axum_session::{Key, Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore};
use axum::{Router, response::Redirect, routing::get};
use guard::{FLASH, Variant, drive, next_visit, saw};

type Handle = Session<SessionNullPool>;

pub fn axum_session() -> Variant {
    let config = SessionConfig::default().with_key(Key::generate());
    let store = match drive(SessionStore::<SessionNullPool>::new(None, config)) {
        Ok(store) => store,
        Err(error) => panic!("{error}"),
    };
    let router = Router::new()
        .route("/seed/small", get(async |session: Handle| seed(&session, &guard::Session::small())))
        .route("/seed/large", get(async |session: Handle| seed(&session, &guard::Session::large())))
        .route("/untouched", get(async || "ok"))
        .route(
            "/read",
            get(async |session: Handle| {
                saw(session.get("visits"));
                "ok"
            }),
        )
        .route(
            "/write",
            get(async |session: Handle| {
                session.set("visits", next_visit());
                "ok"
            }),
        )
        .route(
            "/flash",
            get(async |session: Handle| {
                session.set("flash", FLASH);
                Redirect::to("/page")
            }),
        )
        .route(
            "/page",
            get(async |session: Handle| {
                let flash: Option<String> = session.get_remove("flash");
                saw(flash.map(|text| text.len() as u64));
                "ok"
            }),
        )
        .layer(SessionLayer::new(store));
    Variant::new("axum_session, null pool, signed", router)
}

fn seed(session: &Handle, values: &guard::Session) {
    for (key, value) in super::json::values(values) {
        session.set(&key, value);
    }
}
