//! A policy whose outcomes can be counted by hand, and what is found with it.

use std::path::Path;

use tidegate_core::{Policy, document};
use tidegate_replay::log::{self, Unreadable};
use tidegate_replay::{Engine, Report, Setup};

/// Pages for a minute at the origin, assets for an hour at the edge, three calls of the API a minute.
pub(crate) const POLICY: &str = r#"
    schema = 1
    upstreams.app.servers = ["127.0.0.1:4000"]
    limits.calls = { limit = "3 per 60s", key = "client-ip" }

    [[routes]]
    name = "pages"
    match = "/page"
    upstream = "app"
    origin = { mode = "default", ttl = "60s" }

    [[routes]]
    name = "assets"
    match = "/a/*"
    upstream = "app"
    edge = { mode = "override", ttl = "1h" }

    [[routes]]
    name = "api"
    match = "/api/*"
    upstream = "app"
    limit = "calls"
"#;

/// A policy from its text.
pub(crate) fn policy(text: &str) -> Policy {
    document::read(text, &|_| None).expect("a policy")
}

/// An engine that was shown these logs, one after the other.
pub(crate) fn replay_with(text: &str, setup: Setup, logs: &[&[u8]]) -> (Engine, Unreadable) {
    let mut engine = Engine::new(policy(text), setup);
    let mut unreadable = Unreadable::default();
    for text in logs {
        log::read(*text, "log", None, &mut unreadable, |asked| {
            engine.ask(asked);
        })
        .expect("a log");
    }
    (engine, unreadable)
}

/// The report of a log among the samples.
pub(crate) fn report(file: &str) -> Report {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logs").join(file);
    let source = log::open(&path).expect("a sample");
    let mut engine = Engine::new(policy(POLICY), Setup::default());
    let mut unreadable = Unreadable::default();
    log::read(source.text, file, None, &mut unreadable, |asked| {
        engine.ask(asked);
    })
    .expect("a log");
    Report::new(Some(&unreadable), ("policy.toml", &engine), None)
}
