//! Sessions and flash messages for [axum](https://docs.rs/axum), as Rails and Django have them: one layer, extractors
//! in handlers, helpers on responses. The data is kept in a signed or encrypted cookie, or in a store on the server. A
//! struct can be the session.
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
//!     visitor.visits += 1; // saved with the response
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
//! # From request to response
//!
//! 1. [`SessionLayer`] prepares each request. It reads nothing yet.
//! 2. The first [`Session`] or [`Flash`] that a handler or middleware extracts reads the cookies. The layer checks a
//!    cookie's signature before it decodes the data. A forged or expired cookie counts as no session. With
//!    [`SessionLayer::stored`], the layer then loads the session from the store. If the store does not answer, the
//!    request fails; it never gets an empty session instead.
//! 3. Handlers and middleware read and change the session. All of them see the same values. [`Session<T>`](Session)
//!    shows them as a struct that derives [`SessionData`].
//! 4. The layer saves the changes before the response is sent: first those made through extractors, then those of the
//!    helpers in [`SessionResponseExt`], in the order of the calls. It sets a cookie or writes to the store only if
//!    something changed. If saving fails, [`on_error`](SessionLayer::on_error) makes the response instead.
//!
//! # What you can rely on
//!
//! - A forged, expired or unreadable cookie is an empty session, never an error.
//! - The server enforces the idle timeout and the lifetime: [`SessionLayer::idle_timeout`], [`SessionLayer::lifetime`],
//!   [`Session::set_lifetime`].
//! - A 5xx or 408 response, an [`Error`] that a handler returns, and a panic save nothing. [`Session::destroy`] and the
//!   helpers on the response still take effect.
//! - A session that is too large for its cookie is an error that names the largest keys. The cookie is not sent.
//! - With a store, requests that run at the same time lose no update. No late request brings an ended session back.
//! - A flash message is removed after a page has shown it, not before: see [`Flash`] and [`FlashMode`].
//! - A response that depends on a cookie has `Vary: Cookie`. A response that sets one has `Cache-Control: no-store`.
//!
//! # Before you deploy
//!
//! - Create a secret with `openssl rand -base64 48` and read it with [`Keys::from_env`]. Change it with
//!   [`Keys::with_fallback`], so that sessions continue.
//! - Browsers send the cookies over HTTPS only. For development without HTTPS, use
//!   [`SessionLayer::insecure_over_http`].
//! - Refuse forms that other sites send: put tower-http's `CsrfLayer` outside the session layer.
//! - Call [`Session::renew`] when a visitor logs in or gets more rights.
//! - A copy of a signed or encrypted cookie still works after a log-out, until the session would have ended: see
//!   [`Destroyed`]. [`SessionLayer::revocations`] and [`SessionLayer::stored`] end the copies too. With a store,
//!   [`Sessions`] also logs a user out on all devices.
//! - With a store, show an error page for a 503. If it was the response to a log-out, the session may still be alive.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `encrypted` | `SessionLayer::encrypted`: a cookie that the browser cannot read |
//! | `compat` | `session_axum::compat`: the sessions of Play, Revel, gorilla and Buffalo, for a migration |
//! | `metrics` | counters of sessions, cookies and store calls, for the crate `metrics`: see `docs/observability.md` |
//! | `validator`, `garde` | `.with_errors(report)` for the form errors of these crates |
//! | `testing` | `session_axum::testing`: a client with cookies, ready-made sessions, a clock to move |
//!
//! The stores are in the crate `session-stores`, one feature each.
//!
//! # Guides
//!
//! [`guides`] has them as pages, and all their code is compiled: [getting started](guides::getting_started),
//! [one line for each task](guides::tasks), [the cookbook](guides::cookbook), [testing](guides::testing),
//! [deployment](guides::deployment), [security](guides::security), [stores](guides::stores), [forms](guides::forms),
//! [migrating](guides::migrating) and more. [Observability](guides::observability) has the counters and the events,
//! and [troubleshooting](guides::troubleshooting) has every sentence that these crates log or return as an error, with
//! its cause and what to do.
//!
//! # What it does not do
//!
//! These crates do not log users in, check permissions, protect forms against cross-site requests (CSRF), or limit
//! rates.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod config;
mod describe;
mod detached;
mod devices;
mod edits;
mod engine;
pub mod error;
mod finish;
pub mod flash;
pub mod form;
mod future;
mod guard;
#[cfg(all(doc, not(doctest)))]
pub mod guides;
mod layer;
mod migration;
mod observe;
mod pairs;
mod rejection;
mod request;
pub mod response;
pub mod service;
mod session;
mod session_config;
mod setup_warnings;
mod state;
mod template;
#[cfg(feature = "testing")]
pub mod testing;
mod ticket;
mod unattended;
mod wire;

/// The trait of session stores, and its errors.
///
/// An author of a store finds all other types in the module `store` of the crate `session-core`.
pub mod store {
    #[cfg(feature = "encrypted")]
    pub use session_core::store::EncryptedStore;
    pub use session_core::store::{SessionStore, StoreError, StoreErrorKind};
}

pub use config::FlashMode;
#[doc(no_inline)]
pub use cookie::SameSite;
pub use detached::Detached;
pub use devices::{LiveSession, Sessions};
#[doc(inline)]
pub use error::{Error, ErrorKind};
#[doc(inline)]
pub use flash::{Flash, Message};
pub use guard::Refusal;
pub use layer::SessionLayer;
pub use migration::FormerSessions;
pub use rejection::{MissingLayer, SessionRejection};
#[doc(inline)]
pub use response::SessionResponseExt;
#[doc(hidden)]
pub use session::Untyped;
pub use session::{Destroyed, Session};
pub use session_config::{CookieEngine, SessionConfig};
#[doc(hidden)]
pub use session_core::__private;
#[cfg(feature = "compat")]
#[doc(inline)]
pub use session_core::compat;
#[doc(inline)]
pub use session_core::former;
pub use session_core::{Clock, KeyError, Keys, Sealer, SessionData, SessionId, SystemClock, cookie::SettingsError};
pub use session_macros::{SessionData, TicketData};
pub use state::loaded::Ended;
#[doc(hidden)]
pub use ticket::TicketValue;
pub use ticket::{Ticket, TicketData};
pub use unattended::Unattended;
