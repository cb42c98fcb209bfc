//! Messages with htmx: a delete button, a toast with an undo button, and a redirect by `HX-Redirect`.
//! `cargo run --example htmx`, then open <http://127.0.0.1:3000>.

use axum::{
    Router,
    extract::{Path, Request},
    http::{HeaderValue, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Redirect, Response},
    routing::{delete, get, post},
};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use session_axum::{Flash, Keys, Message, Session, SessionData, SessionLayer, SessionResponseExt, flash::Pending};
use session_examples::start;

pub(crate) fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/", get(page).post(fill))
        .route("/items/{name}", delete(remove))
        .route("/undo", post(undo))
        .route("/htmx.js", get(htmx))
        .layer(from_fn(toasts))
        .layer(layer)
}

#[derive(SessionData)]
struct Basket {
    #[session(default)]
    items: Vec<String>,
    /// The item that was deleted last.
    deleted: Option<String>,
}

/// Shows the messages of a response at once if htmx asked for it. The page hears of them as the event `toasts`.
///
/// A response that leads htmx to another page keeps its messages: that page shows them.
async fn toasts(flash: Flash, request: Request, next: Next) -> Response {
    let is_htmx = request.headers().contains_key("hx-request");
    let mut response = next.run(request).await;
    if is_htmx && !response.headers().contains_key("hx-redirect") {
        let messages = flash.take_pending(&mut response);
        if !messages.is_empty() {
            response.headers_mut().insert("hx-trigger", event(&messages));
        }
    }
    response
}

/// Returns the value of `HX-Trigger`: JSON in ASCII, because a header has no other characters.
fn event(messages: &Pending) -> HeaderValue {
    let mut text = String::new();
    for character in serde_json::json!({ "toasts": messages }).to_string().chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            let escape = |unit: &mut u16| format!("\\u{unit:04x}");
            text.extend(character.encode_utf16(&mut [0; 2]).iter_mut().map(escape));
        }
    }
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("toasts"))
}

async fn page(basket: Session<Basket>, flash: Flash) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            meta charset="utf-8";
            title { "Basket" }
            script src="/htmx.js" {}
            h1 { "Basket" }
            @for message in flash.messages() { p role="status" { (message.text) } }
            ul {
                @for item in &basket.items {
                    li {
                        (item) " "
                        button hx-delete={ "/items/" (item) } hx-target="closest li" hx-swap="delete" { "Delete" }
                    }
                }
            }
            form method="post" { button id="fill" { "Fill the basket" } }
            div id="toasts" aria-live="polite" {}
            (PreEscaped(SCRIPT))
        }
    }
}

/// Adds the toasts. A text goes into `textContent`, so it is never read as HTML.
const SCRIPT: &str = r#"<script>
document.body.addEventListener("toasts", ({ detail }) => {
  for (const message of detail.value) {
    const toast = document.createElement("p");
    toast.className = message.key;
    toast.textContent = message.text + " ";
    if (message.data.undo) {
      const undo = document.createElement("button");
      undo.textContent = "Undo";
      undo.setAttribute("hx-post", message.data.undo);
      toast.append(undo);
    }
    document.getElementById("toasts").append(toast);
    htmx.process(toast);
  }
});
</script>"#;

async fn fill(mut basket: Session<Basket>) -> Response {
    basket.items = ["Tea", "Honey", "Crème brûlée"].map(str::to_owned).to_vec();
    Redirect::to("/").flashing(("success", "The basket is full."))
}

/// Deletes an item. The page removes it from the list, and shows the message as a toast.
async fn remove(mut basket: Session<Basket>, flash: Flash, Path(name): Path<String>) {
    if let Some(place) = basket.items.iter().position(|item| *item == name) {
        basket.deleted = Some(basket.items.remove(place));
        flash.success(Message::new(format!("{name} is deleted.")).with("undo", "/undo"));
    } else {
        flash.error("There is no such item.");
    }
}

/// Brings the deleted item back, and leads htmx to the page anew. The message waits for that page.
async fn undo(mut basket: Session<Basket>, flash: Flash) -> impl IntoResponse {
    if let Some(item) = basket.deleted.take() {
        flash.success(format!("{item} is back."));
        basket.items.push(item);
    }
    ([("hx-redirect", "/")], "You are on your way.")
}

async fn htmx() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript")], include_str!("htmx/htmx.min.js"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), start::Sentence> {
    let layer = SessionLayer::signed(Keys::generate()).insecure_over_http();
    start::serve("The basket is at", "", app(layer)).await
}
