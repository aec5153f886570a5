//! The report for a terminal.

use std::fmt;

use tidegate_core::Tier;

use super::numbers::{bytes, count, minute, percent, span, thousands, ttl};
use super::table::Table;
use super::{COMPARED, Replayed, Report, RouteCompared, TierFound, named, routes_compared};
use crate::counts::Kind;

/// Reasons and hottest that are shown.
const SHOWN: usize = 10;
/// The times to live of the table, in seconds.
const TTLS: [f64; 6] = [10.0, 60.0, 300.0, 3_600.0, 86_400.0, 604_800.0];

/// Writes a report as text.
pub struct Text<'a>(pub &'a Report);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { log, policy, against, .. } = self.0;
        header(f, policy)?;
        if let Some(log) = log.as_ref().filter(|log| log.unreadable > 0) {
            let lines = (thousands(log.unreadable), thousands(log.lines));
            writeln!(f, "\n{} of {} lines could not be read:", lines.0, lines.1)?;
            for reason in &log.reasons {
                writeln!(f, "  {}  {}", thousands(reason.lines), reason.why)?;
                for shown in &reason.first {
                    writeln!(f, "    {}: {}", shown.place, shown.line.escape_debug())?;
                }
            }
        }
        match against {
            None => alone(f, policy),
            Some(against) => {
                side_by_side(f, against, policy)?;
                writeln!(f, "\n--- {} ---", policy.name)?;
                alone(f, policy)?;
                writeln!(f, "\n--- {} ---", against.name)?;
                alone(f, against)
            }
        }
    }
}

fn header(f: &mut fmt::Formatter<'_>, found: &Replayed) -> fmt::Result {
    writeln!(f, "{} (hash {})", found.name, found.hash)?;
    writeln!(
        f,
        "{} requests of {} clients, {}",
        thousands(found.requests),
        count(found.clients),
        bytes(found.bytes as f64)
    )?;
    if let (Some(from), Some(until)) = (&found.from, &found.until) {
        writeln!(f, "{} to {} UTC: {}", minute(from), minute(until), span(found.seconds))?;
    }
    if found.early > 0 {
        writeln!(
            f,
            "{} came before one that was read earlier, by {} ms at most, and count as if with it",
            thousands(found.early),
            thousands(found.earliest_ms)
        )?;
    }
    for (left_out, why) in [
        (found.bad_requests, "have a target or a host that is none, and are left out"),
        (found.left_out, "failed at the origin, and are left out"),
    ] {
        if left_out > 0 {
            writeln!(f, "{} {why}", thousands(left_out))?;
        }
    }
    Ok(())
}

/// All of one policy.
fn alone(f: &mut fmt::Formatter<'_>, found: &Replayed) -> fmt::Result {
    summary(f, found)?;
    for tier in &found.tiers {
        routes(f, tier)?;
    }
    limits(f, found)?;
    for tier in &found.tiers {
        reasons(f, tier)?;
        times_to_live(f, tier)?;
        sizes(f, tier)?;
    }
    hottest(f, found)?;
    assumptions(f, found)
}

fn summary(f: &mut fmt::Formatter<'_>, found: &Replayed) -> fmt::Result {
    let mut table = Table::new(["", "requests", "of all", "bytes"]);
    let of_all = |requests: u64| percent(crate::counts::part(requests, found.requests));
    let mut row = |name: String, requests: u64, size: u64| {
        table.row([name, thousands(requests), of_all(requests), bytes(size as f64)]);
    };
    row("clients asked for".into(), found.requests, found.bytes);
    for tier in &found.tiers {
        let (hits, size) = (tier.outcomes.hits(), tier.outcomes.stored_bytes);
        row(format!("served by the store at the {}", tier.tier), hits, size);
    }
    row("refused by limits".into(), found.refused, 0);
    row("asked of the origin".into(), found.origin_requests, found.origin_bytes);
    write!(f, "\n{table}")?;
    for tier in &found.tiers {
        let outcomes = &tier.outcomes;
        let numbers = [
            (outcomes.stale, "served stale and refreshed"),
            (outcomes.on_error, "served stale since the origin failed"),
            (outcomes.confirmed, "confirmed by the origin"),
        ];
        let numbers: Vec<String> = numbers
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, what)| format!("{} {what}", thousands(number)))
            .collect();
        if !numbers.is_empty() {
            writeln!(f, "{}: {}", tier.tier, numbers.join(", "))?;
        }
    }
    Ok(())
}

fn routes(f: &mut fmt::Formatter<'_>, tier: &TierFound) -> fmt::Result {
    let mut table = Table::new([
        &*format!("at the {}", tier.tier),
        "requests",
        "hits",
        "missed",
        "passed",
        "refused",
        "sent on",
        "bytes on",
    ]);
    for route in &tier.routes {
        let outcomes = &route.outcomes;
        let hits = match outcomes.hits() + outcomes.missed + outcomes.confirmed {
            0 => "-".into(),
            _ => percent(route.hit_ratio),
        };
        table.row([
            named(&route.route).into(),
            thousands(outcomes.requests),
            hits,
            thousands(outcomes.missed + outcomes.confirmed + outcomes.unsatisfiable),
            thousands(outcomes.passed),
            thousands(outcomes.refused),
            thousands(outcomes.asked),
            bytes(outcomes.asked_bytes as f64),
        ]);
    }
    write!(f, "\n{table}")
}

fn limits(f: &mut fmt::Formatter<'_>, found: &Replayed) -> fmt::Result {
    if found.limits.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(["limit", "tier", "asked", "429", "clients", "waited"]);
    for limit in &found.limits {
        let dry_run = if limit.dry_run { " (dry run)" } else { "" };
        table.row([
            format!("{}{dry_run}", limit.limit),
            limit.tier.into(),
            thousands(limit.counts.asked),
            thousands(limit.counts.refused),
            count(limit.refused_clients),
            thousands(limit.counts.waited),
        ]);
    }
    write!(f, "\n{table}")
}

fn reasons(f: &mut fmt::Formatter<'_>, tier: &TierFound) -> fmt::Result {
    let mut all: Vec<_> = tier
        .routes
        .iter()
        .flat_map(|route| route.reasons.iter().map(|reason| (named(&route.route), reason)))
        .collect();
    all.sort_by_key(|(_, reason)| std::cmp::Reverse(reason.count));
    let head = format!("why not from the {}", tier.tier);
    let mut table = Table::new([&*head, "requests", "", "reason"]).with_text_from(2);
    for (route, reason) in all.into_iter().take(SHOWN) {
        let kind = match reason.kind {
            Kind::Missed => "missed",
            Kind::Passed => "cache left out",
            Kind::NotStored => "not stored",
        };
        table.row([route.into(), thousands(reason.count), kind.into(), reason.reason.into()]);
    }
    if table.is_empty() { Ok(()) } else { write!(f, "\n{table}") }
}

fn times_to_live(f: &mut fmt::Formatter<'_>, tier: &TierFound) -> fmt::Result {
    let heads = TTLS.map(ttl);
    let [a, b, c, d, e, g] = &heads;
    let head = format!("hits at the {} by ttl", tier.tier);
    let mut table = Table::new([&*head, a, b, c, d, e, g]);
    let mut sampled: f64 = 1.0;
    for route in &tier.routes {
        let Some(curve) = &route.by_ttl else { continue };
        sampled = sampled.min(curve.sampled);
        let [a, b, c, d, e, g] = TTLS.map(|ttl| {
            let point = curve.points.iter().find(|point| point.at == ttl);
            point.map_or_else(String::new, |point| percent(point.hit_ratio))
        });
        table.row([named(&route.route).into(), a, b, c, d, e, g]);
    }
    if table.is_empty() {
        return Ok(());
    }
    write!(f, "\n{table}")?;
    sample_of(f, sampled)
}

fn sizes(f: &mut fmt::Formatter<'_>, tier: &TierFound) -> fmt::Result {
    let mut table =
        Table::new([&*format!("stores at the {}", tier.tier), "most held", "room", "evicted"]);
    for store in &tier.stores {
        table.row([
            store.name.clone(),
            bytes(store.peak_bytes as f64),
            bytes(store.capacity_bytes as f64),
            thousands(store.evicted),
        ]);
    }
    if !table.is_empty() {
        write!(f, "\n{table}")?;
    }
    if let Some(enough) = tier.enough_bytes {
        let most = tier.by_size.points.last().map_or(0.0, |point| point.hit_ratio);
        writeln!(
            f,
            "{} are enough for {} of the requests that come to it; more room brings no more",
            bytes(enough),
            percent(most)
        )?;
        sample_of(f, tier.by_size.sampled)?;
    }
    Ok(())
}

fn sample_of(f: &mut fmt::Formatter<'_>, sampled: f64) -> fmt::Result {
    match sampled < 1.0 {
        true => writeln!(f, "(an estimate by {} of the keys)", percent(sampled)),
        false => Ok(()),
    }
}

fn hottest(f: &mut fmt::Formatter<'_>, found: &Replayed) -> fmt::Result {
    let mut table =
        Table::new(["asked for most", "requests", "to origin", "route"]).with_text_from(3);
    for hot in found.hottest.iter().take(SHOWN) {
        let about = if hot.excess > 0 { "≤ " } else { "" };
        table.row([
            hot.name.clone(),
            format!("{about}{}", thousands(hot.requests)),
            thousands(hot.reached_origin),
            named(&hot.route).into(),
        ]);
    }
    if table.is_empty() { Ok(()) } else { write!(f, "\n{table}") }
}

fn assumptions(f: &mut fmt::Formatter<'_>, found: &Replayed) -> fmt::Result {
    writeln!(
        f,
        "\n{} of the answers rest on an assumption; --assume NAME=VALUE sets one:",
        percent(crate::counts::part(found.assumed, found.requests))
    )?;
    for assumed in found.assumptions.iter().filter(|assumed| assumed.requests > 0) {
        let part = percent(crate::counts::part(assumed.requests, found.requests));
        writeln!(f, "{part:>9}  {}={}", assumed.name, assumed.value)?;
        writeln!(f, "           {}", assumed.about)?;
    }
    Ok(())
}

/// Two policies over the same requests.
fn side_by_side(f: &mut fmt::Formatter<'_>, one: &Replayed, other: &Replayed) -> fmt::Result {
    let mut table = Table::new(["", "before", "after", "difference"]);
    for (name, compared) in COMPARED {
        let [before, after, difference] = compared.written(one, other);
        table.row([name.into(), before, after, difference]);
    }
    writeln!(f, "\nbefore: {}\nafter:  {}", one.name, other.name)?;
    write!(f, "\n{table}")?;
    for tier in [Tier::Edge, Tier::Origin] {
        let head = format!("at the {}", tier.as_str());
        let mut table =
            Table::new([&*head, "hits before", "after", "", "sent on before", "after", ""]);
        for RouteCompared { route, hit_ratio, sent_on } in routes_compared(tier, one, other) {
            let ([a, b, c], [d, e, g]) = (hit_ratio, sent_on);
            table.row([route.into(), a, b, c, d, e, g]);
        }
        if !table.is_empty() {
            write!(f, "\n{table}")?;
        }
    }
    Ok(())
}
