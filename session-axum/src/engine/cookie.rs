//! The engine that keeps the data of a session in its cookie.

use std::cell::Cell;

use session_core::token::Verified;

use super::context::Context;
use crate::{
    error::Error,
    state::{
        loaded::{Live, Loaded},
        outcome::{CookieChange, Plan},
        staged::NextId,
    },
    wire::session_cookie::Found,
};

/// Reads the session out of its cookie.
pub(super) fn load(context: Context<'_>) -> Loaded {
    let (came, is_malformed) = (Cell::new(false), Cell::new(false));
    let accept = |verified: Verified| {
        came.set(true);
        let (frame, sealed_by_old_key) = (verified.frame(), !verified.by_newest_key());
        let Ok(entries) = verified.entries() else {
            is_malformed.set(true);
            return None;
        };
        Live::in_cookie(frame, entries, sealed_by_old_key).unless_over(context.limits, context.now)
    };
    let found = context.cookie.find(context.cookies, context.now, accept);
    if is_malformed.get() {
        tracing::error!(
            "a correctly signed session cookie holds no valid session data and is ignored; does another application \
             use this secret?"
        );
    }
    match one(found, context) {
        Some(live) => Loaded::live(live),
        None if came.get() => Loaded::nothing_behind_a_cookie(),
        None => Loaded::nothing(),
    }
}

/// Makes the cookies by which the browser has the session after the plan.
pub(super) fn cookies(plan: Plan<'_>, next_id: &mut NextId, context: Context<'_>) -> Result<Vec<String>, Error> {
    match plan.cookie() {
        CookieChange::Leave => Ok(Vec::new()),
        CookieChange::Remove => Ok(context.cookie.remove(context.cookies)),
        CookieChange::Set => {
            let (changes, entries) = (plan.changes, plan.loaded.entries());
            let mut body = plan.frame(next_id.id(plan.loaded, plan.changes)?).begin_body(changes.len_hint(entries));
            changes.write(entries, &mut body);
            let cookies = context.cookie.set(&body, plan.max_age(), context.cookies);
            cookies.map_err(|error| error.naming(changes.view(entries)))
        }
    }
}

/// Returns the session of the one valid token. If two different tokens are valid, there is no session.
pub(super) fn one<T>(found: Found<T>, context: Context<'_>) -> Option<T> {
    match found {
        Found::Nothing => None,
        Found::One(session) => Some(session),
        Found::Ambiguous => {
            tracing::warn!(
                cookie = context.cookie.spec.name(),
                "a request brought two different valid sessions and gets neither: another site under this domain may be \
                 planting a cookie"
            );
            None
        }
    }
}
