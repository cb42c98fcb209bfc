//! The sentinels of Redis, which name the primary.

use ::redis::{
    Client, ConnectionAddr, ConnectionInfo, RedisError, TlsMode,
    sentinel::{Sentinel, SentinelNodeConnectionInfo},
};
use session_core::store::StoreError;
use tokio::sync::Mutex;

use super::{
    connection::{connection_info, tcp_settings},
    error::url_error,
};

pub(super) struct Sentinels {
    sentinel: Mutex<Sentinel>,
    /// The name by which the sentinels know the primary.
    name: String,
    /// How to log in to the primary.
    login: SentinelNodeConnectionInfo,
}

impl Sentinels {
    /// `primary` is the name of the primary, or a URL with the name as its host.
    pub(super) fn new(sentinels: Vec<ConnectionInfo>, primary: &str) -> Result<Self, StoreError> {
        let login = SentinelNodeConnectionInfo::default().set_tcp_settings(tcp_settings());
        let (name, login) = if primary.contains("://") {
            let info = connection_info(primary)?;
            let login = login.set_redis_connection_info(info.redis_settings().clone());
            match info.addr() {
                ConnectionAddr::TcpTls { host, .. } => (host.clone(), login.set_tls_mode(TlsMode::Secure)),
                ConnectionAddr::Tcp(host, _) => (host.clone(), login),
                other => (other.to_string(), login),
            }
        } else {
            (primary.to_owned(), login)
        };
        let sentinel = Sentinel::build(sentinels).map_err(|error| url_error(&error))?;
        Ok(Self { sentinel: Mutex::new(sentinel), name, login })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn client_of_primary(&self) -> Result<Client, RedisError> {
        self.sentinel.lock().await.async_master_for(&self.name, Some(&self.login)).await
    }
}
