//! Answers that say what went wrong (RFC 9457), as the core words them.

use tidegate_core::Tier;
use tidegate_core::respond::{self, Problem};
use worker::wasm_bindgen::JsValue;
use worker::web_sys;

use crate::edits::Edits;
use crate::gate::Allowance;
use crate::platform;

/// The answer for `problem`, with what the client has left where a limit counted it.
pub(crate) fn answer(
    problem: &Problem,
    allowance: Option<Allowance>,
) -> Result<web_sys::Response, JsValue> {
    let mut head = Edits::default();
    problem.fields(&mut head, Tier::Edge);
    if let Some((limit, admission)) = allowance {
        respond::rate_limit(&mut head, limit, &admission);
    }
    platform::respond_with_text(problem.status, &problem.body(), head.as_str())
}
