//! What a million keys of an attacker cost, by the allocator's count.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::time::Duration;

use tidegate_bench::allocations::{self, Counting};
use tidegate_core::rate::{Algorithm, Limit};
use tidegate_core::{ClientFacts, LimitKey, Timestamp};
use tidegate_origin::limiter::Limiter;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const NO_FIELDS: [(&str, &str); 0] = [];

/// Full shards, so that what a shard takes by itself hardly counts.
const CLIENTS: u32 = 32_768;

fn limit(algorithm: Algorithm, quota: u32) -> Limit {
    let limit = Limit::new("l", NonZeroU32::new(quota).expect("not zero"), Duration::from_secs(60));
    Limit { algorithm, clients: NonZeroU32::new(CLIENTS), ..limit }
}

/// Bytes that are held when so many clients have come, each so often.
fn held(limit: &Limit, clients: u32, requests: u32) -> i64 {
    let (limiter, held) = allocations::held(|| {
        let limiter = Limiter::new(std::slice::from_ref(limit));
        for client in 0..clients {
            let ip = Some(Ipv4Addr::from_bits(client).into());
            let facts = ClientFacts { ip, ..ClientFacts::default() };
            let key = LimitKey::of(limit, &facts, &NO_FIELDS);
            for _ in 0..requests {
                limiter.admit(limit, &key, NOW);
            }
        }
        limiter
    });
    assert!(limiter.len("l") <= CLIENTS as usize);
    held
}

#[test]
fn a_client_takes_at_most_a_hundred_bytes_however_many_come() {
    use Algorithm::{FixedWindow, Gcra, SlidingWindow};
    for (algorithm, quota) in
        [(FixedWindow, 100), (SlidingWindow, 1000), (SlidingWindow, 16), (Gcra, 10)]
    {
        let limit = limit(algorithm, quota);
        for clients in [CLIENTS / 2, CLIENTS, CLIENTS * 2] {
            let each = held(&limit, clients, 1) / i64::from(clients.min(CLIENTS));
            assert!(each <= 100, "{each} bytes: {algorithm:?}, {clients} clients");
        }
    }
}

#[test]
fn blocked_clients_take_their_names_on_top_and_no_more() {
    let limit = Limit { block: Some(Duration::from_secs(60)), ..limit(Algorithm::FixedWindow, 1) };
    let held = held(&limit, CLIENTS * 2, 2);
    assert!(held <= i64::from(CLIENTS) * 100 + 3_000_000, "{held}");
}

#[test]
fn a_decision_on_a_known_client_allocates_nothing() {
    let limit = limit(Algorithm::SlidingWindow, 16);
    let limiter = Limiter::new(std::slice::from_ref(&limit));
    let facts = ClientFacts { user: Some("ada"), ..ClientFacts::default() };
    let ask = || {
        let key = LimitKey::of(&limit, &facts, &NO_FIELDS);
        limiter.admit(&limit, &key, NOW)
    };
    ask();
    for _ in 0..40 {
        assert_eq!(allocations::count(ask), 0);
    }
}
