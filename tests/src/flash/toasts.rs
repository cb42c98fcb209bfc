//! A layer around the handler that shows at once what the handler flashed, as toasts or in a header.

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use session_axum::{
    Flash, Message, SessionLayer, SessionResponseExt,
    testing::{Client, TestSession},
};

use crate::support::app::{client, layer};

/// Puts the messages into a header, and leaves them to the next page too.
async fn look(flash: Flash, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let pending = json!(flash.pending(&response)).to_string();
    ([("hx-trigger", pending)], response).into_response()
}

/// Puts the messages into a header instead of the next page.
async fn take(flash: Flash, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let taken = json!(flash.take_pending(&mut response)).to_string();
    assert!(flash.pending(&response).is_empty());
    ([("hx-trigger", taken)], response).into_response()
}

async fn page(flash: Flash) -> String {
    let input = flash.input().get("name").unwrap_or("-").to_owned();
    flash.iter().map(|(key, text)| format!("{key}={text} ")).collect::<String>() + &input
}

async fn both(flash: Flash) -> Response {
    flash.success("by an extractor");
    "".flashing(("info", "by a helper")).flashing(("success", Message::new("rich").with("id", 7)))
}

async fn fail(flash: Flash) -> Response {
    flash.success("never happened");
    StatusCode::INTERNAL_SERVER_ERROR.flashing(("error", "by a helper"))
}

async fn refuse() -> Response {
    Redirect::to("/").with_input(&[("name", "Ann")]).flashing(("error", "No."))
}

async fn change_its_mind(flash: Flash) -> Response {
    flash.success("a");
    flash.info("b");
    "".flashing([("success", "c"), ("mail", "d")]).removing_from_flash("success").flashing(("success", "e"))
}

async fn begin_anew(flash: Flash) -> Response {
    flash.success("a");
    "".flashing(("info", "b")).with_new_flash().flashing(("mail", "c"))
}

fn around(layer: &SessionLayer, takes: bool) -> Client {
    let routes = Router::new()
        .route("/both", post(both))
        .route("/fail", post(fail))
        .route("/refuse", post(refuse))
        .route("/change", post(change_its_mind))
        .route("/anew", post(begin_anew))
        .route("/none", post(|| async { "" }))
        .route("/reserved", post(|| async { "".flashing([("a", "b"), ("$", "x")]) }));
    let routes = if takes { routes.layer(from_fn(take)) } else { routes.layer(from_fn(look)) };
    client(routes.route("/", get(page)).layer(layer.clone()))
}

/// What the layer sees of a response, and what the next page shows.
async fn shown_by(client: &Client, path: &str) -> (Value, String) {
    let response = client.post(path).await;
    let seen = response.headers().get("hx-trigger").map_or("[]", |seen| seen.to_str().unwrap());
    (serde_json::from_str(seen).unwrap(), client.get("/").await.text())
}

fn plain(key: &str, text: &str) -> Value {
    json!({"key": key, "text": text, "data": {}})
}

#[tokio::test]
async fn a_layer_sees_what_extractors_and_helpers_have_added() {
    let rich = json!({"key": "success", "text": "rich", "data": {"id": 7}});
    let cases = [
        (
            "/both",
            json!([plain("success", "by an extractor"), rich, plain("info", "by a helper")]),
            "success=by an extractor success=rich info=by a helper -",
            "-",
        ),
        ("/fail", json!([plain("error", "by a helper")]), "error=by a helper -", "-"),
        ("/refuse", json!([plain("error", "No.")]), "error=No. Ann", "Ann"),
        (
            "/change",
            json!([plain("info", "b"), plain("mail", "d"), plain("success", "e")]),
            "info=b mail=d success=e -",
            "-",
        ),
        ("/anew", json!([plain("mail", "c")]), "mail=c -", "-"),
        ("/none", json!([]), "-", "-"),
    ];
    for (path, seen, page, page_after_taking) in cases {
        let (looks, takes) = (around(&layer(), false), around(&layer(), true));
        assert_eq!(shown_by(&looks, path).await, (seen.clone(), page.to_owned()), "{path}");
        assert_eq!(shown_by(&takes, path).await, (seen, page_after_taking.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn what_came_with_the_request_is_not_pending() {
    for takes in [false, true] {
        let layer = layer();
        let client = around(&layer, takes);
        client.enter(&TestSession::new(&layer).flash("info", "earlier"));
        assert_eq!(shown_by(&client, "/none").await, (json!([]), "info=earlier -".to_owned()));
    }
}

#[tokio::test]
async fn a_response_whose_messages_were_taken_sets_no_cookie() {
    let response = around(&layer(), true).post("/both").await;
    assert_eq!(response.headers().get(header::SET_COOKIE), None);
}

#[tokio::test]
async fn a_reserved_key_still_fails_a_response_whose_messages_are_looked_at() {
    let client = around(&layer(), false);
    assert_eq!(client.post("/reserved").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(client.cookie_names(), [""; 0]);
}

#[tokio::test]
async fn what_was_taken_can_be_flashed_on_another_response() {
    async fn replace(flash: Flash, request: Request, next: Next) -> Response {
        let mut response = next.run(request).await;
        Redirect::to("/").flashing(flash.take_pending(&mut response))
    }
    let app = Router::new().route("/both", post(both)).layer(from_fn(replace)).route("/", get(page));
    let client = client(app.layer(layer()));
    assert_eq!(client.post("/both").await.status(), StatusCode::SEE_OTHER);
    assert_eq!(client.get("/").await.text(), "success=by an extractor success=rich info=by a helper -");
}

#[tokio::test]
async fn set_remove_and_clear_act_on_what_the_request_has_added() {
    type Act = fn(&Flash) -> String;
    let acts: [(Act, &str, &str); 4] = [
        (
            |flash| {
                flash.add("a", "1");
                flash.set("a", "2");
                flash.set("b", "3");
                String::new()
            },
            "",
            "a=0 a=2 b=3 -",
        ),
        (
            |flash| {
                flash.add("a", "1");
                flash.add("b", "2");
                format!("{} {}", flash.remove("a"), flash.remove("a"))
            },
            "true false",
            "a=0 b=2 -",
        ),
        (
            |flash| {
                flash.add("a", "1");
                flash.success("2");
                flash.clear();
                flash.info("3");
                String::new()
            },
            "",
            "a=0 info=3 -",
        ),
        (|flash| format!("{} {:?}", flash.remove("a"), flash.peek("a")), r#"false Some("0")"#, "a=0 -"),
    ];
    for (act, answer, next) in acts {
        let layer = layer();
        let app = Router::new().route("/", get(page).post(move |flash: Flash| async move { act(&flash) }));
        let client = client(app.layer(layer.clone()));
        client.enter(&TestSession::new(&layer).flash("a", "0"));
        assert_eq!(client.post("/").await.text(), answer);
        let mut shown: Vec<_> = client.get("/").await.text().split(' ').map(str::to_owned).collect();
        let mut next: Vec<_> = next.split(' ').collect();
        shown.sort();
        next.sort_unstable();
        assert_eq!(shown, next);
    }
}

#[tokio::test]
async fn set_with_a_reserved_key_is_an_error() {
    let client =
        client(Router::new().route("/", post(|flash: Flash| async move { flash.set("$a", "x") })).layer(layer()));
    assert_eq!(client.post("/").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_helper_removes_messages_that_came_or_were_added() {
    type Answer = fn(Flash) -> Response;
    let answers: [(Answer, &str); 5] = [
        (|_| "".removing_from_flash("a"), "b=1 Ann"),
        (|_| "".removing_from_flash(["a", "b"]), "Ann"),
        (|_| "".with_new_flash(), "-"),
        (|_| StatusCode::INTERNAL_SERVER_ERROR.with_new_flash(), "-"),
        (
            |flash| {
                flash.keep();
                flash.add("c", "2");
                "".removing_from_flash(["a", "c"])
            },
            "b=1 Ann",
        ),
    ];
    for (answer, next) in answers {
        for takes in [false, true] {
            let layer = layer();
            let act = post(move |flash: Flash| async move { answer(flash) });
            let app = Router::new().route("/act", act).route("/", get(page));
            let app = if takes { app.layer(from_fn(take)) } else { app };
            let client = client(app.layer(layer.clone()));
            client.enter(&TestSession::new(&layer).flash("a", "0").flash("b", "1").input(&[("name", "Ann")]));
            client.post("/act").await;
            assert_eq!(client.get("/").await.text(), next);
        }
    }
}

#[tokio::test]
async fn a_helper_removes_messages_also_where_no_handler_uses_the_flash() {
    for answer in [(|| "".with_new_flash()) as fn() -> Response, || "".removing_from_flash("a")] {
        let layer = layer();
        let client = client(Router::new().route("/", post(move || async move { answer() })).layer(layer.clone()));
        client.enter(&TestSession::new(&layer).flash("a", "0"));
        client.post("/").await;
        assert_eq!(client.cookie_names(), [""; 0]);
    }
}
