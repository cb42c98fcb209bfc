//! The form of the template examples: it has every kind of input, and is saved in the session.

use axum::{
    Router,
    extract::{Multipart, multipart::MultipartError},
    response::{IntoResponse, Redirect, Response},
    routing::MethodRouter,
};
use serde::{Deserialize, Serialize};
use session_axum::{Flash, Session, SessionData, SessionLayer, SessionResponseExt};

/// Returns an application with one page, which shows the form and takes it.
pub fn app(page: MethodRouter, layer: SessionLayer) -> Router {
    Router::new().route("/", page.post(save)).layer(layer)
}

/// The session as a struct.
#[derive(Debug, SessionData)]
pub struct Visitor {
    /// The profile that was saved last.
    #[session(default)]
    pub profile: Profile,
}

/// The form as it is saved. Each field has the name of its input.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Profile {
    /// A text.
    pub name: String,
    /// A number.
    pub age: Option<u8>,
    /// A date.
    pub born: String,
    /// A checkbox.
    pub newsletter: bool,
    /// Radio buttons: one of [`PLANS`].
    pub plan: Option<String>,
    /// A list with several choices: some of [`LANGUAGES`].
    pub languages: Vec<String>,
    /// A struct in the struct: its input is named `address[city]`.
    pub address: Address,
}

/// A part of the form.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Address {
    /// A text.
    pub city: String,
}

/// The values of the radio buttons.
pub const PLANS: [&str; 2] = ["free", "pro"];

/// The options of the list.
pub const LANGUAGES: [&str; 3] = ["Go", "Python", "Rust"];

async fn save(mut visitor: Session<Visitor>, flash: Flash, form: Multipart) -> Result<Response, MultipartError> {
    let form = texts(form).await?;
    match Profile::read(&form) {
        Ok(profile) => {
            visitor.profile = profile;
            flash.success("Saved.");
            Ok(Redirect::to("/").into_response())
        }
        Err(mistakes) => Ok(Redirect::to("/").with_input(&form).with_errors(mistakes)),
    }
}

/// Reads the fields of the form, and skips the file.
async fn texts(mut form: Multipart) -> Result<Vec<(String, String)>, MultipartError> {
    let mut texts = Vec::new();
    while let Some(field) = form.next_field().await? {
        if field.file_name().is_none() {
            texts.push((field.name().unwrap_or_default().to_owned(), field.text().await?));
        }
    }
    Ok(texts)
}

impl Profile {
    fn read(form: &[(String, String)]) -> Result<Self, Vec<(&'static str, &'static str)>> {
        let text = |name| texts_of(form, name).last().unwrap_or_default();
        let checks = [
            ("name", !text("name").is_empty(), "Please tell us your name."),
            ("age", text("age").is_empty() || text("age").parse::<u8>().is_ok(), "An age is a number up to 255."),
            ("born", is_date(text("born")), "A date looks like 1815-12-10."),
            ("plan", PLANS.contains(&text("plan")), "Please choose a plan."),
            ("languages", texts_of(form, "languages").next().is_some(), "Please choose at least one language."),
            ("address[city]", !text("address[city]").is_empty(), "Please tell us your city."),
        ];
        let mistakes: Vec<_> =
            checks.into_iter().filter(|(_, is_fine, _)| !is_fine).map(|(field, _, text)| (field, text)).collect();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            name: text("name").to_owned(),
            age: text("age").parse().ok(),
            born: text("born").to_owned(),
            newsletter: text("newsletter") == "true",
            plan: Some(text("plan").to_owned()),
            languages: texts_of(form, "languages").map(str::to_owned).collect(),
            address: Address { city: text("address[city]").to_owned() },
        })
    }
}

fn texts_of<'a>(form: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    form.iter().filter(move |(field, _)| field == name).map(|(_, text)| text.trim())
}

fn is_date(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').map(str::parse::<u16>).collect();
    matches!(parts.as_slice(), [Ok(_), Ok(1..=12), Ok(1..=31)])
}
