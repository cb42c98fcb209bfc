//! The memory of this process for sessions that it has moved out of a store.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use session_core::{SessionId, store::End};

use crate::engine::Arrival;

/// The sessions that this process has moved into cookies in the last minute. Requests of the same page come at once: all
/// but the first bring a former cookie to which the former store knows no session any more.
#[derive(Default)]
pub(super) struct JustMoved(Mutex<VecDeque<(SessionId, Arrival, u64)>>);

impl JustMoved {
    pub(super) fn note(&self, former: SessionId, arrival: Arrival, now: u64) {
        let mut known = self.known();
        known.retain(|(id, _, moved_at)| *id != former && End::is_known(*moved_at, now));
        known.push_back((former, arrival, now));
        if known.len() > MOST_JUST_MOVED {
            known.pop_front();
        }
    }

    pub(super) fn find(&self, former: SessionId, now: u64) -> Option<Arrival> {
        let known = self.known();
        let (_, arrival, moved_at) = known.iter().find(|(id, ..)| *id == former)?;
        End::is_known(*moved_at, now).then(|| arrival.clone())
    }

    pub(super) fn forget(&self, former: SessionId) {
        self.known().retain(|(id, ..)| *id != former);
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<(SessionId, Arrival, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many sessions are remembered that have just moved: a few MB.
const MOST_JUST_MOVED: usize = 1_024;
