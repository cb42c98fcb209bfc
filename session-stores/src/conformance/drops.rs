//! Futures that are dropped before they are done: the browser disconnected, or a timeout passed.

use std::{
    pin::Pin,
    task::{Context, Waker},
};

use session_core::{
    Clock,
    store::{End, Lookup, SessionStore, Spared, StoreFuture, Updated, Visit},
};

use super::trial::{HOUR, Trial, answer, entries_of, fresh_key, fresh_owner, is_written, owner_of, renewed};

/// Operations that are dropped leave a store that works. The record is as it was before the operation, or as the
/// operation leaves it.
pub async fn dropped_operations_leave_a_store_that_works(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    for _ in 0..20 {
        let owner = fresh_owner();
        let (key, read) = trial.made_of(&trial.draft().set("a", "1").owner(&owner)).await;
        let draft = trial.draft().set("a", "2").set("b", "2");
        begin(store.load(&key, trial.now));
        begin(store.update(&key, draft.write(Some(&read))));
        begin(store.touch(&key, Visit { now: trial.now, expires_at: trial.now + HOUR }));
        begin(store.list(owner_of(&owner), trial.now, 100));
        begin(store.look_up(&[key, fresh_key()], trial.now));
        begin(store.create(&fresh_key(), draft.write(None)));
        let record = trial.read(&key).await;
        assert!([&[("a", "1")][..], &[("a", "2"), ("b", "2")]].contains(&&*entries_of(&record)));
        assert!(is_written(trial.update(&key, &record, &trial.draft().set("c", "3")).await));
        assert_eq!(trial.read(&key).await.entries.get("c"), Some("3"));
    }
}

/// A dropped rename is done as a whole or not at all. When the rename is repeated, it is done.
pub async fn a_dropped_rename_is_done_when_asked_again(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    for _ in 0..20 {
        let (from, read) = trial.made(&[("a", "1")]).await;
        let (to, draft) = (renewed(&from), trial.draft().renew().set("b", "2"));
        begin(store.rename(&from, &to, draft.write(Some(&read))));
        let found = answer(store.look_up(&[from, to], trial.now).await);
        let alive = found.iter().filter(|lookup| matches!(lookup, Lookup::Live(_))).count();
        assert_eq!(alive, 1, "a session that was being renamed is alive under one key");
        assert!(is_written(trial.rename(&from, &to, &read, &draft).await));
        assert!(!trial.exists(&from).await);
        assert_eq!(entries_of(&trial.read(&to).await), [("a", "1"), ("b", "2")]);
    }
}

/// A dropped deletion is done as a whole or not at all. When the deletion is repeated, it is done.
pub async fn a_dropped_delete_is_done_when_asked_again(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    for round in 0..20 {
        let owner = fresh_owner();
        let (key, read) = trial.made_of(&trial.draft().set("a", "1").owner(&owner)).await;
        match round % 3 {
            0 => begin(store.delete(&key, End::Deleted, trial.now)),
            1 => begin(store.delete_by_id(key.id(), trial.now)),
            _ => begin(store.delete_by_owner(owner_of(&owner), Spared::default(), trial.now)),
        }
        // The deletion may still happen between these two questions.
        let is_listed = !trial.listed(&owner).await.is_empty();
        let lookup = trial.lookup_at(&key, trial.now).await;
        let is_whole = match lookup {
            Lookup::Live(_) => is_listed,
            Lookup::Ended(end) => end == End::Deleted,
            Lookup::Expired | Lookup::Unknown => false,
        };
        assert!(is_whole, "a dropped deletion is done as a whole or not at all: {is_listed}, {lookup:?}");
        begin(store.delete_expired(0));
        trial.delete(&key).await;
        assert_eq!(trial.end_of(&key).await, Some(End::Deleted));
        assert_eq!(trial.update(&key, &read, &trial.draft().set("a", "2")).await, Updated::Gone);
        assert!(!trial.exists(&key).await && trial.listed(&owner).await.is_empty());
    }
}

/// Polls a future once, and drops it.
fn begin<T>(mut future: StoreFuture<'_, T>) {
    let _ = Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop()));
}
