//! What a limit says.

use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::key::KeyPart;
use crate::time::as_millis;

/// One limit of the policy: so many requests in such a window, counted per key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Its name in the policy, which clients see in `RateLimit` fields.
    pub name: String,
    /// Requests allowed in a window.
    pub quota: NonZeroU32,
    /// The length of a window.
    #[serde(with = "as_millis")]
    pub window: Duration,
    /// For how long a client is refused once it exceeds the quota; without it, until its
    /// window ends.
    #[serde(with = "as_millis::option", default, skip_serializing_if = "Option::is_none")]
    pub block: Option<Duration>,
    /// How requests are counted.
    pub algorithm: Algorithm,
    /// What tells clients apart: the first of these that a request has.
    pub key: Vec<KeyPart>,
}

/// How requests are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Algorithm {
    /// [`super::fixed_window`]
    FixedWindow,
}
