//! The form that survives a redirect: its values, its errors, what is left out, and what a template makes of it.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use askama::Template as _;
use axum::{
    Form, Json, Router,
    body::Body,
    extract::{Multipart, Query},
    http::{Method, Request, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use axum_extra::extract::Form as ListForm;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use garde::Validate as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use session_axum::{
    Flash, Session, SessionLayer, SessionResponseExt,
    response::{WithErrors, WithInput},
    testing::{Client, TestSession},
};
use validator::Validate as _;

use crate::support::{
    app::{client, keys, layer, timed_layer},
    logs::Logs,
};

#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
struct Settings {
    name: String,
    #[serde(default)]
    password: String,
}

fn ann() -> Settings {
    Settings { name: "Ann".into(), password: "hunter2".into() }
}

/// All that the next page has of a form.
async fn form_page(flash: Flash) -> Json<serde_json::Value> {
    let (input, errors) = (flash.input(), flash.errors());
    Json(json!({"input": input, "errors": errors, "dropped": input.dropped()}))
}

async fn next_page(client: &Client) -> serde_json::Value {
    serde_json::from_str(&client.get("/page").await.text()).unwrap()
}

/// What the next page has after a response.
async fn carried(respond: impl Fn() -> Response + Clone + Send + Sync + 'static) -> serde_json::Value {
    let app = Router::new().route("/page", get(form_page)).route("/", post(move || async move { respond() }));
    let client = client(app.layer(layer()));
    client.post("/").await;
    next_page(&client).await
}

async fn carried_input(respond: impl Fn() -> Response + Clone + Send + Sync + 'static) -> serde_json::Value {
    carried(respond).await["input"].take()
}

fn back() -> Redirect {
    Redirect::to("/page")
}

#[tokio::test]
async fn a_struct_a_map_and_pairs_are_forms() {
    let expected = json!({"name": "Ann"});
    assert_eq!(carried_input(|| back().with_input(&ann())).await, expected);
    assert_eq!(carried_input(|| back().with_input(&HashMap::from([("name", "Ann")]))).await, expected);
    assert_eq!(carried_input(|| back().with_input(&BTreeMap::from([("name", "Ann")]))).await, expected);
    assert_eq!(carried_input(|| back().with_input(&[("name", "Ann"), ("password", "x")])).await, expected);
    assert_eq!(carried_input(|| back().with_input(&vec![("name".to_owned(), "Ann".to_owned())])).await, expected);
    assert_eq!(carried_input(|| back().with_input([("name", "Ann")].as_slice())).await, expected);
    assert_eq!(carried_input(|| back().with_input(&json!({"name": "Ann"}))).await, expected);
}

#[tokio::test]
async fn the_extractors_themselves_are_forms() {
    #[derive(Serialize, Deserialize)]
    struct Colours {
        name: String,
        colour: Vec<String>,
    }
    async fn of_axum(form: Form<Settings>) -> Response {
        back().with_input(&form)
    }
    async fn of_axum_extra(form: ListForm<Colours>) -> Response {
        back().with_input(&form)
    }
    async fn of_query(query: Query<HashMap<String, String>>) -> Response {
        back().with_input(&query)
    }
    let app = Router::new()
        .route("/page", get(form_page))
        .route("/axum", post(of_axum))
        .route("/extra", post(of_axum_extra))
        .route("/query", post(of_query));
    let client = client(app.layer(layer()));
    client.post_form("/axum", &[("name", "Ann"), ("password", "x")]).await;
    assert_eq!(next_page(&client).await["input"], json!({"name": "Ann"}));
    client.post_form("/extra", &[("name", "Ann"), ("colour", "red")]).await;
    assert_eq!(next_page(&client).await["input"], json!({"name": "Ann", "colour": ["red"]}));
    client.post("/query?name=Ann&token=x").await;
    assert_eq!(next_page(&client).await["input"], json!({"name": "Ann"}));
}

#[tokio::test]
async fn of_a_multi_part_form_the_texts_travel_and_the_uploads_stay() {
    async fn upload(mut form: Multipart) -> Response {
        let mut texts = Vec::new();
        while let Some(field) = form.next_field().await.unwrap() {
            if field.file_name().is_none() {
                texts.push((field.name().unwrap_or_default().to_owned(), field.text().await.unwrap()));
            }
        }
        back().with_input(&texts)
    }
    let app = Router::new().route("/page", get(form_page)).route("/", post(upload)).layer(layer());
    let client = client(app);
    let part = |head: &str, text: &str| format!("--X\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n");
    let body = part("name=\"title\"", "Cats")
        + &part("name=\"tag\"", "a")
        + &part("name=\"tag\"", "b")
        + &part("name=\"photo\"; filename=\"cat.png\"", "PIXELS")
        + "--X--\r\n";
    let request = Request::post("/").header(header::CONTENT_TYPE, "multipart/form-data; boundary=X");
    client.send(request.body(Body::from(body)).unwrap()).await;
    assert_eq!(next_page(&client).await["input"], json!({"title": "Cats", "tag": ["a", "b"]}));
}

#[tokio::test]
async fn fields_are_chosen_by_name() {
    let form = json!({"name": "Ann", "password": "x", "bio": "..", "tags": ["a"]});
    let (one, two, three, four) = (form.clone(), form.clone(), form.clone(), form);
    let only = carried_input(move || back().with_input_only(&one, ["name", "password"]));
    assert_eq!(only.await, json!({"name": "Ann", "password": "x"}));
    let except = carried_input(move || back().with_input_except(&two, ["bio"]));
    assert_eq!(except.await, json!({"name": "Ann", "tags": ["a"]}));
    let only = carried_input(move || (WithInput::only(&three, ["tags"]), back()).into_response());
    assert_eq!(only.await, json!({"tags": ["a"]}));
    let parts = carried(move || {
        (WithInput::except(&four, ["tags", "bio"]), WithErrors::new([("name", "No.")]), back()).into_response()
    });
    assert_eq!(parts.await, json!({"input": {"name": "Ann"}, "errors": {"name": ["No."]}, "dropped": []}));
}

#[tokio::test]
async fn of_a_value_given_twice_the_later_counts_and_errors_add_up() {
    let page = carried(|| {
        let first = back().with_input(&[("name", "a"), ("mail", "b")]).with_errors([("name", "1")]);
        first.with_input(&[("name", "c")]).with_errors([("name", "2"), ("", "3")])
    });
    let (input, errors) = (json!({"name": "c", "mail": "b"}), json!({"name": ["1", "2"], "": ["3"]}));
    assert_eq!(page.await, json!({"input": input, "errors": errors, "dropped": []}));
}

#[tokio::test]
async fn a_form_sent_again_takes_the_place_of_the_first() {
    let (layer, clock) = timed_layer();
    let client = client(Router::new().route("/page", get(form_page)).layer(layer.clone()));
    client.enter(&TestSession::new(&layer).input(&json!({"name": "", "colour": ["red"]})).errors([("name", "empty")]));
    clock.advance(Duration::from_secs(1));
    client.enter(&TestSession::new(&layer).input(&json!({"name": "Ann", "mail": ""})).errors([("mail", "empty")]));
    let (input, errors) = (json!({"name": "Ann", "mail": ""}), json!({"mail": ["empty"]}));
    assert_eq!(next_page(&client).await, json!({"input": input, "errors": errors, "dropped": []}));
    assert_eq!(next_page(&client).await["input"], json!({}));
}

#[tokio::test]
async fn two_forms_of_two_tabs_do_not_mix() {
    let layer = layer();
    let client = client(Router::new().route("/page", get(form_page)).layer(layer.clone()));
    client.enter(&TestSession::new(&layer).input(&[("name", "Ann")]));
    client.enter(&TestSession::new(&layer).input(&[("mail", "a@b")]).errors([("mail", "No.")]));
    let page = next_page(&client).await;
    assert_eq!(page["input"], json!({"name": "Ann", "mail": "a@b"}));
    assert_eq!(page["errors"], json!({"mail": ["No."]}));
}

/// A form with everything that must not travel.
fn secrets() -> Vec<(&'static str, &'static str)> {
    vec![
        ("name", "Ann"),
        ("password", "CANARY-password"),
        ("password_confirmation", "CANARY-password"),
        ("user[newPassword]", "CANARY-nested"),
        ("csrf_token", "CANARY-csrf"),
        ("api-key", "CANARY-key"),
        ("card_number", "CANARY4111111111111111"),
        ("card[number]", "CANARY4111111111111111"),
        ("cvc", "CANARY123"),
        ("otp", "CANARY456"),
        ("pin", "CANARY789"),
        ("ssn", "CANARY078-05-1120"),
    ]
}

#[tokio::test]
async fn what_is_secret_is_in_no_cookie_no_page_and_no_log() {
    async fn refuse(mut flash: Flash, form: Form<Vec<(String, String)>>) -> Response {
        flash.show(&form, [("password", "is too short")]);
        let shown = serde_json::to_string(&flash.input()).unwrap();
        (StatusCode::UNPROCESSABLE_ENTITY, shown).with_input(&form).with_errors([("password", "is too short")])
    }
    let (logs, _guard) = Logs::capture();
    let client = client(Router::new().route("/page", get(form_page)).route("/", post(refuse)).layer(layer()));
    let refused = client.post_form("/", &secrets()).await;
    assert_eq!(refused.text(), r#"{"name":"Ann"}"#);
    let cookie = refused.set_cookies().join("");
    let payload = URL_SAFE_NO_PAD.decode(cookie.split('.').nth(3).unwrap()).unwrap();
    let payload = String::from_utf8_lossy(&payload[32..]).into_owned();
    assert_eq!(payload, r#"{"$input":{"name":"Ann"},"$errors":{"password":"is too short"}}"#);
    let page = next_page(&client).await.to_string();
    for text in logs.take().into_iter().chain([page, cookie, payload]) {
        assert!(!text.contains("CANARY"), "{text}");
    }
}

#[tokio::test]
async fn sensitive_names_are_whole_words_and_are_not_named_as_dropped() {
    let names = ["token_count", "input_token_count", "secretary", "description", "user_pass", "newPass", "new_pin"];
    let others = ["login_pw", "pass1", "iban", "jwt", "otp", "card number", "api_token", "secret"];
    let form: Vec<_> = names.into_iter().chain(others).map(|name| (name.to_owned(), "x".to_owned())).collect();
    let page = carried(move || back().with_input(&form)).await;
    let kept = json!({"token_count": "x", "input_token_count": "x", "secretary": "x", "description": "x"});
    assert_eq!(page, json!({"input": kept, "errors": {}, "dropped": []}));
}

#[tokio::test]
async fn what_is_typed_into_a_validated_password_stays_in_no_message() {
    #[derive(validator::Validate)]
    struct Login {
        #[validate(length(min = 20))]
        password: String,
    }
    let page = carried(|| back().with_errors(Login { password: "CANARY".into() }.validate().unwrap_err()));
    assert_eq!(page.await["errors"], json!({"password": ["length"]}));
}

#[tokio::test]
async fn of_twenty_kilobytes_the_page_has_what_fits_and_says_what_does_not() {
    async fn refuse(session: Session, flash: Flash, form: Form<BTreeMap<String, String>>) -> Response {
        assert_eq!(session.get::<String>("user").unwrap().as_deref(), Some("ann"));
        flash.error("Too long.");
        back().with_input(&form).with_errors([("bio", "is too long"), ("", "Try again.")])
    }
    let (logs, _guard) = Logs::capture();
    let layer = layer();
    let app = Router::new()
        .route("/page", get(form_page))
        .route("/m", get(|flash: Flash| async move { flash.get("error").unwrap_or("-").to_owned() }));
    let client = client(app.route("/", post(refuse)).layer(layer.clone()));
    client.enter(&TestSession::new(&layer).insert("user", "ann"));
    let session = client.cookie("__Host-session");

    let (bio, letter, note) = ("b".repeat(16_000), "l".repeat(3_000), "n".repeat(1_000));
    let form = [("bio", bio.as_str()), ("letter", &letter), ("note", &note), ("name", "Ann"), ("mail", "a@b")];
    assert_eq!(client.post_form("/", &form).await.status(), StatusCode::SEE_OTHER);
    let page = next_page(&client).await;
    assert_eq!(page["input"], json!({"name": "Ann", "mail": "a@b", "note": note}));
    assert_eq!(page["dropped"], json!(["bio", "letter"]));
    assert_eq!(page["errors"], json!({"bio": ["is too long"], "": ["Try again."]}));
    assert_eq!(client.get("/m").await.text(), "Too long.");
    assert_eq!((client.cookie("__Host-session"), client.cookie_names().len()), (session, 1));
    let logs = logs.take();
    assert!(logs.iter().any(|line| line.contains("its largest fields were left out dropped=2")), "{logs:?}");
    assert!(!logs.iter().any(|line| line.contains("bbbb") || line.contains("llll")), "{logs:?}");
}

#[tokio::test]
async fn a_cookie_is_filled_to_its_last_byte_and_no_further() {
    async fn refuse(form: Form<Vec<(String, String)>>) -> Response {
        back().with_input(&form).with_errors([("name", "No.")])
    }
    for layer in [layer(), SessionLayer::encrypted(keys())] {
        let app = Router::new().route("/", post(refuse)).layer(layer.clone());
        let mut largest = 0;
        for length in 2_850..3_000 {
            let client = client(app.clone());
            let text = "x".repeat(length);
            assert_eq!(client.post_form("/", &[("name", &text)]).await.status(), StatusCode::SEE_OTHER);
            let name = client.cookie_names().remove(0);
            let size = name.len() + client.cookie(&name).unwrap().len();
            let fits = TestSession::of_client(&layer, &client).form_input().get("name") == Some(&text);
            assert!(size <= 4096 && (fits || size < 300), "{length}: {size}");
            largest = largest.max(size);
        }
        assert!(largest >= 4095, "{largest}");
    }
}

#[tokio::test]
async fn a_form_of_twenty_thousand_fields_is_no_burden() {
    let many: Vec<(String, String)> = (0..20_000).map(|number| (format!("f{number}"), "x".to_owned())).collect();
    let page = carried(move || back().with_input(&many).with_errors([("f7", "No.")]));
    let page = page.await;
    assert_eq!(page["errors"], json!({"f7": ["No."]}));
    assert_eq!(page["dropped"].as_array().unwrap().last().unwrap(), "…");
    assert!(page["input"].as_object().unwrap().len() > 100);
}

#[tokio::test]
async fn errors_that_are_too_long_give_way_to_the_others_and_to_messages() {
    let page = carried(|| {
        let errors = [("a", "x".repeat(3_000)), ("b", "y".repeat(2_000)), ("b", "short".to_owned())];
        back().flashing([("error", "No.")]).with_errors(errors).with_input(&[("name", "z".repeat(500))])
    });
    let page = page.await;
    assert_eq!(page["errors"], json!({"b": ["y".repeat(2_000), "short".to_owned()]}));
    assert_eq!((&page["input"], &page["dropped"]), (&json!({}), &json!(["name"])));
}

#[tokio::test]
async fn an_unread_message_is_worth_more_than_a_forms_values() {
    let layer = layer();
    async fn refuse() -> Response {
        back().with_input(&[("bio", "b".repeat(2_000)), ("name", "Ann".to_owned())])
    }
    let read = get(|flash: Flash| async move { flash.get("info").unwrap_or("-").to_owned() });
    let app = Router::new().route("/page", get(form_page)).route("/m", read).route("/", post(refuse));
    let client = client(app.layer(layer.clone()));
    let message = "m".repeat(1_500);
    client.enter(&TestSession::new(&layer).flash("info", &message));
    client.post("/").await;
    let page = next_page(&client).await;
    assert_eq!((&page["input"], &page["dropped"]), (&json!({"name": "Ann"}), &json!(["bio"])));
    assert_eq!(client.get("/m").await.text(), message);
}

mod reports {
    use super::*;

    fn no_spam(name: &str) -> Result<(), validator::ValidationError> {
        if name.contains("spam") { Err(validator::ValidationError::new("no_spam")) } else { Ok(()) }
    }

    fn too_few(_: &Party) -> Result<(), validator::ValidationError> {
        Err(validator::ValidationError::new("few").with_message("too few guests".into()))
    }

    #[derive(validator::Validate)]
    #[validate(schema(function = "too_few", skip_on_field_errors = false))]
    struct Party {
        #[validate(length(min = 20, message = "is too short"), custom(function = "no_spam"))]
        name: String,
        #[validate(nested)]
        place: Place,
        #[validate(nested)]
        guests: Vec<Place>,
    }

    #[derive(validator::Validate)]
    struct Place {
        #[validate(length(min = 1, message = "is missing"))]
        city: String,
    }

    #[tokio::test]
    async fn a_report_of_validator_is_taken_as_it_is() {
        let city = |city: &str| Place { city: city.into() };
        let party = move || Party { name: "spam".into(), place: city(""), guests: vec![city("Rome"), city("")] };
        let page = carried(move || {
            let report = party().validate().unwrap_err();
            back().with_errors(&report)
        });
        let expected = json!({
            "": ["too few guests"],
            "name": ["is too short", "no_spam"],
            "place[city]": ["is missing"],
            "guests[1][city]": ["is missing"],
        });
        assert_eq!(page.await["errors"], expected);
    }

    #[derive(garde::Validate)]
    struct Trip {
        #[garde(length(min = 20), ascii)]
        name: String,
        #[garde(dive)]
        stop: Stop,
        #[garde(dive)]
        stops: Vec<Stop>,
        #[garde(inner(length(min = 2)))]
        tags: Vec<String>,
    }

    #[derive(garde::Validate)]
    struct Stop {
        #[garde(length(min = 1))]
        city: String,
    }

    #[tokio::test]
    async fn a_report_of_garde_is_taken_as_it_is() {
        let stop = |city: &str| Stop { city: city.into() };
        let trip = move || Trip {
            name: "é".into(),
            stop: stop(""),
            stops: vec![stop("Rome"), stop("")],
            tags: vec!["ok".into(), "x".into()],
        };
        let page = carried(move || back().with_errors(trip().validate().unwrap_err()));
        let expected = json!({
            "name": ["not ascii", "length is lower than 20"],
            "stop[city]": ["length is lower than 1"],
            "stops[1][city]": ["length is lower than 1"],
            "tags[1]": ["length is lower than 2"],
        });
        assert_eq!(page.await["errors"], expected);
    }

    #[tokio::test]
    async fn a_report_about_the_whole_has_no_field() {
        let page = carried(|| {
            let mut report = garde::Report::new();
            report.append(garde::Path::empty(), garde::Error::new("No."));
            back().with_errors(&report)
        });
        assert_eq!(page.await["errors"], json!({"": ["No."]}));
    }

    #[tokio::test]
    async fn errors_of_any_iterator_keep_their_order() {
        let page = carried(|| {
            let errors = ["b", "a", "b"].into_iter().enumerate().map(|(number, field)| (field, number.to_string()));
            back().with_errors(errors)
        });
        assert_eq!(page.await["errors"].to_string(), r#"{"a":["1"],"b":["0","2"]}"#);
        let none = carried(|| back().with_errors(Vec::<(String, String)>::new()));
        assert_eq!(none.await["errors"], json!({}));
    }
}

#[tokio::test]
async fn one_call_shows_a_refused_form_without_a_redirect() {
    async fn submit(mut flash: Flash, form: Form<Settings>) -> Response {
        flash.show(&form, [("name", "is taken"), ("", "Try again.")]);
        flash.now("error", "Settings invalid!");
        let texts = (flash.get("error"), flash.input().get("name"), flash.errors().get("name"), flash.errors().get(""));
        (StatusCode::UNPROCESSABLE_ENTITY, format!("{texts:?} {:?}", flash.input().get("password"))).into_response()
    }
    let layer = layer();
    let client = client(Router::new().route("/page", get(form_page)).route("/", post(submit)).layer(layer.clone()));
    let page = client.post_form("/", &[("name", "Ann"), ("password", "x")]).await;
    assert_eq!(page.text(), r#"(Some("Settings invalid!"), Some("Ann"), Some("is taken"), Some("Try again.")) None"#);
    assert_eq!(page.set_cookies(), [""; 0]);

    // What an earlier response left of the same form is out of date, and gone.
    client.enter(&TestSession::new(&layer).input(&[("name", "Bo"), ("mail", "b@c")]));
    let page = client.post_form("/", &[("name", "Ann")]).await;
    assert!(page.text().contains("Ann"));
    assert_eq!(next_page(&client).await["input"], json!({}));
}

#[tokio::test]
async fn the_form_comes_back_as_a_struct() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "its Debug is what the test compares")]
    struct Order {
        count: u8,
        price: f64,
        gift: bool,
        size: Size,
        colour: Vec<String>,
        note: Option<String>,
        #[serde(default)]
        password: String,
    }
    #[derive(Debug, Deserialize)]
    enum Size {
        Small,
    }
    async fn page(flash: Flash) -> String {
        format!("{:?}", flash.input().parse::<Order>())
    }
    let layer = layer();
    let client = client(Router::new().route("/", get(page)).layer(layer.clone()));
    assert_eq!(client.get("/").await.text(), "None");
    let order = [("count", "3"), ("price", "1.5"), ("gift", "on"), ("size", "Small"), ("colour", "red"), ("extra", "")];
    client.enter(&TestSession::new(&layer).input(&order));
    assert_eq!(
        client.get("/").await.text(),
        r#"Some(Order { count: 3, price: 1.5, gift: true, size: Small, colour: ["red"], note: None, password: "" })"#
    );
    client.enter(&TestSession::new(&layer).input(&[("count", "many")]));
    assert_eq!(client.get("/").await.text(), "None");
}

/// Returns what the next page reads of a form.
async fn read_back<T, U>(form: T) -> Option<U>
where
    T: Serialize + Clone + Send + Sync + 'static,
    U: serde::de::DeserializeOwned + Send + 'static,
{
    let (sender, receiver) = std::sync::mpsc::channel();
    let page = move |flash: Flash| async move { sender.send(flash.input().parse::<U>()).unwrap() };
    let save = move || async move { back().with_input(&form) };
    let client = client(Router::new().route("/page", get(page)).route("/", post(save)).layer(layer()));
    client.post("/").await;
    client.get("/page").await;
    receiver.try_recv().unwrap()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Address {
    city: String,
    floor: Option<i8>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Size {
    Small,
    Custom(u16),
    Between { from: u8, to: Option<u8> },
    Box(u8, u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Meal {
    Lunch,
    Dinner,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Payment {
    Invoice { company: String },
    Cash,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Nickname(Option<String>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Party {
    host: String,
    amount: u128,
    balance: i128,
    price: f64,
    ratio: f32,
    initial: char,
    vegan: bool,
    budget: Option<u32>,
    motto: Option<String>,
    place: Address,
    other_place: Option<Address>,
    guests: Vec<Address>,
    tags: Vec<String>,
    scores: Vec<Option<u8>>,
    table: Vec<Vec<i16>>,
    sizes: Vec<Size>,
    size: Size,
    payment: Payment,
    meals: BTreeMap<Meal, u64>,
    seats: BTreeMap<i8, Address>,
    corner: (i8, String),
    detour: (Option<String>, u8, Option<Address>),
    nickname: Nickname,
}

mod random_forms {
    use proptest::{collection, option, prelude::*};

    use super::*;

    fn text() -> impl Strategy<Value = String> {
        proptest::string::string_regex("[ -~é😀\n]{0,8}").unwrap()
    }

    fn address() -> impl Strategy<Value = Address> {
        (text(), any::<Option<i8>>()).prop_map(|(city, floor)| Address { city, floor })
    }

    fn size() -> impl Strategy<Value = Size> {
        prop_oneof![
            Just(Size::Small),
            any::<u16>().prop_map(Size::Custom),
            any::<(u8, Option<u8>)>().prop_map(|(from, to)| Size::Between { from, to }),
            any::<(u8, u8)>().prop_map(|(width, height)| Size::Box(width, height)),
        ]
    }

    fn payment() -> impl Strategy<Value = Payment> {
        prop_oneof![Just(Payment::Cash), text().prop_map(|company| Payment::Invoice { company })]
    }

    fn meal() -> impl Strategy<Value = Meal> {
        prop_oneof![Just(Meal::Lunch), Just(Meal::Dinner)]
    }

    fn party() -> impl Strategy<Value = Party> {
        let numbers = (any::<u128>(), any::<i128>(), proptest::num::f64::ANY, proptest::num::f32::ANY);
        let single = (text(), any::<char>(), any::<bool>(), any::<Option<u32>>(), option::of(text()));
        let places = (address(), option::of(address()), collection::vec(address(), 0..3));
        let lists = (
            collection::vec(text(), 0..3),
            collection::vec(any::<Option<u8>>(), 0..4),
            collection::vec(collection::vec(any::<i16>(), 0..3), 0..3),
            collection::vec(size(), 0..3),
        );
        let maps =
            (collection::btree_map(meal(), any::<u64>(), 0..3), collection::btree_map(any::<i8>(), address(), 0..3));
        let others = (size(), payment(), any::<i8>(), text(), option::of(text()));
        let detour = (option::of(text()), any::<u8>(), address().prop_map(Some));
        let all = (numbers, single, places, lists, maps, others, detour);
        all.prop_map(|(numbers, single, places, lists, maps, others, detour)| Party {
            host: single.0,
            amount: numbers.0,
            balance: numbers.1,
            price: if numbers.2.is_nan() { f64::INFINITY } else { numbers.2 },
            ratio: if numbers.3.is_nan() { f32::MIN_POSITIVE } else { numbers.3 },
            initial: single.1,
            vegan: single.2,
            budget: single.3,
            motto: single.4,
            place: places.0,
            other_place: places.1,
            guests: places.2,
            tags: lists.0,
            scores: lists.1,
            table: lists.2,
            sizes: lists.3,
            size: others.0,
            payment: others.1,
            meals: maps.0,
            seats: maps.1,
            corner: (others.2, others.3),
            detour,
            nickname: Nickname(others.4),
        })
    }

    proptest! {
        #[test]
        fn come_back_as_they_were(party in party()) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let back = runtime.block_on(read_back::<_, Party>(party.clone()));
            prop_assert_eq!(back, Some(party));
        }
    }
}

#[tokio::test]
async fn a_number_of_128_bits_comes_back() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Transfer {
        name: String,
        amount: u128,
        #[serde(flatten)]
        others: Others,
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Others {
        count: u32,
        ratio: f64,
        is_gift: bool,
        debt: i32,
    }
    let others = Others { count: 7, ratio: 1.5, is_gift: true, debt: -3 };
    let transfer = Transfer { name: "ada".into(), amount: u128::MAX, others };
    let form = transfer.clone();
    let input = carried_input(move || back().with_input(&form)).await;
    assert_eq!((&input["name"], &input["amount"]), (&json!("ada"), &json!(u128::MAX.to_string())));
    assert_eq!(read_back(transfer.clone()).await, Some(transfer));
}

#[tokio::test]
async fn an_empty_text_is_an_optional_value_that_is_absent() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Aged {
        name: Option<String>,
        age: Option<u32>,
        size: Option<Size>,
        seats: Vec<Option<u8>>,
    }
    let pairs = |age: &'static str| [("name", ""), ("age", age), ("size", " "), ("seats", ""), ("seats", "7")].to_vec();
    let aged = |age| Aged { name: Some(String::new()), age, size: None, seats: vec![None, Some(7)] };
    assert_eq!(read_back(pairs("")).await, Some(aged(None)));
    assert_eq!(read_back(pairs("36")).await, Some(aged(Some(36))));
    assert_eq!(read_back::<_, Aged>(pairs("old")).await, None);

    #[derive(Debug, PartialEq, Deserialize)]
    struct Seats {
        seats: Vec<Option<u8>>,
        letters: Vec<Option<char>>,
    }
    let letters = [("letters", " "), ("letters", "")];
    let many: Vec<_> = [("seats", ""); 900].into_iter().chain(letters).collect();
    assert_eq!(read_back(many).await, Some(Seats { seats: vec![None; 900], letters: vec![Some(' '), None] }));
}

#[tokio::test]
async fn whole_names_with_brackets_are_fields_and_keys_too() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Whole {
        #[serde(rename = "address[city]")]
        city: String,
    }
    let pairs = vec![("address[city]", "Rome"), ("tags[]", "a"), ("tags[]", "b")];
    assert_eq!(read_back(pairs.clone()).await, Some(Whole { city: "Rome".into() }));
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    assert_eq!(read_back(pairs.clone()).await, Some(pairs.iter().map(owned).collect::<Vec<(String, String)>>()));
    let map = HashMap::from([("address[city]".to_owned(), "Rome".to_owned()), ("tags[]".to_owned(), "b".to_owned())]);
    assert_eq!(read_back(pairs.clone()).await, Some(map));

    #[derive(Debug, PartialEq, Deserialize)]
    struct Nested {
        address: BTreeMap<String, String>,
        tags: Vec<String>,
    }
    let address = BTreeMap::from([("city".to_owned(), "Rome".to_owned())]);
    assert_eq!(read_back(pairs).await, Some(Nested { address, tags: vec!["a".into(), "b".into()] }));
}

#[tokio::test]
async fn hostile_names_are_no_form_and_no_crash() {
    let deep = format!("a{}", "[b]".repeat(900));
    for name in [&deep, "[", "]", "[]", "a[", "a]", "a[[]]", "a][b", "a[b]c", "[][][]", "a[0][", "place[city][x]", "…"]
    {
        let pairs = vec![(name.to_owned(), "x".to_owned()), ("place".to_owned(), "y".to_owned())];
        assert_eq!(read_back::<_, Address>(pairs.clone()).await, None, "{name}");
        assert!(read_back::<_, serde_json::Value>(pairs.clone()).await.is_some(), "{name}");
        assert_eq!(read_back(pairs.clone()).await, Some(pairs), "{name}");
    }
}

#[tokio::test]
async fn the_work_for_a_form_is_bounded() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    #[derive(Clone)]
    struct Leaf;
    impl Serialize for Leaf {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            WRITTEN.fetch_add(1, Ordering::Relaxed);
            serializer.serialize_str("x")
        }
    }
    /// Returns the number of fields that a page can show, their size, and the names of what is too much.
    async fn shown(form: impl Serialize + Clone + Send + Sync + 'static) -> (usize, usize, Vec<String>) {
        let page = move |mut flash: Flash| async move {
            flash.show(&form, [("name", "No.")]);
            form_page(flash).await
        };
        let client = client(Router::new().route("/page", get(page)).layer(layer()));
        let page = next_page(&client).await;
        let fields = page["input"].as_object().unwrap();
        let size = fields.iter().map(|(name, text)| name.len() + text.to_string().len()).sum();
        (fields.len(), size, serde_json::from_value(page["dropped"].clone()).unwrap())
    }
    let many: BTreeMap<String, Vec<Leaf>> = (0..5_000).map(|n| (format!("f{n:04}"), vec![Leaf])).collect();
    let (fields, _, dropped) = shown(many).await;
    assert_eq!((fields, dropped[0].as_str(), dropped.last().unwrap().as_str()), (1_000, "f1000", "…"));
    assert!(WRITTEN.load(Ordering::Relaxed) < 1_200);

    let leaves: BTreeMap<String, String> = (0..1_000).map(|n| (n.to_string(), String::new())).collect();
    let (fields, size, dropped) = shown(BTreeMap::from([("k".repeat(8_000), leaves.clone())])).await;
    assert!(fields == 8 && size <= 65_536, "{fields} {size}");
    assert_eq!(dropped, ["…"]);
    let (fields, _, dropped) = shown(BTreeMap::from([(format!("password{}", "[k]".repeat(3_000)), leaves)])).await;
    assert_eq!((fields, dropped.len()), (0, 1));

    let texts =
        json!({"a": "x".repeat(70_000), "b": vec!["x"; 1_001], "c": vec![json!("x".repeat(9_000)); 9], "d": "x"});
    let (fields, _, dropped) = shown(texts).await;
    assert_eq!((fields, dropped), (1, ["a", "b", "c"].map(str::to_owned).to_vec()));
    let nested = |levels: usize| (0..levels).fold(json!({"leaf": "x"}), |inner, _| json!({"n": inner}));
    assert_eq!(shown(nested(60)).await.0, 1);
    assert_eq!(shown(nested(100)).await.2.len(), 1);
}

#[tokio::test]
async fn reading_the_form_takes_it_and_leaves_the_messages() {
    let layer = layer();
    let client = client(Router::new().route("/page", get(form_page)).layer(layer.clone()));
    client.enter(&TestSession::new(&layer).flash("a", "1").input(&ann()).errors([("name", "No.")]));
    assert_eq!(next_page(&client).await["input"], json!({"name": "Ann"}));
    assert_eq!(next_page(&client).await, json!({"input": {}, "errors": {}, "dropped": []}));
    assert_eq!(TestSession::of_client(&layer, &client).messages().get_all("a"), ["1"]);
}

mod templates {
    use super::*;

    const HOSTILE: &str = "<script>alert(\"1\")</script>' & \r\nSet-Cookie: x=1\0😀";

    fn hostile_flash() -> Client {
        let layer = layer();
        let app = Router::new()
            .route("/minijinja", get(of_minijinja))
            .route("/askama", get(of_askama))
            .route("/maud", get(of_maud))
            .layer(layer.clone());
        let client = client(app);
        let flash = TestSession::new(&layer).flash("success", HOSTILE);
        client.enter(&flash.input(&[("name", HOSTILE)]).errors([("name", HOSTILE)]));
        client
    }

    async fn of_minijinja(flash: Flash) -> Html<String> {
        let page = "<p>{{ flash.success }}</p><ul>{% for m in messages %}<li class={{ m.key }}>{{ m.text }}{% endfor %}</ul>\
                    <input name=name value=\"{{ input.name }}\">{% for error in errors.name %}<b>{{ error }}</b>{% endfor %}{{ errors.none }}";
        let mut templates = minijinja::Environment::new();
        templates.add_template("page.html", page).unwrap();
        let context = minijinja::context! {
            flash => minijinja::value::Serde(&flash),
            messages => minijinja::value::Serde(flash.messages()),
            input => minijinja::value::Serde(flash.input()),
            errors => minijinja::value::Serde(flash.errors()),
        };
        Html(templates.get_template("page.html").unwrap().render(context).unwrap())
    }

    #[derive(askama::Template)]
    #[template(
        ext = "html",
        source = "<p>{{ flash.get(\"success\").unwrap_or_default() }}</p>\
                  <ul>{% for m in flash.messages() %}<li class={{ m.key }}>{{ m.text }}{% endfor %}</ul>\
                  <input name=name value=\"{{ flash.input().get(\"name\").unwrap_or_default() }}\">\
                  {% if let Some(error) = flash.errors().get(\"name\") %}<b>{{ error }}</b>{% endif %}"
    )]
    struct Page<'a> {
        flash: &'a Flash,
    }

    async fn of_askama(flash: Flash) -> Html<String> {
        Html(Page { flash: &flash }.render().unwrap())
    }

    async fn of_maud(flash: Flash) -> maud::Markup {
        let (input, errors) = (flash.input(), flash.errors());
        maud::html! {
            p { (flash.get("success").unwrap_or_default()) }
            ul { @for m in flash.messages() { li class=(m.key) { (m.text) } } }
            input name="name" value=(input.get("name").unwrap_or_default());
            @if let Some(error) = errors.get("name") { b { (error) } }
        }
    }

    /// The text as a browser reads it back.
    fn unescape(html: &str) -> String {
        let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&#x27;", "'")];
        let numbered = [("&#60;", "<"), ("&#62;", ">"), ("&#x2f;", "/"), ("&#38;", "&"), ("&amp;", "&")];
        named.into_iter().chain(numbered).fold(html.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    #[tokio::test]
    async fn everything_comes_out_as_text() {
        for engine in ["/minijinja", "/askama", "/maud"] {
            let client = hostile_flash();
            let page = client.get(engine).await;
            assert_eq!(page.status(), StatusCode::OK, "{engine}");
            assert!(!page.text().contains("<script"), "{engine}: {}", page.text());
            assert_eq!(unescape(&page.text()).matches(HOSTILE).count(), 4, "{engine}: {}", page.text());
            let text = page.text();
            let value = text.split("value=\"").nth(1).unwrap();
            assert_eq!(unescape(&value[..value.find('"').unwrap()]), HOSTILE, "{engine}");
            assert!(
                page.headers().get("set-cookie").is_some_and(|header| header.to_str().unwrap().contains("Max-Age=0"))
            );
            assert!(!client.get(engine).await.text().contains("alert"), "{engine}");
        }
    }
}

#[test]
fn the_page_about_forms_lists_what_is_left_out() {
    let list = include_str!("../../session-axum/src/form/sensitive.md");
    assert!(include_str!("../../docs/forms.md").contains(list));
}

#[tokio::test]
async fn a_head_and_a_prefetch_of_a_form_page_keep_the_form() {
    let layer = layer();
    let client = client(Router::new().route("/page", get(form_page)).layer(layer.clone()));
    client.enter(&TestSession::new(&layer).input(&ann()).errors([("name", "No.")]));
    let request = |method: Method| Request::builder().method(method).uri("/page");
    client.send(request(Method::HEAD).body(Body::empty()).unwrap()).await;
    let prefetch = request(Method::GET).header("sec-purpose", "prefetch").body(Body::empty()).unwrap();
    assert_eq!(client.send(prefetch).await.text(), r#"{"dropped":[],"errors":{},"input":{}}"#);
    let page = next_page(&client).await;
    assert_eq!((&page["input"], &page["errors"]), (&json!({"name": "Ann"}), &json!({"name": ["No."]})));
}
