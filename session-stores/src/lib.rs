//! Stores for server-side sessions: the session's values stay on the server, and the cookie carries only a signed id.
//!
//! Pass a store to the session layer of the crate `session-axum`: `SessionLayer::stored(store, keys)`. No handler
//! changes. Every store implements [`SessionStore`](session_core::store::SessionStore) and passes the same test suite:
//! requests that run at the same time do not lose each other's changes, and a session that has ended does not come
//! back.
//!
//! | store | feature | keeps sessions | for |
//! |---|---|---|---|
//! | `MemoryStore` | `memory` | in this process, until it ends | development, tests, one process that may lose its sessions |
//! | `SqliteStore` | `sqlite` | in a file, without a server | one machine, any number of processes |
//! | `PostgresStore` | `postgres` | in a table of a Postgres database | applications that use Postgres already |
//! | `MySqlStore` | `mysql` | in a table of a MariaDB or MySQL database | applications that use MariaDB or MySQL already |
//! | `RedisStore` | `redis` | in a Redis server, one hash for each session | many instances and much traffic |
//! | `RedisStore::cluster` | `redis-cluster` | in a Redis cluster | more sessions or traffic than one Redis server takes |
//!
//! Which store to choose, what it promises, and what happens when it fails: [the guide][guide].
//!
//! [guide]: https://docs.rs/session-axum/latest/session_axum/guides/stores/
//!
//! # A store of your own
//!
//! Implement [`SessionStore`](session_core::store::SessionStore): its documentation is the contract. The feature
//! `conformance` adds a test for each promise of the contract. The test's name is the promise.
//!
//! ```toml
//! [dev-dependencies]
//! session-stores = { version = "0.1", features = ["conformance"] }
//! ```
//!
//! ```text
//! #[cfg(test)]
//! mod tests {
//!     use super::MyStore;
//!
//!     session_stores::conformance!(store = || async { MyStore::connect("test").await });
//! }
//! ```
//!
//! # The table
//!
//! `SqliteStore`, `PostgresStore` and `MySqlStore` keep sessions in the table `session_records`. Their `migrate`
//! creates it. If your application has its own migrations, put these statements there instead. No column holds a
//! secret: the secret that identifies a browser is stored as a hash. The column `data` holds the session's values as
//! plain JSON text.
#![cfg_attr(feature = "sqlite", doc = "\nSQLite:\n\n```sql")]
#![cfg_attr(feature = "sqlite", doc = include_str!("sql/sqlite.sql"))]
#![cfg_attr(feature = "sqlite", doc = "```")]
#![cfg_attr(feature = "postgres", doc = "\nPostgres:\n\n```sql")]
#![cfg_attr(feature = "postgres", doc = include_str!("sql/postgres.sql"))]
#![cfg_attr(feature = "postgres", doc = "```")]
#![cfg_attr(feature = "mysql", doc = "\nMariaDB and MySQL:\n\n```sql")]
#![cfg_attr(feature = "mysql", doc = include_str!("sql/mysql.sql"))]
#![cfg_attr(feature = "mysql", doc = "```")]
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `memory` | `MemoryStore` |
//! | `sqlite`, `postgres`, `mysql` | `SqliteStore`, `PostgresStore`, `MySqlStore`, and `sqlx`, the driver |
//! | `redis` | `RedisStore`, and `redis`, the driver |
//! | `redis-cluster`, `redis-sentinel` | `RedisStore::cluster`, `RedisStore::sentinel` |
//! | `tls` | encrypted connections to Postgres, MariaDB and Redis |
//! | `compat` | the module `compat`: the sessions of tower-sessions, for a migration. It needs the feature of a store, too |
//! | `conformance` | `conformance!` and the module `conformance`: the test suite, and races that count lost updates |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(all(feature = "compat", any(feature = "mysql", feature = "postgres", feature = "redis", feature = "sqlite")))]
pub mod compat;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "redis")]
mod redis_store;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
mod sql;

#[cfg(feature = "memory")]
pub use memory::MemoryStore;
#[cfg(all(fuzzing, feature = "redis"))]
pub use redis_store::fuzzing;
#[cfg(feature = "mysql")]
pub use sql::MySqlStore;
#[cfg(feature = "postgres")]
pub use sql::PostgresStore;
#[cfg(feature = "sqlite")]
pub use sql::SqliteStore;

#[cfg(feature = "redis")]
pub use redis_store::RedisStore;

/// The driver of [`RedisStore`].
#[cfg(feature = "redis")]
#[doc(no_inline)]
pub use redis;
/// The driver of the stores in SQL databases.
#[cfg(any(feature = "mysql", feature = "postgres", feature = "sqlite"))]
#[doc(no_inline)]
pub use sqlx;
