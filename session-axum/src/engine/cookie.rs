//! The engine that keeps the data of a session in its cookie.

use std::{cell::Cell, sync::Arc};

use session_core::{SessionId, store::End, token::Verified};

use super::{
    context::{CarriedOut, Context},
    ends::{Ends, rotated_to},
};
use crate::{
    error::Error,
    observe::{self, Refusals, Refused, Sent},
    state::{
        loaded::{Ended, Live, Loaded},
        outcome::{CookieChange, Outcome, Plan},
        staged::NextId,
    },
    wire::session_cookie::Came,
};

/// Reads the session out of its cookie. `ends` are the sessions that this process has ended.
pub(super) fn load(ends: &Ends, context: Context<'_>) -> Loaded {
    let Found { came, nothing, refusals } = find(context);
    refusals.report(Sent::Session);
    let lives = match came {
        Came::Nothing => return nothing,
        Came::Only(live) => {
            let live = unless_ended(live, ends, context.now);
            return live.map_or_else(Loaded::ended, |live| Loaded::live(live).in_the_only_cookie());
        }
        Came::One(live) => return unless_ended(live, ends, context.now).map_or_else(Loaded::ended, Loaded::live),
        Came::Several(lives) => lives,
        Came::TooMany => Vec::new(),
    };
    let several = !lives.is_empty();
    let lives: Vec<_> = lives.into_iter().filter_map(|live| unless_ended(live, ends, context.now)).collect();
    if several && lives.is_empty() { Loaded::ended() } else { newest(lives, context) }
}

/// Returns the session, unless this process has just ended it. A session that was rotated goes on.
fn unless_ended(mut live: Arc<Live>, ends: &Ends, now: u64) -> Option<Arc<Live>> {
    match ends.find(live.frame.id, now) {
        None => Some(live),
        Some(End::Rotated { successor }) => {
            Arc::make_mut(&mut live).make_late(Some(successor.id()));
            Some(live)
        }
        Some(End::Deleted | End::Renewed) => None,
    }
}

/// The live sessions in the cookies of a request.
pub(super) struct Found {
    pub(super) came: Came<Arc<Live>>,
    /// The answer if there is no live session.
    pub(super) nothing: Loaded,
    /// Why other values do not count.
    pub(super) refusals: Refusals,
}

/// Finds the live sessions in the cookies.
pub(super) fn find(context: Context<'_>) -> Found {
    let (came, has_expired, refusals) = (Cell::new(false), Cell::new(false), Refusals::default());
    let accept = |verified: Verified| {
        came.set(true);
        let (frame, sealed_by_old_key) = (verified.frame(), !verified.by_newest_key());
        let Ok(entries) = verified.entries() else {
            refusals.note(Refused::Unreadable);
            return None;
        };
        let live = Live::in_cookie(frame, entries, sealed_by_old_key).unless_over(context.limits, context.now);
        has_expired.set(has_expired.get() || live.is_none());
        live.map(Arc::new)
    };
    let found = context.cookie.find(context.cookies, context.now, &refusals, accept);
    if refusals.has(Refused::Unreadable) {
        tracing::error!(
            name: "cookie.unreadable", target: "session_axum::cookie",
            "a correctly signed session cookie holds no valid session data and is ignored; does another application \
             use this secret?"
        );
    }
    let nothing = if came.get() {
        Loaded::nothing_behind_a_cookie(has_expired.get().then_some(Ended::Expired))
    } else {
        Loaded::nothing()
    };
    Found { came: found, nothing, refusals }
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
            let cookies =
                context.cookie.set(&body, plan.max_age(), begins, plan.loaded.had_one_cookie, context.cookies);
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
    let continued = plan.continued().map(|live| live.frame.id);
    let found = continued.and_then(|id| ends.find(id, context.now));
    if let Some(end) = found.filter(|end| stops(plan, *end)) {
        return Ok(CarriedOut::EndedElsewhere(end));
    }
    let cookies = cookies(plan, next_id, context)?;
    let ending = ending(plan, next_id)?;
    // Another thread may have ended the session since.
    if !ending.is_empty()
        && let Err(end) = ends.note_all(&ending, continued, context.now, |end| stops(plan, end))
    {
        return Ok(CarriedOut::EndedElsewhere(end));
    }
    observe::carried_out(plan);
    Ok(CarriedOut::Done(cookies.into()))
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
        ending.extend(loaded.rivals().map(|live| (live.frame.id, End::Deleted)));
    }
    let Some(live) = loaded.session() else { return Ok(ending) };
    let end = match plan.outcome {
        Outcome::Removed if changes.destroys() => End::Deleted,
        Outcome::Replaced if changes.begins_anew() => End::Renewed,
        Outcome::Replaced => rotated_to(next_id.id(loaded, changes)?),
        _ => return Ok(ending),
    };
    ending.extend(live.ids().map(|id| (id, end)));
    Ok(ending)
}

/// Chooses between the sessions of several cookies. `lives` is empty if the request brought too many cookies to verify.
pub(super) fn newest(lives: Vec<Arc<Live>>, context: Context<'_>) -> Loaded {
    let are_too_many = lives.is_empty();
    let loaded = Loaded::newest(lives);
    if are_too_many || loaded.has_rivals() {
        observe::refused(Sent::Session, if are_too_many { Refused::TooMany } else { Refused::Rivals });
        context.setup_warnings.rival_cookies(context.cookie.spec.name(), context.now);
    }
    loaded
}
