//! Readers of other session systems, for `SessionLayer::migrating_from`: no visitor is logged out by the move.

mod cookie_id;
mod messages;
mod place;
mod record;
mod tower_sessions;

pub use tower_sessions::TowerSessions;

/// The key of a signed or encrypted cookie, from the crate `cookie` 0.18.
#[doc(no_inline)]
pub use cookie::Key;
