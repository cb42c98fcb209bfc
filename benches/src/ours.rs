//! Ours with its stores: in this process, in a file, and on servers that it starts.

use std::{fs, path::PathBuf};

use guard::Variant;
use session_axum::{Keys, SessionLayer};
use session_core::store::{SessionStore, StoreError};
use session_stores::{MemoryStore, PostgresStore, RedisStore, SqliteStore};
use tokio::runtime::Handle;

use session_test_servers::{Directory, find, postgres::Postgres, redis};

pub fn in_memory() -> Variant {
    stored("session-axum, memory store", MemoryStore::new())
}

pub fn in_sqlite() -> Variant {
    // Kept for the program's life, with which it goes.
    let directory: &'static Directory = Box::leak(Box::new(Directory::new()));
    stored("session-axum, SQLite store", made(sqlite(directory)))
}

pub fn in_postgres() -> Variant {
    stored("session-axum, Postgres store", made(postgres()))
}

pub fn in_redis() -> Variant {
    stored("session-axum, Redis store", made(RedisStore::connect(&redis::SHARED.url())))
}

/// Whether the program is there: on the PATH, or where Debian keeps its versions of Postgres.
pub fn is_installed(program: &str) -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let elsewhere: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    find(program, &elsewhere).is_some()
}

/// A table in a file that nobody else has.
pub async fn sqlite(directory: &Directory) -> Result<SqliteStore, StoreError> {
    let store = SqliteStore::connect(&format!("sqlite://{}", directory.path().join("ours.db").display())).await?;
    store.migrate().await?;
    Ok(store)
}

async fn postgres() -> Result<PostgresStore, StoreError> {
    let store = PostgresStore::connect(&Postgres::shared().database().await).await?;
    store.migrate().await?;
    Ok(store)
}

fn stored(name: &'static str, store: impl SessionStore) -> Variant {
    guard::ours(name, SessionLayer::stored(store, Keys::generate()))
}

fn made<S>(store: impl Future<Output = Result<S, StoreError>>) -> S {
    Handle::current().block_on(store).unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
}
