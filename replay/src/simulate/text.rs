//! What was found, for a terminal of 80 columns.

use std::fmt;

use super::run::{Flow, Simulated};
use super::{Report, USERS_FOR_EACH_AT_ONCE};
use crate::counts::part;
use crate::report::numbers::{bytes, percent, span, thousands};

/// A report for people.
#[derive(Debug)]
pub struct Text<'a>(&'a Report);

impl Report {
    /// For people.
    pub const fn text(&self) -> Text<'_> {
        Text(self)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(report) = self;
        let found = &report.asked;
        writeln!(
            f,
            "{} users behind {}, in {} at the busiest.",
            thousands(found.users.into()),
            report.policy,
            span(found.seconds),
        )?;
        if found.one_of > 1 {
            writeln!(
                f,
                "One of {} users is simulated and counts for all: what they share is asked for\n\
                 less often so, and more is taken away in truth.",
                found.one_of
            )?;
        }
        writeln!(f)?;
        flow(f, found)?;
        writeln!(f)?;
        needs(f, found)?;
        writeln!(f)?;
        cloudflare(f, found)?;
        if !report.steps.is_empty() {
            writeln!(f)?;
            steps(f, &report.steps)?;
        }
        writeln!(f, "\nGiven, not found (the traffic by --mix, the rest by --reckon name=value):")?;
        for given in &report.traffic {
            writeln!(f, "  {:<62} {:>14}", given.what, given.value)?;
        }
        for (name, what, value) in report.reckoning.told() {
            writeln!(f, "  {name:<15} {what:<54} {value:>6}")?;
        }
        Ok(())
    }
}

fn flow(f: &mut fmt::Formatter<'_>, found: &Simulated) -> fmt::Result {
    let Flow { requests, spared, edge_hits, shim_hits, refused, at_shim, at_origin, .. } =
        found.flow;
    let of_all = |count| percent(part(count, requests));
    let line = |f: &mut fmt::Formatter<'_>, what, count, part: String| {
        let part = if part.is_empty() { part } else { format!("{part:>11}") };
        writeln!(f, "{what:<44} {:>12}{part}", rate(found.a_second(count)))
    };
    writeln!(f, "{:<44} {:>12} {:>10}", "Where requests go", "a second", "of all")?;
    line(f, "Browsers keep, by the policy", spared, String::new())?;
    line(f, "Browsers ask", requests, of_all(requests))?;
    line(f, "The edge answers out of its store", edge_hits, of_all(edge_hits))?;
    line(f, "The shim is asked", at_shim, of_all(at_shim))?;
    line(f, "The shim answers out of its store", shim_hits, of_all(shim_hits))?;
    line(f, "Limits refuse", refused, of_all(refused))?;
    line(f, "The origin is asked", at_origin, of_all(at_origin))?;
    line(f, "Database queries", found.flow.spent.queries, String::new())?;
    line(f, "  … with the edge alone", found.flow.behind_edge.queries, String::new())?;
    line(f, "  … without Tidegate", found.flow.alone.queries, String::new())?;
    writeln!(f)?;
    let taken =
        |f: &mut fmt::Formatter<'_>, what, part| writeln!(f, "{what:<57} {:>10}", percent(part));
    taken(f, "The edge takes away of all requests", found.flow.taken_by_edge())?;
    taken(f, "The shim and browsers take away of database queries", found.flow.queries_taken())?;
    taken(f, "Hit ratio, of what is stored at all", found.flow.hit_ratio())
}

fn needs(f: &mut fmt::Formatter<'_>, found: &Simulated) -> fmt::Result {
    let needs = &found.needs;
    let line =
        |f: &mut fmt::Formatter<'_>, what, value: String| writeln!(f, "{what:<44} {value:>12}");
    writeln!(f, "What that needs in the busiest hour")?;
    line(f, "Servers of the origin", thousands(needs.origin_servers))?;
    line(f, "  … without Tidegate", thousands(needs.origin_servers_alone))?;
    line(f, "Processors for the shim", few(needs.shim_processors))?;
    line(f, "Memory of the shim's stores", bytes(found.memory as f64))?;
    match needs.has_redis {
        true => line(f, "Operations of Redis a second", rate(needs.redis_operations)),
        false => writeln!(f, "No Redis: the policy counts and stores in each process by itself."),
    }
}

fn cloudflare(f: &mut fmt::Formatter<'_>, found: &Simulated) -> fmt::Result {
    let cloudflare = &found.needs.cloudflare;
    writeln!(
        f,
        "{:<36} {:>13} {:>13} {:>12}",
        "Cloudflare, by the curve of a day", "a day", "plan Free has", "$ a month"
    )?;
    for used in &cloudflare.uses {
        let has = match used.free_a_day.is_finite() {
            true => thousands(used.free_a_day as u64),
            false => "–".into(),
        };
        let day = thousands(used.a_day.round() as u64);
        writeln!(f, "{:<36} {day:>13} {has:>13} {:>12.2}", used.what, used.dollars)?;
    }
    let total = format!("{}, prices of November 2026", cloudflare.plan);
    writeln!(f, "{total:<64} {:>12.2}", cloudflare.dollars)
}

fn steps(f: &mut fmt::Formatter<'_>, steps: &[Simulated]) -> fmt::Result {
    writeln!(
        f,
        "{:>7} {:>9} {:>8} {:>8} {:>8} {:>9} {:>9} {:>12}",
        "at once", "requests", "edge", "hits", "origin", "queries", "without", "servers"
    )?;
    writeln!(
        f,
        "{:>7} {:>9} {:>8} {:>8} {:>8} {:>9} {:>9} {:>12}",
        "", "a second", "takes", "", "a second", "a second", "Tidegate", "(without)"
    )?;
    for step in steps {
        let flow = &step.flow;
        let needs = &step.needs;
        writeln!(
            f,
            "{:>7} {:>9} {:>8} {:>8} {:>8} {:>9} {:>9} {:>12}",
            thousands(u64::from(step.users / USERS_FOR_EACH_AT_ONCE)),
            rate(step.a_second(flow.requests)),
            percent(flow.taken_by_edge()),
            percent(flow.hit_ratio()),
            rate(step.a_second(flow.at_origin)),
            rate(step.a_second(flow.spent.queries)),
            rate(step.a_second(flow.alone.queries)),
            format!("{} ({})", needs.origin_servers, needs.origin_servers_alone),
        )?;
    }
    Ok(())
}

/// A number of which less than one matters, too.
fn few(number: f64) -> String {
    match number {
        n if n < 0.01 => "< 0.01".into(),
        n if n < 10.0 => format!("{n:.2}"),
        n => thousands(n.round() as u64),
    }
}

/// So many a second: tenths where they matter.
fn rate(number: f64) -> String {
    match number < 100.0 {
        true => format!("{number:.1}"),
        false => thousands(number.round() as u64),
    }
}
