//! `cargo xtask conformance`: the public HTTP cache tests, through Tidegate and
//! beside it through nginx and Varnish.
//!
//! The suite tells three kinds of case apart: what a cache must do (required),
//! what a good one does (optimal), and what merely differs (check). Tidegate
//! passes all of the first two but those that contradict an RFC, which
//! `tests/conformance/contradictions.toml` names one by one, and never fewer of
//! the third than `tests/conformance/checks.txt` says.

mod caches;
mod checks;
mod contradictions;
mod page;
mod program;
mod suite;
mod verdict;

use std::path::PathBuf;

use anyhow::Result;

use crate::conformance::caches::{Cache, NGINX, TIDEGATE, VARNISH};
use crate::conformance::checks::PassedChecks;
use crate::conformance::contradictions::Contradictions;
use crate::conformance::suite::{Kind, Results, Suite};
use crate::conformance::verdict::Verdict;
use crate::workspace::Workspace;
use crate::{dev, report, run, system, tools};

/// The policy, the peers' configurations, the ledgers and the driver.
const FOLDER: &str = "tests/conformance";
const PAGE: &str = "docs/conformance.md";

/// Runs the suite through all three caches and writes the page about it.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    system::require(&system::NGINX)?;
    system::require(&system::VARNISH)?;
    report::step("Building the shim", || run::visibly(dev::native_build(workspace)))?;
    let bench = Bench::prepare(workspace)?;
    let tidegate = bench.results_step(&TIDEGATE)?;
    let verdict = bench.judge(&tidegate)?;
    verdict.require()?;
    if !verdict.gained.is_empty() {
        PassedChecks::of(&tidegate).write(workspace)?;
        report::note(format!("{} records: {}", checks::FILE, verdict.gained.join(", ")));
    }
    let columns = [
        (TIDEGATE.name.to_owned(), tidegate),
        (NGINX.titled()?, bench.results_step(&NGINX)?),
        (VARNISH.titled()?, bench.results_step(&VARNISH)?),
    ];
    page::write(&workspace.path(PAGE), &columns, &bench.contradictions)?;
    report::note(format!("{PAGE} has the table"));
    Ok(())
}

/// Holds Tidegate's results: an error if any case fell back. The peers are left
/// out, and nothing is written.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let bench = Bench::prepare(workspace)?;
    let results = bench.results(&TIDEGATE)?;
    let verdict = bench.judge(&results)?;
    verdict.require()?;
    if !verdict.gained.is_empty() {
        let gained = verdict.gained.join(", ");
        report::note(format!("`cargo xtask conformance` would record what passes anew: {gained}"));
    }
    Ok(())
}

/// What every run needs.
struct Bench<'a> {
    workspace: &'a Workspace,
    node: PathBuf,
    contradictions: Contradictions,
    passed_checks: PassedChecks,
}

impl<'a> Bench<'a> {
    fn prepare(workspace: &'a Workspace) -> Result<Self> {
        Ok(Self {
            workspace,
            node: tools::node(workspace)?,
            contradictions: Contradictions::read(workspace)?,
            passed_checks: PassedChecks::read(workspace)?,
        })
    }

    fn results_step(&self, cache: &Cache) -> Result<Results> {
        report::step(&format!("Running the public HTTP cache tests: {}", cache.name), || {
            self.results(cache)
        })
    }

    /// The suite through one cache, both started for it and ended after it.
    fn results(&self, cache: &Cache) -> Result<Results> {
        let folder = program::fresh_folder(self.workspace, cache.name)?;
        let suite = Suite::start(self.workspace, &self.node, &folder)?;
        let running = (cache.start)(self.workspace, suite.origin(), &folder)?;
        let results = suite.run_through(running.address())?;
        for kind in Kind::ALL {
            let (passed, all) = results.count(kind);
            report::say(&format!("    {kind}: {passed} of {all} passed"));
        }
        Ok(results)
    }

    fn judge(&self, results: &Results) -> Result<Verdict> {
        Verdict::of(results, &self.contradictions, &self.passed_checks)
    }
}
