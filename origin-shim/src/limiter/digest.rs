//! What a client is known by in memory: a digest of its key, under a secret of this process.

use std::hash::{BuildHasher, RandomState};

use siphasher::sip128::SipHasher13;
use tidegate_core::LimitKey;

/// SipHash-1-3 to 128 bits. Its secret is drawn when the process starts, so nobody can look
/// for keys that meet.
#[derive(Clone, Debug)]
pub(super) struct Digester(SipHasher13);

/// 96 bits of the digest of a key: the odds that any two of a million clients share a state
/// are below 1 in 10^17.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Digest([u8; Digest::LEN]);

impl Digester {
    /// With a new secret.
    pub(super) fn new() -> Self {
        let random = || RandomState::new().hash_one(0);
        Self(SipHasher13::new_with_keys(random(), random()))
    }

    pub(super) fn digest(&self, key: &LimitKey) -> Digest {
        let [digest @ .., _, _, _, _] = self.0.hash(key.as_bytes()).as_bytes();
        Digest(digest)
    }
}

impl Digest {
    /// Its length in bytes.
    pub(super) const LEN: usize = 12;

    /// The digest with these bytes.
    pub(super) const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub(super) const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// The number of its shard, of so many; a power of two.
    pub(super) const fn shard(self, shards: usize) -> usize {
        let [.., a, b, c, d] = self.0;
        u32::from_le_bytes([a, b, c, d]) as usize & (shards - 1)
    }

    /// What an index looks it up by: other bits than those that the shard is chosen by.
    pub(super) const fn leading(self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_le_bytes([a, b, c, d])
    }
}
