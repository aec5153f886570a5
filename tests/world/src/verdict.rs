//! Whether a case holds in the small world.

use serde::{Deserialize, Serialize};
use tidegate_core::{Timestamp, document};

use crate::case::{Case, Step, Tier};
use crate::expectation::{Clock, Seen, differences};
use crate::message::Terms;
use crate::policy;
use crate::shell::World;

/// When every case begins, in seconds since the epoch.
pub const START: u64 = 1_795_000_000;

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Verdict {
    /// The case.
    pub id: String,
    /// What was not as expected, each with its step; a case without any holds.
    pub failures: Vec<String>,
    /// What came of each question: two runs of a case must agree in all of it.
    pub seen: Vec<Seen>,
}

/// Runs a case from its begin.
pub fn judge(case: &Case) -> Verdict {
    let mut verdict = Verdict { id: case.id.clone(), failures: Vec::new(), seen: Vec::new() };
    let policy = match document::read(&policy::text([case], "127.0.0.1:1"), &|_| None) {
        Ok(policy) => policy,
        Err(report) => {
            verdict.failures.push(report.display(&case.id).to_string());
            return verdict;
        }
    };
    // A case for both tiers is one for the core: it need not be told twice.
    let tier = case.tier.unwrap_or(Tier::Origin);
    let terms = Terms::of(case, tier, START);
    let mut world = World::new(policy, tier.into(), Timestamp::from_secs(START));
    for (number, step) in (1..).zip(&case.steps) {
        match step {
            Step::Wait { wait } => match milliseconds(wait) {
                Some(millis) => world.pass(millis),
                None => verdict.failures.push(format!("step {number}: `{wait}` is no time")),
            },
            Step::Ask(ask) => {
                let seen = world.ask(&ask.request(&terms), ask.script(&terms));
                let differ = differences(ask, &seen, &terms, Clock::Virtual);
                let place = |difference| format!("step {number} ({}): {difference}", ask.ask[0]);
                verdict.failures.extend(differ.into_iter().map(place));
                verdict.seen.push(seen);
            }
        }
    }
    verdict
}

fn milliseconds(text: &str) -> Option<u64> {
    match text.strip_suffix("ms") {
        Some(millis) => millis.parse().ok(),
        None => text.strip_suffix('s')?.parse::<u64>().ok()?.checked_mul(1000),
    }
}
