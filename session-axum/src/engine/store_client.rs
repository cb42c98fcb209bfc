//! The layer's access to the session store: deadlines, a second attempt after a lost answer, and the removal of expired
//! records.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use session_core::{
    Clock, SessionId,
    store::{
        Record, RecordKey, SessionInfo, SessionStore, StoreError, StoreErrorKind, StoreFuture, Updated, Visit, Write,
    },
    unix_seconds,
};
use tokio::time::{Instant, interval_at, sleep, timeout_at};

use crate::error::{Chain, Error};

/// A client of a session store. Its clones use the same store.
#[derive(Clone)]
pub(crate) struct StoreClient {
    inner: Arc<dyn SessionStore>,
    pub(crate) timeout: Duration,
    pub(crate) sweep_every: Duration,
    is_swept: Arc<AtomicBool>,
}

impl StoreClient {
    pub(crate) fn new(store: impl SessionStore) -> Self {
        Self {
            inner: Arc::new(store),
            timeout: Duration::from_secs(2),
            sweep_every: Duration::from_secs(5 * 60),
            is_swept: Arc::default(),
        }
    }

    pub(crate) async fn load(&self, key: &RecordKey, now: u64) -> Result<Option<Record>, Error> {
        self.ask(Twice, || self.inner.load(key, now)).await
    }

    pub(crate) async fn create(&self, key: &RecordKey, write: Write<'_>) -> Result<(), Error> {
        self.ask(Twice, || self.inner.create(key, write)).await
    }

    pub(crate) async fn update(&self, key: &RecordKey, write: Write<'_>) -> Result<Updated, Error> {
        // Exact writes are not retried: after a lost answer, our own first attempt cannot be told from another
        // request's write.
        let times = if write.only_if_unchanged { Once } else { Twice };
        self.ask(times, || self.inner.update(key, write)).await
    }

    pub(crate) async fn touch(&self, key: &RecordKey, visit: Visit) -> Result<bool, Error> {
        self.ask(Twice, || self.inner.touch(key, visit)).await
    }

    pub(crate) async fn rename(&self, from: &RecordKey, to: &RecordKey, write: Write<'_>) -> Result<Updated, Error> {
        self.ask(Twice, || self.inner.rename(from, to, write)).await
    }

    pub(crate) async fn delete(&self, key: &RecordKey) -> Result<bool, Error> {
        self.ask(Twice, || self.inner.delete(key)).await
    }

    pub(crate) async fn list(&self, owner: &str, now: u64) -> Result<Vec<SessionInfo>, Error> {
        self.ask(Twice, || self.inner.list(owner, now)).await
    }

    pub(crate) async fn delete_by_id(&self, id: SessionId) -> Result<bool, Error> {
        self.ask(Twice, || self.inner.delete_by_id(id)).await
    }

    pub(crate) async fn delete_by_owner(&self, owner: &str) -> Result<u64, Error> {
        self.ask(Twice, || self.inner.delete_by_owner(owner)).await
    }

    /// Returns the store's answer, or an error if there is no answer before the deadline.
    async fn ask<'a, T>(&self, times: Times, operation: impl Fn() -> StoreFuture<'a, T>) -> Result<T, Error> {
        let deadline = Instant::now() + self.timeout;
        let attempts = async {
            match operation().await {
                Err(error) if error.kind() == StoreErrorKind::Unavailable && times == Twice => {
                    sleep(PAUSE).await;
                    operation().await
                }
                answer => answer,
            }
        };
        let answer = timeout_at(deadline, attempts).await;
        answer.unwrap_or_else(|late| Err(StoreError::new(StoreErrorKind::Unavailable, late))).map_err(Error::from)
    }

    /// Starts a task that removes expired records at intervals, unless such a task is already running. The task ends
    /// with the store.
    pub(crate) fn keep_swept(&self, clock: &Arc<dyn Clock>) {
        if self.is_swept.load(Relaxed) || self.is_swept.swap(true, Relaxed) {
            return;
        }
        let (store, clock, every) = (Arc::downgrade(&self.inner), Arc::clone(clock), self.sweep_every);
        let sweeping = Sweeping(Arc::clone(&self.is_swept));
        tokio::spawn(async move {
            let _sweeping = sweeping;
            let mut ticks = interval_at(Instant::now() + every, every);
            loop {
                ticks.tick().await;
                let Some(store) = store.upgrade() else { return };
                match store.delete_expired(unix_seconds(clock.now())).await {
                    Ok(removed) => tracing::debug!(removed, "expired sessions were removed"),
                    Err(error) => {
                        let error = Error::from(error);
                        tracing::warn!(error = %Chain(&error), "expired records could not be removed; the next sweep tries again");
                    }
                }
            }
        });
    }
}

/// A guard of the task. When the task ends, for example with its runtime, the guard notes that another task may start.
struct Sweeping(Arc<AtomicBool>);

impl Drop for Sweeping {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

/// The number of attempts for an operation if its answer is lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    Twice,
}
use Times::{Once, Twice};

/// The pause before the second attempt. During the pause, the store can replace a broken connection.
const PAUSE: Duration = Duration::from_millis(20);
