//! A million sessions in memory: what they take, what a limit does, and how long requests wait while they are swept.

use std::{
    fmt::Write as _,
    fs,
    future::poll_fn,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use guard::drive;
use rustix::time::{ClockId, clock_gettime};
use session_core::store::{EXPIRED_IS_KNOWN_FOR, RecordKey, SessionStore as _, Visit, Write};
use session_stores::MemoryStore;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream as AsyncStream},
    runtime::{Builder, Handle},
};
use tower_sessions::{
    SessionStore as _,
    cookie::time::{self, OffsetDateTime},
    session::{Id, Record},
};
use tracing::{Event, Level, Metadata, Subscriber, span};

use super::{
    Failure,
    sides::{key, values, write},
};
use crate::{peers::json, table::thousands};

pub fn measure() -> Result<String, Failure> {
    let keys: Arc<[RecordKey]> = (0..SESSIONS).map(|_| key()).collect::<Result<_, _>>()?;
    // None is dropped before the last is measured: the allocator would hand out again what one gave back.
    let (limited, limited_store) = limited(&keys)?;
    let (bytes, store) = filled(&keys)?;
    let (tower_bytes, _tower_store) = filled_tower_sessions()?;
    let waits = waits(&store, &keys)?;
    drop(limited_store);
    Ok(format!(
        "| a million sessions in memory | ours | tower-sessions |\n| --- | ---: | ---: |\n\
         | bytes of memory a session | {} | {} |\n\n{limited}\n{waits}",
        thousands(bytes),
        thousands(tower_bytes)
    ))
}

/// All of them into a store that is too small.
fn limited(keys: &[RecordKey]) -> Result<(String, MemoryStore), Failure> {
    let (store, warnings) = (MemoryStore::limited_to(LIMIT << 20), Arc::new(Warnings::default()));
    let before = resident()?;
    tracing::subscriber::with_default(Arc::clone(&warnings), || fill(&store, keys))?;
    let mebibytes = (resident()? - before) / 1_048_576.0;
    let mut kept = 0;
    for key in keys {
        kept += u32::from(drive(store.load(key, NOW))?.live().is_some());
    }
    let text = format!(
        "| a million sessions where {LIMIT} MiB are allowed | |\n| --- | ---: |\n\
         | MiB of memory | {mebibytes:.0} |\n| sessions that are there at the end | {} |\n\
         | log lines in less than a minute | {} |\n",
        thousands(f64::from(kept)),
        warnings.0.load(Relaxed)
    );
    Ok((text, store))
}

fn filled(keys: &[RecordKey]) -> Result<(f64, MemoryStore), Failure> {
    let (store, before) = (MemoryStore::new(), resident()?);
    fill(&store, keys)?;
    Ok(((resident()? - before) / SESSIONS as f64, store))
}

/// Makes those that are not there. Every other one ends early.
fn fill(store: &MemoryStore, keys: &[RecordKey]) -> Result<(), Failure> {
    let values = values();
    for (number, key) in keys.iter().enumerate() {
        let expires_at = if number % 2 == 0 { EARLY } else { LATE };
        let write = Write { visit: Visit { now: NOW, expires_at }, ..write(&values, None, NOW) };
        drive(store.create(key, write))?;
    }
    Ok(())
}

fn filled_tower_sessions() -> Result<(f64, tower_sessions::MemoryStore), Failure> {
    let (store, before) = (tower_sessions::MemoryStore::default(), resident()?);
    let expiry_date = OffsetDateTime::now_utc() + time::Duration::days(1);
    for _ in 0..SESSIONS {
        let data = json::values(&guard::Session::small()).into_iter().collect();
        drive(store.create(&mut Record { id: Id::default(), data, expiry_date }))?;
    }
    Ok(((resident()? - before) / SESSIONS as f64, store))
}

/// Bytes of this process that lie in memory.
fn resident() -> Result<f64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kibibytes: f64 = line.trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1_024.0)
}

/// Of [`ROUNDS`] the one in which nobody waited as long as in the others: what else the machine does only adds to it.
fn waits(store: &MemoryStore, keys: &Arc<[RecordKey]>) -> Result<String, Failure> {
    let mut clients = Clients::connect(store, keys)?;
    let mut best: [Option<Waits>; 3] = [None, None, None];
    for _ in 0..ROUNDS {
        for (best, sweep_at) in best.iter_mut().zip([None, Some(NOW), Some(EARLY + 1 + EXPIRED_IS_KNOWN_FOR)]) {
            let waits = clients.ask_during(store, sweep_at)?;
            if best.as_ref().is_none_or(|best| waits.longest() < best.longest()) {
                *best = Some(waits);
            }
        }
        fill(store, keys)?;
    }
    let mut text = String::from(
        "| µs of a request meanwhile | median | 99.99 % | longest | requests | longest part of the sweep | the sweep, ms | removed |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (name, waits) in ["no sweep", "a sweep that finds nothing", "a sweep of half of them"].into_iter().zip(best) {
        let _ = writeln!(text, "| {name} | {} |", waits.ok_or("no round")?.cells().join(" | "));
    }
    Ok(text)
}

/// Connections to a server of one thread, which answers each request with one load.
struct Clients {
    streams: Vec<TcpStream>,
    server: Handle,
    asked: usize,
}

impl Clients {
    fn connect(store: &MemoryStore, keys: &Arc<[RecordKey]>) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let (address, server): (SocketAddr, _) = (listener.local_addr()?, runtime.handle().clone());
        let (store, keys) = (store.clone(), Arc::clone(keys));
        thread::spawn(move || runtime.block_on(serve(&listener, &store, &keys)));
        let streams = (0..CONNECTIONS).map(|_| TcpStream::connect(address)).collect::<Result<Vec<_>, _>>()?;
        streams.iter().try_for_each(|stream| stream.set_nodelay(true))?;
        Ok(Self { streams, server, asked: 0 })
    }

    /// Asks over all connections at once until the sweep has ended, or for about as long as one takes.
    fn ask_during(&mut self, store: &MemoryStore, sweep_at: Option<u64>) -> Result<Waits, Failure> {
        let store = store.clone();
        let sweep = self.server.spawn(sweep(store, sweep_at));
        let mut waits = Vec::new();
        while !sweep.is_finished() {
            self.ask(&mut waits)?;
        }
        waits.sort_unstable();
        let sweep = self.server.block_on(sweep)??;
        Ok(Waits { waits, sweep })
    }

    fn ask(&mut self, waits: &mut Vec<Duration>) -> Result<(), Failure> {
        let mut starts = [Instant::now(); CONNECTIONS];
        for (stream, start) in self.streams.iter_mut().zip(&mut starts) {
            // Far apart, so that none is in the processor's cache already.
            self.asked = (self.asked + 7_919 * 31) % SESSIONS;
            *start = Instant::now();
            stream.write_all(&(self.asked as u32).to_le_bytes())?;
        }
        for (stream, start) in self.streams.iter_mut().zip(starts) {
            stream.read_exact(&mut [0])?;
            waits.push(start.elapsed());
        }
        Ok(())
    }
}

async fn serve(listener: &TcpListener, store: &MemoryStore, keys: &Arc<[RecordKey]>) {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let Ok((stream, _)) = listener.accept().await else { return };
        connections.push(tokio::spawn(answer(stream, store.clone(), Arc::clone(keys))));
    }
    for connection in connections {
        let _ = connection.await;
    }
}

/// Until the client goes.
async fn answer(mut stream: AsyncStream, store: MemoryStore, keys: Arc<[RecordKey]>) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    loop {
        let number = stream.read_u32_le().await?;
        let record = store.load(&keys[number as usize], NOW).await?.live();
        stream.write_u8(u8::from(record.is_some())).await?;
    }
}

/// Nothing but a pause without a time.
async fn sweep(store: MemoryStore, now: Option<u64>) -> Result<Sweep, Failure> {
    let Some(now) = now else {
        tokio::time::sleep(Duration::from_millis(300)).await;
        return Ok(Sweep::default());
    };
    let (mut sweep, start, mut longest_part) = (store.delete_expired(now), Instant::now(), Duration::ZERO);
    let removed = poll_fn(|context| {
        let before = processor_time();
        let poll = sweep.as_mut().poll(context);
        longest_part = longest_part.max(processor_time() - before);
        poll
    });
    Ok(Sweep { removed: removed.await?, took: start.elapsed(), longest_part })
}

/// Of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[derive(Default)]
struct Sweep {
    removed: u64,
    took: Duration,
    /// Of the processor's time between two pauses, which nobody else's programs change.
    longest_part: Duration,
}

struct Waits {
    /// The shortest first.
    waits: Vec<Duration>,
    sweep: Sweep,
}

impl Waits {
    fn longest(&self) -> Duration {
        self.waits.last().copied().unwrap_or_default()
    }

    fn at(&self, share: f64) -> Duration {
        self.waits[((self.waits.len() - 1) as f64 * share) as usize]
    }

    fn cells(&self) -> [String; 7] {
        let microseconds = |wait: Duration| thousands(wait.as_secs_f64() * 1e6);
        let swept = |figure: f64| thousands(if self.sweep.took.is_zero() { f64::NAN } else { figure });
        [
            microseconds(self.at(0.5)),
            microseconds(self.at(0.9999)),
            microseconds(self.longest()),
            thousands(self.waits.len() as f64),
            swept(self.sweep.longest_part.as_secs_f64() * 1e6),
            swept(self.sweep.took.as_secs_f64() * 1e3),
            swept(self.sweep.removed as f64),
        ]
    }
}

/// Counts what the memory store warns of.
#[derive(Default)]
struct Warnings(AtomicU64);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.target().starts_with("session_stores::memory")
    }

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Relaxed);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

const SESSIONS: usize = 1_000_000;
const LIMIT: usize = 64;
const CONNECTIONS: usize = 16;
const ROUNDS: usize = 15;

const NOW: u64 = 1_893_456_000;
const EARLY: u64 = NOW + 60;
const LATE: u64 = NOW + 86_400;
