//! `cargo xtask dev`: the whole path on loopback, from one command to Ctrl-C.
//!
//! Demo origin, shim before it, edge before that, as three programs in process
//! groups of their own, so that stopping a group stops what it started too
//! (wrangler's workerd). Whatever ends the run (Ctrl-C, a signal, a program
//! that dies) ends all of it.

mod ports;
mod service;
mod stack;
mod tour;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use crate::dev::service::Plan;
use crate::dev::stack::Stack;
use crate::tools::{self, Tools};
use crate::workspace::Workspace;
use crate::{edge, playground, report, run};

/// Prepares, builds, starts, shows the way, and stays until the end.
pub(crate) fn run(workspace: &Workspace, policy: Option<&Path>) -> Result<()> {
    ports::require_free(&ports::ALL)?;
    let policy = edge::chosen_policy(policy)?;
    let tools = tools::prepare(workspace)?;
    report::step("Building the shim and the demo origin", || {
        run::visibly(native_build(workspace))
    })?;
    edge::build(workspace, &tools, policy.as_deref())?;
    let playground = playground::build(workspace, &tools)?;

    let folder = fresh_folder(workspace)?;
    let plans = [
        demo_origin(workspace),
        shim(workspace, policy.as_deref(), &playground),
        edge_worker(workspace, &tools, policy.as_deref(), &folder),
    ];
    let mut stack = Stack::new(&folder)?;
    let outcome = start_and_attend(&mut stack, plans);
    stack.stop();
    outcome?;
    ports::require_free(&ports::ALL).context("something was left behind")
}

fn start_and_attend(stack: &mut Stack, plans: [Plan; 3]) -> Result<()> {
    for plan in plans {
        let what = format!("Starting {}", plan.what);
        if !report::step(&what, || stack.start(plan))? {
            return Ok(());
        }
    }
    tour::print();
    stack.attend()
}

/// The programs beside the worker. The tests build the same way, so that each
/// finds the other's work done.
pub(crate) fn native_build(workspace: &Workspace) -> Command {
    let mut cargo = run::cargo(workspace);
    cargo.args(["build", "--bins", "--package", "tidegate-origin", "--package", "tidegate-tests"]);
    cargo
}

fn demo_origin(workspace: &Workspace) -> Plan {
    let mut command = Command::new(workspace.debug_binary("demo-origin"));
    command.current_dir(workspace.root());
    command.args(["--plugins", ports::PLUGINS.address, "--base", ports::BASE.address]);
    Plan {
        name: "origin",
        what: "the demo origin: plugin server and base service",
        command,
        ready: &[(ports::PLUGINS, "/healthz"), (ports::BASE, "/healthz")],
    }
}

fn shim(workspace: &Workspace, policy: Option<&Path>, playground: &Path) -> Plan {
    let mut command = Command::new(workspace.debug_binary("tidegate"));
    command.current_dir(workspace.root()).arg("serve");
    command.arg("--policy").arg(policy.unwrap_or(Path::new("tidegate.toml")));
    command.args(["--listen", ports::SHIM.address]).arg("--playground").arg(playground);
    command.env("TIDEGATE_ADMIN_LISTEN", ports::ADMIN.address);
    Plan {
        name: "shim",
        what: "the origin shim: `tidegate serve`",
        command,
        ready: &[(ports::SHIM, "/healthz")],
    }
}

fn edge_worker(workspace: &Workspace, tools: &Tools, policy: Option<&Path>, folder: &Path) -> Plan {
    let mut command = tools.wrangler(workspace);
    command.args(["dev", "--ip", "127.0.0.1", "--port", ports::EDGE.port()]);
    // A run begins with an empty cache and rested limits, or the first look
    // would show yesterday's HIT.
    command.arg("--persist-to").arg(folder.join("edge-state"));
    command.args(["--inspector-port", "0", "--show-interactive-dev-session=false"]);
    edge::hand_over_policy(&mut command, policy);
    run::forget_cargo_run(&mut command);
    Plan {
        name: "edge",
        what: "the edge: `wrangler dev`",
        command,
        ready: &[(ports::EDGE, "/.tidegate/health")],
    }
}

/// Where the programs' output goes, and wrangler's state.
fn fresh_folder(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target().join("dev");
    if folder.is_dir() {
        fs::remove_dir_all(&folder).map_err(|error| {
            anyhow!(error).context(format!("could not empty {}", folder.display()))
        })?;
    }
    fs::create_dir_all(&folder)
        .with_context(|| format!("could not create {}", folder.display()))?;
    Ok(folder)
}
