//! The demo origin keeps its word: what the other tests rely on.

use std::process::Command;

use serde_json::json;
use tidegate_tests::{
    demo_origin::{DemoOrigin, bundles},
    process::{self, Process},
    wire::{Client, Request},
};

#[test]
fn bundles_have_validators_and_say_nothing_of_caching() {
    let origin = DemoOrigin::start();
    let plugins = Client::of(origin.plugins().address());
    for bundle in bundles() {
        let answer = plugins.get(bundle.path);
        assert_eq!(answer.status, 200, "{}", bundle.path);
        assert_eq!(answer.body, bundle.bytes, "{}", bundle.path);
        assert_eq!(answer.header("content-type"), Some(bundle.content_type));
        assert_eq!(answer.header("etag"), Some(bundle.etag.as_str()));
        assert!(answer.header("last-modified").is_some());
        assert_eq!(answer.header("cache-control"), None);
        assert_eq!(answer.header("expires"), None);

        let again = Request::get(bundle.path).header("If-None-Match", &bundle.etag);
        assert_eq!(plugins.send(&again).status, 304, "{}", bundle.path);
        let head = plugins.send(&Request::new("HEAD", bundle.path));
        let length = bundle.bytes.len().to_string();
        assert_eq!(head.header("content-length"), Some(length.as_str()), "{}", bundle.path);
        assert_eq!(origin.plugins().served(bundle.path), 3);
    }
    let missing = plugins.get("/plugins/none.js");
    assert_eq!((missing.status, &missing.json()["status"]), (404, &json!(404)));
}

#[test]
fn a_negotiated_bundle_has_a_tag_for_each_encoding() {
    let origin = DemoOrigin::start();
    let plugins = Client::of(origin.plugins().address());
    let plain = plugins.get("/plugins/chart.js");
    let zipped =
        plugins.send(&Request::get("/plugins/chart.js").header("Accept-Encoding", "br, gzip"));
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    assert!(zipped.body.starts_with(b"\x1f\x8b"));
    assert_ne!(plain.header("etag"), zipped.header("etag"));
    for answer in [plain, zipped] {
        assert_eq!(answer.header("vary"), Some("accept-encoding"));
    }
}

#[test]
fn personal_answers_follow_the_bearer_token() {
    let origin = DemoOrigin::start();
    let base = Client::of(origin.base().address());
    for path in ["/api/v1/user/profile", "/api/v1/teams/7/my-plugins"] {
        let refused = base.get(path);
        assert_eq!(refused.status, 401);
        assert!(refused.header("www-authenticate").is_some());
        assert_eq!(base.send(&Request::get(path).by("alice")).json()["user"], "alice");
        assert_eq!(base.send(&Request::get(path).by("bob")).json()["user"], "bob");
    }
}

#[test]
fn a_write_changes_what_the_team_has() {
    let origin = DemoOrigin::start();
    let base = Client::of(origin.base().address());
    let has = || base.send(&Request::get("/api/v1/teams/7/my-plugins").by("alice")).json();
    let install = |plugin: &str| {
        let body = json!({ "plugin": plugin }).to_string();
        base.send(&Request::new("POST", "/api/v1/teams/7/plugins").by("alice").body(body)).status
    };
    let uninstall =
        || base.send(&Request::new("DELETE", "/api/v1/teams/7/plugins/chart").by("alice")).status;

    assert_eq!((install("nonsense"), &has()["plugins"]), (422, &json!([])));
    assert_eq!((install("chart"), &has()["plugins"]), (201, &json!(["chart"])));
    assert_eq!((install("chart"), &has()["plugins"]), (200, &json!(["chart"])));
    assert_eq!((uninstall(), &has()["plugins"]), (204, &json!([])));
    assert_eq!(uninstall(), 404);
}

#[test]
fn every_answer_is_counted_but_those_about_counting_and_health() {
    let origin = DemoOrigin::start();
    let base = Client::of(origin.base().address());
    let served = |target: &str| base.get(target).json()["served"].clone();
    assert_eq!([served("/api/v1/plugins"), served("/api/v1/plugins?page=2")], [1, 2]);
    assert_eq!(base.get("/healthz").status, 200);
    assert_eq!(
        base.get("/__count").json(),
        json!({ "total": 2, "paths": { "/api/v1/plugins": 2 } })
    );
    assert_eq!((origin.base().total(), origin.plugins().total()), (2, 0));

    assert_eq!(base.send(&Request::new("POST", "/__count/reset")).status, 204);
    assert_eq!(served("/api/v1/plugins"), 1);
}

#[test]
fn headers_and_status_can_be_ordered() {
    let origin = DemoOrigin::start();
    let answer = Client::of(origin.base().address())
        .get("/api/v1/custom?status=203&header=Set-Cookie:a=1&header=Set-Cookie:b=2");
    assert_eq!(answer.status, 203);
    assert_eq!(answer.all("set-cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
}

#[test]
fn echo_shows_what_arrived() {
    let origin = DemoOrigin::start();
    let request = Request::new("PUT", "/api/v1/echo/deep?q=1").header("X-A", "1").body("four");
    let seen = Client::of(origin.base().address()).send(&request).json();
    assert_eq!(
        [&seen["method"], &seen["path"], &seen["query"], &seen["body_bytes"]],
        [&json!("PUT"), &json!("/api/v1/echo/deep"), &json!("q=1"), &json!(4)]
    );
    assert!(seen["headers"].as_array().unwrap().contains(&json!(["x-a", "1"])));
}

#[test]
fn events_come_as_many_as_were_ordered_up_to_a_bound() {
    let origin = DemoOrigin::start();
    let base = Client::of(origin.base().address());
    let count = |target| String::from_utf8(base.get(target).body).unwrap().matches("id: ").count();
    assert_eq!(count("/api/v1/events?count=3&every_ms=1"), 3);
    assert_eq!(count("/api/v1/events?count=99999&every_ms=0"), 1_000);
}

#[test]
fn the_program_says_where_it_listens_and_ends_on_ctrl_c() {
    let (program, plugins, base) = started_program();
    for address in [&plugins, &base] {
        assert_eq!(Client::of(address.parse().unwrap()).get("/healthz").status, 200);
    }
    program.interrupt();
    assert!(program.ended().status.success());
}

#[test]
fn a_taken_port_is_one_sentence_with_a_remedy() {
    let (_program, plugins, _) = started_program();
    let refused = process::run(DEMO_ORIGIN, &["--plugins", &plugins]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        refused.stderr,
        format!(
            "demo-origin: {plugins} is already taken: stop the program that listens there, \
             or choose another address with `--plugins 127.0.0.1:0`\n"
        )
    );
}

const DEMO_ORIGIN: &str = env!("CARGO_BIN_EXE_demo-origin");

/// The program with the addresses of its plugin server and its base service.
fn started_program() -> (Process, String, String) {
    let any = ["--plugins", "127.0.0.1:0", "--base", "127.0.0.1:0"];
    let mut program = Process::start(Command::new(DEMO_ORIGIN).args(any));
    let mut address = |service: &str| {
        let line = program.next_line();
        let prefix = format!("demo-origin: {service} listening on http://");
        line.strip_prefix(&prefix).unwrap_or_else(|| panic!("{line:?}")).to_owned()
    };
    let addresses = (address("plugin server"), address("base service"));
    (program, addresses.0, addresses.1)
}
