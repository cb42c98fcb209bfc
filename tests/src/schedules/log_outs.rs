//! A user is logged out everywhere while another request of hers runs, in every order.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
};

use axum::{Router, routing::get};
use session_axum::{Error, Session, SessionLayer, Sessions, testing::ManualClock};
use session_core::store::SessionStore;
use session_stores::MemoryStore;

use super::{
    Engine,
    explorer::{Task, explore},
};
use crate::support::{
    app::{NOW, keys},
    jar::{Jar, send},
    polls::{poll_until, step},
    watched::Watched,
};

/// The application, another instance of it, and two browsers in which alice has logged in.
struct Site {
    app: Router,
    /// Those of the other instance.
    sessions: Sessions,
    browsers: [Jar; 2],
}

impl Site {
    /// One whose store waits for a poll before and after each question.
    fn new(engine: Engine) -> Self {
        Self::on(Watched::in_steps(Arc::new(MemoryStore::new())), engine)
    }

    fn on(store: impl SessionStore + Clone, engine: Engine) -> Self {
        let layer = |store| match engine {
            Engine::Signed => panic!("it cannot log out everywhere"),
            Engine::Revocations => SessionLayer::signed(keys()).revocations(store),
            Engine::Stored => SessionLayer::stored(store, keys()),
        };
        let clock = ManualClock::at(NOW);
        let [layer, other] = [store.clone(), store].map(|store| layer(store).clock(clock.clone()));
        let app = Router::new()
            .route("/log-in", get(log_in))
            .route("/user", get(user))
            .route("/insert", get(|session: Session| async move { session.insert("b", 2) }))
            .route("/rotate", get(|session: Session| async move { session.rotate() }))
            .route("/renew", get(|session: Session| async move { session.renew() }))
            .route("/others", get(others))
            .layer(layer);
        Self { app, sessions: other.sessions(), browsers: Default::default() }
    }

    async fn log_in(&mut self) {
        for browser in &mut self.browsers {
            assert_eq!(browser.get(&self.app, "/log-in").await, "");
        }
    }

    async fn user(&self, browser: &Jar) -> String {
        send(&self.app, "/user", &browser.header()).await.0
    }
}

async fn log_in(session: Session) -> Result<(), Error> {
    session.renew();
    session.set_owner("alice")?;
    session.insert("user", "alice")
}

async fn user(session: Session) -> Result<String, Error> {
    Ok(session.get::<String>("user")?.unwrap_or_default())
}

/// Logs out all other devices, after the rest of the request has come.
async fn others(session: Session, sessions: Sessions) -> Result<(), Error> {
    step().await;
    sessions.destroy_others(&session).await.map(drop)
}

const BOTH: [Engine; 2] = [Engine::Revocations, Engine::Stored];

#[tokio::test(start_paused = true)]
async fn no_request_outlives_a_log_out_everywhere_that_comes_while_it_runs() {
    for engine in BOTH {
        for path in ["/insert", "/rotate", "/renew", "/others"] {
            for had_logged_out in [false, true] {
                let schedules = explore(async |schedule| {
                    let mut site = Site::new(engine);
                    if had_logged_out {
                        site.sessions.destroy_all("alice").await.unwrap();
                    }
                    site.log_in().await;
                    let [browser, other] = site.browsers.clone();
                    let set_cookies = Mutex::new(Vec::new());
                    let request: Task<'_> = Box::pin(async {
                        *set_cookies.lock().unwrap() = send(&site.app, path, &browser.header()).await.1;
                    });
                    let log_out: Task<'_> =
                        Box::pin(async { assert!(site.sessions.destroy_all("alice").await.is_ok()) });
                    schedule.run(vec![request, log_out]).await;
                    let mut afterwards = browser.clone();
                    afterwards.apply(&set_cookies.lock().unwrap());
                    for jar in [&browser, &afterwards, &other] {
                        let context = format!("{engine:?}, {path}, {had_logged_out}, {schedule:?}");
                        assert_eq!(site.user(jar).await, "", "{context}");
                    }
                });
                assert!(schedules.await > 10, "{engine:?}, {path}");
            }
        }
    }
}

/// The handler has the session, and waits for the rest of its request.
#[tokio::test]
async fn a_session_that_is_rotated_before_its_request_logs_out_the_other_devices_stays() {
    for (engine, rotations) in BOTH.into_iter().flat_map(|engine| [(engine, 1), (engine, 2)]) {
        let mut site = Site::on(MemoryStore::new(), engine);
        site.log_in().await;
        let [mut browser, other] = site.browsers.clone();
        let cookies = browser.header();
        let mut request = pin!(send(&site.app, "/others", &cookies));
        poll_until(request.as_mut(), || true).await;
        for _ in 0..rotations {
            browser.get(&site.app, "/rotate").await;
        }
        assert_eq!(request.await.0, "");
        let users = (site.user(&browser).await, site.user(&other).await);
        assert_eq!((users.0.as_str(), users.1.as_str()), ("alice", ""), "{engine:?}, {rotations}");
    }
}

#[tokio::test]
async fn a_session_that_was_logged_out_before_its_request_logs_out_the_other_devices_stays_so() {
    for engine in BOTH {
        let mut site = Site::on(MemoryStore::new(), engine);
        site.log_in().await;
        let [thief, victim] = site.browsers.clone();
        let cookies = thief.header();
        let mut request = pin!(send(&site.app, "/others", &cookies));
        poll_until(request.as_mut(), || true).await;
        assert_eq!(send(&site.app, "/others", &victim.header()).await.0, "");
        assert_eq!((site.user(&thief).await.as_str(), site.user(&victim).await.as_str()), ("", "alice"));
        assert_eq!(request.await.0, "");
        assert_eq!(site.user(&thief).await, "", "{engine:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_devices_that_log_out_each_other_at_most_one_stays() {
    for engine in BOTH {
        let schedules = explore(async |schedule| {
            let mut site = Site::new(engine);
            site.log_in().await;
            let tasks = site.browsers.iter().map(|browser| -> Task<'_> {
                let (app, cookies) = (&site.app, browser.header());
                Box::pin(async move { assert_eq!(send(app, "/others", &cookies).await.0, "") })
            });
            schedule.run(tasks.collect()).await;
            let mut alive = 0;
            for browser in &site.browsers {
                alive += usize::from(site.user(browser).await == "alice");
            }
            assert!(alive <= 1, "{engine:?}, {schedule:?}");
        });
        assert!(schedules.await > 10, "{engine:?}");
    }
}
