//! The ends of sessions that are still known.

use std::collections::{HashMap, VecDeque};

use session_core::{
    SessionId,
    store::{End, RecordKey},
};

use super::by_id::ById;

/// Tombstones by their public id. A search also compares the other half of the key, the hash of the secret.
#[derive(Default)]
pub(super) struct Tombstones {
    by_id: HashMap<SessionId, Tombstone, ById>,
    /// The ids in the order in which the sessions ended.
    order: VecDeque<SessionId>,
}

struct Tombstone {
    hash: [u8; 32],
    end: End,
    ended_at: u64,
}

impl Tombstones {
    /// Inserts a tombstone, and removes those that are over or too many.
    pub(super) fn insert(&mut self, key: RecordKey, end: End, now: u64) {
        self.forget(now);
        self.remove(key.id());
        // At the end, unless a clock went back.
        let at = self.order.partition_point(|id| self.by_id.get(id).is_some_and(|other| other.ended_at <= now));
        self.order.insert(at, key.id());
        self.by_id.insert(key.id(), Tombstone { hash: *key.hash(), end, ended_at: now });
        while self.order.len() > MOST {
            self.remove_oldest();
        }
    }

    /// Removes the tombstone of a session that lives again under its former id.
    pub(super) fn remove(&mut self, id: SessionId) {
        if self.by_id.remove(&id).is_some() {
            self.order.retain(|other| *other != id);
        }
    }

    pub(super) fn find(&self, key: &RecordKey, now: u64) -> Option<End> {
        let found = self.by_id.get(&key.id()).filter(|found| found.hash == *key.hash())?;
        End::is_known(found.ended_at, now).then_some(found.end)
    }

    /// Removes the tombstones that are no longer known, and returns how many.
    pub(super) fn forget(&mut self, now: u64) -> usize {
        let before = self.order.len();
        while let Some(oldest) = self.order.front()
            && !self.by_id.get(oldest).is_some_and(|found| End::is_known(found.ended_at, now))
        {
            self.remove_oldest();
        }
        before - self.order.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.order.len() * BYTES_OF_A_TOMBSTONE
    }

    /// Removes the oldest tombstones, until the others use at most this many bytes.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        while self.bytes() > bytes {
            self.remove_oldest();
        }
    }

    fn remove_oldest(&mut self) {
        let oldest = self.order.pop_front();
        oldest.map(|id| self.by_id.remove(&id));
    }
}

/// The largest number of tombstones in a shard: about 1 MB.
const MOST: usize = 8_192;

/// The bytes that a tombstone uses in both collections.
const BYTES_OF_A_TOMBSTONE: usize = 160;
