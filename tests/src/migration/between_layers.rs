//! From one layer to another, between every pair of engines and for each changed attribute.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use session_axum::{
    Error, Flash, Keys, Session, SessionLayer, SessionResponseExt as _, Sessions, store::SessionStore,
    testing::ManualClock,
};
use session_core::store::RecordKey;
use session_stores::MemoryStore;
use tokio::sync::Notify;

use crate::support::{
    app::{NOW, OLD_SECRET, SECRET, keys},
    backends::Backend,
    jar::{Jar, send},
    polls::poll_until,
    watched::{Fault, Watched},
};

fn app(layer: &SessionLayer) -> Router {
    Router::new()
        .route("/login/{user}", get(log_in))
        .route("/logout", get(|session: Session| async move { format!("{:?}", session.destroy()) }))
        .route("/me", get(me))
        .route("/set/{key}/{value}", get(set))
        .route("/get/{key}", get(read))
        .route("/untouched", get(|| async { "untouched" }))
        .route("/fails", get(fails))
        .route("/flash", get(|| async { Redirect::to("/messages").flashing(("success", "Saved.")) }))
        .route("/messages", get(messages))
        .layer(layer.clone())
}

async fn log_in(session: Session, Path(user): Path<String>) -> Result<(), Error> {
    session.renew();
    session.insert("user", user)
}

async fn me(session: Session) -> Result<String, Error> {
    Ok(session.get("user")?.unwrap_or_else(|| "nobody".to_owned()))
}

async fn set(session: Session, Path((key, value)): Path<(String, String)>) -> Result<(), Error> {
    session.insert(&key, value)
}

async fn read(session: Session, Path(key): Path<String>) -> Result<String, Error> {
    Ok(session.get(&key)?.unwrap_or_default())
}

async fn fails(session: Session) -> Result<Response, Error> {
    session.insert("lost", true)?;
    Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

async fn messages(flash: Flash) -> String {
    flash.iter().map(|(key, text)| format!("{key}: {text}")).collect::<Vec<_>>().join(", ")
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn former_keys() -> Keys {
    Keys::new(OLD_SECRET).unwrap()
}

const UNTIL: u64 = NOW + 30 * 24 * 60 * 60;

/// A place where sessions can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Signed,
    Encrypted,
    Revocable,
    Memory,
    Sqlite,
    Redis,
}

use Place::{Encrypted, Memory, Redis, Revocable, Signed, Sqlite};

const PLACES: [Place; 6] = [Signed, Encrypted, Revocable, Memory, Sqlite, Redis];

/// A store of sessions or of revocations, and what it needs to go on.
struct Kept {
    store: Arc<dyn SessionStore>,
    backend: Option<Backend>,
}

impl Place {
    async fn store(self) -> Kept {
        let backend = match self {
            Sqlite => Some(Backend::sqlite()),
            Redis => Some(Backend::redis()),
            _ => None,
        };
        let store: Arc<dyn SessionStore> = match &backend {
            Some(backend) => backend.connect().await,
            None => Arc::new(MemoryStore::new()),
        };
        Kept { store, backend }
    }

    /// A layer that keeps its sessions there. Two of them know as little of each other as two processes do.
    fn layer(self, Kept { store, .. }: &Kept, clock: &ManualClock) -> SessionLayer {
        let store = Arc::clone(store);
        let layer = match self {
            Signed => SessionLayer::signed(keys()),
            Encrypted => SessionLayer::encrypted(keys()),
            Revocable => SessionLayer::signed(keys()).revocations(store),
            Memory | Sqlite | Redis => SessionLayer::stored(store, keys()),
        };
        let ninety_days = Duration::from_secs(90 * 24 * 60 * 60);
        layer.clock(clock.clone()).idle_timeout(ninety_days).lifetime(ninety_days)
    }

    /// Whether an ended session stays ended for longer than a minute.
    fn remembers(self) -> bool {
        !matches!(self, Signed | Encrypted)
    }
}

/// The layers of a migration, each in a process of its own.
struct Layers {
    /// The former layer, which knows nothing of the new one.
    old: SessionLayer,
    /// The former layer, which already reads what the new one writes.
    ready: SessionLayer,
    new: SessionLayer,
    clock: ManualClock,
    backends: [Option<Backend>; 2],
}

impl Layers {
    async fn between(from: Place, to: Place, change: Change) -> Self {
        Self::changed(from, |layer| layer, to, change).await
    }

    async fn changed(from: Place, before: Change, to: Place, change: Change) -> Self {
        let clock = ManualClock::at(NOW);
        let (here, there) = (from.store().await, to.store().await);
        let old = || before(from.layer(&here, &clock));
        let new = || change(to.layer(&there, &clock));
        let (old, ready, new) = (old(), old().migrating_from(new(), at(UNTIL)), new().migrating_from(old(), at(UNTIL)));
        Self { old, ready, new, clock, backends: [here.backend, there.backend] }
    }

    /// Layers of one process, which a test has made itself.
    fn of(old: SessionLayer, new: SessionLayer, clock: ManualClock) -> Self {
        Self {
            ready: old.clone().migrating_from(new.clone(), at(UNTIL)),
            new: new.migrating_from(old.clone(), at(UNTIL)),
            old,
            clock,
            backends: [None, None],
        }
    }
}

/// A layer with a store of its own.
async fn alone(place: Place, clock: &ManualClock) -> SessionLayer {
    place.layer(&place.store().await, clock)
}

type Change = fn(SessionLayer) -> SessionLayer;

/// The changes of a deployment, besides the engine.
const CHANGES: [(&str, Change); 7] = [
    ("nothing", |layer| layer),
    ("name", |layer| layer.name("sid").unwrap()),
    ("domain", |layer| layer.name("__Secure-session").unwrap().domain("example.com").unwrap()),
    ("path", |layer| layer.name("__Secure-session").unwrap().path("/app").unwrap()),
    ("partitioned", |layer| layer.partitioned(true)),
    ("application", |layer| layer.application("shop")),
    ("chunked", |layer| layer.chunked(3)),
];

/// Whether a test starts a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    InProcess,
    WithRedis,
}

impl Group {
    /// The pairs that have Redis, or those that have not.
    fn pairs(self, from: &[Place], to: &[Place]) -> Vec<(Place, Place)> {
        let pairs = from.iter().flat_map(|from| to.iter().map(|to| (*from, *to)));
        pairs.filter(|(from, to)| [from, to].contains(&&Redis) == (self == Self::WithRedis)).collect()
    }

    fn places(self, places: &[Place]) -> Vec<Place> {
        places.iter().copied().filter(|place| (*place == Redis) == (self == Self::WithRedis)).collect()
    }
}

/// Makes the tests for each group.
macro_rules! each_group {
    ($($test:ident)+) => {
        each_group! { @ in_process: InProcess => $($test)+ }
        each_group! { @ redis: WithRedis => $($test)+ }
    };
    (@ $name:ident: $group:ident => $($test:ident)+) => {
        mod $name {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Group::$group).await;
            })+
        }
    };
}

/// Every pair of places of the group with every change. A pair of the same place and no change is two stores with one
/// secret. (The two layers in Redis share one server.)
async fn each_pair<F: Future<Output = ()>>(group: Group, test: impl Fn(Layers, String, [Place; 2]) -> F) {
    for (from, to) in group.pairs(&PLACES, &PLACES) {
        for (name, change) in CHANGES {
            if from == to && name == "nothing" && !matches!(from, Memory | Sqlite) {
                continue;
            }
            let mut layers = Layers::between(from, to, change).await;
            // The test captures the parts of `layers` that it names, and these are none of them.
            let _backends = std::mem::take(&mut layers.backends);
            test(layers, format!("{from:?} to {to:?}, {name}"), [from, to]).await;
        }
    }
}

async fn a_visitor_moves_once_and_no_cookie_is_left(group: Group) {
    each_pair(group, |layers, case, _| async move {
        let (old, new) = (app(&layers.old), app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        jar.get(&old, "/set/cart/three").await;
        let before = jar.clone();
        jar.get(&new, "/untouched").await;
        assert_eq!(jar.header(), before.header(), "{case}");
        assert_eq!(jar.get(&new, "/me").await, "alice", "{case}");
        assert_eq!(jar.get(&new, "/get/cart").await, "three", "{case}");
        assert_eq!(jar.names().len(), 1, "{case}");
        // From now on the new layer alone is enough.
        let alone = jar.clone();
        let (text, set) = send(&new, "/me", &alone.header()).await;
        assert_eq!((text.as_str(), set.len()), ("alice", 0), "{case}");
        jar.get(&new, "/set/cart/four").await;
        assert_eq!(jar.get(&new, "/get/cart").await, "four", "{case}");
        jar.get(&new, "/logout").await;
        assert_eq!(jar.names(), [""; 0], "{case}");
    })
    .await;
}

async fn an_ended_session_stays_ended_when_the_former_cookie_comes_later(group: Group) {
    each_pair(group, |layers, case, [from, to]| async move {
        let (old, new) = (app(&layers.old), app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        let mut copy = jar.clone();
        assert_eq!(jar.get(&new, "/me").await, "alice", "{case}");
        jar.get(&new, "/logout").await;
        assert_eq!(jar.get(&new, "/me").await, "nobody", "{case}");
        assert_eq!(copy.clone().get(&new, "/me").await, "nobody", "{case}");
        layers.clock.advance(Duration::from_secs(300));
        if from.remembers() || to.remembers() {
            assert_eq!(copy.clone().get(&new, "/me").await, "nobody", "later, {case}");
        }
        if from.remembers() {
            assert_eq!(copy.get(&old, "/me").await, "nobody", "in the former place, {case}");
        }
    })
    .await;
}

async fn a_log_out_of_the_first_visit_ends_the_session_in_both_places(group: Group) {
    each_pair(group, |layers, case, [from, to]| async move {
        let (old, new) = (app(&layers.old), app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        let mut copy = jar.clone();
        jar.get(&new, "/logout").await;
        assert_eq!(jar.names(), [""; 0], "{case}");
        assert_eq!(copy.clone().get(&new, "/me").await, "nobody", "{case}");
        layers.clock.advance(Duration::from_secs(300));
        if from.remembers() || to.remembers() {
            assert_eq!(copy.get(&new, "/me").await, "nobody", "later, {case}");
        }
    })
    .await;
}

async fn a_log_in_after_the_move_makes_every_earlier_cookie_useless(group: Group) {
    each_pair(group, |layers, case, [from, to]| async move {
        let (old, new) = (app(&layers.old), app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        let former = jar.clone();
        jar.get(&new, "/me").await;
        jar.get(&new, "/login/bob").await;
        assert_eq!(jar.get(&new, "/me").await, "bob", "{case}");
        assert_eq!(former.clone().get(&new, "/me").await, "nobody", "{case}");
        layers.clock.advance(Duration::from_secs(300));
        if from.remembers() || to.remembers() {
            assert_eq!(former.clone().get(&new, "/me").await, "nobody", "later, {case}");
        }
    })
    .await;
}

async fn two_instances_of_which_one_is_not_yet_deployed_log_no_visitor_out(group: Group) {
    each_pair(group, |layers, case, _| async move {
        let (ready, new) = (app(&layers.ready), app(&layers.new));
        let mut jars: Vec<_> = (0..3).map(|_| Jar::default()).collect();
        for (number, jar) in jars.iter_mut().enumerate() {
            jar.get(if number % 2 == 0 { &ready } else { &new }, &format!("/login/user{number}")).await;
        }
        for round in 0..6 {
            for (number, jar) in jars.iter_mut().enumerate() {
                let app = if (round + number) % 2 == 0 { &new } else { &ready };
                assert_eq!(jar.get(app, "/me").await, format!("user{number}"), "{round}, {case}");
                jar.get(app, &format!("/set/round/{round}")).await;
                let app = if (round / 2 + number) % 2 == 0 { &ready } else { &new };
                assert_eq!(jar.get(app, "/get/round").await, round.to_string(), "{case}");
            }
            layers.clock.advance(Duration::from_secs(5));
        }
        for jar in &mut jars {
            let copy = jar.clone();
            jar.get(&new, "/logout").await;
            assert_eq!(jar.get(&ready, "/me").await, "nobody", "{case}");
            assert_eq!(jar.get(&new, "/me").await, "nobody", "{case}");
            assert_eq!(copy.clone().get(&new, "/me").await, "nobody", "a copy, {case}");
            assert_eq!(jar.names(), [""; 0], "{case}");
        }
    })
    .await;
}

async fn requests_at_once_all_find_the_session_and_lose_nothing_that_a_store_keeps(group: Group) {
    each_pair(group, |layers, case, [_, to]| async move {
        let (old, new) = (app(&layers.old), app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        let header = jar.header();
        let paths = ["/me", "/set/a/1", "/me", "/set/b/2", "/me", "/set/c/3"];
        let answers = futures_util::future::join_all(paths.map(|path| send(&new, path, &header))).await;
        for (path, (text, set)) in paths.iter().zip(answers) {
            if *path == "/me" {
                assert_eq!(text, "alice", "{case}");
            }
            jar.apply(&set);
        }
        assert_eq!(jar.get(&new, "/me").await, "alice", "{case}");
        if matches!(to, Memory | Sqlite | Redis) {
            for (key, value) in [("a", "1"), ("b", "2"), ("c", "3")] {
                assert_eq!(jar.get(&new, &format!("/get/{key}")).await, value, "{case}");
            }
        }
        assert_eq!(jar.names().len(), 1, "{case}");
    })
    .await;
}

async fn after_the_last_second_a_former_session_is_none(group: Group) {
    each_pair(group, |layers, case, _| async move {
        let clock = &layers.clock;
        let (old, new) = (app(&layers.old), app(&layers.new));
        let (mut early, mut late) = (Jar::default(), Jar::default());
        early.get(&old, "/login/alice").await;
        late.get(&old, "/login/bob").await;
        clock.set(UNTIL);
        assert_eq!(early.get(&new, "/me").await, "alice", "{case}");
        clock.set(UNTIL + 1);
        assert_eq!(early.get(&new, "/me").await, "alice", "{case}");
        let has_same_keys = case.starts_with("Signed to Signed")
            || case.starts_with("Encrypted to Encrypted")
            || case.starts_with("Revocable to Revocable")
            || case.starts_with("Signed to Revocable")
            || case.starts_with("Revocable to Signed")
            || case.starts_with("Redis to Redis");
        let only_moves_the_cookie = ["partitioned", "chunked", "nothing"].iter().any(|change| case.ends_with(change));
        let expected = if has_same_keys && only_moves_the_cookie { "bob" } else { "nobody" };
        assert_eq!(late.get(&new, "/me").await, expected, "{case}");
    })
    .await;
}

async fn a_server_error_moves_no_data_and_loses_none(group: Group) {
    each_pair(group, |layers, case, [from, to]| async move {
        let (old, new) = (app(&layers.old), app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        let before = jar.header();
        jar.get(&new, "/fails").await;
        if from != to && matches!(to, Memory | Sqlite | Redis) {
            assert_eq!(jar.header(), before, "{case}");
        }
        assert_eq!(jar.get(&new, "/get/lost").await, "", "{case}");
        assert_eq!(jar.get(&new, "/me").await, "alice", "{case}");
        assert_eq!(jar.names().len(), 1, "{case}");
    })
    .await;
}

async fn a_response_that_is_lost_logs_no_visitor_out_if_their_former_place_or_the_new_one_can_tell(group: Group) {
    each_pair(group, |layers, case, [from, to]| async move {
        let (old, new) = (app(&layers.old), app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        let (text, _) = send(&new, "/me", &jar.header()).await;
        assert_eq!(text, "alice", "{case}");
        // The browser never got the new cookie. A former record is gone then, and a new cookie cannot be read again.
        let is_lost = from.remembers() && matches!(to, Signed | Encrypted | Revocable);
        if !is_lost {
            layers.clock.advance(Duration::from_secs(90));
            assert_eq!(jar.get(&new, "/me").await, "alice", "{case}");
        }
    })
    .await;
}

async fn messages_move_when_they_are_read(group: Group) {
    each_pair(group, |layers, case, _| async move {
        let (old, new) = (app(&layers.old), app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        jar.get(&old, "/flash").await;
        jar.get(&new, "/me").await;
        jar.get(&new, "/untouched").await;
        assert_eq!(jar.get(&new, "/messages").await, "success: Saved.", "{case}");
        assert_eq!(jar.get(&new, "/messages").await, "", "{case}");
        assert_eq!(jar.names().len(), 1, "{case}: {:?}", jar.names());
    })
    .await;
}

async fn creation_time_limits_and_owner_move_along(group: Group) {
    for (from, to) in group.pairs(&[Revocable, Memory, Sqlite, Redis], &[Revocable, Memory, Sqlite, Redis]) {
        let layers = Layers::between(from, to, |layer| layer.name("sid").unwrap()).await;
        let case = format!("{from:?} to {to:?}");
        let own = |layer: &SessionLayer| {
            Router::new()
                .route(
                    "/login",
                    get(|session: Session| async move {
                        session.renew();
                        session.set_owner("ada")?;
                        session.set_lifetime(Duration::from_secs(1_000));
                        session.insert("user", "ada")
                    }),
                )
                .route("/me", get(me))
                .route("/write", get(|session: Session| async move { session.insert("n", 1) }))
                .route(
                    "/created",
                    get(|session: Session| async move {
                        session.created_at().duration_since(UNIX_EPOCH).unwrap().as_secs().to_string()
                    }),
                )
                .layer(layer.clone())
        };
        let (old, new) = (own(&layers.old), own(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login").await;
        layers.clock.advance(Duration::from_secs(300));
        jar.get(&old, "/write").await;
        layers.clock.advance(Duration::from_secs(300));
        assert_eq!(jar.get(&new, "/me").await, "ada", "{case}");
        assert_eq!(jar.get(&new, "/created").await, NOW.to_string(), "{case}");
        let other = jar.clone();
        layers.clock.advance(Duration::from_secs(401));
        assert_eq!(other.clone().get(&new, "/me").await, "nobody", "its own limits, {case}");

        let mut jar = Jar::default();
        jar.get(&old, "/login").await;
        jar.get(&new, "/me").await;
        layers.new.sessions().destroy_all("ada").await.unwrap();
        assert_eq!(jar.get(&new, "/me").await, "nobody", "a log-out everywhere, {case}");
    }
}

async fn our_own_session_counts_beside_a_former_one_and_the_former_ends(group: Group) {
    each_pair(group, |layers, case, [from, _]| async move {
        let (old, new) = (app(&layers.old), app(&layers.new));
        let (mut jar, mut other) = (Jar::default(), Jar::default());
        other.get(&old, "/login/mallory").await;
        jar.get(&new, "/login/alice").await;
        let mut both = other.clone();
        both.join(&jar);
        // In the same place, the one replaces the other. With the same keys, two sessions are none, as without a migration.
        if both.names().len() == 1 || both.get(&new, "/me").await == "nobody" {
            return;
        }
        assert_eq!(both.names(), jar.names(), "{case}");
        assert_eq!(both.get(&new, "/me").await, "alice", "{case}");
        if from.remembers() {
            assert_eq!(other.get(&old, "/me").await, "nobody", "{case}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_store_that_is_down_never_makes_it_fall_back() {
    let clock = ManualClock::at(NOW);
    for from in [Signed, Memory] {
        let old = alone(from, &clock).await;
        let old = old.name("old").unwrap();
        let store = Watched::new();
        let new = SessionLayer::stored(Arc::new(store.clone()), keys()).name("new").unwrap().clock(clock.clone());
        let layers = Layers::of(old, new, clock.clone());
        let (old, new) = (app(&layers.old), app(&layers.new));
        let (mut moved, mut former) = (Jar::default(), Jar::default());
        former.get(&old, "/login/alice").await;
        moved.get(&old, "/login/bob").await;
        moved.get(&new, "/me").await;
        let both = format!("{}; {}", former.header(), moved.header());
        store.fail(Fault::LostBefore, u32::MAX);
        for header in [&both, &former.header()] {
            let (text, set) = send(&new, "/me", header).await;
            assert!(!text.contains("alice") && !text.contains("bob") && set.is_empty(), "{text}");
        }
        store.recover();
        assert_eq!(former.get(&new, "/me").await, "alice");
        assert_eq!(moved.get(&new, "/me").await, "bob");
    }
}

#[tokio::test]
async fn a_former_store_that_is_down_is_a_503_and_costs_nothing() {
    let clock = ManualClock::at(NOW);
    for to in [Signed, Memory] {
        let store = Watched::new();
        let old = SessionLayer::stored(Arc::new(store.clone()), keys()).name("old").unwrap().clock(clock.clone());
        let new = alone(to, &clock).await;
        let layers = Layers::of(old, new, clock.clone());
        let (old, new) = (app(&layers.old), app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        store.fail(Fault::LostBefore, u32::MAX);
        let client = session_axum::testing::Client::new(new.clone());
        let request = axum::http::Request::get("/me").header("cookie", jar.header());
        let answer = client.send(request.body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{to:?}");
        assert!(answer.set_cookies().is_empty());
        // A visitor without a former cookie needs no former store.
        let mut other = Jar::default();
        other.get(&new, "/login/bob").await;
        assert_eq!(other.get(&new, "/me").await, "bob");
        store.recover();
        assert_eq!(jar.get(&new, "/me").await, "alice", "{to:?}");
    }
}

async fn a_log_out_at_the_former_place_during_the_move_holds(group: Group) {
    let clock = ManualClock::at(NOW);
    for to in group.places(&PLACES) {
        let former: Arc<dyn SessionStore> = Arc::new(MemoryStore::new());
        let old = SessionLayer::stored(Arc::clone(&former), keys()).name("old").unwrap().clock(clock.clone());
        let new = alone(to, &clock).await;
        let layers = Layers::of(old, new, clock.clone());
        let old = app(&layers.old);
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        let copy = jar.clone();
        // While the handler of the new instance runs, the visitor logs out at the other one.
        let new = app(&layers.new).merge(
            Router::new()
                .route(
                    "/slow",
                    get({
                        let (old, header) = (old.clone(), copy.header());
                        move |session: Session| async move {
                            let user = session.get::<String>("user").unwrap();
                            send(&old, "/logout", &header).await;
                            user.unwrap_or_default()
                        }
                    }),
                )
                .layer(layers.new.clone()),
        );
        assert_eq!(jar.get(&new, "/slow").await, "alice", "{to:?}");
        assert_eq!(jar.get(&new, "/me").await, "nobody", "{to:?}");
        assert_eq!(copy.clone().get(&new, "/me").await, "nobody", "{to:?}");
    }
}

#[tokio::test]
async fn other_keys_move_too() {
    let clock = ManualClock::at(NOW);
    for place in [Signed, Memory] {
        let old = match place {
            Signed => SessionLayer::signed(former_keys()),
            _ => SessionLayer::stored(MemoryStore::new(), former_keys()),
        };
        let new = alone(place, &clock).await;
        let layers = Layers::of(old.clock(clock.clone()), new, clock.clone());
        let (old, new) = (app(&layers.old), app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        assert_eq!(jar.get(&new, "/me").await, "alice");
        assert_eq!(jar.get(&app(&layers.old), "/me").await, "nobody");
        assert_eq!(jar.names().len(), 1);
    }
}

async fn a_forged_or_foreign_cookie_is_no_session_in_the_former_place_either(group: Group) {
    each_pair(group, |layers, case, _| async move {
        let stranger = app(&SessionLayer::signed(session_axum::Keys::generate()).clock(layers.clock.clone()));
        let mut jar = Jar::default();
        jar.get(&stranger, "/login/mallory").await;
        assert_eq!(jar.get(&app(&layers.new), "/me").await, "nobody", "{case}");
    })
    .await;
}

#[tokio::test]
async fn the_record_of_a_former_store_is_gone_and_the_new_one_is_not_listed_twice() {
    let clock = ManualClock::at(NOW);
    let (former, store) = (Watched::new(), Watched::new());
    let old = SessionLayer::stored(Arc::new(former.clone()), keys()).clock(clock.clone());
    let new = SessionLayer::stored(Arc::new(store.clone()), keys()).clock(clock.clone());
    let layers = Layers::of(old, new, clock);
    let mut jar = Jar::default();
    jar.get(&app(&layers.old), "/login/alice").await;
    jar.get(&app(&layers.new), "/me").await;
    let live = |store: Watched| async move {
        let keys: std::collections::HashSet<RecordKey> = store.keys().into_iter().collect();
        let mut live = 0;
        for key in keys {
            live += usize::from(store.load(&key, NOW).await.unwrap().live().is_some());
        }
        live
    };
    assert_eq!((live(former).await, live(store).await), (0, 1));
}

#[tokio::test]
async fn records_become_encrypted_in_the_same_store() {
    let clock = ManualClock::at(NOW);
    let store: Arc<dyn SessionStore> = Arc::new(MemoryStore::new());
    let old = SessionLayer::stored(Arc::clone(&store), keys()).clock(clock.clone());
    let new = old.clone().encrypt_records(former_keys());
    let layers = Layers::of(old, new, clock);
    let (ready, new) = (app(&layers.ready), app(&layers.new));
    let mut jar = Jar::default();
    jar.get(&app(&layers.old), "/login/alice").await;
    let mut copy = jar.clone();
    for app in [&new, &new, &ready, &new] {
        assert_eq!(jar.get(app, "/me").await, "alice");
        assert_eq!(jar.names().len(), 1);
    }
    assert_eq!(copy.get(&app(&layers.old), "/me").await, "nobody");
    jar.get(&new, "/logout").await;
    assert_eq!(jar.get(&new, "/me").await, "nobody");
}

#[tokio::test]
async fn several_former_places_are_tried_in_their_order() {
    let clock = ManualClock::at(NOW);
    let oldest = SessionLayer::signed(former_keys()).name("oldest").unwrap().clock(clock.clone());
    let old = SessionLayer::stored(MemoryStore::new(), keys()).name("old").unwrap().clock(clock.clone());
    let new = SessionLayer::encrypted(keys()).name("new").unwrap().clock(clock.clone());
    let new = app(&new.migrating_from(old.clone(), at(UNTIL)).migrating_from(oldest.clone(), at(UNTIL)));
    let (mut first, mut second) = (Jar::default(), Jar::default());
    first.get(&app(&old), "/login/alice").await;
    second.get(&app(&oldest), "/login/bob").await;
    let mut both = second.clone();
    both.join(&first);
    for (mut jar, user) in [(first, "alice"), (second, "bob")] {
        assert_eq!(jar.get(&new, "/me").await, user);
        assert_eq!(jar.names().len(), 1);
    }
    // The first one has moved already, on this instance and a moment ago.
    assert_eq!(both.get(&new, "/me").await, "alice");
}

async fn a_session_saved_or_changed_at_once_during_the_request_moves_too(group: Group) {
    each_pair(group, |layers, case, _| async move {
        let old = app(&layers.old);
        let new = Router::new()
            .route(
                "/save",
                get(|session: Session| async move {
                    session.insert("saved", 1)?;
                    session.save().await?;
                    let count = session.update("count", |count: Option<u32>| count.unwrap_or(0) + 1).await?;
                    Ok::<_, Error>(count.to_string())
                }),
            )
            .layer(layers.new.clone())
            .merge(app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        jar.get(&new, "/save").await;
        assert_eq!(jar.names().len(), 1, "{case}");
        assert_eq!(jar.get(&new, "/me").await, "alice", "{case}");
        let read = app(&layers.new).merge(
            Router::new()
                .route(
                    "/counts",
                    get(|session: Session| async move {
                        Ok::<_, Error>(format!("{:?} {:?}", session.get::<u32>("saved")?, session.get::<u32>("count")?))
                    }),
                )
                .layer(layers.new.clone()),
        );
        assert_eq!(jar.get(&read, "/counts").await, "Some(1) Some(1)", "{case}");
    })
    .await;
}

async fn a_setting_that_was_taken_away_leaves_no_cookie(group: Group) {
    let take_away: [Change; 3] = [
        |layer| layer.name("sid").unwrap().domain("example.com").unwrap(),
        |layer| layer.name("sid").unwrap().path("/app").unwrap(),
        |layer| layer.name("sid").unwrap().partitioned(true),
    ];
    for place in group.places(&PLACES) {
        for before in take_away {
            let clock = ManualClock::at(NOW);
            let kept = place.store().await;
            let layer = || place.layer(&kept, &clock).name("sid").unwrap();
            let layers = Layers::of(before(layer()), layer(), clock.clone());
            let (old, new) = (app(&layers.old), app(&layers.new));
            let mut jar = Jar::default();
            jar.get(&old, "/login/alice").await;
            assert_eq!(jar.get(&new, "/me").await, "alice", "{place:?}");
            let moved = jar.clone();
            assert_eq!(jar.get(&new, "/me").await, "alice", "{place:?}");
            assert_eq!(jar.header(), moved.header(), "it is set once, {place:?}");
            // The former version has set its own cookie again.
            jar.get(&old, "/set/a/1").await;
            jar.get(&new, "/me").await;
            jar.get(&new, "/set/b/2").await;
            assert_eq!((jar.get(&new, "/get/a").await, jar.get(&new, "/get/b").await), ("1".into(), "2".into()));
            assert_eq!(jar.names(), ["sid"], "{place:?}");
            jar.get(&new, "/logout").await;
            assert_eq!(jar.names(), [""; 0], "{place:?}");
        }
    }
}

async fn a_log_out_everywhere_reaches_sessions_that_have_not_moved(group: Group) {
    for (from, to) in group.pairs(&[Revocable, Memory, Sqlite, Redis], &[Revocable, Memory, Sqlite, Redis]) {
        let layers = Layers::between(from, to, |layer| layer.name("sid").unwrap().application("shop")).await;
        let case = format!("{from:?} to {to:?}");
        let devices = |layer: &SessionLayer| {
            Router::new()
                .route(
                    "/login",
                    get(|session: Session| async move {
                        session.renew();
                        session.set_owner("ada")?;
                        session.insert("user", "ada")
                    }),
                )
                .route("/me", get(me))
                .route(
                    "/others",
                    get(|session: Session, sessions: Sessions| async move {
                        sessions.destroy_others(&session).await.map(|count| count.to_string())
                    }),
                )
                .layer(layer.clone())
        };
        let (old, new) = (devices(&layers.old), devices(&layers.new));
        let mut jars: Vec<_> = (0..4).map(|_| Jar::default()).collect();
        for jar in &mut jars {
            jar.get(&old, "/login").await;
        }
        let sessions = layers.new.sessions();
        if to != Revocable && from != Revocable {
            assert_eq!(sessions.count("ada").await.unwrap(), 4, "{case}");
            assert_eq!(sessions.of("ada").await.unwrap().len(), 4, "{case}");
        }
        // One device has moved, and the next one moves with the request that logs out the others.
        jars[0].get(&new, "/me").await;
        layers.clock.advance(Duration::from_secs(5));
        jars[1].get(&new, "/others").await;
        for (number, expected) in ["nobody", "ada", "nobody", "nobody"].into_iter().enumerate() {
            assert_eq!(jars[number].get(&new, "/me").await, expected, "{number}, {case}");
        }
        let mut late = Jar::default();
        layers.clock.advance(Duration::from_secs(5));
        late.get(&old, "/login").await;
        layers.clock.advance(Duration::from_secs(5));
        sessions.destroy_all("ada").await.unwrap();
        for jar in [&mut late, &mut jars[1]] {
            assert_eq!(jar.get(&new, "/me").await, "nobody", "{case}");
        }
    }
}

async fn a_session_that_is_cleared_by_its_first_request_here_is_over(group: Group) {
    each_pair(group, |layers, case, [from, to]| async move {
        let (old, new) = (app(&layers.old), app(&layers.new));
        let cleared = Router::new()
            .route("/clear", get(|session: Session| async move { session.clear() }))
            .route("/remove", get(|| async { "bye".removing_from_session("user") }))
            .layer(layers.new.clone());
        for path in ["/clear", "/remove"] {
            let mut jar = Jar::default();
            jar.get(&old, "/login/alice").await;
            let copy = jar.clone();
            jar.get(&cleared, path).await;
            assert_eq!(jar.get(&new, "/me").await, "nobody", "{path}, {case}");
            if from.remembers() || to.remembers() {
                assert_eq!(copy.clone().get(&new, "/me").await, "nobody", "a copy, {path}, {case}");
            }
        }
    })
    .await;
}

/// Without a new id, a log-in writes into the session that the visitor had before.
async fn a_cookie_from_before_a_log_in_does_not_open_what_the_log_in_has_made(group: Group) {
    for (from, to) in group.pairs(&[Signed, Encrypted], &PLACES) {
        let layers = Layers::between(from, to, |layer| layer.name("sid").unwrap()).await;
        let (old, new) = (app(&layers.old), app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/set/theme/dark").await;
        let mut before = jar.clone();
        jar.get(&old, "/set/user/alice").await;
        assert_eq!(jar.get(&new, "/me").await, "alice");
        assert_eq!(before.get(&new, "/me").await, "nobody", "{from:?} to {to:?}");
        assert_eq!(before.get(&new, "/get/theme").await, "", "the session it belongs to has moved, {from:?} to {to:?}");
        layers.clock.advance(Duration::from_secs(300));
        assert_eq!(before.get(&new, "/me").await, "nobody", "later, {from:?} to {to:?}");
    }
}

async fn a_request_that_is_dropped_moves_nothing(group: Group) {
    for (from, to) in group.pairs(&PLACES, &PLACES) {
        let layers = Layers::between(from, to, |layer| layer.name("sid").unwrap()).await;
        let case = format!("{from:?} to {to:?}");
        let (old, new) = (app(&layers.old), app(&layers.new));
        let hangs =
            Router::new().route("/hangs", get(|_: Session| std::future::pending::<()>())).layer(layers.new.clone());
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        let mut copy = jar.clone();
        let dropped = tokio::time::timeout(Duration::from_millis(20), send(&hangs, "/hangs", &jar.header())).await;
        assert!(dropped.is_err());
        jar.get(&old, "/set/cart/9").await;
        assert_eq!(jar.clone().get(&old, "/get/cart").await, "9", "{case}");
        assert_eq!(jar.get(&new, "/get/cart").await, "9", "{case}");
        jar.get(&new, "/logout").await;
        layers.clock.advance(Duration::from_secs(90));
        if from.remembers() {
            assert_eq!(copy.get(&new, "/me").await, "nobody", "{case}");
        }
    }
}

async fn a_rotation_or_another_secret_after_the_move_brings_no_copy_back(group: Group) {
    for (from, to) in group.pairs(&[Signed, Encrypted], &[Revocable, Memory, Sqlite, Redis]) {
        let (clock, kept) = (ManualClock::at(NOW), to.store().await);
        let old = || alone(from, &clock);
        let until = at(UNTIL);
        let new = to.layer(&kept, &clock).name("sid").unwrap().migrating_from(old().await, until);
        let rotates =
            Router::new().route("/rotate", get(|session: Session| async move { session.rotate() })).layer(new.clone());
        let (case, old, new) = (format!("{from:?} to {to:?}"), app(&old().await), app(&new));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        let mut copy = jar.clone();
        jar.get(&new, "/me").await;
        jar.get(&rotates, "/rotate").await;
        clock.advance(Duration::from_secs(120));
        assert_eq!(copy.get(&new, "/me").await, "nobody", "after a rotation, {case}");
        jar.get(&new, "/logout").await;
        clock.advance(Duration::from_secs(120));
        assert_eq!(copy.get(&new, "/me").await, "nobody", "after the log-out, {case}");
        // The next deployment has another secret, and the former one as a fallback.
        let both = || Keys::new(OLD_SECRET).unwrap().with_fallback(SECRET).unwrap();
        let store = Arc::clone(&kept.store);
        let newer = match to {
            Revocable => SessionLayer::signed(both()).revocations(store),
            _ => SessionLayer::stored(store, both()),
        };
        let newer = newer.name("sid").unwrap().clock(clock.clone());
        let newer = app(&newer.migrating_from(alone(from, &clock).await, until));
        assert_eq!(copy.get(&newer, "/me").await, "nobody", "with another secret, {case}");
    }
}

#[tokio::test]
async fn a_planted_former_cookie_takes_the_place_of_no_cookie_of_ours() {
    let clock = ManualClock::at(NOW);
    let old = || SessionLayer::stored(MemoryStore::new(), keys()).name("old").unwrap().clock(clock.clone());
    let old = old();
    let new = SessionLayer::stored(MemoryStore::new(), keys()).name("new").unwrap().clock(clock.clone());
    let layers = Layers::of(old, new, clock.clone());
    let (old, new) = (app(&layers.old), app(&layers.new));
    let (mut alice, mut mallory) = (Jar::default(), Jar::default());
    mallory.get(&old, "/login/mallory").await;
    alice.get(&new, "/login/alice").await;
    let token = alice.header();
    // More values that could be ours than are verified. None of these signs ends a token: its last one has two zero bits.
    let junk = ["B", "C", "D", "F"].map(|sign| format!("{}{}", &token[..token.len() - 1], sign)).join("; ");
    let header = format!("{}; {junk}; {token}", mallory.header());
    assert_eq!(send(&new, "/me", &header).await.0, "nobody");
    // A session of ours that was ended a while ago.
    let header = format!("{token}; {}", mallory.header());
    alice.get(&new, "/logout").await;
    clock.advance(Duration::from_secs(120));
    assert_eq!(send(&new, "/me", &header).await.0, "nobody");
}

async fn a_log_out_ends_both_of_two_former_sessions(group: Group) {
    for (from, to) in group.pairs(&PLACES, &PLACES) {
        let layers = Layers::between(from, to, |layer| layer.name("sid").unwrap()).await;
        let (old, new) = (app(&layers.old), app(&layers.new));
        let (mut one, mut other) = (Jar::default(), Jar::default());
        one.get(&old, "/login/alice").await;
        other.get(&old, "/login/bob").await;
        let both = format!("{}; {}", one.header(), other.header());
        assert_eq!(send(&new, "/me", &both).await.0, "nobody");
        assert_eq!(one.clone().get(&old, "/me").await, "alice", "a mere read ends none");
        send(&new, "/logout", &both).await;
        for jar in [&mut one, &mut other] {
            assert_eq!(jar.get(&new, "/me").await, "nobody", "{from:?} to {to:?}");
        }
    }
}

async fn a_slow_read_of_the_first_visit_overwrites_no_log_in(group: Group) {
    for (from, to) in group.pairs(&PLACES, &[Memory, Sqlite, Redis]) {
        let layers = Layers::between(from, to, |layer| layer.name("sid").unwrap()).await;
        let (old, new) = (app(&layers.old), app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        let header = jar.header();
        let log_in = Arc::new(std::sync::Mutex::new(Vec::new()));
        let slow = Router::new()
            .route(
                "/slow",
                get({
                    let (log_in, new, header) = (Arc::clone(&log_in), new.clone(), header.clone());
                    move |session: Session| async move {
                        let user = session.get::<String>("user").unwrap().unwrap_or_default();
                        let (_, set) = send(&new, "/login/bob", &header).await;
                        *log_in.lock().unwrap() = set;
                        user
                    }
                }),
            )
            .layer(layers.new.clone());
        let (text, set) = send(&slow, "/slow", &header).await;
        assert_eq!(text, "alice");
        jar.apply(&log_in.lock().unwrap());
        jar.apply(&set);
        assert_eq!(jar.get(&new, "/me").await, "bob", "{from:?} to {to:?}");
    }
}

#[tokio::test]
async fn a_late_read_overwrites_nothing_that_was_written_after_the_move() {
    for to in [Signed, Encrypted, Revocable] {
        let layers = Layers::between(Memory, to, |layer| layer.name("sid").unwrap()).await;
        let (old, new) = (app(&layers.old), app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        let header = jar.header();
        jar.get(&new, "/me").await;
        jar.get(&new, "/set/cart/9").await;
        let (text, set) = send(&new, "/me", &header).await;
        assert_eq!(text, "alice");
        jar.apply(&set);
        assert_eq!(jar.get(&new, "/get/cart").await, "9", "{to:?}");
    }
}

async fn a_former_store_that_fails_after_the_move_costs_no_session(group: Group) {
    let clock = ManualClock::at(NOW);
    for to in group.places(&PLACES) {
        let store = Watched::new();
        let old = SessionLayer::stored(Arc::new(store.clone()), keys()).name("old").unwrap().clock(clock.clone());
        let layers = Layers::of(old, alone(to, &clock).await, clock.clone());
        let (old, new) = (app(&layers.old), app(&layers.new));
        for path in ["/me", "/login/bob"] {
            let mut jar = Jar::default();
            jar.get(&old, "/login/alice").await;
            store.fail_after_load(Fault::LostBefore, u32::MAX);
            let text = jar.get(&new, path).await;
            assert_eq!(text, if path == "/me" { "alice" } else { "" }, "{to:?}");
            let user = if path == "/me" { "alice" } else { "bob" };
            assert_eq!(jar.get(&new, "/me").await, user, "a former cookie beside ours, {to:?}");
            store.recover();
            assert_eq!(jar.get(&new, "/me").await, user, "{to:?}");
            assert_eq!(jar.names().len(), 1, "{to:?}");
            let _ = store.calls();
        }
    }
}

async fn a_change_after_a_lost_response_is_kept(group: Group) {
    for (from, to) in group.pairs(&[Signed, Encrypted, Revocable], &PLACES) {
        let layers = Layers::between(from, to, |layer| layer.name("sid").unwrap()).await;
        let (old, new) = (app(&layers.old), app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        send(&new, "/me", &jar.header()).await;
        jar.get(&new, "/set/cart/5").await;
        assert_eq!(jar.get(&new, "/get/cart").await, "5", "{from:?} to {to:?}");
        assert_eq!(jar.get(&new, "/me").await, "alice", "{from:?} to {to:?}");
    }
}

async fn an_owner_has_no_more_sessions_after_a_move_than_allowed(group: Group) {
    let log_in = |session: Session| async move {
        session.renew();
        session.set_owner("ada")?;
        session.insert("user", "ada")
    };
    for to in group.places(&[Memory, Sqlite, Redis]) {
        let layers = Layers::between(Memory, to, |layer| {
            layer.name("sid").unwrap().application("limited").sessions_per_owner(2)
        })
        .await;
        let old = Router::new().route("/login", get(log_in)).layer(layers.old.clone());
        let new = app(&layers.new);
        let mut jars: Vec<_> = (0..4).map(|_| Jar::default()).collect();
        for jar in &mut jars {
            jar.get(&old, "/login").await;
            layers.clock.advance(Duration::from_secs(5));
        }
        for jar in &mut jars {
            jar.get(&new, "/me").await;
        }
        assert_eq!(layers.new.sessions().count("ada").await.unwrap(), 2, "{to:?}");
        for (jar, expected) in jars.iter_mut().zip(["nobody", "nobody", "ada", "ada"]) {
            assert_eq!(jar.get(&new, "/me").await, expected, "{to:?}");
        }
    }
}

#[tokio::test]
async fn an_owner_comes_through_an_engine_without_owners() {
    let log_in = |session: Session| async move {
        session.set_owner("ada")?;
        session.insert("user", "ada")
    };
    for between in [Signed, Encrypted] {
        let layers = Layers::between(Memory, between, |layer| layer.name("sid").unwrap()).await;
        let old = Router::new().route("/login", get(log_in)).layer(layers.old.clone());
        let (ready, new) = (app(&layers.ready), app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login").await;
        assert_eq!(jar.get(&new, "/me").await, "ada");
        assert_eq!(jar.get(&ready, "/me").await, "ada", "it has moved back");
        assert_eq!(layers.ready.sessions().destroy_all("ada").await.unwrap(), 1, "{between:?}");
        assert_eq!(jar.get(&ready, "/me").await, "nobody");
    }
}

/// The newest secrets differ, and an older one is shared: the same cookie is authentic in both versions.
#[tokio::test]
async fn secrets_that_overlap_settle_after_one_response() {
    let clock = ManualClock::at(NOW);
    let both = || Keys::new(OLD_SECRET).unwrap().with_fallback(SECRET).unwrap();
    let old = SessionLayer::signed(both()).name("sid").unwrap().domain("example.com").unwrap().clock(clock.clone());
    let new = SessionLayer::signed(keys()).name("sid").unwrap().clock(clock.clone());
    let layers = Layers::of(old, new, clock);
    let (ready, new) = (app(&layers.ready), app(&layers.new));
    let mut jar = Jar::default();
    jar.get(&new, "/login/alice").await;
    for app in [&ready, &new] {
        assert_eq!(jar.get(app, "/me").await, "alice");
        assert_eq!(jar.names(), ["sid"]);
        let (text, set) = send(app, "/me", &jar.header()).await;
        assert_eq!((text.as_str(), set.len()), ("alice", 0));
    }
}

/// A store without room lets go of visitors who never came back first.
#[tokio::test]
async fn a_flood_of_visitors_brings_back_no_session_that_has_moved_and_ended() {
    let clock = ManualClock::at(NOW);
    let old = SessionLayer::signed(keys()).name("old").unwrap().clock(clock.clone());
    let new = SessionLayer::stored(MemoryStore::limited_to(200_000), keys()).clock(clock.clone());
    let layers = Layers::of(old, new, clock);
    let (old, new) = (app(&layers.old), app(&layers.new));
    let mut jar = Jar::default();
    jar.get(&old, "/login/alice").await;
    let mut copy = jar.clone();
    jar.get(&new, "/logout").await;
    layers.clock.advance(Duration::from_secs(1));
    for number in 0..2_000 {
        send(&new, &format!("/set/number/{number}"), "").await;
    }
    layers.clock.advance(Duration::from_secs(300));
    assert_eq!(copy.get(&new, "/me").await, "nobody");
}

/// A log-out and a new session both end the one that has moved, and a renewal of it tells the two apart.
#[tokio::test]
async fn a_slow_end_of_a_session_that_has_moved_meanwhile_is_of_its_kind() {
    for (end, answer) in [("logout", "Something went wrong with your session. Please try again."), ("replace", "")] {
        let layers = Layers::between(Signed, Memory, |layer| layer.name("sid").unwrap()).await;
        let gates = Arc::new([(); 2].map(|()| [Notify::new(), Notify::new()]));
        let gated = {
            let gates = Arc::clone(&gates);
            move |session: Session, Path((gate, act)): Path<(usize, String)>| async move {
                assert!(session.contains("user"));
                let [has_read, goes_on] = &gates[gate];
                has_read.notify_one();
                goes_on.notified().await;
                if act == "renew" {
                    session.renew();
                } else {
                    let _ = session.destroy();
                }
                if act == "logout" { Ok(()) } else { session.insert("user", act) }
            }
        };
        let gated = Router::new().route("/gated/{gate}/{act}", get(gated)).layer(layers.new.clone());
        let (old, new) = (app(&layers.old), app(&layers.new).merge(gated));
        let begin = |gate: usize, act: &str, cookies: String| {
            let (new, path) = (new.clone(), format!("/gated/{gate}/{act}"));
            tokio::spawn(async move { send(&new, &path, &cookies).await })
        };
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        let ending = begin(0, end, jar.header());
        gates[0][0].notified().await;
        assert_eq!(jar.get(&new, "/me").await, "alice", "it has moved");
        let renewing = begin(1, "renew", jar.header());
        gates[1][0].notified().await;
        gates[0][1].notify_one();
        ending.await.unwrap();
        gates[1][1].notify_one();
        assert_eq!(renewing.await.unwrap().0, answer, "{end}");
    }
}

/// The other tab brings the former cookie, and the session's data is in the cookie that the first tab has got.
#[tokio::test]
async fn a_request_just_after_the_move_sees_what_the_move_has_written() {
    for from in [Memory, Sqlite] {
        for to in [Signed, Encrypted, Revocable] {
            let layers = Layers::between(from, to, |layer| layer.name("sid").unwrap()).await;
            let (old, new) = (app(&layers.old), app(&layers.new));
            let mut jar = Jar::default();
            jar.get(&old, "/login/alice").await;
            let mut other_tab = jar.clone();
            jar.get(&new, "/set/cart/three").await;
            assert_eq!(other_tab.get(&new, "/get/cart").await, "three", "{from:?} to {to:?}");
        }
    }
}

/// Another tab has moved the session and changed it. The visit is due, and the response to it would set the cookie.
#[tokio::test]
async fn a_read_just_after_the_move_sets_no_cookie_over_that_of_the_move() {
    for from in [Signed, Encrypted, Revocable, Memory, Sqlite] {
        for to in [Signed, Encrypted, Revocable] {
            let before: Change = |layer| layer.idle_timeout(Duration::from_secs(40 * 24 * 60 * 60));
            let after: Change = |layer| layer.idle_timeout(Duration::from_secs(40 * 24 * 60 * 60)).name("sid").unwrap();
            let layers = Layers::changed(from, before, to, after).await;
            let (old, new) = (app(&layers.old), app(&layers.new));
            let mut jar = Jar::default();
            jar.get(&old, "/login/alice").await;
            let former = jar.header();
            layers.clock.advance(Duration::from_secs(20 * 24 * 60 * 60));
            jar.get(&new, "/set/cart/three").await;
            let (text, set) = send(&new, "/me", &former).await;
            assert_eq!((text.as_str(), set.len()), ("alice", 0), "{from:?} to {to:?}");
            jar.apply(&set);
            assert_eq!(jar.get(&new, "/get/cart").await, "three", "{from:?} to {to:?}");
        }
    }
}

#[tokio::test]
async fn a_log_out_of_all_sessions_brings_back_none_that_has_moved() {
    for to in [Revocable, Memory, Sqlite] {
        let layers = Layers::between(Signed, to, |layer| layer.name("sid").unwrap()).await;
        let (old, new) = (app(&layers.old), app(&layers.new));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        let mut copy = jar.clone();
        assert_eq!(jar.get(&new, "/me").await, "alice");
        layers.new.sessions().destroy_every().await.unwrap();
        layers.clock.advance(Duration::from_secs(300));
        assert_eq!(jar.get(&new, "/me").await, "nobody", "{to:?}");
        assert_eq!(copy.get(&new, "/me").await, "nobody", "{to:?}");
    }
}

/// The log-out comes after the slow request has asked the store, and before it writes.
#[tokio::test]
async fn a_session_that_another_request_moves_and_ends_meanwhile_is_over() {
    let clock = ManualClock::at(NOW);
    let [former, inner] = [(); 2].map(|()| Arc::new(MemoryStore::new()) as Arc<dyn SessionStore>);
    let old = || SessionLayer::stored(Arc::clone(&former), keys()).name("old").unwrap().clock(clock.clone());
    let store = Watched::in_steps(Arc::clone(&inner));
    let new = |store: Arc<dyn SessionStore>| {
        app(&SessionLayer::stored(store, keys()).clock(clock.clone()).migrating_from(old(), at(UNTIL)))
    };
    let (slow, quick) = (new(Arc::new(store.clone())), new(inner));
    let mut jar = Jar::default();
    jar.get(&app(&old()), "/login/alice").await;
    let (mut copy, header) = (jar.clone(), jar.header());
    let mut request = pin!(send(&slow, "/set/cart/late", &header));
    poll_until(request.as_mut(), || store.calls().contains(&"create")).await;
    assert_eq!(jar.get(&quick, "/me").await, "alice");
    jar.get(&quick, "/logout").await;
    assert_eq!(request.await, (String::new(), Vec::new()));
    assert_eq!(copy.get(&quick, "/me").await, "nobody");
}

#[tokio::test]
async fn a_session_that_the_new_store_refuses_is_an_error_and_stays_in_its_former_place() {
    let clock = ManualClock::at(NOW);
    let old = SessionLayer::stored(MemoryStore::new(), keys()).name("old").unwrap().clock(clock.clone());
    let new = SessionLayer::stored(MemoryStore::limited_to(10_000), keys()).clock(clock.clone());
    let layers = Layers::of(old, new, clock);
    let (old, new) = (app(&layers.old), app(&layers.new));
    let mut jar = Jar::default();
    jar.get(&old, "/login/alice").await;
    jar.get(&old, &format!("/set/notes/{}", "x".repeat(20_000))).await;
    let before = jar.header();
    let answer = jar.get(&new, "/set/cart/three").await;
    assert!(answer.starts_with("Something went wrong"), "it is larger than the whole store: {answer:?}");
    assert_eq!(jar.header(), before);
    assert_eq!(jar.get(&old, "/me").await, "alice");
}

#[tokio::test]
async fn a_move_writes_its_mark_once() {
    let (store, clock) = (Watched::new(), ManualClock::at(NOW));
    let old = SessionLayer::signed(keys()).name("old").unwrap().clock(clock.clone());
    let new = SessionLayer::stored(Arc::new(store.clone()), keys()).clock(clock.clone());
    let layers = Layers::of(old, new, clock);
    let mut jar = Jar::default();
    jar.get(&app(&layers.old), "/login/alice").await;
    assert_eq!(jar.get(&app(&layers.new), "/me").await, "alice");
    let creates = store.calls().into_iter().filter(|call| *call == "create").count();
    assert_eq!(creates, 2, "the session and the mark");
}

/// With a request that was sent before the rotation, and brings the cookie from before the move.
async fn after_a_rotation_here_a_former_cookie_reads_the_session_and_changes_nothing(group: Group) {
    for (from, to) in group.pairs(&PLACES, &PLACES) {
        let layers = Layers::between(from, to, |layer| layer.name("sid").unwrap()).await;
        let case = format!("{from:?} to {to:?}");
        let save = get(|session: Session| async move {
            session.insert("cart", "late")?;
            session.save().await
        });
        let others = Router::new()
            .route("/rotate", get(|session: Session| async move { session.rotate() }))
            .route("/save", save)
            .layer(layers.new.clone());
        let (old, new) = (app(&layers.old), app(&layers.new).merge(others));
        let mut jar = Jar::default();
        jar.get(&old, "/login/alice").await;
        let former = jar.header();
        jar.get(&new, "/me").await;
        jar.get(&new, "/rotate").await;
        for (path, expected) in [("/me", "alice"), ("/set/cart/late", ""), ("/save", "Something went wrong")] {
            let (answer, set) = send(&new, path, &former).await;
            assert!(answer.starts_with(expected), "{path}, {case}: {answer}");
            // The former cookie may be removed.
            assert!(set.iter().all(|cookie| cookie.contains("Max-Age=0")), "{path}, {case}: {set:?}");
        }
        assert_eq!(jar.get(&new, "/get/cart").await, "", "{case}");
    }
}

/// The former layer has rotated the session. A request with the cookie from before reads it for a minute, and logs out.
async fn a_late_log_out_ends_the_session_that_was_rotated_in_its_former_place(group: Group) {
    for (from, to) in group.pairs(&PLACES, &PLACES) {
        let renamed: Change = |layer| layer.name("sid").unwrap();
        // With one name and one secret, only a list tells a layer what the other one has ended.
        let with_one_name: Option<Change> = if from == Revocable { Some(|layer| layer) } else { None };
        for (change, name) in [(Some(renamed), "sid"), (with_one_name, "one name")] {
            let Some(change) = change else { continue };
            let clock = ManualClock::at(NOW);
            let (old, new) = (alone(from, &clock).await, change(alone(to, &clock).await));
            let layers = Layers::of(old, new, clock);
            let case = format!("{from:?} to {to:?}, {name}");
            let rotate = get(|session: Session| async move { session.rotate() });
            let old = app(&layers.old).merge(Router::new().route("/rotate", rotate).layer(layers.old.clone()));
            let new = app(&layers.new);
            let mut jar = Jar::default();
            jar.get(&old, "/login/alice").await;
            let late = jar.header();
            jar.get(&old, "/rotate").await;
            assert_eq!(jar.get(&old, "/me").await, "alice", "{case}");
            assert_eq!(send(&new, "/me", &late).await.0, "alice", "{case}");
            send(&new, "/logout", &late).await;
            for (place, app) in [("old", &old), ("new", &new)] {
                assert_eq!(jar.get(app, "/me").await, "nobody", "{place}, {case}");
            }
        }
    }
}

async fn a_session_that_was_logged_out_during_its_move_is_not_listed(group: Group) {
    for to in group.places(&[Memory, Sqlite, Redis]) {
        let layers = Layers::between(Memory, to, |layer| layer.name("sid").unwrap().application("logged-out")).await;
        let log_in = |session: Session| async move {
            session.renew();
            session.set_owner("ada")?;
            session.insert("user", "ada")
        };
        let old = app(&layers.old).merge(Router::new().route("/own", get(log_in)).layer(layers.old.clone()));
        let mut jar = Jar::default();
        jar.get(&old, "/own").await;
        let log_out_meanwhile = {
            let (old, header) = (old.clone(), jar.header());
            move |session: Session| async move {
                assert!(session.contains("user"));
                send(&old, "/logout", &header).await;
            }
        };
        let new = Router::new().route("/slow", get(log_out_meanwhile)).layer(layers.new.clone());
        jar.get(&new, "/slow").await;
        assert_eq!(layers.new.sessions().count("ada").await.unwrap(), 0, "{to:?}");
    }
}

each_group! {
    a_visitor_moves_once_and_no_cookie_is_left
    an_ended_session_stays_ended_when_the_former_cookie_comes_later
    a_log_out_of_the_first_visit_ends_the_session_in_both_places
    a_log_in_after_the_move_makes_every_earlier_cookie_useless
    two_instances_of_which_one_is_not_yet_deployed_log_no_visitor_out
    requests_at_once_all_find_the_session_and_lose_nothing_that_a_store_keeps
    after_the_last_second_a_former_session_is_none
    a_server_error_moves_no_data_and_loses_none
    a_response_that_is_lost_logs_no_visitor_out_if_their_former_place_or_the_new_one_can_tell
    messages_move_when_they_are_read
    creation_time_limits_and_owner_move_along
    our_own_session_counts_beside_a_former_one_and_the_former_ends
    a_log_out_at_the_former_place_during_the_move_holds
    a_forged_or_foreign_cookie_is_no_session_in_the_former_place_either
    a_session_saved_or_changed_at_once_during_the_request_moves_too
    a_setting_that_was_taken_away_leaves_no_cookie
    a_log_out_everywhere_reaches_sessions_that_have_not_moved
    a_session_that_is_cleared_by_its_first_request_here_is_over
    a_cookie_from_before_a_log_in_does_not_open_what_the_log_in_has_made
    a_request_that_is_dropped_moves_nothing
    a_rotation_or_another_secret_after_the_move_brings_no_copy_back
    a_log_out_ends_both_of_two_former_sessions
    a_slow_read_of_the_first_visit_overwrites_no_log_in
    a_former_store_that_fails_after_the_move_costs_no_session
    a_change_after_a_lost_response_is_kept
    an_owner_has_no_more_sessions_after_a_move_than_allowed
    after_a_rotation_here_a_former_cookie_reads_the_session_and_changes_nothing
    a_late_log_out_ends_the_session_that_was_rotated_in_its_former_place
    a_session_that_was_logged_out_during_its_move_is_not_listed
}
