//! Can the stored copy answer? (RFC 9111 §4)

use core::time::Duration;

use crate::headers::cache_status::Fwd;
use crate::headers::{Fields, RequestDirectives};
use crate::request::Request;
use crate::rule::{CacheRule, ClientDirectives};
use crate::stored::Stored;
use crate::time::Timestamp;

/// The answer to "can the stored copy answer?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    /// Yes: it is fresh.
    Serve {
        /// Its age, for the Age field (§5.1).
        age: Duration,
        /// How long it stays fresh.
        ttl: Duration,
    },
    /// Yes, although it is stale.
    ServeStale {
        /// Its age, for the Age field (§5.1).
        age: Duration,
        /// For how long it has been stale.
        staleness: Duration,
        /// Refresh it in the background (RFC 5861 §3); otherwise the client asked for stale.
        refresh: bool,
    },
    /// Only if the origin confirms it (§4.3).
    Revalidate(ForwardReason),
    /// No: the origin must answer.
    Forward(ForwardReason),
    /// No, and the client does not want the origin to be asked: 504 (§5.2.1.7).
    Unsatisfiable,
}

/// Why the stored copy alone does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardReason {
    /// Nothing is stored under this key.
    UriMiss,
    /// What is stored was chosen by other request fields (§4.1).
    VaryMiss,
    /// It is stale (§4.2).
    Stale,
    /// The origin wants to be asked every time (`no-cache`, §5.2.2.4).
    NoCache,
    /// The client wants it confirmed (`no-cache`, §5.2.1.4).
    RequestNoCache,
    /// It is older than the client accepts (`max-age`, §5.2.1.1).
    RequestMaxAge,
    /// It is not fresh for as long as the client wants (`min-fresh`, §5.2.1.3).
    RequestMinFresh,
}

impl ForwardReason {
    /// The token for Cache-Status.
    pub const fn fwd(self) -> Fwd {
        match self {
            Self::UriMiss => Fwd::UriMiss,
            Self::VaryMiss => Fwd::VaryMiss,
            Self::Stale | Self::NoCache => Fwd::Stale,
            Self::RequestNoCache | Self::RequestMaxAge | Self::RequestMinFresh => Fwd::Request,
        }
    }

    /// The word for logs, Cache-Status and `explain`, where the token does not say it all.
    pub const fn detail(self) -> Option<&'static str> {
        match self {
            Self::UriMiss | Self::VaryMiss | Self::Stale => None,
            Self::NoCache => Some("no-cache"),
            Self::RequestNoCache => Some("request-no-cache"),
            Self::RequestMaxAge => Some("request-max-age"),
            Self::RequestMinFresh => Some("request-min-fresh"),
        }
    }
}

/// What a store found under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Nothing.
    Nothing,
    /// Answers that other request fields chose.
    OtherVariants,
    /// An answer for this request.
    Found(Stored),
}

/// Decides whether what a store found answers `request` under `rule`. Constant time, no
/// allocation.
pub fn reuse<F: Fields + ?Sized>(
    rule: &CacheRule,
    request: &Request<'_, F>,
    found: &Lookup,
    now: Timestamp,
) -> Reuse {
    let asked = match rule.client_directives {
        ClientDirectives::Honour => request.directives,
        ClientDirectives::Ignore => RequestDirectives::default(),
    };
    let decision = match found {
        Lookup::Nothing => Reuse::Forward(ForwardReason::UriMiss),
        Lookup::OtherVariants => Reuse::Forward(ForwardReason::VaryMiss),
        Lookup::Found(stored) => judge(stored, &asked, now),
    };
    match decision {
        Reuse::Revalidate(_) | Reuse::Forward(_) if asked.only_if_cached => Reuse::Unsatisfiable,
        decision => decision,
    }
}

fn judge(stored: &Stored, asked: &RequestDirectives, now: Timestamp) -> Reuse {
    let ask_origin = |why| match stored.has_validator {
        true => Reuse::Revalidate(why),
        false => Reuse::Forward(why),
    };
    if asked.no_cache {
        return ask_origin(ForwardReason::RequestNoCache);
    }
    if stored.always_revalidate {
        return ask_origin(ForwardReason::NoCache);
    }
    let age = stored.age(now);
    if asked.max_age.is_some_and(|limit| age > seconds(limit)) && asked.max_stale.is_none() {
        return ask_origin(ForwardReason::RequestMaxAge);
    }
    match stored.fresh_for(now) {
        Some(ttl) if asked.min_fresh.is_some_and(|wanted| ttl < seconds(wanted)) => {
            ask_origin(ForwardReason::RequestMinFresh)
        }
        Some(ttl) => Reuse::Serve { age, ttl },
        None => {
            let staleness = stored.staleness(now);
            let accepted = asked.max_stale.is_some_and(|limit| limit.accepts(staleness));
            // §4.2.4: what forbids stale holds against the client's wish too.
            if accepted && !stored.forbids_stale {
                return Reuse::ServeStale { age, staleness, refresh: false };
            }
            if now < stored.serve_while_refreshing_until {
                return Reuse::ServeStale { age, staleness, refresh: true };
            }
            ask_origin(ForwardReason::Stale)
        }
    }
}

/// Whether a stale answer may serve now that the origin has failed: with 500, 502, 503 or
/// 504, or by not answering at all (RFC 5861 §4).
pub fn serves_on_error(stored: &Stored, now: Timestamp) -> bool {
    !stored.forbids_stale && !stored.always_revalidate && now < stored.serve_on_error_until
}

/// Whether a status from upstream is a failure in the sense of RFC 5861 §4.
pub const fn is_upstream_failure(status: u16) -> bool {
    matches!(status, 500 | 502 | 503 | 504)
}

const fn seconds(count: u32) -> Duration {
    Duration::from_secs(count as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Host, Scheme};
    use crate::key::KeyRule;
    use crate::method::Method;
    use crate::rule::Mode;
    use crate::target::Target;

    const STORED_AT: Timestamp = Timestamp::from_secs(1_795_000_000);

    /// Fresh for 60 s, stale while refreshed for 30 s more, on error for 300 s more.
    const STORED: Stored = Stored {
        status: 200,
        received_at: STORED_AT,
        initial_age_ms: 5000,
        fresh_until: Timestamp::from_secs(1_795_000_060),
        serve_while_refreshing_until: Timestamp::from_secs(1_795_000_090),
        serve_on_error_until: Timestamp::from_secs(1_795_000_360),
        forbids_stale: false,
        always_revalidate: false,
        has_validator: true,
    };

    fn ask(cache_control: &str, stored: Stored, after: u64) -> Reuse {
        let rule = CacheRule {
            mode: Mode::Respect,
            ttl: None,
            stale_while_revalidate: None,
            stale_if_error: None,
            client_directives: ClientDirectives::Honour,
            key: KeyRule::default(),
        };
        let host = Host::parse("h", Scheme::Https).unwrap();
        let target = Target::parse("/").unwrap();
        let fields = [("cache-control", cache_control)];
        let request = Request::read(Method::Get, Scheme::Https, &host, &target, &fields);
        reuse(&rule, &request, &Lookup::Found(stored), STORED_AT + seconds(after as u32))
    }

    #[test]
    fn fresh_serves_then_stale_while_refreshing_then_revalidation() {
        assert_eq!(ask("", STORED, 59), Reuse::Serve { age: seconds(64), ttl: seconds(1) });
        assert_eq!(
            ask("", STORED, 60),
            Reuse::ServeStale { age: seconds(65), staleness: seconds(0), refresh: true }
        );
        assert_eq!(ask("", STORED, 90), Reuse::Revalidate(ForwardReason::Stale));
        let bare = Stored { has_validator: false, ..STORED };
        assert_eq!(ask("", bare, 90), Reuse::Forward(ForwardReason::Stale));
    }

    #[test]
    fn request_directives_narrow_and_widen_as_the_rfc_says() {
        use ForwardReason::*;
        for (asked, after, expected) in [
            ("no-cache", 1, Reuse::Revalidate(RequestNoCache)),
            ("max-age=5", 1, Reuse::Revalidate(RequestMaxAge)),
            ("max-age=6", 1, Reuse::Serve { age: seconds(6), ttl: seconds(59) }),
            ("min-fresh=60", 1, Reuse::Revalidate(RequestMinFresh)),
            ("min-fresh=59", 1, Reuse::Serve { age: seconds(6), ttl: seconds(59) }),
            (
                "max-stale",
                500,
                Reuse::ServeStale { age: seconds(505), staleness: seconds(440), refresh: false },
            ),
            (
                "max-stale=440",
                500,
                Reuse::ServeStale { age: seconds(505), staleness: seconds(440), refresh: false },
            ),
            ("max-stale=439", 500, Reuse::Revalidate(Stale)),
            ("only-if-cached", 500, Reuse::Unsatisfiable),
            ("only-if-cached", 1, Reuse::Serve { age: seconds(6), ttl: seconds(59) }),
        ] {
            assert_eq!(ask(asked, STORED, after), expected, "{asked} after {after} s");
        }
    }

    #[test]
    fn what_forbids_stale_holds_against_client_and_failing_origin() {
        let strict = Stored {
            forbids_stale: true,
            serve_while_refreshing_until: STORED.fresh_until,
            ..STORED
        };
        assert_eq!(ask("max-stale", strict, 61), Reuse::Revalidate(ForwardReason::Stale));
        assert!(!serves_on_error(&strict, STORED_AT + seconds(61)));
        assert!(serves_on_error(&STORED, STORED_AT + seconds(359)));
        assert!(!serves_on_error(&STORED, STORED_AT + seconds(360)));
    }

    #[test]
    fn no_cache_of_the_origin_asks_every_time() {
        let careful = Stored { always_revalidate: true, ..STORED };
        assert_eq!(ask("", careful, 1), Reuse::Revalidate(ForwardReason::NoCache));
        assert!(!serves_on_error(&careful, STORED_AT));
    }
}
