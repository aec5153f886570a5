//! `tidegate top`

mod table;

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use clap::Args;
use http::Method;
use serde_json::Value;
use tidegate_origin::metrics::quantile_of;

use super::Outcome;
use super::operate::ShimArgument;
use table::Table;

/// Clears the terminal, and begins at its top.
const CLEAR: &str = "\x1b[H\x1b[2J";

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    shim: ShimArgument,
    /// One look at the time between two questions, and no more
    #[arg(long)]
    once: bool,
    /// Seconds between two questions
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let operated = arguments.shim.find()?;
    let look = || operated.ask(Method::GET, &["stats"], None);
    let mut before = look()?;
    loop {
        thread::sleep(Duration::from_secs(arguments.interval));
        let now = look()?;
        if arguments.shim.json {
            println!("{now}");
        } else {
            let view = view(&before, &now);
            let clear = if arguments.once { "" } else { CLEAR };
            let mut out = io::stdout().lock();
            // Whoever stops to read has enough.
            if write!(out, "{clear}{view}").and_then(|()| out.flush()).is_err() {
                return Ok(());
            }
        }
        if arguments.once {
            return Ok(());
        }
        before = now;
    }
}

/// What has happened between two looks.
fn view(before: &Value, now: &Value) -> String {
    let seconds = (number(&now["at"]) - number(&before["at"])).max(1) as f64 / 1000.0;
    let span = Span { seconds };
    let mut lines = vec![head(now), span.all(before, now)];

    let mut routes = Table::new(&["route", "req/s", "hits", "5xx", "p50", "p95", "p99"]);
    for (before, now) in pairs(&before["routes"], &now["routes"]) {
        let count = span.between(before, now, "count");
        if number(&now["count"]) == 0 {
            continue;
        }
        let [p50, p95, p99] = times(before, now);
        let name = match text(&now["name"]) {
            "" => "(no route)",
            name => name,
        };
        let hits = share(span.between(before, now, "hits"), count);
        let failed = share(span.between(before, now, "failed"), count);
        routes.row([name.into(), span.rate(count), hits, failed, p50, p95, p99]);
    }
    lines.push(routes.to_string());

    let mut limits = Table::new(&["limit", "allowed/s", "refused/s", "clients"]);
    for (before, now) in pairs(&before["limits"], &now["limits"]) {
        let rate = |field| span.rate(span.between(before, now, field));
        let clients = number(&now["clients"]).to_string();
        limits.row([text(&now["name"]).into(), rate("allowed"), rate("refused"), clients]);
    }
    lines.push(limits.to_string());

    let mut upstreams =
        Table::new(&["upstream", "req/s", "errors/s", "in flight", "p50", "p95", "servers"]);
    for (before, now) in pairs(&before["upstreams"], &now["upstreams"]) {
        let rate = |field| span.rate(span.between(before, now, field));
        let [p50, p95, _] = times(before, now);
        let in_flight = number(&now["in_flight"]).to_string();
        let name = text(&now["name"]).into();
        let servers = servers(now);
        upstreams.row([name, rate("count"), rate("failed"), in_flight, p50, p95, servers]);
    }
    lines.push(upstreams.to_string());

    let mut zones = Table::new(&["zone", "URLs", "memory", "of"]);
    for zone in list(&now["zones"]) {
        let entries = number(&zone["entries"]).to_string();
        let [used, most] = [&zone["bytes"], &zone["bytes_max"]].map(bytes);
        zones.row([text(&zone["name"]).into(), entries, used, most]);
    }
    lines.push(zones.to_string());
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

/// How many of an upstream's servers may be asked; a folder of files has none.
fn servers(upstream: &Value) -> String {
    let servers = &upstream["servers"];
    match (upstream["breaker_open"].as_bool(), number(&servers["up"]), number(&servers["all"])) {
        (None, ..) => "-".into(),
        (Some(true), ..) => "breaker open".into(),
        (Some(false), up, all) => format!("{up} of {all}"),
    }
}

fn head(now: &Value) -> String {
    let uptime = number(&now["uptime"]);
    let (hours, minutes) = (uptime / 3600, uptime / 60 % 60);
    let mut head = format!(
        "tidegate {}   up {hours}:{minutes:02}:{:02}   policy {}   {}",
        text(&now["version"]),
        uptime % 60,
        text(&now["policy"]["hash"]),
        text(&now["ready"]["status"]),
    );
    if now["maintenance"] == Value::Bool(true) {
        head += "   MAINTENANCE";
    }
    if let (Some(held), Some(most)) =
        (now["connections"]["held"].as_u64(), now["connections"]["max"].as_u64())
    {
        head += &format!("\nconnections {held} of {most}");
    }
    if now["process"]["resident"].is_u64() {
        let [used, most] = [&now["process"]["resident"], &now["process"]["memory_limit"]];
        head += &format!("   memory {} of {}", bytes(used), bytes(most));
    }
    for check in list(&now["ready"]["checks"]).filter(|check| check["status"] != "ok") {
        let name = check["name"].as_str().map(|name| format!(" {name}")).unwrap_or_default();
        head += &format!(
            "\n{}{name} is {}: {}",
            text(&check["check"]),
            text(&check["status"]),
            text(&check["detail"]),
        );
    }
    head + "\n"
}

/// The time between two looks.
struct Span {
    seconds: f64,
}

impl Span {
    fn all(&self, before: &Value, now: &Value) -> String {
        let (before, now) = (&before["requests"], &now["requests"]);
        let count = self.between(before, now, "count");
        let [p50, p95, p99] = times(before, now);
        format!(
            "{} requests/s   hits {}   429 {}   5xx {}   p50 {p50}   p95 {p95}   p99 {p99}\n",
            self.rate(count),
            share(self.between(before, now, "hits"), count),
            share(self.between(before, now, "refused"), count),
            share(self.between(before, now, "failed"), count),
        )
    }

    fn between(&self, before: &Value, now: &Value, field: &str) -> u64 {
        number(&now[field]).saturating_sub(number(&before[field]))
    }

    fn rate(&self, count: u64) -> String {
        let rate = count as f64 / self.seconds;
        if rate < 10.0 && count > 0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
    }
}

/// Each with what it was before, by name.
fn pairs<'a>(before: &'a Value, now: &'a Value) -> impl Iterator<Item = (&'a Value, &'a Value)> {
    list(now).map(move |now| {
        let same = list(before).find(|before| before["name"] == now["name"]);
        (same.unwrap_or(&Value::Null), now)
    })
}

/// The times within which half, 95 % and 99 % were done between two looks.
fn times(before: &Value, now: &Value) -> [String; 3] {
    let mut earlier = list(&before["seconds"]["steps"]).map(number);
    let steps = list(&now["seconds"]["steps"]).map(number);
    let steps: Vec<u64> =
        steps.map(|now| now.saturating_sub(earlier.next().unwrap_or_default())).collect();
    [0.5, 0.95, 0.99].map(|quantile| match quantile_of(&steps, quantile) {
        None => "-".into(),
        Some(seconds) if seconds >= 1.0 => format!("{seconds:.1} s"),
        Some(seconds) if seconds >= 0.01 => format!("{:.0} ms", seconds * 1e3),
        Some(seconds) => format!("{:.2} ms", seconds * 1e3),
    })
}

fn share(part: u64, all: u64) -> String {
    match all {
        0 => "-".into(),
        all => format!("{:.1} %", part as f64 * 100.0 / all as f64),
    }
}

pub(super) fn bytes(value: &Value) -> String {
    let bytes = number(value) as f64;
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = units.into_iter().find(|(_, power)| bytes >= f64::from(1 << power));
    unit.map_or_else(
        || format!("{bytes} B"),
        |(unit, power)| format!("{:.1} {unit}", bytes / f64::from(1 << power)),
    )
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn look(at: u64, count: u64, fast: u64) -> Value {
        let mut steps = vec![0; 19];
        (steps[0], steps[10]) = (fast, count - fast);
        let seconds = json!({ "steps": steps });
        json!({
            "version": "1.0", "at": at, "uptime": 3725, "policy": { "hash": "abc" },
            "ready": { "status": "ok", "checks": [] },
            "requests": { "count": count, "hits": fast, "failed": 0, "seconds": seconds },
            "routes": [
                { "name": "api", "count": count, "hits": fast, "failed": 0, "seconds": seconds },
                { "name": "idle", "count": 0 },
            ],
            "limits": [{ "name": "standard", "allowed": count, "refused": 5, "clients": 3 }],
            "zones": [{ "name": "default", "entries": 2, "bytes": 2048, "bytes_max": 268435456 }],
        })
    }

    #[test]
    fn p10_what_is_shown_is_the_time_between_two_looks() {
        let view = view(&look(0, 100, 100), &look(2000, 300, 250));
        let lines: Vec<&str> = view.lines().map(str::trim_end).collect();
        assert!(lines[0].starts_with("tidegate 1.0   up 1:02:05   policy abc   ok"), "{view}");
        let has = |line: &str| assert!(lines.contains(&line), "{line:?} in\n{view}");
        assert!(view.contains("100 requests/s   hits 75.0 %"), "{view}");
        has("route  req/s    hits    5xx      p50     p95     p99");
        assert!(!view.contains("idle"), "{view}");
        assert!(view.contains("standard") && view.contains("2.0 KiB"), "{view}");
        has("limit     allowed/s  refused/s  clients");
        has("standard        100          0        3");
    }
}
