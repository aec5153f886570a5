//! A connection to Redis, whichever kind it is.

use std::fmt;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, ErrorKind, RedisError, RedisResult,
    TlsMode, Value,
};
use tokio::time::timeout;

use super::PATIENCE;
use super::address::Address;
use super::cluster::Masters;
use super::digest::Digest;
use crate::crypto;

/// A connection that any number of requests ask over at once.
#[derive(Clone)]
pub(crate) enum Link {
    /// To one server.
    One(MultiplexedConnection),
    /// To the masters of a cluster.
    Cluster(Arc<Masters>),
}

impl Link {
    /// Connects; to a sentinel's master, to whichever that is now. Of what was there `before`, a
    /// cluster keeps what is well.
    pub(super) async fn connect(address: &Address, before: Option<&Self>) -> RedisResult<Self> {
        crypto::choose();
        match address {
            Address::One(node) => connect(node).await.map(Self::One),
            Address::Cluster(nodes) => {
                let before = match before {
                    Some(Self::Cluster(masters)) => Some(&**masters),
                    _ => None,
                };
                Ok(Self::Cluster(Arc::new(Masters::find(nodes, before).await?)))
            }
            Address::Sentinel { sentinels, master, tls } => {
                let addresses = sentinels.iter().map(|node| node.addr().clone());
                let mut builder =
                    SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
                        .set_client_to_redis_tcp_settings(nodelay());
                if *tls {
                    builder = builder
                        .set_client_to_redis_tls_mode(TlsMode::Secure)
                        .set_client_to_sentinel_tls_mode(TlsMode::Secure);
                }
                if let Some(settings) = sentinels.first().map(|node| node.redis_settings()) {
                    builder = builder.set_client_to_redis_db(settings.db());
                    if let Some(username) = settings.username() {
                        builder = builder.set_client_to_redis_username(username);
                    }
                    if let Some(password) = settings.password() {
                        builder = builder.set_client_to_redis_password(password);
                    }
                }
                let mut client = builder.build()?;
                client.get_async_connection_with_config(&config()).await.map(Self::One)
            }
        }
    }

    /// One round trip, to where `digest` lives.
    pub(crate) async fn ask(&self, digest: Digest, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::One(connection) => command.query_async(&mut connection.clone()).await,
            Self::Cluster(masters) => masters.ask(digest.slot(), command).await,
        }
    }

    /// Asks all servers that can be reached.
    pub(crate) async fn ask_all(&self, command: &Cmd) -> Vec<Value> {
        match self {
            Self::One(connection) => {
                command.query_async(&mut connection.clone()).await.into_iter().collect()
            }
            Self::Cluster(masters) => masters.ask_all(command).await,
        }
    }

    /// Whether somebody should look who serves what now.
    pub(super) fn has_moved(&self) -> bool {
        match self {
            Self::One(_) => false,
            Self::Cluster(masters) => masters.has_moved(),
        }
    }
}

/// Connects to one server within [`PATIENCE`].
pub(super) async fn connect(node: &ConnectionInfo) -> RedisResult<MultiplexedConnection> {
    let client = Client::open(node.clone())?;
    let config = config();
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    timeout(PATIENCE, connecting).await.map_err(|_| refused("a connection takes too long"))?
}

/// Who asks waits no longer than the policy says; that is not for the connection to do.
fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(None)
}

pub(super) fn refused(why: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Io, why))
}

fn nodelay() -> redis::io::tcp::TcpSettings {
    redis::io::tcp::TcpSettings::default().set_nodelay(true)
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One(_) => "One",
            Self::Cluster(_) => "Cluster",
        })
    }
}
