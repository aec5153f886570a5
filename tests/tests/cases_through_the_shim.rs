//! The cases that need no time to pass, through `tidegate serve` before an origin that says what
//! each case says.

use std::collections::BTreeMap;

use tidegate_tests::{
    cases::{
        self, Placed,
        play::{self, Stage},
    },
    policy_file::PolicyFile,
    scripted_origin::ScriptedOrigin,
    shim::Shim,
};
use tidegate_world::{case::Tier, policy};

/// May only grow.
const CASES: usize = 302;

#[test]
fn every_case_without_waiting_holds_through_the_shim() {
    let cases = cases::playable_on(Tier::Origin, CASES);
    let ledger = cases::ledger("shim-deviations.toml");
    cases::settle(&play::failures(&cases, &ledger, run), &ledger);
}

fn run(cases: &[Placed]) -> BTreeMap<String, Vec<String>> {
    let origin = ScriptedOrigin::start();
    let text = policy::text(cases.iter().map(|placed| &placed.case), &origin.address().to_string());
    let shim = Shim::serve_policy(&PolicyFile::with_text(&text));
    let tier = Tier::Origin;
    Stage { client: shim.client(), origin: &origin, tier, tells_the_end: false }.play_all(cases)
}
