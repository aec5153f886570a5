//! What holds of every log.

use crate::replayed::{POLICY, replay_with};
use proptest::prelude::*;
use tidegate_replay::report::{Html, Replayed, Text};
use tidegate_replay::{Report, Setup, Tiers};

/// A request: seconds after the last one, and choices of client, method, target and status.
type Choice = (u64, u8, u8, u8, u16);

const START: u64 = 10 * 3600;

fn lines(choices: &[Choice], start: u64) -> Vec<u8> {
    let mut second = start;
    let mut text = String::new();
    for (after, client, method, target, status) in choices {
        second += after;
        let method = ["GET", "GET", "GET", "HEAD", "POST"][usize::from(*method) % 5];
        let target = ["/page", "/page?a=1", "/a/x.js", "/a/y.js", "/api/1", "/other"]
            [usize::from(*target) % 6];
        let status = [200, 200, 304, 404, 500, 503][usize::from(*status) % 6];
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        text += &format!(
            "192.0.2.{} - - [01/Nov/2026:{hour:02}:{minute:02}:{second:02} +0000] \
             \"{method} {target} HTTP/1.1\" {status} 1000\n",
            client % 4,
        );
    }
    text.into_bytes()
}

fn found(setup: Setup, logs: &[&[u8]]) -> Replayed {
    let (engine, unreadable) = replay_with(POLICY, setup, logs);
    assert_eq!(unreadable.count(), 0);
    Replayed::of("policy.toml", &engine)
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    prop::collection::vec((0..40_u64, any::<u8>(), any::<u8>(), any::<u8>(), any::<u16>()), 1..120)
}

/// What does not depend on when it was.
fn counts(found: &Replayed) -> String {
    let tiers: Vec<_> = found.tiers.iter().map(|tier| (tier.tier, tier.outcomes)).collect();
    let limits: Vec<_> = found.limits.iter().map(|limit| limit.counts.clone()).collect();
    format!("{} {} {tiers:?} {limits:?}", found.requests, found.hits)
}

proptest! {
    #[test]
    fn every_request_has_one_outcome(choices in choices(), locations in 1..5_u16) {
        for tiers in [Tiers::Both, Tiers::Edge, Tiers::Origin] {
            let setup = Setup { tiers, edge_locations: locations, ..Setup::default() };
            let found = found(setup, &[&lines(&choices, START)]);
            prop_assert_eq!(found.requests, choices.len() as u64);
            let served: u64 = found.over_time.iter().map(|s| s.edge_hits + s.origin_hits).sum();
            prop_assert_eq!(served, found.hits);
            for tier in &found.tiers {
                let o = &tier.outcomes;
                let parts = o.hits() + o.confirmed + o.missed + o.passed + o.refused + o.unsatisfiable;
                prop_assert_eq!(parts, o.requests, "{}", tier.tier);
                let routes: u64 = tier.routes.iter().map(|route| route.outcomes.requests).sum();
                prop_assert_eq!(routes, o.requests);
            }
            if let [edge, origin] = &found.tiers[..] {
                prop_assert_eq!(edge.outcomes.asked, origin.outcomes.requests);
            }
        }
    }

    #[test]
    fn two_logs_are_their_concatenation(choices in choices(), at in 0..120_usize) {
        let at = at.min(choices.len());
        let whole = lines(&choices, START);
        let end = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(at);
        let (one, other) = whole.split_at(end.map_or(whole.len(), |(at, _)| at + 1));
        let apart = found(Setup::default(), &[one, other]);
        prop_assert_eq!(counts(&apart), counts(&found(Setup::default(), &[&whole])));
    }

    #[test]
    fn when_it_was_does_not_matter(choices in choices(), hours in 1..10_u64) {
        let before = found(Setup::default(), &[&lines(&choices, START)]);
        let later = found(Setup::default(), &[&lines(&choices, START + 3600 * hours)]);
        prop_assert_eq!(counts(&before), counts(&later));
    }

    #[test]
    fn a_policy_does_not_differ_from_itself(choices in choices()) {
        let log = lines(&choices, START);
        let (one, _) = replay_with(POLICY, Setup::default(), &[&log]);
        let (other, _) = replay_with(POLICY, Setup::default(), &[&log]);
        let report = Report::new(None, ("a", &one), Some(("a", &other)));
        let json = report.to_json();
        prop_assert_eq!(&json["policy"], &json["against"]);
    }
}

/// Ever new pages of ever new clients, and writes: whatever could grow is asked to.
#[test]
fn memory_does_not_grow_with_the_log() {
    let policy = r#"
        schema = 1
        upstreams.app.servers = ["127.0.0.1:4000"]
        limits.calls = { limit = "100 per 60s", key = "client-ip" }
        zones.small = { bytes = "1MB", ttl = "1h" }
        [[routes]]
        name = "all"
        match = "/*"
        upstream = "app"
        limit = "calls"
        zone = "small"
        edge = { mode = "override", ttl = "1h" }
        origin = { mode = "override" }
    "#;
    let mut setup = Setup::default();
    setup.assumptions.edge_memory = 1 << 20;
    let log = |lines: u32| {
        let line = |n: u32| {
            let (a, b, c) = (n >> 16 & 255, n >> 8 & 255, n & 255);
            let method = if n.is_multiple_of(50) { "POST" } else { "GET" };
            format!(
                "10.{a}.{b}.{c} - - [01/Nov/2026:10:{:02}:{:02} +0000] \"{method} /{n} HTTP/1.1\" 200 9\n",
                n / 6000 % 60,
                n / 100 % 60
            )
        };
        (0..lines).map(line).collect::<String>().into_bytes()
    };
    let entries = |lines| replay_with(policy, setup.clone(), &[&log(lines)]).0.entries();
    let (short, long) = (entries(5_000), entries(100_000));
    assert!(long <= short + short / 2, "{short} entries after 5,000 lines, {long} after 100,000");
}

#[test]
fn a_page_says_all_and_runs_nothing_whatever_a_log_holds() {
    let log = b"192.0.2.1 - - [01/Nov/2026:10:00:00 +0000] \"GET /<script>alert(1)</script> HTTP/1.1\" 200 5\n\
                <img src=x onerror=alert(1)>\n";
    let (engine, unreadable) = replay_with(POLICY, Setup::default(), &[log]);
    let report = Report::new(Some(&unreadable), ("<b>.toml", &engine), None);
    let page = Html(&report).to_string();
    for tag in ["<script", "<img", "<b>", "javascript:", " style=", "http://"] {
        assert!(!page.contains(tag), "{tag} in {page}");
    }
    assert!(page.contains("default-src 'none'; style-src 'sha256-"), "{page}");
    let text = Text(&report).to_string();
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn two_policies_are_compared_route_by_route() {
    let line = |second: u32, path: &str| {
        format!(
            "192.0.2.1 - - [01/Nov/2026:10:00:{second:02} +0000] \"GET {path} HTTP/1.1\" 200 9\n"
        )
    };
    let log: String = (0..4).map(|n| line(n * 10, "/page") + &line(n * 10, "/a/b")).collect();
    let after = POLICY.replace("ttl = \"60s\"", "ttl = \"15s\"").replace("\"assets\"", "\"files\"");
    let (before, _) = replay_with(POLICY, Setup::default(), &[log.as_bytes()]);
    let (after, _) = replay_with(&after, Setup::default(), &[log.as_bytes()]);
    let report = Report::new(None, ("new.toml", &after), Some(("old.toml", &before)));
    let text = Text(&report).to_string();
    let words =
        |line: &str| line.split_whitespace().map(String::from).collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = text.lines().map(words).collect();
    for expected in [
        "assets 75.0 % 0.0 % -75.0 points 1 0 -1",
        "files 0.0 % 75.0 % +75.0 points 0 1 +1",
        "pages 75.0 % 50.0 % -25.0 points 1 2 +1",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} is not in {text}");
    }
    let page = Html(&report).to_string();
    assert!(page.contains("Routes at the origin with old.toml, and after with new.toml"), "{page}");
}
