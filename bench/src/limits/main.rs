//! What a limit costs. Counted in memory: decisions a second on one core, and bytes a client,
//! beside bare `governor` on the same clients in the same run. Counted in Redis: decisions a
//! second and round trips, beside `rate-limiter-flexible` on the same server in the same run.
//!
//! `cargo xtask bench limits` builds this with optimisation and runs it.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]
#![allow(clippy::unwrap_used, reason = "a bench whose own world is wrong had better stop")]

mod budgets;
mod local;
mod peer;
mod report;
mod shared;
mod world;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tidegate_bench::allocations::Counting;
use tidegate_bench::command::Options;
use tidegate_bench::measure::{Effort, measure};

use crate::report::{Report, Row};
use crate::world::Measured;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// So many clients are known when a decision is made.
const KNOWN: [u32; 3] = [1, 1_000, 1_000_000];

/// Measures limits that are counted in memory, and in Redis.
#[derive(Parser)]
#[command(name = "cargo xtask bench limits")]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let Arguments { options } = Arguments::parse();
    let effort = match options.quick {
        true => Effort { samples: 9, sample: Duration::from_millis(1) },
        false => Effort { samples: 41, sample: Duration::from_millis(10) },
    };
    let wanted = options.wanted();
    let mut rows = Vec::new();
    for known in KNOWN {
        let all = local::all(known).into_iter().chain(peer::all(known));
        for (_, make) in all.filter(|(name, _)| name.contains(wanted)) {
            // One by one, or they would take each other's memory out of the processor's cache.
            let Measured { work, held } = make();
            let bytes_each = held as f64 / f64::from(known);
            rows.extend(measure(vec![work], effort).into_iter().map(|cost| Row {
                known,
                bytes_each,
                cost,
            }));
        }
    }
    let effort = match options.quick {
        true => shared::Effort { rounds: 1, round: Duration::from_millis(100) },
        false => shared::Effort { rounds: 7, round: Duration::from_millis(800) },
    };
    let report = Report { in_memory: rows, shared: shared::measure(wanted, effort) };
    options.conclude(&report, budgets::judge, Report::print)
}
