//! The payload of an authentic token: JSON that is read, written and read again.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use session_core::{
    SessionId,
    store::{Changes, Entries},
    token::{Frame, Protection, Token},
};

use crate::application::{Secret, ring};

/// Seals the payload, opens it, and compares its entries with those that `serde_json` finds.
///
/// # Panics
///
/// Panics if an entry is lost, changed or added on the way, or if JSON is accepted that is none.
pub fn run(data: &[u8]) {
    let ring = ring(Secret::Current, Protection::Signed);
    let frame = Frame { id: SessionId::from_bytes([7; 16]), created_at: 5, issued_at: 7 };
    let mut body = frame.begin_body(data.len());
    body.extend_from_slice(data);
    let text = ring.seal(&body).expect("signing does not fail");
    let token = Token::parse(text.as_bytes(), Protection::Signed).expect("a sealed token has its shape");
    let verified = ring.open(&token).expect("a sealed token opens");
    assert_eq!(verified.payload(), data, "the payload is another one");

    let reference = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(data);
    let Ok(entries) = verified.entries() else {
        // Refused are repeated keys and deep values, which `serde_json` takes. What is flat and small is read.
        assert!(!reference.is_ok_and(|object| is_simple(&object) && has_one_colon(data)), "simple JSON is refused");
        return;
    };
    let whole = texts(&reference.expect("what is accepted is JSON"));
    // Keys that begin with `$` are no entries. They are kept.
    let mut reference = whole.clone();
    reference.retain(|key, _| !key.starts_with('$'));
    assert_eq!(to_map(&entries), reference, "other entries");

    let mut written = Vec::new();
    Changes::default().write(&entries, &mut written);
    let mut kept = texts(&serde_json::from_slice(&written).expect("what was written is JSON"));
    let mut expected = whole;
    // The metadata, which are written as they are understood.
    kept.remove("$");
    expected.remove("$");
    assert_eq!(kept, expected, "other texts after they were written");
    let again = Entries::parse(written).expect("what was written can be read");
    assert_eq!(to_map(&again), reference, "other entries after they were written");
    assert_eq!(again.metadata(), entries.metadata(), "other metadata after they were written");
}

fn texts(object: &BTreeMap<String, Box<RawValue>>) -> BTreeMap<String, String> {
    object.iter().map(|(key, value)| (key.clone(), value.get().to_owned())).collect()
}

fn to_map(entries: &Entries) -> BTreeMap<String, String> {
    entries.iter().map(|(key, text)| (key.to_owned(), text.to_owned())).collect()
}

/// Whether an object must be read: it has one entry, which is no array and no object.
fn is_simple(object: &BTreeMap<String, Box<RawValue>>) -> bool {
    object.len() <= 1 && object.values().all(|value| !value.get().starts_with(['[', '{']))
}

/// Whether no key can be there twice.
fn has_one_colon(data: &[u8]) -> bool {
    data.iter().filter(|byte| **byte == b':').count() <= 1
}
