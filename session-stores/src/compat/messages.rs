//! The messages of axum-messages, which keeps them in the session.

use serde_json::Value;
use session_core::{
    encode,
    flash::{Batch, Message},
};

/// Returns the messages that the next page would show. `data` is what axum-messages keeps under [`KEY`].
pub(super) fn pending(data: &Value) -> Batch {
    let mut batch = Batch::NOTHING;
    for (kind, message) in data["pending_messages"].as_array().into_iter().flatten().filter_map(message) {
        batch.messages.add(kind, message);
    }
    batch
}

fn message(data: &Value) -> Option<(String, Message)> {
    let kind = data["l"].as_str()?.to_lowercase();
    let mut message = Message::from(data["m"].as_str()?);
    for (key, value) in data["d"].as_object().into_iter().flatten() {
        message.insert(key, encode(value).ok()?);
    }
    Some((kind, message))
}

/// The key of axum-messages in the session.
pub(super) const KEY: &str = "axum-messages.data";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Message, pending};

    #[test]
    fn pending_messages_are_read_with_their_data() {
        let batch = pending(&json!({
            "messages": [{ "l": "Info", "m": "was read before", "d": null }],
            "pending_messages": [
                { "l": "Success", "m": "Saved.", "d": null },
                { "l": "Success", "m": "Sent.", "d": { "to": "ada" } },
                { "l": "Debug", "m": "", "d": {} },
            ],
        }));
        let success = batch.messages.get_all("success");
        assert_eq!(success.iter().map(Message::text).collect::<Vec<_>>(), ["Saved.", "Sent."]);
        assert_eq!(success[1].data().collect::<Vec<_>>(), [("to", "\"ada\"")]);
        assert_eq!(batch.messages.get("debug"), Some(""));
        assert_eq!(batch.messages.iter().count(), 2);
    }

    #[test]
    fn other_data_has_no_messages() {
        for data in [json!(null), json!(1), json!([]), json!({ "pending_messages": {} })] {
            assert!(pending(&data).is_empty());
        }
        assert!(pending(&json!({ "pending_messages": [1, {}, { "l": 1, "m": "a" }, { "l": "Info" }] })).is_empty());
    }
}
