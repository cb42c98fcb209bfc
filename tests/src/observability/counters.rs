//! The counters of the feature `metrics`, for each engine.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Redirect},
    routing::get,
};
use metrics::set_default_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use session_axum::{
    Error, Flash, Keys, Session, SessionData, SessionLayer, SessionResponseExt, Sessions, Ticket, TicketData,
    testing::{Client, ManualClock, TestSession},
};
use session_core::token::{Protection, Purpose};
use session_stores::MemoryStore;

use crate::support::{
    app::{NOW, OLD_SECRET, keys},
    backends::Backend,
    reference::body,
    watched::{Fault, Watched},
};

/// What was counted since the last look.
struct Counts(Snapshotter);

impl Counts {
    fn of(recorder: &DebuggingRecorder) -> Self {
        Self(recorder.snapshotter())
    }

    fn all(&self) -> BTreeMap<String, DebugValue> {
        let values = self.0.snapshot().into_vec().into_iter().map(|(key, .., value)| {
            let labels: Vec<_> = key.key().labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            (format!("{}{labels}", key.key().name()), value)
        });
        let is_new = |value: &DebugValue| match value {
            DebugValue::Counter(count) => *count > 0,
            DebugValue::Histogram(values) => !values.is_empty(),
            DebugValue::Gauge(_) => true,
        };
        values.filter(|(_, value)| is_new(value)).collect()
    }

    /// The counters of sessions, such as `created_total 1`.
    fn of_sessions(&self) -> Vec<String> {
        let counted = self.all().into_iter().filter_map(|(name, value)| match value {
            DebugValue::Counter(count) if !name.starts_with("session_store") => {
                Some(format!("{} {count}", name.strip_prefix("session_").unwrap()))
            }
            _ => None,
        });
        counted.collect()
    }
}

#[derive(SessionData)]
struct Visitor {
    name: String,
}

#[derive(SessionData)]
#[session(redirect = "/log-in", return_to)]
struct Member {
    member: String,
}

#[derive(serde::Serialize, serde::Deserialize, TicketData)]
#[ticket(name = "oauth", path = "/", lifetime = "10m")]
struct OAuth {
    state: String,
}

fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/insert", get(async |session: Session| session.insert("name", "ada")))
        .route("/log-in-here", get(log_in_without_cookies))
        .route("/read", get(async |session: Session| session.get::<String>("name").map(Option::unwrap_or_default)))
        .route("/renew", get(async |session: Session| session.renew()))
        .route("/rotate", get(async |session: Session| session.rotate()))
        .route("/replace", get(async || "".with_session(Visitor { name: "bob".to_owned() })))
        .route("/destroy", get(async || "".with_new_session()))
        .route("/empty", get(async |session: Session| _ = session.remove("name")))
        .route("/flash", get(async || Redirect::to("/").flashing(("success", "Saved"))))
        .route("/show", get(async |flash: Flash| flash.get("success").unwrap_or_default().to_owned()))
        .route("/ticket", get(async || Ticket::new(OAuth { state: "s".to_owned() }).into_response()))
        .route("/id", get(async |session: Session| session.id().to_string()))
        .route("/save", get(save))
        .route("/log-in", get(log_in))
        .route("/everywhere", get(async |sessions: Sessions| sessions.destroy_all("ada").await.map(|n| n.to_string())))
        .route("/every", get(async |sessions: Sessions| sessions.destroy_every().await.map(|n| n.to_string())))
        .route(
            "/fail",
            get(async |session: Session| {
                session.renew();
                StatusCode::INTERNAL_SERVER_ERROR
            }),
        )
        .route("/unread", get(async || "no session"))
        .route("/members", get(async |_: Session<Member>| "members"))
        .layer(layer)
}

async fn save(session: Session) -> Result<(), Error> {
    session.insert("name", "ada")?;
    session.save().await?;
    session.save().await
}

async fn log_in(session: Session) -> Result<(), Error> {
    session.renew();
    session.insert("name", "ada")?;
    session.set_owner("ada")
}

async fn log_in_without_cookies(session: Session) -> Result<String, Error> {
    log_in(session.clone()).await?;
    session.bearer_token().await
}

/// Each engine, with a clock.
async fn engines() -> Vec<(&'static str, SessionLayer, ManualClock, Option<Backend>)> {
    let sqlite = Backend::sqlite();
    let clock = ManualClock::at(NOW);
    let layers = [
        ("signed", SessionLayer::signed(keys()), None),
        ("encrypted", SessionLayer::encrypted(keys()), None),
        ("revocable", SessionLayer::signed(keys()).revocations(MemoryStore::new()), None),
        ("memory", SessionLayer::stored(MemoryStore::new(), keys()), None),
        ("sqlite", SessionLayer::stored(sqlite.connect().await, keys()), Some(sqlite)),
    ];
    layers.map(|(name, layer, held)| (name, layer.clock(clock.clone()), clock.clone(), held)).into()
}

#[tokio::test]
async fn each_engine_counts_what_becomes_of_its_sessions_once() {
    let recorder = DebuggingRecorder::new();
    let (counts, _guard) = (Counts::of(&recorder), set_default_local_recorder(&recorder));
    for (engine, layer, clock, _held) in engines().await {
        let client = Client::new(app(layer)).with_clock(&clock);
        for (path, expected) in [
            ("/unread", &[][..]),
            ("/read", &[]),
            ("/insert", &["created_total 1"]),
            ("/insert", &[]),
            ("/read", &[]),
            ("/fail", &[]),
            ("/renew", &["renewed_total{kind=renew} 1"]),
            ("/rotate", &["renewed_total{kind=rotate} 1"]),
            ("/replace", &["renewed_total{kind=replace} 1"]),
            ("/destroy", &["destroyed_total{cause=request} 1"]),
            ("/destroy", &[]),
            ("/save", &["created_total 1"]),
            ("/empty", &["destroyed_total{cause=emptied} 1"]),
            ("/renew", &[]),
            ("/log-in", &["created_total 1"]),
        ] {
            assert!(client.get(path).await.status().as_u16() < 500 || path == "/fail", "{engine} {path}");
            assert_eq!(counts.of_sessions(), expected, "{engine} {path}");
        }
        clock.advance(Duration::from_secs(25 * 60 * 60));
        client.get("/unread").await;
        assert_eq!(counts.of_sessions(), [""; 0], "{engine}: nothing is looked up that no handler asks for");
        client.get("/read").await;
        assert_eq!(counts.of_sessions(), ["expired_total 1"], "{engine}");
        client.get("/insert").await;
        assert_eq!(counts.of_sessions(), ["created_total 1", "expired_total 1"], "{engine}");
    }
}

#[tokio::test]
async fn a_layer_without_sessions_counts_nothing() {
    let recorder = DebuggingRecorder::new();
    let (counts, _guard) = (Counts::of(&recorder), set_default_local_recorder(&recorder));
    let client = Client::new(app(SessionLayer::null()));
    client.set_cookie("__Host-session", "forged");
    for path in ["/insert", "/renew", "/destroy", "/flash", "/show", "/read"] {
        client.get(path).await;
    }
    assert_eq!(counts.all().into_keys().collect::<Vec<_>>(), [""; 0]);
}

/// A value with another last letter but one, which no padding ignores.
fn tampered(value: &str) -> String {
    let (start, end) = value.split_at(value.len() - 2);
    let other = if end.starts_with('A') { 'B' } else { 'A' };
    format!("{start}{other}{}", &end[1..])
}

#[tokio::test]
async fn each_engine_counts_why_a_cookie_is_refused() {
    let recorder = DebuggingRecorder::new();
    let (counts, _guard) = (Counts::of(&recorder), set_default_local_recorder(&recorder));
    let refused = |reason: &str| vec![format!("refused_total{{cookie=session,reason={reason}}} 1")];
    for (engine, layer, clock, _held) in engines().await {
        let app = app(layer.clone());
        let session = || TestSession::new(&layer).insert("name", "ada");
        let cookie_of = |cookies: Vec<(String, String)>| cookies[0].1.clone();
        let good = cookie_of(session().saved().await.cookies());
        let stranger = match engine {
            "encrypted" => SessionLayer::encrypted(Keys::new(OLD_SECRET).unwrap()),
            _ => SessionLayer::signed(Keys::new(OLD_SECRET).unwrap()),
        };
        let stranger = cookie_of(TestSession::new(&stranger).insert("name", "eve").cookies());
        let another = match engine {
            "encrypted" => SessionLayer::encrypted(keys()),
            "memory" | "sqlite" => SessionLayer::stored(MemoryStore::new(), keys()),
            _ => SessionLayer::signed(keys()),
        };
        let of_another_application =
            cookie_of(TestSession::new(&another.application("forum")).insert("name", "eve").saved().await.cookies());
        counts.all();
        for (value, reason) in [
            ("short", "malformed"),
            (&*stranger, "unknown_key"),
            (&tampered(&good), "forged"),
            (&of_another_application, "forged"),
        ] {
            let client = Client::new(app.clone()).with_clock(&clock);
            client.set_cookie("__Host-session", value);
            assert_eq!(client.get("/read").await.text(), "", "{engine} {reason}");
            assert_eq!(counts.of_sessions(), refused(reason), "{engine}");
        }
        let header = |values: &[&str]| {
            values.iter().map(|value| format!("__Host-session={value}")).collect::<Vec<_>>().join("; ")
        };
        let get = async |cookies: &str, expected: Vec<String>| {
            Client::new(app.clone()).get("/read").header("cookie", cookies).await;
            assert_eq!(counts.of_sessions(), expected, "{engine} {cookies}");
        };
        // A flood is one refusal, and a good cookie still counts.
        get(&header(&["a", "b", "c", "d", "e", "f", &good]), refused("malformed")).await;
        get(&header(&["x", &stranger, &good]), [refused("malformed"), refused("unknown_key")].concat()).await;
        let (other, third) = (session().saved().await.cookies(), session().saved().await.cookies());
        let (other, third) = (cookie_of(other), cookie_of(third));
        counts.all();
        get(&header(&[&good, &other]), refused("rivals")).await;
        let tampered = tampered(&good);
        let six = [&*good, &*other, &*third, &*tampered, &*of_another_application, &*stranger];
        get(&header(&six), [refused("too_many"), refused("unknown_key")].concat()).await;
        // The clock of another instance is ahead.
        clock.set(NOW - 61);
        get(&header(&[&good]), refused("future")).await;
        clock.set(NOW);
    }
}

#[tokio::test]
async fn a_session_that_was_ended_elsewhere_or_is_unknown_is_a_refusal() {
    let recorder = DebuggingRecorder::new();
    let (counts, _guard) = (Counts::of(&recorder), set_default_local_recorder(&recorder));
    for (engine, layer, clock, _held) in engines().await {
        let app = app(layer.clone());
        let [client, copy] = [(); 2].map(|()| Client::new(app.clone()).with_clock(&clock));
        client.get("/insert").await;
        copy.set_cookie("__Host-session", &client.cookie("__Host-session").unwrap());
        client.get("/destroy").await;
        counts.all();
        copy.get("/read").await;
        assert_eq!(counts.of_sessions(), ["refused_total{cookie=session,reason=ended} 1"], "{engine}");
    }
    let lost = SessionLayer::stored(MemoryStore::new(), keys());
    let elsewhere = SessionLayer::stored(MemoryStore::new(), keys());
    let client = Client::new(app(lost));
    client.enter(&TestSession::new(&elsewhere).insert("name", "ada").saved().await);
    counts.all();
    client.get("/read").await;
    assert_eq!(counts.of_sessions(), ["refused_total{cookie=session,reason=unknown} 1"]);
}

#[tokio::test]
async fn content_that_cannot_be_read_is_a_refusal() {
    let recorder = DebuggingRecorder::new();
    let (counts, _guard) = (Counts::of(&recorder), set_default_local_recorder(&recorder));
    let unreadable = ["refused_total{cookie=session,reason=unreadable} 1"];
    let watched = Watched::new();
    let layer = SessionLayer::stored(watched.clone(), keys());
    let client = Client::new(app(layer.clone()));
    client.get("/insert").await;
    watched.fail(Fault::Unreadable, 1);
    counts.all();
    client.get("/read").await;
    assert_eq!(counts.of_sessions(), unreadable);

    for (protection, layer) in
        [(Protection::Signed, SessionLayer::signed(keys())), (Protection::Encrypted, SessionLayer::encrypted(keys()))]
    {
        let ring = keys().ring(protection, Purpose::Session, "__Host-session", "");
        let client = Client::new(app(layer.clock(ManualClock::at(NOW))));
        client.set_cookie("__Host-session", &ring.seal(&body(NOW, NOW, [1; 16], b"no JSON")).unwrap());
        client.get("/read").await;
        assert_eq!(counts.of_sessions(), unreadable);
    }
}

#[tokio::test]
async fn messages_count_as_sessions_do() {
    let recorder = DebuggingRecorder::new();
    let (counts, _guard) = (Counts::of(&recorder), set_default_local_recorder(&recorder));
    let refused = |reason: &str| vec![format!("refused_total{{cookie=flash,reason={reason}}} 1")];
    for (engine, layer, clock, _held) in engines().await {
        let app = app(layer);
        let giver = Client::new(app.clone()).with_clock(&clock);
        giver.get("/flash").await;
        let name = giver.cookie_names().into_iter().find(|name| name.contains("flash")).unwrap();
        let good = giver.cookie(&name).unwrap();
        for (name, value, reason) in [
            (&*name, "short", "malformed"),
            (&*name, &*tampered(&good), "forged"),
            ("__Host-flash.AAAAAAAAAAAAAAAAAAAAAA", &good, "forged"),
        ] {
            let page = Client::new(app.clone()).get("/show").header("cookie", &format!("{name}={value}")).await;
            assert_eq!((page.text().as_str(), counts.of_sessions()), ("", refused(reason)), "{engine} {reason}");
        }
        clock.advance(Duration::from_secs(5 * 60 + 1));
        Client::new(app.clone()).get("/show").header("cookie", &format!("{name}={good}")).await;
        assert_eq!(counts.of_sessions(), refused("expired"), "{engine}");
    }
}

#[tokio::test]
async fn a_bearer_token_counts_as_a_cookie_does() {
    let recorder = DebuggingRecorder::new();
    let (counts, _guard) = (Counts::of(&recorder), set_default_local_recorder(&recorder));
    let client = Client::new(app(SessionLayer::stored(MemoryStore::new(), keys()).bearer()));
    client.get("/read").header("authorization", "Bearer abc").await;
    assert_eq!(counts.of_sessions(), ["refused_total{cookie=bearer,reason=malformed} 1"]);

    let token = client.get("/log-in-here").await.text().clone();
    let with_token = async |path: &str| client.get(path).bearer_auth(&token).await;
    assert_eq!(with_token("/read").await.text(), "ada");
    with_token("/destroy").await;
    counts.all();
    assert_eq!(with_token("/read").await.text(), "");
    assert_eq!(counts.of_sessions(), ["refused_total{cookie=bearer,reason=ended} 1"]);
}

#[tokio::test]
async fn log_outs_from_outside_are_counted_where_their_number_is_known() {
    let recorder = DebuggingRecorder::new();
    let (counts, _guard) = (Counts::of(&recorder), set_default_local_recorder(&recorder));
    for (engine, layer, clock, _held) in engines().await.into_iter().skip(2) {
        let app = app(layer);
        for (path, sessions) in [("/everywhere", 3), ("/every", 2)] {
            for _ in 0..sessions {
                Client::new(app.clone()).with_clock(&clock).get("/log-in").await;
            }
            counts.all();
            assert_eq!(Client::new(app.clone()).with_clock(&clock).get(path).await.status(), 200);
            let expected = format!("destroyed_total{{cause=revoked}} {sessions}");
            let known = engine != "revocable"; // one entry of the list ends them all
            assert_eq!(counts.of_sessions(), known.then_some(expected).into_iter().collect::<Vec<_>>(), "{engine}");
        }
    }
    let app = app(SessionLayer::stored(MemoryStore::new(), keys()).sessions_per_owner(1));
    Client::new(app.clone()).get("/log-in").await;
    counts.all();
    Client::new(app).get("/log-in").await;
    assert_eq!(counts.of_sessions(), ["created_total 1", "destroyed_total{cause=limit} 1"]);
}

#[tokio::test]
async fn a_detached_handle_counts_as_a_request_does() {
    async fn detach(session: Session) -> Result<(), Error> {
        session.insert("name", "ada")?;
        session.save().await?;
        let detached = session.detached();
        detached.insert("more", 1).await?;
        detached.remove("more").await?;
        detached.remove("name").await.map(drop)
    }
    let recorder = DebuggingRecorder::new();
    let (counts, _guard) = (Counts::of(&recorder), set_default_local_recorder(&recorder));
    let layer = SessionLayer::stored(MemoryStore::new(), keys());
    let client = Client::new(Router::new().route("/", get(detach)).layer(layer));
    assert_eq!(client.get("/").await.status(), 200);
    assert_eq!(counts.of_sessions(), ["created_total 1", "destroyed_total{cause=emptied} 1"]);
}

#[tokio::test]
async fn a_session_that_moves_to_another_engine_is_no_new_one() {
    let recorder = DebuggingRecorder::new();
    let (counts, _guard) = (Counts::of(&recorder), set_default_local_recorder(&recorder));
    let former = SessionLayer::signed(keys()).name("__Host-former").unwrap();
    let until = std::time::SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    for layer in [SessionLayer::encrypted(keys()), SessionLayer::stored(MemoryStore::new(), keys())] {
        let client = Client::new(app(layer.migrating_from(former.clone(), until)));
        client.enter(&TestSession::new(&former).insert("name", "ada"));
        assert_eq!(client.get("/read").await.text(), "ada");
        assert_eq!(client.cookie_names(), ["__Host-session"]);
        assert_eq!(counts.of_sessions(), [""; 0]);
        client.set_cookie("__Host-former", "short");
        client.get("/destroy").await;
        assert_eq!(counts.of_sessions(), ["destroyed_total{cause=request} 1"]);
        client.set_cookie("__Host-former", "short");
        client.get("/read").await;
        assert_eq!(counts.of_sessions(), ["refused_total{cookie=session,reason=malformed} 1"]);
    }
}

/// The sizes of the cookies of this kind that were set.
fn bytes(counted: &BTreeMap<String, DebugValue>, kind: &str) -> Vec<usize> {
    match counted.get(&format!("session_cookie_bytes{{cookie={kind}}}")) {
        Some(DebugValue::Histogram(values)) => values.iter().map(|value| value.0 as usize).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_cookie_that_is_set_counts_with_its_bytes() {
    let recorder = DebuggingRecorder::new();
    let (counts, _guard) = (Counts::of(&recorder), set_default_local_recorder(&recorder));
    for (engine, layer, clock, _held) in engines().await {
        let client = Client::new(app(layer)).with_clock(&clock);
        for (path, kind) in
            [("/insert", "session"), ("/flash", "flash"), ("/ticket", "ticket"), ("/members", "return_to")]
        {
            let page = client.get(path).await;
            let pair = page.set_cookies()[0].split(';').next().unwrap().to_owned();
            assert_eq!(bytes(&counts.all(), kind), [pair.len() - 1], "{engine} {path}");
        }
        client.get("/destroy").await;
        let removed = counts.all().into_keys().filter(|name| name.starts_with("session_cookie_bytes")).count();
        assert_eq!(removed, 0, "{engine}: a removal sets no cookie");
    }
    let layer = SessionLayer::signed(keys()).chunked(2);
    async fn large(session: Session) -> Result<(), Error> {
        session.insert("name", "x".repeat(5_000))
    }
    Client::new(Router::new().route("/", get(large)).layer(layer)).get("/").await;
    let pieces = bytes(&counts.all(), "session");
    assert!(pieces.len() == 2 && pieces[0] == 4_096, "{pieces:?}");
}

#[tokio::test]
async fn each_call_of_a_store_counts_with_its_outcome_and_time() {
    let recorder = DebuggingRecorder::new();
    let (counts, _guard) = (Counts::of(&recorder), set_default_local_recorder(&recorder));
    let store = Watched::new();
    let client = Client::new(app(SessionLayer::stored(store.clone(), keys()).store_timeout(Duration::from_millis(80))));
    let calls = |path: &'static str| {
        let (client, counts) = (&client, &counts);
        async move {
            client.get(path).await;
            let mut counted = counts.all();
            counted.retain(|name, _| name.starts_with("session_store"));
            counted
        }
    };
    let call = |operation: &str, outcome: &str| {
        format!("session_store_calls_total{{operation={operation},outcome={outcome}}}")
    };
    let created = calls("/insert").await;
    assert_eq!(created[&call("create", "ok")], DebugValue::Counter(1));
    assert_eq!(created.len(), 2, "{created:?}");
    let DebugValue::Histogram(seconds) = &created["session_store_call_duration_seconds{operation=create}"] else {
        panic!("{created:?}")
    };
    assert!(seconds.len() == 1 && seconds[0].0 > 0.0 && seconds[0].0 < 10.0, "{seconds:?}");
    let renewed = calls("/renew").await;
    assert_eq!(
        renewed.keys().filter(|name| name.contains("calls")).cloned().collect::<Vec<_>>(),
        [call("load", "ok"), call("rename", "ok")]
    );
    for (fault, outcome) in
        [(Fault::Refused, "refused"), (Fault::Unreadable, "unreadable"), (Fault::LostBefore, "unavailable")]
    {
        store.fail(fault, 2);
        assert_eq!(calls("/read").await[&call("load", outcome)], DebugValue::Counter(1), "{fault:?}");
        store.recover();
    }
    store.fail(Fault::Hang, 1);
    let hung = calls("/read").await;
    assert_eq!(hung[&call("load", "unavailable")], DebugValue::Counter(1));
    let DebugValue::Histogram(seconds) = &hung["session_store_call_duration_seconds{operation=load}"] else {
        panic!("{hung:?}")
    };
    assert!(seconds[0].0 >= 0.08, "{seconds:?}");
    // One lost answer is asked for again: it is one call.
    store.fail(Fault::LostBefore, 1);
    assert_eq!(calls("/read").await[&call("load", "ok")], DebugValue::Counter(1));
}

#[tokio::test]
async fn the_sweep_of_a_store_counts_as_a_call() {
    let recorder = DebuggingRecorder::new();
    let (counts, _guard) = (Counts::of(&recorder), set_default_local_recorder(&recorder));
    let layer = SessionLayer::stored(MemoryStore::new(), keys()).sweep_every(Duration::from_secs(1));
    let client = Client::new(app(layer)); // the sweep ends with the store
    client.get("/insert").await;
    let swept = "session_store_calls_total{operation=delete_expired,outcome=ok}";
    for _ in 0..100 {
        if counts.all().contains_key(swept) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no sweep within 10 seconds");
}

/// The words of a function of observe.rs that makes labels.
fn words<'a>(item: &str, function: &str) -> Vec<&'a str> {
    let source = include_str!("../../../session-axum/src/observe.rs").split(item).nth(1).unwrap();
    let body = source.split(function).nth(1).unwrap().split("\n    }\n").next().unwrap();
    body.split("=> \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn the_page_has_each_reason_and_each_word_of_a_label() {
    let page = include_str!("../../../docs/observability.md");
    let table = page.split("### Why a cookie is refused").nth(1).unwrap().split("\n## ").next().unwrap();
    let reasons: Vec<_> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(reasons, words("impl Refused {", "fn label"));
    let rows = |label: &str| page.lines().find(|line| line.starts_with(&format!("| `{label}` | "))).unwrap().to_owned();
    let has = |label: &str, words: &[&str]| {
        let row = rows(label);
        words.iter().for_each(|word| assert!(row.contains(&format!("`{word}`")), "{label}: {word}"));
    };
    has("cookie", &words("impl Sent {", "fn label"));
    has("cookie", &["return_to", "ticket"]);
    has("cause", &["request", "emptied", "revoked", "limit"]);
    has("kind", &["renew", "rotate", "replace"]);
    has("outcome", &["ok", "unavailable", "unreadable", "refused"]);
    let client = include_str!("../../../session-axum/src/engine/store_client.rs");
    let asked: Vec<_> = client.split("self.ask(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(asked.len(), 12, "{asked:?}");
    has("operation", &asked);
    has("operation", &["delete_expired"]);
}

/// What the page says of each metric: its name, its kind with the unit, its labels and its description.
fn documented() -> BTreeMap<String, (String, String, String)> {
    let page = include_str!("../../../docs/observability.md");
    let table = page.split("## The counters").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `session_"));
    let cells = rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
    let entries = cells.map(|cells| {
        let [name, kind, labels, meaning] = <[String; 4]>::try_from(cells).unwrap();
        (name.trim_matches('`').to_owned(), (kind, labels, meaning))
    });
    entries.collect()
}

#[tokio::test]
async fn the_page_has_each_metric_with_its_labels_unit_and_description() {
    let recorder = DebuggingRecorder::new();
    let (snapshots, _guard) = (recorder.snapshotter(), set_default_local_recorder(&recorder));
    let layer = SessionLayer::stored(MemoryStore::new(), keys());
    let client = Client::new(app(layer.clone()));
    for path in ["/insert", "/renew", "/destroy"] {
        client.get(path).await;
    }
    client.set_cookie("__Host-session", "short");
    client.get("/read").await;
    let clock = ManualClock::at(NOW);
    let client = Client::new(app(layer.clock(clock.clone())));
    client.get("/insert").await;
    clock.advance(Duration::from_secs(25 * 60 * 60));
    client.get("/read").await;
    let documented = documented();
    let mut seen = BTreeMap::new();
    for (key, unit, description, value) in snapshots.snapshot().into_vec() {
        let kind = match value {
            DebugValue::Counter(_) => "counter".to_owned(),
            _ => format!("histogram, {}", unit.unwrap().as_str()),
        };
        let labels: Vec<_> = key.key().labels().map(|label| format!("`{}`", label.key())).collect();
        let found = (kind, labels.join(", "), description.unwrap().to_string());
        assert_eq!(documented.get(key.key().name()), Some(&found), "{}", key.key().name());
        seen.insert(key.key().name().to_owned(), ());
    }
    assert_eq!(seen.into_keys().collect::<Vec<_>>(), documented.into_keys().collect::<Vec<_>>());
}
