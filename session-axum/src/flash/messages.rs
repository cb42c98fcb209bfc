//! Messages: as a handler adds them, and as a page shows them.

use serde::{
    Serialize, Serializer,
    de::DeserializeOwned,
    ser::{SerializeMap, SerializeSeq},
};
use session_core::{
    decode, encode,
    flash::{self, MessageLists},
};

use crate::{error::Error, template::JsonText};

/// A message with data for the page that shows it, such as the address of an undo button.
///
/// Everything that takes a message also takes a plain text.
///
/// ```
/// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
/// # use session_axum::{Flash, Keys, Message, SessionLayer, SessionResponseExt, flash::ShownMessage, testing::Client};
/// async fn delete() -> Response {
///     Redirect::to("/").flashing(("success", Message::new("Deleted").with("undo", "/undo/7")))
/// }
///
/// async fn page(flash: Flash) -> String {
///     let link = |path: String| format!("<a href='{path}'>Undo</a>");
///     let messages = flash.messages();
///     let undo = |message: ShownMessage<'_>| message.data.text("undo").map(link).unwrap_or_default();
///     messages.iter().map(|message| message.text.to_owned() + &undo(message)).collect()
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let app = Router::new().route("/", get(page)).route("/delete", post(delete));
/// # let app = app.layer(SessionLayer::signed(Keys::generate()));
/// # let client = Client::new(app);
/// client.post("/delete").await;
/// assert_eq!(client.get("/").await.text(), "Deleted<a href='/undo/7'>Undo</a>");
/// # });
/// ```
#[derive(Clone)]
pub struct Message {
    content: flash::Message,
    error: Option<Error>,
}

impl Message {
    /// Creates a message without data.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, Message, SessionLayer, testing::Client};
    /// async fn page(mut flash: Flash) {
    ///     flash.now("info", Message::new("A new version is available"));
    ///     assert_eq!(flash.get("info"), Some("A new version is available"));
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self::of(flash::Message::from(text))
    }

    /// Adds a value to the data, and replaces a previous one under `key`. A value that is `null` in JSON removes the
    /// key.
    ///
    /// The page reads the value with [`MessageData::get`], and a template as `message.data.key`. If the value cannot be
    /// written as JSON that can be read back, the response to which the message is added becomes an [`Error`].
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, Message, SessionLayer, testing::Client};
    /// async fn page(mut flash: Flash) {
    ///     flash.now("info", Message::new("Three new letters").with("count", 3).with("from", ["Ada", "Grace"]));
    ///     let messages = flash.messages();
    ///     let data = messages.iter().next().unwrap().data;
    ///     assert_eq!(data.get::<u32>("count"), Some(3));
    ///     assert_eq!(data.get::<Vec<String>>("from"), Some(vec!["Ada".to_owned(), "Grace".to_owned()]));
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Serialize) -> Self {
        // The cookie holds the value within a list, a message and its data. All levels together may be 32, so the value
        // is encoded with three levels around it.
        match encode(&[[[value]]]) {
            Ok(text) => self.content.insert(key, text[3..text.len() - 3].to_owned()),
            Err(error) => self.error = Some(Error::encode(key, error)),
        }
        self
    }

    pub(super) const fn of(content: flash::Message) -> Self {
        Self { content, error: None }
    }

    /// Returns the message, or the error of a value that cannot be written.
    pub(crate) fn into_content(self) -> Result<flash::Message, Error> {
        self.error.map_or(Ok(self.content), Err)
    }
}

impl<T: Into<String>> From<T> for Message {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

session_core::opaque_debug!(Message);

/// Flash messages for a template: serializes as a list of maps with `key`, `text` and `data`.
/// [`Flash::messages`](super::Flash::messages) returns it.
#[derive(Clone)]
pub struct Messages<'a>(pub(super) Vec<ShownMessage<'a>>);

/// A flash message, as a page shows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ShownMessage<'a> {
    /// The key, which is the kind of message: `success`, `error`, ..
    pub key: &'a str,
    /// The text of the message.
    pub text: &'a str,
    /// The data that a handler has added with [`Message::with`]. It is empty for a plain text.
    pub data: MessageData<'a>,
}

/// Returns the messages of all keys as a page shows them.
pub(super) fn shown(lists: &MessageLists) -> impl Iterator<Item = ShownMessage<'_>> {
    lists.iter().flat_map(|(key, messages)| {
        messages.iter().map(move |message| ShownMessage { key, text: message.text(), data: MessageData(message) })
    })
}

impl<'a> Messages<'a> {
    pub(super) fn of(lists: &'a MessageLists) -> Self {
        Self(shown(lists).collect())
    }

    /// Returns the messages in the order of [`Flash::iter`](super::Flash::iter).
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").flashing([("success", "Saved"), ("warning", "The disk is almost full")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     let messages = flash.messages();
    ///     messages.iter().map(|message| format!("{}: {}. ", message.key, message.text)).collect()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "success: Saved. warning: The disk is almost full. ");
    /// # });
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = ShownMessage<'a>> {
        self.0.iter().copied()
    }

    /// Returns whether there are no messages.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// async fn page(mut flash: Flash) {
    ///     assert!(flash.messages().is_empty());
    ///     flash.now("info", "A new version is available");
    ///     assert!(!flash.messages().is_empty());
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for Messages<'a> {
    type Item = ShownMessage<'a>;
    type IntoIter = std::vec::IntoIter<ShownMessage<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for message in &self.0 {
            list.serialize_element(message)?;
        }
        list.end()
    }
}

impl Serialize for ShownMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("key", self.key)?;
        map.serialize_entry("text", self.text)?;
        map.serialize_entry("data", &self.data)?;
        map.end()
    }
}

/// The data of a flash message: serializes as a map of JSON values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MessageData<'a>(&'a flash::Message);

impl MessageData<'_> {
    /// Returns the value under `key`; `None` if there is none, or if it is not a `T`.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, Message, SessionLayer, testing::Client};
    /// async fn page(mut flash: Flash) {
    ///     flash.now("info", Message::new("Three new letters").with("count", 3));
    ///     let messages = flash.messages();
    ///     let data = messages.iter().next().unwrap().data;
    ///     assert_eq!(data.get::<u32>("count"), Some(3));
    ///     assert_eq!(data.get::<String>("count"), None);
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        decode(self.json(key)?).ok()
    }

    /// Returns the value under `key` as a page prints it: a text as it is, anything else as JSON. Returns `None` if
    /// there is no value.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, Message, SessionLayer, testing::Client};
    /// async fn page(mut flash: Flash) {
    ///     flash.now("info", Message::new("Three new letters").with("count", 3).with("from", "Ada"));
    ///     let messages = flash.messages();
    ///     let data = messages.iter().next().unwrap().data;
    ///     assert_eq!(data.text("count").as_deref(), Some("3"));
    ///     assert_eq!(data.text("from").as_deref(), Some("Ada"));
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        let json = self.json(key)?;
        Some(decode(json).unwrap_or_else(|_| json.to_owned()))
    }

    fn json(&self, key: &str) -> Option<&str> {
        self.0.data().find(|(known, _)| *known == key).map(|(_, json)| json)
    }
}

impl Serialize for MessageData<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.data().map(|(key, json)| (key, JsonText(json))))
    }
}

/// The texts of flash messages by their key, for a template: serializes as a map from each key to a list of texts.
/// [`Flash::by_key`](super::Flash::by_key) returns it.
#[derive(Clone)]
pub struct ByKey<'a>(Vec<(&'a str, Vec<&'a str>)>);

impl<'a> ByKey<'a> {
    pub(super) fn of(messages: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut lists: Vec<(&str, Vec<&str>)> = Vec::new();
        for (key, text) in messages {
            match lists.iter_mut().find(|(known, _)| *known == key) {
                Some((_, texts)) => texts.push(text),
                None => lists.push((key, vec![text])),
            }
        }
        Self(lists)
    }

    /// Returns the texts under `key`, the oldest first.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// async fn page(mut flash: Flash) {
    ///     flash.now("info", "Saved");
    ///     flash.now("info", "Sent");
    ///     assert_eq!(flash.by_key().get("info"), ["Saved", "Sent"]);
    ///     assert_eq!(flash.by_key().get("error"), [""; 0]);
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn get(&self, key: &str) -> &[&'a str] {
        self.0.iter().find(|(known, _)| *known == key).map_or(&[], |(_, texts)| texts)
    }

    /// Returns the keys with their texts, in the order of their first messages.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// async fn page(mut flash: Flash) {
    ///     flash.now("info", "Saved");
    ///     flash.now("error", "Not sent");
    ///     let by_key = flash.by_key();
    ///     let keys: Vec<_> = by_key.iter().map(|(key, texts)| format!("{key}: {}", texts.join(", "))).collect();
    ///     assert_eq!(keys, ["info: Saved", "error: Not sent"]);
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &[&'a str])> {
        self.0.iter().map(|(key, texts)| (*key, texts.as_slice()))
    }
}

impl Serialize for ByKey<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

super::debug_shows_nothing!(Messages, ShownMessage, MessageData, ByKey);
