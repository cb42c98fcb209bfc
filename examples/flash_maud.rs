//! A form that survives a redirect, with maud: the page shows what was typed, and each mistake beside its field.
//! `cargo run --example flash_maud`, then
//!
//! ```text
//! curl -Lb jar -c jar http://127.0.0.1:3000 -d name= -d colour=red -d colour=blue
//! curl -Lb jar -c jar http://127.0.0.1:3000 -d 'name=<Ada>' -d colour=red
//! ```

use axum::{
    Form, Router,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use maud::{DOCTYPE, Markup, html};
use session_axum::{Flash, Keys, SessionLayer, SessionResponseExt};

async fn show(flash: Flash) -> Markup {
    let (input, errors) = (flash.input(), flash.errors());
    let is_wrong = errors.get("name").is_some();
    html! {
        (DOCTYPE)
        html lang="en" {
            title { "Settings" }
            @if let Some(message) = flash.get("success") { p role="status" { (message) } }
            form method="post" {
                label for="name" { "Name" }
                input id="name" name="name" value=(input.get("name").unwrap_or_default())
                    aria-invalid=[is_wrong.then_some("true")] aria-describedby=[is_wrong.then_some("name-errors")];
                @if is_wrong {
                    ul id="name-errors" { @for error in errors.get_all("name") { li { (error) } } }
                }
                @for colour in ["red", "green", "blue"] {
                    label {
                        input type="checkbox" name="colour" value=(colour) checked[input.has("colour", colour)];
                        " " (colour)
                    }
                }
                button { "Save" }
            }
        }
    }
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
