//! Sessions for axum.

#[doc(hidden)]
pub use session_core::__private;
pub use session_core::{MissingField, Reader, SessionData, Writer};
pub use session_macros::SessionData;
