//! The layout of a session in Redis: the names of keys and fields, and how they are read into a [`Record`].

use std::borrow::Cow;

use ::redis::Value;
use session_core::{
    SessionId, base64url,
    store::{Entries, Record, StoreError, Write},
};
use sha2::{Digest as _, Sha256};

use super::scripts::{unexpected, unreadable};

/// The names of keys in Redis. All of them begin with the prefix.
#[derive(Clone)]
pub(super) struct Names {
    pub(super) prefix: String,
}

impl Names {
    /// Returns the key of a session's hash. In a cluster, only the text in braces decides on which machine the key is.
    /// This text is the shard, which a rename does not change.
    pub(super) fn record(&self, id: SessionId) -> String {
        let id = hex(id);
        format!("{}:{{{}}}:{id}", self.prefix, &id[..4])
    }

    /// Returns the key of the sorted set of an owner's sessions.
    pub(super) fn index(&self, owner: &str) -> String {
        format!("{}:owner:{}", self.prefix, base64url(&Sha256::digest(owner)))
    }
}

/// The fields of a hash, before they are checked.
#[derive(Default)]
pub(super) struct Fields<'a> {
    format: Option<&'a str>,
    hash: Option<&'a str>,
    version: Option<&'a str>,
    created_at: Option<&'a str>,
    seen_at: Option<&'a str>,
    expires_at: Option<&'a str>,
    owner: Option<&'a str>,
    label: Option<&'a str>,
    entries: Vec<(&'a str, &'a str)>,
}

impl<'a> Fields<'a> {
    /// Reads the reply of `HGETALL`. Returns `None` if there is no hash.
    pub(super) fn of_hash(value: &'a Value) -> Result<Option<Self>, StoreError> {
        let mut fields = Self::default();
        let mut pairs = value.as_map_iter().ok_or_else(unexpected)?.peekable();
        if pairs.peek().is_none() {
            return Ok(None);
        }
        for (name, value) in pairs {
            fields.put(text(name)?, text(value)?);
        }
        Ok(Some(fields))
    }

    /// Reads the reply of `HMGET` for the fields [`LISTED`]. Returns `None` if the hash has none of them.
    pub(super) fn of_list(value: &'a Value) -> Result<Option<Self>, StoreError> {
        let values = value.as_sequence().ok_or_else(unexpected)?;
        if values.iter().all(|value| *value == Value::Nil) {
            return Ok(None);
        }
        let mut fields = Self::default();
        for (name, value) in LISTED.into_iter().zip(values).filter(|(_, value)| **value != Value::Nil) {
            fields.put(name, text(value)?);
        }
        Ok(Some(fields))
    }

    /// Returns the record if its secret has this hash, or if `hash` is `None`. A record of another format is an error.
    pub(super) fn record(self, id: SessionId, hash: Option<&str>) -> Result<Option<Record>, StoreError> {
        if self.format != Some(FORMAT) || self.hash.is_none() {
            return Err(unreadable());
        }
        if hash.is_some() && hash != self.hash {
            return Ok(None);
        }
        Ok(Some(Record {
            id,
            created_at: number(self.created_at)?,
            seen_at: number(self.seen_at)?,
            expires_at: number(self.expires_at)?,
            owner: self.owner.map(str::to_owned),
            label: self.label.map(str::to_owned),
            entries: Entries::from_texts(self.entries).map_err(|_| unreadable())?,
            version: number(self.version.filter(|version| version.len() <= MOST_DIGITS))?,
        }))
    }

    fn put(&mut self, name: &'a str, value: &'a str) {
        match name {
            "$f" => self.format = Some(value),
            "$h" => self.hash = Some(value),
            "$v" => self.version = Some(value),
            "$c" => self.created_at = Some(value),
            "$s" => self.seen_at = Some(value),
            "$x" => self.expires_at = Some(value),
            "$o" => self.owner = Some(value),
            "$l" => self.label = Some(value),
            _ => self.entries.extend(entry_of(name).map(|key| (key, value))),
        }
    }
}

/// The fields of a session that its owner may see, in the order of [`Fields::of_list`].
pub(super) const LISTED: [&str; 8] = ["$f", "$h", "$v", "$c", "$s", "$x", "$o", "$l"];

pub(super) const FORMAT: &str = "1";

/// The largest number of digits that a Lua script can hold and print exactly in a number.
const MOST_DIGITS: usize = 14;

/// Returns the field's name for an entry's key. A key that begins with `$` gets one more `$`, so that it cannot be one
/// of the store's own fields.
pub(super) fn field_of(key: &str) -> Cow<'_, str> {
    if key.len() > 1 && key.starts_with('$') { format!("${key}").into() } else { key.into() }
}

/// Returns the entry's key for a field's name. Returns `None` if the field is the store's own.
fn entry_of(field: &str) -> Option<&str> {
    match field.strip_prefix('$') {
        None | Some("") => Some(field),
        Some(rest) => rest.starts_with('$').then_some(rest),
    }
}

/// Returns the fields of a new session, each followed by its value.
pub(super) fn new_record<'a>(hash: String, write: Write<'a>) -> Vec<Cow<'a, str>> {
    let base = write.base();
    let (owner, label) = (write.changes.owner_after(base), write.changes.label_after(base));
    let mut fields: Vec<Cow<'a, str>> = vec!["$f".into(), FORMAT.into(), "$h".into(), hash.into()];
    fields.extend(["$v".into(), "1".into(), "$c".into(), write.created_at.to_string().into()]);
    fields.extend(["$s".into(), write.visit.now.to_string().into()]);
    fields.extend(["$x".into(), write.visit.expires_at.to_string().into()]);
    fields.extend(owner.into_iter().flat_map(|owner| ["$o".into(), owner.into()]));
    fields.extend(label.into_iter().flat_map(|label| ["$l".into(), label.into()]));
    for (key, text) in write.fields_after(base.entries) {
        fields.extend([field_of(key), text]);
    }
    fields
}

/// Returns the arguments for `write.lua`, from the fifth on. `moved` are further fields to set, before all others.
pub(super) fn changes<'a>(write: Write<'a>, nonce: String, moved: Vec<Cow<'a, str>>) -> Vec<Cow<'a, str>> {
    let mut set = moved;
    let mut removed = Vec::new();
    let mut keeps = false;
    for (key, text) in write.changes.field_edits(write.base().entries) {
        match text {
            Some(text) => {
                keeps |= !key.starts_with('$');
                set.extend([field_of(key), text]);
            }
            None => removed.push(field_of(key)),
        }
    }
    set.extend(write.changes.label().into_iter().flat_map(|label| ["$l".into(), label.into()]));
    let version = write.base.map_or(0, |record| record.version);
    let version = if write.only_if_unchanged { version.to_string() } else { String::new() };
    let mut arguments = vec![tagged(write.changes.owner()), version.into(), nonce.into()];
    arguments.extend([flag(write.changes.clears()), flag(keeps), set.len().to_string().into()]);
    arguments.append(&mut set);
    arguments.append(&mut removed);
    arguments
}

/// Returns an optional text as an argument: `=` and the text, or nothing. An empty text differs from a missing one.
pub(super) fn tagged<'a>(text: Option<&str>) -> Cow<'a, str> {
    text.map_or(Cow::Borrowed(""), |text| format!("={text}").into())
}

fn flag<'a>(is_set: bool) -> Cow<'a, str> {
    if is_set { "1".into() } else { "".into() }
}

/// Returns the 32 hexadecimal digits that stand for a session in an index.
pub(super) fn hex(id: SessionId) -> String {
    format!("{:032x}", u128::from_be_bytes(*id.as_bytes()))
}

/// Reads a member of an index. Returns `None` if it is not an id.
pub(super) fn id_of_hex(value: &Value) -> Option<SessionId> {
    let digits = text(value).ok().filter(|digits| digits.len() == 32)?;
    u128::from_str_radix(digits, 16).ok().map(|id| SessionId::from_bytes(id.to_be_bytes()))
}

fn number(text: Option<&str>) -> Result<u64, StoreError> {
    let digits = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(unreadable)
}

fn text(value: &Value) -> Result<&str, StoreError> {
    let Value::BulkString(bytes) = value else { return Err(unexpected()) };
    std::str::from_utf8(bytes).map_err(|_| unreadable())
}
