//! In a real Chromium: what people and their browsers do to sessions and messages.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde_json::json;
use session_axum::{Error, Flash, Keys, Session, SessionLayer, SessionResponseExt};
use tokio::sync::Barrier;

use crate::support::browser::{Browser, LEAVING, Outcome, in_a_browser, in_a_browser_that_asks_again, on_a_phone};

#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../examples/htmx.rs"]
mod htmx;

/// A page that shows the messages and who is connected, and pages around it that do not.
fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/quiet", get(quiet))
        .route("/picture", get(picture))
        .route("/poll", get(poll))
        .route("/save", post(save))
        .route("/together/{text}", post(together))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .layer(layer)
        .with_state(Arc::new(Barrier::new(2)))
}

async fn home(session: Session, flash: Flash) -> Result<Html<String>, Error> {
    let who = session.get::<String>("connected")?.unwrap_or_else(|| "nobody".to_owned());
    let messages: String = flash.iter().map(|(key, text)| format!("<p class={key}>{text}</p>")).collect();
    Ok(Html(format!("<!doctype html><b>{who}</b>{messages}{FORMS}")))
}

const FORMS: &str = "
    <form action=/save method=post><button id=save>Save</button></form>
    <form action=/login method=post><button id=login>Log in</button></form>
    <form action=/logout method=post><button id=logout>Log out</button></form>
    <a href=/quiet>Quiet</a>";

async fn quiet() -> Html<&'static str> {
    Html("<!doctype html><h1>Quiet</h1><img src=/picture><a href=/>Home</a>")
}

async fn picture() -> impl IntoResponse {
    ([("content-type", "image/svg+xml")], "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>")
}

async fn poll(session: Session) -> Result<String, Error> {
    Ok(session.update("polls", |polls: Option<u32>| polls.unwrap_or(0) + 1).await?.to_string())
}

async fn save() -> Response {
    Redirect::to("/").flashing(("success", "saved"))
}

/// Answers when two requests are here, so that neither could know of the other's message.
async fn together(State(both): State<Arc<Barrier>>, Path(text): Path<String>) -> Response {
    both.wait().await;
    Redirect::to("/quiet").flashing(("success", text))
}

async fn login(session: Session) -> Result<Response, Error> {
    session.renew();
    session.insert("connected", "user@example.com")?;
    Ok(Redirect::to("/").into_response())
}

async fn logout() -> Response {
    Redirect::to("/").with_new_session()
}

/// A laptop's layer: any browser takes its cookies over plain HTTP.
fn plain() -> SessionLayer {
    SessionLayer::signed(Keys::generate()).insecure_over_http()
}

async fn visit(browser: &Browser, layer: SessionLayer) -> Outcome<String> {
    let url = browser.serve(app(layer)).await;
    browser.open(&url).await?;
    Ok(url)
}

#[test]
fn a_message_is_shown_once_after_the_redirect_and_gone_after_a_reload() {
    in_a_browser(async |browser| {
        let url = visit(browser, plain()).await?;
        assert_eq!(browser.texts(".success").await?, [""; 0]);
        browser.follow("#save").await?;
        assert_eq!(browser.texts(".success").await?, ["saved"]);
        assert_eq!(browser.url().await?, format!("{url}/"));
        browser.reload().await?;
        assert_eq!(browser.texts(".success").await?, [""; 0]);
        assert_eq!(browser.cookie_names().await?, [""; 0]);
        Ok(())
    });
}

#[test]
fn two_tabs_that_flash_at_the_same_moment_lose_neither_message() {
    in_a_browser(async |browser| {
        let url = visit(browser, plain()).await?;
        let tabs = browser.two_tabs().await?;
        for (tab, text) in tabs.iter().zip(["one", "two"]) {
            browser.turn_to(tab).await?;
            browser.open(&url).await?;
            // Later, so that this tab is not yet on its way when the next command comes.
            browser
                .run(&format!(
                    "{LEAVING}
                     const form = document.forms[0];
                     form.action = '/together/{text}';
                     setTimeout(() => form.submit(), 300)"
                ))
                .await?;
        }
        for tab in &tabs {
            browser.turn_to(tab).await?;
            browser.arrive().await;
            assert_eq!(browser.text("h1").await?, "Quiet");
        }
        browser.close_for(&tabs[0]).await?;
        browser.open(&url).await?;
        let mut shown = browser.texts(".success").await?;
        shown.sort();
        assert_eq!(shown, ["one", "two"]);
        browser.reload().await?;
        assert_eq!(browser.texts(".success").await?, [""; 0]);
        Ok(())
    });
}

#[test]
fn images_and_background_fetches_do_not_eat_a_message() {
    in_a_browser(async |browser| {
        let url = visit(browser, plain()).await?;
        browser.open(&format!("{url}/quiet")).await?;
        let polls = browser
            .run(
                "await fetch('/save', { method: 'POST', redirect: 'manual' });
                 const image = new Image();
                 image.src = '/picture?again';
                 await image.decode();
                 await Promise.all([fetch('/poll'), fetch('/nowhere'), fetch('/', { method: 'HEAD' })]);
                 return await (await fetch('/poll')).text()",
            )
            .await?;
        assert_eq!(polls, "2");
        browser.reload().await?;
        browser.follow("a").await?;
        assert_eq!(browser.texts(".success").await?, ["saved"]);
        Ok(())
    });
}

#[test]
fn a_page_that_the_browser_fetches_ahead_does_not_eat_a_message() {
    in_a_browser(async |browser| {
        let url = visit(browser, plain()).await?;
        browser.open(&format!("{url}/quiet")).await?;
        browser
            .run(
                "await fetch('/save', { method: 'POST', redirect: 'manual' });
                 const ahead = Object.assign(document.createElement('link'), { rel: 'prefetch', href: '/' });
                 const fetched = new Promise(resolve => ahead.onload = resolve);
                 document.head.append(ahead);
                 await fetched",
            )
            .await?;
        browser.follow("a").await?;
        assert_eq!(browser.texts(".success").await?, ["saved"]);
        browser.reload().await?;
        assert_eq!(browser.texts(".success").await?, [""; 0]);
        Ok(())
    });
}

#[test]
fn going_back_shows_no_message_again() {
    in_a_browser_that_asks_again(async |browser| {
        visit(browser, plain()).await?;
        browser.follow("#save").await?;
        assert_eq!(browser.texts(".success").await?, ["saved"]);
        browser.follow("a").await?;
        assert_eq!(browser.text("h1").await?, "Quiet");
        browser.go_back().await?;
        assert_eq!(browser.text("b").await?, "nobody");
        assert_eq!(browser.texts(".success").await?, [""; 0]);
        Ok(())
    });
}

#[test]
fn a_form_that_is_sent_twice_shows_its_message_and_leaves_none() {
    in_a_browser(async |browser| {
        visit(browser, plain()).await?;
        browser.run(LEAVING).await?;
        browser
            .run("const button = document.getElementById('save'); button.click(); setTimeout(() => button.click())")
            .await?;
        browser.arrive().await;
        let shown = browser.texts(".success").await?;
        assert!(!shown.is_empty() && shown.iter().all(|text| text == "saved"), "{shown:?}");
        browser.reload().await?;
        assert_eq!(browser.texts(".success").await?, [""; 0]);
        Ok(())
    });
}

#[test]
fn a_log_out_logs_out_also_for_who_goes_back() {
    in_a_browser(async |browser| {
        visit(browser, plain()).await?;
        browser.follow("#login").await?;
        assert_eq!(browser.text("b").await?, "user@example.com");
        browser.follow("a").await?;
        browser.follow("a").await?;
        assert_eq!(browser.text("b").await?, "user@example.com");
        assert_eq!(browser.cookie_names().await?, ["session"]);
        browser.follow("#logout").await?;
        assert_eq!(browser.text("b").await?, "nobody");
        assert_eq!(browser.cookie_names().await?, [""; 0]);
        for _ in 0..2 {
            browser.go_back().await?;
            assert_ne!(browser.texts("b").await?, ["user@example.com"]);
        }
        Ok(())
    });
}

#[test]
fn the_secure_default_cookies_work_on_localhost_without_tls() {
    in_a_browser(async |browser| {
        let url = browser.serve(app(SessionLayer::signed(Keys::generate()))).await;
        let (_, port) = url.rsplit_once(':').unwrap();
        for host in ["localhost", "127.0.0.1"] {
            browser.open(&format!("http://{host}:{port}")).await?;
            browser.follow("#login").await?;
            assert_eq!(browser.text("b").await?, "user@example.com", "{host}");
            assert_eq!(browser.cookie_names().await?, ["__Host-session"]);
            browser.follow("#save").await?;
            assert_eq!(browser.texts(".success").await?, ["saved"]);
            browser.follow("#logout").await?;
            assert_eq!(browser.cookie_names().await?, [""; 0]);
        }
        Ok(())
    });
}

#[test]
fn a_page_cannot_read_its_cookies() {
    in_a_browser(async |browser| {
        visit(browser, plain()).await?;
        browser.follow("#login").await?;
        let seen =
            browser.run("await fetch('/save', { method: 'POST', redirect: 'manual' }); return document.cookie").await?;
        assert_eq!(seen, "");
        assert_eq!(browser.cookie_names().await?.len(), 2);
        Ok(())
    });
}

#[test]
fn the_settings_example_on_a_desktop() {
    in_a_browser(walk_through_the_settings);
}

#[test]
fn the_settings_example_on_a_phone() {
    on_a_phone(walk_through_the_settings);
}

async fn walk_through_the_settings(browser: &Browser) -> Outcome {
    let url = browser.serve(session_examples::app(plain())).await;
    browser.open(&url).await?;
    assert_eq!(browser.text("h1").await?, "Sessions and flash messages for axum");
    assert_eq!(browser.text("#visits").await?, "1");

    browser.type_into("#email", "ada@example.com").await?;
    browser.follow("form[action='/settings'] button").await?;
    assert_eq!(browser.texts("[role=alert]").await?, ["Settings invalid!"]);
    assert_eq!(browser.text("#display_name-mistake").await?, "Enter the name you want to be called by.");
    assert_eq!(browser.attribute("#display_name", "aria-invalid").await?, "true");
    assert_eq!(browser.attribute("#display_name", "aria-describedby").await?, "display_name-mistake");
    assert_eq!(browser.value("#email").await?, "ada@example.com");
    assert_fits(browser).await?;

    browser.type_into("#display_name", "<b>Ada</b> & co.").await?;
    browser.click("[data-colour=plum] input").await?;
    browser.follow("form[action='/settings'] button").await?;
    assert_eq!(browser.texts("[role=status]").await?, ["Settings saved!"]);
    assert_eq!(browser.texts("[role=alert], .mistake").await?, [""; 0]);
    browser.reload().await?;
    assert_eq!(browser.texts("[role=status]").await?, [""; 0]);
    assert_eq!(browser.value("#display_name").await?, "<b>Ada</b> & co.");
    assert_eq!(browser.value("#email").await?, "ada@example.com");
    assert_eq!(browser.value("[name=colour]:checked").await?, "plum");
    assert_eq!(browser.text("#visits").await?, "4");

    browser.type_into("#password", "a-password").await?;
    browser.click("[name=remember]").await?;
    browser.follow("form[action='/login'] button").await?;
    assert!(browser.url().await?.ends_with("/login"), "without a redirect");
    assert_eq!(browser.text("#user-mistake").await?, "Enter a name: any will do.");
    assert_eq!(browser.attribute("#user", "aria-invalid").await?, "true");
    assert_fits(browser).await?;
    assert_eq!(browser.value("#password").await?, "");
    assert_eq!(browser.texts("[name=remember]:checked").await?.len(), 1);
    browser.type_into("#user", "Ada").await?;
    browser.follow("form[action='/login'] button").await?;
    assert_eq!(browser.text("h1").await?, "Hello Ada");
    assert_eq!(browser.value("#display_name").await?, "<b>Ada</b> & co.");
    assert!(browser.cookie("session").await?.expires().is_some(), "remembered");
    assert_fits(browser).await?;

    assert_eq!(browser.texts("dt").await?, ["connected", "settings", "visits"]);
    let sent = browser.cookie("session").await?;
    browser.reload().await?;
    let size = "session".len() + sent.value().len();
    assert_eq!(browser.text("label[for=bytes]").await?, format!("The cookie takes {size} of 4096 bytes."));

    browser.follow("form[action='/logout'] button").await?;
    assert_eq!(browser.text("h1").await?, "Sessions and flash messages for axum");
    assert_eq!(browser.texts("[role=status]").await?, ["You are logged out."]);
    assert_eq!(browser.text("#visits").await?, "1");
    assert_eq!(browser.value("#display_name").await?, "");
    assert!(!browser.source().await?.contains("<script"), "it works without scripts");
    Ok(())
}

#[test]
fn the_htmx_example_deletes_with_a_toast_and_redirects_by_header() {
    in_a_browser(async |browser| {
        browser.open(&browser.serve(htmx::app(plain())).await).await?;
        browser.follow("#fill").await?;
        assert_eq!(browser.texts("[role=status]").await?, ["The basket is full."]);
        assert_eq!(browser.texts("li").await?, ["Tea Delete", "Honey Delete", "Crème brûlée Delete"]);

        browser.click("li:nth-child(3) button").await?;
        browser.wait_for("#toasts .success").await;
        assert_eq!(browser.texts("#toasts p").await?, ["Crème brûlée is deleted. Undo"]);
        browser.click("li:nth-child(1) button").await?;
        browser.wait_for("#toasts .success:nth-child(2)").await;
        assert_eq!(browser.texts("#toasts p").await?, ["Crème brûlée is deleted. Undo", "Tea is deleted. Undo"]);
        assert_eq!(browser.texts("li").await?, ["Honey Delete"]);
        assert_eq!(browser.cookie_names().await?, ["session"], "a toast leaves no message for the next page");

        browser.follow("#toasts p:nth-child(2) button").await?;
        assert_eq!(browser.texts("[role=status]").await?, ["Tea is back."]);
        assert_eq!(browser.texts("li").await?, ["Honey Delete", "Tea Delete"]);
        browser.reload().await?;
        assert_eq!(browser.texts("[role=status], #toasts p").await?, [""; 0]);
        Ok(())
    });
}

#[test]
fn a_message_that_waits_for_a_page_is_not_taken_by_a_redirect_of_htmx() {
    in_a_browser(async |browser| {
        browser.open(&browser.serve(htmx::app(plain())).await).await?;
        browser.follow("#fill").await?;
        browser.run("await fetch('/', { method: 'POST', redirect: 'manual' })").await?;
        browser.click("li:nth-child(1) button").await?;
        browser.wait_for("#toasts .success").await;
        browser.follow("#toasts button").await?;
        assert_eq!(browser.texts("[role=status]").await?, ["The basket is full.", "Tea is back."]);
        Ok(())
    });
}

/// Nothing sticks out to the side, and what is to be touched is large enough for a finger.
async fn assert_fits(browser: &Browser) -> Outcome {
    let small = browser
        .run(
            "const touched = [...document.querySelectorAll('button, label:has(> input), .field > input')];
             return [document.documentElement.scrollWidth > innerWidth,
                     touched.filter(element => element.offsetHeight < 44).map(element => element.outerHTML)]",
        )
        .await?;
    assert_eq!(small, json!([false, []]));
    Ok(())
}
