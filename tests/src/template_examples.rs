//! The examples with a form, one for each template engine. The form has every kind of input. It is filled in, saved,
//! refused, shown again, corrected and saved.

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use serde_json::{Value, json};
use session_axum::{SessionLayer, testing::Client};

use crate::support::{
    app::{client, layer},
    browser::{Browser, Outcome, in_a_browser},
};

#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../examples/flash_askama.rs"]
mod flash_askama;
#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../examples/flash_maud.rs"]
mod flash_maud;
#[expect(dead_code, reason = "`main` is not called")]
#[path = "../../examples/flash_minijinja.rs"]
mod flash_minijinja;

type App = fn(SessionLayer) -> Router;

const APPS: [(&str, App); 3] =
    [("askama", flash_askama::app), ("maud", flash_maud::app), ("minijinja", flash_minijinja::app)];

#[test]
fn the_askama_example_in_a_browser() {
    in_a_browser(async |browser| walk(browser, flash_askama::app).await);
}

#[test]
fn the_maud_example_in_a_browser() {
    in_a_browser(async |browser| walk(browser, flash_maud::app).await);
}

#[test]
fn the_minijinja_example_in_a_browser() {
    in_a_browser(async |browser| walk(browser, flash_minijinja::app).await);
}

async fn walk(browser: &Browser, app: App) -> Outcome {
    browser.open(&browser.serve(app(layer().insecure_over_http())).await).await?;
    assert_eq!(browser.text("h1").await?, "Hello stranger");
    assert_eq!(held(browser).await?, json!([["name", ""], ["age", ""], ["born", ""], ["address[city]", ""]]));

    browser.type_into("[name=name]", "Ada <1>").await?;
    browser.type_into("[name=age]", "36").await?;
    browser.type_into("[name='address[city]']", "London").await?;
    browser.run("document.querySelector('[name=born]').value = '1815-12-10'").await?;
    browser.click("[name=newsletter]").await?;
    browser.click("[name=plan][value=pro]").await?;
    choose(browser, &["Go", "Rust"]).await?;
    browser.follow("button").await?;
    let saved = json!([
        ["name", "Ada <1>"],
        ["age", "36"],
        ["born", "1815-12-10"],
        ["address[city]", "London"],
        ["newsletter", "true"],
        ["plan", "pro"],
        ["languages", "Go"],
        ["languages", "Rust"]
    ]);
    assert_eq!(browser.texts("[role=status], li").await?, ["Saved."]);
    assert_eq!((browser.text("h1").await?, held(browser).await?), ("Hello Ada <1>".to_owned(), saved.clone()));
    browser.reload().await?;
    assert_eq!(browser.texts("[role=status], li").await?, [""; 0]);
    assert_eq!(held(browser).await?, saved);

    browser.type_into("[name=name]", "").await?;
    browser.type_into("[name=age]", "999").await?;
    browser.type_into("[name='address[city]']", "Paris").await?;
    browser.click("[name=newsletter]").await?;
    browser.click("[name=plan][value=free]").await?;
    choose(browser, &[]).await?;
    browser.follow("button").await?;
    let mistakes =
        ["Please tell us your name.", "An age is a number up to 255.", "Please choose at least one language."];
    assert_eq!(browser.texts("[role=status], li").await?, mistakes);
    assert_eq!(browser.attribute("[name=age]", "aria-invalid").await?, "true");
    assert_eq!(browser.attribute("[name=age]", "aria-describedby").await?, "age-mistakes");
    assert_eq!(browser.attribute("[name='address[city]']", "aria-invalid").await?, "");
    assert_eq!(browser.text("h1").await?, "Hello Ada <1>");
    let typed = [["name", ""], ["age", "999"], ["born", "1815-12-10"], ["address[city]", "Paris"], ["plan", "free"]];
    assert_eq!(held(browser).await?, json!(typed));

    browser.type_into("[name=name]", "Grace").await?;
    browser.type_into("[name=age]", "40").await?;
    choose(browser, &["Python"]).await?;
    browser.follow("button").await?;
    let corrected = json!([
        ["name", "Grace"],
        ["age", "40"],
        ["born", "1815-12-10"],
        ["address[city]", "Paris"],
        ["plan", "free"],
        ["languages", "Python"]
    ]);
    assert_eq!(browser.texts("[role=status], li").await?, ["Saved."]);
    browser.reload().await?;
    assert_eq!((browser.text("h1").await?, held(browser).await?), ("Hello Grace".to_owned(), corrected));
    Ok(())
}

/// What the browser would send: the names and values of the form, without the file.
async fn held(browser: &Browser) -> Outcome<Value> {
    browser.run("return [...new FormData(document.forms[0])].filter(([, value]) => typeof value === 'string')").await
}

async fn choose(browser: &Browser, languages: &[&str]) -> Outcome {
    let options = "for (const option of document.querySelectorAll('option'))";
    browser.run(&format!("{options} option.selected = {}.includes(option.text)", json!(languages))).await.map(drop)
}

/// Sends the form with a file beside it.
async fn post(client: &Client, fields: &[(&str, &str)]) {
    let part = |(name, text): &(&str, &str)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    };
    let file = "--x\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"a.png\"\r\n\r\nPNG\r\n--x--\r\n";
    let body = fields.iter().map(part).collect::<String>() + file;
    let request = Request::post("/").header(header::CONTENT_TYPE, "multipart/form-data; boundary=x");
    let response = client.send(request.body(Body::from(body)).unwrap()).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_file_beside_the_form_is_no_value_of_it() {
    for (engine, app) in APPS {
        let client = client(app(layer()));
        post(&client, &[("name", "Ada"), ("born", "soon"), ("plan", "pro"), ("languages", "Go")]).await;
        let page = client.get("/").await;
        assert!(page.text().contains(r#"name="name" value="Ada""#), "{engine}: {}", page.text());
        assert!(page.text().contains("A date looks like 1815-12-10."), "{engine}");
        assert!(!page.text().contains("PNG") && !page.text().contains("a.png"), "{engine}");
    }
}

#[tokio::test]
async fn what_was_typed_is_escaped() {
    for (engine, app) in APPS {
        let client = client(app(layer()));
        post(&client, &[("name", "\"><script>"), ("age", "<b>")]).await;
        let page = client.get("/").await;
        assert!(!page.text().contains("<script>") && !page.text().contains("<b>"), "{engine}: {}", page.text());
    }
}
