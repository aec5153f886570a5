//! What was found, as a page for people.

use std::fmt::Write as _;

use serde_json::Value;
use tidegate_replay::plot::{Axis, Mark, Plot, STYLE, Series, round_end};

use crate::runs::{Effort, Found, Run, Step, Wanted, fewer_queries, number};

const BEGIN: &str = "\
# What the demo stack bears

Written by `cargo xtask load`. Virtual users (`tidegate load`, [the guide](load.md)) visit the worker in bare `workerd`,
which asks `tidegate serve` (release build), which has a Redis for limits and answers, and asks a service with an SQLite;
then the same users, by the same seed, visit the service by itself. What they ask for is an assumption
([traffic/mix.toml](../traffic/mix.toml)); what a query takes is that file's, too (8 to 30 ms, over ten connections), as
with a database on another machine. All of it, the load generator among it, shared {cores} cores of one machine, without
TLS and without a network in between. Limits at the edge counted in the isolate: a Durable Object for each client was not
part of it. Each run began with empty caches; what counts is what was found when all users had come, at {arrivals} in a second.
";

/// What is said in addition where the bench itself was built without optimisation.
const UNOPTIMISED: &str = "\n\
**This time the service behind all, and what `workerd` keeps answers in, were debug builds**: they took several times the\n\
processor time that they need, from the same cores. The shim and the load generator were release builds.\n";

/// The page.
pub(crate) fn text(found: &Found, effort: &Effort) -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut text = BEGIN.replace("{cores}", &cores.to_string());
    text = text.replace("{arrivals}", &effort.arrivals.to_string());
    if cfg!(debug_assertions) {
        text += UNOPTIMISED;
    }
    // Writing to a text does not fail.
    let _ = users(&mut text, found);
    let _ = steps(&mut text, &found.steps);
    let _ = failures(&mut text, found);
    let _ = verdicts(&mut text, found);
    text
}

/// File names, and what is in them.
pub(crate) fn pictures(found: &Found) -> [(&'static str, String); 2] {
    let users = || found.steps.iter().map(|step| f64::from(step.wanted.users));
    let runs = || found.steps.iter().flat_map(|step| [Some(&step.with), step.without.as_ref()]);
    let picture = |title: &str, description: &str, y: Axis, of: fn(&Run) -> f64| {
        let line = |name: &str, run: fn(&Step) -> Option<&Run>| {
            let point = |step: &Step| Some((f64::from(step.wanted.users), of(run(step)?)));
            Series::new(name, Mark::Line, found.steps.iter().filter_map(point).collect())
        };
        let (widest, highest) = (users().fold(0.0, f64::max), runs().flatten().map(of));
        let highest = round_end(highest.fold(0.0, f64::max));
        let plot = Plot {
            title: title.into(),
            description: description.into(),
            x: Axis::new("users at once", whole).with_ticks(users().collect()).between(0.0, widest),
            y: y.between(0.0, highest),
            series: vec![
                line("with Tidegate", |step| Some(&step.with)),
                line("without", |step| step.without.as_ref()),
            ],
        };
        // As a file of its own it says what it is, and brings its style.
        let svg = plot.svg("capacity");
        let svg = svg.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1);
        svg.replacen('>', &format!("><style>{STYLE}</style>"), 1)
    };
    [
        (
            "capacity-p95.svg",
            picture(
                "p95 of all answers",
                "What 19 of 20 answers did not exceed, by how many users visit at once.",
                Axis::new("p95 in ms", whole),
                |run| run.number("/latency_ms/p95"),
            ),
        ),
        (
            "capacity-queries.svg",
            picture(
                "Queries of the database",
                "How often the database is asked in a second, by how many users visit at once.",
                Axis::new("queries a second", whole),
                Run::queries_per_second,
            ),
        ),
    ]
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

fn users(text: &mut String, found: &Found) -> std::fmt::Result {
    let Found { with, without, .. } = found;
    let users = &with.report["users"];
    let people = &with.report["people"];
    writeln!(text, "\n## {users} of {people} users at once (T1, T2)\n")?;
    writeln!(text, "| | with Tidegate | without |\n|---|---|---|")?;
    let mut row = |what: &str, of: &dyn Fn(&Run) -> String| {
        writeln!(text, "| {what} | {} | {} |", of(with), of(without))
    };
    row("requests a second", &|run| format!("{:.0}", run.number("/requests_per_second")))?;
    row("p50, p95, p99", &|run| latencies(run, "latency_ms"))?;
    row("p50, p95, p99 of cached answers", &|run| latencies(run, "cached_latency_ms"))?;
    row("errors", &|run| errors(run.counted()))?;
    row("hits of what may be cached", &|run| percent(run.number("/hit_ratio")))?;
    row("requests of browsers", &|run| format!("{:.0}", run.number("/requests")))?;
    row("answered by the edge", &|run| percent(run.at_the_edge()))?;
    row("requests that reached the service", &|run| run.work.reached.to_string())?;
    row("queries of its database", &|run| run.work.queries.to_string())?;

    let fewer = percent(fewer_queries(with, without));
    let memory = with.memory as f64 / 1e6;
    writeln!(
        text,
        "\nOf what browsers sent, the edge answered {} by itself. The database was asked {fewer} less often: some of that the\n\
         shim answered, and some was not asked, since browsers keep what the policy lets them keep. The service by itself\n\
         says nothing of that, so its users ask each time. At the\n\
         end the shim had {memory:.0} MB of memory.\n",
        percent(with.at_the_edge()),
    )?;
    writeln!(
        text,
        "| processor time for a request that browsers sent | with Tidegate | without |\n|---|---|---|"
    )?;
    for (place, name) in
        ["edge (workerd)", "shim", "Redis", "service, database within"].iter().enumerate()
    {
        let micros =
            |run: &Run| run.work.cpu[place].as_secs_f64() * 1e6 / run.number("/requests").max(1.0);
        let (with, without) = (micros(with), micros(without));
        // Without Tidegate nobody asks the first three.
        let without = if place < 3 { "–".to_owned() } else { format!("{without:.0} µs") };
        writeln!(text, "| {name} | {with:.0} µs | {without} |")?;
    }
    let front: f64 = with.work.cpu[..3].iter().map(std::time::Duration::as_secs_f64).sum();
    let each = front / with.number("/requests").max(1.0);
    writeln!(
        text,
        "\n**Extrapolated, not measured**: at {:.0} µs for a request, one core for edge, shim and Redis together would carry\n\
         {:.0} requests a second of this mix. Cloudflare runs the edge elsewhere.",
        each * 1e6,
        (1.0 / each / 100.0).floor() * 100.0
    )
}

fn steps(text: &mut String, steps: &[Step]) -> std::fmt::Result {
    writeln!(text, "\n## From 500 to 10,000 users at once (T3)\n")?;
    writeln!(
        text,
        "They think longer here than those above: many people at once are seldom all at work.\n"
    )?;
    writeln!(text, "![p95 by users](pictures/capacity-p95.svg)\n")?;
    writeln!(text, "![queries by users](pictures/capacity-queries.svg)\n")?;
    writeln!(
        text,
        "| users at once | | requests/s | p50, p95, p99 | errors | hits | queries/s | generator late (p99) |\n|---|---|---|---|---|---|---|---|"
    )?;
    for Step { wanted: Wanted { users, .. }, with, without } in steps {
        let both = [("with", Some(with)), ("without", without.as_ref())];
        for (what, run) in both.into_iter().filter_map(|(what, run)| Some((what, run?))) {
            writeln!(
                text,
                "| {users} | {what} | {:.0} | {} | {} | {} | {:.0} | {:.0} ms |",
                run.number("/requests_per_second"),
                latencies(run, "latency_ms"),
                errors(run.counted()),
                percent(run.number("/hit_ratio")),
                run.queries_per_second(),
                run.number("/own_lag_ms/p99"),
            )?;
        }
    }
    writeln!(
        text,
        "\nWhere the generator itself was late, cores were what there was too little of, and times are\n\
         worse than those of the stack."
    )
}

fn failures(text: &mut String, found: &Found) -> std::fmt::Result {
    let users = &found.failures["users"];
    writeln!(text, "\n## {users} users, and failures in between (T4)\n")?;
    writeln!(
        text,
        "The service is killed and started anew; each query takes ten times as long; Redis may use a megabyte, which is less than\n\
         it holds; Redis is killed and started anew, empty.\n"
    )?;
    writeln!(
        text,
        "| phase | requests/s | p50, p95, p99 | errors | cached of all answers |\n|---|---|---|---|---|"
    )?;
    for phase in found.failures["phases"].as_array().into_iter().flatten() {
        let at = |name: &str| number(phase, &format!("/latency_ms/{name}"));
        writeln!(
            text,
            "| {} | {:.0} | {} | {} | {} |",
            phase["name"].as_str().unwrap_or_default(),
            number(phase, "/requests_per_second"),
            three(at("p50"), at("p95"), at("p99")),
            errors(phase),
            percent(number(phase, "/cached_share")),
        )?;
    }
    writeln!(
        text,
        "\nWhile the service is down, what is stored serves, stale where the policy allows it; what nobody may store fails.\n\
         A request counts in the phase in which it began, so that what is on its way when the service ends fails in the one before."
    )
}

fn verdicts(text: &mut String, found: &Found) -> std::fmt::Result {
    writeln!(text, "\n## What was to hold\n\n| | found | |\n|---|---|---|")?;
    for verdict in &found.verdicts {
        let word = if verdict.holds { "holds" } else { "**does not hold**" };
        writeln!(text, "| {} | {} | {word} |", verdict.budget, verdict.found)?;
    }
    Ok(())
}

fn latencies(run: &Run, which: &str) -> String {
    let at = |name: &str| run.number(&format!("/{which}/{name}"));
    // No answer takes no time at all: there was none.
    if at("max") == 0.0 { "–".into() } else { three(at("p50"), at("p95"), at("p99")) }
}

fn three(p50: f64, p95: f64, p99: f64) -> String {
    format!("{p50:.0}, {p95:.0}, {p99:.0} ms")
}

/// Their share of all requests, and how many there were of each kind.
fn errors(section: &Value) -> String {
    let share = format!("{:.2} %", number(section, "/error_share") * 100.0);
    let kinds = section["errors"].as_object().into_iter().flatten();
    let kinds: Vec<String> = kinds.map(|(kind, count)| format!("{count} {kind}")).collect();
    if kinds.is_empty() { share } else { format!("{share}: {}", kinds.join(", ")) }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
