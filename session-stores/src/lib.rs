//! Server-side sessions: stores that keep what a session holds, while only its id travels.

#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "redis")]
mod redis;

#[cfg(feature = "redis")]
pub use crate::redis::RedisStore;
