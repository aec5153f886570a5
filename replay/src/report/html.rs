//! The report as one page: nothing from elsewhere, no script, readable in the light and in the dark.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use tidegate_core::Tier;

use super::numbers::{bytes, count, minute, percent, span, thousands, ttl};
use super::{COMPARED, Replayed, Report, RouteCompared, TierFound, named, routes_compared};
use crate::counts::{Kind, part};
use crate::plot::{self, Axis, Escaped, Mark, Plot, Series};
use crate::sketch::Curve;

/// Routes that are drawn; the others are in the table.
const DRAWN: usize = 6;

/// Writes a report as a page.
pub struct Html<'a>(pub &'a Report);

impl fmt::Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { log, policy, against, .. } = self.0;
        let style = [plot::STYLE, include_str!("page.css")].concat();
        // The page may do nothing but look like this.
        let hash = STANDARD.encode(Sha256::digest(&style));
        write!(
            f,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>Replay of {}</title><style>{style}</style></head><body><main>\
             <header><h1>What <code>{}</code> would have done</h1>",
            Escaped(&policy.name),
            Escaped(&policy.name),
        )?;
        write!(
            f,
            "<p>{} requests of {} clients, {}",
            thousands(policy.requests),
            count(policy.clients),
            bytes(policy.bytes as f64)
        )?;
        if let (Some(from), Some(until)) = (&policy.from, &policy.until) {
            let (from, until) = (minute(from), minute(until));
            write!(f, ", from {from} to {until} UTC, which is {}", span(policy.seconds))?;
        }
        f.write_str(".</p></header>")?;
        if let Some(against) = against {
            side_by_side(f, against, policy)?;
        }
        one(f, policy, "a", against.is_some())?;
        if let Some(against) = against {
            one(f, against, "b", true)?;
        }
        if let Some(log) = log.as_ref().filter(|log| log.unreadable > 0) {
            unreadable(f, log)?;
        }
        f.write_str("</main></body></html>\n")
    }
}

/// All of one policy, under ids that begin with `id`.
fn one(f: &mut fmt::Formatter<'_>, found: &Replayed, id: &str, is_named: bool) -> fmt::Result {
    if is_named {
        write!(f, "<h2 class=\"policy\"><code>{}</code></h2>", Escaped(&found.name))?;
    }
    cards(f, found)?;
    section(f, "Over time", |f| draw(f, &over_time(found), &format!("{id}-time")))?;
    for tier in &found.tiers {
        routes(f, tier)?;
    }
    for tier in &found.tiers {
        let drawn = by_ttl(tier);
        if !drawn.series.is_empty() {
            section(f, &format!("Time to live at the {}", tier.tier), |f| {
                f.write_str(
                    "<p>Of the requests for a route that come to a cache, the part that a stored answer \
                     would have served if all its answers lived so long, in a cache with room for all.</p>",
                )?;
                draw(f, &drawn, &format!("{id}-ttl-{}", tier.tier))?;
                sampled(f, tier.routes.iter().filter_map(|route| route.by_ttl.as_ref()))
            })?;
        }
    }
    let drawn = by_size(found);
    if !drawn.series.is_empty() {
        section(f, "Size of the cache", |f| {
            draw(f, &drawn, &format!("{id}-size"))?;
            stores(f, found)?;
            sampled(f, found.tiers.iter().map(|tier| &tier.by_size))
        })?;
    }
    limits(f, found)?;
    reasons(f, found)?;
    hottest(f, found)?;
    assumptions(f, found)
}

fn section(
    f: &mut fmt::Formatter<'_>,
    head: &str,
    body: impl FnOnce(&mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    write!(f, "<section><h2>{}</h2>", Escaped(head))?;
    body(f)?;
    f.write_str("</section>")
}

fn draw(f: &mut fmt::Formatter<'_>, plot: &Plot, id: &str) -> fmt::Result {
    f.write_str(&plot.svg(id))?;
    f.write_str(&plot.table())
}

fn cards(f: &mut fmt::Formatter<'_>, found: &Replayed) -> fmt::Result {
    let reached = percent(part(found.origin_requests, found.requests));
    let cards = [
        (percent(found.hit_ratio), format!("served by a store: {}", thousands(found.hits))),
        (reached, format!("asked of the origin: {}", thousands(found.origin_requests))),
        (bytes(found.origin_bytes as f64), "sent by the origin".to_owned()),
        (thousands(found.refused), "refused by limits".to_owned()),
    ];
    f.write_str("<dl class=\"cards\">")?;
    for (number, what) in cards {
        write!(f, "<div><dt>{}</dt><dd>{}</dd></div>", Escaped(&what), Escaped(&number))?;
    }
    f.write_str("</dl>")
}

fn over_time(found: &Replayed) -> Plot {
    let seconds = found.over_time.first().map_or(1, |slice| slice.seconds);
    let per = |of: fn(&crate::sketch::Slice) -> u64| -> Vec<(f64, f64)> {
        let points = found.over_time.iter().map(|slice| (slice.begins as f64, of(slice) as f64));
        // The last slice has a width, too.
        let end = found
            .over_time
            .last()
            .map(|slice| ((slice.begins + slice.seconds) as f64, of(slice) as f64));
        points.chain(end).collect()
    };
    let mut series = vec![
        Series::new("requests", Mark::Area, per(|slice| slice.requests)),
        Series::new("asked of the origin", Mark::Area, per(|slice| slice.reached_origin)),
    ];
    if found.refused > 0 {
        series.push(Series::new("refused", Mark::Steps, per(|slice| slice.refused)));
    }
    let most = found.over_time.iter().map(|slice| slice.requests.max(slice.reached_origin)).max();
    Plot {
        title: "Requests over time".into(),
        description: format!(
            "Requests of clients and questions to the origin, for each {} from {} to {}",
            span(seconds),
            found.from.as_deref().unwrap_or("the begin"),
            found.until.as_deref().unwrap_or("the end")
        ),
        x: time_axis(found),
        y: Axis::new(format!("for each {}", span(seconds)), |n| thousands(n as u64))
            .between(0.0, plot::round_end(most.unwrap_or(1).max(5) as f64)),
        series,
    }
}

/// Times at full hours or days, as wide apart as can be read.
fn time_axis(found: &Replayed) -> Axis {
    let slices = &found.over_time;
    let begin = slices.first().map_or(0, |slice| slice.begins);
    let end = slices.last().map_or(1, |slice| slice.begins + slice.seconds);
    let steps = [
        1, 5, 15, 60, 300, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
        2_592_000, 7_776_000, 31_536_000,
    ];
    let step = steps.into_iter().find(|step| (end - begin) / step <= 8).unwrap_or(315_360_000);
    let ticks = (begin.div_ceil(step)..).map(|n| n * step).take_while(|at| *at <= end);
    let write = if step < 60 {
        |at: f64| clock(at, 11..19)
    } else if step < 86_400 {
        |at: f64| clock(at, 5..16)
    } else {
        |at: f64| clock(at, 0..10)
    };
    Axis::new("time (UTC)", write)
        .between(begin as f64, end as f64)
        .with_ticks(ticks.map(|at| at as f64).collect())
}

/// A part of an instant in RFC 3339.
fn clock(seconds: f64, part: std::ops::Range<usize>) -> String {
    let at = tidegate_core::Timestamp::from_secs(seconds as u64);
    let text = tidegate_core::time::rfc3339::Rfc3339(at).to_string();
    text.get(part).unwrap_or_default().replace('T', " ")
}

fn by_ttl(tier: &TierFound) -> Plot {
    let drawn = tier.routes.iter().filter_map(|route| Some((route, route.by_ttl.as_ref()?)));
    let series = drawn
        .take(DRAWN)
        .map(|(route, curve)| Series::new(named(&route.route), Mark::Line, points(curve)));
    let series: Vec<Series> = series.collect();
    let days = 2_592_000.0;
    Plot {
        title: format!("Hit ratio at the {} against the time to live", tier.tier),
        description: "For each route the part of its requests that would have been hits, for \
                      times to live from a second to 30 days"
            .into(),
        x: Axis::new("time to live", ttl)
            .logarithmic()
            .between(1.0, days)
            .with_ticks(vec![1.0, 10.0, 60.0, 600.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0, days]),
        y: Axis::new("hit ratio", percent).between(0.0, 1.0),
        series,
    }
}

fn by_size(found: &Replayed) -> Plot {
    let tiers = found.tiers.iter().filter(|tier| tier.enough_bytes.is_some());
    // Behind what is enough nothing happens any more.
    let enough = tiers.clone().filter_map(|tier| tier.enough_bytes).fold(1e6, f64::max) * 4.0;
    let series = tiers.map(|tier| {
        let points = points(&tier.by_size);
        let shown = points.into_iter().filter(|(at, _)| *at <= enough).collect();
        Series::new(format!("at the {}", tier.tier), Mark::Line, shown)
    });
    let ticks = (16..44).step_by(2).map(|power| f64::from(power).exp2()).collect();
    Plot {
        title: "Hit ratio against the size of the cache".into(),
        description:
            "The part of the requests that come to a tier that would have been hits, with \
                      the policy's times to live, for sizes of its cache"
                .into(),
        x: Axis::new("size of the cache", bytes)
            .logarithmic()
            .between(65_536.0, enough)
            .with_ticks(ticks),
        y: Axis::new("hit ratio", percent).between(0.0, 1.0),
        series: series.collect(),
    }
}

fn points(curve: &Curve) -> Vec<(f64, f64)> {
    curve.points.iter().map(|point| (point.at, point.hit_ratio)).collect()
}

fn sampled<'a>(f: &mut fmt::Formatter<'_>, curves: impl Iterator<Item = &'a Curve>) -> fmt::Result {
    let least = curves.map(|curve| curve.sampled).fold(1.0, f64::min);
    match least < 1.0 {
        true => write!(f, "<p>An estimate by a sample of {} of the keys.</p>", percent(least)),
        false => Ok(()),
    }
}

/// The head of a table, whose first column has names.
fn table_head(f: &mut fmt::Formatter<'_>, caption: &str, heads: &[&str]) -> fmt::Result {
    write!(f, "<div class=\"scroll\"><table><caption>{}</caption><thead><tr>", Escaped(caption))?;
    for head in heads {
        let class = if *head == SHARE { " class=\"text\"" } else { "" };
        write!(f, "<th scope=\"col\"{class}>{}</th>", Escaped(head))?;
    }
    f.write_str("</tr></thead><tbody>")
}

/// The head of a column of bars.
const SHARE: &str = "Share";

fn row(f: &mut fmt::Formatter<'_>, name: &str, cells: &[&str]) -> fmt::Result {
    write!(f, "<tr><th scope=\"row\">{}</th>", Escaped(name))?;
    for cell in cells {
        write!(f, "<td>{}</td>", Escaped(cell))?;
    }
    f.write_str("</tr>")
}

const TABLE_END: &str = "</tbody></table></div>";

fn routes(f: &mut fmt::Formatter<'_>, tier: &TierFound) -> fmt::Result {
    section(f, &format!("Routes at the {}", tier.tier), |f| {
        f.write_str(
            "<p class=\"legend\"><i class=\"k0\"></i> hits <i class=\"k1\"></i> missed or \
             confirmed <i class=\"k5\"></i> cache left out <i class=\"k3\"></i> refused</p>",
        )?;
        let heads = [
            "Route",
            SHARE,
            "Requests",
            "Hit ratio",
            "Hits",
            "Stale",
            "Missed",
            "Left out",
            "Refused",
            "Sent on",
            "Bytes on",
        ];
        table_head(f, &format!("What became of requests at the {}", tier.tier), &heads)?;
        for route in &tier.routes {
            let outcomes = &route.outcomes;
            let missed = outcomes.missed + outcomes.confirmed + outcomes.unsatisfiable;
            write!(
                f,
                "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td>",
                Escaped(named(&route.route)),
                bar(
                    outcomes.requests,
                    &[
                        (0, outcomes.hits()),
                        (1, missed),
                        (5, outcomes.passed),
                        (3, outcomes.refused)
                    ]
                )
            )?;
            for cell in [
                thousands(outcomes.requests),
                match outcomes.hits() + missed {
                    0 => "–".to_owned(),
                    _ => percent(route.hit_ratio),
                },
                thousands(outcomes.hits()),
                thousands(outcomes.stale + outcomes.on_error),
                thousands(missed),
                thousands(outcomes.passed),
                thousands(outcomes.refused),
                thousands(outcomes.asked),
                bytes(outcomes.asked_bytes as f64),
            ] {
                write!(f, "<td>{}</td>", Escaped(&cell))?;
            }
            f.write_str("</tr>")?;
        }
        f.write_str(TABLE_END)
    })
}

/// Parts of a whole beside each other, in these colours. The numbers stand beside it.
fn bar(all: u64, parts: &[(usize, u64)]) -> String {
    let mut svg = String::from(
        "<svg viewBox=\"0 0 120 10\" width=\"120\" height=\"10\" aria-hidden=\"true\">",
    );
    let mut from = 0.0;
    for (colour, count) in parts {
        let width = 120.0 * part(*count, all);
        let _ = write!(
            svg,
            "<rect class=\"plot-key plot-{colour}\" x=\"{from:.1}\" width=\"{width:.1}\" height=\"10\"/>"
        );
        from += width;
    }
    svg.push_str("</svg>");
    svg
}

fn stores(f: &mut fmt::Formatter<'_>, found: &Replayed) -> fmt::Result {
    let heads = ["Store", "Tier", "Most held", "Room", "Evicted"];
    table_head(f, "What the stores held", &heads)?;
    for tier in &found.tiers {
        for store in &tier.stores {
            let cells = [
                tier.tier,
                &bytes(store.peak_bytes as f64),
                &bytes(store.capacity_bytes as f64),
                &thousands(store.evicted),
            ];
            row(f, &store.name, &cells)?;
        }
    }
    f.write_str(TABLE_END)?;
    for tier in &found.tiers {
        if let Some(enough) = tier.enough_bytes {
            let most = tier.by_size.points.last().map_or(0.0, |point| point.hit_ratio);
            write!(
                f,
                "<p>At the {} {} are enough for {} of the requests that come to it; more room brings no more.</p>",
                tier.tier,
                bytes(enough),
                percent(most)
            )?;
        }
    }
    Ok(())
}

fn limits(f: &mut fmt::Formatter<'_>, found: &Replayed) -> fmt::Result {
    if found.limits.is_empty() {
        return Ok(());
    }
    section(f, "Limits", |f| {
        let heads = ["Limit", "Tier", "Asked", "Refused (429)", "Clients refused", "Waited"];
        table_head(f, "What the limits would have said", &heads)?;
        for limit in &found.limits {
            let dry_run = if limit.dry_run { " (dry run)" } else { "" };
            let cells = [
                limit.tier,
                &thousands(limit.counts.asked),
                &thousands(limit.counts.refused),
                &count(limit.refused_clients),
                &thousands(limit.counts.waited),
            ];
            row(f, &format!("{}{dry_run}", limit.limit), &cells)?;
        }
        f.write_str(TABLE_END)
    })
}

fn reasons(f: &mut fmt::Formatter<'_>, found: &Replayed) -> fmt::Result {
    section(f, "Why not from a store", |f| {
        let heads = ["Route", "Tier", "Requests", "What", "Reason"];
        table_head(f, "Reasons, in the words of Cache-Status", &heads)?;
        for tier in &found.tiers {
            for route in &tier.routes {
                for reason in &route.reasons {
                    let kind = match reason.kind {
                        Kind::Missed => "missed",
                        Kind::Passed => "cache left out",
                        Kind::NotStored => "not stored",
                    };
                    let cells = [tier.tier, &thousands(reason.count), kind, reason.reason];
                    row(f, named(&route.route), &cells)?;
                }
            }
        }
        f.write_str(TABLE_END)
    })
}

fn hottest(f: &mut fmt::Formatter<'_>, found: &Replayed) -> fmt::Result {
    section(f, "Asked for most", |f| {
        let heads = ["What", "Requests", "To the origin", "Route"];
        table_head(f, "What was asked for most; ≤ where a count may be too high", &heads)?;
        for hot in &found.hottest {
            let about = if hot.excess > 0 { "≤ " } else { "" };
            let requests = format!("{about}{}", thousands(hot.requests));
            let cells = [&*requests, &thousands(hot.reached_origin), named(&hot.route)];
            row(f, &hot.name, &cells)?;
        }
        f.write_str(TABLE_END)
    })
}

fn assumptions(f: &mut fmt::Formatter<'_>, found: &Replayed) -> fmt::Result {
    section(f, "What was assumed", |f| {
        write!(
            f,
            "<p>{} of the answers rest on an assumption, since a log does not say everything. \
             <code>--assume NAME=VALUE</code> sets one.</p>",
            percent(part(found.assumed, found.requests))
        )?;
        let heads = ["Name", "Value", "Answers", "What it is about"];
        table_head(f, "Assumptions, and the part of the answers that rest on each", &heads)?;
        for assumed in &found.assumptions {
            let of = percent(part(assumed.requests, found.requests));
            row(f, assumed.name, &[&assumed.value, &of, assumed.about])?;
        }
        f.write_str(TABLE_END)
    })
}

fn side_by_side(f: &mut fmt::Formatter<'_>, one: &Replayed, other: &Replayed) -> fmt::Result {
    section(f, "Side by side", |f| {
        table_head(
            f,
            "Two policies, the same requests",
            &["", &one.name, &other.name, "Difference"],
        )?;
        for (name, compared) in COMPARED {
            let written = compared.written(one, other);
            row(f, name, &written.each_ref().map(String::as_str))?;
        }
        f.write_str(TABLE_END)?;
        for tier in [Tier::Edge, Tier::Origin] {
            routes_side_by_side(f, tier, one, other)?;
        }
        Ok(())
    })
}

fn routes_side_by_side(
    f: &mut fmt::Formatter<'_>,
    tier: Tier,
    one: &Replayed,
    other: &Replayed,
) -> fmt::Result {
    let routes = routes_compared(tier, one, other);
    if routes.is_empty() {
        return Ok(());
    }
    let heads = ["Route", "Hit ratio", "After", "Difference", "Sent on", "After", "Difference"];
    let (tier, before, after) = (tier.as_str(), &one.name, &other.name);
    let caption = format!("Routes at the {tier} with {before}, and after with {after}");
    table_head(f, &caption, &heads)?;
    for RouteCompared { route, hit_ratio, sent_on } in &routes {
        let ([a, b, c], [d, e, g]) = (hit_ratio, sent_on);
        row(f, route, &[a, b, c, d, e, g])?;
    }
    f.write_str(TABLE_END)
}

fn unreadable(f: &mut fmt::Formatter<'_>, log: &super::Log) -> fmt::Result {
    section(f, "Lines that could not be read", |f| {
        let (unreadable, lines) = (thousands(log.unreadable), thousands(log.lines));
        write!(f, "<p>{unreadable} of {lines}.</p>")?;
        for reason in &log.reasons {
            write!(f, "<h3>{}: {}</h3><ul>", thousands(reason.lines), Escaped(reason.why))?;
            for shown in &reason.first {
                let line = shown.line.escape_debug().to_string();
                write!(f, "<li>{}: <code>{}</code></li>", Escaped(&shown.place), Escaped(&line))?;
            }
            f.write_str("</ul>")?;
        }
        Ok(())
    })
}
