//! The examples with a log-in, as a visitor walks through them.

use std::time::Duration;

use axum::http::StatusCode;
use session_axum::testing::{Client, TestResponse};

use crate::support::app::{client, layer, timed_layer};

#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../examples/confirm.rs"]
mod confirm;
#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../examples/login.rs"]
mod login;

async fn post(client: &Client, path: &str, fields: &[(&str, &str)]) -> TestResponse {
    let response = client.post_form(path, fields).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER, "{path}");
    response
}

#[tokio::test]
async fn a_log_in_leads_to_the_page_that_was_wanted() {
    let client = client(login::app(layer()));
    assert_eq!(client.get("/orders?page=2").await.headers()["location"], "/login");
    assert_eq!(post(&client, "/login", &[("user", "<ada>")]).await.headers()["location"], "/orders?page=2");
    assert_eq!(client.get("/orders").await.text(), "Welcome back, &lt;ada&gt;, no orders yet.");
    assert_eq!(post(&client, "/logout", &[]).await.headers()["location"], "/login");
    assert_eq!(client.get("/account").await.headers()["location"], "/login");
}

#[tokio::test]
async fn a_payout_asks_for_the_password_once_more() {
    let (layer, clock) = timed_layer();
    let client = client(confirm::app(layer)).with_clock(&clock);
    assert_eq!(client.get("/payout").await.headers()["location"], "/login");
    assert_eq!(
        post(&client, "/login", &[("user", "ada"), ("password", "wrong")]).await.headers()["location"],
        "/login"
    );
    let logged_in = post(&client, "/login", &[("user", "ada"), ("password", "correct")]).await;
    assert_eq!(logged_in.headers()["location"], "/payout");
    assert_eq!(client.get("/payout").await.text(), "<h1>Payout to ada</h1>");

    clock.advance(Duration::from_secs(601));
    assert_eq!(client.get("/account").await.status(), StatusCode::OK);
    assert_eq!(client.get("/payout").await.headers()["location"], "/confirm");
    assert_eq!(post(&client, "/confirm", &[("password", "wrong")]).await.headers()["location"], "/confirm");
    assert!(client.get("/confirm").await.text().starts_with("That was not the password. <form method=post>ada,"));
    assert_eq!(post(&client, "/confirm", &[("password", "correct")]).await.headers()["location"], "/payout");
    assert_eq!(client.get("/payout").await.status(), StatusCode::OK);
}
