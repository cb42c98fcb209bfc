//! `PostgresStore` on a real server.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use session_core::{
    SessionId,
    store::{RecordKey, SessionStore as _, Spared, StoreErrorKind, Updated, Visit, Write},
};
use session_stores::PostgresStore;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool, Row as _};
use tokio::time::{sleep, timeout};

use super::{
    HOUR, NOW, all_of, assert_kind, assert_works, fresh_key, hex, made, owner, set, setting,
    tables::{OldPlace, Place, tables},
    write,
};
use session_test_servers::postgres::Postgres;

mod suite {
    session_stores::conformance!(
        store = || async {
            use crate::each_store::tables::Place as _;
            super::Base::new().await.store().await
        }
    );
}

mod suite_on_the_applications_pool {
    session_stores::conformance!(
        store = || async {
            let pool = sqlx::PgPool::connect(&super::Base::new_address().await).await.unwrap();
            let store = session_stores::PostgresStore::from_pool(pool);
            store.migrate().await.unwrap();
            store
        }
    );
}

mod suite_behind_pgbouncer {
    use session_stores::PostgresStore;
    use session_test_servers::{pgbouncer::PgBouncer, postgres::Postgres};

    session_stores::conformance!(
        store = || async {
            let pooler = PgBouncer::before(Postgres::shared(), &super::Base::new_address().await);
            let store = PostgresStore::connect(&pooler.address()).await.unwrap().pooled_by_pgbouncer();
            store.migrate().await.unwrap();
            // It ends with the process of the tests.
            std::mem::forget(pooler);
            store
        }
    );
}

tables!(Base);
tables!(Base => a_table_of_the_first_edition_is_taken_over);

/// A database of one test.
struct Base {
    address: String,
}

impl Base {
    async fn new_address() -> String {
        Postgres::shared().database().await
    }

    /// Somebody else who is connected.
    async fn other(&self) -> PgConnection {
        PgConnection::connect(&self.address).await.unwrap()
    }

    async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(&mut self.other().await).await.unwrap()
    }
}

impl Place for Base {
    type Store = PostgresStore;

    async fn new() -> Self {
        Self { address: Self::new_address().await }
    }

    async fn connect(&self) -> PostgresStore {
        PostgresStore::connect(&self.address).await.unwrap()
    }

    async fn migrate(store: &PostgresStore) {
        store.migrate().await.unwrap();
    }

    async fn run(&self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut self.other().await).await.unwrap();
    }

    async fn dump(&self) -> String {
        let statement = "SELECT concat_ws('|', encode(key, 'hex'), encode(id, 'hex'), format, data, version, \
                         created_at, seen_at, expires_at, owner, label) FROM session_records ORDER BY key";
        let rows = sqlx::query(statement).fetch_all(&mut self.other().await).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(0) + "\n").collect()
    }
}

impl OldPlace for Base {
    const FIRST_EDITION: &'static str = include_str!("../../data/first_edition_postgres.sql");

    fn literal(bytes: &[u8]) -> String {
        format!("'\\x{}'", hex(bytes))
    }
}

#[tokio::test]
async fn a_user_who_may_not_create_tables_migrates_if_they_are_there() {
    let base = Base::new().await;
    let user = format!("user_{}", hex(&fresh_key().hash()[..8]));
    base.run(&format!("CREATE ROLE {user} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")).await;
    let address = base.address.replace("postgres@", &format!("{user}@"));
    let store = PostgresStore::connect(&address).await.unwrap();
    let said = assert_kind(store.migrate().await, StoreErrorKind::Refused);
    assert!(said.contains("42501") && said.contains("`migrate()`"), "{said}");
    base.store().await;
    base.run(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {user}")).await;
    store.migrate().await.unwrap();
    assert_works(&store).await;
}

#[tokio::test]
async fn no_time_zone_matters() {
    let base = Base::new().await;
    let store = base.store().await;
    base.run("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone TO ''Pacific/Kiritimati''', current_database()); END $$")
        .await;
    let zones = ["UTC", "Asia/Kathmandu", "America/St_Johns"];
    let elsewhere = zones.map(|zone| format!("{}?options=-ctimezone%3D{zone}", base.address));
    let key = fresh_key();
    made(&store, &key).await;
    for address in elsewhere.iter().chain([&base.address]) {
        let store = PostgresStore::connect(address).await.unwrap();
        let record = store.load(&key, NOW + HOUR).await.unwrap().live().expect("the last second is alive");
        assert_eq!((record.created_at, record.seen_at, record.expires_at), (NOW, NOW, NOW + HOUR));
        assert!(store.load(&key, NOW + HOUR + 1).await.unwrap().live().is_none());
        assert_eq!(store.delete_expired(NOW + HOUR).await.unwrap(), 0);
        assert_works(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_is_an_error_soon_and_none_once_it_is_back() {
    let mut server = Postgres::start();
    let address = server.database().await;
    let store = PostgresStore::connect(&address).await.unwrap();
    let shared = PostgresStore::from_pool(PgPool::connect(&address).await.unwrap());
    store.migrate().await.unwrap();
    let key = fresh_key();
    let read = made(&store, &key).await;
    join_all((0..10).map(|_| assert_works(&store))).await;
    server.stop();
    for store in [&store, &shared] {
        let begun = Instant::now();
        for loaded in join_all((0..30).map(|_| store.load(&key, NOW))).await {
            let said = assert_kind(loaded, StoreErrorKind::Unavailable);
            assert!(said.contains("Postgres at 127.0.0.1:"), "{said}");
        }
        let said = assert_kind(set(store, &key, &read, "b").await, StoreErrorKind::Unavailable);
        assert!(said.contains("Connection refused"), "{said}");
        assert!(begun.elapsed() < Duration::from_millis(2_500), "{:?}", begun.elapsed());
    }
    server.start_again();
    assert_works(&store).await;
    assert_works(&shared).await;
    assert_eq!(store.load(&key, NOW).await.unwrap().live().unwrap().version, read.version);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_broke_unnoticed_cost_one_error_at_most() {
    let base = Base::new().await;
    let store = base.store().await;
    let key = fresh_key();
    made(&store, &key).await;
    join_all((0..10).map(|_| assert_works(&store))).await;
    base.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        .await;
    if let Err(error) = store.load(&key, NOW).await {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", all_of(&error));
    }
    assert!(store.load(&key, NOW).await.unwrap().live().is_some());
    join_all((0..10).map(|_| assert_works(&store))).await;
}

/// More of them than there are connections, while somebody else holds the row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_are_given_up_end() {
    let base = Base::new().await;
    let store = base.store().await;
    let key = fresh_key();
    let stale = made(&store, &key).await;
    set(&store, &key, &stale, "b").await.unwrap();
    let mut other = base.other().await;
    let mut lock = other.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM session_records FOR UPDATE").execute(&mut *lock).await.unwrap();
    let waiting = (0..25).map(|_| timeout(Duration::from_millis(200), set(&store, &key, &stale, "c")));
    assert!(join_all(waiting).await.iter().all(Result::is_err));
    lock.commit().await.unwrap();
    join_all((0..20).map(|_| assert_works(&store))).await;
    assert_eq!(set(&store, &key, &stale, "d").await.unwrap(), Updated::Written { version: stale.version + 2 });
    sleep(Duration::from_millis(200)).await;
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'";
    assert_eq!(base.count(open).await, 0);
    assert_eq!(store.load(&key, NOW).await.unwrap().live().unwrap().entries.get("c"), None);
}

/// Each waits for a lock that the test holds, and both may go on at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_log_outs_never_wait_for_each_other() {
    let key = |byte| RecordKey::of_secret(SessionId::from_bytes([byte; 16]), &[byte; 32]);
    let (mut keys, newest) = ([key(1), key(2)], key(3));
    keys.sort_by_key(|key| *key.hash());
    let [first, second] = keys;
    // They are written in the order of the keys, and against it.
    for keys in [[first, second], [second, first]] {
        let base = Base::new().await;
        let store = base.store().await;
        let mut changes = setting("a", "1");
        changes.set_owner("ann".to_owned());
        for (key, now) in keys.iter().zip([NOW, NOW]).chain([(&newest, NOW + 1)]) {
            store.create(key, Write::new(&changes, Visit { now, expires_at: now + HOUR })).await.unwrap();
        }
        let mut other = base.other().await;
        sqlx::raw_sql("BEGIN; SELECT 1 FROM session_records FOR UPDATE").execute(&mut other).await.unwrap();
        let (all, oldest, everyone, ()) = tokio::join!(
            store.delete_by_owner(owner("ann"), Spared::default(), NOW + 1),
            store.delete_by_owner(owner("ann"), Spared { id: None, newest: 1 }, NOW + 1),
            store.delete_by_application("", NOW + 1),
            async {
                sleep(Duration::from_millis(300)).await;
                sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
            }
        );
        assert_eq!(all.unwrap() + oldest.unwrap() + everyone.unwrap(), 3);
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_refused_and_no_password_is_shown() {
    let address = Base::new_address().await;
    let nobody = address.replace("postgres@", "nobody_known:hunter2@");
    let nowhere = address.replace("/test_", "/no_such_database_");
    let port = address.replace("postgres@127.0.0.1", "postgres:hunter2@127.0.0.1:hunter2");
    for address in [nobody, nowhere, port, "postgres//hunter2".to_owned()] {
        let said = assert_kind(PostgresStore::connect(&address).await, StoreErrorKind::Refused);
        assert!(!said.contains("hunter2") && !said.contains("nobody_known:"), "{said}");
        assert!(said.contains("Postgres"), "{said}");
    }
    let encrypted = format!("{address}?sslmode=require");
    assert_kind(PostgresStore::connect(&encrypted).await, StoreErrorKind::Refused);
}

#[tokio::test]
async fn a_statement_that_the_server_gives_up_is_unavailable() {
    let base = Base::new().await;
    base.store().await;
    let store = PostgresStore::connect(&format!("{}?options=-cstatement_timeout%3D100", base.address)).await.unwrap();
    let key = fresh_key();
    let read = made(&store, &key).await;
    let mut other = base.other().await;
    let mut lock = other.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM session_records FOR UPDATE").execute(&mut *lock).await.unwrap();
    assert_kind(store.update(&key, write(&setting("b", "1"), Some(&read))).await, StoreErrorKind::Unavailable);
    lock.commit().await.unwrap();
    assert_eq!(set(&store, &key, &read, "b").await.unwrap(), Updated::Written { version: read.version + 1 });
}
