//! From tower-sessions, axum-login and axum-messages. A real application on their released crates, in a process of its
//! own, makes the sessions.

use std::{
    env, fs,
    path::PathBuf,
    process::Command,
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, Uri, header::COOKIE},
    response::{IntoResponse as _, Redirect},
    routing::get,
};
use hyper_util::{client::legacy, rt::TokioExecutor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use session_axum::{
    Error, Flash, Session, SessionData, SessionLayer, SessionResponseExt as _, flash::ShownMessage, testing::Client,
};
use session_core::{
    former::{FormerCookies, FormerSystem as _},
    store::StoreErrorKind,
};
use session_stores::{
    MemoryStore, MySqlStore, PostgresStore, RedisStore, SqliteStore,
    compat::{Key, TowerSessions},
};
use session_test_servers::{Directory, Guarded, mariadb::MariaDb, postgres::Postgres, redis::Server};
use sqlx::{AssertSqlSafe, MySqlPool, PgPool, SqlitePool};
use tokio::time::sleep;

use crate::support::{
    app::keys,
    jar::{Jar, send},
};

/// The program `tests/tower-sessions-app`. It is a workspace of its own, and `tests/run` builds it before the tests.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let program = env::current_exe().unwrap();
    let target = program.ancestors().nth(3).unwrap().join("tower-sessions-app");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/tower-sessions-app/Cargo.toml");
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "--locked", "--manifest-path", manifest, "--target-dir"]).arg(&target);
    let output = build.output().expect("there is a cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join("debug/tower-sessions-app")
});

/// The application before the move.
struct Theirs {
    /// Passes requests on to the process.
    router: Router,
    log: PathBuf,
    _process: Guarded,
    _directory: Directory,
}

impl Theirs {
    /// Starts it on this store, with a cookie that is `plain`, `signed` or `private`.
    async fn start(store: &str, cookie: &str) -> Self {
        let directory = Directory::new();
        let log = directory.path().join("log");
        let command = [PROGRAM.display().to_string(), store.to_owned(), cookie.to_owned()];
        let mut process = Guarded::start(&command, "TERM", &log);
        let begun = Instant::now();
        let address = loop {
            let text = fs::read_to_string(&log).unwrap_or_default();
            if let Some((line, _)) = text.split_once('\n')
                && line.starts_with("http://")
            {
                break line.to_owned();
            }
            assert!(!process.has_ended() && begun.elapsed() < Duration::from_secs(10), "it does not start: {text}");
            sleep(Duration::from_millis(10)).await;
        };
        let client = legacy::Client::builder(TokioExecutor::new()).build_http::<Body>();
        let router = Router::new().fallback(async move |mut request: Request| {
            let path = request.uri().path_and_query().unwrap();
            *request.uri_mut() = format!("{address}{path}").parse::<Uri>().unwrap();
            client.request(request).await.unwrap().into_response()
        });
        Self { router, log, _process: process, _directory: directory }
    }

    /// Returns a browser that has logged in, and was there a second time.
    async fn visitor(&self, user: &str) -> Jar {
        let mut jar = Jar::default();
        assert_eq!(jar.get(&self.router, &format!("/login?user={user}")).await, user);
        assert_eq!(jar.get(&self.router, "/visit").await, "2");
        jar
    }
}

/// What axum-login keeps in the session.
#[derive(Deserialize, Serialize)]
struct Login {
    user_id: String,
    auth_hash: Vec<u8>,
}

#[derive(SessionData)]
struct Member {
    #[session(alias = "axum-login.data")]
    login: Login,
}

async fn me(member: Option<Session<Member>>) -> String {
    match member {
        Some(member) if member.login.auth_hash == b"the hash of a password" => member.login.user_id.clone(),
        Some(_) => "another hash".to_owned(),
        None => "stranger".to_owned(),
    }
}

async fn values(session: Session) -> Result<String, Error> {
    Ok(format!("{:?} {:?}", session.get::<u32>("visits")?, session.get::<Value>("cart")?))
}

async fn messages(flash: Flash) -> String {
    let text = |message: ShownMessage<'_>| {
        let disk = message.data.get::<String>("disk").map(|disk| format!(" {disk}")).unwrap_or_default();
        format!("{}: {}{disk}", message.key, message.text)
    };
    flash.messages().iter().map(text).collect::<Vec<_>>().join(", ")
}

/// The application after the move.
fn ours(layer: SessionLayer, former: TowerSessions) -> Router {
    Router::new()
        .route("/me", get(me))
        .route("/values", get(values))
        .route("/messages", get(messages))
        .route("/logout", get(async || Redirect::to("/").with_new_session()))
        .layer(layer.migrating_from(former, SystemTime::now() + Duration::from_secs(3_600)))
}

/// All that a move has to keep, with both applications up.
async fn every_visitor_stays(theirs: &Theirs, layer: SessionLayer, former: TowerSessions) {
    let (app, theirs) = (ours(layer, former), &theirs.router);
    let mut visitors = Vec::new();
    for user in ["ada", "bob", "eve"] {
        let mut jar = Jar::default();
        assert_eq!(jar.get(theirs, &format!("/login?user={user}")).await, user);
        assert_eq!(jar.get(theirs, "/visit").await, "2");
        visitors.push(jar);
    }
    let mut guest = Jar::default();
    guest.get(theirs, "/leave-messages").await;
    let [ada, bob, eve] = &mut visitors[..] else { panic!("three visitors") };

    // A visitor moves with all values, and only then.
    ada.get(theirs, "/leave-messages").await;
    let (copy, mut other_tab) = (ada.clone(), ada.clone());
    assert_eq!(ada.get(&app, "/me").await, "ada");
    assert_eq!(other_tab.get(&app, "/me").await, "ada", "a request of the same page");
    assert_eq!(ada.get(&app, "/values").await, r#"Some(2) Some(Object {"cups": Number(4.0), "tea": Number(2.5)})"#);
    assert_eq!(ada.get(&app, "/messages").await, "success: Saved., warning: Almost full. sda");
    assert_eq!(ada.get(&app, "/messages").await, "");
    assert_eq!(ada.names(), ["__Host-session"]);

    // The former record is gone, and a log-out holds.
    assert_eq!(copy.clone().get(theirs, "/me").await, "stranger");
    ada.get(&app, "/logout").await;
    for jar in [&*ada, &copy, &other_tab] {
        assert_eq!(jar.clone().get(&app, "/me").await, "stranger");
    }

    // A log-out at the former application holds, too.
    let copy = bob.clone();
    assert_eq!(bob.get(theirs, "/logout").await, "logged out");
    for jar in [&*bob, &copy] {
        assert_eq!(jar.clone().get(&app, "/me").await, "stranger");
    }

    // The others go on where they are, and move when they come.
    assert_eq!(eve.get(theirs, "/visit").await, "3");
    assert!(eve.get(&app, "/values").await.starts_with("Some(3)"));
    assert_eq!(eve.get(&app, "/me").await, "eve");
    assert_eq!(guest.get(&app, "/messages").await, "success: Saved., warning: Almost full. sda");
    assert_eq!(guest.get(&app, "/messages").await, "");
    let (_, set) = send(&app, "/me", &guest.header()).await;
    assert!(set.is_empty(), "{set:?}");
}

fn key() -> Key {
    Key::from(&[b'k'; 64])
}

/// A file for one test.
struct File(Directory);

impl File {
    fn new() -> Self {
        Self(Directory::new())
    }

    fn address(&self) -> String {
        format!("sqlite://{}?mode=rwc", self.0.path().join("shop.db").display())
    }

    async fn pool(&self) -> SqlitePool {
        SqlitePool::connect(&self.address()).await.unwrap()
    }
}

#[tokio::test]
async fn a_move_on_sqlite_with_each_form_of_the_cookie() {
    for cookie in ["plain", "signed", "private"] {
        let file = File::new();
        let theirs = Theirs::start(&file.address(), cookie).await;
        let pool = file.pool().await;
        let former = TowerSessions::sqlite(pool.clone());
        let former = match cookie {
            "signed" => former.cookie("shop").signed(key()),
            "private" => former.cookie("shop").private(key()),
            _ => former,
        };
        let store = SqliteStore::from_pool(pool.clone());
        store.migrate().await.unwrap();
        every_visitor_stays(&theirs, SessionLayer::stored(store, keys()), former).await;
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM tower_sessions").fetch_one(&pool).await.unwrap();
        assert_eq!(left, 0);
    }
}

#[tokio::test]
async fn a_move_on_postgres() {
    let address = Postgres::shared().database().await;
    let theirs = Theirs::start(&address, "plain").await;
    let pool = PgPool::connect(&address).await.unwrap();
    let store = PostgresStore::from_pool(pool.clone());
    store.migrate().await.unwrap();
    let layer = SessionLayer::stored(store, keys());
    every_visitor_stays(&theirs, layer, TowerSessions::postgres(pool.clone())).await;
    let rows = "SELECT count(*) FROM tower_sessions.session";
    assert_eq!(sqlx::query_scalar::<_, i64>(rows).fetch_one(&pool).await.unwrap(), 0);
}

#[tokio::test]
async fn a_move_on_mariadb() {
    let address = MariaDb::shared().database().await;
    let theirs = Theirs::start(&address, "plain").await;
    let pool = MySqlPool::connect(&address).await.unwrap();
    let store = MySqlStore::from_pool(pool.clone());
    store.migrate().await.unwrap();
    let layer = SessionLayer::stored(store, keys());
    every_visitor_stays(&theirs, layer, TowerSessions::mysql(pool.clone())).await;
    let rows = "SELECT count(*) FROM tower_sessions.session";
    assert_eq!(sqlx::query_scalar::<_, i64>(rows).fetch_one(&pool).await.unwrap(), 0);
}

#[tokio::test]
async fn a_move_on_redis() {
    let server = Server::start(&[]);
    let theirs = Theirs::start(&server.url(), "signed").await;
    let former = TowerSessions::redis(connection(&server).await).cookie("shop").signed(key());
    let store = RedisStore::connect(&server.url()).await.unwrap();
    every_visitor_stays(&theirs, SessionLayer::stored(store, keys()), former).await;
}

async fn connection(server: &Server) -> redis::aio::ConnectionManager {
    redis::aio::ConnectionManager::new(redis::Client::open(server.url()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_move_into_each_engine() {
    let file = File::new();
    let theirs = Theirs::start(&file.address(), "plain").await;
    let layers = [
        SessionLayer::signed(keys()),
        SessionLayer::encrypted(keys()),
        SessionLayer::signed(keys()).revocations(MemoryStore::new()),
        SessionLayer::stored(MemoryStore::new(), keys()),
    ];
    for layer in layers {
        let app = ours(layer, TowerSessions::sqlite(file.pool().await));
        let mut jar = theirs.visitor("ada").await;
        let mut other_tab = jar.clone();
        assert_eq!(jar.get(&app, "/me").await, "ada");
        assert_eq!(other_tab.get(&app, "/me").await, "ada");
        assert_eq!(jar.get(&app, "/me").await, "ada");
        assert_eq!(jar.names(), ["__Host-session"]);
        jar.get(&app, "/logout").await;
        assert_eq!(jar.get(&app, "/me").await, "stranger");
        assert_eq!(jar.names(), [""; 0]);
    }
}

/// tower-sessions writes the whole record back at the end of a request, also if another request has removed it.
#[tokio::test]
async fn a_late_response_of_the_former_application_undoes_neither_the_move_nor_a_log_out() {
    let file = File::new();
    let theirs = Theirs::start(&file.address(), "plain").await;
    let layer = SessionLayer::stored(MemoryStore::new(), keys());
    let app = ours(layer, TowerSessions::sqlite(file.pool().await));
    let mut jar = theirs.visitor("ada").await;
    let slow = tokio::spawn({
        let (router, cookies) = (theirs.router.clone(), jar.header());
        async move { send(&router, "/slow", &cookies).await }
    });
    while !fs::read_to_string(&theirs.log).unwrap().contains("a slow request") {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(jar.get(&app, "/me").await, "ada");
    let (text, late) = slow.await.unwrap();
    assert_eq!((text.as_str(), late.len()), ("102", 1));
    jar.apply(&late);
    assert_eq!(jar.names(), ["__Host-session", "id"]);
    let mut copy = Jar::default();
    copy.apply(&late);
    assert!(jar.get(&app, "/values").await.starts_with("Some(2)"), "what the late request wrote is lost");
    assert_eq!(jar.names(), ["__Host-session"]);
    jar.get(&app, "/logout").await;
    assert_eq!(copy.get(&app, "/me").await, "stranger");
    assert_eq!(jar.get(&app, "/me").await, "stranger");
}

#[tokio::test]
async fn an_expired_session_does_not_move() {
    let file = File::new();
    let theirs = Theirs::start(&file.address(), "plain").await;
    let jar = theirs.visitor("ada").await;
    let former = TowerSessions::sqlite(file.pool().await);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let header = jar.header();
    let headers = [header.as_bytes()];
    let read = async |now| former.read(FormerCookies::new(&headers), now).await.unwrap().session;
    let last = read(now).await.unwrap().expires_at.unwrap();
    let two_weeks = 14 * 86_400;
    assert!((now + two_weeks - 5..=now + two_weeks).contains(&last), "{last} after {now}");
    assert!(read(last).await.is_some());
    assert!(read(last + 1).await.is_none());
}

#[tokio::test]
async fn a_database_that_is_down_is_a_503_and_keeps_the_cookie() {
    let file = File::new();
    let theirs = Theirs::start(&file.address(), "plain").await;
    let jar = theirs.visitor("ada").await;
    let pool = file.pool().await;
    let former = TowerSessions::sqlite(pool.clone());
    pool.close().await;
    let server = Server::start(&[]);
    let of_redis = TowerSessions::redis(connection(&server).await);
    server.stop();
    for former in [former, of_redis] {
        let header = jar.header();
        let headers = [header.as_bytes()];
        let error = former.read(FormerCookies::new(&headers), 0).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        let client = Client::new(ours(SessionLayer::signed(keys()), former));
        let request = Request::get("/me").header(COOKIE, &header).body(Body::empty()).unwrap();
        let response = client.send(request).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(!response.headers().contains_key("set-cookie"));
        assert_eq!(client.get("/me").await.text(), "stranger", "a request without the cookie asks no database");
    }
}

#[tokio::test]
async fn hostile_cookies_and_damaged_records_are_no_session() {
    let file = File::new();
    let theirs = Theirs::start(&file.address(), "plain").await;
    let (mut ada, jar) = (theirs.visitor("ada").await, theirs.visitor("bob").await);
    let pool = file.pool().await;
    let app = ours(SessionLayer::stored(MemoryStore::new(), keys()), TowerSessions::sqlite(pool.clone()));
    let damage = [
        "UPDATE tower_sessions SET data = x'' WHERE id = ?",
        "UPDATE tower_sessions SET data = randomblob(500) WHERE id = ?",
        "UPDATE tower_sessions SET data = zeroblob(5000000) WHERE id = ?",
        // The record of another session.
        "UPDATE tower_sessions SET data = (SELECT data FROM tower_sessions AS other WHERE other.id <> ? LIMIT 1)",
    ];
    let id = jar.header().strip_prefix("id=").unwrap().to_owned();
    for statement in damage {
        let saved: Vec<(String, Vec<u8>)> =
            sqlx::query_as("SELECT id, data FROM tower_sessions").fetch_all(&pool).await.unwrap();
        sqlx::query(statement).bind(&id).execute(&pool).await.unwrap();
        let (text, set) = send(&app, "/me", &jar.header()).await;
        assert_eq!((text.as_str(), set.len()), ("stranger", 0), "{statement}");
        for (id, data) in saved {
            let back = sqlx::query("UPDATE tower_sessions SET data = ? WHERE id = ?");
            back.bind(data).bind(id).execute(&pool).await.unwrap();
        }
    }
    let cookies = ["id=", "id=%00%ff", "id=' OR 1=1 --", &format!("id={}", "A".repeat(4_000)), &format!("id={id}x")];
    for cookie in cookies {
        let (text, set) = send(&app, "/me", cookie).await;
        assert_eq!((text.as_str(), set.len()), ("stranger", 0), "{cookie}");
    }
    let twin = format!("id=AAAAAAAAAAAAAAAAAAAAAA; {}", jar.header());
    assert_eq!(send(&app, "/me", &twin).await.0, "bob", "an unknown id beside one that is known");
    assert_eq!(ada.get(&app, "/me").await, "ada");
}

#[tokio::test]
async fn a_key_of_the_application_in_the_same_redis_is_no_session() {
    let server = Server::start(&[]);
    let app = ours(SessionLayer::signed(keys()), TowerSessions::redis(connection(&server).await));
    server.ask("RPUSH AAAAAAAAAAAAAAAAAAAAAA 1").unwrap();
    server.ask("SET AQAAAAAAAAAAAAAAAAAAAA 1").unwrap();
    for id in ["AAAAAAAAAAAAAAAAAAAAAA", "AQAAAAAAAAAAAAAAAAAAAA"] {
        let (text, set) = send(&app, "/me", &format!("id={id}")).await;
        assert_eq!((text.as_str(), set.len()), ("stranger", 0));
    }
    assert_eq!(server.ask("DBSIZE").as_deref(), Some(":2"));
}

#[tokio::test]
async fn the_table_and_the_cookie_may_have_other_names_and_places() {
    let address = Postgres::shared().database().await;
    let theirs = Theirs::start(&address, "plain").await;
    let pool = PgPool::connect(&address).await.unwrap();
    let jar = theirs.visitor("ada").await;
    for script in [
        r#"CREATE SCHEMA "my ""shop""""#,
        r#"CREATE TABLE "my ""shop"""."Visitors; --" AS SELECT * FROM tower_sessions.session"#,
        "DROP TABLE tower_sessions.session",
    ] {
        sqlx::raw_sql(AssertSqlSafe(script)).execute(&pool).await.unwrap();
    }
    let former = TowerSessions::postgres(pool.clone()).schema(r#"my "shop""#).table("Visitors; --");
    let former = former.cookie("shop").path("/me").domain("example.com");
    let app = ours(SessionLayer::signed(keys()), former);
    let (text, set) = send(&app, "/me", &jar.header().replace("id=", "shop=")).await;
    assert_eq!(text, "ada");
    assert_eq!(set[0], "shop=; HttpOnly; Path=/me; Domain=example.com; Max-Age=0");
    let app = ours(SessionLayer::signed(keys()), TowerSessions::postgres(pool));
    let client = Client::new(app);
    let request = Request::get("/me").header(COOKIE, jar.header()).body(Body::empty()).unwrap();
    assert_eq!(client.send(request).await.status(), StatusCode::INTERNAL_SERVER_ERROR, "there is no such table");
}
