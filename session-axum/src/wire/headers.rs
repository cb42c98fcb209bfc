//! The headers of a response: `Set-Cookie`, and `Vary` and `Cache-Control` for caches.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Marks a response that may depend on a cookie of ours. With `came`, a session or a message came with the request, and
/// no shared cache may store the response.
pub(crate) fn mark_read(headers: &mut HeaderMap, came: bool) {
    add_vary(headers, COOKIE);
    if headers.append(header::CACHE_CONTROL, PRIVATE) {
        let (_, others) = taken_back(headers, &header::CACHE_CONTROL);
        if came && others.iter().flat_map(list).any(is_shared) {
            headers.insert(header::CACHE_CONTROL, without_sharing(others.iter()));
        }
    }
    if came {
        set_cdn_controls(headers, &PRIVATE);
    }
}

/// Adds the cookies. No cache may store the response: a stored `Set-Cookie` would give one visitor's session to the
/// next one.
pub(crate) fn add_cookies(headers: &mut HeaderMap, cookies: Vec<String>) {
    add_vary(headers, COOKIE);
    if headers.append(header::CACHE_CONTROL, NO_STORE) {
        let (_, others) = taken_back(headers, &header::CACHE_CONTROL);
        let directives = || others.iter().flat_map(list);
        if !directives().any(is_private) || directives().any(is_shared) {
            headers.insert(header::CACHE_CONTROL, NO_STORE);
        }
    }
    set_cdn_controls(headers, &NO_STORE);
    let (ours, mut were_others) = (cookies.len(), false);
    for (place, cookie) in cookies.into_iter().enumerate() {
        let Ok(value) = HeaderValue::try_from(cookie) else {
            unreachable!("names, tokens and attributes are made of visible ASCII")
        };
        let is_further = headers.append(header::SET_COOKIE, value);
        were_others |= is_further && place == 0;
    }
    if were_others {
        remove_own_cookies(headers, ours);
    }
}

/// Tells the browser to drop the pages of this site from its cache (W3C, Clear Site Data).
pub(crate) fn clear_cache(headers: &mut HeaderMap) {
    let clears = |directive: &[u8]| directive == b"\"cache\"" || directive == b"\"*\"";
    if !headers.get_all(CLEAR_SITE_DATA).iter().flat_map(list).any(clears) {
        headers.append(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
    }
}

/// Marks a response that may depend on the `Authorization` header.
pub(crate) fn vary_by_authorization(headers: &mut HeaderMap) {
    add_vary(headers, AUTHORIZATION);
}

/// Forbids every cache to store a response with a body that may have a token.
pub(crate) fn forbid_storing(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    set_cdn_controls(headers, &NO_STORE);
}

/// Adds a name to `Vary`, unless it is there.
fn add_vary(headers: &mut HeaderMap, name: HeaderValue) {
    if headers.append(header::VARY, name) {
        let (name, others) = taken_back(headers, &header::VARY);
        let is_there = |known: &[u8]| known == b"*" || known.eq_ignore_ascii_case(name.as_bytes());
        if !others.iter().flat_map(list).any(is_there) {
            headers.append(header::VARY, name);
        }
    }
}

/// Removes the value of a header that was appended last. Returns it and the others.
///
/// Few responses have the header already. So it is appended with one search, and taken back where that was wrong.
fn taken_back(headers: &mut HeaderMap, name: &HeaderName) -> (HeaderValue, Vec<HeaderValue>) {
    let mut values: Vec<_> = headers.get_all(name).iter().cloned().collect();
    let Some(last) = values.pop() else { unreachable!("a value was appended") };
    headers.remove(name);
    for value in &values {
        headers.append(name, value.clone());
    }
    (last, values)
}

/// Replaces the headers that a handler set for shared caches only (RFC 9213). Such a cache obeys them and not
/// `Cache-Control`.
fn set_cdn_controls(headers: &mut HeaderMap, value: &HeaderValue) {
    let is_for_cdn = |name: &&HeaderName| {
        let name = name.as_str();
        // Most names are shorter.
        if name.len() < SHORTEST_FOR_CDN {
            return false;
        }
        name == "surrogate-control"
            || name.strip_suffix("cdn-cache-control").is_some_and(|it| it.is_empty() || it.ends_with('-'))
    };
    if !headers.keys().any(|name| is_for_cdn(&name)) {
        return;
    }
    let names: Vec<HeaderName> = headers.keys().filter(is_for_cdn).cloned().collect();
    for name in names {
        headers.insert(name, value.clone());
    }
}

/// Removes cookies that the application has set itself under the names of the last `ours` cookies. If a response sets
/// two cookies of one name, it depends on the browser which one it keeps.
fn remove_own_cookies(headers: &mut HeaderMap, ours: usize) {
    let name = |cookie: &HeaderValue| {
        cookie.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii().to_vec()
    };
    let mut all: Vec<_> = headers.get_all(header::SET_COOKIE).iter().cloned().collect();
    let ours = all.split_off(all.len() - ours);
    let names: Vec<_> = ours.iter().map(name).collect();
    let Some(replaced) = all.iter().map(name).find(|name| names.contains(name)) else { return };
    all.retain(|value| !names.contains(&name(value)));
    tracing::warn!(
        name: "cookie.replaced", target: "session_axum::cookie",
        cookie = %String::from_utf8_lossy(&replaced),
        "the application set a cookie with the name of a session or flash cookie itself, and it was replaced: give that \
         cookie another name"
    );
    headers.remove(header::SET_COOKIE);
    for cookie in all.into_iter().chain(ours) {
        headers.append(header::SET_COOKIE, cookie);
    }
}

/// Returns whether a directive keeps shared caches from storing a response. `private="field"` only covers that field.
fn is_private(directive: &[u8]) -> bool {
    directive.eq_ignore_ascii_case(b"no-store") || directive.eq_ignore_ascii_case(b"private")
}

/// Returns whether a directive lets shared caches store a response.
fn is_shared(directive: &[u8]) -> bool {
    let name = directive.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
    name.eq_ignore_ascii_case(b"public") || name.eq_ignore_ascii_case(b"s-maxage")
}

/// Returns the directives with `private` in place of those that let shared caches store a response.
fn without_sharing<'a>(values: impl Iterator<Item = &'a HeaderValue>) -> HeaderValue {
    let others = values.flat_map(list).filter(|directive| !is_shared(directive)).map(String::from_utf8_lossy);
    let directives: Vec<_> = [Cow::Borrowed("private")].into_iter().chain(others).collect();
    HeaderValue::try_from(directives.join(", ")).unwrap_or(PRIVATE)
}

/// Returns the elements of a header that is a list (RFC 9110, section 5.6.1).
fn list(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

const SHORTEST_FOR_CDN: usize = "cdn-cache-control".len();
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
const COOKIE: HeaderValue = HeaderValue::from_static("Cookie");
const AUTHORIZATION: HeaderValue = HeaderValue::from_static("Authorization");
const PRIVATE: HeaderValue = HeaderValue::from_static("private");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
