//! `cargo xtask bench`: builds the benches with optimisation and runs them.
//!
//! No test: a number taken on a busy machine proves nothing, and a person reads it best.

use anyhow::Result;
use clap::Args;

use crate::run;
use crate::workspace::Workspace;

/// What to measure.
#[derive(clap::Subcommand)]
pub(crate) enum Bench {
    /// The core's decisions, against their budgets and beside a peer
    Core(Core),
}

/// How to measure the core.
#[derive(Args)]
pub(crate) struct Core {
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Measure for a second or two: enough to see that it runs, too short to judge by
    #[arg(long)]
    quick: bool,
    /// Measure only what has this in its name, and judge nothing; for a profiler
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// Runs one bench; an error if a budget does not hold.
pub(crate) fn run(workspace: &Workspace, bench: &Bench) -> Result<()> {
    let Bench::Core(Core { json, quick, only }) = bench;
    let mut command = run::cargo(workspace);
    command.args(["run", "--release", "--package", "tidegate-bench", "--bin", "bench-core", "--"]);
    command.args(json.then_some("--json")).args(quick.then_some("--quick"));
    if let Some(text) = only {
        command.args(["--only", text]);
    }
    run::visibly(command)
}
