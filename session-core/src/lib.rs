//! Sessions and flash messages without a web framework: keys, tokens, cookies, entries.
//!
//! If you write an axum application, use `session-axum`. This crate is for those who carry the same cookies into
//! another framework, read them from another program, or write a store.
//!
//! A cookie's way in, a file a station, each with a type that only the station before can make:
//!
//! ```
//! use session_core::{Keys, cookie, token::{Protection, Purpose, Token}};
//!
//! let header = "theme=dark; __Host-session=1.abcd.not-a-token";
//! let ring = Keys::generate().ring(Protection::Signed, Purpose::Session, "__Host-session", "");
//!
//! let value = cookie::pairs(header.as_bytes()).find(|(name, _)| *name == b"__Host-session").unwrap().1;
//! let session = Token::parse(value, Protection::Signed)     // text: is this the shape of a token?
//!     .and_then(|token| ring.open(&token))            // trust: did one of our keys make it?
//!     .map(session_core::token::Verified::entries);          // meaning: which entries does it hold?
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
//! | `encrypted` | `Protection::Encrypted`: XChaCha20-Poly1305 |

#![cfg_attr(docsrs, feature(doc_cfg))]

/// Implements `Debug` so that it shows the name of a type, and nothing of its value.
#[doc(hidden)]
#[macro_export]
macro_rules! opaque_debug {
    ($name:ident) => {
        $crate::opaque_debug!([] $name);
    };
    ([$($generics:tt)*] $name:ident $($arguments:tt)*) => {
        impl<$($generics)*> ::std::fmt::Debug for $name $($arguments)* {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

#[doc(hidden)]
pub mod __private;
mod base64url;
mod changes;
mod clock;
mod contract;
pub mod cookie;
mod entries;
mod fields;
mod format;
mod id;
mod json;
mod keys;
mod lifetime;
mod messages;
mod metadata;
mod seal;

/// For authors of session stores: the contract, and what a store reads and writes.
pub mod store {
    pub use crate::{
        changes::{Base, Changes, View},
        contract::{
            Record, RecordKey, SessionInfo, SessionStore, StoreError, StoreErrorKind, StoreFuture, Updated, Visit,
            Write,
        },
        entries::Entries,
        metadata::Metadata,
    };
}

/// For programs that read or write the cookies without axum: tokens, and what seals and opens them.
pub mod token {
    pub use crate::{
        format::{Frame, Protection, Times, Token},
        id::IdSecret,
        keys::Purpose,
        lifetime::{CLOCK_SKEW, is_plausible},
        seal::{Ring, Verified},
    };
}

/// What `#[derive(SessionData)]` reads and writes fields with.
pub mod data {
    pub use crate::fields::{Field, Reader, Writer};
}

/// What a flash cookie carries: messages, a form's input and its errors.
pub mod flash {
    pub use crate::messages::{Batch, Lists, Texts};
}

pub use clock::{Clock, SystemClock};
pub use fields::{MissingField, SessionData};
pub use id::{InvalidId, RandomError, SessionId};
pub use keys::{KeyError, KeyErrorKind, Keys};

// For the crates of this workspace.
#[doc(hidden)]
pub use {
    base64url::base64url,
    clock::{system_time, unix_seconds},
    entries::{DecodeError, EncodeError, decode, encode},
    json::{Malformed, write_object},
    lifetime::{Limits, MAX_COOKIE_AGE},
    metadata::RESERVED_PREFIX,
};
