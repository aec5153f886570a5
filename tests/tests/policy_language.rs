//! What the policy file can say, each applied by a running shim.

use tidegate_tests::{
    cache_status::CacheStatus,
    demo_origin::DemoOrigin,
    policy_file::PolicyFile,
    shim::Shim,
    wire::{Request, Response},
};

#[test]
fn c4_a_write_drops_what_is_stored_for_its_team_and_nothing_else() {
    let gate = Gate::of_the_repository();
    let plugins = |team: &str, user: &str| {
        gate.ask(&Request::get(&format!("/api/v1/teams/{team}/my-plugins")).by(user))
    };
    let install = |plugin: &str| {
        let body = format!(r#"{{"plugin":"{plugin}"}}"#);
        gate.ask(&Request::new("POST", "/api/v1/teams/7/plugins").by("alice").body(body)).status
    };
    for user in ["alice", "bob"] {
        assert!(!is_hit(&plugins("7", user)) && is_hit(&plugins("7", user)), "{user}");
    }
    assert!(!is_hit(&plugins("8", "alice")));

    assert_eq!(install("nonsense"), 422);
    assert!(is_hit(&plugins("7", "bob")), "what failed changes nothing");

    assert_eq!(install("chart"), 201);
    for user in ["alice", "bob"] {
        let seen = plugins("7", user);
        assert!(!is_hit(&seen), "{user}");
        assert_eq!(seen.json()["plugins"][0], "chart", "{user}");
    }
    assert!(is_hit(&plugins("8", "alice")), "another team's answers stay");

    let uninstall = Request::new("DELETE", "/api/v1/teams/7/plugins/chart").by("alice");
    assert_eq!(gate.ask(&uninstall).status, 204);
    assert!(!is_hit(&plugins("7", "bob")));
}

#[test]
fn p4_every_answer_has_the_fields_of_the_policy() {
    let gate = Gate::with_routes(
        "[headers]\nx-frame-options = \"SAMEORIGIN\"\nx-content-type-options = \"nosniff\"\n\
         [limits.once]\nlimit = \"1 per 1h\"\n",
        "name = \"framed\"\nmatch = \"/api/v1/plugins\"\nupstream = \"base\"\n\
         headers = { X-Frame-Options = \"DENY\" }\norigin = { mode = \"default\", ttl = \"1m\" }\n\
         [[routes]]\nname = \"limited\"\nmatch = \"/api/v1/time\"\nupstream = \"base\"\nlimit = \"once\"\n\
         [[routes]]\nname = \"rest\"\nmatch = \"/api/*\"\nupstream = \"base\"\n",
    );
    let says = |target: &str, status: u16, frame: &str| {
        let answer = gate.ask(&Request::get(target));
        assert_eq!(answer.status, status, "{target}");
        let frames: Vec<_> = answer.all("x-frame-options").collect();
        assert_eq!(frames, [frame], "{target}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{target}");
    };
    for _miss_then_hit in 0..2 {
        says("/api/v1/plugins", 200, "DENY");
    }
    says("/api/v1/custom?header=X-Frame-Options:ALLOWALL", 200, "SAMEORIGIN");
    says("/api/v1/time", 200, "SAMEORIGIN");
    says("/api/v1/time", 429, "SAMEORIGIN");
    says("/nowhere", 404, "SAMEORIGIN");
    says("/api/..%2f..%2fx", 400, "SAMEORIGIN");
}

#[test]
fn c6_each_kind_of_cache_is_told_its_own_time() {
    let gate = Gate::with_routes(
        "",
        "name = \"all\"\nmatch = \"/api/*\"\nupstream = \"base\"\nbrowser = \"tiered\"\n",
    );
    let told = |target: &str| {
        let answer = gate.ask(&Request::get(target));
        ["cache-control", "cdn-cache-control", "surrogate-control"]
            .map(|name| answer.header(name).map(str::to_owned))
    };
    let tiered = ["public, s-maxage=3600, max-age=600", "max-age=86400", "max-age=86400"];
    assert_eq!(told("/api/v1/custom"), tiered.map(|value| Some(value.to_owned())));
    let private = ["private", "-", "-"].map(|v| (v != "-").then(|| v.to_owned()));
    assert_eq!(told("/api/v1/custom?header=Cache-Control:private"), private);
    let [_, cdn, surrogate] = told("/api/v1/custom?header=CDN-Cache-Control:no-store");
    assert_eq!(cdn.as_deref(), Some("no-store"), "nobody overrides no-store");
    assert_eq!(surrogate.as_deref(), Some("max-age=86400"));
}

#[test]
fn times_by_status_are_applied() {
    let gate = Gate::with_routes(
        "",
        "name = \"all\"\nmatch = \"/api/*\"\nupstream = \"base\"\n\
         origin = { mode = \"default\", ttl = \"5m\", status_ttl = { 302 = \"10s\", 404 = \"2m\", 5xx = \"0s\", 503 = \"3s\" } }\n",
    );
    for (status, ttl) in
        [(200, Some(300)), (302, Some(10)), (404, Some(120)), (503, Some(3)), (500, None)]
    {
        let answer = gate.ask(&Request::get(&format!("/api/v1/custom?status={status}")));
        let hop = CacheStatus::of(&answer).hop("tidegate-origin").clone();
        assert_eq!(hop.stored(), ttl.is_some(), "{status}: {hop:?}");
        if let Some(ttl) = ttl {
            assert!(hop.is_fresh_for(ttl), "{status}: {hop:?}");
        }
    }
}

#[test]
fn only_named_cookies_and_the_device_tell_answers_apart() {
    let gate = Gate::with_routes(
        "",
        "name = \"all\"\nmatch = \"/api/*\"\nupstream = \"base\"\n\
         key = { cookies = [\"session\"], device = true }\norigin = { mode = \"default\", ttl = \"5m\" }\n",
    );
    let ask = |cookie: &str, agent: &str| {
        let request = Request::get("/api/v1/custom").header("Cookie", cookie);
        is_hit(&gate.ask(&request.header("User-Agent", agent)))
    };
    assert!(!ask("session=a; theme=dark", "Firefox"));
    assert!(ask("theme=light; session=a", "Chrome"));
    assert!(!ask("session=b", "Firefox"));
    assert!(!ask("session=a", "iPhone"));
    assert!(ask("session=a", "Android Mobile"));
}

#[test]
fn c8_a_zone_is_never_fuller_than_its_capacity() {
    let gate = Gate::with_routes(
        "[zones.small]\nbytes = \"1MB\"\ncapacity = 10\nttl = \"1h\"\n",
        "name = \"small\"\nmatch = \"/api/v1/custom\"\nupstream = \"base\"\nzone = \"small\"\n\
         origin = { mode = \"default\" }\n\
         [[routes]]\nname = \"rest\"\nmatch = \"/api/*\"\nupstream = \"base\"\n\
         origin = { mode = \"default\", ttl = \"1h\" }\n",
    );
    let ask = |target: String| is_hit(&gate.ask(&Request::get(&target)));
    assert!(!ask("/api/v1/plugins".into()));
    for number in 0..50 {
        assert!(!ask(format!("/api/v1/custom?n={number}")));
    }
    let kept = (0..50).filter(|number| ask(format!("/api/v1/custom?n={number}"))).count();
    assert!((1..=10).contains(&kept), "{kept} of 50 in a zone for 10");
    assert!(ask("/api/v1/plugins".into()), "one zone does not push out another's answers");
}

/// A shim before an origin of its own.
struct Gate {
    shim: Shim,
    _origin: DemoOrigin,
}

impl Gate {
    fn of_the_repository() -> Self {
        Self::open(&PolicyFile::of_the_repository())
    }

    /// With a policy of these sections, and routes to the upstream `base`.
    fn with_routes(sections: &str, routes: &str) -> Self {
        let base = "[upstreams.base]\nservers = \"${BASE_SVC}\"\n";
        let text = format!("schema = 1\n{base}{sections}[[routes]]\n{routes}");
        Self::open(&PolicyFile::with_text(&text))
    }

    fn open(policy: &PolicyFile) -> Self {
        let origin = DemoOrigin::start();
        Self { shim: Shim::serve(policy, &origin), _origin: origin }
    }

    fn ask(&self, request: &Request) -> Response {
        self.shim.client().send(request)
    }
}

#[track_caller]
fn is_hit(answer: &Response) -> bool {
    CacheStatus::of(answer).hop("tidegate-origin").hit()
}
