//! Maintenance: nobody gets through but health checks and whom the policy allows.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use tidegate_tests::{
    cache_status::CacheStatus,
    demo_origin::DemoOrigin,
    policy_file::PolicyFile,
    shim::{self, Shim},
    wire::{Client, Request, Response},
};

#[test]
fn r9_maintenance_comes_and_goes_under_load_and_no_request_is_lost() {
    const TURNS: u64 = 10;
    let gate = Gate::open("");
    let (done, served, refused) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let client = gate.shim.client();
    let ask = || {
        // Some over one connection, some over a new one each.
        let mut connection = client.connect().expect("a connection");
        let request = Request::new("POST", "/api/v1/echo").body("x".repeat(10_000));
        while !done.load(Ordering::Relaxed) {
            for answer in [connection.exchange(&request).expect("an answer"), client.send(&request)]
            {
                let counter = match answer.status {
                    200 => &served,
                    503 => &refused,
                    _ => panic!("{answer:?}"),
                };
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        let clients = [(); 4].map(|()| scope.spawn(ask));
        for _ in 0..TURNS {
            gate.put("{}");
            let answer = client.get("/api/v1/time");
            assert_eq!(answer.status, 503, "on by the next request: {answer:?}");
            gate.end();
            assert_eq!(client.get("/api/v1/time").status, 200, "off by the next request");
        }
        done.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().expect("no request failed"));
    });
    let (served, refused) = (served.into_inner(), refused.into_inner());
    assert!(served + refused >= TURNS, "{served} and {refused} requests are no load");
    assert_eq!(gate.origin.base().total(), served + TURNS, "none of the refused got through");
}

#[test]
fn r9_a_program_gets_problem_details_and_a_browser_a_page() {
    let gate = Gate::open("");
    gate.put(r#"{"message": "Back at <six>.", "retry_after": "90s"}"#);
    let answer = gate.get("/api/v1/time");
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("90")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("cache-status"), Some("tidegate-origin; detail=maintenance"));
    assert_eq!(answer.header("x-policy"), Some("said"), "the policy's fields are on it");
    assert_eq!(
        (answer.json()["retryAfter"].clone(), answer.json()["status"].clone()),
        (90.into(), 503.into())
    );
    assert_eq!(answer.json()["detail"], "Back at <six>.");

    let browser = Request::get("/").header("Accept", "text/html,*/*;q=0.8");
    let page = gate.shim.client().send(&browser);
    assert_eq!((page.status, page.header("retry-after")), (503, Some("90")));
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let text = String::from_utf8(page.body).expect("UTF-8");
    assert!(text.contains("<p>Back at &lt;six&gt;.</p>"), "{text}");

    let head = gate.shim.client().send(&Request::new("HEAD", "/"));
    assert_eq!((head.status, head.body.len()), (503, 0));
    gate.put(r#"{"for": "2h"}"#);
    let wait: u64 = gate.get("/").header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((7100..=7200).contains(&wait), "{wait} s");
}

#[test]
fn r9_health_checks_and_allowed_clients_pass() {
    let gate = Gate::open("allow = [\"203.0.113.0/24\", \"127.0.0.9\"]");
    gate.put("{}");
    let client = gate.shim.client();
    assert_eq!(client.get("/healthz").status, 200);
    for path in ["/health", "/api/health", "/ready"] {
        assert_eq!(client.get(path).status, 200, "{path}");
    }
    assert_eq!(gate.origin.base().total(), 0, "the shim itself is asked");
    let behind = |proxy: u8, forwarded: &str| {
        let request = Request::get("/api/v1/time").header("X-Forwarded-For", forwarded);
        client.at_loopback(proxy).send(&request).status
    };
    assert_eq!(behind(1, "203.0.113.7"), 200, "a trusted proxy names an allowed client");
    assert_eq!(behind(1, "203.0.113.7, 198.51.100.1"), 503, "the rightmost is who it saw");
    assert_eq!(behind(1, "198.51.100.1"), 503);
    assert_eq!(behind(5, "203.0.113.7"), 503, "anyone else speaks for itself");
    assert_eq!(behind(9, "198.51.100.1"), 200);
}

#[test]
fn r9_what_is_stored_is_not_served_in_maintenance_unless_the_policy_says_so() {
    const STORED: &str = "/api/v1/plugins";
    let gate = Gate::open("");
    assert_eq!(gate.get(STORED).status, 200);
    gate.put("{}");
    assert_eq!(gate.get(STORED).status, 503);
    gate.end();
    assert!(CacheStatus::of(&gate.get(STORED)).hop("tidegate-origin").hit(), "it stayed stored");

    let gate = Gate::open("serve_cached = true");
    let asked = |gate: &Gate| gate.origin.base().total();
    assert_eq!(gate.get(STORED).status, 200);
    let before = asked(&gate);
    gate.put("{}");
    let answer = gate.get(STORED);
    assert!(CacheStatus::of(&answer).hop("tidegate-origin").hit(), "{answer:?}");
    for (method, target) in
        [("GET", "/api/v1/marketplace"), ("GET", "/api/v1/time"), ("POST", STORED)]
    {
        let answer = gate.shim.client().send(&Request::new(method, target));
        assert_eq!(answer.status, 503, "{method} {target}: {answer:?}");
        assert_eq!(answer.header("cache-status"), Some("tidegate-origin; detail=maintenance"));
    }
    assert_eq!(asked(&gate), before, "nothing goes to the origin");
}

#[test]
fn r9_a_shim_may_start_in_maintenance_with_a_page_of_its_own() {
    let text =
        policy("enabled = true\npage = { file = \"maintenance.html\" }\nmessage = \"Soon.\"");
    let file = PolicyFile::with_text(&text);
    let missing = shim::check(&file).stderr;
    assert!(missing.contains("tidegate.toml:5: the page "), "{missing}");
    assert!(missing.contains("maintenance.html") && missing.contains("= hint: "), "{missing}");

    let page = file.path().with_file_name("maintenance.html");
    std::fs::write(&page, "<p>{{message}} {{retry_after}}").unwrap();
    let gate = Gate::of(file);
    let ask = || {
        let browser = Request::get("/").header("Accept", "text/html");
        String::from_utf8(gate.shim.client().send(&browser).body).expect("UTF-8")
    };
    assert_eq!(ask(), "<p>Soon. 300");
    std::fs::write(&page, "<p>Another").unwrap();
    assert_eq!(gate.reload().status, 200);
    assert_eq!(ask(), "<p>Another");
    gate.end();
    assert_eq!(gate.get("/api/v1/time").status, 200, "what is said at run time counts");
}

/// The policy with these lines in `[maintenance]`.
fn policy(maintenance: &str) -> String {
    format!(
        r#"schema = 1
admin = {{ listen = "127.0.0.1:0" }}
[maintenance]
{maintenance}
[shim]
trusted_proxies = ["127.0.0.1"]
[headers]
x-policy = "said"
[upstreams.base]
servers = "${{BASE_SVC:-127.0.0.1:1}}"
[[routes]]
name = "stored"
match = "/api/v1/plugins"
upstream = "base"
origin = {{ mode = "override", ttl = "1h" }}
[[routes]]
name = "marketplace"
match = "/api/v1/marketplace"
upstream = "base"
origin = {{ mode = "override", ttl = "1h" }}
[[routes]]
name = "rest"
match = "/*"
upstream = "base"
"#
    )
}

/// A shim before an origin of its own, with its admin listener.
struct Gate {
    shim: Shim,
    admin: Client,
    // Held for its end: a reload reads it.
    _file: PolicyFile,
    origin: DemoOrigin,
}

impl Gate {
    fn open(maintenance: &str) -> Self {
        Self::of(PolicyFile::with_text(&policy(maintenance)))
    }

    fn of(file: PolicyFile) -> Self {
        let origin = DemoOrigin::start();
        let mut shim = Shim::serve(&file, &origin);
        Self { admin: shim.admin(), shim, _file: file, origin }
    }

    fn get(&self, target: &str) -> Response {
        self.shim.client().get(target)
    }

    #[track_caller]
    fn put(&self, body: &str) {
        let request =
            Request::new("PUT", "/maintenance").header("Content-Type", "application/json");
        let answer = self.admin.send(&request.body(body));
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    #[track_caller]
    fn end(&self) {
        assert_eq!(self.admin.send(&Request::new("DELETE", "/maintenance")).status, 200);
    }

    fn reload(&self) -> Response {
        self.admin.send(&Request::new("POST", "/reload").header("Content-Type", "application/json"))
    }
}
