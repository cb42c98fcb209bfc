//! The engine that keeps the data of a session in its cookie. A store keeps a list of the sessions that were ended
//! early. An entry stays in the list until no copy of the session's cookies can be alive.

use std::sync::Arc;

use session_core::{
    MAX_COOKIE_AGE, SessionId,
    store::{Changes, End, Lookup, Record, RecordKey, Updated, Visit, Write},
    token::CLOCK_SKEW,
};
use tokio::time::Instant;

use super::{
    context::{CarriedOut, Context},
    cookie::{self, Found},
    ends::{MOST_ROTATIONS, log_out_met_a_renewal, rotated_to},
    store_client::StoreClient,
};
use crate::{
    error::{Chain, Error},
    observe::{self, Sent},
    request::step_aside,
    state::{
        loaded::{Ended, Live, Loaded},
        outcome::{Outcome, Plan},
        staged::NextId,
    },
    wire::session_cookie::Came,
};

/// The list of ended sessions, and what to do while the list cannot be read.
#[derive(Clone)]
pub(crate) struct Revocations {
    pub(crate) list: StoreClient,
    /// Whether a session is accepted while the list cannot be read.
    pub(crate) trusts_when_unavailable: bool,
}

/// What the list says of a session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Alive,
    /// It ended, at this time.
    Ended(End, u64),
}

impl Revocations {
    pub(super) async fn load(&self, context: Context<'_>) -> Result<Loaded, Error> {
        let Found { came, nothing, refusals } = cookie::find(context);
        refusals.report(Sent::Session);
        let mut lives = match came {
            Came::TooMany => return Ok(cookie::newest(Vec::new(), context)),
            came => came.into_vec(),
        };
        lives.retain(|live| !is_too_old(live, context.now));
        if lives.is_empty() {
            return Ok(nothing);
        }
        let asked_about: Vec<_> = lives.iter().map(Arc::as_ref).collect();
        let mut verdicts = self.verdicts(&asked_about, context.now).await?.into_iter();
        let (mut ended_now, mut has_unknown_successor) = (false, false);
        lives.retain_mut(|live| match verdicts.next() {
            None | Some(Verdict::Alive) => true,
            Some(Verdict::Ended(end, ended_at)) => {
                ended_now |= End::is_known(ended_at, context.now);
                has_unknown_successor |= matches!(end, End::Rotated { .. });
                is_late(live, end, ended_at, context.now)
            }
        });
        // A cookie of a session that was ended does not count beside one of a live session.
        if !lives.is_empty() {
            return Ok(cookie::newest(lives, context));
        }
        tracing::info!(
            name: "session.revoked_came", target: "session_axum::session",
            "a request brought a session that was ended"
        );
        let over = Loaded::nothing_behind_a_cookie(Some(Ended::Elsewhere));
        let loaded = if ended_now { Loaded::ended() } else { over };
        Ok(loaded.with_unknown_successor(has_unknown_successor))
    }

    /// Returns the session, unless the list says that it has ended.
    pub(super) async fn unless_ended(&self, mut live: Arc<Live>, now: u64) -> Result<Option<Arc<Live>>, Error> {
        let verdict = self.verdicts(&[&live], now).await?.into_iter().next();
        let counts = match verdict {
            None | Some(Verdict::Alive) => true,
            Some(Verdict::Ended(end, ended_at)) => is_late(&mut live, end, ended_at, now),
        };
        Ok(counts.then_some(live))
    }

    /// Returns to which session the former one with this mark has moved, with which content, and when.
    pub(super) async fn moved(&self, mark: &RecordKey, now: u64) -> Result<Option<(SessionId, String, u64)>, Error> {
        let Some(record) = self.list.load(mark, now).await?.live() else { return Ok(None) };
        let text = |key: &str| record.entries.get(key).map(|text| text.trim_matches('"').to_owned());
        let successor = text(MOVED_TO).and_then(|id| id.parse().ok());
        Ok(successor.zip(text(MOVED_CONTENT)).map(|(id, content)| (id, content, record.seen_at)))
    }

    /// Notes that a former session has moved. The list keeps the first entry.
    pub(super) async fn note_move(
        &self,
        mark: &RecordKey,
        until: u64,
        successor: SessionId,
        content: &str,
        now: u64,
    ) -> Result<(), Error> {
        let mut changes = Changes::default();
        changes.insert(MOVED_TO, format!("\"{successor}\""));
        changes.insert(MOVED_CONTENT, format!("\"{content}\""));
        let expires_at = until.saturating_add(CLOCK_SKEW);
        self.list.create(mark, Write { visit: Visit { now, expires_at }, ..entry(&mut changes, now) }).await
    }

    /// Notes that a session has moved away or was logged out. Returns whether the list knew of no other end. A log-out
    /// also ends the session that has the id from a rotation.
    pub(crate) async fn end_moved(&self, id: SessionId, end: End, now: u64) -> Result<bool, Error> {
        if !matches!(end, End::Rotated { .. }) {
            return Ok(self.end(id, end, None, true, now).await?.is_none());
        }
        self.revoke(id, end, None, now).await?;
        let entry = self.list.load(&RecordKey::of_revocation(id), now).await?.live();
        Ok(entry.is_some_and(|record| end_of(&record) == end))
    }

    /// Asks the list about several sessions, in one question.
    async fn verdicts(&self, lives: &[&Live], now: u64) -> Result<Vec<Verdict>, Error> {
        let questions: Vec<_> = lives.iter().map(|live| self.keys_about(live)).collect();
        let keys: Vec<RecordKey> = questions.iter().flatten().copied().collect();
        let mut found = match self.list.look_up(&keys, now).await {
            Err(error) if self.trusts_when_unavailable => {
                accepted_unchecked(&error);
                return Ok(vec![Verdict::Alive; lives.len()]);
            }
            answer => answer?.into_iter(),
        };
        let mut verdicts = Vec::with_capacity(lives.len());
        for (live, keys) in lives.iter().zip(&questions) {
            let entries: Vec<_> = found.by_ref().take(keys.len()).filter_map(Lookup::live).collect();
            verdicts.push(self.verdict(live, &entries, now).await?);
        }
        Ok(verdicts)
    }

    /// Returns the keys under which the list may have the end of a session: the session itself, its application, and
    /// its owner.
    fn keys_about(&self, live: &Live) -> Vec<RecordKey> {
        let mut keys = vec![RecordKey::of_revocation(live.frame.id), self.list.key_of_all()];
        keys.extend(live.base().owner.map(|owner| self.list.key_of_owner(owner)));
        keys
    }

    /// Returns what the entries of [`keys_about`](Self::keys_about) say of a session. A session that was rotated ends
    /// with its successor.
    async fn verdict(&self, live: &Live, entries: &[Record], now: u64) -> Result<Verdict, Error> {
        if entries.is_empty() {
            return Ok(Verdict::Alive);
        }
        let own_key = RecordKey::of_revocation(live.frame.id);
        let (mut verdict, mut ids) = (Verdict::Alive, live.ids().collect());
        if let Some(own) = entries.iter().find(|record| record.key == own_key) {
            if own.entries.get(END) == Some(CLEARED) {
                return Ok(Verdict::Ended(End::Deleted, LONG_AGO));
            }
            let (end, ended_at) = self.followed(own, &mut ids, now).await?;
            verdict = Verdict::Ended(end, ended_at);
            if !matches!(end, End::Rotated { .. }) {
                return Ok(verdict);
            }
        }
        let mut log_outs = entries.iter().filter(|record| record.key != own_key);
        let log_out = log_outs.find(|record| is_before(live, &ids, record));
        Ok(log_out.map_or(verdict, |record| Verdict::Ended(End::Deleted, record.seen_at)))
    }

    /// Returns how a session ended, and when. Adds the ids that it has got from rotations to `ids`.
    async fn followed(&self, own: &Record, ids: &mut Vec<SessionId>, now: u64) -> Result<(End, u64), Error> {
        let (mut end, mut ended_at) = (end_of(own), own.seen_at);
        for _ in 0..MOST_ROTATIONS {
            let End::Rotated { successor } = end else { break };
            ids.push(successor.id());
            if !End::is_known(ended_at, now) {
                break;
            }
            let Some(record) = self.list.load(&successor, now).await?.live() else { break };
            (end, ended_at) = (end_of(&record), record.seen_at);
        }
        Ok((end, ended_at))
    }

    /// Returns the id under which a session goes on; `None` if it is over.
    async fn id_now(&self, live: &Live, entries: &[Record], now: u64) -> Result<Option<SessionId>, Error> {
        Ok(match self.verdict(live, entries, now).await? {
            Verdict::Alive => Some(live.id_now()),
            Verdict::Ended(End::Rotated { successor }, _) => Some(successor.id()),
            Verdict::Ended(End::Deleted | End::Renewed, _) => None,
        })
    }

    /// Writes the end of a session into the list. Only then can the response confirm the end. A session that goes on is
    /// looked up again, because it may have ended since the request read it.
    pub(super) async fn carry_out(
        &self,
        plan: Plan<'_>,
        next_id: &mut NextId,
        context: Context<'_>,
    ) -> Result<CarriedOut, Error> {
        let changes = match self.look_again(plan, context.now).await? {
            (Verdict::Ended(end, _), _) if cookie::stops(plan, end) => return Ok(CarriedOut::EndedElsewhere(end)),
            (_, changes) => changes,
        };
        let plan = Plan { changes: changes.as_ref().unwrap_or(plan.changes), ..plan };
        let cookies = cookie::cookies(plan, next_id, context)?;
        let ending = cookie::ending(plan, next_id)?;
        // A session that begins after `destroy` has nothing of the former one, however that ended.
        let takes_over = plan.changes.needs_new_id() && !plan.changes.destroys();
        let heir = if takes_over { Some(next_id.id(plan.loaded, plan.changes)?) } else { None };
        for (id, end) in ending {
            match self.end(id, end, heir, plan.changes.begins_anew(), context.now).await? {
                None => {}
                // A log-out may have come since the list was asked. A session with a new id must not undo it.
                Some(earlier) if heir.is_some() => return Ok(CarriedOut::EndedElsewhere(earlier)),
                Some(End::Renewed) => log_out_met_a_renewal(),
                Some(_) => {}
            }
        }
        if let (Outcome::Removed, Some(live), false) = (plan.outcome, plan.loaded.session(), plan.changes.destroys()) {
            let mut changes = Changes::default();
            changes.insert(END, CLEARED.to_owned());
            self.note(live.frame.id, changes, context.now).await?;
        }
        observe::carried_out(plan);
        Ok(CarriedOut::Done(cookies.into()))
    }

    /// Looks up the session again that goes on. Returns the changes with the session's owner in its metadata, which
    /// travels in the cookie, if this request changes the owner or rotates the session.
    ///
    /// The time beside the owner decides whether a log-out everywhere ends the session. It is later than the last such
    /// log-out, also if both happen in one second. One question finds this log-out and the end of the session: a
    /// log-out between two questions would count as one from before, and the session would outlive it.
    async fn look_again(&self, plan: Plan<'_>, now: u64) -> Result<(Verdict, Option<Changes>), Error> {
        let (changes, base) = (plan.changes, plan.loaded.base());
        let owner = changes.owner_after(base);
        let is_stamped = changes.owner().is_some()
            || (owner.is_some() && changes.needs_new_id())
            || owner != changes.metadata(base.entries).owner();
        let of_owner =
            owner.filter(|_| is_stamped).map(|owner| [self.list.key_of_all(), self.list.key_of_owner(owner)]);
        let mut keys = plan.continued().map(|live| self.keys_about(live)).unwrap_or_default();
        let about_session = keys.len();
        for key in of_owner.into_iter().flatten() {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let found = if keys.is_empty() { Ok(Vec::new()) } else { self.list.look_up(&keys, now).await };
        let mut found = match found {
            Err(error) if self.trusts_when_unavailable && of_owner.is_none() => {
                accepted_unchecked(&error);
                Vec::new().into_iter()
            }
            answer => answer?.into_iter(),
        };
        let mut entries: Vec<_> = found.by_ref().take(about_session).filter_map(Lookup::live).collect();
        let verdict = match plan.continued() {
            Some(live) => self.verdict(live, &entries, now).await?,
            None => Verdict::Alive,
        };
        if !is_stamped {
            return Ok((verdict, None));
        }
        entries.extend(found.filter_map(Lookup::live));
        let since = later_than(&entries, of_owner.as_ref().map_or(&[], |keys| &keys[..]), now);
        let mut stamped = changes.clone();
        stamped.change_metadata(base.entries, |metadata| metadata.set_owner(owner, since));
        Ok((verdict, Some(stamped)))
    }

    /// Writes the end of a session into the list. `heir` is the id of the session that takes its place. If the session
    /// was rotated since the request read it, `follows_rotations` ends its successor as well.
    ///
    /// Returns the end that the list knew already, if it is another one.
    async fn end(
        &self,
        mut id: SessionId,
        end: End,
        heir: Option<SessionId>,
        follows_rotations: bool,
        now: u64,
    ) -> Result<Option<End>, Error> {
        for _ in 0..MOST_ROTATIONS {
            self.revoke(id, end, heir, now).await?;
            // The list keeps the first entry.
            let Some(entry) = self.list.load(&RecordKey::of_revocation(id), now).await?.live() else { break };
            match end_of(&entry) {
                End::Renewed if end == End::Renewed && heir_of(&entry) != heir => return Ok(Some(end)),
                known if known == end => break,
                End::Rotated { successor } if follows_rotations => id = successor.id(),
                known => return Ok(Some(known)),
            }
        }
        Ok(None)
    }

    /// Writes the end of a session into the list, unless the list has an entry of it.
    pub(super) async fn revoke(&self, id: SessionId, end: End, heir: Option<SessionId>, now: u64) -> Result<(), Error> {
        let mut changes = Changes::default();
        match end {
            End::Deleted => {}
            End::Renewed => {
                changes.insert(END, RENEWED.to_owned());
                if let Some(heir) = heir {
                    changes.insert(HEIR, format!("\"{heir}\""));
                }
            }
            End::Rotated { successor } => changes.insert(END, format!("\"{}\"", successor.id())),
        }
        self.note(id, changes, now).await
    }

    async fn note(&self, id: SessionId, mut changes: Changes, now: u64) -> Result<(), Error> {
        self.list.create(&RecordKey::of_revocation(id), entry(&mut changes, now)).await
    }

    /// Notes that every session of the owner that began up to now is over, except one. If that one is over already, it
    /// does not come back.
    pub(crate) async fn end_owner(&self, owner: &str, spared: Option<&Live>, now: u64) -> Result<(), Error> {
        // A session that gets this owner with the response will be later than the entry.
        let spared = spared.filter(|live| live.base().owner == Some(owner));
        self.end_all(self.list.key_of_owner(owner), spared, now).await
    }

    /// Notes that every session of the application that began up to now is over.
    pub(crate) async fn end_everything(&self, now: u64) -> Result<(), Error> {
        self.end_all(self.list.key_of_all(), None, now).await
    }

    /// Writes an entry that ends sessions up to now. Its time is later than that of the entries before, so that it also
    /// ends a log-in that came after them in the same second.
    ///
    /// The entry replaces the one before, which may have ended the spared session. So both the check of this session
    /// and the write are based on what was read: if another log-out writes in between, both are done again.
    async fn end_all(&self, key: RecordKey, spared: Option<&Live>, now: u64) -> Result<(), Error> {
        let of_many = [key, self.list.key_of_all()];
        let keys: Vec<_> =
            of_many.into_iter().chain(spared.map(|live| RecordKey::of_revocation(live.frame.id))).collect();
        let deadline = Instant::now() + self.list.settings.timeout();
        let _turn = self.list.turn(&key, deadline).await;
        let mut attempt = 0;
        loop {
            let found = self.list.look_up(&keys, now).await?;
            let entries: Vec<_> = found.into_iter().filter_map(Lookup::live).collect();
            let except = match spared {
                Some(live) => self.id_now(live, &entries, now).await?.map(|id| format!("\"{id}\"")),
                None => None,
            };
            let mut changes = Changes::default();
            changes.set(EXCEPT, except.clone().unwrap_or_else(|| "null".to_owned()));
            let time = later_than(&entries, &of_many, now);
            let write = entry(&mut changes, time);
            let is_noted = match entries.iter().find(|record| record.key == key) {
                Some(former) => {
                    let exact = Write { base: Some(former), only_if_unchanged: true, ..write };
                    match self.list.update(&key, exact).await {
                        // It does no harm to write the entry twice.
                        Err(error) if attempt == 0 && error.may_have_happened() && Instant::now() < deadline => false,
                        answer => matches!(answer?, Updated::Written { .. }),
                    }
                }
                None => {
                    self.list.create(&key, write).await?;
                    // The list keeps the first entry.
                    let kept = self.list.load(&key, now).await?.live();
                    kept.is_some_and(|kept| kept.seen_at == time && kept.entries.get(EXCEPT) == except.as_deref())
                }
            };
            if is_noted {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Error::too_many_writes());
            }
            step_aside(attempt).await;
            attempt += 1;
        }
    }
}

/// Logs that a session is accepted while the list cannot be read.
fn accepted_unchecked(error: &Error) {
    tracing::error!(
        name: "store.revocations_unavailable", target: "session_axum::store",
        error = %Chain(error), "the list of revocations cannot be read; a session is accepted unchecked"
    );
}

/// Marks a session as late if it was rotated a moment ago. Returns whether it is late, so that the request may read it.
fn is_late(live: &mut Arc<Live>, end: End, ended_at: u64, now: u64) -> bool {
    if let End::Rotated { successor } = end
        && End::is_known(ended_at, now)
    {
        Arc::make_mut(live).make_late(Some(successor.id()));
    }
    live.is_late
}

/// Returns `now`, or a second after the latest of the entries with these keys if that is later.
fn later_than(entries: &[Record], keys: &[RecordKey], now: u64) -> u64 {
    let entries = entries.iter().filter(|record| keys.contains(&record.key));
    entries.map(|record| record.seen_at + 1).fold(now, u64::max)
}

/// Returns the write of an entry. An entry without content exists because its id was asked for.
fn entry(changes: &mut Changes, now: u64) -> Write<'_> {
    changes.ask_id();
    Write::new(changes, Visit { now, expires_at: now.saturating_add(KEPT) })
}

/// Returns whether a cookie is older than every entry of the list. Its session may have been revoked, so it is over,
/// whatever the configured limits are.
const fn is_too_old(live: &Live, now: u64) -> bool {
    now > live.frame.issued_at.saturating_add(MAX_COOKIE_AGE)
}

/// Returns whether a log-out everywhere ends the session. `record` is the entry of the log-out. `ids` are the session's
/// id, and those that it has got from rotations: the log-out may have spared any of them.
fn is_before(live: &Live, ids: &[SessionId], record: &Record) -> bool {
    let began_at = live.base().entries.metadata().owned_since().unwrap_or(live.frame.created_at);
    let spared = record.entries.get(EXCEPT).and_then(|id| id.trim_matches('"').parse().ok());
    began_at <= record.seen_at && !spared.is_some_and(|id| ids.contains(&id))
}

fn end_of(record: &Record) -> End {
    match record.entries.get(END) {
        None => End::Deleted,
        Some(RENEWED) => End::Renewed,
        Some(id) => id.trim_matches('"').parse().map_or(End::Deleted, rotated_to),
    }
}

/// Returns which session took the place of a renewed one.
fn heir_of(record: &Record) -> Option<SessionId> {
    record.entries.get(HEIR)?.trim_matches('"').parse().ok()
}

/// How long an entry is kept, in seconds. A cookie that was made before the entry is over by then: see [`is_too_old`].
const KEPT: u64 = MAX_COOKIE_AGE + CLOCK_SKEW;

/// The key of an entry that says how a session ended: renewed, or the id of its successor.
const END: &str = "end";
const RENEWED: &str = "\"renewed\"";
/// The key of an entry that says which session took the place of a renewed one. It tells two renewals apart.
const HEIR: &str = "heir";
/// The last value was removed. That is no end: a later request may begin a session. But copies of the cookie are over.
const CLEARED: &str = "\"cleared\"";
/// A time at which nothing ended a moment ago.
const LONG_AGO: u64 = 0;
/// The keys of an entry that says to which session a former one has moved, and with which content.
const MOVED_TO: &str = "to";
const MOVED_CONTENT: &str = "of";
/// The key of an entry that says which session a log-out everywhere spares.
const EXCEPT: &str = "except";
