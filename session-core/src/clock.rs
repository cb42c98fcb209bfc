//! Where time comes from: the one clock that every limit is measured with.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The application's clock.
///
/// Sessions, flash messages and stores all ask this one clock, so that a test can move it and so that the
/// clocks of a database and of the application never disagree.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> SystemTime;
}

/// The system's clock, the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Whole seconds since 1970-01-01T00:00:00Z, as the token carries them; earlier times are 0.
#[must_use]
pub fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The reverse of [`unix_seconds`]; what a [`SystemTime`] cannot hold becomes the year 9999.
#[must_use]
pub fn system_time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.min(LATEST))
}

/// 9999-12-31T23:59:59Z.
const LATEST: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_trip_and_never_overflow() {
        assert_eq!(unix_seconds(system_time(1_893_456_000)), 1_893_456_000);
        assert_eq!(unix_seconds(system_time(u64::MAX)), LATEST);
        assert_eq!(unix_seconds(UNIX_EPOCH - Duration::from_secs(1)), 0);
    }
}
