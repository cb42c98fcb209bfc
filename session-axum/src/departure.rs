//! The way out: what a request did becomes `Set-Cookie` headers, or an error before anything has left.

use std::{borrow::Cow, sync::Arc};

use axum_core::response::Response;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{self, Entry},
};

use crate::{
    batches,
    error::{Error, Failure},
    issue::session_cookies,
    response::{Op, Ops},
    scope::{Scope, Staged},
};

/// Settles the request's session and flash with its response.
pub(crate) fn depart(scope: &Arc<Scope>, mut response: Response) -> Response {
    let mut ops = Ops::take(&mut response);
    let failure = response.extensions_mut().remove::<Failure>();
    if failure.is_none() && ops.is_empty() && !scope.was_read() && !batches::drops_flash(scope) {
        scope.close();
        return response;
    }
    if failure.is_none() && ops.is_empty() && scope.close_if_settled() {
        add_vary(response.headers_mut());
        return response;
    }
    let staged = scope.take();
    if let Some(Failure(error)) = &failure {
        response = answer(scope, error);
        ops.extend(Ops::take(&mut response));
    }
    let failed = failure.is_some() || response.status().is_server_error();
    let saves = !failed || scope.settings.told.save_on_server_error;
    let cookies = settle(scope, &staged, ops, response.status(), saves);
    let cookies = cookies.unwrap_or_else(|error| {
        response = answer(scope, &error);
        settle_failure(scope, &staged, &mut response)
    });
    scope.keep(staged);
    add_headers(scope, response.headers_mut(), cookies);
    response
}

/// Nothing that could not be saved is answered as if it were: the application answers, and only an end stays an end.
fn settle_failure(scope: &Arc<Scope>, staged: &Staged, response: &mut Response) -> Vec<String> {
    let ops = Ops::take(response);
    settle(scope, staged, ops, response.status(), false).unwrap_or_else(|error| {
        *response = answer(scope, &error);
        Ops::take(response);
        Vec::new()
    })
}

fn settle(
    scope: &Arc<Scope>,
    before: &Staged,
    ops: Vec<Op>,
    status: StatusCode,
    saves: bool,
) -> Result<Vec<String>, Error> {
    let mut staged = if saves { Cow::Borrowed(before) } else { Cow::Owned(before.rolled_back()) };
    let about_the_session = scope.session_was_read() || ops.iter().any(Op::is_about_the_session);
    for op in ops {
        op.apply(scope, staged.to_mut(), before)?;
    }
    let mut cookies = Vec::new();
    if about_the_session && (saves || !staged.changes.is_empty()) {
        cookies = session_cookies(scope, &staged)?;
    }
    cookies.extend(batches::flash_cookies(scope, &staged, batches::consumption(scope, status, saves))?);
    Ok(cookies)
}

fn answer(scope: &Scope, error: &Error) -> Response {
    tracing::error!(%error, "a session could not be read, changed or saved");
    let mut response = (scope.settings.told.on_error)(error);
    response.extensions_mut().remove::<Failure>();
    response
}

/// Adds the cookies, and what caches must know of them.
fn add_headers(scope: &Scope, headers: &mut HeaderMap, cookies: Vec<String>) {
    if scope.was_read() || !cookies.is_empty() {
        add_vary(headers);
    }
    if !cookies.is_empty() {
        forbid_storing(headers);
    }
    for cookie in cookies {
        let Ok(value) = HeaderValue::try_from(cookie) else {
            unreachable!("names, tokens and attributes are made of visible ASCII")
        };
        headers.append(header::SET_COOKIE, value);
    }
}

fn add_vary(headers: &mut HeaderMap) {
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

/// A stored `Set-Cookie` would give one visitor's session to the next.
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
