//! What says nothing changes nothing: the order of fields, white space, the split into lines,
//! the case of names; and an age never falls.

use std::time::Duration;

use proptest::prelude::*;
use tidegate_core::reuse::{Lookup, Reuse, reuse};
use tidegate_core::store::{Store, store};
use tidegate_core::{Exchange, Response, Stored, Tier, Timestamp};

use crate::asked::{Lines, any_rule, cache_control, get, space};

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const EXCHANGE: Exchange = Exchange { requested_at: NOW, received_at: NOW };

const REQUEST: &[&str] =
    &["no-cache", "max-age=5", "min-fresh=10", "max-stale=20", "only-if-cached", "x=\"a,b\""];
const ANSWER: &[&str] = &[
    "no-cache",
    "max-age=60",
    "s-maxage=30",
    "public",
    "must-revalidate",
    "stale-if-error=9",
    "no-store",
    "private",
    "private=\"x, y\"",
    "stale-while-revalidate=7",
    "x=\"no-store, a\"",
];

/// One field as several lines, with white space where it may stand.
fn spread(
    name: &'static str,
    members: impl Strategy<Value = Vec<&'static str>>,
) -> impl Strategy<Value = (Lines, Lines)> {
    let with_noise = members.prop_flat_map(|members| {
        let noise = prop::collection::vec((space(), space(), any::<bool>()), members.len());
        (Just(members), noise)
    });
    with_noise.prop_map(move |(members, noise)| {
        let line = |value: String| (name.to_owned(), value);
        let plain = vec![line(members.join(", "))];
        let mut lines = vec![line(String::new())];
        for (member, (before, behind, breaks)) in members.iter().zip(noise) {
            if breaks {
                lines.push(line(String::new()));
            }
            let value = &mut lines.last_mut().expect("a line").1;
            let comma = if value.is_empty() { "" } else { "," };
            *value += &format!("{comma}{before}{member}{behind}");
        }
        (plain, lines)
    })
}

fn keep(rule: &tidegate_core::CacheRule, asked: &Lines, answered: &Lines) -> Store {
    get("a", "/", asked, |request| {
        store(rule, request, &Response::read(Tier::Origin, 200, answered, NOW), &EXCHANGE)
    })
}

fn judge(
    rule: &tidegate_core::CacheRule,
    asked: &Lines,
    held: Stored,
    now: Timestamp,
) -> Reuse<Stored> {
    get("a", "/", asked, |request| reuse(rule, request, Lookup::Found(held), now))
}

fn held() -> impl Strategy<Value = Stored> {
    (0..100u64, 0..100u64, 0..100u64, any::<[bool; 3]>()).prop_map(|(age, fresh, more, flags)| {
        let fresh_until = NOW + Duration::from_secs(fresh);
        Stored {
            status: 200,
            received_at: NOW,
            initial_age_ms: age * 1000,
            fresh_until,
            serve_while_refreshing_until: fresh_until + Duration::from_secs(more),
            serve_on_error_until: fresh_until,
            forbids_stale: flags[0],
            always_revalidate: flags[1],
            has_validator: flags[2],
            part: None,
        }
    })
}

fn other_fields() -> impl Strategy<Value = Lines> {
    let line = |name: &'static str, value: &'static str| {
        prop::option::of(Just((name.to_owned(), value.to_owned())))
    };
    let fields = [
        line("etag", "\"a\""),
        line("expires", "Thu, 19 Nov 2026 10:00:00 GMT"),
        line("date", "Thu, 19 Nov 2026 09:59:00 GMT"),
        line("age", "7"),
        line("last-modified", "Wed, 18 Nov 2026 10:00:00 GMT"),
        line("vary", "accept"),
        line("set-cookie", "a=b"),
    ];
    fields.prop_map(|fields| fields.into_iter().flatten().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn white_space_and_lines_of_the_answer_decide_nothing(
        rule in any_rule(""),
        (plain, spread) in spread("cache-control", cache_control(ANSWER)),
    ) {
        prop_assert_eq!(keep(&rule, &vec![], &plain), keep(&rule, &vec![], &spread));
    }

    #[test]
    fn white_space_and_lines_of_the_request_decide_nothing(
        rule in any_rule(""),
        (plain, spread) in spread("cache-control", cache_control(REQUEST)),
        held in held(),
        after in 0..300u64,
    ) {
        let now = NOW + Duration::from_secs(after);
        prop_assert_eq!(judge(&rule, &plain, held, now), judge(&rule, &spread, held, now));
    }

    #[test]
    fn the_order_of_fields_decides_nothing(
        rule in any_rule(""),
        (plain, _) in spread("cache-control", cache_control(ANSWER)),
        (others, shuffled) in other_fields().prop_flat_map(|o| (Just(o.clone()), Just(o).prop_shuffle())),
        at in any::<prop::sample::Index>(),
    ) {
        let first: Lines = plain.iter().cloned().chain(others).collect();
        let mut second = shuffled;
        second.insert(at.index(second.len() + 1), plain[0].clone());
        prop_assert_eq!(keep(&rule, &vec![], &first), keep(&rule, &vec![], &second));
    }

    #[test]
    fn an_age_never_falls(held in held(), one in any::<u64>(), two in any::<u64>()) {
        let (early, late) = (Timestamp::from_millis(one.min(two)), Timestamp::from_millis(one.max(two)));
        prop_assert!(held.age(early) <= held.age(late));
        prop_assert!(held.staleness(early) <= held.staleness(late));
        prop_assert!(held.fresh_for(late) <= held.fresh_for(early));
    }
}
