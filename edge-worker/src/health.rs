//! `GET /.tidegate/health`: whether this tier runs, and which version of what.

use tidegate_core::headers::FieldsMut;
use tidegate_core::{Policy, Tier};
use worker::wasm_bindgen::JsValue;
use worker::web_sys;

use crate::edits::Edits;
use crate::in_force::InForce;
use crate::platform;

/// The path that asks for it.
pub(crate) const PATH: &str = "/.tidegate/health";

/// The answer. It says nothing of the origin, whose health is the shim's to report.
pub(crate) fn answer(policy: &InForce) -> Result<web_sys::Response, JsValue> {
    let since = match policy.published_at {
        None => r#""source":"embedded""#.into(),
        Some(at) => format!(r#""source":"published","published_at":{}"#, at.as_millis()),
    };
    let body = format!(
        r#"{{"status":"ok","tier":"{}","version":"{}","policy":"{}",{since}}}"#,
        Tier::Edge.as_str(),
        env!("CARGO_PKG_VERSION"),
        Policy::hash_of(policy.base.source().unwrap_or_default()),
    );
    let mut head = Edits::default();
    head.set("content-type", "application/json");
    head.set("cache-control", "no-store");
    platform::respond_with_text(200, &body, head.as_str())
}
