//! Races of many tasks, in one process or in several, for one session.

use std::{fmt, sync::Arc, time::Duration};

use session_core::{
    Clock, SessionId,
    store::{
        Changes, End, Lookup, Record, RecordKey, SessionStore, Spared, StoreError, StoreErrorKind, StoreFuture,
        Updated, Visit, Write,
    },
    unix_seconds,
};
use tokio::{sync::Barrier, task::JoinSet};

use super::trial::{HOUR, Trial, answer, fresh_id, fresh_key, owner_of};

/// The kind of a race: what its tasks do at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaceKind {
    /// Every write sets a key of its own in one session. No key may be lost.
    DistinctKeys,
    /// Every write adds one to a number in one session. It is an exact write, and is repeated after a conflict. No
    /// addition may be lost.
    Increments,
    /// In each round one task deletes a session while all others change and touch it. No session may be alive
    /// afterwards.
    Deletion,
    /// In each round all tasks rename one session, each to a key of its own. Exactly one session must be alive
    /// afterwards.
    Renames,
    /// In each round all tasks log in as one owner, end all but the three newest sessions of the owner, and
    /// write to their own session as late requests do. In every second round one task also logs the owner out
    /// everywhere. No more sessions than allowed may be alive afterwards, and none may be missing without a log-out.
    LogIns,
}

/// A race: its kind and its size. All processes that take part must use the same values.
///
/// # Examples
///
/// ```
/// # async fn example(store: std::sync::Arc<dyn session_core::store::SessionStore>) {
/// use session_core::SystemClock;
/// use session_stores::conformance::{Race, RaceKind};
///
/// let race = Race::new(RaceKind::DistinctKeys);
/// let (work, damage) = race.run(&store, SystemClock).await;
/// assert_eq!((work.written, damage.lost), (3_200, 0));
/// # }
/// ```
///
/// For a race of several processes, give all of them the same [`key`](Self::key). First, one process calls
/// [`prepare`](Self::prepare). Then each process calls [`work`](Self::work) with a number of its own. After all of them
/// have finished, one process calls [`check`](Self::check).
#[derive(Clone, Copy)]
pub struct Race {
    /// What the tasks do.
    pub kind: RaceKind,
    /// The key from which the race makes the keys of all its sessions. No other race may use it.
    pub key: RecordKey,
    /// The number of processes that take part.
    pub workers: u32,
    /// The number of tasks in each process.
    pub tasks: u32,
    /// The number of rounds. In each round, every task does its part once.
    pub rounds: u32,
}

impl Race {
    /// Creates a race of one process with 64 tasks and 50 rounds, under a new random key.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_stores::conformance::{Race, RaceKind};
    ///
    /// let race = Race { rounds: 10, ..Race::new(RaceKind::Increments) };
    /// assert_eq!((race.workers, race.tasks, race.rounds), (1, 64, 10));
    /// ```
    #[must_use]
    pub fn new(kind: RaceKind) -> Self {
        Self { kind, key: fresh_key(), workers: 1, tasks: 64, rounds: 50 }
    }

    /// Runs the whole race in this process. Returns the counts of the store's answers, and the broken promises.
    ///
    /// # Examples
    ///
    #[cfg_attr(feature = "memory", doc = "```")]
    #[cfg_attr(not(feature = "memory"), doc = "```ignore")]
    /// use std::sync::Arc;
    ///
    /// use session_core::{SystemClock, store::SessionStore};
    /// use session_stores::{MemoryStore, conformance::{Damage, Race, RaceKind}};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let store: Arc<dyn SessionStore> = Arc::new(MemoryStore::new());
    /// let race = Race { rounds: 5, ..Race::new(RaceKind::Renames) };
    /// let (work, damage) = race.run(&store, SystemClock).await;
    /// assert_eq!((work.written, damage), (5, Damage::default()));
    /// # }
    /// ```
    pub async fn run(&self, store: &Arc<dyn SessionStore>, clock: impl Clock) -> (Work, Damage) {
        let now = unix_seconds(clock.now());
        self.prepare_at(&**store, now).await;
        let mut crew = JoinSet::new();
        for worker in 0..self.workers {
            let (race, store) = (*self, Arc::clone(store));
            crew.spawn(async move { race.work_at(&store, now, worker).await });
        }
        (sum(crew).await, self.check_at(&**store, now).await)
    }

    /// Creates the sessions of the race: the first step of a race of several processes.
    ///
    /// # Examples
    ///
    #[cfg_attr(feature = "memory", doc = "```")]
    #[cfg_attr(not(feature = "memory"), doc = "```ignore")]
    /// use std::sync::Arc;
    ///
    /// use session_core::{SystemClock, store::SessionStore};
    /// use session_stores::{MemoryStore, conformance::{Damage, Race, RaceKind}};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let store: Arc<dyn SessionStore> = Arc::new(MemoryStore::new());
    /// let race = Race { workers: 2, tasks: 4, rounds: 5, ..Race::new(RaceKind::DistinctKeys) };
    /// race.prepare(&*store, SystemClock).await;
    /// // Two processes do this, each with its own number:
    /// for worker in [0, 1] {
    ///     assert_eq!(race.work(&store, SystemClock, worker).await.written, 20);
    /// }
    /// assert_eq!(race.check(&*store, SystemClock).await, Damage::default());
    /// # }
    /// ```
    pub async fn prepare(&self, store: &dyn SessionStore, clock: impl Clock) {
        self.prepare_at(store, unix_seconds(clock.now())).await;
    }

    /// Runs the tasks of one process. `worker` is the number of the process, from 0 to [`workers`](Self::workers) - 1.
    /// See the example of [`prepare`](Self::prepare).
    pub async fn work(&self, store: &Arc<dyn SessionStore>, clock: impl Clock, worker: u32) -> Work {
        self.work_at(store, unix_seconds(clock.now()), worker).await
    }

    /// Counts the broken promises of the store. Call it after [`work`](Self::work) has ended in all processes. See the
    /// example of [`prepare`](Self::prepare).
    pub async fn check(&self, store: &dyn SessionStore, clock: impl Clock) -> Damage {
        self.check_at(store, unix_seconds(clock.now())).await
    }

    async fn prepare_at(&self, store: &dyn SessionStore, now: u64) {
        let trial = Trial { store, now };
        for round in 0..self.sessions() {
            trial.create(&self.session(round), &trial.draft().set(COUNT, "0")).await;
        }
    }

    async fn work_at(&self, store: &Arc<dyn SessionStore>, now: u64, worker: u32) -> Work {
        let start = Arc::new(Barrier::new(self.tasks as usize));
        let mut crew = JoinSet::new();
        for task in 0..self.tasks {
            let (store, start) = (Arc::clone(store), Arc::clone(&start));
            let racer = Racer { race: *self, store, start, now, worker, task, work: Work::default() };
            crew.spawn(racer.run());
        }
        sum(crew).await
    }

    async fn check_at(&self, store: &dyn SessionStore, now: u64) -> Damage {
        let trial = Trial { store, now };
        match self.kind {
            RaceKind::DistinctKeys => self.missing_keys(&trial).await,
            RaceKind::Increments => self.missing_increments(&trial).await,
            RaceKind::Deletion => self.survivors(&trial).await,
            RaceKind::Renames => self.doubles(&trial).await,
            RaceKind::LogIns => self.devices(&trial).await,
        }
    }

    async fn missing_keys(&self, trial: &Trial<'_>) -> Damage {
        let record = trial.load(&self.session(0)).await;
        let found = record.map_or(0, |record| record.entries.iter().filter(|(key, _)| *key != COUNT).count());
        Damage { lost: self.writes().saturating_sub(found as u64), ..Damage::default() }
    }

    async fn missing_increments(&self, trial: &Trial<'_>) -> Damage {
        let record = trial.load(&self.session(0)).await;
        Damage { lost: self.writes().abs_diff(record.as_ref().map_or(0, count)), ..Damage::default() }
    }

    async fn survivors(&self, trial: &Trial<'_>) -> Damage {
        let mut damage = Damage::default();
        for round in 0..self.rounds {
            damage.alive += u64::from(trial.exists(&self.session(round)).await);
        }
        damage
    }

    async fn doubles(&self, trial: &Trial<'_>) -> Damage {
        let mut damage = Damage::default();
        for round in 0..self.rounds {
            let mut alive = u64::from(trial.exists(&self.session(round)).await);
            for (worker, task) in self.crew() {
                alive += u64::from(trial.exists(&self.key_of(worker, task, round)).await);
            }
            damage.lost += u64::from(alive == 0);
            damage.doubled += u64::from(alive > 1);
        }
        damage
    }

    async fn devices(&self, trial: &Trial<'_>) -> Damage {
        let mut damage = Damage::default();
        for round in 0..self.rounds {
            let mut alive = 0;
            for (worker, task) in self.crew() {
                alive += u64::from(trial.exists(&self.key_of(worker, task, round)).await);
            }
            let missing = if logs_out(round) { 0 } else { LOG_INS_KEPT.saturating_sub(alive) };
            damage.lost += missing + alive.abs_diff(trial.count(&self.owner(round)).await);
            damage.alive += alive.saturating_sub(LOG_INS_KEPT);
        }
        damage
    }

    /// Returns the owner of this round's sessions.
    fn owner(&self, round: u32) -> String {
        format!("{} {round}", self.key.id())
    }

    const fn writes(&self) -> u64 {
        self.workers as u64 * self.tasks as u64 * self.rounds as u64
    }

    const fn sessions(&self) -> u32 {
        match self.kind {
            RaceKind::DistinctKeys | RaceKind::Increments => 1,
            RaceKind::Deletion | RaceKind::Renames => self.rounds,
            RaceKind::LogIns => 0,
        }
    }

    fn crew(&self) -> impl Iterator<Item = (u32, u32)> {
        let tasks = self.tasks;
        (0..self.workers).flat_map(move |worker| (0..tasks).map(move |task| (worker, task)))
    }

    /// Returns the key of this round's session.
    fn session(&self, round: u32) -> RecordKey {
        self.key_of(u32::MAX, u32::MAX, round)
    }

    /// Returns a key in the shard of the race. Every process computes the same key from the same numbers.
    fn key_of(&self, worker: u32, task: u32, round: u32) -> RecordKey {
        let (mut id, mut hash) = (*self.key.id().as_bytes(), *self.key.hash());
        let number = [worker, task, round].map(u32::to_be_bytes);
        for (at, byte) in number.as_flattened().iter().enumerate() {
            id[4 + at] ^= byte;
            hash[at] ^= byte;
        }
        RecordKey::from_parts(SessionId::from_bytes(id), hash)
    }
}

impl fmt::Debug for Race {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Race").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Counts of a store's answers in a race.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// The number of writes that were done.
    pub written: u64,
    /// The number of exact writes that were conflicts. Such a write is repeated.
    pub conflicts: u64,
    /// The number of reads and writes of a session that was gone.
    pub gone: u64,
    /// The number of errors. An operation that failed is not repeated.
    pub failed: u64,
}

impl Work {
    fn count(&mut self, updated: &Result<Updated, StoreError>) {
        let number = match updated {
            Ok(Updated::Written { .. }) => &mut self.written,
            Ok(Updated::Conflict) => &mut self.conflicts,
            Ok(Updated::Gone | Updated::Removed) => &mut self.gone,
            Err(_) => &mut self.failed,
        };
        *number += 1;
    }

    const fn and(self, other: Self) -> Self {
        Self {
            written: self.written + other.written,
            conflicts: self.conflicts + other.conflicts,
            gone: self.gone + other.gone,
            failed: self.failed + other.failed,
        }
    }
}

/// Broken promises that a race has found. All counts are 0 for a correct store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// The number of writes that are missing, or of sessions that have no key any more.
    pub lost: u64,
    /// The number of sessions that are alive after they were deleted.
    pub alive: u64,
    /// The number of sessions that are alive under two keys.
    pub doubled: u64,
}

/// One task of a race.
struct Racer {
    race: Race,
    store: Arc<dyn SessionStore>,
    start: Arc<Barrier>,
    now: u64,
    worker: u32,
    task: u32,
    work: Work,
}

impl Racer {
    async fn run(mut self) -> Work {
        for round in 0..self.race.rounds {
            match self.race.kind {
                RaceKind::DistinctKeys => self.set_own_key(round).await,
                RaceKind::Increments => self.increment().await,
                RaceKind::Deletion => self.change_or_delete(round).await,
                RaceKind::Renames => self.rename(round).await,
                RaceKind::LogIns => self.log_in(round).await,
            }
        }
        self.work
    }

    async fn set_own_key(&mut self, round: u32) {
        let key = self.race.session(0);
        let Some(read) = self.load(&key).await else { return };
        self.set(&key, &read, &format!("{}.{}.{round}", self.worker, self.task)).await;
    }

    async fn increment(&mut self) {
        let key = self.race.session(0);
        for attempt in 0..MOST_ATTEMPTS {
            let Some(read) = self.load(&key).await else { return };
            let mut changes = Changes::default();
            changes.insert(COUNT, (count(&read) + 1).to_string());
            let updated =
                self.store.update(&key, Write { only_if_unchanged: true, ..self.write(&changes, &read) }).await;
            self.work.count(&updated);
            if !matches!(updated, Ok(Updated::Conflict)) {
                return;
            }
            tokio::time::sleep(pause(attempt)).await;
        }
    }

    /// Reads the session in all tasks. Then one task deletes it, and the others write to it as if it still existed.
    async fn change_or_delete(&mut self, round: u32) {
        let key = self.race.session(round);
        let read = self.load(&key).await;
        self.start.wait().await;
        if (self.worker, self.task) == (0, 0) {
            answer(self.store.delete(&key, End::Deleted, self.now).await);
        } else if let Some(read) = read {
            self.set(&key, &read, "late").await;
            let touched = self.store.touch(&key, Visit { now: self.now, expires_at: self.now + HOUR }).await;
            self.work.failed += u64::from(touched.is_err());
        }
    }

    async fn rename(&mut self, round: u32) {
        let from = self.race.session(round);
        let read = self.load(&from).await;
        self.start.wait().await;
        let Some(read) = read else { return };
        let mut changes = Changes::default();
        changes.renew();
        let to = self.race.key_of(self.worker, self.task, round);
        let updated = self.store.rename(&from, &to, self.write(&changes, &read)).await;
        self.work.count(&updated);
    }

    async fn log_in(&mut self, round: u32) {
        let (key, name) = (self.race.key_of(self.worker, self.task, round), self.race.owner(round));
        let owner = owner_of(&name);
        self.start.wait().await;
        let mut changes = Changes::default();
        changes.insert("a", "1".to_owned());
        changes.set_owner(name.clone());
        let visit = Visit { now: self.now, expires_at: self.now + HOUR };
        let (store, now) = (Arc::clone(&self.store), self.now);
        self.patiently(|| store.create(&key, Write::new(&changes, visit))).await;
        if (self.worker, self.task) == (0, 0) && logs_out(round) {
            self.patiently(|| store.delete_by_owner(owner, Spared::default(), now)).await;
        }
        let read = self.patiently(|| store.load(&key, now)).await.and_then(Lookup::live);
        self.patiently(|| store.delete_by_owner(owner, Spared { id: None, newest: LOG_INS_KEPT }, now)).await;
        let Some(read) = read else {
            self.work.gone += 1;
            return;
        };
        let mut late = Changes::default();
        late.insert("late", "1".to_owned());
        let write = self.write(&late, &read);
        if let Some(updated) = self.patiently(|| store.update(&key, write)).await {
            self.work.count(&Ok(updated));
        }
    }

    /// Repeats an operation while the store is busy, as the session layer does.
    async fn patiently<'f, T>(&mut self, operation: impl Fn() -> StoreFuture<'f, T>) -> Option<T> {
        for attempt in 0..10 {
            match operation().await {
                Ok(answer) => return Some(answer),
                Err(error) if error.kind() == StoreErrorKind::Unavailable => tokio::time::sleep(pause(attempt)).await,
                Err(_) => break,
            }
        }
        self.work.failed += 1;
        None
    }

    async fn load(&mut self, key: &RecordKey) -> Option<Record> {
        let loaded = self.store.load(key, self.now).await;
        self.work.failed += u64::from(loaded.is_err());
        let record = loaded.map(Lookup::live);
        self.work.gone += u64::from(matches!(record, Ok(None)));
        record.ok().flatten()
    }

    async fn set(&mut self, key: &RecordKey, read: &Record, name: &str) {
        let mut changes = Changes::default();
        changes.insert(name, "1".to_owned());
        let updated = self.store.update(key, self.write(&changes, read)).await;
        self.work.count(&updated);
    }

    const fn write<'a>(&self, changes: &'a Changes, read: &'a Record) -> Write<'a> {
        Write {
            changes,
            base: Some(read),
            created_at: read.created_at,
            visit: Visit { now: self.now, expires_at: self.now + HOUR },
            application: "",
            only_if_unchanged: false,
        }
    }
}

async fn sum(crew: JoinSet<Work>) -> Work {
    crew.join_all().await.into_iter().fold(Work::default(), Work::and)
}

fn count(record: &Record) -> u64 {
    record.entries.get(COUNT).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Returns a random pause that grows with each attempt, so that tasks that met do not meet again.
fn pause(attempt: u32) -> Duration {
    let chance = u64::from(fresh_id().as_bytes()[0]);
    Duration::from_micros(chance << (attempt + 3).min(10))
}

/// Returns whether the owner is logged out everywhere in this round.
const fn logs_out(round: u32) -> bool {
    round % 2 == 1
}

const COUNT: &str = "count";

/// How many sessions of an owner stay in a race of the kind [`RaceKind::LogIns`].
const LOG_INS_KEPT: u64 = 3;

/// The largest number of attempts for a write. A write with more conflicts counts as lost.
const MOST_ATTEMPTS: u32 = 10_000;

#[cfg(test)]
mod tests {
    use session_core::SystemClock;

    use super::{
        super::plain::{NaiveStore, PlainStore},
        *,
    };

    async fn race<S: SessionStore + Default>(kind: RaceKind) -> (Work, Damage) {
        let store: Arc<dyn SessionStore> = Arc::new(S::default());
        Race::new(kind).run(&store, SystemClock).await
    }

    async fn short_race<S: SessionStore + Default>(kind: RaceKind) -> (Work, Damage) {
        let store: Arc<dyn SessionStore> = Arc::new(S::default());
        Race { rounds: 10, ..Race::new(kind) }.run(&store, SystemClock).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_store_that_keeps_its_promises_leaves_no_damage() {
        for (kind, written) in [(RaceKind::DistinctKeys, 640), (RaceKind::Increments, 640), (RaceKind::Renames, 10)] {
            let (work, damage) = short_race::<PlainStore>(kind).await;
            assert_eq!((work.written, work.failed, damage), (written, 0, Damage::default()), "{kind:?}");
        }
        for kind in [RaceKind::Deletion, RaceKind::LogIns] {
            assert_eq!(short_race::<PlainStore>(kind).await.1, Damage::default(), "{kind:?}");
        }
    }

    #[tokio::test]
    async fn a_store_that_writes_whole_records_is_found_out() {
        let lost = race::<NaiveStore>(RaceKind::DistinctKeys).await.1.lost;
        assert!(lost > 1_000, "{lost} of 3,200 are lost");
        let lost = race::<NaiveStore>(RaceKind::Increments).await.1.lost;
        assert!(lost > 1_000, "{lost} of 3,200 are lost");
        let alive = race::<NaiveStore>(RaceKind::Deletion).await.1.alive;
        assert!(alive > 0, "{alive} of 50 came back");
        let doubled = race::<NaiveStore>(RaceKind::Renames).await.1.doubled;
        assert!(doubled > 0, "{doubled} of 50 have two keys");
        let alive = race::<NaiveStore>(RaceKind::LogIns).await.1.alive;
        assert!(alive > 0, "{alive} sessions more than allowed");
    }

    #[tokio::test]
    async fn two_workers_with_one_key_race_for_the_same_sessions() {
        let store: Arc<dyn SessionStore> = Arc::new(PlainStore::default());
        let race = Race { workers: 2, tasks: 2, rounds: 5, ..Race::new(RaceKind::DistinctKeys) };
        race.prepare(&*store, SystemClock).await;
        assert_eq!(race.work(&store, SystemClock, 0).await.written, 10);
        assert_eq!(race.check(&*store, SystemClock).await.lost, 10);
        assert_eq!(race.work(&store, SystemClock, 1).await.written, 10);
        assert_eq!(race.check(&*store, SystemClock).await.lost, 0);
    }
}
