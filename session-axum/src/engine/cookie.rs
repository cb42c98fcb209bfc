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
    wire::session_cookie::Came,
};

/// Reads the session out of its cookie.
pub(super) fn load(context: Context<'_>) -> Loaded {
    match find(context) {
        (Came::One(live), _) => Loaded::live(live),
        (Came::Several(lives), _) => newest(lives, context),
        (Came::TooMany, _) => newest(Vec::new(), context),
        (Came::Nothing, true) => Loaded::nothing_behind_a_cookie(),
        (Came::Nothing, false) => Loaded::nothing(),
    }
}

/// Finds the live sessions in the cookies. Also returns whether the request brought an authentic cookie.
pub(super) fn find(context: Context<'_>) -> (Came<Live>, bool) {
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
    (found, came.get())
}

/// Returns the `Set-Cookie` values that the plan needs: they set or remove the session cookie. There may be none.
pub(super) fn cookies(plan: Plan<'_>, next_id: &mut NextId, context: Context<'_>) -> Result<Vec<String>, Error> {
    match plan.cookie() {
        CookieChange::Leave => Ok(Vec::new()),
        CookieChange::Remove => Ok(context.cookie.remove(context.cookies)),
        CookieChange::Set => {
            let (changes, entries) = (plan.changes, plan.loaded.entries());
            let mut body = plan.frame(next_id.id(plan.loaded, plan.changes)?).begin_body(changes.len_hint(entries));
            changes.write(entries, &mut body);
            let begins = plan.outcome.gives_new_id(plan.loaded);
            let cookies = context.cookie.set(&body, plan.max_age(), begins, context.cookies);
            cookies.map_err(|error| error.naming(changes.view(entries)))
        }
    }
}

/// Chooses between the sessions of several cookies. `lives` is empty if the request brought too many cookies to verify.
pub(super) fn newest(lives: Vec<Live>, context: Context<'_>) -> Loaded {
    let are_too_many = lives.is_empty();
    let loaded = Loaded::newest(lives);
    if are_too_many || !loaded.rivals().is_empty() {
        context.setup_warnings.rival_cookies(context.cookie.spec.name(), context.now);
    }
    loaded
}
