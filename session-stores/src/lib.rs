//! Server-side sessions: stores that keep what a session holds, while only its id travels.
//!
//! An application gives one of them to the session layer; no handler changes. All of them keep the promises of
//! [`SessionStore`](session_core::SessionStore), and the same suite tests each: requests that run at once lose none of
//! each other's changes, and a session that is over does not come back.
//!
//! | store | feature | keeps sessions | for |
//! |---|---|---|---|
//! | `MemoryStore` | `memory` | in this process, until it ends | development, tests, a server that is alone and may forget |
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
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `memory` | `MemoryStore` |
//! | `conformance` | `conformance!` and the module `conformance`: the suite, and races that count what a store loses |

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "memory")]
mod memory;

#[cfg(feature = "memory")]
pub use memory::MemoryStore;
