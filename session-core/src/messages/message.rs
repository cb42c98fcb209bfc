//! One flash message: a text, and perhaps data.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
    ser::SerializeMap as _,
};
use serde_json::value::RawValue;

/// A message: a text, and data for the page that shows it.
///
/// A message without data is a string in JSON. A message with data is an object with `text` and `data`.
///
/// # Examples
///
/// ```
/// use session_core::flash::Message;
///
/// let plain = Message::from("Saved");
/// assert_eq!(serde_json::to_string(&plain)?, r#""Saved""#);
///
/// let mut message = Message::from("Deleted");
/// message.insert("undo", r#""/undo/7""#.to_owned());
/// let text = serde_json::to_string(&message)?;
/// assert_eq!(text, r#"{"text":"Deleted","data":{"undo":"/undo/7"}}"#);
/// assert!(serde_json::from_str::<Message>(&text)? == message);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    text: String,
    /// Keys and JSON texts. A message without data needs no allocation for it.
    data: Box<[(String, String)]>,
}

impl Message {
    /// Returns the text.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Message;
    ///
    /// assert_eq!(Message::from("Saved").text(), "Saved");
    /// ```
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the data as keys and JSON texts, in the order in which they were added.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Message;
    ///
    /// let mut message = Message::from("Deleted");
    /// message.insert("id", "7".to_owned());
    /// assert_eq!(message.data().collect::<Vec<_>>(), [("id", "7")]);
    /// ```
    pub fn data(&self) -> impl Iterator<Item = (&str, &str)> {
        self.data.iter().map(|(key, text)| (key.as_str(), text.as_str()))
    }

    /// Sets the JSON text under `key`, and replaces a previous one. The text `null` only removes it. The text must come
    /// from [`encode`](crate::encode).
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::flash::Message;
    ///
    /// let mut message = Message::from("Deleted");
    /// message.insert("id", "7".to_owned());
    /// message.insert("id", "8".to_owned());
    /// assert_eq!(message.data().collect::<Vec<_>>(), [("id", "8")]);
    /// ```
    pub fn insert(&mut self, key: &str, json: String) {
        let mut data = std::mem::take(&mut self.data).into_vec();
        data.retain(|(known, _)| known != key);
        if json != "null" {
            data.push((key.to_owned(), json));
        }
        self.data = data.into_boxed_slice();
    }
}

impl<T: Into<String>> From<T> for Message {
    fn from(text: T) -> Self {
        Self { text: text.into(), data: Box::default() }
    }
}

impl AsRef<str> for Message {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

/// Compares the text, if the message has no data.
impl PartialEq<&str> for Message {
    fn eq(&self, text: &&str) -> bool {
        self.text == *text && self.data.is_empty()
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.data.is_empty() {
            return self.text.serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(TEXT, &self.text)?;
        map.serialize_entry(DATA, &Data(Cow::Borrowed(&self.data)))?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyMessage;

        impl<'de> Visitor<'de> for AnyMessage {
            type Value = Message;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or an object with a text and data")
            }

            fn visit_str<E>(self, text: &str) -> Result<Message, E> {
                Ok(Message::from(text))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Message, A::Error> {
                let (mut text, mut data) = (None, Data::default());
                while let Some(member) = members.next_key::<String>()? {
                    match member.as_str() {
                        TEXT => text = Some(members.next_value()?),
                        DATA => data = members.next_value()?,
                        _ => drop(members.next_value::<Box<RawValue>>()?),
                    }
                }
                let text = text.ok_or_else(|| A::Error::missing_field(TEXT))?;
                Ok(Message { text, data: data.0.into() })
            }
        }

        deserializer.deserialize_any(AnyMessage)
    }
}

crate::opaque_debug!(Message);

/// The data of a message: an object in JSON.
#[derive(Default)]
struct Data<'a>(Cow<'a, [(String, String)]>);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, text) in &*self.0 {
            let value: &RawValue = serde_json::from_str(text).map_err(serde::ser::Error::custom)?;
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Data<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(String, String)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut data = Vec::new();
                while let Some((key, value)) = members.next_entry::<String, Box<RawValue>>()? {
                    data.push((key, String::from(Box::<str>::from(value))));
                }
                Ok(data)
            }
        }

        Ok(Self(Cow::Owned(deserializer.deserialize_map(Members)?)))
    }
}

const TEXT: &str = "text";
const DATA: &str = "data";
