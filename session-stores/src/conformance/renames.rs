//! Moving a record to another key.

use session_core::{
    Clock,
    store::{SessionStore, Updated},
};

use super::trial::{HOUR, Trial, entries_of, fresh_owner, is_written, renewed};

/// A rename moves the whole record to the new key and id. Under the old key and id there is nothing.
pub async fn a_rename_moves_the_whole_record(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let owner = fresh_owner();
    let draft = trial.draft().set("a", "1").set("b", "2").owner(&owner).label("Firefox");
    let (from, read) = trial.made_of(&draft.created_at(trial.now - 9)).await;
    let to = renewed(&from);
    assert!(is_written(trial.rename(&from, &to, &read, &trial.draft().renew()).await));
    let record = trial.read(&to).await;
    assert_eq!(entries_of(&record), [("a", "1"), ("b", "2")]);
    assert_eq!((record.owner.as_deref(), record.label.as_deref()), (Some(&*owner), Some("Firefox")));
    assert_eq!(record.created_at, trial.now - 9);
    assert!(record.key == to && trial.listed(&owner).await == [to.id()]);
    assert!(!trial.exists(&from).await && !trial.delete_by_id(from.id()).await);
    assert!(trial.delete_by_id(to.id()).await && !trial.exists(&to).await);
}

/// A rename also applies the changes of the request, its times, owner and label.
pub async fn a_rename_applies_its_changes(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (before, after, now) = (fresh_owner(), fresh_owner(), trial.now);
    let draft = trial.draft().set("a", "1").set("b", "1").owner(&before).label("old");
    let (from, read) = trial.made_of(&draft.created_at(now - 90)).await;
    let to = renewed(&from);
    let draft = trial.draft().renew().set("a", "2").remove("b").owner(&after).label("new");
    trial.rename(&from, &to, &read, &draft.created_at(now + 1).visit(now + 1, now + 2 * HOUR)).await;
    let record = trial.read(&to).await;
    assert_eq!(entries_of(&record), [("a", "2")]);
    assert_eq!((record.created_at, record.seen_at, record.expires_at), (now + 1, now + 1, now + 2 * HOUR));
    assert_eq!((record.owner.as_deref(), record.label.as_deref()), (Some(&*after), Some("new")));
    assert!(trial.listed(&before).await.is_empty() && trial.listed(&after).await == [to.id()]);
}

/// A rename applies its changes to the current record, not to the record as it was read.
pub async fn a_rename_takes_along_what_others_wrote(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (from, read) = trial.made(&[("a", "1")]).await;
    trial.update(&from, &read, &trial.draft().set("b", "2")).await;
    let to = renewed(&from);
    assert!(is_written(trial.rename(&from, &to, &read, &trial.draft().renew().set("c", "3")).await));
    assert_eq!(entries_of(&trial.read(&to).await), [("a", "1"), ("b", "2"), ("c", "3")]);
}

/// A rename can be repeated after a lost answer, and then returns the same result.
pub async fn a_rename_asked_for_twice_is_done_once(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (from, read) = trial.made(&[("a", "1")]).await;
    let (to, draft) = (renewed(&from), trial.draft().renew().set("b", "2"));
    for _ in 0..2 {
        let updated = trial.rename(&from, &to, &read, &draft).await;
        assert_eq!(updated, Updated::Written { version: trial.read(&to).await.version });
    }
    assert!(is_written(trial.rename(&from, &to, &read, &draft.clone().exact()).await));
    assert!(!trial.exists(&from).await);
    assert_eq!(entries_of(&trial.read(&to).await), [("a", "1"), ("b", "2")]);
}

/// An exact rename moves nothing if another request has changed the record.
pub async fn an_exact_rename_of_what_changed_is_a_conflict(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (from, read) = trial.made(&[("a", "1")]).await;
    let (to, draft) = (renewed(&from), trial.draft().renew().set("a", "3").exact());
    trial.update(&from, &read, &trial.draft().set("a", "2")).await;
    assert_eq!(trial.rename(&from, &to, &read, &draft).await, Updated::Conflict);
    assert!(!trial.exists(&to).await);
    let current = trial.read(&from).await;
    assert_eq!(entries_of(&current), [("a", "2")]);
    assert!(is_written(trial.rename(&from, &to, &current, &draft).await));
}

/// If two renames run at the same time, one is done and the other gets `Gone`. One session is alive afterwards.
pub async fn one_of_two_renames_wins(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    for _ in 0..20 {
        let owner = fresh_owner();
        let (from, read) = trial.made_of(&trial.draft().set("a", "1").owner(&owner)).await;
        let (left, right, draft) = (renewed(&from), renewed(&from), trial.draft().renew());
        let renames = (trial.rename(&from, &left, &read, &draft), trial.rename(&from, &right, &read, &draft));
        let (to_left, to_right) = tokio::join!(renames.0, renames.1);
        assert!([to_left, to_right].contains(&Updated::Gone), "{to_left:?}, {to_right:?}");
        assert_eq!(
            (trial.exists(&left).await, trial.exists(&right).await),
            (is_written(to_left), is_written(to_right))
        );
        let winner = if is_written(to_left) { left } else { right };
        assert!(!trial.exists(&from).await && trial.listed(&owner).await == [winner.id()]);
    }
}

/// If one rename is sent twice at the same time, it is done once, and both answers report it as written.
pub async fn one_rename_asked_for_twice_at_once_is_done_once(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (from, read) = trial.made(&[("a", "1")]).await;
    let (to, draft) = (renewed(&from), trial.draft().renew());
    let (one, two) = tokio::join!(trial.rename(&from, &to, &read, &draft), trial.rename(&from, &to, &read, &draft));
    assert!(is_written(one) && is_written(two), "{one:?}, {two:?}");
    assert!(!trial.exists(&from).await && trial.exists(&to).await);
}

/// If an update and a rename run at the same time, the update is written before the rename, or gets `Gone`.
pub async fn an_update_during_a_rename_lands_or_learns(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    for _ in 0..20 {
        let (from, read) = trial.made(&[("a", "1")]).await;
        let (to, renew, set) = (renewed(&from), trial.draft().renew(), trial.draft().set("b", "2"));
        let (renamed, updated) =
            tokio::join!(trial.rename(&from, &to, &read, &renew), trial.update(&from, &read, &set));
        assert!(is_written(renamed), "{renamed:?}");
        assert!(is_written(updated) || updated == Updated::Gone, "{updated:?}");
        assert_eq!(trial.read(&to).await.entries.get("b").is_some(), is_written(updated));
        assert!(!trial.exists(&from).await);
    }
}

/// Late requests with the old key change nothing and bring no session back.
pub async fn nothing_comes_back_under_the_old_key(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (from, read) = trial.made(&[("a", "1")]).await;
    let to = renewed(&from);
    trial.rename(&from, &to, &read, &trial.draft().renew()).await;
    let draft = trial.draft().set("a", "2");
    assert_eq!(trial.update(&from, &read, &draft).await, Updated::Gone);
    assert_eq!(trial.rename(&from, &renewed(&from), &read, &draft.renew()).await, Updated::Gone);
    assert!(!trial.touch(&from, trial.now, trial.now + HOUR).await);
    assert!(!trial.delete(&from).await);
    assert!(!trial.exists(&from).await);
    assert_eq!(entries_of(&trial.read(&to).await), [("a", "1")]);
}

/// A rename that leaves nothing of the record removes it.
pub async fn a_rename_that_leaves_nothing_removes(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (from, read) = trial.made(&[("a", "1")]).await;
    let to = renewed(&from);
    assert_eq!(trial.rename(&from, &to, &read, &trial.draft().renew().remove("a")).await, Updated::Removed);
    assert!(!trial.exists(&from).await && !trial.exists(&to).await);
}
