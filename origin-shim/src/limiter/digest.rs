//! What a client is known by in memory: a digest of its key, under a secret of this process.

use std::hash::{BuildHasher, RandomState};

use siphasher::sip128::SipHasher13;
use tidegate_core::LimitKey;

/// SipHash-1-3 to 128 bits. Its secret is drawn when the process starts, so nobody can look
/// for keys that meet.
#[derive(Clone, Debug)]
pub(super) struct Digester(SipHasher13);

/// 96 bits of the digest of a key: the odds that any two of a million clients share a state
/// are below 1 in 10^17. In two numbers, so that it is compared and stored without a detour
/// over single bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Digest {
    first: u64,
    last: u32,
}

impl Digester {
    /// With a new secret.
    pub(super) fn new() -> Self {
        let random = || RandomState::new().hash_one(0);
        Self(SipHasher13::new_with_keys(random(), random()))
    }

    pub(super) fn digest(&self, key: &LimitKey) -> Digest {
        let digest = self.0.hash(key.as_bytes());
        Digest { first: digest.h1, last: digest.h2 as u32 }
    }
}

impl Digest {
    /// Its length in bytes.
    pub(super) const LEN: usize = 12;

    /// The digest with these bytes.
    pub(super) const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        let [a, b, c, d, e, f, g, h, last @ ..] = bytes;
        let first = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        Self { first, last: u32::from_le_bytes(last) }
    }

    /// Its bytes.
    pub(super) const fn to_bytes(self) -> [u8; Self::LEN] {
        let [a, b, c, d, e, f, g, h] = self.first.to_le_bytes();
        let [i, j, k, l] = self.last.to_le_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }

    /// The number of its shard, of so many; a power of two.
    pub(super) const fn shard(self, shards: usize) -> usize {
        self.last as usize & (shards - 1)
    }

    /// What an index looks it up by: other bits than those that the shard is chosen by.
    pub(super) const fn leading(self) -> u32 {
        self.first as u32
    }
}
