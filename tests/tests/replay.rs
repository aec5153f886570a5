//! `tidegate replay` through the program.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tidegate_tests::policy_file::PolicyFile;
use tidegate_tests::process::{Ended, Process, tidegate};

const LOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../replay/tests/logs/combined.log");

fn replay(arguments: &[&str]) -> Ended {
    let policy = PolicyFile::of_the_repository();
    let mut command = Command::new(tidegate());
    command.env_clear().arg("replay").arg("--policy").arg(policy.path()).args(arguments);
    Process::start(&mut command).ended()
}

#[test]
fn a_report_is_text_json_and_a_page() {
    let folder = TempDir::new().expect("a folder");
    let page = folder.path().join("report.html");
    let page = page.to_str().expect("a path");
    let text = replay(&["--html", page, LOG]);
    assert_eq!(text.status.code(), Some(0), "{}", text.stderr);
    for part in ["12 requests of 3 clients", "at the edge", "asked of the origin", "--assume"] {
        assert!(text.stdout.contains(part), "{part:?} was expected in:\n{}", text.stdout);
    }
    assert_eq!(text.stderr, "", "no terminal, no progress");
    let html = fs::read_to_string(page).expect("a page");
    assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));

    let json = replay(&["--json", "--edge-locations", "3", LOG]);
    let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["version"], 1);
    assert_eq!(json["policy"]["requests"], 12);
    assert_eq!(json["policy"]["edge_locations"], 3);
    assert_eq!(json["log"]["lines"], 12);
    assert_eq!(json["against"], Value::Null);
}

#[test]
fn two_policies_are_shown_the_same_requests() {
    let always = PolicyFile::with_text(
        "schema = 1\nupstreams.app.servers = [\"127.0.0.1:4000\"]\n[[routes]]\nname = \"all\"\n\
         match = \"/*\"\nupstream = \"app\"\nedge = { mode = \"override\", ttl = \"1d\" }\n",
    );
    let against = always.path().to_str().expect("a path").to_owned();
    let json = replay(&["--json", "--against", &against, LOG]);
    let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["policy"]["requests"], json["against"]["requests"]);
    assert!(json["against"]["hits"].as_u64() > json["policy"]["hits"].as_u64());
    let text = replay(&["--against", &against, LOG]).stdout;
    assert!(text.contains("before") && text.contains("points"), "{text}");
}

#[test]
fn several_logs_count_as_one_and_what_is_assumed_counts() {
    let json = |arguments: &[&str]| -> Value {
        let ended = replay(&[&["--json"], arguments].concat());
        serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{}", ended.stderr))
    };
    assert_eq!(json(&[LOG, LOG])["policy"]["requests"], 24);
    let cookies = json(&["--assume", "set-cookie=all", LOG]);
    assert_eq!(cookies["policy"]["hits"], 0, "no answer may be stored");
    let origin = json(&["--tiers", "origin", LOG]);
    assert_eq!(origin["policy"]["tiers"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_is_wrong_is_named_with_a_remedy() {
    let folder = TempDir::new().expect("a folder");
    let strange = folder.path().join("strange.log");
    fs::write(&strange, "date,path\n").expect("a file");
    let broken = folder.path().join("broken.gz");
    fs::write(&broken, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3]).expect("a file");
    let (strange, broken) = (strange.to_str().unwrap(), broken.to_str().unwrap());
    for (arguments, says) in [
        (&["/nowhere/access.log"][..], "/nowhere/access.log: No such file"),
        (&[strange], "`date,path`"),
        (&[broken], "gzip -t"),
        (&["--assume", "hots=a", LOG], "there is no assumption `hots`"),
        (&["--host", "a b", LOG], "`a b` is no host"),
        (&["--against", "/nowhere.toml", LOG], "/nowhere.toml"),
    ] {
        let ended = replay(arguments);
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}");
        assert!(ended.stderr.contains(says), "{says:?} was expected in:\n{}", ended.stderr);
        assert!(ended.stderr.contains("= hint: "), "{}", ended.stderr);
    }
}
