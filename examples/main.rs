//! Starts the settings example from `settings.rs`: `cargo run`, then open <http://127.0.0.1:3000>.
//!
//! `PORT` chooses another port, `SESSION_SECRET` keeps log-ins after a restart, `RUST_LOG` chooses what is logged.

use std::{
    env,
    error::Error,
    io::{self, IsTerminal},
    process::ExitCode,
};

use session_axum::{Keys, SessionLayer};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let for_a_person = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(for_a_person).init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let keys = keys()?;
    let listener = listen().await?;
    println!("The settings example is at http://{}", listener.local_addr()?);
    // A laptop has no certificate, and not every browser accepts Secure cookies from http://127.0.0.1. In production
    // remove `insecure_over_http`: browsers then send the cookies over HTTPS only.
    let layer = SessionLayer::signed(keys).insecure_over_http();
    Ok(axum::serve(listener, session_examples::app(layer)).with_graceful_shutdown(interrupted()).await?)
}

fn keys() -> Result<Keys, Box<dyn Error>> {
    if ["SESSION_SECRET", "SESSION_SECRET_FILE"].into_iter().any(|name| env::var_os(name).is_some()) {
        return Ok(Keys::from_env("SESSION_SECRET")?);
    }
    tracing::warn!(
        "SESSION_SECRET is not set, so this run uses a random key: log-ins end with the process. To keep them: \
         export SESSION_SECRET=$(openssl rand -base64 48)"
    );
    Ok(Keys::generate())
}

async fn listen() -> Result<TcpListener, Box<dyn Error>> {
    let port = env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let port: u16 = port.parse().map_err(|_| format!("PORT is {port:?}, and must be a number from 0 to 65535"))?;
    TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("port {port} is in use: stop the program that uses it, or choose another port: PORT=3001 cargo run")
                .into()
        }
        _ => format!("cannot listen on port {port}: {error}").into(),
    })
}

/// Resolves at Ctrl-C.
async fn interrupted() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "cannot listen for Ctrl-C: it will end the program at once, in the middle of requests");
        std::future::pending::<()>().await;
    }
}
