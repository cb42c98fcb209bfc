//! A store that breaks one promise. It tests the suite: each of its defects must make a test fail.

use std::sync::Mutex;

use session_core::store::{Entries, Metadata};
use tokio::task::yield_now;

use super::*;

/// A mistake that the author of a store can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// No defect: the store keeps the contract.
    None,
    AllForgetsUnowned,
    AllListsExpired,
    ClearForgetsMetadata,
    ClearKeepsOwner,
    ClearKeepsRecord,
    ClearKeepsUnseen,
    CountHasALimit,
    CountIgnoresApplication,
    CountIgnoresCase,
    CountsExpired,
    CreateIgnoresOtherKey,
    CreateIgnoresTombstone,
    CreateKeepsExpired,
    CreateOverwrites,
    CreateSkipsEmpty,
    DeleteByApplicationForgetsUnowned,
    DeleteByApplicationIgnoresName,
    DeleteByApplicationLeavesNoTombstone,
    DeleteByIdIsNotDone,
    DeleteByIdLeavesNoTombstone,
    DeleteByOwnerForgetsOne,
    DeleteByOwnerIgnoresApplication,
    DeleteByOwnerIgnoresCase,
    DeleteByOwnerLeavesNoTombstone,
    DeleteByOwnerListsFirst,
    DeleteFindsEnded,
    DeleteForgetsItsEnd,
    DeleteInTwoSteps,
    DeleteLeavesNoTombstone,
    EmptyLabelIsNone,
    EmptyOwnerIsNone,
    ExactUpdateChecksFirst,
    ExpiredIsUnknown,
    FormerOwnerKeepsSession,
    HeldIdKeepsNothing,
    KeysEndAtNul,
    KeysIgnoreCase,
    LabelKeepsVersion,
    LargeValuesAreLost,
    LastSecondIsOver,
    ListForgetsLongOwners,
    ListForgetsOne,
    ListHasNoLimit,
    ListIgnoresApplication,
    ListIgnoresCase,
    ListIsInOrderOfCreation,
    ListShowsFirstVisit,
    LoadForgetsLabel,
    LoadFindsExpired,
    LoadIgnoresSecret,
    LookUpForgetsRepeated,
    LookUpForgetsTombstones,
    ManyKeysAreLost,
    MetadataForgetsUnknown,
    MetadataKeepsRecord,
    OwnerKeepsNothing,
    OwnerKeepsVersion,
    RemovalForgetsLaterKeys,
    RemovalKeepsRecord,
    RemovalKeepsVersion,
    RemovalLeavesTombstone,
    RenameAppliesToRead,
    RenameForgetsOwner,
    RenameIgnoresChanges,
    RenameIgnoresExact,
    RenameInsertsFirst,
    RenameKeepsFormer,
    RenameKeepsNothing,
    RenameLeavesNoTombstone,
    RenameReadsThenWrites,
    RenameRemovesFirst,
    RenameTwiceIsGone,
    RepeatedUpdateIsGone,
    RotateForgetsSuccessor,
    SparesNoId,
    SparesSmallerIds,
    SweepForgetsAtOnce,
    SweepIsNotDone,
    SweepKeepsTombstones,
    SweepTakesFreshTombstones,
    TimesAreShort,
    TombstoneForAnySecret,
    TombstoneForEver,
    TouchChangesVersion,
    TouchExtendsExpired,
    TouchForgetsEnd,
    TouchMovesEndBack,
    TouchMovesVisitBack,
    TouchReadsThenWrites,
    UpdateAnswersFormerVersion,
    UpdateAppliesToRead,
    UpdateChangesExpired,
    UpdateCreates,
    UpdateForgetsOthers,
    UpdateIgnoresExact,
    UpdateInTwoSteps,
    UpdateIsNoVisit,
    UpdateKeepsApplication,
    UpdateKeepsFirstWriter,
    UpdateLengthensAlways,
    UpdateReadsThenWrites,
    UpdateRevives,
    UpdateShortens,
    ValuesLoseSpaces,
}

pub(crate) struct BrokenStore {
    inner: PlainStore,
    defect: Defect,
    /// The sessions that owners had before they changed hands.
    former: Mutex<Vec<(String, RecordKey)>>,
}

impl BrokenStore {
    pub(crate) fn new(defect: Defect) -> Self {
        Self { inner: PlainStore::default(), defect, former: Mutex::default() }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.inner.rows()
    }

    fn find(&self, key: &RecordKey, now: u64) -> Lookup {
        let rows = self.rows();
        if self.has(Defect::LoadIgnoresSecret)
            && let [record] = live(&rows, now, |record| record.key.id() == key.id())[..]
        {
            return Lookup::Live(record.clone());
        }
        let now = if self.has(Defect::LastSecondIsOver) { now + 1 } else { now };
        let row =
            rows.iter().find(|(known, _)| *known == key || (known.id() == key.id() && self.finds_by_id(rows.get(key))));
        match row {
            Some((_, Row::Tombstone(end, _))) if self.has(Defect::TombstoneForEver) => Lookup::Ended(*end),
            Some((_, Row::Tombstone(end, ended_at))) if End::is_known(*ended_at, now) => Lookup::Ended(*end),
            Some((_, Row::Record(record))) => match Lookup::of(record.clone(), now) {
                Lookup::Live(record) => Lookup::Live(self.as_read(record)),
                Lookup::Expired if self.has(Defect::LoadFindsExpired) => Lookup::Live(record.clone()),
                Lookup::Expired if self.has(Defect::ExpiredIsUnknown) => Lookup::Unknown,
                other => other,
            },
            _ => Lookup::Unknown,
        }
    }

    /// Returns whether a tombstone is found by its id alone.
    fn finds_by_id(&self, row: Option<&Row>) -> bool {
        self.has(Defect::TombstoneForAnySecret) && row.is_none()
    }

    fn as_read(&self, record: Record) -> Record {
        match self.defect {
            Defect::LoadForgetsLabel => Record { label: None, ..record },
            Defect::EmptyLabelIsNone => Record { label: record.label.filter(|label| !label.is_empty()), ..record },
            Defect::EmptyOwnerIsNone => Record { owner: record.owner.filter(|owner| !owner.is_empty()), ..record },
            Defect::TimesAreShort => Record { expires_at: record.expires_at.min(u64::from(u32::MAX)), ..record },
            Defect::KeysEndAtNul => with_entries(record, |key, text| {
                Some((key.split('\0').next().unwrap_or_default().to_owned(), text.to_owned()))
            }),
            Defect::KeysIgnoreCase => {
                with_entries(record, |key, text| Some((key.to_ascii_lowercase(), text.to_owned())))
            }
            Defect::LargeValuesAreLost => {
                with_entries(record, |key, text| (text.len() < 65_536).then(|| (key.to_owned(), text.to_owned())))
            }
            Defect::ValuesLoseSpaces => {
                with_entries(record, |key, text| Some((key.to_owned(), text.replace([' ', '\t', '\n'], ""))))
            }
            Defect::ManyKeysAreLost => {
                let mut left = 255;
                with_entries(record, |key, text| {
                    left -= i32::from(left > 0);
                    (left > 0).then(|| (key.to_owned(), text.to_owned()))
                })
            }
            Defect::MetadataForgetsUnknown => {
                let until = record.entries.metadata().until;
                with_entries(record, |key, text| {
                    let known = until.map(|until| format!(r#"{{"until":{until}}}"#));
                    let text = known.filter(|_| key == "$").unwrap_or_else(|| text.to_owned());
                    Some((key.to_owned(), text))
                })
            }
            _ => record,
        }
    }

    /// Does an update or a rename.
    async fn put(&self, from: &RecordKey, to: &RecordKey, write: Write<'_>) -> Result<Updated, StoreError> {
        let (now, moves) = (write.visit.now, from != to);
        let Some(before) = self.to_change(from, moves, write) else {
            let moved = if self.has(Defect::RenameTwiceIsGone) { None } else { self.find(to, now).live() };
            return Ok(moved.map_or(Updated::Gone, |record| Updated::Written { version: record.version }));
        };
        let ignores = self.has(if moves { Defect::RenameIgnoresExact } else { Defect::UpdateIgnoresExact });
        if write.only_if_unchanged && !ignores && write.base.is_none_or(|base| base.version != before.version) {
            return Ok(Updated::Conflict);
        }
        if let Some(answer) = self.refuse(&before, write, moves) {
            return Ok(answer);
        }
        let reads_first = if moves { Defect::RenameReadsThenWrites } else { Defect::UpdateReadsThenWrites };
        let mut current = before;
        if self.has(reads_first) {
            yield_now().await;
        }
        if self.has(Defect::ExactUpdateChecksFirst) && write.only_if_unchanged {
            yield_now().await;
            current = self.to_change(from, moves, write).expect("it is there");
        }
        self.write(from, to, current, write).await
    }

    /// Returns the record to which a write is applied, if there is one.
    fn to_change(&self, from: &RecordKey, moves: bool, write: Write<'_>) -> Option<Record> {
        let raw = match self.rows().get(from) {
            Some(Row::Record(record)) => Some(record.clone()),
            _ => None,
        };
        match self.find(from, write.visit.now) {
            // Not as it is read, so that a defect of the reading does not change the record.
            Lookup::Live(found) => raw.or(Some(found)),
            Lookup::Expired if !moves && self.has(Defect::UpdateChangesExpired) => raw,
            Lookup::Ended(_) if !moves && self.has(Defect::UpdateRevives) => write.base.cloned(),
            Lookup::Unknown if !moves && self.has(Defect::UpdateCreates) => Some(Record::empty(*from)),
            _ => None,
        }
    }

    /// Returns the wrong answer to a write that is not done.
    fn refuse(&self, before: &Record, write: Write<'_>, moves: bool) -> Option<Updated> {
        let base = write.base.filter(|base| !moves && !write.only_if_unchanged && base.version != before.version)?;
        let mut edits = write.changes.field_edits(&base.entries);
        match self.defect {
            Defect::RepeatedUpdateIsGone => {
                edits.all(|(key, text)| before.entries.get(key) == text.as_deref()).then_some(Updated::Gone)
            }
            Defect::UpdateKeepsFirstWriter => edits
                .any(|(key, _)| before.entries.get(key) != base.entries.get(key) && before.entries.get(key).is_some())
                .then_some(Updated::Written { version: before.version }),
            _ => None,
        }
    }

    async fn write(
        &self,
        from: &RecordKey,
        to: &RecordKey,
        before: Record,
        write: Write<'_>,
    ) -> Result<Updated, StoreError> {
        let (now, moves) = (write.visit.now, from != to);
        let applies_to_read = self.has(if moves { Defect::RenameAppliesToRead } else { Defect::UpdateAppliesToRead });
        let base = match write.base.filter(|_| applies_to_read) {
            Some(read) => Record { version: before.version, ..read.clone() },
            None => before.clone(),
        };
        let after = self.after(&before, write.apply_to(&base, *to)?, write, moves);
        if self.has(Defect::UpdateInTwoSteps) && !moves {
            let first = write.changes.field_edits(&before.entries).next().map(|(key, _)| key.to_owned());
            let half = with_entries(after.clone(), |key, text| {
                (first.as_deref() == Some(key) || before.entries.get(key).is_some())
                    .then(|| (key.to_owned(), text.to_owned()))
            });
            self.rows().insert(*to, Row::Record(half));
            yield_now().await;
        }
        if self.has(Defect::FormerOwnerKeepsSession) && after.owner != before.owner {
            self.former.lock().unwrap().extend(before.owner.clone().map(|owner| (owner, *to)));
        }
        let leaves_nothing = self.leaves_nothing(&before, write, moves);
        if moves && self.has(Defect::RenameInsertsFirst) {
            self.rows().insert(*to, Row::Record(after.clone()));
            yield_now().await;
        }
        if moves {
            self.leave(from, write.former_end(*to), now);
            if self.has(Defect::RenameRemovesFirst) {
                yield_now().await;
            }
        } else if leaves_nothing && self.has(Defect::RemovalLeavesTombstone) {
            self.rows().insert(*from, Row::Tombstone(End::Deleted, now));
        } else {
            self.rows().remove(from);
        }
        if leaves_nothing {
            return Ok(Updated::Removed);
        }
        let version = after.version - u64::from(self.has(Defect::UpdateAnswersFormerVersion));
        self.rows().insert(*to, Row::Record(after));
        Ok(Updated::Written { version })
    }

    /// Leaves what stays under the former key of a rename.
    fn leave(&self, from: &RecordKey, end: End, now: u64) {
        let mut rows = self.rows();
        match (self.defect, end) {
            (Defect::RenameKeepsFormer, _) => {}
            (Defect::RenameLeavesNoTombstone, _) => drop(rows.remove(from)),
            (Defect::RotateForgetsSuccessor, End::Rotated { .. }) => {
                rows.insert(*from, Row::Tombstone(End::Renewed, now));
            }
            _ => drop(rows.insert(*from, Row::Tombstone(end, now))),
        }
    }

    /// Returns the record after a write, with the defect.
    fn after(&self, before: &Record, right: Record, write: Write<'_>, moves: bool) -> Record {
        let is_same = entries_of(before) == entries_of(&right);
        let kept = |record, keeps: &dyn Fn(&str) -> bool| {
            with_entries(record, |key, text| keeps(key).then(|| (key.to_owned(), text.to_owned())))
        };
        let edits = || write.changes.field_edits(&before.entries);
        match (self.defect, moves) {
            (Defect::UpdateForgetsOthers, false) => kept(right, &|key| edits().any(|(edited, _)| edited == key)),
            (Defect::UpdateIsNoVisit, false) => {
                Record { seen_at: before.seen_at, expires_at: before.expires_at, ..right }
            }
            (Defect::UpdateKeepsApplication, false) if before.version > 0 => {
                Record { application: before.application.clone(), ..right }
            }
            (Defect::UpdateShortens, _) => Record { expires_at: write.visit.expires_at, ..right },
            (Defect::UpdateLengthensAlways, _) => {
                Record { expires_at: before.expires_at.max(write.visit.expires_at), ..right }
            }
            (Defect::OwnerKeepsVersion, _) if is_same && before.label == right.label => {
                Record { version: before.version, ..right }
            }
            (Defect::LabelKeepsVersion, _) if is_same && before.owner == right.owner => {
                Record { version: before.version, ..right }
            }
            (Defect::RemovalKeepsVersion, false) if edits().all(|(_, text)| text.is_none()) && !is_same => {
                Record { version: before.version, ..right }
            }
            (Defect::ClearKeepsUnseen, false) if write.changes.clears() => {
                let read = write.base.map_or(Entries::NONE, |base| base.entries.clone());
                let unseen = before.entries.iter().filter(|(key, _)| read.get(key).is_none());
                let entries = Entries::from_texts(right.entries.fields().chain(unseen)).expect("they were entries");
                Record { entries, ..right }
            }
            (Defect::ClearForgetsMetadata, false) if write.changes.clears() => kept(right, &|key| key != "$"),
            (Defect::ClearKeepsOwner, false) if write.changes.clears() && right.owner.is_none() => {
                Record { owner: before.owner.clone(), ..right }
            }
            (Defect::RenameForgetsOwner, true) => Record { owner: write.changes.owner().map(str::to_owned), ..right },
            (Defect::RenameIgnoresChanges, true) => Record { version: right.version, key: right.key, ..before.clone() },
            _ => right,
        }
    }

    fn leaves_nothing(&self, before: &Record, write: Write<'_>, moves: bool) -> bool {
        let leaves_nothing = write.leaves_nothing_of(before);
        let after = write.apply_to(before, before.key).expect("it was applied before");
        match (self.defect, moves) {
            (Defect::RenameKeepsNothing, true) => false,
            (Defect::RemovalKeepsRecord, false) => leaves_nothing && write.changes.clears(),
            (Defect::ClearKeepsRecord, false) => leaves_nothing && !write.changes.clears(),
            (Defect::MetadataKeepsRecord, false) => leaves_nothing && *after.entries.metadata() == Metadata::default(),
            (Defect::RemovalForgetsLaterKeys, false) => match write.base {
                Some(base) => write.leaves_nothing_of(base),
                None => leaves_nothing,
            },
            (Defect::OwnerKeepsNothing, false) => leaves_nothing || after.entries.fields().next().is_none(),
            (Defect::HeldIdKeepsNothing, false) => {
                leaves_nothing || (after.entries.is_empty() && after.owner.is_none())
            }
            _ => leaves_nothing,
        }
    }

    /// Ends the live sessions that `ends` chooses, and leaves tombstones unless the store has this defect.
    fn end(&self, now: u64, forgets: Defect, ends: impl Fn(&Record) -> bool) -> u64 {
        let mut rows = self.rows();
        let keys: Vec<RecordKey> = live(&rows, now, ends).iter().map(|record| record.key).collect();
        for key in &keys {
            if self.has(forgets) {
                rows.remove(key);
            } else {
                rows.insert(*key, Row::Tombstone(End::Deleted, now));
            }
        }
        keys.len() as u64
    }

    /// Returns whether a record is the owner's. The store may compare names without case, or no applications.
    fn belongs(&self, record: &Record, owner: Owner<'_>, ignores: [Defect; 2]) -> bool {
        let name = record.owner.as_deref().filter(|name| !(self.has(Defect::EmptyOwnerIsNone) && name.is_empty()));
        let is_his = match name {
            Some(name) if self.has(ignores[0]) => name.eq_ignore_ascii_case(owner.name),
            name => name == Some(owner.name),
        };
        is_his && (self.has(ignores[1]) || record.is_of(owner.application))
    }

    fn creates(&self, key: &RecordKey, write: Write<'_>) -> Result<(), StoreError> {
        let now = write.visit.now;
        match self.find(key, now) {
            Lookup::Live(_) if !self.has(Defect::CreateOverwrites) => return Ok(()),
            Lookup::Expired if self.has(Defect::CreateKeepsExpired) => return Ok(()),
            Lookup::Ended(_) if !self.has(Defect::CreateIgnoresTombstone) => {
                return Err(StoreError::new(StoreErrorKind::Refused, "the session has ended"));
            }
            _ => {}
        }
        let mut rows = self.rows();
        let others = live(&rows, now, |record| record.key.id() == key.id() && record.key != *key);
        if !others.is_empty() && !self.has(Defect::CreateIgnoresOtherKey) {
            return Err(StoreError::new(StoreErrorKind::Refused, "another session has this id already"));
        }
        let record = write.apply_to(&Record::empty(*key), *key)?;
        if !(self.has(Defect::CreateSkipsEmpty) && record.entries.is_empty()) {
            rows.insert(*key, Row::Record(record));
        }
        Ok(())
    }
}

impl SessionStore for BrokenStore {
    fn load<'a>(&'a self, key: &'a RecordKey, now: u64) -> StoreFuture<'a, Lookup> {
        Box::pin(async move { Ok(self.find(key, now)) })
    }

    fn look_up<'a>(&'a self, keys: &'a [RecordKey], now: u64) -> StoreFuture<'a, Vec<Lookup>> {
        let look_up = move |(at, key): (usize, &RecordKey)| match self.find(key, now) {
            Lookup::Live(_) if self.has(Defect::LookUpForgetsRepeated) && keys[..at].contains(key) => Lookup::Unknown,
            Lookup::Ended(_) if self.has(Defect::LookUpForgetsTombstones) => Lookup::Unknown,
            lookup => lookup,
        };
        Box::pin(async move { Ok(keys.iter().enumerate().map(look_up).collect()) })
    }

    fn create<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, ()> {
        Box::pin(async move { self.creates(key, write) })
    }

    fn update<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(self.put(key, key, write))
    }

    fn touch<'a>(&'a self, key: &'a RecordKey, visit: Visit) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let found = match self.find(key, visit.now) {
                Lookup::Expired if self.has(Defect::TouchExtendsExpired) => self.find(key, 0),
                found => found,
            };
            let Lookup::Live(found) = found else { return Ok(false) };
            let mut record = Record { key: *key, ..found };
            if self.has(Defect::TouchReadsThenWrites) {
                yield_now().await;
            }
            record.version += u64::from(self.has(Defect::TouchChangesVersion));
            let keeps_later = !self.has(Defect::TouchMovesVisitBack);
            record.seen_at = if keeps_later { record.seen_at.max(visit.now) } else { visit.now };
            match self.defect {
                Defect::TouchForgetsEnd => {}
                Defect::TouchMovesEndBack => record.expires_at = visit.expires_at,
                _ => record.expires_at = record.expires_at.max(visit.expires_at),
            }
            self.rows().insert(*key, Row::Record(record));
            Ok(true)
        })
    }

    fn rename<'a>(&'a self, from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(self.put(from, to, write))
    }

    fn delete<'a>(&'a self, key: &'a RecordKey, end: End, now: u64) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let found = self.find(key, now);
            if matches!(found, Lookup::Ended(_)) && self.has(Defect::DeleteFindsEnded) {
                return Ok(true);
            }
            let is_live = found.live().is_some();
            if is_live {
                let end = if self.has(Defect::DeleteForgetsItsEnd) { End::Deleted } else { end };
                self.rows().remove(key);
                if self.has(Defect::DeleteInTwoSteps) {
                    yield_now().await;
                }
                if !self.has(Defect::DeleteLeavesNoTombstone) {
                    self.rows().insert(*key, Row::Tombstone(end, now));
                }
            }
            Ok(is_live)
        })
    }

    fn delete_expired(&self, now: u64) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let mut rows = self.rows();
            let before = rows.len();
            if self.has(Defect::SweepIsNotDone) {
                return Ok(1);
            }
            let known_for = if self.has(Defect::SweepForgetsAtOnce) { 0 } else { EXPIRED_IS_KNOWN_FOR };
            let mut kept = 0;
            rows.retain(|_, row| match row {
                Row::Record(record) => now <= record.expires_at.saturating_add(known_for),
                Row::Tombstone(..) if self.has(Defect::SweepTakesFreshTombstones) => false,
                Row::Tombstone(_, ended_at) => {
                    let is_known = End::is_known(*ended_at, now);
                    kept += usize::from(!is_known && self.has(Defect::SweepKeepsTombstones));
                    is_known || self.has(Defect::SweepKeepsTombstones)
                }
            });
            Ok((before - rows.len() + kept) as u64)
        })
    }

    fn list<'a>(&'a self, owner: Owner<'a>, now: u64, limit: u64) -> StoreFuture<'a, Vec<SessionInfo>> {
        Box::pin(async move {
            if self.has(Defect::ListForgetsLongOwners) && owner.name.len() > 255 {
                return Ok(Vec::new());
            }
            let rows = self.rows();
            let former = self.former.lock().unwrap();
            let mut records = live(&rows, now, |record| {
                self.belongs(record, owner, [Defect::ListIgnoresCase, Defect::ListIgnoresApplication])
                    || former.contains(&(owner.name.to_owned(), record.key))
            });
            records.sort_by_key(|record| Reverse(record.seen_at));
            if self.has(Defect::ListIsInOrderOfCreation) {
                records.sort_by_key(|record| (record.created_at, record.seen_at));
            }
            if self.has(Defect::ListForgetsOne) && records.len() > 2 {
                records.pop();
            }
            let limit = if self.has(Defect::ListHasNoLimit) { u64::MAX } else { limit };
            let shown = |record: &Record| match self.defect {
                Defect::ListShowsFirstVisit => SessionInfo { seen_at: record.created_at, ..record.info() },
                _ => record.info(),
            };
            Ok(records.into_iter().take(limit as usize).map(shown).collect())
        })
    }

    fn count<'a>(&'a self, owner: Owner<'a>, now: u64) -> StoreFuture<'a, u64> {
        let now = if self.has(Defect::CountsExpired) { 0 } else { now };
        let most = if self.has(Defect::CountHasALimit) { 4 } else { u64::MAX };
        Box::pin(async move {
            let ignores = [Defect::CountIgnoresCase, Defect::CountIgnoresApplication];
            let rows = self.rows();
            Ok(most.min(live(&rows, now, |record| self.belongs(record, owner, ignores)).len() as u64))
        })
    }

    fn all<'a>(&'a self, now: u64, _: Option<&'a Cursor>) -> StoreFuture<'a, Page> {
        Box::pin(async move {
            let now = if self.has(Defect::AllListsExpired) { 0 } else { now };
            let rows = self.rows();
            let shown = live(&rows, now, |record| record.owner.is_some() || !self.has(Defect::AllForgetsUnowned));
            Ok(Page { sessions: shown.into_iter().map(Record::info).collect(), next: None })
        })
    }

    fn delete_by_id(&self, id: SessionId, now: u64) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            if self.has(Defect::DeleteByIdIsNotDone) {
                return Ok(!live(&self.rows(), now, |record| record.key.id() == id).is_empty());
            }
            Ok(self.end(now, Defect::DeleteByIdLeavesNoTombstone, |record| record.key.id() == id) > 0)
        })
    }

    fn delete_by_owner<'a>(&'a self, owner: Owner<'a>, spared: Spared, now: u64) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let spared_id = spared.id.filter(|_| !self.has(Defect::SparesNoId));
            let ignores = [Defect::DeleteByOwnerIgnoresCase, Defect::DeleteByOwnerIgnoresApplication];
            let ending: Vec<SessionId> = {
                let rows = self.rows();
                let mut records = live(&rows, now, |record| {
                    self.belongs(record, owner, ignores) && spared_id != Some(record.key.id())
                });
                records.sort_by_key(|record| Reverse((record.created_at, record.key.id())));
                if self.has(Defect::SparesSmallerIds) {
                    records.sort_by_key(|record| (Reverse(record.created_at), record.key.id()));
                }
                records.iter().skip(spared.newest as usize).map(|record| record.key.id()).collect()
            };
            let forgotten = usize::from(self.has(Defect::DeleteByOwnerForgetsOne) && ending.len() > 2);
            if self.has(Defect::DeleteByOwnerListsFirst) {
                yield_now().await;
            }
            let ending = &ending[forgotten..];
            Ok(self.end(now, Defect::DeleteByOwnerLeavesNoTombstone, |record| ending.contains(&record.key.id())))
        })
    }

    fn delete_by_application<'a>(&'a self, application: &'a str, now: u64) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let is_meant = |record: &Record| match self.defect {
                Defect::DeleteByApplicationForgetsUnowned => record.is_of(application) && record.owner.is_some(),
                Defect::DeleteByApplicationIgnoresName => true,
                _ => record.is_of(application),
            };
            Ok(self.end(now, Defect::DeleteByApplicationLeavesNoTombstone, is_meant))
        })
    }
}

fn entries_of(record: &Record) -> Vec<(&str, &str)> {
    record.entries.fields().collect()
}

/// Changes or removes entries. Of two with one key the first stays.
fn with_entries(record: Record, mut change: impl FnMut(&str, &str) -> Option<(String, String)>) -> Record {
    let mut changed: Vec<(String, String)> =
        record.entries.fields().filter_map(|(key, text)| change(key, text)).collect();
    changed.sort();
    changed.dedup_by(|next, first| next.0 == first.0);
    let entries =
        Entries::from_texts(changed.iter().map(|(key, text)| (key.as_str(), text))).expect("they were entries");
    Record { entries, ..record }
}
