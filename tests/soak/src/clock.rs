//! A clock that goes, and that can be wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use session_axum::Clock;

/// The clock of an instance.
#[derive(Clone, Default)]
pub(crate) struct MovedClock(Arc<AtomicI64>);

impl MovedClock {
    /// Sets how many seconds the clock is ahead.
    pub(crate) fn shift(&self, seconds: i64) {
        self.0.store(seconds, Relaxed);
    }
}

impl Clock for MovedClock {
    fn now(&self) -> SystemTime {
        let (now, seconds) = (SystemTime::now(), self.0.load(Relaxed));
        let shift = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { now - shift } else { now + shift }
    }
}
