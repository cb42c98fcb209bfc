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
    /// The idle timeout of this session, in seconds. It replaces the configured one.
    pub idle: Option<u64>,
    /// Whether the cookie gets no `Max-Age`, so that it ends with the browser. This overrides the configuration.
    pub browser_session: bool,
    /// Whether the application asked for the session's id while there were no entries. Such a session is kept although
    /// it is empty.
    pub id_was_asked: bool,
    /// The time at which the visitor last confirmed who they are, in seconds since 1970.
    pub confirmed: Option<u64>,
    /// The attributes of the cookie that carries the session, during a migration that changes them.
    pub(crate) cookie: Option<String>,
    /// The owner of a session that is kept in a cookie. A store keeps the owner beside the entries.
    owned: Option<Owned>,
    /// The random text to which the values of an encrypted record are bound.
    pub(crate) seal: Option<String>,
    /// Other members, which a later version may have written, as their JSON texts.
    others: BTreeMap<String, Box<RawValue>>,
}

/// The owner in a cookie, and the time from which the session belongs to the owner.
#[derive(Clone, PartialEq, Eq)]
struct Owned {
    owner: String,
    since: u64,
}

impl Metadata {
    /// The metadata of a new session: nothing is set.
    pub const NONE: Self = Self {
        until: None,
        idle: None,
        browser_session: false,
        id_was_asked: false,
        confirmed: None,
        cookie: None,
        owned: None,
        seal: None,
        others: BTreeMap::new(),
    };

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
            idle: take("idle").and_then(|value| value.get().parse().ok()),
            browser_session: take("browser").is_some_and(|value| value.get() == "true"),
            id_was_asked: take("id").is_some_and(|value| value.get() == "true"),
            confirmed: take("confirmed").and_then(|value| value.get().parse().ok()),
            cookie: take("cookie").and_then(|value| serde_json::from_str(value.get()).ok()),
            owned: take("owner").and_then(|value| Owned::of_json(value.get())),
            seal: take("seal").and_then(|value| serde_json::from_str(value.get()).ok()),
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
        members.extend(self.idle.map(|seconds| ("idle", seconds.to_string())));
        members.extend(self.browser_session.then(|| ("browser", "true".to_owned())));
        members.extend(self.id_was_asked.then(|| ("id", "true".to_owned())));
        members.extend(self.confirmed.map(|second| ("confirmed", second.to_string())));
        members.extend(self.cookie.as_ref().map(|cookie| ("cookie", serde_json::json!(cookie).to_string())));
        members.extend(self.owned.as_ref().map(|owned| ("owner", owned.to_json())));
        members.extend(self.seal.as_ref().map(|seal| ("seal", serde_json::json!(seal).to_string())));
        if members.is_empty() {
            return None;
        }
        let mut text = Vec::new();
        crate::json::write_object(members.iter().map(|(name, value)| (*name, value.as_str())), &mut text);
        String::from_utf8(text).ok()
    }

    /// Returns the metadata of the session after it has moved to another place. The owner is kept in another way there.
    #[doc(hidden)]
    #[must_use]
    pub fn moved(&self) -> Self {
        Self { cookie: None, owned: None, seal: None, ..self.clone() }
    }

    /// Returns whether the values of the record are encrypted.
    #[doc(hidden)]
    #[must_use]
    pub const fn is_sealed(&self) -> bool {
        self.seal.is_some()
    }

    /// Returns the attributes of the cookie that carries the session, if a migration has noted them.
    #[doc(hidden)]
    #[must_use]
    pub fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// Notes the attributes of the cookie that carries the session.
    #[doc(hidden)]
    pub fn set_cookie(&mut self, attributes: String) {
        self.cookie = Some(attributes);
    }

    /// Returns the session's own limits alone.
    pub(crate) fn limits(&self) -> Self {
        Self { until: self.until, idle: self.idle, browser_session: self.browser_session, ..Self::NONE }
    }

    /// Returns the owner of a session that is kept in a cookie.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::store::Metadata;
    ///
    /// let mut metadata = Metadata::NONE;
    /// metadata.set_owner(Some("ada"), 100);
    /// assert_eq!((metadata.owner(), metadata.owned_since()), (Some("ada"), Some(100)));
    /// assert_eq!(metadata.to_json().as_deref(), Some(r#"{"owner":["ada",100]}"#));
    /// ```
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.owned.as_ref().map(|owned| owned.owner.as_str())
    }

    /// Returns the time from which the session belongs to its owner, in seconds since 1970. A log-out everywhere ends
    /// the session if it came at this time or later.
    #[must_use]
    pub fn owned_since(&self) -> Option<u64> {
        self.owned.as_ref().map(|owned| owned.since)
    }

    /// Sets the owner of a session that is kept in a cookie. `since` is in seconds since 1970. See
    /// [`owner`](Self::owner).
    pub fn set_owner(&mut self, owner: Option<&str>, since: u64) {
        self.owned = owner.map(|owner| Owned { owner: owner.to_owned(), since });
    }
}

impl Owned {
    fn of_json(text: &str) -> Option<Self> {
        let (owner, since) = serde_json::from_str(text).ok()?;
        Some(Self { owner, since })
    }

    fn to_json(&self) -> String {
        serde_json::json!([self.owner, self.since]).to_string()
    }
}

/// The metadata to which references point if a session has none.
pub(crate) static NONE: Metadata = Metadata::NONE;

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        let Self { until, idle, browser_session, id_was_asked, confirmed, cookie, owned, seal, others } = self;
        let text = |others: &BTreeMap<String, Box<RawValue>>| -> Vec<(String, String)> {
            others.iter().map(|(name, value)| (name.clone(), value.get().to_owned())).collect()
        };
        (*until, *idle, *browser_session, *id_was_asked, *confirmed)
            == (other.until, other.idle, other.browser_session, other.id_was_asked, other.confirmed)
            && (cookie, owned, seal) == (&other.cookie, &other.owned, &other.seal)
            && text(others) == text(&other.others)
    }
}

impl Eq for Metadata {}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { until, idle, browser_session, id_was_asked, confirmed, .. } = self;
        f.debug_struct("Metadata")
            .field("until", until)
            .field("idle", idle)
            .field("browser_session", browser_session)
            .field("id_was_asked", id_was_asked)
            .field("confirmed", confirmed)
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

    #[test]
    fn metadata_round_trips_and_keeps_what_a_later_version_added() {
        let text = r#"{"browser":true,"confirmed":5,"id":true,"idle":9,"new":[1, 1e3, 123456789012345678901234567890],"owner":["a\"b",8],"seal":"x","until":7}"#;
        assert_eq!(Metadata::from_json(text).to_json().as_deref(), Some(text));
        assert_eq!(Metadata::NONE.to_json(), None);
    }

    const ALL: &str = r#"{"browser":true,"confirmed":5,"cookie":"/;Partitioned","id":true,"idle":9,"later":1,"owner":["ada",8],"seal":"x","until":7}"#;

    #[test]
    fn each_member_has_its_place_and_counts_in_a_comparison() {
        let mut metadata = Metadata {
            until: Some(7),
            idle: Some(9),
            browser_session: true,
            id_was_asked: true,
            confirmed: Some(5),
            seal: Some("x".to_owned()),
            ..Metadata::from_json(r#"{"later":1}"#)
        };
        assert_eq!((metadata.owner(), metadata.owned_since(), metadata.cookie()), (None, None, None));
        metadata.set_owner(Some("ada"), 8);
        metadata.set_cookie("/;Partitioned".to_owned());
        assert_eq!(metadata.to_json().as_deref(), Some(ALL));
        let read = Metadata::from_json(ALL);
        assert_eq!((read.owner(), read.owned_since(), read.cookie()), (Some("ada"), Some(8), Some("/;Partitioned")));
        assert!(read == metadata && read.is_sealed() && !Metadata::NONE.is_sealed());
        let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(ALL).unwrap();
        for name in members.keys() {
            let mut fewer = members.clone();
            fewer.remove(name);
            assert!(read != Metadata::from_json(&serde_json::to_string(&fewer).unwrap()), "{name}");
        }
        metadata.set_owner(None, 8);
        assert_eq!((metadata.owner(), metadata.owned_since()), (None, None));
    }

    #[test]
    fn a_session_that_moved_keeps_all_but_its_owner_its_cookie_and_its_seal() {
        let all = Metadata::from_json(ALL);
        let moved = r#"{"browser":true,"confirmed":5,"id":true,"idle":9,"later":1,"until":7}"#;
        assert_eq!(all.moved().to_json().as_deref(), Some(moved));
        assert_eq!(all.limits().to_json().as_deref(), Some(r#"{"browser":true,"idle":9,"until":7}"#));
    }

    #[test]
    fn debug_shows_the_limits_and_neither_the_owner_nor_the_seal() {
        assert_eq!(
            format!("{:?}", Metadata::from_json(ALL)),
            "Metadata { until: Some(7), idle: Some(9), browser_session: true, id_was_asked: true, confirmed: Some(5), .. }"
        );
    }

    #[test]
    fn metadata_that_makes_no_sense_counts_as_absent() {
        for text in [
            "null",
            "7",
            "[]",
            r#"{"until":"x"}"#,
            r#"{"until":-1}"#,
            r#"{"browser":1}"#,
            r#"{"owner":"ada"}"#,
            r#"{"idle":-1}"#,
            r#"{"confirmed":"now"}"#,
            r#"{"seal":7}"#,
        ] {
            assert_eq!(Metadata::from_json(text), Metadata::NONE, "{text}");
        }
    }
}
