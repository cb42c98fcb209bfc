//! The engine that keeps sessions in a store. The cookie carries a secret, and the store finds the record by that
//! secret.

use std::{borrow::Cow, cell::Cell, sync::Arc};

use session_core::{
    store::{Changes, End, Entries, Lookup, Record, RecordKey, Spared, StoreErrorKind, Updated, Visit, Write},
    token::{CLOCK_SKEW, Frame, IdSecret, Verified},
};

use super::{
    context::{CarriedOut, Context, Done, Saved},
    cookie,
    ends::{MOST_ROTATIONS, log_out_met_a_renewal},
    store_client::StoreClient,
};
use crate::{
    error::{Chain, Error, ErrorKind},
    observe::{self, Destroyed, Refusals, Refused, Sent},
    state::{
        loaded::{Arriving, Ended, Live, Loaded, Stored},
        outcome::{CookieChange, Outcome, Plan},
        staged::NextId,
    },
    wire::session_cookie::Came,
};

/// Loads the record of the cookie: once for each request, and only for a cookie that one of our keys has signed.
pub(super) async fn load(store: &StoreClient, context: Context<'_>) -> Result<Loaded, Error> {
    let (found, came, refusals) = find(context);
    refusals.report(Sent::of(context.cookies));
    let candidates = match found {
        Came::Nothing if came => return Ok(Loaded::nothing_behind_a_cookie(None)),
        Came::Nothing => return Ok(Loaded::nothing()),
        Came::TooMany => return Ok(cookie::newest(Vec::new(), context)),
        found => found.into_vec(),
    };
    let mut refusals = Refusals::default();
    let lookups = look_up(store, &candidates, &mut refusals, context.now).await?;
    let (mut lives, mut has_ended, mut has_unknown_successor, mut over) = (Vec::new(), false, false, None);
    for (candidate, lookup) in candidates.into_iter().zip(lookups) {
        match follow(store, lookup, context.now).await? {
            (Lookup::Live(record), is_late) => match candidate.live(record, is_late, context) {
                Some(live) => lives.push(Arc::new(live)),
                None => over = Some(Ended::Expired),
            },
            (Lookup::Ended(_), _) => has_ended = true,
            (Lookup::Unknown, true) => (has_ended, has_unknown_successor) = (true, true),
            (Lookup::Expired, _) => over = Some(Ended::Expired),
            (Lookup::Unknown, false) if refusals.has(Refused::Unreadable) => {}
            (Lookup::Unknown, false) => refusals.note(Refused::Unknown),
        }
    }
    refusals.report(Sent::of(context.cookies));
    // A cookie without a live record does not count beside one that has one.
    Ok(match (lives.is_empty(), has_ended) {
        (false, _) => cookie::newest(lives, context),
        (true, true) => Loaded::ended().with_unknown_successor(has_unknown_successor),
        (true, false) => Loaded::nothing_behind_a_cookie(over),
    })
}

/// Finds the valid tokens of a request. Also returns whether an authentic one came, and why others do not count.
fn find(context: Context<'_>) -> (Came<Candidate>, bool, Refusals) {
    let (came, refusals) = (Cell::new(false), Refusals::default());
    let accept = |verified: Verified| {
        came.set(true);
        refusals.unless_none(Candidate::of(&verified), Refused::Unreadable)
    };
    let found = match context.bearer(&refusals) {
        Some(bearer) => bearer.and_then(accept).map_or(Came::Nothing, Came::One),
        None => context.cookie.find(context.cookies, context.now, &refusals, accept),
    };
    (found, came.get(), refusals)
}

/// A valid token, before its record is read.
struct Candidate {
    key: RecordKey,
    secret: IdSecret,
    sealed_by_old_key: bool,
}

impl Candidate {
    fn of(verified: &Verified) -> Option<Self> {
        let secret = IdSecret::of_payload(verified.payload())?;
        let key = RecordKey::of_secret(verified.frame().id, secret.as_bytes());
        Some(Self { key, secret, sealed_by_old_key: !verified.by_newest_key() })
    }

    /// Returns the session, or `None` if its limits are over. `is_late` tells whether the record was found by a key
    /// from before a rotation.
    fn live(self, record: Record, is_late: bool, context: Context<'_>) -> Option<Live> {
        let stored = Stored { secret: self.secret, record, is_current: true };
        let mut live = Live::in_store(stored, self.sealed_by_old_key).unless_over(context.limits, context.now)?;
        if is_late {
            live.make_late(None);
        }
        Some(live)
    }
}

/// Looks for the records of the cookies, in one question. A record that cannot be read is none, and stays as it is.
async fn look_up(
    store: &StoreClient,
    candidates: &[Candidate],
    refusals: &mut Refusals,
    now: u64,
) -> Result<Vec<Lookup>, Error> {
    let [only] = candidates else {
        let keys: Vec<_> = candidates.iter().map(|candidate| candidate.key).collect();
        return store.look_up(&keys, now).await;
    };
    match store.load(&only.key, now).await {
        Err(error) if *error.kind() == ErrorKind::Store(StoreErrorKind::Unreadable) => {
            tracing::error!(
                name: "store.record_unreadable", target: "session_axum::store",
                error = %Chain(&error),
                "a stored session makes no sense; it counts as no session, and its record stays"
            );
            refusals.note(Refused::Unreadable);
            Ok(vec![Lookup::Unknown])
        }
        lookup => Ok(vec![lookup?]),
    }
}

/// Returns the session under a key that was derived for it; `None` if the store knows nothing of it. The response then
/// sets the cookie.
pub(super) async fn found(
    store: &StoreClient,
    lookup: Lookup,
    key: RecordKey,
    secret: IdSecret,
    context: Context<'_>,
) -> Result<Option<Loaded>, Error> {
    let candidate = Candidate { key, secret, sealed_by_old_key: false };
    Ok(Some(match follow(store, lookup, context.now).await? {
        (Lookup::Live(record), is_late) => match candidate.live(record, is_late, context) {
            Some(live) => Loaded::live(live).with_cookie(true, !is_late).found_by_former(),
            None => Loaded::nothing_behind_a_cookie(Some(Ended::Expired)),
        },
        (Lookup::Ended(_), _) => Loaded::ended(),
        (Lookup::Expired, _) => Loaded::nothing_behind_a_cookie(Some(Ended::Expired)),
        (Lookup::Unknown, true) => Loaded::ended(),
        (Lookup::Unknown, false) => return Ok(None),
    }))
}

/// Returns the keys of the records to which the request's cookies lead.
pub(super) fn keys(context: Context<'_>) -> Vec<RecordKey> {
    find(context).0.into_vec().into_iter().map(|candidate| candidate.key).collect()
}

/// Follows the tombstones of rotations to the session as it is now. Also returns whether there were any.
pub(crate) async fn follow(store: &StoreClient, mut lookup: Lookup, now: u64) -> Result<(Lookup, bool), Error> {
    let mut is_late = false;
    for _ in 0..MOST_ROTATIONS {
        let Lookup::Ended(End::Rotated { successor }) = lookup else { break };
        (lookup, is_late) = (Box::pin(store.load(&successor, now)).await?, true);
    }
    Ok((lookup, is_late))
}

/// Writes the plan. The response sets a cookie only if the browser needs a new one.
pub(super) async fn carry_out(
    store: &StoreClient,
    plan: Plan<'_>,
    next_id: &mut NextId,
    context: Context<'_>,
) -> Result<CarriedOut, Error> {
    let moved_in;
    let plan = match move_in(store, plan).await? {
        MovedIn::No => plan,
        MovedIn::Yes(loaded) => {
            moved_in = loaded;
            Plan { loaded: &moved_in, ..plan }
        }
        MovedIn::HasEnded => return Ok(CarriedOut::EndedElsewhere(End::Deleted)),
    };
    let committed = match commit(store, plan, next_id).await? {
        Committed::EndedElsewhere(end) => return Ok(CarriedOut::EndedElsewhere(end)),
        committed => committed,
    };
    let plan = Plan { outcome: committed.outcome(plan.outcome), ..plan };
    observe::carried_out(plan);
    let record = committed.record(plan);
    let cookies = match plan.cookie() {
        CookieChange::Leave => Vec::new(),
        CookieChange::Remove => context.cookie.remove(context.cookies),
        CookieChange::Set => {
            let (frame, secret) = match &committed {
                Committed::Written(next) => (next.frame, &next.secret),
                _ => match (plan.loaded.session(), plan.loaded.stored()) {
                    (Some(live), Some(stored)) => {
                        // Nothing was written, so nothing has shown that the session is still alive.
                        let is_doubtful = plan.loaded.is_found_by_former || plan.loaded.has_old_seal();
                        if is_doubtful && store.load(&stored.record.key, plan.now).await?.live().is_none() {
                            return Ok(CarriedOut::EndedElsewhere(End::Deleted));
                        }
                        (live.frame, &stored.secret)
                    }
                    _ => return Ok(CarriedOut::Done(Done { cookies: Vec::new(), record })),
                },
            };
            let begins = plan.outcome.gives_new_id(plan.loaded);
            context.cookie.set(&body(frame, secret, plan.now), plan.max_age(), begins, false, context.cookies)?
        }
    };
    Ok(CarriedOut::Done(Done { cookies, record }))
}

/// The result of the move of a session into the store.
enum MovedIn {
    /// No session moves with this plan.
    No,
    Yes(Loaded),
    /// Another request has moved and ended it.
    HasEnded,
}

/// Moves a session into the store as it was in its former place. Then the plan is carried out as if it had always been
/// here.
async fn move_in(store: &StoreClient, plan: Plan<'_>) -> Result<MovedIn, Error> {
    let (Some(live), Some(arriving)) = (plan.loaded.session(), plan.loaded.arriving()) else {
        return Ok(MovedIn::No);
    };
    let writes = matches!(plan.outcome, Outcome::Extended | Outcome::Saved | Outcome::Replaced | Outcome::Removed);
    if !writes || plan.changes.destroys() {
        return Ok(MovedIn::No);
    }
    let Arriving { entries, owner, label, secret, key, mark } = arriving;
    let questions: Vec<_> = [Some(*key), mark.map(|(mark, _)| mark)].into_iter().flatten().collect();
    let mut found = store.look_up(&questions, plan.now).await?.into_iter();
    match (found.next(), found.next()) {
        (Some(Lookup::Unknown), None | Some(Lookup::Unknown)) => {
            let changes = of_content(entries, owner.as_deref(), label.as_deref());
            let (times, metadata) = (live.frame.times(), entries.metadata());
            let visit = Visit { now: times.issued_at, expires_at: plan.rules.limits.last_second(times, metadata) };
            let write = Write { created_at: times.created_at, ..Write::new(&changes, visit) };
            if let Err(error) = store.create(key, write).await {
                // The store begins no session again that another request has moved and ended since the question.
                let is_refused = *error.kind() == ErrorKind::Store(StoreErrorKind::Refused);
                if is_refused && matches!(store.load(key, plan.now).await?, Lookup::Ended(_)) {
                    return Ok(MovedIn::HasEnded);
                }
                return Err(error);
            }
        }
        (Some(Lookup::Live(_)), _) => {}
        _ => return Ok(MovedIn::HasEnded),
    }
    if let Some(mark) = mark {
        note_move(store, *mark, plan.now).await?;
    }
    if let (Some(owner), Some(most)) = (owner, store.settings.sessions_per_owner()) {
        let over = store.delete_by_owner(owner, Spared { id: None, newest: most }, plan.now).await?;
        observe::destroyed(Destroyed::Limit, over);
    }
    let Some(record) = store.load(key, plan.now).await?.live() else { return Ok(MovedIn::HasEnded) };
    let stored = Stored { secret: secret.clone(), record, is_current: true };
    let mut moved = Live::in_store(stored, false);
    moved.is_due = live.is_due;
    Ok(MovedIn::Yes(Loaded::live(moved).with_cookie(true, true)))
}

/// Returns the changes that make an empty record one with this content.
fn of_content(entries: &Entries, owner: Option<&str>, label: Option<&str>) -> Changes {
    let mut changes = Changes::default();
    entries.iter().for_each(|(key, text)| changes.insert(key, text.to_owned()));
    changes.set_metadata(entries.metadata().clone());
    if let Some(owner) = owner {
        changes.set_owner(owner.to_owned());
    }
    if let Some(label) = label {
        changes.set_label(label.to_owned());
    }
    changes
}

/// Writes the entry that says that a session has moved. It belongs to no application, so that a log-out of all sessions
/// of the application leaves it. Its creation a second ago keeps a store that has no room from taking it for a visitor
/// who never came back.
pub(super) async fn note_move(store: &StoreClient, (key, until): (RecordKey, u64), now: u64) -> Result<(), Error> {
    let mut changes = Changes::default();
    changes.ask_id();
    let write = Write::new(&changes, Visit { now, expires_at: until.saturating_add(CLOCK_SKEW) });
    let marks = store.for_application(&format!("{}{MARKS}", store.application));
    marks.create(&key, Write { created_at: now.saturating_sub(1), ..write }).await
}

/// What follows the name of the application in the entries that say that a session has moved.
const MARKS: &str = "\u{1f}moved";

/// Returns the body of the token that leads to a record.
pub(crate) fn body(frame: Frame, secret: &IdSecret, now: u64) -> Vec<u8> {
    // A session may begin a few seconds in the future, if its owner logs in several times in one second. Its cookie would
    // be refused until then.
    let (created_at, issued_at) = (frame.created_at.min(now), frame.issued_at.min(now));
    let mut body = Frame { created_at, issued_at, ..frame }.begin_body(PAYLOAD);
    body.extend_from_slice(secret.as_bytes());
    body
}

/// Writes the plan while the request runs.
pub(super) async fn save(store: &StoreClient, plan: Plan<'_>, next_id: &mut NextId) -> Result<Saved, Error> {
    let moved_in;
    let plan = match move_in(store, plan).await? {
        MovedIn::No => plan,
        MovedIn::Yes(loaded) => {
            moved_in = loaded;
            Plan { loaded: &moved_in, ..plan }
        }
        MovedIn::HasEnded => return Ok(Saved::Ended),
    };
    let committed = commit(store, plan, next_id).await?;
    let plan = Plan { outcome: committed.outcome(plan.outcome), ..plan };
    observe::carried_out(plan);
    Ok(match committed {
        Committed::Nothing => Saved::Written(plan.loaded.clone()),
        Committed::Written(next) => Saved::Written(next.loaded(plan)),
        Committed::Removed => Saved::Written(with_cookie_due(Loaded::nothing_behind_a_cookie(None), plan)),
        Committed::EndedElsewhere(_) => Saved::Ended,
    })
}

/// The result of a write that is made only if no other request has changed the record.
pub(crate) enum ExactWrite {
    Written(Loaded),
    /// Another request changed the record since it was read.
    Conflict,
}

/// Writes `plan` unless another request changed the record since it was read.
pub(super) async fn write_exactly(store: &StoreClient, plan: Plan<'_>, stored: &Stored) -> Result<ExactWrite, Error> {
    if !stored.is_current {
        return Ok(ExactWrite::Conflict);
    }
    let next = NextRecord::under(stored, plan);
    match store.update(&stored.record.key, Write { only_if_unchanged: true, ..next.write(plan) }).await? {
        Updated::Written { version } => {
            let next = NextRecord { version, is_current: true, ..next };
            Ok(ExactWrite::Written(next.loaded(plan)))
        }
        Updated::Conflict => Ok(ExactWrite::Conflict),
        // The update has removed the last key.
        Updated::Removed => {
            observe::destroyed(Destroyed::Emptied, 1);
            let plan = Plan { outcome: Outcome::Removed, ..plan };
            Ok(ExactWrite::Written(with_cookie_due(Loaded::nothing_behind_a_cookie(None), plan)))
        }
        Updated::Gone => Err(Error::gone()),
    }
}

/// Loads the session's record again.
pub(super) async fn reload(store: &StoreClient, loaded: &Loaded, stored: &Stored, now: u64) -> Result<Loaded, Error> {
    let record = store.load(&stored.record.key, now).await?.live().ok_or_else(Error::gone)?;
    let stored = Stored { secret: stored.secret.clone(), record, is_current: true };
    let live = Live::in_store(stored, loaded.has_old_seal());
    Ok(Loaded::live(live).with_cookie(loaded.cookie_came, loaded.cookie_is_stale))
}

/// The result of a write to the store.
enum Committed {
    /// Nothing was to be written.
    Nothing,
    Written(Box<NextRecord>),
    /// The record was removed, or there was none.
    Removed,
    EndedElsewhere(End),
}

impl Committed {
    /// Returns the key of the session's record after the write; `None` if there is no session.
    fn record(&self, plan: Plan<'_>) -> Option<RecordKey> {
        match self {
            Self::Written(next) => Some(next.key),
            Self::Nothing => plan.loaded.stored().map(|stored| stored.record.key),
            Self::Removed | Self::EndedElsewhere(_) => None,
        }
    }

    /// Returns the actual outcome, which may differ from the planned one. A write that leaves a record empty removes
    /// the record. A write that removes the last key does not remove the record if another request has added a key.
    fn outcome(&self, planned: Outcome) -> Outcome {
        match self {
            Self::Removed => Outcome::Removed,
            Self::Written(_) if planned == Outcome::Removed => Outcome::Saved,
            _ => planned,
        }
    }
}

/// The record that will be written.
struct NextRecord {
    frame: Frame,
    key: RecordKey,
    secret: IdSecret,
    visit: Visit,
    /// The version that this request knows. `is_current` is whether the store has this version after the write.
    version: u64,
    is_current: bool,
}

impl NextRecord {
    /// Creates the record of a session that keeps its id.
    fn under(stored: &Stored, plan: Plan<'_>) -> Self {
        Self::new(stored.record.key, stored.secret.clone(), stored.record.version, plan)
    }

    /// Creates the record of a session that begins, or that gets another id.
    fn begun(next_id: &mut NextId, version: u64, plan: Plan<'_>) -> Result<Self, Error> {
        let (id, secret) = next_id.id_and_secret(plan.loaded, plan.changes)?;
        Ok(Self::new(RecordKey::of_secret(id, secret.as_bytes()), secret, version, plan))
    }

    fn new(key: RecordKey, secret: IdSecret, version: u64, plan: Plan<'_>) -> Self {
        Self { frame: plan.frame(key.id()), key, secret, visit: plan.visit(), version, is_current: false }
    }

    fn write<'a>(&self, plan: Plan<'a>) -> Write<'a> {
        Write {
            base: plan.loaded.stored().map(|stored| &stored.record),
            created_at: self.frame.created_at,
            ..Write::new(plan.changes, self.visit)
        }
    }

    /// Returns the session after the write, for the rest of the request.
    fn loaded(self, plan: Plan<'_>) -> Loaded {
        let before = plan.loaded.stored().map(|stored| Cow::Borrowed(&stored.record));
        let before = before.unwrap_or_else(|| Cow::Owned(Record::empty(self.key)));
        let written = self.write(plan).apply_to(&before, self.key);
        let record = Record { version: self.version, ..written.unwrap_or_else(|_| Record::empty(self.key)) };
        let stored = Stored { secret: self.secret, record, is_current: self.is_current };
        with_cookie_due(Loaded::live(Live::in_store(stored, plan.loaded.has_old_seal())), plan)
    }
}

/// Carries out the plan in the store: deletes the record of a destroyed session first, and then makes at most one
/// write.
async fn commit(store: &StoreClient, plan: Plan<'_>, next_id: &mut NextId) -> Result<Committed, Error> {
    if plan.changes.destroys() {
        for rival in plan.loaded.rivals().filter_map(Live::stored) {
            end(store, rival.record.key, End::Deleted, plan.now).await?;
        }
    }
    if let (true, Some(arriving)) = (plan.changes.destroys(), plan.loaded.arriving()) {
        // Another request may have moved it before.
        let is_log_out = plan.outcome == Outcome::Removed;
        end(store, arriving.key, if is_log_out { End::Deleted } else { End::Renewed }, plan.now).await?;
    }
    let plan = make_room(store, plan, next_id).await?;
    let committed = match (plan.outcome, plan.loaded.stored()) {
        (Outcome::Unchanged | Outcome::Expired | Outcome::Ended, _) => Ok(Committed::Nothing),
        (Outcome::Extended, Some(stored)) => touch(store, plan, stored).await,
        (Outcome::Removed, None) => Ok(Committed::Removed),
        (Outcome::Saved | Outcome::Replaced | Outcome::Extended, None) => create(store, plan, next_id).await,
        (Outcome::Removed | Outcome::Replaced, Some(stored)) if plan.changes.destroys() => {
            // Another session that takes its place counts as a renewal.
            let is_log_out = plan.outcome == Outcome::Removed;
            end(store, stored.record.key, if is_log_out { End::Deleted } else { End::Renewed }, plan.now).await?;
            if is_log_out { Ok(Committed::Removed) } else { create(store, plan, next_id).await }
        }
        (Outcome::Saved | Outcome::Removed, Some(stored)) => {
            let next = NextRecord::under(stored, plan);
            let updated = store.update(&stored.record.key, next.write(plan)).await?;
            Ok(written(updated, next, stored))
        }
        (Outcome::Replaced, Some(stored)) => rename(store, plan, stored, next_id).await,
    }?;
    keep_limit(store, plan).await?;
    Ok(committed)
}

/// Ends a session. If it was rotated in the meantime, its successor ends: a log-out is a log-out.
async fn end(store: &StoreClient, mut key: RecordKey, end: End, now: u64) -> Result<(), Error> {
    for _ in 0..MOST_ROTATIONS {
        if store.delete(&key, end, now).await? {
            break;
        }
        match store.load(&key, now).await? {
            Lookup::Ended(End::Rotated { successor }) => key = successor,
            Lookup::Ended(End::Renewed) => {
                log_out_met_a_renewal();
                break;
            }
            Lookup::Ended(End::Deleted) | Lookup::Live(_) | Lookup::Expired | Lookup::Unknown => break,
        }
    }
    Ok(())
}

/// Gives the session another key. A renewal of a session that was rotated in the meantime renews its successor.
async fn rename(
    store: &StoreClient,
    plan: Plan<'_>,
    stored: &Stored,
    next_id: &mut NextId,
) -> Result<Committed, Error> {
    let mut from = stored.record.key;
    for _ in 0..MOST_ROTATIONS {
        let next = NextRecord::begun(next_id, stored.record.version, plan)?;
        let updated = store.rename(&from, &next.key, next.write(plan)).await?;
        if updated != Updated::Gone {
            return Ok(written(updated, next, stored));
        }
        match store.load(&from, plan.now).await? {
            Lookup::Ended(End::Rotated { successor }) if plan.changes.begins_anew() => from = successor,
            Lookup::Ended(end) => return Ok(Committed::EndedElsewhere(end)),
            Lookup::Live(_) | Lookup::Expired | Lookup::Unknown => break,
        }
    }
    Ok(Committed::EndedElsewhere(End::Deleted))
}

/// Ends the oldest sessions of an owner before a log-in, so that the new session has room. Returns the plan of the
/// log-in.
///
/// Times have whole seconds. If another log-in of the owner came in the same second, this one begins a second later, so
/// that the order of the log-ins stays known.
async fn make_room<'a>(store: &StoreClient, plan: Plan<'a>, next_id: &NextId) -> Result<Plan<'a>, Error> {
    let Some((most, owner)) = limited_owner(store, plan) else { return Ok(plan) };
    let listed = store.list(owner, plan.now, LATEST).await?;
    // A save that is repeated may find what its first attempt has written.
    let written = next_id.drawn().filter(|drawn| listed.iter().any(|info| info.key.id() == *drawn));
    let id = written.or_else(|| plan.loaded.session().map(|live| live.frame.id));
    let over = store.delete_by_owner(owner, Spared { id, newest: most - 1 }, plan.now).await?;
    observe::destroyed(Destroyed::Limit, over);
    let others = listed.iter().filter(|info| Some(info.key.id()) != id).map(|info| info.created_at + 1);
    let now = others.filter(|later| *later <= plan.now + CLOCK_SKEW).fold(plan.now, u64::max);
    Ok(Plan { now, ..plan })
}

/// Ends the oldest sessions of an owner after a log-in, because others may have logged in at the same time.
async fn keep_limit(store: &StoreClient, plan: Plan<'_>) -> Result<(), Error> {
    let Some((most, owner)) = limited_owner(store, plan) else { return Ok(()) };
    let over = store.delete_by_owner(owner, Spared { id: None, newest: most }, plan.now).await?;
    observe::destroyed(Destroyed::Limit, over);
    Ok(())
}

/// Returns the owner that this plan sets, and how many sessions the owner may have.
fn limited_owner<'a>(store: &StoreClient, plan: Plan<'a>) -> Option<(u64, &'a str)> {
    let writes = matches!(plan.outcome, Outcome::Saved | Outcome::Replaced);
    Some((store.settings.sessions_per_owner()?, plan.changes.owner().filter(|_| writes)?))
}

async fn create(store: &StoreClient, plan: Plan<'_>, next_id: &mut NextId) -> Result<Committed, Error> {
    let next = NextRecord { is_current: true, ..NextRecord::begun(next_id, FIRST_VERSION, plan)? };
    store.create(&next.key, Write { base: None, ..next.write(plan) }).await?;
    Ok(Committed::Written(Box::new(next)))
}

async fn touch(store: &StoreClient, plan: Plan<'_>, stored: &Stored) -> Result<Committed, Error> {
    let next = NextRecord { is_current: stored.is_current, ..NextRecord::under(stored, plan) };
    let is_there = store.touch(&stored.record.key, next.visit).await?;
    Ok(if is_there { Committed::Written(Box::new(next)) } else { Committed::EndedElsewhere(End::Deleted) })
}

fn written(updated: Updated, next: NextRecord, before: &Stored) -> Committed {
    match updated {
        Updated::Written { version } => {
            // If the version has grown by more than one, other requests' changes are in between, and this request does
            // not know the record's content.
            let is_current = before.is_current && version == before.record.version + 1;
            let version = if is_current { version } else { before.record.version };
            Committed::Written(Box::new(NextRecord { version, is_current, ..next }))
        }
        Updated::Removed => Committed::Removed,
        Updated::Gone | Updated::Conflict => Committed::EndedElsewhere(End::Deleted),
    }
}

/// Returns the session after a save. The response still has to set or remove the cookie that the save affects.
fn with_cookie_due(saved: Loaded, plan: Plan<'_>) -> Loaded {
    let is_stale = plan.loaded.cookie_is_stale || plan.cookie() != CookieChange::Leave;
    saved.with_cookie(plan.loaded.cookie_came, is_stale)
}

/// How many sessions of an owner are looked at for a log-in in the same second.
const LATEST: u64 = 100;
/// The version of a record that was just created.
const FIRST_VERSION: u64 = 1;
/// The length of the secret in the cookie, in bytes.
pub(super) const PAYLOAD: usize = 32;
