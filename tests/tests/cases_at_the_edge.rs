//! The cases that need no time to pass, through the built worker in workerd before an origin that
//! says what each case says.

use std::{collections::BTreeMap, env, path::PathBuf};

use tidegate_tests::{
    cases::{
        self, Placed,
        play::{self, ENDED, Stage},
    },
    edge_worker::EdgeWorker,
    scripted_origin::ScriptedOrigin,
};
use tidegate_world::case::Tier;

/// The build whose policy is that of the cases, see src/bin/edge-cases-policy.rs.
const BUILD: &str = "CASES_WORKER";

/// May only grow.
const CASES: usize = 302;

#[test]
#[ignore = "needs the built worker: `cargo xtask test`"]
fn every_case_without_waiting_holds_at_the_edge() {
    let cases = cases::playable_on(Tier::Edge, CASES);
    let ledger = cases::ledger("edge-deviations.toml");
    cases::settle(&play::failures(&cases, &ledger, run), &ledger);
}

fn run(cases: &[Placed]) -> BTreeMap<String, Vec<String>> {
    let build = PathBuf::from(env::var_os(BUILD).expect("CASES_WORKER names a build"));
    let origin = ScriptedOrigin::start();
    let worker = EdgeWorker::serve(&build, origin.address(), ENDED);
    let tier = Tier::Edge;
    Stage { client: worker.client(), origin: &origin, tier, tells_the_end: true }.play_all(cases)
}
