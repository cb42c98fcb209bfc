//! Reads rows into records. Every column is checked: another program may have written to the table.

use session_core::{
    SessionId,
    store::{End, Entries, Lookup, Record, RecordKey, SessionInfo, StoreError, StoreErrorKind},
};
use sqlx::{ColumnIndex, Decode, Error, FromRow, Row};

/// The columns of a record or a tombstone, before they are checked.
#[derive(Clone)]
pub(super) struct RecordRow {
    key: Vec<u8>,
    id: Vec<u8>,
    format: i16,
    data: Vec<u8>,
    version: i64,
    created_at: i64,
    seen_at: i64,
    expires_at: i64,
    application: Option<String>,
    owner: Option<String>,
    label: Option<String>,
    ended: Option<i16>,
    successor: Option<Vec<u8>>,
}

impl RecordRow {
    /// Returns what the row says at `now` about the session with this id.
    pub(super) fn into_lookup(self, id: SessionId, now: u64) -> Result<Lookup, StoreError> {
        if self.format != FORMAT {
            return Err(unreadable("another version of session-stores wrote this record: its format is not 1"));
        }
        if key(&self.id, &self.key)?.id() != id {
            return Ok(Lookup::Unknown);
        }
        match self.ended {
            None => Ok(Lookup::of(self.into_record()?, now)),
            Some(ended) if now <= number(self.expires_at)? => {
                Ok(Lookup::Ended(end_of(ended, self.successor.as_deref())?))
            }
            Some(_) => Ok(Lookup::Unknown),
        }
    }

    /// Returns the hash in the record's key.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    fn into_record(self) -> Result<Record, StoreError> {
        Ok(Record {
            key: key(&self.id, &self.key)?,
            application: self.application,
            created_at: number(self.created_at)?,
            seen_at: number(self.seen_at)?,
            expires_at: number(self.expires_at)?,
            owner: self.owner,
            label: self.label,
            entries: Entries::parse(self.data).map_err(|malformed| unreadable(&malformed.to_string()))?,
            version: number(self.version)?,
        })
    }
}

/// Returns the number in the column `ended`, and the bytes in the column `successor`: an id and a hash.
pub(super) fn columns_of(end: End) -> (u64, Option<[u8; 48]>) {
    match end {
        End::Deleted => (DELETED, None),
        End::Renewed => (RENEWED, None),
        End::Rotated { successor } => {
            let mut bytes = [0; 48];
            bytes[..16].copy_from_slice(successor.id().as_bytes());
            bytes[16..].copy_from_slice(successor.hash());
            (ROTATED, Some(bytes))
        }
    }
}

fn end_of(ended: i16, successor: Option<&[u8]>) -> Result<End, StoreError> {
    match (u64::try_from(ended), successor) {
        (Ok(RENEWED), _) => Ok(End::Renewed),
        (Ok(ROTATED), Some(bytes)) if bytes.len() == 48 => {
            Ok(End::Rotated { successor: key(&bytes[..16], &bytes[16..])? })
        }
        _ => Ok(End::Deleted),
    }
}

/// The columns of a [`SessionInfo`], before they are checked.
pub(super) struct InfoRow {
    key: Vec<u8>,
    id: Vec<u8>,
    created_at: i64,
    seen_at: i64,
    owner: Option<String>,
    label: Option<String>,
}

impl InfoRow {
    pub(super) fn into_info(self) -> Result<SessionInfo, StoreError> {
        Ok(SessionInfo {
            key: key(&self.id, &self.key)?,
            created_at: number(self.created_at)?,
            seen_at: number(self.seen_at)?,
            owner: self.owner,
            label: self.label,
        })
    }
}

impl<'r, R> FromRow<'r, R> for RecordRow
where
    R: Row,
    usize: ColumnIndex<R>,
    Vec<u8>: Decode<'r, R::Database>,
    i16: Decode<'r, R::Database>,
    i64: Decode<'r, R::Database>,
    Option<String>: Decode<'r, R::Database>,
    Option<i16>: Decode<'r, R::Database>,
    Option<Vec<u8>>: Decode<'r, R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, Error> {
        Ok(Self {
            key: row.try_get_unchecked(0)?,
            id: row.try_get_unchecked(1)?,
            format: row.try_get_unchecked(2)?,
            data: row.try_get_unchecked(3)?,
            version: row.try_get_unchecked(4)?,
            created_at: row.try_get_unchecked(5)?,
            seen_at: row.try_get_unchecked(6)?,
            expires_at: row.try_get_unchecked(7)?,
            application: row.try_get_unchecked(8)?,
            owner: row.try_get_unchecked(9)?,
            label: row.try_get_unchecked(10)?,
            ended: row.try_get_unchecked(11)?,
            successor: row.try_get_unchecked(12)?,
        })
    }
}

impl<'r, R> FromRow<'r, R> for InfoRow
where
    R: Row,
    usize: ColumnIndex<R>,
    Vec<u8>: Decode<'r, R::Database>,
    i64: Decode<'r, R::Database>,
    Option<String>: Decode<'r, R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, Error> {
        Ok(Self {
            key: row.try_get_unchecked(0)?,
            id: row.try_get_unchecked(1)?,
            created_at: row.try_get_unchecked(2)?,
            seen_at: row.try_get_unchecked(3)?,
            owner: row.try_get_unchecked(4)?,
            label: row.try_get_unchecked(5)?,
        })
    }
}

fn key(id: &[u8], hash: &[u8]) -> Result<RecordKey, StoreError> {
    let id = id.try_into().map_err(|_| unreadable("the id of the record is not 16 bytes long"))?;
    let hash = hash.try_into().map_err(|_| unreadable("the key of the record is not 32 bytes long"))?;
    Ok(RecordKey::from_parts(SessionId::from_bytes(id), hash))
}

fn number(stored: i64) -> Result<u64, StoreError> {
    stored.try_into().map_err(|_| unreadable("a number of the record is negative"))
}

fn unreadable(why: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Unreadable, why)
}

const FORMAT: i16 = 1;

const DELETED: u64 = 1;
const RENEWED: u64 = 2;
const ROTATED: u64 = 3;
