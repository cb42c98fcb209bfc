//! `RedisStore` on a cluster of three servers.

use std::time::{Duration, Instant};

use session_core::store::{Lookup, RecordKey, SessionStore, Spared, StoreErrorKind};
use session_stores::RedisStore;

use super::owner;
use super::redis::{LATER, NOW, create, expect_error, fresh_key, load, name_of, owned, set, write};
use session_test_servers::redis::{Cluster, SHARED_CLUSTER};

mod suite {
    session_stores::conformance!(store = || async { super::shared("suite").await });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_on_all_nodes_and_an_owner_has_them_all() {
    let store = shared("spread").await;
    let mut nodes = [0; 3];
    for _ in 0..60 {
        let key = fresh_key();
        nodes[SHARED_CLUSTER.node_of(&name_of("spread", &key))] += 1;
        store.create(&key, write(&owned(set("a", "1")), None)).await.unwrap();
    }
    assert!(nodes.iter().all(|sessions| *sessions > 0), "{nodes:?}");
    assert_eq!(store.list(owner("anna"), NOW, 100).await.unwrap().len(), 60);
    assert_eq!(store.delete_by_owner(owner("anna"), Spared::default(), NOW).await.unwrap(), 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_down_takes_only_its_own_sessions_along_until_it_is_back() {
    let cluster = Cluster::start();
    let store = RedisStore::cluster(cluster.urls()).await.unwrap();
    let keys = [0, 1, 2].map(|node| key_on(&cluster, node));
    for key in &keys {
        create(&store, key, &set("a", "1")).await;
    }
    cluster.nodes[1].stop();
    for _ in 0..20 {
        expect_error(StoreErrorKind::Unavailable, store.load(&keys[1], NOW)).await;
        expect_error(StoreErrorKind::Unavailable, store.touch(&keys[1], LATER)).await;
        for key in [&keys[0], &keys[2]] {
            let begun = Instant::now();
            let read = load(&store, key).await;
            store.update(key, write(&set("b", "2"), Some(&read))).await.unwrap();
            assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    cluster.nodes[1].start_again();
    let begun = Instant::now();
    while store.load(&keys[1], NOW).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the node is back, and its sessions are not");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for key in [0, 1, 2].map(|node| key_on(&cluster, node)) {
        create(&store, &key, &set("a", "1")).await;
        assert_eq!(load(&store, &key).await.entries.get("a"), Some("1"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreadable_sessions_on_one_node_keep_no_other_session_alive() {
    let store = shared("unreadable").await;
    for by_owner in [true, false] {
        let keys: Vec<_> = (0..90).map(|number| (fresh_key(), number)).collect();
        for (key, number) in &keys {
            create(&store, key, &owned(set("a", "1"))).await;
            if *number < 3 {
                let name = name_of("unreadable", key);
                let node = &SHARED_CLUSTER.nodes[SHARED_CLUSTER.node_of(&name)];
                let mut redis = redis::Client::open(node.url()).unwrap().get_connection().unwrap();
                redis::cmd("SETRANGE").arg(name).arg(0).arg("3").exec(&mut redis).unwrap();
            }
        }
        let operation = if by_owner {
            store.delete_by_owner(owner("anna"), Spared::default(), NOW)
        } else {
            store.delete_by_application("", NOW)
        };
        expect_error(StoreErrorKind::Unreadable, operation).await;
        let all: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
        let found = store.look_up(&all, NOW).await.unwrap();
        assert_eq!(found.iter().filter(|lookup| matches!(lookup, Lookup::Ended(_))).count(), 87);
    }
}

fn key_on(cluster: &Cluster, node: usize) -> RecordKey {
    std::iter::repeat_with(fresh_key).find(|key| cluster.node_of(&name_of("session", key)) == node).unwrap()
}

async fn shared(prefix: &str) -> RedisStore {
    RedisStore::cluster(SHARED_CLUSTER.urls()).await.unwrap().prefix(prefix)
}
