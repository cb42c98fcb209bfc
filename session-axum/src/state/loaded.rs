//! The session of a request as its engine loaded it, or as it was saved while the request ran.

use std::sync::Arc;

use session_core::{
    Limits, SessionId,
    store::{Base, Entries, Metadata, Record, RecordKey},
    token::{Frame, IdSecret},
};

/// The session that the engine found, if any. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    found: Found,
    /// Two or more live sessions from different cookies. The request gets none of them, because it is unknown which one
    /// is the visitor's. A log-out ends all of them.
    rivals: Option<Arc<Vec<Arc<Live>>>>,
    /// Whether the request brought an authentic cookie of ours, even if its session is over.
    pub(crate) cookie_came: bool,
    /// Whether it is known that this session's cookie was the only one under the session's name.
    pub(crate) had_one_cookie: bool,
    /// Whether the response has to replace or remove the browser's cookie, because of a save during the request.
    pub(crate) cookie_is_stale: bool,
    /// Whether the session was rotated, or has moved to another place, and its successor is unknown here.
    has_unknown_successor: bool,
    /// Whether the session was found by another cookie than its own. It is looked up again before its cookie is set.
    pub(crate) is_found_by_former: bool,
    /// Why the session that came with the request is over.
    pub(crate) over: Option<Ended>,
}

#[derive(Clone, Debug)]
enum Found {
    Nothing,
    /// The session ended a moment ago: the request is late.
    Ended,
    Live(Arc<Live>),
}

/// Why the session that a browser sent is over.
///
/// # Examples
///
/// ```
/// # use axum::{Router, routing::get};
/// # use std::time::Duration;
/// # use session_axum::{Ended, Keys, Session, SessionLayer, testing::{Client, ManualClock, TestSession}};
/// async fn page(session: Session) -> &'static str {
///     match session.ended() {
///         Some(Ended::Expired) => "Your session has expired. Please log in again.",
///         Some(Ended::Elsewhere) => "You have been logged out.",
///         _ => "Hello",
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let clock = ManualClock::at(1_700_000_000);
/// # let layer = SessionLayer::signed(Keys::generate()).clock(clock.clone());
/// # let client = Client::new(Router::new().route("/", get(page)).layer(layer.clone()));
/// client.enter(&TestSession::new(&layer).insert("user", "ada"));
/// assert_eq!(client.get("/").await.text(), "Hello");
/// clock.advance(Duration::from_secs(25 * 60 * 60));
/// assert_eq!(client.get("/").await.text(), "Your session has expired. Please log in again.");
/// # });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// The time limits of the session are over.
    Expired,
    /// The session was logged out, renewed or revoked, by another request than this one.
    Elsewhere,
}

/// A session that is alive.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) frame: Frame,
    content: Content,
    /// Whether an older key sealed the cookie.
    pub(crate) sealed_by_old_key: bool,
    /// Whether this visit should extend the session.
    pub(crate) is_due: bool,
    /// Whether the request came with the id from before a rotation. Such a request reads the session, but can only end
    /// or renew it.
    pub(crate) is_late: bool,
    /// The id that the session has now, if the request came with a former id and the data is in the cookie.
    pub(crate) successor: Option<SessionId>,
}

/// A session in this layer's place, and in the former one from which it moves here.
#[derive(Default)]
pub(crate) struct Places {
    pub(crate) here: Option<Arc<Live>>,
    pub(crate) former: Option<Arc<Live>>,
}

/// The place where the session's content was found.
#[derive(Clone, Debug)]
enum Content {
    Cookie(Entries),
    Store(Box<Stored>),
    Arriving(Box<Arriving>),
}

/// A session that moves into a store with the response.
#[derive(Clone, Debug)]
pub(crate) struct Arriving {
    pub(crate) entries: Entries,
    pub(crate) owner: Option<String>,
    pub(crate) label: Option<String>,
    /// The secret that the cookie will carry, and the key of the record.
    pub(crate) secret: IdSecret,
    pub(crate) key: RecordKey,
    /// The key of the entry that says that the session has moved, and the last second in which it is needed.
    pub(crate) mark: Option<(RecordKey, u64)>,
}

/// A session's place in a store.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) secret: IdSecret,
    pub(crate) record: Record,
    /// Whether the store holds exactly this record. It does not if another request wrote in between.
    pub(crate) is_current: bool,
}

impl Loaded {
    /// Creates the answer of an engine that found no session and no cookie of ours.
    pub(crate) const fn nothing() -> Self {
        Self {
            found: Found::Nothing,
            rivals: None,
            cookie_came: false,
            had_one_cookie: false,
            cookie_is_stale: false,
            has_unknown_successor: false,
            is_found_by_former: false,
            over: None,
        }
    }

    /// Creates the answer for a session that ended a moment ago.
    pub(crate) fn ended() -> Self {
        Self { found: Found::Ended, over: Some(Ended::Elsewhere), ..Self::nothing_behind_a_cookie(None) }
    }

    /// Creates the answer for a session that is alive.
    pub(crate) fn live(live: impl Into<Arc<Live>>) -> Self {
        Self { found: Found::Live(live.into()), ..Self::nothing_behind_a_cookie(None) }
    }

    /// Creates the answer for an authentic cookie of ours without a live session. `over` is why the session is over, if
    /// the engine knows it.
    pub(crate) fn nothing_behind_a_cookie(over: Option<Ended>) -> Self {
        Self { cookie_came: true, over, ..Self::nothing() }
    }

    /// Creates the answer for the sessions of several cookies. If all cookies belong to one session, the newest cookie
    /// counts; of equally new cookies, the last one counts. Sessions with different ids are rivals: the request gets
    /// none of them. A cookie from before a rotation does not count beside the cookie of a session, and cookies from
    /// before several rotations of one session are cookies of this session.
    pub(crate) fn newest(mut lives: Vec<Arc<Live>>) -> Self {
        if lives.iter().any(|live| !live.is_late) {
            lives.retain(|live| !live.is_late);
        }
        let mut newest: Vec<Arc<Live>> = Vec::new();
        for live in lives {
            match newest.iter_mut().find(|known| known.id_now() == live.id_now()) {
                Some(known) if known.frame.issued_at > live.frame.issued_at => {}
                Some(known) => *known = live,
                None => newest.push(live),
            }
        }
        match newest.pop() {
            Some(only) if newest.is_empty() => Self::live(only),
            Some(last) => {
                newest.push(last);
                Self { rivals: Some(Arc::new(newest)), ..Self::nothing_behind_a_cookie(None) }
            }
            None => Self::nothing_behind_a_cookie(None),
        }
    }

    /// Returns what is left after another request has renewed the session: no session, behind a cookie of ours.
    pub(crate) fn overtaken(&self) -> Self {
        Self { cookie_is_stale: self.cookie_is_stale, ..Self::nothing_behind_a_cookie(None) }
    }

    /// Returns the sessions that are rivals. The list is empty unless cookies of different sessions came.
    pub(crate) fn rivals(&self) -> impl Iterator<Item = &Live> {
        self.rivals.iter().flat_map(|rivals| rivals.iter()).map(|live| &**live)
    }

    pub(crate) const fn has_rivals(&self) -> bool {
        self.rivals.is_some()
    }

    /// Sets whether an authentic cookie came with the request, and whether the browser's cookie is stale.
    pub(crate) fn with_cookie(mut self, came: bool, is_stale: bool) -> Self {
        (self.cookie_came, self.cookie_is_stale) = (came, is_stale);
        self
    }

    /// Notes that this session's cookie was the only one under the session's name.
    pub(crate) fn in_the_only_cookie(mut self) -> Self {
        self.had_one_cookie = true;
        self
    }

    /// Notes that the session was rotated, or has moved, and that its successor is unknown here.
    pub(crate) fn with_unknown_successor(mut self, is_unknown: bool) -> Self {
        self.has_unknown_successor = is_unknown;
        self
    }

    /// Notes that the session was found by another cookie than its own.
    pub(crate) fn found_by_former(mut self) -> Self {
        self.is_found_by_former = true;
        self
    }

    /// Returns whether it is known that the session ended by a log-out, a renewal or its limits, and not by a rotation.
    pub(crate) const fn has_own_end(&self) -> bool {
        self.over.is_some() && !self.has_unknown_successor
    }

    /// Returns the session that moves into a store with the response, if it does.
    pub(crate) fn arriving(&self) -> Option<&Arriving> {
        self.session().and_then(Live::arriving)
    }

    pub(crate) fn session(&self) -> Option<&Live> {
        self.shared_session().map(|live| &**live)
    }

    pub(crate) const fn shared_session(&self) -> Option<&Arc<Live>> {
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

    /// Returns whether the request came with an id that its session does not have any more. Such a request changes the
    /// session only if it begins one anew.
    pub(crate) fn came_late(&self) -> bool {
        self.is_ended() || self.session().is_some_and(|live| live.is_late)
    }

    pub(crate) fn stored(&self) -> Option<&Stored> {
        self.session().and_then(Live::stored)
    }

    /// Returns the id, the times and the secret of a session in a store. Returns `None` if there is none, or if the
    /// request came with the id from before a rotation.
    pub(crate) fn token(&self) -> Option<(Frame, &IdSecret)> {
        let live = self.session().filter(|live| !live.is_late)?;
        Some((live.frame, &live.stored()?.secret))
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
        Self {
            frame,
            content: Content::Cookie(entries),
            sealed_by_old_key,
            is_due: false,
            is_late: false,
            successor: None,
        }
    }

    /// Creates a session that moves into a store with the response.
    pub(crate) fn arriving_in_store(frame: Frame, arriving: Arriving) -> Self {
        Self { content: Content::Arriving(Box::new(arriving)), ..Self::in_cookie(frame, Entries::NONE, true) }
    }

    /// Creates a session from its record in a store.
    pub(crate) fn in_store(stored: Stored, sealed_by_old_key: bool) -> Self {
        let Record { key, created_at, seen_at, .. } = stored.record;
        let frame = Frame { id: key.id(), created_at, issued_at: seen_at };
        Self {
            frame,
            content: Content::Store(Box::new(stored)),
            sealed_by_old_key,
            is_due: false,
            is_late: false,
            successor: None,
        }
    }

    /// Checks the session's limits. Returns `None` if the session has expired. Otherwise notes whether this visit
    /// should extend the session.
    pub(crate) fn unless_over(mut self, limits: Limits, now: u64) -> Option<Self> {
        let (times, metadata) = (self.frame.times(), self.base().entries.metadata());
        if limits.is_over(times, metadata, now) {
            return None;
        }
        self.is_due = limits.wants_extension(times, metadata, now);
        Some(self)
    }

    /// Marks the session as found by the id from before a rotation: this request never sets its cookie.
    pub(crate) const fn make_late(&mut self, successor: Option<SessionId>) {
        (self.is_late, self.is_due, self.sealed_by_old_key) = (true, false, false);
        self.successor = successor;
    }

    /// Returns the id that the session has now, as far as it is known.
    pub(crate) fn id_now(&self) -> SessionId {
        self.successor.unwrap_or(self.frame.id)
    }

    /// Iterates over the id that came with the request, and then the id that the session has now if it is another one.
    pub(crate) fn ids(&self) -> impl Iterator<Item = SessionId> {
        [Some(self.frame.id), self.successor].into_iter().flatten()
    }

    pub(crate) fn base(&self) -> Base<'_> {
        match &self.content {
            Content::Cookie(entries) => Base { entries, owner: entries.metadata().owner(), label: None },
            Content::Store(stored) => stored.record.base(),
            Content::Arriving(arriving) => {
                let Arriving { entries, owner, label, .. } = &**arriving;
                Base { entries, owner: owner.as_deref(), label: label.as_deref() }
            }
        }
    }

    pub(crate) fn arriving(&self) -> Option<&Arriving> {
        match &self.content {
            Content::Arriving(arriving) => Some(arriving),
            Content::Cookie(_) | Content::Store(_) => None,
        }
    }

    pub(crate) fn stored(&self) -> Option<&Stored> {
        match &self.content {
            Content::Cookie(_) | Content::Arriving(_) => None,
            Content::Store(stored) => Some(stored),
        }
    }
}
