//! Where a decision is made.

use crate::headers::targeted::TargetedField;

/// One of the two places that apply the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// At the CDN, in the worker.
    Edge,
    /// On the origin's machine, in the shim.
    Origin,
}

impl Tier {
    /// The name in the policy.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Origin => "origin",
        }
    }

    /// The name of this hop in Cache-Status.
    pub const fn cache_name(self) -> &'static str {
        match self {
            Self::Edge => "tidegate-edge",
            Self::Origin => "tidegate-origin",
        }
    }

    /// The targeted fields that this cache heeds, in the order of precedence (RFC 9213 §2.2).
    /// The shim is a gateway on behalf of the origin, purged with the CDN, so what is meant
    /// for CDN caches is meant for it, unless it names one company's.
    pub const fn targets(self) -> &'static [TargetedField] {
        use TargetedField::{CdnCacheControl, CloudflareCdnCacheControl, SurrogateControl};
        match self {
            Self::Edge => &[CloudflareCdnCacheControl, CdnCacheControl, SurrogateControl],
            Self::Origin => &[CdnCacheControl, SurrogateControl],
        }
    }
}

/// The name by which answers address this cache in Surrogate-Control, and which requests to
/// upstreams announce in Surrogate-Capability.
pub const SURROGATE_DEVICE: &str = "tidegate";
