//! Session and flash scopes for axum: `Session` and `Flash` as extractors, `.with_session()` and `.flashing()` on
//! responses, data in a signed or encrypted cookie.
//!
//! ```
//! use axum::{Router, response::{IntoResponse, Redirect}, routing::{get, post}};
//! use session_axum::{Error, Flash, Keys, Session, SessionLayer, SessionResponseExt};
//!
//! async fn home(session: Session, flash: Flash) -> Result<impl IntoResponse, Error> {
//!     let visits = session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).await?;
//!     Ok(format!("{} Visit {visits}.", flash.get("success").unwrap_or("Welcome!")))
//! }
//!
//! async fn save() -> impl IntoResponse {
//!     Redirect::to("/").flashing([("success", "The item has been created")])
//! }
//!
//! let app: Router = Router::new()
//!     .route("/", get(home))
//!     .route("/save", post(save))
//!     .layer(SessionLayer::signed(Keys::generate()));
//! ```

mod arrival;
mod departure;
mod error;
mod flash;
mod form;
mod future;
mod layer;
mod notices;
mod rejection;
mod response;
mod scope;
mod service;
mod session;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;

#[doc(no_inline)]
pub use cookie::{Cookie, SameSite};
pub use error::{Error, ErrorKind};
pub use flash::{Flash, FormErrors, Input, Message, Messages};
pub use future::ResponseFuture;
pub use layer::SessionLayer;
pub use rejection::{MissingLayer, SessionRejection};
pub use response::{
    AddingToSession, Flashing, IntoMessages, IntoSession, NewSession, OfHandle, OfPairs, OfStruct, RemovingFromSession,
    SessionResponseExt, WithErrors, WithInput, WithNewSession, WithSession,
};
pub use service::SessionService;
pub use session::{Destroyed, Session, Untyped};
#[doc(hidden)]
pub use session_core::__private;
pub use session_core::{
    Clock, KeyError, KeyErrorKind, Keys, SessionData, SessionId, SystemClock,
    cookie::{SettingsError, TooLarge},
};
pub use session_macros::SessionData;
pub use settings::FlashMode;

/// The README's programs compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
