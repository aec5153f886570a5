//! Answers that say what went wrong (RFC 9457), as the core words them.

use tidegate_core::Tier;
use tidegate_core::respond::{self, Problem};
use worker::wasm_bindgen::JsValue;
use worker::web_sys;

use crate::edits::Edits;
use crate::embedded_policy;
use crate::gate::Refusal;
use crate::platform;

/// The answer for `problem`, with what the client has left where a limit counted it, and
/// with the fields of the policy where that could be read.
pub(crate) fn answer(
    problem: &Problem,
    refusal: Option<Box<Refusal>>,
) -> Result<web_sys::Response, JsValue> {
    let mut head = Edits::default();
    problem.fields(&mut head, Tier::Edge);
    if let Ok(policy) = embedded_policy::get() {
        let route = refusal.as_ref().and_then(|refusal| refusal.route);
        respond::headers(&mut head, policy.headers(route));
    }
    if let Some(refusal) = refusal {
        respond::rate_limit(&mut head, &refusal.verdict, None);
    }
    platform::respond_with_text(problem.status, &problem.body(), head.as_str())
}
