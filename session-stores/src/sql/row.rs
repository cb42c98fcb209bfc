//! Reads rows into records. Every column is checked: another program may have written to the table.

use session_core::{
    SessionId,
    store::{Entries, Record, SessionInfo, StoreError, StoreErrorKind},
};
use sqlx::{ColumnIndex, Decode, Error, FromRow, Row};

/// The columns of a record, before they are checked.
pub(super) struct RecordRow {
    id: Vec<u8>,
    format: i16,
    data: Vec<u8>,
    version: i64,
    created_at: i64,
    seen_at: i64,
    expires_at: i64,
    owner: Option<String>,
    label: Option<String>,
}

impl RecordRow {
    pub(super) fn into_record(self) -> Result<Record, StoreError> {
        if self.format != FORMAT {
            return Err(unreadable("another version of session-stores wrote this record: its format is not 1"));
        }
        Ok(Record {
            id: id(&self.id)?,
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

/// The columns of a [`SessionInfo`], before they are checked.
pub(super) struct InfoRow {
    id: Vec<u8>,
    created_at: i64,
    seen_at: i64,
    label: Option<String>,
}

impl InfoRow {
    pub(super) fn into_info(self) -> Result<SessionInfo, StoreError> {
        Ok(SessionInfo {
            id: id(&self.id)?,
            created_at: number(self.created_at)?,
            seen_at: number(self.seen_at)?,
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
{
    fn from_row(row: &'r R) -> Result<Self, Error> {
        Ok(Self {
            id: row.try_get_unchecked(0)?,
            format: row.try_get_unchecked(1)?,
            data: row.try_get_unchecked(2)?,
            version: row.try_get_unchecked(3)?,
            created_at: row.try_get_unchecked(4)?,
            seen_at: row.try_get_unchecked(5)?,
            expires_at: row.try_get_unchecked(6)?,
            owner: row.try_get_unchecked(7)?,
            label: row.try_get_unchecked(8)?,
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
            id: row.try_get_unchecked(0)?,
            created_at: row.try_get_unchecked(1)?,
            seen_at: row.try_get_unchecked(2)?,
            label: row.try_get_unchecked(3)?,
        })
    }
}

fn id(bytes: &[u8]) -> Result<SessionId, StoreError> {
    let bytes = bytes.try_into().map_err(|_| unreadable("the id of the record is not 16 bytes long"))?;
    Ok(SessionId::from_bytes(bytes))
}

fn number(stored: i64) -> Result<u64, StoreError> {
    stored.try_into().map_err(|_| unreadable("a number of the record is negative"))
}

fn unreadable(why: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Unreadable, why)
}

const FORMAT: i16 = 1;
