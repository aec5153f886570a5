//! What a limit counts by.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::Limit;

/// One thing to tell clients apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KeyPart {
    /// The verified user. An unverified credential does not count: anyone could have a new
    /// one for each request.
    Identity,
    /// The client's address: IPv4 whole, IPv6 by its /64, which is one household.
    ClientIp,
    /// Everybody who has nothing that stands before this in the list, together.
    Anonymous,
}

/// What is known of a client.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientFacts<'a> {
    /// The user, if something trusted said so.
    pub user: Option<&'a str>,
    /// The address, if the shell knows it.
    pub ip: Option<IpAddr>,
}

const ANONYMOUS: (u8, Vec<u8>) = (b'a', Vec::new());

/// The key of one client under one limit: limit, kind and value, each behind its length, so
/// that no two clients and no two limits share one by accident.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitKey(Box<[u8]>);

impl LimitKey {
    /// The key that `limit` counts `client` by. A client that has none of the limit's parts
    /// counts as anonymous.
    pub fn of(limit: &Limit, client: &ClientFacts<'_>) -> Self {
        let mut bytes = Vec::with_capacity(limit.name.len() + 32);
        put(&mut bytes, limit.name.as_bytes());
        let value = limit.key.iter().find_map(|part| match part {
            KeyPart::Identity => client.user.map(|user| (b'u', user.as_bytes().to_vec())),
            KeyPart::ClientIp => client.ip.map(|ip| (b'i', network(ip))),
            KeyPart::Anonymous => Some(ANONYMOUS),
        });
        let (kind, value) = value.unwrap_or(ANONYMOUS);
        bytes.push(kind);
        put(&mut bytes, &value);
        Self(bytes.into())
    }

    /// The key as bytes, to be stored or hashed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What one client has of the address space. IPv4 mapped into IPv6 is IPv4.
fn network(ip: IpAddr) -> Vec<u8> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => Ipv6Addr::octets(&ip)[..8].to_vec(),
    }
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend_from_slice(&(part.len() as u32).to_be_bytes());
    bytes.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use super::super::Algorithm;
    use super::*;
    use alloc::string::String;
    use core::num::NonZeroU32;
    use core::time::Duration;

    fn key(parts: &[KeyPart], user: Option<&str>, ip: Option<&str>) -> LimitKey {
        let limit = Limit {
            name: String::from("l"),
            quota: NonZeroU32::MIN,
            window: Duration::from_secs(1),
            burst: 0,
            block: None,
            algorithm: Algorithm::FixedWindow,
            key: parts.to_vec(),
        };
        LimitKey::of(&limit, &ClientFacts { user, ip: ip.map(|ip| ip.parse().unwrap()) })
    }

    #[test]
    fn r1_the_user_counts_before_the_address_and_the_address_before_nobody() {
        use KeyPart::*;
        let parts = [Identity, ClientIp, Anonymous];
        let ada = key(&parts, Some("ada"), Some("192.0.2.1"));
        assert_eq!(ada, key(&parts, Some("ada"), Some("192.0.2.2")));
        assert_ne!(ada, key(&parts, Some("bob"), Some("192.0.2.1")));
        assert_ne!(key(&parts, None, Some("192.0.2.1")), key(&parts, None, Some("192.0.2.2")));
        assert_eq!(key(&parts, None, None), key(&[Identity], None, None));
    }

    #[test]
    fn a_household_of_ipv6_counts_once_and_mapped_ipv4_is_ipv4() {
        let by_ip = |ip| key(&[KeyPart::ClientIp], None, Some(ip));
        assert_eq!(by_ip("2001:db8:1:2::1"), by_ip("2001:db8:1:2:ffff::9"));
        assert_ne!(by_ip("2001:db8:1:2::1"), by_ip("2001:db8:1:3::1"));
        assert_eq!(by_ip("::ffff:192.0.2.1"), by_ip("192.0.2.1"));
    }

    #[test]
    fn a_user_named_like_an_address_is_not_that_address() {
        let user = key(&[KeyPart::Identity], Some("\u{1}\u{2}\u{3}\u{4}"), None);
        assert_ne!(user, key(&[KeyPart::ClientIp], None, Some("1.2.3.4")));
    }
}
