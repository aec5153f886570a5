//! What is promised, and whether it holds.

use tidegate_bench::command::Verdict;

use crate::report::Report;
use crate::world::{BY_HAND, HIT, HONO, MEMORY, TIDEGATE};

/// Of the hand-written Worker's processor time, for a hit out of the Cache API.
const HIT_TIMES: f64 = 1.15;
/// The same out of the isolate's memory.
const MEMORY_TIMES: f64 = 0.8;
/// Of the hand-written Worker's time to the first answer.
const START_TIMES: f64 = 1.5;
/// Bytes.
const GZIPPED: usize = 250_000;

/// Judges by medians.
pub(crate) fn judge(report: &Report) -> Vec<Verdict> {
    let hit = report.micros(HIT, TIDEGATE);
    let memory = report.micros(MEMORY, TIDEGATE);
    let (by_hand, hono) = (report.micros(HIT, BY_HAND), report.micros(HIT, HONO));
    let gzipped = report.gzipped(TIDEGATE);
    vec![
        at_most(HIT_TIMES, HIT, hit, by_hand, "µs"),
        at_most(MEMORY_TIMES, MEMORY, memory, by_hand, "µs"),
        Verdict {
            budget: format!("{MEMORY}: less than {HONO} for {HIT}"),
            found: format!("{memory:.1} µs beside {hono:.1}"),
            holds: memory < hono,
        },
        at_most(START_TIMES, "cold start", report.start(TIDEGATE), report.start(BY_HAND), "ms"),
        Verdict {
            budget: format!("upload: at most {GZIPPED} bytes gzipped"),
            found: format!("{gzipped} bytes"),
            holds: gzipped <= GZIPPED,
        },
    ]
}

fn at_most(times: f64, what: &str, ours: f64, theirs: f64, unit: &str) -> Verdict {
    let found = ours / theirs;
    Verdict {
        budget: format!("{what}: at most {times} times {BY_HAND}"),
        found: format!("{found:.2} times ({ours:.1} {unit} beside {theirs:.1})"),
        holds: found <= times,
    }
}
