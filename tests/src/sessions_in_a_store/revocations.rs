//! Sessions whose data travels, cut off by a list of what ended early.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use session_axum::{
    Session, SessionLayer,
    testing::{Client, ManualClock},
};

use session_core::store::{RecordKey, SessionStore};
use session_stores::MemoryStore;

use super::{COOKIE, app};
use crate::support::{
    app::{NOW, keys},
    jar::{Jar, send},
    polls::poll_until,
    watched::{Fault, Watched},
};

const DAYS_400: Duration = Duration::from_secs(400 * 24 * 60 * 60);
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

struct Site {
    list: Watched,
    clock: ManualClock,
    layer: SessionLayer,
    client: Client,
}

impl Site {
    fn new(engine: fn(session_axum::Keys) -> SessionLayer) -> Self {
        let (list, clock) = (Watched::new(), ManualClock::at(NOW));
        let layer = engine(keys()).clock(clock.clone()).revocations(list.clone());
        let client = Client::new(app(layer.clone()));
        Self { list, clock, layer, client }
    }

    /// What a browser with a copy of a cookie sees, and with which status.
    async fn seen_with(&self, cookie: &str) -> (u16, String) {
        let thief = Client::new(app(self.layer.clone()));
        thief.set_cookie(COOKIE, cookie);
        let page = thief.get("/get/a").await;
        (page.status().as_u16(), page.text())
    }

    async fn cookie(&self) -> String {
        self.client.get("/set/a/1").await;
        self.client.cookie(COOKIE).unwrap()
    }
}

#[tokio::test]
async fn a_copied_cookie_is_dead_after_whatever_ends_the_session() {
    for engine in [SessionLayer::signed, SessionLayer::encrypted] {
        for end in ["/destroy", "/clear", "/renew", "/new", "/replace", "/failing-destroy"] {
            let site = Site::new(engine);
            let copy = site.cookie().await;
            assert_eq!(site.seen_with(&copy).await, (200, "1".to_owned()), "{end}");
            site.client.get(end).await;
            assert_eq!(site.seen_with(&copy).await, (200, String::new()), "{end}");
            site.clock.advance(Duration::from_secs(23 * 60 * 60));
            assert_eq!(site.seen_with(&copy).await, (200, String::new()), "{end}");
        }
    }
}

#[tokio::test]
async fn a_copy_that_was_to_be_remembered_longer_is_dead_as_well() {
    let site = Site::new(SessionLayer::signed);
    site.cookie().await;
    site.client.get("/remember").await;
    let copy = site.client.cookie(COOKIE).unwrap();
    site.client.get("/forget").await;
    site.client.get("/destroy").await;
    site.clock.advance(Duration::from_secs(60 * 24 * 60 * 60));
    assert_eq!(site.seen_with(&copy).await, (200, String::new()));
}

/// A copy may have been made to last longer than the cookie that logs out, and a deployment may make sessions last
/// longer.
#[tokio::test]
async fn a_revocation_is_kept_until_no_copy_can_be_alive() {
    let site = Site::new(SessionLayer::signed);
    let first = site.cookie().await;
    let thief = Client::new(app(site.layer.clone()));
    thief.set_cookie(COOKIE, &first);
    thief.get("/remember").await;
    site.client.get("/destroy").await;
    let longer = Client::new(app(site.layer.clone().lifetime(TEN_YEARS).idle_timeout(TEN_YEARS)));
    longer.set_cookie(COOKIE, &first);
    for days in [31, 58, 310, 100, 3_000] {
        site.clock.advance(Duration::from_secs(days * 24 * 60 * 60));
        site.list.delete_expired(NOW + 31 * 24 * 60 * 60).await.unwrap();
        assert_eq!(thief.get("/get/a").await.text(), "", "after {days} more days");
        assert_eq!(longer.get("/get/a").await.text(), "", "after {days} more days");
    }
}

#[tokio::test]
async fn a_second_log_out_everywhere_writes_over_what_it_has_read() {
    let site = Site::new(SessionLayer::signed);
    for calls in [&["look_up", "create", "load"][..], &["look_up", "update"]] {
        site.layer.sessions().destroy_all("alice").await.unwrap();
        assert_eq!(site.list.calls(), calls);
    }
    assert!(site.list.update_had_base());
}

#[tokio::test]
async fn destroy_says_how_far_it_reaches() {
    let reach = |layer: SessionLayer| async move { Client::new(app(layer)).get("/destroy").await.text() };
    assert_eq!(reach(SessionLayer::signed(keys())).await, "InThisBrowser");
    assert_eq!(reach(SessionLayer::signed(keys()).revocations(Watched::new())).await, "Everywhere");
    assert_eq!(reach(SessionLayer::stored(Watched::new(), keys())).await, "Everywhere");
}

#[tokio::test]
async fn the_list_holds_only_what_ended_early() {
    let site = Site::new(SessionLayer::signed);
    site.cookie().await;
    assert_eq!(site.list.calls(), [""; 0], "nobody is asked about a new session");
    site.client.get("/set/a/2").await;
    assert_eq!(site.list.calls(), ["look_up", "look_up"], "it may have ended since it was read");
    site.client.get("/get/a").await;
    assert_eq!(site.list.calls(), ["look_up"]);
    site.client.get("/untouched").await;
    assert_eq!(site.list.calls(), [""; 0]);
    site.client.get("/own/alice").await;
    assert_eq!(site.list.calls(), ["look_up"; 2], "the second one also finds when alice was logged out everywhere");
    site.client.get("/renew").await;
    assert_eq!(site.list.calls(), ["look_up", "look_up", "create", "load"]);
    site.client.get("/set/a/3").await;
    assert_eq!(site.list.calls(), ["look_up", "look_up"], "an owner that stays costs nothing more");
    site.client.get("/destroy").await;
    assert_eq!(site.list.calls(), ["look_up", "create", "load"], "it may have been rotated since it was read");
}

#[tokio::test]
async fn a_cookie_counts_for_400_days_as_long_as_an_entry_of_the_list() {
    let site = Site::new(|keys| SessionLayer::signed(keys).lifetime(TEN_YEARS).idle_timeout(TEN_YEARS));
    let copy = site.cookie().await;
    site.clock.advance(DAYS_400);
    assert_eq!(site.seen_with(&copy).await, (200, "1".to_owned()));
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(site.seen_with(&copy).await, (200, String::new()));
}

#[tokio::test]
async fn an_entry_outlasts_a_cookie_of_an_instance_whose_clock_is_a_minute_ahead() {
    let site = Site::new(|keys| SessionLayer::signed(keys).lifetime(TEN_YEARS).idle_timeout(TEN_YEARS));
    site.clock.set(NOW + 60);
    let copy = site.cookie().await;
    site.clock.set(NOW);
    let id = site.client.get("/id").await.text().parse().unwrap();
    site.client.get("/destroy").await;
    site.clock.advance(DAYS_400 + Duration::from_secs(60));
    assert_eq!(site.seen_with(&copy).await, (200, String::new()));
    let entry = async |now: u64| site.list.load(&RecordKey::of_revocation(id), now).await.unwrap().live();
    let last_second = NOW + DAYS_400.as_secs() + 60;
    assert!(entry(last_second).await.is_some() && entry(last_second + 1).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_list_refuses_unless_asked_otherwise() {
    let site = Site::new(SessionLayer::signed);
    let cookie = site.cookie().await;
    for (fault, status) in
        [(Fault::LostBefore, 503), (Fault::Late, 503), (Fault::Refused, 500), (Fault::Unreadable, 500)]
    {
        site.list.fail(fault, u32::MAX);
        assert_eq!(site.seen_with(&cookie).await.0, status, "{fault:?}");
        let lenient = Client::new(app(site.layer.clone().insecure_trust_when_unavailable()));
        lenient.set_cookie(COOKIE, &cookie);
        assert_eq!(lenient.get("/get/a").await.text(), "1", "{fault:?}");
    }
    assert_eq!(site.client.get("/untouched").await.status(), 200);
}

/// The session was read before the list failed, and its end is looked for once more before the response. A log-in needs
/// the time of the last log-out everywhere, which only the list knows.
#[tokio::test(start_paused = true)]
async fn a_list_that_fails_while_a_request_runs_refuses_its_changes_unless_asked_otherwise() {
    for (path, trusted) in [("/write", 200), ("/own", 503)] {
        for (trusts, expected) in [(false, 503), (true, trusted)] {
            let site = Site::new(SessionLayer::signed);
            site.client.get("/own/alice").await;
            let cookie = site.cookie().await;
            let (one, other) = (site.list.clone(), site.list.clone());
            let write = get(move |session: Session| async move {
                session.insert("a", 2).unwrap();
                one.fail(Fault::LostBefore, u32::MAX);
            });
            let own = get(move |session: Session| async move {
                session.set_owner("bob").unwrap();
                other.fail(Fault::LostBefore, u32::MAX);
            });
            let layer = site.layer.clone();
            let layer = if trusts { layer.insecure_trust_when_unavailable() } else { layer };
            let client = Client::new(Router::new().route("/write", write).route("/own", own).layer(layer));
            client.set_cookie(COOKIE, &cookie);
            let page = client.get(path).await;
            let context = format!("{path}, {trusts}");
            assert_eq!(page.status(), expected, "{context}");
            assert_eq!(page.set_cookies().is_empty(), expected == 503, "{context}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_out_that_could_not_be_noted_is_no_success() {
    let site = Site::new(SessionLayer::signed);
    let cookie = site.cookie().await;
    site.list.fail_after_load(Fault::LostBefore, u32::MAX);
    let page = site.client.get("/destroy").await;
    assert_eq!((page.status().as_u16(), page.set_cookies().len()), (503, 0));
    site.list.recover();
    assert_eq!(site.seen_with(&cookie).await, (200, "1".to_owned()));
}

#[tokio::test]
async fn where_nothing_travels_there_is_nothing_to_revoke() {
    let list = Watched::new();
    let store = Watched::new();
    for layer in [SessionLayer::stored(store, keys()), SessionLayer::null()] {
        let client = Client::new(app(layer.revocations(list.clone())));
        for page in ["/set/a/1", "/get/a", "/destroy"] {
            assert_eq!(client.get(page).await.status(), 200);
        }
    }
    assert_eq!(list.calls(), [""; 0]);
}

/// The answer to a request that another one overtakes after it has asked the list and before it writes, its cookies, and
/// what the browser then sees under `b`, which was there before both.
async fn overtaken(path: &str, by: &str) -> (String, Vec<String>, String) {
    let inner: Arc<dyn SessionStore> = Arc::new(MemoryStore::new());
    let list = Watched::in_steps(Arc::clone(&inner));
    let site = |list: Arc<dyn SessionStore>| {
        let layer = SessionLayer::signed(keys()).revocations(list);
        let rotate = get(|session: Session| async move { session.rotate() });
        app(layer.clone()).merge(Router::new().route("/rotate", rotate).layer(layer))
    };
    let (slow, quick) = (site(Arc::new(list.clone())), site(inner));
    let mut browser = Jar::default();
    browser.get(&quick, "/set/b/1").await;
    let cookies = browser.header();
    let mut request = pin!(send(&slow, path, &cookies));
    poll_until(request.as_mut(), || list.calls().contains(&"create")).await;
    browser.get(&quick, by).await;
    let (text, set_cookies) = request.await;
    browser.apply(&set_cookies);
    (text, set_cookies, browser.get(&quick, "/get/b").await)
}

#[tokio::test]
async fn a_new_id_undoes_nothing_that_comes_after_the_list_was_asked() {
    let (text, set_cookies, _) = overtaken("/renew/2", "/destroy").await;
    assert!(text.starts_with("Something went wrong") && set_cookies.is_empty(), "{text}");
    let (_, set_cookies, before) = overtaken("/renew/2", "/renew/3").await;
    assert_eq!((set_cookies.len(), before.as_str()), (1, ""), "a log-in of its own");
    for (by, before) in [("/destroy", ""), ("/rotate", "1")] {
        assert_eq!(overtaken("/rotate", by).await, (String::new(), Vec::new(), before.to_owned()), "{by}");
    }
}
