//! Limiter states in the memory of this isolate: bounded, lost at any time, and free to ask.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_core::Timestamp;
use tidegate_core::rate::{Admission, Limit, LimitKey, State};

/// Clients remembered at most. An entry takes [`ENTRY_MAX`] bytes at most, so all take less
/// than 2 MB, and an isolate has 128.
const CAPACITY: usize = 4096;

/// What an entry takes: the key, the state, and its share of a tree whose nodes may be half
/// empty.
#[cfg(test)]
const ENTRY_MAX: usize = 400;

/// So long nobody looks for room again where all clients are refused ones.
const FULL_FOR: Duration = Duration::from_secs(1);

/// States by key. Those who are refused stay until their time is up, however many others come:
/// what came in between would have a new quota else. When all places are theirs, newcomers share
/// one quota for each limit.
#[derive(Default)]
pub(super) struct LocalStates {
    entries: BTreeMap<Box<[u8]>, Entry>,
    /// The quotas of newcomers; as many as there are limits.
    shared: BTreeMap<Box<str>, State>,
    /// When to look for room again.
    full_until: Option<Timestamp>,
}

struct Entry {
    state: State,
    expires: Timestamp,
    is_refused: bool,
}

impl LocalStates {
    /// What is remembered of `key`.
    pub(super) fn get(&self, key: &LimitKey) -> Option<State> {
        self.entries.get(key.as_bytes()).map(|entry| entry.state)
    }

    /// Decides on one request by what is remembered.
    pub(super) fn decide(&mut self, limit: &Limit, key: &LimitKey, now: Timestamp) -> Admission {
        if self.has_room(key, now) {
            let admission = Admission::decide(limit, self.get(key), now);
            let state = admission.next_state();
            let is_refused = matches!(admission, Admission::Deny { .. });
            self.put(key, Entry { state, expires: state.expires(limit.window), is_refused });
            return admission;
        }
        let admission = Admission::decide(limit, self.shared.get(&*limit.name).copied(), now);
        self.shared.insert(limit.name.as_str().into(), admission.next_state());
        admission
    }

    /// Remembers that `key` is refused until `expires`, if there is room for it.
    pub(super) fn remember(
        &mut self,
        key: &LimitKey,
        state: State,
        expires: Timestamp,
        now: Timestamp,
    ) {
        if self.has_room(key, now) {
            self.put(key, Entry { state, expires, is_refused: true });
        }
    }

    fn put(&mut self, key: &LimitKey, entry: Entry) {
        self.entries.insert(key.as_bytes().into(), entry);
    }

    /// Whether there is a place for `key`, if need be one that is made.
    fn has_room(&mut self, key: &LimitKey, now: Timestamp) -> bool {
        if self.entries.len() < CAPACITY || self.entries.contains_key(key.as_bytes()) {
            return true;
        }
        if self.full_until.is_some_and(|until| now < until && until <= now + FULL_FOR) {
            return false;
        }
        self.make_room(now);
        // Few places would soon be taken, and the next walk through all is as long.
        let is_full = self.entries.len() > CAPACITY - CAPACITY / 8;
        self.full_until = is_full.then_some(now + FULL_FOR);
        !is_full
    }

    /// Drops what expired; if that was little, of those who are not refused the half that
    /// expires first. So the walk through all is paid for by hundreds of requests that fill the
    /// room again.
    fn make_room(&mut self, now: Timestamp) {
        self.entries.retain(|_, entry| now < entry.expires);
        if self.entries.len() <= CAPACITY / 2 {
            return;
        }
        let allowed = self.entries.values().filter(|entry| !entry.is_refused);
        let mut times: Vec<Timestamp> = allowed.map(|entry| entry.expires).collect();
        let middle = times.len() / 2;
        if times.is_empty() {
            return;
        }
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        self.entries.retain(|_, entry| entry.is_refused || entry.expires > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::ClientFacts;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn limit() -> Limit {
        Limit::new("l", std::num::NonZeroU32::MIN, MINUTE)
    }

    fn key(client: u32) -> LimitKey {
        let ip = Some(std::net::Ipv4Addr::from(client).into());
        LimitKey::of(&limit(), &ClientFacts { ip, ..ClientFacts::default() }, &NO_FIELDS)
    }

    const NO_FIELDS: [(&str, &str); 0] = [];

    fn is_allowed(states: &mut LocalStates, client: u32, now: Timestamp) -> bool {
        matches!(states.decide(&limit(), &key(client), now), Admission::Allow { .. })
    }

    /// Each of `clients` asks once, a millisecond behind the one before.
    fn ask_once(states: &mut LocalStates, clients: std::ops::Range<u32>) {
        for client in clients {
            let now = NOW + Duration::from_millis(u64::from(client));
            assert!(is_allowed(states, client, now), "{client}");
            assert!(states.entries.len() <= CAPACITY);
        }
    }

    #[test]
    fn a_full_memory_forgets_first_what_tells_nothing_any_more() {
        let mut states = LocalStates::default();
        ask_once(&mut states, 0..CAPACITY as u32);
        assert_eq!(states.entries.len(), CAPACITY);
        let later = NOW + MINUTE + Duration::from_millis(3000);
        assert!(is_allowed(&mut states, 5000, later));
        assert_eq!(states.entries.len(), CAPACITY - 3001 + 1);
    }

    #[test]
    fn a_memory_full_of_live_clients_forgets_the_half_that_ends_first() {
        let mut states = LocalStates::default();
        ask_once(&mut states, 0..10_000);
        assert!(states.entries.len() > CAPACITY / 4);
        assert!(states.get(&key(9999)).is_some() && states.get(&key(1)).is_none());
    }

    #[test]
    fn who_is_refused_stays_however_many_others_come() {
        let mut states = LocalStates::default();
        for client in 0..1000 {
            assert!(is_allowed(&mut states, client, NOW));
            assert!(!is_allowed(&mut states, client, NOW));
        }
        ask_once(&mut states, 1000..20_000);
        for client in 0..1000 {
            assert!(!is_allowed(&mut states, client, NOW + MINUTE / 2), "{client}");
        }
    }

    #[test]
    fn newcomers_share_a_quota_where_all_places_are_taken_by_the_refused() {
        let mut states = LocalStates::default();
        for client in 0..CAPACITY as u32 {
            is_allowed(&mut states, client, NOW);
            is_allowed(&mut states, client, NOW);
        }
        let newcomers = (5000..50_000).filter(|client| is_allowed(&mut states, *client, NOW));
        assert_eq!(newcomers.count(), 1, "a quota of one, for all of them");
        assert_eq!(states.entries.len(), CAPACITY);
        assert!(!is_allowed(&mut states, 7, NOW), "whom it knows it knows");
        let over = NOW + MINUTE;
        assert!(is_allowed(&mut states, 7, over) && is_allowed(&mut states, 60_000, over));
    }

    #[test]
    fn an_entry_takes_no_more_bytes_than_stated() {
        let node = size_of::<Box<[u8]>>() + size_of::<Entry>();
        let longest_key = 4 + 64 + 1 + 4 + 64;
        // Nodes of eleven entries are at least five full.
        assert!(node * 11 / 5 + longest_key + 16 <= ENTRY_MAX, "{node}");
    }
}
