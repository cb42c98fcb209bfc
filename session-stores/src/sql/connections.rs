//! The connections, and the queue of operations that wait for one.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use session_core::store::{Lookup, RecordKey, SessionInfo, StoreError};
use sqlx::{
    Pool,
    pool::{PoolConnection, PoolOptions},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::{
    dialect::{Dialect, Options, Value},
    error::{gave_way, is_lost, store_error, unreachable},
    row::{InfoRow, RecordRow},
};

/// A pool of connections. Operations wait for a connection in a queue, in the order of arrival.
///
/// sqlx's pool tests a connection with an empty message each time it is given back, which is one more round trip. If
/// the pool belongs to the store alone, this struct avoids the test: after an operation that ended well, it keeps the
/// connection and does not give it back.
pub(super) struct Connections<D: Dialect> {
    pool: Pool<D>,
    turns: Semaphore,
    /// The permit to write, for a database that takes one writer at a time. Writers wait for it in a fair queue and do
    /// not compete for the database's lock.
    writers: Option<Semaphore>,
    /// The idle connections, the last used one at the end. `None` if the application uses the pool too.
    kept: Option<Mutex<Vec<Kept<D>>>>,
}

struct Kept<D: Dialect> {
    connection: PoolConnection<D>,
    /// The time when the pool last tested the connection.
    tested: Instant,
    used: Instant,
}

impl<D: Dialect> Connections<D> {
    /// Opens a pool for this store alone, and its first connection.
    pub(super) async fn open(options: Options<D>, most: u32) -> Result<Self, StoreError> {
        let mut pool = PoolOptions::new().max_connections(most).acquire_timeout(AT_START);
        if let Some(script) = D::ON_CONNECT {
            pool = pool.after_connect(|connection, _| Box::pin(D::run(connection, script)));
        }
        let pool = pool.connect_lazy_with(options);
        let connections = Self::new(pool, Some(Mutex::default()));
        match connections.pool.acquire().await {
            Ok(connection) => connections.keep(connection, Instant::now()),
            Err(error) => return Err(connections.error(error).await),
        }
        Ok(connections)
    }

    /// Uses a pool that the application uses too.
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
        let error = match timeout(PATIENCE, lease).await {
            Ok(Ok(lease)) => return Ok(lease),
            Ok(Err(error)) => error,
            Err(_) => sqlx::Error::PoolTimedOut,
        };
        Err(self.error(error).await)
    }

    /// Returns the error of an operation that got no connection. After a timeout, asks the operating system for the
    /// reason.
    async fn error(&self, error: sqlx::Error) -> StoreError {
        let options = self.pool.connect_options();
        let place = D::place(&options);
        if let sqlx::Error::PoolTimedOut = error
            && let Ok(Some(obstacle)) = timeout(PROBE, D::obstacle(&options)).await
        {
            return unreachable(obstacle, &place);
        }
        store_error(&error, &place)
    }

    async fn lease<'a>(&'a self, writing: Option<SemaphorePermit<'a>>) -> Result<Lease<'a, D>, sqlx::Error> {
        let turn = self.turns.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let (connection, tested) = match self.take_kept() {
            Some(kept) => (kept.connection, kept.tested),
            None => (self.pool.acquire().await?, Instant::now()),
        };
        Ok(Lease {
            connection: Some(connection),
            tested,
            in_transaction: false,
            gave_way: false,
            is_waiting: false,
            home: self,
            _turns: (turn, writing),
        })
    }

    fn store_error(&self, error: &sqlx::Error) -> StoreError {
        store_error(error, &D::place(&self.pool.connect_options()))
    }

    /// Takes the connection that was used last. A connection that was idle for longer than [`TRUSTED`] goes back to the
    /// pool, which tests it.
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

    /// Gives all idle connections back to the pool, which tests them.
    fn keep_none(&self) {
        let kept = self.kept().map(|mut kept| std::mem::take(&mut *kept));
        drop(kept);
    }

    fn kept(&self) -> Option<MutexGuard<'_, Vec<Kept<D>>>> {
        Some(self.kept.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<D: Dialect> Drop for Connections<D> {
    /// Closes the idle connections. Only a running runtime could return them to the pool.
    fn drop(&mut self) {
        let kept = self.kept().map(|mut kept| std::mem::take(&mut *kept)).unwrap_or_default();
        for kept in kept {
            drop(kept.connection.leak());
        }
    }
}

/// A connection for one operation. If the operation ends early (by an error, or because its future was dropped), the
/// pool tests the connection. If a transaction is open, or sqlx cannot skip an answer that nobody read, the connection is
/// closed.
pub(super) struct Lease<'a, D: Dialect> {
    connection: Option<PoolConnection<D>>,
    tested: Instant,
    in_transaction: bool,
    /// Whether the database gave up the last transaction because of another one.
    gave_way: bool,
    /// Whether a statement was sent and its answer has not come.
    is_waiting: bool,
    home: &'a Connections<D>,
    _turns: (SemaphorePermit<'a>, Option<SemaphorePermit<'a>>),
}

impl<D: Dialect> Lease<'_, D> {
    /// Runs the statement, and returns how many rows it changed. Outside of a transaction, a statement that the database
    /// gave up because of another one (a deadlock) is tried again.
    pub(super) async fn execute(&mut self, statement: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let result = self.attempt(statement, values).await?;
        self.checked(result)
    }

    /// Runs a statement that inserts a row, and returns whether it did. It does not if the table has a row with the same
    /// key or the same id.
    pub(super) async fn insert(&mut self, statement: &'static str, values: &[Value<'_>]) -> Result<bool, StoreError> {
        match self.attempt(statement, values).await? {
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => self.checked(Ok(false)),
            result => self.checked(result).map(|inserted| inserted > 0),
        }
    }

    async fn attempt(
        &mut self,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> Result<Result<u64, sqlx::Error>, StoreError> {
        for _ in 1..ATTEMPTS {
            let result = D::execute(self.connection()?, statement, values).await;
            match result {
                Err(error) if gave_way(&error) && !self.in_transaction => {}
                result => return Ok(result),
            }
        }
        Ok(D::execute(self.connection()?, statement, values).await)
    }

    pub(super) const fn is_in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Returns whether the database gave up the last transaction because of another one. The transaction has changed
    /// nothing and can be tried again.
    pub(super) const fn gave_way(&self) -> bool {
        self.gave_way && !self.in_transaction
    }

    /// Looks for the row of a key.
    pub(super) async fn look_for(
        &mut self,
        statement: &'static str,
        key: &RecordKey,
        now: u64,
    ) -> Result<Lookup, StoreError> {
        let rows = self.rows(statement, &[Value::Bytes(key.hash())]).await?;
        match rows.into_iter().next() {
            Some(row) => row.into_lookup(key.id(), now),
            None => Ok(Lookup::Unknown),
        }
    }

    /// Reads the rows of records and tombstones.
    pub(super) async fn rows(
        &mut self,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<RecordRow>, StoreError> {
        let rows = D::fetch(self.connection()?, statement, values).await;
        let rows = self.checked(rows)?.iter().map(D::record).collect::<Result<Vec<_>, _>>();
        self.checked(rows)
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

    /// Reads one number; 0 if there is no row.
    pub(super) async fn number(&mut self, statement: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let rows = D::fetch(self.connection()?, statement, values).await;
        let number = self.checked(rows)?.first().map(D::number).transpose();
        Ok(self.checked(number)?.unwrap_or_default().try_into().unwrap_or_default())
    }

    pub(super) async fn run(&mut self, script: &'static str) -> Result<(), StoreError> {
        let result = D::run(self.connection()?, script).await;
        self.checked(result)
    }

    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.in_transaction = true;
        self.gave_way = false;
        self.run(D::BEGIN).await
    }

    /// Commits after a success, and rolls back after an error.
    pub(super) async fn end<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let ended = self.run(if result.is_ok() { "COMMIT" } else { "ROLLBACK" }).await;
        self.in_transaction = ended.is_err();
        let value = result?;
        ended.map(|()| value)
    }

    /// Gives the connection back after an operation that ended well.
    pub(super) fn give_back(mut self) {
        if let Some(connection) = self.connection.take() {
            self.home.keep(connection, self.tested);
        }
    }

    /// Returns the connection for a statement. [`checked`](Self::checked) takes the answer.
    fn connection(&mut self) -> Result<&mut D::Connection, StoreError> {
        self.is_waiting = true;
        self.connection.as_deref_mut().ok_or_else(|| self.home.store_error(&sqlx::Error::PoolClosed))
    }

    fn checked<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        self.is_waiting = false;
        result.map_err(|error| {
            self.gave_way |= self.in_transaction && gave_way(&error);
            if is_lost(&error) {
                self.home.keep_none();
            }
            self.home.store_error(&error)
        })
    }
}

impl<D: Dialect> Drop for Lease<'_, D> {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.connection
            && (self.in_transaction || (self.is_waiting && !D::OUTLIVES_DROPS))
        {
            connection.close_on_drop();
        }
    }
}

/// The longest wait for a connection: less than the two seconds that the session layer gives an operation. SQLite may
/// wait as long again for a lock.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// The longest wait for the operating system's reason why no connection can be opened.
const PROBE: Duration = Duration::from_millis(100);

/// The longest wait for the first connection: an application may start together with its database.
const AT_START: Duration = Duration::from_secs(10);

/// The longest idle time after which a connection is used without a test.
const TRUSTED: Duration = Duration::from_secs(30);

/// The longest time that a connection stays out of the pool. The pool closes old connections.
const KEPT: Duration = Duration::from_secs(600);

/// How often a statement or a transaction is tried that the database gives up because of others.
pub(super) const ATTEMPTS: u32 = 5;
