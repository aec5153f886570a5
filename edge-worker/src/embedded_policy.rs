//! The policy that was compiled in.

use std::cell::OnceCell;
use std::rc::Rc;

use tidegate_core::Policy;
use worker::console_error;

/// The canonical JSON that `build.rs` made of the policy file.
const JSON: &str = include_str!(concat!(env!("OUT_DIR"), "/policy.json"));

thread_local! {
    static POLICY: OnceCell<Option<Rc<Policy>>> = const { OnceCell::new() };
}

/// The policy, read once for each isolate. `build.rs` wrote the JSON with this very core, so
/// `None` is a broken build.
pub(crate) fn get() -> Option<Rc<Policy>> {
    let read = || match Policy::from_json(JSON) {
        Ok(policy) => Some(Rc::new(policy)),
        Err(error) => {
            console_error!("tidegate: {error}");
            None
        }
    };
    POLICY.with(|policy| policy.get_or_init(read).clone())
}
