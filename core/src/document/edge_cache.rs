//! Which of Cloudflare's caches keeps a route's answers, and what that cannot do.

use alloc::format;
use alloc::string::String;

use super::declare::words;
use super::decode::{Context, FromText, Located};
use crate::policy::{EdgeCache, Malformed};
use crate::rule::{CacheRule, Mode};

words!(EdgeCache, "cache of the edge", {
    "cache-api" => Self::CacheApi,
    "zone" => Self::Zone,
    "workers-cache" => Self::WorkersCache,
});

/// Refuses what the cache cannot do as the route says; what it would get wrong in silence above all.
pub(super) fn check(
    cache: &Located<EdgeCache>,
    rule: Option<&CacheRule>,
    (name, hosts): (&str, usize),
    context: &mut Context<'_>,
) {
    let mut refuse = |message: String, hint: &str| {
        context.report(cache.span.clone(), message, hint);
    };
    let Some(rule) = rule else {
        refuse(
            format!("the edge keeps nothing of `{name}`"),
            "give the route an `edge` rule, or leave it out",
        );
        return;
    };
    if cache.value != EdgeCache::Zone {
        return;
    }
    if rule.mode != Mode::Respect || !rule.unsafe_ignore.is_empty() {
        refuse(
            format!("the zone's cache keeps `{name}` by the origin's word alone"),
            "write `edge = \"respect\"`: a time of ours would have it keep `private` and `no-store`, too",
        );
    }
    if rule.stale_while_revalidate.is_some() || rule.stale_if_error.is_some() {
        refuse(
            format!("the stale windows of `{name}` mean nothing to the zone's cache"),
            "have the origin say `stale-while-revalidate` in Cache-Control",
        );
    }
    if !rule.key.is_plain() {
        refuse(
            format!("the zone's cache has a key of its own, and `{name}` wants another"),
            "leave `key` out, or use `edge_cache = \"workers-cache\"`",
        );
    }
    if hosts != 1 {
        refuse(
            format!("the zone's cache would mix up the hosts of `{name}`"),
            "give the route the one `host` that it is for: the origin has one name for all",
        );
    }
}
