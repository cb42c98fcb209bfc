//! Response helpers: they change the session and the flash on a response, as methods and as parts.

use axum_core::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use session_core::{
    SessionData,
    data::Writer,
    flash::{Batch, Lists},
};

pub use crate::pairs::{IntoKeys, IntoPairs};
use crate::{
    edits::{Edit, ResponseEdits},
    error::Error,
    flash::Message,
    form::{self, Choice, FormValues, IntoErrors},
    pairs,
    session::Session,
};

/// Changes the session and the flash on any response.
///
/// The helpers apply after the changes of the extractors, in the order of their calls. They work on all responses, also
/// on errors and on rejections, and in handlers that do not extract a [`Session`]. On a 5xx or a 408, the changes of
/// the extractors are dropped, and the helpers still apply.
///
/// If a helper adds a value that cannot be saved, or a key that begins with `$`, the response becomes an
/// [`Error`].
///
/// ```
/// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
/// # use session_axum::{Error, Flash, Keys, Session, SessionLayer, SessionResponseExt, testing::Client};
/// async fn log_in() -> Response {
///     Redirect::to("/").with_session([("user", "Ada")]).flashing([("success", "Welcome")])
/// }
///
/// async fn home(session: Session, flash: Flash) -> Result<String, Error> {
///     let user: String = session.get("user")?.unwrap_or_default();
///     Ok(format!("{} {user}", flash.get("success").unwrap_or("Hello")))
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let app = Router::new().route("/", get(home)).route("/login", post(log_in));
/// # let app = app.layer(SessionLayer::signed(Keys::generate()));
/// # let client = Client::new(app);
/// client.post("/login").await;
/// assert_eq!(client.get("/").await.text(), "Welcome Ada");
/// # });
/// ```
pub trait SessionResponseExt: IntoResponse + Sized {
    /// Ends the session, and begins a new one with these values.
    ///
    /// Takes pairs of key and value, a struct that derives [`SessionData`], or a [`Session`]. If the argument is the
    /// [`Session`] of this request, the session does not end, and its changes are saved on a 5xx too.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, SessionResponseExt, testing::Client};
    /// # async fn home(session: Session) -> Result<String, Error> {
    /// #     Ok(session.get("user")?.unwrap_or_else(|| "stranger".to_owned()))
    /// # }
    /// async fn log_in() -> Response {
    ///     Redirect::to("/").with_session([("user", "Ada")])
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(home)).route("/login", post(log_in));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/login").await;
    /// assert_eq!(client.get("/").await.text(), "Ada");
    /// # });
    /// ```
    fn with_session<Kind>(self, session: impl IntoSession<Kind>) -> Response {
        WithSession::new(session).on(self)
    }

    /// Adds values to the session of the request. A value replaces the previous one under its key.
    ///
    /// ```
    /// # use axum::{Router, response::Response, routing::{get, post}};
    /// # use session_axum::{Keys, Session, SessionLayer, SessionResponseExt, testing::Client};
    /// # async fn home(session: Session) -> String { session.keys().join(", ") }
    /// async fn save() -> Response {
    ///     "Saved".adding_to_session([("theme", "dark"), ("language", "en")])
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(home)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "language, theme");
    /// # });
    /// ```
    fn adding_to_session<Kind>(self, values: impl IntoPairs<Kind, Value: Serialize>) -> Response {
        AddingToSession::new(values).on(self)
    }

    /// Removes values from the session of the request: takes one key, or several.
    ///
    /// ```
    /// # use axum::{Router, response::Response, routing::{get, post}};
    /// # use session_axum::{Keys, Session, SessionLayer, SessionResponseExt, testing::{Client, TestSession}};
    /// # async fn home(session: Session) -> String { session.keys().join(", ") }
    /// async fn buy() -> Response {
    ///     "Thank you".removing_from_session(["cart", "voucher"])
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let layer = SessionLayer::signed(Keys::generate());
    /// # let app = Router::new().route("/", get(home)).route("/buy", post(buy)).layer(layer.clone());
    /// # let client = Client::new(app);
    /// client.enter(&TestSession::new(&layer).insert("cart", "tea").insert("user", "Ada"));
    /// client.post("/buy").await;
    /// assert_eq!(client.get("/").await.text(), "user");
    /// # });
    /// ```
    fn removing_from_session<Kind>(self, keys: impl IntoKeys<Kind>) -> Response {
        RemovingFromSession::new(keys).on(self)
    }

    /// Ends the session: a log-out. Values that a later helper adds begin a new session.
    ///
    /// Also drops the input and errors of refused forms that no page has shown yet, because the next visitor may use
    /// the same browser. Messages stay, and so does a form that a later helper adds.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, SessionResponseExt, testing::Client};
    /// # async fn home(session: Session) -> Result<(), Error> { session.insert("user", "Ada") }
    /// async fn log_out() -> Response {
    ///     Redirect::to("/").with_new_session()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(home)).route("/logout", post(log_out));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.get("/").await;
    /// assert_eq!(client.cookie_names(), ["__Host-session"]);
    /// client.post("/logout").await;
    /// assert!(client.cookie_names().is_empty());
    /// # });
    /// ```
    fn with_new_session(self) -> Response {
        WithNewSession.on(self)
    }

    /// Adds flash messages for the next page: takes one pair of key and text, or several.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// # async fn page(flash: Flash) -> String { flash.iter().map(|(key, text)| format!("{key}: {text}. ")).collect() }
    /// async fn save() -> Response {
    ///     Redirect::to("/").flashing(("success", "The item has been created"))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "success: The item has been created. ");
    /// # });
    /// ```
    fn flashing<Kind>(self, messages: impl IntoPairs<Kind, Value: Into<Message>>) -> Response {
        Flashing::new(messages).on(self)
    }

    /// Removes flash messages before the next page: takes one key, or several. This includes messages that came with
    /// the request, and those that extractors and earlier helpers have added.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// # async fn page(flash: Flash) -> String { flash.iter().map(|(key, text)| format!("{key}: {text}. ")).collect() }
    /// async fn save() -> Response {
    ///     Redirect::to("/").flashing([("success", "Saved"), ("info", "Sent")])
    /// }
    ///
    /// async fn quiet() -> Response {
    ///     save().await.removing_from_flash("info")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(quiet));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "success: Saved. ");
    /// # });
    /// ```
    fn removing_from_flash<Kind>(self, keys: impl IntoKeys<Kind>) -> Response {
        RemovingFromFlash::new(keys).on(self)
    }

    /// Removes all flash messages and forms before the next page. This includes those that came with the request, and
    /// those that extractors and earlier helpers have added. A later helper can add others.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// # async fn page(flash: Flash) -> String { flash.iter().map(|(key, text)| format!("{key}: {text}. ")).collect() }
    /// async fn save(flash: Flash) -> Response {
    ///     flash.success("Saved");
    ///     Redirect::to("/").with_new_flash().flashing(("info", "Saved and sent"))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "info: Saved and sent. ");
    /// # });
    /// ```
    fn with_new_flash(self) -> Response {
        WithNewFlash.on(self)
    }

    /// Adds the values of a refused form for the next page, which reads them with
    /// [`Flash::input`](crate::Flash::input).
    ///
    /// Takes a reference to a struct, to a map, to pairs of name and value, or to an extractor of these, for example a
    /// `Form`. Passwords and other sensitive fields are [left out](WithInput#left-out). Values that do not fit into a
    /// cookie are left out too, the largest first, and [`Input::dropped`](crate::flash::Input::dropped) returns their
    /// names. The values never displace messages or errors.
    ///
    /// ```
    /// # use axum::{Router, Form, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Settings {
    ///     name: String,
    /// }
    ///
    /// async fn save(form: Form<Settings>) -> Response {
    ///     Redirect::to("/").with_input(&form).with_errors([("name", "is already taken")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     let (input, errors) = (flash.input(), flash.errors());
    ///     format!("{} {}", input.get("name").unwrap_or_default(), errors.get("name").unwrap_or_default())
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post_form("/save", &[("name", "Ada")]).await;
    /// assert_eq!(client.get("/").await.text(), "Ada is already taken");
    /// # });
    /// ```
    fn with_input<Kind>(self, form: &(impl FormValues<Kind> + ?Sized)) -> Response {
        WithInput::new(form).on(self)
    }

    /// Adds only these fields of a refused form for the next page. This includes sensitive fields that are named here.
    ///
    /// A name also selects the fields in it: `address` selects `address[city]`, but not sensitive fields such as
    /// `address[token]`.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// # async fn page(flash: Flash) -> String {
    /// #     let input = flash.input();
    /// #     let shown = |field: &&str| input.get(field).map(|text| format!("{field} {text}. "));
    /// #     ["name", "colour", "pin"].iter().filter_map(shown).collect()
    /// # }
    /// async fn save() -> Response {
    ///     let form = [("name", "Ada"), ("colour", "red"), ("pin", "1234")];
    ///     Redirect::to("/").with_input_only(&form, ["name", "pin"])
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "name Ada. pin 1234. ");
    /// # });
    /// ```
    fn with_input_only<Kind, Keys>(
        self,
        form: &(impl FormValues<Kind> + ?Sized),
        names: impl IntoKeys<Keys>,
    ) -> Response {
        WithInput::only(form, names).on(self)
    }

    /// Adds the values of a refused form for the next page, except these fields and the sensitive ones.
    ///
    /// A name also selects the fields in it: `address` selects `address[city]`.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// # async fn page(flash: Flash) -> String {
    /// #     let input = flash.input();
    /// #     let shown = |field: &&str| input.get(field).map(|text| format!("{field} {text}. "));
    /// #     ["name", "colour", "pin"].iter().filter_map(shown).collect()
    /// # }
    /// async fn save() -> Response {
    ///     let form = [("name", "Ada"), ("colour", "red"), ("pin", "1234")];
    ///     Redirect::to("/").with_input_except(&form, "colour")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "name Ada. ");
    /// # });
    /// ```
    fn with_input_except<Kind, Keys>(
        self,
        form: &(impl FormValues<Kind> + ?Sized),
        names: impl IntoKeys<Keys>,
    ) -> Response {
        WithInput::except(form, names).on(self)
    }

    /// Adds the errors of a refused form for the next page, which reads them with
    /// [`Flash::errors`](crate::Flash::errors).
    ///
    /// Takes pairs of field and message, or the report of a validator with the feature `validator` or `garde`. Errors
    /// under the empty field concern the whole form.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// # async fn page(flash: Flash) -> String {
    /// #     flash.errors().iter().map(|(field, text)| format!("{field} {text}. ")).collect()
    /// # }
    /// async fn save() -> Response {
    ///     Redirect::to("/").with_errors([("name", "is too short"), ("name", "is already taken")])
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "name is too short. name is already taken. ");
    /// # });
    /// ```
    fn with_errors<Kind>(self, errors: impl IntoErrors<Kind>) -> Response {
        WithErrors::new(errors).on(self)
    }
}

impl<R: IntoResponse> SessionResponseExt for R {}

/// [`SessionResponseExt::with_session`] as a part of a response.
#[derive(Debug)]
pub struct WithSession(Edit);

impl WithSession {
    /// Ends the session, and begins a new one with these values.
    ///
    /// ```
    /// # use axum::{Router, response::Redirect, routing::{get, post}};
    /// # use session_axum::{Error, Keys, Session, SessionLayer, response::WithSession, testing::Client};
    /// # async fn home(session: Session) -> Result<String, Error> {
    /// #     Ok(session.get("user")?.unwrap_or_else(|| "stranger".to_owned()))
    /// # }
    /// async fn log_in() -> (WithSession, Redirect) {
    ///     (WithSession::new([("user", "Ada")]), Redirect::to("/"))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(home)).route("/login", post(log_in));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/login").await;
    /// assert_eq!(client.get("/").await.text(), "Ada");
    /// # });
    /// ```
    pub fn new<Kind>(session: impl IntoSession<Kind>) -> Self {
        Self(session.into_session().0)
    }
}

/// [`SessionResponseExt::adding_to_session`] as a part of a response.
#[derive(Debug)]
pub struct AddingToSession(Edit);

impl AddingToSession {
    /// Adds values to the session of the request.
    ///
    /// ```
    /// # use axum::{Router, routing::{get, post}};
    /// # use session_axum::{Keys, Session, SessionLayer, response::AddingToSession, testing::Client};
    /// # async fn home(session: Session) -> String { session.keys().join(", ") }
    /// async fn save() -> (AddingToSession, &'static str) {
    ///     (AddingToSession::new([("theme", "dark"), ("language", "en")]), "Saved")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(home)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "language, theme");
    /// # });
    /// ```
    pub fn new<Kind>(values: impl IntoPairs<Kind, Value: Serialize>) -> Self {
        Self(Edit::adding(Edit::Add, values))
    }
}

/// [`SessionResponseExt::removing_from_session`] as a part of a response.
#[derive(Debug)]
pub struct RemovingFromSession(Edit);

impl RemovingFromSession {
    /// Removes values from the session of the request.
    ///
    /// ```
    /// # use axum::{Router, routing::{get, post}};
    /// # use session_axum::{Keys, Session, SessionLayer, response::RemovingFromSession, testing::{Client, TestSession}};
    /// # async fn home(session: Session) -> String { session.keys().join(", ") }
    /// async fn buy() -> (RemovingFromSession, &'static str) {
    ///     (RemovingFromSession::new("cart"), "Thank you")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let layer = SessionLayer::signed(Keys::generate());
    /// # let app = Router::new().route("/", get(home)).route("/buy", post(buy)).layer(layer.clone());
    /// # let client = Client::new(app);
    /// client.enter(&TestSession::new(&layer).insert("cart", "tea").insert("user", "Ada"));
    /// client.post("/buy").await;
    /// assert_eq!(client.get("/").await.text(), "user");
    /// # });
    /// ```
    pub fn new<Kind>(keys: impl IntoKeys<Kind>) -> Self {
        Self(Edit::Remove(pairs::keys(keys)))
    }
}

/// [`SessionResponseExt::with_new_session`] as a part of a response.
///
/// ```
/// # use axum::{Router, routing::{get, post}};
/// # use session_axum::{Error, Keys, Session, SessionLayer, response::WithNewSession, testing::Client};
/// # async fn home(session: Session) -> Result<(), Error> { session.insert("user", "Ada") }
/// async fn log_out() -> (WithNewSession, &'static str) {
///     (WithNewSession, "You are logged out")
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let app = Router::new().route("/", get(home)).route("/logout", post(log_out));
/// # let app = app.layer(SessionLayer::signed(Keys::generate()));
/// # let client = Client::new(app);
/// client.get("/").await;
/// assert_eq!(client.cookie_names(), ["__Host-session"]);
/// client.post("/logout").await;
/// assert!(client.cookie_names().is_empty());
/// # });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WithNewSession;

/// [`SessionResponseExt::flashing`] as a part of a response.
#[derive(Debug)]
pub struct Flashing(Edit);

impl Flashing {
    /// Adds flash messages for the next page.
    ///
    /// ```
    /// # use axum::{Router, response::Redirect, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, response::Flashing, testing::Client};
    /// # async fn page(flash: Flash) -> String { flash.iter().map(|(key, text)| format!("{key}: {text}. ")).collect() }
    /// async fn save() -> (Flashing, Redirect) {
    ///     (Flashing::new(("success", "The item has been created")), Redirect::to("/"))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "success: The item has been created. ");
    /// # });
    /// ```
    pub fn new<Kind>(messages: impl IntoPairs<Kind, Value: Into<Message>>) -> Self {
        Self(Edit::flashing(messages))
    }
}

/// [`SessionResponseExt::removing_from_flash`] as a part of a response.
#[derive(Debug)]
pub struct RemovingFromFlash(Edit);

impl RemovingFromFlash {
    /// Removes flash messages before the next page: takes one key, or several.
    ///
    /// ```
    /// # use axum::{Router, response::Redirect, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, response::RemovingFromFlash, testing::{Client, TestSession}};
    /// # async fn page(flash: Flash) -> String { flash.iter().map(|(key, text)| format!("{key}: {text}. ")).collect() }
    /// async fn read() -> (RemovingFromFlash, Redirect) {
    ///     (RemovingFromFlash::new("mail"), Redirect::to("/"))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let layer = SessionLayer::signed(Keys::generate());
    /// # let app = Router::new().route("/", get(page)).route("/read", post(read)).layer(layer.clone());
    /// # let client = Client::new(app);
    /// client.enter(&TestSession::new(&layer).flash("mail", "Three new letters").flash("info", "Sent"));
    /// client.post("/read").await;
    /// assert_eq!(client.get("/").await.text(), "info: Sent. ");
    /// # });
    /// ```
    pub fn new<Kind>(keys: impl IntoKeys<Kind>) -> Self {
        Self(Edit::RemoveFromFlash(pairs::keys(keys)))
    }
}

/// [`SessionResponseExt::with_new_flash`] as a part of a response.
///
/// ```
/// # use axum::{Router, response::Redirect, routing::{get, post}};
/// # use session_axum::{Flash, Keys, SessionLayer, response::WithNewFlash, testing::{Client, TestSession}};
/// # async fn page(flash: Flash) -> String { flash.iter().map(|(key, text)| format!("{key}: {text}. ")).collect() }
/// async fn start() -> (WithNewFlash, Redirect) {
///     (WithNewFlash, Redirect::to("/"))
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let layer = SessionLayer::signed(Keys::generate());
/// # let app = Router::new().route("/", get(page)).route("/start", post(start)).layer(layer.clone());
/// # let client = Client::new(app);
/// client.enter(&TestSession::new(&layer).flash("mail", "Three new letters").flash("info", "Sent"));
/// client.post("/start").await;
/// assert_eq!(client.get("/").await.text(), "");
/// # });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WithNewFlash;

/// [`SessionResponseExt::with_input`] as a part of a response.
///
/// # Left out
///
/// Values under these names are left out, unless [`WithInput::only`] names them:
///
#[doc = include_str!("form/sensitive.md")]
///
/// Only whole words count. Brackets and dots separate the parts of a name. Capitals and all characters that are neither
/// letters nor digits separate its words. Case, digits at the end of a word and a plural `s` do not matter, except that
/// `tokens` are kept. So `card[number]`, `newPassword` and `pass1` are left out, and `token_count` is kept.
#[derive(Debug)]
pub struct WithInput(Batch);

impl WithInput {
    /// Adds the values of a refused form for the next page.
    ///
    /// ```
    /// # use axum::{Router, response::Redirect, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, response::WithInput, testing::Client};
    /// # async fn page(flash: Flash) -> String {
    /// #     let input = flash.input();
    /// #     let shown = |field: &&str| input.get(field).map(|text| format!("{field} {text}. "));
    /// #     ["name", "colour", "pin"].iter().filter_map(shown).collect()
    /// # }
    /// async fn save() -> (WithInput, Redirect) {
    ///     let form = [("name", "Ada"), ("colour", "red"), ("pin", "1234")];
    ///     (WithInput::new(&form), Redirect::to("/"))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "name Ada. colour red. ");
    /// # });
    /// ```
    pub fn new<Kind>(form: &(impl FormValues<Kind> + ?Sized)) -> Self {
        Self(form::fields(form, &Choice::Usual))
    }

    /// Adds only these fields of a refused form, including sensitive fields that are named here. `address` also selects
    /// `address[city]`.
    ///
    /// ```
    /// # use axum::{Router, response::Redirect, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, response::WithInput, testing::Client};
    /// # async fn page(flash: Flash) -> String {
    /// #     let input = flash.input();
    /// #     let shown = |field: &&str| input.get(field).map(|text| format!("{field} {text}. "));
    /// #     ["name", "colour", "pin"].iter().filter_map(shown).collect()
    /// # }
    /// async fn save() -> (WithInput, Redirect) {
    ///     let form = [("name", "Ada"), ("colour", "red"), ("pin", "1234")];
    ///     (WithInput::only(&form, ["name", "pin"]), Redirect::to("/"))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "name Ada. pin 1234. ");
    /// # });
    /// ```
    pub fn only<Kind, Keys>(form: &(impl FormValues<Kind> + ?Sized), names: impl IntoKeys<Keys>) -> Self {
        Self(form::fields(form, &Choice::only(names)))
    }

    /// Adds the values of a refused form, except these fields and the sensitive ones.
    ///
    /// ```
    /// # use axum::{Router, response::Redirect, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, response::WithInput, testing::Client};
    /// # async fn page(flash: Flash) -> String {
    /// #     let input = flash.input();
    /// #     let shown = |field: &&str| input.get(field).map(|text| format!("{field} {text}. "));
    /// #     ["name", "colour", "pin"].iter().filter_map(shown).collect()
    /// # }
    /// async fn save() -> (WithInput, Redirect) {
    ///     let form = [("name", "Ada"), ("colour", "red"), ("pin", "1234")];
    ///     (WithInput::except(&form, "colour"), Redirect::to("/"))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "name Ada. ");
    /// # });
    /// ```
    pub fn except<Kind, Keys>(form: &(impl FormValues<Kind> + ?Sized), names: impl IntoKeys<Keys>) -> Self {
        Self(form::fields(form, &Choice::except(names)))
    }
}

/// [`SessionResponseExt::with_errors`] as a part of a response.
#[derive(Debug)]
pub struct WithErrors(Lists);

impl WithErrors {
    /// Adds the errors of a refused form for the next page.
    ///
    /// ```
    /// # use axum::{Router, response::Redirect, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, response::WithErrors, testing::Client};
    /// # async fn page(flash: Flash) -> String {
    /// #     flash.errors().iter().map(|(field, text)| format!("{field} {text}. ")).collect()
    /// # }
    /// async fn save() -> (WithErrors, Redirect) {
    ///     (WithErrors::new([("name", "is already taken")]), Redirect::to("/"))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "name is already taken. ");
    /// # });
    /// ```
    pub fn new<Kind>(errors: impl IntoErrors<Kind>) -> Self {
        Self(form::lists(errors))
    }
}

/// The redirect (303) of [`Session::return_to`](crate::Session::return_to).
#[derive(Debug)]
pub struct ReturnTo(HeaderValue);

impl ReturnTo {
    pub(crate) fn new(page: &str) -> Self {
        // Browsers read other letters in a header each in their own way.
        let encoded = page.bytes().fold(String::with_capacity(page.len()), |mut encoded, byte| {
            if byte.is_ascii() {
                encoded.push(char::from(byte));
            } else {
                encoded.extend(['%', hex(byte >> 4), hex(byte & 0xf)]);
            }
            encoded
        });
        Self(HeaderValue::try_from(encoded).unwrap_or_else(|_| {
            tracing::error!(
                name: "error.return_to", target: "session_axum::error",
                "the page for `Session::return_to` cannot be sent as a header: percent-encode it"
            );
            HeaderValue::from_static("/")
        }))
    }
}

fn hex(digit: u8) -> char {
    char::from_digit(digit.into(), 16).unwrap_or_default().to_ascii_uppercase()
}

impl IntoResponse for ReturnTo {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, self.0)]).into_response();
        ResponseEdits::of(response.extensions_mut()).push(Edit::ReturnTo(None));
        response
    }
}

macro_rules! response_parts {
    ($($name:ident: $this:ident => $edit:expr;)*) => {$(
        impl IntoResponseParts for $name {
            type Error = std::convert::Infallible;

            fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
                ResponseEdits::of(parts.extensions_mut()).push(self.edit());
                Ok(parts)
            }
        }

        impl $name {
            fn edit(self) -> Edit {
                let $this = self;
                $edit
            }

            /// Adds the edit to a response. It does not use a tuple of parts, because axum may skip parts of a tuple on
            /// a failed response. A log-out must also take effect on such a response.
            fn on(self, response: impl IntoResponse) -> Response {
                let mut response = response.into_response();
                ResponseEdits::of(response.extensions_mut()).push(self.edit());
                response
            }
        }

        impl IntoResponse for $name {
            fn into_response(self) -> Response {
                self.on(())
            }
        }
    )*};
}
response_parts! {
    WithSession: this => this.0;
    AddingToSession: this => this.0;
    RemovingFromSession: this => this.0;
    WithNewSession: _this => Edit::end();
    Flashing: this => this.0;
    RemovingFromFlash: this => this.0;
    WithNewFlash: _this => Edit::NewFlash;
    WithInput: this => Edit::Flash(this.0);
    WithErrors: this => Edit::Flash(Batch { errors: this.0, ..Batch::default() });
}

/// A value that can replace the session: pairs of key and value, a struct that derives [`SessionData`], or a
/// [`Session`].
///
/// The compiler infers `Kind`.
///
/// ```
/// # use axum::{Router, response::Response, routing::{get, post}};
/// # use session_axum::{Keys, Session, SessionData, SessionLayer, SessionResponseExt, testing::Client};
/// # async fn home(session: Session) -> String { session.keys().join(", ") }
/// async fn pairs() -> Response {
///     "Welcome".with_session([("user", "Ada")])
/// }
///
/// #[derive(SessionData)]
/// struct Visitor {
///     user: String,
///     visits: u32,
/// }
///
/// async fn structs() -> Response {
///     "Welcome".with_session(Visitor { user: "Ada".to_owned(), visits: 1 })
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let app = Router::new().route("/", get(home)).route("/pairs", post(pairs)).route("/structs", post(structs));
/// # let app = app.layer(SessionLayer::signed(Keys::generate()));
/// # let client = Client::new(app);
/// client.post("/pairs").await;
/// assert_eq!(client.get("/").await.text(), "user");
/// client.post("/structs").await;
/// assert_eq!(client.get("/").await.text(), "user, visits");
/// # });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be used as a session",
    note = "pass pairs of key and value, a struct with `#[derive(SessionData)]`, or a `Session`"
)]
pub trait IntoSession<Kind> {
    /// Returns the new session.
    fn into_session(self) -> NewSession;
}

/// A new session that replaces the session of the request: the result of [`IntoSession::into_session`].
#[derive(Debug)]
pub struct NewSession(Edit);

/// Marks pairs of key and value.
#[doc(hidden)]
#[derive(Debug)]
pub struct OfPairs<Kind>(std::marker::PhantomData<Kind>);
/// Marks a struct that derives [`SessionData`].
#[doc(hidden)]
#[derive(Debug)]
pub struct OfStruct(());
/// Marks a [`Session`].
#[doc(hidden)]
#[derive(Debug)]
pub struct OfHandle(());

impl<T: SessionData> IntoSession<OfStruct> for T {
    fn into_session(self) -> NewSession {
        let mut writer = Writer::new();
        self.write(&mut writer);
        let edit = match writer.finish() {
            Ok(fields) => Edit::Replace(
                fields.into_iter().filter_map(|field| Some((field.key.to_owned(), field.text?))).collect(),
            ),
            Err((key, error)) => Edit::Fail(Error::encode(key, error)),
        };
        NewSession(match T::COOKIE {
            Some(cookie) => Edit::Of(cookie, Box::new(edit)),
            None => edit,
        })
    }
}

impl<T: SessionData> IntoSession<OfHandle> for Session<T> {
    fn into_session(self) -> NewSession {
        let request = self.request().clone();
        // The drop stages the field changes, which belong to the session too.
        drop(self);
        NewSession(Edit::adopt(request))
    }
}

impl IntoSession<OfHandle> for &Session {
    fn into_session(self) -> NewSession {
        self.clone().into_session()
    }
}

impl<Kind, P: IntoPairs<Kind, Value: Serialize>> IntoSession<OfPairs<Kind>> for P {
    fn into_session(self) -> NewSession {
        NewSession(Edit::adding(Edit::Replace, self))
    }
}
