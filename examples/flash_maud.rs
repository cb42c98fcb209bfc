//! A form that survives a redirect, with maud: the page shows what was typed, else what is saved, and each mistake
//! beside its field. A function gets a field as one argument.
//! `cargo run --example flash_maud`, then open <http://127.0.0.1:3000>.

use axum::{Router, routing::get};
use maud::{DOCTYPE, Markup, html};
use session_axum::{Flash, Keys, Session, SessionLayer, flash::FormField};
use session_examples::{
    profile::{self, LANGUAGES, PLANS, Visitor},
    start,
};

async fn show(visitor: Session<Visitor>, flash: Flash) -> Markup {
    let form = flash.form(&visitor.profile);
    let name = Some(visitor.profile.name.as_str()).filter(|name| !name.is_empty());
    html! {
        (DOCTYPE)
        html lang="en" {
            meta charset="utf-8";
            title { "Profile" }
            h1 { "Hello " (name.unwrap_or("stranger")) }
            @if let Some(message) = flash.get("success") { p role="status" { (message) } }
            form method="post" enctype="multipart/form-data" novalidate {
                (input(form.field("name"), "Name", "text"))
                (input(form.field("age"), "Age", "number"))
                (input(form.field("born"), "Born", "date"))
                (input(form.field("address[city]"), "City", "text"))
                (checkbox(form.field("newsletter"), "Newsletter"))
                (radios(form.field("plan"), &PLANS))
                (select(form.field("languages"), "Languages", &LANGUAGES))
                p { label { "Photo " input type="file" name="photo"; } }
                button { "Save" }
            }
        }
    }
}

fn input(field: FormField<'_>, label: &str, kind: &str) -> Markup {
    html! {
        p {
            label {
                (label) " "
                input type=(kind) name=(field.name) value=(field.value)
                    aria-invalid=[is_wrong(field)] aria-describedby=[mistakes_id(field)];
            }
        }
        (explained(field))
    }
}

fn checkbox(field: FormField<'_>, label: &str) -> Markup {
    html! {
        p { label { input type="checkbox" name=(field.name) value="true" checked[field.has("true")]; " " (label) } }
    }
}

fn radios(field: FormField<'_>, options: &[&str]) -> Markup {
    html! {
        fieldset aria-invalid=[is_wrong(field)] aria-describedby=[mistakes_id(field)] {
            @for option in options {
                label { input type="radio" name=(field.name) value=(option) checked[field.has(option)]; " " (option) }
            }
        }
        (explained(field))
    }
}

fn select(field: FormField<'_>, label: &str, options: &[&str]) -> Markup {
    html! {
        p {
            label {
                (label) " "
                select multiple name=(field.name) aria-invalid=[is_wrong(field)] aria-describedby=[mistakes_id(field)] {
                    @for option in options { option selected[field.has(option)] { (option) } }
                }
            }
        }
        (explained(field))
    }
}

fn is_wrong(field: FormField<'_>) -> Option<&'static str> {
    (!field.errors.is_empty()).then_some("true")
}

fn mistakes_id(field: FormField<'_>) -> Option<String> {
    (!field.errors.is_empty()).then(|| format!("{}-mistakes", field.name))
}

fn explained(field: FormField<'_>) -> Markup {
    html! {
        @if let Some(id) = mistakes_id(field) { ul id=(id) { @for error in field.errors { li { (error) } } } }
    }
}

pub(crate) fn app(layer: SessionLayer) -> Router {
    profile::app(get(show), layer)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Sentence> {
    let layer = SessionLayer::signed(Keys::generate()).insecure_over_http();
    start::serve("The form is at", "", app(layer)).await
}
