//! The metadata of a session, which is kept under the reserved key `$`.

use std::{collections::BTreeMap, fmt};

use serde_json::value::RawValue;

/// The data that the library keeps about a session, such as an end that differs from the configured limits. It is kept
/// with the application's entries, under the key `$`, and the application does not see it.
///
/// # Examples
///
/// ```
/// use session_core::store::Metadata;
///
/// let mut metadata = Metadata::from_json(r#"{"until":100,"later":[1.0]}"#);
/// metadata.browser_session = true;
/// // Members of a later version are kept.
/// assert_eq!(metadata.to_json().as_deref(), Some(r#"{"browser":true,"later":[1.0],"until":100}"#));
/// ```
#[derive(Clone, Default)]
pub struct Metadata {
    /// The last second of this session, in seconds since 1970. It replaces the configured limits ("remember me").
    pub until: Option<u64>,
    /// The last second of an earlier cookie of this session, in seconds since 1970, if it is later than `until`.
    pub earlier: Option<u64>,
    /// Whether the cookie gets no `Max-Age`, so that it ends with the browser. This overrides the configuration.
    pub browser_session: bool,
    /// Whether the application asked for the session's id while there were no entries. Such a session is kept although
    /// it is empty.
    pub id_was_asked: bool,
    /// Other members, which a later version may have written, as their JSON texts.
    others: BTreeMap<String, Box<RawValue>>,
}

impl Metadata {
    /// The metadata of a new session: nothing is set.
    pub const NONE: Self =
        Self { until: None, earlier: None, browser_session: false, id_was_asked: false, others: BTreeMap::new() };

    /// Reads the JSON text under `$`. A member with another type than expected counts as missing, and so does
    /// everything in a text that is not an object.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Metadata;
    ///
    /// assert_eq!(Metadata::from_json(r#"{"until":100}"#).until, Some(100));
    /// assert_eq!(Metadata::from_json(r#"{"until":"soon"}"#), Metadata::NONE);
    /// ```
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

    /// Returns the JSON text to write under `$`, with its members sorted; `None` if there is nothing to write.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Metadata;
    ///
    /// let mut metadata = Metadata::NONE;
    /// assert_eq!(metadata.to_json(), None);
    /// metadata.until = Some(100);
    /// assert_eq!(metadata.to_json().as_deref(), Some(r#"{"until":100}"#));
    /// ```
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

    /// Returns the session's own limits alone.
    pub(crate) fn limits(&self) -> Self {
        Self { until: self.until, browser_session: self.browser_session, ..Self::NONE }
    }

    /// Replaces `until`. If the new end is earlier than the former one, or if the configured limits now decide, the
    /// former end is kept in `earlier`: a copy of the former cookie may be in use until then.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Metadata;
    ///
    /// let mut metadata = Metadata::NONE;
    /// metadata.end_at(Some(100));
    /// metadata.end_at(Some(50));
    /// assert_eq!((metadata.until, metadata.earlier), (Some(50), Some(100)));
    /// ```
    pub fn end_at(&mut self, until: Option<u64>) {
        self.earlier = self.earlier.max(self.until).filter(|earlier| until.is_none_or(|until| *earlier > until));
        self.until = until;
    }

    /// Returns the last second in which a cookie of this session can be valid, in seconds since 1970. `configured` is
    /// the last second by the configured limits.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Metadata;
    ///
    /// let mut metadata = Metadata::NONE;
    /// metadata.end_at(Some(100));
    /// metadata.end_at(Some(50));
    /// assert_eq!(metadata.latest(70), 100);
    /// assert_eq!(metadata.latest(200), 200);
    /// ```
    #[must_use]
    pub fn latest(&self, configured: u64) -> u64 {
        [self.until, self.earlier].into_iter().flatten().fold(configured, u64::max)
    }
}

/// The metadata to which references point if a session has none.
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

/// The reserved key under which a session keeps its metadata.
pub(crate) const RESERVED_KEY: &str = "$";
/// The first character of reserved keys, which the application cannot use.
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
