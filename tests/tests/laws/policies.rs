//! A policy is the same policy when it comes back from its canonical JSON.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use tidegate_core::{Policy, document};

/// Lines for one route, each of which may be there.
const LINES: &[&str] = &[
    "host = \"a.example\"",
    "limit = \"standard\"",
    "key = \"r:{user}\"",
    "edge = { mode = \"override\", ttl = \"1d\", stale_if_error = \"1h\" }",
    "origin = { mode = \"default\", ttl = \"5m\", unsafe_ignore = [\"set-cookie\"] }",
    "browser = \"5m\"",
];

fn file() -> impl Strategy<Value = String> {
    let route = subsequence(LINES, 0..=LINES.len());
    let routes = prop::collection::vec(route, 0..6);
    let window = select(&["1s", "60s", "1h30m"][..]);
    (routes, window, 1..1000u32).prop_map(|(routes, window, quota)| {
        let mut file = format!(
            "schema = 1\n[identity]\ncredential = \"authorization\"\n\
             [limits.standard]\nlimit = \"{quota} per {window}\"\nkey = [\"client-ip\"]\n"
        );
        for (at, lines) in routes.iter().enumerate() {
            file += &format!("[[routes]]\nname = \"r{at}\"\nmatch = \"/r{at}/*\"\n");
            lines.iter().for_each(|line| file += &format!("{line}\n"));
        }
        file
    })
}

proptest! {
    #[test]
    fn canonical_json_gives_the_same_policy_and_the_same_bytes(file in file()) {
        let policy = document::read(&file, &|_| None);
        let policy = policy.map_err(|report| TestCaseError::fail(report.to_string()))?;
        let json = policy.to_json();
        let again = Policy::from_json(&json).expect("what was written is read");
        prop_assert_eq!(again.model(), policy.model());
        prop_assert_eq!(again.to_json(), json);
        prop_assert_eq!(again.hash(), policy.hash());
    }
}
