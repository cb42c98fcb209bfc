//! The way to Redis: it is found again after it was away, and nobody waits for long.

use std::{io, time::Duration};

use ::redis::{
    Client, Cmd, ConnectionInfo, IntoConnectionInfo as _, RedisError, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
    io::tcp::TcpSettings,
};
#[cfg(feature = "redis-cluster")]
use ::redis::{cluster::ClusterClient, cluster_async::ClusterConnection};
use session_core::StoreError;
use tokio::time::timeout;

use super::error::store_error;

/// One server, or a cluster of them.
#[derive(Clone)]
pub(super) enum Connection {
    Server(ConnectionManager),
    #[cfg(feature = "redis-cluster")]
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) async fn server(url: &str) -> Result<Self, RedisError> {
        let client = Client::open(connection_info(url)?)?;
        let settings = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(CONNECTION_LIMIT))
            .set_response_timeout(Some(RESPONSE_LIMIT));
        Ok(Self::Server(ConnectionManager::new_with_config(client, settings).await?))
    }

    #[cfg(feature = "redis-cluster")]
    pub(super) async fn cluster(urls: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, RedisError> {
        let nodes: Result<Vec<_>, _> = urls.into_iter().map(|url| connection_info(url.as_ref())).collect();
        let client = ClusterClient::builder(nodes?)
            .tcp_settings(tcp_settings())
            .retries(3)
            .min_retry_wait(20)
            .max_retry_wait(200)
            .connection_timeout(CONNECTION_LIMIT)
            .response_timeout(RESPONSE_LIMIT)
            .build()?;
        Ok(Self::Cluster(client.get_async_connection().await?))
    }

    /// Whether all keys are on one machine, so that a script may touch any of them.
    pub(super) const fn is_one_server(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    /// Sends a command that may be done twice, and waits a while for its answer.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, RedisError> {
        timeout(LIMIT, self.ask_again(command))
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    /// A connection that broke while nobody used it is noticed now: the manager makes a new one for the next command.
    async fn ask_again(&self, command: &Cmd) -> Result<Value, RedisError> {
        match self.ask_once(command).await {
            Err(error) if error.is_connection_dropped() => self.ask_once(command).await,
            answer => answer,
        }
    }

    async fn ask_once(&self, command: &Cmd) -> Result<Value, RedisError> {
        match self {
            Self::Server(manager) => command.query_async(&mut manager.clone()).await,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => command.query_async(&mut cluster.clone()).await,
        }
    }

    pub(super) async fn value(&self, command: &Cmd) -> Result<Value, StoreError> {
        self.ask(command).await.map_err(|error| store_error(&error))
    }
}

fn connection_info(url: &str) -> Result<ConnectionInfo, RedisError> {
    Ok(url.into_connection_info()?.set_tcp_settings(tcp_settings()))
}

/// A machine that vanished without a word is noticed after a few seconds, not after the kernel's quarter of an hour.
fn tcp_settings() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(Duration::from_secs(5));
    settings
}

const LIMIT: Duration = Duration::from_secs(2);
const CONNECTION_LIMIT: Duration = Duration::from_millis(900);
const RESPONSE_LIMIT: Duration = Duration::from_millis(1_800);
