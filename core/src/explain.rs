//! What the policy does with a request, and why: the same decisions, put into words.

mod sources;
mod url;
mod who;

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;

use serde::Serialize;

pub use url::{BadUrl, Url};
pub use who::Who;

use crate::compress::{self, CompressionRule, Offer, Uncompressed};
use crate::freshness::Exchange;
use crate::headers::{Fields, FieldsMut, cookie};
use crate::identity::Identity;
use crate::key::CacheKey;
use crate::policy::{Plan, Policy, Tier, Zone, units};
use crate::rate::{Admission, Algorithm, ClientFacts, Counted, KeyPart, Limit, Verdict};
use crate::request::Request;
use crate::respond;
use crate::response::Response;
use crate::reuse::ForwardReason;
use crate::rule::{CacheRule, ClientDirectives, Mode};
use crate::store::{Store, store};
use crate::time::Timestamp;

/// What one tier does with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// `edge` or `origin`.
    pub tier: &'static str,
    /// The route that matches, if one does.
    pub route: Option<RouteExplanation>,
    /// What the cache does.
    pub cache: CacheExplanation,
    /// The limits that the request must pass.
    pub limits: Vec<LimitExplanation>,
    /// The tags that the request invalidates when it succeeds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invalidates: Vec<String>,
    /// In which coding the body leaves.
    pub compression: CompressionExplanation,
    /// The fields that leave with the answer, on a first request that the origin answers with
    /// 200 and not a word on caching.
    pub headers: Vec<(String, String)>,
    /// Where the values came from, by their names in the text: see [`Self::locate`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, String>,
}

/// The route that matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteExplanation {
    /// Its name.
    pub name: String,
    /// Its pattern, the most specific one that matches.
    pub pattern: String,
    /// Where the shim fetches from.
    pub upstream: Option<String>,
}

/// What the cache does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CacheExplanation {
    /// `cache` or `bypass`.
    pub decision: &'static str,
    /// Why, in the word that Cache-Status uses; none when the cache is used.
    pub reason: Option<&'static str>,
    /// Why, in a sentence.
    pub why: String,
    /// Our time to live, as the policy would write it.
    pub ttl: Option<String>,
    /// The same for single statuses or classes of them: `404 1m`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status_ttl: Vec<String>,
    /// For how long stale answers serve while they are refreshed.
    pub stale_while_revalidate: Option<String>,
    /// For how long stale answers serve when the origin fails.
    pub stale_if_error: Option<String>,
    /// What identifies the answer.
    pub key: Option<String>,
    /// The same as the policy names it.
    pub key_name: Option<String>,
    /// The part of the shim's memory that it goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// What it can be invalidated by besides its URI.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The cache only watches, and the origin answers.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub shadow: bool,
}

/// In which coding the body leaves, if the answer suits the rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CompressionExplanation {
    /// The coding, or `identity` for none.
    pub coding: &'static str,
    /// Its level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<u32>,
    /// Why none, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Why, in a sentence.
    pub why: String,
    /// What the policy says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<CompressionRule>,
}

/// A limit that the request must pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LimitExplanation {
    /// Its name.
    pub name: String,
    /// What it allows, as the policy would write it.
    pub limit: String,
    /// How requests are counted.
    pub algorithm: Algorithm,
    /// The most requests that may come within an instant.
    pub worst_burst: u32,
    /// The longest that one may have to wait for its turn, where the limit spreads them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_wait: Option<String>,
    /// Which requests count.
    pub count: Counted,
    /// Nobody is refused.
    pub dry_run: bool,
    /// Where they are counted.
    pub store: &'static str,
    /// For how long it blocks once exceeded.
    pub block: Option<String>,
    /// How many clients are remembered at most, where the limit says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<NonZeroU32>,
    /// What this request is counted by.
    pub counted_by: String,
    /// Where it is defined: see [`Explanation::locate`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// The head of an answer that says nothing.
const SILENT: [(&str, &str); 0] = [];

/// Explains what `policy` does with `request` on `tier`.
pub fn explain<F: Fields + ?Sized>(
    policy: &Policy,
    tier: Tier,
    request: &Request<'_, F>,
    who: &Identity,
    client: &ClientFacts<'_>,
    now: Timestamp,
) -> Explanation {
    let plan = policy.plan(tier, request);
    let client = &ClientFacts { route: plan.route.map(|route| &*route.name), ..*client };
    Explanation {
        tier: tier.as_str(),
        route: plan.route.map(|route| RouteExplanation {
            name: route.name.clone(),
            pattern: route.pattern.to_string(),
            upstream: route.upstream.clone(),
        }),
        cache: cache(policy, &plan, request, who),
        limits: plan.limits().map(|limit| explain_limit(limit, client, request, tier)).collect(),
        // What a success would do, whatever the status.
        invalidates: match tier {
            Tier::Edge => Vec::new(),
            Tier::Origin => {
                let tags = plan.invalidates(request, who, 200, &SILENT).into_iter();
                tags.map(|tag| tag.as_str().to_owned()).collect()
            }
        },
        compression: compression(&plan, request),
        headers: headers(&plan, request, who, now),
        sources: BTreeMap::new(),
    }
}

fn cache<F: Fields + ?Sized>(
    policy: &Policy,
    plan: &Plan<'_>,
    request: &Request<'_, F>,
    who: &Identity,
) -> CacheExplanation {
    match plan.cache {
        Err(bypass) => CacheExplanation {
            decision: "bypass",
            reason: Some(bypass.as_str()),
            why: bypass.explain().to_owned(),
            ttl: None,
            status_ttl: Vec::new(),
            stale_while_revalidate: None,
            stale_if_error: None,
            key: None,
            key_name: None,
            zone: None,
            tags: Vec::new(),
            shadow: false,
        },
        Ok(rule) => CacheExplanation {
            decision: "cache",
            reason: None,
            why: why_cached(rule),
            ttl: rule.ttl.map(text),
            status_ttl: rule
                .status_ttl
                .iter()
                .map(|entry| format!("{} {}", entry.status, text(entry.ttl)))
                .collect(),
            stale_while_revalidate: rule.stale_while_revalidate.map(text),
            stale_if_error: rule.stale_if_error.map(text),
            key: Some(CacheKey::of(&rule.key, request, who).to_string()),
            key_name: plan.key_name(request, who).map(String::from),
            zone: zone(policy, plan),
            tags: match plan.tier {
                Tier::Edge => Vec::new(),
                Tier::Origin => {
                    let tags = plan.tags(request, who, &SILENT).into_iter();
                    tags.map(|tag| tag.as_str().to_owned()).collect()
                }
            },
            shadow: plan.tier == Tier::Origin && plan.route.is_some_and(|route| route.shadow),
        },
    }
}

/// For an answer that has nothing against it itself: what that may be is in the rule.
fn compression<F: Fields + ?Sized>(
    plan: &Plan<'_>,
    request: &Request<'_, F>,
) -> CompressionExplanation {
    let none = |why: Uncompressed, rule: Option<&CompressionRule>| CompressionExplanation {
        coding: "identity",
        level: None,
        reason: Some(why.as_str()),
        why: why.explain().to_owned(),
        rule: rule.cloned(),
    };
    let rule = match plan.compression() {
        Ok(rule) => rule,
        Err(why) => return none(why, None),
    };
    let offer = Offer::to(rule, request);
    let types = rule.types.iter().map(|range| String::from(range.clone()));
    let some = rule.types.first().map(|range| [("content-type", range.as_str())]);
    let answer = compress::Answer {
        status: 200,
        head: some.as_ref().map_or(&SILENT[..], |head| &head[..]),
        length: None,
        is_shared: plan.cache.is_ok_and(|rule| !rule.key.is_personal()),
    };
    match offer.decide(request, &answer).coding {
        Err(why) => none(why, Some(rule)),
        Ok(coding) => CompressionExplanation {
            coding: coding.as_str(),
            level: Some(offer.level(coding)),
            reason: None,
            why: format!(
                "bodies of {} bytes or more, of {}",
                rule.min_bytes,
                types.collect::<Vec<_>>().join(", ")
            ),
            rule: Some(rule.clone()),
        },
    }
}

fn zone(policy: &Policy, plan: &Plan<'_>) -> Option<Zone> {
    let at = plan.route.filter(|_| plan.tier == Tier::Origin)?.zone?;
    policy.model().zones.get(at).cloned()
}

fn why_cached(rule: &CacheRule) -> String {
    let ttl = rule.ttl.map(text).unwrap_or_default();
    let freshness = match rule.mode {
        Mode::Respect => "fresh for as long as the origin says".to_owned(),
        Mode::Default => {
            format!("fresh for as long as the origin says, or {ttl} where it is silent")
        }
        Mode::Override => format!("fresh for {ttl}, whatever the origin says"),
    };
    let client = match rule.client_directives {
        ClientDirectives::Honour => "the request's Cache-Control counts",
        ClientDirectives::Ignore => "the request's Cache-Control does not count",
    };
    format!("{freshness}; {client}")
}

fn explain_limit<F: Fields + ?Sized>(
    limit: &Limit,
    client: &ClientFacts<'_>,
    request: &Request<'_, F>,
    tier: Tier,
) -> LimitExplanation {
    let counted_by = limit.key.iter().find_map(|part| match part {
        KeyPart::Identity => client.user.map(|user| format!("user {user}")),
        KeyPart::ClientIp => client.ip.map(|ip| format!("client address {ip}")),
        KeyPart::Route => client.route.map(|route| format!("the route {route}, all together")),
        // What they hold may be a secret.
        KeyPart::Header(name) => request.fields.first(name).map(|_| format!("the field {name}")),
        KeyPart::Cookie(name) => {
            cookie::values(request.fields, name).next().map(|_| format!("the cookie {name}"))
        }
        KeyPart::Anonymous => Some("everybody unknown together".to_owned()),
    });
    let longest_wait = Some(limit.longest_wait()).filter(|wait| !wait.is_zero());
    LimitExplanation {
        name: limit.name.clone(),
        limit: format!("{} per {}", limit.quota, text(limit.window)),
        algorithm: limit.algorithm,
        worst_burst: limit.worst_burst(),
        longest_wait: longest_wait.map(text),
        count: limit.count,
        dry_run: limit.dry_run,
        store: limit.stores.on(tier),
        block: limit.block.map(text),
        clients: limit.clients.filter(|_| tier == Tier::Origin),
        counted_by: counted_by.unwrap_or_else(|| "everybody unknown together".to_owned()),
        source: None,
    }
}

/// The fields of the answer to a first request, by the functions that the shells use.
fn headers<F: Fields + ?Sized>(
    plan: &Plan<'_>,
    request: &Request<'_, F>,
    who: &Identity,
    now: Timestamp,
) -> Vec<(String, String)> {
    let mut fields = Written(Vec::new());
    respond::browser(&mut fields, plan, request, 200, &SILENT);
    match plan.cache {
        Err(_) => respond::cache_status(&mut fields, &respond::bypassed(plan, Some(200))),
        Ok(rule) => {
            let exchange = Exchange { requested_at: now, received_at: now };
            let kept: Store =
                store(rule, request, &Response::read(plan.tier, 200, &SILENT, now), &exchange);
            let (key, why) = (plan.key_name(request, who), ForwardReason::UriMiss);
            let status = respond::forwarded(plan.tier, why, 200, &kept, now, key.as_deref());
            respond::cache_status(&mut fields, &status);
        }
    }
    respond::headers(&mut fields, plan.headers());
    let mut verdict = Verdict::default();
    for limit in plan.limits() {
        verdict.add(limit, Ok(Admission::decide(limit, None, now)));
    }
    respond::rate_limit(&mut fields, &verdict, None);
    fields.0
}

/// Fields as they would be written.
struct Written(Vec<(String, String)>);

impl FieldsMut for Written {
    fn set(&mut self, name: &'static str, value: &str) {
        self.set_named(name, value);
    }

    fn set_named(&mut self, name: &str, value: &str) {
        self.0.retain(|(other, _)| other != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    fn append(&mut self, name: &'static str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }

    fn remove(&mut self, name: &'static str) {
        self.0.retain(|(other, _)| other != name);
    }
}

fn text(span: Duration) -> String {
    units::DurationText(span).to_string()
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.route {
            Some(route) => {
                self.line(f, "route", format_args!("{} ({})", route.name, route.pattern))?;
                if let Some(upstream) = route.upstream.as_ref().filter(|_| self.tier == "origin") {
                    self.line(f, "upstream", format_args!("{upstream}"))?;
                }
            }
            None => self.line(f, "route", format_args!("none"))?,
        }
        let CacheExplanation { decision, why, key, key_name, .. } = &self.cache;
        self.line(f, "decision", format_args!("{decision}: {why}"))?;
        let windows = [
            ("ttl", &self.cache.ttl),
            ("stale while revalidate", &self.cache.stale_while_revalidate),
            ("stale if error", &self.cache.stale_if_error),
            ("key", key),
            ("key name", key_name),
        ];
        for (name, value) in windows {
            if let Some(value) = value {
                self.line(f, name, format_args!("{value}"))?;
            }
        }
        if self.cache.shadow {
            self.line(f, "shadow", format_args!("the origin answers all the same"))?;
        }
        if let Some(Zone { name, bytes, capacity }) = &self.cache.zone {
            match capacity {
                Some(most) => self.line(
                    f,
                    "zone",
                    format_args!("{name}: at most {most} answers, {bytes} bytes"),
                )?,
                None => self.line(f, "zone", format_args!("{name}: at most {bytes} bytes"))?,
            }
        }
        let lists = [
            ("ttl by status", &self.cache.status_ttl),
            ("tags", &self.cache.tags),
            ("invalidates", &self.invalidates),
        ];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            self.line(f, name, format_args!("{}", list.join(", ")))?;
        }
        for limit in &self.limits {
            let source = limit.source.as_ref().map(|source| format!("  ({source})"));
            let value = format_args!("{limit}{}", source.as_deref().unwrap_or_default());
            self.line(f, "limit", value)?;
            self.line(f, "", format_args!("{}", limit.cost()))?;
        }
        let CompressionExplanation { coding, level, why, .. } = &self.compression;
        match level {
            Some(level) => {
                self.line(f, "compression", format_args!("{coding} at level {level}: {why}"))?
            }
            None => self.line(f, "compression", format_args!("none: {why}"))?,
        }
        writeln!(
            f,
            "  headers on a first request, when the origin answers 200 and says nothing of caching:"
        )?;
        self.headers
            .iter()
            .try_for_each(|(name, value)| writeln!(f, "    {name}: {value}{}", self.source(name)))
    }
}

impl fmt::Display for LimitExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, limit, block, counted_by, store, .. } = self;
        write!(f, "{name}: {limit}")?;
        if let Some(block) = block {
            write!(f, ", then blocked for {block}")?;
        }
        if self.count == Counted::Misses {
            f.write_str(", hits uncounted")?;
        }
        write!(f, "; counts by {counted_by}, {store}")?;
        if let Some(clients) = self.clients {
            write!(f, ", {clients} clients at most")?;
        }
        if self.dry_run { f.write_str("; refuses nobody (dry run)") } else { Ok(()) }
    }
}

impl LimitExplanation {
    /// What to plan capacity by.
    fn cost(&self) -> String {
        let burst = format!("at the worst {} at once", self.worst_burst);
        match &self.longest_wait {
            None => burst,
            Some(wait) => format!("{burst}; the others wait for their turn, up to {wait}"),
        }
    }
}

impl Explanation {
    /// A value with its name, and where it came from.
    fn line(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        value: fmt::Arguments<'_>,
    ) -> fmt::Result {
        writeln!(f, "  {name:<24}{value}{}", self.source(name))
    }
}
