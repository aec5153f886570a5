//! `[redis]`: the store that all shims share.

use alloc::string::String;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::as_millis;

/// The Redis that all shims share. Where it is may hold a password, so the policy carries the
/// name of a variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// The variable that holds its URL.
    pub url: String,
    /// How long a request waits for it at most.
    #[serde(with = "as_millis")]
    pub timeout: Duration,
    /// What the names of all its keys begin with.
    pub prefix: String,
}
