//! What a run has found.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::latencies::Percentiles;
use crate::run::Plan;
use crate::tally::Tally;
use crate::trouble::Trouble;

/// All that was found, and whether it is as it should be.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Who was asked.
    pub destination: String,
    /// How many visited at once.
    pub users: u32,
    /// How many there were, of whom those who visited were drawn.
    pub people: u32,
    /// Each phase, the ramp first.
    pub phases: Vec<Section>,
    /// All phases behind the ramp together.
    pub all: Section,
    /// What was to hold.
    pub targets: Vec<Verdict>,
    /// Whether all of it does.
    pub passed: bool,
}

/// What was found in one phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Section {
    /// The phase.
    pub name: String,
    /// How long it took.
    pub seconds: f64,
    /// What was asked.
    pub requests: u64,
    /// The same by its time.
    pub requests_per_second: f64,
    /// Of bodies, as they are when they are unpacked.
    pub bytes: u64,
    /// From when each was to be sent, of answers and of what did not come in time.
    pub latency_ms: Percentiles,
    /// The same from when it was sent: what one sees who does not look.
    pub uncorrected_latency_ms: Percentiles,
    /// Of answers that a cache gave, from when each was to be sent.
    pub cached_latency_ms: Percentiles,
    /// Of all other answers.
    pub other_latency_ms: Percentiles,
    /// Requests without an answer as it should be, by what went wrong.
    pub errors: BTreeMap<&'static str, u64>,
    /// Those of all requests.
    pub error_share: f64,
    /// Requests that a limit refused (429).
    pub limited: u64,
    /// Those of all requests.
    pub limited_share: f64,
    /// Answers by the cache that gave them.
    pub hits: BTreeMap<String, u64>,
    /// Answers of the origin, although a cache might have given them.
    pub misses: u64,
    /// Answers that no cache was to give.
    pub bypassed: u64,
    /// Answers that do not say who gave them.
    pub unknown: u64,
    /// Hits of hits and misses: what is not to be cached does not count.
    pub hit_ratio: f64,
    /// Hits of all answers.
    pub cached_share: f64,
    /// How late requests were sent although nothing was waited for: what this machine adds.
    pub own_lag_ms: Percentiles,
}

/// Something that was to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// As it was said.
    pub target: String,
    /// What was found.
    pub found: String,
    /// Whether it holds.
    pub holds: bool,
}

impl Report {
    pub(crate) fn of(plan: &Plan, tallies: &[Tally]) -> Self {
        let phases = plan.timeline.phases();
        let sections: Vec<Section> = phases
            .iter()
            .zip(tallies)
            .map(|(phase, tally)| Section::of(&phase.name, phase.lasts, tally))
            .collect();
        let mut together = Tally::default();
        tallies[1..].iter().for_each(|tally| together.add(tally));
        let lasts = phases[1..].iter().map(|phase| phase.lasts).sum();
        let all = Section::of("all but the ramp", lasts, &together);
        let judged = plan.targets.all().iter().map(|target| {
            let of = |name: &String| sections.iter().find(|section| section.name == *name);
            let section = target.phase.as_ref().and_then(of).unwrap_or(&all);
            let (found, holds) = target.judge(section);
            Verdict { target: target.said.clone(), found, holds }
        });
        let targets: Vec<Verdict> = judged.collect();
        Self {
            destination: plan.destination.base().into(),
            users: plan.users.get(),
            people: plan.people.get(),
            passed: targets.iter().all(|verdict| verdict.holds),
            phases: sections,
            all,
            targets,
        }
    }
}

impl Section {
    fn of(name: &str, lasts: Duration, tally: &Tally) -> Self {
        let share = |part: u64, whole: u64| match whole {
            0 => 0.0,
            _ => part as f64 / whole as f64,
        };
        let hits = tally.hits();
        let answers = hits + tally.origin + tally.bypass + tally.unknown;
        let errors = Trouble::ALL.iter().filter_map(|trouble| {
            tally.troubles.get(trouble).map(|count| (trouble.as_str(), *count))
        });
        Self {
            name: name.into(),
            seconds: lasts.as_secs_f64(),
            requests: tally.requests,
            requests_per_second: tally.requests as f64 / lasts.as_secs_f64().max(f64::EPSILON),
            bytes: tally.bytes,
            latency_ms: tally.all.percentiles(),
            uncorrected_latency_ms: tally.uncorrected.percentiles(),
            cached_latency_ms: tally.cached.percentiles(),
            other_latency_ms: tally.others.percentiles(),
            errors: errors.collect(),
            error_share: share(tally.errors(), tally.requests),
            limited: tally.limited,
            limited_share: share(tally.limited, tally.requests),
            hits: tally.by_cache.clone(),
            misses: tally.origin,
            bypassed: tally.bypass,
            unknown: tally.unknown,
            hit_ratio: share(hits, hits + tally.origin),
            cached_share: share(hits, answers),
            own_lag_ms: tally.lag.percentiles(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { destination, users, people, .. } = self;
        writeln!(f, "{destination}: {users} of {people} users at once\n")?;
        writeln!(
            f,
            "{:<18}{:>9}{:>9}{:>9}{:>9}{:>9}{:>8}{:>8}",
            "phase", "req/s", "p50", "p95", "p99", "p99.9", "errors", "429"
        )?;
        let all = (self.phases.len() > 2).then_some(&self.all);
        for section in self.phases.iter().chain(all) {
            let Percentiles { p50, p95, p99, p999, .. } = section.latency_ms;
            writeln!(
                f,
                "{:<18}{:>9.1}{:>9}{:>9}{:>9}{:>9}{:>7.2}%{:>7.2}%",
                shortened(&section.name),
                section.requests_per_second,
                Millis(p50),
                Millis(p95),
                Millis(p99),
                Millis(p999),
                section.error_share * 100.0,
                section.limited_share * 100.0,
            )?;
        }
        writeln!(f, "\nTimes count from when a request was to be sent, not from when it was.")?;
        self.all.details(f)?;
        for Verdict { target, found, holds } in &self.targets {
            writeln!(f, "{}  {target}: {found}", if *holds { "PASS" } else { "FAIL" })?;
        }
        Ok(())
    }
}

impl Section {
    /// What the table has no room for, of all phases behind the ramp.
    fn details(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cached, other) = (self.cached_latency_ms, self.other_latency_ms);
        let hits: u64 = self.hits.values().sum();
        writeln!(f, "\nBehind the ramp, {} requests:", self.requests)?;
        let line = |f: &mut fmt::Formatter<'_>, what: &str, count: u64, times: Percentiles| {
            let (p50, p95, p99) = (Millis(times.p50), Millis(times.p95), Millis(times.p99));
            writeln!(f, "  {what:<26}{count:>9}   p50 {p50}, p95 {p95}, p99 {p99}")
        };
        line(f, "answered by a cache", hits, cached)?;
        for (name, count) in &self.hits {
            writeln!(f, "    {name:<24}{count:>9}")?;
        }
        line(f, "answered by the origin", self.misses + self.bypassed + self.unknown, other)?;
        for (what, count) in [
            ("a cache might have", self.misses),
            ("no cache was to", self.bypassed),
            ("nobody says who it was", self.unknown),
        ] {
            if count > 0 {
                writeln!(f, "    {what:<24}{count:>9}")?;
            }
        }
        writeln!(
            f,
            "  hits of what may be cached {:.1}%, of all answers {:.1}%",
            self.hit_ratio * 100.0,
            self.cached_share * 100.0
        )?;
        for (what, count) in &self.errors {
            writeln!(f, "  error: {what:<19}{count:>9}")?;
        }
        if self.limited > 0 {
            writeln!(f, "  refused by a limit (429)  {:>9}", self.limited)?;
        }
        let lag = self.own_lag_ms;
        if lag.p99 > WORTH_A_WORD {
            writeln!(
                f,
                "  This machine itself sent one request in a hundred {} late or later: \
                 it has too\n  little left for {} requests a second.",
                Millis(lag.p99),
                self.requests_per_second.round()
            )?;
        }
        writeln!(f)
    }
}

/// A lag of the load generator itself of so many milliseconds is told.
const WORTH_A_WORD: f64 = 20.0;

fn shortened(name: &str) -> String {
    name.chars().take(17).collect()
}

/// Milliseconds for people.
struct Millis(f64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            millis if millis >= 10_000.0 => format!("{:.1} s", millis / 1000.0),
            millis if millis >= 100.0 => format!("{millis:.0} ms"),
            millis => format!("{millis:.1} ms"),
        };
        f.pad(&text)
    }
}
