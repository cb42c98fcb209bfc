//! How many bytes a session takes in each store.

use std::{fs, sync::Arc};

use session_axum::store::SessionStore;
use session_core::{
    SessionId,
    store::{Changes, RecordKey, Visit, Write},
};
use sqlx::{Connection as _, MySqlConnection, PgConnection};
use tokio::task::JoinSet;

use crate::backend::{Backend, STORES};

/// Stores many sessions in each store, and prints the bytes of one: after its creation, and after one change of each.
pub(crate) async fn measure() {
    println!("| store | bytes a session | of it indexes | after one change of each |");
    println!("| --- | ---: | ---: | ---: |");
    for name in STORES {
        let backend = Backend::start(name).await;
        let store = backend.connect().await;
        let before = bytes(&backend).await;
        let keys = create(&store).await;
        let created = bytes(&backend).await;
        change(&store, keys).await;
        let changed = bytes(&backend).await;
        let each = |bytes: u64| (bytes.saturating_sub(before.all) / SESSIONS).to_string();
        let indexes = created.indexes.map_or("–".to_owned(), |bytes| (bytes / SESSIONS).to_string());
        println!("| {} | {} | {indexes} | {} |", backend.name(), each(created.all), each(changed.all));
    }
}

async fn create(store: &Arc<dyn SessionStore>) -> Vec<RecordKey> {
    let keys: Vec<_> = (0..SESSIONS).map(|_| key()).collect();
    in_parallel(store, keys.clone(), |store, number, key| async move {
        store.create(&key, Write { application: "shop", ..Write::new(&values(number, 0), VISIT) }).await.unwrap();
    })
    .await;
    keys
}

async fn change(store: &Arc<dyn SessionStore>, keys: Vec<RecordKey>) {
    in_parallel(store, keys, |store, number, key| async move {
        let read = store.load(&key, VISIT.now).await.unwrap().live().unwrap();
        let changes = values(number, 1);
        let write = Write { application: "shop", base: Some(&read), ..Write::new(&changes, VISIT) };
        store.update(&key, write).await.unwrap();
    })
    .await;
}

async fn in_parallel<F: Future<Output = ()> + Send>(
    store: &Arc<dyn SessionStore>,
    keys: Vec<RecordKey>,
    step: impl Fn(Arc<dyn SessionStore>, u64, RecordKey) -> F + Clone + Send + 'static,
) {
    let mut tasks = JoinSet::new();
    for part in keys.into_iter().zip(0_u64..).collect::<Vec<_>>().chunks(SESSIONS as usize / 8) {
        let (part, store, step) = (part.to_vec(), Arc::clone(store), step.clone());
        tasks.spawn(async move {
            for (key, number) in part {
                step(Arc::clone(&store), number, key).await;
            }
        });
    }
    tasks.join_all().await;
}

/// A session of a shop: 108 bytes of JSON, a user and a device.
fn values(number: u64, visits: u64) -> Changes {
    let mut changes = Changes::default();
    changes.insert("user", format!(r#""{number:06}""#));
    changes.insert("visits", format!("{visits}"));
    changes.insert("csrf", format!(r#""{number:070}""#));
    changes.set_owner(format!("{number:06}"));
    changes.set_label("Firefox on Linux".to_owned());
    changes
}

fn key() -> RecordKey {
    let (id, half, rest) = (SessionId::random(), SessionId::random(), SessionId::random());
    let secret = [*half.unwrap().as_bytes(), *rest.unwrap().as_bytes()].concat();
    RecordKey::of_secret(id.unwrap(), secret.as_slice().try_into().unwrap())
}

struct Bytes {
    all: u64,
    indexes: Option<u64>,
}

/// Asks the database.
async fn bytes(backend: &Backend) -> Bytes {
    match backend {
        Backend::Memory(_) => Bytes { all: crate::memory::resident() * 1024, indexes: None },
        Backend::Sqlite(sqlite) => {
            let mut connection = connect_sqlite(&sqlite.file()).await;
            sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await.unwrap();
            Bytes { all: fs::metadata(sqlite.file()).unwrap().len(), indexes: None }
        }
        Backend::Postgres(postgres) => {
            let mut connection = PgConnection::connect(&postgres.address).await.unwrap();
            let sizes = "SELECT pg_total_relation_size('session_records'), pg_indexes_size('session_records')";
            let (all, indexes): (i64, i64) = sqlx::query_as(sizes).fetch_one(&mut connection).await.unwrap();
            Bytes { all: all.unsigned_abs(), indexes: Some(indexes.unsigned_abs()) }
        }
        Backend::MariaDb(mariadb) => {
            let mut connection = MySqlConnection::connect(&mariadb.address).await.unwrap();
            sqlx::raw_sql("ANALYZE TABLE session_records").execute(&mut connection).await.unwrap();
            let sizes = "SELECT CAST(data_length + index_length AS SIGNED), CAST(index_length AS SIGNED) \
                         FROM information_schema.tables WHERE table_name = 'session_records'";
            let (all, indexes): (i64, i64) = sqlx::query_as(sizes).fetch_one(&mut connection).await.unwrap();
            Bytes { all: all.unsigned_abs(), indexes: Some(indexes.unsigned_abs()) }
        }
        Backend::Redis(redis) => {
            let info = redis.primary().ask_for_text("INFO memory").unwrap();
            let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
            Bytes { all: used.parse().unwrap(), indexes: None }
        }
    }
}

async fn connect_sqlite(file: &str) -> sqlx::SqliteConnection {
    sqlx::SqliteConnection::connect(&format!("sqlite://{file}")).await.unwrap()
}

const SESSIONS: u64 = 100_000;
const VISIT: Visit = Visit { now: 1_893_456_000, expires_at: 1_893_542_400 };
