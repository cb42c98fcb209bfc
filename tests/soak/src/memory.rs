//! The resident memory of this process.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinHandle, time::sleep};

/// The resident memory in KiB: after the warm-up, at the end, and the largest after the warm-up.
#[derive(Default)]
pub(crate) struct Memory {
    start: u64,
    end: u64,
    largest: u64,
    /// One measurement each half minute.
    course: Vec<u64>,
}

impl Memory {
    /// Measures once a second until the soak is over.
    pub(crate) fn watch(is_over: Arc<AtomicBool>) -> JoinHandle<Self> {
        tokio::spawn(async move {
            let begun = Instant::now();
            let mut memory = Self::default();
            while !is_over.load(Relaxed) {
                sleep(Duration::from_secs(1)).await;
                memory.end = resident();
                if begun.elapsed() > WARM_UP * u32::try_from(memory.course.len() + 1).unwrap() {
                    memory.course.push(memory.end);
                }
                if begun.elapsed() < WARM_UP || memory.start == 0 {
                    memory.start = memory.end;
                } else {
                    memory.largest = memory.largest.max(memory.end);
                }
            }
            memory
        })
    }

    /// Returns whether the memory has not grown since the warm-up, except by `cache`, in MiB.
    pub(crate) const fn is_flat(&self, cache: u64) -> bool {
        self.largest <= self.start + ALLOWED + cache * 1024
    }

    /// Returns the measurements of each half minute, in MiB.
    pub(crate) fn course(&self) -> String {
        let each = self.course.iter().map(|kib| format!("{:.1}", *kib as f64 / 1024.0));
        each.collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn text(&self) -> String {
        let megabytes = |kib: u64| format!("{:.1}", kib as f64 / 1024.0);
        format!("{} / {} / {}", megabytes(self.start), megabytes(self.end), megabytes(self.largest.max(self.start)))
    }
}

pub(crate) fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or_default()
}

const WARM_UP: Duration = Duration::from_secs(30);
/// How many KiB it may grow: less than a tenth of what a leak of 100 bytes a request would add in two minutes.
const ALLOWED: u64 = 8 * 1024;
