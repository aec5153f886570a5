//! `cargo xtask bench`: builds the benches with optimisation and runs them.
//!
//! No test: a number taken on a busy machine proves nothing, and a person reads it best.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::tools::{self, Tools};
use crate::workspace::Workspace;
use crate::{edge, run, system};

/// What to measure.
#[derive(clap::Subcommand)]
pub(crate) enum Bench {
    /// The core's decisions, against their budgets and beside a peer
    #[command(disable_help_flag = true)]
    Core(Options),
    /// Limits counted in memory and in Redis: decisions, bytes a client, round trips, beside peers
    #[command(disable_help_flag = true)]
    Limits(Options),
    /// The worker in bare workerd: what a request costs, beside Workers in JavaScript; cold start
    /// and size
    #[command(disable_help_flag = true)]
    Edge(Options),
    /// The shim beside nginx, HAProxy and Varnish: what a request costs each, and what a stored
    /// answer takes
    #[command(disable_help_flag = true)]
    Origin(Options),
    /// How many lines of a log are replayed in a second
    #[command(disable_help_flag = true)]
    Replay(Options),
    /// A day's requests in minutes, and whether the shim's memory stays what it is
    #[command(disable_help_flag = true)]
    Soak(Options),
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
        Bench::Edge(options) => ("bench-edge", options),
        Bench::Origin(options) => ("bench-origin", options),
        Bench::Replay(options) => ("bench-replay", options),
        Bench::Soak(options) => ("bench-soak", options),
    };
    let mut command = run::cargo(workspace);
    command.args(["run", "--release", "--package", "tidegate-bench", "--bin", bin, "--"]);
    command.args(options);
    match bench {
        Bench::Core(_) | Bench::Replay(_) => {}
        Bench::Limits(_) => {
            system::require(&system::REDIS)?;
            command.env("TIDEGATE_NODE", tools::peers(workspace)?);
        }
        Bench::Edge(_) => {
            let tools = tools::prepare(workspace)?;
            command.env("TIDEGATE_BENCH_EDGE", workers(workspace, &tools)?);
            command.env("TIDEGATE_WORKERD", tools.workerd(workspace)?);
        }
        Bench::Origin(_) => {
            for component in [&system::NGINX, &system::HAPROXY, &system::VARNISH, &system::WRK] {
                system::require(component)?;
            }
            command.env("TIDEGATE_BIN", shim(workspace)?);
        }
        Bench::Soak(_) => {
            system::require(&system::REDIS)?;
            command.env("TIDEGATE_BIN", shim(workspace)?);
        }
    }
    run::visibly(command)
}

/// Builds the shim as it is deployed.
fn shim(workspace: &Workspace) -> Result<PathBuf> {
    let mut build = run::cargo(workspace);
    build.args(["build", "--release", "--package", "tidegate-origin", "--bin", "tidegate"]);
    run::visibly(build)?;
    Ok(workspace.target().join("release/tidegate"))
}

/// Builds the worker with the bench's policy, and the Workers beside it; the folder of all.
fn workers(workspace: &Workspace, tools: &Tools) -> Result<PathBuf> {
    tools::peers(workspace)?;
    let home = workspace.target().join("bench-edge");
    edge::build(workspace, tools, Some(&workspace.path("bench/src/edge/policy.toml")))?;
    fs::create_dir_all(home.join("tidegate"))?;
    for module in edge::MODULES {
        let built = workspace.path("edge-worker/build").join(module);
        fs::copy(built, home.join("tidegate").join(module))?;
    }
    for name in ["hand-written", "hono", "constant"] {
        let source = workspace.path(&format!("bench/peers/edge/{name}.mjs"));
        run::visibly(tools.bundle(&source, &home.join(name).join("index.js")))?;
    }
    Ok(home)
}
