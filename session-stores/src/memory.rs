//! Sessions in the memory of this process.

mod by_id;
mod owners;
mod pressure;
mod shard;
mod stored;
mod tombstones;

use std::{
    collections::BTreeMap,
    hash::BuildHasher as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use session_core::{
    SessionId,
    store::{
        Cursor, EXPIRED_IS_KNOWN_FOR, End, Lookup, Owner, Page, RecordKey, SessionInfo, SessionStore, Spared,
        StoreError, StoreErrorKind, StoreFuture, Updated, Visit, Write,
    },
};
use tokio::task::yield_now;

use self::{
    by_id::ById,
    owners::Owners,
    pressure::Pressure,
    shard::{Copied, Shard, Slot},
    stored::LONGEST_TEXT,
};

/// Keeps sessions in the memory of this process: for development, for tests, and for one process that may lose them.
///
/// The sessions are lost when the process ends, and no other process sees them. Clones share the sessions.
///
/// The store uses at most 1 GiB, or the limit of [`limited_to`](Self::limited_to). When it is full, it removes expired
/// sessions first. Next come tombstones, the oldest first, if these use more than an eighth of the limit. Next come
/// sessions without an owner whose visitors never came back, and last all others, approximately in the order of their
/// last visits. It logs a warning when it removes live sessions, at most once a minute. One session may use up to 4 MiB,
/// or the whole limit if that is less. A larger session is an error ([`StoreErrorKind::Refused`]), and nothing is
/// written.
///
/// # Examples
///
/// ```
/// use session_core::{SessionId, store::{Changes, RecordKey, SessionStore as _, Visit, Write}};
/// use session_stores::MemoryStore;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let key = RecordKey::of_secret(SessionId::random()?, &[7; 32]);
///
/// let mut changes = Changes::default();
/// changes.insert("name", r#""Ada""#.to_owned());
/// let visit = Visit { now: 1_893_456_000, expires_at: 1_893_459_600 };
/// store.create(&key, Write::new(&changes, visit)).await?;
///
/// let record = store.load(&key, 1_893_459_600).await?.live().expect("it lives to its last second");
/// assert_eq!(record.entries.get("name"), Some(r#""Ada""#));
/// assert!(store.load(&key, 1_893_459_601).await?.live().is_none());
/// # Ok(())
/// # }
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # assert!(matches!(std::pin::pin!(example()).poll(&mut context), std::task::Poll::Ready(Ok(()))));
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

/// The sessions, which the clones of a store share.
///
/// To avoid deadlocks, every operation takes locks in one order: first the shards by position, then an owner.
struct Shared {
    shards: Box<[Mutex<Shard>]>,
    owners: Owners,
    /// How many bytes one shard may use.
    shard_bytes: usize,
    pressure: Pressure,
}

impl MemoryStore {
    /// Creates an empty store that uses at most 1 GiB.
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// use session_stores::MemoryStore;
    ///
    /// async fn count(session: Session) -> Result<String, Error> {
    ///     let visits = session.get("visits")?.unwrap_or(0) + 1;
    ///     session.insert("visits", visits)?;
    ///     Ok(visits.to_string())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let layer = SessionLayer::stored(MemoryStore::new(), Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(count)).layer(layer));
    /// assert_eq!(client.get("/").await.text(), "1");
    /// assert_eq!(client.get("/").await.text(), "2");
    /// # }
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::limited_to(DEFAULT_BYTES)
    }

    /// Creates an empty store that uses at most about this many bytes.
    ///
    /// A session uses about 170 bytes more than its text, and about 340 bytes more if it has an owner.
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use session_axum::{Error, Keys, Session, SessionLayer, testing::Client};
    /// use session_stores::MemoryStore;
    ///
    /// async fn fill(session: Session) -> Result<(), Error> {
    ///     session.insert("notes", "x".repeat(20_000))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let layer = SessionLayer::stored(MemoryStore::limited_to(10_000), Keys::generate());
    /// let client = Client::new(Router::new().route("/", get(fill)).layer(layer));
    /// assert_eq!(client.get("/").await.status(), 500, "one session is larger than the whole store");
    /// # }
    /// ```
    #[must_use]
    pub fn limited_to(bytes: usize) -> Self {
        let count = (bytes / SHARD_BYTES).max(1);
        let shared = Shared {
            shards: (0..count).map(|_| Mutex::default()).collect(),
            owners: Owners::new(count),
            shard_bytes: bytes / count,
            pressure: Pressure::default(),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

session_core::opaque_debug!(MemoryStore);

impl SessionStore for MemoryStore {
    fn load<'a>(&'a self, key: &'a RecordKey, now: u64) -> StoreFuture<'a, Lookup> {
        Box::pin(async move { self.shared.look_up(key, now) })
    }

    fn look_up<'a>(&'a self, keys: &'a [RecordKey], now: u64) -> StoreFuture<'a, Vec<Lookup>> {
        Box::pin(async move {
            let found = keys.iter().map(|key| self.shared.look_up(key, now).unwrap_or(Lookup::Unknown));
            Ok(found.collect())
        })
    }

    fn create<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, ()> {
        Box::pin(async move { self.shared.create(key, write) })
    }

    fn update<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(async move { self.shared.rewrite(key, key, write) })
    }

    fn touch<'a>(&'a self, key: &'a RecordKey, visit: Visit) -> StoreFuture<'a, bool> {
        Box::pin(async move { Ok(self.shared.touch(key, visit)) })
    }

    fn rename<'a>(&'a self, from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(async move { self.shared.rewrite(from, to, write) })
    }

    fn delete<'a>(&'a self, key: &'a RecordKey, end: End, now: u64) -> StoreFuture<'a, bool> {
        Box::pin(async move { Ok(self.shared.delete(key.id(), |slot| slot.stored.belongs_to(key), end, now)) })
    }

    fn delete_expired(&self, now: u64) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let mut removed = 0;
            for shard in &self.shared.shards {
                removed += self.shared.sweep(shard, now).await;
            }
            Ok(removed)
        })
    }

    fn list<'a>(&'a self, owner: Owner<'a>, now: u64, limit: u64) -> StoreFuture<'a, Vec<SessionInfo>> {
        Box::pin(async move { Ok(self.shared.list(owner, now, limit).await) })
    }

    fn count<'a>(&'a self, owner: Owner<'a>, now: u64) -> StoreFuture<'a, u64> {
        Box::pin(async move { Ok(self.shared.visits(owner, now).await.len() as u64) })
    }

    fn all<'a>(&'a self, now: u64, cursor: Option<&'a Cursor>) -> StoreFuture<'a, Page> {
        Box::pin(async move { Ok(self.shared.all(now, cursor)) })
    }

    fn delete_by_id(&self, id: SessionId, now: u64) -> StoreFuture<'_, bool> {
        Box::pin(async move { Ok(self.shared.delete(id, |_| true, End::Deleted, now)) })
    }

    fn delete_by_owner<'a>(&'a self, owner: Owner<'a>, spared: Spared, now: u64) -> StoreFuture<'a, u64> {
        Box::pin(async move { Ok(self.shared.delete_by_owner(owner, spared, now)) })
    }

    fn delete_by_application<'a>(&'a self, application: &'a str, now: u64) -> StoreFuture<'a, u64> {
        Box::pin(async move { Ok(self.shared.delete_by_application(application, now)) })
    }
}

impl Shared {
    fn look_up(&self, key: &RecordKey, now: u64) -> Result<Lookup, StoreError> {
        let copied = self.shard(key.id()).look_up(key, now);
        copied.read(key)
    }

    fn create(&self, key: &RecordKey, write: Write<'_>) -> Result<(), StoreError> {
        check_texts(write)?;
        let slot = Slot::created(key, write);
        self.check_size(&slot)?;
        let mut shard = self.shard(key.id());
        match shard.look_up(key, write.visit.now) {
            Copied::Live(_) => return Ok(()),
            Copied::Ended(_) => return Err(StoreError::new(StoreErrorKind::Refused, HAS_ENDED)),
            Copied::Expired | Copied::Unknown => {}
        }
        if shard.has_live(key.id(), write.visit.now) {
            return Err(StoreError::new(StoreErrorKind::Refused, ID_IS_TAKEN));
        }
        self.take_out(&mut shard, key.id());
        self.put(&mut shard, key.id(), slot, write.visit.now);
        Ok(())
    }

    /// Applies `write` to the record under `from`, and moves the record to `to`.
    fn rewrite(&self, from: &RecordKey, to: &RecordKey, write: Write<'_>) -> Result<Updated, StoreError> {
        check_texts(write)?;
        let now = write.visit.now;
        let mut shards = self.lock_both(from.id(), to.id());
        let Some(slot) = shards.first().live(from, now) else {
            let moved = shards.last().live(to, now);
            return Ok(moved.map_or(Updated::Gone, |slot| Updated::Written { version: slot.stored.version() }));
        };
        if write.only_if_unchanged && write.base.is_none_or(|read| read.version != slot.stored.version()) {
            return Ok(Updated::Conflict);
        }
        let before = slot.clone().into_record(from.id())?;
        let leaves_nothing = write.leaves_nothing_of(&before);
        let after = Slot::rewritten(to, &before, write);
        if !leaves_nothing {
            self.check_size(&after)?;
        }
        if from.id() != to.id() {
            shards.first().bury(*from, write.former_end(*to), now);
        }
        if leaves_nothing {
            self.take_out(shards.first(), from.id());
            return Ok(Updated::Removed);
        }
        let version = after.stored.version();
        self.move_to(&mut shards, from.id(), to.id(), after, now);
        Ok(Updated::Written { version })
    }

    fn touch(&self, key: &RecordKey, visit: Visit) -> bool {
        self.shard(key.id()).live_mut(key, visit.now).map(|slot| slot.touch(visit)).is_some()
    }

    fn delete(&self, id: SessionId, is_meant: impl FnOnce(&Slot) -> bool, end: End, now: u64) -> bool {
        let mut shard = self.shard(id);
        shard.get(id).is_some_and(|slot| slot.is_live(now) && is_meant(slot)) && self.end(&mut shard, id, end, now)
    }

    /// Removes a session, and leaves a tombstone.
    fn end(&self, shard: &mut Shard, id: SessionId, end: End, now: u64) -> bool {
        let Some(key) = shard.get(id).map(|slot| slot.stored.key(id)) else { return false };
        shard.bury(key, end, now);
        self.take_out(shard, id)
    }

    /// Removes the sessions of one shard that expired more than a day ago, and the tombstones that are over. Returns
    /// the number of removed sessions and tombstones.
    ///
    /// The search for expired sessions is quick. The sessions are removed in small parts with a pause after each part,
    /// so that requests do not wait for the whole sweep. The pause is tokio's `yield_now`, because it lets tokio poll
    /// the sockets. With a plain wake-up, tokio would run this task some sixty times before it polls the sockets.
    async fn sweep(&self, shard: &Mutex<Shard>, now: u64) -> u64 {
        let mut removed = lock(shard).forget_ends(now) as u64;
        let Some(day_before) = now.checked_sub(EXPIRED_IS_KNOWN_FOR) else { return removed };
        let expired = lock(shard).expired(day_before);
        yield_now().await;
        for ids in expired.chunks(SWEPT_AT_ONCE) {
            removed += self.take_out_expired(&mut lock(shard), ids, day_before);
            yield_now().await;
        }
        if removed > 0 {
            lock(shard).shrink();
        }
        removed
    }

    /// Returns the live sessions of an owner, the latest visit first. Only the sessions in the list are copied. If one
    /// of them was renamed before it was copied, the list is made again.
    async fn list(&self, owner: Owner<'_>, now: u64, limit: u64) -> Vec<SessionInfo> {
        let mut infos = Vec::new();
        for _ in 0..MOST_ATTEMPTS {
            let mut visits = self.visits(owner, now).await;
            visits.sort_unstable_by_key(|visit| std::cmp::Reverse(*visit));
            visits.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            infos = visits.iter().filter_map(|(_, id)| self.info(*id, owner, now)).collect();
            if infos.len() == visits.len() {
                break;
            }
        }
        infos.sort_by_key(|info| std::cmp::Reverse(info.seen_at));
        infos
    }

    fn info(&self, id: SessionId, owner: Owner<'_>, now: u64) -> Option<SessionInfo> {
        let shard = self.shard(id);
        shard.get(id).filter(|slot| slot.is_live(now) && slot.belongs_to(owner)).map(|slot| slot.stored.info(id))
    }

    /// Returns the time of the last visit and the id of each live session of an owner. One session after another is
    /// looked at, so that an owner with very many sessions makes no other operation wait.
    async fn visits(&self, owner: Owner<'_>, now: u64) -> Vec<(u64, SessionId)> {
        let (mut visits, mut known) = (Vec::new(), Vec::new());
        // A session may be renamed in the meantime. Its new id is in the index before the old one is gone, so the next
        // round finds it. The loop ends with a round that finds no other ids than the round before.
        loop {
            let ids = self.owners.of(owner);
            let new: Vec<_> = ids.iter().filter(|id| known.binary_search(*id).is_err()).copied().collect();
            if new.is_empty() {
                return visits;
            }
            if !known.is_empty() {
                visits.retain(|(_, id)| ids.binary_search(id).is_ok());
            }
            for (number, part) in new.chunks(READ_AT_ONCE).enumerate() {
                if number > 0 {
                    yield_now().await;
                }
                visits.extend(part.iter().filter_map(|id| self.visit(*id, owner, now)));
            }
            known = ids;
        }
    }

    fn visit(&self, id: SessionId, owner: Owner<'_>, now: u64) -> Option<(u64, SessionId)> {
        let shard = self.shard(id);
        let slot = shard.get(id).filter(|slot| slot.is_live(now) && slot.belongs_to(owner))?;
        Some((slot.stored.seen_at(), id))
    }

    /// Returns the live sessions of one shard. The cursor is the position of the shard.
    fn all(&self, now: u64, cursor: Option<&Cursor>) -> Page {
        let position = cursor.map_or(Ok(0), |cursor| cursor.as_str().parse()).unwrap_or(usize::MAX);
        let Some(shard) = self.shards.get(position) else { return Page { sessions: Vec::new(), next: None } };
        let sessions = lock(shard).all(now).map(|(id, slot)| slot.stored.info(id)).collect();
        let next = (position + 1 < self.shards.len()).then(|| Cursor::new((position + 1).to_string()));
        Page { sessions, next }
    }

    fn delete_by_owner(&self, owner: Owner<'_>, spared: Spared, now: u64) -> u64 {
        let (ids, mut shards) = self.lock_owned(owner);
        let began = |id: &SessionId| {
            let slot = shards.get(&self.position(*id))?.get(*id)?;
            (slot.is_live(now) && spared.id != Some(*id)).then(|| (slot.stored.created_at(), *id))
        };
        let mut began: Vec<_> = ids.iter().filter_map(began).collect();
        began.sort_unstable_by_key(|began| std::cmp::Reverse(*began));
        let ending = began.split_off(began.len().min(usize::try_from(spared.newest).unwrap_or(usize::MAX)));
        for (_, id) in &ending {
            if let Some(shard) = shards.get_mut(&self.position(*id)) {
                self.end(shard, *id, End::Deleted, now);
            }
        }
        ending.len() as u64
    }

    /// Ends all sessions of an application. All shards are locked, so that no session can move to a shard that is done.
    fn delete_by_application(&self, application: &str, now: u64) -> u64 {
        let mut shards: Vec<_> = self.shards.iter().map(lock).collect();
        let mut ended = 0;
        for shard in &mut shards {
            let is_meant = |slot: &Slot| slot.stored.application() == application;
            let ids: Vec<_> = shard.all(now).filter(|(_, slot)| is_meant(slot)).map(|(id, _)| id).collect();
            ended += ids.into_iter().filter(|id| self.end(shard, *id, End::Deleted, now)).count() as u64;
        }
        ended
    }

    /// Moves a changed record to another id.
    ///
    /// The new id is in the owner's index before the old id is removed from it. A request that reads the index in
    /// between finds at least one of the two ids. It then waits for the lock of that id's shard, which this operation
    /// holds.
    fn move_to(&self, shards: &mut Both<'_>, from: SessionId, to: SessionId, slot: Slot, now: u64) {
        let before = shards.first().remove(from);
        self.take_out(shards.last(), to);
        self.put(shards.last(), to, slot, now);
        let Some(owner) = before.as_ref().and_then(Slot::owner) else { return };
        let stays = from == to && shards.last().get(to).is_some_and(|slot| slot.owner() == Some(owner));
        if !stays {
            self.owners.remove(owner, from);
        }
    }

    fn put(&self, shard: &mut Shard, id: SessionId, slot: Slot, now: u64) {
        if let Some(owner) = slot.owner() {
            self.owners.insert(owner, id);
        }
        shard.insert(id, slot);
        if shard.bytes() > self.shard_bytes {
            let forget = |id, slot: &Slot| slot.owner().into_iter().for_each(|owner| self.owners.remove(owner, id));
            self.pressure.note(shard.make_room(id, now, self.shard_bytes, forget));
        }
    }

    fn take_out(&self, shard: &mut Shard, id: SessionId) -> bool {
        let slot = shard.remove(id);
        if let Some(owner) = slot.as_ref().and_then(Slot::owner) {
            self.owners.remove(owner, id);
        }
        slot.is_some()
    }

    /// Removes the sessions in `ids` that are still expired. A visit may have extended some of them since the search.
    fn take_out_expired(&self, shard: &mut Shard, ids: &[SessionId], now: u64) -> u64 {
        ids.iter().filter(|id| !shard.has_live(**id, now) && self.take_out(shard, **id)).count() as u64
    }

    fn check_size(&self, slot: &Slot) -> Result<(), StoreError> {
        if slot.bytes() <= self.shard_bytes { Ok(()) } else { Err(StoreError::new(StoreErrorKind::Refused, TOO_LARGE)) }
    }

    fn position(&self, id: SessionId) -> usize {
        // The middle bits of the hash. The shard's map uses the low bits for the place and the top seven for a tag, and
        // ids that agree in those bits would crowd into a part of the map.
        let bits = (ById.hash_one(id) >> 25) & u64::from(u32::MAX);
        usize::try_from((bits * self.shards.len() as u64) >> 32).unwrap_or_default()
    }

    fn shard(&self, id: SessionId) -> MutexGuard<'_, Shard> {
        lock(&self.shards[self.position(id)])
    }

    fn lock_both(&self, first: SessionId, last: SessionId) -> Both<'_> {
        let (first, last) = (self.position(first), self.position(last));
        if first == last {
            return Both { first: lock(&self.shards[first]), last: None };
        }
        let lower = lock(&self.shards[first.min(last)]);
        let upper = lock(&self.shards[first.max(last)]);
        if first < last { Both { first: lower, last: Some(upper) } } else { Both { first: upper, last: Some(lower) } }
    }

    /// Locks all sessions of an owner. Returns their ids, and the locked shards by position.
    fn lock_owned(&self, owner: Owner<'_>) -> (Vec<SessionId>, BTreeMap<usize, MutexGuard<'_, Shard>>) {
        // The index cannot be locked while the shards are, because the order of the locks is the other way round. So
        // the index is read first, then its shards are locked, then it is read again. If both reads agree, every
        // session that the owner has now is locked: none can end or be renamed. One that is created after the second
        // read, in another shard, counts as later than this operation.
        loop {
            let ids = self.owners.of(owner);
            let mut positions: Vec<usize> = ids.iter().map(|id| self.position(*id)).collect();
            positions.sort_unstable();
            positions.dedup();
            let shards = positions.into_iter().map(|position| (position, lock(&self.shards[position]))).collect();
            if self.owners.of(owner) == ids {
                return (ids, shards);
            }
        }
    }
}

/// Refuses a name of the application, an owner or a label that is too long for a record.
fn check_texts(write: Write<'_>) -> Result<(), StoreError> {
    let texts = [Some(write.application), write.changes.owner(), write.changes.label()];
    if texts.into_iter().flatten().all(|text| text.len() <= LONGEST_TEXT) {
        Ok(())
    } else {
        Err(StoreError::new(StoreErrorKind::Refused, TEXT_TOO_LONG))
    }
}

/// The locked shards of a rename's two keys. Both keys may be in one shard.
struct Both<'a> {
    first: MutexGuard<'a, Shard>,
    last: Option<MutexGuard<'a, Shard>>,
}

impl Both<'_> {
    fn first(&mut self) -> &mut Shard {
        &mut self.first
    }

    fn last(&mut self) -> &mut Shard {
        self.last.as_mut().unwrap_or(&mut self.first)
    }
}

/// Locks a mutex and ignores poisoning: no code here panics between two changes that belong together, so the data is
/// consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const DEFAULT_BYTES: usize = 1 << 30;

/// The limit for one shard. It is small enough that a request does not wait long while another one walks through a
/// whole shard.
const SHARD_BYTES: usize = 4 << 20;

const SWEPT_AT_ONCE: usize = 128;

const TOO_LARGE: &str = "the session is larger than `MemoryStore` allows: 4 MiB, or its whole limit if that is less";

/// How many sessions of an owner are looked at before other tasks get their turn.
const READ_AT_ONCE: usize = 1_024;

/// How often a list is made before it may leave out a session that was renamed in the meantime.
const MOST_ATTEMPTS: usize = 1_000;

const TEXT_TOO_LONG: &str = "the application's name, the owner or the label has more than 65,534 bytes";

const HAS_ENDED: &str = "the session has ended";

const ID_IS_TAKEN: &str = "another session has this id already";

#[cfg(test)]
mod tests;
