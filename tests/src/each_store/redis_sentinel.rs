//! `RedisStore` on a primary that a sentinel names.

use std::time::{Duration, Instant};

use session_core::store::{SessionStore as _, StoreErrorKind};
use session_stores::RedisStore;
use session_test_servers::redis::Server;
use tokio::time::sleep;

use super::{NOW, assert_kind, assert_works, fresh_key, made, set};

/// A primary, its replica, and a sentinel that watches both.
struct Site {
    primary: Server,
    replica: Server,
    sentinel: Server,
}

impl Site {
    async fn new(password: &str) -> Self {
        let mut options = vec!["--repl-diskless-sync-delay", "0"];
        if !password.is_empty() {
            options.extend(["--requirepass", password, "--masterauth", password]);
        }
        let primary = Server::start(&options);
        let port = primary.port.to_string();
        options.extend(["--replicaof", "127.0.0.1", &port]);
        let replica = Server::start(&options);
        let sentinel = Server::sentinel(&primary, password);
        let site = Self { primary, replica, sentinel };
        site.wait_until("it knows the replica", "num-slaves", "1").await;
        site.wait_until("the replica is there", "master-link-status", "ok").await;
        site
    }

    /// Waits until what the sentinel says of the primary, or of its replica, has a field with this value.
    async fn wait_until(&self, what: &str, field: &str, value: &str) {
        let client = redis::Client::open(self.sentinel.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let begun = Instant::now();
        loop {
            let of_primary: Vec<String> =
                redis::cmd("SENTINEL").arg("MASTER").arg("mymaster").query_async(&mut connection).await.unwrap();
            let of_replicas: Vec<Vec<String>> =
                redis::cmd("SENTINEL").arg("REPLICAS").arg("mymaster").query_async(&mut connection).await.unwrap();
            let is_so = |fields: &[String]| fields.chunks(2).any(|pair| pair[0] == field && pair[1] == value);
            if is_so(&of_primary) || of_replicas.iter().any(|fields| is_so(fields)) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{what}: {of_primary:?} {of_replicas:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Two addresses of sentinels. The first one leads nowhere.
    fn urls(&self) -> [String; 2] {
        ["redis://127.0.0.1:1".to_owned(), self.sentinel.url()]
    }
}

/// Writes until it works, and returns how long that took.
async fn time_until_it_works(store: &RedisStore) -> Duration {
    let begun = Instant::now();
    loop {
        match store.create(&fresh_key(), super::write(&super::setting("a", "1"), None)).await {
            Ok(()) => return begun.elapsed(),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(20));
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_primary_dies_the_sentinel_names_another() {
    let site = Site::new("").await;
    let store = RedisStore::sentinel(site.urls(), "mymaster").await.unwrap();
    assert_works(&store).await;
    let key = fresh_key();
    made(&store, &key).await;
    wait_for_copy(&site.replica).await;
    site.primary.stop();
    let took = time_until_it_works(&store).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(store.load(&key, NOW).await.unwrap().live().is_some(), "the replica has what the primary had");
    assert_works(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planned_failover_is_noticed_while_the_connection_is_open() {
    let site = Site::new("correct-horse").await;
    let store = RedisStore::sentinel(site.urls(), "redis://:correct-horse@mymaster").await.unwrap();
    assert_works(&store).await;
    let key = fresh_key();
    let read = made(&store, &key).await;
    sleep(Duration::from_millis(200)).await;
    assert_eq!(site.sentinel.ask("SENTINEL FAILOVER mymaster").unwrap(), "+OK");
    site.wait_until("there is a new primary", "port", &site.replica.port.to_string()).await;
    let took = time_until_it_works(&store).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    set(&store, &key, &read, "b").await.unwrap();
    assert_works(&store).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_sentinel_is_said() {
    let site = Site::new("").await;
    let unknown = RedisStore::sentinel(site.urls(), "another").await;
    let told = assert_kind(unknown.map(drop), StoreErrorKind::Unavailable);
    assert!(told.contains("`another`") && told.contains(&format!("127.0.0.1:{}", site.sentinel.port)), "{told}");
    let begun = Instant::now();
    let told = assert_kind(
        RedisStore::sentinel(["redis://127.0.0.1:1"], "mymaster").await.map(drop),
        StoreErrorKind::Unavailable,
    );
    assert!(told.contains("127.0.0.1:1") && told.contains("refused"), "{told}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_kind(RedisStore::sentinel([""; 0], "mymaster").await.map(drop), StoreErrorKind::Refused);
    assert_kind(RedisStore::sentinel_lazy(["http://10.0.0.1"], "mymaster").map(drop), StoreErrorKind::Refused);
    assert_works(&RedisStore::sentinel_lazy(site.urls(), "mymaster").unwrap()).await;
}

async fn wait_for_copy(replica: &Server) {
    let begun = Instant::now();
    while replica.ask("DBSIZE").unwrap() == ":0" {
        assert!(begun.elapsed() < Duration::from_secs(10));
        sleep(Duration::from_millis(20)).await;
    }
}
