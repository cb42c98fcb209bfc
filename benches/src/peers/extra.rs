//! axum-extra's jars, with the session as JSON in one cookie.

use axum::{Router, extract::FromRef, response::Redirect, routing::get};
use axum_extra::extract::{
    PrivateCookieJar, SignedCookieJar,
    cookie::{Cookie, Key, SameSite},
};
use guard::{FLASH, Variant, next_visit, saw};

use super::{
    NAME,
    json::{self, Data},
};

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
        fn data(jar: &$jar) -> Option<Data> {
            serde_json::from_str(jar.get(NAME)?.value()).ok()
        }
        fn save(jar: $jar, data: &Data) -> $jar {
            jar.add(cookie(json::to_text(data)))
        }
        let router = Router::new()
            .route("/seed/small", get(async |jar: $jar| save(jar, &json::data(&guard::Session::small()))))
            .route("/seed/large", get(async |jar: $jar| save(jar, &json::data(&guard::Session::large()))))
            .route("/untouched", get(async |_: $jar| "ok"))
            .route(
                "/read",
                get(async |jar: $jar| {
                    saw(data(&jar).as_ref().and_then(json::visits));
                    "ok"
                }),
            )
            .route(
                "/write",
                get(async |jar: $jar| {
                    let mut data = data(&jar).unwrap_or_default();
                    data.insert("visits".to_owned(), next_visit().into());
                    (save(jar, &data), "ok")
                }),
            )
            .route(
                "/flash",
                get(async |jar: $jar| {
                    let mut data = data(&jar).unwrap_or_default();
                    data.insert("flash".to_owned(), FLASH.into());
                    (save(jar, &data), Redirect::to("/page"))
                }),
            )
            .route(
                "/page",
                get(async |jar: $jar| {
                    let mut data = data(&jar).unwrap_or_default();
                    saw(json::flash_size(&mut data));
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
