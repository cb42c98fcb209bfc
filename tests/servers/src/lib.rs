//! Servers that the tests start for themselves, and that end with the tests, whatever way these end.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a server that a test does not get fails the test")]
#![expect(missing_docs, missing_debug_implementations, clippy::new_without_default, reason = "for tests alone")]

pub mod certificates;
pub mod mariadb;
pub mod nginx;
pub mod pgbouncer;
pub mod postgres;
pub mod redis;

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
};

/// A directory that goes with this value, or with the test's process.
pub struct Directory {
    path: PathBuf,
    remover: Child,
}

impl Directory {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("session-tests-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a directory for the test can be made");
        let remover = Command::new("sh").args(["-c", REMOVER, "remover"]).arg(&path).stdin(Stdio::piped()).spawn();
        Self { path, remover: remover.expect("there is a shell") }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(self.remover.stdin.take());
        let _ = self.remover.wait();
    }
}

/// A server's process. It runs under a shell that waits for the end of its input: that comes when this value goes, and
/// also when the test's process is killed, which no destructor would see.
pub struct Guarded(Child);

impl Guarded {
    /// Starts `command`. It is stopped with `signal`.
    pub fn start(command: &[String], signal: &str, log: &Path) -> Self {
        let log = fs::File::create(log).expect("the server's log can be made");
        let child = Command::new("sh")
            .args(["-c", GUARD, "guard", signal])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("the log opens twice"))
            .stderr(log)
            .spawn();
        Self(child.expect("there is a shell"))
    }

    pub fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Whether the tests run as root, as which many servers refuse to.
pub fn is_root() -> bool {
    id(&["-u"]).as_deref() == Some("0")
}

/// What `id` says.
pub fn id(arguments: &[&str]) -> Option<String> {
    let output = Command::new("id").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Where the program is: on the PATH, or in one of these directories.
pub fn find(program: &str, elsewhere: &[PathBuf]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).chain(elsewhere.iter().cloned()).map(|place| place.join(program));
    places.find(|place| place.is_file())
}

/// A port of this machine on which nobody listens.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it has an address").port()
}

/// It ends when its server ends, and ends its server when the input does.
const GUARD: &str = r#"
signal=$1
shift
"$@" &
server=$!
cat >/dev/null
kill -s "$signal" "$server" 2>/dev/null
wait "$server"
"#;

/// A server that ends at the same time may still write.
const REMOVER: &str = r#"
cat >/dev/null
rm -rf "$1" 2>/dev/null || { sleep 3; rm -rf "$1"; }
"#;
