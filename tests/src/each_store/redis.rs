//! `RedisStore` on one server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use redis::Connection;
use session_core::{
    SessionId,
    store::{
        Changes, End, Lookup, Owner, Record, RecordKey, SessionStore, Spared, StoreError, StoreErrorKind, Updated,
        Visit, Write,
    },
};
use session_stores::RedisStore;

use super::{
    damaged::{expect_another_session, id_of, visitor},
    owner,
};
use session_test_servers::redis::{SHARED, Server};

use crate::support::proxy::Proxy;

mod suite {
    session_stores::conformance!(store = || async { super::shared("suite").await });
}

#[tokio::test]
async fn each_operation_is_one_round_trip() {
    let proxy = Proxy::before(SHARED.port).await;
    let store = connect(&format!("redis://127.0.0.1:{}", proxy.port), "round trips").await;
    warm_up(&store).await;
    let (key, to) = (fresh_key(), fresh_key());
    let to = RecordKey::from_parts(key.id().renewed().unwrap(), *to.hash());
    proxy.round_trips();

    create(&store, &key, &set("a", "1")).await;
    assert_eq!(proxy.round_trips(), 1);
    let read = load(&store, &key).await;
    assert_eq!(proxy.round_trips(), 1);
    store.update(&key, write(&set("b", "2"), Some(&read))).await.unwrap();
    assert_eq!(proxy.round_trips(), 1);
    store.update(&key, write(&set("c", "2"), Some(&read))).await.unwrap();
    assert_eq!(proxy.round_trips(), 2, "another request has written in between");
    store.touch(&key, LATER).await.unwrap();
    assert_eq!(proxy.round_trips(), 1);
    store.look_up(&[key, to, fresh_key(), fresh_key()], NOW).await.unwrap();
    assert_eq!(proxy.round_trips(), 1);
    let read = load(&store, &key).await;
    proxy.round_trips();
    store.rename(&key, &to, write(&set("d", "3"), Some(&read))).await.unwrap();
    assert_eq!(proxy.round_trips(), 1);
    let read = load(&store, &to).await;
    proxy.round_trips();
    store.update(&to, write(&owned(set("e", "4")), Some(&read))).await.unwrap();
    assert_eq!(proxy.round_trips(), 1);
    assert!(store.delete_by_id(to.id(), NOW).await.unwrap());
    assert_eq!(proxy.round_trips(), 2, "the owner's indexes are told");
    let key = fresh_key();
    create(&store, &key, &set("a", "1")).await;
    assert!(store.delete(&key, End::Deleted, NOW).await.unwrap());
    assert_eq!(proxy.round_trips(), 2);
}

/// So that Redis knows every script.
async fn warm_up(store: &RedisStore) {
    let (key, to) = (fresh_key(), fresh_key());
    create(store, &key, &set("a", "1")).await;
    let read = load(store, &key).await;
    store.update(&key, write(&set("b", "2"), Some(&read))).await.unwrap();
    store.touch(&key, LATER).await.unwrap();
    store.rename(&key, &to, write(&owned(set("c", "3")), Some(&read))).await.unwrap();
    assert!(store.delete(&to, End::Deleted, NOW).await.unwrap());
}

#[tokio::test]
async fn an_exact_write_whose_answer_is_lost_is_written_once() {
    let proxy = Proxy::before(SHARED.port).await;
    let store = connect(&format!("redis://127.0.0.1:{}", proxy.port), "lost answers").await;
    warm_up(&store).await;
    let key = fresh_key();
    create(&store, &key, &set("a", "1")).await;
    let read = load(&store, &key).await;
    proxy.lose_next_answer();
    let updated =
        store.update(&key, Write { only_if_unchanged: true, ..write(&set("a", "2"), Some(&read)) }).await.unwrap();
    assert_eq!(updated, Updated::Written { version: read.version + 1 });
    let record = load(&store, &key).await;
    assert_eq!((record.version, record.entries.get("a")), (read.version + 1, Some("2")));
    let late =
        store.update(&key, Write { only_if_unchanged: true, ..write(&set("a", "3"), Some(&read)) }).await.unwrap();
    assert_eq!(late, Updated::Conflict);
}

#[tokio::test]
async fn scripts_that_redis_forgot_are_told_again() {
    let server = Server::start(&[]);
    let store = connect(&server.url(), "session").await;
    warm_up(&store).await;
    assert_eq!(server.ask("SCRIPT FLUSH").unwrap(), "+OK");
    warm_up(&store).await;
}

#[tokio::test]
async fn a_redis_that_is_away_is_unavailable_and_works_when_it_is_back() {
    let server = Server::start(&[]);
    let store = connect(&server.url(), "session").await;
    warm_up(&store).await;
    for _ in 0..2 {
        server.stop();
        expect_unavailable(&store).await;
        server.start_again();
        warm_up(&store).await;
    }
}

/// The former primary goes on as a replica and keeps its connections open. Its address leads to the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failover_the_new_primary_is_asked_within_five_seconds() {
    let (old, new) = (Server::start(&[]), Server::start(&[]));
    let proxy = Proxy::before(old.port).await;
    let store = connect(&format!("redis://127.0.0.1:{}", proxy.port), "session").await;
    let (key, changes) = (fresh_key(), set("a", "1"));
    create(&store, &key, &changes).await;
    assert_eq!(new.ask(&format!("REPLICAOF 127.0.0.1 {}", old.port)).unwrap(), "+OK");
    let begun = Instant::now();
    while new.ask("DBSIZE").unwrap() == ":0" {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(new.ask("REPLICAOF NO ONE").unwrap(), "+OK");
    proxy.lead_to(new.port);
    assert_eq!(old.ask(&format!("REPLICAOF 127.0.0.1 {}", new.port)).unwrap(), "+OK");

    let begun = Instant::now();
    let read = load(&store, &key).await;
    store.update(&key, write(&set("b", "2"), Some(&read))).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    warm_up(&store).await;

    // Reads alone notice it too: the former primary would answer them without an error.
    proxy.lead_to(old.port);
    assert_eq!(old.ask("REPLICAOF NO ONE").unwrap(), "+OK");
    let mut redis = redis::Client::open(old.url()).unwrap().get_connection().unwrap();
    redis::cmd("DEL").arg(name_of("session", &key)).exec(&mut redis).unwrap();
    assert_eq!(new.ask(&format!("REPLICAOF 127.0.0.1 {}", old.port)).unwrap(), "+OK");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(store.load(&key, NOW).await.unwrap().live().is_none(), "the new primary has no such session");
}

/// No primary is there yet: it is an error, and not what the replica has.
#[tokio::test]
async fn a_replica_is_not_read() {
    let server = Server::start(&[]);
    let store = connect(&server.url(), "session").await;
    let key = fresh_key();
    create(&store, &key, &set("a", "1")).await;
    assert_eq!(server.ask("REPLICAOF 127.0.0.1 1").unwrap(), "+OK");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for _ in 0..3 {
        expect_error(StoreErrorKind::Unavailable, store.load(&key, NOW)).await;
    }
    assert_eq!(server.ask("REPLICAOF NO ONE").unwrap(), "+OK");
    tokio::time::sleep(Duration::from_millis(250)).await;
    load(&store, &key).await;
}

#[tokio::test]
async fn a_connection_that_the_application_has_comes_back_too() {
    let server = Server::start(&[]);
    let client = redis::Client::open(server.url()).unwrap();
    let store = RedisStore::from_connection(client.get_connection_manager().await.unwrap());
    warm_up(&store).await;
    server.stop();
    expect_unavailable(&store).await;
    server.start_again();
    // Its manager waits longer from one attempt to the next.
    let begun = Instant::now();
    while store.touch(&fresh_key(), LATER).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    warm_up(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_does_not_answer_is_unavailable_until_it_does() {
    let server = Server::start(&["--enable-debug-command", "local"]);
    let store = connect(&server.url(), "session").await;
    warm_up(&store).await;
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let sleep = std::thread::spawn(move || redis::cmd("DEBUG").arg("SLEEP").arg(3).exec(&mut connection).unwrap());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    let error = store.load(&fresh_key(), NOW).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
    sleep.join().unwrap();
    warm_up(&store).await;
}

/// Every operation says so, and soon.
async fn expect_unavailable(store: &RedisStore) {
    let (key, changes) = (fresh_key(), set("a", "1"));
    let write = write(&changes, None);
    expect_error(StoreErrorKind::Unavailable, store.load(&key, NOW)).await;
    expect_error(StoreErrorKind::Unavailable, store.create(&key, write)).await;
    expect_error(StoreErrorKind::Unavailable, store.update(&key, write)).await;
    expect_error(StoreErrorKind::Unavailable, store.touch(&key, LATER)).await;
    expect_error(StoreErrorKind::Unavailable, store.rename(&key, &key, write)).await;
    expect_error(StoreErrorKind::Unavailable, store.delete(&key, End::Deleted, NOW)).await;
    expect_error(StoreErrorKind::Unavailable, store.list(owner("anna"), NOW, 100)).await;
    expect_error(StoreErrorKind::Unavailable, store.delete_by_id(key.id(), NOW)).await;
    expect_error(StoreErrorKind::Unavailable, store.delete_by_owner(owner("anna"), Spared::default(), NOW)).await;
}

pub(super) async fn expect_error<T>(kind: StoreErrorKind, operation: impl Future<Output = Result<T, StoreError>>) {
    let begun = Instant::now();
    let error = operation.await.err().expect("it is an error");
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_makes_no_sense_is_unreadable_and_stays_as_it_is() {
    let store = shared("unreadable").await;
    let mut redis = raw(&SHARED);
    for damage in [
        &["SETRANGE", "0", "3"][..],
        &["SETRANGE", "34", "-"],
        &["SETRANGE", "53", " "],
        &["SETRANGE", "60", "e"],
        &["SETRANGE", "94", "never"],
        &["SET", "a text"],
        &["SET", ""],
        &["SET", "2"],
        &["SET", "2R"],
        // What another program may keep there, or a former version whose record is damaged.
        &["HSET", "a", "1"],
        &["HSET", "$f", "1", "$v", "1", "$c", "1", "$s", "1", "$x", "9"],
        &["HSET", "$f", "1", "$h", "AAAA", "$v", "1", "$c", "1", "$s", "1", "$x", "9"],
        &["RPUSH", "a"],
    ] {
        let key = fresh_key();
        create(&store, &key, &set("a", "1")).await;
        let name = name_of("unreadable", &key);
        if ["HSET", "RPUSH"].contains(&damage[0]) {
            redis::cmd("DEL").arg(&name).exec(&mut redis).unwrap();
        }
        redis::cmd(damage[0]).arg(&name).arg(&damage[1..]).exec(&mut redis).unwrap();
        let before = dump(&mut redis, &name);
        expect_unreadable(&store, &key).await;
        assert_eq!(dump(&mut redis, &name), before, "{damage:?}");
    }
}

async fn expect_unreadable(store: &RedisStore, key: &RecordKey) {
    let (changes, to) = (owned(set("a", "2")), fresh_key());
    let write = write(&changes, None);
    expect_error(StoreErrorKind::Unreadable, store.load(key, NOW)).await;
    expect_error(StoreErrorKind::Unreadable, store.create(key, write)).await;
    expect_error(StoreErrorKind::Unreadable, store.update(key, write)).await;
    expect_error(StoreErrorKind::Unreadable, store.touch(key, LATER)).await;
    expect_error(StoreErrorKind::Unreadable, store.rename(key, &to, write)).await;
    expect_error(StoreErrorKind::Unreadable, store.delete(key, End::Deleted, NOW)).await;
    expect_error(StoreErrorKind::Unreadable, store.delete_by_id(key.id(), NOW)).await;
}

/// The hash that a session was in the first layout.
fn former(prefix: &str, key: &RecordKey, owner: Option<&str>) -> redis::Cmd {
    let mut command = redis::cmd("HSET");
    command.arg(name_of(prefix, key)).arg(&["$f", "1", "$v", "7", "$c", "1893450000", "$s", "1893455000"]);
    command.arg("$x").arg(NOW + 3_600).arg("$h").arg(session_core::base64url(key.hash())).arg("$l").arg("Firefox");
    command.arg("$").arg(r#"{"until":1893459600}"#).arg("a").arg("1").arg("\u{e9}\"/").arg("[1.0]").arg("$$b").arg("2");
    owner.map(|owner| command.arg("$o").arg(owner));
    command
}

#[tokio::test]
async fn sessions_of_the_first_layout_are_read_and_written_on() {
    let store = shared("former").await;
    let mut redis = raw(&SHARED);
    let fields = [("$", r#"{"until":1893459600}"#), ("$b", "2"), ("a", "1"), ("\u{e9}\"/", "[1.0]")];
    let keys: Vec<_> = (0..7).map(|_| fresh_key()).collect();
    for key in &keys {
        former("former", key, Some("anna")).exec(&mut redis).unwrap();
        redis::cmd("PEXPIREAT").arg(name_of("former", key)).arg((NOW + 3_900) * 1_000).exec(&mut redis).unwrap();
    }
    let record = load(&store, &keys[0]).await;
    let mut entries: Vec<_> = record.entries.fields().collect();
    entries.sort_unstable();
    assert_eq!(entries, fields);
    assert_eq!((record.version, record.created_at, record.seen_at), (7, 1_893_450_000, 1_893_455_000));
    assert_eq!((record.expires_at, record.application.as_deref()), (NOW + 3_600, None));
    assert_eq!((record.owner.as_deref(), record.label.as_deref()), (Some("anna"), Some("Firefox")));
    let wrong = RecordKey::of_secret(keys[0].id(), &[9; 32]);
    assert!(store.load(&wrong, NOW).await.unwrap().live().is_none());

    let changes = set("c", "3");
    assert_eq!(store.update(&keys[1], write(&changes, Some(&record))).await.unwrap(), Updated::Written { version: 8 });
    assert!(store.touch(&keys[2], LATER).await.unwrap());
    let to = RecordKey::from_parts(keys[3].id().renewed().unwrap(), [3; 32]);
    assert_eq!(
        store.rename(&keys[3], &to, write(&changes, Some(&record))).await.unwrap(),
        Updated::Written { version: 8 }
    );
    assert!(store.delete(&keys[4], End::Deleted, NOW).await.unwrap());
    assert!(store.delete_by_id(keys[5].id(), NOW).await.unwrap());
    // One was not asked for: `migrate` converts the rest.
    assert_eq!(store.count(owner("anna"), NOW).await.unwrap(), 4);
    store.migrate().await.unwrap();
    assert_eq!(store.count(owner("anna"), NOW).await.unwrap(), 5);
    // Whose application is not known belongs to every application, until it is written to.
    let shop = Owner { application: "shop", name: "anna" };
    assert_eq!(store.count(shop, NOW).await.unwrap(), 3);
    assert_eq!(store.delete_by_owner(shop, Spared::default(), NOW).await.unwrap(), 3);
    assert_eq!(store.delete_by_owner(owner("anna"), Spared::default(), NOW).await.unwrap(), 2);
    let layout: String = redis::cmd("GET").arg("former:layout").query(&mut redis).unwrap();
    assert_eq!(layout, "2");
}

#[tokio::test]
async fn a_visitor_of_a_damaged_hash_begins_another_session() {
    let store = shared("damaged").await;
    let mut redis = raw(&SHARED);
    for damage in [
        &["SETRANGE", "143", "["][..],
        &["APPEND", "}"],
        &["SETRANGE", "0", "3"],
        &["SETRANGE", "34", "-0000000000000000001"],
        &["SETRANGE", "80", "x"],
        &["SETRANGE", "133", "\x01"],
        &["SET", "garbage"],
        &["SET", "2R"],
    ] {
        let visitor = visitor(store.clone()).await;
        let id = id_of(&visitor).await;
        let name = name_of("damaged", &RecordKey::from_parts(id, [0; 32]));
        redis::cmd(damage[0]).arg(&name).arg(&damage[1..]).exec(&mut redis).unwrap();
        let before = dump(&mut redis, &name);
        expect_another_session(&visitor, &damage.join(" ")).await;
        assert_eq!(dump(&mut redis, &name), before, "{damage:?}");
        assert_ne!(id_of(&visitor).await, id, "{damage:?}");
    }
}

#[tokio::test]
async fn an_entry_that_is_no_json_is_unreadable() {
    let store = shared("no json").await;
    let mut redis = raw(&SHARED);
    for entries in [&b"{\"a\":1,}"[..], b"{", b"{\"a\":\xff}", b"{\"$\":}", b"[]", b""] {
        let key = fresh_key();
        create(&store, &key, &set("a", "1")).await;
        let name = name_of("no json", &key);
        let mut record: Vec<u8> = redis::cmd("GET").arg(&name).query(&mut redis).unwrap();
        record.truncate(record.len() - b"{\"a\":1}".len());
        record.extend_from_slice(entries);
        redis::cmd("SET").arg(&name).arg(record).exec(&mut redis).unwrap();
        let before = dump(&mut redis, &name);
        expect_error(StoreErrorKind::Unreadable, store.load(&key, NOW)).await;
        assert_eq!(dump(&mut redis, &name), before);
    }
}

#[tokio::test]
async fn an_unreadable_session_of_an_owner_is_told_and_the_others_end() {
    let store = shared("unreadable owner").await;
    let (readable, damaged) = (fresh_key(), fresh_key());
    for key in [&readable, &damaged] {
        store.create(key, write(&owned(set("a", "1")), None)).await.unwrap();
    }
    let name = name_of("unreadable owner", &damaged);
    redis::cmd("SETRANGE").arg(name).arg(0).arg("3").exec(&mut raw(&SHARED)).unwrap();
    expect_error(StoreErrorKind::Unreadable, store.list(owner("anna"), NOW, 100)).await;
    expect_error(StoreErrorKind::Unreadable, store.delete_by_owner(owner("anna"), Spared::default(), NOW)).await;
    assert!(store.load(&readable, NOW).await.unwrap().live().is_none());
}

/// The seven that are damaged are on several pages of the scan.
#[tokio::test]
async fn unreadable_sessions_stay_and_all_others_of_the_application_end() {
    let store = shared("unreadable application").await;
    let mut redis = raw(&SHARED);
    let keys: Vec<_> = (0..3_500).map(|_| fresh_key()).collect();
    for key in &keys {
        create(&store, key, &set("a", "1")).await;
    }
    let names: Vec<_> = keys.iter().step_by(500).map(|key| name_of("unreadable application", key)).collect();
    for name in &names {
        redis::cmd("SETRANGE").arg(name).arg(0).arg("3").exec(&mut redis).unwrap();
    }
    let before: Vec<_> = names.iter().map(|name| dump(&mut redis, name)).collect();
    for _ in 0..2 {
        expect_error(StoreErrorKind::Unreadable, store.delete_by_application("", NOW)).await;
        let ended = store.look_up(&keys, NOW).await.unwrap();
        let ended = ended.into_iter().filter(|lookup| matches!(lookup, Lookup::Ended(End::Deleted))).count();
        assert_eq!(ended, 3_493);
        assert_eq!(names.iter().map(|name| dump(&mut redis, name)).collect::<Vec<_>>(), before);
    }
}

/// A record of the first layout, a damaged one, and a hash of another program are in one script.
#[tokio::test]
async fn unreadable_records_keep_no_session_of_the_first_layout_alive_or_out_of_the_list() {
    let prefix = "unreadable and former";
    let store = shared(prefix).await;
    let mut redis = raw(&SHARED);
    let mut over = Vec::new();
    for round in 0..3 {
        let (damaged, foreign, old, new) = (fresh_key(), fresh_key(), fresh_key(), fresh_key());
        let changes = owned(set("a", "1"));
        for key in [&damaged, &foreign, &new] {
            create(&store, key, &changes).await;
        }
        redis::cmd("SETRANGE").arg(name_of(prefix, &damaged)).arg(0).arg("3").exec(&mut redis).unwrap();
        redis::cmd("DEL").arg(name_of(prefix, &foreign)).exec(&mut redis).unwrap();
        redis::cmd("HSET").arg(name_of(prefix, &foreign)).arg("a").arg("1").exec(&mut redis).unwrap();
        former(prefix, &old, Some("anna")).exec(&mut redis).unwrap();
        let listed = all_keys(&store).await;
        assert!(listed.contains(&old) && listed.contains(&new), "round {round}");
        // The list has converted it.
        redis::cmd("DEL").arg(name_of(prefix, &old)).exec(&mut redis).unwrap();
        former(prefix, &old, Some("anna")).exec(&mut redis).unwrap();
        let operation = match round {
            0 => store.delete_by_owner(owner("anna"), Spared::default(), NOW),
            1 => store.delete_by_owner(owner("anna"), Spared { id: None, newest: 1 }, NOW),
            _ => store.delete_by_application("", NOW),
        };
        expect_error(StoreErrorKind::Unreadable, operation).await;
        over.extend([old, new]);
        let found = store.look_up(&over, NOW).await.unwrap();
        let ended = found.iter().filter(|lookup| matches!(lookup, Lookup::Ended(_))).count();
        let spared = usize::from(round == 1);
        assert_eq!(ended, over.len() - spared, "round {round}: {found:?}");
    }
}

/// The keys on all pages.
async fn all_keys(store: &RedisStore) -> Vec<RecordKey> {
    let (mut keys, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.all(NOW, cursor.as_ref()).await.unwrap();
        keys.extend(page.sessions.into_iter().map(|info| info.key));
        cursor = page.next;
        if cursor.is_none() {
            return keys;
        }
    }
}

/// The first look at the owner's index finds the id before or after a rename.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_rename_escapes_a_log_out_everywhere_that_meets_an_unreadable_session() {
    let store = shared("unreadable renames").await;
    let damaged = fresh_key();
    create(&store, &damaged, &owned(set("a", "1"))).await;
    let name = name_of("unreadable renames", &damaged);
    redis::cmd("SETRANGE").arg(name).arg(0).arg("3").exec(&mut raw(&SHARED)).unwrap();
    for _ in 0..30 {
        let (renamer, is_over) = (shared("unreadable renames").await, Arc::new(AtomicBool::new(false)));
        let mut key = fresh_key();
        create(&store, &key, &owned(set("a", "1"))).await;
        let stops = Arc::clone(&is_over);
        let renames = tokio::spawn(async move {
            let changes = set("b", "1");
            while !stops.load(Ordering::Relaxed) {
                let to = RecordKey::from_parts(key.id().renewed().unwrap(), *key.hash());
                match renamer.rename(&key, &to, write(&changes, None)).await.unwrap() {
                    Updated::Gone => break,
                    _ => key = to,
                }
            }
            key
        });
        tokio::time::sleep(Duration::from_millis(5)).await;
        expect_error(StoreErrorKind::Unreadable, store.delete_by_owner(owner("anna"), Spared::default(), NOW)).await;
        is_over.store(true, Ordering::Relaxed);
        let last = renames.await.unwrap();
        assert!(store.load(&last, NOW).await.unwrap().live().is_none());
    }
}

#[tokio::test]
async fn an_owner_that_a_request_did_not_read_has_the_session_for_as_long_as_it_lives() {
    let store = shared("late owner").await;
    let (updated, touched) = (fresh_key(), fresh_key());
    let (changes, owned) = (set("a", "1"), owned(set("a", "1")));
    for key in [&updated, &touched] {
        create(&store, key, &changes).await;
        let read = load(&store, key).await;
        store.update(key, write(&owned, Some(&read))).await.unwrap();
        let later = Write { visit: LATER, ..write(&changes, Some(&read)) };
        if key == &updated {
            store.update(key, later).await.unwrap();
        } else {
            assert!(store.touch(key, LATER).await.unwrap());
        }
    }
    // What others write makes the index forget what is over.
    let visit = Visit { now: LATER.expires_at, expires_at: LATER.expires_at + 60 };
    store.create(&fresh_key(), Write { visit, ..write(&owned, None) }).await.unwrap();
    assert_eq!(store.list(owner("anna"), LATER.expires_at, 100).await.unwrap().len(), 3);
    assert_eq!(store.delete_by_owner(owner("anna"), Spared::default(), NOW).await.unwrap(), 3);
}

#[tokio::test]
async fn an_index_forgets_what_is_over_and_expires_with_its_last_session() {
    let store = shared("index").await;
    let mut redis = raw(&SHARED);
    let changes = owned(set("a", "1"));
    for age in [0, 100_000] {
        let visit = Visit { now: NOW + age, expires_at: NOW + age + 3_600 };
        store.create(&fresh_key(), Write { visit, ..write(&changes, None) }).await.unwrap();
    }
    let indexes = keys(&mut redis, "index:owner:*");
    assert_eq!(indexes.len(), 2);
    for index in &indexes {
        let members: u64 = redis::cmd("ZCARD").arg(index).query(&mut redis).unwrap();
        assert_eq!(members, 1);
    }
    let a_day_and_more = 24 * 3_600 * 1_000 + 3_900_000;
    for key in keys(&mut redis, "index:*") {
        let milliseconds: u64 = redis::cmd("PTTL").arg(&key).query(&mut redis).unwrap();
        assert!((a_day_and_more - 20_000..=a_day_and_more).contains(&milliseconds), "{milliseconds}");
    }
}

#[tokio::test]
async fn a_tombstone_is_kept_for_six_minutes() {
    let store = shared("tombstones").await;
    let mut redis = raw(&SHARED);
    let (deleted, by_id, emptied, renamed) = (fresh_key(), fresh_key(), fresh_key(), fresh_key());
    let changes = owned(set("a", "1"));
    for key in [&deleted, &by_id, &renamed] {
        create(&store, key, &changes).await;
    }
    create(&store, &emptied, &set("a", "1")).await;
    assert!(store.delete(&deleted, End::Deleted, NOW).await.unwrap());
    assert!(store.delete_by_id(by_id.id(), NOW).await.unwrap());
    let read = load(&store, &emptied).await;
    let mut nothing = Changes::default();
    nothing.clear(&read.entries);
    assert_eq!(store.rename(&emptied, &fresh_key(), write(&nothing, Some(&read))).await.unwrap(), Updated::Removed);
    let (read, to) = (load(&store, &renamed).await, fresh_key());
    store.rename(&renamed, &to, write(&changes, Some(&read))).await.unwrap();
    let (by_owner, by_application) = (to, fresh_key());
    assert_eq!(store.delete_by_owner(owner("anna"), Spared::default(), NOW).await.unwrap(), 1);
    create(&store, &by_application, &changes).await;
    assert_eq!(store.delete_by_application("", NOW).await.unwrap(), 1);
    for key in [deleted, by_id, emptied, renamed, by_owner, by_application] {
        let milliseconds: u64 = redis::cmd("PTTL").arg(name_of("tombstones", &key)).query(&mut redis).unwrap();
        assert!((340_000..=360_000).contains(&milliseconds), "{milliseconds}");
        assert!(matches!(store.load(&key, NOW + 60).await.unwrap(), Lookup::Ended(_)));
    }
}

#[tokio::test]
async fn what_is_kept_has_no_secret_and_the_values_as_they_are() {
    let store = shared("dump").await;
    let mut redis = raw(&SHARED);
    let secret = *b"This is the visitor's own secret";
    let key = RecordKey::of_secret(SessionId::random().unwrap(), &secret);
    let mut changes = owned(set("cart", r#"[ 1.0e2, "\u0061" ]"#));
    changes.set_label("Firefox".to_owned());
    changes.insert("$later", "1".to_owned());
    store.create(&key, write(&changes, None)).await.unwrap();
    let all: Vec<_> = keys(&mut redis, "dump:*").iter().flat_map(|name| dump(&mut redis, name)).collect();
    let contains = |text: &[u8]| all.iter().any(|value| value.windows(text.len()).any(|window| window == text));
    assert!(contains(br#"[ 1.0e2, "\u0061" ]"#) && contains(b"anna") && contains(br#""$later":1"#));
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let encoded = session_core::base64url(&secret);
    assert!(!contains(&secret) && !contains(hex.as_bytes()) && !contains(encoded.as_bytes()));
    assert_eq!(load(&store, &key).await.entries.fields().next(), Some(("$later", "1")));
}

#[tokio::test]
async fn neither_the_store_nor_its_errors_show_user_or_password() {
    assert_eq!(format!("{:?}", shared("debug").await), "RedisStore { .. }");
    let server = Server::start(&["--requirepass", "correct horse"]);
    let url = format!("redis://anna:hunter2@127.0.0.1:{}", server.port);
    let port = server.port;
    for (url, reason) in [
        (&*url, &*format!("Redis at 127.0.0.1:{port} refused the user or the password")),
        ("redis://anna:hunter2@127.0.0.1:1", "the connection to Redis at 127.0.0.1:1 failed: Connection refused"),
        ("redis://anna:hunter2@[", "the URL of Redis cannot be used: Redis URL did not parse"),
        ("rediss://anna:hunter2@127.0.0.1:1", "the connection to Redis at 127.0.0.1:1 failed: Connection refused"),
    ] {
        let error = RedisStore::connect(url).await.unwrap_err();
        let shown = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
        assert!(!shown.contains("hunter2") && !shown.contains("anna"), "{shown}");
        assert!(shown.contains(reason), "{shown}");
    }
}

/// docs/stores.md recommends `noeviction` for this reason.
#[tokio::test]
async fn only_noeviction_loses_nothing_when_the_memory_is_full() {
    let policies = ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random"];
    for policy in policies.into_iter().chain(["volatile-ttl", "noeviction"]) {
        let server = Server::start(&["--maxmemory", "3mb", "--maxmemory-policy", policy]);
        let store = connect(&server.url(), "session").await;
        let (mut confirmed, mut refused) = (Vec::new(), 0);
        let changes = owned(set("a", &format!("\"{}\"", "x".repeat(500))));
        for _ in 0..4_000 {
            let key = fresh_key();
            match store.create(&key, write(&changes, None)).await {
                Ok(()) => confirmed.push(key),
                Err(error) => {
                    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{policy}");
                    refused += 1;
                }
            }
        }
        let found = store.look_up(&confirmed, NOW).await.unwrap();
        let lost = found.into_iter().filter(|lookup| !matches!(lookup, Lookup::Live(_))).count();
        if policy == "noeviction" {
            assert!(refused > 0 && lost == 0, "{policy}: {refused} refused, {lost} lost");
        } else {
            assert!(refused == 0 && lost > 0, "{policy}: {refused} refused, {lost} lost");
        }
    }
}

#[tokio::test]
async fn what_redis_refuses_is_told_from_what_it_cannot_do_now() {
    let server = Server::start(&["--requirepass", "correct"]);
    expect_error(StoreErrorKind::Refused, connect(&server.url(), "session").await.migrate()).await;
    let url = |user: &str| format!("redis://{user}@127.0.0.1:{}", server.port);
    expect_error(StoreErrorKind::Refused, RedisStore::connect(&url(":wrong"))).await;
    expect_error(StoreErrorKind::Refused, RedisStore::connect("http://127.0.0.1")).await;
    expect_error(StoreErrorKind::Unavailable, RedisStore::connect("redis://127.0.0.1:1")).await;
    let store = connect(&url(":correct"), "session").await;
    store.migrate().await.unwrap();
    let mut redis = redis::Client::open(url(":correct")).unwrap().get_connection().unwrap();
    let mut tell =
        |command: &str| redis::cmd("CONFIG").arg("SET").arg(command.split(' ').collect::<Vec<_>>()).exec(&mut redis);
    let (key, changes) = (fresh_key(), set("a", "1"));
    create(&store, &key, &changes).await;

    tell("maxmemory 1").unwrap();
    expect_error(StoreErrorKind::Unavailable, store.create(&fresh_key(), write(&changes, None))).await;
    expect_error(StoreErrorKind::Unavailable, store.update(&key, write(&changes, None))).await;
    assert_eq!(load(&store, &key).await.version, 1);
    tell("maxmemory 0").unwrap();

    tell("min-replicas-to-write 1").unwrap();
    expect_error(StoreErrorKind::Unavailable, store.update(&key, write(&changes, None))).await;
    tell("min-replicas-to-write 0").unwrap();

    redis::cmd("ACL").arg(&["SETUSER", "reader", "on", ">pass", "~*", "+@read"]).exec(&mut redis).unwrap();
    let reader = connect(&url("reader:pass"), "session").await;
    assert!(reader.load(&key, NOW).await.unwrap().live().is_some());
    expect_error(StoreErrorKind::Refused, reader.update(&key, write(&changes, None))).await;
    expect_error(StoreErrorKind::Refused, reader.migrate()).await;

    redis::cmd("REPLICAOF").arg("127.0.0.1").arg(1).exec(&mut redis).unwrap();
    expect_error(StoreErrorKind::Unavailable, store.update(&key, write(&changes, None))).await;
}

#[tokio::test]
async fn stores_with_other_prefixes_do_not_see_each_other() {
    let (shop, blog) = (shared("shop").await, shared("blog").await);
    let key = fresh_key();
    shop.create(&key, write(&owned(set("a", "1")), None)).await.unwrap();
    assert!(blog.load(&key, NOW).await.unwrap().live().is_none());
    assert!(blog.list(owner("anna"), NOW, 100).await.unwrap().is_empty());
    assert!(!blog.delete(&key, End::Deleted, NOW).await.unwrap() && !blog.delete_by_id(key.id(), NOW).await.unwrap());
    assert_eq!(blog.delete_by_owner(owner("anna"), Spared::default(), NOW).await.unwrap(), 0);
    assert!(shop.load(&key, NOW).await.unwrap().live().is_some());
}

#[tokio::test]
async fn an_id_that_another_secret_has_is_refused() {
    let store = shared("taken").await;
    let key = fresh_key();
    create(&store, &key, &set("a", "1")).await;
    let other = RecordKey::of_secret(key.id(), &[7; 32]);
    expect_error(StoreErrorKind::Refused, store.create(&other, write(&set("a", "2"), None))).await;
    assert_eq!(load(&store, &key).await.entries.get("a"), Some("1"));
}

#[tokio::test]
async fn thousands_of_keys_fit_into_one_write() {
    let store = shared("many keys").await;
    let (key, mut changes) = (fresh_key(), Changes::default());
    for number in 0..9_000 {
        changes.insert(&format!("key {number}"), number.to_string());
    }
    create(&store, &key, &changes).await;
    let read = load(&store, &key).await;
    assert_eq!(read.entries.iter().count(), 9_000);
    store.update(&key, write(&changes, Some(&read))).await.unwrap();
    for number in 0..9_000 {
        changes.remove(&format!("key {number}"));
    }
    assert_eq!(store.update(&key, write(&changes, Some(&read))).await.unwrap(), Updated::Removed);
}

async fn shared(prefix: &str) -> RedisStore {
    connect(&SHARED.url(), prefix).await
}

async fn connect(url: &str, prefix: &str) -> RedisStore {
    RedisStore::connect(url).await.unwrap().prefix(prefix)
}

pub(super) async fn create(store: &RedisStore, key: &RecordKey, changes: &Changes) {
    store.create(key, write(changes, None)).await.unwrap();
}

pub(super) async fn load(store: &RedisStore, key: &RecordKey) -> Record {
    store.load(key, NOW).await.unwrap().live().expect("the record is there")
}

pub(super) fn set(key: &str, text: &str) -> Changes {
    let mut changes = Changes::default();
    changes.insert(key, text.to_owned());
    changes
}

/// The changes, by which the session becomes anna's.
pub(super) fn owned(mut changes: Changes) -> Changes {
    changes.set_owner("anna".to_owned());
    changes
}

pub(super) fn write<'a>(changes: &'a Changes, read: Option<&'a Record>) -> Write<'a> {
    let visit = Visit { now: NOW, expires_at: NOW + 3_600 };
    Write { base: read, ..Write::new(changes, visit) }
}

pub(super) fn fresh_key() -> RecordKey {
    RecordKey::of_secret(SessionId::random().unwrap(), &[1; 32])
}

/// The key in Redis.
pub(super) fn name_of(prefix: &str, key: &RecordKey) -> String {
    let id: String = key.id().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}:{{{}}}:{id}", &id[..4])
}

fn raw(server: &Server) -> Connection {
    redis::Client::open(server.url()).unwrap().get_connection().unwrap()
}

fn keys(redis: &mut Connection, pattern: &str) -> Vec<String> {
    redis::cmd("KEYS").arg(pattern).query(redis).unwrap()
}

/// The key and all that is under it.
fn dump(redis: &mut Connection, name: &str) -> Vec<Vec<u8>> {
    let kind: String = redis::cmd("TYPE").arg(name).query(redis).unwrap();
    let (command, rest) = match &*kind {
        "hash" => ("HGETALL", &[][..]),
        "list" => ("LRANGE", &["0", "-1"][..]),
        "zset" => ("ZRANGE", &["0", "-1", "WITHSCORES"][..]),
        "string" => ("GETRANGE", &["0", "-1"][..]),
        kind => panic!("a {kind}"),
    };
    let value: redis::Value = redis::cmd(command).arg(name).arg(rest).query(redis).unwrap();
    let mut values: Vec<Vec<u8>> = match value {
        redis::Value::BulkString(text) => vec![text],
        values => redis::from_redis_value(values).unwrap(),
    };
    values.push(name.as_bytes().to_vec());
    values
}

pub(super) const NOW: u64 = 1_893_456_000;
pub(super) const LATER: Visit = Visit { now: NOW + 1_800, expires_at: NOW + 36_000 };
const LIMIT: Duration = Duration::from_millis(2_500);
