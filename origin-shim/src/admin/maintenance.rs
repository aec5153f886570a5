//! `/maintenance`

use serde_json::{Value, json};
use tidegate_core::policy::Overrides;
use tidegate_core::policy::overrides::MaintenanceOverride;

use super::answer::{Answer, Problem};
use crate::audit::Who;
use crate::clock;
use crate::control::Control;
use crate::operating;

/// Whether it is on, and what clients are told.
pub(super) fn show(control: &Control) -> Value {
    json!({ "maintenance": state(control) })
}

/// Switches it on; `{"enabled": false}` switches it off.
pub(super) async fn set(control: &Control, who: &Who, body: String) -> Answer {
    let now = clock::now();
    let body = operating::with_end(body, now).map_err(|bad| Problem::objections(&[bad]))?;
    let said = MaintenanceOverride::from_json(&body).map_err(|bad| Problem::objections(&bad))?;
    operating::check_end(said.until, now).map_err(|bad| Problem::objections(&[bad]))?;
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
    let by_override = control.said().overrides.maintenance.is_some();
    operating::maintenance(&in_force.policy, by_override, clock::now())
}
