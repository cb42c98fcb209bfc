//! Idle and absolute limits: derived from the live configuration and from the times in the token.

use std::fmt;

use serde_json::{Map, Value};

use crate::{entries::Entries, token::Frame};

/// The configured limits, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest time between two visits.
    pub idle: u64,
    /// The longest time from the beginning, whatever the activity.
    pub lifetime: u64,
}

impl Limits {
    /// The last second in which the session is alive.
    #[must_use]
    pub fn last_second(&self, frame: &Frame, terms: &Terms) -> u64 {
        let configured = frame.issued_at.saturating_add(self.idle).min(frame.created_at.saturating_add(self.lifetime));
        terms.until.unwrap_or(configured)
    }

    /// Whether the session is over.
    #[must_use]
    pub fn is_over(&self, frame: &Frame, terms: &Terms, now: u64) -> bool {
        now > self.last_second(frame, terms)
    }

    /// Whether a visit now is worth a new cookie: an eighth of the idle window has passed, and the new cookie would
    /// live longer.
    #[must_use]
    pub fn wants_extension(&self, frame: &Frame, terms: &Terms, now: u64) -> bool {
        let due = now.saturating_sub(frame.issued_at) >= self.idle.div_ceil(8);
        let extended = Frame { issued_at: now, ..*frame };
        due && self.last_second(&extended, terms) > self.last_second(frame, terms)
    }
}

/// Whether a token's times can be true: not from the future, allowing for [`CLOCK_SKEW`], and in their order.
#[must_use]
pub const fn is_plausible(frame: &Frame, now: u64) -> bool {
    frame.issued_at <= now.saturating_add(CLOCK_SKEW) && frame.created_at <= frame.issued_at
}

/// What a session says of itself, under the reserved key `$`: it travels with the entries and no accessor shows it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Its own last second, instead of the configured limits ("remember me").
    pub until: Option<u64>,
    /// The last second that an earlier cookie of it was given, where that is later.
    pub earlier: Option<u64>,
    /// No `Max-Age`, whatever the configuration says.
    pub browser_session: bool,
    /// Somebody holds its id, so that it exists without entries.
    pub pinned: bool,
    /// What a later version may have added.
    others: Map<String, Value>,
}

impl Terms {
    /// The terms of a session with these entries. What makes no sense counts as not said.
    #[must_use]
    pub fn of(entries: &Entries) -> Self {
        entries.get(RESERVED_KEY).map_or_else(Self::default, Self::parse)
    }

    pub(crate) fn parse(text: &str) -> Self {
        let Ok(mut others) = serde_json::from_str::<Map<String, Value>>(text) else { return Self::default() };
        Self {
            until: others.remove("until").and_then(|value| value.as_u64()),
            earlier: others.remove("earlier").and_then(|value| value.as_u64()),
            browser_session: others.remove("browser").is_some_and(|value| value == Value::Bool(true)),
            pinned: others.remove("id").is_some_and(|value| value == Value::Bool(true)),
            others,
        }
    }

    /// Gives it another last second, or none of its own.
    pub fn end_at(&mut self, until: Option<u64>) {
        self.earlier = self.earlier.max(self.until).filter(|earlier| until.is_none_or(|until| *earlier > until));
        self.until = until;
    }

    /// The last second in which any cookie of it could be believed, if its limits allow no more than `configured`.
    #[must_use]
    pub fn latest(&self, configured: u64) -> u64 {
        [self.until, self.earlier].into_iter().flatten().fold(configured, u64::max)
    }

    /// The JSON text to keep, or `None` when there is nothing to say.
    pub(crate) fn to_json(&self) -> Option<String> {
        let mut object = self.others.clone();
        if let Some(until) = self.until {
            object.insert("until".to_owned(), until.into());
        }
        if let Some(earlier) = self.earlier {
            object.insert("earlier".to_owned(), earlier.into());
        }
        if self.browser_session {
            object.insert("browser".to_owned(), true.into());
        }
        if self.pinned {
            object.insert("id".to_owned(), true.into());
        }
        (!object.is_empty()).then(|| Value::Object(object).to_string())
    }
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { until, earlier, browser_session, pinned, others: _ } = self;
        f.debug_struct("Terms")
            .field("until", until)
            .field("earlier", earlier)
            .field("browser_session", browser_session)
            .field("pinned", pinned)
            .finish_non_exhaustive()
    }
}

/// Keys that begin with this are ours.
pub const RESERVED_PREFIX: char = '$';
pub(crate) const RESERVED_KEY: &str = "$";

/// How far the clocks of two servers may be apart, in seconds.
pub const CLOCK_SKEW: u64 = 60;

/// The longest that a browser keeps a cookie (RFC 6265bis, section 5.5: 400 days), in seconds.
pub const MAX_COOKIE_AGE: u64 = 400 * 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SessionId;

    const LIMITS: Limits = Limits { idle: 1_800, lifetime: 43_200 };

    fn frame(created_at: u64, issued_at: u64) -> Frame {
        Frame { id: SessionId::from_bytes([0; 16]), created_at, issued_at }
    }

    fn until(second: u64) -> Terms {
        Terms { until: Some(second), ..Terms::default() }
    }

    #[test]
    fn a_session_lives_through_its_last_second() {
        let terms = Terms::default();
        assert!(!LIMITS.is_over(&frame(0, 0), &terms, 1_800));
        assert!(LIMITS.is_over(&frame(0, 0), &terms, 1_801));
        assert!(!LIMITS.is_over(&frame(0, 43_000), &terms, 43_200));
        assert!(LIMITS.is_over(&frame(0, 43_000), &terms, 43_201));
    }

    #[test]
    fn a_lifetime_of_its_own_goes_before_the_configured_ones() {
        assert!(!LIMITS.is_over(&frame(0, 0), &until(100_000), 100_000));
        assert!(LIMITS.is_over(&frame(0, 0), &until(10), 11));
    }

    #[test]
    fn a_visit_extends_after_an_eighth_of_the_idle_window() {
        let terms = Terms::default();
        assert!(!LIMITS.wants_extension(&frame(0, 1_000), &terms, 1_224));
        assert!(LIMITS.wants_extension(&frame(0, 1_000), &terms, 1_225));
    }

    #[test]
    fn nothing_is_extended_that_would_not_live_longer() {
        assert!(!LIMITS.wants_extension(&frame(0, 42_000), &Terms::default(), 42_500));
        assert!(!LIMITS.wants_extension(&frame(0, 0), &until(100_000), 1_800));
    }

    #[test]
    fn times_from_the_future_or_out_of_order_are_not_believed() {
        assert!(is_plausible(&frame(0, 1_060), 1_000));
        assert!(!is_plausible(&frame(0, 1_061), 1_000));
        assert!(!is_plausible(&frame(1_001, 1_000), 1_000));
        assert!(!is_plausible(&frame(u64::MAX, 1_000), 1_000));
    }

    #[test]
    fn terms_round_trip_and_keep_what_a_later_version_added() {
        let text = r#"{"browser":true,"earlier":9,"id":true,"new":[1],"until":7}"#;
        assert_eq!(Terms::parse(text).to_json().as_deref(), Some(text));
        assert_eq!(Terms::default().to_json(), None);
    }

    #[test]
    fn an_earlier_end_is_kept_while_it_is_the_later_one() {
        let mut terms = until(100);
        terms.end_at(Some(50));
        assert_eq!((terms.until, terms.earlier, terms.latest(0)), (Some(50), Some(100), 100));
        terms.end_at(None);
        assert_eq!((terms.until, terms.earlier, terms.latest(200)), (None, Some(100), 200));
        terms.end_at(Some(300));
        assert_eq!((terms.until, terms.earlier, terms.latest(0)), (Some(300), None, 300));
    }

    #[test]
    fn terms_that_make_no_sense_are_not_said() {
        for text in ["null", "7", "[]", r#"{"until":"x"}"#, r#"{"until":-1}"#, r#"{"browser":1}"#] {
            assert_eq!(Terms::parse(text), Terms::default(), "{text}");
        }
    }
}
