//! The policy that was compiled in.

use std::cell::OnceCell;
use std::rc::Rc;

use tidegate_core::Policy;
use worker::console_error;

/// The canonical JSON that `build.rs` made of the policy file.
const JSON: &str = include_str!(concat!(env!("OUT_DIR"), "/policy.json"));
/// A policy that says nothing lets everything through.
const EMPTY: &str = r#"{"schema":1}"#;

thread_local! {
    static POLICY: OnceCell<Option<Rc<Policy>>> = const { OnceCell::new() };
}

/// The policy, read once for each isolate. `build.rs` wrote the JSON with this very core, so one
/// that cannot be read is a broken build: it is said, and everything goes through to the origin.
pub(crate) fn get() -> Option<Rc<Policy>> {
    let read = || {
        let read = Policy::from_json(JSON).or_else(|error| {
            console_error!("tidegate: {error}");
            Policy::from_json(EMPTY)
        });
        read.ok().map(Rc::new)
    };
    POLICY.with(|policy| policy.get_or_init(read).clone())
}
