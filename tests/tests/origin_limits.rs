//! The shim's rate limit, with the repository's own policy before a demo origin.

use std::time::{Duration, Instant};

use serde_json::json;
use tidegate_tests::{
    demo_origin::DemoOrigin,
    policy_file::PolicyFile,
    shim::Shim,
    wire::{Client, Request, Response},
};

#[test]
fn r1_one_client_gets_a_hundred_requests_and_no_more() {
    let (shim, origin) = gate();
    let statuses = ask(shim.client().at_loopback(2), 103).into_iter().map(|answer| answer.status);
    let expected = [200].repeat(100).into_iter().chain([429; 3]);
    assert_eq!(statuses.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    assert_eq!(origin.base().total(), 100, "what is refused costs the origin nothing");
}

#[test]
fn r1_another_client_is_not_affected() {
    let (shim, _origin) = gate();
    let last_of = |client| ask(client, 101).pop().expect("101 answers").status;
    assert_eq!(last_of(shim.client().at_loopback(2)), 429);
    assert_eq!(shim.client().at_loopback(3).get(LIMITED).status, 200);
}

#[test]
fn r1_a_forwarding_header_does_not_make_another_client() {
    let (shim, _origin) = gate();
    let client = shim.client().at_loopback(2);
    let mut statuses = (1..=101).map(|number| {
        let forged = format!("203.0.113.{number}");
        let request = Request::get(LIMITED)
            .header("X-Forwarded-For", &forged)
            .header("X-Real-IP", &forged)
            .header("Forwarded", &format!("for={forged}"))
            .header("CF-Connecting-IP", &forged);
        client.send(&request).status
    });
    assert_eq!(statuses.nth(99), Some(200));
    assert_eq!(statuses.next(), Some(429));
}

#[test]
fn r3_a_burst_lets_one_more_than_its_number_pass_at_once() {
    let (shim, _origin) = gate_with("1 per 60s", "algorithm = \"gcra\"\nburst = 5");
    let statuses: Vec<u16> = ask(shim.client(), 8).into_iter().map(|a| a.status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 429, 429]);
}

#[test]
fn r4_a_sliding_window_refuses_what_is_over_the_quota() {
    let (shim, _origin) = gate_with("10 per 5m", "algorithm = \"sliding-window\"");
    let answers = ask(shim.client(), 11);
    assert!(answers[..10].iter().all(|answer| answer.status == 200));
    let wait: u64 = answers[10].header("retry-after").expect("Retry-After").parse().unwrap();
    assert!(answers[10].status == 429 && (280..=300).contains(&wait), "{wait} s");
}

#[test]
fn r5_what_comes_early_waits_for_its_turn_and_the_rest_is_refused() {
    let (shim, origin) = gate_with("5 per 1s", "algorithm = \"gcra\"\nspread = true\nburst = 3");
    let began = Instant::now();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let client = shim.client();
        let waiting: Vec<_> =
            (0..6).map(|_| scope.spawn(move || client.get(LIMITED).status)).collect();
        waiting.into_iter().map(|asked| asked.join().expect("an answer")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 4, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 2, "{statuses:?}");
    assert!(began.elapsed() >= Duration::from_millis(600), "three turns, 200 ms apart");
    assert_eq!(origin.base().total(), 4);
}

#[test]
fn r5_a_client_that_leaves_while_it_waits_costs_the_origin_nothing() {
    let (shim, origin) = gate_with("2 per 1s", "algorithm = \"gcra\"\nspread = true\nburst = 3");
    assert_eq!(shim.client().get(LIMITED).status, 200);
    let mut impatient = shim.client().connect().unwrap();
    impatient.ask(&Request::get(LIMITED)).unwrap();
    drop(impatient);
    assert_eq!(shim.client().get(LIMITED).status, 200, "in its turn behind the one who left");
    assert_eq!(origin.base().total(), 2);
}

#[test]
fn r9_a_rehearsed_limit_refuses_nobody_and_says_nothing() {
    let (shim, origin) = gate_with("2 per 60s", "dry_run = true");
    for answer in ask(shim.client(), 5) {
        assert_eq!((answer.status, answer.header("ratelimit")), (200, None));
    }
    assert_eq!(origin.base().total(), 5);
}

#[test]
fn r9_a_rehearsed_limit_that_would_refuse_is_a_line_in_the_log_and_no_more() {
    let text = |dry_run: bool| {
        format!(
            "schema = 1\n[upstreams.base]\nservers = [\"${{BASE_SVC:-127.0.0.1:4000}}\"]\n\
             [limits.new]\nlimit = \"2 per 1h\"\ndry_run = {dry_run}\n\
             [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"base\"\nlimit = \"new\"\n"
        )
    };
    let (policy, origin) = (PolicyFile::with_text(&text(true)), DemoOrigin::start());
    let mut shim = Shim::serve(&policy, &origin);
    let next = |shim: &mut Shim| loop {
        let line = shim.next_error_line();
        if line.contains("rehearsed") {
            return line;
        }
    };
    ask(shim.client(), 50);
    assert!(next(&mut shim).contains("`new`, which is rehearsed, would refuse requests from now"));
    ask(shim.client(), 50);
    policy.rewrite(&text(false));
    assert_eq!(shim.reload()["action"], "reload");
    let end = next(&mut shim);
    assert!(end.contains("would have refused 98 requests in "), "{end}");
    assert!(end.ends_with("it is rehearsed no more"), "{end}");
}

#[test]
fn what_one_limit_refuses_uses_up_nothing_of_the_others() {
    let policy = PolicyFile::with_text(
        "schema = 1\n[upstreams.base]\nservers = [\"${BASE_SVC:-127.0.0.1:4000}\"]\n\
         [limits.all]\nlimit = \"9 per 1h\"\nkey = [\"route\"]\n\
         [limits.each]\nlimit = \"2 per 1h\"\nkey = [\"client-ip\"]\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"base\"\n\
         limit = [\"all\", \"each\"]\n",
    );
    let origin = DemoOrigin::start();
    let shim = Shim::serve(&policy, &origin);
    for last in [2, 3, 4] {
        let statuses: Vec<u16> =
            ask(shim.client().at_loopback(last), 10).iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [[200; 2].as_slice(), &[429; 8]].concat(), "client {last}");
    }
    let told = shim.client().at_loopback(5).get(LIMITED);
    assert_eq!(told.header("x-ratelimit-remaining"), Some("1"));
    let told = shim.client().at_loopback(6).get(LIMITED);
    assert_eq!(told.header("ratelimit"), Some("\"all\";r=1;t=3600"), "eight of nine are used");
}

#[test]
fn a_limit_on_misses_leaves_hits_alone() {
    let (shim, origin) = gate_with("1 per 60s", "count = \"misses\"");
    let hits = |client: Client| client.get("/api/v1/plugins");
    let first = hits(shim.client());
    assert_eq!(first.header("ratelimit"), Some("\"standard\";r=0;t=60"));
    for _ in 0..5 {
        let hit = hits(shim.client());
        assert_eq!((hit.status, hit.header("ratelimit")), (200, None));
    }
    assert_eq!(shim.client().get("/api/v1/marketplace").status, 429, "a second miss");
    assert_eq!(shim.client().get(LIMITED).status, 429, "what is never cached always misses");
    assert_eq!(hits(shim.client()).status, 200);
    assert_eq!(origin.base().total(), 1);
}

#[test]
fn a_limit_counts_by_the_first_that_a_request_has() {
    let policy = PolicyFile::of_the_repository()
        .replacing(
            "[limits.standard]\nlimit = \"${API_RATE_LIMIT:-100} per 60s\"",
            "[limits.standard]\nlimit = \"1 per 60s\"",
        )
        .replacing(
            "key = [\"identity\", \"client-ip\", \"anonymous\"]",
            "key = [\"header:x-api-key\", \"cookie:session\", \"route\"]",
        );
    let origin = DemoOrigin::start();
    let shim = Shim::serve(&policy, &origin);
    let status = |name: &str, value: &str| {
        shim.client().send(&Request::get(LIMITED).header(name, value)).status
    };
    for (name, value) in [("X-Api-Key", "k1"), ("X-Api-Key", "k2"), ("Cookie", "a=1; session=s")] {
        assert_eq!(status(name, value), 200, "{name}: {value}");
        assert_eq!(status(name, value), 429, "{name}: {value}");
    }
    assert_eq!(status("Cookie", "a=1"), 200, "the first of those who are counted by the route");
    assert_eq!(shim.client().at_loopback(3).get(LIMITED).status, 429);
}

#[test]
fn r7_the_older_fields_can_be_left_out() {
    let (shim, _origin) = gate_with("9 per 60s", "x_ratelimit = false");
    let answer = shim.client().get(LIMITED);
    assert_eq!(answer.header("ratelimit"), Some("\"standard\";r=8;t=60"));
    assert_eq!(answer.header("x-ratelimit-limit"), None);
}

#[test]
fn r7_a_refusal_says_what_and_for_how_long() {
    let (shim, _origin) = gate();
    let refusal = ask(shim.client(), 101).pop().expect("101 answers");
    let wait: u64 = refusal.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait} s");

    assert_eq!(refusal.header("content-type"), Some("application/problem+json"));
    let body = refusal.json();
    assert_eq!((&body["error"], &body["retryAfter"]), (&json!("Too many requests"), &json!(wait)));
    assert_eq!(body["status"], 429, "RFC 9457 §3.1.2");
    assert!(body["title"].is_string(), "RFC 9457 §3.1.3: {body}");
    assert!(
        refusal.header("cache-control").is_some_and(|value| value.contains("no-store")),
        "nobody may keep a refusal: {refusal:?}"
    );
}

#[test]
fn r7_allowed_answers_carry_limit_remaining_and_reset() {
    let (shim, _origin) = gate();
    for (number, answer) in (1..).zip(ask(shim.client(), 3)) {
        let quota = answer.header("ratelimit-policy").expect("RateLimit-Policy");
        assert!(quota.contains(";q=100") && quota.contains(";w=60"), "{quota}");
        let state = answer.header("ratelimit").expect("RateLimit");
        assert!(state.contains(&format!(";r={}", 100 - number)), "{state}");
        assert!(state.contains(";t="), "{state}");
    }
}

#[test]
fn r3_health_checks_are_not_limited() {
    let (shim, origin) = gate();
    let mut connection = shim.client().connect().unwrap();
    for _ in 0..150 {
        assert_eq!(connection.exchange(&Request::get("/healthz")).unwrap().status, 200);
    }
    assert_eq!(origin.base().total(), 0, "the shim answers for itself");
}

/// An endpoint that nothing caches, so that each admitted request is counted.
const LIMITED: &str = "/api/v1/custom";

fn gate() -> (Shim, DemoOrigin) {
    let origin = DemoOrigin::start();
    (Shim::serve(&PolicyFile::of_the_repository(), &origin), origin)
}

/// The same with another limit in place of the standard one.
fn gate_with(limit: &str, counted: &str) -> (Shim, DemoOrigin) {
    let standard = "limit = \"${API_RATE_LIMIT:-100} per 60s\"\n\
                    block = \"60s\"                    # once exceeded\n\
                    algorithm = \"fixed-window\"       # a window starts with the client's first request\n";
    let changed = format!("limit = \"{limit}\"\n{counted}\n");
    let policy = PolicyFile::of_the_repository().replacing(standard, &changed);
    let origin = DemoOrigin::start();
    (Shim::serve(&policy, &origin), origin)
}

/// So many requests over one connection, which a refusal must not close.
fn ask(client: Client, times: usize) -> Vec<Response> {
    let mut connection = client.connect().expect("a connection");
    let request = Request::get(LIMITED);
    (0..times).map(|_| connection.exchange(&request).expect("an answer")).collect()
}
