//! An application on tower-sessions, axum-login and axum-messages, for the tests of the migration.
//!
//! `tower-sessions-app STORE COOKIE` serves on a free port, and prints its address. STORE is `sqlite://file`,
//! `postgres://..`, `mysql://..` or `redis://..`; COOKIE is `plain`, `signed` or `private`.

use std::{collections::HashMap, convert::Infallible, env, error::Error, time::Duration};

use axum::{Router, extract::Query, response::IntoResponse, routing::get};
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend};
use axum_messages::{Messages, MessagesManagerLayer};
use serde::Deserialize;
use tower_sessions::{Session, SessionManagerLayer, SessionStore, cookie::Key, service::CookieController};
use tower_sessions_redis_store::{RedisStore, fred::prelude::*};
use tower_sessions_sqlx_store::{
    MySqlStore, PostgresStore, SqliteStore,
    sqlx::{MySqlPool, PgPool, SqlitePool},
};

#[derive(Clone, Debug)]
struct User(String);

impl AuthUser for User {
    type Id = String;

    fn id(&self) -> String {
        self.0.clone()
    }

    fn session_auth_hash(&self) -> &[u8] {
        b"the hash of a password"
    }
}

#[derive(Clone)]
struct Users;

impl AuthnBackend for Users {
    type User = User;
    type Credentials = String;
    type Error = Infallible;

    async fn authenticate(&self, name: String) -> Result<Option<User>, Infallible> {
        Ok(Some(User(name)))
    }

    async fn get_user(&self, id: &String) -> Result<Option<User>, Infallible> {
        Ok(Some(User(id.clone())))
    }
}

type Auth = AuthSession<Users>;

#[derive(Deserialize)]
struct Login {
    user: String,
}

async fn login(mut auth: Auth, Query(login): Query<Login>) -> String {
    let user = auth.authenticate(login.user).await.unwrap().unwrap();
    auth.login(&user).await.unwrap();
    auth.session.insert("visits", 1).await.unwrap();
    auth.session.insert("cart", HashMap::from([("tea", 2.5), ("cups", 4.0)])).await.unwrap();
    user.0
}

async fn logout(mut auth: Auth) -> &'static str {
    auth.logout().await.unwrap();
    "logged out"
}

async fn me(auth: Auth) -> String {
    auth.user.map_or_else(|| "stranger".to_owned(), |user| user.0)
}

async fn visit(session: Session) -> String {
    let visits = session.get::<u32>("visits").await.unwrap().unwrap_or_default() + 1;
    session.insert("visits", visits).await.unwrap();
    visits.to_string()
}

/// Reads the session, and writes it a while later.
async fn slow(session: Session) -> String {
    let visits = session.get::<u32>("visits").await.unwrap().unwrap_or_default() + 100;
    println!("a slow request has read its session");
    tokio::time::sleep(Duration::from_millis(700)).await;
    session.insert("visits", visits).await.unwrap();
    visits.to_string()
}

async fn leave_messages(messages: Messages) -> &'static str {
    messages.success("Saved.").warning_with_metadata("Almost full.", [("disk".to_owned(), "sda".into())].into());
    "left"
}

async fn messages(messages: Messages) -> impl IntoResponse {
    messages.map(|message| format!("{}: {message}", message.level)).collect::<Vec<_>>().join(", ")
}

async fn serve<S: SessionStore + Clone, C: CookieController + Sync>(
    layer: SessionManagerLayer<S, C>,
) -> Result<(), Box<dyn Error>>
where
    SessionManagerLayer<S, C>: Send + Sync,
{
    let app = Router::new()
        .route("/login", get(login))
        .route("/logout", get(logout))
        .route("/me", get(me))
        .route("/visit", get(visit))
        .route("/slow", get(slow))
        .route("/leave-messages", get(leave_messages))
        .route("/messages", get(messages))
        .layer(MessagesManagerLayer)
        .layer(AuthManagerLayerBuilder::new(Users, layer).build());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

async fn serve_with<S: SessionStore + Clone>(store: S, cookie: &str) -> Result<(), Box<dyn Error>> {
    let key = Key::from(&[b'k'; 64]);
    let layer = SessionManagerLayer::new(store);
    match cookie {
        "plain" => serve(layer).await,
        "signed" => serve(layer.with_name("shop").with_path("/").with_signed(key)).await,
        "private" => serve(layer.with_name("shop").with_private(key)).await,
        _ => Err("COOKIE is plain, signed or private".into()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [store, cookie] = &arguments[..] else { return Err("usage: tower-sessions-app STORE COOKIE".into()) };
    match store.split(':').next() {
        Some("sqlite") => {
            let store = SqliteStore::new(SqlitePool::connect(store).await?);
            store.migrate().await?;
            serve_with(store, cookie).await
        }
        Some("postgres") => {
            let store = PostgresStore::new(PgPool::connect(store).await?);
            store.migrate().await?;
            serve_with(store, cookie).await
        }
        Some("mysql") => {
            let store = MySqlStore::new(MySqlPool::connect(store).await?);
            store.migrate().await?;
            serve_with(store, cookie).await
        }
        _ => {
            let pool = Pool::new(Config::from_url(store)?, None, None, None, 2)?;
            pool.init().await?;
            serve_with(RedisStore::new(pool), cookie).await
        }
    }
}
