//! A real `PgBouncer` before a Postgres.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use super::{
    Directory, Guarded, find, free_port,
    postgres::{Postgres, User},
};

/// A pooler in transaction mode. Two connections to the database serve all clients.
pub struct PgBouncer {
    port: u16,
    database: String,
    _running: Guarded,
    _directory: Directory,
}

impl PgBouncer {
    /// `address` is that of a database on the server.
    pub fn before(server: &Postgres, address: &str) -> Self {
        let (directory, port, user) = (Directory::new(), free_port(), User::unprivileged());
        let (settings, log) = (directory.path().join("pgbouncer.ini"), directory.path().join("log"));
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 200\n",
            server.port()
        );
        fs::write(&settings, text).expect("the settings can be written");
        let program = find("pgbouncer", &["/usr/sbin".into()]).expect(
            "there is no `pgbouncer` on the PATH or in /usr/sbin: ./tests/run installs it on Debian and Ubuntu (or by hand: \
             apt-get install pgbouncer)",
        );
        let mut command = user.map(|user| user.command()).unwrap_or_default();
        command.extend([program.display().to_string(), settings.display().to_string()]);
        let mut running = Guarded::start(&command, "INT", &log);
        let begun = Instant::now();
        while !fs::read_to_string(&log).unwrap_or_default().contains("process up") {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(!running.has_ended() && begun.elapsed() < PATIENCE, "pgbouncer does not start: {}", said());
            thread::sleep(Duration::from_millis(20));
        }
        let database = address.rsplit('/').next().unwrap_or_default().to_owned();
        Self { port, database, _running: running, _directory: directory }
    }

    pub fn address(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.port, self.database)
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
