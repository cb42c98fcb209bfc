//! A user's sessions: the list of devices, and the end of one or of all.

use std::time::{Duration, UNIX_EPOCH};

use axum::{Json, Router, extract::Path, http::StatusCode, response::IntoResponse, routing::get};
use session_axum::{Error, ErrorKind, Session, SessionId, SessionLayer, SessionResponseExt, Sessions, testing::Client};
use session_stores::MemoryStore;

use super::{COOKIE, DAY, Site, app};
use crate::support::app::{NOW, keys};

fn admin(layer: SessionLayer) -> Client {
    async fn list(sessions: Sessions, Path(owner): Path<String>) -> Result<Json<Vec<String>>, Error> {
        Ok(Json(sessions.of(owner).await?.into_iter().map(|session| session.id.to_string()).collect()))
    }
    async fn end(sessions: Sessions, Path(id): Path<String>) -> Result<String, Error> {
        let id: SessionId = id.parse().expect("an id out of the list");
        Ok(sessions.destroy(id).await?.to_string())
    }
    async fn end_all(sessions: Sessions, Path(owner): Path<String>) -> Result<String, Error> {
        Ok(sessions.destroy_all(owner).await?.to_string())
    }
    let app = Router::new().route("/of/{owner}", get(list)).route("/end/{id}", get(end));
    Client::new(app.route("/end-all/{owner}", get(end_all)).layer(layer))
}

/// Another browser on the same store.
fn device(site: &Site) -> Client {
    Client::new(app(site.layer.clone()))
}

#[tokio::test]
async fn an_owners_sessions_are_listed_the_one_seen_last_first() {
    let site = Site::new();
    let phone = device(&site);
    site.get("/own/alice").await;
    site.clock.advance(Duration::from_secs(60));
    phone.get("/own/alice").await;
    device(&site).get("/own/bob").await;

    let listed = site.layer.sessions().of("alice").await.unwrap();
    let ids = listed.iter().map(|session| session.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids, [phone.get("/id").await.text().to_owned(), site.get("/id").await.1]);
    assert_eq!(listed[0].label.as_deref(), Some("Firefox on Linux"));
    let created = listed.iter().map(|session| session.created_at.duration_since(UNIX_EPOCH).unwrap().as_secs());
    assert_eq!(created.collect::<Vec<_>>(), [NOW + 60, NOW]);
    assert_eq!(listed[0].last_seen, listed[0].created_at);
    assert_eq!(admin(site.layer.clone()).get("/of/alice").await.text(), serde_json::to_string(&ids).unwrap());
    assert!(site.layer.sessions().of("nobody").await.unwrap().is_empty());
}

#[tokio::test]
async fn one_device_is_logged_out_and_the_next_request_sees_it() {
    let site = Site::new();
    let phone = device(&site);
    for client in [&site.client, &phone] {
        client.get("/set/a/1").await;
        client.get("/own/alice").await;
    }
    let id = phone.get("/id").await.text().to_owned();
    let admin = admin(site.layer.clone());
    assert_eq!(admin.get(&format!("/end/{id}")).await.text(), "true");
    assert_eq!(phone.get("/get/a").await.text(), "");
    assert_eq!(site.get("/get/a").await.1, "1");
    assert_eq!(admin.get(&format!("/end/{id}")).await.text(), "false");
}

#[tokio::test]
async fn log_out_everywhere_reaches_every_device_and_nobody_else() {
    let site = Site::new();
    let (phone, stranger) = (device(&site), device(&site));
    for (client, owner) in [(&site.client, "alice"), (&phone, "alice"), (&stranger, "bob")] {
        client.get("/set/a/1").await;
        client.get(&format!("/own/{owner}")).await;
    }
    let other_instance = SessionLayer::stored(site.store.clone(), keys()).clock(site.clock.clone());
    assert_eq!(other_instance.sessions().destroy_all("alice").await.unwrap(), 2);
    assert_eq!((site.get("/get/a").await.1, phone.get("/get/a").await.text()), (String::new(), ""));
    assert_eq!(stranger.get("/get/a").await.text(), "1");
}

#[tokio::test]
async fn an_owner_stays_through_a_renewal_and_goes_with_the_values() {
    let site = Site::new();
    site.get("/own/alice").await;
    assert!(site.cookie().is_some(), "an owner makes it a session");
    site.get("/renew").await;
    let ids =
        |sessions: Vec<session_axum::LiveSession>| sessions.iter().map(|one| one.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(site.layer.sessions().of("alice").await.unwrap()), [site.get("/id").await.1]);
    site.get("/clear").await;
    assert_eq!((site.layer.sessions().of("alice").await.unwrap().len(), site.cookie()), (0, None));
}

#[tokio::test]
async fn without_a_store_the_list_is_an_error_that_says_so() {
    for layer in [SessionLayer::signed(keys()), SessionLayer::encrypted(keys()), SessionLayer::null()] {
        let sessions = layer.sessions();
        let error = sessions.of("alice").await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::NoStore);
        assert!(error.to_string().contains("SessionLayer::stored(store, keys)"), "{error}");
        assert_eq!(*sessions.destroy_all("alice").await.unwrap_err().kind(), ErrorKind::NoStore);
        assert_eq!(*sessions.destroy(SessionId::random().unwrap()).await.unwrap_err().kind(), ErrorKind::NoStore);
        assert_eq!(admin(layer).get("/of/alice").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}

#[tokio::test]
async fn an_owner_without_a_store_changes_nothing_and_is_said_once() {
    let (logs, _guard) = crate::support::logs::Logs::capture();
    let client = Client::new(app(SessionLayer::signed(keys())));
    for _ in 0..3 {
        assert_eq!(client.get("/own/alice").await.set_cookies(), [""; 0]);
    }
    let said = logs.take().into_iter().filter(|line| line.contains("no session store to keep it")).count();
    assert_eq!((said, client.cookie(COOKIE)), (1, None));
}

#[tokio::test]
async fn every_engine_refuses_the_same_owners_and_labels() {
    async fn refused(session: Session) -> String {
        let long = "x".repeat(256);
        let names = ["", "a\0b", "\0", &long];
        let refused = |set: &dyn Fn(&str) -> Result<(), Error>| {
            names.iter().all(|name| set(name).is_err_and(|error| *error.kind() == ErrorKind::InvalidName))
        };
        let accepted = session.set_owner("x".repeat(255)).and(session.set_label("\u{e9}")).is_ok();
        format!("{} {} {accepted}", refused(&|name| session.set_owner(name)), refused(&|name| session.set_label(name)))
    }
    let stored = SessionLayer::stored(MemoryStore::new(), keys());
    for layer in [stored, SessionLayer::signed(keys()), SessionLayer::encrypted(keys()), SessionLayer::null()] {
        let client = Client::new(Router::new().route("/", get(refused)).layer(layer));
        assert_eq!(client.get("/").await.text(), "true true true");
    }
}

#[tokio::test]
async fn an_owner_of_the_same_request_stays_when_the_response_replaces_the_session() {
    async fn own(session: Session) -> Result<impl IntoResponse, Error> {
        session.set_owner("ada")?;
        session.set_label("Firefox")?;
        session.set_lifetime(Duration::from_secs(90 * DAY));
        Ok("ok".with_session([("user", "ada")]))
    }
    async fn leave(session: Session) -> Result<impl IntoResponse, Error> {
        session.set_owner("ada")?;
        Ok("bye".with_new_session())
    }
    let layer = SessionLayer::stored(MemoryStore::new(), keys());
    let app = Router::new().route("/own", get(own)).route("/leave", get(leave)).layer(layer.clone());
    let client = Client::new(app);
    let page = client.get("/own").await;
    assert!(page.set_cookies()[0].contains("Max-Age=7776000"), "{:?}", page.set_cookies());
    let [device] = &layer.sessions().of("ada").await.unwrap()[..] else { panic!("there is one session") };
    assert_eq!(device.label.as_deref(), Some("Firefox"));
    client.get("/own").await;
    assert_eq!(layer.sessions().of("ada").await.unwrap().len(), 1);
    client.get("/leave").await;
    assert_eq!(layer.sessions().of("ada").await.unwrap().len(), 0);
}
