//! The decisions of the core, one by one and together.

use std::time::Duration;

use http::HeaderMap;
use http::header::CACHE_STATUS;
use tidegate_bench::measure::Work;
use tidegate_core::headers::cache_status::{CacheStatus, Outcome, Ttl};
use tidegate_core::headers::rate_limit::Quota;
use tidegate_core::http_types::Edits;
use tidegate_core::policy::Plan;
use tidegate_core::rate::Verdict;
use tidegate_core::reuse::{Lookup, Reuse, reuse};
use tidegate_core::store::store;
use tidegate_core::{
    Admission, CacheKey, CacheRule, Request, Response, Stored, Tier, Timestamp, respond,
};

use crate::world::{self, Asked, EXCHANGE, NOW, World};

/// A stored answer.
pub(crate) struct Held {
    pub(crate) head: HeaderMap,
    pub(crate) stored: Stored,
}

impl Held {
    /// One that the policy of `world` keeps.
    pub(crate) fn by(world: &World) -> Self {
        let head = world::stored_head();
        let stored = world::stored(world, &head);
        Self { head, stored }
    }
}

/// When the stored answer is asked for: it is fresh and has an age.
pub(crate) const ASKED_AT: Timestamp = Timestamp::from_secs(NOW.as_secs() + 42);

// What budgets are about.
pub(crate) const PLAN: &str = "plan";
pub(crate) const DECISION: &str = "full decision on a hit";

/// Every decision on the requests of `world`.
pub(crate) fn all<'a>(
    world: &'a World,
    requests: &'a [Request<'a, HeaderMap>],
    held: &'a Held,
) -> Vec<Work<'a>> {
    let plan = |request: &Request<'_, HeaderMap>| world.policy.plan(Tier::Origin, request);
    let request = |turn| &requests[turn % requests.len()];
    let rules: Vec<&CacheRule> = requests.iter().map(|r| plan(r).cache.unwrap()).collect();
    let rule = move |turn| rules[turn % rules.len()];
    let mut fields = HeaderMap::with_capacity(16);
    let mut limited = HeaderMap::with_capacity(16);
    vec![
        Work::new("read the request's head", move |turn| world.asked(turn).read(|r| r.has_body)),
        Work::new(PLAN, move |turn| plan(request(turn)).route.is_some()),
        Work::new("key", {
            let rule = rule.clone();
            move |turn| CacheKey::of(&rule(turn).key, request(turn), &world.asked(turn).who)
        }),
        Work::new("reuse", {
            let rule = rule.clone();
            move |turn| reuse(rule(turn), request(turn), Lookup::Found(&held.stored), ASKED_AT)
        }),
        Work::new("store, the answer's head read", move |turn| {
            let response = Response::read(Tier::Origin, 200, &held.head, NOW);
            store(rule(turn), request(turn), &response, &EXCHANGE)
        }),
        Work::new("admission", move |turn| {
            let limit = &world.policy.model().limits[0];
            Admission::decide(limit, None, NOW + Duration::from_millis(turn as u64))
        }),
        Work::new("admission, its fields written", move |turn| {
            let limit = &world.policy.model().limits[0];
            let admission =
                Admission::decide(limit, None, NOW + Duration::from_millis(turn as u64));
            let mut verdict = Verdict::default();
            verdict.add(limit, Ok(admission));
            let told = Quota::told(&limited);
            respond::rate_limit(&mut Edits::of(&mut limited), &verdict, told);
            limited.clear();
        }),
        Work::new(DECISION, {
            let mut fields = HeaderMap::with_capacity(16);
            move |turn| {
                // The map stays, so that its own memory is none of the decision's.
                fields.remove(CACHE_STATUS);
                let (asked, request) = (world.asked(turn), request(turn));
                decide(plan(request), request, asked, held, &mut fields)
            }
        }),
        Work::new("the same, the request's head read", move |turn| {
            fields.remove(CACHE_STATUS);
            let asked = world.asked(turn);
            asked.read(|request| decide(plan(request), request, asked, held, &mut fields))
        }),
    ]
}

/// Everything between the request's head and the answer's, on a hit: which route, which key,
/// whether the stored answer serves, and the fields it leaves with.
fn decide(
    plan: Plan<'_>,
    request: &Request<'_, HeaderMap>,
    asked: &Asked,
    held: &Held,
    fields: &mut HeaderMap,
) -> CacheKey {
    let rule = plan.cache.unwrap();
    let key = CacheKey::of(&rule.key, request, &asked.who);
    let found = Lookup::Found(&held.stored);
    let Reuse::Serve { age, ttl, .. } = reuse(rule, request, found, ASKED_AT) else {
        panic!("the bench's own answer is not fresh");
    };
    let name = plan.key_name(request, &asked.who);
    let status = CacheStatus {
        cache: plan.tier.cache_name(),
        outcome: Outcome::Hit { ttl: Ttl::fresh(ttl) },
        key: name.as_deref(),
        detail: None,
    };
    let mut edits = Edits::of(fields);
    respond::age(&mut edits, age);
    respond::browser(&mut edits, &plan, request, 200, &held.head);
    respond::cache_status(&mut edits, &status);
    key
}
