//! One scenario through the engine, and what is counted of it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::Serialize;
use tidegate_core::rate::{EdgeStore, OriginStore};
use tidegate_core::{Policy, Scheme, Tier, Timestamp};
use tidegate_traffic::{Mix, Request, Requests, Traffic};

use super::Scenario;
use super::needs::{Needs, Reckoning};
use crate::asked::{Asked, Field};
use crate::counts::part;
use crate::engine::{Engine, Outcome, Setup};
use crate::report::{LimitFound, Replayed};

/// Midnight of a Thursday: nothing depends on which.
const MIDNIGHT: Timestamp = Timestamp::from_secs(1_795_046_400);
/// So often whoever waits hears how far it is.
const TOLD_EVERY: u64 = 10_000;

/// What one scenario came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Simulated {
    /// Users that there are.
    pub users: u32,
    /// Requests in a second of the busiest hour, as asked for.
    pub rate: f64,
    /// Of so many users one was simulated. What all share is asked for so much less often then
    /// than it would be, so that hit ratios are at least what is said.
    pub one_of: u32,
    /// For how many seconds was counted.
    pub seconds: u64,
    /// What flowed in that time, of the users that were simulated.
    pub flow: Flow,
    /// The most bytes that the stores of the shim held.
    pub memory: u64,
    /// What all users need.
    pub needs: Needs,
}

/// Where requests went. All are counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// Requests of browsers.
    pub requests: u64,
    /// What browsers have kept because the policy says so, and ask for no more.
    pub spared: u64,
    /// Answered by what the edge had stored.
    pub edge_hits: u64,
    /// Answered by what the shim had stored.
    pub shim_hits: u64,
    /// Refused by limits of either tier.
    pub refused: u64,
    /// Passed on by both tiers without a look into a store.
    pub uncached: u64,
    /// Requests that came to the shim: those that the edge neither answered nor refused, and what
    /// it asked by itself to refresh an answer.
    pub at_shim: u64,
    /// Requests that came to the origin.
    pub at_origin: u64,
    /// What the origin would have to do without Tidegate, with browsers that keep what the origin
    /// itself lets them.
    pub alone: Spent,
    /// What it would with the edge, and nothing of its answers stored behind that: neither at the
    /// shim nor in browsers.
    pub behind_edge: Spent,
    /// What it has to do.
    pub spent: Spent,
    /// Requests that change something.
    pub writes: u64,
    /// Decisions of limits that want a Durable Object.
    pub object_decisions: u64,
    /// Round trips to Redis for limits.
    pub redis_decisions: u64,
    /// Requests for which the shim looks into Redis, since its memory has nothing that serves.
    pub redis_looks: u64,
}

/// What something costs the origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spent {
    /// Queries of its database.
    pub queries: u64,
    /// Milliseconds for which it works.
    pub millis: u64,
}

impl Spent {
    fn add(&mut self, times: u64, (queries, takes): (u32, Duration)) {
        self.queries += times * u64::from(queries);
        self.millis += times * takes.as_millis() as u64;
    }
}

impl Flow {
    /// The part of all requests that the edge keeps from the shim, of 1 (T1).
    pub fn taken_by_edge(&self) -> f64 {
        saved(self.at_shim, self.requests)
    }

    /// The part of database queries that the policy of the origin takes away, of what passes the
    /// edge: by what the shim stores and by what it lets browsers keep (T1).
    pub fn queries_taken(&self) -> f64 {
        saved(self.spent.queries, self.behind_edge.queries)
    }

    /// The part that a store answered of the requests for what is stored at all, of 1 (T2).
    pub fn hit_ratio(&self) -> f64 {
        part(self.edge_hits + self.shim_hits, self.requests - self.refused - self.uncached)
    }
}

fn saved(rest: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { 1.0 - rest as f64 / all as f64 }
}

impl Simulated {
    /// Runs one scenario. `progress` hears from time to time how many requests there were.
    pub fn of(
        policy: &Policy,
        mix: &Mix,
        setup: &Setup,
        scenario: &Scenario,
        reckoning: &Reckoning,
        progress: &mut dyn FnMut(u64),
    ) -> Self {
        let one_of = scenario.one_of();
        let users = NonZeroU32::new(scenario.users.get() / one_of).unwrap_or(NonZeroU32::MIN);
        let begin = busiest(mix);
        let from = begin.saturating_sub(scenario.warm_up);
        let traffic =
            Traffic { users, rate: scenario.rate / f64::from(one_of), seed: scenario.seed, from };
        let end = begin + scenario.counted;
        let mut engine = Engine::new(policy.clone(), setup.clone());
        let mut flow = Flow::default();
        let mut before = None;
        let mut spelled = Spelled::default();
        let mut requests = Requests::of(mix, traffic);
        let mut number = 0_u64;
        while let Some(request) = requests.next().filter(|request| request.at < end) {
            number += 1;
            if number.is_multiple_of(TOLD_EVERY) {
                progress(number);
            }
            let is_counted = request.at >= begin;
            if is_counted && before.is_none() {
                before = Some((Replayed::of("", &engine), requests.spared().to_vec()));
            }
            let Some(outcome) = spelled.ask(mix, &request, &mut engine) else { continue };
            if is_counted {
                flow.count(&request, outcome);
            }
        }
        let after = Replayed::of("", &engine);
        let (before, spared_before) =
            before.unwrap_or_else(|| (after.clone(), requests.spared().to_vec()));
        flow.count_stores(policy, &before, &after);
        flow.count_spared(mix, &spared_before, requests.spared());
        let stores = after.tier(Tier::Origin).map_or(&[][..], |tier| &tier.stores);
        // Half as many users fill a cache half; what all share is there all the same.
        let memory = stores.iter().map(|store| {
            (store.peak_bytes * u64::from(one_of)).min(store.capacity_bytes.max(store.peak_bytes))
        });
        let seconds = scenario.counted.as_secs();
        let mut simulated = Self {
            users: scenario.users.get(),
            rate: scenario.rate,
            one_of,
            seconds,
            flow,
            memory: memory.sum(),
            needs: Needs::default(),
        };
        simulated.needs = Needs::of(&simulated, mix, setup.edge_locations, policy, reckoning);
        simulated
    }

    /// How often something happens in a second, for all users.
    pub fn a_second(&self, count: u64) -> f64 {
        count as f64 * f64::from(self.one_of) / self.seconds.max(1) as f64
    }
}

/// When the busiest hour begins, since midnight: so that its middle is the busiest time.
fn busiest(mix: &Mix) -> Duration {
    let hours = mix.day.hours.iter().enumerate();
    let busiest = hours.max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    let hour = busiest.map_or(0, |(hour, _)| hour as u64);
    // The day begins anew behind it, which the traffic knows.
    Duration::from_secs((24 + hour) * 3600 - 1800)
}

/// Texts that are written anew for each request.
#[derive(Debug, Default)]
struct Spelled {
    user: String,
    authorization: String,
    tags: HashMap<u32, String>,
}

impl Spelled {
    fn ask(&mut self, mix: &Mix, request: &Request<'_>, engine: &mut Engine) -> Option<Outcome> {
        use std::fmt::Write as _;

        let endpoint = request.endpoint;
        let user = request.user().map(|user| {
            self.user.clear();
            self.authorization.clear();
            // Writing into a text does not fail.
            let _ = write!(self.user, "u{user}");
            let _ = write!(self.authorization, "Bearer u{user}");
            (&*self.user, &*self.authorization)
        });
        let mut fields: [Field<'_>; 2] = [("", b""); 2];
        let mut count = 0;
        let mut put = |field| {
            fields[count] = field;
            count += 1;
        };
        if let Some((_, authorization)) = user {
            put(("authorization", authorization.as_bytes()));
        }
        if endpoint.reload {
            put(("cache-control", &b"no-cache"[..]));
        }
        let mut answer: [Field<'_>; 2] = [("", b""); 2];
        let mut said = 0;
        if let Some(cache_control) = &endpoint.cache_control {
            answer[said] = ("cache-control", cache_control.as_bytes());
            said += 1;
        }
        if endpoint.validator {
            let tag = self
                .tags
                .entry(endpoint.bytes)
                .or_insert_with(|| format!("\"{}\"", endpoint.bytes));
            answer[said] = ("etag", tag.as_bytes());
            said += 1;
        }
        engine.ask(&Asked {
            at: MIDNIGHT + request.at,
            took: Some(request.origin_answer().takes),
            client: Some(IpAddr::V4(request.person.address)),
            user: user.map(|(user, _)| user),
            method: request.method(),
            scheme: Some(Scheme::Https),
            host: Some(&mix.host),
            target: &request.target,
            fields: &fields[..count],
            has_all_fields: true,
            // Whatever the browser has already: the caches are asked for the whole.
            status: endpoint.status,
            bytes: u64::from(endpoint.bytes),
            answer: Some(&answer[..said]),
        })
    }
}

impl Flow {
    fn count(&mut self, request: &Request<'_>, outcome: Outcome) {
        let answer = request.origin_answer();
        let cost = (answer.queries, answer.takes);
        let passes_edge =
            outcome.served_by != Some(Tier::Edge) && outcome.refused_by != Some(Tier::Edge);
        self.requests += 1;
        self.edge_hits += u64::from(outcome.served_by == Some(Tier::Edge));
        self.shim_hits += u64::from(outcome.served_by == Some(Tier::Origin));
        self.refused += u64::from(outcome.refused_by.is_some());
        self.at_origin += u64::from(outcome.origin_requests);
        self.writes += u64::from(!matches!(request.method(), "GET" | "HEAD"));
        self.alone.add(1, cost);
        self.behind_edge.add(u64::from(passes_edge), cost);
        self.spent.add(outcome.origin_requests.into(), cost);
    }

    /// What browsers did not ask for, between two looks at the traffic.
    fn count_spared(&mut self, mix: &Mix, before: &[u64], after: &[u64]) {
        for ((endpoint, before), after) in mix.endpoints.iter().zip(before).zip(after) {
            // What the origin says by itself, it says without Tidegate, too.
            if endpoint.cache_control.is_none() {
                let cost = (endpoint.queries, Duration::from_millis(endpoint.millis.into()));
                self.spared += after - before;
                self.alone.add(after - before, cost);
                self.behind_edge.add(after - before, cost);
            }
        }
    }

    /// What limits and stores were asked, between two looks at the engine.
    fn count_stores(&mut self, policy: &Policy, before: &Replayed, after: &Replayed) {
        let came = |tier: Tier, found: &Replayed| found.tier(tier).map(|tier| tier.outcomes);
        let between = |tier| match (came(tier, before), came(tier, after)) {
            (Some(before), Some(after)) => (before, after),
            (None, Some(after)) => (Default::default(), after),
            _ => Default::default(),
        };
        let (before_shim, after_shim) = between(Tier::Origin);
        self.at_shim = after_shim.requests - before_shim.requests;
        let passing = passed_by_all(after);
        self.uncached = passed(after, &passing) - passed(before, &passing);
        let looks = |found: &crate::Outcomes| found.missed + found.confirmed + found.refreshed;
        self.redis_looks = looks(&after_shim) - looks(&before_shim);
        for found in &after.limits {
            let Some(limit) = policy.model().limits.iter().find(|limit| limit.name == found.limit)
            else {
                continue;
            };
            // A limit that nobody had asked yet is not among them.
            let same = |one: &&LimitFound| (&one.limit, one.tier) == (&found.limit, found.tier);
            let asked_before = before.limits.iter().find(same).map_or(0, |one| one.counts.asked);
            let asked = found.counts.asked - asked_before;
            let is_edge = found.tier == Tier::Edge.as_str();
            if is_edge && limit.stores.edge == EdgeStore::Global {
                self.object_decisions += asked;
            }
            if !is_edge && limit.stores.origin == OriginStore::Redis {
                self.redis_decisions += asked / u64::from(limit.lease.map_or(1, NonZeroU32::get));
            }
        }
    }
}

/// Routes of the last tier that no tier before it looks into its store for: what the edge has a rule
/// for is looked for there, whatever the shim does with the rest.
fn passed_by_all(found: &Replayed) -> HashSet<&str> {
    let Some((last, others)) = found.tiers.split_last() else { return HashSet::new() };
    let is_stored_before = |route: &str| {
        let mut same = others.iter().flat_map(|tier| &tier.routes).filter(|at| at.route == route);
        same.any(|at| at.outcomes.passed < at.outcomes.requests - at.outcomes.refused)
    };
    let routes = last.routes.iter().map(|route| &*route.route);
    routes.filter(|route| !is_stored_before(route)).collect()
}

/// Requests of these routes that the last tier did not look into its store for.
fn passed(found: &Replayed, routes: &HashSet<&str>) -> u64 {
    let all = found.tiers.last().into_iter().flat_map(|tier| &tier.routes);
    let these = all.filter(|route| routes.contains(&*route.route));
    these.map(|route| route.outcomes.passed).sum()
}
