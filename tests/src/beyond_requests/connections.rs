//! Sockets, streams and native clients over real connections: the examples, and what an upgrade saves.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::ws::WebSocketUpgrade,
    http::{Request, StatusCode, header},
    response::Response,
    routing::{any, post},
};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper_util::{client::legacy, rt::TokioExecutor};
use session_axum::{
    ErrorKind, Session, SessionLayer,
    testing::{Client, ManualClock, TestResponse, TestSession},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{ClientRequestBuilder, Message, protocol::CloseFrame},
};

use super::{COOKIE, HOUR};
use crate::support::{
    app::{NOW, keys},
    watched::Watched,
};

#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../../examples/api.rs"]
mod api;
#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../../examples/sse.rs"]
mod sse;
#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../../examples/websocket.rs"]
mod websocket;

/// An application on a port of this machine, with a counting store.
struct Server {
    address: String,
    layer: SessionLayer,
    clock: ManualClock,
    store: Watched,
}

impl Server {
    async fn of(app: impl FnOnce(SessionLayer) -> Router) -> Self {
        let (store, clock) = (Watched::new(), ManualClock::at(NOW));
        let layer = SessionLayer::stored(store.clone(), keys()).clock(clock.clone()).sweep_every(None);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(axum::serve(listener, app(layer.clone())).into_future());
        Self { address, layer, clock, store }
    }

    /// Returns a client with a cookie jar that speaks HTTP with the server.
    fn client(&self) -> Client {
        let http = legacy::Client::builder(TokioExecutor::new()).build_http::<Body>();
        let address = self.address.clone();
        Client::new(tower::service_fn(move |mut request: Request<Body>| {
            *request.uri_mut() = format!("http://{address}{}", request.uri()).parse().unwrap();
            let response = http.request(request);
            async move { Ok::<_, Infallible>(response.await.unwrap().map(Body::new)) }
        }))
    }

    async fn logged_in(&self) -> Client {
        let client = self.client();
        assert_eq!(client.post_form("/login", &[("user", "ada")]).await.status(), StatusCode::SEE_OTHER);
        client
    }

    /// Opens the chat with the client's cookie.
    async fn chat(&self, client: &Client) -> Chat {
        let url = format!("ws://{}/chat", self.address).parse().unwrap();
        let cookie = format!("{COOKIE}={}", client.cookie(COOKIE).unwrap());
        let (socket, response) =
            connect_async(ClientRequestBuilder::new(url).with_header("Cookie", cookie)).await.unwrap();
        assert_eq!(response.status().as_u16(), 101);
        Chat(socket)
    }

    /// Opens the stream of events with the client's cookie.
    async fn events(&self, client: &Client) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let cookie = client.cookie(COOKIE).map(|cookie| format!("Cookie: {COOKIE}={cookie}\r\n")).unwrap_or_default();
        let request = format!("GET /progress HTTP/1.1\r\nHost: {}\r\n{cookie}\r\n", self.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

struct Chat(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Chat {
    async fn say(&mut self, line: &str) {
        self.0.send(Message::text(line)).await.unwrap();
    }

    async fn next(&mut self) -> Message {
        timeout(Duration::from_secs(10), self.0.next()).await.expect("a message comes").unwrap().unwrap()
    }

    async fn line(&mut self) -> String {
        self.next().await.into_text().unwrap().to_string()
    }

    async fn closed(&mut self) -> CloseFrame {
        match self.next().await {
            Message::Close(Some(frame)) => frame,
            other => panic!("{other} is no end"),
        }
    }
}

#[tokio::test]
async fn the_chat_closes_soon_after_a_log_out_in_another_tab() {
    let server = Server::of(websocket::app).await;
    let (ada, bob) = (server.logged_in().await, server.client());
    bob.post_form("/login", &[("user", "bob")]).await;
    let mut tabs = [server.chat(&ada).await, server.chat(&ada).await];
    let mut other = server.chat(&bob).await;
    sleep(Duration::from_millis(200)).await; // until the server listens
    tabs[0].say("hello").await;
    tabs[1].say("again").await;
    for chat in [&mut tabs[0], &mut other] {
        assert_eq!(chat.line().await, "ada, line 1: hello");
        assert_eq!(chat.line().await, "ada, line 2: again");
    }
    tabs[1].line().await;
    tabs[1].line().await;

    let logged_out = Instant::now();
    assert_eq!(ada.post("/logout").await.status(), StatusCode::SEE_OTHER);
    for tab in &mut tabs {
        let frame = tab.closed().await;
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1008, "You are logged out."));
    }
    assert!(logged_out.elapsed() < Duration::from_secs(5));
    other.say("still here").await;
    assert_eq!(other.line().await, "bob, line 1: still here");
}

#[tokio::test]
async fn typing_in_the_chat_is_a_visit_and_listening_is_none() {
    let server = Server::of(websocket::app).await;
    let (typing, listening) = (server.logged_in().await, server.logged_in().await);
    let (mut talker, mut listener) = (server.chat(&typing).await, server.chat(&listening).await);
    sleep(Duration::from_millis(200)).await;
    for line in 1..=2 {
        server.clock.advance(13 * HOUR);
        talker.say("x").await;
        assert_eq!(talker.line().await, format!("ada, line {line}: x"));
        if line == 1 {
            listener.line().await;
        }
    }
    assert_eq!(typing.get("/").await.status(), StatusCode::OK);
    assert_eq!(listening.get("/").await.status(), StatusCode::SEE_OTHER);
    while let Message::Text(_) = listener.next().await {}
}

#[tokio::test]
async fn the_chat_is_for_members() {
    let server = Server::of(websocket::app).await;
    let url = format!("ws://{}/chat", server.address).parse().unwrap();
    let refused = connect_async(ClientRequestBuilder::new(url)).await.unwrap_err().to_string();
    assert_eq!(refused, "HTTP error: 303 See Other");
    assert_eq!(server.store.calls(), [""; 0]);
}

/// Saves with the response, and afterwards tries a `Session` and a handle.
async fn upgrade(session: Session, upgrade: WebSocketUpgrade) -> Response {
    session.insert("by", "response").unwrap();
    let handle = session.detached();
    upgrade.on_upgrade(async move |mut socket| {
        let late = session.insert("by", "late").unwrap_err();
        assert_eq!(*late.kind(), ErrorKind::Closed);
        let before = handle.get::<String>("by").await.unwrap().unwrap();
        handle.insert("by", "handle").await.unwrap();
        socket.send(before.into()).await.unwrap();
    })
}

#[tokio::test]
async fn an_upgrade_saves_like_any_response_and_afterwards_only_a_handle_writes() {
    let server = Server::of(|layer| Router::new().route("/chat", any(upgrade)).layer(layer)).await;
    let url = format!("ws://{}/chat", server.address).parse().unwrap();
    let (socket, response) = connect_async(ClientRequestBuilder::new(url)).await.unwrap();
    assert_eq!(response.status().as_u16(), 101);
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert_eq!(Chat(socket).line().await, "response");

    let client = server.client();
    client.set_cookie(COOKIE, cookie.split(['=', ';']).nth(1).unwrap());
    let mut again = server.chat(&client).await;
    assert_eq!(again.line().await, "response", "the second upgrade has saved it again");
    assert_eq!(server.store.calls(), ["create", "load", "load", "update", "load", "update", "load", "load", "update"]);
}

/// Reads the stream until this text has come.
async fn read_until(stream: &mut TcpStream, text: &str) -> String {
    let mut read = String::new();
    while !read.contains(text) {
        let mut part = [0; 1_000];
        let length = timeout(Duration::from_secs(20), stream.read(&mut part)).await.expect(&read).unwrap();
        assert_ne!(length, 0, "the stream ended before {text:?}: {read}");
        read.push_str(std::str::from_utf8(&part[..length]).unwrap());
    }
    read
}

#[tokio::test]
async fn the_stream_shows_the_job_to_its_end() {
    let server = Server::of(sse::app).await;
    let client = server.client();
    assert_eq!(client.post("/start").await.status(), StatusCode::SEE_OTHER);
    let mut stream = server.events(&client).await;
    let read = read_until(&mut stream, "data: 100\n\n").await;
    assert!(read.contains("content-type: text/event-stream") && read.contains("\ndata: 50\n\n"), "{read}");
}

#[tokio::test]
async fn a_log_out_ends_the_job_and_its_stream() {
    let server = Server::of(|layer| {
        let logout = |session: Session| async move { format!("{:?}", session.destroy()) };
        sse::app(layer.clone()).merge(Router::new().route("/logout", post(logout)).layer(layer))
    })
    .await;
    let client = server.client();
    client.post("/start").await;
    let mut stream = server.events(&client).await;
    read_until(&mut stream, "data: 2\n\n").await;
    client.post("/logout").await;
    read_until(&mut stream, "event: end\n").await;
    sleep(Duration::from_millis(300)).await;
    server.store.calls();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(server.store.calls(), [""; 0], "the job has stopped");
}

#[tokio::test]
async fn a_client_that_is_killed_in_the_stream_leaves_no_task() {
    let server = Server::of(sse::app).await;
    let client = server.client();
    client.enter(&TestSession::new(&server.layer).insert("progress", 40)); // its job has stopped
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut stream = server.events(&client).await;
        read_until(&mut stream, "data: 40\n\n").await;
        streams.push(stream);
    }
    server.store.calls();
    sleep(Duration::from_millis(500)).await;
    assert!(server.store.calls().len() >= 10, "each stream looks at the session");
    for stream in streams {
        stream.set_zero_linger().unwrap(); // as if the process were killed
    }
    sleep(Duration::from_millis(500)).await;
    server.store.calls();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(server.store.calls(), [""; 0]);
}

#[tokio::test]
async fn a_stream_without_a_session_ends_and_leaves_no_record() {
    let server = Server::of(sse::app).await;
    for _ in 0..3 {
        let mut stream = server.events(&server.client()).await;
        let read = read_until(&mut stream, "event: end\n").await;
        assert!(!read.contains("set-cookie"), "{read}");
    }
    assert_eq!(server.store.calls(), [""; 0]);
}

/// Sends JSON, with a token or without.
async fn post_json(client: &Client, path: &str, json: &str, token: Option<&str>) -> TestResponse {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    let request =
        token.into_iter().fold(request, |request, token| request.header("authorization", format!("Bearer {token}")));
    client.send(request.body(Body::from(json.to_owned())).unwrap()).await
}

async fn notes(client: &Client, token: &str) -> (u16, String) {
    let request = Request::get("/notes").header("authorization", format!("Bearer {token}"));
    let page = client.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(page.set_cookies(), [""; 0]);
    (page.status().as_u16(), page.text())
}

#[tokio::test]
async fn the_same_handlers_serve_browsers_and_native_clients() {
    let server = Server::of(api::app).await;
    let (browser, native) = (server.logged_in().await, server.client());
    assert_eq!(
        post_json(&browser, "/notes", r#""from the browser""#, None).await.text(),
        r#"["ada: from the browser"]"#
    );

    let logged_in = post_json(&native, "/token", r#"{"user":"bob"}"#, None).await;
    assert_eq!((logged_in.status(), logged_in.set_cookies()), (StatusCode::OK, vec![]));
    let answer = logged_in.text();
    let token = answer.strip_prefix(r#"{"token":""#).unwrap().strip_suffix(r#""}"#).unwrap();
    post_json(&native, "/notes", r#""from the app""#, Some(token)).await;
    assert_eq!(notes(&native, token).await, (200, r#"["bob: from the app"]"#.to_owned()));
    assert_eq!(browser.get("/notes").await.text(), r#"["ada: from the browser"]"#);
    assert_eq!(native.get("/notes").await.status(), StatusCode::UNAUTHORIZED);

    assert_eq!(post_json(&native, "/logout", "", Some(token)).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(notes(&native, token).await.0, 401);
    assert_eq!(browser.get("/notes").await.status(), StatusCode::OK);
    browser.post("/logout").await;
    assert_eq!(browser.get("/notes").await.status(), StatusCode::UNAUTHORIZED);
}
