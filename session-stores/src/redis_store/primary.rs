//! The connection to one server, which must be a primary.
//!
//! After a failover the former primary may go on as a replica and keep its connections open. Its address then leads new
//! connections to the new primary, or the sentinels name it. So the connection is made anew when the server turns out
//! to be a replica, and with sentinels also when it does not answer.

use std::{
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use ::redis::{
    Client, Cmd, ErrorKind, RedisError, ServerErrorKind, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
    cmd,
};
use tokio::sync::Mutex;

#[cfg(feature = "redis-sentinel")]
use super::sentinels::Sentinels;

pub(super) struct Primary {
    source: Source,
    /// The connection; `None` before the first use.
    manager: RwLock<Option<ConnectionManager>>,
    began: Instant,
    /// When the server's role is asked for next, in milliseconds since `began`.
    next_check: AtomicU64,
    /// When the connection was made last; `None` before the first use.
    made: Mutex<Option<Instant>>,
}

/// Where new connections come from.
pub(super) enum Source {
    /// The application made the connection, and it cannot be made anew.
    Application,
    Server(Box<Client>),
    #[cfg(feature = "redis-sentinel")]
    Sentinels(Box<Sentinels>),
}

impl Primary {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            manager: RwLock::new(None),
            began: Instant::now(),
            next_check: AtomicU64::new(0),
            made: Mutex::new(None),
        }
    }

    pub(super) fn of_application(manager: ConnectionManager) -> Self {
        Self {
            manager: RwLock::new(Some(manager)),
            made: Mutex::new(Some(Instant::now())),
            ..Self::new(Source::Application)
        }
    }

    /// Sends a command to the primary.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, RedisError> {
        let asked_at = Instant::now();
        match self.ask_once(command).await {
            Err(error) if self.may_be_elsewhere(&error) && self.make_anew(asked_at).await? => {
                self.ask_once(command).await
            }
            reply => reply,
        }
    }

    /// Returns whether the primary may be at another place than the connection after this error.
    fn may_be_elsewhere(&self, error: &RedisError) -> bool {
        is_replicas(error) || (self.source.finds_primary() && error.code().is_none())
    }

    /// Returns the connection. Opens it if there is none.
    pub(super) async fn manager(&self) -> Result<ConnectionManager, RedisError> {
        if let Some(manager) = self.known() {
            return Ok(manager);
        }
        let mut made = self.made.lock().await;
        match self.known() {
            Some(manager) => Ok(manager),
            None => self.open(&mut made).await,
        }
    }

    fn known(&self) -> Option<ConnectionManager> {
        self.manager.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn open(&self, made: &mut Option<Instant>) -> Result<ConnectionManager, RedisError> {
        let manager = self.source.connect().await?;
        *self.manager.write().unwrap_or_else(PoisonError::into_inner) = Some(manager.clone());
        *made = Some(Instant::now());
        Ok(manager)
    }

    /// Sends a command. Once a second, the server's role is asked for at the same time, because a replica answers a
    /// read without an error, with data that may be old.
    async fn ask_once(&self, command: &Cmd) -> Result<Value, RedisError> {
        let mut manager = self.manager().await?;
        if !self.is_check_due() {
            return command.query_async(&mut manager).await;
        }
        let mut for_role = manager.clone();
        let role = cmd("ROLE");
        let (reply, role) = tokio::join!(command.query_async(&mut manager), role.query_async::<Value>(&mut for_role));
        match role {
            Ok(Value::Array(role)) if role.first() != Some(&Value::BulkString(b"master".to_vec())) => {
                self.next_check.store(0, Relaxed);
                Err((ErrorKind::Server(ServerErrorKind::ReadOnly), "the server is a replica").into())
            }
            // A user without the right to ask is told by the first write.
            _ => reply,
        }
    }

    fn is_check_due(&self) -> bool {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let next = self.next_check.load(Relaxed);
        now >= next && self.next_check.compare_exchange(next, now + CHECK_EVERY, Relaxed, Relaxed).is_ok()
    }

    /// Makes the connection anew, unless that was done after `asked_at`. Returns whether the command can be sent again.
    async fn make_anew(&self, asked_at: Instant) -> Result<bool, RedisError> {
        if matches!(self.source, Source::Application) {
            return Ok(false);
        }
        let mut made = self.made.lock().await;
        if made.is_none_or(|made| made < asked_at) {
            if made.is_some_and(|made| made.elapsed() < PAUSE) {
                return Ok(false);
            }
            self.open(&mut made).await?;
            tracing::warn!(
                name: "redis.reconnected", target: "session_stores::redis",
                "after a failover of Redis, the connection was made anew"
            );
        }
        Ok(true)
    }
}

impl Source {
    /// Returns whether a new connection leads to the primary, whatever became of the server of the former one.
    const fn finds_primary(&self) -> bool {
        match self {
            Self::Application | Self::Server(_) => false,
            #[cfg(feature = "redis-sentinel")]
            Self::Sentinels(_) => true,
        }
    }

    async fn connect(&self) -> Result<ConnectionManager, RedisError> {
        match self {
            Self::Application => Err((ErrorKind::Client, "the application makes the connection").into()),
            Self::Server(client) => connect(client).await,
            #[cfg(feature = "redis-sentinel")]
            Self::Sentinels(sentinels) => connect(&sentinels.client_of_primary().await?).await,
        }
    }
}

/// Returns whether a replica gave this answer.
fn is_replicas(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::Moved))
}

async fn connect(client: &Client) -> Result<ConnectionManager, RedisError> {
    let settings = ConnectionManagerConfig::new()
        .set_number_of_retries(1)
        .set_connection_timeout(Some(CONNECTION_LIMIT))
        .set_response_timeout(Some(RESPONSE_LIMIT));
    ConnectionManager::new_with_config(client.clone(), settings).await
}

/// How often the server's role is asked for, in milliseconds.
const CHECK_EVERY: u64 = 1_000;

/// The shortest time between two new connections, while the address still leads to a replica.
const PAUSE: Duration = Duration::from_millis(200);

pub(super) const CONNECTION_LIMIT: Duration = Duration::from_millis(900);
pub(super) const RESPONSE_LIMIT: Duration = Duration::from_millis(1_800);
