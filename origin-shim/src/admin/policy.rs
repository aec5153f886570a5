//! `GET /policy`

use serde_json::{Value, json};
use tidegate_core::time::rfc3339::Rfc3339;

use crate::control::Control;

/// What the policy file said when it was read. Secrets are not in it, but for names of variables.
pub(super) fn show(control: &Control) -> Value {
    let said = control.said();
    json!({
        "file": control.start().policy.display().to_string(),
        "hash": control.shared().in_force().file.hash(),
        "read": Rfc3339(said.read_at).to_string(),
        "text": *said.source,
    })
}
