//! The shim's cache, with the repository's own policy before a demo origin.

use serde_json::json;
use tidegate_tests::{
    cache_status::{CacheStatus, Hop},
    demo_origin::{DemoOrigin, bundles},
    policy_file::PolicyFile,
    shim::Shim,
    wire::{Request, Response},
};

#[test]
fn c2_plugin_list_is_stored_for_five_minutes() {
    stored_once(&Request::get("/api/v1/plugins"), "/api/v1/plugins", 300);
}

#[test]
fn c2_team_plugins_are_stored_for_one_minute() {
    let path = "/api/v1/teams/7/my-plugins";
    stored_once(&Request::get(path).by("alice"), path, 60);
}

#[test]
fn c2_user_profile_is_stored_for_five_minutes() {
    let path = "/api/v1/user/profile";
    stored_once(&Request::get(path).by("alice"), path, 300);
}

#[test]
fn c2_marketplace_is_stored_for_ten_minutes() {
    stored_once(&Request::get("/api/v1/marketplace"), "/api/v1/marketplace", 600);
}

#[test]
fn c2_personal_answers_never_meet_another_user() {
    let gate = Gate::open();
    for path in ["/api/v1/user/profile", "/api/v1/teams/7/my-plugins"] {
        let as_seen_by = |user| gate.ask(&Request::get(path).by(user)).json()["user"].clone();
        assert_eq!(as_seen_by("alice"), "alice");
        assert_eq!(as_seen_by("bob"), "bob");
        assert_eq!(as_seen_by("alice"), "alice");
        assert_eq!(gate.ask(&Request::get(path)).status, 401, "nobody sees {path}");
        assert_eq!(gate.origin.base().served(path), 3, "alice, bob and nobody for {path}");
    }
}

#[test]
fn c2_teams_are_told_apart() {
    let gate = Gate::open();
    for team in ["7", "8", "7"] {
        let path = format!("/api/v1/teams/{team}/my-plugins");
        assert_eq!(gate.ask(&Request::get(&path).by("alice")).json()["team"], team);
    }
}

#[test]
fn c2_hosts_are_told_apart() {
    let gate = Gate::open();
    let at = |host| Request::get("/api/v1/plugins").header("Host", host);
    assert!(!origin_hop(&gate.ask(&at("a.example"))).hit());
    assert!(!origin_hop(&gate.ask(&at("b.example"))).hit());
    assert!(origin_hop(&gate.ask(&at("A.example"))).hit(), "a host has no case");
}

#[test]
fn c3_an_answer_says_hit_or_miss_and_why() {
    let gate = Gate::open();
    let miss = gate.get("/api/v1/plugins");
    assert_eq!(miss.header("x-cache"), Some("MISS"));
    assert_eq!(origin_hop(&miss).fwd(), Some("uri-miss"));
    assert!(origin_hop(&miss).stored());

    let hit = gate.get("/api/v1/plugins");
    assert_eq!(hit.header("x-cache"), Some("HIT"));
    assert_eq!(origin_hop(&hit).fwd(), None);
    assert!(hit.header("age").is_some(), "RFC 9111 §5.1: a stored answer has an age");

    let bypass = gate.get("/api/v1/time");
    assert_eq!(origin_hop(&bypass).fwd(), Some("bypass"));
    assert!(origin_hop(&bypass).detail().is_some(), "a reason in {bypass:?}");
}

#[test]
fn c3_a_hit_has_the_body_and_the_headers_of_the_miss() {
    let gate = Gate::open();
    let [miss, hit] = [(); 2].map(|()| gate.get("/api/v1/marketplace"));
    assert_eq!(miss.body, hit.body);
    assert_eq!(miss.header("content-type"), hit.header("content-type"));
    assert_eq!(miss.header("cache-control"), hit.header("cache-control"));
}

#[test]
fn c3_a_head_request_is_answered_from_the_stored_get() {
    let gate = Gate::open();
    let get = gate.get("/api/v1/plugins");
    let head = gate.ask(&Request::new("HEAD", "/api/v1/plugins"));
    assert!(origin_hop(&head).hit());
    assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()));
    assert_eq!(gate.origin.base().total(), 1);
}

#[test]
fn c5_what_the_origin_forbids_to_keep_is_not_kept() {
    for forbidden in [
        "Cache-Control:no-store",
        "Cache-Control:No-Store",
        "Cache-Control:max-age=60,+NO-STORE",
        "Cache-Control:private",
        "Cache-Control:private,+max-age=60",
        "Set-Cookie:session=1",
        "Vary:*",
    ] {
        let gate = Gate::open();
        let target = format!("/api/v1/marketplace?header={forbidden}");
        for served in 1..=2 {
            let answer = gate.get(&target);
            assert_eq!(answer.json()["served"], served, "{forbidden}");
            assert!(!origin_hop(&answer).stored(), "{forbidden}: {answer:?}");
        }
    }
}

#[test]
fn c5_browsers_are_told_what_the_policy_says() {
    let gate = Gate::open();
    for (request, expected) in [
        (Request::get("/api/v1/plugins"), "public, max-age=300"),
        (Request::get("/api/v1/marketplace"), "public, max-age=600"),
        (Request::get("/api/v1/user/profile").by("alice"), "private, max-age=300"),
        (Request::get("/api/v1/teams/7/my-plugins").by("alice"), "private, max-age=60"),
    ] {
        for _miss_then_hit in 0..2 {
            let answer = gate.ask(&request);
            assert_eq!(answer.header("cache-control"), Some(expected), "{request}");
        }
    }
}

#[test]
fn c5_what_may_not_be_kept_is_not_made_public_for_browsers() {
    for forbidden in ["Cache-Control:no-store", "Cache-Control:private", "Set-Cookie:session=1"] {
        let answer = Gate::open().get(&format!("/api/v1/marketplace?header={forbidden}"));
        let said = answer.header("cache-control").unwrap_or_default();
        assert!(!said.contains("public"), "{forbidden}: {answer:?}");
    }
}

#[test]
fn c5_an_error_of_the_origin_is_not_kept() {
    let gate = Gate::open();
    for served in 1..=2 {
        let answer = gate.get("/api/v1/marketplace?status=500");
        assert_eq!((answer.status, &answer.json()["served"]), (500, &json!(served)));
    }
}

#[test]
fn c2_everything_else_of_the_api_goes_to_the_origin() {
    let gate = Gate::open();
    for served in 1..=2 {
        let answer = gate.get("/api/v1/custom?header=Cache-Control:max-age=60");
        assert_eq!(answer.json()["served"], served);
        assert_eq!(origin_hop(&answer).fwd(), Some("bypass"));
    }
}

#[test]
fn c1_plugins_pass_through_unchanged() {
    let gate = Gate::open();
    for bundle in bundles() {
        let answer = gate.get(bundle.path);
        assert_eq!((answer.status, answer.body.as_slice()), (200, &*bundle.bytes));
        assert_eq!(answer.header("content-type"), Some(bundle.content_type));
        assert_eq!(answer.header("etag"), Some(bundle.etag.as_str()));
    }
    assert_eq!(gate.origin.plugins().total(), bundles().len() as u64);
    assert_eq!(gate.origin.base().total(), 0, "each upstream gets its own paths");
}

/// No-Vary-Search: what the origin says makes no difference makes none.
#[test]
fn a_query_that_makes_no_difference_is_answered_by_the_stored_answer_to_another() {
    let gate = Gate::open();
    let marketplace = |query: &str| {
        let header = "header=No-Vary-Search:except=(%22page%22)";
        gate.get(&format!("/api/v1/marketplace?{header}{query}"))
    };
    assert_eq!(origin_hop(&marketplace("&page=1&utm=a")).fwd(), Some("uri-miss"));
    assert!(origin_hop(&marketplace("&utm=b&page=1")).hit());
    assert_eq!(origin_hop(&marketplace("&page=2&utm=a")).fwd(), Some("uri-miss"));
    assert_eq!(gate.origin.base().served("/api/v1/marketplace"), 2);
}

/// RFC 9875: what the origin calls a group falls together.
#[test]
fn c4_a_group_of_answers_is_dropped_by_the_answer_to_a_write() {
    let gate = Gate::open();
    let packages = "/api/v1/marketplace?header=Cache-Groups:%22packages%22,%22all%22";
    let others = "/api/v1/marketplace?header=Cache-Groups:%22others%22";
    let is_hit = |target| origin_hop(&gate.get(target)).hit();
    let write = |method, named: &str| {
        let target =
            format!("/api/v1/custom?header=Cache-Group-Invalidation:%22{named}%22&status=200");
        gate.ask(&Request::new(method, &target));
    };
    for target in [packages, others] {
        assert!(!is_hit(target) && is_hit(target), "{target} is stored");
    }
    write("GET", "packages");
    assert!(is_hit(packages), "a safe request drops nothing");
    write("POST", "packages");
    assert!(!is_hit(packages) && is_hit(others), "its group alone is dropped");
    write("POST", "all");
    assert!(!is_hit(packages), "what is stored anew belongs to its groups again");
}

/// A shim with the repository's policy before an origin of its own.
struct Gate {
    shim: Shim,
    origin: DemoOrigin,
}

impl Gate {
    fn open() -> Self {
        let origin = DemoOrigin::start();
        Self { shim: Shim::serve(&PolicyFile::of_the_repository(), &origin), origin }
    }

    fn get(&self, target: &str) -> Response {
        self.shim.client().get(target)
    }

    fn ask(&self, request: &Request) -> Response {
        self.shim.client().send(request)
    }
}

/// Asks twice: the first answer is stored for `ttl` seconds, the second is the
/// stored one.
#[track_caller]
fn stored_once(request: &Request, path: &str, ttl: i64) {
    let gate = Gate::open();
    let first = gate.ask(request);
    assert_eq!(first.status, 200);
    let hop = origin_hop(&first);
    assert_eq!((hop.fwd(), hop.stored()), (Some("uri-miss"), true));
    assert!(hop.is_fresh_for(ttl), "{hop:?} for {ttl} s");

    let second = gate.ask(request);
    let hop = origin_hop(&second);
    assert!(hop.hit() && hop.is_fresh_for(ttl), "{hop:?} for {ttl} s");
    assert_eq!(second.body, first.body);
    assert_eq!(gate.origin.base().served(path), 1, "the origin was asked once");
}

#[track_caller]
fn origin_hop(answer: &Response) -> Hop {
    CacheStatus::of(answer).hop("tidegate-origin").clone()
}
