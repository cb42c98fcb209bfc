//! The counters. All labels are words of this crate, so that no client can add a time series.

use metrics::{Label, Unit, counter, describe_counter, describe_histogram, histogram};

pub(super) const CREATED: &str = "session_created_total";
pub(super) const RENEWED: &str = "session_renewed_total";
pub(super) const DESTROYED: &str = "session_destroyed_total";
pub(super) const EXPIRED: &str = "session_expired_total";
pub(super) const REFUSED: &str = "session_refused_total";
pub(super) const COOKIE_BYTES: &str = "session_cookie_bytes";
pub(super) const STORE_CALLS: &str = "session_store_calls_total";
pub(super) const STORE_SECONDS: &str = "session_store_call_duration_seconds";

pub(super) fn describe() {
    describe_counter!(CREATED, Unit::Count, "Sessions that began.");
    describe_counter!(RENEWED, Unit::Count, "Sessions that got a new id, by kind: renew, rotate or replace.");
    describe_counter!(DESTROYED, Unit::Count, "Sessions that were ended before their limits, by cause.");
    describe_counter!(EXPIRED, Unit::Count, "Requests with an expired session.");
    describe_counter!(REFUSED, Unit::Count, "Requests that brought a cookie or token that does not count, by reason.");
    describe_histogram!(COOKIE_BYTES, Unit::Bytes, "Bytes of the name and the value of each cookie that was set.");
    describe_counter!(STORE_CALLS, Unit::Count, "Calls of the store, by operation and outcome.");
    describe_histogram!(STORE_SECONDS, Unit::Seconds, "Seconds until the store answered, by operation.");
}

pub(super) fn add(name: &'static str, labels: &[(&'static str, &'static str)], by: u64) {
    counter!(name, all(labels)).increment(by);
}

pub(super) fn record(name: &'static str, labels: &[(&'static str, &'static str)], value: f64) {
    histogram!(name, all(labels)).record(value);
}

fn all(labels: &[(&'static str, &'static str)]) -> Vec<Label> {
    labels.iter().map(|(name, value)| Label::from_static_parts(name, value)).collect()
}
