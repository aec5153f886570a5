//! Keys in Redis that hold what is no state.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::process_log;
use crate::redis_link::Failure;

/// Complains of keys that hold what is no state, once: whoever writes to them had better stop, and
/// would not by being told for each request.
#[derive(Debug, Default)]
pub(super) struct Nonsense(AtomicBool);

impl Nonsense {
    pub(super) fn complain(&self, failure: &Failure, key: &str) {
        if !self.0.swap(true, Ordering::Relaxed) {
            process_log::warning(
                format_args!(
                    "Redis {failure} for the key `{key}`: something else writes to it; until it is \
                     gone, its client goes by `on_store_error`, and so do others like it"
                ),
                &[("key", &key)],
            );
        }
    }
}
