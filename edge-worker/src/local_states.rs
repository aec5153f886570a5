//! Limiter states in the memory of this isolate: small, lost at any time, and free to ask.

use std::collections::BTreeMap;

use tidegate_core::Timestamp;
use tidegate_core::rate::{LimitKey, State};

/// Clients remembered at most. An entry takes about 150 bytes, so all take well under a
/// hundredth of an isolate's 128 MB.
const CAPACITY: usize = 4096;

/// States by key, bounded in number.
#[derive(Default)]
pub(crate) struct LocalStates {
    entries: BTreeMap<Box<[u8]>, Entry>,
}

struct Entry {
    state: State,
    expires: Timestamp,
}

impl LocalStates {
    /// What is remembered of `key`.
    pub(crate) fn get(&self, key: &LimitKey) -> Option<State> {
        self.entries.get(key.as_bytes()).map(|entry| entry.state)
    }

    /// Remembers `state`, which tells nothing any more from `expires` on.
    pub(crate) fn put(&mut self, key: &LimitKey, state: State, expires: Timestamp, now: Timestamp) {
        if self.entries.len() >= CAPACITY && !self.entries.contains_key(key.as_bytes()) {
            self.make_room(now);
        }
        self.entries.insert(key.as_bytes().into(), Entry { state, expires });
    }

    /// Drops what expired, and if nothing did, the half that expires first: so the walk
    /// through all is paid for by thousands of requests that fill the room again.
    fn make_room(&mut self, now: Timestamp) {
        self.entries.retain(|_, entry| now < entry.expires);
        if self.entries.len() < CAPACITY {
            return;
        }
        let mut times: Vec<Timestamp> = self.entries.values().map(|entry| entry.expires).collect();
        let (_, median, _) = times.select_nth_unstable(CAPACITY / 2);
        let median = *median;
        self.entries.retain(|_, entry| entry.expires > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tidegate_core::ClientFacts;
    use tidegate_core::rate::Limit;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);

    fn key(client: u32) -> LimitKey {
        let limit = Limit::new("l", std::num::NonZeroU32::MIN, Duration::from_secs(60));
        let ip = Some(std::net::Ipv4Addr::from(client).into());
        LimitKey::of(&limit, &ClientFacts { ip, ..ClientFacts::default() }, &NO_FIELDS)
    }

    const NO_FIELDS: [(&str, &str); 0] = [];

    /// Remembers `clients`, each for a second longer than the one before.
    fn fill(states: &mut LocalStates, clients: std::ops::Range<u32>, now: Timestamp) {
        for client in clients {
            let until = NOW + Duration::from_secs(u64::from(client));
            states.put(&key(client), State::Blocked { until }, until, now);
        }
    }

    fn len(states: &LocalStates) -> usize {
        states.entries.len()
    }

    #[test]
    fn a_full_memory_forgets_first_what_tells_nothing_any_more() {
        let mut states = LocalStates::default();
        fill(&mut states, 0..CAPACITY as u32, NOW);
        assert_eq!(len(&states), CAPACITY);
        let later = NOW + Duration::from_secs(100);
        fill(&mut states, 5000..5001, later);
        assert_eq!(len(&states), CAPACITY - 100);
        assert!(states.get(&key(100)).is_none() && states.get(&key(101)).is_some());
    }

    #[test]
    fn a_memory_full_of_live_clients_forgets_the_half_that_ends_first() {
        let mut states = LocalStates::default();
        fill(&mut states, 1..10_001, NOW);
        assert!(len(&states) <= CAPACITY && len(&states) > CAPACITY / 4);
        assert!(states.get(&key(10_000)).is_some() && states.get(&key(1)).is_none());
    }
}
