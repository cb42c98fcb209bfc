//! axum-extra's jars, with the session as JSON in one cookie.

use axum::{Router, extract::FromRef, response::Redirect, routing::get};
use axum_extra::extract::{
    PrivateCookieJar, SignedCookieJar,
    cookie::{Cookie, Key, SameSite},
};
use guard::{FLASH, Session, Variant, next_visit, saw};

use super::{NAME, json};

#[derive(Clone)]
struct AppState(Key);

impl FromRef<AppState> for Key {
    fn from_ref(state: &AppState) -> Self {
        state.0.clone()
    }
}

pub(super) fn cookie(text: String) -> Cookie<'static> {
    Cookie::build((NAME, text)).http_only(true).secure(true).same_site(SameSite::Lax).path("/").build()
}

macro_rules! variant {
    ($name:literal, $jar:ident) => {{
        fn data(jar: &$jar) -> Option<Session> {
            json::read(jar.get(NAME)?.value())
        }
        fn visits(jar: &$jar) -> Option<u64> {
            json::visits(jar.get(NAME)?.value())
        }
        fn save(jar: $jar, data: &Session) -> $jar {
            jar.add(cookie(json::write(data)))
        }
        let router = Router::new()
            .route("/seed/small", get(async |jar: $jar| save(jar, &Session::small())))
            .route("/seed/large", get(async |jar: $jar| save(jar, &Session::large())))
            .route("/untouched", get(async |_: $jar| "ok"))
            .route(
                "/read",
                get(async |jar: $jar| {
                    saw(visits(&jar));
                    "ok"
                }),
            )
            .route(
                "/write",
                get(async |jar: $jar| {
                    let mut data = data(&jar).unwrap_or_default();
                    data.visits = next_visit();
                    (save(jar, &data), "ok")
                }),
            )
            .route(
                "/flash",
                get(async |jar: $jar| {
                    let mut data = data(&jar).unwrap_or_default();
                    data.flash = Some(FLASH.to_owned());
                    (save(jar, &data), Redirect::to("/page"))
                }),
            )
            .route(
                "/page",
                get(async |jar: $jar| {
                    let mut data = data(&jar).unwrap_or_default();
                    saw(json::take_flash(&mut data));
                    (save(jar, &data), "ok")
                }),
            )
            .with_state(AppState(Key::generate()));
        Variant::new($name, router)
    }};
}

pub fn signed_jar() -> Variant {
    variant!("axum-extra `SignedCookieJar`", SignedCookieJar)
}

pub fn private_jar() -> Variant {
    variant!("axum-extra `PrivateCookieJar`", PrivateCookieJar)
}
