//! The store behind the memory of each shim (C9): answers in a real Redis, and what one shim
//! invalidates is void for all (C4), whatever becomes of that Redis.

use std::{
    thread,
    time::{Duration, Instant},
};

use tidegate_tests::{
    held_origin::HeldOrigin,
    policy_file::PolicyFile,
    redis::{Cluster, RedisServer, Sentinels, eventually},
    shim,
    tier::{CountingOrigin, Member, hop},
    wire::Request,
};

#[test]
fn c9_what_one_shim_has_stored_another_need_not_ask_for() {
    let shared = Shared::open("");
    let (one, two) = (shared.member(), shared.member());
    let first = one.get("/list");
    assert_eq!(hop(&first).fwd(), Some("uri-miss"));
    one.until_stored(1);
    let second = two.get("/list");
    assert!(hop(&second).hit() && hop(&second).is_fresh_for(60), "{second:?}");
    assert_eq!((hop(&second).detail(), &second.body), (Some("redis"), &first.body));
    let of_the_origin = |answer: &tidegate_tests::wire::Response| {
        let mut lines = answer.headers.clone();
        let ours = ["age", "cache-status", "x-cache", "date", "connection"];
        lines.retain(|(name, _)| !ours.contains(&&*name.to_ascii_lowercase()));
        lines.sort();
        lines
    };
    assert_eq!(of_the_origin(&second), of_the_origin(&first));
    let third = two.get("/list");
    assert_eq!((hop(&third).hit(), hop(&third).detail()), (true, None), "it is in memory by now");
    assert_eq!(shared.origin.asked("/list"), 1);
    let state = two.cache()["redis"].clone();
    assert_eq!((&state["hits"], &state["misses"]), (&1.into(), &0.into()), "{state}");
}

#[test]
fn c9_variants_users_and_terms_of_the_policy_are_told_apart() {
    let shared = Shared::open("");
    let (one, two) = (shared.member(), shared.member());
    let by_language = |member: &Member, language: &str| {
        member.send(Request::get("/vary").header("Accept-Language", language)).body
    };
    for (language, number) in [("de", b"1"), ("en", b"2"), ("fr", b"3")] {
        assert_eq!(by_language(&one, language), number);
    }
    one.until_stored(3);
    for (language, number) in [("fr", b"3"), ("de", b"1"), ("en", b"2"), ("it", b"4")] {
        assert_eq!(by_language(&two, language), number, "{language}");
    }

    let of_user = |member: &Member, user: &str| member.send(Request::get("/mine").by(user)).body;
    assert_eq!(of_user(&one, "alice"), b"1");
    one.until_stored(4);
    assert_eq!((of_user(&two, "bob"), of_user(&two, "alice")), (b"2".to_vec(), b"1".to_vec()));

    let other_terms = shared.policy.replacing("ttl = \"1m\"", "ttl = \"2m\"");
    let other = Member::serve(&other_terms, &shared.environment());
    assert_eq!(by_language(&other, "de"), b"5", "it was kept under other terms");
}

#[test]
fn c9_heads_parts_and_conditions_are_answered_from_what_another_has_stored() {
    let shared = Shared::open("");
    let body = shared.member_that(|one| {
        let body = one.get("/etag").body;
        one.until_stored(1);
        body
    });
    let unchanged = shared.member().send(Request::get("/etag").header("If-None-Match", "\"one\""));
    assert_eq!((unchanged.status, hop(&unchanged).hit()), (304, true));
    let part = shared.member().send(Request::get("/etag").header("Range", "bytes=0-0"));
    assert_eq!((part.status, &*part.body), (206, &body[..1]));
    let head = shared.member().send(Request::new("HEAD", "/etag"));
    assert_eq!(head.header("content-length"), Some(&*body.len().to_string()));
    assert_eq!(shared.origin.asked("/etag"), 1);
}

#[test]
fn c9_large_bodies_and_what_may_not_be_stored_stay_out_of_redis() {
    for (rule, expected) in [("", 2), ("object = \"4MiB\"\ncompress = true\n", 1)] {
        let shared = Shared::open(rule);
        let (one, two) = (shared.member(), shared.member());
        for target in ["/large", "/no-store", "/list"] {
            drop(one.get(target));
        }
        one.until_stored(if rule.is_empty() { 1 } else { 2 });
        let large = two.get("/large");
        assert_eq!((large.body.len(), large.body[0]), (2 << 20, b'0' + expected as u8));
        assert_eq!(shared.origin.asked("/large"), expected, "{rule}");
        drop(two.get("/no-store"));
        assert_eq!(shared.origin.asked("/no-store"), 2);
        let memory = shared.redis.command(&["INFO", "memory"]);
        let used: u64 = memory
            .lines()
            .find_map(|line| line.strip_prefix("used_memory_dataset:"))
            .and_then(|bytes| bytes.trim().parse().ok())
            .expect("a number of bytes");
        assert!(used < 2 << 20, "{used} bytes: it is compressed, or not there");
    }
}

#[test]
fn c4_what_one_shim_invalidates_is_void_for_all_within_a_second() {
    let shared = Shared::open("");
    let (one, two) = (shared.member(), shared.member());
    for target in ["/list", "/other"] {
        assert_eq!(one.number(target), (1, false));
    }
    one.until_stored(2);
    for target in ["/list", "/other"] {
        assert_eq!(two.number(target), (1, true));
    }
    // By turns, so that each hears of the other.
    let all = [&one, &two];
    for (round, writer) in [&two, &one, &two].into_iter().enumerate() {
        let target = if round == 2 { "/writes/all" } else { "/list" };
        writer.write(target);
        let written = Instant::now();
        let asked = shared.origin.asked("/list");
        eventually("an answer of after the write at both", || {
            let numbers = all.map(|member| member.number("/list").0);
            assert!(numbers.iter().all(|number| *number <= asked + 2));
            numbers.iter().all(|number| *number > asked).then_some(())
        });
        assert!(written.elapsed() < Duration::from_secs(1), "{:?}", written.elapsed());
        for member in all {
            let (number, _) = member.number("/other");
            assert_eq!(number > 1, round == 2, "a tag takes it as well: {number}");
        }
    }
}

/// What began before it stays void, wherever it comes from.
#[test]
fn c4_an_invalidation_is_not_overtaken_by_a_store_that_began_before_it_at_another_shim() {
    let (redis, origin) = (RedisServer::start(), HeldOrigin::start());
    let policy = policy(&origin.address().to_string(), "");
    let environment = [("CACHE_REDIS", &*redis.url())];
    let (one, two) = (Member::serve(&policy, &environment), Member::serve(&policy, &environment));
    let (ask, write) = (one.asker(), two.asker());
    let before = thread::spawn(move || ask(Request::get("/list")));
    let held = origin.next();
    let write = thread::spawn(move || write(Request::new("POST", "/list")));
    origin.next().answer("", "written");
    assert_eq!(write.join().expect("a write").status, 200);
    held.answer("", "old");
    assert_eq!(before.join().expect("an answer").body, b"old");
    origin.answer_by(|question| question.answer("", "new"));
    for member in [&one, &two] {
        eventually("what was written", || (member.get("/list").body == b"new").then_some(()));
        assert_eq!(member.get("/list").body, b"new");
    }
    let late = Member::serve(&policy, &environment);
    assert_eq!(late.get("/list").body, b"new", "nor does it serve who comes later");
}

#[test]
fn c4_a_shim_that_heard_nothing_for_a_while_catches_up() {
    let shared = Shared::open("");
    let (mut one, two) = (shared.member(), shared.member());
    for target in ["/list", "/other"] {
        assert_eq!(one.number(target), (1, false));
    }
    one.shim().signal("STOP");
    two.write("/list");
    two.until_heard();
    one.shim().signal("CONT");
    eventually("what was missed", || (one.number("/list").0 > 2).then_some(()));
    assert_eq!(one.number("/other"), (1, true), "nothing else is void");
}

#[test]
fn c4_where_the_log_is_lost_nothing_is_vouched_for() {
    let shared = Shared::open("");
    let (mut one, two) = (shared.member(), shared.member());
    assert_eq!(one.number("/list"), (1, false));
    one.until_stored(1);
    shared.redis.command(&["FLUSHALL"]);
    eventually("a new answer", || (one.number("/list").0 == 2).then_some(()));
    while !one.shim().next_error_line().contains("all that is stored here counts as void") {}
    one.until_stored(2);
    two.until_heard();
    assert_eq!(two.number("/list"), (2, true), "and all goes on as before");
    two.write("/list");
    eventually("what was written", || (one.number("/list").0 > 2).then_some(()));
}

#[test]
fn c4_a_purge_voids_what_all_shims_have_in_memory_and_what_lies_in_redis() {
    let shared = Shared::open("");
    let (mut one, two) = (shared.member(), shared.member());
    let targets = ["/list", "/list?page=2", "/p/a", "/p/b", "/mine", "/query?x"];
    let purge = |one: &Member, arguments: &[&str]| {
        let purged = shim::operate(&shared.policy, one.admin(), &[&["purge"], arguments].concat());
        let said = "Purged in the shim, and in those that share its Redis within a second.\n";
        assert_eq!((&*purged.stdout, &*purged.stderr), (said, ""));
    };
    for (arguments, voided) in [
        (&["--key", "/list"][..], &["/list"][..]),
        (&["--key", "https://www.example.com/p/a", "--key", "http://other/p/b"], &["/p/a"]),
        (&["--key", "/query?y&z=1"], &["/query?x"]),
        (&["--prefix", "/p/", "--tag", "of-user"], &["/p/a", "/p/b", "/mine"]),
        (&["--everything"], &targets),
    ] {
        for target in targets {
            drop((one.get(target), two.get(target)));
        }
        let before = targets.map(|target| one.number(target));
        assert!(before.iter().all(|(_, is_hit)| *is_hit), "{before:?}");
        purge(&one, arguments);
        for (target, (number, _)) in targets.into_iter().zip(before) {
            let is_void = voided.contains(&target);
            assert_eq!(one.number(target).0 > number, is_void, "{arguments:?} {target}");
        }
        eventually("the same at the other shim", || {
            let numbers = voided.iter().map(|target| (one.number(target), two.number(target)));
            numbers.into_iter().all(|((one, _), (two, _))| one <= two).then_some(())
        });
        let audited = one.shim().audited();
        assert_eq!(audited["action"], "purge");
        assert!(
            audited["after"].to_string().contains(arguments[arguments.len() - 1].trim_matches('-'))
        );
    }
    one.until_heard();
    purge(&one, &["--everything"]);
    let late = shared.member();
    assert!(!late.number("/list").1, "what lies in Redis is void, too");

    let refused = one.admin().send(&Request::new("POST", "/purge").body(r#"{"keys":["x"]}"#));
    assert_eq!(refused.status, 415);
    let post = Request::new("POST", "/purge").header("Content-Type", "application/json");
    let refused = one.admin().send(&post.clone().body(r#"{"keys":["x"]}"#));
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json()["errors"][0]["place"], "keys.0");
    assert_eq!(one.admin().send(&Request::get("/purge")).status, 405);
}

#[test]
fn c4_a_purge_while_redis_is_gone_counts_here_at_once_and_elsewhere_later() {
    let mut shared = Shared::open("");
    let (one, two) = (shared.member(), shared.member());
    assert_eq!(one.number("/list"), (1, false));
    one.until_stored(1);
    assert_eq!(two.number("/list"), (1, true));
    shared.redis.kill();
    let post = Request::new("POST", "/purge").header("Content-Type", "application/json");
    let purged = one.admin().send(&post.body(r#"{"keys":["/list"]}"#)).json();
    assert_eq!(purged["elsewhere"], "as soon as Redis answers again");
    assert_eq!(one.number("/list"), (2, false));
    shared.redis.restart();
    eventually("word of the purge", || (two.number("/list").0 == 3).then_some(()));
}

#[test]
fn c9_what_lies_in_redis_and_is_no_answer_is_a_miss() {
    let shared = Shared::open("");
    let one = shared.member();
    assert_eq!(one.number("/list"), (1, false));
    one.until_stored(1);
    let keys = shared.redis.command(&["KEYS", "tidegate-cache:*"]);
    let key = keys.lines().find(|key| key.ends_with('}')).expect("a key");
    for (garbage, number) in [("", 2), ("hello", 3)] {
        shared.redis.command(&["SET", key, garbage]);
        let mut two = shared.member();
        assert_eq!(two.number("/list"), (number, false));
        assert_eq!(two.cache()["redis"]["unreadable"], 1);
        assert!(two.shim().next_error_line().contains("something else writes there"));
        two.until_stored(1);
    }
    shared.redis.command(&["DEL", key]);
    shared.redis.command(&["LPUSH", key, "a list"]);
    let mut two = shared.member();
    assert_eq!(two.number("/list"), (4, false));
    assert!(two.shim().next_error_line().contains("WRONGTYPE"));
    assert_eq!(one.number("/list"), (1, true));
}

#[test]
fn c9_no_answer_waits_for_a_redis_that_is_frozen_killed_or_gone() {
    let mut shared = Shared::open("timeout = \"100ms\"\n");
    let mut one = shared.member();
    let none_waits = |member: &Member, name: &str| {
        for number in 0..20 {
            let begun = Instant::now();
            let answer = member.get(&format!("/{name}/{number}"));
            assert_eq!(answer.status, 200);
            // The time-out, and what a busy machine takes.
            assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        }
    };
    assert_eq!(one.number("/kept"), (1, false));
    one.until_stored(1);

    shared.redis.freeze();
    none_waits(&one, "frozen");
    assert!(one.shim().next_error_line().contains("answers are stored in memory alone"));
    shared.redis.thaw();
    assert!(one.shim().next_error_line().contains("does its work again"));
    assert_eq!(shared.member().number("/kept"), (1, true), "it comes back by itself");

    shared.redis.kill();
    none_waits(&one, "killed");
    assert_eq!(one.number("/kept"), (1, true), "what is in memory serves");
    assert!(one.shim().next_error_line().contains("answers are stored in memory alone"));
    let late = shared.member();
    none_waits(&late, "late");
    shared.redis.restart();
    assert!(one.shim().next_error_line().contains("does its work again"));
    late.until_heard();
    assert_eq!(late.number("/kept"), (1, true));
}

/// What could not be told is told when Redis is there again.
#[test]
fn c4_what_is_invalidated_while_redis_is_gone_is_heard_of_later() {
    let mut shared = Shared::open("");
    let (one, two) = (shared.member(), shared.member());
    assert_eq!(one.number("/list"), (1, false));
    one.until_stored(1);
    assert_eq!(two.number("/list"), (1, true));
    shared.redis.kill();
    one.write("/list");
    assert!(one.number("/list").0 > 1, "here it is void at once");
    shared.redis.restart();
    eventually("what was written", || (two.number("/list").0 > 2).then_some(()));
}

#[test]
fn c9_with_answers_switched_off_shims_tell_each_other_what_is_void_and_nothing_else() {
    let shared = Shared::open("answers = false\n");
    let (one, two) = (shared.member(), shared.member());
    assert_eq!((one.number("/list"), two.number("/list")), ((1, false), (2, false)));
    one.write("/list");
    eventually("what was written", || (two.number("/list").0 > 3).then_some(()));
    let keys = shared.redis.command(&["KEYS", "*"]);
    assert!(keys.lines().count() == 1 && keys.ends_with(":log"), "{keys}");
}

#[test]
fn c9_a_cluster_and_sentinels_do_as_well() {
    let (cluster, sentinels) = (Cluster::start(), Sentinels::start());
    for url in [cluster.url(), sentinels.url()] {
        let origin = CountingOrigin::start();
        let policy = policy(origin.address(), "timeout = \"1s\"\n");
        let member = || Member::serve(&policy, &[("CACHE_REDIS", &url)]);
        let (one, two) = (member(), member());
        for number in 0..20 {
            drop(one.get(&format!("/vary/{number}")));
        }
        one.until_stored(20);
        for number in 0..20 {
            assert_eq!(two.number(&format!("/vary/{number}")), (1, true), "{number}");
        }
        one.write("/vary/7");
        eventually("what was written", || (two.number("/vary/7").0 > 2).then_some(()));
        assert_eq!(two.number("/vary/8"), (1, true));
    }
}

#[test]
fn a_shim_without_the_url_of_its_redis_does_not_start_and_says_why() {
    let refused = shim::refused_serve(&policy("127.0.0.1:1", ""));
    assert!(!refused.status.success());
    assert!(refused.stderr.contains("`CACHE_REDIS` is not set"), "{}", refused.stderr);
}

/// A Redis that shims share, before one origin.
struct Shared {
    redis: RedisServer,
    origin: CountingOrigin,
    policy: PolicyFile,
    url: String,
}

impl Shared {
    /// With these lines in `[cache.redis]`.
    fn open(lines: &str) -> Self {
        let (redis, origin) = (RedisServer::start(), CountingOrigin::start());
        let (policy, url) = (policy(origin.address(), lines), redis.url());
        Self { redis, origin, policy, url }
    }

    fn environment(&self) -> [(&str, &str); 1] {
        [("CACHE_REDIS", &self.url)]
    }

    fn member(&self) -> Member {
        Member::serve(&self.policy, &self.environment())
    }

    /// What a member does that is gone then.
    fn member_that<T>(&self, does: impl FnOnce(&Member) -> T) -> T {
        does(&self.member())
    }
}

fn policy(origin: &str, lines: &str) -> PolicyFile {
    PolicyFile::with_text(&format!(
        r#"schema = 1
[admin]
listen = "127.0.0.1:0"
[identity]
credential = "authorization"
[cache.redis]
url = "${{CACHE_REDIS}}"
{lines}
[upstreams.app]
servers = ["{origin}"]
[[routes]]
name = "all"
match = "/*"
upstream = "app"
tags = ["all"]
origin = {{ mode = "default", ttl = "1m" }}
[[routes]]
name = "mine"
match = "/mine"
upstream = "app"
key = {{ identity = true }}
tags = ["of-user"]
origin = {{ mode = "default", ttl = "60s" }}
[[routes]]
name = "query"
match = "/query"
upstream = "app"
key = {{ query = {{ except = ["x", "y", "z"] }} }}
origin = {{ mode = "default", ttl = "60s" }}
[[routes]]
name = "writes"
match = "/writes/*"
upstream = "app"
invalidates = ["all"]
"#
    ))
}
