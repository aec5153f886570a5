//! The policy file is what decides: change it, start again, and the answer
//! follows.

use tidegate_tests::{
    cache_status::CacheStatus, demo_origin::DemoOrigin, policy_file::PolicyFile, shim::Shim,
};

#[test]
fn c2_a_changed_time_to_live_is_what_the_shim_applies() {
    let unchanged = PolicyFile::of_the_repository();
    let changed = PolicyFile::with_text(&unchanged.text().replace("\"10m\"", "\"11m\""));
    assert_eq!([ttl_of_marketplace(&unchanged), ttl_of_marketplace(&changed)], [600, 660]);
}

fn ttl_of_marketplace(policy: &PolicyFile) -> i64 {
    let origin = DemoOrigin::start();
    let answer = Shim::serve(policy, &origin).client().get("/api/v1/marketplace");
    CacheStatus::of(&answer).hop("tidegate-origin").ttl().expect("a stored answer")
}
