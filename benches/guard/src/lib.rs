//! What the measurements share: the scenarios, the routes they ask for, plain axum and ours, and what counts them.

#![deny(unsafe_code)]

mod check;
mod drive;
mod floor;
pub mod growth;
mod hand;
#[expect(unsafe_code, reason = "a global allocator is an unsafe trait")]
pub mod heap;
pub mod instructions;
mod ours;
mod plain;
mod scenario;
pub mod times;
mod variant;

pub use check::{check_answers, check_session};
pub use drive::drive;
pub use floor::floor;
pub use hand::by_hand;
pub use ours::{encrypted, ours, signed, typed};
pub use plain::{plain, routes};
pub use scenario::{FLASH, LARGE_SIZE, SMALL_SIZE, Scenario, Session, last_visit, next_visit, saw, seen};
pub use variant::{Answer, Cookies, Exchange, Variant, keep};
