//! A chat over a WebSocket: typing keeps the visitor logged in, and a log-out in one tab closes the chat in all others.
//! `cargo run --example websocket`, then open <http://127.0.0.1:3000> in two tabs.

use axum::{
    Form, Router,
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code},
    },
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;
use session_axum::{Detached, Ended, Error, Keys, Session, SessionData, SessionLayer, SessionResponseExt};
use session_examples::start;
use session_stores::MemoryStore;
use tokio::sync::broadcast;
use tower_http::csrf::CsrfLayer;

#[derive(SessionData)]
#[session(redirect = "/login")]
struct Member {
    user: String,
}

#[derive(Deserialize)]
struct Login {
    user: String,
}

/// The lines of the chat, for all who are connected.
type Room = broadcast::Sender<String>;

async fn page(_: Session<Member>) -> Html<&'static str> {
    Html(
        "<ul id=lines></ul> <form id=say><input name=line autofocus> <button>Say</button></form>
        <form method=post action=/logout><button>Log out</button></form>
        <script>
        const show = text => lines.append(Object.assign(document.createElement('li'), { textContent: text }));
        const socket = new WebSocket(location.href.replace('http', 'ws') + 'chat');
        socket.onmessage = ({ data }) => show(data);
        socket.onclose = ({ reason }) => show(reason || 'The connection is closed.');
        say.onsubmit = event => (event.preventDefault(), socket.send(say.line.value), say.reset());
        </script>",
    )
}

/// The response to this request saves the session like any other. After it, only the detached handle can.
async fn chat(member: Session<Member>, State(room): State<Room>, upgrade: WebSocketUpgrade) -> Response {
    let (session, user) = (Session::untyped(&member).detached(), member.user.clone());
    upgrade.on_upgrade(|socket| serve(socket, room, session, user))
}

async fn serve(mut socket: WebSocket, room: Room, session: Detached, user: String) {
    let reason = match talk(&mut socket, &room, &session, &user).await {
        Ok(None) => return, // the browser has closed it
        Ok(Some(Ended::Expired)) => "Your session has expired.",
        Ok(Some(_)) => "You are logged out.",
        Err(error) => {
            tracing::info!(%error, "a chat was closed");
            "Please load the page again."
        }
    };
    let frame = CloseFrame { code: close_code::POLICY, reason: reason.into() };
    let _ = socket.send(Message::Close(Some(frame))).await;
}

/// Passes lines on until the connection or the session ends. Returns why the session ended.
async fn talk(socket: &mut WebSocket, room: &Room, session: &Detached, user: &str) -> Result<Option<Ended>, Error> {
    let mut lines = room.subscribe();
    loop {
        tokio::select! {
            typed = socket.recv() => match typed {
                Some(Ok(Message::Text(line))) => {
                    session.visit().await?; // as a request does
                    let count = session.update("lines", |count: Option<u32>| count.unwrap_or(0) + 1).await?;
                    let _ = room.send(format!("{user}, line {count}: {line}"));
                }
                Some(Ok(_)) => {} // a ping is no visit
                Some(Err(_)) | None => return Ok(None),
            },
            Ok(line) = lines.recv() => if socket.send(line.into()).await.is_err() {
                return Ok(None);
            },
            ended = session.ended() => return ended.map(Some),
        }
    }
}

async fn login_page() -> Html<&'static str> {
    Html("<form method=post><label>Name <input name=user required></label> <button>Log in</button></form>")
}

async fn login(session: Session, Form(login): Form<Login>) -> Result<Redirect, Error> {
    session.renew();
    session.insert("user", login.user)?;
    Ok(Redirect::to("/"))
}

async fn logout() -> impl IntoResponse {
    Redirect::to("/login").with_new_session()
}

pub(crate) fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/chat", get(chat))
        .route("/login", get(login_page).post(login))
        .route("/logout", post(logout))
        .with_state(Room::new(100))
        .layer(layer)
        .layer(CsrfLayer::new())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Sentence> {
    // For a laptop. In production use HTTPS, a store that survives a restart, and `Keys::from_env("SESSION_SECRET")?`.
    let layer = SessionLayer::stored(MemoryStore::new(), Keys::generate()).insecure_over_http();
    start::serve("The chat is at", "", app(layer)).await
}
