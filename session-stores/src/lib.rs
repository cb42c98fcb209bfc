//! Server-side sessions: stores that keep what a session holds, while only its id travels.
//!
//! An application gives one of them to the session layer, `SessionLayer::stored(store, keys)` in the crate
//! `session-axum`; no handler changes. All of them keep the promises of
//! [`SessionStore`](session_core::SessionStore), and the same suite tests each: requests that run at once lose none of
//! each other's changes, and a session that is over does not come back.
//!
//! | store | feature | keeps sessions | for |
//! |---|---|---|---|
//! | `MemoryStore` | `memory` | in this process, until it ends | development, tests, a server that is alone and may forget |
//! | `SqliteStore` | `sqlite` | in a file, without a server | one machine, any number of processes |
//! | `PostgresStore` | `postgres` | in a table of a Postgres database | an application that has Postgres already |
//! | `RedisStore` | `redis` | in a Redis server, a hash each | many instances and much traffic |
//! | `RedisStore::cluster` | `redis-cluster` | the same in a Redis cluster | more than one Redis server holds |
//!
//! # A store of your own
//!
//! Implement [`SessionStore`](session_core::SessionStore), whose documentation is the contract. The feature
//! `conformance` has the suite: a test of each promise, on a runtime of its own, named after what it promises.
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
//! `SqliteStore` and `PostgresStore` keep sessions in a table `session_records`, which their `migrate` makes. Whoever
//! runs migrations of their own can do so with these statements instead. No column holds a secret: what logs somebody
//! in is only there as a hash. The `data` is what the application put into the session, as it is.
#![cfg_attr(feature = "sqlite", doc = "\nSQLite:\n\n```sql")]
#![cfg_attr(feature = "sqlite", doc = include_str!("sql/sqlite.sql"))]
#![cfg_attr(feature = "sqlite", doc = "```")]
#![cfg_attr(feature = "postgres", doc = "\nPostgres:\n\n```sql")]
#![cfg_attr(feature = "postgres", doc = include_str!("sql/postgres.sql"))]
#![cfg_attr(feature = "postgres", doc = "```")]
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `memory` | `MemoryStore` |
//! | `sqlite`, `postgres` | `SqliteStore`, `PostgresStore`. TLS is turned on in sqlx itself |
//! | `redis`, `redis-cluster` | `RedisStore`, and `RedisStore::cluster`. TLS is turned on in redis itself |
//! | `conformance` | `conformance!` and the module `conformance`: the suite, and races that count what a store loses |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "memory")]
mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;

#[cfg(feature = "memory")]
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use sql::PostgresStore;
#[cfg(feature = "sqlite")]
pub use sql::SqliteStore;

#[cfg(feature = "redis")]
pub use crate::redis::RedisStore;
