//! Very many requests at once, or very many operations in one request.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, extract::Path, routing::get};
use session_axum::{Error, Session, SessionLayer, testing::Client};
use session_core::store::SessionStore;
use session_stores::MemoryStore;
use tokio::task::JoinSet;

use super::{COOKIE, app};
use crate::support::{app::keys, backends::Backend, watched::Watched};

#[tokio::test]
async fn two_thousand_strangers_push_out_no_member() {
    // Room for less than half of the strangers.
    let app = app(SessionLayer::stored(MemoryStore::limited_to(200_000), keys()));
    let mut members = Vec::new();
    for number in 0..50 {
        let member = Client::new(app.clone());
        assert_eq!(member.get(&format!("/own/member{number}")).await.status(), 200);
        assert_eq!(member.get(&format!("/set/a/{number}")).await.status(), 200);
        members.push(member);
    }
    let mut strangers = Vec::new();
    for _ in 0..2_000 {
        let stranger = Client::new(app.clone());
        assert_eq!(stranger.get("/set/a/stranger").await.status(), 200);
        strangers.push(stranger);
    }
    for (number, member) in members.iter().enumerate() {
        assert_eq!(member.get("/get/a").await.text(), number.to_string());
    }
    let mut are_there = 0;
    for stranger in &strangers {
        are_there += usize::from(stranger.get("/get/a").await.text() == "stranger");
    }
    assert!((1..1_000).contains(&are_there), "{are_there} strangers are there: the store was not full");
}

#[tokio::test]
async fn two_thousand_strangers_who_log_out_push_out_no_member_and_no_visitor() {
    // Room for the ends of about half of them.
    let app = app(SessionLayer::stored(MemoryStore::limited_to(200_000), keys()));
    let (member, visitor) = (Client::new(app.clone()), Client::new(app.clone()));
    assert_eq!(member.get("/own/member").await.status(), 200);
    for client in [&member, &visitor] {
        assert_eq!(client.get("/set/a/here").await.status(), 200);
    }
    let mut cookie = String::new();
    for _ in 0..2_000 {
        let stranger = Client::new(app.clone());
        assert_eq!(stranger.get("/set/a/stranger").await.status(), 200);
        cookie = stranger.cookie(COOKIE).unwrap();
        assert_eq!(stranger.get("/destroy").await.status(), 200);
    }
    for client in [&member, &visitor] {
        assert_eq!(client.get("/get/a").await.text(), "here");
    }
    let late = Client::new(app);
    late.set_cookie(COOKIE, &cookie);
    assert_eq!(late.get("/set/a/late").await.status(), 200);
    assert_eq!(late.get("/get/a").await.text(), "", "the last end is known");
}

/// Requests of one session that all count, at the same time.
async fn eight_hundred_updates_at_once(store: Arc<dyn SessionStore>) {
    let app = app(SessionLayer::stored(store, keys()));
    let browser = Client::new(app.clone());
    assert_eq!(browser.get("/set/a/1").await.status(), 200);
    let cookie = browser.cookie(COOKIE).unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let tab = Client::new(app.clone());
        tab.set_cookie(COOKIE, &cookie);
        tasks.spawn(async move {
            let begun = Instant::now();
            let page = tab.get("/update").await;
            (page.status().as_u16(), begun.elapsed())
        });
    }
    let answers = tasks.join_all().await;
    let counted = answers.iter().filter(|(status, _)| *status == 200).count();
    let longest = answers.iter().map(|(_, time)| *time).max().unwrap();
    assert!(answers.iter().all(|(status, _)| [200, 503].contains(status)), "{answers:?}");
    assert!(counted >= TASKS * 95 / 100, "{counted} of {TASKS}, and the last one after {longest:?}");
    // One load and one update, of which each may take the store's timeout.
    assert!(longest < Duration::from_millis(2_500), "{longest:?}");
    let next: usize = browser.get("/update").await.text().parse().unwrap();
    assert!((counted + 1..=TASKS + 1).contains(&next), "{counted} were confirmed, and the next is {next}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_hundred_updates_of_one_key_at_once_in_memory() {
    eight_hundred_updates_at_once(Arc::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_hundred_updates_of_one_key_at_once_in_a_file() {
    let backend = Backend::sqlite();
    eight_hundred_updates_at_once(backend.connect().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_hundred_updates_of_one_key_at_once_in_postgres() {
    eight_hundred_updates_at_once(Backend::postgres().await.connect().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_hundred_updates_of_one_key_at_once_in_mariadb() {
    eight_hundred_updates_at_once(Backend::mariadb().await.connect().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_hundred_updates_of_one_key_at_once_in_redis() {
    eight_hundred_updates_at_once(Backend::redis().connect().await).await;
}

/// Ten times as many updates in one request take about ten times the work: not a hundred times.
#[tokio::test]
async fn thirty_thousand_updates_in_one_request_are_linear() {
    async fn often(session: Session, Path(times): Path<u32>) -> Result<(), Error> {
        for _ in 0..times {
            session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
        }
        Ok(())
    }
    let store = Watched::new();
    let layer = SessionLayer::stored(store.clone(), keys());
    let app = Router::new()
        .route("/start", get(|session: Session| async move { session.insert("n", 0) }))
        .route("/often/{times}", get(often))
        .layer(layer);
    let client = Client::new(app);
    client.get("/start").await;
    let mut work = Vec::new();
    for times in [3_000, 30_000] {
        store.calls();
        let before = nanoseconds_of_this_thread();
        assert_eq!(client.get(&format!("/often/{times}")).await.status(), 200);
        work.push(nanoseconds_of_this_thread() - before);
        let calls = store.calls();
        assert_eq!(calls.len(), times + 1);
        assert!(calls[0] == "load" && calls[1..].iter().all(|call| *call == "update"));
    }
    assert!(work[1] < 30 * work[0].max(1), "{work:?} ns");
}

/// The time that the processor gave to this thread: what other processes do is not in it.
fn nanoseconds_of_this_thread() -> u64 {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    statistics.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

const TASKS: usize = 800;
