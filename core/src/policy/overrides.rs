//! Overrides: what an operator says at run time in place of the policy file, by name and for
//! as long as it is said. The same on both tiers.
//!
//! They are JSON in the words of the policy file:
//!
//! ```json
//! {
//!   "limits": { "standard": { "limit": "200 per 60s", "until": "2026-11-21T18:00:00Z" } },
//!   "maintenance": { "enabled": true, "message": "Back at six.", "retry_after": "10m" }
//! }
//! ```

mod read;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;

use serde_json::{Map, Value};

use super::units::DurationText;
use super::{Malformed, Policy};
use crate::rate::{Algorithm, Limit};
use crate::time::Timestamp;
use crate::time::rfc3339::Rfc3339;

/// Longer JSON than this is refused unread.
pub const JSON_MAX: usize = 64 * 1024;

/// The longest message, in bytes.
pub const MESSAGE_MAX: usize = 1000;

/// What stands in place of the policy's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// By the names of limits.
    pub limits: BTreeMap<String, LimitOverride>,
    /// In place of the policy's word on whether maintenance is on.
    pub maintenance: Option<MaintenanceOverride>,
}

/// What stands in place of a limit's words; what it leaves out, the policy says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitOverride {
    /// How many requests in which time.
    pub limit: Option<(NonZeroU32, Duration)>,
    /// How many may come at once on top of an even pace.
    pub burst: Option<u32>,
    /// For how long a client is refused once it has asked too often; zero ends blocks that run.
    pub block: Option<Duration>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// Maintenance switched on or off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaintenanceOverride {
    /// Whether it is on.
    pub enabled: bool,
    /// A sentence for clients, in place of the policy's.
    pub message: Option<String>,
    /// For how long clients are told to wait, in place of the policy's.
    pub retry_after: Option<Duration>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// What is wrong with an override: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// The place, as in `limits.standard.burst`; empty for the whole.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Overrides {
    /// Reads the JSON. Everything that is wrong is reported at once.
    pub fn from_json(json: &str) -> Result<Self, Vec<Objection>> {
        read::overrides(json)
    }

    /// Writes the JSON: the same overrides always give the same bytes.
    pub fn to_json(&self) -> String {
        self.to_value().to_string()
    }

    /// The JSON.
    pub fn to_value(&self) -> Value {
        let mut all = Map::new();
        if !self.limits.is_empty() {
            let limits = self.limits.iter().map(|(name, limit)| (name.clone(), limit.to_value()));
            all.insert("limits".into(), limits.collect());
        }
        if let Some(maintenance) = &self.maintenance {
            all.insert("maintenance".into(), maintenance.to_value());
        }
        Value::Object(all)
    }

    /// Whether nothing stands in place of anything.
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty() && self.maintenance.is_none()
    }

    /// What of them does not fit `policy`: names that it has not, and words that contradict
    /// others of their limit.
    pub fn objections(&self, policy: &Policy) -> Vec<Objection> {
        let limits = self.limits.iter();
        limits.filter_map(|(name, limit)| limit.objection(name, policy)).collect()
    }

    /// Takes out what does not fit `policy`, and says what that was.
    pub fn drop_misfits(&mut self, policy: &Policy) -> Vec<Objection> {
        let misfits = self.objections(policy);
        self.limits.retain(|name, limit| limit.objection(name, policy).is_none());
        misfits
    }

    /// Takes out what has ended by `now`.
    pub fn drop_ended(&mut self, now: Timestamp) {
        let goes_on = |until: Option<Timestamp>| until.is_none_or(|until| now < until);
        self.limits.retain(|_, limit| goes_on(limit.until));
        self.maintenance.take_if(|maintenance| !goes_on(maintenance.until));
    }

    /// When the next of them ends by itself.
    pub fn next_end(&self) -> Option<Timestamp> {
        let limits = self.limits.values().filter_map(|limit| limit.until);
        limits.chain(self.maintenance.as_ref().and_then(|m| m.until)).min()
    }
}

impl Policy {
    /// The policy that is in force under `overrides` at the time `now`. What of them has ended,
    /// or does not fit, changes nothing. Make it again at [`Overrides::next_end`].
    ///
    /// Linear in the size of the policy: for when something changes, not for each request.
    pub fn with(&self, overrides: &Overrides, now: Timestamp) -> Self {
        let mut policy = self.clone();
        let mut overrides = overrides.clone();
        overrides.drop_ended(now);
        overrides.drop_misfits(self);
        for limit in &mut policy.model.limits {
            if let Some(other) = overrides.limits.get(&limit.name) {
                other.apply(limit);
            }
        }
        if let Some(other) = overrides.maintenance {
            let rule = &mut policy.model.maintenance;
            rule.enabled = other.enabled;
            rule.until = other.until;
            rule.message = other.message.or_else(|| rule.message.take());
            rule.retry_after = other.retry_after.unwrap_or(rule.retry_after);
        }
        policy
    }
}

impl LimitOverride {
    /// Reads the JSON of the override of one limit. Everything that is wrong is reported at
    /// once.
    pub fn from_json(json: &str) -> Result<Self, Vec<Objection>> {
        read::limit(json)
    }

    /// The JSON.
    pub fn to_value(&self) -> Value {
        let mut all = Map::new();
        let mut put = |name: &str, value: Option<String>| {
            all.extend(value.map(|value| (name.into(), value.into())));
        };
        put("limit", self.limit.map(|(quota, window)| rate_text(quota, window)));
        put("block", self.block.map(|block| DurationText(block).to_string()));
        put("until", self.until.map(|until| Rfc3339(until).to_string()));
        all.extend(self.burst.map(|burst| ("burst".into(), burst.into())));
        Value::Object(all)
    }

    /// Why it does not fit the limit `name` of `policy`.
    pub fn objection(&self, name: &str, policy: &Policy) -> Option<Objection> {
        let limits = &policy.model.limits;
        let Some(limit) = limits.iter().find(|limit| limit.name == *name) else {
            let known: Vec<_> = limits.iter().map(|l| format!("`{}`", l.name)).collect();
            let hint = match known.is_empty() {
                true => "the policy has no limits".into(),
                false => format!("known are {}", known.join(", ")),
            };
            let message = format!("no limit is named `{name}`");
            return Some(Objection { place: format!("limits.{name}"), message, hint });
        };
        let mut changed = limit.clone();
        self.apply(&mut changed);
        let (field, Malformed { message, hint }) = contradiction(&changed, self)?;
        Some(Objection { place: format!("limits.{name}.{field}"), message, hint })
    }

    fn apply(&self, limit: &mut Limit) {
        if let Some((quota, window)) = self.limit {
            (limit.quota, limit.window) = (quota, window);
        }
        limit.burst = self.burst.unwrap_or(limit.burst);
        limit.block = self.block.or(limit.block);
    }
}

/// What of a changed limit contradicts itself.
fn contradiction(limit: &Limit, by: &LimitOverride) -> Option<(&'static str, Malformed)> {
    if by.burst.is_some() && limit.algorithm != Algorithm::Gcra {
        return Some((
            "burst",
            Malformed::new(
                "a `burst` means nothing without the even pace of `gcra`",
                "leave it out, or change `algorithm` in the policy",
            ),
        ));
    }
    let is_short = |block: Duration| !block.is_zero() && block < limit.window;
    let block = limit.block.filter(|block| is_short(*block));
    block.filter(|_| limit.algorithm == Algorithm::SlidingWindow).map(|block| {
        (
            "block",
            Malformed::new(
                format!(
                    "a block of {} is shorter than the window: behind it more would pass than the limit",
                    DurationText(block)
                ),
                format!("block for {} at least, or for 0s", DurationText(limit.window)),
            ),
        )
    })
}

impl MaintenanceOverride {
    /// Reads the JSON. Everything that is wrong is reported at once.
    pub fn from_json(json: &str) -> Result<Self, Vec<Objection>> {
        read::maintenance(json)
    }

    /// The JSON.
    pub fn to_value(&self) -> Value {
        let mut all = Map::new();
        all.insert("enabled".into(), self.enabled.into());
        let mut put = |name: &str, value: Option<String>| {
            all.extend(value.map(|value| (name.into(), value.into())));
        };
        put("message", self.message.clone());
        put("retry_after", self.retry_after.map(|wait| DurationText(wait).to_string()));
        put("until", self.until.map(|until| Rfc3339(until).to_string()));
        Value::Object(all)
    }
}

/// A rate as the policy writes it.
pub fn rate_text(quota: NonZeroU32, window: Duration) -> String {
    format!("{quota} per {}", DurationText(window))
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        write!(f, "{}\n= hint: {}", self.message, self.hint)
    }
}

impl core::error::Error for Objection {}

#[cfg(test)]
mod tests;
