//! The ends of sessions that this process remembers, for an engine that has no store to remember them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use session_core::{
    SessionId,
    store::{End, RecordKey},
};

/// The sessions that this process has ended in the last minute. Clones share the list.
#[derive(Clone, Default)]
pub(crate) struct Ends(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// The time of the last end, in seconds since 1970; 0 before the first one. Most requests come more than a minute
    /// later and need no lock.
    last: AtomicU64,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    by_id: HashMap<SessionId, (End, u64)>,
    /// The ids in the order in which they ended. The oldest are dropped first.
    order: VecDeque<SessionId>,
}

impl Ends {
    /// Notes that a session has ended. Returns how it had ended before.
    pub(super) fn note(&self, id: SessionId, end: End, now: u64) -> Option<End> {
        let mut ring = self.ring();
        let before = ring.find(id, now);
        ring.note(id, end, now);
        self.0.last.fetch_max(now, Relaxed);
        before
    }

    /// Notes that a session has ended, and with it the sessions that have its ids from rotations, unless it was rotated
    /// itself. Returns how it had ended before.
    pub(super) fn note_with_successors(&self, id: SessionId, end: End, now: u64) -> Option<End> {
        let successors = if successor(end).is_none() { self.successors(id, now) } else { Vec::new() };
        let before = self.note(id, end, now);
        for successor in successors {
            self.note(successor, end, now);
        }
        before
    }

    /// Notes that sessions end, unless `stops` says that the end of `continued` forbids it: then returns that end, and
    /// notes nothing. Two threads that end one session at the same time follow one another, so that one of them takes
    /// its values over.
    pub(super) fn note_all(
        &self,
        ending: &[(SessionId, End)],
        continued: Option<SessionId>,
        now: u64,
        stops: impl Fn(End) -> bool,
    ) -> Result<(), End> {
        let (mut ring, mut is_late) = (self.ring(), false);
        if let Some(end) = continued.and_then(|id| ring.find(id, now)).filter(|end| stops(*end)) {
            return Err(end);
        }
        for (id, end) in ending.iter().copied() {
            if end == End::Deleted && ring.find(id, now) == Some(End::Renewed) {
                is_late = true;
                continue;
            }
            for successor in ring.successors(id, now) {
                ring.note(successor, end, now);
            }
            ring.note(id, end, now);
        }
        drop(ring);
        self.0.last.fetch_max(now, Relaxed);
        if is_late {
            log_out_met_a_renewal();
        }
        Ok(())
    }

    /// Returns how a session ended, if this process has ended it in the last minute. A session that was rotated ends
    /// with its successor.
    pub(super) fn find(&self, id: SessionId, now: u64) -> Option<End> {
        self.may_know(now).then(|| self.ring().find(id, now)).flatten()
    }

    /// Returns the ids that a session has got from rotations in the last minute.
    pub(super) fn successors(&self, id: SessionId, now: u64) -> Vec<SessionId> {
        if self.may_know(now) { self.ring().successors(id, now) } else { Vec::new() }
    }

    fn may_know(&self, now: u64) -> bool {
        End::is_known(self.0.last.load(Relaxed), now)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn note(&mut self, id: SessionId, end: End, now: u64) {
        if self.by_id.insert(id, (end, now)).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > MOST {
            let oldest = self.order.pop_front();
            oldest.map(|id| self.by_id.remove(&id));
        }
    }

    fn find(&self, id: SessionId, now: u64) -> Option<End> {
        self.ends(id, now).last()
    }

    fn successors(&self, id: SessionId, now: u64) -> Vec<SessionId> {
        self.ends(id, now).filter_map(successor).collect()
    }

    /// Iterates over the end of the session, and then the end of each successor.
    fn ends(&self, id: SessionId, now: u64) -> impl Iterator<Item = End> {
        let known = move |id: SessionId| {
            self.by_id.get(&id).filter(|(_, ended_at)| End::is_known(*ended_at, now)).map(|(end, _)| *end)
        };
        std::iter::successors(known(id), move |end| known(successor(*end)?)).take(MOST_ROTATIONS)
    }
}

const fn successor(end: End) -> Option<SessionId> {
    match end {
        End::Rotated { successor } => Some(successor.id()),
        End::Deleted | End::Renewed => None,
    }
}

/// Logs that a log-out came too late for its session.
pub(super) fn log_out_met_a_renewal() {
    tracing::info!(
        name: "session.renewed_meanwhile", target: "session_axum::session",
        "a session was renewed while a log-out of it ran: the renewed session is another one, and stays alive until \
         its own log-out or its limits"
    );
}

/// Returns the end of a session in a cookie that was rotated. The engines with cookies know ids, and no keys of
/// records.
pub(crate) fn rotated_to(successor: SessionId) -> End {
    End::Rotated { successor: RecordKey::of_revocation(successor) }
}

/// The largest number of ends that are remembered: about 2 MB.
const MOST: usize = 16_384;

/// How many rotations in a row are followed, each within a minute of the one before.
pub(crate) const MOST_ROTATIONS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> SessionId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        SessionId::from_bytes(bytes)
    }

    #[test]
    fn an_end_is_known_for_a_minute() {
        let ends = Ends::default();
        assert_eq!(ends.find(id(1), 1_000), None);
        ends.note(id(1), End::Deleted, 1_000);
        assert_eq!(ends.find(id(1), 1_060), Some(End::Deleted));
        assert_eq!(ends.find(id(1), 1_061), None);
        assert_eq!(ends.find(id(2), 1_000), None);
        ends.note(id(2), End::Renewed, 1_050);
        assert_eq!(ends.find(id(1), 1_061), None, "an older end is over, although a newer one is known");
    }

    #[test]
    fn a_rotated_session_ends_with_its_successor() {
        let ends = Ends::default();
        ends.note(id(1), rotated_to(id(2)), 1_000);
        ends.note(id(2), rotated_to(id(3)), 1_001);
        assert_eq!(ends.find(id(1), 1_002), Some(rotated_to(id(3))));
        ends.note(id(3), End::Deleted, 1_003);
        assert_eq!(ends.find(id(1), 1_004), Some(End::Deleted));
    }

    #[test]
    fn a_session_ends_once_if_two_threads_end_it() {
        let ends = Ends::default();
        let end_it = |with: End| ends.note_all(&[(id(1), with)], Some(id(1)), 1_000, |_| true);
        assert_eq!(end_it(End::Renewed), Ok(()));
        assert_eq!(end_it(rotated_to(id(2))), Err(End::Renewed));
        assert_eq!(end_it(End::Renewed), Err(End::Renewed));
        assert_eq!(ends.find(id(1), 1_000), Some(End::Renewed));
        assert_eq!(ends.note(id(1), End::Deleted, 1_000), Some(End::Renewed));
        assert_eq!(ends.note(id(3), End::Deleted, 1_000), None);
    }

    #[test]
    fn the_oldest_ends_are_dropped_when_there_are_too_many() {
        let ends = Ends::default();
        for number in 0..=u32::try_from(MOST).unwrap() {
            ends.note(id(number), End::Deleted, 1_000);
        }
        assert_eq!(ends.find(id(0), 1_000), None);
        assert_eq!(ends.find(id(1), 1_000), Some(End::Deleted));
        assert_eq!(ends.ring().by_id.len(), MOST);
    }
}
