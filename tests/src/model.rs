//! Random plays of two browsers and two instances, checked by rules that are as strong as the contract.

mod play;
mod rules;
mod stage;

use std::{
    env,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use session_axum::SessionLayer;
use session_stores::MemoryStore;

use self::{
    play::{Step, of_seed, shrink},
    rules::{Broken, Engine, Rule},
    stage::{Site, run},
};
use crate::support::{app::keys, backends::Backend};

const SIGNED: Engine = Engine { name: "signed", data_travels: true, forgets_ends: true };
const ENCRYPTED: Engine = Engine { name: "encrypted", ..SIGNED };
const REVOCABLE: Engine = Engine { name: "signed, with revocations", data_travels: true, forgets_ends: false };
const STORED: Engine = Engine { name: "in memory", data_travels: false, forgets_ends: false };

/// A site without defects. Two processes do not share the ends of sessions in cookies: there both instances are one.
fn site(engine: Engine, layers: [SessionLayer; 2]) -> Site {
    Site { engine, layers, around: |app| app, taken: |set_cookies| set_cookies }
}

fn signed() -> Site {
    let layer = SessionLayer::signed(keys());
    site(SIGNED, [layer.clone(), layer])
}

fn encrypted() -> Site {
    let layer = SessionLayer::encrypted(keys());
    site(ENCRYPTED, [layer.clone(), layer])
}

fn revocable() -> Site {
    let list = MemoryStore::new();
    site(REVOCABLE, [(); 2].map(|()| SessionLayer::signed(keys()).revocations(list.clone())))
}

fn in_memory() -> Site {
    let store = MemoryStore::new();
    site(STORED, [(); 2].map(|()| SessionLayer::stored(store.clone(), keys())))
}

/// Runs the play of each seed. Panics with the first that breaks a rule.
async fn assert_all_hold(make: impl Fn() -> Site, seeds: Range<u64>) {
    let (begun, count) = (Instant::now(), seeds.end - seeds.start);
    for seed in seeds {
        if let Err(broken) = run(&make(), &of_seed(seed)).await {
            panic!("{}", report(&make, seed, &broken).await);
        }
    }
    println!("{}: {count} seeds in {:?}", make().engine.name, begun.elapsed());
}

/// Shows the shortest play that still breaks the rule.
async fn report(make: &impl Fn() -> Site, seed: u64, broken: &Broken) -> String {
    let fails = async |play: &[Step]| run(&make(), play).await.is_err_and(|again| again.rule == broken.rule);
    let play = shrink(of_seed(seed), fails).await;
    let last = run(&make(), &play).await.unwrap_err();
    let steps: String = play.iter().map(|step| format!("    {step:?}\n")).collect();
    format!("{}, seed {seed}: {:?}, {}\n{steps}", make().engine.name, last.rule, last.text)
}

/// The seeds for each engine: as many as the environment says, or the usual number.
fn seeds(usual: u64) -> Range<u64> {
    let number = |name| env::var(name).ok().map(|text| text.parse().expect("the environment gives a number"));
    let first = number("SESSION_MODEL_FIRST_SEED").unwrap_or(0);
    first..first + number("SESSION_MODEL_SEEDS").unwrap_or(usual)
}

/// The engines without a server.
mod in_process {
    use super::*;

    const SEEDS: u64 = 1_000;

    #[tokio::test]
    async fn random_plays_of_signed_sessions() {
        assert_all_hold(signed, seeds(SEEDS)).await;
    }

    #[tokio::test]
    async fn random_plays_of_encrypted_sessions() {
        assert_all_hold(encrypted, seeds(SEEDS)).await;
    }

    #[tokio::test]
    async fn random_plays_of_sessions_with_revocations() {
        assert_all_hold(revocable, seeds(SEEDS)).await;
    }

    #[tokio::test]
    async fn random_plays_of_sessions_in_memory() {
        assert_all_hold(in_memory, seeds(SEEDS)).await;
    }
}

/// The stores of several processes. Each instance has connections of its own.
mod in_stores {
    use super::*;

    const SEEDS: u64 = 100;

    async fn assert_all_hold_at(name: &'static str, backend: Backend) {
        let stores = [backend.connect().await, backend.connect().await];
        let make = || {
            let layers = stores.each_ref().map(|store| SessionLayer::stored(Arc::clone(store), keys()));
            site(Engine { name, ..STORED }, layers)
        };
        assert_all_hold(make, seeds(SEEDS)).await;
    }

    #[tokio::test]
    async fn random_plays_of_sessions_in_sqlite() {
        assert_all_hold_at("SQLite", Backend::sqlite()).await;
    }

    #[tokio::test]
    async fn random_plays_of_sessions_in_postgres() {
        assert_all_hold_at("Postgres", Backend::postgres().await).await;
    }

    #[tokio::test]
    async fn random_plays_of_sessions_in_mariadb() {
        assert_all_hold_at("MariaDB", Backend::mariadb().await).await;
    }

    #[tokio::test]
    async fn random_plays_of_sessions_in_redis() {
        assert_all_hold_at("Redis", Backend::redis()).await;
    }
}

/// Each rule finds a defect that is planted for it.
mod defects {
    use axum::{
        Router,
        body::Body,
        extract::{Request, State},
        http::header::SET_COOKIE,
        middleware::{Next, from_fn, from_fn_with_state},
        response::Response,
    };

    use super::*;
    use crate::support::watched::{Fault, Watched};

    /// Asserts that some play breaks this rule. A defect may break others as well.
    async fn assert_found(rule: Rule, make: impl Fn() -> Site) {
        for seed in 0..SEEDS {
            if run(&make(), &of_seed(seed)).await.is_err_and(|broken| broken.rule == rule) {
                return;
            }
        }
        panic!("no play breaks {rule:?}");
    }

    const SEEDS: u64 = 200;

    /// A cache that gives the first cookie that it has seen to the next visitor.
    #[tokio::test]
    async fn a_cookie_that_a_cache_hands_out_again_makes_somebody_else_of_a_visitor() {
        async fn answer(State(cached): State<Arc<Mutex<Option<Response>>>>, request: Request, next: Next) -> Response {
            let mut response = next.run(request).await;
            let mut cached = cached.lock().unwrap();
            match (&*cached, response.headers().get(SET_COOKIE).cloned()) {
                (Some(first), Some(_)) => *response.headers_mut() = first.headers().clone(),
                (None, Some(cookie)) => {
                    *cached = Some(Response::builder().header(SET_COOKIE, cookie).body(Body::empty()).unwrap());
                }
                (_, None) => {}
            }
            response
        }
        fn around(app: Router) -> Router {
            app.layer(from_fn_with_state(Arc::default(), answer))
        }
        for make in [signed, in_memory] {
            assert_found(Rule::SomebodyElse, || Site { around, ..make() }).await;
        }
    }

    #[tokio::test]
    async fn a_store_that_does_not_delete_lets_logged_out_visitors_in() {
        assert_found(Rule::LoggedOutIsIn, || watched(Fault::KeepsDeleted)).await;
    }

    /// Without a store, only the removal of the cookie ends a session for longer than a minute.
    #[tokio::test]
    async fn a_browser_that_ignores_removals_lets_logged_out_visitors_in() {
        fn taken(set_cookies: Vec<String>) -> Vec<String> {
            set_cookies.into_iter().filter(|cookie| !cookie.contains("Max-Age=0")).collect()
        }
        for make in [signed, encrypted] {
            assert_found(Rule::LoggedOutIsIn, || Site { taken, ..make() }).await;
        }
    }

    #[tokio::test]
    async fn a_store_that_forgets_how_sessions_ended_logs_visitors_out() {
        assert_found(Rule::LoggedInIsOut, || watched(Fault::ForgetsEnds)).await;
    }

    #[tokio::test]
    async fn a_lost_set_cookie_logs_visitors_out() {
        async fn strip(request: Request, next: Next) -> Response {
            let is_log_in = request.uri().path().ends_with("/LogIn");
            let mut response = next.run(request).await;
            if is_log_in && let Some(cookie) = response.headers_mut().get_mut(SET_COOKIE) {
                *cookie = "other=1; Path=/".parse().unwrap();
            }
            response
        }
        fn around(app: Router) -> Router {
            app.layer(from_fn(strip))
        }
        for make in [signed, encrypted, revocable, in_memory] {
            assert_found(Rule::LoggedInIsOut, || Site { around, ..make() }).await;
        }
    }

    /// Each cookie stays, because each has a path of its own.
    #[tokio::test]
    async fn cookies_that_pile_up_make_headers_too_large() {
        fn taken(set_cookies: Vec<String>) -> Vec<String> {
            static COUNT: AtomicUsize = AtomicUsize::new(0);
            let filler = "x".repeat(1_000);
            let other = |_: &String| format!("other={filler}; Path=/{}", COUNT.fetch_add(1, Ordering::Relaxed));
            let others: Vec<_> = set_cookies.iter().map(other).collect();
            set_cookies.into_iter().chain(others).collect()
        }
        for make in [signed, in_memory] {
            assert_found(Rule::TooLarge, || Site { taken, ..make() }).await;
        }
    }

    fn watched(fault: Fault) -> Site {
        let store = Watched::new();
        store.fail(fault, u32::MAX);
        site(STORED, [(); 2].map(|()| SessionLayer::stored(store.clone(), keys())))
    }
}
