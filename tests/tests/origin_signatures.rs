//! Requests that the edge signs (RFC 9421): who else gets an answer from the shim, and whose word
//! on the client it takes.

use tidegate_tests::{
    demo_origin::DemoOrigin,
    edge_signature::EdgeSigner,
    policy_file::PolicyFile,
    shim::{Shim, refused_serve_with},
    wire::{Client, Request, Response},
};

#[test]
fn who_goes_around_the_edge_is_refused_and_told_no_more_than_that() {
    let gate = Gate::requiring();
    let refused = gate.client().get(ECHO);
    assert_eq!(refused.status, 403);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(refused.json()["detail"], "This server answers its edge alone.");
    let status = refused.header("cache-status").expect("Cache-Status");
    assert!(status.ends_with("detail=signature-missing"), "{status}");
    // P4: the policy's fields stand on it, too.
    assert_eq!(refused.header("x-frame-options"), Some("SAMEORIGIN"));

    let guesses = [
        EdgeSigner::new("new", "0123456789abcdef0123456789abcdeX"),
        EdgeSigner::new("gone", NEW),
        EdgeSigner::new("old", NEW),
    ];
    let told: Vec<String> = guesses
        .iter()
        .map(|guess| {
            let refused = gate.client().send(&guess.get(ECHO));
            assert_eq!(refused.status, 403);
            refused.json().to_string()
        })
        .collect();
    assert!(told.iter().all(|one| *one == told[0] && !one.contains("key")), "{told:?}");
    assert_eq!(gate.origin.base().total(), 0);
    assert_eq!(gate.client().send(&edge().get(ECHO)).status, 200);
}

#[test]
fn paths_of_health_checks_need_no_signature() {
    let gate = Gate::requiring();
    assert_eq!(gate.client().get("/healthz").status, 200);
    for path in ["/health", "/api/health", "/ready"] {
        assert_ne!(gate.client().get(path).status, 403, "{path}");
    }
    for path in ["/ready/", "/api/health/x", "//ready"] {
        assert_eq!(gate.client().get(path).status, 403, "{path}");
    }
}

#[test]
fn the_shim_believes_what_is_signed_and_nothing_else() {
    let gate = Gate::requiring();
    let request = edge()
        .get(ECHO)
        .header("X-Forwarded-For", "1.1.1.1")
        .header("X-Real-IP", "1.1.1.1")
        .header("X-Forwarded-Proto", "http")
        .header("X-Forwarded-Host", "evil.example");
    let seen = gate.client().send(&request);
    assert_eq!(values(&seen, "x-real-ip"), ["203.0.113.7"]);
    assert_eq!(values(&seen, "x-forwarded-for"), ["203.0.113.7"]);
    assert_eq!(values(&seen, "x-forwarded-proto"), ["https"]);
    assert_eq!(values(&seen, "host"), ["shop.example"]);
    for name in ["x-forwarded-host", "tidegate-client", "signature-input", "signature"] {
        assert!(values(&seen, name).is_empty(), "{name}: {seen:?}");
    }
}

#[test]
fn host_and_scheme_that_are_signed_are_in_the_key() {
    let gate = Gate::requiring();
    let answer = gate.client().send(&edge().get("/api/v1/plugins"));
    let status = answer.header("cache-status").expect("Cache-Status");
    assert!(status.contains("fwd=uri-miss"), "{status}");
    let again = gate.client().send(&edge().get("/api/v1/plugins").header("Host", "other.example"));
    let status = again.header("cache-status").expect("Cache-Status");
    assert!(
        status.contains("; hit"),
        "the host of the request is not that of the client: {status}"
    );
}

#[test]
fn r1_each_client_behind_the_edge_has_a_quota_of_its_own() {
    let gate = Gate::requiring();
    let ask = |ip: &str| gate.client().send(&edge().of_client(ip).get(ECHO));
    let left = |answer: &Response| {
        let told = answer.header("ratelimit").expect("RateLimit").to_owned();
        told.split(";r=").nth(1).and_then(|rest| rest.split(';').next()).map(str::to_owned)
    };
    let (first, second, other) = (ask("203.0.113.7"), ask("203.0.113.7"), ask("2001:db8::1"));
    assert_eq!(left(&first), left(&other));
    assert_ne!(left(&first), left(&second));
}

#[test]
fn a_signature_counts_once() {
    let mut gate = Gate::requiring();
    let request = edge().get(ECHO);
    assert_eq!(gate.client().send(&request).status, 200);
    for client in [gate.client(), gate.client().at_loopback(2)] {
        let replayed = client.send(&request);
        assert_eq!(replayed.status, 403);
        assert_eq!(replayed.json()["detail"], "The signature of the edge was used before.");
    }
    assert_eq!(gate.origin.base().total(), 1);
    // A policy that is read again forgets nothing.
    gate.policy.rewrite(&gate.policy.text().replace("skew = \"5s\"", "skew = \"6s\""));
    let said = gate.shim.reload();
    assert!(said["refused"].is_null() && said["before"] != said["after"], "{said}");
    assert_eq!(gate.client().send(&request).status, 403);
}

#[test]
fn a_signature_is_of_its_time_and_of_its_request() {
    let gate = Gate::requiring();
    let untimely = "The signature of the edge is not of this time.";
    for (ahead, detail) in
        [(-80, Some(untimely)), (-58, None), (0, None), (3, None), (30, Some(untimely))]
    {
        let answer = gate.client().send(&edge().ahead_by(ahead).get(ECHO));
        let said = answer.json()["detail"].as_str().map(str::to_owned);
        assert_eq!(said.as_deref(), detail, "{ahead} s");
    }
    for (method, target) in [("POST", ECHO), ("GET", "/api/v1/echo?a=1"), ("GET", "/api/v1/ech")] {
        let request = edge().sign(Request::get(ECHO), method, target);
        assert_eq!(gate.client().send(&request).status, 403, "{method} {target}");
    }
    let body =
        edge().sign(Request::new("PUT", "/api/v1/echo?b=%20&c"), "PUT", "/api/v1/echo?b=%20&c");
    let seen = gate.client().send(&body.body("hello")).json();
    assert_eq!((&seen["query"], &seen["body_bytes"]), (&"b=%20&c".into(), &5.into()));
}

#[test]
fn keys_change_without_a_request_being_refused() {
    let mut gate = Gate::requiring();
    let (old, new) = (EdgeSigner::new("old", OLD), EdgeSigner::new("new", NEW));
    let status = |gate: &Gate, signer: &EdgeSigner| gate.client().send(&signer.get(ECHO)).status;
    assert_eq!((status(&gate, &old), status(&gate, &new)), (200, 200));
    let without = gate.policy.text().replace(r#", { id = "old", secret = "${OLD_KEY}" }"#, "");
    gate.policy.rewrite(&without);
    let _ = gate.shim.reload();
    assert_eq!((status(&gate, &old), status(&gate, &new)), (403, 200));
    loop {
        let line = gate.shim.next_error_line();
        if let Some(refused) = line.strip_prefix("tidegate: requests were refused") {
            assert!(refused.ends_with("not signed: signature-unknown-key 1"), "{line}");
            break;
        }
    }
}

#[test]
fn where_no_signature_is_required_a_bad_one_makes_an_ordinary_visitor() {
    let gate = Gate::open(&PolicyFile::of_the_repository().text(), SIGNED);
    let forged = EdgeSigner::new("new", "0123456789abcdef0123456789abcdeX");
    for request in [Request::get(ECHO), forged.get(ECHO), edge().ahead_by(300).get(ECHO)] {
        let seen = gate.client().at_loopback(2).send(&request.header("Host", "a.example"));
        assert_eq!(seen.status, 200);
        assert_eq!(values(&seen, "x-real-ip"), ["127.0.0.2"]);
        assert_eq!(values(&seen, "host"), ["a.example"]);
        assert_eq!(values(&seen, "x-forwarded-proto"), ["http"]);
        assert!(values(&seen, "tidegate-client").is_empty());
    }
    let signed = gate.client().at_loopback(2).send(&edge().get(ECHO));
    assert_eq!(values(&signed, "x-real-ip"), ["203.0.113.7"]);
    let replayed = edge().get(ECHO);
    let _ = gate.client().send(&replayed);
    let seen = gate.client().at_loopback(2).send(&replayed);
    assert_eq!(values(&seen, "x-real-ip"), ["127.0.0.2"], "what was used before says nothing");
}

#[test]
fn signatures_of_others_travel_to_who_they_are_for() {
    let gate = Gate::open(&PolicyFile::of_the_repository().text(), SIGNED);
    let theirs = "sig1=(\"@authority\");created=1795000000;keyid=\"bot\";tag=\"web-bot-auth\"";
    let request =
        Request::get(ECHO).header("Signature-Input", theirs).header("Signature", "sig1=:YQ==:");
    let seen = gate.client().send(&request);
    assert_eq!(values(&seen, "signature-input"), [theirs]);
    assert_eq!(values(&seen, "signature"), ["sig1=:YQ==:"]);
}

#[test]
fn a_missing_secret_is_said_at_the_start_and_no_secret_ever() {
    let text = PolicyFile::of_the_repository().text();
    let policy = PolicyFile::with_text(&[&*text, SIGNED].concat());
    let origin = [("BASE_SVC", "127.0.0.1:9"), ("PLUGIN_SERVER", "127.0.0.1:9")];
    let refused = refused_serve_with(&policy, &origin);
    assert!(!refused.status.success());
    assert!(
        refused.stderr.contains("the secret `NEW_KEY` is not set\n= hint: put 32 bytes"),
        "{refused:?}"
    );
    let short = [("NEW_KEY", "hunter2"), ("OLD_KEY", OLD)];
    let refused = refused_serve_with(&policy, &[&short[..], &origin[..]].concat());
    assert!(refused.stderr.contains("`NEW_KEY` is shorter than 32 bytes"), "{refused:?}");
    assert!(!refused.stderr.contains("hunter2") && !refused.stderr.contains(OLD), "{refused:?}");
}

const ECHO: &str = "/api/v1/echo";
const NEW: &str = "0123456789abcdef0123456789abcdef";
const OLD: &str = "fedcba9876543210fedcba9876543210";

/// What the policy of the repository has besides.
const SIGNED: &str = r#"
[edge.signature]
keys = [{ id = "new", secret = "${NEW_KEY}" }, { id = "old", secret = "${OLD_KEY}" }]
skew = "5s"
"#;

fn edge() -> EdgeSigner {
    EdgeSigner::new("new", NEW)
}

struct Gate {
    policy: PolicyFile,
    origin: DemoOrigin,
    shim: Shim,
}

impl Gate {
    /// A shim that answers the edge alone.
    fn requiring() -> Self {
        let text = PolicyFile::of_the_repository().text();
        assert_eq!(text.matches("\n[shim]\n").count(), 1);
        Self::open(&text.replace("\n[shim]\n", "\n[shim]\nrequire_edge_signature = true\n"), SIGNED)
    }

    fn open(text: &str, more: &str) -> Self {
        let (policy, origin) = (PolicyFile::with_text(&[text, more].concat()), DemoOrigin::start());
        let shim = Shim::serve_with(&policy, &origin, &[("NEW_KEY", NEW), ("OLD_KEY", OLD)]);
        Self { policy, origin, shim }
    }

    fn client(&self) -> Client {
        self.shim.client()
    }
}

/// What the origin got in this field.
fn values(seen: &Response, name: &str) -> Vec<String> {
    let json = seen.json();
    let lines = json["headers"].as_array().expect("the echoed fields");
    let named = lines.iter().filter(|line| line[0] == name);
    named.map(|line| line[1].as_str().unwrap_or_default().to_owned()).collect()
}
