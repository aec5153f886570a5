//! The policy file is what decides: change it or its environment, start again,
//! and the answers follow.

use tidegate_tests::{
    cache_status::CacheStatus, demo_origin::DemoOrigin, policy_file::PolicyFile, shim::Shim,
};

#[test]
fn c2_a_changed_time_to_live_is_what_the_shim_applies() {
    let policy = PolicyFile::of_the_repository();
    let changed = policy.replacing("${CACHE_TTL_LONG:-600}s", "11m");
    marketplace_is_fresh_for(600, &policy, &[]);
    marketplace_is_fresh_for(660, &changed, &[]);
}

#[test]
fn c2b_times_to_live_come_from_the_environment() {
    let policy = PolicyFile::of_the_repository();
    marketplace_is_fresh_for(1200, &policy, &[("CACHE_TTL_LONG", "1200")]);
}

#[test]
fn c2b_limits_come_from_the_environment() {
    let origin = DemoOrigin::start();
    let environment = [("API_RATE_LIMIT", "2")];
    let shim = Shim::serve_with(&PolicyFile::of_the_repository(), &origin, &environment);
    let statuses = [(); 3].map(|()| shim.client().get("/api/v1/custom").status);
    assert_eq!(statuses, [200, 200, 429]);
}

#[track_caller]
fn marketplace_is_fresh_for(seconds: i64, policy: &PolicyFile, environment: &[(&str, &str)]) {
    let origin = DemoOrigin::start();
    let shim = Shim::serve_with(policy, &origin, environment);
    let status = CacheStatus::of(&shim.client().get("/api/v1/marketplace"));
    let hop = status.hop("tidegate-origin");
    assert!(hop.stored() && hop.is_fresh_for(seconds), "{hop:?} for {seconds} s");
}
