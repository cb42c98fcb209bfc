//! The contract of a session store: the trait.

use std::{pin::Pin, sync::Arc};

use crate::{
    id::SessionId,
    record::{Cursor, End, Lookup, Owner, Page, RecordKey, SessionInfo},
    store_error::StoreError,
    write::{Spared, Updated, Visit, Write},
};

/// A session store: it keeps the data of sessions on the server, for example in a table.
///
/// The crate `session-stores` has five stores, and a test suite for your own: its macro `conformance!` has a test for
/// each promise below. Share a store as `Arc<S>`, or choose one at run time as `Arc<dyn SessionStore>`.
///
/// Every store promises:
///
/// - **No update is lost.** [`update`](Self::update) applies the changes to the record as it is at that moment, not as
///   the request read it. If two requests set different keys, both keys are kept. If they set the same key, the later
///   write wins. The later of two ends wins too: see [`Write::end_after`].
/// - **No session comes back.** Only [`create`](Self::create) makes a record. If there is no live record, every other
///   operation changes nothing and returns [`Updated::Gone`], `false` or 0.
/// - **An end is known.** [`rename`](Self::rename), [`delete`](Self::delete), [`delete_by_id`](Self::delete_by_id),
///   [`delete_by_owner`](Self::delete_by_owner) and [`delete_by_application`](Self::delete_by_application) leave a
///   tombstone under the former key: an [`End`]. [`load`](Self::load) returns it for
///   [`ENDED_IS_KNOWN_FOR`](crate::store::ENDED_IS_KNOWN_FOR) seconds, so that a late request can be recognised.
/// - **No operation is half done.** Other operations see all of it or nothing of it.
/// - **No unreadable record is overwritten.** If a record is damaged, the operation returns
///   [`StoreErrorKind::Unreadable`](crate::store::StoreErrorKind::Unreadable), and the record stays as it is. Only the
///   operations that delete may remove it.
/// - **Applications do not meet.** A record belongs to the [application](Write::application) that wrote it last. The
///   sessions of an [`Owner`] are those of one application.
/// - **The application's clock decides.** Times are in seconds since 1970. A record has expired as soon as `now` is
///   greater than its [`expires_at`](crate::store::Record::expires_at). If a store has a clock of its own, it may only
///   use it to decide when to remove expired records and tombstones.
/// - **Operations can be repeated.** If an answer is lost, the caller repeats the operation. `create`, `touch` and
///   `rename` then return the same as the first time, and so does an `update` without [`Write::only_if_unchanged`]. If
///   the record was removed in between, or by the first attempt, the operation returns that there is no record.
///
/// The caller may drop a future at any time. The operation then happens as a whole, or not at all.
///
/// # Examples
///
/// A complete store in the memory of one process. It passes the test suite.
///
/// ```
#[doc = include_str!("contract/example.rs")]
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # use session_core::store::Changes;
///
/// let store = MyStore::default();
/// let key = RecordKey::of_secret(SessionId::random()?, &[7; 32]);
/// let mut changes = Changes::default();
/// changes.insert("user", r#""ada""#.to_owned());
/// store.create(&key, Write::new(&changes, Visit { now: 100, expires_at: 200 })).await?;
///
/// let record = store.load(&key, 200).await?.live().expect("it lives through its last second");
/// assert_eq!(record.entries.get("user"), Some(r#""ada""#));
/// assert!(matches!(store.load(&key, 201).await?, Lookup::Expired));
///
/// assert!(store.delete(&key, End::Deleted, 150).await?);
/// assert!(matches!(store.load(&key, 210).await?, Lookup::Ended(End::Deleted)));
/// assert!(matches!(store.load(&key, 211).await?, Lookup::Unknown));
/// # Ok(())
/// # }
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # assert!(matches!(std::pin::pin!(example()).poll(&mut context), std::task::Poll::Ready(Ok(()))));
/// ```
pub trait SessionStore: Send + Sync + 'static {
    /// Looks for the record under `key`. `now` is in seconds since 1970.
    ///
    /// If the session has ended or expired a while ago, the store may have forgotten it, and returns
    /// [`Lookup::Unknown`].
    fn load<'a>(&'a self, key: &'a RecordKey, now: u64) -> StoreFuture<'a, Lookup>;

    /// Looks for several records at once, in one question to the database (in a cluster, one for each slot). Returns an
    /// answer for each key, in the order of `keys`. A record that cannot be read is [`Lookup::Unknown`] here.
    fn look_up<'a>(&'a self, keys: &'a [RecordKey], now: u64) -> StoreFuture<'a, Vec<Lookup>>;

    /// Creates a record with the fields, the owner, the label and the times of `write`, and with the version 1. If
    /// there is a live record under `key`, that record stays as it is. An expired record is replaced. If there is a
    /// live record with the same id under another key, or a tombstone under `key`, the store returns an error of the
    /// kind [`StoreErrorKind::Refused`](crate::store::StoreErrorKind::Refused).
    fn create<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, ()>;

    /// Applies the changes of `write` to the record under `key`. If nothing is left of the record, it is removed
    /// without a tombstone: see [`Write::leaves_nothing_of`].
    fn update<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated>;

    /// Records a visit: sets [`seen_at`](crate::store::Record::seen_at) and
    /// [`expires_at`](crate::store::Record::expires_at), and moves neither of these times back. Returns whether there
    /// was a live record.
    fn touch<'a>(&'a self, key: &'a RecordKey, visit: Visit) -> StoreFuture<'a, bool>;

    /// Moves the record under `from` to `to`, and applies the changes of `write`. Other operations see exactly one of
    /// the two records. Under `from` stays the tombstone that [`Write::former_end`] returns.
    ///
    /// If there is no record under `from` but one under `to`, the record was moved before: the store changes nothing
    /// and returns [`Updated::Written`] with its version. Both keys have the same [`shard`](RecordKey::shard).
    fn rename<'a>(&'a self, from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated>;

    /// Ends the live session under `key`, and leaves `end` as its tombstone. Returns whether there was one.
    fn delete<'a>(&'a self, key: &'a RecordKey, end: End, now: u64) -> StoreFuture<'a, bool>;

    /// Removes tombstones that are no longer known at `now`, and records that expired more than
    /// [`EXPIRED_IS_KNOWN_FOR`](crate::store::EXPIRED_IS_KNOWN_FOR) seconds ago. Returns how many; 0 if the database
    /// removes them by itself.
    fn delete_expired(&self, now: u64) -> StoreFuture<'_, u64>;

    /// Returns the live sessions of `owner`, the latest visit first, and at most `limit`. Other operations do not have
    /// to wait while the store makes the list.
    fn list<'a>(&'a self, owner: Owner<'a>, now: u64, limit: u64) -> StoreFuture<'a, Vec<SessionInfo>>;

    /// Returns the number of live sessions of `owner`.
    fn count<'a>(&'a self, owner: Owner<'a>, now: u64) -> StoreFuture<'a, u64>;

    /// Returns a page of the live sessions of all applications and owners, in any order. The first page begins at
    /// `None`, and each page returns where the next one begins. A session that lives through the whole list is on one
    /// of the pages, unless it is renamed in the meantime.
    fn all<'a>(&'a self, now: u64, cursor: Option<&'a Cursor>) -> StoreFuture<'a, Page>;

    /// Ends the live session with this public id. Returns whether there was one.
    fn delete_by_id(&self, id: SessionId, now: u64) -> StoreFuture<'_, bool>;

    /// Ends the live sessions of `owner`, except those that are spared. Returns the number of ended sessions. A record
    /// that cannot be read does not keep the others from ending.
    fn delete_by_owner<'a>(&'a self, owner: Owner<'a>, spared: Spared, now: u64) -> StoreFuture<'a, u64>;

    /// Ends all live sessions of an application. Returns the number of ended sessions. A record that cannot be read does
    /// not keep the others from ending.
    fn delete_by_application<'a>(&'a self, application: &'a str, now: u64) -> StoreFuture<'a, u64>;
}

/// Passes each call on to the store inside.
macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        /// Forwards to the store inside, which may be shared or chosen at run time (`Arc<dyn SessionStore>`).
        impl<S: SessionStore + ?Sized> SessionStore for Arc<S> {
            $(fn $name<'a>(&'a self, $($argument: $type),*) -> StoreFuture<'a, $answer> {
                (**self).$name($($argument),*)
            })+

            fn delete_expired(&self, now: u64) -> StoreFuture<'_, u64> {
                (**self).delete_expired(now)
            }

            fn delete_by_id(&self, id: SessionId, now: u64) -> StoreFuture<'_, bool> {
                (**self).delete_by_id(id, now)
            }
        }
    };
}

forward! {
    load(key: &'a RecordKey, now: u64) -> Lookup;
    look_up(keys: &'a [RecordKey], now: u64) -> Vec<Lookup>;
    create(key: &'a RecordKey, write: Write<'a>) -> ();
    update(key: &'a RecordKey, write: Write<'a>) -> Updated;
    touch(key: &'a RecordKey, visit: Visit) -> bool;
    rename(from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> Updated;
    delete(key: &'a RecordKey, end: End, now: u64) -> bool;
    list(owner: Owner<'a>, now: u64, limit: u64) -> Vec<SessionInfo>;
    count(owner: Owner<'a>, now: u64) -> u64;
    all(now: u64, cursor: Option<&'a Cursor>) -> Page;
    delete_by_owner(owner: Owner<'a>, spared: Spared, now: u64) -> u64;
    delete_by_application(application: &'a str, now: u64) -> u64;
}

/// The future that an operation of a [`SessionStore`] returns.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;
