//! The engine that keeps the data of a session in its cookie.

use std::cell::Cell;

use session_core::{SessionId, store::End, token::Verified};

use super::{
    context::{CarriedOut, Context},
    ends::{Ends, rotated_to},
};
use crate::{
    error::Error,
    state::{
        loaded::{Ended, Live, Loaded},
        outcome::{CookieChange, Outcome, Plan},
        staged::NextId,
    },
    wire::session_cookie::Came,
};

/// Reads the session out of its cookie. `ends` are the sessions that this process has ended.
pub(super) fn load(ends: &Ends, context: Context<'_>) -> Loaded {
    let Found { mut lives, are_too_many, nothing } = find(context);
    let mut has_ended = false;
    lives.retain_mut(|live| match ends.find(live.frame.id, context.now) {
        None => true,
        Some(End::Rotated { successor }) => {
            live.make_late(Some(successor.id()));
            true
        }
        Some(End::Deleted | End::Renewed) => {
            has_ended = true;
            false
        }
    });
    if has_ended && lives.is_empty() {
        return Loaded::ended();
    }
    chosen(Found { lives, are_too_many, nothing }, context)
}

/// The live sessions in the cookies of a request.
pub(super) struct Found {
    pub(super) lives: Vec<Live>,
    /// Whether the request brought more cookies than the layer verifies.
    pub(super) are_too_many: bool,
    /// The answer if there is no live session.
    pub(super) nothing: Loaded,
}

/// Finds the live sessions in the cookies.
pub(super) fn find(context: Context<'_>) -> Found {
    let (came, is_malformed, has_expired) = (Cell::new(false), Cell::new(false), Cell::new(false));
    let accept = |verified: Verified| {
        came.set(true);
        let (frame, sealed_by_old_key) = (verified.frame(), !verified.by_newest_key());
        let Ok(entries) = verified.entries() else {
            is_malformed.set(true);
            return None;
        };
        let live = Live::in_cookie(frame, entries, sealed_by_old_key).unless_over(context.limits, context.now);
        has_expired.set(has_expired.get() || live.is_none());
        live
    };
    let found = context.cookie.find(context.cookies, context.now, accept);
    if is_malformed.get() {
        tracing::error!(
            "a correctly signed session cookie holds no valid session data and is ignored; does another application \
             use this secret?"
        );
    }
    let nothing = if came.get() {
        Loaded::nothing_behind_a_cookie(has_expired.get().then_some(Ended::Expired))
    } else {
        Loaded::nothing()
    };
    let are_too_many = matches!(found, Came::TooMany);
    Found { lives: found.into_vec(), are_too_many, nothing }
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

/// Carries a plan out, unless this process has ended the session since the request read it.
pub(super) fn carry_out(
    ends: &Ends,
    plan: Plan<'_>,
    next_id: &mut NextId,
    context: Context<'_>,
) -> Result<CarriedOut, Error> {
    let found = plan.continued().and_then(|live| ends.find(live.frame.id, context.now));
    if let Some(end) = found.filter(|end| stops(plan, *end)) {
        return Ok(CarriedOut::EndedElsewhere(end));
    }
    let cookies = cookies(plan, next_id, context)?;
    for (id, end) in ending(plan, next_id)? {
        for successor in ends.successors(id, context.now) {
            ends.note(successor, end, context.now);
        }
        ends.note(id, end, context.now);
    }
    Ok(CarriedOut::Done(cookies))
}

/// Returns whether a session that has ended since the request read it stops the plan. After a rotation a renewal goes
/// on: it acts on the successor.
pub(super) fn stops(plan: Plan<'_>, end: End) -> bool {
    !(matches!(end, End::Rotated { .. }) && plan.changes.begins_anew())
}

/// Returns the ids that end with this plan, and how.
pub(super) fn ending(plan: Plan<'_>, next_id: &mut NextId) -> Result<Vec<(SessionId, End)>, Error> {
    let (loaded, changes) = (plan.loaded, plan.changes);
    let mut ending = Vec::new();
    if changes.destroys() {
        ending.extend(loaded.rivals().iter().map(|live| (live.frame.id, End::Deleted)));
    }
    let Some(live) = loaded.session() else { return Ok(ending) };
    let end = match plan.outcome {
        Outcome::Removed if changes.destroys() => End::Deleted,
        Outcome::Replaced if changes.begins_anew() => End::Renewed,
        Outcome::Replaced => rotated_to(next_id.id(loaded, changes)?),
        _ => return Ok(ending),
    };
    ending.extend([Some(live.frame.id), live.successor].into_iter().flatten().map(|id| (id, end)));
    Ok(ending)
}

/// Chooses between the sessions of several cookies.
pub(super) fn chosen(found: Found, context: Context<'_>) -> Loaded {
    let Found { lives, are_too_many, nothing } = found;
    if lives.is_empty() && !are_too_many {
        return nothing;
    }
    let loaded = Loaded::newest(lives);
    if are_too_many || !loaded.rivals().is_empty() {
        context.setup_warnings.rival_cookies(context.cookie.spec.name(), context.now);
    }
    loaded
}
