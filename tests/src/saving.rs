//! When a session is saved, when it is not, and what a failed save answers.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::Request,
    http::{Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
    routing::get,
};
use session_axum::{
    Error, ErrorKind, Flash, Session, SessionLayer, SessionResponseExt,
    testing::{Client, TestSession},
};
use tower::ServiceExt;

use crate::support::{
    app::{client, keys, layer, timed_layer},
    logs::Logs,
    watched::{Fault, Watched},
};

fn alice(layer: &SessionLayer) -> TestSession {
    TestSession::new(layer).insert("user", "alice").flash("success", "hi")
}

/// What `handler` makes of alice's session: the response's status, her keys, and whether her message is still there.
async fn after<H, T>(layer: SessionLayer, handler: H) -> (u16, Vec<String>, bool)
where
    H: axum::handler::Handler<T, ()>,
    T: 'static,
{
    let client = client(Router::new().route("/", get(handler)).layer(layer.clone()));
    client.enter(&alice(&layer));
    let status = client.get("/").await.status().as_u16();
    let session = TestSession::of_client(&layer, &client);
    let keys = session.keys().into_iter().map(str::to_owned).collect();
    (status, keys, session.messages().get("success") == Some("hi"))
}

#[tokio::test]
async fn a_route_that_touches_neither_session_nor_flash_answers_as_without_the_layer() {
    let app = || Router::new().route("/", get(|| async { ([("vary", "origin"), ("cache-control", "public")], "x") }));
    let cookies = alice(&layer()).request(Method::GET, "/").headers()[header::COOKIE].clone();
    let send = |app: Router| {
        let request = Request::get("/").header(header::COOKIE, &cookies).body(Body::empty()).unwrap();
        async move { app.oneshot(request).await.unwrap() }
    };
    let (bare, layered) = (send(app()).await, send(app().layer(layer())).await);
    assert_eq!(
        format!("{:?} {:?}", bare.status(), bare.headers()),
        format!("{:?} {:?}", layered.status(), layered.headers())
    );
    assert!(layered.extensions().is_empty() == bare.extensions().is_empty());
}

#[tokio::test]
async fn a_helper_that_changed_nothing_still_varies_by_the_cookie() {
    for helper in [|| "x".with_new_session(), || "x".removing_from_session(["user"])] {
        let client = client(Router::new().route("/", get(move || async move { helper() })).layer(layer()));
        let page = client.get("/").await;
        assert_eq!((page.set_cookies().len(), page.headers().get("vary").is_some()), (0, true));
    }
}

#[tokio::test]
async fn a_session_that_nobody_changed_is_not_saved_again() {
    async fn same(session: Session) -> Result<(), Error> {
        session.insert("user", "alice")?;
        session.insert("other", 1)?;
        session.remove("other");
        session.remove("nothing");
        Ok(())
    }
    let layer = layer();
    let client = client(Router::new().route("/", get(same)).layer(layer.clone()));
    client.enter(&TestSession::new(&layer).insert("user", "alice"));
    let page = client.get("/").await;
    assert_eq!((page.set_cookies().len(), &page.headers()["cache-control"]), (0, &"private".parse().unwrap()));
    assert_eq!(page.headers()["vary"], "Cookie");
}

#[tokio::test]
async fn a_5xx_keeps_the_flash_and_saves_nothing() {
    async fn fail(session: Session, flash: Flash) -> StatusCode {
        session.renew();
        session.insert("more", 1).unwrap();
        flash.error("never shown");
        assert_eq!(flash.get("success"), Some("hi"));
        StatusCode::BAD_GATEWAY
    }
    assert_eq!(after(layer(), fail).await, (502, vec!["user".to_owned()], true));
}

#[tokio::test]
async fn a_408_saves_what_a_5xx_saves() {
    async fn half(session: Session, flash: Flash) -> StatusCode {
        session.insert("half", true).unwrap();
        let _read = flash.get("success");
        StatusCode::REQUEST_TIMEOUT
    }
    async fn ends(session: Session) -> StatusCode {
        session.destroy();
        StatusCode::REQUEST_TIMEOUT
    }
    assert_eq!(after(layer(), half).await, (408, vec!["user".to_owned()], true));
    assert_eq!(after(layer(), ends).await, (408, vec![], true));
    assert_eq!(after(layer(), || async { StatusCode::REQUEST_TIMEOUT.with_new_session() }).await, (408, vec![], true));
}

#[tokio::test]
async fn a_5xx_extends_nothing() {
    let (layer, clock) = timed_layer();
    let fail = |_: Session| async { StatusCode::INTERNAL_SERVER_ERROR };
    let client = client(Router::new().route("/", get(fail)).layer(layer.clone()));
    client.enter(&alice(&layer));
    clock.advance(Duration::from_secs(12 * 60 * 60));
    assert_eq!(client.get("/").await.set_cookies(), [""; 0]);
}

#[tokio::test]
async fn a_5xx_still_destroys_and_still_obeys_the_response() {
    async fn destroy(session: Session) -> StatusCode {
        session.destroy();
        session.insert("more", 1).unwrap();
        StatusCode::INTERNAL_SERVER_ERROR
    }
    async fn helpers(session: Session) -> impl IntoResponse {
        session.insert("lost", 1).unwrap();
        StatusCode::INTERNAL_SERVER_ERROR.adding_to_session([("kept", 1)]).flashing(("error", "sorry"))
    }
    async fn own_handle(session: Session) -> impl IntoResponse {
        session.insert("kept", 1).unwrap();
        StatusCode::INTERNAL_SERVER_ERROR.with_session(session)
    }
    assert_eq!(after(layer(), destroy).await, (500, vec![], true));
    assert_eq!(after(layer(), helpers).await, (500, vec!["kept".to_owned(), "user".to_owned()], true));
    assert_eq!(after(layer(), own_handle).await, (500, vec!["kept".to_owned(), "user".to_owned()], true));
}

#[tokio::test]
async fn a_5xx_saves_where_the_layer_is_told_so() {
    async fn fail(session: Session) -> StatusCode {
        session.insert("more", 1).unwrap();
        StatusCode::INTERNAL_SERVER_ERROR
    }
    let layer = layer().save_on_server_error(true);
    assert_eq!(after(layer, fail).await, (500, vec!["more".to_owned(), "user".to_owned()], true));
}

#[tokio::test]
async fn a_4xx_saves_like_any_answer() {
    async fn refuse(session: Session) -> StatusCode {
        session.insert("more", 1).unwrap();
        StatusCode::NOT_FOUND
    }
    assert_eq!(after(layer(), refuse).await, (404, vec!["more".to_owned(), "user".to_owned()], true));
}

#[tokio::test]
async fn helpers_work_on_rejections_and_apply_in_their_order() {
    async fn rejected() -> Result<(), Response> {
        let response = (StatusCode::IM_A_TEAPOT, "no").into_response();
        Err(response.adding_to_session([("a", 1)]).with_new_session().adding_to_session([("b", 2)]))
    }
    assert_eq!(after(layer(), rejected).await, (418, vec!["b".to_owned()], true));
}

/// A part that fails: axum may skip what stands beside it in a tuple.
struct FailingPart;

impl IntoResponseParts for FailingPart {
    type Error = StatusCode;

    fn into_response_parts(self, _: ResponseParts) -> Result<ResponseParts, StatusCode> {
        Err(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Has no JSON text.
struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no text"))
    }
}

#[tokio::test]
async fn a_log_out_on_a_response_that_failed_is_still_a_log_out() {
    let logged_out = (500, vec![], true);
    assert_eq!(after(layer(), || async { Json(Unwritable).with_new_session() }).await, logged_out);
    assert_eq!(after(layer(), || async { (FailingPart, "ok").with_new_session() }).await, logged_out);
    let (status, keys, _) = after(layer(), || async { (FailingPart, "ok").adding_to_session(("b", 1)) }).await;
    assert_eq!((status, keys), (500, vec!["b".to_owned(), "user".to_owned()]));
}

/// Whether the response to a `handler` says `Clear-Site-Data` on a layer that was told so.
async fn clears<H, T>(layer: SessionLayer, handler: H) -> bool
where
    H: axum::handler::Handler<T, ()>,
    T: 'static,
{
    let layer = layer.clear_site_data(true);
    let client = client(Router::new().route("/", get(handler)).layer(layer.clone()));
    client.enter(&alice(&layer));
    client.get("/").await.headers().get("clear-site-data").is_some_and(|value| value == "\"cache\"")
}

#[tokio::test]
async fn a_log_out_clears_the_browsers_cache_where_the_layer_is_told_so() {
    async fn too_large(session: Session) -> impl IntoResponse {
        session.destroy();
        "".flashing(("error", "x".repeat(5_000)))
    }
    assert!(
        clears(layer(), |session: Session| async move {
            let _ = session.destroy();
        })
        .await
    );
    assert!(clears(layer(), || async { "Bye".with_new_session() }).await);
    assert!(clears(layer(), too_large).await, "the log-out holds although its message cannot be sent");
    assert!(!clears(layer(), |session: Session| async move { session.insert("n", 1) }).await);
    assert!(!clears(layer(), || async { "".flashing(("error", "x".repeat(5_000))) }).await, "a failure is no log-out");
    assert!(!clears(layer(), |session: Session| async move { session.renew() }).await);
}

#[tokio::test]
async fn a_log_out_that_the_store_did_not_carry_out_clears_no_cache() {
    for fault in [Fault::Refused, Fault::LostBefore] {
        let store = Watched::new();
        let log_out = {
            let store = store.clone();
            move |session: Session| async move {
                assert_eq!(session.len(), 1);
                store.fail(fault, 2);
                let _ = session.destroy();
            }
        };
        assert!(!clears(SessionLayer::stored(store, keys()), log_out).await, "{fault:?}");
    }
}

#[tokio::test]
async fn helpers_take_one_pair_or_several_in_any_form() {
    let keys = |response: fn() -> Response| async move { after(layer(), move || async move { response() }).await.1 };
    for response in [
        || "x".with_session(("a", 1)),
        || "x".with_session([("a", 1)]),
        || "x".with_session(vec![("a".to_owned(), 1)]),
        || "x".with_session(Some(("a", 1))),
        || "x".with_session(BTreeMap::from([("a", 1)])),
        || "x".with_session(HashMap::from([("a".to_owned(), 1)])),
        || "x".with_session((0..1).map(|n| ("a", n))),
        || "x".with_new_session().adding_to_session(("a", 1)),
        || "x".with_new_session().adding_to_session(Some(("a", 1))),
        || "x".with_new_session().adding_to_session(&HashMap::from([("a", 1)])),
        || "x".with_session([("a", 1), ("b", 2)]).removing_from_session("b"),
        || "x".with_session([("a", 1), ("b", 2)]).removing_from_session(["b"]),
        || "x".with_session([("a", 1), ("b", 2)]).removing_from_session(String::from("b")),
        || "x".with_session([("a", 1), ("b", 2)]).removing_from_session(["b", "c"]),
        || "x".with_session([("a", 1), ("b", 2)]).removing_from_session(vec![String::from("b")]),
        || "x".with_session([("a", 1), ("b", 2)]).removing_from_session(["b"].iter().copied()),
    ] as [fn() -> Response; 16]
    {
        assert_eq!(keys(response).await, ["a"]);
    }
    let none: Option<(&str, u8)> = None;
    assert_eq!(after(layer(), move || async move { "x".adding_to_session(none) }).await.1, ["user"]);
}

#[tokio::test]
async fn flash_helpers_take_one_pair_or_several_in_any_form() {
    async fn show(flash: Flash) -> String {
        flash.keep_only("info");
        let errors: Vec<_> = flash.errors().get("info").map(str::to_owned).into_iter().collect();
        format!("{} {}", flash.get_all("info").join(" "), errors.join(" "))
    }
    for response in [
        || "x".flashing(("info", "a")),
        || "x".flashing([("info", "a")]),
        || "x".flashing(Some(("info", String::from("a")))),
        || "x".flashing(BTreeMap::from([("info", "a")])),
        || "x".flashing(["a"].iter().map(|text| ("info", *text))),
        || "x".with_errors(("info", "a")),
        || "x".with_errors(vec![("info".to_owned(), "a")]),
        || "x".with_errors(Some(("info", "a"))),
        || "x".with_errors(HashMap::from([("info", "a")])),
    ] as [fn() -> Response; 9]
    {
        let app = Router::new().route("/", get(move || async move { response() })).route("/show", get(show));
        let client = client(app.layer(layer()));
        client.get("/").await;
        assert_eq!(client.get("/show").await.text().trim(), "a");
    }
}

#[tokio::test]
async fn helpers_are_parts_of_a_response_too() {
    use session_axum::response::{AddingToSession, Flashing, RemovingFromSession};
    async fn parts() -> impl IntoResponse {
        (AddingToSession::new([("a", 1)]), RemovingFromSession::new(["user"]), Flashing::new(("info", "x")), "ok")
    }
    assert_eq!(after(layer(), parts).await, (200, vec!["a".to_owned()], true));
}

#[tokio::test]
async fn an_error_that_a_handler_returns_goes_to_on_error_and_saves_nothing() {
    async fn wrong(session: Session) -> Result<(), Error> {
        session.insert("more", 1)?;
        session.get::<u8>("user").map(drop)
    }
    let told = layer().on_error(|error| {
        assert_eq!(error.kind(), &ErrorKind::Decode { key: "user".into() });
        StatusCode::IM_A_TEAPOT.into_response()
    });
    assert_eq!(after(told, wrong).await, (418, vec!["user".to_owned()], true));
    let page = client(Router::new().route("/", get(wrong)).layer(layer()));
    page.enter(&alice(&layer()));
    let answer = page.get("/").await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.text(), "Something went wrong with your session. Please try again.");
}

#[tokio::test]
async fn name_and_value_of_4096_bytes_are_sent_and_4097_are_the_error() {
    // 14 for the name, 7 before the body and 44 behind it: 4031 characters are 3023 bytes, less 32 before the payload.
    const FITS: usize = 3_023 - 32 - r#"{"big":"","user":"alice"}"#.len();
    async fn fill(session: Session, big: &str) -> Result<(), Error> {
        session.insert("big", big)?;
        session.save().await
    }
    let app = Router::new()
        .route("/fits", get(|session: Session| async { fill(session, &"x".repeat(FITS)).await }))
        .route("/grows", get(|session: Session| async move { session.insert("big", "x".repeat(FITS + 1)) }))
        .route("/asks", get(|session: Session| async { fill(session, &"x".repeat(FITS + 1)).await }));
    let layer = layer();
    let client = client(app.layer(layer.clone()));
    client.enter(&alice(&layer));
    let size = |client: &Client| "__Host-session".len() + client.cookie("__Host-session").unwrap().len();
    client.get("/fits").await;
    assert_eq!(size(&client), 4_096);
    let before = client.cookie("__Host-session");
    for path in ["/grows", "/asks"] {
        let page = client.get(path).await;
        assert_eq!((page.status(), page.set_cookies().len()), (StatusCode::INTERNAL_SERVER_ERROR, 0));
        assert_eq!(client.cookie("__Host-session"), before);
    }
}

#[tokio::test]
async fn an_end_stays_an_end_when_the_new_session_cannot_be_saved() {
    async fn too_much(session: Session) -> Result<(), Error> {
        session.destroy();
        session.insert("big", "x".repeat(5_000))
    }
    assert_eq!(after(layer(), too_much).await, (500, vec![], true));
}

#[tokio::test]
async fn a_handler_that_panics_saves_nothing() {
    async fn panics(session: Session, flash: Flash) -> &'static str {
        session.insert("more", 1).unwrap();
        let _read = flash.get("success");
        panic!("on purpose")
    }
    async fn catches(request: Request, next: Next) -> Response {
        let task = tokio::spawn(next.run(request));
        task.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
    }
    let layer = layer();
    for app in [
        Router::new().route("/", get(panics)).layer(layer.clone()).layer(middleware::from_fn(catches)),
        Router::new().route("/", get(panics)).layer(middleware::from_fn(catches)).layer(layer.clone()),
    ] {
        let client = client(app);
        client.enter(&alice(&layer));
        let page = client.get("/").await;
        assert_eq!((page.status().as_u16(), page.set_cookies().len()), (500, 0));
    }
}

#[tokio::test]
async fn a_handle_that_is_used_after_the_response_gets_an_error() {
    let (send, receive) = tokio::sync::oneshot::channel::<Session>();
    let send = std::sync::Arc::new(std::sync::Mutex::new(Some(send)));
    let handler = move |session: Session| async move {
        session.insert("kept", 1).unwrap();
        send.lock().unwrap().take().unwrap().send(session).unwrap();
    };
    client(Router::new().route("/", get(handler)).layer(layer())).get("/").await;
    let late = receive.await.unwrap();
    assert_eq!(late.keys(), ["kept"], "what was staged can still be read");
    let (logs, _guard) = Logs::capture();
    assert_eq!(late.insert("a", 1).unwrap_err().kind(), &ErrorKind::Closed);
    assert_eq!(late.save().await.unwrap_err().kind(), &ErrorKind::Closed);
    assert_eq!(logs.take(), [""; 0]);
    late.clear();
    let lines = logs.take();
    assert!(lines.len() == 1 && lines[0].contains("a change was dropped"), "{lines:?}");
}

#[tokio::test]
async fn a_message_can_be_read_after_the_response_and_the_log_says_so() {
    let (send, receive) = tokio::sync::oneshot::channel::<Flash>();
    let send = std::sync::Arc::new(std::sync::Mutex::new(Some(send)));
    let handler = move |flash: Flash| async move { drop(send.lock().unwrap().take().unwrap().send(flash)) };
    let layer = layer();
    let client = client(Router::new().route("/", get(handler)).layer(layer.clone()));
    client.enter(&alice(&layer));
    client.get("/").await;
    let late = receive.await.unwrap();
    let (logs, _guard) = Logs::capture();
    assert_eq!((late.peek("success"), logs.take()), (Some("hi"), vec![]));
    assert_eq!(late.get("success"), Some("hi"));
    assert!(matches!(logs.take().as_slice(), [line] if line.contains("read after the response had been sent")));
}

#[tokio::test]
async fn a_streaming_body_cannot_change_the_session_any_more() {
    async fn stream(session: Session) -> Body {
        let chunk = async move { Ok::<_, Infallible>(format!("{:?}", session.insert("a", 1).is_err())) };
        Body::from_stream(futures_util::stream::once(chunk))
    }
    let page = client(Router::new().route("/", get(stream)).layer(layer())).get("/").await;
    assert_eq!((page.text().as_str(), page.set_cookies().len()), ("true", 0));
}

#[tokio::test]
async fn middleware_and_handler_see_one_session() {
    async fn before(session: Session, request: Request, next: Next) -> Response {
        session.insert("middleware", 1).unwrap();
        let response = next.run(request).await;
        assert!(session.contains("handler"));
        session.insert("after", 1).unwrap();
        response
    }
    async fn handler(session: Session, again: Session) -> String {
        session.insert("handler", 1).unwrap();
        format!("{:?}", again.keys())
    }
    let layer = layer();
    let app = Router::new().route("/", get(handler)).layer(middleware::from_fn(before)).layer(layer.clone());
    let client = client(app);
    assert_eq!(client.get("/").await.text(), r#"["handler", "middleware"]"#);
    assert_eq!(TestSession::of_client(&layer, &client).keys(), ["after", "handler", "middleware"]);
}

#[tokio::test]
async fn a_session_without_entries_is_no_session() {
    async fn empty(session: Session) {
        session.remove("user");
    }
    async fn nothing(session: Session) {
        session.renew();
        session.set_lifetime(Duration::from_secs(60));
        session.clear();
    }
    let layer = layer();
    let app = Router::new().route("/empty", get(empty)).route("/nothing", get(nothing)).layer(layer.clone());
    let stranger = client(app.clone());
    assert_eq!(stranger.get("/nothing").await.set_cookies(), [""; 0]);
    for path in ["/empty", "/nothing"] {
        let client = client(app.clone());
        client.enter(&TestSession::new(&layer).insert("user", "alice"));
        client.get(path).await;
        assert_eq!(client.cookie_names(), [""; 0], "{path}");
    }
}

#[tokio::test]
async fn asking_for_its_id_makes_a_session_exist_and_keep_it() {
    async fn id(session: Session) -> String {
        session.id().to_string()
    }
    async fn fill(session: Session) -> Result<String, Error> {
        session.insert("a", 1)?;
        session.remove("a");
        Ok(session.id().to_string())
    }
    let client = client(Router::new().route("/", get(id)).route("/fill", get(fill)).layer(layer()));
    let first = client.get("/").await.text();
    assert_eq!(first.len(), 22);
    assert_eq!(client.get("/").await.text(), first);
    assert_eq!(client.get("/fill").await.text(), first);
    assert_eq!(client.get("/").await.text(), first);
}

#[tokio::test]
async fn destroying_begins_another_session_with_another_id() {
    async fn again(session: Session) -> Result<String, Error> {
        let before = session.id();
        session.destroy();
        session.insert("a", 1)?;
        Ok((before != session.id()).to_string())
    }
    let layer = layer();
    let client = client(Router::new().route("/", get(again)).layer(layer.clone()));
    let alice = alice(&layer);
    client.enter(&alice);
    assert_eq!(client.get("/").await.text(), "true");
    let after = TestSession::of_client(&layer, &client);
    assert_eq!((after.keys(), after.id() == alice.id()), (vec!["a"], false));
    assert_eq!(after.messages().get("success"), Some("hi"));
}

#[tokio::test]
async fn keys_that_begin_with_a_dollar_are_ours() {
    async fn reserved(session: Session) -> Result<String, Error> {
        session.set_lifetime(Duration::from_secs(60));
        let refused = session.insert("$", 1).unwrap_err();
        assert_eq!(refused.kind(), &ErrorKind::ReservedKey { key: "$".into() });
        assert!(session.update("$x", |_: Option<u8>| 1).await.is_err());
        Ok(format!("{:?} {:?} {}", session.get::<u8>("$")?, session.keys(), session.remove("$")))
    }
    async fn helper() -> impl IntoResponse {
        "ok".adding_to_session([("$", 1)])
    }
    let client = client(Router::new().route("/", get(reserved)).route("/helper", get(helper)).layer(layer()));
    assert_eq!(client.get("/").await.text(), "None [] false");
    assert_eq!(client.get("/helper").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_session_of_another_request_is_copied_and_gets_a_new_id() {
    let layer = layer();
    let (send, receive) = tokio::sync::oneshot::channel::<Session>();
    let send = std::sync::Arc::new(std::sync::Mutex::new(Some(send)));
    let give = move |session: Session| async move {
        send.lock().unwrap().take().unwrap().send(session).unwrap();
    };
    let first = client(Router::new().route("/", get(give)).layer(layer.clone()));
    let alice = alice(&layer);
    first.enter(&alice);
    first.get("/").await;
    let session = receive.await.unwrap();
    let second =
        client(Router::new().route("/", get(move || async move { "x".with_session(session) })).layer(layer.clone()));
    second.get("/").await;
    let copy = TestSession::of_client(&layer, &second);
    assert_eq!((copy.keys(), copy.id() == alice.id()), (vec!["user"], false));
}

#[tokio::test]
async fn concurrent_updates_within_one_request_all_count() {
    async fn count(session: Session) -> Result<String, Error> {
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let session = session.clone();
                tokio::spawn(async move { session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap()?;
        }
        Ok(session.get::<u32>("n")?.unwrap().to_string())
    }
    assert_eq!(client(Router::new().route("/", get(count)).layer(layer())).get("/").await.text(), "64");
}

#[tokio::test]
async fn an_encrypted_cookie_tells_nothing() {
    let layer = SessionLayer::encrypted(crate::support::app::keys());
    let (one, two) = (alice(&layer).cookies(), alice(&layer).cookies());
    for (name, value) in one.iter().chain(&two) {
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, &value[7..]).unwrap();
        assert!(!bytes.windows(5).any(|part| part == b"alice"), "{name}");
    }
    assert_ne!(one[0].1, two[0].1, "each has a nonce of its own");
}
