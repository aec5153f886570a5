//! The tests of the shim's pages, in Chromium.

use std::process::Command;

use anyhow::Result;

use crate::test::node_tests;
use crate::test::session::TestRun;
use crate::workspace::Workspace;
use crate::{system, tools};

/// Runs tests/dashboard/*.test.mjs.
pub(super) fn run(workspace: &Workspace) -> Result<TestRun> {
    system::require(&system::CHROMIUM)?;
    let node = Command::new(tools::node(workspace)?);
    node_tests::run(workspace, node, "dashboard")
}
