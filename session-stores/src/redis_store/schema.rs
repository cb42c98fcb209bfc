//! The layout of a session in Redis: the names of keys, and the bytes of a record.
//!
//! The documentation of `RedisStore` describes the layout. The scripts read the fixed part by its places.

use std::ops::Range;

use session_core::{
    SessionId, base64url,
    store::{ENDED_IS_KNOWN_FOR, End, Entries, Lookup, Owner, Record, RecordKey, SessionInfo, StoreError, Write},
};
use sha2::{Digest as _, Sha256};

use super::scripts::unreadable;

/// The names of keys in Redis. All of them begin with the prefix.
#[derive(Clone)]
pub(super) struct Names {
    pub(super) prefix: String,
}

impl Names {
    /// Returns the key of a session's record. In a cluster, only the text in braces decides on which machine the key
    /// is. This text is the shard, which a rename does not change.
    pub(super) fn record(&self, id: SessionId) -> String {
        let id = hex(id);
        format!("{}:{{{}}}:{id}", self.prefix, &id[..4])
    }

    /// Returns the keys of an owner's two sorted sets: the sessions by their ends, and by their last visits.
    pub(super) fn indexes(&self, owner: &OwnerText) -> [String; 2] {
        let name = base64url(&Sha256::digest(&owner.0));
        ["ends", "visits"].map(|index| format!("{}:owner:{{{name}}}:{index}", self.prefix))
    }

    /// Returns how the keys of all owners' sets begin.
    pub(super) fn owners(&self) -> String {
        format!("{}:owner:", self.prefix)
    }

    /// Returns the pattern of all records' keys.
    pub(super) fn all_records(&self) -> String {
        let escaped: String = self.prefix.chars().flat_map(|char| ['\\', char]).collect();
        format!("{escaped}:{{????}}:*")
    }

    /// Returns the key that says which layout the records have.
    pub(super) fn layout(&self) -> String {
        format!("{}:layout", self.prefix)
    }

    /// Reads the id in the key of a record.
    pub(super) fn id_of(&self, key: &[u8]) -> Option<SessionId> {
        let rest = std::str::from_utf8(key).ok()?.strip_prefix(&self.prefix)?;
        id_of_hex(rest.rsplit(':').next()?.as_bytes())
    }
}

/// An application and an owner as one text: their lengths, and then both. The scripts make the same text.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct OwnerText(pub(super) Vec<u8>);

impl OwnerText {
    /// `application` is `None` for records that were written before applications were kept.
    pub(super) fn new(application: Option<&str>, owner: &str) -> Self {
        let mut bytes = Vec::new();
        push_lengths(&mut bytes, &[application, Some(owner)]);
        bytes.extend_from_slice(application.unwrap_or_default().as_bytes());
        bytes.extend_from_slice(owner.as_bytes());
        Self(bytes)
    }

    /// Returns the texts with the sessions of an owner: those of its application, and those of no known application.
    pub(super) fn of(owner: Owner<'_>) -> [Self; 2] {
        [Self::new(Some(owner.application), owner.name), Self::new(None, owner.name)]
    }
}

/// Returns an application as the scripts make it: its length, and its name.
pub(super) fn application_text(application: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_lengths(&mut bytes, &[Some(application)]);
    bytes.extend_from_slice(application.as_bytes());
    bytes
}

/// Returns a time or a version as the 20 digits that a record has.
pub(super) fn digits(number: u64) -> Vec<u8> {
    format!("{number:020}").into_bytes()
}

/// The bytes of a record before and after the two times that a script may have to take from the former record.
pub(super) struct Packed {
    pub(super) before: Vec<u8>,
    pub(super) after: Vec<u8>,
}

impl Packed {
    /// Returns the record that `write` makes of `base`. `nonce` has 16 bytes, or none.
    pub(super) fn new(key: &RecordKey, base: &Record, write: &Write<'_>, nonce: &[u8]) -> Self {
        let mut before = vec![FORMAT, RECORD];
        before.extend_from_slice(key.hash());
        before.extend_from_slice(&digits(base.version + 1));
        let mut after = digits(write.created_at);
        after.extend_from_slice(if nonce.len() == 16 { nonce } else { &[0; 16] });
        let texts = [Some(write.application), write.owner_after(base), write.label_after(base)];
        push_lengths(&mut after, &texts);
        texts.into_iter().flatten().for_each(|text| after.extend_from_slice(text.as_bytes()));
        write.changes.write(&base.entries, &mut after);
        Self { before, after }
    }

    /// Returns the bytes of a record that begins.
    pub(super) fn beginning(self, write: &Write<'_>) -> Vec<u8> {
        let mut bytes = self.before;
        bytes.extend_from_slice(&digits(write.visit.now));
        bytes.extend_from_slice(&digits(write.visit.expires_at));
        bytes.extend_from_slice(&self.after);
        bytes
    }
}

/// The text of a record, for the fuzzer.
#[cfg(fuzzing)]
pub mod fuzzing {
    use session_core::store::{Changes, Visit};

    use super::*;

    /// Reads what is under the key of a session.
    pub fn lookup_of(id: SessionId, bytes: &[u8], now: u64) -> Result<Lookup, StoreError> {
        let hash = Head::of(bytes)?.hash().try_into().map_err(|_| unreadable())?;
        lookup(&RecordKey::from_parts(id, hash), bytes, now)
    }

    /// Returns the text of a record after a write that changes nothing.
    pub fn text_of(record: &Record) -> Vec<u8> {
        let changes = Changes::default();
        let write = Write {
            base: Some(record),
            created_at: record.created_at,
            application: record.application.as_deref().unwrap_or_default(),
            ..Write::new(&changes, Visit { now: record.seen_at, expires_at: record.expires_at })
        };
        Packed::new(&record.key, record, &write, &[]).beginning(&write)
    }
}

/// Returns the state of a tombstone, and what follows the hash in it: the last second in which the end is known, as
/// often as in a record, and the successor.
pub(super) fn tombstone(end: End, now: u64) -> (u8, Vec<u8>) {
    let known_until = digits(now.saturating_add(ENDED_IS_KNOWN_FOR));
    let mut rest = [&digits(0)[..], &known_until].concat();
    match end {
        End::Deleted => (DELETED, rest),
        End::Renewed => (RENEWED, rest),
        End::Rotated { successor } => {
            rest.extend_from_slice(successor.id().as_bytes());
            rest.extend_from_slice(successor.hash());
            (ROTATED, rest)
        }
    }
}

/// Returns all bytes of a tombstone.
pub(super) fn whole_tombstone(hash: &[u8; 32], end: End, now: u64) -> Vec<u8> {
    let (state, rest) = tombstone(end, now);
    [&[FORMAT, state], &hash[..], &rest].concat()
}

/// Reads what is under a key.
pub(super) fn lookup(key: &RecordKey, bytes: &[u8], now: u64) -> Result<Lookup, StoreError> {
    let head = Head::of(bytes)?;
    if head.hash() != key.hash() {
        return Ok(Lookup::Unknown);
    }
    match head.state() {
        RECORD => Ok(Lookup::of(head.record(key.id())?, now)),
        state if now <= head.number(SEEN_AT)? => Ok(Lookup::Ended(head.end(state)?)),
        _ => Ok(Lookup::Unknown),
    }
}

/// Reads a record that a script has returned.
pub(super) fn record(id: SessionId, bytes: &[u8]) -> Result<Record, StoreError> {
    Head::of(bytes)?.record(id)
}

/// Reads a record without its entries. Returns `None` for an empty text.
pub(super) fn info(id: SessionId, bytes: &[u8]) -> Result<Option<Info>, StoreError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let record = Head::of(bytes)?.without_entries(id)?.0;
    Ok(Some(Info(record)))
}

/// A record without its entries.
pub(super) struct Info(pub(super) Record);

impl Info {
    pub(super) fn is_live_of(&self, owner: Owner<'_>, now: u64) -> bool {
        !self.0.is_expired(now) && self.0.belongs_to(owner)
    }

    pub(super) fn into_info(self) -> SessionInfo {
        self.0.info()
    }
}

/// The bytes of a record or a tombstone, of which the fixed part was checked.
struct Head<'a>(&'a [u8]);

impl<'a> Head<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, StoreError> {
        let (format, state) = (bytes.first(), bytes.get(1));
        let shortest = if state == Some(&RECORD) { HEAD } else { EXPIRES_AT.start };
        if format != Some(&FORMAT) || bytes.len() < shortest {
            return Err(unreadable());
        }
        Ok(Self(bytes))
    }

    const fn state(&self) -> u8 {
        self.0[1]
    }

    fn hash(&self) -> &'a [u8] {
        &self.0[HASH]
    }

    fn record(&self, id: SessionId) -> Result<Record, StoreError> {
        let (record, entries) = self.without_entries(id)?;
        Ok(Record { entries: Entries::parse(entries.to_vec()).map_err(|_| unreadable())?, ..record })
    }

    /// Returns the record without its entries, and the bytes of the entries.
    fn without_entries(&self, id: SessionId) -> Result<(Record, &'a [u8]), StoreError> {
        let mut rest = &self.0[HEAD..];
        let mut text = |place: usize| take_text(&mut rest, &self.0[LENGTHS][place..place + 4]);
        let (application, owner, label) = (text(0)?, text(4)?, text(8)?);
        let record = Record {
            application,
            created_at: self.number(CREATED_AT)?,
            seen_at: self.number(SEEN_AT)?,
            expires_at: self.number(EXPIRES_AT)?,
            owner,
            label,
            version: self.number(VERSION)?,
            ..Record::empty(self.key(id)?)
        };
        Ok((record, rest))
    }

    fn end(&self, state: u8) -> Result<End, StoreError> {
        match state {
            RENEWED => Ok(End::Renewed),
            ROTATED => {
                let (id, hash) = (self.0.get(SUCCESSOR_ID), self.0.get(SUCCESSOR_HASH));
                let id = id.and_then(|id| id.try_into().ok()).map(SessionId::from_bytes).ok_or_else(unreadable)?;
                let hash = hash.and_then(|hash| hash.try_into().ok()).ok_or_else(unreadable)?;
                Ok(End::Rotated { successor: RecordKey::from_parts(id, hash) })
            }
            _ => Ok(End::Deleted),
        }
    }

    fn key(&self, id: SessionId) -> Result<RecordKey, StoreError> {
        Ok(RecordKey::from_parts(id, self.hash().try_into().map_err(|_| unreadable())?))
    }

    fn number(&self, place: Range<usize>) -> Result<u64, StoreError> {
        let digits = self.0.get(place).filter(|digits| digits.iter().all(u8::is_ascii_digit));
        let text = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        text.and_then(|text| text.parse().ok()).ok_or_else(unreadable)
    }
}

/// Takes a text off the front of `rest`. `length` has its length, or [`NONE`].
fn take_text(rest: &mut &[u8], length: &[u8]) -> Result<Option<String>, StoreError> {
    let length = u32::from_be_bytes(length.try_into().map_err(|_| unreadable())?);
    if length == NONE {
        return Ok(None);
    }
    let (text, behind) = rest.split_at_checked(length as usize).ok_or_else(unreadable)?;
    *rest = behind;
    String::from_utf8(text.to_vec()).map(Some).map_err(|_| unreadable())
}

fn push_lengths(bytes: &mut Vec<u8>, texts: &[Option<&str>]) {
    for text in texts {
        let length = text.map_or(NONE, |text| u32::try_from(text.len()).unwrap_or(NONE - 1));
        bytes.extend_from_slice(&length.to_be_bytes());
    }
}

/// Returns the 32 hexadecimal digits that stand for a session in a key.
pub(super) fn hex(id: SessionId) -> String {
    format!("{:032x}", u128::from_be_bytes(*id.as_bytes()))
}

/// Reads a member of an index. Returns `None` if it is not an id.
pub(super) fn id_of_hex(digits: &[u8]) -> Option<SessionId> {
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 32)?;
    u128::from_str_radix(digits, 16).ok().map(|id| SessionId::from_bytes(id.to_be_bytes()))
}

const FORMAT: u8 = b'2';
const RECORD: u8 = b'R';
const DELETED: u8 = b'D';
const RENEWED: u8 = b'N';
const ROTATED: u8 = b'O';

const HASH: Range<usize> = 2..34;
const VERSION: Range<usize> = 34..54;
const SEEN_AT: Range<usize> = 54..74;
const EXPIRES_AT: Range<usize> = 74..94;
const CREATED_AT: Range<usize> = 94..114;
const LENGTHS: Range<usize> = 130..142;
/// The length of the fixed part.
const HEAD: usize = 142;

/// The places of the successor in a tombstone.
const SUCCESSOR_ID: Range<usize> = 74..90;
const SUCCESSOR_HASH: Range<usize> = 90..122;

/// The length of a text that is not there.
const NONE: u32 = u32::MAX;
