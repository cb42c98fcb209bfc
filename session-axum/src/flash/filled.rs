//! Forms with saved values: what the visitor typed into a refused form, else the values that are saved.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeStruct},
};
use serde_json::Value;
use session_core::flash::{Batch, Lists};

use super::{FormErrors, Input};
use crate::form::{self, Choice};

/// The values of a form: those of the refused form, else the saved ones. It serializes as a map from each field to a
/// text or a list, like [`Input`]. [`Input::or`] returns it.
///
/// # Which value a field has
///
/// | the refused form | value |
/// |---|---|
/// | has the field | what the visitor typed or chose |
/// | does not have the field, which is a checkbox or a list | none: the visitor has cleared it |
/// | does not have any other field, or had no room for it | the saved value |
/// | there is no refused form, or only one without any of these fields | the saved value |
///
/// A field is a checkbox or a list if its saved value is a `bool`, a list, or the text `on`. A saved value under a
/// [sensitive name](crate::response::WithInput#left-out), such as a password, is left out.
#[derive(Clone)]
pub struct Filled<'a> {
    /// The refused forms that have a field of this form.
    refused: Vec<&'a Batch>,
    saved: Lists,
    fields: Vec<Saved>,
}

/// The name of a saved field.
#[derive(Clone)]
struct Saved {
    name: String,
    /// Whether a browser sends nothing if the visitor clears the field.
    is_choice: bool,
}

impl<'a> Filled<'a> {
    pub(super) fn new<S: Serialize + ?Sized>(input: &Input<'a>, saved: &S) -> Self {
        let fields = Saved::of(saved);
        let is_own = |form: &&&Batch| fields.is_empty() || form.input.iter().any(|(name, _)| is_in(&fields, name));
        let refused = input.0.iter().filter(is_own).copied().collect();
        Self { refused, saved: form::fields(saved, &Choice::Usual).input, fields }
    }

    /// Returns the value of a field. Returns the last value if the field has several, and `None` if it has none.
    ///
    /// ```
    /// # use axum::{Router, response::{Redirect, Response}, routing::{get, post}};
    /// # use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt, testing::Client};
    /// async fn save() -> Response {
    ///     Redirect::to("/").with_input(&[("name", "")]).with_errors([("name", "is required")])
    /// }
    ///
    /// async fn page(flash: Flash) -> String {
    ///     let form = flash.input().or(&[("name", "Ada"), ("city", "London")]);
    ///     format!("{:?} {:?}", form.get("name"), form.get("city"))
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).route("/save", post(save));
    /// # let app = app.layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// assert_eq!(client.get("/").await.text(), r#"Some("Ada") Some("London")"#);
    /// client.post("/save").await;
    /// assert_eq!(client.get("/").await.text(), r#"Some("") Some("London")"#);
    /// # });
    /// ```
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        self.get_all(field).last().map(String::as_str)
    }

    /// Returns all values of a field, for example of a group of checkboxes.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// async fn page(mut flash: Flash) {
    ///     let saved = [("colours", ["red", "blue"])];
    ///     assert_eq!(flash.input().or(&saved).get_all("colours"), ["red", "blue"]);
    ///     flash.show(&[("colours", "green")], [("colours", "choose two")]);
    ///     assert_eq!(flash.input().or(&saved).get_all("colours"), ["green"]);
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn get_all(&self, field: &str) -> &[String] {
        let has_field = |form: &&&Batch| form.input.iter().any(|(name, _)| name == field);
        if let Some(form) = self.refused.iter().find(has_field) {
            return form.input.get_all(field);
        }
        let was_dropped = self.refused.iter().any(|form| form.dropped.iter().any(|name| name == field));
        let is_choice = self.fields.iter().any(|saved| saved.name == field && saved.is_choice);
        let was_cleared = is_choice && !self.refused.is_empty() && !was_dropped;
        if was_cleared { &[] } else { self.saved.get_all(field) }
    }

    /// Returns whether a field has this value. A page uses it for the attributes `checked` and `selected`.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// #[derive(serde::Serialize)]
    /// struct Settings {
    ///     name: String,
    ///     newsletter: bool,
    /// }
    ///
    /// async fn page(mut flash: Flash) {
    ///     let saved = Settings { name: "Ada".to_owned(), newsletter: true };
    ///     assert!(flash.input().or(&saved).has("newsletter", "true"));
    ///     flash.show(&[("name", "")], [("name", "is required")]); // a browser does not send a cleared checkbox
    ///     assert!(!flash.input().or(&saved).has("newsletter", "true"));
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn has(&self, field: &str, value: &str) -> bool {
        self.get_all(field).iter().any(|chosen| chosen == value)
    }

    /// Returns the names of all fields: the saved ones, and then the others of the refused form.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.fields.iter().map(|field| field.name.as_str()).collect();
        for (name, _) in self.refused.iter().flat_map(|form| form.input.iter()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Returns whether a field is a list in the refused form, or else among the saved values.
    fn is_list(&self, field: &str) -> bool {
        let lists = self.refused.iter().map(|form| &form.input).chain([&self.saved]);
        let texts = lists.flat_map(Lists::texts).find(|(name, _)| *name == field);
        texts.is_some_and(|(_, texts)| matches!(texts, session_core::flash::Texts::Many(_)))
    }
}

impl Serialize for Filled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for name in self.names() {
            match self.get(name) {
                _ if self.is_list(name) => map.serialize_entry(name, self.get_all(name))?,
                Some(text) => map.serialize_entry(name, text)?,
                None => {}
            }
        }
        map.end()
    }
}

impl Saved {
    /// Returns the fields of a form, also those without a value.
    fn of<S: Serialize + ?Sized>(saved: &S) -> Vec<Self> {
        let mut fields = Vec::new();
        match serde_json::to_value(saved) {
            Ok(Value::Object(members)) => {
                members.into_iter().for_each(|(name, value)| Self::add(&mut fields, name, &value));
            }
            Ok(Value::Array(pairs)) => {
                for (name, value) in pairs.iter().filter_map(|pair| Some((pair.get(0)?.as_str()?, pair.get(1)?))) {
                    Self::add(&mut fields, name.to_owned(), value);
                }
            }
            _ => {}
        }
        fields
    }

    fn add(fields: &mut Vec<Self>, name: String, value: &Value) {
        let is_nested = |value: &Value| value.is_object() || value.is_array();
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(key, value)| Self::add(fields, format!("{name}[{key}]"), value));
            }
            Value::Array(values) if values.iter().any(is_nested) => {
                let values = values.iter().enumerate();
                values.for_each(|(index, value)| Self::add(fields, format!("{name}[{index}]"), value));
            }
            _ => {
                let is_choice = value.is_array() || value.is_boolean() || value == "on";
                if !is_in(fields, &name) {
                    fields.push(Self { name, is_choice });
                }
            }
        }
    }
}

fn is_in(fields: &[Saved], name: &str) -> bool {
    fields.iter().any(|field| field.name == name)
}

/// A form with its values and errors: serializes as a map from each field to a [`FormField`].
/// [`Flash::form`](super::Flash::form) returns it.
///
/// The map has each field that is saved, also without a value, and the other fields of the refused form. A template so
/// passes `form.name` to a macro, whether or not anything was typed.
#[derive(Clone)]
pub struct FilledForm<'a> {
    values: Filled<'a>,
    errors: FormErrors<'a>,
}

impl<'a> FilledForm<'a> {
    pub(super) const fn new(values: Filled<'a>, errors: FormErrors<'a>) -> Self {
        Self { values, errors }
    }

    /// Returns a field with its values and errors. A field that does not exist has none.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, flash::FormField, testing::Client};
    /// fn input(field: FormField<'_>) -> String {
    ///     format!("<input name='{}' value='{}'>{}", field.name, field.value, field.errors.join(", "))
    /// }
    ///
    /// async fn page(mut flash: Flash) {
    ///     flash.show(&[("name", "")], [("name", "is required")]);
    ///     let form = flash.form(&[("name", "Ada"), ("city", "London")]);
    ///     assert_eq!(input(form.field("name")), "<input name='name' value=''>is required");
    ///     assert_eq!(input(form.field("city")), "<input name='city' value='London'>");
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn field<'f>(&'f self, name: &'f str) -> FormField<'f> {
        let values = self.values.get_all(name);
        let value = values.last().map_or("", String::as_str);
        FormField { name, value, values, errors: self.errors.get_all(name) }
    }

    /// Returns the values alone.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// async fn page(flash: Flash) {
    ///     let form = flash.form(&[("name", "Ada")]);
    ///     assert_eq!(form.values().get("name"), Some("Ada"));
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub const fn values(&self) -> &Filled<'a> {
        &self.values
    }

    /// Returns the errors alone. Those under the empty field concern the whole form.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// async fn page(mut flash: Flash) {
    ///     flash.show(&[("name", "Ada")], [("", "Please try again")]);
    ///     assert_eq!(flash.form(&[("name", "")]).errors().get(""), Some("Please try again"));
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub const fn errors(&self) -> &FormErrors<'a> {
        &self.errors
    }
}

impl Serialize for FilledForm<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut names = self.values.names();
        for (name, _) in self.errors.iter() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        serializer.collect_map(names.into_iter().map(|name| (name, self.field(name))))
    }
}

/// A field of a form, for the argument of a template's macro: serializes as a map with `name`, `value`, `values` and
/// `errors`. [`FilledForm::field`] returns it.
#[derive(Clone, Copy)]
pub struct FormField<'a> {
    /// The name of the field.
    pub name: &'a str,
    /// The last value, or an empty text.
    pub value: &'a str,
    /// All values: several for a group of checkboxes or a list with several choices.
    pub values: &'a [String],
    /// What is wrong with the field.
    pub errors: &'a [String],
}

impl FormField<'_> {
    /// Returns whether the field has this value. A page uses it for the attributes `checked` and `selected`.
    ///
    /// ```
    /// # use axum::{Router, routing::get};
    /// # use session_axum::{Flash, Keys, SessionLayer, testing::Client};
    /// async fn page(flash: Flash) {
    ///     let form = flash.form(&[("colours", ["red", "blue"])]);
    ///     assert!(form.field("colours").has("red"));
    ///     assert!(!form.field("colours").has("green"));
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let app = Router::new().route("/", get(page)).layer(SessionLayer::signed(Keys::generate()));
    /// # let client = Client::new(app);
    /// # assert_eq!(client.get("/").await.status(), 200);
    /// # });
    /// ```
    #[must_use]
    pub fn has(&self, value: &str) -> bool {
        self.values.iter().any(|chosen| chosen == value)
    }
}

impl Serialize for FormField<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut field = serializer.serialize_struct("FormField", 4)?;
        field.serialize_field("name", self.name)?;
        field.serialize_field("value", self.value)?;
        field.serialize_field("values", self.values)?;
        field.serialize_field("errors", self.errors)?;
        field.end()
    }
}

super::debug_shows_nothing!(Filled, FilledForm, FormField);
