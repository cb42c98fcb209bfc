//! Set-up that cannot work says so, with the cause and the remedy.

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{StatusCode, header},
    routing::get,
};
use session_axum::{Error, Flash, Session, SessionResponseExt, testing::TestSession};

use crate::support::{
    app::{client, layer},
    logs::Logs,
};

async fn write(session: Session) -> Result<(), Error> {
    session.insert("a", 1)
}

fn lines_with(logs: &Logs, text: &str) -> usize {
    logs.take().iter().filter(|line| line.contains(text)).count()
}

#[tokio::test]
async fn a_missing_layer_is_a_500_that_names_the_remedy() {
    let app = Router::new()
        .route("/session", get(write))
        .route("/option", get(|_: Option<Session>| async {}))
        .route("/flash", get(|_: Flash| async {}));
    let client = client(app);
    let (logs, _guard) = Logs::capture();
    for (path, extractor) in [("/session", "Session"), ("/option", "Session"), ("/flash", "Flash")] {
        let page = client.get(path).await;
        assert_eq!(page.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            page.text(),
            format!(
                "`{extractor}` was extracted and no session layer is around this route: add \
                 `.layer(SessionLayer::signed(keys))` to the router, after the route"
            )
        );
        assert_eq!(lines_with(&logs, "no session layer is around this route"), 1);
    }
}

#[tokio::test]
async fn helpers_without_a_layer_are_an_error_in_the_log() {
    let client = client(Router::new().route("/", get(|| async { "x".flashing(("info", "x")) })));
    let (logs, _guard) = Logs::capture();
    assert_eq!(client.get("/").await.status(), 200);
    assert_eq!(lines_with(&logs, "never reached a session layer"), 1);
}

#[tokio::test]
async fn helpers_below_a_layer_are_no_error() {
    let client = client(Router::new().route("/", get(|| async { "x".flashing(("info", "x")) })).layer(layer()));
    let (logs, _guard) = Logs::capture();
    client.get("/").await;
    assert_eq!(lines_with(&logs, "never reached"), 0);
}

#[tokio::test]
async fn two_layers_with_one_cookie_name_say_so_once_and_work() {
    let layer = layer();
    let app = Router::new().route("/", get(write)).layer(layer.clone()).layer(layer.clone());
    let client = client(app);
    let (logs, _guard) = Logs::capture();
    for _ in 0..3 {
        assert_eq!(client.get("/").await.status(), 200);
    }
    assert_eq!(lines_with(&logs, "two session layers with one cookie name"), 1);
    assert_eq!(TestSession::of_client(&layer, &client).get("a"), Some(1));
}

#[tokio::test]
async fn two_layers_with_names_of_their_own_do_not_meet() {
    let outer = layer().name("outer").unwrap().flash_name("outer-flash").unwrap();
    let app = Router::new().route("/", get(write)).layer(layer()).layer(outer);
    let client = client(app);
    client.get("/").await;
    assert_eq!(client.cookie_names(), ["__Host-session"]);
}

#[tokio::test]
async fn a_secure_cookie_over_plain_http_is_a_warning_once() {
    let app = Router::new().route("/", get(write)).layer(layer());
    let (logs, _guard) = Logs::capture();
    for _ in 0..3 {
        let request = Request::get("/").header(header::ORIGIN, "http://shop.example").body(Body::empty()).unwrap();
        client(app.clone()).send(request).await;
    }
    assert_eq!(lines_with(&logs, "insecure_over_http"), 1);
}

#[tokio::test]
async fn a_cookie_that_does_not_come_back_is_a_warning_once() {
    let app = Router::new().route("/", get(write)).layer(layer());
    let (logs, _guard) = Logs::capture();
    for _ in 0..40 {
        client(app.clone()).get("/").await;
    }
    assert_eq!(lines_with(&logs, "none has come back"), 1);
}

#[tokio::test]
async fn a_cookie_that_came_back_once_is_no_warning() {
    let app = Router::new().route("/", get(write)).layer(layer());
    let (logs, _guard) = Logs::capture();
    let regular = client(app.clone());
    regular.get("/").await;
    regular.get("/").await;
    for _ in 0..40 {
        client(app.clone()).get("/").await;
    }
    assert_eq!(lines_with(&logs, "none has come back"), 0);
}

#[test]
fn insecure_cookies_say_so() {
    let (logs, _guard) = Logs::capture();
    let _ = layer().insecure_over_http();
    assert_eq!(lines_with(&logs, "plain HTTP"), 1);
}
