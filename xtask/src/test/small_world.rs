//! The small world of the cases for wasm, in which node runs them again.

use std::path::PathBuf;

use anyhow::Result;

use crate::run;
use crate::tools::WASM;
use crate::workspace::Workspace;

pub(super) fn build(workspace: &Workspace) -> Result<()> {
    let mut cargo = run::cargo(workspace);
    cargo.args(["build", "--package", "tidegate-world", "--target", WASM]);
    run::visibly(cargo)
}

/// Where [`build`] leaves the module.
pub(super) fn module(workspace: &Workspace) -> PathBuf {
    workspace.target().join(WASM).join("debug").join("tidegate_world.wasm")
}
