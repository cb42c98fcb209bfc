//! A JSON Web Token (HS256) in a cookie: jsonwebtoken and axum-extra's plain jar.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{Router, response::Redirect, routing::get};
use axum_extra::extract::CookieJar;
use guard::{FLASH, Session, Variant, next_visit, saw};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{NAME, extra, json};

/// Kept for the program's life, as `static`s would be.
struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize, Serialize)]
struct Claims<T> {
    exp: u64,
    data: T,
}

impl Keys {
    fn data<T: DeserializeOwned>(&self, jar: &CookieJar) -> Option<T> {
        let token = jar.get(NAME)?.value();
        decode::<Claims<T>>(token, &self.decoding, &self.validation).ok().map(|token| token.claims.data)
    }

    fn save(&self, jar: CookieJar, data: Session) -> CookieJar {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = Claims { exp: now + 24 * 60 * 60, data };
        jar.add(extra::cookie(encode(&Header::default(), &claims, &self.encoding).unwrap_or_default()))
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
        .route("/seed/small", get(async |jar: CookieJar| keys.save(jar, Session::small())))
        .route("/seed/large", get(async |jar: CookieJar| keys.save(jar, Session::large())))
        .route("/untouched", get(async |_: CookieJar| "ok"))
        .route(
            "/read",
            get(async |jar: CookieJar| {
                saw(keys.data::<json::Visits>(&jar).map(|data| data.visits));
                "ok"
            }),
        )
        .route(
            "/write",
            get(async |jar: CookieJar| {
                let mut data: Session = keys.data(&jar).unwrap_or_default();
                data.visits = next_visit();
                (keys.save(jar, data), "ok")
            }),
        )
        .route(
            "/flash",
            get(async |jar: CookieJar| {
                let mut data: Session = keys.data(&jar).unwrap_or_default();
                data.flash = Some(FLASH.to_owned());
                (keys.save(jar, data), Redirect::to("/page"))
            }),
        )
        .route(
            "/page",
            get(async |jar: CookieJar| {
                let mut data: Session = keys.data(&jar).unwrap_or_default();
                saw(json::take_flash(&mut data));
                (keys.save(jar, data), "ok")
            }),
        );
    Variant::new("JWT HS256 in a cookie", router)
}
