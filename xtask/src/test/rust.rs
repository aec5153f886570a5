//! Cargo's own checks, with nothing let through.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::Result;

use crate::test::session::TestRun;
use crate::tools::WASM;
use crate::workspace::Workspace;
use crate::{edge, playground, run};

pub(super) fn format(workspace: &Workspace) -> Result<()> {
    run::visibly(cargo(workspace, &["fmt", "--all", "--check"]))
}

/// Everything but what is written for another platform.
pub(super) fn clippy(workspace: &Workspace) -> Result<()> {
    run::visibly(cargo(workspace, &["clippy", "--all-targets", "--", "-D", "warnings"]))
}

/// The worker and the playground, for theirs.
pub(super) fn clippy_wasm(workspace: &Workspace) -> Result<()> {
    let mut command = cargo(workspace, &["clippy", "--target", WASM]);
    command.args(["--package", edge::PACKAGE, "--package", playground::CRATE]);
    command.args(["--", "-D", "warnings"]);
    run::visibly(command)
}

pub(super) fn documentation(workspace: &Workspace) -> Result<()> {
    run::visibly(strict_documentation(cargo(workspace, &["doc", "--no-deps"])))
}

pub(super) fn documentation_worker(workspace: &Workspace) -> Result<()> {
    let arguments = ["doc", "--no-deps", "--package", edge::PACKAGE, "--target", WASM];
    run::visibly(strict_documentation(cargo(workspace, &arguments)))
}

/// The native tests: by cargo-nextest where it is installed, because it runs
/// tests of different crates side by side, else by `cargo test`.
pub(super) fn tests(workspace: &Workspace) -> Result<TestRun> {
    let nextest = run::answer("cargo-nextest", &["nextest", "--version"]).is_some();
    let mut command = if nextest {
        cargo(workspace, &["nextest", "run", "--workspace", "--no-fail-fast", "--no-tests=pass"])
    } else {
        cargo(workspace, &["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests"])
    };
    point_at_programs(workspace, &mut command);
    let heard = run::shown_and_kept(command)?;
    let passed = heard.text.lines().filter_map(passed_test).map(str::to_owned).collect();
    Ok(TestRun { passed, success: heard.success })
}

/// The tests of what is built on demand alone: the shim's library once more, with that in it.
pub(super) fn tests_of_features(workspace: &Workspace) -> Result<TestRun> {
    let mut command = cargo(workspace, &["test", "--package", "tidegate-origin", "--lib"]);
    command.args(["--features", "otel", "otel::"]);
    let heard = run::shown_and_kept(command)?;
    let passed: BTreeSet<String> =
        heard.text.lines().filter_map(passed_test).map(str::to_owned).collect();
    Ok(TestRun { success: heard.success && !passed.is_empty(), passed })
}

/// A file of tests that are ignored unless what they need besides is there, with all they say.
pub(super) fn test_that_needs_more(
    workspace: &Workspace,
    file: &str,
    equip: impl FnOnce(&mut Command),
) -> Result<TestRun> {
    let arguments = ["test", "--package", "tidegate-tests", "--test", file, "--"];
    let mut command = cargo(workspace, &arguments);
    command.args(["--ignored", "--show-output"]);
    point_at_programs(workspace, &mut command);
    equip(&mut command);
    let heard = run::shown_and_kept(command)?;
    let passed: BTreeSet<String> =
        heard.text.lines().filter_map(passed_test).map(str::to_owned).collect();
    Ok(TestRun { success: heard.success && !passed.is_empty(), passed })
}

/// Nextest does not know these; libraries alone have them.
pub(super) fn documentation_tests(workspace: &Workspace) -> Result<()> {
    run::visibly(cargo(workspace, &["test", "--doc", "--no-fail-fast"]))
}

/// Tells tests where the programs are that were just built, so that no test
/// starts a build of its own.
pub(super) fn point_at_programs(workspace: &Workspace, command: &mut Command) {
    command.env("TIDEGATE_BIN", workspace.debug_binary("tidegate"));
    command.env("DEMO_ORIGIN_BIN", workspace.debug_binary("demo-origin"));
    command.env("VERDICTS_BIN", workspace.debug_binary("verdicts"));
    command.env("LIMIT_TRACES_BIN", workspace.debug_binary("limit-traces"));
}

fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = run::cargo(workspace);
    command.args(arguments);
    command
}

fn strict_documentation(mut command: Command) -> Command {
    command.env("RUSTDOCFLAGS", "-D warnings");
    command
}

/// The name in a runner's line about a test that passed:
/// `        PASS [   0.012s] (3/9) tidegate-core key::tests::injective` of nextest,
/// `test key::tests::injective ... ok` of cargo test.
fn passed_test(line: &str) -> Option<&str> {
    let line = line.trim();
    if line.starts_with("PASS [") {
        return line.split_whitespace().last();
    }
    line.strip_prefix("test ")?.strip_suffix(" ... ok")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_read_from_both_runners() {
        let output = "\
        PASS [   0.012s] (1/3) tidegate-core key::tests::c1_injective
        FAIL [   0.100s] (2/3) tidegate-origin::shim r1_refuses
        SKIP [         ] (3/3) tidegate-core r2_later
test age::tests::c3_never_falls ... ok
test age::tests::c4_breaks ... FAILED
test age::tests::c5_later ... ignored
test result: ok. 1 passed; 1 failed; 1 ignored";
        let passed: BTreeSet<&str> = output.lines().filter_map(passed_test).collect();
        let expected = BTreeSet::from(["key::tests::c1_injective", "age::tests::c3_never_falls"]);
        assert_eq!(passed, expected);
    }
}
