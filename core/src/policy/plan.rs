//! Which route is this, and what does its policy say on this tier?

use alloc::string::String;
use alloc::vec::Vec;

use super::{BODY_MAX, BrowserRule, EdgeCache, Policy, Route, Template, Terms, Tier};
use crate::compress::{CompressionRule, Uncompressed};
use crate::cors::CorsRule;
use crate::headers::cache_status::Fwd;
use crate::headers::{Fields, cache_groups, list};
use crate::identity::Identity;
use crate::invalidate::{Resource, Tag, has_written};
use crate::method::Method;
use crate::rate::Limit;
use crate::request::Request;
use crate::rule::CacheRule;
use crate::target::Ambiguity;
use crate::text::Text;

/// Tags of a Cache-Tag field beyond this number are not heeded.
const TAGS_MAX: usize = 128;

/// What the policy says about one request on one tier.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'p> {
    policy: &'p Policy,
    /// Where the route stands in the policy.
    position: Option<usize>,
    /// The tier.
    pub tier: Tier,
    /// The route; `None` when no pattern matches.
    pub route: Option<&'p Route>,
    /// The rule to cache by, or why the cache is left out.
    pub cache: Result<&'p CacheRule, Bypass>,
}

/// Why the cache is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bypass {
    /// The route's policy says so for this tier.
    Policy,
    /// No route matches.
    NoRoute,
    /// The method is not answered from a cache (RFC 9111 §4).
    Method,
    /// A GET with content: what it means is the application's alone (RFC 9110 §9.3.1).
    RequestBody,
    /// The connection is to become another protocol.
    Upgrade,
    /// Servers may disagree about which resource this is.
    Ambiguous(Ambiguity),
}

impl Bypass {
    /// The token for Cache-Status.
    pub const fn fwd(self) -> Fwd {
        match self {
            Self::Method => Fwd::Method,
            _ => Fwd::Bypass,
        }
    }

    /// The word for logs, Cache-Status and `explain`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::NoRoute => "no-route",
            Self::Method => "method",
            Self::RequestBody => "request-body",
            Self::Upgrade => "upgrade",
            Self::Ambiguous(ambiguity) => ambiguity.as_str(),
        }
    }

    /// The reason as a sentence.
    pub const fn explain(self) -> &'static str {
        match self {
            Self::Policy => "the route does not cache on this tier",
            Self::NoRoute => "no route of the policy matches",
            Self::Method => "only GET and HEAD are answered from a cache",
            Self::RequestBody => "the request has a body, which no key could tell apart",
            Self::Upgrade => "the connection is to become another protocol",
            Self::Ambiguous(Ambiguity::EncodedSeparator) => {
                "the path has an encoded slash or a backslash, which servers read differently"
            }
            Self::Ambiguous(Ambiguity::EmptySegment) => {
                "the path has an empty segment (`//`), which servers read differently"
            }
            Self::Ambiguous(Ambiguity::PathParameter) => {
                "the path has a `;`, behind which servers read differently"
            }
            Self::Ambiguous(Ambiguity::EncodedDelimiter) => {
                "the path has an encoded delimiter, at which some servers cut it off"
            }
        }
    }
}

impl Policy {
    /// Says what this policy has to say about `request` on `tier`. Grows with the length of
    /// the path and the logarithm of the routes; allocates nothing.
    pub fn plan<F: Fields + ?Sized>(&self, tier: Tier, request: &Request<'_, F>) -> Plan<'_> {
        let host = request.host.name();
        let position = self.table.find(request.target.route_path(), host);
        let route = position.and_then(|at| self.model.routes.get(at));
        let cache = match route {
            None => Err(Bypass::NoRoute),
            Some(route) => route.cache_rule(tier).ok_or(Bypass::Policy),
        };
        let cache = cache.and_then(|rule| suits_cache(request).map(|()| rule));
        Plan { policy: self, position, tier, route, cache }
    }
}

impl Policy {
    /// The fields that an answer of `route` leaves with, by lower-case name: the route's, and
    /// the policy's where the route is silent. Without a route, the policy's.
    pub fn headers<'p>(
        &'p self,
        route: Option<&'p Route>,
    ) -> impl Iterator<Item = (&'p str, &'p str)> + use<'p> {
        let own = route.map(|route| &route.headers);
        let is_own = move |name: &str| own.is_some_and(|own| own.contains_key(name));
        let shared = self.model.headers.iter().filter(move |(name, _)| !is_own(name));
        own.into_iter().flatten().chain(shared).map(|(name, value)| (&**name, &**value))
    }
}

/// Whether a cache may answer such a request at all.
fn suits_cache<F: Fields + ?Sized>(request: &Request<'_, F>) -> Result<(), Bypass> {
    match request.target.ambiguity() {
        Some(ambiguity) => Err(Bypass::Ambiguous(ambiguity)),
        None if !request.method.is_answered_from_cache() => Err(Bypass::Method),
        None if request.is_upgrade => Err(Bypass::Upgrade),
        None if request.has_body => Err(Bypass::RequestBody),
        None => Ok(()),
    }
}

impl<'p> Plan<'p> {
    /// Where the route stands in the policy.
    pub const fn position(&self) -> Option<usize> {
        self.position
    }

    /// The limits that the request must pass, in their order.
    pub fn limits(&self) -> impl Iterator<Item = &'p Limit> + use<'p> {
        let limits = &self.policy.model.limits;
        self.route.into_iter().flat_map(|route| &route.limits).filter_map(|at| limits.get(*at))
    }

    /// What is compressed, or why nothing is.
    pub fn compression(&self) -> Result<&'p CompressionRule, Uncompressed> {
        if self.tier == Tier::Edge {
            return Err(Uncompressed::Edge);
        }
        let rule =
            self.route.and_then(|route| self.policy.model.compression.get(route.compression?));
        rule.ok_or(Uncompressed::Policy)
    }

    /// Which pages of other sites may read the answer; the edge leaves that to the shim.
    pub fn cors(&self) -> Option<&'p CorsRule> {
        self.route?.cors.as_ref().filter(|_| self.tier == Tier::Origin)
    }

    /// What browsers are told.
    pub fn browser(&self) -> Option<&'p BrowserRule> {
        self.route?.browser.as_ref()
    }

    /// What an answer with the head `answer` can be invalidated by, besides its URI: the tags
    /// of its route, those of its Cache-Tag field, and its cache groups (RFC 9875 §2).
    pub fn tags<F: Fields + ?Sized>(
        &self,
        request: &Request<'_, F>,
        who: &Identity,
        answer: &(impl Fields + ?Sized),
    ) -> Vec<Tag> {
        let route = self.route.map_or(&[][..], |route| &route.tags);
        let named = answer.lines_of("cache-tag").flat_map(list::tokens);
        let named = named.filter_map(|tag| core::str::from_utf8(tag).ok()).map(Tag::named);
        let groups = cache_groups::groups(answer).into_iter();
        self.fill(route, request, who)
            .chain(named.take(TAGS_MAX))
            .chain(groups.map(|group| Tag::group(request, &group)))
            .collect()
    }

    /// What a request that got this answer invalidates, besides resources: what its route says
    /// (C4), and the cache groups that the answer names (RFC 9875 §3). Nothing where the method
    /// is safe or the status an error.
    pub fn invalidates<F: Fields + ?Sized>(
        &self,
        request: &Request<'_, F>,
        who: &Identity,
        status: u16,
        answer: &(impl Fields + ?Sized),
    ) -> Vec<Tag> {
        if !has_written(request.method, status) {
            return Vec::new();
        }
        let route = self.route.map_or(&[][..], |route| &route.invalidates);
        let groups = cache_groups::invalidated(answer).into_iter();
        self.fill(route, request, who)
            .chain(groups.map(|group| Tag::group(request, &group)))
            .collect()
    }

    /// What is void here where `resource` is (RFC 9111 §4.4): what answers to a GET of it, with
    /// these fields, are kept for under the keys of its route. `None` where none are kept.
    pub fn kept_for(
        &self,
        resource: &Resource,
        fields: &(impl Fields + ?Sized),
    ) -> Option<Resource> {
        let (scheme, host, target) = resource.address()?;
        let get = Request::read(Method::Get, scheme, &host, &target, fields);
        Some(Resource::kept(&self.keeping_rule(&get)?.key, &get))
    }

    /// The rule that answers to requests like this one are kept by on this tier. By the route: a
    /// body or an upgrade keeps a request out of the cache, not what is in there.
    pub fn keeping_rule<F: Fields + ?Sized>(
        &self,
        request: &Request<'_, F>,
    ) -> Option<&'p CacheRule> {
        self.policy.plan(self.tier, request).route?.cache_rule(self.tier)
    }

    fn fill<'a, F: Fields + ?Sized>(
        &self,
        templates: &'p [Template],
        request: &'a Request<'_, F>,
        who: &'a Identity,
    ) -> impl Iterator<Item = Tag> + use<'a, 'p, F> {
        let pattern = self.route.map(|route| &route.pattern);
        // What the route was matched by, so that no spelling of a path evades its tags.
        let path = request.target.route_path();
        let parameter = move |name: &str| pattern?.parameter(name, path);
        templates
            .iter()
            .map(move |template| Tag::named(String::from(template.fill(who, parameter))))
    }

    /// The fields that the answer leaves with, by lower-case name: the route's, and the
    /// policy's where the route is silent.
    pub fn headers(&self) -> impl Iterator<Item = (&'p str, &'p str)> + use<'p> {
        self.policy.headers(self.route)
    }

    /// How many bytes the body of the request has at most.
    pub fn max_body(&self) -> u64 {
        let own = self.route.and_then(|route| route.max_body);
        own.or(self.policy.model.shim.max_body).unwrap_or(BODY_MAX)
    }

    /// Whether stale answers serve while the breaker of its upstream is open, even those that the
    /// origin forbids to serve so.
    pub fn serves_stale_while_open(&self) -> bool {
        self.route.is_some_and(|route| route.unsafe_stale_while_open)
    }

    /// Under which terms the answer is kept on this tier: what was stored under others, before
    /// the policy was replaced, is not served.
    pub fn terms(&self) -> Terms {
        let both = self.position.and_then(|at| self.policy.terms.get(at));
        both.map_or_else(Terms::default, |both| Terms::at(*both, self.tier))
    }

    /// Which of the platform's caches keeps the answer at the edge.
    pub fn edge_cache(&self) -> EdgeCache {
        self.route.map(|route| route.edge_cache).unwrap_or_default()
    }

    /// Whether browsers are told not to store the answer.
    pub(crate) fn browser_stores_nothing(&self) -> bool {
        let stores_nothing =
            self.position.and_then(|at| self.policy.browsers_store_nothing.get(at));
        stores_nothing == Some(&true)
    }

    /// The key as people read it, where the policy names one and a cache is used:
    /// `team:42:plugins:~1a2b3c4d`.
    pub fn key_name<F: Fields + ?Sized>(
        &self,
        request: &Request<'_, F>,
        who: &Identity,
    ) -> Option<Text> {
        let route = self.route.filter(|_| self.cache.is_ok())?;
        let path = request.target.path();
        Some(route.key_name.as_ref()?.fill(who, |name| route.pattern.parameter(name, path)))
    }
}
