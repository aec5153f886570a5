//! Overrides: what an operator says at run time in place of the policy file, by name and for
//! as long as it is said. The same on both tiers.
//!
//! They are JSON in the words of the policy file; the edge gets its canonical form.
//!
//! ```json
//! {
//!   "limits": { "standard": { "limit": "200 per 60s", "until": "2026-11-21T18:00:00Z" } },
//!   "maintenance": { "enabled": true, "message": "Back at six.", "retry_after": "10m" },
//!   "unblocked": [
//!     { "limit": "standard", "client": "ip:203.0.113.7", "at": "2026-11-21T16:00:00Z" }
//!   ]
//! }
//! ```

pub mod by_name;
mod canonical;
mod read;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;

use serde_json::{Map, Value};

use by_name::ByName;

use super::units::DurationText;
use super::{Malformed, Policy};
use crate::rate::{Algorithm, EdgeStore, Limit, LimitKey};
use crate::time::Timestamp;
use crate::time::rfc3339::Rfc3339;

/// Longer JSON than this is refused unread.
pub const JSON_MAX: usize = 64 * 1024;

/// The longest name of a client, in bytes.
const CLIENT_MAX: usize = 256;

/// The longest message, in bytes.
pub const MESSAGE_MAX: usize = 1000;

/// The most clients that are let in again at a time.
pub const UNBLOCKED_MAX: usize = 100;

/// What stands in place of the policy's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// By the names of limits.
    pub limits: ByName,
    /// In place of the policy's word on whether maintenance is on.
    pub maintenance: Option<MaintenanceOverride>,
    /// Clients that are let in again where nobody can take their states out of the store; each
    /// pair of limit and client once, and [`UNBLOCKED_MAX`] at most.
    pub unblocked: Vec<Unblocked>,
}

/// A client that is let in again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unblocked {
    /// The name of the limit.
    pub limit: String,
    /// The client as people write it, which [`LimitKey::parse`] reads.
    pub client: String,
    /// What it did before does not count.
    pub at: Timestamp,
}

/// Clients that are let in again, by their keys.
pub(super) type Forgiven = Vec<(Vec<u8>, Timestamp)>;

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
            let limits =
                self.limits.iter().map(|(name, limit)| (String::from(name), limit.to_value()));
            all.insert("limits".into(), limits.collect());
        }
        if let Some(maintenance) = &self.maintenance {
            all.insert("maintenance".into(), maintenance.to_value());
        }
        if !self.unblocked.is_empty() {
            all.insert(
                "unblocked".into(),
                self.unblocked.iter().map(Unblocked::to_value).collect(),
            );
        }
        Value::Object(all)
    }

    /// Lets `client` in again under the limit `name` of `policy`: what it did before `now` does
    /// not count any more. Others whose blocks have ended by then are taken off the list.
    pub fn unblock(
        &mut self,
        policy: &Policy,
        name: &str,
        client: &str,
        now: Timestamp,
    ) -> Result<(), Objection> {
        let one = Unblocked { limit: name.into(), client: client.into(), at: now };
        let place = || format!("unblocked.{}", self.unblocked.len());
        limit_named(policy, name, place)?;
        one.check().map_err(|bad| bad.at(place()))?;
        self.drop_spent(policy, now);
        self.unblocked.retain(|other| (&other.limit, &other.client) != (&one.limit, &one.client));
        if self.unblocked.len() >= UNBLOCKED_MAX {
            return Err(Objection {
                place: "unblocked".into(),
                message: format!(
                    "{UNBLOCKED_MAX} clients were let in again, whose blocks would run yet"
                ),
                hint: "an override of the limit with a `block` of `0s` frees everybody".into(),
            });
        }
        self.unblocked.push(one);
        Ok(())
    }

    /// Takes out clients whose blocks would have ended by `now`.
    fn drop_spent(&mut self, policy: &Policy, now: Timestamp) {
        self.unblocked.retain(|one| {
            let limit = policy.model.limits.iter().find(|limit| limit.name == one.limit);
            // A state tells something for two windows at most.
            let tells = |limit: &Limit| {
                let said = self.limits.get(&limit.name);
                let spans = [limit.block, said.and_then(|said| said.block)].into_iter().flatten();
                let window = said.and_then(|said| said.limit).map_or(limit.window, |(_, w)| w);
                spans.fold(limit.window.max(window).saturating_mul(2), Duration::max)
            };
            limit.is_some_and(|limit| now < one.at + tells(limit))
        });
    }

    /// The keys of the clients that are let in again.
    fn forgiven(&self) -> Forgiven {
        let mut forgiven = Forgiven::new();
        for one in &self.unblocked {
            if let Some(key) = LimitKey::parse(&one.limit, &one.client) {
                forgiven.push((key.as_bytes().into(), one.at));
            }
        }
        forgiven
    }

    /// Whether nothing stands in place of anything.
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty() && self.maintenance.is_none() && self.unblocked.is_empty()
    }

    /// What of them does not fit `policy`: names that it has not, and words that contradict
    /// others of their limit.
    pub fn objections(&self, policy: &Policy) -> Vec<Objection> {
        let limits = self.limits.iter();
        let limits = limits.filter_map(|(name, limit)| limit.objection(name, policy));
        let unblocked = self.unblocked.iter().enumerate().filter_map(|(at, one)| {
            limit_named(policy, &one.limit, || format!("unblocked.{at}.limit")).err()
        });
        limits.chain(unblocked).collect()
    }

    /// The names of limits whose overrides do not fit `policy`: [`Self::objections`] says why.
    pub fn misfits(&self, policy: &Policy) -> Vec<&str> {
        let mut misfits = Vec::new();
        for (name, said) in self.limits.iter() {
            let limit = policy.model.limits.iter().find(|limit| limit.name == *name);
            if limit.is_none_or(|limit| said.contradiction(limit).is_some()) {
                misfits.push(name);
            }
        }
        misfits
    }

    /// Takes out what does not fit `policy`, and says what that was.
    pub fn drop_misfits(&mut self, policy: &Policy) -> Vec<Objection> {
        let misfits = self.objections(policy);
        self.limits.retain(|name, limit| limit.objection(name, policy).is_none());
        self.unblocked.retain(|one| limit_named(policy, &one.limit, String::new).is_ok());
        misfits
    }

    /// Takes out what has ended by `now`.
    pub fn drop_ended(&mut self, now: Timestamp) {
        self.limits.retain(|_, limit| goes_on(limit.until, now));
        self.maintenance.take_if(|maintenance| !goes_on(maintenance.until, now));
    }

    /// When the next of them ends by itself.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.ends().min()
    }

    /// When the next of them ends by itself that goes on at `now`.
    pub fn next_end_after(&self, now: Timestamp) -> Option<Timestamp> {
        self.ends().filter(|end| now < *end).min()
    }

    fn ends(&self) -> impl Iterator<Item = Timestamp> {
        let limits = self.limits.iter().filter_map(|(_, limit)| limit.until);
        limits.chain(self.maintenance.as_ref().and_then(|m| m.until))
    }
}

impl Policy {
    /// The policy that is in force under `overrides` at the time `now`. What of them has ended,
    /// or does not fit, changes nothing. Make it again at [`Overrides::next_end`].
    ///
    /// Linear in the size of the policy: for when something changes, not for each request.
    pub fn with(&self, overrides: &Overrides, now: Timestamp) -> Self {
        self.clone().under(overrides, now)
    }

    /// The same of a policy that nobody needs without them.
    #[must_use]
    pub fn under(mut self, overrides: &Overrides, now: Timestamp) -> Self {
        self.source = None;
        self.forgiven = overrides.forgiven();
        for limit in &mut self.model.limits {
            let other = overrides.limits.get(&limit.name);
            let other = other.filter(|other| goes_on(other.until, now));
            if let Some(other) = other.filter(|other| other.contradiction(limit).is_none()) {
                other.apply(limit);
            }
        }
        let other = overrides.maintenance.as_ref().filter(|other| goes_on(other.until, now));
        if let Some(other) = other {
            let rule = &mut self.model.maintenance;
            rule.enabled = other.enabled;
            rule.until = other.until;
            rule.message = other.message.clone().or_else(|| rule.message.take());
            rule.retry_after = other.retry_after.unwrap_or(rule.retry_after);
        }
        self
    }

    /// The limit that the client `key` is counted by: `limit`, unless that client was let in
    /// again at run time. Linear in the number of such clients.
    pub fn limit_for<'p>(&self, limit: &'p Limit, key: &LimitKey) -> Cow<'p, Limit> {
        // The last word on a client counts.
        match self.forgiven.iter().rfind(|(client, _)| client == key.as_bytes()) {
            None => Cow::Borrowed(limit),
            Some(&(_, at)) => Cow::Owned(Limit { forgiven: Some(at), ..limit.clone() }),
        }
    }
}

impl Unblocked {
    /// The JSON.
    fn to_value(&self) -> Value {
        let mut all = Map::new();
        all.insert("limit".into(), (&*self.limit).into());
        all.insert("client".into(), (&*self.client).into());
        all.insert("at".into(), Rfc3339(self.at).to_string().into());
        Value::Object(all)
    }

    /// What is wrong with how the client is written.
    fn check(&self) -> Result<(), Malformed> {
        match LimitKey::parse(&self.limit, &self.client) {
            Some(_) if self.client.len() <= CLIENT_MAX => Ok(()),
            _ => Err(Malformed::new(
                format!("`{}` is no client", self.client.escape_debug()),
                "write it like `ip:192.0.2.1`, `user:ada` or `anonymous`",
            )),
        }
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
        let limit = match limit_named(policy, name, || format!("limits.{name}")) {
            Ok(limit) => limit,
            Err(objection) => return Some(objection),
        };
        let (field, bad) = self.contradiction(limit)?.explain();
        Some(bad.at(format!("limits.{name}.{field}")))
    }

    /// What of the changed limit would contradict itself.
    fn contradiction(&self, limit: &Limit) -> Option<Contradiction> {
        if self.burst.is_some() && limit.algorithm != Algorithm::Gcra {
            return Some(Contradiction::Burst);
        }
        let window = self.limit.map_or(limit.window, |(_, window)| window);
        let block = self.block.or(limit.block)?;
        let is_short = !block.is_zero() && block < window;
        (is_short && limit.algorithm == Algorithm::SlidingWindow)
            .then_some(Contradiction::Block { block, window })
    }

    fn apply(&self, limit: &mut Limit) {
        if let Some((quota, window)) = self.limit {
            (limit.quota, limit.window) = (quota, window);
            // The numbers of a binding are those it was deployed with.
            if limit.stores.edge == EdgeStore::Colo {
                limit.stores.edge = EdgeStore::Global;
            }
        }
        limit.burst = self.burst.unwrap_or(limit.burst);
        limit.block = self.block.or(limit.block);
    }
}

/// Whether what ends then, or never, goes on at `now`.
fn goes_on(until: Option<Timestamp>, now: Timestamp) -> bool {
    until.is_none_or(|until| now < until)
}

/// The limit of this name; an objection is to the place where it is named.
fn limit_named<'p>(
    policy: &'p Policy,
    name: &str,
    place: impl FnOnce() -> String,
) -> Result<&'p Limit, Objection> {
    let limits = &policy.model.limits;
    limits.iter().find(|limit| limit.name == *name).ok_or_else(|| {
        let known: Vec<_> = limits.iter().map(|l| format!("`{}`", l.name)).collect();
        let hint = match known.is_empty() {
            true => "the policy has no limits".into(),
            false => format!("known are {}", known.join(", ")),
        };
        Objection { place: place(), message: format!("no limit is named `{name}`"), hint }
    })
}

/// What of a changed limit contradicts itself.
enum Contradiction {
    /// A burst without a pace.
    Burst,
    /// A block that is shorter than the window.
    Block { block: Duration, window: Duration },
}

impl Contradiction {
    /// The field, and what is wrong with it.
    fn explain(&self) -> (&'static str, Malformed) {
        match self {
            Self::Burst => (
                "burst",
                Malformed::new(
                    "a `burst` means nothing without the even pace of `gcra`",
                    "leave it out, or change `algorithm` in the policy",
                ),
            ),
            Self::Block { block, window } => (
                "block",
                Malformed::new(
                    format!(
                        "a block of {} is shorter than the window: behind it more would pass than the limit",
                        DurationText(*block)
                    ),
                    format!("block for {} at least, or for 0s", DurationText(*window)),
                ),
            ),
        }
    }
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

impl Malformed {
    fn at(self, place: impl Into<String>) -> Objection {
        Objection { place: place.into(), message: self.message, hint: self.hint }
    }
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
