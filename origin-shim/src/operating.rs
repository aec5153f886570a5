//! What an operator says and is told, the same over the admin listener and of the edge.

use serde_json::{Map, Value, json};
use tidegate_core::policy::health::{Check, CheckState};
use tidegate_core::policy::overrides::{LimitOverride, Objection, rate_text};
use tidegate_core::policy::units::{self, DurationText};
use tidegate_core::rate::{Algorithm, Limit};
use tidegate_core::time::rfc3339::Rfc3339;
use tidegate_core::{Policy, Timestamp};

use crate::redis_link::Counted;
use crate::second_tier::Done;

/// A limit in force; what was said in its place, and what `file` says then.
pub fn limit(limit: &Limit, said: Option<&LimitOverride>, file: &Policy) -> Value {
    let mut described = words(limit);
    if let Some(said) = said {
        described["override"] = said.to_value();
        let by_file = file.model().limits.iter().find(|other| other.name == limit.name);
        described["policy"] = by_file.map_or(Value::Null, words);
    }
    described
}

/// A limit in the words of the policy.
fn words(limit: &Limit) -> Value {
    let mut words = json!({
        "name": limit.name,
        "limit": rate_text(limit.quota, limit.window),
        "algorithm": limit.algorithm,
    });
    if limit.algorithm == Algorithm::Gcra {
        words["burst"] = json!(limit.burst);
    }
    if let Some(block) = limit.block {
        words["block"] = json!(DurationText(block).to_string());
    }
    if limit.dry_run {
        words["dry_run"] = json!(true);
    }
    words
}

/// Whether maintenance is on in `policy`, since whose word, and what clients are told.
pub fn maintenance(policy: &Policy, by_override: bool, now: Timestamp) -> Value {
    let rule = &policy.model().maintenance;
    let has_ended = rule.until.is_some_and(|until| until <= now);
    if !rule.enabled || has_ended {
        return json!({ "enabled": false });
    }
    json!({
        "enabled": true,
        "by": if by_override { "override" } else { "policy" },
        "message": rule.message,
        "retry_after": DurationText(rule.retry_after).to_string(),
        "until": rule.until.map(|until| Rfc3339(until).to_string()),
        "serve_cached": rule.serve_cached,
    })
}

/// Whether the Redis of the limits does its work, and what was done so far by it and without.
pub fn redis(counted: &Counted) -> Value {
    json!({
        "asked": !counted.is_open,
        "round_trips": counted.round_trips,
        "failed": counted.failed,
        "without": counted.without,
    })
}

/// What was found in the Redis of answers, and whether it does its work.
pub fn second_tier(done: &Done) -> Value {
    let mut state = redis(&done.redis);
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

/// What requests need, and how it is.
pub fn checks(checks: &[Check]) -> Value {
    let each = |check: &Check| {
        let mut told = json!({ "check": check.kind, "status": check.state.as_str() });
        if let Some(name) = &check.name {
            told["name"] = json!(name);
        }
        if !check.detail.is_empty() {
            told["detail"] = json!(check.detail);
        }
        told
    };
    json!({
        "status": CheckState::of_all(checks).as_str(),
        "checks": checks.iter().map(each).collect::<Vec<_>>(),
    })
}

/// The body with the `until` that its `for` means, counted from `now`: who asks for an hour
/// means this machine's hour.
pub fn with_end(text: String, now: Timestamp) -> Result<String, Objection> {
    let Ok(Value::Object(mut all)) = serde_json::from_str::<Value>(&text) else { return Ok(text) };
    if let Some(end) = end(&mut all, now)? {
        all.insert("until".into(), Rfc3339(end).to_string().into());
    }
    Ok(Value::Object(all).to_string())
}

fn end(all: &mut Map<String, Value>, now: Timestamp) -> Result<Option<Timestamp>, Objection> {
    let object = |place: &str, message: &str, hint: &str| Objection {
        place: place.into(),
        message: message.into(),
        hint: hint.into(),
    };
    let Some(span) = all.remove("for") else { return Ok(None) };
    if all.contains_key("until") {
        return Err(object("for", "`for` and `until` say the same", "give one of them"));
    }
    let span = span.as_str().ok_or_else(|| object("for", "this is no text", "write `\"1h\"`"))?;
    let span = units::duration(span).map_err(|bad| object("for", &bad.message, &bad.hint))?;
    Ok(Some(now + span))
}

/// An end that lies behind `now` is one that nobody means.
pub fn check_end(until: Option<Timestamp>, now: Timestamp) -> Result<(), Objection> {
    match until {
        Some(until) if until <= now => Err(Objection {
            place: "until".into(),
            message: format!("{} is past", Rfc3339(until)),
            hint: format!("it is {} on this machine; `for` counts from then", Rfc3339(now)),
        }),
        _ => Ok(()),
    }
}
