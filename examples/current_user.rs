//! The user as an extractor of the application, and one guard for all routes of a router.
//! `cargo run --example current_user`, then
//!
//! ```text
//! curl -Lb jar -c jar http://127.0.0.1:3000/account
//! curl -Lb jar -c jar http://127.0.0.1:3000/login -d name=ada
//! curl -Lb jar -c jar http://127.0.0.1:3000/admin
//! ```

use std::{collections::HashMap, sync::Arc};

use axum::{
    Form, RequestPartsExt as _, Router,
    extract::{FromRequestParts, OptionalFromRequestParts, State},
    http::{StatusCode, request::Parts},
    middleware,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;
use session_axum::{Error, Flash, Keys, Session, SessionData, SessionLayer, SessionRejection, SessionResponseExt};
use session_examples::start;

/// A user who is logged in. A handler that takes one is for users alone.
#[derive(Clone)]
struct User {
    name: &'static str,
    is_admin: bool,
}

/// The users by their number. An application asks its database.
type Users = Arc<HashMap<u32, User>>;

/// What the session keeps of a log-in.
#[derive(SessionData)]
#[session(redirect = "/login", return_to, message = "Please log in first.")]
struct LoggedIn {
    user: u32,
}

/// Why a request gets no user.
enum NoUser {
    /// The guard's response: the way to the log-in page.
    Refused(Box<SessionRejection>),
    /// The user was deleted after the log-in.
    Deleted,
}

impl FromRequestParts<Users> for User {
    type Rejection = NoUser;

    async fn from_request_parts(parts: &mut Parts, users: &Users) -> Result<Self, NoUser> {
        let session = parts.extract_with_state::<Session<LoggedIn>, Users>(users).await;
        let session = session.map_err(|rejection| NoUser::Refused(Box::new(rejection)))?;
        users.get(&session.user).cloned().ok_or(NoUser::Deleted)
    }
}

/// `Option<User>`: pages for everybody that greet users. An error of the session is still an error.
impl OptionalFromRequestParts<Users> for User {
    type Rejection = NoUser;

    async fn from_request_parts(parts: &mut Parts, users: &Users) -> Result<Option<Self>, NoUser> {
        let session = parts.extract_with_state::<Session<Visitor>, Users>(users).await;
        let session = session.map_err(|rejection| NoUser::Refused(Box::new(rejection)))?;
        Ok(session.user.and_then(|user| users.get(&user).cloned()))
    }
}

/// The same session for visitors with and without a log-in.
#[derive(SessionData)]
struct Visitor {
    user: Option<u32>,
}

/// A user who may administer. Other users get a 403.
struct Admin(User);

impl FromRequestParts<Users> for Admin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, users: &Users) -> Result<Self, Response> {
        let user = parts.extract_with_state::<User, Users>(users).await;
        let user = user.map_err(IntoResponse::into_response)?;
        if user.is_admin { Ok(Self(user)) } else { Err(StatusCode::FORBIDDEN.into_response()) }
    }
}

impl IntoResponse for NoUser {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(rejection) => rejection.into_response(),
            Self::Deleted => Redirect::to("/login").with_new_session(),
        }
    }
}

async fn home(user: Option<User>) -> String {
    user.map_or_else(|| "Hello stranger.\n".to_owned(), |user| format!("Hello {}.\n", user.name))
}

async fn account(user: User) -> String {
    format!("The account of {}.\n", user.name)
}

/// Does not ask who the user is: the guard of its router lets only users through.
async fn help() -> &'static str {
    "Help for users.\n"
}

async fn admin(Admin(user): Admin) -> String {
    format!("{} may administer.\n", user.name)
}

async fn login_page(flash: Flash) -> Html<String> {
    let error = flash.get("error").unwrap_or_default();
    Html(format!("{error} <form method=post><input name=name required> <button>Log in</button></form>"))
}

#[derive(Deserialize)]
struct Login {
    name: String,
}

async fn login(State(users): State<Users>, session: Session, form: Form<Login>) -> Result<Response, Error> {
    let Some((number, _)) = users.iter().find(|(_, user)| user.name == form.name) else {
        return Ok(Redirect::to("/login").flashing(("error", "There is no such user.")));
    };
    session.renew(); // a new session id whenever the visitor gets more rights
    session.insert("user", number)?;
    Ok(session.return_to("/account").into_response())
}

async fn logout() -> impl IntoResponse {
    Redirect::to("/").with_new_session()
}

pub(crate) fn app(layer: SessionLayer) -> Router {
    let user = |name, is_admin| User { name, is_admin };
    let users: Users = Arc::new(HashMap::from([(1, user("ada", true)), (2, user("bob", false))]));
    // The guard is inside the session layer, and around the routes that exist: other paths stay a 404.
    let guard = middleware::from_extractor_with_state::<User, Users>(Arc::clone(&users));
    let members = Router::new()
        .route("/account", get(account))
        .route("/help", get(help))
        .route("/admin", get(admin))
        .route_layer(guard);
    Router::new()
        .route("/", get(home))
        .route("/login", get(login_page).post(login))
        .route("/logout", post(logout))
        .merge(members)
        .layer(layer)
        .with_state(users)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Sentence> {
    // For a laptop. In production use HTTPS and `SessionLayer::signed(Keys::from_env("SESSION_SECRET")?)`.
    let layer = SessionLayer::signed(Keys::generate()).insecure_over_http();
    start::serve("The account is at", "/account", app(layer)).await
}
