//! A user's sessions: the list of devices, and the end of one or of all.

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use axum::{Json, Router, extract::Path, http::StatusCode, response::IntoResponse, routing::get};
use session_axum::{
    Error, ErrorKind, Session, SessionId, SessionLayer, SessionResponseExt, Sessions,
    store::SessionStore,
    testing::{Client, ManualClock},
};
use session_stores::MemoryStore;

use super::{COOKIE, DAY, Site, app};
use crate::support::{
    app::{NOW, keys},
    polls::drop_after,
    watched::{Fault, Watched},
};

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
    assert_eq!(ids, [phone.get("/id").await.text(), site.get("/id").await.1]);
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
    let id = phone.get("/id").await.text();
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
    assert_eq!((site.get("/get/a").await.1, phone.get("/get/a").await.text().as_str()), (String::new(), ""));
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
async fn a_label_without_a_store_changes_nothing() {
    async fn label(session: Session) -> Result<(), Error> {
        session.set_label("Firefox")
    }
    let layer = SessionLayer::signed(keys()).revocations(MemoryStore::new());
    let client = Client::new(Router::new().route("/", get(label)).layer(layer));
    let (logs, _guard) = crate::support::logs::Logs::capture();
    for _ in 0..3 {
        assert_eq!(client.get("/").await.set_cookies(), [""; 0]);
    }
    assert_eq!(logs.take().iter().filter(|line| line.contains("no session store to keep it")).count(), 1);
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

/// Two applications with this store and this cookie's name, and a browser for each, logged in as alice.
async fn two_applications(engine: impl Fn() -> SessionLayer) -> [(SessionLayer, Client); 2] {
    let mut applications = Vec::new();
    for application in ["shop", "forum"] {
        let layer = engine().application(application);
        let client = Client::new(app(layer.clone()));
        client.get("/set/a/1").await;
        client.get("/own/alice").await;
        applications.push((layer, client));
    }
    applications.try_into().unwrap_or_else(|_| panic!("there are two"))
}

#[tokio::test]
async fn owners_of_two_applications_do_not_meet() {
    let (store, list) = (MemoryStore::new(), MemoryStore::new());
    let clock = ManualClock::at(NOW);
    let stored = || SessionLayer::stored(store.clone(), keys()).clock(clock.clone());
    let revocable = || SessionLayer::signed(keys()).revocations(list.clone()).clock(clock.clone());
    for engine in [&stored as &dyn Fn() -> SessionLayer, &revocable] {
        for everything in [false, true] {
            let [(shop, at_shop), (_, at_forum)] = two_applications(engine).await;
            if everything {
                shop.sessions().destroy_every().await.unwrap();
            } else {
                shop.sessions().destroy_all("alice").await.unwrap();
            }
            assert_eq!(
                (at_shop.get("/get/a").await.text().as_str(), at_forum.get("/get/a").await.text().as_str()),
                ("", "1")
            );
            clock.advance(Duration::from_secs(1));
        }
    }
    let forum = stored().application("forum").sessions();
    assert_eq!((forum.of("alice").await.unwrap().len(), forum.count("alice").await.unwrap()), (2, 2));
    assert_eq!(stored().application("blog").sessions().count("alice").await.unwrap(), 0);
}

#[tokio::test]
async fn the_list_has_a_hundred_sessions_and_the_end_of_all_has_no_limit() {
    let site = Site::new();
    for _ in 0..120 {
        device(&site).get("/own/alice").await;
    }
    let sessions = site.layer.sessions();
    assert_eq!(sessions.of("alice").await.unwrap().len(), 100);
    assert_eq!(sessions.count("alice").await.unwrap(), 120);
    assert_eq!(sessions.destroy_all("alice").await.unwrap(), 120);
    assert_eq!(sessions.count("alice").await.unwrap(), 0);
}

/// A route that ends all other sessions of the visitor.
fn with_others(layer: SessionLayer) -> Router {
    async fn others(session: Session, sessions: Sessions) -> Result<String, Error> {
        Ok(sessions.destroy_others(&session).await?.to_string())
    }
    async fn rotate(session: Session) {
        session.rotate();
    }
    app(layer.clone()).merge(Router::new().route("/others", get(others)).route("/rotate", get(rotate)).layer(layer))
}

#[tokio::test]
async fn all_other_devices_of_a_user_can_be_logged_out() {
    let (clock, store) = (ManualClock::at(NOW), MemoryStore::new());
    for (name, layer) in [
        ("stored", SessionLayer::stored(store.clone(), keys())),
        ("signed", SessionLayer::signed(keys()).revocations(store.clone())),
        ("encrypted", SessionLayer::encrypted(keys()).revocations(store.clone())),
    ] {
        let app = with_others(layer.clock(clock.clone()));
        let [phone, laptop, bobs, nobodys] = [(); 4].map(|()| Client::new(app.clone()));
        for (client, owner) in
            [(&phone, Some("alice")), (&laptop, Some("alice")), (&bobs, Some("bob")), (&nobodys, None)]
        {
            client.get("/set/a/1").await;
            if let Some(owner) = owner {
                client.get(&format!("/own/{owner}")).await;
            }
        }
        assert_eq!(nobodys.get("/others").await.text(), "0", "a session without an owner ends nothing");
        let others = phone.get("/others").await;
        assert_eq!(others.status(), 200, "{}", others.text());
        let seen = async |client: &Client| client.get("/get/a").await.text();
        assert_eq!(seen(&laptop).await, "", "{name}");
        for client in [&phone, &bobs, &nobodys] {
            assert_eq!(seen(client).await, "1");
        }
        // The spared session stays so after a rotation and after the minute.
        phone.get("/rotate").await;
        clock.advance(Duration::from_secs(600));
        assert_eq!(seen(&phone).await, "1");
        phone.get("/others").await;
        assert_eq!(seen(&phone).await, "1");
    }
}

/// A request with the cookie from before a rotation reads the session for a minute.
#[tokio::test]
async fn a_late_request_that_logs_out_all_other_devices_spares_its_own() {
    for engine in [SessionLayer::signed, SessionLayer::encrypted] {
        for rotations in [1, 2] {
            let app = with_others(engine(keys()).revocations(MemoryStore::new()));
            let [phone, late, laptop] = [(); 3].map(|()| Client::new(app.clone()));
            for client in [&phone, &laptop] {
                client.get("/set/a/1").await;
                client.get("/own/alice").await;
            }
            late.set_cookie(COOKIE, &phone.cookie(COOKIE).unwrap());
            for _ in 0..rotations {
                phone.get("/rotate").await;
            }
            assert_eq!(late.get("/others").await.status(), 200);
            assert_eq!(phone.get("/get/a").await.text(), "1", "after {rotations} rotations");
            assert_eq!(laptop.get("/get/a").await.text(), "");
            // It stays spared, and the former cookie counts for the rest of the minute.
            assert_eq!(late.get("/get/a").await.text(), "1", "after {rotations} rotations");
            phone.get("/rotate").await;
            assert_eq!(phone.get("/get/a").await.text(), "1");
            assert_eq!(late.get("/get/a").await.text(), "1", "after {rotations} rotations and another one");
        }
    }
}

#[tokio::test]
async fn the_cookie_from_before_a_rotation_reads_nothing_after_a_log_out_everywhere() {
    for everything in [false, true] {
        for path in ["/get/a", "/renew", "/others"] {
            let layer = SessionLayer::signed(keys()).revocations(MemoryStore::new());
            let app = with_others(layer.clone());
            let [phone, late] = [(); 2].map(|()| Client::new(app.clone()));
            phone.get("/set/a/1").await;
            phone.get("/own/alice").await;
            late.set_cookie(COOKIE, &phone.cookie(COOKIE).unwrap());
            phone.get("/rotate").await;
            assert_eq!(late.get("/get/a").await.text(), "1");
            if everything {
                layer.sessions().destroy_every().await.unwrap();
            } else {
                layer.sessions().destroy_all("alice").await.unwrap();
            }
            late.get(path).await;
            for client in [&phone, &late] {
                assert_eq!(client.get("/get/a").await.text(), "", "{path}");
            }
        }
    }
}

#[tokio::test]
async fn sessions_in_cookies_end_everywhere_with_a_list() {
    let clock = ManualClock::at(NOW);
    for later in [0, 10] {
        let layer = SessionLayer::signed(keys()).revocations(MemoryStore::new()).clock(clock.clone());
        let [phone, laptop] = [(); 2].map(|()| Client::new(app(layer.clone())));
        for client in [&phone, &laptop] {
            client.get("/set/a/1").await;
            client.get("/own/alice").await;
        }
        clock.advance(Duration::from_secs(later));
        layer.sessions().destroy_all("alice").await.unwrap();
        for client in [&phone, &laptop] {
            assert_eq!(client.get("/get/a").await.text(), "");
        }
        // A log-in later in the same second is a log-in, also of a session that began before.
        let (new, anonymous) = (Client::new(app(layer.clone())), Client::new(app(layer.clone())));
        for client in [&new, &anonymous] {
            client.get("/set/a/2").await;
            client.get("/own/alice").await;
            assert_eq!(client.get("/get/a").await.text(), "2");
            client.get("/renew").await;
            assert_eq!(client.get("/get/a").await.text(), "2");
        }
        clock.advance(Duration::from_secs(7 * DAY));
        assert_eq!(*layer.sessions().of("alice").await.unwrap_err().kind(), ErrorKind::NoStore);
    }
}

#[tokio::test]
async fn a_value_changes_in_all_sessions_of_a_user_at_once() {
    let site = Site::new();
    let phone = device(&site);
    for client in [&site.client, &phone] {
        client.get("/set/role/reader").await;
        client.get("/own/alice").await;
    }
    let stranger = device(&site);
    stranger.get("/set/role/reader").await;
    stranger.get("/own/bob").await;
    let sessions = site.layer.sessions();
    let change = |role: Option<String>| format!("{}, editor", role.unwrap_or_default());
    assert_eq!(sessions.update("alice", "role", change).await.unwrap(), 2);
    for client in [&site.client, &phone] {
        assert_eq!(client.get("/get/role").await.text(), "reader, editor");
    }
    assert_eq!(stranger.get("/get/role").await.text(), "reader");
    assert_eq!(sessions.update("nobody", "role", change).await.unwrap(), 0);
    let error = sessions.update("alice", "$role", change).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ReservedKey { .. }));
    let error = sessions.update("alice", "role", |old: Option<u32>| old.unwrap_or(0)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Decode { .. }));
    site.store.fail(Fault::Conflict, u32::MAX);
    let error = sessions.update("alice", "role", change).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE, "other requests always come first");
}

/// The session gets its new id at each of the points where the change waits for the store.
#[tokio::test]
async fn a_value_changes_once_in_a_session_that_gets_a_new_id_in_the_meantime() {
    for path in ["/rotate", "/renew"] {
        let mut polls = 0;
        loop {
            let store = Arc::new(MemoryStore::new());
            let watched = SessionLayer::stored(Watched::in_steps(Arc::<MemoryStore>::clone(&store)), keys());
            let client = Client::new(with_others(SessionLayer::stored(store, keys())));
            client.get("/set/role/reader").await;
            client.get("/own/alice").await;
            let (sessions, change) = (watched.sessions(), |role: Option<String>| role.unwrap_or_default() + ", editor");
            let mut update = pin!(sessions.update("alice", "role", change));
            let has_ended = drop_after(polls, update.as_mut()).await.is_some();
            if has_ended {
                break;
            }
            assert_eq!(client.get(path).await.status(), 200);
            assert_eq!(update.await.unwrap(), 1, "{path} after {polls} polls");
            assert_eq!(client.get("/get/role").await.text(), "reader, editor", "{path} after {polls} polls");
            polls += 1;
        }
        assert!(polls > 3, "{path}: {polls}");
    }
}

/// An application in which alice can log in, and may have so many sessions.
fn limited(store: impl SessionStore, time: u64, most: u32) -> (SessionLayer, Router) {
    let layer = SessionLayer::stored(store, keys()).clock(ManualClock::at(time)).sessions_per_owner(most);
    (layer.clone(), logging_in(layer))
}

fn logging_in(layer: SessionLayer) -> Router {
    async fn token(session: Session) -> Result<String, Error> {
        log_in(session.clone()).await?;
        session.bearer_token().await
    }
    let more = Router::new().route("/login", get(log_in)).route("/token", get(token));
    app(layer.clone()).merge(more.layer(layer))
}

async fn log_in(session: Session) -> Result<(), Error> {
    session.renew();
    session.insert("user", "alice")?;
    session.set_owner("alice")
}

/// When alice's sessions began, the first one first.
async fn beginnings(layer: &SessionLayer) -> Vec<u64> {
    let listed = layer.sessions().of("alice").await.unwrap();
    let seconds = listed.iter().map(|session| session.created_at.duration_since(UNIX_EPOCH).unwrap().as_secs());
    let mut beginnings: Vec<_> = seconds.collect();
    beginnings.sort_unstable();
    beginnings
}

#[tokio::test]
async fn a_user_has_no_more_sessions_than_allowed() {
    for most in [1, 3] {
        let (layer, app) = limited(MemoryStore::new(), NOW, most);
        let devices: Vec<_> = (0..5).map(|_| Client::new(app.clone())).collect();
        for device in &devices {
            device.get("/login").await;
            device.get("/login").await;
        }
        assert_eq!(layer.sessions().count("alice").await.unwrap(), u64::from(most));
        for (number, device) in devices.iter().enumerate() {
            let expected = if number + most as usize >= 5 { "alice" } else { "" };
            assert_eq!(device.get("/get/user").await.text(), expected, "device {number} of 5, {most} are allowed");
        }
        // A renewal is no further session, and neither is a visit.
        devices[4].get("/renew").await;
        devices[4].get("/set/a/1").await;
        assert_eq!(layer.sessions().count("alice").await.unwrap(), u64::from(most));
        let at_once = (0..16).map(|_| Client::new(app.clone())).collect::<Vec<_>>();
        futures_util::future::join_all(at_once.iter().map(|device| device.get("/login"))).await;
        assert_eq!(layer.sessions().count("alice").await.unwrap(), u64::from(most));
    }
}

#[tokio::test]
async fn of_log_ins_in_one_second_each_begins_a_second_after_the_one_before() {
    let (layer, app) = limited(MemoryStore::new(), NOW, 3);
    for _ in 0..4 {
        Client::new(app.clone()).get("/login").await;
    }
    assert_eq!(beginnings(&layer).await, [NOW + 1, NOW + 2, NOW + 3], "the first one had to go");
}

#[tokio::test]
async fn a_log_in_in_the_same_second_is_one_at_once_also_without_a_clock_skew() {
    let (layer, _) = limited(MemoryStore::new(), NOW, 3);
    let app = logging_in(layer.clock_skew(Duration::ZERO).bearer());
    for _ in 0..4 {
        let device = Client::new(app.clone());
        device.get("/login").await;
        assert_eq!(device.get("/get/user").await.text(), "alice");
        let token = Client::new(app.clone()).get("/token").await.text().clone();
        assert_eq!(Client::new(app.clone()).get("/get/user").bearer_auth(&token).await.text(), "alice");
    }
}

/// A save whose answer is lost, or that is dropped, is repeated by the response. It may have ended other sessions, and it
/// must not end its own.
#[tokio::test]
async fn a_log_in_that_is_saved_again_ends_no_more_sessions_than_it_has_to() {
    async fn save(session: Session, Path(polls): Path<usize>) -> Result<String, Error> {
        log_in(session.clone()).await?;
        Ok(drop_after(polls, session.save()).await.transpose()?.is_some().to_string())
    }
    for (most, guest) in [(1, ""), (2, ""), (1, "/set/cart/1"), (2, "/set/cart/1")] {
        for polls in 0.. {
            let (layer, app) = limited(Watched::in_steps(Arc::new(MemoryStore::new())), NOW, most);
            let app = app.merge(Router::new().route("/save/{polls}", get(save)).layer(layer.clone()));
            let (other, device) = (Client::new(app.clone()), Client::new(app));
            other.get("/login").await;
            if !guest.is_empty() {
                device.get(guest).await;
            }
            let saved = device.get(&format!("/save/{polls}")).await;
            let context = format!("{most} are allowed, {polls} polls, {guest}");
            assert_eq!(saved.status(), 200, "{context}");
            assert_eq!(device.get("/get/user").await.text(), "alice", "{context}");
            assert_eq!(other.get("/get/user").await.text(), if most == 1 { "" } else { "alice" }, "{context}");
            if saved.text() == "true" {
                assert!(polls > 3, "{context}");
                break;
            }
        }
    }
}

/// Each of them looks before one of the others has written.
#[tokio::test]
async fn of_log_ins_at_the_same_time_no_more_stay_than_allowed() {
    let (layer, app) = limited(Watched::in_steps(Arc::new(MemoryStore::new())), NOW, 2);
    let at_once = (0..8).map(|_| Client::new(app.clone())).collect::<Vec<_>>();
    futures_util::future::join_all(at_once.iter().map(|device| device.get("/login"))).await;
    assert_eq!(layer.sessions().count("alice").await.unwrap(), 2);
}

#[tokio::test]
async fn a_log_in_has_room_also_if_another_instance_has_a_clock_that_is_ahead() {
    let store = MemoryStore::new();
    let (_, ahead) = limited(store.clone(), NOW + 3_600, 2);
    for _ in 0..2 {
        Client::new(ahead.clone()).get("/login").await;
    }
    let (layer, app) = limited(store, NOW, 2);
    let device = Client::new(app);
    device.get("/login").await;
    assert_eq!(device.get("/get/user").await.text(), "alice");
    assert_eq!(beginnings(&layer).await, [NOW, NOW + 3_601], "it does not begin in the future");
}
