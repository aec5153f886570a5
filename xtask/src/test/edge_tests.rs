//! The tests of the built worker, which node runs under wrangler.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::run;
use crate::test::other_policies::OtherPolicy;
use crate::test::session::TestRun;
use crate::test::{rust, small_world};
use crate::tools::Tools;
use crate::workspace::Workspace;

/// Longer than any test may take; a test that hangs must not hang CI.
const TIMEOUT: &str = "--test-timeout=300000";

/// Runs tests/edge/*.test.mjs.
pub(super) fn run(workspace: &Workspace, tools: &Tools) -> Result<TestRun> {
    let files = files(workspace)?;
    ensure!(!files.is_empty(), "tests/edge holds no *.test.mjs, so nothing was tested");
    let results = workspace.target().join("edge-tests.tap");
    let mut node = tools.node();
    node.current_dir(workspace.root());
    node.args(["--test", TIMEOUT]);
    // One account for people, one that is parsed.
    node.args(["--test-reporter=spec", "--test-reporter-destination=stdout"]);
    node.arg("--test-reporter=tap").arg(option("--test-reporter-destination", &results));
    node.args(files);
    rust::point_at_programs(workspace, &mut node);
    node.env("TIDEGATE_WORLD_WASM", small_world::module(workspace));
    node.env("CHANGED_WORKER", OtherPolicy::Changed.worker(workspace));
    let heard = run::shown_and_kept(node)?;
    let account = fs::read_to_string(&results)
        .with_context(|| format!("node left no account in {}", results.display()))?;
    let passed = account.lines().filter_map(passed_test).map(str::to_owned).collect();
    Ok(TestRun { passed, success: heard.success })
}

fn files(workspace: &Workspace) -> Result<BTreeSet<PathBuf>> {
    let folder = workspace.path("tests/edge");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("could not list {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<BTreeSet<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.to_string_lossy().ends_with(".test.mjs")).collect())
}

fn option(name: &str, value: &std::path::Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(name);
    option.push("=");
    option.push(value);
    option
}

/// The title in a TAP line about a test that passed and was meant to run.
fn passed_test(line: &str) -> Option<&str> {
    let (_, title) = line.trim_start().strip_prefix("ok ")?.split_once(" - ")?;
    let left_out = title.contains(" # SKIP") || title.contains(" # TODO");
    (!left_out).then_some(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tests_that_ran_and_passed_are_read() {
        let account = "\
TAP version 13
# Subtest: at the edge
    # Subtest: C1: the second request is a hit
    ok 1 - C1: the second request is a hit
      ---
      duration_ms: 12.5
      ...
    not ok 2 - R1: the hundred-and-first is refused
    ok 3 - R7: the body says so # SKIP no limiter
ok 1 - at the edge
# pass 2";
        let passed: Vec<&str> = account.lines().filter_map(passed_test).collect();
        assert_eq!(passed, ["C1: the second request is a hit", "at the edge"]);
    }
}
