//! Where the states of a limit live. The core only names the places; the shells have them.

use serde::{Deserialize, Serialize};

use crate::tier::Tier;

/// The stores of one limit, and what to do without them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stores {
    /// At the edge.
    #[serde(default)]
    pub edge: EdgeStore,
    /// At the origin.
    #[serde(default)]
    pub origin: OriginStore,
    /// What a request gets whose store does not answer.
    #[serde(default)]
    pub on_error: OnStoreError,
}

/// Where the edge counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EdgeStore {
    /// In each isolate by itself: free, and as much looser as there are isolates.
    Local,
    /// By Cloudflare's rate limit binding, in each of its locations ([`super::colo`]): no way to
    /// go, loosely counted, and nothing told but yes and no.
    Colo,
    /// In one Durable Object for each client and limit: exact, worldwide.
    #[default]
    Global,
}

/// Where the shim counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OriginStore {
    /// In the memory of each process.
    #[default]
    Local,
    /// In the Redis of the policy, which all shims share ([`crate::policy::Redis`]).
    Redis,
}

/// What a request gets whose store does not answer. That is no verdict of the limit, and
/// nothing is told to the client about its quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnStoreError {
    /// It is counted in local memory (R8): looser, but never without a limit.
    #[default]
    Local,
    /// It passes, uncounted.
    Allow,
    /// It is refused with 503: what is behind matters more than that it can be reached.
    Deny,
}

impl Stores {
    /// Where `tier` counts, in words.
    pub const fn on(&self, tier: Tier) -> &'static str {
        match (tier, self.edge, self.origin) {
            (Tier::Edge, EdgeStore::Local, _) => "in each isolate",
            (Tier::Edge, EdgeStore::Colo, _) => "in each location of Cloudflare",
            (Tier::Edge, EdgeStore::Global, _) => "in one place worldwide",
            (Tier::Origin, _, OriginStore::Local) => "in each process",
            (Tier::Origin, _, OriginStore::Redis) => "in Redis, for all shims together",
        }
    }

    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
