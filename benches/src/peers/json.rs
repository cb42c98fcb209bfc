//! The session of those that carry text and leave its meaning to the application: a struct.

use guard::Session;
use serde::Deserialize;
use serde_json::{Map, Value};

/// What a handler that reads one key asks for; the others are skipped, and nothing is made of them.
#[derive(Deserialize)]
pub struct Visits {
    pub visits: u64,
}

pub fn visits(text: &str) -> Option<u64> {
    serde_json::from_str::<Visits>(text).ok().map(|data| data.visits)
}

pub fn read(text: &str) -> Option<Session> {
    serde_json::from_str(text).ok()
}

pub fn write(session: &Session) -> String {
    serde_json::to_string(session).unwrap_or_default()
}

pub fn take_flash(session: &mut Session) -> Option<u64> {
    session.flash.take().map(|text| text.len() as u64)
}

/// For those that keep values by key.
pub fn values(session: &Session) -> Map<String, Value> {
    match serde_json::to_value(session) {
        Ok(Value::Object(values)) => values,
        _ => Map::new(),
    }
}
