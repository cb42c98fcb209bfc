//! What holds for every store that keeps its sessions in a table.

use std::fmt::Debug;

use futures_util::future::{join_all, try_join_all};
use session_core::{
    SessionId, base64url,
    store::{EXPIRED_IS_KNOWN_FOR, End, Owner, RecordKey, SessionStore, Spared, StoreErrorKind, Updated, Visit, Write},
};
use tokio::time::{Duration, sleep, timeout};

use super::{
    HOUR, NOW, all_of, assert_kind, assert_works,
    damaged::{expect_another_session, visitor},
    fresh_key, hex, made, owner, renewed, secret, set, setting, write,
};

/// A database of one test.
pub(crate) trait Place: Sized {
    type Store: SessionStore + Clone + Debug;

    async fn new() -> Self;

    /// A store that just connected.
    async fn connect(&self) -> Self::Store;

    async fn migrate(store: &Self::Store);

    async fn run(&self, statement: &str);

    /// Every column of every row, bytes as hex.
    async fn dump(&self) -> String;

    async fn store(&self) -> Self::Store {
        let store = self.connect().await;
        Self::migrate(&store).await;
        store
    }
}

/// A database that the first edition could use.
pub(crate) trait OldPlace: Place {
    /// The statements that made the table.
    const FIRST_EDITION: &'static str;

    /// How a statement writes these bytes.
    fn literal(bytes: &[u8]) -> String;
}

pub(crate) async fn two_stores_over_one_database_see_each_other<P: Place>() {
    let place = P::new().await;
    let (one, other) = (place.store().await, place.connect().await);
    let key = fresh_key();
    let read = made(&one, &key).await;
    assert_eq!(other.load(&key, NOW).await.unwrap().live().unwrap().entries.get("a"), Some("1"));
    set(&other, &key, &read, "b").await.unwrap();
    set(&one, &key, &read, "c").await.unwrap();
    let entries = other.load(&key, NOW).await.unwrap().live().unwrap().entries;
    assert_eq!((entries.get("b"), entries.get("c")), (Some("1"), Some("1")));
    assert!(other.delete(&key, End::Deleted, NOW).await.unwrap());
    assert_eq!(set(&one, &key, &read, "d").await.unwrap(), Updated::Gone);
}

pub(crate) async fn a_missing_table_is_refused_with_the_remedy<P: Place>() {
    let place = P::new().await;
    let store = place.connect().await;
    let said = assert_kind(store.load(&fresh_key(), NOW).await, StoreErrorKind::Refused);
    assert!(said.contains("session_records") && said.contains("`migrate()`"), "{said}");
    P::migrate(&store).await;
    assert_works(&store).await;
}

pub(crate) async fn migrating_again_and_from_eight_at_once_changes_nothing<P: Place>() {
    let place = P::new().await;
    let stores = join_all((0..8).map(|_| place.connect())).await;
    join_all(stores.iter().map(P::migrate)).await;
    let (store, key) = (&stores[0], fresh_key());
    made(store, &key).await;
    let before = place.dump().await;
    P::migrate(store).await;
    assert_eq!(place.dump().await, before);
    assert!(before.contains(&hex(key.hash())));
}

/// A table of the first edition, with a session in it, is read and written on after `migrate`.
pub(crate) async fn a_table_of_the_first_edition_is_taken_over<P: OldPlace>() {
    let place = P::new().await;
    let store = place.connect().await;
    place.run(P::FIRST_EDITION).await;
    let (key, other) = (fresh_key(), fresh_key());
    for key in [&key, &other] {
        place
            .run(&format!(
                "INSERT INTO session_records VALUES ({}, {}, 1, '{{\"a\":1}}', 7, {NOW}, {NOW}, {}, 'anna', 'Phone')",
                P::literal(key.hash()),
                P::literal(key.id().as_bytes()),
                NOW + HOUR
            ))
            .await;
    }
    let said = assert_kind(store.load(&key, NOW).await, StoreErrorKind::Refused);
    assert!(said.contains("`migrate()`"), "{said}");
    let stores = join_all((0..8).map(|_| place.connect())).await;
    join_all(stores.iter().map(P::migrate)).await;

    let record = store.load(&key, NOW).await.unwrap().live().unwrap();
    assert_eq!((record.version, record.entries.get("a"), record.label.as_deref()), (7, Some("1"), Some("Phone")));
    assert_eq!((record.application.as_deref(), record.owner.as_deref()), (None, Some("anna")));
    // It belongs to every application, until it is written to.
    let shop = Owner { application: "shop", name: "anna" };
    assert_eq!(store.count(shop, NOW).await.unwrap(), 2);
    assert_eq!(set(&store, &key, &record, "b").await.unwrap(), Updated::Written { version: 8 });
    assert_eq!((store.count(shop, NOW).await.unwrap(), store.count(owner("anna"), NOW).await.unwrap()), (1, 2));
    let to = renewed(&key);
    let record = store.load(&key, NOW).await.unwrap().live().unwrap();
    store.rename(&key, &to, write(&setting("c", "1"), Some(&record))).await.unwrap();
    assert!(store.delete(&other, End::Deleted, NOW).await.unwrap());
    assert_eq!(store.delete_by_owner(owner("anna"), Spared::default(), NOW).await.unwrap(), 1);
    P::migrate(&store).await;
    assert_works(&store).await;
}

pub(crate) async fn a_dump_of_the_table_and_debug_show_no_secret<P: Place>() {
    let place = P::new().await;
    let store = place.store().await;
    let secret = secret(SessionId::random().unwrap());
    let key = RecordKey::of_secret(SessionId::random().unwrap(), &secret);
    let read = made(&store, &key).await;
    store.rename(&key, &renewed(&key), write(&setting("b", "1"), Some(&read))).await.unwrap();
    let dump = place.dump().await;
    assert!(dump.contains(&hex(key.hash())), "the dump shows what is there");
    for text in [hex(&secret), base64url(&secret), String::from_utf8_lossy(&secret).into_owned()] {
        assert!(!dump.contains(&text));
    }
    let shown = format!("{store:?}");
    let names = ["SqliteStore { .. }", "PostgresStore { .. }", "MySqlStore { .. }"];
    assert!(names.contains(&&*shown), "{shown}");
}

pub(crate) async fn a_record_of_another_format_is_unreadable_and_stays<P: Place>() {
    let place = P::new().await;
    let store = place.store().await;
    let key = fresh_key();
    let read = made(&store, &key).await;
    place.run("UPDATE session_records SET format = 2").await;
    let before = place.dump().await;
    let visit = Visit { now: NOW + 1, expires_at: NOW + 2 * HOUR };
    let (changes, to) = (setting("b", "1"), renewed(&key));
    let exact = Write { only_if_unchanged: true, ..write(&changes, Some(&read)) };
    assert_kind(store.load(&key, NOW).await, StoreErrorKind::Unreadable);
    assert_kind(store.update(&key, write(&changes, Some(&read))).await, StoreErrorKind::Unreadable);
    assert_kind(store.update(&key, exact).await, StoreErrorKind::Unreadable);
    assert_kind(store.rename(&key, &to, write(&changes, Some(&read))).await, StoreErrorKind::Unreadable);
    assert_kind(store.touch(&key, visit).await, StoreErrorKind::Unreadable);
    assert_kind(store.create(&key, write(&changes, None)).await, StoreErrorKind::Unreadable);
    assert_eq!(place.dump().await, before);
    assert_works(&store).await;
}

pub(crate) async fn damaged_data_is_unreadable_and_stays<P: Place>() {
    let place = P::new().await;
    let store = place.store().await;
    let key = fresh_key();
    let read = made(&store, &key).await;
    for damaged in ["", "{", "[]", r#"{"a":1,"a":2}"#, r#"{"a":hunter2}"#] {
        place.run(&format!("UPDATE session_records SET data = '{damaged}', version = version + 1")).await;
        let before = place.dump().await;
        let (changes, to) = (setting("b", "1"), renewed(&key));
        let said = assert_kind(store.load(&key, NOW).await, StoreErrorKind::Unreadable);
        assert!(!said.contains("hunter2"), "{said}");
        assert_kind(store.update(&key, write(&changes, Some(&read))).await, StoreErrorKind::Unreadable);
        assert_kind(store.rename(&key, &to, write(&changes, Some(&read))).await, StoreErrorKind::Unreadable);
        assert_eq!(place.dump().await, before);
    }
    for damage in ["id = session_records.key", "version = -1"] {
        place.run(&format!("UPDATE session_records SET data = '{{}}', {damage}")).await;
        assert_kind(store.load(&key, NOW).await, StoreErrorKind::Unreadable);
    }
    assert_works(&store).await;
}

pub(crate) async fn a_visitor_of_a_damaged_record_begins_another_session<P: Place>() {
    for damage in [
        "data = ''",
        "data = substr(data, 1, length(data) - 2)",
        "data = substr(data, 2)",
        "data = 'garbage'",
        "data = '[1]'",
        "format = 2",
        "format = -1",
        "version = -1",
        "expires_at = 9223372036854775807, created_at = -9223372036854775808",
    ] {
        let place = P::new().await;
        let visitor = visitor(place.store().await).await;
        place.run(&format!("UPDATE session_records SET {damage}")).await;
        let before = place.dump().await;
        expect_another_session(&visitor, damage).await;
        let after = place.dump().await;
        assert_eq!((before.lines().count(), after.lines().count()), (1, 2), "{damage}");
        assert!(after.contains(&before), "{damage}: {before} is not in {after}");
    }
}

pub(crate) async fn an_error_quotes_no_value<P: Place>() {
    let place = P::new().await;
    let store = place.store().await;
    let key = fresh_key();
    made(&store, &key).await;
    let same_id = RecordKey::from_parts(key.id(), *fresh_key().hash());
    let said = assert_kind(store.create(&same_id, write(&setting("a", "1"), None)).await, StoreErrorKind::Refused);
    assert!(said.contains("code"), "it says something: {said}");
    for value in [hex(key.id().as_bytes()), key.id().to_string(), hex(same_id.hash())] {
        assert!(!said.to_lowercase().contains(&value.to_lowercase()), "{said}");
    }
    assert_works(&store).await;
}

pub(crate) async fn a_sweep_of_thousands_lets_others_write<P: Place>() {
    let place = P::new().await;
    let store = place.store().await;
    let (alive, changes) = (fresh_key(), setting("a", "1"));
    let read = made(&store, &alive).await;
    let old = Visit { now: NOW - 30 * HOUR, expires_at: NOW - EXPIRED_IS_KNOWN_FOR - 1 };
    for _ in 0..25 {
        let keys: Vec<_> = (0..100).map(|_| fresh_key()).collect();
        let write = Write { visit: old, ..write(&changes, None) };
        try_join_all(keys.iter().map(|key| store.create(key, write))).await.unwrap();
    }
    let (swept, updated) = tokio::join!(store.delete_expired(NOW), set(&store, &alive, &read, "b"));
    assert_eq!(swept.unwrap(), 2_500);
    assert!(matches!(updated.unwrap(), Updated::Written { .. }));
    assert_eq!(store.delete_expired(NOW).await.unwrap(), 0);
    assert!(store.load(&alive, NOW).await.unwrap().live().is_some());
}

/// Eight requests write a session that others write too, so that most of them need a transaction, and are given up at
/// every moment of it.
pub(crate) async fn operations_that_are_given_up_leave_nothing_behind<P: Place>() {
    let place = P::new().await;
    let store = place.store().await;
    let key = fresh_key();
    let stale = made(&store, &key).await;
    set(&store, &key, &stale, "b").await.unwrap();
    for round in 0..60 {
        let patience = Duration::from_micros(50 * round);
        let writes = (0..8).map(|_| timeout(patience, set(&store, &key, &stale, "c")));
        for written in join_all(writes).await.into_iter().flatten() {
            written.unwrap();
        }
    }
    sleep(Duration::from_millis(100)).await;
    let kept = place.dump().await;
    join_all((0..20).map(|_| assert_works(&store))).await;
    assert_eq!(place.dump().await, kept, "what was asked for after it is not part of what was given up");
    let other = place.connect().await;
    assert!(matches!(set(&other, &key, &stale, "d").await.unwrap(), Updated::Written { .. }));
    assert_eq!(store.load(&key, NOW).await.unwrap().live().unwrap().entries.get("d"), Some("1"));
}

/// Sixty-four requests each add an entry of their own to one session, from two stores.
pub(crate) async fn sixty_four_at_once_all_land<P: Place>() {
    let place = P::new().await;
    let stores = [place.store().await, place.connect().await];
    let key = fresh_key();
    let read = made(&stores[0], &key).await;
    let names: Vec<_> = (0..64).map(|number| format!("key {number}")).collect();
    let writes = names.iter().enumerate().map(|(number, name)| set(&stores[number % 2], &key, &read, name));
    for written in join_all(writes).await {
        assert!(matches!(written, Ok(Updated::Written { .. })), "{}", all_of(&written.unwrap_err()));
    }
    let record = stores[0].load(&key, NOW).await.unwrap().live().unwrap();
    assert!(names.iter().all(|name| record.entries.get(name) == Some("1")));
    assert_eq!(record.version, read.version + 64);
}

/// Makes a test of each of these for a place.
macro_rules! tables {
    ($place:ty) => {
        tables! { $place =>
            two_stores_over_one_database_see_each_other
            a_missing_table_is_refused_with_the_remedy
            migrating_again_and_from_eight_at_once_changes_nothing
            a_dump_of_the_table_and_debug_show_no_secret
            a_record_of_another_format_is_unreadable_and_stays
            damaged_data_is_unreadable_and_stays
            a_visitor_of_a_damaged_record_begins_another_session
            an_error_quotes_no_value
            a_sweep_of_thousands_lets_others_write
            operations_that_are_given_up_leave_nothing_behind
            sixty_four_at_once_all_land
        }
    };
    ($place:ty => $($test:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                $crate::each_store::tables::$test::<$place>().await;
            }
        )+
    };
}
pub(crate) use tables;
