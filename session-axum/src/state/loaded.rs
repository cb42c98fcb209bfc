//! The session of a request as its engine loaded it, or as it was saved while the request ran.

use std::sync::Arc;

use session_core::{
    Limits,
    store::{Base, Entries, Metadata, Record, RecordKey},
    token::{Frame, IdSecret},
};

/// The session that the engine found, if any. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    found: Found,
    /// Two or more live sessions from different cookies. The request gets none of them, because it is unknown which one
    /// is the visitor's. A log-out ends all of them.
    rivals: Option<Arc<[Live]>>,
    /// Whether the request brought an authentic cookie of ours, even if its session is over.
    pub(crate) cookie_came: bool,
    /// Whether the response has to replace or remove the browser's cookie, because of a save during the request.
    pub(crate) cookie_is_stale: bool,
}

#[derive(Clone, Debug)]
enum Found {
    Nothing,
    /// The session ended a moment ago: the request is late.
    #[cfg_attr(not(test), expect(dead_code, reason = "no engine knows of ended sessions yet"))]
    Ended,
    Live(Arc<Live>),
}

/// A session that is alive.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) frame: Frame,
    content: Content,
    /// Whether an older key sealed the cookie.
    pub(crate) sealed_by_old_key: bool,
    /// Whether this visit should extend the session.
    pub(crate) is_due: bool,
}

/// The place where the session's content was found.
#[derive(Debug)]
enum Content {
    Cookie(Entries),
    Store(Box<Stored>),
}

/// A session's place in a store.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) key: RecordKey,
    pub(crate) secret: IdSecret,
    pub(crate) record: Record,
    /// Whether the store holds exactly this record. It does not if another request wrote in between.
    pub(crate) is_current: bool,
}

impl Loaded {
    /// Creates the answer of an engine that found no session and no cookie of ours.
    pub(crate) const fn nothing() -> Self {
        Self { found: Found::Nothing, rivals: None, cookie_came: false, cookie_is_stale: false }
    }

    /// Creates the answer for a session that has ended.
    #[cfg(test)]
    pub(crate) const fn ended() -> Self {
        Self { found: Found::Ended, rivals: None, cookie_came: true, cookie_is_stale: false }
    }

    /// Creates the answer for a session that is alive.
    pub(crate) fn live(live: Live) -> Self {
        Self { found: Found::Live(Arc::new(live)), rivals: None, cookie_came: true, cookie_is_stale: false }
    }

    /// Creates the answer for an authentic cookie of ours without a live session.
    pub(crate) const fn nothing_behind_a_cookie() -> Self {
        Self { found: Found::Nothing, rivals: None, cookie_came: true, cookie_is_stale: false }
    }

    /// Creates the answer for the sessions of several cookies. If all cookies belong to one session, the newest cookie
    /// counts; of equally new cookies, the last one counts. Sessions with different ids are rivals: the request gets
    /// none of them.
    pub(crate) fn newest(lives: Vec<Live>) -> Self {
        let mut newest: Vec<Live> = Vec::new();
        for live in lives {
            match newest.iter_mut().find(|known| known.frame.id == live.frame.id) {
                Some(known) if known.frame.issued_at > live.frame.issued_at => {}
                Some(known) => *known = live,
                None => newest.push(live),
            }
        }
        match newest.pop() {
            Some(only) if newest.is_empty() => Self::live(only),
            Some(last) => {
                newest.push(last);
                Self { rivals: Some(newest.into()), ..Self::nothing_behind_a_cookie() }
            }
            None => Self::nothing_behind_a_cookie(),
        }
    }

    /// Returns the sessions that are rivals. The list is empty unless cookies of different sessions came.
    pub(crate) fn rivals(&self) -> &[Live] {
        self.rivals.as_deref().unwrap_or_default()
    }

    /// Sets whether an authentic cookie came with the request, and whether the browser's cookie is stale.
    pub(crate) fn with_cookie(mut self, came: bool, is_stale: bool) -> Self {
        (self.cookie_came, self.cookie_is_stale) = (came, is_stale);
        self
    }

    pub(crate) fn session(&self) -> Option<&Live> {
        match &self.found {
            Found::Live(live) => Some(live),
            Found::Nothing | Found::Ended => None,
        }
    }

    /// Returns whether an older key sealed the cookie.
    pub(crate) fn has_old_seal(&self) -> bool {
        self.session().is_some_and(|live| live.sealed_by_old_key)
    }

    pub(crate) const fn is_ended(&self) -> bool {
        matches!(self.found, Found::Ended)
    }

    pub(crate) fn stored(&self) -> Option<&Stored> {
        self.session().and_then(Live::stored)
    }

    pub(crate) fn entries(&self) -> &Entries {
        self.base().entries
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        self.entries().metadata()
    }

    /// Returns the entries, the owner and the label, to which the changes are applied.
    pub(crate) fn base(&self) -> Base<'_> {
        self.session().map_or(Base::NOTHING, Live::base)
    }
}

impl Live {
    /// Creates a session from the content of its cookie.
    pub(crate) const fn in_cookie(frame: Frame, entries: Entries, sealed_by_old_key: bool) -> Self {
        Self { frame, content: Content::Cookie(entries), sealed_by_old_key, is_due: false }
    }

    /// Creates a session from its record in a store.
    pub(crate) fn in_store(stored: Stored, sealed_by_old_key: bool) -> Self {
        let Record { id, created_at, seen_at, .. } = stored.record;
        let frame = Frame { id, created_at, issued_at: seen_at };
        Self { frame, content: Content::Store(Box::new(stored)), sealed_by_old_key, is_due: false }
    }

    /// Checks the session's limits. Returns `None` if the session has expired. Otherwise notes whether this visit
    /// should extend the session.
    pub(crate) fn unless_over(mut self, limits: Limits, now: u64) -> Option<Self> {
        let (times, metadata) = (self.frame.times(), self.base().entries.metadata());
        if limits.is_over(times, metadata, now) {
            tracing::debug!("a session has expired");
            return None;
        }
        self.is_due = limits.wants_extension(times, metadata, now);
        Some(self)
    }

    pub(crate) fn base(&self) -> Base<'_> {
        match &self.content {
            Content::Cookie(entries) => Base { entries, ..Base::NOTHING },
            Content::Store(stored) => stored.record.base(),
        }
    }

    pub(crate) fn stored(&self) -> Option<&Stored> {
        match &self.content {
            Content::Cookie(_) => None,
            Content::Store(stored) => Some(stored),
        }
    }
}
