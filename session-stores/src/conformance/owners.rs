//! The owner of a session: the list of an owner's sessions, and their deletion.

use session_core::{Clock, store::SessionStore};

use super::trial::{HOUR, Trial, answer, fresh_owner, is_written, renewed};

/// A write sets the owner or the label if it names one, and otherwise leaves the former one.
pub async fn a_write_sets_the_owner_and_label_it_names(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (first, second) = (fresh_owner(), fresh_owner());
    let (key, read) = trial.made(&[("a", "1")]).await;
    for (draft, owner, label) in [
        (trial.draft().owner(&first), &first, None),
        (trial.draft().label("old"), &first, Some("old")),
        (trial.draft().set("a", "2"), &first, Some("old")),
        (trial.draft().owner(&second), &second, Some("old")),
        (trial.draft().label(""), &second, Some("")),
    ] {
        assert!(is_written(trial.update(&key, &read, &draft).await));
        let record = trial.read(&key).await;
        assert_eq!((record.owner.as_ref(), record.label.as_deref()), (Some(owner), label));
    }
}

/// The list has the live sessions of this owner only, the latest visit first.
pub async fn an_owners_sessions_are_listed_by_their_last_visit(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (owner, now) = (fresh_owner(), trial.now);
    let mut keys = Vec::new();
    for age in [30, 10, 20, 40] {
        let draft = trial.draft().set("a", "1").owner(&owner).visit(now - age, now + HOUR);
        keys.push(trial.made_of(&draft).await.0);
    }
    trial.made_of(&trial.draft().set("a", "1").owner(&fresh_owner())).await;
    trial.made(&[("a", "1")]).await;
    assert_eq!(trial.listed(&owner).await, [1, 2, 0, 3].map(|at: usize| keys[at].id()));
    assert!(trial.touch(&keys[3], now, now + HOUR).await);
    trial.delete(&keys[2]).await;
    assert_eq!(trial.listed(&owner).await, [3, 1, 0].map(|at: usize| keys[at].id()));
    assert!(trial.listed(&fresh_owner()).await.is_empty());
}

/// The list shows the current id, times and label of a session.
pub async fn the_list_shows_id_times_and_label(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (owner, now) = (fresh_owner(), trial.now);
    let draft = trial.draft().set("a", "1").owner(&owner).created_at(now - 9).visit(now - 9, now + HOUR);
    let (key, read) = trial.made_of(&draft).await;
    trial.update(&key, &read, &trial.draft().label("caf\u{e9} \u{1f980} \"'\\").visit(now - 5, now + HOUR)).await;
    trial.touch(&key, now - 1, now + HOUR).await;
    let infos = answer(store.list(&owner, now).await);
    let [info] = &infos[..] else { panic!("{} sessions instead of one", infos.len()) };
    assert!(info.id == key.id());
    assert_eq!((info.created_at, info.seen_at), (now - 9, now - 1));
    assert_eq!(info.label.as_deref(), Some("caf\u{e9} \u{1f980} \"'\\"));
    assert!(*info == trial.read(&key).await.info());
}

/// An owner may be any text.
pub async fn any_text_is_an_owner(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let suffix = fresh_owner();
    let odd = ["a:b", "{x}", "{", "}{", "*", "a\nb", "'\"\\", "%_", "caf\u{e9}", "\u{1f980}", &"x".repeat(1_024)];
    for name in odd {
        let owner = format!("{name}{suffix}");
        let (key, record) = trial.made_of(&trial.draft().set("a", "1").owner(&owner)).await;
        assert_eq!(record.owner.as_ref(), Some(&owner));
        assert_eq!(trial.listed(&owner).await, [key.id()], "{owner}");
        assert_eq!(trial.delete_by_owner(&owner).await, 1, "{owner}");
        assert!(!trial.exists(&key).await);
    }
}

/// Owners are compared byte by byte: similar names are different owners.
pub async fn owners_are_compared_exactly(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let name = fresh_owner();
    let owners = [format!("{name}x"), format!("{name}X"), format!("{name}x "), format!("{name}\u{e9}")];
    for owner in &owners {
        trial.made_of(&trial.draft().set("a", "1").owner(owner)).await;
    }
    for owner in [name.clone(), format!("{name}_"), format!("{name}%"), format!("{name}e\u{301}")] {
        assert_eq!(trial.delete_by_owner(&owner).await, 0, "{owner}");
    }
    for owner in &owners {
        assert_eq!(trial.listed(owner).await.len(), 1, "{owner}");
    }
}

/// The empty text is an owner, and differs from no owner.
pub async fn the_empty_owner_is_an_owner(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (unowned, _) = trial.made(&[("a", "1")]).await;
    let (key, record) = trial.made_of(&trial.draft().owner("")).await;
    assert_eq!(record.owner.as_deref(), Some(""));
    let listed = trial.listed("").await;
    assert!(listed.contains(&key.id()) && !listed.contains(&unowned.id()));
    assert!(trial.delete(&key).await);
}

/// "Log out everywhere" deletes all sessions of the owner, returns the number of deleted sessions, and leaves all other
/// sessions.
pub async fn an_owners_sessions_end_together(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (owner, other) = (fresh_owner(), fresh_owner());
    let mut keys = Vec::new();
    for _ in 0..3 {
        keys.push(trial.made_of(&trial.draft().set("a", "1").owner(&owner)).await.0);
    }
    let (others, _) = trial.made_of(&trial.draft().set("a", "1").owner(&other)).await;
    let (unowned, _) = trial.made(&[("a", "1")]).await;
    assert_eq!(trial.delete_by_owner(&owner).await, 3);
    assert_eq!(trial.delete_by_owner(&owner).await, 0);
    for key in &keys {
        assert!(!trial.exists(key).await && !trial.delete_by_id(key.id()).await);
    }
    assert!(trial.listed(&owner).await.is_empty());
    assert!(trial.exists(&others).await && trial.exists(&unowned).await);
    assert_eq!(trial.listed(&other).await, [others.id()]);
}

/// After a change of the owner, a session belongs to the new owner only.
pub async fn a_session_that_changed_hands_has_one_owner(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (before, after) = (fresh_owner(), fresh_owner());
    let (key, read) = trial.made_of(&trial.draft().set("a", "1").owner(&before)).await;
    assert!(is_written(trial.update(&key, &read, &trial.draft().owner(&after)).await));
    assert!(trial.listed(&before).await.is_empty());
    assert_eq!(trial.listed(&after).await, [key.id()]);
    assert_eq!(trial.delete_by_owner(&before).await, 0);
    assert!(trial.exists(&key).await);
    assert_eq!(trial.delete_by_owner(&after).await, 1);
    assert!(!trial.exists(&key).await);
}

/// A rename at the same time as "log out everywhere" does not save the session under its new key.
pub async fn a_rename_does_not_escape_the_end_of_all(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    for _ in 0..20 {
        let owner = fresh_owner();
        let (from, read) = trial.made_of(&trial.draft().set("a", "1").owner(&owner)).await;
        let (to, draft) = (renewed(&from), trial.draft().renew());
        let (ended, _) = tokio::join!(trial.delete_by_owner(&owner), trial.rename(&from, &to, &read, &draft));
        assert_eq!(ended, 1);
        assert!(!trial.exists(&from).await && !trial.exists(&to).await);
    }
}
