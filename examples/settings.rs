//! A page with settings, a greeting, a log-in and a counter: shows `Session`, `Session<T>` and `Flash`.
//!
//! Start it with `cargo run`, open <http://127.0.0.1:3000> in a browser, or try it from a shell:
//!
//! ```text
//! curl -Lb jar -c jar http://127.0.0.1:3000/settings -d display_name=Ada -d colour=plum
//! curl -Lb jar -c jar http://127.0.0.1:3000/settings -d display_name=
//! ```

use std::sync::LazyLock;

use axum::{
    Form, Router,
    http::{StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use minijinja::{
    Environment,
    value::{Serde, Value},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use session_axum::{Error, Flash, Session, SessionData, SessionLayer, SessionResponseExt};
use tower_http::csrf::CsrfLayer;

/// Returns the application. Only the layer decides where the sessions are kept.
pub fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/settings", post(save))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/style.css", get(style))
        .fallback(async || sorry(StatusCode::NOT_FOUND))
        .method_not_allowed_fallback(async || sorry(StatusCode::METHOD_NOT_ALLOWED))
        .layer(layer.on_error(|error| sorry(error.status())))
        .layer(CsrfLayer::new()) // outside: refuses forms that other sites send, log-ins too
}

/// The session as a struct: each field is a key.
#[derive(SessionData)]
struct Visitor {
    connected: Option<String>,
    #[session(default)]
    settings: Settings,
    #[session(default)]
    visits: u32,
}

#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
struct Settings {
    display_name: String,
    email: String,
    colour: String,
}

/// After a mistake the form is shown again, without the password: fields with such names are left out.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Login {
    user: String,
    password: String,
    remember: Option<String>,
}

async fn home(mut visitor: Session<Visitor>, flash: Flash) -> Result<Response, Error> {
    visitor.visits += 1; // saved with the response
    show(StatusCode::OK, &visitor, &flash)
}

fn show(status: StatusCode, visitor: &Session<Visitor>, flash: &Flash) -> Result<Response, Error> {
    let session = Session::untyped(visitor);
    let values = json!({
        "connected": visitor.connected,
        "settings": visitor.settings,
        "visits": visitor.visits,
        "colours": COLOURS,
        "messages": flash.messages(),
        "input": flash.input(),
        "errors": flash.errors(),
        "held": held(&session)?,
        "bytes": session.cookie_size(),
    });
    Ok(page(status, "settings.html", &values))
}

async fn save(mut visitor: Session<Visitor>, flash: Flash, Form(settings): Form<Settings>) -> Response {
    let mistakes = settings.mistakes();
    if !mistakes.is_empty() {
        flash.error("Settings invalid!");
        return Redirect::to("/").with_input(&settings).with_errors(mistakes);
    }
    visitor.settings = settings;
    flash.success("Settings saved!");
    Redirect::to("/").into_response()
}

async fn login(visitor: Session<Visitor>, mut flash: Flash, Form(login): Form<Login>) -> Result<Response, Error> {
    let mistakes = login.mistakes();
    if !mistakes.is_empty() {
        flash.now("error", "That log-in did not work.");
        flash.show(&login, mistakes); // without a redirect: this response shows what was typed
        return show(StatusCode::UNPROCESSABLE_ENTITY, &visitor, &flash);
    }
    let session = Session::untyped(&visitor);
    session.renew(); // a new session id whenever the visitor gets more rights
    session.insert("connected", &login.user)?;
    if login.remember.is_some() {
        session.set_lifetime(std::time::Duration::from_secs(30 * 24 * 60 * 60));
    }
    flash.success("You are logged in.");
    Ok(Redirect::to("/").into_response())
}

async fn logout() -> Response {
    Redirect::to("/").with_new_session().flashing(("success", "You are logged out."))
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css")], include_str!("templates/style.css"))
}

impl Settings {
    fn mistakes(&self) -> Vec<(&'static str, &'static str)> {
        let checks = [
            ("display_name", !self.display_name.trim().is_empty(), "Enter the name you want to be called by."),
            ("display_name", self.display_name.chars().count() <= 60, "Keep the name to 60 characters."),
            ("email", self.email.is_empty() || self.email.contains('@'), "An address has an @, as in ada@example.com."),
            ("email", self.email.len() <= 120, "Keep the address to 120 characters."),
            ("colour", COLOURS.contains(&self.colour.as_str()), "Choose one of these colours."),
        ];
        checks.into_iter().filter(|(_, is_fine, _)| !is_fine).map(|(field, _, message)| (field, message)).collect()
    }
}

impl Login {
    /// Accepts every password, also none, because this is an example.
    fn mistakes(&self) -> Vec<(&'static str, &'static str)> {
        match self.user.trim().chars().count() {
            0 => vec![("user", "Enter a name: any will do.")],
            1..=60 => vec![],
            _ => vec![("user", "Keep the name to 60 characters.")],
        }
    }
}

/// Returns every key of the session with its value as JSON.
fn held(session: &Session) -> Result<Vec<(String, String)>, Error> {
    let entry = |key: String| {
        let value: serde_json::Value = session.get(&key)?.unwrap_or_default();
        Ok((key, format!("{value:#}")))
    };
    session.keys().into_iter().map(entry).collect()
}

fn sorry(status: StatusCode) -> Response {
    page(status, "sorry.html", &json!({ "status": status.as_u16() }))
}

fn page(status: StatusCode, template: &str, values: &serde_json::Value) -> Response {
    match TEMPLATES.get_template(template).and_then(|template| template.render(Value::from(Serde(values)))) {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(template, "{error:#}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The templates are part of the program, so it runs from any directory. Values in `.html` templates are escaped.
static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_loader(|name| {
        Ok(match name {
            "layout.html" => Some(include_str!("templates/layout.html")),
            "settings.html" => Some(include_str!("templates/settings.html")),
            "sorry.html" => Some(include_str!("templates/sorry.html")),
            _ => None,
        })
    });
    templates
});

const COLOURS: &[&str] = &["teal", "blue", "plum", "rust"];
