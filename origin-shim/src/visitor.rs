//! Who is at the other end, and which of that is to be believed.

use std::net::IpAddr;

use http::HeaderMap;
use tidegate_core::headers::list;
use tidegate_core::identity::User;
use tidegate_core::policy::TrustedProxy;
use tidegate_core::policy::identify::{Evidence, Identified};
use tidegate_core::signature::Verified;
use tidegate_core::token::Refusal;
use tidegate_core::{ClientFacts, Fields, Identity, Policy, Timestamp};

use crate::client::Client;
use crate::tokens::Tokens;

/// Who is behind a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Who is at the other end of the connection.
    pub client: Client,
    /// The client's address: what the edge vouches for, else the peer's, or what trusted proxies
    /// say. None is known of who comes through a socket in the file system, unless somebody
    /// trusted says it.
    pub ip: Option<IpAddr>,
    /// Who it is.
    pub identity: Identity,
    /// Why the token that was shown does not count.
    pub refusal: Option<Refusal>,
    /// The peer is a proxy that may speak for others.
    pub through_trusted_proxy: bool,
    /// What the edge vouches for, where it has signed the request.
    pub edge: Option<Verified>,
}

impl Visitor {
    /// Finds out who sent a request with these fields over a connection of `client`, for which
    /// perhaps the `edge` vouches.
    pub async fn identify(
        policy: &Policy,
        tokens: &Tokens,
        client: Client,
        edge: Option<Verified>,
        fields: &HeaderMap,
        now: Timestamp,
    ) -> Self {
        let trusted = &policy.model().shim.trusted_proxies;
        let through_trusted_proxy = is_trusted(trusted, client.ip);
        let identified = match policy.evidence(fields, through_trusted_proxy) {
            Evidence::Settled(identity) => identity.into(),
            Evidence::Refused(refusal) => policy.conclude(fields, Err(refusal)),
            Evidence::Token(token) => policy.conclude(fields, tokens.user_of(token, now).await),
        };
        let Identified { identity, refusal } = identified;
        let signed = edge.as_ref().and_then(|edge| edge.ip);
        let ip = match signed {
            Some(ip) => Some(ip.to_canonical()),
            None => client_ip(trusted, client.ip, fields),
        };
        Self { client, ip, identity, refusal, through_trusted_proxy, edge }
    }

    /// The same, known as `user` to whoever has verified that in this process.
    #[must_use]
    pub fn known_as(self, user: User) -> Self {
        Self { identity: Identity::Verified(user), refusal: None, ..self }
    }

    /// What limits count by, but for the route.
    pub fn facts(&self) -> ClientFacts<'_> {
        ClientFacts { user: self.identity.user(), ip: self.ip, route: None }
    }
}

/// The nearest address that no trusted proxy has, going back from the peer. Each trusted hop
/// appended who it saw, so the list is believed from the right, and only as far as the hop
/// that wrote an entry is trusted; the leftmost entry is anyone's to make up.
fn client_ip(trusted: &[TrustedProxy], peer: Option<IpAddr>, fields: &HeaderMap) -> Option<IpAddr> {
    if !is_trusted(trusted, peer) {
        return peer.map(|peer| peer.to_canonical());
    }
    let mut client = peer;
    let lines: Vec<&[u8]> = fields.lines_of("x-forwarded-for").collect();
    let mut entries: Vec<&[u8]> = lines.into_iter().flat_map(list::tokens).collect();
    while is_trusted(trusted, client) {
        let entry = entries.pop().and_then(|entry| std::str::from_utf8(entry).ok()?.parse().ok());
        let Some(before) = entry else { break };
        client = Some(before);
    }
    client.map(|client| client.to_canonical())
}

fn is_trusted(trusted: &[TrustedProxy], peer: Option<IpAddr>) -> bool {
    trusted.iter().any(|proxy| proxy.is(peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "::1"].map(|text| TrustedProxy::parse(text).unwrap());
        let seen = client_by(&trusted, Some(peer.parse().unwrap()), forwarded);
        seen.expect("who has an address keeps one").to_string()
    }

    fn client_by(
        trusted: &[TrustedProxy],
        peer: Option<IpAddr>,
        forwarded: &[&str],
    ) -> Option<IpAddr> {
        let mut fields = HeaderMap::new();
        for line in forwarded {
            fields.append("x-forwarded-for", line.parse().unwrap());
        }
        client_ip(trusted, peer, &fields)
    }

    #[test]
    fn the_leftmost_forwarded_address_is_never_believed_by_itself() {
        assert_eq!(seen("192.0.2.1", &["1.1.1.1"]), "192.0.2.1", "a stranger speaks for itself");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 203.0.113.7"]), "203.0.113.7");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1, 203.0.113.7, 10.9.9.9"]), "203.0.113.7");
        assert_eq!(seen("10.0.0.1", &["1.1.1.1", "203.0.113.7"]), "203.0.113.7");
        assert_eq!(seen("10.0.0.1", &["\"1.1.1.1, 203.0.113.7"]), "203.0.113.7", "no hiding place");
    }

    #[test]
    fn who_comes_through_a_socket_in_the_file_system_is_unknown_or_who_a_proxy_says() {
        let trusted = ["unix:", "10.0.0.0/8"].map(|text| TrustedProxy::parse(text).unwrap());
        let client = "203.0.113.7".parse().ok();
        assert_eq!(client_by(&trusted, None, &["1.1.1.1, 203.0.113.7"]), client);
        assert_eq!(client_by(&trusted, None, &["203.0.113.7, 10.0.0.1"]), client);
        assert_eq!(client_by(&trusted, None, &[]), None);
        assert_eq!(client_by(&trusted, None, &["unknown"]), None);
        assert_eq!(client_by(&trusted[1..], None, &["203.0.113.7"]), None);
    }

    #[test]
    fn nonsense_ends_the_chain() {
        assert_eq!(seen("10.0.0.1", &["203.0.113.7, unknown"]), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(seen("::1", &["::ffff:203.0.113.7"]), "203.0.113.7");
    }
}
