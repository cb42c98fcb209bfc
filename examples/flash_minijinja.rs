//! A form that survives a redirect, with minijinja: the page shows what was typed, else what is saved, and each mistake
//! beside its field. A macro gets a field as one argument.
//! `cargo run --example flash_minijinja`, then open <http://127.0.0.1:3000>.

use axum::{Router, response::Html, routing::get};
use minijinja::{Environment, context, value::Serde};
use session_axum::{Flash, Keys, Session, SessionLayer};
use session_examples::{
    profile::{self, LANGUAGES, PLANS, Visitor},
    start,
};

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Profile</title>
{%- macro mistakes(field) %}
  {%- if field.errors %} aria-invalid="true" aria-describedby="{{ field.name }}-mistakes"{% endif %}
{%- endmacro %}
{%- macro explained(field) %}
  {%- if field.errors %}
  <ul id="{{ field.name }}-mistakes">{% for error in field.errors %}<li>{{ error }}</li>{% endfor %}</ul>
  {%- endif %}
{%- endmacro %}
{%- macro input(field, label, type) %}
  <p><label>{{ label }} <input type="{{ type }}" name="{{ field.name }}" value="{{ field.value }}"{{ mistakes(field) }}></label></p>
  {{- explained(field) }}
{%- endmacro %}
{%- macro checkbox(field, label) %}
  <p><label><input type="checkbox" name="{{ field.name }}" value="true" {%- if field.value == "true" %} checked{% endif %}> {{ label }}</label></p>
{%- endmacro %}
{%- macro radios(field, options) %}
  <fieldset{{ mistakes(field) }}>
  {%- for option in options %}
    <label><input type="radio" name="{{ field.name }}" value="{{ option }}" {%- if option == field.value %} checked{% endif %}> {{ option }}</label>
  {%- endfor %}
  </fieldset>
  {{- explained(field) }}
{%- endmacro %}
{%- macro select(field, label, options) %}
  <p><label>{{ label }} <select multiple name="{{ field.name }}"{{ mistakes(field) }}>
  {%- for option in options %}
    <option {%- if option in field.values %} selected{% endif %}>{{ option }}</option>
  {%- endfor %}
  </select></label></p>
  {{- explained(field) }}
{%- endmacro %}
<h1>Hello {{ session.profile.name or "stranger" }}</h1>
{%- if flash.success %}
<p role="status">{{ flash.success }}</p>
{%- endif %}
<form method="post" enctype="multipart/form-data" novalidate>
  {{- input(form.name, "Name", "text") }}
  {{- input(form.age, "Age", "number") }}
  {{- input(form.born, "Born", "date") }}
  {{- input(form["address[city]"], "City", "text") }}
  {{- checkbox(form.newsletter, "Newsletter") }}
  {{- radios(form.plan, plans) }}
  {{- select(form.languages, "Languages", languages) }}
  <p><label>Photo <input type="file" name="photo"></label></p>
  <button>Save</button>
</form>
</html>
"#;

async fn show(visitor: Session<Visitor>, flash: Flash) -> Result<Html<String>, Html<&'static str>> {
    let mut templates = Environment::new();
    // All values are escaped because the name ends in `.html`.
    let page = templates.add_template("page.html", PAGE).and_then(|()| {
        templates.get_template("page.html")?.render(context! {
            session => Serde(&visitor),
            flash => Serde(&flash),
            form => Serde(flash.form(&visitor.profile)),
            plans => PLANS,
            languages => LANGUAGES,
        })
    });
    page.map(Html).map_err(|_| Html("This page is broken."))
}

pub(crate) fn app(layer: SessionLayer) -> Router {
    profile::app(get(show), layer)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Sentence> {
    let layer = SessionLayer::signed(Keys::generate()).insecure_over_http();
    start::serve("The form is at", "", app(layer)).await
}
