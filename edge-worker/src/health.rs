//! `GET /.tidegate/health`: whether this tier runs, and which version of what.

use tidegate_core::headers::FieldsMut;
use tidegate_core::{Policy, Tier};
use worker::wasm_bindgen::JsValue;
use worker::web_sys;

use crate::edits::Edits;
use crate::platform;

/// The path that asks for it.
pub(crate) const PATH: &str = "/.tidegate/health";

/// The answer. It says nothing of the origin, whose health is the shim's to report.
pub(crate) fn answer(policy: &Policy) -> Result<web_sys::Response, JsValue> {
    let body = format!(
        r#"{{"status":"ok","tier":"{}","version":"{}","policy":"{}"}}"#,
        Tier::Edge.as_str(),
        env!("CARGO_PKG_VERSION"),
        policy.hash(),
    );
    let mut head = Edits::default();
    head.set("content-type", "application/json");
    head.set("cache-control", "no-store");
    platform::respond_with_text(200, &body, head.as_str())
}
