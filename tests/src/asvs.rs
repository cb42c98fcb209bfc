//! The table of ASVS 5.0 in `docs/security.md`, and the requirements that no other module holds.

use std::{fs, path::Path};

use axum::{
    Router,
    extract::Path as UrlPath,
    http::StatusCode,
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use session_axum::{
    Error, Session, SessionData, SessionLayer, Sessions,
    testing::{Client, ManualClock},
};
use session_stores::MemoryStore;

use crate::support::app::{NOW, client, keys, layer};

const PAGE: &str = include_str!("../../docs/security.md");
const COOKIE: &str = "__Host-session";

/// Each requirement of the chapters and sections that concern sessions, with its level.
const REQUIREMENTS: [(&str, &str); 32] = [
    ("V3.3.1", "1"),
    ("V3.3.2", "2"),
    ("V3.3.3", "2"),
    ("V3.3.4", "2"),
    ("V3.3.5", "3"),
    ("V7.1.1", "2"),
    ("V7.1.2", "2"),
    ("V7.1.3", "2"),
    ("V7.2.1", "1"),
    ("V7.2.2", "1"),
    ("V7.2.3", "1"),
    ("V7.2.4", "1"),
    ("V7.3.1", "2"),
    ("V7.3.2", "2"),
    ("V7.4.1", "1"),
    ("V7.4.2", "1"),
    ("V7.4.3", "2"),
    ("V7.4.4", "2"),
    ("V7.4.5", "2"),
    ("V7.5.1", "2"),
    ("V7.5.2", "2"),
    ("V7.5.3", "3"),
    ("V7.6.1", "2"),
    ("V7.6.2", "2"),
    ("V9.1.1", "1"),
    ("V9.1.2", "1"),
    ("V9.1.3", "1"),
    ("V9.2.1", "1"),
    ("V9.2.2", "2"),
    ("V9.2.3", "2"),
    ("V9.2.4", "2"),
    ("V14.3.1", "1"),
];

/// The cells of each row: the requirement, its level, what it asks for, the answer and the tests.
fn rows() -> Vec<Vec<&'static str>> {
    let section = PAGE.split("## ASVS 5.0\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| V"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

/// Returns whether the file has a test of this name: a function with the attribute, or a line in the list of a suite.
pub(crate) fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let is_fn = |line: &str| line.starts_with(&format!("fn {name}(")) || line.starts_with(&format!("async fn {name}("));
    let has_attribute = |at: usize| {
        let before = lines[..at].iter().rev().take_while(|line| line.starts_with('#'));
        before.copied().any(|line| line.ends_with("test]") || line.contains("::test("))
    };
    lines.contains(&name) || (0..lines.len()).any(|at| is_fn(lines[at]) && has_attribute(at))
}

#[test]
fn each_requirement_has_its_row() {
    let rows = rows();
    assert_eq!(rows.iter().map(|row| (row[0], row[1])).collect::<Vec<_>>(), REQUIREMENTS);
    for row in rows {
        assert_eq!(row.len(), 5, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
    }
}

#[test]
fn each_test_in_the_table_exists() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for row in rows().iter().filter(|row| row[4] != "the application") {
        for test in row[4].split(", ") {
            let (file, name) = test.trim_matches('`').split_once(": ").unwrap_or_else(|| panic!("{test}"));
            let source = fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(has_test(&source, name), "{}: {file} has no test {name}", row[0]);
        }
    }
    assert!(!has_test("fn helper() {}\n#[test]\nfn other() {}", "helper"), "a function without the attribute");
}

#[derive(SessionData)]
#[session(confirmed_within = "10m")]
struct Sure {
    user: String,
}

async fn log_in(session: Session, UrlPath(user): UrlPath<String>) -> Result<String, Error> {
    session.renew();
    session.insert("user", &user)?;
    session.set_owner(user)?;
    Ok(session.id().to_string())
}

async fn devices(sure: Session<Sure>, sessions: Sessions) -> Result<String, Error> {
    let ids = sessions.of(&sure.user).await?.into_iter().map(|session| session.id.to_string());
    Ok(ids.collect::<Vec<_>>().join(" "))
}

async fn end_others(sure: Session<Sure>, sessions: Sessions) -> Result<String, Error> {
    let this = Session::untyped(&sure).id();
    for other in sessions.of(&sure.user).await?.into_iter().filter(|session| session.id != this) {
        sessions.destroy(other.id).await?;
    }
    Ok(String::new())
}

async fn user(session: Session) -> Result<String, Error> {
    Ok(session.get("user")?.unwrap_or_default())
}

fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/", get(user))
        .route("/log-in/{user}", post(log_in))
        .route("/confirm", post(|session: Session| async move { session.confirm() }))
        .route("/devices", get(devices).post(end_others))
        .layer(layer)
}

/// What a browser with this cookie is to the application.
async fn seen_with(layer: SessionLayer, cookie: &str) -> String {
    let client = client(app(layer));
    client.set_cookie(COOKIE, cookie);
    client.get("/").await.text()
}

async fn cookie_of(layer: SessionLayer) -> String {
    let client = client(app(layer));
    client.post("/log-in/ada").await;
    client.cookie(COOKIE).unwrap()
}

#[tokio::test]
async fn the_token_is_in_no_other_part_of_a_response() {
    for layer in [layer(), SessionLayer::encrypted(keys()), SessionLayer::stored(MemoryStore::new(), keys())] {
        let client = client(app(layer));
        let response = client.post("/log-in/ada").await;
        let token = client.cookie(COOKIE).unwrap();
        let secret = token.rsplit('.').next().unwrap();
        let with_token = response.headers().iter().filter(|(_, value)| value.to_str().unwrap().contains(secret));
        assert_eq!(with_token.map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["set-cookie"]);
        assert!(
            !response.text().is_empty() && !token.contains(&response.text()),
            "the id is no part of the token's text"
        );
        assert!(response.set_cookies().iter().all(|cookie| cookie.contains("; HttpOnly")));
        client.set_cookie(COOKIE, &response.text());
        assert_eq!(client.get("/").await.text(), "", "a public id opens nothing");
    }
}

/// Each bit is set in about half of the tokens: with 1,000 tokens, the count is between 380 and 620 for all 256 bits in
/// all but one of 10^11 runs.
#[tokio::test]
async fn a_reference_token_has_256_random_bits() {
    let layer = SessionLayer::stored(MemoryStore::new(), keys());
    let mut secrets = Vec::new();
    for _ in 0..1_000 {
        let cookie = cookie_of(layer.clone()).await;
        let body = URL_SAFE_NO_PAD.decode(cookie.split('.').nth(2).unwrap()).unwrap();
        secrets.push(body[body.len() - 32..].to_vec());
    }
    for bit in 0..256 {
        let count = secrets.iter().filter(|secret| secret[bit / 8] & (1 << (bit % 8)) != 0).count();
        assert!((380..=620).contains(&count), "bit {bit} is set in {count} of 1000 tokens");
    }
    secrets.sort_unstable();
    secrets.dedup();
    assert_eq!(secrets.len(), 1_000);
}

#[tokio::test]
async fn a_user_ends_a_session_after_a_confirmation() {
    let clock = ManualClock::at(NOW);
    let app = app(SessionLayer::stored(MemoryStore::new(), keys()).clock(clock.clone()));
    let [phone, laptop, bobs] = [(); 3].map(|()| Client::new(app.clone()));
    let ids = [phone.post("/log-in/ada").await.text(), laptop.post("/log-in/ada").await.text().to_owned()];
    bobs.post("/log-in/bob").await;
    for status in [phone.get("/devices").await.status(), phone.post("/devices").await.status()] {
        assert_eq!(status, StatusCode::FORBIDDEN);
    }
    phone.post("/confirm").await;
    let listed = phone.get("/devices").await.text();
    assert!(ids.iter().all(|id| listed.contains(id)) && listed.split(' ').count() == 2, "{listed}");
    assert_eq!(phone.post("/devices").await.status(), StatusCode::OK);
    for (client, user) in [(&phone, "ada"), (&laptop, ""), (&bobs, "bob")] {
        assert_eq!(client.get("/").await.text(), user);
    }
    clock.advance(std::time::Duration::from_secs(601));
    assert_eq!(phone.get("/devices").await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_token_of_the_other_algorithm_is_refused() {
    let (signed, encrypted) = (layer(), SessionLayer::encrypted(keys()));
    let tokens = [cookie_of(signed.clone()).await, cookie_of(encrypted.clone()).await];
    for (layer, own, other) in [(&signed, &tokens[0], &tokens[1]), (&encrypted, &tokens[1], &tokens[0])] {
        assert_eq!(seen_with(layer.clone(), own).await, "ada");
        assert_eq!(seen_with(layer.clone(), other).await, "");
        for version in ["0", "1", "2", "3", "none", ""] {
            let forged = format!("{version}{}", &other[1..]);
            assert_eq!(seen_with(layer.clone(), &forged).await, "", "{version}");
        }
        let unsigned = own.rsplit_once('.').unwrap().0;
        assert_eq!(seen_with(layer.clone(), unsigned).await, "");
        assert_eq!(seen_with(layer.clone(), &format!("{unsigned}.")).await, "");
    }
}

#[tokio::test]
async fn a_token_of_another_application_is_refused() {
    let engines = [layer(), SessionLayer::encrypted(keys()), SessionLayer::stored(MemoryStore::new(), keys())];
    for layer in engines {
        let token = cookie_of(layer.clone().application("shop")).await;
        assert_eq!(seen_with(layer.clone().application("shop"), &token).await, "ada");
        for other in ["", "shops", "forum"] {
            assert_eq!(seen_with(layer.clone().application(other), &token).await, "", "{other}");
        }
    }
}
