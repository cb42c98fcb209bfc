use std::{
    collections::HashSet,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::{Context, Poll, Waker},
};

use session_core::store::Changes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const NOW: u64 = 1_893_456_000;

fn key(number: u64) -> RecordKey {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    RecordKey::of_secret(SessionId::from_bytes(id), &[7; 32])
}

/// Returns the result of a future that never waits: every operation except the sweep.
fn done<T>(mut future: StoreFuture<'_, T>) -> Result<T, StoreError> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it should not wait"),
    }
}

fn changes(text: &str) -> Changes {
    let mut changes = Changes::default();
    changes.insert("a", text.to_owned());
    changes
}

fn write(changes: &Changes, now: u64, expires_at: u64) -> Write<'_> {
    Write::new(changes, Visit { now, expires_at })
}

fn create(store: &MemoryStore, number: u64, text: &str, seen_at: u64, expires_at: u64) -> Result<(), StoreError> {
    let mut changes = changes(text);
    changes.set_owner(format!("owner {}", number % 5));
    done(store.create(&key(number), write(&changes, seen_at, expires_at)))
}

fn exists(store: &MemoryStore, number: u64) -> bool {
    done(store.load(&key(number), NOW)).unwrap().live().is_some()
}

fn owner(name: &str) -> Owner<'_> {
    Owner { application: "", name }
}

fn listed(store: &dyn SessionStore, name: &str, now: u64) -> Vec<SessionInfo> {
    done(store.list(owner(name), now, 100)).unwrap()
}

fn bytes(store: &MemoryStore) -> usize {
    store.shared.shards.iter().map(|shard| lock(shard).bytes()).sum()
}

fn quotes(length: usize) -> String {
    format!("\"{}\"", "x".repeat(length))
}

#[test]
fn a_full_store_forgets_the_sessions_seen_longest_ago() {
    let store = MemoryStore::limited_to(100_000);
    for number in 0..1_000 {
        create(&store, number, &quotes(100), NOW + number, NOW + 9_999).unwrap();
        // A visit counts as much as a write.
        assert!(done(store.touch(&key(0), Visit { now: NOW + number, expires_at: NOW + 9_999 })).unwrap());
        assert!(bytes(&store) <= 100_000);
    }
    assert!(bytes(&store) > 90_000);
    let alive: Vec<u64> = (0..1_000).filter(|number| exists(&store, *number)).collect();
    assert!(alive.len() > 200, "{} are alive", alive.len());
    assert!(alive[0] == 0 && alive[1..].iter().copied().eq(1_001 - alive.len() as u64..1_000), "the latest are alive");
}

#[test]
fn a_full_store_forgets_strangers_that_never_came_back_first() {
    let store = MemoryStore::limited_to(100_000);
    let stranger = changes(&quotes(100));
    for number in 0..100 {
        done(store.create(&key(number), write(&stranger, NOW, NOW + 9_999))).unwrap();
    }
    for number in 0..50 {
        assert!(done(store.touch(&key(number), Visit { now: NOW + 1, expires_at: NOW + 9_999 })).unwrap());
    }
    create(&store, 100, &quotes(100), NOW, NOW + 9_999).unwrap();
    for number in 101..5_000 {
        done(store.create(&key(number), write(&stranger, NOW + number, NOW + 9_999))).unwrap();
    }
    let alive: Vec<u64> = (0..101).filter(|number| exists(&store, *number)).collect();
    assert!(alive.iter().copied().eq((0..50).chain([100])), "{alive:?}");
}

#[test]
fn a_tombstone_counts_as_memory_until_it_is_over() {
    let store = MemoryStore::limited_to(100_000);
    for number in 0..10_000 {
        create(&store, number, "1", NOW, NOW + 9).unwrap();
        assert!(done(store.delete(&key(number), End::Deleted, NOW)).unwrap());
        assert!(bytes(&store) > 0);
    }
    create(&store, 10_000, "1", NOW + 61, NOW + 99).unwrap();
    assert!(done(store.delete(&key(10_000), End::Deleted, NOW + 61)).unwrap());
    assert!(bytes(&store) < 1_000, "one tombstone is left");
}

/// Creates sessions and ends them in the same second.
fn create_and_end(store: &MemoryStore, numbers: std::ops::Range<u64>) {
    for number in numbers {
        create(store, number, "1", NOW, NOW + 9_999).unwrap();
        assert!(done(store.delete(&key(number), End::Deleted, NOW)).unwrap());
        assert!(bytes(store) <= 100_000);
    }
}

#[test]
fn tombstones_push_out_no_live_session() {
    let store = MemoryStore::limited_to(100_000);
    create(&store, 0, "1", NOW, NOW + 9_999).unwrap();
    assert!(done(store.touch(&key(0), Visit { now: NOW + 1, expires_at: NOW + 9_999 })).unwrap());
    done(store.create(&key(1), write(&changes("1"), NOW, NOW + 9_999))).unwrap();
    create_and_end(&store, 2..5_000);
    assert!(exists(&store, 0) && exists(&store, 1));
}

#[test]
fn a_full_store_forgets_the_oldest_tombstones_and_keeps_an_eighth_for_the_latest() {
    let store = MemoryStore::limited_to(100_000);
    let knows = |number| matches!(done(store.load(&key(number), NOW)).unwrap(), Lookup::Ended(End::Deleted));
    create_and_end(&store, 0..600);
    assert!((0..600).all(knows), "there is room for all of them");
    create_and_end(&store, 600..5_000);
    assert!((4_500..5_000).all(knows) && !knows(0));
    for number in 5_000..6_000 {
        create(&store, number, &quotes(100), NOW, NOW + 9_999).unwrap();
    }
    let known = (0..5_000).filter(|number| knows(*number)).count() as u64;
    assert!((70..=78).contains(&known) && (5_000 - known..5_000).all(knows), "{known} are known");
    assert!((5_700..6_000).filter(|number| exists(&store, *number)).count() > 200);
}

#[test]
fn no_write_under_a_key_whose_tombstone_is_forgotten_brings_the_session_back() {
    let store = MemoryStore::limited_to(100_000);
    create_and_end(&store, 0..5_000);
    let late = changes("2");
    let write = write(&late, NOW, NOW + 9_999);
    assert!(matches!(done(store.load(&key(0), NOW)).unwrap(), Lookup::Unknown));
    assert_eq!(done(store.update(&key(0), write)).unwrap(), Updated::Gone);
    assert_eq!(done(store.rename(&key(0), &key(9_000), write)).unwrap(), Updated::Gone);
    assert!(!done(store.touch(&key(0), write.visit)).unwrap());
    assert!(!exists(&store, 0) && !exists(&store, 9_000));
}

#[test]
fn a_full_store_forgets_expired_sessions_first() {
    let store = MemoryStore::limited_to(100_000);
    for number in 0..150 {
        create(&store, number, &quotes(100), NOW - 9, NOW + 9_999).unwrap();
    }
    let before = bytes(&store);
    for number in 150..10_000 {
        create(&store, number, &quotes(100), NOW + number, NOW + number).unwrap();
    }
    assert!(before < 70_000 && (0..150).all(|number| exists(&store, number)));
}

#[test]
fn a_forgotten_session_leaves_no_trace() {
    let store = MemoryStore::limited_to(1_000);
    create(&store, 1, &quotes(600), NOW, NOW + 9).unwrap();
    create(&store, 2, &quotes(600), NOW, NOW + 9).unwrap();
    assert!(!exists(&store, 1) && exists(&store, 2));
    assert!(listed(&store, "owner 1", NOW).is_empty());
    assert_eq!(store.shared.owners.count(), 1);
}

#[test]
fn what_is_larger_than_the_store_is_refused_and_changes_nothing() {
    let store = MemoryStore::limited_to(1_000);
    create(&store, 1, "1", NOW, NOW + 9).unwrap();
    let large = changes(&quotes(1_000));
    let errors = [
        create(&store, 2, &quotes(1_000), NOW, NOW + 9).unwrap_err(),
        done(store.update(&key(1), write(&large, NOW, NOW + 9))).unwrap_err(),
        done(store.rename(&key(1), &key(3), write(&large, NOW, NOW + 9))).unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.kind() == StoreErrorKind::Refused));
    assert!(exists(&store, 1) && !exists(&store, 2) && !exists(&store, 3));
}

#[test]
fn a_name_that_is_too_long_for_a_record_is_refused() {
    let store = MemoryStore::new();
    for (length, is_kept) in [(65_534, true), (65_535, false), (70_000, false)] {
        let mut changes = changes("1");
        changes.set_owner("x".repeat(length));
        assert_eq!(done(store.create(&key(length as u64), write(&changes, NOW, NOW + 9))).is_ok(), is_kept);
        assert_eq!(exists(&store, length as u64), is_kept);
    }
}

#[test]
fn a_record_that_makes_no_sense_is_an_error_and_stays() {
    let store = MemoryStore::new();
    create(&store, 1, "what is this", NOW, NOW + 9).unwrap();
    let fine = changes("1");
    let error = done(store.load(&key(1), NOW)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreadable);
    let error = done(store.update(&key(1), write(&fine, NOW, NOW + 9))).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unreadable);
    assert!(done(store.load(&key(1), NOW)).is_err());
}

#[tokio::test]
async fn a_sweep_counts_what_it_removes_and_gives_memory_back() {
    let store = MemoryStore::new();
    for number in 0..10_000 {
        create(&store, number, "1", NOW, NOW + number % 10).unwrap();
    }
    let a_day_later = NOW + EXPIRED_IS_KNOWN_FOR;
    assert_eq!(store.delete_expired(a_day_later).await.unwrap(), 0);
    assert_eq!(store.delete_expired(a_day_later + 3).await.unwrap(), 3_000);
    assert_eq!(store.delete_expired(a_day_later + 10).await.unwrap(), 7_000);
    assert_eq!((bytes(&store), store.shared.owners.count()), (0, 0));
}

#[tokio::test]
async fn a_request_that_arrives_during_a_sweep_does_not_wait_for_its_end() {
    // tokio polls the sockets after 61 tasks. This sweep has fewer parts.
    let store = MemoryStore::limited_to(40 * SHARD_BYTES);
    let (mut visitor, mut server) = tokio::net::UnixStream::pair().unwrap();
    let request = tokio::spawn(async move { server.read_u8().await });
    yield_now().await;
    visitor.write_u8(1).await.unwrap();
    let sweep = tokio::spawn(async move { store.delete_expired(NOW).await });
    assert_eq!(request.await.unwrap().unwrap(), 1);
    assert!(!sweep.is_finished());
}

#[test]
fn a_sweep_gives_way_after_each_shard() {
    let store = MemoryStore::new();
    let mut sweep = pin!(store.delete_expired(NOW));
    let polls = (1..).find(|_| sweep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!(polls, Some(257));
}

#[test]
fn sessions_spread_over_the_shards() {
    let store = MemoryStore::new();
    for number in 0..25_600 {
        create(&store, number, "1", NOW, NOW).unwrap();
    }
    let sizes: Vec<usize> = store.shared.shards.iter().map(|shard| lock(shard).len()).collect();
    assert!(sizes.iter().all(|size| (50..160).contains(size)), "{sizes:?}");
}

#[test]
fn the_sessions_of_a_shard_spread_over_its_map() {
    let store = MemoryStore::new();
    let ids = (0..100_000).map(|number| key(number).id()).filter(|id| store.shared.position(*id) == 0);
    // The map begins its search at the low bits of the hash.
    let starts: HashSet<u64> = ids.map(|id| ById.hash_one(id) & 0xff).collect();
    assert!(starts.len() > 150, "{} of 256 places", starts.len());
}

#[test]
fn clones_share_the_sessions() {
    let store = MemoryStore::default();
    create(&store.clone(), 1, "1", NOW, NOW).unwrap();
    assert!(exists(&store, 1));
}

#[test]
fn debug_shows_no_data() {
    let store = MemoryStore::new();
    create(&store, 1, "\"hunter2\"", NOW, NOW).unwrap();
    assert_eq!(format!("{store:?}"), "MemoryStore { .. }");
}

#[test]
fn a_tombstone_of_an_earlier_time_waits_for_no_other() {
    let mut tombstones = super::tombstones::Tombstones::default();
    for (number, ended_at) in [(1, NOW), (2, NOW - 30), (3, NOW), (4, NOW - 30)] {
        tombstones.insert(key(number), End::Deleted, ended_at);
    }
    assert_eq!(tombstones.forget(NOW + 30), 0);
    assert_eq!(tombstones.forget(NOW + 31), 2);
    let known = [1, 2, 3, 4].map(|number| tombstones.find(&key(number), NOW).is_some());
    assert_eq!(known, [true, false, true, false]);
}

#[test]
fn a_session_renamed_back_leaves_no_tombstone() {
    let store = MemoryStore::new();
    create(&store, 1, "1", NOW, NOW).unwrap();
    let empty = Changes::default();
    for (from, to) in [(1, 2), (2, 1)] {
        done(store.rename(&key(from), &key(to), write(&empty, NOW, NOW))).unwrap();
    }
    let mut cleared = Changes::default();
    cleared.clear(&session_core::store::Entries::default());
    assert_eq!(done(store.update(&key(1), write(&cleared, NOW, NOW))).unwrap(), Updated::Removed);
    assert!(matches!(done(store.load(&key(1), NOW)).unwrap(), Lookup::Unknown));
    assert!(matches!(done(store.load(&key(2), NOW)).unwrap(), Lookup::Ended(End::Rotated { .. })));
}

/// Renames one owned session again and again, and runs `check` on the store at the same time.
fn while_it_is_renamed(check: impl Fn(&MemoryStore) + Sync) {
    let (store, over) = (MemoryStore::new(), AtomicBool::new(false));
    create(&store, 0, "1", NOW, NOW).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in (0..100_000).step_by(5) {
                let empty = Changes::default();
                done(store.rename(&key(number), &key(number + 5), write(&empty, NOW, NOW))).unwrap();
            }
            over.store(true, Ordering::Relaxed);
        });
        while !over.load(Ordering::Relaxed) {
            check(&store);
        }
    });
}

#[test]
fn a_list_during_renames_shows_the_session_once() {
    let lists = AtomicU64::new(0);
    while_it_is_renamed(|store| {
        assert_eq!(listed(store, "owner 0", NOW).len(), 1);
        lists.fetch_add(1, Ordering::Relaxed);
    });
    assert!(lists.into_inner() > 0);
}

#[test]
fn no_rename_escapes_a_log_out_everywhere() {
    let deleted = AtomicU64::new(0);
    while_it_is_renamed(|store| {
        deleted.fetch_add(
            done(store.delete_by_owner(owner("owner 0"), Spared::default(), NOW)).unwrap(),
            Ordering::Relaxed,
        );
    });
    assert_eq!(deleted.into_inner(), 1);
}

#[cfg(feature = "conformance")]
mod contract {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use session_core::SystemClock;

    use super::*;
    use crate::conformance::{Damage, PlainStore, Race, RaceKind};

    static STORE: LazyLock<MemoryStore> = LazyLock::new(MemoryStore::new);

    // All cases at once on one store.
    crate::conformance!(store = || async { STORE.clone() });

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_is_lost_in_a_race() {
        let store: Arc<dyn SessionStore> = Arc::new(MemoryStore::new());
        for (kind, written) in [(RaceKind::DistinctKeys, 3_200), (RaceKind::Increments, 3_200), (RaceKind::Renames, 50)]
        {
            let (work, damage) = Race::new(kind).run(&store, SystemClock).await;
            assert_eq!((work.written, work.failed, damage), (written, 0, Damage::default()), "{kind:?}");
        }
        for kind in [RaceKind::Deletion, RaceKind::LogIns] {
            assert_eq!(Race::new(kind).run(&store, SystemClock).await.1, Damage::default(), "{kind:?}");
        }
    }

    #[derive(Clone, Debug)]
    struct Step {
        action: u8,
        keys: (u64, u64),
        owner: Option<u8>,
        edit: Option<bool>,
        clears: bool,
        now: u64,
        lives: u64,
    }

    fn step() -> impl Strategy<Value = Step> {
        let what = (0..10_u8, (0..4_u64, 0..4_u64), proptest::option::of(0..2_u8), proptest::option::of(any::<bool>()));
        (what, any::<bool>(), 0..30_u64, 0..30_u64).prop_map(|((action, keys, owner, edit), clears, now, lives)| Step {
            action,
            keys,
            owner,
            edit,
            clears,
            now: NOW + now,
            lives,
        })
    }

    /// Does a step, and returns its result as text.
    fn told(store: &dyn SessionStore, step: &Step) -> String {
        let (from, to) = (key(step.keys.0), key(step.keys.1 + 10));
        let owner = step.owner.map(|owner| owner.to_string());
        let mut changes = Changes::default();
        if step.clears {
            changes.clear(&session_core::store::Entries::default());
        }
        match step.edit {
            Some(true) => changes.insert("a", step.now.to_string()),
            Some(false) => changes.remove("a"),
            None => {}
        }
        owner.iter().for_each(|owner| changes.set_owner(owner.clone()));
        let write = write(&changes, step.now, step.now + step.lives);
        match step.action {
            0 | 1 => format!("{:?}", done(store.create(&from, write)).is_ok()),
            2 => format!("{:?}", done(store.update(&from, write)).unwrap()),
            3 => format!("{:?}", done(store.rename(&from, &to, write)).unwrap()),
            4 => format!("{:?}", done(store.rename(&to, &from, write)).unwrap()),
            5 => format!("{:?}", done(store.touch(&from, write.visit)).unwrap()),
            6 => format!("{:?}", done(store.delete(&to, End::Deleted, step.now)).unwrap()),
            7 => {
                let spared = Spared { id: step.edit.map(|_| from.id()), newest: u64::from(step.clears) };
                let owner = super::owner(owner.as_deref().unwrap_or("0"));
                format!("{:?}", done(store.delete_by_owner(owner, spared, step.now)).unwrap())
            }
            8 => format!("{:?}", done(store.delete_by_id(to.id(), step.now)).unwrap()),
            _ => format!("{:?}", done(store.delete_by_application("", step.now)).unwrap()),
        }
    }

    fn everything(store: &dyn SessionStore, now: u64) -> Vec<String> {
        let keys = (0..4).chain(10..14).map(key);
        let mut seen: Vec<_> = keys
            .map(|key| {
                let record = match done(store.load(&key, now)).unwrap() {
                    Lookup::Live(record) => record,
                    other => return format!("{other:?}"),
                };
                let times = (record.created_at, record.seen_at, record.expires_at, record.version);
                format!("{times:?} {:?} {:?}", record.owner, record.entries.get("a"))
            })
            .collect();
        seen.extend(["0", "1"].map(|owner| {
            let mut ids: Vec<_> = listed(store, owner, now).iter().map(|info| info.key.id().to_string()).collect();
            ids.sort_unstable();
            assert_eq!(done(store.count(super::owner(owner), now)).unwrap(), ids.len() as u64);
            ids.join(" ")
        }));
        seen
    }

    proptest! {
        #[test]
        fn it_does_what_a_map_under_one_lock_does(steps in proptest::collection::vec(step(), 1..60)) {
            let (store, plain) = (MemoryStore::new(), PlainStore::default());
            for step in &steps {
                prop_assert_eq!(told(&store, step), told(&plain, step));
                prop_assert_eq!(everything(&store, step.now), everything(&plain, step.now));
            }
            for number in (0..4).chain(10..14) {
                done(store.delete(&key(number), End::Deleted, 0)).unwrap();
            }
            for shard in &store.shared.shards {
                lock(shard).forget_ends(NOW + 1_000);
            }
            prop_assert_eq!((bytes(&store), store.shared.owners.count()), (0, 0));
        }
    }
}
