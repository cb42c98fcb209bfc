//! The program that the README shows, over real HTTP.

use axum::{
    Router,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use session_axum::{Flash, Keys, Session, SessionData, SessionLayer, SessionResponseExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::app::SECRET;

#[derive(SessionData)]
struct Visitor {
    name: Option<String>,
    #[session(default)]
    visits: u32,
}

async fn home(mut visitor: Session<Visitor>, flash: Flash) -> impl IntoResponse {
    visitor.visits += 1;
    format!("{} Visit {}.", flash.get("success").unwrap_or("Welcome!"), visitor.visits)
}

async fn save() -> impl IntoResponse {
    Redirect::to("/").flashing([("success", "The item has been created")])
}

async fn login(session: Session) -> Result<impl IntoResponse, session_axum::Error> {
    session.renew();
    session.insert("connected", "user@example.com")?;
    Ok(Redirect::to("/"))
}

async fn logout() -> impl IntoResponse {
    "Bye".with_new_session()
}

async fn serve() -> Result<String, Box<dyn std::error::Error>> {
    let app: Router = Router::new()
        .route("/", get(home))
        .route("/save", post(save))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .layer(SessionLayer::signed(Keys::new(SECRET)?));
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
async fn the_example_behaves_as_its_comments_say() {
    let address = serve().await.unwrap();
    let (body, first) = send(&address, "GET", "/", &[]).await;
    assert_eq!((body.as_str(), first.len()), ("Welcome! Visit 1.", 1));
    let (_, flash) = send(&address, "POST", "/save", &first).await;
    assert!(flash.len() == 1 && flash[0].starts_with("__Host-flash."), "{flash:?}");
    let (body, second) = send(&address, "GET", "/", &[first.clone(), flash.clone()].concat()).await;
    assert_eq!(body, "The item has been created Visit 2.");
    assert_eq!(second.len(), 2, "the visit is counted, and the message is gone: {second:?}");
    let (_, login) = send(&address, "POST", "/login", &first).await;
    let (body, _) = send(&address, "GET", "/", &login).await;
    assert_eq!(body, "Welcome! Visit 2.", "a renewed session has the same values");
    let (body, gone) = send(&address, "POST", "/logout", &login).await;
    assert_eq!((body.as_str(), gone), ("Bye", vec!["__Host-session=".to_owned()]));
}

#[test]
fn the_struct_is_what_its_fields_say() {
    assert_eq!(Visitor::KEYS, ["name", "visits"]);
    let visitor = Visitor { name: None, visits: 0 };
    assert_eq!((visitor.name, visitor.visits), (None, 0));
}
