//! The connection to one server or a cluster. It reconnects after an outage, and every wait has a limit.

#[cfg(feature = "redis-cluster")]
use std::collections::BTreeMap;
use std::{io, sync::Arc, time::Duration};

use ::redis::{
    Client, Cmd, ConnectionInfo, IntoConnectionInfo as _, RedisError, Value, aio::ConnectionManager,
    io::tcp::TcpSettings,
};
#[cfg(feature = "redis-cluster")]
use ::redis::{
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr},
    cmd,
};
use session_core::store::StoreError;
use tokio::time::timeout;

use super::{
    error::{store_error, url_error},
    primary::Primary,
};
#[cfg(feature = "redis-cluster")]
use super::{
    primary::{CONNECTION_LIMIT, RESPONSE_LIMIT},
    scripts::unexpected,
};

#[derive(Clone)]
pub(super) struct Connection {
    link: Link,
    /// The address for error texts, without user and password.
    place: Arc<str>,
}

#[derive(Clone)]
enum Link {
    Server(Arc<Primary>),
    #[cfg(feature = "redis-cluster")]
    Cluster(ClusterConnection),
}

/// A machine that keeps sessions.
#[derive(Clone, Copy)]
pub(super) enum Node {
    /// The only one.
    Server,
    /// The machine of the cluster that has this slot.
    #[cfg(feature = "redis-cluster")]
    OfSlot(u16),
}

impl Connection {
    pub(super) async fn server(url: &str) -> Result<Self, StoreError> {
        let info = connection_info(url)?;
        let place: Arc<str> = format!("Redis at {}", info.addr()).into();
        let client = Client::open(info).map_err(|error| url_error(&error))?;
        let primary = Primary::connect(client).await.map_err(|error| store_error(&error, &place))?;
        Ok(Self { link: Link::Server(Arc::new(primary)), place })
    }

    #[cfg(feature = "redis-cluster")]
    pub(super) async fn cluster(urls: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, StoreError> {
        let nodes: Result<Vec<_>, _> = urls.into_iter().map(|url| connection_info(url.as_ref())).collect();
        let nodes = nodes?;
        let addresses: Vec<_> = nodes.iter().map(|node| node.addr().to_string()).collect();
        let place: Arc<str> = format!("the Redis cluster at {}", addresses.join(", ")).into();
        let client = ClusterClient::builder(nodes)
            .tcp_settings(tcp_settings())
            .retries(3)
            .min_retry_wait(20)
            .max_retry_wait(200)
            .connection_timeout(CONNECTION_LIMIT)
            .response_timeout(RESPONSE_LIMIT)
            .build()
            .map_err(|error| url_error(&error))?;
        let cluster = client.get_async_connection().await.map_err(|error| store_error(&error, &place))?;
        Ok(Self { link: Link::Cluster(cluster), place })
    }

    /// Wraps a connection that the application made. The `redis` crate does not reveal the address of such a
    /// connection.
    pub(super) fn of_application(manager: ConnectionManager) -> Self {
        Self { link: Link::Server(Arc::new(Primary::of_application(manager))), place: "Redis".into() }
    }

    /// Returns whether all keys are on one machine, so that a script may use any of them.
    pub(super) const fn is_one_server(&self) -> bool {
        matches!(self.link, Link::Server(_))
    }

    /// Sends a command and waits up to two seconds for the reply. The command must be safe to run twice.
    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, RedisError> {
        timeout(LIMIT, self.ask_again(command))
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }

    /// Sends a command, and sends it again if the connection was broken. The first command after an idle time may be
    /// the first to notice a broken connection. The manager then opens a new connection, and the second attempt uses
    /// that one.
    async fn ask_again(&self, command: &Cmd) -> Result<Value, RedisError> {
        match self.ask_once(command).await {
            Err(error) if error.is_connection_dropped() => self.ask_once(command).await,
            reply => reply,
        }
    }

    async fn ask_once(&self, command: &Cmd) -> Result<Value, RedisError> {
        match &self.link {
            Link::Server(primary) => primary.ask(command).await,
            #[cfg(feature = "redis-cluster")]
            Link::Cluster(cluster) => command.query_async(&mut cluster.clone()).await,
        }
    }

    pub(super) async fn value(&self, command: &Cmd) -> Result<Value, StoreError> {
        self.ask(command).await.map_err(|error| self.store_error(&error))
    }

    /// Returns the machines that keep sessions.
    pub(super) async fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        match self.link {
            Link::Server(_) => Ok(vec![Node::Server]),
            #[cfg(feature = "redis-cluster")]
            Link::Cluster(_) => self.primaries().await,
        }
    }

    #[cfg(feature = "redis-cluster")]
    async fn primaries(&self) -> Result<Vec<Node>, StoreError> {
        let mut command = cmd("CLUSTER");
        let Value::Array(ranges) = self.value(command.arg("SLOTS")).await? else { return Err(unexpected()) };
        // Each range of slots is an array: its first slot, its last slot, the primary, and the replicas.
        let mut primaries = BTreeMap::new();
        for range in ranges {
            let Value::Array(parts) = range else { return Err(unexpected()) };
            let [Value::Int(first), _, primary, ..] = &parts[..] else { return Err(unexpected()) };
            let slot = u16::try_from(*first).map_err(|_| unexpected())?;
            primaries.entry(format!("{primary:?}")).or_insert(Node::OfSlot(slot));
        }
        Ok(primaries.into_values().collect())
    }

    /// Sends a command without keys to one machine.
    pub(super) async fn value_of(&self, node: Node, command: &Cmd) -> Result<Value, StoreError> {
        let value = match (&self.link, node) {
            #[cfg(feature = "redis-cluster")]
            (Link::Cluster(cluster), Node::OfSlot(slot)) => {
                let route = SingleNodeRoutingInfo::SpecificNode(Route::new(slot, SlotAddr::Master));
                let mut cluster = cluster.clone();
                let routed = cluster.route_command(command.clone(), RoutingInfo::SingleNode(route));
                timeout(LIMIT, routed).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
            }
            _ => self.ask(command).await,
        };
        value.map_err(|error| self.store_error(&error))
    }

    pub(super) fn store_error(&self, error: &RedisError) -> StoreError {
        store_error(error, &self.place)
    }
}

fn connection_info(url: &str) -> Result<ConnectionInfo, StoreError> {
    let info = url.into_connection_info().map_err(|error| url_error(&error))?;
    Ok(info.set_tcp_settings(tcp_settings()))
}

/// Returns the settings of the TCP connection. With `TCP_USER_TIMEOUT`, a machine that vanished without closing the
/// connection is noticed after a few seconds. The kernel's default is a quarter of an hour.
fn tcp_settings() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(Duration::from_secs(5));
    settings
}

/// The longest wait for a reply, including the second attempt.
const LIMIT: Duration = Duration::from_secs(2);
