//! A form that survives a redirect, with minijinja: the page shows what was typed, and each mistake beside its field.
//! `cargo run --example flash_minijinja`, then
//!
//! ```text
//! curl -Lb jar -c jar http://127.0.0.1:3000 -d name= -d colour=red -d colour=blue
//! curl -Lb jar -c jar http://127.0.0.1:3000 -d 'name=<Ada>' -d colour=red
//! ```

use axum::{
    Form, Router,
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use minijinja::{Environment, context, value::Serde};
use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt};

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<title>Settings</title>
{%- if flash.success %}
<p role="status">{{ flash.success }}</p>
{%- endif %}
<form method="post">
  <label for="name">Name</label>
  <input id="name" name="name" value="{{ input.name }}"
    {%- if errors.name %} aria-invalid="true" aria-describedby="name-errors"{% endif %}>
  {%- if errors.name %}
  <ul id="name-errors">{% for error in errors.name %}<li>{{ error }}</li>{% endfor %}</ul>
  {%- endif %}
  {%- for colour in ["red", "green", "blue"] %}
  <label><input type="checkbox" name="colour" value="{{ colour }}" {%- if colour in chosen %} checked{% endif %}> {{ colour }}</label>
  {%- endfor %}
  <button>Save</button>
</form>
</html>
"#;

async fn show(flash: Flash) -> Result<Html<String>, Html<&'static str>> {
    let mut templates = Environment::new();
    // All values are escaped because the name ends in `.html`.
    let page = templates.add_template("page.html", PAGE).and_then(|()| {
        templates.get_template("page.html")?.render(context! {
            flash => Serde(&flash),
            input => Serde(flash.input()),
            errors => Serde(flash.errors()),
            chosen => Serde(flash.input().get_all("colour")),
        })
    });
    page.map(Html).map_err(|_| Html("This page is broken."))
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
