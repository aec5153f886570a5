//! A connection to Redis, whichever kind it is.

use std::fmt;

use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{AsyncConnectionConfig, Client, Cmd, RedisResult, TlsMode, Value};

use super::PATIENCE;
use super::address::Address;

/// A connection that any number of requests ask over at once.
#[derive(Clone)]
pub(super) enum Link {
    /// To one server.
    One(MultiplexedConnection),
    /// To the nodes of a cluster.
    Cluster(ClusterConnection),
}

impl Link {
    /// Connects; to a sentinel's master, to whichever that is now.
    pub(super) async fn connect(address: &Address) -> RedisResult<Self> {
        // Who asks waits no longer than the policy says; that is not for the connection to do.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(None);
        match address {
            Address::One(node) => {
                let client = Client::open((**node).clone())?;
                client.get_multiplexed_async_connection_with_config(&config).await.map(Self::One)
            }
            Address::Cluster(nodes) => {
                let client = ClusterClient::builder(nodes.iter().cloned())
                    .connection_timeout(PATIENCE)
                    .response_timeout(PATIENCE)
                    .tcp_settings(nodelay())
                    .retries(2)
                    .build()?;
                client.get_async_connection().await.map(Self::Cluster)
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
                client.get_async_connection_with_config(&config).await.map(Self::One)
            }
        }
    }

    /// One round trip.
    pub(super) async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        match self.clone() {
            Self::One(mut connection) => command.query_async(&mut connection).await,
            Self::Cluster(mut connection) => command.query_async(&mut connection).await,
        }
    }
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
