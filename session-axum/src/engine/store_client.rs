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
    Clock, SessionId, SystemClock,
    store::{
        End, Lookup, Owner, RecordKey, SessionInfo, SessionStore, Spared, StoreError, StoreErrorKind, StoreFuture,
        Updated, Visit, Write,
    },
    unix_seconds,
};
#[cfg(feature = "encrypted")]
use session_core::{Keys, store::EncryptedStore};
use tokio::time::{Instant, interval_at, sleep, timeout, timeout_at};

use super::{
    store_settings::StoreSettings,
    turns::{Turn, Turns},
    watch::{Link, Watcher},
};
use crate::{
    error::{Chain, Error},
    observe,
};

/// A client of a session store. Its clones use the same store.
#[derive(Clone)]
pub(crate) struct StoreClient {
    inner: Arc<dyn SessionStore>,
    /// The application's store, which `inner` may encrypt for.
    #[cfg(feature = "encrypted")]
    plain: Arc<dyn SessionStore>,
    pub(crate) settings: StoreSettings,
    /// The name of the layer's application.
    pub(crate) application: Arc<str>,
    pub(crate) clock: Arc<dyn Clock>,
    is_swept: Arc<AtomicBool>,
    turns: Turns,
    watcher: Arc<Watcher>,
}

impl StoreClient {
    pub(crate) fn new(store: impl SessionStore) -> Self {
        let store: Arc<dyn SessionStore> = Arc::new(store);
        Self {
            #[cfg(feature = "encrypted")]
            plain: Arc::clone(&store),
            inner: store,
            settings: StoreSettings::default(),
            application: "".into(),
            clock: Arc::new(SystemClock),
            is_swept: Arc::default(),
            turns: Turns::default(),
            watcher: Arc::default(),
        }
    }

    /// Encrypts the values of the records with these keys, whatever keys were set before.
    #[cfg(feature = "encrypted")]
    pub(crate) fn encrypt_records(&mut self, keys: &Keys) {
        self.inner = Arc::new(EncryptedStore::new(Arc::clone(&self.plain), keys));
    }

    pub(crate) async fn load(&self, key: &RecordKey, now: u64) -> Result<Lookup, Error> {
        let lookup = self.ask("load", Twice, || self.inner.load(key, now)).await?;
        if self.can_read(&lookup) {
            return Ok(lookup);
        }
        Err(StoreError::new(StoreErrorKind::Unreadable, ENCRYPTED).into())
    }

    pub(crate) async fn look_up(&self, keys: &[RecordKey], now: u64) -> Result<Vec<Lookup>, Error> {
        let mut lookups = self.ask("look_up", Twice, || self.inner.look_up(keys, now)).await?;
        for lookup in &mut lookups {
            if !self.can_read(lookup) {
                *lookup = Lookup::Unknown;
            }
        }
        Ok(lookups)
    }

    /// Returns whether this layer can read what was found. A layer without the keys of an encrypted record must not take
    /// the encrypted values for values.
    fn can_read(&self, lookup: &Lookup) -> bool {
        #[cfg(feature = "encrypted")]
        let encrypts = self.settings.record_keys.is_some();
        #[cfg(not(feature = "encrypted"))]
        let encrypts = false;
        encrypts || !matches!(lookup, Lookup::Live(record) if record.entries.metadata().is_sealed())
    }

    pub(crate) async fn create(&self, key: &RecordKey, write: Write<'_>) -> Result<(), Error> {
        self.ask("create", Twice, || self.inner.create(key, self.ours(write))).await
    }

    pub(crate) async fn update(&self, key: &RecordKey, write: Write<'_>) -> Result<Updated, Error> {
        // Exact writes are not retried: after a lost answer, our own first attempt cannot be told from another
        // request's write.
        let times = if write.only_if_unchanged { Once } else { Twice };
        self.ask("update", times, || self.inner.update(key, self.ours(write))).await
    }

    /// Waits until no other request of this process updates the record, at most until the deadline.
    pub(crate) async fn turn(&self, key: &RecordKey, deadline: Instant) -> Turn {
        self.turns.wait(key, deadline).await
    }

    pub(crate) async fn touch(&self, key: &RecordKey, visit: Visit) -> Result<bool, Error> {
        self.ask("touch", Twice, || self.inner.touch(key, visit)).await
    }

    pub(crate) async fn rename(&self, from: &RecordKey, to: &RecordKey, write: Write<'_>) -> Result<Updated, Error> {
        self.ask("rename", Twice, || self.inner.rename(from, to, self.ours(write))).await
    }

    pub(crate) async fn delete(&self, key: &RecordKey, end: End, now: u64) -> Result<bool, Error> {
        self.ask("delete", Twice, || self.inner.delete(key, end, now)).await
    }

    pub(crate) async fn list(&self, owner: &str, now: u64, limit: u64) -> Result<Vec<SessionInfo>, Error> {
        self.ask("list", Twice, || self.inner.list(self.owner(owner), now, limit)).await
    }

    pub(crate) async fn count(&self, owner: &str, now: u64) -> Result<u64, Error> {
        self.ask("count", Twice, || self.inner.count(self.owner(owner), now)).await
    }

    pub(crate) async fn delete_by_id(&self, id: SessionId, now: u64) -> Result<bool, Error> {
        self.ask("delete_by_id", Twice, || self.inner.delete_by_id(id, now)).await
    }

    pub(crate) async fn delete_by_owner(&self, owner: &str, spared: Spared, now: u64) -> Result<u64, Error> {
        self.ask("delete_by_owner", Twice, || self.inner.delete_by_owner(self.owner(owner), spared, now)).await
    }

    pub(crate) async fn delete_by_application(&self, now: u64) -> Result<u64, Error> {
        self.ask("delete_by_application", Twice, || self.inner.delete_by_application(&self.application, now)).await
    }

    /// Returns the key of the entry in a list of revocations that ends all sessions of an owner.
    pub(crate) fn key_of_owner(&self, owner: &str) -> RecordKey {
        RecordKey::of_revoked_owner(self.owner(owner))
    }

    /// Returns the key of the entry in a list of revocations that ends all sessions of the application.
    pub(crate) fn key_of_all(&self) -> RecordKey {
        RecordKey::of_revoked_application(&self.application)
    }

    /// Watches the session of a detached handle, until it ends or the handle is dropped.
    pub(crate) fn watch(&self, link: &Arc<Link>) {
        self.watcher.add(link, self);
    }

    /// Returns a client of the same store for another application.
    pub(crate) fn for_application(&self, name: &str) -> Self {
        Self { application: name.into(), ..self.clone() }
    }

    fn owner<'a>(&'a self, name: &'a str) -> Owner<'a> {
        Owner { application: &self.application, name }
    }

    /// Returns the write of this layer's application.
    fn ours<'a>(&'a self, write: Write<'a>) -> Write<'a> {
        Write { application: &self.application, ..write }
    }

    /// Returns the store's answer, or an error if there is no answer before the deadline.
    async fn ask<'a, T>(
        &self,
        name: &'static str,
        times: Times,
        operation: impl Fn() -> StoreFuture<'a, T>,
    ) -> Result<T, Error> {
        self.keep_swept();
        let (began, limit) = (std::time::Instant::now(), self.settings.timeout());
        let deadline = Instant::now() + limit;
        let mut first_error = None;
        let attempts = async {
            match operation().await {
                Err(error) if error.kind() == StoreErrorKind::Unavailable && times == Twice => {
                    first_error = Some(error);
                    sleep(PAUSE).await;
                    operation().await
                }
                answer => answer,
            }
        };
        let answer = match timeout_at(deadline, attempts).await {
            Ok(answer) => answer,
            // The error of the first attempt names the server and the cause.
            Err(_) => Err(first_error.unwrap_or_else(|| no_answer(limit, began.elapsed()))),
        };
        observe::store_call(name, began, answer.as_ref().err().map(StoreError::kind));
        answer.map_err(Error::from)
    }

    /// Starts a task that removes expired records at intervals, unless such a task is already running. The task ends
    /// with the store.
    fn keep_swept(&self) {
        let Some(every) = self.settings.sweep_every() else { return };
        if self.is_swept.load(Relaxed) || self.is_swept.swap(true, Relaxed) {
            return;
        }
        let (store, clock) = (Arc::downgrade(&self.inner), Arc::clone(&self.clock));
        let sweeping = Sweeping(Arc::clone(&self.is_swept));
        tokio::spawn(async move {
            let _sweeping = sweeping;
            let mut ticks = interval_at(Instant::now() + every, every);
            loop {
                ticks.tick().await;
                let Some(store) = store.upgrade() else { return };
                sweep(&*store, unix_seconds(clock.now())).await;
            }
        });
    }
}

/// Removes expired records once.
async fn sweep(store: &dyn SessionStore, now: u64) {
    let began = std::time::Instant::now();
    let swept = timeout(SWEEP_LIMIT, store.delete_expired(now)).await;
    let swept = swept.unwrap_or_else(|_| Err(no_answer(SWEEP_LIMIT, began.elapsed())));
    observe::store_call("delete_expired", began, swept.as_ref().err().map(StoreError::kind));
    match swept {
        Ok(removed) => {
            tracing::debug!(
                name: "store.swept", target: "session_axum::store",
                removed, "expired sessions were removed"
            );
        }
        Err(error) => {
            let error = Error::from(error);
            tracing::warn!(
                name: "store.sweep_failed", target: "session_axum::store",
                error = %Chain(&error), "expired records could not be removed; the next sweep tries again"
            );
        }
    }
}

/// Returns the error of an operation that had no answer in time. `waited` is the time by the clock on the wall.
fn no_answer(limit: Duration, waited: Duration) -> StoreError {
    let why = if waited < limit / 2 { PAUSED } else { "" };
    StoreError::new(StoreErrorKind::Unavailable, format!("it did not answer within {limit:?}{why}"))
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

const ENCRYPTED: &str = "its values are encrypted, and this layer has no `encrypt_records`";

const PAUSED: &str = ", because the clock of this Tokio runtime is paused (`start_paused`) and goes on at once: let the clock \
                      run, or use `MemoryStore` in this test";

/// The pause before the second attempt. During the pause, the store can replace a broken connection.
const PAUSE: Duration = Duration::from_millis(20);

/// The longest time for one sweep. A sweep that takes longer goes on with the next one.
const SWEEP_LIMIT: Duration = Duration::from_secs(60);
