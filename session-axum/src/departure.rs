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
    response::{Op, OpList, Ops},
    revocation::revoke,
    saving::stored_cookies,
    scope::{Scope, Staged},
    settings::Remote,
};

/// What a response's handler said of the session and the flash.
pub(crate) struct Departure {
    ops: OpList,
    failure: Option<Failure>,
}

impl Departure {
    /// Lets a response go at once, with `None`, if it can: most requests only read, or not even that.
    pub(crate) fn begin(scope: &Scope, response: &mut Response) -> Option<Self> {
        let ops = Ops::take(response);
        let failure = response.extensions_mut().remove::<Failure>();
        if failure.is_some() || !ops.is_empty() {
            return Some(Self { ops, failure });
        }
        if !scope.was_read() && !batches::drops_flash(scope) {
            scope.close();
            return None;
        }
        if scope.close_if_settled() {
            add_vary(response.headers_mut());
            return None;
        }
        Some(Self { ops, failure })
    }
}

/// Settles the request's session and flash with its response. It only waits where a store is to be asked.
pub(crate) async fn depart(scope: Arc<Scope>, departure: Departure, mut response: Response) -> Response {
    let scope = &scope;
    let Departure { mut ops, failure } = departure;
    let staged = scope.take();
    if let Some(Failure(error)) = &failure {
        response = answer(scope, error);
        Ops::take(&mut response).into_iter().for_each(|op| ops.push(op));
    }
    let failed = failure.is_some() || response.status().is_server_error();
    let saves = !failed || scope.settings.told.save_on_server_error;
    let cookies = match settle(scope, &staged, ops, response.status(), saves).await {
        Ok(cookies) => cookies,
        Err(error) => {
            response = answer(scope, &error);
            let staged = if error.is_about_the_store() { &Staged::default() } else { &staged };
            settle_failure(scope, staged, &mut response).await
        }
    };
    scope.keep(staged);
    add_headers(scope, response.headers_mut(), cookies);
    response
}

/// Nothing that could not be saved is answered as if it were: the application answers, and only an end stays an end.
async fn settle_failure(scope: &Arc<Scope>, staged: &Staged, response: &mut Response) -> Vec<String> {
    let ops = Ops::take(response);
    let settled = settle(scope, staged, ops, response.status(), false).await;
    settled.unwrap_or_else(|error| {
        *response = answer(scope, &error);
        Ops::take(response);
        Vec::new()
    })
}

async fn settle(
    scope: &Arc<Scope>,
    before: &Staged,
    ops: OpList,
    status: StatusCode,
    saves: bool,
) -> Result<Vec<String>, Error> {
    let mut staged = if saves { Cow::Borrowed(before) } else { Cow::Owned(before.rolled_back()) };
    let about_the_session = scope.session_was_read() || ops.iter().any(Op::is_about_the_session);
    if about_the_session {
        scope.arrive().await?;
    }
    for op in ops.into_iter() {
        op.apply(scope, staged.to_mut(), before)?;
    }
    let mut cookies = if about_the_session { settle_session(scope, &staged, saves).await? } else { Vec::new() };
    batches::flash_cookies(scope, &staged, batches::consumption(scope, status, saves), &mut cookies)?;
    Ok(cookies)
}

/// Of a response that does not save only an end that was staged counts, and what was saved before.
async fn settle_session(scope: &Scope, staged: &Staged, saves: bool) -> Result<Vec<String>, Error> {
    match &scope.settings.told.remote {
        Some(Remote::Records(store)) => stored_cookies(scope, store, staged, saves).await,
        _ if !saves && staged.changes.is_empty() => Ok(Vec::new()),
        Some(Remote::Revocations { list, .. }) => {
            let cookies = session_cookies(scope, staged)?;
            revoke(scope, list, staged).await.map(|()| cookies)
        }
        None => session_cookies(scope, staged),
    }
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
