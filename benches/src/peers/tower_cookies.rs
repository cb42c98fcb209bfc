//! tower-cookies, signed, with the session as JSON in one cookie.

use axum::{Router, response::Redirect, routing::get};
use guard::{FLASH, Session, Variant, next_visit, saw};
use tower_cookies::{Cookie, CookieManagerLayer, Cookies, Key, cookie::SameSite};

use super::{NAME, json};

fn data(cookies: &Cookies, key: &Key) -> Option<Session> {
    json::read(cookies.signed(key).get(NAME)?.value())
}

fn visits(cookies: &Cookies, key: &Key) -> Option<u64> {
    json::visits(cookies.signed(key).get(NAME)?.value())
}

fn save(cookies: &Cookies, key: &Key, data: &Session) {
    let cookie = Cookie::build((NAME, json::write(data)));
    cookies.signed(key).add(cookie.http_only(true).secure(true).same_site(SameSite::Lax).path("/").build());
}

fn change(cookies: &Cookies, key: &Key, change: impl FnOnce(&mut Session)) {
    let mut data = data(cookies, key).unwrap_or_default();
    change(&mut data);
    save(cookies, key, &data);
}

pub fn tower_cookies() -> Variant {
    // A program has its key in a `static` as often as in its state; so nothing is measured of how it gets there.
    let key: &'static Key = Box::leak(Box::new(Key::generate()));
    let router = Router::new()
        .route("/seed/small", get(async |it: Cookies| save(&it, key, &Session::small())))
        .route("/seed/large", get(async |it: Cookies| save(&it, key, &Session::large())))
        .route("/untouched", get(async || "ok"))
        .route(
            "/read",
            get(async |cookies: Cookies| {
                saw(visits(&cookies, key));
                "ok"
            }),
        )
        .route(
            "/write",
            get(async |cookies: Cookies| {
                change(&cookies, key, |data| data.visits = next_visit());
                "ok"
            }),
        )
        .route(
            "/flash",
            get(async |cookies: Cookies| {
                change(&cookies, key, |data| data.flash = Some(FLASH.to_owned()));
                Redirect::to("/page")
            }),
        )
        .route(
            "/page",
            get(async |cookies: Cookies| {
                change(&cookies, key, |data| saw(json::take_flash(data)));
                "ok"
            }),
        )
        .layer(CookieManagerLayer::new());
    Variant::new("tower-cookies, signed", router)
}
