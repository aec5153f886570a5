//! Can the stored copy answer? (RFC 9111 §4)

use alloc::sync::Arc;
use core::time::Duration;

use crate::headers::cache_status::Fwd;
use crate::headers::{Fields, RequestDirectives};
use crate::method::Method;
use crate::request::Request;
use crate::rule::{CacheRule, ClientDirectives};
use crate::stored::Stored;
use crate::time::Timestamp;

/// What a store found under a key; `A` is how it holds an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<A> {
    /// Nothing.
    Nothing,
    /// Answers that other request fields chose.
    OtherVariants,
    /// An answer for this request.
    Found(A),
}

/// An answer as a store holds it.
pub trait Answer {
    /// The facts to judge it by.
    fn stored(&self) -> &Stored;
}

/// The answer to "can the stored copy answer?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse<A> {
    /// Yes: it is fresh.
    Serve {
        /// What was found.
        answer: A,
        /// Its age, for the Age field (§5.1).
        age: Duration,
        /// How long it stays fresh.
        ttl: Duration,
    },
    /// Yes, although it is stale.
    ServeStale {
        /// What was found.
        answer: A,
        /// Its age, for the Age field (§5.1).
        age: Duration,
        /// For how long it has been stale.
        staleness: Duration,
        /// Refresh it in the background (RFC 5861 §3); otherwise the client asked for stale.
        refresh: bool,
    },
    /// Only if the origin confirms it (§4.3).
    Revalidate {
        /// What was found; it has a validator.
        answer: A,
        /// Why it does not serve as it is.
        why: ForwardReason,
    },
    /// No: the origin must answer.
    Forward {
        /// What was found, if anything: it may still serve if the origin fails.
        fallback: Option<A>,
        /// Why it does not serve as it is.
        why: ForwardReason,
    },
    /// No, and the client does not want the origin to be asked: 504 (§5.2.1.7).
    Unsatisfiable,
}

/// Why the stored copy alone does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForwardReason {
    /// Nothing is stored under this key.
    UriMiss,
    /// The method is not one that a stored answer may serve.
    Method,
    /// What is stored was chosen by other request fields (§4.1).
    VaryMiss,
    /// It is stale (§4.2).
    Stale,
    /// A part is stored, but not what is asked for (§3.3).
    Partial,
    /// The origin wants to be asked every time (`no-cache`, §5.2.2.4).
    NoCache,
    /// The client wants it confirmed (`no-cache`, §5.2.1.4).
    RequestNoCache,
    /// It is older than the client accepts (`max-age`, §5.2.1.1).
    RequestMaxAge,
    /// It is not fresh for as long as the client wants (`min-fresh`, §5.2.1.3).
    RequestMinFresh,
}

impl<A> Reuse<A> {
    /// The stored answer that the decision is about, if any.
    pub const fn answer(&self) -> Option<&A> {
        match self {
            Self::Serve { answer, .. }
            | Self::ServeStale { answer, .. }
            | Self::Revalidate { answer, .. } => Some(answer),
            Self::Forward { fallback, .. } => fallback.as_ref(),
            Self::Unsatisfiable => None,
        }
    }

    /// Why the origin is to be asked, if it is and the same question of another client may stand
    /// for it: its answer, once stored, is one to this request, too (§4). Whoever wants
    /// confirmation wants it for itself.
    pub fn collapses<F: Fields + ?Sized>(&self, request: &Request<'_, F>) -> Option<ForwardReason> {
        let (Self::Revalidate { why, .. } | Self::Forward { why, .. }) = self else { return None };
        let is_shared =
            matches!(why, ForwardReason::UriMiss | ForwardReason::VaryMiss | ForwardReason::Stale);
        (is_shared && request.method == Method::Get && !request.has_range).then_some(*why)
    }

    /// What becomes of the decision where that answer is a part that lacks what is asked for,
    /// which it must not answer, fresh or stale (§3.3): the part, for the origin to complete, and
    /// why it is asked. `None` where the client does not want that: 504 (§5.2.1.7).
    pub fn for_the_rest<F: Fields + ?Sized>(
        self,
        rule: &CacheRule,
        request: &Request<'_, F>,
    ) -> Option<(A, ForwardReason)> {
        let (part, why) = match self {
            Self::Serve { answer, .. } | Self::ServeStale { answer, .. } => {
                (answer, ForwardReason::Partial)
            }
            Self::Revalidate { answer, why } => (answer, why),
            Self::Forward { fallback, why } => (fallback?, why),
            Self::Unsatisfiable => return None,
        };
        (!heeded(rule, request).only_if_cached).then_some((part, why))
    }
}

impl ForwardReason {
    /// The token for Cache-Status.
    pub const fn fwd(self) -> Fwd {
        match self {
            Self::UriMiss => Fwd::UriMiss,
            Self::Method => Fwd::Method,
            Self::VaryMiss => Fwd::VaryMiss,
            Self::Stale | Self::NoCache => Fwd::Stale,
            Self::Partial => Fwd::Partial,
            Self::RequestNoCache | Self::RequestMaxAge | Self::RequestMinFresh => Fwd::Request,
        }
    }

    /// The word for logs, Cache-Status and `explain`, where the token does not say it all.
    pub const fn detail(self) -> Option<&'static str> {
        match self {
            Self::UriMiss | Self::VaryMiss | Self::Stale | Self::Partial | Self::Method => None,
            Self::NoCache => Some("no-cache"),
            Self::RequestNoCache => Some("request-no-cache"),
            Self::RequestMaxAge => Some("request-max-age"),
            Self::RequestMinFresh => Some("request-min-fresh"),
        }
    }
}

/// Decides whether what a store found answers `request` under `rule`. Constant time, no
/// allocation.
pub fn reuse<A: Answer, F: Fields + ?Sized>(
    rule: &CacheRule,
    request: &Request<'_, F>,
    found: Lookup<A>,
    now: Timestamp,
) -> Reuse<A> {
    let asked = heeded(rule, request);
    let decision = match found {
        Lookup::Nothing => Reuse::Forward { fallback: None, why: ForwardReason::UriMiss },
        Lookup::OtherVariants => Reuse::Forward { fallback: None, why: ForwardReason::VaryMiss },
        Lookup::Found(answer) => judge(answer, &asked, now),
    };
    match decision {
        Reuse::Revalidate { .. } | Reuse::Forward { .. } if asked.only_if_cached => {
            Reuse::Unsatisfiable
        }
        decision => decision,
    }
}

/// The client's directives, as far as the policy honours them.
fn heeded<F: Fields + ?Sized>(rule: &CacheRule, request: &Request<'_, F>) -> RequestDirectives {
    match rule.client_directives {
        ClientDirectives::Honour => request.directives,
        ClientDirectives::Ignore => RequestDirectives::default(),
    }
}

fn judge<A: Answer>(answer: A, asked: &RequestDirectives, now: Timestamp) -> Reuse<A> {
    let stored = *answer.stored();
    let age = stored.age(now);
    let ttl = stored.fresh_for(now);
    if let Some(why) = objection(&stored, asked, age, ttl) {
        // Only a fresh answer goes unused for the client's sake (RFC 9211 §2.2).
        let is_stale = ttl.is_none() && why.fwd() == Fwd::Request;
        return ask_origin(answer, if is_stale { ForwardReason::Stale } else { why });
    }
    if let Some(ttl) = ttl {
        return Reuse::Serve { answer, age, ttl };
    }
    let staleness = stored.staleness(now);
    // §4.2.4: what forbids stale holds against the client's wish too.
    let accepted =
        !stored.forbids_stale && asked.max_stale.is_some_and(|limit| limit.accepts(staleness));
    match now < stored.serve_while_refreshing_until {
        _ if accepted => Reuse::ServeStale { answer, age, staleness, refresh: false },
        true => Reuse::ServeStale { answer, age, staleness, refresh: true },
        false => ask_origin(answer, ForwardReason::Stale),
    }
}

/// What origin or client have against an answer, fresh or stale.
fn objection(
    stored: &Stored,
    asked: &RequestDirectives,
    age: Duration,
    ttl: Option<Duration>,
) -> Option<ForwardReason> {
    // max-stale widens what max-age allows (§5.2.1.2).
    let too_old = |limit| age > seconds(limit) && asked.max_stale.is_none();
    let too_short = |wanted| ttl.is_some_and(|ttl| ttl < seconds(wanted));
    if asked.no_cache {
        Some(ForwardReason::RequestNoCache)
    } else if stored.always_revalidate {
        Some(ForwardReason::NoCache)
    } else if asked.max_age.is_some_and(too_old) {
        Some(ForwardReason::RequestMaxAge)
    } else if asked.min_fresh.is_some_and(too_short) {
        Some(ForwardReason::RequestMinFresh)
    } else {
        None
    }
}

fn ask_origin<A: Answer>(answer: A, why: ForwardReason) -> Reuse<A> {
    match answer.stored().has_validator {
        true => Reuse::Revalidate { answer, why },
        false => Reuse::Forward { fallback: Some(answer), why },
    }
}

impl Answer for Stored {
    fn stored(&self) -> &Stored {
        self
    }
}

impl<A: Answer + ?Sized> Answer for &A {
    fn stored(&self) -> &Stored {
        (**self).stored()
    }
}

impl<A: Answer + ?Sized> Answer for Arc<A> {
    fn stored(&self) -> &Stored {
        (**self).stored()
    }
}

/// The word for a stale answer that serves because the origin failed.
pub const STALE_IF_ERROR: &str = "stale-if-error";

/// Whether a stale answer may serve now that the origin has failed: with 500, 502, 503 or
/// 504, or by not answering at all (RFC 5861 §4).
pub fn serves_on_error(stored: &Stored, now: Timestamp) -> bool {
    !stored.forbids_stale && !stored.always_revalidate && now < stored.serve_on_error_until
}

/// The word for a stale answer that serves because nobody asks the origin at the moment.
pub const BREAKER_OPEN: &str = "breaker-open";

/// Whether a stale answer may serve while nobody asks the origin (P6): a cache that is cut off
/// from it may, for as long as need be, unless the origin forbids it (§4.2.4) and the policy does
/// not serve `anyway`.
pub const fn serves_while_open(stored: &Stored, anyway: bool) -> bool {
    anyway || !(stored.forbids_stale || stored.always_revalidate)
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
        part: None,
    };

    /// The decision in short.
    #[derive(Debug, PartialEq)]
    enum Short {
        Serve { age: u64, ttl: u64 },
        Stale { staleness: u64, refresh: bool },
        Revalidate(ForwardReason),
        Forward(ForwardReason),
        Unsatisfiable,
    }

    fn ask(cache_control: &str, stored: Stored, after: u32) -> Short {
        let rule = CacheRule {
            mode: Mode::Respect,
            ttl: None,
            status_ttl: Default::default(),
            stale_while_revalidate: None,
            stale_if_error: None,
            client_directives: ClientDirectives::Honour,
            unsafe_ignore: alloc::vec::Vec::new(),
            key: KeyRule::default(),
        };
        let host = Host::parse("h", Scheme::Https).unwrap();
        let target = Target::parse("/").unwrap();
        let fields = [("cache-control", cache_control)];
        let request = Request::read(Method::Get, Scheme::Https, &host, &target, &fields);
        match reuse(&rule, &request, Lookup::Found(stored), STORED_AT + seconds(after)) {
            Reuse::Serve { age, ttl, .. } => {
                Short::Serve { age: age.as_secs(), ttl: ttl.as_secs() }
            }
            Reuse::ServeStale { staleness, refresh, .. } => {
                Short::Stale { staleness: staleness.as_secs(), refresh }
            }
            Reuse::Revalidate { why, .. } => Short::Revalidate(why),
            Reuse::Forward { why, .. } => Short::Forward(why),
            Reuse::Unsatisfiable => Short::Unsatisfiable,
        }
    }

    #[test]
    fn fresh_serves_then_stale_while_refreshing_then_revalidation() {
        assert_eq!(ask("", STORED, 59), Short::Serve { age: 64, ttl: 1 });
        assert_eq!(ask("", STORED, 60), Short::Stale { staleness: 0, refresh: true });
        assert_eq!(ask("", STORED, 90), Short::Revalidate(ForwardReason::Stale));
        let bare = Stored { has_validator: false, ..STORED };
        assert_eq!(ask("", bare, 90), Short::Forward(ForwardReason::Stale));
    }

    #[test]
    fn request_directives_narrow_and_widen_as_the_rfc_says() {
        use ForwardReason::*;
        for (asked, after, expected) in [
            ("no-cache", 1, Short::Revalidate(RequestNoCache)),
            ("max-age=5", 1, Short::Revalidate(RequestMaxAge)),
            ("max-age=6", 1, Short::Serve { age: 6, ttl: 59 }),
            ("min-fresh=60", 1, Short::Revalidate(RequestMinFresh)),
            ("min-fresh=59", 1, Short::Serve { age: 6, ttl: 59 }),
            ("max-stale", 500, Short::Stale { staleness: 440, refresh: false }),
            ("max-stale=440", 500, Short::Stale { staleness: 440, refresh: false }),
            ("max-stale=439", 500, Short::Revalidate(Stale)),
            ("only-if-cached", 500, Short::Unsatisfiable),
            ("only-if-cached", 1, Short::Serve { age: 6, ttl: 59 }),
        ] {
            assert_eq!(ask(asked, STORED, after), expected, "{asked} after {after} s");
        }
    }

    #[test]
    fn c11_who_wants_confirmation_a_part_or_an_effect_waits_for_nobody_elses_answer() {
        let (host, target) = (Host::parse("h", Scheme::Https), Target::parse("/"));
        let (host, target) = (host.unwrap(), target.unwrap());
        let collapses = |why, method: &str, fields: &[(&str, &str)]| {
            let fields = fields.to_vec();
            let method = Method::parse(method);
            let request = Request::read(method, Scheme::Https, &host, &target, &fields);
            let decision = Reuse::<Stored>::Forward { fallback: None, why };
            decision.collapses(&request) == Some(why)
        };
        use ForwardReason::{NoCache, Partial, RequestMaxAge, RequestMinFresh, RequestNoCache};
        use ForwardReason::{Stale, UriMiss, VaryMiss};
        for why in [UriMiss, VaryMiss, Stale] {
            assert!(collapses(why, "GET", &[]));
        }
        for why in [NoCache, RequestNoCache, RequestMaxAge, RequestMinFresh, Partial] {
            assert!(!collapses(why, "GET", &[]), "{why:?}");
        }
        assert!(!collapses(UriMiss, "POST", &[]) && !collapses(UriMiss, "HEAD", &[]));
        assert!(!collapses(UriMiss, "GET", &[("range", "bytes=0-1")]));
    }

    #[test]
    fn what_forbids_stale_holds_against_client_and_failing_origin() {
        let strict = Stored {
            forbids_stale: true,
            serve_while_refreshing_until: STORED.fresh_until,
            ..STORED
        };
        assert_eq!(ask("max-stale", strict, 61), Short::Revalidate(ForwardReason::Stale));
        assert!(!serves_on_error(&strict, STORED_AT + seconds(61)));
        assert!(serves_on_error(&STORED, STORED_AT + seconds(359)));
        assert!(!serves_on_error(&STORED, STORED_AT + seconds(360)));
    }

    #[test]
    fn p6_while_nobody_asks_stale_serves_unless_forbidden_or_anyway() {
        let strict = Stored { forbids_stale: true, ..STORED };
        let careful = Stored { always_revalidate: true, ..STORED };
        assert!(serves_while_open(&STORED, false));
        for stored in [strict, careful] {
            assert!(!serves_while_open(&stored, false));
            assert!(serves_while_open(&stored, true));
        }
    }

    #[test]
    fn no_cache_of_the_origin_asks_every_time() {
        let careful = Stored { always_revalidate: true, ..STORED };
        assert_eq!(ask("", careful, 1), Short::Revalidate(ForwardReason::NoCache));
        assert!(!serves_on_error(&careful, STORED_AT));
    }
}
