//! Clients that Redis has refused: until their time is up they cost no round trip.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::digest::Digest;

const SHARDS: usize = 16;
/// Clients that are remembered at most: about 4 MiB.
const CLIENTS_MAX: usize = 1 << 16;

/// Refused clients, and until when. Times are since the start of the process: no clock that is
/// set can lengthen them. Whoever finds no place is refused by Redis as before.
#[derive(Debug, Default)]
pub(super) struct Denied([Mutex<Shard>; SHARDS]);

#[derive(Debug, Default)]
struct Shard {
    until: HashMap<Digest, Duration>,
    /// Nobody's time is up before this.
    sweep_at: Duration,
}

impl Denied {
    /// For how much longer the client is refused, if it is.
    pub(super) fn still(&self, digest: Digest, at: Duration) -> Option<Duration> {
        let mut shard = self.shard(digest);
        let left = shard.until.get(&digest)?.saturating_sub(at);
        if left.is_zero() {
            shard.until.remove(&digest);
            return None;
        }
        Some(left)
    }

    /// Remembers a client that was asked for at `at`, which is before the refusal.
    pub(super) fn remember(&self, digest: Digest, at: Duration, retry_after: Duration) {
        let mut shard = self.shard(digest);
        if shard.until.len() >= CLIENTS_MAX / SHARDS && shard.sweep_at <= at {
            shard.until.retain(|_, until| *until > at);
            shard.sweep_at = shard.until.values().min().copied().unwrap_or(at);
        }
        if shard.until.len() < CLIENTS_MAX / SHARDS {
            let until = at.saturating_add(retry_after);
            shard.sweep_at = shard.sweep_at.min(until);
            shard.until.insert(digest, until);
        }
    }

    fn shard(&self, digest: Digest) -> MutexGuard<'_, Shard> {
        // A panic while it was held leaves whole entries behind.
        self.0[digest.shard(SHARDS)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn client(number: u128) -> Digest {
        // The shard is chosen by the last byte.
        Digest::from_number(number << 8)
    }

    #[test]
    fn a_refused_client_is_remembered_to_the_end_of_its_time_and_no_longer() {
        let denied = Denied::default();
        denied.remember(client(1), SECOND, SECOND * 5);
        assert_eq!(denied.still(client(1), SECOND * 2), Some(SECOND * 4));
        assert_eq!(denied.still(client(2), SECOND * 2), None);
        assert_eq!(denied.still(client(1), SECOND * 6), None);
        assert_eq!(denied.still(client(1), SECOND * 2), None, "it is forgotten");
    }

    #[test]
    fn only_so_many_are_remembered_and_places_come_free() {
        let denied = Denied::default();
        let places = (CLIENTS_MAX / SHARDS) as u128;
        for number in 0..places + 10 {
            denied.remember(client(number), Duration::ZERO, SECOND);
        }
        assert!(denied.still(client(places - 1), Duration::ZERO).is_some());
        assert_eq!(denied.still(client(places), Duration::ZERO), None);
        denied.remember(client(places), SECOND * 2, SECOND);
        assert!(denied.still(client(places), SECOND * 2).is_some());
    }
}
