//! Where limiter states live in this process: a bounded number of them.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use tidegate_core::rate::{Limit, State};
use tidegate_core::{Admission, LimitKey, Timestamp};

const SHARDS: usize = 64;

/// Limiter states by key. Keys beyond the capacity share one overflow state per shard, so
/// that a flood of new keys is limited as one client and never pushes out a blocked one.
#[derive(Debug)]
pub struct Limiter {
    hasher: RandomState,
    shards: Vec<Mutex<Shard>>,
    capacity_per_shard: usize,
}

#[derive(Debug, Default)]
struct Shard {
    states: HashMap<LimitKey, Kept>,
    overflow: Option<State>,
    /// No sweep before this: nothing expires sooner.
    sweep_at: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    state: State,
    expires: Timestamp,
}

impl Limiter {
    /// A limiter for at most about `capacity` keys.
    pub fn new(capacity: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect(),
            capacity_per_shard: capacity.div_ceil(SHARDS),
        }
    }

    /// Decides on one request of the client `key`, and remembers it.
    pub fn admit(&self, limit: &Limit, key: LimitKey, now: Timestamp) -> Admission {
        let shard = (self.hasher.hash_one(&key) as usize) % SHARDS;
        // A panic while it was held leaves whole states behind, so they stay good.
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        shard.admit(limit, key, now, self.capacity_per_shard)
    }
}

impl Shard {
    fn admit(
        &mut self,
        limit: &Limit,
        key: LimitKey,
        now: Timestamp,
        capacity: usize,
    ) -> Admission {
        if let Some(kept) = self.states.get_mut(&key) {
            let admission = Admission::decide(limit, Some(kept.state), now);
            *kept = Kept::new(limit, &admission);
            return admission;
        }
        if self.states.len() >= capacity {
            self.sweep(now);
        }
        if self.states.len() >= capacity {
            let admission = Admission::decide(limit, self.overflow, now);
            self.overflow = Some(admission.next_state());
            return admission;
        }
        let admission = Admission::decide(limit, None, now);
        self.states.insert(key, Kept::new(limit, &admission));
        admission
    }

    /// Forgets what no longer tells anything; looks at every state, but not in vain.
    fn sweep(&mut self, now: Timestamp) {
        if now < self.sweep_at {
            return;
        }
        self.states.retain(|_, kept| now < kept.expires);
        self.sweep_at = self.states.values().map(|kept| kept.expires).min().unwrap_or(now);
    }
}

impl Kept {
    fn new(limit: &Limit, admission: &Admission) -> Self {
        let state = admission.next_state();
        Self { state, expires: state.expires(limit.window) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Duration;
    use tidegate_core::ClientFacts;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn limit(quota: u32) -> Limit {
        let minute = Duration::from_secs(60);
        let limit = Limit::new("l", quota.try_into().unwrap(), minute);
        Limit { block: Some(minute), ..limit }
    }

    fn key(number: u32) -> LimitKey {
        let ip = Some(IpAddr::V4(Ipv4Addr::from_bits(number)));
        LimitKey::of(&limit(1), &ClientFacts { ip, ..ClientFacts::default() }, &NO_FIELDS)
    }

    const NO_FIELDS: [(&str, &str); 0] = [];

    fn is_allowed(admission: Admission) -> bool {
        matches!(admission, Admission::Allow { .. })
    }

    #[test]
    fn r1_clients_are_counted_apart() {
        let (limiter, limit) = (Limiter::new(1000), limit(2));
        for number in [1, 2] {
            assert!(is_allowed(limiter.admit(&limit, key(number), NOW)));
            assert!(is_allowed(limiter.admit(&limit, key(number), NOW)));
            assert!(!is_allowed(limiter.admit(&limit, key(number), NOW)));
        }
    }

    #[test]
    fn r6_a_flood_of_clients_costs_bounded_memory_and_frees_nobody() {
        let (limiter, limit) = (Limiter::new(640), limit(1));
        let blocked = key(u32::MAX);
        limiter.admit(&limit, blocked.clone(), NOW);
        assert!(!is_allowed(limiter.admit(&limit, blocked.clone(), NOW)));
        for number in 0..20_000 {
            limiter.admit(&limit, key(number), NOW);
        }
        let kept: usize = limiter.shards.iter().map(|s| s.lock().unwrap().states.len()).sum();
        assert!(kept <= 640, "{kept}");
        assert!(!is_allowed(limiter.admit(&limit, blocked.clone(), NOW)));
        let later = NOW + Duration::from_secs(61);
        assert!(is_allowed(limiter.admit(&limit, key(30_000), later)), "the flood is forgotten");
    }
}
