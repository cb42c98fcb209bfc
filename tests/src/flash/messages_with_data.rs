//! Messages with data: on the wire, in every helper, and in every template engine.

use std::collections::BTreeMap;

use askama::Template as _;
use axum::{
    Router,
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use proptest::prelude::*;
use serde_json::json;
use session_axum::{
    Flash, Message, SessionLayer, SessionResponseExt,
    flash::Messages,
    response::Flashing,
    testing::{Client, TestSession},
};

use crate::support::app::{client, layer};

fn deleted() -> Message {
    Message::new("Deleted").with("undo", "/undo/7").with("by", json!({"id": 7}))
}

/// All that a page has of its messages, as JSON.
async fn page(flash: Flash) -> axum::Json<serde_json::Value> {
    axum::Json(json!(flash.messages()))
}

/// What the page after a response has.
async fn carried(respond: impl Fn(Flash) -> Response + Clone + Send + Sync + 'static) -> serde_json::Value {
    let app = Router::new().route("/", get(page).post(move |flash: Flash| async move { respond(flash) }));
    let client = client(app.layer(layer()));
    client.post("/").await;
    serde_json::from_str(&client.get("/").await.text()).unwrap()
}

#[tokio::test]
async fn every_way_to_add_a_message_takes_data() {
    let expected = |key| json!([{"key": key, "text": "Deleted", "data": {"undo": "/undo/7", "by": {"id": 7}}}]);
    type Add = fn(Flash) -> Response;
    fn then(flash: &Flash, add: impl FnOnce(&Flash)) -> Response {
        add(flash);
        StatusCode::OK.into_response()
    }
    let ways: [(&str, Add); 8] = [
        ("undo", |flash| then(&flash, |flash| flash.add("undo", deleted()))),
        ("success", |flash| then(&flash, |flash| flash.success(deleted()))),
        ("error", |flash| then(&flash, |flash| flash.error(deleted()))),
        ("warning", |flash| then(&flash, |flash| flash.warning(deleted()))),
        ("info", |flash| then(&flash, |flash| flash.info(deleted()))),
        ("k", |_| "".flashing(("k", deleted()))),
        ("k", |_| "".flashing(BTreeMap::from([("k", deleted())]))),
        ("k", |_| (Flashing::new([("k", deleted())]), "").into_response()),
    ];
    for (key, add) in ways {
        assert_eq!(carried(add).await, expected(key));
    }
}

#[tokio::test]
async fn a_message_for_now_has_its_data() {
    async fn page(mut flash: Flash) -> axum::Json<serde_json::Value> {
        flash.now("info", deleted());
        axum::Json(json!(flash.messages()))
    }
    let client = client(Router::new().route("/", get(page)).layer(layer()));
    let shown: serde_json::Value = serde_json::from_str(&client.get("/").await.text()).unwrap();
    assert_eq!(shown[0]["data"], json!({"undo": "/undo/7", "by": {"id": 7}}));
}

#[tokio::test]
async fn plain_and_rich_messages_stand_side_by_side_in_their_order() {
    let both = carried(|_| "".flashing([("k", Message::from("one")), ("k", deleted()), ("k", "three".into())]));
    let texts: Vec<_> = both.await.as_array().unwrap().iter().map(|message| message["text"].clone()).collect();
    assert_eq!(texts, ["one", "Deleted", "three"]);
    let plain = carried(|_| "".flashing(("k", "x"))).await;
    assert_eq!(plain, json!([{"key": "k", "text": "x", "data": {}}]));
}

#[tokio::test]
async fn null_is_absence_and_the_last_value_of_a_key_counts() {
    let message = |_| {
        let message = Message::new("x").with("a", 1).with("b", 2).with("a", None::<u8>).with("b", 3);
        "".flashing(("k", message))
    };
    assert_eq!(carried(message).await, json!([{"key": "k", "text": "x", "data": {"b": 3}}]));
}

#[tokio::test]
async fn data_that_cannot_be_read_back_is_an_error_and_nothing_is_sent() {
    fn nested(levels: usize) -> serde_json::Value {
        (0..levels).fold(json!(1), |value, _| json!([value]))
    }
    type Make = fn() -> Message;
    let refused: [Make; 3] = [
        || Message::new("x").with("a", f64::NAN),
        || Message::new("x").with("a", nested(30)).with("b", 1),
        || Message::new("x").with("a", BTreeMap::from([((1, 2), 3)])),
    ];
    for make in refused {
        for helper in [false, true] {
            let respond = move |flash: Flash| async move {
                if helper {
                    return "".flashing([("k", make()), ("l", "fine".into())]);
                }
                flash.success(make());
                "".into_response()
            };
            let client = client(Router::new().route("/", post(respond)).layer(layer()));
            assert_eq!(client.post("/").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(client.cookie_names(), [""; 0]);
        }
    }
    let deepest = carried(|_| "".flashing(("k", Message::new("x").with("a", nested(29))))).await;
    assert_eq!(deepest[0]["data"]["a"], nested(29));
}

#[tokio::test]
async fn a_page_reads_data_with_its_type() {
    async fn page(flash: Flash) -> String {
        let messages = flash.messages();
        let data = messages.iter().next().unwrap().data;
        let (id, text, none) = (data.get::<u64>("id"), data.text("id"), data.text("none"));
        format!("{id:?} {text:?} {none:?} {:?} {:?}", data.get::<String>("id"), data.text("undo"))
    }
    let layer = layer();
    let client = client(Router::new().route("/", get(page)).layer(layer.clone()));
    let message = Message::new("x").with("id", u64::MAX).with("undo", "/undo/\"7\"");
    client.enter(&TestSession::new(&layer).flash("k", message));
    let expected = r#"Some(18446744073709551615) Some("18446744073709551615") None None Some("/undo/\"7\"")"#;
    assert_eq!(client.get("/").await.text(), expected);
}

#[tokio::test]
async fn data_survives_being_kept_for_another_page_and_many_batches() {
    let (layer, clock) = crate::support::app::timed_layer();
    let add = post(|flash: Flash| async move { flash.add("k", deleted()) });
    let keep = get(|flash: Flash| async move {
        flash.keep();
        flash.get("k").unwrap().to_owned()
    });
    let client = client(Router::new().route("/", get(page)).route("/add", add).route("/keep", keep).layer(layer));
    for _ in 0..7 {
        clock.advance(std::time::Duration::from_secs(1));
        client.post("/add").await;
    }
    assert_eq!(client.get("/keep").await.text(), "Deleted");
    let shown: serde_json::Value = serde_json::from_str(&client.get("/").await.text()).unwrap();
    assert_eq!(shown.as_array().unwrap().len(), 7);
    assert_eq!(shown[6]["data"]["by"]["id"], 7);
}

/// A client whose next page has a message with data and one without.
fn visitor(page: Router, layer: &SessionLayer) -> Client {
    let client = client(page.layer(layer.clone()));
    let flash = TestSession::new(layer).flash("success", Message::new("<Deleted>").with("undo", "/undo?a=\"7\"&b"));
    client.enter(&flash.flash("info", "Sent"));
    client
}

const PAGE: &str = "<p>&lt;Deleted&gt; <a href=\"/undo?a=&quot;7&quot;&amp;b\">Undo</a></p><p>Sent </p>";

#[tokio::test]
async fn minijinja_reads_the_text_and_the_data() {
    async fn page(flash: Flash) -> Html<String> {
        let mut templates = minijinja::Environment::new();
        let page = "{% for message in messages %}<p>{{ message.text }} \
                    {% if message.data.undo %}<a href=\"{{ message.data.undo }}\">Undo</a>{% endif %}</p>{% endfor %}";
        templates.add_template("page.html", page).unwrap();
        let page = templates.get_template("page.html").unwrap();
        Html(page.render(minijinja::context! { messages => minijinja::value::Serde(flash.messages()) }).unwrap())
    }
    let text = visitor(Router::new().route("/", get(page)), &layer()).get("/").await.text();
    assert_eq!(text.replace("&#x2f;", "/"), PAGE);
}

#[tokio::test]
async fn askama_reads_the_text_and_the_data() {
    #[derive(askama::Template)]
    #[template(
        ext = "html",
        source = "{% for message in messages.iter() %}<p>{{ message.text }} \
                  {% if let Some(undo) = message.data.text(\"undo\") %}<a href=\"{{ undo }}\">Undo</a>{% endif %}</p>\
                  {% endfor %}"
    )]
    struct Page<'a> {
        messages: Messages<'a>,
    }
    async fn page(flash: Flash) -> Html<String> {
        Html(Page { messages: flash.messages() }.render().unwrap())
    }
    let text = visitor(Router::new().route("/", get(page)), &layer()).get("/").await.text();
    let named = [("&#60;", "&lt;"), ("&#62;", "&gt;"), ("&#34;", "&quot;"), ("&#38;", "&amp;")];
    assert_eq!(named.iter().fold(text, |text, (number, name)| text.replace(number, name)), PAGE);
}

#[tokio::test]
async fn maud_reads_the_text_and_the_data() {
    async fn page(flash: Flash) -> maud::Markup {
        maud::html! {
            @for message in flash.messages() {
                p { (message.text) " " @if let Some(undo) = message.data.text("undo") { a href=(undo) { "Undo" } } }
            }
        }
    }
    assert_eq!(visitor(Router::new().route("/", get(page)), &layer()).get("/").await.text(), PAGE);
}

#[tokio::test]
async fn the_texts_by_key_are_lists_in_a_template() {
    async fn page(flash: Flash) -> Html<String> {
        let mut templates = minijinja::Environment::new();
        let page = "{% for text in flash.success %}{{ text }};{% endfor %}{% for text in flash.error %}{{ text }}.{% endfor %}{{ flash.none }}";
        templates.add_template("page.html", page).unwrap();
        let page = templates.get_template("page.html").unwrap();
        Html(page.render(minijinja::context! { flash => minijinja::value::Serde(flash.by_key()) }).unwrap())
    }
    let layer = layer();
    let client = client(Router::new().route("/", get(page)).layer(layer.clone()));
    let flash = TestSession::new(&layer).flash("success", "one").flash("error", "no").flash("success", deleted());
    client.enter(&flash);
    assert_eq!(client.get("/").await.text(), "one;Deleted;no.");
    assert_eq!(client.get("/").await.text(), "");
    assert_eq!(client.cookie_names(), [""; 0]);
}

#[tokio::test]
async fn a_redirect_keeps_the_data() {
    let layer = layer();
    let hop = get(|flash: Flash| async move {
        let _ = flash.messages();
        Redirect::to("/")
    });
    let client = visitor(Router::new().route("/", get(page)).route("/hop", hop), &layer);
    client.get("/hop").await;
    let shown: serde_json::Value = serde_json::from_str(&client.get("/").await.text()).unwrap();
    assert_eq!(shown[0]["data"]["undo"], "/undo?a=\"7\"&b");
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(|flag| json!(flag)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<u64>().prop_map(|number| json!(number)),
        (-1e9..1e9f64).prop_map(|number| json!(number)),
        ".{0,12}".prop_map(|text| json!(text)),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|values| json!(values)),
            prop::collection::btree_map(".{0,6}", inner, 0..3).prop_map(|members| json!(members)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_data_comes_back_as_it_was_written(text in ".{0,20}", data in prop::collection::btree_map(".{0,6}", value(), 0..4)) {
        prop_assume!(json!([text, data]).to_string().len() < 1_200); // what fits into the cookie for certain
        let message = data.iter().fold(Message::new(text.clone()), |message, (key, value)| message.with(key, value));
        let shown = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            carried(move |_| "".flashing([("k", message.clone()), ("k", "plain".into())])).await
        });
        prop_assert_eq!(&shown[0], &json!({"key": "k", "text": text, "data": data}));
        prop_assert_eq!(&shown[1], &json!({"key": "k", "text": "plain", "data": {}}));
    }
}
