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
    /// How many requests may come at once on top of an even pace; [`Algorithm::Gcra`] alone
    /// has a pace.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub burst: u32,
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
    /// [`super::sliding_window`]
    SlidingWindow,
    /// [`super::gcra`]
    Gcra,
}

impl Limit {
    /// The most requests that may come within an instant: what to plan capacity by.
    pub fn worst_burst(&self) -> u32 {
        let quota = self.quota.get();
        match self.algorithm {
            // At the end of one window and the begin of the next.
            Algorithm::FixedWindow => quota.saturating_mul(2),
            Algorithm::SlidingWindow if quota as usize <= super::sliding_window::LOG_MAX => quota,
            Algorithm::SlidingWindow => quota.saturating_mul(2),
            Algorithm::Gcra => self.burst.saturating_add(1),
        }
    }
}

const fn is_zero(number: &u32) -> bool {
    *number == 0
}
