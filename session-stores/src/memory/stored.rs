//! A record in one allocation: with a million sessions, every allocation counts.

use std::ops::Range;

use session_core::{
    SessionId,
    store::{Changes, Entries, Record, RecordKey, SessionInfo, StoreError, StoreErrorKind},
};

/// The bytes of a record: numbers, the application, the owner, the label, and the entries as one JSON text.
///
/// ```text
/// hash 32 | created_at 8 | seen_at 8 | version 8 | lengths of the application, the owner and the label, 2 each
/// | application | owner | label | entries
/// ```
#[derive(Clone)]
pub(super) struct Stored(Box<[u8]>);

/// The parts of a record without its entries.
pub(super) struct Parts<'a> {
    pub(super) key: &'a RecordKey,
    pub(super) created_at: u64,
    pub(super) seen_at: u64,
    pub(super) version: u64,
    pub(super) application: &'a str,
    pub(super) owner: Option<&'a str>,
    pub(super) label: Option<&'a str>,
}

impl Stored {
    pub(super) fn new(parts: &Parts<'_>, changes: &Changes, entries: &Entries) -> Self {
        let mut bytes = Vec::with_capacity(512);
        bytes.extend_from_slice(parts.key.hash());
        for number in [parts.created_at, parts.seen_at, parts.version] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let texts = [Some(parts.application), parts.owner, parts.label];
        for text in texts {
            bytes.extend_from_slice(&length(text).to_le_bytes());
        }
        for text in texts.into_iter().flatten() {
            bytes.extend_from_slice(text.as_bytes());
        }
        changes.write(entries, &mut bytes);
        // A copy, because `into_boxed_slice` shrinks in place, and the allocator may keep the rest of the 512 bytes.
        Self(Box::from(&*bytes))
    }

    pub(super) fn belongs_to(&self, key: &RecordKey) -> bool {
        self.0[HASH] == *key.hash()
    }

    pub(super) fn created_at(&self) -> u64 {
        self.number(CREATED_AT)
    }

    pub(super) fn seen_at(&self) -> u64 {
        self.number(SEEN_AT)
    }

    pub(super) fn set_seen_at(&mut self, seconds: u64) {
        self.0[SEEN_AT].copy_from_slice(&seconds.to_le_bytes());
    }

    pub(super) fn version(&self) -> u64 {
        self.number(VERSION)
    }

    pub(super) fn application(&self) -> &str {
        self.text(HEAD, APPLICATION_LENGTH).unwrap_or_default()
    }

    pub(super) fn owner(&self) -> Option<&str> {
        self.text(self.owner_start(), OWNER_LENGTH)
    }

    pub(super) fn label(&self) -> Option<&str> {
        self.text(self.label_start(), LABEL_LENGTH)
    }

    fn text(&self, start: usize, length: Range<usize>) -> Option<&str> {
        self.length_at(length).and_then(|length| str::from_utf8(&self.0[start..start + length]).ok())
    }

    /// Returns whether the session has no owner, and its visitor has not come back since it began.
    pub(super) fn is_of_a_stranger(&self) -> bool {
        self.seen_at() <= self.created_at() && self.owner().is_none()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn key(&self, id: SessionId) -> RecordKey {
        RecordKey::from_parts(id, self.0[HASH].try_into().unwrap_or_default())
    }

    pub(super) fn info(&self, id: SessionId) -> SessionInfo {
        SessionInfo {
            key: self.key(id),
            created_at: self.created_at(),
            seen_at: self.seen_at(),
            owner: self.owner().map(str::to_owned),
            label: self.label().map(str::to_owned),
        }
    }

    /// Reads the entries and creates the record. This consumes a copy, so that the caller can release the lock first.
    pub(super) fn into_record(self, id: SessionId, expires_at: u64) -> Result<Record, StoreError> {
        let record = Record {
            key: self.key(id),
            application: Some(self.application().to_owned()),
            created_at: self.created_at(),
            seen_at: self.seen_at(),
            expires_at,
            owner: self.owner().map(str::to_owned),
            label: self.label().map(str::to_owned),
            entries: Entries::NONE,
            version: self.version(),
        };
        let start = self.entries_start();
        let mut text = self.0.into_vec();
        text.drain(..start);
        let entries = Entries::parse(text).map_err(|error| StoreError::new(StoreErrorKind::Unreadable, error))?;
        Ok(Record { entries, ..record })
    }

    fn number(&self, at: Range<usize>) -> u64 {
        self.0[at].try_into().map_or(0, u64::from_le_bytes)
    }

    fn length_at(&self, at: Range<usize>) -> Option<usize> {
        let length = self.0[at].try_into().map_or(NOT_THERE, u16::from_le_bytes);
        (length != NOT_THERE).then_some(usize::from(length))
    }

    fn owner_start(&self) -> usize {
        HEAD + self.length_at(APPLICATION_LENGTH).unwrap_or_default()
    }

    fn label_start(&self) -> usize {
        self.owner_start() + self.length_at(OWNER_LENGTH).unwrap_or_default()
    }

    fn entries_start(&self) -> usize {
        self.label_start() + self.length_at(LABEL_LENGTH).unwrap_or_default()
    }
}

fn length(text: Option<&str>) -> u16 {
    text.map_or(NOT_THERE, |text| u16::try_from(text.len()).unwrap_or(NOT_THERE))
}

const HASH: Range<usize> = 0..32;
const CREATED_AT: Range<usize> = 32..40;
const SEEN_AT: Range<usize> = 40..48;
const VERSION: Range<usize> = 48..56;
const APPLICATION_LENGTH: Range<usize> = 56..58;
const OWNER_LENGTH: Range<usize> = 58..60;
const LABEL_LENGTH: Range<usize> = 60..62;
const HEAD: usize = 62;

const NOT_THERE: u16 = u16::MAX;

/// The largest length of the application's name, an owner or a label, in bytes.
pub(super) const LONGEST_TEXT: usize = NOT_THERE as usize - 1;
