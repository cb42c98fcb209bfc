//! The examples with a log-in, as a visitor walks through them.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use session_axum::{
    SessionLayer,
    testing::{Client, TestResponse, TestSession},
};
use session_stores::MemoryStore;
use sqlx::{SqlitePool, sqlite::SqlitePoolOptions};

use crate::support::{
    app::{client, keys, layer, timed_layer},
    browser::{Browser, Outcome, in_a_browser},
};

#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../examples/confirm.rs"]
mod confirm;
#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../examples/login.rs"]
mod login;
#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../examples/oauth.rs"]
mod oauth;
#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../examples/users.rs"]
mod users;

async fn post(client: &Client, path: &str, fields: &[(&str, &str)]) -> TestResponse {
    let response = client.post_form(path, fields).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER, "{path}");
    response
}

#[tokio::test]
async fn a_log_in_leads_to_the_page_that_was_wanted() {
    let client = client(login::app(layer()));
    assert_eq!(client.get("/orders?page=2").await.headers()["location"], "/login");
    assert!(client.get("/login").await.text().starts_with("Please log in first. <form method=post>"));
    assert!(client.get("/login").await.text().starts_with(" <form method=post>"));
    assert_eq!(post(&client, "/login", &[("user", "<ada>")]).await.headers()["location"], "/orders?page=2");
    assert_eq!(client.get("/orders").await.text(), "Welcome back, &lt;ada&gt;, no orders yet.");
    assert_eq!(post(&client, "/logout", &[]).await.headers()["location"], "/login");
    assert_eq!(client.get("/account").await.headers()["location"], "/login");
}

#[tokio::test]
async fn a_payout_asks_for_the_password_once_more() {
    let (layer, clock) = timed_layer();
    let client = client(confirm::app(layer.clone())).with_clock(&clock);
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
    let before = TestSession::of_client(&layer, &client).id();
    assert_eq!(post(&client, "/confirm", &[("password", "correct")]).await.headers()["location"], "/payout");
    assert_ne!(TestSession::of_client(&layer, &client).id(), before, "a new log-in has a new session");
    assert_eq!(client.get("/payout").await.status(), StatusCode::OK);
}

fn sites(shop: &str, provider: &str) -> oauth::Sites {
    oauth::Sites { shop: shop.to_owned(), provider: provider.to_owned(), keys: keys() }
}

/// Begins a log-in, and returns the fields of the provider's answer.
async fn authorize(client: &Client, mode: &str) -> [(&'static str, String); 2] {
    let begun = client.get(&format!("/login/{mode}")).await;
    let page = begun.headers()["location"].to_str().unwrap().replace("https://id.example", "");
    let page = Client::new(oauth::provider(sites("https://shop.example", ""))).get(&page).await.text();
    let value =
        |name: &str| page.split_once(&format!("name={name} value=\"")).unwrap().1.split('"').next().unwrap().to_owned();
    [("code", value("code")), ("state", value("state"))]
}

#[tokio::test]
async fn a_log_in_at_another_site_comes_back_by_get_and_by_post_and_only_once() {
    for mode in ["query", "form_post"] {
        let client = client(oauth::app(layer(), sites("https://shop.example", "https://id.example")));
        client.get("/add").await;
        let [(_, code), (_, state)] = authorize(&client, mode).await;
        let answer = [("code", code.as_str()), ("state", state.as_str())];
        let back = async |fields: &[(&str, &str)]| match mode {
            "query" => client.get(&format!("/callback?code={}&state={}", fields[0].1, fields[1].1)).await,
            _ => client.post_form("/callback", fields).await,
        };
        let arrived = back(&answer).await;
        assert_eq!(
            (arrived.status(), &arrived.headers()["location"]),
            (StatusCode::SEE_OTHER, &"/welcome".parse().unwrap())
        );
        assert_eq!(back(&answer).await.status(), StatusCode::BAD_REQUEST, "replayed");
        client.get("/welcome").await;
        assert!(client.get("/").await.text().contains("<h1>Hello Ada</h1> <p>Cart: tea</p>"), "{mode}");
        assert_eq!(client.cookie_names(), ["__Host-session"]);

        authorize(&client, mode).await;
        assert_eq!(back(&answer).await.status(), StatusCode::BAD_REQUEST, "the state of another log-in");
        let [_, (_, state)] = authorize(&client, mode).await;
        assert_eq!(back(&[("code", "forged"), ("state", &state)]).await.status(), StatusCode::BAD_REQUEST);
    }
}

#[test]
fn a_log_in_at_another_site_keeps_the_cart_in_a_browser() {
    in_a_browser(async |browser| {
        // Each on a host of its own, so that neither finds the cookies of the other.
        for (way, host) in [("#get", "127.1.0.1"), ("#post", "127.1.0.2")] {
            log_in_elsewhere(browser, way, host).await?;
        }
        Ok(())
    });
}

/// Logs in at a provider on another site, with something in the cart.
async fn log_in_elsewhere(browser: &Browser, way: &str, host: &str) -> Outcome {
    let [shop, other] = [host, "127.0.0.1"].map(|host| std::net::TcpListener::bind((host, 0)).unwrap());
    let port = |listener: &std::net::TcpListener| listener.local_addr().unwrap().port();
    let sites = sites(&format!("http://{host}:{}", port(&shop)), &format!("http://localhost:{}", port(&other)));
    let apps =
        [(shop, oauth::app(layer().insecure_over_http(), sites.clone())), (other, oauth::provider(sites.clone()))];
    for (listener, app) in apps {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        tokio::spawn(axum::serve(listener, app).into_future());
    }
    browser.open(&sites.shop).await?;
    browser.follow("a[href='/add']").await?;
    browser.follow(way).await?;
    browser.follow("button").await?;
    assert_eq!((browser.text("h1").await?, browser.text("p").await?), ("Hello Ada".to_owned(), "Cart: tea".to_owned()));
    assert_eq!(browser.cookie_names().await?, ["session"]);
    browser.open(&format!("{}/callback?code=x&state=forged", sites.shop)).await?;
    assert!(browser.source().await?.contains("This log-in was not begun here."));
    Ok(())
}

/// Sends a form as a browser does from a page of `origin`.
async fn post_from(client: &Client, path: &str, origin: &str, site: Option<&str>, form: &str) -> TestResponse {
    let request = Request::post(path)
        .header(header::HOST, "shop.example")
        .header(header::ORIGIN, origin)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let request = site.into_iter().fold(request, |request, site| request.header("sec-fetch-site", site));
    client.send(request.body(Body::from(form.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_log_in_from_another_site_is_refused_and_sets_no_cookie() {
    let evil = "https://evil.example";
    for (app, form) in
        [(login::app(layer()), "user=mallory"), (session_examples::app(layer()), "user=mallory&password=x")]
    {
        let client = client(app);
        for site in [Some("cross-site"), Some("same-site"), None] {
            let refused = post_from(&client, "/login", evil, site, form).await;
            assert_eq!((refused.status(), refused.set_cookies()), (StatusCode::FORBIDDEN, vec![]), "{site:?}");
        }
        for site in [Some("same-origin"), None] {
            let accepted = post_from(&client, "/login", "https://shop.example", site, form).await;
            assert_eq!(accepted.status(), StatusCode::SEE_OTHER, "{site:?}");
        }
        let session = client.cookie("__Host-session");
        let refused = post_from(&client, "/logout", evil, Some("cross-site"), "").await;
        assert_eq!((refused.status(), client.cookie("__Host-session")), (StatusCode::FORBIDDEN, session));
    }
}

#[tokio::test]
async fn a_callback_from_the_provider_passes_and_no_other_path() {
    let client = client(oauth::app(layer(), sites("https://shop.example", "https://id.example")));
    let [(_, code), (_, state)] = authorize(&client, "form_post").await;
    let (form, provider) = (format!("code={code}&state={state}"), "https://id.example");
    let answer = async |path| post_from(&client, path, provider, Some("cross-site"), &form).await.status();
    assert_eq!(answer("/welcome").await, StatusCode::FORBIDDEN);
    assert_eq!(answer("/callback").await, StatusCode::SEE_OTHER);
    assert_eq!(answer("/callback").await, StatusCode::BAD_REQUEST);
}

/// Two browsers at the example with users, and its database.
async fn at_the_users() -> (Client, Client, SqlitePool) {
    let db = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
    users::set_up(&db).await.unwrap();
    let app = users::app(db.clone(), SessionLayer::stored(MemoryStore::new(), keys()));
    (client(app.clone()), client(app), db)
}

async fn location(client: &Client, path: &str) -> String {
    client.get(path).await.headers()["location"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_user_logs_in_and_comes_back_to_the_page_and_permissions_decide() {
    let (ada, bob, _) = at_the_users().await;
    for client in [&ada, &bob] {
        assert_eq!(location(client, "/publish?draft=7").await, "/login");
        assert!(client.get("/login").await.text().starts_with("Please log in first. <form"));
    }
    for (name, password) in [("ada", "wrong"), ("eve", "correct"), ("", "")] {
        let refused = post(&ada, "/login", &[("name", name), ("password", password)]).await;
        assert_eq!(refused.headers()["location"], "/login");
        assert!(ada.get("/login").await.text().starts_with("That log-in did not work."));
    }
    for (client, name) in [(&ada, "ada"), (&bob, "bob")] {
        let logged_in = post(client, "/login", &[("name", name), ("password", "correct")]).await;
        assert_eq!(logged_in.headers()["location"], "/publish?draft=7");
        assert_eq!(client.get("/account").await.text(), format!(" <h1>{name}</h1>"));
    }
    assert_eq!(ada.get("/publish").await.text(), "<h1>ada publishes</h1>");
    assert_eq!(bob.get("/publish").await.status(), StatusCode::FORBIDDEN);
    assert_eq!(post(&ada, "/logout", &[]).await.headers()["location"], "/login");
    assert_eq!(location(&ada, "/account").await, "/login");
    assert_eq!(bob.get("/account").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions_of_the_user() {
    let (laptop, phone, db) = at_the_users().await;
    for client in [&laptop, &phone] {
        post(client, "/login", &[("name", "ada"), ("password", "correct")]).await;
    }
    post(&laptop, "/password", &[("old", "wrong"), ("new", "battery")]).await;
    assert_eq!(laptop.get("/account").await.text(), "That was not the password. <h1>ada</h1>");
    assert_eq!(phone.get("/account").await.status(), StatusCode::OK);
    post(&laptop, "/password", &[("old", "correct"), ("new", "battery")]).await;
    assert_eq!(laptop.get("/account").await.text(), "The password is changed. <h1>ada</h1>");
    assert_eq!(location(&phone, "/account").await, "/login");
    post(&phone, "/login", &[("name", "ada"), ("password", "battery")]).await;
    assert_eq!(phone.get("/account").await.status(), StatusCode::OK);

    // Without a call of `destroy_others`, the hash in the session ends it.
    sqlx::query("UPDATE users SET password_hash = 'changed elsewhere'").execute(&db).await.unwrap();
    for client in [&laptop, &phone] {
        assert_eq!(location(client, "/account").await, "/login");
        assert_eq!(client.cookie_names().iter().filter(|name| name.contains("session")).count(), 0);
    }
}
