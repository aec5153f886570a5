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
use tidegate_bench::command::Options;
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
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let Arguments { options } = Arguments::parse();
    let effort = match options.quick {
        true => Effort { samples: 9, sample: Duration::from_millis(1) },
        false => Effort { samples: 101, sample: Duration::from_millis(3) },
    };
    let wanted = options.wanted();
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
    options.conclude(&report, budgets::judge, Report::print)
}
