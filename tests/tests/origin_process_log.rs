//! What the process says of itself, as lines of JSON: `tidegate serve --log-format json`.

use std::process::Command;

use serde_json::Value;
use tidegate_tests::{
    policy_file::PolicyFile,
    process::{self, Process},
};

#[test]
fn p10_a_start_a_refused_reload_and_a_lost_server_are_lines_of_json() {
    let policy = policy();
    let mut shim = Process::start(&mut serve(&policy));
    let listens = json(&shim.next_line());
    assert_eq!((level(&listens), &listens["log"]), ("info", &"process".into()));
    let place = listens["place"].as_str().expect("a place");
    assert_eq!(listens["message"], format!("listening on {place}"));
    let time = listens["time"].as_str().expect("a time");
    assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");

    let down = json(&shim.next_error_line());
    assert_eq!((level(&down), &down["upstream"]), ("warning", &"base".into()));
    assert_eq!((&down["server"], &down["state"]), (&"127.0.0.1:9".into(), &"down".into()));

    policy.rewrite("schema = 1\nnonsense = true\n");
    shim.signal("HUP");
    let audit = json(&shim.next_error_line());
    assert_eq!(audit["log"], "audit");
    let refused = json(&shim.next_error_line());
    assert_eq!(level(&refused), "error");
    let message = refused["message"].as_str().expect("a message");
    assert!(message.contains("tidegate.toml:2:1") && message.contains('\n'), "{message}");
    assert!(message.ends_with("\nthe policy in force stays"), "{message}");
    shim.interrupt();
    assert!(shim.ended().status.success());
}

#[test]
fn p10_why_it_does_not_start_is_one_line_and_has_no_secret() {
    let policy = PolicyFile::with_text(
        "schema = 1\n[identity.jwt]\nkeys = { alg = \"HS256\", secret = \"${TOKEN_KEY}\" }\n\
         [upstreams.base]\nservers = \"127.0.0.1:9\"\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"base\"\n",
    );
    let ended = Process::start(serve(&policy).env("TOKEN_KEY", "hunter2")).ended();
    assert!(!ended.status.success());
    let mut lines = ended.stderr.lines();
    let said = json(lines.next().expect("a line"));
    assert_eq!((lines.next(), level(&said)), (None, "error"));
    assert!(said["message"].as_str().is_some_and(|m| m.contains("TOKEN_KEY")), "{said}");
    assert!(!ended.stderr.contains("hunter2"));

    let ended = Process::start(serve(&policy).args(["--log-format", "xml"])).ended();
    assert!(ended.stderr.contains("it is `text` or `json`"), "{}", ended.stderr);
}

/// With a server that nobody is at, which is found out by checks.
fn policy() -> PolicyFile {
    PolicyFile::with_text(
        "schema = 1\n[upstreams.base]\nservers = \"127.0.0.1:9\"\n\
         health = { path = \"/\", interval = \"1s\", fall = 1 }\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nupstream = \"base\"\n",
    )
}

fn serve(policy: &PolicyFile) -> Command {
    let mut command = Command::new(process::tidegate());
    command.arg("serve").arg("--policy").arg(policy.path()).args(["--listen", "127.0.0.1:0"]);
    command.env_clear().env("TIDEGATE_LOG_FORMAT", "json");
    command
}

#[track_caller]
fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn level(line: &Value) -> &str {
    line["level"].as_str().expect("a level")
}
