//! What something is known by in Redis.

use crc16::{State, XMODEM};
use ring::digest::{SHA256, digest};

/// Slots of a Redis Cluster.
pub(super) const SLOTS: usize = 16_384;

/// The first 128 bits of the SHA-256 of a key: the same in every shim, and neither addresses,
/// users nor URLs can be read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 16]);

impl Digest {
    pub(crate) fn of(key: &[u8]) -> Self {
        let digest = digest(&SHA256, key);
        let mut first = [0; 16];
        first.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Self(first)
    }

    pub(crate) const fn from_number(number: u128) -> Self {
        Self(number.to_be_bytes())
    }

    /// The name of its key in Redis. Its slot is found by what stands in braces, so that a prefix
    /// does not bring all keys to one node.
    pub(crate) fn key(self, prefix: &str) -> String {
        format!("{prefix}{{{:032x}}}", u128::from_be_bytes(self.0))
    }

    /// Its slot in a cluster.
    pub(super) fn slot(self) -> u16 {
        let tag = format!("{:032x}", u128::from_be_bytes(self.0));
        State::<XMODEM>::calculate(tag.as_bytes()) % SLOTS as u16
    }

    /// Its shard of so many.
    pub(crate) const fn shard(self, shards: usize) -> usize {
        self.0[15] as usize % shards
    }
}
