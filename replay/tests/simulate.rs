//! Generated traffic through both tiers of the policy at the root of the project.

use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::time::Duration;

use proptest::prelude::*;
use tidegate_core::{Policy, document};
use tidegate_replay::Setup;
use tidegate_replay::simulate::{Reckoning, Report, STEPS, Scenario, Simulated};
use tidegate_traffic::Mix;

fn policy() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY.get_or_init(|| read(include_str!("../../tidegate.toml")))
}

fn read(text: &str) -> Policy {
    let environment = |name: &str| (name == "REDIS_URL").then(|| String::from("redis://127.0.0.1"));
    document::read_closely(text, &environment).expect("a good policy").policy
}

fn scenario(users: u32, requests_max: u64) -> Scenario {
    let users = NonZeroU32::new(users).expect("somebody");
    Scenario { requests_max, ..Scenario::of(users) }
}

fn simulated(policy: &Policy, scenario: &Scenario) -> Simulated {
    let (mix, setup) = (Mix::platform(), Setup::default());
    Simulated::of(policy, &mix, &setup, scenario, &Reckoning::default(), &mut |_| {})
}

#[test]
fn t1_edge_and_origin_take_away_what_they_should_for_10000_users() {
    let found = simulated(policy(), &scenario(10_000, 200_000));
    let requests = found.a_second(found.flow.requests);
    assert!((180.0..220.0).contains(&requests), "{requests} requests a second");
    let edge = found.flow.taken_by_edge();
    assert!((0.5..=0.7).contains(&edge), "the edge takes {edge}");
    let queries = found.flow.queries_taken();
    assert!((0.6..=0.7).contains(&queries), "the origin is spared {queries} of its queries");
}

#[test]
fn t2_of_100000_users_more_than_80_percent_are_answered_out_of_stores() {
    let found = simulated(policy(), &scenario(100_000, 200_000));
    assert!(found.one_of > 1, "some stand for all");
    assert!(found.flow.hit_ratio() > 0.8, "{:?}", found.flow);
}

#[test]
fn t3_each_step_of_growth_is_one_line_with_more_of_everything() {
    let found = STEPS.map(|step| {
        simulated(policy(), &Scenario { requests_max: 60_000, ..Scenario::step(step, 1) })
    });
    for (step, (_, rate)) in found.iter().zip(STEPS) {
        let requests = step.a_second(step.flow.requests);
        assert!((0.7 * rate..1.3 * rate).contains(&requests), "{requests} of {rate}");
    }
    assert!(found.is_sorted_by(|one, other| {
        one.a_second(one.flow.spent.queries) < other.a_second(other.flow.spent.queries)
            && one.needs.origin_servers <= other.needs.origin_servers
            && one.needs.cloudflare.dollars < other.needs.cloudflare.dollars
    }));
}

#[test]
fn t3_the_report_has_every_number_in_words_and_as_json() {
    let scenario = Scenario { counted: Duration::from_secs(600), ..scenario(2_000, 20_000) };
    let (mix, setup) = (Mix::platform(), Setup::default());
    let (mut last, mut all) = (0, 0);
    let report = Report::of(
        ("tidegate.toml", policy()),
        &mix,
        &setup,
        &scenario,
        &STEPS[..1],
        Reckoning::default(),
        &mut |done, of| {
            assert!(done >= last, "{done} after {last}");
            (last, all) = (done, of);
        },
    );
    assert!(last > 0 && all >= last / 2, "{last} of {all}");
    let text = report.text().to_string();
    for words in [
        "2,000 users behind tidegate.toml",
        "The edge takes away of all requests",
        "Workers Paid",
        "at once",
        "Given, not found",
        "origin-workers",
    ] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 80), "80 columns:\n{text}");
    let json = report.to_json();
    assert_eq!(json["asked"]["flow"]["requests"], report.asked.flow.requests);
    assert_eq!(json["steps"][0]["users"], 5_000);
}

#[test]
fn a_small_site_needs_no_plan_that_is_paid_for() {
    let policy = read(
        r#"
        schema = 1
        [upstreams.app]
        servers = ["127.0.0.1:4000"]
        [[routes]]
        name = "all"
        match = "/*"
        upstream = "app"
        edge = { mode = "default", ttl = "5m" }
    "#,
    );
    let found = simulated(&policy, &scenario(50, 200_000));
    assert_eq!(found.needs.cloudflare.plan, "Workers Free", "{:?}", found.needs);
    assert_eq!(found.needs.cloudflare.dollars, 0.0);
    assert!(!found.needs.has_redis);
}

#[test]
fn limits_in_redis_are_operations_of_it() {
    let policy = read(
        r#"
        schema = 1
        [upstreams.app]
        servers = ["127.0.0.1:4000"]
        [redis]
        url = "${REDIS_URL}"
        [limits.all]
        limit = "1000 per 60s"
        key = ["client-ip"]
        store = { edge = "local", origin = "redis" }
        [[routes]]
        name = "all"
        match = "/*"
        upstream = "app"
        limit = "all"
    "#,
    );
    let found = simulated(&policy, &scenario(100, 10_000));
    assert!(found.needs.has_redis);
    // Nothing is stored, so that each request comes to the shim and asks once.
    let requests = found.a_second(found.flow.requests);
    assert!((found.needs.redis_operations - requests).abs() < 1e-9 * requests, "{:?}", found.needs);
    assert_eq!(found.flow.object_decisions, 0);
}

#[test]
fn a_limit_that_is_first_asked_in_the_counted_hour_is_counted_by_itself() {
    let found = simulated(policy(), &Scenario { seed: 23, ..scenario(1, 3_000) });
    assert!(found.flow.redis_decisions <= found.flow.at_shim, "{:?}", found.flow);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_same_seed_is_the_same_report_and_numbers_add_up(
        seed in any::<u64>(),
        users in 1_u32..500,
    ) {
        let scenario = Scenario { seed, ..scenario(users, 3_000) };
        let found = simulated(policy(), &scenario);
        let again = simulated(policy(), &scenario);
        prop_assert_eq!(found.flow, again.flow);
        let flow = found.flow;
        prop_assert!(flow.edge_hits + flow.shim_hits + flow.refused <= flow.requests);
        prop_assert!(flow.spent.queries <= flow.behind_edge.queries);
        prop_assert!(flow.behind_edge.queries <= flow.alone.queries);
        prop_assert!(flow.uncached <= flow.requests);
    }
}
