//! Which stored answers suit other queries than the one they were asked for
//! (No-Vary-Search).

use std::sync::Arc;

use quick_cache::sync::Cache;
use tidegate_core::CacheKey;
use tidegate_core::headers::no_vary_search::NoVarySearch;

/// Paths remembered at most; those used least are forgotten, which costs later misses.
const PATHS_MAX: usize = 1 << 14;
/// Queries remembered of one path at most; the oldest goes first.
const QUERIES_MAX: usize = 16;

/// A stored answer and the queries it suits.
#[derive(Debug)]
pub struct Alike {
    /// What it is stored under.
    pub key: CacheKey,
    /// What it was asked for with.
    pub query: Option<String>,
    /// Which differences from that make no difference.
    pub variance: NoVarySearch,
}

/// Stored answers by their keys without query.
#[derive(Debug)]
pub struct AlikeIndex {
    paths: Cache<CacheKey, Arc<[Arc<Alike>]>>,
}

impl AlikeIndex {
    /// Nothing: then there is no use in asking.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Remembers which queries an answer suits.
    pub fn remember(&self, path: CacheKey, alike: Alike) {
        let before = self.paths.get(&path);
        let mut known: Vec<Arc<Alike>> = before
            .iter()
            .flat_map(|known| known.iter())
            .filter(|other| other.key != alike.key)
            .cloned()
            .collect();
        let surplus = (known.len() + 1).saturating_sub(QUERIES_MAX);
        known.drain(..surplus);
        known.push(Arc::new(alike));
        self.paths.insert(path, known.into());
    }

    /// The keys of the answers that suit `query`, the latest first.
    pub fn suiting(&self, path: &CacheKey, query: Option<&str>) -> Vec<CacheKey> {
        let known = self.paths.get(path);
        let suits =
            |alike: &&Arc<Alike>| alike.variance.are_equivalent(alike.query.as_deref(), query);
        let known = known.iter().flat_map(|known| known.iter().rev());
        known.filter(suits).map(|alike| alike.key.clone()).collect()
    }
}

impl Default for AlikeIndex {
    fn default() -> Self {
        Self { paths: Cache::new(PATHS_MAX) }
    }
}
