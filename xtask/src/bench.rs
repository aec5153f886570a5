//! `cargo xtask bench`: builds the benches with optimisation and runs them.
//!
//! No test: a number taken on a busy machine proves nothing, and a person reads it best.

use std::ffi::OsString;

use anyhow::Result;

use crate::run;
use crate::system;
use crate::tools;
use crate::workspace::Workspace;

/// What to measure.
#[derive(clap::Subcommand)]
pub(crate) enum Bench {
    /// The core's decisions, against their budgets and beside a peer
    #[command(disable_help_flag = true)]
    Core(Options),
    /// Limits counted in memory and in Redis: decisions, bytes a client, round trips, beside peers
    #[command(disable_help_flag = true)]
    Limits(Options),
}

/// How to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// For the bench, which says by `--help` what there is
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<OsString>,
}

/// Runs one bench; an error if a budget does not hold.
pub(crate) fn run(workspace: &Workspace, bench: &Bench) -> Result<()> {
    let (bin, Options { options }) = match bench {
        Bench::Core(options) => ("bench-core", options),
        Bench::Limits(options) => ("bench-limits", options),
    };
    let mut command = run::cargo(workspace);
    command.args(["run", "--release", "--package", "tidegate-bench", "--bin", bin, "--"]);
    command.args(options);
    if let Bench::Limits(_) = bench {
        system::require(&system::REDIS)?;
        command.env("TIDEGATE_NODE", tools::peers(workspace)?);
    }
    run::visibly(command)
}
