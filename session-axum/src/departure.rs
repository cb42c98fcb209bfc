//! The way out: what a request did becomes `Set-Cookie` headers, or an error before anything has left.

use std::{borrow::Cow, sync::Arc};

use axum_core::response::Response;
use http::{HeaderMap, HeaderValue, header};

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
    let staged = scope.take();
    if let Some(Failure(error)) = &failure {
        response = answer(scope, error);
        ops.extend(Ops::take(&mut response));
    }
    let failed = failure.is_some() || response.status().is_server_error();
    let saves = !failed || scope.settings.told.save_on_server_error;
    let (response, cookies) =
        settle(scope, &staged, ops, response, saves).unwrap_or_else(|error| settle_failure(scope, &staged, &error));
    scope.keep(staged);
    with_headers(scope, response, cookies)
}

/// Nothing that could not be saved is answered as if it were: the application answers, and only an end stays an end.
fn settle_failure(scope: &Arc<Scope>, staged: &Staged, error: &Error) -> (Response, Vec<String>) {
    let mut response = answer(scope, error);
    let ops = Ops::take(&mut response);
    settle(scope, staged, ops, response, false).unwrap_or_else(|error| (answer(scope, &error), Vec::new()))
}

fn settle(
    scope: &Arc<Scope>,
    before: &Staged,
    ops: Vec<Op>,
    response: Response,
    saves: bool,
) -> Result<(Response, Vec<String>), Error> {
    let mut staged = if saves { Cow::Borrowed(before) } else { Cow::Owned(before.rolled_back()) };
    let about_the_session = scope.session_was_read() || ops.iter().any(Op::is_about_the_session);
    for op in ops {
        op.apply(scope, staged.to_mut(), before)?;
    }
    let mut cookies = Vec::new();
    if about_the_session && (saves || !staged.changes.is_empty()) {
        cookies = session_cookies(scope, &staged)?;
    }
    let consumed = batches::consumption(scope, response.status(), saves);
    cookies.extend(batches::flash_cookies(scope, &staged, consumed)?);
    Ok((response, cookies))
}

fn answer(scope: &Scope, error: &Error) -> Response {
    tracing::error!(%error, "a session could not be read, changed or saved");
    let mut response = (scope.settings.told.on_error)(error);
    response.extensions_mut().remove::<Failure>();
    response
}

/// Adds the cookies, and what caches must know of them.
fn with_headers(scope: &Scope, mut response: Response, cookies: Vec<String>) -> Response {
    let headers = response.headers_mut();
    if scope.was_read() || !cookies.is_empty() {
        add_vary(headers);
    }
    if !cookies.is_empty() {
        forbid_storing(headers);
    }
    for cookie in cookies {
        match HeaderValue::try_from(cookie) {
            Ok(value) => {
                headers.append(header::SET_COOKIE, value);
            }
            Err(_) => unreachable!("names, tokens and attributes are made of visible ASCII"),
        }
    }
    response
}

fn add_vary(headers: &mut HeaderMap) {
    let covers = |value: &HeaderValue| {
        value
            .as_bytes()
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"cookie"))
    };
    if !headers.get_all(header::VARY).iter().any(covers) {
        headers.append(header::VARY, HeaderValue::from_static("Cookie"));
    }
}

/// A stored `Set-Cookie` would give one visitor's session to the next.
fn forbid_storing(headers: &mut HeaderMap) {
    let shared = |value: &HeaderValue| {
        value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).any(|directive| {
            directive.eq_ignore_ascii_case(b"public")
                || directive.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"s-maxage"))
        })
    };
    if headers.get_all(header::CACHE_CONTROL).iter().any(shared) {
        tracing::warn!("a response that sets a cookie asked shared caches to store it; it says `no-store` instead");
        headers.remove(header::CACHE_CONTROL);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
