//! Redis servers, alone and in a cluster: on loopback, in memory, and gone when the tests are.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{self, Child, Command, Stdio},
    sync::{LazyLock, Mutex},
    thread,
    time::{Duration, Instant},
};

/// The server that the tests share, each with a key prefix of its own.
pub static SHARED: LazyLock<Server> = LazyLock::new(|| Server::start(&[]));

/// A server. Its memory is lost when it stops.
#[derive(Debug)]
pub struct Server {
    pub port: u16,
    directory: PathBuf,
    arguments: Vec<String>,
    process: Mutex<Option<Child>>,
}

impl Server {
    pub fn start(options: &[&str]) -> Self {
        Self::start_with(|port, directory| {
            let port = port.to_string();
            let mut arguments: Vec<_> =
                ["--port", &port, "--bind", "127.0.0.1", "--save", ""].map(str::to_owned).into();
            arguments.extend(["--dir".to_owned(), directory.display().to_string()]);
            arguments.extend(options.iter().copied().map(str::to_owned));
            arguments
        })
    }

    /// A sentinel that watches a primary, which it knows by the name `mymaster`. It says who is the primary now, and
    /// chooses another one within about two seconds.
    pub fn sentinel(primary: &Self, password: &str) -> Self {
        let watched = primary.port;
        Self::start_with(|port, directory| {
            let file = directory.join("sentinel.conf");
            let mut settings = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor mymaster 127.0.0.1 {watched} 1\n\
                 sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 2000\n",
                directory.display()
            );
            if !password.is_empty() {
                settings += &format!("sentinel auth-pass mymaster {password}\n");
            }
            fs::write(&file, settings).expect("the temporary directory can be written to");
            vec![file.display().to_string(), "--sentinel".to_owned()]
        })
    }

    fn start_with(arguments: impl Fn(u16, &Path) -> Vec<String>) -> Self {
        super::expect_servers();
        assert!(is_installed(), "these tests need redis-server: on Debian, `apt-get install redis-server`");
        // Somebody else may take the port before Redis does.
        (0..5).find_map(|_| Self::try_start(free_port(), &arguments)).expect("redis-server starts")
    }

    fn try_start(port: u16, arguments: impl Fn(u16, &Path) -> Vec<String>) -> Option<Self> {
        let directory = env::temp_dir().join(format!("session-tests-redis-{}-{port}", process::id()));
        fs::create_dir_all(&directory).expect("the temporary directory can be written to");
        let arguments = arguments(port, &directory);
        let server = Self { port, directory, arguments, process: Mutex::new(None) };
        server.spawn();
        server.answers().then_some(server)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// As if the machine lost its power.
    pub fn stop(&self) {
        self.tell("keep");
    }

    /// As an operator does it.
    pub fn shut_down(&self) {
        self.tell("end");
    }

    fn tell(&self, word: &str) {
        let mut process = self.process.lock().unwrap().take().expect("it runs");
        writeln!(process.stdin.as_mut().unwrap(), "{word}").unwrap();
        process.wait().unwrap();
    }

    /// On the same port.
    pub fn start_again(&self) {
        self.spawn();
        assert!(self.answers(), "redis-server does not come back on port {}", self.port);
    }

    /// The first line of what the server answers to `command`.
    pub fn ask(&self, command: &str) -> Option<String> {
        let mut stream = self.open(command)?;
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    }

    /// A text that the server answers with to `command`.
    pub fn ask_for_text(&self, command: &str) -> Option<String> {
        let mut lines = self.open(command)?.lines();
        let length: usize = lines.next()?.ok()?.strip_prefix('$')?.parse().ok()?;
        let mut text = String::new();
        while text.len() < length {
            text += &lines.next()?.ok()?;
            text += "\r\n";
        }
        Some(text)
    }

    fn open(&self, command: &str) -> Option<BufReader<TcpStream>> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
        Some(BufReader::new(stream))
    }

    fn spawn(&self) {
        let process = Command::new("sh")
            .args(["-c", GUARD, "sh"])
            .args(&self.arguments)
            .env("DIRECTORY", &self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        *self.process.lock().unwrap() = Some(process);
    }

    fn answers(&self) -> bool {
        wait_until(|| {
            let ended = self.process.lock().unwrap().as_mut().unwrap().try_wait().unwrap().is_some();
            ended || self.ask("PING").is_some_and(|answer| answer == "+PONG" || answer.starts_with("-NOAUTH"))
        });
        self.process.lock().unwrap().as_mut().unwrap().try_wait().unwrap().is_none()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Unless it was stopped before, its guard does so, too.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The cluster that the tests share, each with a key prefix of its own.
pub static SHARED_CLUSTER: LazyLock<Cluster> = LazyLock::new(Cluster::start);

/// Three servers, each with a third of the slots and no replica.
#[derive(Debug)]
pub struct Cluster {
    pub nodes: Vec<Server>,
}

impl Cluster {
    pub fn start() -> Self {
        let ports = [free_port(), free_port(), free_port()];
        let nodes: Vec<_> = ports.iter().map(|bus| Self::node(*bus)).collect();
        for (number, (node, slots)) in nodes.iter().zip(["0 5460", "5461 10922", "10923 16383"]).enumerate() {
            expect_ok(node, &format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1));
            expect_ok(node, &format!("CLUSTER ADDSLOTSRANGE {slots}"));
        }
        for (node, bus) in nodes.iter().zip(ports).skip(1) {
            expect_ok(&nodes[0], &format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port));
        }
        let cluster = Self { nodes };
        wait_until(|| cluster.nodes.iter().all(knows_all_slots));
        cluster
    }

    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Server::url).collect()
    }

    /// The place in `nodes` of the one that has `key`.
    pub fn node_of(&self, key: &str) -> usize {
        let answer = self.nodes[0].ask(&format!("CLUSTER KEYSLOT {key}")).unwrap();
        let slot: usize = answer.trim_start_matches(':').parse().unwrap();
        [5_460, 10_922, 16_383].iter().position(|last| slot <= *last).unwrap()
    }

    fn node(bus: u16) -> Server {
        let bus = bus.to_string();
        let mut options = vec!["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "1000"];
        options.extend(["--cluster-require-full-coverage", "no"]);
        Server::start(&options)
    }
}

fn expect_ok(node: &Server, command: &str) {
    assert_eq!(node.ask(command).as_deref(), Some("+OK"), "{command}");
}

fn knows_all_slots(node: &Server) -> bool {
    let info = node.ask_for_text("CLUSTER INFO").unwrap_or_default();
    ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:3"].iter().all(|line| info.contains(line))
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "redis-server does not become ready");
        thread::sleep(Duration::from_millis(10));
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn is_installed() -> bool {
    Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// Stops the server when the pipe from the tests ends, which it does however they end, and cleans up unless it is told
/// to keep what is there. At the word `end` the server may finish its work.
const GUARD: &str = r#"
exec 3<&0
rm -f "$DIRECTORY/keep"
redis-server "$@" &
server=$!
{
    read -r word <&3
    [ -z "$word" ] || : >"$DIRECTORY/keep"
    [ "$word" = end ] || kill -KILL $server
    kill -TERM $server
} &
wait $server
[ -e "$DIRECTORY/keep" ] || rm -rf "$DIRECTORY"
"#;
