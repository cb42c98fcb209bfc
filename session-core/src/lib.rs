//! Sessions and flash messages without a web framework: keys, tokens, cookies, entries.
//!
//! If you write an axum application, use `session-axum`. This crate is for those who carry the same cookies into
//! another framework, read them from another program, or write a store.
//!
//! A cookie's way in, a file a station, each with a type that only the station before can make:
//!
//! ```
//! use session_core::{Form, Keys, Purpose, Token, cookie};
//!
//! let header = "theme=dark; __Host-session=1.abcd.not-a-token";
//! let ring = Keys::generate().ring(Form::Signed, Purpose::Session, "__Host-session", "");
//!
//! let value = cookie::pairs(header.as_bytes()).find(|(name, _)| *name == b"__Host-session").unwrap().1;
//! let session = Token::parse(value, Form::Signed)     // text: is this the shape of a token?
//!     .and_then(|token| ring.open(&token))            // trust: did one of our keys make it?
//!     .map(session_core::Verified::entries);          // meaning: which entries does it hold?
//! assert!(session.is_none());
//! ```
//!
//! The way out is the reverse: [`Changes`] say what a request did, [`write_object`] applies them to the [`Entries`]
//! that arrived, [`Ring::seal`] makes the token, and [`cookie::Spec`] the `Set-Cookie` header.
//!
//! Where only an id travels, a session is a [`Record`] in a [`SessionStore`], whose documentation is the contract that
//! every store keeps. The cookie carries an [`IdSecret`], the store sees a hash of it in a [`RecordKey`], and a [`Write`]
//! takes the same [`Changes`] there. The crate `session-stores` has four stores, and the suite that a fifth must pass.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `encrypted` | `Form::Encrypted`: XChaCha20-Poly1305 |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[doc(hidden)]
pub mod __private;
mod base64url;
mod changes;
mod clock;
pub mod cookie;
mod data;
mod entries;
pub mod error;
mod flash;
mod id;
mod json;
mod keys;
mod lifetime;
mod metadata;
mod seal;
mod store;
mod token;

pub use base64url::base64url;
pub use changes::{Base, Changes, View};
pub use clock::{Clock, SystemClock, system_time, unix_seconds};
pub use data::{Field, MissingField, Reader, SessionData, Writer};
pub use entries::{DecodeError, EncodeError, Entries, decode, encode};
pub use flash::{Batch, Lists, Texts};
pub use id::{IdSecret, InvalidId, RandomError, SessionId};
pub use json::{Malformed, write_object};
pub use keys::{KeyError, KeyErrorKind, Keys, Purpose};
pub use lifetime::{CLOCK_SKEW, Limits, MAX_COOKIE_AGE, is_plausible};
pub use metadata::{Metadata, RESERVED_PREFIX};
pub use seal::{Ring, Verified};
pub use store::{
    Record, RecordKey, SessionInfo, SessionStore, StoreError, StoreErrorKind, StoreFuture, Updated, Visit, Write,
};
pub use token::{Form, Frame, Times, Token};
