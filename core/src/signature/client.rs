//! What the edge says of the client: the dictionary in [`super::CLIENT`].

use alloc::string::String;
use core::fmt;
use core::net::IpAddr;

use crate::headers::structured::{self, Value};
use crate::host::{Host, Scheme};

/// Who asks for what, as the edge sees it.
///
/// Displayed as `ip="203.0.113.7", host="shop.example", scheme="https"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client<'a> {
    /// The address that the request came from, where the platform tells.
    pub ip: Option<IpAddr>,
    /// The host that the client asked for, with its port if need be.
    pub host: &'a str,
    /// The scheme by which it did.
    pub scheme: Scheme,
}

impl fmt::Display for Client<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ip) = self.ip {
            write!(f, "ip=\"{ip}\", ")?;
        }
        write!(f, "host=\"{}\", scheme=\"{}\"", self.host, self.scheme.as_str())
    }
}

/// The same, read: the host in lower case and without the port that its scheme implies.
pub(super) fn read(text: &[u8]) -> Option<(Option<IpAddr>, String, Scheme)> {
    let (mut ip, mut host, mut scheme) = (None, None, None);
    for (key, value) in structured::dictionary(text)? {
        let Value::String(value) = value else { return None };
        match key {
            "ip" => ip = Some(value.parse().ok()?),
            "host" => host = Some(value),
            "scheme" if value == "https" => scheme = Some(Scheme::Https),
            "scheme" if value == "http" => scheme = Some(Scheme::Http),
            _ => return None,
        }
    }
    let (host, scheme) = (host?, scheme?);
    let host = Host::parse(&host, scheme).ok()?.as_str().into();
    Some((ip, host, scheme))
}
