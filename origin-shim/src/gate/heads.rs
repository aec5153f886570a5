//! Heads on their way into the store.

use http::HeaderMap;
use tidegate_core::{Tier, forward, response};

use crate::upstream;

/// A head without what is never stored (RFC 9111 §3.1), in a table that has room for no more.
pub(super) fn storable(head: &HeaderMap) -> HeaderMap {
    let directives = response::directives(Tier::Origin, head);
    let lines = head.iter().filter(|(name, _)| forward::is_stored(name.as_str(), &directives));
    let lines: Vec<_> = lines.collect();
    let mut stored = HeaderMap::with_capacity(lines.len());
    for (name, value) in lines {
        stored.append(name, value.clone());
    }
    stored
}

/// The stored head with the fields of a 304 in place of its own (RFC 9111 §3.2).
pub(super) fn merge(stored: &HeaderMap, update: &HeaderMap) -> HeaderMap {
    let update = upstream::end_to_end(update);
    let mut merged = stored.clone();
    for name in update.keys().filter(|name| !forward::is_kept_on_update(name.as_str())) {
        merged.remove(name);
        for value in update.get_all(name) {
            merged.append(name.clone(), value.clone());
        }
    }
    merged
}
