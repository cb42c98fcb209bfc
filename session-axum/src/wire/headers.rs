//! The headers of a response: `Set-Cookie`, and `Vary` and `Cache-Control` for caches.

use http::{
    HeaderMap, HeaderValue,
    header::{self, Entry},
};

/// Adds the cookies, and keeps caches from storing them.
pub(crate) fn add_cookies(headers: &mut HeaderMap, cookies: Vec<String>) {
    if !cookies.is_empty() {
        add_vary(headers);
        forbid_storing(headers);
    }
    for cookie in cookies {
        let Ok(value) = HeaderValue::try_from(cookie) else {
            unreachable!("names, tokens and attributes are made of visible ASCII")
        };
        headers.append(header::SET_COOKIE, value);
    }
}

/// Adds `Vary: Cookie`, since the response may depend on a cookie.
pub(crate) fn add_vary(headers: &mut HeaderMap) {
    let cookie = HeaderValue::from_static("Cookie");
    match headers.entry(header::VARY) {
        Entry::Vacant(vary) => {
            vary.insert(cookie);
        }
        Entry::Occupied(mut vary) => {
            if !vary.iter().flat_map(list).any(|name| name == b"*" || name.eq_ignore_ascii_case(b"cookie")) {
                vary.append(cookie);
            }
        }
    }
}

/// Sets `Cache-Control: no-store`: a stored `Set-Cookie` would give one visitor's session to the next.
fn forbid_storing(headers: &mut HeaderMap) {
    let no_store = HeaderValue::from_static("no-store");
    let is_shared = |directive: &[u8]| {
        let name = directive.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(b"public") || name.eq_ignore_ascii_case(b"s-maxage")
    };
    match headers.entry(header::CACHE_CONTROL) {
        Entry::Vacant(control) => {
            control.insert(no_store);
        }
        Entry::Occupied(mut control) => {
            if control.iter().flat_map(list).any(is_shared) {
                tracing::warn!("a response with a cookie asked shared caches to store it; it says `no-store` instead");
                control.insert_mult(no_store);
            }
        }
    }
}

/// The elements of a header that is a list (RFC 9110, section 5.6.1).
fn list(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}
