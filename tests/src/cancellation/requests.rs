//! Requests through the layer, dropped at each of their polls. The browser gets no answer then, and sends its next
//! request with the cookies that it has.

use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use session_axum::{Error, Flash, Session, SessionLayer, SessionResponseExt as _, Sessions, testing::ManualClock};

use super::{Kept, each_store};
use crate::support::{
    app::{NOW, keys},
    jar::{Jar, send},
    polls::{at_each_poll, drop_after, step},
};

/// One engine, and a browser that is logged in.
pub(super) struct Site {
    pub(super) engine: &'static str,
    pub(super) app: Router,
    pub(super) browser: Jar,
    /// An owner that no other site has.
    pub(super) owner: String,
}

impl Site {
    /// Makes a site with the same data for each engine.
    pub(super) async fn each(kept: &Kept, more: Router) -> Vec<Self> {
        let store = || kept.store.clone();
        let engines = [
            (SIGNED, SessionLayer::signed(keys())),
            ("encrypted", SessionLayer::encrypted(keys())),
            ("a list of revocations", SessionLayer::signed(keys()).revocations(store())),
            (STORED, SessionLayer::stored(store(), keys())),
            (SEALED, SessionLayer::stored(store(), keys()).encrypt_records(keys())),
        ];
        let mut sites = Vec::new();
        for (engine, layer) in engines {
            let app = Router::new()
                .route("/do/{*steps}", get(do_steps))
                .route("/start/{owner}", get(start))
                .route("/devices/{owner}", get(devices))
                .route("/show", get(show))
                .merge(more.clone())
                .layer(layer.clock(ManualClock::at(NOW)));
            sites.push(Self { engine, app, browser: Jar::default(), owner: String::new() });
        }
        sites
    }

    /// Begins anew with another browser and another owner: `a=1 n=1` in the session, and the message `hello`.
    pub(super) async fn start(&mut self) {
        self.owner = session_core::SessionId::random().unwrap().to_string();
        self.browser = Jar::default();
        let path = format!("/start/{}", self.owner);
        assert_eq!(self.browser.get(&self.app, &path).await, "", "{}", self.engine);
    }

    /// Sends a request with the browser's cookies, and keeps those of its answer.
    pub(super) async fn get(&mut self, path: &str) -> String {
        self.browser.get(&self.app, path).await
    }

    /// Returns how many sessions the owner has in the store.
    pub(super) async fn devices(&self) -> String {
        send(&self.app, &format!("/devices/{}", self.owner), "").await.0
    }

    pub(super) fn is_stored(&self) -> bool {
        [STORED, SEALED].contains(&self.engine)
    }

    pub(super) fn keeps_ends(&self) -> bool {
        self.is_stored() || self.engine == "a list of revocations"
    }
}

const SIGNED: &str = "signed";
const STORED: &str = "a store";
const SEALED: &str = "encrypted records";

async fn start(session: Session, Path(owner): Path<String>) -> Result<Response, Error> {
    session.insert("a", 1)?;
    session.insert("n", 1)?;
    session.set_owner(owner)?;
    Ok(Redirect::to("/").flashing(("info", "hello")).into_response())
}

async fn devices(sessions: Sessions, Path(owner): Path<String>) -> Result<String, Error> {
    Ok(sessions.count(owner).await?.to_string())
}

/// What is in the session, and the message.
pub(super) fn shown(session: &Session, flash: &Flash) -> Result<String, Error> {
    let mut shown = session.keys();
    if let Some(n) = session.get::<u32>("n")? {
        shown.iter_mut().filter(|key| *key == "n").for_each(|key| *key = format!("n={n}"));
    }
    shown.extend(flash.peek("info").map(str::to_owned));
    Ok(shown.join(" "))
}

async fn show(session: Session, flash: Flash) -> Result<String, Error> {
    shown(&session, &flash)
}

/// Does the steps of the path, and waits before each of them and at the end. Shows the session then.
async fn do_steps(session: Session, flash: Flash, Path(steps): Path<String>) -> Result<Response, Error> {
    for name in steps.split('/') {
        step().await;
        match name {
            "login" => {
                session.renew();
                session.insert("user", "ann")?;
            }
            "rotate" => session.rotate(),
            "logout" => drop(session.destroy()),
            "clear" => session.clear(),
            "update" => drop(session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await?),
            "save" => session.save().await?,
            "read" => drop(flash.get("info").map(str::to_owned)),
            "replace" => return Ok("user".with_session([("user", "ann")]).into_response()),
            key => session.insert(key, true)?,
        }
    }
    step().await;
    shown(&session, &flash).map(IntoResponse::into_response)
}

/// A request, and what the browser may see after it was dropped and after it was sent again.
struct Case {
    steps: &'static str,
    /// What a browser with the former cookie sees if the request has changed something; the first is for engines that
    /// keep the data in a store, the second for the others.
    after: [&'static [&'static str]; 2],
    /// What it sees when it has sent the request again.
    again: &'static [&'static str],
}

const CASES: [Case; 12] = [
    Case { steps: "b/c", after: [&["a b c n=1"], &[]], again: &["a b c n=1"] },
    Case { steps: "b/save/c", after: [&["a b n=1", "a b c n=1"], &[]], again: &["a b c n=1"] },
    Case { steps: "update", after: [&["a n=2"], &[]], again: &["a n=2", "a n=3"] },
    Case { steps: "b/update/c", after: [&["a n=2", "a b c n=2"], &[]], again: &["a b c n=2", "a b c n=3"] },
    Case { steps: "clear", after: [&[""], &[""]], again: &[""] },
    Case { steps: "clear/b", after: [&["b"], &[]], again: &["b"] },
    // A second log-in keeps only what it puts in itself when the first has renewed the session.
    Case { steps: "login", after: [&[""], &[""]], again: &["a n=1 user", "user"] },
    Case { steps: "login/save/c", after: [&[""], &[""]], again: &["a c n=1 user", "c user"] },
    Case { steps: "replace", after: [&[""], &[""]], again: &["user"] },
    // With the former id of a rotation, a request changes nothing.
    Case { steps: "rotate/b", after: [&["a b n=1"], &["a n=1"]], again: &["a b n=1", "a n=1"] },
    Case { steps: "logout", after: [&[""], &[""]], again: &[""] },
    Case { steps: "logout/b", after: [&[""], &[""]], again: &["b"] },
];

async fn a_dropped_request_is_done_as_a_whole_or_not_at_all(kept: Kept) {
    for mut site in Site::each(&kept, Router::new()).await {
        for Case { steps, after, again } in &CASES {
            let path = format!("/do/{steps}");
            let dropped = at_each_poll(async |polls| {
                site.start().await;
                let cookies = site.browser.header();
                let answer = drop_after(polls, send(&site.app, &path, &cookies)).await;
                let context = format!("{steps}, {polls} polls, {}", site.engine);
                // The browser has seen no answer.
                let seen = send(&site.app, "/show", &cookies).await.0;
                let (seen, message) = seen.rsplit_once(' ').unwrap_or(("", &seen));
                assert_eq!(message, "hello", "{context}: a message stays until an answer has shown it");
                // Where this process alone remembers ends, one without an answer is none.
                let remembers = site.keeps_ends() || answer.is_some();
                let after = match (site.is_stored(), remembers) {
                    (true, _) => after[0],
                    (false, true) => after[1],
                    (false, false) => &[],
                };
                let is_old = seen == "a n=1";
                assert!(is_old || after.contains(&seen), "{context}: {seen}");
                assert!(polls > 0 || is_old, "{context}: it has not begun, {seen}");
                assert_one_is_alive(&site, steps, seen, &context).await;
                // The visitor tries again.
                let mut answered = site.get(&path).await;
                if answered.starts_with("Something went wrong") {
                    // A database carried the dropped request out between two steps of this one, which was told so.
                    answered = site.get(&path).await;
                }
                let seen = site.get("/show").await;
                assert!(again.contains(&seen.trim_end_matches("hello").trim_end()), "{context}: {seen}");
                // With the former id of a rotation a request changes nothing, a log-in that meets another one keeps what it
                // puts in itself, and `.with_session(..)` replaces what the body shows: `again` says what may stay.
                let is_shown = !["rotate", "login", "replace"].iter().any(|step| steps.starts_with(step));
                assert!(!is_shown || answered == seen, "{context}: {answered}, and then {seen}");
                answer.is_some()
            })
            .await;
            assert!(dropped >= 2, "{steps}, {}: {dropped}", site.engine);
        }
    }
}

/// Where the store keeps owners, exactly one session of the owner is alive, under the former id or under a new one. An
/// end leaves none, and a database may still carry it out after the request was dropped.
async fn assert_one_is_alive(site: &Site, steps: &str, seen: &str, context: &str) {
    if !site.is_stored() {
        return;
    }
    let devices = site.devices().await;
    let ends = ["logout", "clear", "replace"].iter().any(|end| steps.starts_with(end));
    let is_as_seen = devices == if ends && seen != "a n=1" { "0" } else { "1" };
    assert!(is_as_seen || (ends && devices == "0"), "{context}: {seen}, {devices}");
}

async fn a_dropped_first_request_leaves_at_most_a_session_that_nobody_has(kept: Kept) {
    for mut site in Site::each(&kept, Router::new()).await {
        let dropped = at_each_poll(async |polls| {
            (site.owner, site.browser) = (session_core::SessionId::random().unwrap().to_string(), Jar::default());
            let path = format!("/start/{}", site.owner);
            let answer = drop_after(polls, send(&site.app, &path, "")).await;
            let before: u64 = if site.is_stored() { site.devices().await.parse().unwrap() } else { 0 };
            assert!(before <= 1 && (polls > 0 || before == 0), "{polls} polls, {}: {before}", site.engine);
            assert_eq!(site.get(&path).await, "", "{}", site.engine);
            assert_eq!(site.get("/show").await, "a n=1 hello", "{}", site.engine);
            if site.is_stored() {
                // A database may carry the first request out after the question before.
                let after: u64 = site.devices().await.parse().unwrap();
                assert!((before + 1..=2).contains(&after), "{polls} polls: {before}, then {after}");
            }
            answer.is_some()
        })
        .await;
        assert!(dropped >= 1, "{}: {dropped}", site.engine);
    }
}

each_store! {
    a_dropped_request_is_done_as_a_whole_or_not_at_all
    a_dropped_first_request_leaves_at_most_a_session_that_nobody_has
}
