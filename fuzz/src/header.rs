//! A whole request: any `Cookie` headers, with authentic tokens among them.
//!
//! The first byte chooses the layer. A line break separates headers. A byte from 0x80 on stands for one of
//! [`Tokens`], so that the fuzzer can place, repeat and cut tokens that it could not make.

use std::sync::LazyLock;

use axum::{Router, http::HeaderValue};
use serde_json::{Value, json};
use session_axum::SessionLayer;
use session_core::{
    SessionId,
    fuzzing::take_checks,
    token::{Frame, Protection},
};
use session_stores::MemoryStore;

use crate::application::{FLASH, NOW, SESSION, Secret, Seen, app, configured, cookies_of, keys, layer, ring, send};

struct Target {
    app: Router,
    tokens: Tokens,
}

/// The texts that the bytes from 0x80 on stand for.
pub struct Tokens(Vec<Vec<u8>>);

static TARGETS: LazyLock<[Target; 3]> = LazyLock::new(|| {
    let stored = configured(SessionLayer::stored(MemoryStore::new(), keys(Secret::Current)));
    [
        Target::new(Protection::Signed, layer(Protection::Signed)),
        Target::new(Protection::Encrypted, layer(Protection::Encrypted)),
        Target::stored(stored),
    ]
});

impl Target {
    fn new(protection: Protection, layer: SessionLayer) -> Self {
        let app = app(layer);
        let tokens = Tokens::sealed(protection, &app);
        Self { app, tokens }
    }

    fn stored(layer: SessionLayer) -> Self {
        let app = app(layer);
        let tokens = Tokens::of(&app, [value_of(&app, "/alice"), value_of(&app, "/mallory")]);
        Self { app, tokens }
    }
}

/// Returns the cookie that a page sets, with its name.
fn pair_of(app: &Router, path: &str) -> Vec<u8> {
    cookies_of(send(app, path, Vec::new()).0.headers()).remove(0).as_bytes().to_vec()
}

fn value_of(app: &Router, path: &str) -> Vec<u8> {
    pair_of(app, path).split(|byte| *byte == b'=').nth(1).expect("a pair").to_vec()
}

/// The sessions that are in the tokens.
fn sessions() -> [Value; 2] {
    [json!({"n": 1, "user": "alice"}), json!({"n": 2, "user": "mallory"})]
}

impl Tokens {
    fn sealed(protection: Protection, app: &Router) -> Self {
        let [alice, mallory] = sessions().map(|session| session.to_string());
        let sealed = |secret, id: u8, created: u64, issued: u64, payload: &str| {
            let frame = Frame { id: SessionId::from_bytes([id; 16]), created_at: created, issued_at: issued };
            let mut body = frame.begin_body(payload.len());
            body.extend_from_slice(payload.as_bytes());
            ring(secret, protection).seal(&body).expect("the system returns random bytes").into_bytes()
        };
        let current = |id, age: u64, payload: &str| sealed(Secret::Current, id, NOW - age, NOW - age, payload);
        let sessions = [
            current(0, 10, &alice),
            current(1, 5, &mallory),
            sealed(Secret::Previous, 2, NOW - 10, NOW - 10, &alice),
            sealed(Secret::Removed, 3, NOW - 10, NOW - 10, &mallory),
            current(4, 1_801, &mallory),
            sealed(Secret::Current, 5, NOW - 43_201, NOW - 5, &mallory),
            sealed(Secret::Current, 6, NOW + 3_600, NOW + 3_600, &mallory),
            current(0, 9, &alice),
            current(8, 10, "{}"),
            current(9, 10, r#"{"a":1,"a":2}"#),
            current(10, 10, &format!("{}1{}", "[".repeat(40), "]".repeat(40))),
        ];
        Self::of(app, sessions)
    }

    fn of(app: &Router, sessions: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let others = [
            value_of(app, "/flash"),
            pair_of(app, "/flash"),
            format!("{SESSION}=").into_bytes(),
            format!("{FLASH}.").into_bytes(),
            "A".repeat(4_000).into_bytes(),
        ];
        Self(sessions.into_iter().chain(others).collect())
    }

    fn expand(&self, data: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        for byte in data {
            match byte.checked_sub(0x80) {
                Some(number) => text.extend_from_slice(&self.0[usize::from(number) % self.0.len()]),
                None => text.push(*byte),
            }
        }
        text
    }
}

/// Sends the headers, and checks that the session is none or one that was sealed.
///
/// # Panics
///
/// Panics if the layer breaks a promise.
pub fn run(data: &[u8]) {
    let Some((choice, lines)) = data.split_first() else { return };
    let target = &TARGETS[usize::from(*choice) % TARGETS.len()];
    // A short line can stand for a long header; servers have a limit for it.
    let expanded = target.tokens.expand(lines.get(..64 * 1024).unwrap_or(lines));
    let headers = expanded.split(|byte| *byte == b'\n').filter_map(|line| HeaderValue::from_bytes(line).ok());
    let _ = take_checks();
    let (response, body) = send(&target.app, "/", headers.collect());
    assert!(take_checks() <= 12, "four candidates and eight batches of messages at most");

    assert_eq!(response.status(), 200, "the handler runs");
    let seen: Seen = serde_json::from_slice(&body).expect("the handler's JSON");
    // The seeds have authentic tokens with more values, but with these names.
    let user = seen.session.get("user");
    let is_sealed = sessions().iter().any(|session| user == session.get("user"));
    assert!(seen.session.is_empty() || is_sealed, "a session that nothing sealed: {seen:?}");
    let saved = ("notice".to_owned(), "saved".to_owned());
    assert!(seen.messages.iter().all(|message| *message == saved), "a message that nothing sealed: {seen:?}");

    let set: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert!(set.len() <= 32, "{} cookies are set", set.len());
    for header in set {
        let text = header.to_str().expect("a header of ours is ASCII");
        let cookie = cookie::Cookie::parse(text).expect("a header of ours can be parsed");
        assert!(cookie.name().starts_with(SESSION) || cookie.name().starts_with(FLASH), "{text}");
        assert_eq!(cookie.http_only(), Some(true), "{text}");
    }
}
