//! The tests of the shim's pages, in Chromium.

use std::path::Path;

use anyhow::Result;

use crate::system;
use crate::test::node_tests;
use crate::test::session::TestRun;
use crate::tools::Tools;
use crate::workspace::Workspace;

/// Runs tests/dashboard/*.test.mjs; `playground` is that page.
pub(super) fn run(workspace: &Workspace, tools: &Tools, playground: &Path) -> Result<TestRun> {
    system::require(&system::CHROMIUM)?;
    let mut node = tools.node();
    node.env("PLAYGROUND", playground);
    node_tests::run(workspace, node, "dashboard")
}
