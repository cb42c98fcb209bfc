//! A client that remembers what was confirmed, and checks it.
//!
//! A 503 says that the change may or may not have happened. It may even happen a little later, while the store still
//! works on it. So a client keeps both values in mind until its next confirmed write: the store decides by the record's
//! version then, and what was under way can no longer be written. After a renewal without an answer the session may
//! have an id that the client does not have, until a confirmed `update`. Nothing else is allowed.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use axum::Router;
use session_axum::{Sessions, testing::Client};
use tokio::time::sleep;
use tower::{ServiceExt as _, service_fn};

use crate::{
    app::owner,
    logs::with_lines,
    tally::{Rule, Tally},
};

/// A visitor who logs in again and again.
pub(crate) struct SoakClient {
    number: u64,
    app: Balanced,
    sessions: Sessions,
    tally: Arc<Tally>,
    random: Random,
    login: u64,
    session: Option<Expected>,
    /// Cookies of sessions that were confirmed to be over.
    over: VecDeque<String>,
    /// How many sessions may be alive without a cookie, because an answer was lost.
    unknown: u64,
    value: u64,
}

/// A session, as far as the client knows it.
struct Expected {
    browser: Client,
    user: String,
    values: BTreeMap<String, Possible>,
    /// Whether a renewal without an answer may have given the session another id.
    may_be_elsewhere: bool,
}

/// The values that a key may have: the confirmed one, and then those of writes without an answer.
struct Possible {
    values: Vec<Option<u64>>,
    /// Whether a write without an answer may still happen.
    is_under_way: bool,
}

impl Possible {
    fn only(value: Option<u64>) -> Self {
        Self { values: vec![value], is_under_way: false }
    }

    fn add(&mut self, value: u64) {
        self.values.push(Some(value));
        self.is_under_way = true;
    }

    /// Takes a value that was read. Returns whether it was possible.
    fn see(&mut self, value: Option<u64>) -> bool {
        let Some(place) = self.values.iter().position(|known| *known == value) else {
            *self = Self::only(value);
            return false;
        };
        // What was written before it is gone. What was written after it may still happen.
        self.values.drain(..place);
        if !self.is_under_way {
            self.values.truncate(1);
        }
        true
    }
}

impl Expected {
    fn key(&mut self, key: &str) -> &mut Possible {
        self.values.entry(key.to_owned()).or_insert_with(|| Possible::only(None))
    }

    /// A write was confirmed: earlier ones without an answer cannot happen any more.
    fn settle(&mut self) {
        self.values.values_mut().for_each(|possible| possible.is_under_way = false);
    }
}

/// An answer: the status, and what the page says.
struct Answer {
    status: u16,
    text: String,
}

impl SoakClient {
    pub(crate) fn new(number: u64, instances: &[Router; 2], sessions: Sessions, tally: &Arc<Tally>) -> Self {
        Self {
            number,
            app: Balanced::new(instances),
            sessions,
            tally: Arc::clone(tally),
            random: Random(0x9e37_79b9_7f4a_7c15 ^ (number + 1)),
            login: 0,
            session: None,
            over: VecDeque::new(),
            unknown: 0,
            value: 0,
        }
    }

    pub(crate) async fn run(mut self, is_over: Arc<AtomicBool>) -> Self {
        while !is_over.load(Relaxed) {
            self.act().await;
            sleep(Duration::from_millis(self.random.below(PAUSE))).await;
        }
        self
    }

    async fn act(&mut self) {
        let Some(session) = self.session.take() else { return self.log_in().await };
        if session.may_be_elsewhere {
            return self.count(session).await;
        }
        match self.random.below(100) {
            0..25 => self.read(session).await,
            25..47 => self.insert(session).await,
            47..67 => self.count(session).await,
            67..80 => self.insert_and_count(session).await,
            80..87 => self.renew(session).await,
            87..93 => self.log_out(session).await,
            _ => {
                self.session = Some(session);
                self.try_old_cookie().await;
            }
        }
    }

    async fn log_in(&mut self) {
        self.login += 1;
        let browser = self.app.browser();
        let answer = self.get(&browser, &format!("/log-in/{}/{}", self.number, self.login)).await;
        if answer.status != 200 {
            self.unknown += 1;
            return;
        }
        let user = format!("{}-{}", self.number, self.login);
        let values = BTreeMap::new();
        self.session = Some(Expected { browser, user, values, may_be_elsewhere: false });
    }

    async fn read(&mut self, mut session: Expected) {
        let answer = self.get(&session.browser, "/read").await;
        if answer.status != 200 {
            self.session = Some(session);
            return;
        }
        let mut words = answer.text.split(' ');
        if !self.is_own(words.next().unwrap_or_default(), &session) {
            return;
        }
        let pairs = words.filter_map(|pair| pair.split_once('='));
        let seen: BTreeMap<_, u64> = pairs.map(|(key, value)| (key.to_owned(), value.parse().unwrap())).collect();
        for key in seen.keys() {
            session.key(key);
        }
        for (key, possible) in &mut session.values {
            let (value, before) = (seen.get(key).copied(), possible.values.clone());
            if !possible.see(value) {
                let user = &session.user;
                self.tally.breaks(Rule::Lost, || format!("{key} of {user} is {value:?} and not one of {before:?}"));
            }
        }
        self.session = Some(session);
    }

    async fn insert(&mut self, mut session: Expected) {
        let (key, value) = self.next_value();
        let answer = self.get(&session.browser, &format!("/insert/{key}/{value}")).await;
        if self.note_insert(&mut session, &key, value, &answer) {
            self.session = Some(session);
        }
    }

    async fn count(&mut self, mut session: Expected) {
        let answer = self.get(&session.browser, "/count").await;
        if self.note_count(&mut session, &answer) {
            self.session = Some(session);
        }
    }

    /// Two requests at the same time, at both instances: neither may undo the other.
    async fn insert_and_count(&mut self, mut session: Expected) {
        let (key, value) = self.next_value();
        let path = format!("/insert/{key}/{value}");
        let (inserted, counted) = tokio::join!(self.get(&session.browser, &path), self.get(&session.browser, "/count"));
        let is_there = self.note_insert(&mut session, &key, value, &inserted);
        let is_there = is_there && self.note_count(&mut session, &counted);
        // The count that was confirmed may have come first.
        if inserted.status != 200 {
            session.key(&key).is_under_way = true;
        }
        if is_there {
            self.session = Some(session);
        }
    }

    /// Notes the answer to an insert. Returns whether the session is still there.
    fn note_insert(&self, session: &mut Expected, key: &str, value: u64, answer: &Answer) -> bool {
        match answer.status {
            200 => {
                session.settle();
                *session.key(key) = Possible::only(Some(value));
                self.is_own(&answer.text, session)
            }
            503 => {
                session.key(key).add(value);
                true
            }
            _ => self.is_gone(session),
        }
    }

    /// Notes the answer to an update of the counter. Returns whether the session is still there.
    fn note_count(&self, session: &mut Expected, answer: &Answer) -> bool {
        match answer.status {
            200 => {
                let (user, count) = answer.text.split_once(" count=").unwrap_or_default();
                if !self.is_own(user, session) {
                    return false;
                }
                let count = count.parse::<u64>().ok();
                session.settle();
                session.may_be_elsewhere = false;
                let before = mem::replace(session.key("count"), Possible::only(count)).values;
                if !before.iter().any(|before| Some(before.unwrap_or(0) + 1) == count) {
                    self.tally.breaks(Rule::Lost, || format!("the count of {user} is {count:?} after {before:?}"));
                }
                true
            }
            503 => {
                let count = session.key("count");
                let last = count.values.last().copied().flatten().unwrap_or(0);
                count.add(last + 1);
                true
            }
            _ => self.is_gone(session),
        }
    }

    async fn renew(&mut self, mut session: Expected) {
        let before = session.browser.cookie(COOKIE);
        let answer = self.get(&session.browser, "/renew").await;
        match answer.status {
            200 => {
                if !self.is_own(&answer.text, &session) {
                    return;
                }
                session.settle();
                if session.browser.cookie(COOKIE) == before {
                    self.tally.breaks(Rule::AliveAfterLogOut, || format!("{} was not renewed", session.user));
                }
                self.remember_over(before);
            }
            _ => {
                self.unknown += 1;
                session.may_be_elsewhere = true;
            }
        }
        self.session = Some(session);
    }

    async fn log_out(&mut self, session: Expected) {
        let cookie = session.browser.cookie(COOKIE);
        match self.get(&session.browser, "/log-out").await.status {
            200 => {
                self.remember_over(cookie.clone());
                self.expect_over(&cookie.unwrap_or_default()).await;
            }
            // It may be over, or not. The client goes on with another browser.
            _ => self.unknown += 1,
        }
    }

    fn remember_over(&mut self, cookie: Option<String>) {
        self.over.extend(cookie);
        if self.over.len() as u64 > MOST_OVER {
            self.over.pop_front();
        }
    }

    async fn try_old_cookie(&mut self) {
        if !self.over.is_empty() {
            let place = usize::try_from(self.random.below(MOST_OVER)).unwrap() % self.over.len();
            let cookie = self.over[place].clone();
            self.expect_over(&cookie).await;
        }
    }

    /// Returns whether the answer says that no session is behind the cookie.
    async fn expect_over(&self, cookie: &str) -> bool {
        let thief = self.app.browser();
        thief.set_cookie(COOKIE, cookie);
        let answer = self.get(&thief, "/read").await;
        if answer.status == 200 && !answer.text.is_empty() {
            self.tally.breaks(Rule::AliveAfterLogOut, || answer.text);
        }
        answer.status == 200
    }

    /// Returns whether the session is the client's own one.
    fn is_own(&self, seen: &str, session: &Expected) -> bool {
        if seen == session.user {
            return true;
        }
        match seen.split_once('-') {
            None => return self.is_gone(session),
            Some((number, _)) if number == self.number.to_string() => {
                self.tally.breaks(Rule::AliveAfterLogOut, || format!("{seen} and not {}", session.user));
            }
            Some(_) => self.tally.breaks(Rule::Foreign, || format!("{} has seen {seen}", session.user)),
        }
        false
    }

    /// Notes that the session is not there any more. Only a renewal without an answer explains that.
    fn is_gone(&self, session: &Expected) -> bool {
        if !session.may_be_elsewhere {
            self.tally.breaks(Rule::Lost, || format!("the session of {}", session.user));
        }
        false
    }

    fn next_value(&mut self) -> (String, u64) {
        self.value += 1;
        (format!("key{}", self.random.below(KEYS)), self.value)
    }

    async fn get(&self, browser: &Client, path: &str) -> Answer {
        let began = Instant::now();
        let (page, lines) = with_lines(browser.get(path)).await;
        let status = page.status().as_u16();
        self.tally.note(began, status, &lines);
        Answer { status, text: if status == 200 { page.text().to_owned() } else { String::new() } }
    }

    /// The store works, and no request is under way: everything must be as it was confirmed.
    pub(crate) async fn check_the_end(mut self) {
        sleep(Duration::from_millis(20)).await;
        for turn in 0..LAST_TURNS {
            let Some(session) = self.session.take() else { break };
            if turn % 2 == 0 { self.count(session).await } else { self.read(session).await }
        }
        let is_under_way = |session: &Expected| session.values.values().any(|possible| possible.is_under_way);
        if self.session.as_ref().is_some_and(is_under_way) {
            self.tally.breaks(Rule::Error, || format!("the store does not work for client {} at the end", self.number));
        }
        for cookie in mem::take(&mut self.over) {
            if !self.expect_over(&cookie).await {
                self.tally.breaks(Rule::Error, || format!("client {} could not try an old cookie", self.number));
            }
        }
        let alive = self.sessions.count(owner(self.number)).await;
        let known = u64::from(self.session.is_some());
        if !alive.as_ref().is_ok_and(|alive| (known..=known + self.unknown).contains(alive)) {
            self.tally.breaks(Rule::AliveAfterLogOut, || {
                format!("client {} has {alive:?} sessions: {known}, and at most {} unknown", self.number, self.unknown)
            });
        }
    }
}

/// The two instances behind a balancer: a browser's requests go to one after the other.
struct Balanced {
    instances: [Router; 2],
    next: Arc<AtomicUsize>,
}

impl Balanced {
    fn new(instances: &[Router; 2]) -> Self {
        Self { instances: instances.clone(), next: Arc::default() }
    }

    fn browser(&self) -> Client {
        let (instances, next) = (self.instances.clone(), Arc::clone(&self.next));
        Client::new(service_fn(move |request| {
            let instance = next.fetch_add(1, Relaxed) % 2;
            instances[instance].clone().oneshot(request)
        }))
    }
}

/// Numbers that are the same in each run (xorshift64).
struct Random(u64);

impl Random {
    const fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

const COOKIE: &str = "__Host-session";
/// How many milliseconds a client waits at most between two actions.
const PAUSE: u64 = 60;
const KEYS: u64 = 12;
/// How many old cookies a client remembers.
const MOST_OVER: u64 = 48;
/// How often a client asks at the end.
const LAST_TURNS: u32 = 4;
