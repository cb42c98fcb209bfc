//! The sessions of tower-sessions: `TowerSessions`.

use std::fmt;

use cookie::Key;
#[cfg(feature = "redis")]
use redis::aio::ConnectionManager;
use session_core::{
    Malformed, encode,
    former::{Former, FormerCookie, FormerCookies, FormerSession, FormerSystem},
    store::{Entries, StoreError, StoreFuture},
};

use super::{
    cookie_id::{Id, Protection},
    messages,
    place::Place,
    record::FormerRecord,
};
#[cfg(feature = "redis")]
use crate::redis_store::Connection;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
use crate::sql::FormerTable;

/// Reads the sessions of tower-sessions 0.14 and 0.15, for an application that moves to this library.
///
/// - **Values** keep their keys. What axum-login has under `axum-login.data` is a value like any other.
/// - **Messages** of axum-messages that were not shown yet become flash messages, of the kinds `debug`, `info`,
///   `success`, `warning` and `error`. Their metadata becomes the message's data.
/// - **Records** are read from the tables of tower-sessions-sqlx-store 0.15 and the keys of tower-sessions-redis-store
///   0.16, and deleted when their session has moved. The database user needs the right to read and delete rows.
/// - A record that cannot be decoded, or that is larger than 1 MiB, is no session, and a warning in the log.
///
/// If the database does not answer, the request fails with a 503: no visitor looks logged out.
///
/// [The guide][guide] has a row for each call and each setting.
///
/// [guide]: https://docs.rs/session-axum/latest/session_axum/guides/from_tower_sessions/
///
/// # Examples
#[cfg_attr(feature = "sqlite", doc = include_str!("tower_sessions.md"))]
#[derive(Clone)]
pub struct TowerSessions {
    place: Place,
    name: String,
    path: String,
    domain: Option<String>,
    protection: Protection,
}

impl TowerSessions {
    /// Reads the table `tower_sessions` of an SQLite file.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::former::FormerSystem;
    /// use session_stores::{compat::TowerSessions, sqlx::SqlitePool};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let former = TowerSessions::sqlite(SqlitePool::connect("sqlite::memory:").await?);
    /// assert_eq!(former.cookies()[0].name(), "id");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "sqlite")]
    #[must_use]
    pub fn sqlite(pool: sqlx::SqlitePool) -> Self {
        Self::new(Place::Table(FormerTable::sqlite(pool, "tower_sessions")))
    }

    /// Reads the table `session` in the schema `tower_sessions` of a Postgres database.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use session_core::former::FormerSystem;
    /// use session_stores::{compat::TowerSessions, sqlx::PgPool};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let former = TowerSessions::postgres(PgPool::connect("postgres://shop@localhost/shop").await?);
    /// assert_eq!(former.cookies()[0].name(), "id");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn postgres(pool: sqlx::PgPool) -> Self {
        Self::new(Place::Table(FormerTable::postgres(pool, "tower_sessions", "session")))
    }

    /// Reads the table `session` in the database `tower_sessions` of a MariaDB or MySQL server.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use session_core::former::FormerSystem;
    /// use session_stores::{compat::TowerSessions, sqlx::MySqlPool};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let former = TowerSessions::mysql(MySqlPool::connect("mysql://shop@localhost/shop").await?);
    /// assert_eq!(former.cookies()[0].name(), "id");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "mysql")]
    #[must_use]
    pub fn mysql(pool: sqlx::MySqlPool) -> Self {
        Self::new(Place::Table(FormerTable::mysql(pool, "tower_sessions", "session")))
    }

    /// Reads the keys of a Redis. tower-sessions gives them no prefix.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use redis::{Client, aio::ConnectionManager};
    /// use session_core::former::FormerSystem;
    /// use session_stores::compat::TowerSessions;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let connection = ConnectionManager::new(Client::open("redis://127.0.0.1")?).await?;
    /// let former = TowerSessions::redis(connection);
    /// assert_eq!(former.cookies()[0].name(), "id");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn redis(connection: ConnectionManager) -> Self {
        Self::new(Place::Redis(Connection::of_application(connection)))
    }

    fn new(place: Place) -> Self {
        let (name, path) = ("id".to_owned(), "/".to_owned());
        Self { place, name, path, domain: None, protection: Protection::Plain }
    }

    /// Sets the schema of the table, as `with_schema_name` of the former store did. Redis has none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use session_core::former::FormerSystem;
    /// use session_stores::{compat::TowerSessions, sqlx::PgPool};
    ///
    /// # fn example(pool: PgPool) {
    /// let former = TowerSessions::postgres(pool).schema("shop").table("visitors");
    /// assert_eq!(former.cookies().len(), 1);
    /// # }
    /// ```
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.place.set_schema(schema.into());
        self
    }

    /// Sets the name of the table, as `with_table_name` of the former store did. Redis has none.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use session_core::former::FormerSystem;
    /// use session_stores::{compat::TowerSessions, sqlx::SqlitePool};
    ///
    /// # fn example(pool: SqlitePool) {
    /// let former = TowerSessions::sqlite(pool).table("visitors");
    /// assert_eq!(former.cookies().len(), 1);
    /// # }
    /// ```
    #[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
    #[must_use]
    pub fn table(mut self, table: impl Into<String>) -> Self {
        self.place.set_table(table.into());
        self
    }

    /// Sets the name of the cookie, as `with_name` of the former layer did: `id` by default.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use session_core::former::FormerSystem;
    /// use session_stores::{compat::TowerSessions, sqlx::SqlitePool};
    ///
    /// # fn example(pool: SqlitePool) {
    /// let former = TowerSessions::sqlite(pool).cookie("shop");
    /// assert_eq!(former.cookies()[0].name(), "shop");
    /// # }
    /// ```
    #[must_use]
    pub fn cookie(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Sets the Domain of the cookie, as `with_domain` of the former layer did. Without it, browsers would not remove
    /// the cookie.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use session_core::former::FormerSystem;
    /// use session_stores::{compat::TowerSessions, sqlx::SqlitePool};
    ///
    /// # fn example(pool: SqlitePool) {
    /// let former = TowerSessions::sqlite(pool).domain("example.com");
    /// assert!(former.cookies()[0].clear().contains("; Domain=example.com"));
    /// # }
    /// ```
    #[must_use]
    pub fn domain(self, domain: impl Into<String>) -> Self {
        Self { domain: Some(domain.into()), ..self }
    }

    /// Sets the Path of the cookie, as `with_path` of the former layer did: `/` by default.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use session_core::former::FormerSystem;
    /// use session_stores::{compat::TowerSessions, sqlx::SqlitePool};
    ///
    /// # fn example(pool: SqlitePool) {
    /// let former = TowerSessions::sqlite(pool).path("/shop");
    /// assert!(former.cookies()[0].clear().contains("; Path=/shop"));
    /// # }
    /// ```
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self }
    }

    /// Accepts only signed cookies, as `with_signed` of the former layer did. The key is the same one.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use session_core::former::FormerSystem;
    /// use session_stores::{compat::{Key, TowerSessions}, sqlx::SqlitePool};
    ///
    /// # fn example(pool: SqlitePool, secret: &[u8]) {
    /// let former = TowerSessions::sqlite(pool).signed(Key::from(secret)); // at least 64 bytes
    /// assert_eq!(former.cookies()[0].name(), "id");
    /// # }
    /// ```
    #[must_use]
    pub fn signed(self, key: Key) -> Self {
        Self { protection: Protection::Signed(key), ..self }
    }

    /// Accepts only encrypted cookies, as `with_private` of the former layer did. The key is the same one.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use session_core::former::FormerSystem;
    /// use session_stores::{compat::{Key, TowerSessions}, sqlx::SqlitePool};
    ///
    /// # fn example(pool: SqlitePool, secret: &[u8]) {
    /// let former = TowerSessions::sqlite(pool).private(Key::derive_from(secret)); // at least 32 bytes
    /// assert_eq!(former.cookies()[0].name(), "id");
    /// # }
    /// ```
    #[must_use]
    pub fn private(self, key: Key) -> Self {
        Self { protection: Protection::Private(key), ..self }
    }

    /// Returns the session with this id, if it is alive.
    async fn find(&self, id: &Id, now: u64) -> Result<Option<FormerSession>, StoreError> {
        let Some(bytes) = self.place.read(id).await? else { return Ok(None) };
        let read = FormerRecord::decode(&bytes, id).map(|record| (record.last_second, session(id, record)));
        let Some((last_second, Ok(mut session))) = read else {
            tracing::warn!(
                name: "compat.record_unreadable", target: "session_stores::compat",
                "a record of tower-sessions cannot be read, and its visitor has no session"
            );
            return Ok(None);
        };
        session.expires_at = u64::try_from(last_second).ok();
        Ok(session.expires_at.is_some_and(|last| now <= last).then_some(session))
    }
}

fn session(id: &Id, mut record: FormerRecord) -> Result<FormerSession, Malformed> {
    let flash = record.values.remove(messages::KEY).map(|data| messages::pending(&data)).unwrap_or_default();
    let mut texts = Vec::with_capacity(record.values.len());
    for (key, value) in &record.values {
        texts.push((key.as_str(), encode(value).map_err(|_| Malformed)?));
    }
    let mut session = FormerSession::new(id.as_str(), Entries::from_texts(texts)?);
    session.flash = flash;
    Ok(session)
}

impl FormerSystem for TowerSessions {
    fn cookies(&self) -> Vec<FormerCookie> {
        let cookie = FormerCookie::new(&self.name).path(&self.path);
        vec![match &self.domain {
            Some(domain) => cookie.domain(domain),
            None => cookie,
        }]
    }

    fn read<'a>(&'a self, cookies: FormerCookies<'a>, now: u64) -> StoreFuture<'a, Former> {
        Box::pin(async move {
            let mut former = Former::NOTHING;
            for id in cookies.values(&self.name).filter_map(|value| self.protection.id(&self.name, value)) {
                former.session = self.find(&id, now).await?;
                if former.session.is_some() {
                    return Ok(former);
                }
                former.unknown.push(id.as_str().into());
            }
            Ok(former)
        })
    }

    fn end<'a>(&'a self, session: &'a FormerSession, _now: u64) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            match std::str::from_utf8(&session.identity) {
                Ok(id) => self.place.delete(id).await,
                Err(_) => Ok(()),
            }
        })
    }
}

impl fmt::Debug for TowerSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TowerSessions").finish_non_exhaustive()
    }
}
