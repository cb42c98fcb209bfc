//! A store that takes down what it is asked, and fails in the ways that stores fail.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use session_core::{
    SessionId,
    store::{
        Cursor, End, Lookup, Owner, Page, Record, RecordKey, SessionInfo, SessionStore, Spared, StoreError,
        StoreErrorKind, StoreFuture, Updated, Visit, Write,
    },
};
use session_stores::MemoryStore;

use super::polls::step;

/// A store with a window and a switch: one in memory, unless it is given another one. Its clones are the same store.
#[derive(Clone)]
pub(crate) struct Watched {
    inner: Arc<dyn SessionStore>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    calls: Vec<&'static str>,
    keys: Vec<RecordKey>,
    /// Whether the last update brought the record that it is based on.
    has_base: bool,
    fault: Option<(Fault, u32)>,
    /// Whether the next load still works.
    spares_load: bool,
    snapshot: Option<Record>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It says no, and will again.
    Refused,
    /// The connection is gone before it was asked.
    LostBefore,
    /// It did as it was asked, and the answer was lost.
    LostAfter,
    /// It takes five seconds, does as it was asked, and answers.
    Late,
    /// It does as it was asked, and answers when it is polled again.
    Yield,
    /// It waits for a poll before it does as it was asked, and for another one before it answers.
    Steps,
    /// What is there makes no sense.
    Unreadable,
    /// It answers with what was true when the fault began.
    Stale,
    /// It never answers.
    Hang,
    /// Another request always writes first.
    Conflict,
    /// It says of what it has ended that it has never heard of it.
    ForgetsEnds,
    /// It says that it deletes, and does not.
    KeepsDeleted,
}

impl Watched {
    pub(crate) fn new() -> Self {
        Self::of(Arc::new(MemoryStore::new()))
    }

    fn of(inner: Arc<dyn SessionStore>) -> Self {
        Self { inner, state: Arc::default() }
    }

    /// A store whose operations all wait for a poll, before and after.
    pub(crate) fn in_steps(inner: Arc<dyn SessionStore>) -> Self {
        let store = Self::of(inner);
        store.fail(Fault::Steps, u32::MAX);
        store
    }

    /// The next `times` operations go wrong.
    pub(crate) fn fail(&self, fault: Fault, times: u32) {
        self.state.lock().unwrap().fault = Some((fault, times));
    }

    /// The same for those that follow the next load.
    pub(crate) fn fail_after_load(&self, fault: Fault, times: u32) {
        self.fail(fault, times);
        self.state.lock().unwrap().spares_load = true;
    }

    pub(crate) fn recover(&self) {
        self.state.lock().unwrap().fault = None;
    }

    /// What it was asked since this was called last.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }

    /// Every key that it was shown.
    pub(crate) fn keys(&self) -> Vec<RecordKey> {
        self.state.lock().unwrap().keys.clone()
    }

    /// Whether the last update brought the record that it is based on, so that a database need not read it again.
    pub(crate) fn update_had_base(&self) -> bool {
        self.state.lock().unwrap().has_base
    }

    fn begin(&self, call: &'static str, key: Option<&RecordKey>) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        state.calls.push(call);
        state.keys.extend(key);
        if call == "load" && std::mem::take(&mut state.spares_load) {
            return None;
        }
        let (fault, times) = state.fault.as_mut()?;
        *times = times.checked_sub(1)?;
        Some(*fault)
    }

    fn ask<'a, T: Send + 'a>(
        &'a self,
        call: &'static str,
        key: Option<&RecordKey>,
        operation: impl FnOnce() -> StoreFuture<'a, T> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        let fault = self.begin(call, key);
        Box::pin(async move {
            match fault {
                None | Some(Fault::Stale | Fault::Conflict | Fault::ForgetsEnds | Fault::KeepsDeleted) => {
                    operation().await
                }
                Some(Fault::Hang) => std::future::pending().await,
                Some(Fault::Refused) => Err(StoreError::new(StoreErrorKind::Refused, "no such table")),
                Some(Fault::Unreadable) => Err(StoreError::new(StoreErrorKind::Unreadable, "format 2")),
                Some(Fault::LostBefore) => Err(lost()),
                Some(Fault::LostAfter) => operation().await.and(Err(lost())),
                Some(Fault::Yield) => {
                    let answer = operation().await;
                    tokio::task::yield_now().await;
                    answer
                }
                Some(Fault::Steps) => {
                    step().await;
                    let answer = operation().await;
                    step().await;
                    answer
                }
                Some(Fault::Late) => {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    operation().await
                }
            }
        })
    }
}

fn lost() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "connection reset by peer")
}

impl SessionStore for Watched {
    fn load<'a>(&'a self, key: &'a RecordKey, now: u64) -> StoreFuture<'a, Lookup> {
        let loaded = self.ask("load", Some(key), move || self.inner.load(key, now));
        Box::pin(async move {
            let lookup = loaded.await?;
            let mut state = self.state.lock().unwrap();
            if matches!(state.fault, Some((Fault::Stale, _))) {
                return Ok(state.snapshot.clone().map_or(Lookup::Unknown, Lookup::Live));
            }
            if matches!((&state.fault, &lookup), (Some((Fault::ForgetsEnds, _)), Lookup::Ended(_))) {
                return Ok(Lookup::Unknown);
            }
            state.snapshot = lookup.clone().live();
            Ok(lookup)
        })
    }

    fn look_up<'a>(&'a self, keys: &'a [RecordKey], now: u64) -> StoreFuture<'a, Vec<Lookup>> {
        self.state.lock().unwrap().keys.extend(keys);
        self.ask("look_up", None, move || self.inner.look_up(keys, now))
    }

    fn create<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, ()> {
        assert!(write.base.is_none(), "a new record is based on none");
        self.ask("create", Some(key), move || self.inner.create(key, write))
    }

    fn update<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        self.state.lock().unwrap().has_base = write.base.is_some();
        let updated = self.ask("update", Some(key), move || self.inner.update(key, write));
        let is_overtaken = matches!(self.state.lock().unwrap().fault, Some((Fault::Conflict, _)));
        if is_overtaken { Box::pin(async { Ok(Updated::Conflict) }) } else { updated }
    }

    fn touch<'a>(&'a self, key: &'a RecordKey, visit: Visit) -> StoreFuture<'a, bool> {
        self.ask("touch", Some(key), move || self.inner.touch(key, visit))
    }

    fn rename<'a>(&'a self, from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        assert!(write.base.is_some(), "a rename is based on what was read");
        self.ask("rename", Some(to), move || self.inner.rename(from, to, write))
    }

    fn delete<'a>(&'a self, key: &'a RecordKey, end: End, now: u64) -> StoreFuture<'a, bool> {
        let deleted = self.ask("delete", Some(key), move || self.inner.delete(key, end, now));
        let is_kept = matches!(self.state.lock().unwrap().fault, Some((Fault::KeepsDeleted, _)));
        if is_kept { Box::pin(async { Ok(true) }) } else { deleted }
    }

    fn delete_expired(&self, now: u64) -> StoreFuture<'_, u64> {
        self.ask("delete_expired", None, move || self.inner.delete_expired(now))
    }

    fn list<'a>(&'a self, owner: Owner<'a>, now: u64, limit: u64) -> StoreFuture<'a, Vec<SessionInfo>> {
        self.ask("list", None, move || self.inner.list(owner, now, limit))
    }

    fn count<'a>(&'a self, owner: Owner<'a>, now: u64) -> StoreFuture<'a, u64> {
        self.ask("count", None, move || self.inner.count(owner, now))
    }

    fn all<'a>(&'a self, now: u64, cursor: Option<&'a Cursor>) -> StoreFuture<'a, Page> {
        self.ask("all", None, move || self.inner.all(now, cursor))
    }

    fn delete_by_id(&self, id: SessionId, now: u64) -> StoreFuture<'_, bool> {
        self.ask("delete_by_id", None, move || self.inner.delete_by_id(id, now))
    }

    fn delete_by_owner<'a>(&'a self, owner: Owner<'a>, spared: Spared, now: u64) -> StoreFuture<'a, u64> {
        self.ask("delete_by_owner", None, move || self.inner.delete_by_owner(owner, spared, now))
    }

    fn delete_by_application<'a>(&'a self, application: &'a str, now: u64) -> StoreFuture<'a, u64> {
        self.ask("delete_by_application", None, move || self.inner.delete_by_application(application, now))
    }
}
