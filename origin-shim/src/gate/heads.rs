//! Heads on their way into the store.

use http::HeaderMap;
use tidegate_core::{Tier, forward, response};

use crate::stored_head::StoredHead;
use crate::upstream;

/// A head without what is never stored (RFC 9111 §3.1).
pub(super) fn storable(head: &HeaderMap) -> StoredHead {
    let directives = response::directives(Tier::Origin, head);
    StoredHead::of_some(head, |name| forward::is_stored(name, &directives))
}

/// The stored head with the fields of a 304 in place of its own (RFC 9111 §3.2).
pub(super) fn merge(stored: &StoredHead, update: &HeaderMap) -> HeaderMap {
    let update = upstream::end_to_end(update);
    let mut merged = stored.to_map();
    for name in update.keys().filter(|name| !forward::is_kept_on_update(name.as_str())) {
        merged.remove(name);
        for value in update.get_all(name) {
            merged.append(name.clone(), value.clone());
        }
    }
    merged
}
