//! What the soak has seen.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::memory::Memory;

/// The counts of one store's soak.
pub(crate) struct Tally {
    /// What a log line must name.
    place: String,
    begun: Instant,
    requests: AtomicU64,
    refused: AtomicU64,
    /// Those of `refused` whose log line names no server, because the store did not answer in the layer's time.
    unanswered: AtomicU64,
    faults: AtomicU64,
    /// When the last fault was over, in milliseconds since `begun`; `u64::MAX` while one lasts.
    back_at: AtomicU64,
    /// The longest time from the end of a fault to a 503 of a request that began after it.
    outage: AtomicU64,
    /// The errors that made an outage of a second and more.
    late: Mutex<Vec<String>>,
    longest: AtomicU64,
    broken: Mutex<BTreeMap<Rule, Vec<String>>>,
}

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// Something that was confirmed is not there.
    Lost,
    /// A client has seen the session of another one.
    Foreign,
    /// A session is alive after its log-out or renewal was confirmed.
    AliveAfterLogOut,
    /// An error is not a 503, or its log line names neither the server nor the layer's timeout.
    Error,
}

impl Tally {
    pub(crate) fn new(place: String) -> Self {
        Self {
            place,
            begun: Instant::now(),
            requests: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            back_at: AtomicU64::new(0),
            outage: AtomicU64::new(0),
            late: Mutex::default(),
            longest: AtomicU64::new(0),
            broken: Mutex::default(),
        }
    }

    pub(crate) fn fault_begins(&self) {
        self.faults.fetch_add(1, Relaxed);
        self.back_at.store(u64::MAX, Relaxed);
    }

    pub(crate) fn fault_ends(&self) {
        self.back_at.store(self.since_start(), Relaxed);
    }

    /// Notes an answer, and checks that an error is a 503 with a cause that names the server.
    pub(crate) fn note(&self, began: Instant, status: u16, lines: &[String]) {
        self.requests.fetch_add(1, Relaxed);
        self.longest.fetch_max(millis(began.elapsed()), Relaxed);
        if status < 500 {
            return;
        }
        self.refused.fetch_add(1, Relaxed);
        let (back_at, began) = (self.back_at.load(Relaxed), millis(began.duration_since(self.begun)));
        if began > back_at {
            let outage = self.since_start().saturating_sub(back_at);
            self.outage.fetch_max(outage, Relaxed);
            if outage > 1_000 {
                self.late.lock().unwrap().push(format!("{outage} ms after a fault: {lines:?}"));
            }
        }
        if status != 503 {
            self.breaks(Rule::Error, || format!("the status {status}: {lines:?}"));
        } else if lines.iter().any(|line| line.contains(UNANSWERED)) {
            self.unanswered.fetch_add(1, Relaxed);
        } else if !lines.iter().any(|line| line.contains(&self.place)) {
            self.breaks(Rule::Error, || format!("no log line names {}: {lines:?}", self.place));
        }
    }

    pub(crate) fn breaks(&self, rule: Rule, what: impl FnOnce() -> String) {
        let mut broken = self.broken.lock().unwrap();
        let cases = broken.entry(rule).or_default();
        cases.push(format!("after {:.1} s: {}", self.begun.elapsed().as_secs_f32(), what()));
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.broken.lock().unwrap().is_empty()
    }

    pub(crate) fn row(&self, store: &str, length: Duration, memory: &Memory) -> String {
        let broken = |rule| self.broken.lock().unwrap().get(&rule).map_or(0, Vec::len);
        let seconds = |milliseconds: &AtomicU64| format!("{:.2} s", milliseconds.load(Relaxed) as f64 / 1_000.0);
        let cells = [
            format!("{store}, {} s", length.as_secs()),
            self.requests.load(Relaxed).to_string(),
            format!("{} ({})", self.refused.load(Relaxed), self.unanswered.load(Relaxed)),
            self.faults.load(Relaxed).to_string(),
            seconds(&self.outage),
            seconds(&self.longest),
            broken(Rule::Lost).to_string(),
            broken(Rule::Foreign).to_string(),
            broken(Rule::AliveAfterLogOut).to_string(),
            broken(Rule::Error).to_string(),
            memory.text(),
        ];
        format!("| {} |", cells.join(" | "))
    }

    /// Prints the first cases of each broken rule.
    pub(crate) fn complain(&self) {
        let late = self.late.lock().unwrap();
        if !late.is_empty() {
            eprintln!("{} errors a second and more after a fault", late.len());
            late.iter().take(MOST_CASES).for_each(|case| eprintln!("    {case}"));
        }
        for (rule, cases) in &*self.broken.lock().unwrap() {
            eprintln!("{rule:?}: {} times", cases.len());
            cases.iter().take(MOST_CASES).for_each(|case| eprintln!("    {case}"));
        }
    }

    fn since_start(&self) -> u64 {
        millis(self.begun.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) const HEAD: &str = "\
| store | requests | 503s (of them after `store_timeout`) | faults | longest outage after the server was back | longest answer | lost | foreign | alive after log-out | other errors | memory in MB: after 30 s / end / largest |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |";
/// What the layer says when the store did not answer in time: it does not know the server.
const UNANSWERED: &str = "it did not answer within 2s";
const MOST_CASES: usize = 10;
