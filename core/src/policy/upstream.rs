//! `[upstreams]`: servers that answer alike, and how they are asked.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::num::{NonZeroU8, NonZeroU32};
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::Malformed;
use crate::host::{Host, Scheme};
use crate::status_ttl::Statuses;
use crate::time::as_millis;

/// Servers that answer alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// The servers, 64 at most.
    pub servers: Vec<Server>,
    /// Which of them is asked.
    #[serde(default, skip_serializing_if = "Balance::is_default")]
    pub balance: Balance,
    /// How many idle connections are kept at most, to all servers together.
    #[serde(default = "keepalive", skip_serializing_if = "is_default_keepalive")]
    pub keepalive: u32,
    /// How long each phase may take.
    #[serde(default, skip_serializing_if = "Timeouts::is_default")]
    pub timeouts: Timeouts,
    /// How many requests each server is at, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<NonZeroU32>,
    /// Who waits when all servers are at as many.
    #[serde(default, skip_serializing_if = "Queue::is_default")]
    pub queue: Queue,
    /// How servers are checked when nobody asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCheck>,
    /// When a server that fails requests is left out.
    #[serde(default, skip_serializing_if = "Ejection::is_default")]
    pub eject: Ejection,
    /// When another server is asked.
    #[serde(default, skip_serializing_if = "Retry::is_default")]
    pub retry: Retry,
    /// When nobody is asked any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerRule>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where it is.
    pub address: ServerAddress,
    /// Its share of the requests, compared with that of the others.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub weight: NonZeroU8,
    /// It is asked only while none of the others is up.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub backup: bool,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ServerAddress {
    /// `host:port`, in clear.
    Plain(String),
    /// `https://host:port`, by TLS: the text behind the scheme, always with a port.
    Tls(String),
    /// `unix:/path`, a socket of this machine, in clear.
    Unix(String),
}

/// Which server is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// The one that is at the fewest requests for its weight.
    #[default]
    LeastConn,
    /// One after the other, by weight.
    RoundRobin,
}

/// How long each phase of a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// To connect, TLS included.
    #[serde(with = "as_millis")]
    pub connect: Duration,
    /// Until the server takes more of the request.
    #[serde(with = "as_millis")]
    pub send: Duration,
    /// From the end of the request to the whole head of the answer.
    #[serde(with = "as_millis")]
    pub head: Duration,
    /// Between two pieces of the body; a stream of events may be quiet for longer.
    #[serde(with = "as_millis")]
    pub read: Duration,
    /// For how long a tunnel may be quiet in both directions.
    #[serde(with = "as_millis")]
    pub tunnel: Duration,
}

/// Who waits when all servers are at as many requests as they may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// How many requests wait at most.
    pub length: u32,
    /// For how long each of them does.
    #[serde(with = "as_millis")]
    pub timeout: Duration,
}

/// How servers are checked when nobody asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// What is asked for by GET.
    pub path: String,
    /// The Host of the question; the server's own address without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// How much time lies between two checks of a server.
    #[serde(with = "as_millis")]
    pub interval: Duration,
    /// How long the head of an answer may take, connecting included.
    #[serde(with = "as_millis")]
    pub timeout: Duration,
    /// The statuses of a server that is up.
    pub status: Vec<Statuses>,
    /// A server that is down is up again after so many good answers in a row.
    pub rise: NonZeroU32,
    /// A server that is up is down after so many bad ones in a row.
    pub fall: NonZeroU32,
}

/// When a server that fails requests is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ejection {
    /// After so many failures in a row; 0 never.
    pub failures: u32,
    /// For so long.
    #[serde(with = "as_millis")]
    pub time: Duration,
}

/// When another server is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// How many servers may be sent a request at most, the first included.
    pub attempts: NonZeroU32,
    /// The statuses for which another is asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<Statuses>,
}

/// When nobody is asked any more, because those who were asked failed (P6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerRule {
    /// It opens when so many of a hundred calls have failed …
    pub errors: NonZeroU8,
    /// … of so many at least …
    pub calls: NonZeroU32,
    /// … in a rolling window of this length.
    #[serde(with = "as_millis")]
    pub window: Duration,
    /// For how long nobody is asked; then one call tries whether it may close.
    #[serde(with = "as_millis")]
    pub open: Duration,
}

/// Idle connections that are kept where the policy says nothing (P1).
const KEEPALIVE: u32 = 64;
/// For each phase where the policy says nothing (P2).
const TIMEOUT: Duration = Duration::from_secs(60);
/// To the head of an answer where there is a breaker (P6).
pub const HEAD_TIMEOUT_OF_BREAKER: Duration = Duration::from_secs(3);
/// A server that is chosen by bits of a word has one.
pub const SERVERS_MAX: usize = 64;

impl Upstream {
    /// These servers, asked in turn, with everything else as it is by default.
    pub fn new(servers: Vec<ServerAddress>) -> Self {
        let server = |address| Server { address, weight: one(), backup: false };
        Self {
            servers: servers.into_iter().map(server).collect(),
            balance: Balance::default(),
            keepalive: KEEPALIVE,
            timeouts: Timeouts::default(),
            max_connections: None,
            queue: Queue::default(),
            health: None,
            eject: Ejection::default(),
            retry: Retry::default(),
            breaker: None,
        }
    }
}

impl ServerAddress {
    /// Reads `host:port`, `http://host:port`, `https://host`, `https://host:port` or `unix:/path`.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let bad = || {
            Malformed::new(
                alloc::format!("`{text}` is no address with a port"),
                "write `127.0.0.1:4000`, `[::1]:4000`, `name:4000`, `https://name:443` or `unix:/path`",
            )
        };
        if let Some(path) = text.strip_prefix("unix:") {
            // What a socket's address can hold (sun_path).
            let fits = path.starts_with('/') && path.len() <= 107 && !path.contains('\0');
            return fits.then(|| Self::Unix(path.into())).ok_or_else(bad);
        }
        let (authority, is_tls) = match text.split_once("://") {
            Some(("https", authority)) => (authority, true),
            Some(("http", authority)) => (authority, false),
            Some(_) => return Err(bad()),
            None => (text, false),
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        let authority = match has_port {
            true => authority.to_string(),
            false if is_tls => alloc::format!("{authority}:443"),
            false => return Err(bad()),
        };
        let (host, port) = authority.rsplit_once(':').ok_or_else(bad)?;
        port.parse::<u16>().map_err(|_| bad())?;
        Host::parse(host, Scheme::Http).map_err(|_| bad())?;
        Ok(if is_tls { Self::Tls(authority) } else { Self::Plain(authority) })
    }

    /// What goes into Host where nobody has asked for any: `host:port`, or `localhost`.
    pub fn authority(&self) -> &str {
        match self {
            Self::Plain(authority) | Self::Tls(authority) => authority,
            Self::Unix(_) => "localhost",
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(authority) => f.write_str(authority),
            Self::Tls(authority) => write!(f, "https://{authority}"),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

impl TryFrom<String> for ServerAddress {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl From<ServerAddress> for String {
    fn from(address: ServerAddress) -> Self {
        address.to_string()
    }
}

impl Balance {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Timeouts {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: TIMEOUT,
            send: TIMEOUT,
            head: TIMEOUT,
            read: TIMEOUT,
            tunnel: Duration::from_secs(3600),
        }
    }
}

impl Queue {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self { length: 256, timeout: Duration::from_secs(5) }
    }
}

impl Ejection {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Ejection {
    fn default() -> Self {
        Self { failures: 3, time: Duration::from_secs(10) }
    }
}

impl Retry {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Retry {
    fn default() -> Self {
        let attempts = NonZeroU32::MIN.saturating_add(1);
        Self { attempts, status: Vec::new() }
    }
}

impl Default for BreakerRule {
    fn default() -> Self {
        Self {
            errors: NonZeroU8::MIN.saturating_add(49),
            calls: NonZeroU32::MIN.saturating_add(9),
            window: Duration::from_secs(10),
            open: Duration::from_secs(30),
        }
    }
}

const fn keepalive() -> u32 {
    KEEPALIVE
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_default_keepalive(count: &u32) -> bool {
    *count == KEEPALIVE
}

const fn one() -> NonZeroU8 {
    NonZeroU8::MIN
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_one(weight: &NonZeroU8) -> bool {
    weight.get() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p1_a_server_is_an_address_a_url_or_a_socket() {
        for (text, canonical) in [
            ("127.0.0.1:4000", "127.0.0.1:4000"),
            ("[::1]:4000", "[::1]:4000"),
            ("app.internal:80", "app.internal:80"),
            ("http://app.internal:80/", "app.internal:80"),
            ("https://app.internal", "https://app.internal:443"),
            ("https://[::1]", "https://[::1]:443"),
            ("https://app.internal:8443/", "https://app.internal:8443"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
        ] {
            let address = ServerAddress::parse(text).unwrap();
            assert_eq!(address.to_string(), canonical);
            assert_eq!(ServerAddress::parse(canonical), Ok(address));
        }
    }

    #[test]
    fn what_is_no_server_is_refused() {
        for text in [
            "",
            "app",
            "app:",
            "app:http",
            "app:99999",
            "http://app",
            "ftp://app:21",
            "https://",
            "https://a/b",
            "https://u@a",
            "unix:run.sock",
            "unix:",
            "a b:1",
        ] {
            assert!(ServerAddress::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn defaults_are_not_written() {
        let upstream = Upstream::new(alloc::vec![ServerAddress::parse("a:1").unwrap()]);
        let json = serde_json::to_string(&upstream).unwrap();
        assert_eq!(json, r#"{"servers":[{"address":"a:1"}]}"#);
        assert_eq!(serde_json::from_str::<Upstream>(&json).unwrap(), upstream);
    }
}
