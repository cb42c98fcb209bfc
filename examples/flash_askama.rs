//! A form that survives a redirect, with askama: the page shows what was typed, and each mistake beside its field.
//! `cargo run --example flash_askama`, then
//!
//! ```text
//! curl -Lb jar -c jar http://127.0.0.1:3000 -d name= -d colour=red -d colour=blue
//! curl -Lb jar -c jar http://127.0.0.1:3000 -d 'name=<Ada>' -d colour=red
//! ```

use askama::Template;
use axum::{
    Form, Router,
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use session_axum::{
    Flash, Keys, SessionLayer, SessionResponseExt,
    flash::{FormErrors, Input},
};

/// All values are escaped because of `ext = "html"`.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<title>Settings</title>
{%- if let Some(message) = flash.get("success") %}
<p role="status">{{ message }}</p>
{%- endif %}
<form method="post">
  <label for="name">Name</label>
  <input id="name" name="name" value="{{ input.get("name").unwrap_or_default() }}"
    {%- if errors.get("name").is_some() %} aria-invalid="true" aria-describedby="name-errors"{% endif %}>
  {%- if errors.get("name").is_some() %}
  <ul id="name-errors">{% for error in errors.get_all("name") %}<li>{{ error }}</li>{% endfor %}</ul>
  {%- endif %}
  {%- for colour in ["red", "green", "blue"] %}
  <label><input type="checkbox" name="colour" value="{{ colour }}"
    {%- if input.has("colour", colour) %} checked{% endif %}> {{ colour }}</label>
  {%- endfor %}
  <button>Save</button>
</form>
</html>
"#
)]
struct Page<'a> {
    flash: &'a Flash,
    input: Input<'a>,
    errors: FormErrors<'a>,
}

async fn show(flash: Flash) -> Result<Html<String>, StatusCode> {
    let page = Page { flash: &flash, input: flash.input(), errors: flash.errors() };
    page.render().map(Html).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn save(form: Form<Vec<(String, String)>>) -> Response {
    let name = form.iter().find(|(field, _)| field == "name").map(|(_, name)| name.trim());
    match name.unwrap_or_default() {
        "" => Redirect::to("/").with_input(&form).with_errors([("name", "Please tell us your name.")]),
        name => Redirect::to("/").flashing(("success", format!("Saved, {name}."))).into_response(),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let layer = SessionLayer::signed(Keys::generate()).insecure_over_http();
    let app = Router::new().route("/", get(show).post(save)).layer(layer);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("The form is at http://{}", listener.local_addr()?);
    axum::serve(listener, app).await
}
