//! Every operation of a store, dropped at each of its polls: the record is the old one or the new one, whole.

use session_core::store::{
    Changes, End, Lookup, Owner, Record, RecordKey, SessionStore, Spared, StoreError, Visit, Write,
};

use super::{Kept, each_store};
use crate::{
    each_store::{HOUR, NOW, assert_works, fresh_key, renewed},
    support::polls::{at_each_poll, drop_after},
};

#[derive(Clone, Copy, Debug)]
enum Operation {
    Create,
    Load,
    LookUp,
    Update,
    UpdateExactly,
    Clear,
    Touch,
    Renew,
    Rotate,
    RenewNothing,
    Delete,
    DeleteById,
    DeleteByOwner,
    DeleteByApplication,
    DeleteExpired,
    List,
    Count,
    All,
}

/// The operations, and what is under the key and under the next key afterwards. Before them, only the first has the
/// record `a=1 seen +0 until +3600`, except before `Create`.
const OPERATIONS: [(Operation, [&str; 2]); 18] = [
    (Operation::Create, ["a=1 seen +0 until +3600", "unknown"]),
    (Operation::Load, [BEFORE, "unknown"]),
    (Operation::LookUp, [BEFORE, "unknown"]),
    (Operation::Update, ["a=2 b=2 seen +5 until +3605", "unknown"]),
    (Operation::UpdateExactly, ["a=2 b=2 seen +5 until +3605", "unknown"]),
    (Operation::Clear, ["unknown", "unknown"]),
    (Operation::Touch, ["a=1 seen +5 until +3605", "unknown"]),
    (Operation::Renew, ["renewed", "a=2 b=2 seen +5 until +3605"]),
    (Operation::Rotate, ["rotated", "a=2 b=2 seen +5 until +3605"]),
    (Operation::RenewNothing, ["renewed", "unknown"]),
    (Operation::Delete, ["deleted", "unknown"]),
    (Operation::DeleteById, ["deleted", "unknown"]),
    (Operation::DeleteByOwner, ["deleted", "unknown"]),
    (Operation::DeleteByApplication, ["deleted", "unknown"]),
    (Operation::DeleteExpired, [BEFORE, "unknown"]),
    (Operation::List, [BEFORE, "unknown"]),
    (Operation::Count, [BEFORE, "unknown"]),
    (Operation::All, [BEFORE, "unknown"]),
];

const BEFORE: &str = "a=1 seen +0 until +3600";

/// One session, with an owner in an application that no other test has.
struct Trial<'a> {
    store: &'a dyn SessionStore,
    application: String,
    keys: [RecordKey; 2],
    /// The record as it was read.
    read: Option<Record>,
}

impl<'a> Trial<'a> {
    async fn new(store: &'a dyn SessionStore, operation: Operation) -> Self {
        let key = fresh_key();
        let keys = [key, renewed(&key)];
        let mut trial = Self { store, application: format!("app {}", key.id()), keys, read: None };
        if !matches!(operation, Operation::Create) {
            trial.run(Operation::Create).await.unwrap();
            trial.read = store.load(&key, NOW).await.unwrap().live();
        }
        trial
    }

    async fn run(&self, operation: Operation) -> Result<(), StoreError> {
        let Self { store, application, keys: [key, next], read } = self;
        let later = Visit { now: NOW + 5, expires_at: NOW + HOUR + 5 };
        let mut changes = Changes::default();
        changes.insert("a", "2".to_owned());
        changes.insert("b", "2".to_owned());
        let write = |changes| Write { base: read.as_ref(), application, ..Write::new(changes, later) };
        match operation {
            Operation::Create => {
                let mut changes = Changes::default();
                changes.insert("a", "1".to_owned());
                changes.set_owner("ann".to_owned());
                let first = Visit { now: NOW, expires_at: NOW + HOUR };
                store.create(key, Write { application, ..Write::new(&changes, first) }).await
            }
            Operation::Load => store.load(key, NOW).await.map(drop),
            Operation::LookUp => store.look_up(&[*key, *next], NOW).await.map(drop),
            Operation::Update => store.update(key, write(&changes)).await.map(drop),
            Operation::UpdateExactly => {
                let write = Write { only_if_unchanged: true, ..write(&changes) };
                store.update(key, write).await.map(drop)
            }
            Operation::Clear => {
                let mut changes = Changes::default();
                changes.clear(&read.as_ref().unwrap().entries);
                store.update(key, write(&changes)).await.map(drop)
            }
            Operation::Touch => store.touch(key, later).await.map(drop),
            Operation::Renew => {
                changes.renew();
                store.rename(key, next, write(&changes)).await.map(drop)
            }
            Operation::Rotate => {
                changes.rotate();
                store.rename(key, next, write(&changes)).await.map(drop)
            }
            Operation::RenewNothing => {
                let mut changes = Changes::default();
                changes.clear(&read.as_ref().unwrap().entries);
                changes.renew();
                store.rename(key, next, write(&changes)).await.map(drop)
            }
            Operation::Delete => store.delete(key, End::Deleted, NOW).await.map(drop),
            Operation::DeleteById => store.delete_by_id(key.id(), NOW).await.map(drop),
            Operation::DeleteByOwner => store.delete_by_owner(self.owner(), Spared::default(), NOW).await.map(drop),
            Operation::DeleteByApplication => store.delete_by_application(application, NOW).await.map(drop),
            Operation::DeleteExpired => store.delete_expired(0).await.map(drop),
            Operation::List => store.list(self.owner(), NOW, 100).await.map(drop),
            Operation::Count => store.count(self.owner(), NOW).await.map(drop),
            Operation::All => store.all(NOW, None).await.map(drop),
        }
    }

    fn owner(&self) -> Owner<'_> {
        Owner { application: &self.application, name: "ann" }
    }

    /// Returns what is under both keys, asked in one question.
    async fn shown(&self) -> [String; 2] {
        let found = self.store.look_up(&self.keys, NOW + 5).await.unwrap();
        let [first, second] = &found[..] else { panic!("{found:?}") };
        [first, second].map(|lookup| match lookup {
            Lookup::Live(Record { entries, seen_at, expires_at, .. }) => {
                let mut entries: Vec<_> = entries.iter().map(|(key, text)| format!("{key}={text}")).collect();
                entries.sort_unstable();
                format!("{} seen +{} until +{}", entries.join(" "), seen_at - NOW, expires_at - NOW)
            }
            Lookup::Ended(End::Deleted) => "deleted".to_owned(),
            Lookup::Ended(End::Renewed) => "renewed".to_owned(),
            Lookup::Ended(End::Rotated { successor }) => {
                assert!(*successor == self.keys[1]);
                "rotated".to_owned()
            }
            Lookup::Expired => "expired".to_owned(),
            Lookup::Unknown => "unknown".to_owned(),
        })
    }

    /// The owner's list and count have the sessions that are alive, and no others.
    async fn assert_owner_has_what_is_alive(&self, shown: &[String; 2]) {
        let alive: Vec<_> = self.keys.iter().zip(shown).filter(|(_, shown)| shown.contains("seen")).collect();
        let listed = self.store.list(self.owner(), NOW + 5, 100).await.unwrap();
        assert!(listed.iter().map(|info| info.key).eq(alive.iter().map(|(key, _)| **key)), "{shown:?}");
        assert_eq!(self.store.count(self.owner(), NOW + 5).await.unwrap(), alive.len() as u64);
    }
}

async fn a_dropped_operation_is_done_as_a_whole_or_not_at_all(kept: Kept) {
    let store = &*kept.store;
    for (operation, after) in OPERATIONS {
        let before = if matches!(operation, Operation::Create) { "unknown" } else { BEFORE };
        let dropped = at_each_poll(async |polls| {
            let trial = Trial::new(store, operation).await;
            let answer = drop_after(polls, trial.run(operation)).await;
            let shown = trial.shown().await;
            let has_ended = matches!(answer, Some(Ok(())));
            assert!(has_ended || answer.is_none(), "{operation:?}, {polls} polls: {answer:?}");
            let is_old = !has_ended && shown == [before, "unknown"];
            assert!(is_old || shown == after, "{operation:?}, {polls} polls: {shown:?}");
            // What was dropped before it was polled has not happened.
            assert!(polls > 0 || shown == [before, "unknown"], "{operation:?}: {shown:?}");
            trial.run(operation).await.unwrap();
            let shown = trial.shown().await;
            assert_eq!(shown, after, "{operation:?} again, {polls} polls");
            trial.assert_owner_has_what_is_alive(&shown).await;
            has_ended
        })
        .await;
        assert!(dropped >= 2, "{operation:?} was dropped {dropped} times");
    }
    assert_works(store).await;
}

each_store! {
    a_dropped_operation_is_done_as_a_whole_or_not_at_all
}
