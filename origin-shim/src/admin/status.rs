//! `GET /status`

use serde_json::{Value, json};
use tidegate_core::time::rfc3339::Rfc3339;

use super::maintenance;
use crate::clock;
use crate::control::Control;
use crate::redis_link::Counted;
use crate::second_tier::Done;

/// What runs, since when, and under which policy.
pub(super) fn show(control: &Control) -> Value {
    let (start, said, now) = (control.start(), control.said(), clock::now());
    let in_force = control.shared().in_force();
    let redis = in_force.redis.as_ref().map(|redis| redis_state(&redis.counted()));
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "tier": "origin",
        "started": Rfc3339(start.at).to_string(),
        "uptime": now.since(start.at).as_secs(),
        "policy": {
            "file": start.policy.display().to_string(),
            "hash": in_force.file.hash(),
            "read": Rfc3339(said.read_at).to_string(),
        },
        "redis": redis,
        "cache": {
            "waiting": control.shared().waiting_for_others(),
            "redis": in_force.second_tier.as_ref().map(|tier| second_tier(&tier.done())),
        },
        "maintenance": maintenance::state(control),
        "overrides": said.overrides.to_value(),
        "overrides_survive_restart": control.has_state_file(),
    })
}

/// Whether the Redis of the limits does its work, and what was done so far by it and without.
fn redis_state(counted: &Counted) -> Value {
    json!({
        "asked": !counted.is_open,
        "round_trips": counted.round_trips,
        "failed": counted.failed,
        "without": counted.without,
    })
}

/// What was found in the Redis of answers, and whether it does its work.
fn second_tier(done: &Done) -> Value {
    let mut state = redis_state(&done.redis);
    for (name, value) in [
        ("hits", json!(done.hits)),
        ("misses", json!(done.misses)),
        ("void", json!(done.void)),
        ("unreadable", json!(done.unreadable)),
        ("stored", json!(done.stored)),
        ("dropped", json!(done.dropped)),
        ("invalidations_heard", json!(done.is_heard)),
    ] {
        state[name] = value;
    }
    state
}
