//! Tasks of one request, and requests of one session, in every order in which their polls can follow one another.
//!
//! One thread polls the tasks, so that a schedule is the list of the tasks in the order of their polls. What is found
//! so is what goes wrong between two awaits. What two processors do inside one poll at the same time is not: there the
//! state is behind one lock.

mod explorer;
mod log_outs;

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::{FromRequestParts as _, Request},
    http::request::Parts,
    routing::get,
};
use session_axum::{Error, Session, SessionLayer, testing::ManualClock};
use session_core::store::{End, Lookup, SessionStore as _};
use session_stores::MemoryStore;
use tokio::sync::watch;

use self::explorer::{Task, explore};
use crate::support::{
    app::{NOW, keys},
    jar::{Jar, send},
    polls::{drop_after, step},
    watched::Watched,
};

/// What a task does to the session of its request, one step after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Insert(&'static str),
    Update,
    Save,
    /// Begins a save, and drops it after so many polls.
    DropSave(usize),
    /// Begins an update, and drops it after so many polls.
    DropUpdate(usize),
    /// Renews the session, and inserts `renewed` in the same poll.
    Renew,
    Rotate,
    LogOut,
    /// Destroys the session, and inserts `new` in the same poll.
    BeginAnew,
}
use Step::*;

/// What the tasks of a schedule were answered.
#[derive(Clone, Debug, Default)]
struct Answers {
    /// The keys whose `insert` returned `Ok`.
    inserted: Vec<&'static str>,
    /// The values that updates returned.
    updated: Vec<u32>,
    /// The number of updates that were dropped.
    dropped: u32,
}

impl Answers {
    /// Returns whether the insertion of this key came before the end of its request.
    fn has(&self, key: &str) -> bool {
        self.inserted.contains(&key)
    }
}

type Log = Arc<Mutex<Answers>>;

async fn run(steps: &[Step], session: &Session, log: &Log) -> Result<(), Error> {
    let add = |n: Option<u32>| n.unwrap_or(0) + 1;
    let insert = |key| {
        session.insert(key, true)?;
        log.lock().unwrap().inserted.push(key);
        Ok::<_, Error>(())
    };
    for (at, todo) in steps.iter().enumerate() {
        if at > 0 {
            step().await;
        }
        match *todo {
            Insert(key) => insert(key)?,
            Update => {
                let n = session.update("n", add).await?;
                log.lock().unwrap().updated.push(n);
            }
            Save => session.save().await?,
            DropSave(polls) => drop(drop_after(polls, session.save()).await.transpose()?),
            DropUpdate(polls) => match drop_after(polls, session.update("n", add)).await.transpose()? {
                Some(n) => log.lock().unwrap().updated.push(n),
                None => log.lock().unwrap().dropped += 1,
            },
            Renew => {
                session.renew();
                insert("renewed")?;
            }
            Rotate => session.rotate(),
            LogOut => drop(session.destroy()),
            BeginAnew => {
                session.destroy();
                insert("new")?;
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Signed,
    Revocations,
    Stored,
}

const ENGINES: [Engine; 3] = [Engine::Signed, Engine::Revocations, Engine::Stored];

/// The application, its store, and a browser with `a` and `n=1` in its session.
struct Site {
    app: Router,
    store: Watched,
    browser: Jar,
}

impl Site {
    async fn new(engine: Engine, more: Router) -> Self {
        let store = Watched::in_steps(Arc::new(MemoryStore::new()));
        let layer = match engine {
            Engine::Signed => SessionLayer::signed(keys()),
            Engine::Revocations => SessionLayer::signed(keys()).revocations(store.clone()),
            Engine::Stored => SessionLayer::stored(store.clone(), keys()),
        };
        let app = more.route("/start", get(start)).route("/show", get(show)).layer(layer.clock(ManualClock::at(NOW)));
        let mut browser = Jar::default();
        assert_eq!(browser.get(&app, "/start").await, "");
        Self { app, store, browser }
    }

    async fn show(&self, browser: &Jar) -> Shown {
        let text = send(&self.app, "/show", &browser.header()).await.0;
        let keys: Vec<_> = text.split(' ').filter(|key| !key.is_empty()).map(str::to_owned).collect();
        let n = keys.iter().find_map(|key| key.strip_prefix("n=")).map_or(0, |n| n.parse().unwrap());
        Shown { keys, n }
    }

    /// Returns whether the session ended with a renewal, and not with a log-out, as the store or the list knows it.
    async fn was_renewed(&self) -> bool {
        for key in self.store.keys() {
            match self.store.load(&key, NOW).await.unwrap() {
                Lookup::Ended(end) => return end == End::Renewed,
                Lookup::Live(entry) if entry.entries.get("end") == Some("\"renewed\"") => return true,
                _ => {}
            }
        }
        false
    }

    /// Returns how many sessions are alive in the store.
    async fn alive(&self) -> usize {
        let (mut alive, mut cursor) = (0, None);
        loop {
            let page = self.store.all(NOW, cursor.as_ref()).await.unwrap();
            alive += page.sessions.len();
            cursor = page.next;
            if cursor.is_none() {
                return alive;
            }
        }
    }
}

/// What a browser's session holds.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    keys: Vec<String>,
    n: u32,
}

impl Shown {
    fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|known| known == key)
    }
}

async fn start(session: Session) -> Result<(), Error> {
    session.insert("a", 1)?;
    session.insert("n", 1)
}

async fn show(session: Session) -> Result<String, Error> {
    let mut shown = session.keys();
    if let Some(n) = session.get::<u32>("n")? {
        shown.iter_mut().filter(|key| *key == "n").for_each(|key| *key = format!("n={n}"));
    }
    Ok(shown.join(" "))
}

/// Runs the tasks of a request in every order, with a handler that answers while they may still run.
async fn tasks_of_one_request(engine: Engine, tasks: &[&[Step]]) -> usize {
    explore(async |schedule| {
        let shared = watch::Sender::new(None);
        let handler = {
            let shared = shared.clone();
            move |request: Request| async move {
                shared.send_replace(Some(request.into_parts().0));
                step().await;
                step().await;
            }
        };
        let mut site = Site::new(engine, Router::new().route("/shared", get(handler))).await;
        let (log, before, answer) = (Log::default(), site.browser.clone(), Mutex::default());
        let request = async { *answer.lock().unwrap() = Some(send(&site.app, "/shared", &before.header()).await) };
        let mut futures: Vec<Task<'_>> = vec![Box::pin(request)];
        for steps in tasks {
            let (mut parts, log) = (shared.subscribe(), Arc::clone(&log));
            futures.push(Box::pin(async move {
                let mut parts: Parts = parts.wait_for(Option::is_some).await.unwrap().clone().unwrap();
                let session = Session::from_request_parts(&mut parts, &()).await.unwrap();
                // An error is an answer, too: the request is over.
                let _ = run(steps, &session, &log).await;
            }));
        }
        schedule.run(futures).await;
        let (text, set_cookies) = answer.into_inner().unwrap().unwrap();
        site.browser.apply(&set_cookies);
        let log = log.lock().unwrap().clone();
        let context = format!("{engine:?}, {tasks:?}, {schedule:?}, {log:?}");
        assert_eq!(text, "", "{context}");
        check_tasks(&site, engine, &before, &log, &context).await;
    })
    .await
}

async fn check_tasks(site: &Site, engine: Engine, before: &Jar, log: &Answers, context: &str) {
    let (former, shown) = (site.show(before).await, site.show(&site.browser).await);
    let context = format!("{context}: {shown:?}");
    let updates = u32::try_from(log.updated.len()).unwrap();
    if log.has("new") {
        assert!(shown.has("new") && !shown.has("a"), "{context}");
        // Updates from before the end went with the session.
        assert!(shown.n <= updates + log.dropped, "{context}");
    } else {
        let lost = log.inserted.iter().find(|key| !shown.has(key));
        assert!(shown.has("a") && lost.is_none(), "{context}");
        assert!((updates..=updates + log.dropped).contains(&(shown.n - 1)), "{context}");
        assert!(log.updated.iter().all(|answered| *answered <= shown.n), "{context}");
    }
    if log.has("new") || log.has("renewed") {
        assert!(former.keys.is_empty(), "{context}");
    } else if engine == Engine::Stored {
        assert_eq!(former, shown, "{context}");
    }
    if engine == Engine::Stored {
        assert_eq!(site.alive().await, 1, "{context}");
    }
}

/// Runs two requests of one session in every order. Passes their answers on, in the order of the requests.
async fn requests_of_one_session(
    engine: Engine,
    requests: [&'static [Step]; 2],
    check: impl AsyncFn(Site, &Answers, [Answer; 2], &str),
) -> usize {
    explore(async |schedule| {
        let log = Log::default();
        let route = |steps: &'static [Step]| {
            let log = Arc::clone(&log);
            get(move |session: Session| async move { run(steps, &session, &log).await })
        };
        let app = Router::new().route("/0", route(requests[0])).route("/1", route(requests[1]));
        let site = Site::new(engine, app).await;
        let answers = [Mutex::<Option<Answer>>::default(), Mutex::default()];
        let tasks = ["/0", "/1"].into_iter().zip(&answers).map(|(path, answer)| {
            let cookies = site.browser.header();
            let app = &site.app;
            let task: Task<'_> =
                Box::pin(async move { *answer.lock().unwrap() = Some(send(app, path, &cookies).await) });
            task
        });
        schedule.run(tasks.collect()).await;
        let log = log.lock().unwrap().clone();
        let answers = answers.map(|answer| answer.into_inner().unwrap().unwrap());
        let context = format!("{engine:?}, {requests:?}, {schedule:?}, {log:?}, {answers:?}");
        check(site, &log, answers, &context).await;
    })
    .await
}

/// A body, and the cookies that it came with.
type Answer = (String, Vec<String>);

#[tokio::test(start_paused = true)]
async fn what_the_tasks_of_a_request_were_answered_holds() {
    let tasks: [&[&[Step]]; 8] = [
        &[&[Insert("b"), Save], &[Insert("c"), Save]],
        &[&[Update], &[Update]],
        &[&[Insert("b"), Save], &[Update]],
        &[&[Rotate, Insert("b"), Save], &[Update]],
        &[&[Renew, Save], &[Insert("b"), Save]],
        &[&[Renew, Save], &[Update]],
        &[&[Renew, Save], &[Rotate, Save]],
        &[&[Update], &[Insert("b")], &[Save]],
    ];
    for tasks in tasks {
        for engine in ENGINES {
            let schedules = tasks_of_one_request(engine, tasks).await;
            assert!(schedules > 10, "{engine:?}, {tasks:?}: {schedules}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_tasks_of_a_request_drop_is_done_or_not() {
    for polls in 1..=3 {
        for first in [DropSave(polls), DropUpdate(polls)] {
            let first: &[Step] = &[Insert("b"), first];
            for second in [&[Update][..], &[Insert("c"), Save], &[Renew, Save], &[BeginAnew, Save]] {
                let schedules = tasks_of_one_request(Engine::Stored, &[first, second]).await;
                assert!(schedules > 10, "{first:?}, {second:?}: {schedules}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_a_task_ends_does_not_come_back() {
    let tasks: [&[Step]; 5] = [&[Update], &[Insert("b"), Save], &[Renew, Save], &[Rotate, Save], &[BeginAnew, Save]];
    for other in tasks {
        for engine in ENGINES {
            let schedules = tasks_of_one_request(engine, &[&[BeginAnew, Save], other]).await;
            assert!(schedules > 10, "{engine:?}, {other:?}: {schedules}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_change_of_two_requests_is_lost() {
    for requests in [[&[Update][..], &[Update]], [&[Insert("b")], &[Update]], [&[Insert("b"), Save], &[Insert("c")]]] {
        let schedules = requests_of_one_session(Engine::Stored, requests, async |site, log, answers, context| {
            let shown = site.show(&site.browser).await;
            let updates = u32::try_from(log.updated.len()).unwrap();
            assert!(answers.iter().all(|(text, _)| text.is_empty()), "{context}");
            assert!(shown.has("a") && shown.n == 1 + updates, "{context}: {shown:?}");
            assert!(log.inserted.iter().all(|key| shown.has(key)), "{context}: {shown:?}");
            assert_eq!(site.alive().await, 1, "{context}");
        });
        assert!(schedules.await > 10, "{requests:?}");
    }
}

/// What another request does while the session is renewed or ended. It may be told that the session is over.
const OTHERS: [&[Step]; 4] = [&[Update], &[Insert("b"), Save], &[Insert("b")], &[Rotate]];

#[tokio::test(start_paused = true)]
async fn a_log_in_holds_beside_another_request() {
    for other in OTHERS {
        for engine in ENGINES {
            let requests = [&[Renew][..], other];
            let schedules = requests_of_one_session(engine, requests, async |mut site, _, [log_in, _], context| {
                let before = site.browser.clone();
                site.browser.apply(&log_in.1);
                let shown = site.show(&site.browser).await;
                assert!(log_in.0.is_empty() && shown.has("a") && shown.has("renewed"), "{context}: {shown:?}");
                assert!(site.show(&before).await.keys.is_empty(), "{context}");
                assert!(engine != Engine::Stored || site.alive().await == 1, "{context}");
            });
            // Where no store is asked, a request waits only where its handler does.
            let least = if engine == Engine::Signed { 1 } else { 10 };
            assert!(schedules.await > least, "{engine:?}, {other:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_out_holds_beside_another_request() {
    for other in OTHERS {
        for engine in ENGINES {
            let requests = [&[LogOut][..], other];
            let schedules = requests_of_one_session(engine, requests, async |site, _, answers, context| {
                assert!(answers[0].0.is_empty(), "{context}");
                // The answers may reach the browser in either order.
                for order in [[0, 1], [1, 0]] {
                    let mut browser = site.browser.clone();
                    order.iter().for_each(|at: &usize| browser.apply(&answers[*at].1));
                    let shown = site.show(&browser).await;
                    assert!(shown.keys.is_empty(), "{context}, {order:?}: {shown:?}");
                }
                assert!(site.show(&site.browser).await.keys.is_empty(), "{context}");
                assert!(engine != Engine::Stored || site.alive().await == 0, "{context}");
            });
            // Where no store is asked, a request waits only where its handler does.
            let least = if engine == Engine::Signed { 1 } else { 10 };
            assert!(schedules.await > least, "{engine:?}, {other:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_log_ins_one_takes_the_values_of_the_session_over() {
    for engine in ENGINES {
        let requests = [&[Renew][..], &[Renew]];
        let schedules = requests_of_one_session(engine, requests, async |site, _, answers, context| {
            let mut heirs = 0;
            for (text, set_cookies) in &answers {
                let mut browser = site.browser.clone();
                browser.apply(set_cookies);
                let shown = site.show(&browser).await;
                assert!(text.is_empty() && shown.has("renewed"), "{context}: {shown:?}");
                heirs += usize::from(shown.has("a"));
            }
            assert_eq!(heirs, 1, "{context}");
        });
        let least = if engine == Engine::Signed { 1 } else { 10 };
        assert!(schedules.await > least, "{engine:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_in_does_not_take_over_the_values_of_a_session_that_was_logged_out_before() {
    // A cookie alone does not tell how its session ended.
    for engine in [Engine::Revocations, Engine::Stored] {
        let requests = [&[Renew][..], &[LogOut]];
        let schedules = requests_of_one_session(engine, requests, async |site, _, [log_in, log_out], context| {
            let mut browser = site.browser.clone();
            browser.apply(&log_in.1);
            let shown = site.show(&browser).await;
            assert!(log_out.0.is_empty(), "{context}");
            // The log-in begins a session of its own if the session was over when it came, or is an error.
            assert!(shown.has("renewed") || (shown.keys.is_empty() && !log_in.0.is_empty()), "{context}: {shown:?}");
            assert_eq!(shown.has("a"), site.was_renewed().await, "{context}: {shown:?}");
        });
        assert!(schedules.await > 10, "{engine:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_begins_anew_is_there_however_the_former_one_ends() {
    for other in [&[LogOut][..], &[Renew], &[Rotate], &[BeginAnew]] {
        for engine in ENGINES {
            let requests = [&[BeginAnew][..], other];
            let schedules = requests_of_one_session(engine, requests, async |site, _, [answer, _], context| {
                let mut browser = site.browser.clone();
                browser.apply(&answer.1);
                let shown = site.show(&browser).await;
                assert!(answer.0.is_empty() && shown.has("new") && !shown.has("a"), "{context}: {shown:?}");
            });
            let least = if engine == Engine::Signed { 1 } else { 10 };
            assert!(schedules.await > least, "{engine:?}, {other:?}");
        }
    }
}
