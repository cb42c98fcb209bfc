//! docs/stores.md, "Running it": each query and command of the page runs on the database that it is for.

use std::{
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use session_core::{
    SessionId,
    store::{Changes, End, RecordKey, SessionStore, Visit, Write},
};
use session_stores::RedisStore;
use session_test_servers::redis::Server;
use sqlx::{
    AssertSqlSafe, Connection, Database, Executor, IntoArguments, MySqlConnection, PgConnection, SqliteConnection,
};

use crate::support::backends::Backend;

/// The part of the page.
fn page() -> &'static str {
    let page = include_str!("../../../docs/stores.md");
    let (_, rest) = page.split_once("\n## Running it\n").expect("the page has this part");
    rest.split("\n## ").next().unwrap()
}

/// The blocks of code in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    page().split(begin.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The query that counts sessions. The page names the function of each database that tells the time.
fn counting_query(database: &str) -> String {
    let query = blocks("sql")[0].trim().trim_end_matches(';');
    let named = |before: &str| page().split(before).nth(1).unwrap().split('`').next().unwrap().to_owned();
    let now = match database {
        "Postgres" => named("In Postgres write `"),
        "MariaDB" => named("in MariaDB `"),
        _ => "unixepoch()".to_owned(),
    };
    query.replace("unixepoch()", &now)
}

/// The query for the size.
fn size_query(database: &str) -> &'static str {
    let mut lines = blocks("sql")[1].lines();
    let (query, _) =
        lines.find_map(|line| line.split_once("; -- ").filter(|(_, name)| name.starts_with(database))).unwrap();
    query
}

/// Two applications with sessions of each kind.
async fn fill(store: &dyn SessionStore) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut changes = Changes::default();
    changes.insert("a", "1".to_owned());
    for (application, expires_at) in [
        ("blog", now + 600),
        ("blog", now + 600),
        ("shop", now + 600),
        ("shop", now - 600),
        ("shop", now - 2 * 60 * 60),
        ("shop", now - 26 * 60 * 60),
    ] {
        let visit = Visit { now: now - 30 * 60 * 60, expires_at };
        store.create(&key(), Write { application, ..Write::new(&changes, visit) }).await.unwrap();
    }
    let ended = key();
    let visit = Visit { now, expires_at: now + 600 };
    store.create(&ended, Write { application: "shop", ..Write::new(&changes, visit) }).await.unwrap();
    assert!(store.delete(&ended, End::Deleted, now).await.unwrap());
}

fn key() -> RecordKey {
    let id = || SessionId::random().unwrap();
    let secret = [*id().as_bytes(), *id().as_bytes()].concat();
    RecordKey::of_secret(id(), secret.as_slice().try_into().unwrap())
}

async fn the_queries_work<D: Database>(mut connection: D::Connection, database: &str)
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
    for<'q> D::Arguments: IntoArguments<D>,
    (String, String, String, String): for<'r> sqlx::FromRow<'r, D::Row>,
    (String,): for<'r> sqlx::FromRow<'r, D::Row>,
{
    // The databases' numbers have different types.
    let columns = ["application", "live", "expired", "overdue"].map(|name| format!("CAST({name} AS CHAR(20))"));
    let query = format!("SELECT {} FROM ({}) AS counts ORDER BY 1", columns.join(", "), counting_query(database));
    let rows: Vec<(String, String, String, String)> =
        sqlx::query_as(AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap();
    let rows: Vec<_> = rows
        .iter()
        .map(|(name, live, expired, overdue)| [name, live, expired, overdue].map(|text| text.trim()))
        .collect();
    assert_eq!(rows, [["blog", "2", "0", "0"], ["shop", "1", "3", "1"]], "{database}");

    let (select, from) = size_query(database)
        .split_once("SELECT ")
        .map(|(_, rest)| rest.split_once(" FROM ").unwrap_or((rest, "")))
        .unwrap();
    let from = if from.is_empty() { String::new() } else { format!(" FROM {from}") };
    let query = format!("SELECT CAST({select} AS CHAR(20)){from}");
    let (bytes,): (String,) = sqlx::query_as(AssertSqlSafe(query)).fetch_one(&mut connection).await.unwrap();
    assert!((1_000..1_000_000).contains(&bytes.trim().parse::<u64>().unwrap()), "{database}: {bytes}");
}

#[tokio::test]
async fn the_queries_for_sqlite_work() {
    let backend = Backend::sqlite();
    fill(&*backend.connect().await).await;
    the_queries_work::<sqlx::Sqlite>(SqliteConnection::connect(backend.address()).await.unwrap(), "SQLite").await;
}

#[tokio::test]
async fn the_queries_for_postgres_work() {
    let backend = Backend::postgres().await;
    fill(&*backend.connect().await).await;
    the_queries_work::<sqlx::Postgres>(PgConnection::connect(backend.address()).await.unwrap(), "Postgres").await;
}

#[tokio::test]
async fn the_queries_for_mariadb_work() {
    let backend = Backend::mariadb().await;
    fill(&*backend.connect().await).await;
    the_queries_work::<sqlx::MySql>(MySqlConnection::connect(backend.address()).await.unwrap(), "MariaDB").await;
}

/// The words after `#` are what to look for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_for_redis_work() {
    let server = Server::start(&["--appendonly", "yes", "--maxmemory-policy", "noeviction"]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    fill(&store).await;
    let [commands] = blocks("sh")[..] else { panic!("one block") };
    let mut commands = commands.lines().map(|line| line.split_once(" # ").unwrap_or((line, "")));
    let (scan, _) = commands.next().unwrap();
    // The last one is a tombstone.
    assert_eq!(run(&server, scan).trim(), "7");
    let mut fields = 0;
    for (command, expected) in commands {
        let answer = run(&server, command);
        for field in expected.split(", ") {
            assert!(answer.lines().any(|line| line.starts_with(field)), "{command}: {field}");
            fields += 1;
        }
    }
    assert_eq!(fields, 6);
}

fn run(server: &Server, command: &str) -> String {
    let command = command.replace("redis-cli", &format!("redis-cli -p {}", server.port));
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
