//! Two sessions around one route: a long-lived cart and a short log-in, as in `examples/two_sessions.rs`.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
    response::{IntoResponse, Redirect},
    routing::get,
};
use hyper_util::{client::legacy, rt::TokioExecutor};
use session_axum::{
    Error, Keys, Session, SessionData, SessionLayer, SessionResponseExt, Unattended,
    testing::{Client, ManualClock, TestResponse},
};
use session_stores::MemoryStore;
use tokio::net::TcpListener;

use crate::{
    every_engine::Engine,
    support::{
        app::{NOW, client, keys, layer, timed_layer},
        logs::Logs,
    },
};

#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../examples/two_sessions.rs"]
mod example;

/// The example on a server, and a browser that visits it.
struct Shop {
    client: Client,
    clock: ManualClock,
}

impl Shop {
    async fn open() -> Self {
        let clock = ManualClock::at(NOW);
        let cart = example::cart_layer(keys()).unwrap().clock(clock.clone());
        let app = example::app(cart, example::log_in_layer(keys()).clock(clock.clone()));
        Self { client: over_http(app).await.with_clock(&clock), clock }
    }

    async fn home(&self) -> String {
        self.client.get("/").await.text().trim_end().to_owned()
    }

    async fn post(&self, path: &str, field: &str, value: &str) -> TestResponse {
        let response = self.client.post_form(path, &[(field, value)]).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{path}");
        response
    }
}

/// A client of the application on a server of its own, over TCP.
async fn over_http(app: Router) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let http = legacy::Client::builder(TokioExecutor::new()).build_http::<Body>();
    Client::new(tower::service_fn(move |mut request: Request<Body>| {
        *request.uri_mut() = format!("http://{address}{}", request.uri()).parse().unwrap();
        let response = http.request(request);
        async move { Ok::<_, Infallible>(response.await.unwrap().map(Body::new)) }
    }))
}

/// The names of the cookies that a response sets or removes.
fn cookies(response: &TestResponse) -> Vec<String> {
    let names = response.set_cookies().into_iter().map(|cookie| cookie.split('=').next().unwrap().to_owned());
    names.collect()
}

#[tokio::test]
async fn the_cart_outlives_the_log_in() {
    let shop = Shop::open().await;
    shop.post("/add", "item", "tea").await;
    shop.post("/login", "user", "ada").await;
    assert_eq!(shop.home().await, "Welcome! Hello ada, your cart: tea");
    shop.clock.advance(Duration::from_secs(31 * 60));
    assert_eq!(shop.home().await, "Welcome! Hello stranger, your cart: tea");
    shop.post("/login", "user", "bob").await;
    assert_eq!(shop.home().await, "Welcome! Hello bob, your cart: tea");
    shop.client.close_browser();
    assert_eq!(shop.home().await, "Welcome! Hello stranger, your cart: tea");
    shop.clock.advance(Duration::from_secs(89 * 24 * 60 * 60));
    assert_eq!(shop.home().await, "Welcome! Hello stranger, your cart: tea");
    shop.clock.advance(Duration::from_secs(2 * 24 * 60 * 60));
    assert_eq!(shop.home().await, "Welcome! Hello stranger, your cart:");
}

#[tokio::test]
async fn a_log_out_keeps_the_cart() {
    let shop = Shop::open().await;
    shop.post("/add", "item", "tea").await;
    shop.post("/login", "user", "ada").await;
    let cart = shop.client.cookie("__Host-cart");
    let log_out = shop.client.post("/logout").await;
    assert_eq!(cookies(&log_out), ["__Host-session"]);
    assert_eq!((shop.client.cookie("__Host-cart"), shop.client.cookie("__Host-session")), (cart, None));
    assert_eq!(shop.home().await, "Welcome! Hello stranger, your cart: tea");
}

#[tokio::test]
async fn a_log_in_is_renewed_without_the_cart() {
    let shop = Shop::open().await;
    shop.post("/add", "item", "tea").await;
    let cart = shop.client.cookie("__Host-cart");
    for user in ["ada", "bob"] {
        let before = shop.client.cookie("__Host-session");
        assert_eq!(cookies(&shop.post("/login", "user", user).await), ["__Host-session"]);
        assert_ne!(shop.client.cookie("__Host-session"), before);
        assert_eq!(shop.client.cookie("__Host-cart"), cart);
    }
    assert_eq!(cookies(&shop.post("/add", "item", "milk").await), ["__Host-cart"]);
    assert_eq!(shop.home().await, "Welcome! Hello bob, your cart: tea, milk");
}

#[tokio::test]
async fn an_order_needs_both_sessions() {
    let shop = Shop::open().await;
    shop.post("/add", "item", "tea").await;
    assert_eq!(shop.client.get("/order").await.headers()["location"], "/login");
    assert_eq!(shop.client.get("/login").await.text(), "Please log in first. Send your name.\n");
    assert_eq!(shop.post("/login", "user", "ada").await.headers()["location"], "/order");
    assert_eq!(shop.client.get("/order").await.headers()["location"], "/");
    assert_eq!(shop.home().await, "ada has ordered tea. Hello ada, your cart:");
}

#[derive(SessionData)]
#[session(cookie = "cart")]
struct Cart {
    #[session(default)]
    items: u32,
}

#[derive(SessionData)]
#[session(cookie = "session")]
struct Member {
    user: String,
}

/// Adds to the cart through each kind of handle.
async fn add(mut cart: Session<Cart>) -> String {
    cart.items += 1;
    Session::untyped(&cart).get::<u32>("items").unwrap().unwrap().to_string()
}

async fn log_in(session: Session) -> Result<(), Error> {
    session.renew();
    session.insert("user", "ada")
}

async fn both(session: Session, cart: Session<Cart>) -> String {
    format!("{} {} {}", session.contains("user"), session.contains("items"), cart.items)
}

async fn fail(mut cart: Session<Cart>, session: Session) -> Result<(), Error> {
    cart.items += 1;
    session.insert("$reserved", 1)
}

/// Begins a log-in, and puts more into the cart than its cookie holds.
async fn overfill(session: Session, cart: Session<Cart>) -> Result<(), Error> {
    log_in(session).await?;
    Session::untyped(&cart).insert("large", "x".repeat(5_000))
}

/// Logs out, and puts more into the cart than its cookie holds.
async fn overfill_and_leave(cart: Session<Cart>) -> Result<impl IntoResponse, Error> {
    Session::untyped(&cart).insert("large", "x".repeat(5_000))?;
    Ok("Bye".with_new_session())
}

fn app(cart: SessionLayer, log_in_layer: SessionLayer) -> Router {
    Router::new()
        .route("/add", get(add))
        .route("/log-in", get(log_in))
        .route("/both", get(both))
        .route("/user", get(|member: Session<Member>| async move { member.user.clone() }))
        .route("/fail", get(fail))
        .route("/overfill", get(overfill))
        .route("/overfill-and-leave", get(overfill_and_leave))
        .route(
            "/add-and-fail",
            get(|mut cart: Session<Cart>| async move {
                cart.items += 1;
                StatusCode::BAD_GATEWAY
            }),
        )
        .route("/log-out", get(|| async { "Bye".with_new_session() }))
        .route(
            "/destroy",
            get(|session: Session| async move {
                session.destroy();
            }),
        )
        .route(
            "/renew-cart",
            get(|cart: Session<Cart>| async move {
                cart.renew();
            }),
        )
        .route(
            "/destroy-cart",
            get(|cart: Session<Cart>| async move {
                cart.destroy();
            }),
        )
        .route("/replace-cart", get(|| async { "ok".with_session(Cart { items: 7 }) }))
        .route(
            "/hand-back-cart",
            get(|mut cart: Session<Cart>| async move {
                cart.items += 1;
                (StatusCode::BAD_GATEWAY, "saved").with_session(cart)
            }),
        )
        .layer(log_in_layer)
        .layer(cart)
}

fn cart_layer(layer: SessionLayer) -> SessionLayer {
    layer.name("__Host-cart").unwrap()
}

async fn text(client: &Client, path: &str) -> String {
    client.get(path).await.text()
}

pub(crate) async fn two_sessions_are_read_and_changed_side_by_side(engine: Engine) {
    let client = client(app(cart_layer(engine(Keys::generate())), engine(Keys::generate())));
    assert_eq!((text(&client, "/add").await, text(&client, "/both").await), ("1".into(), "false false 1".into()));
    assert_eq!(cookies(&client.get("/log-in").await), ["__Host-session"]);
    assert_eq!((text(&client, "/user").await, text(&client, "/both").await), ("ada".into(), "true false 1".into()));
    for path in ["/log-out", "/destroy"] {
        client.get(path).await;
        assert_eq!(text(&client, "/both").await, "false false 1", "{path}");
        client.get("/log-in").await;
    }
    let (cart, log_in) = (client.cookie("__Host-cart"), client.cookie("__Host-session"));
    assert_eq!(cookies(&client.get("/renew-cart").await), ["__Host-cart"]);
    assert_ne!(client.cookie("__Host-cart"), cart);
    assert_eq!(text(&client, "/both").await, "true false 1");
    assert_eq!(cookies(&client.get("/replace-cart").await), ["__Host-cart"]);
    assert_eq!(text(&client, "/both").await, "true false 7");
    assert_eq!(text(&client, "/hand-back-cart").await, "saved");
    assert_eq!(text(&client, "/both").await, "true false 8");
    client.get("/destroy-cart").await;
    assert_eq!(text(&client, "/both").await, "true false 0");
    assert_eq!(client.cookie("__Host-session"), log_in);
}

pub(crate) async fn a_failure_saves_neither_session(engine: Engine) {
    let lenient = engine(Keys::generate()).on_error(|_| Redirect::to("/sorry").into_response());
    let client = client(app(cart_layer(engine(Keys::generate())), lenient));
    client.get("/add").await;
    assert_eq!(client.get("/add-and-fail").await.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(client.get("/fail").await.status(), StatusCode::SEE_OTHER);
    assert_eq!(text(&client, "/both").await, "false false 1");
}

#[tokio::test]
async fn a_cart_that_cannot_be_saved_takes_no_log_in_and_no_log_out_with_it() {
    for log_in in [layer(), SessionLayer::stored(MemoryStore::new(), keys())] {
        let client = client(app(cart_layer(layer()), log_in));
        client.get("/add").await;
        let failed = client.get("/overfill").await;
        assert_eq!(
            (failed.status(), cookies(&failed)),
            (StatusCode::INTERNAL_SERVER_ERROR, vec!["__Host-session".into()])
        );
        assert_eq!(failed.headers()["cache-control"], "no-store");
        assert_eq!(text(&client, "/both").await, "true false 1", "the log-in was saved before");
        assert_eq!(client.get("/overfill-and-leave").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(text(&client, "/both").await, "false false 1", "a log-out is a log-out");
    }
}

#[tokio::test]
async fn the_name_counts_without_its_prefix() {
    let over_http = |name: &str| SessionLayer::signed(keys()).insecure_over_http().name(name).unwrap();
    for (cart, cookie) in [
        (layer().name("__Secure-cart").unwrap(), "__Secure-cart"),
        (layer().name("cart").unwrap(), "cart"),
        (over_http("cart"), "cart"),
        (cart_layer(layer()).insecure_over_http(), "cart"),
    ] {
        let client = client(app(cart, layer()));
        assert_eq!(cookies(&client.get("/add").await), [cookie]);
    }
    let innermost = client(app(layer(), cart_layer(layer())));
    assert_eq!(cookies(&innermost.get("/add").await), ["__Host-cart"], "the order is free");
    assert_eq!(text(&innermost, "/both").await, "false true 1");
}

#[tokio::test]
async fn a_cookie_that_no_layer_has_is_an_error_that_says_so() {
    let client = client(app(layer().name("__Host-basket").unwrap(), layer()));
    for (path, sentence) in [
        ("/add", "no session layer around this route has it: add a layer with this `name`"),
        ("/both", "a session with the cookie `cart` was extracted"),
        ("/replace-cart", "no session layer around this route has the cookie `cart`"),
    ] {
        let (logs, _guard) = Logs::capture();
        let response = client.get(path).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        assert_eq!(response.text(), "Something went wrong with your session. Please try again.");
        let logs = logs.take();
        assert!(logs.iter().any(|line| line.contains(sentence)), "{path}: {logs:?}");
    }
    assert_eq!(client.cookie_names(), [""; 0]);
}

#[tokio::test]
async fn below_a_null_layer_every_session_is_empty() {
    let client = client(app(cart_layer(layer()), SessionLayer::null()));
    for path in ["/add", "/replace-cart", "/log-in"] {
        assert_eq!(client.get(path).await.status(), StatusCode::OK, "{path}");
    }
    assert_eq!((text(&client, "/both").await, client.cookie_names()), ("false false 0".into(), vec![]));
}

#[tokio::test]
async fn an_unattended_route_extends_neither_session() {
    let (log_in, clock) = timed_layer();
    let cart = cart_layer(layer()).clock(clock.clone());
    let polls = Router::new().route("/poll", get(both)).route_layer(Unattended);
    let client = client(app(cart.clone(), log_in.clone()).merge(polls.layer(log_in).layer(cart)));
    client.get("/add").await;
    client.get("/log-in").await;
    clock.advance(Duration::from_secs(20 * 60 * 60));
    let poll = client.get("/poll").await;
    assert_eq!((poll.text().as_str(), poll.set_cookies()), ("true false 1", vec![]));
    assert_eq!(cookies(&client.get("/both").await).len(), 2);
}
