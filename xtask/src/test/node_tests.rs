//! Tests that node runs, `*.test.mjs`: one account for people, one that is read.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::run;
use crate::test::rust;
use crate::test::session::TestRun;
use crate::workspace::Workspace;

/// Longer than any test may take; a test that hangs must not hang CI.
const TIMEOUT: &str = "--test-timeout=300000";

/// Has `node` run the tests in `tests/{folder}`.
pub(super) fn run(workspace: &Workspace, mut node: Command, folder: &str) -> Result<TestRun> {
    let files = files(&workspace.path("tests").join(folder))?;
    ensure!(!files.is_empty(), "tests/{folder} holds no *.test.mjs, so nothing was tested");
    let results = workspace.target().join(format!("{folder}-tests.tap"));
    node.current_dir(workspace.root());
    node.args(["--test", TIMEOUT]);
    node.args(["--test-reporter=spec", "--test-reporter-destination=stdout"]);
    node.arg("--test-reporter=tap").arg(option("--test-reporter-destination", &results));
    node.args(files);
    rust::point_at_programs(workspace, &mut node);
    let heard = run::shown_and_kept(node)?;
    let account = fs::read_to_string(&results)
        .with_context(|| format!("node left no account in {}", results.display()))?;
    let passed = account.lines().filter_map(passed_test).map(str::to_owned).collect();
    Ok(TestRun { passed, success: heard.success })
}

fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("could not list {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<BTreeSet<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.to_string_lossy().ends_with(".test.mjs")).collect())
}

fn option(name: &str, value: &Path) -> OsString {
    let mut option = OsString::from(name);
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
