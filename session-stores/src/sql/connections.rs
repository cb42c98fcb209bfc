//! The connections, and whose turn it is to use one.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use session_core::{Record, RecordKey, SessionInfo, StoreError};
use sqlx::{Pool, pool::PoolConnection};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{
    dialect::{Dialect, Value},
    error::{is_lost, store_error, too_late},
    row::{InfoRow, RecordRow},
};

/// A pool, and in front of it a queue in the order of arrival.
///
/// sqlx's pool tests a connection with an empty message each time it is given back, which is as long a way as a query.
/// A pool that is ours alone is spared that: a connection whose work is known to be done is kept here.
pub(super) struct Connections<D: Dialect> {
    pool: Pool<D>,
    turns: Semaphore,
    /// One, for a database that takes one writer at a time: a fair queue instead of a race for its lock.
    writers: Option<Semaphore>,
    /// `None` for a pool that the application shares with us.
    kept: Option<Mutex<Vec<Kept<D>>>>,
}

struct Kept<D: Dialect> {
    connection: PoolConnection<D>,
    /// When the pool last tested it.
    tested: Instant,
    used: Instant,
}

impl<D: Dialect> Connections<D> {
    /// Of a pool that nobody else uses.
    pub(super) fn own(pool: Pool<D>) -> Self {
        Self::new(pool, Some(Mutex::default()))
    }

    /// Of a pool that the application uses too.
    pub(super) fn shared(pool: Pool<D>) -> Self {
        Self::new(pool, None)
    }

    fn new(pool: Pool<D>, kept: Option<Mutex<Vec<Kept<D>>>>) -> Self {
        let turns = Semaphore::new(pool.options().get_max_connections() as usize);
        Self { pool, turns, writers: D::ONE_WRITER.then(|| Semaphore::new(1)), kept }
    }

    pub(super) async fn to_read(&self) -> Result<Lease<'_, D>, StoreError> {
        self.in_time(self.lease(None)).await
    }

    pub(super) async fn to_write(&self) -> Result<Lease<'_, D>, StoreError> {
        self.in_time(async {
            let turn = match &self.writers {
                Some(writers) => Some(writers.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?),
                None => None,
            };
            self.lease(turn).await
        })
        .await
    }

    async fn in_time<'a>(
        &'a self,
        lease: impl Future<Output = Result<Lease<'a, D>, sqlx::Error>>,
    ) -> Result<Lease<'a, D>, StoreError> {
        let lease = timeout(PATIENCE, lease).await.map_err(|_| too_late())?;
        lease.map_err(|error| store_error(&error))
    }

    async fn lease<'a>(&'a self, writing: Option<SemaphorePermit<'a>>) -> Result<Lease<'a, D>, sqlx::Error> {
        let turn = self.turns.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let (connection, tested) = match self.take_kept() {
            Some(kept) => (kept.connection, kept.tested),
            None => (self.pool.acquire().await?, Instant::now()),
        };
        Ok(Lease { connection: Some(connection), tested, in_transaction: false, home: self, _turns: (turn, writing) })
    }

    /// The one that was used last; one that nobody used for a while the pool is to test first.
    fn take_kept(&self) -> Option<Kept<D>> {
        self.kept()?.pop().filter(|kept| kept.used.elapsed() < TRUSTED)
    }

    fn keep(&self, connection: PoolConnection<D>, tested: Instant) {
        if let Some(mut kept) = self.kept()
            && tested.elapsed() < KEPT
        {
            kept.push(Kept { connection, tested, used: Instant::now() });
        }
    }

    /// Gives all back to the pool, which tests them.
    fn keep_none(&self) {
        let kept = self.kept().map(|mut kept| std::mem::take(&mut *kept));
        drop(kept);
    }

    fn kept(&self) -> Option<MutexGuard<'_, Vec<Kept<D>>>> {
        Some(self.kept.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<D: Dialect> Drop for Connections<D> {
    /// Closes those that are kept. To give them back would take a runtime, which may be gone by now.
    fn drop(&mut self) {
        let kept = self.kept().map(|mut kept| std::mem::take(&mut *kept)).unwrap_or_default();
        for kept in kept {
            drop(kept.connection.leak());
        }
    }
}

/// A connection for one operation. If that ends early (an error, or nobody waits for it any more), the connection is
/// not trusted: the pool tests it, or closes it when a transaction is open.
pub(super) struct Lease<'a, D: Dialect> {
    connection: Option<PoolConnection<D>>,
    tested: Instant,
    in_transaction: bool,
    home: &'a Connections<D>,
    _turns: (SemaphorePermit<'a>, Option<SemaphorePermit<'a>>),
}

impl<D: Dialect> Lease<'_, D> {
    /// How many rows the statement changed.
    pub(super) async fn execute(&mut self, statement: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let result = D::execute(self.connection()?, statement, values).await;
        self.checked(result)
    }

    pub(super) async fn record(
        &mut self,
        statement: &'static str,
        key: &RecordKey,
        now: u64,
    ) -> Result<Option<Record>, StoreError> {
        let values = [Value::Bytes(key.hash()), Value::Number(now)];
        let rows = D::fetch(self.connection()?, statement, &values).await;
        let row = self.checked(rows)?.first().map(D::record).transpose();
        self.checked(row)?.map(RecordRow::into_record).transpose()
    }

    pub(super) async fn infos(
        &mut self,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<SessionInfo>, StoreError> {
        let rows = D::fetch(self.connection()?, statement, values).await;
        let rows = self.checked(rows)?.iter().map(D::info).collect::<Result<Vec<_>, _>>();
        self.checked(rows)?.into_iter().map(InfoRow::into_info).collect()
    }

    pub(super) async fn run(&mut self, script: &'static str) -> Result<(), StoreError> {
        let result = D::run(self.connection()?, script).await;
        self.checked(result)
    }

    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.in_transaction = true;
        self.execute(D::BEGIN, &[]).await.map(drop)
    }

    /// Commits after a success, rolls back after an error.
    pub(super) async fn end<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let ended = self.execute(if result.is_ok() { "COMMIT" } else { "ROLLBACK" }, &[]).await;
        self.in_transaction = ended.is_err();
        let value = result?;
        ended.map(|_| value)
    }

    /// The work is done, and the connection as good as before.
    pub(super) fn give_back(mut self) {
        if let Some(connection) = self.connection.take() {
            self.home.keep(connection, self.tested);
        }
    }

    fn connection(&mut self) -> Result<&mut D::Connection, StoreError> {
        self.connection.as_deref_mut().ok_or_else(too_late)
    }

    fn checked<T>(&self, result: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        result.map_err(|error| {
            if is_lost(&error) {
                self.home.keep_none();
            }
            store_error(&error)
        })
    }
}

impl<D: Dialect> Drop for Lease<'_, D> {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.connection
            && self.in_transaction
        {
            connection.close_on_drop();
        }
    }
}

/// Less than the two seconds for which the layer above waits, and with SQLite's own patience still less than 2.5.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// For the first connection: an application may start beside its database.
pub(super) const AT_START: Duration = Duration::from_secs(10);

/// A connection that was used so short a time ago is there.
const TRUSTED: Duration = Duration::from_secs(30);

/// After this time a connection goes through the pool again, which ends those that are old.
const KEPT: Duration = Duration::from_secs(600);
