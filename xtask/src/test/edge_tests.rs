//! The tests of the built worker, which node runs under wrangler.

use anyhow::Result;

use crate::test::other_policies::OtherPolicy;
use crate::test::session::TestRun;
use crate::test::{node_tests, small_world};
use crate::tools::Tools;
use crate::workspace::Workspace;

/// Runs tests/edge/*.test.mjs.
pub(super) fn run(workspace: &Workspace, tools: &Tools) -> Result<TestRun> {
    let mut node = tools.node();
    node.env("TIDEGATE_WORLD_WASM", small_world::module(workspace));
    node.env("CHANGED_WORKER", OtherPolicy::Changed.worker(workspace));
    node_tests::run(workspace, node, "edge")
}
