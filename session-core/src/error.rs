//! Every error of this crate in one place.

pub use crate::{
    cookie::{SettingsError, TooLarge},
    data::MissingField,
    entries::{DecodeError, EncodeError, Malformed},
    id::RandomError,
    keys::{KeyError, KeyErrorKind},
};
