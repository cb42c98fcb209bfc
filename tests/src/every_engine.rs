//! The same handlers, unchanged, wherever the sessions are: what must hold for every engine, mounted for each.

use std::{sync::Arc, time::Duration};

use axum::{
    Form, Json, Router,
    extract::{Path, Request},
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use session_axum::{
    Error, Flash, Keys, Session, SessionData, SessionLayer, SessionResponseExt,
    testing::{Client, ManualClock},
};
use session_core::store::SessionStore;

pub(crate) use crate::guards::{
    a_confirmation_alone_is_no_session, a_confirmation_counts_for_its_time_and_its_last_second,
    a_guard_tells_no_log_in_from_no_confirmation, a_log_in_leads_back_to_the_page_that_was_wanted,
    a_renewal_forgets_a_confirmation_and_a_rotation_keeps_it, the_page_stays_through_renewals_until_it_is_used,
    the_whole_path_is_kept_under_nest,
};
use crate::support::{
    app::{NOW, OLD_SECRET, SECRET},
    backends::Backend,
};
pub(crate) use crate::two_sessions::{a_failure_saves_neither_session, two_sessions_are_read_and_changed_side_by_side};

/// What an engine makes of keys. Layers of one engine keep their sessions at the same place.
pub(crate) type Engine = Arc<dyn Fn(Keys) -> SessionLayer + Send + Sync>;

pub(crate) fn stored(store: impl SessionStore) -> Engine {
    let store: Arc<dyn SessionStore> = Arc::new(store);
    Arc::new(move |keys| SessionLayer::stored(Arc::clone(&store), keys))
}

async fn kept_by(backend: Backend) -> Engine {
    let store = backend.connect().await;
    Arc::new(move |keys| {
        // A file goes when nobody holds it any more.
        let _held = &backend;
        SessionLayer::stored(Arc::clone(&store), keys)
    })
}

/// An application of every kind of handler, a browser in front of it, and its clock.
struct Site {
    client: Client,
    clock: ManualClock,
}

fn site(engine: &Engine) -> Site {
    let clock = ManualClock::at(NOW);
    let layer = engine(Keys::new(SECRET).unwrap()).clock(clock.clone());
    Site { client: Client::new(app(layer)).with_clock(&clock), clock }
}

impl Site {
    async fn text(&self, path: &str) -> String {
        self.client.get(path).await.text()
    }

    /// Everything in the session.
    async fn values(&self) -> Value {
        serde_json::from_str(&self.text("/values").await).unwrap()
    }

    fn has_cookie(&self) -> bool {
        self.client.cookie("__Host-session").is_some()
    }
}

#[derive(SessionData)]
struct Visitor {
    #[session(default)]
    visits: u32,
}

fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/untouched", get(|| async { "hello" }))
        .route("/values", get(values))
        .route("/set/{key}/{value}", get(set))
        .route("/fail/{key}", get(fail))
        .route("/remove/{key}", get(remove))
        .route("/take/{key}", get(take))
        .route("/clear", get(clear))
        .route("/id", get(|session: Session| async move { session.id().to_string() }))
        .route("/renew", get(|session: Session| async move { session.renew() }))
        .route("/destroy/{key}", get(destroy))
        .route("/count", get(count))
        .route("/visit", get(visit))
        .route("/save", get(save))
        .route("/remember", get(|session: Session| async move { session.set_lifetime(Duration::from_secs(90 * DAY)) }))
        .route("/forget", get(|session: Session| async move { session.expire_on_browser_close() }))
        .route("/replace", get(|| async { "ok".with_session([("only", 1)]) }))
        .route("/add", get(|| async { "ok".adding_to_session([("added", json!({ "deep": [1, 2.5, null] }))]) }))
        .route("/drop/{key}", get(|Path(key): Path<String>| async { "ok".removing_from_session([key]) }))
        .route("/new", get(|| async { "ok".with_new_session() }))
        .route("/log-in/{user}", get(log_in))
        .route("/log-out-loudly", get(log_out_loudly))
        .route("/log-in-loudly/{user}", get(log_in_loudly))
        .route("/new-loudly", get(|| async { "ok".with_new_session().flashing(("info", "x".repeat(5_000))) }))
        .route("/remember-and-save", get(remember_and_save))
        .route("/in-a-task/{key}", get(set_in_a_task))
        .route("/save-and-renew", get(save_and_renew))
        .route("/forget-count", get(forget_count))
        .route("/form", post(refuse))
        .route("/page", get(page))
        .route("/seen", get(values).layer(from_fn(note)))
        .layer(layer)
}

async fn values(session: Session) -> Result<Json<Value>, Error> {
    let read = |key: String| Ok((key.clone(), session.get::<Value>(&key)?.unwrap_or_default()));
    session.keys().into_iter().map(read).collect::<Result<_, _>>().map(|map| Json(Value::Object(map)))
}

async fn set(session: Session, Path((key, value)): Path<(String, String)>) -> Result<(), Error> {
    session.insert(&key, value)
}

async fn fail(session: Session, Path(key): Path<String>) -> Result<StatusCode, Error> {
    session.insert(&key, true)?;
    session.renew();
    Ok(StatusCode::BAD_GATEWAY)
}

async fn remove(session: Session, Path(key): Path<String>) -> String {
    session.remove(&key).to_string()
}

async fn take(session: Session, Path(key): Path<String>) -> Result<Json<Value>, Error> {
    session.take::<Value>(&key).map(|value| Json(value.unwrap_or_default()))
}

async fn clear(session: Session) {
    session.clear();
}

async fn destroy(session: Session, Path(key): Path<String>) -> Result<(), Error> {
    session.destroy();
    session.insert(&key, "after")
}

async fn count(session: Session) -> Result<String, Error> {
    session.insert("beside", "kept")?;
    let count = session.update("count", |count: Option<u32>| count.unwrap_or(0) + 1).await?;
    Ok(format!("{count} {:?}", session.get::<u32>("count")?))
}

async fn forget_count(session: Session) -> Result<(), Error> {
    session.update("count", |_: Option<Option<u32>>| None).await.map(drop)
}

async fn visit(mut visitor: Session<Visitor>) -> String {
    visitor.visits += 1;
    visitor.visits.to_string()
}

/// Saves twice while the request runs, and changes something after each.
async fn save(session: Session) -> Result<Json<Value>, Error> {
    session.insert("first", 1)?;
    session.save().await?;
    session.insert("second", 2)?;
    session.remove("first");
    session.save().await?;
    session.insert("third", 3)?;
    values(session).await
}

async fn log_in(session: Session, Path(user): Path<String>) -> Result<(), Error> {
    session.renew();
    session.insert("user", user)
}

async fn log_out_loudly(session: Session, flash: Flash) {
    session.destroy();
    flash.info("x".repeat(5_000));
}

async fn log_in_loudly(session: Session, flash: Flash, Path(user): Path<String>) -> Result<(), Error> {
    session.renew();
    flash.info("x".repeat(5_000));
    session.insert("user", user)
}

async fn remember_and_save(session: Session) -> Result<(), Error> {
    session.set_lifetime(Duration::from_secs(90 * DAY));
    session.insert("remembered", true)?;
    session.save().await
}

async fn set_in_a_task(session: Session, Path(key): Path<String>) -> Result<(), Error> {
    tokio::spawn(async move { session.insert(&key, true) }).await.unwrap()
}

async fn save_and_renew(session: Session) -> Result<String, Error> {
    session.insert("a", 1)?;
    let renewed = async {
        session.renew();
        session.id().to_string()
    };
    let (saved, id) = tokio::join!(session.save(), renewed);
    saved.map(|()| id)
}

async fn refuse(Form(form): Form<Vec<(String, String)>>) -> impl IntoResponse {
    let back = Redirect::to("/page").flashing([("error", "Please look again")]);
    back.with_input(&form).with_errors([("name", "is taken")])
}

async fn page(flash: Flash) -> Json<Value> {
    let message = flash.get("error").unwrap_or_default().to_owned();
    Json(json!({ "message": message, "name": flash.input().get("name"), "wrong": flash.errors().get("name") }))
}

async fn note(session: Session, request: Request, next: Next) -> Result<Response, Error> {
    session.insert("noted", request.uri().path())?;
    Ok(next.run(request).await)
}

pub(crate) async fn what_is_set_is_there_at_the_next_request(engine: Engine) {
    let site = site(&engine);
    site.text("/set/a/1").await;
    site.text("/set/b/two").await;
    site.text("/add").await;
    assert_eq!(site.values().await, json!({ "a": "1", "added": { "deep": [1, 2.5, null] }, "b": "two" }));
    assert_eq!(site.text("/remove/a").await, "true");
    assert_eq!(site.text("/remove/a").await, "false");
    assert_eq!(site.text("/take/b").await, r#""two""#);
    site.text("/drop/added").await;
    assert_eq!(site.values().await, json!({}));
    assert!(!site.has_cookie(), "a session without entries is none");
}

pub(crate) async fn a_stranger_gets_no_cookie(engine: Engine) {
    let site = site(&engine);
    for path in ["/untouched", "/values", "/remove/a", "/take/a", "/clear", "/new", "/drop/a", "/page", "/renew"] {
        assert_eq!(site.client.get(path).await.set_cookies(), [""; 0], "{path}");
    }
}

pub(crate) async fn reading_sets_no_cookie(engine: Engine) {
    let site = site(&engine);
    site.text("/set/a/1").await;
    for path in ["/untouched", "/values", "/set/a/1", "/id"] {
        assert_eq!(site.client.get(path).await.set_cookies(), [""; 0], "{path}");
    }
}

pub(crate) async fn a_struct_is_the_session(engine: Engine) {
    let site = site(&engine);
    assert_eq!(site.text("/visit").await, "1");
    site.text("/set/other/x").await;
    assert_eq!(site.text("/visit").await, "2");
    assert_eq!(site.values().await, json!({ "other": "x", "visits": 2 }));
}

pub(crate) async fn middleware_and_handler_see_one_session(engine: Engine) {
    let site = site(&engine);
    assert_eq!(site.text("/seen").await, r#"{"noted":"/seen"}"#);
    assert_eq!(site.values().await, json!({ "noted": "/seen" }));
}

pub(crate) async fn a_renewed_session_keeps_its_values_under_a_new_id(engine: Engine) {
    let site = site(&engine);
    site.text("/set/a/1").await;
    let before = site.text("/id").await;
    site.clock.advance(Duration::from_secs(60));
    site.text("/renew").await;
    let after = site.text("/id").await;
    assert_ne!(after, before);
    assert_eq!(site.text("/id").await, after);
    assert_eq!(site.values().await, json!({ "a": "1" }));
}

pub(crate) async fn what_follows_the_end_is_a_new_session(engine: Engine) {
    let site = site(&engine);
    site.text("/set/a/1").await;
    let before = site.text("/id").await;
    site.text("/destroy/b").await;
    assert_eq!(site.values().await, json!({ "b": "after" }));
    assert_ne!(site.text("/id").await, before);
    site.text("/replace").await;
    assert_eq!(site.values().await, json!({ "only": 1 }));
    site.text("/new").await;
    assert_eq!(site.values().await, json!({}));
    assert!(!site.has_cookie());
}

pub(crate) async fn a_cleared_session_is_gone(engine: Engine) {
    let site = site(&engine);
    site.text("/set/a/1").await;
    site.text("/id").await;
    site.text("/clear").await;
    assert_eq!(site.values().await, json!({}));
    assert!(!site.has_cookie());
}

pub(crate) async fn a_log_out_survives_a_flash_that_does_not_fit(engine: Engine) {
    let site = site(&engine);
    site.text("/set/a/1").await;
    let copy = site.client.cookie("__Host-session").unwrap();
    let page = site.client.get("/log-out-loudly").await;
    assert_eq!(page.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(site.values().await, json!({}));
    assert!(!site.has_cookie() || site.client.cookie("__Host-session") == Some(copy));
}

pub(crate) async fn a_log_out_by_a_helper_survives_a_flash_that_does_not_fit(engine: Engine) {
    let site = site(&engine);
    site.text("/set/a/1").await;
    let page = site.client.get("/new-loudly").await;
    assert_eq!(page.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(site.values().await, json!({}));
    assert!(!site.has_cookie());
}

pub(crate) async fn a_flash_that_does_not_fit_leaves_the_session_as_it_was(engine: Engine) {
    let site = site(&engine);
    site.text("/set/a/1").await;
    let before = site.text("/id").await;
    let page = site.client.get("/log-in-loudly/alice").await;
    assert_eq!((page.status(), page.set_cookies().len()), (StatusCode::INTERNAL_SERVER_ERROR, 0));
    assert_eq!(site.values().await, json!({ "a": "1" }));
    assert_eq!(site.text("/id").await, before);
}

pub(crate) async fn a_save_does_not_swallow_the_cookie_that_was_due(engine: Engine) {
    let site = site(&engine);
    for _ in 0..2 {
        let page = site.client.get("/remember-and-save").await;
        assert!(page.set_cookies()[0].contains("Max-Age=7776000"), "{:?}", page.set_cookies());
        site.clock.advance(Duration::from_secs(60));
    }
}

pub(crate) async fn an_active_visitor_of_a_persistent_layer_stays(engine: Engine) {
    let persistent: Engine = Arc::new(move |keys| engine(keys).persistent(true));
    let site = site(&persistent);
    for visit in 1..6 {
        site.text("/count").await;
        site.clock.advance(Duration::from_secs(20 * 60 * 60));
        assert_eq!(site.values().await["count"], visit, "visit {visit}");
    }
}

pub(crate) async fn two_log_ins_from_one_guest_cookie_are_two_sessions(engine: Engine) {
    let one = site(&engine);
    one.text("/set/a/1").await;
    let other = site(&engine);
    other.client.set_cookie("__Host-session", &one.client.cookie("__Host-session").unwrap());
    one.text("/log-in/alice").await;
    other.text("/log-in/bob").await;
    assert_eq!(one.values().await["user"], "alice");
    assert_eq!(other.values().await["user"], "bob");
    assert_ne!(one.text("/id").await, other.text("/id").await);
}

pub(crate) async fn a_handle_in_a_task_changes_the_session_of_its_request(engine: Engine) {
    let site = site(&engine);
    site.text("/in-a-task/a").await;
    site.text("/in-a-task/b").await;
    assert_eq!(site.values().await, json!({ "a": true, "b": true }));
}

pub(crate) async fn a_new_session_can_be_renewed_while_it_is_saved(engine: Engine) {
    let site = site(&engine);
    let id = site.text("/save-and-renew").await;
    assert_eq!(site.text("/id").await, id);
    assert_eq!(site.values().await, json!({ "a": 1 }));
}

pub(crate) async fn a_5xx_saves_nothing(engine: Engine) {
    let site = site(&engine);
    site.text("/set/a/1").await;
    let before = site.text("/id").await;
    assert_eq!(site.client.get("/fail/b").await.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(site.values().await, json!({ "a": "1" }));
    assert_eq!(site.text("/id").await, before);
}

pub(crate) async fn an_update_sees_what_was_there(engine: Engine) {
    let site = site(&engine);
    assert_eq!(site.text("/count").await, "1 Some(1)");
    assert_eq!(site.text("/count").await, "2 Some(2)");
    assert_eq!(site.text("/count").await, "3 Some(3)");
    assert_eq!(site.values().await, json!({ "beside": "kept", "count": 3 }));
}

pub(crate) async fn an_update_to_nothing_removes_the_key(engine: Engine) {
    let site = site(&engine);
    site.text("/count").await;
    site.text("/take/beside").await;
    assert_eq!(site.client.get("/forget-count").await.status(), StatusCode::OK);
    assert_eq!(site.values().await, json!({}));
    assert!(!site.has_cookie());
}

pub(crate) async fn saving_in_between_loses_nothing(engine: Engine) {
    let site = site(&engine);
    assert_eq!(site.text("/save").await, r#"{"second":2,"third":3}"#);
    assert_eq!(site.values().await, json!({ "second": 2, "third": 3 }));
    site.text("/set/a/1").await;
    assert_eq!(site.text("/save").await, r#"{"a":"1","second":2,"third":3}"#);
    assert_eq!(site.values().await, json!({ "a": "1", "second": 2, "third": 3 }));
}

pub(crate) async fn a_refused_form_comes_back_once(engine: Engine) {
    let site = site(&engine);
    site.client.post_form("/form", &[("name", "alice"), ("password", "hunter2")]).await;
    let first = json!({ "message": "Please look again", "name": "alice", "wrong": "is taken" });
    assert_eq!(serde_json::from_str::<Value>(&site.text("/page").await).unwrap(), first);
    let second = json!({ "message": "", "name": null, "wrong": null });
    assert_eq!(serde_json::from_str::<Value>(&site.text("/page").await).unwrap(), second);
    assert_eq!(site.client.cookie_names(), [""; 0]);
}

pub(crate) async fn the_limits_are_the_servers(engine: Engine) {
    let site = site(&engine);
    site.text("/set/a/1").await;
    site.clock.advance(Duration::from_secs(DAY - 1));
    assert_eq!(site.values().await, json!({ "a": "1" }), "idle for less than a day");
    site.clock.advance(Duration::from_secs(DAY - 1));
    assert_eq!(site.values().await, json!({ "a": "1" }), "the visit before was activity");
    site.clock.advance(Duration::from_secs(DAY + 1));
    assert_eq!(site.values().await, json!({}), "idle for more than a day");

    site.text("/set/a/1").await;
    for _ in 0..30 {
        site.clock.advance(Duration::from_secs(DAY - 1));
        site.values().await;
    }
    assert_eq!(site.values().await, json!({ "a": "1" }));
    site.clock.advance(Duration::from_secs(60));
    assert_eq!(site.values().await, json!({}), "30 days are the most");
}

pub(crate) async fn a_remembered_session_outlives_browser_and_limits(engine: Engine) {
    let site = site(&engine);
    site.text("/set/a/1").await;
    let page = site.client.get("/remember").await;
    assert!(page.set_cookies()[0].contains("Max-Age=7776000"), "{:?}", page.set_cookies());
    site.client.close_browser();
    site.clock.advance(Duration::from_secs(80 * DAY));
    site.text("/set/b/2").await;
    site.client.close_browser();
    assert_eq!(site.values().await, json!({ "a": "1", "b": "2" }));
    site.clock.advance(Duration::from_secs(11 * DAY));
    assert_eq!(site.values().await, json!({}));
}

pub(crate) async fn a_session_that_is_not_remembered_any_more_ends_with_the_browser(engine: Engine) {
    let site = site(&engine);
    site.text("/set/a/1").await;
    site.text("/remember").await;
    let page = site.client.get("/forget").await;
    assert!(!page.set_cookies()[0].contains("Max-Age"), "{:?}", page.set_cookies());
    assert_eq!(site.values().await, json!({ "a": "1" }));
    site.client.close_browser();
    assert_eq!(site.values().await, json!({}));
}

pub(crate) async fn keys_rotate_and_visitors_stay(engine: Engine) {
    let clock = ManualClock::at(NOW);
    let visit = |keys: Keys, cookie: Option<String>| {
        let client = Client::new(app(engine(keys).clock(clock.clone())));
        if let Some(cookie) = cookie {
            client.set_cookie("__Host-session", &cookie);
        }
        client
    };
    let old = visit(Keys::new(OLD_SECRET).unwrap(), None);
    old.get("/set/a/1").await;
    let both = Keys::new(SECRET).unwrap().with_fallback(OLD_SECRET).unwrap();
    let between = visit(both, old.cookie("__Host-session"));
    assert_eq!(between.get("/values").await.text(), r#"{"a":"1"}"#);
    let new = visit(Keys::new(SECRET).unwrap(), between.cookie("__Host-session"));
    assert_eq!(new.get("/values").await.text(), r#"{"a":"1"}"#);
    let stranger = visit(Keys::new(SECRET).unwrap(), old.cookie("__Host-session"));
    assert_eq!(stranger.get("/values").await.text(), "{}");
}

const DAY: u64 = 24 * 60 * 60;

/// Makes a test of each promise, in the module where it stands, for the engine that an async function makes.
macro_rules! suite {
    ($engine:expr) => {
        $crate::every_engine::suite!($engine =>
            what_is_set_is_there_at_the_next_request
            a_stranger_gets_no_cookie
            reading_sets_no_cookie
            a_struct_is_the_session
            middleware_and_handler_see_one_session
            a_renewed_session_keeps_its_values_under_a_new_id
            what_follows_the_end_is_a_new_session
            a_cleared_session_is_gone
            a_log_out_survives_a_flash_that_does_not_fit
            a_log_out_by_a_helper_survives_a_flash_that_does_not_fit
            a_flash_that_does_not_fit_leaves_the_session_as_it_was
            a_save_does_not_swallow_the_cookie_that_was_due
            an_active_visitor_of_a_persistent_layer_stays
            two_log_ins_from_one_guest_cookie_are_two_sessions
            a_handle_in_a_task_changes_the_session_of_its_request
            a_new_session_can_be_renewed_while_it_is_saved
            a_5xx_saves_nothing
            an_update_sees_what_was_there
            an_update_to_nothing_removes_the_key
            saving_in_between_loses_nothing
            a_refused_form_comes_back_once
            the_limits_are_the_servers
            a_remembered_session_outlives_browser_and_limits
            a_session_that_is_not_remembered_any_more_ends_with_the_browser
            keys_rotate_and_visitors_stay
            a_confirmation_counts_for_its_time_and_its_last_second
            a_guard_tells_no_log_in_from_no_confirmation
            a_renewal_forgets_a_confirmation_and_a_rotation_keeps_it
            a_confirmation_alone_is_no_session
            a_log_in_leads_back_to_the_page_that_was_wanted
            the_page_stays_through_renewals_until_it_is_used
            the_whole_path_is_kept_under_nest
            two_sessions_are_read_and_changed_side_by_side
            a_failure_saves_neither_session
        );
    };
    ($engine:expr => $($promise:ident)*) => {$(
        #[tokio::test]
        async fn $promise() {
            $crate::every_engine::$promise($engine.await).await;
        }
    )*};
}
pub(crate) use suite;

mod signed {
    super::suite!(async { std::sync::Arc::new(session_axum::SessionLayer::signed) as super::Engine });
}

mod encrypted {
    super::suite!(async { std::sync::Arc::new(session_axum::SessionLayer::encrypted) as super::Engine });
}

mod memory {
    super::suite!(async { super::stored(session_stores::MemoryStore::new()) });
}

mod encrypted_records {
    super::suite!(async {
        let records = session_core::Keys::generate();
        let store = session_core::store::EncryptedStore::new(session_stores::MemoryStore::new(), &records);
        super::stored(store)
    });
}

mod sqlite {
    super::suite!(super::kept_by(super::Backend::sqlite()));
}

mod postgres {
    super::suite!(async { super::kept_by(super::Backend::postgres().await).await });
}

mod mariadb {
    super::suite!(async { super::kept_by(super::Backend::mariadb().await).await });
}

mod redis {
    super::suite!(super::kept_by(super::Backend::redis()));
}

mod redis_cluster {
    super::suite!(super::kept_by(super::Backend::redis_cluster()));
}
