//! Server-side sessions: stores that keep what a session holds, while only its id travels.
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
//! | `conformance` | the suite that every session store must pass |
//! | `sqlite` | `SqliteStore`: a file, without a server |
//! | `postgres` | `PostgresStore`: a table of a Postgres database. TLS is turned on in sqlx itself |

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod sql;

#[cfg(feature = "postgres")]
pub use sql::PostgresStore;
#[cfg(feature = "sqlite")]
pub use sql::SqliteStore;
