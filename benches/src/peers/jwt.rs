//! A JSON Web Token (HS256) in a cookie: jsonwebtoken and axum-extra's plain jar.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{Router, response::Redirect, routing::get};
use axum_extra::extract::CookieJar;
use guard::{FLASH, Variant, next_visit, saw};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};

use super::{
    NAME, extra,
    json::{self, Data},
};

/// Kept for the program's life, as `static`s would be.
struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Keys {
    fn data(&self, jar: &CookieJar) -> Option<Data> {
        let token = jar.get(NAME)?.value();
        decode::<Data>(token, &self.decoding, &self.validation).ok().map(|token| token.claims)
    }

    fn save(&self, jar: CookieJar, mut data: Data) -> CookieJar {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        data.insert("exp".to_owned(), (now + 24 * 60 * 60).into());
        jar.add(extra::cookie(encode(&Header::default(), &data, &self.encoding).unwrap_or_default()))
    }
}

pub fn jwt() -> Variant {
    let secret = b"a key of 32 bytes, for this alone";
    let keys: &'static Keys = Box::leak(Box::new(Keys {
        encoding: EncodingKey::from_secret(secret),
        decoding: DecodingKey::from_secret(secret),
        validation: Validation::new(Algorithm::HS256),
    }));
    let router = Router::new()
        .route("/seed/small", get(async |jar: CookieJar| keys.save(jar, json::data(&guard::Session::small()))))
        .route("/seed/large", get(async |jar: CookieJar| keys.save(jar, json::data(&guard::Session::large()))))
        .route("/untouched", get(async |_: CookieJar| "ok"))
        .route(
            "/read",
            get(async |jar: CookieJar| {
                saw(keys.data(&jar).as_ref().and_then(json::visits));
                "ok"
            }),
        )
        .route(
            "/write",
            get(async |jar: CookieJar| {
                let mut data = keys.data(&jar).unwrap_or_default();
                data.insert("visits".to_owned(), next_visit().into());
                (keys.save(jar, data), "ok")
            }),
        )
        .route(
            "/flash",
            get(async |jar: CookieJar| {
                let mut data = keys.data(&jar).unwrap_or_default();
                data.insert("flash".to_owned(), FLASH.into());
                (keys.save(jar, data), Redirect::to("/page"))
            }),
        )
        .route(
            "/page",
            get(async |jar: CookieJar| {
                let mut data = keys.data(&jar).unwrap_or_default();
                saw(json::flash_size(&mut data));
                (keys.save(jar, data), "ok")
            }),
        );
    Variant::new("JWT HS256 in a cookie", router)
}
