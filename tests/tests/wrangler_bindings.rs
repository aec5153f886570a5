//! `tidegate wrangler` binds what limits need, and `tidegate check` says where that is missing.

use std::{fs, path::Path};

use tidegate_tests::process::{self, Ended};

const POLICY: &str = r#"schema = 1
[limits.search]
limit = "20 per 10s"
store = "colo"
[[routes]]
name = "search"
match = "/search"
limit = "search"
"#;

#[test]
fn what_the_policy_needs_is_written_beside_it_and_drift_is_warned_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = folder.path().join("tidegate.toml");
    let wrangler = folder.path().join("wrangler.toml");
    fs::write(&policy, POLICY).expect("a policy is written");
    fs::write(&wrangler, "name = \"shop\" # ours\n").expect("wrangler.toml is written");

    let warned = tidegate("check", &policy, &[]);
    assert!(warned.status.success(), "{}", warned.stderr);
    assert!(
        warned.stderr.contains("wrangler.toml:1:1: warning TG205: RATELIMIT_SEARCH is not bound"),
        "{}",
        warned.stderr
    );
    assert!(!tidegate("wrangler", &policy, &["--check"]).status.success());
    assert!(!tidegate("check", &policy, &["--deny-warnings"]).status.success());

    assert!(tidegate("wrangler", &policy, &[]).status.success());
    let written = fs::read_to_string(&wrangler).expect("wrangler.toml is read");
    assert!(written.starts_with("name = \"shop\" # ours\n"), "{written}");
    assert!(written.contains("simple = { limit = 20, period = 10 }"), "{written}");
    assert!(tidegate("wrangler", &policy, &["--check"]).status.success());
    assert!(tidegate("check", &policy, &["--deny-warnings"]).status.success());

    fs::write(&policy, POLICY.replace("20 per", "30 per")).expect("a policy is written");
    let warned = tidegate("check", &policy, &[]).stderr;
    assert!(warned.contains("wrangler.toml:3:1: warning TG205"), "{warned}");
}

fn tidegate(command: &str, policy: &Path, more: &[&str]) -> Ended {
    let policy = policy.to_str().expect("a path in UTF-8");
    process::run(process::tidegate(), &[&[command, "--policy", policy], more].concat())
}
