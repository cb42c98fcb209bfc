//! A shard: a part of the sessions that one lock protects.

use std::collections::HashMap;

use session_core::{
    SessionId,
    store::{End, Entries, Lookup, Owner, Record, RecordKey, StoreError, Visit, Write},
};

use super::{
    by_id::ById,
    stored::{Parts, Stored},
    tombstones::Tombstones,
};

/// Sessions by their public id. The record holds the other half of the key, the hash of the secret. A search by
/// key compares this hash too.
#[derive(Default)]
pub(super) struct Shard {
    slots: HashMap<SessionId, Slot, ById>,
    tombstones: Tombstones,
    bytes: usize,
}

/// A record with its last second. A search for expired sessions reads the last second without following a pointer.
#[derive(Clone)]
pub(super) struct Slot {
    pub(super) expires_at: u64,
    pub(super) stored: Stored,
}

/// What a shard has under a key, copied out of it.
pub(super) enum Copied {
    Live(Slot),
    Ended(End),
    Expired,
    Unknown,
}

impl Copied {
    pub(super) fn read(self, key: &RecordKey) -> Result<Lookup, StoreError> {
        Ok(match self {
            Self::Live(slot) => Lookup::Live(slot.into_record(key.id())?),
            Self::Ended(end) => Lookup::Ended(end),
            Self::Expired => Lookup::Expired,
            Self::Unknown => Lookup::Unknown,
        })
    }
}

impl Shard {
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.tombstones.bytes()
    }

    /// Looks for the record under `key`, and copies its bytes. The record is read from the copy without the lock.
    pub(super) fn look_up(&self, key: &RecordKey, now: u64) -> Copied {
        match self.get(key.id()).filter(|slot| slot.stored.belongs_to(key)) {
            Some(slot) if slot.is_live(now) => Copied::Live(slot.clone()),
            Some(_) => Copied::Expired,
            None => self.tombstones.find(key, now).map_or(Copied::Unknown, Copied::Ended),
        }
    }

    /// Iterates over the live sessions.
    pub(super) fn all(&self, now: u64) -> impl Iterator<Item = (SessionId, &Slot)> {
        self.slots.iter().filter(move |(_, slot)| slot.is_live(now)).map(|(id, slot)| (*id, slot))
    }

    /// Leaves a tombstone under the key of a session that has ended.
    pub(super) fn bury(&mut self, key: RecordKey, end: End, now: u64) {
        self.tombstones.insert(key, end, now);
    }

    /// Removes the tombstones that are no longer known, and returns how many.
    pub(super) fn forget_ends(&mut self, now: u64) -> usize {
        self.tombstones.forget(now)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Slot> {
        self.slots.get(&id)
    }

    pub(super) fn has_live(&self, id: SessionId, now: u64) -> bool {
        self.get(id).is_some_and(|slot| slot.is_live(now))
    }

    pub(super) fn live(&self, key: &RecordKey, now: u64) -> Option<&Slot> {
        self.get(key.id()).filter(|slot| slot.is_live(now) && slot.stored.belongs_to(key))
    }

    pub(super) fn live_mut(&mut self, key: &RecordKey, now: u64) -> Option<&mut Slot> {
        self.slots.get_mut(&key.id()).filter(|slot| slot.is_live(now) && slot.stored.belongs_to(key))
    }

    /// Inserts a slot, and replaces an earlier one under this id, or its tombstone.
    pub(super) fn insert(&mut self, id: SessionId, slot: Slot) {
        self.tombstones.remove(id);
        self.bytes += slot.bytes();
        if let Some(before) = self.slots.insert(id, slot) {
            self.bytes -= before.bytes();
        }
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Slot> {
        let slot = self.slots.remove(&id)?;
        self.bytes -= slot.bytes();
        Some(slot)
    }

    /// Returns the sessions that have expired at `now`.
    pub(super) fn expired(&self, now: u64) -> Vec<SessionId> {
        self.slots.iter().filter(|(_, slot)| !slot.is_live(now)).map(|(id, _)| *id).collect()
    }

    /// Removes expired sessions, and returns the number of removed sessions. Calls `forget` for each of
    /// them.
    pub(super) fn remove_expired(&mut self, now: u64, mut forget: impl FnMut(SessionId, &Slot)) -> usize {
        let (before, mut freed) = (self.slots.len(), 0);
        self.slots.retain(|id, slot| {
            let stays = slot.is_live(now);
            if !stays {
                freed += slot.bytes();
                forget(*id, slot);
            }
            stays
        });
        self.bytes -= freed;
        before - self.slots.len()
    }

    /// Removes tombstones that are over and expired sessions, and then more until enough memory is free: the oldest
    /// tombstones, of which an eighth of the limit stays; sessions without an owner whose visitors never came back; and
    /// the other sessions. Sessions go in the order of their last visits, and `newest` stays. Returns the number of
    /// live sessions that it removed.
    pub(super) fn make_room(
        &mut self,
        newest: SessionId,
        now: u64,
        limit: usize,
        mut forget: impl FnMut(SessionId, &Slot),
    ) -> usize {
        // Sorting a whole shard by age is slow. So a sixteenth of the limit is freed at once, and the next hundreds of
        // writes find room without sorting again. Exact order over all shards would need all their locks: each shard
        // evicts its own oldest, which is nearly the same, since ids are random.
        let (goal, mut evicted) = (limit - limit / 16, 0);
        self.forget_ends(now);
        self.remove_expired(now, &mut forget);
        // Without its tombstone, an ended session is unknown a little earlier than after its minute. It does not come
        // back: only `create` makes a record, and callers create under keys that they have just drawn. What a late
        // request writes under the former key finds no record, as before.
        self.tombstones.shrink_to((limit / 8).max(goal.saturating_sub(self.bytes)));
        if self.bytes() <= goal {
            return 0;
        }
        let rank = |slot: &Slot| (!slot.stored.is_of_a_stranger(), slot.stored.seen_at());
        let mut by_rank: Vec<_> = self.slots.iter().map(|(id, slot)| (rank(slot), *id)).collect();
        by_rank.sort_unstable();
        for id in by_rank.into_iter().map(|(_, id)| id).filter(|id| *id != newest) {
            if self.bytes() <= goal {
                break;
            }
            if let Some(slot) = self.remove(id) {
                forget(id, &slot);
            }
            evicted += 1;
        }
        evicted
    }

    /// Gives memory back if most of the map is empty.
    pub(super) fn shrink(&mut self) {
        if self.slots.capacity() > 64 + 4 * self.slots.len() {
            self.slots.shrink_to(2 * self.slots.len());
        }
    }
}

impl Slot {
    pub(super) fn created(key: &RecordKey, write: Write<'_>) -> Self {
        let parts = Parts {
            key,
            created_at: write.created_at,
            seen_at: write.visit.now,
            version: 1,
            application: write.application,
            owner: write.changes.owner(),
            label: write.changes.label(),
        };
        Self { expires_at: write.visit.expires_at, stored: Stored::new(&parts, write.changes, &Entries::NONE) }
    }

    pub(super) fn rewritten(key: &RecordKey, before: &Record, write: Write<'_>) -> Self {
        let parts = Parts {
            key,
            created_at: write.created_at,
            seen_at: before.seen_at.max(write.visit.now),
            version: before.version + 1,
            application: write.application,
            owner: write.owner_after(before),
            label: write.label_after(before),
        };
        Self { expires_at: write.end_after(before), stored: Stored::new(&parts, write.changes, &before.entries) }
    }

    pub(super) const fn is_live(&self, now: u64) -> bool {
        now <= self.expires_at
    }

    pub(super) fn owner(&self) -> Option<Owner<'_>> {
        self.stored.owner().map(|name| Owner { application: self.stored.application(), name })
    }

    pub(super) fn belongs_to(&self, owner: Owner<'_>) -> bool {
        self.owner() == Some(owner)
    }

    pub(super) fn touch(&mut self, visit: Visit) {
        self.expires_at = self.expires_at.max(visit.expires_at);
        self.stored.set_seen_at(self.stored.seen_at().max(visit.now));
    }

    pub(super) fn into_record(self, id: SessionId) -> Result<Record, StoreError> {
        self.stored.into_record(id, self.expires_at)
    }

    /// Returns how many bytes the session uses, including its share of the maps. The fixed parts were measured with a
    /// million sessions.
    pub(super) fn bytes(&self) -> usize {
        BYTES_OF_A_SLOT + self.stored.len() + self.stored.owner().map_or(0, |owner| BYTES_OF_AN_OWNER + owner.len())
    }
}

const BYTES_OF_A_SLOT: usize = 104;
const BYTES_OF_AN_OWNER: usize = 112;
