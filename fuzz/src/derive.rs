//! Structs with `#[derive(SessionData)]`: any session is read, written and read again.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use session_axum::SessionData;
use session_core::{
    data::{Reader, Writer},
    store::{Changes, Entries},
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Choice {
    Unit,
    Pair(i8, Option<u16>),
    Named { list: Vec<Choice>, text: String },
}

#[derive(Debug, PartialEq, SessionData)]
struct Everything {
    text: Option<String>,
    #[session(default)]
    number: i64,
    #[session(rename = "n")]
    unsigned: Option<u128>,
    #[session(default)]
    float: Option<f64>,
    #[session(default)]
    list: Vec<Option<bool>>,
    #[session(default)]
    map: BTreeMap<String, Choice>,
    #[session(default, alias = "old_set")]
    set: HashSet<char>,
    choice: Option<Choice>,
    #[session(flatten)]
    inner: Inner,
}

#[derive(Debug, PartialEq, SessionData)]
#[session(prefix = "inner.")]
struct Inner {
    #[session(default)]
    nested: Option<(u8, String)>,
    unit: Option<()>,
}

/// Reads the struct from a session, writes it, and reads it again.
///
/// # Panics
///
/// Panics if the second struct is another one, or if writing loses a key that is not of the struct.
pub fn run(data: &[u8]) {
    let Ok(entries) = Entries::parse(data.to_vec()) else { return };
    let unchanged = Changes::default();
    let Ok(first) = Everything::read(&Reader::new(&entries, &unchanged)) else { return };

    let mut writer = Writer::new();
    first.write(&mut writer);
    let Ok(fields) = writer.finish() else { return };
    let mut changes = Changes::default();
    for field in &fields {
        for alias in field.aliases {
            changes.remove(alias);
        }
        match &field.text {
            Some(text) => changes.insert(field.key, text.clone()),
            None => changes.remove(field.key),
        }
    }
    let mut written = Vec::new();
    changes.write(&entries, &mut written);
    let again = Entries::parse(written).expect("what was written can be read");
    let second = Everything::read(&Reader::new(&again, &unchanged)).expect("what was written has its fields");
    assert_eq!(second, first, "another struct after it was written");
    let others = |entries: &Entries| {
        let of_struct = |key: &str| Everything::KEYS.contains(&key) || key.starts_with("inner.");
        entries
            .fields()
            .filter(|(key, _)| !of_struct(key))
            .map(|(key, text)| (key.to_owned(), text.to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(others(&again).len(), others(&entries).len(), "a key that is not of the struct is gone");
}
