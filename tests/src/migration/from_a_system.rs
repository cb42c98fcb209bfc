//! From another system, by a reader of the application's own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{Router, extract::Path, http::StatusCode, routing::get};
use session_axum::{
    Error, Flash, Session, SessionLayer, SessionResponseExt as _,
    testing::{Client, ManualClock},
};
use session_core::{
    flash::Batch,
    former::{Former, FormerCookie, FormerCookies, FormerSession, FormerSystem},
    store::{Entries, StoreError, StoreErrorKind, StoreFuture},
};
use session_stores::MemoryStore;

use crate::support::{
    app::{NOW, keys},
    jar::{Jar, send},
};

/// Keeps users in a map, and messages in a cookie of their own or in the session.
#[derive(Clone, Default)]
struct Users {
    by_id: Arc<Mutex<HashMap<String, String>>>,
    is_down: Arc<Mutex<bool>>,
    /// The name of the session's cookie, if it is another one.
    cookie: Option<&'static str>,
    flash_is_in_the_session: bool,
    /// Whether it knows nothing of ends, like a system with sessions in cookies.
    forgets_ends: bool,
}

impl Users {
    fn with(id: &str, user: &str) -> Self {
        let users = Self::default();
        users.by_id.lock().unwrap().insert(id.to_owned(), user.to_owned());
        users
    }
}

fn message(text: &[u8]) -> Batch {
    let mut batch = Batch::default();
    batch.messages.add("success", String::from_utf8(text.to_vec()).unwrap());
    batch
}

impl FormerSystem for Users {
    fn cookies(&self) -> Vec<FormerCookie> {
        let session = self.cookie.unwrap_or("JSESSIONID");
        vec![FormerCookie::new(session).path("/shop"), FormerCookie::new("notice")]
    }

    fn read<'a>(&'a self, cookies: FormerCookies<'a>, _now: u64) -> StoreFuture<'a, Former> {
        Box::pin(async move {
            if *self.is_down.lock().unwrap() {
                return Err(StoreError::new(StoreErrorKind::Unavailable, "it is down"));
            }
            let users = self.by_id.lock().unwrap();
            let mut former = Former::NOTHING;
            let id = cookies.values(self.cookie.unwrap_or("JSESSIONID")).find_map(|id| std::str::from_utf8(id).ok());
            if let Some((id, user)) = id.and_then(|id| Some((id, users.get(id)?))) {
                let entries = Entries::from_texts([("user", format!("{user:?}")), ("$", "{\"until\":1}".to_owned())]);
                let mut session = FormerSession::new(id, entries.unwrap());
                if self.flash_is_in_the_session {
                    session.flash = message(b"from the session");
                }
                former.session = Some(session);
            }
            former.unknown.extend(id.filter(|_| former.session.is_none()).map(|id| id.as_bytes().to_vec()));
            if let Some(text) = cookies.values("notice").next() {
                (former.flash, former.flash_cookies) = (message(text), vec!["notice".to_owned()]);
            }
            Ok(former)
        })
    }

    fn end<'a>(&'a self, session: &'a FormerSession, _now: u64) -> StoreFuture<'a, ()> {
        if !self.forgets_ends {
            self.by_id.lock().unwrap().remove(std::str::from_utf8(&session.identity).unwrap());
        }
        Box::pin(async { Ok(()) })
    }
}

fn app(layer: SessionLayer, users: &Users) -> Router {
    Router::new()
        .route("/me", get(me))
        .route("/logout", get(|session: Session| async move { format!("{:?}", session.destroy()) }))
        .route("/messages", get(messages))
        .route("/untouched", get(|| async { "untouched" }))
        .route("/add", get(|| async { "added".adding_to_session(("n", 1)) }))
        .route("/fails/{act}", get(fails))
        .layer(layer.migrating_from(users.clone(), SystemTime::now() + Duration::from_secs(3_600)))
}

async fn me(session: Session) -> Result<String, Error> {
    Ok(session.get("user")?.unwrap_or_else(|| "nobody".to_owned()))
}

async fn fails(session: Session, Path(act): Path<String>) -> Result<StatusCode, Error> {
    assert!(session.contains("user"));
    match act.as_str() {
        "save" => {
            session.insert("saved", true)?;
            session.save().await?;
        }
        "destroy" => drop(session.destroy()),
        _ => {}
    }
    Ok(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn messages(flash: Flash) -> String {
    flash.iter().map(|(key, text)| format!("{key}: {text}")).collect::<Vec<_>>().join(", ")
}

fn layers() -> [SessionLayer; 4] {
    [
        SessionLayer::signed(keys()),
        SessionLayer::encrypted(keys()),
        SessionLayer::signed(keys()).revocations(MemoryStore::new()),
        SessionLayer::stored(MemoryStore::new(), keys()),
    ]
}

/// A browser with these cookies of the former system.
fn jar(cookies: &[&str]) -> Jar {
    let mut jar = Jar::default();
    jar.apply(&cookies.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
    jar
}

const SESSION: &str = "JSESSIONID=1; Path=/shop; HttpOnly";
const NOTICE: &str = "notice=Welcome; Path=/";

#[tokio::test]
async fn a_session_moves_and_its_former_one_ends() {
    for layer in layers() {
        let users = Users::with("1", "ada");
        let app = app(layer, &users);
        let mut jar = jar(&[SESSION]);
        let copy = jar.clone();
        assert_eq!(jar.get(&app, "/untouched").await, "untouched");
        assert!(users.by_id.lock().unwrap().contains_key("1"));
        assert_eq!(jar.get(&app, "/me").await, "ada");
        assert_eq!(jar.names(), ["__Host-session"]);
        assert!(users.by_id.lock().unwrap().is_empty());
        assert_eq!(jar.get(&app, "/me").await, "ada");
        jar.get(&app, "/logout").await;
        assert_eq!(jar.get(&app, "/me").await, "nobody");
        assert_eq!(copy.clone().get(&app, "/me").await, "nobody");
        assert_eq!(jar.names(), [""; 0]);
    }
}

#[tokio::test]
async fn a_request_that_comes_just_after_the_move_finds_the_session() {
    for layer in layers() {
        let app = app(layer, &Users::with("1", "ada"));
        let mut jar = jar(&[SESSION]);
        let mut other_tab = jar.clone();
        assert_eq!(jar.get(&app, "/me").await, "ada");
        assert_eq!(other_tab.get(&app, "/me").await, "ada", "its cookie is that of before the move");
        jar.join(&other_tab);
        assert_eq!(jar.get(&app, "/me").await, "ada");
        jar.get(&app, "/logout").await;
        assert_eq!(other_tab.get(&app, "/me").await, "nobody");
    }
}

#[tokio::test]
async fn the_system_is_asked_only_by_a_request_without_a_session_of_ours() {
    for layer in layers() {
        let users = Users::with("1", "ada");
        let app = app(layer, &users);
        let mut jar = jar(&[SESSION]);
        assert_eq!(jar.get(&app, "/me").await, "ada");
        *users.is_down.lock().unwrap() = true;
        assert_eq!(jar.get(&app, "/me").await, "ada");
        let client = Client::new(app);
        let answer = client.send(
            axum::http::Request::get("/me").header("cookie", "JSESSIONID=1").body(axum::body::Body::empty()).unwrap(),
        );
        assert_eq!(answer.await.status(), 503);
    }
}

#[tokio::test]
async fn a_message_waits_until_it_is_read() {
    for layer in layers() {
        let users = Users::with("1", "ada");
        let app = app(layer, &users);
        let mut jar = jar(&[SESSION, NOTICE]);
        assert_eq!(jar.get(&app, "/me").await, "ada");
        assert_eq!(jar.names(), ["notice", "__Host-session"]);
        assert_eq!(jar.get(&app, "/messages").await, "success: Welcome");
        assert_eq!(jar.names(), ["__Host-session"]);
        assert_eq!(jar.get(&app, "/messages").await, "");
    }
}

#[tokio::test]
async fn a_message_in_the_session_moves_with_it() {
    for first in ["/me", "/messages"] {
        for layer in layers() {
            let users = Users { flash_is_in_the_session: true, ..Users::with("1", "ada") };
            let app = app(layer, &users);
            let mut jar = jar(&[SESSION]);
            let text = jar.get(&app, first).await;
            assert_eq!(text, if first == "/me" { "ada" } else { "success: from the session" });
            assert!(!jar.names().contains(&"JSESSIONID"), "{first}");
            let later = jar.get(&app, "/messages").await;
            assert_eq!(later, if first == "/me" { "success: from the session" } else { "" });
            assert_eq!(jar.get(&app, "/messages").await, "");
            assert_eq!(jar.get(&app, "/me").await, "ada");
            assert_eq!(jar.names(), ["__Host-session"]);
        }
    }
}

#[tokio::test]
async fn a_message_in_the_session_moves_with_a_helper_on_the_response_too() {
    for layer in layers() {
        let users = Users { flash_is_in_the_session: true, ..Users::with("1", "ada") };
        let app = app(layer, &users);
        let mut jar = jar(&[SESSION]);
        assert_eq!(jar.get(&app, "/add").await, "added");
        assert!(users.by_id.lock().unwrap().is_empty(), "it has moved");
        assert_eq!(jar.get(&app, "/messages").await, "success: from the session");
        assert_eq!(jar.get(&app, "/messages").await, "");
    }
}

#[tokio::test]
async fn a_message_in_the_session_is_shown_once_after_a_server_error() {
    for act in ["nothing", "save", "destroy"] {
        for layer in layers() {
            let users = Users { flash_is_in_the_session: true, ..Users::with("1", "ada") };
            let app = app(layer, &users);
            let mut jar = jar(&[SESSION]);
            jar.get(&app, &format!("/fails/{act}")).await;
            assert_eq!(jar.get(&app, "/messages").await, "success: from the session", "{act}");
            assert_eq!(jar.get(&app, "/messages").await, "", "{act}");
            assert_eq!(jar.get(&app, "/me").await, if act == "destroy" { "nobody" } else { "ada" }, "{act}");
        }
    }
}

/// Sessions may move for longer than a cookie of ours can last.
#[tokio::test]
async fn a_copy_of_a_former_cookie_stays_useless_for_as_long_as_sessions_may_move() {
    let day = Duration::from_secs(24 * 60 * 60);
    for layer in layers().into_iter().skip(2) {
        let clock = ManualClock::at(NOW);
        let users = Users { forgets_ends: true, ..Users::with("1", "ada") };
        let until = UNIX_EPOCH + Duration::from_secs(NOW) + 800 * day;
        let app = Router::new()
            .route("/me", get(me))
            .route("/logout", get(|session: Session| async move { format!("{:?}", session.destroy()) }))
            .layer(layer.clock(clock.clone()).migrating_from(users, until));
        let mut jar = jar(&[SESSION]);
        let copy = jar.clone();
        assert_eq!(jar.get(&app, "/me").await, "ada");
        jar.get(&app, "/logout").await;
        for _ in 0..8 {
            clock.advance(99 * day);
            assert_eq!(copy.clone().get(&app, "/me").await, "nobody");
        }
    }
}

/// Without a log-out, the last second is that of the longest cookie that the move can have set.
#[tokio::test]
async fn a_copy_of_a_former_cookie_reads_a_session_with_a_list_for_400_days() {
    let clock = ManualClock::at(NOW);
    let users = Users { forgets_ends: true, ..Users::with("1", "ada") };
    let until = UNIX_EPOCH + Duration::from_secs(2 * NOW);
    let layer = SessionLayer::signed(keys()).revocations(MemoryStore::new()).clock(clock.clone());
    let app = Router::new().route("/me", get(me)).layer(layer.migrating_from(users, until));
    assert_eq!(send(&app, "/me", "JSESSIONID=1").await.0, "ada");
    clock.advance(Duration::from_secs(400 * 24 * 60 * 60));
    assert_eq!(send(&app, "/me", "JSESSIONID=1").await.0, "ada");
    clock.advance(Duration::from_secs(1));
    assert_eq!(send(&app, "/me", "JSESSIONID=1").await.0, "nobody");
}

#[tokio::test]
async fn a_read_just_after_the_move_sets_no_cookie_over_that_of_the_move() {
    for layer in layers().into_iter().take(3) {
        let app = app(layer, &Users { forgets_ends: true, ..Users::with("1", "ada") });
        assert_eq!(send(&app, "/add", "JSESSIONID=1").await.0, "added");
        assert_eq!(send(&app, "/me", "JSESSIONID=1").await, ("ada".to_owned(), Vec::new()));
    }
}

#[tokio::test]
async fn the_reserved_keys_of_another_system_are_left_out() {
    for layer in layers() {
        let app = app(layer, &Users::with("1", "ada"));
        let mut jar = jar(&[SESSION]);
        assert_eq!(jar.get(&app, "/me").await, "ada", "`until` of the other system would have ended it");
        assert_eq!(jar.get(&app, "/me").await, "ada");
    }
}

#[tokio::test]
async fn an_unknown_id_is_no_session_and_sets_nothing() {
    for layer in layers() {
        let app = app(layer, &Users::with("1", "ada"));
        let (text, set) = send(&app, "/me", "JSESSIONID=2").await;
        assert_eq!((text.as_str(), set.len()), ("nobody", 0));
    }
}

#[tokio::test]
async fn two_systems_with_the_same_id_are_two_visitors() {
    let until = SystemTime::now() + Duration::from_secs(3_600);
    for layer in layers() {
        let (shop, forum) = (Users::with("1", "ada"), Users { cookie: Some("forum"), ..Users::with("1", "bob") });
        let app = app(layer.migrating_from(forum, until), &shop);
        let (mut ada, mut bob) = (jar(&[SESSION]), jar(&["forum=1; Path=/shop"]));
        assert_eq!(ada.get(&app, "/me").await, "ada");
        assert_eq!(bob.get(&app, "/me").await, "bob");
        ada.get(&app, "/logout").await;
        assert_eq!(bob.get(&app, "/me").await, "bob");
    }
}

#[tokio::test]
async fn a_system_that_is_down_costs_no_session_of_ours() {
    for layer in layers() {
        let users = Users::with("1", "ada");
        let app = app(layer, &users);
        let mut ours = jar(&[SESSION]);
        ours.get(&app, "/me").await;
        // A cookie that cannot be removed, because it has another path.
        ours.join(&jar(&["JSESSIONID=junk; Path=/elsewhere"]));
        *users.is_down.lock().unwrap() = true;
        assert_eq!(ours.get(&app, "/me").await, "ada");
        assert_eq!(ours.get(&app, "/me").await, "ada");
    }
}
