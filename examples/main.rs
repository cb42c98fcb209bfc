//! Starts the settings example from `settings.rs`: `cargo run`, then open <http://127.0.0.1:3000>.
//!
//! `PORT` chooses another port, `SESSION_SECRET` keeps log-ins after a restart, `RUST_LOG` chooses what is logged.

use std::{env, error::Error, process::ExitCode};

use session_axum::{Keys, SessionLayer};
use session_examples::start;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    start::log("info");
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
    let listener = start::listen("cargo run").await?;
    println!("The settings example is at http://{}", listener.local_addr()?);
    // A laptop has no certificate, and not every browser accepts Secure cookies from http://127.0.0.1. In production
    // remove `insecure_over_http`: browsers then send the cookies over HTTPS only.
    let layer = SessionLayer::signed(keys).insecure_over_http();
    let app = session_examples::app(layer);
    Ok(axum::serve(listener, app).with_graceful_shutdown(start::interrupted()).await?)
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
