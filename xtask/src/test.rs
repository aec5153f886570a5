//! `cargo xtask test`: every check, to the end, with one verdict.
//!
//! A failure does not stop what comes after it, because one run should tell
//! all that is wrong. `--fast` is the part worth waiting for while editing.

mod core_alone;
mod dashboard_tests;
mod deployed;
mod deployment;
mod edge_tests;
mod ledger;
mod licences;
mod node_tests;
mod other_policies;
mod rust;
mod session;
mod small_world;
mod wasm;

use anyhow::Result;

use crate::test::other_policies::OtherPolicy;
use crate::test::session::{Session, TestRun};
use crate::tools::{self, Tools};
use crate::workspace::Workspace;
use crate::{conformance, dev, edge, fuzz, load, playground, run, system};

// Checks that others build on.
const PROGRAMS: &str = "the programs that the tests start";
const CONFORMANCE: &str = "the public HTTP cache tests, through the shim";
const TOOLS: &str = "tools for the worker";
const WORKER: &str = "the worker";
const CASES_WORKER: &str = "the worker with the policy of the cases";
const PLAYGROUND: &str = "the playground";
const DASHBOARD: &str = "the dashboard and the playground, in Chromium";
const DEPLOYED: &str = "what is deployed is valid";
const CASES: &str = "the cases, at the edge";
const DEMO: &str = "the demo stack, with few users and failures";
const PARITY: &str = "edge and shim decide alike";

/// Runs the checks; an error if one failed.
pub(crate) fn run(workspace: &Workspace, fast: bool) -> Result<()> {
    let mut session = Session::start();
    let programs = native(workspace, &mut session, fast);
    if fast {
        return session.verdict();
    }
    session.check("fuzz targets, a moment each", || fuzz::briefly(workspace));
    session.check("documentation without warnings", || rust::documentation(workspace));
    let tools = session.check(TOOLS, || tools::prepare(workspace));
    match &tools {
        Some(tools) => worker(workspace, tools, &mut session, programs),
        None => session.leave_out("the core for wasm, and all about the worker", TOOLS),
    }
    match &tools {
        Some(tools) if programs => pages(workspace, tools, &mut session),
        Some(_) => session.leave_out(DASHBOARD, PROGRAMS),
        None => session.leave_out(DASHBOARD, TOOLS),
    }
    // Its cases are the suite's, not our requirements: no test is counted.
    if programs {
        session.check(CONFORMANCE, || conformance::check(workspace));
        session.check_tests(DEPLOYED, || deployed::check(workspace));
    } else {
        session.leave_out(CONFORMANCE, PROGRAMS);
        session.leave_out(DEPLOYED, PROGRAMS);
    }
    session.check("licences and sources of the dependencies", || licences::check(workspace));
    let passed = session.passed_tests().clone();
    session.check("requirements that have a test", || ledger::print(workspace, &passed));
    session.verdict()
}

/// What needs no more than Rust. Whether the programs are there afterwards.
fn native(workspace: &Workspace, session: &mut Session, fast: bool) -> bool {
    session.check("format", || rust::format(workspace));
    session.check("clippy, native", || rust::clippy(workspace));
    let programs = session.check(PROGRAMS, || run::visibly(dev::native_build(workspace)));
    if programs.is_none() {
        session.leave_out("tests, native", PROGRAMS);
        return false;
    }
    // Where it may not be installed, the tests that need it say so.
    session.check("Redis, for the tests", || system::require(&system::REDIS));
    session.check("promtool, for the tests", || system::require(&system::PROMTOOL));
    session.check_tests("tests, native", || rust::tests(workspace));
    if !fast {
        session.check("tests in the documentation", || rust::documentation_tests(workspace));
        session.check_tests("tests of features", || rust::tests_of_features(workspace));
    }
    true
}

/// What needs the wasm target or the built worker.
fn worker(workspace: &Workspace, tools: &Tools, session: &mut Session, programs: bool) {
    session.check("the core for wasm: no std, no imports", || core_alone::check(workspace));
    session.check("clippy, worker and playground", || rust::clippy_wasm(workspace));
    session.check("documentation of the worker", || rust::documentation_worker(workspace));
    session.check("the world of the cases for wasm", || small_world::build(workspace));
    // First, so that the policy of the repository is the one that stays built.
    session
        .check("the worker with a changed policy", || OtherPolicy::Changed.build(workspace, tools));
    let of_cases = session.check(CASES_WORKER, || OtherPolicy::Cases.build(workspace, tools));
    match of_cases {
        Some(()) => {
            session.check_tests(CASES, || cases_at_the_edge(workspace, tools));
            session.check_tests(PARITY, || parity(workspace, tools));
        }
        None => [CASES, PARITY].into_iter().for_each(|name| session.leave_out(name, CASES_WORKER)),
    }
    match programs {
        true => drop(session.check(DEMO, || load::quickly(workspace, tools))),
        false => session.leave_out(DEMO, PROGRAMS),
    }
    let built = session.check(WORKER, || edge::build(workspace, tools, None));
    if built.is_none() {
        return session.leave_out("the upload, its size, and the tests at the edge", WORKER);
    }
    let upload =
        session.check("`wrangler deploy --dry-run`", || deployment::dry_run(workspace, tools));
    if let Some(upload) = upload {
        session.check("size of the upload", || deployment::size(&upload));
        session.check("no faults on demand in it", || deployment::without_faults(&upload));
    }
    session.check("the same for each environment", || deployment::environments(workspace, tools));
    session.check("`wrangler types`", || deployment::types(workspace, tools));
    session.check_tests("tests at the edge", || edge_tests::run(workspace, tools));
}

/// What people look at.
fn pages(workspace: &Workspace, tools: &Tools, session: &mut Session) {
    let page = session.check(PLAYGROUND, || playground::build(workspace, tools));
    match page {
        Some(page) => {
            session.check_tests(DASHBOARD, || dashboard_tests::run(workspace, tools, &page));
        }
        None => session.leave_out(DASHBOARD, PLAYGROUND),
    }
}

/// Runs what is in tests/cases through the built worker.
fn cases_at_the_edge(workspace: &Workspace, tools: &Tools) -> Result<TestRun> {
    through_the_worker_of_the_cases(workspace, tools, "cases_at_the_edge")
}

/// Runs what nobody thought of through the built worker and the shim.
fn parity(workspace: &Workspace, tools: &Tools) -> Result<TestRun> {
    through_the_worker_of_the_cases(workspace, tools, "parity")
}

fn through_the_worker_of_the_cases(
    workspace: &Workspace,
    tools: &Tools,
    file: &str,
) -> Result<TestRun> {
    rust::test_that_needs_more(workspace, file, |command| {
        tools.equip(command);
        command.env("NODE", tools.node().get_program());
        command.env("CASES_WORKER", OtherPolicy::Cases.worker(workspace));
    })
}
