//! `SqliteStore` on files.

use std::{
    env,
    process::Command,
    sync::LazyLock,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use session_core::store::{SessionStore as _, StoreErrorKind, Updated};
use session_stores::SqliteStore;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection, SqlitePool, sqlite::SqlitePoolOptions};

use super::{
    NOW, assert_kind, assert_works, fresh_key, hex, made, set, setting,
    tables::{OldPlace, Place, tables},
    write,
};
use session_test_servers::Directory;

mod suite {
    session_stores::conformance!(store = || async { super::File::shared().await });
}

tables!(File);
tables!(File => a_table_of_the_first_edition_is_taken_over);

/// A file of one test.
struct File(Directory);

impl File {
    /// A store for those who share one.
    async fn shared() -> SqliteStore {
        static SHARED: LazyLock<File> = LazyLock::new(|| File(Directory::new()));
        SHARED.store().await
    }

    fn address(&self) -> String {
        format!("sqlite://{}", self.0.path().join("sessions.db").display())
    }

    /// Somebody else who has the file open.
    async fn other(&self) -> SqliteConnection {
        SqliteConnection::connect(&self.address()).await.unwrap()
    }
}

impl Place for File {
    type Store = SqliteStore;

    async fn new() -> Self {
        Self(Directory::new())
    }

    async fn connect(&self) -> SqliteStore {
        SqliteStore::connect(&self.address()).await.unwrap()
    }

    async fn migrate(store: &SqliteStore) {
        store.migrate().await.unwrap();
    }

    async fn run(&self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut self.other().await).await.unwrap();
    }

    async fn dump(&self) -> String {
        let statement = "SELECT concat_ws('|', lower(hex(key)), lower(hex(id)), format, data, version, created_at, \
                         seen_at, expires_at, owner, label) FROM session_records ORDER BY key";
        let rows = sqlx::query(statement).fetch_all(&mut self.other().await).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(0) + "\n").collect()
    }
}

impl OldPlace for File {
    const FIRST_EDITION: &'static str = include_str!("../../data/first_edition_sqlite.sql");

    fn literal(bytes: &[u8]) -> String {
        format!("X'{}'", hex(bytes))
    }
}

#[tokio::test]
async fn the_file_is_made_and_written_ahead() {
    let file = File::new().await;
    assert_works(&file.store().await).await;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut file.other().await).await.unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_database_in_memory_and_a_wrong_address_are_refused() {
    let foreign = "postgres://anna:hunter2@localhost/shop";
    for address in ["sqlite::memory:", "sqlite://x?mode=memory", "sqlite://x?colour=red", foreign] {
        let said = assert_kind(SqliteStore::connect(address).await, StoreErrorKind::Refused);
        assert!(!said.contains("hunter2"), "{said}");
    }
    let said = assert_kind(SqliteStore::connect("sqlite:///no/such/directory/x.db").await, StoreErrorKind::Unavailable);
    let reason = "the SQLite file /no/such/directory/x.db reported an error (code 14): unable to open database file";
    assert!(said.contains(reason), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_file_is_an_error_soon_and_none_once_it_is_free() {
    let file = File::new().await;
    let store = file.store().await;
    let key = fresh_key();
    let read = made(&store, &key).await;
    let mut other = file.other().await;
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let begun = Instant::now();
    for written in join_all((0..64).map(|_| set(&store, &key, &read, "b"))).await {
        assert_kind(written, StoreErrorKind::Unavailable);
    }
    assert!(begun.elapsed() < Duration::from_millis(2_500), "{:?}", begun.elapsed());
    assert!(store.load(&key, NOW).await.unwrap().live().is_some(), "readers do not wait for writers");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(set(&store, &key, &read, "b").await.unwrap(), Updated::Written { version: read.version + 1 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_held_for_a_moment_is_waited_for() {
    let file = File::new().await;
    let store = file.store().await;
    let key = fresh_key();
    let read = made(&store, &key).await;
    let mut other = file.other().await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let (written, ()) = tokio::join!(set(&store, &key, &read, "b"), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    });
    assert_eq!(written.unwrap(), Updated::Written { version: read.version + 1 });
}

/// The other one holds the lock ten times as long as it leaves it free, as a busy process does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_free_only_for_moments_is_got() {
    let file = File::new().await;
    let store = file.store().await;
    let key = fresh_key();
    let mut read = made(&store, &key).await;
    let mut other = file.other().await;
    let holds_the_lock = async {
        loop {
            sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
            sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let writes = async {
        for number in 0..30 {
            tokio::time::sleep(Duration::from_millis(25)).await;
            let updated = set(&store, &key, &read, &format!("key {number}")).await;
            assert_eq!(updated.unwrap(), Updated::Written { version: read.version + 1 }, "write {number}");
            read.version += 1;
        }
    };
    tokio::select! {
        () = holds_the_lock => {}
        () = writes => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_an_error_that_loses_nothing_and_passes() {
    let file = File::new().await;
    file.store().await;
    let pool = SqlitePoolOptions::new().max_connections(1).connect(&file.address()).await.unwrap();
    let store = SqliteStore::from_pool(pool.clone());
    let key = fresh_key();
    let read = made(&store, &key).await;
    limit_pages(&pool, "30").await;
    let big = setting("big", &format!("\"{}\"", "x".repeat(200_000)));
    let before = file.dump().await;
    assert_kind(store.update(&key, write(&big, Some(&read))).await, StoreErrorKind::Unavailable);
    assert_kind(store.create(&fresh_key(), write(&big, None)).await, StoreErrorKind::Unavailable);
    assert_eq!(file.dump().await, before);
    limit_pages(&pool, "1000").await;
    let written = store.update(&key, write(&big, Some(&read))).await.unwrap();
    assert_eq!(written, Updated::Written { version: read.version + 1 });
    assert_works(&store).await;
}

/// From here on the file cannot grow beyond so many pages: what SQLite says then is what it says of a full disk.
async fn limit_pages(pool: &SqlitePool, pages: &str) {
    let statement = format!("PRAGMA max_page_count = {pages}");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(pool).await.unwrap();
}

/// Two processes, sixty-four tasks each. The second process is this test again, told by a variable where the file is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_write_to_one_file_without_an_error() {
    if let Ok(address) = env::var(FILE) {
        return write_much(&SqliteStore::connect(&address).await.unwrap()).await;
    }
    let file = File::new().await;
    let store = file.store().await;
    let name = "each_store::sqlite::two_processes_write_to_one_file_without_an_error";
    let mut child = Command::new(env::current_exe().unwrap());
    let mut child = child.args(["--exact", name, "--nocapture"]).env(FILE, file.address()).spawn().unwrap();
    write_much(&store).await;
    assert!(tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap().success());
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM session_records").fetch_one(&mut file.other().await).await.unwrap();
    assert_eq!(rows, 2 * 64);
}

/// Each of sixty-four tasks makes a session and changes it forty times.
async fn write_much(store: &SqliteStore) {
    let tasks = (0..64).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let key = fresh_key();
            let mut read = made(&store, &key).await;
            for number in 0..40 {
                let updated = set(&store, &key, &read, &format!("key {}", number % 4)).await.unwrap();
                assert_eq!(updated, Updated::Written { version: read.version + 1 });
                read.version += 1;
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
}

const FILE: &str = "SESSION_TESTS_SQLITE_FILE";
