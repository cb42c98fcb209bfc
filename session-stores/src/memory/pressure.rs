//! What is said when the store is full.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use super::lock;

/// Counts the sessions that had to go, and says so now and then.
#[derive(Default)]
pub(super) struct Pressure {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    said_at: Option<Instant>,
    evicted: usize,
}

impl Pressure {
    pub(super) fn note(&self, evicted: usize) {
        if let Some(evicted) = self.due(evicted, Instant::now()) {
            tracing::warn!(evicted, "the memory store is full: the sessions seen longest ago went before their time");
        }
    }

    /// How many there were since it was last said, if it is time to say so.
    fn due(&self, evicted: usize, now: Instant) -> Option<usize> {
        let mut state = lock(&self.state);
        state.evicted += evicted;
        let is_early = state.said_at.is_some_and(|said_at| now.duration_since(said_at) < PAUSE);
        if state.evicted == 0 || is_early {
            return None;
        }
        state.said_at = Some(now);
        Some(std::mem::take(&mut state.evicted))
    }
}

const PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_a_minute_with_all_that_went() {
        let (pressure, start) = (Pressure::default(), Instant::now());
        assert_eq!(pressure.due(0, start), None);
        assert_eq!(pressure.due(3, start), Some(3));
        assert_eq!(pressure.due(4, start + Duration::from_secs(59)), None);
        assert_eq!(pressure.due(5, start + Duration::from_secs(60)), Some(9));
    }
}
