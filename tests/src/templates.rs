//! Sessions in templates: `{{ session.name }}` in each template engine.

use askama::Template as _;
use axum::{Router, response::Html, routing::get};
use minijinja::{Environment, context, value::Serde};
use serde_json::{Value, json};
use session_axum::{Session, SessionData, testing::TestSession};

use crate::support::app::{client, layer};

#[derive(SessionData)]
struct Visitor {
    name: String,
    #[session(default)]
    visits: u32,
    plan: Option<String>,
    #[session(default)]
    cart: Vec<String>,
}

/// What a page shows to a visitor whose session has these values.
async fn shown(page: Router) -> String {
    let layer = layer();
    let client = client(page.layer(layer.clone()));
    let session = TestSession::new(&layer).insert("name", "<Ada>").insert("visits", 7).insert("cart", ["tea", "honey"]);
    client.enter(&session);
    client.get("/").await.text()
}

fn rendered(page: &str, session: impl serde::Serialize) -> Html<String> {
    let mut templates = Environment::new();
    templates.add_template("page.html", page).unwrap();
    Html(templates.get_template("page.html").unwrap().render(context! { session => Serde(session) }).unwrap())
}

const PAGE: &str = "{{ session.name }} {{ session.visits + 1 }} {{ session.cart[1] }} \
                    {% if session.plan %}{{ session.plan }}{% else %}free{% endif %}";

#[tokio::test]
async fn minijinja_reads_an_untyped_session() {
    let page = get(|session: Session| async move { rendered(PAGE, &session) });
    assert_eq!(shown(Router::new().route("/", page)).await, "&lt;Ada&gt; 8 honey free");
}

#[tokio::test]
async fn minijinja_reads_a_typed_session_with_its_changes() {
    async fn page(mut visitor: Session<Visitor>) -> Html<String> {
        visitor.visits += 1;
        visitor.plan = Some("pro".to_owned());
        rendered(PAGE, &visitor)
    }
    assert_eq!(shown(Router::new().route("/", get(page))).await, "&lt;Ada&gt; 9 honey pro");
}

#[tokio::test]
async fn askama_reads_both() {
    #[derive(askama::Template)]
    #[template(
        ext = "html",
        source = "{{ visitor.name }} {{ visitor.visits + 1 }} {{ visitor.cart[1] }} \
                  {% if let Some(plan) = visitor.plan %}{{ plan }}{% else %}free{% endif %} \
                  {% if let Ok(Some(name)) = session.get::<String>(\"name\") %}{{ name }}{% endif %}"
    )]
    struct Page<'a> {
        visitor: &'a Session<Visitor>,
        session: Session,
    }
    async fn page(visitor: Session<Visitor>, session: Session) -> Html<String> {
        Html(Page { visitor: &visitor, session }.render().unwrap())
    }
    let page = shown(Router::new().route("/", get(page))).await;
    assert_eq!(page, "&#60;Ada&#62; 8 honey free &#60;Ada&#62;");
}

#[tokio::test]
async fn maud_reads_both() {
    async fn page(visitor: Session<Visitor>, session: Session) -> maud::Markup {
        maud::html! {
            (visitor.name) " " (visitor.visits + 1) " " (visitor.cart[1]) " " (visitor.plan.as_deref().unwrap_or("free"))
            @if let Ok(Some(name)) = session.get::<String>("name") { " " (name) }
        }
    }
    assert_eq!(shown(Router::new().route("/", get(page))).await, "&lt;Ada&gt; 8 honey free &lt;Ada&gt;");
}

#[tokio::test]
async fn a_session_is_a_snapshot_of_its_keys_and_values_without_reserved_ones() {
    async fn page(session: Session) -> axum::Json<Value> {
        session.set_lifetime(std::time::Duration::from_secs(3_600));
        let before = json!(session);
        session.insert("nested", json!({"a": [1, {"b": null}]})).unwrap();
        session.remove("visits");
        session.insert("name", None::<String>).unwrap();
        axum::Json(json!([before, session]))
    }
    let before = json!({"name": "<Ada>", "visits": 7, "cart": ["tea", "honey"]});
    let after = json!({"cart": ["tea", "honey"], "nested": {"a": [1, {"b": null}]}});
    let page: Value = serde_json::from_str(&shown(Router::new().route("/", get(page))).await).unwrap();
    assert_eq!(page, json!([before, after]));

    async fn later(session: Session) -> axum::Json<Value> {
        axum::Json(json!(session))
    }
    let layer = layer();
    let set = get(|session: Session| async move {
        session.set_lifetime(std::time::Duration::from_secs(3_600));
        session.insert("a", 1)
    });
    let client = client(Router::new().route("/", get(later)).route("/set", set).layer(layer));
    client.get("/set").await;
    assert_eq!(client.get("/").await.text(), r#"{"a":1}"#);
}

#[tokio::test]
async fn a_typed_session_shows_its_own_fields_and_no_others() {
    #[derive(SessionData)]
    struct Cart {
        cart: Vec<String>,
        voucher: Option<String>,
    }
    async fn page(mut cart: Session<Cart>) -> axum::Json<Value> {
        cart.cart.pop();
        axum::Json(json!(cart))
    }
    assert_eq!(shown(Router::new().route("/", get(page))).await, r#"{"cart":["tea"],"voucher":null}"#);
}

#[tokio::test]
async fn fields_that_cannot_be_written_are_an_error_of_the_template_and_no_panic() {
    #[derive(SessionData)]
    struct Price {
        #[session(default)]
        price: f64,
    }
    async fn page(mut price: Session<Price>) -> &'static str {
        price.price = f64::NAN;
        let failed = serde_json::to_string(&price).is_err();
        price.price = 1.5;
        if failed { "an error" } else { "written" }
    }
    assert_eq!(shown(Router::new().route("/", get(page))).await, "an error");
}
