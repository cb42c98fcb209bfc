//! The stage: two instances of one application, two browsers, and the requests between them.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Extension, Router,
    body::Body,
    extract::{Path, Request},
    http::header::{COOKIE, SET_COOKIE},
    response::Response,
    routing::get,
};
use session_axum::{Ended, Error, Session, SessionLayer, testing::ManualClock};
use tokio::sync::Notify;
use tower::ServiceExt as _;

use super::{
    play::{Action, Change, Step},
    rules::{Answer, Broken, Engine, Rule, Rules, Seen},
};
use crate::support::{app::NOW, jar::Jar};

/// What a play runs on. The parts that a defect is planted in can be replaced.
pub(super) struct Site {
    pub(super) engine: Engine,
    /// One for each instance, with the same keys, and the same store if there is one.
    pub(super) layers: [SessionLayer; 2],
    /// What stands around each instance.
    pub(super) around: fn(Router) -> Router,
    /// What a browser takes of the `Set-Cookie` headers of a response.
    pub(super) taken: fn(Vec<String>) -> Vec<String>,
}

pub(super) const IDLE_TIMEOUT: u64 = 3_600;
pub(super) const MOST_IN_FLIGHT: usize = 4;
const REMEMBERED: u64 = 90 * 24 * 3_600;
const BROWSERS: [&str; 2] = ["alice", "bob"];
/// More than one cookie holds, and less than 16 KiB when it is sent twice: once for each of two settings.
const MUCH: usize = 5_000;

struct Stage<'a> {
    site: &'a Site,
    clock: ManualClock,
    now: u64,
    settings: Settings,
    was_chunked: bool,
    apps: [Router; 2],
    jars: [Jar; 2],
    flying: Vec<Flying>,
    rules: Rules,
}

/// What deployments have changed so far.
#[derive(Clone, Copy, Default, PartialEq)]
struct Settings {
    has_domain: bool,
    has_path: bool,
    is_partitioned: bool,
    is_chunked: bool,
}

/// A request between its sending and the arrival of its answer.
struct Flying {
    /// Its number in the rules.
    number: usize,
    browser: usize,
    gate: Arc<Gate>,
    state: State,
}

enum State {
    Waits(Pin<Box<dyn Future<Output = Answer> + Send>>),
    Answered(Vec<String>),
}

/// Where a request waits after it has read its session.
#[derive(Default)]
struct Gate {
    seen: Mutex<Option<Seen>>,
    has_read: Notify,
    goes_on: Notify,
}

/// Runs a play, and checks the rules along the way and at its end.
pub(super) async fn run(site: &Site, play: &[Step]) -> Result<(), Broken> {
    let mut stage = Stage::new(site);
    for step in play {
        stage.step(*step).await?;
    }
    for browser in 0..2 {
        stage.settle().await?;
        stage.send(browser, 0, Action::Read).await?;
    }
    stage.settle().await
}

impl<'a> Stage<'a> {
    fn new(site: &'a Site) -> Self {
        let (clock, settings) = (ManualClock::at(NOW), Settings::default());
        let apps = apps(site, settings, &clock);
        let rules = Rules::new(site.engine);
        let was_chunked = false;
        Self { site, clock, now: NOW, settings, was_chunked, apps, jars: Default::default(), flying: Vec::new(), rules }
    }

    async fn step(&mut self, step: Step) -> Result<(), Broken> {
        match step {
            Step::Send { browser, instance, action } => self.send(browser, instance, action).await,
            Step::Answer(pick) => self.answer(pick).await,
            Step::Arrive(pick) => {
                self.arrive(pick);
                Ok(())
            }
            Step::Settle => self.settle().await,
            Step::Pass(seconds) => {
                self.now += seconds;
                self.clock.advance(Duration::from_secs(seconds));
                Ok(())
            }
            Step::Deploy(change) => {
                self.deploy(change);
                Ok(())
            }
        }
    }

    async fn send(&mut self, browser: usize, instance: usize, action: Action) -> Result<(), Broken> {
        if self.flying.len() == MOST_IN_FLIGHT {
            return Ok(());
        }
        let cookies = self.jars[browser].header();
        self.check_size("Cookie", cookies.len())?;
        let action = if self.settings.is_chunked || action != Action::WriteMuch { action } else { Action::Write };
        let number = self.rules.sent(browser, action, cookies.is_empty());
        let gate = Arc::new(Gate::default());
        let mut answer = request(&self.apps[instance], browser, action, &cookies, &gate);
        tokio::select! {
            biased;
            () = gate.has_read.notified() => {}
            answer = &mut answer => return Err(Rule::Fails.broken(format!("it is answered before it has read: {answer:?}"))),
        }
        let seen = gate.seen.lock().unwrap().take().unwrap();
        self.flying.push(Flying { number, browser, gate, state: State::Waits(answer) });
        self.rules.read(number, &seen, BROWSERS[browser], self.now)
    }

    async fn answer(&mut self, pick: usize) -> Result<(), Broken> {
        let mut waiting: Vec<_> = self.flying.iter_mut().filter(|it| matches!(it.state, State::Waits(_))).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let pick = pick % waiting.len();
        let flying = waiting.swap_remove(pick);
        let State::Waits(answer) = &mut flying.state else { unreachable!("it waits") };
        flying.gate.goes_on.notify_one();
        let answer = answer.await;
        flying.state = State::Answered(answer.set_cookies.clone());
        self.rules.answered(flying.number, &answer, self.now)?;
        self.check_size("Set-Cookie", answer.set_cookies.iter().map(String::len).sum())
    }

    fn arrive(&mut self, pick: usize) {
        let answered = |it: &Flying| matches!(it.state, State::Answered(_));
        let places: Vec<_> = (0..self.flying.len()).filter(|place| answered(&self.flying[*place])).collect();
        if places.is_empty() {
            return;
        }
        let Flying { number, browser, state, .. } = self.flying.remove(places[pick % places.len()]);
        let State::Answered(set_cookies) = state else { unreachable!("it is answered") };
        self.jars[browser].apply(&(self.site.taken)(set_cookies));
        self.rules.arrived(number);
    }

    async fn settle(&mut self) -> Result<(), Broken> {
        for _ in 0..MOST_IN_FLIGHT {
            self.answer(0).await?;
        }
        for _ in 0..MOST_IN_FLIGHT {
            self.arrive(0);
        }
        Ok(())
    }

    fn check_size(&self, header: &str, size: usize) -> Result<(), Broken> {
        let limit = if self.was_chunked { 16_384 } else { 8_192 };
        if size <= limit { Ok(()) } else { Err(Rule::TooLarge.broken(format!("{header}: {size} bytes"))) }
    }

    fn deploy(&mut self, change: Change) {
        let before = self.settings;
        match change {
            Change::Domain => self.settings.has_domain = true,
            Change::Path => self.settings.has_path = true,
            Change::Partitioned => self.settings.is_partitioned = true,
            Change::Chunked => self.settings.is_chunked = true,
            Change::Whole => self.settings.is_chunked = false,
        }
        if self.settings == before {
            return;
        }
        self.was_chunked |= self.settings.is_chunked;
        self.apps = apps(self.site, self.settings, &self.clock);
        let has_pieces = self.jars.each_ref().map(|jar| jar.names().iter().any(|name| name.contains('.')));
        let changes_pieces = self.settings.is_chunked != before.is_chunked;
        self.rules.deployed(self.settings.is_chunked, has_pieces.map(|has| has && changes_pieces));
    }
}

fn apps(site: &Site, settings: Settings, clock: &ManualClock) -> [Router; 2] {
    site.layers.each_ref().map(|layer| {
        let mut layer = layer.clone().name("sid").unwrap().clock(clock.clone());
        layer = layer.idle_timeout(Duration::from_secs(IDLE_TIMEOUT));
        if settings.has_domain {
            layer = layer.domain("example.com").unwrap();
        }
        if settings.has_path {
            layer = layer.path("/app").unwrap();
        }
        if settings.is_chunked {
            layer = layer.chunked(4);
        }
        let app =
            Router::new().route("/{browser}/{action}", get(act)).layer(layer.partitioned(settings.is_partitioned));
        (site.around)(app)
    })
}

fn request(
    app: &Router,
    browser: usize,
    action: Action,
    cookies: &str,
    gate: &Arc<Gate>,
) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
    let mut request = Request::get(format!("/{}/{action:?}", BROWSERS[browser]));
    if !cookies.is_empty() {
        request = request.header(COOKIE, cookies);
    }
    let request = request.extension(Arc::clone(gate)).body(Body::empty()).unwrap();
    let app = app.clone();
    Box::pin(async move {
        let response: Response = app.oneshot(request).await.unwrap();
        let set = response.headers().get_all(SET_COOKIE).iter();
        let set_cookies = set.map(|value| value.to_str().unwrap().to_owned()).collect();
        Answer { status: response.status().as_u16(), set_cookies }
    })
}

/// Reads the session, waits at the gate, and does what the path says.
async fn act(
    session: Session,
    Extension(gate): Extension<Arc<Gate>>,
    Path((browser, action)): Path<(String, String)>,
) -> Result<(), Error> {
    let (is_new, has_expired) = (session.is_new(), session.ended() == Some(Ended::Expired));
    let [user, mark] = [session.get::<String>("user")?, session.get("mark")?];
    *gate.seen.lock().unwrap() = Some(Seen { user, mark, is_new, has_expired });
    gate.has_read.notify_one();
    gate.goes_on.notified().await;
    match action.as_str() {
        "Read" => {}
        "Write" => session.insert("mark", browser)?,
        "WriteMuch" => {
            session.insert("mark", browser)?;
            session.insert("much", "x".repeat(MUCH))?;
        }
        "LogIn" => {
            session.renew();
            session.insert("user", browser)?;
        }
        "LogOut" => drop(session.destroy()),
        "Renew" => session.renew(),
        "Rotate" => session.rotate(),
        "Remember" => session.set_lifetime(Duration::from_secs(REMEMBERED)),
        other => panic!("{other}"),
    }
    Ok(())
}
