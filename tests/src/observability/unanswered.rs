//! No error of a session is silent, whatever the application makes of it, and none is logged twice.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, Request},
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use session_axum::{
    Error, Keys, Session, SessionLayer, SessionRejection, Sessions,
    testing::{Client, TestSession},
};
use tracing::Instrument as _;

use crate::support::{
    app::keys,
    logs::Logs,
    watched::{Fault, Watched},
};

/// Makes each error that a handler can get.
async fn provoke(kind: &str, session: &Session, sessions: &Sessions) -> Error {
    let detached = async || {
        session.insert("a", 1)?;
        session.detached().get::<u32>("a").await
    };
    match kind {
        "decode" => {
            session.insert("a", "text").unwrap();
            session.get::<u32>("a").unwrap_err()
        }
        "take" => {
            session.insert("a", "text").unwrap();
            session.take::<u32>("a").unwrap_err()
        }
        "encode" => session.insert("a", f64::NAN).unwrap_err(),
        "reserved" => session.insert("$a", 1).unwrap_err(),
        "reserved update" => session.update("$a", |_: Option<u32>| 1).await.unwrap_err(),
        "decode update" => {
            session.insert("a", "text").unwrap();
            session.update("a", |_: Option<u32>| 1).await.unwrap_err()
        }
        "too large" => {
            session.insert("a", "x".repeat(5_000)).unwrap();
            let error = session.save().await.unwrap_err();
            session.remove("a");
            error
        }
        "owner" => session.set_owner("").unwrap_err(),
        "label" => session.set_label("").unwrap_err(),
        "no store" => sessions.of("ada").await.unwrap_err(),
        "in cookie" | "unsaved" => detached().await.unwrap_err(),
        "no bearer" => session.bearer_token().await.unwrap_err(),
        "store" => {
            session.insert("a", 1).unwrap();
            session.save().await.unwrap_err()
        }
        "sessions" => sessions.destroy_all("ada").await.unwrap_err(),
        "gone" => {
            session.insert("a", 1).unwrap();
            session.set_owner("ada").unwrap();
            session.save().await.unwrap();
            sessions.destroy_all("ada").await.unwrap();
            session.insert("a", 2).unwrap();
            session.save().await.unwrap_err()
        }
        other => panic!("{other}"),
    }
}

async fn handler(Path((way, kind)): Path<(String, String)>, session: Session, sessions: Sessions) -> Response {
    let error = provoke(&kind, &session, &sessions).await;
    match way.as_str() {
        "returned" => error.into_response(),
        "own" => (StatusCode::INTERNAL_SERVER_ERROR, "Sorry.").into_response(),
        "unavailable" => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        "attached" => attached(error),
        "page" => "Never mind.".into_response(),
        "redirect" => Redirect::to("/").into_response(),
        "missing" => StatusCode::NOT_FOUND.into_response(),
        other => panic!("{other}"),
    }
}

/// The application's own page, with the error in its extensions.
fn attached(error: Error) -> Response {
    let mut response = (StatusCode::BAD_GATEWAY, "Sorry.").into_response();
    response.extensions_mut().insert(error);
    response
}

fn app(layer: SessionLayer) -> Client {
    Client::new(Router::new().route("/{way}/{kind}", get(handler)).layer(layer))
}

/// The lines about errors since the last look: the event, and the error.
fn errors(logs: &Logs) -> Vec<String> {
    let lines = logs.take().into_iter().filter_map(|line| {
        let rest = line.strip_prefix("ERROR session_axum::error error.")?;
        let (event, fields) = rest.split_once(':').unwrap();
        let error = fields.split_once("error=")?.1.split(" message=").next()?.to_owned();
        Some(format!("{event}: {error}"))
    });
    lines.collect()
}

async fn each_way(client: &Client, kind: &str, sentence: &str, before: impl Fn()) {
    let (logs, _guard) = Logs::capture();
    for (way, event, status) in [
        ("own", "unanswered", " status=500 Internal Server Error"),
        ("unavailable", "unanswered", " status=503 Service Unavailable"),
        ("attached", "unanswered", " status=502 Bad Gateway"),
        ("returned", "answered", ""),
    ] {
        before();
        let page = client.get(&format!("/{way}/{kind}")).await;
        assert!(page.status().as_u16() >= 409, "{kind} {way}: {}", page.status());
        let lines = errors(&logs);
        let [line] = &lines[..] else { panic!("{kind} {way}: {lines:?}") };
        assert!(line.starts_with(&format!("{event}: ")) && line.ends_with(status), "{kind} {way}: {line}");
        assert!(line.contains(sentence), "{kind} {way}: {line}");
    }
    for (way, status) in [("page", 200), ("redirect", 303), ("missing", 404)] {
        before();
        let page = client.get(&format!("/{way}/{kind}")).await;
        assert_eq!((page.status().as_u16(), errors(&logs)), (status, vec![]), "{kind} {way}");
    }
}

#[tokio::test]
async fn an_error_is_logged_once_unless_the_application_handles_it() {
    let client = app(SessionLayer::signed(keys()));
    for (kind, sentence) in [
        ("decode", "the session's value for `a`, a text, cannot be read as `u32`"),
        ("take", "the session's value for `a`, a text, cannot be read as `u32`"),
        ("decode%20update", "the session's value for `a`, a text, cannot be read as `u32`"),
        ("encode", "a float that is not finite"),
        ("reserved", "the key `$a` begins with `$`"),
        ("reserved%20update", "the key `$a` begins with `$`"),
        ("too%20large", "at most 4096 are allowed"),
        ("owner", "the owner or the label"),
        ("label", "the owner or the label"),
        ("no%20store", "this layer has no session store"),
        ("in%20cookie", "this layer keeps no sessions in a store"),
        ("no%20bearer", "this layer gives out no bearer tokens"),
    ] {
        each_way(&client, kind, sentence, || client.set_cookie("__Host-session", "none")).await;
    }
}

#[tokio::test]
async fn an_error_of_a_store_is_logged_once_unless_the_application_handles_it() {
    let store = Watched::new();
    let layer = SessionLayer::stored(store.clone(), keys()).store_timeout(Duration::from_millis(150));
    let client = app(layer);
    for (fault, times, sentence) in [
        (Fault::LostBefore, 2, "the session store is not available"),
        (Fault::Refused, 1, "the session store refused the operation"),
        (Fault::Unreadable, 1, "a record in the session store cannot be read"),
    ] {
        for kind in ["store", "sessions"] {
            each_way(&client, kind, sentence, || {
                client.set_cookie("__Host-session", "none");
                store.fail(fault, times);
            })
            .await;
        }
    }
    store.recover();
    for (kind, sentence) in
        [("gone", "the session ended while its request ran"), ("unsaved", "did not save its session")]
    {
        each_way(&client, kind, sentence, || client.set_cookie("__Host-session", "none")).await;
    }
}

#[tokio::test]
async fn a_rejection_that_the_application_answers_is_logged_once() {
    async fn handler(Path(way): Path<String>, session: Result<Session, SessionRejection>) -> Response {
        match (way.as_str(), session) {
            (_, Ok(_)) => "a session".into_response(),
            ("returned", Err(rejection)) => rejection.into_response(),
            ("own", Err(_)) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            (_, Err(_)) => "no session today".into_response(),
        }
    }
    let store = Watched::new();
    let layer = SessionLayer::stored(store.clone(), keys());
    let client = Client::new(Router::new().route("/{way}", get(handler)).layer(layer.clone()));
    client.enter(&TestSession::new(&layer).insert("a", 1).saved().await);
    let (logs, _guard) = Logs::capture();
    for (way, event) in [("own", Some("unanswered")), ("returned", Some("answered")), ("page", None)] {
        store.fail(Fault::LostBefore, 2);
        client.get(&format!("/{way}")).await;
        let lines = errors(&logs);
        assert_eq!(lines.len(), usize::from(event.is_some()), "{way}: {lines:?}");
        assert!(event.is_none_or(|event| lines[0].starts_with(event)), "{lines:?}");
    }
}

#[tokio::test]
async fn two_layers_log_an_error_once() {
    let layer = SessionLayer::signed(keys());
    let outer = SessionLayer::signed(Keys::generate()).name("__Host-outer").unwrap();
    let app = Router::new().route("/{way}/{kind}", get(handler)).layer(layer).layer(outer);
    let client = Client::new(app);
    for kind in ["reserved", "no%20store"] {
        each_way(&client, kind, "", || {}).await;
    }
}

#[tokio::test]
async fn an_error_of_no_request_is_logged_if_the_response_has_it() {
    async fn seal(Path(way): Path<String>) -> Response {
        let error = Keys::generate().sealer("link").seal(&"x".repeat(5_000), Duration::from_secs(60)).unwrap_err();
        let error = Error::from(error);
        if way == "attached" { attached(error) } else { StatusCode::INTERNAL_SERVER_ERROR.into_response() }
    }
    let client = Client::new(Router::new().route("/{way}", get(seal)).layer(SessionLayer::signed(keys())));
    let (logs, _guard) = Logs::capture();
    client.get("/attached").await;
    let lines = errors(&logs);
    assert!(lines.len() == 1 && lines[0].contains("a value could not be sealed"), "{lines:?}");
    client.get("/own").await;
    assert_eq!(errors(&logs), [""; 0], "no session was involved");
}

#[tokio::test]
async fn an_earlier_request_has_no_part_in_a_later_server_error() {
    let client = app(SessionLayer::signed(keys()));
    let (logs, _guard) = Logs::capture();
    client.get("/page/reserved").await;
    let app = Router::new().route("/", get(async |_: Session| StatusCode::INTERNAL_SERVER_ERROR));
    Client::new(app.layer(SessionLayer::signed(keys()))).get("/").await;
    assert_eq!(errors(&logs), [""; 0], "an error of the application alone is its own to log");
}

/// What `fmt` writes.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_line_is_in_the_span_of_its_request() {
    async fn in_a_span(request: Request, next: Next) -> Response {
        let span = tracing::info_span!("request", path = request.uri().path());
        next.run(request).instrument(span).await
    }
    // See `Logs::capture`: with a second subscriber, each thread asks its own.
    let (_, other) = Logs::capture();
    drop(other);
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let routes = Router::new().route("/{way}/{kind}", get(handler));
    let client = Client::new(routes.layer(SessionLayer::signed(keys())).layer(from_fn(in_a_span)));
    client.get("/own/reserved").await;
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let line = text.lines().find(|line| line.contains("ERROR")).unwrap();
    assert!(line.contains("request{path=\"/own/reserved\"}: session_axum::error: "), "{line}");
    assert!(line.contains("the key `$a` begins with `$`"), "{line}");
}
