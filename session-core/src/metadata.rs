//! A session's metadata: what it says under the reserved key `$`, parsed once and put back when the session is written.

use std::{collections::BTreeMap, fmt};

use serde_json::value::RawValue;

/// What a session carries about itself, besides the application's entries. No accessor of the application shows it.
#[derive(Clone, Default)]
pub struct Metadata {
    /// The session's own last second, in seconds since 1970, instead of the configured limits ("remember me").
    pub until: Option<u64>,
    /// The last second that an earlier cookie of this session was given, if that is later than its end now.
    pub earlier: Option<u64>,
    /// The cookie gets no `Max-Age`, whatever the configuration says.
    pub browser_session: bool,
    /// The application asked for the session's id while the session had no entries, so that it exists without any.
    pub id_was_asked: bool,
    /// Members that a later version may have added, as they were written.
    others: BTreeMap<String, Box<RawValue>>,
}

impl Metadata {
    /// The metadata of a session that says nothing about itself.
    pub const NONE: Self =
        Self { until: None, earlier: None, browser_session: false, id_was_asked: false, others: BTreeMap::new() };

    /// Reads the JSON text under `$`. A member of another type than ours counts as absent, and so does a text that is
    /// no object.
    #[must_use]
    pub fn from_json(text: &str) -> Self {
        let mut others: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap_or_default();
        let mut take = |name: &str| others.remove(name);
        Self {
            until: take("until").and_then(|value| value.get().parse().ok()),
            earlier: take("earlier").and_then(|value| value.get().parse().ok()),
            browser_session: take("browser").is_some_and(|value| value.get() == "true"),
            id_was_asked: take("id").is_some_and(|value| value.get() == "true"),
            others,
        }
    }

    /// Returns the JSON text to write under `$`, or `None` if there is nothing to write.
    #[must_use]
    pub fn to_json(&self) -> Option<String> {
        let mut members: BTreeMap<&str, String> =
            self.others.iter().map(|(name, value)| (name.as_str(), value.get().to_owned())).collect();
        members.extend(self.until.map(|second| ("until", second.to_string())));
        members.extend(self.earlier.map(|second| ("earlier", second.to_string())));
        members.extend(self.browser_session.then(|| ("browser", "true".to_owned())));
        members.extend(self.id_was_asked.then(|| ("id", "true".to_owned())));
        if members.is_empty() {
            return None;
        }
        let mut text = Vec::new();
        crate::json::write_object(members.iter().map(|(name, value)| (*name, value.as_str())), &mut text);
        String::from_utf8(text).ok()
    }

    /// Gives the session another last second, or none of its own.
    pub fn end_at(&mut self, until: Option<u64>) {
        self.earlier = self.earlier.max(self.until).filter(|earlier| until.is_none_or(|until| *earlier > until));
        self.until = until;
    }

    /// Returns the last second in which any cookie of this session could be valid, if its limits allow no more than
    /// `configured`.
    #[must_use]
    pub fn latest(&self, configured: u64) -> u64 {
        [self.until, self.earlier].into_iter().flatten().fold(configured, u64::max)
    }
}

/// What a session without metadata lends out.
pub(crate) static NONE: Metadata = Metadata::NONE;

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        let Self { until, earlier, browser_session, id_was_asked, others } = self;
        let text = |others: &BTreeMap<String, Box<RawValue>>| -> Vec<(String, String)> {
            others.iter().map(|(name, value)| (name.clone(), value.get().to_owned())).collect()
        };
        (*until, *earlier, *browser_session, *id_was_asked)
            == (other.until, other.earlier, other.browser_session, other.id_was_asked)
            && text(others) == text(&other.others)
    }
}

impl Eq for Metadata {}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { until, earlier, browser_session, id_was_asked, others: _ } = self;
        f.debug_struct("Metadata")
            .field("until", until)
            .field("earlier", earlier)
            .field("browser_session", browser_session)
            .field("id_was_asked", id_was_asked)
            .finish_non_exhaustive()
    }
}

/// The key under which a session's metadata is written.
pub(crate) const RESERVED_KEY: &str = "$";
/// Keys that begin with this are not the application's.
pub const RESERVED_PREFIX: char = '$';

#[cfg(test)]
mod tests {
    use super::*;

    fn until(second: u64) -> Metadata {
        Metadata { until: Some(second), ..Metadata::NONE }
    }

    #[test]
    fn metadata_round_trips_and_keeps_what_a_later_version_added() {
        let text = r#"{"browser":true,"earlier":9,"id":true,"new":[1, 1e3, 123456789012345678901234567890],"until":7}"#;
        assert_eq!(Metadata::from_json(text).to_json().as_deref(), Some(text));
        assert_eq!(Metadata::NONE.to_json(), None);
    }

    #[test]
    fn an_earlier_end_is_kept_while_it_is_the_later_one() {
        let mut metadata = until(100);
        metadata.end_at(Some(50));
        assert_eq!((metadata.until, metadata.earlier, metadata.latest(0)), (Some(50), Some(100), 100));
        metadata.end_at(None);
        assert_eq!((metadata.until, metadata.earlier, metadata.latest(200)), (None, Some(100), 200));
        metadata.end_at(Some(300));
        assert_eq!((metadata.until, metadata.earlier, metadata.latest(0)), (Some(300), None, 300));
    }

    #[test]
    fn metadata_that_makes_no_sense_counts_as_absent() {
        for text in ["null", "7", "[]", r#"{"until":"x"}"#, r#"{"until":-1}"#, r#"{"browser":1}"#] {
            assert_eq!(Metadata::from_json(text), Metadata::NONE, "{text}");
        }
    }
}
