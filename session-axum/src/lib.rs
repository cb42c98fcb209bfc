//! Session and flash scopes for axum: `Session` and `Flash` as extractors, `.with_session()` and `.flashing()` on
//! responses. Data travels in a signed or encrypted cookie or stays in a store, and a struct can be the session.
//!
//! ```
//! use axum::{Router, response::{IntoResponse, Redirect}, routing::{get, post}};
//! use session_axum::{Flash, Keys, Session, SessionData, SessionLayer, SessionResponseExt};
//!
//! #[derive(SessionData)]
//! struct Visitor {
//!     name: Option<String>,
//!     #[session(default)]
//!     visits: u32,
//! }
//!
//! async fn home(mut visitor: Session<Visitor>, flash: Flash) -> impl IntoResponse {
//!     visitor.visits += 1; // staged; saved with the response
//!     format!("{} Visit {}.", flash.get("success").unwrap_or("Welcome!"), visitor.visits)
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
//!
//! # The journey of a session
//!
//! 1. [`SessionLayer`] gives every request a place for its session. It reads nothing yet.
//! 2. The first [`Session`] or [`Flash`] that is extracted reads the cookies: the token's shape, its key, its signature,
//!    its times, and only then its entries. What fails on the way is no session, and no error. Where
//!    [sessions are stored](SessionLayer::stored), an authentic cookie is an id, and the store is asked once: if it does
//!    not answer, that is an error, and never an empty session.
//! 3. Handlers and middleware read and change what they like. Every handle of one request sees the same state.
//!    [`Session<T>`](Session) shows it as a struct that derives [`SessionData`].
//! 4. The response passes the layer: first what the extractors did, then what the helpers of [`SessionResponseExt`] say,
//!    in their order. If the session differs from the one that arrived, a `Set-Cookie` header carries it, or the store
//!    is told of the difference; if it cannot be saved, [`on_error`](SessionLayer::on_error) answers instead.
//!
//! # What is enforced
//!
//! - Nothing in a cookie is decoded before it is authentic, and nothing that a client sends is an error.
//! - Idle timeout and lifetime hold whatever the browser does: [`SessionLayer::idle_timeout`],
//!   [`SessionLayer::lifetime`], [`Session::set_lifetime`].
//! - A 5xx, an [`Error`] that a handler returns, and a panic save nothing; [`Session::destroy`] and the helpers on the
//!   response itself still hold.
//! - A cookie that browsers would not keep is an error that names the largest keys, before anything is sent.
//! - A store loses no update of requests that run at once, and nothing brings an ended session back.
//! - A flash message is gone once somebody saw it, not before: see [`Flash`] and [`FlashMode`].
//! - `Vary: Cookie` where the session was read; `Cache-Control: no-store` where a cookie is set.
//!
//! # Before a deployment
//!
//! - Make a secret (`openssl rand -base64 48`) and read it with [`Keys::from_env`]. Rotate it with
//!   [`Keys::with_fallback`].
//! - The cookies are Secure. On a laptop without HTTPS use [`SessionLayer::insecure_over_http`].
//! - Call [`Session::renew`] when a visitor logs in or gets more rights.
//! - Where the data travels with the cookie, a copy of the cookie outlives a log-out until its limits end it, and brings
//!   back what it held: see [`Destroyed`]. [`SessionLayer::revocations`] ends copies with the log-out; with
//!   [`SessionLayer::stored`] they also bring nothing back, and [`Sessions`] logs a user out everywhere.
//! - With a store, let the answer to a 503 be an error page: after a log-out that failed, the session may live on.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `encrypted` | `SessionLayer::encrypted`: the same cookie, unreadable for the browser |
//! | `validator`, `garde` | `.with_errors(report)`: what these crates found wrong with a form |
//! | `testing` | `session_axum::testing`: a client that keeps cookies, forged sessions, a clock to move |
//!
//! The stores are in the crate `session-stores`, a feature each.
//!
//! # What it does not do
//!
//! It logs nobody in, checks no permissions, makes no CSRF tokens, and limits no rates.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod config;
mod devices;
mod edits;
mod engine;
pub mod error;
mod finish;
pub mod flash;
pub mod form;
mod future;
mod layer;
mod pairs;
mod rejection;
mod request;
pub mod response;
pub mod service;
mod session;
mod setup_warnings;
mod state;
#[cfg(feature = "testing")]
pub mod testing;
mod wire;

/// For what is said to a store, and for stores of your own: `session_core::store` has the whole contract.
pub mod store {
    pub use session_core::store::{SessionStore, StoreError, StoreErrorKind};
}

pub use config::FlashMode;
#[doc(no_inline)]
pub use cookie::SameSite;
pub use devices::{LiveSession, Sessions};
pub use error::{Error, ErrorKind};
pub use flash::Flash;
pub use layer::SessionLayer;
pub use rejection::{MissingLayer, SessionRejection};
pub use response::SessionResponseExt;
#[doc(hidden)]
pub use session::Untyped;
pub use session::{Destroyed, Session};
#[doc(hidden)]
pub use session_core::__private;
pub use session_core::{Clock, KeyError, Keys, SessionData, SessionId, SystemClock, cookie::SettingsError};
pub use session_macros::SessionData;
