//! How stores connect, and what they say when they cannot.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use session_axum::{Keys, Session, SessionLayer, testing::Client};
use session_core::{
    SystemClock,
    store::{Record, SessionStore, StoreError, StoreErrorKind, Updated},
};
use session_stores::{
    MySqlStore, PostgresStore, RedisStore, SqliteStore,
    conformance::{Damage, Race, RaceKind},
};
use session_test_servers::{Directory, postgres::Postgres, redis::Server};
use sqlx::{PgPool, sqlite::SqlitePoolOptions};
use tokio::time::sleep;

use super::{NOW, all_of, assert_kind, assert_works, fresh_key, made, setting, write};

fn told<S>(result: Result<S, StoreError>, kind: StoreErrorKind) -> String {
    let Err(error) = result else { panic!("it connects") };
    assert_eq!(error.kind(), kind, "{}", all_of(&error));
    all_of(&error)
}

#[tokio::test]
async fn a_store_can_be_made_before_its_database_runs() {
    let mut postgres = Postgres::start();
    let address = postgres.database().await;
    postgres.stop();
    let store = PostgresStore::connect_lazy(&address).unwrap();
    assert_kind(store.migrate().await, StoreErrorKind::Unavailable);
    postgres.start_again();
    store.migrate().await.unwrap();
    assert_works(&store).await;

    let redis = Server::start(&[]);
    redis.stop();
    let store = RedisStore::connect_lazy(&redis.url()).unwrap();
    assert_kind(store.load(&fresh_key(), NOW).await, StoreErrorKind::Unavailable);
    redis.start_again();
    assert_works(&store).await;

    let directory = Directory::new();
    let store = SqliteStore::connect_lazy(&format!("sqlite://{}/sessions.db", directory.path().display())).unwrap();
    store.migrate().await.unwrap();
    assert_works(&store).await;
}

#[test]
fn without_a_runtime_a_lazy_store_says_so() {
    for result in [
        PostgresStore::connect_lazy("postgres://localhost/shop").map(drop),
        MySqlStore::connect_lazy("mysql://localhost/shop").map(drop),
        SqliteStore::connect_lazy("sqlite:///nowhere/sessions.db").map(drop),
    ] {
        let told = told(result, StoreErrorKind::Refused);
        assert!(told.contains("needs a Tokio runtime") || told.contains("need a Tokio runtime"), "{told}");
    }
}

#[tokio::test]
async fn an_address_of_another_database_is_refused_at_once() {
    let wrong = "sqlite://sessions.db";
    for result in [
        PostgresStore::connect_lazy(wrong).map(drop),
        MySqlStore::connect_lazy(wrong).map(drop),
        RedisStore::connect_lazy(wrong).map(drop),
        SqliteStore::connect_lazy("redis://localhost").map(drop),
    ] {
        told(result, StoreErrorKind::Refused);
    }
}

/// One address on which nobody listens, and one on which somebody does and never answers.
#[tokio::test]
async fn a_server_that_is_not_there_is_named_within_three_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for place in ["127.0.0.1:1".to_owned(), silent.local_addr().unwrap().to_string()] {
        let (postgres, mysql, redis) =
            (format!("postgres://shop@{place}/shop"), format!("mysql://shop@{place}/shop"), format!("redis://{place}"));
        let begun = Instant::now();
        let (postgres, mysql, redis) = tokio::join!(
            async { PostgresStore::connect(&postgres).await.map(drop) },
            async { MySqlStore::connect(&mysql).await.map(drop) },
            async { RedisStore::connect(&redis).await.map(drop) },
        );
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
        for result in [postgres, mysql, redis] {
            let told = told(result, StoreErrorKind::Unavailable);
            let cause = if place.ends_with(":1") { ["refused", "refused"] } else { ["in time", "timed out"] };
            assert!(told.contains(&place) && cause.iter().any(|cause| told.contains(cause)), "{told}");
        }
    }
}

/// A crash of the server loses nothing that was answered, if `synchronous_commit` is on, as it is by default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_is_killed_under_load_keeps_what_it_has_confirmed() {
    let mut server = Postgres::durable();
    let store = PostgresStore::connect(&server.database().await).await.unwrap();
    store.migrate().await.unwrap();
    let (is_over, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..32)
        .map(|_| {
            let (store, is_over, failed) = (store.clone(), Arc::clone(&is_over), Arc::clone(&failed));
            tokio::spawn(async move {
                let key = fresh_key();
                made(&store, &key).await;
                let mut confirmed = Vec::new();
                for number in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let entry = format!("key {}", number % 500);
                    match store.update(&key, write(&setting(&entry, "1"), None)).await {
                        Ok(Updated::Written { .. }) => confirmed.push(entry),
                        Ok(other) => panic!("{other:?}"),
                        Err(error) => {
                            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", all_of(&error));
                            failed.fetch_add(1, Ordering::Relaxed);
                            sleep(Duration::from_millis(20)).await;
                        }
                    }
                }
                (key, confirmed)
            })
        })
        .collect();
    sleep(Duration::from_millis(500)).await;
    server.kill();
    sleep(Duration::from_millis(200)).await;
    server.start_again();
    sleep(Duration::from_millis(1_500)).await;
    is_over.store(true, Ordering::Relaxed);
    assert_works(&store).await;
    assert!(failed.load(Ordering::Relaxed) > 0, "the crash was noticed");
    for written in join_all(writers).await {
        let (key, confirmed) = written.unwrap();
        let record: Record = store.load(&key, NOW).await.unwrap().live().unwrap();
        assert!(confirmed.len() > 1);
        assert!(confirmed.iter().all(|entry| record.entries.get(entry).is_some()), "a confirmed write is lost");
    }
}

/// A strict default of the database makes Postgres give transactions up. They are tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serialization_failures_are_tried_again() {
    for level in ["serializable", "repeatable%20read"] {
        let address = Postgres::shared().database().await;
        let address = format!("{address}?options=-cdefault_transaction_isolation%3D{}", level.replace("%20", "%5C%20"));
        let store = PostgresStore::connect(&address).await.unwrap();
        store.migrate().await.unwrap();
        // Where each statement is a transaction, its commit can give way as well.
        for is_pooled in [false, true] {
            let store = if is_pooled { store.clone().pooled_by_pgbouncer() } else { store.clone() };
            let store: Arc<dyn SessionStore> = Arc::new(store);
            let (work, damage) =
                Race { tasks: 8, rounds: 20, ..Race::new(RaceKind::DistinctKeys) }.run(&store, SystemClock).await;
            assert_eq!((work.written, work.failed, damage), (160, 0, Damage::default()), "{level}, {is_pooled}");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_is_made_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = Directory::new();
    let path = directory.path().join("sessions.db");
    let store = SqliteStore::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    store.migrate().await.unwrap();
    made(&store, &fresh_key()).await;
    for name in ["sessions.db", "sessions.db-wal", "sessions.db-shm"] {
        let mode = directory.path().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

/// A paused clock goes on as soon as the runtime has nothing to do, so that every timeout is over at once.
#[tokio::test(start_paused = true)]
async fn a_paused_clock_is_the_reason_that_is_given() {
    let directory = Directory::new();
    let address = format!("sqlite://{}/sessions.db", directory.path().display());
    let failed = match SqliteStore::connect(&address).await {
        Ok(store) => store.migrate().await,
        Err(error) => Err(error),
    };
    // It may be fast enough for the clock.
    if let Err(error) = failed {
        assert!(all_of(&error).contains("`start_paused`"), "{}", all_of(&error));
    }
    // A wait that is always longer than the clock's.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let postgres = PostgresStore::connect(&format!("postgres://shop@{}/shop", silent.local_addr().unwrap())).await;
    let told = told(postgres, StoreErrorKind::Unavailable);
    assert!(told.contains("`start_paused`"), "{told}");
}

#[tokio::test]
async fn a_transaction_of_the_same_request_is_the_reason_that_is_given() {
    let directory = Directory::new();
    let address = format!("sqlite://{}/sessions.db?mode=rwc", directory.path().display());
    let options = SqlitePoolOptions::new().max_connections(4);
    let pool = options.connect(&address).await.unwrap();
    sqlx::raw_sql("PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 1000").execute(&pool).await.unwrap();
    let store = SqliteStore::connect(&address).await.unwrap();
    store.migrate().await.unwrap();
    let mut own = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    sqlx::raw_sql("CREATE TABLE orders (id INTEGER)").execute(&mut *own).await.unwrap();
    let begun = Instant::now();
    let told =
        assert_kind(store.create(&fresh_key(), write(&setting("a", "1"), None)).await, StoreErrorKind::Unavailable);
    assert!(begun.elapsed() < Duration::from_millis(1_900), "{:?}", begun.elapsed());
    assert!(told.contains("commit it before the session is saved"), "{told}");
    own.commit().await.unwrap();
    assert_works(&store).await;
}

/// The handler holds the only connection while its session is saved.
#[tokio::test]
async fn an_exhausted_pool_of_the_application_is_the_reason_that_is_given() {
    let pool: PgPool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(1)
        .connect(&Postgres::shared().database().await)
        .await
        .unwrap();
    let store = PostgresStore::from_pool(pool.clone());
    store.migrate().await.unwrap();
    let own = pool.begin().await.unwrap();
    let told =
        assert_kind(store.create(&fresh_key(), write(&setting("a", "1"), None)).await, StoreErrorKind::Unavailable);
    assert!(told.contains("the application's pool had no free connection"), "{told}");
    drop(own);
    assert_works(&store).await;
}

/// docs/stores.md says in which order it works: the transaction ends before the session is saved.
#[tokio::test]
async fn a_transaction_per_request_and_the_session_share_one_connection() {
    use axum::{
        Router,
        extract::{Request, State},
        middleware::{Next, from_fn_with_state},
        response::Response,
        routing::post,
    };

    async fn transaction(State(pool): State<PgPool>, request: Request, next: Next) -> Response {
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query("INSERT INTO orders DEFAULT VALUES").execute(&mut *transaction).await.unwrap();
        let response = next.run(request).await;
        if response.status().is_success() {
            transaction.commit().await.unwrap();
        }
        response
    }

    async fn order(session: Session) -> Result<(), session_axum::Error> {
        session.insert("ordered", true)
    }

    let options = sqlx::postgres::PgPoolOptions::new().max_connections(1);
    let pool = options.connect(&Postgres::shared().database().await).await.unwrap();
    sqlx::raw_sql("CREATE TABLE orders (id serial)").execute(&pool).await.unwrap();
    let store = PostgresStore::from_pool(pool.clone());
    store.migrate().await.unwrap();
    let app = Router::new()
        .route("/order", post(order))
        .layer(from_fn_with_state(pool.clone(), transaction))
        .layer(SessionLayer::stored(store, Keys::generate()));
    assert_eq!(Client::new(app).post("/order").await.status(), 200);
    let saved: (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM session_records)")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(saved, (1, 1));
}
