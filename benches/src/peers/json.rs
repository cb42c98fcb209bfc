//! The session of those that carry text and leave its meaning to the application: a map, as ours is.

use guard::Session;
use serde_json::{Map, Value};

pub type Data = Map<String, Value>;

pub fn data(session: &Session) -> Data {
    let entry = |(key, text): (String, String)| Some((key, serde_json::from_str(&text).ok()?));
    session.entries().into_iter().filter_map(entry).collect()
}

pub fn visits(data: &Data) -> Option<u64> {
    data.get("visits").and_then(Value::as_u64)
}

pub fn flash_size(data: &mut Data) -> Option<u64> {
    data.remove("flash").as_ref().and_then(Value::as_str).map(|text| text.len() as u64)
}

pub fn to_text(data: &Data) -> String {
    serde_json::to_string(data).unwrap_or_default()
}
