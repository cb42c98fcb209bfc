//! Creating, reading and changing a record.

use session_core::{
    Clock,
    store::{RecordKey, SessionStore, Updated},
};

use super::trial::{HOUR, Trial, entries_of, fresh_key, fresh_owner, is_written, renewed};

/// `load` returns what `create` wrote.
pub async fn a_record_is_loaded_as_it_was_created(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, owner, now) = (fresh_key(), fresh_owner(), trial.now);
    let draft = trial.draft().set("b", "2").set("a", "\"1\"").owner(&owner).label("Firefox on Linux");
    trial.create(&key, &draft.created_at(now - 7).visit(now - 3, now + 5)).await;
    let record = trial.read(&key).await;
    assert_eq!(entries_of(&record), [("a", "\"1\""), ("b", "2")]);
    assert_eq!((record.owner.as_deref(), record.label.as_deref()), (Some(&*owner), Some("Firefox on Linux")));
    assert_eq!((record.created_at, record.seen_at, record.expires_at), (now - 7, now - 3, now + 5));
    assert!(record.key == key);
}

/// A record may have neither entries nor owner nor label.
pub async fn a_record_may_be_created_empty(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (_, record) = trial.made(&[]).await;
    assert_eq!(entries_of(&record), []);
    assert_eq!((record.owner, record.label), (None, None));
}

/// Only `create` makes a record. Every other operation on an unknown key changes nothing, and returns that there is no
/// record.
pub async fn only_create_makes_a_record(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (_, other) = trial.made(&[("a", "1")]).await;
    let key = fresh_key();
    let to = renewed(&key);
    let draft = trial.draft().set("a", "1").owner(&fresh_owner());
    assert!(!trial.exists(&key).await);
    assert_eq!(trial.update(&key, &other, &draft).await, Updated::Gone);
    assert_eq!(trial.update(&key, &other, &draft.clone().exact()).await, Updated::Gone);
    assert_eq!(trial.rename(&key, &to, &other, &draft.renew()).await, Updated::Gone);
    assert!(!trial.touch(&key, trial.now, trial.now + HOUR).await);
    assert!(!trial.delete(&key).await);
    assert!(!trial.delete_by_id(key.id()).await);
    assert!(!trial.exists(&key).await && !trial.exists(&to).await);
}

/// A key is an id and a hash. The right id with a wrong hash finds nothing.
pub async fn a_wrong_secret_finds_nothing(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, record) = trial.made(&[("a", "1")]).await;
    let guess = RecordKey::from_parts(key.id(), *fresh_key().hash());
    assert!(!trial.exists(&guess).await);
    assert_eq!(trial.update(&guess, &record, &trial.draft().set("a", "2")).await, Updated::Gone);
    assert!(!trial.touch(&guess, trial.now, trial.now + HOUR).await);
    assert!(!trial.delete(&guess).await);
    assert_eq!(entries_of(&trial.read(&key).await), [("a", "1")]);
}

/// A second `create` changes nothing, also with other values.
pub async fn creating_twice_keeps_the_first(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (owner, late) = (fresh_owner(), fresh_owner());
    let (key, _) = trial.made_of(&trial.draft().set("a", "1").owner(&owner)).await;
    trial.create(&key, &trial.draft().set("b", "2").owner(&late).label("late")).await;
    let record = trial.read(&key).await;
    assert_eq!(entries_of(&record), [("a", "1")]);
    assert_eq!((record.owner.as_deref(), record.label), (Some(&*owner), None));
    assert_eq!(trial.listed(&late).await.len(), 0);
}

/// A `create` over an expired record replaces it: values, owner, label and times.
pub async fn creating_over_an_expired_record_replaces_it(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (before, after) = (fresh_owner(), fresh_owner());
    let (now, key) = (trial.now, fresh_key());
    let old = trial.draft().set("a", "1").owner(&before).label("old").created_at(now - 9).visit(now - 9, now - 1);
    trial.create(&key, &old).await;
    assert!(!trial.exists(&key).await);
    trial.create(&key, &trial.draft().set("b", "2").owner(&after)).await;
    let record = trial.read(&key).await;
    assert_eq!(entries_of(&record), [("b", "2")]);
    assert_eq!((record.owner.as_deref(), record.label.as_deref(), record.version), (Some(&*after), None, 1));
    assert_eq!((record.created_at, record.seen_at, record.expires_at), (now, now, now + HOUR));
    assert_eq!((trial.listed(&before).await, trial.listed(&after).await), (vec![], vec![key.id()]));
}

/// If another key has a live record with the same id, `create` returns an error and changes nothing.
pub async fn an_id_lives_under_one_key(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, _) = trial.made(&[("a", "1")]).await;
    let other = RecordKey::from_parts(key.id(), *fresh_key().hash());
    let draft = trial.draft().set("a", "2");
    assert!(store.create(&other, draft.write(None)).await.is_err());
    assert!(!trial.exists(&other).await);
    assert_eq!(entries_of(&trial.read(&key).await), [("a", "1")]);
}

/// An update leaves all entries that it does not name.
pub async fn an_update_changes_what_it_names(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, read) = trial.made(&[("a", "1"), ("b", "2"), ("c", "3")]).await;
    let draft = trial.draft().set("b", "20").remove("c").remove("never there").set("d", "4");
    assert!(is_written(trial.update(&key, &read, &draft).await));
    assert_eq!(entries_of(&trial.read(&key).await), [("a", "1"), ("b", "20"), ("d", "4")]);
}

/// A write sets the time of the last visit, and the last second if it is later than before. The time of creation stays.
pub async fn an_update_sets_the_times_of_the_visit(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let now = trial.now;
    let draft = trial.draft().set("a", "1").created_at(now - 9).visit(now - 8, now + 60);
    let (key, read) = trial.made_of(&draft).await;
    trial.update(&key, &read, &trial.draft().set("a", "2").visit(now - 4, now + HOUR)).await;
    let record = trial.read(&key).await;
    assert_eq!((record.created_at, record.seen_at, record.expires_at), (now - 9, now - 4, now + HOUR));
}

/// The later of two ends counts, so that no request shortens a session that another one has just made last longer. Only
/// a write that changes the session's own limits makes it shorter. The same holds for a rename.
pub async fn only_new_limits_shorten_a_session(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (now, soon) = (trial.now, trial.now + 60);
    for (draft, end) in [
        (trial.draft().set("a", "2"), now + HOUR),
        (trial.draft().set("a", "2").exact(), now + HOUR),
        (trial.draft().set("$", &format!(r#"{{"until":{soon}}}"#)), soon),
        (trial.draft().set("$", &format!(r#"{{"until":{soon}}}"#)).exact(), soon),
    ] {
        let draft = draft.visit(now, soon);
        let (key, read) = trial.made(&[("a", "1")]).await;
        assert!(is_written(trial.update(&key, &read, &draft).await));
        assert_eq!(trial.read(&key).await.expires_at, end);
        let (from, read) = trial.made(&[("a", "1")]).await;
        let to = renewed(&from);
        assert!(is_written(trial.rename(&from, &to, &read, &draft.rotate()).await));
        assert_eq!(trial.read(&to).await.expires_at, end);
    }
}

/// If requests read the same record and change different keys, all their changes are written.
pub async fn writers_of_different_keys_both_land(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, read) = trial.made(&[("a", "1"), ("b", "1")]).await;
    trial.update(&key, &read, &trial.draft().set("a", "2")).await;
    trial.update(&key, &read, &trial.draft().remove("b")).await;
    trial.update(&key, &read, &trial.draft().set("c", "2")).await;
    assert_eq!(entries_of(&trial.read(&key).await), [("a", "2"), ("c", "2")]);
}

/// If two requests set one key, the later value stays.
pub async fn the_later_writer_of_one_key_stands(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, read) = trial.made(&[("a", "1")]).await;
    trial.update(&key, &read, &trial.draft().set("a", "2")).await;
    assert!(is_written(trial.update(&key, &read, &trial.draft().set("a", "3")).await));
    assert_eq!(entries_of(&trial.read(&key).await), [("a", "3")]);
}

/// Updates that run at the same time, all based on one read, are all written.
pub async fn concurrent_updates_all_land(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, read) = trial.made(&[("a", "1")]).await;
    let drafts = ["b", "c", "d", "e"].map(|name| trial.draft().set(name, "2"));
    let [b, c, d, e] = drafts.each_ref().map(|draft| trial.update(&key, &read, draft));
    let (b, c, d, e) = tokio::join!(b, c, d, e);
    assert!([b, c, d, e].into_iter().all(is_written));
    let expected = [("a", "1"), ("b", "2"), ("c", "2"), ("d", "2"), ("e", "2")];
    assert_eq!(entries_of(&trial.read(&key).await), expected);
}

/// An update can be repeated after a lost answer.
pub async fn an_update_asked_for_twice_is_written_twice(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, read) = trial.made(&[("a", "1"), ("b", "1")]).await;
    let draft = trial.draft().set("a", "2").remove("b");
    assert!(is_written(trial.update(&key, &read, &draft).await));
    assert!(is_written(trial.update(&key, &read, &draft).await));
    assert_eq!(entries_of(&trial.read(&key).await), [("a", "2")]);
}

/// An exact update is written if no other request has changed the record. A visit is not a change.
pub async fn an_exact_update_of_what_nobody_changed_lands(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, read) = trial.made(&[("a", "1")]).await;
    assert!(trial.touch(&key, trial.now + 1, trial.now + HOUR + 1).await);
    assert!(is_written(trial.update(&key, &read, &trial.draft().set("a", "2").exact()).await));
    assert_eq!(entries_of(&trial.read(&key).await), [("a", "2")]);
}

/// An exact update writes nothing if another request has changed the entries.
pub async fn an_exact_update_of_changed_entries_is_a_conflict(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let owner = fresh_owner();
    let (key, read) = trial.made(&[("a", "1")]).await;
    trial.update(&key, &read, &trial.draft().set("b", "1")).await;
    let draft = trial.draft().set("a", "2").owner(&owner).visit(trial.now, trial.now + 9).exact();
    assert_eq!(trial.update(&key, &read, &draft).await, Updated::Conflict);
    let record = trial.read(&key).await;
    assert_eq!(entries_of(&record), [("a", "1"), ("b", "1")]);
    assert_eq!((record.owner, record.expires_at), (None, trial.now + HOUR));
    assert_eq!(trial.listed(&owner).await.len(), 0);
    let draft = trial.draft().remove("a").remove("b").exact();
    assert_eq!(trial.update(&key, &read, &draft).await, Updated::Conflict);
    assert!(trial.exists(&key).await);
}

/// An owner or a label that another request has set is a change too.
pub async fn an_exact_update_of_a_changed_owner_or_label_is_a_conflict(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    for draft in [trial.draft().owner(&fresh_owner()), trial.draft().label("new")] {
        let (key, read) = trial.made(&[("a", "1")]).await;
        trial.update(&key, &read, &draft).await;
        assert_eq!(trial.update(&key, &read, &trial.draft().set("a", "2").exact()).await, Updated::Conflict);
    }
}

/// If two exact updates run at the same time, based on one read, exactly one of them is written.
pub async fn one_of_two_exact_updates_lands(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (key, read) = trial.made(&[("a", "1")]).await;
    let (b, c) = (trial.draft().set("b", "1").exact(), trial.draft().set("c", "1").exact());
    let (b, c) = tokio::join!(trial.update(&key, &read, &b), trial.update(&key, &read, &c));
    assert!(is_written(b) != is_written(c) && [b, c].contains(&Updated::Conflict), "{b:?}, {c:?}");
    assert_eq!(trial.read(&key).await.entries.iter().count(), 2);
}

/// Every change gives the record a new version, which the answer contains. A visit does not change the version.
pub async fn the_version_changes_with_every_change(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (mut key, mut record) = trial.made(&[("a", "1"), ("b", "1")]).await;
    let mut versions = vec![record.version];
    for draft in [
        trial.draft().set("a", "2"),
        trial.draft().set("a", "1"),
        trial.draft().remove("b"),
        trial.draft().owner(&fresh_owner()),
        trial.draft().label("new"),
        trial.draft().clear(&record).set("c", "1"),
    ] {
        let updated = trial.update(&key, &record, &draft).await;
        assert_eq!(updated, Updated::Written { version: record.version + 1 });
        assert!(trial.touch(&key, trial.now + 1, trial.now + HOUR + 1).await);
        record = trial.read(&key).await;
        assert_eq!(updated, Updated::Written { version: record.version });
        versions.push(record.version);
    }
    let to = renewed(&key);
    let updated = trial.rename(&key, &to, &record, &trial.draft().set("d", "1").renew()).await;
    key = to;
    record = trial.read(&key).await;
    assert_eq!(updated, Updated::Written { version: record.version });
    versions.push(record.version);
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), 8, "no version is used twice");
}

/// A visit moves both times forward and changes nothing else, also when it is repeated.
pub async fn a_touch_moves_the_times_forward(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (owner, now) = (fresh_owner(), trial.now);
    let (key, read) = trial.made_of(&trial.draft().set("a", "1").owner(&owner).label("x")).await;
    for _ in 0..2 {
        assert!(trial.touch(&key, now + 5, now + HOUR + 5).await);
    }
    let record = trial.read(&key).await;
    assert_eq!((record.created_at, record.seen_at, record.expires_at), (now, now + 5, now + HOUR + 5));
    assert_eq!(entries_of(&record), [("a", "1")]);
    assert_eq!((record.owner.as_deref(), record.label.as_deref()), (Some(&*owner), Some("x")));
    assert_eq!(record.version, read.version);
}

/// A late visit moves neither time back. Each of the two times is compared by itself.
pub async fn a_touch_moves_no_time_back(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let now = trial.now;
    let (key, _) = trial.made(&[("a", "1")]).await;
    for (visit, expected) in [
        ((now - 5, now + 9), (now, now + HOUR)),
        ((now + 5, now + 9), (now + 5, now + HOUR)),
        ((now, now + HOUR + 9), (now + 5, now + HOUR + 9)),
    ] {
        assert!(trial.touch(&key, visit.0, visit.1).await);
        let record = trial.read(&key).await;
        assert_eq!((record.seen_at, record.expires_at), expected);
    }
}
