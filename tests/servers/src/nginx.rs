//! A real nginx as a proxy.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use super::{Directory, Guarded, find, free_port};

/// A proxy on a port of its own.
pub struct Nginx {
    pub port: u16,
    _running: Guarded,
    directory: Directory,
}

impl Nginx {
    /// Starts a proxy before the server on this port, with an empty cache. It stores every page that RFC 9111 lets it
    /// store, pages with a `Set-Cookie` as well, which nginx does not do by itself. It honours `Vary`, `Cache-Control`
    /// and `Expires`.
    pub fn before(server: u16) -> Self {
        Self::with_server(&CACHING.replace("$SERVER", &server.to_string()))
    }

    /// Starts a proxy with this `server` block, in which `$PORT` is the port of the proxy.
    pub fn with_server(block: &str) -> Self {
        let (directory, port) = (Directory::new(), free_port());
        let place = directory.path().display().to_string();
        let config = CONFIG.replace("$BLOCK", block).replace("$PLACE", &place).replace("$PORT", &port.to_string());
        let path = directory.path().join("nginx.conf");
        fs::write(&path, config).expect("the configuration can be written");
        let program = installed().display().to_string();
        let command = [program, "-c".to_owned(), path.display().to_string(), "-e".to_owned(), "stderr".to_owned()];
        let log = directory.path().join("log");
        let mut running = Guarded::start(&command, "TERM", &log);
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(!running.has_ended() && begun.elapsed() < PATIENCE, "nginx does not start: {}", said());
            thread::sleep(Duration::from_millis(20));
        }
        Self { port, _running: running, directory }
    }

    /// What nginx has written to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

fn installed() -> PathBuf {
    find("nginx", &[PathBuf::from("/usr/sbin")]).unwrap_or_else(|| {
        panic!(
            "there is no `nginx` on the PATH or in /usr/sbin: ./tests/run installs it on Debian and Ubuntu (or by hand: \
             apt-get install nginx)"
        )
    })
}

/// `user` is for tests that run as root.
const CONFIG: &str = "
daemon off;
user root;
worker_processes 1;
pid $PLACE/pid;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $PLACE/body;
    fastcgi_temp_path $PLACE/fastcgi;
    uwsgi_temp_path $PLACE/uwsgi;
    scgi_temp_path $PLACE/scgi;
    proxy_temp_path $PLACE/proxy;
    proxy_cache_path $PLACE/cache keys_zone=pages:4m;
    $BLOCK
}
";

/// `proxy_cache_valid` is for pages without a header about caching.
const CACHING: &str = "
    server {
        listen 127.0.0.1:$PORT;
        location / {
            proxy_pass http://127.0.0.1:$SERVER;
            proxy_cache pages;
            proxy_cache_valid any 10m;
            proxy_ignore_headers Set-Cookie;
            add_header X-Cache $upstream_cache_status always;
        }
    }
";

const PATIENCE: Duration = Duration::from_secs(20);
