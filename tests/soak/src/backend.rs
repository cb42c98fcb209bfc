//! The stores, and the ways in which each of them fails.

use std::{
    env,
    io::{BufRead as _, BufReader, stdin},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use session_axum::store::SessionStore;
use session_stores::{MemoryStore, MySqlStore, PostgresStore, RedisStore, SqliteStore};
use session_test_servers::{Directory, SmallDisk, mariadb::MariaDb, postgres::Postgres, redis::Server};
use sqlx::{Connection as _, SqliteConnection};

use crate::forwarder::Forwarder;

/// The stores, in the order in which they are soaked.
pub(crate) const STORES: [&str; 5] = ["memory", "sqlite", "postgres", "mariadb", "redis"];

/// One way to fail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The server is stopped, and started again.
    Stopped,
    /// The server is killed, and started again. For a file: another process is killed in the middle of a transaction.
    Killed,
    /// Another server takes over.
    FailedOver,
    /// Another process has the file's lock.
    Locked,
    DiskFull,
    /// The clock of one instance is wrong.
    ClockMoved,
}
use Fault::{ClockMoved, DiskFull, FailedOver, Killed, Locked, Stopped};

/// A running store. Each kind is a variant with its own `start`, `connect`, `begin` and `end`.
pub(crate) enum Backend {
    Memory(MemoryStore),
    Sqlite(Box<Sqlite>),
    Postgres(Box<OnPostgres>),
    MariaDb(Box<OnMariaDb>),
    Redis(Box<OnRedis>),
}

impl Backend {
    pub(crate) async fn start(store: &str) -> Self {
        match store {
            "memory" => Self::Memory(MemoryStore::new()),
            "sqlite" => Self::Sqlite(Box::new(Sqlite::start())),
            "postgres" => Self::Postgres(Box::new(OnPostgres::start().await)),
            "mariadb" => Self::MariaDb(Box::new(OnMariaDb::start().await)),
            _ => Self::Redis(Box::new(OnRedis::start().await)),
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Memory(_) => "memory",
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "Postgres",
            Self::MariaDb(_) => "MariaDB",
            Self::Redis(_) => "Redis",
        }
    }

    /// Returns how many MiB of this process the store's cache may fill in the course of time.
    pub(crate) const fn cache(&self) -> u64 {
        match self {
            // SQLite keeps 2 MB of pages for each connection, and each instance has up to five.
            Self::Sqlite(_) => 20,
            _ => 0,
        }
    }

    /// Returns a store with connections of its own.
    pub(crate) async fn connect(&self) -> Arc<dyn SessionStore> {
        match self {
            Self::Memory(store) => Arc::new(store.clone()),
            Self::Sqlite(sqlite) => {
                let store = SqliteStore::connect(&format!("sqlite://{}", sqlite.file())).await.unwrap();
                store.migrate().await.unwrap();
                Arc::new(store)
            }
            Self::Postgres(postgres) => {
                let store = PostgresStore::connect(&postgres.address).await.unwrap();
                store.migrate().await.unwrap();
                Arc::new(store)
            }
            Self::MariaDb(mariadb) => {
                let store = MySqlStore::connect(&mariadb.address).await.unwrap();
                store.migrate().await.unwrap();
                Arc::new(store)
            }
            Self::Redis(redis) => {
                let store = RedisStore::connect(&format!("redis://{}", redis.place())).await.unwrap();
                store.migrate().await.unwrap();
                Arc::new(store)
            }
        }
    }

    /// Returns what a log line about this store must name.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Memory(_) => "nothing: no operation fails".to_owned(),
            Self::Sqlite(sqlite) => sqlite.file(),
            Self::Postgres(postgres) => format!("127.0.0.1:{}", postgres.server.port()),
            Self::MariaDb(mariadb) => mariadb.place(),
            Self::Redis(redis) => redis.place(),
        }
    }

    /// Returns the faults that this store can have here, in their order.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let (faults, has_disk) = match self {
            Self::Memory(_) => return vec![ClockMoved],
            Self::Sqlite(sqlite) => (vec![Locked, Killed, DiskFull, ClockMoved], sqlite.disk.is_some()),
            Self::Postgres(postgres) => (vec![Stopped, Killed, DiskFull, ClockMoved], postgres.disk.is_some()),
            // Its tables are where its log is, and a full disk would stop the server.
            Self::MariaDb(_) => return vec![Stopped, Killed, ClockMoved],
            Self::Redis(_) => (vec![Stopped, Killed, FailedOver, DiskFull, ClockMoved], true),
        };
        if !has_disk {
            eprintln!("{}: no disk is filled, because that needs root", self.name());
        }
        faults.into_iter().filter(|fault| has_disk || !matches!(fault, DiskFull)).collect()
    }

    pub(crate) fn begin(&mut self, fault: Fault) {
        match (self, fault) {
            (Self::Sqlite(sqlite), Locked | Killed) => sqlite.lock(),
            (Self::Sqlite(sqlite), DiskFull) => sqlite.disk.as_ref().unwrap().fill(),
            (Self::Postgres(postgres), Stopped) => postgres.server.stop(),
            (Self::Postgres(postgres), Killed) => postgres.server.kill(),
            (Self::Postgres(postgres), DiskFull) => postgres.disk.as_ref().unwrap().fill(),
            (Self::MariaDb(mariadb), Stopped) => mariadb.server.stop(),
            (Self::MariaDb(mariadb), Killed) => mariadb.server.kill(),
            (Self::Redis(redis), Stopped) => redis.primary().shut_down(),
            (Self::Redis(redis), Killed) => redis.primary().stop(),
            (Self::Redis(redis), DiskFull) => expect_ok(redis.primary(), "CONFIG SET maxmemory 1"),
            (Self::Redis(redis), FailedOver) => redis.hand_over(),
            _ => {}
        }
    }

    /// Makes the store work again, and returns when its server takes connections.
    pub(crate) fn end(&mut self, fault: Fault) {
        match (self, fault) {
            (Self::Sqlite(sqlite), Locked) => sqlite.release(),
            (Self::Sqlite(sqlite), Killed) => sqlite.kill_holder(),
            (Self::Sqlite(sqlite), DiskFull) => sqlite.disk.as_ref().unwrap().empty(),
            (Self::Postgres(postgres), Stopped | Killed) => postgres.server.start_again(),
            (Self::Postgres(postgres), DiskFull) => postgres.disk.as_ref().unwrap().empty(),
            (Self::MariaDb(mariadb), Stopped | Killed) => mariadb.server.start_again(),
            (Self::Redis(redis), Stopped | Killed) => redis.primary().start_again(),
            (Self::Redis(redis), DiskFull) => expect_ok(redis.primary(), "CONFIG SET maxmemory 0"),
            (Self::Redis(redis), FailedOver) => redis.forwarder.lead_to(redis.primary().port),
            _ => {}
        }
    }
}

/// A file on a disk that can be filled, or in the temporary directory.
pub(crate) struct Sqlite {
    holder: Option<Child>,
    disk: Option<SmallDisk>,
    directory: Directory,
}

impl Sqlite {
    fn start() -> Self {
        Self { holder: None, disk: SmallDisk::new(DISK), directory: Directory::new() }
    }

    pub(crate) fn file(&self) -> String {
        let directory = self.disk.as_ref().map_or_else(|| self.directory.path(), SmallDisk::path);
        directory.join("sessions.db").display().to_string()
    }

    /// Lets another process take the lock, and change a row.
    fn lock(&mut self) {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args([HOLD, &self.file()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "locked\n");
        self.holder = Some(holder);
    }

    fn release(&mut self) {
        let mut holder = self.holder.take().unwrap();
        drop(holder.stdin.take());
        assert!(holder.wait().unwrap().success());
    }

    fn kill_holder(&mut self) {
        let mut holder = self.holder.take().unwrap();
        holder.kill().unwrap();
        holder.wait().unwrap();
    }
}

/// The argument that makes this program the other process.
pub(crate) const HOLD: &str = "hold-the-lock-of";

/// Takes the lock of a file, changes all sessions without a commit, and waits for the end of its input.
pub(crate) async fn hold(file: &str) {
    let mut connection = SqliteConnection::connect(&format!("sqlite://{file}")).await.unwrap();
    let script = "PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE; UPDATE session_records SET data = 'half-done'";
    sqlx::raw_sql(script).execute(&mut connection).await.unwrap();
    println!("locked");
    stdin().lines().for_each(drop);
    sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();
}

/// A server that syncs every commit, whose tables are on a disk that can be filled.
pub(crate) struct OnPostgres {
    pub(crate) address: String,
    // The server ends before its disk does.
    server: Postgres,
    disk: Option<SmallDisk>,
}

impl OnPostgres {
    async fn start() -> Self {
        let (server, disk) = (Postgres::durable(), SmallDisk::new(DISK));
        let address = match &disk {
            Some(disk) => {
                let tables = disk.path().join("tables");
                std::fs::create_dir(&tables).unwrap();
                server.database_in(&tables).await
            }
            None => server.database().await,
        };
        Self { address, server, disk }
    }
}

/// A server that syncs every commit.
pub(crate) struct OnMariaDb {
    pub(crate) address: String,
    server: MariaDb,
}

impl OnMariaDb {
    async fn start() -> Self {
        let server = MariaDb::start_with(&["innodb-flush-log-at-trx-commit=1"]);
        Self { address: server.database().await, server }
    }

    fn place(&self) -> String {
        self.address.split(['@', '/']).nth(3).unwrap().to_owned()
    }
}

/// Two servers that sync every write. One is the primary, and the address leads to it.
pub(crate) struct OnRedis {
    servers: [Server; 2],
    primary: usize,
    forwarder: Forwarder,
}

impl OnRedis {
    async fn start() -> Self {
        let options = ["--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0"];
        let servers = [Server::start(&options), Server::start(&options)];
        expect_ok(&servers[1], &format!("REPLICAOF 127.0.0.1 {}", servers[0].port));
        let forwarder = Forwarder::to(servers[0].port).await;
        Self { servers, primary: 0, forwarder }
    }

    fn place(&self) -> String {
        format!("127.0.0.1:{}", self.forwarder.port)
    }

    pub(crate) const fn primary(&self) -> &Server {
        &self.servers[self.primary]
    }

    /// Makes the replica the primary. `FAILOVER` waits until the replica has every write. The address leads to the
    /// former primary until the fault ends.
    fn hand_over(&mut self) {
        let to = 1 - self.primary;
        let (old, new) = (&self.servers[self.primary], &self.servers[to]);
        wait_for(new, "master_link_status:up");
        expect_ok(old, &format!("FAILOVER TO 127.0.0.1 {} TIMEOUT 10000", new.port));
        wait_for(new, "role:master");
        self.primary = to;
    }
}

fn wait_for(server: &Server, line: &str) {
    let begun = Instant::now();
    while !server.ask_for_text("INFO replication").unwrap_or_default().contains(line) {
        assert!(begun.elapsed() < Duration::from_secs(20), "no `{line}` from Redis at port {}", server.port);
        thread::sleep(Duration::from_millis(20));
    }
}

fn expect_ok(server: &Server, command: &str) {
    assert_eq!(server.ask(command).as_deref(), Some("+OK"), "{command}");
}

/// The size of the disk, in megabytes.
const DISK: u32 = 512;
