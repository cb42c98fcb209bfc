//! The arrival of sessions that move here from a former layer or system.

use session_core::{
    RESERVED_PREFIX, SessionId,
    store::{Changes, End, Entries, Lookup, Metadata, RecordKey, StoreErrorKind, Visit, Write},
    token::{CLOCK_SKEW, Frame, IdSecret, Times},
};

use super::{Engine, StoreClient, context::Context, cookie, ends::Ends, revocations::Revocations, stored};
use crate::{
    error::{Error, ErrorKind},
    state::{
        loaded::{Ended, Live, Loaded},
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
    /// Takes the content of a session of another layer.
    pub(crate) fn of_live(live: &Live) -> Self {
        let base = live.base();
        let metadata = base.entries.metadata();
        Self {
            entries: entries_of(base.entries, &metadata.moved()),
            owner: base.owner.map(str::to_owned),
            owned_since: metadata.owned_since(),
            label: base.label.map(str::to_owned),
            times: live.frame.times(),
            is_late: live.is_late,
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
        Self { entries, is_late: false, ..self.clone() }
    }

    fn changes(&self) -> Changes {
        let mut changes = Changes::default();
        self.entries.iter().for_each(|(key, text)| changes.insert(key, text.to_owned()));
        changes.set_metadata(self.entries.metadata().clone());
        if let Some(owner) = &self.owner {
            changes.set_owner(owner.clone());
        }
        if let Some(label) = &self.label {
            changes.set_label(label.clone());
        }
        changes
    }

    /// Returns the entries for a cookie, with the owner if the engine keeps owners.
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
    /// The key of the entry that says that the session has moved, and the last second in which it is needed. `None` if
    /// the former place remembers the end itself.
    pub(crate) mark: Option<(RecordKey, u64)>,
    /// A key by which this process knows that a response has moved the session; `None` if the session moves again.
    pub(crate) former: Option<SessionId>,
}

impl Engine {
    /// Returns the session as it is here, and moves it in if it did not come yet. `arrival` is `None` if its former
    /// place has it no longer.
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

    /// Notes that a response has moved a session here.
    pub(crate) fn note_move(&self, former: SessionId, successor: SessionId, now: u64) {
        if let Self::Cookie(ends) = self {
            ends.note(former, super::ends::rotated_to(successor), now);
        }
    }

    /// Ends a session that has just moved here, because it had ended in its former place meanwhile.
    pub(crate) async fn undo_move(&self, loaded: &Loaded, now: u64) -> Result<(), Error> {
        let Some(live) = loaded.session() else { return Ok(()) };
        match self {
            Self::Store(store) => match live.stored() {
                Some(stored) => store.delete(&stored.record.key, End::Deleted, now).await.map(drop),
                None => Ok(()),
            },
            Self::Cookie(ends) => {
                ends.note(live.frame.id, End::Deleted, now);
                Ok(())
            }
            Self::RevocableCookie(revocations) => revocations.revoke(live.frame.id, End::Deleted, now).await,
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
                    let before = ends.find(live.frame.id, now);
                    ends.note(live.frame.id, end, now);
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

    /// Returns the ids of the sessions to which the request's cookies lead, also of those that have ended, and the keys
    /// of their records.
    pub(crate) fn ids(&self, context: Context<'_>) -> Vec<(SessionId, Option<RecordKey>)> {
        match self {
            Self::Null => Vec::new(),
            Self::Store(_) => stored::keys(context).into_iter().map(|key| (key.id(), Some(key))).collect(),
            Self::Cookie(_) | Self::RevocableCookie(_) => {
                cookie::find(context).came.into_vec().into_iter().map(|live| (live.frame.id, None)).collect()
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

/// Finds the session in the store under the key that it gets when it moves, or creates it there.
async fn into_store(
    store: &StoreClient,
    arrival: Option<&Arrival>,
    destination: Destination<'_>,
    context: Context<'_>,
) -> Result<Loaded, Error> {
    let Destination { successors, mark, former: _ } = destination;
    let keys: Vec<_> = successors.iter().map(|(id, secret)| RecordKey::of_secret(*id, secret.as_bytes())).collect();
    let questions: Vec<_> = keys.iter().copied().chain(mark.map(|(key, _)| key)).collect();
    let lookups = store.look_up(&questions, context.now).await?;
    let has_moved = mark.is_some() && matches!(lookups.last(), Some(Lookup::Live(_)));
    for ((lookup, key), (_, secret)) in lookups.into_iter().zip(&keys).zip(successors) {
        let found = stored::found(store, lookup, *key, secret.clone(), context).await?;
        if let Some(found) = found {
            if let (Some(mark), false) = (mark, has_moved) {
                note(store, mark, context.now).await?;
            }
            return Ok(found);
        }
    }
    if has_moved {
        return Ok(Loaded::nothing_behind_a_cookie(Some(Ended::Elsewhere)));
    }
    let (Some(arrival), Some(key), Some((_, secret))) = (arrival, keys.first(), successors.first()) else {
        return Ok(Loaded::nothing());
    };
    if arrival.is_late {
        return Ok(Loaded::ended());
    }
    let (metadata, times) = (arrival.entries.metadata(), arrival.times);
    if context.limits.is_over(times, metadata, context.now) {
        return Ok(Loaded::nothing_behind_a_cookie(Some(Ended::Expired)));
    }
    let changes = arrival.changes();
    let visit = Visit { now: times.issued_at, expires_at: context.limits.last_second(times, metadata) };
    let write = Write { created_at: times.created_at, ..Write::new(&changes, visit) };
    match store.create(key, write).await {
        // Another request has moved and ended it since the question above.
        Err(error) if *error.kind() == ErrorKind::Store(StoreErrorKind::Refused) => return Ok(Loaded::ended()),
        created => created?,
    }
    if let Some(mark) = mark {
        note(store, mark, context.now).await?;
    }
    let lookup = store.load(key, context.now).await?;
    let found = stored::found(store, lookup, *key, secret.clone(), context).await?;
    Ok(found.unwrap_or_else(Loaded::ended))
}

/// Writes the entry that says that a session has moved. It belongs to no application, so that a log-out of all sessions
/// of the application leaves it.
async fn note(store: &StoreClient, (key, until): (RecordKey, u64), now: u64) -> Result<(), Error> {
    let mut changes = Changes::default();
    changes.ask_id();
    let visit = Visit { now, expires_at: until.saturating_add(CLOCK_SKEW) };
    let marks = store.for_application(&format!("{}{MARKS}", store.application));
    marks.create(&key, Write::new(&changes, visit)).await
}

fn into_cookie(ends: &Ends, arrival: &Arrival, destination: Destination<'_>, context: Context<'_>) -> Loaded {
    let has_moved = destination.former.is_some_and(|former| ends.find(former, context.now).is_some());
    let has_ended =
        |(id, _): &(SessionId, IdSecret)| matches!(ends.find(*id, context.now), Some(End::Deleted | End::Renewed));
    if destination.successors.iter().any(has_ended) {
        return Loaded::ended();
    }
    live(arrival, arrival.entries.clone(), has_moved, destination, context)
}

async fn into_revocable_cookie(
    revocations: &Revocations,
    arrival: &Arrival,
    destination: Destination<'_>,
    context: Context<'_>,
) -> Result<Loaded, Error> {
    let loaded = live(arrival, arrival.entries_with_owner(), false, destination, context);
    match loaded.session() {
        Some(found) if revocations.has_ended(found, context.now).await? => Ok(Loaded::ended()),
        _ => Ok(loaded),
    }
}

/// Returns the session for an engine that keeps the data in the cookie. The response sets the cookie, as if an old key
/// had sealed it. If another response has done so in the last minute, this one does it only for a change.
fn live(
    arrival: &Arrival,
    entries: Entries,
    has_moved: bool,
    destination: Destination<'_>,
    context: Context<'_>,
) -> Loaded {
    let Some((id, _)) = destination.successors.first() else { return Loaded::nothing() };
    let Times { created_at, issued_at } = arrival.times;
    let frame = Frame { id: *id, created_at, issued_at };
    let Some(mut live) = Live::in_cookie(frame, entries, !has_moved).unless_over(context.limits, context.now) else {
        return Loaded::nothing_behind_a_cookie(Some(Ended::Expired));
    };
    if arrival.is_late {
        live.make_late(None);
    }
    live.is_due &= !has_moved;
    Loaded::live(live)
}

/// What follows the name of the application in the entries that say that a session has moved.
const MARKS: &str = "\u{1f}moved";
