//! `Flash`: messages, form input and form errors for the next page.

use std::sync::Arc;

use axum_core::extract::FromRequestParts;
use http::request::Parts;
use serde::{Serialize, Serializer, ser::SerializeMap};
use session_core::{
    RESERVED_PREFIX,
    flash::{self, Batch, MessageLists},
};

use crate::{
    config::FlashMode,
    edits::ResponseEdits,
    error::{Error, is_failure},
    form::{self, Choice, FormValues, IntoErrors},
    pairs::{self, IntoKeys},
    rejection::{MissingLayer, request_of},
    request::Request,
    state::flash_changes::{Fate, FlashChanges, Part},
    wire::page_view::is_prefetch,
};

/// Implements `Debug` without the content: values of visitors never reach a log.
macro_rules! debug_shows_nothing {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}
use debug_shows_nothing;

mod filled;
pub(crate) mod messages;
mod pending;
mod values;

pub use filled::{Filled, FilledForm, FormField};
pub use messages::{ByKey, Message, MessageData, Messages, ShownMessage};
pub use pending::Pending;
pub use values::{FormErrors, Input};

/// The flash messages of a request: reads those of earlier responses, and adds some for the next page.
///
/// `Flash` never rejects a request because of what the client sent: a forged or expired message is ignored. Without a
/// [`SessionLayer`](crate::SessionLayer) it rejects with a 500 that names the missing layer.
///
/// Flash messages have cookies of their own. They survive the end of the session, and need no session.
///
/// # When a message is gone
///
/// A message is gone after a handler has read its key and the response shows a page: a 2xx or 4xx with a body that is
/// not empty. A redirect keeps the message, also one by htmx's `HX-Redirect`, `HX-Location` or `HX-Refresh`. So do a
/// 204, 205, 304, 408 and 5xx, the response to a HEAD request, and a request that does not read the message. A message
/// that is not read is gone after the [flash lifetime](crate::SessionLayer::flash_lifetime).
///
/// The messages of one response may have at most 2,048 bytes: the name and value of their cookie. More of them make the
/// response an [`Error`].
///
/// Read messages before the handler returns. A body that is streamed is written after the response has been sent: a
/// message that is read there is shown, stays for the next page, and makes a log line.
///
/// A request that only prepares a page (a prefetch, a prerender or a preview) sees no messages and removes none: the
/// browser may show that page later without another request. It may add messages. With [`FlashMode::NextRequest`] each
/// request sees all messages, and its response removes them.
///
/// # Examples
///
/// ```
/// # use axum::{Router, response::Redirect, routing::{get, post}};
/// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
/// async fn save(flash: Flash) -> Redirect {
///     flash.success("The item has been created");
///     Redirect::to("/")
/// }
///
/// async fn page(flash: Flash) -> String {
///     flash.get("success").unwrap_or("Welcome!").to_owned()
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let app = Router::new().route("/", get(page)).route("/save", post(save));
/// # let app = app.layer(SessionLayer::signed(Keys::generate()));
/// # let client = Client::new(app);
/// client.post("/save").await;
/// assert_eq!(client.get("/").await.text(), "The item has been created");
/// assert_eq!(client.get("/").await.text(), "Welcome!");
/// # });
/// ```
pub struct Flash {
    request: Arc<Request>,
    /// Messages, input and errors for this page only.
    now: Batch,
    /// Whether the browser only prepares this page.
    is_prefetch: bool,
}

impl Flash {
    /// Returns the last message under `key`, and marks the key as read; `None` if there is no message.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").flashing([("info", "Saved"), ("info", "Sent")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     flash.get("info").unwrap_or("Nothing new").to_owned()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "Sent");
    /// assert_eq!(client.get("/").await.text(), "Nothing new");
    /// # });
    /// ```
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.mark([key]);
        self.peek(key)
    }

    /// Returns all messages under `key`, the oldest first, and marks the key as read.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").flashing([("info", "Saved"), ("info", "Sent")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     flash.get_all("info").join(", ")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "Saved, Sent");
    /// assert_eq!(client.get("/").await.text(), "");
    /// # });
    /// ```
    #[must_use]
    pub fn get_all(&self, key: &str) -> Vec<&str> {
        self.mark([key]);
        self.peek_all(key)
    }

    /// Returns all messages as pairs of key and text, and marks all keys as read.
    ///
    /// The messages of the oldest response come first. Those of one response are grouped by key.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").flashing([("success", "Saved"), ("warning", "The disk is almost full")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     flash.iter().map(|(key, text)| format!("{key}: {text}. ")).collect()
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
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.mark_all();
        self.all()
    }

    /// Returns whether there are no messages. Marks no key as read.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").flashing([("info", "Saved"), ("info", "Sent")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     flash.is_empty().to_string()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// assert_eq!(client.get("/").await.text(), "true");
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "false");
    /// # });
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// Returns the last message under `key`, and does not mark the key as read; `None` if there is no message.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").flashing([("info", "Saved"), ("info", "Sent")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     flash.peek("info").unwrap_or("Nothing new").to_owned()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "Sent");
    /// assert_eq!(client.get("/").await.text(), "Sent");
    /// # });
    /// ```
    #[must_use]
    pub fn peek(&self, key: &str) -> Option<&str> {
        self.all().filter(|(known, _)| *known == key).map(|(_, text)| text).last()
    }

    /// Returns all messages under `key`, the oldest first, and does not mark the key as read.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").flashing([("info", "Saved"), ("info", "Sent")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     flash.peek_all("info").join(", ")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "Saved, Sent");
    /// assert_eq!(client.get("/").await.text(), "Saved, Sent");
    /// # });
    /// ```
    #[must_use]
    pub fn peek_all(&self, key: &str) -> Vec<&str> {
        self.all().filter(|(known, _)| *known == key).map(|(_, text)| text).collect()
    }

    /// Returns all messages as a value for a template, and marks all keys as read.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").flashing([("info", "Saved"), ("info", "Sent")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     flash.messages().iter().map(|message| format!("<p>{}</p>", message.text)).collect()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "<p>Saved</p><p>Sent</p>");
    /// # });
    /// ```
    #[must_use]
    pub fn messages(&self) -> Messages<'_> {
        self.mark_all();
        Messages(self.shown().collect())
    }

    /// Returns the texts of all messages by their key, as a value for a template, and marks all keys as read.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").flashing([("info", "Saved"), ("error", "Not printed"), ("info", "Sent")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     let flash = flash.by_key(); // in a template: {% for text in flash.info %}
    ///     format!("{}. {}.", flash.get("info").join(", "), flash.get("error").join(", "))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "Saved, Sent. Not printed.");
    /// # });
    /// ```
    #[must_use]
    pub fn by_key(&self) -> ByKey<'_> {
        ByKey::of(self.iter())
    }

    /// Returns the values of a refused form, and marks them as read.
    ///
    /// [`with_input`](crate::SessionResponseExt::with_input) adds them on the response that refuses the form.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").with_input(&[("name", "Ada"), ("age", "a lot")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     let input = flash.input();
    ///     format!("Your name: {}", input.get("name").unwrap_or_default())
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "Your name: Ada");
    /// assert_eq!(client.get("/").await.text(), "Your name: ");
    /// # });
    /// ```
    #[must_use]
    pub fn input(&self) -> Input<'_> {
        if self.carried().any(Batch::has_form) {
            self.request.note_flash_read(Part::Input);
        }
        Input(self.forms())
    }

    /// Returns the errors of a refused form, and marks them as read.
    ///
    /// [`with_errors`](crate::SessionResponseExt::with_errors) adds them on the response that refuses the form.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").with_errors([("age", "is not a number")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     let errors = flash.errors();
    ///     format!("Your age {}", errors.get("age").unwrap_or("is fine"))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "Your age is not a number");
    /// assert_eq!(client.get("/").await.text(), "Your age is fine");
    /// # });
    /// ```
    #[must_use]
    pub fn errors(&self) -> FormErrors<'_> {
        if self.carried().any(Batch::has_form) {
            self.request.note_flash_read(Part::Errors);
        }
        FormErrors(self.forms())
    }

    /// Returns a form with its values and errors, and marks them as read. If the form was refused, the values are those
    /// that the visitor typed, and otherwise those of `saved`.
    ///
    /// `saved` is a struct, a map, or a list of pairs, and has the fields of one form. [`Filled`] tells which value a
    /// field has. For a form without saved values pass `&()`.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, flash::FormField, testing::Client};
    /// #[derive(serde::Serialize)]
    /// struct Settings {
    ///     name: String,
    /// }
    ///
    /// fn input(field: FormField<'_>) -> String {
    ///     format!("<input name='{}' value='{}'>{}", field.name, field.value, field.errors.join(", "))
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     let form = flash.form(&Settings { name: "Ada".to_owned() });
    ///     input(form.field("name"))
    /// }
    ///
    /// async fn save() -> Response {
    ///     Redirect::to("/").with_input(&[("name", "")]).with_errors([("name", "is required")])
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// assert_eq!(client.get("/").await.text(), "<input name='name' value='Ada'>");
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "<input name='name' value=''>is required");
    /// # });
    /// ```
    #[must_use]
    pub fn form(&self, saved: &(impl Serialize + ?Sized)) -> FilledForm<'_> {
        FilledForm::new(self.input().or(saved), self.errors())
    }

    /// Adds a success message for the next page, under the key `success`.
    ///
    /// ```
    /// # use axum::{Router, response::Redirect, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// # async fn page(flash: Flash) -> String { flash.get("success").unwrap_or_default().to_owned() }
    /// async fn save(flash: Flash) -> Redirect {
    ///     flash.success("The item has been created");
    ///     Redirect::to("/")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "The item has been created");
    /// # });
    /// ```
    pub fn success(&self, message: impl Into<Message>) {
        self.add("success", message);
    }

    /// Adds an error message for the next page, under the key `error`.
    ///
    /// ```
    /// # use axum::{Router, response::Redirect, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// # async fn page(flash: Flash) -> String { flash.get("error").unwrap_or_default().to_owned() }
    /// async fn save(flash: Flash) -> Redirect {
    ///     flash.error("The item could not be created");
    ///     Redirect::to("/")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "The item could not be created");
    /// # });
    /// ```
    pub fn error(&self, message: impl Into<Message>) {
        self.add("error", message);
    }

    /// Adds a warning for the next page, under the key `warning`.
    ///
    /// ```
    /// # use axum::{Router, response::Redirect, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// # async fn page(flash: Flash) -> String { flash.get("warning").unwrap_or_default().to_owned() }
    /// async fn save(flash: Flash) -> Redirect {
    ///     flash.warning("The disk is almost full");
    ///     Redirect::to("/")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "The disk is almost full");
    /// # });
    /// ```
    pub fn warning(&self, message: impl Into<Message>) {
        self.add("warning", message);
    }

    /// Adds a piece of information for the next page, under the key `info`.
    ///
    /// ```
    /// # use axum::{Router, response::Redirect, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// # async fn page(flash: Flash) -> String { flash.get("info").unwrap_or_default().to_owned() }
    /// async fn save(flash: Flash) -> Redirect {
    ///     flash.info("A new version is available");
    ///     Redirect::to("/")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "A new version is available");
    /// # });
    /// ```
    pub fn info(&self, message: impl Into<Message>) {
        self.add("info", message);
    }

    /// Adds a message for the next page, under any key. A [`Message`] brings data for that page along.
    ///
    /// Keys that begin with `$` are reserved: with such a key, the response becomes an [`Error`].
    ///
    /// ```
    /// # use axum::{Router, response::Redirect, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// async fn save(flash: Flash) -> Redirect {
    ///     flash.add("undo", "/items/7/restore");
    ///     Redirect::to("/")
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     flash.get("undo").unwrap_or_default().to_owned()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "/items/7/restore");
    /// # });
    /// ```
    pub fn add(&self, key: &str, message: impl Into<Message>) {
        self.change_added(key, message.into(), |messages, key, message| messages.add(key, message));
    }

    /// Sets the message under `key` for the next page: it replaces those that this request has added under the key.
    ///
    /// Messages that came with the request stay. Keys that begin with `$` are reserved: with such a key, the response
    /// becomes an [`Error`].
    ///
    /// ```
    /// # use axum::{Router, response::Redirect, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// # async fn page(flash: Flash) -> String { flash.get_all("info").join(", ") }
    /// async fn save(flash: Flash) -> Redirect {
    ///     flash.info("Saving");
    ///     flash.set("info", "Saved");
    ///     Redirect::to("/")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "Saved");
    /// # });
    /// ```
    pub fn set(&self, key: &str, message: impl Into<Message>) {
        self.change_added(key, message.into(), |messages, key, message| messages.set(key, message));
    }

    /// Removes the messages that this request has added under `key`, and returns whether there were any.
    ///
    /// Messages that came with the request stay, and so do those of helpers on the response.
    ///
    /// ```
    /// # use axum::{Router, response::Redirect, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// # async fn page(flash: Flash) -> String { flash.iter().map(|(key, text)| format!("{key}: {text}. ")).collect() }
    /// async fn save(flash: Flash) -> Redirect {
    ///     flash.info("Saved");
    ///     flash.warning("The disk is almost full");
    ///     assert!(flash.remove("warning"));
    ///     assert!(!flash.remove("warning"));
    ///     Redirect::to("/")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "info: Saved. ");
    /// # });
    /// ```
    pub fn remove(&self, key: &str) -> bool {
        let mut was_added = false;
        self.stage(|flash| {
            was_added = flash.added.messages.get(key).is_some();
            flash.added.messages.retain(|known| known != key);
        });
        was_added
    }

    /// Removes all messages that this request has added.
    ///
    /// Messages that came with the request stay, and so do those of helpers on the response. [`Flash::discard`] removes
    /// those that came.
    ///
    /// ```
    /// # use axum::{Router, response::Redirect, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// # async fn page(flash: Flash) -> String { flash.iter().map(|(key, text)| format!("{key}: {text}. ")).collect() }
    /// async fn save(flash: Flash) -> Redirect {
    ///     flash.info("Saved");
    ///     flash.warning("The disk is almost full");
    ///     flash.clear();
    ///     Redirect::to("/")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "");
    /// # });
    /// ```
    pub fn clear(&self) {
        self.stage(|flash| flash.added.messages = MessageLists::default());
    }

    /// Returns the messages for the next page that `response` brings along: those of extractors, and those of its own
    /// helpers.
    ///
    /// A layer around the handler uses it. If the response is a 5xx or a 408, messages of extractors are left out,
    /// because they are not kept for the next page either.
    ///
    /// ```
    /// # use axum::{Router, extract::Request, middleware::{Next, from_fn}, response::Response, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save(flash: Flash) -> Response {
    ///     flash.success("Saved");
    ///     "page".flashing(("info", "Sent"))
    /// }
    ///
    /// async fn layer(flash: Flash, request: Request, next: Next) -> Response {
    ///     let response = next.run(request).await;
    ///     let pending = flash.pending(&response);
    ///     assert_eq!((pending.get("success"), pending.get("info")), (Some("Saved"), Some("Sent")));
    ///     response
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(save)).layer(from_fn(layer));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.text(), "page");
    /// # });
    /// ```
    #[must_use]
    pub fn pending<B>(&self, response: &http::Response<B>) -> Pending {
        self.pending_of(response, |messages| messages.clone())
    }

    /// Takes the messages for the next page out of `response` and this request, and returns them. The next page does
    /// not show them.
    ///
    /// A layer around the handler uses it to show the messages at once, for example as toasts, or in a header such as
    /// `HX-Trigger`. It returns the same messages as [`Flash::pending`]. Input and errors of forms stay.
    ///
    /// ```
    /// # use axum::{Router, extract::Request, middleware::{Next, from_fn}, routing::get};
    /// # use axum::response::{IntoResponse, Response};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// async fn save(flash: Flash) {
    ///     flash.success("Saved");
    /// }
    ///
    /// async fn toasts(flash: Flash, request: Request, next: Next) -> Response {
    ///     let mut response = next.run(request).await;
    ///     let pending = flash.take_pending(&mut response);
    ///     let toasts: String = pending.iter().map(|message| format!("<p>{}</p>", message.text)).collect();
    ///     (response.into_parts().0, toasts).into_response()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(save)).layer(from_fn(toasts));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// let page = client.get("/").await;
    /// assert_eq!((page.text().as_str(), page.set_cookies().len()), ("<p>Saved</p>", 0));
    /// # });
    /// ```
    #[must_use = "the messages are lost if they are not shown"]
    pub fn take_pending<B>(&self, response: &mut http::Response<B>) -> Pending {
        let pending = self.pending_of(response, std::mem::take);
        ResponseEdits::drop_messages(response.extensions());
        pending
    }

    fn pending_of<B>(
        &self,
        response: &http::Response<B>,
        read: impl FnOnce(&mut MessageLists) -> MessageLists,
    ) -> Pending {
        let mut messages = MessageLists::default();
        let _ = self.request.stage_flash(|flash| messages = read(&mut flash.added.messages));
        if is_failure(response.status()) && !self.request.settings.config.save_on_server_error {
            messages = MessageLists::default();
        }
        let mut changes = FlashChanges::with(messages);
        // A helper with a reserved key fails the response, which then brings no messages of helpers along.
        let _ = ResponseEdits::so_far(response.extensions()).apply_to_flash(&mut changes);
        Pending(changes.added.messages)
    }

    /// Adds a message for this page only. This handle shows it like a message of an earlier response.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// async fn page(mut flash: Flash) -> String {
    ///     flash.now("warning", "The disk is almost full");
    ///     flash.get("warning").unwrap_or_default().to_owned()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// assert_eq!(client.get("/").await.text(), "The disk is almost full");
    /// # });
    /// ```
    pub fn now(&mut self, key: &str, message: impl Into<Message>) {
        match message.into().into_content() {
            Ok(message) => self.now.messages.add(key, message),
            Err(error) => self.request.fail(error),
        }
    }

    /// Adds the values and the errors of a refused form for this page only. Use it if the handler refuses the form
    /// without a redirect.
    ///
    /// This handle shows the values and the errors like those of an earlier response. Sensitive fields are left out, as
    /// with [`with_input`](crate::SessionResponseExt::with_input).
    ///
    /// ```
    /// # use axum::{Router, Form, http::StatusCode, routing::post};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Settings {
    ///     name: String,
    /// }
    ///
    /// async fn save(mut flash: Flash, form: Form<Settings>) -> (StatusCode, String) {
    ///     flash.show(&form, [("name", "is already taken")]);
    ///     (StatusCode::UNPROCESSABLE_ENTITY, page(&flash))
    /// }
    ///
    /// fn page(flash: &Flash) -> String {
    ///     let (input, errors) = (flash.input(), flash.errors());
    ///     format!("{} {}", input.get("name").unwrap_or_default(), errors.get("name").unwrap_or_default())
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", post(save)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// let response = client.post_form("/", &[("name", "Ada")]).await;
    /// assert_eq!(response.text(), "Ada is already taken");
    /// # });
    /// ```
    pub fn show<Kind, OfErrors>(&mut self, form: &(impl FormValues<Kind> + ?Sized), errors: impl IntoErrors<OfErrors>) {
        let form = form::fields(form, &Choice::Usual);
        self.now.extend(Batch { errors: form::lists(errors), ..form });
    }

    /// Keeps everything that came with the request for one more page: messages, form input and form errors, read or
    /// not.
    ///
    /// The last call of `keep`, [`keep_only`](Self::keep_only) and [`discard`](Self::discard) counts.
    ///
    /// ```
    /// # use axum::{Router, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// # async fn save(flash: Flash) { flash.info("Saved") }
    /// async fn page(flash: Flash) -> String {
    ///     flash.keep();
    ///     flash.get("info").unwrap_or_default().to_owned()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "Saved");
    /// assert_eq!(client.get("/").await.text(), "Saved");
    /// # });
    /// ```
    pub fn keep(&self) {
        self.decide(Fate::Kept);
    }

    /// Keeps the messages under these keys for one more page, and drops everything else that came with the request.
    ///
    /// Takes one key, or several.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// # async fn save() -> Response { Redirect::to("/").flashing([("info", "Deleted"), ("undo", "/items/7")]) }
    /// async fn page(flash: Flash) {
    ///     flash.keep_only("undo");
    /// }
    ///
    /// async fn next(flash: Flash) -> String {
    ///     flash.iter().map(|(key, _)| key).collect()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save)).route("/next", get(next));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// client.get("/").await;
    /// assert_eq!(client.get("/next").await.text(), "undo");
    /// # });
    /// ```
    pub fn keep_only<Kind>(&self, keys: impl IntoKeys<Kind>) {
        self.decide(Fate::KeptOnly(pairs::keys(keys)));
    }

    /// Drops everything that came with the request, read or not.
    ///
    /// ```
    /// # use axum::{Router, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// # async fn save(flash: Flash) { flash.info("Saved") }
    /// async fn page(flash: Flash) {
    ///     flash.discard();
    /// }
    ///
    /// async fn next(flash: Flash) -> String {
    ///     flash.get("info").unwrap_or("Nothing new").to_owned()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save)).route("/next", get(next));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// client.get("/").await;
    /// assert_eq!(client.get("/next").await.text(), "Nothing new");
    /// # });
    /// ```
    pub fn discard(&self) {
        self.decide(Fate::Discarded);
    }

    /// Changes the messages for the next page, or fails the response if the key or the message cannot be saved.
    fn change_added(&self, key: &str, message: Message, change: fn(&mut MessageLists, &str, flash::Message)) {
        if key.starts_with(RESERVED_PREFIX) {
            return self.request.fail(Error::reserved(key));
        }
        match message.into_content() {
            Ok(message) => self.stage(|flash| change(&mut flash.added.messages, key, message)),
            Err(error) => self.request.fail(error),
        }
    }

    fn decide(&self, fate: Fate) {
        if !self.is_prefetch {
            self.stage(|flash| flash.fate = fate);
        }
    }

    fn stage(&self, change: impl FnOnce(&mut FlashChanges)) {
        if let Err(error) = self.request.stage_flash(change) {
            tracing::error!(
                name: "error.flash_change_dropped", target: "session_axum::error",
                %error, "a change of the flash messages was dropped"
            );
        }
    }

    fn mark<'a>(&self, keys: impl IntoIterator<Item = &'a str>) {
        for key in keys.into_iter().filter(|key| self.came_with(key)) {
            self.request.note_flash_read(Part::Messages(key));
        }
    }

    fn mark_all(&self) {
        self.mark(self.carried().flat_map(|batch| batch.messages.iter()).map(|(key, _)| key));
    }

    fn came_with(&self, key: &str) -> bool {
        self.carried().any(|batch| batch.messages.get(key).is_some())
    }

    fn carried(&self) -> impl DoubleEndedIterator<Item = &Batch> {
        let batches = if self.is_prefetch { &[] } else { self.request.incoming().batches.as_slice() };
        batches.iter().map(|received| &received.batch)
    }

    /// Returns the refused forms, the newest first. Leaves out a form if the browser has sent the same form again
    /// later.
    fn forms(&self) -> Vec<&Batch> {
        // Two forms that share a field are one form: a value of the older version must not fill a gap in the newer one,
        // for example a checkbox that the visitor has cleared.
        let mut forms: Vec<&Batch> = Vec::new();
        for batch in self.carried().chain([&self.now]).rev().filter(|batch| batch.has_form()) {
            if !forms.iter().any(|newer| newer.shares_a_field_with(batch)) {
                forms.push(batch);
            }
        }
        forms
    }

    fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.shown().map(|message| (message.key, message.text))
    }

    /// Returns all messages, those of the oldest response first.
    fn shown(&self) -> impl Iterator<Item = ShownMessage<'_>> {
        self.carried().chain([&self.now]).flat_map(|batch| messages::shown(&batch.messages))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Flash {
    type Rejection = MissingLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingLayer> {
        let request = request_of(parts, "Flash")?;
        // Reads the cookies now, so that the layer adds `Vary: Cookie` even if the handler reads no message.
        if request.settings.migration.is_some() {
            Box::pin(request.prepare_flash()).await;
        }
        request.incoming();
        let is_prefetch = request.settings.config.flash_mode == FlashMode::UntilRead && is_prefetch(&parts.headers);
        Ok(Self { request: Arc::clone(request), now: Batch::default(), is_prefetch })
    }
}

/// Serializes as a map from each key to its last message, so that a template can write `{{ flash.success }}`. Marks all
/// keys as read.
impl Serialize for Flash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut last: Vec<(&str, &str)> = Vec::new();
        for (key, text) in self.iter() {
            match last.iter_mut().find(|(known, _)| *known == key) {
                Some(entry) => entry.1 = text,
                None => last.push((key, text)),
            }
        }
        let mut map = serializer.serialize_map(Some(last.len()))?;
        for (key, text) in last {
            map.serialize_entry(key, text)?;
        }
        map.end()
    }
}

session_core::opaque_debug!(Flash);
