//! The golden tokens: two implementations, one text.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use session_axum::testing::ManualClock;
use session_core::{
    Keys, SessionId, cookie,
    flash::{Batch, Message},
    token::{Frame, Protection, Purpose, Ring, Token, Verified},
};
use sha2::{Digest as _, Sha256};

use crate::support::{
    corpus::{CORPUS, ExpectFlash, ExpectSession, FLASH, FlashName, SESSION, wire_of},
    reference::{self, Binding, hex},
};

#[test]
fn every_hostile_header_comes_out_byte_for_byte() {
    for case in &CORPUS.cases {
        let headers = case.headers(Protection::Signed, FlashName::Plain).unwrap();
        assert_eq!(wire_of(&headers), case.wire, "{}", case.id);
        if case.example_len.is_empty() {
            let example: Vec<_> = case.example_b64.iter().map(|bytes| bytes.0.clone()).collect();
            assert!(headers == example, "{}", case.id);
        } else {
            let lengths: Vec<_> = headers.iter().map(Vec::len).collect();
            let digests: Vec<_> = headers.iter().map(|header| hex(&Sha256::digest(header))).collect();
            assert_eq!((&lengths, &digests), (&case.example_len, &case.example_sha256), "{}", case.id);
        }
    }
}

#[test]
fn sealing_makes_the_golden_token() {
    let token = ring(Protection::Signed, Purpose::Session).seal(&fixture_body()).unwrap();
    let header = [format!("{SESSION}={token}").into_bytes()];
    assert_eq!(header.as_slice(), CORPUS.case("CTRL-001").headers(Protection::Signed, FlashName::Plain).unwrap());
}

#[test]
fn every_positive_control_opens() {
    let controls = || CORPUS.cases.iter().filter(|case| case.id.starts_with("CTRL-"));
    for form in [Protection::Signed, Protection::Encrypted] {
        for case in controls() {
            let headers = case.headers(form, FlashName::Plain).unwrap();
            let expected = (case.expect.session == ExpectSession::A).then(|| CORPUS.fixtures.session_data.clone());
            assert_eq!(open(&headers, form, Purpose::Session).map(entries), expected, "{} {form:?}", case.id);

            let flash = open(&headers, form, Purpose::Flash).map(|verified| Batch::of(&verified.entries().unwrap()));
            let notice = flash.map(|batch| batch.unwrap().messages.get_all("notice").to_vec());
            let expected = (case.expect.flash == ExpectFlash::F).then(|| vec![Message::from("saved")]);
            assert_eq!(notice, expected, "{} {form:?}", case.id);
        }
    }
    assert_eq!(controls().count(), 12);
}

#[test]
fn a_message_with_data_makes_the_golden_token() {
    let mut deleted = Message::from("Deleted");
    deleted.insert("undo", r#""/undo/7""#.to_owned());
    let mut batch = Batch::default();
    batch.messages.add("success", "Saved");
    batch.messages.add("success", deleted);
    let mut payload = Vec::new();
    batch.write(&mut payload);
    assert_eq!(std::str::from_utf8(&payload).unwrap(), WITH_DATA);
    let token = ring(Protection::Signed, Purpose::Flash).seal(&body(CORPUS.fixtures.sid(), &payload)).unwrap();
    assert_eq!(
        token,
        "1.6mjM.AAAAAHDb1igAAAAAcNvYRAABAgMEBQYHCAkKCwwNDg97InN1Y2Nlc3MiOlsiU2F2ZWQiLHsidGV4dCI6IkRlbGV0ZWQiLCJkYXRhIjp7InVuZG8iOiIvdW5kby83In19XX0.n0SZPvqTdcLEuyxj5Q0sn2TBQgUU9wX-NoddAhrApmM"
    );
    let verified = ring(Protection::Signed, Purpose::Flash)
        .open(&Token::parse(token.as_bytes(), Protection::Signed).unwrap())
        .unwrap();
    assert_eq!(Batch::of(&verified.entries().unwrap()), Ok(batch));
}

/// The payload of a batch with a plain message and one with data.
pub(crate) const WITH_DATA: &str = r#"{"success":["Saved",{"text":"Deleted","data":{"undo":"/undo/7"}}]}"#;

#[test]
fn the_golden_values_open_by_both_implementations() {
    let clock = ManualClock::at(CORPUS.fixtures.now_unix);
    let sealer = keys().sealer("confirm-email").application(&CORPUS.fixtures.app_id).clock(clock);
    assert_eq!(sealer.open(SEALED_VALUE), Some("ada@example.com".to_owned()));
    assert_eq!(sealer.clone().encrypted().open(ENCRYPTED_VALUE), Some("ada@example.com".to_owned()));

    let key = |label, version| value_binding(label, version).key(&CORPUS.fixtures.key("k_current"));
    let ours = sealer.seal("ada", Duration::from_secs(60)).unwrap();
    let (bound, _) = ours.rsplit_once('.').unwrap();
    let body = bound.rsplit_once('.').unwrap().1;
    assert_eq!(reference::sign(key("mac", "1"), "1", "6mjM", body.as_bytes()), ours.as_bytes());
    let ours = sealer.encrypted().seal("ada", Duration::from_secs(60)).unwrap();
    let body = reference::decrypt(key("enc", "2"), &ours).unwrap();
    let now = CORPUS.fixtures.now_unix.to_be_bytes();
    assert_eq!((&body[..8], &body[8..16]), (now.as_slice(), now.as_slice()));
    assert_eq!(body[32..], [&(CORPUS.fixtures.now_unix + 60).to_be_bytes(), br#""ada""#.as_slice()].concat());
}

/// The binding of the golden values.
pub(crate) fn value_binding<'a>(label: &'a str, version: &'a str) -> Binding<'a> {
    Binding { label, version, purpose: "value/confirm-email", cookie_name: "", application: &CORPUS.fixtures.app_id }
}

/// The content of the golden values: sealed a minute ago, for an hour.
pub(crate) fn value_body() -> Vec<u8> {
    let sealed_at = CORPUS.fixtures.now_unix - 60;
    let payload = [&(sealed_at + 3_600).to_be_bytes(), br#""ada@example.com""#.as_slice()].concat();
    reference::body(sealed_at, sealed_at, CORPUS.fixtures.sid(), &payload)
}

pub(crate) const SEALED_VALUE: &str = "1.6mjM.AAAAAHDb2EQAAAAAcNvYRAABAgMEBQYHCAkKCwwNDg8AAAAAcNvmVCJhZGFAZXhhbXBsZS5jb20i.9jSpiqR1xEqB_EOzt0tfT02V-zq3GNoXlM3E0un-_6M";
/// The nonce is the bytes 0 to 23.
pub(crate) const ENCRYPTED_VALUE: &str = "2.6mjM.AAECAwQFBgcICQoLDA0ODxAREhMUFRYX8WvjvSkte4UeEx1wagEZefOHlUqg-SG67k6zI5Ekfso03EojTdRv2jlNOnMKpBFNwP0lLs9tSDmmCEaKhi8jkBIN0MIp-gSq2A";

#[test]
fn what_the_previous_key_sealed_says_so() {
    let opened = |id: &str| {
        let headers = CORPUS.case(id).headers(Protection::Signed, FlashName::Plain).unwrap();
        open(&headers, Protection::Signed, Purpose::Session).unwrap()
    };
    assert!(opened("CTRL-001").by_newest_key());
    assert!(!opened("CTRL-010").by_newest_key());
}

#[test]
fn an_encrypted_token_is_read_by_the_other_implementation() {
    for (purpose, name, label) in [(Purpose::Session, SESSION, "session"), (Purpose::Flash, FLASH, "flash")] {
        let ours = ring(Protection::Encrypted, purpose).seal(&fixture_body()).unwrap();
        let application = &CORPUS.fixtures.app_id;
        let binding = Binding { label: "enc", version: "2", purpose: label, cookie_name: name, application };
        let key = binding.key(&CORPUS.fixtures.key("k_current"));
        assert_eq!(reference::decrypt(key, &ours), Some(fixture_body()));
    }
}

#[test]
fn no_two_purposes_names_or_applications_share_a_key() {
    let token = ring(Protection::Signed, Purpose::Session).seal(&fixture_body()).unwrap();
    let token = Token::parse(token.as_bytes(), Protection::Signed).unwrap();
    let opens =
        |purpose, name, application| keys().ring(Protection::Signed, purpose, name, application).open(&token).is_some();
    assert!(opens(Purpose::Session, SESSION, "acceptance"));
    assert!(!opens(Purpose::Flash, SESSION, "acceptance"));
    assert!(!opens(Purpose::Id, SESSION, "acceptance"));
    assert!(!opens(Purpose::Session, FLASH, "acceptance"));
    assert!(!opens(Purpose::Session, SESSION, ""));
}

#[test]
fn a_body_that_is_not_canonical_is_refused_although_it_is_signed() {
    let master = CORPUS.fixtures.key("k_current");
    let binding = Binding {
        label: "mac",
        version: "1",
        purpose: "session",
        cookie_name: SESSION,
        application: &CORPUS.fixtures.app_id,
    };
    let opens = |body: &str| {
        let token = reference::sign(binding.key(&master), "1", &reference::key_id(&master), body.as_bytes());
        let token = Token::parse(&token, Protection::Signed).unwrap();
        ring(Protection::Signed, Purpose::Session).open(&token).is_some()
    };
    let body = reference::base64url(&fixture_body());
    assert!(body.ends_with('9') && opens(&body));
    // 72 characters are 54 bytes; a 73rd alone is none; with a 74th it is one, and four bits say nothing.
    assert!(!opens(&format!("{body}A")));
    assert!(opens(&format!("{body}AA")));
    assert!(!opens(&format!("{body}AB")));
}

/// The keys of the fixtures' ring, newest first.
fn keys() -> Keys {
    let key = |name| CORPUS.fixtures.key(name);
    Keys::new(key("k_current")).unwrap().with_fallback(key("k_previous")).unwrap()
}

pub(crate) fn ring(form: Protection, purpose: Purpose) -> Ring {
    let name = if purpose == Purpose::Flash { FLASH } else { SESSION };
    keys().ring(form, purpose, name, &CORPUS.fixtures.app_id)
}

/// The body of `CTRL-001`.
pub(crate) fn fixture_body() -> Vec<u8> {
    body(CORPUS.fixtures.sid(), &serde_json::to_vec(&CORPUS.fixtures.session_data).unwrap())
}

/// A body as old as that of `CTRL-001`.
pub(crate) fn body(sid: [u8; 16], payload: &[u8]) -> Vec<u8> {
    let now = CORPUS.fixtures.now_unix;
    let frame = Frame { id: SessionId::from_bytes(sid), created_at: now - 600, issued_at: now - 60 };
    [frame.begin_body(0).as_slice(), payload].concat()
}

/// What the one cookie of this purpose holds.
fn open(headers: &[Vec<u8>], form: Protection, purpose: Purpose) -> Option<Verified> {
    let name = if purpose == Purpose::Flash { FLASH } else { SESSION };
    let mut pairs = headers.iter().flat_map(|header| cookie::pairs(header));
    let value = pairs.find(|(known, _)| *known == name.as_bytes())?.1;
    ring(form, purpose).open(&Token::parse(value, form)?)
}

fn entries(verified: Verified) -> BTreeMap<String, Value> {
    let entries = verified.entries().unwrap();
    entries.iter().map(|(key, text)| (key.to_owned(), serde_json::from_str(text).unwrap())).collect()
}
