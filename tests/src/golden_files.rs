//! Cookies and records that a version wrote, which every later version reads: `tests/data/golden`, a directory for each
//! version. `tests/golden` writes those of a new one.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    http::Request,
    response::{IntoResponse, Redirect},
    routing::get,
};
use redis::Commands as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use session_axum::{
    Error, Flash, Session, SessionData, SessionLayer, SessionResponseExt, Ticket, TicketData, flash::Message,
    testing::ManualClock,
};
use session_core::{
    store::{EncryptedStore, SessionStore},
    unix_seconds,
};
use session_stores::RedisStore;
use session_test_servers::redis::Server;
use sqlx::{AssertSqlSafe, Connection as _, MySqlConnection, PgConnection, Row as _, SqliteConnection};
use tower::ServiceExt as _;

use crate::support::{
    app::{NOW, keys},
    backends::Backend,
    jar::Jar,
};

const HOUR: u64 = 3_600;

/// When the files are read: within the minute in which an ended session is known in every engine.
const LATER: u64 = NOW + 30;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/golden")
}

/// The directories of the versions.
fn versions() -> Vec<PathBuf> {
    let mut versions: Vec<_> = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    versions.sort();
    assert!(!versions.is_empty());
    versions
}

/// Where an engine keeps its sessions, or its ends of sessions.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Nowhere,
    Sqlite,
    Postgres,
    MariaDb,
    Redis,
}

/// A layer, by the name of its files.
#[derive(Clone, Copy)]
struct Engine {
    name: &'static str,
    place: Place,
    layer: fn(Option<Arc<dyn SessionStore>>) -> SessionLayer,
}

const ENGINES: [Engine; 9] = [
    Engine { name: "signed", place: Place::Nowhere, layer: |_| SessionLayer::signed(keys()) },
    Engine { name: "encrypted", place: Place::Nowhere, layer: |_| SessionLayer::encrypted(keys()) },
    Engine { name: "chunked", place: Place::Nowhere, layer: |_| SessionLayer::signed(keys()).chunked(3) },
    Engine {
        name: "revocations",
        place: Place::Sqlite,
        layer: |store| SessionLayer::signed(keys()).revocations(store.unwrap()),
    },
    Engine { name: "sqlite", place: Place::Sqlite, layer: stored },
    Engine {
        name: "encrypted_records",
        place: Place::Sqlite,
        layer: |store| SessionLayer::stored(EncryptedStore::new(store.unwrap(), &keys()), keys()).bearer(),
    },
    Engine { name: "postgres", place: Place::Postgres, layer: stored },
    Engine { name: "mariadb", place: Place::MariaDb, layer: stored },
    Engine { name: "redis", place: Place::Redis, layer: stored },
];

fn stored(store: Option<Arc<dyn SessionStore>>) -> SessionLayer {
    SessionLayer::stored(store.unwrap(), keys()).bearer()
}

impl Engine {
    fn named(name: &str) -> Self {
        *ENGINES.iter().find(|engine| engine.name == name).unwrap()
    }

    fn keeps_sessions(self) -> bool {
        self.place != Place::Nowhere && self.name != "revocations"
    }

    /// The application, its layer, and the clock of both.
    async fn app(self, base: &Base) -> (Router, SessionLayer, ManualClock) {
        let clock = ManualClock::at(NOW);
        let store = if self.place == Place::Nowhere { None } else { Some(base.connect().await) };
        let layer = (self.layer)(store).application("golden").clock(clock.clone());
        (app().layer(layer.clone()), layer, clock)
    }
}

/// A database of one test.
enum Base {
    Nowhere,
    Sql(Backend),
    Redis(Server),
}

impl Base {
    async fn new(place: Place) -> Self {
        match place {
            Place::Nowhere => Self::Nowhere,
            Place::Sqlite => Self::Sql(Backend::sqlite()),
            Place::Postgres => Self::Sql(Backend::postgres().await),
            Place::MariaDb => Self::Sql(Backend::mariadb().await),
            Place::Redis => Self::Redis(Server::start(&[])),
        }
    }

    async fn connect(&self) -> Arc<dyn SessionStore> {
        match self {
            Self::Nowhere => unreachable!(),
            Self::Sql(backend) => backend.connect().await,
            Self::Redis(server) => Arc::new(RedisStore::connect(&server.url()).await.unwrap()),
        }
    }
}

const COLUMNS: [&str; 13] = [
    "key",
    "id",
    "format",
    "data",
    "version",
    "created_at",
    "seen_at",
    "expires_at",
    "application",
    "owner",
    "label",
    "ended",
    "successor",
];
const BYTES: [&str; 3] = ["key", "id", "successor"];
const TEXTS: [&str; 4] = ["data", "application", "owner", "label"];

/// A statement whose answer is the values of each row as this database writes them. It orders by the time that they end.
fn values_of(place: Place) -> String {
    let value = |column: &&str| match place {
        Place::MariaDb if BYTES.contains(column) => {
            format!("IF(`{column}` IS NULL, 'NULL', CONCAT('X''', HEX(`{column}`), ''''))")
        }
        Place::MariaDb if TEXTS.contains(column) => format!("QUOTE(CONVERT(`{column}` USING utf8mb4))"),
        Place::MariaDb => format!("COALESCE(`{column}`, 'NULL')"),
        Place::Postgres => format!("quote_nullable({column})"),
        _ => format!("quote({column})"),
    };
    let values: Vec<_> = COLUMNS.iter().map(value).collect();
    let order = if place == Place::MariaDb { "`key`" } else { "key" };
    let text = if place == Place::MariaDb { "CONVERT({} USING utf8mb4)" } else { "{}" };
    let joined = text.replace("{}", &format!("concat_ws(', ', {})", values.join(", ")));
    format!("SELECT {joined} FROM session_records ORDER BY {order}")
}

/// The table of this version with its rows, as statements; or Redis commands.
async fn dump(place: Place, base: &Base) -> String {
    let (backend, schema) = match (base, place) {
        (Base::Nowhere, _) => return String::new(),
        (Base::Redis(server), _) => return dump_redis(server),
        (Base::Sql(backend), Place::Postgres) => (backend, include_str!("../../session-stores/src/sql/postgres.sql")),
        (Base::Sql(backend), Place::MariaDb) => (backend, include_str!("../../session-stores/src/sql/mysql.sql")),
        (Base::Sql(backend), _) => (backend, include_str!("../../session-stores/src/sql/sqlite.sql")),
    };
    let (address, statement) = (backend.address(), AssertSqlSafe(values_of(place)));
    let rows: Vec<String> = match place {
        Place::Postgres => {
            let mut connection = PgConnection::connect(address).await.unwrap();
            sqlx::query(statement).fetch_all(&mut connection).await.unwrap().iter().map(|row| row.get(0)).collect()
        }
        Place::MariaDb => {
            let mut connection = MySqlConnection::connect(address).await.unwrap();
            sqlx::query(statement).fetch_all(&mut connection).await.unwrap().iter().map(|row| row.get(0)).collect()
        }
        _ => {
            let mut connection = SqliteConnection::connect(address).await.unwrap();
            sqlx::query(statement).fetch_all(&mut connection).await.unwrap().iter().map(|row| row.get(0)).collect()
        }
    };
    let columns =
        if place == Place::MariaDb { COLUMNS.join(", ").replacen("key", "`key`", 1) } else { COLUMNS.join(", ") };
    let insert = |row: &String| format!("INSERT INTO session_records ({columns})\n    VALUES ({row});\n");
    format!("{schema}\n{}", rows.iter().map(insert).collect::<String>())
}

/// Puts into an empty database what [`dump`] has found.
async fn restore(place: Place, base: &Base, dumped: &str) {
    let backend = match base {
        Base::Nowhere => return,
        Base::Redis(server) => return restore_redis(server, dumped),
        Base::Sql(backend) => backend,
    };
    let (address, script) = (backend.address(), AssertSqlSafe(dumped.to_owned()));
    match place {
        Place::Postgres => {
            sqlx::raw_sql(script).execute(&mut PgConnection::connect(address).await.unwrap()).await.map(drop)
        }
        Place::MariaDb => {
            sqlx::raw_sql(script).execute(&mut MySqlConnection::connect(address).await.unwrap()).await.map(drop)
        }
        _ => {
            let file = format!("{address}?mode=rwc");
            sqlx::raw_sql(script).execute(&mut SqliteConnection::connect(&file).await.unwrap()).await.map(drop)
        }
    }
    .unwrap();
}

/// A command for each key. The keys' times to live are left out: Redis counts them by its own clock.
fn dump_redis(server: &Server) -> String {
    let mut redis = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    let mut keys: Vec<Vec<u8>> = redis.keys("*").unwrap();
    keys.sort();
    let command = |key: Vec<u8>| {
        let kind: String = redis::cmd("TYPE").arg(&key).query(&mut redis).unwrap();
        let (command, values): (_, Vec<Vec<u8>>) = match &*kind {
            "string" => ("SET", vec![redis.get(&key).unwrap()]),
            "hash" => ("HSET", redis::cmd("HGETALL").arg(&key).query(&mut redis).unwrap()),
            "set" => ("SADD", redis.smembers(&key).unwrap()),
            "zset" => {
                let members: Vec<Vec<u8>> =
                    redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).arg("WITHSCORES").query(&mut redis).unwrap();
                ("ZADD", members.chunks(2).flat_map(|pair| [pair[1].clone(), pair[0].clone()]).collect())
            }
            _ => panic!("{kind}"),
        };
        let words = [command.as_bytes().to_vec(), key].into_iter().chain(values);
        words.map(|word| escape(&word)).collect::<Vec<_>>().join(" ") + "\n"
    };
    keys.into_iter().map(command).collect()
}

fn restore_redis(server: &Server, dumped: &str) {
    let mut redis = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    for line in dumped.lines() {
        let mut words = line.split(' ').map(unescape);
        let mut command = redis::cmd(&String::from_utf8(words.next().unwrap()).unwrap());
        words.for_each(|word| {
            command.arg(word);
        });
        command.exec(&mut redis).unwrap();
    }
}

/// A word of printable ASCII: every other byte is `%` and two hexadecimal digits.
fn escape(word: &[u8]) -> String {
    let escaped = |byte: &u8| match byte {
        b'!'..=b'~' if *byte != b'%' => char::from(*byte).to_string(),
        _ => format!("%{byte:02x}"),
    };
    word.iter().map(escaped).collect()
}

fn unescape(word: &str) -> Vec<u8> {
    let mut parts = word.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    bytes
}

/// The head of a request as one version made it possible, and the id of its session.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    cookie: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    authorization: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    id: String,
}

#[derive(SessionData)]
#[session(redirect = "/log-in", return_to)]
struct Member {
    user: String,
}

#[derive(Serialize, Deserialize, TicketData)]
#[ticket(name = "oauth", lifetime = "10m")]
struct OAuth {
    state: String,
}

fn app() -> Router {
    Router::new()
        .route("/plain", get(plain))
        .route("/large", get(large))
        .route("/member", get(member))
        .route("/bob", get(bob))
        .route("/bearer", get(bearer))
        .route("/rotate", get(async |session: Session| session.rotate()))
        .route(
            "/log-out",
            get(async |session: Session| {
                let _ = session.destroy();
            }),
        )
        .route("/messages", get(messages))
        .route("/refused", get(refused))
        .route("/account", get(async |member: Session<Member>| member.user.clone()))
        .route("/ticket", get(async || Ticket::new(OAuth { state: "first".to_owned() })))
        .route("/visit", get(async |session: Session| session.insert("later", true)))
        .route("/return", get(async |session: Session| session.return_to("/")))
        .route("/read", get(read))
}

async fn plain(session: Session) -> Result<String, Error> {
    session.insert("visits", 3)?;
    session.insert("name", "Ada Löwe \u{2615}")?;
    session.insert("cart", [json!({"item": "tea", "price": 0.1}), json!(u64::MAX), json!([true, "\"\\\n"])])?;
    Ok(session.id().to_string())
}

async fn large(session: Session) -> Result<String, Error> {
    session.insert("large", "0123456789abcdef".repeat(300))?;
    Ok(session.id().to_string())
}

async fn member(session: Session) -> Result<String, Error> {
    session.insert("user", "ada")?;
    session.set_owner("ada")?;
    session.set_label("Firefox on Linux")?;
    session.set_lifetime(Duration::from_secs(20 * 24 * HOUR));
    session.set_idle_timeout(Duration::from_secs(2 * HOUR));
    session.confirm();
    Ok(session.id().to_string())
}

async fn bob(session: Session) -> Result<String, Error> {
    session.insert("user", "bob")?;
    session.set_owner("bob")?;
    Ok(session.id().to_string())
}

async fn bearer(session: Session) -> Result<String, Error> {
    session.insert("user", "eve")?;
    session.bearer_token().await
}

async fn messages(flash: Flash) {
    flash.success("Saved.");
    flash.success(Message::new("Deleted.").with("undo", "/undo/7").with("count", 2));
    flash.add("notice", "Grüße");
}

async fn refused() -> impl IntoResponse {
    let form = [("name", ""), ("colour", "red"), ("colour", "plum"), ("password", "hunter2")];
    Redirect::to("/").with_input(&form).with_errors([("name", "Enter a name.")])
}

/// All that a handler can read of a request.
async fn read(session: Session, flash: Flash, ticket: Ticket<OAuth>) -> Json<Value> {
    let mut all = json!({});
    let seconds = |time: SystemTime| unix_seconds(time);
    if !session.is_empty() {
        all["id"] = session.id().to_string().into();
        all["entries"] = serde_json::to_value(&session).unwrap();
        all["created_at"] = seconds(session.created_at()).into();
        all["expires_at"] = seconds(session.expires_at()).into();
        all["confirmed"] = session.confirmed_within(Duration::from_secs(60)).into();
    }
    if let Some(ended) = session.ended() {
        all["ended"] = format!("{ended:?}").into();
    }
    if !flash.is_empty() {
        let messages = flash.messages();
        all["messages"] = messages.iter().map(|message| serde_json::to_value(message).unwrap()).collect();
    }
    let (input, errors) = (flash.input(), flash.errors());
    if !input.is_empty() {
        let fields = ["name", "colour", "password"];
        all["input"] = fields.iter().map(|field| json!(input.get_all(field))).collect();
        all["errors"] = errors.iter().map(|(field, text)| json!([field, text])).collect();
    }
    if let Some(oauth) = ticket.value() {
        all["ticket"] = oauth.state.clone().into();
    }
    Json(all)
}

/// What [`read`] answers to a request of this story, without the id.
fn expected(story: &str) -> Value {
    let live = |entries: Value, idle: u64, confirmed: bool| json!({"entries": entries, "created_at": NOW, "expires_at": NOW + idle, "confirmed": confirmed});
    match story {
        "plain" | "rotated" => live(
            json!({
                "visits": 3,
                "name": "Ada Löwe ☕",
                "cart": [{"item": "tea", "price": 0.1}, 18_446_744_073_709_551_615_u64, [true, "\"\\\n"]],
            }),
            24 * HOUR,
            false,
        ),
        "large" => live(json!({"large": "0123456789abcdef".repeat(300)}), 24 * HOUR, false),
        "member" => live(json!({"user": "ada"}), 2 * HOUR, true),
        "bearer" => live(json!({"user": "eve"}), 24 * HOUR, false),
        "logged_out" | "revoked" => json!({"ended": "Elsewhere"}),
        "messages" => json!({"messages": [
            {"key": "success", "text": "Saved.", "data": {}},
            {"key": "success", "text": "Deleted.", "data": {"undo": "/undo/7", "count": 2}},
            {"key": "notice", "text": "Grüße", "data": {}},
        ]}),
        "refused" => json!({"input": [[""], ["red", "plum"], []], "errors": [["name", "Enter a name."]]}),
        "wanted" => json!({}),
        "ticket" => json!({"ticket": "first"}),
        _ => panic!("{story}"),
    }
}

/// The stories of an engine in the first version.
fn stories_of(engine: Engine) -> Vec<&'static str> {
    let mut stories = vec!["member", "messages", "plain", "refused", "ticket", "wanted"];
    if engine.place != Place::Nowhere {
        stories.extend(["logged_out", "revoked", "rotated"]);
    }
    if engine.keeps_sessions() {
        stories.push("bearer");
    }
    if engine.name == "chunked" {
        stories.push("large");
    }
    stories.sort_unstable();
    stories
}

/// Makes the session, the messages or the end that a story tells of.
async fn tell(story: &str, app: &Router, layer: &SessionLayer) -> Kept {
    let mut jar = Jar::default();
    let mut kept = Kept::default();
    match story {
        "plain" | "large" | "member" => kept.id = jar.get(app, &format!("/{story}")).await,
        "messages" | "refused" | "ticket" => drop(jar.get(app, &format!("/{story}")).await),
        "wanted" => drop(jar.get(app, "/account?tab=2").await),
        "logged_out" | "rotated" => {
            kept.id = jar.get(app, "/plain").await;
            let path = if story == "rotated" { "/rotate" } else { "/log-out" };
            jar.clone().get(app, path).await;
        }
        "revoked" => {
            kept.id = jar.get(app, "/bob").await;
            layer.sessions().destroy_all("bob").await.unwrap();
        }
        "bearer" => kept.authorization = format!("Bearer {}", jar.get(app, "/bearer").await),
        _ => panic!("{story}"),
    }
    if kept.authorization.is_empty() {
        kept.cookie = jar.header();
    }
    kept
}

async fn ask(app: &Router, path: &str, kept: &Kept) -> axum::response::Response {
    let mut request = Request::get(path);
    for (name, value) in [("cookie", &kept.cookie), ("authorization", &kept.authorization)] {
        if !value.is_empty() {
            request = request.header(name, value);
        }
    }
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn json_of(response: axum::response::Response) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), 100_000).await.unwrap()).unwrap()
}

/// Reads the files of each version for one engine.
async fn reads_each_version(name: &str) {
    let engine = Engine::named(name);
    for version in versions() {
        let file = version.join(format!("{name}.json"));
        let stories: BTreeMap<String, Kept> = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        if version.ends_with("0.1.0") {
            assert_eq!(stories.keys().collect::<Vec<_>>(), stories_of(engine), "{}", file.display());
        }
        let base = Base::new(engine.place).await;
        if engine.place != Place::Nowhere {
            let records = fs::read_to_string(version.join(records_file(engine))).unwrap();
            restore(engine.place, &base, &records).await;
        }
        let (app, layer, clock) = engine.app(&base).await;
        clock.set(LATER);
        for (story, kept) in &stories {
            let mut answer = json_of(ask(&app, "/read", kept).await).await;
            let id = answer.as_object_mut().unwrap().remove("id");
            assert_eq!(answer, expected(story), "{}: {story}", file.display());
            if let Some(id) = id
                && !["bearer", "rotated"].contains(&&**story)
            {
                assert_eq!(id, kept.id, "{}: {story}", file.display());
            }
        }
        let wanted = ask(&app, "/return", &stories["wanted"]).await;
        assert_eq!(wanted.headers()["location"], "/account?tab=2", "{}", file.display());
        goes_on(engine, &app, &layer, &stories).await;
    }
}

/// The sessions take further entries, and belong to their owners.
async fn goes_on(engine: Engine, app: &Router, layer: &SessionLayer, stories: &BTreeMap<String, Kept>) {
    let written = ask(app, "/visit", &stories["plain"]).await;
    assert_eq!(written.status(), 200);
    if engine.keeps_sessions() {
        let answer = json_of(ask(app, "/read", &stories["plain"]).await).await;
        assert_eq!((&answer["entries"]["later"], &answer["entries"]["visits"]), (&json!(true), &json!(3)));
        let devices = layer.sessions().of("ada").await.unwrap();
        let [device] = &devices[..] else { panic!("{devices:?}") };
        assert_eq!(
            (device.id.to_string(), device.label.as_deref()),
            (stories["member"].id.clone(), Some("Firefox on Linux"))
        );
        assert_eq!((unix_seconds(device.created_at), unix_seconds(device.last_seen)), (NOW, NOW));
    }
    if engine.place != Place::Nowhere {
        layer.sessions().destroy_all("ada").await.unwrap();
        let answer = json_of(ask(app, "/read", &stories["member"]).await).await;
        assert_eq!(answer, json!({"ended": "Elsewhere"}));
    }
}

fn records_file(engine: Engine) -> String {
    format!("{}.{}", engine.name, if engine.place == Place::Redis { "redis" } else { "sql" })
}

macro_rules! each_version_is_read {
    ($($engine:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $engine() {
                reads_each_version(stringify!($engine)).await;
            }
        )+

        #[test]
        fn each_engine_is_read() {
            assert_eq!(ENGINES.map(|engine| engine.name), [$(stringify!($engine)),+]);
        }
    };
}

each_version_is_read!(signed encrypted chunked revocations sqlite encrypted_records postgres mariadb redis);

#[test]
fn values_in_links_open() {
    for version in versions() {
        let text = fs::read_to_string(version.join("values.json")).unwrap();
        let [signed, encrypted]: [String; 2] = serde_json::from_str(&text).unwrap();
        let sealer = keys().sealer("confirm-email").clock(ManualClock::at(LATER));
        assert_eq!(sealer.open::<Value>(&signed), Some(json!({"address": "ada@example.com"})));
        assert_eq!(sealer.encrypted().open::<Value>(&encrypted), Some(json!({"address": "ada@example.com"})));
    }
}

#[test]
fn this_version_has_its_files() {
    assert!(directory().join(env!("CARGO_PKG_VERSION")).is_dir(), "write them with tests/golden");
}

/// `tests/golden` copies these files for a version that has none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_of_this_version_can_be_written() {
    let version = env!("CARGO_PKG_VERSION");
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/golden").join(version);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    for engine in ENGINES {
        let base = Base::new(engine.place).await;
        let (app, layer, _clock) = engine.app(&base).await;
        let mut stories = BTreeMap::new();
        for story in stories_of(engine) {
            stories.insert(story, tell(story, &app, &layer).await);
        }
        let file = directory.join(format!("{}.json", engine.name));
        fs::write(file, serde_json::to_string_pretty(&stories).unwrap() + "\n").unwrap();
        if engine.place != Place::Nowhere {
            fs::write(directory.join(records_file(engine)), dump(engine.place, &base).await).unwrap();
        }
    }
    let sealer = keys().sealer("confirm-email").clock(ManualClock::at(NOW));
    let value = json!({"address": "ada@example.com"});
    let seal = |sealer: session_axum::Sealer| sealer.seal(&value, Duration::from_secs(HOUR)).unwrap();
    let values = [seal(sealer.clone()), seal(sealer.encrypted())];
    fs::write(directory.join("values.json"), serde_json::to_string_pretty(&values).unwrap() + "\n").unwrap();
    let files = |directory: &Path| -> BTreeSet<_> {
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    let known = self::directory().join(version);
    assert!(!known.is_dir() || files(&known) == files(&directory), "{:?}", files(&directory));
}
