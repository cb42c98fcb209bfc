//! The way out: what a request did becomes `Set-Cookie` headers, or an error before anything has left.

use std::{borrow::Cow, sync::Arc};

use axum_core::response::Response;
use http::{HeaderMap, HeaderValue, header};
use session_core::{
    Changes, Frame, Ring, SessionId, Terms, View,
    cookie::{MAX_SIZE, Spec, TooLarge},
    write_object,
};

use crate::{
    batches,
    error::{Error, Failure},
    response::{Op, Ops},
    scope::{Scope, Staged},
    settings::Rings,
};

/// Settles the request's session and flash with its response.
pub(crate) fn depart(scope: &Arc<Scope>, mut response: Response) -> Response {
    let staged = scope.close();
    let mut ops = Ops::take(&mut response);
    let failure = response.extensions_mut().remove::<Failure>();
    if failure.is_none() && ops.is_empty() && !scope.was_read() && !batches::drops_flash(scope) {
        return response;
    }
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

/// The cookies that make the browser's session what was staged; none when it is that already.
pub(crate) fn session_cookies(scope: &Scope, staged: &Staged) -> Result<Vec<String>, Error> {
    if scope.settings.rings.is_none() {
        return Ok(Vec::new());
    }
    if let Some(error) = &staged.error {
        return Err(error.clone());
    }
    let arrived = scope.arrived();
    let (limits, now) = (scope.settings.told.limits, scope.settings.now());
    let terms = Terms::of(&arrived.entries);
    let changes = &staged.changes;
    let expired = arrived.frame.is_some_and(|frame| limits.is_over(&frame, &terms, now));
    if expired && !changes.destroys() {
        if !changes.is_empty() {
            tracing::info!("a session expired while its request ran, and what the request changed is dropped");
        }
        return Ok(Vec::new());
    }
    let extends = arrived.frame.is_some_and(|frame| limits.wants_extension(&frame, &terms, now));
    let differs = changes.differs_from(&arrived.entries);
    let begins = arrived.frame.is_none() && (differs || staged.id_was_asked);
    if !differs && !begins && !extends && !arrived.by_old_key {
        return Ok(Vec::new());
    }
    if changes.leave_nothing(&arrived.entries) && !staged.id_was_asked {
        return Ok(removal(scope, staged));
    }
    issue(scope, staged, now)
}

/// Removes the session's cookies if there is something to remove: a session that is now empty, or, where a handler
/// asked for the end, whatever came under the name.
fn removal(scope: &Scope, staged: &Staged) -> Vec<String> {
    let emptied = scope.arrived().frame.is_some() && staged.changes.differs_from(&scope.arrived().entries);
    if !emptied && !staged.changes.destroys() {
        return Vec::new();
    }
    let spec = &scope.settings.session_cookie;
    let whole = scope.cookies.has(spec, "").then(|| spec.clear(""));
    whole.into_iter().chain(stale_pieces(scope, 0)).collect()
}

fn issue(scope: &Scope, staged: &Staged, now: u64) -> Result<Vec<String>, Error> {
    let Some(Rings { session: ring, .. }) = &scope.settings.rings else { return Ok(Vec::new()) };
    let (told, spec) = (&scope.settings.told, &scope.settings.session_cookie);
    let entries = &scope.arrived().entries;
    let mut changes = Cow::Borrowed(&staged.changes);
    let mut terms = changes.terms(entries);
    if staged.id_was_asked && changes.leave_nothing(entries) {
        terms.pinned = true;
        changes.to_mut().set_terms(&terms);
    }
    let frame = frame_to_issue(scope, staged, now)?;
    let view = changes.view(entries);
    let body = body_of(&frame, &view);
    let persists = (told.persistent || terms.until.is_some()) && !terms.browser_session;
    let max_age = persists.then(|| told.limits.last_second(&frame, &terms).saturating_sub(now));
    let cookies = spread(scope, ring, &body, max_age).map_err(|error| error.naming(view))?;
    if scope.arrived().frame.is_none() && !scope.cookies.has(spec, "") {
        scope.settings.notices.issued(spec.name(), spec.is_secure(), scope.origin);
    }
    Ok(cookies)
}

fn body_of(frame: &Frame, view: &View<'_>) -> Vec<u8> {
    let payload: usize = view.clone().map(|(key, text)| key.len() + text.len() + 4).sum();
    let mut body = frame.begin_body(payload + 2);
    write_object(view.clone(), &mut body);
    body
}

/// Bytes of the name and value of the cookie that would carry the session after `changes`.
pub(crate) fn cookie_size(scope: &Scope, changes: &Changes) -> usize {
    let Some(Rings { session: ring, .. }) = &scope.settings.rings else { return 0 };
    let frame = scope.frame_after(&Staged::default());
    let body = body_of(&frame, &changes.view(&scope.arrived().entries));
    scope.settings.session_cookie.name().len() + ring.form().token_len(body.len())
}

fn frame_to_issue(scope: &Scope, staged: &Staged, now: u64) -> Result<Frame, Error> {
    match scope.arrived().frame {
        Some(frame) if !staged.changes.needs_new_id() => Ok(Frame { issued_at: now.max(frame.created_at), ..frame }),
        _ => {
            let id = staged.new_id.map_or_else(SessionId::random, Ok)?;
            Ok(Frame { id, created_at: now, issued_at: now })
        }
    }
}

/// One cookie if the token fits into one; otherwise as many as are allowed. What is not needed any more is removed.
fn spread(scope: &Scope, ring: &Ring, body: &[u8], max_age: Option<u64>) -> Result<Vec<String>, Error> {
    let (spec, most) = (&scope.settings.session_cookie, scope.settings.told.chunks);
    let len = ring.form().token_len(body.len());
    if most < 2 || spec.name().len() + len <= MAX_SIZE {
        let seal = |text: &mut String| Ok::<_, Error>(ring.seal_onto(text, body)?);
        let mut cookies = vec![spec.set_with("", len, max_age, seal)?];
        cookies.extend(stale_pieces(scope, 0));
        return Ok(cookies);
    }
    let room = MAX_SIZE.saturating_sub(spec.name().len() + PIECE_SUFFIX);
    if len > room * most {
        return Err(TooLarge::new(spec.name(), spec.name().len() + len, room * most).into());
    }
    let mut cookies = pieces(spec, &ring.seal(body)?, room, max_age)?;
    let last = cookies.len();
    cookies.extend(scope.cookies.has(spec, "").then(|| spec.clear("")));
    cookies.extend(stale_pieces(scope, last));
    Ok(cookies)
}

fn pieces(spec: &Spec, token: &str, room: usize, max_age: Option<u64>) -> Result<Vec<String>, TooLarge> {
    let piece = |number: usize| {
        let end = token.len().min(number * room);
        spec.set(&format!(".{number}"), &token[(number - 1) * room..end], max_age)
    };
    (1..=token.len().div_ceil(room)).map(piece).collect()
}

/// Removes the pieces that came with the request and are numbered above `last`.
fn stale_pieces(scope: &Scope, last: usize) -> Vec<String> {
    let (told, spec) = (&scope.settings.told, &scope.settings.session_cookie);
    let highest = if told.chunks < 2 { 0 } else { told.chunks };
    let suffixes = (last + 1..=highest).map(|number| format!(".{number}"));
    let came = |suffix: &String| scope.cookies.has(spec, suffix);
    suffixes.filter(came).map(|suffix| spec.clear(&suffix)).collect()
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

/// A dot and a digit.
const PIECE_SUFFIX: usize = 2;
