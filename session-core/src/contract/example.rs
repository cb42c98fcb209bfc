use session_core::{
    SessionId,
    store::{
        Cursor, EXPIRED_IS_KNOWN_FOR, End, Lookup, Owner, Page, Record, RecordKey, SessionInfo, SessionStore, Spared,
        StoreError, StoreErrorKind, StoreFuture, Updated, Visit, Write,
    },
};
use std::{
    cmp::Reverse,
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The table: a record, or the tombstone of a session with the time of its end.
type Rows = HashMap<RecordKey, Row>;

enum Row {
    Record(Record),
    Tombstone(End, u64),
}

#[derive(Default)]
pub struct MyStore(Mutex<Rows>);

impl MyStore {
    /// Locks the table, so that each operation happens as a whole. A store with a database begins a transaction
    /// instead.
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn find(rows: &Rows, key: &RecordKey, now: u64) -> Lookup {
    match rows.get(key) {
        Some(Row::Record(record)) => Lookup::of(record.clone(), now),
        Some(Row::Tombstone(end, ended_at)) if End::is_known(*ended_at, now) => Lookup::Ended(*end),
        _ => Lookup::Unknown,
    }
}

/// Returns the live records for which `is_wanted` returns true.
fn live(rows: &Rows, now: u64, is_wanted: impl Fn(&Record) -> bool) -> Vec<&Record> {
    let records = rows.values().filter_map(|row| match row {
        Row::Record(record) => Some(record),
        Row::Tombstone(..) => None,
    });
    records.filter(|record| !record.is_expired(now) && is_wanted(record)).collect()
}

/// Ends the live sessions for which `ends` returns true, and returns how many.
fn end_all(rows: &mut Rows, now: u64, ends: impl Fn(&Record) -> bool) -> u64 {
    let keys: Vec<RecordKey> = live(rows, now, ends).iter().map(|record| record.key).collect();
    for key in &keys {
        rows.insert(*key, Row::Tombstone(End::Deleted, now));
    }
    keys.len() as u64
}

impl SessionStore for MyStore {
    fn load<'a>(&'a self, key: &'a RecordKey, now: u64) -> StoreFuture<'a, Lookup> {
        Box::pin(async move { Ok(find(&self.rows(), key, now)) })
    }

    fn look_up<'a>(&'a self, keys: &'a [RecordKey], now: u64) -> StoreFuture<'a, Vec<Lookup>> {
        Box::pin(async move {
            let rows = self.rows();
            Ok(keys.iter().map(|key| find(&rows, key, now)).collect())
        })
    }

    fn create<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut rows = self.rows();
            let now = write.visit.now;
            match find(&rows, key, now) {
                Lookup::Live(_) => return Ok(()),
                Lookup::Ended(_) => return Err(StoreError::new(StoreErrorKind::Refused, "the session has ended")),
                Lookup::Expired | Lookup::Unknown => {}
            }
            if !live(&rows, now, |record| record.key.id() == key.id()).is_empty() {
                return Err(StoreError::new(StoreErrorKind::Refused, "another session has this id already"));
            }
            rows.insert(*key, Row::Record(write.apply_to(&Record::empty(*key), *key)?));
            Ok(())
        })
    }

    fn update<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        self.rename(key, key, write)
    }

    fn touch<'a>(&'a self, key: &'a RecordKey, visit: Visit) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let mut rows = self.rows();
            let Lookup::Live(mut record) = find(&rows, key, visit.now) else { return Ok(false) };
            record.seen_at = record.seen_at.max(visit.now);
            record.expires_at = record.expires_at.max(visit.expires_at);
            rows.insert(*key, Row::Record(record));
            Ok(true)
        })
    }

    fn rename<'a>(&'a self, from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(async move {
            let mut rows = self.rows();
            let now = write.visit.now;
            let Lookup::Live(before) = find(&rows, from, now) else {
                let moved = find(&rows, to, now).live();
                return Ok(moved.map_or(Updated::Gone, |record| Updated::Written { version: record.version }));
            };
            if write.only_if_unchanged && write.base.is_none_or(|base| base.version != before.version) {
                return Ok(Updated::Conflict);
            }
            let after = write.apply_to(&before, *to)?;
            if from == to {
                rows.remove(from);
            } else {
                rows.insert(*from, Row::Tombstone(write.former_end(*to), now));
            }
            if write.leaves_nothing_of(&before) {
                return Ok(Updated::Removed);
            }
            let version = after.version;
            rows.insert(*to, Row::Record(after));
            Ok(Updated::Written { version })
        })
    }

    fn delete<'a>(&'a self, key: &'a RecordKey, end: End, now: u64) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let mut rows = self.rows();
            let is_live = find(&rows, key, now).live().is_some();
            if is_live {
                rows.insert(*key, Row::Tombstone(end, now));
            }
            Ok(is_live)
        })
    }

    fn delete_expired(&self, now: u64) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let mut rows = self.rows();
            let before = rows.len();
            rows.retain(|_, row| match row {
                Row::Record(record) => now <= record.expires_at.saturating_add(EXPIRED_IS_KNOWN_FOR),
                Row::Tombstone(_, ended_at) => End::is_known(*ended_at, now),
            });
            Ok((before - rows.len()) as u64)
        })
    }

    fn list<'a>(&'a self, owner: Owner<'a>, now: u64, limit: u64) -> StoreFuture<'a, Vec<SessionInfo>> {
        Box::pin(async move {
            let rows = self.rows();
            let mut records = live(&rows, now, |record| record.belongs_to(owner));
            records.sort_by_key(|record| Reverse(record.seen_at));
            Ok(records.into_iter().take(limit as usize).map(Record::info).collect())
        })
    }

    fn count<'a>(&'a self, owner: Owner<'a>, now: u64) -> StoreFuture<'a, u64> {
        Box::pin(async move { Ok(live(&self.rows(), now, |record| record.belongs_to(owner)).len() as u64) })
    }

    fn all<'a>(&'a self, now: u64, _: Option<&'a Cursor>) -> StoreFuture<'a, Page> {
        Box::pin(async move {
            let rows = self.rows();
            Ok(Page { sessions: live(&rows, now, |_| true).into_iter().map(Record::info).collect(), next: None })
        })
    }

    fn delete_by_id(&self, id: SessionId, now: u64) -> StoreFuture<'_, bool> {
        Box::pin(async move { Ok(end_all(&mut self.rows(), now, |record| record.key.id() == id) > 0) })
    }

    fn delete_by_owner<'a>(&'a self, owner: Owner<'a>, spared: Spared, now: u64) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let mut rows = self.rows();
            let mut records = live(&rows, now, |record| record.belongs_to(owner) && spared.id != Some(record.key.id()));
            records.sort_by_key(|record| Reverse((record.created_at, record.key.id())));
            let ending: Vec<SessionId> =
                records.iter().skip(spared.newest as usize).map(|record| record.key.id()).collect();
            Ok(end_all(&mut rows, now, |record| ending.contains(&record.key.id())))
        })
    }

    fn delete_by_application<'a>(&'a self, application: &'a str, now: u64) -> StoreFuture<'a, u64> {
        Box::pin(async move { Ok(end_all(&mut self.rows(), now, |record| record.is_of(application))) })
    }
}
