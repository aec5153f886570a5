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
