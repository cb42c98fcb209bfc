//! Sessions in Redis: one hash for each session.

mod connection;
mod error;
mod schema;
mod scripts;

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
};

use ::redis::{ErrorKind, ServerErrorKind, aio::ConnectionManager, cmd};
use futures_util::future::join_all;
use session_core::{
    SessionId, base64url,
    store::{
        Record, RecordKey, SessionInfo, SessionStore, StoreError, StoreErrorKind, StoreFuture, Updated, Visit, Write,
    },
};

use self::{
    connection::Connection,
    schema::{Fields, LISTED, Names, changes, hex, id_of_hex, new_record, tagged},
    scripts::{Answer, CREATE, Call, DELETE, DELETE_OWNED, NOTE, RENAME, TOUCH, UPDATE, unexpected},
};

/// Keeps sessions in Redis 7 or later, or in Valkey.
///
/// Clones share one connection.
///
/// # Examples
#[doc = include_str!("redis/redis.md")]
#[derive(Clone)]
pub struct RedisStore {
    connection: Connection,
    names: Names,
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
        Connection::server(url).await.map(Self::new)
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
        Connection::cluster(urls).await.map(Self::new)
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

    /// Checks that Redis answers and runs scripts. There is no table to create.
    ///
    /// Call it at the start of the application, like `migrate` of the other stores: a wrong permission or prefix is
    /// then found before the first request.
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
        let unused = self.names.record(SessionId::from_bytes([0; 16]));
        self.run(&Call { script: &DELETE_OWNED, keys: vec![unused], arguments: vec!["".into()] }).await.map(drop)
    }

    fn new(connection: Connection) -> Self {
        Self { connection, names: Names { prefix: "session".to_owned() } }
    }
}

impl SessionStore for RedisStore {
    fn load<'a>(&'a self, key: &'a RecordKey, now: u64) -> StoreFuture<'a, Option<Record>> {
        Box::pin(async move {
            let mut command = cmd("HGETALL");
            let value = self.connection.value(command.arg(self.names.record(key.id()))).await?;
            let Some(fields) = Fields::of_hash(&value)? else { return Ok(None) };
            let record = fields.record(key.id(), Some(&hash_of(key)))?;
            Ok(record.filter(|record| !record.is_expired(now)))
        })
    }

    fn create<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut fields = new_record(hash_of(key), write);
            let mut arguments = visit(key, write.visit);
            arguments.append(&mut fields);
            let name = self.names.record(key.id());
            let call = Call { script: &CREATE, keys: vec![name.clone()], arguments };
            self.run_noted(call, &name, write.visit, owner_after(&write)).await.map(drop)
        })
    }

    fn update<'a>(&'a self, key: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(async move {
            let name = self.names.record(key.id());
            let mut arguments = visit(key, write.visit);
            arguments.append(&mut changes(write, nonce(write)?, Vec::new()));
            self.write(Call { script: &UPDATE, keys: vec![name.clone()], arguments }, &name, write).await
        })
    }

    fn touch<'a>(&'a self, key: &'a RecordKey, visit: Visit) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let name = self.names.record(key.id());
            let call = Call { script: &TOUCH, keys: vec![name.clone()], arguments: self::visit(key, visit) };
            self.run_noted(call, &name, visit, None).await.map(|answer| matches!(answer, Answer::Done))
        })
    }

    fn rename<'a>(&'a self, from: &'a RecordKey, to: &'a RecordKey, write: Write<'a>) -> StoreFuture<'a, Updated> {
        Box::pin(async move {
            let name = self.names.record(to.id());
            let moved = vec!["$h".into(), hash_of(to).into(), "$c".into(), write.created_at.to_string().into()];
            let mut arguments = visit(from, write.visit);
            arguments.append(&mut changes(write, nonce(write)?, moved));
            let keys = vec![self.names.record(from.id()), name.clone()];
            self.write(Call { script: &RENAME, keys, arguments }, &name, write).await
        })
    }

    fn delete<'a>(&'a self, key: &'a RecordKey) -> StoreFuture<'a, bool> {
        Box::pin(self.remove(key.id(), vec![hash_of(key).into()]))
    }

    /// Returns 0: Redis deletes sessions by itself, five minutes after they have expired.
    fn delete_expired(&self, _: u64) -> StoreFuture<'_, u64> {
        Box::pin(async { Ok(0) })
    }

    fn list<'a>(&'a self, owner: &'a str, now: u64) -> StoreFuture<'a, Vec<SessionInfo>> {
        Box::pin(async move {
            let ids = self.noted(owner).await?;
            let records = join_all(ids.into_iter().map(|id| self.without_entries(id))).await;
            let mut infos = Vec::new();
            for record in records {
                let record = record?.filter(|record| record.owner.as_deref() == Some(owner) && !record.is_expired(now));
                infos.extend(record.map(|record| record.info()));
            }
            infos.sort_by_key(|info| Reverse(info.seen_at));
            Ok(infos)
        })
    }

    fn delete_by_id(&self, id: SessionId) -> StoreFuture<'_, bool> {
        Box::pin(self.remove(id, Vec::new()))
    }

    fn delete_by_owner<'a>(&'a self, owner: &'a str) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let mut deleted = 0;
            let mut known = HashSet::new();
            loop {
                let ids = self.noted(owner).await?;
                // A session may be renamed while this runs. Its new id is in the index before the old one is gone, so
                // the next round finds it. The loop ends with a round that finds only ids of the round before.
                if ids.is_subset(&known) {
                    return Ok(deleted);
                }
                deleted += self.remove_owned(owner, &ids).await?;
                known = ids;
            }
        })
    }
}

impl RedisStore {
    /// Runs a script that changes a record. `name` is the record's key after the change.
    async fn write(&self, call: Call<'_>, name: &str, write: Write<'_>) -> Result<Updated, StoreError> {
        match self.run_noted(call, name, write.visit, owner_after(&write)).await? {
            Answer::Number(version) => Ok(Updated::Written { version }),
            Answer::Removed => Ok(Updated::Removed),
            Answer::Conflict => Ok(Updated::Conflict),
            Answer::Gone => Ok(Updated::Gone),
            Answer::Done | Answer::Owner(_) => Err(unexpected()),
        }
    }

    /// Runs a script that creates, changes or extends a session. `name` is the session's key after the script.
    ///
    /// The index of the session's owner must name the session before the script writes. Another request may have
    /// changed the owner since this one read the session. The script then writes nothing and replies with the current
    /// owner. This method notes the session in that owner's index, and runs the script again.
    async fn run_noted(
        &self,
        mut call: Call<'_>,
        name: &str,
        visit: Visit,
        mut owner: Option<String>,
    ) -> Result<Answer, StoreError> {
        let records = call.keys.len();
        loop {
            call.keys.truncate(records);
            if let Some(owner) = &owner {
                call.arguments[NOTED] = tagged(Some(owner));
                self.note(&mut call, owner, name, visit).await?;
            }
            match self.run(&call).await? {
                Answer::Owner(other) => owner = Some(other),
                answer => return Ok(answer),
            }
        }
    }

    /// Notes the session in its owner's index. On one server the script does this, if it gets the index's key. In a
    /// cluster the index may be on another machine, so a separate script runs there first.
    async fn note(&self, call: &mut Call<'_>, owner: &str, name: &str, visit: Visit) -> Result<(), StoreError> {
        let index = self.names.index(owner);
        if self.connection.is_one_server() {
            call.keys.push(index);
            return Ok(());
        }
        let arguments = vec![visit.now.to_string().into(), visit.expires_at.to_string().into(), name.into()];
        self.run(&Call { script: &NOTE, keys: vec![index], arguments }).await.map(drop)
    }

    async fn run(&self, call: &Call<'_>) -> Result<Answer, StoreError> {
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

    async fn remove(&self, id: SessionId, hash: Vec<Cow<'_, str>>) -> Result<bool, StoreError> {
        let name = self.names.record(id);
        match self.run(&Call { script: &DELETE, keys: vec![name], arguments: hash }).await? {
            Answer::Gone => Ok(false),
            Answer::Owner(owner) => self.forget(&owner, id).await.map(|()| true),
            _ => Ok(true),
        }
    }

    /// Removes a deleted session from its owner's index. Without this, the session's id would stay there until the
    /// session would have expired.
    async fn forget(&self, owner: &str, id: SessionId) -> Result<(), StoreError> {
        let mut command = cmd("ZREM");
        self.connection.value(command.arg(self.names.index(owner)).arg(hex(id))).await.map(drop)
    }

    /// Returns the ids in the owner's index: all live sessions of the owner, and perhaps some sessions that have ended.
    async fn noted(&self, owner: &str) -> Result<HashSet<SessionId>, StoreError> {
        let mut command = cmd("ZRANGE");
        let value = self.connection.value(command.arg(self.names.index(owner)).arg(0).arg(-1)).await?;
        let ids = value.as_sequence().ok_or_else(unexpected)?;
        Ok(ids.iter().filter_map(id_of_hex).collect())
    }

    async fn without_entries(&self, id: SessionId) -> Result<Option<Record>, StoreError> {
        let mut command = cmd("HMGET");
        let value = self.connection.value(command.arg(self.names.record(id)).arg(&LISTED)).await?;
        Fields::of_list(&value)?.map_or(Ok(None), |fields| fields.record(id, None))
    }

    /// Deletes the sessions that belong to the owner, and returns the number of deleted sessions. One script deletes
    /// all sessions of a shard. A renamed session stays in its shard, so no session can escape by a rename.
    async fn remove_owned(&self, owner: &str, ids: &HashSet<SessionId>) -> Result<u64, StoreError> {
        let mut shards = BTreeMap::<_, Vec<_>>::new();
        for id in ids {
            shards.entry(shard(*id)).or_default().push(self.names.record(*id));
        }
        let removals = shards.into_values().map(|keys| self.remove_owned_at(owner, keys));
        join_all(removals).await.into_iter().sum()
    }

    async fn remove_owned_at(&self, owner: &str, keys: Vec<String>) -> Result<u64, StoreError> {
        match self.run(&Call { script: &DELETE_OWNED, keys, arguments: vec![owner.into()] }).await? {
            Answer::Number(deleted) => Ok(deleted),
            _ => Err(unexpected()),
        }
    }
}

session_core::opaque_debug!(RedisStore);

/// Returns the first four arguments of a script that takes a visit. [`RedisStore::run_noted`] fills in the fourth.
fn visit<'a>(key: &RecordKey, visit: Visit) -> Vec<Cow<'a, str>> {
    let Visit { now, expires_at } = visit;
    vec![now.to_string().into(), expires_at.to_string().into(), hash_of(key).into(), tagged(None)]
}

fn owner_after(write: &Write<'_>) -> Option<String> {
    write.changes.owner_after(write.base()).map(str::to_owned)
}

fn hash_of(key: &RecordKey) -> String {
    base64url(key.hash())
}

const fn shard(id: SessionId) -> u16 {
    RecordKey::from_parts(id, [0; 32]).shard()
}

/// Returns a random text for an exact write, and an empty text for any other write.
///
/// After a lost reply, an exact write is sent again. It then finds a newer version, which it has written itself. The
/// record keeps the random text, so the script sees that the write is done and does not report a conflict.
fn nonce(write: Write<'_>) -> Result<String, StoreError> {
    if !write.only_if_unchanged {
        return Ok(String::new());
    }
    let random = SessionId::random().map_err(|error| StoreError::new(StoreErrorKind::Unavailable, error))?;
    Ok(random.to_string())
}

/// The position of the owner in the arguments of [`visit`].
const NOTED: usize = 3;
