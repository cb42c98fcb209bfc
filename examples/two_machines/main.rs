//! Two instances of one application behind nginx, with their sessions in one Redis. `examples/two_machines/run` starts
//! all of it, and shows that a session moves between the machines and that a log-out holds on both.

use std::{env, error::Error as StdError};

use axum::{
    Router,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use session_axum::{Error, Keys, Session, SessionLayer, SessionResponseExt};
use session_examples::start;
use session_stores::RedisStore;

fn machine() -> String {
    env::var("MACHINE").unwrap_or_else(|_| "A".to_owned())
}

async fn home(session: Session) -> Result<String, Error> {
    let Some(user) = session.get::<String>("user")? else {
        return Ok(format!("Machine {}: not logged in.\n", machine()));
    };
    let visits = session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).await?;
    Ok(format!("Machine {}: hello {user}, visit {visits}.\n", machine()))
}

async fn log_in(session: Session) -> Result<Redirect, Error> {
    session.renew();
    session.insert("user", "ada")?;
    Ok(Redirect::to("/"))
}

async fn log_out() -> impl IntoResponse {
    Redirect::to("/").with_new_session()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn StdError>> {
    // Both machines have the same secret and the same Redis, and clocks that agree within a minute.
    let store = RedisStore::connect(&env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned())).await?;
    let keys = Keys::from_env("SESSION_SECRET")?;
    let layer = SessionLayer::stored(store, keys).insecure_over_http(); // here nginx has no certificate
    let app =
        Router::new().route("/", get(home)).route("/login", post(log_in)).route("/logout", post(log_out)).layer(layer);
    Ok(start::serve(&format!("Machine {} is at", machine()), "", app).await?)
}
