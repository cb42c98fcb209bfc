//! tower-cookies, signed, with the session as JSON in one cookie.

use axum::{Router, response::Redirect, routing::get};
use guard::{FLASH, Variant, next_visit, saw};
use tower_cookies::{Cookie, CookieManagerLayer, Cookies, Key, cookie::SameSite};

use super::{
    NAME,
    json::{self, Data},
};

fn data(cookies: &Cookies, key: &Key) -> Option<Data> {
    serde_json::from_str(cookies.signed(key).get(NAME)?.value()).ok()
}

fn save(cookies: &Cookies, key: &Key, data: &Data) {
    let cookie = Cookie::build((NAME, json::to_text(data)));
    cookies.signed(key).add(cookie.http_only(true).secure(true).same_site(SameSite::Lax).path("/").build());
}

fn change(cookies: &Cookies, key: &Key, change: impl FnOnce(&mut Data)) {
    let mut data = data(cookies, key).unwrap_or_default();
    change(&mut data);
    save(cookies, key, &data);
}

pub fn tower_cookies() -> Variant {
    // A program has its key in a `static` as often as in its state; so nothing is measured of how it gets there.
    let key: &'static Key = Box::leak(Box::new(Key::generate()));
    let router = Router::new()
        .route("/seed/small", get(async |it: Cookies| save(&it, key, &json::data(&guard::Session::small()))))
        .route("/seed/large", get(async |it: Cookies| save(&it, key, &json::data(&guard::Session::large()))))
        .route("/untouched", get(async || "ok"))
        .route(
            "/read",
            get(async |cookies: Cookies| {
                saw(data(&cookies, key).as_ref().and_then(json::visits));
                "ok"
            }),
        )
        .route(
            "/write",
            get(async |cookies: Cookies| {
                change(&cookies, key, |data| drop(data.insert("visits".to_owned(), next_visit().into())));
                "ok"
            }),
        )
        .route(
            "/flash",
            get(async |cookies: Cookies| {
                change(&cookies, key, |data| drop(data.insert("flash".to_owned(), FLASH.into())));
                Redirect::to("/page")
            }),
        )
        .route(
            "/page",
            get(async |cookies: Cookies| {
                change(&cookies, key, |data| saw(json::flash_size(data)));
                "ok"
            }),
        )
        .layer(CookieManagerLayer::new());
    Variant::new("tower-cookies, signed", router)
}
