//! What became of a request, for those who watch from outside.
//!
//! What is counted is what the answer says of itself in `X-Cache` and `Cache-Status`, so that
//! clients, metrics and logs have the same words.

use std::time::Instant;

use http::{HeaderMap, Response};
use tidegate_core::{Plan, Policy, Tier};

use crate::body::Body;
use crate::clock;
use crate::gate::Shared;
use crate::in_force::InForce;
use crate::metrics::{Answered, Miss, PREFLIGHT};
use crate::overlay;
use crate::request_log::Line;
use crate::tracing::Span;

/// One request's.
#[derive(Debug)]
pub(crate) struct Account {
    begun: Instant,
    /// Its place in a trace, where the policy wants one.
    span: Option<Span>,
}

/// What its answer does not say of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Plain,
    /// It has waited for the answer to another one like it.
    Collapsed,
    /// A browser asks by it whether it may ask (CORS).
    Preflight,
}

/// Who asked for what.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a http::Method,
    /// As it came, without the query.
    pub(crate) path: &'a str,
}

impl Account {
    /// Of a request that begins.
    pub(crate) fn open() -> Self {
        Self { begun: Instant::now(), span: None }
    }

    /// Puts the request into a trace, and that into its fields, if `policy` wants that.
    pub(crate) fn trace(&mut self, policy: &Policy, fields: &mut HeaderMap) {
        if policy.model().shim.tracing {
            self.span = Span::begin(fields);
        }
    }

    /// Counts the request with its answer, and writes its line if there is to be one. Fields that
    /// the policy adds come later, since they may replace those that are read here.
    pub(crate) fn close(
        &self,
        shared: &Shared,
        in_force: &InForce,
        asked: Option<Asked<'_>>,
        plan: Option<&Plan<'_>>,
        kind: Kind,
        response: &Response<Body>,
    ) {
        let outcome = match kind {
            Kind::Preflight => PREFLIGHT,
            Kind::Plain | Kind::Collapsed => {
                let said = overlay::first(response, "x-cache");
                said.and_then(|value| str::from_utf8(value).ok()).unwrap_or("NONE")
            }
        };
        let reason = if outcome == "HIT" { None } else { reason(response) };
        let (status, took) = (response.status().as_u16(), self.begun.elapsed());
        in_force.metrics.of(plan).count(&Answered {
            method: asked.map_or("", |asked| asked.method.as_str()),
            status,
            outcome,
            reason,
            collapsed: kind == Kind::Collapsed && outcome == "HIT",
            took,
        });
        let Some(Asked { method, path }) = asked else { return };
        let route = plan.and_then(|plan| plan.route).map_or("", |route| &route.name);
        shared.hottest().sample(route, path);
        if outcome != "HIT" && kind != Kind::Preflight {
            let at = clock::now();
            shared.misses().note(at, || Miss {
                at,
                route: route.into(),
                path: path.into(),
                outcome: outcome.into(),
                reason: reason.unwrap_or_default().into(),
                status,
            });
        }
        let line = || Line {
            at: clock::now(),
            route: route.into(),
            method: method.clone(),
            path: path.into(),
            status,
            outcome: outcome.into(),
            reason: reason.unwrap_or_default().into(),
            took,
            span: self.span.map(|span| span.own),
        };
        if in_force.policy.model().shim.log.has(outcome) {
            shared.log().write(line());
        }
        #[cfg(feature = "otel")]
        if let (Some(span), Some(exporter)) = (self.span, shared.exporter())
            && span.own.is_sampled()
        {
            exporter.export(line(), span.parent);
        }
    }
}

/// Why the cache did not just answer, in the word of this hop's `Cache-Status`, which stands last:
/// its detail, else why the request went forward.
fn reason(response: &Response<Body>) -> Option<&str> {
    let own = str::from_utf8(overlay::last(response, "cache-status")?).ok()?;
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
        let mut response = Response::new(Body::empty());
        let fields = response.headers_mut();
        fields.append("cache-status", "another; hit; detail=theirs".parse().unwrap());
        let outcome = match why {
            Some(why) => Outcome::Forward { why, status: Some(200), stored: Some(Ttl(60)) },
            None => Outcome::Hit { ttl: Ttl(-1) },
        };
        let cache = Tier::Origin.cache_name();
        respond::cache_status(fields, &CacheStatus { cache, outcome, key, detail });
        reason(&response).unwrap_or_default().to_owned()
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
