//! What becomes of messages and forms at a log-out: the next visitor may use the same browser.

use axum::{
    Json, Router,
    http::StatusCode,
    response::{Redirect, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use session_axum::{
    Flash, Session, SessionResponseExt,
    testing::{Client, TestSession},
};

use crate::support::app::{client, layer, timed_layer};

/// Everything that the next page has.
async fn page(flash: Flash) -> Json<Value> {
    let messages: Vec<_> = flash.iter().map(|(_, text)| text.to_owned()).collect();
    Json(json!({"input": flash.input(), "errors": flash.errors(), "messages": messages}))
}

async fn next_page(client: &Client) -> Value {
    serde_json::from_str(&client.get("/").await.text()).unwrap()
}

fn back() -> Redirect {
    Redirect::to("/")
}

#[tokio::test]
async fn a_log_out_drops_pending_forms_and_keeps_messages() {
    type Answer = fn() -> Response;
    let answers: [(Answer, Value, Value); 6] = [
        (|| back().with_new_session(), json!({}), json!(["Saved"])),
        (|| StatusCode::INTERNAL_SERVER_ERROR.with_new_session(), json!({}), json!(["Saved"])),
        (|| back().with_new_session().with_input(&[("name", "own")]), json!({"name": "own"}), json!(["Saved"])),
        (|| back().with_input(&[("name", "own")]).with_new_session(), json!({}), json!(["Saved"])),
        (|| back().flashing(("success", "Bye")).with_new_session(), json!({}), json!(["Saved", "Bye"])),
        (|| back().flashing(("success", "x".repeat(5_000))).with_new_session(), json!({}), json!(["Saved"])),
    ];
    for (number, (answer, input, messages)) in answers.into_iter().enumerate() {
        for act in [(|_| {}) as fn(&Flash), Flash::keep] {
            let (layer, clock) = timed_layer();
            let log_out = move |flash: Flash| async move {
                act(&flash);
                answer()
            };
            let refuse = || async {
                back().with_input(&[("email", "a@b")]).with_errors([("email", "x")]).flashing(("success", "Saved"))
            };
            let app = Router::new().route("/", get(page).post(refuse)).route("/logout", post(log_out));
            let client = client(app.layer(layer.clone()));
            client.enter(&TestSession::new(&layer).insert("user", "ada"));
            client.post("/").await;
            clock.advance(std::time::Duration::from_secs(1));
            client.post("/logout").await;
            let page = next_page(&client).await;
            assert_eq!((&page["input"], &page["errors"]), (&input, &json!({})), "{number}");
            assert_eq!(page["messages"], messages, "{number}");
        }
    }
}

#[tokio::test]
async fn a_log_out_that_does_not_use_the_flash_drops_pending_forms_as_well() {
    let app = Router::new().route("/", get(page).post(|| async { back().with_input(&[("email", "a@b")]) }));
    let client = client(app.route("/logout", post(|| async { back().with_new_session() })).layer(layer()));
    client.post("/").await;
    client.post("/logout").await;
    assert_eq!(client.cookie_names(), [""; 0]);
}

#[tokio::test]
async fn a_session_that_a_handler_destroys_leaves_the_form() {
    let destroy = |session: Session| async move {
        session.destroy();
    };
    let destroy_and_fail = |session: Session, flash: Flash| async move {
        session.destroy();
        flash.info("x".repeat(5_000));
    };
    let app = Router::new().route("/", get(page).post(|| async { back().with_input(&[("email", "a@b")]) }));
    let app = app.route("/logout", post(destroy)).route("/logout-and-fail", post(destroy_and_fail));
    for path in ["/logout", "/logout-and-fail"] {
        let layer = layer();
        let client = client(app.clone().layer(layer.clone()));
        client.enter(&TestSession::new(&layer).insert("user", "ada"));
        client.post("/").await;
        client.post(path).await;
        assert_eq!(client.cookie("__Host-session"), None, "{path}");
        assert_eq!(next_page(&client).await["input"], json!({"email": "a@b"}), "{path}");
    }
}
