//! What so much traffic needs: servers, Redis, and a plan of Cloudflare's.
//!
//! What flows is counted; what that takes is reckoned, from the numbers of a [`Reckoning`] and from
//! the busiest hour: a day is that hour by the curve of the mix, and a month thirty of such days.

use serde::Serialize;
use tidegate_core::Policy;
use tidegate_traffic::Mix;

use super::run::Simulated;

/// What things take, and what they cost. None of it follows from the traffic; each can be set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Reckoning {
    /// Requests that one server of the origin works on at once.
    pub origin_workers: f64,
    /// How busy servers may be in the busiest hour, of 1: the rest is for its peaks.
    pub busy: f64,
    /// Processor time of the shim for an answer out of its store, in microseconds.
    pub shim_hit_us: f64,
    /// The same for a request that it sends on.
    pub shim_miss_us: f64,
    /// Processor time of the Worker for a request, in milliseconds.
    pub worker_ms: f64,
    /// Isolates in each location of the edge.
    pub isolates: f64,
    /// Seconds after which an isolate asks KV again for what is in force.
    pub kv_seconds: f64,
}

impl Default for Reckoning {
    fn default() -> Self {
        Self {
            origin_workers: 8.0,
            busy: 0.7,
            // docs/performance.md and docs/benches.md, rounded up.
            shim_hit_us: 13.0,
            shim_miss_us: 45.0,
            worker_ms: 0.5,
            isolates: 4.0,
            kv_seconds: 30.0,
        }
    }
}

impl Reckoning {
    /// Each of them: its name, what it is, and its value.
    pub fn told(&self) -> [(&'static str, &'static str, f64); 7] {
        [
            (
                "origin-workers",
                "requests that a server of the origin works on at once",
                self.origin_workers,
            ),
            ("busy", "how busy it may be then, of 1", self.busy),
            (
                "shim-hit-us",
                "µs of the shim for a request that its store answers",
                self.shim_hit_us,
            ),
            ("shim-miss-us", "µs of the shim for a request that it sends on", self.shim_miss_us),
            ("worker-ms", "ms of processor time of the Worker for a request", self.worker_ms),
            ("isolates", "isolates in each location of the edge", self.isolates),
            ("kv-seconds", "seconds after which an isolate asks KV again", self.kv_seconds),
        ]
    }

    /// Sets the one called `name`.
    ///
    /// # Errors
    /// If there is none, or if `value` is no number above 0.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number = value.parse().ok().filter(|number: &f64| number.is_finite() && *number > 0.0);
        let Some(number) = number else {
            return Err(format!("`{name}` is a number above 0, and `{value}` is none"));
        };
        let place = match name {
            "origin-workers" => &mut self.origin_workers,
            "busy" if number > 1.0 => {
                return Err(format!("`busy` is a part of 1, and `{value}` is more: try 0.7"));
            }
            "busy" => &mut self.busy,
            "shim-hit-us" => &mut self.shim_hit_us,
            "shim-miss-us" => &mut self.shim_miss_us,
            "worker-ms" => &mut self.worker_ms,
            "isolates" => &mut self.isolates,
            "kv-seconds" => &mut self.kv_seconds,
            _ => {
                let names = self.told().map(|(name, ..)| name).join(", ");
                return Err(format!(
                    "`{name}` is nothing that can be reckoned with: there are {names}"
                ));
            }
        };
        *place = number;
        Ok(())
    }
}

/// What is needed in the busiest hour, and of Cloudflare in a month.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Needs {
    /// Servers of the origin without Tidegate.
    pub origin_servers_alone: u64,
    /// Servers of the origin behind it.
    pub origin_servers: u64,
    /// Processors that are busy with the shim throughout.
    pub shim_processors: f64,
    /// Operations of Redis in a second: limits, looks and stores.
    pub redis_operations: f64,
    /// Redis is in the policy: for limits or for answers.
    pub has_redis: bool,
    /// What Cloudflare counts, and what it takes for that.
    pub cloudflare: Cloudflare,
}

/// The use of Cloudflare.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cloudflare {
    /// The plan that it needs: `Workers Free` or `Workers Paid`.
    pub plan: &'static str,
    /// US dollars a month, without taxes, as Cloudflare documented its prices in November 2026.
    pub dollars: f64,
    /// Each thing that is counted.
    pub uses: Vec<Use>,
}

/// One thing that Cloudflare counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Use {
    /// What.
    pub what: &'static str,
    /// How many in a day.
    pub a_day: f64,
    /// How many the plan Free has in a day.
    pub free_a_day: f64,
    /// Dollars in a month on the plan Paid, for what is beyond its share.
    pub dollars: f64,
}

/// What the plan Paid costs by itself.
const PAID: f64 = 5.0;
const DAYS: f64 = 30.0;
/// Documents that an isolate asks KV for: overrides, the policy in force, and what was purged.
const DOCUMENTS: f64 = 3.0;
/// The keeper writes what was purged once in so many seconds at most.
const SECONDS_BETWEEN_WRITES: f64 = 5.0;

impl Needs {
    pub(super) fn of(
        found: &Simulated,
        mix: &Mix,
        locations: u16,
        policy: &Policy,
        reckoning: &Reckoning,
    ) -> Self {
        let flow = &found.flow;
        let each = |count| found.a_second(count);
        let servers = |millis| {
            let at_once = each(millis) / 1000.0;
            (at_once / (reckoning.origin_workers * reckoning.busy)).ceil().max(1.0) as u64
        };
        let sent_on = flow.at_shim.saturating_sub(flow.shim_hits);
        let micros =
            each(flow.shim_hits) * reckoning.shim_hit_us + each(sent_on) * reckoning.shim_miss_us;
        let has_answers = policy.model().cache.redis.as_ref().is_some_and(|redis| redis.answers);
        // A look, and mostly a store behind it.
        let second_tier = if has_answers { 2 * flow.redis_looks } else { 0 };
        // Each write says in Redis what it voids.
        let tells = if policy.model().cache.redis.is_some() { flow.writes } else { 0 };

        let day = 86_400.0 * mix.day.mean();
        let isolates = f64::from(locations.max(1)) * reckoning.isolates;
        // The shim tells the edge of what writes void, all of a second at once.
        let edge = &policy.model().edge;
        let is_told = edge.url.is_some() && edge.token.is_some();
        let purges = if is_told { each(flow.writes).min(1.0) } else { 0.0 };
        let uses = [
            used(
                "requests of the Worker",
                (each(flow.requests) + purges) * day,
                100_000.0,
                (10e6, 0.3),
            ),
            used(
                "processor time of the Worker, ms",
                // The plan Free bounds it for each request only.
                each(flow.requests) * day * reckoning.worker_ms,
                f64::INFINITY,
                (30e6, 0.02),
            ),
            used(
                "requests of Durable Objects",
                (each(flow.object_decisions) + purges) * day,
                100_000.0,
                (1e6, 0.15),
            ),
            used(
                "rows that Durable Objects write",
                (each(flow.object_decisions) + purges) * day,
                100_000.0,
                (50e6, 1.0),
            ),
            used(
                "reads of KV",
                isolates * DOCUMENTS * 86_400.0 / reckoning.kv_seconds,
                100_000.0,
                (10e6, 0.5),
            ),
            used(
                "writes of KV",
                (purges * day).min(86_400.0 / SECONDS_BETWEEN_WRITES),
                1_000.0,
                (1e6, 5.0),
            ),
        ];
        let is_free = uses.iter().all(|used| used.a_day <= used.free_a_day);
        let beyond: f64 = uses.iter().map(|used| used.dollars).sum();
        let (plan, dollars) =
            if is_free { ("Workers Free", 0.0) } else { ("Workers Paid", PAID + beyond) };
        Self {
            origin_servers_alone: servers(flow.alone.millis),
            origin_servers: servers(flow.spent.millis),
            shim_processors: micros / 1e6,
            redis_operations: each(flow.redis_decisions + second_tier + tells),
            has_redis: flow.redis_decisions > 0 || policy.model().cache.redis.is_some(),
            cloudflare: Cloudflare { plan, dollars, uses: uses.to_vec() },
        }
    }
}

/// So many a day; on the plan Paid a share of a month is for nothing, and a million beyond that
/// has a price.
fn used(what: &'static str, a_day: f64, free_a_day: f64, (share, million): (f64, f64)) -> Use {
    let beyond = (a_day * DAYS - share).max(0.0);
    Use { what, a_day, free_a_day, dollars: beyond / 1e6 * million }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_share_of_a_month_has_its_price() {
        let some = used("", 300_000.0, 100_000.0, (10e6, 0.3));
        assert_eq!(some.dollars, 0.0);
        let many = used("", 1_000_000.0, 100_000.0, (10e6, 0.3));
        assert!((many.dollars - 6.0).abs() < 1e-9, "{}", many.dollars);
    }

    #[test]
    fn each_number_can_be_set_by_its_name() {
        let mut reckoning = Reckoning::default();
        for (name, ..) in reckoning.told() {
            reckoning.set(name, "0.25").unwrap();
        }
        assert!(reckoning.told().iter().all(|(.., value)| *value == 0.25));
        for (name, value, word) in [
            ("busy", "2", "part of 1"),
            ("busy", "much", "number above 0"),
            ("busy", "NaN", "number above 0"),
            ("isolates", "0", "number above 0"),
            ("isolate", "1", "there are origin-workers, busy"),
        ] {
            let error = reckoning.set(name, value).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
