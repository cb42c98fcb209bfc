//! The index of sessions by owner.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
    sync::{Mutex, MutexGuard},
};

use session_core::{SessionId, store::Owner};

use super::{by_id::ById, lock};

/// The ids of each owner's sessions. It is only changed under the lock of the session's shard, so that the index and
/// the shard always agree.
pub(super) struct Owners {
    parts: Box<[Mutex<Part>]>,
    /// The hasher, which has a random seed. Owners come from users, who must not be able to choose names with the same
    /// hash.
    hasher: RandomState,
}

/// The owners by a text that has the application and the name.
type Part = HashMap<Box<str>, Ids>;

/// The ids of one owner. Most owners have one session, which needs no set.
enum Ids {
    One(SessionId),
    Many(HashSet<SessionId, ById>),
}

impl Owners {
    pub(super) fn new(parts: usize) -> Self {
        Self { parts: (0..parts).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    pub(super) fn insert(&self, owner: Owner<'_>, id: SessionId) {
        let owner = text_of(owner);
        let mut part = self.part(&owner);
        match part.get_mut(&*owner) {
            Some(ids) => ids.insert(id),
            None => drop(part.insert(owner.into(), Ids::One(id))),
        }
    }

    pub(super) fn remove(&self, owner: Owner<'_>, id: SessionId) {
        let owner = text_of(owner);
        let mut part = self.part(&owner);
        let is_last = part.get_mut(&*owner).is_some_and(|ids| ids.remove(id));
        if is_last {
            part.remove(&*owner);
        }
    }

    /// Returns the ids of the owner's sessions, sorted.
    pub(super) fn of(&self, owner: Owner<'_>) -> Vec<SessionId> {
        let owner = text_of(owner);
        let mut ids: Vec<_> = match self.part(&owner).get(&*owner) {
            Some(Ids::One(id)) => vec![*id],
            Some(Ids::Many(ids)) => ids.iter().copied().collect(),
            None => Vec::new(),
        };
        ids.sort_unstable();
        ids
    }

    fn part(&self, owner: &str) -> MutexGuard<'_, Part> {
        let hash = self.hasher.hash_one(owner) as usize;
        lock(&self.parts[hash % self.parts.len()])
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.parts.iter().map(|part| lock(part).len()).sum()
    }
}

/// Returns a text that no other owner has. The length shows where the application's name ends.
fn text_of(owner: Owner<'_>) -> String {
    format!("{}:{}{}", owner.application.len(), owner.application, owner.name)
}

impl Ids {
    fn insert(&mut self, id: SessionId) {
        match self {
            Self::One(one) if *one == id => {}
            Self::One(one) => *self = Self::Many([*one, id].into_iter().collect()),
            Self::Many(ids) => drop(ids.insert(id)),
        }
    }

    /// Removes an id, and returns whether it was the last id of the owner.
    fn remove(&mut self, id: SessionId) -> bool {
        match self {
            Self::One(one) => *one == id,
            Self::Many(ids) => {
                ids.remove(&id);
                ids.is_empty()
            }
        }
    }
}
