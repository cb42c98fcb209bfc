//! Many who write to one file at once.

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use session_stores::SqliteStore;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use tower_sessions_sqlx_store::{SqliteStore as TowerSqlite, sqlx as theirs};

use super::{
    Failure,
    sides::{Ours, Side, TowerSessions},
};
use session_test_servers::Directory;

use crate::{ours, table::thousands};

/// Ours and tower-sessions' by turns, each on a file of its own; the best round counts.
pub async fn measure() -> Result<String, Failure> {
    let directory = Directory::new();
    let mut rounds = [Round::default(), Round::default()];
    let ours = ours::sqlite(&directory).await?;
    let tower = TowerSqlite::new(pool(&directory, "theirs.db").await?);
    tower.migrate().await?;
    for _ in 0..ROUNDS {
        rounds[0].add(&ours_for_a_while(&ours).await?);
        rounds[1].add(&theirs_for_a_while(&tower).await?);
    }
    Ok(table(&rounds))
}

/// What [`SqliteStore::connect`] has chosen, for the others.
pub async fn pool(directory: &Directory, file: &str) -> Result<theirs::SqlitePool, Failure> {
    let options = address(directory, file).parse::<theirs::sqlite::SqliteConnectOptions>()?;
    let options = options
        .create_if_missing(true)
        .journal_mode(theirs::sqlite::SqliteJournalMode::Wal)
        .synchronous(theirs::sqlite::SqliteSynchronous::Normal)
        .busy_timeout(PATIENCE);
    let pool = theirs::sqlite::SqlitePoolOptions::new().max_connections(5).acquire_timeout(PATIENCE);
    Ok(pool.connect_with(options).await?)
}

/// The same by hand.
pub fn options(directory: &Directory, file: &str) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(directory.path().join(file))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(PATIENCE)
}

pub fn address(directory: &Directory, file: &str) -> String {
    format!("sqlite://{}", directory.path().join(file).display())
}

async fn ours_for_a_while(store: &SqliteStore) -> Result<Round, Failure> {
    let mut sides: Vec<Box<dyn Side>> = Vec::new();
    for _ in 0..TASKS {
        sides.push(Box::new(Ours::new(store.clone()).await?));
    }
    for_a_while(sides).await
}

async fn theirs_for_a_while(store: &TowerSqlite) -> Result<Round, Failure> {
    let mut sides: Vec<Box<dyn Side>> = Vec::new();
    for _ in 0..TASKS {
        sides.push(Box::new(TowerSessions::new(store.clone()).await?));
    }
    for_a_while(sides).await
}

async fn for_a_while(sides: Vec<Box<dyn Side>>) -> Result<Round, Failure> {
    let barrier = Arc::new(tokio::sync::Barrier::new(sides.len()));
    let tasks: Vec<_> = sides.into_iter().map(|side| tokio::spawn(keep_writing(side, Arc::clone(&barrier)))).collect();
    let mut round = Round::default();
    for task in tasks {
        let task = task.await?;
        round.writes += task.writes;
        round.errors += task.errors;
        round.longest = round.longest.max(task.longest);
    }
    Ok(round)
}

async fn keep_writing(mut side: Box<dyn Side>, everybody: Arc<tokio::sync::Barrier>) -> Round {
    let mut round = Round::default();
    everybody.wait().await;
    let begun = Instant::now();
    while begun.elapsed() < A_WHILE {
        let start = Instant::now();
        match side.update().await {
            Ok(()) => round.writes += 1,
            Err(_) => round.errors += 1,
        }
        round.longest = round.longest.max(start.elapsed());
    }
    round
}

#[derive(Default)]
struct Round {
    writes: u64,
    errors: u64,
    longest: Duration,
}

impl Round {
    /// The most writes of one round, and the errors and the longest wait of all.
    fn add(&mut self, other: &Self) {
        self.writes = self.writes.max(other.writes);
        self.errors += other.errors;
        self.longest = self.longest.max(other.longest);
    }
}

fn table(rounds: &[Round; 2]) -> String {
    let mut text = format!(
        "| {TASKS} tasks that write to one SQLite file | writes a second | errors | longest wait, ms |\n\
         | --- | ---: | ---: | ---: |\n"
    );
    for (name, round) in ["ours", "tower-sessions"].into_iter().zip(rounds) {
        let rate = thousands(round.writes as f64 / A_WHILE.as_secs_f64());
        let _ = writeln!(text, "| {name} | {rate} | {} | {} |", round.errors, round.longest.as_millis());
    }
    text
}

const TASKS: usize = 64;
const ROUNDS: usize = 5;
const A_WHILE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(1);
