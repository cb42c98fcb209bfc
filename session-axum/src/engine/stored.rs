//! The engine that keeps sessions in a store. The cookie carries a secret, and the store finds the record by that
//! secret.

use std::cell::Cell;

use session_core::{
    store::{Entries, Record, RecordKey, StoreErrorKind, Updated, Visit, Write},
    token::{Frame, IdSecret, Verified},
};

use super::{
    context::{CarriedOut, Context, Saved},
    cookie,
    store_client::StoreClient,
};
use crate::{
    error::{Chain, Error, ErrorKind},
    state::{
        loaded::{Live, Loaded, Stored},
        outcome::{CookieChange, Outcome, Plan},
        staged::NextId,
    },
    wire::session_cookie::Came,
};

/// Loads the record of the cookie: once for each request, and only for a cookie that one of our keys has signed.
pub(super) async fn load(store: &StoreClient, context: Context<'_>) -> Result<Loaded, Error> {
    let came = Cell::new(false);
    let accept = |verified: Verified| {
        came.set(true);
        Some((IdSecret::of_payload(verified.payload())?, verified.frame(), !verified.by_newest_key()))
    };
    let ids = match context.cookie.find(context.cookies, context.now, accept) {
        Came::One(id) => vec![id],
        Came::Several(ids) => ids,
        Came::Nothing if came.get() => return Ok(Loaded::nothing_behind_a_cookie()),
        Came::Nothing => return Ok(Loaded::nothing()),
        Came::TooMany => return Ok(cookie::newest(Vec::new(), context)),
    };
    store.keep_swept(context.clock);
    let mut lives = Vec::new();
    for (secret, frame, sealed_by_old_key) in ids {
        lives.extend(load_record(store, secret, frame, sealed_by_old_key, context).await?);
    }
    // A cookie without a live record does not count beside one that has one.
    Ok(if lives.is_empty() { Loaded::nothing_behind_a_cookie() } else { cookie::newest(lives, context) })
}

async fn load_record(
    store: &StoreClient,
    secret: IdSecret,
    frame: Frame,
    sealed_by_old_key: bool,
    context: Context<'_>,
) -> Result<Option<Live>, Error> {
    let key = RecordKey::of_secret(frame.id, secret.as_bytes());
    let record = match store.load(&key, context.now).await {
        Err(error) if *error.kind() == ErrorKind::Store(StoreErrorKind::Unreadable) => {
            tracing::error!(error = %Chain(&error), "a stored session makes no sense; it counts as no session, and its record stays");
            None
        }
        answer => answer?,
    };
    let record = record.filter(|record| record.id == key.id());
    let live = record.map(|record| Live::in_store(Stored { key, secret, record, is_current: true }, sealed_by_old_key));
    Ok(live.and_then(|live| live.unless_over(context.limits, context.now)))
}

/// Writes the plan. The response sets a cookie only if the browser needs a new one.
pub(super) async fn carry_out(
    store: &StoreClient,
    plan: Plan<'_>,
    next_id: &mut NextId,
    context: Context<'_>,
) -> Result<CarriedOut, Error> {
    let committed = match commit(store, plan, next_id).await? {
        Committed::EndedElsewhere => return Ok(CarriedOut::EndedElsewhere),
        committed => committed,
    };
    let plan = Plan { outcome: committed.outcome(plan.outcome), ..plan };
    match plan.cookie() {
        CookieChange::Leave => Ok(CarriedOut::Done(Vec::new())),
        CookieChange::Remove => Ok(CarriedOut::Done(context.cookie.remove(context.cookies))),
        CookieChange::Set => {
            let (frame, secret) = match &committed {
                Committed::Written(next) => (next.frame, &next.secret),
                _ => match (plan.loaded.session(), plan.loaded.stored()) {
                    (Some(live), Some(stored)) => (live.frame, &stored.secret),
                    _ => return Ok(CarriedOut::Done(Vec::new())),
                },
            };
            let mut body = frame.begin_body(PAYLOAD);
            body.extend_from_slice(secret.as_bytes());
            let begins = plan.outcome.gives_new_id(plan.loaded);
            context.cookie.set(&body, plan.max_age(), begins, context.cookies).map(CarriedOut::Done)
        }
    }
}

/// Writes the plan while the request runs.
pub(super) async fn save(store: &StoreClient, plan: Plan<'_>, next_id: &mut NextId) -> Result<Saved, Error> {
    let committed = commit(store, plan, next_id).await?;
    let plan = Plan { outcome: committed.outcome(plan.outcome), ..plan };
    Ok(match committed {
        Committed::Nothing => Saved::Written(plan.loaded.clone()),
        Committed::Written(next) => Saved::Written(next.loaded(plan)),
        Committed::Removed => Saved::Written(with_cookie_due(Loaded::nothing_behind_a_cookie(), plan)),
        Committed::EndedElsewhere => Saved::Ended,
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
    match store.update(&stored.key, Write { only_if_unchanged: true, ..next.write(plan) }).await? {
        Updated::Written { version } => {
            let next = NextRecord { version, is_current: true, ..next };
            Ok(ExactWrite::Written(next.loaded(plan)))
        }
        Updated::Conflict => Ok(ExactWrite::Conflict),
        // The update has removed the last key.
        Updated::Removed => {
            let plan = Plan { outcome: Outcome::Removed, ..plan };
            Ok(ExactWrite::Written(with_cookie_due(Loaded::nothing_behind_a_cookie(), plan)))
        }
        Updated::Gone => Err(Error::gone()),
    }
}

/// Loads the session's record again.
pub(super) async fn reload(store: &StoreClient, loaded: &Loaded, stored: &Stored, now: u64) -> Result<Loaded, Error> {
    let record = store.load(&stored.key, now).await?.ok_or_else(Error::gone)?;
    let stored = Stored { key: stored.key, secret: stored.secret.clone(), record, is_current: true };
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
    EndedElsewhere,
}

impl Committed {
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
        Self::new(stored.key, stored.secret.clone(), stored.record.version, plan)
    }

    /// Creates the record of a session that begins, or that gets another id.
    fn begun(next_id: &mut NextId, version: u64, plan: Plan<'_>) -> Result<Self, Error> {
        let (id, secret) = next_id.id_and_secret(plan.loaded, plan.changes)?;
        Ok(Self::new(RecordKey::of_secret(id, secret.as_bytes()), secret, version, plan))
    }

    fn new(key: RecordKey, secret: IdSecret, version: u64, plan: Plan<'_>) -> Self {
        let visit = Visit { now: plan.now, expires_at: plan.last_second() };
        Self { frame: plan.frame(key.id()), key, secret, visit, version, is_current: false }
    }

    fn write<'a>(&self, plan: Plan<'a>) -> Write<'a> {
        Write {
            changes: plan.changes,
            base: plan.loaded.stored().map(|stored| &stored.record),
            created_at: self.frame.created_at,
            visit: self.visit,
            only_if_unchanged: false,
        }
    }

    /// Returns the session after the write, for the rest of the request.
    fn loaded(self, plan: Plan<'_>) -> Loaded {
        let (changes, base) = (plan.changes, plan.loaded.base());
        let record = Record {
            id: self.frame.id,
            created_at: self.frame.created_at,
            seen_at: self.frame.issued_at,
            expires_at: self.visit.expires_at,
            owner: changes.owner_after(base).map(str::to_owned),
            label: changes.label_after(base).map(str::to_owned),
            entries: Entries::from_texts(changes.fields(base.entries)).unwrap_or_default(),
            version: self.version,
        };
        let stored = Stored { key: self.key, secret: self.secret, record, is_current: self.is_current };
        with_cookie_due(Loaded::live(Live::in_store(stored, plan.loaded.has_old_seal())), plan)
    }
}

/// Carries out the plan in the store: deletes the record of a destroyed session first, and then makes at most one
/// write.
async fn commit(store: &StoreClient, plan: Plan<'_>, next_id: &mut NextId) -> Result<Committed, Error> {
    if plan.changes.destroys() {
        for rival in plan.loaded.rivals().iter().filter_map(Live::stored) {
            store.delete(&rival.key).await?;
        }
    }
    match (plan.outcome, plan.loaded.stored()) {
        (Outcome::Unchanged | Outcome::Expired | Outcome::Ended, _) => Ok(Committed::Nothing),
        (Outcome::Extended, Some(stored)) => touch(store, plan, stored).await,
        (Outcome::Removed, None) => Ok(Committed::Removed),
        (Outcome::Saved | Outcome::Replaced | Outcome::Extended, None) => create(store, plan, next_id).await,
        (Outcome::Removed | Outcome::Replaced, Some(stored)) if plan.changes.destroys() => {
            store.delete(&stored.key).await?;
            if plan.outcome == Outcome::Removed { Ok(Committed::Removed) } else { create(store, plan, next_id).await }
        }
        (Outcome::Saved | Outcome::Removed, Some(stored)) => {
            let next = NextRecord::under(stored, plan);
            let updated = store.update(&stored.key, next.write(plan)).await?;
            Ok(written(updated, next, stored))
        }
        (Outcome::Replaced, Some(stored)) => {
            let next = NextRecord::begun(next_id, stored.record.version, plan)?;
            let updated = store.rename(&stored.key, &next.key, next.write(plan)).await?;
            Ok(written(updated, next, stored))
        }
    }
}

async fn create(store: &StoreClient, plan: Plan<'_>, next_id: &mut NextId) -> Result<Committed, Error> {
    let next = NextRecord { is_current: true, ..NextRecord::begun(next_id, FIRST_VERSION, plan)? };
    store.create(&next.key, Write { base: None, ..next.write(plan) }).await?;
    Ok(Committed::Written(Box::new(next)))
}

async fn touch(store: &StoreClient, plan: Plan<'_>, stored: &Stored) -> Result<Committed, Error> {
    let next = NextRecord { is_current: stored.is_current, ..NextRecord::under(stored, plan) };
    let is_there = store.touch(&stored.key, next.visit).await?;
    Ok(if is_there { Committed::Written(Box::new(next)) } else { Committed::EndedElsewhere })
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
        Updated::Gone | Updated::Conflict => Committed::EndedElsewhere,
    }
}

/// Returns the session after a save. The response still has to set or remove the cookie that the save affects.
fn with_cookie_due(saved: Loaded, plan: Plan<'_>) -> Loaded {
    let is_stale = plan.loaded.cookie_is_stale || plan.cookie() != CookieChange::Leave;
    saved.with_cookie(plan.loaded.cookie_came, is_stale)
}

/// The version of a record that was just created.
const FIRST_VERSION: u64 = 1;
/// The length of the secret in the cookie, in bytes.
pub(super) const PAYLOAD: usize = 32;
