//! What becomes of a session with a response: decided here, and nowhere else.

use session_core::{Changes, Frame, Limits, Metadata, SessionId, Times};

use super::loaded::{Live, Loaded};

/// What becomes of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing is to be written.
    Unchanged,
    /// The session expired while its request ran: the changes are dropped.
    Expired,
    /// The session had ended before the request came: the changes are dropped.
    Ended,
    /// The session stays as it is and lives longer, or under a newer key.
    Extended,
    /// The session has other content, or is the first of this browser.
    Saved,
    /// There is no session any more.
    Removed,
    /// The session has another id, or is another session.
    Replaced,
}

/// What a decision goes by, besides the session and its changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    /// Whether the engine keeps owners and labels.
    pub(crate) keeps_owners: bool,
    /// Whether the session's data travels in its cookie.
    pub(crate) data_travels: bool,
    /// Whether cookies outlive the browser unless a session says otherwise.
    pub(crate) is_persistent: bool,
    /// Whether the response saves: a server error only ends sessions.
    pub(crate) saves: bool,
}

/// Decides what becomes of a session.
pub(crate) fn decide(loaded: &Loaded, changes: &Changes, rules: &Rules, now: u64) -> Outcome {
    let kept;
    let changes = if rules.keeps_owners {
        changes
    } else {
        kept = changes.without_owner();
        &kept
    };
    // A late request neither undoes a log-out nor overwrites a log-in. A handler that begins a session does so on
    // purpose, and that is a log-in.
    let begins_on_purpose = || changes.begins_anew() && !changes.leave_nothing(loaded.base());
    if loaded.is_ended() && !begins_on_purpose() {
        return Outcome::Ended;
    }
    match loaded.session() {
        None if !changes.leave_nothing(loaded.base()) => Outcome::Saved,
        None if changes.destroys() => Outcome::Removed,
        None => Outcome::Unchanged,
        Some(live) => decide_live(live, changes, rules, now),
    }
}

fn decide_live(live: &Live, changes: &Changes, rules: &Rules, now: u64) -> Outcome {
    let base = live.base();
    let differs = changes.differ_from(base);
    let is_due = rules.saves && (live.is_due || (live.sealed_by_old_key && rules.data_travels));
    if !differs && !is_due {
        return Outcome::Unchanged;
    }
    // An end holds also where the session has expired meanwhile.
    if !changes.destroys() && rules.limits.is_over(live.frame.times(), base.entries.metadata(), now) {
        return Outcome::Expired;
    }
    if !differs {
        Outcome::Extended
    } else if changes.leave_nothing(base) {
        Outcome::Removed
    } else if changes.needs_new_id() {
        Outcome::Replaced
    } else {
        Outcome::Saved
    }
}

impl Outcome {
    /// Whether the session is written under an id that it did not have.
    pub(crate) fn gives_new_id(self, loaded: &Loaded) -> bool {
        self == Self::Replaced || (self == Self::Saved && loaded.session().is_none())
    }

    /// Writes a log line if the request's changes are dropped.
    pub(crate) fn log(self, changes: &Changes) {
        match self {
            Self::Expired if !changes.is_empty() => {
                tracing::info!("a session expired while its request ran, and what the request changed is dropped");
            }
            Self::Ended if !changes.is_empty() => {
                tracing::info!("a request came with a session that has ended, and what it changed is dropped");
            }
            _ => {}
        }
    }
}

/// What the response does to the session's cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CookieChange {
    Leave,
    Set,
    Remove,
}

/// Decides what the response does to the cookie. An id travels only where the browser needs it anew.
pub(crate) fn decide_cookie(outcome: Outcome, loaded: &Loaded, changes: &Changes, rules: &Rules) -> CookieChange {
    let outlives = |metadata: &Metadata| outlives_browser(metadata, rules.is_persistent);
    let has_old_seal = loaded.has_old_seal();
    let is_set = match outcome {
        Outcome::Expired | Outcome::Ended => false,
        Outcome::Removed => return CookieChange::Remove,
        Outcome::Unchanged if loaded.cookie_is_stale && loaded.session().is_none() => return CookieChange::Remove,
        Outcome::Unchanged => loaded.cookie_is_stale || (has_old_seal && rules.saves && !rules.data_travels),
        Outcome::Extended | Outcome::Saved | Outcome::Replaced => {
            rules.data_travels
                || outcome.gives_new_id(loaded)
                || has_old_seal
                || loaded.cookie_is_stale
                || outlives(loaded.metadata())
                || outlives(changes.metadata(loaded.entries()))
        }
    };
    if is_set { CookieChange::Set } else { CookieChange::Leave }
}

/// Returns whether the cookie has a `Max-Age`.
pub(crate) const fn outlives_browser(metadata: &Metadata, is_persistent: bool) -> bool {
    (is_persistent || metadata.until.is_some()) && !metadata.browser_session
}

/// An outcome with all that carrying it out needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) outcome: Outcome,
    pub(crate) loaded: &'a Loaded,
    pub(crate) changes: &'a Changes,
    pub(crate) rules: Rules,
    pub(crate) now: u64,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(loaded: &'a Loaded, changes: &'a Changes, rules: Rules, now: u64) -> Self {
        Self { outcome: decide(loaded, changes, &rules, now), loaded, changes, rules, now }
    }

    pub(crate) fn cookie(&self) -> CookieChange {
        decide_cookie(self.outcome, self.loaded, self.changes, &self.rules)
    }

    /// The session's metadata after the changes.
    pub(crate) fn metadata(&self) -> &'a Metadata {
        self.changes.metadata(self.loaded.entries())
    }

    /// The session's times after the response. A session that is not written keeps them.
    pub(crate) fn times(&self) -> Times {
        match (self.outcome, self.loaded.session()) {
            (Outcome::Unchanged | Outcome::Expired | Outcome::Ended, Some(live)) => live.frame.times(),
            (_, Some(live)) if !self.changes.begins_anew() => {
                let created_at = live.frame.created_at;
                Times { created_at, issued_at: self.now.max(created_at) }
            }
            _ => Times { created_at: self.now, issued_at: self.now },
        }
    }

    /// The id and the times under which the session is written.
    pub(crate) fn frame(&self, id: SessionId) -> Frame {
        let Times { created_at, issued_at } = self.times();
        Frame { id, created_at, issued_at }
    }

    /// The session's last second after the response.
    pub(crate) fn last_second(&self) -> u64 {
        self.rules.limits.last_second(self.times(), self.metadata())
    }

    /// For how many seconds a browser keeps the cookie; `None` until it closes.
    pub(crate) fn max_age(&self) -> Option<u64> {
        let outlives = outlives_browser(self.metadata(), self.rules.is_persistent);
        outlives.then(|| self.last_second().saturating_sub(self.now))
    }
}
