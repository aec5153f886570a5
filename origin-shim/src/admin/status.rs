//! `GET /status`

use serde_json::{Map, Value, json};
use tidegate_core::time::rfc3339::Rfc3339;

use super::maintenance;
use crate::clock;
use crate::control::Control;
use crate::operating;
use crate::shadows::Shadows;

/// What runs, since when, and under which policy.
pub(super) fn show(control: &Control) -> Value {
    let (start, said, now) = (control.start(), control.said(), clock::now());
    let in_force = control.shared().in_force();
    let redis = in_force.redis.as_ref().map(|redis| operating::redis(&redis.counted()));
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
            "shadows": shadows(&in_force.shadows),
            "redis": in_force.second_tier.as_ref().map(|tier| operating::second_tier(&tier.done())),
        },
        "playground": start.playground.is_some(),
        "maintenance": maintenance::state(control),
        "overrides": said.overrides.to_value(),
        "overrides_survive_restart": control.has_state_file(),
    })
}

/// What caches would have done that only watch, by routes.
fn shadows(shadows: &Shadows) -> Value {
    let each = shadows.seen().into_iter().map(|(route, seen)| {
        let would: Map<String, Value> =
            seen.would.iter().map(|(what, count)| (what.as_str().into(), json!(count))).collect();
        let last = seen.last.map(|(key, what)| json!({ "key": key, "differs_in": what }));
        let seen = json!({
            "would": would,
            "compared": seen.compared,
            "differed": seen.differed,
            "status": seen.status,
            "body": seen.body,
            "fields": seen.fields,
            "last": last,
        });
        (route, seen)
    });
    Value::Object(each.collect())
}
