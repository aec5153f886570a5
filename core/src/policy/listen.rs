//! Where the shim listens, and what it shows there: `[shim] listen` and `[shim.tls]`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Malformed, Network};

/// A place to listen at: `127.0.0.1:8080`, `https://[::]:443`, or
/// `unix:/run/tidegate/http.sock mode=660`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Listen {
    /// An address of this machine.
    Tcp {
        /// Address and port; port 0 is any free one.
        address: SocketAddr,
        /// Whether connections begin with a TLS handshake.
        tls: bool,
    },
    /// A socket in the file system.
    Unix {
        /// Its path, from the root.
        path: String,
        /// The permissions of the file: whoever may write to it may connect.
        mode: u32,
    },
}

/// What listeners with TLS show, and what they take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// At least one. The first is for who names no host, or one that none is for.
    pub certificates: Vec<CertificateFiles>,
    /// The oldest version of TLS that is spoken.
    #[serde(default, skip_serializing_if = "TlsVersion::is_default")]
    pub min_version: TlsVersion,
}

/// The two files of a certificate; names that are not absolute are beside the policy file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// The certificate and what links it to a root, in PEM.
    pub chain: String,
    /// Its private key, in PEM.
    pub key: String,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246, for clients from before 2018.
    #[serde(rename = "1.2")]
    Tls12,
    /// RFC 8446.
    #[default]
    #[serde(rename = "1.3")]
    Tls13,
}

/// Who may say in forwarding fields who the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TrustedProxy {
    /// Whoever connects from one of these addresses.
    Network(Network),
    /// Whoever connects to a socket in the file system: `unix:`.
    Unix,
}

/// Where the shim listens when nothing says so.
pub const DEFAULT_LISTEN: Listen =
    Listen::Tcp { address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080), tls: false };
/// How many connections of clients the shim holds when nothing says so.
pub const DEFAULT_CONNECTIONS: u32 = 16_384;
/// The permissions of a socket in the file system when nothing says so.
const DEFAULT_MODE: u32 = 0o660;
/// The longest path of a socket that Linux takes, in bytes (unix(7)).
const PATH_MAX: usize = 107;

const HTTP: &str = "http://";
const HTTPS: &str = "https://";
const UNIX: &str = "unix:";

impl Listen {
    /// Whether connections begin with a TLS handshake.
    pub const fn has_tls(&self) -> bool {
        matches!(self, Self::Tcp { tls: true, .. })
    }

    /// Whether both cannot be listened at.
    pub fn collides_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp { address, .. }, Self::Tcp { address: other, .. }) => {
                address == other && address.port() != 0
            }
            (Self::Unix { path, .. }, Self::Unix { path: other, .. }) => path == other,
            _ => false,
        }
    }

    fn unix(text: &str) -> Result<Self, Malformed> {
        let (path, mode) = match text.split_once(' ') {
            Some((path, mode)) => (path, mode_of(mode.trim())?),
            None => (text, DEFAULT_MODE),
        };
        if !path.starts_with('/') || path.contains('\0') || path.ends_with('/') {
            return Err(Malformed::new(
                format!("`{path}` is no path of a socket"),
                "write it from the root, like `unix:/run/tidegate/http.sock`",
            ));
        }
        if path.len() > PATH_MAX {
            return Err(Malformed::new(
                format!("a path of {} bytes is too long for a socket", path.len()),
                format!("choose one of {PATH_MAX} bytes at most"),
            ));
        }
        Ok(Self::Unix { path: path.into(), mode })
    }
}

fn mode_of(text: &str) -> Result<u32, Malformed> {
    let digits = text.strip_prefix("mode=").filter(|digits| {
        (3..=4).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
    });
    let mode = digits.and_then(|digits| u32::from_str_radix(digits, 8).ok());
    mode.filter(|mode| *mode <= 0o777).ok_or_else(|| {
        Malformed::new(
            format!("`{text}` is no permission of a socket"),
            "write `mode=660` for owner and group, `mode=666` for everybody",
        )
    })
}

impl FromStr for Listen {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if let Some(rest) = text.strip_prefix(UNIX) {
            return Self::unix(rest);
        }
        let (tls, address) = match (text.strip_prefix(HTTPS), text.strip_prefix(HTTP)) {
            (Some(address), _) => (true, address),
            (None, Some(address)) => (false, address),
            (None, None) => (false, text),
        };
        let address = match address.strip_prefix("localhost:") {
            Some(port) => port.parse().map(|port| (Ipv4Addr::LOCALHOST, port).into()).ok(),
            None => address.parse().ok(),
        };
        let Some(address) = address else {
            return Err(Malformed::new(
                format!("`{text}` is no IP address with a port, and no socket"),
                "write `127.0.0.1:8080`, `[::]:8080`, `https://[::]:443` or \
                 `unix:/run/tidegate/http.sock`",
            ));
        };
        Ok(Self::Tcp { address, tls })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { address, tls: true } => write!(f, "{HTTPS}{address}"),
            Self::Tcp { address, tls: false } => write!(f, "{address}"),
            Self::Unix { path, mode: DEFAULT_MODE } => write!(f, "{UNIX}{path}"),
            Self::Unix { path, mode } => write!(f, "{UNIX}{path} mode={mode:03o}"),
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        listen.to_string()
    }
}

impl TlsVersion {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl TrustedProxy {
    /// Reads `address`, `address/prefix` or `unix:`.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        match text {
            UNIX => Ok(Self::Unix),
            _ => Network::parse(text).map(Self::Network),
        }
    }

    /// Whether everybody is meant who has an address.
    pub const fn is_everybody(&self) -> bool {
        matches!(self, Self::Network(network) if network.is_everything())
    }

    /// Whether `peer` is meant, who has no address over a socket in the file system.
    pub fn is(&self, peer: Option<IpAddr>) -> bool {
        match (self, peer) {
            (Self::Network(network), Some(address)) => network.contains(address),
            (Self::Unix, None) => true,
            _ => false,
        }
    }
}

impl TryFrom<String> for TrustedProxy {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        Self::parse(&text)
    }
}

impl From<TrustedProxy> for String {
    fn from(proxy: TrustedProxy) -> Self {
        match proxy {
            TrustedProxy::Network(network) => network.into(),
            TrustedProxy::Unix => UNIX.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written() {
        for (text, again) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://[::1]:80", "[::1]:80"),
            ("localhost:80", "127.0.0.1:80"),
            ("https://[::]:443", "https://[::]:443"),
            ("unix:/run/t.sock", "unix:/run/t.sock"),
            ("unix:/run/t.sock mode=0660", "unix:/run/t.sock"),
            ("unix:/run/t.sock mode=600", "unix:/run/t.sock mode=600"),
            ("unix:/run/t.sock mode=006", "unix:/run/t.sock mode=006"),
        ] {
            let listen: Listen = text.parse().unwrap();
            assert_eq!(listen.to_string(), again);
            assert_eq!(again.parse(), Ok(listen), "{text}");
        }
    }

    #[test]
    fn nonsense_has_a_remedy() {
        let long = format!("unix:/{}", "x".repeat(PATH_MAX));
        for (text, message) in [
            ("example.com:80", "no IP address"),
            ("127.0.0.1", "no IP address"),
            ("https://", "no IP address"),
            ("ftp://127.0.0.1:21", "no IP address"),
            ("unix:run/t.sock", "no path of a socket"),
            ("unix:/run/", "no path of a socket"),
            ("unix:", "no path of a socket"),
            ("unix:/a mode=9", "no permission"),
            ("unix:/a mode=+66", "no permission"),
            ("unix:/a mode=1777", "no permission"),
            ("unix:/a 660", "no permission"),
            (&long, "too long"),
        ] {
            let bad = text.parse::<Listen>().unwrap_err();
            assert!(bad.message.contains(message), "{text}: {bad}");
        }
    }

    #[test]
    fn what_cannot_be_listened_at_twice_is_known() {
        let collide = |a: &str, b: &str| {
            a.parse::<Listen>().unwrap().collides_with(&b.parse::<Listen>().unwrap())
        };
        assert!(collide("127.0.0.1:80", "https://127.0.0.1:80"));
        assert!(collide("unix:/a", "unix:/a mode=600"));
        assert!(!collide("127.0.0.1:0", "127.0.0.1:0"), "two free ports");
        assert!(!collide("127.0.0.1:80", "[::]:80"));
        assert!(!collide("127.0.0.1:80", "unix:/a"));
    }

    #[test]
    fn whoever_has_no_address_is_trusted_by_name_alone() {
        let trusted = |text: &str, peer: Option<&str>| {
            TrustedProxy::parse(text).unwrap().is(peer.map(|peer| peer.parse().unwrap()))
        };
        assert!(trusted("unix:", None));
        assert!(!trusted("unix:", Some("127.0.0.1")));
        assert!(trusted("10.0.0.0/8", Some("10.1.1.1")));
        assert!(!trusted("0.0.0.0/0", None));
        assert!(!trusted("::/0", None));
        assert!(TrustedProxy::parse("unix:/run/x").is_err());
        assert_eq!(String::from(TrustedProxy::Unix), "unix:");
    }
}
