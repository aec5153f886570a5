//! What a limit counts by.

mod text;

use alloc::borrow::Cow;
use alloc::string::String;
use core::net::{IpAddr, Ipv6Addr};

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Limit;
use crate::headers::{Fields, cookie};

/// One thing to tell clients apart by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum KeyPart {
    /// The verified user. An unverified credential does not count: anyone could have a new
    /// one for each request.
    Identity,
    /// The client's address: IPv4 whole, IPv6 by its /64, which is one household.
    ClientIp,
    /// The route: everybody who asks for it, together.
    Route,
    /// A request field, by its lower-case name. Whoever sends it says what is in it.
    Header(String),
    /// A cookie, by its name. Whoever sends it says what is in it.
    Cookie(String),
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
    /// The name of the route that the request matched.
    pub route: Option<&'a str>,
}

/// The key of one client under one limit: limit, kind and value, each behind its length, so
/// that no two clients and no two limits share one by accident. It lives on the stack: making
/// one allocates nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LimitKey(ArrayVec<u8, KEY_MAX>);

/// Longer parts count by their SHA-256, so that no key is longer than two of these.
const PART_MAX: usize = 64;
const KEY_MAX: usize = 4 + PART_MAX + 1 + 4 + PART_MAX;

impl LimitKey {
    /// The key that `limit` counts a request with these `fields` by. A client that has none
    /// of the limit's parts counts as anonymous.
    pub fn of<F: Fields + ?Sized>(limit: &Limit, client: &ClientFacts<'_>, fields: &F) -> Self {
        // Written in place: a key is copied by nobody on its way.
        let mut key = Self::begin(&limit.name);
        let mut add = |kind: u8, value: &[u8]| match value.len() {
            0..=PART_MAX => key.add(kind, value),
            _ => key.add(kind.to_ascii_uppercase(), &Sha256::digest(value)),
        };
        let mut parts = limit.key.iter();
        if !parts.any(|part| part.read(client, fields, &mut add).is_some()) {
            add(b'a', &[]);
        }
        key
    }

    fn of_parts(limit: &str, kind: u8, value: &[u8]) -> Self {
        let mut key = Self::begin(limit);
        key.add(kind, value);
        key
    }

    fn begin(limit: &str) -> Self {
        let mut key = ArrayVec::new();
        put(&mut key, limit.as_bytes());
        Self(key)
    }

    fn add(&mut self, kind: u8, value: &[u8]) {
        let _ = self.0.try_push(kind);
        put(&mut self.0, value);
    }

    /// The key as bytes, to be stored or hashed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl KeyPart {
    /// Hands kind and value on, if the request has this.
    fn read<F: Fields + ?Sized, T>(
        &self,
        client: &ClientFacts<'_>,
        fields: &F,
        then: impl FnOnce(u8, &[u8]) -> T,
    ) -> Option<T> {
        match self {
            Self::Identity => client.user.map(|user| then(b'u', user.as_bytes())),
            Self::ClientIp => client.ip.map(|ip| then(b'i', &network(ip))),
            Self::Route => client.route.map(|route| then(b'r', route.as_bytes())),
            Self::Header(name) => joined(fields.lines_of(name)).map(|value| then(b'h', &value)),
            Self::Cookie(name) => {
                joined(cookie::values(fields, name)).map(|value| then(b'c', &value))
            }
            Self::Anonymous => Some(then(b'a', &[])),
        }
    }
}

/// What several lines of a field say is what one line with commas says (RFC 9110 §5.2).
fn joined<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<Cow<'a, [u8]>> {
    let mut joined = Cow::Borrowed(values.next()?);
    for value in values {
        let all = joined.to_mut();
        all.extend_from_slice(b", ");
        all.extend_from_slice(value);
    }
    Some(joined)
}

/// What one client has of the address space. IPv4 mapped into IPv6 is IPv4.
fn network(ip: IpAddr) -> ArrayVec<u8, 8> {
    let mut network = ArrayVec::new();
    let _ = match ip.to_canonical() {
        IpAddr::V4(ip) => network.try_extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => network.try_extend_from_slice(&Ipv6Addr::octets(&ip)[..8]),
    };
    network
}

/// A part that is too long stands by its digest; a name of the policy never is.
fn put(key: &mut ArrayVec<u8, KEY_MAX>, part: &[u8]) {
    let mut put = |part: &[u8]| {
        let _ = key.try_extend_from_slice(&(part.len() as u32).to_be_bytes());
        let _ = key.try_extend_from_slice(part);
    };
    match part.len() {
        0..=PART_MAX => put(part),
        _ => put(&Sha256::digest(part)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::num::NonZeroU32;
    use core::time::Duration;

    fn key(parts: &[KeyPart], user: Option<&str>, ip: Option<&str>) -> LimitKey {
        let ip = ip.map(|ip| ip.parse().unwrap());
        LimitKey::of(&limit(parts), &ClientFacts { user, ip, route: None }, &NO_FIELDS)
    }

    const NO_FIELDS: [(&str, &str); 0] = [];

    fn limit(parts: &[KeyPart]) -> Limit {
        let limit = Limit::new("l", NonZeroU32::MIN, Duration::from_secs(1));
        Limit { key: parts.to_vec(), ..limit }
    }

    #[test]
    fn the_first_that_a_request_has_counts() {
        let parts = [KeyPart::Header("x-api-key".into()), KeyPart::Cookie("id".into())];
        let limit = limit(&[&parts[..], &[KeyPart::Route]].concat());
        let client = ClientFacts { route: Some("search"), ..ClientFacts::default() };
        let of = |fields: &[(&str, &str)]| LimitKey::of(&limit, &client, fields);
        let by_header = of(&[("x-api-key", "k1"), ("cookie", "id=7")]);
        assert_eq!(by_header, of(&[("cookie", "id=8"), ("x-api-key", "k1")]));
        assert_ne!(by_header, of(&[("x-api-key", "k2")]));
        assert_eq!(of(&[("cookie", "a=1; id=7")]), of(&[("cookie", "id=7")]));
        assert_ne!(of(&[("cookie", "id=7")]), of(&[("x-api-key", "7")]));
        assert_eq!(of(&[]), of(&[("cookie", "a=1")]), "by the route");
        assert_eq!(of(&[("x-api-key", "a"), ("x-api-key", "b")]), of(&[("x-api-key", "a, b")]));
    }

    #[test]
    fn a_key_is_short_however_long_its_value() {
        let limit = limit(&[KeyPart::Header("x-api-key".into())]);
        let of =
            |value: &str| LimitKey::of(&limit, &ClientFacts::default(), &[("x-api-key", value)]);
        let long = "x".repeat(60_000);
        assert!(of(&long).as_bytes().len() < 128);
        assert_ne!(of(&long), of(&long[1..]));
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
