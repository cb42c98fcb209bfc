//! Sixty-four tasks and fifty rounds on one session, in one process and in two: nothing is lost, and nothing comes
//! back.

use std::{any::Any, sync::Arc};

use session_core::{
    SessionId, SystemClock,
    store::{RecordKey, SessionStore},
};
use session_stores::conformance::{Damage, Race, RaceKind, Work};

use super::hex;
use crate::support::{
    backends::Backend,
    twin::{Twin, listen, order, say},
};

/// What each kind of race writes: a session that is renewed has one new key, and one that is deleted may be written to
/// until it is.
const KINDS: [(RaceKind, Option<u64>); 5] = [
    (RaceKind::DistinctKeys, Some(3_200)),
    (RaceKind::Increments, Some(3_200)),
    (RaceKind::Deletion, None),
    (RaceKind::Renames, Some(50)),
    (RaceKind::LogIns, None),
];

async fn one_process(backend: Backend) {
    let store = backend.connect().await;
    for (kind, written) in KINDS {
        let (work, damage) = Race::new(kind).run(&store, SystemClock).await;
        assert_eq!((work.failed, damage), (0, Damage::default()), "{kind:?}");
        assert_eq!(work.written, written.unwrap_or(work.written), "{kind:?}");
    }
}

/// The tasks of each race, half of them here and half in the other process.
async fn two_processes(backend: Backend, test: impl Any) {
    let store = backend.connect().await;
    let mut twin = Twin::of(test, backend.address());
    assert_eq!(twin.hear(), "ready");
    for (kind, written) in KINDS {
        let race = shared(kind, Race::new(kind).key);
        race.prepare(&*store, SystemClock).await;
        twin.tell(&parts_of(&race.key));
        let here = race.work(&store, SystemClock, 0).await;
        let there: Vec<u64> = twin.hear().split(' ').map(|number| number.parse().unwrap()).collect();
        let [there_written, there_gone, there_failed] = there[..] else { panic!("{there:?}") };
        assert_eq!(there_written + there_gone, 32 * 50, "{kind:?}: the other process did its share");
        assert_eq!((here.failed, there_failed), (0, 0), "{kind:?}");
        assert_eq!(here.written + there_written, written.unwrap_or(here.written + there_written), "{kind:?}");
        assert_eq!(race.check(&*store, SystemClock).await, Damage::default(), "{kind:?}");
    }
    twin.end();
}

async fn second_process(address: &str) {
    let store: Arc<dyn SessionStore> = Backend::at(address).connect().await;
    say("ready");
    for (kind, _) in KINDS {
        let race = shared(kind, key_of(&listen()));
        let Work { written, gone, failed, .. } = race.work(&store, SystemClock, 1).await;
        say(&format!("{written} {gone} {failed}"));
    }
}

fn shared(kind: RaceKind, key: RecordKey) -> Race {
    Race { kind, key, workers: 2, tasks: 32, rounds: 50 }
}

fn parts_of(key: &RecordKey) -> String {
    hex(key.id().as_bytes()) + &hex(key.hash())
}

fn key_of(parts: &str) -> RecordKey {
    let bytes: Vec<u8> =
        (0..parts.len()).step_by(2).map(|at| u8::from_str_radix(&parts[at..at + 2], 16).unwrap()).collect();
    let (id, hash) = bytes.split_at(16);
    RecordKey::from_parts(SessionId::from_bytes(id.try_into().unwrap()), hash.try_into().unwrap())
}

/// Makes the two tests for a backend.
macro_rules! races {
    ($($name:ident: $backend:expr),+ $(,)?) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn one_process_does_no_damage() {
                one_process($backend).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn two_processes_do_no_damage() {
                match order() {
                    Some(address) => second_process(&address).await,
                    None => two_processes($backend, two_processes_do_no_damage).await,
                }
            }
        }
    )+};
}

races! {
    sqlite: Backend::sqlite(),
    postgres: Backend::postgres().await,
    mariadb: Backend::mariadb().await,
    redis: Backend::redis(),
    redis_cluster: Backend::redis_cluster(),
}
