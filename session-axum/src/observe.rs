//! What is counted and logged of the sessions. The counters need the feature `metrics`: without it nothing is counted,
//! and these functions only write their log lines, if they have any.

#[cfg(feature = "metrics")]
mod count;

use std::cell::Cell;

use session_core::store::StoreErrorKind;

use crate::{
    config::Settings,
    state::{
        loaded::Ended,
        outcome::{Outcome, Plan},
    },
    wire::request_cookies::RequestCookies,
};

/// A value that a request sends and that may lead to a session or to messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Session,
    Flash,
    Bearer,
}

impl Sent {
    /// Returns where the session of a request came from, if one came.
    pub(crate) const fn of(cookies: &RequestCookies) -> Self {
        if cookies.bearer().is_some() { Self::Bearer } else { Self::Session }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Flash => "flash",
            Self::Bearer => "bearer",
        }
    }
}

/// Why a value that a request sent does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is no token.
    Malformed,
    /// Its key is none of the layer's keys.
    UnknownKey,
    /// Its signature or its encryption is wrong, or it belongs to another name or application.
    Forged,
    /// It was made in the future.
    Future,
    /// It is too old. Only for messages: the end of a session by its limits is counted on its own.
    Expired,
    /// It is authentic, but its content or the session's record cannot be read.
    Unreadable,
    /// More values came than the layer verifies.
    TooMany,
    /// Values of two different sessions came.
    Rivals,
    /// It is authentic, but the store knows nothing of its session.
    Unknown,
    /// Its session was logged out, renewed or revoked.
    Ended,
}

impl Refused {
    const ALL: [Self; 10] = [
        Self::Malformed,
        Self::UnknownKey,
        Self::Forged,
        Self::Future,
        Self::Expired,
        Self::Unreadable,
        Self::TooMany,
        Self::Rivals,
        Self::Unknown,
        Self::Ended,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::Forged => "forged",
            Self::Future => "future",
            Self::Expired => "expired",
            Self::Unreadable => "unreadable",
            Self::TooMany => "too_many",
            Self::Rivals => "rivals",
            Self::Unknown => "unknown",
            Self::Ended => "ended",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// The reasons for which values of one request do not count, each once: a flood of cookies is one refusal.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Cell<u16>);

impl Refusals {
    #[inline]
    pub(crate) fn note(&self, why: Refused) {
        self.0.set(self.0.get() | why.bit());
    }

    /// Returns the value. If there is none, notes why.
    #[inline]
    pub(crate) fn unless_none<T>(&self, value: Option<T>, why: Refused) -> Option<T> {
        if value.is_none() {
            self.note(why);
        }
        value
    }

    /// Adds the reasons for which another value does not count.
    pub(crate) fn add(&self, others: &Self) {
        self.0.set(self.0.get() | others.0.get());
    }

    pub(crate) const fn has(&self, why: Refused) -> bool {
        self.0.get() & why.bit() != 0
    }

    /// Counts and logs the refusals.
    pub(crate) fn report(&self, sent: Sent) {
        if self.0.get() != 0 {
            self.report_each(sent);
        }
    }

    #[cold]
    fn report_each(&self, sent: Sent) {
        Refused::ALL.into_iter().filter(|why| self.has(*why)).for_each(|why| refused(sent, why));
    }
}

/// A value that a request sent does not count.
pub(crate) fn refused(sent: Sent, why: Refused) {
    let (sent, reason) = (sent.label(), why.label());
    tracing::debug!(
        name: "session.refused", target: "session_axum::session",
        sent, reason, "a cookie or token is refused"
    );
    #[cfg(feature = "metrics")]
    count::add(count::REFUSED, &[("cookie", sent), ("reason", reason)], 1);
}

/// The session that came with a request is over.
#[cold]
pub(crate) fn over(over: Ended, sent: Sent) {
    match over {
        Ended::Expired => expired(),
        Ended::Elsewhere => refused(sent, Refused::Ended),
    }
}

/// A session has expired, before its request or while it ran.
#[cold]
pub(crate) fn expired() {
    tracing::debug!(
        name: "session.expired", target: "session_axum::session",
        "a session has expired"
    );
    #[cfg(feature = "metrics")]
    count::add(count::EXPIRED, &[], 1);
}

/// A plan was carried out. Its outcome is what has become of the session.
pub(crate) fn carried_out(plan: Plan<'_>) {
    let (changes, had_session) = (plan.changes, plan.loaded.session().is_some());
    if changes.destroys() {
        destroyed(Destroyed::ByRequest, plan.loaded.rivals().count() as u64);
    }
    match plan.outcome {
        Outcome::Saved if !had_session => {
            tracing::debug!(
                name: "session.created", target: "session_axum::session",
                "a session begins"
            );
            #[cfg(feature = "metrics")]
            count::add(count::CREATED, &[], 1);
        }
        Outcome::Replaced => {
            let kind = match (changes.destroys(), changes.begins_anew()) {
                (true, _) => "replace",
                (false, true) => "renew",
                (false, false) => "rotate",
            };
            tracing::debug!(
                name: "session.renewed", target: "session_axum::session",
                kind, "a session gets a new id"
            );
            #[cfg(feature = "metrics")]
            count::add(count::RENEWED, &[("kind", kind)], 1);
        }
        Outcome::Removed if had_session => {
            destroyed(if changes.destroys() { Destroyed::ByRequest } else { Destroyed::Emptied }, 1);
        }
        _ => {}
    }
}

/// How a session was ended before its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destroyed {
    /// By a request of its own visitor, such as a log-out.
    ByRequest,
    /// Its last value was removed.
    Emptied,
    /// By [`Sessions`](crate::Sessions).
    Revoked,
    /// Because its owner has more sessions than the layer allows.
    Limit,
}

/// Sessions were ended before their limits.
pub(crate) fn destroyed(how: Destroyed, sessions: u64) {
    if sessions == 0 {
        return;
    }
    let cause = match how {
        Destroyed::ByRequest => "request",
        Destroyed::Emptied => "emptied",
        Destroyed::Revoked => "revoked",
        Destroyed::Limit => "limit",
    };
    tracing::debug!(
        name: "session.destroyed", target: "session_axum::session",
        cause, sessions, "a session is destroyed"
    );
    #[cfg(feature = "metrics")]
    count::add(count::DESTROYED, &[("cause", cause)], sessions);
}

/// A response sets these cookies.
#[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "only the counters need them"))]
pub(crate) fn set_cookies(settings: &Settings, cookies: &[String]) {
    #[cfg(feature = "metrics")]
    for cookie in cookies {
        let Some((name, rest)) = cookie.split_once('=') else { continue };
        let value = rest.split(';').next().unwrap_or_default();
        // A cookie without a value removes one.
        if !value.is_empty() {
            count::record(
                count::COOKIE_BYTES,
                &[("cookie", settings.kind_of_cookie(name))],
                (name.len() + value.len()) as f64,
            );
        }
    }
}

/// A store has answered, or its time is over.
#[cfg_attr(not(feature = "metrics"), expect(unused_variables, reason = "only the counters need them"))]
pub(crate) fn store_call(operation: &'static str, began: std::time::Instant, error: Option<StoreErrorKind>) {
    #[cfg(feature = "metrics")]
    {
        let outcome = match error {
            None => "ok",
            Some(StoreErrorKind::Unavailable) => "unavailable",
            Some(StoreErrorKind::Unreadable) => "unreadable",
            Some(_) => "refused",
        };
        count::add(count::STORE_CALLS, &[("operation", operation), ("outcome", outcome)], 1);
        count::record(count::STORE_SECONDS, &[("operation", operation)], began.elapsed().as_secs_f64());
    }
}

/// Describes the counters to the recorder of the application.
pub(crate) fn describe() {
    #[cfg(feature = "metrics")]
    count::describe();
}
