//! What the code that `#[derive(SessionData)]` writes needs, under paths that nothing in a user's module can shadow.

pub use core::{
    default::Default,
    option::Option::{self, Some},
    primitive::str,
    result::Result::{self, Ok},
};

use serde::{Serialize, de::DeserializeOwned};

pub use crate::data::{MissingField, Reader, SessionData, Writer};

/// A type that a field of session data can have. Nobody implements it: serde's two traits do.
///
/// It stands in front of them so that a type without them is one error in the words of sessions.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of session data",
    label = "serde cannot both write and read this type",
    note = "it and what is in it need `#[derive(serde::Serialize, serde::Deserialize)]`, or the field `#[session(skip)]`"
)]
pub trait SessionField: Sized {
    /// [`Reader::required`].
    ///
    /// # Errors
    ///
    /// When the field is not there, or cannot be decoded any more.
    fn required(fields: &Reader<'_>, key: &'static str, aliases: Names) -> Result<Self, MissingField>;

    /// [`Reader::or_else`].
    fn or_else(fields: &Reader<'_>, key: &'static str, aliases: Names, default: impl FnOnce() -> Self) -> Self;

    /// [`Writer::field`].
    fn write(&self, fields: &mut Writer, key: &'static str, aliases: Names);
}

type Names = &'static [&'static str];

// serde's traits are not supertraits: the compiler would name them beside ours.
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> SessionField for T {
    fn required(fields: &Reader<'_>, key: &'static str, aliases: Names) -> Result<Self, MissingField> {
        fields.required(key, aliases)
    }

    fn or_else(fields: &Reader<'_>, key: &'static str, aliases: Names, default: impl FnOnce() -> Self) -> Self {
        fields.or_else(key, aliases, default)
    }

    fn write(&self, fields: &mut Writer, key: &'static str, aliases: Names) {
        fields.field(key, aliases, self);
    }
}

/// Stops the compiler with `sentence` when a flattened struct has a key that one of the others has.
///
/// # Panics
///
/// When it has.
#[track_caller]
pub const fn no_key_twice(flattened: Names, others: &[Names], sentence: &str) {
    let mut other = 0;
    while other < others.len() {
        assert!(are_disjoint(flattened, others[other]), "{}", sentence);
        other += 1;
    }
}

const fn are_disjoint(left: Names, right: Names) -> bool {
    let mut at = 0;
    while at < left.len() * right.len() {
        if are_equal(left[at / right.len()].as_bytes(), right[at % right.len()].as_bytes()) {
            return false;
        }
        at += 1;
    }
    true
}

const fn are_equal(left: &[u8], right: &[u8]) -> bool {
    let mut at = 0;
    while at < left.len() && at < right.len() && left[at] == right[at] {
        at += 1;
    }
    at == left.len() && at == right.len()
}
