//! Whose pages may read what the shim answers (P4).

use tidegate_tests::{
    demo_origin::DemoOrigin,
    metrics::Metrics,
    policy_file::PolicyFile,
    shim::{Shim, check},
    wire::{Request, Response},
};

const APP: &str = "https://app.example.com";
const CORS: &str = r#"
[cors]
origins = ["https://app.example.com", "https://*.example.org"]
methods = ["PUT", "DELETE"]
headers = ["authorization"]
expose = ["x-cache"]
credentials = true
max_age = "10m"
"#;

fn open() -> (Shim, DemoOrigin) {
    let cors = format!("{CORS}\n[shim]\n");
    let policy = PolicyFile::of_the_repository().replacing("[shim]\n", &cors);
    let origin = DemoOrigin::start();
    (Shim::serve(&policy, &origin), origin)
}

fn from(request: Request, origin: &str) -> Request {
    request.header("Origin", origin)
}

fn allowed(answer: &Response) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

#[test]
fn p4_a_stored_answer_names_each_site_that_asks_and_no_other() {
    let (shim, origin) = open();
    for (site, is_allowed) in [
        (APP, true),
        ("https://a.example.org", true),
        ("https://evil.example", false),
        ("null", false),
    ] {
        let answer = shim.client().send(&from(Request::get("/api/v1/plugins"), site));
        assert_eq!((answer.status, allowed(&answer)), (200, is_allowed.then_some(site)));
        assert!(answer.header("vary").is_some_and(|vary| vary.contains("origin")), "{answer:?}");
        let exposed = answer.header("access-control-expose-headers");
        assert_eq!(exposed, is_allowed.then_some("x-cache"));
    }
    assert_eq!(origin.base().total(), 1, "the site is no part of the key");
}

#[test]
fn p4_what_a_browser_asks_beforehand_is_answered_here() {
    let (shim, origin) = open();
    let ask = |site| {
        let asked = Request::new("OPTIONS", "/api/v1/plugins");
        let asked = from(asked, site).header("Access-Control-Request-Method", "DELETE");
        shim.client().send(&asked)
    };
    let answer = ask(APP);
    assert_eq!((answer.status, allowed(&answer)), (204, Some(APP)));
    for (name, value) in [
        ("access-control-allow-methods", "PUT, DELETE"),
        ("access-control-allow-headers", "authorization"),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
    let refused = ask("https://evil.example");
    assert_eq!((refused.status, allowed(&refused)), (204, None));
    assert_eq!(refused.header("access-control-allow-methods"), None);
    assert_eq!(origin.base().total(), 0);
}

#[test]
fn p10_what_a_browser_asks_beforehand_is_counted_apart() {
    let sections = format!("{CORS}\n[shim]\nlog = \"all\"\n");
    let policy = PolicyFile::of_the_repository().replacing("[shim]\n", &sections);
    let origin = DemoOrigin::start();
    let mut shim = Shim::serve(&policy, &origin);
    let admin = shim.admin();
    let asked = from(Request::new("OPTIONS", "/api/v1/plugins"), APP);
    let asked = asked.header("Access-Control-Request-Method", "DELETE");
    for _ in 0..3 {
        assert_eq!(shim.client().send(&asked).status, 204);
    }
    assert_eq!(shim.client().send(&from(Request::get("/api/v1/plugins"), APP)).status, 200);
    let metrics = Metrics::of(admin);
    let preflights: Vec<&str> = metrics
        .samples("http_requests_total{")
        .filter(|sample| {
            sample.contains("method=\"OPTIONS\",status=\"204\",cache=\"PREFLIGHT\"} 3")
        })
        .collect();
    assert_eq!(preflights.len(), 1, "{}", metrics.text());
    let line = shim.process().next_line();
    assert!(line.contains("\"outcome\":\"PREFLIGHT\""), "{line}");
    let misses = admin.get("/stats").json()["misses"].clone();
    assert!(!misses.to_string().contains("PREFLIGHT"), "no cache was asked: {misses}");
}

#[test]
fn p4_errors_can_be_read_by_the_pages_that_met_them() {
    let (shim, origin) = open();
    drop(origin);
    let answer = shim.client().send(&from(Request::get("/api/v1/custom"), APP));
    assert_eq!((answer.status, allowed(&answer)), (502, Some(APP)));
}

#[test]
fn everybody_with_credentials_is_refused_with_its_place() {
    let text = PolicyFile::of_the_repository().text();
    let cors = "[cors]\norigins = [\"*\"]\ncredentials = true\n\n[shim]";
    let checked = check(&PolicyFile::with_text(&text.replacen("[shim]", cors, 1)));
    assert!(!checked.status.success());
    assert!(checked.stderr.contains("everybody's pages cannot have credentials"), "{checked:?}");
}
