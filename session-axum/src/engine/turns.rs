//! The turns of the updates that this process makes of one record.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use session_core::store::RecordKey;
use tokio::{
    sync::{Mutex as Turnstile, OwnedMutexGuard},
    time::{Instant, timeout_at},
};

/// Lets the updates of one record run one after the other, in the order of arrival.
///
/// An update is written only if no other one came in between. Many requests that update one record at the same time
/// would otherwise all read it and all write, and each round would have one winner. The records of other sessions do
/// not wait. Updates of other processes can still come in between.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<ByKey>>);

/// The records that are being updated, by the hash of their key.
type ByKey = HashMap<[u8; 32], Arc<Turnstile<()>>>;

impl Turns {
    /// Waits for a turn, at most until the deadline. After it the update is tried without a turn: an update that was
    /// begun and is never polled again keeps its turn.
    pub(super) async fn wait(&self, key: &RecordKey, deadline: Instant) -> Turn {
        let turnstile = Arc::clone(self.lock().entry(*key.hash()).or_default());
        let (key, turns) = (*key.hash(), self.clone());
        let mut turn = Turn { guard: None, turnstile: Some(Arc::clone(&turnstile)), key, turns, has_waited: false };
        turn.guard = Arc::clone(&turnstile).try_lock_owned().ok();
        if turn.guard.is_none() {
            turn.has_waited = true;
            turn.guard = timeout_at(deadline, turnstile.lock_owned()).await.ok();
        }
        turn
    }

    fn lock(&self) -> MutexGuard<'_, ByKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn, or the wait for one.
pub(crate) struct Turn {
    guard: Option<OwnedMutexGuard<()>>,
    /// Empty when the turn is over.
    turnstile: Option<Arc<Turnstile<()>>>,
    key: [u8; 32],
    turns: Turns,
    /// Whether another request of this process had its turn in between.
    pub(crate) has_waited: bool,
}

impl Drop for Turn {
    /// Lets the next one pass, or forgets the record if there is none.
    fn drop(&mut self) {
        drop(self.guard.take());
        let mut turns = self.turns.lock();
        // Under the lock, so that of two turns that end together the second one sees that it is the last.
        drop(self.turnstile.take());
        if turns.get(&self.key).is_some_and(|turnstile| Arc::strong_count(turnstile) == 1) {
            turns.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use session_core::SessionId;

    use super::*;

    #[tokio::test]
    async fn nothing_stays_of_turns_that_are_over_or_were_given_up() {
        let turns = Turns::default();
        let key = RecordKey::of_secret(SessionId::random().unwrap(), &[7; 32]);
        let other = RecordKey::of_secret(SessionId::random().unwrap(), &[8; 32]);
        let soon = || Instant::now() + Duration::from_millis(50);
        let first = turns.wait(&key, soon()).await;
        assert!(!first.has_waited && !turns.wait(&other, soon()).await.has_waited);
        assert!(turns.wait(&key, soon()).await.guard.is_none(), "it goes on without a turn");
        assert_eq!(turns.lock().len(), 1);
        let (second, ()) = tokio::join!(turns.wait(&key, soon()), async { drop(first) });
        assert!(second.has_waited && second.guard.is_some());
        drop(second);
        assert!(turns.lock().is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_stays_of_turns_that_end_together() {
        let turns = Turns::default();
        let key = RecordKey::of_secret(SessionId::random().unwrap(), &[7; 32]);
        let tasks: Vec<_> = (0..2_000)
            .map(|_| {
                let turns = turns.clone();
                tokio::spawn(async move { drop(turns.wait(&key, Instant::now()).await) })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(turns.lock().is_empty());
    }
}
