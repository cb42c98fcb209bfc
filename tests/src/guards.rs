//! The guard of a typed session: log-ins, confirmations, and the way back to the page that a visitor wanted. The
//! promises are mounted for every engine.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::Path,
    http::{Request, StatusCode},
    routing::get,
};
use session_axum::{
    Error, Flash, Keys, Session, SessionData, SessionLayer, SessionRejection, SessionResponseExt,
    response::ReturnTo,
    testing::{Client, ManualClock, TestResponse, TestSession},
};

use crate::{
    every_engine::Engine,
    support::app::{NOW, SECRET, client, layer},
};

#[derive(SessionData)]
#[session(redirect = "/login", return_to)]
struct Member {
    user: String,
}

#[derive(SessionData)]
#[session(redirect = "/confirm", return_to, confirmed_within = "10m")]
struct Sure {
    user: String,
}

#[derive(SessionData)]
#[session(confirmed_within = "10m")]
struct Strict {
    user: String,
}

#[derive(SessionData)]
#[session(redirect = "/login", return_to, message = "login.required")]
struct Greeted {
    user: String,
}

#[derive(SessionData)]
#[session(message = "login.required", confirmed_within = "10m")]
struct Named {
    user: String,
}

#[derive(SessionData)]
#[session(redirect = "/login", message = "")]
struct Silent {
    user: String,
}

#[derive(SessionData)]
struct Wrapped {
    #[session(flatten)]
    strict: Strict,
}

fn app(layer: SessionLayer) -> Router {
    let member = get(|member: Session<Member>| async move { member.user.clone() });
    Router::new()
        .route("/orders", member.clone())
        .route("/orders/{*rest}", member.clone().post(|_: Session<Member>| async {}))
        .route("/sure", get(|sure: Session<Sure>| async move { sure.user.clone() }))
        .route("/strict", get(|strict: Session<Strict>| async move { strict.user.clone() }))
        .route("/wrapped", get(|wrapped: Session<Wrapped>| async move { wrapped.strict.user.clone() }))
        .route("/maybe", get(|sure: Option<Session<Sure>>| async move { sure.is_some().to_string() }))
        .route("/within/{seconds}", get(within))
        .route("/login", get(log_in))
        .route("/login-unconfirmed", get(log_in_unconfirmed))
        .route("/confirm", get(|session: Session| async move { session.confirm() }))
        .route("/confirm-and-renew", get(confirm_and_renew))
        .route("/renew", get(|session: Session| async move { session.renew() }))
        .route("/rotate", get(|session: Session| async move { session.rotate() }))
        .route("/clear", get(clear))
        .route("/replace", get(replace))
        .route("/save", get(save))
        .route("/fail", get(fail))
        .route("/back", get(|session: Session| async move { session.return_to("/home") }))
        .route("/back-to-a-word", get(|session: Session| async move { session.return_to("/k\u{f6}ln?q=a b%20") }))
        .nest("/shop", Router::new().route("/cart", member))
        .layer(layer)
}

async fn within(session: Session, Path(seconds): Path<u64>) -> String {
    session.confirmed_within(Duration::from_secs(seconds)).to_string()
}

async fn log_in(session: Session) -> Result<ReturnTo, Error> {
    session.confirm();
    session.renew();
    session.insert("user", "ada")?;
    Ok(session.return_to("/home"))
}

async fn log_in_unconfirmed(session: Session) -> Result<(), Error> {
    session.renew();
    session.insert("user", "ada")
}

async fn confirm_and_renew(session: Session) -> Result<(), Error> {
    session.confirm();
    session.save().await?;
    session.renew();
    Ok(())
}

async fn clear(session: Session) -> Result<(), Error> {
    session.clear();
    session.insert("user", "ada")
}

async fn replace(session: Session) -> impl axum::response::IntoResponse {
    session.confirm();
    "ok".with_session([("user", "ada")])
}

async fn save(session: Session) -> Result<String, Error> {
    session.confirm();
    session.save().await?;
    Ok(session.confirmed_within(Duration::ZERO).to_string())
}

async fn fail(session: Session) -> StatusCode {
    session.confirm();
    StatusCode::BAD_GATEWAY
}

struct Site {
    client: Client,
    clock: ManualClock,
}

fn site(engine: &Engine) -> Site {
    let clock = ManualClock::at(NOW);
    let layer = engine(Keys::new(SECRET).unwrap()).clock(clock.clone());
    Site { client: Client::new(app(layer)).with_clock(&clock), clock }
}

impl Site {
    async fn text(&self, path: &str) -> String {
        self.client.get(path).await.text()
    }

    /// Where a redirect leads, or the status of another response.
    async fn way(&self, path: &str) -> String {
        way(&self.client.get(path).await)
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn way(response: &TestResponse) -> String {
    let location = response.headers().get("location").map(|page| page.to_str().unwrap().to_owned());
    location.unwrap_or_else(|| response.status().as_u16().to_string())
}

pub(crate) async fn a_confirmation_counts_for_its_time_and_its_last_second(engine: Engine) {
    let site = site(&engine);
    assert_eq!(site.text("/within/600").await, "false");
    site.text("/login").await;
    assert_eq!(site.text("/within/0").await, "true");
    site.pass(600);
    assert_eq!((site.text("/within/599").await, site.text("/within/600").await), ("false".into(), "true".into()));
    assert_eq!(site.way("/strict").await, "200");
    site.pass(1);
    assert_eq!((site.way("/strict").await, site.way("/wrapped").await), ("403".into(), "403".into()));
    site.text("/confirm").await;
    assert_eq!((site.way("/strict").await, site.way("/wrapped").await), ("200".into(), "200".into()));
}

pub(crate) async fn a_guard_tells_no_log_in_from_no_confirmation(engine: Engine) {
    let site = site(&engine);
    assert_eq!((site.way("/strict").await, site.way("/sure").await), ("401".into(), "/confirm".into()));
    assert_eq!(site.text("/maybe").await, "false");
    site.text("/login-unconfirmed").await;
    assert_eq!((site.way("/strict").await, site.way("/sure").await), ("403".into(), "/confirm".into()));
    assert_eq!((site.text("/maybe").await, site.text("/orders").await), ("false".into(), "ada".into()));
    site.text("/confirm").await;
    assert_eq!((site.text("/strict").await, site.text("/sure").await), ("ada".into(), "ada".into()));
    assert_eq!(site.text("/maybe").await, "true");
}

pub(crate) async fn a_renewal_forgets_a_confirmation_and_a_rotation_keeps_it(engine: Engine) {
    let site = site(&engine);
    site.text("/login").await;
    site.text("/rotate").await;
    assert_eq!(site.way("/strict").await, "200");
    site.text("/renew").await;
    assert_eq!(site.way("/strict").await, "403");
    site.text("/confirm-and-renew").await;
    assert_eq!(site.way("/strict").await, "200");
    site.text("/clear").await;
    assert_eq!(site.way("/strict").await, "403");
    site.text("/replace").await;
    assert_eq!(site.way("/strict").await, "200");
    site.text("/clear").await;
    assert_eq!((site.text("/save").await, site.way("/strict").await), ("true".into(), "200".into()));
}

pub(crate) async fn a_confirmation_alone_is_no_session(engine: Engine) {
    let site = site(&engine);
    for path in ["/confirm", "/save", "/confirm-and-renew"] {
        site.text(path).await;
        assert_eq!(site.client.cookie_names(), [""; 0], "{path}");
    }
    site.text("/login-unconfirmed").await;
    site.text("/fail").await;
    assert_eq!(site.way("/strict").await, "403");
}

pub(crate) async fn a_log_in_leads_back_to_the_page_that_was_wanted(engine: Engine) {
    let site = site(&engine);
    assert_eq!(site.way("/orders/7?tab=notes&x=%2F").await, "/login");
    assert_eq!(site.client.cookie_names(), ["__Host-flash.return-to"], "no session begins");
    assert_eq!(site.way("/login").await, "/orders/7?tab=notes&x=%2F");
    assert_eq!(site.client.cookie_names(), ["__Host-session"]);
    assert_eq!(site.way("/back").await, "/home");
}

pub(crate) async fn the_page_stays_through_renewals_until_it_is_used(engine: Engine) {
    let site = site(&engine);
    site.text("/login-unconfirmed").await;
    for path in ["/sure?x=1", "/renew", "/rotate", "/confirm", "/fail", "/within/1"] {
        site.text(path).await;
    }
    assert_eq!(site.way("/back").await, "/sure?x=1");
    assert_eq!(site.way("/back").await, "/home");
    site.text("/renew").await;
    for path in ["/sure?x=1", "/sure?x=2"] {
        site.text(path).await;
    }
    assert_eq!(site.way("/back").await, "/sure?x=2");
}

pub(crate) async fn the_whole_path_is_kept_under_nest(engine: Engine) {
    let site = site(&engine);
    site.text("/shop/cart?a=b").await;
    assert_eq!(site.way("/back").await, "/shop/cart?a=b");

    let layer = engine(Keys::new(SECRET).unwrap());
    let inner = Router::new()
        .route("/cart", get(|_: Session<Member>| async {}))
        .route("/back", get(|session: Session| async move { session.return_to("/") }));
    let client = Client::new(Router::new().nest("/shop", inner.layer(layer)));
    client.get("/shop/cart?a=b").await;
    assert_eq!(way(&client.get("/shop/back").await), "/shop/cart?a=b");
}

/// What the guard answers to a stranger with these headers, and the page that is kept.
async fn answer(method: &str, path: &str, headers: &[(&str, &str)]) -> (TestResponse, String) {
    let client = client(app(layer()));
    let request = headers
        .iter()
        .fold(Request::builder().method(method).uri(path), |request, (name, value)| request.header(*name, *value));
    let answer = client.send(request.body(Body::empty()).unwrap()).await;
    let kept = way(&client.get("/back").await);
    (answer, kept)
}

fn vary(response: &TestResponse) -> String {
    let names = response.headers().get_all("vary").iter().map(|value| value.to_str().unwrap());
    names.collect::<Vec<_>>().join(", ")
}

/// The pages with a guard that has a message, and a page that shows it.
fn greeting(layer: SessionLayer) -> Router {
    let guarded = get(|greeted: Session<Greeted>| async move { greeted.user.clone() });
    Router::new()
        .route("/orders", guarded.clone().post(|_: Session<Greeted>| async {}))
        .route("/named", get(|named: Session<Named>| async move { named.user.clone() }))
        .route("/silent", get(|silent: Session<Silent>| async move { silent.user.clone() }))
        .route("/plain", get(|_: Session<Strict>| async {}))
        .route("/elsewhere", get(|_: Session<Member>| async {}))
        .route("/login", get(|flash: Flash| async move { flash.get_all("error").join(",") }))
        .layer(layer)
}

/// What a request with these headers is answered, and the messages of the page after it.
async fn greeted(layer: SessionLayer, method: &str, path: &str, headers: &[(&str, &str)]) -> (TestResponse, String) {
    let client = client(greeting(layer));
    let request = headers
        .iter()
        .fold(Request::builder().method(method).uri(path), |request, (name, value)| request.header(*name, *value));
    let answer = client.send(request.body(Body::empty()).unwrap()).await;
    let messages = client.get("/login").await.text();
    (answer, messages)
}

#[tokio::test]
async fn the_page_of_the_redirect_shows_the_message_once() {
    let client = client(greeting(layer()));
    assert_eq!(way(&client.get("/orders").await), "/login");
    assert_eq!(client.get("/login").await.text(), "login.required");
    assert_eq!(client.get("/login").await.text(), "");
    for (method, headers) in
        [("POST", &[][..]), ("GET", &[("hx-request", "true")]), ("POST", &[("hx-request", "true")])]
    {
        let (_, messages) = greeted(layer(), method, "/orders", headers).await;
        assert_eq!(messages, "login.required", "{method} {headers:?}");
    }
}

#[tokio::test]
async fn a_redirect_has_no_message_if_the_struct_has_none() {
    for path in ["/elsewhere", "/silent"] {
        let (answer, messages) = greeted(layer(), "GET", path, &[]).await;
        assert_eq!((way(&answer).as_str(), messages.as_str()), ("/login", ""), "{path}");
        assert!(answer.set_cookies().iter().all(|cookie| cookie.starts_with("__Host-flash.return-to=")), "{path}");
    }
}

#[tokio::test]
async fn no_message_is_kept_for_a_response_that_the_visitor_does_not_see() {
    for (method, header) in [
        ("GET", ("accept", "application/json")),
        ("GET", ("sec-purpose", "prefetch")),
        ("GET", ("sec-fetch-dest", "image")),
        ("POST", ("sec-fetch-dest", "empty")),
        ("HEAD", ("accept", "*/*")),
    ] {
        assert_eq!(greeted(layer(), method, "/orders", &[header]).await.1, "", "{method} {header:?}");
    }
}

#[tokio::test]
async fn a_status_has_the_message_as_its_text() {
    let json = [("accept", "application/json")];
    let (answer, _) = greeted(layer(), "GET", "/orders", &json).await;
    assert_eq!((answer.status(), answer.text().as_str()), (StatusCode::UNAUTHORIZED, "login.required"));
    let (answer, messages) = greeted(layer(), "GET", "/named", &[]).await;
    assert_eq!((answer.status(), answer.text().as_str()), (StatusCode::UNAUTHORIZED, "login.required"));
    assert_eq!((messages.as_str(), answer.set_cookies()), ("", vec![]));
    assert_eq!(greeted(layer(), "GET", "/silent", &json).await.0.text(), "");
    assert_eq!(greeted(layer(), "GET", "/elsewhere", &json).await.0.text(), "Please log in first.");

    let layer = layer();
    let client = client(greeting(layer.clone()));
    client.enter(&TestSession::new(&layer).insert("user", "ada"));
    for (path, text) in [("/named", "login.required"), ("/plain", "Please confirm who you are first.")] {
        let answer = client.get(path).await;
        assert_eq!((answer.status(), answer.text().as_str()), (StatusCode::FORBIDDEN, text));
    }
}

#[tokio::test]
async fn the_layer_translates_every_message_for_its_request() {
    let german = || {
        layer().guard_message(|message, request| match message {
            _ if request.headers.get("accept-language").is_none_or(|it| it != "de") => message.to_owned(),
            "login.required" => format!("Bitte anmelden: {}", request.uri.path()),
            "Please log in first." => "Bitte zuerst anmelden.".to_owned(),
            other => other.to_uppercase(),
        })
    };
    let de = ("accept-language", "de");
    assert_eq!(greeted(german(), "GET", "/orders", &[de]).await.1, "Bitte anmelden: /orders");
    assert_eq!(greeted(german(), "GET", "/orders", &[]).await.1, "login.required");
    assert_eq!(greeted(german(), "GET", "/named", &[de]).await.0.text(), "Bitte anmelden: /named");
    assert_eq!(greeted(german(), "GET", "/plain", &[de]).await.0.text(), "Bitte zuerst anmelden.");
    let (answer, messages) = greeted(german(), "GET", "/elsewhere", &[de]).await;
    assert_eq!((way(&answer).as_str(), messages.as_str()), ("/login", ""), "a translation makes no message");
}

#[tokio::test]
async fn a_browser_is_redirected() {
    for accept in ["*/*", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"] {
        let (answer, kept) = answer("GET", "/orders", &[("accept", accept)]).await;
        assert_eq!((answer.status(), way(&answer), kept), (StatusCode::SEE_OTHER, "/login".into(), "/orders".into()));
        assert_eq!(vary(&answer), "Cookie, HX-Request, Accept");
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
    let (answer, kept) = answer("GET", "/orders", &[]).await;
    assert_eq!((way(&answer), kept), ("/login".into(), "/orders".into()));
}

#[tokio::test]
async fn htmx_is_sent_away_by_its_own_header() {
    let (answer, kept) = answer("GET", "/orders", &[("hx-request", "true"), ("accept", "application/json")]).await;
    assert_eq!((answer.status(), &answer.headers()["hx-redirect"]), (StatusCode::OK, &"/login".parse().unwrap()));
    assert!(!answer.headers().contains_key("location") && answer.text().is_empty());
    assert_eq!((vary(&answer), kept), ("Cookie, HX-Request".into(), "/orders".into()));
}

/// The page that is kept for a request of htmx to this host with these headers.
async fn kept_by_htmx(host: &str, page: &str, others: &[(&str, &str)]) -> String {
    let mut headers = vec![("host", host), ("hx-request", "true"), ("hx-current-url", page)];
    headers.extend_from_slice(others);
    answer("GET", "/orders?piece=1", &headers).await.1
}

#[tokio::test]
async fn htmx_leads_back_to_the_page_that_the_browser_shows() {
    for (host, shown, kept) in [
        ("shop.example", "https://shop.example/home?tab=2", "/home?tab=2"),
        ("shop.example", "http://shop.example/home#part", "/home"),
        ("shop.example", "https://shop.example", "/"),
        ("Shop.Example", "HTTPS://SHOP.example/Home", "/Home"),
        ("shop.example:8080", "http://shop.example:8080/home", "/home"),
        ("shop.example", "https://shop.example:443/home", "/home"),
        ("shop.example:80", "http://shop.example/home", "/home"),
        ("[::1]:3000", "http://[::1]:3000/home", "/home"),
    ] {
        assert_eq!(kept_by_htmx(host, shown, &[]).await, kept, "{shown}");
    }
    let longest = format!("/{}", "x".repeat(1_023));
    assert_eq!(kept_by_htmx("h", &format!("http://h{longest}"), &[]).await, longest);
}

#[tokio::test]
async fn a_boosted_link_leads_back_to_its_own_page() {
    let shown = "https://shop.example/home";
    assert_eq!(kept_by_htmx("shop.example", shown, &[("hx-boosted", "true")]).await, "/orders?piece=1");
    assert_eq!(kept_by_htmx("shop.example", shown, &[("hx-boosted", "false")]).await, "/home");
    let kept = |method, headers| async move { answer(method, "/orders/7", headers).await.1 };
    let headers = &[("host", "shop.example"), ("hx-current-url", "https://shop.example/home")];
    assert_eq!(kept("GET", headers).await, "/orders/7", "not from htmx");
    let headers = &[("host", "shop.example"), ("hx-current-url", shown), ("hx-request", "true")];
    assert_eq!(kept("POST", headers).await, "/home", "nothing is kept of a POST");
}

#[tokio::test]
async fn the_page_of_another_site_is_not_kept_for_htmx() {
    let own = "/orders?piece=1";
    let long = format!("https://shop.example/{}", "x".repeat(1_024));
    for shown in [
        "https://evil.example/home",
        "https://shop.example.evil.example/home",
        "https://evil-shop.example/home",
        "https://shop.example@evil.example/home",
        "https://ada@shop.example/home",
        "https://shop.example:8443/home",
        "http://shop.example:443/home",
        "https://shop.example.:443/home",
        "https://shop.example//evil.example",
        "https://shop.example//evil.example/home",
        "https://shop.example/\\evil.example",
        "https://shop.example\\@evil.example/",
        "https://shop.example/a\tb",
        "https://shop.example/a b",
        "https:///home",
        "https:/home",
        "//shop.example/home",
        "/home",
        "home",
        "",
        "*",
        "about:blank",
        "javascript://shop.example/%0aalert(1)",
        "data://shop.example/home",
        "ftp://shop.example/home",
        "file:///home",
        "https%3A%2F%2Fshop.example%2Fhome",
        &long,
    ] {
        assert_eq!(kept_by_htmx("shop.example", shown, &[]).await, own, "{shown}");
    }
    let shown = "https://shop.example/home";
    for twice in [("hx-current-url", "https://shop.example/other"), ("host", "shop.example"), ("host", "evil.example")]
    {
        assert_eq!(kept_by_htmx("shop.example", shown, &[twice]).await, own, "{twice:?} came twice");
    }
    let (_, kept) = answer("GET", own, &[("hx-request", "true"), ("hx-current-url", shown)]).await;
    assert_eq!(kept, own, "the request names no host");
}

#[tokio::test]
async fn htmx_over_http_2_is_at_the_host_of_its_authority() {
    let headers = [("host", "other.example"), ("hx-request", "true"), ("hx-current-url", "https://shop.example/home")];
    let (_, kept) = answer("GET", "https://shop.example/orders", &headers).await;
    assert_eq!(kept, "/home");
    let (_, kept) = answer("GET", "https://other.example/orders", &headers).await;
    assert_eq!(kept, "/orders");
}

#[tokio::test]
async fn a_client_that_prefers_json_gets_the_status_and_nothing_is_kept() {
    let (answer, kept) = answer("GET", "/orders", &[("accept", "application/json, text/plain, */*")]).await;
    assert_eq!((answer.status(), kept), (StatusCode::UNAUTHORIZED, "/home".into()));
    assert_eq!((vary(&answer), answer.set_cookies()), ("Cookie, HX-Request, Accept".into(), vec![]));

    let layer = layer();
    let client = client(app(layer.clone()));
    client.enter(&TestSession::new(&layer).insert("user", "ada"));
    let request = Request::get("/sure").header("accept", "application/json").body(Body::empty()).unwrap();
    assert_eq!(client.send(request).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn only_a_page_that_was_asked_for_is_kept() {
    let kept = async |method: &str, path: &str, headers: &[(&str, &str)]| answer(method, path, headers).await.1;
    assert_eq!(kept("POST", "/orders/7", &[]).await, "/home");
    assert_eq!(kept("HEAD", "/orders", &[]).await, "/home");
    assert_eq!(kept("GET", "/orders", &[("sec-purpose", "prefetch")]).await, "/home");
    assert_eq!(kept("GET", "/orders", &[("sec-fetch-dest", "image")]).await, "/home");
    assert_eq!(kept("GET", "/orders", &[("sec-fetch-dest", "document")]).await, "/orders");
    assert_eq!(kept("GET", "https://evil.example/orders", &[]).await, "/orders");
    let longest = format!("/orders/{}", "x".repeat(1_016));
    assert_eq!((longest.len(), kept("GET", &longest, &[]).await), (1_024, longest.clone()));
    assert_eq!(kept("GET", &format!("{longest}x"), &[]).await, "/home");
}

#[tokio::test]
async fn a_page_that_cannot_be_kept_is_not_replaced_by_an_earlier_one() {
    let client = client(app(layer()));
    client.get("/orders").await;
    client.get(&format!("/orders/{}", "x".repeat(1_024))).await;
    assert_eq!(way(&client.get("/back").await), "/home");
}

#[tokio::test]
async fn no_path_leads_to_another_host() {
    let guard = |_: Session<Member>| async {};
    let back = get(|session: Session| async move { session.return_to("/home") });
    for path in ["//evil.example", "//evil.example/x", "/\\evil.example", "/orders/..\\x"] {
        let client = client(Router::new().route("/back", back.clone()).fallback(guard).layer(layer()));
        if let Ok(request) = Request::get(path).body(Body::empty()) {
            client.send(request).await;
        }
        assert_eq!(way(&client.get("/back").await), "/home", "{path}");
    }
}

#[tokio::test]
async fn a_forged_copied_or_late_page_is_none() {
    let clock = ManualClock::at(NOW);
    let client = client(app(layer().clock(clock.clone()))).with_clock(&clock);
    client.get("/orders").await;
    let page = client.cookie("__Host-flash.return-to").unwrap();
    for forged in [page.replacen("AAAA", "AAAB", 1), "/evil".to_owned(), "//evil.example".to_owned()] {
        client.set_cookie("__Host-flash.return-to", &forged);
        assert_eq!(way(&client.get("/back").await), "/home", "{forged}");
    }
    clock.advance(Duration::from_secs(300));
    client.set_cookie("__Host-flash.return-to", &page);
    assert_eq!(way(&client.get("/back").await), "/orders");
    clock.advance(Duration::from_secs(1));
    client.set_cookie("__Host-flash.return-to", &page);
    assert_eq!(way(&client.get("/back").await), "/home");
}

#[tokio::test]
async fn a_handler_can_answer_the_rejection_itself() {
    async fn page(sure: Result<Session<Sure>, SessionRejection>) -> String {
        match sure {
            Ok(sure) => sure.user.clone(),
            Err(SessionRejection::NotConfirmed { redirect, .. }) => format!("not confirmed: {redirect:?}"),
            Err(rejection) => rejection.to_string(),
        }
    }
    let layer = layer();
    let client = client(Router::new().route("/", get(page)).layer(layer.clone()));
    assert_eq!(client.get("/").await.text(), "the session has no readable value for the required field `user`");
    client.enter(&TestSession::new(&layer).insert("user", "ada"));
    let answer = client.get("/").await;
    assert_eq!((answer.text().as_str(), answer.set_cookies()), (r#"not confirmed: Some("/confirm")"#, vec![]));
}

#[tokio::test]
async fn a_default_that_is_no_header_leads_home() {
    let app = Router::new().route("/", get(|session: Session| async move { session.return_to("/\n") }));
    assert_eq!(way(&client(app.layer(layer())).get("/").await), "/");
}

#[tokio::test]
async fn letters_outside_of_ascii_are_percent_encoded_on_the_way_back() {
    let client = client(app(layer()));
    assert_eq!(client.get("/back-to-a-word").await.location(), Some("/k%C3%B6ln?q=a b%20"));
}

/// A log-in page that is for members only.
#[tokio::test]
#[cfg(debug_assertions)]
async fn a_guard_that_redirects_to_its_own_page_is_a_warning_once() {
    use crate::support::logs::Logs;

    let guarded = || get(|_: Session<Member>| async {}).post(|_: Session<Member>| async {});
    let app = Router::new().route("/login", guarded()).route("/orders", guarded()).layer(layer());
    let client = client(app);
    let (logs, _guard) = Logs::capture();
    client.get("/orders").await;
    client.post("/login").await;
    assert!(!logs.take().iter().any(|line| line.contains("a guard redirects")));
    client.get("/login?next=1").await;
    client.get("/login").await;
    assert_eq!(
        logs.take().iter().filter(|line| line.contains("a guard redirects to the page that it guards")).count(),
        1
    );
}
