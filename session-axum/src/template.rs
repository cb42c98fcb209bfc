//! Values for template engines, which read them through serde.

use serde::{Serialize, Serializer};
use serde_json::Value;
use session_core::decode;

/// A JSON text that serializes as the value that it stands for. A text that cannot be decoded counts as missing.
pub(crate) struct JsonText<'a>(pub(crate) &'a str);

impl Serialize for JsonText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        decode::<Value>(self.0).unwrap_or_default().serialize(serializer)
    }
}
