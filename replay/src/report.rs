//! What was found, as one model: written as text, as JSON or as a page.

mod html;
pub(crate) mod numbers;
mod table;
mod text;

use serde::Serialize;
use tidegate_core::Tier;
use tidegate_core::rate::Limit;
use tidegate_core::time::rfc3339::Rfc3339;

pub use html::Html;
pub use text::Text;

use crate::assumptions::Assumed;
use crate::counts::{Kind, Outcomes, part};
use crate::engine::{Engine, LimitCounts};
use crate::log::Unreadable;
use crate::sketch::{Count, Curve, Hot, Slice};

/// The version of the JSON.
pub const VERSION: u32 = 1;
/// The hottest that are told.
const HOTTEST: usize = 20;
/// Of what the largest size of a cache has, this part is as good as all.
const NEARLY_ALL: f64 = 0.99;

/// What two policies are compared by.
const COMPARED: [(&str, Compared); 8] = [
    ("requests served by a store", Compared::Count(|found| found.hits)),
    ("requests refused by limits", Compared::Count(|found| found.refused)),
    ("requests asked of the origin", Compared::Count(|found| found.origin_requests)),
    ("bytes sent by the origin", Compared::Bytes(|found| found.origin_bytes)),
    ("stale answers served", Compared::Count(Replayed::stale)),
    ("hit ratio in all", Compared::Part(|found| found.hit_ratio)),
    ("hit ratio at the edge", Compared::Part(|found| found.hit_ratio_at(Tier::Edge))),
    ("hit ratio at the origin", Compared::Part(|found| found.hit_ratio_at(Tier::Origin))),
];

/// A number of a policy, and what it is.
enum Compared {
    Count(fn(&Replayed) -> u64),
    Bytes(fn(&Replayed) -> u64),
    /// Of 1.
    Part(fn(&Replayed) -> f64),
}

impl Compared {
    /// That of both policies and by what the second differs, as people read them.
    fn written(&self, one: &Replayed, other: &Replayed) -> [String; 3] {
        match self {
            Self::Count(get) => counts_compared(get(one), get(other)),
            Self::Bytes(get) => {
                let (one, other) = (get(one), get(other));
                let sign = if other < one { "-" } else { "+" };
                let difference = numbers::bytes(other.abs_diff(one) as f64);
                let written = [one, other].map(|number| numbers::bytes(number as f64));
                let [one, other] = written;
                [one, other, format!("{sign}{difference}")]
            }
            Self::Part(get) => parts_compared(get(one), get(other)),
        }
    }
}

fn counts_compared(one: u64, other: u64) -> [String; 3] {
    let difference = numbers::signed(other as i64 - one as i64);
    [numbers::thousands(one), numbers::thousands(other), difference]
}

fn parts_compared(one: f64, other: f64) -> [String; 3] {
    let points = format!("{:+.1} points", 100.0 * (other - one));
    [numbers::percent(one), numbers::percent(other), points]
}

/// What two policies make of one route at one tier, and by what the second differs.
struct RouteCompared<'a> {
    route: &'a str,
    hit_ratio: [String; 3],
    sent_on: [String; 3],
}

/// The routes of a tier under two policies: those of the first, and then what the second alone has.
fn routes_compared<'a>(
    tier: Tier,
    one: &'a Replayed,
    other: &'a Replayed,
) -> Vec<RouteCompared<'a>> {
    let of = |found: &'a Replayed| found.tier(tier).map_or(&[][..], |tier| &tier.routes);
    let named = |found: &'a Replayed, name: &str| of(found).iter().find(|at| at.route == name);
    let second_alone = of(other).iter().filter(|at| named(one, &at.route).is_none());
    let compared = |route: &'a RouteFound| {
        let (one, other) = (named(one, &route.route), named(other, &route.route));
        let ratio = |found: Option<&RouteFound>| found.map_or(0.0, |found| found.hit_ratio);
        let asked = |found: Option<&RouteFound>| found.map_or(0, |found| found.outcomes.asked);
        RouteCompared {
            route: self::named(&route.route),
            hit_ratio: parts_compared(ratio(one), ratio(other)),
            sent_on: counts_compared(asked(one), asked(other)),
        }
    };
    of(one).iter().chain(second_alone).map(compared).collect()
}

/// Everything that a replay has found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// The lines that were read; nothing where there was no log.
    pub log: Option<Log>,
    /// What the policy would have made of the requests.
    pub policy: Replayed,
    /// What another policy would have made of the same.
    pub against: Option<Replayed>,
}

/// What was read.
#[derive(Clone, Debug, Serialize)]
pub struct Log {
    /// Lines in all.
    pub lines: u64,
    /// Those that could not be read.
    pub unreadable: u64,
    /// The same by reason, the commonest first.
    pub reasons: Vec<crate::log::Reason>,
}

/// What one policy would have made of all requests.
#[derive(Clone, Debug, Serialize)]
pub struct Replayed {
    /// What the policy is called.
    pub name: String,
    /// Its hash, by which `tidegate check` calls it too.
    pub hash: String,
    /// When the first request came, in RFC 3339; nothing without requests.
    pub from: Option<String>,
    /// When the last did.
    pub until: Option<String>,
    /// The seconds between.
    pub seconds: u64,
    /// Requests of clients.
    pub requests: u64,
    /// Bytes of the bodies that they got.
    pub bytes: u64,
    /// Clients by address.
    pub clients: Count,
    /// Requests that came before one that was read earlier, and count as if they came with it.
    pub early: u64,
    /// By how many milliseconds at most.
    pub earliest_ms: u64,
    /// Requests left out since their target or their host is none.
    pub bad_requests: u64,
    /// Requests left out since the origin failed, where an assumption says so.
    pub left_out: u64,
    /// In how many places the edge stores by itself.
    pub edge_locations: u16,
    /// Requests that a store served without anybody being asked first, on either tier.
    pub hits: u64,
    /// The same as a part of all requests, of 1.
    pub hit_ratio: f64,
    /// Requests that limits refused.
    pub refused: u64,
    /// Questions that reached the origin.
    pub origin_requests: u64,
    /// Bytes of the bodies that it sent.
    pub origin_bytes: u64,
    /// The tiers in the order in which requests come to them.
    pub tiers: Vec<TierFound>,
    /// The limits on each tier, in the order of the policy.
    pub limits: Vec<LimitFound>,
    /// By time.
    pub over_time: Vec<Slice>,
    /// What was asked for most.
    pub hottest: Vec<Hot>,
    /// Requests whose outcome rests on some assumption.
    pub assumed: u64,
    /// The assumptions.
    pub assumptions: Vec<Assumed>,
}

/// What one tier would have done.
#[derive(Clone, Debug, Serialize)]
pub struct TierFound {
    /// `edge` or `origin`.
    pub tier: &'static str,
    /// On all routes.
    pub outcomes: Outcomes,
    /// The part of the requests that its store served, of 1.
    pub hit_ratio: f64,
    /// The part of the bytes that came out of its store, of 1.
    pub byte_hit_ratio: f64,
    /// By route, those with most requests first.
    pub routes: Vec<RouteFound>,
    /// Its stores.
    pub stores: Vec<StoreFound>,
    /// Hit ratio against the size of its cache, for answers that live as long as the policy says.
    pub by_size: Curve,
    /// The smallest of these sizes that has nearly the hits of the largest; nothing without hits.
    pub enough_bytes: Option<f64>,
}

/// What one tier would have done on one route.
#[derive(Clone, Debug, Serialize)]
pub struct RouteFound {
    /// Its name; empty where none matched.
    pub route: String,
    /// What became of its requests.
    pub outcomes: Outcomes,
    /// The part of them that a store served, of 1.
    pub hit_ratio: f64,
    /// Why, in the words of `Cache-Status`, the commonest first.
    pub reasons: Vec<ReasonFound>,
    /// Hit ratio against the time to live, of the requests that came to a cache.
    pub by_ttl: Option<Curve>,
}

/// How often a reason was given.
#[derive(Clone, Debug, Serialize)]
pub struct ReasonFound {
    /// What for.
    pub kind: Kind,
    /// The reason.
    pub reason: &'static str,
    /// How often.
    pub count: u64,
}

/// What a store held.
#[derive(Clone, Debug, Serialize)]
pub struct StoreFound {
    /// The zone; at the edge `locations`, which are all of them.
    pub name: String,
    /// The most bytes that it ever held, heads and bookkeeping included.
    pub peak_bytes: u64,
    /// Bytes that it holds at most.
    pub capacity_bytes: u64,
    /// Answers that it held in the end.
    pub answers: u64,
    /// Bytes that it held in the end.
    pub bytes: u64,
    /// Answers that went for want of room.
    pub evicted: u64,
}

/// What a limit would have said on one tier.
#[derive(Clone, Debug, Serialize)]
pub struct LimitFound {
    /// Its name.
    pub limit: String,
    /// `edge` or `origin`.
    pub tier: &'static str,
    /// It refuses nobody: [`LimitCounts::refused`] counts those that it would have.
    pub dry_run: bool,
    /// What it said.
    #[serde(flatten)]
    pub counts: LimitCounts,
    /// To how many clients it said no.
    pub refused_clients: Count,
}

impl Report {
    /// What `engine` has found with the policy `name`, and `against` with another.
    pub fn new(
        unreadable: Option<&Unreadable>,
        (name, engine): (&str, &Engine),
        against: Option<(&str, &Engine)>,
    ) -> Self {
        let log = unreadable.map(|unreadable| Log {
            lines: unreadable.lines,
            unreadable: unreadable.count(),
            reasons: unreadable.told(),
        });
        let against = against.map(|(name, engine)| Replayed::of(name, engine));
        Self { version: VERSION, log, policy: Replayed::of(name, engine), against }
    }

    /// As JSON; `docs/replay.md` says what stands in it.
    pub fn to_json(&self) -> serde_json::Value {
        // Maps with keys of text, numbers and lists, which all serialise.
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl Replayed {
    /// What `engine` has found with the policy `name`.
    pub fn of(name: &str, engine: &Engine) -> Self {
        let totals = &engine.totals;
        let tiers: Vec<TierFound> =
            (0..engine.gates().len()).map(|at| TierFound::of(engine, at)).collect();
        let origin = tiers.last().map(|tier| tier.outcomes).unwrap_or_default();
        let span = engine.span();
        let rfc3339 = |at| Rfc3339(at).to_string();
        Self {
            name: name.into(),
            hash: engine.policy().hash(),
            from: span.map(|(first, _)| rfc3339(first)),
            until: span.map(|(_, last)| rfc3339(last)),
            seconds: span.map_or(0, |(first, last)| last.since(first).as_secs()),
            requests: totals.requests,
            bytes: totals.bytes,
            clients: totals.clients.count(),
            early: totals.early,
            earliest_ms: totals.earliest_ms,
            bad_requests: totals.bad_requests,
            left_out: totals.left_out,
            edge_locations: engine.setup().edge_locations,
            hits: totals.hits,
            hit_ratio: part(totals.hits, totals.requests),
            refused: totals.refused,
            origin_requests: origin.asked,
            origin_bytes: origin.asked_bytes,
            tiers,
            limits: limits(engine),
            over_time: totals.over_time.told(),
            hottest: totals.hottest.told(HOTTEST),
            assumed: totals.rested.any(),
            assumptions: totals.rested.told(&engine.setup().assumptions),
        }
    }

    fn stale(&self) -> u64 {
        self.tiers.iter().map(|tier| tier.outcomes.stale + tier.outcomes.on_error).sum()
    }

    fn hit_ratio_at(&self, tier: Tier) -> f64 {
        self.tier(tier).map_or(0.0, |tier| tier.hit_ratio)
    }

    /// What became of the requests at a tier, if it was replayed.
    pub fn tier(&self, tier: Tier) -> Option<&TierFound> {
        self.tiers.iter().find(|found| found.tier == tier.as_str())
    }
}

impl TierFound {
    fn of(engine: &Engine, at: usize) -> Self {
        let gate = &engine.gates()[at];
        let mut outcomes = Outcomes::default();
        gate.routes().iter().for_each(|route| outcomes.add(&route.outcomes));
        let names = engine.policy().model().routes.iter().map(|route| &*route.name).chain([""]);
        let mut routes: Vec<RouteFound> = names
            .zip(gate.routes())
            .zip(0..)
            .filter(|((_, counts), _)| counts.outcomes.requests > 0)
            .map(|((name, counts), at)| {
                let reasons = counts.reasons.iter();
                let reason = |(kind, reason, count): &(Kind, &'static str, u64)| ReasonFound {
                    kind: *kind,
                    reason,
                    count: *count,
                };
                let mut reasons: Vec<ReasonFound> = reasons.map(reason).collect();
                reasons.sort_by_key(|reason| (std::cmp::Reverse(reason.count), reason.reason));
                RouteFound {
                    route: name.into(),
                    outcomes: counts.outcomes,
                    hit_ratio: counts.outcomes.hit_ratio(),
                    reasons,
                    by_ttl: gate.curves().by_ttl(at),
                }
            })
            .collect();
        routes.sort_by_key(|route| std::cmp::Reverse(route.outcomes.requests));
        let by_size = gate.curves().by_size();
        Self {
            tier: gate.tier().as_str(),
            hit_ratio: outcomes.hit_ratio(),
            byte_hit_ratio: outcomes.byte_hit_ratio(),
            outcomes,
            routes,
            stores: gate.stores(engine.policy()),
            enough_bytes: enough(&by_size),
            by_size,
        }
    }
}

/// What a route is called where people read it.
fn named(route: &str) -> &str {
    if route.is_empty() { "(no route)" } else { route }
}

/// The smallest size that has nearly the hits of the largest.
fn enough(by_size: &Curve) -> Option<f64> {
    let most = by_size.points.last()?.hit_ratio;
    let nearly = |point: &&crate::sketch::Point| point.hit_ratio >= NEARLY_ALL * most;
    (most > 0.0).then(|| by_size.points.iter().find(nearly).map(|point| point.at))?
}

fn limits(engine: &Engine) -> Vec<LimitFound> {
    let limits = &engine.policy().model().limits;
    let of = |limit: &Limit, at: usize| {
        let (name, dry_run) = (limit.name.clone(), limit.dry_run);
        engine.gates().iter().filter_map(move |gate| gate.limit(at)).map(move |found| LimitFound {
            limit: name.clone(),
            dry_run,
            ..found
        })
    };
    limits.iter().zip(0..).flat_map(|(limit, at)| of(limit, at)).collect()
}
