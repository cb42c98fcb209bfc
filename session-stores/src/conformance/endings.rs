//! How a record ends: without its last key, by deletion, or by its time.

use session_core::{
    Clock,
    store::{SessionStore, Updated},
};

use super::trial::{HOUR, Trial, answer, entries_of, fresh_key, fresh_owner, is_written, renewed};

/// A record is removed with its last key.
pub async fn the_last_key_takes_the_record_along(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, read) = trial.made_of(&trial.draft().set("a", "1").label("Firefox")).await;
    assert_eq!(trial.update(&key, &read, &trial.draft().remove("a")).await, Updated::Removed);
    assert!(!trial.exists(&key).await && !trial.delete_by_id(key.id()).await);
    assert_eq!(trial.update(&key, &read, &trial.draft().set("b", "1")).await, Updated::Gone);
}

/// Metadata alone does not keep a record. The metadata in this test is an end that the application chose.
pub async fn terms_alone_keep_no_record(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, read) = trial.made(&[("$", r#"{"until":253402300799}"#), ("a", "1")]).await;
    assert_eq!(trial.update(&key, &read, &trial.draft().remove("a")).await, Updated::Removed);
    assert!(!trial.exists(&key).await);
}

/// A key that another request has added keeps the record.
pub async fn a_key_added_meanwhile_keeps_the_record(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, read) = trial.made(&[("a", "1")]).await;
    trial.update(&key, &read, &trial.draft().set("b", "1")).await;
    assert!(is_written(trial.update(&key, &read, &trial.draft().remove("a")).await));
    assert_eq!(entries_of(&trial.read(&key).await), [("b", "1")]);
}

/// One request removes the last key while another one adds a key. Both are written, or the request that adds a key gets
/// `Gone`.
pub async fn a_key_added_while_the_last_goes_is_kept_or_told(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    for _ in 0..20 {
        let (key, read) = trial.made(&[("a", "1")]).await;
        let (remove, add) = (trial.draft().remove("a"), trial.draft().set("b", "1"));
        let (removed, added) = tokio::join!(trial.update(&key, &read, &remove), trial.update(&key, &read, &add));
        assert_eq!(is_written(removed), is_written(added), "{removed:?}, {added:?}");
        assert_eq!(trial.exists(&key).await, is_written(added));
    }
}

/// An owner keeps a record without entries. The record may have the owner already, or the same write sets the owner.
pub async fn an_owner_keeps_a_record_without_entries(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let owner = fresh_owner();
    let (owned, read) = trial.made_of(&trial.draft().set("a", "1").owner(&owner)).await;
    assert!(is_written(trial.update(&owned, &read, &trial.draft().remove("a")).await));
    let (given, read) = trial.made(&[("a", "1")]).await;
    assert!(is_written(trial.update(&given, &read, &trial.draft().remove("a").owner(&owner)).await));
    assert_eq!(trial.listed(&owner).await.len(), 2);
    assert_eq!(entries_of(&trial.read(&owned).await), []);
}

/// The mark that the session's id is in use keeps a record without entries.
pub async fn a_held_id_keeps_a_record_without_entries(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, read) = trial.made(&[("$", r#"{"id":true}"#), ("a", "1")]).await;
    assert!(is_written(trial.update(&key, &read, &trial.draft().remove("a")).await));
    assert_eq!(entries_of(&trial.read(&key).await), [("$", r#"{"id":true}"#)]);
}

/// Clearing removes the owner, the label and all entries, also entries that the request did not read. Entries that are
/// set after the clearing stay.
pub async fn clearing_takes_everything_out(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let owner = fresh_owner();
    let (key, read) = trial.made_of(&trial.draft().set("a", "1").owner(&owner).label("Firefox")).await;
    trial.update(&key, &read, &trial.draft().set("unseen", "1")).await;
    assert!(is_written(trial.update(&key, &read, &trial.draft().clear(&read).set("c", "1")).await));
    let record = trial.read(&key).await;
    assert_eq!(entries_of(&record), [("c", "1")]);
    assert_eq!((record.owner, record.label), (None, None));
    assert!(trial.listed(&owner).await.is_empty());
}

/// Clearing keeps the metadata, and the owner and label that the same write sets.
pub async fn clearing_keeps_the_terms_and_what_comes_with_it(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (before, after) = (fresh_owner(), fresh_owner());
    let draft = trial.draft().set("$", r#"{"until":253402300799}"#).set("a", "1").owner(&before).label("old");
    let (key, read) = trial.made_of(&draft).await;
    let draft = trial.draft().clear(&read).owner(&after).label("new");
    assert!(is_written(trial.update(&key, &read, &draft).await));
    let record = trial.read(&key).await;
    assert_eq!(entries_of(&record), [("$", r#"{"until":253402300799}"#)]);
    assert_eq!((record.owner.as_deref(), record.label.as_deref()), (Some(&*after), Some("new")));
    assert!(trial.listed(&before).await.is_empty());
}

/// Clearing removes the record if neither entries nor an owner are left.
pub async fn clearing_all_there_is_removes_the_record(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let owner = fresh_owner();
    let (key, read) = trial.made_of(&trial.draft().set("a", "1").owner(&owner)).await;
    assert_eq!(trial.update(&key, &read, &trial.draft().clear(&read)).await, Updated::Removed);
    assert!(!trial.exists(&key).await && trial.listed(&owner).await.is_empty());
}

/// No operation finds a deleted record. A second deletion is not an error.
pub async fn a_deleted_record_is_gone(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let owner = fresh_owner();
    let (key, _) = trial.made_of(&trial.draft().set("a", "1").owner(&owner)).await;
    assert!(trial.delete(&key).await);
    assert!(!trial.delete(&key).await);
    assert!(!trial.exists(&key).await && !trial.delete_by_id(key.id()).await);
    assert!(trial.listed(&owner).await.is_empty());
    assert_eq!(trial.delete_by_owner(&owner).await, 0);
}

/// Deletion by a public id removes this session and leaves the owner's other sessions.
pub async fn a_session_deleted_by_its_id_is_gone(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let owner = fresh_owner();
    let (key, _) = trial.made_of(&trial.draft().set("a", "1").owner(&owner)).await;
    let (other, _) = trial.made_of(&trial.draft().set("a", "1").owner(&owner)).await;
    assert!(trial.delete_by_id(key.id()).await);
    assert!(!trial.delete_by_id(key.id()).await);
    assert!(!trial.exists(&key).await && !trial.delete(&key).await);
    assert_eq!(trial.listed(&owner).await, [other.id()]);
}

/// No write brings an ended session back, however it ended.
pub async fn nothing_comes_back_after_the_end(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    for ending in 0..4 {
        let owner = fresh_owner();
        let (key, read) = trial.made_of(&trial.draft().set("a", "1").owner(&owner)).await;
        let ended = match ending {
            0 => trial.delete(&key).await,
            1 => trial.delete_by_id(key.id()).await,
            2 => trial.delete_by_owner(&owner).await == 1,
            _ => trial.update(&key, &read, &trial.draft().clear(&read)).await == Updated::Removed,
        };
        assert!(ended);
        let (to, draft) = (renewed(&key), trial.draft().set("a", "2").owner(&owner));
        assert_eq!(trial.update(&key, &read, &draft).await, Updated::Gone);
        assert_eq!(trial.update(&key, &read, &draft.clone().exact()).await, Updated::Gone);
        assert!(!trial.touch(&key, trial.now, trial.now + HOUR).await);
        assert_eq!(trial.rename(&key, &to, &read, &draft.renew()).await, Updated::Gone);
        assert!(!trial.exists(&key).await && !trial.exists(&to).await);
        assert!(trial.listed(&owner).await.is_empty());
    }
}

/// An update, a visit and a deletion at the same time leave no record, in whatever order they happen.
pub async fn nothing_survives_a_concurrent_delete(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    for _ in 0..20 {
        let (key, read) = trial.made(&[("a", "1")]).await;
        let draft = trial.draft().set("b", "1");
        let visit = trial.touch(&key, trial.now + 1, trial.now + HOUR + 1);
        let (_, deleted, _) = tokio::join!(trial.update(&key, &read, &draft), trial.delete(&key), visit);
        assert!(deleted && !trial.exists(&key).await);
    }
}

/// A record is alive in its last second.
pub async fn the_last_second_is_alive(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (owner, last) = (fresh_owner(), trial.now + 60);
    let draft = trial.draft().set("a", "1").owner(&owner).visit(trial.now, last);
    let (key, read) = trial.made_of(&draft).await;
    assert!(trial.load_at(&key, last).await.is_some());
    assert_eq!(trial.listed_at(&owner, last).await, [key.id()]);
    assert!(trial.touch(&key, last, last).await);
    assert!(is_written(trial.update(&key, &read, &trial.draft().set("a", "2").visit(last, last)).await));
    let to = renewed(&key);
    assert!(is_written(trial.rename(&key, &to, &read, &trial.draft().renew().visit(last, last)).await));
    assert!(trial.load_at(&to, last).await.is_some());
}

/// One second after its last second, a record is not loaded, listed, changed, renamed or extended.
pub async fn the_second_after_is_over(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (owner, last) = (fresh_owner(), trial.now + 60);
    let draft = trial.draft().set("a", "1").owner(&owner).visit(trial.now, last);
    let (key, read) = trial.made_of(&draft).await;
    let (to, after) = (renewed(&key), last + 1);
    let late = trial.draft().set("a", "2").visit(after, after + HOUR);
    assert!(trial.load_at(&key, after).await.is_none());
    assert!(trial.listed_at(&owner, after).await.is_empty());
    assert!(!trial.touch(&key, after, after + HOUR).await);
    assert_eq!(trial.update(&key, &read, &late).await, Updated::Gone);
    assert_eq!(trial.update(&key, &read, &late.clone().exact()).await, Updated::Gone);
    assert_eq!(trial.rename(&key, &to, &read, &late.renew()).await, Updated::Gone);
    assert!(trial.load_at(&key, after).await.is_none() && trial.load_at(&to, after).await.is_none());
}

/// A sweep removes expired records, and keeps a record that is in its last second. If the server removes expired
/// records by itself, the store may return 0.
pub async fn a_sweep_takes_what_has_expired(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    // Earlier than the end of every record of the other tests.
    let sweep = trial.now - 2 * HOUR;
    let ending_at = |last: u64| trial.draft().set("a", "1").visit(sweep - HOUR, last);
    let (over, alive) = (fresh_key(), fresh_key());
    trial.create(&over, &ending_at(sweep - 1)).await;
    trial.create(&alive, &ending_at(sweep)).await;
    let swept = answer(store.delete_expired(sweep).await);
    assert!(trial.load_at(&over, sweep).await.is_none());
    assert!(trial.load_at(&alive, sweep).await.is_some());
    if swept > 0 {
        assert!(trial.load_at(&over, sweep - 1).await.is_none(), "the sweep said that it removed, and did not");
    }
    trial.delete(&alive).await;
}
