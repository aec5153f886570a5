//! `/limits`

use http::StatusCode;
use serde_json::{Value, json};
use tidegate_core::Policy;
use tidegate_core::policy::Overrides;
use tidegate_core::policy::overrides::{LimitOverride, Objection};
use tidegate_core::rate::{Limit, StoreFailed};
use tidegate_core::time::rfc3339::Rfc3339;

use super::answer::{Answer, Problem};
use crate::audit::{self, Who};
use crate::clock;
use crate::control::Control;
use crate::operating;

/// Every limit.
pub(super) fn list(control: &Control) -> Value {
    let in_force = control.shared().in_force();
    let limits = in_force.policy.model().limits.iter();
    let limits: Vec<Value> = limits.map(|limit| describe(control, limit)).collect();
    json!({ "limits": limits })
}

/// One limit.
pub(super) fn show(control: &Control, name: &str) -> Answer {
    let in_force = control.shared().in_force();
    let limit = known(&in_force.policy, name)?;
    Ok(json!({ "limit": describe(control, limit) }))
}

/// Overrides it.
pub(super) async fn set(control: &Control, who: &Who, name: &str, body: String) -> Answer {
    let now = clock::now();
    known(&control.shared().in_force().policy, name)?;
    let body = operating::with_end(body, now).map_err(|bad| Problem::objections(&[bad]))?;
    let said = LimitOverride::from_json(&body).map_err(|bad| Problem::objections(&bad))?;
    operating::check_end(said.until, now).map_err(|bad| Problem::objections(&[bad]))?;
    change(control, who, name, |overrides, policy| {
        if let Some(objection) = said.objection(name, policy) {
            return Err(objection);
        }
        overrides.limits.insert(name.into(), said);
        Ok(())
    })
    .await
}

/// Who is blocked under it.
pub(super) fn blocked(control: &Control, name: &str) -> Answer {
    let in_force = control.shared().in_force();
    known(&in_force.policy, name)?;
    let blocked =
        in_force.limiter.blocked(name, clock::now()).into_iter().map(
            |block| json!({ "client": block.client, "until": Rfc3339(block.until).to_string() }),
        );
    Ok(json!({ "blocked": blocked.collect::<Vec<Value>>() }))
}

/// Forgets what a client has used up.
pub(super) async fn unblock(control: &Control, who: &Who, name: &str, client: &str) -> Answer {
    let in_force = control.shared().in_force();
    let limit = known(&in_force.policy, name)?;
    let forgotten = in_force.unblock(limit, client).await.map_err(|StoreFailed| {
        let detail = format!("Redis does not answer, so `{client}` stays as it is.");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail, "try again when it does")
    })?;
    if !forgotten {
        let detail = format!("Nothing is known of `{client}` under `{name}`.");
        let hint = "write it as the list of blocked clients does: `ip:192.0.2.1`, `user:ada`";
        return Err(Problem::unknown(detail, hint));
    }
    audit::record(who, "unblock", name, &json!(client), &Value::Null);
    Ok(json!({ "unblocked": client }))
}

/// Lets the policy's word count again.
pub(super) async fn reset(control: &Control, who: &Who, name: &str) -> Answer {
    known(&control.shared().in_force().policy, name)?;
    change(control, who, name, |overrides, _| {
        overrides.limits.remove(name);
        Ok(())
    })
    .await
}

async fn change(
    control: &Control,
    who: &Who,
    name: &str,
    change: impl FnOnce(&mut Overrides, &Policy) -> Result<(), Objection>,
) -> Answer {
    let seen = |overrides: &Overrides| match overrides.limits.get(name) {
        Some(said) => said.to_value(),
        None => Value::Null,
    };
    let kept = control.change(who, ("limit", name), seen, change).await;
    let kept = kept.map_err(|bad| Problem::objections(&[bad]))?;
    let in_force = control.shared().in_force();
    let limit = known(&in_force.policy, name)?;
    let has_override = control.said().overrides.limits.get(name).is_some();
    Ok(json!({ "limit": describe(control, limit), "kept": kept.explain(has_override) }))
}

/// The limit of this name.
fn known<'p>(policy: &'p Policy, name: &str) -> Result<&'p Limit, Problem> {
    let limits = &policy.model().limits;
    limits.iter().find(|limit| limit.name == name).ok_or_else(|| {
        let known: Vec<&str> = limits.iter().map(|limit| &*limit.name).collect();
        let hint = format!("known are {}", known.join(", "));
        Problem::unknown(format!("No limit is named `{name}`."), &hint)
    })
}

/// What is in force, and what the file says where that is something else.
fn describe(control: &Control, limit: &Limit) -> Value {
    let in_force = control.shared().in_force();
    let said = control.said().overrides;
    let mut described = operating::limit(limit, said.limits.get(&limit.name), &in_force.file);
    described["counted"] = counted(control, &limit.name);
    described
}

/// How often it has said what since the process started, and of how many clients it knows in
/// memory.
fn counted(control: &Control, name: &str) -> Value {
    let in_force = control.shared().in_force();
    let told = in_force.tallies.of(name).map(|tally| tally.told()).unwrap_or_default();
    json!({
        "allowed": told.allowed,
        "refused": told.refused,
        "would_refuse": told.would_refuse,
        "uncounted": told.uncounted,
        "store_failed": told.store_failed,
        "clients": in_force.limiter.len(name),
    })
}
