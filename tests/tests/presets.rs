//! The five example policies, held to the numbers of docs/requirements.md: what each does with
//! a request, as `tidegate explain` says it.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use tidegate_core::{
    Policy, document,
    policy::{Upstream, upstream::Balance},
};
use tidegate_tests::{
    demo_origin::DemoOrigin,
    policy_file::PolicyFile,
    redis::RedisServer,
    shim::{Shim, check_with, explain},
};

const PLATFORM: &str = "tidegate.toml";
const GUARDED: &str = "policies/platform-with-auth-limits.toml";
const ZONES: &str = "policies/generator-with-zones.toml";
const TIERED: &str = "policies/tiered-cdn.toml";
const DASHBOARD: &str = "policies/personal-dashboard.toml";

#[test]
fn d3_every_example_is_good_and_without_a_warning() {
    for file in [PLATFORM, GUARDED, ZONES, TIERED, DASHBOARD] {
        let checked = check_with(&PolicyFile::in_the_repository(file), &["--deny-warnings"]);
        assert!(checked.status.success(), "{file}: {}", checked.stderr);
    }
}

#[test]
fn p1_p6_d3_upstreams_keep_connections_and_break_as_the_plans_say() {
    let platform = upstreams(PLATFORM);
    assert_eq!(platform["base_svc"].servers[0].address.to_string(), "127.0.0.1:4000");
    assert_eq!(platform["base_svc"].keepalive, 64);
    assert_eq!(platform["plugin_server"].servers[0].address.to_string(), "127.0.0.1:3100");
    assert_eq!(platform["plugin_server"].keepalive, 32);
    assert_eq!(platform["base_svc"].balance, Balance::LeastConn);

    let shop = &upstreams(TIERED)["shop"];
    assert_eq!(shop.timeouts.head, Duration::from_secs(3));
    let breaker = shop.breaker.unwrap();
    assert_eq!((breaker.errors.get(), breaker.calls.get()), (50, 10));
    assert_eq!((breaker.window.as_secs(), breaker.open.as_secs()), (10, 30));
}

#[test]
fn p5_d3_bodies_have_ten_megabytes() {
    assert_eq!(policy(ZONES).model().shim.max_body, Some(10 << 20));
}

#[test]
fn c1_d3_bundles_stay_a_day_at_the_edge_and_the_api_passes() {
    let plugins = Explained::anonymous(PLATFORM, "edge", "/plugins/app.js");
    assert_eq!(plugins.cache("ttl"), "1d");
    assert_eq!(plugins.header("cache-control"), "public, max-age=86400");
    for path in ["/api/v1/plugins", "/api/v1/user/profile", "/api/anything"] {
        assert_eq!(
            Explained::of(PLATFORM, "edge", "GET", path).cache("reason"),
            "policy",
            "{path}"
        );
    }
}

#[test]
fn c2_d3_answers_of_the_api_stay_in_the_shim() {
    for (file, path, ttl, name) in [
        (PLATFORM, "/api/v1/plugins", "5m", "plugins:list"),
        (PLATFORM, "/api/v1/teams/7/my-plugins", "60s", "team:7:plugins:~"),
        (PLATFORM, "/api/v1/user/profile", "5m", "user:~"),
        (PLATFORM, "/api/v1/marketplace", "10m", "marketplace:packages"),
        (GUARDED, "/api/v1/plugins", "10m", "plugins:list"),
        (GUARDED, "/api/v1/teams/7/my-plugins", "60s", "team:7:plugins:~"),
        (GUARDED, "/api/v1/user/profile", "5m", "user:~"),
        (GUARDED, "/api/v1/marketplace", "10m", "marketplace:packages"),
    ] {
        let explained = Explained::of(file, "origin", "GET", path);
        assert_eq!(explained.cache("ttl"), ttl, "{file} {path}");
        let found = explained.cache("key_name");
        assert!(found.starts_with(name), "{file} {path}: {found}");
    }
}

#[test]
fn c4_d3_a_write_invalidates_its_team_or_its_user() {
    for (file, method, path, tag) in [
        (PLATFORM, "POST", "/api/v1/teams/7/plugins", "team:7"),
        (PLATFORM, "DELETE", "/api/v1/teams/7/plugins/chart", "team:7"),
        (GUARDED, "POST", "/api/v1/teams/7/plugins", "team:7"),
        (GUARDED, "PUT", "/api/v1/user/profile", "user:~"),
        (ZONES, "PUT", "/api/blueprints/9", "blueprint:9"),
        (DASHBOARD, "PATCH", "/api/v1/tasks/1", "user:~"),
    ] {
        let explained = Explained::of(file, "origin", method, path);
        let tags = explained.0["invalidates"].as_array().cloned().unwrap_or_default();
        let [Value::String(found)] = &tags[..] else { panic!("{file} {path}: {tags:?}") };
        assert!(found.starts_with(tag), "{file} {path}: {found}");
    }
    let read = Explained::of(PLATFORM, "origin", "GET", "/api/v1/teams/7/plugins");
    assert!(read.0.get("invalidates").is_none(), "reading invalidates nothing");
}

#[test]
fn c5_d3_browsers_are_told_each_preset() {
    for (file, path, value) in [
        (GUARDED, "/api/v1/auth/login", "no-store, no-cache, must-revalidate"),
        (GUARDED, "/api/v1/teams/7/my-plugins", "private, max-age=60"),
        (GUARDED, "/api/v1/user/profile", "private, max-age=300"),
        (GUARDED, "/api/v1/plugins", "public, max-age=300"),
        (GUARDED, "/api/v1/marketplace", "public, max-age=600"),
        (ZONES, "/api/catalogue/x", "public, max-age=3600"),
    ] {
        let explained = Explained::anonymous(file, "origin", path);
        assert_eq!(explained.header("cache-control"), value, "{file} {path}");
    }
    let login = Explained::of(GUARDED, "origin", "GET", "/api/v1/auth/login");
    assert_eq!(login.header("pragma"), "no-cache");
}

#[test]
fn c6_c10_d3_each_cache_is_told_its_own_time() {
    let shim = Explained::anonymous(TIERED, "origin", "/products");
    assert_eq!(shim.cache("ttl"), "10s");
    assert_eq!(shim.header("cache-control"), "public, s-maxage=3600, max-age=600");
    assert_eq!(shim.header("cdn-cache-control"), "max-age=86400");
    assert_eq!(shim.header("surrogate-control"), "max-age=86400");
    assert_eq!(Explained::anonymous(TIERED, "edge", "/products").cache("ttl"), "1h");
}

#[test]
fn c7_d3_assets_are_immutable_for_a_year() {
    for file in ["js", "css", "png", "jpg", "jpeg", "gif", "ico", "svg", "woff", "woff2"] {
        let asset = Explained::anonymous(PLATFORM, "origin", &format!("/static/app.{file}"));
        assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable", "{file}");
    }
}

#[test]
fn c8_d3_zones_have_their_capacity_and_their_time() {
    for (path, zone, capacity, ttl) in [
        ("/api/catalogue/x", "main", 50_000, "1h"),
        ("/api/blueprints/9", "blueprints", 10_000, "6h"),
        ("/api/users/me/settings", "users", 100_000, "30m"),
    ] {
        let explained = Explained::of(ZONES, "origin", "GET", path);
        assert_eq!(explained.cache("ttl"), ttl, "{path}");
        let found = &explained.0["cache"]["zone"];
        assert_eq!(
            (&found["name"], &found["capacity"]),
            (&zone.into(), &capacity.into()),
            "{path}"
        );
    }
}

#[test]
fn c12_d3_what_is_a_users_is_kept_for_that_user() {
    for (path, name) in [("/api/v1/tasks", "user:~"), ("/api/v1/profile", "profile:~")] {
        let explained = Explained::of(DASHBOARD, "origin", "GET", path);
        assert_eq!(explained.cache("ttl"), "5m", "{path}");
        let found = explained.cache("key_name");
        assert!(found.starts_with(name), "{path}: {found}");
        assert!(explained.cache("key").contains("[credential]"), "{path}");
    }
}

#[test]
fn r1_r2_r3_r4_d3_limits_have_their_numbers() {
    const PACE: &str = "gcra";
    const FIXED: &str = "fixed-window";
    const SLIDING: &str = "sliding-window";
    for (file, path, limits) in [
        (PLATFORM, "/api/x", &[("100 per 60s", FIXED, Some("60s"))][..]),
        (
            GUARDED,
            "/api/v1/auth/login",
            &[("1 per 1s", PACE, None), ("10 per 60s", FIXED, Some("5m"))],
        ),
        (GUARDED, "/api/x", &[("10 per 1s", PACE, None), ("100 per 60s", FIXED, Some("60s"))]),
        (GUARDED, "/api/v1/plugins", &[("500 per 60s", FIXED, None)]),
        (GUARDED, "/api/health", &[]),
        (
            ZONES,
            "/api/generate/app",
            &[("1000 per 15m", SLIDING, None), ("10 per 5m", SLIDING, None)],
        ),
        (TIERED, "/", &[("100 per 15m", PACE, Some("15m"))]),
        (DASHBOARD, "/api/x", &[("100 per 15m", FIXED, None)]),
        (
            DASHBOARD,
            "/api/v1/auth/login",
            &[("100 per 15m", FIXED, None), ("10 per 60s", FIXED, None)],
        ),
    ] {
        let explained = Explained::of(file, "origin", "GET", path);
        let text = |limit: &Value, name| limit[name].as_str().map(str::to_owned);
        let found: Vec<_> = explained
            .limits()
            .iter()
            .map(|limit| ["limit", "algorithm", "block"].map(|name| text(limit, name)))
            .collect();
        let expected: Vec<_> = limits
            .iter()
            .map(|(limit, algorithm, block)| {
                [Some(*limit), Some(algorithm), *block].map(|text| text.map(str::to_owned))
            })
            .collect();
        assert_eq!(found, expected, "{file} {path}");
    }
}

#[test]
fn r3_d3_bursts_admit_what_nginx_admits() {
    for (path, burst) in [("/api/v1/auth/login", 6), ("/api/x", 21)] {
        let explained = Explained::of(GUARDED, "origin", "GET", path);
        assert_eq!(explained.limits()[0]["worst_burst"], burst, "{path}");
    }
}

#[test]
fn p3_d3_text_is_compressed_by_gzip_at_level_6_or_brotli() {
    let asked = |file, accept_encoding, more: &[&str]| {
        let line = format!("Accept-Encoding: {accept_encoding}");
        let arguments = [&["--tier", "origin", "-H", line.as_str()], more].concat();
        Explained::with(file, &arguments).0["compression"].take()
    };
    for (file, least) in [(PLATFORM, 1024), (GUARDED, 1000)] {
        let path = "/api/v1/plugins";
        let gzip = asked(file, "gzip", &[path]);
        assert_eq!((&gzip["coding"], &gzip["level"]), (&"gzip".into(), &6.into()), "{file}");
        assert_eq!(gzip["rule"]["min_bytes"], least, "{file}");
        let types = gzip["rule"]["types"].as_array().cloned().unwrap_or_default();
        assert!(types.contains(&"text/*".into()) && types.contains(&"application/json".into()));
        assert_eq!(asked(file, "gzip, br", &[path])["coding"], "br", "{file}");
        assert_eq!(asked(file, "gzip", &["-H", "Authorization: Bearer x", path])["coding"], "gzip");
        let opted_out = asked(file, "gzip", &["-H", "x-no-compression: 1", path]);
        assert_eq!(opted_out["reason"], "opt-out", "{file}");
    }
}

#[test]
fn r5_d3_what_is_spread_waits_its_turn_one_after_the_other() {
    let explained = Explained::of(TIERED, "origin", "GET", "/");
    let limit = &explained.limits()[0];
    assert_eq!((&limit["worst_burst"], &limit["longest_wait"]), (&1.into(), &"90s".into()));
    assert_eq!(limit["count"], "misses");
}

#[test]
fn r5_r8_d3_visitors_are_counted_for_all_shims_and_by_each_while_redis_is_lost() {
    let explained = Explained::of(TIERED, "origin", "GET", "/");
    assert_eq!(explained.limits()[0]["store"], "in Redis, for all shims together");

    let mut redis = RedisServer::start();
    redis.kill();
    let origin = DemoOrigin::start();
    let shop = origin.base().address().to_string();
    let environment = [("REDIS_URL", &*redis.url()), ("SHOP_SVC", &shop)];
    let policy = PolicyFile::in_the_repository(TIERED);
    let shim = Shim::serve_with(&policy, &origin, &environment);
    let answer = shim.client().get("/account/me");
    assert!(answer.status < 500, "{answer:?}");
    assert!(answer.header("ratelimit").is_some_and(|left| left.contains("visitor")), "{answer:?}");
}

#[test]
fn p4_d3_answers_leave_with_security_fields() {
    for file in [PLATFORM, GUARDED, TIERED] {
        let explained = Explained::anonymous(file, "origin", "/");
        if !explained.0["route"].is_null() {
            assert_eq!(explained.header("x-frame-options"), "SAMEORIGIN", "{file}");
            assert_eq!(explained.header("x-content-type-options"), "nosniff", "{file}");
        }
    }
}

/// What one tier says of a request.
struct Explained(Value);

impl Explained {
    /// With a credential.
    #[track_caller]
    fn of(file: &str, tier: &str, method: &str, path: &str) -> Self {
        Self::with(file, &["--tier", tier, "-X", method, "-H", "Authorization: Bearer x", path])
    }

    #[track_caller]
    fn anonymous(file: &str, tier: &str, path: &str) -> Self {
        Self::with(file, &["--tier", tier, path])
    }

    #[track_caller]
    fn with(file: &str, arguments: &[&str]) -> Self {
        let policy = PolicyFile::in_the_repository(file);
        let ended = explain(&policy, &[&["--json"], arguments].concat());
        assert!(ended.status.success(), "{}", ended.stderr);
        let mut explained: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        Self(explained["tiers"][0].take())
    }

    /// A text in what it says of the cache; empty without it.
    fn cache(&self, name: &str) -> &str {
        self.0["cache"][name].as_str().unwrap_or_default()
    }

    fn limits(&self) -> &[Value] {
        self.0["limits"].as_array().expect("a list of limits")
    }

    /// The value of a header; empty without it.
    fn header(&self, name: &str) -> &str {
        let headers = self.0["headers"].as_array().expect("a list of headers");
        let found = headers.iter().find(|header| header[0] == name);
        found.and_then(|header| header[1].as_str()).unwrap_or_default()
    }
}

/// The upstreams of an example.
fn upstreams(file: &str) -> BTreeMap<String, Upstream> {
    policy(file).model().upstreams.clone()
}

/// An example.
fn policy(file: &str) -> Policy {
    let text = PolicyFile::in_the_repository(file).text();
    document::read(&text, &|_| None).unwrap_or_else(|report| panic!("{report}"))
}
