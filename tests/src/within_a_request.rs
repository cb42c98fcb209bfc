//! What the tasks of one request do to its session at the same time, and saves whose end the request does not see.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use axum::{Router, handler::Handler, http::StatusCode, response::IntoResponse, routing::get};
use proptest::prelude::*;
use session_axum::{
    Error, Session, SessionLayer, Sessions,
    testing::{Client, ManualClock},
};
use session_stores::MemoryStore;
use tokio::{sync::Notify, time::Instant};

use crate::support::{
    app::{NOW, client, keys, layer},
    logs::Logs,
    watched::{Fault, Watched},
};

/// A browser that is logged in as a guest with `a` in its session, in front of a watched store and one more route.
struct Site {
    store: Watched,
    layer: SessionLayer,
    client: Client,
}

impl Site {
    async fn new<H, T>(handler: H) -> Self
    where
        H: Handler<T, ()>,
        T: 'static,
    {
        let store = Watched::new();
        let layer = SessionLayer::stored(store.clone(), keys()).clock(ManualClock::at(NOW));
        let app = Router::new()
            .route("/start", get(|session: Session| async move { session.insert("a", "1") }))
            .route("/user", get(user))
            .route("/id", get(|session: Session| async move { session.id().to_string() }))
            .route("/all", get(|session: Session| async move { session.keys().join(" ") }))
            .route("/try", get(handler))
            .layer(layer.clone());
        let site = Self { store, layer, client: Client::new(app) };
        site.client.get("/start").await;
        site.store.calls();
        site
    }

    async fn text(&self, path: &str) -> String {
        self.client.get(path).await.text()
    }
}

async fn user(session: Session) -> Result<String, Error> {
    Ok(session.get("user")?.unwrap_or_else(|| "nobody".to_owned()))
}

/// Polls a future once and drops it, as a client that disconnects or a timeout does.
async fn begin<F: Future>(future: F) -> bool {
    let mut future = pin!(future);
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

async fn count(session: Session) -> Result<String, Error> {
    let tasks: Vec<_> = (0..4_u64)
        .map(|task| {
            let session = session.clone();
            tokio::spawn(async move {
                for turn in 0..500 {
                    let slow = turn % 100 == 0;
                    let add = |n: Option<u32>| {
                        if slow {
                            std::thread::sleep(Duration::from_millis(1 + task));
                        }
                        n.unwrap_or(0) + 1
                    };
                    session.update("n", add).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap()?;
    }
    Ok(session.get::<u32>("n")?.unwrap_or_default().to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_of_several_tasks_all_count() {
    let site = Site::new(count).await;
    assert_eq!(site.text("/try").await, "2000");
    assert_eq!(site.text("/try").await, "4000");
}

#[tokio::test]
async fn thirty_thousand_updates_cost_each_what_the_first_cost() {
    async fn often(session: Session) -> Result<String, Error> {
        for _ in 0..30_000 {
            session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
        }
        session.insert("done", true)?;
        Ok(session.get::<u32>("n")?.unwrap_or_default().to_string())
    }
    let site = Site::new(often).await;
    assert_eq!(site.text("/try").await, "30000");
    assert_eq!(site.text("/all").await, "a done n");
}

#[tokio::test(start_paused = true)]
async fn a_save_that_was_cancelled_is_repeated_with_the_same_id() {
    async fn log_in(session: Session) -> Result<String, Error> {
        session.renew();
        session.insert("user", "alice")?;
        let id = session.id();
        assert!(begin(session.save()).await);
        Ok((id == session.id()).to_string())
    }
    let site = Site::new(log_in).await;
    site.store.fail_after_load(Fault::Yield, 1);
    let page = site.client.get("/try").await;
    assert_eq!((page.status().as_u16(), page.text().as_str()), (200, "true"));
    assert_eq!(site.text("/user").await, "alice");
    assert_eq!(site.text("/all").await, "a user");
}

#[tokio::test(start_paused = true)]
async fn a_save_whose_answers_were_lost_is_repeated_with_the_same_id() {
    async fn log_in(session: Session) -> Result<(), Error> {
        session.renew();
        session.insert("user", "alice")?;
        assert!(session.save().await.is_err());
        Ok(())
    }
    let site = Site::new(log_in).await;
    site.store.fail_after_load(Fault::LostAfter, 2);
    assert_eq!(site.client.get("/try").await.status(), StatusCode::OK);
    assert_eq!(site.text("/user").await, "alice");
}

#[tokio::test(start_paused = true)]
async fn a_failed_response_still_repeats_a_save_that_was_cancelled() {
    async fn log_in(session: Session) -> Result<StatusCode, Error> {
        session.renew();
        session.insert("user", "alice")?;
        assert!(begin(session.save()).await);
        session.insert("after", true)?;
        Ok(StatusCode::BAD_GATEWAY)
    }
    let site = Site::new(log_in).await;
    site.store.fail_after_load(Fault::Yield, 1);
    assert_eq!(site.client.get("/try").await.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(site.text("/all").await, "a user", "a save stays whatever the response will be");
}

/// What a handler does while a save of its session is on its way, and what `user` is afterwards.
async fn during_a_save(act: fn(&Session)) -> (String, String) {
    let handler = move |session: Session| async move {
        session.destroy();
        session.insert("user", "alice")?;
        let (saved, ()) = tokio::join!(session.save(), async { act(&session) });
        saved
    };
    let site = Site::new(handler).await;
    site.store.fail_after_load(Fault::Yield, 1);
    assert_eq!(site.client.get("/try").await.status(), StatusCode::OK);
    (site.text("/user").await, site.text("/all").await)
}

#[tokio::test(start_paused = true)]
async fn what_happens_while_a_save_is_on_its_way_is_not_lost() {
    assert_eq!(
        during_a_save(|session| {
            let _ = session.destroy();
        })
        .await
        .0,
        "nobody"
    );
    assert_eq!(during_a_save(Session::clear).await.0, "nobody");
    assert_eq!(during_a_save(|session| session.insert("b", 2).unwrap()).await.1, "b user");
    assert_eq!(during_a_save(|session| assert!(session.remove("user"))).await.0, "nobody");
    assert_eq!(during_a_save(|_| ()).await.0, "alice");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_while_a_save_is_on_its_way_gives_another_id() {
    async fn renew(session: Session) -> Result<String, Error> {
        session.insert("user", "alice")?;
        let before = session.id();
        let (saved, ()) = tokio::join!(session.save(), async { session.renew() });
        saved?;
        Ok(before.to_string())
    }
    let site = Site::new(renew).await;
    let cookie = site.client.cookie("__Host-session");
    site.store.fail_after_load(Fault::Yield, 1);
    site.text("/try").await;
    assert_ne!(site.client.cookie("__Host-session"), cookie);
    assert_eq!(site.text("/user").await, "alice");
    let copy = Client::new(Router::new().route("/user", get(user)).layer(site.layer.clone()));
    copy.set_cookie("__Host-session", &cookie.unwrap());
    assert_eq!(copy.get("/user").await.text(), "nobody");
}

#[tokio::test(start_paused = true)]
async fn two_saves_at_once_of_a_fresh_session_make_one_record() {
    async fn twice(session: Session) -> Result<(), Error> {
        session.destroy();
        session.insert("user", "alice")?;
        let (one, other) = tokio::join!(session.save(), session.save());
        one.and(other)
    }
    let site = Site::new(twice).await;
    site.store.fail_after_load(Fault::Yield, 1);
    assert_eq!(site.client.get("/try").await.status(), StatusCode::OK);
    assert_eq!(site.store.calls(), ["load", "delete", "create"]);
    assert_eq!(site.text("/user").await, "alice");
}

#[tokio::test(start_paused = true)]
async fn a_save_in_a_task_that_outlives_the_handler_comes_to_its_end_before_the_response() {
    async fn spawn(session: Session) -> Result<(), Error> {
        session.insert("user", "alice")?;
        tokio::spawn(async move { session.save().await });
        tokio::task::yield_now().await;
        Ok(())
    }
    let site = Site::new(spawn).await;
    site.store.fail_after_load(Fault::Yield, 1);
    assert_eq!(site.client.get("/try").await.status(), StatusCode::OK);
    assert_eq!(site.text("/user").await, "alice");
    let writes = site.store.calls().into_iter().filter(|call| *call == "update").count();
    assert_eq!(writes, 1);
}

#[tokio::test]
async fn a_save_of_a_cookie_session_counts_as_no_cookie() {
    async fn save(session: Session) -> Result<(), Error> {
        session.insert("a", 1)?;
        session.save().await
    }
    let app = Router::new().route("/", get(save)).layer(layer());
    let (logs, _guard) = Logs::capture();
    let request = axum::extract::Request::get("/").header("sec-fetch-site", "same-origin");
    client(app).send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert!(!logs.take().iter().any(|line| line.contains("none has come back")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saves_of_several_tasks_lose_nothing_of_a_session_in_its_cookie() {
    async fn save(session: Session) -> Result<(), Error> {
        session.insert("a", 1)?;
        let tasks = [session.clone(), session].map(|session| {
            tokio::spawn(async move {
                for _ in 0..500 {
                    session.save().await?;
                }
                Ok::<_, Error>(())
            })
        });
        for task in tasks {
            task.await.unwrap()?;
        }
        Ok(())
    }
    let app = Router::new().route("/", get(save)).layer(layer());
    for _ in 0..10 {
        let client = client(app.clone());
        client.get("/").await;
        assert_eq!(client.cookie_names(), ["__Host-session"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_save_after_one_that_was_cancelled_says_that_the_session_ended() {
    async fn ended(session: Session, sessions: Sessions) -> Result<String, Error> {
        session.insert("user", "alice")?;
        assert!(begin(session.save()).await);
        assert!(sessions.destroy(session.id()).await?);
        Ok(session.save().await.is_err().to_string())
    }
    let site = Site::new(ended).await;
    site.store.fail_after_load(Fault::Late, 1);
    assert_eq!(site.text("/try").await, "true");
}

#[tokio::test(start_paused = true)]
async fn a_save_that_was_cancelled_is_not_repeated_after_the_response() {
    let (answered, finished) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (wait, done) = (Arc::clone(&answered), Arc::clone(&finished));
    let handler = move |session: Session| async move {
        session.insert("user", "alice")?;
        assert!(begin(session.save()).await);
        session.insert("user", "bob")?;
        tokio::spawn(async move {
            wait.notified().await;
            assert!(session.save().await.is_err());
            done.notify_one();
        });
        Ok::<_, Error>(())
    };
    let site = Site::new(handler).await;
    site.store.fail_after_load(Fault::Yield, 1);
    site.text("/try").await;
    assert_eq!(site.text("/user").await, "bob");
    answered.notify_one();
    finished.notified().await;
    assert_eq!(site.text("/user").await, "bob");
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_removal_whose_save_was_cancelled_is_not_lost() {
    async fn clear(session: Session) -> Result<(), Error> {
        session.clear();
        assert!(begin(session.save()).await);
        session.insert("b", 2)
    }
    let site = Site::new(clear).await;
    site.store.fail_after_load(Fault::Yield, 1);
    assert_eq!(site.client.get("/try").await.status(), StatusCode::OK);
    assert_eq!(site.text("/all").await, "b");
}

#[tokio::test]
async fn a_save_of_a_session_that_expired_meanwhile_is_an_error() {
    let stored = |keys| SessionLayer::stored(MemoryStore::new(), keys);
    for layer in [stored(keys()), SessionLayer::signed(keys())] {
        let clock = ManualClock::at(NOW);
        let later = clock.clone();
        let save = |session: Session| async move {
            session.insert("b", 1)?;
            later.advance(Duration::from_secs(2 * 24 * 60 * 60));
            let is_error = session.save().await.is_err();
            Ok::<_, Error>(format!("{is_error} {}", session.contains("b")))
        };
        let app = Router::new()
            .route("/start", get(|session: Session| async move { session.insert("a", 1) }))
            .route("/", get(save))
            .layer(layer.clock(clock));
        let client = client(app);
        client.get("/start").await;
        assert_eq!(client.get("/").await.text(), "true true");
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_that_was_asked_for_before_a_cancelled_save_holds_the_session() {
    async fn begin_anew(session: Session) -> String {
        session.destroy();
        let id = session.id();
        assert!(begin(session.save()).await);
        session.set_lifetime(Duration::from_secs(90 * 24 * 60 * 60));
        id.to_string()
    }
    let site = Site::new(begin_anew).await;
    site.store.fail_after_load(Fault::Yield, 1);
    let id = site.text("/try").await;
    assert_eq!(site.text("/id").await, id);
}

#[tokio::test]
async fn an_owner_may_be_made_from_the_session_itself() {
    struct Name(Session);
    impl From<Name> for String {
        fn from(name: Name) -> Self {
            name.0.keys().join(" ")
        }
    }
    async fn own(session: Session, sessions: Sessions) -> Result<String, Error> {
        session.set_owner(Name(session.clone()))?;
        session.set_label(Name(session.clone()))?;
        session.save().await?;
        Ok(sessions.of("a").await?.len().to_string())
    }
    let site = Site::new(own).await;
    assert_eq!(site.text("/try").await, "1");
}

/// A handler begins a save, gives it up without dropping it, and asks the store for something else.
#[tokio::test(start_paused = true)]
async fn a_save_that_nobody_polls_any_more_keeps_nothing_waiting_for_ever() {
    async fn give_up(session: Session) -> Result<String, Error> {
        session.insert("user", "alice")?;
        let mut save = pin!(session.save());
        assert!(poll_fn(|context| Poll::Ready(save.as_mut().poll(context).is_pending())).await);
        let began = Instant::now();
        let updated = session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await;
        Ok((updated.is_err() && began.elapsed() < Duration::from_millis(2_500)).to_string())
    }
    let site = Site::new(give_up).await;
    site.store.fail_after_load(Fault::Late, 1);
    assert_eq!(site.text("/try").await, "true");
    assert_eq!(site.text("/user").await, "alice");
}

#[tokio::test(start_paused = true)]
async fn a_save_that_is_kept_and_not_polled_does_not_hold_back_the_response() {
    type Save = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;
    let kept: Arc<Mutex<Option<Save>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let handler = move |session: Session| async move {
        session.insert("user", "alice")?;
        let mut save: Save = Box::pin(async move { session.save().await });
        assert!(poll_fn(|context| Poll::Ready(save.as_mut().poll(context).is_pending())).await);
        *keep.lock().unwrap() = Some(save);
        Ok::<_, Error>(())
    };
    let site = Site::new(handler).await;
    site.store.fail_after_load(Fault::Late, 1);
    let began = Instant::now();
    assert_eq!(site.client.get("/try").await.status(), StatusCode::OK);
    assert!(began.elapsed() < Duration::from_millis(2_500));
    assert_eq!(site.text("/user").await, "alice");
}

#[tokio::test(start_paused = true)]
async fn an_update_that_is_kept_and_not_polled_only_delays_those_of_other_requests() {
    type Update = Pin<Box<dyn Future<Output = Result<u32, Error>> + Send>>;
    let kept: Arc<Mutex<Option<Update>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let handler = move |session: Session| async move {
        let mut update: Update =
            Box::pin(async move { session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await });
        let is_first = keep.lock().unwrap().is_none();
        if is_first {
            assert!(poll_fn(|context| Poll::Ready(update.as_mut().poll(context).is_pending())).await);
            *keep.lock().unwrap() = Some(update);
            return Ok(String::new());
        }
        let began = Instant::now();
        let count = update.await?;
        assert!(began.elapsed() < Duration::from_millis(2_500));
        Ok::<_, Error>(count.to_string())
    };
    let site = Site::new(handler).await;
    site.store.fail_after_load(Fault::Hang, 1);
    assert_eq!(site.client.get("/try").await.status(), StatusCode::OK);
    assert_eq!(site.text("/try").await, "1");
}

#[tokio::test(start_paused = true)]
async fn an_update_that_never_comes_first_is_an_error_within_the_stores_timeout() {
    async fn update(session: Session) -> impl IntoResponse {
        let began = Instant::now();
        let updated = session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await;
        (updated.is_err(), began.elapsed() < Duration::from_millis(1_200)).eq(&(true, true)).to_string()
    }
    let store = Watched::new();
    let layer = SessionLayer::stored(store.clone(), keys()).store_timeout(Duration::from_secs(1));
    let app = Router::new()
        .route("/start", get(|session: Session| async move { session.insert("a", 1) }))
        .route("/", get(update))
        .layer(layer);
    let client = client(app);
    client.get("/start").await;
    store.fail(Fault::Conflict, u32::MAX);
    assert_eq!(client.get("/").await.text(), "true");
}

/// One step of a handler.
#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(&'static str),
    Remove(&'static str),
    Clear,
    Renew,
    Destroy,
    AskId,
    Remember,
    Update(&'static str),
    Save,
    /// Begins a save and drops it; the store fails so.
    Cancel(Fault),
    /// Saves, and the store fails so.
    Lose(Fault),
}

fn step() -> impl Strategy<Value = Step> {
    let key = prop::sample::select(vec!["a", "b", "c"]);
    prop_oneof![
        3 => key.clone().prop_map(Step::Insert),
        2 => key.clone().prop_map(Step::Remove),
        1 => Just(Step::Clear),
        1 => Just(Step::Renew),
        1 => Just(Step::Destroy),
        1 => Just(Step::AskId),
        1 => Just(Step::Remember),
        1 => key.prop_map(Step::Update),
        1 => Just(Step::Save),
        2 => prop::sample::select(vec![Fault::Yield, Fault::Late]).prop_map(Step::Cancel),
        1 => prop::sample::select(vec![Fault::LostBefore, Fault::LostAfter]).prop_map(Step::Lose),
    ]
}

/// Runs the steps in one request, and compares the next request's session with what they say.
async fn run(has_session: bool, steps: Vec<Step>) {
    let (store, expected) = (Watched::new(), Arc::new(Mutex::new((BTreeMap::<String, u64>::new(), None::<String>))));
    let (watched, model, planned) = (store.clone(), Arc::clone(&expected), steps.clone());
    let handler = move |session: Session| async move {
        let mut values: BTreeMap<String, u64> = BTreeMap::new();
        for key in session.keys() {
            values.insert(key.clone(), session.get(&key)?.unwrap());
        }
        let (mut id, mut may_be_over) = (None, false);
        for (number, step) in planned.into_iter().enumerate() {
            let number = number as u64 + 1;
            match step {
                Step::Insert(key) => {
                    session.insert(key, number)?;
                    values.insert(key.into(), number);
                }
                Step::Remove(key) => assert_eq!(session.remove(key), values.remove(key).is_some()),
                Step::Clear => {
                    session.clear();
                    values.clear();
                }
                Step::Renew => {
                    session.renew();
                    id = None;
                }
                Step::Destroy => {
                    session.destroy();
                    values.clear();
                    id = None;
                }
                Step::AskId => {
                    let now = session.id().to_string();
                    assert!(id.is_none_or(|id| id == now));
                    id = Some(now);
                }
                Step::Remember => session.set_lifetime(Duration::from_secs(90 * 24 * 60 * 60)),
                Step::Update(key) => {
                    let new = session.update(key, |old: Option<u64>| old.unwrap_or(0) + 100).await?;
                    let old = values.get(key).copied().unwrap_or(0);
                    assert_eq!(new, old + 100);
                    values.insert(key.into(), new);
                }
                Step::Save => session.save().await?,
                Step::Cancel(fault) => {
                    watched.fail(fault, 1);
                    begin(session.save()).await;
                    watched.recover();
                }
                Step::Lose(fault) => {
                    watched.fail(fault, 2);
                    let _ = session.save().await;
                    watched.recover();
                }
            }
            assert_eq!(session.keys(), values.keys().cloned().collect::<Vec<_>>());
            // The handler was not told whether this save has removed the session, and its id with it.
            may_be_over |= matches!(step, Step::Cancel(_) | Step::Lose(_)) && values.is_empty();
        }
        *model.lock().unwrap() = (values, id.filter(|_| !may_be_over));
        Ok::<_, Error>(())
    };
    async fn values(session: Session) -> Result<String, Error> {
        let read = |key: String| Ok(format!("{key}={} ", session.get::<u64>(&key)?.unwrap_or_default()));
        session.keys().into_iter().map(read).collect()
    }
    let layer = SessionLayer::stored(store, keys()).clock(ManualClock::at(NOW));
    let app = Router::new()
        .route("/start", get(|session: Session| async move { session.insert("a", 7) }))
        .route("/values", get(values))
        .route("/id", get(|session: Session| async move { session.id().to_string() }))
        .route("/try", get(handler))
        .layer(layer);
    let client = Client::new(app.clone());
    if has_session {
        client.get("/start").await;
    }
    let before = client.cookie("__Host-session");
    assert_eq!(client.get("/try").await.status(), StatusCode::OK);
    let (values, id) = expected.lock().unwrap().clone();
    let expected: String = values.iter().map(|(key, value)| format!("{key}={value} ")).collect();
    assert_eq!(client.get("/values").await.text(), expected);
    if let Some(id) = id {
        assert_eq!(client.get("/id").await.text(), id);
    }
    if let (Some(before), true) = (before, steps.iter().any(|step| matches!(step, Step::Renew | Step::Destroy))) {
        let copy = Client::new(app);
        copy.set_cookie("__Host-session", &before);
        assert_eq!(copy.get("/values").await.text(), "");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_order_of_steps_and_faults_loses_a_change(has_session in any::<bool>(), steps in prop::collection::vec(step(), 0..9)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(has_session, steps));
    }
}
