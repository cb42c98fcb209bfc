//! Tickets: what comes back, what does not, and what the browser keeps.

use std::time::Duration;

use axum::{Router, http::StatusCode, response::IntoResponse, routing::get};
use serde::{Deserialize, Serialize};
use session_axum::{
    Error, Keys, Session, SessionLayer, SessionResponseExt, Ticket, TicketData,
    testing::{Client, ManualClock},
};
use session_stores::MemoryStore;

use crate::support::app::{NOW, OLD_SECRET, SECRET, client, keys, layer};

#[derive(Debug, Serialize, Deserialize, TicketData)]
#[ticket(name = "oauth", path = "/callback", lifetime = "10m", cross_site)]
struct OAuth {
    state: String,
}

#[derive(Serialize, Deserialize, TicketData)]
#[ticket(name = "step")]
struct Step(u32);

#[derive(Serialize, Deserialize, TicketData)]
#[ticket(name = "session")]
struct Clash(u32);

fn begun(state: &str) -> Ticket<OAuth> {
    Ticket::new(OAuth { state: state.to_owned() })
}

async fn look(ticket: Ticket<OAuth>) -> String {
    format!("{:?}", ticket.value().map(|oauth| &oauth.state))
}

async fn take(ticket: Ticket<OAuth>) -> String {
    format!("{:?}", ticket.take().map(|oauth| oauth.state))
}

async fn take_and_fail(ticket: Ticket<OAuth>) -> StatusCode {
    assert!(ticket.take().is_some());
    StatusCode::BAD_GATEWAY
}

async fn take_and_err(ticket: Ticket<OAuth>, session: Session) -> Result<(), Error> {
    assert!(ticket.take().is_some());
    session.insert("$", 1)
}

async fn again(ticket: Ticket<OAuth>) -> impl IntoResponse {
    let _ = ticket.take();
    begun("second")
}

fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/begin", get(async || (begun("first"), "begun")))
        .route("/begin-loudly", get(async || (StatusCode::BAD_GATEWAY, begun("first"))))
        .route("/callback", get(look))
        .route("/callback/take", get(take))
        .route("/callback/fail", get(take_and_fail))
        .route("/callback/err", get(take_and_err))
        .route("/callback/again", get(again))
        .route("/large", get(async || begun(&"x".repeat(4_000))))
        .route("/clash", get(async || Ticket::new(Clash(1))))
        .route("/new", get(async || (begun("first"), "x").with_new_flash()))
        .layer(layer)
}

fn layers() -> [SessionLayer; 3] {
    [SessionLayer::signed(keys()), SessionLayer::encrypted(keys()), SessionLayer::stored(MemoryStore::new(), keys())]
}

#[tokio::test]
async fn a_ticket_comes_back_until_it_is_taken() {
    for layer in layers() {
        let client = client(app(layer));
        let begun = client.get("/begin").await;
        let [cookie] = begun.set_cookies()[..] else { panic!("{:?}", begun.set_cookies()) };
        assert!(cookie.starts_with("__Secure-oauth="), "{cookie}");
        assert!(cookie.ends_with("; HttpOnly; SameSite=None; Secure; Path=/callback; Max-Age=600"), "{cookie}");
        assert_eq!(begun.headers()["cache-control"], "no-store");
        for _ in 0..2 {
            let page = client.get("/callback").await;
            assert_eq!((page.text().as_str(), page.set_cookies()), (r#"Some("first")"#, vec![]));
            assert_eq!(
                (&page.headers()["vary"], &page.headers()["cache-control"]),
                (&"Cookie".parse().unwrap(), &"private".parse().unwrap())
            );
        }
        let taken = client.get("/callback/take").await;
        assert_eq!(taken.text(), r#"Some("first")"#);
        assert_eq!(
            taken.set_cookies(),
            ["__Secure-oauth=; HttpOnly; SameSite=None; Secure; Path=/callback; Max-Age=0"]
        );
        assert_eq!(client.get("/callback/take").await.text(), "None");
        assert_eq!(client.cookie_names(), [""; 0]);
    }
}

#[tokio::test]
async fn a_taken_ticket_is_gone_whatever_the_response() {
    for (path, status) in [("fail", StatusCode::BAD_GATEWAY), ("err", StatusCode::INTERNAL_SERVER_ERROR)] {
        let client = client(app(layer()));
        client.get("/begin").await;
        assert_eq!(client.get(&format!("/callback/{path}")).await.status(), status);
        assert_eq!(client.get("/callback").await.text(), "None", "{path}");
    }
}

#[tokio::test]
async fn a_response_can_begin_again() {
    let client = client(app(layer()));
    client.get("/begin").await;
    let page = client.get("/callback/again").await;
    assert_eq!(page.set_cookies().len(), 1);
    assert_eq!(client.get("/callback").await.text(), r#"Some("second")"#);
    for path in ["/begin-loudly", "/new"] {
        client.get("/callback/take").await;
        client.get(path).await;
        assert_eq!(client.get("/callback").await.text(), r#"Some("first")"#, "{path}");
    }
}

#[tokio::test]
async fn a_ticket_has_its_own_time() {
    let clock = ManualClock::at(NOW);
    let client = client(app(layer().clock(clock.clone()))).with_clock(&clock);
    client.get("/begin").await;
    let ticket = client.cookie("__Secure-oauth").unwrap();
    for (seconds, text) in [(600, r#"Some("first")"#), (601, "None")] {
        clock.set(NOW + seconds);
        let late = Client::new(app(layer().clock(clock.clone())));
        late.set_cookie("__Secure-oauth", &ticket);
        assert_eq!(late.get("/callback").await.text(), text, "{seconds}");
    }
}

#[tokio::test]
async fn a_ticket_of_other_keys_names_types_or_a_changed_one_is_none() {
    let first = client(app(layer()));
    first.get("/begin").await;
    let ticket = first.cookie("__Secure-oauth").unwrap();
    let text = async |layer: SessionLayer, value: &str| {
        let client = client(app(layer));
        client.set_cookie("__Secure-oauth", value);
        client.get("/callback").await.text()
    };
    assert_eq!(text(layer(), &ticket).await, r#"Some("first")"#);
    assert_eq!(text(layer().application("shop"), &ticket).await, "None");
    assert_eq!(text(SessionLayer::signed(Keys::new(OLD_SECRET).unwrap()), &ticket).await, "None");
    assert_eq!(text(SessionLayer::encrypted(keys()), &ticket).await, "None");
    assert_eq!(text(SessionLayer::null(), &ticket).await, "None");
    let rotated = Keys::new(OLD_SECRET).unwrap().with_fallback(SECRET).unwrap();
    assert_eq!(text(SessionLayer::signed(rotated), &ticket).await, r#"Some("first")"#);
    for index in (0..ticket.len()).step_by(7) {
        let changed = format!(
            "{}{}{}",
            &ticket[..index],
            if ticket.as_bytes()[index] == b'A' { 'B' } else { 'A' },
            &ticket[index + 1..]
        );
        assert_eq!(text(layer(), &changed).await, "None", "{index}");
    }
    let value = keys().sealer("ticket").seal(&OAuth { state: "x".into() }, Duration::from_secs(60)).unwrap();
    assert_eq!(text(layer(), &value).await, "None");
    assert_eq!(text(layer(), &"x".repeat(5_000)).await, "None");
}

#[tokio::test]
async fn of_two_valid_tickets_none_is_trusted() {
    let tickets = [client(app(layer())), client(app(layer()))];
    for client in &tickets {
        client.get("/begin").await;
    }
    let [one, other] = tickets.each_ref().map(|client| client.cookie("__Secure-oauth").unwrap());
    let text = async |values: [&str; 2]| {
        let cookies = values.map(|value| format!("__Secure-oauth={value}")).join("; ");
        crate::support::jar::send(&app(layer()), "/callback", &cookies).await.0
    };
    assert_eq!(text([&one, &other]).await, "None");
    assert_eq!(text([&one, &one]).await, r#"Some("first")"#);
    assert_eq!(text(["forged", &one]).await, r#"Some("first")"#);
}

#[tokio::test]
async fn a_ticket_that_cannot_be_sent_fails_the_response() {
    let client = client(app(layer()));
    for path in ["/large", "/clash"] {
        let page = client.get(path).await;
        assert_eq!((page.status(), page.set_cookies()), (StatusCode::INTERNAL_SERVER_ERROR, vec![]), "{path}");
    }
}

#[tokio::test]
async fn a_ticket_follows_the_layers_security() {
    let step =
        || Router::new().route("/step", get(async || Ticket::new(Step(1)))).route("/begin", get(async || begun("x")));
    let cookie = async |layer: SessionLayer, path: &str| {
        let page = client(step().layer(layer)).get(path).await;
        page.set_cookies().first().map(|cookie| {
            let (name, attributes) = (cookie.split('=').next().unwrap(), cookie.split_once("; ").unwrap().1);
            format!("{name}: {attributes}")
        })
    };
    let cookie = async |layer: SessionLayer, path: &str| cookie(layer, path).await.unwrap_or_default();
    assert_eq!(cookie(layer(), "/step").await, "__Host-step: HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600");
    assert_eq!(
        cookie(layer().insecure_over_http(), "/step").await,
        "step: HttpOnly; SameSite=Lax; Path=/; Max-Age=600"
    );
    assert_eq!(
        cookie(layer().insecure_over_http(), "/begin").await,
        "oauth: HttpOnly; SameSite=None; Secure; Path=/callback; Max-Age=600"
    );
    assert_eq!(cookie(SessionLayer::null(), "/step").await, "");
}

#[tokio::test]
async fn debug_shows_nothing() {
    assert_eq!(format!("{:?}", begun("CANARY")), "Ticket { .. }");
}

#[tokio::test]
async fn a_missing_layer_is_said() {
    let client = client(Router::new().route("/", get(|_: Ticket<Step>| async {})));
    assert_eq!(client.get("/").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
