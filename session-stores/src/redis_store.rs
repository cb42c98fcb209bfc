//! Sessions in Redis: one text for each session.

mod connection;
mod error;
mod indexes;
mod primary;
mod schema;
mod scripts;
#[cfg(feature = "redis-sentinel")]
mod sentinels;

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use ::redis::{ErrorKind, ServerErrorKind, Value, aio::ConnectionManager, cmd};
use futures_util::future::{join_all, try_join_all};
use session_core::{
    SessionId,
    store::{
        Cursor, End, Lookup, Owner, Page, Record, RecordKey, SessionInfo, SessionStore, Spared, StoreError,
        StoreErrorKind, StoreFuture, Updated, Visit, Write,
    },
};

use tokio::sync::{Mutex, MutexGuard};

pub(crate) use self::connection::Connection;
#[cfg(fuzzing)]
pub use self::schema::fuzzing;
use self::{
    connection::Node,
    indexes::Unreadable,
    schema::{Names, OwnerText, Packed, digits, hex, lookup, whole_tombstone},
    scripts::{Answer, CONVERT, CREATE, Call, NOTE, TOUCH, UPDATE, bytes_of, unexpected},
};

/// Keeps sessions in Redis 7 or later, or in Valkey.
///
/// Clones share one connection.
///
/// # Examples
#[doc = include_str!("redis_store/redis.md")]
#[derive(Clone)]
pub struct RedisStore {
    connection: Connection,
    names: Names,
    /// Locks for writes that met other writes. Each is for a part of the sessions.
    turns: Arc<[Mutex<()>; 64]>,
}

impl RedisStore {
    /// Connects to the server at `url`, such as `redis://127.0.0.1` or `redis://user:password@host:6379/0`.
    ///
    /// # Errors
    ///
    /// - [`StoreErrorKind::Unavailable`] if the server cannot be reached or does not answer.
    /// - [`StoreErrorKind::Refused`] if the URL is not valid, or the server refuses the user or the password.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use session_core::store::StoreErrorKind;
    /// use session_stores::RedisStore;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = RedisStore::connect("redis://shop:password@redis.internal").await?;
    /// store.migrate().await?;
    ///
    /// let error = RedisStore::connect("http://redis.internal").await.unwrap_err();
    /// assert_eq!(error.kind(), StoreErrorKind::Refused);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Connection::server(url)?.opened().await.map(Self::new)
    }

    /// Creates a store for the server at `url` without connecting to it: the first operation connects. Use it for an
    /// application that must start before its Redis does.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`StoreErrorKind::Refused`] if the URL is not valid.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_stores::RedisStore;
    ///
    /// let store = RedisStore::connect_lazy("redis://shop:password@redis.internal")?;
    /// assert!(RedisStore::connect_lazy("http://redis.internal").is_err());
    /// # Ok::<(), session_core::store::StoreError>(())
    /// ```
    pub fn connect_lazy(url: &str) -> Result<Self, StoreError> {
        Connection::server(url).map(Self::new)
    }

    /// Connects to the primary that the sentinels at `urls` name. One reachable sentinel is enough.
    ///
    /// `primary` is the name of the primary, `mymaster` for example. If it needs a user, a password, a database or TLS,
    /// `primary` is a URL with the name as its host: `rediss://user:password@mymaster/0`. The URLs of the sentinels
    /// have the sentinels' own users and passwords.
    ///
    /// After a failover the sentinels are asked again, with the next operation that the former primary does not answer.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`connect`](Self::connect), and an error of the kind
    /// [`StoreErrorKind::Unavailable`] if the sentinels know no primary of this name.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use session_stores::RedisStore;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let sentinels = ["redis://10.0.0.1:26379", "redis://10.0.0.2:26379", "redis://10.0.0.3:26379"];
    /// let store = RedisStore::sentinel(sentinels, "mymaster").await?;
    /// assert!(store.migrate().await.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "redis-sentinel")]
    pub async fn sentinel(urls: impl IntoIterator<Item = impl AsRef<str>>, primary: &str) -> Result<Self, StoreError> {
        Connection::sentinel(urls, primary)?.opened().await.map(Self::new)
    }

    /// Does the same as [`sentinel`](Self::sentinel) without connecting: the first operation connects.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`StoreErrorKind::Refused`] if a URL is not valid, or if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_stores::RedisStore;
    ///
    /// let store = RedisStore::sentinel_lazy(["redis://10.0.0.1:26379"], "redis://shop:password@mymaster")?;
    /// # Ok::<(), session_core::store::StoreError>(())
    /// ```
    #[cfg(feature = "redis-sentinel")]
    pub fn sentinel_lazy(urls: impl IntoIterator<Item = impl AsRef<str>>, primary: &str) -> Result<Self, StoreError> {
        Connection::sentinel(urls, primary).map(Self::new)
    }

    /// Connects to the cluster that the nodes at `urls` belong to. One reachable node is enough: it names the others.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`connect`](Self::connect).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use session_stores::RedisStore;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = RedisStore::cluster(["redis://10.0.0.1", "redis://10.0.0.2"]).await?;
    /// assert!(store.migrate().await.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "redis-cluster")]
    pub async fn cluster(urls: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, StoreError> {
        Connection::cluster(urls)?.opened().await.map(Self::new)
    }

    /// Does the same as [`cluster`](Self::cluster) without connecting: the first operation connects.
    ///
    /// # Errors
    ///
    /// Returns an error of the kind [`StoreErrorKind::Refused`] if a URL is not valid, or if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_stores::RedisStore;
    ///
    /// let store = RedisStore::cluster_lazy(["redis://10.0.0.1", "redis://10.0.0.2"])?;
    /// # Ok::<(), session_core::store::StoreError>(())
    /// ```
    #[cfg(feature = "redis-cluster")]
    pub fn cluster_lazy(urls: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, StoreError> {
        Connection::cluster(urls).map(Self::new)
    }

    /// Creates a store on a connection of the application. The settings of the connection decide how it reconnects. No
    /// operation waits longer than two seconds for a reply.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use redis::{Client, aio::ConnectionManager};
    /// use session_stores::RedisStore;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let connection = ConnectionManager::new(Client::open("redis://127.0.0.1")?).await?;
    /// let store = RedisStore::from_connection(connection);
    /// assert!(store.migrate().await.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn from_connection(connection: ConnectionManager) -> Self {
        Self::new(Connection::of_application(connection))
    }

    /// Sets the text that all keys begin with: `session` by default. With different prefixes, several applications can
    /// use one Redis.
    ///
    /// The prefix must not contain braces: in a cluster they decide which machine a key is on.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use session_stores::RedisStore;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = RedisStore::connect("redis://127.0.0.1").await?;
    /// let (shop, blog) = (store.clone().prefix("shop"), store.prefix("blog"));
    /// assert!(shop.migrate().await.is_ok() && blog.migrate().await.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.names.prefix = prefix.into();
        self
    }

    /// Checks that Redis answers and runs scripts, and converts sessions of a former version. There is no table to
    /// create.
    ///
    /// Call it at the start of the application, like `migrate` of the other stores: a wrong permission or prefix is
    /// then found before the first request. The first call after an update of this crate walks through all keys.
    ///
    /// # Errors
    ///
    /// - [`StoreErrorKind::Unavailable`] if Redis cannot be reached.
    /// - [`StoreErrorKind::Refused`] if Redis does not allow this user to run scripts on keys with this prefix.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use session_stores::RedisStore;
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = RedisStore::connect("redis://127.0.0.1").await?;
    /// assert!(store.migrate().await.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.infos_at(vec![self.names.record(SessionId::from_bytes([0; 16]))], Unreadable::IsError).await?;
        let layout = self.names.layout();
        if self.connection.value(cmd("GET").arg(&layout)).await? == Value::BulkString(LAYOUT.into()) {
            return Ok(());
        }
        for node in self.connection.nodes().await? {
            self.convert_node(node).await?;
        }
        self.connection.value(cmd("SET").arg(&layout).arg(LAYOUT)).await.map(drop)
    }

    fn new(connection: Connection) -> Self {
        let turns = Arc::new([const { Mutex::const_new(()) }; 64]);
        Self { connection, names: Names { prefix: "session".to_owned() }, turns }
    }
}

impl SessionStore for RedisStore {
    fn load<'a>(&'a self, key: &'a RecordKey, now: u64) -> StoreFuture<'a, Lookup> {
        Box::pin(async move {
            match self.bytes(&self.names.record(key.id()), now).await? {
                Some(bytes) => lookup(key, &bytes, now),
                None => Ok(Lookup::Unknown),
            }
        })
    }

    fn look_up<'a>(&'a self, keys: &'a [RecordKey], now: u64) -> StoreFuture<'a, Vec<Lookup>> {
        Box::pin(async move {
            let mut found = HashMap::new();
            for values in
                try_join_all(self.parts(keys.iter().map(RecordKey::id)).iter().map(|part| self.texts(part))).await?
            {
                found.extend(values);
            }
            let lookup = |key: &RecordKey| match found.get(&key.id()) {
                Some(bytes) => lookup(key, bytes, now).unwrap_or(Lookup::Unknown),
                None => Lookup::Unknown,
            };
            Ok(keys.iter().map(lookup).collect())
        })
    }

    fn create<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let nothing = Record::empty(*key);
            let (now, expires_at) = (digits(write.visit.now), digits(write.visit.expires_at));
            let record = Packed::new(key, &nothing, &write, &[]).beginning(&write);
            let arguments = vec![now.into(), key.hash().into(), expires_at.into(), record.into()];
            let mut call = Call { script: &CREATE, keys: vec![self.names.record(key.id())], arguments };
            self.note(&mut call, owner_after(&write, &nothing).as_ref(), key.id(), write.visit).await?;
            match self.run(&call).await? {
                Answer::Done => Ok(()),
                _ => Err(unexpected()),
            }
        })
    }

    fn update<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(self.write(key, key, write))
    }

    fn touch<'a>(&'a self, key: &'a RecordKey, visit: Visit) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let arguments =
                vec![digits(visit.now).into(), key.hash().into(), digits(visit.expires_at).into(), Cow::default()];
            let mut call = Call { script: &TOUCH, keys: vec![self.names.record(key.id())], arguments };
            loop {
                match self.run(&call).await? {
                    Answer::Done => return Ok(true),
                    Answer::Gone => return Ok(false),
                    // The owner's indexes must name the session before it is extended.
                    Answer::Bytes(owner) => {
                        call.keys.truncate(1);
                        let owner = OwnerText(owner);
                        self.note(&mut call, Some(&owner), key.id(), visit).await?;
                        call.arguments[NOTED] = owner.0.into();
                    }
                    _ => return Err(unexpected()),
                }
            }
        })
    }

    fn rename<'a>(&'a self, from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(self.write(from, to, write))
    }

    fn delete<'a>(&'a self, key: &'a RecordKey, end: End, now: u64) -> StoreFuture<'a, bool> {
        Box::pin(async move { Ok(self.end(&[key.id()], key.hash(), end, &Meant::All, now).await.result()? > 0) })
    }

    /// Returns 0: Redis deletes sessions by itself, a day after they have expired, and tombstones after six minutes.
    fn delete_expired(&self, _: u64) -> StoreFuture<'_, u64> {
        Box::pin(async { Ok(0) })
    }

    fn list<'a>(&'a self, owner: Owner<'a>, now: u64, limit: u64) -> StoreFuture<'a, Vec<SessionInfo>> {
        Box::pin(self.newest(owner, now, limit))
    }

    fn count<'a>(&'a self, owner: Owner<'a>, now: u64) -> StoreFuture<'a, u64> {
        Box::pin(async move { Ok(self.owned(owner, now, Unreadable::IsError).await?.len() as u64) })
    }

    fn all<'a>(&'a self, now: u64, cursor: Option<&'a Cursor>) -> StoreFuture<'a, Page> {
        Box::pin(self.page(now, cursor))
    }

    fn delete_by_id(&self, id: SessionId, now: u64) -> StoreFuture<'_, bool> {
        Box::pin(async move { Ok(self.end(&[id], &[], End::Deleted, &Meant::All, now).await.result()? > 0) })
    }

    fn delete_by_owner<'a>(&'a self, owner: Owner<'a>, spared: Spared, now: u64) -> StoreFuture<'a, u64> {
        Box::pin(self.end_owned(owner, spared, now))
    }

    fn delete_by_application<'a>(&'a self, application: &'a str, now: u64) -> StoreFuture<'a, u64> {
        Box::pin(self.end_application(application, now))
    }
}

impl RedisStore {
    /// Writes a record, and moves it to another key if `to` is not `from`.
    ///
    /// The script writes only if the record still has the version that the write is based on. Usually it has. Otherwise
    /// the script replies with the record as it is, and the changes are applied to that one.
    async fn write(&self, from: &RecordKey, to: &RecordKey, write: Write<'_>) -> Result<Updated, StoreError> {
        let nonce = nonce(write)?;
        let mut base = match write.base {
            Some(record) => Cow::Borrowed(record),
            None => match self.load(from, write.visit.now).await?.live() {
                Some(record) => Cow::Owned(record),
                None => return self.moved_before(from, to, write.visit.now).await,
            },
        };
        let mut turn = None;
        for _ in 0..MOST_ATTEMPTS {
            match self.write_over(&base, from, to, write, &nonce).await? {
                Answer::Version(version) => return Ok(Updated::Written { version }),
                Answer::Removed => return Ok(Updated::Removed),
                Answer::Gone => return Ok(Updated::Gone),
                Answer::Bytes(_) if write.only_if_unchanged => return Ok(Updated::Conflict),
                Answer::Bytes(bytes) => {
                    base = Cow::Owned(schema::record(from.id(), &bytes)?);
                    // The writers of this process take turns then, so that they do not keep each other from writing.
                    // Who has waited for its turn reads the record again.
                    if turn.is_none() {
                        let (taken, has_waited) = self.turn(from).await;
                        turn = Some(taken);
                        if has_waited {
                            match self.load(from, write.visit.now).await?.live() {
                                Some(record) => base = Cow::Owned(record),
                                None => return self.moved_before(from, to, write.visit.now).await,
                            }
                        }
                    }
                }
                Answer::Done | Answer::List(_) | Answer::Former => return Err(unexpected()),
            }
        }
        Err(StoreError::new(StoreErrorKind::Unavailable, "other requests kept changing this session"))
    }

    /// Writes the record that the changes make of `base`, if the record in Redis has the same version.
    async fn write_over(
        &self,
        base: &Record,
        from: &RecordKey,
        to: &RecordKey,
        write: Write<'_>,
        nonce: &[u8],
    ) -> Result<Answer, StoreError> {
        let Visit { now, expires_at } = write.visit;
        let leaves_nothing = write.leaves_nothing_of(base);
        let packed = if leaves_nothing {
            Packed { before: Vec::new(), after: Vec::new() }
        } else {
            Packed::new(to, base, &write, nonce)
        };
        let tombstone = if from == to { Vec::new() } else { whole_tombstone(from.hash(), write.former_end(*to), now) };
        let arguments: Vec<Cow<'_, [u8]>> = vec![
            digits(now).into(),
            from.hash().into(),
            to.hash().into(),
            digits(base.version).into(),
            nonce.into(),
            digits(expires_at).into(),
            if write.sets_end() { b"1".into() } else { b"".into() },
            packed.before.into(),
            packed.after.into(),
            tombstone.into(),
        ];
        let keys = [from, to].map(|key| self.names.record(key.id())).to_vec();
        let mut call = Call { script: &UPDATE, keys, arguments };
        let owner = owner_after(&write, base).filter(|_| !leaves_nothing);
        self.note(&mut call, owner.as_ref(), to.id(), write.visit).await?;
        self.run(&call).await
    }

    /// Waits until no other write of this process to the same session is repeated. Also returns whether it had to wait.
    async fn turn(&self, key: &RecordKey) -> (MutexGuard<'_, ()>, bool) {
        let turn = &self.turns[usize::from(key.hash()[0]) % self.turns.len()];
        match turn.try_lock() {
            Ok(taken) => (taken, false),
            Err(_) => (turn.lock().await, true),
        }
    }

    /// Looks for the result of an earlier attempt of this rename, in case its reply was lost.
    async fn moved_before(&self, from: &RecordKey, to: &RecordKey, now: u64) -> Result<Updated, StoreError> {
        if from == to {
            return Ok(Updated::Gone);
        }
        let moved = self.load(to, now).await?.live();
        Ok(moved.map_or(Updated::Gone, |record| Updated::Written { version: record.version }))
    }

    /// Notes the session in its owner's indexes. On one server the script does this, if it gets the indexes' keys. In a
    /// cluster the indexes may be on another machine, so a separate script runs there first: the indexes must name the
    /// session before its record names the owner.
    async fn note(
        &self,
        call: &mut Call<'_>,
        owner: Option<&OwnerText>,
        id: SessionId,
        visit: Visit,
    ) -> Result<(), StoreError> {
        let Some(owner) = owner else { return Ok(()) };
        let indexes = self.names.indexes(owner);
        if self.connection.is_one_server() {
            call.keys.extend(indexes);
            return Ok(());
        }
        let (now, expires_at) = (digits(visit.now), digits(visit.expires_at));
        let arguments = vec![now.clone().into(), now.into(), expires_at.into(), hex(id).into_bytes().into()];
        self.run_once(&Call { script: &NOTE, keys: indexes.to_vec(), arguments }).await.map(drop)
    }

    /// Runs a script. Records of a former version are converted first.
    async fn run(&self, call: &Call<'_>) -> Result<Answer, StoreError> {
        let answer = self.run_once(call).await?;
        let Answer::Former = answer else { return Ok(answer) };
        for key in call.keys.iter().filter(|key| !key.starts_with(&self.names.owners())) {
            self.convert(key, system_seconds()).await?;
        }
        self.run_once(call).await
    }

    async fn run_once(&self, call: &Call<'_>) -> Result<Answer, StoreError> {
        // EVALSHA sends 40 characters instead of the source. After a restart, or on a new machine of a cluster, Redis
        // does not know the script yet: EVAL sends the source, and Redis keeps it.
        let value = match self.connection.ask(&call.by_hash()).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.connection.ask(&call.by_source()).await
            }
            answer => answer,
        };
        Answer::of(value.map_err(|error| self.connection.store_error(&error))?)
    }

    /// Reads what is under a key. A record of a former version is converted first.
    async fn bytes(&self, key: &str, now: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let mut command = cmd("GET");
        command.arg(key);
        let value = match self.connection.ask(&command).await {
            Err(error) if error.code() == Some("WRONGTYPE") => {
                self.convert(key, now).await?;
                self.connection.value(&command).await?
            }
            value => value.map_err(|error| self.connection.store_error(&error))?,
        };
        match value {
            Value::Nil => Ok(None),
            value => bytes_of(value).map(Some),
        }
    }

    /// Converts a record of a former version, which was a hash with a field for each value.
    async fn convert(&self, key: &str, now: u64) -> Result<(), StoreError> {
        let mut call =
            Call { script: &CONVERT, keys: vec![key.to_owned()], arguments: vec![digits(now).into(), Cow::default()] };
        loop {
            let Answer::Bytes(owner) = self.run_once(&call).await? else { return Ok(()) };
            let (owner, id) = (OwnerText(owner), self.names.id_of(key.as_bytes()).ok_or_else(unexpected)?);
            call.keys.truncate(1);
            // In a cluster, the end of the session is not known here. An index may name a session longer than it lives.
            let visit = Visit { now, expires_at: now.saturating_add(LONGEST_LIFE) };
            self.note(&mut call, Some(&owner), id, visit).await?;
            call.arguments[1] = owner.0.into();
        }
    }

    /// Converts those records of a former version that can be read. The others stay as they are.
    async fn convert_readable(&self, keys: &[String], now: u64) -> Result<(), StoreError> {
        for converted in join_all(keys.iter().map(|key| self.convert(key, now))).await {
            match converted {
                Err(error) if error.kind() == StoreErrorKind::Unreadable => {}
                converted => converted?,
            }
        }
        Ok(())
    }

    /// Converts all records of a former version on one machine.
    async fn convert_node(&self, node: Node) -> Result<(), StoreError> {
        let mut cursor = FIRST.to_owned();
        loop {
            let (next, keys) = self.scan(node, &cursor, Some("hash")).await?;
            self.convert_readable(&keys, system_seconds()).await?;
            if next == FIRST {
                return Ok(());
            }
            cursor = next;
        }
    }
}

session_core::opaque_debug!(RedisStore);

/// Which of the given sessions a deletion means.
enum Meant<'a> {
    All,
    Of(Owner<'a>),
    OfApplication(&'a str),
}

fn owner_after(write: &Write<'_>, record: &Record) -> Option<OwnerText> {
    write.owner_after(record).map(|owner| OwnerText::new(Some(write.application), owner))
}

/// Returns a random text for an exact write, and an empty text for any other write.
///
/// After a lost reply, an exact write is sent again. It then finds a newer version, which it has written itself. The
/// record keeps the random text, so the script sees that the write is done and does not report a conflict.
fn nonce(write: Write<'_>) -> Result<Vec<u8>, StoreError> {
    if !write.only_if_unchanged {
        return Ok(Vec::new());
    }
    let random = SessionId::random().map_err(|error| StoreError::new(StoreErrorKind::Unavailable, error))?;
    Ok(random.as_bytes().to_vec())
}

/// Returns the time by the clock of the operating system, for what no request asks for.
fn system_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

/// The place of the noted owner in the arguments of `touch.lua`.
const NOTED: usize = 3;

/// How often a write is tried while other requests write to the same session.
const MOST_ATTEMPTS: u32 = 10_000;

/// The layout of the records: the first byte of each.
const LAYOUT: &[u8] = b"2";

/// The cursor with which a scan begins and ends.
const FIRST: &str = "0";

/// The longest life of a session that is converted in a cluster, in seconds: 400 days.
const LONGEST_LIFE: u64 = 400 * 24 * 60 * 60;
