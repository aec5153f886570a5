//! `/maintenance`

use serde_json::{Value, json};
use tidegate_core::policy::Overrides;
use tidegate_core::policy::overrides::MaintenanceOverride;
use tidegate_core::policy::units::DurationText;
use tidegate_core::time::rfc3339::Rfc3339;

use super::answer::{Answer, Problem};
use super::body;
use crate::audit::Who;
use crate::clock;
use crate::control::Control;

/// Whether it is on, and what clients are told.
pub(super) fn show(control: &Control) -> Value {
    json!({ "maintenance": state(control) })
}

/// Switches it on; `{"enabled": false}` switches it off.
pub(super) async fn set(control: &Control, who: &Who, body: String) -> Answer {
    let now = clock::now();
    let body = body::with_end(body, now)?;
    let said = MaintenanceOverride::from_json(&body).map_err(|bad| Problem::objections(&bad))?;
    body::check_end(said.until, now).map_err(|bad| Problem::objections(&[bad]))?;
    change(control, who, Some(said)).await
}

/// Switches it off, also where the policy file has it on.
pub(super) async fn end(control: &Control, who: &Who) -> Answer {
    let on_by_file = control.shared().in_force().file.model().maintenance.enabled;
    let off = MaintenanceOverride { enabled: false, message: None, retry_after: None, until: None };
    change(control, who, on_by_file.then_some(off)).await
}

async fn change(control: &Control, who: &Who, said: Option<MaintenanceOverride>) -> Answer {
    let seen = |overrides: &Overrides| match &overrides.maintenance {
        Some(said) => said.to_value(),
        None => Value::Null,
    };
    let change = |overrides: &mut Overrides, _: &_| {
        overrides.maintenance = said;
        Ok(())
    };
    let kept = control.change(who, ("maintenance", ""), seen, change).await;
    let kept = kept.map_err(|bad| Problem::objections(&[bad]))?;
    let has_override = control.said().overrides.maintenance.is_some();
    Ok(json!({ "maintenance": state(control), "kept": kept.explain(has_override) }))
}

/// Whether it is on, since whose word, and what clients are told.
pub(super) fn state(control: &Control) -> Value {
    let in_force = control.shared().in_force();
    let rule = &in_force.policy.model().maintenance;
    let has_ended = rule.until.is_some_and(|until| until <= clock::now());
    if !rule.enabled || has_ended {
        return json!({ "enabled": false });
    }
    let by_override = control.said().overrides.maintenance.is_some();
    json!({
        "enabled": true,
        "by": if by_override { "override" } else { "policy" },
        "message": rule.message,
        "retry_after": DurationText(rule.retry_after).to_string(),
        "until": rule.until.map(|until| Rfc3339(until).to_string()),
        "serve_cached": rule.serve_cached,
    })
}
