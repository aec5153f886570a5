//! A running shim is watched from outside: what it counts, and whether it is ready.

use serde_json::json;
use tidegate_tests::{
    held_origin::HeldOrigin,
    metrics::Metrics,
    policy_file::PolicyFile,
    redis::{RedisServer, eventually},
    shim::Shim,
    wire::{Client, Request},
};

#[test]
fn p10_requests_are_counted_by_route_method_status_and_what_the_cache_did() {
    let mut gate = Gate::open("");
    gate.fetch("/kept/a?secret=1", "", "for all");
    for _ in 0..3 {
        assert_eq!(gate.client().get("/kept/a?secret=1").status, 200);
    }
    gate.fetch("/kept/b", "Set-Cookie: a=b\r\n", "for one");
    gate.fetch("/passed/c", "", "as it comes");
    assert_eq!(gate.client().get("/limited").status, 404);
    assert_eq!(gate.client().get("/limited").status, 429);
    assert_eq!(gate.client().send(&Request::new("BREW", "/nowhere")).status, 404);

    let metrics = gate.metrics();
    let requests = |route: &str, method: &str, status: &str, cache: &str| {
        metrics.value(&format!(
            "http_requests_total{{route=\"{route}\",method=\"{method}\",status=\"{status}\",cache=\"{cache}\"}}"
        ))
    };
    assert_eq!(requests("kept", "GET", "200", "HIT"), Some(3.0), "{}", metrics.text());
    assert_eq!(requests("kept", "GET", "200", "MISS"), Some(2.0));
    assert_eq!(requests("passed", "GET", "200", "BYPASS"), Some(1.0));
    assert_eq!(requests("limited", "GET", "429", "NONE"), Some(1.0));
    assert_eq!(requests("", "other", "404", "NONE"), Some(1.0), "{}", metrics.text());
    let reason = |route: &str, cache: &str, reason: &str| {
        metrics.value(&format!(
            "tidegate_cache_reasons_total{{route=\"{route}\",cache=\"{cache}\",reason=\"{reason}\"}}"
        ))
    };
    assert_eq!(reason("kept", "MISS", "uri-miss"), Some(1.0));
    assert_eq!(reason("kept", "MISS", "set-cookie"), Some(1.0));
    assert_eq!(reason("passed", "BYPASS", "policy"), Some(1.0));
    assert_eq!(reason("limited", "NONE", "rate-limited"), Some(1.0));
    let took = |suffix: &str| metrics.value(&format!("http_request_duration_seconds_{suffix}"));
    assert_eq!(took("count{route=\"kept\"}"), Some(5.0));
    assert_eq!(took("bucket{route=\"kept\",le=\"+Inf\"}"), Some(5.0));
    assert!(took("sum{route=\"kept\"}").is_some_and(|seconds| seconds > 0.0));
    assert!(!metrics.text().contains("secret") && !metrics.text().contains("/kept"));
}

#[test]
fn p10_limits_zones_upstreams_connections_and_the_process_are_counted() {
    let mut gate = Gate::open("");
    gate.fetch("/kept/a", "", "for all");
    assert_eq!(gate.client().get("/limited").status, 404);
    assert_eq!(gate.client().get("/limited").status, 429);
    assert_eq!(gate.client().get("/unreachable").status, 502);
    let held = gate.ask("/kept/held");
    let question = gate.origin.next();
    let metrics = gate.metrics();
    let value = |sample: &str| {
        metrics.value(sample).unwrap_or_else(|| panic!("{sample} in {}", metrics.text()))
    };
    let in_flight = "tidegate_upstream_requests_in_flight{upstream=\"held\"}";
    assert_eq!(value(in_flight), 1.0);
    question.answer("", "x");
    assert_eq!(held.join().expect("an answer").status, 200);
    assert_eq!(value("tidegate_limit_verdicts_total{limit=\"once\",verdict=\"allowed\"}"), 1.0);
    assert_eq!(value("tidegate_limit_verdicts_total{limit=\"once\",verdict=\"refused\"}"), 1.0);
    assert_eq!(value("tidegate_limit_clients{limit=\"once\"}"), 1.0);
    assert_eq!(value("tidegate_zone_entries{zone=\"small\"}"), 1.0);
    assert!((500.0..3_000.0).contains(&value("tidegate_zone_bytes{zone=\"small\"}")));
    assert_eq!(value("tidegate_zone_capacity_bytes{zone=\"small\"}"), 1_048_576.0);
    assert_eq!(value("tidegate_zone_entries{zone=\"default\"}"), 0.0);
    assert_eq!(value("tidegate_upstream_requests_total{upstream=\"held\",status=\"200\"}"), 1.0);
    assert_eq!(
        value("tidegate_upstream_errors_total{upstream=\"gone\",error=\"unreachable\"}"),
        1.0
    );
    assert!(value("tidegate_connections") >= 1.0);
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("tidegate_memory_limit_bytes") > value("process_resident_memory_bytes"));
    assert!(value("process_cpu_seconds_total") >= 0.0 && value("process_open_fds") > 3.0);
    assert_eq!(value("tidegate_reloads_total{result=\"good\"}"), 0.0);
    assert_eq!(gate.metrics().value(in_flight), Some(0.0));
}

#[test]
fn p9_p10_servers_that_are_down_or_left_out_and_open_breakers_are_told() {
    let mut gate = Gate::open(
        "[upstreams.broken]\nservers = \"127.0.0.1:1\"\nbreaker = { calls = 2 }\n\
         [[routes]]\nname = \"broken\"\nmatch = \"/broken\"\nupstream = \"broken\"\n",
    );
    assert_eq!(gate.client().get("/ready").json()["status"], "ok");
    for _ in 0..3 {
        assert_eq!(gate.client().get("/unreachable").status, 502);
        let _ = gate.client().get("/broken");
    }
    let metrics = gate.metrics();
    let value = |sample: &str| {
        metrics.value(sample).unwrap_or_else(|| panic!("{sample} in {}", metrics.text()))
    };
    let servers = |of: &str, state: &str| {
        value(&format!("tidegate_upstream_servers{{upstream=\"{of}\",state=\"{state}\"}}"))
    };
    assert_eq!((servers("held", "up"), servers("held", "left-out")), (1.0, 0.0));
    assert_eq!((servers("gone", "up"), servers("gone", "left-out")), (0.0, 1.0));
    assert_eq!(value("tidegate_upstream_breaker_open{upstream=\"broken\"}"), 1.0);
    assert_eq!(value("tidegate_upstream_breaker_open{upstream=\"held\"}"), 0.0);
    assert_eq!(value("tidegate_check_state{check=\"upstream\",name=\"gone\"}"), 1.0);
    assert_eq!(gate.client().get("/ready").status, 200, "they are asked all the same");
}

#[test]
fn p9_an_upstream_whose_checks_all_fail_is_not_ready() {
    let gate = Gate::open(
        "[upstreams.checked]\nservers = \"127.0.0.1:1\"\n\
         health = { path = \"/\", interval = \"100ms\", fall = 1 }\n",
    );
    eventually("/ready says so", || (gate.client().get("/ready").status == 503).then_some(()));
    let ready = gate.client().get("/ready").json();
    assert_eq!(ready["status"], "failing", "{ready}");
}

#[test]
fn p10_counting_goes_on_over_reloads_and_these_are_counted() {
    let mut gate = Gate::open("");
    gate.fetch("/kept/a", "", "for all");
    let good = gate.file.text();
    gate.file.rewrite(&format!("{good}\n[[routes]]\nname = \"new\"\nmatch = \"/new\"\n"));
    let _ = gate.shim.reload();
    gate.file.rewrite("schema = 2");
    let _ = gate.shim.reload();
    assert_eq!(gate.client().get("/kept/a").status, 200);
    let metrics = gate.metrics();
    let kept = "http_request_duration_seconds_count{route=\"kept\"}";
    assert_eq!(metrics.value(kept), Some(2.0));
    assert_eq!(metrics.value("tidegate_reloads_total{result=\"good\"}"), Some(1.0));
    assert_eq!(metrics.value("tidegate_reloads_total{result=\"refused\"}"), Some(1.0));
    assert_eq!(metrics.samples("tidegate_policy_info{hash=").count(), 1);
}

#[test]
fn p10_prometheus_has_no_objection() {
    let mut gate = Gate::open("");
    gate.fetch("/kept/a", "", "for all");
    assert_eq!(gate.client().get("/unreachable").status, 502);
    assert_eq!(gate.metrics().objections(), "");
}

#[test]
fn p10_metrics_want_the_token_of_the_admin_listener() {
    let file = PolicyFile::with_text(
        "schema = 1\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"${SECRET}\"\n",
    );
    let mut shim = Shim::serve_policy_with(&file, &[("SECRET", "0123456789abcdef")]);
    let admin = shim.admin();
    assert_eq!(admin.get("/metrics").status, 401);
    let known = Request::get("/metrics").header("Authorization", "Bearer 0123456789abcdef");
    assert_eq!(admin.send(&known).status, 200);
    assert_eq!(admin.send(&Request::new("POST", "/metrics")).status, 401);
}

#[test]
fn p9_health_is_answered_by_the_shim_unless_a_route_has_just_that_path() {
    let gate =
        Gate::open("[[routes]]\nname = \"health\"\nmatch = \"/api/health\"\nupstream = \"held\"\n");
    for path in ["/healthz", "/health"] {
        let answer = gate.client().get(path);
        assert_eq!((answer.status, &*answer.body), (200, &b"ok\n"[..]), "{path}");
    }
    gate.fetch("/api/health", "", "the service's own");
    let ready = gate.client().get("/ready");
    assert_eq!(ready.status, 200, "{ready:?}");
    assert_eq!(ready.header("cache-control"), Some("no-store"));
}

#[test]
fn p9_a_lost_redis_is_degraded_and_ready_all_the_same() {
    let mut redis = RedisServer::start();
    let file = PolicyFile::with_text(
        "schema = 1\n[redis]\nurl = \"${REDIS_URL}\"\n\
         [limits.shared]\nlimit = \"1000 per 60s\"\nstore = \"redis\"\non_store_error = \"local\"\n\
         [[routes]]\nname = \"all\"\nmatch = \"/*\"\nlimit = \"shared\"\n",
    );
    let shim = Shim::serve_policy_with(&file, &[("REDIS_URL", &redis.url())]);
    let ready = || {
        // Whoever asks the limits finds out how Redis is.
        assert_eq!(shim.client().get("/x").status, 404);
        let answer = shim.client().get("/ready");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    let all_well = json!({ "status": "ok", "checks": [{ "check": "redis", "name": "limits", "status": "ok" }] });
    eventually("Redis is reached", || (ready() == all_well).then_some(()));
    redis.kill();
    let lost = eventually("Redis is missed", || {
        let ready = ready();
        (ready["status"] == "degraded").then_some(ready)
    });
    assert_eq!(lost["checks"][0]["check"], "redis");
    assert_eq!(lost["checks"][0]["status"], "degraded");
    redis.restart();
    eventually("Redis is found again", || (ready() == all_well).then_some(()));
}

#[test]
fn p9_maintenance_is_seen_and_no_reason_to_ask_elsewhere() {
    let mut gate = Gate::open("[maintenance]\nenabled = true\n");
    let answer = gate.client().get("/ready");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["status"], "degraded");
    let checks = answer.json()["checks"].clone();
    let found = checks.as_array().expect("a list").iter().find(|c| c["check"] == "maintenance");
    assert!(found.is_some(), "{checks}");
    assert_eq!(gate.metrics().value("tidegate_maintenance"), Some(1.0));
}

struct Gate {
    shim: Shim,
    admin: Client,
    origin: HeldOrigin,
    file: PolicyFile,
}

impl Gate {
    fn open(more: &str) -> Self {
        let origin = HeldOrigin::start();
        let text = format!(
            "schema = 1\n[admin]\nlisten = \"127.0.0.1:0\"\n{more}\n\
             [upstreams.held]\nservers = \"{}\"\n[upstreams.gone]\nservers = \"127.0.0.1:1\"\n\
             [limits.once]\nlimit = \"1 per 1h\"\n\
             [zones.small]\nbytes = \"1MiB\"\n\
             [[routes]]\nname = \"kept\"\nmatch = \"/kept/*\"\nupstream = \"held\"\nzone = \"small\"\n\
             origin = {{ mode = \"default\", ttl = \"1m\" }}\n\
             [[routes]]\nname = \"passed\"\nmatch = \"/passed/*\"\nupstream = \"held\"\n\
             [[routes]]\nname = \"limited\"\nmatch = \"/limited\"\nlimit = \"once\"\n\
             [[routes]]\nname = \"unreachable\"\nmatch = \"/unreachable\"\nupstream = \"gone\"\n",
            origin.address()
        );
        let file = PolicyFile::with_text(&text);
        let mut shim = Shim::serve_policy(&file);
        Self { admin: shim.admin(), shim, origin, file }
    }

    fn client(&self) -> Client {
        self.shim.client()
    }

    fn metrics(&mut self) -> Metrics {
        Metrics::of(self.admin)
    }

    fn ask(&self, path: &str) -> std::thread::JoinHandle<tidegate_tests::wire::Response> {
        let (client, path) = (self.client(), path.to_owned());
        std::thread::spawn(move || client.get(&path))
    }

    /// One request that the origin is asked for.
    #[track_caller]
    fn fetch(&self, path: &str, fields: &str, body: &str) {
        let asked = self.ask(path);
        self.origin.next().answer(fields, body);
        let answer = asked.join().expect("an answer");
        assert_eq!((answer.status, &*answer.body), (200, body.as_bytes()), "{path}");
    }
}
