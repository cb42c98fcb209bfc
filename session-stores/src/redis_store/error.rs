//! Turns errors of the `redis` crate into [`StoreError`]s, without the keys and values that they may quote.

use ::redis::{ErrorKind, RedisError};
use session_core::store::{StoreError, StoreErrorKind};

/// Returns the error of a command. `place` is the server or the cluster, without user and password.
pub(super) fn store_error(error: &RedisError, place: &str) -> StoreError {
    let reason = match error.code() {
        Some(code) => format!("{place} answered with the error {code}{}", meaning(code)),
        None if error.kind() == ErrorKind::AuthenticationFailed => format!("{place} refused the user or the password"),
        None if error.is_timeout() => format!("{place} did not answer in time"),
        None => format!("the connection to {place} failed: {}", cause(error)),
    };
    StoreError::new(kind(error), reason)
}

/// Returns the error for a URL that cannot be used. The error does not repeat the URL, because it may hold a password.
pub(super) fn url_error(error: &RedisError) -> StoreError {
    StoreError::new(StoreErrorKind::Refused, format!("the URL of Redis cannot be used: {}", cause(error)))
}

/// Explains the error codes that an operator can do something about. Returns an empty text for other codes.
fn meaning(code: &str) -> &'static str {
    match code {
        "CLUSTERDOWN" => ": the cluster does not serve all keys",
        "LOADING" => ": it is still loading its data",
        "MISCONF" => ": it cannot save its data to disk",
        "NOAUTH" => ": it asks for a password",
        "NOPERM" => ": this user may not run a command that the store needs, or not on this prefix",
        "NOREPLICAS" => ": too few replicas are connected",
        "OOM" => ": its memory is full",
        "READONLY" => ": it is a replica, which cannot be written to",
        "WRONGPASS" => ": the user or the password is wrong",
        "WRONGTYPE" => ": the key of a session holds something else than a hash",
        _ => "",
    }
}

/// Returns the cause of an error, in the words of the operating system or the driver. The detail of an error may quote
/// what the server sent. It is used only if the error comes from the connection itself.
fn cause(error: &RedisError) -> String {
    let text = match error.detail() {
        Some(detail) if error.is_io_error() => detail.to_owned(),
        Some(_) => error.category().to_owned(),
        None => error.to_string(),
    };
    // The driver's own errors end with their kind: `Redis URL did not parse - InvalidClientConfig`.
    text.split(" - ").next().unwrap_or(&text).to_owned()
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
