//! What is promised, and whether it holds.

use tidegate_bench::command::Verdict;
use tidegate_bench::measure::Cost;

use crate::decisions::{DECISION, PLAN};
use crate::peer;
use crate::report::Report;

/// A full decision with 100 routes, on one core.
const DECISION_NS: f64 = 500.0;
/// One for the key, one for the values of all header fields.
const ALLOCATIONS: u64 = 2;
/// Against the peer, doing the same.
const TIMES_FASTER: f64 = 5.0;

/// Judges by medians.
pub(crate) fn judge(report: &Report) -> Vec<Verdict> {
    let mut verdicts = vec![decision(report.cost(100, DECISION))];
    verdicts.push(allocations(report));
    verdicts.extend([PLAN, DECISION].map(|name| growth(report, name)));
    verdicts.push(faster(report, peer::PAIR.0, peer::PAIR.1));
    verdicts
}

fn decision(cost: &Cost) -> Verdict {
    Verdict {
        budget: format!("{DECISION}, 100 routes: under {DECISION_NS} ns"),
        found: format!("{:.0} ns", cost.median_ns),
        holds: cost.median_ns < DECISION_NS,
    }
}

fn allocations(report: &Report) -> Verdict {
    let most = report.sizes.iter().map(|size| size.cost(DECISION).allocations).max();
    let most = most.unwrap_or_default();
    Verdict {
        budget: format!("{DECISION}: at most {ALLOCATIONS} allocations"),
        found: most.to_string(),
        holds: most <= ALLOCATIONS,
    }
}

/// What grows with the logarithm grows from 100 to 1,000 routes by half at most: log 1,000 is
/// one and a half times log 100.
fn growth(report: &Report, name: &str) -> Verdict {
    let limit = 1000f64.log10() / 100f64.log10();
    let found = report.cost(1000, name).median_ns / report.cost(100, name).median_ns;
    Verdict {
        budget: format!("{name}, 1,000 routes: at most {limit} times that of 100"),
        found: format!("{found:.2} times"),
        holds: found <= limit,
    }
}

fn faster(report: &Report, ours: &str, theirs: &str) -> Verdict {
    let found = report.beside_peer(theirs).median_ns / report.beside_peer(ours).median_ns;
    Verdict {
        budget: format!("{ours}: at least {TIMES_FASTER} times faster than the peer"),
        found: format!("{found:.1} times"),
        holds: found >= TIMES_FASTER,
    }
}
