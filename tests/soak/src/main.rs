//! A soak: two instances of an application share a store, 64 clients use it, and every twenty seconds the store fails
//! in another way. What was confirmed must hold.
//!
//! ```sh
//! cargo run --release -p session-soak                  # two minutes for each store
//! cargo run --release -p session-soak -- postgres 600  # ten minutes for one
//! cargo run --release -p session-soak -- size          # bytes a session, without a soak
//! ```
//!
//! It prints a Markdown row for each store, and ends with an error if a rule was broken. The rules are those of
//! docs/stores.md, "When the store fails"; `client.rs` checks them.

#![expect(clippy::unwrap_used, reason = "what the soak itself needs and does not get ends it")]

mod app;
mod backend;
mod client;
mod clock;
mod forwarder;
mod logs;
mod memory;
mod size;
mod tally;

use std::{
    env,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use session_axum::{Keys, SessionLayer};
use tokio::{
    task::{JoinSet, block_in_place},
    time::sleep,
};

use self::{
    backend::{Backend, Fault, STORES},
    client::SoakClient,
    clock::MovedClock,
    memory::Memory,
    tally::Tally,
};

fn main() -> ExitCode {
    let mut arguments: Vec<_> = env::args().skip(1).collect();
    if let [order, file] = &arguments[..]
        && order == backend::HOLD
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(backend::hold(file));
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if arguments == ["size"] {
        runtime.block_on(size::measure());
        return ExitCode::SUCCESS;
    }
    let seconds = arguments.iter().position(|argument| argument.parse::<u64>().is_ok());
    let seconds = seconds.map_or(120, |place| arguments.remove(place).parse().unwrap());
    let stores = if arguments.is_empty() { STORES.map(str::to_owned).to_vec() } else { arguments };
    if let Some(unknown) = stores.iter().find(|store| !STORES.contains(&store.as_str())) {
        eprintln!("there is no store `{unknown}`: choose from {}", STORES.join(", "));
        return ExitCode::FAILURE;
    }
    logs::install();
    println!("{}", tally::HEAD);
    let mut is_kept = true;
    for store in stores {
        is_kept &= runtime.block_on(soak(&store, Duration::from_secs(seconds)));
    }
    if is_kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Soaks one store. Returns whether every rule was kept.
async fn soak(store: &str, length: Duration) -> bool {
    let mut backend = Backend::start(store).await;
    let tally = Arc::new(Tally::new(backend.place()));
    let clocks = [MovedClock::default(), MovedClock::default()];
    let keys = Keys::generate();
    let mut layers = Vec::new();
    for clock in &clocks {
        let layer = SessionLayer::stored(backend.connect().await, keys.clone()).clock(clock.clone());
        layers.push(layer.idle_timeout(IDLE).sweep_every(SWEEP));
    }
    let instances = [app::app(layers[0].clone()), app::app(layers[1].clone())];
    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let client = SoakClient::new(number, &instances, layers[0].sessions(), &tally);
        clients.spawn(client.run(Arc::clone(&is_over)));
    }
    let memory = Memory::watch(Arc::clone(&is_over));
    fail_in_turn(&mut backend, &clocks, &tally, length).await;
    is_over.store(true, Relaxed);
    while let Some(client) = clients.join_next().await {
        client.expect("a client does not panic").check_the_end().await;
    }
    let memory = memory.await.unwrap();
    println!("{}", tally.row(backend.name(), length, &memory));
    eprintln!("memory each half minute: {}", memory.course());
    tally.complain();
    tally.is_kept() && memory.is_flat(backend.cache())
}

/// Makes the store fail in one way after the other until the time is over, and waits until it works again.
async fn fail_in_turn(backend: &mut Backend, clocks: &[MovedClock; 2], tally: &Tally, length: Duration) {
    let begun = Instant::now();
    let faults = backend.faults();
    for (turn, fault) in faults.iter().cycle().enumerate() {
        let at = FIRST_FAULT + EVERY * u32::try_from(turn).unwrap();
        if at + LEAST_REST > length {
            break;
        }
        sleep(at.saturating_sub(begun.elapsed())).await;
        tally.fault_begins();
        match fault {
            Fault::ClockMoved => move_clock(clocks, turn / faults.len()).await,
            fault => {
                block_in_place(|| backend.begin(*fault));
                sleep(LASTS).await;
                block_in_place(|| backend.end(*fault));
            }
        }
        tally.fault_ends();
    }
    sleep(length.saturating_sub(begun.elapsed())).await;
}

/// Moves the clock of one instance forward or back, and sets it right again.
async fn move_clock(clocks: &[MovedClock; 2], turn: usize) {
    let clock = &clocks[turn % 2];
    for seconds in [30, -30, 7] {
        clock.shift(seconds);
        sleep(LASTS / 2).await;
    }
    clock.shift(0);
}

const CLIENTS: u64 = 64;
const EVERY: Duration = Duration::from_secs(20);
const FIRST_FAULT: Duration = Duration::from_secs(10);
/// How long a fault lasts.
const LASTS: Duration = Duration::from_secs(4);
/// The shortest time between the last fault and the end.
const LEAST_REST: Duration = Duration::from_secs(10);
/// So short that visits are written down during the soak.
const IDLE: Duration = Duration::from_secs(10 * 60);
const SWEEP: Duration = Duration::from_secs(10);
