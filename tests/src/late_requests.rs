//! Requests that come or are answered after another one has ended their session.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
use session_axum::{Ended, Error, Keys, Session, SessionLayer, SessionResponseExt as _, testing::ManualClock};
use session_stores::MemoryStore;
use tokio::{runtime::Builder, sync::Notify, task::JoinHandle};

use crate::support::{
    app::{NOW, OLD_SECRET, keys},
    jar::{Jar, send},
    logs::Logs,
};

/// Every engine that has sessions.
fn engines() -> Vec<(&'static str, SessionLayer)> {
    vec![
        ("signed", SessionLayer::signed(keys())),
        ("encrypted", SessionLayer::encrypted(keys())),
        ("a list of revocations", SessionLayer::signed(keys()).revocations(MemoryStore::new())),
        ("a store", SessionLayer::stored(MemoryStore::new(), keys())),
        ("encrypted records", SessionLayer::stored(MemoryStore::new(), keys()).encrypt_records(keys())),
    ]
}

/// The site with one engine, and a browser that is a guest with a cart.
struct Site {
    engine: &'static str,
    app: Router,
    clock: ManualClock,
    gate: Arc<Gate>,
    browser: Jar,
}

/// Where slow requests wait after they have read their session.
#[derive(Default)]
struct Gate {
    has_read: Notify,
    goes_on: Notify,
}

impl Site {
    async fn each() -> Vec<Self> {
        let mut sites = Vec::new();
        for (engine, layer) in engines() {
            let mut site = Self::on(engine, layer);
            site.get("/set/cart").await;
            sites.push(site);
        }
        sites
    }

    fn on(engine: &'static str, layer: SessionLayer) -> Self {
        let (clock, gate) = (ManualClock::at(NOW), Arc::new(Gate::default()));
        let layer = layer.clock(clock.clone()).idle_timeout(Duration::from_secs(3_600));
        let app = Router::new()
            .route("/{*steps}", get(at_once))
            .route("/slow/{*steps}", get(slowly))
            .layer(layer)
            .with_state(Arc::clone(&gate));
        Self { engine, app, clock, gate, browser: Jar::default() }
    }

    async fn get(&mut self, path: &str) -> String {
        self.browser.get(&self.app, path).await
    }

    /// Sends a request with these cookies. The browser does not see the answer.
    async fn send(&self, path: &str, cookies: &str) -> (String, Vec<String>) {
        send(&self.app, path, cookies).await
    }

    /// Begins a request that reads its session and then waits.
    async fn begin(&self, steps: &str) -> JoinHandle<(String, Vec<String>)> {
        let (app, path, cookies) = (self.app.clone(), format!("/slow{steps}"), self.browser.header());
        let request = tokio::spawn(async move { send(&app, &path, &cookies).await });
        self.gate.has_read.notified().await;
        request
    }

    /// Lets a slow request go on, and returns its answer.
    async fn end(&self, request: JoinHandle<(String, Vec<String>)>) -> (String, Vec<String>) {
        self.gate.goes_on.notify_one();
        request.await.unwrap()
    }
}

/// Does the steps in the path: `/set/cart/me` inserts `cart` and shows who is logged in.
async fn at_once(session: Session, Path(steps): Path<String>) -> Result<Response, Error> {
    let mut shown = String::new();
    let mut steps = steps.split('/');
    while let Some(step) = steps.next() {
        match step {
            "set" => session.insert(steps.next().unwrap_or_default(), 1)?,
            "login" => {
                session.renew();
                session.insert("user", "alice")?;
            }
            "clear" => session.clear(),
            "renew" => session.renew(),
            "rotate" => session.rotate(),
            "logout" => drop(session.destroy()),
            "save" => session.save().await?,
            "update" => {
                let updated = session.update("n", |before: Option<u32>| before.unwrap_or(0) + 1).await;
                shown = updated.map_or_else(|error| error.status().to_string(), |n| n.to_string());
            }
            "replace" => return Ok("".with_session([("user", "alice")]).into_response()),
            "flash" => return Ok("".flashing(("info", "kept")).into_response()),
            "new" => return Ok("".with_new_session().into_response()),
            "me" => shown = session.get("user")?.unwrap_or_else(|| "nobody".to_owned()),
            "keys" => shown = session.keys().join(" "),
            "ended" => {
                shown = match session.ended() {
                    Some(Ended::Expired) => "expired".to_owned(),
                    Some(Ended::Elsewhere) => "elsewhere".to_owned(),
                    _ => "no".to_owned(),
                }
            }
            "is_new" => shown = session.is_new().to_string(),
            other => panic!("{other}"),
        }
    }
    Ok(shown.into_response())
}

async fn slowly(State(gate): State<Arc<Gate>>, session: Session, steps: Path<String>) -> Result<Response, Error> {
    let _ = session.len();
    gate.has_read.notify_one();
    gate.goes_on.notified().await;
    at_once(session, steps).await
}

#[tokio::test]
async fn a_late_page_does_not_overwrite_a_log_in() {
    for mut site in Site::each().await {
        let before = site.browser.header();
        let (_, log_in) = site.send("/login", &before).await;
        for (late, keys) in
            [("/keys", ""), ("/set/n/keys", "n"), ("/renew/keys", ""), ("/set/n/rotate/keys", "n"), ("/new", "")]
        {
            assert_eq!(site.send(late, &before).await, (keys.to_owned(), Vec::new()), "{late}, {}", site.engine);
        }
        site.browser.apply(&log_in);
        assert_eq!(site.get("/me").await, "alice", "{}", site.engine);
    }
}

/// In a store an update is written at once. A late one would write to the session that the visitor has now, and its
/// response would set a cookie with the former secret.
#[tokio::test]
async fn an_update_that_comes_late_is_told_so_and_changes_nothing() {
    for ends in ["/login", "/rotate", "/logout"] {
        for (engine, layer) in engines().into_iter().skip(3) {
            let mut site = Site::on(engine, layer.persistent(true));
            site.get("/set/cart").await;
            let before = site.browser.header();
            site.get(ends).await;
            let keys = site.get("/keys").await;
            let told = ("409 Conflict".to_owned(), Vec::new());
            assert_eq!(site.send("/update", &before).await, told, "{ends}, {engine}");
            assert_eq!(site.send("/update/set/m", &before).await, told, "{ends}, {engine}");
            assert_eq!(site.get("/keys").await, keys, "{ends}, {engine}");
            // What begins a session on purpose also keeps what it updates.
            let (text, set_cookies) = site.send("/login/update", &before).await;
            assert_eq!(text, "1", "{ends}, {engine}");
            site.browser.apply(&set_cookies);
            assert!(site.get("/keys").await.ends_with("n user"), "{ends}, {engine}");
        }
    }
}

#[tokio::test]
async fn a_late_page_does_not_undo_a_log_out() {
    for mut site in Site::each().await {
        site.get("/login").await;
        let before = site.browser.header();
        site.get("/logout").await;
        assert_eq!(site.browser.header(), "", "{}", site.engine);
        for late in ["/me", "/set/n/me", "/renew/me"] {
            assert_eq!(site.send(late, &before).await, ("nobody".to_owned(), Vec::new()), "{late}, {}", site.engine);
        }
    }
}

#[tokio::test]
async fn what_a_late_page_changes_is_dropped_with_one_log_line() {
    for mut site in Site::each().await {
        let before = site.browser.header();
        site.get("/login").await;
        let (logs, _guard) = Logs::capture();
        site.send("/set/n/set/m", &before).await;
        assert_eq!(dropped(&logs), 1, "{}", site.engine);
        site.send("/keys", &before).await;
        assert_eq!(dropped(&logs), 0, "{}", site.engine);
        assert_eq!(site.get("/keys").await, "cart user");
    }
}

#[tokio::test]
async fn of_two_threads_that_log_in_with_one_session_one_takes_its_values_over() {
    for mut site in Site::each().await {
        for round in 0..50 {
            site.browser = Jar::default();
            site.get("/set/cart").await;
            let (app, cookies) = (&site.app, site.browser.header());
            let barrier = Barrier::new(2);
            let log_in = || {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                barrier.wait();
                runtime.block_on(send(app, "/login", &cookies)).1
            };
            let answers = thread::scope(|scope| {
                let (one, other) = (scope.spawn(log_in), scope.spawn(log_in));
                [one.join().unwrap(), other.join().unwrap()]
            });
            let mut shown = Vec::new();
            for set_cookies in &answers {
                site.browser = Jar::default();
                site.browser.apply(set_cookies);
                shown.push(site.get("/keys").await);
            }
            shown.sort();
            assert_eq!(shown, ["cart user", "user"], "{}, round {round}", site.engine);
        }
    }
}

/// How many lines since the last call say that changes were dropped.
fn dropped(logs: &Logs) -> usize {
    logs.take().iter().filter(|line| line.contains("dropped")).count()
}

#[tokio::test]
async fn a_late_page_that_changes_nothing_keeps_its_message_and_logs_no_drop() {
    for mut site in Site::each().await {
        let before = site.browser.header();
        site.get("/login").await;
        let (logs, _guard) = Logs::capture();
        let (_, set_cookies) = site.send("/flash", &before).await;
        assert!(matches!(&set_cookies[..], [only] if only.contains("flash")), "{}: {set_cookies:?}", site.engine);
        assert_eq!(dropped(&logs), 0, "{}", site.engine);
    }
}

#[tokio::test]
async fn what_a_page_changes_after_its_session_has_expired_is_dropped_with_one_log_line() {
    for (steps, lines) in [("/set/n/set/m", 1), ("/keys", 0)] {
        for mut site in Site::each().await {
            // The visit is due, so that the response would extend the session.
            site.clock.advance(Duration::from_secs(1_800));
            let slow = site.begin(steps).await;
            site.clock.advance(Duration::from_secs(1_801));
            let (logs, _guard) = Logs::capture();
            let (_, set_cookies) = site.end(slow).await;
            assert!(set_cookies.is_empty(), "{steps}, {}", site.engine);
            assert_eq!(dropped(&logs), lines, "{steps}, {}", site.engine);
            assert_eq!(site.get("/keys").await, "", "{}", site.engine);
        }
    }
}

#[tokio::test]
async fn a_session_that_begins_after_a_log_out_begins_also_if_the_former_has_ended_meanwhile() {
    for ends in ["/logout", "/renew", "/rotate"] {
        for mut site in Site::each().await {
            let slow = site.begin("/logout/set/user").await;
            site.get(ends).await;
            let (_, set_cookies) = site.end(slow).await;
            site.browser.apply(&set_cookies);
            assert_eq!(site.get("/keys").await, "user", "{ends}, {}", site.engine);
        }
    }
}

#[tokio::test]
async fn a_poll_that_has_read_its_session_does_not_undo_a_log_out() {
    for poll in ["/keys", "/set/n", "/set/n/rotate"] {
        for mut site in Site::each().await {
            // The visit is due.
            site.clock.advance(Duration::from_secs(1_800));
            let poll = site.begin(poll).await;
            site.get("/logout").await;
            let (_, set_cookies) = site.end(poll).await;
            assert!(set_cookies.is_empty(), "{}: {set_cookies:?}", site.engine);
            assert_eq!(site.get("/keys").await, "", "{}", site.engine);
        }
    }
}

/// The response to a read would set the cookie again, signed by the new key.
#[tokio::test]
async fn a_read_with_a_cookie_of_the_former_key_does_not_undo_a_log_out() {
    let (store, former) = (MemoryStore::new(), Keys::new(OLD_SECRET).unwrap());
    let mut before = Site::on("the former key", SessionLayer::stored(store.clone(), former));
    before.get("/set/cart").await;
    let both = keys().with_fallback(OLD_SECRET).unwrap();
    let mut site = Site::on("a store", SessionLayer::stored(store, both));
    site.browser = before.browser;
    let (text, set_cookies) = site.send("/keys", &site.browser.header()).await;
    assert_eq!((text.as_str(), set_cookies.len()), ("cart", 1));
    let slow = site.begin("/keys").await;
    site.get("/logout").await;
    assert_eq!(site.end(slow).await, ("cart".to_owned(), Vec::new()));
}

#[tokio::test]
async fn a_slow_write_does_not_overwrite_a_log_in() {
    for mut site in Site::each().await {
        let write = site.begin("/set/n").await;
        site.get("/login").await;
        let (_, set_cookies) = site.end(write).await;
        assert!(set_cookies.is_empty(), "{}", site.engine);
        assert_eq!(site.get("/me").await, "alice", "{}", site.engine);
    }
}

#[tokio::test]
async fn a_double_clicked_log_in_is_a_log_in_whichever_answer_comes_last() {
    for last in [0, 1] {
        for mut site in Site::each().await {
            let slow = site.begin("/login").await;
            let (_, quick) = site.send("/login", &site.browser.header()).await;
            let (text, slow) = site.end(slow).await;
            assert!(!slow.is_empty(), "{}: {text}", site.engine);
            let answers = [quick, slow];
            site.browser.apply(&answers[1 - last]);
            site.browser.apply(&answers[last]);
            assert_eq!(site.get("/me").await, "alice", "{}", site.engine);
        }
    }
}

#[tokio::test]
async fn a_log_in_that_was_overtaken_keeps_only_what_it_puts_in_itself() {
    for mut site in Site::each().await {
        let slow = site.begin("/login").await;
        site.get("/renew").await;
        let (_, slow) = site.end(slow).await;
        site.browser.apply(&slow);
        assert_eq!(site.get("/keys").await, "user", "{}", site.engine);
        let slow = site.begin("/renew").await;
        site.get("/renew").await;
        let (_, slow) = site.end(slow).await;
        assert!(slow.is_empty(), "it puts nothing in: {}", site.engine);
        assert_eq!(site.get("/me").await, "alice", "{}", site.engine);
    }
}

#[tokio::test]
async fn a_log_in_whose_session_was_logged_out_meanwhile_is_an_error() {
    for mut site in Site::each().await {
        let slow = site.begin("/login").await;
        site.get("/logout").await;
        let (text, set_cookies) = site.end(slow).await;
        assert!(text.starts_with("Something went wrong") && set_cookies.is_empty(), "{}: {text}", site.engine);
    }
}

#[tokio::test]
async fn a_log_out_that_comes_after_a_log_in_leaves_it_and_says_so() {
    for mut site in Site::each().await {
        let log_out = site.begin("/logout").await;
        site.get("/login").await;
        let (logs, _guard) = Logs::capture();
        site.end(log_out).await;
        let lines = logs.take();
        let said = lines.iter().filter(|line| line.contains("session.renewed_meanwhile")).count();
        assert_eq!(said, 1, "{}: {lines:?}", site.engine);
        assert_eq!(site.get("/me").await, "alice", "{}", site.engine);
    }
}

#[tokio::test]
async fn a_session_that_was_replaced_counts_as_renewed() {
    for mut site in Site::each().await {
        let slow = site.begin("/login").await;
        site.get("/replace").await;
        let (_, set_cookies) = site.end(slow).await;
        assert!(!set_cookies.is_empty(), "{}", site.engine);
    }
}

#[tokio::test]
async fn a_handler_can_begin_a_session_on_purpose() {
    for begin in ["/login", "/renew/set/user", "/logout/set/user", "/replace"] {
        for mut site in Site::each().await {
            let before = site.browser.header();
            site.get("/logout").await;
            let (_, set_cookies) = site.send(begin, &before).await;
            site.browser.apply(&set_cookies);
            assert_eq!(site.get("/keys").await, "user", "{begin}, {}", site.engine);
        }
    }
}

#[tokio::test]
async fn after_a_minute_a_late_request_is_a_strangers() {
    for mut site in Site::each().await {
        let before = site.browser.header();
        site.get("/logout").await;
        site.clock.advance(Duration::from_secs(60));
        assert!(site.send("/set/n", &before).await.1.is_empty(), "{}", site.engine);
        site.clock.advance(Duration::from_secs(1));
        let (_, set_cookies) = site.send("/set/n", &before).await;
        site.browser.apply(&set_cookies);
        let cookie_engine = ["signed", "encrypted"].contains(&site.engine);
        let expected = if cookie_engine { "cart n" } else { "n" };
        assert_eq!(site.get("/keys").await, expected, "{}", site.engine);
    }
}

#[tokio::test]
async fn a_session_that_was_cleared_has_not_ended_and_a_late_page_may_begin_another() {
    for mut site in Site::each().await {
        let before = site.browser.header();
        site.get("/clear").await;
        assert_eq!(site.browser.header(), "", "{}", site.engine);
        let (_, set_cookies) = site.send("/set/n", &before).await;
        site.browser.apply(&set_cookies);
        assert!(site.get("/keys").await.ends_with('n'), "{}", site.engine);
    }
}

#[tokio::test]
async fn why_a_session_is_over_can_be_asked() {
    for mut site in Site::each().await {
        assert_eq!(site.get("/ended").await, "no", "{}", site.engine);
        assert_eq!(site.get("/is_new").await, "false", "{}", site.engine);
        let before = site.browser.header();
        assert_eq!(site.get("/logout/ended").await, "no", "its own log-out does not count: {}", site.engine);
        assert_eq!(site.send("/ended", &before).await.0, "elsewhere", "{}", site.engine);
        assert_eq!(site.send("/set/n/is_new", &before).await.0, "true", "{}", site.engine);
        site.get("/set/cart").await;
        let second = site.browser.header();
        site.clock.advance(Duration::from_secs(3_601));
        assert_eq!(site.get("/ended").await, "expired", "{}", site.engine);
        site.clock.advance(Duration::from_secs(20 * 3_600));
        assert_eq!(site.send("/ended", &second).await.0, "expired", "{}", site.engine);
        assert_eq!(site.send("/ended", "").await.0, "no", "{}", site.engine);
        assert_eq!(site.send("/is_new", "").await.0, "true", "{}", site.engine);
    }
}

#[tokio::test]
async fn after_a_rotation_a_late_page_reads_the_session_and_changes_nothing() {
    for mut site in Site::each().await {
        site.get("/login").await;
        let before = site.browser.header();
        site.get("/rotate").await;
        assert_ne!(site.browser.header(), before, "{}", site.engine);
        for late in ["/me", "/set/n/me", "/rotate/me", "/rotate/set/n/me"] {
            assert_eq!(site.send(late, &before).await, ("alice".to_owned(), Vec::new()), "{late}, {}", site.engine);
        }
        assert_eq!(site.get("/keys").await, "cart user", "{}", site.engine);
        assert_eq!(site.send("/is_new", &before).await.0, "false", "{}", site.engine);
    }
}

#[tokio::test]
async fn with_the_id_from_before_a_rotation_a_log_out_is_a_log_out() {
    for rotations in [1, 3] {
        for mut site in Site::each().await {
            site.get("/login").await;
            let before = site.browser.header();
            for _ in 0..rotations {
                site.get("/rotate").await;
            }
            let after = site.browser.header();
            let (_, set_cookies) = site.send("/logout", &before).await;
            assert!(set_cookies.iter().all(|cookie| cookie.contains("Max-Age=0")), "{}", site.engine);
            for copy in [before, after] {
                assert_eq!(site.send("/me", &copy).await.0, "nobody", "{} rotations, {}", rotations, site.engine);
            }
        }
    }
}

#[tokio::test]
async fn a_log_out_ends_a_session_that_was_rotated_after_it_was_read() {
    for rotations in [1, 3] {
        for mut site in Site::each().await {
            site.get("/login").await;
            let log_out = site.begin("/logout").await;
            for _ in 0..rotations {
                site.get("/rotate").await;
            }
            let rotated = site.browser.header();
            site.end(log_out).await;
            assert_eq!(site.send("/me", &rotated).await.0, "nobody", "{rotations} rotations, {}", site.engine);
        }
    }
}

#[tokio::test]
async fn a_rotation_of_a_session_that_was_rotated_after_it_was_read_changes_nothing() {
    for mut site in Site::each().await {
        let slow = site.begin("/rotate").await;
        site.get("/rotate").await;
        assert_eq!(site.end(slow).await, (String::new(), Vec::new()), "{}", site.engine);
        assert_eq!(site.get("/keys").await, "cart", "{}", site.engine);
    }
}

#[tokio::test]
async fn a_log_in_renews_a_session_that_was_rotated_after_it_was_read() {
    for mut site in Site::each().await {
        let log_in = site.begin("/login").await;
        site.get("/rotate").await;
        let rotated = site.browser.header();
        let (text, set_cookies) = site.end(log_in).await;
        assert!(!set_cookies.is_empty(), "{}: {text}", site.engine);
        site.browser.apply(&set_cookies);
        assert_eq!(site.get("/keys").await, "cart user", "{}", site.engine);
        assert_eq!(site.send("/keys", &rotated).await.0, "", "{}", site.engine);
    }
}

#[tokio::test]
async fn with_the_id_from_before_a_rotation_a_log_in_renews_the_session() {
    for mut site in Site::each().await {
        let before = site.browser.header();
        site.get("/rotate").await;
        let rotated = site.browser.header();
        let (_, set_cookies) = site.send("/login", &before).await;
        site.browser.apply(&set_cookies);
        assert_eq!(site.get("/keys").await, "cart user", "{}", site.engine);
        if matches!(site.engine, "a store" | "encrypted records") {
            assert_eq!(site.send("/keys", &rotated).await.0, "", "one session, under one id");
        }
    }
}

/// The answer with the new id has not reached the browser yet.
#[tokio::test]
async fn with_the_id_from_before_a_rotation_a_renewal_meets_a_log_in_like_any_other() {
    for mut site in Site::each().await {
        site.send("/rotate", &site.browser.header()).await;
        let slow = site.begin("/renew").await;
        site.get("/login").await;
        let (text, slow) = site.end(slow).await;
        assert_eq!((text.as_str(), slow.len()), ("", 0), "it begins no session: {}", site.engine);
        assert_eq!(site.get("/me").await, "alice", "{}", site.engine);
    }
}

#[tokio::test]
async fn with_the_id_from_before_a_rotation_a_log_in_meets_a_log_out_like_any_other() {
    for mut site in Site::each().await {
        site.send("/rotate", &site.browser.header()).await;
        let slow = site.begin("/login").await;
        site.get("/logout").await;
        let (text, set_cookies) = site.end(slow).await;
        assert!(text.starts_with("Something went wrong") && set_cookies.is_empty(), "{}: {text}", site.engine);
    }
}

#[tokio::test]
async fn cookies_from_before_two_rotations_are_one_session() {
    for mut site in Site::each().await {
        let first = site.browser.header();
        site.get("/rotate").await;
        let both = format!("{first}; {}", site.browser.header());
        site.get("/rotate").await;
        let (text, set_cookies) = site.send("/keys", &both).await;
        assert_eq!((text.as_str(), set_cookies.len()), ("cart", 0), "{}", site.engine);
        site.send("/logout", &both).await;
        assert_eq!(site.get("/keys").await, "", "{}", site.engine);
    }
}

#[tokio::test]
async fn six_requests_over_a_rotation_keep_the_visitor_logged_in() {
    for mut site in Site::each().await {
        site.get("/login").await;
        let before = site.browser.header();
        let mut answers = Vec::new();
        for path in ["/set/a", "/rotate", "/keys", "/set/b", "/rotate", "/keys"] {
            answers.push(site.send(path, &before).await.1);
        }
        for answer in answers.into_iter().rev() {
            site.browser.apply(&answer);
        }
        assert_eq!(site.get("/me").await, "alice", "{}", site.engine);
    }
}

#[tokio::test]
async fn a_save_while_the_request_runs_tells_that_the_session_has_ended() {
    for mut site in Site::each().await {
        let before = site.browser.header();
        site.get("/logout").await;
        let (text, set_cookies) = site.send("/set/n/save", &before).await;
        assert!(text.starts_with("Something went wrong") && set_cookies.is_empty(), "{}: {text}", site.engine);
    }
}
