//! A policy that says something wrong stops the program, with the place and a
//! remedy.

use std::time::Duration;

use tidegate_tests::{
    policy_file::PolicyFile,
    process::{self, Ended, Process, cargo},
    shim::{check, check_with, refused_serve},
};

#[test]
fn d3_the_repositorys_policy_passes_its_check() {
    let checked = check_with(&PolicyFile::of_the_repository(), &["--deny-warnings"]);
    assert!(checked.status.success(), "{}", checked.stderr);
}

#[test]
fn an_unknown_field_is_refused_with_its_place_and_a_hint() {
    let policy = PolicyFile::with_text("schema = 1\nnonsense = true\n");
    for refused in [check(&policy), refused_serve(&policy)] {
        names_the_place(&refused, &policy, 2, 1);
        assert!(refused.stderr.contains("nonsense"), "{}", refused.stderr);
    }
}

/// As a native check, which shares nothing with the wasm build: one that fails
/// there would cost the next one a minute.
#[test]
fn the_build_of_the_worker_refuses_a_policy_with_its_place_and_a_hint() {
    let policy = PolicyFile::with_text("schema = 1\nnonsense = true\n");
    let mut build = cargo();
    build.args(["check", "--package", "tidegate-edge"]).env("TIDEGATE_POLICY", policy.path());
    names_the_place(&Process::start(&mut build).ended_within(MINUTES), &policy, 2, 1);
}

#[test]
fn a_bad_duration_is_refused_with_its_place_and_a_hint() {
    let text = PolicyFile::of_the_repository().text();
    let at = text.find("\"1d\"").expect("a time to live of one day");
    let line = 1 + text[..at].matches('\n').count();
    let column = at - text[..at].rfind('\n').map_or(0, |newline| newline + 1) + 1;
    let policy = PolicyFile::with_text(&text.replacen("\"1d\"", "\"1 parsec\"", 1));
    for refused in [check(&policy), refused_serve(&policy)] {
        names_the_place(&refused, &policy, line, column);
    }
}

#[test]
fn a_warning_names_its_place_and_fails_only_where_warnings_are_denied() {
    let policy = PolicyFile::with_text("schema = 1\n[limits.x]\nlimit = \"5 per 1m\"\n");
    let checked = check(&policy);
    assert!(checked.status.success(), "{}", checked.stderr);
    let warning = format!("{}:2:1: warning TG401: ", policy.path().display());
    assert!(checked.stderr.contains(&warning), "{}", checked.stderr);
    assert!(checked.stderr.contains("hint"), "{}", checked.stderr);
    let denied = check_with(&policy, &["--deny-warnings"]);
    assert_eq!(denied.status.code(), Some(1));
    assert!(denied.stderr.contains(&warning), "{}", denied.stderr);
}

#[test]
fn all_errors_are_reported_at_once() {
    let policy = PolicyFile::with_text("schema = 1\nnonsense = true\nfolly = 2\n");
    let refused = check(&policy);
    names_the_place(&refused, &policy, 2, 1);
    names_the_place(&refused, &policy, 3, 1);
}

#[test]
fn what_is_not_toml_is_refused_with_its_place() {
    let policy = PolicyFile::with_text("schema = 1\n[routes\n");
    let refused = check(&policy);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains(&format!("{}:2:", policy.path().display())));
}

#[test]
fn a_missing_file_is_one_clear_sentence() {
    let folder = PolicyFile::with_text("");
    let missing = folder.path().with_file_name("none.toml");
    let missing = missing.to_str().expect("a path in UTF-8");
    let refused = process::run(process::tidegate(), &["check", "--policy", missing]);
    assert!(!refused.status.success());
    assert!(refused.stderr.contains(missing), "{}", refused.stderr);
}

/// The first build on a machine compiles what the build script needs.
const MINUTES: Duration = Duration::from_secs(5 * 60);

#[track_caller]
fn names_the_place(refused: &Ended, policy: &PolicyFile, line: usize, column: usize) {
    assert!(!refused.status.success(), "it was accepted: {}", refused.stdout);
    let place = format!("{}:{line}:{column}", policy.path().display());
    let said = &refused.stderr;
    assert!(said.contains(&place), "{place} was expected in:\n{said}");
    assert!(said.contains("hint"), "a hint was expected in:\n{said}");
}
