//! `tidegate explain` says what `tidegate serve` then does.

use serde_json::{Value, json};
use tidegate_tests::{
    cache_status::CacheStatus,
    demo_origin::DemoOrigin,
    policy_file::PolicyFile,
    shim::{Shim, check_with, explain},
    wire::Request,
};

#[test]
fn c2_explained_headers_are_the_headers_served() {
    for (method, path, user) in [
        ("GET", "/api/v1/plugins", None),
        ("HEAD", "/api/v1/plugins", None),
        ("GET", "/api/v1/plugins?page=2", None),
        ("GET", "/api/v1/teams/7/my-plugins", Some("alice")),
        ("GET", "/api/v1/user/profile", Some("alice")),
        ("GET", "/api/v1/marketplace", None),
        ("GET", "/api/v1/custom", None),
        ("POST", "/api/v1/echo", None),
        ("GET", "/plugins/app.js", None),
    ] {
        explained_as_served(method, path, user);
    }
}

#[test]
fn c1_both_tiers_are_explained_each_with_its_decision() {
    let explained = explained(&["http://www.example.com/plugins/app.js"]);
    let decisions: Vec<_> = explained["tiers"]
        .as_array()
        .expect("a list of tiers")
        .iter()
        .map(|tier| [&tier["tier"], &tier["cache"]["decision"], &tier["cache"]["ttl"]])
        .collect();
    let expected = [json!(["edge", "cache", "1d"]), json!(["origin", "bypass", null])];
    assert_eq!(json!(decisions), json!(expected));
}

#[test]
fn c2_a_decision_comes_with_its_reason_key_and_route() {
    let url = "http://www.example.com/api/v1/teams/7/my-plugins";
    let answer = explained(&["--tier", "origin", "-H", "Authorization: Bearer very-secret", url]);
    let tier = &answer["tiers"][0];
    assert_eq!(tier["route"]["name"], "my-plugins");
    assert_eq!(tier["cache"]["ttl"], "60s");
    assert!(tier["cache"]["why"].is_string());
    let name = tier["cache"]["key_name"].as_str().expect("a name for the key");
    assert!(name.starts_with("team:7:plugins:"), "{name}");
    assert!(!answer.to_string().contains("very-secret"), "no credential is printed");
}

#[test]
fn c2_the_text_says_the_same_as_the_json() {
    let path = "/api/v1/marketplace";
    let text = explain(&PolicyFile::of_the_repository(), &[path]).stdout;
    for part in ["edge", "origin", "bypass", "marketplace:packages", "10m", "public, max-age=600"] {
        assert!(text.contains(part), "{part:?} was expected in:\n{text}");
    }
}

#[test]
fn every_value_says_where_it_comes_from() {
    let policy = PolicyFile::with_text(
        "schema = 1\n[headers]\nX-A = \"1\"\n[zones.z]\nbytes = \"1MB\"\nttl = \"1h\"\n\
         [[routes]]\nname = \"a\"\nmatch = \"/a\"\nzone = \"z\"\n\
         origin = { mode = \"default\" }\nbrowser = \"1m\"\n",
    );
    let ended = explain(&policy, &["--json", "--tier", "origin", "/a"]);
    let explained: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let sources = &explained["tiers"][0]["sources"];
    let at = |line: u32| format!("{}:{line}", policy.path().display());
    for (name, source) in [
        ("route", at(7)),
        ("decision", at(11)),
        ("ttl", at(6)),
        ("zone", at(10)),
        ("key", "default".into()),
        ("cache-control", at(12)),
        ("x-a", at(3)),
    ] {
        assert_eq!(sources[name], source, "{name}");
    }
    let text = explain(&policy, &["--tier", "origin", "/a"]).stdout;
    assert!(text.contains(&format!("1h  ({})", at(6))), "{text}");
    let edge = explain(&policy, &["--tier", "edge", "/a"]).stdout;
    assert!(edge.contains("does not cache on this tier  (default)"), "{edge}");
}

#[test]
fn nonsense_is_refused() {
    let policy = PolicyFile::of_the_repository();
    for arguments in [&["-H", "no-colon", "/"][..], &["--tier", "browser", "/"], &["ftp://a/b"]] {
        let refused = explain(&policy, arguments);
        assert!(!refused.status.success(), "{arguments:?}: {}", refused.stdout);
        assert!(!refused.stderr.is_empty(), "{arguments:?} without a word");
    }
}

#[test]
fn the_method_may_stand_before_the_url_and_the_file_behind_check() {
    let policy = PolicyFile::of_the_repository();
    let [said, curled] = [&["PUT", "/api/v1/x"][..], &["-X", "PUT", "/api/v1/x"]]
        .map(|arguments| explain(&policy, arguments).stdout);
    assert!(said.starts_with("PUT ") && said == curled, "{said}{curled}");

    let checked = check_with(&policy, &["policies/no-such-policy.toml"]);
    assert!(checked.stderr.contains("policies/no-such-policy.toml: "), "{}", checked.stderr);
}

/// Asks a shim that has not seen anything what `explain` was asked before.
#[track_caller]
fn explained_as_served(method: &str, path: &str, user: Option<&str>) {
    let mut request = Request::new(method, path).header("Host", "www.example.com");
    let url = format!("http://www.example.com{path}");
    let mut arguments = vec!["--tier", "origin", "-X", method, &url];
    let credential = user.map(|user| format!("Authorization: Bearer {user}"));
    if let (Some(user), Some(line)) = (user, &credential) {
        request = request.by(user);
        arguments.extend(["-H", line]);
    }
    let expected = explained(&arguments);

    let origin = DemoOrigin::start();
    let served = Shim::serve(&PolicyFile::of_the_repository(), &origin).client().send(&request);
    let headers = expected["tiers"][0]["headers"].as_array().expect("a list of headers");
    assert!(!headers.is_empty(), "{expected}");
    for header in headers {
        let [name, value] = [0, 1].map(|at| header[at].as_str().expect("a name and a value"));
        if name == "cache-status" {
            let hop = |status: CacheStatus| status.hop("tidegate-origin").without_ttl();
            let (expected, served) = (CacheStatus::parse(value), CacheStatus::of(&served));
            assert_eq!(hop(expected), hop(served), "{request}");
        } else {
            assert_eq!(served.header(name), Some(value), "{name} of {request}");
        }
    }
}

#[track_caller]
fn explained(arguments: &[&str]) -> Value {
    let ended = explain(&PolicyFile::of_the_repository(), &[&["--json"], arguments].concat());
    assert!(ended.status.success(), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).expect("JSON")
}
