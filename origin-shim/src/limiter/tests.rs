//! The same verdicts as with unbounded memory while there is room; beyond it, blocks hold.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use tidegate_core::ClientFacts;
use tidegate_core::rate::{Algorithm, KeyPart, State};

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const MINUTE: Duration = Duration::from_secs(60);

fn limit(name: &str, quota: u32, window: Duration) -> Limit {
    let limit = Limit::new(name, NonZeroU32::new(quota).unwrap(), window);
    Limit { key: vec![KeyPart::ClientIp], ..limit }
}

fn blocking(quota: u32, clients: u32) -> Limit {
    let clients = NonZeroU32::new(clients);
    Limit { block: Some(MINUTE), clients, ..limit("l", quota, MINUTE) }
}

fn key(limit: &Limit, client: u32) -> LimitKey {
    let ip = Some(Ipv4Addr::from_bits(client).into());
    LimitKey::of(limit, &ClientFacts { ip, ..ClientFacts::default() }, &NO_FIELDS)
}

const NO_FIELDS: [(&str, &str); 0] = [];

fn limiter(limit: &Limit) -> Limiter {
    Limiter::new(std::slice::from_ref(limit))
}

/// Whether a request passes.
fn ask(limiter: &Limiter, limit: &Limit, client: u32, now: Timestamp) -> bool {
    let admission = limiter.admit(limit, &key(limit, client), now);
    !matches!(admission, Admission::Deny { .. })
}

/// Asks as often as it takes to be blocked.
fn block(limiter: &Limiter, limit: &Limit, clients: impl Iterator<Item = u32>) {
    for client in clients {
        while ask(limiter, limit, client, NOW) {}
    }
}

#[test]
fn r1_clients_and_limits_are_counted_apart() {
    let limits = [limit("a", 2, MINUTE), limit("b", 1, MINUTE)];
    let limiter = Limiter::new(&limits);
    for client in [1, 2] {
        assert!(ask(&limiter, &limits[0], client, NOW) && ask(&limiter, &limits[1], client, NOW));
        assert!(ask(&limiter, &limits[0], client, NOW) && !ask(&limiter, &limits[1], client, NOW));
        assert!(!ask(&limiter, &limits[0], client, NOW));
    }
}

#[test]
fn r6_a_flood_of_clients_frees_nobody_who_is_refused() {
    for algorithm in [Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::Gcra] {
        let limit = Limit { block: None, algorithm, ..blocking(1, 500) };
        let limiter = limiter(&limit);
        block(&limiter, &limit, 0..100);
        for client in 1000..4_000 {
            ask(&limiter, &limit, client, NOW);
        }
        assert_eq!(limiter.len("l"), 500);
        assert!((0..100).all(|client| !ask(&limiter, &limit, client, NOW)), "{algorithm:?}");
    }
}

#[test]
fn r6_the_least_recently_used_client_goes_first() {
    let limit = blocking(10, 500);
    let limiter = limiter(&limit);
    for client in 0..500 {
        ask(&limiter, &limit, client, NOW);
    }
    // All of the first hundred come again, but for one of them.
    for client in (0..100).filter(|client| *client != 42) {
        ask(&limiter, &limit, client, NOW);
    }
    let known = |client| lookup(&limiter, &limit, client).is_some();
    ask(&limiter, &limit, 9000, NOW);
    assert!(!known(42) && known(9000) && known(100));
    ask(&limiter, &limit, 9001, NOW);
    assert!(!known(100) && known(101) && known(0));
    assert_eq!(limiter.len("l"), 500);
}

#[test]
fn r6_who_has_expired_goes_before_anybody_else() {
    let limit = blocking(10, 100);
    let limiter = limiter(&limit);
    let late = NOW + MINUTE;
    ask(&limiter, &limit, 7, NOW);
    for client in 100..199 {
        ask(&limiter, &limit, client, late.before(Duration::from_millis(1)));
    }
    ask(&limiter, &limit, 9000, late);
    assert!((100..199).all(|client| lookup(&limiter, &limit, client).is_some()));
    assert!(lookup(&limiter, &limit, 7).is_none());
}

#[test]
fn strangers_share_one_quota_when_all_places_are_blocked_until_the_blocks_end() {
    // 8,000 clients are in two shards.
    for clients in [100, 8000] {
        let limits = [blocking(3, clients), Limit { name: "m".into(), ..blocking(3, clients) }];
        let limiter = Limiter::new(&limits);
        block(&limiter, &limits[0], 0..clients * 2);
        assert_eq!(limiter.len("l"), clients as usize);
        let passed = (50_000..50_100).filter(|client| ask(&limiter, &limits[0], *client, NOW));
        // Those beyond the capacity have used the quota up.
        assert_eq!(passed.count(), 0, "one quota for all of them");
        assert!(ask(&limiter, &limits[1], 50_000, NOW), "and another for each limit");
        assert!(ask(&limiter, &limits[0], 50_000, NOW + MINUTE), "it is forgotten");
    }
}

#[test]
fn what_expired_is_forgotten_while_others_come() {
    let limit = limit("l", 10, MINUTE);
    let limiter = limiter(&limit);
    for client in 0..10_000 {
        ask(&limiter, &limit, client, NOW);
    }
    for client in 10_000..16_000 {
        ask(&limiter, &limit, client, NOW + MINUTE);
    }
    assert!(limiter.len("l") < 8_000, "{}", limiter.len("l"));
}

#[test]
fn r9_who_is_blocked_can_be_listed_and_unblocked() {
    let limit = blocking(1, 1000);
    let limiter = limiter(&limit);
    ask(&limiter, &limit, 1, NOW);
    block(&limiter, &limit, [0xc000_0201, 0xc000_0202].into_iter());
    let until = NOW + MINUTE;
    let named = |client: &str| Block { client: client.into(), until };
    let both = [named("ip:192.0.2.1"), named("ip:192.0.2.2")];
    assert_eq!(limiter.blocked("l", NOW), both);
    assert_eq!(limiter.blocked("nothing", NOW), []);
    assert!(limiter.unblock("l", "ip:192.0.2.1") && !limiter.unblock("l", "ip:192.0.2.1"));
    assert!(!limiter.unblock("l", "ip:192.0.2.3") && !limiter.unblock("nothing", "ip:192.0.2.2"));
    assert_eq!(limiter.blocked("l", NOW), both[1..]);
    assert!(ask(&limiter, &limit, 0xc000_0201, NOW), "its quota is whole again");
    assert_eq!(limiter.blocked("l", until), [], "a block that has ended is none");
}

#[test]
fn r8_a_block_by_the_word_of_another_store_holds_and_is_listed_and_pushes_nobody_out() {
    let limit = blocking(2, 3);
    let limiter = limiter(&limit);
    let (until, later) = (NOW + MINUTE, NOW + MINUTE * 9);
    ask(&limiter, &limit, 1, NOW);
    for end in [until, later] {
        limiter.note_block(&limit, &key(&limit, 1), end, NOW);
    }
    assert!(!ask(&limiter, &limit, 1, NOW) && limiter.refuses(&limit, &key(&limit, 1), NOW));
    assert_eq!(limiter.blocked("l", NOW), [Block { client: "ip:0.0.0.1".into(), until }]);
    for client in 2..9 {
        limiter.note_block(&limit, &key(&limit, client), until, NOW);
    }
    assert_eq!((limiter.len("l"), limiter.blocked("l", NOW).len()), (3, 3));
    assert!((1..4).all(|client| !ask(&limiter, &limit, client, NOW)));
    assert!(!limiter.refuses(&limit, &key(&limit, 9), NOW), "it is not known");
    assert!(ask(&limiter, &limit, 1, until));
}

#[test]
fn the_names_of_the_blocked_are_bounded_and_make_room() {
    let limit = blocking(1, 40_000);
    let limiter = limiter(&limit);
    block(&limiter, &limit, 0..12_000);
    assert_eq!(limiter.blocked("l", NOW).len(), blocked::NAMES_MAX);
    assert!(limiter.unblock("l", "ip:0.0.46.223"), "11,999 is blocked all the same");
    let later = NOW + MINUTE;
    for _ in 0..2 {
        ask(&limiter, &limit, 90_000, later);
    }
    let names: Vec<String> = limiter.blocked("l", later).into_iter().map(|b| b.client).collect();
    assert_eq!(names, ["ip:0.1.95.144"]);
}

#[test]
fn r9_what_is_known_of_clients_survives_a_change_of_the_limit() {
    let before = Limit { algorithm: Algorithm::SlidingWindow, ..blocking(2, 8000) };
    let limiter = limiter(&before);
    block(&limiter, &before, 0..1000);
    for client in 1000..7000 {
        ask(&limiter, &before, client, NOW);
    }
    let raised = Limit { quota: NonZeroU32::new(3).unwrap(), ..before.clone() };
    let fewer = Limit { clients: NonZeroU32::new(1200), ..raised.clone() };
    let other = Limit { name: "other".into(), ..before.clone() };
    for after in [raised, fewer] {
        let next = limiter.succeed(&[other.clone(), after.clone()], NOW);
        assert_eq!(next.blocked("l", NOW).len(), 1000, "nobody is freed by a change");
        assert!((0..1000).all(|client| !ask(&next, &after, client, NOW)));
        assert!(next.len("l") <= after.clients.unwrap().get() as usize);
        assert_eq!((next.len("other"), next.blocked("other", NOW)), (0, Vec::new()));
    }
    let same = limiter.succeed(std::slice::from_ref(&before), NOW);
    assert!(ask(&limiter, &before, 1000, NOW) && !ask(&same, &before, 1000, NOW), "one memory");
}

#[test]
fn threads_count_together() {
    let limit = limit("l", 1000, MINUTE);
    let limiter = limiter(&limit);
    let passed: usize = std::thread::scope(|scope| {
        let count = || (0..700).filter(|_| ask(&limiter, &limit, 1, NOW)).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(passed, 1000);
}

/// What is known of a client.
fn lookup(limiter: &Limiter, limit: &Limit, client: u32) -> Option<State> {
    let digest = limiter.digester.digest(&key(limit, client));
    limiter.clients.get(&limit.name).unwrap().state(digest)
}

fn limits() -> impl Strategy<Value = Vec<Limit>> {
    let algorithms = &[Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::Gcra][..];
    let one = (select(algorithms), 1..20_u32, 1..5000_u64, prop::option::of(1..9000_u64));
    prop::collection::vec(one, 1..4).prop_map(|all| {
        let named = |(number, (algorithm, quota, window, block)): (usize, (_, _, _, Option<_>))| {
            let block = block.map(Duration::from_millis);
            let limit = limit(&format!("l{number}"), quota, Duration::from_millis(window));
            Limit { algorithm, block, ..limit }
        };
        all.into_iter().enumerate().map(named).collect()
    })
}

/// Requests: the time before each, the limit, the client.
fn requests() -> impl Strategy<Value = Vec<(u64, usize, u32)>> {
    prop::collection::vec((prop_oneof![0..3_u64, 0..900_u64], 0..3_usize, 0..40_u32), 1..300)
}

proptest! {
    #[test]
    fn the_verdicts_are_those_of_unbounded_memory(limits in limits(), requests in requests()) {
        let limiter = Limiter::new(&limits);
        let mut states: HashMap<(usize, u32), State> = HashMap::new();
        let mut now = NOW;
        for (pause, number, client) in requests {
            now = now + Duration::from_millis(pause);
            let number = number % limits.len();
            let limit = &limits[number];
            let known = states.get(&(number, client)).copied();
            let expected = Admission::decide(limit, known, now);
            prop_assert_eq!(limiter.admit(limit, &key(limit, client), now), expected);
            states.insert((number, client), expected.next_state());
        }
    }

    #[test]
    fn beyond_the_capacity_nobody_who_is_refused_passes(
        limits in limits(), requests in requests(), capacity in 1..20_u32,
    ) {
        let clients = NonZeroU32::new(capacity);
        let limits: Vec<Limit> = limits.into_iter().map(|l| Limit { clients, ..l }).collect();
        let limiter = Limiter::new(&limits);
        // Until when those are refused who have a place of their own.
        let mut refused: HashMap<(usize, u32), Timestamp> = HashMap::new();
        let mut now = NOW;
        for (pause, number, client) in requests {
            now = now + Duration::from_millis(pause);
            let number = number % limits.len();
            let limit = &limits[number];
            let admission = limiter.admit(limit, &key(limit, client), now);
            let until = refused.get(&(number, client)).copied().unwrap_or_default();
            match admission {
                Admission::Deny { retry_after, .. } => {
                    if lookup(&limiter, limit, client).is_some() {
                        refused.insert((number, client), now + retry_after);
                    }
                }
                _ => prop_assert!(now >= until, "{client} was to be refused until {until}"),
            }
            prop_assert!(limiter.len(&limit.name) <= capacity as usize);
        }
    }
}
