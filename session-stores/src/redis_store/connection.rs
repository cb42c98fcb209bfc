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
#[cfg(not(feature = "tls"))]
use session_core::store::StoreErrorKind;
#[cfg(feature = "redis-cluster")]
use tokio::sync::OnceCell;
use tokio::time::timeout;

#[cfg(feature = "redis-sentinel")]
use super::sentinels::Sentinels;
use super::{
    error::{store_error, url_error},
    primary::{Primary, Source},
};
#[cfg(feature = "redis-cluster")]
use super::{
    primary::{CONNECTION_LIMIT, RESPONSE_LIMIT},
    scripts::unexpected,
};

#[derive(Clone)]
pub(crate) struct Connection {
    link: Link,
    /// The address for error texts, without user and password.
    place: Arc<str>,
}

#[derive(Clone)]
enum Link {
    Server(Arc<Primary>),
    #[cfg(feature = "redis-cluster")]
    Cluster(Arc<Cluster>),
}

#[cfg(feature = "redis-cluster")]
struct Cluster {
    client: ClusterClient,
    /// Empty before the first use.
    connection: OnceCell<ClusterConnection>,
}

#[cfg(feature = "redis-cluster")]
impl Cluster {
    async fn connection(&self) -> Result<ClusterConnection, RedisError> {
        self.connection.get_or_try_init(|| self.client.get_async_connection()).await.cloned()
    }
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
    pub(super) fn server(url: &str) -> Result<Self, StoreError> {
        let info = connection_info(url)?;
        let place = format!("Redis at {}", info.addr());
        let client = Client::open(info).map_err(|error| url_error(&error))?;
        Ok(Self::of_primary(Source::Server(Box::new(client)), place))
    }

    /// `primary` is the name of the primary, or a URL with the name as its host.
    #[cfg(feature = "redis-sentinel")]
    pub(super) fn sentinel(urls: impl IntoIterator<Item = impl AsRef<str>>, primary: &str) -> Result<Self, StoreError> {
        let (infos, addresses) = infos_and_addresses(urls)?;
        let sentinels = Sentinels::new(infos, primary)?;
        let place = format!("the Redis `{}` of the sentinels at {addresses}", sentinels.name());
        Ok(Self::of_primary(Source::Sentinels(Box::new(sentinels)), place))
    }

    fn of_primary(source: Source, place: String) -> Self {
        Self { link: Link::Server(Arc::new(Primary::new(source))), place: place.into() }
    }

    #[cfg(feature = "redis-cluster")]
    pub(super) fn cluster(urls: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, StoreError> {
        let (infos, addresses) = infos_and_addresses(urls)?;
        let place: Arc<str> = format!("the Redis cluster at {addresses}").into();
        let client = ClusterClient::builder(infos)
            .tcp_settings(tcp_settings())
            .retries(3)
            .min_retry_wait(20)
            .max_retry_wait(200)
            .connection_timeout(CONNECTION_LIMIT)
            .response_timeout(RESPONSE_LIMIT)
            .build()
            .map_err(|error| url_error(&error))?;
        Ok(Self { link: Link::Cluster(Arc::new(Cluster { client, connection: OnceCell::new() })), place })
    }

    /// Opens the connection now, and not with the first command.
    pub(super) async fn opened(self) -> Result<Self, StoreError> {
        let opened = timeout(AT_START, async {
            match &self.link {
                Link::Server(primary) => primary.manager().await.map(drop),
                #[cfg(feature = "redis-cluster")]
                Link::Cluster(cluster) => cluster.connection().await.map(drop),
            }
        });
        match opened.await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())) {
            Ok(()) => Ok(self),
            Err(error) => Err(self.store_error(&error)),
        }
    }

    /// Wraps a connection that the application made. The `redis` crate does not reveal the address of such a
    /// connection.
    pub(crate) fn of_application(manager: ConnectionManager) -> Self {
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
            Link::Cluster(cluster) => command.query_async(&mut cluster.connection().await?).await,
        }
    }

    pub(crate) async fn value(&self, command: &Cmd) -> Result<Value, StoreError> {
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
                let routed = async {
                    let mut cluster = cluster.connection().await?;
                    cluster.route_command(command.clone(), RoutingInfo::SingleNode(route)).await
                };
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

/// Returns what the URLs say, and their addresses for error texts.
#[cfg(any(feature = "redis-cluster", feature = "redis-sentinel"))]
fn infos_and_addresses(
    urls: impl IntoIterator<Item = impl AsRef<str>>,
) -> Result<(Vec<ConnectionInfo>, String), StoreError> {
    let infos: Result<Vec<_>, _> = urls.into_iter().map(|url| connection_info(url.as_ref())).collect();
    let infos = infos?;
    let addresses: Vec<_> = infos.iter().map(|info| info.addr().to_string()).collect();
    Ok((infos, addresses.join(", ")))
}

pub(super) fn connection_info(url: &str) -> Result<ConnectionInfo, StoreError> {
    // Before the URL is parsed: without TLS, the driver refuses it with a sentence that has no remedy.
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    if ["rediss", "valkeys"].iter().any(|tls| scheme.eq_ignore_ascii_case(tls)) {
        check_tls()?;
    }
    let info = url.into_connection_info().map_err(|error| url_error(&error))?;
    Ok(info.set_tcp_settings(tcp_settings()))
}

/// Gives `rustls` its cryptography, unless the application has chosen one for the whole process.
#[cfg(feature = "tls")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it is an error")]
fn check_tls() -> Result<(), StoreError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // If another thread was faster, its choice is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    Ok(())
}

#[cfg(not(feature = "tls"))]
fn check_tls() -> Result<(), StoreError> {
    let remedy = "a `rediss://` URL needs the feature `tls` of session-stores";
    Err(StoreError::new(StoreErrorKind::Refused, remedy))
}

/// Returns the settings of the TCP connection. With `TCP_USER_TIMEOUT`, a machine that vanished without closing the
/// connection is noticed after a few seconds. The kernel's default is a quarter of an hour.
pub(super) fn tcp_settings() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(Duration::from_secs(5));
    settings
}

/// The longest wait for a reply, including the second attempt.
const LIMIT: Duration = Duration::from_secs(2);

/// The longest wait for the first connection.
const AT_START: Duration = Duration::from_millis(2_500);
