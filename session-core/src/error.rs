//! Every error of this crate in one place.

pub use crate::{
    cookie::{SettingsError, TooLarge},
    data::MissingField,
    entries::{DecodeError, EncodeError},
    id::{InvalidId, RandomError},
    json::Malformed,
    keys::{KeyError, KeyErrorKind},
    store::{StoreError, StoreErrorKind},
};
