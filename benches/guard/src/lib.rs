//! What the measurements share: the scenarios, the routes they ask for, plain axum and ours, and what counts them.

#![deny(unsafe_code)]

mod drive;
#[expect(unsafe_code, reason = "a global allocator is an unsafe trait")]
pub mod heap;
pub mod instructions;
mod ours;
mod plain;
mod scenario;
mod variant;

pub use drive::drive;
pub use ours::{encrypted, signed, typed};
pub use plain::{plain, routes};
pub use scenario::{FLASH, LARGE_SIZE, SMALL_SIZE, Scenario, Session, next_visit, saw, seen};
pub use variant::{Cookies, Exchange, Variant, keep};
