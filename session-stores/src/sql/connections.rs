//! The connections, and the queue of operations that wait for one.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use session_core::store::{Lookup, RecordKey, SessionInfo, StoreError, StoreErrorKind};
use sqlx::{
    Pool,
    pool::{PoolConnection, PoolOptions},
};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, SemaphorePermit},
    time::{sleep, timeout},
};

use super::{
    PAUSE, START,
    dialect::{Dialect, Options, Persistence, Value},
    error::{exhausted_pool, gave_way, is_locked, is_lost, paused_clock, store_error, unreachable},
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
    /// Whether each statement is a transaction. A pooler gives another connection of the database to each transaction,
    /// so two statements meet on one connection only within a transaction.
    in_transactions: AtomicBool,
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
        let connections = Self::lazy(options, most)?;
        let began = Instant::now();
        let mut opened = timeout(AT_START, connections.pool.acquire()).await;
        // Several processes may open a new file at the same time, and it has one lock for all of them.
        while let Ok(Err(error)) = &opened
            && D::ONE_WRITER
            && is_locked(error)
            && began.elapsed() < START
        {
            sleep(PAUSE).await;
            opened = timeout(AT_START, connections.pool.acquire()).await;
        }
        match opened {
            Ok(Ok(connection)) => connections.keep(connection, Instant::now()),
            Ok(Err(error)) => return Err(connections.error(error, began).await),
            Err(_) => return Err(connections.error(sqlx::Error::PoolTimedOut, began).await),
        }
        Ok(connections)
    }

    /// Makes a pool for this store alone. The first operation opens the first connection.
    pub(super) fn lazy(options: Options<D>, most: u32) -> Result<Self, StoreError> {
        if Handle::try_current().is_err() {
            return Err(StoreError::new(StoreErrorKind::Refused, NO_RUNTIME));
        }
        let mut pool = PoolOptions::new().max_connections(most).acquire_timeout(PATIENCE);
        if let Some(script) = D::ON_CONNECT {
            pool = pool.after_connect(|connection, _| Box::pin(D::run(connection, script)));
        }
        Ok(Self::new(pool.connect_lazy_with(options), Some(Mutex::default())))
    }

    /// Runs each statement in a transaction from now on, for a pooler that gives another connection to each.
    #[cfg(feature = "postgres")]
    pub(super) fn run_in_transactions(&self) {
        self.in_transactions.store(true, Relaxed);
    }

    /// Uses a pool that the application uses too.
    pub(super) fn shared(pool: Pool<D>) -> Self {
        Self::new(pool, None)
    }

    fn new(pool: Pool<D>, kept: Option<Mutex<Vec<Kept<D>>>>) -> Self {
        let turns = Semaphore::new(pool.options().get_max_connections() as usize);
        let writers = D::ONE_WRITER.then(|| Semaphore::new(1));
        Self { pool, turns, writers, kept, in_transactions: AtomicBool::new(false) }
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
        let began = Instant::now();
        let error = match timeout(PATIENCE, lease).await {
            Ok(Ok(lease)) => return Ok(lease),
            Ok(Err(error)) => error,
            Err(_) => sqlx::Error::PoolTimedOut,
        };
        Err(self.error(error, began).await)
    }

    /// Returns the error of an operation that got no connection since `began`. After a timeout, asks the operating
    /// system for the reason.
    async fn error(&self, error: sqlx::Error, began: Instant) -> StoreError {
        let options = self.pool.connect_options();
        let place = D::place(&options);
        if !matches!(error, sqlx::Error::PoolTimedOut) {
            return store_error(&error, &place);
        }
        if began.elapsed() < PATIENCE / 2 {
            return paused_clock(&place);
        }
        match timeout(PROBE, D::obstacle(&options)).await {
            Ok(Some(obstacle)) => unreachable(obstacle, &place),
            Ok(None) if self.kept.is_none() => exhausted_pool(&place),
            _ => store_error(&error, &place),
        }
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
            is_implicit: false,
            gave_way: false,
            is_waiting: false,
            began: Instant::now(),
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
/// pool tests the connection. If a transaction is open, or sqlx cannot skip an unread answer, the connection is closed.
pub(super) struct Lease<'a, D: Dialect> {
    connection: Option<PoolConnection<D>>,
    tested: Instant,
    in_transaction: bool,
    /// Whether the open transaction is there only because each statement is one.
    is_implicit: bool,
    /// Whether the database gave up the last transaction because of another one.
    gave_way: bool,
    /// Whether a statement was sent and its answer has not come.
    is_waiting: bool,
    /// The time when the operation got the connection.
    began: Instant,
    home: &'a Connections<D>,
    _turns: (SemaphorePermit<'a>, Option<SemaphorePermit<'a>>),
}

impl<D: Dialect> Lease<'_, D> {
    /// Runs the statement, and returns how many rows it changed. Outside of a transaction, a statement that the
    /// database gave up because of another one (a deadlock), or that found it locked, is tried again.
    pub(super) async fn execute(&mut self, statement: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let result = self.attempt(statement, values).await?;
        self.checked(result)
    }

    /// Runs a statement that inserts a row, and returns whether it did. It does not if the table has a row with the
    /// same key or the same id.
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
        let mut attempt = 1;
        loop {
            let persistence = self.prepare().await?;
            let result = D::execute(self.connection()?, statement, values, persistence).await;
            let result = self.concluded(result).await?;
            if self.in_transaction || !self.may_repeat(&result) {
                return Ok(result);
            }
            step_aside(attempt).await;
            attempt += 1;
        }
    }

    /// Runs a statement that reads. It is tried again like one that writes: where transactions are serializable, the
    /// database gives up reads too.
    async fn fetch(&mut self, statement: &'static str, values: &[Value<'_>]) -> Result<Vec<D::Row>, StoreError> {
        let mut attempt = 1;
        loop {
            let persistence = self.prepare().await?;
            let rows = D::fetch(self.connection()?, statement, values, persistence).await;
            let rows = self.concluded(rows).await?;
            if self.in_transaction || !self.may_repeat(&rows) {
                return self.checked(rows);
            }
            step_aside(attempt).await;
            attempt += 1;
        }
    }

    /// Returns whether a statement that is not a part of a transaction is tried again: it gave way to another one, or
    /// found the database locked, and there is time.
    fn may_repeat<T>(&self, result: &Result<T, sqlx::Error>) -> bool {
        result.as_ref().is_err_and(|error| gave_way(error) || (D::ONE_WRITER && is_locked(error))) && self.has_time()
    }

    fn has_time(&self) -> bool {
        self.began.elapsed() < PATIENCE
    }

    /// Begins a transaction for one statement if each statement has to be one. Returns whether the database may keep
    /// prepared statements: behind a pooler, the next transaction may have another connection.
    async fn prepare(&mut self) -> Result<Persistence, StoreError> {
        if !self.home.in_transactions.load(Relaxed) {
            return Ok(Persistence::Kept);
        }
        if !self.in_transaction {
            (self.in_transaction, self.is_implicit) = (true, true);
            self.run(D::BEGIN).await?;
        }
        Ok(Persistence::Once)
    }

    /// Ends the transaction that one statement is.
    async fn concluded<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<Result<T, sqlx::Error>, StoreError> {
        if !self.is_implicit {
            return Ok(result);
        }
        let ended = D::run(self.connection()?, if result.is_ok() { "COMMIT" } else { "ROLLBACK" }).await;
        (self.in_transaction, self.is_implicit) = (is_open_after(&ended), false);
        Ok(result.and_then(|value| ended.map(|()| value)))
    }

    /// Returns whether a transaction is open that has several statements.
    pub(super) const fn is_in_transaction(&self) -> bool {
        self.in_transaction && !self.is_implicit
    }

    /// Returns whether the last transaction is tried again: the database gave it up because of another one, so that it
    /// has changed nothing, and there is time.
    pub(super) fn may_begin_again(&mut self) -> bool {
        std::mem::take(&mut self.gave_way) && !self.is_in_transaction() && self.has_time()
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
        let rows = self.fetch(statement, values).await?.iter().map(D::record).collect::<Result<Vec<_>, _>>();
        self.checked(rows)
    }

    pub(super) async fn infos(
        &mut self,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<SessionInfo>, StoreError> {
        let rows = self.fetch(statement, values).await?.iter().map(D::info).collect::<Result<Vec<_>, _>>();
        self.checked(rows)?.into_iter().map(InfoRow::into_info).collect()
    }

    /// Reads one number; 0 if there is no row.
    pub(super) async fn number(&mut self, statement: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let number = self.fetch(statement, values).await?.first().map(D::number).transpose();
        Ok(self.checked(number)?.unwrap_or_default().try_into().unwrap_or_default())
    }

    /// Runs a statement on the table of a former system. Returns the bytes in the first column of the first row.
    #[cfg(feature = "compat")]
    pub(super) async fn former(&mut self, statement: String, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut attempt = 1;
        loop {
            let bytes = D::former(self.connection()?, statement.clone(), id).await;
            if !self.may_repeat(&bytes) {
                return self.checked(bytes);
            }
            step_aside(attempt).await;
            attempt += 1;
        }
    }

    /// Runs several statements without values, in an open transaction.
    pub(super) async fn run(&mut self, script: &'static str) -> Result<(), StoreError> {
        let result = D::run(self.connection()?, script).await;
        self.checked(result)
    }

    /// Begins a transaction. If the database is locked, this tries again while there is time.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.in_transaction = true;
        let mut attempt = 1;
        loop {
            let begun = D::run(self.connection()?, D::BEGIN).await;
            if !self.may_repeat(&begun) {
                return self.checked(begun);
            }
            step_aside(attempt).await;
            attempt += 1;
        }
    }

    /// Commits after a success, and rolls back after an error.
    pub(super) async fn end<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let ended = D::run(self.connection()?, if result.is_ok() { "COMMIT" } else { "ROLLBACK" }).await;
        let is_open = is_open_after(&ended);
        let ended = self.checked(ended);
        self.in_transaction = is_open;
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
            self.gave_way |= self.is_in_transaction() && gave_way(&error);
            if is_lost(&error) {
                self.home.keep_none();
            }
            self.home.store_error(&error)
        })
    }
}

/// Returns whether a transaction may still be open after its end was asked for. A commit can give way, too: then the
/// transaction is over and has changed nothing.
fn is_open_after(ended: &Result<(), sqlx::Error>) -> bool {
    ended.as_ref().is_err_and(|error| !gave_way(error))
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

/// The longest wait for a connection. After it, what the database gives up because of others, or because SQLite's lock
/// is taken, is tried again for as long. Both together end before the two seconds that the session layer gives an
/// operation: otherwise its error could not say what was waited for.
pub(super) const PATIENCE: Duration = Duration::from_millis(900);

/// The longest wait for the operating system's reason why no connection can be opened.
const PROBE: Duration = Duration::from_millis(100);

/// The longest wait for the first connection.
const AT_START: Duration = Duration::from_millis(2_500);

const NO_RUNTIME: &str = "connections need a Tokio runtime: make the store inside of `#[tokio::main]`";

/// The longest idle time after which a connection is used without a test.
const TRUSTED: Duration = Duration::from_secs(30);

/// The longest time that a connection stays out of the pool. The pool closes old connections.
const KEPT: Duration = Duration::from_secs(600);

/// Waits for a short random time, which grows with each attempt, so that two transactions do not meet again and again.
pub(super) async fn step_aside(attempt: u32) {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    let longest = 1_000 << attempt.min(LONGEST_PAUSE);
    sleep(Duration::from_micros(u64::from(nanos / 64) % longest)).await;
}

/// The exponent of the longest pause: 2^5 ms, which is 32 ms.
const LONGEST_PAUSE: u32 = 5;
