//! The text that Redis keeps of a session, and the metadata in it.

use std::collections::BTreeMap;

use session_core::{
    SessionId,
    store::{Entries, Lookup, Metadata},
};
use session_stores::fuzzing::{lookup_of, text_of};

/// Reads a record, writes it, and reads it again.
///
/// # Panics
///
/// Panics if the second record is another one.
pub fn run(data: &[u8]) {
    let id = SessionId::from_bytes([7; 16]);
    for now in [0, 1_893_456_000, u64::MAX] {
        let Ok(Lookup::Live(record)) = lookup_of(id, data, now) else { continue };
        let text = text_of(&record);
        let Ok(Lookup::Live(again)) = lookup_of(id, &text, now) else {
            panic!("what was written cannot be read");
        };
        assert_eq!(again.version, record.version.saturating_add(1));
        assert_eq!(
            (again.created_at, again.seen_at, again.expires_at, &again.owner, &again.label, &again.application),
            (record.created_at, record.seen_at, record.expires_at, &record.owner, &record.label, &record.application)
        );
        let sorted = |entries: &Entries| entries.iter().map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
        let (before, after): (BTreeMap<_, _>, BTreeMap<_, _>) = (sorted(&record.entries), sorted(&again.entries));
        assert_eq!(after, before, "other entries");
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let metadata = Metadata::from_json(text);
        if let Some(json) = metadata.to_json() {
            assert_eq!(Metadata::from_json(&json), metadata, "other metadata after it was written");
        }
    }
}
