//! `tidegate load` against a shim as it runs.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tidegate_tests::demo_origin::DemoOrigin;
use tidegate_tests::policy_file::PolicyFile;
use tidegate_tests::process::{self, Ended, Process};
use tidegate_tests::shim::Shim;

/// What the demo origin has: plugin files, the list of plugins, and what a user has.
const MIX: &str = r#"
host = "www.example.com"

[people]
team_size = 8
team_exponent = 0.7
same_office = 0.0
plugins = 4
plugin_exponent = 1.0
pages = 4.0
think_seconds = 0.4
returning = 0.0
absent_hours = 20.0

[day]
hours = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]

[endpoints.file]
kind = "bundle"
target = "/plugins/{item}"
items = ["widget.js", "manifest.json", "logo.svg"]
bytes = 2_000
millis = 1
validator = true

[endpoints.plugin-list]
kind = "read"
target = "/api/v1/plugins"
bytes = 500
millis = 1

[endpoints.my-plugins]
kind = "read"
target = "/api/v1/teams/{team}/my-plugins"
signed_in = true
bytes = 500
millis = 1

[endpoints.time]
kind = "uncached"
target = "/api/v1/time"
bytes = 50
millis = 1

[[pages]]
name = "start"
first = 1
weight = 1
requests = ["file", "plugin-list", "my-plugins", "time"]
"#;

/// `tidegate load` with these arguments.
fn load(arguments: &[&str]) -> Ended {
    let mut command = Command::new(process::tidegate());
    Process::start(command.env_clear().arg("load").args(arguments)).ended()
}

fn shim(origin: &DemoOrigin) -> Shim {
    let policy = PolicyFile::of_the_repository();
    Shim::serve_with(&policy, origin, &[("API_RATE_LIMIT", "100000")])
}

#[test]
fn t4_virtual_users_visit_a_shim_and_are_told_what_its_cache_answered() {
    let origin = DemoOrigin::start();
    let shim = shim(&origin);
    let folder = tempfile::tempdir().expect("a folder");
    let mix = folder.path().join("mix.toml");
    fs::write(&mix, MIX).expect("a mix");
    let ended = load(&[
        &shim.places()[0],
        "--mix",
        mix.to_str().expect("a path of letters"),
        "--users",
        "30",
        "--ramp",
        "1s",
        "--phases",
        "first=2s,second=2s",
        "--targets",
        "errors<0.1%,hits>50%,second:hits>50%",
        "--json",
    ]);
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert!(ended.status.success() && report["passed"] == true, "{report:#}");
    let all = &report["all"];
    let hits = all["hits"]["tidegate-origin"].as_u64().expect("hits of the shim");
    let (requests, bypassed) = (all["requests"].as_u64(), all["bypassed"].as_u64());
    assert!(requests > Some(100) && bypassed > Some(10) && hits > 50, "{report:#}");
    // What the cache answered did not ask the origin: it was asked less often than users asked.
    assert!(origin.base().served("/api/v1/plugins") < hits / 4, "{report:#}");
    let phases: Vec<&Value> =
        report["phases"].as_array().expect("phases").iter().map(|phase| &phase["name"]).collect();
    assert_eq!(phases, ["ramp", "first", "second"]);
    assert_eq!(ended.stderr, "phase: ramp\nphase: first\nphase: second\n");
}

#[test]
fn t4_a_target_that_does_not_hold_is_told_by_the_exit_code() {
    let origin = DemoOrigin::start();
    let shim = shim(&origin);
    let ended =
        load(&[&shim.places()[0], "--users", "5", "--for", "1s", "--targets", "p95<1s,hits>99.9%"]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stdout);
    assert!(ended.stdout.contains("FAIL  hits>99.9%: "), "{}", ended.stdout);
}

#[test]
fn t4_another_machine_is_not_loaded_without_a_word() {
    let ended = load(&["https://www.example.com"]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("www.example.com is not this machine"), "{}", ended.stderr);
    assert!(ended.stderr.contains("--with-permission"), "{}", ended.stderr);
}

#[test]
fn t4_a_mix_that_cannot_be_read_is_named_with_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let mix = folder.path().join("mix.toml");
    fs::write(&mix, MIX.replace("\"time\"]", "\"tine\"]")).expect("a mix");
    let ended = load(&["http://127.0.0.1:1", "--mix", mix.to_str().expect("a path of letters")]);
    assert_eq!(ended.status.code(), Some(2));
    let expected = "mix.toml: page \"start\" asks for \"tine\", and there is no [endpoints.tine]";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

/// Whoever changes the mix begins with the one that is used without.
#[test]
fn t4_the_mix_that_is_printed_can_be_read() {
    let ended = load(&["--print-mix"]);
    assert!(ended.status.success());
    assert!(ended.stdout.contains("[endpoints.my-plugins]"), "{}", ended.stdout);
}
