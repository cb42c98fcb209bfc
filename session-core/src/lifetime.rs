//! The idle timeout and the lifetime, applied to the times in a token or a record.

use crate::{format::Times, metadata::Metadata};

/// The configured time limits of sessions, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The idle timeout: the longest time between two visits, in seconds.
    pub idle: u64,
    /// The longest time since the session began, in seconds. Visits do not extend it.
    pub lifetime: u64,
    /// How long after the last recorded visit another one is recorded, in seconds; `None` for an eighth of the idle
    /// timeout. It is never more than half of the idle timeout.
    pub visits: Option<u64>,
}

impl Limits {
    /// Returns the last second in which the session is alive, in seconds since 1970.
    ///
    /// The session's own end, [`Metadata::until`], replaces both limits. Its own idle timeout, [`Metadata::idle`],
    /// replaces the configured one, and stays under its lifetime.
    #[must_use]
    pub fn last_second(&self, times: Times, metadata: &Metadata) -> u64 {
        let end = metadata.until.unwrap_or_else(|| times.created_at.saturating_add(self.lifetime));
        let idle = metadata.idle.or_else(|| metadata.until.is_none().then_some(self.idle));
        idle.map_or(end, |idle| end.min(times.issued_at.saturating_add(idle)))
    }

    /// Returns whether the session has expired.
    #[must_use]
    pub fn is_over(&self, times: Times, metadata: &Metadata, now: u64) -> bool {
        now > self.last_second(times, metadata)
    }

    /// Returns whether a visit now should extend the session.
    ///
    /// A visit extends the session if an eighth of the idle timeout has passed since the last recorded visit, or the
    /// time of [`visits`](Self::visits), and if the session would then live longer. Most requests therefore write
    /// nothing.
    #[must_use]
    pub fn wants_extension(&self, times: Times, metadata: &Metadata, now: u64) -> bool {
        let idle = metadata.idle.unwrap_or(self.idle);
        let pause = self.visits.map_or(idle.div_ceil(8), |visits| visits.min(idle / 2));
        let due = now.saturating_sub(times.issued_at) >= pause;
        let extended = Times { issued_at: now, ..times };
        due && self.last_second(extended, metadata) > self.last_second(times, metadata)
    }
}

/// Returns whether the times of a token are plausible: the token was not made in the future, and the session did not
/// begin after the token was made.
///
/// `now` is in seconds since 1970. A token may be up to `skew` seconds ahead, because the clocks of two servers differ:
/// usually [`CLOCK_SKEW`].
///
/// # Examples
///
/// ```
/// use session_core::token::{CLOCK_SKEW, Times, is_plausible};
///
/// let times = Times { created_at: 1_000, issued_at: 1_060 };
/// assert!(is_plausible(times, 1_000, CLOCK_SKEW)); // 60 seconds ahead
/// assert!(!is_plausible(times, 999, CLOCK_SKEW));
/// ```
#[must_use]
pub const fn is_plausible(times: Times, now: u64, skew: u64) -> bool {
    times.issued_at <= now.saturating_add(skew) && times.created_at <= times.issued_at
}

/// The largest difference between the clocks of two servers that is accepted by default, in seconds.
pub const CLOCK_SKEW: u64 = 60;

/// The longest time that a browser keeps a cookie, in seconds: 400 days (RFC 6265bis, section 5.5).
pub const MAX_COOKIE_AGE: u64 = 400 * 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { idle: 1_800, lifetime: 43_200, visits: None };

    const fn times(created_at: u64, issued_at: u64) -> Times {
        Times { created_at, issued_at }
    }

    fn until(second: u64) -> Metadata {
        let mut metadata = Metadata::NONE;
        metadata.until = Some(second);
        metadata
    }

    #[test]
    fn a_session_lives_through_its_last_second() {
        let metadata = Metadata::NONE;
        assert!(!LIMITS.is_over(times(0, 0), &metadata, 1_800));
        assert!(LIMITS.is_over(times(0, 0), &metadata, 1_801));
        assert!(!LIMITS.is_over(times(0, 43_000), &metadata, 43_200));
        assert!(LIMITS.is_over(times(0, 43_000), &metadata, 43_201));
    }

    #[test]
    fn a_lifetime_of_its_own_goes_before_the_configured_ones() {
        assert!(!LIMITS.is_over(times(0, 0), &until(100_000), 100_000));
        assert!(LIMITS.is_over(times(0, 0), &until(10), 11));
    }

    #[test]
    fn an_idle_timeout_of_its_own_stays_under_the_lifetime() {
        let idle = |until| {
            let mut metadata = Metadata::NONE;
            (metadata.until, metadata.idle) = (until, Some(600));
            metadata
        };
        assert_eq!(LIMITS.last_second(times(0, 100), &idle(None)), 700);
        assert_eq!(LIMITS.last_second(times(0, 43_000), &idle(None)), 43_200);
        assert_eq!(LIMITS.last_second(times(0, 100), &idle(Some(500))), 500);
        assert_eq!(LIMITS.last_second(times(0, 100), &idle(Some(100_000))), 700);
        assert!(!LIMITS.wants_extension(times(0, 100), &idle(None), 174));
        assert!(LIMITS.wants_extension(times(0, 100), &idle(None), 175));
    }

    #[test]
    fn a_visit_extends_after_an_eighth_of_the_idle_window() {
        let metadata = Metadata::NONE;
        assert!(!LIMITS.wants_extension(times(0, 1_000), &metadata, 1_224));
        assert!(LIMITS.wants_extension(times(0, 1_000), &metadata, 1_225));
    }

    #[test]
    fn a_visit_is_noted_as_often_as_is_configured_and_twice_in_an_idle_timeout_at_least() {
        let metadata = Metadata::NONE;
        for (visits, pause) in [(Some(1), 1), (Some(60), 60), (Some(900), 900), (Some(5_000), 900), (None, 225)] {
            let limits = Limits { visits, ..LIMITS };
            assert!(!limits.wants_extension(times(0, 1_000), &metadata, 1_000 + pause - 1), "{visits:?}");
            assert!(limits.wants_extension(times(0, 1_000), &metadata, 1_000 + pause), "{visits:?}");
        }
    }

    #[test]
    fn nothing_is_extended_that_would_not_live_longer() {
        assert!(!LIMITS.wants_extension(times(0, 42_000), &Metadata::NONE, 42_500));
        assert!(!LIMITS.wants_extension(times(0, 0), &until(100_000), 1_800));
    }

    #[test]
    fn times_from_the_future_or_out_of_order_are_not_believed() {
        assert!(is_plausible(times(0, 1_060), 1_000, 60));
        assert!(!is_plausible(times(0, 1_061), 1_000, 60));
        assert!(is_plausible(times(0, 1_000), 1_000, 0) && !is_plausible(times(0, 1_001), 1_000, 0));
        assert!(!is_plausible(times(1_001, 1_000), 1_000, 60));
        assert!(!is_plausible(times(u64::MAX, 1_000), 1_000, 60));
    }
}
