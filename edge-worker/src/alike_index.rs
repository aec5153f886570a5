//! Which stored answers suit other queries than the one they were asked for (No-Vary-Search):
//! [`tidegate_core::alike`], as far as this isolate has seen. The Cache API lists nothing, and to
//! ask it would cost every miss a question; what an isolate does not know costs it a miss.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tidegate_core::CacheKey;
use tidegate_core::alike::{Alike, Alikes};

/// Paths remembered at most: a few megabytes with the longest queries of each.
const PATHS_MAX: usize = 256;
/// Bytes of a query that is remembered at most.
const QUERY_MAX: usize = 512;

thread_local! {
    static PATHS: RefCell<BTreeMap<Box<[u8]>, Alikes<CacheKey>>> = RefCell::default();
}

/// Whether there is no use in asking.
pub(crate) fn is_empty() -> bool {
    PATHS.with_borrow(BTreeMap::is_empty)
}

/// Remembers which queries an answer suits that is stored under `alike.key`.
pub(crate) fn remember(path: &CacheKey, query: Option<&str>, alike: Alike<CacheKey>) {
    if query.is_some_and(|query| query.len() > QUERY_MAX) {
        return;
    }
    PATHS.with_borrow_mut(|paths| {
        if paths.len() >= PATHS_MAX && !paths.contains_key(path.as_bytes()) {
            paths.clear();
        }
        paths.entry(path.as_bytes().into()).or_default().remember(alike);
    });
}

/// The answers that may suit `query`, the latest first.
pub(crate) fn suiting(path: &CacheKey, query: Option<&str>) -> Vec<Alike<CacheKey>> {
    PATHS.with_borrow(|paths| {
        let known = paths.get(path.as_bytes());
        known.map(|known| known.suiting(query).cloned().collect()).unwrap_or_default()
    })
}
