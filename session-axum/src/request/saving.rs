//! Saves and updates while the request runs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use session_core::store::Changes;
use tokio::time::{Instant, sleep};

use super::{LoadedRequest, Request, SessionState};
use crate::{
    engine::{ExactWrite, Saved, StoreClient},
    error::Error,
    state::{
        loaded::Loaded,
        outcome::{Outcome, Plan},
        staged::Staged,
    },
};

impl LoadedRequest {
    /// Saves the session now, while the request runs.
    pub(crate) async fn save(&self) -> Result<(), Error> {
        let engine = self.settings().engine();
        let _turn = if engine.never_waits() { None } else { Some(self.0.turn().await?) };
        self.finish_saving().await?;
        let now = self.settings().now();
        let Some((loaded, mut save)) = self.begin_saving(now)? else { return Ok(()) };
        let Staged { changes, next_id } = &mut save;
        let plan = Plan::new(&loaded, changes, self.0.rules(true), now);
        if plan.outcome.gives_new_id(&loaded) {
            self.0.begins_record(&loaded);
        }
        let saved = engine.save(plan, next_id, self.0.context(now)).await;
        self.with(|session| {
            // Where an answer was lost, the write may have happened: the response repeats it.
            if !saved.as_ref().is_err_and(Error::may_have_happened) {
                session.unfinished = None;
                if !matches!(saved, Ok(Saved::Written(_))) {
                    self.0.keeps_record(&session.loaded);
                }
            }
            match saved? {
                Saved::WithResponse => Ok(()),
                Saved::Ended => Err(Error::gone()),
                Saved::Written(loaded) => {
                    session.loaded = loaded;
                    session.staged.settle(&save);
                    self.0.is_at(&session.loaded);
                    Ok(())
                }
            }
        })
    }

    /// Draws the id of a new session, and remembers the save until it has ended.
    fn begin_saving(&self, now: u64) -> Result<Option<(Loaded, Staged)>, Error> {
        let rules = self.0.rules(true);
        let mut state = self.0.state();
        if state.is_closed {
            return Err(Error::closed());
        }
        if let Some(error) = &state.error {
            return Err(error.clone());
        }
        let SessionState { loaded, staged, unfinished, .. } = state.session();
        let outcome = Plan::new(loaded, &staged.changes, rules, now).outcome;
        if outcome == Outcome::Unchanged {
            return Ok(None);
        }
        if outcome.gives_new_id(loaded) {
            staged.next_id.id_and_secret(loaded, &staged.changes)?;
        }
        *unfinished = Some(Box::new(staged.clone()));
        Ok(Some((loaded.clone(), staged.clone())))
    }

    async fn finish_saving(&self) -> Result<(), Error> {
        // After the response, which has repeated it, another write could undo what the response changed.
        let begun =
            self.stage(|SessionState { loaded, unfinished, .. }| Some((loaded.clone(), unfinished.clone()?)))?;
        let Some((loaded, mut save)) = begun else { return Ok(()) };
        let written = repeat(&self.0, &loaded, &mut save).await?;
        self.with(|session| {
            session.go_on_from(written, &save);
            self.0.is_at(&session.loaded);
        });
        Ok(())
    }

    /// Replaces the JSON text under `key` by the result of `change`, in one step that no other change can interrupt.
    pub(crate) async fn update<T>(
        &self,
        key: &str,
        change: &mut impl FnMut(Option<&str>) -> Result<(T, String), Error>,
    ) -> Result<T, Error> {
        if let Some(store) = self.settings().engine().records()
            && let Some(value) = Box::pin(self.update_record(store, key, change)).await?
        {
            return Ok(value);
        }
        self.update_staged(key, change)
    }

    /// Updates a record in the store at once. Returns `None` if the session has no record yet.
    async fn update_record<T>(
        &self,
        store: &StoreClient,
        key: &str,
        change: &mut impl FnMut(Option<&str>) -> Result<(T, String), Error>,
    ) -> Result<Option<T>, Error> {
        let engine = self.settings().engine();
        let _turn = self.0.turn().await?;
        self.finish_saving().await?;
        let deadline = Instant::now() + engine.timeout();
        let mut turn = None;
        for attempt in 0.. {
            let now = self.settings().now();
            let (loaded, staged) = self.stage(|session| (session.loaded.clone(), session.staged.clone()))?;
            if loaded.came_late() {
                return if staged.changes.begins_anew() { Ok(None) } else { Err(Error::gone()) };
            }
            let Some(stored) = loaded.stored().filter(|_| !staged.changes.clears()) else { return Ok(None) };
            let has_waited = match turn {
                Some(_) => false,
                None => turn.insert(store.turn(&stored.record.key, deadline).await).has_waited,
            };
            // After a wait, another request has probably written.
            if stored.is_current && !has_waited {
                let (value, text) = change(staged.changes.get(loaded.entries(), key))?;
                let mut only = Changes::default();
                only.set(key, text);
                let plan = Plan::new(&loaded, &only, self.0.rules(true), now);
                if plan.outcome == Outcome::Expired {
                    return Err(Error::gone());
                }
                // Also a value that is the same is written: another request may have changed it.
                let plan = Plan { outcome: Outcome::Saved, ..plan };
                match engine.write_exactly(plan).await? {
                    None => return Ok(None),
                    Some(ExactWrite::Written(next)) => {
                        self.with(|session| {
                            session.loaded = next;
                            session.staged.changes.settle(key, &staged.changes);
                        });
                        return Ok(Some(value));
                    }
                    Some(ExactWrite::Conflict) if Instant::now() >= deadline => {
                        return Err(Error::too_many_writes());
                    }
                    Some(ExactWrite::Conflict) => step_aside(attempt).await,
                }
            }
            let next = engine.reload(&loaded, now).await?;
            self.with(|session| session.loaded = next);
        }
        unreachable!("it goes on until it is written, or its time is over")
    }

    /// Updates a value that is saved with the response.
    fn update_staged<T>(
        &self,
        key: &str,
        change: &mut impl FnMut(Option<&str>) -> Result<(T, String), Error>,
    ) -> Result<T, Error> {
        loop {
            let before = self.with_text(key, |text| text.map(str::to_owned));
            let (value, text) = change(before.as_deref())?;
            let is_written = self.stage(|SessionState { loaded, staged, .. }| {
                let is_unchanged = staged.changes.get(loaded.entries(), key) == before.as_deref();
                if is_unchanged {
                    staged.changes.set(key, text);
                }
                is_unchanged
            })?;
            if is_written {
                return Ok(value);
            }
        }
    }
}

impl SessionState {
    /// Repeats a save that was begun and may not have ended.
    pub(crate) async fn finish_saving(&mut self, request: &Request) -> Result<(), Error> {
        let Some(mut save) = self.unfinished.take() else { return Ok(()) };
        let written = Box::pin(repeat(request, &self.loaded, &mut save)).await?;
        self.go_on_from(written, &save);
        Ok(())
    }

    /// Continues with the session that `save` has written. If `save` has written nothing, its changes stay staged.
    fn go_on_from(&mut self, written: Option<Loaded>, save: &Staged) {
        self.unfinished = None;
        if let Some(loaded) = written {
            self.loaded = loaded;
            self.staged.settle(save);
        }
    }
}

/// Repeats a save with the same id, secret and changes. Returns the session if it was written.
async fn repeat(request: &Request, loaded: &Loaded, save: &mut Staged) -> Result<Option<Loaded>, Error> {
    let now = request.settings.now();
    let Staged { changes, next_id } = save;
    let plan = Plan::new(loaded, changes, request.rules(true), now);
    match request.settings.engine().save(plan, next_id, request.context(now)).await? {
        Saved::Written(loaded) => Ok(Some(loaded)),
        // The first attempt has removed the record. What was staged since begins a new session.
        Saved::Ended if plan.outcome == Outcome::Removed => {
            Ok(Some(Loaded::nothing_behind_a_cookie(None).with_cookie(loaded.cookie_came, true)))
        }
        Saved::WithResponse | Saved::Ended => Ok(None),
    }
}

/// Waits for a short random time, which grows with each attempt. Otherwise requests that change one session at the same
/// time could keep each other from writing.
pub(crate) async fn step_aside(attempt: u32) {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    let longest = 1_u64 << attempt.min(LONGEST_PAUSE);
    sleep(Duration::from_micros(u64::from(nanos / 64) % (1_000 * longest))).await;
}

/// The exponent of the longest pause: 2^6 ms, which is 64 ms.
const LONGEST_PAUSE: u32 = 6;
