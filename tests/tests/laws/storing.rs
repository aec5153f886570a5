//! What protects people is never overridden, whatever the rule says, unless it names the risk.

use proptest::prelude::*;
use proptest::sample::select;
use tidegate_core::store::{Store, store};
use tidegate_core::{CacheRule, Exchange, Response, Tier, Timestamp};

use crate::asked::{Lines, any_case, any_rule, cache_control, get};

const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
const EXCHANGE: Exchange = Exchange { requested_at: NOW, received_at: NOW };
const HARMLESS: &[&str] = &["public", "max-age=60", "s-maxage=60", "must-revalidate", "x=\"a, b\""];

fn is_kept(rule: &CacheRule, asked: &Lines, status: u16, answered: &Lines) -> bool {
    let kept = get("a", "/", asked, |request| {
        store(rule, request, &Response::read(Tier::Origin, status, answered, NOW), &EXCHANGE)
    });
    matches!(kept, Store::Keep { .. })
}

fn status() -> impl Strategy<Value = u16> {
    prop_oneof![select(&[200, 203, 206, 301, 404, 500][..]), 100..600u16]
}

/// A Cache-Control with `directive` among harmless ones.
fn among(directive: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (cache_control(HARMLESS), directive, any::<prop::sample::Index>()).prop_map(|(list, it, at)| {
        let mut list: Vec<String> = list.into_iter().map(str::to_owned).collect();
        list.insert(at.index(list.len() + 1), it);
        list.join(", ")
    })
}

fn line(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn no_store_in_any_spelling_is_never_kept(
        rule in any_rule(""), value in among(any_case("no-store")), status in status(),
    ) {
        prop_assert!(!is_kept(&rule, &vec![], status, &vec![line("cache-control", &value)]));
    }

    #[test]
    fn no_store_counts_whatever_malformed_stands_around_it(
        rule in any_rule(""),
        before in "[a-z\"\\\\;= ,\t]{0,24}", it in any_case("no-store"),
        junk in "([;= ][a-z;= ]{0,4})?", behind in "[a-z\\\\;= ,\t]{0,24}",
    ) {
        // No quote stands behind it, so none of those before encloses it.
        let value = format!("{before},{it}{junk},{behind}");
        prop_assert!(!is_kept(&rule, &vec![], 200, &vec![line("cache-control", &value)]), "{value}");
    }

    #[test]
    fn no_store_is_kept_where_the_rule_takes_the_risk(value in among(any_case("no-store"))) {
        let rule = crate::asked::rule("override", 60_000, "ignore", r#","unsafe_ignore":["no-store"]"#);
        prop_assert!(is_kept(&rule, &vec![], 200, &vec![line("cache-control", &value)]));
    }

    #[test]
    fn must_understand_outweighs_no_store_for_an_understood_status(
        value in among(any_case("no-store")), must in any_case("must-understand"),
    ) {
        let value = format!("{value}, {must}, max-age=60");
        let rule = crate::asked::rule("respect", 0, "ignore", "");
        let answered = vec![line("cache-control", &value)];
        prop_assert!(is_kept(&rule, &vec![], 200, &answered) || value.contains("max-age=0"));
        prop_assert!(!is_kept(&rule, &vec![], 299, &answered));
    }

    #[test]
    fn private_is_never_kept(
        rule in any_rule(""), value in among(any_case("private")), status in status(),
    ) {
        prop_assert!(!is_kept(&rule, &vec![], status, &vec![line("cache-control", &value)]));
    }

    #[test]
    fn a_cookie_is_never_kept(
        rule in any_rule(""), value in among(Just("public".to_owned())), status in status(),
        cookie in "[ -~]{0,20}",
    ) {
        let answered = vec![line("set-cookie", &cookie), line("cache-control", &value)];
        prop_assert!(!is_kept(&rule, &vec![], status, &answered));
    }

    #[test]
    fn what_a_credential_got_is_never_kept_under_a_key_without_it(
        rule in any_rule(""), status in status(), credential in "[ -~]{0,20}",
        value in cache_control(&["max-age=60", "immutable", "stale-if-error=5", "proxy-revalidate"]),
    ) {
        let asked = vec![line("authorization", &credential)];
        let answered = vec![line("cache-control", &value.join(","))];
        prop_assert!(!is_kept(&rule, &asked, status, &answered));
    }
}
