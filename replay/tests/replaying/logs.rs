//! The same requests in every format have the same outcomes, which were counted by hand.

use crate::replayed::report;
use tidegate_core::Tier;
use tidegate_replay::log::Format;

const SAMPLES: [&str; 8] = [
    "common.log",
    "combined.log",
    "combined.log.gz",
    "combined.log.zst",
    "combined-with-vhost.log",
    "nginx.json",
    "caddy.json",
    "cloudflare.ndjson",
];

#[test]
fn every_format_tells_the_same() {
    for file in SAMPLES {
        let found = report(file).policy;
        assert_eq!((found.requests, found.clients.count), (12, 3), "{file}");
        assert_eq!(found.seconds, 106, "{file}");
        // A page twice out of the shim and an asset once out of the edge.
        assert_eq!((found.hits, found.refused), (3, 1), "{file}");
        assert_eq!((found.origin_requests, found.origin_bytes), (8, 8_013), "{file}");

        let edge = &found.tier(Tier::Edge).expect("both tiers").outcomes;
        assert_eq!((edge.requests, edge.fresh, edge.missed), (12, 1, 1), "{file}");
        assert_eq!((edge.passed, edge.refused, edge.asked), (9, 1, 10), "{file}");
        let origin = &found.tier(Tier::Origin).expect("both tiers").outcomes;
        assert_eq!((origin.requests, origin.fresh, origin.missed), (10, 2, 3), "{file}");
        assert_eq!((origin.passed, origin.refused), (5, 0), "{file}");

        let limits: Vec<_> = found
            .limits
            .iter()
            .map(|limit| {
                (limit.tier, limit.counts.asked, limit.counts.refused, limit.refused_clients.count)
            })
            .collect();
        assert_eq!(limits, [("edge", 4, 1, 1), ("origin", 3, 0, 0)], "{file}");
    }
}

#[test]
fn what_a_log_says_is_not_assumed() {
    let rests_on = |file: &str, name: &str| {
        let assumptions = report(file).policy.assumptions;
        assumptions.into_iter().find(|assumed| assumed.name == name).expect(name).requests
    };
    for (file, name, requests) in [
        ("common.log", "host", 12),
        ("combined-with-vhost.log", "host", 0),
        ("combined.log", "cache-control", 7),
        ("nginx.json", "cache-control", 0),
        ("nginx.json", "request-fields", 7),
        ("caddy.json", "request-fields", 0),
        ("caddy.json", "response-time", 0),
        ("cloudflare.ndjson", "cache-control", 7),
        ("cloudflare.ndjson", "scheme", 0),
        // It was served out of the store.
        ("combined.log", "body-of-304", 0),
    ] {
        assert_eq!(rests_on(file, name), requests, "{file}: {name}");
    }
}

#[test]
fn lines_that_cannot_be_read_are_shown_and_change_nothing() {
    let report = report("with-unreadable-lines.log");
    let log = report.log.expect("a log was read");
    assert_eq!((log.lines, log.unreadable), (15, 3));
    let told: Vec<_> =
        log.reasons.iter().map(|reason| (reason.why, &*reason.first[0].place)).collect();
    assert_eq!(
        told,
        [
            ("empty", "with-unreadable-lines.log:2"),
            ("not of the log's format", "with-unreadable-lines.log:1"),
            ("no request", "with-unreadable-lines.log:15"),
        ]
    );
    assert_eq!((report.policy.requests, report.policy.hits), (12, 3));
}

#[test]
fn a_format_is_seen_by_the_first_lines() {
    for (line, format) in [
        ("", Ok(None)),
        ("\n\n", Ok(None)),
        (
            "192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 5",
            Ok(Some(Format::Common)),
        ),
        (r#"{"status": 200, "request_uri": "/"}"#, Ok(Some(Format::Nginx))),
        ("2015-05-17 10:05:03 GET /", Err(())),
    ] {
        assert_eq!(Format::detect(line.as_bytes()).map_err(drop), format, "{line}");
    }
    let error = Format::detect(b"date,path").expect_err("nobody knows it").to_string();
    assert!(error.contains("`date,path`") && error.contains("--format"), "{error}");
}
