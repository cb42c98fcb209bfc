//! The test suite that every [`SessionStore`](session_core::store::SessionStore) must pass. It has one test for each
//! promise of the contract.
//!
//! Add this to the source of your store, and run `cargo test`:
//!
//! ```
//! # use session_core::{SessionId, store::*};
//! # struct MyStore;
//! # impl MyStore { async fn connect(_: &str) -> Self { Self } }
//! # impl SessionStore for MyStore {
//! #     fn load<'a>(&'a self, _: &'a RecordKey, _: u64) -> StoreFuture<'a, Lookup> { todo!() }
//! #     fn look_up<'a>(&'a self, _: &'a [RecordKey], _: u64) -> StoreFuture<'a, Vec<Lookup>> { todo!() }
//! #     fn create<'a>(&'a self, _: &'a RecordKey, _: Write<'a>) -> StoreFuture<'a, ()> { todo!() }
//! #     fn update<'a>(&'a self, _: &'a RecordKey, _: Write<'a>) -> StoreFuture<'a, Updated> { todo!() }
//! #     fn touch<'a>(&'a self, _: &'a RecordKey, _: Visit) -> StoreFuture<'a, bool> { todo!() }
//! #     fn rename<'a>(&'a self, _: &'a RecordKey, _: &'a RecordKey, _: Write<'a>) -> StoreFuture<'a, Updated> { todo!() }
//! #     fn delete<'a>(&'a self, _: &'a RecordKey, _: End, _: u64) -> StoreFuture<'a, bool> { todo!() }
//! #     fn delete_expired(&self, _: u64) -> StoreFuture<'_, u64> { todo!() }
//! #     fn list<'a>(&'a self, _: Owner<'a>, _: u64, _: u64) -> StoreFuture<'a, Vec<SessionInfo>> { todo!() }
//! #     fn count<'a>(&'a self, _: Owner<'a>, _: u64) -> StoreFuture<'a, u64> { todo!() }
//! #     fn all<'a>(&'a self, _: u64, _: Option<&'a Cursor>) -> StoreFuture<'a, Page> { todo!() }
//! #     fn delete_by_id(&self, _: SessionId, _: u64) -> StoreFuture<'_, bool> { todo!() }
//! #     fn delete_by_owner<'a>(&'a self, _: Owner<'a>, _: Spared, _: u64) -> StoreFuture<'a, u64> { todo!() }
//! #     fn delete_by_application<'a>(&'a self, _: &'a str, _: u64) -> StoreFuture<'a, u64> { todo!() }
//! # }
//! #[cfg(test)]
//! mod tests {
//!     use super::MyStore;
//!
//!     session_stores::conformance!(store = || async { MyStore::connect("test").await });
//! }
//! ```
//!
//! Each test uses fresh keys and owners. So the tests may run at the same time, on one server, next to other sessions.
//! Each test is also a function that takes a store and a clock, for test runners of your own.
//!
//! A [`Race`] goes further: many tasks, in one process or in several, write to one session at the same time. The race
//! counts lost updates.

#![expect(clippy::missing_panics_doc, reason = "they are tests: they panic if the store breaks a promise")]

mod drops;
mod endings;
mod owners;
#[cfg(test)]
#[expect(unreachable_pub, reason = "the store is public in the documentation that it is an example of")]
mod plain;
mod races;
mod records;
mod renames;
mod trial;
mod values;

pub use drops::*;
pub use endings::*;
pub use owners::*;
#[cfg(all(test, feature = "memory"))]
pub(crate) use plain::PlainStore;
pub use races::{Damage, Race, RaceKind, Work};
pub use records::*;
pub use renames::*;
pub use values::*;

/// Defines a test for each promise of the contract, in the module where it is called.
///
/// # Examples
///
/// ```text
/// session_stores::conformance!(store = || async { MyStore::connect("test").await });
/// session_stores::conformance!(store = || async { MyStore::connect("test").await }, clock = MyClock);
/// ```
///
/// `store` is an async closure or function without arguments. Every test calls it once, on a runtime of its own.
/// `clock` is a [`Clock`](session_core::Clock); by default it is the clock of the operating system.
#[macro_export]
macro_rules! conformance {
    (store = $store:expr $(,)?) => {
        $crate::conformance!(store = $store, clock = $crate::conformance::__private::SystemClock);
    };
    (store = $store:expr, clock = $clock:expr $(,)?) => {
        fn __run(test: $crate::conformance::__private::Test) {
            let connecting = async { Box::new(($store)().await) as $crate::conformance::__private::AnyStore };
            $crate::conformance::__private::run(test, Box::pin(connecting), ::std::sync::Arc::new($clock));
        }

        $crate::__each_promise!($crate::__test_of_each);
    };
}

/// Calls a macro with the name of each promise.
#[doc(hidden)]
#[macro_export]
macro_rules! __each_promise {
    ($($callback:tt)+) => {
        $($callback)+! {
            a_record_is_loaded_as_it_was_created
            a_record_may_be_created_empty
            only_create_makes_a_record
            a_wrong_secret_finds_nothing
            creating_twice_keeps_the_first
            creating_over_an_expired_record_replaces_it
            an_id_lives_under_one_key
            an_update_changes_what_it_names
            an_update_sets_the_times_of_the_visit
            only_new_limits_shorten_a_session
            writers_of_different_keys_both_land
            the_later_writer_of_one_key_stands
            concurrent_updates_all_land
            an_update_asked_for_twice_is_written_twice
            an_exact_update_of_what_nobody_changed_lands
            an_exact_update_of_changed_entries_is_a_conflict
            an_exact_update_of_a_changed_owner_or_label_is_a_conflict
            one_of_two_exact_updates_lands
            the_version_changes_with_every_change
            a_touch_moves_the_times_forward
            a_touch_moves_no_time_back
            a_rename_moves_the_whole_record
            a_rename_applies_its_changes
            a_rename_takes_along_what_others_wrote
            a_rename_asked_for_twice_is_done_once
            an_exact_rename_of_what_changed_is_a_conflict
            one_of_two_renames_wins
            one_rename_asked_for_twice_at_once_is_done_once
            an_update_during_a_rename_lands_or_learns
            nothing_comes_back_under_the_old_key
            a_rename_that_leaves_nothing_removes
            the_last_key_takes_the_record_along
            terms_alone_keep_no_record
            a_key_added_meanwhile_keeps_the_record
            a_key_added_while_the_last_goes_is_kept_or_told
            an_owner_keeps_a_record_without_entries
            a_held_id_keeps_a_record_without_entries
            clearing_takes_everything_out
            clearing_keeps_the_terms_and_what_comes_with_it
            clearing_all_there_is_removes_the_record
            a_deleted_record_is_gone
            a_session_deleted_by_its_id_is_gone
            nothing_comes_back_after_the_end
            nothing_survives_a_concurrent_delete
            the_last_second_is_alive
            the_second_after_is_over
            a_sweep_takes_what_has_expired
            a_sweep_takes_what_is_no_longer_known
            an_expired_session_is_known_as_such
            an_end_is_known_for_a_minute
            a_rename_leaves_a_tombstone
            the_last_key_leaves_no_tombstone
            a_tombstone_is_no_session
            several_records_are_looked_up_at_once
            values_come_back_byte_for_byte
            any_text_is_a_key
            the_reserved_key_travels
            a_value_of_a_mebibyte_is_kept
            five_hundred_keys_are_kept
            times_reach_to_the_year_9999
            a_write_sets_the_owner_and_label_it_names
            an_owners_sessions_are_listed_by_their_last_visit
            the_list_shows_id_times_and_label
            any_text_is_an_owner
            owners_are_compared_exactly
            the_empty_owner_is_an_owner
            an_owners_sessions_end_together
            a_session_that_changed_hands_has_one_owner
            a_rename_does_not_escape_the_end_of_all
            a_list_has_a_limit_and_a_count_has_none
            owners_of_two_applications_do_not_meet
            a_write_takes_a_session_into_its_application
            some_sessions_of_an_owner_can_be_spared
            the_greater_ids_are_spared_of_one_second
            an_applications_sessions_end_together
            all_sessions_are_listed_in_pages
            dropped_operations_leave_a_store_that_works
            a_dropped_rename_is_done_when_asked_again
            a_dropped_delete_is_done_when_asked_again
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __test_of_each {
    ($($promise:ident)+) => {
        $(
            #[test]
            fn $promise() {
                __run($crate::conformance::__private::$promise);
            }
        )+
    };
}

#[doc(hidden)]
pub mod __private {
    use std::{pin::Pin, sync::Arc};

    pub use session_core::SystemClock;
    use session_core::{Clock, store::SessionStore};
    use tokio::runtime::Builder;

    pub type AnyStore = Box<dyn SessionStore>;
    pub type AnyClock = Arc<dyn Clock>;
    pub type Running<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;
    pub type Test = for<'a> fn(&'a dyn SessionStore, AnyClock) -> Running<'a, ()>;

    /// Runs a test on a runtime of its own, so that the store's author needs none.
    pub fn run(test: Test, connecting: Running<'static, AnyStore>, clock: AnyClock) {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime can be built").block_on(async {
            let store = connecting.await;
            test(&*store, clock).await;
        });
    }

    /// The tests are compiled here, once, and not again in each crate and for each store.
    macro_rules! tests {
        ($($promise:ident)+) => {
            $(pub fn $promise(store: &dyn SessionStore, clock: AnyClock) -> Running<'_, ()> {
                Box::pin(super::$promise(store, clock))
            })+
        };
    }
    __each_promise!(tests);
}

#[cfg(test)]
mod tests {
    use std::{panic::AssertUnwindSafe, sync::Arc};

    use session_core::store::SessionStore;

    use super::{
        __private::{self, SystemClock, Test},
        plain::{
            NaiveStore,
            broken::{BrokenStore, Defect},
        },
    };

    mod suite {
        use super::super::plain::PlainStore;

        crate::conformance!(store = || async { PlainStore::default() });
    }

    /// Each promise, and the defects of a store that its test finds.
    macro_rules! defects {
        ($($promise:ident: $defect:ident)+) => {
            [$((stringify!($promise), Defect::$defect, __private::$promise as Test)),+]
        };
    }

    type Trial = (&'static str, Defect, Test);

    fn trials() -> impl IntoIterator<Item = Trial> {
        let trials: [Trial; _] = defects! {
            a_record_is_loaded_as_it_was_created: LoadForgetsLabel
            a_record_may_be_created_empty: CreateSkipsEmpty
            only_create_makes_a_record: UpdateCreates
            a_wrong_secret_finds_nothing: LoadIgnoresSecret
            creating_twice_keeps_the_first: CreateOverwrites
            creating_over_an_expired_record_replaces_it: CreateKeepsExpired
            an_id_lives_under_one_key: CreateIgnoresOtherKey
            an_update_changes_what_it_names: UpdateForgetsOthers
            an_update_sets_the_times_of_the_visit: UpdateIsNoVisit
            only_new_limits_shorten_a_session: UpdateShortens
            only_new_limits_shorten_a_session: UpdateLengthensAlways
            writers_of_different_keys_both_land: UpdateAppliesToRead
            the_later_writer_of_one_key_stands: UpdateKeepsFirstWriter
            concurrent_updates_all_land: UpdateReadsThenWrites
            an_update_asked_for_twice_is_written_twice: RepeatedUpdateIsGone
            an_exact_update_of_what_nobody_changed_lands: TouchChangesVersion
            an_exact_update_of_changed_entries_is_a_conflict: UpdateIgnoresExact
            an_exact_update_of_a_changed_owner_or_label_is_a_conflict: OwnerKeepsVersion
            an_exact_update_of_a_changed_owner_or_label_is_a_conflict: LabelKeepsVersion
            one_of_two_exact_updates_lands: ExactUpdateChecksFirst
            the_version_changes_with_every_change: UpdateAnswersFormerVersion
            the_version_changes_with_every_change: RemovalKeepsVersion
            a_touch_moves_the_times_forward: TouchForgetsEnd
            a_touch_moves_no_time_back: TouchMovesVisitBack
            a_touch_moves_no_time_back: TouchMovesEndBack
            a_rename_moves_the_whole_record: RenameForgetsOwner
            a_rename_applies_its_changes: RenameIgnoresChanges
            a_rename_takes_along_what_others_wrote: RenameAppliesToRead
            a_rename_asked_for_twice_is_done_once: RenameTwiceIsGone
            an_exact_rename_of_what_changed_is_a_conflict: RenameIgnoresExact
            one_of_two_renames_wins: RenameReadsThenWrites
            one_rename_asked_for_twice_at_once_is_done_once: RenameTwiceIsGone
            an_update_during_a_rename_lands_or_learns: RenameReadsThenWrites
            nothing_comes_back_under_the_old_key: RenameKeepsFormer
            a_rename_that_leaves_nothing_removes: RenameKeepsNothing
            the_last_key_takes_the_record_along: RemovalKeepsRecord
            terms_alone_keep_no_record: MetadataKeepsRecord
            a_key_added_meanwhile_keeps_the_record: RemovalForgetsLaterKeys
            a_key_added_while_the_last_goes_is_kept_or_told: UpdateReadsThenWrites
            an_owner_keeps_a_record_without_entries: OwnerKeepsNothing
            a_held_id_keeps_a_record_without_entries: HeldIdKeepsNothing
            clearing_takes_everything_out: ClearKeepsUnseen
            clearing_takes_everything_out: ClearKeepsOwner
            clearing_keeps_the_terms_and_what_comes_with_it: ClearForgetsMetadata
            clearing_all_there_is_removes_the_record: ClearKeepsRecord
            a_deleted_record_is_gone: DeleteFindsEnded
            a_session_deleted_by_its_id_is_gone: DeleteByIdIsNotDone
            nothing_comes_back_after_the_end: UpdateRevives
            nothing_survives_a_concurrent_delete: TouchReadsThenWrites
            the_last_second_is_alive: LastSecondIsOver
            the_second_after_is_over: LoadFindsExpired
            the_second_after_is_over: TouchExtendsExpired
            the_second_after_is_over: UpdateChangesExpired
            a_sweep_takes_what_is_no_longer_known: SweepForgetsAtOnce
            a_sweep_takes_what_has_expired: SweepIsNotDone
            a_sweep_takes_what_is_no_longer_known: SweepTakesFreshTombstones
            a_sweep_takes_what_is_no_longer_known: SweepKeepsTombstones
            an_expired_session_is_known_as_such: ExpiredIsUnknown
            an_end_is_known_for_a_minute: DeleteLeavesNoTombstone
            an_end_is_known_for_a_minute: DeleteByIdLeavesNoTombstone
            an_end_is_known_for_a_minute: DeleteByOwnerLeavesNoTombstone
            an_end_is_known_for_a_minute: DeleteForgetsItsEnd
            an_end_is_known_for_a_minute: TombstoneForAnySecret
            an_end_is_known_for_a_minute: TombstoneForEver
            a_rename_leaves_a_tombstone: RenameLeavesNoTombstone
            a_rename_leaves_a_tombstone: RotateForgetsSuccessor
            the_last_key_leaves_no_tombstone: RemovalLeavesTombstone
            a_tombstone_is_no_session: CreateIgnoresTombstone
            several_records_are_looked_up_at_once: LookUpForgetsRepeated
            several_records_are_looked_up_at_once: LookUpForgetsTombstones
            values_come_back_byte_for_byte: ValuesLoseSpaces
            any_text_is_a_key: KeysEndAtNul
            any_text_is_a_key: KeysIgnoreCase
            the_reserved_key_travels: MetadataForgetsUnknown
            a_value_of_a_mebibyte_is_kept: LargeValuesAreLost
            five_hundred_keys_are_kept: ManyKeysAreLost
            times_reach_to_the_year_9999: TimesAreShort
            a_write_sets_the_owner_and_label_it_names: EmptyLabelIsNone
            an_owners_sessions_are_listed_by_their_last_visit: ListIsInOrderOfCreation
            an_owners_sessions_are_listed_by_their_last_visit: ListForgetsOne
            the_list_shows_id_times_and_label: ListShowsFirstVisit
            any_text_is_an_owner: ListForgetsLongOwners
            owners_are_compared_exactly: ListIgnoresCase
            owners_are_compared_exactly: CountIgnoresCase
            owners_are_compared_exactly: DeleteByOwnerIgnoresCase
            the_empty_owner_is_an_owner: EmptyOwnerIsNone
            an_owners_sessions_end_together: DeleteByOwnerForgetsOne
            a_session_that_changed_hands_has_one_owner: FormerOwnerKeepsSession
            a_rename_does_not_escape_the_end_of_all: DeleteByOwnerListsFirst
            a_list_has_a_limit_and_a_count_has_none: ListHasNoLimit
            a_list_has_a_limit_and_a_count_has_none: CountHasALimit
            a_list_has_a_limit_and_a_count_has_none: CountsExpired
            owners_of_two_applications_do_not_meet: ListIgnoresApplication
            owners_of_two_applications_do_not_meet: CountIgnoresApplication
            owners_of_two_applications_do_not_meet: DeleteByOwnerIgnoresApplication
            a_write_takes_a_session_into_its_application: UpdateKeepsApplication
            some_sessions_of_an_owner_can_be_spared: SparesNoId
            the_greater_ids_are_spared_of_one_second: SparesSmallerIds
            an_applications_sessions_end_together: DeleteByApplicationForgetsUnowned
            an_applications_sessions_end_together: DeleteByApplicationIgnoresName
            an_applications_sessions_end_together: DeleteByApplicationLeavesNoTombstone
            all_sessions_are_listed_in_pages: AllForgetsUnowned
            all_sessions_are_listed_in_pages: AllListsExpired
            dropped_operations_leave_a_store_that_works: UpdateInTwoSteps
            a_dropped_rename_is_done_when_asked_again: RenameRemovesFirst
            a_dropped_rename_is_done_when_asked_again: RenameInsertsFirst
            a_dropped_delete_is_done_when_asked_again: DeleteInTwoSteps
        };
        trials
    }

    #[test]
    fn every_defect_is_found_by_the_test_of_its_promise() {
        let unnoticed: Vec<_> = trials()
            .into_iter()
            .filter(|(_, defect, test)| !fails(BrokenStore::new(*defect), *test))
            .map(|(promise, defect, _)| (promise, defect))
            .collect();
        assert!(unnoticed.is_empty(), "{unnoticed:?}");
    }

    #[test]
    fn every_promise_has_a_defect() {
        let mut broken: Vec<_> = trials().into_iter().map(|(promise, ..)| promise).collect();
        broken.sort_unstable();
        broken.dedup();
        assert_eq!(broken, promises());
    }

    /// So that the defects are what makes the tests fail.
    mod without_a_defect {
        use super::{BrokenStore, Defect};

        crate::conformance!(store = || async { BrokenStore::new(Defect::None) });
    }

    /// A store that reads and writes whole records, leaves no tombstones and keeps no applications apart breaks these
    /// promises.
    #[test]
    fn a_naive_store_is_found_out() {
        macro_rules! broken {
            ($($promise:ident)+) => {
                [$((stringify!($promise), fails(NaiveStore::default(), __private::$promise))),+]
            };
        }
        let found = broken! {
            an_end_is_known_for_a_minute
            a_rename_leaves_a_tombstone
            a_tombstone_is_no_session
            several_records_are_looked_up_at_once
            a_sweep_takes_what_is_no_longer_known
            creating_twice_keeps_the_first
            an_id_lives_under_one_key
            a_list_has_a_limit_and_a_count_has_none
            owners_of_two_applications_do_not_meet
            some_sessions_of_an_owner_can_be_spared
            the_greater_ids_are_spared_of_one_second
            an_applications_sessions_end_together
            nothing_comes_back_after_the_end
            nothing_comes_back_under_the_old_key
            a_rename_does_not_escape_the_end_of_all
        };
        let unnoticed: Vec<_> = found.iter().filter(|(_, is_found)| !is_found).map(|(promise, _)| promise).collect();
        assert!(unnoticed.is_empty(), "{unnoticed:?}");
    }

    fn fails(store: impl SessionStore, test: Test) -> bool {
        let connecting = Box::pin(async { Box::new(store) as __private::AnyStore });
        let run = || __private::run(test, connecting, Arc::new(SystemClock));
        std::panic::catch_unwind(AssertUnwindSafe(run)).is_err()
    }

    #[test]
    fn every_case_is_a_test_of_the_macro() {
        let sources = [
            include_str!("conformance/drops.rs"),
            include_str!("conformance/endings.rs"),
            include_str!("conformance/owners.rs"),
            include_str!("conformance/records.rs"),
            include_str!("conformance/renames.rs"),
            include_str!("conformance/values.rs"),
        ];
        let cases = sources.iter().flat_map(|source| source.split("\npub async fn ").skip(1));
        let mut cases: Vec<_> = cases.map(|case| &case[..case.find('(').unwrap()]).collect();
        cases.sort_unstable();
        assert_eq!(promises(), cases);
    }

    /// Returns the promises of the macro, sorted.
    fn promises() -> Vec<&'static str> {
        let front = include_str!("conformance.rs");
        let list = front.split("$($callback)+! {").nth(1).unwrap();
        let mut promises: Vec<_> = list[..list.find('}').unwrap()].split_whitespace().collect();
        promises.sort_unstable();
        promises
    }
}
