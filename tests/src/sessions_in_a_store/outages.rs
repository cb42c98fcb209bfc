//! Real databases that go away under load and come back: nobody waits long, nothing that was said is taken back.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use axum::{Router, extract, routing::get};
use session_axum::{Error, Session, SessionLayer, testing::Client};
use session_core::store::SessionStore;
use session_stores::{MySqlStore, PostgresStore, RedisStore, SqliteStore};
use session_test_servers::{Directory, mariadb::MariaDb, postgres::Postgres, redis::Server};
use sqlx::{
    AssertSqlSafe, Connection as _, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tokio::{
    task::{JoinSet, block_in_place},
    time::sleep,
};

use super::COOKIE;
use crate::support::{
    app::keys,
    backends::Backend,
    twin::{Twin, listen, order, say},
};

/// Visitors who come again and again, each with a browser of their own.
struct Load {
    visitors: JoinSet<Visitor>,
    told: Arc<Told>,
    app: Router,
}

/// What the visitors saw so far.
#[derive(Default)]
struct Told {
    is_over: AtomicBool,
    /// Pages that were shown.
    shown: AtomicU64,
    /// Pages that said that the store is away.
    refused: AtomicU64,
}

impl Load {
    fn on(store: Arc<dyn SessionStore>) -> Self {
        let app = app(SessionLayer::stored(store, keys()));
        let (mut visitors, told) = (JoinSet::new(), Arc::<Told>::default());
        for number in 0..VISITORS {
            visitors.spawn(Visitor::new(number, &app, &told).come_again());
        }
        Self { visitors, told, app }
    }

    /// Waits until so many more pages were shown.
    async fn expect_shown(&self, pages: u64) {
        expect_more(&self.told.shown, pages).await;
    }

    /// Waits until so many more pages were refused.
    async fn expect_refused(&self, pages: u64) {
        expect_more(&self.told.refused, pages).await;
    }

    /// Stops the server under load and starts it again, twice.
    async fn expect_all_kept_over_stops(self, mut server: impl FnMut(Turn)) {
        for _ in 0..2 {
            self.expect_shown(10 * VISITORS).await;
            block_in_place(|| server(Turn::Off));
            self.expect_refused(2 * VISITORS).await;
            block_in_place(|| server(Turn::On));
        }
        self.expect_all_kept().await;
    }

    /// The store is back, and the application is the same: all that was said must be there.
    async fn expect_all_kept(self) {
        self.expect_shown(20 * VISITORS).await;
        self.told.is_over.store(true, Relaxed);
        let visitors = self.visitors.join_all().await;
        let log_outs: usize = visitors.iter().map(|visitor| visitor.over.len()).sum();
        assert!(log_outs > 10, "{log_outs} log-outs show little");
        for visitor in visitors {
            visitor.expect_all_kept(&self.app).await;
        }
    }
}

/// What a test does with its server.
enum Turn {
    Off,
    On,
}

async fn expect_more(counter: &AtomicU64, pages: u64) {
    let (wanted, begun) = (counter.load(Relaxed) + pages, Instant::now());
    while counter.load(Relaxed) < wanted {
        assert!(begun.elapsed() < PATIENCE, "{} of {wanted} pages", counter.load(Relaxed));
        sleep(Duration::from_millis(10)).await;
    }
}

/// One who counts, logs out now and then, and remembers what was said.
struct Visitor {
    number: u64,
    app: Router,
    browser: Client,
    told: Arc<Told>,
    count: u64,
    /// What may be in the session; `None` where there may be none.
    possible: Vec<Option<u64>>,
    /// Cookies of sessions that are over.
    over: Vec<String>,
}

impl Visitor {
    fn new(number: u64, app: &Router, told: &Arc<Told>) -> Self {
        let browser = Client::new(app.clone());
        Self {
            number,
            app: app.clone(),
            browser,
            told: Arc::clone(told),
            count: 0,
            possible: vec![None],
            over: Vec::new(),
        }
    }

    async fn come_again(mut self) -> Self {
        while !self.told.is_over.load(Relaxed) {
            self.write().await;
            self.read().await;
            if self.count % LOG_OUT_EVERY == self.number % LOG_OUT_EVERY {
                self.log_out().await;
            }
            sleep(Duration::from_millis(2)).await;
        }
        self
    }

    async fn write(&mut self) {
        self.count += 1;
        let path = format!("/set/{}/{}", self.number, self.count);
        match self.get(&path).await {
            Some(_) => self.possible = vec![Some(self.count)],
            None => self.possible.push(Some(self.count)),
        }
    }

    async fn read(&mut self) {
        let Some(text) = self.get("/get").await else { return };
        let seen = text.split_once(' ').map(|(number, count)| {
            assert_eq!(number, self.number.to_string(), "nobody sees what is another's");
            count.parse().unwrap()
        });
        assert!(self.possible.contains(&seen), "{seen:?} and not one of {:?}", self.possible);
    }

    async fn log_out(&mut self) {
        let cookie = self.browser.cookie(COOKIE);
        match self.get("/destroy").await {
            Some(_) => {
                self.over.extend(cookie);
                self.possible = vec![None];
            }
            // It may be over. Then the store knows for a minute that it ended, and what is written is dropped. So the
            // visitor takes another browser.
            None => {
                self.browser = Client::new(self.app.clone());
                self.possible = vec![None];
            }
        }
    }

    /// The page, or nothing when the store is away.
    async fn get(&self, path: &str) -> Option<String> {
        let begun = Instant::now();
        let page = self.browser.get(path).await;
        assert!(begun.elapsed() < Duration::from_millis(2_500), "{path}: {:?}", begun.elapsed());
        match page.status().as_u16() {
            200 => self.told.shown.fetch_add(1, Relaxed),
            503 => self.told.refused.fetch_add(1, Relaxed),
            other => panic!("{path}: {other}"),
        };
        (page.status() == 200).then(|| page.text())
    }

    async fn expect_all_kept(mut self, app: &Router) {
        let before = self.told.refused.load(Relaxed);
        self.read().await;
        self.write().await;
        self.read().await;
        assert_eq!(self.told.refused.load(Relaxed), before);
        for cookie in &self.over {
            let thief = Client::new(app.clone());
            thief.set_cookie(COOKIE, cookie);
            assert_eq!(thief.get("/get").await.text(), "", "a log-out stays one");
        }
    }
}

fn app(layer: SessionLayer) -> Router {
    async fn write(session: Session, extract::Path((number, count)): extract::Path<(u64, u64)>) -> Result<(), Error> {
        session.insert("number", number)?;
        session.insert("count", count)?;
        // A store that is full has no room for it.
        session.insert("all", "x".repeat(usize::try_from(count).unwrap_or_default().min(100) * 100))
    }
    async fn read(session: Session) -> Result<String, Error> {
        let (number, count) = (session.get::<u64>("number")?, session.get::<u64>("count")?);
        Ok(number.zip(count).map(|(number, count)| format!("{number} {count}")).unwrap_or_default())
    }
    Router::new()
        .route("/set/{number}/{count}", get(write))
        .route("/get", get(read))
        .route("/destroy", get(|session: Session| async move { format!("{:?}", session.destroy()) }))
        .layer(layer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_stops_and_starts_under_load_costs_no_data() {
    let server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let load = Load::on(Arc::new(RedisStore::connect(&server.url()).await.unwrap()));
    load.expect_all_kept_over_stops(|turn| match turn {
        Turn::Off => server.stop(),
        Turn::On => server.start_again(),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_stops_and_starts_under_load_costs_no_data() {
    let mut server = Postgres::start();
    let store = PostgresStore::connect(&server.database().await).await.unwrap();
    store.migrate().await.unwrap();
    let load = Load::on(Arc::new(store));
    load.expect_all_kept_over_stops(|turn| match turn {
        Turn::Off => server.stop(),
        Turn::On => server.start_again(),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mariadb_that_is_killed_and_starts_under_load_costs_no_data() {
    let mut server = MariaDb::start();
    let store = MySqlStore::connect(&server.database().await).await.unwrap();
    store.migrate().await.unwrap();
    let load = Load::on(Arc::new(store));
    load.expect_all_kept_over_stops(|turn| match turn {
        Turn::Off => server.kill(),
        Turn::On => server.start_again(),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_process_locks_under_load_costs_no_data() {
    if let Some(address) = order() {
        return lock_when_told(&address).await;
    }
    let backend = Backend::sqlite();
    let load = Load::on(backend.connect().await);
    let mut other = Twin::of(a_file_that_another_process_locks_under_load_costs_no_data, backend.address());
    assert_eq!(other.hear(), "ready");
    load.expect_shown(10 * VISITORS).await;
    other.tell("lock");
    assert_eq!(other.hear(), "locked");
    sleep(Duration::from_secs(3)).await;
    load.expect_refused(1).await;
    other.tell("release");
    assert_eq!(other.hear(), "released");
    other.end();
    load.expect_all_kept().await;
}

async fn lock_when_told(address: &str) {
    let mut connection = SqliteConnection::connect(address).await.unwrap();
    say("ready");
    assert_eq!(listen(), "lock");
    sqlx::raw_sql("PRAGMA busy_timeout = 10000; BEGIN EXCLUSIVE").execute(&mut connection).await.unwrap();
    say("locked");
    assert_eq!(listen(), "release");
    sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();
    say("released");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_under_load_costs_no_data() {
    let directory = Directory::new();
    let pool = pool(&directory.path().join("sessions.db")).await;
    let store = SqliteStore::from_pool(pool.clone());
    store.migrate().await.unwrap();
    limit_pages(&pool, 40).await;
    let load = Load::on(Arc::new(store));
    load.expect_shown(VISITORS).await;
    load.expect_refused(2 * VISITORS).await;
    limit_pages(&pool, 1_000_000).await;
    load.expect_all_kept().await;
}

async fn pool(file: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal).busy_timeout(Duration::from_secs(1));
    SqlitePoolOptions::new()
        .min_connections(CONNECTIONS)
        .max_connections(CONNECTIONS)
        .connect_with(options)
        .await
        .unwrap()
}

/// From here on the file cannot grow beyond so many pages: what SQLite says then is what it says of a full disk. Each
/// connection has to know.
async fn limit_pages(pool: &SqlitePool, pages: u32) {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(pool.acquire().await.unwrap());
    }
    for connection in &mut connections {
        let statement = format!("PRAGMA max_page_count = {pages}");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut **connection).await.unwrap();
    }
}

const VISITORS: u64 = 16;
const LOG_OUT_EVERY: u64 = 7;
const CONNECTIONS: u32 = 3;

/// For what must come at last.
const PATIENCE: Duration = Duration::from_secs(30);
