//! The first program of the README, over real HTTP.

use axum::{
    Router,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use session_axum::{Error, Flash, Keys, Session, SessionLayer, SessionResponseExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::app::SECRET;

async fn home(session: Session, flash: Flash) -> Result<String, Error> {
    let user = session.get::<String>("user")?.unwrap_or_else(|| "stranger".to_owned());
    let visits = session.get::<u32>("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    let notice = flash.get("success").unwrap_or("Welcome!");
    Ok(format!("{notice} Hello {user}, visit {visits}.\n"))
}

async fn log_in(session: Session) -> Result<impl IntoResponse, Error> {
    session.renew();
    session.insert("user", "ada")?;
    Ok(Redirect::to("/").flashing(("success", "You are logged in.")))
}

async fn log_out() -> impl IntoResponse {
    Redirect::to("/").with_new_session()
}

async fn serve() -> Result<String, Box<dyn std::error::Error>> {
    let layer = SessionLayer::signed(Keys::new(SECRET)?);
    let app =
        Router::new().route("/", get(home)).route("/login", post(log_in)).route("/logout", post(log_out)).layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

/// Sends one request as text and gives the body and the cookies that the answer sets.
async fn send(address: &str, method: &str, path: &str, cookies: &[String]) -> (String, Vec<String>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let cookies = if cookies.is_empty() { String::new() } else { format!("Cookie: {}\r\n", cookies.join("; ")) };
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{cookies}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let cookie = |line: &str| line.strip_prefix("set-cookie: ").map(|line| line.split(';').next().unwrap().to_owned());
    (body.to_owned(), head.lines().filter_map(cookie).collect())
}

#[tokio::test]
async fn the_program_answers_as_the_page_shows() {
    let address = serve().await.unwrap();
    let (body, first) = send(&address, "GET", "/", &[]).await;
    assert_eq!((body.as_str(), first.len()), ("Welcome! Hello stranger, visit 1.\n", 1));
    let (_, log_in) = send(&address, "POST", "/login", &first).await;
    assert!(log_in.len() == 2 && log_in[1].starts_with("__Host-flash."), "{log_in:?}");
    let (body, second) = send(&address, "GET", "/", &log_in).await;
    assert_eq!(body, "You are logged in. Hello ada, visit 2.\n", "a renewed session has the same values");
    assert_eq!(second.len(), 2, "the visit is counted, and the message is gone: {second:?}");
    let (_, log_out) = send(&address, "POST", "/logout", &second[..1]).await;
    assert_eq!(log_out, ["__Host-session="]);
    let (body, _) = send(&address, "GET", "/", &[]).await;
    assert_eq!(body, "Welcome! Hello stranger, visit 1.\n");
}
