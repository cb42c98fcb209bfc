//! Values for template engines, which read them through serde.

use serde::{Serialize, Serializer, ser::Error as _};
use serde_json::Value;
use session_core::decode;

/// A JSON text that serializes as the value that it stands for.
pub(crate) struct JsonText<'a>(pub(crate) &'a str);

impl Serialize for JsonText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        decode::<Value>(self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}
