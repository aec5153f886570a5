//! The store `local`: the key of a client is made, its state found, decided on and kept.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use tidegate_bench::allocations;
use tidegate_bench::measure::Work;
use tidegate_core::rate::{Algorithm, Limit, LimitKey};
use tidegate_core::{Admission, ClientFacts, Timestamp};
use tidegate_origin::limiter::Limiter;
use tidegate_origin::tallies::Tallies;

use crate::world::{Arrivals, Make, Measured, time_of};

const NAME: &str = "local";
const NO_FIELDS: [(&str, &str); 0] = [];
/// Not judged: what a flood of clients costs that nobody knows.
const UNKNOWN: &str = "an unknown client, and no room";

/// Whether the budgets are about what has this name.
pub(crate) fn is_judged(name: &str) -> bool {
    name.starts_with(NAME) && !name.ends_with(UNKNOWN)
}

const TALLY: &str = "tally: what a limit has said";
const DAY: Duration = Duration::from_secs(86_400);

/// Every algorithm, for clients that may proceed and for those that may not.
pub(crate) fn all(known: u32) -> Vec<Make> {
    use Algorithm::{FixedWindow, Gcra, SlidingWindow};
    // Each client comes eight times in a window on average, which is half of a full log.
    let (quota, window) = (1_000_000, time_of(8, known));
    let kinds = [
        ("fixed window", FixedWindow, quota),
        ("sliding window, log", SlidingWindow, 16),
        ("sliding window, counts", SlidingWindow, quota),
        ("even pace", Gcra, quota),
    ];
    let mut all = Vec::new();
    for (kind, algorithm, quota) in kinds {
        let limit = limit(algorithm, quota, window);
        let blocking = Limit { block: Some(DAY), ..self::limit(algorithm, 1, DAY) };
        let name = format!("{NAME}: {kind}");
        all.push((name.clone(), make(name, limit, known)));
        let name = format!("{NAME}: {kind}, blocked");
        all.push((name.clone(), make(name, blocking, known)));
    }
    let clients = NonZeroU32::new(known);
    let full = Limit { clients, ..limit(FixedWindow, quota, DAY * 365) };
    let name = format!("{NAME}: {UNKNOWN}");
    all.push((name.clone(), Box::new(move || flood(name, full, known))));
    if known == 1 {
        all.push((TALLY.into(), Box::new(tally)));
    }
    all
}

/// What counting adds to each decision in the shim.
fn tally() -> Measured {
    let limit = limit(Algorithm::FixedWindow, 1, DAY);
    let (tallies, held) = allocations::held(|| Tallies::new(std::slice::from_ref(&limit)));
    let said = Ok(Admission::decide(&limit, None, Timestamp::EPOCH));
    let work = Work::new(TALLY, move |_| tallies.count(&limit, black_box(&said)));
    Measured { work, held }
}

fn make(name: String, limit: Limit, known: u32) -> Box<dyn FnOnce() -> Measured> {
    Box::new(move || {
        let is_blocking = limit.block.is_some();
        let (limiter, held) = allocations::held(|| filled(&limit, known));
        // The fullest shards have no room for a few of a million.
        assert!(limiter.len(&limit.name) * 1000 >= known as usize * 999);
        let mut arrivals = Arrivals::of(known);
        let mut refused = 0_u64;
        let work = Work::new(name, move |_| {
            let (address, now) = arrivals.next();
            let admission = limiter.admit(&limit, &key(&limit, address), now);
            refused += u64::from(matches!(admission, Admission::Deny { .. }));
            assert!(is_blocking || refused <= 1000 + now.as_millis() / 16, "{refused} refused");
            admission
        });
        Measured { work, held }
    })
}

/// Each request is the first of its client, and somebody must go.
fn flood(name: String, limit: Limit, known: u32) -> Measured {
    let (limiter, held) = allocations::held(|| filled(&limit, known));
    let mut next = known;
    let work = Work::new(name, move |_| {
        next = next.wrapping_add(1);
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000_u32.wrapping_add(next));
        limiter.admit(&limit, &key(&limit, address), Timestamp::from_secs(1_795_000_001))
    });
    Measured { work, held }
}

/// A limiter that knows all clients: each has come, and where it is blocked, once too often.
fn filled(limit: &Limit, known: u32) -> Limiter {
    let limiter = Limiter::new(std::slice::from_ref(limit));
    for (address, now) in Arrivals::each(known) {
        // One more than at once may pass, where it is to be blocked.
        let requests = if limit.block.is_some() { 2 + limit.burst } else { 1 };
        for _ in 0..requests {
            limiter.admit(limit, &key(limit, address), now);
        }
    }
    limiter
}

fn key(limit: &Limit, address: std::net::Ipv4Addr) -> LimitKey {
    let client = ClientFacts { ip: Some(address.into()), ..ClientFacts::default() };
    LimitKey::of(limit, &client, &NO_FIELDS)
}

fn limit(algorithm: Algorithm, quota: u32, window: Duration) -> Limit {
    let burst = if algorithm == Algorithm::Gcra { quota } else { 0 };
    let standard = Limit::new("standard", NonZeroU32::new(quota).unwrap(), window);
    Limit { algorithm, burst, ..standard }
}
