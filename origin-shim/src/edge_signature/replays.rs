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
use tidegate_core::signature::Refusal;

/// Threads seldom meet in one of so many.
const SHARDS: usize = 16;
/// Signatures remembered in each at most. One takes less than 20 bytes, so all of them less than
/// 20 MB; at 10,000 requests a second those of a hundred seconds.
const CAPACITY: usize = 1 << 16;

/// What was here, by when it is over.
#[derive(Debug, Default)]
pub(super) struct Replays([Mutex<Seen>; SHARDS]);

#[derive(Debug, Default)]
struct Seen {
    /// By the second in which they end.
    seconds: BTreeMap<u64, HashSet<u64, BuildHasherDefault<Fingerprint>>>,
    count: usize,
    /// What ends in this second, or before, may have been here.
    forgotten: Option<u64>,
}

/// A fingerprint is a piece of a hash, which nobody without the key can choose.
#[derive(Debug, Default)]
struct Fingerprint(u64);

impl Replays {
    /// Lets a signature pass that was not here before; `until` is when it is over.
    pub(super) fn admit(
        &self,
        fingerprint: u64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let shard = &self.0[(fingerprint % SHARDS as u64) as usize];
        // What is in there is whole whatever panics around it.
        let mut seen = shard.lock().unwrap_or_else(PoisonError::into_inner);
        seen.admit(fingerprint, until.as_secs(), now.as_secs(), CAPACITY)
    }
}

impl Seen {
    fn admit(
        &mut self,
        fingerprint: u64,
        until: u64,
        now: u64,
        capacity: usize,
    ) -> Result<(), Refusal> {
        while let Some(oldest) = self.seconds.first_entry()
            && *oldest.key() < now
        {
            self.count -= oldest.remove().len();
        }
        if self.forgotten.is_some_and(|forgotten| until <= forgotten) {
            return Err(Refusal::Expired);
        }
        if !self.seconds.entry(until).or_default().insert(fingerprint) {
            return Err(Refusal::Replayed);
        }
        self.count += 1;
        if self.count > capacity
            && let Some((second, gone)) = self.seconds.pop_first()
        {
            self.count -= gone.len();
            self.forgotten = self.forgotten.max(Some(second));
        }
        Ok(())
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
    use super::*;

    #[test]
    fn a_signature_counts_once_while_it_lasts() {
        let (replays, now) = (Replays::default(), Timestamp::from_secs(1_795_000_000));
        let until = now + std::time::Duration::from_secs(90);
        for fingerprint in [7, 7 + SHARDS as u64, 8, u64::MAX] {
            assert_eq!(replays.admit(fingerprint, until, now), Ok(()));
        }
        assert_eq!(replays.admit(7, until, until), Err(Refusal::Replayed));
        assert_eq!(replays.admit(9, until, until), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_what_is_forgotten_counts_no_more() {
        const FEW: usize = 100;
        let mut seen = Seen::default();
        for fingerprint in 0..10_000_u64 {
            // Forty in each second.
            let until = 1_000 + fingerprint / 40;
            assert_eq!(seen.admit(fingerprint, until, 900, FEW), Ok(()));
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
        assert_eq!((seen.count, seen.forgotten), (1, None));
    }
}
