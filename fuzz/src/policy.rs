//! The policy file: what is accepted is a policy, and what is refused is refused in words.

use tidegate_core::{Policy, document};

/// Reads `text` as a policy file, and what it makes as canonical JSON.
pub fn read(text: &str) {
    let _ = Policy::from_json(text);
    match document::read(text, &|name| (name.len() < 4).then(|| name.to_owned())) {
        Ok(policy) => {
            let again = Policy::from_json(&policy.to_json()).expect("what was written is read");
            assert_eq!(again.model(), policy.model());
        }
        Err(report) => assert!(!report.to_string().is_empty()),
    }
}
