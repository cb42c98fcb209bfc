//! Forms with saved values as defaults: which value a field has, in every combination.

use axum::{
    Json, Router,
    routing::{get, post},
};
use serde::Serialize;
use serde_json::{Value, json};
use session_axum::{Flash, SessionResponseExt, testing::TestSession};

use crate::support::app::{client, layer};

#[derive(Serialize)]
struct Saved {
    id: u32,
    name: Option<&'static str>,
    bio: Option<&'static str>,
    newsletter: bool,
    agreed: Option<&'static str>,
    tags: Vec<&'static str>,
    address: Address,
    password: &'static str,
}

#[derive(Serialize)]
struct Address {
    city: &'static str,
}

const fn saved() -> Saved {
    let address = Address { city: "Bonn" };
    let (name, bio, agreed) = (Some("Ada"), None, Some("on"));
    Saved { id: 7, name, bio, newsletter: true, agreed, tags: Vec::new(), address, password: "hunter2" }
}

fn with_tags() -> Saved {
    Saved { tags: vec!["a", "b"], ..saved() }
}

/// What a page shows of a form, if `flash` is pending.
async fn shown(flash: impl FnOnce(TestSession) -> TestSession, read: fn(&Flash) -> Value) -> Value {
    let layer = layer();
    let page = get(move |flash: Flash| async move { Json(read(&flash)) });
    let client = client(Router::new().route("/", page).layer(layer.clone()));
    client.enter(&flash(TestSession::new(&layer)));
    serde_json::from_str(&client.get("/").await.text()).unwrap()
}

fn values(flash: &Flash) -> Value {
    json!(flash.input().or(&with_tags()))
}

#[tokio::test]
async fn without_a_refused_form_all_values_are_the_saved_ones() {
    let expected = json!({
        "id": "7", "name": "Ada", "newsletter": "true", "agreed": "on", "tags": ["a", "b"], "address[city]": "Bonn"
    });
    assert_eq!(shown(|flash| flash, values).await, expected);
    assert_eq!(shown(|flash| flash.input(&[("user", "other form")]), values).await, expected);
    assert_eq!(shown(|flash| flash.errors([("name", "is taken")]), values).await, expected);
}

#[tokio::test]
async fn what_was_typed_takes_the_place_of_what_is_saved() {
    let form =
        [("name", ""), ("bio", "x"), ("newsletter", "true"), ("tags", "c"), ("address[city]", "Rome"), ("more", "y")];
    let expected = json!({
        "id": "7", "name": "", "bio": "x", "newsletter": "true", "tags": ["c"], "address[city]": "Rome", "more": "y"
    });
    let lists =
        json!({"name": "", "bio": "x", "newsletter": true, "tags": ["c"], "address": {"city": "Rome"}, "more": "y"});
    let mut of_pairs = expected.clone();
    of_pairs["tags"] = json!("c");
    assert_eq!(shown(|flash| flash.input(&form), values).await, of_pairs);
    assert_eq!(shown(|flash| flash.input(&lists), values).await, expected);
}

#[tokio::test]
async fn a_cleared_checkbox_or_list_stays_cleared() {
    let typed = shown(|flash| flash.input(&[("name", "Ann")]), values).await;
    assert_eq!(typed, json!({"id": "7", "name": "Ann", "tags": [], "address[city]": "Bonn"}));
}

#[tokio::test]
async fn a_field_that_had_no_room_keeps_the_saved_value() {
    let read = |flash: &Flash| json!(flash.input().or(&[("name", "Ada"), ("bio", "old")]));
    let refuse = post(|| async { "".with_input(&[("name", "Ann".to_owned()), ("bio", "b".repeat(5_000))]) });
    let page = get(move |flash: Flash| async move { Json(read(&flash)) });
    let client = client(Router::new().route("/", page.merge(refuse)).layer(layer()));
    client.post("/").await;
    assert_eq!(client.get("/").await.text(), r#"{"bio":"old","name":"Ann"}"#);
}

#[tokio::test]
async fn a_password_is_never_a_default() {
    let read = |flash: &Flash| {
        let form = flash.form(&saved());
        json!([form.field("password").value, form.values().get("password"), json!(form)["password"]])
    };
    let nothing = json!({"name": "password", "value": "", "values": [], "errors": []});
    assert_eq!(shown(|flash| flash, read).await, json!(["", null, nothing]));
}

#[tokio::test]
async fn a_form_has_each_saved_field_with_its_values_and_errors() {
    let read = |flash: &Flash| json!(flash.form(&saved()));
    let errors = [("name", "is required"), ("other", "is odd"), ("", "Try again"), ("name", "is short")];
    let form = shown(|flash| flash.input(&[("name", "")]).errors(errors), read).await;
    let field = |name: &str, value: &str, values: &[&str], errors: &[&str]| json!({"name": name, "value": value, "values": values, "errors": errors});
    assert_eq!(form["name"], field("name", "", &[""], &["is required", "is short"]));
    assert_eq!(form["bio"], field("bio", "", &[], &[]));
    assert_eq!(form["address[city]"], field("address[city]", "Bonn", &["Bonn"], &[]));
    assert_eq!(form["newsletter"], field("newsletter", "", &[], &[]));
    assert_eq!(form["other"], field("other", "", &[], &["is odd"]));
    assert_eq!(form[""], field("", "", &[], &["Try again"]));
    assert_eq!(form.as_object().unwrap().len(), 10);
}

#[tokio::test]
async fn a_form_without_saved_values_is_what_was_typed() {
    let read = |flash: &Flash| json!(flash.input().or(&()));
    assert_eq!(shown(|flash| flash, read).await, json!({}));
    assert_eq!(shown(|flash| flash.input(&[("a", "1"), ("a", "2")]), read).await, json!({"a": ["1", "2"]}));
}

#[tokio::test]
async fn reading_a_form_takes_it_and_leaves_messages() {
    let layer = layer();
    let page = get(|flash: Flash| async move {
        let form = flash.form(&saved());
        form.field("name").value.to_owned() + form.errors().get("name").unwrap_or_default()
    });
    let client = client(Router::new().route("/", page).layer(layer.clone()));
    let flash = TestSession::new(&layer).input(&[("name", "Ann")]).errors([("name", " is taken")]).flash("a", "1");
    client.enter(&flash);
    assert_eq!([client.get("/").await.text(), client.get("/").await.text()], ["Ann is taken", "Ada"]);
    assert_eq!(TestSession::of_client(&layer, &client).messages().get_all("a"), ["1"]);
}
