//! How an example starts: on port 3000 or the port in `PORT`, until Ctrl-C. If it cannot start, it says why.

use std::{
    env,
    error::Error,
    fmt,
    io::{self, IsTerminal},
};

use axum::Router;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

/// Serves an example on the machine itself. Prints `greeting` and the address of the page at `path`.
///
/// # Errors
///
/// Returns a [`Sentence`] if the port is taken, or is no port.
pub async fn serve(greeting: &str, path: &str, app: Router) -> Result<(), Sentence> {
    log("warn");
    let listener = listen(&command()).await?;
    let address = listener.local_addr().map_err(|error| Sentence(error.to_string()))?;
    println!("{greeting} http://{address}{path}");
    let served = axum::serve(listener, app).with_graceful_shutdown(interrupted()).await;
    served.map_err(|error| Sentence(error.to_string()))
}

/// Shows the log on stderr: what `RUST_LOG` names, else events of this level and above.
pub fn log(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let for_a_person = io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(for_a_person);
    // An application that shows its log already keeps it.
    let _ = log.try_init();
}

/// Listens on the port in `PORT`, or on port 3000. `command` starts the example, for the error's remedy.
///
/// # Errors
///
/// Returns a [`Sentence`] if the port is taken, or is no port.
pub async fn listen(command: &str) -> Result<TcpListener, Sentence> {
    listen_on(port()?, command).await
}

/// Does the same on this port. The remedy for a port that is taken is another one for `PORT`.
///
/// # Errors
///
/// Returns a [`Sentence`] if the port is taken.
pub async fn listen_on(port: u16, command: &str) -> Result<TcpListener, Sentence> {
    TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| {
        Sentence(match error.kind() {
            io::ErrorKind::AddrInUse => format!(
                "port {port} is in use: stop the program that uses it, or choose another port: PORT={} {command}",
                // Ten further on, since an example may take the next ones too.
                if port < 65_500 { port + 10 } else { port - 100 }
            ),
            _ => format!("cannot listen on port {port}: {error}"),
        })
    })
}

/// Returns the port in `PORT`, or 3000.
///
/// # Errors
///
/// Returns a [`Sentence`] if `PORT` is no port.
pub fn port() -> Result<u16, Sentence> {
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    port.parse().map_err(|_| Sentence(format!("PORT is {port:?}, and must be a number from 0 to 65535")))
}

/// Returns the next port.
///
/// # Errors
///
/// Returns a [`Sentence`] if `PORT` has no next port that an example can take.
pub fn port_after(port: u16) -> Result<u16, Sentence> {
    let next = port.checked_add(1).filter(|next| *next > 1);
    next.ok_or_else(|| {
        Sentence(format!("PORT is {port}, and must be a number from 1 to 65534: this takes the next one too"))
    })
}

/// Returns the command that starts this example.
pub fn command() -> String {
    let name = env::current_exe().ok().and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    let Some(name) = name else { return "cargo run".to_owned() };
    let features = match name.as_str() {
        "settings" => return "cargo run".to_owned(),
        "devices" | "users" | "two_machines" => "--features databases ",
        "observed" => "--features metrics ",
        _ => "",
    };
    format!("cargo run {features}--example {name}")
}

/// Resolves at Ctrl-C.
pub async fn interrupted() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "cannot listen for Ctrl-C: it will end the program at once, in the middle of requests");
        std::future::pending::<()>().await;
    }
}

/// Why an example does not start. `Debug` prints the sentence too, because a `main` that returns an error prints that.
pub struct Sentence(String);

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Sentence {}
