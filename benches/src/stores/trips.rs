//! Operations one after the other over one connection each, to the same server: ours, the same asked by hand, and
//! tower-sessions'. All run once a round in random order.

use std::{fmt::Write as _, time::Instant};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use session_stores::{PostgresStore, RedisStore, SqliteStore};
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tower_sessions_redis_store::{RedisStore as TowerRedis, fred};
use tower_sessions_sqlx_store::{PostgresStore as TowerPostgres, SqliteStore as TowerSqlite};

use super::{
    Failure,
    bare::{BarePostgres, BareRedis, BareSqlite},
    sides::{Ours, Side, TowerSessions},
    writers,
};
use session_test_servers::{Directory, postgres::Postgres, redis as server};

use crate::{ours, rounds::Random};

/// A row a database and operation.
pub async fn measure() -> Result<String, Failure> {
    let directory = Directory::new();
    let mut text = String::from(
        "| µs over one connection | ours | by hand | tower-sessions | ours / by hand | ours / tower-sessions |\n\
         | --- | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (name, mut sides) in [
        ("SQLite", sqlite(&directory).await?),
        ("Postgres", postgres(&Postgres::shared().database().await).await?),
        ("Redis", redis(&server::SHARED.url()).await?),
    ] {
        let rounds = run(&mut sides).await?;
        for (operation, rounds) in ["load", "update"].into_iter().zip(rounds) {
            let _ = writeln!(text, "| {name}, {operation} | {} |", cells(&rounds).join(" | "));
        }
    }
    Ok(text)
}

type Sides = [Box<dyn Side>; 3];
/// Microseconds of each side.
type Round = [f64; 3];

async fn sqlite(directory: &Directory) -> Result<Sides, Failure> {
    let options = writers::options(directory, "ours.db");
    let ours = Ours::new(ours::sqlite(directory).await?).await?;
    let bare = Ours::new(SqliteStore::connect(&writers::address(directory, "ours.db")).await?).await?.key();
    let bare = BareSqlite::new(SqliteConnection::connect_with(&options).await?, bare);
    let tower = TowerSqlite::new(writers::pool(directory, "theirs.db").await?);
    tower.migrate().await?;
    Ok([Box::new(ours), Box::new(bare), Box::new(TowerSessions::new(tower).await?)])
}

async fn postgres(url: &str) -> Result<Sides, Failure> {
    let store = PostgresStore::connect(url).await?;
    store.migrate().await?;
    let bare = BarePostgres::new(PgConnection::connect(url).await?, Ours::new(store.clone()).await?.key());
    let tower = TowerPostgres::new(tower_sessions_sqlx_store::sqlx::PgPool::connect(url).await?);
    tower.migrate().await?;
    Ok([Box::new(Ours::new(store).await?), Box::new(bare), Box::new(TowerSessions::new(tower).await?)])
}

async fn redis(url: &str) -> Result<Sides, Failure> {
    let connection = connection(url).await?;
    let store = RedisStore::from_connection(connection.clone());
    let key = Ours::new(store.clone()).await?.key();
    let mut ours = Ours::new(store).await?;
    // Redis knows the script by its hash afterwards.
    ours.update().await?;
    let tower = TowerSessions::new(TowerRedis::new(fred(url).await?)).await?;
    Ok([Box::new(ours), Box::new(BareRedis::new(connection, key).await?), Box::new(tower)])
}

/// As `RedisStore::connect` makes one: ours and the hand share it.
async fn connection(url: &str) -> Result<ConnectionManager, Failure> {
    let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
    let info = redis::IntoConnectionInfo::into_connection_info(url)?.set_tcp_settings(tcp);
    let settings = ConnectionManagerConfig::new().set_response_timeout(Some(std::time::Duration::from_millis(1_800)));
    Ok(ConnectionManager::new_with_config(redis::Client::open(info)?, settings).await?)
}

async fn fred(url: &str) -> Result<fred::clients::Client, Failure> {
    use fred::prelude::{Builder, ClientLike as _, Config};

    let client = Builder::from_config(Config::from_url(url)?)
        .with_connection_config(|settings| settings.tcp.nodelay = Some(true))
        .build()?;
    client.init().await?;
    Ok(client)
}

/// The rounds of both operations.
async fn run(sides: &mut Sides) -> Result<[Vec<Round>; 2], Failure> {
    let mut order: Vec<(usize, usize)> = (0..sides.len()).flat_map(|side| [(side, 0), (side, 1)]).collect();
    let mut rounds = [Vec::with_capacity(ROUNDS), Vec::with_capacity(ROUNDS)];
    let mut random = Random::new();
    for round in 0..WARM_UP + ROUNDS {
        random.shuffle(&mut order);
        let mut times = [[0.0; 3]; 2];
        for &(side, operation) in &order {
            times[operation][side] = time(&mut *sides[side], operation == 1).await?;
        }
        if round >= WARM_UP {
            rounds.iter_mut().zip(times).for_each(|(rounds, times)| rounds.push(times));
        }
    }
    Ok(rounds)
}

async fn time(side: &mut dyn Side, updates: bool) -> Result<f64, Failure> {
    let start = Instant::now();
    for _ in 0..BATCH {
        if updates { side.update().await? } else { side.load().await? }
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH))
}

/// What each takes, and what is of what.
fn cells(rounds: &[Round]) -> [String; 5] {
    let [ours, bare, tower] = [0, 1, 2].map(|side| quick(rounds.iter().map(|round| round[side]).collect()));
    [
        format!("{ours:.1}"),
        format!("{bare:.1}"),
        format!("{tower:.1}"),
        format!("{:.2}", ours / bare),
        format!("{:.2}", ours / tower),
    ]
}

/// What nine rounds of ten took longer than: whatever else the machine does only adds to it.
fn quick(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 10]
}

const ROUNDS: usize = 1_000;
/// Rounds that do not count.
const WARM_UP: usize = 50;
const BATCH: u32 = 16;
