//! Every method of a handle that outlives its request, dropped at each of its polls. The handle works afterwards, and the
//! next request sees what it has done.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, routing::get};
use session_axum::{Detached, Error, ErrorKind, Session, SessionLayer, testing::ManualClock};

use super::{Kept, each_store};
use crate::support::{
    app::{NOW, keys},
    jar::Jar,
    polls::{at_each_poll, drop_after},
};

const HOUR: Duration = Duration::from_secs(60 * 60);

#[derive(Clone, Copy, Debug)]
enum Method {
    Get,
    Insert,
    Update,
    Remove,
    Visit,
    IsAlive,
    Ended,
}

/// The methods, and what is in the session of `a=1 n=1` after one of them, and after it was called again.
const METHODS: [(Method, &str, &str); 7] = [
    (Method::Get, "a=1 n=1", "a=1 n=1"),
    (Method::Insert, "a=2 n=1", "a=2 n=1"),
    (Method::Update, "a=1 n=2", "a=1 n=3"),
    (Method::Remove, "n=1", "n=1"),
    (Method::Visit, "a=1 n=1", "a=1 n=1"),
    (Method::IsAlive, "a=1 n=1", "a=1 n=1"),
    (Method::Ended, "a=1 n=1", "a=1 n=1"),
];

async fn call(handle: &Detached, method: Method) -> Result<(), Error> {
    match method {
        Method::Get => handle.get::<u32>("a").await.map(drop),
        Method::Insert => handle.insert("a", 2).await,
        Method::Update => handle.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await.map(drop),
        Method::Remove => handle.remove("a").await.map(drop),
        Method::Visit => handle.visit().await,
        Method::IsAlive => handle.is_alive().await.map(drop),
        // It does not end here.
        Method::Ended => tokio::time::timeout(Duration::from_millis(1), handle.ended()).await.map_or(Ok(()), |ended| {
            panic!("{ended:?}");
        }),
    }
}

/// An application whose first request leaves a handle.
struct Site {
    app: Router,
    clock: ManualClock,
    handle: Arc<Mutex<Option<Detached>>>,
}

impl Site {
    fn each(kept: &Kept) -> [Self; 2] {
        let clock = ManualClock::at(NOW);
        let layer = SessionLayer::stored(kept.store.clone(), keys()).idle_timeout(HOUR).clock(clock.clone());
        [layer.clone(), layer.encrypt_records(keys())].map(|layer| Self::with(layer, clock.clone()))
    }

    fn with(layer: SessionLayer, clock: ManualClock) -> Self {
        let handle = Arc::new(Mutex::new(None));
        let left = handle.clone();
        let start = async move |session: Session| {
            session.insert("a", 1)?;
            session.insert("n", 1)?;
            *left.lock().unwrap() = Some(session.detached());
            Ok::<(), Error>(())
        };
        Self { app: Router::new().route("/start", get(start)).route("/show", get(show)).layer(layer), clock, handle }
    }

    /// Returns the browser of a new session, and a handle on it.
    async fn start(&self) -> (Jar, Detached) {
        let mut browser = Jar::default();
        assert_eq!(browser.get(&self.app, "/start").await, "");
        (browser, self.handle.lock().unwrap().take().unwrap())
    }
}

async fn show(session: Session) -> Result<String, Error> {
    let mut shown = Vec::new();
    for key in session.keys() {
        shown.push(format!("{key}={}", session.get::<u32>(&key)?.unwrap_or_default()));
    }
    Ok(shown.join(" "))
}

async fn a_dropped_method_of_a_handle_is_done_as_a_whole_or_not_at_all(kept: Kept) {
    for site in Site::each(&kept) {
        for (method, after, again) in METHODS {
            let dropped = at_each_poll(async |polls| {
                let (mut browser, handle) = site.start().await;
                // A visit is due, and the session would not live another hour without it.
                site.clock.advance(HOUR / 2);
                let answer = drop_after(polls, call(&handle, method)).await.transpose().unwrap();
                let context = format!("{method:?}, {polls} polls");
                // The handle is asked, since a request is a visit, too.
                let seen = [handle.get::<u32>("a").await.unwrap(), handle.get::<u32>("n").await.unwrap()];
                let seen: Vec<_> =
                    ["a", "n"].iter().zip(seen).filter_map(|(key, n)| n.map(|n| format!("{key}={n}"))).collect();
                let seen = seen.join(" ");
                assert!(seen == after || (answer.is_none() && seen == "a=1 n=1"), "{context}: {seen}");
                assert!(polls > 0 || seen == "a=1 n=1", "{context}: {seen}");
                call(&handle, method).await.unwrap();
                handle.visit().await.unwrap();
                site.clock.advance(HOUR - Duration::from_secs(1));
                let shown = browser.get(&site.app, "/show").await;
                let is_first = matches!(method, Method::Update) && seen == "a=1 n=1" && shown == "a=1 n=2";
                assert!(shown == again || is_first, "{context}: {shown}");
                answer.is_some()
            })
            .await;
            assert!(dropped >= 2, "{method:?} was dropped {dropped} times");
        }
    }
}

/// A request that begins a session was dropped: its handle finds the session, or says that there is none.
async fn a_handle_of_a_dropped_request_works_or_says_that_nothing_was_saved(kept: Kept) {
    for site in Site::each(&kept) {
        let dropped = at_each_poll(async |polls| {
            let mut browser = Jar::default();
            let answer = drop_after(polls, browser.get(&site.app, "/start")).await;
            let Some(handle) = site.handle.lock().unwrap().take() else { return answer.is_some() };
            match handle.get::<u32>("a").await {
                Ok(a) => assert_eq!(a, Some(1)),
                Err(error) => assert!(answer.is_none() && *error.kind() == ErrorKind::Gone, "{polls} polls: {error}"),
            }
            answer.is_some()
        })
        .await;
        assert!(dropped >= 1, "{dropped}");
    }
}

each_store! {
    a_dropped_method_of_a_handle_is_done_as_a_whole_or_not_at_all
    a_handle_of_a_dropped_request_works_or_says_that_nothing_was_saved
}
