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

use crate::error::Error;

/// Lets the updates of one record run one after the other, in the order of arrival.
///
/// An update is written only if no other one came in between. Many requests that update one record at the same time
/// would otherwise all read it and all write, and each round would have one winner. The records of other sessions do not
/// wait. Updates of other processes can still come in between.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<ByKey>>);

/// The records that are being updated, by the hash of their key.
type ByKey = HashMap<[u8; 32], Arc<Turnstile<()>>>;

impl Turns {
    /// Waits for a turn. It is an error if the turn does not come before the deadline.
    pub(super) async fn wait(&self, key: &RecordKey, deadline: Instant) -> Result<Turn, Error> {
        let turnstile = Arc::clone(self.lock().entry(*key.hash()).or_default());
        let mut turn = Turn { guard: None, turnstile, key: *key.hash(), turns: self.clone(), has_waited: false };
        let guard = match Arc::clone(&turn.turnstile).try_lock_owned() {
            Ok(guard) => guard,
            Err(_) => {
                turn.has_waited = true;
                let waiting = timeout_at(deadline, Arc::clone(&turn.turnstile).lock_owned()).await;
                waiting.map_err(|_| Error::too_many_writes())?
            }
        };
        turn.guard = Some(guard);
        Ok(turn)
    }

    fn lock(&self) -> MutexGuard<'_, ByKey> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A turn, or the wait for one.
pub(crate) struct Turn {
    guard: Option<OwnedMutexGuard<()>>,
    turnstile: Arc<Turnstile<()>>,
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
        // The map has one, and this turn the other.
        if Arc::strong_count(&self.turnstile) == 2 {
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
        let first = turns.wait(&key, soon()).await.unwrap();
        assert!(!first.has_waited && !turns.wait(&other, soon()).await.unwrap().has_waited);
        assert!(turns.wait(&key, soon()).await.is_err());
        assert_eq!(turns.lock().len(), 1);
        let (second, ()) = tokio::join!(turns.wait(&key, soon()), async { drop(first) });
        assert!(second.unwrap().has_waited);
        assert!(turns.lock().is_empty());
    }
}
