//! Server-side sessions: stores that keep what a session holds, while only its id travels.

#[cfg(feature = "conformance")]
pub mod conformance;
