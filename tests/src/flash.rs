//! Which page shows a message, and that it is shown once: in both modes, whatever comes in between.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{Next, from_fn},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use futures_util::{future::join_all, stream};
use proptest::prelude::*;
use session_axum::{
    Error, Flash, FlashMode, Keys, Session, SessionLayer, SessionResponseExt,
    testing::{Client, ManualClock, TestResponse, TestSession},
};

use crate::support::{
    app::{OLD_SECRET, client, keys, layer, timed_layer},
    logs::Logs,
    watched::{Fault, Watched},
};

mod log_outs;
mod messages_with_data;
mod toasts;

const SAVED: &str = "success=Saved.";

fn shown(flash: &Flash) -> String {
    flash.iter().map(|(key, text)| format!("{key}={text}")).collect::<Vec<_>>().join(" ")
}

async fn page(flash: Flash) -> String {
    shown(&flash)
}

async fn one_key(flash: Flash, Path(key): Path<String>) -> String {
    flash.get_all(&key).join(" ")
}

async fn save() -> impl IntoResponse {
    Redirect::to("/").flashing([("success", "Saved.")])
}

async fn flash_text(Path((key, text)): Path<(String, String)>) -> impl IntoResponse {
    tokio::task::yield_now().await;
    Redirect::to("/").flashing([(key, text)])
}

/// Reads all messages, and answers something that shows none.
async fn read_and_answer(flash: Flash, Path(status): Path<u16>) -> StatusCode {
    shown(&flash);
    StatusCode::from_u16(status).unwrap()
}

async fn read_and_lead_away(flash: Flash, Path(header): Path<String>) -> impl IntoResponse {
    ([(HeaderName::try_from(header).unwrap(), "/")], shown(&flash))
}

async fn read_and_send(flash: Flash, Path(kind): Path<String>) -> Body {
    shown(&flash);
    let chunks = if kind == "streamed" { vec!["page"] } else { vec![] };
    let stream = Body::from_stream(stream::iter(chunks.into_iter().map(Ok::<_, Infallible>)));
    if kind == "empty" { Body::from("") } else { stream }
}

async fn hop(flash: Flash) -> Redirect {
    shown(&flash);
    Redirect::to("/")
}

async fn never(flash: Flash) -> String {
    let text = shown(&flash);
    std::future::pending::<()>().await;
    text
}

async fn not_found(flash: Flash) -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, shown(&flash))
}

fn app(layer: &SessionLayer) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/key/{key}", get(one_key))
        .route("/save", post(save))
        .route("/flash/{key}/{text}", post(flash_text))
        .route("/status/{status}", get(read_and_answer))
        .route("/header/{header}", get(read_and_lead_away))
        .route("/body/{kind}", get(read_and_send))
        .route("/hop", get(hop))
        .route("/hop-without-reading", get(|| async { Redirect::to("/hop") }))
        .route("/never", get(never))
        .route("/image", get(|| async { "pixels" }))
        .fallback(not_found)
        .layer(layer.clone())
}

/// A client that has just saved something.
async fn saved(mode: FlashMode) -> Client {
    let client = client(app(&layer().flash_mode(mode)));
    assert_eq!(client.post("/save").await.status(), StatusCode::SEE_OTHER);
    client
}

/// What a request shows that comes first, and the page twice after it.
async fn pages_after(mode: FlashMode, method: Method, path: &str, headers: &[(&str, &str)]) -> [String; 3] {
    let client = saved(mode).await;
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let first = client.send(request.body(Body::empty()).unwrap()).await.text();
    [first, client.get("/").await.text(), client.get("/").await.text().to_owned()]
}

async fn pages_after_get(mode: FlashMode, path: &str) -> [String; 3] {
    pages_after(mode, Method::GET, path, &[]).await
}

use FlashMode::{NextRequest, UntilRead};

#[tokio::test]
async fn the_page_after_the_redirect_shows_it_and_no_other() {
    for mode in [UntilRead, NextRequest] {
        assert_eq!(pages_after_get(mode, "/").await, [SAVED, "", ""], "{mode:?}");
    }
}

/// From the fifth response on, the cookies of the earlier ones are joined.
#[tokio::test]
async fn messages_of_one_second_are_shown_in_the_order_of_their_responses() {
    let (layer, _clock) = timed_layer();
    for texts in [["one", "two"].as_slice(), &["one", "two", "three", "four", "five", "six", "seven"]] {
        for _ in 0..16 {
            let client = client(app(&layer));
            for text in texts {
                client.post(&format!("/flash/info/{text}")).await;
            }
            assert_eq!(client.get("/key/info").await.text(), texts.join(" "));
        }
    }
}

#[tokio::test]
async fn a_chain_of_redirects_keeps_it_for_its_end() {
    for path in ["/hop", "/hop-without-reading", "/status/301", "/status/307"] {
        assert_eq!(pages_after_get(UntilRead, path).await, ["", SAVED, ""], "{path}");
        assert_eq!(pages_after_get(NextRequest, path).await, ["", "", ""], "{path}");
    }
    let client = saved(UntilRead).await;
    client.get("/hop-without-reading").await;
    client.get("/hop").await;
    assert_eq!([client.get("/").await.text(), client.get("/").await.text()], [SAVED, ""]);
}

#[tokio::test]
async fn a_304_keeps_it() {
    assert_eq!(pages_after_get(UntilRead, "/status/304").await, ["", SAVED, ""]);
    assert_eq!(pages_after_get(NextRequest, "/status/304").await, ["", "", ""]);
}

#[tokio::test]
async fn a_prefetch_neither_shows_nor_takes_it() {
    let headers = [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("sec-purpose", "prefetch;anonymous-client-ip"),
        ("sec-purpose", "prerender; sw=1"),
        ("x-sec-purpose", "prefetch"),
        ("x-sec-purpose", "PREFETCH ; anonymous-client-ip"),
        ("purpose", "prefetch"),
        ("purpose", "Prefetch"),
        ("purpose", "  preview"),
        ("x-purpose", "preview"),
        ("x-purpose", "instant, preview"),
        ("x-moz", "prefetch"),
        ("hx-preloaded", "true"),
        ("hx-preloaded", "True"),
    ];
    for header in headers {
        assert_eq!(pages_after(UntilRead, Method::GET, "/", &[header]).await, ["", SAVED, ""], "{header:?}");
        assert_eq!(pages_after(NextRequest, Method::GET, "/", &[header]).await, [SAVED, "", ""], "{header:?}");
    }
    let second = [("purpose", "navigate"), ("purpose", "prefetch")];
    assert_eq!(pages_after(UntilRead, Method::GET, "/", &second).await, ["", SAVED, ""]);
}

#[tokio::test]
async fn a_purpose_that_is_no_prefetch_is_an_ordinary_page() {
    let headers = [
        ("sec-purpose", "navigate"),
        ("sec-purpose", "prefetching"),
        ("sec-purpose", "no-prefetch"),
        ("purpose", ""),
        ("x-moz", "\u{e9}"),
        ("sec-fetch-mode", "prefetch"),
        ("hx-preloaded", "false"),
        ("hx-preloaded", "prefetch"),
    ];
    for header in headers {
        assert_eq!(pages_after(UntilRead, Method::GET, "/", &[header]).await, [SAVED, "", ""], "{header:?}");
    }
}

#[tokio::test]
async fn a_prefetch_may_add_messages_and_discards_none() {
    async fn discard_and_add(flash: Flash) -> String {
        flash.discard();
        flash.keep_only(["none"]);
        flash.info("Prepared.");
        shown(&flash)
    }
    let layer = layer();
    let client = client(app(&layer).route("/act", get(discard_and_add).layer(layer.clone())));
    client.post("/save").await;
    let ahead = Request::builder().uri("/act").header("x-moz", "prefetch").body(Body::empty()).unwrap();
    assert_eq!(client.send(ahead).await.text(), "");
    assert_eq!(client.get("/key/success").await.text(), "Saved.");
    assert_eq!(client.get("/").await.text(), "info=Prepared.");
}

#[tokio::test]
async fn a_head_keeps_it() {
    assert_eq!(pages_after(UntilRead, Method::HEAD, "/", &[]).await, ["", SAVED, ""]);
    assert_eq!(pages_after(NextRequest, Method::HEAD, "/", &[]).await, ["", "", ""]);
}

#[tokio::test]
async fn an_aborted_request_leaves_it_for_the_next() {
    for mode in [UntilRead, NextRequest] {
        let client = saved(mode).await;
        assert!(tokio::time::timeout(Duration::from_millis(20), client.get("/never")).await.is_err());
        assert_eq!([client.get("/").await.text(), client.get("/").await.text()], [SAVED, ""], "{mode:?}");
    }
}

#[tokio::test]
async fn a_404_page_that_shows_it_takes_it() {
    for mode in [UntilRead, NextRequest] {
        assert_eq!(pages_after_get(mode, "/nowhere").await, [SAVED, "", ""], "{mode:?}");
    }
}

#[tokio::test]
async fn a_500_keeps_it() {
    for path in ["/status/500", "/status/503"] {
        assert_eq!(pages_after_get(UntilRead, path).await, ["", SAVED, ""], "{path}");
        assert_eq!(pages_after_get(NextRequest, path).await, ["", "", ""], "{path}");
    }
}

#[tokio::test]
async fn an_answer_without_a_body_keeps_it() {
    for path in ["/status/204", "/status/205"] {
        assert_eq!(pages_after_get(UntilRead, path).await, ["", SAVED, ""], "{path}");
        assert_eq!(pages_after_get(NextRequest, path).await, ["", "", ""], "{path}");
    }
}

#[tokio::test]
async fn an_empty_body_keeps_it() {
    for path in ["/status/200", "/status/404", "/body/empty"] {
        assert_eq!(pages_after_get(UntilRead, path).await, ["", SAVED, ""], "{path}");
        assert_eq!(pages_after_get(NextRequest, path).await, ["", "", ""], "{path}");
    }
}

#[tokio::test]
async fn a_streamed_body_takes_it() {
    assert_eq!(pages_after_get(UntilRead, "/body/streamed").await, ["page", "", ""]);
}

#[tokio::test]
async fn a_read_in_a_streamed_body_is_too_late_and_is_logged_once_a_minute() {
    type Read = fn(&Flash) -> String;
    let reads: [Read; 4] = [
        |flash| shown(flash),
        |flash| flash.get("success").unwrap_or_default().to_owned(),
        |flash| flash.input().get("name").unwrap_or_default().to_owned(),
        |flash| flash.errors().get("name").unwrap_or_default().to_owned(),
    ];
    for (read, expected) in reads.into_iter().zip([SAVED, "Saved.", "Ann", "is taken"]) {
        let (layer, clock) = timed_layer();
        let stream = move |flash: Flash| async move {
            Body::from_stream(stream::once(async move { Ok::<_, Infallible>(read(&flash)) }))
        };
        let client = client(Router::new().route("/", get(stream)).layer(layer.clone()));
        let flash = TestSession::new(&layer).flash("success", "Saved.");
        client.enter(&flash.input(&[("name", "Ann")]).errors([("name", "is taken")]));
        let (logs, _guard) = Logs::capture();
        for lines in [1, 0] {
            assert_eq!(client.get("/").await.text(), expected);
            let logs = logs.take();
            let late = logs.iter().filter(|line| line.contains("read after the response had been sent"));
            assert_eq!(late.count(), lines, "{logs:?}");
        }
        clock.advance(Duration::from_secs(60));
        client.get("/").await;
        assert_eq!(logs.take().len(), 1);
    }
}

#[tokio::test]
async fn a_streamed_body_may_use_what_was_read_kept_or_removed_before() {
    type Act = fn(&Flash);
    let acts: [(FlashMode, Act); 4] = [
        (UntilRead, |flash| drop(flash.messages())),
        (UntilRead, Flash::keep),
        (UntilRead, Flash::discard),
        (NextRequest, |_| {}),
    ];
    for (mode, act) in acts {
        let layer = layer().flash_mode(mode);
        let stream = move |flash: Flash| async move {
            act(&flash);
            Body::from_stream(stream::once(async move { Ok::<_, Infallible>(shown(&flash)) }))
        };
        let client = client(Router::new().route("/", get(stream)).layer(layer.clone()));
        client.enter(&TestSession::new(&layer).flash("success", "Saved."));
        let (logs, _guard) = Logs::capture();
        assert_eq!(client.get("/").await.text(), SAVED);
        assert_eq!(logs.take(), [""; 0], "{mode:?}");
    }
}

#[tokio::test]
async fn what_reads_varies_by_the_cookie_in_both_modes_and_nothing_else_does() {
    for mode in [UntilRead, NextRequest] {
        let layer = layer().flash_mode(mode);
        let app = Router::new()
            .route("/session", get(|session: Session| async move { session.is_empty().to_string() }))
            .route("/flash", get(|flash: Flash| async move { flash.is_empty().to_string() }))
            .route("/neither", get(|| async { "true" }))
            .layer(layer.clone());
        for (path, varies) in [("/session", true), ("/flash", true), ("/neither", false)] {
            let page = client(app.clone()).get(path).await;
            assert_eq!(page.text(), "true");
            assert_eq!(page.headers().get("vary").is_some_and(|vary| vary == "Cookie"), varies, "{mode:?}, {path}");
        }
    }
}

#[tokio::test]
async fn messages_are_only_verified_for_a_handler_that_uses_them() {
    let other_secret = SessionLayer::signed(Keys::generate());
    let former = || SessionLayer::signed(Keys::new(OLD_SECRET).unwrap()).name("former").unwrap();
    let until = SystemTime::now() + Duration::from_secs(60);
    for layer in [layer(), layer().migrating_from(former(), until)] {
        let app = Router::new()
            .route("/uses", get(|flash: Flash| async move { shown(&flash) }))
            .route("/reads-the-session", get(|session: Session| async move { session.insert("n", session.len()) }))
            .route("/does-not", get(|| async {}))
            .layer(layer);
        for (path, refused) in [("/uses", 1), ("/reads-the-session", 0), ("/does-not", 0)] {
            let client = client(app.clone());
            client.enter(&TestSession::new(&other_secret).flash("success", "Saved."));
            let (logs, _guard) = Logs::capture();
            assert_eq!(client.get(path).await.text(), "", "{path}");
            let lines = logs.take();
            let lines = lines.iter().filter(|line| line.contains("session.refused"));
            assert_eq!(lines.count(), refused, "{path}");
        }
    }
}

#[tokio::test]
async fn a_redirect_by_a_header_of_htmx_keeps_it() {
    for header in ["hx-redirect", "hx-location", "hx-refresh", "HX-Location"] {
        let path = format!("/header/{header}");
        assert_eq!(pages_after_get(UntilRead, &path).await, [SAVED, SAVED, ""], "{path}");
        assert_eq!(pages_after_get(NextRequest, &path).await, [SAVED, "", ""], "{path}");
    }
    assert_eq!(pages_after_get(UntilRead, "/header/hx-push-url").await, [SAVED, "", ""]);
}

#[tokio::test]
async fn a_message_beside_a_redirect_by_header_joins_the_pending_one() {
    async fn layout(flash: Flash, request: Request, next: Next) -> Response {
        let _ = flash.messages().is_empty();
        next.run(request).await
    }
    async fn delete(flash: Flash) -> impl IntoResponse {
        flash.success("Deleted.");
        ([("hx-redirect", "/")], "Deleted")
    }
    let (layer, clock) = timed_layer();
    let delete = post(delete).layer(from_fn(layout));
    let client =
        client(Router::new().route("/", get(page)).route("/save", post(save)).route("/d", delete).layer(layer));
    client.post("/save").await;
    clock.advance(Duration::from_secs(1));
    client.post("/d").await;
    assert_eq!(client.get("/").await.text(), "success=Saved. success=Deleted.");
    assert_eq!(client.get("/").await.text(), "");
}

#[tokio::test]
async fn what_does_not_read_it_keeps_it() {
    assert_eq!(pages_after_get(UntilRead, "/image").await, ["pixels", SAVED, ""]);
    assert_eq!(pages_after_get(NextRequest, "/image").await, ["pixels", "", ""]);
}

#[tokio::test]
async fn under_next_request_any_response_takes_it() {
    async fn read(session: Session) -> String {
        session.keys().join(" ")
    }
    async fn write(session: Session) -> Result<(), Error> {
        session.insert("a", 1)
    }
    async fn log_out(session: Session) {
        session.destroy();
    }
    async fn fail() -> Response {
        "".adding_to_session(("$", 1))
    }
    for path in ["/session", "/write", "/log-out", "/new", "/fail", "/image", "/status/500", "/missing"] {
        for has_session in [false, true] {
            let layer = layer().flash_mode(NextRequest);
            let own = Router::new().route("/session", get(read)).route("/write", get(write));
            let own = own
                .route("/log-out", get(log_out))
                .route("/fail", get(fail))
                .route("/new", get(|| async { "".with_new_session() }));
            let client = client(app(&layer).merge(own.layer(layer.clone())));
            let flash = TestSession::new(&layer).flash("success", "Saved.");
            client.enter(&if has_session { flash.insert("user", "ada") } else { flash });
            let first = client.get(path).await;
            let told = first.headers().get(header::CACHE_CONTROL).map(HeaderValue::as_bytes);
            assert_eq!(told, Some(&b"no-store"[..]), "{path} {has_session}");
            assert_eq!(client.get("/").await.text(), "", "{path} {has_session}");
        }
    }
}

#[tokio::test]
async fn under_next_request_a_response_without_messages_is_left_alone() {
    let client = client(app(&layer().flash_mode(NextRequest)));
    client.set_cookie("unrelated", "x");
    assert_eq!(client.get("/image").await.headers().get(header::VARY), None);
}

#[tokio::test]
async fn a_failing_store_keeps_no_message_under_next_request() {
    let store = Watched::new();
    let layer = SessionLayer::stored(store.clone(), keys()).flash_mode(NextRequest);
    let read = get(|session: Session| async move { session.len().to_string() });
    let client = client(Router::new().route("/", get(page)).route("/session", read).layer(layer.clone()));
    client.enter(&TestSession::new(&layer).flash("success", "Saved.").insert("user", "ada"));
    store.fail(Fault::LostBefore, 9);
    assert_eq!(client.get("/session").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(client.get("/").await.text(), "");
}

#[tokio::test]
async fn the_back_button_asks_again_and_does_not_show_it_again() {
    for mode in [UntilRead, NextRequest] {
        let client = saved(mode).await;
        let page = client.get("/").await;
        assert_eq!(
            (page.text().as_str(), &page.headers()[header::CACHE_CONTROL]),
            (SAVED, &"no-store".parse().unwrap())
        );
        assert_eq!([client.get("/image").await.text(), client.get("/").await.text()], ["pixels", ""], "{mode:?}");
    }
}

#[tokio::test]
async fn a_double_submit_shows_each_answer_once_on_one_page() {
    let client = saved(UntilRead).await;
    client.post("/save").await;
    assert_eq!(client.get("/key/success").await.text(), "Saved. Saved.");
    assert_eq!(client.get("/").await.text(), "");

    let client = saved(NextRequest).await;
    client.post("/save").await;
    assert_eq!([client.get("/").await.text(), client.get("/").await.text()], [SAVED, ""]);
}

#[tokio::test]
async fn two_tabs_lose_nothing_and_show_nothing_twice() {
    let (layer, clock) = timed_layer();
    let one = client(app(&layer));
    let two = one.clone();
    one.post("/flash/success/one").await;
    clock.advance(Duration::from_secs(1));
    two.post("/flash/success/two").await;
    assert_eq!([one.get("/").await.text(), two.get("/").await.text()], ["success=one success=two", ""]);

    let one = client(app(&layer.flash_mode(NextRequest)));
    let two = one.clone();
    one.post("/flash/success/one").await;
    two.post("/flash/success/two").await;
    assert_eq!([one.get("/").await.text(), two.get("/").await.text()], ["success=two", ""]);
}

#[tokio::test]
async fn tabs_that_read_different_keys_do_not_take_each_others() {
    let client = client(app(&layer()));
    client.post("/flash/cart/one").await;
    client.post("/flash/mail/two").await;
    assert_eq!([client.get("/key/mail").await.text(), client.get("/key/mail").await.text()], ["two", ""]);
    assert_eq!([client.get("/key/cart").await.text(), client.get("/key/cart").await.text()], ["one", ""]);
    assert_eq!(client.cookie_names(), [""; 0]);
}

#[tokio::test]
async fn five_fetches_beside_a_page_leave_it_to_the_page() {
    let client = saved(UntilRead).await;
    let fetches = ["/image", "/status/204", "/image", "/", "/status/204"];
    let texts = join_all(fetches.map(|path| client.get(path))).await;
    assert_eq!(texts.iter().map(TestResponse::text).collect::<Vec<_>>(), ["pixels", "", "pixels", SAVED, ""]);
    assert_eq!(client.get("/").await.text(), "");
}

#[tokio::test]
async fn of_five_fetches_under_next_request_the_first_response_takes_it() {
    let client = saved(NextRequest).await;
    let fetches = ["/image", "/status/204", "/image", "/image", "/status/204"];
    join_all(fetches.map(|path| client.get(path))).await;
    assert_eq!(client.get("/").await.text(), "");
}

#[tokio::test]
async fn five_fetches_at_once_that_flash_lose_nothing() {
    for mode in [UntilRead, NextRequest] {
        let client = client(app(&layer().flash_mode(mode)));
        let posts = ["/flash/k/a", "/flash/k/b", "/flash/k/c", "/flash/k/d", "/flash/k/e"];
        join_all(posts.map(|path| client.post(path))).await;
        assert_eq!(client.cookie_names().len(), 5);
        let mut texts: Vec<_> = client.get("/key/k").await.text().split(' ').map(str::to_owned).collect();
        texts.sort();
        assert_eq!((texts.join(" ").as_str(), client.get("/").await.text().as_str()), ("a b c d e", ""), "{mode:?}");
    }
}

async fn add(client: &Client, clock: &ManualClock, key: &str, text: &str) {
    clock.advance(Duration::from_secs(1));
    client.post(&format!("/flash/{key}/{text}")).await;
}

#[tokio::test]
async fn many_batches_become_one_and_keep_their_order() {
    let (layer, clock) = timed_layer();
    let client = client(app(&layer));
    for number in 1..=12 {
        add(&client, &clock, "n", &number.to_string()).await;
        assert!(client.cookie_names().len() <= 5, "{:?}", client.cookie_names());
    }
    assert_eq!(client.get("/key/n").await.text(), "1 2 3 4 5 6 7 8 9 10 11 12");
    assert_eq!(client.cookie_names(), [""; 0]);
}

#[tokio::test]
async fn eight_batches_are_opened_and_the_others_wait() {
    let (layer, _) = timed_layer();
    let client = client(app(&layer));
    for number in 0..10 {
        client.enter(&TestSession::new(&layer).flash("n", number.to_string()));
    }
    let mut all = Vec::new();
    for expected in [8, 2, 0] {
        let page = client.get("/key/n").await;
        let texts: Vec<_> = page.text().split_whitespace().map(str::to_owned).collect();
        assert_eq!(texts.len(), expected);
        all.extend(texts);
    }
    all.sort();
    assert_eq!(all.join(""), "0123456789");
}

fn flash_bytes(client: &Client) -> usize {
    client.cookie_names().iter().map(|name| name.len() + client.cookie(name).unwrap().len()).sum()
}

#[tokio::test]
async fn all_together_stay_small_and_the_oldest_goes_first() {
    let (logs, _guard) = Logs::capture();
    let (layer, clock) = timed_layer();
    let client = client(app(&layer));
    for letter in ["a", "b", "c", "d"] {
        add(&client, &clock, letter, &letter.repeat(1_000)).await;
        assert!(flash_bytes(&client) <= 4096);
    }
    let logs = logs.take();
    assert!(logs.iter().any(|line| line.contains("dropped to make room")), "{logs:?}");
    assert!(!logs.iter().any(|line| line.contains("aaaa")), "{logs:?}");
    let kept = client.get("/").await.text();
    assert_eq!(kept, format!("c={} d={}", "c".repeat(1_000), "d".repeat(1_000)));
}

#[tokio::test]
async fn a_message_that_cannot_fit_is_an_error_and_changes_nothing() {
    let told = layer().on_error(|error| (StatusCode::INSUFFICIENT_STORAGE, error.to_string()).into_response());
    let client = client(app(&told));
    client.post("/save").await;
    let refused = client.post(&format!("/flash/k/{}", "x".repeat(4_000))).await;
    assert_eq!(
        (refused.status(), refused.text().as_str()),
        (
            StatusCode::INSUFFICIENT_STORAGE,
            "the cookie __Host-flash would have 5476 bytes, but at most 2048 are allowed; the largest keys: k (4009 bytes); \
             flash shorter messages, or keep the long text elsewhere and flash where it is"
        )
    );
    assert_eq!(client.get("/").await.text(), SAVED);
}

#[tokio::test]
async fn the_messages_of_one_response_have_at_most_half_a_cookie() {
    let flashes = |length: usize| async move {
        let client = client(app(&layer()));
        let status = client.post(&format!("/flash/k/{}", "x".repeat(length))).await.status();
        (status, flash_bytes(&client))
    };
    let largest = (0..2_048).rfind(|length| bytes_of_message(*length) <= 2_048).unwrap();
    assert_eq!(flashes(largest).await, (StatusCode::SEE_OTHER, bytes_of_message(largest)));
    assert_eq!(flashes(largest + 1).await, (StatusCode::INTERNAL_SERVER_ERROR, 0));
}

/// The size of a signed flash cookie with a message of so many characters under a key of one: its name, its batch, the
/// frame of a token, and the payload in base64.
fn bytes_of_message(length: usize) -> usize {
    let payload = r#"{"k":[""]}"#.len() + length;
    "__Host-flash.".len() + 22 + "1.kkkk.".len() + ((32 + payload) * 4).div_ceil(3) + ".".len() + 43
}

#[tokio::test]
async fn a_form_may_have_the_rest_of_the_cookie_and_never_costs_a_message() {
    async fn refuse(Path((message, form)): Path<(usize, usize)>) -> Response {
        let response = Redirect::to("/").with_input(&[("name", "n".repeat(form))]);
        response.flashing([("k", "x".repeat(message))])
    }
    async fn lengths(flash: Flash) -> String {
        let (message, name) = (flash.get("k").map(str::len), flash.input().get("name").map(str::len));
        format!("{message:?} {name:?} {:?}", flash.input().dropped())
    }
    let layer = layer();
    let app = Router::new().route("/", get(lengths)).route("/refuse/{message}/{form}", post(refuse)).layer(layer);
    for (message, form, status, page) in [
        (1_300, 1_500, 303, "Some(1300) Some(1500) []"),
        (1_300, 2_500, 303, r#"Some(1300) None ["name"]"#),
        (1_500, 0, 500, "None None []"),
        (1_500, 1_500, 500, "None None []"),
    ] {
        let client = client(app.clone());
        assert_eq!(client.post(&format!("/refuse/{message}/{form}")).await.status(), status, "{message} {form}");
        assert!(flash_bytes(&client) <= 4_096);
        assert_eq!(client.get("/").await.text(), page, "{message} {form}");
    }
}

#[tokio::test]
async fn large_batches_of_parallel_responses_never_fail_a_page() {
    let layer = layer();
    for path in ["/hop", "/key/none", "/status/304", "/image"] {
        let client = client(app(&layer));
        for letter in ["a", "b", "c", "d", "e", "f"] {
            client.enter(&TestSession::new(&layer).flash(letter, letter.repeat(1_500)));
        }
        assert!(!client.get(path).await.status().is_server_error(), "{path}");
        assert!(path == "/image" || flash_bytes(&client) <= 4096, "{path}");
        assert_ne!(client.get("/").await.text(), "", "{path}");
        client.get("/").await;
        assert_eq!(client.get("/").await.text(), "", "{path}");
    }
}

#[tokio::test]
async fn a_batch_under_anothers_name_is_refused() {
    let client = saved(UntilRead).await;
    let name = client.cookie_names().remove(0);
    let token = client.cookie(&name).unwrap();
    for other in ["__Host-flash", "__Host-flash.AAECAwQFBgcICQoLDA0ODw", "__Host-session"] {
        let thief = saved(UntilRead).await;
        thief.get("/").await;
        thief.set_cookie(other, &token);
        assert_eq!(thief.get("/").await.text(), "", "{other}");
    }
    assert_eq!(client.get("/").await.text(), SAVED);
}

#[tokio::test]
async fn a_reserved_key_is_an_error_and_spoils_no_other_message() {
    async fn by_handle(flash: Flash) {
        flash.add("$input", "x");
    }
    async fn by_helper() -> impl IntoResponse {
        "".flashing([("$errors", "x")])
    }
    let told = layer().on_error(|error| (StatusCode::IM_A_TEAPOT, error.to_string()).into_response());
    let app = app(&told).route("/a", get(by_handle).layer(told.clone())).route("/b", get(by_helper).layer(told));
    let client = client(app);
    client.post("/save").await;
    for (path, key) in [("/a", "$input"), ("/b", "$errors")] {
        let page = client.get(path).await;
        let told = format!("the key `{key}` begins with `$`, which is reserved: choose another key");
        assert_eq!((page.status(), page.text().as_str()), (StatusCode::IM_A_TEAPOT, told.as_str()));
    }
    assert_eq!(client.get("/").await.text(), SAVED);
}

/// What a page does with two messages, `a` and `b`, and what the page after it shows, in both modes.
async fn page_after(act: fn(&mut Flash) -> String) -> [(String, String); 2] {
    let mut shown = Vec::new();
    for mode in [UntilRead, NextRequest] {
        let layer = layer().flash_mode(mode);
        let route = get(move |mut flash: Flash| async move { act(&mut flash) });
        let client = client(app(&layer).route("/act", route.layer(layer.clone())));
        client.enter(&TestSession::new(&layer).flash("a", "1").flash("b", "2").input(&[("name", "Ann")]));
        let first = client.get("/act").await.text();
        shown.push((first, client.get("/").await.text()));
    }
    shown.try_into().unwrap()
}

fn pair(first: &str, second: &str) -> (String, String) {
    (first.to_owned(), second.to_owned())
}

#[tokio::test]
async fn peeking_takes_nothing() {
    let peek = page_after(|flash| format!("{:?} {:?} {}", flash.peek("a"), flash.peek_all("b"), flash.is_empty()));
    let first = r#"Some("1") ["2"] false"#;
    assert_eq!(peek.await, [pair(first, "a=1 b=2"), pair(first, "")]);
}

#[tokio::test]
async fn what_is_kept_is_shown_once_more() {
    let keep = page_after(|flash| {
        flash.keep();
        shown(flash)
    });
    assert_eq!(keep.await, [pair("a=1 b=2", "a=1 b=2"), pair("a=1 b=2", "a=1 b=2")]);
}

#[tokio::test]
async fn of_what_is_kept_by_name_the_rest_goes() {
    let keep_only = page_after(|flash| {
        flash.keep_only(["b", "c"]);
        flash.get("b").unwrap().to_owned()
    });
    assert_eq!(keep_only.await, [pair("2", "b=2"), pair("2", "b=2")]);
}

#[tokio::test]
async fn what_is_discarded_is_gone_unread() {
    let discard = page_after(|flash| {
        flash.discard();
        String::new()
    });
    assert_eq!(discard.await, [pair("", ""), pair("", "")]);
}

#[tokio::test]
async fn what_is_for_now_is_shown_now_and_never_again() {
    let now = page_after(|flash| {
        flash.now("a", "3");
        format!("{:?} {:?}", flash.get("a"), flash.peek_all("a"))
    });
    let first = r#"Some("3") ["1", "3"]"#;
    assert_eq!(now.await, [pair(first, "b=2"), pair(first, "")]);
}

#[tokio::test]
async fn a_layout_costs_nothing_where_there_is_no_message() {
    let (plain, laid_out) = (client(pages(false)), client(pages(true)));
    for path in ["/html", "/poll", "/nothing", "/nowhere"] {
        let (plain, laid_out) = (plain.get(path).await, laid_out.get(path).await);
        let mut headers = laid_out.headers().clone();
        assert_eq!(headers.remove(header::VARY).unwrap(), "Cookie", "{path}");
        assert_eq!(headers.remove(header::CACHE_CONTROL).unwrap(), "private", "{path}");
        headers.remove(header::CONTENT_LENGTH);
        let mut expected = plain.headers().clone();
        expected.remove(header::CONTENT_LENGTH);
        assert_eq!(headers, expected, "{path}");
    }
}

#[tokio::test]
async fn a_layout_leaves_messages_to_the_pages_among_the_polls() {
    let client = client(pages(true));
    client.post("/save").await;
    for path in ["/poll", "/nothing", "/poll"] {
        let poll = client.get(path).await;
        assert_eq!((poll.set_cookies().len(), poll.text().contains("Saved")), (0, false), "{path}");
    }
    assert_eq!(client.get("/html").await.text(), "<p>Saved.</p><h1>Page</h1>");
    assert_eq!(client.get("/html").await.text(), "<h1>Page</h1>");
}

/// With a middleware that puts the messages above each page, or without.
fn pages(with_layout: bool) -> Router {
    async fn layout(flash: Flash, request: Request, next: Next) -> Response {
        let response = next.run(request).await;
        let kind = response.headers().get(header::CONTENT_TYPE);
        if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html")) {
            return response;
        }
        let (mut parts, body) = response.into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        let page = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let messages: String = flash.iter().map(|(_, text)| format!("<p>{text}</p>")).collect();
        (parts, messages + std::str::from_utf8(&page).unwrap()).into_response()
    }
    let app = Router::new()
        .route("/html", get(|| async { Html("<h1>Page</h1>") }))
        .route("/poll", get(|| async { axum::Json(7) }))
        .route("/nothing", get(|| async { StatusCode::NO_CONTENT }))
        .route("/save", post(save));
    if with_layout { app.layer(from_fn(layout)).layer(layer()) } else { app.layer(layer()) }
}

/// One step of a visitor who does one thing after the other.
#[derive(Clone, Debug)]
enum Step {
    Flash(char),
    Read(char),
    ReadAll,
    /// Reads all, and is no page that a person sees.
    Unseen(&'static str),
}

fn step() -> impl Strategy<Value = Step> {
    let key = prop::sample::select(vec!['a', 'b', 'c']);
    prop_oneof![
        4 => key.clone().prop_map(Step::Flash),
        2 => key.prop_map(Step::Read),
        1 => Just(Step::ReadAll),
        2 => prop::sample::select(vec!["/hop", "/status/304", "/status/500", "/status/204", "/image"])
            .prop_map(Step::Unseen),
    ]
}

/// By key: across keys the order is kept only where batches stay apart.
fn by_key(page: &str) -> BTreeMap<char, Vec<String>> {
    let mut lists: BTreeMap<char, Vec<String>> = BTreeMap::new();
    for (key, text) in page.split_whitespace().filter_map(|message| message.split_once('=')) {
        lists.entry(key.chars().next().unwrap()).or_default().push(text.to_owned());
    }
    lists
}

async fn walk(steps: Vec<Step>) {
    let (layer, clock) = timed_layer();
    let client = client(app(&layer));
    let mut unread: BTreeMap<char, Vec<String>> = BTreeMap::new();
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Flash(key) => {
                add(&client, &clock, &key.to_string(), &number.to_string()).await;
                unread.entry(key).or_default().push(number.to_string());
            }
            Step::Read(key) => {
                let page = client.get(&format!("/key/{key}")).await;
                assert_eq!(page.text(), unread.remove(&key).unwrap_or_default().join(" "));
            }
            Step::ReadAll => assert_eq!(by_key(&client.get("/").await.text()), std::mem::take(&mut unread)),
            Step::Unseen(path) => drop(client.get(path).await),
        }
    }
    assert_eq!(by_key(&client.get("/").await.text()), unread);
    assert_eq!(client.cookie_names(), [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_order_of_steps_loses_or_doubles_a_message(steps in prop::collection::vec(step(), 0..40)) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(walk(steps));
    }
}
