//! Which stored answers suit other queries than the one they were asked for
//! (No-Vary-Search): [`tidegate_core::alike`], for all paths.

use std::sync::Arc;

use quick_cache::sync::Cache;
use tidegate_core::CacheKey;
use tidegate_core::alike::{Alike, Alikes};

/// Paths remembered at most; those used least are forgotten, which costs later misses.
const PATHS_MAX: usize = 1 << 14;

/// Stored answers by their keys without query.
#[derive(Debug)]
pub struct AlikeIndex {
    paths: Cache<CacheKey, Arc<Alikes<CacheKey>>>,
}

impl AlikeIndex {
    /// Nothing: then there is no use in asking.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Remembers which queries an answer suits.
    pub fn remember(&self, path: CacheKey, alike: Alike<CacheKey>) {
        let mut known = self.of(&path).map(Arc::unwrap_or_clone).unwrap_or_default();
        known.remember(alike);
        self.paths.insert(path, known.into());
    }

    /// What is remembered of a path.
    pub fn of(&self, path: &CacheKey) -> Option<Arc<Alikes<CacheKey>>> {
        self.paths.get(path)
    }
}

impl Default for AlikeIndex {
    fn default() -> Self {
        Self { paths: Cache::new(PATHS_MAX) }
    }
}
