//! Signatures that were here, so that none comes twice.
//!
//! Memory is bounded, and nothing that could come again is forgotten: when there are too many,
//! the oldest second is let go with all its signatures, and from then on no signature counts that
//! is as old. So a flood of good signatures, which only the edge can make, shortens the time in
//! which one must arrive, and does not open a way for replays.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

use tidegate_core::Timestamp;
use tidegate_core::signature::{Refusal, Verified};

/// Threads seldom meet in one of so many.
const SHARDS: usize = 16;
/// Signatures remembered in each at most. One takes less than 20 bytes, so all of them less than
/// 20 MB; at 10,000 requests a second those of a hundred seconds.
const CAPACITY: usize = 1 << 16;

/// What was here.
#[derive(Debug, Default)]
pub(super) struct Replays([Mutex<Seen>; SHARDS]);

#[derive(Debug, Default)]
struct Seen {
    /// By the second in which they end, as they say themselves.
    seconds: BTreeMap<u64, HashSet<u64, BuildHasherDefault<Fingerprint>>>,
    count: usize,
    /// What ends in this second, or before, may have been here.
    forgotten: Option<u64>,
}

/// A fingerprint is a piece of a hash, which nobody without the key can choose.
#[derive(Debug, Default)]
struct Fingerprint(u64);

impl Replays {
    /// Lets a signature pass that was not here before.
    pub(super) fn admit(&self, verified: &Verified, now: Timestamp) -> Result<(), Refusal> {
        let Verified { fingerprint, expires, until, .. } = *verified;
        let shard = &self.0[(fingerprint % SHARDS as u64) as usize];
        // What is in there is whole whatever panics around it.
        let mut seen = shard.lock().unwrap_or_else(PoisonError::into_inner);
        // By the policy in force, which may have been another when the others came.
        let over = now.before(until.since(expires));
        seen.admit(fingerprint, expires.as_secs(), over.as_secs(), CAPACITY)
    }
}

impl Seen {
    /// Those that end before the second `over` count no more.
    fn admit(
        &mut self,
        fingerprint: u64,
        expires: u64,
        over: u64,
        capacity: usize,
    ) -> Result<(), Refusal> {
        while self.seconds.first_key_value().is_some_and(|(oldest, _)| *oldest < over) {
            self.forget();
        }
        if self.forgotten.is_some_and(|forgotten| expires <= forgotten) {
            return Err(Refusal::Expired);
        }
        if !self.seconds.entry(expires).or_default().insert(fingerprint) {
            return Err(Refusal::Replayed);
        }
        self.count += 1;
        if self.count > capacity {
            self.forget();
        }
        Ok(())
    }

    fn forget(&mut self) {
        if let Some((second, gone)) = self.seconds.pop_first() {
            self.count -= gone.len();
            self.forgotten = self.forgotten.max(Some(second));
        }
    }
}

impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0 << 8 ^ u64::from(*byte));
    }

    /// Which shard it is in says its lowest bits already.
    fn write_u64(&mut self, number: u64) {
        self.0 = number.rotate_right(8);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn signature(fingerprint: u64, expires: Timestamp, skew: u64) -> Verified {
        let until = expires + Duration::from_secs(skew);
        let (ip, host, scheme) = (None, "a".into(), tidegate_core::Scheme::Https);
        Verified { ip, host, scheme, expires, until, fingerprint }
    }

    #[test]
    fn a_signature_counts_once_while_it_lasts_whatever_the_skew_becomes() {
        let (replays, now) = (Replays::default(), Timestamp::from_secs(1_795_000_000));
        let expires = now + Duration::from_secs(60);
        for fingerprint in [7, 7 + SHARDS as u64, 8, u64::MAX] {
            assert_eq!(replays.admit(&signature(fingerprint, expires, 30), now), Ok(()));
        }
        let last = expires + Duration::from_secs(29);
        for skew in [0, 30, 300] {
            let replayed = replays.admit(&signature(7, expires, skew), last);
            assert!(replayed.is_err(), "{skew}: {replayed:?}");
        }
        assert_eq!(replays.admit(&signature(8, expires, 30), last), Err(Refusal::Replayed));
        assert_eq!(replays.admit(&signature(9, last, 30), last), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_counts_no_more() {
        const FEW: usize = 100;
        let mut seen = Seen::default();
        for fingerprint in 0..10_000_u64 {
            // Forty in each second.
            assert_eq!(seen.admit(fingerprint, 1_000 + fingerprint / 40, 900, FEW), Ok(()));
            assert!(seen.count <= FEW);
            assert_eq!(seen.count, seen.seconds.values().map(HashSet::len).sum::<usize>());
        }
        // A law: whatever was here is refused, for the one reason or the other.
        for fingerprint in 0..10_000_u64 {
            let said = seen.admit(fingerprint, 1_000 + fingerprint / 40, 900, FEW);
            assert!(matches!(said, Err(Refusal::Replayed | Refusal::Expired)), "{fingerprint}");
        }
        assert_eq!(seen.admit(20_000, 2_000, 900, FEW), Ok(()));
    }

    #[test]
    fn what_is_over_leaves_room() {
        let mut seen = Seen::default();
        for fingerprint in 0..50 {
            assert_eq!(seen.admit(fingerprint, 1_000, 1_000, 100), Ok(()));
        }
        assert_eq!(seen.admit(50, 1_200, 1_001, 100), Ok(()));
        assert_eq!((seen.count, seen.forgotten), (1, Some(1_000)));
    }
}
