//! Which fields leave with an answer, on every tier alike.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;
use core::time::Duration;

use crate::headers::cache_control::DELTA_SECONDS_MAX;
use crate::headers::cache_status::{CacheStatus, Fwd, Outcome, Ttl};
use crate::headers::rate_limit::{Quota, RateLimit, RateLimitPolicy};
use crate::headers::targeted::TargetedField;
use crate::headers::{Fields, FieldsMut, ResponseDirectives};
use crate::policy::{Plan, Tier};
use crate::rate::{Admission, Limit, Refused, Verdict};
use crate::request::Request;
use crate::reuse::ForwardReason;
use crate::rule::Risk;
use crate::shadow::Shadowed;
use crate::signature;
use crate::store::Store;
use crate::stored::Stored;
use crate::target::BadTarget;
use crate::text::Text;
use crate::tier::SURROGATE_DEVICE;
use crate::time::{Timestamp, ceil_secs};
use crate::token::Refusal;

/// Appends this hop to Cache-Status and says the same in `X-Cache` (C3).
pub fn cache_status(fields: &mut impl FieldsMut, status: &CacheStatus<'_>) {
    fields.append_spelled("cache-status", status);
    fields.set_static("x-cache", status.outcome.x_cache());
}

/// The member for a request that the policy keeps out of the cache.
pub fn bypassed(plan: &Plan<'_>, status: Option<u16>) -> CacheStatus<'static> {
    let (why, detail) = match plan.cache {
        Err(bypass) => (bypass.fwd(), Some(bypass.as_str())),
        Ok(_) => (Fwd::Bypass, None),
    };
    let outcome = Outcome::Forward { why, status, stored: None };
    CacheStatus { cache: plan.tier.cache_name(), outcome, key: None, detail }
}

/// The member for a request that the origin answered with `status` while the cache watched: what
/// that would have done, and what became of the answer.
pub fn shadowed<'a>(
    tier: Tier,
    what: Shadowed,
    status: u16,
    kept: &Store,
    now: Timestamp,
    key: Option<&'a str>,
) -> CacheStatus<'a> {
    let stored = match kept {
        Store::Keep { stored, .. } => Some(ttl(stored, now)),
        Store::Skip(_) => None,
    };
    let outcome = Outcome::Forward { why: Fwd::Bypass, status: Some(status), stored };
    CacheStatus { cache: tier.cache_name(), outcome, key, detail: Some(what.as_str()) }
}

/// The member for a request that went forward and came back with `status`; `kept` is what
/// became of the answer.
pub fn forwarded<'a>(
    tier: Tier,
    why: ForwardReason,
    status: u16,
    kept: &Store,
    now: Timestamp,
    key: Option<&'a str>,
) -> CacheStatus<'a> {
    let (stored, detail) = match kept {
        Store::Keep { stored, .. } => (Some(ttl(stored, now)), why.detail()),
        Store::Skip(not_stored) => (None, Some(not_stored.as_str())),
    };
    let outcome = Outcome::Forward { why: why.fwd(), status: Some(status), stored };
    CacheStatus { cache: tier.cache_name(), outcome, key, detail }
}

/// For how long an answer that was just stored is fresh.
fn ttl(stored: &Stored, now: Timestamp) -> Ttl {
    match stored.fresh_for(now) {
        Some(ttl) => Ttl::fresh(ttl),
        None => Ttl::stale(stored.staleness(now)),
    }
}

/// Sets Age (RFC 9111 §5.1) on an answer from the cache.
pub fn age(fields: &mut impl FieldsMut, age: Duration) {
    fields.set_number("age", age.as_secs().min(u64::from(DELTA_SECONDS_MAX)));
}

/// Tells browsers what the policy says, for answers that our word may cover: never in
/// place of the origin's `no-store` or `private`, nor on errors, nor beside a cookie, which
/// is for one client. `origin` is the head that the answer came with.
///
/// What a client got for its credential is called `private` where the policy says `public`,
/// unless the origin allows to share it (RFC 9111 §3.5): caches behind us would share it.
///
/// The shim tells the CDN before it as well (C6); behind the edge no CDN is left to be told.
pub fn browser<F: Fields + ?Sized>(
    fields: &mut impl FieldsMut,
    plan: &Plan<'_>,
    request: &Request<'_, F>,
    status: u16,
    origin: &(impl Fields + ?Sized),
) {
    let Some(rule) = plan.browser() else { return };
    let covered = matches!(status, 200 | 203 | 204 | 206 | 300 | 301 | 304 | 308);
    let said = ResponseDirectives::parse(origin.lines_of("cache-control"));
    let protected = protects(&said) || origin.first("set-cookie").is_some();
    if !covered || protected {
        return;
    }
    let may_be_shared = request.authorization.is_none()
        || said.allows_sharing()
        || plan.cache.is_ok_and(|rule| rule.ignores(Risk::Authorization));
    match may_be_shared {
        true => fields.set("cache-control", &rule.cache_control),
        false => fields.set("cache-control", &made_private(&rule.cache_control)),
    }
    // Expires would say something else to those who read it first.
    fields.remove("expires");
    match plan.browser_stores_nothing() {
        true => fields.set("pragma", "no-cache"),
        false => fields.remove("pragma"),
    }
    if may_be_shared && plan.tier == Tier::Origin {
        targeted(fields, TargetedField::CdnCacheControl, rule.cdn.as_deref(), origin);
        targeted(fields, TargetedField::SurrogateControl, rule.surrogate.as_deref(), origin);
    }
}

/// The same for one browser alone.
fn made_private(cache_control: &str) -> Text {
    let mut value = Text::new();
    for directive in cache_control.split(", ").filter(|d| !d.starts_with("s-maxage=")) {
        let separator = if value.is_empty() { "" } else { ", " };
        value.push_str(separator);
        value.push_str(if directive == "public" { "private" } else { directive });
    }
    value
}

/// Writes a field for some caches alone, unless the origin's own forbids those to share.
fn targeted(
    fields: &mut impl FieldsMut,
    target: TargetedField,
    value: Option<&str>,
    origin: &(impl Fields + ?Sized),
) {
    let Some(value) = value else { return };
    let said = target.read(origin, SURROGATE_DEVICE);
    if !said.is_some_and(|said| protects(&said)) {
        fields.set(target.name(), value);
    }
}

fn protects(said: &ResponseDirectives) -> bool {
    said.no_store || said.private || !said.private_fields.is_empty()
}

/// Sets the fields that the policy wants on every answer of a route, ours and the origin's
/// alike (P4): `of` is [`Plan::headers`], or [`Policy::headers`](crate::Policy::headers) where
/// no plan was made. What the policy says replaces what the origin said.
pub fn headers<'a>(fields: &mut impl FieldsMut, of: impl Iterator<Item = (&'a str, &'a str)>) {
    for (name, value) in of {
        fields.set_named(name, value);
    }
}

/// Tells the client what is left of its quota, or how long to wait (R7). `told` is what the
/// answer says already, by a hop behind this one: the stricter of the two is told.
///
/// Where the store does not tell what is left, the policy alone is told: RateLimit must have an
/// `r` (draft-11 §4.1), and a number that is made up would be worse than none.
pub fn rate_limit(fields: &mut impl FieldsMut, verdict: &Verdict<'_>, told: Option<Quota>) {
    rate_limit_with(fields, verdict, told, rate_limit_policy);
}

/// What a limit says of itself, whoever asks.
pub fn rate_limit_policy(fields: &mut impl FieldsMut, limit: &Limit) {
    let policy =
        RateLimitPolicy { name: &limit.name, quota: limit.quota.get(), window: limit.window };
    fields.set_spelled("ratelimit-policy", &policy);
    if limit.x_fields {
        fields.set_number("x-ratelimit-limit", limit.quota.get().into());
    }
}

/// As [`rate_limit`], where `policy` does what [`rate_limit_policy`] does.
pub fn rate_limit_with<F: FieldsMut>(
    fields: &mut F,
    verdict: &Verdict<'_>,
    told: Option<Quota>,
    policy: impl FnOnce(&mut F, &Limit),
) {
    let Some((limit, admission)) = verdict.tightest() else { return };
    let ours = match admission {
        Admission::Allow { remaining, reset, .. } | Admission::Wait { remaining, reset, .. } => {
            Some(Quota { remaining, reset })
        }
        Admission::Deny { retry_after, .. } => Some(Quota { remaining: 0, reset: retry_after }),
        Admission::Pass => None,
    };
    let is_stricter = |told: Quota| ours.is_none_or(|ours| told.is_stricter_than(&ours));
    if told.is_some_and(is_stricter) {
        return;
    }
    policy(fields, limit);
    let Some(Quota { remaining, reset }) = ours else { return };
    fields.set_spelled("ratelimit", &RateLimit { name: &limit.name, remaining, reset });
    if limit.x_fields {
        fields.set_number("x-ratelimit-remaining", remaining.into());
        fields.set_number("x-ratelimit-reset", ceil_secs(reset));
    }
    if let Admission::Deny { retry_after, .. } = admission {
        fields.set_number("retry-after", ceil_secs(retry_after));
    }
}

/// An answer of our own: problem details (RFC 9457), never to be cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The status code.
    pub status: u16,
    /// Why, in a word for logs and Cache-Status.
    pub reason: &'static str,
    /// What happened this time.
    pub detail: String,
    /// Seconds to wait, for 429 and 503.
    pub retry_after: Option<u64>,
    /// The same as a page, for a client that prefers one.
    pub page: Option<String>,
}

impl Problem {
    /// 400 for a request that cannot be understood.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(400, "bad-request", detail)
    }

    /// 400 for a target that is none, and 414 for one that is too long (RFC 9110 §15.5.15).
    pub fn bad_target(bad: BadTarget) -> Self {
        let status = if bad == BadTarget::TooLong { 414 } else { 400 };
        Self { status, ..Self::bad_request(format!("{bad}")) }
    }

    /// 404 where the policy has no place to ask.
    pub fn no_route(detail: impl Into<String>) -> Self {
        Self::new(404, "no-route", detail)
    }

    /// 404 where a folder has no such file, or none that is given.
    pub fn no_file() -> Self {
        Self::new(404, "no-file", "There is no such file.")
    }

    /// 405 for what cannot be done with a file.
    pub fn only_read() -> Self {
        Self::new(405, "method", "Files can be read with GET and HEAD.")
    }

    /// 412: what there is does not meet the request's conditions (RFC 9110 §15.5.13).
    pub fn condition_failed() -> Self {
        Self::new(412, "condition", "The file is not as the request wants it.")
    }

    /// The 429 of R7.
    pub fn too_many_requests(retry_after: Duration) -> Self {
        let seconds = ceil_secs(retry_after);
        let unit = if seconds == 1 { "second" } else { "seconds" };
        let detail = format!("Try again in {seconds} {unit}.");
        let problem = Self::new(429, "rate-limited", detail);
        Self { retry_after: Some(seconds), ..problem }
    }

    /// What a request gets that the limits do not let pass.
    pub fn refused(refused: Refused) -> Self {
        match refused {
            Refused::TooMany { retry_after } => Self::too_many_requests(retry_after),
            Refused::StoreFailed => {
                let detail = "Nobody can tell at the moment how often you have asked.";
                Self { retry_after: Some(10), ..Self::new(503, "limiter-unavailable", detail) }
            }
        }
    }

    /// 503 for who connects where nobody else can be served.
    pub fn too_many_connections() -> Self {
        let detail = "Too many clients are connected. Try again in a moment.";
        Self { retry_after: Some(1), ..Self::new(503, "connections-full", detail) }
    }

    /// 413: the body of the request is larger than the policy takes (P5).
    pub fn body_too_large(max: u64) -> Self {
        let detail = format!("A body may have {max} bytes here.");
        Self::new(413, "body-too-large", detail)
    }

    /// 502: upstream cannot be reached, or what it says is no answer.
    pub fn upstream_failed(detail: impl Into<String>) -> Self {
        Self::new(502, "upstream-failed", detail)
    }

    /// 500: the service that is asked in this process does not answer.
    pub fn service_failed() -> Self {
        Self::new(500, "service-failed", "The service does not answer.")
    }

    /// 503 while nobody is asked, since those who were asked failed (P6).
    pub fn upstream_open(detail: impl Into<String>, wait: Duration) -> Self {
        Self { retry_after: Some(ceil_secs(wait)), ..Self::new(503, "breaker-open", detail) }
    }

    /// 503 where every server is at as much as it may be, and too many wait.
    pub fn upstream_crowded(detail: impl Into<String>, wait: Duration) -> Self {
        Self { retry_after: Some(ceil_secs(wait)), ..Self::new(503, "upstream-crowded", detail) }
    }

    /// 504: upstream does not answer in time.
    pub fn upstream_silent(detail: impl Into<String>) -> Self {
        Self::new(504, "upstream-silent", detail)
    }

    /// 504 where upstream fails and the stored answer may not serve without its word
    /// (RFC 9111 §5.2.2.2).
    pub fn must_revalidate() -> Self {
        let detail = "The origin does not answer, and its stored answer may not serve unconfirmed.";
        Self::new(504, "must-revalidate", detail)
    }

    /// The answer to a bad token where the policy denies it: 401 with a challenge (RFC 9110
    /// §15.5.2, RFC 6750 §3), or 503 where the token may be good and it is us who cannot tell.
    pub fn bad_token(refusal: Refusal) -> Self {
        let problem = |status| Self::new(status, refusal.as_str(), refusal.explain());
        match refusal.is_ours() {
            true => Self { retry_after: Some(10), ..problem(503) },
            false => problem(401),
        }
    }

    /// 401 for who may not operate this, without a word on what there is.
    pub fn unauthorized() -> Self {
        Self::new(401, "unauthorized", "Show the token of the policy's `[edge]`.")
    }

    /// 405 where only POST means something.
    pub fn not_post() -> Self {
        Self::new(405, "method", "Write POST.")
    }

    /// 503 where what was said could not be told to all who must hear of it.
    pub fn not_told(detail: impl Into<String>) -> Self {
        Self { retry_after: Some(10), ..Self::new(503, "not-told", detail) }
    }

    /// 403 for who goes around the edge, where the policy lets nobody do so.
    pub fn not_from_the_edge(refusal: signature::Refusal) -> Self {
        let (reason, detail) = refusal.told();
        Self::new(403, reason, detail)
    }

    /// 503 while the service is down for maintenance, in HTML where there is a `page`.
    pub fn maintenance(detail: &str, wait: Duration, page: Option<String>) -> Self {
        let retry_after = Some(ceil_secs(wait));
        Self { retry_after, page, ..Self::new(503, "maintenance", detail) }
    }

    /// 504 for a request that allows a stored answer alone (RFC 9111 §5.2.1.7).
    pub fn not_in_cache() -> Self {
        let detail = "The request allows only a stored answer, and none may serve.";
        Self::new(504, "only-if-cached", detail)
    }

    /// 500: something here is set up wrong.
    pub fn misconfigured(detail: impl Into<String>) -> Self {
        Self::new(500, "misconfigured", detail)
    }

    fn new(status: u16, reason: &'static str, detail: impl Into<String>) -> Self {
        Self { status, reason, detail: detail.into(), retry_after: None, page: None }
    }

    /// What the status means (RFC 9457 §3.1.3).
    pub const fn title(&self) -> &'static str {
        match self.status {
            400 => "Bad request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not found",
            405 => "Method not allowed",
            408 => "Request timeout",
            412 => "Precondition failed",
            413 => "Content too large",
            414 => "URI too long",
            417 => "Expectation failed",
            421 => "Misdirected request",
            429 => "Too many requests",
            431 => "Request header fields too large",
            501 => "Not implemented",
            502 => "Bad gateway",
            503 => "Service unavailable",
            504 => "Gateway timeout",
            505 => "HTTP version not supported",
            _ => "Internal error",
        }
    }

    /// The media type of the body.
    pub const fn content_type(&self) -> &'static str {
        match self.page {
            Some(_) => "text/html; charset=utf-8",
            None => "application/problem+json",
        }
    }

    /// The body: the page, or else the members of RFC 9457, and for those who do not know it
    /// `error` and `retryAfter` (R7).
    pub fn body(&self) -> String {
        if let Some(page) = &self.page {
            return page.clone();
        }
        let mut body = format!(
            r#"{{"type":"about:blank","title":{title},"status":{status},"detail":{detail},"error":{title}"#,
            title = serde_json::Value::from(self.title()),
            status = self.status,
            detail = serde_json::Value::from(self.detail.as_str()),
        );
        if let Some(seconds) = self.retry_after {
            // Writing to a String does not fail.
            let _ = write!(body, r#","retryAfter":{seconds}"#);
        }
        body.push('}');
        body
    }

    /// The fields of such an answer, but for those of the limit.
    pub fn fields(&self, fields: &mut impl FieldsMut, tier: Tier) {
        fields.set_static("content-type", self.content_type());
        fields.set("cache-control", "no-store");
        if self.status == 401 {
            let challenge =
                format!(r#"Bearer error="invalid_token", error_description="{}""#, self.detail);
            fields.set("www-authenticate", &challenge);
        }
        if self.status == 405 {
            fields.set("allow", "POST");
        }
        if let (503, Some(seconds)) = (self.status, self.retry_after) {
            fields.set("retry-after", &Text::of(seconds));
        }
        let outcome = Outcome::Generated;
        let name = tier.cache_name();
        cache_status(
            fields,
            &CacheStatus { cache: name, outcome, key: None, detail: Some(self.reason) },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c5_browsers_hear_our_word_only_where_nothing_protects_the_answer() {
        use crate::host::{Host, Scheme};
        use crate::method::Method;
        use crate::policy::Policy;
        use crate::target::Target;

        struct CacheControl(Option<String>);
        impl FieldsMut for CacheControl {
            fn set(&mut self, name: &'static str, value: &str) {
                if name == "cache-control" {
                    self.0 = Some(value.into());
                }
            }
            fn set_named(&mut self, _: &str, _: &str) {}
            fn append(&mut self, _: &'static str, _: &str) {}
            fn remove(&mut self, _: &'static str) {}
        }
        let policy = Policy::from_json(
            r#"{"schema":1,"routes":[{"name":"all","pattern":"/*",
                "browser":{"cache_control":"public, max-age=60"}}]}"#,
        )
        .unwrap();
        let host = Host::parse("h", Scheme::Https).unwrap();
        let target = Target::parse("/").unwrap();
        let asked: [(&str, &str); 0] = [];
        let request = Request::read(Method::Get, Scheme::Https, &host, &target, &asked);
        let plan = policy.plan(Tier::Edge, &request);
        let told = |status, origin: &[(&str, &str)]| {
            let mut fields = CacheControl(None);
            browser(&mut fields, &plan, &request, status, origin);
            fields.0
        };
        assert_eq!(told(200, &[("cache-control", "max-age=1")]).unwrap(), "public, max-age=60");
        assert_eq!(told(500, &[]), None);
        for protecting in [
            ("cache-control", "no-store"),
            ("cache-control", "private"),
            ("cache-control", "private=\"x-user\""),
            ("set-cookie", "id=1"),
        ] {
            assert_eq!(told(200, &[protecting]), None, "{protecting:?}");
        }

        let with_credential = [("authorization", "Bearer a")];
        let request = Request::read(Method::Get, Scheme::Https, &host, &target, &with_credential);
        let told = |origin: &[(&str, &str)]| {
            let mut fields = CacheControl(None);
            browser(&mut fields, &plan, &request, 200, origin);
            fields.0.unwrap()
        };
        assert_eq!(told(&[]), "private, max-age=60");
        assert_eq!(told(&[("cache-control", "public, max-age=1")]), "public, max-age=60");
    }

    #[test]
    fn r7_the_body_has_what_old_and_new_clients_read() {
        let problem = Problem::too_many_requests(Duration::from_millis(59_001));
        let body: serde_json::Value = serde_json::from_str(&problem.body()).unwrap();
        assert_eq!(body["error"], "Too many requests");
        assert_eq!(body["retryAfter"], 60);
        assert_eq!(body["status"], 429);
    }

    #[test]
    fn a_detail_cannot_break_out_of_the_body() {
        let problem = Problem::upstream_failed("x\",\"a\":\"\n");
        let body: serde_json::Value = serde_json::from_str(&problem.body()).unwrap();
        assert_eq!(body["detail"], "x\",\"a\":\"\n");
        assert_eq!(body.get("a"), None);
    }
}
