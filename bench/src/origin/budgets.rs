//! What is promised, and whether it holds.

use tidegate_bench::command::Verdict;

use crate::report::Report;
use crate::servers::{HAPROXY, NGINX, TIDEGATE, VARNISH};
use crate::world::{HIT, LARGE, MISS};

/// Judges by medians.
pub(crate) fn judge(report: &Report) -> Vec<Verdict> {
    vec![
        at_most(report, 0.85, HIT, &[HAPROXY]),
        at_most(report, 0.65, HIT, &[NGINX]),
        at_most(report, 1.0, MISS, &[NGINX]),
        at_most(report, 1.1, LARGE, &[NGINX, HAPROXY, VARNISH]),
    ]
}

/// At most so many times what the best of `peers` takes.
fn at_most(report: &Report, times: f64, row: &str, peers: &[&str]) -> Verdict {
    let budget = match peers {
        [peer] => format!("{row}: at most {times} times {peer}"),
        _ => format!("{row}: at most {times} times the best of the others"),
    };
    let best = peers.iter().filter_map(|peer| report.micros(row, peer)).min_by(f64::total_cmp);
    let (Some(ours), Some(best)) = (report.micros(row, TIDEGATE), best) else {
        return Verdict { budget, found: "not measured".to_owned(), holds: false };
    };
    let found = ours / best;
    Verdict {
        budget,
        found: format!("{found:.2} times ({ours:.2} µs beside {best:.2})"),
        holds: found <= times,
    }
}
