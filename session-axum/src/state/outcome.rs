//! The decision about a session at the end of a request. No other file decides this.

use session_core::{
    Limits, SessionId,
    store::{Changes, Metadata, Visit},
    token::{Frame, Times},
};

use super::loaded::{Live, Loaded};
use crate::observe;

/// What happens to a session with the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing is to be written.
    Unchanged,
    /// The session expired while its request ran: the changes are dropped.
    Expired,
    /// The session had ended before the request came, or it was rotated and the request came with its former id: the
    /// changes are dropped.
    Ended,
    /// The session keeps its content. It lives longer, or a newer key seals its cookie.
    Extended,
    /// The session has other content, or is the first of this browser.
    Saved,
    /// There is no session any more.
    Removed,
    /// The session has another id, or is another session.
    Replaced,
}

/// The limits, the properties of the engine, and whether the response saves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    /// Whether the engine keeps owners and labels.
    pub(crate) keeps_owners: bool,
    /// Whether the session's data is in its cookie.
    pub(crate) data_travels: bool,
    /// Whether cookies outlive the browser, unless the session has its own setting.
    pub(crate) is_persistent: bool,
    /// Whether the request is a visit, which extends the session.
    pub(crate) is_visit: bool,
    /// Whether the response saves changes. A server error does not: it can only end the session.
    pub(crate) saves: bool,
}

/// Decides what happens to a session.
pub(crate) fn decide(loaded: &Loaded, changes: &Changes, rules: &Rules, now: u64) -> Outcome {
    let kept;
    let changes = if rules.keeps_owners {
        changes
    } else {
        kept = changes.without_owner();
        &kept
    };
    // A late request must neither undo a log-out nor overwrite a log-in. Only a handler that begins a new session on
    // purpose does so: that is a log-in.
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
    if live.is_late && differs && !changes.begins_anew() {
        return Outcome::Ended;
    }
    let is_sealed_anew = rules.data_travels || live.arriving().is_some();
    let is_due = rules.saves && ((live.is_due && rules.is_visit) || (live.sealed_by_old_key && is_sealed_anew));
    if !differs && !is_due {
        return Outcome::Unchanged;
    }
    // A log-out is also carried out if the session expired while the request ran.
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
    /// Returns whether the session is written under a new id.
    pub(crate) fn gives_new_id(self, loaded: &Loaded) -> bool {
        self == Self::Replaced || (self == Self::Saved && loaded.session().is_none())
    }

    /// Notes a session that expired while its request ran, and writes a log line if the request's changes are dropped.
    pub(crate) fn log(self, changes: &Changes) {
        if self == Self::Expired {
            observe::expired();
        }
        match self {
            Self::Expired if !changes.is_empty() => {
                tracing::info!(
                    name: "session.expired_meanwhile", target: "session_axum::session",
                    "a session expired while its request ran, and what the request changed is dropped"
                );
            }
            Self::Ended if !changes.is_empty() => {
                tracing::info!(
                    name: "session.late_request", target: "session_axum::session",
                    "a request came with a session that has ended, and what it changed is dropped"
                );
            }
            _ => {}
        }
    }
}

/// What the response does with the session's cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CookieChange {
    Leave,
    Set,
    Remove,
}

/// Decides what the response does with the cookie. If the cookie carries only an id, the response does not send it
/// again without need.
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

/// An outcome, and everything that is needed to carry it out.
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

    /// Returns the session that goes on with this plan: it is written or extended, under this id or another one.
    pub(crate) fn continued(&self) -> Option<&'a Live> {
        let goes_on = matches!(self.outcome, Outcome::Extended | Outcome::Saved | Outcome::Replaced);
        self.loaded.session().filter(|_| goes_on && !self.changes.destroys())
    }

    pub(crate) fn cookie(&self) -> CookieChange {
        decide_cookie(self.outcome, self.loaded, self.changes, &self.rules)
    }

    /// Returns the session's metadata after the changes.
    pub(crate) fn metadata(&self) -> &'a Metadata {
        self.changes.metadata(self.loaded.entries())
    }

    /// Returns the session's times after the response. A session that is not written keeps its times.
    pub(crate) fn times(&self) -> Times {
        match (self.outcome, self.loaded.session()) {
            (Outcome::Unchanged | Outcome::Expired | Outcome::Ended, Some(live)) => live.frame.times(),
            (_, Some(live)) if !self.changes.begins_anew() => {
                let Times { created_at, issued_at } = live.frame.times();
                let issued_at = if self.rules.is_visit { self.now.max(created_at) } else { issued_at };
                Times { created_at, issued_at }
            }
            _ => Times { created_at: self.now, issued_at: self.now },
        }
    }

    /// Returns the id and the times of the session that is written.
    pub(crate) fn frame(&self, id: SessionId) -> Frame {
        let Times { created_at, issued_at } = self.times();
        Frame { id, created_at, issued_at }
    }

    /// Returns the visit that the response records: the time of the request and the end of the session after it. A
    /// request that is no visit leaves both as they were.
    pub(crate) fn visit(&self) -> Visit {
        let now = if self.rules.is_visit { self.now } else { self.times().issued_at };
        Visit { now, expires_at: self.last_second() }
    }

    /// Returns the session's last second after the response.
    pub(crate) fn last_second(&self) -> u64 {
        self.rules.limits.last_second(self.times(), self.metadata())
    }

    /// Returns for how many seconds the browser keeps the cookie; `None` if it keeps it until it closes.
    pub(crate) fn max_age(&self) -> Option<u64> {
        let outlives = outlives_browser(self.metadata(), self.rules.is_persistent);
        outlives.then(|| self.last_second().saturating_sub(self.now))
    }
}

#[cfg(test)]
mod tests {
    use session_core::store::Entries;

    use super::*;
    use crate::state::staged::Staged;

    const NOW: u64 = 1_000_000;
    const LIMITS: Limits = Limits { idle: 1_000, lifetime: 10_000, visits: None };

    /// The rules of a layer that keeps the data in the cookie. It has no owners.
    const COOKIE: Rules = Rules {
        limits: LIMITS,
        keeps_owners: false,
        data_travels: true,
        is_persistent: false,
        is_visit: true,
        saves: true,
    };
    /// The rules of a layer that keeps the data in a store, with owners.
    const STORE: Rules = Rules { keeps_owners: true, data_travels: false, ..COOKIE };

    fn live(issued_at: u64, sealed_by_old_key: bool, metadata: &str) -> Live {
        let frame = Frame { id: SessionId::from_bytes([7; 16]), created_at: issued_at, issued_at };
        let entries = Entries::parse(format!(r#"{{{metadata}"a":1}}"#).into()).unwrap();
        Live::in_cookie(frame, entries, sealed_by_old_key)
    }

    fn loaded(state: &str) -> Loaded {
        match state {
            "none" => Loaded::nothing(),
            "live" => Loaded::live(live(NOW - 1, false, "")),
            "due" => Loaded::live(live(NOW - 200, false, "").unless_over(LIMITS, NOW).unwrap()),
            "old key" => Loaded::live(live(NOW - 1, true, "")),
            // It was alive, and due, when the request began.
            "expired" => Loaded::live(live(NOW - 1_001, false, "").unless_over(LIMITS, NOW - 1).unwrap()),
            "ended" => Loaded::ended(),
            // It was rotated, and the request came with the former id.
            "late" => {
                let mut late = live(NOW - 200, true, "").unless_over(LIMITS, NOW).unwrap();
                late.make_late(None);
                Loaded::live(late)
            }
            other => panic!("{other}"),
        }
    }

    fn changes(change: &str, loaded: &Loaded) -> Staged {
        let mut staged = Staged::default();
        for step in change.split(',').map(str::trim) {
            let Staged { changes, .. } = &mut staged;
            match step {
                "nothing" => {}
                "insert" => changes.insert("b", "2".into()),
                "back" => {
                    changes.insert("a", "2".into());
                    match loaded.entries().get("a") {
                        Some(text) => changes.insert("a", text.to_owned()),
                        None => changes.remove("a"),
                    }
                }
                "clear" => changes.clear(loaded.entries()),
                "renew" => changes.renew(),
                "rotate" => changes.rotate(),
                "destroy" => changes.destroy(),
                "id" => changes.ask_id(),
                "owner" => changes.set_owner("ada".into()),
                other => panic!("{other}"),
            }
        }
        staged
    }

    /// Compares each cell of a table with the decision. Each row is a session, and each column is a change.
    #[track_caller]
    fn assert_table(rules: &Rules, table: &str) {
        let mut lines = table.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
        let header = lines.next().unwrap();
        for row in lines {
            assert_eq!(row.len(), header.len(), "{row:?}");
            for (change, expected) in header.iter().zip(&row).skip(1) {
                let loaded = loaded(row[0]);
                let staged = changes(change, &loaded);
                let staged = if rules.saves { staged } else { staged.rolled_back() };
                let decided = decide(&loaded, &staged.changes, rules, NOW);
                assert_eq!(format!("{decided:?}"), *expected, "{} / {change}", row[0]);
            }
        }
    }

    #[test]
    fn what_becomes_of_a_session_whose_data_travels() {
        assert_table(
            &COOKIE,
            "session | nothing   | insert  | back      | clear     | id        | owner     | id, clear
             none    | Unchanged | Saved   | Unchanged | Unchanged | Saved     | Unchanged | Saved
             live    | Unchanged | Saved   | Unchanged | Removed   | Unchanged | Unchanged | Saved
             due     | Extended  | Saved   | Extended  | Removed   | Extended  | Extended  | Saved
             old key | Extended  | Saved   | Extended  | Removed   | Extended  | Extended  | Saved
             expired | Expired   | Expired | Expired   | Expired   | Expired   | Expired   | Expired
             ended   | Ended     | Ended   | Ended     | Ended     | Ended     | Ended     | Ended
             late    | Unchanged | Ended   | Unchanged | Ended     | Unchanged | Unchanged | Ended",
        );
        assert_table(
            &COOKIE,
            "session | renew     | renew, insert | rotate    | rotate, insert | destroy | destroy, insert | destroy, id
             none    | Unchanged | Saved         | Unchanged | Saved          | Removed | Saved           | Saved
             live    | Replaced  | Replaced      | Replaced  | Replaced       | Removed | Replaced        | Replaced
             due     | Replaced  | Replaced      | Replaced  | Replaced       | Removed | Replaced        | Replaced
             old key | Replaced  | Replaced      | Replaced  | Replaced       | Removed | Replaced        | Replaced
             expired | Expired   | Expired       | Expired   | Expired        | Removed | Replaced        | Replaced
             ended   | Ended     | Saved         | Ended     | Ended          | Ended   | Saved           | Saved
             late    | Replaced  | Replaced      | Ended     | Ended          | Removed | Replaced        | Replaced",
        );
    }

    #[test]
    fn what_becomes_of_a_session_in_a_store() {
        assert_table(
            &STORE,
            "session | nothing   | insert  | back      | clear     | id        | owner   | clear, owner
             none    | Unchanged | Saved   | Unchanged | Unchanged | Saved     | Saved   | Saved
             live    | Unchanged | Saved   | Unchanged | Removed   | Unchanged | Saved   | Saved
             due     | Extended  | Saved   | Extended  | Removed   | Extended  | Saved   | Saved
             old key | Unchanged | Saved   | Unchanged | Removed   | Unchanged | Saved   | Saved
             expired | Expired   | Expired | Expired   | Expired   | Expired   | Expired | Expired
             ended   | Ended     | Ended   | Ended     | Ended     | Ended     | Ended   | Ended",
        );
        assert_table(
            &STORE,
            "session | renew     | renew, owner | rotate    | destroy | destroy, insert | destroy, owner
             none    | Unchanged | Saved        | Unchanged | Removed | Saved           | Saved
             live    | Replaced  | Replaced     | Replaced  | Removed | Replaced        | Replaced
             expired | Expired   | Expired      | Expired   | Removed | Replaced        | Replaced
             ended   | Ended     | Saved        | Ended     | Ended   | Saved           | Saved",
        );
    }

    #[test]
    fn a_response_that_saves_nothing_still_ends_a_session() {
        for rules in [COOKIE, STORE] {
            assert_table(
                &Rules { saves: false, ..rules },
                "session | nothing   | insert    | clear     | renew     | id        | owner     | destroy | destroy, insert
                 none    | Unchanged | Unchanged | Unchanged | Unchanged | Unchanged | Unchanged | Removed | Removed
                 live    | Unchanged | Unchanged | Unchanged | Unchanged | Unchanged | Unchanged | Removed | Removed
                 due     | Unchanged | Unchanged | Unchanged | Unchanged | Unchanged | Unchanged | Removed | Removed
                 old key | Unchanged | Unchanged | Unchanged | Unchanged | Unchanged | Unchanged | Removed | Removed
                 expired | Unchanged | Unchanged | Unchanged | Unchanged | Unchanged | Unchanged | Removed | Removed
                 ended   | Ended     | Ended     | Ended     | Ended     | Ended     | Ended     | Ended   | Ended",
            );
        }
    }

    #[test]
    fn a_request_that_is_no_visit_saves_without_extending() {
        let unattended = Rules { is_visit: false, ..COOKIE };
        assert_table(
            &unattended,
            "session | nothing   | insert  | renew    | destroy
             live    | Unchanged | Saved   | Replaced | Removed
             due     | Unchanged | Saved   | Replaced | Removed
             old key | Extended  | Saved   | Replaced | Removed",
        );
        let loaded = loaded("due");
        let staged = changes("insert", &loaded);
        let plan = Plan::new(&loaded, &staged.changes, unattended, NOW);
        assert_eq!(plan.times(), Times { created_at: NOW - 200, issued_at: NOW - 200 });
        assert_eq!(plan.visit(), Visit { now: NOW - 200, expires_at: NOW + 800 });
    }

    #[test]
    fn the_browser_is_sent_an_id_only_where_it_needs_one() {
        use CookieChange::{Leave, Remove, Set};
        let cookie = |loaded: &Loaded, change: &str, rules: &Rules| {
            let staged = changes(change, loaded);
            decide_cookie(decide(loaded, &staged.changes, rules, NOW), loaded, &staged.changes, rules)
        };
        for (state, change, travels, stored) in [
            ("none", "nothing", Leave, Leave),
            ("none", "insert", Set, Set),
            ("none", "destroy", Remove, Remove),
            ("live", "nothing", Leave, Leave),
            ("live", "insert", Set, Leave),
            ("live", "renew", Set, Set),
            ("live", "rotate", Set, Set),
            ("live", "clear", Remove, Remove),
            ("due", "nothing", Set, Leave),
            ("old key", "nothing", Set, Set),
            ("old key", "insert", Set, Set),
            ("expired", "insert", Leave, Leave),
            ("ended", "insert", Leave, Leave),
            ("ended", "destroy", Leave, Leave),
            ("ended", "renew, insert", Set, Set),
            ("late", "nothing", Leave, Leave),
            ("late", "insert", Leave, Leave),
            ("late", "destroy", Remove, Remove),
            ("late", "renew", Set, Set),
        ] {
            let loaded = loaded(state);
            assert_eq!(cookie(&loaded, change, &COOKIE), travels, "{state} / {change}, in a cookie");
            assert_eq!(cookie(&loaded, change, &STORE), stored, "{state} / {change}, in a store");
        }
        let persistent = Rules { is_persistent: true, ..STORE };
        assert_eq!(cookie(&loaded("due"), "nothing", &persistent), Set);
        assert_eq!(cookie(&loaded("live"), "insert", &persistent), Set);
        assert_eq!(cookie(&loaded("live"), "nothing", &persistent), Leave);
        let remembered = Loaded::live(live(NOW - 1, false, r#""$":{"until":2000000},"#));
        assert_eq!(cookie(&remembered, "insert", &STORE), Set);
        let stale = |loaded: Loaded| loaded.with_cookie(true, true);
        assert_eq!(cookie(&stale(loaded("live")), "nothing", &STORE), Set);
        assert_eq!(cookie(&stale(loaded("none")), "nothing", &STORE), Remove);
        assert_eq!(cookie(&stale(loaded("live")), "nothing", &Rules { saves: false, ..STORE }), Set);
    }

    #[test]
    fn a_rotation_keeps_the_creation_time_and_a_renewal_does_not() {
        let loaded = loaded("live");
        for (change, created_at) in [("insert", NOW - 1), ("rotate", NOW - 1), ("renew", NOW), ("destroy, insert", NOW)]
        {
            let staged = changes(change, &loaded);
            let plan = Plan::new(&loaded, &staged.changes, COOKIE, NOW);
            assert_eq!(plan.times(), Times { created_at, issued_at: NOW }, "{change}");
        }
        let nothing = Changes::default();
        assert_eq!(
            Plan::new(&loaded, &nothing, COOKIE, NOW).times(),
            Times { created_at: NOW - 1, issued_at: NOW - 1 }
        );
    }
}
