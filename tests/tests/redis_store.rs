//! Limits in a real Redis: it comes to the verdicts of the core, and what it cannot say is no
//! verdict.

use std::{num::NonZeroU32, time::Duration};

use futures_util::future::join_all;
use tidegate_core::{
    Timestamp,
    policy::Redis,
    rate::{Admission, Algorithm, Limit, StoreFailed},
};
use tidegate_origin::redis_limiter::{Clock, RedisLimiter};
use tidegate_tests::{
    limit_traces::{self, Event, Tally, key, limit},
    process::PATIENCE,
    redis::{Cluster, RedisServer, Sentinels, eventually},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn r1_r3_r4_r5_redis_comes_to_the_verdicts_of_the_core() {
    let server = RedisServer::start();
    let limiter = &connect(&server.url(), Clock::Told, SECOND * 10).await;
    let limits = limit_traces::limits();
    let tallies = join_all((1..).zip(&limits).map(|(seed, limit)| play(limiter, limit, seed)));
    for (limit, tally) in limits.iter().zip(tallies.await) {
        assert!(tally.clients > 800, "{}: {tally:?}", limit.name);
        assert!(tally.allowed > 300 && tally.refused > 100, "{}: {tally:?}", limit.name);
    }
    let questions = (limits.len() * EVENTS) as u64;
    let counted = limiter.counted();
    // The script comes along once; whoever asks in that moment asks twice, which counts once.
    assert_eq!((counted.round_trips, counted.failed), (questions, 0));
}

const EVENTS: usize = 2500;

/// Requests of many clients, by a clock that is set back and forth; each verdict compared with the
/// core's own.
async fn play(limiter: &RedisLimiter, limit: &Limit, seed: u64) -> Tally {
    let events = limit_traces::trace(limit, seed, EVENTS);
    for event in &events {
        let Event { client, now, expected, .. } = *event;
        let found = limiter.admit(limit, &key(limit, client), now).await;
        assert_eq!(found, Ok(expected), "{}: {client} at {now:?}", limit.name);
    }
    Tally::of(&events)
}

#[tokio::test]
async fn by_the_clock_of_the_server_a_decision_is_one_round_trip_and_a_refused_client_none() {
    let server = RedisServer::start();
    let limiter = connect(&server.url(), Clock::Server, SECOND * 10).await;
    let limit = limit("l", Algorithm::FixedWindow, 5, MINUTE * 60, Some(MINUTE * 60));
    for number in 0..20 {
        let admission = ask(&limiter, &limit, 1).await.unwrap();
        assert_eq!(matches!(admission, Admission::Allow { .. }), number < 5, "{admission:?}");
    }
    let counted = limiter.counted();
    assert_eq!((counted.round_trips, counted.failed), (6, 0), "five passed, one was refused");
    let calls = server.command(&["info", "commandstats"]);
    let called = |name: &str| calls.contains(&format!("cmdstat_{name}:calls="));
    assert!(called("evalsha") && calls.contains("cmdstat_eval:calls=1,"), "{calls}");

    let another = connect(&server.url(), Clock::Server, SECOND * 10).await;
    assert!(matches!(ask(&another, &limit, 1).await, Ok(Admission::Deny { .. })));
    assert!(matches!(ask(&another, &limit, 2).await, Ok(Admission::Allow { remaining: 4, .. })));
}

#[tokio::test]
async fn states_are_forgotten_when_they_tell_nothing_any_more() {
    let server = RedisServer::start();
    let limiter = connect(&server.url(), Clock::Server, SECOND * 10).await;
    for (client, (algorithm, block, longest)) in (1..).zip([
        (Algorithm::FixedWindow, None, MINUTE),
        (Algorithm::SlidingWindow, None, MINUTE),
        (Algorithm::Gcra, None, SECOND * 30),
        (Algorithm::FixedWindow, Some(MINUTE * 7), MINUTE * 7),
    ]) {
        server.command(&["flushall"]);
        let limit = limit("l", algorithm, 2, MINUTE, block);
        for _ in 0..3 {
            ask(&limiter, &limit, client).await.unwrap();
        }
        let keys = server.command(&["keys", "*"]);
        assert!(keys.starts_with("shop:{") && keys.ends_with('}'), "{keys}");
        let left: u64 = server.command(&["pttl", &keys]).parse().unwrap();
        let longest = longest.as_millis() as u64;
        assert!((longest / 2..=2 * longest).contains(&left), "{algorithm:?}: {left} ms");
    }
}

#[tokio::test]
async fn r8_what_makes_no_sense_is_no_verdict() {
    let server = RedisServer::start();
    let limiter = connect(&server.url(), Clock::Server, SECOND * 10).await;
    let limit = limit("l", Algorithm::FixedWindow, 5, MINUTE, None);
    ask(&limiter, &limit, 1).await.unwrap();
    let name = server.command(&["keys", "*"]);
    for nonsense in ["hello", "", "\u{3}\u{21}"] {
        server.command(&["set", &name, nonsense]);
        assert_eq!(ask(&limiter, &limit, 1).await, Err(StoreFailed), "{nonsense:?}");
        assert_eq!(server.command(&["get", &name]), nonsense, "it is not ours to overwrite");
        assert!(ask(&limiter, &limit, 2).await.is_ok(), "of another client all is known");
    }
    server.command(&["del", &name]);
    server.command(&["lpush", &name, "x"]);
    assert_eq!(ask(&limiter, &limit, 1).await, Err(StoreFailed));
    server.command(&["del", &name]);
    assert!(ask(&limiter, &limit, 1).await.is_ok());
}

#[tokio::test]
async fn r8_nonsense_under_one_key_costs_no_other_client_its_limit() {
    let server = RedisServer::start();
    let limiter = connect(&server.url(), Clock::Server, SECOND * 10).await;
    let limit = limit("l", Algorithm::FixedWindow, 5, MINUTE, None);
    ask(&limiter, &limit, 1).await.unwrap();
    let name = server.command(&["keys", "*"]);
    for nonsense in [["set", &name, "hello"], ["hset", &name, "x"]] {
        server.command(&["del", &name]);
        server.command(&[&nonsense[..], if nonsense[0] == "hset" { &["y"] } else { &[] }].concat());
        for _ in 0..10 {
            assert_eq!(ask(&limiter, &limit, 1).await, Err(StoreFailed), "{nonsense:?}");
        }
        assert!(!limiter.counted().is_open, "{nonsense:?}");
    }
    assert_eq!((limiter.counted().failed, limiter.counted().without), (20, 0));
    assert!(ask(&limiter, &limit, 2).await.is_ok());
}

#[tokio::test]
async fn r8_a_server_that_takes_writes_but_no_scripts_is_not_asked_again_and_again() {
    let server = RedisServer::start();
    server.command(&["acl", "setuser", "default", "-evalsha", "-eval"]);
    let rule = Redis { url: "REDIS_URL".into(), timeout: SECOND * 10, prefix: "shop:".into() };
    let limiter = RedisLimiter::open(&rule, &|_| Some(server.url()), Clock::Server).unwrap();
    limiter.tried().await;
    let limit = limit("l", Algorithm::FixedWindow, 5, MINUTE, None);
    for _ in 0..10 {
        assert_eq!(ask(&limiter, &limit, 1).await, Err(StoreFailed));
    }
    let counted = limiter.counted();
    assert_eq!((counted.round_trips, counted.without, counted.is_open), (0, 10, true));
    server.command(&["acl", "setuser", "default", "+evalsha", "+eval"]);
    eventually("an answer", || (!limiter.counted().is_open).then_some(()));
    assert!(ask(&limiter, &limit, 1).await.is_ok());
}

#[tokio::test]
async fn what_is_lent_is_kept_though_the_client_leaves() {
    let server = RedisServer::start();
    let limiter = connect(&server.url(), Clock::Server, SECOND * 10).await;
    let limit = Limit {
        lease: NonZeroU32::new(10),
        ..limit("l", Algorithm::FixedWindow, 100, MINUTE * 60, None)
    };
    server.freeze();
    let mut asked = Box::pin(ask(&limiter, &limit, 1));
    let gone = tokio::time::timeout(Duration::from_millis(20), &mut asked).await;
    assert!(gone.is_err(), "it waits");
    drop(asked);
    server.thaw();
    // Whoever asks meanwhile asks for one; behind the answer nobody asks.
    until(async || {
        let before = limiter.counted().round_trips;
        ask(&limiter, &limit, 1).await.unwrap();
        limiter.counted().round_trips == before
    })
    .await;
    let before = limiter.counted().round_trips;
    for _ in 0..8 {
        ask(&limiter, &limit, 1).await.unwrap();
    }
    assert_eq!(limiter.counted().round_trips, before, "nine were left, and one of them is spent");
}

#[tokio::test]
async fn r9_who_is_forgotten_has_its_whole_quota_and_a_changed_limit_is_asked_anew() {
    let server = RedisServer::start();
    let limiter = connect(&server.url(), Clock::Server, SECOND * 10).await;
    let two = limit("l", Algorithm::FixedWindow, 2, MINUTE * 60, Some(MINUTE * 60));
    let denied = |said| matches!(said, Ok(Admission::Deny { .. }));
    for _ in 0..2 {
        for client in [1, 2] {
            assert!(!denied(ask(&limiter, &two, client).await));
        }
    }
    for _ in 0..2 {
        assert!(denied(ask(&limiter, &two, 1).await) && denied(ask(&limiter, &two, 2).await));
    }
    assert!(limiter.refuses(&two, &key(&two, 1)) && !limiter.refuses(&two, &key(&two, 3)));
    assert_eq!(limiter.forget(&key(&two, 1)).await, Ok(true));
    assert_eq!(limiter.forget(&key(&two, 1)).await, Ok(false));
    assert!(!limiter.refuses(&two, &key(&two, 1)));
    assert!(!denied(ask(&limiter, &two, 1).await) && denied(ask(&limiter, &two, 2).await));
    let freed = Limit { block: Some(Duration::ZERO), ..two.clone() };
    assert!(!denied(ask(&limiter, &freed, 2).await), "a block of nothing frees who is blocked");
}

#[tokio::test]
async fn r8_while_redis_is_frozen_few_wait_and_then_all_is_as_it_was() {
    let server = RedisServer::start();
    let limiter = connect(&server.url(), Clock::Server, SECOND).await;
    let limit = limit("l", Algorithm::FixedWindow, 50, MINUTE * 60, None);
    for _ in 0..10 {
        ask(&limiter, &limit, 1).await.unwrap();
    }
    server.freeze();
    for _ in 0..300 {
        assert_eq!(ask(&limiter, &limit, 2).await, Err(StoreFailed));
    }
    let counted = limiter.counted();
    assert_eq!((counted.failed, counted.without, counted.is_open), (3, 297, true));
    server.thaw();
    eventually("an answer", || (!limiter.counted().is_open).then_some(()));
    let admission = ask(&limiter, &limit, 1).await;
    assert!(matches!(admission, Ok(Admission::Allow { remaining: 39, .. })), "{admission:?}");
}

#[tokio::test]
async fn r8_a_redis_that_is_restarted_is_found_again_and_has_its_scripts_again() {
    let mut server = RedisServer::start();
    let limiter = connect(&server.url(), Clock::Server, SECOND * 10).await;
    let limit = limit("l", Algorithm::FixedWindow, 50, MINUTE * 60, None);
    for _ in 0..10 {
        ask(&limiter, &limit, 1).await.unwrap();
    }
    server.kill();
    assert_eq!(ask(&limiter, &limit, 1).await, Err(StoreFailed));
    server.restart();
    eventually("an answer", || (!limiter.counted().is_open).then_some(()));
    let admission = ask(&limiter, &limit, 1).await;
    assert!(matches!(admission, Ok(Admission::Allow { remaining: 39, .. })), "{admission:?}");
}

#[tokio::test]
async fn a_lease_spares_round_trips_and_never_allows_more() {
    let server = RedisServer::start();
    let hundred = limit("l", Algorithm::FixedWindow, 100, MINUTE * 60, None);
    let limit = Limit { lease: NonZeroU32::new(10), ..hundred };
    let mut limiters = Vec::new();
    for _ in 0..4 {
        limiters.push(connect(&server.url(), Clock::Server, SECOND * 10).await);
    }
    let mut allowed = 0;
    for number in 0..300 {
        let admission = ask(&limiters[number * 7 % 4], &limit, 1).await.unwrap();
        allowed += usize::from(matches!(admission, Admission::Allow { .. }));
    }
    assert_eq!(allowed, 100, "all of them ask often enough to spend what they took");
    let asked: u64 = limiters.iter().map(|limiter| limiter.counted().round_trips).sum();
    assert_eq!(asked, 10 + 4, "ten leases, and one refusal for each");
}

#[tokio::test]
async fn r5_r8_a_cluster_that_loses_a_master_still_limits_and_its_replica_takes_over() {
    let mut cluster = Cluster::start();
    let limiter = connect(&cluster.url(), Clock::Server, SECOND * 2).await;
    let limit = limit("l", Algorithm::FixedWindow, 1000, MINUTE * 60, None);
    assert_eq!(left(&limiter, &limit).await, vec![Some(999); CLIENTS]);

    // A master is lost, and for now no replica stands in for it. Two thirds of the clients are
    // counted as before.
    let replicas = cluster.replicas();
    let lost = (0..6).find(|at| !replicas.contains(at)).expect("a master");
    cluster.set("cluster-replica-no-failover", "yes", None);
    cluster.set("cluster-require-full-coverage", "no", None);
    // Redis tells replicas behind the client's back: what they have not heard would be lost.
    eventually("a replica that has heard all", || {
        let told = cluster.nodes()[lost].command(&["info", "replication"]);
        let told_of = |name: &str| {
            let at = told.find(name)? + name.len();
            told[at..].split(|c: char| !c.is_ascii_digit()).next().map(ToOwned::to_owned)
        };
        let (sent, heard) = (told_of("master_repl_offset:")?, told_of(",offset=")?);
        (sent == heard).then_some(())
    });
    cluster.nodes()[lost].kill();
    let other = cluster.nodes().iter().enumerate().position(|(at, _)| at != lost).unwrap();
    eventually("a cluster that knows of its loss", || {
        let nodes = cluster.nodes()[other].command(&["cluster", "nodes"]);
        let is_lost = |node: &str| {
            let flags: Vec<&str> = node.split([' ', ',']).collect();
            flags.contains(&"master") && flags.contains(&"fail")
        };
        nodes.lines().any(is_lost).then_some(())
    });
    let mut before = left(&limiter, &limit).await;
    until(async || {
        let after = left(&limiter, &limit).await;
        let as_ever = before.iter().zip(&after).all(|pair| match pair {
            (Some(before), Some(after)) => after + 1 == *before,
            (None, None) => true,
            _ => false,
        });
        before = after;
        as_ever && (CLIENTS / 5..CLIENTS / 2).contains(&failing(&before))
    })
    .await;

    // Where the policy of the cluster is all or nothing, nothing is counted there.
    cluster.set("cluster-require-full-coverage", "yes", Some(lost));
    // A node heeds it when it next has a reason to look at its slots.
    for at in (0..6).filter(|at| *at != lost && !replicas.contains(at)) {
        assert_eq!(cluster.nodes()[at].command(&["cluster", "setslot", "0", "stable"]), "OK");
    }
    until(async || failing(&left(&limiter, &limit).await) == CLIENTS).await;
    cluster.set("cluster-require-full-coverage", "no", Some(lost));
    until(async || failing(&left(&limiter, &limit).await) < CLIENTS / 2).await;

    // The replica takes over, with what the master had counted.
    cluster.set("cluster-replica-no-failover", "no", Some(lost));
    until(async || failing(&left(&limiter, &limit).await) == 0).await;
    let left = left(&limiter, &limit).await;
    assert!(left.iter().flatten().all(|left| *left < 998), "{left:?}");
}

const CLIENTS: usize = 300;

/// What each client has left after a request more; nothing where the store has failed.
async fn left(limiter: &RedisLimiter, limit: &Limit) -> Vec<Option<u32>> {
    let asked = (0..CLIENTS as u64).map(|client| ask(limiter, limit, client));
    let left = |admission: Result<Admission, _>| admission.ok()?.remaining();
    join_all(asked).await.into_iter().map(left).collect()
}

fn failing(left: &[Option<u32>]) -> usize {
    left.iter().filter(|left| left.is_none()).count()
}

/// Asks again and again until it is so.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("it comes about in time");
}

#[tokio::test]
async fn r5_a_slot_that_moves_to_another_master_takes_its_clients_along() {
    let mut cluster = Cluster::start();
    let limiter = connect(&cluster.url(), Clock::Server, SECOND * 10).await;
    let limit = limit("l", Algorithm::FixedWindow, 1000, MINUTE * 60, None);
    assert!(ask(&limiter, &limit, 1).await.is_ok());
    let replicas = cluster.replicas();
    let is_master = |at: &usize| !replicas.contains(at);
    let nodes = &*cluster.nodes();
    let keys = |at: usize| nodes[at].command(&["keys", "shop:*"]);
    let from = (0..6).filter(is_master).find(|at| !keys(*at).is_empty()).expect("a master");
    let to = (0..6).filter(is_master).find(|at| *at != from).expect("another master");
    let name = keys(from);
    let slot = nodes[from].command(&["cluster", "keyslot", &name]);
    let set = |at: usize, how: &[&str]| {
        assert_eq!(nodes[at].command(&[&["cluster", "setslot", &slot], how].concat()), "OK");
    };
    let id = |at: usize| nodes[at].command(&["cluster", "myid"]);

    // While it moves, what has moved already is asked for over there.
    set(to, &["importing", &id(from)]);
    set(from, &["migrating", &id(to)]);
    assert!(matches!(ask(&limiter, &limit, 1).await, Ok(said) if said.remaining() == Some(998)));
    let port = nodes[to].port().to_string();
    nodes[from].command(&["migrate", "127.0.0.1", &port, &name, "0", "5000"]);
    for left in [997, 996] {
        let admission = ask(&limiter, &limit, 1).await;
        assert!(matches!(admission, Ok(said) if said.remaining() == Some(left)), "{admission:?}");
    }

    // When it has moved, the first to ask is sent there, and then everybody knows.
    for at in [to, from] {
        set(at, &["node", &id(to)]);
    }
    for left in (980..996).rev() {
        let admission = ask(&limiter, &limit, 1).await;
        assert!(matches!(admission, Ok(said) if said.remaining() == Some(left)), "{admission:?}");
    }
    assert_eq!(limiter.counted().failed, 0);
}

#[tokio::test]
async fn r5_sentinels_name_a_new_master_and_its_counts_go_on() {
    let mut sentinels = Sentinels::start();
    let limiter = connect(&sentinels.url(), Clock::Server, SECOND * 2).await;
    let limit = limit("l", Algorithm::FixedWindow, 50, MINUTE * 60, None);
    for _ in 0..10 {
        ask(&limiter, &limit, 1).await.unwrap();
    }
    eventually("a replica that has all", || {
        let offset = |server: &RedisServer| {
            let info = server.command(&["info", "replication"]);
            info.lines()
                .find_map(|line| line.strip_prefix("master_repl_offset:").map(str::to_owned))
        };
        (offset(&sentinels.master) == offset(&sentinels.replica)).then_some(())
    });
    sentinels.master.kill();
    assert_eq!(ask(&limiter, &limit, 1).await, Err(StoreFailed));
    let mut admission = Err(StoreFailed);
    until(async || {
        admission = ask(&limiter, &limit, 1).await;
        admission.is_ok()
    })
    .await;
    assert!(matches!(admission, Ok(Admission::Allow { remaining: 39, .. })), "{admission:?}");
}

async fn connect(url: &str, clock: Clock, timeout: Duration) -> RedisLimiter {
    let rule = Redis { url: "REDIS_URL".into(), timeout, prefix: "shop:".into() };
    let limiter = RedisLimiter::open(&rule, &|_| Some(url.into()), clock).expect("a good URL");
    limiter.tried().await;
    assert!(!limiter.counted().is_open, "Redis at {url} answers");
    limiter
}

async fn ask(limiter: &RedisLimiter, limit: &Limit, client: u64) -> Result<Admission, StoreFailed> {
    limiter.admit(limit, &key(limit, client), Timestamp::from_secs(1_795_000_000)).await
}
