//! Requests and rules to try laws on.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use tidegate_core::{CacheRule, Host, Method, Request, Scheme, Target};

/// Header fields, as they come.
pub(crate) type Lines = Vec<(String, String)>;

/// Reads a GET of `target` with these fields and asks about it.
pub(crate) fn get<T>(
    host: &str,
    target: &str,
    fields: &Lines,
    ask: impl FnOnce(&Request<'_, Lines>) -> T,
) -> T {
    let host = Host::parse(host, Scheme::Https).expect("a host");
    let target = Target::parse(target).expect("a target");
    ask(&Request::read(Method::Get, Scheme::Https, &host, &target, fields))
}

/// A cache rule, with whatever else its JSON says.
pub(crate) fn rule(mode: &str, ttl: u64, client: &str, more: &str) -> CacheRule {
    let json = format!(r#"{{"mode":"{mode}","ttl":{ttl},"client_directives":"{client}"{more}}}"#);
    serde_json::from_str(&json).expect("a rule")
}

/// Any mode with any time to live, in milliseconds.
pub(crate) fn any_rule(more: &'static str) -> impl Strategy<Value = CacheRule> {
    let mode = select(&["respect", "default", "override"][..]);
    let client = select(&["honour", "ignore"][..]);
    (mode, 0..1_000_000_000u64, client).prop_map(move |(m, ttl, c)| rule(m, ttl, c, more))
}

/// A Cache-Control field of some of these directives.
pub(crate) fn cache_control(
    directives: &'static [&'static str],
) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(directives, 0..=directives.len()).prop_shuffle()
}

/// The same letters, some in upper case.
pub(crate) fn any_case(text: &'static str) -> impl Strategy<Value = String> {
    prop::collection::vec(any::<bool>(), text.len()).prop_map(move |upper| {
        let letters = text.chars().zip(upper);
        letters.map(|(c, upper)| if upper { c.to_ascii_uppercase() } else { c }).collect()
    })
}

/// White space that may stand around a list's commas.
pub(crate) fn space() -> impl Strategy<Value = &'static str> {
    select(&["", " ", "\t", "  ", " \t "][..])
}
