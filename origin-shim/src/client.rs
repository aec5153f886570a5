//! What a connection says of who is at its other end.

use std::net::IpAddr;

use tidegate_core::Scheme;

/// Who sent a request, as far as its connection tells: a client, or a proxy that speaks for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The address at the other end; none over a socket in the file system.
    pub ip: Option<IpAddr>,
    /// What is spoken over the connection: `https` where it began with a TLS handshake.
    pub scheme: Scheme,
}
