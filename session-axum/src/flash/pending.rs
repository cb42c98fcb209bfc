//! Pending messages: those that a request has added for the next page.

use std::fmt;

use serde::{Serialize, Serializer};
use session_core::flash::MessageLists;

use super::{ByKey, Message, Messages, ShownMessage};

/// The messages that a request has added for the next page: serializes as a list of maps with `key`, `text` and `data`.
/// [`Flash::pending`](super::Flash::pending) and [`Flash::take_pending`](super::Flash::take_pending) return it.
///
/// As an iterator it gives pairs of a key and a [`Message`], which
/// [`flashing`](crate::SessionResponseExt::flashing) takes.
#[derive(Clone)]
pub struct Pending(pub(super) MessageLists);

impl Pending {
    /// Returns the messages as a page shows them. Those under one key stay together, the oldest first.
    ///
    /// ```
    /// # use axum::{Router, extract::Request, middleware::{Next, from_fn}, routing::get};
    /// # use axum::response::{IntoResponse, Response};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn toasts(flash: Flash, request: Request, next: Next) -> Response {
    ///     let mut response = next.run(request).await;
    ///     let pending = flash.take_pending(&mut response);
    ///     let toasts: Vec<_> = pending.iter().map(|message| format!("{}: {}", message.key, message.text)).collect();
    ///     (response.into_parts().0, toasts.join(", ")).into_response()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(|| async { "".flashing([("info", "Saved"), ("mail", "Sent")]) }));
    /// # let app = app.layer(from_fn(toasts)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// assert_eq!(client.get("/").await.text(), "info: Saved, mail: Sent");
    /// # });
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = ShownMessage<'_>> {
        self.into_iter()
    }

    /// Returns the text of the last message under `key`; `None` if there is none.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// # use axum::response::IntoResponse;
    /// async fn page(flash: Flash) {
    ///     flash.success("Saved");
    ///     assert_eq!(flash.pending(&().into_response()).get("success"), Some("Saved"));
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)
    }

    /// Returns the texts of the messages by their key.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// # use axum::response::IntoResponse;
    /// async fn page(flash: Flash) {
    ///     flash.info("Saved");
    ///     flash.info("Sent");
    ///     assert_eq!(flash.pending(&().into_response()).by_key().get("info"), ["Saved", "Sent"]);
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn by_key(&self) -> ByKey<'_> {
        ByKey::of(self.iter().map(|message| (message.key, message.text)))
    }

    /// Returns whether there are no messages.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// # use axum::response::IntoResponse;
    /// async fn page(flash: Flash) {
    ///     assert!(flash.pending(&().into_response()).is_empty());
    ///     flash.success("Saved");
    ///     assert!(!flash.pending(&().into_response()).is_empty());
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

impl<'a> IntoIterator for &'a Pending {
    type Item = ShownMessage<'a>;
    type IntoIter = std::vec::IntoIter<ShownMessage<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        Messages::of(&self.0).into_iter()
    }
}

impl IntoIterator for Pending {
    type Item = (String, Message);
    type IntoIter = std::vec::IntoIter<(String, Message)>;

    fn into_iter(self) -> Self::IntoIter {
        let messages = self.0.into_iter().map(|(key, message)| (key, Message::of(message)));
        messages.collect::<Vec<_>>().into_iter()
    }
}

impl Serialize for Pending {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Messages::of(&self.0).serialize(serializer)
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}
