//! A form that is refused, and read again by the page after the redirect.

use std::{collections::HashMap, sync::LazyLock};

use axum::{
    Form, Router,
    response::{Redirect, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use session_axum::{Flash, SessionResponseExt};
use session_core::token::Protection;

use crate::application::{cookies_of, layer, post, send};

#[derive(Debug, Deserialize, Serialize)]
struct Guest {
    name: Option<String>,
    #[serde(default)]
    age: Option<u8>,
    #[serde(default)]
    colours: Vec<String>,
    #[serde(default)]
    address: HashMap<String, String>,
    #[serde(flatten)]
    rest: HashMap<String, serde_json::Value>,
}

static APP: LazyLock<Router> =
    LazyLock::new(|| Router::new().route("/", get(show).post(refuse)).layer(layer(Protection::Signed)));

async fn refuse(form: Form<Vec<(String, String)>>) -> Response {
    let errors: Vec<_> = form.iter().map(|(name, value)| (name.clone(), format!("not {value}"))).collect();
    Redirect::to("/").with_input(&form).with_errors(errors)
}

async fn show(flash: Flash) -> String {
    let (input, errors) = (flash.input(), flash.errors());
    let guest = input.parse::<Guest>();
    let list = input.parse::<HashMap<String, Vec<String>>>();
    let whole = flash.form(&Guest {
        name: None,
        age: Some(1),
        colours: Vec::new(),
        address: HashMap::new(),
        rest: HashMap::new(),
    });
    let name = whole.field("name");
    format!("{guest:?} {list:?} {:?} {:?} {}", errors.iter().count(), input.dropped(), name.has("x"))
}

/// Sends the form and follows the redirect.
///
/// # Panics
///
/// Panics if the application does not answer, or if the cookies are larger than a browser keeps.
pub fn run(data: &[u8]) {
    let (response, _) = post(&APP, "/", data);
    if response.status() == 422 || response.status() == 400 {
        return; // no form for axum
    }
    assert_eq!(response.status(), 303);
    let cookies = cookies_of(response.headers());
    assert!(cookies.iter().all(|cookie| cookie.len() <= 4_096 + 1), "a cookie that a browser drops");
    let (page, _) = send(&APP, "/", cookies);
    assert_eq!(page.status(), 200);
}
