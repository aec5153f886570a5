//! What the decisions of the core cost, judged against their budgets and beside a peer.
//!
//! `cargo xtask bench core` builds this with optimisation and runs it.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]
#![allow(clippy::unwrap_used, reason = "a bench whose own world is wrong had better stop")]

mod budgets;
mod decisions;
mod peer;
mod report;
mod world;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tidegate_bench::allocations::Counting;
use tidegate_bench::measure::{Effort, measure};

use crate::decisions::Held;
use crate::report::{Report, Sized};
use crate::world::World;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The numbers of routes that everything is measured with.
const SIZES: [usize; 3] = [1, 100, 1000];

/// Measures the decisions of the core.
#[derive(Parser)]
#[command(name = "cargo xtask bench core")]
struct Arguments {
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Measure for a second or two: enough to see that it runs, too short to judge by
    #[arg(long)]
    quick: bool,
    /// Measure only what has this in its name, and judge nothing; for a profiler
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let effort = match arguments.quick {
        true => Effort { samples: 9, sample: Duration::from_millis(1) },
        false => Effort { samples: 101, sample: Duration::from_millis(3) },
    };
    let wanted = arguments.only.as_deref().unwrap_or_default();
    let sizes = SIZES.map(|routes| {
        let world = World::new(routes);
        let held = Held::by(&world);
        let parsed = world.parse();
        let requests = world.requests(&parsed);
        let mut works = decisions::all(&world, &requests, &held);
        works.retain(|work| work.name().contains(wanted));
        Sized { routes, costs: measure(works, effort) }
    });
    let world = World::new(1);
    let held = Held::by(&world);
    let mut works = peer::side_by_side(&world, &held);
    works.retain(|work| work.name().contains(wanted));
    let report = Report { sizes: sizes.into(), beside_peer: measure(works, effort) };
    let verdicts = match arguments.only {
        Some(_) => Vec::new(),
        None => budgets::judge(&report),
    };
    match arguments.json {
        true => report.print_json(&verdicts),
        false => report.print(&verdicts),
    }
    match verdicts.iter().all(|verdict| verdict.holds) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
