//! The others: a minimum written by hand, and what is published.

mod actix;
mod axum_session;
mod extra;
mod hand;
mod identity;
pub mod json;
mod jwt;
mod tower_cookies;
mod tower_sessions;
mod tower_sessions_cookie_store;

pub use actix::{Actix, actix_session, plain_actix};
pub use axum_session::axum_session;
pub use extra::{private_jar, signed_jar};
pub use hand::{as_extractor, as_layer};
pub use identity::identity;
pub use jwt::jwt;
pub use tower_cookies::tower_cookies;
pub use tower_sessions::{in_memory, in_memory_signed};
pub use tower_sessions_cookie_store::cookie_store;

/// The cookie of those that leave its name to the application.
const NAME: &str = "session";
