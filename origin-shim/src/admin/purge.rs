//! `POST /purge`

use serde_json::{Value, json};
use tidegate_core::purge::order::Order;

use super::answer::{Answer, Problem};
use crate::audit::{self, Who};
use crate::control::Control;
use crate::purging;

/// Voids what is stored: here at once, and soon in the shims that share a Redis with this one.
pub(super) async fn purge(control: &Control, who: &Who, body: String) -> Answer {
    let order = Order::from_json(body.as_bytes()).map_err(|bad| Problem::objections(&[bad]))?;
    let in_force = control.shared().in_force();
    in_force.invalidate(purging::voids(&in_force.policy, &order));
    let purged = order.to_value();
    audit::record(who, "purge", "", &Value::Null, &purged);
    let elsewhere = match &in_force.second_tier {
        None => Value::Null,
        Some(tier) if tier.told().await => json!("within a second"),
        Some(_) => json!("as soon as Redis answers again"),
    };
    Ok(json!({ "purged": purged, "here": "now", "elsewhere": elsewhere }))
}
