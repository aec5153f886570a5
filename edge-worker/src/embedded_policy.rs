//! The policy that was compiled in.

use std::sync::OnceLock;

use tidegate_core::Policy;
use tidegate_core::policy::LoadError;

/// The canonical JSON that `build.rs` made of the policy file.
const JSON: &str = include_str!(concat!(env!("OUT_DIR"), "/policy.json"));

/// The policy, read once for each isolate. `build.rs` wrote the JSON with this very core,
/// so an error here is a broken build.
pub(crate) fn get() -> Result<&'static Policy, &'static LoadError> {
    static POLICY: OnceLock<Result<Policy, LoadError>> = OnceLock::new();
    POLICY.get_or_init(|| Policy::from_json(JSON)).as_ref()
}
