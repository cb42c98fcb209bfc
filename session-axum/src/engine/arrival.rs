//! The arrival of sessions that move here from a former layer or system.

use std::sync::Arc;

use session_core::{
    MAX_COOKIE_AGE, RESERVED_PREFIX, SessionId, base64url,
    store::{End, Entries, Lookup, Metadata, RecordKey},
    token::{Frame, IdSecret, Times},
};

use super::{
    Engine, StoreClient,
    context::Context,
    cookie,
    ends::{Ends, rotated_to},
    revocations::Revocations,
    stored,
};
use crate::{
    error::Error,
    state::{
        loaded::{Arriving, Ended, Live, Loaded},
        outcome::Plan,
    },
};

/// A session that was read in its former place, before it has moved.
#[derive(Clone)]
pub(crate) struct Arrival {
    /// The values, and the metadata without what belongs to the former place.
    entries: Entries,
    owner: Option<String>,
    /// The time from which the session belongs to its owner.
    owned_since: Option<u64>,
    label: Option<String>,
    times: Times,
    /// Whether the request came with the id from before a rotation.
    is_late: bool,
}

impl Arrival {
    /// Takes the content of a session of another layer. `is_late` tells whether the request came with the id from
    /// before a rotation.
    pub(crate) fn of_live(live: &Live, is_late: bool) -> Self {
        let base = live.base();
        let metadata = base.entries.metadata();
        Self {
            entries: entries_of(base.entries, &metadata.moved()),
            owner: base.owner.map(str::to_owned),
            owned_since: metadata.owned_since(),
            label: base.label.map(str::to_owned),
            times: live.frame.times(),
            is_late,
        }
    }

    /// Takes the content of a session of another system. What begins with `$` there is not ours.
    pub(crate) fn of_entries(entries: &Entries, created_at: Option<u64>, now: u64) -> Self {
        let created_at = created_at.unwrap_or(now).min(now);
        Self {
            entries: entries_of(entries, &Metadata::NONE),
            owner: None,
            owned_since: None,
            label: None,
            times: Times { created_at, issued_at: now },
            is_late: false,
        }
    }

    /// Returns the session after a response has moved and changed it.
    pub(crate) fn changed_by(&self, plan: Plan<'_>) -> Self {
        let fields = plan.changes.fields(plan.loaded.entries());
        let entries = Entries::from_texts(fields).unwrap_or_default();
        Self { entries, ..self.clone() }
    }

    /// Returns the entries for a cookie. The owner is in the metadata. An engine without owners keeps it there, for the
    /// case that the session moves on.
    fn entries_with_owner(&self) -> Entries {
        let mut metadata = self.entries.metadata().clone();
        metadata.set_owner(self.owner.as_deref(), self.owned_since.unwrap_or(self.times.created_at));
        entries_of(&self.entries, &metadata)
    }
}

/// Returns the application's entries with other metadata.
fn entries_of(entries: &Entries, metadata: &Metadata) -> Entries {
    let metadata = metadata.to_json();
    let reserved = metadata.as_deref().map(|text| ("$", text));
    let fields = entries.iter().filter(|(key, _)| !key.starts_with(RESERVED_PREFIX));
    // Entries that were read once can be read again.
    Entries::from_texts(reserved.into_iter().chain(fields)).unwrap_or_default()
}

/// What a session gets in its new place.
#[derive(Clone, Copy)]
pub(crate) struct Destination<'a> {
    /// The ids and secrets that the session can have here: one for each of the layer's secrets, the newest first.
    pub(crate) successors: &'a [(SessionId, IdSecret)],
    /// The key under which it is noted that the session has moved, whatever its content was.
    pub(crate) mark: RecordKey,
    /// The last second in which a mark is needed; `None` if the former place remembers the end itself.
    pub(crate) marked_until: Option<u64>,
    /// Stands for the content of the session.
    pub(crate) content: RecordKey,
    /// Whether another response has moved the session a moment ago, so that this one sets the cookie only for a change.
    pub(crate) has_just_moved: bool,
}

impl Destination<'_> {
    fn store_mark(&self) -> Option<(RecordKey, u64)> {
        Some((self.mark, self.marked_until?))
    }

    fn content(&self) -> String {
        base64url(self.content.hash())
    }
}

/// A session in its former place: its id there, the key of its record, and the content if that is in the cookie.
pub(crate) struct FormerId {
    pub(crate) id: SessionId,
    pub(crate) key: Option<RecordKey>,
    pub(crate) content: Option<Entries>,
}

impl FormerId {
    pub(crate) fn of_live(live: &Live) -> Self {
        let key = live.stored().map(|stored| stored.record.key);
        let content = key.is_none().then(|| live.base().entries.clone());
        Self { id: live.frame.id, key, content }
    }
}

impl Engine {
    /// Returns the session as it is here, or as it will be when the response has moved it in. `arrival` is `None` if
    /// its former place has it no longer.
    pub(crate) async fn receive(
        &self,
        arrival: Option<&Arrival>,
        destination: Destination<'_>,
        context: Context<'_>,
    ) -> Result<Loaded, Error> {
        match (self, arrival) {
            (Self::Store(store), arrival) => into_store(store, arrival, destination, context).await,
            (Self::Null, _) | (_, None) => Ok(Loaded::nothing()),
            (Self::Cookie(ends), Some(arrival)) => Ok(into_cookie(ends, arrival, destination, context)),
            (Self::RevocableCookie(revocations), Some(arrival)) => {
                into_revocable_cookie(revocations, arrival, destination, context).await
            }
        }
    }

    /// Notes that a response has moved a session here, or has ended it with the move.
    pub(crate) async fn note_move(
        &self,
        destination: Destination<'_>,
        successor: SessionId,
        has_ended: bool,
        now: u64,
    ) -> Result<(), Error> {
        match (self, destination.store_mark()) {
            (Self::Cookie(ends), _) => drop(ends.note(destination.mark.id(), rotated_to(successor), now)),
            (Self::RevocableCookie(revocations), Some((mark, until))) => {
                revocations.note_move(&mark, until, successor, &destination.content(), now).await?;
            }
            // Otherwise the mark was written together with the record.
            (Self::Store(store), Some(mark)) if has_ended => stored::note_move(store, mark, now).await?,
            _ => {}
        }
        Ok(())
    }

    /// Ends a session that moves here with the response: it was cleared, or has ended in its former place.
    pub(crate) async fn end_arrived(&self, loaded: &Loaded, now: u64) -> Result<(), Error> {
        let Some(live) = loaded.session() else { return Ok(()) };
        match self {
            Self::Store(store) => {
                let stored = live.stored().map(|stored| stored.record.key);
                match stored.or(live.arriving().map(|arriving| arriving.key)) {
                    Some(key) => store.delete(&key, End::Deleted, now).await.map(drop),
                    None => Ok(()),
                }
            }
            Self::Cookie(ends) => {
                ends.note(live.frame.id, End::Deleted, now);
                Ok(())
            }
            Self::RevocableCookie(revocations) => revocations.revoke(live.frame.id, End::Deleted, None, now).await,
            Self::Null => Ok(()),
        }
    }

    /// Ends the session that a request brought to this former place. Returns whether it was alive until then, or had
    /// moved to the same successor before.
    pub(crate) async fn end_moved(&self, loaded: &Loaded, end: End, now: u64) -> Result<bool, Error> {
        let mut was_alive = true;
        for live in loaded.session().into_iter().chain(loaded.rivals()) {
            was_alive &= match self {
                Self::Null => true,
                Self::Cookie(ends) => {
                    let before = ends.note_with_successors(live.frame.id, end, now);
                    matches!(before, None | Some(End::Rotated { .. }))
                }
                Self::RevocableCookie(revocations) => revocations.end_moved(live.frame.id, end, now).await?,
                Self::Store(store) => match live.stored() {
                    Some(stored) => end_record(store, &stored.record.key, end, now).await?,
                    None => true,
                },
            };
        }
        Ok(was_alive)
    }

    /// Returns the sessions to which the request's cookies lead, also those that have ended.
    pub(crate) fn former_ids(&self, context: Context<'_>) -> Vec<FormerId> {
        match self {
            Self::Null => Vec::new(),
            Self::Store(_) => {
                let of_key = |key: RecordKey| FormerId { id: key.id(), key: Some(key), content: None };
                stored::keys(context).into_iter().map(of_key).collect()
            }
            Self::Cookie(_) | Self::RevocableCookie(_) => {
                cookie::find(context).came.into_vec().iter().map(|live| FormerId::of_live(live)).collect()
            }
        }
    }

    /// Returns whether the engine knows for good that a session has ended.
    pub(crate) const fn remembers_ends(&self) -> bool {
        matches!(self, Self::Store(_) | Self::RevocableCookie(_))
    }
}

async fn end_record(store: &StoreClient, key: &RecordKey, end: End, now: u64) -> Result<bool, Error> {
    if store.delete(key, end, now).await? {
        return Ok(true);
    }
    // Another request may have moved it at the same time.
    Ok(matches!(store.load(key, now).await?, Lookup::Ended(known) if known == end))
}

/// Finds the session in the store under the key that it gets when it moves, or prepares the move.
async fn into_store(
    store: &StoreClient,
    arrival: Option<&Arrival>,
    destination: Destination<'_>,
    context: Context<'_>,
) -> Result<Loaded, Error> {
    let (successors, mark) = (destination.successors, destination.store_mark());
    let keys: Vec<_> = successors.iter().map(|(id, secret)| RecordKey::of_secret(*id, secret.as_bytes())).collect();
    let questions: Vec<_> = keys.iter().copied().chain(mark.map(|(key, _)| key)).collect();
    let lookups = store.look_up(&questions, context.now).await?;
    let has_moved = mark.is_some() && matches!(lookups.last(), Some(Lookup::Live(_)));
    for ((lookup, key), (_, secret)) in lookups.into_iter().zip(&keys).zip(successors) {
        if let Some(found) = stored::found(store, lookup, *key, secret.clone(), context).await? {
            if let (Some(mark), false) = (mark, has_moved) {
                stored::note_move(store, mark, context.now).await?;
            }
            return Ok(found);
        }
    }
    if has_moved {
        return Ok(Loaded::nothing_behind_a_cookie(Some(Ended::Elsewhere)));
    }
    let (Some(arrival), Some(key), Some((id, secret))) = (arrival, keys.first(), successors.first()) else {
        return Ok(Loaded::nothing());
    };
    let Arrival { entries, owner, label, times, .. } = arrival.clone();
    let frame = Frame { id: *id, created_at: times.created_at, issued_at: times.issued_at };
    let arriving = Arriving { entries, owner, label, secret: secret.clone(), key: *key, mark };
    Ok(loaded(Live::arriving_in_store(frame, arriving), true, arrival.is_late, context))
}

fn into_cookie(ends: &Ends, arrival: &Arrival, destination: Destination<'_>, context: Context<'_>) -> Loaded {
    let ends_of = |(id, _): &(SessionId, IdSecret)| ends.find(*id, context.now);
    let (mut has_ended, mut is_late) = (false, arrival.is_late);
    for end in destination.successors.iter().filter_map(ends_of) {
        match end {
            End::Deleted | End::Renewed => has_ended = true,
            End::Rotated { .. } => is_late = true,
        }
    }
    // If it moved with another content a moment ago, this cookie is an older one.
    let moved_to = ends.successors(destination.mark.id(), context.now);
    let is_ours = |moved: &SessionId| destination.successors.iter().any(|(id, _)| id == moved);
    if has_ended || !moved_to.first().is_none_or(is_ours) {
        return Loaded::ended();
    }
    let has_moved = destination.has_just_moved || !moved_to.is_empty();
    live(arrival, None, has_moved, is_late, destination, context)
}

async fn into_revocable_cookie(
    revocations: &Revocations,
    arrival: &Arrival,
    destination: Destination<'_>,
    context: Context<'_>,
) -> Result<Loaded, Error> {
    let moved = match destination.store_mark() {
        Some((mark, _)) => revocations.moved(&mark, context.now).await?,
        None => None,
    };
    let (id, has_moved) = match moved {
        Some((_, content, _)) if content != destination.content() => return Ok(Loaded::ended()),
        // The list may have forgotten the end of the session by now, and no cookie of it can be alive.
        Some((.., moved_at)) if context.now > moved_at.saturating_add(MAX_COOKIE_AGE) => return Ok(Loaded::ended()),
        Some((id, ..)) => (Some(id), true),
        None => (None, destination.has_just_moved),
    };
    let loaded = live(arrival, id, has_moved, arrival.is_late, destination, context);
    let Some(id) = loaded.session().map(|live| live.frame.id) else { return Ok(loaded) };
    let Times { created_at, issued_at } = arrival.times;
    let probe = Live::in_cookie(Frame { id, created_at, issued_at }, arrival.entries_with_owner(), false);
    Ok(match revocations.unless_ended(Arc::new(probe), context.now).await? {
        Some(late) if late.is_late => Loaded::live(late),
        Some(_) => loaded,
        None => Loaded::ended(),
    })
}

/// Returns the session for an engine that keeps the data in the cookie. The response sets the cookie, as if an old key
/// had sealed it. With `has_moved`, another response has done so, and this one does it only for a change.
fn live(
    arrival: &Arrival,
    id: Option<SessionId>,
    has_moved: bool,
    is_late: bool,
    destination: Destination<'_>,
    context: Context<'_>,
) -> Loaded {
    let Some(id) = id.or(destination.successors.first().map(|(id, _)| *id)) else { return Loaded::nothing() };
    let Times { created_at, issued_at } = arrival.times;
    let live = Live::in_cookie(Frame { id, created_at, issued_at }, arrival.entries_with_owner(), !has_moved);
    loaded(live, !has_moved, is_late, context)
}

/// Checks the limits of a session that arrives. Only one that `may_extend` is extended by this visit.
fn loaded(live: Live, may_extend: bool, is_late: bool, context: Context<'_>) -> Loaded {
    let Some(mut live) = live.unless_over(context.limits, context.now) else {
        return Loaded::nothing_behind_a_cookie(Some(Ended::Expired));
    };
    live.is_due &= may_extend;
    if is_late {
        live.make_late(None);
    }
    Loaded::live(live)
}
