//! The warning when the store is full.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use super::lock;

/// Counts evicted sessions, and logs them at most once a minute.
#[derive(Default)]
pub(super) struct Pressure {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    logged_at: Option<Instant>,
    evicted: usize,
}

impl Pressure {
    pub(super) fn note(&self, evicted: usize) {
        if let Some(evicted) = self.due(evicted, Instant::now()) {
            tracing::warn!(
                name: "memory.full", target: "session_stores::memory",
                evicted, "MemoryStore is full: it removed live sessions, those with the oldest last visit first"
            );
        }
    }

    /// Adds `evicted` to the count. Returns the count since the last log line, if it is time for another one.
    fn due(&self, evicted: usize, now: Instant) -> Option<usize> {
        let mut state = lock(&self.state);
        state.evicted += evicted;
        let is_early = state.logged_at.is_some_and(|logged_at| now.duration_since(logged_at) < PAUSE);
        if state.evicted == 0 || is_early {
            return None;
        }
        state.logged_at = Some(now);
        Some(std::mem::take(&mut state.evicted))
    }
}

const PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_logged_once_a_minute_with_the_count_since() {
        let (pressure, start) = (Pressure::default(), Instant::now());
        assert_eq!(pressure.due(0, start), None);
        assert_eq!(pressure.due(3, start), Some(3));
        assert_eq!(pressure.due(4, start + Duration::from_secs(59)), None);
        assert_eq!(pressure.due(5, start + Duration::from_secs(60)), Some(9));
    }
}
