//! A policy is replaced while the shim runs: nothing is lost, nothing fails, and what is
//! remembered stays where it still fits.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::json;
use tidegate_tests::{
    cache_status::CacheStatus,
    demo_origin::DemoOrigin,
    policy_file::PolicyFile,
    shim::Shim,
    wire::{Client, Request, Response},
};

#[test]
fn p7_no_request_is_lost_or_fails_while_policies_come_and_go() {
    const RELOADS: u64 = 20;
    let text = |number: u64| {
        let header = format!("[headers]\nx-policy = \"{number}\"\n");
        policy(&header, &format!("servers = \"${{BASE_SVC}}\"\n# {number}"))
    };
    let mut gate = Gate::open(&text(0));
    let (done, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let client = gate.shim.client();
    let ask = || {
        // Some over one connection, some over a new one each.
        let mut connection = client.connect().expect("a connection");
        let request = Request::new("POST", "/api/v1/echo").body("x".repeat(10_000));
        while !done.load(Ordering::Relaxed) {
            for answer in [connection.exchange(&request).expect("an answer"), client.send(&request)]
            {
                assert_eq!(answer.status, 200, "{answer:?}");
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        let clients = [(); 4].map(|()| scope.spawn(ask));
        for number in 1..=RELOADS {
            gate.file.rewrite(&text(number));
            let said = gate.shim.reload();
            assert_eq!((&said["action"], &said["who"]), (&json!("reload"), &json!("SIGHUP")));
            assert_ne!(said["before"], said["after"], "{said}");
            let answer = client.get("/api/v1/time");
            assert_eq!(answer.header("x-policy"), Some(&*number.to_string()), "in force by now");
        }
        done.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().expect("no request failed"));
    });
    let sent = sent.into_inner();
    assert!(sent >= RELOADS, "{sent} requests are no load");
    assert_eq!(gate.origin.base().total(), sent + RELOADS, "each came to the origin, once");
}

#[test]
fn r9_a_bad_policy_leaves_the_one_in_force_and_says_all_that_is_wrong() {
    let mut gate = Gate::open(&policy("[headers]\nx-policy = \"good\"\n", SERVERS));
    gate.file.rewrite("schema = 1\nnonsense = true\nfolly = 1\n");
    let said = gate.shim.reload();
    let refused = said["refused"].as_str().expect("a refusal");
    for place in ["tidegate.toml:2:1", "tidegate.toml:3:1", "hint", "2 errors"] {
        assert!(refused.contains(place), "{refused}");
    }
    let answer = gate.get("/api/v1/time");
    assert_eq!((answer.status, answer.header("x-policy")), (200, Some("good")));

    gate.file.rewrite(&policy("[headers]\nx-policy = \"better\"\n", SERVERS));
    assert_eq!(gate.shim.reload()["before"], said["stays"]);
    assert_eq!(gate.get("/api/v1/time").header("x-policy"), Some("better"));
}

#[test]
fn a_secret_that_is_not_there_keeps_a_policy_out() {
    let mut gate = Gate::open(&policy("", SERVERS));
    let jwt = "[identity.jwt]\nkeys = [{ alg = \"HS256\", secret = \"${NO_SUCH_SECRET}\" }]\n";
    gate.file.rewrite(&policy(jwt, SERVERS));
    let said = gate.shim.reload();
    assert!(said["refused"].as_str().expect("a refusal").contains("`NO_SUCH_SECRET` is not set"));
    assert_eq!(gate.get("/api/v1/time").status, 200);
}

#[test]
fn what_is_stored_stays_where_its_rule_does() {
    let zone = |bytes: &str| format!("[zones.lists]\nbytes = \"{bytes}\"\n");
    let mut gate = Gate::open(&policy(&zone("1MB"), SERVERS));
    let stored = ["/api/v1/plugins", "/api/v1/marketplace"];
    let hits = |gate: &Gate| stored.map(|target| is_hit(&gate.get(target)));
    assert_eq!(hits(&gate), [false, false]);
    assert_eq!(hits(&gate), [true, true]);

    gate.put_in_force(&policy(&(zone("1MB") + "[headers]\nx-new = \"1\"\n"), SERVERS));
    assert_eq!(hits(&gate), [true, true]);
    assert_eq!(gate.get(stored[0]).header("x-new"), Some("1"), "what is stored leaves anew");

    gate.put_in_force(&policy(&zone("2MB"), SERVERS));
    assert_eq!(hits(&gate), [true, true], "a zone that grows keeps what it has");

    let other = policy(&zone("2MB"), SERVERS).replace("ttl = \"1h\" } # plugins", "ttl = \"2h\" }");
    gate.put_in_force(&other);
    assert_eq!(hits(&gate), [false, true], "one rule is another");
    gate.put_in_force(&policy(&zone("2MB"), SERVERS));
    assert_eq!(hits(&gate), [false, true], "and what was stored before it does not come back");
}

#[test]
fn r9_what_was_counted_stays_counted_under_a_raised_limit() {
    let limited =
        |limit: &str| policy(&format!("[limits.custom]\nlimit = \"{limit} per 1h\"\n"), SERVERS);
    let mut gate = Gate::open(&limited("2"));
    let statuses = |gate: &Gate| [(); 3].map(|()| gate.get("/api/v1/custom").status);
    assert_eq!(gate.get("/api/v1/custom").status, 200);
    gate.put_in_force(&limited("3"));
    assert_eq!(statuses(&gate), [200, 200, 429], "one of three was used");
}

#[test]
fn an_address_that_changes_is_said_to_need_a_restart() {
    let text = policy("[shim]\nlisten = \"127.0.0.1:0\"\n", SERVERS);
    let mut gate = Gate::open_where_the_policy_says(&text);
    gate.file.rewrite(&text.replace("127.0.0.1:0", "127.0.0.1:1"));
    assert!(gate.shim.reload()["refused"].is_null());
    let said: Vec<String> = (0..2).map(|_| gate.shim.next_error_line()).collect();
    assert!(said[1].contains("`[shim] listen` has changed, which needs a restart"), "{said:?}");
    assert_eq!(gate.get("/api/v1/time").status, 200);
}

const SERVERS: &str = "servers = \"${BASE_SVC}\"";

/// A policy with two stored routes, one limited one where `sections` has its limit, and a rest.
fn policy(sections: &str, upstream: &str) -> String {
    let zone = if sections.contains("[zones.lists]") { "zone = \"lists\"" } else { "" };
    let limit = if sections.contains("[limits.custom]") { "limit = \"custom\"" } else { "" };
    format!(
        r#"schema = 1
{sections}
[upstreams.base]
{upstream}
[[routes]]
name = "plugins"
match = "/api/v1/plugins"
upstream = "base"
{zone}
origin = {{ mode = "override", ttl = "1h" }} # plugins
[[routes]]
name = "marketplace"
match = "/api/v1/marketplace"
upstream = "base"
origin = {{ mode = "override", ttl = "1h" }}
[[routes]]
name = "custom"
match = "/api/v1/custom"
upstream = "base"
{limit}
[[routes]]
name = "rest"
match = "/*"
upstream = "base"
"#
    )
}

/// A shim before an origin of its own, with a policy that changes.
struct Gate {
    shim: Shim,
    file: PolicyFile,
    origin: DemoOrigin,
}

impl Gate {
    fn open(text: &str) -> Self {
        let (file, origin) = (PolicyFile::with_text(text), DemoOrigin::start());
        Self { shim: Shim::serve(&file, &origin), file, origin }
    }

    fn open_where_the_policy_says(text: &str) -> Self {
        let (file, origin) = (PolicyFile::with_text(text), DemoOrigin::start());
        Self { shim: Shim::serve_where_the_policy_says(&file, &origin), file, origin }
    }

    #[track_caller]
    fn put_in_force(&mut self, text: &str) {
        self.file.rewrite(text);
        let said = self.shim.reload();
        assert!(said["after"].is_string(), "{said}");
    }

    fn get(&self, target: &str) -> Response {
        let client: Client = self.shim.client();
        client.get(target)
    }
}

#[track_caller]
fn is_hit(answer: &Response) -> bool {
    CacheStatus::of(answer).hop("tidegate-origin").hit()
}
