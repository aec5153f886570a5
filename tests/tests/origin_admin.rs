//! A running shim is operated: over its admin listener, and by the commands that speak to it.

use serde_json::{Value, json};
use tidegate_tests::{
    demo_origin::DemoOrigin,
    policy_file::PolicyFile,
    process::Ended,
    shim::{self, Shim},
    wire::{Client, Request, Response},
};

#[test]
fn r9_a_limit_that_is_changed_at_run_time_holds_for_the_next_request() {
    let mut gate = Gate::open("");
    assert_eq!(gate.statuses(2, 1), [200]);
    let raised = gate.put("/limits/custom", r#"{"limit": "3 per 1h"}"#);
    assert_eq!(raised.json()["limit"]["limit"], "3 per 1h");
    assert_eq!(raised.json()["limit"]["policy"]["limit"], "2 per 1h");
    assert_eq!(gate.statuses(2, 3), [200, 200, 429], "one of three was used");

    gate.put("/limits/custom", r#"{"limit": "1 per 1h"}"#);
    assert_eq!(gate.statuses(3, 2), [200, 429]);
    let reset = gate.admin.send(&Request::new("DELETE", "/limits/custom"));
    assert_eq!(
        reset.json()["limit"],
        json!({
            "name": "custom", "limit": "2 per 1h", "block": "1h", "algorithm": "fixed-window",
            "counted": {
                "allowed": 4, "refused": 2, "would_refuse": 0, "uncounted": 0, "store_failed": 0,
                "clients": 2,
            },
        })
    );
    assert_eq!(gate.statuses(4, 3), [200, 200, 429]);

    assert_eq!(gate.statuses(4, 1), [429]);
    gate.put("/limits/custom", r#"{"block": "0s"}"#);
    assert_eq!(gate.statuses(4, 1), [200], "a block of nothing frees who is blocked");

    let audited = gate.shim.audited();
    assert_eq!(
        (&audited["action"], &audited["subject"], &audited["before"], &audited["after"]),
        (&json!("limit"), &json!("custom"), &Value::Null, &json!({ "limit": "3 per 1h" }))
    );
    assert!(audited["who"].as_str().is_some_and(|who| who.starts_with("127.0.0.1:")), "{audited}");
    assert_eq!(gate.shim.audited()["before"], audited["after"]);
}

#[test]
fn r9_who_is_blocked_is_listed_and_let_in_again() {
    let mut gate = Gate::open("");
    let blocked = |gate: &Gate| gate.admin.get("/limits/custom/blocked").json()["blocked"].clone();
    assert_eq!(blocked(&gate), json!([]));
    assert_eq!(gate.statuses(2, 3), [200, 200, 429]);
    assert_eq!(gate.statuses(3, 3), [200, 200, 429]);
    let listed = blocked(&gate);
    let clients: Vec<_> = listed.as_array().expect("a list").iter().map(|b| &b["client"]).collect();
    assert_eq!(clients, ["ip:127.0.0.2", "ip:127.0.0.3"]);

    let unblock = |client: &str| {
        gate.admin.send(&Request::new("DELETE", &format!("/limits/custom/blocked/{client}"))).status
    };
    assert_eq!(unblock("ip:127.0.0.2"), 200);
    assert_eq!(unblock("ip:127.0.0.9"), 404, "nothing is known of it");
    assert_eq!(gate.statuses(2, 1), [200]);
    assert_eq!(gate.statuses(3, 1), [429], "nobody else is let in");
    let audited = gate.shim.audited();
    assert_eq!(
        (&audited["action"], &audited["before"]),
        (&json!("unblock"), &json!("ip:127.0.0.2"))
    );

    let run = |arguments: &[&str]| shim::operate(&gate.file, gate.admin, arguments);
    let list = run(&["limits", "blocked", "custom"]).stdout;
    assert!(list.starts_with("ip:127.0.0.3  until 2") && list.lines().count() == 1, "{list}");
    let freed = run(&["limits", "unblock", "custom", "ip:127.0.0.3"]).stdout;
    assert_eq!(freed, "`ip:127.0.0.3` has its whole quota under `custom`.\n");
    assert_eq!(run(&["limits", "blocked", "custom"]).stdout, "Nobody is blocked under `custom`.\n");
    let unknown = run(&["limits", "unblock", "custom", "127.0.0.3"]).stderr;
    assert!(unknown.contains("= hint: write it as the list"), "{unknown}");
    assert_eq!(gate.statuses(3, 1), [200]);
}

#[test]
fn r9_what_a_limit_has_said_is_counted_over_reloads() {
    let gate = Gate::open("");
    let run = |arguments: &[&str]| shim::operate(&gate.file, gate.admin, arguments).stdout;
    assert_eq!(gate.statuses(2, 5), [200, 200, 429, 429, 429]);
    assert!(run(&["limits"]).ends_with("2 allowed, 3 refused; 1 client in memory\n"));
    gate.file
        .rewrite(&gate.file.text().replace("[limits.custom]", "[limits.custom]\ndry_run = true"));
    gate.post("/reload");
    assert_eq!(gate.statuses(2, 2), [200, 200]);
    let counted = gate.admin.get("/limits/custom").json()["limit"]["counted"].clone();
    let of = |name: &str| counted[name].as_u64();
    assert_eq!((of("allowed"), of("refused"), of("would_refuse")), (Some(2), Some(3), Some(2)));
    let listed = run(&["limits"]);
    assert!(listed.contains("2 per 1h, block 1h, rehearsed only\n"), "{listed}");
    assert!(listed.contains("3 refused, 2 would be refused but for `dry_run`; "), "{listed}");
}

#[test]
fn r9_overrides_outlive_a_reload_unless_they_fit_no_more() {
    let gate = Gate::open("");
    gate.put("/limits/custom", r#"{"limit": "3 per 1h"}"#);
    gate.file.rewrite(&gate.file.text().replace("2 per 1h", "1 per 1h"));
    let reloaded = gate.post("/reload").json();
    assert_ne!(reloaded["before"], reloaded["after"]);
    let limit = gate.admin.get("/limits/custom").json();
    assert_eq!(limit["limit"]["limit"], "3 per 1h");
    assert_eq!(limit["limit"]["policy"]["limit"], "1 per 1h");

    gate.file.rewrite(&gate.file.text().replace("custom", "other"));
    let notes = gate.post("/reload").json()["notes"].to_string();
    assert!(notes.contains("dropped an override: limits.custom: no limit is named"), "{notes}");
    assert_eq!(gate.admin.get("/status").json()["overrides"], json!({}));
}

#[test]
fn r9_an_override_ends_at_its_time() {
    let mut gate = Gate::open("");
    gate.put("/limits/custom", r#"{"limit": "1 per 1h", "for": "500ms"}"#);
    assert!(gate.shim.audited()["after"]["until"].is_string());
    let ended = gate.shim.audited();
    assert_eq!((&ended["who"], &ended["after"]), (&json!("clock"), &json!({})));
    assert_eq!(gate.statuses(2, 3), [200, 200, 429]);
}

#[test]
fn overrides_outlive_a_restart_where_the_policy_names_a_file_for_them() {
    let mut gate = Gate::open("state = \"overrides.json\"");
    let said = gate.put("/limits/custom", r#"{"limit": "3 per 1h"}"#).json();
    assert_eq!(said["kept"], "A restart keeps this.");
    gate.restart();
    assert_eq!(gate.statuses(2, 4), [200, 200, 200, 429]);

    let state = gate.file.path().with_file_name("overrides.json");
    std::fs::write(&state, r#"{"limits": {"custom": {"limit": "3/1h"}}}"#).unwrap();
    let refused = shim::refused_serve(&gate.file).stderr;
    assert!(
        refused.contains("overrides.json: limits.custom.limit: `3/1h` is no limit"),
        "{refused}"
    );
    assert!(refused.contains("= hint: this is what `[admin] state` names"), "{refused}");

    std::fs::remove_file(&state).unwrap();
    gate.restart();
    assert_eq!(gate.statuses(2, 3), [200, 200, 429]);
}

#[test]
fn a_bad_policy_is_answered_with_all_that_is_wrong_and_the_one_in_force_stays() {
    let gate = Gate::open("");
    let hash = |gate: &Gate| gate.admin.get("/status").json()["policy"]["hash"].clone();
    let before = hash(&gate);
    gate.file.rewrite(&(gate.file.text() + "[limits.x]\nlimit = 5\n[limits.y]\nlimt = \"\"\n"));
    let refused = gate.post("/reload");
    assert_eq!(refused.status, 422);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    let errors = refused.json()["errors"].clone();
    let errors = errors.as_array().expect("a list");
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors.iter().all(|error| error["line"].is_u64() && error["hint"].is_string()));
    assert_eq!(hash(&gate), before);
    assert_eq!(gate.statuses(2, 1), [200]);
}

#[test]
fn what_is_asked_wrongly_is_answered_with_a_remedy() {
    let gate = Gate::open("");
    let answer = |method: &str, target: &str, body: &str| {
        let request = Request::new(method, target).header("Content-Type", "application/json");
        let answer = gate.admin.send(&request.body(body));
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        (answer.status, answer.json()["detail"].to_string(), answer.json()["hint"].to_string())
    };
    let (status, detail, hint) = answer("PUT", "/limits/custom", r#"{"limit": "3/1h", "x": 1}"#);
    assert_eq!(status, 422);
    assert!(detail.contains("`3/1h` is no limit") && detail.contains("no field `x`"), "{detail}");
    assert!(hint.contains("`100 per 60s`"), "{hint}");
    let (status, detail, _) = answer("PUT", "/limits/custom", r#"{"burst": 3}"#);
    assert_eq!(status, 422, "{detail}");
    let (status, _, hint) = answer("PUT", "/limits/costum", r#"{"limit": "3 per 1h"}"#);
    assert_eq!((status, hint.contains("custom")), (404, true));
    for body in
        ["{", "[]", "{}", r#"{"limit":"1 per 1s","for":"1h","until":"2099-01-01T00:00:00Z"}"#]
    {
        assert_eq!(answer("PUT", "/limits/custom", body).0, 422, "{body}");
    }
    let past = r#"{"until": "2020-01-01T00:00:00Z"}"#;
    assert!(answer("PUT", "/maintenance", past).1.contains("is past"));
    assert_eq!(answer("PUT", "/maintenance", &" ".repeat(70_000)).0, 413);
    assert_eq!(answer("GET", "/nowhere", "").0, 404);
    assert_eq!(answer("DELETE", "/status", "").0, 405);
    let put = Request::new("PUT", "/reload").header("Content-Type", "application/json");
    assert_eq!(gate.admin.send(&put).header("allow"), Some("POST"));
}

#[test]
fn a_page_of_another_site_reaches_nothing() {
    let gate = Gate::open("");
    let rebound = gate.admin.send(&Request::get("/status").header("Host", "evil.example:9180"));
    assert_eq!(rebound.status, 421);
    assert_eq!(gate.admin.send(&Request::new("POST", "/reload")).status, 415);
    let json = Request::new("POST", "/reload").header("Content-Type", "application/json");
    assert_eq!(gate.admin.send(&json.header("Origin", "http://evil.example")).status, 403);
}

#[test]
fn a_token_is_asked_for_where_the_policy_names_one() {
    const TOKEN: &str = "correct horse battery staple";
    let gate = Gate::open_with("token = \"${OPS_TOKEN}\"", &[("OPS_TOKEN", TOKEN)]);
    let status = |value: Option<&str>| {
        let request = Request::get("/status");
        gate.admin.send(&match value {
            Some(value) => request.header("Authorization", value),
            None => request,
        })
    };
    assert_eq!(status(Some(&format!("Bearer {TOKEN}"))).status, 200);
    assert_eq!(status(None).status, 401);
    assert_eq!(status(None).header("www-authenticate"), Some("Bearer"));
    assert_eq!(status(Some("Bearer correct horse battery stapl")).status, 401);

    let by_command = |token: Option<&str>| {
        let environment = token.map(|token| ("OPS_TOKEN", token));
        shim::operate_with(&gate.file, gate.admin, &["status"], environment.as_slice())
    };
    assert!(by_command(Some(TOKEN)).status.success());
    let refused = by_command(None);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stderr.contains("wants its token"), "{}", refused.stderr);
    for said in [refused.stdout, refused.stderr] {
        assert!(!said.contains(TOKEN));
    }

    let unset = shim::refused_serve(&gate.file).stderr;
    assert!(unset.contains("the admin token `OPS_TOKEN` is not set\n= hint: "), "{unset}");
    let short = shim::refused_serve_with(&gate.file, &[("OPS_TOKEN", "hunter2")]).stderr;
    assert!(short.contains("shorter than 16 bytes") && !short.contains("hunter2"), "{short}");
}

#[test]
fn p10_the_dashboard_is_loaded_without_the_token_and_says_nothing_by_itself() {
    const TOKEN: &str = "correct horse battery staple";
    let gate = Gate::open_with("token = \"${OPS_TOKEN}\"", &[("OPS_TOKEN", TOKEN)]);
    let get = |path: &str, (name, value): (&str, &str)| {
        gate.admin.send(&Request::get(path).header(name, value))
    };
    let any = ("Accept", "*/*");
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/dashboard/main.js", "text/javascript; charset=utf-8"),
        ("/dashboard/style.css", "text/css; charset=utf-8"),
    ] {
        let page = get(path, any);
        assert_eq!((page.status, page.header("content-type")), (200, Some(content_type)));
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        let policy = page.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(get(path, ("Host", "evil.example:9180")).status, 421, "{path}");
        assert_eq!(get(path, ("Sec-Fetch-Site", "cross-site")).status, 403, "{path}");
    }
    assert_eq!(get("/dashboard/nothing.js", any).status, 401);
    for path in ["/policy", "/stats", "/events"] {
        assert_eq!(get(path, any).status, 401, "{path}");
    }
}

#[test]
fn r9_the_text_of_the_policy_in_force_is_told_and_not_that_of_a_file_that_is_refused() {
    let gate = Gate::open("");
    let told = || gate.admin.get("/policy").json();
    let before = gate.file.text();
    assert_eq!(told()["text"], before);
    assert_eq!(told()["hash"], gate.admin.get("/status").json()["policy"]["hash"]);
    gate.file.rewrite("schema = 1\nnonsense = 1\n");
    assert_eq!(gate.post("/reload").status, 422);
    assert_eq!(told()["text"], before);
    let after = before.replace("2 per 1h", "3 per 1h");
    gate.file.rewrite(&after);
    assert_eq!(gate.post("/reload").status, 200);
    assert_eq!(told()["text"], after);
}

#[test]
fn an_admin_listener_for_everybody_without_a_token_is_an_error_with_its_place() {
    let policy = PolicyFile::with_text("schema = 1\n[admin]\nlisten = \"0.0.0.0:0\"\n");
    for refused in [shim::check(&policy), shim::refused_serve(&policy)] {
        assert_eq!(refused.status.code(), Some(1));
        assert!(refused.stderr.contains("tidegate.toml:3:10: "), "{}", refused.stderr);
        assert!(refused.stderr.contains("= hint: listen on 127.0.0.1"), "{}", refused.stderr);
    }
}

#[test]
fn commands_operate_a_running_shim_in_words() {
    let gate = Gate::open("");
    let run = |arguments: &[&str]| shim::operate(&gate.file, gate.admin, arguments);
    let says = |arguments: &[&str]| {
        let Ended { status, stdout, stderr } = run(arguments);
        assert!(status.success(), "{arguments:?}: {stderr}");
        stdout
    };
    assert!(says(&["status"]).contains("maintenance  off"));
    assert!(says(&["limits"]).contains("custom            2 per 1h, block 1h\n"));
    let set = says(&["limits", "set", "custom", "5 per 1h", "--for", "2h"]);
    assert!(
        set.contains("5 per 1h, block 1h  (the policy says 2 per 1h, block 1h), until 2"),
        "{set}"
    );
    assert!(set.contains("A restart forgets this: name a file in `[admin] state`"), "{set}");
    assert!(says(&["limits", "list"]).contains("5 per 1h"));
    assert!(says(&["status"]).contains("override     limit custom: "));
    assert_eq!(says(&["limits", "reset", "custom"]), "custom            2 per 1h, block 1h\n");

    assert_eq!(says(&["maintenance"]), "Maintenance is off.\n");
    let on = says(&["maintenance", "on", "--retry-after", "10m", "--message", "Soon."]);
    assert!(
        on.starts_with("Maintenance is on; clients are told to wait 10m; they are told \"Soon.\"")
    );
    assert_eq!(gate.shim.client().get("/api/v1/time").status, 503);
    assert_eq!(says(&["maintenance", "off"]), "Maintenance is off.\n");
    assert_eq!(gate.shim.client().get("/api/v1/time").status, 200);

    let json: Value = serde_json::from_str(&says(&["limits", "--json"])).expect("JSON");
    assert_eq!(json["limits"][0]["name"], "custom");
    assert!(says(&["reload"]).starts_with("The policy is the same ("));
    gate.file.rewrite(&gate.file.text().replace("2 per 1h", "3 per 1h"));
    assert!(says(&["reload"]).contains(" is in force in place of "));

    let refused = run(&["limits", "set", "costum", "5 per 1h"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(refused.stderr, "No limit is named `costum`.\n= hint: known are custom\n");
    gate.file.rewrite("schema = 1\nnonsense = 1\n");
    let refused = run(&["reload"]).stderr;
    assert!(
        refused.contains("tidegate.toml:2:1: ") && refused.contains("The policy in force stays")
    );
}

#[test]
fn commands_say_where_nobody_answers_and_what_to_do() {
    let policy = PolicyFile::with_text("schema = 1\n");
    let unsaid = shim::operate_by_policy(&policy, &["status"]).stderr;
    assert!(unsaid.contains("has no `[admin]` section") && unsaid.contains("= hint: "), "{unsaid}");

    let gate = Gate::open("");
    let (file, admin, client) =
        (PolicyFile::with_text("schema = 1\n"), gate.admin, gate.shim.client());
    let unlike = shim::operate(&file, client, &["status"]).stderr;
    assert!(unlike.contains("is no admin listener") && unlike.contains("= hint: "), "{unlike}");
    gate.shim.stop();
    let nobody = shim::operate(&file, admin, &["maintenance", "on"]).stderr;
    assert!(nobody.contains("nobody answers at http://127.0.0.1:"), "{nobody}");
    assert!(nobody.contains("= hint: is `tidegate serve` running"), "{nobody}");
}

/// A shim with a limit of two requests on one path, its admin listener, and its origin.
struct Gate {
    shim: Shim,
    admin: Client,
    file: PolicyFile,
    origin: DemoOrigin,
}

impl Gate {
    /// With these lines in `[admin]`.
    fn open(admin: &str) -> Self {
        Self::open_with(admin, &[])
    }

    fn open_with(admin: &str, environment: &[(&str, &str)]) -> Self {
        let text = format!(
            "schema = 1\n[admin]\nlisten = \"127.0.0.1:0\"\n{admin}\n\
             [upstreams.base]\nservers = \"${{BASE_SVC:-127.0.0.1:1}}\"\n\
             [limits.custom]\nlimit = \"2 per 1h\"\nblock = \"1h\"\n\
             [[routes]]\nname = \"custom\"\nmatch = \"/api/v1/custom\"\nupstream = \"base\"\n\
             limit = \"custom\"\n\
             [[routes]]\nname = \"rest\"\nmatch = \"/*\"\nupstream = \"base\"\n"
        );
        let (file, origin) = (PolicyFile::with_text(&text), DemoOrigin::start());
        let mut shim = Shim::serve_with(&file, &origin, environment);
        Self { admin: shim.admin(), shim, file, origin }
    }

    fn restart(&mut self) {
        let next = Shim::serve(&self.file, &self.origin);
        std::mem::replace(&mut self.shim, next).stop();
        self.admin = self.shim.admin();
    }

    /// The answers to so many requests of one client.
    fn statuses(&self, client: u8, requests: usize) -> Vec<u16> {
        let client = self.shim.client().at_loopback(client);
        (0..requests).map(|_| client.get("/api/v1/custom").status).collect()
    }

    #[track_caller]
    fn put(&self, target: &str, body: &str) -> Response {
        let request = Request::new("PUT", target).header("Content-Type", "application/json");
        let answer = self.admin.send(&request.body(body));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    fn post(&self, target: &str) -> Response {
        self.admin.send(&Request::new("POST", target).header("Content-Type", "application/json"))
    }
}
