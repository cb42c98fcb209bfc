//! A real Postgres.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{Directory, Guarded, certificates::Certificates, find, free_port, id, is_root};

/// A server on a port of its own, with nothing in it.
pub struct Postgres {
    running: Option<Guarded>,
    directory: Directory,
    user: Option<User>,
    port: u16,
    /// Settings of this server alone.
    settings: Vec<String>,
}

/// Whom a server runs as when the tests run as root.
pub(super) struct User {
    uid: u32,
    gid: u32,
}

impl Postgres {
    /// The one that all tests share.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Postgres> = LazyLock::new(Postgres::start);
        &SHARED
    }

    /// One that a test may stop.
    pub fn start() -> Self {
        let mut server = Self::made();
        server.start_again();
        server
    }

    /// One that keeps what it has confirmed when it is killed.
    pub fn durable() -> Self {
        let mut server = Self::made();
        server.settings.extend(["fsync=on", "full_page_writes=on", "synchronous_commit=on"].map(str::to_owned));
        server.start_again();
        server
    }

    /// One that takes encrypted connections only.
    pub fn with_tls(certificates: &Certificates) -> Self {
        let mut server = Self::made();
        let place = server.directory.path().to_owned();
        for (from, name) in [(certificates.server(), "server.pem"), (certificates.key(), "server.key")] {
            let copy = place.join(name);
            fs::copy(from, &copy).expect("the certificate can be copied");
            fs::set_permissions(&copy, Permissions::from_mode(0o600)).expect("it is ours");
            server.own(&copy);
            let setting = if name.ends_with("key") { "ssl_key_file" } else { "ssl_cert_file" };
            server.settings.push(format!("{setting}={}", copy.display()));
        }
        server.settings.push("ssl=on".to_owned());
        let who = place.join("data/pg_hba.conf");
        fs::write(who, "hostssl all all 127.0.0.1/32 trust\n").expect("the data are there");
        server.start_again();
        server
    }

    /// One that does not run yet.
    fn made() -> Self {
        let server = Self {
            directory: Directory::new(),
            user: User::unprivileged(),
            port: free_port(),
            settings: Vec::new(),
            running: None,
        };
        server.own(server.directory.path());
        server.make_cluster();
        server
    }

    pub fn stop(&mut self) {
        self.running = None;
    }

    /// As if the machine's memory ran out: the server writes nothing more.
    pub fn kill(&mut self) {
        self.running.take().expect("it runs").kill();
    }

    pub fn start_again(&mut self) {
        let begun = Instant::now();
        while !self.try_start() {
            assert!(begun.elapsed() < PATIENCE, "the processes of the killed postgres do not end");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Returns whether the server runs. It does not start while processes of a killed one have its memory.
    fn try_start(&mut self) -> bool {
        let log = self.directory.path().join("log");
        let mut command = self.command("postgres");
        command.extend([format!("--port={}", self.port), format!("-D{}", self.data())]);
        let settings = SETTINGS.iter().copied().chain(self.settings.iter().map(String::as_str));
        command.extend(settings.map(|setting| format!("-c{setting}")));
        let mut running = Guarded::start(&command, "INT", &log);
        let begun = Instant::now();
        while !fs::read_to_string(&log).unwrap_or_default().contains("ready to accept connections") {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            if said().contains("pre-existing shared memory block") {
                return false;
            }
            assert!(!running.has_ended() && begun.elapsed() < PATIENCE, "postgres does not start: {}", said());
            thread::sleep(Duration::from_millis(20));
        }
        self.running = Some(running);
        true
    }

    /// Makes a database that no other test has, and gives its address.
    pub async fn database(&self) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.run(&format!("CREATE DATABASE {name}")).await;
        self.address(&name)
    }

    /// Makes a database whose tables are in this empty directory, and gives its address.
    pub async fn database_in(&self, directory: &Path) -> String {
        self.own(directory);
        self.run(&format!("CREATE TABLESPACE elsewhere LOCATION '{}'", directory.display())).await;
        self.run("CREATE DATABASE elsewhere TABLESPACE elsewhere").await;
        self.address("elsewhere")
    }

    async fn run(&self, statement: &str) {
        let mut connection = PgConnection::connect(&self.address("postgres")).await.expect("the server is there");
        let statement = AssertSqlSafe(statement.to_owned());
        sqlx::raw_sql(statement).execute(&mut connection).await.expect("the server does so");
        connection.close().await.expect("the connection ends");
    }

    pub fn address(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }

    fn make_cluster(&self) {
        let mut command = self.command("initdb");
        command.extend([format!("-D{}", self.data())]);
        command.extend(["-Upostgres", "-Atrust", "-EUTF8", "--locale=C", "--no-sync"].map(str::to_owned));
        let output = Command::new(&command[0]).args(&command[1..]).output().expect("initdb starts");
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn command(&self, program: &str) -> Vec<String> {
        let program = installed(program).display().to_string();
        let mut command = self.user.as_ref().map(User::command).unwrap_or_default();
        command.push(program);
        command
    }

    fn own(&self, path: &Path) {
        if let Some(user) = &self.user {
            chown(path, Some(user.uid), Some(user.gid)).expect("root may give a directory away");
        }
    }
}

impl User {
    /// What stands before a command, so that it runs as this user.
    pub(super) fn command(&self) -> Vec<String> {
        let Self { uid, gid } = self;
        ["setpriv", &format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"].map(str::to_owned).into()
    }

    /// `None` when the tests themselves are not root.
    pub(super) fn unprivileged() -> Option<Self> {
        if !is_root() {
            return None;
        }
        let number = |option: &str, name: &str| id(&[option, name])?.parse().ok();
        let user = |name: &str| Some(Self { uid: number("-u", name)?, gid: number("-g", name)? });
        let user = ["postgres", "nobody"].into_iter().find_map(user);
        Some(user.expect("postgres does not run as root, and there is neither a user `postgres` nor `nobody`"))
    }
}

fn installed(program: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut elsewhere: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    elsewhere.sort_unstable();
    find(program, &elsewhere).unwrap_or_else(|| {
        panic!(
            "there is no `{program}` on the PATH or under /usr/lib/postgresql: ./tests/run installs it on Debian and \
             Ubuntu (or by hand: apt-get install postgresql); elsewhere install Postgres 14 or later"
        )
    })
}

/// A crash of the machine may spoil it: no test needs more.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "max_connections=400",
    "logging_collector=off",
    "lc_messages=C",
];

const PATIENCE: Duration = Duration::from_secs(60);
