//! The session's way out: what came, and what was done to it, becomes `Set-Cookie` headers.

use session_core::{
    Changes, Entries, Frame, Metadata, Ring,
    cookie::{MAX_SIZE, Spec, TooLarge},
};

use crate::{
    arrival::Arrived,
    error::Error,
    scope::{Scope, Staged},
    settings::Rings,
};

/// The cookies that make the browser's session what was staged; none when it is that already.
pub(crate) fn session_cookies(scope: &Scope, staged: &Staged) -> Result<Vec<String>, Error> {
    if scope.settings.rings.is_none() {
        return Ok(Vec::new());
    }
    if let Some(error) = &staged.error {
        return Err((**error).clone());
    }
    let arrived = scope.arrived();
    let differs = staged.differs_from(arrived);
    let begins = arrived.frame.is_none() && (differs || !staged.leaves_nothing(arrived));
    if !differs && !begins && !arrived.is_due && !arrived.by_old_key {
        return Ok(Vec::new());
    }
    let now = scope.settings.now();
    if expired_meanwhile(scope, staged, now) {
        return Ok(Vec::new());
    }
    if staged.leaves_nothing(arrived) {
        let emptied = arrived.frame.is_some() && differs;
        return Ok(if emptied || staged.changes.destroys() { removal(scope) } else { Vec::new() });
    }
    let (changes, entries) = (&staged.changes, arrived.entries());
    let (frame, terms) = (frame_to_issue(arrived, staged, now)?, changes.metadata(entries));
    issue(scope, &frame, terms, &body_of(&frame, changes, entries)).map_err(|error| error.naming(changes.view(entries)))
}

/// Whether the session came to its end while its request ran: then what the request changed is dropped.
pub(crate) fn expired_meanwhile(scope: &Scope, staged: &Staged, now: u64) -> bool {
    let (arrived, limits) = (scope.arrived(), scope.settings.told.limits);
    let expired = arrived.frame.is_some_and(|frame| limits.is_over(frame.times(), arrived.terms(), now));
    if expired && !staged.changes.destroys() && !staged.changes.is_empty() {
        tracing::info!("a session expired while its request ran, and what the request changed is dropped");
    }
    expired && !staged.changes.destroys()
}

/// Whose session leaves.
pub(crate) fn frame_to_issue(arrived: &Arrived, staged: &Staged, now: u64) -> Result<Frame, Error> {
    match arrived.frame {
        Some(frame) if !staged.changes.needs_new_id() => Ok(Frame { issued_at: now.max(frame.created_at), ..frame }),
        _ => Ok(Frame { id: staged.draw_id(arrived)?, created_at: now, issued_at: now }),
    }
}

/// Removes whatever came under the session's name.
pub(crate) fn removal(scope: &Scope) -> Vec<String> {
    let spec = &scope.settings.session_cookie;
    let whole = scope.cookies.has(spec, "").then(|| spec.clear(""));
    whole.into_iter().chain(stale_pieces(scope, 0)).collect()
}

/// The cookies of a body that begins with `frame`.
pub(crate) fn issue(scope: &Scope, frame: &Frame, terms: &Metadata, body: &[u8]) -> Result<Vec<String>, Error> {
    let Some(Rings { session: ring, .. }) = &scope.settings.rings else { return Ok(Vec::new()) };
    let (told, spec) = (&scope.settings.told, &scope.settings.session_cookie);
    let left = || told.limits.last_second(frame.times(), terms).saturating_sub(scope.settings.now());
    let cookies = spread(scope, ring, body, outlives_browser(scope, terms).then(left))?;
    if scope.arrived().frame.is_none() && !scope.cookies.has(spec, "") {
        scope.settings.notices.issued(spec.name(), spec.is_secure(), scope.origin);
    }
    Ok(cookies)
}

/// Whether the cookie has a `Max-Age`.
pub(crate) fn outlives_browser(scope: &Scope, terms: &Metadata) -> bool {
    (scope.settings.told.persistent || terms.until.is_some()) && !terms.browser_session
}

fn body_of(frame: &Frame, changes: &Changes, entries: &Entries) -> Vec<u8> {
    let payload: usize = changes.view(entries).map(|(key, text)| key.len() + text.len() + 4).sum();
    let mut body = frame.begin_body(payload + 2);
    changes.write(entries, &mut body);
    body
}

/// Bytes of the name and value of the cookie that would carry the session after `changes`.
pub(crate) fn cookie_size(scope: &Scope, changes: &Changes) -> usize {
    let Some(Rings { session: ring, .. }) = &scope.settings.rings else { return 0 };
    let frame = scope.frame_after(&Staged::default());
    let body = match scope.settings.records() {
        Some(_) => frame.begin_body(0).len() + ID_SECRET,
        None => body_of(&frame, changes, scope.arrived().entries()).len(),
    };
    scope.settings.session_cookie.name().len() + ring.form().token_len(body)
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

/// A dot and a digit.
const PIECE_SUFFIX: usize = 2;
/// The bytes that the cookie of a session in a store carries.
const ID_SECRET: usize = 32;
