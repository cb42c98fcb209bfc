//! How a record ends: without its last key, by deletion, or by its time.

use session_core::{
    Clock,
    store::{ENDED_IS_KNOWN_FOR, EXPIRED_IS_KNOWN_FOR, End, Lookup, RecordKey, SessionStore, Updated},
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
    for round in 0..20 {
        let (key, read) = trial.made(&[("a", "1")]).await;
        let draft = trial.draft().set("b", "1");
        let visit = trial.touch(&key, trial.now + 1, trial.now + HOUR + 1);
        let (update, delete) = (trial.update(&key, &read, &draft), trial.delete(&key));
        // Whatever begins after the deletion finds nothing, so that in every second round nothing does.
        let deleted = match round % 2 {
            0 => tokio::join!(update, delete, visit).1,
            _ => tokio::join!(visit, update, delete).2,
        };
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

/// A sweep removes records that expired more than a day ago, and no record that is alive. If the server removes expired
/// records by itself, the store may return 0.
pub async fn a_sweep_takes_what_has_expired(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    // So early that a day later is before the end of every record of the other tests.
    let sweep = trial.now - 2 * HOUR;
    let day_before = sweep - EXPIRED_IS_KNOWN_FOR;
    let ending_at = |last: u64| trial.draft().set("a", "1").visit(day_before - HOUR, last);
    let (over, alive) = (fresh_key(), fresh_key());
    trial.create(&over, &ending_at(day_before - 1)).await;
    trial.create(&alive, &ending_at(sweep)).await;
    let swept = answer(store.delete_expired(sweep).await);
    assert!(trial.load_at(&over, sweep).await.is_none());
    assert!(trial.load_at(&alive, sweep).await.is_some());
    if swept > 0 {
        let lookup = trial.lookup_at(&over, sweep).await;
        assert!(matches!(lookup, Lookup::Unknown), "the sweep said that it removed, and did not");
    }
    trial.delete(&alive).await;
}

/// A sweep keeps expired records and tombstones to the last second in which they are known, and removes them in the next
/// one. If the server removes them by itself, the store may return 0.
///
/// It is one test, because two tests with such sweeps would disturb each other in a store that they share.
pub async fn a_sweep_takes_what_is_no_longer_known(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    // So early that the sweep leaves the tombstones of the other tests, and so late that a server still has this one.
    let ended_at = trial.now - ENDED_IS_KNOWN_FOR / 2;
    let last = ended_at + ENDED_IS_KNOWN_FOR;
    let (ended, _) = trial.made(&[("a", "1")]).await;
    assert!(answer(store.delete(&ended, End::Deleted, ended_at).await));
    let (expired, expired_at) = (fresh_key(), last - EXPIRED_IS_KNOWN_FOR);
    trial.create(&expired, &trial.draft().set("a", "1").visit(expired_at - HOUR, expired_at)).await;

    let mut swept = answer(store.delete_expired(last).await);
    assert_eq!(trial.end_at(&ended, last).await, Some(End::Deleted));
    let known = trial.lookup_at(&expired, last).await;

    swept += answer(store.delete_expired(last + 1).await);
    assert!(!trial.exists(&ended).await && !trial.delete(&ended).await);
    if swept > 0 {
        assert!(matches!(known, Lookup::Expired), "{known:?}");
        // At the times of their ends, because later they count as unknown in any case.
        for (key, at) in [(&ended, ended_at), (&expired, expired_at)] {
            let lookup = trial.lookup_at(key, at).await;
            assert!(matches!(lookup, Lookup::Unknown), "the sweep said that it removed, and did not: {lookup:?}");
        }
    }
}

/// A record that has expired is known as such for at least a day, also after a sweep.
pub async fn an_expired_session_is_known_as_such(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, _) = trial.made(&[("a", "1")]).await;
    let over = trial.now + HOUR + 1;
    assert!(matches!(trial.lookup_at(&key, over).await, Lookup::Expired));
    assert!(matches!(trial.lookup_at(&key, over + EXPIRED_IS_KNOWN_FOR - 1).await, Lookup::Expired));
    assert!(matches!(trial.lookup_at(&fresh_key(), over).await, Lookup::Unknown));
}

/// Every way to end a session leaves a tombstone under its key for one minute. After that, the store knows nothing.
pub async fn an_end_is_known_for_a_minute(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let now = trial.now;
    for way in 0..4 {
        let owner = fresh_owner();
        let (key, _) = trial.made_of(&trial.draft().set("a", "1").owner(&owner)).await;
        let ended = match way {
            0 => trial.delete(&key).await,
            1 => trial.delete_by_id(key.id()).await,
            2 => trial.delete_by_owner(&owner).await == 1,
            _ => answer(store.delete(&key, End::Renewed, now).await),
        };
        let end = if way == 3 { End::Renewed } else { End::Deleted };
        assert!(ended);
        assert_eq!(trial.end_of(&key).await, Some(end), "way {way}");
        assert_eq!(trial.end_at(&key, now + ENDED_IS_KNOWN_FOR).await, Some(end), "way {way}");
        let lookup = trial.lookup_at(&key, now + ENDED_IS_KNOWN_FOR + 1).await;
        assert!(matches!(lookup, Lookup::Unknown), "way {way}: {lookup:?}");
        assert!(!trial.delete(&key).await && !trial.delete_by_id(key.id()).await);
        let guess = RecordKey::from_parts(key.id(), *fresh_key().hash());
        assert_eq!(trial.end_of(&guess).await, None, "only the right secret learns of the end");
    }
}

/// A session that was renewed leaves a tombstone that says so. After a rotation the tombstone names the key that the
/// session has now.
pub async fn a_rename_leaves_a_tombstone(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (from, read) = trial.made(&[("a", "1")]).await;
    let to = renewed(&from);
    trial.rename(&from, &to, &read, &trial.draft().renew()).await;
    assert_eq!(trial.end_of(&from).await, Some(End::Renewed));
    let (read, next, last) = (trial.read(&to).await, renewed(&from), renewed(&from));
    trial.rename(&to, &next, &read, &trial.draft().rotate().set("b", "2")).await;
    let read = trial.read(&next).await;
    trial.rename(&next, &last, &read, &trial.draft().rotate()).await;
    assert_eq!(trial.end_of(&from).await, Some(End::Renewed));
    assert_eq!(trial.end_of(&to).await, Some(End::Rotated { successor: next }));
    assert_eq!(trial.end_of(&next).await, Some(End::Rotated { successor: last }));
    assert_eq!(entries_of(&trial.read(&last).await), [("a", "1"), ("b", "2")]);
    assert!(matches!(trial.lookup_at(&to, trial.now + ENDED_IS_KNOWN_FOR + 1).await, Lookup::Unknown));
}

/// A session without content is no session any more, but it was not ended: there is no tombstone.
pub async fn the_last_key_leaves_no_tombstone(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, read) = trial.made(&[("a", "1")]).await;
    assert_eq!(trial.update(&key, &read, &trial.draft().remove("a")).await, Updated::Removed);
    assert!(matches!(trial.lookup_at(&key, trial.now).await, Lookup::Unknown));
}

/// A tombstone is no session: nothing changes it, lists it, counts it or creates a session in its place.
pub async fn a_tombstone_is_no_session(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let owner = fresh_owner();
    let (key, read) = trial.made_of(&trial.draft().set("a", "1").owner(&owner)).await;
    assert!(trial.delete(&key).await);
    let draft = trial.draft().set("a", "2").owner(&owner);
    assert!(store.create(&key, draft.write(None)).await.is_err());
    assert_eq!(trial.update(&key, &read, &draft).await, Updated::Gone);
    assert!(!trial.touch(&key, trial.now + 1, trial.now + 2 * HOUR).await);
    assert_eq!(
        (trial.count(&owner).await, trial.listed(&owner).await, trial.delete_by_owner(&owner).await),
        (0, vec![], 0)
    );
    assert_eq!(trial.end_of(&key).await, Some(End::Deleted));
}

/// Several records are looked up in one question, with an answer for each key in its place.
pub async fn several_records_are_looked_up_at_once(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (live, record) = trial.made(&[("a", "1")]).await;
    let (ended, _) = trial.made(&[("a", "1")]).await;
    trial.delete(&ended).await;
    let (expired, unknown) = (fresh_key(), fresh_key());
    trial.create(&expired, &trial.draft().set("a", "1").visit(trial.now - 9, trial.now - 1)).await;
    let wrong = RecordKey::from_parts(live.id(), *unknown.hash());
    let keys = [unknown, live, ended, live, expired, wrong];
    let found = answer(store.look_up(&keys, trial.now).await);
    let [
        Lookup::Unknown,
        Lookup::Live(one),
        Lookup::Ended(End::Deleted),
        Lookup::Live(again),
        Lookup::Expired,
        Lookup::Unknown,
    ] = &found[..]
    else {
        panic!("{found:?}");
    };
    assert_eq!((entries_of(one), one.version), (entries_of(&record), record.version));
    assert!(one.key == live && again.key == live);
    assert!(answer(store.look_up(&[], trial.now).await).is_empty());
}
