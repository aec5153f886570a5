//! Leases of this process: requests that were taken from Redis ahead of time, by client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_core::Timestamp;
use tidegate_core::rate::{Admission, Lease, Limit};

use crate::redis_link::Digest;

const SHARDS: usize = 16;
/// Clients with a lease at most; others ask one by one. About 8 MiB.
const LEASES_MAX: usize = 1 << 16;

/// The leases of all clients.
#[derive(Debug, Default)]
pub(super) struct Leases([Mutex<Shard>; SHARDS]);

type Shard = HashMap<Digest, Held>;

#[derive(Clone, Copy, Debug)]
enum Held {
    /// Somebody is asking for it; until then the others ask one by one, so that a client has one
    /// lease in a process at most.
    Asked,
    /// It was lent when the clock of Redis said `then` or less, at `at` of this process.
    Lent { lease: Lease, then: Timestamp, at: Duration, window: Duration },
}

/// Leave to ask for a client's lease, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    leases: Arc<Leases>,
    digest: Digest,
    window: Duration,
    kept: bool,
}

impl Leases {
    /// Spends one request of the client's lease at `at`; or leave to ask for one, if nobody else
    /// has that and there is room.
    pub(super) fn spend(
        self: &Arc<Self>,
        limit: &Limit,
        digest: Digest,
        at: Duration,
    ) -> Result<Admission, Option<Permit>> {
        let mut shard = self.shard(digest);
        match shard.get_mut(&digest) {
            Some(Held::Asked) => return Err(None),
            Some(Held::Lent { lease, then, at: lent, .. }) => {
                // From before the question on, so the window ends here before it does there.
                let now = *then + at.saturating_sub(*lent);
                if let Some(admission) = lease.spend(limit, now) {
                    return Ok(admission);
                }
            }
            None => {}
        }
        if shard.len() >= LEASES_MAX / SHARDS && !shard.contains_key(&digest) {
            shard.retain(|_, held| !held.is_old(at));
            if shard.len() >= LEASES_MAX / SHARDS {
                return Err(None);
            }
        }
        shard.insert(digest, Held::Asked);
        Err(Some(Permit { leases: Arc::clone(self), digest, window: limit.window, kept: false }))
    }

    /// Forgets what is left of the client's lease; whether there was one.
    pub(super) fn forget(&self, digest: Digest) -> bool {
        let mut shard = self.shard(digest);
        let is_lent = matches!(shard.get(&digest), Some(Held::Lent { .. }));
        // Who asks at this moment keeps its leave to.
        is_lent && shard.remove(&digest).is_some()
    }

    fn shard(&self, digest: Digest) -> MutexGuard<'_, Shard> {
        // A panic while it was held leaves whole entries behind.
        self.0[digest.shard(SHARDS)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Whether its window is over for certain.
    fn is_old(&self, now: Duration) -> bool {
        match self {
            Self::Asked => false,
            Self::Lent { at, window, .. } => at.saturating_add(*window) <= now,
        }
    }
}

impl Permit {
    /// Keeps what was lent, if anything was, when it was asked for at `at`.
    pub(super) fn keep(mut self, lease: Option<Lease>, then: Timestamp, at: Duration) {
        if let Some(lease) = lease {
            let held = Held::Lent { lease, then, at, window: self.window };
            self.leases.shard(self.digest).insert(self.digest, held);
            self.kept = true;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.kept {
            self.leases.shard(self.digest).remove(&self.digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    const WINDOW: Duration = Duration::from_secs(60);

    #[test]
    fn a_client_has_one_lease_at_most_and_its_window_ends_it() {
        let ten = NonZeroU32::new(10).unwrap();
        let limit = Limit { lease: Some(ten), ..Limit::new("l", ten, WINDOW) };
        let (leases, client) = (Arc::new(Leases::default()), Digest::from_number(1));
        let then = Timestamp::from_secs(1_795_000_000);
        let permit = leases.spend(&limit, client, Duration::ZERO).unwrap_err().unwrap();
        let other = leases.spend(&limit, client, Duration::ZERO);
        assert!(matches!(other, Err(None)), "somebody asks already");
        let lease = Lease::taken(&limit, NonZeroU32::new(4).unwrap(), None, then);
        permit.keep(lease, then, Duration::ZERO);
        let just_before = WINDOW - Duration::from_millis(1);
        assert!(leases.spend(&limit, client, just_before).is_ok());
        assert!(leases.spend(&limit, client, WINDOW).is_err(), "two are left, and are lost");
    }

    #[test]
    fn leave_to_ask_comes_back_when_it_is_given_up() {
        let ten = NonZeroU32::new(10).unwrap();
        let limit = Limit::new("l", ten, WINDOW);
        let (leases, client) = (Arc::new(Leases::default()), Digest::from_number(1));
        for _ in 0..2 {
            let permit = leases.spend(&limit, client, Duration::ZERO).unwrap_err();
            drop(permit.expect("leave to ask"));
        }
    }
}
