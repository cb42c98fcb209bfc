//! What axum-login does: users in a database, a log-in with a password, permissions, a guard with the way back, and
//! sessions that end when the password changes. `cargo run --features databases --example users`, then
//!
//! ```text
//! curl -Lb jar -c jar http://127.0.0.1:3000/publish
//! curl -Lb jar -c jar http://127.0.0.1:3000/login -d name=ada -d password=correct
//! curl -Lb jar -c jar http://127.0.0.1:3000/password -d old=correct -d new=battery
//! ```
//!
//! The users and their sessions are in the file `users.db` of the current directory.

use axum::{
    Form, Router,
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use session_axum::{Error, Flash, Keys, Session, SessionData, SessionLayer, SessionResponseExt, Sessions};
use session_examples::start;
use session_stores::{
    SqliteStore,
    sqlx::{self, SqlitePool},
};
use tower_http::csrf::CsrfLayer;

/// A user. A handler that takes one is for users who are logged in.
struct User {
    id: i64,
    name: String,
    password_hash: String,
}

/// What the session keeps of a log-in. axum-login keeps the same, so visitors who come from it stay logged in.
#[derive(Serialize, Deserialize)]
struct Login {
    user_id: i64,
    auth_hash: Vec<u8>,
}

/// The guard: other visitors are sent to the log-in page. The page that they wanted is kept.
#[derive(SessionData)]
#[session(redirect = "/login", return_to, message = "Please log in first.")]
struct Member {
    #[session(alias = "axum-login.data")]
    login: Login,
}

impl User {
    async fn find(db: &SqlitePool, id: Option<i64>, name: Option<&str>) -> Result<Option<Self>, Failure> {
        let query = sqlx::query_as("SELECT id, name, password_hash FROM users WHERE id = ? OR name = ?");
        let row: Option<(i64, String, String)> = query.bind(id).bind(name).fetch_optional(db).await?;
        Ok(row.map(|(id, name, password_hash)| Self { id, name, password_hash }))
    }

    /// Returns the user with this name and password. An unknown name takes as long as a wrong password.
    async fn authenticate(db: &SqlitePool, name: &str, password: String) -> Result<Option<Self>, Failure> {
        let user = Self::find(db, None, Some(name)).await?;
        let hash = user.as_ref().map_or(HASH_OF_NO_USER, |user| &user.password_hash).to_owned();
        let is_right = slowly(move || password_auth::verify_password(password, &hash).is_ok()).await;
        Ok(user.filter(|_| is_right))
    }

    fn log_in(&self, session: &Session) -> Result<(), Error> {
        session.renew(); // a new session id whenever the visitor gets more rights
        session.set_owner(self.id.to_string())?;
        session.insert("login", Login { user_id: self.id, auth_hash: self.password_hash.clone().into() })
    }

    async fn may(&self, permission: &str, db: &SqlitePool) -> Result<bool, Failure> {
        let query = sqlx::query_scalar("SELECT count(*) FROM permissions WHERE user_id = ? AND name = ?");
        let count: i64 = query.bind(self.id).bind(permission).fetch_one(db).await?;
        Ok(count > 0)
    }
}

impl FromRequestParts<SqlitePool> for User {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, db: &SqlitePool) -> Result<Self, Failure> {
        let member = Session::<Member>::from_request_parts(parts, db).await.map_err(Failure::new)?;
        let user = Self::find(db, Some(member.login.user_id), None).await?;
        let user = user.filter(|user| user.password_hash.as_bytes() == member.login.auth_hash);
        if let Some(user) = user {
            return Ok(user);
        }
        // The password has changed since the log-in, or the user is gone. Without the session, the guard refuses.
        Session::untyped(&member).destroy();
        let refusal = Session::<Member>::from_request_parts(parts, db).await.map_err(Failure::new);
        Err(refusal.err().unwrap_or(Failure::new(StatusCode::UNAUTHORIZED)))
    }
}

/// A user with the permission `publish`. Other users get a 403.
struct Publisher(User);

impl FromRequestParts<SqlitePool> for Publisher {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, db: &SqlitePool) -> Result<Self, Failure> {
        let user = User::from_request_parts(parts, db).await?;
        if user.may("publish", db).await? { Ok(Self(user)) } else { Err(Failure::new(StatusCode::FORBIDDEN)) }
    }
}

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
}

#[derive(Deserialize)]
struct Passwords {
    old: String,
    new: String,
}

async fn account(user: User, flash: Flash) -> Html<String> {
    let message = flash.get("success").or_else(|| flash.get("error")).unwrap_or_default();
    Html(format!("{message} <h1>{}</h1>", escape(&user.name)))
}

async fn publish(Publisher(user): Publisher) -> Html<String> {
    Html(format!("<h1>{} publishes</h1>", escape(&user.name)))
}

async fn login_page(flash: Flash) -> Html<String> {
    let error = flash.get("error").unwrap_or_default();
    Html(format!(
        "{error} <form method=post><input name=name> <input name=password type=password> <button>Log in</button></form>"
    ))
}

async fn login(State(db): State<SqlitePool>, session: Session, form: Form<Credentials>) -> Result<Response, Failure> {
    let Form(Credentials { name, password }) = form;
    let Some(user) = User::authenticate(&db, &name, password).await? else {
        return Ok(Redirect::to("/login").flashing(("error", "That log-in did not work.")));
    };
    user.log_in(&session)?;
    Ok(session.return_to("/account").into_response())
}

async fn logout() -> impl IntoResponse {
    Redirect::to("/login").with_new_session()
}

/// Changes the password. The user's other sessions end, and this one goes on.
async fn change_password(
    (user, session, sessions): (User, Session, Sessions),
    State(db): State<SqlitePool>,
    Form(Passwords { old, new }): Form<Passwords>,
) -> Result<Response, Failure> {
    let Some(user) = User::authenticate(&db, &user.name, old).await? else {
        return Ok(Redirect::to("/account").flashing(("error", "That was not the password.")));
    };
    let user = User { password_hash: slowly(|| password_auth::generate_hash(new)).await, ..user };
    let query = sqlx::query("UPDATE users SET password_hash = ? WHERE id = ?");
    query.bind(&user.password_hash).bind(user.id).execute(&db).await?;
    user.log_in(&session)?;
    sessions.destroy_others(&session).await?;
    Ok(Redirect::to("/account").flashing(("success", "The password is changed.")))
}

/// Runs what takes a while on a thread that serves no requests.
async fn slowly<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("a password hash does not panic")
}

/// The response to a request that failed.
struct Failure(Box<Response>);

impl Failure {
    fn new(response: impl IntoResponse) -> Self {
        Self(Box::new(response.into_response()))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        tracing::error!("the database of the users failed: {error}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE)
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Creates the tables and two users with the password `correct`. Ada may publish.
pub(crate) async fn set_up(db: &SqlitePool) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(TABLES).execute(db).await?;
    for name in ["ada", "bob"] {
        let query = sqlx::query("INSERT OR IGNORE INTO users (name, password_hash) VALUES (?, ?)");
        query.bind(name).bind(password_auth::generate_hash("correct")).execute(db).await?;
    }
    let permission = "INSERT OR IGNORE INTO permissions SELECT id, 'publish' FROM users WHERE name = 'ada'";
    sqlx::raw_sql(permission).execute(db).await?;
    Ok(())
}

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS permissions (user_id INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (user_id, name))
";

/// The hash of a random password.
const HASH_OF_NO_USER: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$56/bI15dnfdMs+hYoRB7tQ$UxHMf9Jmr2jGHK62HrQlTtsq8v84r/JQ5HfUQIQmtSc";

pub(crate) fn app(db: SqlitePool, layer: SessionLayer) -> Router {
    Router::new()
        .route("/account", get(account))
        .route("/publish", get(publish))
        .route("/login", get(login_page).post(login))
        .route("/logout", post(logout))
        .route("/password", post(change_password))
        .layer(layer)
        .layer(CsrfLayer::new()) // outside: refuses forms that other sites send, log-ins too
        .with_state(db)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    start::log("info");
    let db = SqlitePool::connect("sqlite://users.db?mode=rwc").await?;
    set_up(&db).await?;
    let store = SqliteStore::from_pool(db.clone());
    store.migrate().await?;
    // For a laptop. In production use HTTPS and `Keys::from_env("SESSION_SECRET")?`. The session keeps the hash of the
    // password, which no browser should see: a store, or `SessionLayer::encrypted`.
    let layer = SessionLayer::stored(store, Keys::generate()).insecure_over_http();
    Ok(start::serve("The account is at", "/account", app(db, layer)).await?)
}
