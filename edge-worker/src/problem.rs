//! Answers that say what went wrong (RFC 9457), as the core words them.

use tidegate_core::Tier;
use tidegate_core::respond::{self, Problem};
use worker::wasm_bindgen::JsValue;
use worker::web_sys;

use crate::edits::Edits;
use crate::in_force;
use crate::platform;

/// The answer for `problem`, with the fields that the gate has for it; where it has none, with
/// those of the policy, if that could be read.
pub(crate) fn answer(problem: &Problem, told: Option<Edits>) -> Result<web_sys::Response, JsValue> {
    let mut head = Edits::default();
    problem.fields(&mut head, Tier::Edge);
    match (told, in_force::base()) {
        (Some(told), _) => head.extend(&told),
        (None, Some(policy)) => respond::headers(&mut head, policy.headers(None)),
        (None, None) => {}
    }
    platform::respond_with_text(problem.status, &problem.body(), head.as_str())
}
