//! What a limit says.

use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::key::KeyPart;
use super::store::Stores;
use crate::time::{Timestamp, as_millis};

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
    /// How many requests may come ahead of an even pace; [`Algorithm::Gcra`] alone has a pace.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub burst: u32,
    /// What comes ahead of the pace waits for its time, rather than to pass at once.
    #[serde(default, skip_serializing_if = "is_false")]
    pub spread: bool,
    /// For how long a client is refused once it exceeds the quota; without it, until its
    /// window ends.
    #[serde(with = "as_millis::option", default, skip_serializing_if = "Option::is_none")]
    pub block: Option<Duration>,
    /// How requests are counted.
    pub algorithm: Algorithm,
    /// What tells clients apart: the first of these that a request has.
    pub key: Vec<KeyPart>,
    /// Which requests count.
    #[serde(default, skip_serializing_if = "Counted::is_all")]
    pub count: Counted,
    /// Requests are counted and refusals reported, but nobody is refused.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// Answers carry the older `X-RateLimit-*` fields too.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub x_fields: bool,
    /// Where its states live.
    #[serde(default, skip_serializing_if = "Stores::is_default")]
    pub stores: Stores,
    /// How many clients are remembered at most (R6); without it, as many as the store holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<NonZeroU32>,
    /// How many requests a process takes from a shared store at once, to spend by itself
    /// ([`super::Lease`]); one by one without it. [`Algorithm::FixedWindow`] alone can be lent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<NonZeroU32>,
    /// What a client did before this time does not count. No policy says so: see
    /// [`crate::Policy::limit_for`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgiven: Option<Timestamp>,
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

/// Which requests a limit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// All of them, before anything else is done for them.
    #[default]
    All,
    /// Those that no stored answer serves, so that a hit costs nothing here.
    Misses,
}

impl Limit {
    /// A limit of `quota` requests in `window`: a fixed window without block, for clients
    /// told apart as well as may be.
    pub fn new(name: impl Into<String>, quota: NonZeroU32, window: Duration) -> Self {
        Self {
            name: name.into(),
            quota,
            window,
            burst: 0,
            spread: false,
            block: None,
            algorithm: Algorithm::FixedWindow,
            key: Vec::from([KeyPart::Identity, KeyPart::ClientIp, KeyPart::Anonymous]),
            count: Counted::All,
            dry_run: false,
            x_fields: true,
            stores: Stores::default(),
            clients: None,
            lease: None,
            forgiven: None,
        }
    }

    /// The most requests that may come within an instant: what to plan capacity by.
    pub fn worst_burst(&self) -> u32 {
        let quota = self.quota.get();
        match self.algorithm {
            // At the end of one window and the begin of the next.
            Algorithm::FixedWindow => quota.saturating_mul(2),
            Algorithm::SlidingWindow if quota as usize <= super::sliding_window::LOG_MAX => quota,
            Algorithm::SlidingWindow => quota.saturating_mul(2),
            Algorithm::Gcra if self.spread => 1,
            Algorithm::Gcra => self.burst.saturating_add(1),
        }
    }

    /// Whether who is refused stays so for a time that is fixed, whatever else it sends.
    pub fn refusing_blocks(&self) -> bool {
        self.block.is_some_and(|block| block > Duration::ZERO)
            || (self.block.is_none() && self.algorithm == Algorithm::FixedWindow)
    }

    /// The longest that a request may have to wait for its turn. Zero where nothing is spread.
    pub fn longest_wait(&self) -> Duration {
        match self.spread {
            true => super::gcra::interval(self).saturating_mul(self.burst),
            false => Duration::ZERO,
        }
    }
}

impl Counted {
    const fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }
}

const fn is_zero(number: &u32) -> bool {
    *number == 0
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

const fn is_true(flag: &bool) -> bool {
    *flag
}

const fn yes() -> bool {
    true
}
