//! May we keep this answer? (RFC 9111 §3)

use core::time::Duration;

use crate::freshness::{self, Exchange};
use crate::headers::{Fields, Vary};
use crate::invalidate::{self, Resource};
use crate::method::Method;
use crate::request::Request;
use crate::response::Response;
use crate::rule::{CacheRule, ClientDirectives, Mode, Risk};
use crate::stored::Stored;
use crate::time::{Timestamp, millis};

/// The answer to "may we keep this?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// Yes, under these terms.
    Keep {
        /// What to remember of it.
        stored: Stored,
        /// Which request fields chose it.
        vary: Vary,
    },
    /// No.
    Skip(NotStored),
}

/// Why an answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotStored {
    /// Only answers to GET are kept.
    Method,
    /// Interim answers, 304 and statuses whose meaning caching would change.
    Status,
    /// A part of an answer.
    Partial,
    /// The origin says `no-store` (§5.2.2.5).
    NoStore,
    /// The client says `no-store` (§5.2.1.5), and the policy honours it.
    RequestNoStore,
    /// The origin says `private` (§5.2.2.7).
    Private,
    /// The request has a credential that is not in the key, and the origin does not say that
    /// others may have the answer (§3.5).
    Authorization,
    /// It sets a cookie, which would go to others.
    SetCookie,
    /// `Vary: *`, or a Vary nobody can read (§4.1).
    VaryAnything,
    /// Nothing says for how long it is fresh, and nothing could revalidate it.
    NoFreshness,
    /// Its body is longer than this store takes: the one reason that shells find themselves.
    TooLarge,
    /// The cache only watches, and would not have asked for it.
    Shadowed,
}

impl NotStored {
    /// The word for logs, Cache-Status and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Status => "status",
            Self::Partial => "partial",
            Self::NoStore => "no-store",
            Self::RequestNoStore => "request-no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set-cookie",
            Self::VaryAnything => "vary-anything",
            Self::NoFreshness => "no-freshness",
            Self::TooLarge => "too-large",
            Self::Shadowed => "shadowed",
        }
    }
}

/// Decides whether `response` to `request` may be kept by a shared cache under `rule`.
/// Constant time.
pub fn store<F: Fields + ?Sized>(
    rule: &CacheRule,
    request: &Request<'_, F>,
    response: &Response<'_>,
    exchange: &Exchange,
) -> Store {
    match request.method {
        Method::Get => renew(rule, request, response, exchange),
        Method::Post if answers_get(request, response, exchange) => {
            renew(rule, request, response, exchange)
        }
        _ => Store::Skip(NotStored::Method),
    }
}

/// Whether the answer to a POST answers later GETs (RFC 9110 §9.3.3): it says for how long it
/// is fresh, and by Content-Location that it is the resource itself.
fn answers_get<F: Fields + ?Sized>(
    request: &Request<'_, F>,
    response: &Response<'_>,
    exchange: &Exchange,
) -> bool {
    let resource = response
        .content_location
        .and_then(|value| core::str::from_utf8(value).ok())
        .and_then(|reference| invalidate::resolve(request, reference));
    response.status == 200
        && freshness::explicit_lifetime(response, exchange).is_some()
        && resource == Some(Resource::of(request))
}

/// Decides the same for a stored answer whose head a 304 has updated (§4.3.4): `response` is
/// the updated head, and the request may as well be HEAD.
pub fn renew<F: Fields + ?Sized>(
    rule: &CacheRule,
    request: &Request<'_, F>,
    response: &Response<'_>,
    exchange: &Exchange,
) -> Store {
    if let Some(why) = forbidden(rule, request, response) {
        return Store::Skip(why);
    }
    let terms = Terms::of(rule, response, exchange);
    let Some(terms) = terms.filter(|terms| terms.are_useful(exchange, response)) else {
        return Store::Skip(NotStored::NoFreshness);
    };
    Store::Keep { stored: terms.stored(response, exchange), vary: response.vary.clone() }
}

/// What no mode overrides.
fn forbidden<F: Fields + ?Sized>(
    rule: &CacheRule,
    request: &Request<'_, F>,
    response: &Response<'_>,
) -> Option<NotStored> {
    let directives = &response.directives;
    // §5.2.2.3: whoever understands the status follows must-understand and not no-store.
    let no_store =
        directives.no_store && !(directives.must_understand && understands(response.status));
    let ignores = |risk| rule.ignores(risk);
    let honoured = rule.client_directives == ClientDirectives::Honour;
    // The qualified form allows to store the rest (§5.2.2.7), which is not worth the risk.
    let private = directives.private || !directives.private_fields.is_empty();
    let credential_shows = request.authorization.is_some() && !rule.key.separates_credentials();
    let reasons = [
        (response.status == 206 && response.content_range.is_none(), NotStored::Partial),
        (response.status < 200 || response.status == 304, NotStored::Status),
        (directives.must_understand && !understands(response.status), NotStored::Status),
        (no_store && !ignores(Risk::NoStore), NotStored::NoStore),
        (honoured && request.directives.no_store, NotStored::RequestNoStore),
        (private && !ignores(Risk::Private), NotStored::Private),
        (
            credential_shows && !directives.allows_sharing() && !ignores(Risk::Authorization),
            NotStored::Authorization,
        ),
        (response.sets_cookie && !ignores(Risk::SetCookie), NotStored::SetCookie),
        (response.vary == Vary::Anything, NotStored::VaryAnything),
    ];
    reasons.into_iter().find_map(|(holds, why)| holds.then_some(why))
}

/// The final statuses whose caching requirements this cache implements (§3).
const fn understands(status: u16) -> bool {
    matches!(
        status,
        200 | 203 | 204 | 300 | 301 | 302 | 303 | 307 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

/// For how long an answer serves, and by whose word.
struct Terms {
    fresh_until: Timestamp,
    stale_while_revalidate: Duration,
    stale_if_error: Duration,
    always_revalidate: bool,
}

impl Terms {
    fn of(rule: &CacheRule, response: &Response<'_>, exchange: &Exchange) -> Option<Self> {
        let directives = &response.directives;
        let explicit = freshness::explicit_lifetime(response, exchange);
        let origin_is_silent = explicit.is_none() && !directives.no_cache;
        let ours = rule
            .ttl_for(response.status)
            .filter(|_| rule.mode == Mode::Override || origin_is_silent);
        if ours.is_some() && rule.drops(response.status) {
            return None;
        }
        let fresh_until = match ours {
            Some(ttl) => exchange.received_at + ttl,
            None => {
                let lifetime = explicit
                    .or_else(|| freshness::heuristic_lifetime(response, exchange))
                    .or_else(|| may_store_stale(response).then_some(Duration::ZERO))?;
                let age = freshness::initial_age(response, exchange);
                (exchange.received_at + lifetime).before(age)
            }
        };
        let by = |origin: Option<u32>, policy: Option<Duration>| {
            let origin = origin.map(|seconds| Duration::from_secs(seconds.into()));
            let window = match rule.mode {
                Mode::Override => policy.or(origin),
                Mode::Default | Mode::Respect => origin.or(policy),
            };
            window.filter(|_| !directives.forbids_stale()).unwrap_or_default()
        };
        Some(Self {
            fresh_until,
            stale_while_revalidate: by(
                directives.stale_while_revalidate,
                rule.stale_while_revalidate,
            ),
            stale_if_error: by(directives.stale_if_error, rule.stale_if_error),
            always_revalidate: directives.no_cache && ours.is_none(),
        })
    }

    /// Whether a later request could make anything of it.
    fn are_useful(&self, exchange: &Exchange, response: &Response<'_>) -> bool {
        let serves = self.fresh_until + self.stale_while_revalidate.max(self.stale_if_error)
            > exchange.received_at;
        (serves && !self.always_revalidate) || response.has_validator()
    }

    fn stored(&self, response: &Response<'_>, exchange: &Exchange) -> Stored {
        Stored {
            status: response.status,
            received_at: exchange.received_at,
            initial_age_ms: millis(freshness::initial_age(response, exchange)),
            fresh_until: self.fresh_until,
            serve_while_refreshing_until: self.fresh_until + self.stale_while_revalidate,
            serve_on_error_until: self.fresh_until + self.stale_if_error,
            forbids_stale: response.directives.forbids_stale(),
            always_revalidate: self.always_revalidate,
            has_validator: response.has_validator(),
            part: response.content_range,
        }
    }
}

/// Whether §3 allows to keep an answer without any lifetime, to be revalidated.
fn may_store_stale(response: &Response<'_>) -> bool {
    let allowed =
        freshness::is_heuristically_cacheable(response.status) || response.directives.public;
    allowed && response.has_validator()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Host, Scheme};
    use crate::key::KeyRule;
    use crate::target::Target;
    use crate::tier::Tier;
    use alloc::vec::Vec;

    const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
    const EXCHANGE: Exchange = Exchange { requested_at: NOW, received_at: NOW };

    fn rule(mode: Mode, ttl: u64) -> CacheRule {
        CacheRule {
            mode,
            ttl: Some(Duration::from_secs(ttl)),
            status_ttl: Default::default(),
            stale_while_revalidate: None,
            stale_if_error: None,
            client_directives: ClientDirectives::Ignore,
            unsafe_ignore: Vec::new(),
            key: KeyRule::default(),
        }
    }

    fn decide(
        rule: &CacheRule,
        asked: &[(&str, &str)],
        status: u16,
        answered: &[(&str, &str)],
    ) -> Store {
        let host = Host::parse("h", Scheme::Https).unwrap();
        let target = Target::parse("/").unwrap();
        let request = Request::read(Method::Get, Scheme::Https, &host, &target, asked);
        store(rule, &request, &Response::read(Tier::Origin, status, answered, NOW), &EXCHANGE)
    }

    /// Seconds of freshness, or the reason why it is not kept.
    fn outcome(rule: &CacheRule, status: u16, answered: &[(&str, &str)]) -> Result<u64, NotStored> {
        match decide(rule, &[], status, answered) {
            Store::Keep { stored, .. } => Ok(stored.fresh_until.since(NOW).as_secs()),
            Store::Skip(why) => Err(why),
        }
    }

    #[test]
    fn c1_our_ttl_overrides_max_age_but_never_what_protects_people() {
        let day = rule(Mode::Override, 86_400);
        assert_eq!(outcome(&day, 200, &[]), Ok(86_400));
        for lax in ["max-age=5", "no-cache", "max-age=0, must-revalidate", "s-maxage=1"] {
            assert_eq!(outcome(&day, 200, &[("cache-control", lax)]), Ok(86_400), "{lax}");
        }
        for (field, value, why) in [
            ("cache-control", "no-store", NotStored::NoStore),
            ("cache-control", "No-Store, max-age=5", NotStored::NoStore),
            ("cache-control", "private", NotStored::Private),
            ("cache-control", "private=\"x-user\"", NotStored::Private),
            ("set-cookie", "id=1", NotStored::SetCookie),
            ("vary", "*", NotStored::VaryAnything),
        ] {
            assert_eq!(outcome(&day, 200, &[(field, value)]), Err(why), "{field}: {value}");
        }
    }

    #[test]
    fn errors_are_kept_briefly_or_not_at_all() {
        let day = rule(Mode::Override, 86_400);
        assert_eq!(outcome(&day, 404, &[]), Ok(60));
        assert_eq!(outcome(&rule(Mode::Override, 10), 404, &[]), Ok(10));
        for status in [206, 302, 401, 403, 429, 500, 503] {
            assert!(outcome(&day, status, &[]).is_err(), "{status}");
        }
        assert_eq!(
            outcome(&day, 500, &[("cache-control", "max-age=5")]),
            Ok(5),
            "the origin may say so"
        );
    }

    #[test]
    fn c2_by_default_the_origins_word_counts_before_ours() {
        let rule = rule(Mode::Default, 300);
        assert_eq!(outcome(&rule, 200, &[]), Ok(300));
        assert_eq!(outcome(&rule, 200, &[("cache-control", "max-age=7")]), Ok(7));
        assert_eq!(outcome(&rule, 200, &[("cache-control", "no-cache"), ("etag", "\"1\"")]), Ok(0));
        assert_eq!(
            outcome(&rule, 200, &[("cache-control", "no-cache")]),
            Err(NotStored::NoFreshness)
        );
    }

    #[test]
    fn a_credential_outside_the_key_is_never_shared_unless_the_origin_says_so() {
        let mut rule = rule(Mode::Override, 60);
        let asked = [("authorization", "Bearer a")];
        assert_eq!(decide(&rule, &asked, 200, &[]), Store::Skip(NotStored::Authorization));
        for shareable in ["public", "must-revalidate", "s-maxage=5"] {
            let answered = [("cache-control", shareable)];
            assert!(
                matches!(decide(&rule, &asked, 200, &answered), Store::Keep { .. }),
                "{shareable}"
            );
        }
        rule.key.identity = true;
        assert!(matches!(decide(&rule, &asked, 200, &[]), Store::Keep { .. }));
    }

    #[test]
    fn must_understand_lifts_no_store_for_statuses_we_know() {
        let rule = rule(Mode::Respect, 0);
        let both = [("cache-control", "no-store, must-understand, max-age=5")];
        assert_eq!(outcome(&rule, 200, &both), Ok(5));
        assert_eq!(outcome(&rule, 299, &both), Err(NotStored::Status));
    }

    #[test]
    fn stale_windows_are_void_where_the_origin_forbids_stale() {
        let mut rule = rule(Mode::Override, 60);
        rule.stale_if_error = Some(Duration::from_secs(600));
        let window =
            |cache_control| match decide(&rule, &[], 200, &[("cache-control", cache_control)]) {
                Store::Keep { stored, .. } => {
                    stored.serve_on_error_until.since(stored.fresh_until).as_secs()
                }
                Store::Skip(why) => panic!("{why:?}"),
            };
        assert_eq!(window("public"), 600);
        for forbidding in ["must-revalidate", "proxy-revalidate", "s-maxage=60"] {
            assert_eq!(window(forbidding), 0, "{forbidding}");
        }
    }
}
