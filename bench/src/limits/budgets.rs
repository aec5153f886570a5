//! What is promised, and whether it holds.

use tidegate_bench::command::Verdict;

use crate::local;
use crate::report::{Report, Row};
use crate::shared;

/// A decision with a million clients known, on one core.
const DECISION_NS: f64 = 150.0;
/// All told: the load of the tables, locks, what is kept to forget by.
const BYTES_EACH: f64 = 100.0;
/// Round trips of a decision in Redis.
const ROUND_TRIPS: f64 = 1.0;
/// So many clients are known.
const KNOWN: u32 = 1_000_000;

/// Judges by medians, and by the worst of all algorithms.
pub(crate) fn judge(report: &Report) -> Vec<Verdict> {
    let ours = |row: &&Row| row.known == KNOWN && local::is_judged(&row.cost.name);
    let worst = |of: fn(&Row) -> f64| {
        let rows = report.in_memory.iter().filter(ours);
        rows.max_by(|a, b| of(a).total_cmp(&of(b))).unwrap()
    };
    let slowest = worst(|row| row.cost.median_ns);
    let largest = worst(|row| row.bytes_each);
    let asked = report.shared.iter().filter(|row| shared::is_judged(row));
    let most = asked.max_by(|a, b| a.reads.total_cmp(&b.reads)).unwrap();
    vec![
        Verdict {
            budget: format!("a decision with {KNOWN} clients: under {DECISION_NS} ns"),
            found: format!("{:.0} ns ({})", slowest.cost.median_ns, slowest.cost.name),
            holds: slowest.cost.median_ns < DECISION_NS,
        },
        Verdict {
            budget: format!("memory with {KNOWN} clients: at most {BYTES_EACH} bytes each"),
            found: format!("{:.1} bytes ({})", largest.bytes_each, largest.cost.name),
            holds: largest.bytes_each <= BYTES_EACH,
        },
        Verdict {
            budget: format!("a decision in Redis: at most {ROUND_TRIPS} round trip"),
            found: format!("{:.3} ({})", most.reads, most.name),
            holds: most.reads <= ROUND_TRIPS,
        },
    ]
}
