//! Shims that share a Redis: one limit for all of them, and a limit for each while it is gone.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use tidegate_tests::{
    demo_origin::DemoOrigin,
    policy_file::PolicyFile,
    redis::RedisServer,
    shim::{self, Shim, refused_serve},
    wire::{Client, Request, Response},
};

#[test]
fn r5_four_shims_hold_one_limit_under_concurrent_load() {
    for counted in ["", "algorithm = \"sliding-window\"\n", "lease = 5\n"] {
        let (redis, origin) = (RedisServer::start(), DemoOrigin::start());
        // Nothing may be slow enough on a busy machine to be counted elsewhere.
        let policy = policy("10s", &format!("limit = \"200 per 1h\"\n{counted}"));
        let shims: Vec<Shim> = (0..4).map(|_| serve(&policy, &origin, &redis)).collect();
        let passed = AtomicUsize::new(0);
        thread::scope(|scope| {
            for shim in shims.iter().chain(&shims) {
                let (passed, client) = (&passed, shim.client());
                scope.spawn(move || {
                    for answer in ask(client, 75) {
                        match answer.status {
                            200 => _ = passed.fetch_add(1, Ordering::Relaxed),
                            status => assert_eq!(status, 429),
                        }
                    }
                });
            }
        });
        let passed = passed.into_inner();
        // Four shims may each have four requests of their last lease left.
        let least = if counted.starts_with("lease") { 200 - 4 * 4 } else { 200 };
        assert!((least..=200).contains(&passed), "{counted:?}: {passed} of 200");
        assert_eq!(origin.base().total(), passed as u64, "{counted:?}");
    }
}

#[test]
fn r8_no_request_fails_while_redis_is_frozen_killed_and_restarted() {
    let (mut redis, origin) = (RedisServer::start(), DemoOrigin::start());
    let policy = policy("100ms", "limit = \"30 per 1h\"\nblock = \"1h\"");
    let mut shim = serve(&policy, &origin, &redis);
    let client = |last| shim_client(&shim, last);
    let (counted, stranger, newcomer, always) = (client(2), client(3), client(4), client(5));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            let (mut asked, mut connection) = (0, always.connect().unwrap());
            while !over.load(Ordering::Relaxed) {
                let status = connection.exchange(&Request::get(LIMITED)).unwrap().status;
                assert!(matches!(status, 200 | 429), "{status}");
                asked += 1;
            }
            asked
        });
        assert_eq!(remaining(&ask(counted, 10)), (20..30).rev().collect::<Vec<_>>());

        redis.freeze();
        let alone = ask(stranger, 40);
        let statuses: Vec<u16> = alone.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [[200; 30].as_slice(), &[429; 10]].concat(), "limited in memory");
        line(&mut shim, "does not answer within 100ms");
        redis.thaw();
        line(&mut shim, "does its work again");
        assert_eq!(remaining(&ask(counted, 1)), [19], "the state is there again");

        redis.kill();
        assert_eq!(remaining(&ask(newcomer, 2)), [29, 28]);
        line(&mut shim, "Redis does not");
        redis.restart();
        line(&mut shim, "does its work again");
        assert_eq!(remaining(&ask(counted, 1)), [18], "the state is there again");
        assert_eq!(remaining(&ask(newcomer, 1)), [29], "who was counted in memory begins anew");
        over.store(true, Ordering::Relaxed);
        assert!(traffic.join().unwrap() > 40);
    });
}

#[test]
fn r8_the_policy_says_what_a_request_gets_that_nobody_can_count() {
    for (on_error, statuses) in
        [("local", [200, 200, 429]), ("allow", [200, 200, 200]), ("deny", [503, 503, 503])]
    {
        let origin = DemoOrigin::start();
        let limit = format!("limit = \"2 per 1h\"\non_store_error = \"{on_error}\"");
        let mut redis = RedisServer::start();
        redis.kill();
        let mut shim = serve(&policy("100ms", &limit), &origin, &redis);
        line(&mut shim, "Redis does not do its work");
        let found: Vec<u16> = ask(shim.client(), 3).iter().map(|answer| answer.status).collect();
        assert_eq!(found, statuses, "{on_error}");
    }
}

#[test]
fn r8_a_redis_that_evicts_is_warned_of() {
    let evicts = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let (redis, origin) = (RedisServer::start_with(&evicts), DemoOrigin::start());
    let mut shim = serve(&policy("10s", "limit = \"2 per 1h\""), &origin, &redis);
    line(&mut shim, "maxmemory-policy allkeys-lru");
    assert_eq!(shim.client().get(LIMITED).status, 200);
}

#[test]
fn a_reload_keeps_the_connection_and_what_is_counted() {
    let (redis, origin) = (RedisServer::start(), DemoOrigin::start());
    let policy = policy("10s", "limit = \"9 per 1h\"");
    let mut shim = serve(&policy, &origin, &redis);
    assert_eq!(remaining(&ask(shim.client(), 2)), [8, 7]);
    assert_eq!(shim.reload()["action"], "reload");
    assert_eq!(remaining(&ask(shim.client(), 1)), [6]);
    let connections = redis.command(&["info", "stats"]);
    // redis-cli is the second.
    assert!(connections.contains("total_connections_received:2\n"), "{connections}");
}

#[test]
fn without_the_url_nothing_is_served_and_the_message_says_what_to_set() {
    let refused = refused_serve(&policy("10s", "limit = \"9 per 1h\""));
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("the variable `REDIS_URL` is not set"), "{}", refused.stderr);
    assert!(refused.stderr.contains("redis://127.0.0.1:6379"), "{}", refused.stderr);
}

#[test]
fn r9_an_operator_sees_what_redis_does_and_lets_clients_in_again() {
    let (mut redis, origin) = (RedisServer::start(), DemoOrigin::start());
    let limit = "limit = \"2 per 1h\"\nblock = \"1h\"";
    let text = policy("10s", limit).text() + "[admin]\nlisten = \"127.0.0.1:0\"\n";
    let policy = PolicyFile::with_text(&text);
    let [mut first, mut second] = [(); 2].map(|()| serve(&policy, &origin, &redis));
    let [admin, other] = [first.admin(), second.admin()];
    let run = |admin, arguments: &[&str]| shim::operate(&policy, admin, arguments).stdout;
    let status = |shim: &Shim| shim_client(shim, 2).get(LIMITED).status;
    assert_eq!([(); 4].map(|()| status(&first)), [200, 200, 429, 429]);
    assert_eq!(status(&second), 429);
    let well = run(admin, &["status"]);
    assert!(
        well.contains("redis        does its work; asked 3 times, 0 failed; 0 decisions"),
        "{well}"
    );

    assert!(run(admin, &["limits", "blocked", "shared"]).starts_with("ip:127.0.0.2  until "));
    run(admin, &["limits", "unblock", "shared", "ip:127.0.0.2"]);
    assert_eq!(status(&first), 200);
    assert_eq!(status(&second), 429, "it remembers for itself");
    run(other, &["limits", "unblock", "shared", "ip:127.0.0.2"]);
    assert_eq!([(); 3].map(|()| status(&second)), [200, 200, 429]);
    assert_eq!([(); 2].map(|()| status(&first)), [429, 429], "and so is the state");

    run(admin, &["limits", "set", "shared", "--block", "0s"]);
    assert_eq!(status(&first), 200, "a block of nothing frees who is blocked");
    run(admin, &["limits", "reset", "shared"]);
    let stranger = shim_client(&first, 3);
    assert_eq!(ask(stranger, 3).pop().unwrap().status, 429);
    redis.kill();
    assert_eq!(shim_client(&first, 4).get(LIMITED).status, 200);
    assert_eq!(stranger.get(LIMITED).status, 429);
    let down = run(admin, &["status"]);
    assert!(down.contains("redis        does not answer for all"), "{down}");
    let listed = run(admin, &["limits"]);
    assert!(listed.contains("1 failures of the store"), "{listed}");
    let refused = shim::operate(&policy, admin, &["limits", "unblock", "shared", "ip:127.0.0.3"]);
    assert!(refused.stderr.contains("Redis does not answer, so"), "{}", refused.stderr);
}

#[test]
fn r8_who_redis_has_blocked_stays_blocked_while_it_is_gone() {
    let (mut redis, origin) = (RedisServer::start(), DemoOrigin::start());
    let policy = policy("10s", "limit = \"2 per 1h\"\nblock = \"1h\"");
    let shim = serve(&policy, &origin, &redis);
    let statuses = |times| ask(shim.client(), times).iter().map(|a| a.status).collect::<Vec<_>>();
    assert_eq!(statuses(3), [200, 200, 429]);
    redis.kill();
    assert_eq!(statuses(1), [429]);
}

/// An endpoint that nothing caches, so that each admitted request is counted.
const LIMITED: &str = "/api/v1/custom";

fn policy(timeout: &str, limit: &str) -> PolicyFile {
    PolicyFile::with_text(&format!(
        "schema = 1\n\
         [redis]\nurl = \"${{REDIS_URL}}\"\ntimeout = \"{timeout}\"\n\
         [upstreams.base]\nservers = [\"${{BASE_SVC:-127.0.0.1:4000}}\"]\n\
         [limits.shared]\n{limit}\nstore = \"redis\"\nkey = [\"client-ip\"]\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"base\"\nlimit = \"shared\"\n"
    ))
}

fn serve(policy: &PolicyFile, origin: &DemoOrigin, redis: &RedisServer) -> Shim {
    Shim::serve_with(policy, origin, &[("REDIS_URL", &redis.url())])
}

fn shim_client(shim: &Shim, last: u8) -> Client {
    shim.client().at_loopback(last)
}

/// So many requests over one connection.
fn ask(client: Client, times: usize) -> Vec<Response> {
    let mut connection = client.connect().expect("a connection");
    let request = Request::get(LIMITED);
    (0..times).map(|_| connection.exchange(&request).expect("an answer")).collect()
}

/// What each answer says that is left.
fn remaining(answers: &[Response]) -> Vec<u32> {
    let remaining = |answer: &Response| {
        let left = answer.header("x-ratelimit-remaining").unwrap_or("nothing");
        left.parse().unwrap_or_else(|_| panic!("{left:?} in {answer:?}"))
    };
    answers.iter().map(remaining).collect()
}

/// Waits for a line on standard error.
#[track_caller]
fn line(shim: &mut Shim, awaited: &str) {
    while !shim.next_error_line().contains(awaited) {}
}
