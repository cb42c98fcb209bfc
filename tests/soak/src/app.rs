//! The application.

use axum::{Router, extract::Path, routing::get};
use session_axum::{Error, Session, SessionLayer};

/// Every page says whose session it has seen: `user`, or nothing without one.
pub(crate) fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/log-in/{client}/{login}", get(log_in))
        .route("/read", get(read))
        .route("/insert/{key}/{value}", get(insert))
        .route("/count", get(count))
        .route("/renew", get(renew))
        .route("/log-out", get(log_out))
        .layer(layer)
}

async fn log_in(session: Session, Path((client, login)): Path<(u64, u64)>) -> Result<(), Error> {
    session.renew();
    session.insert("user", format!("{client}-{login}"))?;
    session.set_owner(owner(client))
}

pub(crate) fn owner(client: u64) -> String {
    format!("client {client}")
}

async fn read(session: Session) -> Result<String, Error> {
    let Some(mut text) = session.get::<String>("user")? else { return Ok(String::new()) };
    for key in session.keys().into_iter().filter(|key| key != "user") {
        text += &format!(" {key}={}", session.get::<u64>(&key)?.unwrap_or_default());
    }
    Ok(text)
}

async fn insert(session: Session, Path((key, value)): Path<(String, u64)>) -> Result<String, Error> {
    let Some(user) = session.get::<String>("user")? else { return Ok(String::new()) };
    session.insert(&key, value)?;
    Ok(user)
}

async fn count(session: Session) -> Result<String, Error> {
    let Some(user) = session.get::<String>("user")? else { return Ok(String::new()) };
    let count = session.update("count", |count: Option<u64>| count.unwrap_or(0) + 1).await?;
    Ok(format!("{user} count={count}"))
}

async fn renew(session: Session) -> Result<String, Error> {
    let Some(user) = session.get::<String>("user")? else { return Ok(String::new()) };
    session.renew();
    Ok(user)
}

async fn log_out(session: Session) -> String {
    format!("{:?}", session.destroy())
}
