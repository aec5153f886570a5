//! What became of a request, for those who watch from outside.
//!
//! What is counted is what the answer says of itself in `X-Cache` and `Cache-Status`, so that
//! clients, metrics and logs have the same words.

use std::time::Instant;

use http::header::HeaderName;
use http::{HeaderMap, Response};
use tidegate_core::{Plan, Tier};

use crate::body::Body;
use crate::in_force::InForce;
use crate::metrics::Answered;

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// One request's.
#[derive(Debug)]
pub(crate) struct Account {
    begun: Instant,
}

impl Account {
    /// Of a request that begins.
    pub(crate) fn open() -> Self {
        Self { begun: Instant::now() }
    }

    /// Counts the request with its answer. Fields that the policy adds come later, since they may
    /// replace those that are read here.
    pub(crate) fn close(
        &self,
        in_force: &InForce,
        method: &str,
        plan: Option<&Plan<'_>>,
        collapsed: bool,
        response: &Response<Body>,
    ) {
        let fields = response.headers();
        let outcome = fields.get(X_CACHE).map_or(&b"NONE"[..], |value| value.as_bytes());
        let reason = if outcome == b"HIT" { None } else { reason(fields) };
        in_force.metrics.of(plan).count(&Answered {
            method,
            status: response.status().as_u16(),
            outcome,
            reason,
            collapsed: collapsed && outcome == b"HIT",
            took: self.begun.elapsed(),
        });
    }
}

/// Why the cache did not just answer, in the word of this hop's `Cache-Status`, which stands last:
/// its detail, else why the request went forward.
fn reason(fields: &HeaderMap) -> Option<&str> {
    let own = fields.get_all(CACHE_STATUS).iter().next_back()?.to_str().ok()?;
    // The detail stands last; behind a key that looks like one is its quotation mark.
    let detail =
        own.rsplit_once("; detail=").map(|(_, detail)| detail).filter(|detail| is_word(detail));
    detail.or_else(|| {
        let said = own.strip_prefix(Tier::Origin.cache_name())?.strip_prefix("; fwd=")?;
        Some(said.split(';').next().unwrap_or(said)).filter(|why| is_word(why))
    })
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::headers::cache_status::{CacheStatus, Fwd, Outcome, Ttl};
    use tidegate_core::respond;

    fn reason_of(key: Option<&str>, detail: Option<&'static str>, why: Option<Fwd>) -> String {
        let mut fields = HeaderMap::new();
        fields.append(CACHE_STATUS, "another; hit; detail=theirs".parse().unwrap());
        let outcome = match why {
            Some(why) => Outcome::Forward { why, status: Some(200), stored: Some(Ttl(60)) },
            None => Outcome::Hit { ttl: Ttl(-1) },
        };
        let cache = Tier::Origin.cache_name();
        respond::cache_status(&mut fields, &CacheStatus { cache, outcome, key, detail });
        reason(&fields).unwrap_or_default().to_owned()
    }

    #[test]
    fn p10_the_reason_is_the_word_that_clients_read() {
        let (stale, miss) = (Some(Fwd::Stale), Some(Fwd::UriMiss));
        assert_eq!(reason_of(None, Some("set-cookie"), miss), "set-cookie");
        assert_eq!(reason_of(Some("user:1"), Some("set-cookie"), miss), "set-cookie");
        assert_eq!(reason_of(Some("user:1"), None, miss), "uri-miss");
        assert_eq!(reason_of(None, None, stale), "stale");
        assert_eq!(reason_of(None, None, None), "", "not that of another cache");
        assert_eq!(reason_of(Some("a; detail=x"), None, miss), "uri-miss", "a key is no word");
        assert_eq!(reason_of(Some("a; detail=x"), Some("y"), miss), "y");
    }
}
