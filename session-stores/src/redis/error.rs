//! What went wrong, without what it was about: an error of Redis may quote keys and values.

use ::redis::{ErrorKind, RedisError};
use session_core::{StoreError, StoreErrorKind};

/// The error for the application: the code that Redis answered with, or what became of the connection.
pub(super) fn store_error(error: &RedisError) -> StoreError {
    let reason = match error.code() {
        Some(code) => format!("Redis answered {code}"),
        None if error.is_timeout() => "Redis did not answer in time".to_owned(),
        None if error.is_connection_dropped() => "there is no connection to Redis".to_owned(),
        None => format!("the connection to Redis failed: {}", error.category()),
    };
    StoreError::new(kind(error), reason)
}

fn kind(error: &RedisError) -> StoreErrorKind {
    match (error.code(), error.kind()) {
        (Some("ERR"), _) if error.detail().is_some_and(|detail| detail.starts_with("max number of clients")) => {
            StoreErrorKind::Unavailable
        }
        (Some(code), _) => kind_of_code(code),
        (None, ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported) => {
            StoreErrorKind::Refused
        }
        (None, _) => StoreErrorKind::Unavailable,
    }
}

fn kind_of_code(code: &str) -> StoreErrorKind {
    match code {
        "WRONGTYPE" => StoreErrorKind::Unreadable,
        "ASK" | "BUSY" | "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "MISCONF" | "MOVED" | "NOREPLICAS" | "OOM"
        | "READONLY" | "TRYAGAIN" => StoreErrorKind::Unavailable,
        _ => StoreErrorKind::Refused,
    }
}
