//! The parts of `session-axum` that need no web framework: keys, tokens, cookies, session data, and the trait of
//! session stores.
//!
//! If you write an axum application, use `session-axum`: it has everything you need, including [`Keys`] and
//! [`SessionId`]. Use this crate to
//!
//! - write a session store: [`store`];
//! - read or write the same cookies from another framework or program: [`token`], [`cookie`] and [`flash`];
//! - implement [`SessionData`] without the derive macro: [`data`].
//!
//! # Reading a cookie
//!
//! Reading takes four steps. Only [`Ring::open`](token::Ring::open) makes the type that gives access to the data, so
//! that no data is used before its signature is checked.
//!
//! ```
//! use session_core::{Keys, cookie, token::{Frame, Protection, Purpose, Token}};
//!
//! let keys = Keys::generate();
//! let ring = keys.ring(Protection::Signed, Purpose::Session, "__Host-session", "");
//! # let frame = Frame { id: session_core::SessionId::random()?, created_at: 1_767_225_600, issued_at: 1_767_225_600 };
//! # let mut body = frame.begin_body(0);
//! # body.extend_from_slice(br#"{"user":"ada"}"#);
//! # let header = format!("theme=dark; __Host-session={}", ring.seal(&body)?);
//!
//! // 1. `header` is the value of a `Cookie` header: find the cookie in it.
//! let (_, value) = cookie::pairs(header.as_bytes()).find(|(name, _)| *name == b"__Host-session").unwrap();
//! // 2. Shape: can this text be a token?
//! let token = Token::parse(value, Protection::Signed).unwrap();
//! // 3. Trust: did one of our keys seal it?
//! let verified = ring.open(&token).unwrap();
//! // 4. Meaning: which entries does it hold?
//! let entries = verified.entries()?;
//! assert_eq!(entries.get("user"), Some(r#""ada""#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Two checks are left to the caller. [`token::is_plausible`] refuses times from the future. The application compares
//! the times with its own limits to find out whether the session has expired.
//!
//! # Writing a cookie
//!
//! [`Changes`](store::Changes) are what a request changed. [`Changes::write`](store::Changes::write) applies them to
//! the [`Entries`](store::Entries) that were read. [`Ring::seal`](token::Ring::seal) makes the token, and
//! [`Spec::set`](cookie::Spec::set) the `Set-Cookie` header.
//!
//! # Sessions in a store
//!
//! If the data is in a store, the cookie carries only an [`IdSecret`](token::IdSecret). The store gets a hash of the
//! secret in a [`RecordKey`](store::RecordKey), keeps a [`Record`](store::Record), and takes the same changes in a
//! [`Write`](store::Write). The contract of a store is in the documentation of [`SessionStore`](store::SessionStore).
//! The crate `session-stores` has five stores, and a test suite for your own.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `compat` | `compat`: decoders for the sessions and flash messages of Play, Revel, gorilla and Buffalo |
//! | `encrypted` | `Protection::Encrypted`: tokens that only the application can read (XChaCha20-Poly1305) |

#![cfg_attr(docsrs, feature(doc_cfg))]

/// Implements `Debug` for a type. It prints the name of the type, and nothing of its value.
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
#[cfg(feature = "compat")]
pub mod compat;
mod contract;
pub mod cookie;
#[cfg(feature = "encrypted")]
mod encrypted_store;
mod entries;
mod fields;
mod format;
pub mod former;
mod id;
mod json;
mod keys;
mod lifetime;
mod messages;
mod metadata;
mod nulls;
mod record;
mod seal;
mod sealer;
mod store_error;
mod write;

/// For authors of session stores: the trait, and the types that a store reads and writes.
///
/// Begin with [`store::SessionStore`].
pub mod store {
    #[cfg(feature = "encrypted")]
    pub use crate::encrypted_store::EncryptedStore;
    pub use crate::{
        changes::{Base, Changes, View},
        contract::{SessionStore, StoreFuture},
        entries::Entries,
        metadata::Metadata,
        record::{
            Cursor, ENDED_IS_KNOWN_FOR, EXPIRED_IS_KNOWN_FOR, End, Lookup, Owner, Page, Record, RecordKey, SessionInfo,
        },
        store_error::{StoreError, StoreErrorKind},
        write::{Spared, Updated, Visit, Write},
    };
}

/// For programs that read or write the cookies without axum: tokens, and the keys that seal and open them.
///
/// Begin with [`Keys::ring`] and [`token::Token::parse`].
pub mod token {
    pub use crate::{
        format::{Frame, Protection, Times, Token},
        id::IdSecret,
        keys::Purpose,
        lifetime::{CLOCK_SKEW, is_plausible},
        seal::{Ring, Verified},
    };
}

/// For implementations of [`SessionData`] without the derive macro: reading and writing fields.
pub mod data {
    pub use crate::fields::{Field, Reader, Writer};
}

/// For programs that read or write flash cookies without axum: messages, and the input and errors of a form.
///
/// Begin with [`flash::Batch`].
pub mod flash {
    pub use crate::messages::{Batch, Lists, ListsOf, Message, MessageLists, OneOrMany, Texts};
}

pub use clock::{Clock, SystemClock};
pub use fields::{MissingField, SessionData};
pub use id::{InvalidId, RandomError, SessionId};
pub use keys::{KeyError, KeyErrorKind, Keys};
pub use sealer::{SealError, SealErrorKind, Sealer};

// For the crates of this workspace.
#[cfg(fuzzing)]
pub use seal::fuzzing;
#[doc(hidden)]
pub use {
    base64url::base64url,
    clock::{system_time, unix_seconds},
    entries::{DecodeError, EncodeError, decode, encode, encode_readable},
    json::{Malformed, write_object},
    lifetime::{Limits, MAX_COOKIE_AGE},
    metadata::RESERVED_PREFIX,
    seal::equal as tags_are_equal,
};
