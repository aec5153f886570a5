//! Traces of requests under limits of every algorithm, by a clock that is set back and forth, with
//! the verdicts of the core: what each store is held to.

use std::{collections::HashMap, net::Ipv6Addr, num::NonZeroU32, time::Duration};

use tidegate_core::{
    Timestamp,
    rate::{Admission, Algorithm, ClientFacts, KeyPart, Limit, LimitKey, State},
};

const MINUTE: Duration = Duration::from_secs(60);

/// When a trace begins. Later than today, so that what a store clears away by its own clock it
/// leaves alone.
const BEGIN: Timestamp = Timestamp::from_secs(2_200_000_000);

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Who asks.
    pub client: u64,
    /// When, by the clock of the store.
    pub now: Timestamp,
    /// What the store knows of the client then.
    pub known: Option<State>,
    /// The core's verdict.
    pub expected: Admission,
}

/// What a trace consists of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// How many clients ask.
    pub clients: usize,
    /// How many requests may proceed, at once or in their turn.
    pub allowed: usize,
    /// How many may not.
    pub refused: usize,
}

/// Limits of all algorithms, with and without block, log and buckets, burst and spread.
#[must_use]
pub fn limits() -> Vec<Limit> {
    let gcra = |name, quota, block| limit(name, Algorithm::Gcra, quota, MINUTE, block);
    vec![
        limit("fixed", Algorithm::FixedWindow, 5, MINUTE, None),
        limit("blocking", Algorithm::FixedWindow, 3, MINUTE, Some(MINUTE * 5)),
        limit("log", Algorithm::SlidingWindow, 4, MINUTE, None),
        limit("longest-log", Algorithm::SlidingWindow, 16, MINUTE * 9, None),
        limit("blocking-log", Algorithm::SlidingWindow, 4, MINUTE, Some(MINUTE * 2)),
        limit("buckets", Algorithm::SlidingWindow, 23, MINUTE, None),
        limit("blocking-buckets", Algorithm::SlidingWindow, 17, MINUTE, Some(MINUTE)),
        gcra("pace", 7, None),
        Limit { burst: 5, ..gcra("burst", 13, None) },
        Limit { burst: 2, ..gcra("blocking-pace", 7, Some(MINUTE)) },
        Limit {
            burst: 9,
            spread: true,
            ..limit("spread", Algorithm::Gcra, 100, MINUTE * 15, None)
        },
    ]
}

/// A limit by address.
///
/// # Panics
/// If the quota is zero.
#[must_use]
pub fn limit(
    name: &str,
    algorithm: Algorithm,
    quota: u32,
    window: Duration,
    block: Option<Duration>,
) -> Limit {
    let limit = Limit::new(name, NonZeroU32::new(quota).expect("a quota"), window);
    Limit { algorithm, block, key: vec![KeyPart::ClientIp], ..limit }
}

/// What a client of a trace is counted by.
#[must_use]
pub fn key(limit: &Limit, client: u64) -> LimitKey {
    const NO_FIELDS: [(&str, &str); 0] = [];
    let ip = Ipv6Addr::from_bits(u128::from(client) << 64);
    let client = ClientFacts { ip: Some(ip.into()), ..ClientFacts::default() };
    LimitKey::of(limit, &client, &NO_FIELDS)
}

/// So many requests under `limit` of up to 2,008 clients, eight of which ask all the time. The
/// same for the same seed.
#[must_use]
pub fn trace(limit: &Limit, seed: u64, events: usize) -> Vec<Event> {
    let mut random = seed;
    let mut next = move |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    let window = limit.window.as_millis() as u64;
    let mut now = BEGIN;
    let mut states: HashMap<u64, State> = HashMap::new();
    let mut event = || {
        let client = if next(2) == 0 { next(8) } else { 8 + next(2000) };
        match next(500) {
            0 => now = now.before(Duration::from_millis(next(3 * window))),
            1 => now = now + Duration::from_millis(next(3 * window)),
            // Windows begin and end to the millisecond.
            2 => now = now + limit.window,
            _ => now = now + Duration::from_millis(next(window / 1000)),
        }
        let known = states.get(&client).copied();
        let expected = Admission::decide(limit, known, now);
        states.insert(client, expected.next_state());
        Event { client, now, known, expected }
    };
    (0..events).map(|_| event()).collect()
}

impl Tally {
    /// What `events` consist of.
    #[must_use]
    pub fn of(events: &[Event]) -> Self {
        let mut clients: Vec<u64> = events.iter().map(|event| event.client).collect();
        clients.sort_unstable();
        clients.dedup();
        let is_refused = |event: &&Event| matches!(event.expected, Admission::Deny { .. });
        let refused = events.iter().filter(is_refused).count();
        Self { clients: clients.len(), allowed: events.len() - refused, refused }
    }
}
