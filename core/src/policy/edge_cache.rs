//! Which of Cloudflare's caches keeps the answers of a route at the edge.

use serde::{Deserialize, Serialize};

/// A cache of the platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeCache {
    /// The Cache API: one for each data centre, in which every decision is ours.
    #[default]
    CacheApi,
    /// The zone's own, before the origin: tiered, and with keys of its own.
    Zone,
    /// Workers Cache, before a second Worker: tiered, and with our keys.
    WorkersCache,
}

impl EdgeCache {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
