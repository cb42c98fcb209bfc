//! `Session<T>` in handlers: several views of one session.

use std::{cell::Cell, collections::HashMap};

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use session_axum::{Error, Session, SessionData, SessionLayer, SessionResponseExt, testing::TestSession};

use crate::support::{
    app::{client, layer},
    logs::Logs,
};

#[derive(SessionData)]
struct Visitor {
    name: Option<String>,
    #[session(default)]
    visits: u32,
}

#[derive(SessionData)]
#[session(redirect = "/login")]
struct Member {
    user_id: u64,
}

#[derive(SessionData)]
#[session(prefix = "cart.")]
struct Cart {
    #[session(default)]
    items: Vec<String>,
}

fn forged(layer: &SessionLayer, values: serde_json::Value) -> TestSession {
    let serde_json::Value::Object(values) = values else { panic!("an object") };
    values.into_iter().fold(TestSession::new(layer), |session, (key, value)| session.insert(&key, value))
}

/// What `handler` answers to a session of `values`, and the session after it if it was sent again.
async fn run<H, T>(values: serde_json::Value, handler: H) -> (String, Option<serde_json::Value>)
where
    H: axum::handler::Handler<T, ()>,
    T: 'static,
{
    let layer = layer();
    let client = client(Router::new().route("/", get(handler)).layer(layer.clone()));
    client.enter(&forged(&layer, values));
    let page = client.get("/").await;
    let session = TestSession::of_client(&layer, &client);
    let values = session.keys().into_iter().map(|key| (key.to_owned(), session.get(key).unwrap())).collect();
    (page.text(), (!page.set_cookies().is_empty()).then_some(serde_json::Value::Object(values)))
}

#[tokio::test]
async fn only_fields_that_really_changed_are_written() {
    async fn visit(mut visitor: Session<Visitor>) {
        visitor.visits += 1;
    }
    async fn look(visitor: Session<Visitor>) -> String {
        format!("{:?} {}", visitor.name, visitor.visits)
    }
    async fn back_and_forth(mut visitor: Session<Visitor>) {
        visitor.visits += 1;
        visitor.name = Some("Bob".into());
        visitor.visits -= 1;
        visitor.name = None;
    }
    assert_eq!(run(json!({"x": [1.50]}), visit).await.1, Some(json!({"visits": 1, "x": [1.5]})));
    assert_eq!(run(json!({"visits": 7}), look).await, ("None 7".into(), None));
    assert_eq!(run(json!({"visits": 7}), back_and_forth).await.1, None);
}

#[tokio::test]
async fn none_removes_its_key() {
    async fn forget(mut visitor: Session<Visitor>) {
        visitor.name = None;
    }
    assert_eq!(run(json!({"name": "Ann", "visits": 1}), forget).await.1, Some(json!({"visits": 1})));
}

#[tokio::test]
async fn typed_and_untyped_views_agree_in_middleware_and_handler() {
    async fn before(session: Session, request: Request, next: Next) -> Response {
        session.insert("visits", 40).unwrap();
        let response = next.run(request).await;
        assert_eq!(session.get::<u32>("visits").unwrap(), Some(41));
        assert_eq!(session.get::<Vec<String>>("cart.items").unwrap(), Some(vec!["tea".to_owned()]));
        response
    }
    async fn handler(mut visitor: Session<Visitor>, mut cart: Session<Cart>, session: Session) {
        visitor.visits += 1;
        cart.items.push("tea".into());
        session.insert("other", true).unwrap();
    }
    let layer = layer();
    let app = Router::new().route("/", get(handler)).layer(middleware::from_fn(before)).layer(layer.clone());
    let client = client(app);
    client.get("/").await;
    assert_eq!(TestSession::of_client(&layer, &client).keys(), ["cart.items", "other", "visits"]);
}

#[tokio::test]
async fn a_required_field_guards_the_route() {
    #[derive(SessionData)]
    struct Strict {
        user_id: u64,
    }
    let app = Router::new()
        .route("/strict", get(|strict: Session<Strict>| async move { strict.user_id.to_string() }))
        .route("/member", get(|member: Session<Member>| async move { member.user_id.to_string() }))
        .route("/maybe", get(|member: Option<Session<Member>>| async move { member.is_some().to_string() }));
    let layer = layer();
    let client = client(app.layer(layer.clone()));
    assert_eq!(client.get("/strict").await.status(), StatusCode::UNAUTHORIZED);
    let sent = client.get("/member").await;
    assert_eq!((sent.status(), &sent.headers()["location"]), (StatusCode::SEE_OTHER, &"/login".parse().unwrap()));
    assert_eq!(sent.headers()["vary"], "Cookie");
    assert_eq!(client.get("/maybe").await.text(), "false");
    client.enter(&TestSession::new(&layer).insert("user_id", 7));
    for (path, text) in [("/strict", "7"), ("/member", "7"), ("/maybe", "true")] {
        assert_eq!(client.get(path).await.text(), text);
    }
}

#[tokio::test]
async fn a_value_that_no_longer_decodes_counts_as_missing_and_is_said_once() {
    async fn look(visitor: Session<Visitor>) -> String {
        visitor.visits.to_string()
    }
    let (logs, _guard) = Logs::capture();
    assert_eq!(run(json!({"visits": "many"}), look).await, ("0".into(), None));
    let lines = logs.take();
    assert!(lines.len() == 1 && lines[0].contains("cannot be decoded any more"), "{lines:?}");
    assert!(!lines[0].contains("many"));
    let client = client(Router::new().route("/", get(|_: Session<Member>| async {})).layer(layer()));
    client.enter(&TestSession::new(&layer()).insert("user_id", "not a number"));
    assert_eq!(client.get("/").await.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_struct_replaces_the_whole_session() {
    async fn replace() -> impl IntoResponse {
        "x".with_session(Visitor { name: Some("Ann".into()), visits: 1 })
    }
    assert_eq!(run(json!({"old": 1, "cart.items": []}), replace).await.1, Some(json!({"name": "Ann", "visits": 1})));
}

#[tokio::test]
async fn a_changed_struct_can_be_handed_to_the_response() {
    async fn hand_over(mut visitor: Session<Visitor>) -> impl IntoResponse {
        visitor.visits = 3;
        (StatusCode::INTERNAL_SERVER_ERROR, "x").with_session(visitor)
    }
    assert_eq!(run(json!({"old": 1}), hand_over).await.1, Some(json!({"old": 1, "visits": 3})));
}

#[tokio::test]
async fn a_struct_gives_its_session_for_what_is_about_the_session() {
    async fn renew(mut member: Session<Member>) -> String {
        let session = Session::untyped(&member);
        let before = session.id();
        session.renew();
        member.user_id = 8;
        (before != session.id()).to_string()
    }
    assert_eq!(run(json!({"user_id": 7}), renew).await, ("true".into(), Some(json!({"user_id": 8}))));
}

thread_local!(static DECODED: Cell<u32> = const { Cell::new(0) });

#[derive(Serialize)]
struct Counted(String);

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DECODED.set(DECODED.get() + 1);
        String::deserialize(deserializer).map(Self)
    }
}

#[derive(SessionData)]
struct Heavy {
    large: Counted,
    #[session(default)]
    visits: u32,
}

#[tokio::test]
async fn a_field_is_decoded_once() {
    async fn change(mut heavy: Session<Heavy>) -> String {
        heavy.visits += 1;
        heavy.visits += 1;
        heavy.large.0.len().to_string()
    }
    let (text, session) = run(json!({"large": "x".repeat(2_000)}), change).await;
    assert_eq!((text.as_str(), session.unwrap()["visits"].clone(), DECODED.get()), ("2000", json!(2), 1));
}

#[tokio::test]
async fn a_field_that_cannot_be_written_fails_the_response() {
    #[derive(SessionData)]
    struct Bad {
        #[session(default)]
        map: std::collections::BTreeMap<(u8, u8), u8>,
        #[session(default)]
        n: u8,
    }
    async fn fill(mut bad: Session<Bad>) -> Result<(), Error> {
        bad.map.insert((1, 2), 3);
        bad.n = 1;
        Ok(())
    }
    let client = client(Router::new().route("/", get(fill)).layer(layer()));
    let page = client.get("/").await;
    assert_eq!((page.status(), page.set_cookies().len()), (StatusCode::INTERNAL_SERVER_ERROR, 0));
}

#[derive(SessionData)]
struct Stats {
    ratio: f64,
}

#[tokio::test]
async fn a_float_that_is_not_finite_is_an_error_and_the_session_stays() {
    async fn divide(mut stats: Session<Stats>) {
        stats.ratio /= 0.0;
    }
    let (text, session) = run(json!({"ratio": 1.5}), divide).await;
    assert_eq!((text.as_str(), session), ("Something went wrong with your session. Please try again.", None));

    async fn insert(session: Session) -> String {
        let refused = [f64::NAN, f64::INFINITY].map(|ratio| session.insert("ratio", vec![Some(ratio)]).is_err());
        format!("{refused:?} {:?}", session.get::<f64>("ratio").unwrap())
    }
    assert_eq!(run(json!({"ratio": 1.5}), insert).await, ("[true, true] Some(1.5)".into(), None));
}

/// Types that are written and not read back.
mod unreadable {
    use super::*;

    #[derive(Clone, Debug, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Order {
        Open { number: u128 },
        Paid { amounts: HashMap<u8, u8> },
    }

    #[derive(SessionData)]
    #[session(prefix = "shop.")]
    struct Shop {
        #[session(default)]
        order: Option<Order>,
        #[session(default)]
        note: Option<Option<String>>,
        #[session(default)]
        visits: u32,
    }

    async fn staged(
        order: Option<Order>,
        note: Option<Option<String>>,
    ) -> (bool, Option<serde_json::Value>, Vec<String>) {
        let (logs, _guard) = Logs::capture();
        let change = move |mut shop: Session<Shop>| async move {
            (shop.order, shop.note) = (order.clone(), note.clone());
            shop.visits += 1;
        };
        let (text, session) = run(json!({"shop.visits": 1}), change).await;
        (text.is_empty(), session, logs.take().into_iter().filter(|line| line.contains("ERROR")).collect())
    }

    #[tokio::test]
    async fn a_debug_build_refuses_them_and_names_the_field() {
        let (open, paid) = (Order::Open { number: 1 }, Order::Paid { amounts: HashMap::from([(1, 2)]) });
        for (order, note, key) in
            [(Some(open), None, "shop.order"), (Some(paid), None, "shop.order"), (None, Some(None), "shop.note")]
        {
            let (is_saved, session, errors) = staged(order, note).await;
            if cfg!(debug_assertions) {
                assert_eq!((is_saved, session), (false, None), "{key}");
                assert!(errors.len() == 1 && errors[0].contains(&format!("`{key}`")), "{errors:?}");
            } else {
                assert!(is_saved);
            }
        }
        let paid = Order::Paid { amounts: HashMap::new() };
        let (is_saved, session, _) = staged(Some(paid), Some(Some("x".into()))).await;
        let expected = json!({"shop.order": {"kind": "Paid", "amounts": {}}, "shop.note": "x", "shop.visits": 2});
        assert_eq!((is_saved, session), (true, Some(expected)));
    }

    #[tokio::test]
    async fn a_debug_build_refuses_them_in_a_new_session_and_in_an_update() {
        async fn replace() -> impl IntoResponse {
            "saved".with_session(Shop { order: Some(Order::Open { number: 1 }), note: None, visits: 1 })
        }
        async fn update(session: Session) -> Result<&'static str, Error> {
            session.update("order", |_| Order::Open { number: 1 }).await?;
            Ok("saved")
        }
        let is_saved = !cfg!(debug_assertions);
        assert_eq!(run(json!({"a": 1}), replace).await.0 == "saved", is_saved);
        assert_eq!(run(json!({"a": 1}), update).await.0 == "saved", is_saved);
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Nick(Option<String>);

#[derive(SessionData)]
struct Nicked {
    id: u32,
    nick: Nick,
    unit: (),
    #[session(default = 5)]
    size: u8,
}

#[tokio::test]
async fn null_is_absence_for_fields_and_for_values_by_key() {
    async fn show(nicked: Session<Nicked>) -> String {
        format!("{} {:?} {:?} {}", nicked.id, nicked.nick, nicked.unit, nicked.size)
    }
    assert_eq!(run(json!({"id": 1}), show).await.0, "1 Nick(None) () 5");
    assert_eq!(run(json!({"id": 1, "nick": "ada", "size": null}), show).await.0, "1 Nick(Some(\"ada\")) () 5");
    assert_eq!(run(json!({"nick": "ada"}), show).await.0, "Please log in first.");

    async fn insert(session: Session) -> Result<String, Error> {
        session.insert("a", None::<u8>)?;
        let updated = session.update("b", |_: Option<Option<u8>>| None).await?;
        Ok(format!("{updated:?} {:?} {:?}", session.keys(), session.get::<u8>("a")?))
    }
    let (text, session) = run(json!({"a": 1, "b": 2, "c": 3}), insert).await;
    assert_eq!((text.as_str(), session), (r#"None ["c"] None"#, Some(json!({"c": 3}))));

    async fn replace() -> impl IntoResponse {
        "x".with_session(Nicked { id: 1, nick: Nick(None), unit: (), size: 1 })
    }
    assert_eq!(run(json!({}), replace).await.1, Some(json!({"id": 1, "size": 1})));
}

#[tokio::test]
async fn a_map_that_is_put_back_unchanged_sets_no_cookie() {
    async fn put_back(session: Session) -> Result<(), Error> {
        let map: HashMap<String, u8> = session.get("map")?.unwrap_or_default();
        session.insert("map", &map)
    }
    let map: serde_json::Value = (0..6).map(|n| (n.to_string(), json!(n))).collect::<serde_json::Map<_, _>>().into();
    for _ in 0..20 {
        assert_eq!(run(json!({"map": map}), put_back).await.1, None);
    }
    async fn turn(session: Session) -> Result<(), Error> {
        session.insert("list", [2, 1])
    }
    assert_eq!(run(json!({"list": [1, 2]}), turn).await.1, Some(json!({"list": [2, 1]})));
}

#[derive(SessionData)]
struct Aliased {
    #[session(alias = "old_role")]
    role: Option<String>,
}

#[tokio::test]
async fn a_field_is_removed_together_with_its_aliases() {
    assert_eq!(Aliased::KEYS, ["role", "old_role"]);
    let demote = || async { "demoted".removing_from_session(Aliased::KEYS) };
    let values = json!({"role": "admin", "old_role": "admin", "other": 1});
    assert_eq!(run(values, demote).await.1, Some(json!({"other": 1})));
}
