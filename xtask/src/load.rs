//! `cargo xtask load`: builds the demo stack as it is deployed, lets virtual users at it, and writes
//! what was found.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::edge;
use crate::tools::{self, Tools};
use crate::workspace::Workspace;
use crate::{report, run, system};

const POLICY: &str = "bench/src/capacity/policy.toml";

/// How much to run.
#[derive(clap::Args)]
pub(crate) struct Load {
    /// Few users for some seconds: to see that all holds; writes nothing
    #[arg(long)]
    quick: bool,
}

/// Runs it; an error if something does not hold.
pub(crate) fn run(workspace: &Workspace, load: &Load) -> Result<()> {
    let tools = tools::prepare(workspace)?;
    if load.quick {
        build(workspace, &[])?;
        return quickly(workspace, &tools);
    }
    let profile = &["--release"];
    build(workspace, profile)?;
    let mut command = bench(workspace, &tools, profile)?;
    command.env("TIDEGATE_BIN", workspace.target().join("release/tidegate"));
    command.arg("--write").arg(workspace.path("docs"));
    run::visibly(command)
}

/// The short run, with the shim that lies there.
pub(crate) fn quickly(workspace: &Workspace, tools: &Tools) -> Result<()> {
    let mut command = bench(workspace, tools, &[])?;
    command.env("TIDEGATE_BIN", workspace.debug_binary("tidegate")).arg("--quick");
    run::visibly(command)
}

fn build(workspace: &Workspace, profile: &[&str]) -> Result<()> {
    let mut cargo = run::cargo(workspace);
    cargo.args(["build", "--package", "tidegate-origin", "--bin", "tidegate"]).args(profile);
    report::step("Building the shim and its load generator", || run::visibly(cargo))
}

/// The runs, told where all is that they need beside the shim.
fn bench(workspace: &Workspace, tools: &Tools, profile: &[&str]) -> Result<Command> {
    system::require(&system::REDIS)?;
    let mut command = run::cargo(workspace);
    command.args(["run", "--package", "tidegate-bench", "--bin", "bench-capacity"]).args(profile);
    command.arg("--");
    command.env("TIDEGATE_LOAD_WORKER", worker(workspace, tools)?);
    command.env("TIDEGATE_WORKERD", tools.workerd(workspace)?);
    command.env("TIDEGATE_LOAD_POLICY", workspace.path(POLICY));
    Ok(command)
}

/// Builds the worker with the policy of these runs; the folder of its modules.
fn worker(workspace: &Workspace, tools: &Tools) -> Result<PathBuf> {
    let folder = workspace.target().join("load-worker");
    edge::build(workspace, tools, Some(&workspace.path(POLICY)))?;
    fs::create_dir_all(&folder)?;
    for module in edge::MODULES {
        fs::copy(workspace.path("edge-worker/build").join(module), folder.join(module))?;
    }
    Ok(folder)
}
