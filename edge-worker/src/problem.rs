//! Answers that say what went wrong (RFC 9457), as the core words them.

use tidegate_core::Tier;
use tidegate_core::respond::{self, Problem};
use worker::wasm_bindgen::JsValue;
use worker::web_sys;

use crate::edits::Edits;
use crate::embedded_policy;
use crate::platform;

/// The answer for `problem`, with the fields that the gate has for it; where it has none, with
/// those of the policy, if that could be read.
pub(crate) fn answer(problem: &Problem, told: Option<Edits>) -> Result<web_sys::Response, JsValue> {
    let mut head = Edits::default();
    problem.fields(&mut head, Tier::Edge);
    match (told, embedded_policy::get()) {
        (Some(told), _) => head.extend(&told),
        (None, Ok(policy)) => respond::headers(&mut head, policy.headers(None)),
        (None, Err(_)) => {}
    }
    platform::respond_with_text(problem.status, &problem.body(), head.as_str())
}
