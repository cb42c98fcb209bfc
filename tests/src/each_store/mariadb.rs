//! `MySqlStore` on a real MariaDB.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use session_core::store::{SessionStore as _, Spared, StoreErrorKind, Updated};
use session_stores::MySqlStore;
use session_test_servers::mariadb::MariaDb;
use sqlx::{AssertSqlSafe, Connection as _, MySql, MySqlConnection, MySqlPool, Row as _, Transaction};
use tokio::time::{sleep, timeout};

use super::{
    NOW, all_of, assert_kind, assert_works, fresh_key, hex, made, owner, set, setting,
    tables::{Place, tables},
    write,
};

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
            let pool = sqlx::MySqlPool::connect(&super::Base::new_address().await).await.unwrap();
            let store = session_stores::MySqlStore::from_pool(pool);
            store.migrate().await.unwrap();
            store
        }
    );
}

/// None of a server's settings matters to a store with connections of its own.
mod suite_on_a_server_with_odd_settings {
    use std::sync::LazyLock;

    use super::MariaDb;

    static SERVER: LazyLock<MariaDb> = LazyLock::new(|| {
        MariaDb::start_with(&[
            "sql-mode=ANSI,EMPTY_STRING_IS_NULL,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH",
            "character-set-server=latin1",
            "collation-server=latin1_german1_ci",
            "default-time-zone=-11:30",
            "transaction-isolation=SERIALIZABLE",
            "autocommit=0",
            "innodb-lock-wait-timeout=100",
            "innodb-default-row-format=redundant",
            "lower-case-table-names=1",
        ])
    });

    session_stores::conformance!(
        store = || async {
            let store = session_stores::MySqlStore::connect(&SERVER.database().await).await.unwrap();
            store.migrate().await.unwrap();
            store
        }
    );
}

tables!(Base);

/// A database of one test.
struct Base {
    address: String,
}

impl Base {
    async fn new_address() -> String {
        MariaDb::shared().database().await
    }

    /// A connection beside those of the store.
    async fn other(&self) -> MySqlConnection {
        MySqlConnection::connect(&self.address).await.unwrap()
    }

    fn name(&self) -> &str {
        self.address.rsplit_once('/').unwrap().1
    }

    /// How many deadlocks the server has ended.
    async fn deadlocks(&self) -> u64 {
        let statement = "SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'";
        let status = sqlx::query(statement).fetch_one(&mut self.other().await).await.unwrap();
        status.get::<String, _>(1).parse().unwrap()
    }

    /// The numbers of the connections to this database, but for the one that asks.
    async fn connections(&self) -> Vec<u64> {
        let statement = "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()";
        let rows = sqlx::query(statement).fetch_all(&mut self.other().await).await.unwrap();
        rows.iter().map(|row| row.get_unchecked::<i64, _>(0).try_into().unwrap()).collect()
    }
}

impl Place for Base {
    type Store = MySqlStore;

    async fn new() -> Self {
        Self { address: Self::new_address().await }
    }

    async fn connect(&self) -> MySqlStore {
        MySqlStore::connect(&self.address).await.unwrap()
    }

    async fn migrate(store: &MySqlStore) {
        store.migrate().await.unwrap();
    }

    async fn run(&self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut self.other().await).await.unwrap();
    }

    async fn dump(&self) -> String {
        let statement = "SELECT concat_ws('|', lower(hex(`key`)), lower(hex(id)), format, data, version, created_at, \
                         seen_at, expires_at, owner, label) FROM session_records ORDER BY row_id";
        let rows = sqlx::query(statement).fetch_all(&mut self.other().await).await.unwrap();
        rows.iter().map(|row| String::from_utf8(row.get(0)).unwrap() + "\n").collect()
    }
}

#[tokio::test]
async fn a_user_who_may_not_create_tables_migrates_if_they_are_there() {
    let base = Base::new().await;
    let user = format!("user_{}", hex(&fresh_key().hash()[..8]));
    base.run(&format!("CREATE USER {user}@'127.0.0.1'")).await;
    base.run(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {}.* TO {user}@'127.0.0.1'", base.name())).await;
    let store = MySqlStore::connect(&base.address.replace("root@", &format!("{user}@"))).await.unwrap();
    let said = assert_kind(store.migrate().await, StoreErrorKind::Refused);
    assert!(said.contains("1142") && said.contains("`migrate()`"), "{said}");
    base.store().await;
    store.migrate().await.unwrap();
    assert_works(&store).await;
}

#[tokio::test]
async fn texts_are_compared_byte_for_byte() {
    let base = Base::new().await;
    let pool = MySqlPool::connect(&format!("{}?charset=latin1", base.address)).await.unwrap();
    let stores = [base.store().await, MySqlStore::from_pool(pool)];
    let alike = ["ada", "Ada", "ada ", "adä", "ada\0", "ad\u{e1}", "ada\u{301}", "\u{1f980}", "\u{1f981}", "", " "];
    for name in alike {
        let changes = {
            let mut changes = setting("a", "\"\u{1f980}\"");
            changes.set_owner(name.to_owned());
            changes.set_label(name.to_owned());
            changes
        };
        let key = fresh_key();
        stores[1].create(&key, write(&changes, None)).await.unwrap();
        for store in &stores {
            let record = store.load(&key, NOW).await.unwrap().live().unwrap();
            assert_eq!((record.owner.as_deref(), record.label.as_deref()), (Some(name), Some(name)));
            assert_eq!(record.entries.get("a"), Some("\"\u{1f980}\""));
        }
    }
    for name in alike {
        for store in &stores {
            assert_eq!(store.count(owner(name), NOW).await.unwrap(), 1, "{name:?}");
        }
        assert_eq!(stores[0].delete_by_owner(owner(name), Spared::default(), NOW).await.unwrap(), 1, "{name:?}");
    }
}

/// The server breaks the connection when a packet is larger than `max_allowed_packet`.
#[tokio::test]
async fn a_value_of_ten_mebibytes_is_kept_and_one_that_is_too_large_harms_nothing() {
    let base = Base::new().await;
    let store = base.store().await;
    let key = fresh_key();
    let read = made(&store, &key).await;
    let large = format!("\"{}\"", "0123456789abcdef".repeat(10 * 65_536));
    store.update(&key, write(&setting("large", &large), Some(&read))).await.unwrap();
    let read = store.load(&key, NOW).await.unwrap().live().unwrap();
    assert!(read.entries.get("large") == Some(&large));
    let too_large = setting("more", &large);
    assert_kind(store.update(&key, write(&too_large, Some(&read))).await, StoreErrorKind::Unavailable);
    assert_eq!(store.load(&key, NOW).await.unwrap().live().unwrap().version, read.version);
    assert_eq!(set(&store, &key, &read, "b").await.unwrap(), Updated::Written { version: read.version + 1 });
    assert_works(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_server_is_an_error_soon_and_none_once_it_is_back() {
    let mut server = MariaDb::start();
    let address = server.database().await;
    let store = MySqlStore::connect(&address).await.unwrap();
    let shared = MySqlStore::from_pool(MySqlPool::connect(&address).await.unwrap());
    store.migrate().await.unwrap();
    let key = fresh_key();
    let read = made(&store, &key).await;
    join_all((0..10).map(|_| assert_works(&store))).await;
    server.stop();
    for store in [&store, &shared] {
        let begun = Instant::now();
        for loaded in join_all((0..30).map(|_| store.load(&key, NOW))).await {
            let said = assert_kind(loaded, StoreErrorKind::Unavailable);
            assert!(said.contains("the MySQL server at 127.0.0.1:"), "{said}");
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
    for connection in base.connections().await {
        base.run(&format!("KILL {connection}")).await;
    }
    if let Err(error) = store.load(&key, NOW).await {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{}", all_of(&error));
    }
    assert!(store.load(&key, NOW).await.unwrap().live().is_some());
    join_all((0..10).map(|_| assert_works(&store))).await;
}

/// More of them than there are connections, while another connection holds the row.
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
    let written = set(&store, &key, &stale, "d").await.unwrap();
    sleep(Duration::from_millis(200)).await;
    let open = "SELECT count(*) FROM information_schema.innodb_trx JOIN information_schema.processlist \
                ON trx_mysql_thread_id = id WHERE db = database()";
    let open: i64 = sqlx::query_scalar(open).fetch_one(&mut base.other().await).await.unwrap();
    assert_eq!(open, 0);
    let record = store.load(&key, NOW).await.unwrap().live().unwrap();
    assert_eq!((written, record.entries.get("d")), (Updated::Written { version: record.version }, Some("1")));
}

#[tokio::test]
async fn who_is_not_let_in_is_refused_and_no_password_is_shown() {
    let address = Base::new_address().await;
    let nobody = address.replace("root@", "nobody_known:hunter2@");
    let nowhere = address.replace("/test_", "/no_such_database_");
    let port = address.replace("root@127.0.0.1", "root:hunter2@127.0.0.1:hunter2");
    let foreign = address.replace("mysql://root@", "postgres://root:hunter2@");
    for address in [nobody, nowhere, port, foreign, "mysql//hunter2".to_owned()] {
        let said = assert_kind(MySqlStore::connect(&address).await, StoreErrorKind::Refused);
        assert!(!said.contains("hunter2") && !said.contains("nobody_known:"), "{said}");
        assert!(said.contains("MySQL server"), "{said}");
    }
    let encrypted = format!("{address}?ssl-mode=REQUIRED");
    assert_kind(MySqlStore::connect(&encrypted).await, StoreErrorKind::Refused);
    let store = MySqlStore::connect(&address.replace("mysql://", "mariadb://")).await.unwrap();
    store.migrate().await.unwrap();
    assert_works(&store).await;
}

#[tokio::test]
async fn a_lock_that_is_held_too_long_is_unavailable() {
    let base = Base::new().await;
    let store = base.store().await;
    let key = fresh_key();
    let read = made(&store, &key).await;
    let mut other = base.other().await;
    let mut lock = other.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM session_records FOR UPDATE").execute(&mut *lock).await.unwrap();
    let begun = Instant::now();
    for written in join_all((0..10).map(|_| set(&store, &key, &read, "b"))).await {
        assert_kind(written, StoreErrorKind::Unavailable);
    }
    assert!(begun.elapsed() < Duration::from_millis(2_500), "{:?}", begun.elapsed());
    assert!(store.load(&key, NOW).await.unwrap().live().is_some(), "readers do not wait for writers");
    lock.commit().await.unwrap();
    assert_eq!(set(&store, &key, &read, "b").await.unwrap(), Updated::Written { version: read.version + 1 });
}

/// Loads of a large session that are given up while its bytes arrive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_were_not_read_are_not_those_of_others() {
    let base = Base::new().await;
    let store = base.store().await;
    let (large, small) = (fresh_key(), fresh_key());
    let text = format!("\"{}\"", "0123456789abcdef".repeat(4 * 65_536));
    store.create(&large, write(&setting("large", &text), None)).await.unwrap();
    made(&store, &small).await;
    for round in 0..40 {
        let patience = Duration::from_micros(500 * round);
        join_all((0..10).map(|_| timeout(patience, store.load(&large, NOW)))).await;
        for loaded in join_all((0..10).map(|_| store.load(&small, NOW))).await {
            assert_eq!(loaded.unwrap().live().unwrap().entries.get("a"), Some("1"));
        }
    }
}

/// The store's statement has locked the first session and waits for the second. Another transaction has locked the
/// second and then wants the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_a_deadlock_ends_is_tried_again() {
    let base = Base::new().await;
    let store = base.store().await;
    let mut changes = setting("a", "1");
    changes.set_owner("ada".to_owned());
    for _ in 0..2 {
        store.create(&fresh_key(), write(&changes, None)).await.unwrap();
    }
    let mut other = base.other().await;
    let mut lock = heavy_transaction(&mut other).await;
    let deadlocks = base.deadlocks().await;
    let (ended, ()) = tokio::join!(store.delete_by_owner(owner("ada"), Spared::default(), NOW), async {
        sleep(Duration::from_millis(300)).await;
        sqlx::raw_sql(FIRST).execute(&mut *lock).await.unwrap();
        lock.commit().await.unwrap();
    });
    assert_eq!(ended.unwrap(), 2);
    assert!(base.deadlocks().await > deadlocks);
}

/// The store's transaction has locked the first session and waits for the place of its new owner in the index. Another
/// transaction has locked that place and then wants the first session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_a_deadlock_ends_is_tried_again() {
    let base = Base::new().await;
    let store = base.store().await;
    let key = fresh_key();
    let stale = made(&store, &key).await;
    made(&store, &fresh_key()).await;
    set(&store, &key, &stale, "b").await.unwrap();
    let mut other = base.other().await;
    let mut lock = heavy_transaction(&mut other).await;
    let deadlocks = base.deadlocks().await;
    sqlx::raw_sql("SELECT 1 FROM session_records FORCE INDEX (session_records_owner) WHERE owner = 'ada' FOR UPDATE")
        .execute(&mut *lock)
        .await
        .unwrap();
    let mut changes = setting("c", "1");
    changes.set_owner("ada".to_owned());
    let (written, ()) = tokio::join!(store.update(&key, write(&changes, Some(&stale))), async {
        sleep(Duration::from_millis(300)).await;
        sqlx::raw_sql(FIRST).execute(&mut *lock).await.unwrap();
        lock.commit().await.unwrap();
    });
    assert_eq!(written.unwrap(), Updated::Written { version: stale.version + 3 });
    assert_eq!(store.count(owner("ada"), NOW).await.unwrap(), 1);
    assert!(base.deadlocks().await > deadlocks);
}

/// A transaction that has changed the second session twenty times. The server ends the lighter transaction of a
/// deadlock.
async fn heavy_transaction(connection: &mut MySqlConnection) -> Transaction<'_, MySql> {
    let mut transaction = connection.begin().await.unwrap();
    for _ in 0..20 {
        let second = "UPDATE session_records SET version = version + 1 WHERE row_id = 2";
        sqlx::raw_sql(second).execute(&mut *transaction).await.unwrap();
    }
    transaction
}

const FIRST: &str = "UPDATE session_records SET version = version + 1 WHERE row_id = 1";
