//! The owner of a session: the list of an owner's sessions, and their deletion.

use session_core::{
    Clock,
    store::{End, Owner, SessionStore, Spared},
};

use super::trial::{HOUR, Trial, answer, fresh_id, fresh_key, fresh_owner, is_written, owner_of, renewed};

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
    let infos = answer(store.list(owner_of(&owner), now, 100).await);
    let [info] = &infos[..] else { panic!("{} sessions instead of one", infos.len()) };
    assert!(info.key == key);
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
        assert_eq!((trial.listed(owner).await.len(), trial.count(owner).await), (1, 1), "{owner}");
    }
    for owner in &owners {
        assert_eq!(trial.delete_by_owner(owner).await, 1, "{owner}");
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

/// The list has at most as many sessions as it is asked for: those with the latest visits. The count has all of them.
pub async fn a_list_has_a_limit_and_a_count_has_none(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (owner, now) = (fresh_owner(), trial.now);
    let mut keys = Vec::new();
    for age in [3, 1, 4, 2, 5] {
        let draft = trial.draft().set("a", "1").owner(&owner).visit(now - age, now + HOUR);
        keys.push(trial.made_of(&draft).await.0.id());
    }
    assert_eq!(trial.listed_of(owner_of(&owner), now, 2).await, [keys[1], keys[3]]);
    assert_eq!(trial.listed_of(owner_of(&owner), now, 0).await, []);
    assert_eq!(trial.count(&owner).await, 5);
    assert_eq!(answer(store.count(owner_of(&owner), now + HOUR + 1).await), 0);
    assert!(trial.delete_by_id(keys[0]).await);
    assert_eq!(trial.count(&owner).await, 4);
    assert_eq!(trial.count(&fresh_owner()).await, 0);
}

/// Owners of two applications do not meet, also if they have the same name.
pub async fn owners_of_two_applications_do_not_meet(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (name, now) = (fresh_owner(), trial.now);
    let (shop, forum) = (Owner { application: "shop", name: &name }, Owner { application: "forum", name: &name });
    let draft = trial.draft().set("a", "1").owner(&name);
    let (in_shop, record) = trial.made_of(&draft.clone().application("shop")).await;
    let (in_forum, _) = trial.made_of(&draft.application("forum")).await;
    assert_eq!(record.application.as_deref(), Some("shop"));
    assert_eq!(trial.listed_of(shop, now, 9).await, [in_shop.id()]);
    assert_eq!(trial.listed_of(forum, now, 9).await, [in_forum.id()]);
    assert_eq!((trial.count(&name).await, answer(store.count(shop, now).await)), (0, 1));
    assert_eq!(answer(store.delete_by_owner(shop, Spared::default(), now).await), 1);
    assert!(!trial.exists(&in_shop).await && trial.exists(&in_forum).await);
    assert_eq!(trial.delete_by_owner(&name).await, 0);
    assert_eq!(answer(store.count(forum, now).await), 1);
}

/// A session belongs to the application that wrote it last.
pub async fn a_write_takes_a_session_into_its_application(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (name, now) = (fresh_owner(), trial.now);
    let (key, read) = trial.made_of(&trial.draft().set("a", "1").owner(&name).application("shop")).await;
    trial.update(&key, &read, &trial.draft().set("a", "2").application("forum")).await;
    assert_eq!(trial.listed_of(Owner { application: "shop", name: &name }, now, 9).await, []);
    assert_eq!(trial.listed_of(Owner { application: "forum", name: &name }, now, 9).await, [key.id()]);
}

/// "Log out everywhere else" spares one session, and the limit of sessions spares those that began last. Every session
/// that ends leaves a tombstone.
pub async fn some_sessions_of_an_owner_can_be_spared(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let (owner, now) = (fresh_owner(), trial.now);
    let mut keys = Vec::new();
    for age in [4, 2, 3, 1, 5] {
        let draft = trial.draft().set("a", "1").owner(&owner).created_at(now - age).visit(now - age, now + HOUR);
        keys.push(trial.made_of(&draft).await.0);
    }
    let ids = |places: &[usize]| places.iter().map(|place| keys[*place].id()).collect::<Vec<_>>();
    assert_eq!(trial.delete_others(&owner, Spared { id: None, newest: 5 }).await, 0);
    assert_eq!(trial.delete_others(&owner, Spared { id: Some(keys[4].id()), newest: 3 }).await, 1);
    assert_eq!(trial.listed(&owner).await, ids(&[3, 1, 2, 4]));
    assert_eq!(trial.end_of(&keys[0]).await, Some(End::Deleted));
    assert_eq!(trial.delete_others(&owner, Spared { id: Some(fresh_id()), newest: 3 }).await, 1);
    assert_eq!(trial.listed(&owner).await, ids(&[3, 1, 2]));
    assert_eq!(trial.delete_others(&owner, Spared { id: Some(keys[2].id()), newest: 0 }).await, 2);
    assert_eq!(trial.listed(&owner).await, ids(&[2]));
    assert_eq!(trial.end_of(&keys[3]).await, Some(End::Deleted));
}

/// Of sessions that began in the same second, those with the greater ids are spared: every process chooses the same
/// ones.
pub async fn the_greater_ids_are_spared_of_one_second(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let owner = fresh_owner();
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(trial.made_of(&trial.draft().set("a", "1").owner(&owner)).await.0.id());
    }
    ids.sort_unstable();
    assert_eq!(trial.delete_others(&owner, Spared { id: None, newest: 2 }).await, 4);
    let mut listed = trial.listed(&owner).await;
    listed.sort_unstable();
    assert_eq!(listed, ids[4..]);
}

/// All live sessions of an application can be ended together, with or without an owner. Those of other applications
/// stay.
pub async fn an_applications_sessions_end_together(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    // An application of this test alone, so that tests that run at the same time keep their sessions.
    const CLOSED: &str = "an_applications_sessions_end_together";
    let (owned, _) = trial.made_of(&trial.draft().set("a", "1").owner(&fresh_owner()).application(CLOSED)).await;
    let (unowned, _) = trial.made_of(&trial.draft().set("a", "1").application(CLOSED)).await;
    let (other, _) = trial.made_of(&trial.draft().set("a", "1").application("forum")).await;
    assert!(answer(store.delete_by_application(CLOSED, trial.now).await) >= 2);
    assert_eq!(trial.end_of(&owned).await, Some(End::Deleted));
    assert_eq!(trial.end_of(&unowned).await, Some(End::Deleted));
    assert!(trial.exists(&other).await);
    assert_eq!(answer(store.delete_by_application(CLOSED, trial.now).await), 0);
}

/// The pages of all sessions have every live session once, with its owner, and none that has ended or
/// expired.
pub async fn all_sessions_are_listed_in_pages(store: &dyn SessionStore, clock: impl Clock) {
    let trial = Trial::new(store, &clock);
    let owner = fresh_owner();
    let (owned, record) = trial.made_of(&trial.draft().set("a", "1").owner(&owner).label("Phone")).await;
    let (unowned, _) = trial.made(&[("a", "1")]).await;
    let (ended, _) = trial.made(&[("a", "1")]).await;
    assert!(trial.delete(&ended).await);
    let expired = fresh_key();
    trial.create(&expired, &trial.draft().set("a", "1").visit(trial.now - 9, trial.now - 1)).await;
    let (mut sessions, mut cursor) = (Vec::new(), None);
    loop {
        let page = answer(store.all(trial.now, cursor.as_ref()).await);
        sessions.extend(page.sessions);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let found = |key| sessions.iter().filter(|info| info.key == key).collect::<Vec<_>>();
    assert_eq!((found(owned).len(), found(unowned).len()), (1, 1));
    assert_eq!((found(ended).len(), found(expired).len()), (0, 0));
    assert!(*found(owned)[0] == record.info());
}
