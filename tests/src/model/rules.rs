//! The rules, exactly as strong as the contract (DESIGN.md, sections 3, 10 and 15).
//!
//! What they leave open, because no server can know better:
//! - An answer that was made before a log-in, and that arrives after it, replaces its cookie.
//! - A request that came without a session (without a cookie, or more than a minute after the session of its cookie had
//!   ended) may begin one, and its cookie replaces that of a log-in that was answered first.
//! - A log-out that meets a log-in or a renewal ends the session that it came with, not the one that it has not heard
//!   of. Two log-ins at once begin two sessions: while answers for both are under way, a log-out ends one of them.
//! - The engines without a store or a list forget an end after a minute: an old cookie opens the session again.
//! - An answer that was made before a deployment, and that arrives after it, brings back a cookie of the former
//!   settings.

use super::{play::Action, stage::IDLE_TIMEOUT};

/// What the rules have to know of an engine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Engine {
    pub(super) name: &'static str,
    /// Whether the data travels in the cookie, so that each write sets it.
    pub(super) data_travels: bool,
    /// Whether an end is known for a minute only.
    pub(super) forgets_ends: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Nobody is somebody else.
    SomebodyElse,
    /// Nobody who logged out is logged in.
    LoggedOutIsIn,
    /// Nobody whose last answered action was a log-in is logged out.
    LoggedInIsOut,
    /// No `Cookie` header and no `Set-Cookie` headers of one response have more than 8 KiB together, or 16 KiB where
    /// the settings allow a session of four cookies.
    TooLarge,
    /// No request fails without a reason.
    Fails,
}

/// A rule that was broken, and by what.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) rule: Rule,
    pub(super) text: String,
}

impl Rule {
    pub(super) fn broken(self, text: String) -> Broken {
        Broken { rule: self, text }
    }
}

/// What a request has read of its session.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) user: Option<String>,
    pub(super) mark: Option<String>,
    pub(super) is_new: bool,
    pub(super) has_expired: bool,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) set_cookies: Vec<String>,
}

/// All requests so far, and what must hold for each browser.
pub(super) struct Rules {
    engine: Engine,
    requests: Vec<Request>,
    browsers: [Browser; 2],
    /// Counts sendings, answers and arrivals, so that they can be ordered.
    moment: usize,
    deployments: usize,
    is_chunked: bool,
}

struct Request {
    browser: usize,
    action: Action,
    deployment: usize,
    sent: usize,
    answered: Option<Moment>,
    arrived: Option<usize>,
    /// Whether no other request of this browser was under way at any time.
    is_alone: bool,
    came_without_cookie: bool,
    came_with_stale_cookie: bool,
    /// Whether it came without a session, as far as a server can know.
    is_stranger: bool,
    /// Whether it read that its user is logged in.
    saw_user: bool,
    succeeded: bool,
    /// Whether its answer sets a session cookie.
    sets: bool,
    /// Whether its answer removes as many cookies as one may, so that the rest goes with later ones.
    removes_most: bool,
}

#[derive(Clone, Copy)]
struct Moment {
    number: usize,
    seconds: u64,
}

#[derive(Default)]
struct Browser {
    expected: Expected,
    /// Whether the jar may hold the cookie of a session that has ended.
    is_stale: bool,
    /// Whether the jar may hold cookies of several settings that disagree.
    is_crossed: bool,
    /// Whether two log-ins at once have begun two sessions, and answers for either may be under way.
    is_forked: bool,
}

/// What the next request of a browser must read.
#[derive(Clone, Copy, Default)]
enum Expected {
    #[default]
    Anything,
    /// Its user is logged in, up to this second.
    In { until: u64 },
    /// Nobody is logged in, up to this second.
    Out { until: u64 },
}

impl Rules {
    pub(super) fn new(engine: Engine) -> Self {
        let browsers = [Browser::default(), Browser::default()];
        Self { engine, requests: Vec::new(), browsers, moment: 0, deployments: 0, is_chunked: false }
    }

    /// Notes a request, and returns its number.
    pub(super) fn sent(&mut self, browser: usize, action: Action, came_without_cookie: bool) -> usize {
        self.moment += 1;
        let mut is_alone = true;
        for other in self.requests.iter_mut().filter(|it| it.browser == browser && it.arrived.is_none()) {
            (is_alone, other.is_alone) = (false, false);
        }
        let known = &mut self.browsers[browser];
        known.is_forked &= !is_alone;
        self.requests.push(Request {
            browser,
            action,
            deployment: self.deployments,
            sent: self.moment,
            answered: None,
            arrived: None,
            is_alone,
            came_without_cookie,
            came_with_stale_cookie: known.is_stale,
            is_stranger: false,
            saw_user: false,
            succeeded: false,
            sets: false,
            removes_most: false,
        });
        self.requests.len() - 1
    }

    /// Checks what a request has read, as soon as it was sent.
    pub(super) fn read(&mut self, number: usize, seen: &Seen, name: &str, now: u64) -> Result<(), Broken> {
        if let Some(other) = [&seen.user, &seen.mark].into_iter().flatten().find(|it| *it != name) {
            return Err(Rule::SomebodyElse.broken(format!("{name} is {other}")));
        }
        let saw_user = seen.user.is_some();
        match self.expected(number, now) {
            Expected::In { .. } if !saw_user => {
                return Err(Rule::LoggedInIsOut.broken(format!("request {number} of {name} reads nobody")));
            }
            Expected::Out { .. } if saw_user => {
                return Err(Rule::LoggedOutIsIn.broken(format!("request {number} of {name} is logged in")));
            }
            _ => {}
        }
        let request = &self.requests[number];
        let ends = || self.of(request.browser).filter(|it| it.gives_or_ends_id());
        let ended_lately = |it: &Request| it.answered.is_some_and(|at| now <= at.seconds + MINUTE);
        let is_late = ends().any(ended_lately) && ends().all(|it| it.arrived.is_some() || ended_lately(it));
        let is_unknown = request.came_without_cookie || request.came_with_stale_cookie || seen.has_expired;
        let is_stranger = seen.is_new && (is_unknown || !is_late);
        let request = &mut self.requests[number];
        (request.saw_user, request.is_stranger) = (saw_user, is_stranger);
        Ok(())
    }

    /// Returns what a request that was just sent must read.
    fn expected(&self, number: usize, now: u64) -> Expected {
        let Request { browser, sent, .. } = self.requests[number];
        let on_their_way = || self.of(browser).filter(|it| it.arrived.is_none() && it.answered.is_some());
        if on_their_way().any(|it| it.action == Action::LogOut && self.ends_what_came_at(it, sent, now)) {
            return Expected::Out { until: now };
        }
        let is_replaced = |it: &Request| {
            let after_a_minute = it.answered.is_some_and(|at| now > at.seconds + MINUTE);
            it.gives_or_ends_id() && (it.action != Action::Rotate || after_a_minute)
        };
        match self.browsers[browser].expected {
            Expected::In { until } if now <= until && !on_their_way().any(is_replaced) => Expected::In { until },
            Expected::Out { until } if now <= until => Expected::Out { until },
            _ => Expected::Anything,
        }
    }

    /// Returns whether a log-out that was answered, but has not arrived, has ended the session of a request that was
    /// sent at this moment: no answer that sets a cookie arrived between the two.
    fn ends_what_came_at(&self, log_out: &Request, sent: usize, now: u64) -> bool {
        let Some(at) = log_out.answered else { return false };
        let changes_jar = |it: &Request| it.sets && it.arrived.is_some_and(|at| log_out.sent < at && at < sent);
        log_out.succeeded
            && log_out.saw_user
            && !log_out.came_with_stale_cookie
            && !self.browsers[log_out.browser].is_crossed
            && (!self.engine.forgets_ends || now <= at.seconds + MINUTE)
            && !self.of(log_out.browser).any(|it| changes_jar(it) || (it.begins_session() && it.overlaps(log_out)))
    }

    /// Notes an answer.
    pub(super) fn answered(&mut self, number: usize, answer: &Answer, now: u64) -> Result<(), Broken> {
        self.moment += 1;
        let moment = Moment { number: self.moment, seconds: now };
        let request = &mut self.requests[number];
        request.answered = Some(moment);
        request.succeeded = answer.status == 200;
        request.sets = answer.set_cookies.iter().any(|it| !it.contains("Max-Age=0"));
        request.removes_most = answer.set_cookies.iter().filter(|it| it.contains("Max-Age=0")).count() == MOST_REMOVED;
        let request = &self.requests[number];
        let is_log_out = |it: &Request| it.action == Action::LogOut && it.answered.is_some() && it.overlaps(request);
        let is_long_over = |it: &Request| {
            it.gives_or_ends_id() && it.overlaps(request) && it.answered.is_some_and(|at| now > at.seconds + MINUTE)
        };
        let mut others = self.others(number);
        let may_conflict = matches!(request.action, Action::LogIn | Action::Renew)
            && others.any(|it| is_log_out(it) || is_long_over(it));
        if request.succeeded || (answer.status == 409 && may_conflict) {
            return Ok(());
        }
        Err(Rule::Fails.broken(format!("request {number} is answered with {}", answer.status)))
    }

    /// Notes that an answer has reached its browser, and what must hold from now on.
    pub(super) fn arrived(&mut self, number: usize) {
        self.moment += 1;
        self.requests[number].arrived = Some(self.moment);
        let request = &self.requests[number];
        let browser = request.browser;
        match request.action {
            Action::LogIn if request.succeeded && request.sets => self.logged_in(number),
            Action::LogOut if request.succeeded => self.logged_out(number),
            _ if request.sets => self.got_cookie(number),
            _ => {}
        }
        self.visited(browser, number);
    }

    fn logged_in(&mut self, number: usize) {
        let request = &self.requests[number];
        let (now, browser) = (request.answered_at(), request.browser);
        let is_current = request.deployment == self.deployments && !request.removes_most;
        let overlapped = self.others(number).any(|it| it.begins_session() && it.overlaps(request));
        let leaves_pieces = self.is_chunked && self.engine.data_travels && self.jar_changed_during(number);
        let is_alone = request.is_alone;
        let known = &mut self.browsers[browser];
        known.is_crossed = !is_current || leaves_pieces || (known.is_crossed && !is_alone);
        known.is_forked |= overlapped;
        known.is_stale = known.is_crossed;
        known.expected = if known.is_stale { Expected::Anything } else { Expected::In { until: now + IDLE_TIMEOUT } };
    }

    fn logged_out(&mut self, number: usize) {
        let request = &self.requests[number];
        let (now, browser) = (request.answered_at(), request.browser);
        let met = || self.others(number).filter(|it| it.begins_session() && it.overlaps(request));
        let is_crossed = request.deployment != self.deployments || self.browsers[browser].is_crossed;
        let overlapping = || self.others(number).filter(|it| it.overlaps(request) && it.answered.is_some());
        let is_elsewhere = || met().any(|it| it.arrived.is_some()) || self.browsers[browser].is_forked;
        let expected = if overlapping().any(|it| it.is_out_of_reach(request)) || is_elsewhere() {
            Expected::Anything
        } else if !request.saw_user && (request.came_with_stale_cookie || !request.is_alone) {
            // It came with a session that was over: it ended nothing, and its answer leaves the cookie.
            self.browsers[browser].expected
        } else if !self.engine.forgets_ends {
            Expected::Out { until: u64::MAX }
        } else if let Some(first) = met().map(Request::answered_at).min() {
            Expected::Out { until: first + MINUTE }
        } else if is_crossed || (self.is_chunked && self.jar_changed_during(number)) {
            if self.jar_got_forgotten_session(number) {
                Expected::Anything
            } else {
                Expected::Out { until: now + MINUTE }
            }
        } else {
            Expected::Out { until: u64::MAX }
        };
        self.browsers[browser].expected = expected;
    }

    /// Notes the arrival of a session cookie that is neither that of a log-in nor that of a log-out.
    fn got_cookie(&mut self, number: usize) {
        let browser = self.requests[number].browser;
        let expected = match self.browsers[browser].expected {
            Expected::Anything => Expected::Anything,
            Expected::In { until } => self.still_in(number, until),
            Expected::Out { until } => self.still_out(number, until),
        };
        let request = &self.requests[number];
        let is_older = self.newer(number).next().is_some();
        let known = &mut self.browsers[browser];
        let leaves_pieces = self.is_chunked && self.engine.data_travels && request.is_stranger;
        known.is_crossed |= request.deployment != self.deployments || leaves_pieces;
        known.is_stale = known.is_crossed || is_older;
        known.expected = expected;
    }

    fn still_in(&self, number: usize, until: u64) -> Expected {
        let request = &self.requests[number];
        let is_crossed = request.deployment != self.deployments;
        let is_replaced = self.newer(number).any(|it| it.action != Action::Rotate);
        if is_crossed
            || is_replaced
            || request.is_stranger
            || (request.came_with_stale_cookie && self.engine.forgets_ends)
            || self.is_forgotten(number)
            || self.is_beside_log_in(number)
        {
            return Expected::Anything;
        }
        let leaves_pieces = self.is_chunked && self.engine.data_travels && self.jar_changed_during(number);
        let own = (leaves_pieces && request.gives_or_ends_id()).then(|| request.answered_at());
        let rotated = self.newer(number).map(Request::answered_at).chain(own).min();
        Expected::In { until: rotated.map_or(until, |at| until.min(at + MINUTE)) }
    }

    fn still_out(&self, number: usize, until: u64) -> Expected {
        let request = &self.requests[number];
        let Some(log_out) = self.last_log_out(request.browser) else { return Expected::Anything };
        if !request.overlaps(log_out) || request.is_stranger {
            return Expected::Out { until };
        }
        let is_crossed = request.deployment != self.deployments && self.engine.data_travels;
        let is_another = request.action == Action::Renew || self.have_other_sessions(request, log_out);
        if is_another || is_crossed || self.browsers[request.browser].is_forked {
            return Expected::Anything;
        }
        let ends = self.others(number).filter(|it| it.gives_or_ends_id() && it.overlaps(request));
        match ends.map(Request::answered_at).min() {
            Some(first) if self.engine.forgets_ends => Expected::Out { until: until.min(first + MINUTE) },
            _ => Expected::Out { until },
        }
    }

    /// Returns whether an engine without a memory has forgotten, when it answered, that the session had ended.
    fn is_forgotten(&self, number: usize) -> bool {
        let request = &self.requests[number];
        let forgets = |it: &Request| {
            let (end, own) = (it.answered.unwrap(), request.answered.unwrap());
            it.gives_or_ends_id()
                && it.overlaps(request)
                && end.number < own.number
                && own.seconds > end.seconds + MINUTE
        };
        self.engine.forgets_ends && self.others(number).filter(|it| it.answered.is_some()).any(forgets)
    }

    /// Returns whether a request came with a session that a log-in at the same time had not come with, so that the
    /// log-in did not end it.
    fn is_beside_log_in(&self, number: usize) -> bool {
        let request = &self.requests[number];
        let mut log_ins = self.others(number).filter(|it| it.begins_session() && it.overlaps(request));
        log_ins.any(|log_in| {
            let mut rotations = self.others(number).filter(|it| it.sets && it.overlaps(log_in));
            self.have_other_sessions(log_in, request) || rotations.any(|it| it.is_out_of_reach(log_in))
        })
    }

    /// Returns whether another session may have come into the jar between the sendings of two requests.
    fn have_other_sessions(&self, one: &Request, other: &Request) -> bool {
        self.changes_session(one.browser, one.sent.min(other.sent), one.sent.max(other.sent))
    }

    /// Returns whether another session may have come into the jar between two moments: a new one, or one that an answer
    /// has brought back.
    fn changes_session(&self, browser: usize, after: usize, before: usize) -> bool {
        self.of(browser).filter(|it| it.sets).any(|it| {
            it.arrived.is_some_and(|at| {
                after < at
                    && at < before
                    && (it.is_stranger || it.begins_session() || self.changes_session(browser, it.sent, at))
            })
        })
    }

    /// A visit keeps the session alive. A setting of the session itself does so for longer than any play.
    fn visited(&mut self, browser: usize, number: usize) {
        let request = &self.requests[number];
        let (is_visit, now) = (request.is_alone && request.saw_user, request.answered_at());
        let is_remembered = request.action == Action::Remember;
        let known = &mut self.browsers[browser];
        if let (Expected::In { until }, true, false) = (&mut known.expected, is_visit, known.is_stale)
            && now <= *until
        {
            // A visit is noted when an eighth of the idle timeout has passed.
            let alive = if is_remembered { u64::MAX } else { now + IDLE_TIMEOUT / 8 * 7 };
            *until = alive.max(*until);
        }
    }

    /// Notes a deployment. `hides` tells for each browser whether its session is in pieces that the new settings do not
    /// read, or did not read before.
    pub(super) fn deployed(&mut self, is_chunked: bool, hides: [bool; 2]) {
        self.deployments += 1;
        self.is_chunked = is_chunked;
        for (known, hides) in self.browsers.iter_mut().zip(hides) {
            if hides {
                *known = Browser { is_stale: true, is_crossed: true, is_forked: true, expected: Expected::Anything };
            }
        }
    }

    fn of(&self, browser: usize) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(move |it| it.browser == browser)
    }

    /// The browser's other requests.
    fn others(&self, number: usize) -> impl Iterator<Item = &Request> {
        let browser = self.requests[number].browser;
        self.requests
            .iter()
            .enumerate()
            .filter(move |(it, other)| *it != number && other.browser == browser)
            .map(|it| it.1)
    }

    /// The requests that have given the session another id, or ended it, after this one was answered, and whose answers
    /// arrived before that of this one.
    fn newer(&self, number: usize) -> impl Iterator<Item = &Request> {
        let own = self.requests[number].answered.unwrap().number;
        self.others(number).filter(move |it| {
            it.gives_or_ends_id() && it.arrived.is_some() && it.answered.is_some_and(|at| own < at.number)
        })
    }

    /// Returns whether another answer has set a cookie while this request was under way.
    fn jar_changed_during(&self, number: usize) -> bool {
        let sent = self.requests[number].sent;
        self.others(number).any(|it| it.sets && it.arrived.is_some_and(|at| sent < at))
    }

    /// Returns whether an answer with a session that the engine no longer knew as ended has arrived while this request
    /// was under way.
    fn jar_got_forgotten_session(&self, number: usize) -> bool {
        let request = &self.requests[number];
        let arrived_meanwhile = |it: &Request| it.sets && it.arrived.is_some_and(|at| request.sent < at);
        (0..self.requests.len()).any(|other| {
            let it = &self.requests[other];
            other != number && it.browser == request.browser && arrived_meanwhile(it) && self.is_forgotten(other)
        })
    }

    fn last_log_out(&self, browser: usize) -> Option<&Request> {
        let arrived = self.of(browser).filter(|it| it.action == Action::LogOut && it.succeeded && it.arrived.is_some());
        arrived.max_by_key(|it| it.arrived)
    }
}

impl Request {
    fn answered_at(&self) -> u64 {
        self.answered.unwrap().seconds
    }

    /// Returns whether its answer carries a session that no other request may know of.
    fn begins_session(&self) -> bool {
        self.sets && matches!(self.action, Action::LogIn | Action::Renew)
    }

    fn gives_or_ends_id(&self) -> bool {
        let gives = self.sets && matches!(self.action, Action::LogIn | Action::Renew | Action::Rotate);
        gives || (self.succeeded && self.action == Action::LogOut)
    }

    /// Returns whether this is a rotation that was over for more than a minute when the other request was answered:
    /// nothing leads from the former id to the session any more.
    fn is_out_of_reach(&self, other: &Self) -> bool {
        let both = self.answered.zip(other.answered);
        let is_rotation = self.action == Action::Rotate && self.sets;
        is_rotation && both.is_some_and(|(own, at)| at.seconds > own.seconds + MINUTE)
    }

    /// Returns whether both were under way at the same time.
    fn overlaps(&self, other: &Self) -> bool {
        let begins_before = |one: &Self, end: Option<usize>| end.is_none_or(|end| one.sent < end);
        begins_before(self, other.arrived) && begins_before(other, self.arrived)
    }
}

/// For how long every engine knows that a session has ended.
const MINUTE: u64 = 60;
/// How many cookies one response removes at most (DESIGN.md, section 10).
const MOST_REMOVED: usize = 12;
