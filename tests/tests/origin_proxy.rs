//! The shim as a proxy: what it passes on, and to whom.

use serde_json::Value;
use tidegate_tests::{
    demo_origin::DemoOrigin,
    policy_file::PolicyFile,
    shim::Shim,
    wire::{Client, Request, Response},
};

#[test]
fn p2_the_origin_learns_who_asked_and_for_which_host() {
    let gate = Gate::open();
    let request = Request::get("/api/v1/echo").header("Host", "www.example.com");
    let seen = gate.client().at_loopback(2).send(&request);
    assert_eq!(values(&seen, "x-real-ip"), ["127.0.0.2"]);
    assert_eq!(values(&seen, "x-forwarded-for"), ["127.0.0.2"]);
    assert_eq!(values(&seen, "host"), ["www.example.com"]);
}

#[test]
fn p2_a_client_cannot_speak_for_another() {
    let gate = Gate::open();
    let request = Request::get("/api/v1/echo")
        .header("X-Real-IP", "203.0.113.9")
        .header("X-Forwarded-For", "203.0.113.9");
    let seen = gate.client().at_loopback(2).send(&request);
    assert_eq!(values(&seen, "x-real-ip"), ["127.0.0.2"]);
    assert_eq!(values(&seen, "x-forwarded-for").concat().matches("203.0.113.9").count(), 0);
}

#[test]
fn p2_a_trusted_proxy_may_speak_for_its_client() {
    let gate = Gate::open();
    let request = Request::get("/api/v1/echo").header("X-Forwarded-For", "203.0.113.9");
    let seen = gate.client().send(&request);
    assert_eq!(values(&seen, "x-real-ip"), ["203.0.113.9"]);
}

#[test]
fn p2_hop_by_hop_fields_end_at_the_shim() {
    let gate = Gate::open();
    let request = Request::get("/api/v1/echo")
        .header("Connection", "X-Hop, close")
        .header("X-Hop", "1")
        .header("TE", "trailers")
        .header("X-End", "1");
    let seen = gate.client().send(&request);
    for name in ["x-hop", "te", "keep-alive", "proxy-connection"] {
        assert!(values(&seen, name).is_empty(), "{name} in {seen:?}");
    }
    assert_eq!(values(&seen, "x-end"), ["1"]);
}

#[test]
fn p2_method_query_and_body_reach_the_origin() {
    let gate = Gate::open();
    let body = vec![b'x'; 3 * 1024 * 1024];
    let request = Request::new("PUT", "/api/v1/echo/deep?a=1&b=%20").body(body);
    let seen = gate.client().send(&request).json();
    assert_eq!(seen["method"], "PUT");
    assert_eq!(seen["path"], "/api/v1/echo/deep");
    assert_eq!(seen["query"], "a=1&b=%20");
    assert_eq!(seen["body_bytes"], 3 * 1024 * 1024);
}

/// A field that were ignored for its size could be one that decides (RFC 9110 §5.4).
#[test]
fn an_oversized_head_is_refused_before_anything_is_decided() {
    let gate = Gate::open();
    let much = Request::get("/api/v1/echo").header("X-Much", &"x".repeat(1 << 20));
    assert_eq!(gate.client().send(&much).status, 431);
    let many = (0..120)
        .fold(Request::get("/api/v1/echo"), |request, n| request.header(&format!("X-{n}"), "1"));
    assert_eq!(gate.client().send(&many).status, 431);
    assert_eq!(gate.origin.base().total(), 0);
}

#[test]
fn p2_one_connection_carries_many_requests() {
    let gate = Gate::open();
    let mut connection = gate.client().connect().unwrap();
    for (number, path) in (1..).zip(["/api/v1/custom", "/api/v1/custom", "/api/v1/custom"]) {
        let answer = connection.exchange(&Request::get(path)).unwrap();
        assert_eq!(answer.json()["served"], number);
    }
}

/// The second event comes ten seconds after the first; whoever waits for it
/// before passing on the first is found out by having both.
#[test]
fn p5_fifty_event_streams_pass_at_once_and_unbuffered() {
    let gate = Gate::open();
    let request = Request::get("/api/v1/events?count=2&every_ms=10000");
    let mut streams: Vec<_> = (0..50).map(|_| gate.client().connect().unwrap()).collect();
    for stream in &mut streams {
        stream.ask(&request).unwrap();
    }
    for stream in &mut streams {
        let seen = stream.read_until("id: 1").unwrap();
        assert!(seen.contains("text/event-stream"), "{seen}");
        assert!(!seen.contains("id: 2"), "{seen}");
    }
}

#[test]
fn p5_an_event_stream_is_whole() {
    let gate = Gate::open();
    let answer = gate.client().get("/api/v1/events?count=3&every_ms=1");
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(String::from_utf8_lossy(&answer.body).matches("event: tick").count(), 3);
}

#[test]
fn an_answer_that_needs_the_origin_is_502_when_there_is_none() {
    let gate = Gate::open();
    assert_eq!(gate.client().get("/api/v1/marketplace").status, 200);
    let Gate { shim, origin } = gate;
    drop(origin);
    let gone = shim.client().get("/api/v1/custom");
    assert_eq!(gone.status, 502);
    assert_eq!(gone.header("content-type"), Some("application/problem+json"));
    assert_eq!(shim.client().get("/api/v1/marketplace").status, 200, "what is stored stays");
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

    fn client(&self) -> Client {
        self.shim.client()
    }
}

/// The values that `/api/v1/echo` saw under a name.
#[track_caller]
fn values(echo: &Response, name: &str) -> Vec<String> {
    let seen = echo.json();
    let lines = seen["headers"].as_array().unwrap_or_else(|| panic!("no echo: {echo:?}"));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    lines.iter().filter(|line| line[0] == name).filter_map(|line| text(&line[1])).collect()
}
