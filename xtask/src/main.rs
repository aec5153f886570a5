//! `cargo xtask`: the only task runner of this repository.
//!
//! Everything a contributor or CI does beyond plain `cargo` is a command here:
//! preparing tools, building the worker, running the whole path on loopback,
//! and testing all of it. Every step says what it does, why, and how long it
//! took; nothing is installed into the person's home.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a task runner talks to a person")]

mod bench;
mod conformance;
mod dev;
mod edge;
mod fuzz;
mod load;
mod playground;
mod readiness;
mod report;
mod run;
mod smoke;
mod system;
mod test;
mod tools;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Tidegate's task runner.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
#[command(after_help = "Start with `cargo xtask dev`; before a commit, `cargo xtask test --fast`.")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run the whole path here: demo origin, shim before it, edge before that
    Dev {
        /// The policy both tiers obey [default: tidegate.toml]
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
    /// Run every check and test, then count the requirements that have one
    Test {
        /// Only fmt, clippy and the native tests: the inner loop
        #[arg(long)]
        fast: bool,
    },
    /// Measure what decisions cost, and judge it
    Bench {
        #[command(subcommand)]
        bench: bench::Bench,
    },
    /// Let virtual users at the whole path, and write down what it bears
    Load(load::Load),
    /// Feed a part of the core with inputs that nobody thought of
    Fuzz(fuzz::Fuzz),
    /// Run the public HTTP cache tests through Tidegate, nginx and Varnish
    Conformance,
    /// Build the worker into edge-worker/build; `wrangler` calls this too
    BuildEdge {
        /// The policy compiled into the worker [default: tidegate.toml]
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
    },
    /// Build playground/build/playground.html, the core in a page of its own
    BuildPlayground,
    /// Ask a deployed Worker what only the real platform can tell
    Smoke(smoke::Smoke),
    /// Install what the other commands need, under target/ and node_modules/
    Tools,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let workspace = Workspace::find();
    let outcome = match cli.command {
        Task::Smoke(smoke) => return smoke::run(&workspace, &smoke),
        Task::Dev { policy } => dev::run(&workspace, policy.as_deref()),
        Task::Test { fast } => test::run(&workspace, fast),
        Task::Bench { bench } => bench::run(&workspace, &bench),
        Task::Load(load) => load::run(&workspace, &load),
        Task::Fuzz(fuzz) => fuzz::run(&workspace, &fuzz),
        Task::Conformance => conformance::run(&workspace),
        Task::BuildEdge { policy } => tools::prepare(&workspace)
            .and_then(|tools| edge::build(&workspace, &tools, policy.as_deref())),
        Task::BuildPlayground => tools::prepare(&workspace)
            .and_then(|tools| playground::build(&workspace, &tools))
            .map(|page| report::note(format!("open {}", page.display()))),
        Task::Tools => tools::prepare(&workspace)
            .map(|_| report::note("every tool is in place; `cargo xtask dev` starts the system")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::failure(&error);
            ExitCode::FAILURE
        }
    }
}
