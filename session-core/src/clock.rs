//! The clock that every time limit is measured with.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The clock of the application.
///
/// Sessions, flash messages and stores all use this clock and no other. A test can therefore move the time, and a wrong
/// clock of a database cannot end a session.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime, UNIX_EPOCH};
/// use session_core::Clock;
///
/// /// A clock that does not move, for a test.
/// struct Fixed;
///
/// impl Clock for Fixed {
///     fn now(&self) -> SystemTime {
///         UNIX_EPOCH + Duration::from_secs(1_767_225_600) // 2026-01-01T00:00:00Z
///     }
/// }
///
/// assert_eq!(Fixed.now(), Fixed.now());
/// ```
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> SystemTime;
}

/// Forwards to the clock inside, which may be shared or chosen at run time (`Arc<dyn Clock>`).
impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> SystemTime {
        (**self).now()
    }
}

/// The clock of the operating system, which is the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Returns the whole seconds since 1970-01-01T00:00:00Z, the unit of every time in a token. Earlier times become 0.
#[must_use]
pub fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Returns the time of [`unix_seconds`]. Times after the year 9999 become its last second.
#[must_use]
pub fn system_time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.min(LATEST))
}

/// The latest time that [`system_time`] returns: 9999-12-31T23:59:59Z.
const LATEST: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_clock_tells_the_time_of_the_clock_inside() {
        struct Fixed;
        impl Clock for Fixed {
            fn now(&self) -> SystemTime {
                system_time(1_893_456_000)
            }
        }
        let shared: Arc<dyn Clock> = Arc::new(Fixed);
        assert_eq!(unix_seconds(<Arc<_> as Clock>::now(&shared)), 1_893_456_000);
    }

    #[test]
    fn seconds_round_trip_and_never_overflow() {
        assert_eq!(unix_seconds(system_time(1_893_456_000)), 1_893_456_000);
        assert_eq!(unix_seconds(system_time(u64::MAX)), LATEST);
        assert_eq!(unix_seconds(UNIX_EPOCH - Duration::from_secs(1)), 0);
    }
}
