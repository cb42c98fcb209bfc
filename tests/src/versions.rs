//! A struct changes from deployment to deployment; sessions written before and after are read by both.

use std::collections::BTreeMap;

use axum::{Router, routing::get};
use proptest::{collection::btree_map, option, prelude::*};
use session_axum::{Session, SessionData, testing::Client};
use session_core::{
    SessionId,
    token::{Frame, Protection, Purpose, Token},
};

use crate::support::{
    app::{NOW, client, keys, timed_layer},
    fields::{edited, entries, read, saved},
};

/// The first version.
#[derive(SessionData, Clone, Debug, PartialEq)]
struct V1 {
    name: String,
    #[session(default)]
    visits: u32,
    theme: Option<String>,
}

/// Fields were added that old sessions do not have.
#[derive(SessionData)]
struct V2 {
    name: String,
    #[session(default)]
    visits: u32,
    theme: Option<String>,
    #[session(default = 10)]
    page_size: u8,
    email: Option<String>,
}

/// A field was removed.
#[derive(SessionData)]
struct V3 {
    name: String,
    theme: Option<String>,
}

/// A field was renamed.
#[derive(SessionData)]
struct V4 {
    #[session(alias = "name")]
    full_name: String,
    #[session(default)]
    visits: u32,
}

/// Two fields got other types: one has a default for what it cannot read, the other is optional.
#[derive(SessionData)]
struct V5 {
    name: String,
    #[session(default)]
    visits: Vec<u64>,
    theme: Option<u8>,
}

/// A field was added that a session must have.
#[derive(SessionData)]
struct V6 {
    name: String,
    #[session(default)]
    visits: u32,
    email: String,
}

/// What a later version did to a session of the first.
#[derive(Clone, Copy, Debug)]
enum Deployment {
    Added,
    Removed,
    Renamed,
    Retyped,
    Required,
}

impl Deployment {
    const ALL: [Self; 5] = [Self::Added, Self::Removed, Self::Renamed, Self::Retyped, Self::Required];

    /// The session after a request to this version that changed all it knows.
    fn serve(self, session: &str, word: &str) -> String {
        let served = match self {
            Self::Added => edited(session, |new: &mut V2| {
                (new.page_size, new.email) = (new.page_size.wrapping_add(1), Some(word.to_owned()));
                (new.name, new.visits) = (word.to_owned(), new.visits.wrapping_add(1));
                new.theme = None;
            }),
            Self::Removed => edited(session, |new: &mut V3| (new.name, new.theme) = (word.to_owned(), None)),
            Self::Renamed => edited(session, |new: &mut V4| {
                (new.full_name, new.visits) = (word.to_owned(), new.visits.wrapping_add(1));
            }),
            Self::Retyped => edited(session, |new: &mut V5| {
                (new.name, new.theme) = (word.to_owned(), Some(1));
                new.visits.push(7);
            }),
            Self::Required => {
                edited(session, |new: &mut V6| (new.name, new.email) = (word.to_owned(), word.to_owned()))
            }
        };
        // Who lacks a required field is turned away with the session as it was.
        served.unwrap_or_else(|_| session.to_owned())
    }
}

fn first() -> impl Strategy<Value = V1> {
    (".{0,8}", any::<u32>(), option::of(".{0,8}")).prop_map(|(name, visits, theme)| V1 { name, visits, theme })
}

/// Keys that no version declares, with values of any shape.
fn undeclared() -> impl Strategy<Value = BTreeMap<String, serde_json::Value>> {
    let value = prop_oneof![
        any::<i64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
        Just(serde_json::json!({"a": [null, 1.5, {"b": false}]})),
    ];
    btree_map("other[a-z.é\"]{0,4}", value, 0..4)
}

fn session_of(first: &V1, undeclared: &BTreeMap<String, serde_json::Value>) -> String {
    saved(first, &serde_json::to_string(undeclared).unwrap())
}

proptest! {
    #[test]
    fn every_version_reads_what_the_first_wrote(first in first(), others in undeclared()) {
        let session = session_of(&first, &others);
        let added = read::<V2>(&session).unwrap();
        prop_assert_eq!((&added.name, added.visits, &added.theme), (&first.name, first.visits, &first.theme));
        prop_assert_eq!((added.page_size, added.email), (10, None));
        let removed = read::<V3>(&session).unwrap();
        prop_assert_eq!((&removed.name, &removed.theme), (&first.name, &first.theme));
        let renamed = read::<V4>(&session).unwrap();
        prop_assert_eq!((&renamed.full_name, renamed.visits), (&first.name, first.visits));
        let retyped = read::<V5>(&session).unwrap();
        prop_assert_eq!((&retyped.name, retyped.visits, retyped.theme), (&first.name, vec![], None));
        prop_assert_eq!(read::<V6>(&session).err().map(|missing| missing.key()), Some("email"));
    }

    #[test]
    fn looking_changes_nothing(first in first(), others in undeclared()) {
        let session = session_of(&first, &others);
        prop_assert_eq!(edited::<V1>(&session, |_| ()).unwrap(), &*session);
        prop_assert_eq!(edited::<V2>(&session, |_| ()).unwrap(), &*session);
        prop_assert_eq!(edited::<V4>(&session, |_| ()).unwrap(), &*session);
        prop_assert_eq!(edited::<V5>(&session, |_| ()).unwrap(), &*session);
    }

    #[test]
    fn any_deployments_and_back_keep_what_nobody_declared(
        first in first(),
        others in undeclared(),
        deployments in proptest::collection::vec((proptest::sample::select(&Deployment::ALL[..]), ".{0,4}"), 0..6),
    ) {
        let mut session = session_of(&first, &others);
        for (deployment, word) in &deployments {
            session = deployment.serve(&session, word);
        }
        let after = entries(&session);
        for (key, value) in &others {
            let text = value.to_string();
            prop_assert_eq!(after.get(key), Some(&*text));
        }
        let renamed = deployments.iter().any(|(deployment, _)| matches!(deployment, Deployment::Renamed));
        match read::<V1>(&session) {
            Ok(_) => {}
            Err(missing) => prop_assert!(renamed && missing.key() == "name"),
        }
    }

    #[test]
    fn the_first_version_reads_what_the_others_wrote(first in first(), word in ".{0,8}") {
        let session = session_of(&first, &BTreeMap::new());
        let word = format!("{word}, not {}", first.name);
        let back = |deployment: Deployment| read::<V1>(&deployment.serve(&session, &word));
        let visits = first.visits.wrapping_add(1);
        prop_assert_eq!(back(Deployment::Added), Ok(V1 { name: word.clone(), visits, theme: None }));
        prop_assert_eq!(back(Deployment::Removed), Ok(V1 { name: word.clone(), theme: None, ..first.clone() }));
        prop_assert_eq!(back(Deployment::Renamed).map_err(|missing| missing.key()), Err("name"));
        prop_assert_eq!(back(Deployment::Retyped), Ok(V1 { name: word.clone(), visits: 0, theme: None }));
        prop_assert_eq!(back(Deployment::Required), Ok(first.clone()));
    }
}

#[derive(SessionData, Clone, Debug, Default, PartialEq)]
#[session(prefix = "cart.")]
struct Cart {
    #[session(default)]
    items: Vec<String>,
    note: Option<String>,
}

#[derive(SessionData, Clone, Debug, Default, PartialEq)]
#[session(prefix = "wishes.")]
struct Wishes {
    #[session(default)]
    items: Vec<String>,
    note: Option<String>,
}

#[derive(Clone, Debug)]
enum Operation {
    Put(String),
    Take,
    Note(Option<String>),
    Forget,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        ".{0,6}".prop_map(Operation::Put),
        Just(Operation::Take),
        option::of(".{0,6}").prop_map(Operation::Note),
        Just(Operation::Forget),
    ]
}

fn perform(operation: &Operation, items: &mut Vec<String>, note: &mut Option<String>) {
    match operation {
        Operation::Put(item) => items.push(item.clone()),
        Operation::Take => drop(items.pop()),
        Operation::Note(text) => note.clone_from(text),
        Operation::Forget => (*items, *note) = Default::default(),
    }
}

proptest! {
    #[test]
    fn structs_with_different_prefixes_never_disturb_each_other(
        operations in proptest::collection::vec((any::<bool>(), operation()), 0..24),
    ) {
        let (mut cart, mut wishes) = (Cart::default(), Wishes::default());
        let mut session = r#"{"items":"nobody's"}"#.to_owned();
        for (on_cart, operation) in &operations {
            session = if *on_cart {
                perform(operation, &mut cart.items, &mut cart.note);
                edited(&session, |cart: &mut Cart| perform(operation, &mut cart.items, &mut cart.note))
            } else {
                perform(operation, &mut wishes.items, &mut wishes.note);
                edited(&session, |wishes: &mut Wishes| perform(operation, &mut wishes.items, &mut wishes.note))
            }.unwrap();
            prop_assert_eq!(read::<Cart>(&session).unwrap(), cart.clone());
            prop_assert_eq!(read::<Wishes>(&session).unwrap(), wishes.clone());
            let after = entries(&session);
            prop_assert_eq!(after.get("items"), Some("\"nobody's\""));
        }
    }
}

/// What an older instance makes of a cookie whose metadata a later version wrote.
#[tokio::test]
async fn metadata_of_a_later_version_travels_through_an_older_one() {
    let ring = keys().ring(Protection::Signed, Purpose::Session, "__Host-session", "");
    let (layer, _clock) = timed_layer();
    let later = r#"{"$":{"later":[1,123456789012345678901234567890],"until":1993456000},"a":1}"#;
    let mut body = Frame { id: SessionId::from_bytes([7; 16]), created_at: NOW, issued_at: NOW }.begin_body(0);
    body.extend_from_slice(later.as_bytes());
    let app = Router::new()
        .route("/write", get(|session: Session| async move { session.insert("b", 2) }))
        .route(
            "/clear",
            get(|session: Session| async move {
                session.clear();
                session.insert("c", 3)
            }),
        )
        .route("/keys", get(|session: Session| async move { session.keys().join(" ") }))
        .layer(layer);
    let client = client(app);
    client.set_cookie("__Host-session", &ring.seal(&body).unwrap());
    let payload = |client: &Client| {
        let token = client.cookie("__Host-session").unwrap();
        let verified = ring.open(&Token::parse(token.as_bytes(), Protection::Signed).unwrap()).unwrap();
        String::from_utf8(verified.payload().to_vec()).unwrap()
    };

    assert_eq!(client.get("/keys").await.text(), "a");
    client.get("/write").await;
    let metadata = r#""$":{"later":[1,123456789012345678901234567890],"until":1993456000}"#;
    assert_eq!(payload(&client), format!(r#"{{{metadata},"a":1,"b":2}}"#));
    client.get("/clear").await;
    assert_eq!(payload(&client), format!(r#"{{{metadata},"c":3}}"#));
}
