//! A form that survives a redirect, with askama: the page shows what was typed, else what is saved, and each mistake
//! beside its field. A macro gets a field as one argument.
//! `cargo run --example flash_askama`, then open <http://127.0.0.1:3000>.

use askama::Template;
use axum::{Router, http::StatusCode, response::Html, routing::get};
use session_axum::{Flash, Keys, Session, SessionLayer, flash::FilledForm};
use session_examples::{
    profile::{self, LANGUAGES, PLANS, Visitor},
    start,
};

/// All values are escaped because of `ext = "html"`.
#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Profile</title>
{%- macro mistakes(field) -%}
  {%- if !field.errors.is_empty() %} aria-invalid="true" aria-describedby="{{ field.name }}-mistakes"{% endif -%}
{%- endmacro -%}
{%- macro explained(field) -%}
  {%- if !field.errors.is_empty() %}
  <ul id="{{ field.name }}-mistakes">{% for error in field.errors %}<li>{{ error }}</li>{% endfor %}</ul>
  {%- endif -%}
{%- endmacro -%}
{%- macro input(field, label, kind) %}
  <p><label>{{ label }} <input type="{{ kind }}" name="{{ field.name }}" value="{{ field.value }}"{% call mistakes(field) %}{% endcall %}></label></p>
  {%- call explained(field) %}{% endcall -%}
{%- endmacro -%}
{%- macro checkbox(field, label) %}
  <p><label><input type="checkbox" name="{{ field.name }}" value="true" {%- if field.has("true") %} checked{% endif %}> {{ label }}</label></p>
{%- endmacro -%}
{%- macro radios(field, options) %}
  <fieldset{% call mistakes(field) %}{% endcall %}>
  {%- for option in options %}
    <label><input type="radio" name="{{ field.name }}" value="{{ option }}" {%- if field.has(option) %} checked{% endif %}> {{ option }}</label>
  {%- endfor %}
  </fieldset>
  {%- call explained(field) %}{% endcall -%}
{%- endmacro -%}
{%- macro select(field, label, options) %}
  <p><label>{{ label }} <select multiple name="{{ field.name }}"{% call mistakes(field) %}{% endcall %}>
  {%- for option in options %}
    <option {%- if field.has(option) %} selected{% endif %}>{{ option }}</option>
  {%- endfor %}
  </select></label></p>
  {%- call explained(field) %}{% endcall -%}
{%- endmacro %}
<h1>Hello {% if visitor.profile.name.is_empty() %}stranger{% else %}{{ visitor.profile.name }}{% endif %}</h1>
{%- if let Some(message) = flash.get("success") %}
<p role="status">{{ message }}</p>
{%- endif %}
<form method="post" enctype="multipart/form-data" novalidate>
  {%- call input(form.field("name"), "Name", "text") %}{% endcall %}
  {%- call input(form.field("age"), "Age", "number") %}{% endcall %}
  {%- call input(form.field("born"), "Born", "date") %}{% endcall %}
  {%- call input(form.field("address[city]"), "City", "text") %}{% endcall %}
  {%- call checkbox(form.field("newsletter"), "Newsletter") %}{% endcall %}
  {%- call radios(form.field("plan"), PLANS) %}{% endcall %}
  {%- call select(form.field("languages"), "Languages", LANGUAGES) %}{% endcall %}
  <p><label>Photo <input type="file" name="photo"></label></p>
  <button>Save</button>
</form>
</html>
"#
)]
struct Page<'a> {
    visitor: &'a Session<Visitor>,
    flash: &'a Flash,
    form: FilledForm<'a>,
}

async fn show(visitor: Session<Visitor>, flash: Flash) -> Result<Html<String>, StatusCode> {
    let page = Page { visitor: &visitor, flash: &flash, form: flash.form(&visitor.profile) };
    page.render().map(Html).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

pub(crate) fn app(layer: SessionLayer) -> Router {
    profile::app(get(show), layer)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Sentence> {
    let layer = SessionLayer::signed(Keys::generate()).insecure_over_http();
    start::serve("The form is at", "", app(layer)).await
}
