//! The values that `Flash` returns for templates: form input and form errors.

use serde::{Serialize, Serializer, de::DeserializeOwned};
use session_core::flash::{Batch, Texts};

use super::Filled;
use crate::form;

/// The values of a refused form: serializes as a map from each field to a text, or to a list if the form has a list
/// there. [`Flash::input`](super::Flash::input) returns it.
///
/// If several forms were refused, each field has the value of the newest form that contains it. If the browser has sent
/// the same form again, only the last version counts.
#[derive(Clone)]
pub struct Input<'a>(pub(super) Vec<&'a Batch>);

impl<'a> Input<'a> {
    /// Returns the value of a field. Returns the last value if the field has several, and `None` if it has none.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").with_input(&[("name", "Ada"), ("colour", "red"), ("colour", "blue")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     flash.input().get("name").unwrap_or("stranger").to_owned()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "Ada");
    /// assert_eq!(client.get("/").await.text(), "stranger");
    /// # });
    /// ```
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&'a str> {
        self.get_all(field).last().map(String::as_str)
    }

    /// Returns all values of a field, for example of a group of checkboxes.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").with_input(&[("name", "Ada"), ("colour", "red"), ("colour", "blue")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     flash.input().get_all("colour").join(", ")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "red, blue");
    /// # });
    /// ```
    #[must_use]
    pub fn get_all(&self, field: &str) -> &'a [String] {
        first_list(self.0.iter().map(|form| form.input.get_all(field)))
    }

    /// Returns whether a field has this value. A page uses it for the attributes `checked` and `selected`.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").with_input(&[("name", "Ada"), ("colour", "red"), ("colour", "blue")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     let checked = if flash.input().has("colour", "red") { "checked" } else { "" };
    ///     format!("<input type=checkbox name=colour value=red {checked}>")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "<input type=checkbox name=colour value=red checked>");
    /// # });
    /// ```
    #[must_use]
    pub fn has(&self, field: &str, value: &str) -> bool {
        self.get_all(field).iter().any(|chosen| chosen == value)
    }

    /// Returns these values, and the saved ones for fields that the refused form does not have. If no form was refused,
    /// all values are the saved ones.
    ///
    /// `saved` is a struct, a map, or a list of pairs. A checkbox or a list that the visitor has cleared stays cleared:
    /// [`Filled`] tells which value a field has. [`Flash::form`](super::Flash::form) has the errors too.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// #[derive(serde::Serialize)]
    /// struct Settings {
    ///     name: String,
    ///     colours: Vec<String>,
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     let saved = Settings { name: "Ada".to_owned(), colours: vec!["red".to_owned()] };
    ///     let form = flash.input().or(&saved);
    ///     format!("{:?} {:?}", form.get("name"), form.get_all("colours"))
    /// }
    ///
    /// async fn save() -> Response {
    ///     Redirect::to("/").with_input(&[("name", "Grace")]) // without a colour
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// assert_eq!(client.get("/").await.text(), r#"Some("Ada") ["red"]"#);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), r#"Some("Grace") []"#);
    /// # });
    /// ```
    #[must_use]
    pub fn or(&self, saved: &(impl Serialize + ?Sized)) -> Filled<'a> {
        Filled::new(self, saved)
    }

    /// Reads the form as a struct; `None` if no form was refused, if a field is missing, or if a value does not have
    /// the type of its field.
    ///
    /// It reads back what [`with_input`](crate::SessionResponseExt::with_input) wrote: structs in structs, lists, maps,
    /// enums and numbers of 128 bits. An empty text is `None` for an optional number, date or other type that takes no
    /// empty text.
    ///
    /// Fields that were left out are missing, above all passwords. Give such fields `#[serde(default)]` in the struct.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Login {
    ///     name: String,
    ///     #[serde(default)]
    ///     password: String,
    /// }
    ///
    /// async fn save() -> Response {
    ///     Redirect::to("/").with_input(&Login { name: "Ada".to_owned(), password: "secret".to_owned() })
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     let form: Option<Login> = flash.input().parse();
    ///     form.map_or("no form".to_owned(), |form| format!("{}, {:?}", form.name, form.password))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "Ada, \"\"");
    /// # });
    /// ```
    #[must_use]
    pub fn parse<T: DeserializeOwned>(&self) -> Option<T> {
        if self.is_empty() { None } else { form::typed::parse(self.texts()) }
    }

    /// Returns the names of the fields that were left out because they did not fit into a cookie, or because the form
    /// had more than 64 KiB or 1,000 values. The page can mention them. Sensitive fields are not among them.
    ///
    /// If there are many, a `…` replaces the rest of the names.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").with_input(&[("name", "Ada".to_owned()), ("notes", "x".repeat(5_000))])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     format!("Too long to be shown again: {}", flash.input().dropped().join(", "))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "Too long to be shown again: notes");
    /// # });
    /// ```
    #[must_use]
    pub fn dropped(&self) -> Vec<&'a str> {
        self.0.iter().flat_map(|form| form.dropped.iter().map(String::as_str)).collect()
    }

    /// Returns whether there are no values.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// async fn page(mut flash: Flash) {
    ///     assert!(flash.input().is_empty());
    ///     flash.show(&[("name", "Ada")], [("name", "is already taken")]);
    ///     assert!(!flash.input().is_empty());
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|form| form.input.is_empty())
    }

    fn texts(&self) -> impl Iterator<Item = (&'a str, &'a Texts)> {
        self.0.iter().flat_map(|form| form.input.texts())
    }
}

impl Serialize for Input<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.texts())
    }
}

/// The errors of a refused form: serializes as a map from each field to a list of texts. Errors under the empty field
/// concern the whole form. [`Flash::errors`](super::Flash::errors) returns it.
#[derive(Clone)]
pub struct FormErrors<'a>(pub(super) Vec<&'a Batch>);

impl<'a> FormErrors<'a> {
    /// Returns the first error of a field; `None` if there is none.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").with_errors([("name", "is too short"), ("name", "is already taken")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     flash.errors().get("name").unwrap_or("is fine").to_owned()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "is too short");
    /// assert_eq!(client.get("/").await.text(), "is fine");
    /// # });
    /// ```
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&'a str> {
        self.get_all(field).first().map(String::as_str)
    }

    /// Returns all errors of a field.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").with_errors([("name", "is too short"), ("name", "is already taken")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     flash.errors().get_all("name").join(", ")
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "is too short, is already taken");
    /// # });
    /// ```
    #[must_use]
    pub fn get_all(&self, field: &str) -> &'a [String] {
        first_list(self.0.iter().map(|form| form.errors.get_all(field)))
    }

    /// Returns all errors as pairs of field and text.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").with_errors([("name", "is too short"), ("", "Please try again")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     flash.errors().iter().map(|(field, text)| format!("{field} {text}. ")).collect()
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), "name is too short.  Please try again. ");
    /// # });
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let lists = self.0.iter().flat_map(|form| form.errors.iter());
        lists.flat_map(|(field, texts)| texts.iter().map(move |text| (field, text.as_str())))
    }

    /// Returns whether there are no errors.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// async fn page(mut flash: Flash) {
    ///     assert!(flash.errors().is_empty());
    ///     flash.show(&[("name", "Ada")], [("name", "is already taken")]);
    ///     assert!(!flash.errors().is_empty());
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|form| form.errors.is_empty())
    }
}

impl Serialize for FormErrors<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().flat_map(|form| form.errors.iter()))
    }
}

super::debug_shows_nothing!(Input, FormErrors);

fn first_list<'a>(mut lists: impl Iterator<Item = &'a [String]>) -> &'a [String] {
    lists.find(|texts| !texts.is_empty()).unwrap_or(&[])
}
