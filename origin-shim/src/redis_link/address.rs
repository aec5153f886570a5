//! Where Redis is: what the URL in the environment says.

use std::fmt;

use redis::{ConnectionInfo, IntoConnectionInfo};

/// One server, the nodes of a cluster, or sentinels that know where the server is.
#[derive(Clone)]
pub enum Address {
    /// A server.
    One(Box<ConnectionInfo>),
    /// Nodes of a cluster; it tells of the others itself.
    Cluster(Vec<ConnectionInfo>),
    /// Sentinels, and what they call the master.
    Sentinel {
        /// The sentinels. User, password and database are the master's.
        sentinels: Vec<ConnectionInfo>,
        /// The name of the master.
        master: String,
        /// Whether master and sentinels are spoken to by TLS.
        tls: bool,
    },
}

/// Why there is no Redis to connect to. It names the variable, never its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadAddress {
    variable: String,
    why: String,
}

impl Address {
    /// Reads the URL that the variable of this name holds.
    pub(crate) fn read(
        variable: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, BadAddress> {
        let bad = |why: &str| BadAddress { variable: variable.into(), why: why.into() };
        let url = environment(variable).ok_or_else(|| bad("is not set"))?;
        Self::parse(url.trim()).map_err(bad)
    }

    fn parse(url: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = url.split_once("://").ok_or("holds no URL")?;
        let (kind, tls) = match scheme {
            "redis" => ("", false),
            "rediss" => ("", true),
            "redis-cluster" => ("cluster", false),
            "rediss-cluster" => ("cluster", true),
            "redis-sentinel" => ("sentinel", false),
            "rediss-sentinel" => ("sentinel", true),
            _ => return Err("holds a URL of another scheme"),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), authority),
        };
        let scheme = if tls { "rediss" } else { "redis" };
        let nodes = |database: &str| -> Result<Vec<ConnectionInfo>, &'static str> {
            let node = |host: &str| {
                let url = format!("{scheme}://{user}{host}/{database}");
                let node = url.into_connection_info().map_err(|_| "names no host and port")?;
                let tcp = node.tcp_settings().clone().set_nodelay(true);
                Ok(node.set_tcp_settings(tcp))
            };
            hosts.split(',').map(node).collect()
        };
        match kind {
            "cluster" if !matches!(path, "" | "0") => {
                Err("names a database, which clusters have not")
            }
            "cluster" => Ok(Self::Cluster(nodes("")?)),
            "sentinel" => {
                let (master, database) = path.split_once('/').unwrap_or((path, ""));
                if master.is_empty() {
                    return Err("does not say what the sentinels call the master");
                }
                Ok(Self::Sentinel { sentinels: nodes(database)?, master: master.into(), tls })
            }
            _ => match <[_; 1]>::try_from(nodes(path)?) {
                Ok([node]) => Ok(Self::One(Box::new(node))),
                Err(_) => Err("names several servers: write redis-cluster:// for a cluster"),
            },
        }
    }

    pub(super) const fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }
}

impl BadAddress {
    pub(crate) fn no_thread(variable: &str, error: &std::io::Error) -> Self {
        Self { variable: variable.into(), why: format!("is no use without a thread: {error}") }
    }
}

impl fmt::Debug for Address {
    /// Without passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One(_) => "One",
            Self::Cluster(_) => "Cluster",
            Self::Sentinel { .. } => "Sentinel",
        })
    }
}

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, why } = self;
        write!(
            f,
            "the variable `{variable}` {why}\n= hint: set it to a URL like redis://127.0.0.1:6379, \
             redis-cluster://a:6379,b:6379 or redis-sentinel://a:26379,b:26379/mymaster"
        )
    }
}

impl std::error::Error for BadAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Address, String> {
        Address::read("REDIS_URL", &|_| Some(url.into())).map_err(|bad| bad.to_string())
    }

    #[test]
    fn a_url_says_what_is_there() {
        assert!(matches!(read("redis://127.0.0.1:6379"), Ok(Address::One(_))));
        assert!(matches!(read("rediss://user:pass@db.example:6380/3\n"), Ok(Address::One(_))));
        let Ok(Address::Cluster(nodes)) = read("redis-cluster://:pw@a:1,b:2,[::1]:3") else {
            panic!("three nodes")
        };
        assert_eq!(nodes.len(), 3);
        assert!(nodes.iter().all(|node| node.redis_settings().password() == Some("pw")));
        let Ok(Address::Sentinel { sentinels, master, tls }) =
            read("rediss-sentinel://a:26379,b/mymaster/2")
        else {
            panic!("two sentinels")
        };
        assert_eq!((sentinels.len(), &*master, tls), (2, "mymaster", true));
        assert_eq!(sentinels[0].redis_settings().db(), 2);
    }

    #[test]
    fn what_is_wrong_is_said_without_the_value() {
        for (url, why) in [
            ("hunter2", "holds no URL"),
            ("http://hunter2", "another scheme"),
            ("redis://:hunter2@a:x", "names no host and port"),
            ("redis://:hunter2@a:1,b:2", "several servers"),
            ("redis-cluster://:hunter2@a:1/5", "names a database"),
            ("redis-sentinel://:hunter2@a:1", "what the sentinels call the master"),
        ] {
            let report = read(url).unwrap_err();
            assert!(report.contains("`REDIS_URL`") && report.contains(why), "{report}");
            assert!(!report.contains("hunter2"), "{report}");
        }
        assert!(Address::read("REDIS_URL", &|_| None).unwrap_err().to_string().contains("not set"));
    }
}
