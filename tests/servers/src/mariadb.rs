//! A real MariaDB.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection};

use super::{Directory, Guarded, certificates::Certificates, find, free_port, id, is_root};

/// A server on a port of its own, with nothing in it.
pub struct MariaDb {
    running: Option<Guarded>,
    directory: Directory,
    port: u16,
    settings: Vec<String>,
}

impl MariaDb {
    /// The one that all tests share.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<MariaDb> = LazyLock::new(MariaDb::start);
        &SHARED
    }

    /// One that a test may stop.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// One with settings of its own.
    pub fn start_with(settings: &[&str]) -> Self {
        let settings = settings.iter().copied().map(str::to_owned).collect();
        let mut server = Self { directory: Directory::new(), port: free_port(), running: None, settings };
        server.make_tables();
        server.start_again();
        server
    }

    /// One that takes encrypted connections only.
    pub fn with_tls(certificates: &Certificates) -> Self {
        let (certificate, key) = (certificates.server(), certificates.key());
        Self::start_with(&[
            "require-secure-transport=ON",
            &format!("ssl-cert={}", certificate.display()),
            &format!("ssl-key={}", key.display()),
        ])
    }

    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Ends the server as a crash does.
    pub fn kill(&mut self) {
        let pid = fs::read_to_string(self.path("pid")).expect("the server runs");
        let killed = Command::new("kill").args(["-KILL", pid.trim()]).status().expect("there is `kill`");
        assert!(killed.success());
        self.running = None;
    }

    pub fn start_again(&mut self) {
        let log = self.path("log");
        let mut command = vec![installed("mariadbd").display().to_string()];
        command.extend(self.options());
        let settings = SETTINGS.iter().copied().chain(self.settings.iter().map(String::as_str));
        command.extend(settings.map(|setting| format!("--{setting}")));
        command.extend([
            "--bind-address=127.0.0.1".to_owned(),
            format!("--port={}", self.port),
            format!("--socket={}", self.path("socket").display()),
            format!("--pid-file={}", self.path("pid").display()),
        ]);
        let mut running = Guarded::start(&command, "TERM", &log);
        let begun = Instant::now();
        while !fs::read_to_string(&log).unwrap_or_default().contains("ready for connections") {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let has_ended = running.has_ended() || said.contains("Aborting");
            assert!(!has_ended && begun.elapsed() < PATIENCE, "mariadbd does not start: {said}");
            thread::sleep(Duration::from_millis(20));
        }
        self.running = Some(running);
    }

    /// Makes a database that no other test has, and gives its address.
    pub async fn database(&self) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut connection = MySqlConnection::connect(&self.address("mysql")).await.expect("the server is there");
        let statement = format!("CREATE DATABASE {name}");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.expect("the database is made");
        connection.close().await.expect("the connection ends");
        self.address(&name)
    }

    pub fn address(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The options that both programs take. The machine's own configuration is not read.
    fn options(&self) -> Vec<String> {
        let mut options = vec!["--no-defaults".to_owned(), format!("--datadir={}", self.path("data").display())];
        if let Some(user) = is_root().then(|| id(&["-un"])).flatten() {
            options.push(format!("--user={user}"));
        }
        options
    }

    fn make_tables(&self) {
        let output = Command::new(installed("mariadb-install-db"))
            .args(self.options())
            .args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"])
            .arg("--innodb-log-file-size=16M")
            .output()
            .expect("mariadb-install-db starts");
        let said = || String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "mariadb-install-db: {}", said());
    }
}

fn installed(program: &str) -> PathBuf {
    let elsewhere = ["/usr/sbin", "/usr/bin", "/usr/libexec"].map(|place| Path::new(place).to_owned());
    find(program, &elsewhere).unwrap_or_else(|| {
        panic!(
            "there is no `{program}` on the PATH or in /usr/sbin: ./tests/run installs it on Debian and Ubuntu (or by \
             hand: apt-get install mariadb-server-core mariadb-client-core); elsewhere install MariaDB 10.6 or later"
        )
    })
}

/// A crash of the machine may spoil it, and a crash of the server may not.
const SETTINGS: &[&str] =
    &["innodb-flush-log-at-trx-commit=2", "max-connections=400", "skip-name-resolve", "skip-log-bin"];

const PATIENCE: Duration = Duration::from_secs(60);
