//! The route table agrees with a reading of the patterns one by one.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use tidegate_core::{Policy, Tier};

use crate::asked::get;

/// How particular a pattern is at each segment, the more the greater; and where it ends.
fn rank(pattern: &str) -> Vec<u8> {
    let rank = |segment: &str| match segment {
        "*" => 1,
        _ if segment.starts_with("*.") => 2,
        _ if segment.starts_with(':') => 3,
        _ => 4,
    };
    pattern[1..].split('/').map(rank).collect()
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern[1..].split('/'), Some(&path[1..]));
    loop {
        match (pattern.next(), path) {
            (None, rest) => return rest.is_none(),
            (Some(_), None) => return false,
            (Some("*"), Some(_)) => return true,
            (Some(tail), Some(rest)) if tail.starts_with("*.") => {
                let file = rest.rsplit('/').next().unwrap_or_default();
                let stem = file.len().saturating_sub(tail.len() - 1);
                return stem > 0 && file[stem..].eq_ignore_ascii_case(&tail[1..]);
            }
            (Some(segment), Some(rest)) => {
                let (this, behind) = match rest.split_once('/') {
                    Some((this, behind)) => (this, Some(behind)),
                    None => (rest, None),
                };
                let fits = match segment.starts_with(':') {
                    true => !this.is_empty(),
                    false => this == segment,
                };
                if !fits {
                    return false;
                }
                path = behind;
            }
        }
    }
}

/// The most particular match, compared from the left.
fn naive(routes: &[(&'static str, Option<&'static str>)], host: &str, path: &str) -> Option<usize> {
    let fits = |(pattern, of): &(&str, Option<&str>)| {
        matches(pattern, path) && of.is_none_or(|of| of == host)
    };
    let matching = (0..routes.len()).filter(|at| fits(&routes[*at]));
    matching.max_by_key(|at| (rank(routes[*at].0), routes[*at].1.is_some()))
}

const PATTERNS: &[&str] = &[
    "/", "/*", "/*.js", "/a", "/a/", "/a/*", "/a/*.js", "/a/b", "/a/b/*", "/a/:x", "/a/:x/b",
    "/:x", "/:x/", "/:x/*", "/:x/b", "/:x/b/a", "/:x/:y", "/:x/:y/*", "/a/b/:z", "/:x/b/*",
];

fn routes() -> impl Strategy<Value = Vec<(&'static str, Option<&'static str>)>> {
    let host = select(&[None, Some("h"), Some("g")][..]);
    let patterns = subsequence(PATTERNS, 0..=PATTERNS.len()).prop_shuffle();
    patterns.prop_flat_map(move |patterns| {
        let hosts = prop::collection::vec(host.clone(), patterns.len());
        (Just(patterns), hosts)
            .prop_map(|(patterns, hosts)| patterns.into_iter().zip(hosts).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_table_finds_what_reading_every_pattern_finds(
        routes in routes(),
        path in "/((a|b|c|x\\.js|\\.js|x\\.JS)/){0,3}(a|b|x\\.js|\\.js|x\\.JS){0,1}",
        host in select(&["h", "g", "i"][..]),
    ) {
        let listed = routes.iter().enumerate().map(|(at, (pattern, host))| {
            let hosts = host.map(|host| format!(r#","hosts":["{host}"]"#)).unwrap_or_default();
            format!(r#"{{"name":"{at}","pattern":"{pattern}"{hosts}}}"#)
        });
        let json = format!(
            r#"{{"schema":1,"routes":[{}]}}"#, listed.collect::<Vec<_>>().join(",")
        );
        let policy = Policy::from_json(&json).expect("a policy");
        let found = get(host, &path, &vec![], |request| {
            policy.plan(Tier::Origin, request).route.map(|route| route.name.clone())
        });
        let expected = naive(&routes, host, &path).map(|at| at.to_string());
        prop_assert_eq!(found, expected, "{:?}", routes);
    }
}
