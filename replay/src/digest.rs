//! Names as 64 bits, the same in every run: what is told apart by them is mistaken once in
//! 2^64 pairs.

use std::hash::{BuildHasher, Hasher};

use siphasher::sip::SipHasher13;

/// The digest of some parts, each behind its length.
pub(crate) fn digest(parts: &[&[u8]]) -> u64 {
    let mut hasher = SipHasher13::new();
    for part in parts {
        hasher.write(part);
        if parts.len() > 1 {
            hasher.write_u64(part.len() as u64);
        }
    }
    hasher.finish()
}

/// A digest together with a number.
pub(crate) fn with(digest: u64, number: u64) -> u64 {
    // The finalizer of SplitMix64: every bit of both reaches every bit of the result.
    let mut mixed = digest ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// For tables by digest: these need no second hashing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ByDigest(u64);

impl BuildHasher for ByDigest {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for ByDigest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = digest(&[bytes]);
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
}
