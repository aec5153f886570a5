//! Clients that Redis has refused: until their time is up they cost no round trip.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_core::rate::Numbers;

use crate::redis_link::Digest;

const SHARDS: usize = 16;
/// Clients that are remembered at most: about 5 MiB.
const CLIENTS_MAX: usize = 1 << 16;

/// Refused clients, and until when. Times are since the start of the process: no clock that is
/// set can lengthen them. Whoever finds no place is refused by Redis as before.
#[derive(Debug, Default)]
pub(super) struct Denied([Mutex<Shard>; SHARDS]);

#[derive(Debug, Default)]
struct Shard {
    refused: HashMap<Digest, Refused>,
    /// Nobody's time is up before this.
    sweep_at: Duration,
}

#[derive(Debug)]
struct Refused {
    until: Duration,
    /// A digest of the limit's numbers. One that has changed may not refuse it any more.
    by: u64,
}

impl Denied {
    /// For how much longer the client is refused by a limit of these numbers, if it is.
    pub(super) fn still(
        &self,
        digest: Digest,
        numbers: &Numbers,
        at: Duration,
    ) -> Option<Duration> {
        let mut shard = self.shard(digest);
        let refused = shard.refused.get(&digest)?;
        let left = refused.until.saturating_sub(at);
        if left.is_zero() || refused.by != hash(numbers) {
            shard.refused.remove(&digest);
            return None;
        }
        Some(left)
    }

    /// Remembers a client that was asked for at `at`, which is before the refusal.
    pub(super) fn remember(
        &self,
        digest: Digest,
        numbers: &Numbers,
        at: Duration,
        retry_after: Duration,
    ) {
        let mut shard = self.shard(digest);
        if shard.refused.len() >= CLIENTS_MAX / SHARDS && shard.sweep_at <= at {
            shard.refused.retain(|_, refused| refused.until > at);
            shard.sweep_at =
                shard.refused.values().map(|refused| refused.until).min().unwrap_or(at);
        }
        if shard.refused.len() < CLIENTS_MAX / SHARDS {
            let until = at.saturating_add(retry_after);
            shard.sweep_at = shard.sweep_at.min(until);
            shard.refused.insert(digest, Refused { until, by: hash(numbers) });
        }
    }

    /// Forgets the client; whether it was refused.
    pub(super) fn forget(&self, digest: Digest) -> bool {
        self.shard(digest).refused.remove(&digest).is_some()
    }

    fn shard(&self, digest: Digest) -> MutexGuard<'_, Shard> {
        // A panic while it was held leaves whole entries behind.
        self.0[digest.shard(SHARDS)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The words of a policy are no secret and no client's, so the digest needs none.
fn hash(numbers: &Numbers) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use tidegate_core::rate::Limit;

    const SECOND: Duration = Duration::from_secs(1);

    fn client(number: u128) -> Digest {
        // The shard is chosen by the last byte.
        Digest::from_number(number << 8)
    }

    fn numbers(quota: u32) -> Numbers {
        Numbers::of(&Limit::new("l", NonZeroU32::new(quota).unwrap(), SECOND)).unwrap()
    }

    #[test]
    fn a_refused_client_is_remembered_to_the_end_of_its_time_and_no_longer() {
        let denied = Denied::default();
        denied.remember(client(1), &numbers(1), SECOND, SECOND * 5);
        assert_eq!(denied.still(client(1), &numbers(1), SECOND * 2), Some(SECOND * 4));
        assert_eq!(denied.still(client(2), &numbers(1), SECOND * 2), None);
        assert_eq!(denied.still(client(1), &numbers(1), SECOND * 6), None);
        assert_eq!(denied.still(client(1), &numbers(1), SECOND * 2), None, "it is forgotten");
    }

    #[test]
    fn r9_a_limit_that_has_changed_is_asked_anew_and_so_is_who_is_forgotten() {
        let denied = Denied::default();
        denied.remember(client(1), &numbers(1), SECOND, SECOND * 5);
        assert_eq!(denied.still(client(1), &numbers(2), SECOND * 2), None);
        assert_eq!(denied.still(client(1), &numbers(1), SECOND * 2), None);
        denied.remember(client(1), &numbers(2), SECOND * 2, SECOND * 5);
        assert!(denied.still(client(1), &numbers(2), SECOND * 2).is_some());
        assert!(denied.forget(client(1)) && !denied.forget(client(1)));
        assert_eq!(denied.still(client(1), &numbers(2), SECOND * 2), None);
    }

    #[test]
    fn only_so_many_are_remembered_and_places_come_free() {
        let denied = Denied::default();
        let places = (CLIENTS_MAX / SHARDS) as u128;
        for number in 0..places + 10 {
            denied.remember(client(number), &numbers(1), Duration::ZERO, SECOND);
        }
        assert!(denied.still(client(places - 1), &numbers(1), Duration::ZERO).is_some());
        assert_eq!(denied.still(client(places), &numbers(1), Duration::ZERO), None);
        denied.remember(client(places), &numbers(1), SECOND * 2, SECOND);
        assert!(denied.still(client(places), &numbers(1), SECOND * 2).is_some());
    }
}
