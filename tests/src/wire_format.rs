//! `docs/wire-format.md` says what the code does: every number of its worked example is computed here.

use session_core::{
    Keys, SessionId,
    store::RecordKey,
    token::{Protection, Purpose, Token},
};
use sha2::{Digest as _, Sha256};

use crate::{
    golden::{self, WITH_DATA, fixture_body},
    support::{
        corpus::{CORPUS, FLASH, SESSION},
        reference::{self, Binding, base64url, hex, hmac},
    },
};

const PAGE: &str = include_str!("../../docs/wire-format.md");

/// A line of its own in a block of code.
fn assert_line(value: &str) {
    assert!(PAGE.lines().any(|line| line == value), "the page lacks the line {value}");
}

/// Within a sentence, as code.
fn assert_word(value: &str) {
    assert!(PAGE.contains(&format!("`{value}`")), "the page lacks `{value}`");
}

fn master() -> [u8; 32] {
    CORPUS.fixtures.key("k_current")
}

fn binding<'a>(label: &'a str, version: &'a str, purpose: &'a str, cookie_name: &'a str) -> Binding<'a> {
    Binding { label, version, purpose, cookie_name, application: &CORPUS.fixtures.app_id }
}

#[test]
fn the_page_derives_the_key_id() {
    let key_id = reference::key_id(&master());
    assert_line(&hex(&master()));
    assert_word(&hex(b"\0\0\0\x03kid"));
    assert_word("ea68cc");
    assert_word(&key_id);
    assert_eq!(key_id, base64url(&[0xea, 0x68, 0xcc]));
}

#[test]
fn the_page_signs_a_session() {
    let (binding, body) = (binding("mac", "1", "session", SESSION), fixture_body());
    let key = binding.key(&master());
    let token = reference::sign(key, "1", &reference::key_id(&master()), base64url(&body).as_bytes());
    let token = String::from_utf8(token).unwrap();
    assert_line(&hex(&binding.info()));
    assert_line(&hex(&key));
    assert_line(&hex(&body));
    assert_line(&hex(&hmac(key, format!("1.6mjM.{}", base64url(&body)).as_bytes())));
    assert_line(&token);
    assert!(PAGE.contains(&format!("The content, {} bytes", body.len())));
    assert!(PAGE.contains(&format!("The token, {} characters", token.len())));
}

#[test]
fn the_page_signs_the_id_of_a_session_in_a_store() {
    let binding = binding("mac", "1", "id", SESSION);
    let secret: [u8; 32] = std::array::from_fn(|index| u8::try_from(16 + index).unwrap());
    let body = base64url(&[&fixture_body()[..32], &secret].concat());
    let token = reference::sign(binding.key(&master()), "1", &reference::key_id(&master()), body.as_bytes());
    let key = RecordKey::of_secret(SessionId::from_bytes(CORPUS.fixtures.sid()), &secret);
    let revocation = Sha256::digest([b"revoked".as_slice(), &CORPUS.fixtures.sid()].concat());
    assert_line(&hex(&binding.info()));
    assert_line(std::str::from_utf8(&token).unwrap());
    assert!(PAGE.contains(&format!("Such a token has {} characters", token.len())));
    assert_line(&hex(key.hash()));
    assert_eq!(RecordKey::of_revocation(key.id()).hash()[..], revocation[..]);

    let (keys, token) = (Keys::new(master()).unwrap(), Token::parse(&token, Protection::Signed).unwrap());
    let opened = keys.ring(Protection::Signed, Purpose::Id, SESSION, &CORPUS.fixtures.app_id).open(&token).unwrap();
    assert_eq!((opened.frame().id, opened.payload()), (key.id(), &secret[..]));
}

#[test]
fn the_page_signs_a_flash_batch() {
    let binding = binding("mac", "1", "flash", FLASH);
    let issued_at = CORPUS.fixtures.now_unix - 60;
    let payload = serde_json::to_vec(&CORPUS.fixtures.flash_data).unwrap();
    let body = base64url(&reference::body(issued_at, issued_at, CORPUS.fixtures.sid(), &payload));
    let token = reference::sign(binding.key(&master()), "1", &reference::key_id(&master()), body.as_bytes());
    let name = format!("{FLASH}.{}", base64url(&CORPUS.fixtures.sid()));
    assert_line(&hex(&binding.info()));
    assert_line(&name);
    assert_line(&format!("{name}={}", String::from_utf8(token).unwrap()));
}

#[test]
fn the_page_signs_a_flash_batch_with_data() {
    let key = binding("mac", "1", "flash", FLASH).key(&master());
    let body = base64url(&golden::body(CORPUS.fixtures.sid(), WITH_DATA.as_bytes()));
    let token = reference::sign(key, "1", &reference::key_id(&master()), body.as_bytes());
    assert_line(WITH_DATA);
    assert_line(std::str::from_utf8(&token).unwrap());
}

#[test]
fn the_page_encrypts_a_session() {
    let binding = binding("enc", "2", "session", SESSION);
    let (key, key_id) = (binding.key(&master()), reference::key_id(&master()));
    let nonce = std::array::from_fn(|index| u8::try_from(index).unwrap());
    let body = reference::encrypt(key, "2", &key_id, nonce, &fixture_body());
    assert_line(&hex(&binding.info()));
    assert_line(&hex(&key));
    assert_word(&hex(&nonce));
    assert_line(&format!("2.{key_id}.{body}"));
}

#[test]
fn the_page_seals_a_value() {
    let (signed, encrypted) = (golden::value_binding("mac", "1"), golden::value_binding("enc", "2"));
    let (body, key_id) = (golden::value_body(), reference::key_id(&master()));
    let token = reference::sign(signed.key(&master()), "1", &key_id, base64url(&body).as_bytes());
    assert_line(&hex(&signed.info()));
    assert_line(&hex(&body));
    assert_line(std::str::from_utf8(&token).unwrap());
    assert_eq!(token, golden::SEALED_VALUE.as_bytes());
    let nonce = std::array::from_fn(|index| u8::try_from(index).unwrap());
    let sealed = reference::encrypt(encrypted.key(&master()), "2", &key_id, nonce, &body);
    assert_line(golden::ENCRYPTED_VALUE);
    assert_eq!(golden::ENCRYPTED_VALUE, format!("2.{key_id}.{sealed}"));
}

#[test]
fn the_page_states_the_limits_of_the_code() {
    let rows = [
        format!("| {} bytes, for reading and for writing |", session_core::cookie::MAX_SIZE),
        format!("| payload of a session in one cookie `{SESSION}`, signed | {} bytes |", largest_payload(32, 1 + 43)),
        format!("| likewise, encrypted | {} bytes |", largest_payload(24 + 32 + 16, 0)),
        format!("| clock skew | {} seconds |", session_core::token::CLOCK_SKEW),
        format!("| `Max-Age` | {} days |", session_core::MAX_COOKIE_AGE / (24 * 60 * 60)),
    ];
    for row in rows {
        assert!(PAGE.contains(&row), "the page lacks {row}");
    }
}

/// The largest payload whose token still fits beside its name, with so many bytes and characters around it.
fn largest_payload(bytes: usize, characters: usize) -> usize {
    let size = |payload: usize| SESSION.len() + "1.6mjM.".len() + ((bytes + payload) * 4).div_ceil(3) + characters;
    (0..4096).rfind(|payload| size(*payload) <= session_core::cookie::MAX_SIZE).unwrap()
}
