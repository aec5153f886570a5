//! How many lines of an access log `tidegate replay` gets through, on one core and both tiers.
//!
//! `cargo xtask bench replay` builds this with optimisation and runs it.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]
#![allow(clippy::unwrap_used, reason = "a bench whose own world is wrong had better stop")]

mod world;

use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use tidegate_bench::allocations::{self, Counting};
use tidegate_bench::clock::thread_time;
use tidegate_bench::command::{Options, Verdict};
use tidegate_core::Policy;
use tidegate_replay::log::{self, Format, Unreadable};
use tidegate_replay::{Engine, Setup};

use crate::world::World;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Lines a second on one core over both tiers, the log read included.
const LINES: f64 = 500_000.0;

/// Measures the replay of logs.
#[derive(Parser)]
#[command(name = "cargo xtask bench replay")]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

/// What was measured.
#[derive(Serialize)]
struct Report {
    lines: usize,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    /// Thousand lines a second of processor time: the median of the rounds, the least and the most.
    thousand_lines: [f64; 3],
    /// For each line, with everything warm.
    allocations: f64,
}

fn main() -> ExitCode {
    let Arguments { options } = Arguments::parse();
    let (lines, rounds) = if options.quick { (50_000, 3) } else { (1_000_000, 7) };
    let world = World::new(lines);
    let mut rows = Vec::new();
    let mut measure = |name: &'static str, work: &mut dyn FnMut()| {
        if name.contains(options.wanted()) {
            rows.push(row(name, lines, rounds, work));
        }
    };
    measure("read alone, combined", &mut || read(&world.log, |_| {}));
    let engine = || Engine::new(Policy::clone(&world.policy), Setup::default());
    measure(REPLAY, &mut || {
        let mut engine = engine();
        read(&world.log, |asked| {
            engine.ask(asked);
        });
    });
    measure("replayed by two policies", &mut || {
        let mut engines = [engine(), engine()];
        read(&world.log, |asked| {
            for engine in &mut engines {
                engine.ask(asked);
            }
        });
    });
    options.conclude(&Report { lines, rows }, judge, print)
}

const REPLAY: &str = "replayed, combined";

fn read(text: &[u8], then: impl FnMut(&tidegate_replay::Asked<'_>)) {
    let mut unreadable = Unreadable::default();
    log::read(text, "log", Some(Format::Combined), &mut unreadable, then).unwrap();
    assert_eq!(unreadable.count(), 0, "the bench's own log can be read");
}

fn row(name: &'static str, lines: usize, rounds: usize, work: &mut dyn FnMut()) -> Row {
    let mut rates: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = thread_time();
            work();
            lines as f64 / (thread_time() - start).as_secs_f64() / 1e3
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    let allocations = allocations::count(work) as f64 / lines as f64;
    let thousand_lines = [rates[rounds / 2], rates[0], rates[rounds - 1]];
    Row { name, thousand_lines, allocations }
}

fn judge(report: &Report) -> Vec<Verdict> {
    let replay = report.rows.iter().find(|row| row.name == REPLAY).unwrap();
    let found = 1e3 * replay.thousand_lines[0];
    vec![Verdict {
        budget: format!("{REPLAY}: at least {LINES} lines a second"),
        found: format!("{found:.0}"),
        holds: found >= LINES,
    }]
}

fn print(report: &Report) {
    println!("{} lines, thousand a second of processor time\n", report.lines);
    for Row { name, thousand_lines: [median, least, most], allocations } in &report.rows {
        println!(
            "{name:<28} {median:>7.0} ({least:.0} to {most:.0})  {allocations:.2} allocations"
        );
    }
}
