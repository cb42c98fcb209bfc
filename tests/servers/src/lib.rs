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
    io::Write as _,
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

/// A small disk of its own, in memory: a test can fill it. Only root may make one.
pub struct SmallDisk {
    directory: Directory,
    unmounter: Child,
}

impl SmallDisk {
    /// Returns a disk of this size, or `None` if this process may not mount one.
    pub fn new(megabytes: u32) -> Option<Self> {
        let directory = Directory::new();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(directory.path());
        if !mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return None;
        }
        let mut unmounter = Command::new("sh");
        unmounter.args(["-c", UNMOUNTER, "unmounter"]).arg(directory.path());
        let unmounter = unmounter.stdin(Stdio::piped()).spawn().expect("there is a shell");
        Some(Self { directory, unmounter })
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes until no byte is left.
    pub fn fill(&self) {
        let mut filler = fs::File::create(self.filler()).expect("the disk can be written to");
        for length in [1 << 20, 1 << 12, 1] {
            while filler.write_all(&vec![0; length]).is_ok() {}
        }
    }

    /// Gives the space back.
    pub fn empty(&self) {
        fs::remove_file(self.filler()).expect("the disk was filled");
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.unmounter.stdin.take());
        let _ = self.unmounter.wait();
    }
}

/// A server's process. It runs under a shell that waits for the end of its input: that comes when this value goes, and
/// also when the test's process is killed, which no destructor would see.
pub struct Guarded(Child);

impl Guarded {
    /// Starts `command`. It is stopped with `signal`.
    pub fn start(command: &[String], signal: &str, log: &Path) -> Self {
        expect_servers();
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

    /// Kills the server: it has no time to write anything.
    pub fn kill(mut self) {
        let stdin = self.0.stdin.as_mut().expect("it is piped");
        stdin.write_all(b"KILL\n").expect("the guard is there");
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

/// Fails in `./tests/run quick`, which leaves out the tests that start servers or browsers.
pub fn expect_servers() {
    let is_quick = env::var_os("SESSION_TESTS_WITHOUT_SERVERS").is_some();
    assert!(!is_quick, "this test starts a server: name it in `with_servers` of tests/steps.sh");
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

/// It ends when its server ends, and ends its server when the input does, or with another signal when the input names
/// one.
const GUARD: &str = r#"
signal=$1
shift
"$@" &
server=$!
read -r other && signal=$other
kill -s "$signal" "$server" 2>/dev/null
wait "$server"
"#;

/// What still has a file open there keeps it until it ends.
const UNMOUNTER: &str = r#"
cat >/dev/null
umount -l "$1"
"#;

/// A server that ends at the same time may still write.
const REMOVER: &str = r#"
cat >/dev/null
rm -rf "$1" 2>/dev/null || { sleep 3; rm -rf "$1"; }
"#;
